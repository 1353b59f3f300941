//! The scanner: one stage that mirrors both books, finds edges, applies limits and runs the pairs.
//!
//! One turn, in this order: reports (what happened to us), control, deltas (what happened in the
//! markets), each in a bounded chunk. It looks only when the last delta of a venue message has been
//! applied. `spread` says whether there is an edge, `risk` whether we may, `hedge` what now.
//!
//! Promises: no allocation after `new`; decisions depend on links and `now` alone (the clock only
//! stamps latencies), so a recorded run replays to the same orders.
//! Refuses: to know sockets, signatures, or how a venue spells anything.

mod alone;
pub mod arrival;
mod arrive;
mod assumed;
mod audit;
mod board;
pub mod breaker;
pub mod common_mode;
mod desk;
pub mod edge;
mod enter;
pub mod fair;
pub mod funding;
mod gone;
mod ground;
mod guard;
mod hedge;
mod holes;
pub mod impact;
pub mod lattice;
mod leave;
pub mod margin;
mod matches;
pub mod median;
mod mirror;
mod near;
pub mod order_of_legs;
mod outlook;
mod outside;
mod pair;
mod paper;
mod payments;
mod purse;
pub mod ramp;
mod ranking;
mod repair;
mod ripe;
pub mod risk;
mod send;
mod sight;
mod slots;
pub mod spread;
mod status;
mod strikes;
mod table;
mod tally;
#[cfg(test)]
mod tests_explore;
#[cfg(test)]
mod tests_model;
mod working;

use crate::market::book::{Delta, flags};
use crate::market::event::{Control, Event, Status, Step};
use crate::market::order::{Order, OrderId, Refusal, Report, ReportKind};
use crate::market::ranking::Ranked;
use crate::market::reference::Reference;
use crate::market::units::{Nanos, Notional};
use crate::market::{INSTRUMENTS_MAX, Instrument, InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::arrival::Arrival;
use crate::scanner::arrival::table::Table;
use crate::scanner::board::Board;
use crate::scanner::breaker::Breakers;
use crate::scanner::common_mode::Common;
use crate::scanner::desk::Desk;
use crate::scanner::gone::Gone;
use crate::scanner::guard::Shrinking;
use crate::scanner::margin::Margin;
use crate::scanner::matches::Matches;
use crate::scanner::outlook::Outlook;
use crate::scanner::outside::Watch;
use crate::scanner::pair::Pair;
use crate::scanner::paper::Paper;
use crate::scanner::ranking::Ranking;
use crate::scanner::ripe::{Met, Ripe};
use crate::scanner::risk::{Account, Budget, SLOTS_MAX};
use crate::scanner::tally::Tally;
use crate::stage::Stage;
use crate::stage::clock::Clock;
use crate::stage::halt::Halt;
use crate::stage::link::{Rx, Tx};

pub use crate::scanner::risk::{LegOrder, Limits};

/// Most deltas of one venue in a turn. Larger: reports wait longer behind a burst. Smaller: more
/// turns for a snapshot.
const DELTAS_PER_TURN: usize = 256;
/// Most reports of one venue, and control words, in a turn.
const REPORTS_PER_TURN: usize = 256;
const CONTROLS_PER_TURN: usize = 16;
/// Words of the dirty set: one bit per slot. And of the uneven set: one bit per instrument.
const DIRTY_LEN: usize = INSTRUMENTS_MAX * SLOTS_MAX / 64;
const UNEVEN_LEN: usize = INSTRUMENTS_MAX / 64;

/// The scanner's ends of all its links. Arrays are by [`Venue::idx`].
pub struct Ends {
    /// Book changes from the feeds.
    pub deltas: [Rx<Delta>; VENUE_COUNT],
    /// Marks, indexes and funding rates from the feeds.
    pub references: [Rx<Reference>; VENUE_COUNT],
    /// What the gateways heard.
    pub reports: [Rx<Report>; VENUE_COUNT],
    /// Orders to the gateways.
    pub orders: [Tx<Order>; VENUE_COUNT],
    /// What `main` wants.
    pub control: Rx<Control>,
    /// What `main` may know.
    pub status: Tx<Status>,
    /// Everything worth keeping.
    pub journal: Tx<Event>,
    /// The ranked opportunities, for whoever reads them.
    pub board: Tx<Ranked>,
    /// The halt flag.
    pub halt: Halt,
    /// Stamps latencies; decisions use `now`.
    pub clock: Clock,
}

/// The scanner stage.
pub struct Scanner {
    boards: Box<[Board]>,
    /// What is expected at arrival.
    arrival: Arrival,
    /// `limits.slots` for each instrument, in its order.
    pairs: Box<[Pair]>,
    limits: Limits,
    desk: Desk,
    deltas: [Rx<Delta>; VENUE_COUNT],
    references: [Rx<Reference>; VENUE_COUNT],
    reports: [Rx<Report>; VENUE_COUNT],
    control: Rx<Control>,
    status: Tx<Status>,
    ranking: Ranking,
    clock: Clock,
    /// What is noticed of each instrument's positions beside its pairs.
    watches: Box<[Watch]>,
    /// What all pairs together stand for.
    tally: Tally,
    /// How far each venue is from liquidating us.
    margin: Margin,
    shrinking: Shrinking,
    /// Pairs that were over not long ago.
    gone: Box<Gone>,
    /// Slots with news since they were last advanced.
    dirty: [u64; DIRTY_LEN],
    /// Instruments on which a leg stands alone.
    uneven: [u64; UNEVEN_LEN],
    /// Whether all markets move together.
    common: Common,
    /// What the gateways were told would be sent next.
    outlook: Outlook,
    /// Entries that came ripe in this turn.
    ripe: Vec<Ripe>,
    /// What became of them, until their orders have left.
    met: Vec<Met>,
    /// Instruments whose fair has something to sample, until the same moment.
    unsettled: Vec<InstrumentId>,
    /// Instruments of which a message has been heard in part, by venue.
    open: [Option<InstrumentId>; VENUE_COUNT],
    /// Fills of this turn.
    matches: Matches,
    /// Number of the last pair made.
    pairs_made: u32,
    /// `Control::EntriesOff` and `Control::Drain` clear it for good.
    entries_on: bool,
    /// Every pair is being left.
    draining: bool,
    /// While money is on its way between the venues: most that positions may come to on each.
    staying: [Option<Notional>; VENUE_COUNT],
    /// The matcher of a run on paper.
    paper: Option<Box<Paper>>,
}

impl Scanner {
    /// Takes all memory it will ever use. `instruments` are in the order of their ids; `run` stands
    /// in every order id and differs from run to run.
    pub fn new(instruments: &[Instrument], limits: Limits, run: u16, ends: Ends) -> Scanner {
        assert!(
            instruments.len() <= INSTRUMENTS_MAX,
            "the instrument table was checked when it was made"
        );
        let in_order = |(idx, instrument): (usize, &Instrument)| instrument.id.idx() == idx;
        assert!(
            instruments.iter().enumerate().all(in_order),
            "ids index the instrument table"
        );
        let mut limits = limits;
        limits.slots = limits.slots.clamp(1, SLOTS_MAX);
        let account = || Account::new(instruments.len());
        let [extended, lighter] = limits.orders_per_minute.map(Budget::new);
        let breakers = Breakers::new(limits.breaker);
        let outside = ([extended, lighter], [account(), account()], breakers);
        let bounds = |instrument: &Instrument| instrument.markets.map(|market| market.bounds);
        let slots = |instrument: &Instrument| [Pair::new(instrument.id); SLOTS_MAX];
        Scanner {
            boards: instruments.iter().map(|i| Board::new(i, &limits)).collect(),
            arrival: Arrival::new(instruments, &limits),
            pairs: instruments
                .iter()
                .flat_map(|instrument| slots(instrument).into_iter().take(limits.slots))
                .collect(),
            tally: Tally::new(instruments.len() * limits.slots),
            margin: Margin::new(limits.margin, instruments.iter().map(bounds)),
            shrinking: Shrinking::default(),
            limits,
            desk: Desk::new(run, ends.orders, ends.journal, ends.halt, outside),
            deltas: ends.deltas,
            references: ends.references,
            reports: ends.reports,
            control: ends.control,
            status: ends.status,
            ranking: Ranking::new(instruments, ends.board),
            clock: ends.clock,
            watches: instruments.iter().map(|_| Watch::default()).collect(),
            gone: Box::new(Gone::new()),
            dirty: [0; DIRTY_LEN],
            uneven: [0; UNEVEN_LEN],
            common: Common::new(limits.edge.common_max),
            outlook: Outlook::new(instruments.len()),
            ripe: Vec::with_capacity(2 * instruments.len()),
            met: Vec::with_capacity(2 * instruments.len()),
            unsettled: Vec::with_capacity(instruments.len()),
            open: [None; VENUE_COUNT],
            matches: Matches::default(),
            pairs_made: 0,
            entries_on: true,
            draining: false,
            staying: [None; VENUE_COUNT],
            paper: None,
        }
    }

    /// Begins with what was learned before, of the same instruments.
    pub fn learned(mut self, table: Table) -> Scanner {
        self.arrival.learned(table);
        self
    }

    /// Indexes of an instrument's slots in `pairs`.
    fn slots_of(&self, instrument: InstrumentId) -> std::ops::Range<usize> {
        let first = instrument.idx() * self.limits.slots;
        first..first + self.limits.slots
    }

    // --- reports ---

    /// All waiting reports first, then the pairs they concern: fills that came together are hedged
    /// together.
    fn take_reports(&mut self, now: Nanos) -> usize {
        let mut work = 0;
        for venue in VENUES {
            for _ in 0..REPORTS_PER_TURN {
                let Some(report) = self.reports[venue.idx()].pop() else {
                    break;
                };
                work += 1;
                self.hear(venue, &report, now);
            }
        }
        if work > 0 {
            self.advance_dirty(now);
        }
        work
    }

    /// One report: the account takes its part, a pair of this run takes the rest. Orders of other
    /// runs are not ours to act on.
    fn hear(&mut self, venue: Venue, report: &Report, now: Nanos) {
        self.desk.accounts[venue.idx()].hear(report);
        self.desk.breakers.hear(report);
        match report.kind {
            ReportKind::Position { size } => {
                self.note_base(venue, report.instrument, size);
                self.look_at_position(venue, report.instrument, now);
            }
            ReportKind::Up | ReportKind::Down | ReportKind::Closed { .. } => {
                self.hear_of_venue(venue, &report.kind, now);
            }
            ReportKind::Forced { .. } => self.hear_forced(venue, report, now),
            ReportKind::Funding { .. } => self.hear_funding(venue, report),
            ReportKind::Fill { .. } => self.desk.strikes.wipe(venue, report.instrument),
            ReportKind::NotSent {
                why: Refusal::RateBudget,
            } => self.desk.t_short[venue.idx()] = Some(now),
            ReportKind::Balance { .. } => self.hear_equity(venue),
            ReportKind::Queue { .. }
            | ReportKind::Sent
            | ReportKind::NotSent { .. }
            | ReportKind::Acknowledged
            | ReportKind::Rejected { .. }
            | ReportKind::State { .. } => {}
        }
        if report.order == OrderId::NONE || report.order.run() != self.desk.run {
            return self.hear_of_stranger(report);
        }
        match self.slot_of(report) {
            Some(slot) => {
                self.note_match(slot, report);
                self.measure(slot, report);
                hedge::hear(&mut self.pairs[slot], report, &self.desk.rules);
                self.outlook.mark(report.instrument);
                self.settle_taken(slot, report, now);
                self.dirty[slot / 64] |= 1 << (slot % 64);
                if report.kind == ReportKind::Sent {
                    self.await_match(slot, report);
                }
            }
            None => self.hear_of_nobody(report),
        }
    }

    // --- control and deltas ---

    /// Rare words from `main`.
    fn take_control(&mut self, now: Nanos) -> usize {
        for count in 0..CONTROLS_PER_TURN {
            match self.control.pop() {
                None => return count,
                Some(Control::EntriesOff) => self.entries_on = false,
                Some(Control::Drain) => {
                    self.entries_on = false;
                    self.draining = true;
                }
                Some(Control::Entries {
                    instrument,
                    allowed,
                }) => {
                    let is_out = self.desk.strikes.is_out(instrument);
                    if let Some(board) = self.boards.get_mut(instrument.idx()) {
                        board.entries_on = allowed && !is_out;
                    }
                }
                Some(Control::Breakers(kept)) => self.desk.breakers.restore(&kept),
                Some(Control::Standing {
                    instrument,
                    standing,
                }) => {
                    if let Some(board) = self.boards.get_mut(instrument.idx()) {
                        board.standing = standing;
                    }
                }
                Some(Control::Terms(terms)) => {
                    if let Some(board) = self.boards.get_mut(terms.instrument.idx()) {
                        board.set_terms(&terms);
                        self.arrival.set_terms(&terms);
                    }
                    self.desk.budgets[terms.venue.idx()].allow(terms.orders_per_minute);
                }
                Some(Control::OpenInterest {
                    instrument,
                    venue,
                    left,
                }) => {
                    if let Some(board) = self.boards.get_mut(instrument.idx()) {
                        board.set_open_interest_left(venue, left);
                    }
                }
                Some(Control::Transfer { venue, most }) => self.staying[venue.idx()] = most,
                Some(Control::Adopt(adopted)) => self.adopt(&adopted, now),
                Some(Control::FairSeed { instrument, basis }) => {
                    if let Some(board) = self.boards.get_mut(instrument.idx()) {
                        board.fair.seed(basis);
                    }
                }
            }
        }
        CONTROLS_PER_TURN
    }

    /// Mirrors a bounded chunk of each venue's deltas, looking at the end of each message.
    fn take_deltas(&mut self, now: Nanos) -> usize {
        let mut work = 0;
        for venue in VENUES {
            for _ in 0..DELTAS_PER_TURN {
                let Some(delta) = self.deltas[venue.idx()].pop() else {
                    break;
                };
                work += 1;
                // A fill is weighed on the book that it met.
                if self.matches.is_any() {
                    self.weigh_matches();
                }
                if self.open[venue.idx()].is_none() {
                    self.bring_near(venue, delta.instrument);
                }
                let Some(board) = self.boards.get_mut(delta.instrument.idx()) else {
                    continue;
                };
                self.outlook.mark(delta.instrument);
                let is_last = delta.flags & flags::LAST != 0;
                self.open[venue.idx()] = (!is_last).then_some(delta.instrument);
                if board.apply(&delta) {
                    if let Some(paper) = &mut self.paper {
                        paper.look(board, delta.venue);
                    }
                    let idx = delta.instrument.idx();
                    if self.uneven[idx / 64] & (1 << (idx % 64)) != 0 {
                        self.look_at_uneven(delta.instrument, now);
                    }
                    self.look_stamped(&delta, now);
                }
            }
        }
        self.enter_ripe(now);
        work
    }

    /// Looks at an instrument, and notes how long the delta waited and the look took.
    fn look_stamped(&mut self, delta: &Delta, now: Nanos) {
        let t_pop = self.clock.now();
        self.latency(Step::Link, t_pop.since(delta.t_push));
        self.look(delta.instrument, delta.t_recv, now);
        let t_done = self.clock.now();
        self.latency(Step::Scan, t_done.since(t_pop));
        self.latency(Step::TickToScan, t_done.since(delta.t_recv));
    }

    /// One duration for the journal; the recorder makes the histogram.
    fn latency(&mut self, step: Step, ns: u64) {
        self.desk.note(Event::Latency { step, ns });
    }
}

impl Stage for Scanner {
    fn name(&self) -> &'static str {
        "scanner"
    }

    /// Nothing to open: all memory was taken in `new`.
    fn start(&mut self, _now: Nanos) {}

    /// What happened to us comes before what happened in the markets: a fill that waits is
    /// exposure.
    fn turn(&mut self, now: Nanos) -> usize {
        let mut work = self.relay(now);
        if work == 0 {
            work = self.foretell(now);
        }
        if work == 0 {
            work = self.arrival.settle();
        }
        self.follow_up();
        self.desk.tell();
        work
    }

    /// All but what idle turns are for, and what can wait until its orders have left.
    fn relay(&mut self, now: Nanos) -> usize {
        self.follow_up();
        self.desk.look_at_halt();
        let heard = self.take_reports(now) + self.match_paper(now);
        let rare = heard + self.take_control(now) + self.take_references();
        rare + self.take_deltas(now)
    }

    /// Everything that time alone brings about: time-outs, retries, late fills that can no longer
    /// come, exits by time or drain, the audit. None of it waits longer than a beat.
    fn housekeeping(&mut self, now: Nanos) {
        self.follow_up();
        self.desk.look_at_halt();
        self.beat_paper(now);
        self.guard(now);
        for slot in 0..self.pairs.len() {
            if self.pairs[slot].is_active() {
                self.act(slot, now, hedge::advance);
                self.look_at_exit(slot, now);
            }
        }
        self.look_at_ages(now);
        let bases = self.boards.iter().map(Board::basis_now);
        self.common.beat(now, bases);
        self.audit(now);
        self.advance_dirty(now);
        self.look_at_breakers(now);
        self.beat_outlook(now);
        debug_assert!(self.tally.is_of(&self.pairs), "who changed was counted");
        self.beat_ranking(now);
        let status = self.status_now();
        // A full link means that `main` is behind; the next beat brings fresher news than this.
        let _ = self.status.push(status);
        self.desk.tell();
    }

    /// Nothing to close: whoever stops the stage has drained it before. Says how many journal
    /// records were dropped because the link was full: the journal is incomplete then.
    fn stop(&mut self, _now: Nanos) -> u64 {
        self.desk.tell();
        self.desk.dropped_count()
    }
}
