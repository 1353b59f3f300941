//! HTTP connections for requests: which is free, which waits for what, which must be dropped.
//!
//! Promises: one request at a time on each (HTTP/1.1 answers in order, so a second would queue
//! behind the first and could not be told from it); connections are used in turn.
//! Refuses: nothing; a request that finds no free connection is told why.

use super::Core;
use crate::market::InstrumentId;
use crate::market::order::{OrderId, Refusal};
use crate::market::units::{Nanos, SECOND};
use crate::venue::Lane;

/// An answer that takes longer makes its order Unknown and its connection suspect. Larger: hedging
/// waits longer. Smaller: slow answers are taken for lost ones.
pub(super) const ANSWER_NS_MAX: u64 = 3 * SECOND;
/// Idle time after which a connection is kept warm. How long the venue keeps idle ones open is
/// unknown; 60 s is common.
pub(super) const WARM_NS: u64 = 30 * SECOND;

/// What an HTTP connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// A new order's acknowledgement.
    Place(OrderId),
    /// Whether a cancel was taken.
    Cancel(OrderId),
    /// What became of an order.
    Query(OrderId),
    /// Nothing: the request only kept the connection open, or asked whether the venue is.
    Warm,
    /// Whether the dead man's switch was set.
    Switch,
    /// The last trades on a market.
    Trades(InstrumentId),
    /// Payments of funding.
    Funding,
}

/// Where an HTTP connection stands.
///
/// ```text
/// Down -> Idle (link up) -> Busy (request sent) -> Idle (answer)
/// Busy -> Failed (no answer in time) -> Down (reconnect asked for); any -> Down (link down)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaneState {
    /// Not connected.
    Down,
    /// Free for a request since this moment.
    Idle { since: Nanos },
    /// One request is out. HTTP/1.1 answers in order, so a second one would only queue behind it.
    Busy { job: Job, t_sent: Nanos },
    /// Its answer is overdue. Should it still come, it must not be taken for that of a later
    /// request: the connection is dropped.
    Failed,
}

impl LaneState {
    /// What this connection has waited for too long.
    pub(super) fn overdue(self, now: Nanos) -> Option<Job> {
        match self {
            LaneState::Busy { job, t_sent } if now.since(t_sent) > ANSWER_NS_MAX => Some(job),
            LaneState::Busy { .. } | LaneState::Down | LaneState::Idle { .. } => None,
            LaneState::Failed => None,
        }
    }

    /// Whether it is connected.
    pub(super) fn is_live(&self) -> bool {
        match self {
            LaneState::Idle { .. } | LaneState::Busy { .. } => true,
            LaneState::Down | LaneState::Failed => false,
        }
    }

    /// Whether it is busy with something that no order asked for.
    pub(super) fn is_upkeep(&self) -> bool {
        match self {
            LaneState::Busy { job, .. } => match job {
                Job::Warm | Job::Switch | Job::Funding | Job::Trades(_) => true,
                Job::Place(_) | Job::Cancel(_) | Job::Query(_) => false,
            },
            LaneState::Down | LaneState::Idle { .. } | LaneState::Failed => false,
        }
    }
}

impl Core {
    /// The next idle connection, round robin, so that none is worn out and all stay warm.
    pub(super) fn free_lane(&mut self) -> Result<Lane, Refusal> {
        let count = self.lanes.len();
        let mut refusal = Refusal::NotConnected;
        for step in 0..count {
            let idx = (self.next_lane_idx + step) % count;
            match self.lanes[idx] {
                LaneState::Idle { .. } => {
                    self.next_lane_idx = (idx + 1) % count;
                    return Ok(idx + 1);
                }
                LaneState::Busy { .. } => refusal = Refusal::Busy,
                LaneState::Down | LaneState::Failed => {}
            }
        }
        Err(refusal)
    }
}
