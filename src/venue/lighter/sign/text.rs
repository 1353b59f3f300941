//! A transaction as text: `tx_info`, compact JSON with the official sequence of keys.
//!
//! Promises: to the byte what the official signer writes; straight into the send buffer, without
//! memory of its own. Names come from the table of kinds with their punctuation, so a field is two
//! copies.
//!
//! Source: *signer* in the venue's Sources; judged by every text of `lighter_tx.json`.

use super::kinds::ExtraKind;
use super::transaction::{Extra, HEAD_LEN, Transaction};
use super::{PublicKey, SIGNATURE_BYTES, Signature};
use crate::venue::Text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Base64 digits of a signature.
const SIGNATURE_TEXT_BYTES: usize = SIGNATURE_BYTES.div_ceil(3) * 4;
/// Base64 digits of a public key.
const PUBLIC_KEY_TEXT_BYTES: usize = size_of::<PublicKey>().div_ceil(3) * 4;

impl Transaction {
    /// Writes `tx_info`: compact JSON, the official key order.
    pub fn write(&self, signature: &Signature, text: &mut Text<'_>) {
        let (head, fields) = self.numbers.split_at(HEAD_LEN);
        text.put(b"{").put(&self.kind.head[2].key.as_bytes()[1..]);
        text.put_integer(head[2] as u64);
        text.put(b",\"ApiKeyIndex\":").put_integer(head[3] as u64);
        for (rule, value) in self.kind.fields.iter().zip(fields) {
            text.put(rule.key.as_bytes()).put_integer(*value as u64);
        }
        self.write_extra(text);
        text.put(b",\"ExpiredAt\":").put_integer(head[1] as u64);
        text.put(b",\"Nonce\":").put_integer(head[0] as u64);
        text.put(b",\"Sig\":\"");
        put_base64::<SIGNATURE_TEXT_BYTES>(signature, text);
        text.put(b"\"");
        if self.kind.has_l1_signature && self.kind.extra != ExtraKind::PublicKey {
            self.write_ethereum_signature(text);
        }
        text.put(b",\"L2TxAttributes\":");
        self.attributes.write(text);
        text.put(b"}");
    }

    fn write_extra(&self, text: &mut Text<'_>) {
        match &self.extra {
            Extra::Nothing => {}
            Extra::PublicKey(key) => {
                text.put(b",\"PubKey\":\"");
                put_base64::<PUBLIC_KEY_TEXT_BYTES>(key, text);
                text.put(b"\"");
                self.write_ethereum_signature(text);
            }
            Extra::Memo(memo) => {
                let mut separator: &[u8] = b",\"Memo\":[";
                for byte in memo {
                    text.put(separator).put_integer(u64::from(*byte));
                    separator = b",";
                }
                text.put(b"]");
            }
            Extra::Orders(orders) => {
                text.put(b",\"Orders\":");
                orders.write(text);
            }
        }
    }

    /// An empty text where it is not needed or not placed yet.
    fn write_ethereum_signature(&self, text: &mut Text<'_>) {
        text.put(b",\"L1Sig\":\"");
        if let Some(signature) = &self.ethereum_signature {
            signature.write(text);
        }
        text.put(b"\"");
    }
}

/// `N` is the length of the base64 text.
fn put_base64<const N: usize>(bytes: &[u8], text: &mut Text<'_>) {
    let mut digits = [0; N];
    let len = STANDARD
        .encode_slice(bytes, &mut digits)
        .expect("N is the length of the text");
    text.put(&digits[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::attributes::Attributes;
    use crate::venue::lighter::sign::transaction::{CancelAll, Envelope};
    use crate::venue::{OutKind, Outbox};

    fn written(transaction: &Transaction) -> String {
        let mut out = Outbox::new(1024, 1);
        assert!(out.message(0, OutKind::Text, |text| {
            transaction.write(&[0; 80], text);
        }));
        String::from_utf8(out.payload(&out.items()[0]).to_vec()).unwrap()
    }

    const ENVELOPE: Envelope = Envelope {
        chain_id: 300,
        account_index: 516,
        api_key_index: 5,
        expired_at_ms: 1_785_432_569_240,
        nonce: 9,
    };

    #[test]
    fn a_cancel_all_reads_as_the_official_signer_writes_it() {
        let transaction = Transaction::cancel_all(ENVELOPE, CancelAll::Market(0))
            .unwrap()
            .with(Attributes::SKIP_NONCE)
            .unwrap();
        let sig = "A".repeat(106) + "A=";
        assert_eq!(
            written(&transaction),
            format!(
                "{{\"AccountIndex\":516,\"ApiKeyIndex\":5,\"TimeInForce\":0,\"Time\":0,\
                 \"ExpiredAt\":1785432569240,\"Nonce\":9,\"Sig\":\"{sig}\",\
                 \"L2TxAttributes\":{{\"4\":1,\"5\":0}}}}"
            )
        );
    }
}
