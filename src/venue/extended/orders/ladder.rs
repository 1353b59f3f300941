//! Ready-signed orders: for each market and side the few that may be asked for next.
//!
//! The scanner says which (`Foresight`), and whoever is idle signs them, one at a time. Neither our
//! own id nor reduce-only is in what is signed (S1, `signing.order_object_settlement`), so both are
//! filled in at the moment of use; everything else must be equal.
//!
//! Promises: what is taken is gone, so no salt leaves twice; nothing is taken past its life, or
//! after a word to drop it, or far from what is foreseen now; memory is taken once.
//! Refuses: to sign, and to ask a venue for anything: an order that is never taken was never made.

use super::request::{Body, PlaceFields};
use crate::market::book::Side;
use crate::market::units::{Bps, Nanos, Price, Size};

/// Orders kept ready for each market and side; the oldest makes room. Larger: more prices are
/// covered, and more signatures are made for nothing. Smaller: a price that comes back is signed
/// again.
const RUNGS: usize = 8;
/// An order this far from what is foreseen now is dropped. It could not be asked for soon, and a
/// price that far away may be outside the venue's band (5 % around its mark) when it is.
const APART_MAX: Bps = Bps::whole(100);

// How a ladder is kept
//
// The idea: an order is mostly known before it is wanted. Its limit follows from the touch of this
// venue and its size from the limits of the run, and an edge usually comes by a move of the *other*
// venue. So the orders that the next edge would send are signed while nothing happens, and the
// edge finds bytes. The eight places of a side are walked in turn: as many comparisons in five
// cache lines, without a hash and without a pointer. The bytes lie apart, so that the search does
// not drag them in.
//
// Left out: a place for each price of a grid. The scanner names what it would send anyway, so a
// price that it would not send need not be signed; and the size belongs to the key as well.

/// Where a place stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Nothing, or nothing any more.
    Empty,
    /// To be signed.
    Wanted,
    /// Signed.
    Ready,
}

/// What a place is searched by.
#[derive(Clone, Copy)]
struct Key {
    price: Price,
    size: Size,
    /// Not to be used from then on.
    until: Nanos,
    stand: Stand,
    /// It waits to be signed, or waited when it was dropped.
    is_queued: bool,
}

/// What a place holds.
struct Rung {
    /// As signed; own id and reduce-only are not.
    fields: Option<PlaceFields>,
    /// The request's body after both.
    body: Body,
}

/// One order as it is to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) market_idx: usize,
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) size: Size,
}

/// All ready orders of an account.
pub(super) struct Ladder {
    life_ns: u64,
    /// [`RUNGS`] for each market and side, in this order.
    keys: Box<[Key]>,
    /// By the same places.
    rungs: Box<[Rung]>,
    /// By market and side: which place is written next.
    next: Box<[u8]>,
    /// Places to be signed, oldest first; each at most once, so it is never full.
    queue: Box<[u16]>,
    queue_start: usize,
    queue_len: usize,
}

impl Ladder {
    /// For so many markets; an order may be used for `life_ns` after it was signed.
    pub(super) fn new(markets: usize, life_ns: u64) -> Ladder {
        let places = markets * 2 * RUNGS;
        let empty = Key {
            price: Price::ZERO,
            size: Size::ZERO,
            until: Nanos::ZERO,
            stand: Stand::Empty,
            is_queued: false,
        };
        let rung = |_| Rung {
            fields: None,
            body: Body::new(),
        };
        Ladder {
            life_ns,
            keys: vec![empty; places].into_boxed_slice(),
            rungs: (0..places).map(rung).collect(),
            next: vec![0; markets * 2].into_boxed_slice(),
            queue: vec![0; places].into_boxed_slice(),
            queue_start: 0,
            queue_len: 0,
        }
    }

    /// This order may be asked for soon. One that lies ready for long enough is left as it is.
    pub(super) fn want(&mut self, wanted: &Wanted, now: Nanos) {
        let seat = seat_of(wanted.market_idx, wanted.side);
        let first = seat * RUNGS;
        for key in &mut self.keys[first..first + RUNGS] {
            if key.stand == Stand::Ready && is_apart(key.price, wanted.price) {
                key.stand = Stand::Empty;
            }
            let is_same = key.price == wanted.price && key.size == wanted.size;
            let is_fresh = match key.stand {
                Stand::Empty => false,
                Stand::Wanted => true,
                Stand::Ready => now.plus(self.life_ns / 2) < key.until,
            };
            if is_same && is_fresh {
                return;
            }
        }
        let place = first + usize::from(self.next[seat]);
        self.next[seat] = (self.next[seat] + 1) % RUNGS as u8;
        let key = &mut self.keys[place];
        (key.price, key.size, key.stand) = (wanted.price, wanted.size, Stand::Wanted);
        if !std::mem::replace(&mut key.is_queued, true) {
            let end = (self.queue_start + self.queue_len) % self.queue.len();
            self.queue[end] = place as u16;
            self.queue_len += 1;
        }
    }

    /// What is to be signed next, and its place.
    pub(super) fn next_wanted(&mut self) -> Option<(usize, Wanted)> {
        while self.queue_len > 0 {
            let place = usize::from(self.queue[self.queue_start]);
            let key = self.keys[place];
            if key.stand == Stand::Wanted {
                let seat = place / RUNGS;
                let wanted = Wanted {
                    market_idx: seat / 2,
                    side: if seat.is_multiple_of(2) {
                        Side::Bid
                    } else {
                        Side::Ask
                    },
                    price: key.price,
                    size: key.size,
                };
                return Some((place, wanted));
            }
            self.leave_queue(place);
        }
        None
    }

    /// The place that was shown last is done with: signed, or empty when it can't be.
    /// `write` writes what follows reduce-only in the body.
    pub(super) fn keep(
        &mut self,
        place: usize,
        fields: Option<PlaceFields>,
        now: Nanos,
        write: impl FnOnce(&mut Body, &PlaceFields),
    ) {
        self.leave_queue(place);
        let (key, rung) = (&mut self.keys[place], &mut self.rungs[place]);
        rung.fields = fields;
        key.until = now.plus(self.life_ns);
        key.stand = match &rung.fields {
            Some(fields) => {
                write(&mut rung.body, fields);
                Stand::Ready
            }
            None => Stand::Empty,
        };
    }

    fn leave_queue(&mut self, place: usize) {
        debug_assert_eq!(usize::from(self.queue[self.queue_start]), place);
        self.keys[place].is_queued = false;
        self.queue_start = (self.queue_start + 1) % self.queue.len();
        self.queue_len -= 1;
    }

    /// Takes an order that was signed with these terms, if one lies ready: its place, and what was
    /// signed. It is gone, but its body stays until something else is signed in its place.
    #[inline]
    pub(super) fn take(&mut self, wanted: &Wanted, now: Nanos) -> Option<(usize, PlaceFields)> {
        let first = seat_of(wanted.market_idx, wanted.side) * RUNGS;
        let keys = &mut self.keys[first..first + RUNGS];
        let at = keys.iter().position(|key| {
            key.price == wanted.price
                && key.size == wanted.size
                && key.stand == Stand::Ready
                && now < key.until
        })?;
        keys[at].stand = Stand::Empty;
        let place = first + at;
        let fields = self.rungs[place].fields.take()?;
        Some((place, fields))
    }

    /// The body of what was taken last, after reduce-only.
    pub(super) fn body(&self, place: usize) -> &[u8] {
        self.rungs[place].body.text()
    }

    /// Nothing of a market may be used any more.
    #[cold]
    pub(super) fn drop_market(&mut self, market_idx: usize) {
        let first = seat_of(market_idx, Side::Bid) * RUNGS;
        (first..first + 2 * RUNGS).for_each(|place| self.drop_place(place));
    }

    /// Nothing may be used any more.
    #[cold]
    pub(super) fn drop_all(&mut self) {
        (0..self.keys.len()).for_each(|place| self.drop_place(place));
    }

    fn drop_place(&mut self, place: usize) {
        self.keys[place].stand = Stand::Empty;
        let rung = &mut self.rungs[place];
        if rung.fields.take().is_some() {
            rung.body.wipe();
        }
    }

    /// How many could be used now.
    pub(super) fn ready_count(&self, now: Nanos) -> usize {
        let is_ready = |key: &&Key| key.stand == Stand::Ready && now < key.until;
        self.keys.iter().filter(is_ready).count()
    }
}

/// Number of a market's side.
fn seat_of(market_idx: usize, side: Side) -> usize {
    market_idx * 2
        + match side {
            Side::Bid => 0,
            Side::Ask => 1,
        }
}

fn is_apart(one: Price, other: Price) -> bool {
    Price((one.0 - other.0).abs()) > APART_MAX.of_price(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::order::OrderId;
    use crate::market::units::SECOND;
    use crate::venue::extended::sign::{Felt, Signature};
    use proptest::prelude::*;

    const LIFE_NS: u64 = 5 * SECOND;
    const T: Nanos = Nanos(1_790_000_000 * SECOND);

    fn wanted(market_idx: usize, side: Side, price: i64, size: i64) -> Wanted {
        let (price, size) = (Price(price), Size(size));
        Wanted {
            market_idx,
            side,
            price,
            size,
        }
    }

    /// Stands in for an order signed with these terms; `salt` tells it from all others.
    fn fields(wanted: &Wanted, salt: u32) -> PlaceFields {
        PlaceFields {
            id: OrderId::NONE,
            market_idx: wanted.market_idx,
            side: wanted.side,
            size: wanted.size,
            price: wanted.price,
            reduce_only: false,
            expiry_ms: 0,
            salt,
            signature: Signature {
                r: Felt::ONE,
                s: Felt::ONE,
            },
        }
    }

    /// Signs what is wanted next.
    fn sign(ladder: &mut Ladder, salt: u32, now: Nanos) -> Option<Wanted> {
        let (place, wanted) = ladder.next_wanted()?;
        ladder.keep(place, Some(fields(&wanted, salt)), now, |_, _| {});
        Some(wanted)
    }

    fn salt(ladder: &mut Ladder, wanted: &Wanted, now: Nanos) -> Option<u32> {
        ladder.take(wanted, now).map(|(_, fields)| fields.salt)
    }

    #[test]
    fn an_order_is_used_once_and_only_for_its_own_terms() {
        let mut ladder = Ladder::new(2, LIFE_NS);
        let one = wanted(1, Side::Ask, 100, 5);
        ladder.want(&one, T);
        assert_eq!(salt(&mut ladder, &one, T), None, "it is not signed yet");
        assert_eq!(sign(&mut ladder, 1, T), Some(one));
        for other in [
            wanted(0, Side::Ask, 100, 5),
            wanted(1, Side::Bid, 100, 5),
            wanted(1, Side::Ask, 101, 5),
            wanted(1, Side::Ask, 100, 6),
        ] {
            assert_eq!(salt(&mut ladder, &other, T), None, "{other:?}");
        }
        assert_eq!(ladder.ready_count(T), 1);
        assert_eq!(salt(&mut ladder, &one, T), Some(1));
        assert_eq!(salt(&mut ladder, &one, T), None, "never twice");
    }

    #[test]
    fn a_life_ends_and_is_renewed_at_half_of_it() {
        let mut ladder = Ladder::new(1, LIFE_NS);
        let one = wanted(0, Side::Bid, 100, 5);
        for (at_ns, salt) in [
            (0, Some(1)),
            (LIFE_NS / 2 - 1, None),
            (LIFE_NS / 2, Some(2)),
        ] {
            let now = T.plus(at_ns);
            ladder.want(&one, now);
            let signed = sign(&mut ladder, salt.unwrap_or(9), now);
            assert_eq!(signed, salt.map(|_| one), "{at_ns}");
        }
        let end = T.plus(LIFE_NS);
        assert_eq!(salt(&mut ladder, &one, end), Some(2), "the first is over");
        ladder.want(&one, end);
        sign(&mut ladder, 3, end);
        assert_eq!(salt(&mut ladder, &one, end.plus(LIFE_NS)), None);
    }

    #[test]
    fn dropped_ones_are_gone_also_those_that_wait() {
        let mut ladder = Ladder::new(2, LIFE_NS);
        let [ours, theirs] = [0, 1].map(|market| wanted(market, Side::Ask, 1_000, 5));
        let later = wanted(0, Side::Bid, 1_000, 5);
        for one in [ours, theirs, later] {
            ladder.want(&one, T);
        }
        sign(&mut ladder, 1, T);
        sign(&mut ladder, 2, T);
        ladder.drop_market(0);
        assert_eq!(sign(&mut ladder, 3, T), None, "what waited is not signed");
        assert_eq!(salt(&mut ladder, &ours, T), None);
        assert_eq!(salt(&mut ladder, &theirs, T), Some(2));
        ladder.want(&theirs, T);
        sign(&mut ladder, 4, T);
        ladder.drop_all();
        assert_eq!(salt(&mut ladder, &theirs, T), None);
        ladder.want(&theirs, T);
        assert_eq!(sign(&mut ladder, 5, T), Some(theirs), "asked for anew");
    }

    #[test]
    fn far_prices_and_the_oldest_make_room() {
        let mut ladder = Ladder::new(1, LIFE_NS);
        let at = |price| wanted(0, Side::Bid, price, 5);
        for price in [10_000, 10_100, 10_101] {
            ladder.want(&at(price), T);
            sign(&mut ladder, price as u32, T);
        }
        assert_eq!(
            salt(&mut ladder, &at(10_000), T),
            Some(10_000),
            "1 % is near"
        );
        ladder.want(&at(9_999), T);
        assert_eq!(salt(&mut ladder, &at(10_101), T), None, "and more is not");
        sign(&mut ladder, 9_999, T);
        for price in 0..RUNGS as i64 {
            ladder.want(&at(9_990 + price), T);
            sign(&mut ladder, 1, T);
        }
        assert_eq!(ladder.ready_count(T), RUNGS);
        let oldest = salt(&mut ladder, &at(9_999), T);
        assert_eq!(oldest, None, "it made room");
    }

    #[derive(Clone, Debug)]
    enum Deed {
        Want(Wanted),
        Sign,
        Take(Wanted),
        Pass(u64),
        DropMarket(usize),
        DropAll,
    }

    fn deed() -> impl Strategy<Value = Deed> {
        let one = || {
            let side = prop_oneof![Just(Side::Bid), Just(Side::Ask)];
            (0..2_usize, side, 995..1_010_i64, 1..3_i64)
                .prop_map(|(market, side, price, size)| wanted(market, side, price, size))
        };
        prop_oneof![
            6 => one().prop_map(Deed::Want),
            6 => Just(Deed::Sign),
            6 => one().prop_map(Deed::Take),
            2 => (0..3 * SECOND).prop_map(Deed::Pass),
            1 => (0..2_usize).prop_map(Deed::DropMarket),
            1 => Just(Deed::DropAll),
        ]
    }

    proptest! {
        /// Whatever is taken was signed with these terms, within its life, after the last word to
        /// drop it, and was not taken before; and what is signed was wanted.
        #[test]
        fn nothing_is_taken_that_may_not_be(deeds in prop::collection::vec(deed(), 1..200)) {
            let mut ladder = Ladder::new(2, LIFE_NS);
            let (mut now, mut wants, mut usable) = (T, Vec::new(), Vec::new());
            for (number, deed) in deeds.into_iter().enumerate() {
                match deed {
                    Deed::Want(one) => {
                        ladder.want(&one, now);
                        wants.push(one);
                    }
                    Deed::Sign => if let Some(one) = sign(&mut ladder, number as u32, now) {
                        prop_assert!(wants.contains(&one));
                        usable.push((number as u32, one, now.plus(LIFE_NS)));
                    },
                    Deed::Take(one) => if let Some(salt) = salt(&mut ladder, &one, now) {
                        let found = usable.iter().position(|(own, terms, until)| {
                            (*own, *terms) == (salt, one) && now < *until
                        });
                        prop_assert!(found.is_some());
                        usable.swap_remove(found.unwrap());
                    },
                    Deed::Pass(ns) => now = now.plus(ns),
                    Deed::DropMarket(market) => {
                        ladder.drop_market(market);
                        usable.retain(|(_, one, _)| one.market_idx != market);
                        wants.retain(|one| one.market_idx != market);
                    }
                    Deed::DropAll => {
                        ladder.drop_all();
                        (wants, usable) = (Vec::new(), Vec::new());
                    }
                }
                prop_assert!(ladder.ready_count(now) <= usable.len());
            }
        }
    }
}
