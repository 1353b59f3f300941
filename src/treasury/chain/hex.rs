//! Numbers and bytes as a node writes them (JSON-RPC), and as they are written down.
//!
//! Source: Ethereum's execution API specification, *Quantities* and *Data*.

use crate::keys::ceremony::hex;
use serde_json::Value;

/// A quantity: `0x` and digits.
pub fn quantity(value: &Value) -> Option<u128> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_plain.then(|| u128::from_str_radix(digits, 16).ok())?
}

/// The same, of at most 64 bits.
pub fn small(value: &Value) -> Option<u64> {
    quantity(value)?.try_into().ok()
}

/// Bytes: `0x` and two digits for each.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("0x")?.as_bytes();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let pairs = text.chunks(2).map(|pair| match *pair {
        [high, low] => Some((digit(high)? * 16 + digit(low)?) as u8),
        _ => None,
    });
    pairs.collect()
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    format!("0x{}", hex(bytes))
}

/// 32 bytes, written down as text.
pub mod hex32 {
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        super::raw::serialize(bytes, serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let bytes = super::raw::deserialize(deserializer)?;
        bytes
            .try_into()
            .map_err(|_| D::Error::custom("not 32 bytes"))
    }
}

/// Bytes, written down as text.
pub mod raw {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::bytes(&text).ok_or_else(|| D::Error::custom("not bytes"))
    }
}

/// Amounts, written down as decimal digits: they may be larger than a number of JSON.
pub mod digits {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(amount: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(amount)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let amount = is_plain.then(|| text.parse().ok()).flatten();
        amount.ok_or_else(|| D::Error::custom("no amount"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities() {
        for (value, wanted) in [
            (json!("0x0"), Some(0)),
            (json!("0x1f"), Some(31)),
            (json!("0xffffffffffffffffffffffffffffffff"), Some(u128::MAX)),
            (json!("0x100000000000000000000000000000000"), None),
            (json!("0x"), None),
            (json!("0x+1"), None),
            (json!("1f"), None),
            (json!(31), None),
            (json!(null), None),
        ] {
            assert_eq!(quantity(&value), wanted, "{value}");
        }
        assert_eq!(small(&json!("0x10000000000000000")), None);
    }

    #[test]
    fn bytes_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&text(&all)), Some(all));
        assert_eq!(bytes("0x"), Some(vec![]));
        for bad in ["", "00", "0x0", "0x0g", "0x 0", "0xé"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
