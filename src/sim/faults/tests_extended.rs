//! What each fault does to Extended's lines: v1 of one market and of all, full and `depth=1`, and
//! v2. The sequence, the changes' arithmetic and the book are followed as a client would.

use super::Faults;
use super::extended::Line;
use super::fuse::Fuse;
use super::spec::Spec;
use super::tap::Act;
use super::tests::{Client, End, done, knock, open, venues};
use crate::market::units::{MS, Nanos, Price, SECOND};
use crate::market::{InstrumentId, Venue};
use crate::sim::Sim;
use crate::sim::exchange::{Exchange, Settings};
use crate::sim::extended::frame::{Frame, Topic};
use crate::sim::extended::{Credentials, Desk, Fees};
use crate::sim::flow::{Flow, FlowOptions};
use crate::sim::server::Floor;
use crate::sim::tape::Tape;
use crate::stage::clock::Clock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BTC: &str = "BTC-USD";
/// Paths of v1 with books.
const BOOKS: [&str; 4] = [
    "/orderbooks/BTC-USD",
    "/orderbooks/BTC-USD?depth=1",
    "/orderbooks",
    "/orderbooks?depth=1",
];

fn v1(sim: &Sim, path: &str) -> Client {
    open(&format!("{}{path}", sim.description.extended.stream))
}

/// Subscribes on v2; frames that come before the answer are passed over.
fn subscribe(line: &mut Client, scope: &str, market: &str) {
    line.say(
        &json!({"method": "subscribe", "id": scope, "jsonrpc": "2.0", "params": {
            "scope": scope, "selector": {"market": market},
        }}),
    );
}

/// A v2 line with BTC's book and trades and ETH's book.
fn v2(sim: &Sim) -> Client {
    let mut line = open(&sim.description.extended.rpc);
    subscribe(&mut line, "orderbooks", BTC);
    subscribe(&mut line, "trades", BTC);
    subscribe(&mut line, "orderbooks", "ETH-USD");
    line
}

/// One line of each sort, each at venues of its own, at the same time.
fn every_line(spec: &str, check: impl Fn(&Sim, Client, &str) + Sync) {
    std::thread::scope(|scope| {
        for path in BOOKS {
            let check = &check;
            scope.spawn(move || {
                let sim = venues(spec);
                let line = v1(&sim, path);
                check(&sim, line, path);
            });
        }
        let sim = venues(spec);
        let line = v2(&sim);
        check(&sim, line, "v2");
    });
}

/// `seq` of frames, replies left out.
fn sequence(frames: &[Value]) -> Vec<u64> {
    let data = frames.iter().filter(|frame| frame.get("result").is_none());
    data.map(|frame| frame["seq"].as_u64().unwrap()).collect()
}

/// Whether each number follows the one before.
fn is_whole(sequence: &[u64]) -> bool {
    sequence.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

fn is_book(frame: &Value, market: &str) -> bool {
    frame["data"]["m"] == market && frame["data"].get("b").is_some()
}

/// A book followed by the documentation.
#[derive(Default)]
struct Book {
    sides: [BTreeMap<i64, i64>; 2],
}

impl Book {
    /// Applies one frame; false when its changes do not add up to its sizes.
    fn apply(&mut self, frame: &Value) -> bool {
        let mut adds_up = true;
        let whole = frame["data"]["t"] == "SNAPSHOT";
        for (side, name) in self.sides.iter_mut().zip(["b", "a"]) {
            if whole {
                side.clear();
            }
            for level in frame["data"][name].as_array().unwrap() {
                let number = |name: &str| {
                    let text = level[name].as_str()?;
                    Some(Price::parse(text.as_bytes()).unwrap().0)
                };
                let (price, change) = (number("p").unwrap(), number("q").unwrap());
                let size = number("c").unwrap_or(change);
                let before = side.remove(&price).unwrap_or(0);
                adds_up &= before + change == size;
                if size > 0 {
                    side.insert(price, size);
                }
            }
        }
        adds_up
    }

    fn is_crossed(&self) -> bool {
        let (bid, ask) = (
            self.sides[0].last_key_value(),
            self.sides[1].first_key_value(),
        );
        matches!((bid, ask), (Some((bid, _)), Some((ask, _))) if bid >= ask)
    }
}

#[test]
fn a_gap_uses_up_its_number_on_every_sort_of_line() {
    every_line("gap:extended:BTC@0.3", |sim, mut line, name| {
        let sequence = sequence(&line.frames(1.5));
        let steps: Vec<u64> = sequence.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let wide: Vec<&u64> = steps.iter().filter(|step| **step != 1).collect();
        assert_eq!(wide, [&2], "{name}");
        assert_eq!(sequence[0], u64::from(name != "v2"));
        assert_eq!(done(sim, "gap", Venue::Extended), 1);
    });
}

#[test]
fn a_crossing_level_comes_from_nowhere_and_stays_where_a_book_is_kept() {
    every_line("crossed:extended:BTC@0.3", |sim, mut line, name| {
        let frames = line.frames(1.5);
        assert!(is_whole(&sequence(&frames)), "{name}");
        let mut book = Book::default();
        let mut states = Vec::new();
        for frame in frames.iter().filter(|frame| is_book(frame, BTC)) {
            assert!(book.apply(frame), "{name}: {frame}");
            states.push(book.is_crossed());
        }
        let first = states.iter().position(|crossed| *crossed).expect(name);
        let crossed = states.iter().filter(|crossed| **crossed).count();
        // A frame of the top is the whole state, so the next one takes it back.
        let expected = match name.ends_with("depth=1") {
            true => 1,
            false => states.len() - first,
        };
        assert_eq!(crossed, expected, "{name}");
        assert_eq!(done(sim, "crossed", Venue::Extended), 1);
    });
}

#[test]
fn swapped_frames_lose_nothing() {
    every_line("reorder:extended:BTC@0.3", |sim, mut line, name| {
        let mut frames = line.frames(1.5);
        frames.retain(|frame| frame.get("result").is_none());
        let mut numbers = sequence(&frames);
        let late = numbers.windows(2).position(|pair| pair[1] < pair[0]);
        let late = late.expect(name) + 1;
        assert!(is_book(&frames[late], BTC) && is_book(&frames[late - 1], BTC));
        numbers.sort_unstable();
        assert!(is_whole(&numbers), "{name}");
        assert_eq!(done(sim, "reorder", Venue::Extended), 1);
    });
}

#[test]
fn a_doubled_frame_is_the_same_byte_for_byte() {
    every_line("duplicate:extended:BTC@0.3", |sim, mut line, name| {
        let texts = line.texts(1.5);
        let twice = texts.windows(2).filter(|pair| pair[0] == pair[1]);
        let twice: Vec<_> = twice.collect();
        assert_eq!(twice.len(), 1, "{name}");
        assert!(twice[0][0].contains("\"m\":\"BTC-USD\""));
        assert_eq!(done(sim, "duplicate", Venue::Extended), 1);
    });
}

#[test]
fn a_cut_frame_is_half_a_text_and_uses_up_its_number() {
    every_line("cut:extended:BTC@0.3", |sim, mut line, name| {
        let texts = line.texts(1.5);
        let read = |text: &String| serde_json::from_str::<Value>(text).ok();
        let whole: Vec<Value> = texts.iter().filter_map(read).collect();
        assert_eq!(whole.len() + 1, texts.len(), "{name}");
        let cut = texts.iter().find(|text| read(text).is_none()).unwrap();
        assert!(cut.starts_with("{\"type\":") && cut.len() > 20, "{cut}");
        assert!(!is_whole(&sequence(&whole)), "{name}");
        assert_eq!(done(sim, "cut", Venue::Extended), 1);
    });
}

#[test]
fn a_silent_market_leaves_no_hole_and_speaks_again_when_subscribed_anew() {
    let sim = venues("silent:extended:BTC@0.5");
    let mut line = v2(&sim);
    let mut frames = line.frames(1.0);
    assert_eq!(done(&sim, "silent", Venue::Extended), 1);
    let quiet = line.frames(1.0);
    let of_btc = |frame: &&Value| {
        frame["subscription"] == "orderbooks.BTC-USD" || frame["subscription"] == "trades.BTC-USD"
    };
    assert_eq!(quiet.iter().filter(of_btc).count(), 0);
    assert!(
        quiet
            .iter()
            .filter(|frame| is_book(frame, "ETH-USD"))
            .count()
            > 10
    );
    frames.extend(quiet);
    subscribe(&mut line, "orderbooks", BTC);
    let loud = line.frames(1.0);
    let books: Vec<&Value> = loud.iter().filter(|frame| is_book(frame, BTC)).collect();
    assert!(books.len() > 10);
    assert_eq!(books[0]["type"], "ORDERBOOKS.SNAPSHOT");
    let mut book = Book::default();
    assert!(books.iter().all(|frame| book.apply(frame)));
    let trades = loud
        .iter()
        .filter(|frame| frame["subscription"] == "trades.BTC-USD");
    assert_eq!(trades.count(), 0, "trades were not subscribed anew");
    frames.extend(loud);
    assert!(is_whole(&sequence(&frames)));
}

#[test]
fn a_silent_market_on_a_line_of_all_markets_says_nothing_while_the_others_go_on() {
    let sim = venues("silent:extended:BTC@0.3");
    let mut line = v1(&sim, "/orderbooks");
    let mut frames = line.frames(1.0);
    let quiet = line.frames(1.0);
    assert!(quiet.len() > 10 && !quiet.iter().any(|frame| is_book(frame, BTC)));
    frames.extend(quiet);
    assert!(is_whole(&sequence(&frames)));
    let mut anew = v1(&sim, "/orderbooks").frames(1.0);
    anew.retain(|frame| is_book(frame, BTC));
    assert!(anew.len() > 10, "a new connection hears it");
}

#[test]
fn a_frozen_book_resumes_with_a_snapshot_and_its_arithmetic_holds() {
    let sim = venues("frozen:extended:BTC@0.5");
    let mut line = v2(&sim);
    let mut touch = v1(&sim, "/orderbooks/BTC-USD?depth=1");
    let frozen = Duration::from_secs(20);
    let mut frames = line.frames(22.5);
    frames.retain(|frame| frame.get("result").is_none());
    assert!(is_whole(&sequence(&frames)));
    let ms = |frame: &Value| frame["ts"].as_u64().unwrap();
    let books: Vec<&Value> = frames.iter().filter(|frame| is_book(frame, BTC)).collect();
    let gap = |pair: &[&Value]| Duration::from_millis(ms(pair[1]) - ms(pair[0])) >= frozen;
    let resumed = 1 + books.windows(2).position(gap).expect("it was frozen");
    assert_eq!(books[resumed]["type"], "ORDERBOOKS.SNAPSHOT");
    let mut book = Book::default();
    assert!(
        books
            .iter()
            .all(|frame| book.apply(frame) && !book.is_crossed())
    );
    assert!(books.len() > resumed + 20);
    let (from, to) = (ms(books[resumed - 1]), ms(books[resumed]));
    let meanwhile = |frame: &&Value| (from + 500..to - 500).contains(&ms(frame));
    let others: Vec<&Value> = frames.iter().filter(meanwhile).collect();
    let trades = |frame: &&&Value| frame["subscription"] == "trades.BTC-USD";
    assert!(others.iter().filter(trades).count() > 10);
    let tops = touch.frames(1.0);
    let gap = |pair: &[Value]| ms(&pair[1]) - ms(&pair[0]) >= 19_000;
    assert!(tops.windows(2).any(gap), "the top is frozen too");
    assert!(is_whole(&sequence(&tops)));
    assert_eq!(done(&sim, "frozen", Venue::Extended), 1);
}

/// A venue that stands still but when the test lets it run, with a freeze that waits for a frame.
fn standing() -> Arc<Desk> {
    let settings = Settings::extended(5);
    let start = Clock::new().now();
    let options = FlowOptions::new(Venue::Extended, 5, start);
    let flow = Flow::new(Arc::new(Tape::embedded()), options).unwrap();
    let spec = Spec::parse("frozen:extended:BTC@0").unwrap();
    let long_ago = Nanos(start.0 - 60 * SECOND);
    let faults = Faults::new(&spec, 5, (Venue::Extended, long_ago), flow.rules()).unwrap();
    let floor = Floor::new(Exchange::new(settings, flow), None);
    floor.set_faults(faults);
    let fees = Fees {
        taker_e6: 0,
        maker_e6: 0,
    };
    Desk::new(floor, Credentials::from_seed(5), fees)
}

#[test]
fn frames_that_a_resuming_snapshot_contains_are_not_told_again() {
    let desk = standing();
    let topic = Topic::Book(Some(InstrumentId(0)));
    let mut line = Line::open(&desk, Fuse::default()).unwrap();
    let (opening, mut frames) = desk.join(topic);
    line.join(topic);
    let run = |ms: u64| {
        desk.floor
            .act(|exchange, now, out| exchange.advance(now.plus(ms * MS), out));
    };
    let mut told: Vec<Value> = Vec::new();
    let mut number = 0;
    let mut show = |frame: &Frame| {
        let acts = line.show(topic, frame, |frame| {
            number += 1;
            frame.v1_text(number)
        });
        for act in acts {
            match act {
                Act::Say(text) => told.push(serde_json::from_str(&text).unwrap()),
                other => panic!("{other:?}"),
            }
        }
        told.clone()
    };
    // The freeze began more than its time ago, so the next frame ends it.
    let mut first = opening[0].clone();
    first.at = Nanos(first.at.0 - 21 * SECOND);
    assert_eq!(show(&first), Vec::<Value>::new());
    run(500);
    let waiting = frames.len();
    assert!(waiting > 3, "{waiting}");
    for _ in 0..waiting {
        let told = show(&frames.try_recv().unwrap());
        assert_eq!(told.len(), 1, "the snapshot and no more");
        assert_eq!(told[0]["type"], "SNAPSHOT");
    }
    run(1_000);
    let mut all = Vec::new();
    while let Ok(frame) = frames.try_recv() {
        all = show(&frame);
    }
    assert!(all.len() > 3 && is_whole(&sequence(&all)));
    let mut book = Book::default();
    assert!(all.iter().all(|frame| book.apply(frame)));
}

#[test]
fn a_slow_line_is_held_flooded_and_dropped() {
    let sim = venues("slow:extended:BTC@1");
    let mut line = v1(&sim, "/orderbooks/BTC-USD");
    let (mut waits, mut numbers) = (Vec::new(), Vec::new());
    let end = loop {
        let asked = Instant::now();
        match line.text() {
            Ok(text) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                numbers.push(frame["seq"].as_u64().unwrap());
                waits.push(asked.elapsed());
            }
            Err(end) => break end,
        }
    };
    assert_eq!(end, End::Broken);
    assert!(is_whole(&numbers));
    let longest = waits.iter().max().unwrap();
    assert!((2.5..4.5).contains(&longest.as_secs_f64()), "{longest:?}");
    let flood = waits.len() - waits.iter().position(|wait| wait == longest).unwrap();
    assert!(flood > 50, "{flood}");
    assert_eq!(done(&sim, "slow", Venue::Extended), 1);
}

#[test]
fn a_disconnect_tears_a_message_and_spares_the_account() {
    let sim = venues("disconnect:extended@0.5");
    let told = &sim.description.extended;
    let account = format!("{}/account", told.stream);
    let mut account = knock(&account, Some(&told.api_key)).unwrap_or_else(|_| panic!("no key"));
    let mut line = v1(&sim, "/orderbooks");
    let (texts, end) = line.rest();
    assert_eq!(end, End::Broken);
    assert!(texts.len() > 5);
    let (got, whole) = line.torn();
    assert!(0 < got && got < whole, "{got} of {whole}");
    assert_eq!(done(&sim, "disconnect", Venue::Extended), 1);
    for kind in ["ORDER", "BALANCE", "POSITION"] {
        assert_eq!(account.next()["type"], kind);
    }
    assert!(account.is_alive() && !line.is_alive());
}

#[test]
fn a_refusal_drops_the_line_and_answers_upgrades_for_its_time() {
    let sim = venues("403:extended:BTC@0.5");
    let told = &sim.description.extended;
    let mut line = v1(&sim, "/orderbooks");
    let url = format!("{}/orderbooks", told.stream);
    assert_eq!(line.rest().1, End::Broken);
    let dropped = Instant::now();
    assert_eq!(knock(&url, None).err(), Some(403));
    assert_eq!(knock(&told.rpc, None).err(), Some(403));
    let account = format!("{}/account", told.stream);
    assert!(knock(&account, Some(&told.api_key)).is_ok());
    while knock(&url, None).is_err() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let seconds = dropped.elapsed().as_secs_f64();
    assert!((7.0..9.5).contains(&seconds), "{seconds}");
    assert_eq!(done(&sim, "403", Venue::Extended), 1);
}

#[test]
fn a_v2_line_with_the_account_is_left_alone() {
    let sim = venues("gap:extended@0.3,slow:extended@0.3,disconnect:extended@0.3");
    let told = &sim.description.extended;
    let mut line = open(&told.rpc);
    let account = told.account_id.to_string();
    line.say(
        &json!({"method": "subscribe", "id": "1", "jsonrpc": "2.0", "params": {
            "scope": "account", "selector": {"account": account}, "apiKey": told.api_key,
        }}),
    );
    subscribe(&mut line, "orderbooks", BTC);
    let frames = line.frames(1.5);
    assert!(frames.len() > 50 && is_whole(&sequence(&frames)));
    assert!(sim.faults_done().iter().all(|(_, _, count)| *count == 0));
}
