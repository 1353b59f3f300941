//! `parallax keys` as data, and the flags by which every command finds a passphrase.
//!
//! Refuses: secrets as arguments. Everybody on the machine can read those.

use crate::config::credentials_dir;
use crate::keys::passphrase::Unlock;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Where the passphrase of the keystore comes from. Default: the credential parallax-passphrase
/// (systemd), else the person at the terminal.
#[derive(Clone, Debug, Default, Args)]
pub struct Unlocking {
    /// Read the passphrase from this open file, its first line: 3 in `3<passphrase.txt`.
    #[arg(long, value_name = "N", global = true)]
    pub passphrase_fd: Option<u32>,
    /// Read it from this systemd credential.
    #[arg(
        long,
        value_name = "NAME",
        global = true,
        conflicts_with = "passphrase_fd"
    )]
    pub passphrase_credential: Option<String>,
}

impl Unlocking {
    /// With what the service manager says.
    pub fn unlock(&self) -> Unlock {
        Unlock {
            fd: self.passphrase_fd,
            credential: self.passphrase_credential.clone(),
            credentials_dir: credentials_dir(),
        }
    }
}

/// `parallax keys`.
#[derive(Debug, Args)]
pub struct Keys {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
    /// Read settings from this file; the environment wins over it. Default: .env here, if any.
    #[arg(long, value_name = "FILE", global = true)]
    pub env: Option<PathBuf>,
    /// The keystore. Default: KEYSTORE of the settings.
    #[arg(long, value_name = "FILE", global = true)]
    pub keystore: Option<PathBuf>,
    /// Go on without asking: what is signed, sent or removed is said all the same.
    #[arg(long, global = true)]
    pub yes: bool,
    /// Print one JSON object on the last line of standard output; text goes to standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// The passphrase.
    #[command(flatten)]
    pub unlocking: Unlocking,
}

/// The commands of `parallax keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make an empty keystore: one file, encrypted with a passphrase.
    #[command(after_help = "Example:\n  parallax keys init --keystore ~/.parallax-keys")]
    Init {
        /// Memory that one try at the passphrase costs, MiB. More makes guessing dearer, and each
        /// start slower.
        #[arg(long, value_name = "N", default_value_t = 64,
            value_parser = clap::value_parser!(u32).range(19..=4096))]
        kdf_mib: u32,
    },
    /// Take a key into the keystore; it is typed unseen, or read from an open file.
    #[command(
        after_help = "Example:\n  parallax keys import ethereum\n  parallax keys import \
                            lighter --slot 4 --secret-fd 3 3<key.txt"
    )]
    Import {
        /// Which key.
        #[command(subcommand)]
        what: ImportWhat,
        /// What to call it. Default: after its account.
        #[arg(long, value_name = "NAME", global = true)]
        name: Option<String>,
        /// Read the secret from this open file, each on a line of its own.
        #[arg(long, value_name = "N", global = true)]
        secret_fd: Option<u32>,
    },
    /// Show what is kept: names, accounts, states.
    #[command(after_help = "Example:\n  parallax keys list --json")]
    List,
    /// Print public keys and addresses, of one key or of all.
    #[command(after_help = "Example:\n  parallax keys export-public lighter-71002-4")]
    ExportPublic {
        /// The key's name.
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Replace a key, or the passphrase, by a new one.
    ///
    /// A Lighter key is replaced without a gap: the new one is registered in a free slot and proven
    /// first, then the old slot is overwritten with a key that nobody has. Of an Extended account
    /// the API key is replaced; its Stark key belongs to the wallet.
    #[command(
        after_help = "Example:\n  parallax keys rotate lighter-71002-4\n  parallax keys \
                            rotate passphrase"
    )]
    Rotate {
        /// The key's name, or `passphrase`.
        #[arg(value_name = "NAME|passphrase")]
        what: String,
        /// The Ethereum key that signs, by its name. Default: the only one there is.
        #[arg(long, value_name = "NAME")]
        wallet: Option<String>,
        /// Read the new passphrase from this open file.
        #[arg(long, value_name = "N")]
        new_passphrase_fd: Option<u32>,
    },
    /// Forget a key. At its venue it stays valid.
    #[command(after_help = "Example:\n  parallax keys remove lighter-71002-4")]
    Remove {
        /// The key's name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make an API key and have its venue know it.
    #[command(after_help = "Example:\n  parallax keys bootstrap lighter --account 71002")]
    Bootstrap {
        /// Which venue.
        #[command(subcommand)]
        venue: BootstrapVenue,
    },
    /// Open an account with an Ethereum key, or log in to it, and make its API key.
    #[command(after_help = "Example:\n  parallax keys onboard extended")]
    Onboard {
        /// Which venue.
        #[command(subcommand)]
        venue: OnboardVenue,
    },
}

/// What to import.
#[derive(Debug, Subcommand)]
pub enum ImportWhat {
    /// A wallet's private key.
    #[command(after_help = "Example:\n  parallax keys import ethereum")]
    Ethereum,
    /// Stark private key and API key of an account, in this order.
    #[command(after_help = "Example:\n  parallax keys import extended --vault 10002")]
    Extended {
        /// The account's position id. Default: EXTENDED_VAULT.
        #[arg(long, value_name = "N")]
        vault: Option<u32>,
    },
    /// An API key of an account.
    #[command(after_help = "Example:\n  parallax keys import lighter --account 71002 --slot 4")]
    Lighter {
        /// The account. Default: LIGHTER_ACCOUNT_INDEX.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 48))]
        account: Option<u64>,
        /// The key's slot.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(..=254))]
        slot: u8,
    },
}

/// Whose API key to make.
#[derive(Debug, Subcommand)]
pub enum BootstrapVenue {
    /// Make a key, sign the change with it and with the Ethereum key, send it, and wait until the
    /// venue reports it. Interrupted anywhere, the same command finishes.
    #[command(
        after_help = "Example:\n  parallax keys bootstrap lighter --account 71002\n  \
                            parallax keys bootstrap lighter --offline"
    )]
    Lighter {
        /// The account. Default: LIGHTER_ACCOUNT_INDEX.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 48))]
        account: Option<u64>,
        /// The slot to write, 4 to 254. Default: the first that is free.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(4..=254))]
        slot: Option<u8>,
        /// The Ethereum key that signs, by its name. Default: the only one there is.
        #[arg(long, value_name = "NAME")]
        wallet: Option<String>,
        /// Print the message that the owner's wallet must sign, and send nothing.
        #[arg(long, conflicts_with_all = ["wallet", "signature"])]
        offline: bool,
        /// The wallet's signature of that message: 0x and 130 digits.
        #[arg(long, value_name = "HEX", conflicts_with = "wallet")]
        signature: Option<String>,
    },
}

/// Where to open an account.
#[derive(Debug, Subcommand)]
pub enum OnboardVenue {
    /// Derive the Stark key from the Ethereum key, register or log in, make an API key. This
    /// accepts the venue's terms of service. Interrupted anywhere, the same command finishes.
    #[command(after_help = "Example:\n  parallax keys onboard extended --account-index 1")]
    Extended {
        /// Which account of the wallet; 0 is the main one.
        #[arg(long, value_name = "N", default_value_t = 0,
            value_parser = clap::value_parser!(i8).range(0..=9))]
        account_index: i8,
        /// The Ethereum key that signs, by its name. Default: the only one there is.
        #[arg(long, value_name = "NAME")]
        wallet: Option<String>,
    },
}
