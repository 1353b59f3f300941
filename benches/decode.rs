//! A book message to deltas: our feeds, whole, beside serde_json and sonic-rs with borrowed text.
//!
//! `cargo bench --bench decode` prints criterion's figures and, at the end, ratios measured in
//! turn. Ours is `on_message`: shape, numbers, continuity, levels told twice. The peers get typed
//! structures with only the fields they need, borrow all text, and leave continuity out. Both read
//! Extended's change beside the size, because a change that does not fit its size is refused.
//! All answers are compared before anything is timed, and ours must have come from the scanner.
//!
//! Messages have the venues' shape and differ from each other in every number and length, so that
//! no branch predictor learns one by heart: a third of the levels go, sizes spread over four orders
//! of magnitude.

use criterion::{BatchSize, Criterion, Throughput};
use parallax::market::book::{Delta, Side, flags};
use parallax::market::units::{Bps, Nanos, Notional, Price, Size};
use parallax::market::{Bounds, InstrumentId, Market, Name, VENUES, Venue};
use parallax::venue::extended::feed::ExtendedFeed;
use parallax::venue::lighter::feed::LighterFeed;
use parallax::venue::{Call, Deltas, Feed, Outbox, Paths, Told};
use serde::Deserialize;
use std::hint::black_box;
use std::time::Instant;

/// Updates on a connection before it begins anew.
const MESSAGES: usize = 256;
/// Rounds of the ratios; the best of each candidate counts.
const ROUNDS: usize = 60;
const NOW: Nanos = Nanos(1_790_000_000_000_000_000);

#[derive(Deserialize)]
struct LighterLevel<'m> {
    price: &'m str,
    size: &'m str,
}

#[derive(Deserialize)]
struct LighterBook<'m> {
    #[serde(borrow)]
    asks: Vec<LighterLevel<'m>>,
    #[serde(borrow)]
    bids: Vec<LighterLevel<'m>>,
    nonce: u64,
}

#[derive(Deserialize)]
struct LighterFrame<'m> {
    channel: &'m str,
    #[serde(borrow)]
    order_book: LighterBook<'m>,
}

#[derive(Deserialize)]
struct ExtendedLevel<'m> {
    q: &'m str,
    p: &'m str,
    c: &'m str,
}

#[derive(Deserialize)]
struct ExtendedBook<'m> {
    m: &'m str,
    #[serde(borrow)]
    b: Vec<ExtendedLevel<'m>>,
    #[serde(borrow)]
    a: Vec<ExtendedLevel<'m>>,
}

#[derive(Deserialize)]
struct ExtendedFrame<'m> {
    #[serde(borrow)]
    data: ExtendedBook<'m>,
    seq: u64,
}

/// How a peer turns bytes into a structure.
trait Parser {
    fn parse<'m, T: Deserialize<'m>>(bytes: &'m [u8]) -> T;
}

struct Serde;
struct Sonic;

impl Parser for Serde {
    fn parse<'m, T: Deserialize<'m>>(bytes: &'m [u8]) -> T {
        serde_json::from_slice(bytes).expect("the venue's shape")
    }
}

impl Parser for Sonic {
    fn parse<'m, T: Deserialize<'m>>(bytes: &'m [u8]) -> T {
        sonic_rs::from_slice(bytes).expect("the venue's shape")
    }
}

type Peer = fn(Venue, &[u8], &mut Deltas) -> u64;

/// A message through a peer; gives the sequence.
fn read<P: Parser>(venue: Venue, bytes: &[u8], deltas: &mut Deltas) -> u64 {
    let sequence = match venue {
        Venue::Lighter => {
            let frame: LighterFrame = P::parse(bytes);
            assert_eq!(frame.channel, "order_book:1");
            for is_removal in [true, false] {
                for (side, levels) in [
                    (Side::Ask, &frame.order_book.asks),
                    (Side::Bid, &frame.order_book.bids),
                ] {
                    for level in levels {
                        let (price, size) = numbers(level.price, level.size);
                        if (size == Size::ZERO) == is_removal {
                            deltas.push(delta(venue, side, price, size));
                        }
                    }
                }
            }
            frame.order_book.nonce
        }
        Venue::Extended => {
            let frame: ExtendedFrame = P::parse(bytes);
            assert_eq!(frame.data.m, "BTC-USD");
            for (side, levels) in [(Side::Bid, &frame.data.b), (Side::Ask, &frame.data.a)] {
                for level in levels {
                    let (price, size) = numbers(level.p, level.c);
                    let change = Size::parse(level.q.as_bytes()).expect("few places too");
                    assert!(change <= size, "the change fits the size");
                    deltas.push(delta(venue, side, price, size));
                }
            }
            frame.seq
        }
    };
    if let [.., last] = deltas.items_mut() {
        last.flags |= flags::LAST;
    }
    sequence
}

fn numbers(price: &str, size: &str) -> (Price, Size) {
    let exact = "written with few places";
    let price = Price::parse(price.as_bytes()).expect(exact);
    (price, Size::parse(size.as_bytes()).expect(exact))
}

fn delta(venue: Venue, side: Side, price: Price, size: Size) -> Delta {
    Delta {
        price,
        size,
        t_recv: NOW,
        t_made: Nanos::ZERO,
        t_push: Nanos::ZERO,
        instrument: InstrumentId(0),
        venue,
        side,
        flags: 0,
    }
}

/// The updates of one connection, and the whole book before them.
struct Tape {
    venue: Venue,
    snapshot: Vec<u8>,
    updates: Vec<Vec<u8>>,
}

impl Tape {
    fn new(venue: Venue, levels: usize) -> Tape {
        let mut random = random(levels as u64);
        let updates = (0..MESSAGES as u64).map(|at| write(venue, at + 2, levels, &mut random));
        let updates = updates.map(String::into_bytes).collect();
        let snapshot = match venue {
            Venue::Lighter => frame(venue, 1, "", "").replace("update/", "subscribed/"),
            Venue::Extended => frame(venue, 1, "", "").replace("DELTA", "SNAPSHOT"),
        };
        let snapshot = snapshot.into_bytes();
        Tape {
            venue,
            snapshot,
            updates,
        }
    }
}

fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |bound| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    }
}

/// One update with this many levels, half on each side, best first as the venues write them.
fn write(
    venue: Venue,
    sequence: u64,
    levels: usize,
    random: &mut impl FnMut(u64) -> u64,
) -> String {
    let middle = 636_000 + random(3_000);
    let mut side = |is_ask: bool, len: usize| {
        let mut ticks = middle;
        let mut list = Vec::new();
        for _ in 0..len {
            let step = 1 + random(5);
            ticks = if is_ask { ticks + step } else { ticks - step };
            let bound = [10_000, 100_000, 1_000_000, 10_000_000][random(4) as usize];
            let lots = (1 + random(bound)) * u64::from(random(3) != 0);
            list.push(level(venue, ticks, lots, random(bound) as i64));
        }
        list.join(",")
    };
    let asks = side(true, levels.div_ceil(2));
    let bids = side(false, levels / 2);
    frame(venue, sequence, &asks, &bids)
}

fn level(venue: Venue, ticks: u64, lots: u64, change: i64) -> String {
    let size = format!("{}.{:05}", lots / 100_000, lots % 100_000);
    let (whole, tenth) = (ticks / 10, ticks % 10);
    match venue {
        Venue::Lighter => format!(r#"{{"price":"{whole}.{tenth}","size":"{size}"}}"#),
        Venue::Extended => {
            let size = if lots == 0 { "0".into() } else { size };
            let (change, sign) = match (lots as i64) < change {
                true => (change, "-"),
                false => (change, ""),
            };
            let change = format!("{sign}{}.{:05}", change / 100_000, change % 100_000);
            format!(r#"{{"q":"{change}","p":"{ticks}","c":"{size}"}}"#)
        }
    }
}

fn frame(venue: Venue, sequence: u64, asks: &str, bids: &str) -> String {
    let (us, begin) = (1_785_358_812_048_570 + sequence, sequence - 1);
    match venue {
        Venue::Lighter => {
            let head = format!(r#"{{"channel":"order_book:1","last_updated_at":{us},"#);
            let middle = format!(r#""offset":415806,"order_book":{{"code":0,"asks":[{asks}],"#);
            let chain = format!(r#""bids":[{bids}],"offset":415806,"nonce":1803238400{sequence},"#);
            let tail = format!(r#""last_updated_at":{us},"begin_nonce":1803238400{begin}}},"#);
            let end = r#""timestamp":1785358812058,"type":"update/order_book"}"#;
            [&head, &middle, &chain, &tail, end].concat()
        }
        Venue::Extended => {
            let head = r#"{"type":"DELTA","data":{"t":"DELTA","m":"BTC-USD","#;
            let tail = format!(r#""d":"f"}},"ts":1790425441925,"seq":{sequence}}}"#);
            format!(r#"{head}"b":[{bids}],"a":[{asks}],{tail}"#)
        }
    }
}

fn market(venue: Venue) -> Market {
    Market {
        venue,
        instrument: InstrumentId(0),
        name: Name::new("BTC-USD").expect("a short name"),
        venue_market: 1,
        tick: Price(1),
        lot: Size(1),
        size_min: Size(1),
        notional_min: Notional::ZERO,
        fee_taker: Bps::ZERO,
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    }
}

/// Our feed with its boxes, turned by hand.
struct Ours<F> {
    feed: F,
    told: Told,
    out: Outbox,
}

impl<F: Feed> Ours<F> {
    fn new(feed: F) -> Ours<F> {
        Ours {
            feed,
            told: Told::new(16_384),
            out: Outbox::new(1 << 14, 64),
        }
    }

    fn call<T>(&mut self, deed: impl FnOnce(&mut F, &mut Call<'_>) -> T) -> T {
        let mut call = Call {
            now: NOW,
            books: &[],
            told: &mut self.told,
            out: &mut self.out,
        };
        deed(&mut self.feed, &mut call)
    }

    /// A new connection with its whole book.
    fn begin(&mut self, tape: &mut Tape) {
        self.call(|feed, call| feed.on_link(0, true, call));
        let mut greeting = br#"{"type":"connected"}"#.to_vec();
        if tape.venue == Venue::Lighter {
            self.hear(&mut greeting);
        }
        self.hear(&mut tape.snapshot);
        self.out.clear();
    }

    #[inline]
    fn hear(&mut self, bytes: &mut [u8]) -> usize {
        self.told.clear();
        black_box(self.call(|feed, call| feed.on_message(0, bytes, call)));
        self.told.deltas.items().len()
    }
}

/// All three give the same records for every message.
fn agree<F: Feed>(ours: &mut Ours<F>, tape: &mut Tape, levels: usize) {
    ours.begin(tape);
    let mut theirs = Deltas::new(16_384);
    for update in &mut tape.updates {
        assert_eq!(ours.hear(update), levels);
        for read in [read::<Serde>, read::<Sonic>] {
            theirs.clear();
            read(tape.venue, update, &mut theirs);
            let pairs = ours.told.deltas.items().iter().zip(theirs.items());
            for (own, other) in pairs {
                let of = |d: &Delta| (d.side, d.price, d.size, d.flags, d.instrument, d.t_recv);
                assert_eq!(of(own), of(other));
            }
            assert_eq!(theirs.items().len(), levels);
        }
    }
}

/// Nanoseconds a message, the best of many rounds in turn: ours, serde_json, sonic-rs.
fn ratios<F: Feed>(ours: &mut Ours<F>, tape: &mut Tape) -> [f64; 3] {
    let mut best = [f64::MAX; 3];
    let mut theirs = Deltas::new(16_384);
    for _ in 0..ROUNDS {
        ours.begin(tape);
        let start = Instant::now();
        for update in &mut tape.updates {
            ours.hear(black_box(update));
        }
        best[0] = best[0].min(start.elapsed().as_nanos() as f64);
        for (best, read) in best[1..].iter_mut().zip([read::<Serde>, read::<Sonic>]) {
            let start = Instant::now();
            for update in &tape.updates {
                theirs.clear();
                black_box(read(tape.venue, black_box(update), &mut theirs));
            }
            *best = best.min(start.elapsed().as_nanos() as f64);
        }
    }
    best.map(|ns| ns / MESSAGES as f64)
}

fn measure<F: Feed>(
    criterion: &mut Criterion,
    feed: F,
    paths: fn(&F) -> Paths,
    (venue, levels): (Venue, usize),
) -> String {
    let (mut ours, mut tape) = (Ours::new(feed), Tape::new(venue, levels));
    agree(&mut ours, &mut tape, levels);
    // The whole book and every update; only Lighter's greeting is for the parser.
    assert_eq!(paths(&ours.feed).fast, 1 + MESSAGES as u64);
    let mut group = criterion.benchmark_group(format!("decode/{}/{levels}", venue.name()));
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function("ours", |bencher| {
        bencher.iter_batched_ref(
            || (),
            |()| {
                ours.begin(&mut tape);
                let updates = tape.updates.iter_mut();
                updates
                    .map(|update| ours.hear(black_box(update)))
                    .sum::<usize>()
            },
            BatchSize::PerIteration,
        )
    });
    let mut theirs = Deltas::new(16_384);
    let peers: [(&str, Peer); 2] = [("serde_json", read::<Serde>), ("sonic-rs", read::<Sonic>)];
    for (name, read) in peers {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for update in &tape.updates {
                    theirs.clear();
                    black_box(read(venue, black_box(update), &mut theirs));
                }
            })
        });
    }
    group.finish();
    let [own, serde, sonic] = ratios(&mut ours, &mut tape);
    format!(
        "{:8} {levels:3} levels, {:5} bytes: ours {own:7.1} ns, serde_json {serde:7.1}, sonic-rs \
         {sonic:7.1}; of sonic-rs {:.3}",
        venue.name(),
        tape.updates[0].len(),
        own / sonic
    )
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut lines = Vec::new();
    for venue in VENUES {
        for levels in [2, 10, 50, 200] {
            let markets = [market(venue)];
            let (criterion, which) = (&mut criterion, (venue, levels));
            lines.push(match venue {
                Venue::Lighter => {
                    let feed = LighterFeed::new(&markets);
                    measure(criterion, feed, LighterFeed::paths, which)
                }
                Venue::Extended => {
                    let feed = ExtendedFeed::new(&markets);
                    measure(criterion, feed, ExtendedFeed::paths, which)
                }
            });
        }
    }
    criterion.final_summary();
    println!("\nBudget: a quarter of sonic-rs.");
    for line in lines {
        println!("{line}");
    }
}
