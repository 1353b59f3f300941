//! Requests as bytes: every constant text is built at start, an order fills in the rest.
//!
//! Promises: one order is one write of plain copies: no formatting, no allocation. The body has the
//! members the official SDK sends (S1, `signing.order_object`), less the informational ones; every
//! number in it is the very text the signature was computed from.
//! Refuses: credentials that would break out of their header line.

use crate::market::book::Side;
use crate::market::order::OrderId;
use crate::market::units::{Price, Size, write_integer};
use crate::venue::agent::USER_AGENT;
use crate::venue::extended::MarketConfig;
use crate::venue::extended::sign::{Felt, HEX_TEXT_MAX, Signature, write_hex};
use crate::venue::{Lane, OutKind, Outbox};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Prefix of our order ids at the venue (`externalId`): an id of ours is told from all others.
const ID_PREFIX: &str = "px-";
/// Trades asked for at once, newest first. Larger: a longer answer to wait for. Smaller: a busy
/// market's lost trade has gone by. The venue's own limit is not documented.
const TRADES_LISTED: u32 = 50;
/// Longest body: about 700 bytes with the longest names and numbers.
const BODY_BYTES_MAX: usize = 1024;
/// How a body begins, up to our id: what is not signed comes first, so that the rest can be written
/// before it is known. Member order is free (S1).
const BODY_START: &str = "{\"id\":\"";

/// Why requests cannot be built; the configuration is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// The URL is not `https://host[:port][/path]` (or http, ws, wss).
    Url,
    /// The API key is empty or holds bytes that cannot stand in a header.
    ApiKey,
    /// A market's fee rate is negative or not a ratio below one.
    FeeRate,
    /// A market's instrument is outside the run's table.
    Instrument,
    /// A market's name holds bytes that cannot stand in a path or a text.
    MarketName,
    /// The system has no randomness to give.
    NoRandomness,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SetupError::Url => "the order URL is not a URL of the form https://host/path",
            SetupError::ApiKey => "the API key is empty or not plain text",
            SetupError::FeeRate => "a market's taker fee rate is out of range",
            SetupError::Instrument => "a market's instrument is outside the table",
            SetupError::MarketName => "a market's name is not plain text",
            SetupError::NoRandomness => "the system gave no randomness for salts",
        })
    }
}

impl std::error::Error for SetupError {}

/// The variable part of an order, as it was signed.
#[derive(Clone, Copy, Debug)]
pub(in crate::venue::extended) struct PlaceFields {
    pub(in crate::venue::extended) id: OrderId,
    /// Position in the table the requests were built from.
    pub(in crate::venue::extended) market_idx: usize,
    pub(in crate::venue::extended) side: Side,
    pub(in crate::venue::extended) size: Size,
    pub(in crate::venue::extended) price: Price,
    pub(in crate::venue::extended) reduce_only: bool,
    /// Epoch milliseconds, whole seconds.
    pub(in crate::venue::extended) expiry_ms: u64,
    /// The request's `nonce`.
    pub(in crate::venue::extended) salt: u32,
    pub(in crate::venue::extended) signature: Signature,
}

/// The account that requests are made for.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) api_key: &'a str,
    pub(super) public_key: Felt,
    pub(super) vault: u32,
}

/// A market's constant texts.
struct MarketTexts {
    /// The request line of the question for its last trades, up to the tail.
    trades_line: Box<[u8]>,
    /// After reduce-only, up to the side.
    before_side: Box<[u8]>,
    /// After the expiry, up to the nonce.
    before_nonce: Box<[u8]>,
}

/// All constant texts of one account on one base URL.
///
/// The heads hold the API key; they are wiped when they go.
pub(super) struct Requests {
    /// Up to the value of Content-Length.
    place_head: Zeroizing<Vec<u8>>,
    /// Up to the number of our id, where the tail follows.
    query_head: Zeroizing<Vec<u8>>,
    /// The same.
    cancel_head: Zeroizing<Vec<u8>>,
    /// A whole request: the venue's settings, the smallest public answer there is (D1).
    warm: Zeroizing<Vec<u8>>,
    /// A whole request: the dead man's switch, set to its time.
    switch: Zeroizing<Vec<u8>>,
    /// Up to the time from which payments of funding are asked for.
    funding_head: Zeroizing<Vec<u8>>,
    /// Headers after the request line of query and cancel.
    tail: Zeroizing<Vec<u8>>,
    markets: Box<[MarketTexts]>,
    /// Public key and vault, after the signature.
    after_signature: Box<[u8]>,
    /// Kept between orders.
    body: Body,
}

impl Requests {
    pub(super) fn new(
        order_url: &str,
        account: Account<'_>,
        markets: &[MarketConfig],
        switch_s: u32,
    ) -> Result<Requests, SetupError> {
        let (host, path) = split_url(order_url).ok_or(SetupError::Url)?;
        let api_key = account.api_key;
        if api_key.is_empty() || !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SetupError::ApiKey);
        }
        let headers = Zeroizing::new(format!(
            "Host: {host}\r\nUser-Agent: {USER_AGENT}\r\nX-Api-Key: {api_key}\r\n\
             Accept: application/json\r\n"
        ));
        let bytes = |text: String| Zeroizing::new(text.into_bytes());
        markets.iter().try_for_each(check_market)?;
        Ok(Requests {
            place_head: bytes(format!(
                "POST {path}/user/order HTTP/1.1\r\n{}Content-Type: application/json\r\n\
                 Content-Length: ",
                *headers
            )),
            query_head: bytes(format!("GET {path}/user/orders/external/{ID_PREFIX}")),
            cancel_head: bytes(format!("DELETE {path}/user/order?externalId={ID_PREFIX}")),
            warm: bytes(format!(
                "GET {path}/info/settings HTTP/1.1\r\n{}\r\n",
                *headers
            )),
            // In the query, with an empty body (D1, dead man's switch).
            switch: bytes(format!(
                "POST {path}/user/deadmanswitch?countdownTime={switch_s} HTTP/1.1\r\n{}\
                 Content-Length: 0\r\n\r\n",
                *headers
            )),
            funding_head: bytes(format!("GET {path}/user/funding/history?fromTime=")),
            tail: bytes(format!(" HTTP/1.1\r\n{}\r\n", *headers)),
            markets: markets
                .iter()
                .map(|config| market_texts(config, path))
                .collect(),
            after_signature: account_text((account.public_key, account.vault)),
            body: Body::new(),
        })
    }

    /// Writes a limit order that matches at once or not at all. False when the outbox is full.
    pub(super) fn place(&mut self, lane: Lane, fields: &PlaceFields, out: &mut Outbox) -> bool {
        let market = &self.markets[fields.market_idx];
        self.body.write(market, &self.after_signature, fields);
        self.place_written(lane, (fields, self.body.text()), out)
    }

    /// The same of an order whose body was written before, but for what was not signed.
    pub(super) fn place_written(
        &self,
        lane: Lane,
        (fields, body): (&PlaceFields, &[u8]),
        out: &mut Outbox,
    ) -> bool {
        let mut digits = [0; 20];
        let digits_len = write_integer(fields.id.0, &mut digits);
        let reduce_only = reduce_only_text(fields.reduce_only);
        let id_len = ID_PREFIX.len() + digits_len;
        let len = BODY_START.len() + id_len + reduce_only.len() + body.len();
        out.message(lane, OutKind::Http, |text| {
            text.put(&self.place_head)
                .put_integer(len as u64)
                .put(b"\r\n\r\n")
                .put(BODY_START.as_bytes())
                .put(ID_PREFIX.as_bytes())
                .put(&digits[..digits_len])
                .put(reduce_only)
                .put(body);
        })
    }

    /// Writes what was signed of an order into a body of its own.
    pub(super) fn write_body(&self, body: &mut Body, fields: &PlaceFields) {
        let market = &self.markets[fields.market_idx];
        body.write(market, &self.after_signature, fields);
    }

    /// Writes the question for an order by our own id.
    pub(super) fn query(&self, lane: Lane, id: OrderId, out: &mut Outbox) -> bool {
        self.by_id(&self.query_head, lane, id, out)
    }

    /// Writes a cancel by our own id. The venue asks for no signature (S1).
    pub(super) fn cancel(&self, lane: Lane, id: OrderId, out: &mut Outbox) -> bool {
        self.by_id(&self.cancel_head, lane, id, out)
    }

    fn by_id(&self, head: &[u8], lane: Lane, id: OrderId, out: &mut Outbox) -> bool {
        out.message(lane, OutKind::Http, |text| {
            text.put(head).put_integer(id.0).put(&self.tail);
        })
    }

    /// Writes the question for the account's last trades on a market.
    pub(super) fn trades(&self, lane: Lane, market_idx: usize, out: &mut Outbox) -> bool {
        let line = &self.markets[market_idx].trades_line;
        out.message(lane, OutKind::Http, |text| {
            text.put(line).put(&self.tail);
        })
    }

    /// Writes the question for payments of funding from a time on, epoch milliseconds.
    pub(super) fn funding(&self, lane: Lane, from_ms: u64, out: &mut Outbox) -> bool {
        out.message(lane, OutKind::Http, |text| {
            text.put(&self.funding_head)
                .put_integer(from_ms)
                .put(&self.tail);
        })
    }

    /// Writes the dead man's switch, set to its time.
    pub(super) fn switch(&self, lane: Lane, out: &mut Outbox) -> bool {
        out.message(lane, OutKind::Http, |text| {
            text.put(&self.switch);
        })
    }

    /// Writes a cheap request that keeps the connection warm, and asks whether the venue is open.
    pub(super) fn warm(&self, lane: Lane, out: &mut Outbox) -> bool {
        out.message(lane, OutKind::Http, |text| {
            text.put(&self.warm);
        })
    }
}

/// The order id in the venue's text; [`OrderId::NONE`] when it is not one of ours.
pub(in crate::venue::extended) fn parse_id(text: &str) -> OrderId {
    let digits = text.strip_prefix(ID_PREFIX);
    let number = digits.and_then(crate::venue::extended::wire::parse_digits);
    number.map_or(OrderId::NONE, OrderId)
}

/// Host with port, and path without a slash at its end.
fn split_url(url: &str) -> Option<(&str, &str)> {
    let schemes = ["https://", "http://", "wss://", "ws://"];
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme))?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let ok = !host.is_empty() && plain(host) && plain(path) && !path.contains(['?', '#']);
    ok.then(|| (host, path.trim_end_matches('/')))
}

/// Public key and vault, as they follow a signature. Cold: once per account.
fn account_text((key, vault): (Felt, u32)) -> Box<[u8]> {
    let text = format!(r#""}},"starkKey":"{key:#x}","collateralPosition":"{vault}"}}}}"#);
    text.into_bytes().into_boxed_slice()
}

/// One order's body by itself, for who keeps no connection warm. Cold.
pub(in crate::venue::extended) fn body(
    config: &MarketConfig,
    account: (Felt, u32),
    fields: &PlaceFields,
) -> Result<Zeroizing<Vec<u8>>, SetupError> {
    check_market(config)?;
    let mut body = Body::new();
    body.write(&market_texts(config, ""), &account_text(account), fields);
    let mut text = Zeroizing::new(format!("{BODY_START}{ID_PREFIX}{}", fields.id.0).into_bytes());
    text.extend_from_slice(reduce_only_text(fields.reduce_only));
    text.extend_from_slice(body.text());
    Ok(text)
}

/// Whether texts can be made of a market. Cold: once per market.
fn check_market(config: &MarketConfig) -> Result<(), SetupError> {
    if !(0..1_000_000_000).contains(&config.fee_rate_taker) {
        return Err(SetupError::FeeRate);
    }
    // Names come from the venue; one with a quote in it would end its text in our body.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match config.market.name.as_str().bytes().all(is_plain) {
        true => Ok(()),
        false => Err(SetupError::MarketName),
    }
}

/// Everything of a market's requests that never changes. Cold: once per market.
fn market_texts(config: &MarketConfig, path: &str) -> MarketTexts {
    let name = config.market.name;
    let fee = Size(config.fee_rate_taker);
    MarketTexts {
        trades_line: format!("GET {path}/user/trades?market={name}&limit={TRADES_LISTED}")
            .into_bytes()
            .into_boxed_slice(),
        before_side: format!(r#","market":"{name}","type":"LIMIT","side":""#)
            .into_bytes()
            .into_boxed_slice(),
        before_nonce: format!(r#","fee":"{fee}","nonce":""#)
            .into_bytes()
            .into_boxed_slice(),
    }
}

/// After our id, up to the market.
fn reduce_only_text(reduce_only: bool) -> &'static [u8] {
    match reduce_only {
        true => b"\",\"reduceOnly\":true",
        false => b"\",\"reduceOnly\":false",
    }
}

/// A fixed buffer for a body from its market on, whose length must be known before it is sent.
pub(super) struct Body {
    bytes: Box<[u8; BODY_BYTES_MAX]>,
    len: usize,
}

impl Body {
    pub(super) fn new() -> Body {
        Body {
            bytes: Box::new([0; BODY_BYTES_MAX]),
            len: 0,
        }
    }

    /// Writes all that was signed, and what never changes. What does not fit is cut: names and
    /// numbers are bounded (23 bytes, 21 digits), so that a body is at most some 750 bytes long.
    fn write(&mut self, market: &MarketTexts, after: &[u8], fields: &PlaceFields) {
        self.len = 0;
        self.put(&market.before_side);
        self.put(match fields.side {
            Side::Bid => b"BUY\",\"qty\":\"".as_slice(),
            Side::Ask => b"SELL\",\"qty\":\"",
        });
        self.put_decimal(fields.size.0).put(b"\",\"price\":\"");
        self.put_decimal(fields.price.0);
        self.put(b"\",\"postOnly\":false,\"timeInForce\":\"IOC\",\"expiryEpochMillis\":");
        self.put_integer(fields.expiry_ms).put(&market.before_nonce);
        self.put_integer(u64::from(fields.salt));
        // ACCOUNT: an order that would meet one of our own is cancelled instead.
        self.put(b"\",\"selfTradeProtectionLevel\":\"ACCOUNT\",\"settlement\":{\"signature\":");
        self.put(b"{\"r\":\"0x").put_hex(fields.signature.r);
        self.put(b"\",\"s\":\"0x").put_hex(fields.signature.s);
        self.put(after);
    }

    /// What was written.
    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn wipe(&mut self) {
        self.bytes.zeroize();
        self.len = 0;
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> &mut Body {
        let end = self.len + bytes.len();
        debug_assert!(end <= BODY_BYTES_MAX, "a body is bounded");
        if let Some(slot) = self.bytes.get_mut(self.len..end) {
            slot.copy_from_slice(bytes);
            self.len = end;
        }
        self
    }

    fn put_integer(&mut self, value: u64) -> &mut Body {
        let mut text = [0; 20];
        let len = write_integer(value, &mut text);
        self.put(&text[..len])
    }

    fn put_decimal(&mut self, value: i64) -> &mut Body {
        let mut text = [0; crate::market::units::DECIMAL_TEXT_MAX];
        let len = crate::market::units::write_decimal(value, &mut text);
        self.put(&text[..len])
    }

    fn put_hex(&mut self, value: Felt) -> &mut Body {
        let mut text = [0; HEX_TEXT_MAX];
        let len = write_hex(value, &mut text);
        self.put(&text[..len])
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{Bps, Notional};
    use crate::market::{Bounds, InstrumentId, Market, Name, Venue};
    use crate::venue::extended::sign::parse_felt;
    use serde_json::Value;

    fn config(name: &str, fee_rate_taker: i64) -> MarketConfig {
        MarketConfig {
            market: Market {
                venue: Venue::Extended,
                instrument: InstrumentId(0),
                name: Name::new(name).unwrap(),
                venue_market: 0,
                tick: Price(1),
                lot: Size(1),
                size_min: Size(1),
                notional_min: Notional::ZERO,
                fee_taker: Bps::ZERO,
                fee_maker: Bps::ZERO,
                bounds: Bounds::default(),
            },
            base_asset: Felt::ONE,
            base_resolution: 1,
            quote_asset: Felt::ONE,
            quote_resolution: 1_000_000,
            fee_rate_taker,
        }
    }

    fn account(api_key: &str, public_key: Felt, vault: u32) -> Account<'_> {
        Account {
            api_key,
            public_key,
            vault,
        }
    }

    fn parse(text: &Value) -> Option<i64> {
        crate::market::units::parse_decimal(text.as_str()?.as_bytes()).ok()
    }

    /// Members of an SDK body that we do not send: another way to say the same, or features unused.
    const NOT_SENT: [&str; 2] = ["debuggingAmounts", "cancelId"];

    /// The body we send for every plain IOC limit order of the vectors whose numbers lie on our
    /// scale equals the SDK's, member by member.
    #[test]
    fn bodies_equal_the_official_ones() {
        let text = include_str!("../../../../tests/data/extended/extended_orders.json");
        let file: Value = serde_json::from_str(text).unwrap();
        let mut checked = 0;
        for case in file["cases"].as_array().unwrap() {
            let (input, sdk) = (&case["input"], &case["sdk_request_body"]);
            let plain = sdk["type"] == "LIMIT"
                && sdk["timeInForce"] == "IOC"
                && sdk["postOnly"] == false
                && sdk["selfTradeProtectionLevel"] == "ACCOUNT"
                && sdk.get("builderFee").is_none()
                && sdk.get("tpSlType").is_none();
            let numbers = parse(&sdk["qty"]).zip(parse(&sdk["price"]));
            let (true, Some((size, price))) = (plain, numbers) else {
                continue;
            };
            let fee = parse(&sdk["fee"]).unwrap();
            let key = parse_felt(input["public_key"].as_str().unwrap()).unwrap();
            let vault = input["vault"].as_u64().unwrap() as u32;
            let markets = [config(sdk["market"].as_str().unwrap(), fee)];
            let url = "https://api.example/api/v1/";
            let mut requests = Requests::new(url, account("k", key, vault), &markets, 0).unwrap();
            let signature = &sdk["settlement"]["signature"];
            let hex = |name: &str| parse_felt(signature[name].as_str().unwrap()).unwrap();
            let salt = sdk["nonce"].as_str().unwrap().parse::<u64>().unwrap();
            let Ok(salt) = u32::try_from(salt) else {
                continue;
            };
            let fields = PlaceFields {
                id: OrderId(77),
                market_idx: 0,
                side: if sdk["side"] == "BUY" {
                    Side::Bid
                } else {
                    Side::Ask
                },
                size: Size(size),
                price: Price(price),
                reduce_only: sdk["reduceOnly"].as_bool().unwrap(),
                expiry_ms: sdk["expiryEpochMillis"].as_u64().unwrap(),
                salt,
                signature: Signature {
                    r: hex("r"),
                    s: hex("s"),
                },
            };
            let mut out = Outbox::new(4096, 2);
            assert!(requests.place(3, &fields, &mut out));
            let ours = body_of(out.payload(&out.items()[0]));
            let mut expected = sdk.clone();
            let members = expected.as_object_mut().unwrap();
            for name in NOT_SENT {
                members.remove(name);
            }
            expected["id"] = "px-77".into();
            // Texts of numbers are compared as numbers: the SDK keeps trailing zeros.
            for name in ["qty", "price", "fee"] {
                assert_eq!(parse(&ours[name]), parse(&expected[name]), "{name}");
                expected[name] = ours[name].clone();
            }
            assert_eq!(ours, expected);
            checked += 1;
        }
        assert!(checked >= 15, "{checked}");
    }

    /// Checks the head and parses the body.
    fn body_of(request: &[u8]) -> Value {
        let text = std::str::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("POST /api/v1/user/order HTTP/1.1"));
        let length = format!("Content-Length: {}", body.len());
        let host = "Host: api.example".to_owned();
        for line in [
            &length,
            &host,
            "X-Api-Key: k",
            "Content-Type: application/json",
        ] {
            assert!(head.lines().any(|own| own == line), "{line} in {head}");
        }
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn questions_and_cancels_name_our_id() {
        let markets = [config("BTC-USD", 0)];
        let account = account("k", Felt::ONE, 1);
        let requests = Requests::new("http://[::1]:8080", account, &markets, 60).unwrap();
        let mut out = Outbox::new(4096, 8);
        assert!(requests.query(1, OrderId(5), &mut out));
        assert!(requests.cancel(1, OrderId(6), &mut out));
        assert!(requests.warm(2, &mut out));
        assert!(requests.trades(2, 0, &mut out));
        assert!(requests.switch(2, &mut out));
        let lines = [
            "GET /user/orders/external/px-5 HTTP/1.1\r\n",
            "DELETE /user/order?externalId=px-6 HTTP/1.1\r\n",
            "GET /info/settings HTTP/1.1\r\n",
            "GET /user/trades?market=BTC-USD&limit=50 HTTP/1.1\r\n",
            "POST /user/deadmanswitch?countdownTime=60 HTTP/1.1\r\n",
        ];
        assert_eq!(out.items().len(), lines.len());
        for (item, line) in out.items().iter().zip(lines) {
            let text = std::str::from_utf8(out.payload(item)).unwrap();
            assert!(text.starts_with(line), "{text}");
            assert!(text.contains("\r\nHost: [::1]:8080\r\n"));
            assert!(text.ends_with("\r\n\r\n"));
            let has_length = text.contains("\r\nContent-Length: 0\r\n");
            assert_eq!(has_length, text.starts_with("POST"));
        }
    }

    #[test]
    fn ids_are_read_back() {
        assert_eq!(parse_id("px-281474976710655"), OrderId(281_474_976_710_655));
        for foreign in ["", "px-", "px-1x", "ext-1", "-1771812132822291885", "5"] {
            assert_eq!(parse_id(foreign), OrderId::NONE, "{foreign}");
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        let good = account("k", Felt::ONE, 1);
        let new = |url, key| Requests::new(url, account(key, Felt::ONE, 1), &[], 0).err();
        assert_eq!(new("api.example", "k"), Some(SetupError::Url));
        assert_eq!(new("https:///x", "k"), Some(SetupError::Url));
        assert_eq!(new("https://a/b?c", "k"), Some(SetupError::Url));
        assert_eq!(new("https://a", ""), Some(SetupError::ApiKey));
        assert_eq!(new("https://a", "k\r\nEvil: 1"), Some(SetupError::ApiKey));
        let market = [config("BTC-USD", -1)];
        let error = Requests::new("https://a", good, &market, 0).err();
        assert_eq!(error, Some(SetupError::FeeRate));
        let market = [config("BTC\"USD", 0)];
        let error = Requests::new("https://a", good, &market, 0).err();
        assert_eq!(error, Some(SetupError::MarketName));
    }
}
