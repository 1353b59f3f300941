//! The second half of a transfer: from the wallet into the other venue.

use super::journal::{Fate, Step, Transfer, micros, usd};
use super::{CREDIT_S, Carrier, Chore, Next, PENDING_S, TransferError};
use crate::keys::ceremony::{hex, unhex};
use crate::treasury::chain::{Call, Outcome, Signed};
use crate::treasury::exits::{Quote, Standing, Way};

impl Carrier<'_> {
    /// Exactly what is deposited, to exactly the contract that takes it.
    pub(super) fn approve(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        if !transfer.approve.is_empty() {
            if self.see_through(transfer, Chore::Approve)?.is_none() {
                return Ok(self.wait("the approval to be mined"));
            }
            self.put(|transfer| {
                transfer.approve.clear();
                transfer.step = Step::Deposit;
            })?;
            return Ok(Next::Again);
        }
        let quote = self.entering(transfer)?;
        if self.is_allowed(transfer, &quote)? {
            let quoted_s = (self.outside.now_s)();
            self.put(|transfer| {
                transfer.quoted_s = quoted_s;
                transfer.entering = Some(quote);
                transfer.step = Step::Deposit;
            })?;
            return Ok(Next::Again);
        }
        let call = Call::Approve {
            token: quote.token,
            spender: quote.contract,
            amount: u128::from(transfer.arrived),
        };
        self.sign(Chore::Approve, &call)?;
        Ok(Next::Again)
    }

    /// Signed with a quote that is good now. One whose quote has ended before it was mined is made
    /// anew with the same nonce: the chain takes one of the two at most.
    pub(super) fn deposit(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        if transfer.is_replaced {
            return self.deposit_again(transfer);
        }
        let is_old = transfer.entering.as_ref().is_none_or(|q| self.has_ended(q));
        if transfer.deposit.is_empty() {
            return self.sign_deposit(transfer, is_old);
        }
        if is_old {
            let waited_s = (self.outside.now_s)().saturating_sub(transfer.tried_s);
            match self.outside.node.outcome(&transfer.deposit)? {
                Outcome::Unknown => return self.sign_deposit(transfer, true),
                Outcome::Pending if waited_s >= PENDING_S => {
                    return self.sign_deposit(transfer, true);
                }
                _ => {}
            }
        }
        let Some(hash) = self.see_through(transfer, Chore::Deposit)? else {
            return Ok(self.wait("the deposit to be mined"));
        };
        self.quotes = 0;
        self.put(|transfer| {
            transfer.deposited = Some(hex(&hash));
            transfer.step = Step::Credited;
        })?;
        Ok(Next::Again)
    }

    fn sign_deposit(&mut self, transfer: &Transfer, is_old: bool) -> Result<Next, TransferError> {
        let now_s = (self.outside.now_s)();
        let (quote, quoted_s) = match (&transfer.entering, is_old) {
            (Some(quote), false) => (quote.clone(), transfer.quoted_s),
            _ => (self.entering(transfer)?, now_s),
        };
        let (node, key) = (self.outside.node, self.outside.key);
        let (has, wants) = (
            node.balance(quote.token, transfer.wallet)?,
            u128::from(transfer.arrived),
        );
        if has < wants {
            return Err(TransferError::Short {
                wallet: transfer.wallet,
                has: usd(u64::try_from(has).unwrap_or(u64::MAX)),
                wants: usd(transfer.arrived),
            });
        }
        if !self.is_allowed(transfer, &quote)? {
            self.put(|transfer| transfer.step = Step::Approve)?;
            return Ok(Next::Again);
        }
        if let Err(why) = self.outside.exits.commit(&quote) {
            // Perhaps it has ended: the next one is new.
            self.put(|transfer| transfer.quoted_s = 0)?;
            return Err(why.into());
        }
        let call = deposit_call(transfer, &quote);
        let signed = match transfer.deposit.last() {
            None => node.prepare(key, &call)?,
            Some(last) => {
                let other = Signed {
                    call,
                    ..last.clone()
                };
                node.replace(key, &other)?
            }
        };
        let sent = signed.clone();
        self.put(|transfer| {
            transfer.deposit.push(signed);
            transfer.tried_s = now_s;
            transfer.quoted_s = quoted_s;
            transfer.entering = Some(quote);
            transfer.wallet_full = has;
        })?;
        node.send(&sent)?;
        Ok(Next::Again)
    }

    /// The nonce went to another transaction. The money says which: while all of it is there, and
    /// may still be taken, it was no deposit.
    fn deposit_again(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        if self.outside.node.outcome(&transfer.deposit)? != Outcome::Replaced {
            // The chain has thought better of it.
            self.put(|transfer| transfer.is_replaced = false)?;
            return Ok(Next::Again);
        }
        let mut is_gone = true;
        if let Some(quote) = &transfer.entering {
            let has = self.outside.node.balance(quote.token, transfer.wallet)?;
            is_gone = has < transfer.wallet_full || !self.is_allowed(transfer, quote)?;
        }
        if is_gone {
            let last = transfer.deposit.last();
            return Err(TransferError::Replaced {
                what: Chore::Deposit.name(),
                hash: last.map(|last| hex(&last.hash)).unwrap_or_default(),
                is_gone,
            });
        }
        self.put(|transfer| {
            transfer.deposit.clear();
            transfer.is_replaced = false;
        })?;
        Ok(Next::Again)
    }

    /// Over when the venue counts it.
    pub(super) fn credited(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        let (venue, into) = (transfer.into.venue(), transfer.into);
        let hash = transfer.deposited.clone().unwrap_or_default();
        let amount = usd(transfer.arrived);
        let bytes = unhex(&hash).unwrap_or_default();
        match self.outside.exits.deposit(into, bytes, amount)? {
            Some(Standing::Done) => {
                let past = self.end(Fate::Done)?;
                return Ok(past.map_or(Next::Nothing, Next::Done));
            }
            Some(Standing::Refused(why)) => {
                return Err(TransferError::DepositRefused { venue, hash, why });
            }
            Some(Standing::Underway | Standing::Claimable) | None => {}
        }
        let since_s = (self.outside.now_s)().saturating_sub(transfer.step_s);
        if since_s > CREDIT_S {
            return Err(TransferError::NotCredited {
                venue,
                hash,
                amount,
                since_s,
            });
        }
        Ok(self.wait("the venue to count the deposit"))
    }

    /// A quote of the way in for what the wallet got.
    fn entering(&mut self, transfer: &Transfer) -> Result<Quote, TransferError> {
        self.count_quote(transfer.into)?;
        let amount = usd(transfer.arrived);
        let quote = self.outside.exits.quote(transfer.into, amount)?;
        self.check(&quote, amount, transfer.leaving.as_ref())?;
        Ok(quote)
    }

    fn is_allowed(&self, transfer: &Transfer, quote: &Quote) -> Result<bool, TransferError> {
        let (token, contract) = (quote.token, quote.contract);
        let node = self.outside.node;
        let allowed = node.allowance(token, transfer.wallet, contract)?;
        Ok(allowed >= u128::from(transfer.arrived))
    }
}

fn deposit_call(transfer: &Transfer, quote: &Quote) -> Call {
    let amount = u128::from(micros(quote.amount));
    match transfer.into {
        Way::ExtendedIn => Call::ExtendedDeposit {
            bridge: quote.contract,
            token: quote.token,
            amount,
            commitment: quote.commitment,
        },
        _ => Call::LighterDeposit {
            contract: quote.contract,
            to: transfer.wallet,
            asset: quote.asset,
            route: quote.route,
            amount,
        },
    }
}
