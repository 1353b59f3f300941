//! REST: markets, fees, account, balance, positions, orders, and what makes an account smaller
//! (`write`). Cold, blocking.
//!
//! Promises: numbers exact where orders depend on them (grid, ids, fee rates); every failure says
//! whose fault it is; the API key appears in no error and no debug output.
//! Refuses: guessing. A market whose grid or ids cannot be read exactly is an error, not a default.
//!
//! Sources: D1 (public REST, private REST, error responses), S1 (`models.market`), C1.

mod bounds;
pub mod exit;
mod money;
mod onboarding;
mod read;
mod terms;
mod write;

pub use bounds::Leverage;
pub use onboarding::{
    ACCOUNTS_PATH, ACTIVE_ACCOUNT_HEADER, API_KEY_PATH, L1_SIGNATURE_HEADER, L1_TIME_HEADER,
    REGISTER_PATH, SUB_ACCOUNT_PATH, Vouch, WalletRest,
};
pub use write::{Closing, OrderSigner};

use crate::market::book::Side;
use crate::market::order::OrderId;
use crate::market::units::{Bps, Notional, Price, Size};
use crate::market::{InstrumentId, Market, Name, Venue};
use crate::venue::Listing;
use crate::venue::agent::{BadCertificate, agent};
use crate::venue::extended::MarketConfig;
use crate::venue::extended::sign::Felt;
use read::{
    number, read_account, read_balance, read_fees, read_leverage, read_list, read_markets,
    read_order, read_position,
};
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// Longest wait for one answer. Larger: a dead venue holds the start up for longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Rows of a page asked for. The venue's own default is not documented.
const PAGE_LEN: usize = 100;
/// Largest answer taken: all markets are about 2 MiB.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why a REST call failed, and whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestError {
    /// Ours: a setting that cannot work.
    Settings(&'static str),
    /// The network's, or the venue is down: no answer.
    Unreachable(String),
    /// The venue said no.
    Refused {
        /// HTTP status.
        status: u16,
        /// The venue's own code, or 0.
        code: u32,
        /// The venue's own words.
        message: String,
    },
    /// The venue answered something that is not documented.
    Unreadable(&'static str),
}

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestError::Settings(what) => write!(f, "Extended: setting: {what}"),
            RestError::Unreachable(why) => write!(f, "Extended: no answer: {why}"),
            RestError::Refused {
                status,
                code,
                message,
            } => write!(f, "Extended: refused ({status}, code {code}): {message}"),
            RestError::Unreadable(what) => write!(f, "Extended: answer not understood: {what}"),
        }
    }
}

impl std::error::Error for RestError {}

/// A market as the venue lists it.
#[derive(Clone, Debug)]
pub struct MarketInfo {
    /// `BTC-USD`.
    pub name: Name,
    /// The underlying, `BTC`.
    pub base: String,
    /// ACTIVE, REDUCE_ONLY, DELISTED, PRELISTED or DISABLED.
    pub status: String,
    /// `type` is PERPETUAL.
    pub is_perpetual: bool,
    /// `active`.
    pub is_active: bool,
    /// `isRfq`: such a market shows an indicative book on the normal stream.
    pub is_rfq: bool,
    /// Asset class, `Crypto`; empty when not said.
    pub category: String,
    /// CONTINUOUS, WEEKDAYS, REGULAR or NO_OVERNIGHT.
    pub trading_hours: String,
    /// Price step.
    pub tick: Price,
    /// Size step.
    pub lot: Size,
    /// Smallest order size.
    pub size_min: Size,
    /// Largest value of a limit order, USD.
    pub order_value_max: Notional,
    /// Largest value of a position, USD.
    pub position_value_max: Notional,
    /// What is left of the market's open-interest limit, USD; `None` where there is none (zero is
    /// none).
    pub open_interest_left: Option<Notional>,
    /// A buy's limit may be at most mark * (1 + cap); ratio at 10^-9.
    pub price_cap: i64,
    /// A sale's limit may be at least mark * (1 - floor); ratio at 10^-9.
    pub price_floor: i64,
    /// Half-way between best bid and best ask; `None` when the book is one-sided or crossed.
    pub mid: Option<Price>,
    /// Mark price, rounded; `None` when not said.
    pub mark: Option<Price>,
    /// Index price, rounded; `None` when not said.
    pub index: Option<Price>,
    /// Volume of the last 24 hours, USD; zero when not said.
    pub daily_volume: Notional,
    /// Funding rate per hour, a ratio at 10^-9 (not per cent).
    pub funding_rate: i64,
    /// When funding is next charged, epoch milliseconds; 0 when not said.
    pub funding_next_ms: u64,
    /// Initial margin by position value: upper bound in USD and ratio at 10^-9, ascending.
    pub margins: Vec<(Notional, i64)>,
    /// `l2Config.syntheticId`.
    pub base_asset: Felt,
    /// `l2Config.syntheticResolution`.
    pub base_resolution: u64,
    /// `l2Config.collateralId`.
    pub quote_asset: Felt,
    /// `l2Config.collateralResolution`.
    pub quote_resolution: u64,
}

/// Fee rates of the account on one market; ratios at 10^-9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Market name.
    pub market: String,
    /// Maker rate.
    pub maker_rate: i64,
    /// Taker rate.
    pub taker_rate: i64,
}

/// The account behind the API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    /// Account number.
    pub account_id: u64,
    /// ACTIVE, or why not.
    pub status: String,
    /// Public Stark key; must equal that of our private key. `None` when the venue's text is not
    /// a field element.
    pub public_key: Option<Felt>,
    /// Vault (position id).
    pub vault: u32,
}

/// Money of the account, USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BalanceInfo {
    /// Deposits, withdrawals and realised profit.
    pub balance: Notional,
    /// Balance and unrealised profit.
    pub equity: Notional,
    /// Equity less initial margin.
    pub available: Notional,
    /// Initial margin in use.
    pub initial_margin: Notional,
    /// Maintenance margin over equity, ratio at 10^-9; above one is liquidation.
    pub margin_ratio: i64,
}

/// One open position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionInfo {
    /// Market name.
    pub market: String,
    /// Signed size, long positive.
    pub size: Size,
    /// Average entry price, rounded.
    pub entry: Price,
    /// Mark price, rounded.
    pub mark: Price,
    /// Unrealised profit.
    pub unrealised: Notional,
}

/// One order as the venue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderInfo {
    /// The venue's id.
    pub venue_id: u64,
    /// Our id, or [`OrderId::NONE`] for somebody else's order.
    pub id: OrderId,
    /// The id as text.
    pub external_id: String,
    /// Market name.
    pub market: String,
    /// Buys or sells.
    pub side: Side,
    /// The venue's word on its state.
    pub status: String,
    /// Limit price, rounded.
    pub price: Price,
    /// Size asked.
    pub size: Size,
    /// Cumulative filled size.
    pub filled: Size,
}

/// The venue's REST interface for one API key.
///
/// Calls block; no more of them than the start, the doctor and `flatten` need. They count against
/// the same budget per address as orders do.
pub struct ExtendedRest {
    agent: ureq::Agent,
    /// Without a slash at its end.
    base_url: String,
    api_key: Zeroizing<String>,
}

impl fmt::Debug for ExtendedRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtendedRest({}, key redacted)", self.base_url)
    }
}

impl ExtendedRest {
    /// For a base URL such as [`super::REST_URL_MAIN`]. `api_key` may be empty for public data.
    /// With `ca_pem`, the certificates in it are the only roots trusted; without, the public ones.
    pub fn new(
        base_url: &str,
        api_key: &str,
        ca_pem: Option<&[u8]>,
    ) -> Result<ExtendedRest, RestError> {
        if !base_url.starts_with("https://") && !base_url.starts_with("http://") {
            return Err(RestError::Settings("the REST URL must start with https://"));
        }
        if !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RestError::Settings("the API key is not plain text"));
        }
        let none = RestError::Settings("the CA file holds no certificate");
        let agent = agent(ca_pem, TIMEOUT).map_err(|BadCertificate| none)?;
        Ok(ExtendedRest {
            agent,
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key: Zeroizing::new(api_key.to_owned()),
        })
    }

    /// All markets, whatever their state.
    pub fn markets(&self) -> Result<Listing<MarketInfo>, RestError> {
        read_markets(&self.call("GET", "/info/markets")?)
    }

    /// Fee rates of the account on the named markets, or on all.
    pub fn fees(&self, names: &[&str]) -> Result<Vec<Fees>, RestError> {
        let data = self.call("GET", &["/user/fees", &market_query(names)].concat())?;
        read_list(&data, "fees", read_fees)
    }

    /// Leverage set on all markets.
    pub fn leverages(&self) -> Result<Vec<Leverage>, RestError> {
        let data = self.call("GET", "/user/leverage")?;
        read_list(&data, "leverage", read_leverage)
    }

    /// Number, public key and vault of the account: the start's proof that the keys belong to it.
    pub fn account_info(&self) -> Result<AccountInfo, RestError> {
        let data = self.call("GET", "/user/account/info")?;
        read_account(&data).ok_or(RestError::Unreadable("account info"))
    }

    /// Money. The venue answers 404 for an account that never had any: that is all zero.
    pub fn balance(&self) -> Result<BalanceInfo, RestError> {
        match self.call("GET", "/user/balance") {
            Ok(data) => read_balance(&data).ok_or(RestError::Unreadable("balance")),
            Err(RestError::Refused { status: 404, .. }) => Ok(BalanceInfo::default()),
            Err(error) => Err(error),
        }
    }

    /// Open positions; flat ones are left out.
    pub fn positions(&self) -> Result<Vec<PositionInfo>, RestError> {
        let data = self.call("GET", "/user/positions")?;
        let mut positions = read_list(&data, "positions", read_position)?;
        positions.retain(|position| position.size != Size::ZERO);
        Ok(positions)
    }

    /// One market as it is now. An error where the venue does not list it, or it can't be read.
    pub fn market(&self, name: &str) -> Result<MarketInfo, RestError> {
        if !is_plain(name) {
            return Err(RestError::Settings("the market's name is not plain text"));
        }
        let data = self.call("GET", &["/info/markets", &market_query(&[name])].concat())?;
        let listing = read_markets(&data)?;
        let unread = listing.unread.first().map_or("market", |row| row.field);
        let mut rows = listing.markets.into_iter();
        rows.find(|row| row.name.as_str() == name)
            .ok_or(RestError::Unreadable(unread))
    }

    /// Orders that are over, newest first, at most `pages` pages. Those that traded are kept for
    /// good by the venue, others for seven days or not at all.
    pub fn past_orders(&self, pages: usize) -> Result<Vec<OrderInfo>, RestError> {
        let mut orders = Vec::new();
        let mut path = format!("/user/orders/history?limit={PAGE_LEN}");
        for _ in 0..pages {
            let (data, cursor) = self.call_paged("GET", &path)?;
            let page = read_list(&data, "orders", read_order)?;
            let is_last = page.len() < PAGE_LEN;
            orders.extend(page);
            match cursor {
                Some(cursor) if !is_last => {
                    path = format!("/user/orders/history?limit={PAGE_LEN}&cursor={cursor}");
                }
                _ => break,
            }
        }
        Ok(orders)
    }

    /// Orders that are still open, everybody's on this account.
    pub fn open_orders(&self) -> Result<Vec<OrderInfo>, RestError> {
        read_list(&self.call("GET", "/user/orders")?, "orders", read_order)
    }

    /// One order by our own id; `None` when the venue does not know it.
    pub fn order(&self, id: OrderId) -> Result<Option<OrderInfo>, RestError> {
        let path = format!("/user/orders/external/px-{}", id.0);
        let data = match self.call("GET", &path) {
            Err(RestError::Refused { status: 404, .. }) => return Ok(None),
            data => data?,
        };
        let orders = read_list(&data, "order", read_order)?;
        Ok(orders.into_iter().find(|order| order.id == id))
    }

    /// Cancels one order by its text id, ours or not.
    pub fn cancel(&self, external_id: &str) -> Result<(), RestError> {
        if !is_plain(external_id) {
            return Err(RestError::Settings("the order id is not plain text"));
        }
        let path = ["/user/order?externalId=", external_id].concat();
        self.call("DELETE", &path).map(|_| ())
    }

    /// One request without a body. The key is sent where there is one; public data needs none.
    fn call(&self, method: &'static str, path: &str) -> Result<Value, RestError> {
        self.call_paged(method, path).map(|(data, _)| data)
    }

    /// The same, and where the next page begins.
    fn call_paged(&self, method: &'static str, path: &str) -> Result<Page, RestError> {
        let url = [&self.base_url, path].concat();
        let request = match method {
            "DELETE" => self.agent.delete(url),
            _ => self.agent.get(url),
        };
        let request = match self.api_key.is_empty() {
            true => request,
            false => request.header("X-Api-Key", &*self.api_key),
        };
        finish(request.call())
    }
}

impl MarketInfo {
    /// The market for the engine's tables: grid, ids and the account's fees.
    pub fn config(&self, instrument: InstrumentId, fees: &Fees) -> MarketConfig {
        // 10^-9 of a ratio is 10^-5 of a basis point.
        let bps = |rate: i64| Bps::from_milli(rate / 100);
        MarketConfig {
            market: Market {
                venue: Venue::Extended,
                instrument,
                name: self.name,
                venue_market: 0,
                tick: self.tick,
                lot: self.lot,
                size_min: self.size_min,
                notional_min: Notional::ZERO,
                fee_taker: bps(fees.taker_rate),
                fee_maker: bps(fees.maker_rate),
                bounds: self.bounds(),
            },
            base_asset: self.base_asset,
            base_resolution: self.base_resolution,
            quote_asset: self.quote_asset,
            quote_resolution: self.quote_resolution,
            fee_rate_taker: fees.taker_rate,
        }
    }
}

/// Repeated filters are written out in full (`market=A&market=B`), the form the SDK sends (S1).
fn market_query(names: &[&str]) -> String {
    let mut query = String::new();
    for name in names {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str("market=");
        query.push_str(name);
    }
    query
}

/// What may stand in a path as it is.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes().all(plain)
}

/// Data, and the cursor of the next page where there is one.
type Page = (Value, Option<u64>);
type HttpAnswer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// Turns what came back, or did not, into data or into whose fault it is. HTTP errors still have a
/// body worth reading.
fn finish(answer: HttpAnswer) -> Result<Page, RestError> {
    let unreachable = |error: ureq::Error| RestError::Unreachable(error.to_string());
    let mut answer = answer.map_err(unreachable)?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
    open(status, &body.read_to_vec().map_err(unreachable)?)
}

/// Opens the venue's envelope: `data` of a success (null where there is none), or the error. What
/// is not the venue's at all (a firewall's web page) says so.
fn open(status: u16, body: &[u8]) -> Result<Page, RestError> {
    let is_success = (200..300).contains(&status);
    if is_success && body.trim_ascii().is_empty() {
        return Ok((Value::Null, None));
    }
    let root: Option<Value> = serde_json::from_slice(body).ok();
    let otherwise = match root {
        Some(_) => "no reason",
        None => "the answer is not the venue's JSON",
    };
    let mut root = root.unwrap_or(Value::Null);
    let word = root["status"].as_str().unwrap_or("");
    if is_success && word.eq_ignore_ascii_case("OK") {
        let cursor = number(&root["pagination"]["cursor"]);
        return Ok((root["data"].take(), cursor));
    }
    if is_success && !word.eq_ignore_ascii_case("ERROR") {
        return Err(RestError::Unreadable("envelope"));
    }
    let error = &root["error"];
    Err(RestError::Refused {
        status,
        code: number(&error["code"]).map_or(0, |code| code as u32),
        message: error["message"].as_str().unwrap_or(otherwise).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_say_whose_fault_it_is() {
        assert_eq!(open(200, b""), Ok((Value::Null, None)));
        assert_eq!(open(200, b"<html>"), Err(RestError::Unreadable("envelope")));
        let refused = |status, body: &str| match open(status, body.as_bytes()) {
            Err(RestError::Refused { status, code, .. }) => (status, code),
            other => panic!("{other:?}"),
        };
        let error = r#"{"status":"ERROR","error":{"code":1140,"message":"no"}}"#;
        assert_eq!(refused(400, error), (400, 1140));
        assert_eq!(refused(200, error), (200, 1140));
        let named = r#"{"status":"ERROR","error":{"code":"NOT_FOUND"}}"#;
        assert_eq!(refused(404, named), (404, 0));
        assert_eq!(refused(403, "<html>"), (403, 0));
        let page = br#"{"status":"OK","data":[7],"pagination":{"cursor":9,"count":1}}"#;
        assert_eq!(open(200, page), Ok((serde_json::json!([7]), Some(9))));
        let blocked = open(405, b"<html>").unwrap_err();
        assert!(
            blocked
                .to_string()
                .contains("(405, code 0): the answer is not")
        );
    }

    #[test]
    fn settings_are_checked_and_the_key_stays_secret() {
        let url = "https://127.0.0.1:9/api/v1";
        let wrong = |url, key, ca| ExtendedRest::new(url, key, ca).err();
        assert!(matches!(
            wrong("ftp://x", "k", None),
            Some(RestError::Settings(_))
        ));
        assert!(matches!(
            wrong(url, "a b", None),
            Some(RestError::Settings(_))
        ));
        let no_certificate = Some(b"nothing".as_slice());
        assert!(matches!(
            wrong(url, "k", no_certificate),
            Some(RestError::Settings(_))
        ));
        let rest = ExtendedRest::new(url, "secret-key", None).unwrap();
        assert!(!format!("{rest:?}").contains("secret-key"));
        assert!(rest.cancel("px-1?x=2").is_err());
        assert_eq!(market_query(&["A", "B"]), "?market=A&market=B");
    }
}
