//! The venue's own refusals: code, message, HTTP status.
//!
//! Codes and messages are those of the official constants page (2026-07) and of captured answers;
//! where an answer was captured, its exact text is used.

use serde_json::{Value, json};
use std::borrow::Cow;

/// One refusal, as the venue words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status of the REST form.
    pub status: u16,
    /// The venue's number.
    pub code: u32,
    /// The venue's text.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with the usual status 400.
    pub const fn new(code: u32, message: &'static str) -> Refusal {
        Refusal {
            status: 400,
            code,
            message: Cow::Borrowed(message),
        }
    }

    /// A refusal with its own status and a text made on the spot.
    pub fn with(status: u16, code: u32, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code,
            message: Cow::Owned(message.into()),
        }
    }

    /// The REST body: `{"code":21104,"message":"invalid nonce"}`.
    pub fn body(&self) -> Value {
        json!({"code": self.code, "message": self.message})
    }

    /// The stream's frame, with the request's id where one could be read.
    pub fn frame(&self, id: Option<&Value>) -> String {
        match id {
            Some(id) => json!({"error": self.body(), "id": id}).to_string(),
            None => json!({"error": self.body()}).to_string(),
        }
    }
}

macro_rules! refusals {
    ($($name:ident = $code:literal, $message:literal;)*) => {
        $(
            #[doc = $message]
            pub const $name: Refusal = Refusal::new($code, $message);
        )*
    };
}

refusals! {
    ACCOUNT_NOT_FOUND = 21100, "account not found";
    ACCOUNT_INDEX = 21102, "invalid account index";
    NONCE = 21104, "invalid nonce";
    NONCE_NOT_INCREASING = 21105, "batch transaction nonce is not increasing";
    API_KEY_NOT_FOUND = 21109, "api key not found";
    API_KEY_INDEX = 21110, "invalid api key index";
    MARGIN_FRACTION = 21113, "invalid initial margin fraction";
    WITHDRAWAL_LOW = 21116, "withdrawal amount is too small";
    WITHDRAWAL_HIGH = 21117, "withdrawal amount is too high";
    SIGNATURE = 21120, "invalid signature";
    ROUTE = 21124, "invalid route type";
    BATCH_OWNER = 21121,
        "all transactions in the batch must have use same account and apikey";
    MARGIN_CHANGE = 21132,
        "margin mode change on a market with position or open order is not allowed";
    ASSET_AMOUNT = 21300, "invalid asset amount";
    COLLATERAL = 21301, "not enough collateral";
    FEE_AMOUNT = 21303, "invalid fee account asset amount";
    TX_NOT_FOUND = 21500, "transaction not found";
    TX_INFO = 21501, "invalid tx info";
    OWNER_SIGNATURE = 21504, "fail to l1 signature";
    TX_TYPE = 21505, "unsupported tx type";
    TOO_MANY_PENDING = 21506, "too many pending txs. Please try again later";
    BATCH_LENGTH = 21513, "TxInfos and TxTypes should have the same length";
    BATCH_SIZE = 21514, "maximum 50 transactions allowed per batch";
    INACTIVE_CANCEL = 21600, "given order is not an active limit order";
    BOOK_FULL = 21601, "order book is full";
    MARKET = 21602, "invalid market index";
    MARKET_STATUS = 21605, "invalid market status";
    MARGIN_MODE = 21613, "invalid margin mode";
    ORDER_INDEX = 21700, "invalid order index";
    BASE_AMOUNT = 21701, "invalid base amount";
    PRICE = 21702, "invalid price";
    IS_ASK = 21703, "invalid isAsk";
    ORDER_TYPE = 21704, "invalid OrderType";
    TIME_IN_FORCE = 21705, "invalid OrderTimeInForce";
    ORDER_AMOUNT = 21706, "invalid order base or quote amount";
    UNSUPPORTED_ORDER_TYPE = 21710, "unsupported order type";
    EXPIRY = 21711, "invalid expiry";
    CANCEL_ALL_TIME_IN_FORCE = 21713, "invalid cancel all time in force";
    CANCEL_ALL_TIME = 21714, "invalid cancel all time";
    ORDERS_PER_ACCOUNT = 21717, "maximum active limit order count reached";
    CLIENT_ORDER_INDEX = 21727, "invalid client order index";
    CLIENT_ORDER_INDEX_EXISTS = 21728, "client order index already exists";
    TRIGGER_PRICE = 21729, "invalid order trigger price";
    REDUCE_ONLY_INCREASES = 21732, "reduce only increases position";
    FAT_FINGER = 21733, "order price flagged as an accidental price";
    TOO_FAR_FROM_MARK = 21734, "limit order price is too far from the mark price";
    REDUCE_ONLY_MODE = 21740, "invalid reduce only mode";
    ORDER_MARGIN = 21739, "not enough margin to create the order";
    ASSET = 21801, "invalid asset index";
    WS_JSON = 30000, "Invalid Json";
    WS_TYPE = 30001, "Invalid Type";
    WS_DATA = 30007, "Invalid Data";
    WS_RATE = 30009, "Too Many Websocket Messages!";
    WS_IN_FLIGHT = 30010, "Too Many Inflight Messages!";
    WS_SUBSCRIPTIONS = 23001, "Too Many Subscriptions!";
}

/// Over the transactions per minute of the account's tier.
pub fn too_many_requests() -> Refusal {
    Refusal::with(429, 23000, "Too Many Requests!")
}

/// A parameter is missing or not what it should be.
pub fn parameter(what: &str) -> Refusal {
    Refusal::with(400, 20001, format!("invalid param : {what}"))
}

/// The auth token was refused; `why` as captured: `invalid deadline`, `invalid auth string`.
pub fn auth(why: &str) -> Refusal {
    Refusal::with(401, 20013, format!("invalid auth: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_as_captured() {
        assert_eq!(
            NONCE.body().to_string(),
            r#"{"code":21104,"message":"invalid nonce"}"#
        );
        let id = json!("probe-c");
        assert_eq!(
            NONCE.frame(Some(&id)),
            r#"{"error":{"code":21104,"message":"invalid nonce"},"id":"probe-c"}"#
        );
        assert_eq!(
            TX_INFO.frame(None),
            r#"{"error":{"code":21501,"message":"invalid tx info"}}"#
        );
        assert_eq!(auth("invalid deadline").status, 401);
        assert_eq!(too_many_requests().status, 429);
    }
}
