//! The board of opportunities: every market in both directions, looked at in turn, ranked, and sent
//! to whoever reads it.
//!
//! Promises: a few markets a beat, so that no tick waits for it; whole boards in order, each row
//! once; equal rows in the order of their markets, so that nothing dances. Nothing is entered,
//! left, counted or taught by a look: what is shown is what an entry would meet.
//! Refuses: to wait; a reader that is behind misses boards.

use crate::market::edge::Parts;
use crate::market::event::Reason;
use crate::market::ranking::Ranked;
use crate::market::units::{MS, Nanos};
use crate::market::{Instrument, InstrumentId, VENUES};
use crate::scanner::Scanner;
use crate::scanner::enter::Chance;
use crate::stage::link::Tx;

/// A board is begun this often. Smaller: news sooner, more work between ticks.
const BOARD_NS: u64 = 250 * MS;
/// Markets looked at in a beat, and rows sent in one: about 5 us. Larger: longer beats.
const MARKETS_PER_BEAT: usize = 16;
const ROWS_PER_BEAT: usize = 64;

/// The board in the making.
pub(super) struct Ranking {
    link: Tx<Ranked>,
    rows: Box<[Ranked]>,
    /// Indexes of `rows`, best first, once all have been looked at.
    order: Box<[u16]>,
    /// When this one was begun.
    t_begun: Nanos,
    /// Markets looked at.
    looked: usize,
    /// Rows sent.
    sent: usize,
}

impl Ranking {
    /// Takes all memory it will use.
    pub fn new(instruments: &[Instrument], link: Tx<Ranked>) -> Ranking {
        let direction =
            |instrument, long| Ranked::blank(instrument, long, Nanos::ZERO, Reason::StaleBook);
        let both = |instrument: &Instrument| VENUES.map(|long| direction(instrument.id, long));
        let rows: Box<[Ranked]> = instruments.iter().flat_map(both).collect();
        Ranking {
            link,
            order: (0..rows.len() as u16).collect(),
            rows,
            t_begun: Nanos::ZERO,
            looked: 0,
            sent: 0,
        }
    }

    /// Puts the rows in order: what would be entered first, by money expected, then by what the
    /// edge leaves now.
    fn rank(&mut self) {
        let rows = &self.rows;
        self.order.sort_unstable_by_key(|idx| {
            let row = &rows[usize::from(*idx)];
            let goes = row.refused.is_none();
            std::cmp::Reverse((goes, row.value, row.parts.net(), std::cmp::Reverse(*idx)))
        });
    }

    /// Sends the next rows; a full link ends this board for its reader, who begins anew with the
    /// next.
    fn send(&mut self) {
        let end = (self.sent + ROWS_PER_BEAT).min(self.order.len());
        for place in self.sent..end {
            let mut row = self.rows[usize::from(self.order[place])];
            (row.rank, row.of) = (place as u16 + 1, self.order.len() as u16);
            if self.link.push(row).is_err() {
                self.sent = self.order.len();
                return;
            }
        }
        self.sent = end;
    }
}

impl Scanner {
    /// One beat's work on the board.
    pub(super) fn beat_ranking(&mut self, now: Nanos) {
        let count = self.boards.len();
        if self.ranking.looked < count {
            let end = (self.ranking.looked + MARKETS_PER_BEAT).min(count);
            for idx in self.ranking.looked..end {
                self.rank_instrument(InstrumentId(idx as u16), now);
            }
            self.ranking.looked = end;
            if end == count {
                self.ranking.rank();
                self.ranking.sent = 0;
            }
        } else if self.ranking.sent < self.ranking.order.len() {
            self.ranking.send();
        } else if now.since(self.ranking.t_begun) >= BOARD_NS {
            (self.ranking.t_begun, self.ranking.looked) = (now, 0);
        }
    }

    fn rank_instrument(&mut self, instrument: InstrumentId, now: Nanos) {
        let chances = self.chances(instrument, now, now);
        for (side, long) in VENUES.into_iter().enumerate() {
            let row = 2 * instrument.idx() + side;
            let fresh = match &chances {
                Some(chances) => self.appraise(&chances[long.idx()]),
                None => Ranked::blank(instrument, long, now, self.blind(instrument, now)),
            };
            self.ranking.rows[row] = fresh;
        }
    }

    /// Why there is no edge to speak of.
    fn blind(&self, instrument: InstrumentId, now: Nanos) -> Reason {
        let board = &self.boards[instrument.idx()];
        let doubt = board.doubt(now, self.limits.stale_after_ns);
        doubt.unwrap_or(Reason::FairWarmup)
    }

    /// What an entry would meet now.
    fn appraise(&mut self, chance: &Chance) -> Ranked {
        let gross = chance.gross();
        let costs = self.costs(chance);
        let below = Reason::GrossBelowMin;
        let mut row = Ranked::blank(chance.instrument, chance.long, chance.now, below);
        row.parts = Parts { gross, ..costs };
        if !chance.pays(self.limits.gross_min) {
            return row;
        }
        let chance = self.aged(chance);
        let seen = self.seen_net(&chance, gross, &costs);
        row.expected = self
            .arrival
            .expect(chance.instrument, chance.key, seen, chance.now);
        let wanted = self.edge_wanted(&chance);
        match wanted.and_then(|(edge_min, costs)| self.plan(&chance, edge_min, &costs)) {
            Err(reason) => row.refused = Some(reason),
            Ok(fit) => {
                row.refused = None;
                row.size = fit.plan.size;
                row.bound = fit.plan.bound;
                row.value = fit.value();
            }
        }
        row
    }
}
