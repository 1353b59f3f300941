//! Where the scanner meets `arrival`: what it shows of books, edges and fills, and when it looks
//! again because time alone has made an edge older.

use crate::market::edge::Parts;
use crate::market::event::{Event, Reason};
use crate::market::order::{Report, ReportKind};
use crate::market::units::{Bps, Nanos, Notional};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES};
use crate::scanner::Scanner;
use crate::scanner::arrival::Followed;
use crate::scanner::board::Touch;
use crate::scanner::enter::Chance;
use crate::scanner::spread::Haircut;

/// Most marks, indexes and rates of one venue in a turn.
const REFERENCES_PER_TURN: usize = 16;

impl Scanner {
    /// Takes what risk is judged by; rare beside the deltas.
    pub(super) fn take_references(&mut self) -> usize {
        let mut work = 0;
        for venue in VENUES {
            for _ in 0..REFERENCES_PER_TURN {
                let Some(reference) = self.references[venue.idx()].pop() else {
                    break;
                };
                work += 1;
                if let Some(board) = self.boards.get_mut(reference.instrument.idx()) {
                    board.note(venue, &reference);
                }
            }
        }
        work
    }

    /// Shows an instrument's touches. What became of edges whose orders would have been matched by
    /// now is told, and the bands of hedges follow what it taught.
    #[inline]
    pub(super) fn observe(
        &mut self,
        instrument: InstrumentId,
        touches: Option<[Touch; VENUE_COUNT]>,
        now: Nanos,
    ) {
        let desk = &mut self.desk;
        self.arrival.observe(instrument, (now, touches), |score| {
            desk.note(Event::Scored(score));
        });
    }

    /// At the beat: looks at the instruments on which an edge has come of age without a message.
    /// The beat counts as what was read: nothing older caused the look.
    pub(super) fn look_at_ages(&mut self, now: Nanos) {
        for idx in 0..self.boards.len() {
            let instrument = InstrumentId(idx as u16);
            self.observe(instrument, self.boards[idx].touches(), now);
            if self.arrival.is_due(instrument, now) {
                self.look(instrument, now, now);
            }
        }
        self.enter_ripe(now);
        self.follow_up();
    }

    /// How long the first fill of an order took from its decision, for the looks to come.
    pub(super) fn measure(&mut self, slot: usize, report: &Report) {
        let order = &self.pairs[slot].legs[report.venue.idx()].order;
        let is_fill = matches!(report.kind, ReportKind::Fill { .. });
        if let Some(order) = order
            .as_ref()
            .filter(|order| is_fill && order.id == report.order)
            && order.filled.0 == 0
            && order.unsure_since.is_none()
        {
            let ns = report.t.since(order.t_push);
            self.arrival.measure(report.venue, ns);
        }
    }

    /// The edge stands above the minimum: which kind it is, and whether it is to be followed.
    pub(super) fn meet(&mut self, chance: &Chance) -> (Chance, bool) {
        let (edge, gross_min) = ((chance.instrument, chance.long), self.limits.gross_min);
        let met = self
            .arrival
            .meet(edge, chance.now, chance.gross(), gross_min);
        let mut chance = *chance;
        chance.key = met.key;
        (chance, met.is_border)
    }

    /// The same chance with the kind of edge that it is, without meeting it.
    pub(super) fn aged(&self, chance: &Chance) -> Chance {
        let (instrument, long) = (chance.instrument, chance.long);
        let key = self.arrival.kind(instrument, long, chance.gross());
        let mut aged = *chance;
        aged.key = key;
        aged
    }

    /// Follows an edge to its arrival, taken or refused for this reason. One that is not believed,
    /// or met between two borders of age, is scored and teaches nothing.
    pub(super) fn follow_on(
        &mut self,
        chance: &Chance,
        (reason, is_first): (Option<Reason>, bool),
        is_border: bool,
    ) {
        let (instrument, long, now) = (chance.instrument, chance.long, chance.now);
        let net = self.seen_net(chance, chance.gross(), &self.costs(chance));
        let board = &self.boards[instrument.idx()];
        let is_believed = now >= board.t_absurd
            && !chance.pays(self.limits.plausible_max)
            && board.doubt(now, self.limits.stale_after_ns).is_none()
            && board.fair.known().is_some();
        let edge = Followed {
            instrument,
            long,
            key: chance.key,
            reason,
            is_first,
            teaches: is_border && is_believed,
            net,
            notional: self.notional_at_touch(chance),
        };
        self.arrival.follow(&edge, now);
        if is_border {
            let board = &mut self.boards[instrument.idx()];
            board.bands[long.idx()] = self.arrival.band(instrument, long, now);
            board.deviations[long.idx()] = self.arrival.deviation(instrument, long);
        }
    }

    /// What both legs bring at a gross edge, all these costs taken off but the slippage of the
    /// opening legs: what prices do until those are matched is what is learned of arrival. Of the
    /// closing legs it sees nothing.
    pub(super) fn seen_net(&self, chance: &Chance, gross: Bps, costs: &Parts) -> Bps {
        let opening = self.boards[chance.instrument.idx()].own.opening();
        gross + opening - costs.costs()
    }

    /// What the best level of both books holds after the haircut, at most a market's limit.
    fn notional_at_touch(&self, chance: &Chance) -> Notional {
        let board = &self.boards[chance.instrument.idx()];
        let haircut = Haircut::cut_e4(self.limits.depth_haircut_e4);
        let on = |venue| {
            let best = board.book(venue).best(chance.side(venue).other());
            best.map_or(Notional::ZERO, |best| best.price * haircut.of(best.size))
        };
        let [extended, lighter] = VENUES.map(on);
        extended.min(lighter).min(self.limits.position_max)
    }
}
