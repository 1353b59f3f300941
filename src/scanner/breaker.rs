//! Circuit breakers: samples in, open or closed out.
//!
//! Promises: an open breaker stays open, over restarts too, until a human's reset; entries stop
//! with the same turn. One wrong word of a venue opens nothing and raises no peak: equity is
//! believed only where three words of each venue, a second apart, agree that it is at least or at
//! most so much, and only while both venues are up and have spoken lately. A venue's zero before it
//! has named any money is no word at all.
//! Refuses: to close by itself, at midnight neither; to stop an exit.

use crate::market::event::{HaltCause, PairEnd, PairSummary, Reason};
use crate::market::lasting::{self, Breaker, Opened, Restored, Sight, day_of};
use crate::market::order::{Report, ReportKind};
use crate::market::units::{Bps, MS, Nanos, Notional, SECOND};
use crate::market::{VENUE_COUNT, VENUES};
use crate::scanner::Scanner;
use crate::scanner::pair::{Pair, State};
use crate::scanner::send::executable;

/// Words of a venue that must agree. Larger: a true fall is believed later.
const WORDS: usize = 3;
/// Words closer than this count as one. Smaller: one burst could agree with itself.
const APART_NS: u64 = SECOND;
/// A venue that has been silent about money for longer is not judged by.
const FRESH_NS: u64 = 60 * SECOND;
/// How often open pairs are valued, and how many looks must agree on a loss that is not realised.
const LOOK_EVERY_NS: u64 = 100 * MS;
const LOOKS: u8 = 5;

/// What opens them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Loss of a UTC day. Larger: a bad day goes on for longer.
    pub daily_loss_max: Notional,
    /// Fall of the equity of both venues from its highest, in bps of that.
    pub drawdown_max: Bps,
    /// Pairs in a row that had to be taken back.
    pub unwinds_max: u16,
    /// Entries in a row that missed.
    pub misses_max: u16,
}

impl Default for Limits {
    /// 25 USD a day, 10 % in all, 5 unwinds, 30 misses.
    fn default() -> Limits {
        Limits {
            daily_loss_max: Notional::from_usd(25),
            drawdown_max: Bps::whole(1_000),
            unwinds_max: 5,
            misses_max: 30,
        }
    }
}

/// The breakers of a run.
pub struct Breakers {
    limits: Limits,
    state: lasting::Breakers,
    refusal: Option<Reason>,
    words: [Words; VENUE_COUNT],
    unwinds: u16,
    misses: u16,
    /// Looks in a row that saw the day's limit passed.
    looks: u8,
    t_look: Nanos,
}

impl Breakers {
    /// All closed, nothing known.
    pub fn new(limits: Limits) -> Breakers {
        Breakers {
            limits,
            state: lasting::Breakers::default(),
            refusal: None,
            words: [Words::default(); VENUE_COUNT],
            unwinds: 0,
            misses: 0,
            looks: 0,
            t_look: Nanos::ZERO,
        }
    }

    /// What the run before has left, or a human has reset: taken as it stands.
    pub fn restore(&mut self, kept: &Restored) {
        self.state = kept.breakers();
        self.refusal = self.state.first_open().map(Breaker::reason);
        (self.unwinds, self.misses, self.looks) = (0, 0, 0);
    }

    /// What `main` keeps.
    pub fn state(&self) -> lasting::Breakers {
        self.state
    }

    /// Why no pair may be entered, if one is open.
    #[inline]
    pub fn refusal(&self) -> Option<Reason> {
        self.refusal
    }

    /// Open pairs are to be left: the day's loss is judged with them.
    #[inline]
    pub fn leaves(&self) -> bool {
        let opened = self.state.open[Breaker::DailyLoss.idx()];
        opened.is_some_and(|opened| opened.sight != Sight::Earlier)
    }

    /// Takes what a venue says of our money, and of itself.
    pub fn hear(&mut self, report: &Report) {
        let words = &mut self.words[report.venue.idx()];
        match report.kind {
            ReportKind::Up => {
                *words = Words::default();
                words.is_up = true;
            }
            ReportKind::Down => *words = Words::default(),
            ReportKind::Balance { equity, .. } => {
                words.hear(equity, report.t);
                self.judge_equity(report.t);
            }
            _ => {}
        }
    }

    /// A pair is over.
    pub fn end(&mut self, summary: &PairSummary) {
        let now = summary.t_end;
        self.turn_day(now);
        self.state.realised += summary.total;
        match summary.end {
            PairEnd::Missed => self.misses = self.misses.saturating_add(1),
            PairEnd::Unwound => {
                self.misses = 0;
                self.unwinds = self.unwinds.saturating_add(1);
            }
            PairEnd::Closed => (self.misses, self.unwinds) = (0, 0),
            // Halt has its own breaker.
            PairEnd::Stuck => {}
        }
        if self.unwinds >= self.limits.unwinds_max {
            self.open(Breaker::Unwinds, Sight::InARow(self.unwinds), now);
        }
        if self.misses >= self.limits.misses_max {
            self.open(Breaker::Misses, Sight::InARow(self.misses), now);
        }
        self.judge_day(Notional::ZERO, now, LOOKS);
    }

    /// Halt is up; `why` where the scanner raised it.
    pub fn halt(&mut self, why: Option<HaltCause>, now: Nanos) {
        self.open(Breaker::Halt, Sight::Halt(why), now);
    }

    /// Whether it is time to value the open pairs.
    pub fn is_due(&mut self, now: Nanos) -> bool {
        let is_due = now.since(self.t_look) >= LOOK_EVERY_NS;
        if is_due {
            self.t_look = now;
        }
        is_due
    }

    /// The open pairs would bring so much now; `None` when a book is not to be believed.
    pub fn look(&mut self, unrealised: Option<Notional>, now: Nanos) {
        self.turn_day(now);
        match unrealised {
            Some(unrealised) => self.judge_day(unrealised, now, 1),
            None => self.looks = 0,
        }
    }

    /// The day's loss with what is open, seen once more or (`LOOKS` at once) beyond doubt.
    fn judge_day(&mut self, unrealised: Notional, now: Nanos, looks: u8) {
        let (lost, limit) = (
            -(self.state.realised + unrealised),
            self.limits.daily_loss_max,
        );
        if lost < limit {
            // A pair's end does not wipe out what open pairs were seen to lose.
            if looks < LOOKS {
                self.looks = 0;
            }
            return;
        }
        self.looks = self.looks.saturating_add(looks);
        if self.looks >= LOOKS {
            self.open(Breaker::DailyLoss, Sight::Loss(lost, limit), now);
        }
    }

    /// Equity that is certainly at least so high makes the peak; certainly at most so high is
    /// judged against it.
    fn judge_equity(&mut self, now: Nanos) {
        let (mut least, mut most) = (Notional::ZERO, Notional::ZERO);
        for venue in VENUES {
            let Some((low, high)) = self.words[venue.idx()].agreed(now) else {
                return;
            };
            least += low;
            most += high;
        }
        self.state.peak = self.state.peak.max(least);
        let (peak, limit) = (self.state.peak, self.limits.drawdown_max);
        if peak.0 > 0 && peak - most >= limit.of(peak) {
            self.open(Breaker::Drawdown, Sight::Drawdown(most, peak, limit), now);
        }
    }

    fn turn_day(&mut self, now: Nanos) {
        let day = day_of(now);
        if day != self.state.day {
            self.state.day = day;
            self.state.realised = Notional::ZERO;
        }
    }

    /// Opened once, with what was seen first.
    fn open(&mut self, breaker: Breaker, sight: Sight, now: Nanos) {
        let opened = &mut self.state.open[breaker.idx()];
        if opened.is_none() {
            *opened = Some(Opened { t: now, sight });
        }
        self.refusal = self.state.first_open().map(Breaker::reason);
    }
}

/// The last words of a venue on its equity, oldest first.
#[derive(Clone, Copy, Default)]
struct Words {
    equity: [Notional; WORDS],
    count: usize,
    t_kept: Nanos,
    t_last: Nanos,
    is_up: bool,
}

impl Words {
    /// One more. What follows within [`APART_NS`] takes the place of the last.
    fn hear(&mut self, equity: Notional, t: Nanos) {
        if self.count == 0 && equity.0 <= 0 {
            return;
        }
        self.t_last = t;
        if self.count == 0 || t.since(self.t_kept) >= APART_NS {
            self.equity.rotate_left(1);
            self.count = (self.count + 1).min(WORDS);
            self.t_kept = t;
        }
        self.equity[WORDS - 1] = equity;
    }

    /// What all kept words agree on: equity is at least, and at most, so much. `None` when there
    /// are too few, or none lately, or the venue is down.
    fn agreed(&self, now: Nanos) -> Option<(Notional, Notional)> {
        let is_fresh = self.is_up && now.since(self.t_last) <= FRESH_NS;
        if !is_fresh || self.count < WORDS {
            return None;
        }
        let [a, b, c] = self.equity;
        Some((a.min(b).min(c), a.max(b).max(c)))
    }
}

impl Scanner {
    /// What time brings about: the day's loss with what is open, and a halt that another stage
    /// raised.
    pub(super) fn look_at_breakers(&mut self, now: Nanos) {
        if self.desk.is_halted() {
            let why = self.desk.why_halted();
            self.desk.breakers.halt(why, now);
        }
        if !self.desk.breakers.is_due(now) {
            return;
        }
        let unrealised = self.unrealised(now);
        self.desk.breakers.look(unrealised, now);
    }

    /// What all open pairs would have made if they were closed at executable prices now; `None`
    /// while one of their books is in doubt. A stuck pair is accounted for already.
    fn unrealised(&self, now: Nanos) -> Option<Notional> {
        let mut sum = Notional::ZERO;
        let is_open = |pair: &&Pair| pair.is_active() && pair.state != State::Stuck;
        for pair in self.pairs.iter().filter(is_open) {
            let board = &self.boards[pair.instrument.idx()];
            if board.doubt(now, self.limits.stale_after_ns).is_some() {
                return None;
            }
            board.touches()?;
            let mut prices = pair.legs.map(|leg| leg.entry_promise);
            for venue in VENUES {
                let held = pair.legs[venue.idx()].held;
                let side = pair.opening_side(venue).other();
                if held.0 > 0 {
                    prices[venue.idx()] = executable(board, venue, side, held)?;
                }
            }
            sum += pair.worth(prices);
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::event::ExitCause;
    use crate::market::order::OrderId;
    use crate::market::units::Size;
    use crate::market::{InstrumentId, Venue};
    use proptest::prelude::*;

    const T0: Nanos = Nanos(1_000_000 * SECOND);

    fn summary(end: PairEnd, usd: i64, t: Nanos) -> PairSummary {
        PairSummary {
            pair: 1,
            instrument: InstrumentId(0),
            long: Venue::Extended,
            end,
            cause: ExitCause::Converged,
            t_entry: t,
            t_end: t,
            size: Size(1),
            gross: Bps::ZERO,
            net: Bps::ZERO,
            edge: Notional::ZERO,
            slippage: Notional::ZERO,
            fees: Notional::ZERO,
            funding: Notional::ZERO,
            repair: Notional::ZERO,
            total: Notional::from_usd(usd),
        }
    }

    /// Breakers with both venues up, and what they were told so far.
    struct Scene(Breakers, Nanos);

    impl Scene {
        fn new() -> Scene {
            let mut scene = Scene(Breakers::new(Limits::default()), T0);
            for venue in VENUES {
                scene.tell(venue, ReportKind::Up);
            }
            scene
        }

        fn tell(&mut self, venue: Venue, kind: ReportKind) {
            self.0.hear(&Report {
                venue,
                instrument: InstrumentId(0),
                order: OrderId::NONE,
                t: self.1,
                kind,
            });
        }

        fn money(&mut self, venue: Venue, usd: i64) {
            let (equity, available) = (Notional::from_usd(usd), Notional::ZERO);
            self.tell(venue, ReportKind::Balance { equity, available });
        }

        /// So many words of both venues, a second apart.
        fn say(&mut self, count: u64, usd: [i64; 2]) {
            for _ in 0..count {
                self.1 = self.1.plus(SECOND);
                for venue in VENUES {
                    self.money(venue, usd[venue.idx()]);
                }
            }
        }

        fn is_open(&self, breaker: Breaker) -> bool {
            self.0.state().open[breaker.idx()].is_some()
        }
    }

    #[test]
    fn a_fall_of_equity_opens_when_three_words_agree() {
        let mut scene = Scene::new();
        scene.say(3, [5_000, 5_000]);
        assert_eq!(scene.0.state().peak, Notional::from_usd(10_000));
        scene.say(2, [4_000, 5_000]);
        assert!(!scene.is_open(Breaker::Drawdown) && scene.0.refusal().is_none());
        scene.say(1, [4_000, 5_000]);
        assert!(scene.is_open(Breaker::Drawdown));
        assert_eq!(scene.0.refusal(), Some(Reason::Breaker));
        // It stays open whatever comes.
        scene.say(9, [9_000, 9_000]);
        assert!(scene.is_open(Breaker::Drawdown));
        // One dollar less of a fall is none.
        let mut scene = Scene::new();
        scene.say(3, [5_000, 5_000]);
        scene.say(9, [4_001, 5_000]);
        assert!(!scene.is_open(Breaker::Drawdown));
    }

    #[test]
    fn one_bad_equity_sample_opens_nothing_and_makes_no_peak() {
        for bad in [0, 1, -7_000, 900_000] {
            let mut scene = Scene::new();
            scene.say(3, [5_000, 5_000]);
            // The other venue speaks on meanwhile, and the bad word comes in a burst.
            scene.1 = scene.1.plus(SECOND);
            for _ in 0..50 {
                scene.money(Venue::Lighter, bad);
                scene.1 = scene.1.plus(10 * MS);
                scene.money(Venue::Extended, 5_000);
            }
            scene.say(9, [5_000, 5_000]);
            assert!(scene.0.refusal().is_none(), "{bad}");
            assert_eq!(scene.0.state().peak, Notional::from_usd(10_000), "{bad}");
        }
    }

    #[test]
    fn a_venue_that_is_down_or_silent_or_new_is_not_judged_by() {
        // Row 38: half of the sample is missing.
        let mut scene = Scene::new();
        scene.say(3, [5_000, 5_000]);
        scene.tell(Venue::Lighter, ReportKind::Down);
        for _ in 0..9 {
            scene.1 = scene.1.plus(SECOND);
            scene.money(Venue::Extended, 3_000);
        }
        assert!(scene.0.refusal().is_none());
        // Back, it first says zero, as a fresh stream may.
        scene.tell(Venue::Lighter, ReportKind::Up);
        scene.say(9, [5_000, 0]);
        assert!(scene.0.refusal().is_none());
        scene.say(9, [5_000, 5_000]);
        assert!(scene.0.refusal().is_none());
        // Up, and silent for too long.
        scene.1 = scene.1.plus(FRESH_NS);
        for _ in 0..9 {
            scene.1 = scene.1.plus(SECOND);
            scene.money(Venue::Extended, 3_000);
        }
        assert!(scene.0.refusal().is_none());
        // Once it has named money, nothing left is a word like any other.
        scene.say(3, [5_000, 5_000]);
        scene.say(3, [5_000, 0]);
        assert!(scene.is_open(Breaker::Drawdown));
    }

    #[test]
    fn the_day_is_counted_with_what_is_open_and_begins_anew() {
        let mut scene = Scene::new();
        let at = |ms: u64| T0.plus(ms * MS);
        scene.0.end(&summary(PairEnd::Closed, -15, at(0)));
        for look in 0..4 {
            scene.0.look(Some(Notional::from_usd(-10)), at(look));
        }
        // A look that can't be believed, or that sees less, starts the count anew.
        scene.0.look(None, at(5));
        assert!(!scene.is_open(Breaker::DailyLoss));
        for look in 0..5 {
            scene.0.look(Some(Notional::from_usd(-10)), at(look));
        }
        assert!(scene.is_open(Breaker::DailyLoss) && scene.0.leaves());
        assert_eq!(scene.0.refusal(), Some(Reason::DailyLoss));
        // Midnight does not close it; the sum begins anew.
        scene.0.look(Some(Notional::ZERO), at(86_400_000));
        assert!(scene.is_open(Breaker::DailyLoss));
        assert_eq!(scene.0.state().realised, Notional::ZERO);

        let mut scene = Scene::new();
        scene.0.end(&summary(PairEnd::Closed, -24, at(0)));
        scene.0.end(&summary(PairEnd::Closed, -24, at(86_400_000)));
        assert!(scene.0.refusal().is_none(), "two days");
        scene.0.end(&summary(PairEnd::Closed, -1, at(86_400_001)));
        assert!(
            scene.is_open(Breaker::DailyLoss),
            "realised needs no second look"
        );
    }

    #[test]
    fn rows_of_unwinds_and_misses_open_and_a_whole_pair_breaks_them() {
        let mut scene = Scene::new();
        let mut end = |end, count| {
            (0..count).for_each(|_| scene.0.end(&summary(end, 0, T0)));
            scene.0.refusal().is_some()
        };
        assert!(!end(PairEnd::Unwound, 4));
        assert!(!end(PairEnd::Missed, 29), "misses do not count as unwinds");
        assert!(!end(PairEnd::Closed, 1));
        assert!(!end(PairEnd::Unwound, 4) && end(PairEnd::Unwound, 1));
        assert!(scene.is_open(Breaker::Unwinds));
        let mut scene = Scene::new();
        (0..30).for_each(|_| scene.0.end(&summary(PairEnd::Missed, 0, T0)));
        assert!(scene.is_open(Breaker::Misses) && !scene.is_open(Breaker::Unwinds));
    }

    #[test]
    fn what_was_left_open_is_open_until_it_is_reset() {
        let mut scene = Scene::new();
        scene.0.halt(Some(HaltCause::PairStuck), T0);
        scene.0.halt(None, T0.plus(1));
        let opened = scene.0.state().open[Breaker::Halt.idx()];
        let sight = Sight::Halt(Some(HaltCause::PairStuck));
        assert_eq!(
            opened,
            Some(Opened { t: T0, sight }),
            "the first cause stands"
        );
        let mut kept = Restored::default();
        kept.open[Breaker::Halt.idx()] = Some(T0);
        let mut next = Breakers::new(Limits::default());
        next.restore(&kept);
        assert_eq!(next.refusal(), Some(Reason::Breaker));
        next.restore(&Restored::default());
        assert_eq!(next.refusal(), None);
    }

    proptest! {
        /// Nothing but a fall that three words of a venue agree on opens the drawdown breaker:
        /// judged by a naive reading of the same words.
        #[test]
        fn single_words_never_open_it(
            words in prop::collection::vec((0_usize..2, 1_i64..20_000, 1_u64..3), 1..200),
        ) {
            let mut scene = Scene::new();
            let mut all: [Vec<i64>; 2] = Default::default();
            let (mut peak, mut is_open) = (0, false);
            for (venue, usd, seconds) in words {
                scene.1 = scene.1.plus(seconds * SECOND);
                scene.money(VENUES[venue], usd);
                all[venue].push(usd);
                // Every word is apart from its venue's last; none is older than a minute here
                // unless the other venue spoke 20 times in between, which is left to the fast one.
                if all.iter().any(|words| words.len() < WORDS) {
                    continue;
                }
                let fresh = VENUES.iter().all(|v| {
                    scene.1.since(scene.0.words[v.idx()].t_last) <= FRESH_NS
                });
                if !fresh {
                    continue;
                }
                let last = |words: &Vec<i64>| words[words.len() - WORDS..].to_vec();
                let [a, b] = [last(&all[0]), last(&all[1])];
                peak = peak.max(a.iter().min().unwrap() + b.iter().min().unwrap());
                let most = a.iter().max().unwrap() + b.iter().max().unwrap();
                is_open |= 10 * (peak - most) >= peak;
            }
            prop_assert_eq!(scene.is_open(Breaker::Drawdown), is_open);
        }
    }
}
