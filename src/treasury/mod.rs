//! The treasury: what the accounts have, what moved it, and whether that is all explained.
//!
//! Cold, REST alone. [`ledger`] says what moved and what of it nobody explains (drift), [`purse`]
//! reads an account, [`balance`] and [`rebalance`] are the commands, [`plan`] says how two accounts
//! become even, [`watch`] is the thread of a run. [`execute`] carries a plan out: [`transfer`] step
//! by step, over the venues' [`exits`] and the [`chain`]. Promises: money is added exactly; nothing
//! but a transfer moves it, and none begins without `--execute` or AUTO_REBALANCE.

mod auto;
pub mod balance;
pub mod chain;
mod door;
pub mod execute;
pub mod exits;
pub mod ledger;
pub mod plan;
pub mod purse;
pub mod rebalance;
pub mod transfer;
pub mod watch;

use crate::venue::money::{Money, Transfer};
use ledger::Account;

/// What one look at an account brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Money and positions.
    pub money: Money,
    /// What moved them since the account's book was begun.
    pub account: Account,
    /// What came in and went out, as far back as the book asks.
    pub transfers: Vec<Transfer>,
}
