//! What a venue message was: counted, journalled, and the reason why a book is asked for anew.

use crate::market::units::DecimalError;

/// What a venue message was, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A book snapshot.
    Snapshot,
    /// Book changes.
    Update,
    /// The fast top of a book.
    Top,
    /// Trades, a mark or index price, a funding rate.
    Reference,
    /// Anything else that is understood: acknowledgements, pings, greetings.
    Control,
    /// Understood as JSON but of a kind we do not know; ignored.
    Unknown,
    /// Not what the venue sends: not JSON, wrong types, out of range. The market resyncs.
    Malformed,
    /// A continuity break. The market resyncs.
    Gap,
    /// A change that does not fit the size it changes, though nothing was missed. The market
    /// resyncs.
    Misfit,
    /// A book that crossed itself. The market resyncs.
    Crossed,
    /// A price or size beyond what a book can hold. The market resyncs.
    OutOfRange,
    /// A price or size finer than 10^-9. The market resyncs.
    Inexact,
    /// A price or size below zero. The market resyncs.
    Negative,
    /// A level told twice in one message: which is meant nobody can say. The market resyncs.
    DuplicateLevel,
    /// A book of a market that was not asked for there. On a connection of one market it resyncs.
    WrongMarket,
}

impl FrameKind {
    /// Whether the message must not be believed.
    pub const fn is_fault(self) -> bool {
        match self {
            FrameKind::Snapshot
            | FrameKind::Update
            | FrameKind::Top
            | FrameKind::Reference
            | FrameKind::Control
            | FrameKind::Unknown => false,
            FrameKind::Malformed
            | FrameKind::Gap
            | FrameKind::Misfit
            | FrameKind::Crossed
            | FrameKind::OutOfRange
            | FrameKind::Inexact
            | FrameKind::Negative
            | FrameKind::DuplicateLevel
            | FrameKind::WrongMarket => true,
        }
    }
}

/// Why a book is doubted although no message was at fault. It is stale at once and asked for anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// Its channel has said nothing for much longer than it uses to, while the connection lives.
    Silent,
    /// Trades or the fast top told of changes that the book never showed.
    Frozen,
    /// A subscription was not answered.
    Unanswered,
    /// The venue's own snapshot was not the book we held, though nothing was missed.
    Disagreed,
}

/// All doubts, for reports.
pub const DOUBTS: [Doubt; 4] = [
    Doubt::Silent,
    Doubt::Frozen,
    Doubt::Unanswered,
    Doubt::Disagreed,
];

impl Doubt {
    /// Stable JSON name.
    pub const fn name(self) -> &'static str {
        match self {
            Doubt::Silent => "silent",
            Doubt::Frozen => "frozen",
            Doubt::Unanswered => "unanswered",
            Doubt::Disagreed => "disagreed",
        }
    }
}

/// Under what a message with such a number in it is counted.
impl From<DecimalError> for FrameKind {
    fn from(error: DecimalError) -> FrameKind {
        match error {
            DecimalError::Empty | DecimalError::Malformed => FrameKind::Malformed,
            DecimalError::Inexact => FrameKind::Inexact,
            DecimalError::Overflow => FrameKind::OutOfRange,
        }
    }
}
