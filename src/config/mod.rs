//! Settings: environment and `.env` → `Raw` → `Config`. The only reader of the environment.
//!
//! Promises: a `Config` exists only when every setting is known, well formed, and fits the others;
//! otherwise all faults come back together, each with its fix. Money and basis points are read
//! exactly. Live trading beyond this machine takes no limit and no endpoint from a default.
//! Refuses: unknown names (with the nearest known one), files that others can read, plain text
//! beyond loopback, and settings whose function this version does not have.

mod accounts;
mod acknowledgement;
mod chain;
mod fault;
mod keystore;
mod machine;
mod names;
mod raw;
mod read;
mod relations;
mod treasury;
mod url;
mod values;

pub use accounts::{Accounts, Ceremony, Place};
pub use acknowledgement::disarms;
pub use chain::L1;
pub use fault::{Fault, Faults};
pub use machine::{Machine, Seats};
pub use names::{KEYS, Key, Kind, Tighten};
pub use raw::{credentials_dir, default_file, process_environment};
pub use treasury::{Holdings, Treasury};
pub use url::{Protocol, Url, UrlFault};

use crate::keys::passphrase::Unlock;
use crate::keys::{Secret, SecretBytes};
use crate::market::units::{Bps, Notional};
use crate::market::{Name, VENUE_COUNT};
use raw::Raw;
use std::path::{Path, PathBuf};

/// Everything that was decided before the start.
#[derive(Debug)]
pub struct Config {
    /// TRADING_MODE.
    pub mode: Mode,
    /// AUTO_EXECUTION_ENABLED.
    pub auto_execution: bool,
    /// CONSERVATIVE_MODE; the limits are tightened already.
    pub conservative: bool,
    /// MARKETS.
    pub markets: Markets,
    /// SEATS.
    pub seats: Seats,
    /// What is asked of the operating system.
    pub machine: Machine,
    /// Contents of TLS_CA_FILE: root certificates accepted beside the public ones.
    pub extra_root_pem: Option<Vec<u8>>,
    /// Venue Extended.
    pub extended: Extended,
    /// Venue Lighter.
    pub lighter: Lighter,
    /// The scanner's limits.
    pub limits: Limits,
    /// PAPER_EQUITY_USD: what a run on paper has at each venue.
    pub paper_equity: Notional,
    /// ON_START.
    pub on_start: OnStart,
    /// ON_DRAIN.
    pub on_drain: OnDrain,
    /// DRAIN_S: how long a drain may take before the run ends all the same, seconds.
    pub drain_s: u64,
    /// STATE_DIR: where runs keep what the next one must know. `None`: nowhere, as in a demo.
    pub state_dir: Option<PathBuf>,
    /// What the treasury watches for.
    pub treasury: Treasury,
    /// Where Ethereum is; `None`: not set, so that nothing is sent there.
    pub l1: Option<L1>,
    /// The wallet's key, where AUTO_REBALANCE is true and there is one.
    pub wallet: Option<Secret>,
    /// LIVE_ACK must be this to trade live beyond this machine.
    pub fingerprint: String,
    /// What the user should know: settings that are accepted but have no effect here.
    pub notes: Vec<String>,
}

/// ON_START: what is done about orders and lone legs that a run finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStart {
    /// Orders are cancelled, lone legs closed.
    Repair,
    /// Nothing is touched, and the run does not start.
    Refuse,
}

/// ON_DRAIN: what becomes of hedged pairs when a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDrain {
    /// They are closed.
    Flatten,
    /// They stay; the next run adopts them.
    Hold,
}

/// What a configuration is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To trade: a live run beyond this machine needs its acknowledgement.
    Run,
    /// To find out whether it could: whatever is wrong is told, and nothing needs to be armed.
    Check,
    /// For public data.
    Public,
}

fn from_env(file: Option<&Path>) -> Raw {
    let found = file.map(Path::to_owned).or_else(default_file);
    Raw::from_sources(found.as_deref(), process_environment())
}

/// TRADING_MODE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is sent.
    DryRun,
    /// Orders are real when AUTO_EXECUTION_ENABLED is true.
    Live,
}

impl Mode {
    /// Name as in the setting and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::DryRun => "dry_run",
            Mode::Live => "live",
        }
    }
}

/// Which instruments to trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Markets {
    /// All that both venues list.
    All,
    /// These, by the name of the underlying, e.g. `BTC`.
    Only(Vec<Name>),
}

/// Number of stages a core list names.
pub const STAGE_COUNT: usize = 5;

/// Settings of venue Extended.
#[derive(Debug)]
pub struct Extended {
    /// REST, ends in `/api/v1`.
    pub base: Url,
    /// Streams, ends in `/v1`.
    pub stream: Url,
    /// Where orders go; the REST address unless EXTENDED_ORDER_URL says otherwise.
    pub order: Url,
    /// Second-version stream.
    pub rpc: Url,
    /// Onboarding host.
    pub onboarding: Url,
    /// Starknet chain of the signatures.
    pub chain: StarknetChain,
    /// Name in the domain of Ethereum signatures (onboarding).
    pub signing_domain: String,
    /// Connections that carry orders, one order in flight on each.
    pub order_lanes: usize,
    /// EXTENDED_DEAD_MANS_SWITCH_S; 0 is off.
    pub dead_mans_switch_s: u32,
    /// For how long an order may lie ready-signed; 0: none does.
    pub ready_orders_ns: u64,
    /// The account, when its settings are there. Always there when orders are signed.
    pub account: Option<ExtendedAccount>,
}

/// Which Starknet chain a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StarknetChain {
    /// SN_MAIN.
    Main,
    /// SN_SEPOLIA, the test network.
    Sepolia,
}

impl StarknetChain {
    /// The chain id as signed.
    pub const fn name(self) -> &'static str {
        match self {
            StarknetChain::Main => "SN_MAIN",
            StarknetChain::Sepolia => "SN_SEPOLIA",
        }
    }
}

/// An account on Extended.
#[derive(Debug)]
pub struct ExtendedAccount {
    /// EXTENDED_API_KEY.
    pub api_key: Secret,
    /// EXTENDED_PRIVATE_KEY, big-endian, below the order of the Stark curve.
    pub private_key: SecretBytes<32>,
    /// EXTENDED_VAULT: the position id in every order.
    pub vault: u32,
}

/// Settings of venue Lighter.
#[derive(Debug)]
pub struct Lighter {
    /// REST, the bare origin.
    pub base: Url,
    /// Stream, ends in `/stream`.
    pub ws: Url,
    /// LIGHTER_CHAIN_ID: 304 on the main network.
    pub chain_id: u32,
    /// LIGHTER_WS_MESSAGES_PER_MIN: subscribes, leaves and pings of market data.
    pub messages_per_minute: usize,
    /// LIGHTER_DEAD_MANS_SWITCH_S; 0 is off.
    pub dead_mans_switch_s: u32,
    /// The account, when its settings are there. Always there when orders are signed.
    pub account: Option<LighterAccount>,
}

/// An account on Lighter.
#[derive(Debug)]
pub struct LighterAccount {
    /// LIGHTER_ACCOUNT_INDEX, below 2^48.
    pub index: u64,
    /// LIGHTER_API_KEYS, at least one, each index once.
    pub keys: Vec<LighterKey>,
}

/// One API key of a Lighter account.
#[derive(Debug)]
pub struct LighterKey {
    /// API key index, 0 to 254.
    pub index: u8,
    /// Private key as the venue prints it (little-endian).
    pub private_key: SecretBytes<40>,
}

/// Order of the two legs of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegOrder {
    /// Whichever has been worth most on this market, slow first until that is known.
    Auto,
    /// The venue that holds takers back goes first, the other on its fill.
    SlowFirst,
    /// The immediate venue goes first, the other at once within the hedge band.
    FastFirst,
    /// Both at the same moment.
    Both,
}

/// The scanner's limits, tightened already in conservative mode. Durations in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// AUTO_EXECUTION_ENABLED.
    pub entries_enabled: bool,
    /// MIN_EXECUTION_SPREAD_BPS.
    pub gross_min: Bps,
    /// MIN_NET_EDGE_BPS.
    pub net_min: Bps,
    /// EXIT_BPS.
    pub exit_over_fair: Bps,
    /// MAX_POSITION_SIZE_USD, per market and venue.
    pub position_max: Notional,
    /// MAX_GROSS_USD, over all markets.
    pub gross_max: Notional,
    /// EQUITY_SHARE_PCT, as 10^-4.
    pub equity_share_e4: u32,
    /// BALANCE_LIQUIDITY_RATIO, as 10^-4; 0 is off.
    pub balance_ratio_e4: u32,
    /// What is done at which distance to liquidation.
    pub margin: Margin,
    /// DEPTH_HAIRCUT_PCT, in 10^-4 of visible depth.
    pub depth_haircut_e4: u32,
    /// EDGE_PLAUSIBLE_MAX_BPS.
    pub plausible_max: Bps,
    /// STALE_AFTER_MS.
    pub stale_after_ns: u64,
    /// SLIPPAGE_BPS.
    pub slippage: Bps,
    /// HEDGE_BAND_BPS.
    pub hedge_band: Bps,
    /// FAIR_WINDOW_S.
    pub fair_window_ns: u64,
    /// FAIR_SAMPLES_MIN, one sample every 100 ms.
    pub fair_samples_min: u32,
    /// REGIME_AFTER_S.
    pub regime_after_ns: u64,
    /// STOP_LOSS_BPS.
    pub stop: Bps,
    /// HOLD_MAX_S.
    pub hold_max_ns: u64,
    /// PAIR_SLOTS, per instrument.
    pub slots: u8,
    /// LEG_ORDER.
    pub leg_order: LegOrder,
    /// EXTENDED_MATCH_DELAY_MS and LIGHTER_MATCH_DELAY_MS, by `Venue::idx`.
    pub match_delay_ns: [u64; VENUE_COUNT],
    /// ORDER_TIMEOUT_MS.
    pub order_timeout_ns: u64,
    /// COOLDOWN_MS.
    pub cooldown_ns: u64,
    /// EXTENDED_ORDERS_PER_MIN and LIGHTER_ORDERS_PER_MIN, by `Venue::idx`.
    pub orders_per_minute: [u32; VENUE_COUNT],
    /// What edges are made of.
    pub edge: EdgeLimits,
    /// ARRIVAL_FILL_MIN_PCT, in 10^-4.
    pub fill_min_e4: u32,
    /// DAILY_LOSS_MAX_USD.
    pub daily_loss_max: Notional,
    /// MAX_DRAWDOWN_PCT, in bps.
    pub drawdown_max: Bps,
    /// UNWINDS_IN_A_ROW_MAX.
    pub unwinds_max: u16,
    /// MISSES_IN_A_ROW_MAX.
    pub misses_max: u16,
    /// RAMP_PAIRS; 0 is no ramp.
    pub ramp_pairs: u16,
    /// RAMP_TOLERANCE_BPS.
    pub ramp_tolerance: Bps,
    /// LOSING_RUN_MAX.
    pub losing_run_max: u16,
    /// LOSING_REST_S.
    pub losing_rest_ns: u64,
}

/// Limits on what edges are made of. Durations in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeLimits {
    /// FAIR_FAST_S.
    pub fair_fast_ns: u64,
    /// COMMON_MODE_BPS.
    pub common_max: Bps,
    /// IMPLAUSIBLE_REST_S.
    pub absurd_rest_ns: u64,
    /// EXTENDED_FUNDING_AT_S and LIGHTER_FUNDING_AT_S, by `Venue::idx`.
    pub funding_at_ns: [u64; VENUE_COUNT],
    /// FUNDING_BEFORE_S.
    pub funding_before_ns: u64,
    /// FUNDING_AFTER_S.
    pub funding_after_ns: u64,
    /// HOLD_EXPECTED_S.
    pub hold_expected_ns: u64,
}

/// Distances to liquidation, in 10^-3 of a sigma over the time to rebalance; falling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    /// MARGIN_WARN_SIGMAS.
    pub warn_milli: u32,
    /// MARGIN_STOP_SIGMAS.
    pub stop_milli: u32,
    /// MARGIN_SHRINK_SIGMAS.
    pub shrink_milli: u32,
    /// MARGIN_FLATTEN_SIGMAS.
    pub flatten_milli: u32,
    /// REBALANCE_TIME_S.
    pub rebalance_s: u64,
    /// DELEVERAGE_RANK_STOP; 5 is off.
    pub queue_stop: u8,
}

impl Config {
    /// Reads the process environment and a file, for public data: a keystore stays closed. Without
    /// a file named, `.env` in the current folder is read if it exists. The environment wins over
    /// the file.
    pub fn from_env(file: Option<&Path>) -> Result<Config, Faults> {
        read::config(from_env(file), Purpose::Public)
    }

    /// As [`Config::from_env`], with the keys. A keystore is opened where keys are used: in live
    /// mode, and to check.
    pub fn unlocked(
        file: Option<&Path>,
        unlock: &Unlock,
        purpose: Purpose,
    ) -> Result<Config, Faults> {
        let mut raw = from_env(file);
        if purpose == Purpose::Check || raw.value("TRADING_MODE") == Some("live") {
            raw.open_keystore(unlock);
        }
        read::config(raw, purpose)
    }

    /// Without a keystore, the process environment given, to run: what tests call.
    pub fn from_sources(
        file: Option<&Path>,
        process: Vec<(String, String)>,
    ) -> Result<Config, Faults> {
        read::config(Raw::from_sources(file, process), Purpose::Run)
    }

    /// A configuration for the built-in venues: settings by name, the same validation, nothing
    /// read from file or environment.
    pub fn for_simulation(settings: Vec<(String, String)>) -> Result<Config, Faults> {
        read::config(Raw::from_settings(settings), Purpose::Run)
    }

    /// Trades on paper: a dry run that enters. Nothing is sent, no account is asked.
    pub fn is_paper(&self) -> bool {
        self.mode == Mode::DryRun && self.auto_execution
    }

    /// Whether every endpoint is an address of this machine.
    pub fn is_loopback(&self) -> bool {
        let extended = &self.extended;
        [
            &extended.base,
            &extended.stream,
            &extended.order,
            &self.lighter.base,
            &self.lighter.ws,
        ]
        .iter()
        .all(|url| url.is_loopback())
            && self.l1.as_ref().is_none_or(L1::is_loopback)
    }
}

/// Settings of the engine itself (limits, seats, order of legs, markets) that stand in the process
/// environment: a demo takes these, and none that name a venue, an account or a mode.
pub fn engine_settings() -> Vec<(String, String)> {
    let mut found = process_environment();
    found.retain(|(name, _)| names::find(name).is_some() && is_of_engine(name));
    found
}

/// Whether there is anything to run with: `.env` here, or a setting in the environment that names a
/// venue, an account or a mode. Limits and seats alone are no configuration.
pub fn is_configured() -> bool {
    let names_venue =
        |(name, _): &(String, String)| names::find(name).is_some() && !is_of_engine(name);
    default_file().is_some() || process_environment().iter().any(names_venue)
}

fn is_of_engine(name: &str) -> bool {
    const OURS: &[&str] = &[
        "EXTENDED_ORDERS_PER_MIN",
        "EXTENDED_ORDER_LANES",
        "EXTENDED_READY_ORDERS_S",
        "EXTENDED_MATCH_DELAY_MS",
        "LIGHTER_MATCH_DELAY_MS",
        "LIGHTER_ORDERS_PER_MIN",
        "LIGHTER_WS_MESSAGES_PER_MIN",
    ];
    const NOT_OURS: &[&str] = &[
        "TRADING_MODE",
        "AUTO_EXECUTION_ENABLED",
        "TLS_CA_FILE",
        "LIVE_ACK",
        "KEYSTORE",
        "L1_RPC_URL",
        "L1_CHAIN_ID",
        "L1_FEE_MAX_GWEI",
        "L1_CONFIRMATIONS",
        "ETH_PRIVATE_KEY",
    ];
    let is_of_venue = name.starts_with("EXTENDED_") || name.starts_with("LIGHTER_");
    OURS.contains(&name) || !(is_of_venue || NOT_OURS.contains(&name))
}
