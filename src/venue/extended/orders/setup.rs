//! What the order side of one account is built from, and what it wants dialled.
//!
//! Promises: every constant text, table and buffer is made here, once; settings that cannot work
//! are refused with their name. Refuses: nothing later; the hot path grows nothing.

use super::budget::Budget;
use super::fills::Held;
use super::ladder::Ladder;
use super::lanes::LaneState;
use super::opening::Opening;
use super::payments::Payments;
use super::request::{Account, Requests, SetupError};
use super::stream::{Places, Stream};
use super::table::{OrderTable, SeenTrades};
use super::upkeep::Upkeep;
use super::{Core, ExtendedOrders, NO_MARKET};
use crate::market::INSTRUMENTS_MAX;
use crate::market::units::Nanos;
use crate::venue::agent::USER_AGENT;
use crate::venue::extended::MarketConfig;
use crate::venue::extended::sign::hash::{Chain, OrderHasher};
use crate::venue::extended::sign::{Salts, StarkKey};
use crate::venue::extended::wire::Decoder;
use crate::venue::{LaneProtocol, LaneSpec};
use zeroize::Zeroizing;

/// HTTP connections where the settings name no other number. Larger: more orders at the same
/// moment, more requests to keep them warm. Smaller: orders are refused as Busy.
pub const HTTP_LANES_DEFAULT: usize = 3;
/// Largest account message or answer expected; a larger one costs one allocation.
const MESSAGE_BYTES: usize = 64 * 1024;

/// What the order side of one account is built from.
pub struct OrdersSettings<'a> {
    /// Base URL for order requests, e.g. `https://api.starknet.extended.exchange/api/v1`.
    pub order_url: &'a str,
    /// The account's API key.
    pub api_key: &'a str,
    /// The account's Stark key.
    pub key: StarkKey,
    /// Chain of the signing domain.
    pub chain: Chain,
    /// The account's vault (position id).
    pub vault: u32,
    /// Markets that may be traded.
    pub markets: &'a [MarketConfig],
    /// HTTP connections, at least 1; see [`HTTP_LANES_DEFAULT`].
    pub http_lanes: usize,
    /// Requests a minute that the order side may make, its reserve included. The venue counts all
    /// of REST by address, so what reads elsewhere is to be left out of it.
    pub requests_per_minute: u32,
    /// The venue's dead man's switch, seconds; 0 leaves it alone. It is renewed at a third of this
    /// time. When it runs out the venue cancels *every* order of the account, also those that a
    /// person placed. It closes no position, and this engine rests no order, so it protects only
    /// against an order that should not be there. It is not disarmed at the end of a run. [D1]
    pub dead_mans_switch_s: u32,
}

impl ExtendedOrders {
    /// Builds every constant text and table. Fails on settings that cannot work.
    pub fn new(settings: OrdersSettings<'_>) -> Result<ExtendedOrders, SetupError> {
        let (public_key, vault) = (settings.key.public_key(), settings.vault);
        let account = Account {
            api_key: settings.api_key,
            public_key,
            vault,
        };
        let switch_s = settings.dead_mans_switch_s;
        let requests = Requests::new(settings.order_url, account, settings.markets, switch_s)?;
        let mut market_idx = Box::new([NO_MARKET; INSTRUMENTS_MAX]);
        for (idx, config) in settings.markets.iter().enumerate() {
            let slot = market_idx.get_mut(config.market.instrument.idx());
            *slot.ok_or(SetupError::Instrument)? = idx;
        }
        let core = Core {
            requests,
            hasher: OrderHasher::new(settings.chain, public_key, vault),
            key: settings.key,
            salts: Salts::random().ok_or(SetupError::NoRandomness)?,
            markets: settings.markets.into(),
            market_idx,
            lanes: vec![LaneState::Down; settings.http_lanes.max(1)].into_boxed_slice(),
            next_lane_idx: 0,
            budget: Budget::new(settings.requests_per_minute),
            opening: Opening::default(),
            upkeep: Upkeep::new(switch_s),
            payments: Payments::new(),
            ladder: None,
            table: OrderTable::new(),
            seen: SeenTrades::new(),
            held: Held::default(),
            places: Places::new(),
            started_ms: 0,
            stream: Stream::default(),
            told_up: false,
            told_closed: false,
            prepared: None,
            unsent: None,
            written: None,
            stated_ns: None,
            is_deaf: false,
            foreign_count: 0,
            missing_count: 0,
        };
        Ok(ExtendedOrders {
            decoder: Decoder::new(MESSAGE_BYTES),
            core,
            api_key: Zeroizing::new(settings.api_key.to_owned()),
        })
    }

    /// Keeps what is foreseen signed, to be used for so long after it was. Beyond a minute an order
    /// would be sent with its own life over.
    pub fn with_ladder(mut self, life_ns: u64) -> ExtendedOrders {
        let markets = self.core.markets.len();
        self.core.ladder = (life_ns > 0).then(|| Ladder::new(markets, life_ns));
        self
    }

    /// Orders that lie ready now.
    pub fn ready_count(&self, now: Nanos) -> usize {
        let ladder = self.core.ladder.as_ref();
        ladder.map_or(0, |ladder| ladder.ready_count(now))
    }

    /// What to dial: the account stream below the stream's base URL, then the HTTP connections to
    /// the order URL's host. Cold: once, before the start.
    pub fn lanes(&self) -> Vec<LaneSpec> {
        let stream = LaneSpec {
            path: "/account".to_owned(),
            headers: vec![
                ("X-Api-Key", self.api_key.to_string()),
                ("User-Agent", USER_AGENT.to_owned()),
            ],
            protocol: LaneProtocol::WebSocket,
            is_spare: false,
        };
        let http = LaneSpec {
            path: String::new(),
            headers: Vec::new(),
            protocol: LaneProtocol::Http,
            is_spare: false,
        };
        let https = std::iter::repeat_n(http, self.core.lanes.len());
        std::iter::once(stream).chain(https).collect()
    }
}
