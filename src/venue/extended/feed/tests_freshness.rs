//! Which of book and top is shown, when messages were made, and what comes beside the books.

use super::tests::*;
use crate::market::reference::ReferenceKind;

const BID: &str = r#"{"q":"5","p":"10"}"#;
const ASK: &str = r#"{"q":"1","p":"20"}"#;

/// Book and top of one market with their lanes up, the book stamped `NOW`.
fn begun() -> Rig {
    let mut rig = Rig::new();
    rig.link(TOPS, true);
    rig.tell(0, &Page::snapshot(LEVEL, ASK));
    rig
}

#[test]
fn the_freshest_stamp_wins() {
    let mut rig = begun();
    // Not newer than the book: it says nothing.
    assert_eq!(rig.tell(TOPS, &Page::top(BID, ASK)), FrameKind::Top);
    assert_eq!((rig.flags(), rig.books[0].top()), (vec![], None));
    rig.later(10);
    rig.tell(TOPS, &Page::top(BID, ASK));
    assert_eq!(rig.flags(), [flags::TOP, flags::TOP | flags::LAST]);
    assert_eq!(rig.books[0].best(Side::Bid), level(10, 5));
    let depth: Vec<_> = rig.books[0].levels(Side::Bid).collect();
    assert_eq!(
        depth.last().copied(),
        level(9, 1),
        "the book gives the depth"
    );
    // A book message that is older than the top leaves it.
    let top_ms = rig.now.epoch_ms();
    let text = Page::delta(r#"{"q":"1","p":"8","c":"1"}"#, "").text(top_ms - 1, 2);
    assert_eq!(rig.say(0, &text), FrameKind::Update);
    assert_eq!(rig.flags(), [flags::LAST]);
    assert_eq!(rig.books[0].best(Side::Bid), level(10, 5));
    // One that is as new ends it, also when nothing changed.
    assert_eq!(
        rig.say(0, &Page::delta("", "").text(top_ms, 3)),
        FrameKind::Update
    );
    assert_eq!(rig.flags(), [flags::CAUGHT_UP | flags::EMPTY | flags::LAST]);
    assert_eq!(rig.books[0].best(Side::Bid), level(9, 1));
    // Once told it is told.
    rig.say(0, &Page::delta("", "").text(top_ms, 4));
    assert_eq!(rig.flags(), [flags::EMPTY | flags::LAST]);
}

#[test]
fn a_snapshot_or_a_change_ends_the_top_with_its_first_record() {
    let change = r#"{"q":"1","p":"8","c":"1"},{"q":"1","p":"7","c":"1"}"#;
    let same = Page::snapshot(LEVEL, ASK);
    let repeated = flags::SNAPSHOT | flags::EMPTY | flags::LAST;
    for (page, marks) in [
        (Page::delta(change, ""), vec![flags::CAUGHT_UP, flags::LAST]),
        (same, vec![flags::CAUGHT_UP | repeated]),
    ] {
        let mut rig = begun();
        rig.later(10);
        rig.tell(TOPS, &Page::top(BID, ASK));
        rig.later(10);
        rig.tell(0, &page);
        assert_eq!(rig.flags(), marks);
        assert_eq!(rig.books[0].top(), None);
    }
}

#[test]
fn of_two_tops_the_later_wins_and_an_older_one_says_nothing() {
    let mut rig = begun();
    rig.later(10);
    let ms = rig.now.epoch_ms();
    rig.say(TOPS, &Page::top(BID, ASK).text(ms, 1));
    rig.say(TOPS, &Page::top(r#"{"q":"6","p":"10"}"#, ASK).text(ms, 2));
    assert_eq!(rig.books[0].best(Side::Bid), level(10, 6));
    rig.say(TOPS, &Page::top(BID, ASK).text(ms - 1, 3));
    assert_eq!(
        (rig.flags(), rig.books[0].best(Side::Bid)),
        (vec![], level(10, 6))
    );
    // Without a stamp nobody knows.
    rig.say(TOPS, &Page::top(BID, ASK).text(0, 4));
    assert!(rig.flags().is_empty());
}

#[test]
fn no_top_over_a_book_that_is_not_in_step() {
    let mut rig = Rig::shared();
    assert_eq!(rig.tell(1, &Page::top(BID, ASK)), FrameKind::Top);
    assert!(rig.flags().is_empty());
    rig.tell(0, &Page::snapshot(LEVEL, ASK));
    rig.later(10);
    rig.tell(1, &Page::top(BID, ASK));
    assert_eq!(rig.flags().len(), 2);
    // A stale mark ends it, and it does not come back by itself.
    rig.call(|feed, call| feed.resync(InstrumentId(0), call));
    assert_eq!(rig.books[0].top(), None);
    rig.later(10);
    rig.tell(1, &Page::top(BID, ASK));
    assert!(rig.flags().is_empty());
    rig.tell(0, &Page::snapshot(LEVEL, ASK));
    assert_eq!(rig.flags()[0], flags::CLEAR | flags::SNAPSHOT);
    assert_eq!(
        rig.tell(1, &Page::top("", "").of("XYZ-USD")),
        FrameKind::Control
    );
}

/// Row 9: the venue's clock is seconds ahead or behind; a late message is late by its own stamp.
#[test]
fn row_9_age_is_by_the_venues_clock() {
    for ahead_ms in [-2_500_i64, 0, 2_500] {
        let mut rig = Rig::new();
        let stamp = |rig: &Rig, age_ms: u64| {
            let ms = rig.now.epoch_ms() - age_ms;
            ms.checked_add_signed(ahead_ms).unwrap()
        };
        // A snapshot may be a minute old and says nothing of the clocks.
        let text = Page::snapshot(LEVEL, "").text(stamp(&rig, 59_000), 1);
        rig.say(0, &text);
        assert_eq!(rig.told.deltas.items()[0].t_made, Nanos::ZERO);
        for (sequence, age_ms, shown_ms) in [(2, 5, 0), (3, 3, 0), (4, 700, 697)] {
            rig.later(100);
            let text = Page::delta("", "").text(stamp(&rig, age_ms), sequence);
            rig.say(0, &text);
            let only = rig.told.deltas.items()[0];
            assert_eq!(only.t_recv.since(only.t_made), shown_ms * MS, "{ahead_ms}");
        }
        // A message without a stamp proves nothing.
        rig.say(0, &Page::delta("", "").text(0, 5));
        assert_eq!(rig.told.deltas.items()[0].t_made, Nanos::ZERO);
        // The offset is told now and then, as it is.
        let offset = |rig: &Rig| match rig.told.notes.items() {
            [Event::Offset { ns, .. }] => Some(*ns),
            _ => None,
        };
        rig.beat();
        assert_eq!(offset(&rig), Some((3 - ahead_ms) * MS as i64));
        rig.beat();
        assert_eq!(offset(&rig), None);
        rig.later(10_000);
        rig.say(0, &Page::delta("", "").text(stamp(&rig, 900), 6));
        rig.beat();
        assert_eq!(offset(&rig), Some((3 - ahead_ms) * MS as i64));
    }
}

/// Row 9: a mark's inner time is zero; nothing is made of it.
#[test]
fn row_9_marks_indexes_and_rates_are_taken_as_read() {
    let mut rig = Rig::new();
    for lane in [MARK, INDEX, FUNDING] {
        rig.link(lane, true);
    }
    let (mark, index) = (r#""type":"MP","#, r#""type":"IP","#);
    let price = |text: &str| format!(r#"{{"m":"BTC-USD","p":"{text}","ts":0}}"#);
    let rate = |text: &str| format!(r#"{{"m":"ETH-USD","T":1,"f":"{text}"}}"#);
    for (lane, kind, data, what, idx, value_e9) in [
        (
            MARK,
            mark,
            price("82603.900514499997"),
            ReferenceKind::Mark,
            0,
            82_603_900_514_500,
        ),
        (
            INDEX,
            index,
            price("0.0000000015"),
            ReferenceKind::Index,
            0,
            2,
        ),
        (
            FUNDING,
            "",
            rate("-0.000013"),
            ReferenceKind::Funding,
            1,
            -13_000,
        ),
        (FUNDING, "", rate("0"), ReferenceKind::Funding, 1, 0),
    ] {
        assert_eq!(rig.refer(lane, kind, &data), FrameKind::Reference);
        let told = rig.told.references.items();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].kind, told[0].instrument.0), (what, idx));
        assert_eq!((told[0].value_e9, told[0].t_recv), (value_e9, rig.now));
    }
    for (lane, kind, data, what) in [
        (
            MARK,
            mark,
            price("1").replace("BTC", "XYZ"),
            FrameKind::Control,
        ),
        (MARK, mark, price("0"), FrameKind::Malformed),
        (MARK, mark, price("-1"), FrameKind::Malformed),
        (MARK, mark, price("x"), FrameKind::Malformed),
        (MARK, mark, price("1e10"), FrameKind::Malformed),
        (MARK, mark, "{}".to_owned(), FrameKind::Malformed),
        (MARK, index, price("1"), FrameKind::Unknown),
        (INDEX, mark, price("1"), FrameKind::Unknown),
        (FUNDING, "", price("1"), FrameKind::Malformed),
    ] {
        assert_eq!(rig.refer(lane, kind, &data), what, "{data}");
        assert!(rig.told.references.items().is_empty());
        assert!(rig.reconnects().is_empty());
    }
    rig.sequences[MARK] += 1;
    assert_eq!(rig.refer(MARK, mark, &price("1")), FrameKind::Gap);
    assert_eq!((rig.reconnects(), rig.flags()), (vec![MARK], vec![]));
}

#[test]
fn trades_of_others_are_nobodys() {
    let mut rig = Rig::shared();
    let lane = 2;
    let row = r#"{"i":1,"m":"XYZ-USD","S":"BUY","tT":"TRADE","T":1,"p":"1","q":"1"}"#;
    assert_eq!(rig.refer(lane, "", &format!("[{row}]")), FrameKind::Control);
    assert_eq!(rig.refer(lane, "", "[]"), FrameKind::Control);
    assert_eq!(rig.refer(lane, "", "{}"), FrameKind::Malformed);
    assert_eq!(rig.refer(lane, "", "[7]"), FrameKind::Malformed);
    assert!(rig.reconnects().is_empty());
}
