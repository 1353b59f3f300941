//! How far each venue is from liquidating us, and what is to be done about it.
//!
//! The two legs' profits lie on two venues, and what one wins can't be had on the other before it
//! is moved there. So each venue must bear, out of its own equity, what prices may do until then:
//! its distance to liquidation, on its own mark, is held against one standard deviation over the
//! time that moving takes.
//!
//! Promises: plain values, integers, no clock; no level changes on what stood for less than a
//! second, and no single sample of equity or mark decides anything.
//! Refuses: to know books, pairs or orders. `guard.rs` feeds it and acts on it.

pub use crate::market::event::Level;
use crate::market::units::{Bps, MS, Nanos, Notional, Price, SCALE, SECOND, Size};
use crate::market::{Bounds, VENUE_COUNT, Venue};

/// A level must have stood for so long before it counts. Larger: later. Smaller: one odd mark acts.
const LEVEL_NS: u64 = SECOND;
/// An equity this far from the last believed one, in 1/16 of that, is doubted.
const JUMP_16: i128 = 2;
/// A doubted equity is believed when it is told again after so long, or stays the last word for
/// three times that. Larger: later to see a true loss of a tenth. Smaller: a venue that is half
/// awake says zero twice.
const CONFIRM_NS: u64 = SECOND;
/// Moves of a mark that are remembered, one a second, in the running mean of their squares. Larger:
/// slower to notice unrest. Smaller: a calm minute makes bold.
const MEMORY: i64 = 900;
/// What a mark's variance starts from: 100 % a year, per second at 10^-18.
const VARIANCE_FIRST: i64 = 31_710_000_000;
/// And what it never falls below: 50 % a year.
const VARIANCE_LEAST: i64 = VARIANCE_FIRST / 4;
/// A move counts at most as 5 sigma, so that no single one decides.
const CLIP: i64 = 25;
/// The largest move that is told from a wrong price: half, at 10^-9.
const MOVE_MOST: i64 = SCALE / 2;

/// Distances to liquidation, in 10^-3 of a sigma over [`Levels::rebalance_s`], below which each
/// level begins; falling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// People are told.
    pub warn_milli: u32,
    /// Nothing is entered. Also what the size of an entry must leave.
    pub stop_milli: u32,
    /// Pairs are left, the largest first, one at a time.
    pub shrink_milli: u32,
    /// All pairs are left.
    pub flatten_milli: u32,
    /// How long it takes to move money from one venue to the other, seconds.
    pub rebalance_s: u64,
    /// A market on which our place in the venue's deleveraging queue is this or higher is not
    /// entered: 1 to 4, 4 is taken first; 5 is off.
    pub queue_stop: u8,
}

impl Default for Levels {
    /// 8, 5, 3 and 1.5 sigma over six hours; the head of the queue.
    fn default() -> Levels {
        Levels {
            warn_milli: 8_000,
            stop_milli: 5_000,
            shrink_milli: 3_000,
            flatten_milli: 1_500,
            rebalance_s: 21_600,
            queue_stop: 4,
        }
    }
}

/// One venue's account against its positions, all at its own marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stand {
    /// What is there.
    pub equity: Notional,
    /// Value of all positions, both directions added up.
    pub gross: Notional,
    /// Equity below which the venue liquidates.
    pub maintenance: Notional,
    /// What one sigma over the time to rebalance takes, everything moving against us at once.
    pub sigma: Notional,
}

impl Stand {
    /// Adds a position.
    pub fn add(&mut self, value: Notional, bounds: &Bounds, sigma_e9: i64) {
        self.gross += value;
        self.maintenance += part(value, i64::from(bounds.maintenance_margin_e4) * PER_E4);
        self.sigma += part(value, sigma_e9);
    }

    /// How far all marks may move against us at once before liquidation, as a short sees it: what
    /// must be held grows with the mark. Without a position: as far as can be. Divides.
    pub fn distance(&self) -> Bps {
        match self.gross.0 {
            0 => Bps::from_bits(i64::MAX),
            _ => Bps::ratio(
                self.equity - self.maintenance,
                self.gross + self.maintenance,
            ),
        }
    }

    /// The same in 10^-3 of a sigma, saturating. Divides.
    pub fn sigmas_milli(&self) -> i64 {
        let spare = (self.equity - self.maintenance).0;
        let sigmas = spare.saturating_mul(1_000).checked_div(self.sigma.0);
        let most = i128::from(i64::MAX);
        sigmas.unwrap_or(most).clamp(-most, most) as i64
    }

    /// The level that this distance is in.
    pub fn level(&self, levels: &Levels) -> Level {
        let spare = (self.equity - self.maintenance).0.saturating_mul(1_000);
        let is_below = |milli: u32| spare < self.sigma.0.saturating_mul(i128::from(milli));
        match self.gross.0 {
            0 => Level::Calm,
            _ if is_below(levels.flatten_milli) => Level::Flatten,
            _ if is_below(levels.shrink_milli) => Level::Shrink,
            _ if is_below(levels.stop_milli) => Level::Stop,
            _ if is_below(levels.warn_milli) => Level::Warn,
            _ => Level::Calm,
        }
    }

    /// What all positions need to stand at the level that stops entries.
    pub fn needs(&self, levels: &Levels) -> Notional {
        let sigmas = self.sigma.0 * i128::from(levels.stop_milli) / 1_000;
        self.maintenance + Notional(sigmas)
    }
}

/// Equity as a venue tells it, and how far it is believed. Zero at the start, or half of an account
/// while a venue wakes up, has armed breakers that only a human could reset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Equity {
    believed: Option<Notional>,
    doubted: Option<(Notional, Nanos)>,
    is_fresh: bool,
}

impl Equity {
    /// A sample. Near the believed one it is believed at once.
    pub fn hear(&mut self, said: Notional, now: Nanos) {
        self.is_fresh = true;
        if self.believed.is_some_and(|last| is_near(said, last)) {
            (self.believed, self.doubted) = (Some(said), None);
            return;
        }
        match self.doubted {
            Some((first, since)) if is_near(said, first) => {
                if now.since(since) >= CONFIRM_NS {
                    (self.believed, self.doubted) = (Some(said), None);
                } else {
                    self.doubted = Some((said, since));
                }
            }
            _ => self.doubted = Some((said, now)),
        }
    }

    /// At the beat: a doubted sample that stayed the last word is believed. Zero never is by that:
    /// an account that is gone is told again.
    pub fn settle(&mut self, now: Nanos) {
        if let Some((said, since)) = self.doubted {
            let is_old = now.since(since) >= 3 * CONFIRM_NS;
            if self.is_fresh && is_old && said.0 != 0 {
                (self.believed, self.doubted) = (Some(said), None);
            }
        }
    }

    /// The venue's streams are lost: what it said is no longer fresh, and what was doubted is
    /// forgotten.
    pub fn lose(&mut self) {
        (self.is_fresh, self.doubted) = (false, None);
    }

    /// What may raise an alarm: believed, and told since the streams came up.
    pub fn sure(&self) -> Option<Notional> {
        self.believed.filter(|_| self.is_fresh)
    }

    /// What a size may be measured by: the least that it may be. One bad sample can make a size
    /// smaller; it can't do more.
    pub fn least(&self) -> Notional {
        let said = self.doubted.map(|(said, _)| said);
        let believed = self.believed.into_iter();
        believed.chain(said).min().unwrap_or(Notional::ZERO)
    }
}

/// The variance of one market's mark on one venue.
#[derive(Clone, Copy, Debug)]
pub struct Unrest {
    /// Per second, at 10^-18.
    variance: i64,
    last: Option<(Price, Nanos)>,
}

impl Default for Unrest {
    /// As restless as what is not known yet.
    fn default() -> Unrest {
        Unrest {
            variance: VARIANCE_FIRST,
            last: None,
        }
    }
}

impl Unrest {
    /// Takes the mark, once a second or so: what it moved since the last look, for that long. Cold:
    /// divides.
    pub fn look(&mut self, mark: Price, now: Nanos) {
        let Some((last, since)) = self.last.replace((mark, now)) else {
            return;
        };
        let passed_ms = (now.since(since) / MS).clamp(1, 1 << 30) as i64;
        let moved = i128::from(mark.0 - last.0) * i128::from(SCALE);
        let moved = moved.checked_div(i128::from(last.0)).unwrap_or(0);
        let moved = moved.clamp(-MOVE_MOST as i128, MOVE_MOST as i128) as i64;
        let square = i128::from(moved * moved) * 1_000 / i128::from(passed_ms);
        let square = square.min(i128::from(self.variance) * i128::from(CLIP)) as i64;
        // A pause counts as one sample, however long: its square stands for all of it.
        self.variance += (square - self.variance) / MEMORY;
        self.variance = self.variance.max(VARIANCE_LEAST);
    }

    /// One sigma over so many seconds, at 10^-9 of the price. Takes a root: cold.
    pub fn sigma_e9(&self, seconds: u64) -> i64 {
        let variance = (self.variance as u64).saturating_mul(seconds);
        variance.isqrt() as i64
    }
}

/// One market on one venue.
#[derive(Clone, Copy)]
struct Watch {
    unrest: Unrest,
    sigma_e9: i64,
    rate_e9: i64,
    /// Signed position, and the mark from which its profit is not yet in the equity.
    size: Size,
    mark: Price,
}

/// The monitor.
pub struct Margin {
    levels: Levels,
    watches: Box<[[Watch; VENUE_COUNT]]>,
    stands: [Stand; VENUE_COUNT],
    known: [Level; VENUE_COUNT],
    /// Another level than the known one, and since when.
    other: [Option<(Level, Nanos)>; VENUE_COUNT],
    /// Equity was told anew: profits are in it up to the marks of the next look.
    is_told: [bool; VENUE_COUNT],
    /// What sizes are measured by.
    means: [Means; VENUE_COUNT],
}

/// What a venue's equity leaves for entries.
#[derive(Clone, Copy, Debug, Default)]
struct Means {
    /// Least that the equity may be.
    equity: Notional,
    /// What of it no position needs, at the last look.
    spare: Notional,
    /// Notional that was open or on its way at that look.
    gross: Notional,
}

impl Margin {
    /// For markets with these bounds, by instrument and venue.
    pub fn new(levels: Levels, bounds: impl Iterator<Item = [Bounds; VENUE_COUNT]>) -> Margin {
        let watch = |bounds: Bounds| {
            let mut watch = Watch {
                unrest: Unrest::default(),
                sigma_e9: 0,
                rate_e9: 0,
                size: Size::ZERO,
                mark: Price::ZERO,
            };
            watch.rate(&levels, &bounds);
            watch
        };
        Margin {
            watches: bounds.map(|both| both.map(watch)).collect(),
            levels,
            stands: [Stand::default(); VENUE_COUNT],
            known: [Level::Calm; VENUE_COUNT],
            other: [None; VENUE_COUNT],
            is_told: [false; VENUE_COUNT],
            means: [Means::default(); VENUE_COUNT],
        }
    }

    /// A market's mark, once a second.
    pub fn look(&mut self, at: (usize, Venue), mark: Price, bounds: &Bounds, now: Nanos) {
        let watch = &mut self.watches[at.0][at.1.idx()];
        watch.unrest.look(mark, now);
        watch.rate(&self.levels, bounds);
    }

    /// The venue told its equity, and this is the least it may be.
    pub fn hear_equity(&mut self, venue: Venue, least: Notional) {
        self.is_told[venue.idx()] = true;
        let means = &mut self.means[venue.idx()];
        means.spare += least - means.equity;
        means.equity = least;
    }

    /// What sizes are measured by until the next look: the least that the equity may be, what of it
    /// no position needs, and the notional open or on its way by now.
    pub fn keep(&mut self, venue: Venue, (equity, spare): (Notional, Notional), gross: Notional) {
        self.means[venue.idx()] = Means {
            equity,
            spare,
            gross,
        };
    }

    /// So much of the smaller venue's equity, 10^-4. Divides by a constant.
    #[inline]
    pub fn share(&self, share_e4: u32) -> Notional {
        let [ours, theirs] = &self.means;
        let equity = ours.equity.min(theirs.equity);
        Notional(equity.0 / 10_000 * i128::from(share_e4))
    }

    /// What an entry on a market may take of a venue's margin, at 10^-27 of a dollar, and what it
    /// takes for each 10^-18 of its value. What was opened since the last look counts at this
    /// market's rate.
    #[inline]
    pub fn spare_e9(&self, (idx, venue): (usize, Venue), gross: Notional) -> (i128, i64) {
        let means = &self.means[venue.idx()];
        let rate_e9 = self.watches[idx][venue.idx()].rate_e9;
        let since = (gross - means.gross).0.max(0);
        let spare = means.spare.0.saturating_mul(i128::from(SCALE));
        (spare - since * i128::from(rate_e9), rate_e9)
    }

    /// What a position has made on the venue's mark since the venue told its equity. A position
    /// that changed begins anew: its fills bring a new equity.
    pub fn made_since(&mut self, at: (usize, Venue), size: Size, mark: Price) -> Notional {
        let is_told = self.is_told[at.1.idx()];
        let watch = &mut self.watches[at.0][at.1.idx()];
        if is_told || watch.size != size {
            (watch.size, watch.mark) = (size, mark);
        }
        (mark - watch.mark) * size
    }

    /// One sigma of a market over the time to rebalance, at 10^-9.
    pub fn sigma_e9(&self, (idx, venue): (usize, Venue)) -> i64 {
        self.watches[idx][venue.idx()].sigma_e9
    }

    /// Where a venue stands, all positions in it. Gives a level that begins to count with it.
    /// `is_sure`: the equity may raise an alarm; without, the known level stays.
    pub fn stand(
        &mut self,
        venue: Venue,
        stand: Stand,
        is_sure: bool,
        now: Nanos,
    ) -> Option<Level> {
        let idx = venue.idx();
        self.is_told[idx] = false;
        self.stands[idx] = stand;
        let level = stand.level(&self.levels);
        if !is_sure || level == self.known[idx] {
            self.other[idx] = None;
            return None;
        }
        // What has stood for a second is the mildest of what was seen in it.
        let known = self.known[idx];
        let (kept, since) = match self.other[idx] {
            Some((before, since)) if before > known && level > known => (before.min(level), since),
            Some((before, since)) if before < known && level < known => (before.max(level), since),
            _ => (level, now),
        };
        if now.since(since) < LEVEL_NS {
            self.other[idx] = Some((kept, since));
            return None;
        }
        (self.known[idx], self.other[idx]) = (kept, None);
        Some(kept)
    }

    /// A venue's level.
    pub fn level(&self, venue: Venue) -> Level {
        self.known[venue.idx()]
    }

    /// The worse of both.
    #[inline]
    pub fn worst(&self) -> Level {
        self.known[0].max(self.known[1])
    }

    /// Where a venue stood at the last look.
    pub fn stands(&self, venue: Venue) -> &Stand {
        &self.stands[venue.idx()]
    }

    /// The levels.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }
}

impl Watch {
    fn rate(&mut self, levels: &Levels, bounds: &Bounds) {
        self.sigma_e9 = self.unrest.sigma_e9(levels.rebalance_s);
        let sigmas = self.sigma_e9.saturating_mul(levels.stop_milli.into()) / 1_000;
        self.rate_e9 = sigmas.saturating_add(i64::from(bounds.maintenance_margin_e4) * PER_E4);
    }
}

/// Parts of 10^-9 in one of 10^-4.
const PER_E4: i64 = 100_000;

/// So many 10^-9 of an amount, a little more rather than less. Dollars above a thousandth of a
/// millionth are what counts here.
fn part(whole: Notional, e9: i64) -> Notional {
    let nano = (whole.0 + i128::from(SCALE) - 1) / i128::from(SCALE);
    Notional(nano * i128::from(e9))
}

fn is_near(said: Notional, last: Notional) -> bool {
    (said.0 - last.0).abs() * 16 <= last.0.abs() * JUMP_16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Nanos = Nanos(1_000 * SECOND);

    fn usd(usd: i64) -> Notional {
        Notional::from_usd(usd)
    }

    fn margin() -> Margin {
        Margin::new(Levels::default(), std::iter::once(Default::default()))
    }

    /// Maintenance 50, a sigma of 100: liquidation is `spare` away.
    fn spare(spare: i64) -> Stand {
        Stand {
            equity: usd(50 + spare),
            gross: usd(1_000),
            maintenance: usd(50),
            sigma: usd(100),
        }
    }

    #[test]
    fn levels_begin_where_they_are_set() {
        for (left, level) in [
            (801, Level::Calm),
            (800, Level::Calm),
            (799, Level::Warn),
            (500, Level::Warn),
            (499, Level::Stop),
            (299, Level::Shrink),
            (149, Level::Flatten),
            (-10, Level::Flatten),
        ] {
            assert_eq!(spare(left).level(&Levels::default()), level, "{left}");
        }
        let stand = spare(525);
        assert_eq!(stand.sigmas_milli(), 5_250);
        assert_eq!(stand.distance(), Bps::whole(5_000), "525 of 1,050");
        assert_eq!(stand.needs(&Levels::default()), usd(550));
        let flat = Stand {
            equity: usd(-5),
            ..Stand::default()
        };
        assert_eq!(flat.level(&Levels::default()), Level::Calm);
        assert_eq!(flat.distance(), Bps::from_bits(i64::MAX));
    }

    #[test]
    fn a_level_counts_when_it_has_stood() {
        let mut margin = margin();
        let mut at = |ms: u64, left: i64, is_sure: bool| {
            margin.stand(Venue::Lighter, spare(left), is_sure, START.plus(ms * MS))
        };
        assert_eq!(at(0, 100, true), None, "one odd sample");
        assert_eq!(at(10, 900, true), None);
        assert_eq!(at(900, 100, true), None);
        assert_eq!(at(1_000, 100, false), None, "and one that is not sure");
        assert_eq!(at(1_910, 100, true), None);
        assert_eq!(at(2_400, 400, true), None);
        // A second of which the mildest was enough to stop.
        assert_eq!(at(2_910, 100, true), Some(Level::Stop));
        assert_eq!(at(2_920, 100, true), None);
        assert_eq!(at(3_920, 100, true), Some(Level::Flatten));
        assert_eq!(at(4_000, 700, true), None);
        assert_eq!(at(5_000, 900, true), Some(Level::Warn));
        assert_eq!(margin.worst(), Level::Warn);
        assert_eq!(margin.level(Venue::Extended), Level::Calm);
    }

    /// Row 38: no single sample is believed that is far from the last.
    #[test]
    fn one_bad_equity_is_not_believed() {
        let mut equity = Equity::default();
        let at = |ms: u64| START.plus(ms * MS);
        equity.hear(usd(0), at(0));
        equity.settle(at(60_000));
        assert_eq!((equity.sure(), equity.least()), (None, Notional::ZERO));
        equity.hear(usd(1_000), at(60_000));
        assert_eq!(equity.sure(), None, "a first word is doubted too");
        equity.settle(at(62_990));
        assert_eq!(equity.sure(), None);
        equity.settle(at(63_000));
        assert_eq!(equity.sure(), Some(usd(1_000)));
        // Near: at once. Half missing: not, and it makes sizes smaller meanwhile.
        equity.hear(usd(900), at(64_000));
        assert_eq!(equity.sure(), Some(usd(900)));
        equity.hear(usd(450), at(65_000));
        assert_eq!((equity.sure(), equity.least()), (Some(usd(900)), usd(450)));
        equity.hear(usd(890), at(65_500));
        equity.settle(at(90_000));
        assert_eq!((equity.sure(), equity.least()), (Some(usd(890)), usd(890)));
        // Told twice, a second apart: it is so.
        equity.hear(usd(450), at(91_000));
        equity.hear(usd(455), at(91_900));
        assert_eq!(equity.sure(), Some(usd(890)));
        equity.hear(usd(460), at(92_000));
        assert_eq!(equity.sure(), Some(usd(460)));
        // Streams lost: nothing is fresh, and a doubt does not ripen.
        equity.hear(usd(5), at(93_000));
        equity.lose();
        equity.settle(at(200_000));
        assert_eq!((equity.sure(), equity.least()), (None, usd(460)));
        equity.hear(usd(455), at(200_010));
        assert_eq!(equity.sure(), Some(usd(455)));
    }

    #[test]
    fn profit_since_the_last_word_is_on_the_venues_own_mark() {
        let mut margin = margin();
        let at = (0, Venue::Lighter);
        let price = |whole: i64| Price(whole * SCALE);
        margin.hear_equity(Venue::Lighter, usd(1_000));
        let two = Size(-2 * SCALE);
        assert_eq!(margin.made_since(at, two, price(100)), Notional::ZERO);
        margin.stand(Venue::Lighter, spare(900), true, START);
        assert_eq!(margin.made_since(at, two, price(103)), usd(-6));
        // Another position begins anew, and so does a new word.
        let three = Size(-3 * SCALE);
        assert_eq!(margin.made_since(at, three, price(104)), Notional::ZERO);
        assert_eq!(margin.made_since(at, three, price(103)), usd(3));
        margin.hear_equity(Venue::Lighter, usd(1_003));
        assert_eq!(margin.made_since(at, three, price(103)), Notional::ZERO);
    }

    #[test]
    fn what_was_opened_since_the_last_look_takes_of_the_room() {
        let mut margin = margin();
        let at = (0, Venue::Extended);
        margin.keep(Venue::Extended, (usd(1_000), usd(700)), usd(300));
        let (spare, rate) = margin.spare_e9(at, usd(300));
        assert_eq!(spare, usd(700).0 * i128::from(SCALE));
        let (after, _) = margin.spare_e9(at, usd(400));
        assert_eq!(spare - after, usd(100).0 * i128::from(rate));
        assert_eq!(
            margin.spare_e9(at, usd(200)).0,
            spare,
            "what closed frees nothing yet"
        );
        margin.hear_equity(Venue::Extended, usd(900));
        assert_eq!(
            margin.spare_e9(at, usd(300)).0,
            usd(600).0 * i128::from(SCALE)
        );
        margin.hear_equity(Venue::Lighter, usd(400));
        assert_eq!(margin.share(2_500), usd(100), "of the smaller one");
    }

    #[test]
    fn one_wild_mark_decides_nothing() {
        let mut unrest = Unrest::default();
        let before = unrest.sigma_e9(21_600);
        // 100 % a year over six hours.
        assert!((26_000_000..26_300_000).contains(&before), "{before}");
        unrest.look(Price(100 * SCALE), START);
        unrest.look(Price(200 * SCALE), START.plus(SECOND));
        unrest.look(Price(100 * SCALE), START.plus(2 * SECOND));
        let after = unrest.sigma_e9(21_600);
        assert!(after < before * 103 / 100, "{after}");
    }

    proptest! {
        /// Beside floats: the running mean of squares, clipped and floored as stated.
        #[test]
        fn sigma_is_the_root_of_the_mean_square(
            moves in prop::collection::vec((-300_i64..300, 200_u64..4_000), 1..400),
            seconds in 60_u64..600_000,
        ) {
            let mut unrest = Unrest::default();
            let (mut mark, mut now) = (Price(60_000 * SCALE), START);
            unrest.look(mark, now);
            let mut variance = VARIANCE_FIRST as f64 / 1e18;
            for (bps_100, ms) in moves {
                let last = mark.0 as f64;
                mark = Price(mark.0 + mark.0 / 1_000_000 * bps_100);
                now = now.plus(ms * MS);
                unrest.look(mark, now);
                let square = (mark.0 as f64 / last - 1.0).powi(2) * 1_000.0 / ms as f64;
                let square = square.min(variance * CLIP as f64);
                variance += (square - variance) / MEMORY as f64;
                variance = variance.max(VARIANCE_LEAST as f64 / 1e18);
            }
            let naive = (variance * seconds as f64).sqrt() * 1e9;
            let ours = unrest.sigma_e9(seconds) as f64;
            prop_assert!((ours - naive).abs() <= naive * 1e-3 + 2.0, "{ours} {naive}");
        }

        /// An entry as large as the room leaves the distance at which entries stop, or more: gross
        /// is at most equity over maintenance and five sigma.
        #[test]
        fn gross_stays_within_what_equity_bears(
            equity in 1_i64..1_000_000,
            held in 0_i64..1_000_000,
            maintenance_margin_e4 in 1_u32..5_000,
        ) {
            let bounds = Bounds { maintenance_margin_e4, ..Bounds::default() };
            let levels = Levels::default();
            let mut margin = Margin::new(levels, std::iter::once([bounds; VENUE_COUNT]));
            let at = (0, Venue::Lighter);
            let mut stand = Stand { equity: usd(equity), ..Stand::default() };
            stand.add(usd(held), &bounds, margin.sigma_e9(at));
            let spare = stand.equity - stand.needs(&levels);
            margin.keep(Venue::Lighter, (stand.equity, spare), usd(held));
            let (spare_e9, rate) = margin.spare_e9(at, usd(held));
            let more = Notional((spare_e9 / i128::from(rate)).max(0));
            prop_assert_eq!(more.0 > 0, spare.0 >= i128::from(rate));
            stand.add(more, &bounds, margin.sigma_e9(at));
            if more.0 > 0 {
                let most = equity as f64
                    / (f64::from(maintenance_margin_e4) / 1e4
                        + 5.0 * margin.sigma_e9(at) as f64 / 1e9);
                let gross = stand.gross.to_usd_f64();
                prop_assert!((gross - most).abs() <= most * 1e-6 + 1e-6, "{gross} {most}");
            }
        }
    }
}
