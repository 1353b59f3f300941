//! Extended (Starknet perpetuals): endpoints, limits, sources.
//!
//! Books and account news come on WebSocket streams, one per topic; orders go as HTTP requests and
//! carry a Stark signature over the settlement layer's integers. The answer to an order is not its
//! result: fills come on the account stream only.
//!
//! *Sources*
//! - D1: API documentation, <https://api.docs.extended.exchange>, copy of November 2026
//! - D2: user documentation, <https://docs.extended.exchange>
//! - S1: official Python SDK, package `x10-python-trading-starknet` 2.6.0
//! - S2: official signing library, package `fast_stark_crypto` 0.5.0, and its Rust source
//!   `x10xchange/rust-crypto-lib-base`
//! - C1: captures of mainnet, 2025-11 to 2026-09 (`tests/data/extended/extended_messages.jsonl`)

pub mod account;
pub mod feed;
pub mod frame;
pub mod orders;
pub mod sign;
pub mod wire;

use crate::market::Market;
use crate::venue::extended::sign::Felt;

/// REST base of mainnet; also where orders go today (S1 keeps the two apart, and so do we).
pub const REST_URL_MAIN: &str = "https://api.starknet.extended.exchange/api/v1";
/// Stream base of mainnet.
pub const STREAM_URL_MAIN: &str =
    "wss://api.starknet.extended.exchange/stream.extended.exchange/v1";
/// REST base of the test network.
pub const REST_URL_SEPOLIA: &str = "https://api.starknet.sepolia.extended.exchange/api/v1";
/// Stream base of the test network.
pub const STREAM_URL_SEPOLIA: &str =
    "wss://api.starknet.sepolia.extended.exchange/stream.extended.exchange/v1";

/// Requests a minute and IP address that a standard account may make, all of REST together (D1,
/// rate limits). Higher tiers: 4,000, 8,000, 12,000.
pub const REQUESTS_PER_MINUTE_DEFAULT: u32 = 1000;

/// A market and the venue's own numbers that orders on it are signed with. Read from the venue at
/// start, never derived (D1, markets).
#[derive(Clone, Debug)]
pub struct MarketConfig {
    /// The market as the rest of the house knows it.
    pub market: Market,
    /// `l2Config.syntheticId`.
    pub base_asset: Felt,
    /// `l2Config.syntheticResolution`: settlement units in one unit of base.
    pub base_resolution: u64,
    /// `l2Config.collateralId`.
    pub quote_asset: Felt,
    /// `l2Config.collateralResolution`: settlement units in one unit of quote.
    pub quote_resolution: u64,
    /// Taker fee rate of the account on this market, as a ratio at 10^-9: exact, unlike bps. It is
    /// signed as the highest fee accepted.
    pub fee_rate_taker: i64,
}
