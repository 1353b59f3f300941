//! Lighter (zk order book): client side, sans I/O. Its rooms, limits and sources.
//!
//! `wire` reads messages, `feed` keeps books continuous, `orders` signs and sends (with `grid`,
//! `keyring`, `ledger`, `quota`, `switch`), `stream` is the account's side (`words`: its rows),
//! `inquiry` asks over REST, `pulse` is a connection's life, `setup` what may be built, `sign` the
//! cryptography, `account` the start-up REST calls.
//!
//! Base URLs: REST `https://mainnet.zklighter.elliot.ai`, WebSocket
//! `wss://mainnet.zklighter.elliot.ai/stream`; both are configuration, as is the chain id.

pub mod account;
mod changes;
pub mod feed;
pub mod frame;
mod funding;
mod grid;
mod inquiry;
mod keyring;
mod ledger;
pub mod orders;
mod pulse;
mod quota;
mod setup;
pub mod sign;
mod sink;
mod stream;
mod switch;
pub mod wire;
mod words;

use super::{Lane, LaneProtocol, LaneSpec};

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
// codes     constants page of apidocs.lighter.xyz (2026-07).
// nonces    API keys page of apidocs.lighter.xyz; replays and gaps tried on the test network.
// limits    rate limits page (2026-09): 200 client messages a minute and 50 in flight per IP,
//           transactions counted apart, per L1 address and tier; 500 subscriptions a connection.

/// Chain id of the main network, part of every transaction hash (source *networks*).
pub const CHAIN_ID_MAINNET: u64 = 304;
/// Chain id of the test network (source *networks*).
pub const CHAIN_ID_TESTNET: u64 = 300;

/// Kinds of connection of the feed: 0 books, 1 fast tops, 2 trades and statistics. Apart, so that
/// one's burst never stands in front of another's frame.
pub const FEED_KINDS: usize = 3;
/// Lanes of the feed: one a kind, and after them one a kind that sleeps until the venue announces
/// the end of the first.
pub const FEED_LANES: usize = 2 * FEED_KINDS;
/// Channels on one connection (source *limits*; older texts say 100).
pub const SUBSCRIPTIONS_MAX: usize = 500;

/// Lanes of the feed, the sleeping ones last. The base URL ends in `/stream` already.
pub fn feed_lanes() -> Vec<LaneSpec> {
    let lane = |lane| LaneSpec {
        is_spare: lane >= FEED_KINDS,
        ..stream_lane()
    };
    (0..FEED_LANES).map(lane).collect()
}

/// Lanes of the gateway on the stream's URL: 0 for orders, 1 for the account; apart, so that a
/// burst of account frames never stands in front of an order.
pub fn order_lanes() -> Vec<LaneSpec> {
    vec![stream_lane(), stream_lane()]
}

/// The gateway's last lane, 2: requests on the REST origin, for nonces and orders in doubt.
pub fn rest_lane() -> LaneSpec {
    LaneSpec {
        protocol: LaneProtocol::Http,
        is_spare: false,
        ..stream_lane()
    }
}

fn stream_lane() -> LaneSpec {
    LaneSpec {
        path: String::new(),
        headers: Vec::new(),
        protocol: LaneProtocol::WebSocket,
        is_spare: false,
    }
}

/// Whether a lane of market data is for books.
pub const fn is_book_lane(lane: Lane) -> bool {
    lane.is_multiple_of(FEED_KINDS)
}
