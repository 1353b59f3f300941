//! Secrets: how they are held, and what shape they must have.
//!
//! Promises: a secret prints as `<secret>` whatever asks it to print, its memory is locked while it
//! is held and wiped when it is dropped, and a fault says what is wrong with a text without
//! repeating any of it.
//! Refuses: copying a secret by accident (no `Clone`), comparing two of them, and reading the
//! environment: where a secret comes from is `config`'s business.

pub mod bootstrap;
pub mod ceremony;
pub mod command;
pub mod entry;
pub mod keystore;
mod locked;
pub mod log;
pub mod onboard;
pub mod onboarding;
pub mod passphrase;
pub mod room;
pub mod shield;
pub mod throwaway;

use locked::Locked;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroize;

/// A secret text, such as an API key. Locked in memory and wiped on drop; shown only by
/// [`Secret::expose`].
pub struct Secret(Locked);

impl Secret {
    /// Takes a text over. What was the caller's `String` is wiped, so nothing is left behind.
    pub fn new(text: String) -> Secret {
        Secret(Locked::take(&mut text.into_bytes()))
    }

    /// A text that is none itself but is read beside secrets: wiped, and not worth a locked page.
    pub fn beside(text: String) -> Secret {
        Secret(Locked::wiped(&mut text.into_bytes()))
    }

    /// The text itself, for the one place that must write it into a request.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(self.0.bytes()).expect("it was a String when it was taken")
    }
}

/// A secret of `N` bytes, such as a private key. Locked in memory, wiped on drop.
pub struct SecretBytes<const N: usize>(Locked);

impl<const N: usize> SecretBytes<N> {
    /// Takes the bytes over; the caller's copy is wiped.
    pub fn take(bytes: &mut [u8; N]) -> SecretBytes<N> {
        SecretBytes(Locked::take(bytes))
    }

    /// The bytes themselves, for the signer that needs them.
    pub fn expose(&self) -> &[u8; N] {
        let bytes = self.0.bytes().as_array();
        bytes.expect("as many bytes were taken as the type says")
    }

    /// As hexadecimal digits without `0x`, still a secret.
    pub fn to_hex(&self) -> Secret {
        let mut text = String::with_capacity(2 * N);
        for byte in self.expose() {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(nibble.into(), 16).expect("a nibble is a digit"));
            }
        }
        Secret::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<const N: usize> fmt::Display for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// What is wrong with the text of a key. Carries lengths only, never a part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// Something other than 0-9, a-f, A-F after the optional `0x`.
    NotHex,
    /// Too short or too long.
    Length {
        /// Hex digits found.
        found: usize,
        /// Hex digits wanted.
        wanted: usize,
    },
    /// All zero: no key.
    Zero,
    /// Not below the order of the curve, so no private key of it.
    AboveOrder,
    /// Characters that no API key has (spaces, quotes, control characters).
    NotPrintable,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyFault::NotHex => f.write_str("has characters that are not hexadecimal digits"),
            KeyFault::Length { found, wanted } => {
                write!(
                    f,
                    "has {found} hexadecimal digits where {wanted} are wanted"
                )
            }
            KeyFault::Zero => f.write_str("is zero"),
            KeyFault::AboveOrder => f.write_str("is too large to be a private key of its curve"),
            KeyFault::NotPrintable => f.write_str("has spaces or characters that do not print"),
        }
    }
}

/// A Stark private key: up to 64 hex digits with or without `0x` (leading zeros may be missing, as
/// the venue's own tools print them), big-endian, between 1 and the order of the Stark curve.
pub fn stark_key(text: &str) -> Result<SecretBytes<32>, KeyFault> {
    scalar(text, &STARK_ORDER)
}

/// An Ethereum private key: 64 hex digits with or without `0x`, big-endian, between 1 and the order
/// of secp256k1.
pub fn ethereum_key(text: &str) -> Result<SecretBytes<32>, KeyFault> {
    let digits = strip(text).len();
    if digits != 64 {
        return Err(KeyFault::Length {
            found: digits,
            wanted: 64,
        });
    }
    scalar(text, &SECP256K1_ORDER)
}

/// A Lighter API private key: exactly 80 hex digits with or without `0x`, the 40 bytes in the order
/// the venue's tools print them (little-endian). The signer checks the scalar's range.
pub fn lighter_key(text: &str) -> Result<SecretBytes<40>, KeyFault> {
    let digits = strip(text);
    if digits.len() != 80 {
        return Err(KeyFault::Length {
            found: digits.len(),
            wanted: 80,
        });
    }
    let mut bytes = [0; 40];
    read_hex(digits, &mut bytes)?;
    let secret = SecretBytes::take(&mut bytes);
    if secret.expose().iter().all(|&byte| byte == 0) {
        return Err(KeyFault::Zero);
    }
    Ok(secret)
}

/// An API key: printable, without spaces, quotes, or commas.
pub fn api_key(text: &str) -> Result<Secret, KeyFault> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b',');
    if text.is_empty() || !text.bytes().all(fits) {
        return Err(KeyFault::NotPrintable);
    }
    Ok(Secret::new(text.to_owned()))
}

/// A short name of a text that nobody keeps secret: four groups of four hexadecimal digits, from
/// its SHA-256. Two texts that a person writes have the same one with a chance of 2^-64.
pub fn fingerprint(text: &str) -> String {
    let hash = Sha256::digest(text);
    let pairs = hash[..8].chunks(2);
    let groups: Vec<String> = pairs.map(ceremony::hex).collect();
    groups.join("-")
}

fn scalar(text: &str, order: &[u8; 32]) -> Result<SecretBytes<32>, KeyFault> {
    let digits = strip(text);
    if digits.is_empty() || digits.len() > 64 {
        return Err(KeyFault::Length {
            found: digits.len(),
            wanted: 64,
        });
    }
    let mut bytes = [0; 32];
    read_hex(digits, &mut bytes)?;
    let secret = SecretBytes::take(&mut bytes);
    if secret.expose().iter().all(|&byte| byte == 0) {
        return Err(KeyFault::Zero);
    }
    if secret.expose() >= order {
        return Err(KeyFault::AboveOrder);
    }
    Ok(secret)
}

fn strip(text: &str) -> &str {
    text.strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text)
}

/// Fills `out` from its end, so that missing leading zeros do no harm. `digits` fit into `out`.
fn read_hex(digits: &str, out: &mut [u8]) -> Result<(), KeyFault> {
    for (at, byte) in digits.bytes().rev().enumerate() {
        let Some(nibble) = (byte as char).to_digit(16) else {
            out.zeroize();
            return Err(KeyFault::NotHex);
        };
        let slot = out.len() - 1 - at / 2;
        out[slot] |= (nibble as u8) << (4 * (at % 2));
    }
    Ok(())
}

/// What every secret prints as.
const HIDDEN: &str = "<secret>";

/// Order of the Stark curve, big-endian (StarkWare's STARK curve parameters, `EC_ORDER`).
const STARK_ORDER: [u8; 32] = [
    0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xb7, 0x81, 0x12, 0x6d, 0xca, 0xe7, 0xb2, 0x32, 0x1e, 0x66, 0xa2, 0x41, 0xad, 0xc6, 0x4d, 0x2f,
];

/// Order of secp256k1, big-endian (SEC 2, version 2.0, section 2.4.1).
const SECP256K1_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints() {
        let secret = Secret::new("hunter2".to_owned());
        let key = stark_key("0x5a5a").unwrap();
        for text in [
            format!("{secret}"),
            format!("{secret:?}"),
            format!("{key}"),
            format!("{key:?}"),
            format!("{:?}", Some(&secret)),
        ] {
            assert!(text.contains("<secret>"), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("90"), "{text}");
        }
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn stark_keys() {
        // The key of the official SDK's tests, printed without its leading zero.
        let text = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";
        let key = stark_key(text).unwrap();
        assert_eq!(key.expose()[..3], [0x07, 0xa7, 0xff]);
        assert_eq!(key.expose()[31], 0x86);
        assert_eq!(stark_key("1").unwrap().expose()[31], 1);
        let order = "0x800000000000010ffffffffffffffffb781126dcae7b2321e66a241adc64d2f";
        let cases = [
            (
                "",
                KeyFault::Length {
                    found: 0,
                    wanted: 64,
                },
            ),
            (
                "0x",
                KeyFault::Length {
                    found: 0,
                    wanted: 64,
                },
            ),
            ("0x0", KeyFault::Zero),
            ("0xzz", KeyFault::NotHex),
            ("12 34", KeyFault::NotHex),
            (order, KeyFault::AboveOrder),
        ];
        for (text, fault) in cases {
            assert_eq!(stark_key(text).err(), Some(fault), "{text}");
        }
        let below = order.replace("4d2f", "4d2e");
        assert!(stark_key(&below).is_ok());
        let long = "1".repeat(65);
        assert_eq!(
            stark_key(&long).err(),
            Some(KeyFault::Length {
                found: 65,
                wanted: 64
            })
        );
    }

    #[test]
    fn ethereum_keys() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        assert_eq!(ethereum_key(order).err(), Some(KeyFault::AboveOrder));
        assert!(ethereum_key(&order.replace("4141", "4140")).is_ok());
        assert_eq!(
            ethereum_key("0x12").err(),
            Some(KeyFault::Length {
                found: 2,
                wanted: 64
            })
        );
    }

    #[test]
    fn lighter_keys_keep_their_byte_order() {
        let text = format!("01{}ff", "00".repeat(38));
        let key = lighter_key(&text).unwrap();
        assert_eq!((key.expose()[0], key.expose()[39]), (1, 0xff));
        assert_eq!(lighter_key(&"0".repeat(80)).err(), Some(KeyFault::Zero));
        assert_eq!(lighter_key(&"g".repeat(80)).err(), Some(KeyFault::NotHex));
        assert_eq!(
            lighter_key("ab").err(),
            Some(KeyFault::Length {
                found: 2,
                wanted: 80
            })
        );
    }

    #[test]
    fn api_keys() {
        assert!(api_key("0123456789abcdef").is_ok());
        for text in ["", "a b", "\"quoted\"", "line\n", "ключ"] {
            assert_eq!(api_key(text).err(), Some(KeyFault::NotPrintable), "{text}");
        }
    }

    #[test]
    fn taking_wipes_the_source() {
        let mut bytes = [7; 4];
        let secret = SecretBytes::take(&mut bytes);
        assert_eq!(bytes, [0; 4]);
        assert_eq!(secret.expose(), &[7; 4]);
    }
}
