//! What the simulated Lighter knows besides the exchange: the account's keys and their nonces, its
//! tier and budgets, who may read what.
//!
//! Promises: a nonce is spent exactly when a transaction is accepted, one transaction of the
//! account at a time; budgets count over a sliding minute. Locks are taken in one order only: keys,
//! then the exchange, then the board or the ledger.

use super::board::Board;
use super::codes::{self, Refusal};
use super::keys::Credentials;
use super::ledger::Ledger;
use super::sign::{self, Bytes40};
use crate::market::units::{MS, Nanos, SECOND};
use crate::sim::exchange::LighterTier;
use crate::sim::faults::orders::Detour;
use crate::sim::relay::Contracts;
use crate::sim::server::Floor;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Settings of the wire room. What the exchange itself does (fees, delays) is set there; these must
/// say the same.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What `accountLimits` says.
    pub tier: LighterTier,
    /// Taker fee, 10^-6 of notional.
    pub taker_fee_e6: u32,
    /// Maker fee, 10^-6 of notional.
    pub maker_fee_e6: u32,
    /// Transactions a minute.
    pub sends_per_minute: usize,
    /// Client messages a minute, transactions not counted, over all connections: the venue's 200.
    pub messages_per_minute: usize,
    /// Client messages not answered yet, transactions not counted, over all connections: the
    /// venue's 50.
    pub messages_in_flight: usize,
    /// Subscriptions of one connection: the venue's 500.
    pub subscriptions_max: usize,
    /// A connection whose client is silent this long is closed: the venue's two minutes.
    pub idle_seconds: u64,
    /// Predicted time from acceptance to execution of a taker, milliseconds.
    pub predicted_taker_ms: u64,
    /// The same of everything else.
    pub predicted_other_ms: u64,
    /// What stands on the chain.
    pub contracts: Contracts,
}

impl Options {
    /// The documented figures of a tier; predictions as measured (36 ms above the nominal delay).
    pub fn of(tier: LighterTier) -> Options {
        let (taker_fee_e6, maker_fee_e6, sends, taker_ms, other_ms) = match tier {
            LighterTier::Standard => (0, 0, 60, 350, 236),
            LighterTier::Premium200 => (280, 40, 4_000, 236, 36),
            LighterTier::Premium140 => (196, 28, 40_000, 176, 36),
        };
        Options {
            tier,
            taker_fee_e6,
            maker_fee_e6,
            sends_per_minute: sends,
            messages_per_minute: 200,
            messages_in_flight: 50,
            subscriptions_max: 500,
            idle_seconds: 120,
            predicted_taker_ms: taker_ms,
            predicted_other_ms: other_ms,
            contracts: Contracts::default(),
        }
    }
}

/// Most seconds an auth token may live.
const TOKEN_SECONDS_MAX: u64 = 8 * 3600;
/// A client message counts as in flight for so long. Ours: answers were seen after 270 to 520 ms,
/// but whether all of that is the venue's is not known.
const IN_FLIGHT_NS: u64 = 100 * MS;
/// One minute, the span of every other budget.
const MINUTE_NS: u64 = 60 * SECOND;

/// One key slot at work.
pub struct Slot {
    /// Its number.
    pub index: u8,
    /// What it verifies with.
    pub public_key: Bytes40,
    /// The nonce it must use next.
    pub next_nonce: i64,
    /// When it last changed, microseconds.
    pub changed_us: u64,
}

/// The venue behind the wire.
pub struct Desk {
    /// The exchange and its clock.
    pub floor: Arc<Floor>,
    /// Frames and who listens to them.
    pub board: Arc<Board>,
    /// The one account.
    pub credentials: Credentials,
    /// Tier and limits at the start.
    pub options: Options,
    pub(super) slots: Mutex<Vec<Slot>>,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) schedule: Mutex<Schedule>,
    pub(super) quota: Mutex<Quota>,
    sends: Mutex<VecDeque<Nanos>>,
    messages: Mutex<VecDeque<Nanos>>,
    in_flight: Mutex<VecDeque<Nanos>>,
}

/// What was used of the volume quota.
#[derive(Default)]
pub struct Quota {
    /// Transactions that counted.
    pub spent: i64,
    /// When the last free one was given on an empty quota.
    pub free_at: Nanos,
}

/// The dead man's switch: a cancel-all at a set time, replaced or aborted by a later transaction.
#[derive(Default)]
pub struct Schedule {
    /// Rises with every change, so that a sleeping task knows that it was replaced.
    pub generation: u64,
    /// When, epoch milliseconds; 0: none.
    pub at_ms: u64,
}

impl Desk {
    /// Opens the desk on `floor` and takes its press.
    pub fn new(floor: Arc<Floor>, credentials: Credentials, options: Options) -> Arc<Desk> {
        let board = Arc::new(floor.look(|exchange| Board::new(exchange, &credentials)));
        if let Some(faults) = floor.faults() {
            board.set_faults(faults);
        }
        let press = Arc::clone(&board);
        floor.set_press(Box::new(move |exchange, moment, happenings| {
            press.write_up(exchange, moment, happenings)
        }));
        let slots = credentials.keys.iter().map(|key| Slot {
            index: key.index,
            public_key: sign::unhex(&key.public_key_hex)
                .and_then(|bytes| bytes.try_into().ok())
                .expect("credentials are made with keys of forty bytes"),
            // Fresh keys start at 0 or at 1 on the venue: clients must ask.
            next_nonce: i64::from(key.index % 2),
            changed_us: 0,
        });
        Arc::new(Desk {
            slots: Mutex::new(slots.collect()),
            ledger: Mutex::new(Ledger::default()),
            schedule: Mutex::new(Schedule::default()),
            quota: Mutex::default(),
            sends: Mutex::default(),
            messages: Mutex::default(),
            in_flight: Mutex::default(),
            board,
            floor,
            credentials,
            options,
        })
    }

    /// The terms of the account's tier, which a fault may have changed.
    pub fn terms(&self) -> Options {
        let changed = self.floor.faults().and_then(|faults| faults.tier());
        match changed.filter(|tier| *tier != self.options.tier) {
            None => self.options,
            Some(tier) => Options {
                messages_per_minute: self.options.messages_per_minute,
                messages_in_flight: self.options.messages_in_flight,
                contracts: self.options.contracts,
                ..Options::of(tier)
            },
        }
    }

    /// What a fault has happen to a transaction; `order` tells whether it brings an order, and for
    /// which market, where that can be read.
    pub fn detour(&self, order: impl FnOnce() -> Option<Option<u64>>) -> Option<Detour> {
        let faults = self.floor.faults()?;
        let market = order()?.and_then(|number| faults.market_of(u32::try_from(number).ok()?));
        faults.detour(self.floor.now(), market)
    }

    /// Takes `count` transactions from the minute's budget.
    ///
    /// # Errors
    /// 23000 with HTTP 429 when it is used up; refused ones do not count.
    pub fn take_sends(&self, count: usize) -> Result<(), Refusal> {
        let now = self.floor.now();
        let most = self.terms().sends_per_minute;
        let ok = take(&self.sends, (now, MINUTE_NS), count, most);
        ok.then_some(()).ok_or_else(codes::too_many_requests)
    }

    /// Takes one client message from the budgets.
    ///
    /// # Errors
    /// 30010 where too many are unanswered, 30009 when the minute's budget is used up.
    pub fn take_message(&self) -> Result<(), Refusal> {
        let now = self.floor.now();
        let options = &self.options;
        let flight = (now, IN_FLIGHT_NS);
        if !take(&self.in_flight, flight, 1, options.messages_in_flight) {
            return Err(codes::WS_IN_FLIGHT);
        }
        let minute = (now, MINUTE_NS);
        let ok = take(&self.messages, minute, 1, options.messages_per_minute);
        ok.then_some(()).ok_or(codes::WS_RATE)
    }

    /// Judges an auth token and gives the account it speaks for.
    ///
    /// # Errors
    /// 20013 with HTTP 401 and the reason.
    pub fn authenticate(&self, token: &str) -> Result<u64, Refusal> {
        let unreadable = || codes::auth("invalid auth string");
        let (text, signature) = token.rsplit_once(':').ok_or_else(unreadable)?;
        let signature = sign::unhex(signature).ok_or_else(unreadable)?;
        let parts: Option<Vec<u64>> = text.split(':').map(|part| part.parse().ok()).collect();
        let [deadline_s, account, key] = parts.unwrap_or_default()[..] else {
            return Err(unreadable());
        };
        let now_s = self.floor.now().epoch_ms() / 1000;
        if deadline_s <= now_s || deadline_s > now_s + TOKEN_SECONDS_MAX {
            return Err(codes::auth("invalid deadline"));
        }
        if account != self.credentials.account_index {
            return Err(codes::auth("invalid account index"));
        }
        let slots = lock(&self.slots);
        let slot = slots.iter().find(|slot| u64::from(slot.index) == key);
        let slot = slot.ok_or_else(|| codes::auth("api key not found"))?;
        let ok = sign::verify(&slot.public_key, &sign::token_hash(text), &signature);
        ok.then_some(account)
            .ok_or_else(|| codes::auth("invalid signature"))
    }
}

/// Locks a mutex; a panic elsewhere must not take the venue down with it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sliding window, not a bucket: a burst at the turn of a minute does not pass.
fn take(
    taken: &Mutex<VecDeque<Nanos>>,
    (now, span_ns): (Nanos, u64),
    count: usize,
    limit: usize,
) -> bool {
    let mut taken = lock(taken);
    while taken.front().is_some_and(|at| now.since(*at) >= span_ns) {
        taken.pop_front();
    }
    let ok = taken.len() + count <= limit;
    if ok {
        taken.extend(std::iter::repeat_n(now, count));
    }
    ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_slides_with_the_minute() {
        let taken = Mutex::default();
        let at = |second: u64| (Nanos(second * SECOND), MINUTE_NS);
        for second in 0..3 {
            assert!(take(&taken, at(second), 1, 3));
        }
        assert!(!take(&taken, at(59), 1, 3));
        assert!(take(&taken, at(60), 1, 3));
        assert!(!take(&taken, at(60), 1, 3));
        assert!(!take(&taken, at(500), 4, 3));
    }
}
