//! What stands between the simulated venues and a chain: the venues know no chain, so a test's
//! relayer is told what waits to be paid out, and tells what was paid and what came in.
//!
//! Promises: a withdrawal waits until it was said to be over; a deposit is credited once for its
//! transaction. Refuses: a deposit of a wallet that has no account, or by a quote that was not
//! committed.

use crate::keys::ceremony::{Address, hex};
use crate::market::units::Notional;
use crate::market::{VENUES, Venue};
pub use crate::sim::exchange::Payout;
use crate::sim::exchange::{NewTransfer, Stage, Way};
use crate::sim::start::Sim;
use std::fmt;

/// The contracts on the chain that the venues name to their clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contracts {
    /// The bridge that Extended names.
    pub bridge: Address,
    /// Lighter's own.
    pub lighter: Address,
    /// USDC.
    pub token: Address,
}

impl Default for Contracts {
    /// Addresses without a chain, for runs without one.
    fn default() -> Contracts {
        Contracts {
            bridge: Address([0xB1; 20]),
            lighter: Address([0x11; 20]),
            token: Address([0x0C; 20]),
        }
    }
}

/// A withdrawal that waits to be paid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Who pays.
    pub venue: Venue,
    /// The venue's number of it.
    pub number: u64,
    /// Who is paid.
    pub wallet: Address,
    /// What arrives there, without any fee. USD.
    pub amount: Notional,
    /// How.
    pub by: Payout,
    /// Claimable already: said so before, and not claimed yet.
    pub is_claimable: bool,
}

/// What became of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// The contract owes it: only for [`Payout::Claim`].
    Claimable,
    /// The wallet has it.
    Done,
    /// It will not be paid: the account has it back.
    Failed,
}

/// A deposit that was mined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arriving {
    /// For which venue.
    pub venue: Venue,
    /// Who paid.
    pub wallet: Address,
    /// What was paid in. USD.
    pub amount: Notional,
    /// The chain's transaction.
    pub transaction: [u8; 32],
    /// What it named for the bridge; zeros on Lighter.
    pub commitment: [u8; 32],
}

impl Sim {
    /// The withdrawals that wait to be paid out, oldest first, venue by venue.
    pub fn leaving(&self) -> Vec<Leaving> {
        let mut all = Vec::new();
        for venue in VENUES {
            let from = all.len();
            self.floor(venue).look(|exchange| {
                for transfer in exchange.transfers() {
                    let is_waiting = matches!(transfer.stage, Stage::Pending | Stage::Claimable);
                    let Some(exit) = transfer.exit.filter(|_| is_waiting) else {
                        continue;
                    };
                    all.push(Leaving {
                        venue,
                        number: transfer.number,
                        wallet: exit.wallet,
                        amount: exit.arrives,
                        by: exit.by,
                        is_claimable: transfer.stage == Stage::Claimable,
                    });
                }
            });
            all[from..].reverse();
        }
        all
    }

    /// Says what became of a withdrawal that waited.
    ///
    /// # Errors
    /// Where none such waits, or goes by no claim; nothing has changed then.
    pub fn settle(&self, venue: Venue, number: u64, paid: Paid) -> Result<(), RelayError> {
        let waiting = self.leaving().into_iter();
        let mut found = waiting.filter(|one| (one.venue, one.number) == (venue, number));
        let found = found.next().ok_or(RelayError::UnknownWithdrawal(number))?;
        let stage = match paid {
            Paid::Claimable if found.by != Payout::Claim => {
                return Err(RelayError::NoClaim(number));
            }
            Paid::Claimable => Stage::Claimable,
            Paid::Done => Stage::Completed,
            Paid::Failed => Stage::Failed,
        };
        self.floor(venue)
            .act(|exchange, _, out| exchange.move_transfer(number, stage, out));
        Ok(())
    }

    /// Credits a deposit that was mined; the venue's number of it, the same when it is told again.
    ///
    /// # Errors
    /// What a real venue would not credit: nothing has changed then.
    pub fn arrive(&self, arriving: &Arriving) -> Result<u64, RelayError> {
        let mark = format!("0x{}", hex(&arriving.transaction));
        let floor = self.floor(arriving.venue);
        let known = floor.look(|exchange| {
            let mut all = exchange.transfers();
            let known = all.find(|one| one.way == Way::In && one.mark == mark);
            known.map(|one| one.number)
        });
        if let Some(number) = known {
            return Ok(number);
        }
        let owner = &self.extended.keys.wallet;
        if !owner.eq_ignore_ascii_case(&arriving.wallet.to_string()) {
            return Err(RelayError::UnknownWallet(arriving.wallet));
        }
        let amount = match arriving.venue {
            Venue::Lighter => Some(arriving.amount),
            Venue::Extended => self.extended.bridged(arriving.commitment, arriving.amount),
        };
        let wanted = NewTransfer {
            way: Way::In,
            amount: amount.ok_or(RelayError::UnknownCommitment)?,
            fee: Notional::ZERO,
            mark,
        };
        Ok(floor.act(|exchange, now, out| {
            let number = exchange
                .transfer(now, wanted, out)
                .expect("money that comes in is never refused");
            exchange.move_transfer(number, Stage::Completed, out);
            number
        }))
    }

    /// Ends every quote of Extended's bridge that was not used, as time would.
    pub fn end_quotes(&self) {
        self.extended.ledger().bridge.end_quotes();
    }
}

/// Why the relayer was refused: the test's own fault, or money that a real bridge would keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayError {
    /// No such withdrawal waits.
    UnknownWithdrawal(u64),
    /// It does not go by a claim.
    NoClaim(u64),
    /// The wallet has no account there.
    UnknownWallet(Address),
    /// No committed quote has this commitment and this amount.
    UnknownCommitment,
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RelayError::UnknownWithdrawal(number) => write!(f, "no withdrawal {number} waits"),
            RelayError::NoClaim(number) => write!(f, "withdrawal {number} goes by no claim"),
            RelayError::UnknownWallet(wallet) => write!(f, "{wallet} has no account"),
            RelayError::UnknownCommitment => {
                f.write_str("no committed quote has this commitment and amount")
            }
        }
    }
}

impl std::error::Error for RelayError {}
