//! What happened: drains the journal links of all stages into totals. Cold; one thread of its own.
//!
//! Promises: every event is counted once; sums of money are exact; memory is bounded whatever the
//! length of the run (the last 10,000 pairs are kept whole, everything else as counters).
//! Refuses: judging, printing and clocks. `report` prints for people, `json` for programs,
//! `progress` while it runs; time is an argument.

mod apart;
pub mod board;
pub mod compare;
pub mod counts;
pub mod durations;
pub mod edges;
pub mod hgrm;
pub mod history;
pub mod json;
mod market_data;
pub mod names;
mod origin;
pub mod progress;
pub mod refusals;
pub mod report;
mod shapes;

use crate::market::event::{Apart, DOUBTS, Event, Level, PairEnd, PairSummary, STEPS, Score, Step};
use crate::market::lasting::Standing;
use crate::market::order::Strays;
use crate::market::ranking::Ranked;
use crate::market::units::{Bps, Nanos, Notional, Size};
use crate::market::{INSTRUMENTS_MAX, InstrumentId, Name, VENUE_COUNT};
use crate::record::board::LastBoard;
use crate::record::history::History;
use crate::record::refusals::Refusals;
use crate::stage::link::Rx;
pub use counts::{Exposure, FillCounts, Money, OrderCounts, SignedCounts};
use durations::Durations;
use edges::Edges;
pub use origin::{Origin, Origins, PlantedWindow};
use std::collections::{BTreeMap, VecDeque};

/// Owns the reading ends of the journal links and the totals.
pub struct Recorder {
    links: Vec<Rx<Event>>,
    board: Option<Rx<Ranked>>,
    history: Option<History>,
    totals: Totals,
    scores: Vec<Score>,
}

impl Recorder {
    /// Takes all memory the run will need.
    pub fn new(links: Vec<Rx<Event>>) -> Recorder {
        Recorder {
            links,
            board: None,
            history: None,
            totals: Totals::new(),
            scores: Vec::with_capacity(SCORES_MAX),
        }
    }

    /// Reads the board of opportunities as well.
    pub fn with_board(mut self, board: Rx<Ranked>) -> Recorder {
        self.board = Some(board);
        self
    }

    /// Takes what stands on the links, at most [`DRAIN_MAX`] events of each, and returns how many
    /// events there were. Nothing waiting: 0, and the caller may rest for a moment.
    pub fn drain(&mut self) -> usize {
        let mut count = 0;
        for link in &mut self.links {
            for _ in 0..DRAIN_MAX {
                let Some(event) = link.pop() else { break };
                self.totals.add(&event);
                if let Some(history) = &mut self.history {
                    history.event(&event);
                }
                if let Event::Scored(score) = event
                    && self.scores.len() < SCORES_MAX
                {
                    self.scores.push(score);
                }
                count += 1;
            }
        }
        while let Some(row) = self.board.as_mut().and_then(Rx::pop) {
            self.totals.board.add(row);
            count += 1;
        }
        count
    }

    /// What became of edges since the last time, for whoever learns from it. Those beyond
    /// [`SCORES_MAX`] were only counted.
    pub fn take_scores(&mut self) -> impl Iterator<Item = Score> + '_ {
        self.scores.drain(..)
    }

    /// All writers are gone and everything was read.
    pub fn is_finished(&self) -> bool {
        self.links.iter().all(Rx::is_finished)
    }

    /// What was counted so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }
}

/// Everything that was counted. Arrays with [`VENUE_COUNT`] places go by `Venue::idx`, the others
/// by the lists in [`names`].
pub struct Totals {
    /// By step, in the order of `STEPS`.
    pub latency: [Durations; STEPS.len()],
    /// How long single legs stood alone.
    pub unhedged: Durations,
    /// What the edges taken were made of, and the depth found at match.
    pub edges: Edges,
    /// What that risked.
    pub exposure: Exposure,
    /// Positions the venue took away (liquidation, deleveraging), in trades.
    pub forced: [u64; VENUE_COUNT],
    /// Funding received by the venues' word; negative: paid.
    pub funding: [Notional; VENUE_COUNT],
    /// What of it stands in no pair's account.
    pub funding_apart: Notional,
    /// Times the venue said that it is closed.
    pub closed: [u64; VENUE_COUNT],
    /// Markets that refused so many orders in a row that they were left.
    pub struck_out: [u64; VENUE_COUNT],
    /// News of the account that nothing explained.
    pub strays: [Strays; VENUE_COUNT],
    /// Venue messages by kind.
    pub frames: [[u64; names::FRAME_KINDS.len()]; VENUE_COUNT],
    /// Level changes that the messages carried.
    pub deltas: u64,
    /// Markets asked for anew.
    pub resyncs: [u64; VENUE_COUNT],
    /// Books doubted without a faulty message, by venue and [`Doubt`].
    pub doubts: [[u64; DOUBTS.len()]; VENUE_COUNT],
    /// Times a market fell behind a full link and was sent again, by venue.
    pub behind: [u64; VENUE_COUNT],
    /// Ends of connections that the venue announced, by venue.
    pub shutdowns: [u64; VENUE_COUNT],
    /// Times the venue turned dials away, by venue.
    pub cooldowns: [u64; VENUE_COUNT],
    /// How far our clock is ahead of the venue's, shortest way included, nanoseconds, as last told.
    pub offset_ns: [Option<i64>; VENUE_COUNT],
    /// Most records that ever waited on the link from a feed to the scanner, and how many fit.
    pub fullest: [(u32, u32); VENUE_COUNT],
    /// Connections lost: feed, gateway.
    pub links_lost: [[u64; 2]; VENUE_COUNT],
    /// Opportunities: episodes above the minimum.
    pub seen: u64,
    /// Of these: a pair's entry was sent.
    pub taken: u64,
    /// Of these: led by the leg of a venue; the others sent both at once.
    pub led: [u64; VENUE_COUNT],
    /// Opportunities that were let go, and what they would have made.
    pub refusals: Refusals,
    /// The board as it was last.
    pub board: LastBoard,
    /// The largest gross edge seen.
    pub edge_best: Bps,
    /// Pairs of which both legs filled.
    pub hedged: u64,
    /// Finished pairs by end.
    pub ends: [u64; names::PAIR_ENDS.len()],
    /// Finished pairs by cause of exit.
    pub causes: [u64; names::EXIT_CAUSES.len()],
    /// Orders by state.
    pub orders: [OrderCounts; VENUE_COUNT],
    /// Fills.
    pub fills: [FillCounts; VENUE_COUNT],
    /// Profit and loss of finished pairs.
    pub money: Money,
    /// Finished pairs whose parts do not add up to their total: always 0, or the sums are not true.
    pub unbalanced: u64,
    /// Positions by the venue's word, by instrument.
    pub positions: Box<[[Size; VENUE_COUNT]]>,
    /// Equity and free money by the venue's word.
    pub balances: [Option<(Notional, Notional)>; VENUE_COUNT],
    /// The worst that a venue's distance to liquidation asked for.
    pub margin: [Level; VENUE_COUNT],
    /// Signatures by the way they were made, by venue.
    pub signed: [SignedCounts; VENUE_COUNT],
    /// The same of orders that answered a tick.
    pub signed_first: [SignedCounts; VENUE_COUNT],
    /// Raised halts by cause.
    pub halts: [u64; names::HALT_CAUSES.len()],
    /// What the first of them were about.
    pub apart: Vec<Apart>,
    /// What the pairs of a market have earned it, where that has changed.
    pub standings: BTreeMap<InstrumentId, Standing>,
    /// The last finished pairs, oldest first.
    pub pairs: VecDeque<PairSummary>,
    /// Finished pairs no longer kept whole.
    pub pairs_dropped: u64,
}

impl Totals {
    /// All zero, with all memory taken.
    pub fn new() -> Totals {
        Totals {
            latency: std::array::from_fn(|_| Durations::new()),
            unhedged: Durations::new(),
            edges: Edges::new(),
            exposure: Exposure::default(),
            forced: Default::default(),
            funding: Default::default(),
            funding_apart: Notional::ZERO,
            closed: Default::default(),
            struck_out: Default::default(),
            strays: Default::default(),
            frames: Default::default(),
            deltas: 0,
            resyncs: Default::default(),
            links_lost: Default::default(),
            seen: 0,
            taken: 0,
            led: Default::default(),
            refusals: Refusals::new(),
            board: LastBoard::default(),
            edge_best: Bps::ZERO,
            hedged: 0,
            ends: Default::default(),
            causes: Default::default(),
            orders: Default::default(),
            fills: Default::default(),
            money: Money::default(),
            unbalanced: 0,
            positions: vec![Default::default(); INSTRUMENTS_MAX].into_boxed_slice(),
            balances: Default::default(),
            margin: Default::default(),
            doubts: Default::default(),
            behind: Default::default(),
            shutdowns: Default::default(),
            cooldowns: Default::default(),
            offset_ns: Default::default(),
            fullest: Default::default(),
            signed: Default::default(),
            signed_first: Default::default(),
            halts: Default::default(),
            apart: Vec::with_capacity(APART_MAX),
            standings: BTreeMap::new(),
            pairs: VecDeque::with_capacity(PAIRS_MAX),
            pairs_dropped: 0,
        }
    }

    /// Counts one event.
    // Long: one arm for each kind, most of them one line.
    pub fn add(&mut self, event: &Event) {
        match *event {
            Event::Latency { step, ns } => self.latency[step as usize].add(ns),
            Event::Frame {
                venue,
                kind,
                deltas,
            } => {
                self.frames[venue.idx()][kind as usize] += 1;
                self.deltas += u64::from(deltas);
            }
            Event::Resync { venue, .. } => self.resyncs[venue.idx()] += 1,
            Event::Doubted { venue, why, .. } => self.doubts[venue.idx()][why as usize] += 1,
            Event::Behind { venue, .. } => self.behind[venue.idx()] += 1,
            Event::Shutdown { venue } => self.shutdowns[venue.idx()] += 1,
            Event::Cooldown { venue, .. } => self.cooldowns[venue.idx()] += 1,
            Event::Fullest { venue, records, of } => self.fullest[venue.idx()] = (records, of),
            Event::Offset { venue, ns } => self.offset_ns[venue.idx()] = Some(ns),
            Event::Link { venue, up, gateway } => {
                self.links_lost[venue.idx()][usize::from(gateway)] += u64::from(!up);
            }
            Event::Seen { gross, .. } => {
                self.seen += 1;
                self.edge_best = self.edge_best.max(gross);
            }
            Event::Refused {
                instrument, reason, ..
            } => self.refusals.refuse(instrument, reason),
            Event::Taken { lead, parts, .. } => {
                self.taken += 1;
                self.edges.add(&parts);
                if let Some(venue) = lead {
                    self.led[venue.idx()] += 1;
                }
            }
            Event::Matched { size, depth, .. } => self.edges.add_match(size, depth),
            Event::Scored(score) => self.refusals.score(&score),
            Event::Hedged { .. } => self.hedged += 1,
            Event::Unhedged {
                ns,
                usd_s,
                most,
                is_forced,
                worst,
                best,
                ..
            } => {
                self.exposure
                    .add(self.unhedged.count(), [usd_s, worst, best]);
                self.exposure.add_most(most, is_forced);
                self.unhedged.add(ns);
            }
            Event::Pair(pair) => self.add_pair(pair),
            Event::Standing {
                instrument,
                standing,
            } => drop(self.standings.insert(instrument, standing)),
            Event::OrderSent { venue, .. } => self.orders[venue.idx()].sent += 1,
            Event::OrderState { venue, state, .. } => self.orders[venue.idx()].add(state),
            Event::NotSent { venue, why, .. } => {
                self.orders[venue.idx()].not_sent[why as usize] += 1;
            }
            Event::Fill {
                venue,
                price,
                size,
                fee,
                ..
            } => {
                let fills = &mut self.fills[venue.idx()];
                fills.count += 1;
                fills.notional += price * size;
                fills.fees += fee;
            }
            Event::Signed {
                venue,
                how,
                is_first,
            } => {
                self.signed[venue.idx()].add(how);
                if is_first {
                    self.signed_first[venue.idx()].add(how);
                }
            }
            Event::Forced { venue, .. } => self.forced[venue.idx()] += 1,
            Event::Closed { venue, closed } => self.closed[venue.idx()] += u64::from(closed),
            Event::StruckOut { venue, .. } => self.struck_out[venue.idx()] += 1,
            Event::Strays(venue, strays) => self.strays[venue.idx()] = strays,
            Event::Position {
                venue,
                instrument,
                size,
            } => {
                if let Some(place) = self.positions.get_mut(instrument.idx()) {
                    place[venue.idx()] = size;
                }
            }
            Event::Balance {
                venue,
                equity,
                available,
            } => self.balances[venue.idx()] = Some((equity, available)),
            Event::Funding { venue, amount, .. } => self.funding[venue.idx()] += amount,
            Event::FundingApart { amount, .. } => self.funding_apart += amount,
            Event::Margin { venue, level, .. } => {
                let worst = &mut self.margin[venue.idx()];
                *worst = level.max(*worst);
            }
            Event::Halt { why } => self.halts[why as usize] += 1,
            Event::Apart(apart) if self.apart.len() < APART_MAX => self.apart.push(apart),
            Event::Apart(_) => {}
        }
    }

    /// Counts a finished pair and keeps it whole; the oldest gives way when there is no room.
    fn add_pair(&mut self, pair: PairSummary) {
        self.ends[pair.end as usize] += 1;
        self.causes[pair.cause as usize] += 1;
        self.money.add(&pair);
        let mut alone = Money::default();
        alone.add(&pair);
        self.unbalanced += u64::from(!alone.is_balanced());
        if self.pairs.len() == PAIRS_MAX {
            self.pairs.pop_front();
            self.pairs_dropped += 1;
        }
        self.pairs.push_back(pair);
    }

    /// Taken with both legs sent at once.
    pub fn both_at_once(&self) -> u64 {
        self.taken - self.led.iter().sum::<u64>()
    }

    /// Durations of one step.
    pub fn step(&self, step: Step) -> &Durations {
        &self.latency[step as usize]
    }

    /// Finished pairs by end.
    pub fn ended(&self, end: PairEnd) -> u64 {
        self.ends[end as usize]
    }

    /// Pairs that were opened: at least one leg filled. Those that ended without a hedge, and all
    /// that were hedged, whether they are over or not.
    pub fn opened(&self) -> u64 {
        let not_hedged = self.causes[crate::market::event::ExitCause::NotHedged as usize];
        self.hedged + not_hedged.saturating_sub(self.ended(PairEnd::Missed))
    }

    /// Planted and natural pairs apart; `None` when the plant is not known or when pairs were too
    /// many to keep, since then nobody can tell.
    pub fn by_origin(&self, planted: Option<&[PlantedWindow]>) -> Option<Origins> {
        let windows = planted?;
        if self.pairs_dropped > 0 {
            return None;
        }
        let mut origins = Origins::default();
        for pair in &self.pairs {
            let is_planted = windows.iter().any(|window| window.holds(pair));
            let origin = if is_planted {
                &mut origins.planted
            } else {
                &mut origins.natural
            };
            origin.total += pair.total;
            origin.count += u64::from(pair.end != PairEnd::Missed);
        }
        Some(origins)
    }
}

impl Default for Totals {
    fn default() -> Self {
        Totals::new()
    }
}

/// What a report must know beside the totals.
#[derive(Clone, Debug)]
pub struct Facts {
    /// TRADING_MODE, or what stands for it.
    pub mode: &'static str,
    /// The venues were simulated: no real money.
    pub is_simulated: bool,
    /// It was on paper: nothing was sent, fills were simulated on the books.
    pub is_paper: bool,
    /// When the run began.
    pub start: Nanos,
    /// How long it was.
    pub elapsed_ns: u64,
    /// Stage and core; `None`: not pinned.
    pub seats: Vec<(String, Option<usize>)>,
    /// Instruments by `InstrumentId::idx`.
    pub markets: Vec<Name>,
    /// What was planted, when that is known.
    pub planted: Option<Vec<PlantedWindow>>,
    /// Events that did not fit on the journal links: above 0, counts are too low.
    pub journal_dropped: u64,
}

impl Facts {
    /// Length of the run for people and JSON.
    pub fn seconds(&self) -> f64 {
        self.elapsed_ns as f64 / 1e9
    }

    /// Name of an instrument.
    pub fn market(&self, instrument: InstrumentId) -> &str {
        self.markets.get(instrument.idx()).map_or("?", Name::as_str)
    }
}

/// Scores kept between two looks of their reader: edges come by the dozen, not by the thousand.
const SCORES_MAX: usize = 1_024;
/// Events taken from one link in one pass. Larger: a flood on one link delays the others. Smaller:
/// more passes for the same events.
const DRAIN_MAX: usize = 4096;
/// Pairs kept whole, about 2 MB. Larger only costs memory; beyond it planted and natural pairs can
/// no longer be told apart.
const PAIRS_MAX: usize = 10_000;
/// Halts of which it is kept what they were about: a run ends with its first.
const APART_MAX: usize = 16;

#[cfg(test)]
mod tests;
