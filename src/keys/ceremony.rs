//! Signatures of an Ethereum key, which owns the accounts on both venues: Extended's onboarding,
//! Lighter's change of an API key.
//!
//! Promises: deterministic signatures (RFC 6979, s in the lower half), so that a message signed
//! again gives the same bytes; the key prints redacted and is wiped on drop, and so is the copy
//! lent to the library. (It also blinds its tables with a mix of key and digest, which stays on
//! its stack.)
//! Refuses: keys that are no 32 bytes in hexadecimal, zero, or at or above the order of secp256k1.
//!
//! Sources: SEC 1 and SEC 2, EIP-55 (address text), EIP-191 (personal messages), Ethereum's yellow
//! paper, appendix F (address, v). Vectors: `tests/data/extended/extended_onboarding.json`,
//! `tests/data/lighter/lighter_changepubkey.json`.

use super::{KeyFault, Secret, SecretBytes, ethereum_key};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SecretKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha3::{Digest, Keccak256};
use std::fmt;

/// r, s and v: 32, 32 and 1 bytes, big endian; v is 27 or 28.
pub type EthereumSignature = [u8; 65];

/// What v starts from: 27 stands for an even y of the nonce's point, 28 for an odd one.
const V_EVEN: u8 = 27;

/// The address of an Ethereum key. Prints in mixed case, whose pattern is a checksum (EIP-55).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// From `0x` and 40 hexadecimal digits; whether capitals are right is not asked.
    pub fn parse(text: &str) -> Option<Address> {
        unhex(text.strip_prefix("0x")?).map(Address)
    }

    /// The last 20 bytes of the hash of both coordinates.
    fn of(key: &PublicKey) -> Address {
        // The first byte only says that the point is not compressed.
        let hash = Keccak256::digest(&key.serialize_uncompressed()[1..]);
        Address(std::array::from_fn(|at| hash[12 + at]))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex(&self.0);
        let hash = Keccak256::digest(&digits);
        f.write_str("0x")?;
        for (at, digit) in digits.chars().enumerate() {
            let nibble = (hash[at / 2] >> (4 * (1 - at % 2))) & 15;
            let is_upper = nibble >= 8;
            write!(
                f,
                "{}",
                if is_upper {
                    digit.to_ascii_uppercase()
                } else {
                    digit
                }
            )?;
        }
        Ok(())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let text = String::deserialize(deserializer)?;
        Address::parse(&text).ok_or_else(|| D::Error::custom("no Ethereum address"))
    }
}

/// An Ethereum private key and its address.
pub struct EthereumKey {
    private: SecretBytes<32>,
    address: Address,
}

impl fmt::Debug for EthereumKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EthereumKey(address {}, private redacted)", self.address)
    }
}

impl EthereumKey {
    /// From 64 hexadecimal digits, with or without `0x`.
    pub fn parse_hex(text: &str) -> Result<EthereumKey, KeyFault> {
        let private = ethereum_key(text)?;
        let address = with_secret(&private, |secret| Address::of(&secret.public_key()));
        Ok(EthereumKey { private, address })
    }

    /// The key itself, as hexadecimal digits.
    pub fn to_hex(&self) -> Secret {
        self.private.to_hex()
    }

    /// Its address.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs 32 bytes as they are. They must be a hash that nobody else could have chosen, such as
    /// an EIP-712 digest: whoever chooses them freely can have a transaction signed.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> EthereumSignature {
        let message = Message::from_digest(*digest);
        let made = with_secret(&self.private, |secret| {
            RecoverableSignature::sign_ecdsa_recoverable(message, secret)
        });
        let (parity, compact) = made.serialize_compact();
        let mut signature = [0; 65];
        signature[..64].copy_from_slice(&compact);
        // 2 and 3 stand for an x at or above the group order, which is one point in 2^127.
        signature[64] = V_EVEN + parity.to_u8();
        signature
    }

    /// Signs a text as wallets do: EIP-191, "personal" messages.
    pub fn sign_personal(&self, text: &str) -> EthereumSignature {
        self.sign_digest(&personal_digest(text))
    }
}

/// Hash of a text with the prefix that keeps it from being a transaction (EIP-191). The length
/// counts bytes.
pub fn personal_digest(text: &str) -> [u8; 32] {
    Keccak256::new()
        .chain_update("\x19Ethereum Signed Message:\n")
        .chain_update(text.len().to_string())
        .chain_update(text)
        .finalize()
        .into()
}

/// Who signed this digest; `None` when nobody can have.
pub fn recover(digest: &[u8; 32], signature: &EthereumSignature) -> Option<Address> {
    let parity = match signature[64] {
        v @ V_EVEN..=28 => RecoveryId::from_u8_masked(v - V_EVEN),
        _ => return None,
    };
    let signature = RecoverableSignature::from_compact(&signature[..64], parity).ok()?;
    let key = signature.recover(Message::from_digest(*digest)).ok()?;
    Some(Address::of(&key))
}

/// Keccak-256, Ethereum's hash of transactions and of function names.
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// Lower-case hexadecimal digits, without `0x`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes from hexadecimal digits, two each and no more.
pub fn unhex<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != LEN || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; LEN];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? * 16 + digit(1)?) as u8;
    }
    Some(bytes)
}

/// Lends the key to the library and wipes the library's copy afterwards.
fn with_secret<T>(private: &SecretBytes<32>, run: impl FnOnce(&SecretKey) -> T) -> T {
    let mut secret = SecretKey::from_secret_bytes(*private.expose())
        .expect("the range was checked when the key was parsed");
    let answer = run(&secret);
    secret.non_secure_erase();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

    fn key() -> EthereumKey {
        EthereumKey::parse_hex(&"4c".repeat(32)).unwrap()
    }

    /// The examples of EIP-55, all four patterns.
    #[test]
    fn addresses_carry_their_checksum() {
        for text in [
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        ] {
            let read = Address::parse(text).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(Address::parse(&text.to_lowercase()), Some(read));
            let written = serde_json::to_string(&read).unwrap();
            assert_eq!(written, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Address>(&written).unwrap(), read);
        }
    }

    #[test]
    fn what_is_no_address() {
        let text = "0xd8da6bf26964af9d7eed9e03e53415d37aa96045";
        for bad in [
            "",
            "0x",
            &text[2..],
            &text[..41],
            "0xé8da6bf26964af9d7eed9e03e53415d37aa960",
        ] {
            assert_eq!(Address::parse(bad), None, "{bad}");
            assert!(serde_json::from_str::<Address>(&format!("\"{bad}\"")).is_err());
        }
    }

    /// The address of the private key 1, known everywhere.
    #[test]
    fn the_first_key_of_all() {
        let key = EthereumKey::parse_hex(&format!("0x{:064x}", 1)).unwrap();
        let text = key.address().to_string();
        assert_eq!(text, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    }

    #[test]
    fn bad_keys_are_refused_by_name() {
        let length = |found| KeyFault::Length { found, wanted: 64 };
        let above = ORDER.replace("4141", "4142");
        let cases = [
            ("", length(0)),
            ("0x", length(0)),
            ("0x1", length(1)),
            (&"1".repeat(63), length(63)),
            (&"1".repeat(65), length(65)),
            (&"0".repeat(64), KeyFault::Zero),
            (&format!("0x{}", "0".repeat(64)), KeyFault::Zero),
            (&"g".repeat(64), KeyFault::NotHex),
            (&format!(" {}", "1".repeat(63)), KeyFault::NotHex),
            (ORDER, KeyFault::AboveOrder),
            (&above, KeyFault::AboveOrder),
            (&"f".repeat(64), KeyFault::AboveOrder),
        ];
        for (text, fault) in cases {
            assert_eq!(EthereumKey::parse_hex(text).err(), Some(fault), "{text}");
        }
        assert!(EthereumKey::parse_hex(&ORDER.replace("4141", "4140")).is_ok());
    }

    #[test]
    fn a_key_is_never_printed() {
        let text = format!("{:?}", key());
        assert!(text.contains("redacted"), "{text}");
        assert!(!text.contains("4c4c") && !text.contains("76, 76"), "{text}");
    }

    #[test]
    fn a_signature_that_nobody_made_names_nobody() {
        let mut signature = key().sign_digest(&[7; 32]);
        for v in [0, 1, 26, 29, 255] {
            signature[64] = v;
            assert_eq!(recover(&[7; 32], &signature), None, "{v}");
        }
        let mut zero = [0; 65];
        zero[64] = V_EVEN;
        assert_eq!(recover(&[7; 32], &zero), None);
    }

    #[test]
    fn the_length_in_the_prefix_counts_bytes() {
        let expected = Keccak256::digest("\x19Ethereum Signed Message:\n2é".as_bytes());
        assert_eq!(personal_digest("é"), <[u8; 32]>::from(expected));
    }

    proptest! {
        #[test]
        fn signatures_recover_to_their_key_and_to_no_other_message(
            digest in any::<[u8; 32]>(),
            bit in 0..256_usize,
        ) {
            let key = key();
            let signature = key.sign_digest(&digest);
            prop_assert_eq!(signature, key.sign_digest(&digest));
            prop_assert_eq!(recover(&digest, &signature), Some(key.address()));
            // s in the lower half of the order.
            prop_assert!(signature[32] < 0x80);
            let mut bent = digest;
            bent[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(recover(&bent, &signature), Some(key.address()));
            prop_assert_ne!(key.sign_digest(&bent), signature);
        }
    }
}
