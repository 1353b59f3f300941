//! Trading on paper: orders that were signed and went nowhere meet the mirror books, and what comes
//! of them is heard by the same ears as a venue's word.
//!
//! An order is matched at the first turn from its gateway's `Sent` and the venue's own delay on,
//! before that turn's market data: immediate-or-cancel, at its limit, against what the mirror shows
//! less what our fills have taken before (`holes.rs`), for the market's taker fee. Promises: orders
//! that the venue would refuse are refused; nothing fills on a book that can't be looked at; money
//! adds up (`purse.rs`). Refuses: to send anything; there is nobody to send to.

use crate::market::book::Side;
use crate::market::event::Event;
use crate::market::order::{OrderId, OrderState, Report, ReportKind};
use crate::market::reference::ReferenceKind;
use crate::market::units::{Nanos, Notional, Price, SECOND, Size};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::Scanner;
use crate::scanner::board::Board;
use crate::scanner::holes::{Found, Holes};
use crate::scanner::purse::{Purse, funding};

// What paper leaves out, all of it in paper's favour: our orders move nobody, and nobody races us
// to a level within one message; the way of the books to us and of the fills back is not added to
// the delay; a connection is never busy. Against it: a level stays gone until it is seen to change,
// nothing is levered, nothing fills where a book is being read anew.
//
// Questions and cancels are not answered. No paper order outlives its delay, so there is nothing to
// ask about that the order's own end does not say.

/// A venue counts as lost when none of its books could be looked at for this long. Larger: entries
/// are planned on one that is gone. Smaller: a book that is read anew looks like a lost venue.
const LOST_NS: u64 = SECOND;
/// How often the worth of what is open is told. Larger: the report's equity is older.
const WORTH_EVERY_NS: u64 = SECOND;

/// Both paper accounts, and the orders that wait for their match.
pub(super) struct Paper {
    purses: [Purse; VENUE_COUNT],
    /// By instrument and venue.
    holes: Box<[[Holes; VENUE_COUNT]]>,
    /// The first `waiting_len` count. A leg has one order at most, so there is room for each.
    waiting: Box<[Waiting]>,
    waiting_len: usize,
    /// Trades so far; the last one's id.
    trades: u64,
    is_up: [bool; VENUE_COUNT],
    /// When a book of the venue could last be looked at.
    t_whole: [Nanos; VENUE_COUNT],
    /// When worth is told next.
    t_worth: Nanos,
    /// The last beat: payments of funding after it are due.
    t_beat: Option<Nanos>,
}

/// An order on its way to its match.
#[derive(Clone, Copy)]
struct Waiting {
    id: OrderId,
    venue: Venue,
    instrument: InstrumentId,
    side: Side,
    price: Price,
    size: Size,
    reduce_only: bool,
    is_acknowledged: bool,
    t_due: Nanos,
}

impl Waiting {
    fn report(&self, now: Nanos, kind: ReportKind) -> Report {
        Report {
            venue: self.venue,
            instrument: self.instrument,
            order: self.id,
            t: now,
            kind,
        }
    }
}

impl Paper {
    /// Both accounts with this much money. Cold: takes all memory.
    fn new(equity: Notional, instruments: usize, legs: usize) -> Paper {
        let nothing = Waiting {
            id: OrderId::NONE,
            venue: Venue::Extended,
            instrument: InstrumentId(0),
            side: Side::Bid,
            price: Price::ZERO,
            size: Size::ZERO,
            reduce_only: false,
            is_acknowledged: true,
            t_due: Nanos::ZERO,
        };
        Paper {
            purses: VENUES.map(|_| Purse::new(equity, instruments)),
            holes: vec![[Holes::NONE; VENUE_COUNT]; instruments].into_boxed_slice(),
            waiting: vec![nothing; legs].into_boxed_slice(),
            waiting_len: 0,
            trades: 0,
            is_up: [false; VENUE_COUNT],
            t_whole: [Nanos::ZERO; VENUE_COUNT],
            t_worth: Nanos::ZERO,
            t_beat: None,
        }
    }

    /// A whole message has been applied to one of an instrument's books.
    #[inline]
    pub(super) fn look(&mut self, board: &Board, venue: Venue) {
        let holes = &mut self.holes[board.instrument.id.idx()][venue.idx()];
        holes.look(board.book(venue));
    }

    /// An order that waits and was not acknowledged yet.
    fn next_unheard(&mut self) -> Option<Waiting> {
        let mut waiting = self.waiting[..self.waiting_len].iter_mut();
        let order = waiting.find(|order| !order.is_acknowledged)?;
        order.is_acknowledged = true;
        Some(*order)
    }

    /// Takes the order out whose match was due first.
    fn next_due(&mut self, now: Nanos) -> Option<Waiting> {
        let waiting = self.waiting[..self.waiting_len].iter().enumerate();
        let due = waiting.filter(|(_, order)| now >= order.t_due);
        let (at, order) = due.min_by_key(|(_, order)| (order.t_due, order.id))?;
        let order = *order;
        self.waiting_len -= 1;
        self.waiting[at] = self.waiting[self.waiting_len];
        Some(order)
    }

    /// How much of an order may fill, or `None` where the venue would refuse it: off its grid or
    /// its price caps; one that opens below its minima or above its maximum, or beyond the money
    /// that is free; one that may only reduce where there is nothing to reduce. Reducing orders are
    /// cut to the position, whatever is left.
    fn admits(&self, order: &Waiting, boards: &[Board]) -> Option<Size> {
        let board = boards.get(order.instrument.idx())?;
        let market = board.market(order.venue);
        let is_on_grid = order.price.0 % market.tick.0.max(1) == 0
            && order.size.0 % market.lot.0.max(1) == 0
            && order.price.0 > 0
            && order.size.0 > 0;
        let mark = mark(board, order.venue);
        if !is_on_grid || !market.bounds.takes_price(order.side, order.price, mark) {
            return None;
        }
        if !order.reduce_only {
            let (_, free) = self.worth(order.venue, boards);
            let value = order.price * order.size;
            let is_carried = value <= free;
            let is_small = market
                .bounds
                .order_value_max
                .is_none_or(|most| value <= most);
            let is_taken = board.is_placeable(order.venue, order.size, order.price);
            return (is_carried && is_small && is_taken).then_some(order.size);
        }
        let held = self.purses[order.venue.idx()].position(order.instrument);
        let closes = match order.side {
            Side::Bid => -held,
            Side::Ask => held,
        };
        (closes.0 > 0).then_some(order.size.min(closes))
    }

    /// Equity and free money at a venue.
    fn worth(&self, venue: Venue, boards: &[Board]) -> (Notional, Notional) {
        let mark = |id: InstrumentId| boards.get(id.idx()).map(|board| mark(board, venue));
        self.purses[venue.idx()].worth(|id| mark(id).unwrap_or_default())
    }

    fn balance(&self, venue: Venue, boards: &[Board], now: Nanos) -> Report {
        let (equity, available) = self.worth(venue, boards);
        of_account(venue, now, ReportKind::Balance { equity, available })
    }
}

/// The venue's own mark, or else the middle of its book as last seen.
fn mark(board: &Board, venue: Venue) -> Price {
    let mark = board.mirrors[venue.idx()].reference_e9(ReferenceKind::Mark);
    let mid = board.touch_last(venue).map(|touch| touch.mid());
    mark.map(Price).or(mid).unwrap_or_default()
}

/// A report that concerns no order.
fn of_account(venue: Venue, t: Nanos, kind: ReportKind) -> Report {
    Report {
        venue,
        instrument: InstrumentId(0),
        order: OrderId::NONE,
        t,
        kind,
    }
}

impl Scanner {
    /// Trades on paper from here on, with this much money at each venue: what the gateways call
    /// sent is matched here. Cold: before the first turn.
    pub fn on_paper(mut self, equity: Notional) -> Scanner {
        let legs = self.pairs.len() * VENUE_COUNT;
        self.paper = Some(Box::new(Paper::new(equity, self.boards.len(), legs)));
        self
    }

    /// The order in flight on a pair's leg was signed, and would have left at `report.t`.
    pub(super) fn await_match(&mut self, slot: usize, report: &Report) {
        let Some(paper) = &mut self.paper else {
            return;
        };
        let pair = &self.pairs[slot];
        let order = pair.legs[report.venue.idx()].order;
        let Some(order) = order.filter(|order| order.id == report.order) else {
            return;
        };
        let delay_ns = self.limits.match_delay_ns[report.venue.idx()];
        if let Some(free) = paper.waiting.get_mut(paper.waiting_len) {
            *free = Waiting {
                id: order.id,
                venue: report.venue,
                instrument: pair.instrument,
                side: order.side,
                price: order.price,
                size: order.size,
                reduce_only: !order.role.opens(),
                is_acknowledged: false,
                t_due: report.t.plus(delay_ns),
            };
            paper.waiting_len += 1;
        }
    }

    /// Acknowledges what was sent, matches what is due, and lets the pairs act on it.
    #[inline]
    pub(super) fn match_paper(&mut self, now: Nanos) -> usize {
        match &self.paper {
            Some(paper) if paper.waiting_len > 0 => self.match_waiting(now),
            _ => 0,
        }
    }

    fn match_waiting(&mut self, now: Nanos) -> usize {
        let Some(mut paper) = self.paper.take() else {
            return 0;
        };
        let mut work = 0;
        while let Some(order) = paper.next_unheard() {
            work += 1;
            self.say(&order.report(now, ReportKind::Acknowledged), now);
        }
        while let Some(order) = paper.next_due(now) {
            work += 1;
            self.settle(&mut paper, &order, now);
        }
        self.paper = Some(paper);
        if work > 0 {
            self.advance_dirty(now);
        }
        work
    }

    /// One order's match, and everything the venue would say of it.
    fn settle(&mut self, paper: &mut Paper, order: &Waiting, now: Nanos) {
        let Some(size) = paper.admits(order, &self.boards) else {
            let kind = ReportKind::Rejected { code: 0 };
            return self.say(&order.report(now, kind), now);
        };
        let (venue, id) = (order.venue, order.instrument);
        let board = &self.boards[id.idx()];
        let fee_taker = board.market(venue).fee_taker;
        let found = match board.mirrors[venue.idx()].touch() {
            Some(_) => {
                let holes = &mut paper.holes[id.idx()][venue.idx()];
                holes.take(board.book(venue), order.side, order.price, size)
            }
            None => Found::NOTHING,
        };
        for level in found.levels() {
            let (price, size) = (level.price, level.size);
            let fee = fee_taker.of(price * size);
            paper.purses[venue.idx()].trade(id, order.side, (price, size), fee);
            paper.trades += 1;
            let kind = ReportKind::Fill {
                trade: paper.trades,
                side: order.side,
                price,
                size,
                fee,
            };
            self.say(&order.report(now, kind), now);
        }
        let filled = found.size();
        let state = match filled >= order.size {
            true => OrderState::Filled,
            false => OrderState::Cancelled,
        };
        let kind = ReportKind::State { state, filled };
        self.say(&order.report(now, kind), now);
        if filled.0 > 0 {
            let size = paper.purses[venue.idx()].position(id);
            let mut position = order.report(now, ReportKind::Position { size });
            position.order = OrderId::NONE;
            self.say(&position, now);
            self.say(&paper.balance(venue, &self.boards, now), now);
        }
    }

    /// A paper venue's word: into the journal, as a gateway would, and into our own ears.
    fn say(&mut self, report: &Report, now: Nanos) {
        if let Some(event) = Event::of(report) {
            self.desk.note(event);
        }
        self.hear(report.venue, report, now);
    }

    /// What time alone brings about on paper: venues that come and go, funding, worth.
    pub(super) fn beat_paper(&mut self, now: Nanos) {
        let Some(mut paper) = self.paper.take() else {
            return;
        };
        for venue in VENUES {
            self.follow_venue(&mut paper, venue, now);
        }
        let t_beat = paper.t_beat.replace(now).unwrap_or(now);
        for venue in VENUES {
            if self.limits.edge.hours.crossed(venue, t_beat, now) > 0 {
                self.pay_funding(&mut paper, venue);
                paper.t_worth = now;
            }
        }
        if now >= paper.t_worth {
            paper.t_worth = now.plus(WORTH_EVERY_NS);
            for venue in VENUES {
                if paper.purses[venue.idx()].is_open() {
                    self.say(&paper.balance(venue, &self.boards, now), now);
                }
            }
        }
        self.paper = Some(paper);
    }

    /// A paper account is up while its venue's books are: nothing else of it could be down.
    fn follow_venue(&mut self, paper: &mut Paper, venue: Venue, now: Nanos) {
        let idx = venue.idx();
        let is_whole = |board: &Board| board.mirrors[idx].touch().is_some();
        if self.boards.iter().any(is_whole) {
            paper.t_whole[idx] = now;
        }
        let is_up = paper.t_whole[idx] != Nanos::ZERO && now.since(paper.t_whole[idx]) < LOST_NS;
        if is_up == paper.is_up[idx] {
            return;
        }
        paper.is_up[idx] = is_up;
        self.say(&paper.balance(venue, &self.boards, now), now);
        let kind = match is_up {
            true => ReportKind::Up,
            false => ReportKind::Down,
        };
        self.say(&of_account(venue, now, kind), now);
    }

    /// The venue charges: every position there pays or receives at the last rate, on its mark. A
    /// rate that was never told pays nothing.
    #[cold]
    fn pay_funding(&mut self, paper: &mut Paper, venue: Venue) {
        let purse = &mut paper.purses[venue.idx()];
        for board in &self.boards {
            let rate = board.mirrors[venue.idx()].reference_e9(ReferenceKind::Funding);
            let (Some(rate_e9), mark) = (rate, mark(board, venue)) else {
                continue;
            };
            let id = board.instrument.id;
            let mut rest = purse.position(id);
            let first = id.idx() * self.limits.slots;
            let pairs = &mut self.pairs[first..first + self.limits.slots];
            for pair in pairs.iter_mut().filter(|pair| pair.is_active()) {
                let held = pair.position(venue);
                let amount = funding(held, mark, rate_e9);
                pair.take_funding(amount);
                purse.take(amount);
                rest -= held;
            }
            // Dust that outlived its pair pays as well.
            purse.take(funding(rest, mark, rate_e9));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::{Delta, flags};
    use crate::market::units::{Bps, SCALE};
    use crate::market::{Bounds, Instrument, Market, Name};
    use crate::scanner::risk::Limits;

    const AT: InstrumentId = InstrumentId(0);

    /// Tick 0.1, lot 0.001, least 0.01 and 10 USD, most 205 USD, no buys beyond 5 % over the mark;
    /// both books around 100.
    fn board() -> Board {
        let market = |venue| Market {
            venue,
            instrument: AT,
            name: Name::new("BTC").unwrap(),
            venue_market: 1,
            tick: Price(SCALE / 10),
            lot: Size(SCALE / 1_000),
            size_min: Size(SCALE / 100),
            notional_min: Notional::from_usd(10),
            fee_taker: Bps::ZERO,
            fee_maker: Bps::ZERO,
            bounds: Bounds {
                order_value_max: Some(Notional::from_usd(205)),
                price_cap_e9: Some(SCALE / 20),
                ..Bounds::default()
            },
        };
        let instrument = Instrument {
            id: AT,
            name: Name::new("BTC").unwrap(),
            markets: VENUES.map(market),
        };
        let mut board = Board::new(&instrument, &Limits::default());
        for venue in VENUES {
            for (side, usd, flags) in [(Side::Bid, 99, flags::CLEAR), (Side::Ask, 101, flags::LAST)]
            {
                board.apply(&Delta {
                    price: Price(usd * SCALE),
                    size: Size(SCALE),
                    t_recv: Nanos(1),
                    t_made: Nanos(1),
                    t_push: Nanos(1),
                    instrument: AT,
                    venue,
                    side,
                    flags,
                });
            }
        }
        board
    }

    fn order(side: Side, price_milli: i64, size_milli: i64, reduce_only: bool) -> Waiting {
        Waiting {
            id: OrderId::new(1, 1, 1),
            venue: Venue::Lighter,
            instrument: AT,
            side,
            price: Price(price_milli * SCALE / 1_000),
            size: Size(size_milli * SCALE / 1_000),
            reduce_only,
            is_acknowledged: true,
            t_due: Nanos(1),
        }
    }

    #[test]
    fn what_a_venue_would_refuse_is_refused() {
        let boards = [board()];
        let mut paper = Paper::new(Notional::from_usd(200), 1, 2);
        let admits = |paper: &Paper, order: Waiting| {
            let size = paper.admits(&order, &boards);
            size.map(|size| size.0 / (SCALE / 1_000))
        };
        let (buy, sell) = (Side::Bid, Side::Ask);
        for (price, size, expected, why) in [
            (100_000, 1_000, Some(1_000), "fits"),
            (100_000, 2_000, Some(2_000), "all the money"),
            (100_000, 2_001, None, "beyond the money"),
            (105_000, 1_000, Some(1_000), "at the cap"),
            (105_100, 1_000, None, "beyond the cap"),
            (100_050, 1_000, None, "off the tick"),
            (100_000, 99, None, "below the smallest notional"),
            (100_000, 0, None, "nothing"),
            (0, 1_000, None, "no price"),
        ] {
            assert_eq!(
                admits(&paper, order(buy, price, size, false)),
                expected,
                "{why}"
            );
            assert_eq!(admits(&paper, order(buy, price, size, true)), None, "{why}");
        }
        let rich = Paper::new(Notional::from_usd(900), 1, 2);
        assert_eq!(
            admits(&rich, order(buy, 100_000, 2_050, false)),
            Some(2_050)
        );
        assert_eq!(
            admits(&rich, order(buy, 100_000, 2_051, false)),
            None,
            "one order's most"
        );
        let off_lot = Waiting {
            size: Size(SCALE + 1),
            ..order(buy, 100_000, 1_000, false)
        };
        assert_eq!(admits(&paper, off_lot), None);
        // Long one unit for 100 USD: worth as much, and 100 USD are free.
        let purse = &mut paper.purses[Venue::Lighter.idx()];
        purse.trade(AT, buy, (Price(100 * SCALE), Size(SCALE)), Notional::ZERO);
        assert_eq!(admits(&paper, order(buy, 100_000, 1_001, false)), None);
        assert_eq!(admits(&paper, order(sell, 100_000, 400, true)), Some(400));
        assert_eq!(
            admits(&paper, order(sell, 100_000, 4, true)),
            Some(4),
            "a remainder"
        );
        assert_eq!(
            admits(&paper, order(sell, 100_000, 3_000, true)),
            Some(1_000),
            "cut"
        );
        assert_eq!(
            admits(&paper, order(buy, 100_000, 400, true)),
            None,
            "wrong way"
        );
        let other = Waiting {
            venue: Venue::Extended,
            ..order(sell, 100_000, 400, true)
        };
        assert_eq!(admits(&paper, other), None, "nothing is held there");
    }

    #[test]
    fn matches_come_in_the_order_of_their_time() {
        let mut paper = Paper::new(Notional::ZERO, 1, 4);
        for (at, t_due) in [30, 10, 20, 10].into_iter().enumerate() {
            paper.waiting[at] = Waiting {
                id: OrderId(at as u64 + 1),
                t_due: Nanos(t_due),
                ..order(Side::Bid, 1, 1, false)
            };
        }
        paper.waiting_len = 4;
        let mut due = |now: u64| {
            let next = |_| paper.next_due(Nanos(now)).map(|order| order.id.0);
            (0..9).map_while(next).collect::<Vec<_>>()
        };
        assert!(due(9).is_empty());
        assert_eq!(due(20), [2, 4, 3]);
        assert_eq!(due(40), [1]);
    }
}
