//! The list of settings: name, default, shape, and what conservative mode makes of it.
//!
//! This table is the whole truth about names. A setting that is not here is refused, one that is
//! here stands in `.env.example` too (`tests/tidy` compares them). Refuses: reading anything.

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Name in the environment and in `.env`.
    pub name: &'static str,
    /// Value when it is not set; empty: none.
    pub default: &'static str,
    /// Shape of the value.
    pub kind: Kind,
    /// What CONSERVATIVE_MODE=true does to it.
    pub conservative: Tighten,
}

/// Shape of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A decimal number within these bounds, both allowed.
    Decimal(&'static str, &'static str),
    /// A whole number within these bounds, both allowed.
    Whole(u64, u64),
    /// `http://` or `https://`, host, optional port, optional path.
    Http,
    /// `ws://` or `wss://`, host, optional port, optional path.
    WebSocket,
    /// Text with its own rules; may be shown in a fault.
    Text,
    /// Text with its own rules; never shown.
    Secret,
}

/// A bound that conservative mode adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tighten {
    /// None.
    No,
    /// The value is raised to this if it is lower.
    AtLeast(&'static str),
    /// The value is lowered to this if it is higher.
    AtMost(&'static str),
}

impl Tighten {
    /// The bound, if there is one.
    pub const fn bound(self) -> Option<&'static str> {
        match self {
            Tighten::No => None,
            Tighten::AtLeast(bound) | Tighten::AtMost(bound) => Some(bound),
        }
    }
}

const fn key(name: &'static str, default: &'static str, kind: Kind) -> Key {
    Key {
        name,
        default,
        kind,
        conservative: Tighten::No,
    }
}

const fn limit(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    conservative: Tighten,
) -> Key {
    Key {
        name,
        default,
        kind,
        conservative,
    }
}

const BOOLEAN: Kind = Kind::Word(&["false", "true"]);

/// Every setting there is, by room. The bounds are those of sense, not of taste: outside of them a
/// value is a slip of the hand.
pub const KEYS: &[Key] = &[
    // Mode.
    key("TRADING_MODE", "dry_run", Kind::Word(&["dry_run", "live"])),
    key("AUTO_EXECUTION_ENABLED", "false", BOOLEAN),
    key("PAPER_EQUITY_USD", "1000", USD),
    key("CONSERVATIVE_MODE", "false", BOOLEAN),
    key("LIVE_ACK", "", Kind::Text),
    // Keys.
    key("KEYSTORE", "", Kind::Text),
    // Venue Extended.
    key("EXTENDED_API_KEY", "", Kind::Secret),
    key("EXTENDED_PRIVATE_KEY", "", Kind::Secret),
    key("EXTENDED_VAULT", "", Kind::Text),
    key("EXTENDED_BASE_URL", EXTENDED_BASE, Kind::Http),
    key("EXTENDED_STREAM_URL", EXTENDED_STREAM, Kind::WebSocket),
    key("EXTENDED_ORDER_URL", "", Kind::Http),
    key("EXTENDED_RPC_URL", EXTENDED_RPC, Kind::WebSocket),
    key("EXTENDED_ONBOARDING_URL", EXTENDED_ONBOARDING, Kind::Http),
    key(
        "EXTENDED_CHAIN_ID",
        "SN_MAIN",
        Kind::Word(&["SN_MAIN", "SN_SEPOLIA"]),
    ),
    key("EXTENDED_SIGNING_DOMAIN", "extended.exchange", Kind::Text),
    key("EXTENDED_ORDER_LANES", "3", Kind::Whole(1, 16)),
    key("EXTENDED_ORDERS_PER_MIN", "800", Kind::Whole(1, 60_000)),
    key("EXTENDED_DEAD_MANS_SWITCH_S", "0", Kind::Whole(0, 3_600)),
    key("EXTENDED_READY_ORDERS_S", "5", Kind::Whole(0, 30)),
    key("ETH_PRIVATE_KEY", "", Kind::Secret),
    // Venue Lighter.
    key("LIGHTER_ACCOUNT_INDEX", "", Kind::Text),
    key("LIGHTER_API_KEYS", "", Kind::Secret),
    key("LIGHTER_BASE_URL", LIGHTER_BASE, Kind::Http),
    key("LIGHTER_WS_URL", LIGHTER_WS, Kind::WebSocket),
    key("LIGHTER_CHAIN_ID", "304", Kind::Whole(1, 4_294_967_295)),
    key("LIGHTER_ORDERS_PER_MIN", "40", Kind::Whole(1, 60_000)),
    key("LIGHTER_DEAD_MANS_SWITCH_S", "0", Kind::Whole(0, 1_295_970)),
    key(
        "LIGHTER_WS_MESSAGES_PER_MIN",
        "180",
        Kind::Whole(60, 60_000),
    ),
    // Network.
    key("TLS_CA_FILE", "", Kind::Text),
    // Plant.
    key("MARKETS", "ALL", Kind::Text),
    key("SEATS", "auto", Kind::Text),
    key("LOCK_MEMORY", "true", BOOLEAN),
    key("REALTIME_PRIORITY", "0", Kind::Whole(0, 49)),
    // Scanner: entry.
    limit("MIN_EXECUTION_SPREAD_BPS", "3", BPS, Tighten::AtLeast("5")),
    limit("MIN_NET_EDGE_BPS", "1", BPS, Tighten::AtLeast("2.5")),
    limit(
        "EDGE_PLAUSIBLE_MAX_BPS",
        "100",
        BPS_POSITIVE,
        Tighten::AtMost("50"),
    ),
    limit("SLIPPAGE_BPS", "0.5", BPS, Tighten::AtLeast("1")),
    limit(
        "STALE_AFTER_MS",
        "5000",
        Kind::Whole(10, 600_000),
        Tighten::AtMost("2000"),
    ),
    limit(
        "ARRIVAL_FILL_MIN_PCT",
        "25",
        Kind::Decimal("0", "99"),
        Tighten::AtLeast("60"),
    ),
    // Scanner: size.
    limit("MAX_POSITION_SIZE_USD", "500", USD, Tighten::AtMost("250")),
    limit("MAX_GROSS_USD", "2000", USD, Tighten::AtMost("1000")),
    limit(
        "DEPTH_HAIRCUT_PCT",
        "50",
        Kind::Decimal("0", "99"),
        Tighten::AtLeast("75"),
    ),
    limit("PAIR_SLOTS", "4", Kind::Whole(1, 4), Tighten::AtMost("1")),
    limit(
        "RAMP_PAIRS",
        "3",
        Kind::Whole(0, 1_000),
        Tighten::AtLeast("10"),
    ),
    limit(
        "RAMP_TOLERANCE_BPS",
        "3",
        BPS_POSITIVE,
        Tighten::AtMost("1.5"),
    ),
    limit(
        "EQUITY_SHARE_PCT",
        "50",
        Kind::Decimal("0.1", "100"),
        Tighten::AtMost("25"),
    ),
    limit(
        "BALANCE_LIQUIDITY_RATIO",
        "0",
        Kind::Decimal("0", "100"),
        Tighten::AtLeast("2"),
    ),
    // Scanner: margin.
    limit(
        "REBALANCE_TIME_S",
        "21600",
        Kind::Whole(60, 604_800),
        Tighten::AtLeast("86400"),
    ),
    limit("MARGIN_WARN_SIGMAS", "8", SIGMAS, Tighten::AtLeast("12")),
    limit("MARGIN_STOP_SIGMAS", "5", SIGMAS, Tighten::AtLeast("8")),
    limit("MARGIN_SHRINK_SIGMAS", "3", SIGMAS, Tighten::AtLeast("5")),
    limit(
        "MARGIN_FLATTEN_SIGMAS",
        "1.5",
        SIGMAS,
        Tighten::AtLeast("3"),
    ),
    limit(
        "DELEVERAGE_RANK_STOP",
        "4",
        Kind::Whole(1, 5),
        Tighten::AtMost("3"),
    ),
    // Scanner: legs.
    key(
        "LEG_ORDER",
        "auto",
        Kind::Word(&["auto", "slow-first", "fast-first", "both"]),
    ),
    key("EXTENDED_MATCH_DELAY_MS", "10", Kind::Whole(0, 10_000)),
    key("LIGHTER_MATCH_DELAY_MS", "350", Kind::Whole(0, 10_000)),
    limit("HEDGE_BAND_BPS", "30", BPS, Tighten::No),
    key("ORDER_TIMEOUT_MS", "3000", Kind::Whole(100, 60_000)),
    limit(
        "COOLDOWN_MS",
        "1000",
        Kind::Whole(0, 3_600_000),
        Tighten::AtLeast("5000"),
    ),
    // Scanner: exit.
    limit("EXIT_BPS", "0.5", BPS_SIGNED, Tighten::No),
    limit("STOP_LOSS_BPS", "40", BPS_POSITIVE, Tighten::AtMost("20")),
    limit(
        "HOLD_MAX_S",
        "900",
        Kind::Whole(1, 604_800),
        Tighten::AtMost("300"),
    ),
    // Circuit breakers, and the rest of a market that loses.
    limit(
        "DAILY_LOSS_MAX_USD",
        "25",
        Kind::Decimal("0.1", "1000000"),
        Tighten::AtMost("10"),
    ),
    limit(
        "MAX_DRAWDOWN_PCT",
        "10",
        Kind::Decimal("0.1", "90"),
        Tighten::AtMost("5"),
    ),
    limit(
        "UNWINDS_IN_A_ROW_MAX",
        "5",
        Kind::Whole(1, 1_000),
        Tighten::AtMost("3"),
    ),
    limit(
        "MISSES_IN_A_ROW_MAX",
        "30",
        Kind::Whole(1, 10_000),
        Tighten::AtMost("15"),
    ),
    limit(
        "LOSING_RUN_MAX",
        "4",
        Kind::Whole(1, 1_000),
        Tighten::AtMost("3"),
    ),
    limit(
        "LOSING_REST_S",
        "3600",
        Kind::Whole(1, 604_800),
        Tighten::AtLeast("14400"),
    ),
    // Scanner: fair basis.
    key("FAIR_WINDOW_S", "600", Kind::Whole(1, 86_400)),
    limit(
        "FAIR_SAMPLES_MIN",
        "120",
        Kind::Whole(1, 864_000),
        Tighten::AtLeast("600"),
    ),
    key("REGIME_AFTER_S", "60", Kind::Whole(1, 86_400)),
    key("FAIR_FAST_S", "60", Kind::Whole(1, 86_400)),
    // Scanner: what edges are made of.
    limit("COMMON_MODE_BPS", "5", BPS_POSITIVE, Tighten::AtMost("3")),
    limit(
        "IMPLAUSIBLE_REST_S",
        "60",
        Kind::Whole(0, 86_400),
        Tighten::AtLeast("300"),
    ),
    key("EXTENDED_FUNDING_AT_S", "0", Kind::Whole(0, 3_599)),
    key("LIGHTER_FUNDING_AT_S", "0", Kind::Whole(0, 3_599)),
    limit(
        "FUNDING_BEFORE_S",
        "10",
        Kind::Whole(0, 1_500),
        Tighten::AtLeast("60"),
    ),
    limit(
        "FUNDING_AFTER_S",
        "10",
        Kind::Whole(0, 1_500),
        Tighten::AtLeast("60"),
    ),
    key("HOLD_EXPECTED_S", "300", Kind::Whole(1, 604_800)),
    // Start and end of a run.
    key("ON_START", "repair", Kind::Word(&["repair", "refuse"])),
    key("ON_DRAIN", "flatten", Kind::Word(&["flatten", "hold"])),
    key("DRAIN_S", "60", Kind::Whole(1, 3_600)),
    // What runs leave for each other.
    key("STATE_DIR", "", Kind::Text),
    // Treasury.
    key("TREASURY_POLL_S", "300", Kind::Whole(30, 86_400)),
    limit(
        "DRIFT_ALARM_USD",
        "1",
        Kind::Decimal("0.01", "1000000"),
        Tighten::AtMost("0.1"),
    ),
    key("REBALANCE_EXTENDED_PCT", "50", Kind::Decimal("0", "100")),
    key("REBALANCE_MIN_USD", "50", USD),
    limit(
        "REBALANCE_DAY_MAX_USD",
        "500",
        Kind::Decimal("0", "1000000"),
        Tighten::AtMost("250"),
    ),
    limit(
        "REBALANCE_FEE_MAX_USD",
        "10",
        Kind::Decimal("0", "1000"),
        Tighten::AtMost("5"),
    ),
    key("L1_RPC_URL", "", Kind::Http),
    key("L1_CHAIN_ID", "1", Kind::Whole(1, 4_294_967_295)),
    key("L1_FEE_MAX_GWEI", "30", Kind::Whole(1, 10_000)),
    key("L1_CONFIRMATIONS", "12", Kind::Whole(1, 64)),
    key("AUTO_REBALANCE", "false", BOOLEAN),
];

const BPS: Kind = Kind::Decimal("0", "1000");
const BPS_SIGNED: Kind = Kind::Decimal("-1000", "1000");
const BPS_POSITIVE: Kind = Kind::Decimal("0.1", "10000");
const SIGMAS: Kind = Kind::Decimal("0.1", "100");
const USD: Kind = Kind::Decimal("1", "1000000");

// Main network of each venue. Sources: Extended's Python SDK, `x10.config` (version 2.6.0), and
// api.docs.extended.exchange; Lighter's Python SDK, `lighter.configuration` (version 1.1.8), and
// apidocs.lighter.xyz.
const EXTENDED_BASE: &str = "https://api.starknet.extended.exchange/api/v1";
const EXTENDED_STREAM: &str = "wss://api.starknet.extended.exchange/stream.extended.exchange/v1";
const EXTENDED_RPC: &str = "wss://api.starknet.extended.exchange/stream.extended.exchange/v2/rpc";
const EXTENDED_ONBOARDING: &str = "https://api.starknet.extended.exchange";
const LIGHTER_BASE: &str = "https://mainnet.zklighter.elliot.ai";
const LIGHTER_WS: &str = "wss://mainnet.zklighter.elliot.ai/stream";

/// What live trading against a real venue must have spelled out: a default is never traded.
pub const LIVE_MUST_HAVE: &[&str] = &[
    "AUTO_EXECUTION_ENABLED",
    "EXTENDED_BASE_URL",
    "EXTENDED_STREAM_URL",
    "EXTENDED_CHAIN_ID",
    "LIGHTER_BASE_URL",
    "LIGHTER_WS_URL",
    "LIGHTER_CHAIN_ID",
    "MAX_POSITION_SIZE_USD",
    "MIN_EXECUTION_SPREAD_BPS",
];

/// The setting of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known name that was most likely meant by `name`: few edits away, many words in common.
pub fn nearest(name: &str) -> &'static str {
    let plain = fold(name);
    let score = |key: &Key| {
        let words = name.split('_').filter(|word| !word.is_empty());
        let shared = words.filter(|word| key.name.split('_').any(|w| w.eq_ignore_ascii_case(word)));
        let edits = distance(&plain, &fold(key.name));
        edits as i64 - 4 * shared.count() as i64
    };
    let key = KEYS.iter().min_by_key(|key| score(key));
    key.expect("the table of settings is not empty").name
}

/// Whether a name that is not ours looks like a slip in one that is; case, `-` and `_` do not
/// count. Longer names bear more edits; short ones bear none, or every shell would have some.
pub fn is_near_miss(name: &str) -> bool {
    let plain = fold(name);
    KEYS.iter().any(|key| {
        let bearable = match key.name.len() {
            0..=6 => 0,
            7..=11 => 1,
            _ => 2,
        };
        distance(&plain, &fold(key.name)) <= bearable
    })
}

fn fold(name: &str) -> Vec<u8> {
    let plain = |byte: &u8| *byte != b'_' && *byte != b'-';
    name.bytes()
        .filter(plain)
        .map(|byte| byte.to_ascii_uppercase())
        .collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from one name to the other.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let width = to.len() + 1;
    let mut table: Vec<usize> = (0..(from.len() + 1) * width).collect();
    for row in 0..=from.len() {
        table[row * width] = row;
    }
    for row in 1..=from.len() {
        for column in 1..width {
            let at = |r: usize, c: usize| table[r * width + c];
            let replace = usize::from(from[row - 1] != to[column - 1]);
            let mut edits = (at(row - 1, column) + 1)
                .min(at(row, column - 1) + 1)
                .min(at(row - 1, column - 1) + replace);
            let swapped = row > 1
                && column > 1
                && from[row - 1] == to[column - 2]
                && from[row - 2] == to[column - 1];
            if swapped {
                edits = edits.min(at(row - 2, column - 2) + 1);
            }
            table[row * width + column] = edits;
        }
    }
    table[from.len() * width + to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::parse_decimal;

    #[test]
    fn names_are_unique_and_found() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(
                KEYS[at + 1..].iter().all(|other| other.name != key.name),
                "{} stands twice",
                key.name
            );
            assert_eq!(find(key.name).map(|found| found.name), Some(key.name));
            assert!(
                key.name
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            );
        }
        assert!(LIVE_MUST_HAVE.iter().all(|name| find(name).is_some()));
        assert!(find("TRADING").is_none());
    }

    #[test]
    fn defaults_fit_their_bounds() {
        for key in KEYS {
            let fits = match key.kind {
                Kind::Word(words) => words.contains(&key.default),
                Kind::Decimal(low, high) => {
                    let [low, value, high] =
                        [low, key.default, high].map(|t| parse_decimal(t.as_bytes()).unwrap());
                    low <= value && value <= high
                }
                Kind::Whole(low, high) => {
                    (low..=high).contains(&key.default.parse::<u64>().unwrap())
                }
                Kind::Http => key.default.is_empty() || key.default.starts_with("https://"),
                Kind::WebSocket => key.default.starts_with("wss://"),
                Kind::Secret => key.default.is_empty(),
                Kind::Text => true,
            };
            assert!(fits, "{}", key.name);
        }
    }

    #[test]
    fn tightening_tightens_the_defaults() {
        for key in KEYS {
            let value = |text: &str| parse_decimal(text.as_bytes()).unwrap();
            match key.conservative {
                Tighten::No => {}
                Tighten::AtLeast(bound) => assert!(value(bound) > value(key.default)),
                Tighten::AtMost(bound) => assert!(value(bound) < value(key.default)),
            }
        }
    }

    #[test]
    fn distances() {
        for (from, to, edits) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "ab", 1),
            ("abc", "abcd", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
        ] {
            assert_eq!(
                distance(from.as_bytes(), to.as_bytes()),
                edits,
                "{from} {to}"
            );
            assert_eq!(
                distance(to.as_bytes(), from.as_bytes()),
                edits,
                "{to} {from}"
            );
        }
    }

    #[test]
    fn slips_are_told_from_strangers() {
        for slip in [
            "MAX_POSITON_SIZE_USD",
            "max_position_size_usd",
            "MAXPOSITIONSIZEUSD",
            "TRADING_MDOE",
            "MARKET",
            "AUTO_EXECUTION_ENABELD",
        ] {
            assert!(is_near_miss(slip), "{slip}");
        }
        for stranger in [
            "PATH",
            "HOME",
            "SEAT",
            "TERM",
            "LANG",
            "MAX",
            "SSL_CERT_FILE",
            "",
        ] {
            assert!(!is_near_miss(stranger), "{stranger}");
        }
        for (slip, meant) in [
            ("MIN_SPREAD_BPS", "MIN_EXECUTION_SPREAD_BPS"),
            ("MAX_POSITION_USD", "MAX_POSITION_SIZE_USD"),
            ("EXTENDED_APIKEY", "EXTENDED_API_KEY"),
            ("LIGHTER_URL", "LIGHTER_WS_URL"),
        ] {
            assert_eq!(nearest(slip), meant);
        }
    }
}
