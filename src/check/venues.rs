//! `parallax check --venues`: whether these accounts, keys and settings could trade, by the venues'
//! own word.
//!
//! Promises: everything is asked, whatever was found before, so that all faults come together; only
//! where nothing is wrong is there an acknowledgement (LIVE_ACK) to print. Row 42 of the list of
//! failures: a key that was rotated, or of another account, is found before a run.
//! Refuses: trading, and repairing without being asked (`--set`).

use crate::check::found::Found;
use crate::config::{Config, ExtendedAccount, LighterAccount, StarknetChain};
use crate::market::Venue;
use crate::market::units::{Bps, MS, Nanos, Notional, SECOND};
use crate::selftest::{prove_extended, prove_lighter};
use crate::session::table::{Listed, ShortLeverage, Table};
use crate::stage::clock::Clock;
use crate::venue::Listing;
use crate::venue::extended::account::{ExtendedRest, Fees, Leverage, MarketInfo};
use crate::venue::extended::sign::StarkKey;
use crate::venue::lighter::account::{LighterRest, Limits, MarketRow, Sender};
use crate::venue::lighter::sign::PrivateKey;
use crate::venue::lighter::sign::cold::MarginMode;

/// A row of the list.
const LEVERAGE: &str = "Extended leverage";

/// Asks both venues. `sets` puts traded markets of Lighter that have isolated margin to cross.
pub fn check(config: &Config, sets: bool, clock: Clock) -> Found {
    let mut found = Found {
        rows: Vec::new(),
        fingerprint: config.fingerprint.clone(),
    };
    let extended = extended(config, clock, &mut found);
    let lighter = lighter(config, clock, &mut found);
    if let (Some(extended), Some(lighter)) = (extended, lighter) {
        let fees = lighter
            .limits
            .as_ref()
            .map_or((Bps::ZERO, Bps::ZERO), fees_of);
        let listed = Listed {
            extended: &extended.markets,
            fees: &extended.fees,
            lighter: &lighter.markets,
            lighter_fees: fees,
        };
        match listed.join(&config.markets) {
            Ok(table) => {
                markets(&table, &mut found);
                leverage(
                    &table,
                    &extended,
                    config.limits.position_max,
                    sets,
                    &mut found,
                );
                margin(&lighter, &table, sets.then_some(clock), &mut found);
            }
            Err(why) => found.bad("markets", why, "see MARKETS in .env.example"),
        }
    }
    found
}

/// What Extended said.
struct ExtendedSide {
    rest: ExtendedRest,
    markets: Listing<MarketInfo>,
    fees: Vec<Fees>,
    leverages: Vec<Leverage>,
}

fn extended(config: &Config, clock: Clock, found: &mut Found) -> Option<ExtendedSide> {
    const ABOUT: &str = "Extended";
    let base = config.extended.base.as_str();
    let account = config.extended.account.as_ref();
    let key = account.map_or("", |account| account.api_key.expose());
    let reach = "check EXTENDED_BASE_URL, TLS_CA_FILE and the network";
    let listed = ExtendedRest::new(base, key, config.extra_root_pem.as_deref())
        .and_then(|rest| Ok((rest.markets()?, rest)));
    let (markets, rest) = match listed {
        Ok(listed) => listed,
        Err(error) => {
            found.bad(ABOUT, format!("{error} ({base})"), reach);
            return None;
        }
    };
    found.good(
        ABOUT,
        format!("{base} lists {} markets", markets.markets.len()),
    );
    clock_of("Extended's clock", rest.date_s().ok(), clock, found);
    let (fees, leverages) = match account {
        Some(account) => extended_account(config.extended.chain, account, &rest, found),
        None => {
            let fix = "set EXTENDED_VAULT and its keys, or KEYSTORE";
            found.bad("Extended account", "none is set".into(), fix);
            (Vec::new(), Vec::new())
        }
    };
    Some(ExtendedSide {
        rest,
        markets,
        fees,
        leverages,
    })
}

fn extended_account(
    chain: StarknetChain,
    account: &ExtendedAccount,
    rest: &ExtendedRest,
    found: &mut Found,
) -> (Vec<Fees>, Vec<Leverage>) {
    let info = match rest.account_info() {
        Ok(info) => info,
        Err(error) => {
            let fix = "make a new API key (`parallax keys rotate`), or copy it again";
            found.bad("Extended API key", error.to_string(), fix);
            return (Vec::new(), Vec::new());
        }
    };
    let id = info.account_id;
    let is = format!("reads account {id}; it can sign nothing");
    found.good("Extended API key", is);
    let vault = account.vault;
    found.judge(
        "Extended vault",
        info.vault == vault,
        format!(
            "EXTENDED_VAULT is {vault}, the API key's account has {}",
            info.vault
        ),
        "set EXTENDED_VAULT to the account's own, or use that vault's API key",
    );
    found.judge(
        "Extended account",
        info.status.eq_ignore_ascii_case("ACTIVE"),
        format!("{} on {}", info.status, chain.name()),
        "ask the venue why the account is not active",
    );
    match StarkKey::parse_hex(account.private_key.to_hex().expose()) {
        Ok(key) => {
            found.judge(
                "Extended Stark key",
                info.public_key == Some(key.public_key()),
                format!("{:#x}", key.public_key()),
                "the venue has another public key for this account: use the key of this account \
                 (`parallax keys onboard extended` derives it)",
            );
            proven("Extended signatures", prove_extended(&key), found);
        }
        Err(error) => found.bad("Extended Stark key", error.to_string(), "copy it again"),
    }
    extended_terms(rest, found)
}

/// Fees, and leverage.
fn extended_terms(rest: &ExtendedRest, found: &mut Found) -> (Vec<Fees>, Vec<Leverage>) {
    let fees = rest.fees(&[]).unwrap_or_else(|error| {
        found.bad("Extended fees", error.to_string(), "try again");
        Vec::new()
    });
    // 10^-9 of a ratio is 10^-5 of a basis point.
    let bps = |rate: i64| Bps::from_milli(rate / 100);
    let most = fees.iter().max_by_key(|row| row.taker_rate);
    if let Some(most) = most {
        let (taker, maker) = (bps(most.taker_rate), bps(most.maker_rate));
        found.good(
            "Extended fees",
            format!("taker {:.2} bps, maker {:.2} bps at most", taker.0, maker.0),
        );
    }
    let leverages = rest.leverages().unwrap_or_else(|error| {
        found.bad(LEVERAGE, error.to_string(), "try again");
        Vec::new()
    });
    (fees, leverages)
}

/// Row 34: a leg that must grow is not refused.
fn leverage(table: &Table, side: &ExtendedSide, most: Notional, sets: bool, found: &mut Found) {
    let short = table.short_leverages(&side.markets.markets, &side.leverages, most);
    if short.is_empty() {
        return found.good(LEVERAGE, "carries MAX_POSITION_SIZE_USD; cross".to_owned());
    }
    for short in short {
        let name = &short.market.market;
        match (sets, short.fitting) {
            (true, Some(fitting)) => match side.rest.set_leverage(name, fitting) {
                Ok(()) => found.good(LEVERAGE, format!("{name} is set to {fitting}")),
                Err(error) => {
                    found.bad(LEVERAGE, format!("{short}: {error}"), ShortLeverage::FIX);
                }
            },
            _ => found.bad(LEVERAGE, short.to_string(), ShortLeverage::FIX),
        }
    }
}

/// What Lighter said.
struct LighterSide {
    rest: LighterRest,
    markets: Listing<MarketRow>,
    limits: Option<Limits>,
    sender: Option<Sender>,
    isolated: Vec<u32>,
}

fn lighter(config: &Config, clock: Clock, found: &mut Found) -> Option<LighterSide> {
    const ABOUT: &str = "Lighter";
    let base = config.lighter.base.as_str();
    let reach = "check LIGHTER_BASE_URL, TLS_CA_FILE and the network";
    let listed = LighterRest::new(base, config.extra_root_pem.as_deref())
        .and_then(|rest| Ok((rest.markets()?, rest)));
    let (markets, rest) = match listed {
        Ok(listed) => listed,
        Err(error) => {
            found.bad(ABOUT, format!("{error} ({base})"), reach);
            return None;
        }
    };
    found.good(
        ABOUT,
        format!("{base} lists {} markets", markets.markets.len()),
    );
    clock_of("Lighter's clock", rest.date_s().ok(), clock, found);
    let mut side = LighterSide {
        rest,
        markets,
        limits: None,
        sender: None,
        isolated: Vec::new(),
    };
    match config.lighter.account.as_ref() {
        Some(account) => lighter_account(config, account, &mut side, clock.now(), found),
        None => {
            let fix = "set LIGHTER_ACCOUNT_INDEX and its keys, or KEYSTORE";
            found.bad("Lighter account", "none is set".into(), fix);
        }
    }
    Some(side)
}

fn lighter_account(
    config: &Config,
    account: &LighterAccount,
    side: &mut LighterSide,
    now: Nanos,
    found: &mut Found,
) {
    let index = account.index;
    match side.rest.owner(index) {
        Ok(owner) => found.good("Lighter account", format!("{index}, owned by {owner}")),
        Err(error) => {
            let fix = "set LIGHTER_ACCOUNT_INDEX to an account of this network";
            found.bad("Lighter account", format!("{index}: {error}"), fix);
            return;
        }
    }
    for key in &account.keys {
        let Ok(private) = PrivateKey::parse_hex(key.private_key.to_hex().expose()) else {
            let slot = format!("slot {}: the key is none", key.index);
            found.bad("Lighter key", slot, "copy it again");
            continue;
        };
        let held = side.rest.has_key(index, key.index, &private.public_key());
        proven("Lighter signatures", prove_lighter(&private), found);
        let sender = Sender::new(
            index,
            u64::from(config.lighter.chain_id),
            key.index,
            private,
        );
        lighter_key(side, held, sender, now, found);
    }
    if let Some(limits) = &side.limits {
        terms(config, limits, found);
    }
    match side.rest.account(index) {
        Ok(state) => side.isolated = state.isolated,
        Err(error) => found.bad("Lighter margin", error.to_string(), "try again"),
    }
}

/// A key that the venue has in its slot, and that may read what only the account may.
fn lighter_key(
    side: &mut LighterSide,
    held: Result<bool, crate::venue::lighter::account::RestError>,
    sender: Sender,
    now: Nanos,
    found: &mut Found,
) {
    const ABOUT: &str = "Lighter key";
    let (slot, index) = (sender.public_key().0, sender.account_index());
    match held {
        Ok(true) => {}
        Ok(false) => {
            let is = format!("slot {slot}: account {index} has another key there");
            let fix = "it was rotated, or belongs to another account: make one with `parallax keys \
                       bootstrap lighter`";
            return found.bad(ABOUT, is, fix);
        }
        Err(error) => return found.bad(ABOUT, format!("slot {slot}: {error}"), "try again"),
    }
    let limits = sender
        .token(now)
        .and_then(|token| side.rest.limits(index, &token));
    match limits {
        Ok(limits) => {
            found.good(
                ABOUT,
                format!("slot {slot}: known to the venue, may trade and read"),
            );
            side.limits = Some(limits);
            side.sender = Some(sender);
        }
        Err(error) => {
            let fix = "check this host's clock (tokens carry a time) and LIGHTER_CHAIN_ID";
            found.bad(
                ABOUT,
                format!("slot {slot}: its token is refused: {error}"),
                fix,
            );
        }
    }
}

/// Tier, fees and for how long takers are held back.
fn terms(config: &Config, limits: &Limits, found: &mut Found) {
    let (taker, maker) = fees_of(limits);
    let tier = &limits.tier;
    found.good(
        "Lighter fees",
        format!(
            "tier {tier}: taker {:.2} bps, maker {:.2} bps",
            taker.0, maker.0
        ),
    );
    let set_ms = config.limits.match_delay_ns[Venue::Lighter.idx()] / MS;
    match limits.taker_delay_ms() {
        Some(delay_ms) => found.judge(
            "Lighter taker delay",
            set_ms >= delay_ms,
            format!("{delay_ms} ms by the tier, LIGHTER_MATCH_DELAY_MS is {set_ms}"),
            "set LIGHTER_MATCH_DELAY_MS to the tier's delay and about 50 ms more",
        ),
        None => found.bad(
            "Lighter taker delay",
            format!("not documented for tier {tier} with this fee"),
            "ask the venue; edges at arrival can't be judged without it",
        ),
    }
}

fn markets(table: &Table, found: &mut Found) {
    let names: Vec<&str> = table
        .instruments
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    let left_out = table.left_out.len();
    let is = format!("{}; {left_out} left out", names.join(", "));
    found.good("markets", is);
}

/// Every traded market of Lighter is at cross margin.
fn margin(side: &LighterSide, table: &Table, sets: Option<Clock>, found: &mut Found) {
    const ABOUT: &str = "Lighter margin";
    let markets = table.markets(Venue::Lighter);
    let is_isolated =
        |market: &&crate::market::Market| side.isolated.contains(&market.venue_market);
    let isolated: Vec<_> = markets.iter().filter(is_isolated).collect();
    if isolated.is_empty() {
        return found.good(ABOUT, "cross on every market that is traded".into());
    }
    for market in isolated {
        let name = market.name;
        let mut rows = side.markets.markets.iter();
        let row = rows.find(|row| row.market_id == market.venue_market);
        let fraction = row.and_then(|row| row.initial_margin_e4);
        let set = match (sets, &side.sender, fraction) {
            (Some(clock), Some(sender), Some(fraction_e4)) => {
                let id = u64::from(market.venue_market);
                let cross = (fraction_e4, MarginMode::Cross);
                side.rest.set_margin(sender, id, cross, clock.now())
            }
            _ => {
                let fix = "`parallax check --venues --set` sets it to cross (with no position and \
                           no order open there), or leave it out of MARKETS";
                found.bad(ABOUT, format!("{name} is isolated"), fix);
                continue;
            }
        };
        match set {
            Ok(()) => found.good(ABOUT, format!("{name} was isolated and is set to cross")),
            Err(error) => {
                let fix = "close what is open there first, then again";
                found.bad(ABOUT, format!("{name} stays isolated: {error}"), fix);
            }
        }
    }
}

fn proven(about: &'static str, verdict: Result<(), String>, found: &mut Found) {
    match verdict {
        Ok(()) => found.good(about, "good on this host".into()),
        Err(why) => found.bad(
            about,
            why,
            "run `parallax selftest`: build or machine is at fault",
        ),
    }
}

/// The venue's clock by the second that its answer carries. Both venues' signatures carry times.
fn clock_of(about: &'static str, date_s: Option<u64>, clock: Clock, found: &mut Found) {
    let Some(date_s) = date_s else {
        return found.bad(about, "the answer carries no time".into(), "try again");
    };
    let now = clock.now();
    let off_ms = off_ms(now, date_s);
    found.judge(
        about,
        off_ms < OFFSET_MS_MAX,
        match off_ms {
            0 => "agrees with this host's to the second".to_owned(),
            _ => format!("differs from this host's by {off_ms} ms or more"),
        },
        "keep this host's clock in step (chrony, or systemd-timesyncd)",
    );
}

/// By how much a time lies outside the second that was told; the least it can be.
fn off_ms(now: Nanos, date_s: u64) -> u64 {
    let (start, end) = (date_s * SECOND, (date_s + 1) * SECOND);
    let behind = start.saturating_sub(now.0);
    behind.max(now.0.saturating_sub(end)) / MS
}

/// Larger differences make signed times stale (S1: a second for Extended's wallet requests).
const OFFSET_MS_MAX: u64 = 1_000;

/// Taker and maker fee, bps: 10^-6 of notional is a hundredth of one.
fn fees_of(limits: &Limits) -> (Bps, Bps) {
    let bps = |e6: u32| Bps::from_milli(i64::from(e6) * 10);
    (bps(limits.taker_fee_e6), bps(limits.maker_fee_e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_only_off_by_what_the_second_can_tell() {
        let at = |ms: u64| Nanos(ms * MS);
        for (now_ms, off) in [
            (100_000, 0),
            (100_999, 0),
            (101_000, 0),
            (101_250, 250),
            (99_900, 100),
            (95_000, 5_000),
            (110_000, 9_000),
        ] {
            assert_eq!(off_ms(at(now_ms), 100), off, "{now_ms}");
        }
    }

    #[test]
    fn one_bad_row_withholds_the_acknowledgement() {
        let mut found = Found {
            rows: Vec::new(),
            fingerprint: "0011-2233-4455-6677".into(),
        };
        found.good("a", "is so".into());
        assert!(
            found
                .to_string()
                .ends_with("LIVE_ACK=0011-2233-4455-6677\n")
        );
        assert_eq!(found.json()["live_ack"], "0011-2233-4455-6677");
        found.bad("b", "is not".into(), "mend it");
        let text = found.to_string();
        assert!(text.contains("BAD  b: is not\n     fix: mend it") && !text.contains("0011"));
        assert!(found.json()["live_ack"].is_null() && !found.is_good());
    }
}
