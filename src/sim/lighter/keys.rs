//! The simulated account's identity: its index, its API keys, its owner.
//!
//! Promises: the same seed gives the same keys; a key never appears in `Debug`. These keys are for
//! the simulated venue only and must never be given money.

use super::sign;
use crate::sim::wallet::Wallet;
use sha2::{Digest, Sha256};

/// One API key slot. Slots 0 to 3 belong to the venue's own front ends, so ours start at 4.
#[derive(Clone)]
pub struct ApiKey {
    /// Slot, 4 to 254.
    pub index: u8,
    /// 80 hex digits, little endian.
    pub private_key_hex: String,
    /// 80 hex digits, little endian.
    pub public_key_hex: String,
}

/// Everything a client needs to trade on the simulated venue.
#[derive(Clone)]
pub struct Credentials {
    /// The account; a master account, below 2^47.
    pub account_index: u64,
    /// At least four keys.
    pub keys: Vec<ApiKey>,
    /// Chain id inside every transaction hash.
    pub chain_id: u64,
    /// The owner's Ethereum key, `0x` and 64 hex digits.
    pub l1_private_key: String,
    /// The owner's address, that key's own.
    pub l1_address: String,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}, {})", self.index, self.public_key_hex)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("account_index", &self.account_index)
            .field("keys", &self.keys)
            .field("chain_id", &self.chain_id)
            .finish_non_exhaustive()
    }
}

/// The official library assumes mainnet's chain id for a host it does not know.
const CHAIN_ID: u64 = 304;

/// The account and keys of `seed`.
pub fn credentials(seed: u64) -> Credentials {
    let wallet = Wallet::from_seed(seed);
    Credentials {
        account_index: 71_001 + seed % 1_000,
        keys: (4..=7).map(|index| api_key(seed, index)).collect(),
        chain_id: CHAIN_ID,
        l1_private_key: wallet.private_key,
        l1_address: wallet.address,
    }
}

fn api_key(seed: u64, index: u8) -> ApiKey {
    let digest = |part: u8| {
        let mut hasher = Sha256::new();
        hasher.update(b"simulated lighter api key");
        hasher.update(seed.to_le_bytes());
        hasher.update([index, part]);
        hasher.finalize()
    };
    let mut private_key = [0; 40];
    private_key[..32].copy_from_slice(&digest(0));
    private_key[32..].copy_from_slice(&digest(1)[..8]);
    // The group order has 319 bits: clearing the two highest keeps the scalar below it.
    private_key[39] &= 0x3f;
    let public_key = sign::public_key(&private_key).expect("forty bytes always are a scalar");
    ApiKey {
        index,
        private_key_hex: sign::hex(&private_key),
        public_key_hex: sign::hex(&public_key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_keys_and_other_seeds_others() {
        let one = credentials(1);
        assert_eq!(one.keys.len(), 4);
        assert_eq!(one.keys[0].index, 4);
        assert_eq!(one.keys[0].private_key_hex.len(), 80);
        assert_eq!(
            one.keys[2].public_key_hex,
            credentials(1).keys[2].public_key_hex
        );
        assert_ne!(
            one.keys[0].public_key_hex,
            credentials(2).keys[0].public_key_hex
        );
        assert_ne!(one.keys[0].public_key_hex, one.keys[1].public_key_hex);
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        let one = credentials(1);
        let text = format!("{one:?}");
        assert!(!text.contains(&one.keys[0].private_key_hex));
        assert!(!text.contains(&one.l1_private_key));
    }
}
