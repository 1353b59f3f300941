//! Lighter (zk order book): client side, sans I/O. Its rooms, limits and sources.
//!
//! `wire` reads messages, `feed` keeps books continuous, `orders` signs and sends (with `grid`,
//! `keyring`, `ledger`), `stream` is the account's side, `pulse` a connection's life, `setup` what
//! may be built, `sign` the cryptography, `account` the start-up REST calls.
//!
//! Base URLs: REST `https://mainnet.zklighter.elliot.ai`, WebSocket
//! `wss://mainnet.zklighter.elliot.ai/stream`; both are configuration, as is the chain id.

pub mod account;
mod changes;
pub mod feed;
pub mod frame;
mod grid;
mod keyring;
mod ledger;
mod nonces;
pub mod orders;
mod pulse;
mod setup;
pub mod sign;
mod stream;
pub mod wire;

use super::{LaneProtocol, LaneSpec};

// Sources. Constants name an entry.
//
// networks  official Python SDK 1.1.8, `lighter/configuration.py` and `signer_client.py`.
// ws        apidocs.lighter.xyz, "WebSocket" page (snapshot 2026-09), and frames captured on
//           mainnet and the test network 2026-07/08: `tests/data/lighter/lighter_messages.jsonl`.
// rest      apidocs.lighter.xyz OpenAPI (snapshot 2026-09) and captured answers, as above.
// signer    official native signer 1.1.8 and Go library `elliottech/lighter-go`:
//           `tests/data/lighter/lighter_tx.json`, `lighter_changepubkey.json`,
//           `lighter_auth_tokens.json`.
// crypto    official Go library `elliottech/poseidon_crypto`:
//           `tests/data/lighter/lighter_{poseidon2,curve,schnorr}.json`.
// orders    SDK 1.1.8 model `Order`, field `status`.
// fees      account limits page; fee fields of trades compared with the tiers' table on captured
//           mainnet trades.
// limits    rate limits page (2026-09): 200 client messages a minute and 50 in flight per IP,
//           transactions counted apart, per L1 address and tier.

/// Chain id of the main network, part of every transaction hash (source *networks*).
pub const CHAIN_ID_MAINNET: u64 = 304;
/// Chain id of the test network (source *networks*).
pub const CHAIN_ID_TESTNET: u64 = 300;

/// Lanes of the feed: one connection for all markets. The base URL ends in `/stream` already.
pub fn feed_lanes() -> Vec<LaneSpec> {
    vec![stream_lane()]
}

/// Lanes of the gateway on the stream's URL: 0 for orders, 1 for the account; apart, so that a
/// burst of account frames never stands in front of an order.
pub fn order_lanes() -> Vec<LaneSpec> {
    vec![stream_lane(), stream_lane()]
}

/// The gateway's last lane, 2: requests on the REST origin, for nonces.
pub fn rest_lane() -> LaneSpec {
    LaneSpec {
        protocol: LaneProtocol::Http,
        ..stream_lane()
    }
}

fn stream_lane() -> LaneSpec {
    LaneSpec {
        path: String::new(),
        headers: Vec::new(),
        protocol: LaneProtocol::WebSocket,
    }
}
