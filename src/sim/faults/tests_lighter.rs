//! What each fault does to Lighter's stream: the chain of nonces, the book, and the connection are
//! followed as a client would.

use super::tests::{Client, End, done, knock, open, options, venues};
use crate::market::Venue;
use crate::sim::{Sim, start};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BOOK: &str = "order_book:1";

fn subscribe(line: &mut Client, channel: &str) {
    line.say(&json!({"type": "subscribe", "channel": channel}));
}

/// A connection with all of BTC and the book of ETH.
fn market_data(sim: &Sim) -> Client {
    let mut line = open(&sim.description.lighter.ws);
    assert_eq!(line.next()["type"], "connected");
    for channel in ["order_book/1", "ticker/1", "trade/1", "order_book/0"] {
        subscribe(&mut line, channel);
    }
    line
}

fn of<'a>(frames: &'a [Value], channel: &str) -> Vec<&'a Value> {
    let of_it = frames.iter().filter(|frame| frame["channel"] == channel);
    of_it.collect()
}

/// How many updates do not continue the one before.
fn breaks(books: &[&Value]) -> usize {
    let nonce = |frame: &Value, name: &str| frame["order_book"][name].as_u64().unwrap();
    let broken = |pair: &&[&Value]| nonce(pair[1], "begin_nonce") != nonce(pair[0], "nonce");
    books.windows(2).filter(broken).count()
}

/// Asks and bids, size by price in the market's own spelling, widened so that texts sort.
type Book = [BTreeMap<String, String>; 2];

fn apply(book: &mut Book, frame: &Value) {
    if frame["type"] == "subscribed/order_book" {
        *book = Book::default();
    }
    for (side, name) in book.iter_mut().zip(["asks", "bids"]) {
        for level in frame["order_book"][name].as_array().unwrap() {
            let text = |name: &str| level[name].as_str().unwrap().to_owned();
            let price = format!("{:0>16}", text("price"));
            if text("size").chars().all(|one| "0.".contains(one)) {
                side.remove(&price);
            } else {
                side.insert(price, text("size"));
            }
        }
    }
}

fn is_crossed(book: &Book) -> bool {
    let [asks, bids] = book;
    matches!(
        (asks.first_key_value(), bids.last_key_value()),
        (Some((ask, _)), Some((bid, _))) if bid >= ask
    )
}

/// What came in one and a half seconds with a fault of this kind at 0.3 s.
fn struck(kind: &str) -> Vec<String> {
    let sim = venues(&format!("{kind}:lighter:BTC@0.3"));
    let texts = market_data(&sim).texts(1.5);
    assert_eq!(done(&sim, kind, Venue::Lighter), 1);
    texts
}

fn read(texts: &[String]) -> Vec<Value> {
    let read = |text: &String| serde_json::from_str(text).ok();
    texts.iter().filter_map(read).collect()
}

#[test]
fn a_lost_or_cut_frame_breaks_the_chain_once_and_of_its_market_alone() {
    for kind in ["gap", "cut"] {
        let texts = struck(kind);
        let frames = read(&texts);
        let cut = texts.len() - frames.len();
        assert_eq!(cut, usize::from(kind == "cut"));
        assert_eq!(breaks(&of(&frames, BOOK)), 1, "{kind}");
        assert_eq!(breaks(&of(&frames, "order_book:0")), 0, "{kind}");
        assert!(of(&frames, BOOK).len() > 20);
    }
}

#[test]
fn swapped_and_doubled_frames_are_what_they_are_called() {
    let frames = read(&struck("reorder"));
    let mut books = of(&frames, BOOK);
    assert_eq!(breaks(&books), 3, "before, between and after the two");
    books.sort_by_key(|frame| frame["order_book"]["nonce"].as_u64());
    assert_eq!(breaks(&books), 0, "nothing is lost");
    let texts = struck("duplicate");
    let twice: Vec<_> = texts.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert_eq!(twice.len(), 1);
    assert!(twice[0][0].contains("\"update/order_book\""));
}

#[test]
fn a_crossing_level_comes_from_nowhere_and_stays() {
    let frames = read(&struck("crossed"));
    let books = of(&frames, BOOK);
    assert_eq!(breaks(&books), 0);
    let mut book = Book::default();
    let mut states = Vec::new();
    for frame in books {
        apply(&mut book, frame);
        states.push(is_crossed(&book));
    }
    let first = states.iter().position(|crossed| *crossed).expect("a cross");
    assert!(first > 0 && states.len() > first + 10);
    assert!(states[first..].iter().all(|crossed| *crossed));
}

#[test]
fn a_silent_market_says_nothing_until_it_is_subscribed_anew() {
    let sim = venues("silent:lighter:BTC@0.3");
    let mut line = market_data(&sim);
    line.frames(1.0);
    assert_eq!(done(&sim, "silent", Venue::Lighter), 1);
    let quiet = line.frames(1.0);
    for channel in [BOOK, "ticker:1", "trade:1"] {
        assert_eq!(of(&quiet, channel).len(), 0, "{channel}");
    }
    assert!(of(&quiet, "order_book:0").len() > 5);
    line.say(&json!({"type": "unsubscribe", "channel": "order_book/1"}));
    subscribe(&mut line, "order_book/1");
    let loud = line.frames(1.0);
    let mut books = of(&loud, BOOK);
    books.retain(|frame| frame["type"] != "unsubscribed");
    assert_eq!(books[0]["type"], "subscribed/order_book");
    assert!(books.len() > 5);
    assert_eq!(breaks(&books), 0);
    assert_eq!(
        of(&loud, "ticker:1").len(),
        0,
        "that was not subscribed anew"
    );
}

#[test]
fn a_frozen_book_resumes_chained_to_what_was_told_last() {
    let sim = venues("frozen:lighter:BTC@0.5");
    let mut line = market_data(&sim);
    let frames = line.frames(22.5);
    let ms = |frame: &Value| frame["timestamp"].as_u64().unwrap();
    let books = of(&frames, BOOK);
    let gap = |pair: &[&Value]| ms(pair[1]) - ms(pair[0]) >= 19_900;
    let resumed = 1 + books.windows(2).position(gap).expect("it was frozen");
    assert_eq!(books[resumed]["type"], "update/order_book");
    assert_eq!(breaks(&books), 0);
    assert!(books.len() > resumed + 20);
    let (from, to) = (ms(books[resumed - 1]), ms(books[resumed]));
    let tickers = of(&frames, "ticker:1");
    let within = |frame: &&&Value| (from + 100..to - 100).contains(&ms(frame));
    assert_eq!(tickers.iter().filter(within).count(), 0);
    let others = of(&frames, "order_book:0");
    assert!(others.iter().filter(within).count() > 50);
    assert!(of(&frames, "trade:1").len() > 10);
    // The book is whole again: it equals a fresh one at the same nonce.
    let mut book = Book::default();
    books.iter().for_each(|frame| apply(&mut book, frame));
    let mut fresh = open(&sim.description.lighter.ws);
    fresh.next();
    subscribe(&mut fresh, "order_book/1");
    let snapshot = fresh.next();
    let nonce = &snapshot["order_book"]["nonce"];
    let mut last = books[books.len() - 1]["order_book"]["nonce"].clone();
    while last != *nonce {
        let frame = line.next();
        if frame["channel"] == BOOK {
            apply(&mut book, &frame);
            last = frame["order_book"]["nonce"].clone();
        }
    }
    let mut wanted = Book::default();
    apply(&mut wanted, &snapshot);
    assert_eq!(book, wanted);
    assert_eq!(done(&sim, "frozen", Venue::Lighter), 1);
}

#[test]
fn a_slow_line_is_held_flooded_and_dropped() {
    let sim = venues("slow:lighter:BTC@1");
    let mut line = market_data(&sim);
    let (mut waits, mut texts) = (Vec::new(), Vec::new());
    let end = loop {
        let asked = Instant::now();
        match line.text() {
            Ok(text) => texts.push(text),
            Err(end) => break end,
        }
        waits.push(asked.elapsed());
    };
    assert_eq!(end, End::Broken);
    assert_eq!(breaks(&of(&read(&texts), BOOK)), 0);
    let longest = waits.iter().max().unwrap();
    assert!((2.5..4.5).contains(&longest.as_secs_f64()), "{longest:?}");
    let flood = waits.len() - waits.iter().position(|wait| wait == longest).unwrap();
    assert!(flood > 50, "{flood}");
}

#[test]
fn a_shutdown_is_told_to_all_market_data_and_kept() {
    let sim = venues("shutdown@0.5");
    let mut both = [market_data(&sim), market_data(&sim)];
    let mut private = market_data(&sim);
    let account = sim.description.lighter.account_index;
    subscribe(&mut private, &format!("account_all/{account}"));
    for line in &mut both {
        let (texts, end) = line.rest();
        assert_eq!(end, End::Closed);
        let frames = read(&texts);
        let notice = json!({"type": "shutdown", "close_in_ms": 5000});
        let told = frames.iter().position(|frame| *frame == notice);
        let told = told.expect("a notice");
        let times = frames[told..]
            .iter()
            .filter_map(|frame| frame["timestamp"].as_u64());
        let times: Vec<u64> = times.collect();
        let ms = times[times.len() - 1] - times[0];
        assert!((4_000..6_000).contains(&ms), "data goes on meanwhile: {ms}");
        assert_eq!(breaks(&of(&frames, BOOK)), 0);
    }
    let frames = private.frames(1.0);
    assert!(frames.len() > 20);
    assert!(frames.iter().all(|frame| frame["type"] != "shutdown"));
    assert_eq!(done(&sim, "shutdown", Venue::Lighter), 1);
}

#[test]
fn a_refusal_drops_the_line_and_answers_upgrades_for_its_time() {
    let sim = venues("429:lighter:BTC@0.5");
    let mut line = market_data(&sim);
    assert_eq!(line.rest().1, End::Broken);
    let dropped = Instant::now();
    let url = &sim.description.lighter.ws;
    assert_eq!(knock(url, None).err(), Some(429));
    while knock(url, None).is_err() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let seconds = dropped.elapsed().as_secs_f64();
    assert!((7.0..9.5).contains(&seconds), "{seconds}");
    assert_eq!(done(&sim, "429", Venue::Lighter), 1);
}

#[test]
fn a_disconnect_tears_a_message_of_one_line() {
    let sim = venues("disconnect:lighter:ETH@0.5");
    let mut line = market_data(&sim);
    assert_eq!(line.rest().1, End::Broken);
    let (got, whole) = line.torn();
    assert!(0 < got && got < whole, "{got} of {whole}");
    assert_eq!(done(&sim, "disconnect", Venue::Lighter), 1);
    assert!(
        market_data(&sim).frames(0.5).len() > 5,
        "the next one lives"
    );
}

#[test]
fn a_disconnect_under_tls_sends_no_farewell() {
    let mut options = options("disconnect:lighter@0.5");
    options.plain = false;
    let sim = start(&options).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    use rustls::pki_types::pem::PemObject;
    let pem = sim.description.ca_pem.as_bytes();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let url = &sim.description.lighter.ws;
    let host = url.strip_prefix("wss://").unwrap();
    let address = host.strip_suffix("/stream").unwrap();
    let name = "127.0.0.1".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = std::net::TcpStream::connect(address).unwrap();
    let stream = rustls::StreamOwned::new(connection, socket);
    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
    let wanted = json!({"type": "subscribe", "channel": "order_book/1"});
    socket
        .send(tungstenite::Message::text(wanted.to_string()))
        .unwrap();
    let end = loop {
        if let Err(end) = socket.read() {
            break end;
        }
    };
    // A farewell would be an orderly end, which rustls does not report so.
    let kind = match end {
        tungstenite::Error::Io(error) => error.kind(),
        other => panic!("{other}"),
    };
    assert_eq!(kind, std::io::ErrorKind::UnexpectedEof);
}
