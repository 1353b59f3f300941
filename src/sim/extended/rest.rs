//! Extended's REST side: the gate every request passes, the public calls, and the way to the
//! private ones.
//!
//! Promises: an answer depends on nothing but the request and the venue, so it can be asked for
//! without a socket; every answer but the dead man's switch is the venue's envelope. Refuses a
//! request without User-Agent, above the rate limit, or on an unknown path.

use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::Nanos;
use crate::sim::extended::onboarding::{L1, Opened};
use crate::sim::extended::private;
use crate::sim::extended::reply::{Code, Refusal, Reply};
use crate::sim::extended::wire;
use crate::sim::extended::{COLLATERAL_RESOLUTION, Desk, Listing};
use crate::sim::faults::request;
use crate::sim::server::web;
use serde_json::{Value, json};
use std::sync::Arc;

/// Longest body read, bytes; the longest order is under 4 KiB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Most rows of rates charged. [DOC Get funding rates history]
const RATES_MAX: usize = 10_000;

/// One request, as the venue sees it.
#[derive(Default)]
pub struct Asked<'a> {
    /// `GET`, `POST`, `PATCH` or `DELETE`.
    pub method: &'a str,
    /// Path without query, from the root.
    pub path: &'a str,
    /// Query.
    pub query: Query,
    /// `X-Api-Key`.
    pub api_key: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// What a wallet signed.
    pub l1: L1<'a>,
    /// Body.
    pub body: &'a [u8],
}

/// Query parameters, in order, repeats kept.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=2`; percent-escapes are undone.
    pub fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (unescape(name), unescape(value))
                })
                .collect(),
        )
    }

    /// The first value of that name.
    pub fn one(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Whether the filter of that name lets `value` through: absent lets all through.
    pub fn lets(&self, name: &str, value: &str) -> bool {
        let mut wanted = self.all(name).peekable();
        wanted.peek().is_none() || wanted.any(|one| one == value)
    }
}

/// Undoes `%2D` and `+`; an escape that is broken off stands as it is.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match escaped {
            Some(byte) => {
                bytes.push(byte);
                &tail[2..]
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                tail
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Answers a request that came over a socket.
pub async fn serve(
    web::State(desk): web::State<Arc<Desk>>,
    request: web::Request,
) -> web::Response {
    let (parts, body) = request.into_parts();
    let text = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let (body, too_long) = match private::read_body(body, BODY_BYTES_MAX).await {
        Some(body) => (body, false),
        None => (web::Bytes::new(), true),
    };
    let asked = Asked {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: Query::parse(parts.uri.query().unwrap_or("")),
        api_key: text("x-api-key"),
        user_agent: text("user-agent"),
        l1: L1 {
            signature: text("l1_signature"),
            time: text("l1_message_time"),
            account: text("x-x10-active-account"),
        },
        body: &body,
    };
    let reply = || {
        to_response(match too_long {
            true => Code::BadRequest.because("body too long").into(),
            false => desk.answer(&asked),
        })
    };
    let is_order = (asked.method, asked.path) == ("POST", "/api/v1/user/order");
    let struck = request::Asked {
        extensions: &parts.extensions,
        order: (is_order && desk.floor.faults().is_some()).then(|| desk.market_of(&body)),
    };
    request::answer(&desk.floor, struck, reply).await
}

/// A reply as axum wants it.
pub fn to_response(reply: Reply) -> web::Response {
    use web::IntoResponse;
    let status = web::StatusCode::from_u16(reply.status)
        .expect("every status comes from the table in wire, all between 200 and 499");
    let kind = [(web::header::CONTENT_TYPE, "application/json")];
    (status, kind, reply.body).into_response()
}

impl Desk {
    /// The venue's answer to one request.
    pub fn answer(self: &Arc<Desk>, asked: &Asked<'_>) -> Reply {
        self.try_answer(asked).unwrap_or_else(Reply::from)
    }

    /// User-Agent, then the budget, then the path: a refused request still costs one of the minute,
    /// but a 429 does not, or a client in trouble could never come back.
    fn try_answer(self: &Arc<Desk>, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        if asked.user_agent.unwrap_or("").is_empty() {
            return Err(Code::BadRequest.because("User-Agent header is required"));
        }
        let now = self.floor.now();
        if !self.ledger().admit(now) {
            return Err(Code::RateLimited.into());
        }
        if let Some(answer) = self.wallet(asked) {
            return answer;
        }
        let path = asked.path.strip_prefix("/api/v1/").ok_or(Code::NotFound)?;
        let steps: Vec<&str> = path.split('/').collect();
        match steps.as_slice() {
            ["info", rest @ ..] if asked.method == "GET" => self.info(rest, &asked.query),
            ["user", rest @ ..] => {
                let account = self.account_of(asked.api_key)?;
                match account.id == self.keys.account_id {
                    true => self.user(asked, rest),
                    false => self.empty_account(&account, asked, rest),
                }
            }
            _ => Err(Code::NotFound.into()),
        }
    }

    /// The market an order names, where it can be read.
    fn market_of(&self, body: &[u8]) -> Option<InstrumentId> {
        let order: Value = serde_json::from_slice(body).ok()?;
        let listing = self.listing(order["market"].as_str()?)?;
        Some(listing.rules.instrument)
    }

    /// One API key belongs to one account.
    fn account_of(&self, given: Option<&str>) -> Result<Opened, Refusal> {
        let wallets = self.wallets();
        let account = given.and_then(|key| wallets.account(key));
        Ok(account.ok_or(Code::Unauthorized)?.clone())
    }

    /// Whether a key is of the account that trades, the only one with streams.
    pub fn check_key(&self, given: Option<&str>) -> Result<(), Refusal> {
        match self.account_of(given)?.id == self.keys.account_id {
            true => Ok(()),
            false => Err(Code::Unauthorized.into()),
        }
    }

    /// Everything below `/info`; no key is asked for.
    fn info(&self, steps: &[&str], query: &Query) -> Result<Reply, Refusal> {
        match steps {
            ["markets"] => self.markets(query),
            ["markets", name, what] => {
                let listing = self.listing(name).ok_or(Code::MarketNotFound)?;
                match *what {
                    "stats" => {
                        let now = self.floor.now();
                        let stats =
                            (self.floor).look(|exchange| wire::stats(self, exchange, listing, now));
                        Ok(Reply::data(stats))
                    }
                    "orderbook" => Ok(Reply::data(self.rest_book(listing))),
                    "trades" => {
                        let rows = self.press.recent_trades(listing);
                        Ok(Reply::data(rows.into()))
                    }
                    _ => Err(Code::NotFound.into()),
                }
            }
            [name, "funding"] => {
                let listing = self.listing(name).ok_or(Code::NotFound)?;
                Ok(Reply::page(self.rates(listing, query)))
            }
            ["settings"] => Ok(Reply::data(
                json!({"starkExContractAddress": "0x0000000000000000000000000000000000000000"}),
            )),
            ["starknet"] => Ok(Reply::data(json!({
                "name": "Perpetuals",
                "version": "v0",
                "chainId": super::CHAIN_ID,
                "revision": "1",
            }))),
            ["assets"] => Ok(Reply::data(self.assets(query))),
            _ => Err(Code::NotFound.into()),
        }
    }

    /// Rates charged since the venue opened, newest first. [DOC Get funding rates history]
    fn rates(&self, listing: &Listing, query: &Query) -> Vec<Value> {
        let ask = |name| query.one(name).and_then(|text| text.parse::<u64>().ok());
        let until_ms = ask("endTime").unwrap_or(u64::MAX);
        let now_ms = self.floor.now().epoch_ms();
        let since = Nanos(ask("startTime").unwrap_or(0).saturating_mul(1_000_000));
        let since = since.max(self.opened);
        let funding = self.floor.look(|exchange| exchange.settings().funding);
        let first = Some(funding.last(Nanos(until_ms.min(now_ms) * 1_000_000)));
        let before = |at: &Nanos| Some(Nanos(at.0.saturating_sub(funding.every_ns)));
        let rate = wire::padded(funding.rate_e9, 6);
        std::iter::successors(first, before)
            .take_while(|at| *at >= since)
            .take(RATES_MAX)
            .map(|at| json!({"m": listing.rules.name, "T": at.epoch_ms(), "f": rate}))
            .collect()
    }

    /// All markets, or those named; one unknown name refuses the whole request.
    fn markets(&self, query: &Query) -> Result<Reply, Refusal> {
        for name in query.all("market") {
            self.listing(name).ok_or(Code::MarketNotFound)?;
        }
        let now = self.floor.now();
        let rows: Vec<Value> = self.floor.look(|exchange| {
            let wanted = self.listings.iter();
            wanted
                .filter(|listing| query.lets("market", &listing.rules.name))
                .map(|listing| wire::market(self, exchange, listing, now))
                .collect()
        });
        Ok(Reply::data(rows.into()))
    }

    /// Long member names here, short ones on the stream. [CAP rest.orderbook]
    fn rest_book(&self, listing: &Listing) -> Value {
        let instrument = listing.rules.instrument;
        let (bids, asks) = self.floor.look(|exchange| {
            (
                exchange.book(instrument, Side::Bid),
                exchange.book(instrument, Side::Ask),
            )
        });
        let rows = |levels: Vec<_>| -> Vec<Value> {
            let spelled = levels.into_iter().map(
                |(price, size): (crate::market::units::Price, crate::market::units::Size)| {
                    json!({
                        "qty": wire::padded(size.0, listing.qty_places),
                        "price": wire::padded(price.0, 0),
                    })
                },
            );
            spelled.collect()
        };
        json!({"market": listing.rules.name, "bid": rows(bids), "ask": rows(asks)})
    }

    /// The dollar and one asset a market. Layer-one fields repeat the layer-two ones: nothing is
    /// ever withdrawn from here.
    fn assets(&self, query: &Query) -> Value {
        let row = |id: usize, name: &str, spot: bool, starkex_id: String, resolution: u64| {
            json!({
                "id": id,
                "name": name,
                "symbol": name,
                "description": name,
                "precision": resolution.ilog10(),
                "isActive": true,
                "isCollateral": spot,
                "starkexId": starkex_id,
                "starkexResolution": resolution,
                "l1Id": starkex_id,
                "l1Resolution": resolution,
                "version": 1,
                "createdAt": self.opened.epoch_ms(),
                "type": if spot { "SPOT" } else { "PERPETUAL" },
                "canBeUsedAsCollateral": spot,
                "riskFactors": [],
                "availableForTradeFactors": [],
            })
        };
        let dollar = row(1, "USD", true, "0x1".into(), COLLATERAL_RESOLUTION);
        let bases = self.listings.iter().enumerate().map(|(idx, listing)| {
            let id = format!("{:#x}", listing.assets.synthetic_id);
            let resolution = listing.assets.synthetic_resolution;
            row(idx + 2, &listing.rules.base, false, id, resolution)
        });
        std::iter::once(dollar)
            .chain(bases)
            .filter(|row| query.lets("type", row["type"].as_str().unwrap_or("")))
            .collect()
    }
}
