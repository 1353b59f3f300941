//! Transactions: checked numbers, and their hash.
//!
//! Hot: orders and cancels are made here; the other types in `cold`, the text in `text`.
//! Promises: a `Transaction` that exists is in range, so what is signed is what the official signer
//! would have signed; hash and text come from one table (`kinds`); neither touches the heap.
//! Refuses: numbers out of range and combinations the official signer refuses, each under its
//! field's name.
//!
//! Source: *signer* in the venue's Sources; judged by the official signer's own output.

use super::attributes::Attributes;
use super::checks::{Fault, Rule, forbidden, rule, signed};
use super::ethereum::{EthereumMessage, EthereumSignature};
use super::field::Fp;
use super::fields::is_market;
use super::group::Orders;
use super::kinds::{CANCEL_ALL_ORDERS, CANCEL_ORDER, CREATE_ORDER, ExtraKind, Kind, Numbers};
use super::order::CreateOrder;
use super::{Message, PublicKey, poseidon2};

/// Numbers every transaction begins with: nonce, expiry, account, key.
pub const HEAD_LEN: usize = 4;
/// Most numbers of a transaction (CreateOrder).
pub const NUMBERS_MAX: usize = HEAD_LEN + 10;
/// Most elements under one hash (CreateOrder: chain, type and 14 numbers).
const ELEMENTS_MAX: usize = 2 + NUMBERS_MAX;
/// The one number of the hash that no text shows.
const CHAIN_ID: Rule = rule!("ChainId", 0, (1 << 32) - 1, "the network's number");

// The essay: what could be hashed ahead of an order, and is not.
//
// A create-order hash absorbs 16 elements in two blocks: chain, type, nonce, expiry, account, key,
// market and client order index; then size to expiry. Each block costs a permutation, and so do the
// two of the signature's challenge: four in all.
//
// The constant parts. Chain, type, account and key are the same for every order of a key. But only
// the first layer of a permutation is linear: constants can be carried through it, and no further,
// because the S-box behind it sees lanes in which everything is mixed. That whole layer was
// measured at a fortieth of a permutation, and part of it would remain.
//
// The first block. With all its eight elements guessed ahead, one permutation of the four would be
// gone. Nonce and expiry can be settled early, but the client order index is the engine's order id,
// which is born with the order, and the market comes with it. A guess for every market, key and
// leg, made anew after every order, would be a machine of its own to save a quarter of the hashing.
//
// Both are left out. What is worth preparing is the signature's point: it knows no order.

/// Who signs, and the two numbers every transaction ends with.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    /// Chain id of the network, below 2^32; part of the hash only.
    pub chain_id: u64,
    /// Account index, below 2^48 - 1.
    pub account_index: u64,
    /// API key slot, 0..=254.
    pub api_key_index: u8,
    /// Milliseconds since the epoch after which the transaction is dropped, below 2^48.
    pub expired_at_ms: u64,
    /// The key's next nonce, below 2^48.
    pub nonce: u64,
}

/// What a transaction carries besides numbers.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would allocate")]
pub enum Extra {
    /// Most types: nothing.
    Nothing,
    /// The new key of a ChangePubKey.
    PublicKey(PublicKey),
    /// The memo of a Transfer; not part of the hash.
    Memo([u8; 32]),
    /// The orders of a CreateGroupedOrders.
    Orders(Orders),
}

/// Which orders a cancel-all cancels, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAll {
    /// All, now.
    Now,
    /// All of one market, now.
    Market(u64),
    /// All, at this time in milliseconds since the epoch, 5 minutes to 15 days ahead: a dead man's
    /// switch. A later one replaces it.
    At(u64),
    /// None: drops the schedule.
    Abort,
}

/// A transaction in range, ready to be hashed, signed and written.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    pub(super) kind: &'static Kind,
    chain_id: i64,
    pub(super) numbers: Numbers,
    pub(super) attributes: Attributes,
    pub(super) extra: Extra,
    pub(super) ethereum_signature: Option<EthereumSignature>,
}

// The hot types. The others are made in `cold`.
impl Transaction {
    /// Type 14.
    #[inline]
    pub fn create_order(envelope: Envelope, order: &CreateOrder) -> Result<Transaction, Fault> {
        Transaction::of(&CREATE_ORDER, envelope, order.row())
    }

    /// Type 15. `index` is an order index or a client order index.
    #[inline]
    pub fn cancel_order(
        envelope: Envelope,
        market_index: u64,
        index: u64,
    ) -> Result<Transaction, Fault> {
        let fields = [signed(market_index), signed(index)];
        Transaction::of(&CANCEL_ORDER, envelope, fields)
    }

    /// Type 16.
    pub fn cancel_all(envelope: Envelope, what: CancelAll) -> Result<Transaction, Fault> {
        let (time_in_force, time) = match what {
            CancelAll::Now | CancelAll::Market(_) => (0, 0),
            CancelAll::At(time_ms) => (1, signed(time_ms)),
            CancelAll::Abort => (2, 0),
        };
        let transaction = Transaction::of(&CANCEL_ALL_ORDERS, envelope, [time_in_force, time])?;
        match what {
            CancelAll::Market(index) => {
                // As an attribute, 255 would mean all markets.
                is_market(signed(index))?;
                transaction.with(Attributes::NONE.only_market(signed(index))?)
            }
            _ => Ok(transaction),
        }
    }
}

// Making one.
impl Transaction {
    /// From plain numbers as they stand in a text, whatever the type: in the order of
    /// [`Kind::rules`]. For tools and tests; the constructors of each type say what they want.
    pub fn from_numbers(
        kind: &'static Kind,
        chain_id: u64,
        numbers: &[i64],
        extra: Extra,
    ) -> Result<Transaction, Fault> {
        let count = HEAD_LEN + kind.fields.len();
        if numbers.len() != count {
            let reason = "this type has another number of fields";
            return Err(forbidden(kind.name, numbers.len() as i64, reason));
        }
        let mut all = [0; NUMBERS_MAX];
        all[..count].copy_from_slice(numbers);
        Transaction::checked(kind, signed(chain_id), all, extra)
    }

    /// Of a type with numbers only.
    #[inline]
    pub(super) fn of<const N: usize>(
        kind: &'static Kind,
        envelope: Envelope,
        fields: [i64; N],
    ) -> Result<Transaction, Fault> {
        Transaction::with_extra(kind, envelope, fields, Extra::Nothing)
    }

    #[inline]
    pub(super) fn with_extra<const N: usize>(
        kind: &'static Kind,
        envelope: Envelope,
        fields: [i64; N],
        extra: Extra,
    ) -> Result<Transaction, Fault> {
        let mut numbers = [0; NUMBERS_MAX];
        numbers[0] = signed(envelope.nonce);
        numbers[1] = signed(envelope.expired_at_ms);
        numbers[2] = signed(envelope.account_index);
        numbers[3] = i64::from(envelope.api_key_index);
        numbers[HEAD_LEN..HEAD_LEN + N].copy_from_slice(&fields);
        Transaction::checked(kind, signed(envelope.chain_id), numbers, extra)
    }

    /// The only place where one comes into being.
    #[inline]
    fn checked(
        kind: &'static Kind,
        chain_id: i64,
        numbers: Numbers,
        extra: Extra,
    ) -> Result<Transaction, Fault> {
        CHAIN_ID.check(chain_id)?;
        for (rule, value) in kind.head.iter().zip(&numbers) {
            rule.check(*value)?;
        }
        for (rule, value) in kind.fields.iter().zip(&numbers[HEAD_LEN..]) {
            rule.check(*value)?;
        }
        if extra.kind() != kind.extra {
            let reason = "this type carries something else besides numbers";
            return Err(forbidden(kind.name, i64::from(kind.tx_type), reason));
        }
        (kind.check)(&numbers, &extra)?;
        Ok(Transaction {
            kind,
            chain_id,
            numbers,
            attributes: Attributes::NONE,
            extra,
            ethereum_signature: None,
        })
    }

    /// With these attributes added to those it has.
    pub fn with(mut self, attributes: Attributes) -> Result<Transaction, Fault> {
        self.attributes = self.attributes.and(attributes);
        self.attributes.check(self.kind, &self.numbers)?;
        Ok(self)
    }

    /// With the account owner's signature of [`Transaction::ethereum_message`]. Not part of the
    /// hash, so it may be placed before or after the signature of the API key.
    pub fn with_ethereum_signature(
        mut self,
        signature: EthereumSignature,
    ) -> Result<Transaction, Fault> {
        if !self.kind.has_l1_signature {
            let tx_type = i64::from(self.kind.tx_type);
            return Err(forbidden("L1Sig", tx_type, "this type carries none"));
        }
        self.ethereum_signature = Some(signature);
        Ok(self)
    }
}

// Reading one.
impl Transaction {
    /// Its type.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// The nonce it spends.
    #[inline]
    pub fn nonce(&self) -> u64 {
        self.numbers[0] as u64
    }

    /// The transaction hash: Poseidon2 over chain id, type and the numbers; with attributes set,
    /// over that hash and theirs.
    pub fn hash(&self) -> Message {
        let mut elements = Elements::default();
        elements.push(self.chain_id);
        elements.push(i64::from(self.kind.tx_type));
        let (head, fields) = self.numbers.split_at(HEAD_LEN);
        for value in head {
            elements.push(*value);
        }
        for (rule, value) in self.kind.fields.iter().zip(fields) {
            if rule.is_wide {
                elements.push(value & 0xFFFF_FFFF);
                elements.push(value >> 32);
            } else {
                elements.push(*value);
            }
        }
        match &self.extra {
            Extra::Nothing | Extra::Memo(_) => {}
            Extra::PublicKey(key) => {
                for limb in key.as_chunks().0 {
                    elements.push_element(Fp::new(u64::from_le_bytes(*limb)));
                }
            }
            Extra::Orders(orders) => {
                orders
                    .digest()
                    .into_iter()
                    .for_each(|element| elements.push_element(element));
            }
        }
        let body = poseidon2::hash_to_element(&elements.values[..elements.len]);
        if self.attributes.is_none() {
            return Message(body);
        }
        let mut both = [Fp::ZERO; 10];
        both[..5].copy_from_slice(&body.0);
        both[5..].copy_from_slice(&self.attributes.digest().0);
        Message(poseidon2::hash_to_element(&both))
    }

    /// The text for the account's Ethereum key to sign; `None` for types that have none.
    pub fn ethereum_message(&self) -> Option<EthereumMessage> {
        let (numbers, chain_id) = (&self.numbers, self.chain_id);
        match &self.extra {
            Extra::PublicKey(key) => Some(EthereumMessage::change_key(numbers, key)),
            Extra::Memo(memo) => Some(EthereumMessage::transfer(numbers, chain_id, memo)),
            _ if self.kind.has_l1_signature => {
                Some(EthereumMessage::approve_integrator(numbers, chain_id))
            }
            _ => None,
        }
    }
}

impl Extra {
    fn kind(&self) -> ExtraKind {
        match self {
            Extra::Nothing => ExtraKind::Nothing,
            Extra::PublicKey(_) => ExtraKind::PublicKey,
            Extra::Memo(_) => ExtraKind::Memo,
            Extra::Orders(_) => ExtraKind::Orders,
        }
    }
}

/// What goes under the hash, as it is gathered.
#[derive(Default)]
struct Elements {
    values: [Fp; ELEMENTS_MAX],
    len: usize,
}

impl Elements {
    /// A checked number; none is negative.
    #[inline]
    fn push(&mut self, value: i64) {
        self.push_element(Fp::new(value as u64));
    }

    #[inline]
    fn push_element(&mut self, element: Fp) {
        self.values[self.len] = element;
        self.len += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::kinds::KINDS;

    const ENVELOPE: Envelope = Envelope {
        chain_id: 300,
        account_index: 516,
        api_key_index: 5,
        expired_at_ms: 1_785_432_569_240,
        nonce: 9,
    };

    #[test]
    fn a_market_that_does_not_exist_never_becomes_all_markets() {
        let fault = Transaction::cancel_all(ENVELOPE, CancelAll::Market(255)).unwrap_err();
        assert_eq!(fault.field, "MarketIndex");
    }

    #[test]
    fn no_hash_takes_more_elements_than_there_is_room_for() {
        for kind in KINDS {
            let wide = kind.fields.iter().filter(|rule| rule.is_wide).count();
            let extra = match kind.extra {
                ExtraKind::Nothing | ExtraKind::Memo => 0,
                ExtraKind::PublicKey => 5,
                ExtraKind::Orders => 4,
            };
            let count = 2 + HEAD_LEN + kind.fields.len() + wide + extra;
            assert!(count <= ELEMENTS_MAX, "{}", kind.name);
        }
    }

    #[test]
    fn what_a_type_does_not_have_is_refused_by_name() {
        let cancel = Transaction::cancel_order(ENVELOPE, 0, 7).unwrap();
        let ethereum = EthereumSignature::parse_hex(&format!("0x{}1b", "0".repeat(128)));
        let numbers = [9, 1, 516, 5, 1, 7];
        let from = |count, extra| Transaction::from_numbers(&CANCEL_ORDER, 300, count, extra);
        for (result, wrong) in [
            (
                cancel.with(Attributes::NONE.only_market(3).unwrap()),
                "CancelAllMarketIndex 3",
            ),
            (
                cancel.with(Attributes::NONE.order_version(3).unwrap()),
                "OrderVersion 3",
            ),
            (
                cancel.with_ethereum_signature(ethereum.unwrap()),
                "L1Sig 15",
            ),
            (from(&numbers[..5], Extra::Nothing), "CancelOrder 5"),
            (from(&numbers, Extra::Memo([0; 32])), "CancelOrder 15"),
            (from(&numbers, Extra::Nothing), ""),
        ] {
            let said = result
                .err()
                .map(|fault| format!("{fault}"))
                .unwrap_or_default();
            assert!(
                said.starts_with(wrong) && said.is_empty() == wrong.is_empty(),
                "{said}"
            );
        }
    }

    #[test]
    fn every_part_of_the_envelope_has_its_range() {
        let with = |change: fn(&mut Envelope)| {
            let mut envelope = ENVELOPE;
            change(&mut envelope);
            let built = Transaction::cancel_order(envelope, 0, 7);
            built.err().map_or("", |fault| fault.field)
        };
        assert_eq!(with(|_| {}), "");
        assert_eq!(with(|e| e.chain_id = 1 << 32), "ChainId");
        assert_eq!(with(|e| e.account_index = (1 << 48) - 2), "");
        assert_eq!(with(|e| e.account_index = (1 << 48) - 1), "AccountIndex");
        assert_eq!(with(|e| e.api_key_index = 254), "");
        assert_eq!(with(|e| e.api_key_index = 255), "ApiKeyIndex");
        assert_eq!(with(|e| e.expired_at_ms = (1 << 48) - 1), "");
        assert_eq!(with(|e| e.expired_at_ms = 1 << 48), "ExpiredAt");
        assert_eq!(with(|e| e.nonce = (1 << 48) - 1), "");
        assert_eq!(with(|e| e.nonce = u64::MAX), "Nonce");
    }
}
