//! The simulated Extended venue: what the real one says on the wire, over one shared exchange.
//!
//! Promises: every check the venue documents is made, in the order of `check`, and refused with
//! the venue's own code; the reply to an order is an id, what became of it comes on the account
//! stream. Refuses: order kinds the exchange does not carry (conditional, TP/SL, TWAP) with the
//! venue's 1132, rather than pretending.
//!
//! Sources: [DOC] <https://api.docs.extended.exchange>, read in 2026; [SDK] the Python package
//! x10-python-trading-starknet 2.6.0; [CAP] public captures of mainnet frames of 2025 and 2026,
//! kept in `tests/data/extended/`. Constants below name theirs.

mod bulletin;
pub mod check;
pub mod frame;
mod money;
pub mod onboarding;
pub mod press;
pub mod private;
pub mod reply;
pub mod rest;
pub mod rpc;
pub mod settlement;
pub mod stream;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_faults;
#[cfg(test)]
mod tests_wire;
pub mod wire;

use crate::keys::onboarding::{Chain, Onboarding};
use crate::market::InstrumentId;
use crate::market::units::{Nanos, SECOND};
use crate::sim::exchange::{Exchange, Happening, Rules};
use crate::sim::extended::money::Bridge;
use crate::sim::extended::onboarding::Wallets;
use crate::sim::extended::press::Press;
use crate::sim::extended::settlement::{Assets, Felt, parse_hex, public_key};
use crate::sim::server::{Floor, Moment, logged, web};
use crate::sim::wallet::Wallet;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Requests a minute and address, all REST endpoints together. [DOC Rate Limits, Default]
pub const REQUESTS_PER_MINUTE_MAX: usize = 1_000;
/// Open orders a market. [CAP tradingConfig.maxNumOrders]
pub const OPEN_ORDERS_MAX: usize = 200;
/// Longest life of an order on mainnet, milliseconds: 90 days. [DOC error 1135]
pub const EXPIRY_MS_MAX: u64 = 90 * 24 * 60 * 60 * 1000;
/// Largest order value of type MARKET, dollars. [CAP tradingConfig.maxMarketOrderValue]
pub const MARKET_VALUE_USD_MAX: i64 = 3_000_000;
/// Largest order value of type LIMIT, dollars. [CAP tradingConfig.maxLimitOrderValue]
pub const LIMIT_VALUE_USD_MAX: i64 = 15_000_000;
/// How far through the mark an order may be priced, per cent. [CAP tradingConfig.limitPriceCap]
pub const PRICE_CAP_PERCENT: i64 = 5;
/// Settlement units in one dollar. [CAP l2Config.collateralResolution]
pub const COLLATERAL_RESOLUTION: u64 = 1_000_000;
/// The network whose signing domain this venue uses. The keys are made from a seed and the venue
/// listens on loopback only, so nothing signed for it is of use elsewhere.
pub const CHAIN_ID: &str = "SN_MAIN";
/// Name in the EIP-712 domain of that network. [SDK config]
pub const SIGNING_DOMAIN: &str = "extended.exchange";
/// Position id of the one account.
const VAULT: u32 = 10_002;
/// Venue ids are about 2.1e18, above what a double can hold. [CAP]
const ID_BASE: u64 = 2_100_000_000_000_000_000;

/// The one account of this venue, made from the run's seed; never a real one.
#[derive(Clone)]
pub struct Credentials {
    /// Value of `X-Api-Key`.
    pub api_key: String,
    /// Stark private key, hex.
    pub private_key: String,
    /// Stark public key, hex.
    pub public_key: String,
    /// Position id.
    pub vault: u32,
    /// Account id.
    pub account_id: u64,
    /// Address of the wallet it belongs to.
    pub wallet: String,
}

impl Credentials {
    /// The same seed always gives the same account.
    pub fn from_seed(seed: u64) -> Credentials {
        let wallet = Wallet::key(seed);
        // As the venue's own page derives it; no host stands in what is signed for that.
        let onboarding = Onboarding {
            key: &wallet,
            chain: Chain::Main,
            host: "",
            account_index: 0,
        };
        let private_key = Felt::from_bytes_be(onboarding.stark_key().expose());
        let api_key: String = digest(seed, "api key")[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Credentials {
            api_key,
            private_key: format!("{private_key:#x}"),
            public_key: format!("{:#x}", public_key(&private_key)),
            vault: VAULT,
            account_id: 100_000 + u64::from(digest(seed, "account")[0]),
            wallet: wallet.address().to_string(),
        }
    }
}

/// Thirty-two bytes made from the seed for one purpose.
pub fn digest(seed: u64, purpose: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update("parallax simulated extended ");
    hasher.update(purpose);
    hasher.update(seed.to_be_bytes());
    hasher.finalize().into()
}

/// The account's fee rates.
#[derive(Clone, Copy, Debug)]
pub struct Fees {
    /// Taker rate, 10^-6 of notional.
    pub taker_e6: u32,
    /// Maker rate, 10^-6 of notional.
    pub maker_e6: u32,
}

/// One listed market.
pub struct Listing {
    /// The exchange's rules.
    pub rules: Rules,
    /// Its assets on the settlement layer.
    pub assets: Assets,
    /// Digits after the point of a quantity on the lot.
    pub qty_places: u32,
}

impl Listing {
    fn new(rules: &Rules) -> Listing {
        let qty_places = places(rules.lot.0);
        // As live: one digit finer than the lot, and the digit is part of the id (`BTC-6`). [CAP]
        let digits = qty_places + 1;
        let mut id = [0; 31];
        let name = format!("{}-{digits}", rules.base);
        let name_len = name.len().min(15);
        id[16..16 + name_len].copy_from_slice(&name.as_bytes()[..name_len]);
        // The text stands at the front of fifteen bytes, zeros behind it.
        Listing {
            rules: rules.clone(),
            assets: Assets {
                synthetic_id: Felt::from_bytes_be_slice(&id),
                synthetic_resolution: 10_u64.pow(digits),
                collateral_id: Felt::ONE,
                collateral_resolution: COLLATERAL_RESOLUTION,
            },
            qty_places,
        }
    }
}

/// Digits after the point of a step at 10^-9.
pub fn places(step: i64) -> u32 {
    (0..9)
        .find(|places| step % 10_i64.pow(9 - places) == 0)
        .unwrap_or(9)
}

/// What the venue remembers besides the exchange's orders.
#[derive(Default)]
pub struct Ledger {
    /// Every external id ever taken, with the order's number.
    pub ids: HashMap<String, u64>,
    /// Every message hash ever taken.
    pub hashes: HashSet<[u8; 32]>,
    /// Orders that ended because another replaced them.
    pub replaced: HashSet<u64>,
    /// Leverage set by the client, as text, by instrument.
    pub leverage: HashMap<InstrumentId, String>,
    /// Counts the calls of the dead man's switch; the last one counts.
    pub switch: u64,
    /// Quotes of the bridge, and withdrawals taken.
    pub bridge: Bridge,
    requests: VecDeque<Nanos>,
}

impl Ledger {
    /// Counts one request against the sliding minute; `false` when it is used up.
    pub fn admit(&mut self, now: Nanos) -> bool {
        while let Some(first) = self.requests.front() {
            if now.since(*first) < 60 * SECOND {
                break;
            }
            self.requests.pop_front();
        }
        let free = self.requests.len() < REQUESTS_PER_MINUTE_MAX;
        if free {
            self.requests.push_back(now);
        }
        free
    }
}

/// The venue: the floor it stands on, its one account, its markets and its memory.
pub struct Desk {
    /// The exchange and its clock.
    pub floor: Arc<Floor>,
    /// The account.
    pub keys: Credentials,
    /// The account's public key as a number.
    pub account_key: Felt,
    /// Hash of the signing domain.
    pub domain: Felt,
    /// The account's fee rates.
    pub fees: Fees,
    /// Markets, by instrument.
    pub listings: Arc<[Listing]>,
    /// When the venue opened: the creation time of things that need one.
    pub opened: Nanos,
    /// Writes the frames of the streams.
    pub press: Press,
    ledger: Arc<Mutex<Ledger>>,
    wallets: Mutex<Wallets>,
}

impl Desk {
    /// Opens the venue and hangs its press on the floor.
    pub fn new(floor: Arc<Floor>, keys: Credentials, fees: Fees) -> Arc<Desk> {
        let listings: Vec<Listing> =
            floor.look(|exchange| exchange.rules().iter().map(Listing::new).collect());
        let account_key = parse_hex(&keys.public_key)
            .expect("the public key was written by from_seed as plain hex");
        let opened = floor.now();
        let desk = Arc::new(Desk {
            floor: Arc::clone(&floor),
            account_key,
            wallets: Mutex::new(Wallets::new(&keys)),
            keys,
            domain: settlement::domain_hash(CHAIN_ID),
            fees,
            listings: listings.into(),
            opened,
            press: Press::default(),
            ledger: Arc::default(),
        });
        // The floor must not keep the desk alive, which keeps the floor alive.
        let weak = Arc::downgrade(&desk);
        floor.set_press(Box::new(
            move |exchange: &Exchange, moment: Moment, happened: &[Happening]| {
                // Without a desk there is nobody to write for.
                let never = Nanos(u64::MAX);
                weak.upgrade()
                    .map_or(never, |desk| desk.print(exchange, moment, happened))
            },
        ));
        desk
    }

    /// The venue's memory. Taken inside the exchange's lock or without it, never around it.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who has which account. Taken alone.
    pub fn wallets(&self) -> MutexGuard<'_, Wallets> {
        self.wallets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The market of that name.
    pub fn listing(&self, name: &str) -> Option<&Listing> {
        self.listings
            .iter()
            .find(|market| market.rules.name == name)
    }

    /// The whole book as it stands, for a client that is subscribed already.
    pub fn snapshot(&self, instrument: InstrumentId) -> Option<frame::Frame> {
        let (opening, _) = self.join(frame::Topic::Book(Some(instrument)));
        opening.into_iter().next()
    }

    /// The market of that instrument.
    pub fn market(&self, instrument: InstrumentId) -> &Listing {
        &self.listings[instrument.idx()]
    }
}

/// The venue's id of an order or trade.
pub fn venue_id(number: u64) -> u64 {
    ID_BASE + number
}

/// The exchange's number behind a venue id.
pub fn number_of(id: u64) -> Option<u64> {
    id.checked_sub(ID_BASE)
}

/// All of the venue's paths; every request is logged.
pub fn router(desk: Arc<Desk>) -> web::Router {
    let floor = Arc::clone(&desk.floor);
    let routes = web::Router::new()
        .route(
            "/stream.extended.exchange/v1/{*topic}",
            web::any(stream::upgrade),
        )
        .route("/stream.extended.exchange/v2/rpc", web::any(rpc::upgrade))
        .fallback(rest::serve)
        .with_state(desk);
    logged(routes, floor)
}
