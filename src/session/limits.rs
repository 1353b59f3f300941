//! Settings to the scanner's words.

use crate::config::{self, Config, Mode, Seats};
use crate::scanner::risk::{LegOrder, Limits};
use crate::topology::Seating;

/// The scanner's limits. Entries need live mode: a dry run scans, ranks and shows.
pub fn of(config: &Config) -> Limits {
    let from = &config.limits;
    Limits {
        entries_enabled: from.entries_enabled && config.mode == Mode::Live,
        gross_min: from.gross_min,
        net_min: from.net_min,
        exit_over_fair: from.exit_over_fair,
        position_max: from.position_max,
        gross_max: from.gross_max,
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
