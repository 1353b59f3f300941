//! Fields that several transaction types share: official name, smallest and largest value, meaning.
//!
//! The ranges are the signer's. The venue's own are narrower in places and may change: perpetual
//! markets are 0..=254 and spot markets 2048..=4094 today, an order's expiry lies 5 minutes to 30
//! days ahead, a scheduled cancel-all 5 minutes to 15 days. Those it refuses itself, with a code.
//!
//! Source: as in `kinds`.

use super::checks::{
    ACCOUNT_MAX, AMOUNT_MAX, FEE_MAX, Fault, MAX_48, PRICE_MAX, Rule, TIME_MAX, rule,
};

/// The market index that stands for none.
pub const NO_MARKET: i64 = 255;
/// Where sub-accounts and pools begin; master accounts lie below.
const SUB_ACCOUNT_MIN: i64 = 1 << 47;

// What every transaction begins with, in the order of the hash.

pub const NONCE: Rule = rule!("Nonce", 0, MAX_48, "the key's next nonce");
pub const EXPIRED_AT: Rule = rule!("ExpiredAt", 0, MAX_48, "milliseconds since the epoch");
pub const KEY: Rule = rule!("ApiKeyIndex", 0, 254, "slot of the API key");

/// Nearly every type's.
pub static HEAD: [Rule; 4] = [
    NONCE,
    EXPIRED_AT,
    rule!("AccountIndex", 0, ACCOUNT_MAX, "account that signs"),
    KEY,
];

/// Where the account only sends.
pub static HEAD_FROM: [Rule; 4] = [
    NONCE,
    EXPIRED_AT,
    rule!("FromAccountIndex", 0, ACCOUNT_MAX, "account that signs"),
    KEY,
];

/// What only a master account may do.
pub static HEAD_MASTER: [Rule; 4] = [
    NONCE,
    EXPIRED_AT,
    rule!(
        "AccountIndex",
        0,
        SUB_ACCOUNT_MIN - 1,
        "master account that signs"
    ),
    KEY,
];

// Orders.

pub const MARKET: Rule = rule!("MarketIndex", 0, MAX_48, "the venue's number of the market");
/// Both kinds of index in one field: the client's below 2^48, the venue's above.
pub const INDEX: Rule = rule!("Index", 1, AMOUNT_MAX, "order index or client order index");
pub const CLIENT_ORDER_INDEX: Rule = rule!(
    "ClientOrderIndex",
    0,
    MAX_48,
    "our number of the order, 0 none"
);
/// 0 is in range, for modifications and reduce-only orders; `order` refuses it elsewhere.
pub const BASE_AMOUNT: Rule = rule!(
    "BaseAmount",
    0,
    MAX_48,
    "size in the market's smallest unit"
);
pub const PRICE: Rule = rule!("Price", 1, PRICE_MAX, "price in the market's smallest unit");
pub const IS_ASK: Rule = rule!("IsAsk", 0, 1, "1 sells, 0 buys");
pub const TYPE: Rule = rule!("Type", 0, 6, "order type, from 0 limit to 6 TWAP");
pub const TIME_IN_FORCE: Rule = rule!(
    "TimeInForce",
    0,
    2,
    "0 immediate-or-cancel, 1 good-till-time, 2 post-only"
);
pub const REDUCE_ONLY: Rule = rule!("ReduceOnly", 0, 1, "1 only reduces the position");
pub const TRIGGER_PRICE: Rule = rule!(
    "TriggerPrice",
    0,
    PRICE_MAX,
    "price in the market's smallest unit, 0 none"
);
pub const ORDER_EXPIRY: Rule = rule!(
    "OrderExpiry",
    0,
    TIME_MAX,
    "milliseconds since the epoch, 0 none"
);
pub const GROUPING_TYPE: Rule = rule!(
    "GroupingType",
    1,
    3,
    "1 one triggers the other, 2 one cancels the other, 3 both"
);
/// Same name as an order's, other meanings.
pub const CANCEL_ALL_TIME_IN_FORCE: Rule = rule!(
    "TimeInForce",
    0,
    2,
    "0 now, 1 at a time, 2 drops the schedule"
);
pub const TIME: Rule = rule!("Time", 0, TIME_MAX, "milliseconds since the epoch, 0 none");

// Money and shares. Pools are accounts among the sub-accounts.

pub const ASSET: Rule = rule!("AssetIndex", 1, 62, "the venue's number of the asset");
pub const PUBLIC_POOL: Rule = rule!(
    "PublicPoolIndex",
    SUB_ACCOUNT_MIN,
    ACCOUNT_MAX,
    "account index of the pool"
);
pub const STAKING_POOL: Rule = rule!(
    "StakingPoolIndex",
    SUB_ACCOUNT_MIN,
    ACCOUNT_MAX,
    "account index of the pool"
);
pub const SHARE_AMOUNT: Rule = rule!("ShareAmount", 1, AMOUNT_MAX, "shares of the pool");
pub const OPERATOR_FEE: Rule = rule!("OperatorFee", 0, FEE_MAX, "in 10^-6 of the gain");
pub const INITIAL_TOTAL_SHARES: Rule = rule!(
    "InitialTotalShares",
    1,
    1_000_000_000_000,
    "shares of 0.001 USDC"
);
pub const MIN_OPERATOR_SHARE_RATE: Rule = rule!(
    "MinOperatorShareRate",
    0,
    10_000,
    "the operator's part in 10^-4"
);
pub const APPROVAL_EXPIRY: Rule = rule!(
    "ApprovalExpiry",
    0,
    MAX_48,
    "milliseconds since the epoch, 0 revokes"
);

/// Whether a market index is one: 255 stands for none.
#[inline]
pub fn is_market(index: i64) -> Result<(), Fault> {
    if index == NO_MARKET {
        return Err(MARKET.forbidden(index, "it stands for no market"));
    }
    Ok(())
}
