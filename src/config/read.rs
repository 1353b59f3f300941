//! `Raw` → `Config`: the values put together and judged against each other.
//!
//! Promises: goes through to the end whatever it finds, so that all faults are told at once.
//! Refuses: making a `Config` while there is any fault.

use crate::config::accounts::Need;
use crate::config::fault::Faults;
use crate::config::raw::Raw;
use crate::config::relations;
use crate::config::values::{Reader, known};
use crate::config::{
    Config, EdgeLimits, LegOrder, Limits, Margin, Markets, Mode, OnDrain, OnStart, Purpose,
    STAGE_COUNT, Seats,
};
use crate::market::units::{Bps, MS, SCALE, SECOND};
use crate::market::{INSTRUMENTS_MAX, Name};

/// Validates everything, or tells every fault.
pub fn config(raw: Raw, purpose: Purpose) -> Result<Config, Faults> {
    let mut reader = Reader::new(raw);
    reader.is_conservative = reader.word("CONSERVATIVE_MODE") == "true";
    // From here on every reader is called whatever the others found: each adds its own faults.
    let mode = match reader.word("TRADING_MODE") {
        "live" => Mode::Live,
        _ => Mode::DryRun,
    };
    let auto_execution = reader.word("AUTO_EXECUTION_ENABLED") == "true";
    // On paper a throwaway key signs where there is no other.
    let extended = reader.extended(Need::of(mode, purpose));
    let lighter = reader.lighter(Need::of(mode, purpose));
    let markets = reader.markets();
    let seats = reader.seats();
    let machine = reader.machine();
    let extra_root_pem = reader.extra_root();
    let limits = reader.limits(auto_execution);
    let paper_equity = reader.usd("PAPER_EQUITY_USD");
    let (on_start, on_drain) = (reader.on_start(), reader.on_drain());
    let drain_s = reader.count("DRAIN_S");
    relations::check(&mut reader, &limits, drain_s);
    if mode == Mode::DryRun && auto_execution {
        reader.note_paper(on_drain);
    }
    let state_dir = reader.state_dir();
    let (treasury, l1) = (reader.treasury(), reader.l1());
    reader.note_unused();
    // Without its addresses there is no `Config` to judge further.
    let (Some(extended), Some(lighter)) = (extended, lighter) else {
        return Err(Faults(reader.faults));
    };
    let config = Config {
        mode,
        auto_execution,
        conservative: reader.is_conservative,
        markets,
        seats,
        machine,
        extended,
        lighter,
        limits,
        paper_equity,
        on_start,
        on_drain,
        drain_s,
        state_dir,
        treasury,
        l1,
        wallet: reader.wallet(),
        fingerprint: reader.fingerprint(extra_root_pem.as_deref()),
        extra_root_pem,
        notes: std::mem::take(&mut reader.notes),
    };
    if mode == Mode::Live && purpose != Purpose::Public && config.treasury.is_auto {
        reader.demand_rebalance(&config);
    }
    if mode == Mode::Live && purpose != Purpose::Public && !config.is_loopback() {
        reader.demand_live_settings();
        if purpose == Purpose::Run {
            reader.demand_acknowledgement(&config.fingerprint);
        }
    }
    if reader.faults.is_empty() {
        Ok(config)
    } else {
        Err(Faults(reader.faults))
    }
}

impl Reader {
    fn on_start(&mut self) -> OnStart {
        match self.word("ON_START") {
            "refuse" => OnStart::Refuse,
            _ => OnStart::Repair,
        }
    }

    fn on_drain(&mut self) -> OnDrain {
        match self.word("ON_DRAIN") {
            "hold" => OnDrain::Hold,
            _ => OnDrain::Flatten,
        }
    }

    /// Names are checked for their form only: whether both venues list them is known at the start
    /// of the run, when they have been asked.
    fn markets(&mut self) -> Markets {
        let text = self.text("MARKETS");
        if text == "ALL" {
            return Markets::All;
        }
        let mut names: Vec<Name> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let is_plain = part
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            match Name::new(part) {
                Some(name) if is_plain && !names.contains(&name) => names.push(name),
                _ => {
                    let wrong =
                        format!("has {part:?}, which is not a market's name, or stands twice");
                    self.fault("MARKETS", &wrong, "use ALL, or names such as BTC,ETH");
                }
            }
        }
        if names.len() > INSTRUMENTS_MAX {
            let wrong = format!("names more than {INSTRUMENTS_MAX} markets");
            self.fault("MARKETS", &wrong, "name fewer");
        }
        Markets::Only(names)
    }

    /// A word, or a core for each stage. Whether the host has these cores is `topology`'s question.
    pub(super) fn seats(&mut self) -> Seats {
        let text = self.text("SEATS");
        match text.as_str() {
            "auto" => return Seats::Auto,
            "fused" => return Seats::Fused,
            "shared" => return Seats::Shared,
            "own" => return Seats::Own,
            _ => {}
        }
        let cores: Option<Vec<usize>> = text
            .split(',')
            .map(|core| core.trim().parse().ok().filter(|core| *core < CORES_MAX))
            .collect();
        match cores.and_then(|cores| <[usize; STAGE_COUNT]>::try_from(cores).ok()) {
            Some(cores) => Seats::Cores(cores),
            None => {
                let wrong = format!("is {text:?}, which it cannot be");
                let fix = "use auto, fused, shared, own, or five core numbers such as 2,3,4,5,6";
                self.fault("SEATS", &wrong, fix);
                Seats::Auto
            }
        }
    }

    /// Reads the file now: a certificate that is missing is a fault of the configuration, and not
    /// an error of the first connection.
    pub fn extra_root(&mut self) -> Option<Vec<u8>> {
        let path = self.text("TLS_CA_FILE");
        if path.is_empty() {
            return None;
        }
        let wrong = match std::fs::read(&path) {
            Ok(pem) if pem.windows(PEM_MARK.len()).any(|bytes| bytes == PEM_MARK) => {
                return Some(pem);
            }
            Ok(_) => "holds no certificate".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        let fix = "name a PEM file with at least one certificate, or remove it";
        self.fault("TLS_CA_FILE", &wrong, fix);
        None
    }

    /// Every limit of the scanner, each in the unit the scanner wants. The bounds of the table keep
    /// all conversions below in range.
    fn limits(&mut self, entries_enabled: bool) -> Limits {
        let hold_max_ns = self.count("HOLD_MAX_S") * SECOND;
        Limits {
            entries_enabled,
            gross_min: self.bps("MIN_EXECUTION_SPREAD_BPS"),
            net_min: self.bps("MIN_NET_EDGE_BPS"),
            exit_over_fair: self.bps("EXIT_BPS"),
            position_max: self.usd("MAX_POSITION_SIZE_USD"),
            gross_max: self.usd("MAX_GROSS_USD"),
            equity_share_e4: self.per_cent_e4("EQUITY_SHARE_PCT"),
            balance_ratio_e4: ratio_e4(self.number("BALANCE_LIQUIDITY_RATIO")),
            margin: self.margin(),
            depth_haircut_e4: self.per_cent_e4("DEPTH_HAIRCUT_PCT"),
            plausible_max: self.bps("EDGE_PLAUSIBLE_MAX_BPS"),
            stale_after_ns: self.count("STALE_AFTER_MS") * MS,
            slippage: self.bps("SLIPPAGE_BPS"),
            hedge_band: self.bps("HEDGE_BAND_BPS"),
            fair_window_ns: self.count("FAIR_WINDOW_S") * SECOND,
            fair_samples_min: self.count("FAIR_SAMPLES_MIN") as u32,
            regime_after_ns: self.count("REGIME_AFTER_S") * SECOND,
            stop: self.bps("STOP_LOSS_BPS"),
            hold_max_ns,
            slots: self.count("PAIR_SLOTS") as u8,
            leg_order: match self.word("LEG_ORDER") {
                "slow-first" => LegOrder::SlowFirst,
                "fast-first" => LegOrder::FastFirst,
                "both" => LegOrder::Both,
                _ => LegOrder::Auto,
            },
            match_delay_ns: [
                self.count("EXTENDED_MATCH_DELAY_MS") * MS,
                self.count("LIGHTER_MATCH_DELAY_MS") * MS,
            ],
            order_timeout_ns: self.count("ORDER_TIMEOUT_MS") * MS,
            cooldown_ns: self.count("COOLDOWN_MS") * MS,
            orders_per_minute: [
                self.count("EXTENDED_ORDERS_PER_MIN") as u32,
                self.count("LIGHTER_ORDERS_PER_MIN") as u32,
            ],
            fill_min_e4: self.per_cent_e4("ARRIVAL_FILL_MIN_PCT"),
            daily_loss_max: self.usd("DAILY_LOSS_MAX_USD"),
            drawdown_max: Bps::whole(self.per_cent_e4("MAX_DRAWDOWN_PCT") as i32),
            unwinds_max: self.count("UNWINDS_IN_A_ROW_MAX") as u16,
            misses_max: self.count("MISSES_IN_A_ROW_MAX") as u16,
            ramp_pairs: self.count("RAMP_PAIRS") as u16,
            ramp_tolerance: self.bps("RAMP_TOLERANCE_BPS"),
            losing_run_max: self.count("LOSING_RUN_MAX") as u16,
            losing_rest_ns: self.count("LOSING_REST_S") * SECOND,
            edge: self.edge_limits(hold_max_ns),
        }
    }

    /// The distances to liquidation at which something is done.
    fn margin(&mut self) -> Margin {
        let sigmas = |reader: &mut Reader, name| (reader.number(name) / (SCALE / 1_000)) as u32;
        Margin {
            warn_milli: sigmas(self, "MARGIN_WARN_SIGMAS"),
            stop_milli: sigmas(self, "MARGIN_STOP_SIGMAS"),
            shrink_milli: sigmas(self, "MARGIN_SHRINK_SIGMAS"),
            flatten_milli: sigmas(self, "MARGIN_FLATTEN_SIGMAS"),
            rebalance_s: self.count("REBALANCE_TIME_S"),
            queue_stop: self.count("DELEVERAGE_RANK_STOP") as u8,
        }
    }

    /// Limits on what edges are made of.
    fn edge_limits(&mut self, hold_max_ns: u64) -> EdgeLimits {
        let hold_expected_ns = self.count("HOLD_EXPECTED_S") * SECOND;
        EdgeLimits {
            fair_fast_ns: self.count("FAIR_FAST_S") * SECOND,
            common_max: self.bps("COMMON_MODE_BPS"),
            absurd_rest_ns: self.count("IMPLAUSIBLE_REST_S") * SECOND,
            funding_at_ns: [
                self.count("EXTENDED_FUNDING_AT_S") * SECOND,
                self.count("LIGHTER_FUNDING_AT_S") * SECOND,
            ],
            funding_before_ns: self.count("FUNDING_BEFORE_S") * SECOND,
            funding_after_ns: self.count("FUNDING_AFTER_S") * SECOND,
            // A default never contradicts what was set beside it.
            hold_expected_ns: match self.raw.value("HOLD_EXPECTED_S") {
                Some(_) => hold_expected_ns,
                None => hold_expected_ns.min(hold_max_ns),
            },
        }
    }

    /// Settings that may well stand in a file made for a later version: they are checked, and the
    /// user is told that they have no effect. The key is forgotten at once.
    fn note_unused(&mut self) {
        let rpc = self.raw.value("EXTENDED_RPC_URL").map(str::trim);
        if rpc.is_some_and(|rpc| rpc != known("EXTENDED_RPC_URL").default) {
            let note = "EXTENDED_RPC_URL is set; nothing in this version uses it";
            self.notes.push(note.to_owned());
        }
        if self.raw.value("ETH_PRIVATE_KEY").is_some() && !self.is_auto() {
            let note =
                "ETH_PRIVATE_KEY is set; this run does not use it: it belongs into the keystore";
            self.notes.push(note.to_owned());
        }
    }

    /// What has no meaning on paper.
    fn note_paper(&mut self, on_drain: OnDrain) {
        if on_drain == OnDrain::Hold {
            let note = "ON_DRAIN is hold; a run on paper ends flat: its accounts end with it";
            self.notes.push(note.to_owned());
        }
    }
}

/// A ratio in 10^-4, rounded up: what is set is never off.
fn ratio_e4(ratio: i64) -> u32 {
    let e4 = SCALE.unsigned_abs() / 10_000;
    ratio.unsigned_abs().div_ceil(e4) as u32
}

/// Cores a host can have in a core list; larger is a slip.
const CORES_MAX: usize = 1024;
/// What a PEM file with a certificate contains (RFC 7468).
const PEM_MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::Notional;

    fn settings(list: &[(&str, &str)]) -> Result<Config, Faults> {
        let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Config::for_simulation(list.iter().map(own).collect())
    }

    fn wrongs(list: &[(&str, &str)]) -> Vec<String> {
        let faults = settings(list)
            .err()
            .map(|faults| faults.0)
            .unwrap_or_default();
        faults
            .iter()
            .map(|f| format!("{} {}", f.name, f.wrong))
            .collect()
    }

    #[test]
    fn defaults_are_a_whole_configuration() {
        let config = settings(&[]).unwrap();
        assert_eq!(config.mode, Mode::DryRun);
        assert!(!config.auto_execution && !config.conservative);
        assert_eq!(config.markets, Markets::All);
        assert_eq!(config.seats, Seats::Auto);
        assert_eq!(config.extended.order, config.extended.base);
        assert!(config.extended.account.is_none() && config.lighter.account.is_none());
        assert!(config.notes.is_empty());
        let limits = config.limits;
        assert_eq!(limits.gross_min, Bps::from_milli(3000));
        assert_eq!(limits.exit_over_fair, Bps::from_milli(500));
        assert_eq!(limits.position_max, Notional::from_usd(500));
        assert_eq!(
            (limits.equity_share_e4, limits.balance_ratio_e4),
            (5_000, 0)
        );
        assert_eq!((ratio_e4(1), ratio_e4(SCALE * 2)), (1, 20_000));
        let margin = limits.margin;
        assert_eq!((margin.warn_milli, margin.stop_milli), (8_000, 5_000));
        assert_eq!((margin.shrink_milli, margin.flatten_milli), (3_000, 1_500));
        assert_eq!((margin.rebalance_s, margin.queue_stop), (21_600, 4));
        assert_eq!(limits.depth_haircut_e4, 5000);
        assert_eq!(limits.stale_after_ns, 5_000_000_000);
        assert_eq!(limits.orders_per_minute, [800, 40]);
    }

    #[test]
    fn conservative_tightens_but_never_loosens() {
        let tight = settings(&[("CONSERVATIVE_MODE", "true")]).unwrap().limits;
        assert_eq!(tight.net_min, Bps::from_milli(2500));
        assert_eq!(tight.slots, 1);
        assert_eq!(tight.position_max, Notional::from_usd(250));
        let own = [
            ("CONSERVATIVE_MODE", "true"),
            ("MIN_NET_EDGE_BPS", "7.5"),
            ("MAX_POSITION_SIZE_USD", "100"),
        ];
        let own = settings(&own).unwrap().limits;
        assert_eq!(own.net_min, Bps::from_milli(7500));
        assert_eq!(own.position_max, Notional::from_usd(100));
    }

    #[test]
    fn numbers() {
        for (value, wrong) in [
            ("abc", "is \"abc\", which is not a number"),
            ("-1", "is \"-1\", which is out of bounds"),
            ("1e3", "is \"1e3\", which is not a number"),
            (
                "99999999999999",
                "is \"99999999999999\", which is out of bounds",
            ),
            (
                "0.0000000001",
                "is \"0.0000000001\", which has more than nine decimals",
            ),
            ("", "is empty"),
        ] {
            let found = wrongs(&[("MAX_POSITION_SIZE_USD", value)]);
            assert_eq!(found, [format!("MAX_POSITION_SIZE_USD {wrong}")]);
        }
        assert_eq!(
            wrongs(&[("PAIR_SLOTS", "1.5")]),
            ["PAIR_SLOTS is \"1.5\", which is not a whole number"]
        );
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let found = wrongs(&[
            ("TRADING_MODE", "yolo"),
            ("SEATS", "1,2"),
            ("MARKETS", "BTC,btc,BTC"),
            ("HOLD_MAX_S", "0"),
            ("EXTENDED_BASE_URL", "http://example.com"),
            ("AUTO_REBALANCE", "perhaps"),
            ("NOT_OURS", "1"),
            ("EXTENDED_VAULT", "-5"),
        ]);
        for name in [
            "TRADING_MODE",
            "SEATS",
            "MARKETS",
            "HOLD_MAX_S",
            "EXTENDED_BASE_URL",
            "AUTO_REBALANCE",
            "NOT_OURS",
            "EXTENDED_VAULT",
            "EXTENDED_API_KEY",
        ] {
            assert!(
                found.iter().any(|line| line.starts_with(name)),
                "{name}: {found:?}"
            );
        }
    }

    #[test]
    fn seats() {
        let seats = |text| settings(&[("SEATS", text)]).unwrap().seats;
        assert_eq!(seats("fused"), Seats::Fused);
        assert_eq!(seats("2, 3,4,5,6"), Seats::Cores([2, 3, 4, 5, 6]));
        assert!(settings(&[("SEATS", "1,2,3,4,5000")]).is_err());
    }

    #[test]
    fn unused_settings_are_noted() {
        let key = "01".repeat(32);
        let config = settings(&[("ETH_PRIVATE_KEY", &key)]).unwrap();
        assert_eq!(config.notes.len(), 1);
        assert!(!format!("{config:?}").contains(&key));
        assert_eq!(wrongs(&[("ETH_PRIVATE_KEY", "0x12")]).len(), 1);
    }
}
