//! The journal of transfers: what is under way, what was, and which addresses may be sent to.
//!
//! Promises: one file in STATE_DIR, replaced whole and made durable before every act that goes
//! out, so that whoever reads it after a crash knows the last thing that may have happened; an
//! address is written down at its first use, and another one is an error from then on. Refuses: to
//! hold a key (what is signed stands in it, what signs does not); to be read half: what can't be
//! understood may be a transfer under way.

use super::fault::TransferError;
use crate::keys::ceremony::Address;
use crate::market::units::{NOTIONAL_SCALE, Notional, Size};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::state::Folder;
use crate::treasury::chain::Signed;
use crate::treasury::exits::{Quote, Request, Way};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// Name of the file in STATE_DIR.
pub const FILE: &str = "transfer.json";
/// Version of the file.
const VERSION: u32 = 1;
/// Transfers that are over and still remembered, newest last. Fewer: the day's cap could forget.
const PAST_MAX: usize = 200;
/// One of these is a millionth of a dollar: what the token counts in.
const MICRO: i128 = NOTIONAL_SCALE / 1_000_000;

/// Everything that is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    /// Where money may be sent, by way.
    pub pins: Vec<Pin>,
    /// What is under way.
    pub now: Option<Transfer>,
    /// What is over, oldest first.
    pub past: Vec<Past>,
}

/// The contract and token of a way as they were when it was first used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Which way.
    pub way: Way,
    /// Its contract on the chain.
    pub contract: Address,
    /// Its token.
    pub token: Address,
}

/// What is done next. In this order; `Claim` only where the venue asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Pairs are closed, so that what they have gained can be withdrawn.
    Close,
    /// The way out is asked for its terms.
    Quote,
    /// They are bound, and the withdrawal is signed.
    Commit,
    /// The withdrawal goes out.
    Withdraw,
    /// The wallet waits for it.
    PaidOut,
    /// It waits on the chain for the wallet.
    Claim,
    /// The way in is asked for its terms, and its contract may take the money.
    Approve,
    /// It is sent there.
    Deposit,
    /// The venue has yet to count it.
    Credited,
}

impl Step {
    /// As in the file and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Step::Close => "close",
            Step::Quote => "quote",
            Step::Commit => "commit",
            Step::Withdraw => "withdraw",
            Step::PaidOut => "paid_out",
            Step::Claim => "claim",
            Step::Approve => "approve",
            Step::Deposit => "deposit",
            Step::Credited => "credited",
        }
    }
}

/// A transfer under way. Amounts are millionths of a dollar, times epoch seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The first has 1.
    pub number: u64,
    /// When it was begun.
    pub begun_s: u64,
    /// What is done next.
    pub step: Step,
    /// Since when.
    pub step_s: u64,
    /// The way out.
    pub out: Way,
    /// The way in.
    pub into: Way,
    /// The wallet between them.
    pub wallet: Address,
    /// What leaves.
    pub amount: u64,
    /// Least that is worth sending.
    pub least: u64,
    /// What both accounts have while it is under way, by venue: positions are held within it.
    pub left: [u64; VENUE_COUNT],
    /// Pairs to close: by venue, what of each market's position (10^-9 of a coin) stays.
    pub keep: [Vec<(String, i64)>; VENUE_COUNT],
    /// How long the way out may take, seconds.
    pub patience_s: u64,
    /// When the terms used last were asked for; 0: they are of no use any more.
    pub quoted_s: u64,
    /// The terms of the way out.
    pub leaving: Option<Quote>,
    /// The withdrawal, from when it may have been sent.
    pub request: Option<Request>,
    /// Since when the venue refuses it, though it may have taken it before; 0: it does not.
    pub refused_s: u64,
    /// The wallet's balance before it, the token's units.
    pub wallet_before: u128,
    /// What the wallet got.
    pub arrived: u64,
    /// The terms of the way in.
    pub entering: Option<Quote>,
    /// Tries at the claim: one nonce, from when they may have been sent.
    pub claim: Vec<Signed>,
    /// Tries at the approval.
    pub approve: Vec<Signed>,
    /// Tries at the deposit.
    pub deposit: Vec<Signed>,
    /// When the last of these tries was made.
    pub tried_s: u64,
    /// The claim is done.
    pub is_claimed: bool,
    /// The wallet's balance before the deposit.
    pub wallet_full: u128,
    /// The deposit's nonce was used by another transaction.
    pub is_replaced: bool,
    /// The transaction that made the deposit, hexadecimal digits.
    pub deposited: Option<String>,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The other venue has it.
    Done,
    /// Nothing has left, and why.
    Unsent(String),
    /// A human has taken it over, and why.
    GivenUp(String),
}

/// A transfer that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Its number.
    pub number: u64,
    /// When it was begun.
    pub begun_s: u64,
    /// When it ended.
    pub ended_s: u64,
    /// Where it came from.
    pub out: Way,
    /// Where it went.
    pub into: Way,
    /// What left.
    pub amount: u64,
    /// What the wallet got.
    pub arrived: u64,
    /// What the venue was to count, its fee taken off.
    pub credited: u64,
    /// The deposit's transaction, hexadecimal digits.
    pub deposited: Option<String>,
    /// How it ended.
    pub fate: Fate,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal {
            version: VERSION,
            pins: Vec::new(),
            now: None,
            past: Vec::new(),
        }
    }
}

impl Journal {
    /// The addresses of this way as they were at first use.
    pub fn pin(&self, way: Way) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.way == way)
    }

    /// What a folder keeps; empty where there is no file yet.
    pub fn load(folder: &Folder) -> Result<Journal, TransferError> {
        let Some(bytes) = folder.read(FILE)? else {
            return Ok(Journal::default());
        };
        let path = || folder.path(FILE).display().to_string();
        match serde_json::from_slice::<Journal>(&bytes) {
            Ok(journal) if journal.version == VERSION => Ok(journal),
            Ok(_) => Err(TransferError::Malformed(path(), "another version".into())),
            Err(error) => Err(TransferError::Malformed(path(), error.to_string())),
        }
    }

    /// A human takes what is under way over: it is put away, and counts as sent. `None`: there is
    /// nothing.
    pub fn give_up(folder: &Folder, why: &str, now_s: u64) -> Result<Option<Past>, TransferError> {
        let mut journal = Journal::load(folder)?;
        let past = journal.end(Fate::GivenUp(why.to_owned()), now_s);
        folder.write(FILE, &journal.bytes())?;
        Ok(past)
    }

    /// As it stands in the file.
    pub fn bytes(&self) -> Vec<u8> {
        // Every map in it has text for keys, and no number is a fraction: it can always be written.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// What a venue has sent away since `from_s` and its own list does not show, given that list:
    /// amounts that went out, positive, with their times (epoch milliseconds). USD.
    pub fn unlisted(&self, venue: Venue, from_s: u64, listed: &[(u64, Notional)]) -> Notional {
        let mut listed: Vec<(u64, Notional)> = listed.to_vec();
        let past = self.past.iter().filter(|past| past.has_left());
        let past = past.map(|past| (past.begun_s, past.out, past.amount));
        let now = self
            .now
            .iter()
            .map(|now| (now.begun_s, now.out, now.amount));
        let mut sum = Notional::ZERO;
        for (begun_s, out, amount) in past.chain(now) {
            if out.venue() != venue || begun_s < from_s {
                continue;
            }
            let amount = usd(amount);
            let is_it = |(t_ms, sent): &(u64, Notional)| {
                *t_ms >= begun_s.saturating_sub(CLOCKS_S) * 1_000 && *sent >= amount
            };
            match listed.iter().position(is_it) {
                Some(at) => drop(listed.swap_remove(at)),
                None => sum += amount,
            }
        }
        sum
    }

    /// What is sent away since `from_s` by this journal alone. USD.
    pub fn sent(&self, from_s: u64) -> Notional {
        let sums = VENUES.map(|venue| self.unlisted(venue, from_s, &[]));
        sums[0] + sums[1]
    }

    /// Takes what is under way off the table.
    pub(super) fn end(&mut self, fate: Fate, now_s: u64) -> Option<Past> {
        let transfer = self.now.take()?;
        let past = Past {
            number: transfer.number,
            begun_s: transfer.begun_s,
            ended_s: now_s,
            out: transfer.out,
            into: transfer.into,
            amount: transfer.amount,
            arrived: transfer.arrived,
            credited: match (&fate, &transfer.entering) {
                (Fate::Done, Some(quote)) => micros(quote.arrives),
                _ => 0,
            },
            deposited: transfer.deposited,
            fate,
        };
        self.past.push(past.clone());
        let over = self.past.len().saturating_sub(PAST_MAX);
        self.past.drain(..over);
        Some(past)
    }

    /// The number of the next transfer.
    pub(super) fn next_number(&self) -> u64 {
        self.past.last().map_or(1, |past| past.number + 1)
    }
}

impl Transfer {
    /// Most that both accounts' positions may come to while it is under way, by venue. USD.
    pub fn room(&self) -> [Notional; VENUE_COUNT] {
        self.left.map(usd)
    }

    /// What stays of the positions of a venue.
    pub fn kept(&self, venue: Venue) -> Vec<(String, Size)> {
        let keep = self.keep[venue.idx()].iter();
        keep.map(|(name, size)| (name.clone(), Size(*size)))
            .collect()
    }
}

impl Transfer {
    /// For programs: `{"number","from","to","amount","arrived","step"}`.
    pub fn json(&self) -> Value {
        json!({
            "number": self.number, "from": self.out.venue().name(),
            "to": self.into.venue().name(), "amount": dollars(self.amount),
            "arrived": dollars(self.arrived), "step": self.step.name(),
        })
    }
}

/// One sentence without its stop.
impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "transfer {} of {} USD from {} to {} is under way, at the step {}",
            self.number,
            usd(self.amount),
            self.out.venue().name(),
            self.into.venue().name(),
            self.step.name()
        )
    }
}

impl Past {
    /// For programs: `{"number","from","to","amount","arrived","credited","fate","why",
    /// "deposited"}`.
    pub fn json(&self) -> Value {
        let (fate, why) = match &self.fate {
            Fate::Done => ("done", None),
            Fate::Unsent(why) => ("unsent", Some(why)),
            Fate::GivenUp(why) => ("given_up", Some(why)),
        };
        json!({
            "number": self.number, "from": self.out.venue().name(),
            "to": self.into.venue().name(), "amount": dollars(self.amount),
            "arrived": dollars(self.arrived), "credited": dollars(self.credited),
            "fate": fate, "why": why, "deposited": self.deposited,
        })
    }

    /// Money has left, or may have.
    fn has_left(&self) -> bool {
        !matches!(self.fate, Fate::Unsent(_))
    }
}

/// Whole millionths of a dollar, rounded down.
pub fn micros(amount: Notional) -> u64 {
    u64::try_from(amount.0.max(0) / MICRO).unwrap_or(u64::MAX)
}

/// One sentence without its stop.
impl fmt::Display for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.out.venue().name(), self.into.venue().name());
        let (number, amount) = (self.number, usd(self.amount));
        match &self.fate {
            Fate::Done => write!(
                f,
                "transfer {number}: {amount} USD left {from}, {} reached your wallet, {to} counts \
                 {}",
                usd(self.arrived),
                usd(self.credited)
            ),
            Fate::Unsent(why) => write!(f, "transfer {number}: nothing left {from}: {why}"),
            Fate::GivenUp(why) => {
                write!(f, "transfer {number} of {amount} USD was given up: {why}")
            }
        }
    }
}

/// Dollars for programs.
fn dollars(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// From millionths of a dollar.
pub fn usd(micros: u64) -> Notional {
    Notional(i128::from(micros) * MICRO)
}

/// How far a venue's clock and ours may disagree, seconds.
const CLOCKS_S: u64 = 120;
