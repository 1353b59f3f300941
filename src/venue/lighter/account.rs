//! Lighter's REST interface, for start-up and for the cold thread: markets, fees, account, nonces,
//! keys; and what makes an account smaller (`write`).
//!
//! Promises: amounts are exact. Every failure says whose fault it is. Tokens go into the
//! `Authorization` header and into no error.
//! Refuses: bodies without the fields asked for ("unknown outcome", never success).
//!
//! Sources: *rest*, *fees* in the venue's Sources. Cold: blocks the thread that calls it.

mod bounds;
pub mod exit;
mod keys;
mod money;
mod orders;
mod tier;
mod write;

pub use keys::KeyRow;
pub use money::Reader as MoneyReader;
pub use orders::OrderSeen;
pub use tier::Limits;
pub use write::Sender;

use super::sign::token::AuthToken;
use crate::market::units::{Notional, Price, SCALE, Size, parse_decimal, parse_decimal_rounded};
use crate::venue::agent::{BadCertificate, agent};
use crate::venue::{Listing, Unread};
use serde_json::Value;
use std::time::Duration;

/// A request that takes longer has failed. Smaller: slow days fail; larger: start-up hangs longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// `market_id` that means every market.
const ALL_MARKETS: u32 = 255;
/// `margin_mode` of a position that stands for itself; 0 is cross.
const MARGIN_ISOLATED: u64 = 1;
/// Success, in the body as in the status line.
const CODE_OK: u64 = 200;

/// Why a request gave nothing, by whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestError {
    /// Ours: the extra root certificate is not PEM.
    BadCertificate,
    /// Ours: a transaction that can't be made or signed.
    Unsigned(&'static str),
    /// The network's: no answer, or not by HTTP. The text names no secret.
    Network(String),
    /// The venue refused, with its own code and words (20013: token; 23000: rate limit).
    Refused {
        /// HTTP status.
        status: u16,
        /// The venue's code; 0 when it gave none.
        code: u64,
        /// The venue's message.
        message: String,
    },
    /// The venue's: an answer without the field named, or with one of another type.
    Malformed(&'static str),
}

impl std::fmt::Display for RestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RestError::BadCertificate => f.write_str("our extra root certificate is not PEM"),
            RestError::Unsigned(why) => write!(f, "Lighter: nothing was sent: {why}"),
            RestError::Network(why) => write!(f, "Lighter: no answer: {why}"),
            RestError::Refused {
                status,
                code,
                message,
            } => write!(f, "Lighter refused: {message} (code {code}, HTTP {status})"),
            RestError::Malformed(field) => {
                write!(f, "Lighter's answer has no usable `{field}`")
            }
        }
    }
}

impl std::error::Error for RestError {}

/// One market as the venue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketRow {
    /// Name of the underlying: `BTC`.
    pub symbol: String,
    /// Market id; 0 is a real market, ETH.
    pub market_id: u32,
    /// A perpetual without an end (spot and dated markets are listed beside them).
    pub is_perp: bool,
    /// Open for trading, neither frozen nor hidden. An inactive market subscribes silently.
    pub is_active: bool,
    /// The venue's word: `active`, `inactive`; `frozen` or `hidden` where it says that.
    pub status: String,
    /// Only orders that reduce a position are taken.
    pub is_reduce_only: bool,
    /// A contract stands for another amount than one of what its name says.
    pub is_multiplied: bool,
    /// Empty: always open.
    pub trading_hours: String,
    /// Decimals of prices.
    pub price_decimals: u32,
    /// Decimals of sizes.
    pub size_decimals: u32,
    /// Smallest order size.
    pub size_min: Size,
    /// Smallest order notional.
    pub notional_min: Notional,
    /// Largest value of one order; `None` when not said.
    pub order_value_max: Option<Notional>,
    /// What is left of the market's open-interest limit, USDC; `None` where none is stated.
    pub open_interest_left: Option<Notional>,
    /// Mark price; `None` when not said.
    pub mark: Option<Price>,
    /// Index price; `None` when not said.
    pub index: Option<Price>,
    /// Price of the last trade, however old; `None` when not said.
    pub last: Option<Price>,
    /// Volume of the last 24 hours, USDC; zero when not said.
    pub daily_volume: Notional,
    /// Initial margin for new positions, 10^-4 of notional; `None` where the list has no margins.
    pub initial_margin_e4: Option<u32>,
    /// Maintenance margin, 10^-4 of notional.
    pub maintenance_margin_e4: Option<u32>,
}

impl MarketRow {
    /// Price step.
    pub fn tick(&self) -> Option<Price> {
        Price::from_scaled(1, self.price_decimals)
    }

    /// Size step.
    pub fn lot(&self) -> Option<Size> {
        Size::from_scaled(1, self.size_decimals)
    }
}

/// Money and positions of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Deposits and realised profit.
    pub collateral: Notional,
    /// Free for new positions.
    pub available: Notional,
    /// Positions that are not flat.
    pub positions: Vec<PositionRow>,
    /// Orders resting at the venue, of whoever placed them.
    pub open_orders: u64,
    /// Markets set to isolated margin, by id.
    pub isolated: Vec<u32>,
}

/// One position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRow {
    /// Market id.
    pub market_id: u32,
    /// The venue's name of the market.
    pub symbol: String,
    /// Signed size, long positive, never zero.
    pub size: Size,
    /// Average entry price, rounded.
    pub entry: Price,
}

/// The REST interface of one network.
pub struct LighterRest {
    base_url: String,
    agent: ureq::Agent,
}

impl LighterRest {
    /// `base_url` without a trailing slash, e.g. `https://mainnet.zklighter.elliot.ai`. `root_pem`,
    /// when given, is trusted *instead of* the public roots: the simulated venue's own authority.
    pub fn new(base_url: &str, root_pem: Option<&[u8]>) -> Result<LighterRest, RestError> {
        let agent = agent(root_pem, TIMEOUT).map_err(|BadCertificate| RestError::BadCertificate)?;
        Ok(LighterRest {
            base_url: base_url.trim_end_matches('/').to_owned(),
            agent,
        })
    }

    /// Every market, with margins. `orderBookDetails` carries all that `orderBooks` does.
    pub fn markets(&self) -> Result<Listing<MarketRow>, RestError> {
        let path = format!("orderBookDetails?market_id={ALL_MARKETS}&filter=all");
        read_markets(&self.fetch(&path, None)?)
    }

    /// Tier and fees. The market list's own fees are zero and mean nothing.
    pub fn limits(&self, account_index: u64, token: &AuthToken) -> Result<Limits, RestError> {
        let path = format!("accountLimits?account_index={account_index}");
        read_limits(&self.fetch(&path, Some(token))?)
    }

    /// Money and positions.
    pub fn account(&self, account_index: u64) -> Result<AccountState, RestError> {
        let path = format!("account?by=index&value={account_index}");
        read_account(&self.fetch(&path, None)?)
    }

    /// The nonce the venue wants next from a key.
    pub fn next_nonce(&self, account_index: u64, api_key_index: u8) -> Result<u64, RestError> {
        let path = format!("nextNonce?account_index={account_index}&api_key_index={api_key_index}");
        integer(&self.fetch(&path, None)?, "nonce")
    }

    fn fetch(&self, path: &str, token: Option<&AuthToken>) -> Result<Value, RestError> {
        let mut request = self.agent.get(format!("{}/api/v1/{path}", self.base_url));
        if let Some(token) = token {
            let text = std::str::from_utf8(token.text()).expect("a token is ASCII");
            request = request.header("Authorization", text);
        }
        finish(request.call())
    }
}

/// What came back, or did not, as data or as whose fault it is.
fn finish(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Value, RestError> {
    let network = |error: ureq::Error| RestError::Network(error.to_string());
    let mut answer = answer.map_err(network)?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().map_err(network)?;
    judge(status, &text)
}

/// Success is HTTP 200 with `"code":200`; anything else is a refusal in the venue's words. What is
/// not the venue's at all (a firewall's web page) says so.
fn judge(status: u16, text: &str) -> Result<Value, RestError> {
    let body: Option<Value> = serde_json::from_str(text).ok();
    let code = body.as_ref().and_then(|body| body["code"].as_u64());
    let otherwise = match body {
        Some(_) => "no reason",
        None => "the answer is not the venue's JSON",
    };
    match (status, code, body) {
        (200, Some(CODE_OK), Some(body)) => Ok(body),
        (200, None, _) => Err(RestError::Malformed("code")),
        (_, code, body) => Err(RestError::Refused {
            status,
            code: code.unwrap_or(0),
            message: body
                .and_then(|body| body["message"].as_str().map(str::to_owned))
                .unwrap_or_else(|| otherwise.to_owned()),
        }),
    }
}

fn list<'a>(body: &'a Value, field: &'static str) -> Result<&'a [Value], RestError> {
    match &body[field] {
        Value::Array(rows) => Ok(rows),
        Value::Null if body.get(field).is_some() => Ok(&[]),
        _ => Err(RestError::Malformed(field)),
    }
}

fn integer(row: &Value, field: &'static str) -> Result<u64, RestError> {
    row[field].as_u64().ok_or(RestError::Malformed(field))
}

fn small(row: &Value, field: &'static str) -> Result<u32, RestError> {
    u32::try_from(integer(row, field)?).map_err(|_| RestError::Malformed(field))
}

fn text<'a>(row: &'a Value, field: &'static str) -> Result<&'a str, RestError> {
    row[field].as_str().ok_or(RestError::Malformed(field))
}

fn decimal(row: &Value, field: &'static str) -> Result<i64, RestError> {
    parse_decimal(text(row, field)?.as_bytes()).map_err(|_| RestError::Malformed(field))
}

/// Rows of `orderBookDetails` (perpetuals and spot apart) or of `orderBooks`. A row that has a name
/// but can't be read is named; one without a name is an error: nobody could say what is missing.
fn read_markets(body: &Value) -> Result<Listing<MarketRow>, RestError> {
    let mut listing = Listing::default();
    let main = match body.get("order_books") {
        Some(_) => list(body, "order_books")?,
        None => list(body, "order_book_details")?,
    };
    read_rows(main, &mut listing)?;
    let perps_end = listing.markets.len();
    if body.get("spot_order_book_details").is_some() {
        read_rows(list(body, "spot_order_book_details")?, &mut listing)?;
    }
    // The list they stand in says so, whatever the row does.
    for spot in &mut listing.markets[perps_end..] {
        spot.is_perp = false;
    }
    Ok(listing)
}

fn read_rows(rows: &[Value], listing: &mut Listing<MarketRow>) -> Result<(), RestError> {
    for row in rows {
        let name = text(row, "symbol")?.to_owned();
        match read_market(row) {
            Ok(market) => listing.markets.push(market),
            Err(RestError::Malformed(field)) => listing.unread.push(Unread { name, field }),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

fn read_market(row: &Value) -> Result<MarketRow, RestError> {
    let margin = |field| small(row, field).ok();
    let rules = &row["market_config"];
    let is_set = |row: &Value, field: &str| row[field].as_bool() == Some(true);
    let status = match (is_set(row, "is_frozen"), is_set(rules, "hidden")) {
        (true, _) => "frozen",
        (false, true) => "hidden",
        (false, false) => text(row, "status")?,
    };
    Ok(MarketRow {
        symbol: text(row, "symbol")?.to_owned(),
        market_id: small(row, "market_id")?,
        is_perp: row["market_type"].as_str().unwrap_or("perp") == "perp"
            && row["end_timestamp"].as_i64().unwrap_or(0) == 0,
        is_active: status == "active",
        status: status.to_owned(),
        is_reduce_only: is_set(rules, "force_reduce_only"),
        is_multiplied: is_multiplied(row),
        trading_hours: rules["trading_hours"].as_str().unwrap_or("").to_owned(),
        price_decimals: small(row, "supported_price_decimals")?,
        size_decimals: small(row, "supported_size_decimals")?,
        size_min: Size(decimal(row, "min_base_amount")?),
        notional_min: Notional::from_nano(decimal(row, "min_quote_amount")?),
        order_value_max: rounded(&row["order_quote_limit"]).map(Notional::from_nano),
        open_interest_left: open_interest_left(row),
        mark: rounded(&row["mark_price"]).map(Price),
        index: rounded(&row["index_price"]).map(Price),
        last: rounded(&row["last_trade_price"]).map(Price),
        daily_volume: rounded(&row["daily_quote_token_volume"])
            .map_or(Notional::ZERO, Notional::from_nano),
        initial_margin_e4: margin("default_initial_margin_fraction"),
        maintenance_margin_e4: margin("maintenance_margin_fraction"),
    })
}

/// The limit less what is open. Both stand in the list only where the venue tells them there; a
/// limit beyond what we can hold (2^56 is what every market seen has) is none.
fn open_interest_left(row: &Value) -> Option<Notional> {
    let most = rounded(&row["open_interest_limit"])?;
    let open = rounded(&row["open_interest"]).unwrap_or(0);
    Some(Notional::from_nano(most.saturating_sub(open).max(0)))
}

/// `multiplier` is a text with 18 decimals and `quote_multiplier` an integer; both are one, or not
/// there, in every row seen. What another value would mean is not documented.
fn is_multiplied(row: &Value) -> bool {
    let text = row["multiplier"].as_str();
    let is_one = text.is_none_or(|text| parse_decimal(text.as_bytes()) == Ok(SCALE));
    !is_one || row["quote_multiplier"].as_i64().unwrap_or(1) != 1
}

/// A positive amount that only informs: prices of the list come as text, volumes and the last price
/// as floats.
fn rounded(value: &Value) -> Option<i64> {
    let amount = match value {
        Value::String(text) => parse_decimal_rounded(text.as_bytes()).ok()?,
        Value::Number(number) => {
            let scaled = number.as_f64()? * SCALE as f64;
            (scaled < i64::MAX as f64).then_some(scaled.round() as i64)?
        }
        _ => return None,
    };
    (amount > 0).then_some(amount)
}

fn read_limits(body: &Value) -> Result<Limits, RestError> {
    Ok(Limits {
        tier: text(body, "user_tier")?.to_owned(),
        taker_fee_e6: small(body, "current_taker_fee_tick")?,
        maker_fee_e6: small(body, "current_maker_fee_tick")?,
    })
}

fn read_account(body: &Value) -> Result<AccountState, RestError> {
    let rows = list(body, "accounts")?;
    let row = rows.first().ok_or(RestError::Malformed("accounts"))?;
    let (mut positions, mut isolated) = (Vec::new(), Vec::new());
    for position in list(row, "positions")? {
        if position["margin_mode"].as_u64() == Some(MARGIN_ISOLATED) {
            isolated.push(small(position, "market_id")?);
        }
        let size = Size(decimal(position, "position")?);
        let is_short = position["sign"].as_i64() == Some(-1);
        if size != Size::ZERO {
            positions.push(PositionRow {
                market_id: small(position, "market_id")?,
                symbol: text(position, "symbol")?.to_owned(),
                size: if is_short { -size } else { size },
                entry: Price(rounded(&position["avg_entry_price"]).unwrap_or(0)),
            });
        }
    }
    Ok(AccountState {
        collateral: Notional::from_nano(decimal(row, "collateral")?),
        available: Notional::from_nano(decimal(row, "available_balance")?),
        positions,
        open_orders: row["total_order_count"].as_u64().unwrap_or(0),
        isolated,
    })
}

#[cfg(test)]
mod tests {
    use super::orders::read_orders;
    use super::*;
    use crate::market::book::Side;
    use crate::market::order::OrderState;
    use crate::venue::tests_bent::each_bent;

    #[test]
    fn row_34_isolated_markets_are_named_flat_or_not() {
        let position = |id: u32, mode: u32| {
            serde_json::json!({"market_id": id, "symbol": "X", "position": "0", "sign": 1,
                "avg_entry_price": "0", "margin_mode": mode})
        };
        let body = serde_json::json!({"accounts": [{"collateral": "1", "available_balance": "1",
            "positions": [position(0, 0), position(1, 1), position(5, 1)]}]});
        let account = read_account(&body).unwrap();
        assert_eq!((account.isolated, account.positions), (vec![1, 5], vec![]));
    }

    #[test]
    fn row_55_a_tiers_delay_is_the_documented_one() {
        let delay = |tier: &str, taker_fee_e6| {
            let tier = tier.to_owned();
            let limits = Limits {
                tier,
                taker_fee_e6,
                maker_fee_e6: 0,
            };
            limits.taker_delay_ms().zip(limits.sends_per_minute())
        };
        assert_eq!(delay("standard", 0), Some((300, 60)));
        assert_eq!(delay("plus", 50), Some((300, 8_000)));
        assert_eq!(delay("premium", 280), Some((200, 4_000)));
        assert_eq!(delay("premium", 196), Some((140, 40_000)));
        assert_eq!(delay("premium", 281), None);
        assert_eq!(delay("gold", 280), None);
    }

    /// Recorded REST bodies of one kind.
    fn recorded(kind: &str) -> Vec<Value> {
        let file = include_str!("../../../tests/data/lighter/lighter_messages.jsonl");
        let lines = file
            .lines()
            .map(|line| -> Value { serde_json::from_str(line).unwrap() });
        let bodies: Vec<Value> = lines
            .filter(|line| line["kind"] == kind)
            .map(|line| line["message"].clone())
            .collect();
        assert!(!bodies.is_empty(), "{kind}");
        bodies
    }

    #[test]
    fn recorded_market_lists() {
        let rows = read_markets(&recorded("rest orderBooks")[0]).unwrap();
        assert!(rows.unread.is_empty());
        let rows = rows.markets;
        let kinds = rows.iter().map(|row| (row.is_perp, row.is_active));
        let told: Vec<_> = rows
            .iter()
            .map(|row| row.symbol.as_str())
            .zip(kinds)
            .collect();
        assert_eq!(told[3], ("HYUNDAI", (true, false)));
        assert_eq!(told[4], ("SKY/USDC", (false, true)));
        let eth = &rows[0];
        assert_eq!((eth.symbol.as_str(), eth.market_id), ("ETH", 0));
        assert!(eth.is_perp && eth.is_active);
        assert_eq!(eth.tick(), Some(Price(10_000_000)));
        assert_eq!(eth.lot(), Some(Size(100_000)));
        assert_eq!(eth.size_min, Size(5_000_000));
        assert_eq!(eth.notional_min, Notional::from_usd(10));
        assert_eq!(eth.initial_margin_e4, None);
        assert_eq!(
            eth.order_value_max,
            Some(Notional::from_nano(281_474_976_710_655_000))
        );
        let details = read_markets(&recorded("rest order_book_details")[0]).unwrap();
        let eth = &details.markets[0];
        assert_eq!(eth.initial_margin_e4, Some(500));
        assert_eq!(eth.maintenance_margin_e4, Some(120));
        assert_eq!(eth.last, Some(Price(2_361_310_000_000)));
        assert_eq!((eth.mark, eth.index), (None, None), "not in this capture");
        assert_eq!(eth.daily_volume.to_usd_f64() as u64, 460_664_167);
        assert!(!eth.is_reduce_only && !eth.is_multiplied);
        assert_eq!(
            (eth.status.as_str(), eth.trading_hours.as_str()),
            ("active", "")
        );
    }

    #[test]
    fn what_keeps_a_market_from_trading_is_read() {
        let body = &recorded("rest order_book_details")[0];
        let with = |place: &str, field: &str, value: Value| {
            let mut body = body.clone();
            let row = &mut body["order_book_details"][0];
            match place {
                "" => row[field] = value,
                _ => row[place][field] = value,
            }
            read_markets(&body).unwrap().markets.remove(0)
        };
        assert!(!with("", "is_frozen", true.into()).is_active);
        let hidden = with("market_config", "hidden", true.into());
        assert_eq!(
            (hidden.is_active, hidden.status.as_str()),
            (false, "hidden")
        );
        assert!(!with("", "status", "inactive".into()).is_active);
        assert!(!with("", "end_timestamp", 1_800_000_000_i64.into()).is_perp);
        assert!(with("market_config", "force_reduce_only", true.into()).is_reduce_only);
        assert!(with("", "multiplier", "1000.000000000000000000".into()).is_multiplied);
        assert!(with("", "quote_multiplier", 10.into()).is_multiplied);
        assert!(!with("", "multiplier", "1.000000000000000000".into()).is_multiplied);
        let marked = with("", "mark_price", "2361.25".into());
        assert_eq!(marked.mark, Some(Price(2_361_250_000_000)));
        assert_eq!(with("", "index_price", "0".into()).index, None);
    }

    /// The recorded list has what is open as a number and no limit; the stream has both as texts.
    #[test]
    fn open_interest_is_limited_where_the_list_says_so() {
        let body = &recorded("rest order_book_details")[0];
        let left = |limit: Value, open: Option<Value>| {
            let mut body = body.clone();
            let row = &mut body["order_book_details"][0];
            row["open_interest_limit"] = limit;
            if let Some(open) = open {
                row["open_interest"] = open;
            }
            read_markets(&body).unwrap().markets[0].open_interest_left
        };
        assert_eq!(left(Value::Null, None), None, "as recorded");
        let nano = |nano| Some(Notional::from_nano(nano));
        for (limit, open, expected) in [
            // 27350.8981 are open.
            ("50000.0000".into(), None, nano(22_649_101_900_000)),
            (50_000.into(), None, nano(22_649_101_900_000)),
            (
                "50000".into(),
                Some("27250.8411".into()),
                nano(22_749_158_900_000),
            ),
            ("27000".into(), None, nano(0)),
            ("50000".into(), Some(Value::Null), nano(50_000_000_000_000)),
            ("72057594037927936.000000".into(), None, None),
            (72_057_594_037_927_936_u64.into(), None, None),
            ("0".into(), None, None),
            ("x".into(), None, None),
        ] {
            let limit: Value = limit;
            assert_eq!(left(limit.clone(), open), expected, "{limit}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named() {
        let mut body = recorded("rest orderBooks")[0].clone();
        body["order_books"][1]["min_base_amount"] = "0.0000000001".into();
        let rows = read_markets(&body).unwrap();
        assert_eq!(rows.markets.len(), 4);
        let (name, field) = ("CRV".to_owned(), "min_base_amount");
        assert_eq!(rows.unread, [Unread { name, field }]);
        body["order_books"][1]["symbol"] = Value::Null;
        assert_eq!(read_markets(&body), Err(RestError::Malformed("symbol")));
    }

    #[test]
    fn recorded_account_answers() {
        let limits = read_limits(&recorded("rest accountLimits")[0]).unwrap();
        assert_eq!((limits.tier.as_str(), limits.taker_fee_e6), ("standard", 0));
        let account = read_account(&recorded("rest account")[0]).unwrap();
        assert_eq!(account.collateral, Notional::ZERO);
        assert!(account.positions.is_empty());
        let nonce = integer(&recorded("rest next_nonce")[0], "nonce");
        assert_eq!(nonce, Ok(1_234_567_890));
        let orders = read_orders(&recorded("rest accountActiveOrders")[0]).unwrap();
        assert_eq!(orders[0].client_order_index, 178_554_256_601);
        assert_eq!(
            (orders[0].state, orders[0].filled),
            (OrderState::Working, Size::ZERO)
        );
        assert_eq!(orders[0].side, Side::Bid);
    }

    #[test]
    fn positions_are_signed_and_named() {
        let mut body = recorded("rest account")[0].clone();
        let row = |symbol: &str, sign: i64, position: &str| {
            serde_json::json!({
                "market_id": 1, "symbol": symbol, "sign": sign, "position": position,
                "avg_entry_price": "61827.5",
            })
        };
        let rows = vec![row("BTC", -1, "0.00500"), row("ETH", 1, "0.0000")];
        body["accounts"][0]["positions"] = rows.into();
        let held = PositionRow {
            market_id: 1,
            symbol: "BTC".into(),
            size: Size(-5_000_000),
            entry: Price(61_827_500_000_000),
        };
        assert_eq!(read_account(&body).unwrap().positions, [held]);
        body["accounts"][0]["positions"][0]["symbol"] = Value::Null;
        assert_eq!(read_account(&body), Err(RestError::Malformed("symbol")));
    }

    #[test]
    fn refusals_keep_the_venues_words() {
        for (kind, status, code) in [
            ("rest error (http 400)", 400, 20_001),
            ("rest error (http 401)", 401, 20_013),
        ] {
            let text = recorded(kind)[0].to_string();
            let Err(RestError::Refused { code: heard, .. }) = judge(status, &text) else {
                panic!("{text} was taken for success");
            };
            assert_eq!(heard, code);
        }
        let empty = judge(200, "{}");
        assert_eq!(empty, Err(RestError::Malformed("code")));
        let blocked = judge(405, "<html>").unwrap_err();
        assert!(blocked.to_string().contains("not the venue's JSON"));
        assert!(blocked.to_string().contains("HTTP 405"));
        assert!(matches!(
            judge(200, "{\"code\":23000}"),
            Err(RestError::Refused { .. })
        ));
    }

    #[test]
    fn only_certificates_are_trusted() {
        let error = LighterRest::new("https://x", Some(b"no pem")).err();
        assert_eq!(error, Some(RestError::BadCertificate));
        assert!(LighterRest::new("https://x/", None).is_ok());
    }

    #[test]
    fn bent_answers_are_an_error_or_a_value() {
        let file = include_str!("../../../tests/data/lighter/lighter_messages.jsonl");
        for line in file.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if !line["kind"].as_str().unwrap().starts_with("rest ") {
                continue;
            }
            each_bent(&line["message"], |bent| {
                for row in read_markets(bent).unwrap_or_default().markets {
                    let _ = (row.tick(), row.lot());
                }
                let _ = (read_limits(bent), read_account(bent), read_orders(bent));
            });
        }
    }
}
