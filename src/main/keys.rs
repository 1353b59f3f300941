//! `parallax keys`: from flags to what is done.

use crate::{Done, Failure};
use parallax::cli::{BootstrapVenue, ImportWhat, Keys, KeysCommand, OnboardVenue, Unlocking};
use parallax::config::Ceremony;
use parallax::keys::bootstrap::{self, Bootstrap, Owner};
use parallax::keys::command::{self, Import};
use parallax::keys::onboard;
use parallax::keys::passphrase::Unlock;
use parallax::keys::room::{KeysError, Room, Said};
use parallax::keys::shield;
use std::io::Write;

/// Before the first key is read: no core dumps, and memory that can be locked.
pub fn shielded(unlocking: &Unlocking) -> Result<Unlock, Failure> {
    if let Some(note) = shield::raise()? {
        eprintln!("parallax: {note}");
    }
    Ok(unlocking.unlock())
}

pub fn keys(flags: &Keys) -> Done {
    let unlock = shielded(&flags.unlocking)?;
    let settings = Ceremony::from_env(flags.env.as_deref());
    let settings = settings.map_err(|faults| Failure::of(&faults, true))?;
    let room = Room::new(settings, flags.keystore.clone(), unlock, flags.yes)?;
    let said = key_command(&room, &flags.command)?;
    if flags.json {
        eprint!("{}", said.text);
        writeln!(std::io::stdout().lock(), "{}", said.json)?;
    } else {
        write!(std::io::stdout().lock(), "{}", said.text)?;
    }
    Ok(true)
}

fn key_command(room: &Room, command: &KeysCommand) -> Result<Said, KeysError> {
    match command {
        KeysCommand::Init { kdf_mib } => command::init(room, *kdf_mib),
        KeysCommand::Import {
            what,
            name,
            secret_fd,
        } => {
            let what = match *what {
                ImportWhat::Ethereum => Import::Ethereum,
                ImportWhat::Extended { vault } => Import::Extended { vault },
                ImportWhat::Lighter { account, slot } => Import::Lighter { account, slot },
            };
            command::import(room, &what, name.as_deref(), *secret_fd)
        }
        KeysCommand::List => command::list(room),
        KeysCommand::ExportPublic { name } => command::export_public(room, name.as_deref()),
        KeysCommand::Remove { name } => command::remove(room, name),
        KeysCommand::Rotate {
            what,
            new_passphrase_fd,
            ..
        } if what == "passphrase" => {
            let new = Unlock {
                fd: *new_passphrase_fd,
                ..Unlock::default()
            };
            command::rotate_passphrase(room, &new)
        }
        KeysCommand::Rotate { what, wallet, .. } => {
            command::rotate_key(room, what, wallet.as_deref())
        }
        KeysCommand::Bootstrap {
            venue:
                BootstrapVenue::Lighter {
                    account,
                    slot,
                    wallet,
                    offline,
                    signature,
                },
        } => {
            let what = Bootstrap {
                account: *account,
                slot: *slot,
                owner: match (offline, signature) {
                    (true, _) => Owner::Elsewhere,
                    (false, Some(signature)) => Owner::Signed(signature.clone()),
                    (false, None) => Owner::Key(wallet.clone()),
                },
            };
            bootstrap::bootstrap(room, &what)
        }
        KeysCommand::Onboard {
            venue:
                OnboardVenue::Extended {
                    account_index,
                    wallet,
                },
        } => onboard::onboard(room, *account_index, wallet.as_deref()),
    }
}
