//! Both accounts as a transfer needs them, over the venues' REST.
//!
//! Promises: pairs are closed by the hands that `flatten` closes with, on both venues at once, and
//! never while an engine trades on the accounts: it would take the closing orders for a stranger's.

use crate::config;
use crate::flatten::hands;
use crate::hands::settle::{self, Aim, Pace, Scope, both};
use crate::hands::{Hands, HandsError};
use crate::market::units::Notional;
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::session::claim::Claim;
use crate::stage::clock::Clock;
use crate::treasury::purse::{self, Purse};
use crate::treasury::transfer::{Accounts, Transfer};

/// Both accounts.
pub struct Live<'a> {
    accounts: &'a config::Accounts,
    purses: [Box<dyn Purse>; VENUE_COUNT],
    clock: Clock,
    tell: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Live<'a> {
    /// Of these settings; `tell` hears of every closing order.
    pub fn open(
        accounts: &'a config::Accounts,
        clock: Clock,
        tell: &'a (dyn Fn(&str) + Sync),
    ) -> Result<Live<'a>, HandsError> {
        let pem = accounts.extra_root_pem.as_deref();
        let [extended, lighter] =
            purse::purses((&accounts.extended, &accounts.lighter), pem, clock);
        Ok(Live {
            accounts,
            purses: [extended?, lighter?],
            clock,
            tell,
        })
    }
}

impl Accounts for Live<'_> {
    fn withdrawable(&self, venue: Venue) -> Result<Notional, HandsError> {
        Ok(self.purses[venue.idx()].money()?.withdrawable)
    }

    fn close(&self, transfer: &Transfer) -> Result<(), HandsError> {
        let accounts = self.accounts;
        let claim = Claim::take(&accounts.extended, &accounts.lighter);
        let _claim = claim.map_err(|error| HandsError(error.to_string()))?;
        let [extended, lighter] = hands(accounts, self.clock);
        let mut sides: [Box<dyn Hands + Send>; VENUE_COUNT] = [extended?, lighter?];
        let pace = Pace {
            sleep: &std::thread::sleep,
            tell: &|venue, step| (self.tell)(&format!("{}: {step}", venue.name())),
        };
        let settled = both(&mut sides, |hand| {
            let keep = transfer.kept(hand.venue());
            let markets = keep.iter().map(|(name, _)| name.clone()).collect();
            let scope = Scope::Markets(markets);
            settle::settle(hand.as_mut(), &Aim { scope, keep }, &pace)
        });
        for (venue, settled) in VENUES.into_iter().zip(&settled) {
            if !settled.is_done() {
                let left = settled.positions.left.iter();
                let left: Vec<String> = left
                    .map(|left| format!("{} {}", left.size, left.market))
                    .collect();
                return Err(HandsError(format!(
                    "{}: too much is held still: {}",
                    venue.name(),
                    left.join(", ")
                )));
            }
        }
        Ok(())
    }
}
