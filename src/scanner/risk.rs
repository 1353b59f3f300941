//! May we, and how much: the limits of a run and the pure rules that apply them.
//!
//! Everything here is a plain value and a pure function of what the venues last said. Exposure in
//! flight counts as if it had filled. Each answer is a size together with the limit that bound it,
//! or the one reason for a refusal.
//!
//! Refuses: to know books, edges or pairs; those are other rooms.

use crate::market::book::Side;
use crate::market::event::Reason;
use crate::market::order::{Report, ReportKind};
use crate::market::units::{Bps, MS, Nanos, Notional, Price, SECOND, Size};
use crate::market::{InstrumentId, Market, VENUE_COUNT, Venue};
use crate::scanner::margin::{Equity, Levels};
use crate::scanner::{breaker, edge, ramp};

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
    /// Most notional per market and venue, 10^-4 of the smaller venue's equity.
    pub equity_share_e4: u32,
    /// Free balance that each venue must have for every dollar of liquidity taken there, 10^-4; 0
    /// is off. Larger: smaller pairs, more in reserve for what comes after.
    pub balance_ratio_e4: u32,
    /// Distances to liquidation, and what is done at each.
    pub margin: Levels,
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
    /// Least probability that an entry's first order fills at its limit, in 10^-4; 0 asks for none.
    pub fill_min_e4: u32,
    /// What opens the circuit breakers.
    pub breaker: breaker::Limits,
    /// How a market's size is earned.
    pub ramp: ramp::Limits,
    /// What edges are made of.
    pub edge: edge::Settings,
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
            equity_share_e4: 10_000,
            balance_ratio_e4: 0,
            margin: Levels::default(),
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
            fill_min_e4: 0,
            breaker: breaker::Limits::default(),
            ramp: ramp::Limits::default(),
            edge: edge::Settings::DEFAULT,
        }
    }
}

/// Orders sent within the last minute, exactly, so that no burst can break a venue's budget.
pub struct Budget {
    sent: Box<[Nanos]>,
    oldest_idx: usize,
    len: usize,
    /// How many may be, no more than there is room for.
    most: usize,
}

impl Budget {
    /// For so many orders a minute.
    pub fn new(per_minute: u32) -> Budget {
        Budget {
            sent: vec![Nanos::ZERO; per_minute.max(1) as usize].into_boxed_slice(),
            oldest_idx: 0,
            len: 0,
            most: per_minute.max(1) as usize,
        }
    }

    /// So many a minute from now on, but never more than it was made for.
    #[cold]
    pub fn allow(&mut self, per_minute: u32) {
        self.most = (per_minute as usize).clamp(1, self.sent.len());
    }

    /// Orders that may still leave in the minute that ends now.
    pub fn left(&mut self, now: Nanos) -> usize {
        while self.len > 0 && now.since(self.sent[self.oldest_idx]) >= BUDGET_WINDOW_NS {
            self.forget_oldest();
        }
        self.most.saturating_sub(self.len)
    }

    /// Counts an order. Risk-reducing orders are counted even where nothing is left: the gateway,
    /// not this count, refuses those.
    pub fn spend(&mut self, now: Nanos) {
        if self.left(now) == 0 && self.len == self.sent.len() {
            self.forget_oldest();
        }
        let next = self.around(self.oldest_idx + self.len);
        self.sent[next] = now;
        self.len += 1;
    }

    fn forget_oldest(&mut self) {
        self.oldest_idx = self.around(self.oldest_idx + 1);
        self.len -= 1;
    }

    /// A place, or one round further, without a division.
    #[inline]
    fn around(&self, idx: usize) -> usize {
        match idx < self.sent.len() {
            true => idx,
            false => idx - self.sent.len(),
        }
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
    /// Collateral and unrealised profit.
    pub equity: Equity,
    positions: Box<[Option<Size>]>,
    queue: Box<[u8]>,
}

impl Account {
    /// Nothing heard yet, for so many instruments.
    pub fn new(instruments: usize) -> Account {
        Account {
            is_up: false,
            available: None,
            equity: Equity::default(),
            positions: vec![None; instruments].into_boxed_slice(),
            queue: vec![0; instruments].into_boxed_slice(),
        }
    }

    /// Takes what concerns the account from a report; order reports are left alone.
    pub fn hear(&mut self, report: &Report) {
        match report.kind {
            ReportKind::Up => self.is_up = true,
            ReportKind::Down => {
                self.is_up = false;
                self.equity.lose();
            }
            ReportKind::Balance { equity, available } => {
                self.available = Some(available);
                self.equity.hear(equity, report.t);
            }
            ReportKind::Queue { rank } => {
                if let Some(known) = self.queue.get_mut(report.instrument.idx()) {
                    *known = rank;
                }
            }
            ReportKind::Position { size } => {
                let idx = report.instrument.idx();
                if let Some(position) = self.positions.get_mut(idx) {
                    *position = Some(size);
                    // Who holds nothing stands in no queue.
                    self.queue[idx] *= u8::from(size.0 != 0);
                }
            }
            ReportKind::Sent
            | ReportKind::NotSent { .. }
            | ReportKind::Acknowledged
            | ReportKind::Rejected { .. }
            | ReportKind::Fill { .. }
            | ReportKind::Forced { .. }
            | ReportKind::Funding { .. }
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

    /// Our place in the venue's deleveraging queue on a market: 1 to 4, 4 is taken first; 0 where
    /// the venue says nothing.
    pub fn queue_rank(&self, instrument: InstrumentId) -> u8 {
        self.queue.get(instrument.idx()).copied().unwrap_or(0)
    }
}

/// What an entry on one market stands on; arrays are by venue.
pub struct Ground<'a> {
    /// The market on each venue.
    pub markets: &'a [Market; VENUE_COUNT],
    /// The side on which each leg opens.
    pub sides: [Side; VENUE_COUNT],
    /// The venue's own mark, where it is known.
    pub marks: [Option<Price>; VENUE_COUNT],
    /// Size open or on its way on this market, worst case.
    pub open: [Size; VENUE_COUNT],
    /// Notional open or on its way over all markets and both venues.
    pub gross: Notional,
    /// Free margin, less what is on its way and not yet taken from it.
    pub free: [Notional; VENUE_COUNT],
    /// The share of the smaller venue's equity that one market may have on either.
    pub share: Notional,
    /// While money is on its way between the venues: what it leaves for more positions.
    pub staying: [Option<Notional>; VENUE_COUNT],
    /// Equity that no position needs at the distance where entries stop, 10^-27 of a dollar, and
    /// what a position takes of it for each 10^-18 of its value.
    pub spare_e9: [(i128, i64); VENUE_COUNT],
}

/// The smallest of several limits, and which it was.
#[derive(Clone, Copy)]
struct Least {
    room: Notional,
    reason: Reason,
}

impl Least {
    #[inline]
    fn bind(&mut self, room: Notional, reason: Reason) {
        if room < self.room {
            *self = Least { room, reason };
        }
    }

    #[inline]
    fn bind_some(&mut self, room: Option<Notional>, reason: Reason) {
        if let Some(room) = room {
            self.bind(room, reason);
        }
    }
}

/// Largest size that every limit allows at these prices (the worst ones the orders may pay), and
/// the limit that bound it; of equal ones the first. The free margin must carry the whole notional:
/// a higher leverage at the venue is reserve, not room.
///
/// All limits of a venue are amounts of money, so that one division a venue turns the smallest of
/// them into a size, and none where the other venue has bound more tightly already.
pub fn room(limits: &Limits, ground: &Ground<'_>, prices: [Price; VENUE_COUNT]) -> (Size, Reason) {
    let mut best = (Size(i64::MAX), Reason::MaxPosition);
    let mut bound = |least: Least, price: i64| {
        if i128::from(price) * i128::from(best.0.0) > least.room.0 {
            let size = least.room.0.max(0).checked_div(i128::from(price));
            best = (Size(size.unwrap_or(0) as i64), least.reason);
        }
    };
    for (idx, price) in prices.into_iter().enumerate() {
        let bounds = &ground.markets[idx].bounds;
        let takes = |mark| bounds.takes_price(ground.sides[idx], price, mark);
        if !ground.marks[idx].is_none_or(takes) {
            return (Size::ZERO, Reason::OpenInterest);
        }
        let open = price * ground.open[idx];
        let mut least = Least {
            room: limits.position_max - open,
            reason: Reason::MaxPosition,
        };
        least.bind(ground.free[idx], Reason::Margin);
        least.bind(ground.share - open, Reason::EquityShare);
        if limits.balance_ratio_e4 > 0 {
            let carried = ground.free[idx].0 / i128::from(limits.balance_ratio_e4) * 10_000;
            least.bind(Notional(carried), Reason::BalanceRatio);
        }
        least.bind_some(ground.staying[idx], Reason::Transfer);
        least.bind_some(bounds.order_value_max, Reason::OpenInterest);
        let position_left = bounds.position_value_max.map(|most| most - open);
        least.bind_some(position_left, Reason::OpenInterest);
        least.bind_some(bounds.open_interest_left, Reason::OpenInterest);
        // What the position takes of the margin, against what there is; no more than the limits
        // before allow, so that the product stays in range.
        let (spare_e9, rate) = ground.spare_e9[idx];
        if least.room.0.max(0) * i128::from(rate) > spare_e9 {
            let spare = spare_e9.checked_div(rate.into()).unwrap_or(0);
            least.bind(Notional(spare), Reason::MarginDistance);
        }
        bound(least, price.0);
    }
    let gross = Least {
        room: limits.gross_max - ground.gross,
        reason: Reason::MaxGross,
    };
    bound(gross, prices[0].0.saturating_add(prices[1].0));
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Bounds, Name, VENUES};
    use proptest::prelude::*;

    const USD_100: Price = Price(100_000_000_000);
    const UNIT: i64 = 1_000_000_000;

    fn usd(usd: i64) -> Notional {
        Notional::from_usd(usd)
    }

    fn markets(bounds: [Bounds; VENUE_COUNT]) -> [Market; VENUE_COUNT] {
        VENUES.map(|venue| Market {
            venue,
            instrument: InstrumentId(0),
            name: Name::new("BTC").unwrap(),
            venue_market: 1,
            tick: Price(1),
            lot: Size(1),
            size_min: Size(1),
            notional_min: Notional::ZERO,
            fee_taker: Bps::ZERO,
            fee_maker: Bps::ZERO,
            bounds: bounds[venue.idx()],
        })
    }

    /// Nothing open, money enough for anything, no limit of any venue.
    fn ground(markets: &[Market; VENUE_COUNT]) -> Ground<'_> {
        Ground {
            markets,
            sides: [Side::Bid, Side::Ask],
            marks: [None; VENUE_COUNT],
            open: [Size::ZERO; VENUE_COUNT],
            gross: Notional::ZERO,
            free: [usd(9_000); VENUE_COUNT],
            share: usd(9_000),
            staying: [None; VENUE_COUNT],
            spare_e9: [(usd(9_000).0 * i128::from(UNIT), UNIT); VENUE_COUNT],
        }
    }

    /// Each limit alone, on either venue: the size that it leaves, and its name.
    #[test]
    fn the_tightest_limit_binds_and_is_named() {
        type Change = fn(&mut Limits, &mut Ground<'_>, &mut [Bounds; VENUE_COUNT]);
        let cases: [(Change, i64, Reason); 16] = [
            (|_, _, _| {}, 5_000, Reason::MaxPosition),
            (
                |_, g, _| g.open[1] = Size(2 * UNIT),
                3_000,
                Reason::MaxPosition,
            ),
            (|_, g, _| g.free[1] = usd(200), 2_000, Reason::Margin),
            (|_, g, _| g.free[0] = usd(-5), 0, Reason::Margin),
            (|_, g, _| g.gross = usd(1_900), 500, Reason::MaxGross),
            (|_, g, _| g.gross = usd(2_900), 0, Reason::MaxGross),
            (|_, g, _| g.share = usd(100), 1_000, Reason::EquityShare),
            (
                |_, g, _| g.staying[1] = Some(usd(70)),
                700,
                Reason::Transfer,
            ),
            (|_, g, _| g.staying[0] = Some(usd(-1)), 0, Reason::Transfer),
            (
                |l, g, _| (l.balance_ratio_e4, g.free[0]) = (40_000, usd(600)),
                1_500,
                Reason::BalanceRatio,
            ),
            (
                |_, _, b| b[1].order_value_max = Some(usd(70)),
                700,
                Reason::OpenInterest,
            ),
            (
                |_, g, b| {
                    b[0].position_value_max = Some(usd(300));
                    g.open[0] = Size(UNIT);
                },
                2_000,
                Reason::OpenInterest,
            ),
            (
                |_, _, b| b[0].open_interest_left = Some(usd(9)),
                90,
                Reason::OpenInterest,
            ),
            (
                |_, g, b| {
                    b[0].price_cap_e9 = Some(UNIT / 20);
                    g.marks[0] = Some(Price(95 * UNIT));
                },
                0,
                Reason::OpenInterest,
            ),
            (
                |_, g, _| g.spare_e9[1] = (usd(40).0 * i128::from(UNIT), UNIT / 10),
                4_000,
                Reason::MarginDistance,
            ),
            (|_, g, _| g.spare_e9[0].0 = -1, 0, Reason::MarginDistance),
        ];
        for (change, milli, reason) in cases {
            let mut limits = Limits::default();
            let mut bounds = [Bounds::default(); VENUE_COUNT];
            let unbound = markets(bounds);
            let mut unbound = ground(&unbound);
            change(&mut limits, &mut unbound, &mut bounds);
            let markets = markets(bounds);
            let changed = Ground {
                markets: &markets,
                ..unbound
            };
            let bound = room(&limits, &changed, [USD_100; 2]);
            assert_eq!(bound, (Size(milli * UNIT / 1_000), reason));
        }
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

        /// Beside floats that divide at every limit: the size is the largest that all allow.
        #[test]
        fn the_room_is_the_smallest_of_all_limits(
            cents in prop::array::uniform2(1_i64..10_000_000),
            open_milli in prop::array::uniform2(0_i64..3_000),
            usd_of in prop::collection::vec(-50_i64..2_000, 9),
            ratio_e4 in 0_u32..50_000,
            rate in 1_000_000_i64..2_000_000_000,
        ) {
            let mut bounds = [Bounds::default(); VENUE_COUNT];
            bounds[0].order_value_max = Some(usd(usd_of[0].abs() + 1));
            bounds[1].open_interest_left = Some(usd(usd_of[1].abs()));
            let markets = markets(bounds);
            let limits = Limits { balance_ratio_e4: ratio_e4, ..Limits::default() };
            let prices = cents.map(|cents| Price(cents * UNIT / 100));
            let ground = Ground {
                open: open_milli.map(|milli| Size(milli * UNIT / 1_000)),
                gross: usd(usd_of[2]),
                free: [usd(usd_of[3]), usd(usd_of[4])],
                share: usd(usd_of[5]),
                staying: [None, Some(usd(usd_of[8]))],
                spare_e9: [6, 7].map(|at| (usd(usd_of[at]).0 * i128::from(UNIT), rate)),
                ..ground(&markets)
            };
            let (size, reason) = room(&limits, &ground, prices);

            let mut naive = vec![(2_000.0 - usd_of[2] as f64)
                / cents.iter().map(|cents| *cents as f64 / 100.0).sum::<f64>()];
            naive.push(usd_of[8] as f64 / (cents[1] as f64 / 100.0));
            for idx in 0..VENUE_COUNT {
                let price = cents[idx] as f64 / 100.0;
                let open = price * open_milli[idx] as f64 / 1_000.0;
                let free = usd_of[3 + idx] as f64;
                naive.push((500.0 - open) / price);
                naive.push((usd_of[5] as f64 - open) / price);
                naive.push(free / price);
                if ratio_e4 > 0 {
                    naive.push(free / (f64::from(ratio_e4) / 10_000.0) / price);
                }
                naive.push(usd_of[6 + idx] as f64 / (rate as f64 / 1e9) / price);
            }
            naive.push((usd_of[0].abs() + 1) as f64 / (cents[0] as f64 / 100.0));
            naive.push(usd_of[1].abs() as f64 / (cents[1] as f64 / 100.0));
            let naive = naive.into_iter().fold(f64::MAX, f64::min).max(0.0);
            let ours = size.0 as f64 / 1e9;
            prop_assert!((ours - naive).abs() <= 2e-9 + naive * 1e-9, "{ours} {naive} {reason:?}");
        }
    }
}
