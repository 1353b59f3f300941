//! Stable names of what is counted, as they stand in JSON and in the printed report.
//!
//! Promises: every variant has one name, and a new variant does not compile without one. Refuses:
//! names of steps and refusal reasons, which `market::event` gives itself.

use crate::market::event::{ExitCause, FrameKind, HaltCause, Level, PairEnd};
use crate::market::order::Refusal;

/// All kinds of frames, in the order of their counters.
pub const FRAME_KINDS: [FrameKind; 15] = [
    FrameKind::Snapshot,
    FrameKind::Update,
    FrameKind::Top,
    FrameKind::Reference,
    FrameKind::Control,
    FrameKind::Unknown,
    FrameKind::Malformed,
    FrameKind::Gap,
    FrameKind::Misfit,
    FrameKind::Crossed,
    FrameKind::OutOfRange,
    FrameKind::Inexact,
    FrameKind::Negative,
    FrameKind::DuplicateLevel,
    FrameKind::WrongMarket,
];

/// Name of a kind of frame.
pub const fn frame_kind(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Snapshot => "snapshot",
        FrameKind::Update => "update",
        FrameKind::Top => "top",
        FrameKind::Reference => "reference",
        FrameKind::Control => "control",
        FrameKind::Unknown => "unknown",
        FrameKind::Malformed => "malformed",
        FrameKind::Gap => "gap",
        FrameKind::Misfit => "misfit",
        FrameKind::Crossed => "crossed",
        FrameKind::OutOfRange => "out_of_range",
        FrameKind::Inexact => "inexact",
        FrameKind::Negative => "negative",
        FrameKind::DuplicateLevel => "duplicate_level",
        FrameKind::WrongMarket => "wrong_market",
    }
}

/// All ends of a pair, in the order of their counters.
pub const PAIR_ENDS: [PairEnd; 4] = [
    PairEnd::Missed,
    PairEnd::Closed,
    PairEnd::Unwound,
    PairEnd::Stuck,
];

/// Name of a pair's end.
pub const fn pair_end(end: PairEnd) -> &'static str {
    match end {
        PairEnd::Missed => "missed",
        PairEnd::Closed => "closed",
        PairEnd::Unwound => "unwound",
        PairEnd::Stuck => "stuck",
    }
}

/// All causes of an exit, in the order of their counters.
pub const EXIT_CAUSES: [ExitCause; 9] = [
    ExitCause::Converged,
    ExitCause::Stop,
    ExitCause::Time,
    ExitCause::Drain,
    ExitCause::Opposite,
    ExitCause::Funding,
    ExitCause::Margin,
    ExitCause::Forced,
    ExitCause::NotHedged,
];

/// Name of a cause of exit.
pub const fn exit_cause(cause: ExitCause) -> &'static str {
    match cause {
        ExitCause::Converged => "converged",
        ExitCause::Stop => "stop",
        ExitCause::Time => "time",
        ExitCause::Drain => "drain",
        ExitCause::Opposite => "opposite",
        ExitCause::Funding => "funding",
        ExitCause::Margin => "margin",
        ExitCause::Forced => "forced",
        ExitCause::NotHedged => "not_hedged",
    }
}

/// Name of what a distance to liquidation asks for.
pub const fn margin_level(level: Level) -> &'static str {
    match level {
        Level::Calm => "calm",
        Level::Warn => "warn",
        Level::Stop => "stop",
        Level::Shrink => "shrink",
        Level::Flatten => "flatten",
    }
}

/// All refusals of a gateway, in the order of their counters.
pub const REFUSALS: [Refusal; 7] = [
    Refusal::NotConnected,
    Refusal::Busy,
    Refusal::OffGrid,
    Refusal::UnknownMarket,
    Refusal::NonceUnknown,
    Refusal::RateBudget,
    Refusal::Signing,
];

/// Name of a gateway's refusal.
pub const fn refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::NotConnected => "not_connected",
        Refusal::Busy => "busy",
        Refusal::OffGrid => "off_grid",
        Refusal::UnknownMarket => "unknown_market",
        Refusal::NonceUnknown => "nonce_unknown",
        Refusal::RateBudget => "rate_budget",
        Refusal::Signing => "signing",
    }
}

/// All causes of halt, in the order of their counters.
pub const HALT_CAUSES: [HaltCause; 6] = [
    HaltCause::HedgeLinkFull,
    HaltCause::ReportBacklogFull,
    HaltCause::PairStuck,
    HaltCause::Unexplained,
    HaltCause::Foreign,
    HaltCause::Forced,
];

/// Name of a cause of halt.
pub const fn halt_cause(why: HaltCause) -> &'static str {
    match why {
        HaltCause::HedgeLinkFull => "hedge_link_full",
        HaltCause::ReportBacklogFull => "report_backlog_full",
        HaltCause::PairStuck => "pair_stuck",
        HaltCause::Unexplained => "unexplained",
        HaltCause::Foreign => "foreign",
        HaltCause::Forced => "forced",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counters are indexed by the variant, so each list must be in the order of declaration.
    #[test]
    fn lists_are_in_the_order_of_their_counters() {
        let in_order = |indexes: Vec<usize>| indexes.iter().copied().eq(0..indexes.len());
        assert!(in_order(
            FRAME_KINDS.iter().map(|&kind| kind as usize).collect()
        ));
        assert!(in_order(
            PAIR_ENDS.iter().map(|&end| end as usize).collect()
        ));
        assert!(in_order(
            EXIT_CAUSES.iter().map(|&cause| cause as usize).collect()
        ));
        assert!(in_order(REFUSALS.iter().map(|&why| why as usize).collect()));
        assert!(in_order(
            HALT_CAUSES.iter().map(|&why| why as usize).collect()
        ));
    }

    #[test]
    fn names_are_unique() {
        let lists: [Vec<&str>; 5] = [
            FRAME_KINDS.iter().map(|&kind| frame_kind(kind)).collect(),
            PAIR_ENDS.iter().map(|&end| pair_end(end)).collect(),
            EXIT_CAUSES.iter().map(|&cause| exit_cause(cause)).collect(),
            REFUSALS.iter().map(|&why| refusal(why)).collect(),
            HALT_CAUSES.iter().map(|&why| halt_cause(why)).collect(),
        ];
        for mut list in lists {
            let len = list.len();
            list.sort_unstable();
            list.dedup();
            assert_eq!(list.len(), len);
        }
    }
}
