//! Taking transactions in: every check the venue makes before it answers 200, in its order, then
//! the hand-over to the exchange.
//!
//! Promises: a refusal leaves the nonce where it was; an acceptance spends it, whatever the engine
//! thinks of the order afterwards. One transaction of the account is judged at a time, so of two
//! with the same nonce exactly one is accepted. Refuses: what the documentation calls unknown is
//! decided strictly, against the client.

use super::check::{self, Situation, WIDTH_48, WIDTH_60};
use super::codes::{self, Refusal};
use super::desk::{Desk, Slot, lock};
use super::ledger::Outcome;
use super::markets;
use super::models;
use super::sign;
use super::transaction::{Ask, Create, Transaction};
use crate::market::units::{Nanos, SECOND, Size};
use crate::sim::exchange::{Exchange, Happening, LighterTier, Reject, Rules, TimeInForce};
use crate::sim::faults::Strike;
use crate::sim::faults::kind::Kind;
use crate::sim::faults::orders::Door;
use crate::sim::server::rt;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Transactions in one batch: the documentation says 15, the text of the error 50.
const BATCH_MAX: usize = 15;
/// A scheduled cancel-all lies between 5 minutes and 15 days ahead.
const SCHEDULE_MS: std::ops::RangeInclusive<i64> = 5 * 60_000..=15 * 24 * 3_600_000;
/// Order indexes start here; below are client order indexes.
const ORDER_INDEX_MIN: i64 = 1 << 48;
/// Volume quota at the start, what earns one more (USDC), and how often a transaction is free.
const QUOTA_START: i64 = 1_000;
const QUOTA_USD: i64 = 3;
const QUOTA_FREE_NS: u64 = 15 * SECOND;

/// The answer to an accepted transaction or batch.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// One hash, or several of a batch.
    pub hashes: Vec<String>,
    /// When the last of them is expected to execute, epoch milliseconds.
    pub predicted_ms: u64,
    /// What the venue says about the volume quota.
    pub message: String,
    /// What is left of it.
    pub quota: i64,
}

impl Receipt {
    /// The answer's JSON; a batch has a list of hashes.
    pub fn body(&self, is_batch: bool) -> Value {
        let hash = match (is_batch, self.hashes.first()) {
            (false, Some(hash)) => json!(hash),
            _ => json!(self.hashes),
        };
        json!({
            "code": 200, "message": self.message, "tx_hash": hash,
            "predicted_execution_time_ms": self.predicted_ms,
            "volume_quota_remaining": self.quota,
        })
    }
}

/// A transaction, taken or refused, and what its hash is.
type Taken = Result<(String, u64), Refusal>;

impl Desk {
    /// One transaction, as `sendTx` and `jsonapi/sendtx` bring it.
    ///
    /// # Errors
    /// The venue's refusal; nothing has changed then but the minute's budget.
    pub fn send(self: &Arc<Desk>, tx_type: u64, info: &str) -> Result<Receipt, Refusal> {
        self.take_sends(1)?;
        let tx = Transaction::read(tx_type, info)?;
        let (hash, predicted_ms) = self.submit(&tx)?;
        Ok(self.receipt(vec![hash], predicted_ms))
    }

    /// A batch: `types` is JSON text of a list of integers, `infos` of a list of texts. The first
    /// refusal ends it; what came before stands. Whether the venue undoes those is unknown.
    ///
    /// # Errors
    /// The refusal that ended it.
    pub fn send_batch(self: &Arc<Desk>, types: &str, infos: &str) -> Result<Receipt, Refusal> {
        let types: Vec<u64> = serde_json::from_str(types).map_err(|_| codes::TX_INFO)?;
        let infos: Vec<String> = serde_json::from_str(infos).map_err(|_| codes::TX_INFO)?;
        if types.len() != infos.len() || types.is_empty() {
            return Err(codes::BATCH_LENGTH);
        }
        if types.len() > BATCH_MAX {
            return Err(codes::BATCH_SIZE);
        }
        self.take_sends(types.len())?;
        let read = types.iter().zip(&infos);
        let all: Vec<Transaction> = read
            .map(|(tx_type, info)| Transaction::read(*tx_type, info))
            .collect::<Result<_, _>>()?;
        let owner = |tx: &Transaction| (tx.account, tx.api_key);
        if all.iter().any(|tx| owner(tx) != owner(&all[0])) {
            return Err(codes::BATCH_OWNER);
        }
        if all.windows(2).any(|pair| pair[0].nonce >= pair[1].nonce) {
            return Err(codes::NONCE_NOT_INCREASING);
        }
        let taken: Vec<(String, u64)> = all
            .iter()
            .map(|tx| self.submit(tx))
            .collect::<Result<_, _>>()?;
        let predicted_ms = taken.iter().map(|taken| taken.1).max().unwrap_or(0);
        Ok(self.receipt(
            taken.into_iter().map(|taken| taken.0).collect(),
            predicted_ms,
        ))
    }

    /// Nonce and account, expiry, signature, then what the transaction asks for.
    pub(super) fn submit(self: &Arc<Desk>, tx: &Transaction) -> Taken {
        let now = self.floor.now();
        if let Ask::ChangeKey(change) = &tx.ask {
            let hash = self.change_key(tx, change)?;
            self.tell(&hash);
            return Ok((hash, now.epoch_ms() + self.terms().predicted_other_ms));
        }
        let mut slots = lock(&self.slots);
        let slot = self.slot(&mut slots, tx)?;
        let faults = self.floor.faults();
        if faults.is_some_and(|faults| faults.is_in_maintenance(now)) {
            return Err(codes::MARKET_STATUS);
        }
        if tx.nonce != slot.next_nonce && !(tx.skips_nonce && skips(tx.nonce, slot.next_nonce)) {
            return Err(codes::NONCE);
        }
        let expired_at = u64::try_from(tx.expired_at).unwrap_or(0);
        if expired_at <= now.epoch_ms() || tx.expired_at > WIDTH_48 {
            return Err(codes::EXPIRY);
        }
        let chain_id = self.credentials.chain_id;
        let hash = sign::transaction_hash(chain_id, tx.tx_type, &tx.fields);
        let hash = hash.ok_or(codes::TX_INFO)?;
        if !sign::verify(&slot.public_key, &hash, &tx.signature) {
            return Err(codes::SIGNATURE);
        }
        let hash = sign::hex(&hash);
        self.check_quota(tx, now)?;
        if let (Some(faults), Ask::Create(create)) = (faults, &tx.ask)
            && let market = u32::try_from(create.market).ok()
            && faults.uses_up_nonce(now, market.and_then(|number| faults.market_of(number)))
        {
            slot.next_nonce += 1;
            slot.changed_us = now.0 / 1000;
            return Err(codes::NONCE);
        }
        let outcome = self.carry_out(tx, &hash)?;
        self.spend_quota(tx, now);
        slot.next_nonce = tx.nonce + 1;
        slot.changed_us = now.0 / 1000;
        lock(&self.ledger).record(tx, &hash, now, outcome);
        self.tell(&hash);
        let wait_ms = match &tx.ask {
            Ask::Create(create) if create.time_in_force != 2 => self.terms().predicted_taker_ms,
            _ => self.terms().predicted_other_ms,
        };
        Ok((hash, now.epoch_ms() + wait_ms))
    }

    /// Who asks, and the key slot that must have signed.
    fn slot<'a>(&self, slots: &'a mut [Slot], tx: &Transaction) -> Result<&'a mut Slot, Refusal> {
        if !(0..WIDTH_48).contains(&tx.account) {
            return Err(codes::ACCOUNT_INDEX);
        }
        if tx.account != self.credentials.account_index as i64 {
            return Err(codes::ACCOUNT_NOT_FOUND);
        }
        if !(0..=254).contains(&tx.api_key) {
            return Err(codes::API_KEY_INDEX);
        }
        let slot = slots
            .iter_mut()
            .find(|slot| i64::from(slot.index) == tx.api_key);
        slot.ok_or(codes::API_KEY_NOT_FOUND)
    }

    /// By kind of transaction. An error here is a refusal at the door; what the engine refuses
    /// later is in the outcome.
    fn carry_out(self: &Arc<Desk>, tx: &Transaction, hash: &str) -> Result<Outcome, Refusal> {
        match &tx.ask {
            Ask::Create(create) => self.create(create, hash),
            Ask::Cancel { market, index } => self.cancel(*market, *index),
            Ask::Withdraw(asked) => self.withdraw(asked, hash),
            Ask::Transfer(asked) => self.send_across(tx, asked, hash),
            Ask::CancelAll {
                time_in_force,
                time,
                market,
            } => self.cancel_all(*time_in_force, *time, *market),
            Ask::Leverage {
                market,
                fraction,
                mode,
            } => self.leverage(*market, *fraction, *mode),
            Ask::ChangeKey(_) => unreachable!("a change of a key was carried out before"),
        }
    }

    /// Checked, tagged with its hash, and handed to the exchange, which holds takers back.
    fn create(&self, create: &Create, hash: &str) -> Result<Outcome, Refusal> {
        let tag = models::tag(hash, create.order_type);
        self.floor.act(|exchange, now, out| {
            let rules = rules(exchange, create.market)?;
            if rules.is_isolated {
                return Err(codes::MARGIN_MODE);
            }
            let situation = Situation {
                rules,
                mark: exchange.mark(rules.instrument).0,
                position: exchange.position(rules.instrument).size,
                now_ms: now.epoch_ms() as i64,
            };
            let mut order = check::order(create, &situation)?;
            order.tag = tag;
            let takes = order.time_in_force == TimeInForce::ImmediateOrCancel;
            let reduces = order.reduce_only;
            let placed = match self.floor.faults() {
                None => exchange.place(now, order, out).map(Door::Taken),
                Some(faults) => faults.place(now, exchange, order, out),
            };
            match placed {
                Ok(Door::Taken(number)) => Ok(Outcome {
                    order: Some(number),
                    refused: None,
                }),
                Ok(Door::Struck(strike)) => struck(strike, takes, reduces),
                Err(reject) if is_late(reject, takes) => Ok(Outcome {
                    order: None,
                    refused: Some(refusal(reject)),
                }),
                Err(reject) => Err(refusal(reject)),
            }
        })
    }

    /// A cancel of an order that is not active is accepted, and refused by the engine afterwards.
    fn cancel(&self, market: i64, index: i64) -> Result<Outcome, Refusal> {
        if !(1..=WIDTH_60).contains(&index) {
            return Err(codes::ORDER_INDEX);
        }
        self.floor.act(|exchange, now, out| {
            let instrument = rules(exchange, market)?.instrument;
            let found = if index >= ORDER_INDEX_MIN {
                exchange.order(models::order_number(index as u64).0)
            } else {
                exchange.order_by_client(&index.to_string())
            };
            let number = found.filter(|order| order.asked.instrument == instrument);
            let done = match &number {
                Some(order) => exchange.cancel(now, order.number, out),
                None => Err(Reject::OrderNotFound),
            };
            Ok(Outcome {
                order: None,
                refused: done.err().map(refusal),
            })
        })
    }

    /// At once, or set as a dead man's switch, or that switch cleared.
    fn cancel_all(
        self: &Arc<Desk>,
        time_in_force: i64,
        time: i64,
        market: Option<u64>,
    ) -> Result<Outcome, Refusal> {
        let ahead = time.saturating_sub(self.floor.now().epoch_ms() as i64);
        match time_in_force {
            0 | 2 if time != 0 => return Err(codes::CANCEL_ALL_TIME),
            0 => self.floor.act(|exchange, now, out| {
                let instrument = match market {
                    Some(market) => Some(rules(exchange, market as i64)?.instrument),
                    None => None,
                };
                exchange.cancel_all(now, instrument, out);
                Ok(())
            })?,
            1 if SCHEDULE_MS.contains(&ahead) => self.set_schedule(time as u64),
            1 => return Err(codes::CANCEL_ALL_TIME),
            2 => self.set_schedule(0),
            _ => return Err(codes::CANCEL_ALL_TIME_IN_FORCE),
        }
        Ok(Outcome::default())
    }

    /// Sets or (with 0) clears the dead man's switch.
    fn set_schedule(self: &Arc<Desk>, at_ms: u64) {
        let generation = {
            let mut schedule = lock(&self.schedule);
            schedule.generation += 1;
            schedule.at_ms = at_ms;
            schedule.generation
        };
        if at_ms == 0 {
            return;
        }
        let desk = Arc::clone(self);
        rt::spawn(async move {
            let wait_ms = at_ms.saturating_sub(desk.floor.now().epoch_ms());
            rt::sleep(rt::Duration::from_millis(wait_ms)).await;
            let mut schedule = lock(&desk.schedule);
            if schedule.generation == generation {
                schedule.at_ms = 0;
                desk.floor.act(|exchange: &mut Exchange, now, out| {
                    exchange.cancel_all(now, None, out);
                });
            }
        });
    }

    /// Refused while anything is open on the market, as a change would move its margin.
    fn leverage(&self, market: i64, fraction: i64, mode: i64) -> Result<Outcome, Refusal> {
        self.floor
            .act(|exchange, _: Nanos, _: &mut Vec<Happening>| {
                let rules = rules(exchange, market)?;
                let least = i64::from(markets::initial_margin_min_e4(rules));
                if !(least..=10_000).contains(&fraction) {
                    return Err(codes::MARGIN_FRACTION);
                }
                let instrument = rules.instrument;
                let open = exchange.open_orders().into_iter();
                let busy = open
                    .map(|order| order.asked.instrument)
                    .any(|other| other == instrument);
                if busy || exchange.position(instrument).size != Size::ZERO {
                    return Err(codes::MARGIN_CHANGE);
                }
                exchange.set_margin(instrument, (fraction as u32, mode != 0));
                Ok(Outcome::default())
            })
    }

    /// Shows the account's subscribers what was accepted. The hash is in the ledger by now.
    fn tell(&self, hash: &str) {
        let shown = self.floor.look(|exchange| {
            let ledger = lock(&self.ledger);
            ledger.by_hash(hash).map(|entry| {
                let owner = &self.credentials;
                entry.show(exchange, owner.account_index, &owner.l1_address)
            })
        });
        if let Some(shown) = shown {
            self.board.transaction(&shown);
        }
    }

    /// Creates of a premium account cost one each; cancels, and everything of a standard account,
    /// are free.
    fn costs_quota(&self, tx: &Transaction) -> bool {
        self.terms().tier != LighterTier::Standard && matches!(tx.ask, Ask::Create(_))
    }

    /// What is left of it: the start, and what trading earned, less what was spent.
    fn quota_left(&self, spent: i64) -> i64 {
        let traded_usd = self.board.volume().to_nano() / 1_000_000_000;
        QUOTA_START + traded_usd / QUOTA_USD - spent
    }

    /// An empty quota still gives one free transaction now and then.
    fn check_quota(&self, tx: &Transaction, now: Nanos) -> Result<(), Refusal> {
        let quota = lock(&self.quota);
        let empty = self.costs_quota(tx) && self.quota_left(quota.spent) <= 0;
        if empty && now.since(quota.free_at) < QUOTA_FREE_NS {
            return Err(codes::too_many_requests());
        }
        Ok(())
    }

    /// Only an accepted transaction counts.
    fn spend_quota(&self, tx: &Transaction, now: Nanos) {
        let mut quota = lock(&self.quota);
        if !self.costs_quota(tx) {
            return;
        }
        if self.quota_left(quota.spent) > 0 {
            quota.spent += 1;
        } else {
            quota.free_at = now;
        }
    }

    /// Both wordings of the message were captured; clients must take either for a success.
    pub(super) fn receipt(&self, hashes: Vec<String>, predicted_ms: u64) -> Receipt {
        let quota = self.quota_left(lock(&self.quota).spent);
        let message = match self.terms().tier {
            LighterTier::Standard => r#"{"ratelimit": "didn't use volume quota"}"#.into(),
            _ => format!("{quota} volume quota remaining."),
        };
        Receipt {
            hashes,
            predicted_ms,
            message,
            quota,
        }
    }
}

/// With the skip-nonce attribute any later nonce will do, up to 47 bits.
fn skips(nonce: i64, next: i64) -> bool {
    nonce >= next && nonce < 1 << 47
}

/// The market by the venue's own number.
fn rules(exchange: &Exchange, market: i64) -> Result<&Rules, Refusal> {
    let mut all = exchange.rules().iter();
    all.find(|rules| i64::from(rules.venue_market) == market)
        .ok_or(codes::MARKET)
}

/// Refusals that come from the engine, after the answer 200: seen live for client order indexes,
/// documented for the margin of takers.
fn is_late(reject: Reject, takes: bool) -> bool {
    match reject {
        Reject::DuplicateClientId => true,
        Reject::Margin => takes,
        _ => false,
    }
}

/// How a struck order is refused: at the door, or after the answer 200, when only the result of
/// its transaction says why there is no order.
fn struck(strike: Strike, takes: bool, reduces: bool) -> Result<Outcome, Refusal> {
    let later = |refusal: Refusal| {
        Ok(Outcome {
            order: None,
            refused: Some(refusal),
        })
    };
    match strike.kind {
        // Seen live of reduce-only orders; of others the venue's own reason stands in.
        Kind::Drop if reduces => later(codes::REDUCE_ONLY_INCREASES),
        Kind::Drop => later(codes::BOOK_FULL),
        Kind::Margin if takes => later(codes::ORDER_MARGIN),
        Kind::Margin => Err(codes::ORDER_MARGIN),
        Kind::Maintenance => Err(codes::MARKET_STATUS),
        _ => {
            let rejects = [
                codes::FAT_FINGER,
                codes::TOO_FAR_FROM_MARK,
                codes::BOOK_FULL,
                codes::TOO_MANY_PENDING,
            ];
            Err(rejects[(strike.draw % rejects.len() as u64) as usize].clone())
        }
    }
}

/// The exchange's reasons in the venue's codes.
fn refusal(reject: Reject) -> Refusal {
    match reject {
        Reject::UnknownMarket => codes::MARKET,
        Reject::PriceGrid => codes::PRICE,
        Reject::SizeGrid => codes::BASE_AMOUNT,
        Reject::SizeMin | Reject::NotionalMin => codes::ORDER_AMOUNT,
        Reject::PriceBand => codes::FAT_FINGER,
        Reject::Expiry => codes::EXPIRY,
        Reject::Margin => codes::ORDER_MARGIN,
        Reject::ReduceOnly => codes::REDUCE_ONLY_INCREASES,
        Reject::DuplicateClientId => codes::CLIENT_ORDER_INDEX_EXISTS,
        Reject::TooManyOrders => codes::ORDERS_PER_ACCOUNT,
        Reject::OrderNotFound => codes::INACTIVE_CANCEL,
    }
}

/// Fields of a stream request's `data`: `tx_info` is an object there, a text over REST; both are
/// taken as text.
pub fn info_text(data: &Map<String, Value>) -> Option<String> {
    match data.get("tx_info")? {
        Value::String(text) => Some(text.clone()),
        object @ Value::Object(_) => Some(object.to_string()),
        _ => None,
    }
}
