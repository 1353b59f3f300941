//! The first half of a transfer: out of a venue and into the wallet.

use super::journal::{Fate, Step, Transfer, micros, usd};
use super::{Carrier, Chore, LATE_S, Next, TransferError};
use crate::market::units::{NOTIONAL_SCALE, Notional};
use crate::treasury::chain::Call;
use crate::treasury::exits::{Request, SendError, Standing, Way};

impl Carrier<'_> {
    /// Pairs are made smaller than they are, never larger: once more is the same.
    pub(super) fn close(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        if transfer.keep.iter().any(|keep| !keep.is_empty()) {
            let closed = self.outside.accounts.close(transfer);
            closed.map_err(TransferError::Closing)?;
        }
        self.put(|transfer| transfer.step = Step::Quote)?;
        Ok(Next::Again)
    }

    /// Nothing is bound yet: whatever is wrong here ends the transfer with everything in place.
    pub(super) fn quote(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        let venue = transfer.out.venue();
        let free = self.outside.accounts.withdrawable(venue)?;
        let wanted = usd(transfer.amount);
        let amount = whole_cents(free.min(wanted));
        if amount < usd(transfer.least) {
            let error = TransferError::Insufficient {
                venue,
                free,
                wanted,
            };
            self.end(Fate::Unsent(error.to_string()))?;
            return Err(error);
        }
        self.count_quote(transfer.out)?;
        let quote = self.outside.exits.quote(transfer.out, amount)?;
        self.check(&quote, amount, None)?;
        let quoted_s = (self.outside.now_s)();
        self.put(|transfer| {
            transfer.quoted_s = quoted_s;
            transfer.amount = micros(amount);
            transfer.leaving = Some(quote);
            transfer.step = Step::Commit;
        })?;
        Ok(Next::Again)
    }

    /// Binds the quote and signs. From the moment it is written down it may have been sent.
    pub(super) fn commit(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        let usable = transfer.leaving.as_ref();
        let Some(quote) = usable.filter(|quote| !self.has_ended(quote)) else {
            return self.quote_again();
        };
        let wallet_before = self.outside.node.balance(quote.token, transfer.wallet)?;
        let exits = self.outside.exits;
        let signed = exits
            .commit(quote)
            .and_then(|()| exits.prepare(quote, self.outside.key));
        let request = match signed {
            Ok(request) => request,
            // Perhaps it has ended, which not every venue tells beforehand: the next one is new.
            Err(why) => {
                self.quote_again()?;
                return Err(why.into());
            }
        };
        let number = request.number;
        self.put(|transfer| {
            transfer.wallet_before = wallet_before;
            transfer.request = Some(request);
            transfer.step = Step::Withdraw;
        })?;
        self.unsent = Some(number);
        Ok(Next::Again)
    }

    fn quote_again(&mut self) -> Result<Next, TransferError> {
        self.put(|transfer| {
            transfer.leaving = None;
            transfer.request = None;
            transfer.refused_s = 0;
            transfer.step = Step::Quote;
        })?;
        Ok(Next::Again)
    }

    /// The venue is asked first: who comes back to this step may have sent it already.
    pub(super) fn withdraw(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        let Some(request) = &transfer.request else {
            return self.quote_again();
        };
        let exits = self.outside.exits;
        match exits.find(request)? {
            Some(Standing::Refused(why)) => return self.refused(transfer, why),
            Some(_) => return self.sent(),
            None if self.is_dead(request) => return self.quote_again(),
            None if self.is_over(request) => {
                return Ok(self.wait("the venue's list, before a new quote is used"));
            }
            None => {}
        }
        // Of one that another process may have sent, a refusal may be that of the repetition.
        let is_first = self.unsent.take() == Some(request.number);
        let why = match exits.send(request) {
            Ok(_) => return self.sent(),
            Err(SendError::Refused(why)) if is_first => {
                self.refusals += 1;
                // Once, as quotes end without a word.
                return match self.refusals {
                    1 => self.quote_again(),
                    _ => self.refused(transfer, why),
                };
            }
            Err(why) => why,
        };
        // An answer that is lost is no answer.
        match exits.find(request)? {
            Some(Standing::Refused(why)) => self.refused(transfer, why),
            Some(_) => self.sent(),
            None if matches!(why, SendError::Refused(_)) => self.repeat(transfer, why),
            None => Err(TransferError::Unsent(why.into())),
        }
    }

    /// Refused, and not listed: when both have lasted for longer than a list is late, it was never
    /// taken, and as it stands it never will be.
    fn repeat(&mut self, transfer: &Transfer, why: SendError) -> Result<Next, TransferError> {
        let now_s = (self.outside.now_s)();
        match transfer.refused_s {
            0 => self.put(|transfer| transfer.refused_s = now_s)?,
            since_s if now_s > since_s + LATE_S => return self.quote_again(),
            _ => {}
        }
        Err(TransferError::Unsent(why.into()))
    }

    fn sent(&mut self) -> Result<Next, TransferError> {
        self.quotes = 0;
        self.put(|transfer| transfer.step = Step::PaidOut)?;
        Ok(Next::Again)
    }

    fn refused(&mut self, transfer: &Transfer, why: String) -> Result<Next, TransferError> {
        let venue = transfer.out.venue();
        let error = TransferError::Refused { venue, why };
        self.end(Fate::Unsent(error.to_string()))?;
        Err(error)
    }

    /// The venue has said when its quote ends, and it has.
    fn is_over(&self, request: &Request) -> bool {
        let now_s = (self.outside.now_s)();
        request.quote.ends_s.is_some_and(|ends_s| now_s > ends_s)
    }

    /// It can't be executed any more, and a list that is late would show it by now.
    fn is_dead(&self, request: &Request) -> bool {
        let now_s = (self.outside.now_s)();
        let expires_s = request.expires_ms / 1_000;
        let ends_s = request.quote.ends_s.unwrap_or(u64::MAX).min(expires_s);
        now_s > ends_s.saturating_add(LATE_S)
    }

    /// Two witnesses: the venue says that it has paid, and the wallet has got it.
    pub(super) fn paid_out(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        let (Some(request), Some(quote)) = (&transfer.request, &transfer.leaving) else {
            return self.quote_again();
        };
        let is_over = match transfer.is_claimed {
            true => true,
            false => match self.outside.exits.find(request)? {
                Some(Standing::Refused(why)) => return self.refused(transfer, why),
                Some(Standing::Claimable) => {
                    self.put(|transfer| transfer.step = Step::Claim)?;
                    return Ok(Next::Again);
                }
                Some(Standing::Done) => true,
                Some(Standing::Underway) | None => false,
            },
        };
        let arrived = micros(quote.arrives);
        let has = self.outside.node.balance(quote.token, transfer.wallet)?;
        if is_over && has >= transfer.wallet_before + u128::from(arrived) {
            self.put(|transfer| {
                transfer.arrived = arrived;
                transfer.step = Step::Approve;
            })?;
            return Ok(Next::Again);
        }
        let since_s = (self.outside.now_s)().saturating_sub(transfer.step_s);
        if since_s > transfer.patience_s {
            return Err(TransferError::NotPaid {
                venue: transfer.out.venue(),
                id: request.hash.clone(),
                amount: usd(arrived),
                since_s,
            });
        }
        Ok(self.wait("the withdrawal to reach your wallet"))
    }

    /// Only where the venue's contract keeps it for the wallet. Anybody may claim for it, and then
    /// ours has nothing left to do: the venue is asked again before anything is signed.
    pub(super) fn claim(&mut self, transfer: &Transfer) -> Result<Next, TransferError> {
        let (Some(request), Some(quote)) = (&transfer.request, &transfer.leaving) else {
            return self.quote_again();
        };
        if transfer.claim.is_empty() {
            let standing = self.outside.exits.find(request)?;
            if standing != Some(Standing::Claimable) || transfer.out != Way::LighterSecure {
                self.put(|transfer| transfer.step = Step::PaidOut)?;
                return Ok(self.wait("the withdrawal to be paid out"));
            }
            let call = Call::LighterClaim {
                contract: quote.contract,
                owner: transfer.wallet,
                asset: quote.asset,
                amount: u128::from(micros(quote.arrives)),
            };
            self.sign(Chore::Claim, &call)?;
            return Ok(Next::Again);
        }
        if self.see_through(transfer, Chore::Claim)?.is_none() {
            return Ok(self.wait("the claim to be mined"));
        }
        self.put(|transfer| {
            transfer.is_claimed = true;
            transfer.step = Step::PaidOut;
        })?;
        Ok(Next::Again)
    }
}

/// Rounded down.
fn whole_cents(amount: Notional) -> Notional {
    const CENT: i128 = NOTIONAL_SCALE / 100;
    Notional(amount.0.max(0) / CENT * CENT)
}
