//! The Ethereum side of a transaction: the text that the account's owner signs, and that signature.
//!
//! Changing a key, transfers to strangers and integrators with fees need it. The text is signed as
//! a personal message (EIP-191) by the account's Ethereum key, elsewhere; neither text nor
//! signature is part of the hash.
//! Promises: no allocation; the official texts to the byte.
//!
//! Source: *signer* in the venue's Sources, `types/txtypes/utils.go`; judged by
//! `lighter_changepubkey.json` and the texts in `lighter_tx.json`.

use super::PublicKey;
use super::kinds::Numbers;
use crate::venue::Text;

/// Longest text: an integrator's.
const MESSAGE_BYTES_MAX: usize = 425;
const LAST_LINE: &[u8] = b"\nOnly sign this message for a trusted client!";
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A signature by the account's Ethereum key: r, s, v.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthereumSignature([u8; 65]);

impl EthereumSignature {
    /// From r, s and v, 32, 32 and 1 bytes. `None` for a v other than 27 and 28.
    pub fn from_bytes(bytes: [u8; 65]) -> Option<EthereumSignature> {
        matches!(bytes[64], 27 | 28).then_some(EthereumSignature(bytes))
    }

    /// r, s and v.
    pub fn bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// From the same as `0x` and 130 hexadecimal digits. `None` for anything else.
    pub fn parse_hex(text: &str) -> Option<EthereumSignature> {
        let digits = text.strip_prefix("0x")?.as_bytes();
        if digits.len() != 130 {
            return None;
        }
        let mut bytes = [0; 65];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            *byte = (high? << 4 | low?) as u8;
        }
        EthereumSignature::from_bytes(bytes)
    }

    /// Writes `0x` and the digits.
    pub(super) fn write(&self, text: &mut Text<'_>) {
        text.put(b"0x");
        for byte in self.0 {
            text.put(&hex(byte));
        }
    }
}

/// The text that the account's owner signs. In it every number is `0x` and 16 digits, so that what
/// a wallet shows has one form, and no number can pass for another by its length.
#[derive(Clone, Copy, Debug)]
pub struct EthereumMessage {
    bytes: [u8; MESSAGE_BYTES_MAX],
    len: usize,
}

impl EthereumMessage {
    /// The text.
    pub fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn change_key(numbers: &Numbers, new_key: &PublicKey) -> EthereumMessage {
        let [nonce, _, account, key, ..] = *numbers;
        let mut message = EthereumMessage::new(b"Register Lighter Account\n\npubkey: 0x");
        message.put_hex(new_key);
        message.line(b"\nnonce: ", nonce);
        message.line(b"\naccount index: ", account);
        message.line(b"\napi key index: ", key);
        message.put(LAST_LINE);
        message
    }

    /// For a Transfer. Here the memo counts: it is in the text, though not under the hash.
    pub(super) fn transfer(numbers: &Numbers, chain_id: i64, memo: &[u8; 32]) -> EthereumMessage {
        let [
            nonce,
            _,
            from,
            key,
            to,
            asset,
            from_route,
            to_route,
            amount,
            fee,
            ..,
        ] = *numbers;
        let mut message = EthereumMessage::new(b"Transfer\n");
        message.line(b"\nnonce: ", nonce);
        message.line(b"\nfrom: ", from);
        message.line(b" (route ", from_route);
        message.line(b")\napi key: ", key);
        message.line(b"\nto: ", to);
        message.line(b" (route ", to_route);
        message.line(b")\nasset: ", asset);
        message.line(b"\namount: ", amount);
        message.line(b"\nfee: ", fee);
        message.line(b"\nchainId: ", chain_id);
        message.put(b"\nmemo: ");
        message.put_hex(memo);
        message.put(LAST_LINE);
        message
    }

    /// For an ApproveIntegrator.
    pub(super) fn approve_integrator(numbers: &Numbers, chain_id: i64) -> EthereumMessage {
        let [
            nonce,
            _,
            account,
            key,
            integrator,
            fees @ ..,
            expiry,
            _,
            _,
            _,
            _,
        ] = *numbers;
        let mut message = EthereumMessage::new(b"Approve Integrator\n");
        message.line(b"\nnonce: ", nonce);
        message.line(b"\naccount index: ", account);
        message.line(b"\napi key index: ", key);
        message.line(b"\nintegrator account index: ", integrator);
        message.line(b"\nmax perps taker fee: ", fees[0]);
        message.line(b"\nmax perps maker fee: ", fees[1]);
        message.line(b"\nmax spot taker fee: ", fees[2]);
        message.line(b"\nmax spot maker fee: ", fees[3]);
        message.line(b"\napproval expiry: ", expiry);
        message.line(b"\nchainId: ", chain_id);
        message.put(LAST_LINE);
        message
    }

    fn new(first: &[u8]) -> EthereumMessage {
        let mut message = EthereumMessage {
            bytes: [0; MESSAGE_BYTES_MAX],
            len: 0,
        };
        message.put(first);
        message
    }

    /// A label and a number: `0x` and 16 digits.
    fn line(&mut self, label: &[u8], value: i64) {
        self.put(label);
        self.put(b"0x");
        self.put_hex(&value.to_be_bytes());
    }

    fn put_hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.put(&hex(*byte));
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::transaction::NUMBERS_MAX;

    #[test]
    fn every_text_fits() {
        let numbers = [i64::MAX; NUMBERS_MAX];
        let longest = EthereumMessage::approve_integrator(&numbers, i64::MAX);
        assert_eq!(longest.text().len(), MESSAGE_BYTES_MAX);
        EthereumMessage::transfer(&numbers, i64::MAX, &[0xFF; 32]);
        EthereumMessage::change_key(&numbers, &[0xFF; 40]);
    }

    #[test]
    fn only_whole_signatures_are_read() {
        let text = |v: &str| format!("0x{}{v}", "ab".repeat(64));
        for (text, is_good) in [
            (text("1b"), true),
            (text("1C"), true),
            (text("1d"), false),
            (text("00"), false),
            (text("1"), false),
            (text("1b00"), false),
            (text("1b")[2..].to_string(), false),
            (format!("0x{}", "g".repeat(130)), false),
            (format!("0x{}", "é".repeat(65)), false),
            (String::new(), false),
        ] {
            assert_eq!(
                EthereumSignature::parse_hex(&text).is_some(),
                is_good,
                "{text}"
            );
        }
    }
}
