//! Every transaction that was accepted, for `GET tx` and `accountTxs`.
//!
//! Accepted means queued, not done: what the engine thought of it later is in `event_info`, a JSON
//! text whose `ae` is empty or again a JSON text with code and message.

use super::codes::{self, Refusal};
use super::models;
use super::numbers::fixed;
use super::transaction::Transaction;
use crate::market::book::Side;
use crate::market::units::Nanos;
use crate::sim::exchange::{Exchange, OrderView, Status, TimeInForce};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Transactions kept; older ones are not found any more. Larger only costs memory.
const TRANSACTIONS_MAX: usize = 20_000;

/// One accepted transaction.
#[derive(Clone, Debug)]
pub struct Entry {
    /// 80 hex digits.
    pub hash: String,
    /// Type number.
    pub tx_type: u8,
    /// Text as received.
    pub info: String,
    /// Its nonce.
    pub nonce: i64,
    /// Its key.
    pub api_key: i64,
    /// Its own expiry, epoch milliseconds.
    pub expire_at: i64,
    /// When it was accepted.
    pub queued: Nanos,
    /// The exchange's number of the order it made.
    pub order: Option<u64>,
    /// Why the engine refused it, after acceptance.
    pub refused: Option<Refusal>,
    /// Rising over all.
    pub sequence: u64,
}

/// Accepted transactions, oldest first.
#[derive(Default)]
pub struct Ledger {
    entries: VecDeque<Entry>,
    next_sequence: u64,
}

/// What came of carrying a transaction out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The order it made.
    pub order: Option<u64>,
    /// A refusal that shows only afterwards.
    pub refused: Option<Refusal>,
}

impl Ledger {
    /// Writes an accepted transaction down.
    pub fn record(&mut self, tx: &Transaction, hash: &str, queued: Nanos, outcome: Outcome) {
        if self.entries.len() == TRANSACTIONS_MAX {
            self.entries.pop_front();
        }
        self.next_sequence += 1;
        self.entries.push_back(Entry {
            hash: hash.to_owned(),
            tx_type: tx.tx_type,
            info: tx.info.clone(),
            nonce: tx.nonce,
            api_key: tx.api_key,
            expire_at: tx.expired_at,
            queued,
            order: outcome.order,
            refused: outcome.refused,
            sequence: self.next_sequence,
        });
    }

    /// By hash.
    pub fn by_hash(&self, hash: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.hash == hash)
    }

    /// By sequence number.
    pub fn by_sequence(&self, sequence: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.sequence == sequence)
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }
}

impl Entry {
    /// The transaction as the venue shows it now.
    pub fn show(&self, exchange: &Exchange, account: u64, l1_address: &str) -> Value {
        let order = self.order.and_then(|number| exchange.order(number));
        let waiting = order
            .as_ref()
            .is_some_and(|order| order.status == Status::Pending);
        let executed = order.as_ref().map_or(self.queued, |order| order.created);
        json!({
            "hash": self.hash, "type": self.tx_type, "info": self.info,
            "event_info": self.event(exchange, order.as_deref()).to_string(),
            "status": if waiting { 1 } else { 2 },
            "transaction_index": self.sequence, "sequence_index": self.sequence,
            "l1_address": l1_address, "account_index": account, "nonce": self.nonce,
            "expire_at": self.expire_at, "block_height": models::block_height(self.queued),
            "queued_at": self.queued.epoch_ms(), "executed_at": executed.epoch_ms(),
            "parent_hash": "", "api_key_index": self.api_key,
            "transaction_time": self.queued.0 / 1000, "committed_at": 0, "verified_at": 0,
        })
    }

    /// Short keys as the venue writes them: `to` is the taker's order, `ae` the application error.
    fn event(&self, exchange: &Exchange, order: Option<&OrderView>) -> Value {
        let late = order.and_then(|order| match order.status {
            Status::CancelledMargin => Some(codes::ORDER_MARGIN),
            Status::CancelledReduceOnly => Some(codes::REDUCE_ONLY_INCREASES),
            _ => None,
        });
        let refused = self.refused.clone().or(late);
        let ae = refused.map_or(String::new(), |refused| refused.body().to_string());
        let mut event = json!({"ae": ae});
        let Some(order) = order else {
            return event;
        };
        let rules = exchange.rules().iter();
        let Some(rules) = rules
            .into_iter()
            .find(|rules| rules.instrument == order.asked.instrument)
        else {
            return event;
        };
        let asked = &order.asked;
        let size = |value: i64| fixed(value, rules.size_decimals);
        event["m"] = rules.venue_market.into();
        event["to"] = json!({
            "i": models::order_index(order.number, rules.venue_market, asked.side),
            "u": asked.client_id.parse::<u64>().unwrap_or(0),
            "is": size(asked.size.0), "rs": size(asked.size.0 - order.filled.0),
            "p": fixed(asked.price.0, rules.price_decimals),
            "ia": u8::from(asked.side == Side::Ask), "ro": u8::from(asked.reduce_only),
            "f": match asked.time_in_force {
                TimeInForce::ImmediateOrCancel => 0,
                TimeInForce::GoodTillTime => 1,
                TimeInForce::PostOnly => 2,
            },
            "e": asked.expiry_ms, "tp": 0, "ts": 0, "t0": 0, "t1": 0, "c0": 0,
            "st": models::status(order),
        });
        event
    }
}
