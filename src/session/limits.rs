//! Settings to the scanner's words.

use crate::config::{self, Config, Seats};
use crate::scanner::edge;
use crate::scanner::funding::Hours;
use crate::scanner::margin::Levels;
use crate::scanner::risk::{LegOrder, Limits};
use crate::scanner::{breaker, ramp};
use crate::topology::Seating;

/// The scanner's limits. Entries need AUTO_EXECUTION_ENABLED; in a dry run they are on paper.
pub fn of(config: &Config) -> Limits {
    let from = &config.limits;
    Limits {
        entries_enabled: from.entries_enabled,
        gross_min: from.gross_min,
        net_min: from.net_min,
        exit_over_fair: from.exit_over_fair,
        position_max: from.position_max,
        gross_max: from.gross_max,
        equity_share_e4: from.equity_share_e4,
        balance_ratio_e4: from.balance_ratio_e4,
        margin: Levels {
            warn_milli: from.margin.warn_milli,
            stop_milli: from.margin.stop_milli,
            shrink_milli: from.margin.shrink_milli,
            flatten_milli: from.margin.flatten_milli,
            rebalance_s: from.margin.rebalance_s,
            queue_stop: from.margin.queue_stop,
        },
        depth_haircut_e4: from.depth_haircut_e4,
        plausible_max: from.plausible_max,
        stale_after_ns: from.stale_after_ns,
        slippage: from.slippage,
        hedge_band: from.hedge_band,
        fair_window_ns: from.fair_window_ns,
        fair_samples_min: from.fair_samples_min,
        regime_after_ns: from.regime_after_ns,
        stop: from.stop,
        hold_max_ns: from.hold_max_ns,
        slots: usize::from(from.slots),
        leg_order: match from.leg_order {
            config::LegOrder::Auto => LegOrder::Auto,
            config::LegOrder::SlowFirst => LegOrder::SlowFirst,
            config::LegOrder::FastFirst => LegOrder::FastFirst,
            config::LegOrder::Both => LegOrder::Both,
        },
        match_delay_ns: from.match_delay_ns,
        order_timeout_ns: from.order_timeout_ns,
        cooldown_ns: from.cooldown_ns,
        orders_per_minute: from.orders_per_minute,
        fill_min_e4: from.fill_min_e4,
        breaker: breaker::Limits {
            daily_loss_max: from.daily_loss_max,
            drawdown_max: from.drawdown_max,
            unwinds_max: from.unwinds_max,
            misses_max: from.misses_max,
        },
        ramp: ramp::Limits {
            pairs: from.ramp_pairs,
            tolerance: from.ramp_tolerance,
            losing_max: from.losing_run_max,
            rest_ns: from.losing_rest_ns,
        },
        edge: edge(&from.edge),
    }
}

/// Limits on what edges are made of.
fn edge(from: &config::EdgeLimits) -> edge::Settings {
    edge::Settings {
        fair_fast_ns: from.fair_fast_ns,
        common_max: from.common_max,
        absurd_rest_ns: from.absurd_rest_ns,
        hours: Hours {
            at_ns: from.funding_at_ns,
            before_ns: from.funding_before_ns,
            after_ns: from.funding_after_ns,
        },
        hold_expected_ns: from.hold_expected_ns,
    }
}

/// SEATS in the words of the plant.
pub fn seating(seats: &Seats) -> Seating {
    match seats {
        Seats::Auto => Seating::Auto,
        Seats::Fused => Seating::Fused,
        Seats::Shared => Seating::Shared,
        Seats::Own => Seating::Own,
        Seats::Cores(list) => Seating::Cores(*list),
    }
}
