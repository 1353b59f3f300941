//! Full books: numbers in a row, snapshots and changes, the audit, shared lanes.

use super::tests::*;

const CHANGE: &str = r#"{"q":"1","p":"8","c":"1"}"#;
const STALE: u8 = flags::STALE | flags::EMPTY | flags::LAST;

#[test]
fn lanes_are_what_is_dialled() {
    let paths = |rig: &Rig| -> Vec<String> {
        let lanes = rig.feed.lanes();
        assert!(lanes.iter().all(|lane| lane.headers[0].0 == "User-Agent"));
        lanes.into_iter().map(|lane| lane.path).collect()
    };
    let rest = ["/publicTrades", "/prices/mark", "/prices/index", "/funding"];
    let own = [
        "/orderbooks/BTC-USD",
        "/orderbooks/ETH-USD",
        "/orderbooks/BTC-USD?depth=1",
        "/orderbooks/ETH-USD?depth=1",
    ];
    assert_eq!(paths(&Rig::new()), [&own[..], &rest].concat());
    let shared = ["/orderbooks", "/orderbooks?depth=1"];
    assert_eq!(paths(&Rig::shared()), [&shared[..], &rest].concat());
}

/// Row 5: a gap in `seq` blocks the market and ends its connection.
#[test]
fn row_5_a_break_in_the_row_ends_the_connection() {
    for wrong in [0, 1, 3] {
        let mut rig = Rig::new();
        let first = rig.tell(0, &Page::snapshot(LEVEL, ""));
        assert_eq!(first, FrameKind::Snapshot);
        let text = Page::delta(CHANGE, "").text(NOW.epoch_ms(), wrong);
        assert_eq!(rig.say(0, &text), FrameKind::Gap);
        assert_eq!((rig.flags(), rig.state(0)), (vec![STALE], BookState::Stale));
        assert_eq!(rig.reconnects(), [0]);
        // What still arrives is not believed, and asks for nothing more.
        let next = rig.tell(0, &Page::snapshot(LEVEL, ""));
        assert_eq!((next, rig.flags()), (FrameKind::Unknown, vec![]));
        assert!(rig.reconnects().is_empty());
        rig.link(0, false);
        rig.link(0, true);
        rig.tell(0, &Page::snapshot(LEVEL, ""));
        assert_eq!(rig.state(0), BookState::Live);
    }
}

/// Row 5 on a shared lane: nobody knows whose message is missing.
#[test]
fn row_5_a_gap_on_a_shared_lane_stales_all() {
    let mut rig = Rig::shared();
    rig.tell(0, &Page::snapshot(LEVEL, ""));
    rig.tell(0, &Page::snapshot(LEVEL, "").of("ETH-USD"));
    rig.sequences[0] += 1;
    // The gap is seen at whichever market's message comes next, also at one we do not follow.
    let next = rig.tell(0, &Page::delta(CHANGE, "").of("XYZ-USD"));
    assert_eq!((next, rig.flags()), (FrameKind::Gap, vec![STALE; 8]));
    assert!(rig.is_stale.iter().all(|is_stale| *is_stale));
    assert_eq!(rig.reconnects(), [0]);
}

/// On a shared lane every message counts, whatever it is about and whatever it says.
#[test]
fn every_message_counts_in_the_row() {
    let mut rig = Rig::shared();
    rig.tell(0, &Page::snapshot(LEVEL, ""));
    let foreign = Page::delta(CHANGE, "").of("XYZ-USD");
    assert_eq!(rig.tell(0, &foreign), FrameKind::Control);
    let news = Page {
        kind: "NEWS",
        ..foreign
    };
    assert_eq!(rig.tell(0, &news), FrameKind::Unknown);
    let empty = Page::delta("", "").of("ETH-USD");
    assert_eq!(
        (rig.tell(0, &empty), rig.flags()),
        (FrameKind::Update, vec![])
    );
    assert_eq!(rig.tell(0, &Page::delta(CHANGE, "")), FrameKind::Update);
    let paths = rig.feed.paths();
    assert_eq!((paths.fast, paths.slow), (4, 1));
    // Both ways read foreign messages alike.
    rig.sequences[0] += 1;
    let text = foreign.text(NOW.epoch_ms(), rig.sequences[0]);
    assert_eq!(rig.say(0, &format!(" {text}")), FrameKind::Control);
    assert_eq!(rig.tell(0, &Page::delta("", "")), FrameKind::Update);
    assert!(rig.reconnects().is_empty());
}

/// Row 6: the minute's snapshot takes its place in the row; what it repeats is not told again.
#[test]
fn row_6_a_minute_snapshot_is_no_gap() {
    let mut rig = Rig::new();
    rig.tell(0, &Page::snapshot(LEVEL, ""));
    rig.tell(0, &Page::delta(CHANGE, ""));
    let both = r#"{"q":"1","p":"9.0"},{"q":"1","p":"8.000000"}"#;
    let minute = rig.tell(0, &Page::snapshot(both, ""));
    assert_eq!((minute, rig.doubts()), (FrameKind::Snapshot, vec![]));
    assert_eq!(rig.flags(), [flags::SNAPSHOT | flags::EMPTY | flags::LAST]);
    assert_eq!(rig.books[0].full_levels(Side::Bid).count(), 2);
    assert_eq!(rig.tell(0, &Page::delta("", CHANGE)), FrameKind::Update);
    assert_eq!((rig.state(0), rig.reconnects()), (BookState::Live, vec![]));
}

/// The minute's snapshot is not the book we hold: that one is stale before the new one comes.
#[test]
fn a_minute_snapshot_that_disagrees_is_told() {
    let levels = [
        "",
        r#"{"q":"2","p":"9"}"#,
        r#"{"q":"1","p":"9"},{"q":"1","p":"8"}"#,
        r#"{"q":"1","p":"7"}"#,
    ];
    for bids in levels {
        let mut rig = Rig::new();
        rig.tell(0, &Page::snapshot(LEVEL, ""));
        assert_eq!(rig.tell(0, &Page::snapshot(bids, "")), FrameKind::Snapshot);
        assert_eq!(rig.doubts(), [(0, Doubt::Disagreed)], "{bids}");
        assert_eq!(rig.flags()[0], STALE);
        assert!(rig.flags()[1] & flags::CLEAR != 0 && !rig.is_stale[0]);
        assert_eq!(
            rig.books[0].full_levels(Side::Bid).count(),
            bids.matches('q').count()
        );
        // Where nobody keeps books nothing can be compared.
        let mut rig = Rig::new();
        rig.books.clear();
        rig.tell(0, &Page::snapshot(LEVEL, ""));
        rig.tell(0, &Page::snapshot(bids, ""));
        assert_eq!((rig.doubts(), rig.flags()[0] & flags::STALE), (vec![], 0));
    }
}

/// Row 4: a snapshot leaves nothing of the book before, not even when it is empty.
#[test]
fn row_4_a_snapshot_clears() {
    for (bids, asks) in [("", ""), ("", LEVEL), (r#"{"q":"1","p":"7"}"#, "")] {
        let mut rig = Rig::new();
        rig.tell(0, &Page::snapshot(LEVEL, r#"{"q":"1","p":"11"}"#));
        rig.tell(0, &Page::snapshot(bids, asks));
        for (side, text) in [(Side::Bid, bids), (Side::Ask, asks)] {
            assert_eq!(rig.books[0].levels(side).count(), text.matches('q').count());
        }
        let last = rig.told.deltas.items().last().unwrap();
        assert!(last.flags & flags::LAST != 0);
    }
}

/// Row 10: one side empty, or told with size zero, is told as it is.
#[test]
fn row_10_an_empty_side_is_told() {
    let nobody = r#"{"q":"0","p":"11"}"#;
    for asks in ["", nobody] {
        let mut rig = Rig::new();
        assert_eq!(
            rig.tell(0, &Page::snapshot(LEVEL, asks)),
            FrameKind::Snapshot
        );
        assert_eq!(rig.books[0].best(Side::Bid), level(9, 1));
        assert_eq!(rig.books[0].best(Side::Ask), None);
        rig.link(TOPS, true);
        rig.later(1);
        assert_eq!(rig.tell(TOPS, &Page::top(asks, LEVEL)), FrameKind::Top);
        let empty = flags::TOP | flags::EMPTY;
        assert_eq!(rig.flags(), [empty, flags::TOP | flags::LAST]);
        assert_eq!(rig.books[0].best(Side::Bid), None);
        assert_eq!(rig.books[0].best(Side::Ask), level(9, 1));
    }
}

/// Row 3: `c` is the size and `q` the change that leads to it; where they do not fit the size we
/// hold, the book is begun anew.
#[test]
fn row_3_a_change_is_audited_against_the_size_before() {
    for (change, kind) in [
        (r#"{"q":"2","p":"9","c":"3"}"#, FrameKind::Update),
        (r#"{"q":"-1","p":"9","c":"0"}"#, FrameKind::Update),
        (r#"{"q":"2","p":"8","c":"2"}"#, FrameKind::Update),
        (r#"{"q":"3","p":"9","c":"3"}"#, FrameKind::Misfit),
        (r#"{"q":"2","p":"8","c":"3"}"#, FrameKind::Misfit),
        (r#"{"q":"3","p":"9","c":"2"}"#, FrameKind::Misfit),
    ] {
        for (lane_kind, mut rig) in [("own", Rig::new()), ("shared", Rig::shared())] {
            rig.tell(0, &Page::snapshot(LEVEL, ""));
            rig.tell(0, &Page::snapshot(LEVEL, "").of("M5-USD"));
            let is_own = lane_kind == "own";
            if is_own {
                rig = Rig::new();
                rig.tell(0, &Page::snapshot(LEVEL, ""));
            }
            assert_eq!(rig.tell(0, &Page::delta(change, "")), kind, "{change}");
            if kind == FrameKind::Update {
                let size = rig.books[0].size_at(Side::Bid, Price(nano(9))).unwrap();
                assert!(rig.books[0].best(Side::Bid).is_some() || size == Size::ZERO);
                continue;
            }
            assert_eq!(rig.flags(), [STALE]);
            assert_eq!(rig.reconnects(), if is_own { vec![0] } else { vec![] });
        }
    }
    // Without a book to compare with, only what a level says of itself can be judged.
    let mut rig = Rig::new();
    rig.books.clear();
    rig.tell(0, &Page::snapshot(LEVEL, ""));
    let unknown = Page::delta(r#"{"q":"2","p":"8","c":"3"}"#, "");
    assert_eq!(rig.tell(0, &unknown), FrameKind::Update);
    let impossible = Page::delta(r#"{"q":"3","p":"9","c":"2"}"#, "");
    assert_eq!(rig.tell(0, &impossible), FrameKind::Misfit);
}

#[test]
fn changes_before_the_snapshot_only_count() {
    for mut rig in [Rig::new(), Rig::shared()] {
        assert_eq!(rig.tell(0, &Page::delta(CHANGE, "")), FrameKind::Update);
        let state = BookState::AwaitingSnapshot;
        assert_eq!((rig.flags(), rig.state(0)), (vec![], state));
        assert_eq!(rig.tell(0, &Page::snapshot(LEVEL, "")), FrameKind::Snapshot);
        assert_eq!(rig.state(0), BookState::Live);
    }
}

/// A change in which nothing changed says how fresh the book is.
#[test]
fn an_empty_change_is_a_word_of_the_book() {
    let mut rig = Rig::new();
    rig.tell(0, &Page::snapshot(LEVEL, ""));
    rig.later(100);
    assert_eq!(rig.tell(0, &Page::delta("", "")), FrameKind::Update);
    let only = rig.told.deltas.items()[0];
    assert_eq!(rig.flags(), [flags::EMPTY | flags::LAST]);
    assert_eq!((only.t_made, only.t_recv), (rig.now, rig.now));
    assert_eq!(rig.books[0].best(Side::Bid), level(9, 1));
}

#[test]
fn resync_is_for_one_market() {
    let mut rig = Rig::new();
    rig.link(1, true);
    rig.call(|feed, call| feed.resync(InstrumentId(1), call));
    let states = (rig.state(0), rig.state(1));
    assert_eq!(states, (BookState::AwaitingSnapshot, BookState::Stale));
    assert_eq!((rig.flags(), rig.reconnects()), (vec![STALE], vec![1]));
    rig.call(|feed, call| feed.resync(InstrumentId(1), call));
    rig.call(|feed, call| feed.resync(InstrumentId(9), call));
    assert!(rig.reconnects().is_empty(), "asked already, or nobody's");
    // On a shared lane it waits for the minute's snapshot.
    let mut rig = Rig::shared();
    for name in ["BTC-USD", "ETH-USD"] {
        rig.tell(0, &Page::snapshot(LEVEL, "").of(name));
    }
    rig.call(|feed, call| feed.resync(InstrumentId(1), call));
    assert_eq!(rig.told.deltas.items()[0].instrument, InstrumentId(1));
    assert_eq!((rig.flags(), rig.reconnects()), (vec![STALE], vec![]));
    assert_eq!(rig.state(0), BookState::Live);
    let change = Page::delta(CHANGE, "").of("ETH-USD");
    assert_eq!(
        (rig.tell(0, &change), rig.flags()),
        (FrameKind::Update, vec![])
    );
    rig.tell(0, &Page::snapshot(LEVEL, "").of("ETH-USD"));
    assert_eq!((rig.state(1), rig.is_stale[1]), (BookState::Live, false));
}
