//! Money in and out of a simulated account.
//!
//! Promises: a deposit counts when it is done; a withdrawal is taken off when it is asked for and
//! given back when it fails; what the list counts and what collateral moved by are the same sum.
//! Refuses: to give out what may not be withdrawn: unrealised gains, and what positions and orders
//! need.

use super::engine::{Exchange, HISTORY_MAX};
use super::{Happening, Reject};
use crate::keys::ceremony::Address;
use crate::market::units::{Nanos, Notional};
use std::collections::VecDeque;

/// Which way money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From outside to the account.
    In,
    /// From the account to outside.
    Out,
    /// From the account to another one of the venue.
    Across,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Asked for.
    Pending,
    /// Waiting to be taken outside.
    Claimable,
    /// Over.
    Completed,
    /// Over, and nothing was moved.
    Failed,
}

/// One transfer.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Unique per exchange, rising.
    pub number: u64,
    /// Which way.
    pub way: Way,
    /// How far.
    pub stage: Stage,
    /// Without the fee, positive.
    pub amount: Notional,
    /// On top of it.
    pub fee: Notional,
    /// When it was asked for.
    pub t: Nanos,
    /// What stands for it outside: a transaction's hash, or empty.
    pub mark: String,
    /// Where it leaves the venue, if it does.
    pub exit: Option<Exit>,
}

/// How a withdrawal reaches the wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payout {
    /// The bridge pays the wallet.
    Bridge,
    /// The contract owes it to the wallet, which claims it.
    Claim,
    /// The venue's pool pays the wallet.
    Pool,
}

/// Where money leaves the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Who is paid.
    pub wallet: Address,
    /// What arrives there.
    pub arrives: Notional,
    /// By whom.
    pub by: Payout,
}

/// What a transfer is to be.
#[derive(Clone, Debug)]
pub struct NewTransfer {
    /// Which way.
    pub way: Way,
    /// Without the fee, positive.
    pub amount: Notional,
    /// On top of it.
    pub fee: Notional,
    /// What stands for it outside.
    pub mark: String,
}

/// Money in and out, newest first, and how many there ever were.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    list: VecDeque<Transfer>,
    count: u64,
}

impl Transfer {
    /// By how much collateral has moved for it.
    pub fn counted(&self) -> Notional {
        match (self.way, self.stage) {
            (Way::In, Stage::Completed) => self.amount,
            (Way::In, _) | (_, Stage::Failed) => Notional::ZERO,
            (Way::Out | Way::Across, _) => -self.amount - self.fee,
        }
    }
}

impl Exchange {
    /// Begins a transfer; its number. Money that goes out is taken off at once.
    pub fn transfer(
        &mut self,
        now: Nanos,
        wanted: NewTransfer,
        out: &mut Vec<Happening>,
    ) -> Result<u64, Reject> {
        let whole = wanted.amount + wanted.fee;
        if wanted.way != Way::In && whole > self.withdrawable() {
            return Err(Reject::Margin);
        }
        self.money.count += 1;
        let transfer = Transfer {
            number: self.money.count,
            way: wanted.way,
            stage: Stage::Pending,
            amount: wanted.amount,
            fee: wanted.fee,
            t: now,
            mark: wanted.mark,
            exit: None,
        };
        self.collateral += transfer.counted();
        self.money.list.push_front(transfer);
        self.money.list.truncate(HISTORY_MAX);
        out.push(Happening::Account(self.account()));
        Ok(self.money.count)
    }

    /// The same for money that leaves the venue.
    pub fn send_out(
        &mut self,
        now: Nanos,
        wanted: NewTransfer,
        exit: Exit,
        out: &mut Vec<Happening>,
    ) -> Result<u64, Reject> {
        let number = self.transfer(now, wanted, out)?;
        if let Some(sent) = self.money.list.front_mut() {
            sent.exit = Some(exit);
        }
        Ok(number)
    }

    /// Moves a transfer on; what that changes of the account is booked. Nothing where there is no
    /// such transfer, or where it is over.
    pub fn move_transfer(&mut self, number: u64, stage: Stage, out: &mut Vec<Happening>) {
        let mut all = self.money.list.iter_mut();
        let is_over = |stage| matches!(stage, Stage::Completed | Stage::Failed);
        let found = all.find(|transfer| transfer.number == number && !is_over(transfer.stage));
        let Some(transfer) = found else { return };
        let before = transfer.counted();
        transfer.stage = stage;
        self.collateral += transfer.counted() - before;
        out.push(Happening::Account(self.account()));
    }

    /// Money in and out, newest first.
    pub fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.money.list.iter()
    }

    /// Moves collateral and lists nothing: what a client's book must find out.
    pub fn leak(&mut self, amount: Notional, out: &mut Vec<Happening>) {
        self.collateral += amount;
        out.push(Happening::Account(self.account()));
    }

    /// What may leave the account: no gain that is not realised. [Extended, *Get balance*]
    pub fn withdrawable(&self) -> Notional {
        let account = self.account();
        let sure = account.collateral.min(account.equity);
        (sure - account.initial_margin).max(Notional::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::exchange::{Settings, rig};

    const fn usd(usd: i64) -> Notional {
        Notional::from_usd(usd)
    }

    fn wanted(way: Way, amount: i64, fee: i64) -> NewTransfer {
        NewTransfer {
            way,
            amount: usd(amount),
            fee: usd(fee),
            mark: String::new(),
        }
    }

    #[test]
    fn the_list_counts_what_collateral_moved_by() {
        let mut exchange = rig::exchange(Settings::extended(1));
        let begun = exchange.account().collateral;
        let mut out = Vec::new();
        let now = rig::START;
        let mut ask = |wanted| exchange.transfer(now, wanted, &mut out).unwrap();
        let deposit = ask(wanted(Way::In, 50, 0));
        let given_back = ask(wanted(Way::Out, 30, 1));
        let gone = ask(wanted(Way::Across, 7, 3));
        for (number, stage, moved) in [
            (0, Stage::Completed, -31 - 10),
            (deposit, Stage::Completed, 50 - 31 - 10),
            (given_back, Stage::Claimable, 50 - 31 - 10),
            (given_back, Stage::Failed, 50 - 10),
            // It is over: nothing brings it back.
            (given_back, Stage::Completed, 50 - 10),
            (gone, Stage::Completed, 50 - 10),
        ] {
            exchange.move_transfer(number, stage, &mut out);
            let counted = exchange.transfers().map(Transfer::counted);
            let sum = counted.fold(usd(0), |sum, one| sum + one);
            assert_eq!(sum, usd(moved), "{number} {stage:?}");
            assert_eq!(exchange.account().collateral - begun, sum);
        }
        assert!(out.iter().all(|one| matches!(one, Happening::Account(_))));
    }

    #[test]
    fn only_what_may_be_withdrawn_goes_out() {
        let mut exchange = rig::exchange(Settings::lighter(
            crate::sim::exchange::LighterTier::Standard,
            1,
        ));
        let mut out = Vec::new();
        let now = rig::START;
        let all = exchange.withdrawable();
        let too_much = NewTransfer {
            amount: all,
            ..wanted(Way::Out, 0, 1)
        };
        let refused = exchange.transfer(now, too_much, &mut out);
        assert_eq!(refused, Err(Reject::Margin));
        assert!(out.is_empty() && exchange.transfers().next().is_none());
        let exactly = NewTransfer {
            amount: all,
            ..wanted(Way::Out, 0, 0)
        };
        exchange.transfer(now, exactly, &mut out).unwrap();
        assert_eq!(exchange.withdrawable(), usd(0));
    }
}
