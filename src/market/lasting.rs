//! What outlives a run: circuit breakers, and what each market's pairs have earned it.
//!
//! Plain values that cross the links between the scanner, which decides, and `main`, which keeps
//! them on disk. Refuses: deciding anything, and knowing how they are written.

use crate::market::event::{HaltCause, Reason};
use crate::market::units::{Bps, Nanos, Notional};

/// A circuit breaker. Open, it stops all entries until a human resets it; exits go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Breaker {
    /// The day (UTC) has lost DAILY_LOSS_MAX_USD, open pairs at executable prices counted.
    DailyLoss,
    /// Equity over both venues is MAX_DRAWDOWN_PCT below its highest.
    Drawdown,
    /// Halt was raised: a pair is stuck, or something on an account has no explanation.
    Halt,
    /// So many pairs in a row had to be taken back (UNWINDS_IN_A_ROW_MAX).
    Unwinds,
    /// So many entries in a row missed (MISSES_IN_A_ROW_MAX).
    Misses,
}

/// All breakers, in the order of their numbers.
pub const BREAKERS: [Breaker; 5] = [
    Breaker::DailyLoss,
    Breaker::Drawdown,
    Breaker::Halt,
    Breaker::Unwinds,
    Breaker::Misses,
];

impl Breaker {
    /// Stable name, in files and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Breaker::DailyLoss => "daily_loss",
            Breaker::Drawdown => "drawdown",
            Breaker::Halt => "halt",
            Breaker::Unwinds => "unwinds",
            Breaker::Misses => "misses",
        }
    }

    /// The breaker of a stable name.
    pub fn named(name: &str) -> Option<Breaker> {
        BREAKERS.into_iter().find(|breaker| breaker.name() == name)
    }

    /// Place in arrays by breaker.
    pub const fn idx(self) -> usize {
        self as usize
    }

    /// Why entries are refused while it is open.
    pub const fn reason(self) -> Reason {
        match self {
            Breaker::DailyLoss => Reason::DailyLoss,
            Breaker::Drawdown | Breaker::Halt | Breaker::Unwinds | Breaker::Misses => {
                Reason::Breaker
            }
        }
    }
}

/// What a breaker saw when it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The day's loss, positive, and the limit.
    Loss(Notional, Notional),
    /// Equity over both venues, its highest, and how far below that it may be.
    Drawdown(Notional, Notional, Bps),
    /// The cause of halt, as far as the scanner raised it.
    Halt(Option<HaltCause>),
    /// So many in a row.
    InARow(u16),
    /// It was open when the run began.
    Earlier,
}

/// A breaker has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// When.
    pub t: Nanos,
    /// On what.
    pub sight: Sight,
}

/// Days since 1970, UTC.
pub const fn day_of(t: Nanos) -> u32 {
    (t.0 / DAY_NS) as u32
}

const DAY_NS: u64 = 86_400 * crate::market::units::SECOND;

/// The breakers of an account, with the sums that two of them judge by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakers {
    /// Which are open, by [`Breaker::idx`].
    pub open: [Option<Opened>; BREAKERS.len()],
    /// The day that `realised` is of.
    pub day: u32,
    /// What the day's finished pairs have made. A reset begins it anew.
    pub realised: Notional,
    /// Highest equity over both venues since the last reset; zero: none confirmed yet.
    pub peak: Notional,
    /// Which word of `main` these follow: what was said before it is out of date.
    pub word: u32,
}

impl Breakers {
    /// The first open breaker.
    #[inline]
    pub fn first_open(&self) -> Option<Breaker> {
        let is_open = |breaker: &Breaker| self.open[breaker.idx()].is_some();
        BREAKERS.into_iter().find(is_open)
    }
}

/// The breakers as a run finds them, or as a human's reset leaves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Since when each is open, by [`Breaker::idx`].
    pub open: [Option<Nanos>; BREAKERS.len()],
    /// As in [`Breakers`].
    pub day: u32,
    /// As in [`Breakers`].
    pub realised: Notional,
    /// As in [`Breakers`].
    pub peak: Notional,
    /// As in [`Breakers`].
    pub word: u32,
}

impl Restored {
    /// What the scanner makes of it.
    pub fn breakers(&self) -> Breakers {
        let sight = Sight::Earlier;
        Breakers {
            open: self.open.map(|since| since.map(|t| Opened { t, sight })),
            day: self.day,
            realised: self.realised,
            peak: self.peak,
            word: self.word,
        }
    }
}

/// How far a market's size has grown, and how its last pairs went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The size may be the smallest tradable one, doubled so often.
    pub level: u8,
    /// Pairs at this level that kept what was predicted of them.
    pub kept: u16,
    /// Pairs in a row that lost money.
    pub lost: u16,
    /// No entry before this, after a run of losing pairs.
    pub t_rest: Nanos,
}
