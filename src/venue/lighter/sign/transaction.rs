//! Transactions and auth tokens: which numbers are hashed, in which order, and the JSON around
//! them.
//!
//! One list of named fields gives both the hash elements and the `tx_info` text, so the two cannot
//! disagree. Types 14, 15 and 16 have constructors; other types whose fields are plain numbers can
//! be put together with `Transaction::new` and `field` or `wide_field`.
//! Refuses: types with text or nested fields (8, 12, 28, 45): not written yet.
//!
//! Source: *signer* in the venue's Sources; judged by the official signer's own output.

use super::field::{Fp, Fp5};
use super::{Message, NoRandomness, NonceSource, PrivateKey, Signature, poseidon2};
use crate::market::units::write_integer;
use crate::venue::Text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Most fields before `ExpiredAt` (CreateOrder has 12).
const FIELDS_MAX: usize = 12;
/// Most attributes one transaction may carry.
const ATTRIBUTES_MAX: usize = 4;
/// Attribute 4: the nonce may skip values.
const SKIP_NONCE: u8 = 4;
/// Attribute 5: cancel-all for one market only.
const CANCEL_ALL_MARKET: u8 = 5;
/// Base64 digits of a signature.
const SIGNATURE_TEXT_BYTES: usize = 108;
/// Groups of eight bytes in an auth token's text: 10 + 15 + 3 digits and two colons fit in four.
const TOKEN_GROUPS: usize = 5;

/// One number of a transaction.
#[derive(Clone, Copy, Debug, Default)]
struct Field {
    name: &'static str,
    value: u64,
    /// Hashed as two elements, low 32 bits first.
    is_wide: bool,
}

/// Who signs, and the two numbers every transaction ends with.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    /// Chain id of the network; part of the hash only.
    pub chain_id: u64,
    /// Account index, below 2^48 - 1.
    pub account_index: u64,
    /// API key slot, 0..=254.
    pub api_key_index: u8,
    /// Milliseconds since the epoch after which the transaction is dropped.
    pub expired_at_ms: u64,
    /// The key's next nonce.
    pub nonce: u64,
}

/// Fields of a CreateOrder besides the envelope, in the venue's own integers.
#[derive(Clone, Copy, Debug, Default)]
pub struct CreateOrder {
    /// Market id; 0 is a real market.
    pub market_index: u64,
    /// Client order index, 1..2^48-1; 0: none.
    pub client_order_index: u64,
    /// Size in units of 10^-size_decimals.
    pub base_amount: u64,
    /// Price in units of 10^-price_decimals.
    pub price: u64,
    /// Sells.
    pub is_ask: bool,
    /// 0 limit, 1 market, 2..=6 triggered kinds.
    pub order_type: u8,
    /// 0 immediate-or-cancel, 1 good-till-time, 2 post-only.
    pub time_in_force: u8,
    /// Only reduces.
    pub reduce_only: bool,
    /// 0: none.
    pub trigger_price: u64,
    /// Milliseconds since the epoch; 0 for immediate-or-cancel, which refuses anything else.
    pub order_expiry_ms: u64,
}

/// A transaction ready to be hashed, signed and written.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    tx_type: u8,
    envelope: Envelope,
    fields: [Field; FIELDS_MAX],
    fields_len: usize,
    attributes: [(u8, u64); ATTRIBUTES_MAX],
    attributes_len: usize,
}

impl Transaction {
    /// A transaction of any type, with its account and key fields. `account_field` is
    /// `AccountIndex`, or `FromAccountIndex` in type 13.
    pub fn new(tx_type: u8, envelope: Envelope, account_field: &'static str) -> Transaction {
        Transaction {
            tx_type,
            envelope,
            fields: [Field::default(); FIELDS_MAX],
            fields_len: 0,
            attributes: [(0, 0); ATTRIBUTES_MAX],
            attributes_len: 0,
        }
        .field(account_field, envelope.account_index)
        .field("ApiKeyIndex", u64::from(envelope.api_key_index))
    }

    /// Type 14.
    pub fn create_order(envelope: Envelope, order: &CreateOrder) -> Transaction {
        Transaction::new(14, envelope, "AccountIndex")
            .field("MarketIndex", order.market_index)
            .field("ClientOrderIndex", order.client_order_index)
            .field("BaseAmount", order.base_amount)
            .field("Price", order.price)
            .field("IsAsk", u64::from(order.is_ask))
            .field("Type", u64::from(order.order_type))
            .field("TimeInForce", u64::from(order.time_in_force))
            .field("ReduceOnly", u64::from(order.reduce_only))
            .field("TriggerPrice", order.trigger_price)
            .field("OrderExpiry", order.order_expiry_ms)
    }

    /// Type 15. `index` is an order index or a client order index.
    pub fn cancel_order(envelope: Envelope, market_index: u64, index: u64) -> Transaction {
        Transaction::new(15, envelope, "AccountIndex")
            .field("MarketIndex", market_index)
            .field("Index", index)
    }

    /// Type 16. `time_in_force`: 0 now (`time_ms` 0), 1 at `time_ms`, 2 drop the schedule
    /// (`time_ms` 0).
    pub fn cancel_all(envelope: Envelope, time_in_force: u8, time_ms: u64) -> Transaction {
        Transaction::new(16, envelope, "AccountIndex")
            .field("TimeInForce", u64::from(time_in_force))
            .field("Time", time_ms)
    }

    /// Adds a field. At most 12 in all; more are a fault of the caller.
    pub fn field(mut self, name: &'static str, value: u64) -> Transaction {
        self.fields[self.fields_len] = Field {
            name,
            value,
            is_wide: false,
        };
        self.fields_len += 1;
        self
    }

    /// Adds a field hashed as two elements (the amounts of types 13 and 29).
    pub fn wide_field(self, name: &'static str, value: u64) -> Transaction {
        let mut wider = self.field(name, value);
        wider.fields[self.fields_len].is_wide = true;
        wider
    }

    /// Attribute 4: accept any nonce from the next one up.
    pub fn skip_nonce(self) -> Transaction {
        self.attribute(SKIP_NONCE, 1)
    }

    /// Attribute 5: an immediate cancel-all touches one market only.
    pub fn only_market(self, market_index: u64) -> Transaction {
        self.attribute(CANCEL_ALL_MARKET, market_index)
    }

    /// Adds an attribute; ids must come ascending, nil values must be left out, at most four.
    pub fn attribute(mut self, id: u8, value: u64) -> Transaction {
        self.attributes[self.attributes_len] = (id, value);
        self.attributes_len += 1;
        self
    }

    /// The nonce it spends.
    pub fn nonce(&self) -> u64 {
        self.envelope.nonce
    }

    /// The transaction hash: Poseidon2 over chain id, type, nonce, expiry and the fields; with
    /// attributes set, over that hash and the hash of the four (id, value) pairs.
    pub fn hash(&self) -> Message {
        let mut elements = [Fp::ZERO; 4 + 2 * FIELDS_MAX];
        let head = [
            self.envelope.chain_id,
            u64::from(self.tx_type),
            self.envelope.nonce,
            self.envelope.expired_at_ms,
        ];
        let mut len = head.len();
        for (element, value) in elements.iter_mut().zip(head) {
            *element = Fp::new(value);
        }
        for field in &self.fields[..self.fields_len] {
            if field.is_wide {
                elements[len] = Fp::new(field.value & 0xFFFF_FFFF);
                elements[len + 1] = Fp::new(field.value >> 32);
                len += 2;
            } else {
                elements[len] = Fp::new(field.value);
                len += 1;
            }
        }
        let body = poseidon2::hash_to_element(&elements[..len]);
        if self.attributes_len == 0 {
            return Message(body);
        }
        Message(self.with_attributes(body))
    }

    fn with_attributes(&self, body: Fp5) -> Fp5 {
        let mut pairs = [Fp::ZERO; 2 * ATTRIBUTES_MAX];
        for (pair, (id, value)) in pairs.as_chunks_mut().0.iter_mut().zip(self.attributes) {
            *pair = [Fp::new(u64::from(id)), Fp::new(value)];
        }
        let mut both = [Fp::ZERO; 10];
        both[..5].copy_from_slice(&body.0);
        both[5..].copy_from_slice(&poseidon2::hash_to_element(&pairs).0);
        poseidon2::hash_to_element(&both)
    }

    /// Writes `tx_info`: compact JSON, the official key order.
    pub fn write(&self, signature: &Signature, text: &mut Text<'_>) {
        let mut separator: &[u8] = b"{\"";
        for field in &self.fields[..self.fields_len] {
            text.put(separator).put(field.name.as_bytes()).put(b"\":");
            text.put_integer(field.value);
            separator = b",\"";
        }
        text.put(b",\"ExpiredAt\":")
            .put_integer(self.envelope.expired_at_ms);
        text.put(b",\"Nonce\":").put_integer(self.envelope.nonce);
        let mut base64 = [0; SIGNATURE_TEXT_BYTES];
        let len = STANDARD
            .encode_slice(signature, &mut base64)
            .expect("80 bytes are 108 base64 digits");
        text.put(b",\"Sig\":\"").put(&base64[..len]);
        text.put(b"\",\"L2TxAttributes\":");
        if self.attributes_len == 0 {
            text.put(b"null}");
            return;
        }
        let mut separator: &[u8] = b"{\"";
        for (id, value) in &self.attributes[..self.attributes_len] {
            text.put(separator).put_integer(u64::from(*id)).put(b"\":");
            text.put_integer(*value);
            separator = b",\"";
        }
        text.put(b"}}");
    }
}

/// Longest token: 30 bytes of text, a colon, 160 hexadecimal digits; with room to spare.
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
        // Bounded values: a deadline of 10 digits, an account below 2^48.
        token.put_integer(deadline_s % 10_000_000_000);
        token.put(b":");
        token.put_integer(account_index & ((1 << 48) - 1));
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
/// Text beyond 40 bytes is not hashed; no token's text is that long.
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
        let transaction = Transaction::cancel_all(ENVELOPE, 0, 0)
            .skip_nonce()
            .only_market(0);
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

    #[test]
    fn every_number_is_in_the_hash() {
        let hash = Transaction::cancel_order(ENVELOPE, 0, 7).hash();
        let other = |change: fn(&mut Envelope)| {
            let mut envelope = ENVELOPE;
            change(&mut envelope);
            Transaction::cancel_order(envelope, 0, 7).hash()
        };
        assert_ne!(other(|e| e.chain_id = 304), hash);
        assert_ne!(other(|e| e.nonce += 1), hash);
        assert_ne!(other(|e| e.expired_at_ms += 1), hash);
        assert_ne!(other(|e| e.account_index += 1), hash);
        assert_ne!(Transaction::cancel_order(ENVELOPE, 1, 7).hash(), hash);
        assert_ne!(
            Transaction::cancel_order(ENVELOPE, 0, 7)
                .skip_nonce()
                .hash(),
            hash
        );
    }

    #[test]
    fn the_longest_token_fits_and_is_not_printed() {
        let key = PrivateKey::parse_hex(&"11".repeat(40)).unwrap();
        let mut source = NonceSource::new();
        let token = AuthToken::sign(&key, u64::MAX, u64::MAX, 255, &mut source).unwrap();
        assert!(token.text().len() <= TOKEN_BYTES_MAX);
        assert_eq!(format!("{token:?}"), "AuthToken(..)");
    }
}
