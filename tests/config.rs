//! Settings as a user meets them: files with their permissions, the environment over them, every
//! fault at once with its fix, and no secret in any text that comes out. The two keys are those of
//! the official test vectors (Extended SDK tests; Lighter signer), and of no account.

use parallax::config::{Config, Faults, KEYS, Kind, Markets, Mode};
use std::fs;
use std::path::{Path, PathBuf};

/// A settings file of this test alone, removed with its folder when it is dropped.
struct EnvFile(PathBuf);

impl EnvFile {
    fn new(name: &str, text: &str) -> EnvFile {
        let folder = std::env::temp_dir().join(format!("parallax-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = EnvFile(folder.join(".env"));
        fs::write(&file.0, text).unwrap();
        file.set_mode(0o600);
        file
    }

    fn set_mode(&self, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self, process: &[(&str, &str)]) -> Result<Config, Faults> {
        Config::from_sources(Some(&self.0), pairs(process))
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    list.iter().map(own).collect()
}

fn faults(result: Result<Config, Faults>) -> String {
    result.expect_err("there is a fault").to_string()
}

const STARK_KEY: &str = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";
const LIGHTER_KEY: &str = "700c5fecf4c7b761098bda2d77d1d66e6e87991b7f8c8007\
                           107bc4d17857d158fd5f0a3a39b7e23c";

/// A live account on loopback venues.
fn live() -> Vec<(String, String)> {
    let keys = format!("2:{LIGHTER_KEY},3:{LIGHTER_KEY}");
    pairs(&[
        ("TRADING_MODE", "live"),
        ("AUTO_EXECUTION_ENABLED", "true"),
        ("EXTENDED_API_KEY", "an-api-key-nobody-shall-see"),
        ("EXTENDED_PRIVATE_KEY", STARK_KEY),
        ("EXTENDED_VAULT", "10002"),
        ("EXTENDED_BASE_URL", "https://127.0.0.1:8001/api/v1"),
        (
            "EXTENDED_STREAM_URL",
            "wss://127.0.0.1:8001/stream.extended.exchange/v1",
        ),
        ("EXTENDED_CHAIN_ID", "SN_SEPOLIA"),
        ("LIGHTER_ACCOUNT_INDEX", "281474976710654"),
        ("LIGHTER_API_KEYS", &keys),
        ("LIGHTER_BASE_URL", "http://localhost:8002"),
        ("LIGHTER_WS_URL", "ws://[::1]:8002/stream"),
        ("LIGHTER_CHAIN_ID", "300"),
    ])
}

#[test]
fn the_example_is_a_configuration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(".env.example")).unwrap();
    let config = EnvFile::new("example", &text).read(&[]).unwrap();
    assert_eq!(config.mode, Mode::DryRun);
    assert!(config.notes.is_empty(), "{:?}", config.notes);
    // The tightened limits stand in the example's text as they are in the code.
    let tight = pairs(&[("CONSERVATIVE_MODE", "true")]);
    assert!(Config::for_simulation(tight).unwrap().conservative);
    for key in KEYS {
        use parallax::config::Tighten::{AtLeast, AtMost, No};
        match key.conservative {
            No => {}
            AtLeast(bound) | AtMost(bound) => {
                let told = format!("{} {bound}", key.name);
                assert!(text.contains(&told), ".env.example does not say `{told}`");
            }
        }
    }
}

/// The README's table of conservative mode says what the code does, row by row, and has at least
/// what the design asks for.
#[test]
fn conservative_mode_is_documented_as_it_is() {
    use parallax::config::Tighten;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let mut rows = 0;
    for key in KEYS {
        let bound = match key.conservative {
            Tighten::No => continue,
            Tighten::AtLeast(bound) => format!("at least {bound}"),
            Tighten::AtMost(bound) => format!("at most {bound}"),
        };
        let row = format!("| `{}` | {} | {bound} |", key.name, key.default);
        assert!(readme.contains(&row), "the README has no row {row}");
        rows += 1;
    }
    let told = readme.matches(" | at least ").count() + readme.matches(" | at most ").count();
    assert_eq!(told, rows, "the README has rows that nothing keeps");
    for name in [
        "MIN_NET_EDGE_BPS",
        "MAX_POSITION_SIZE_USD",
        "DEPTH_HAIRCUT_PCT",
        "STALE_AFTER_MS",
        "ARRIVAL_FILL_MIN_PCT",
        "PAIR_SLOTS",
        "DAILY_LOSS_MAX_USD",
    ] {
        let key = KEYS.iter().find(|key| key.name == name).unwrap();
        assert_ne!(key.conservative, Tighten::No, "{name}");
    }
}

/// Limits that are each in bounds and contradict each other: each alone is told, by name and
/// reason, and nothing else is.
#[test]
fn limits_that_contradict_each_other_are_refused() {
    type Case = (&'static [(&'static str, &'static str)], &'static str);
    const CASES: [Case; 27] = [
        (&[("MAX_GROSS_USD", "999")], "MAX_GROSS_USD is below twice"),
        (
            &[
                ("EDGE_PLAUSIBLE_MAX_BPS", "6"),
                ("MIN_EXECUTION_SPREAD_BPS", "6"),
            ],
            "EDGE_PLAUSIBLE_MAX_BPS is not above MIN_EXECUTION_SPREAD_BPS",
        ),
        (
            &[("MIN_NET_EDGE_BPS", "99.5")],
            "MIN_NET_EDGE_BPS and SLIPPAGE_BPS together",
        ),
        (
            &[("EXIT_BPS", "3")],
            "EXIT_BPS is not below the smallest edge",
        ),
        (
            &[("STOP_LOSS_BPS", "0.5")],
            "STOP_LOSS_BPS is not above SLIPPAGE_BPS",
        ),
        (
            &[("HEDGE_BAND_BPS", "0.4")],
            "HEDGE_BAND_BPS is below SLIPPAGE_BPS",
        ),
        (
            &[("RAMP_TOLERANCE_BPS", "100")],
            "RAMP_TOLERANCE_BPS is not below EDGE_PLAUSIBLE_MAX_BPS",
        ),
        (
            &[("DAILY_LOSS_MAX_USD", "1.99")],
            "DAILY_LOSS_MAX_USD is below what one pair may lose",
        ),
        (
            &[
                ("FAIR_WINDOW_S", "10"),
                ("FAIR_FAST_S", "10"),
                ("FAIR_SAMPLES_MIN", "101"),
            ],
            "FAIR_SAMPLES_MIN is more than FAIR_WINDOW_S can hold",
        ),
        (
            &[("FAIR_FAST_S", "601")],
            "FAIR_FAST_S is more than FAIR_WINDOW_S",
        ),
        (
            &[("COMMON_MODE_BPS", "100")],
            "COMMON_MODE_BPS is not below EDGE_PLAUSIBLE_MAX_BPS",
        ),
        (
            &[
                ("FUNDING_BEFORE_S", "1500"),
                ("FUNDING_AFTER_S", "1500"),
                ("LIGHTER_FUNDING_AT_S", "600"),
            ],
            "FUNDING_BEFORE_S and FUNDING_AFTER_S bar the whole hour",
        ),
        (
            &[("ORDER_TIMEOUT_MS", "350")],
            "ORDER_TIMEOUT_MS is not above the match delays",
        ),
        (
            &[("HOLD_MAX_S", "1"), ("LIGHTER_MATCH_DELAY_MS", "990")],
            "HOLD_MAX_S is no longer than both legs take",
        ),
        (
            &[("DRAIN_S", "3")],
            "DRAIN_S is no longer than ORDER_TIMEOUT_MS",
        ),
        (
            &[("LOSING_REST_S", "1")],
            "LOSING_REST_S is no longer than COOLDOWN_MS",
        ),
        (
            &[("STATE_DIR", "state")],
            "STATE_DIR is \"state\", which depends on",
        ),
        (
            &[("MARGIN_STOP_SIGMAS", "8")],
            "MARGIN_STOP_SIGMAS is not below",
        ),
        (
            &[("MARGIN_SHRINK_SIGMAS", "5")],
            "MARGIN_SHRINK_SIGMAS is not below",
        ),
        (
            &[("MARGIN_FLATTEN_SIGMAS", "4")],
            "MARGIN_FLATTEN_SIGMAS is not below",
        ),
        (&[("EQUITY_SHARE_PCT", "0")], "EQUITY_SHARE_PCT is \"0\""),
        (
            &[("BALANCE_LIQUIDITY_RATIO", "-1")],
            "BALANCE_LIQUIDITY_RATIO is \"-1\"",
        ),
        (&[("REBALANCE_TIME_S", "59")], "REBALANCE_TIME_S is \"59\""),
        // Absurd alone.
        (&[("MAX_DRAWDOWN_PCT", "0")], "MAX_DRAWDOWN_PCT is \"0\""),
        (
            &[("DAILY_LOSS_MAX_USD", "-5")],
            "DAILY_LOSS_MAX_USD is \"-5\"",
        ),
        (&[("LOSING_RUN_MAX", "0")], "LOSING_RUN_MAX is \"0\""),
        (
            &[("HOLD_MAX_S", "60"), ("HOLD_EXPECTED_S", "61")],
            "HOLD_EXPECTED_S is more than HOLD_MAX_S",
        ),
    ];
    for (settings, wrong) in CASES {
        let text = faults(Config::for_simulation(pairs(settings)));
        assert!(
            text.starts_with("the configuration has a fault:\n"),
            "{text}"
        );
        assert!(text.contains(wrong), "{wrong}: {text}");
    }
    // All of the first together are told together.
    let all: Vec<_> = [0, 2, 5, 7, 14, 15]
        .iter()
        .flat_map(|at| CASES[*at].0.iter().copied())
        .collect();
    let text = faults(Config::for_simulation(pairs(&all)));
    assert!(
        text.starts_with("the configuration has 6 faults:"),
        "{text}"
    );
    // One setting may contradict several others.
    let text = faults(Config::for_simulation(pairs(&[(
        "EDGE_PLAUSIBLE_MAX_BPS",
        "3",
    )])));
    assert!(
        text.starts_with("the configuration has 3 faults:"),
        "{text}"
    );
    for (settings, holds) in [
        (
            &[("RAMP_PAIRS", "0"), ("RAMP_TOLERANCE_BPS", "100")][..],
            true,
        ),
        (&[("LIGHTER_ORDERS_PER_MIN", "2")][..], true),
        (&[("EXIT_BPS", "-400")][..], true),
        // A default never contradicts what was set beside it.
        (&[("HOLD_MAX_S", "60")][..], true),
        (
            &[("MAX_GROSS_USD", "1000"), ("STOP_LOSS_BPS", "0.6")][..],
            true,
        ),
    ] {
        assert_eq!(
            Config::for_simulation(pairs(settings)).is_ok(),
            holds,
            "{settings:?}"
        );
    }
    // Where pairs are entered, a budget must leave room for one.
    let mut entering = live();
    entering.extend(pairs(&[("LIGHTER_ORDERS_PER_MIN", "2")]));
    let text = faults(Config::for_simulation(entering));
    assert!(
        text.contains("LIGHTER_ORDERS_PER_MIN leaves no entry"),
        "{text}"
    );
    // A bound that conservative mode holds is named as the reason.
    let own = [
        ("CONSERVATIVE_MODE", "true"),
        ("MIN_EXECUTION_SPREAD_BPS", "60"),
    ];
    let text = faults(Config::for_simulation(pairs(&own)));
    assert!(
        text.contains("CONSERVATIVE_MODE holds EDGE_PLAUSIBLE_MAX_BPS at 50"),
        "{text}"
    );
}

#[test]
fn state_has_a_folder_of_each_account_s_own() {
    let read = |process: &[(&str, &str)]| {
        let config = Config::from_sources(None, pairs(process)).unwrap();
        config
            .state_dir
            .map(|path| path.to_str().unwrap().to_owned())
    };
    assert_eq!(read(&[]), None, "no home");
    let none = "/h/.local/state/parallax/SN_MAIN-none-304-none";
    assert_eq!(read(&[("HOME", "/h")]).as_deref(), Some(none));
    assert_eq!(
        read(&[("HOME", "/h"), ("XDG_STATE_HOME", "x")]).as_deref(),
        Some(none)
    );
    let xdg = read(&[("HOME", "/h"), ("XDG_STATE_HOME", "/x")]);
    assert_eq!(xdg.as_deref(), Some("/x/parallax/SN_MAIN-none-304-none"));
    let own = read(&[("HOME", "/h"), ("STATE_DIR", "/mine")]);
    assert_eq!(own.as_deref(), Some("/mine"));
    let mut account = live();
    account.extend(pairs(&[("HOME", "/h")]));
    let config = Config::from_sources(None, account).unwrap();
    let path = config.state_dir.unwrap();
    assert!(
        path.ends_with("parallax/SN_SEPOLIA-10002-300-281474976710654"),
        "{path:?}"
    );
    // A demo has none unless it is told to.
    assert_eq!(Config::for_simulation(live()).unwrap().state_dir, None);
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = EnvFile::new("wins", "MARKETS=BTC\nHOLD_MAX_S=60\n");
    let config = file.read(&[("MARKETS", "ETH"), ("PATH", "/bin")]).unwrap();
    assert_eq!(config.limits.hold_max_ns, 60_000_000_000);
    assert_eq!(config.limits.edge.hold_expected_ns, 60_000_000_000);
    match config.markets {
        Markets::Only(names) => assert_eq!(names[0].as_str(), "ETH"),
        Markets::All => panic!("the environment was not read"),
    }
    // Reading a file leaves the process as it was.
    assert!(std::env::var_os("HOLD_MAX_S").is_none());
}

#[test]
fn markets_are_all_or_names_in_order() {
    let read = |value: &str| {
        let file = EnvFile::new("markets", &format!("MARKETS={value}\n"));
        file.read(&[])
    };
    assert_eq!(read("ALL").unwrap().markets, Markets::All);
    let Markets::Only(names) = read("ETH,BTC,1000PEPE").unwrap().markets else {
        panic!("names were read as all");
    };
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["ETH", "BTC", "1000PEPE"]);
    for wrong in ["all", "BTC,,ETH", "BTC,BTC", "BTC-USD"] {
        let text = faults(read(wrong));
        assert!(
            text.contains("use ALL, or names such as BTC,ETH"),
            "{wrong}: {text}"
        );
    }
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let file = EnvFile::new("open", &format!("EXTENDED_PRIVATE_KEY={STARK_KEY}\n"));
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
        file.set_mode(mode);
        let text = faults(file.read(&[]));
        assert!(text.contains("fix: chmod 600 "), "{mode:o}: {text}");
        assert!(!text.contains("7a7ff6"), "{text}");
    }
    file.set_mode(0o400);
    let text = faults(file.read(&[]));
    assert!(!text.contains("chmod"), "{text}");
}

#[test]
fn a_file_that_was_named_must_exist() {
    let text = faults(Config::from_sources(
        Some(Path::new("/nowhere/.env")),
        Vec::new(),
    ));
    assert!(text.contains("/nowhere/.env cannot be read"), "{text}");
}

#[test]
fn a_typo_is_told_with_the_nearest_name() {
    let file = EnvFile::new("typo", "MAX_POSITON_SIZE_USD=5\nTRADING_MODE=live\nFOO=1\n");
    let text = faults(file.read(&[("EXTENDED_TYPO", "x")]));
    assert!(
        text.contains("did you mean MAX_POSITION_SIZE_USD?"),
        "{text}"
    );
    assert!(text.contains("FOO ("), "{text}");
    assert!(text.contains("EXTENDED_TYPO (environment)"), "{text}");
}

#[test]
fn no_line_of_the_file_is_repeated() {
    let secret = "c0ffee00c0ffee00";
    let lines = format!("this line has {secret}\nEXTENDED_PRIVATE_KEY={secret}zz\n");
    let text = faults(EnvFile::new("secret", &lines).read(&[]));
    assert!(text.contains("at line 1"), "{text}");
    assert!(
        text.contains("EXTENDED_PRIVATE_KEY has characters"),
        "{text}"
    );
    assert!(!text.contains("c0ffee"), "{text}");
}

#[test]
fn all_faults_come_together() {
    let file = EnvFile::new(
        "many",
        "TRADING_MODE=paper\nSEATS=window\nSEATS=aisle\nHOLD_MAX_S=soon\n\
         LIGHTER_BASE_URL=ftp://example.com\nAUTO_REBALANCE=yes\nMAX_GROSS_USD=\nTYPO=1\n",
    );
    let text = faults(file.read(&[]));
    for name in [
        "TRADING_MODE",
        "SEATS",
        "HOLD_MAX_S",
        "LIGHTER_BASE_URL",
        "AUTO_REBALANCE",
        "MAX_GROSS_USD",
        "TYPO",
    ] {
        assert!(
            text.contains(&format!("  {name} ")),
            "{name} is missing in\n{text}"
        );
    }
    let count = text.matches("fix: ").count();
    assert!(
        text.starts_with(&format!("the configuration has {count} faults:")),
        "{text}"
    );
}

#[test]
fn live_on_loopback_needs_no_acknowledgement() {
    let config = Config::for_simulation(live()).unwrap();
    assert!(config.is_loopback() && config.limits.entries_enabled);
    let extended = config.extended.account.as_ref().unwrap();
    assert_eq!(extended.vault, 10_002);
    assert_eq!(extended.private_key.expose()[..2], [0x07, 0xa7]);
    let lighter = config.lighter.account.as_ref().unwrap();
    assert_eq!(lighter.index, 281_474_976_710_654);
    assert_eq!(
        lighter.keys.iter().map(|key| key.index).collect::<Vec<_>>(),
        [2, 3]
    );
    assert_eq!(config.extended.order.host(), "127.0.0.1");
    let shown = format!("{config:?}");
    for secret in ["nobody-shall-see", "7a7ff6", "700c5f"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn live_beyond_loopback_is_refused_and_takes_no_defaults() {
    let mut settings = live();
    settings.retain(|(name, _)| name != "LIGHTER_WS_URL" && name != "LIGHTER_CHAIN_ID");
    let text = faults(Config::for_simulation(settings.clone()));
    assert!(text.contains("LIVE_ACK is missing: live trading"), "{text}");
    for name in [
        "LIGHTER_WS_URL",
        "LIGHTER_CHAIN_ID",
        "MAX_POSITION_SIZE_USD",
    ] {
        assert!(
            text.contains(&format!("{name} is missing; live trading")),
            "{text}"
        );
    }
    // One address outside is enough, wherever it stands.
    for name in ["EXTENDED_ORDER_URL", "EXTENDED_BASE_URL"] {
        let mut settings = live();
        settings.retain(|(other, _)| other != name);
        settings.push((name.to_owned(), "https://example.com".to_owned()));
        let text = faults(Config::for_simulation(settings));
        assert!(text.contains("LIVE_ACK is missing"), "{name}: {text}");
    }
    // The same addresses are fine when nothing is sent.
    settings.retain(|(name, _)| name != "TRADING_MODE");
    let paper = Config::for_simulation(settings.clone()).expect("on paper");
    assert!(paper.is_paper());
    settings.retain(|(name, _)| name != "AUTO_EXECUTION_ENABLED");
    let watching = Config::for_simulation(settings).expect("a dry run");
    assert!(!watching.is_paper());
}

/// Live settings with one address beyond this machine, one of them changed.
fn abroad(change: (&str, &str)) -> Vec<(String, String)> {
    let mut settings = live();
    let order = ("EXTENDED_ORDER_URL", "https://example.com/api/v1");
    for (name, value) in [order, ("AUTO_EXECUTION_ENABLED", "true"), change] {
        settings.retain(|(other, _)| other != name);
        settings.push((name.to_owned(), value.to_owned()));
    }
    for name in must_have() {
        if !settings.iter().any(|(other, _)| other == name) {
            let key = KEYS
                .iter()
                .find(|key| key.name == name)
                .expect("it is known");
            settings.push((name.to_owned(), key.default.to_owned()));
        }
    }
    settings
}

/// Names that live trading takes no default for, as the faults tell them.
fn must_have() -> Vec<&'static str> {
    KEYS.iter()
        .map(|key| key.name)
        .filter(|name| {
            let limit = ["MAX_POSITION_SIZE_USD", "MIN_EXECUTION_SPREAD_BPS"].contains(name);
            limit || name.ends_with("_CHAIN_ID") || name.ends_with("_URL")
        })
        .filter(|name| !["EXTENDED_ORDER_URL"].contains(name))
        .collect()
}

/// What would arm these settings; read as `check` reads them: nothing needs to be armed.
fn fingerprint(mut settings: Vec<(String, String)>) -> Option<String> {
    settings.retain(|(name, _)| name != "TRADING_MODE");
    Config::for_simulation(settings)
        .ok()
        .map(|config| config.fingerprint)
}

#[test]
fn an_acknowledgement_arms_and_every_change_disarms() {
    let settings = abroad(("LIVE_ACK", ""));
    let ack = fingerprint(settings).expect("sound settings");
    let armed = Config::for_simulation(abroad(("LIVE_ACK", &ack)));
    assert!(armed.is_ok(), "{}", faults(armed));
    let mut changed = 0;
    for key in KEYS.iter().filter(|key| parallax::config::disarms(key)) {
        let standing = abroad(("LIVE_ACK", &ack));
        let now = standing.iter().find(|(name, _)| name == key.name);
        let now = now.map_or(key.default, |(_, value)| value.as_str());
        let other = match key.kind {
            Kind::Word(words) => words.iter().find(|word| **word != now).unwrap().to_string(),
            // The same number in other words disarms as well.
            Kind::Decimal(..) | Kind::Whole(..) if now.contains('.') => format!("{now}0"),
            Kind::Decimal(..) | Kind::Whole(..) => format!("{now}.0"),
            Kind::Http => "https://elsewhere.example".to_owned(),
            Kind::WebSocket => "wss://elsewhere.example".to_owned(),
            Kind::Text => match key.name {
                "SEATS" => "fused".to_owned(),
                "MARKETS" => "BTC,SOL".to_owned(),
                _ => "77".to_owned(),
            },
            Kind::Secret => continue,
        };
        let mut settings = abroad((key.name, &other));
        let changed_ack = fingerprint(settings.clone()).expect(key.name);
        assert_ne!(changed_ack, ack, "{}", key.name);
        settings.push(("LIVE_ACK".to_owned(), ack.clone()));
        let text = faults(Config::for_simulation(settings));
        let says = "LIVE_ACK is not of these accounts, limits and endpoints";
        assert!(text.contains(says), "{}: {text}", key.name);
        changed += 1;
    }
    assert!(changed > 60, "{changed}");
}

#[test]
fn keys_and_places_of_files_do_not_disarm() {
    let ack = fingerprint(abroad(("LIVE_ACK", "")));
    let key = format!("5:{}", "07".repeat(40));
    for change in [
        ("LIGHTER_API_KEYS", key.as_str()),
        ("EXTENDED_API_KEY", "another"),
        ("STATE_DIR", "/elsewhere"),
        ("PAPER_EQUITY_USD", "5"),
    ] {
        assert_eq!(fingerprint(abroad(change)), ack, "{}", change.0);
    }
}

#[test]
fn keys_come_from_one_place() {
    let mut settings = live();
    settings.push(("KEYSTORE".to_owned(), "/nowhere/keys".to_owned()));
    let text = faults(Config::for_simulation(settings));
    for name in [
        "EXTENDED_API_KEY",
        "EXTENDED_PRIVATE_KEY",
        "LIGHTER_API_KEYS",
    ] {
        assert!(
            text.contains(&format!("{name} is set beside KEYSTORE")),
            "{text}"
        );
    }
}

#[test]
fn an_account_is_whole_or_absent() {
    for missing in [
        "EXTENDED_API_KEY",
        "EXTENDED_PRIVATE_KEY",
        "EXTENDED_VAULT",
        "LIGHTER_ACCOUNT_INDEX",
        "LIGHTER_API_KEYS",
    ] {
        let mut settings = live();
        settings.retain(|(name, _)| name != missing);
        let text = faults(Config::for_simulation(settings.clone()));
        assert!(
            text.contains(&format!("{missing} is missing; orders are signed")),
            "{text}"
        );
        settings.retain(|(name, _)| !name.contains("TRADING") && !name.starts_with("AUTO"));
        let text = faults(Config::for_simulation(settings));
        assert!(
            text.contains("while others of the same account are set"),
            "{text}"
        );
    }
}

#[test]
fn rebalancing_by_itself_wants_all_that_it_needs() {
    let live = [
        ("TRADING_MODE", "live"),
        ("AUTO_REBALANCE", "true"),
        ("EXTENDED_BASE_URL", "http://127.0.0.1:1/api/v1"),
    ];
    let text = faults(Config::for_simulation(pairs(&live)));
    for name in ["L1_RPC_URL", "STATE_DIR"] {
        assert!(
            text.contains(&format!("{name} is not set")),
            "{name}: {text}"
        );
    }
    assert!(text.contains("there is no key of the wallet"), "{text}");
    // In a dry run nothing is sent anywhere.
    assert!(Config::for_simulation(pairs(&[("AUTO_REBALANCE", "true")])).is_ok());
}

#[test]
fn a_root_certificate_must_be_one() {
    let file = EnvFile::new("root", "MARKETS=ALL\n");
    let path = file.0.to_str().unwrap().to_owned();
    let text = faults(Config::for_simulation(pairs(&[("TLS_CA_FILE", &path)])));
    assert!(text.contains("TLS_CA_FILE holds no certificate"), "{text}");
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    fs::write(&file.0, pem).unwrap();
    let config = Config::for_simulation(pairs(&[("TLS_CA_FILE", &path)])).unwrap();
    assert_eq!(config.extra_root_pem.as_deref(), Some(pem.as_bytes()));
}
