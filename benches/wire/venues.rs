//! Both simulated venues on one thread: they show books, take every order and fill it at once.
//!
//! A round's ticks are sent by `tick`, everything else (handshakes, subscriptions, answers, the
//! account's news) happens in `serve`, which is called between ticks and never in what is timed.

use crate::books::{self, Shape};
use crate::engine::{LIGHTER_ACCOUNT, LIGHTER_KEYS, MARKETS};
use crate::peer::{Peer, Said};
use parallax::market::units::{Price, Size};
use parallax::market::{VENUES, Venue};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest that an order is waited for. A tick that brings none is counted as lost.
pub const ORDER_WAIT: Duration = Duration::from_millis(20);

/// What a connection turned out to be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Book(Venue),
    Orders(Venue),
    Account(Venue),
}

/// An order as it came, with what is needed to judge it.
pub struct Received {
    pub venue: Venue,
    /// The transaction, or the request's body.
    pub text: String,
    /// Best bid and ask that the venue showed then, in ticks.
    pub touch: (i64, i64),
    /// The first leg of a pair, sent within what is timed.
    pub is_first: bool,
    /// It may make a position larger.
    pub opens: bool,
    /// Of which engine: each round has its own.
    pub round: usize,
}

impl Received {
    fn field(&self, name: &str) -> Value {
        let fields: Value = serde_json::from_str(&self.text).expect("it was read before");
        fields[name].clone()
    }

    pub fn is_buy(&self) -> bool {
        match self.venue {
            Venue::Extended => self.field("side") == "BUY",
            Venue::Lighter => self.field("IsAsk") == 0,
        }
    }

    /// Price and size of an order to Extended.
    pub fn terms(&self) -> (Price, Size) {
        let [price, size] = ["price", "qty"].map(|name| self.field(name));
        let text = |value: Value| value.as_str().expect("a text").as_bytes().to_vec();
        let price = Price::parse(&text(price)).expect("a decimal");
        (price, Size::parse(&text(size)).expect("a decimal"))
    }
}

/// Both venues.
pub struct Venues {
    listeners: [TcpListener; 2],
    config: Arc<ServerConfig>,
    pub ca_pem: Vec<u8>,
    peers: Vec<(Venue, Peer)>,
    roles: HashMap<Role, usize>,
    shapes: [Vec<Shape>; 2],
    /// Last number of each Lighter book, and of Extended's connections.
    chains: Vec<u64>,
    book_number: u64,
    account_number: u64,
    /// Which engine is the present one.
    round: usize,
    /// Positions in lots, by venue and market.
    positions: [Vec<i64>; 2],
    trades: u64,
    pub nonces: [u64; LIGHTER_KEYS.len()],
    pub received: Vec<Received>,
    /// What is next on the orders' connection answers a tick.
    expects_first: bool,
    /// Lighter's books that were subscribed to.
    books_asked: usize,
    /// Longest texts of a tick and of an order, bytes.
    pub tick_bytes: [usize; 2],
    pub order_bytes: [usize; 2],
}

impl Venues {
    pub fn new() -> Venues {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has its suites")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("made for each other");
        let listener = |_| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.set_nonblocking(true).expect("sockets have it");
            listener
        };
        Venues {
            listeners: VENUES.map(listener),
            config: Arc::new(config),
            ca_pem: made.cert.pem().into_bytes(),
            peers: Vec::new(),
            roles: HashMap::new(),
            shapes: VENUES.map(|_| vec![Shape::Calm; MARKETS]),
            chains: vec![1; MARKETS],
            round: 0,
            book_number: 0,
            account_number: 0,
            positions: VENUES.map(|_| vec![0; MARKETS]),
            trades: 0,
            nonces: [1; LIGHTER_KEYS.len()],
            received: Vec::new(),
            expects_first: false,
            books_asked: 0,
            tick_bytes: [0; 2],
            order_bytes: [0; 2],
        }
    }

    /// The URL that WebSockets of a venue are dialled at.
    pub fn url(&self, venue: Venue) -> String {
        let address = self.listeners[venue.idx()].local_addr().expect("bound");
        format!("wss://{address}")
    }

    /// What a listener answers TLS with, and what its clients must trust.
    pub fn tls(&self) -> (&Arc<ServerConfig>, &[u8]) {
        (&self.config, &self.ca_pem)
    }

    /// What a new engine meets: nobody connected, all books calm, nothing held.
    pub fn reset(&mut self) {
        self.round += 1;
        self.peers.clear();
        self.roles.clear();
        (self.book_number, self.account_number, self.books_asked) = (0, 0, 0);
        for venue in VENUES {
            self.shapes[venue.idx()].fill(Shape::Calm);
            self.positions[venue.idx()].fill(0);
        }
    }

    /// All connections that rounds need are there, and all books were shown.
    pub fn is_complete(&self) -> bool {
        let is_there = |venue| {
            self.roles.contains_key(&Role::Book(venue))
                && self.roles.contains_key(&Role::Account(venue))
        };
        self.books_asked == MARKETS && VENUES.into_iter().all(is_there)
    }

    /// Whether nothing is held anywhere.
    pub fn is_flat(&self) -> bool {
        self.positions.iter().flatten().all(|lots| *lots == 0)
    }

    /// Whatever waits at any connection. True when there was something.
    pub fn serve(&mut self) -> bool {
        let mut is_busy = false;
        for venue in VENUES {
            if let Ok((stream, _)) = self.listeners[venue.idx()].accept() {
                self.peers
                    .push((venue, Peer::new(stream, Some(&self.config))));
                is_busy = true;
            }
        }
        for at in 0..self.peers.len() {
            let count = match self.peers[at].1.is_gone {
                true => 0,
                false => self.peers[at].1.poll(),
            };
            if count > 0 {
                self.take(at, count);
                is_busy = true;
            }
        }
        is_busy
    }

    fn take(&mut self, at: usize, count: usize) {
        let venue = self.peers[at].0;
        for said in self.peers[at].1.take(count) {
            match (venue, said) {
                (Venue::Extended, Said::Upgrade(path)) => self.open_extended(at, &path),
                (Venue::Extended, Said::Request(line, body)) => self.on_request(at, &line, &body),
                (Venue::Extended, Said::Text(_)) => {}
                (Venue::Lighter, Said::Upgrade(_)) => {
                    let greeting = r#"{"session_id":"1","type":"connected"}"#;
                    self.peers[at].1.send_text(greeting);
                }
                (Venue::Lighter, Said::Text(text)) => self.on_text(at, &text),
                (Venue::Lighter, Said::Request(..)) => self.peers[at].1.answer("{\"code\":400}"),
            }
        }
    }

    // --- Extended ---

    fn open_extended(&mut self, at: usize, path: &str) {
        if path == "/orderbooks" {
            self.roles.insert(Role::Book(Venue::Extended), at);
            for market in 0..MARKETS {
                self.book_number += 1;
                let text = books::snapshot(Venue::Extended, market, self.book_number);
                self.peers[at].1.send_text(&text);
            }
        } else if path == "/account" {
            self.roles.insert(Role::Account(Venue::Extended), at);
            self.account_number += 1;
            let text = json!({
                "type": "SNAPSHOT", "ts": 1, "seq": self.account_number,
                "data": {
                    "isSnapshot": true, "orders": [], "positions": [],
                    "balance": {"equity": "1000000000", "availableForTrade": "1000000000"},
                },
            });
            self.peers[at].1.send_text(&text.to_string());
        }
    }

    fn on_request(&mut self, at: usize, line: &str, body: &str) {
        if !line.starts_with("POST ") {
            return self.peers[at].1.answer(r#"{"status":"OK","data":{}}"#);
        }
        self.roles.insert(Role::Orders(Venue::Extended), at);
        let order: Value = serde_json::from_str(body).expect("an order is JSON");
        let text = |name: &str| order[name].as_str().expect("a text").to_owned();
        let (name, external) = (text("market"), text("id"));
        let market: usize = name[1..name.len() - 4].parse().expect("our names");
        self.trades += 1;
        let id = self.trades;
        let answer = format!(r#"{{"status":"OK","data":{{"id":{id},"externalId":"{external}"}}}}"#);
        self.peers[at].1.answer(&answer);
        self.note(Venue::Extended, market, body);
        let is_buy = text("side") == "BUY";
        let lots = self.hold(Venue::Extended, market, is_buy, &text("qty"));
        let (qty, price, side) = (text("qty"), text("price"), text("side"));
        let size = decimal(lots.abs());
        self.account_number += 1;
        let news = json!({
            "type": "TRADE", "ts": 1, "seq": self.account_number,
            "data": {
                "trades": [{
                    "id": id, "market": name, "orderId": id, "externalOrderId": external,
                    "side": side, "price": price, "qty": qty, "fee": "0",
                    "tradeType": "TRADE", "createdTime": 9_999_999_999_999_u64,
                }],
                "orders": [{
                    "id": id, "market": name, "externalId": external, "status": "FILLED",
                    "qty": qty, "filledQty": qty,
                }],
                "positions": [{
                    "market": name, "size": size, "side": if lots < 0 { "SHORT" } else { "LONG" },
                    "status": if lots == 0 { "CLOSED" } else { "OPENED" },
                }],
            },
        });
        self.tell_account(Venue::Extended, &news);
    }

    // --- Lighter ---

    fn on_text(&mut self, at: usize, text: &str) {
        let message: Value = serde_json::from_str(text).expect("a message is JSON");
        match message["type"].as_str() {
            Some("subscribe") => self.on_subscribe(at, &message),
            Some("jsonapi/sendtx") => self.on_transaction(at, &message["data"]),
            Some("ping") => self.peers[at].1.send_text(r#"{"type":"pong"}"#),
            _ => {}
        }
    }

    fn on_subscribe(&mut self, at: usize, message: &Value) {
        let channel = message["channel"].as_str().expect("a channel");
        let (name, number) = channel.split_once('/').unwrap_or((channel, ""));
        let answer = match name {
            "order_book" => {
                self.roles.insert(Role::Book(Venue::Lighter), at);
                self.books_asked += 1;
                let market = books::market_of(number.parse().expect("a number"));
                books::snapshot(Venue::Lighter, market, self.chains[market])
            }
            "account_all_orders" => first(channel, &json!({"orders": {}})),
            "account_all_trades" => first(channel, &json!({"trades": {}})),
            "account_all_positions" => first(channel, &json!({"positions": {}})),
            "user_stats" => {
                self.roles.insert(Role::Account(Venue::Lighter), at);
                let money = "1000000000";
                let stats = json!({"portfolio_value": money, "available_balance": money});
                first(channel, &json!({ "stats": stats }))
            }
            // Tops, trades and statistics say nothing here.
            _ => return,
        };
        self.peers[at].1.send_text(&answer);
    }

    fn on_transaction(&mut self, at: usize, data: &Value) {
        self.roles.insert(Role::Orders(Venue::Lighter), at);
        let (info, id) = (&data["tx_info"], data["id"].as_str().expect("an id"));
        let answer = format!(r#"{{"code":200,"id":"{id}","tx_hash":"0","type":"jsonapi/sendtx"}}"#);
        self.peers[at].1.send_text(&answer);
        let number = |name: &str| info[name].as_u64().expect("a number");
        let key = number("ApiKeyIndex");
        let slot = LIGHTER_KEYS
            .iter()
            .position(|(index, _)| u64::from(*index) == key);
        self.nonces[slot.expect("one of ours")] = number("Nonce") + 1;
        let market = books::market_of(number("MarketIndex"));
        self.note(Venue::Lighter, market, &info.to_string());
        let is_buy = number("IsAsk") == 0;
        let lots = number("BaseAmount") as i64;
        let size = decimal(lots);
        let held = self.hold(Venue::Lighter, market, is_buy, &size);
        self.trades += 1;
        let price = books::price(number("Price") as i64);
        let (client, others) = (number("ClientOrderIndex"), 91_249);
        let (ask, bid) = match is_buy {
            true => ((others, 0), (LIGHTER_ACCOUNT, client)),
            false => ((LIGHTER_ACCOUNT, client), (others, 0)),
        };
        let market_id = books::venue_market(market);
        let order = json!({
            "market_index": market_id, "client_order_index": client, "status": "filled",
            "filled_base_amount": size, "transaction_time": self.trades,
        });
        let trade = json!({
            "market_id": market_id, "trade_id": self.trades, "type": "trade", "price": price,
            "size": size, "is_maker_ask": is_buy, "timestamp": 9_999_999_999_999_u64,
            "ask_account_id": ask.0, "ask_client_id": ask.1,
            "bid_account_id": bid.0, "bid_client_id": bid.1,
        });
        let position = json!({
            "market_id": market_id, "position": decimal(held.abs()),
            "sign": if held < 0 { -1 } else { 1 },
        });
        let of = market_id.to_string();
        for (channel, key, row) in [
            ("account_all_trades", "trades", json!([trade])),
            ("account_all_orders", "orders", json!([order])),
            ("account_all_positions", "positions", position),
        ] {
            let news = json!({
                "channel": format!("{channel}:{LIGHTER_ACCOUNT}"),
                key: { of.as_str(): row },
                "type": format!("update/{channel}"),
            });
            self.tell_account(Venue::Lighter, &news);
        }
    }

    // --- both ---

    fn tell_account(&mut self, venue: Venue, news: &Value) {
        let at = self.roles[&Role::Account(venue)];
        self.peers[at].1.send_text(&news.to_string());
    }

    /// Keeps an order for the judge.
    fn note(&mut self, venue: Venue, market: usize, text: &str) {
        self.order_bytes[venue.idx()] = text.len().max(self.order_bytes[venue.idx()]);
        let touch = self.shapes[venue.idx()][market].touch();
        let opens = self.positions[venue.idx()][market] == 0;
        self.received.push(Received {
            opens,
            venue,
            text: text.to_owned(),
            touch,
            is_first: std::mem::take(&mut self.expects_first),
            round: self.round,
        });
    }

    /// Fills an order in full; gives the position after it, in lots.
    fn hold(&mut self, venue: Venue, market: usize, is_buy: bool, size: &str) -> i64 {
        let size: f64 = size.parse().expect("a decimal");
        let lots = (size * 10_000.0).round() as i64;
        let held = &mut self.positions[venue.idx()][market];
        *held += if is_buy { lots } else { -lots };
        *held
    }

    /// Makes the next message of a market ready to be sent.
    fn ready(&mut self, venue: Venue, market: usize, to: Shape) -> usize {
        let from = std::mem::replace(&mut self.shapes[venue.idx()][market], to);
        let number = match venue {
            Venue::Extended => {
                self.book_number += 1;
                self.book_number
            }
            Venue::Lighter => {
                self.chains[market] += 1;
                self.chains[market]
            }
        };
        let text = books::update(venue, market, (from, to), number);
        self.tick_bytes[venue.idx()] = text.len().max(self.tick_bytes[venue.idx()]);
        let at = self.roles[&Role::Book(venue)];
        self.peers[at].1.seal_text(&text);
        at
    }

    /// Sends a tick that asks for no order.
    pub fn tick(&mut self, venue: Venue, market: usize, to: Shape) {
        let at = self.ready(venue, market, to);
        self.peers[at].1.launch();
    }

    /// Sends a tick and waits for the order it causes, touching nothing else: nanoseconds from just
    /// before the tick is written to just after the order's first bytes were read.
    pub fn tick_to_order(&mut self, venue: Venue, market: usize, to: Shape) -> Option<u64> {
        let at = self.ready(venue, market, to);
        let orders = self.roles[&Role::Orders(venue)];
        self.expects_first = true;
        let sent = Instant::now();
        self.peers[at].1.launch();
        let order = &mut self.peers[orders].1;
        loop {
            let count = order.poll();
            if count > 0 {
                let took = sent.elapsed();
                self.take(orders, count);
                return Some(took.as_nanos() as u64);
            }
            if sent.elapsed() > ORDER_WAIT {
                self.expects_first = false;
                return None;
            }
        }
    }
}

/// The first frame of a channel of the account.
fn first(channel: &str, content: &Value) -> String {
    let mut frame = content.clone();
    let name = channel.split('/').next().unwrap_or("");
    frame["channel"] = channel.replace('/', ":").into();
    frame["type"] = format!("subscribed/{name}").into();
    frame.to_string()
}

/// Lots as a decimal.
fn decimal(lots: i64) -> String {
    format!("{}.{:04}", lots / 10_000, lots % 10_000)
}
