//! Auth tokens: a signed `deadline:account:key` that opens the account channels.
//!
//! Promises: a token is wiped on drop and never printed.
//! Refuses: to judge the deadline; the venue takes at most eight hours ahead, by its own clock.
//!
//! Source: *signer* in the venue's Sources; judged by `lighter_auth_tokens.json`.

use super::field::Fp;
use super::{Message, NoRandomness, NonceSource, PrivateKey, poseidon2};
use crate::market::units::write_integer;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Groups of eight bytes in an auth token's text. In practice 10 + 15 + 3 digits and two colons,
/// which are four; six hold the largest numbers there are, 20 + 20 + 3 digits.
const TOKEN_GROUPS: usize = 6;
/// Longest token: its text, a colon, 160 hexadecimal digits.
const TOKEN_BYTES_MAX: usize = 8 * TOKEN_GROUPS + 1 + 160;

/// A token that opens the account channels until its deadline. Prints as `AuthToken(..)`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct AuthToken {
    bytes: [u8; TOKEN_BYTES_MAX],
    len: usize,
}

impl std::fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthToken(..)")
    }
}

impl AuthToken {
    /// Signs `deadline_s:account:key`. `deadline_s` is seconds since the epoch, at most 8 h ahead
    /// (the venue says "invalid deadline" otherwise).
    pub fn sign(
        key: &PrivateKey,
        deadline_s: u64,
        account_index: u64,
        api_key_index: u8,
        source: &mut NonceSource,
    ) -> Result<AuthToken, NoRandomness> {
        let mut token = AuthToken {
            bytes: [0; TOKEN_BYTES_MAX],
            len: 0,
        };
        token.put_integer(deadline_s);
        token.put(b":");
        token.put_integer(account_index);
        token.put(b":");
        token.put_integer(u64::from(api_key_index));
        let signature = key.sign(token_hash(token.text()), source)?;
        token.put(b":");
        for byte in signature {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            token.put(&[
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]);
        }
        Ok(token)
    }

    /// The token's text: goes into `auth` of a subscription, or the `Authorization` header.
    pub fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn put_integer(&mut self, value: u64) {
        self.len += write_integer(value, &mut self.bytes[self.len..]);
    }
}

/// The hash of a token's text: groups of eight bytes, little-endian, the last padded with zeros.
/// Text beyond 48 bytes is not hashed; no token's text is that long.
pub fn token_hash(text: &[u8]) -> Message {
    let mut elements = [Fp::ZERO; TOKEN_GROUPS];
    let mut len = 0;
    for (element, group) in elements.iter_mut().zip(text.chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..group.len()].copy_from_slice(group);
        *element = Fp::new(u64::from_le_bytes(bytes));
        len += 1;
    }
    Message(poseidon2::hash_to_element(&elements[..len]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_token_fits_and_is_not_printed() {
        let key = PrivateKey::parse_hex(&"11".repeat(40)).unwrap();
        let mut source = NonceSource::new();
        let token = AuthToken::sign(&key, u64::MAX, u64::MAX, 255, &mut source).unwrap();
        let text = std::str::from_utf8(token.text()).unwrap();
        assert!(text.starts_with("18446744073709551615:18446744073709551615:255:"));
        assert_eq!(text.len(), 45 + 1 + 160);
        assert_eq!(format!("{token:?}"), "AuthToken(..)");
    }
}
