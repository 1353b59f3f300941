//! The stream of the simulated Lighter over a real socket, read by an independent WebSocket client.

use super::channel::Topic;
use super::desk::{Desk, Options};
use super::keys::credentials;
use super::tests::{Client, floor};
use crate::sim::exchange::LighterTier;
use crate::sim::server;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Arc;
use tungstenite::{Message, WebSocket};

/// The venue on a socket, in a runtime of its own thread.
fn serve(options: Options) -> (Client, std::net::SocketAddr) {
    let (ready, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let credentials = credentials(1);
            let desk = Desk::new(floor(), credentials.clone(), options);
            let floor = Arc::clone(&desk.floor);
            let routes = super::rest::routes(Arc::clone(&desk));
            let routes = routes.merge(super::stream::routes(Arc::clone(&desk)));
            let listener = server::rt::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = Client { desk, credentials };
            ready
                .send((client, listener.local_addr().unwrap()))
                .unwrap();
            server::rt::spawn(server::pump(floor));
            server::serve(listener, None, routes).await;
        });
    });
    address.recv().unwrap()
}

type Stream = WebSocket<TcpStream>;

fn open_stream(address: std::net::SocketAddr) -> Stream {
    let socket = TcpStream::connect(address).unwrap();
    let ten_seconds = std::time::Duration::from_secs(10);
    socket.set_read_timeout(Some(ten_seconds)).unwrap();
    let url = format!("ws://{address}/stream");
    let (mut stream, _) = tungstenite::client(url, socket).unwrap();
    assert_eq!(read(&mut stream)["type"], "connected");
    stream
}

fn read_text(stream: &mut Stream) -> String {
    loop {
        if let Message::Text(text) = stream.read().unwrap() {
            return text.to_string();
        }
    }
}

fn read(stream: &mut Stream) -> Value {
    serde_json::from_str(&read_text(stream)).unwrap()
}

fn say(stream: &mut Stream, message: Value) {
    stream.send(Message::text(message.to_string())).unwrap();
}

fn subscribe(stream: &mut Stream, channel: &str) -> Value {
    say(stream, json!({"type": "subscribe", "channel": channel}));
    read(stream)
}

#[test]
fn a_book_followed_on_the_stream_is_the_exchanges_book() {
    let (client, address) = serve(Options::of(LighterTier::Standard));
    let mut stream = open_stream(address);
    let first = subscribe(&mut stream, "order_book/1");
    assert_eq!(first["type"], "subscribed/order_book");
    assert_eq!(first["order_book"]["begin_nonce"], 0);
    let mut book = [BTreeMap::new(), BTreeMap::new()];
    let apply = |book: &mut [BTreeMap<String, String>; 2], frame: &Value| {
        for (side, key) in book.iter_mut().zip(["asks", "bids"]) {
            for level in frame["order_book"][key].as_array().unwrap() {
                let text = |key: &str| level[key].as_str().unwrap().to_owned();
                if text("size") == "0.00000" {
                    side.remove(&text("price"));
                } else {
                    side.insert(text("price"), text("size"));
                }
            }
        }
    };
    apply(&mut book, &first);
    let mut nonce = first["order_book"]["nonce"].clone();
    for _ in 0..20 {
        let frame = read(&mut stream);
        assert_eq!(frame["type"], "update/order_book");
        assert_eq!(frame["order_book"]["begin_nonce"], nonce);
        nonce = frame["order_book"]["nonce"].clone();
        apply(&mut book, &frame);
    }
    // A fresh snapshot on a second connection, met by reading on to its nonce.
    let mut second = open_stream(address);
    let fresh = subscribe(&mut second, "order_book/1");
    while nonce != fresh["order_book"]["nonce"] {
        let frame = read(&mut stream);
        nonce = frame["order_book"]["nonce"].clone();
        apply(&mut book, &frame);
    }
    let mut wanted = [BTreeMap::new(), BTreeMap::new()];
    apply(&mut wanted, &fresh);
    assert_eq!(book, wanted);
    drop(client);
}

#[test]
fn books_leave_in_batches_and_tickers_at_once() {
    let credentials = credentials(1);
    let desk = Desk::new(floor(), credentials, Options::of(LighterTier::Standard));
    let start = desk.floor.now();
    while desk.floor.play(start) <= start {}
    let mut frames = desk.board.listen();
    desk.floor.look(|exchange| {
        let now = desk.floor.now();
        for (topic, channel) in [
            (Topic::OrderBook(1), "order_book/1"),
            (Topic::Ticker(1), "ticker/1"),
        ] {
            desk.board.open(topic, channel, exchange, now);
        }
    });
    let (mut books, mut ahead, mut covered) = (Vec::new(), 0, 0);
    let mut chain = None;
    for ms in 1..10_000 {
        desk.floor.play(start.plus(ms * crate::market::units::MS));
        while let Ok(frame) = frames.try_recv() {
            let frame: Value = serde_json::from_str(&frame.text).unwrap();
            if frame["type"] == "update/ticker" {
                let nonce = frame["nonce"].as_u64().unwrap();
                assert!(nonce > covered, "a ticker is never older than the book");
                ahead += 1;
                continue;
            }
            let book = &frame["order_book"];
            covered = book["nonce"].as_u64().unwrap();
            let begin = book["begin_nonce"].as_u64().unwrap();
            assert!(chain.is_none_or(|nonce| nonce == begin));
            chain = Some(covered);
            books.push(ms);
        }
    }
    assert!(books.len() > 150 && ahead > 50, "{} {ahead}", books.len());
    let gaps = books.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.clone().min().unwrap() >= 49);
    // On a grid of 50 ms, the first millisecond of the run being anywhere on it.
    assert!(
        gaps.clone().all(|gap| (gap + 1) % 50 <= 2),
        "{:?}",
        gaps.collect::<Vec<_>>()
    );
}

#[test]
fn the_streams_answers_are_spelled_as_captured() {
    let (client, address) = serve(Options::of(LighterTier::Standard));
    let mut stream = open_stream(address);
    let code = |answer: Value| answer["error"]["code"].as_u64().unwrap();
    assert_eq!(code(subscribe(&mut stream, "order_book/99")), 30005);
    assert_eq!(
        subscribe(&mut stream, "height")["type"],
        "subscribed/height"
    );
    say(
        &mut stream,
        json!({"type": "unsubscribe", "channel": "height"}),
    );
    let mut answer = read_text(&mut stream);
    while answer.contains("update/height") {
        answer = read_text(&mut stream);
    }
    assert_eq!(answer, r#"{"type": "unsubscribed", "channel": "height"}"#);
    say(
        &mut stream,
        json!({"type": "unsubscribe", "channel": "height"}),
    );
    assert_eq!(code(read(&mut stream)), 30002);
    say(&mut stream, json!({"type": "ping"}));
    assert_eq!(read_text(&mut stream), r#"{"type":"pong"}"#);
    say(&mut stream, json!({"type": "nonsense"}));
    assert_eq!(code(read(&mut stream)), 30001);
    stream.send(Message::text("{")).unwrap();
    assert_eq!(code(read(&mut stream)), 30000);
    let account = client.credentials.account_index;
    let answer = subscribe(&mut stream, &format!("account_all_orders/{account}"));
    let wanted = format!("invalid param : auth field is required: account_all_orders:{account}");
    assert_eq!(answer["error"]["message"], wanted);
    let channel = format!("user_stats/{account}");
    assert_eq!(
        subscribe(&mut stream, &channel)["stats"]["collateral"],
        "10000.000000"
    );
    let again = subscribe(&mut stream, &channel);
    assert_eq!(
        again["error"]["message"],
        format!("Already Subscribed to : user_stats:{account}")
    );
}

#[test]
fn orders_over_the_stream_come_back_on_the_accounts_channels() {
    let (client, address) = serve(Options::of(LighterTier::Standard));
    let mut stream = open_stream(address);
    let account = client.credentials.account_index;
    let channel = format!("account_all_trades/{account}");
    let first = subscribe(&mut stream, &channel);
    assert_eq!(first["trades"], json!({}));
    let info = client.sign(14, client.buy());
    let info: Value = serde_json::from_str(&info).unwrap();
    let data = json!({"id": "x", "tx_type": 14, "tx_info": info});
    say(&mut stream, json!({"type": "jsonapi/sendtx", "data": data}));
    let answer = read(&mut stream);
    assert_eq!((&answer["code"], &answer["id"]), (&json!(200), &json!("x")));
    let update = read(&mut stream);
    assert_eq!(update["type"], "update/account_all_trades");
    let trade = &update["trades"]["1"][0];
    assert_eq!(trade["bid_account_id"], account);
    assert_eq!(trade["bid_client_id"], 42);
    assert_eq!(trade["tx_hash"], answer["tx_hash"]);
    say(&mut stream, json!({"type": "jsonapi/sendtx", "data": data}));
    let refused = read(&mut stream);
    assert_eq!(
        refused,
        json!({"error": {"code": 21104, "message": "invalid nonce"}, "id": "x"})
    );
}

#[test]
fn too_many_messages_and_subscriptions_are_refused() {
    let (_client, address) = serve(Options {
        messages_per_minute: 4,
        subscriptions_max: 1,
        ..Options::of(LighterTier::Standard)
    });
    let mut stream = open_stream(address);
    assert_eq!(
        subscribe(&mut stream, "market_stats/0")["type"],
        "subscribed/market_stats"
    );
    let read_error = |stream: &mut Stream| loop {
        let answer = read(stream);
        if let Some(code) = answer["error"]["code"].as_u64() {
            return code;
        }
    };
    say(
        &mut stream,
        json!({"type": "subscribe", "channel": "market_stats/1"}),
    );
    assert_eq!(read_error(&mut stream), 23001);
    for _ in 0..3 {
        say(&mut stream, json!({"type": "ping"}));
    }
    assert_eq!(read_error(&mut stream), 30009);
}

#[test]
fn a_burst_beyond_what_may_be_in_flight_is_refused() {
    let (_client, address) = serve(Options::of(LighterTier::Standard));
    let mut streams = [open_stream(address), open_stream(address)];
    for count in 0..60 {
        say(&mut streams[count % 2], json!({"type": "ping"}));
    }
    let mut answers = Vec::new();
    for count in 0..60 {
        answers.push(read(&mut streams[count % 2]));
    }
    let pongs = answers.iter().filter(|answer| answer["type"] == "pong");
    // A slow machine may take longer over sixty pings than the first stay in flight.
    assert!(pongs.count() >= 50);
    let refused = answers.iter().filter(|answer| answer["type"] != "pong");
    for answer in refused {
        assert_eq!(answer["error"]["code"], 30010);
        assert_eq!(answer["error"]["message"], "Too Many Inflight Messages!");
    }
}

#[test]
fn a_silent_client_is_closed() {
    let (_client, address) = serve(Options {
        idle_seconds: 1,
        ..Options::of(LighterTier::Standard)
    });
    let mut stream = open_stream(address);
    assert!(matches!(stream.read(), Ok(Message::Close(_)) | Err(_)));
}
