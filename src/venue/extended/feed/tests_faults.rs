//! What the venue should not say, and what it should have said: faults, deadlines, doubts.

use super::tests::*;
use proptest::prelude::*;

fn bent() -> Vec<(String, FrameKind)> {
    let good = Page::snapshot(LEVEL, "").text(NOW.epoch_ms(), 1);
    let with = |level: &str| Page::snapshot(level, "").text(NOW.epoch_ms(), 1);
    let small = "0.000000000000000000000000000001";
    vec![
        (good.replace("\"9\"", "\"nine\""), FrameKind::Malformed),
        (
            good.replace("[{", "{").replace("}]", "}"),
            FrameKind::Malformed,
        ),
        (
            good.replace(r#""d":"f""#, r#""d":"1""#),
            FrameKind::Malformed,
        ),
        (good.replace(r#""d":"f""#, r#""d":7"#), FrameKind::Malformed),
        (with(r#"{"q":"1"}"#), FrameKind::Malformed),
        (with(r#"{"q":"1","p":"1e10"}"#), FrameKind::OutOfRange),
        (with(r#"{"q":"9223372037","p":"1"}"#), FrameKind::OutOfRange),
        (with(r#"{"q":"1","p":"1.0000000001"}"#), FrameKind::Inexact),
        (
            with(&format!(r#"{{"q":"{small}","p":"1"}}"#)),
            FrameKind::Inexact,
        ),
        (with(r#"{"q":"-1","p":"1"}"#), FrameKind::Negative),
        (with(r#"{"q":"1","p":"-1"}"#), FrameKind::Negative),
        (
            with(r#"{"q":"1","p":"9"},{"q":"1","p":"8"},{"q":"2","p":"9.0"}"#),
            FrameKind::DuplicateLevel,
        ),
    ]
}

/// Of which nobody can say whose they are.
fn unreadable() -> Vec<String> {
    let good = Page::snapshot(LEVEL, "").text(NOW.epoch_ms(), 1);
    vec![
        "not json".to_owned(),
        "{}".to_owned(),
        r#"{"error":"market not found"}"#.to_owned(),
        r#"{"status":"ERROR","error":{"code":1001,"message":"No."}}"#.to_owned(),
        good.replace(r#""m":"BTC-USD","#, ""),
        good.replace(r#""m":"BTC-USD""#, r#""m":7"#),
        good.replace(r#""data""#, r#""date""#),
        good[..good.len() - 1].to_owned(),
    ]
}

#[test]
fn a_fault_on_its_own_lane_ends_the_connection() {
    let good = Page::snapshot(LEVEL, "").text(NOW.epoch_ms(), 1);
    let wrong = (good.replace("BTC-USD", "ETH-USD"), FrameKind::WrongMarket);
    let unreadable = unreadable().into_iter();
    let unreadable = unreadable.map(|text| (text, FrameKind::Malformed));
    for (text, kind) in bent().into_iter().chain(unreadable).chain([wrong]) {
        let mut rig = Rig::new();
        assert_eq!(rig.say(0, &text), kind, "{text}");
        assert_eq!(
            (rig.reconnects(), rig.state(0)),
            (vec![0], BookState::Stale)
        );
        assert_eq!(
            rig.told.deltas.items().len(),
            1,
            "nothing but the mark leaves"
        );
    }
    // A change without its new absolute size is a guess.
    let mut rig = Rig::new();
    rig.tell(0, &Page::snapshot(LEVEL, ""));
    assert_eq!(rig.tell(0, &Page::delta(LEVEL, "")), FrameKind::Malformed);
    assert_eq!(rig.told.deltas.items().len(), 1);
}

#[test]
fn a_fault_on_a_shared_lane_costs_that_market_alone() {
    for (text, kind) in bent() {
        let mut rig = Rig::shared();
        for name in ["ETH-USD", "BTC-USD"] {
            rig.tell(0, &Page::snapshot(LEVEL, "").of(name));
        }
        let text = text.replace(r#""seq":1}"#, r#""seq":3}"#);
        assert_eq!(rig.say(0, &text), kind, "{text}");
        rig.sequences[0] = 3;
        let told = (rig.told.deltas.items().len(), rig.reconnects());
        assert_eq!(told, (1, vec![]), "nothing but the mark leaves");
        let states = (rig.state(0), rig.state(1));
        assert_eq!(states, (BookState::AwaitingSnapshot, BookState::Live));
        // Its next snapshot makes it good, on the same connection.
        rig.tell(0, &Page::snapshot(LEVEL, ""));
        assert_eq!((rig.state(0), rig.is_stale[0]), (BookState::Live, false));
    }
    for text in unreadable() {
        let mut rig = Rig::shared();
        assert_eq!(rig.say(0, &text), FrameKind::Malformed, "{text}");
        assert_eq!(
            (rig.told.deltas.items().len(), rig.reconnects()),
            (8, vec![0])
        );
    }
}

/// What is wrong with a top is made good by the next; only the row of numbers is not.
#[test]
fn a_fault_of_a_top_ends_what_is_shown() {
    let ask = r#"{"q":"1","p":"11"}"#;
    let two = r#"{"q":"1","p":"9"},{"q":"1","p":"8"}"#;
    for (page, kind) in [
        (Page::top(ask, LEVEL), FrameKind::Crossed),
        (Page::top(LEVEL, LEVEL), FrameKind::Crossed),
        (Page::top(two, ask), FrameKind::Malformed),
        (Page::top(r#"{"q":"x","p":"9"}"#, ask), FrameKind::Malformed),
        (Page::delta("", ""), FrameKind::Malformed),
        (Page::snapshot(LEVEL, ask), FrameKind::Malformed),
    ] {
        let mut rig = Rig::new();
        rig.link(TOPS, true);
        rig.tell(0, &Page::snapshot(LEVEL, ask));
        rig.later(10);
        rig.tell(TOPS, &Page::top(r#"{"q":"5","p":"10"}"#, ask));
        assert_eq!(rig.books[0].best(Side::Bid), level(10, 5));
        rig.later(10);
        assert_eq!(rig.tell(TOPS, &page), kind);
        assert_eq!(rig.flags(), [flags::CAUGHT_UP | flags::EMPTY | flags::LAST]);
        assert_eq!(rig.books[0].best(Side::Bid), level(9, 1));
        assert!(rig.reconnects().is_empty());
        // Once is enough; and the next top is good again.
        rig.tell(TOPS, &page);
        assert!(rig.flags().is_empty());
        rig.tell(TOPS, &Page::top(r#"{"q":"6","p":"10"}"#, ask));
        assert_eq!(rig.books[0].best(Side::Bid), level(10, 6));
    }
}

#[test]
fn a_tops_lane_that_breaks_takes_its_tops_along() {
    let top = Page::top(r#"{"q":"5","p":"10"}"#, "");
    let gap: fn(&mut Rig) = |rig| {
        let text = Page::top("", "").text(rig.now.epoch_ms(), 9);
        assert_eq!(rig.say(1, &text), FrameKind::Gap);
        assert_eq!(rig.reconnects(), [1]);
    };
    let down: fn(&mut Rig) = |rig| rig.link(1, false);
    for end in [gap, down] {
        let mut rig = Rig::shared();
        for name in ["BTC-USD", "ETH-USD", "M2-USD"] {
            rig.tell(0, &Page::snapshot(LEVEL, "").of(name));
        }
        rig.later(10);
        rig.tell(1, &top);
        rig.tell(1, &top.of("ETH-USD"));
        end(&mut rig);
        let over = flags::CAUGHT_UP | flags::EMPTY | flags::LAST;
        assert_eq!(rig.flags(), [over; 2]);
        assert_eq!(rig.books[1].best(Side::Bid), level(9, 1));
        assert_eq!(
            rig.state(0),
            BookState::Live,
            "the books are none the worse"
        );
    }
}

/// Row 7: a channel that does not answer is dialled anew, and told.
#[test]
fn row_7_an_answer_that_does_not_come_has_a_deadline() {
    let unanswered = |idx| (idx, Doubt::Unanswered);
    let mut rig = Rig::new();
    rig.later(10_000);
    rig.beat();
    assert_eq!((rig.doubts(), rig.reconnects()), (vec![], vec![]));
    rig.later(1);
    rig.beat();
    assert_eq!(
        (rig.doubts(), rig.reconnects()),
        (vec![unanswered(0)], vec![0])
    );
    rig.later(60_000);
    rig.beat();
    assert_eq!((rig.doubts(), rig.reconnects()), (vec![], vec![]), "once");

    let mut rig = Rig::shared();
    rig.tell(0, &Page::snapshot(LEVEL, ""));
    for _ in 0..75 {
        rig.later(1_000);
        rig.tell(0, &Page::delta("", ""));
        rig.beat();
        assert_eq!((rig.doubts(), rig.reconnects()), (vec![], vec![]));
    }
    rig.later(1);
    rig.beat();
    let all: Vec<_> = (1..8).map(unanswered).collect();
    assert_eq!((rig.doubts(), rig.reconnects()), (all, vec![0]));
    // On the new connection they have asked already: one that others live on is left alone.
    rig.link(0, false);
    rig.link(0, true);
    rig.tell(0, &Page::snapshot(LEVEL, ""));
    for _ in 0..200 {
        rig.later(1_000);
        rig.tell(0, &Page::delta("", ""));
        rig.beat();
    }
    assert!(rig.reconnects().is_empty());
    // Where nobody lives any more it is not.
    rig.call(|feed, call| feed.resync(InstrumentId(0), call));
    rig.beat();
    assert_eq!(rig.reconnects(), [0]);
}

/// A market of a shared lane whose messages are at fault, whose snapshot does not come either.
#[test]
fn a_market_that_stays_away_has_the_lane_dialled_once() {
    let mut rig = Rig::shared();
    for idx in 0..8 {
        let name = rig.feed.tracks[idx].name;
        rig.tell(0, &Page::snapshot(LEVEL, "").of(name.as_str()));
    }
    let bad = Page::snapshot(r#"{"q":"-1","p":"1"}"#, "").of("M5-USD");
    rig.tell(0, &bad);
    for second in 0..=75 {
        assert!(rig.reconnects().is_empty(), "{second}");
        rig.later(1_000);
        for idx in (0..8).filter(|idx| *idx != 5) {
            let name = rig.feed.tracks[idx].name;
            rig.tell(0, &Page::delta("", "").of(name.as_str()));
        }
        // Its faults do not put off the day.
        rig.tell(0, &bad);
        rig.beat();
    }
    assert_eq!(rig.doubts(), [(5, Doubt::Unanswered)]);
    assert_eq!(rig.reconnects(), [0]);
}

/// Row 8: the connection lives and the book's channel says nothing.
#[test]
fn row_8_a_silent_book_is_doubted() {
    for (mut rig, reconnects) in [(Rig::new(), vec![0]), (Rig::shared(), vec![])] {
        rig.tell(0, &Page::snapshot(LEVEL, ""));
        for _ in 0..100 {
            rig.later(100);
            rig.tell(0, &Page::delta("", ""));
            rig.beat();
            assert!(rig.doubts().is_empty());
        }
        rig.later(4_999);
        rig.beat();
        assert!(rig.doubts().is_empty());
        rig.later(1);
        rig.beat();
        assert_eq!(rig.doubts(), [(0, Doubt::Silent)]);
        assert_eq!((rig.is_stale[0], rig.reconnects()), (true, reconnects));
    }
}

/// Row 8, the thin market: nothing trades, and a snapshot a minute is all there is.
#[test]
fn row_8_a_snapshot_a_minute_is_not_silence() {
    let mut rig = Rig::new();
    for _ in 0..20 {
        rig.tell(0, &Page::snapshot(LEVEL, ""));
        for _ in 0..60 {
            rig.later(1_000);
            rig.beat();
            assert_eq!((rig.doubts(), rig.reconnects()), (vec![], vec![]));
        }
    }
}

/// Row 8, pings and all else fine: a whole connection that says nothing is dialled anew.
#[test]
fn row_8_a_silent_connection_is_ended_once() {
    let mut rig = Rig::shared();
    rig.tell(0, &Page::snapshot(LEVEL, "").of("XYZ-USD"));
    rig.now = rig.now.plus(SILENCE_NS_MAX);
    rig.beat();
    assert!(rig.reconnects().is_empty());
    rig.now = rig.now.plus(1);
    rig.beat();
    assert_eq!((rig.reconnects(), rig.flags().len()), (vec![0], 8));
    rig.beat();
    assert_eq!((rig.reconnects(), rig.flags().len()), (vec![], 0));
}

/// Row 8, "pongs but frozen": the book does not follow its own trades, or the fast top.
#[test]
fn row_8_a_frozen_book_is_doubted() {
    let trade = |rig: &mut Rig, age_ms: u64, kind: &str| {
        let t = rig.now.epoch_ms() - age_ms;
        let row = |name: &str| {
            format!(r#"{{"i":1,"m":"{name}","S":"BUY","tT":"{kind}","T":{t},"p":"9","q":"1"}}"#)
        };
        let rows = format!("[{},{}]", row("XYZ-USD"), row("BTC-USD"));
        rig.refer(TRADES, "", &rows)
    };
    // What happens at a moment 1,000 ms before the beat, and whether the book is doubted.
    type Deed = Box<dyn Fn(&mut Rig)>;
    let top: fn(&mut Rig) = |rig| {
        rig.tell(TOPS, &Page::top(r#"{"q":"1","p":"10"}"#, ""));
    };
    let same_top: fn(&mut Rig) = |rig| {
        rig.tell(TOPS, &Page::top(r#"{"q":"7","p":"9"}"#, ""));
    };
    let mut cases: Vec<(Deed, bool)> = vec![(Box::new(top), true), (Box::new(same_top), false)];
    for (age_ms, kind, is_doubted) in [
        (4, "TRADE", true),
        (4, "LIQUIDATION", false),
        (4, "DELEVERAGE", false),
        // Matched before the book's last word, or before the connection: it has been told.
        (500, "TRADE", false),
        (60_000, "TRADE", false),
    ] {
        let deed = move |rig: &mut Rig| {
            assert_eq!(trade(rig, age_ms, kind), FrameKind::Reference);
        };
        cases.push((Box::new(deed), is_doubted));
    }
    for (idx, (deed, is_doubted)) in cases.into_iter().enumerate() {
        for does_follow in [false, true] {
            let mut rig = Rig::new();
            rig.link(TOPS, true);
            rig.link(TRADES, true);
            rig.tell(0, &Page::snapshot(LEVEL, ""));
            rig.later(100);
            deed(&mut rig);
            rig.later(999);
            rig.beat();
            assert!(rig.doubts().is_empty(), "{idx}");
            if does_follow {
                rig.tell(0, &Page::delta("", ""));
            }
            rig.later(1);
            rig.beat();
            let doubts = if is_doubted && !does_follow {
                vec![(0, Doubt::Frozen)]
            } else {
                vec![]
            };
            assert_eq!(rig.doubts(), doubts, "{idx}");
            assert_eq!(rig.is_stale[0], !doubts.is_empty());
        }
    }
}

#[test]
fn a_full_batch_or_outbox_is_made_up_for() {
    let mut rig = Rig::new();
    rig.told = Told::new(1);
    rig.out = Outbox::new(0, 0);
    let two = r#"{"q":"1","p":"9"},{"q":"1","p":"8"}"#;
    assert_eq!(rig.tell(0, &Page::snapshot(two, "")), FrameKind::Malformed);
    assert!(rig.flags()[0] & flags::STALE != 0);
    rig.out = Outbox::new(8, 8);
    rig.beat();
    assert_eq!(rig.reconnects(), [0]);
    // Marks for eight markets, one at a time.
    let mut rig = Rig::shared();
    rig.told = Told::new(3);
    for _ in 0..2 {
        rig.link(0, false);
        assert_eq!(rig.flags().len(), 3);
        rig.beat();
        rig.beat();
        assert_eq!(rig.flags().len(), 2);
        rig.beat();
        assert_eq!(rig.flags().len(), 0);
    }
    // The end of a top.
    let mut rig = Rig::new();
    rig.link(TOPS, true);
    rig.tell(0, &Page::snapshot(LEVEL, ""));
    rig.later(10);
    rig.tell(TOPS, &Page::top(r#"{"q":"5","p":"10"}"#, ""));
    rig.told = Told::new(0);
    rig.link(TOPS, false);
    rig.told = Told::new(8);
    rig.beat();
    assert_eq!(rig.flags(), [flags::CAUGHT_UP | flags::EMPTY | flags::LAST]);
    assert_eq!(rig.books[0].best(Side::Bid), level(9, 1));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        head in 0..4_usize,
        lane in 0..9_usize,
    ) {
        let heads = ["", r#"{"type":"DELTA","data":{"#, r#"{"data":[{"m":"#, r#"{"seq":1,"#];
        for mut rig in [Rig::new(), Rig::shared()] {
            let mut bytes = [heads[head].as_bytes(), &bytes].concat();
            rig.call(|feed, call| feed.on_message(lane, &mut bytes, call));
            rig.beat();
        }
    }

    /// Stamps, numbers and times of any size.
    #[test]
    fn any_numbers_are_survived(
        stamp in any::<u64>(),
        sequence in any::<u64>(),
        at in any::<u64>(),
    ) {
        let mut rig = Rig::new();
        (0..8).for_each(|lane| rig.link(lane, true));
        rig.tell(0, &Page::snapshot(LEVEL, ""));
        rig.now = Nanos(at);
        for sequence in [1, 2, sequence] {
            for lane in 0..8 {
                rig.say(lane, &Page::delta("", "").text(stamp, sequence));
                rig.say(lane, &Page::top(LEVEL, "").text(stamp, sequence));
            }
            let row = format!(r#"{{"m":"BTC-USD","tT":"TRADE","T":{at}}}"#);
            rig.say(TRADES, &format!(r#"{{"data":[{row}],"ts":{stamp},"seq":{sequence}}}"#));
            rig.beat();
        }
    }
}
