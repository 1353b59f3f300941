//! AUTO_REBALANCE: the treasury of a run begins transfers and carries them on, a little at a time.
//!
//! Promises: nothing is begun that the plan of this moment does not say, within every bound of
//! `parallax rebalance --execute`; the scanner has heard what is left before anything leaves; what
//! does not go on is told once. Refuses: a way that no human has used before; to close pairs: in a
//! run they end by themselves, and only what may be withdrawn is sent; to wait: the end of the run
//! is not held up, as the next one, or the command, goes on.

use crate::config::{Config, L1, Treasury};
use crate::hands::HandsError;
use crate::keys::ceremony::EthereumKey;
use crate::market::units::Notional;
use crate::market::{VENUE_COUNT, Venue};
use crate::stage::clock::Clock;
use crate::state::Folder;
use crate::treasury::chain::Chain;
use crate::treasury::execute;
use crate::treasury::exits::{self, Exits};
use crate::treasury::purse::Purse;
use crate::treasury::rebalance::{Side, planned};
use crate::treasury::transfer::{
    Accounts, Carrier, Journal, Next, Outside, Transfer, TransferError,
};
use std::fs::File;

/// Steps in a row before the accounts are looked at again.
const STEPS_MAX: usize = 24;
/// After an error, seconds.
const REST_S: u64 = 30;

/// Both accounts' purses.
pub type Purses = [Box<dyn Purse>; VENUE_COUNT];

/// Carries transfers in a run.
pub struct Auto {
    exits: Box<dyn Exits>,
    key: EthereumKey,
    /// Opened when it is first needed: a node that is away does not keep a run from starting.
    node: Option<Chain>,
    l1: Option<L1>,
    pem: Option<Vec<u8>>,
    treasury: Treasury,
    folder: Folder,
    clock: Clock,
}

impl Auto {
    /// `None` where AUTO_REBALANCE is false.
    pub fn open(
        config: &Config,
        folder: &Folder,
        clock: Clock,
    ) -> Result<Option<Auto>, TransferError> {
        if !config.treasury.is_auto {
            return Ok(None);
        }
        let pem = config.extra_root_pem.as_deref();
        Ok(Some(Auto {
            exits: exits::open((&config.extended, &config.lighter), pem, clock)?,
            key: execute::wallet(config.wallet.as_ref())?,
            node: None,
            l1: config.l1.clone(),
            pem: pem.map(<[u8]>::to_vec),
            treasury: config.treasury,
            folder: folder.clone(),
            clock,
        }))
    }

    /// Begins a transfer where a plan made of these accounts says so. Gives what is to be said.
    pub fn consider(
        &mut self,
        sides: &[Side; VENUE_COUNT],
        purses: &Purses,
    ) -> Result<Option<String>, TransferError> {
        let Some((_lock, journal)) = self.take()? else {
            return Ok(None);
        };
        if journal.now.is_some() {
            return Ok(None);
        }
        let planned = planned(sides, &[], &self.treasury, &journal, self.clock.now());
        let Some(order) = execute::order(&planned) else {
            return Ok(None);
        };
        let (key, owner) = (self.key.address(), planned.wallet);
        if owner != Some(key) {
            return Err(TransferError::Foreign { key, owner });
        }
        for way in [order.out, order.way_in()] {
            journal.pin(way).ok_or(TransferError::Unseen(way))?;
        }
        let plan = planned.plan;
        self.with(journal, purses, |carrier| {
            let terms = carrier.begin(&order)?;
            Ok(Some(execute::said(&plan, &order, &terms)))
        })
    }

    /// Carries on what is under way. Gives what is to be said, and after how many seconds to go on.
    pub fn carry(&mut self, purses: &Purses) -> (Result<Option<String>, TransferError>, u64) {
        match self.steps(purses) {
            Ok((said, seconds)) => (Ok(said), seconds),
            Err(error) => (Err(error), REST_S),
        }
    }

    fn steps(&mut self, purses: &Purses) -> Result<(Option<String>, u64), TransferError> {
        let Some((_lock, journal)) = self.take()? else {
            return Ok((None, REST_S));
        };
        if journal.now.is_none() {
            return Ok((None, 1));
        }
        self.with(journal, purses, |carrier| {
            for _ in 0..STEPS_MAX {
                match carrier.step()? {
                    Next::Again => {}
                    Next::Nothing => break,
                    Next::Wait { seconds, .. } => return Ok((None, seconds)),
                    Next::Done(past) => return Ok((Some(past.to_string()), 1)),
                }
            }
            Ok((None, 1))
        })
    }

    /// The journal, and the right to carry on what it says; `None`: another process has it.
    fn take(&self) -> Result<Option<(File, Journal)>, TransferError> {
        let lock = self.folder.claim(execute::LOCK)?;
        let journal = Journal::load(&self.folder)?;
        Ok(lock.map(|lock| (lock, journal)))
    }

    fn with<T>(
        &mut self,
        journal: Journal,
        purses: &Purses,
        work: impl FnOnce(&mut Carrier<'_>) -> Result<T, TransferError>,
    ) -> Result<T, TransferError> {
        let node = match self.node.take() {
            Some(node) => node,
            None => execute::chain(self.l1.as_ref(), self.pem.as_deref())?,
        };
        let node = self.node.insert(node);
        let (clock, running) = (self.clock, Running(purses));
        let now_s = move || clock.now().epoch_ms() / 1_000;
        let mut carrier = Carrier::new(
            journal,
            Outside {
                exits: self.exits.as_ref(),
                node,
                accounts: &running,
                shelf: &self.folder,
                key: &self.key,
                now_s: &now_s,
                fee_max: self.treasury.fee_max,
                day_max: self.treasury.rebalance_day_max,
            },
        );
        work(&mut carrier)
    }
}

/// Accounts that a run trades on.
struct Running<'a>(&'a Purses);

impl Accounts for Running<'_> {
    fn withdrawable(&self, venue: Venue) -> Result<Notional, HandsError> {
        Ok(self.0[venue.idx()].money()?.withdrawable)
    }

    fn close(&self, _: &Transfer) -> Result<(), HandsError> {
        Err(HandsError(
            "a run closes no pairs for a transfer: end the run, and let the command go on".into(),
        ))
    }
}
