//! What the totals are made of: orders, fills, money and exposure, each counted in one place.
//!
//! Promises: sums of money are exact. Refuses: floats, which are for whoever prints.

use crate::market::VENUE_COUNT;
use crate::market::event::PairSummary;
use crate::market::order::{OrderState, Signing};
use crate::market::units::Notional;
use crate::record::names;

/// What lone legs risked, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// What stood alone times how long, all together, USD-seconds.
    pub usd_s: Notional,
    /// Most of any of them that stood alone at any moment, without and with a venue's taking a leg
    /// away meanwhile.
    pub most: [Notional; 2],
    /// Least that any of them was worth meanwhile; negative is a loss. Zero before the first.
    pub worst: Notional,
    /// Most that any of them was worth.
    pub best: Notional,
}

/// Orders of one venue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCounts {
    /// Bytes left.
    pub sent: u64,
    /// The venue took it.
    pub working: u64,
    /// All of it traded.
    pub filled: u64,
    /// Over, perhaps after partial fills.
    pub cancelled: u64,
    /// Refused by the venue.
    pub rejected: u64,
    /// Became unknown at some time.
    pub unknown: u64,
    /// Never left, by the gateway's reason.
    pub not_sent: [u64; names::REFUSALS.len()],
}

/// Signatures by the way they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignedCounts {
    /// The whole order was signed before it was asked for.
    pub ready: u64,
    /// From a prepared nonce point.
    pub ahead: u64,
    /// In full.
    pub full: u64,
}

/// Fills of one venue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FillCounts {
    /// Trades.
    pub count: u64,
    /// Price times size of all of them.
    pub notional: Notional,
    /// Fees paid.
    pub fees: Notional,
}

/// Money by cause, positive is ours but for `fees`: `total = edge + slippage - fees + funding +
/// repair`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// What the books promised.
    pub edge: Notional,
    /// Fills against that promise.
    pub slippage: Notional,
    /// Fees paid, positive.
    pub fees: Notional,
    /// Funding received.
    pub funding: Notional,
    /// Cost of unwinding and re-hedging.
    pub repair: Notional,
    /// What was made.
    pub total: Notional,
}

impl Money {
    pub(super) fn add(&mut self, pair: &PairSummary) {
        self.edge += pair.edge;
        self.slippage += pair.slippage;
        self.fees += pair.fees;
        self.funding += pair.funding;
        self.repair += pair.repair;
        self.total += pair.total;
    }

    /// The parts add up to the total.
    pub fn is_balanced(&self) -> bool {
        self.edge + self.slippage - self.fees + self.funding + self.repair == self.total
    }
}

impl Exposure {
    /// Adds one lone leg to those `before` it; the first one sets both bounds.
    pub(super) fn add(&mut self, before: u64, [usd_s, worst, best]: [Notional; 3]) {
        self.usd_s += usd_s;
        self.worst = if before == 0 {
            worst
        } else {
            self.worst.min(worst)
        };
        self.best = if before == 0 {
            best
        } else {
            self.best.max(best)
        };
    }
}

impl Exposure {
    /// So much of it stood alone at most.
    pub(super) fn add_most(&mut self, most: Notional, is_forced: bool) {
        let known = &mut self.most[usize::from(is_forced)];
        *known = most.max(*known);
    }
}

impl SignedCounts {
    pub(super) fn add(&mut self, how: Signing) {
        match how {
            Signing::Ready => self.ready += 1,
            Signing::Ahead => self.ahead += 1,
            Signing::Full => self.full += 1,
            Signing::Unsigned => {}
        }
    }

    /// Of both venues together.
    pub fn sum([extended, lighter]: [SignedCounts; VENUE_COUNT]) -> SignedCounts {
        SignedCounts {
            ready: extended.ready + lighter.ready,
            ahead: extended.ahead + lighter.ahead,
            full: extended.full + lighter.full,
        }
    }
}

impl OrderCounts {
    pub(super) fn add(&mut self, state: OrderState) {
        match state {
            // Counted when it was sent.
            OrderState::Sent => {}
            OrderState::Working => self.working += 1,
            OrderState::Filled => self.filled += 1,
            OrderState::Cancelled => self.cancelled += 1,
            OrderState::Rejected => self.rejected += 1,
            OrderState::Unknown => self.unknown += 1,
        }
    }
}
