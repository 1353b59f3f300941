//! Book frames: both feeds, the scanner against the parser, and messages meant to cost time.

use crate::driven::Driven;
use crate::mutate::{Random, cases, extended, lighter, mutate};
use parallax::market::book::{Delta, flags};
use parallax::market::event::FrameKind;
use parallax::market::units::{Bps, Nanos, Notional, Price, Size};
use parallax::market::{Bounds, InstrumentId, Market, Name, Venue};
use parallax::venue::extended::feed::ExtendedFeed;
use parallax::venue::lighter::feed::LighterFeed;
use parallax::venue::lighter::frame::{parsed_ticker, ticker};
use parallax::venue::lighter::wire::Decoder;
use parallax::venue::{Feed, Lane, OutKind, Paths, Told};
use std::time::{Duration, Instant};

const NOW: Nanos = Nanos(1_790_000_000_000_000_000);
const ROOM: usize = 1_024;

fn market(venue: Venue, name: &str, venue_market: u32) -> Market {
    Market {
        venue,
        instrument: InstrumentId(0),
        name: Name::new(name).expect("a recorded name"),
        venue_market,
        tick: Price(1),
        lot: Size(1),
        size_min: Size(1),
        notional_min: Notional::ZERO,
        fee_taker: Bps::ZERO,
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    }
}

/// What a feed made of a message, in full.
#[derive(Debug, PartialEq)]
struct Made {
    kind: FrameKind,
    instrument: Option<InstrumentId>,
    deltas: Vec<(u8, i64, i64, u8)>,
    out: Vec<(OutKind, Vec<u8>)>,
}

/// A feed with its boxes.
struct Rig<F> {
    driven: Driven<F>,
    lane: Lane,
}

impl<F: Feed> Rig<F> {
    fn new(feed: F) -> Rig<F> {
        Rig {
            driven: Driven::new(feed, ROOM, NOW),
            lane: 0,
        }
    }

    /// A new connection in step with these messages.
    fn begin(&mut self, first: &[String]) {
        for up in [false, true] {
            self.driven.link(self.lane, up);
        }
        for text in first {
            self.hear(text.as_bytes());
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Made {
        let Rig { driven, lane } = self;
        driven.told.clear();
        driven.out.clear();
        let heard = driven.hear(*lane, &mut bytes.to_vec());
        let deltas = driven.told.deltas.items().iter();
        let row = |d: &Delta| (d.side as u8, d.price.0, d.size.0, d.flags);
        let entries = driven.out.items().iter();
        Made {
            kind: heard.kind,
            instrument: heard.instrument,
            deltas: deltas.map(row).collect(),
            out: entries
                .map(|entry| (entry.kind, driven.out.payload(entry).to_vec()))
                .collect(),
        }
    }
}

/// The same message as the scanner does not know it: one blank after the first brace.
fn respelled(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.first() == Some(&b'{') {
        bytes.insert(1, b' ');
    }
    bytes
}

/// What must hold whatever came in.
fn is_sound(told: &Made, case: &str) {
    assert!(told.deltas.len() <= ROOM);
    if told.kind.is_fault() {
        let is_mark = |row: &(u8, i64, i64, u8)| row.3 & flags::STALE != 0;
        assert!(
            told.deltas.iter().all(is_mark),
            "a bad message changes no book: {case}"
        );
        return;
    }
    for (_, price, size, marks) in &told.deltas {
        let has_level = marks & (flags::EMPTY | flags::STALE) == 0;
        assert!(!has_level || (*price > 0 && *size >= 0), "{case}");
    }
    if let Some(last) = told.deltas.last() {
        assert!(last.3 & flags::LAST != 0, "{case}");
    }
}

/// Book updates of one market: each with what brings a feed in step for it.
struct Scene {
    first: Vec<String>,
    message: String,
}

fn lighter_scenes() -> Vec<Scene> {
    let all = lighter();
    let snapshot = &all[0];
    assert_eq!(snapshot.0, "ws subscribed/order_book");
    let nonce = |text: &str, key: &str| {
        let (_, tail) = text.split_once(&format!("\"{key}\":"))?;
        tail.split(['}', ',']).next().map(str::to_owned)
    };
    let of_market =
        |text: &&str| text.contains("\"order_book:36\"") && text.contains("begin_nonce");
    let texts = all.iter().map(|(_, text)| *text).filter(of_market);
    let own = nonce(snapshot.1, "nonce").expect("the snapshot has a nonce");
    let scene = |text: &str| {
        let begins = nonce(text, "begin_nonce").expect("chosen so");
        let first = snapshot
            .1
            .replace(&format!("\"nonce\":{own}"), &format!("\"nonce\":{begins}"));
        let greeting = r#"{"type":"connected"}"#.to_owned();
        Scene {
            first: vec![greeting, first],
            message: text.to_owned(),
        }
    };
    texts.map(scene).collect()
}

/// Frames of both streams in the first one's envelope, as second message of a connection.
fn extended_scenes(name: &str) -> Vec<Scene> {
    let all = extended();
    let is_book = |kind: &str| kind.contains("orderbook") && !kind.starts_with("rest");
    // The documentation's example has another order than every captured frame.
    let of_market = |text: &str| {
        text.starts_with("{\"type\":") && text.contains(&format!("\"m\":\"{name}\",\"b\":["))
    };
    let books = all
        .iter()
        .filter(|(kind, text)| is_book(kind) && of_market(text));
    let numbered = |text: &str, sequence: u32| {
        let text = text
            .replace("ORDERBOOKS.", "")
            // The best prices have a lane of their own; their shape is the book's.
            .replace(r#""d":"1""#, r#""d":"f""#)
            .replace(&format!(",\"subscription\":\"orderbooks.{name}\""), "");
        let (head, tail) = text.split_once("\"seq\":").expect("every frame has one");
        assert!(
            tail.trim_end_matches(|c: char| c.is_ascii_digit() || c == '}')
                .is_empty()
        );
        format!("{head}\"seq\":{sequence}}}")
    };
    let texts: Vec<&str> = books.map(|(_, text)| *text).collect();
    let snapshot = texts
        .iter()
        .find(|text| text.contains("SNAPSHOT"))
        .expect("one is recorded");
    let scene = |text: &&str| Scene {
        first: vec![numbered(snapshot, 1)],
        message: numbered(text, 2),
    };
    texts.iter().map(scene).collect()
}

/// The scanner and the parser tell the same of every message, and end in the same state.
fn agree<F: Feed>(
    scenes: &[Scene],
    others: &[(String, &str)],
    [mut fast, mut slow]: [Rig<F>; 2],
    paths: impl Fn(&F) -> Paths,
) {
    assert!(scenes.len() >= 3);
    for scene in scenes {
        fast.begin(&scene.first);
        slow.begin(&scene.first);
        let before = paths(&fast.driven.feed).fast;
        let told = fast.hear(scene.message.as_bytes());
        assert!(!told.kind.is_fault(), "{told:?} {}", scene.message);
        assert_eq!(
            paths(&fast.driven.feed).fast,
            before + 1,
            "{}",
            scene.message
        );
        assert_eq!(told, slow.hear(&respelled(scene.message.as_bytes())));
    }
    let before = [paths(&fast.driven.feed), paths(&slow.driven.feed)];
    let mut in_step = 0;
    for case in 0..cases() {
        let mut random = Random(case);
        let scene = &scenes[case as usize % scenes.len()];
        let bytes = mutate(&scene.message, others, &mut random);
        let name = format!("case {case}: {}", String::from_utf8_lossy(&bytes));
        fast.begin(&scene.first);
        slow.begin(&scene.first);
        let told = fast.hear(&bytes);
        is_sound(&told, &name);
        assert_eq!(told, slow.hear(&respelled(&bytes)), "{name}");
        in_step += u64::from(!told.kind.is_fault());
        // Whatever came, the next message finds both in the same state.
        let next = fast.hear(scene.message.as_bytes());
        assert_eq!(
            next,
            slow.hear(&respelled(scene.message.as_bytes())),
            "after {name}"
        );
    }
    let after = [paths(&fast.driven.feed), paths(&slow.driven.feed)];
    let read = |at: usize| after[at].fast - before[at].fast;
    // Two of three scanned messages are a beginning and an end; the bent ones count from there.
    assert!(
        read(0) > read(1) + cases() / 20,
        "the scanner reads bent messages too: {after:?}"
    );
    assert!(
        in_step > cases() / 20,
        "{in_step} bent messages were still believed"
    );
}

#[test]
fn lighter_scanner_and_parser_agree() {
    let markets = [market(Venue::Lighter, "HYPE", 36)];
    let rig = || Rig::new(LighterFeed::new(&markets));
    agree(
        &lighter_scenes(),
        &lighter(),
        [rig(), rig()],
        LighterFeed::paths,
    );
}

#[test]
fn extended_scanner_and_parser_agree() {
    for name in ["BTC-USD", "NVDA_24_5-USD"] {
        let markets = [market(Venue::Extended, name, 0)];
        let rig = || Rig::new(ExtendedFeed::new(&markets));
        agree(
            &extended_scenes(name),
            &extended(),
            [rig(), rig()],
            ExtendedFeed::paths,
        );
    }
}

/// Every recorded message, of whatever kind, first as it is.
#[test]
fn all_recorded_messages_are_told_alike() {
    let lighter_market = [market(Venue::Lighter, "X", 0)];
    let extended_market = [market(Venue::Extended, "BTC-USD", 0)];
    for (_, text) in lighter() {
        let told = [text.as_bytes().to_vec(), respelled(text.as_bytes())].map(|bytes| {
            let mut rig = Rig::new(LighterFeed::new(&lighter_market));
            rig.begin(&[r#"{"type":"connected"}"#.to_owned()]);
            rig.hear(&bytes)
        });
        assert_eq!(told[0], told[1], "{text}");
    }
    for (_, text) in extended() {
        let told = [text.as_bytes().to_vec(), respelled(text.as_bytes())].map(|bytes| {
            let mut rig = Rig::new(ExtendedFeed::new(&extended_market));
            rig.begin(&[]);
            rig.hear(&bytes)
        });
        assert_eq!(told[0], told[1], "{text}");
    }
}

#[test]
fn tickers_are_told_alike() {
    let all = lighter();
    let is_ticker = |row: &&(String, &str)| row.0.ends_with("/ticker");
    let mut texts: Vec<String> = all
        .iter()
        .filter(is_ticker)
        .map(|row| row.1.to_owned())
        .collect();
    let empty = texts[0].replace(
        r#"{"price":"63777.3","size":"0.00020"}"#,
        r#"{"price":"","size":""}"#,
    );
    assert_ne!(texts[0], empty);
    texts.push(empty);
    let mut decoder = Decoder::new();
    let mut parse = |bytes: &[u8]| decoder.read(&mut bytes.to_vec(), parsed_ticker).flatten();
    let known = ticker(texts[0].as_bytes()).expect("the recorded one has the known shape");
    assert_eq!((known.market, known.nonce), (1, 17_926_043_680));
    assert_eq!(known.bid.map(|level| level.size), Some(Size(2_492_200_000)));
    assert_eq!(
        ticker(texts.last().expect("pushed").as_bytes()).map(|t| t.ask),
        Some(None)
    );
    let mut scanned = 0;
    for case in 0..cases() {
        let text = &texts[case as usize % texts.len()];
        let bytes = mutate(text, &all, &mut Random(case));
        // What the scanner reads, the parser reads alike; what it leaves may be anything.
        if let Some(read) = ticker(&bytes) {
            assert_eq!(Some(read), parse(&bytes), "case {case}");
            scanned += 1;
        }
        parse(&bytes);
    }
    assert!(scanned > cases() / 50, "{scanned}");
}

/// The same through the whole feed, over a book that is in step.
#[test]
fn lighter_tops_are_told_alike() {
    let all = lighter();
    let is_ticker = |row: &&(String, &str)| row.0 == "ws update/ticker";
    let text = all.iter().find(is_ticker).expect("one is recorded").1;
    let whole = r#"{"channel":"order_book:1","type":"subscribed/order_book","order_book":{"code":0,
        "asks":[],"bids":[],"nonce":17926043000,"begin_nonce":0}}"#;
    let rig = || {
        let mut rig = Rig::new(LighterFeed::new(&[market(Venue::Lighter, "BTC", 1)]));
        rig.begin(&[whole.to_owned()]);
        rig.lane = 1;
        rig
    };
    let mut shown = [0; 2];
    for case in 0..cases() {
        let bytes = mutate(text, &all, &mut Random(case));
        let (mut fast, mut slow) = (rig(), rig());
        for bytes in [&bytes[..], text.as_bytes()] {
            let made = fast.hear(bytes);
            let name = format!("case {case}: {}", String::from_utf8_lossy(bytes));
            is_sound(&made, &name);
            assert_eq!(made, slow.hear(&respelled(bytes)), "{name}");
            // The recorded one is older than a bent one that was believed.
            shown[usize::from(bytes == text.as_bytes())] += u64::from(made.deltas.len() == 2);
        }
    }
    assert!(shown.iter().all(|count| *count > cases() / 20), "{shown:?}");
}

#[test]
fn noise_is_survived() {
    let markets = [
        market(Venue::Lighter, "X", 0),
        market(Venue::Extended, "BTC-USD", 0),
    ];
    let mut first = Rig::new(LighterFeed::new(&markets[..1]));
    let mut second = Rig::new(ExtendedFeed::new(&markets[1..]));
    for case in 0..cases() {
        let mut noise = Random(case).noise(400);
        for start in [
            "",
            "{\"channel\":\"order_book:0",
            "{\"type\":\"DELTA\",\"data\":{",
        ] {
            let mut bytes = start.as_bytes().to_vec();
            bytes.append(&mut noise.clone());
            first.begin(&[]);
            is_sound(&first.hear(&bytes), start);
            second.begin(&[]);
            is_sound(&second.hear(&bytes), start);
        }
        noise.clear();
    }
}

/// Messages of two megabytes made to be slow: deep, long, out of order. Anything worse than linear
/// (or a sort) would take hours; the bound leaves room for a busy machine and nothing else.
#[test]
fn work_is_bounded() {
    let bytes_len = 2 << 20;
    let fill = |unit: &str| unit.repeat(bytes_len / unit.len());
    let levels = |from: usize| -> String {
        let level = |at: usize| format!(r#"{{"price":"{}","size":"1"}}"#, 1 + at * 7_919 % 10_007);
        (from..from + 10_000)
            .map(level)
            .collect::<Vec<_>>()
            .join(",")
    };
    let book = |asks: &str| {
        let head =
            r#"{"channel":"order_book:0","last_updated_at":1,"offset":1,"order_book":{"code":0,"#;
        let tail = r#""offset":1,"nonce":1,"last_updated_at":1,"begin_nonce":0},"timestamp":1,"#;
        format!(r#"{head}"asks":[{asks}],"bids":[],{tail}"type":"subscribed/order_book"}}"#)
    };
    let texts = [
        fill("["),
        fill("{\"a\":"),
        fill("[]"),
        format!("[{}0]", fill("0,")),
        format!("\"{}\"", fill("\\u0022")),
        fill("9"),
        book(&format!(r#"{{"price":"{}","size":"1"}}"#, fill("1"))),
        book(&format!(r#"{{"price":"1e{}","size":"1"}}"#, fill("9"))),
        book(&format!(r#"{{"price":"1","size":"0.{}"}}"#, fill("0"))),
        book(&fill("{\"price\":\"")),
        book(&levels(0)),
        book(&format!("{},{}", levels(0), levels(0))),
        format!("{{{}\"type\":1}}", fill("\"type\":\"x\",")),
    ];
    let lighter_market = [market(Venue::Lighter, "X", 0)];
    let extended_market = [market(Venue::Extended, "BTC-USD", 0)];
    let start = Instant::now();
    for text in &texts {
        let mut rig = Rig::new(LighterFeed::new(&lighter_market));
        rig.driven.told = Told::new(16_384);
        rig.begin(&[]);
        rig.hear(text.as_bytes());
        let mut rig = Rig::new(ExtendedFeed::new(&extended_market));
        rig.begin(&[]);
        rig.hear(text.as_bytes());
    }
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}
