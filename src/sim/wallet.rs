//! The wallet behind both simulated accounts, made from the run's seed; never a real one.
//!
//! Promises: the same seed gives the same wallet, and the accounts belong to it as they would at
//! the venues: Extended's Stark key derives from it, Lighter's account has its address.
//! Refuses: to be given money. Everybody can make this key.

use crate::keys::ceremony::EthereumKey;
use sha2::{Digest, Sha256};

/// Its private key, `0x` and 64 digits, and its address.
pub struct Wallet {
    /// Private key.
    pub private_key: String,
    /// Address, with its checksum.
    pub address: String,
}

impl Wallet {
    /// The wallet of a seed.
    pub fn from_seed(seed: u64) -> Wallet {
        let key = Wallet::key(seed);
        Wallet {
            private_key: format!("0x{}", key.to_hex().expose()),
            address: key.address().to_string(),
        }
    }

    /// The same, to sign with.
    pub fn key(seed: u64) -> EthereumKey {
        let mut hasher = Sha256::new();
        hasher.update(b"parallax simulated wallet");
        hasher.update(seed.to_be_bytes());
        let digits: String = hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        EthereumKey::parse_hex(&digits)
            .expect("a hash lies at or above the order of the curve once in 2^127")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_wallet_and_other_seeds_others() {
        let [one, same, other] = [1, 1, 2].map(Wallet::from_seed);
        assert_eq!(
            (&one.private_key, &one.address),
            (&same.private_key, &same.address)
        );
        assert_ne!(one.address, other.address);
        assert_eq!((one.private_key.len(), one.address.len()), (66, 42));
    }
}
