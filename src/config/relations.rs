//! Limits that are each within their bounds and still make no sense together.
//!
//! Promises: every contradiction is told, with what it would have led to and the setting to change;
//! nobody finds out from a run that never trades, or that leaves each pair as it is entered.
//! Refuses: taste. What is only unusual is allowed.

use crate::config::Limits;
use crate::config::names::Key;
use crate::config::values::{Reader, known};
use crate::market::units::{Bps, MS, Notional, SECOND};

/// One rule: it is broken; the setting to blame, what is wrong with it, what to do.
type Rule = (bool, &'static str, &'static str, &'static str);

/// A fair takes a sample this often.
const SAMPLE_NS: u64 = 100 * MS;
/// Both venues charge funding once an hour.
const HOUR_NS: u64 = 3_600 * SECOND;
/// Orders that each venue keeps back for a pair's exit and one repair: an entry needs one more.
const KEPT_BACK: u32 = 2;

/// Tells every contradiction.
pub fn check(reader: &mut Reader, limits: &Limits, drain_s: u64) {
    let rules = edges(limits)
        .into_iter()
        .chain(money(limits))
        .chain(levels(limits))
        .chain(times(limits, drain_s));
    for (is_broken, name, wrong, fix) in rules {
        if is_broken {
            blame(reader, known(name), wrong, fix);
        }
    }
}

/// In conservative mode the value may not be the one that was written.
fn blame(reader: &mut Reader, key: &Key, wrong: &str, fix: &str) {
    match key.conservative.bound() {
        Some(bound) if reader.is_conservative => {
            let fix = format!("{fix}; CONSERVATIVE_MODE holds {} at {bound}", key.name);
            reader.fault(key.name, wrong, &fix);
        }
        _ => reader.fault(key.name, wrong, fix),
    }
}

/// Which edges are taken, and when a pair is left.
fn edges(limits: &Limits) -> Vec<Rule> {
    let entry_min = limits.gross_min.max(limits.net_min + limits.slippage);
    vec![
        (
            limits.gross_min >= limits.plausible_max,
            "EDGE_PLAUSIBLE_MAX_BPS",
            "is not above MIN_EXECUTION_SPREAD_BPS, so every edge would be refused",
            "raise it, or lower MIN_EXECUTION_SPREAD_BPS",
        ),
        (
            limits.net_min + limits.slippage >= limits.plausible_max,
            "MIN_NET_EDGE_BPS",
            "and SLIPPAGE_BPS together are not below EDGE_PLAUSIBLE_MAX_BPS, so every edge would \
             be refused",
            "lower one of them, or raise EDGE_PLAUSIBLE_MAX_BPS",
        ),
        (
            limits.exit_over_fair > Bps::ZERO && limits.exit_over_fair >= entry_min,
            "EXIT_BPS",
            "is not below the smallest edge that is entered, so a pair would be left as soon as it \
             is entered",
            "lower it, or raise MIN_EXECUTION_SPREAD_BPS",
        ),
        (
            limits.stop <= limits.slippage,
            "STOP_LOSS_BPS",
            "is not above SLIPPAGE_BPS, so a pair would be stopped by what entering it costs",
            "raise it, or lower SLIPPAGE_BPS",
        ),
        (
            limits.hedge_band < limits.slippage,
            "HEDGE_BAND_BPS",
            "is below SLIPPAGE_BPS, so a hedge could pay less than the entry it belongs to",
            "raise it, or lower SLIPPAGE_BPS",
        ),
        (
            limits.edge.common_max >= limits.plausible_max,
            "COMMON_MODE_BPS",
            "is not below EDGE_PLAUSIBLE_MAX_BPS, so that no common move would ever stop entries",
            "lower it",
        ),
        (
            limits.ramp_pairs > 0 && limits.ramp_tolerance >= limits.plausible_max,
            "RAMP_TOLERANCE_BPS",
            "is not below EDGE_PLAUSIBLE_MAX_BPS, so that every pair would count as predicted",
            "lower it, or set RAMP_PAIRS=0 for no ramp",
        ),
    ]
}

/// Each level of margin is below the one before.
fn levels(limits: &Limits) -> Vec<Rule> {
    let margin = &limits.margin;
    vec![
        (
            margin.stop_milli >= margin.warn_milli,
            "MARGIN_STOP_SIGMAS",
            "is not below MARGIN_WARN_SIGMAS, so that level could never be reached",
            "lower it, or raise MARGIN_WARN_SIGMAS",
        ),
        (
            margin.shrink_milli >= margin.stop_milli,
            "MARGIN_SHRINK_SIGMAS",
            "is not below MARGIN_STOP_SIGMAS, so that level could never be reached",
            "lower it, or raise MARGIN_STOP_SIGMAS",
        ),
        (
            margin.flatten_milli >= margin.shrink_milli,
            "MARGIN_FLATTEN_SIGMAS",
            "is not below MARGIN_SHRINK_SIGMAS, so that level could never be reached",
            "lower it, or raise MARGIN_SHRINK_SIGMAS",
        ),
    ]
}

/// What may be open, and what may be lost.
fn money(limits: &Limits) -> Vec<Rule> {
    let both = limits.position_max + limits.position_max;
    let stopped: Notional = limits.stop.of(limits.position_max);
    let [extended, lighter] = limits.orders_per_minute;
    let few = "leaves no entry: two orders are kept back for a pair's exit and a repair";
    vec![
        (
            both > limits.gross_max,
            "MAX_GROSS_USD",
            "is below twice MAX_POSITION_SIZE_USD, which one pair has on its two legs, so that \
             limit could never be reached",
            "raise it, or lower MAX_POSITION_SIZE_USD",
        ),
        (
            stopped > limits.daily_loss_max,
            "DAILY_LOSS_MAX_USD",
            "is below what one pair may lose (STOP_LOSS_BPS of MAX_POSITION_SIZE_USD), so its \
             stop-loss could never be reached",
            "raise it, or lower STOP_LOSS_BPS or MAX_POSITION_SIZE_USD",
        ),
        (
            limits.entries_enabled && extended <= KEPT_BACK,
            "EXTENDED_ORDERS_PER_MIN",
            few,
            "use at least 3",
        ),
        (
            limits.entries_enabled && lighter <= KEPT_BACK,
            "LIGHTER_ORDERS_PER_MIN",
            few,
            "use at least 3",
        ),
    ]
}

/// What waits for what.
fn times(limits: &Limits, drain_s: u64) -> Vec<Rule> {
    let [extended, lighter] = limits.match_delay_ns;
    let edge = &limits.edge;
    let [one, other] = edge.funding_at_ns;
    let barred_ns = edge.funding_before_ns + one.abs_diff(other) + edge.funding_after_ns;
    // A window of n seconds never holds more than 10 n samples.
    let samples_max = limits.fair_window_ns / SAMPLE_NS;
    vec![
        (
            edge.fair_fast_ns > limits.fair_window_ns,
            "FAIR_FAST_S",
            "is more than FAIR_WINDOW_S, so the fast median would be the slower one",
            "lower it, or raise FAIR_WINDOW_S",
        ),
        // Only where both are set: the default gives way.
        (
            edge.hold_expected_ns > limits.hold_max_ns,
            "HOLD_EXPECTED_S",
            "is more than HOLD_MAX_S, after which no pair is held",
            "lower it, or raise HOLD_MAX_S",
        ),
        (
            barred_ns >= HOUR_NS,
            "FUNDING_BEFORE_S",
            "and FUNDING_AFTER_S bar the whole hour between two payments, so no pair is entered",
            "lower one of them",
        ),
        (
            u64::from(limits.fair_samples_min) > samples_max,
            "FAIR_SAMPLES_MIN",
            "is more than FAIR_WINDOW_S can hold at ten a second, so no fair is ever known",
            "lower it, or use a longer FAIR_WINDOW_S",
        ),
        (
            limits.order_timeout_ns <= extended.max(lighter),
            "ORDER_TIMEOUT_MS",
            "is not above the match delays, so every order would be asked about before it matches",
            "raise it, or lower EXTENDED_MATCH_DELAY_MS or LIGHTER_MATCH_DELAY_MS",
        ),
        (
            limits.hold_max_ns <= extended + lighter,
            "HOLD_MAX_S",
            "is no longer than both legs take to match, so a pair would be left before it is whole",
            "raise it",
        ),
        (
            drain_s * SECOND <= limits.order_timeout_ns,
            "DRAIN_S",
            "is no longer than ORDER_TIMEOUT_MS, so a run would end before its orders are known",
            "raise it, or lower ORDER_TIMEOUT_MS",
        ),
        (
            limits.losing_rest_ns <= limits.cooldown_ns,
            "LOSING_REST_S",
            "is no longer than COOLDOWN_MS, so a run of losing pairs would rest nothing",
            "raise it, or lower COOLDOWN_MS",
        ),
    ]
}
