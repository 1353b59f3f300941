//! Transactions over REST that make an account smaller: cancel all, and reduce-only orders.
//!
//! Promises: one nonce, one accepted transaction. A nonce that somebody else spent in between (the
//! engine may be running) is asked for anew, a bounded number of times.
//! Refuses: to send again after an answer that did not come.
//!
//! A transaction whose answer was lost may still arrive, minutes later: it lives for ten. The next
//! one of the same key can't be hurt by that. It is signed with the nonce that the venue wants
//! then: either the lost one was taken, or its nonce is spent by this one and it never will be.
//!
//! Sources: *rest*, *signer*, *nonces* in the venue's Sources.

use super::{LighterRest, RestError, finish};
use crate::market::units::{Nanos, SECOND};
use crate::venue::lighter::orders::{ApiKey, TRANSACTION_LIFE_MS};
use crate::venue::lighter::sign::checks::Fault;
use crate::venue::lighter::sign::cold::MarginMode;
use crate::venue::lighter::sign::order::CreateOrder;
use crate::venue::lighter::sign::token::AuthToken;
use crate::venue::lighter::sign::transaction::{CancelAll, Envelope, Transaction};
use crate::venue::lighter::sign::{NonceSource, PrivateKey, PublicKey};
use crate::venue::{OutKind, Outbox};
use serde_json::Value;
use std::cell::Cell;

/// Tries for one transaction when the nonce is wrong each time. Larger: longer fights with another
/// sender on the same key, of whom there should be none.
const NONCE_TRIES: usize = 4;
/// Invalid nonce; nothing was taken.
const CODE_NONCE: u64 = 21_104;
/// Longest text of a transaction used here: about 450 bytes.
const TEXT_BYTES_MAX: usize = 1024;
/// How far ahead a token's deadline lies. The venue takes up to eight hours.
const TOKEN_LIFE_NS: u64 = 600 * SECOND;

/// Who signs for one account with one of its keys.
pub struct Sender {
    account_index: u64,
    chain_id: u64,
    key: ApiKey,
    /// What the venue wants next, while every answer was a success.
    nonce: Cell<Option<u64>>,
}

impl Sender {
    /// For a key of the account. Nobody else should sign with this key while it is in use here;
    /// who does costs us a try.
    pub fn new(account_index: u64, chain_id: u64, index: u8, private: PrivateKey) -> Sender {
        Sender {
            account_index,
            chain_id,
            key: ApiKey { index, private },
            nonce: Cell::new(None),
        }
    }

    /// The account.
    pub fn account_index(&self) -> u64 {
        self.account_index
    }

    /// The key's slot, and what the venue must have there.
    pub fn public_key(&self) -> (u8, PublicKey) {
        (self.key.index, self.key.private.public_key())
    }

    /// A token for reads, good for ten minutes.
    pub fn token(&self, now: Nanos) -> Result<AuthToken, RestError> {
        let deadline_s = now.plus(TOKEN_LIFE_NS).epoch_ms() / 1000;
        let (key, source) = (&self.key, &mut NonceSource::new());
        AuthToken::sign(
            &key.private,
            deadline_s,
            self.account_index,
            key.index,
            source,
        )
        .map_err(|_| RestError::Unsigned(NO_RANDOMNESS))
    }

    /// What every transaction of this key begins and ends with.
    pub(super) fn envelope(&self, nonce: u64, now: Nanos) -> Envelope {
        Envelope {
            chain_id: self.chain_id,
            account_index: self.account_index,
            api_key_index: self.key.index,
            expired_at_ms: now.epoch_ms() + TRANSACTION_LIFE_MS,
            nonce,
        }
    }

    /// A transaction signed, as its text.
    pub(super) fn text(&self, transaction: &Transaction) -> Result<String, RestError> {
        let signature = self
            .key
            .private
            .sign(transaction.hash(), &mut NonceSource::new());
        let signature = signature.map_err(|_| RestError::Unsigned(NO_RANDOMNESS))?;
        let mut out = Outbox::new(TEXT_BYTES_MAX, 1);
        let fits = out.message(0, OutKind::Text, |text| transaction.write(&signature, text));
        let text = out.items().first().filter(|_| fits);
        let text = text.and_then(|item| String::from_utf8(out.payload(item).to_vec()).ok());
        text.ok_or(RestError::Unsigned(
            "the transaction does not fit its buffer",
        ))
    }
}

const NO_RANDOMNESS: &str = "the operating system gives no random numbers";

impl LighterRest {
    /// Cancels open orders at once: [`CancelAll::Now`] or [`CancelAll::Market`]. Accepted is not
    /// done.
    pub fn cancel_all(
        &self,
        sender: &Sender,
        what: CancelAll,
        now: Nanos,
    ) -> Result<(), RestError> {
        self.transact(sender, now, |envelope| {
            Transaction::cancel_all(envelope, what)
        })
    }

    /// Sends an order. Code 200 is "queued, nonce spent", not a fill.
    pub fn create_order(
        &self,
        sender: &Sender,
        order: &CreateOrder,
        now: Nanos,
    ) -> Result<(), RestError> {
        self.transact(sender, now, |envelope| {
            Transaction::create_order(envelope, order)
        })
    }

    /// Puts a market without a position and without orders to this margin mode, at this initial
    /// margin, 10^-4 of notional.
    pub fn set_margin(
        &self,
        sender: &Sender,
        market_index: u64,
        (initial_margin_e4, mode): (u32, MarginMode),
        now: Nanos,
    ) -> Result<(), RestError> {
        let fraction = u64::from(initial_margin_e4);
        self.transact(sender, now, |envelope| {
            Transaction::update_leverage(envelope, market_index, fraction, mode)
        })
    }

    /// Signs with the key's next nonce and sends; again when it was taken in between. The nonce is
    /// asked for unless the last transaction was accepted: then it is one more.
    fn transact(
        &self,
        sender: &Sender,
        now: Nanos,
        make: impl Fn(Envelope) -> Result<Transaction, Fault>,
    ) -> Result<(), RestError> {
        let mut refusal = RestError::Unsigned("no try was left");
        for _ in 0..NONCE_TRIES {
            let nonce = match sender.nonce.take() {
                Some(nonce) => nonce,
                None => self.next_nonce(sender.account_index, sender.key.index)?,
            };
            let transaction = make(sender.envelope(nonce, now))
                .map_err(|fault| RestError::Unsigned(fault.field))?;
            let tx_type = u64::from(transaction.kind().tx_type);
            match self.send(tx_type, &sender.text(&transaction)?) {
                Err(
                    error @ RestError::Refused {
                        code: CODE_NONCE, ..
                    },
                ) => refusal = error,
                Err(error) => return Err(error),
                Ok(_) => {
                    sender.nonce.set(Some(nonce + 1));
                    return Ok(());
                }
            }
        }
        Err(refusal)
    }

    /// `sendTx`, a form.
    pub(super) fn send(&self, tx_type: u64, tx_info: &str) -> Result<Value, RestError> {
        let url = format!("{}/api/v1/sendTx", self.base_url);
        let fields = [
            ("tx_type", tx_type.to_string()),
            ("tx_info", tx_info.into()),
        ];
        finish(self.agent.post(url).send_form(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::order::{OrderType, TimeInForce};
    use crate::venue::lighter::sign::verify;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    fn sender() -> Sender {
        let private = PrivateKey::parse_hex(&"07".repeat(40)).unwrap();
        Sender::new(516, 300, 7, private)
    }

    #[test]
    fn what_is_written_is_what_was_signed() {
        let sender = sender();
        let envelope = Envelope {
            chain_id: 300,
            account_index: 516,
            api_key_index: 7,
            expired_at_ms: 1_790_000_599_000,
            nonce: 12,
        };
        let order = CreateOrder {
            market_index: 1,
            client_order_index: 99,
            base_amount: 0,
            price: 618_275,
            is_ask: true,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: true,
            ..CreateOrder::default()
        };
        for transaction in [
            Transaction::create_order(envelope, &order).unwrap(),
            Transaction::cancel_all(envelope, CancelAll::Now).unwrap(),
            Transaction::cancel_all(envelope, CancelAll::Market(0)).unwrap(),
        ] {
            let text = sender.text(&transaction).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (&read["Nonce"], &read["ApiKeyIndex"]),
                (&12.into(), &7.into())
            );
            let signature = STANDARD.decode(read["Sig"].as_str().unwrap()).unwrap();
            let signature = signature.try_into().unwrap();
            let (_, public_key) = sender.public_key();
            assert!(verify(&public_key, transaction.hash(), &signature));
        }
    }

    #[test]
    fn a_token_says_whose_it_is() {
        let token = sender().token(Nanos(1_790_000_000_000_000_000)).unwrap();
        let text = std::str::from_utf8(token.text()).unwrap();
        assert!(text.starts_with("1790000600:516:7:"), "{text}");
    }
}
