//! May we, and how much: the limits of a run and the pure rules that apply them.
//!
//! Everything here is a plain value and a pure function of what the venues last said. Exposure in
//! flight counts as if it had filled. Each answer is a size together with the limit that bound it,
//! or the one reason for a refusal.
//!
//! Refuses: to know books, edges or pairs; those are other rooms.

use crate::market::event::Reason;
use crate::market::order::{Report, ReportKind};
use crate::market::units::{Bps, MS, Nanos, Notional, Price, SECOND, Size};
use crate::market::{InstrumentId, VENUE_COUNT, Venue};

/// Most pair slots per instrument.
pub const SLOTS_MAX: usize = 4;
/// The window of the venues' order budgets.
const BUDGET_WINDOW_NS: u64 = 60 * SECOND;
/// Orders held back on each venue for every open pair: its exit and one repair.
const TOKENS_KEPT: usize = 2;

/// The venue that holds takers back.
pub const SLOW: Venue = Venue::Lighter;

/// Which leg of a pair goes out first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegOrder {
    /// Learned on each market and direction (`order_of_legs`).
    Auto,
    /// The venue that holds takers back (Lighter) first; the other on its fills.
    SlowFirst,
    /// The other way round.
    FastFirst,
    /// Both at the same moment.
    Both,
}

impl LegOrder {
    /// The venue whose leg leads; `None` when both go at once. Slow first while nothing is learned:
    /// the slow leg is the uncertain one, and nothing stands alone while it waits.
    pub const fn lead(self) -> Option<Venue> {
        match self {
            LegOrder::Auto | LegOrder::SlowFirst => Some(SLOW),
            LegOrder::FastFirst => Some(SLOW.other()),
            LegOrder::Both => None,
        }
    }
}

/// The limits of a run, built by the configuration. Durations in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries are allowed at all.
    pub entries_enabled: bool,
    /// Smallest gross edge over the fair. Larger: fewer, better pairs.
    pub gross_min: Bps,
    /// Smallest net edge after all four legs.
    pub net_min: Bps,
    /// A pair is left when its executable exit stands this close to its fair. Larger: sooner out,
    /// less of the edge.
    pub exit_over_fair: Bps,
    /// Most notional per market and venue, in flight included.
    pub position_max: Notional,
    /// Most notional over all markets and both venues.
    pub gross_max: Notional,
    /// How much of a visible level does not count, in 10^-4. Smaller: bigger pairs, more slippage.
    pub depth_haircut_e4: u32,
    /// An edge above this is not believed.
    pub plausible_max: Bps,
    /// A book without a message for this long is stale.
    pub stale_after_ns: u64,
    /// What an order may pay beyond the worst price walked. Larger: more fills, worse ones.
    pub slippage: Bps,
    /// How far beyond the touch a hedge may go; an unwind widens it with each try.
    pub hedge_band: Bps,
    /// Window of the fair's median.
    pub fair_window_ns: u64,
    /// Samples (one each 100 ms) before the fair is known.
    pub fair_samples_min: u32,
    /// An edge that stays for this long is a new fair.
    pub regime_after_ns: u64,
    /// Stop-loss per pair, bps of its notional, on executable prices.
    pub stop: Bps,
    /// A pair is left after this long.
    pub hold_max_ns: u64,
    /// Pairs an instrument may have at once, `1..=SLOTS_MAX`.
    pub slots: usize,
    /// Which leg goes first.
    pub leg_order: LegOrder,
    /// From sending an order to its match, by venue. Larger than it is: an order of legs is valued
    /// by prices that come later than its fills.
    pub match_delay_ns: [u64; VENUE_COUNT],
    /// An order unanswered for this long is unknown and is asked about.
    pub order_timeout_ns: u64,
    /// Rest of an instrument after a pair has ended or missed.
    pub cooldown_ns: u64,
    /// Orders a minute each venue takes from us, by venue. Kept over a sliding minute.
    pub orders_per_minute: [u32; VENUE_COUNT],
}

impl Default for Limits {
    /// 500 USD a market, 2,000 USD in all, 3 bps gross and 1 bps net at least; out at 0.5 bps over
    /// the fair, at 40 bps of loss, or after 15 minutes. Entries are on: whoever builds the limits
    /// of a real run decides that.
    fn default() -> Limits {
        Limits {
            entries_enabled: true,
            gross_min: Bps::from_milli(3_000),
            net_min: Bps::from_milli(1_000),
            exit_over_fair: Bps::from_milli(500),
            position_max: Notional::from_usd(500),
            gross_max: Notional::from_usd(2_000),
            depth_haircut_e4: 5_000,
            plausible_max: Bps::from_milli(100_000),
            stale_after_ns: 5 * SECOND,
            slippage: Bps::from_milli(500),
            hedge_band: Bps::from_milli(30_000),
            fair_window_ns: 600 * SECOND,
            fair_samples_min: 100,
            regime_after_ns: 60 * SECOND,
            stop: Bps::from_milli(40_000),
            hold_max_ns: 900 * SECOND,
            slots: SLOTS_MAX,
            leg_order: LegOrder::SlowFirst,
            match_delay_ns: [10 * MS, 350 * MS],
            order_timeout_ns: 3 * SECOND,
            cooldown_ns: SECOND,
            orders_per_minute: [800, 40],
        }
    }
}

/// Orders sent within the last minute, exactly, so that no burst can break a venue's budget.
pub struct Budget {
    sent: Box<[Nanos]>,
    oldest_idx: usize,
    len: usize,
}

impl Budget {
    /// For so many orders a minute.
    pub fn new(per_minute: u32) -> Budget {
        Budget {
            sent: vec![Nanos::ZERO; per_minute.max(1) as usize].into_boxed_slice(),
            oldest_idx: 0,
            len: 0,
        }
    }

    /// Orders that may still leave in the minute that ends now.
    pub fn left(&mut self, now: Nanos) -> usize {
        while self.len > 0 && now.since(self.sent[self.oldest_idx]) >= BUDGET_WINDOW_NS {
            self.oldest_idx = (self.oldest_idx + 1) % self.sent.len();
            self.len -= 1;
        }
        self.sent.len() - self.len
    }

    /// Counts an order. Risk-reducing orders are counted even where nothing is left: the gateway,
    /// not this count, refuses those.
    pub fn spend(&mut self, now: Nanos) {
        if self.left(now) == 0 {
            self.oldest_idx = (self.oldest_idx + 1) % self.sent.len();
            self.len -= 1;
        }
        let next = (self.oldest_idx + self.len) % self.sent.len();
        self.sent[next] = now;
        self.len += 1;
    }

    /// Whether an entry may be sent while `pairs_open` pairs may still need their exit and a
    /// repair, and `awaited` of them have yet to send their first order here. The entry itself may
    /// take one order on either venue, and what it will need is kept from the start: the reserve is
    /// there for orders that make exposure smaller, and no entry ever takes from it.
    pub fn allows_entry(&mut self, now: Nanos, pairs_open: usize, awaited: usize) -> bool {
        self.left(now) > TOKENS_KEPT * (pairs_open + 1) + awaited
    }
}

/// What a venue last said about our account there.
pub struct Account {
    /// Its gateway's streams are live.
    pub is_up: bool,
    /// Money free for new positions; `None` before the venue's first word.
    pub available: Option<Notional>,
    positions: Box<[Option<Size>]>,
}

impl Account {
    /// Nothing heard yet, for so many instruments.
    pub fn new(instruments: usize) -> Account {
        Account {
            is_up: false,
            available: None,
            positions: vec![None; instruments].into_boxed_slice(),
        }
    }

    /// Takes what concerns the account from a report; order reports are left alone.
    pub fn hear(&mut self, report: &Report) {
        match report.kind {
            ReportKind::Up => self.is_up = true,
            ReportKind::Down => self.is_up = false,
            ReportKind::Balance { available, .. } => self.available = Some(available),
            ReportKind::Position { size } => {
                if let Some(position) = self.positions.get_mut(report.instrument.idx()) {
                    *position = Some(size);
                }
            }
            ReportKind::Sent
            | ReportKind::NotSent { .. }
            | ReportKind::Acknowledged
            | ReportKind::Rejected { .. }
            | ReportKind::Fill { .. }
            | ReportKind::Forced { .. }
            | ReportKind::Closed { .. }
            | ReportKind::State { .. } => {}
        }
    }

    /// Signed position by the venue. A venue that has spoken of our money but not of this market
    /// holds nothing there: both list what is held. `None` before any word.
    pub fn position(&self, instrument: InstrumentId) -> Option<Size> {
        let flat = self.available.map(|_| Size::ZERO);
        self.positions.get(instrument.idx()).copied()?.or(flat)
    }
}

/// Exposure that stands against the limits, worst case.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exposure {
    /// Size open or on its way on this market, by venue.
    pub market: [Size; VENUE_COUNT],
    /// Notional on its way in on this venue, not yet taken from the free margin, by venue.
    pub pending: [Notional; VENUE_COUNT],
    /// Notional open or on its way over all markets and both venues.
    pub gross: Notional,
}

/// Largest size that every limit allows at these prices (the worst ones the orders may pay), and
/// the limit that bound it. The free margin must carry the whole notional: a higher leverage at
/// the venue is reserve, not room.
pub fn room(
    limits: &Limits,
    accounts: &[Account; VENUE_COUNT],
    exposure: &Exposure,
    prices: [Price; VENUE_COUNT],
) -> (Size, Reason) {
    let mut best = (Size(i64::MAX), Reason::MaxPosition);
    let mut bound = |room: Notional, price: i64, reason: Reason| {
        let size = room.0.max(0).checked_div(i128::from(price)).unwrap_or(0);
        let size = Size(i64::try_from(size).unwrap_or(i64::MAX));
        if size < best.0 {
            best = (size, reason);
        }
    };
    for idx in 0..VENUE_COUNT {
        let open = prices[idx] * exposure.market[idx];
        bound(
            limits.position_max - open,
            prices[idx].0,
            Reason::MaxPosition,
        );
        let free = accounts[idx].available.unwrap_or(Notional::ZERO) - exposure.pending[idx];
        bound(free, prices[idx].0, Reason::Margin);
    }
    let both = prices[0].0.saturating_add(prices[1].0);
    bound(limits.gross_max - exposure.gross, both, Reason::MaxGross);
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USD_100: Price = Price(100_000_000_000);

    fn accounts(available: [i64; 2]) -> [Account; 2] {
        available.map(|usd| {
            let mut account = Account::new(1);
            account.available = Some(Notional::from_usd(usd));
            account
        })
    }

    #[test]
    fn the_tightest_limit_binds_and_is_named() {
        let limits = Limits::default();
        let none = Exposure::default();
        let open = Exposure {
            market: [Size(1_000_000_000), Size(2_000_000_000)],
            pending: [Notional::ZERO, Notional::from_usd(50)],
            gross: Notional::from_usd(300),
        };
        let crowded = Exposure {
            gross: Notional::from_usd(1_900),
            ..none
        };
        let over = Exposure {
            gross: Notional::from_usd(2_900),
            ..none
        };
        for (available, exposure, size, reason) in [
            ([9_000, 9_000], none, 5_000_000_000, Reason::MaxPosition),
            ([9_000, 9_000], open, 3_000_000_000, Reason::MaxPosition),
            ([9_000, 200], none, 2_000_000_000, Reason::Margin),
            ([9_000, 200], open, 1_500_000_000, Reason::Margin),
            ([9_000, 9_000], crowded, 500_000_000, Reason::MaxGross),
            ([9_000, 9_000], over, 0, Reason::MaxGross),
        ] {
            let bound = room(&limits, &accounts(available), &exposure, [USD_100; 2]);
            assert_eq!(bound, (Size(size), reason));
        }
        let unheard = [Account::new(1), Account::new(1)];
        let bound = room(&limits, &unheard, &none, [USD_100; 2]);
        assert_eq!(bound, (Size::ZERO, Reason::Margin));
    }

    #[test]
    fn a_budget_holds_over_any_minute() {
        let mut budget = Budget::new(5);
        let start = Nanos(1_000 * SECOND);
        for second in 0..5 {
            assert_eq!(
                budget.left(start.plus(second * SECOND)),
                5 - second as usize
            );
            budget.spend(start.plus(second * SECOND));
        }
        assert_eq!(budget.left(start.plus(59 * SECOND)), 0);
        assert_eq!(budget.left(start.plus(60 * SECOND)), 1);
        assert_eq!(budget.left(start.plus(62 * SECOND)), 3);
        assert!(budget.allows_entry(start.plus(62 * SECOND), 0, 0));
        assert!(!budget.allows_entry(start.plus(62 * SECOND), 0, 1));
        assert!(!budget.allows_entry(start.plus(62 * SECOND), 1, 0));
        // Over the budget the count stays full; the oldest is forgotten.
        for _ in 0..9 {
            budget.spend(start.plus(63 * SECOND));
        }
        assert_eq!(budget.left(start.plus(64 * SECOND)), 0);
    }

    #[test]
    fn accounts_keep_the_venues_last_word() {
        let mut account = Account::new(2);
        let mut say = |instrument, kind| {
            account.hear(&Report {
                venue: Venue::Lighter,
                instrument: InstrumentId(instrument),
                order: crate::market::order::OrderId::NONE,
                t: Nanos::ZERO,
                kind,
            });
            (
                account.is_up,
                account.position(InstrumentId(0)),
                account.position(InstrumentId(1)),
            )
        };
        assert_eq!(say(0, ReportKind::Up), (true, None, None));
        let long = ReportKind::Position { size: Size(5) };
        assert_eq!(say(1, long), (true, None, Some(Size(5))));
        assert_eq!(say(9, long), (true, None, Some(Size(5))));
        assert_eq!(say(0, ReportKind::Down), (false, None, Some(Size(5))));
    }

    #[test]
    fn the_slow_venue_leads_by_default() {
        assert_eq!(Limits::default().leg_order.lead(), Some(Venue::Lighter));
        assert_eq!(LegOrder::Auto.lead(), Some(Venue::Lighter));
        assert_eq!(LegOrder::FastFirst.lead(), Some(Venue::Extended));
        assert_eq!(LegOrder::Both.lead(), None);
    }

    proptest! {
        /// Whatever the order of entries, second legs and ends, entries leave each open pair its
        /// exit and one repair, and its second leg where that is yet to come.
        #[test]
        fn no_entry_takes_from_the_reserve(
            per_minute in 1_u32..60,
            steps in prop::collection::vec((0_u8..4, 0_u64..4_000), 1..300),
        ) {
            let mut budget = Budget::new(per_minute);
            let mut sent: Vec<Nanos> = Vec::new();
            let mut now = Nanos(1_000 * SECOND);
            // Pairs whose order here is out, and pairs that have yet to send it.
            let (mut out, mut awaited) = (0_usize, 0_usize);
            for (deed, ms) in steps {
                now = now.plus(ms * MS);
                let left = |sent: &[Nanos]| {
                    let recent = sent.iter().filter(|t| now.since(**t) < 60 * SECOND).count();
                    (per_minute as usize).saturating_sub(recent)
                };
                prop_assert_eq!(budget.left(now), left(&sent));
                match deed {
                    // An entry whose first leg is here, or on the other venue.
                    0 | 1 if budget.allows_entry(now, out + awaited, awaited) => {
                        match deed {
                            0 => {
                                budget.spend(now);
                                sent.push(now);
                                out += 1;
                            }
                            _ => awaited += 1,
                        }
                    }
                    2 if awaited > 0 => {
                        budget.spend(now);
                        sent.push(now);
                        (out, awaited) = (out + 1, awaited - 1);
                    }
                    3 if out > 0 => {
                        budget.spend(now);
                        sent.push(now);
                        out -= 1;
                    }
                    _ => {}
                }
                let kept = TOKENS_KEPT * (out + awaited) + awaited;
                prop_assert!(left(&sent) >= kept, "{} left, {} kept", left(&sent), kept);
            }
        }
    }
}
