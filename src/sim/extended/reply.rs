//! What goes back over HTTP: the venue's envelope, its error codes, and a page of a list.
//!
//! Promises: the numbers and names are the venue's; every refusal carries one of them. Refuses to
//! say more than `debugInfo` about what was wrong.

use serde_json::{Value, json};

/// What is said instead of an answer. The numbers are the venue's. [DOC Error responses]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs)] // Each name is the venue's own; the text is in `message`.
pub enum Code {
    BadRequest = 400,
    Unauthorized = 401,
    NotFound = 404,
    Conflict = 409,
    UnprocessableEntity = 422,
    RateLimited = 429,
    MarketNotFound = 1001,
    UnhandledError = 1006,
    MaintenanceMode = 1010,
    InvalidLeverageBelowMinLeverage = 1049,
    InvalidLeverageExceedsMaxLeverage = 1050,
    InvalidLeverageInvalidPrecision = 1053,
    InvalidStarknetPublicKey = 1100,
    InvalidStarknetSignature = 1101,
    InvalidStarknetVault = 1102,
    OrderQtyLessThanMinTradeSize = 1120,
    InvalidQtyWrongSizeIncrement = 1121,
    OrderValueExceedsMaxOrderValue = 1122,
    InvalidQtyPrecision = 1123,
    InvalidPriceWrongPriceMovement = 1124,
    InvalidPricePrecision = 1125,
    MaxOpenOrdersNumberExceeded = 1126,
    MaxPositionValueExceeded = 1127,
    InvalidTradingFees = 1128,
    MissingOrderPrice = 1130,
    NotAllowedOrderType = 1132,
    InvalidOrderParameters = 1133,
    DuplicateOrder = 1134,
    InvalidOrderExpiration = 1135,
    ReduceOnlyOrderSizeExceedsPositionSize = 1136,
    ReduceOnlyOrderPositionIsMissing = 1137,
    ReduceOnlyOrderPositionSameSide = 1138,
    MarketOrderMustBeIOC = 1139,
    OrderCostExceedsBalance = 1140,
    InvalidPriceAmount = 1141,
    EditOrderNotFound = 1142,
    OpenLossExceedsEquity = 1147,
    WithdrawalAmountMustBePositive = 1600,
    WithdrawalDescriptionToLong = 1601,
    WithdrawalRequestDoesNotMatchSettlement = 1602,
    WithdrawalExpirationTimeIsTooSoon = 1604,
    WithdrawalInvalidAsset = 1605,
    WithdrawalAccountDoesNotBelongToUser = 1608,
}

impl Code {
    /// The text beside the number. Only 1001 and 1140 are recorded; the rest say what the name
    /// says.
    fn message(self) -> &'static str {
        match self {
            Code::BadRequest => "Bad request",
            Code::Unauthorized => "Unauthorized",
            Code::NotFound => "Not found",
            Code::Conflict => "Exists already",
            Code::UnprocessableEntity => "Unprocessable entity",
            Code::RateLimited => "Rate limit exceeded",
            Code::MarketNotFound => "Market not found",
            Code::UnhandledError => "Unhandled error",
            Code::MaintenanceMode => "Maintenance mode",
            Code::InvalidLeverageBelowMinLeverage => "Leverage is below the minimum",
            Code::InvalidLeverageExceedsMaxLeverage => "Leverage exceeds the maximum",
            Code::InvalidLeverageInvalidPrecision => "Invalid leverage precision",
            Code::InvalidStarknetPublicKey => "Invalid Starknet public key",
            Code::InvalidStarknetSignature => "Invalid Starknet signature",
            Code::InvalidStarknetVault => "Invalid Starknet vault",
            Code::OrderQtyLessThanMinTradeSize => "Order quantity is less than minimum trade size",
            Code::InvalidQtyWrongSizeIncrement => "Invalid quantity: wrong size increment",
            Code::OrderValueExceedsMaxOrderValue => "Order value exceeds maximum order value",
            Code::InvalidQtyPrecision => "Invalid quantity precision",
            Code::InvalidPriceWrongPriceMovement => "Invalid price: wrong price movement",
            Code::InvalidPricePrecision => "Invalid price precision",
            Code::MaxOpenOrdersNumberExceeded => "Maximum number of open orders exceeded",
            Code::MaxPositionValueExceeded => "Maximum position value exceeded",
            Code::InvalidTradingFees => "Invalid trading fees",
            Code::MissingOrderPrice => "Order price is missing",
            Code::NotAllowedOrderType => "Order type is not allowed",
            Code::InvalidOrderParameters => "Invalid order parameters",
            Code::DuplicateOrder => "Duplicate order",
            Code::InvalidOrderExpiration => "Invalid order expiration",
            Code::ReduceOnlyOrderSizeExceedsPositionSize => {
                "Reduce-only order size exceeds position size"
            }
            Code::ReduceOnlyOrderPositionIsMissing => "Reduce-only order: position is missing",
            Code::ReduceOnlyOrderPositionSameSide => {
                "Reduce-only order is on the same side as the position"
            }
            Code::MarketOrderMustBeIOC => "Market order must be IOC",
            Code::OrderCostExceedsBalance => "New order cost exceeds available balance",
            Code::InvalidPriceAmount => "Invalid price amount",
            Code::EditOrderNotFound => "Order to edit is not found",
            Code::OpenLossExceedsEquity => "Open loss exceeds equity",
            Code::WithdrawalAmountMustBePositive => "Withdrawal amount must be positive",
            Code::WithdrawalDescriptionToLong => "Withdrawal description is too long",
            Code::WithdrawalRequestDoesNotMatchSettlement => {
                "Withdrawal request does not match its settlement"
            }
            Code::WithdrawalExpirationTimeIsTooSoon => "Withdrawal expiration time is too soon",
            Code::WithdrawalInvalidAsset => "Invalid withdrawal asset",
            Code::WithdrawalAccountDoesNotBelongToUser => {
                "Withdrawal account does not belong to the user"
            }
        }
    }

    /// The HTTP status. Documented for 400 to 429; assumed to be 400 for the rest.
    pub fn http(self) -> u16 {
        match self as u16 {
            http @ 400..=499 => http,
            1001 => 404,
            _ => 400,
        }
    }

    /// With a word on what exactly was wrong.
    pub fn because(self, why: impl Into<String>) -> Refusal {
        Refusal {
            code: self,
            why: why.into(),
        }
    }
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The venue's code.
    pub code: Code,
    /// `debugInfo`; may be empty.
    pub why: String,
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Refusal {
        code.because("")
    }
}

/// What goes back over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON, or empty where the venue answers with nothing.
    pub body: String,
}

impl Reply {
    /// `{"status":"OK","data":..}`; without `data` when that is null. Written by hand so that the
    /// members stand in the venue's order.
    pub fn data(data: Value) -> Reply {
        let body = if data.is_null() {
            r#"{"status":"OK"}"#.into()
        } else {
            format!(r#"{{"status":"OK","data":{data}}}"#)
        };
        Reply { status: 200, body }
    }

    /// A page of a list, its cursor being the id of the last row.
    pub fn page(rows: Vec<Value>) -> Reply {
        let cursor = rows.last().map(|row| row["id"].clone());
        let pagination = json!({"cursor": cursor, "count": rows.len()});
        let data = Value::from(rows);
        Reply {
            status: 200,
            body: format!(r#"{{"status":"OK","data":{data},"pagination":{pagination}}}"#),
        }
    }

    /// HTTP 200 and nothing else.
    pub fn empty() -> Reply {
        Reply {
            status: 200,
            body: String::new(),
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply {
            status: refusal.code.http(),
            body: error_envelope(&refusal),
        }
    }
}

/// `{"status":"ERROR","error":{..}}`.
pub fn error_envelope(refusal: &Refusal) -> String {
    let mut error = json!({
        "code": refusal.code as u16,
        "message": refusal.code.message(),
    });
    if !refusal.why.is_empty() {
        error["debugInfo"] = refusal.why.clone().into();
    }
    format!(r#"{{"status":"ERROR","error":{error}}}"#)
}
