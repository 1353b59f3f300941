//! Lighter's REST interface, for start-up and for the cold thread: markets, fees, account, nonces,
//! keys.
//!
//! Promises: nothing is sent that changes anything. Amounts are exact. Every failure says whose
//! fault it is. Tokens go into the `Authorization` header and into no error.
//! Refuses: bodies without the fields asked for ("unknown outcome", never success).
//!
//! Sources: *rest*, *fees* in the venue's Sources. Cold: blocks the thread that calls it.

use super::sign::PublicKey;
use super::sign::token::AuthToken;
use crate::market::order::OrderState;
use crate::market::units::{Notional, Price, Size, parse_decimal};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// A request that takes longer has failed. Smaller: slow days fail; larger: start-up hangs longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// `market_id` that means every market.
const ALL_MARKETS: u32 = 255;
/// Success, in the body as in the status line.
const CODE_OK: u64 = 200;

/// Why a request gave nothing, by whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestError {
    /// Ours: the extra root certificate is not PEM.
    BadCertificate,
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
            RestError::Network(why) => write!(f, "network: {why}"),
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
    /// A perpetual (spot markets are listed beside them).
    pub is_perp: bool,
    /// Open for trading. An inactive market subscribes silently.
    pub is_active: bool,
    /// Decimals of prices.
    pub price_decimals: u32,
    /// Decimals of sizes.
    pub size_decimals: u32,
    /// Smallest order size.
    pub size_min: Size,
    /// Smallest order notional.
    pub notional_min: Notional,
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

/// Tier and fees of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `standard`, `plus`, `premium`.
    pub tier: String,
    /// Taker fee, 10^-6 of notional.
    pub taker_fee_e6: u32,
    /// Maker fee, 10^-6 of notional.
    pub maker_fee_e6: u32,
}

/// Money and positions of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Deposits and realised profit.
    pub collateral: Notional,
    /// Free for new positions.
    pub available: Notional,
    /// Market id and signed size, flat ones left out.
    pub positions: Vec<(u32, Size)>,
    /// Orders resting at the venue, of whoever placed them.
    pub open_orders: u64,
}

/// One order as the venue remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSeen {
    /// Client order index; 0: none.
    pub client_order_index: u64,
    /// Market id.
    pub market_id: u32,
    /// The venue's status word.
    pub state: OrderState,
    /// Cumulative filled size.
    pub filled: Size,
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
        let roots = match root_pem {
            None => RootCerts::WebPki,
            Some(pem) => RootCerts::Specific(Arc::new(certificates(pem)?)),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(roots)
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build()
            .new_agent();
        Ok(LighterRest {
            base_url: base_url.trim_end_matches('/').to_owned(),
            agent,
        })
    }

    /// Every market, with margins. `orderBookDetails` carries all that `orderBooks` does.
    pub fn markets(&self) -> Result<Vec<MarketRow>, RestError> {
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

    /// Whether the venue has this public key in this slot.
    pub fn has_key(
        &self,
        account_index: u64,
        api_key_index: u8,
        public_key: &PublicKey,
    ) -> Result<bool, RestError> {
        let path = format!("apikeys?account_index={account_index}&api_key_index={api_key_index}");
        let body = self.fetch(&path, None)?;
        let wanted: String = public_key
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(list(&body, "api_keys")?.iter().any(|row| {
            row["api_key_index"].as_u64() == Some(u64::from(api_key_index))
                && row["public_key"]
                    .as_str()
                    .is_some_and(|key| key.trim_start_matches("0x").eq_ignore_ascii_case(&wanted))
        }))
    }

    /// Orders still open and the last hundred that are over: how an Unknown order is settled.
    pub fn orders(
        &self,
        account_index: u64,
        token: &AuthToken,
    ) -> Result<Vec<OrderSeen>, RestError> {
        let mut seen = Vec::new();
        for path in [
            format!("accountActiveOrders?account_index={account_index}&market_id={ALL_MARKETS}"),
            format!("accountInactiveOrders?account_index={account_index}&limit=100"),
        ] {
            seen.extend(read_orders(&self.fetch(&path, Some(token))?)?);
        }
        Ok(seen)
    }

    fn fetch(&self, path: &str, token: Option<&AuthToken>) -> Result<Value, RestError> {
        let network = |error: ureq::Error| RestError::Network(error.to_string());
        let mut request = self.agent.get(format!("{}/api/v1/{path}", self.base_url));
        if let Some(token) = token {
            let text = std::str::from_utf8(token.text()).expect("a token is ASCII");
            request = request.header("Authorization", text);
        }
        let mut response = request.call().map_err(network)?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(network)?;
        judge(status, &text)
    }
}

/// The certificates of a PEM file.
fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, RestError> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| RestError::BadCertificate)? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(RestError::BadCertificate);
    }
    Ok(found)
}

/// Success is HTTP 200 with `"code":200`; anything else is a refusal in the venue's words.
fn judge(status: u16, text: &str) -> Result<Value, RestError> {
    let body: Option<Value> = serde_json::from_str(text).ok();
    let code = body.as_ref().and_then(|body| body["code"].as_u64());
    match (status, code, body) {
        (200, Some(CODE_OK), Some(body)) => Ok(body),
        (200, None, _) => Err(RestError::Malformed("code")),
        (_, code, body) => Err(RestError::Refused {
            status,
            code: code.unwrap_or(0),
            message: body
                .and_then(|body| body["message"].as_str().map(str::to_owned))
                .unwrap_or_default(),
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

/// Rows of `orderBookDetails` (perpetuals and spot apart) or of `orderBooks`. A row that cannot be
/// read is an error: a market table with holes is worse than none.
fn read_markets(body: &Value) -> Result<Vec<MarketRow>, RestError> {
    let field = if body.get("order_books").is_some() {
        "order_books"
    } else {
        "order_book_details"
    };
    list(body, field)?.iter().map(read_market).collect()
}

fn read_market(row: &Value) -> Result<MarketRow, RestError> {
    let margin = |field| small(row, field).ok();
    Ok(MarketRow {
        symbol: text(row, "symbol")?.to_owned(),
        market_id: small(row, "market_id")?,
        is_perp: row["market_type"].as_str().unwrap_or("perp") == "perp",
        is_active: text(row, "status")? == "active",
        price_decimals: small(row, "supported_price_decimals")?,
        size_decimals: small(row, "supported_size_decimals")?,
        size_min: Size(decimal(row, "min_base_amount")?),
        notional_min: Notional::from_nano(decimal(row, "min_quote_amount")?),
        initial_margin_e4: margin("default_initial_margin_fraction"),
        maintenance_margin_e4: margin("maintenance_margin_fraction"),
    })
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
    let mut positions = Vec::new();
    for position in list(row, "positions")? {
        let size = Size(decimal(position, "position")?);
        let is_short = position["sign"].as_i64() == Some(-1);
        if size != Size::ZERO {
            let size = if is_short { -size } else { size };
            positions.push((small(position, "market_id")?, size));
        }
    }
    Ok(AccountState {
        collateral: Notional::from_nano(decimal(row, "collateral")?),
        available: Notional::from_nano(decimal(row, "available_balance")?),
        positions,
        open_orders: row["total_order_count"].as_u64().unwrap_or(0),
    })
}

fn read_orders(body: &Value) -> Result<Vec<OrderSeen>, RestError> {
    let read = |row: &Value| {
        Ok(OrderSeen {
            client_order_index: integer(row, "client_order_index")?,
            market_id: small(row, "market_index")?,
            state: super::stream::order_state(text(row, "status")?),
            filled: Size(decimal(row, "filled_base_amount")?),
        })
    };
    list(body, "orders")?.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let eth = &rows[0];
        assert_eq!((eth.symbol.as_str(), eth.market_id), ("ETH", 0));
        assert!(eth.is_perp && eth.is_active);
        assert_eq!(eth.tick(), Some(Price(10_000_000)));
        assert_eq!(eth.lot(), Some(Size(100_000)));
        assert_eq!(eth.size_min, Size(5_000_000));
        assert_eq!(eth.notional_min, Notional::from_usd(10));
        assert_eq!(eth.initial_margin_e4, None);
        let details = read_markets(&recorded("rest order_book_details")[0]).unwrap();
        assert_eq!(details[0].initial_margin_e4, Some(500));
        assert_eq!(details[0].maintenance_margin_e4, Some(120));
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
        assert!(matches!(
            judge(405, "<html>"),
            Err(RestError::Refused { code: 0, .. })
        ));
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
}
