//! What `main` may know of the scanner, told at the beat.
//!
//! Promises: counted from the pairs themselves, so that it is true whatever was missed.
//! Refuses: to decide anything; `main` reads it and draws its own conclusions.

use crate::market::event::Status;
use crate::scanner::Scanner;
use crate::scanner::board::Board;
use crate::scanner::pair::{Pair, State};

impl Scanner {
    /// What `main` may know, counted afresh: cold, at the beat.
    pub(super) fn status_now(&self) -> Status {
        let count = |test: fn(&Pair) -> bool| self.pairs.iter().filter(|p| test(p)).count() as u32;
        let stuck = count(|pair| pair.state == State::Stuck);
        let open = count(Pair::is_active) - stuck;
        let moving = count(Pair::is_moving);
        let live = |board: &&Board| board.fair.known().is_some() && board.touches().is_some();
        Status {
            pairs_open: open,
            pairs_legged: count(|pair| pair.is_moving() && pair.excess().1.0 > 0),
            pairs_stuck: stuck,
            pairs_done: self.desk.pairs_done,
            gateways_up: self.desk.accounts.iter().all(|account| account.is_up),
            instruments_live: self.boards.iter().filter(live).count() as u32,
            // Without a drain, hedged pairs may stay: only what moves is waited for.
            drained: match (self.draining, self.entries_on && !self.desk.is_halted()) {
                (true, _) => open == 0 && self.is_reconciled(),
                (false, false) => moving == 0,
                (false, true) => false,
            },
            breakers: self.desk.breakers.state(),
        }
    }
}
