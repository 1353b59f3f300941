//! What the scanner knows of one instrument: both mirrors, the fair, and the episodes in which a
//! direction's edge stood out.
//!
//! Promises: what both mirrors say together: touches when both are good, doubts of either, whether
//! they can be prices of one asset, and what sizes both venues take. Refuses: to decide anything.

use crate::market::book::{Book, Delta, Side};
use crate::market::event::{ExitCause, PairEnd, Reason, Terms};
use crate::market::lasting::Standing;
use crate::market::reference::{Reference, ReferenceKind};
use crate::market::units::{Bps, Nanos, Notional, Price, Size};
use crate::market::{Instrument, Market, VENUE_COUNT, Venue};
use crate::scanner::edge;
use crate::scanner::fair::Fair;
use crate::scanner::impact::Own;
use crate::scanner::lattice::Lattice;
use crate::scanner::mirror::Mirror;
pub use crate::scanner::mirror::Touch;
use crate::scanner::pair::Pair;
use crate::scanner::risk::{Limits, SLOW};
use crate::scanner::spread::{Haircut, within};

/// The gross edge must stay below half of its minimum this long before an episode is over.
/// Larger: fewer, longer episodes.
const EPISODE_END_NS: u64 = 50 * crate::market::units::MS;
/// Mids of one asset are never further apart (design: trading rules, common mode).
const MIDS_APART: Bps = Bps::whole(200);
/// Nor are its indexes.
const INDEXES_APART: Bps = Bps::whole(100);
/// Pairs that may be tried in one episode while none of them fills.
const TRIES_PER_EPISODE: u8 = 3;

/// Everything about one instrument except its pairs.
pub struct Board {
    /// The instrument and its markets.
    pub instrument: Instrument,
    /// By venue.
    pub mirrors: [Mirror; VENUE_COUNT],
    /// The fair basis.
    pub fair: Fair,
    /// By the venue where the direction buys.
    pub episodes: [Episode; VENUE_COUNT],
    /// Which sizes both venues take.
    pub lattice: Lattice,
    /// How far a slow leg that follows the fast one may go, by the venue where the pair is long.
    pub bands: [Bps; VENUE_COUNT],
    /// Deviation of the slow venue's price over its delay, as edges of this direction have shown
    /// it; `None` while unknown.
    pub deviations: [Option<Bps>; VENUE_COUNT],
    /// From sending to match, by venue, nanoseconds.
    pub delays_ns: [u64; VENUE_COUNT],
    /// The venues' market lists allow entries; `Control::Entries` says when they don't.
    pub entries_on: bool,
    /// No entry before this.
    pub t_rest: Nanos,
    /// What its pairs have earned it.
    pub standing: Standing,
    /// An edge beyond belief was seen: no entry, and nothing learned, before this.
    pub t_absurd: Nanos,
    /// In which stretch of the fair a pair was entered whose edge has not come back since, by the
    /// venue where it buys.
    pub entered: [Option<u32>; VENUE_COUNT],
    /// What our own fills and pairs have taught.
    pub own: Own,
    /// Most that rounding takes from a pair.
    pub rounding: Bps,
    /// Position on each venue that no pair of ours explains (it was there before).
    pub base: [Size; VENUE_COUNT],
    /// Since when a venue's position has been another than what explains it.
    pub drift_since: [Option<Nanos>; VENUE_COUNT],
}

impl Board {
    /// Empty books, unknown fair.
    pub fn new(instrument: &Instrument, limits: &Limits) -> Board {
        let [extended, lighter] = &instrument.markets;
        Board {
            instrument: *instrument,
            mirrors: [Mirror::new(extended.tick), Mirror::new(lighter.tick)],
            fair: Fair::new(limits),
            episodes: [Episode::default(); VENUE_COUNT],
            lattice: Lattice::new(&instrument.markets),
            bands: [limits.hedge_band; VENUE_COUNT],
            deviations: [None; VENUE_COUNT],
            delays_ns: limits.match_delay_ns,
            entries_on: true,
            t_rest: Nanos::ZERO,
            standing: Standing::default(),
            t_absurd: Nanos::ZERO,
            entered: [None; VENUE_COUNT],
            own: Own::new(limits.slippage, limits.edge.hold_expected_ns),
            rounding: edge::rounding(&instrument.markets),
            base: [Size::ZERO; VENUE_COUNT],
            drift_since: [None; VENUE_COUNT],
        }
    }

    /// Mirrors a change. True when a whole message has been applied and the book is to be looked
    /// at.
    #[inline]
    pub fn apply(&mut self, delta: &Delta) -> bool {
        self.mirrors[delta.venue.idx()].apply(delta)
    }

    /// A venue's mirror book.
    pub fn book(&self, venue: Venue) -> &Book {
        &self.mirrors[venue.idx()].book
    }

    /// Both touches, when both books are whole, two-sided and not crossed.
    #[inline]
    pub fn touches(&self) -> Option<[Touch; VENUE_COUNT]> {
        let [extended, lighter] = &self.mirrors;
        Some([extended.touch()?, lighter.touch()?])
    }

    /// The last good touch of a venue, however old.
    pub fn touch_last(&self, venue: Venue) -> Option<Touch> {
        self.mirrors[venue.idx()].touch_last()
    }

    /// Why one of the books must not be traded on now, if it must not.
    #[inline]
    pub fn doubt(&self, now: Nanos, stale_after_ns: u64) -> Option<Reason> {
        let mut mirrors = self.mirrors.iter();
        mirrors.find_map(|mirror| mirror.doubt(now, stale_after_ns))
    }

    /// Whether these can't be prices of one asset: the mids are more than 2 % apart, or the indexes
    /// more than 1 %, or a mid and its own venue's index more than 2 %. What is not known is not
    /// held against them.
    pub fn is_divergent(&self, touches: &[Touch; VENUE_COUNT]) -> bool {
        let mids = touches.map(|touch| touch.mid());
        let index = |mirror: &Mirror| mirror.reference_e9(ReferenceKind::Index).map(Price);
        let [ours, theirs] = [&self.mirrors[0], &self.mirrors[1]].map(index);
        let apart = |a: Option<Price>, b: Option<Price>, most: Bps| match (a, b) {
            (Some(a), Some(b)) => Price((a.0 - b.0).abs()) > most.of_price(b),
            _ => false,
        };
        let [mid_ours, mid_theirs] = mids.map(Some);
        apart(mid_ours, mid_theirs, MIDS_APART)
            || apart(ours, theirs, INDEXES_APART)
            || apart(mid_ours, ours, MIDS_APART)
            || apart(mid_theirs, theirs, MIDS_APART)
    }

    /// What lies within an order's limit now, haircut taken off: at least so much, up to `enough`.
    pub fn within(&self, venue: Venue, order: (Side, Price), cut: Haircut, enough: Size) -> Size {
        let levels = self.book(venue).levels(order.0.other());
        within(levels, order, cut, enough)
    }

    /// What the basis is right now, edges included; `None` while a book is not good.
    pub fn basis_now(&self) -> Option<Bps> {
        self.touches().and_then(|_| self.fair.raw())
    }

    /// A pair is over: it teaches how long pairs are held, and where its edge has come back, or it
    /// never stood, the direction may be entered again.
    pub fn own_pair_over(&mut self, pair: &Pair, now: Nanos) {
        if pair.end == PairEnd::Closed {
            self.own.learn_pair(pair.t_entry, now);
        }
        if pair.end != PairEnd::Closed || pair.cause == ExitCause::Converged {
            self.entered[pair.long.idx()] = None;
        }
    }

    /// The account's tier has changed: every edge, way and order of legs is reckoned anew.
    #[cold]
    pub fn set_terms(&mut self, terms: &Terms) {
        let market = &mut self.instrument.markets[terms.venue.idx()];
        (market.fee_taker, market.fee_maker) = (terms.fee_taker, terms.fee_maker);
        self.delays_ns[terms.venue.idx()] = terms.match_delay_ns;
    }

    /// Takes a mark, an index, a funding rate, or what is left of an open-interest limit.
    #[inline]
    pub fn note(&mut self, venue: Venue, reference: &Reference) {
        match reference.kind {
            ReferenceKind::OpenInterestLeft => {
                let left = Notional::from_nano(reference.value_e9);
                self.set_open_interest_left(venue, Some(left));
            }
            ReferenceKind::Mark | ReferenceKind::Index | ReferenceKind::Funding => {
                self.mirrors[venue.idx()].note(reference);
            }
        }
    }

    /// What the venue has left of the market's open-interest limit, from now on.
    pub fn set_open_interest_left(&mut self, venue: Venue, left: Option<Notional>) {
        let bounds = &mut self.instrument.markets[venue.idx()].bounds;
        bounds.open_interest_left = left;
    }

    /// One of the markets.
    pub fn market(&self, venue: Venue) -> &Market {
        &self.instrument.markets[venue.idx()]
    }

    /// Whether a venue takes an order of this size at this limit: on its lot, at least its smallest
    /// size and its smallest notional.
    pub fn is_placeable(&self, venue: Venue, size: Size, price: Price) -> bool {
        self.lattice.takes(venue, size, price)
    }

    /// How far a hedge may go beyond the touch: what was learned where the slow leg follows the
    /// fast one, else the limit.
    pub fn hedge_band(&self, lead: Option<Venue>, long: Venue, most: Bps) -> Bps {
        match lead == Some(SLOW.other()) {
            true => self.bands[long.idx()].min(most),
            false => most,
        }
    }

    /// A limit `beyond` worse than `price` for an order of this side, on the tick and never past
    /// the allowance.
    pub fn limit(&self, venue: Venue, side: Side, price: Price, beyond: Bps) -> Price {
        let tick = self.market(venue).tick;
        let allowance = beyond.of_price(price);
        match side {
            Side::Bid => (price + allowance).floor_to(tick),
            Side::Ask => (price - allowance).ceil_to(tick).max(tick),
        }
    }

    /// Taker fees of all four legs: both markets, in and out.
    pub fn fees_round(&self) -> Bps {
        let [extended, lighter] = &self.instrument.markets;
        let once = extended.fee_taker + lighter.fee_taker;
        once + once
    }
}

/// A stretch of time in which one direction's gross edge stood above the minimum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Episode {
    is_open: bool,
    low_since: Option<Nanos>,
    refused: u64,
    tries: u8,
    is_taken: bool,
}

impl Episode {
    /// Follows the edge; true at the moment an episode begins. `above`: at least the minimum;
    /// `low`: below half of it.
    pub fn follow(&mut self, now: Nanos, above: bool, low: bool) -> bool {
        if above {
            self.low_since = None;
            let begins = !self.is_open;
            if begins {
                *self = Episode {
                    is_open: true,
                    ..Episode::default()
                };
            }
            return begins;
        }
        if !low {
            self.low_since = None;
        } else if self.is_open {
            let since = *self.low_since.get_or_insert(now);
            self.is_open = now.since(since) < EPISODE_END_NS;
        }
        false
    }

    /// True the first time this episode is refused for this reason.
    pub fn refuse(&mut self, reason: Reason) -> bool {
        let bit = 1_u64 << (reason as u32);
        let first = self.refused & bit == 0;
        self.refused |= bit;
        first
    }

    /// A pair may still be made of it: none is out, and not too many have missed. An edge that
    /// stays must not be entered again and again.
    pub fn is_ripe(&self) -> bool {
        self.is_open && !self.is_taken && self.tries < TRIES_PER_EPISODE
    }

    /// A pair was made of it.
    pub fn take(&mut self) {
        self.is_taken = true;
        self.tries += 1;
    }

    /// That pair missed.
    pub fn miss(&mut self) {
        self.is_taken = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::flags;
    use crate::market::units::{MS, Notional, SCALE};
    use crate::market::{Bounds, InstrumentId, Name};
    use proptest::prelude::*;

    fn instrument() -> Instrument {
        let market = |venue, tick, lot| Market {
            venue,
            instrument: InstrumentId(0),
            name: Name::new("BTC").unwrap(),
            venue_market: 1,
            tick: Price(tick),
            lot: Size(lot),
            size_min: Size(lot * 10),
            notional_min: Notional::from_usd(10),
            fee_taker: Bps::from_milli(2_500),
            fee_maker: Bps::ZERO,
            bounds: Bounds::default(),
        };
        Instrument {
            id: InstrumentId(0),
            name: Name::new("BTC").unwrap(),
            markets: [
                market(Venue::Extended, SCALE, 10_000),
                market(Venue::Lighter, SCALE / 10, 15_000),
            ],
        }
    }

    fn delta(side: Side, price: i64, size: i64, flags: u8) -> Delta {
        Delta {
            price: Price(price * SCALE),
            size: Size(size * SCALE),
            t_recv: Nanos(7),
            t_made: Nanos(7),
            t_push: Nanos(8),
            instrument: InstrumentId(0),
            venue: Venue::Lighter,
            side,
            flags,
        }
    }

    #[test]
    fn a_book_counts_from_clear_to_last() {
        let mut board = Board::new(&instrument(), &Limits::default());
        assert!(!board.apply(&delta(Side::Bid, 99, 1, flags::LAST)));
        assert!(!board.apply(&delta(Side::Bid, 99, 1, flags::CLEAR)));
        assert!(board.apply(&delta(Side::Ask, 101, 1, flags::LAST)));
        assert_eq!(
            board.touch_last(Venue::Lighter).map(|t| t.mid()),
            Some(Price(100 * SCALE))
        );
        // The other book is not there yet.
        assert_eq!(board.touches(), None);
        let stale = delta(Side::Bid, 0, 0, flags::STALE | flags::LAST | flags::EMPTY);
        assert!(!board.apply(&stale));
        assert!(!board.apply(&delta(Side::Bid, 98, 1, flags::LAST)));
        assert!(board.touch_last(Venue::Lighter).is_some());
    }

    #[test]
    fn orders_lie_on_both_grids() {
        let board = Board::new(&instrument(), &Limits::default());
        let price = Price(50_000 * SCALE);
        assert!(board.is_placeable(Venue::Extended, Size(200_000), price));
        assert!(!board.is_placeable(Venue::Extended, Size(199_999), price));
        assert!(!board.is_placeable(Venue::Lighter, Size(209_999), price));
        let beyond = Bps::from_milli(333);
        let buy = board.limit(Venue::Extended, Side::Bid, price, beyond);
        let sell = board.limit(Venue::Lighter, Side::Ask, price, beyond);
        assert_eq!(buy, Price(50_001 * SCALE));
        assert_eq!(sell, Price(49_998 * SCALE + SCALE / 10 * 4));
    }

    proptest! {
        /// Row 28: no price is an accident of rounding. It lies on the tick and never past the
        /// allowance, or past the price itself by less than a tick when the allowance is smaller.
        #[test]
        fn limits_lie_on_the_tick_within_the_allowance(
            ticks in 1_i64..2_000_000,
            tick in prop_oneof![Just(1_i64), Just(100), Just(SCALE / 10), Just(SCALE), Just(5_000)],
            beyond in 0_i64..200_000,
        ) {
            let mut instrument = instrument();
            instrument.markets[0].tick = Price(tick);
            let board = Board::new(&instrument, &Limits::default());
            let (price, beyond) = (Price(ticks * tick), Bps::from_milli(beyond));
            let allowance = beyond.of_price(price);
            let buy = board.limit(Venue::Extended, Side::Bid, price, beyond);
            let sell = board.limit(Venue::Extended, Side::Ask, price, beyond);
            prop_assert_eq!((buy.0 % tick, sell.0 % tick), (0, 0));
            prop_assert!(price <= buy && buy <= price + allowance);
            prop_assert!(sell.0 > 0 && sell <= price && sell >= price - allowance);
            prop_assert!((price + allowance - buy).0 < tick);
        }
    }

    #[test]
    fn episodes_have_hysteresis_and_few_tries() {
        let mut episode = Episode::default();
        let at = |ms: u64| Nanos(ms * MS);
        assert!(episode.follow(at(0), true, false));
        assert!(!episode.follow(at(1), true, false));
        assert!(episode.refuse(Reason::NoSlot) && !episode.refuse(Reason::NoSlot));
        episode.follow(at(10), false, true);
        episode.follow(at(40), false, false);
        episode.follow(at(50), false, true);
        episode.follow(at(99), false, true);
        assert!(!episode.follow(at(100), true, false), "still the same");
        for _ in 0..TRIES_PER_EPISODE {
            assert!(episode.is_ripe());
            episode.take();
            assert!(!episode.is_ripe());
            episode.miss();
        }
        assert!(!episode.is_ripe());
        episode.follow(at(200), false, true);
        episode.follow(at(250), false, true);
        assert!(episode.follow(at(260), true, false) && episode.is_ripe());
    }
}
