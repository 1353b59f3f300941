//! Random walks of several markets' books, told over shared lanes as the venue tells them.

use super::tests::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Levels by side and price; whole units.
type Naive = BTreeMap<(bool, i64), i64>;
/// Best bid and ask.
type Best = [Option<(i64, i64)>; 2];

/// A venue with eight markets, and what a reader too simple to be wrong would show of each.
struct Naively {
    books: Vec<Naive>,
    /// Stamp of the last full message.
    book_ms: Vec<u64>,
    /// The last top told, by stamp.
    top: Vec<Option<(u64, Best)>>,
}

impl Naively {
    /// What is to be seen: the top if it is the freshest, before the depth of the book.
    fn shown(&self, idx: usize, is_ask: bool) -> Vec<(i64, i64)> {
        let own = self.books[idx]
            .iter()
            .filter(|((own, _), _)| *own == is_ask);
        let mut levels: Vec<_> = own.map(|((_, price), size)| (*price, *size)).collect();
        if !is_ask {
            levels.reverse();
        }
        match self.top[idx] {
            Some((top_ms, best)) if top_ms > self.book_ms[idx] => match best[usize::from(is_ask)] {
                None => Vec::new(),
                Some((price, size)) => {
                    let is_behind = |level: &(i64, i64)| {
                        if is_ask {
                            level.0 > price
                        } else {
                            level.0 < price
                        }
                    };
                    let behind = levels.into_iter().filter(is_behind);
                    [(price, size)].into_iter().chain(behind).collect()
                }
            },
            _ => levels,
        }
    }
}

fn text(price: i64, quantity: i64, size: Option<i64>) -> String {
    let size = size.map_or(String::new(), |size| format!(r#","c":"{size}""#));
    format!(r#"{{"q":"{quantity}.00","p":"{price}.0"{size}}}"#)
}

/// What happens to one market.
#[derive(Clone, Debug)]
enum Step {
    /// Bids move below 50, asks above; told as changes.
    Change(Vec<(bool, i64, i64)>),
    Snapshot,
    /// A best bid and ask, or nobody; stamped so much before now.
    Top(Option<(i64, i64)>, Option<(i64, i64)>, u64),
    /// Somebody else's message.
    Foreign,
}

fn steps() -> impl Strategy<Value = Vec<(usize, u64, Step)>> {
    let change = prop::collection::vec((any::<bool>(), 1_i64..40, 0_i64..5), 0..6);
    let bid = prop::option::of((1_i64..50, 1_i64..5));
    let ask = prop::option::of((50_i64..99, 1_i64..5));
    let step = prop_oneof![
        4 => change.prop_map(Step::Change),
        1 => Just(Step::Snapshot),
        4 => (bid, ask, 0..30_u64).prop_map(|(bid, ask, age)| Step::Top(bid, ask, age)),
        1 => Just(Step::Foreign),
    ];
    prop::collection::vec((0..8_usize, 0..20_u64, step), 1..60)
}

proptest! {
    /// The books told are the books kept, and the top shown is the freshest by its stamp.
    #[test]
    fn what_is_shown_is_the_freshest_there_is(steps in steps()) {
        let mut rig = Rig::shared();
        let mut naive = Naively {
            books: vec![Naive::new(); 8],
            book_ms: vec![rig.now.epoch_ms(); 8],
            top: vec![None; 8],
        };
        for idx in 0..8 {
            let name = rig.feed.tracks[idx].name;
            rig.tell(0, &Page::snapshot("", "").of(name.as_str()));
        }
        let mut messages = 8;
        for (idx, pause_ms, step) in steps {
            rig.later(pause_ms);
            messages += 1;
            let name = rig.feed.tracks[idx].name;
            let now_ms = rig.now.epoch_ms();
            let mut sides = [Vec::new(), Vec::new()];
            let kind = match step {
                Step::Change(changes) => {
                    // The venue tells a level once in a message.
                    let mut told = BTreeSet::new();
                    for (is_ask, offset, size) in changes {
                        let price = if is_ask { 50 + offset } else { 50 - offset };
                        if told.insert((is_ask, price)) {
                            let before = naive.books[idx].insert((is_ask, price), size);
                            let change = size - before.unwrap_or(0);
                            sides[usize::from(is_ask)].push(text(price, change, Some(size)));
                        }
                    }
                    naive.books[idx].retain(|_, size| *size > 0);
                    naive.book_ms[idx] = now_ms;
                    let (bids, asks) = (sides[0].join(","), sides[1].join(","));
                    rig.tell(0, &Page::delta(&bids, &asks).of(name.as_str()))
                }
                Step::Snapshot => {
                    for ((is_ask, price), size) in &naive.books[idx] {
                        sides[usize::from(*is_ask)].push(text(*price, *size, None));
                    }
                    sides[0].reverse();
                    naive.book_ms[idx] = now_ms;
                    let (bids, asks) = (sides[0].join(","), sides[1].join(","));
                    rig.tell(0, &Page::snapshot(&bids, &asks).of(name.as_str()))
                }
                Step::Top(bid, ask, age_ms) => {
                    let stamp_ms = now_ms - age_ms;
                    let is_newest = naive.top[idx].is_none_or(|(top_ms, _)| stamp_ms >= top_ms);
                    if is_newest {
                        naive.top[idx] = Some((stamp_ms, [bid, ask]));
                    }
                    let side = |best: Option<(i64, i64)>| {
                        best.map_or(String::new(), |(price, size)| text(price, size, None))
                    };
                    let (bids, asks) = (side(bid), side(ask));
                    rig.sequences[1] += 1;
                    let page = Page::top(&bids, &asks).of(name.as_str());
                    rig.say(1, &page.text(stamp_ms, rig.sequences[1]))
                }
                Step::Foreign => rig.tell(0, &Page::delta("", "").of("XYZ-USD")),
            };
            prop_assert!(!kind.is_fault(), "{:?}", kind);
            prop_assert_eq!(rig.doubts(), vec![]);
            for idx in 0..8 {
                for (side, is_ask) in [(Side::Bid, false), (Side::Ask, true)] {
                    let row = |level: Level| (level.price.0, level.size.0);
                    let shown: Vec<_> = rig.books[idx].levels(side).map(row).collect();
                    let expected = naive.shown(idx, is_ask).into_iter();
                    let expected: Vec<_> = expected.map(|(p, s)| (nano(p), nano(s))).collect();
                    prop_assert_eq!(shown, expected);
                }
            }
        }
        prop_assert_eq!(rig.reconnects(), Vec::<Lane>::new());
        let paths = rig.feed.paths();
        prop_assert_eq!((paths.fast, paths.slow), (messages, 0));
    }
}
