//! An account's money and what moved it, in the same words for both venues.
//!
//! Promises: cash needs no price. It is what collateral would be were every position given back at
//! what it cost, so that only trades, fees, funding and transfers move it, and a mark never does.
//! Refuses: judging; `treasury` says what is explained.
//!
//! Why cost and not mark: venues tell equity on a mark that moves between two reads. A position's
//! cost is its value less its unrealised profit, both of one row and so on one mark; collateral
//! less the costs is then exact however far prices have gone. A fill that opens changes the cost by
//! what it paid; one that closes changes the cost by its share and collateral by the profit:
//! together again what it paid.

use crate::market::units::{Notional, Size};

/// Money and positions of an account at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// Deposits less withdrawals, and realised profit. USD.
    pub collateral: Notional,
    /// Collateral and unrealised profit. USD.
    pub equity: Notional,
    /// Free for new positions. USD.
    pub available: Notional,
    /// What may be withdrawn: unrealised gains may not. USD, never negative.
    pub withdrawable: Notional,
    /// Maintenance margin over equity, a ratio at 10^-9; above one is liquidation.
    pub margin_ratio_e9: i64,
    /// What the open positions cost, signed: a short one was paid for. USD.
    pub cost: Notional,
    /// The open positions.
    pub held: Vec<Position>,
}

/// An open position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The venue's name of the market.
    pub market: String,
    /// Signed size, never zero.
    pub size: Size,
    /// At the venue's mark, signed like the size. USD.
    pub value: Notional,
    /// Unrealised profit at that mark. USD.
    pub profit: Notional,
}

impl Money {
    /// What only trades, fees, funding and transfers can move.
    pub fn cash(&self) -> Notional {
        self.collateral - self.cost
    }
}

/// What may leave an account by the rule that both venues follow: collateral with unrealised
/// losses, less what positions and orders need at the start. Source: Extended, *Get balance*.
pub fn withdrawable(collateral: Notional, unrealised: Notional, initial: Notional) -> Notional {
    (collateral + unrealised.min(Notional::ZERO) - initial).max(Notional::ZERO)
}

/// How far an account's lists were read: the newest number of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Of trades.
    pub trade: u64,
    /// Of payments of funding.
    pub funding: u64,
}

impl Marks {
    /// Beyond everything: asks for where the lists stand, and for no row of them.
    pub const END: Marks = Marks {
        trade: u64::MAX,
        funding: u64::MAX,
    };
}

/// What trades and funding moved since some marks, and where the lists stand now. Received is
/// positive. USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Sold less bought.
    pub trades: Notional,
    /// Fees paid, positive.
    pub fees: Notional,
    /// Funding received.
    pub funding: Notional,
    /// Where the lists stand.
    pub marks: Marks,
}

/// Money that went in or out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The venue's number of it, unique within the venue.
    pub id: String,
    /// The venue's word: `DEPOSIT`, `L2TransferOutflow`.
    pub kind: String,
    /// The venue's word on how far it is.
    pub status: String,
    /// When it was asked for, epoch milliseconds.
    pub t_ms: u64,
    /// By how much the account's collateral has changed for it so far, signed: nothing for a
    /// deposit under way, or for a withdrawal that was given back. USD.
    pub counted: Notional,
}
