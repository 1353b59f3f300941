//! A transfer between the venues, carried out step by step, whatever interrupts it.
//!
//! Cold. Promises: every act that goes out was written down before, so that a process that ends
//! anywhere leaves a journal that the next one finishes from; one withdrawal and one deposit for
//! each transfer; money goes to the user's own wallet and to contracts that were pinned at first
//! use, and nowhere else. Refuses: a second transfer before the first is over; what
//! REBALANCE_DAY_MAX_USD and REBALANCE_FEE_MAX_USD do not allow; to wait: [`Carrier::step`] does
//! one thing and says what it waits for.

pub mod fault;
mod into;
pub mod journal;
mod out;
pub mod ports;
#[cfg(test)]
mod tests;

pub use fault::TransferError;
pub use journal::{Fate, Journal, Past, Pin, Step, Transfer};
pub use ports::{Accounts, Node, Outside, Shelf};

use crate::keys::ceremony::hex;
use crate::market::units::{Notional, Size};
use crate::market::{VENUE_COUNT, Venue};
use crate::treasury::chain::{Call, Outcome, Signed};
use crate::treasury::exits::{Quote, Way};
use journal::micros;

// The essay: what makes it safe to be killed anywhere.
//
// Money moves by two acts at most that nobody can take back: the withdrawal and the deposit (and a
// claim between them, where the venue asks for it). Each is a signed thing with a number that its
// receiver takes once: Extended's salt, Lighter's nonce, the wallet's nonce on the chain. So each
// is signed first, written to the journal whole, and sent then. Who comes back to a journal with a
// signed thing in it asks the receiver: if it knows the thing, it was sent; if not, the very same
// bytes are sent again, and the receiver's own number makes twice the same as once.
//
// A new one is made in the place of an old one only when the old one can't be executed any more:
// the venue says so, or its time has passed, or its nonce is used. A deposit whose quote has ended
// is made anew with the *same* nonce, so that the chain itself takes one of them at most. Where the
// nonce was used by a stranger (the owner's own wallet program made it dearer, perhaps), the
// balance decides: money that is still there was not deposited; if it is gone, a human must look.
//
// What is only asked (quotes, balances, lists) is asked again each time: it is worth nothing after
// a crash.

/// The venue's own list is believed to be late by no more than this, seconds: so long after a quote
/// has ended, a withdrawal that it does not show was not taken. Larger: a quote that ended is
/// replaced later.
const LATE_S: u64 = 120;
/// A quote with less left than this is not used, seconds.
const QUOTE_LEFT_S: u64 = 20;
/// Where the venue does not say when a quote ends, it is used for no longer, seconds. Larger: it
/// may have ended, and a bridge does not give back what comes too late.
const QUOTE_AGE_S: u64 = 60;
/// A transaction that waits for longer is made dearer, seconds.
const PENDING_S: u64 = 180;
/// A deposit that was mined is credited within this, or somebody should look. Lighter and the
/// bridge need minutes.
const CREDIT_S: u64 = 3_600;
/// What approval, deposit and claim may take together, gas. USDC's transfers through a proxy and
/// Lighter's contract take less than 150,000 each.
const GAS_ALL: u128 = 450_000;
/// Quotes asked for in a row before their way is given up for now.
const QUOTES_MAX: u32 = 5;
/// Longest time between two looks at something that others do, seconds. It begins with one and
/// grows with what was waited already.
const LOOK_S_MAX: u64 = 15;

/// What a new transfer is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The way out.
    pub out: Way,
    /// What leaves. USD, whole cents.
    pub amount: Notional,
    /// Least that is worth sending, should less be there. USD.
    pub least: Notional,
    /// What both accounts have now. USD, by venue.
    pub equity: [Notional; VENUE_COUNT],
    /// Pairs to close first: by venue, what of each market's position stays.
    pub keep: [Vec<(String, Size)>; VENUE_COUNT],
    /// How long the way out takes, seconds.
    pub seconds: u64,
}

/// What the ways ask for now, to be told before anything is agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Of the way out.
    pub leaving: Quote,
    /// Of the way in.
    pub entering: Quote,
    /// What the wallet's transactions may cost together, wei.
    pub gas_wei: u128,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing is under way.
    Nothing,
    /// The next step can be done at once.
    Again,
    /// Others are at work.
    Wait {
        /// Look again after so long, seconds.
        seconds: u64,
        /// For what, in words.
        what: String,
    },
    /// It is over.
    Done(Past),
}

/// Carries one transfer on.
pub struct Carrier<'a> {
    journal: Journal,
    outside: Outside<'a>,
    /// Quotes asked for since the last one that was of use.
    quotes: u32,
    /// The withdrawal that was signed by this process and never sent: its number.
    unsent: Option<u64>,
    /// Withdrawals that the venue has refused in this process.
    refusals: u32,
}

impl<'a> Carrier<'a> {
    /// Takes up what the journal says.
    pub fn new(journal: Journal, outside: Outside<'a>) -> Carrier<'a> {
        Carrier {
            journal,
            outside,
            quotes: 0,
            unsent: None,
            refusals: 0,
        }
    }

    /// What is written down.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Asks both ways for their terms, and checks all that can be known before anything moves.
    pub fn terms(&self, order: &Order) -> Result<Terms, TransferError> {
        let exits = self.outside.exits;
        let leaving = exits.quote(order.out, order.amount)?;
        let entering = exits.quote(order.way_in(), leaving.arrives)?;
        self.check(&leaving, order.amount, None)?;
        self.check(&entering, leaving.arrives, Some(&leaving))?;
        let gas_wei = self.gas(&entering)?;
        Ok(Terms {
            leaving,
            entering,
            gas_wei,
        })
    }

    /// Writes a new transfer down, by terms of now. From then on positions are held within what is
    /// left.
    pub fn begin(&mut self, order: &Order) -> Result<Terms, TransferError> {
        if let Some(transfer) = &self.journal.now {
            return Err(TransferError::Unfinished(transfer.number));
        }
        let now_s = (self.outside.now_s)();
        let left = self.outside.day_max - self.journal.sent(now_s.saturating_sub(DAY_S));
        if order.amount > left {
            let wanted = order.amount;
            return Err(TransferError::Day { wanted, left });
        }
        let terms = self.terms(order)?;
        let mut journal = self.journal.clone();
        for quote in [&terms.leaving, &terms.entering] {
            if journal.pin(quote.way).is_none() {
                journal.pins.push(Pin {
                    way: quote.way,
                    contract: quote.contract,
                    token: quote.token,
                });
            }
        }
        let from = order.out.venue();
        let mut left = order.equity;
        left[from.idx()] -= order.amount;
        let plain = |keep: &Vec<(String, Size)>| {
            let rows = keep.iter();
            rows.map(|(name, size)| (name.clone(), size.0)).collect()
        };
        journal.now = Some(Transfer {
            number: journal.next_number(),
            begun_s: now_s,
            step: Step::Close,
            step_s: now_s,
            out: order.out,
            into: order.way_in(),
            wallet: self.outside.key.address(),
            amount: micros(order.amount),
            least: micros(order.least),
            left: left.map(micros),
            keep: order.keep.each_ref().map(plain),
            patience_s: 2 * order.seconds + 3_600,
            quoted_s: 0,
            leaving: None,
            request: None,
            refused_s: 0,
            wallet_before: 0,
            arrived: 0,
            entering: None,
            claim: Vec::new(),
            approve: Vec::new(),
            deposit: Vec::new(),
            tried_s: 0,
            is_claimed: false,
            wallet_full: 0,
            is_replaced: false,
            deposited: None,
        });
        self.keep(journal)?;
        Ok(terms)
    }

    /// Does the next thing. After an error what is written down stands, and the same call tries
    /// again.
    pub fn step(&mut self) -> Result<Next, TransferError> {
        let Some(transfer) = &self.journal.now else {
            return Ok(Next::Nothing);
        };
        let (key, owner) = (self.outside.key.address(), transfer.wallet);
        if key != owner {
            let owner = Some(owner);
            return Err(TransferError::Foreign { key, owner });
        }
        let transfer = transfer.clone();
        match transfer.step {
            Step::Close => self.close(&transfer),
            Step::Quote => self.quote(&transfer),
            Step::Commit => self.commit(&transfer),
            Step::Withdraw => self.withdraw(&transfer),
            Step::PaidOut => self.paid_out(&transfer),
            Step::Claim => self.claim(&transfer),
            Step::Approve => self.approve(&transfer),
            Step::Deposit => self.deposit(&transfer),
            Step::Credited => self.credited(&transfer),
        }
    }

    /// A quote is what was asked for, leads where money was sent before, and is not too dear.
    fn check(
        &self,
        quote: &Quote,
        amount: Notional,
        other: Option<&Quote>,
    ) -> Result<(), TransferError> {
        let way = quote.way;
        let pin = self.journal.pin(way);
        for (pinned, named) in pin
            .into_iter()
            .flat_map(|pin| [(pin.contract, quote.contract), (pin.token, quote.token)])
        {
            if pinned != named {
                return Err(TransferError::Moved { way, pinned, named });
            }
        }
        let odd = |what: &str| {
            TransferError::Odd(format!("{way:?}: the venue's quote {what}: it is not used"))
        };
        if quote.amount != amount {
            return Err(odd("is for another amount than was asked for"));
        }
        if quote.fee < Notional::ZERO || quote.arrives != quote.amount - quote.fee {
            return Err(odd("does not add up"));
        }
        if micros(quote.arrives) == 0 {
            return Err(odd("leaves nothing"));
        }
        if other.is_some_and(|other| other.token != quote.token) {
            return Err(odd("is in another token than the other way's"));
        }
        let (fee, most) = (
            quote.fee + other.map_or(Notional::ZERO, |other| other.fee),
            self.outside.fee_max,
        );
        match fee > most {
            true => Err(TransferError::Dear { fee, most }),
            false => Ok(()),
        }
    }

    /// What all transactions may cost, wei. Fails where the wallet has less.
    fn gas(&self, entering: &Quote) -> Result<u128, TransferError> {
        let wallet = self.outside.key.address();
        // Only its fees are of interest: it is not sent.
        let probe = Call::Approve {
            token: entering.token,
            spender: entering.contract,
            amount: u128::from(micros(entering.amount)),
        };
        let signed = self.outside.node.prepare(self.outside.key, &probe)?;
        let (has, needs) = (
            self.outside.node.native(wallet)?,
            signed.fee_max.saturating_mul(GAS_ALL),
        );
        match has < needs {
            true => Err(TransferError::NoGas { wallet, has, needs }),
            false => Ok(needs),
        }
    }

    /// Whether the quote asked for last can't be used any more.
    fn has_ended(&self, quote: &Quote) -> bool {
        let now_s = (self.outside.now_s)();
        let quoted_s = self.journal.now.as_ref().map_or(0, |now| now.quoted_s);
        match quote.ends_s {
            // The venue did not take it.
            _ if quoted_s == 0 => true,
            Some(ends_s) => now_s + QUOTE_LEFT_S > ends_s,
            None => now_s > quoted_s + QUOTE_AGE_S,
        }
    }

    /// Waits for something that others do.
    fn wait(&self, what: &str) -> Next {
        let since_s = self.journal.now.as_ref().map_or(0, |now| now.step_s);
        let waited_s = (self.outside.now_s)().saturating_sub(since_s);
        Next::Wait {
            seconds: (waited_s / 8).clamp(1, LOOK_S_MAX),
            what: what.to_owned(),
        }
    }

    /// One more quote; fails when none was of use.
    fn count_quote(&mut self, way: Way) -> Result<(), TransferError> {
        self.quotes += 1;
        match self.quotes > QUOTES_MAX {
            true => Err(TransferError::QuoteEnded(way)),
            false => Ok(()),
        }
    }

    /// Sends one transaction through: what is new is written down and then sent, what waits is
    /// waited for. `Some`: mined, with its hash.
    fn see_through(
        &mut self,
        transfer: &Transfer,
        chore: Chore,
    ) -> Result<Option<[u8; 32]>, TransferError> {
        let attempts = chore.of(transfer);
        let Some(last) = attempts.last() else {
            return Ok(None);
        };
        let (node, key) = (self.outside.node, self.outside.key);
        let (what, hash) = (chore.name(), hex(&last.hash));
        match node.outcome(attempts)? {
            Outcome::Mined { hash, .. } => return Ok(Some(hash)),
            Outcome::Unknown => node.send(last)?,
            Outcome::Pending => {
                let now_s = (self.outside.now_s)();
                // Where dearer is dearer than allowed, the one that waits goes on waiting.
                if now_s.saturating_sub(transfer.tried_s) >= PENDING_S
                    && let Ok(dearer) = node.replace(key, last)
                {
                    self.put(|transfer| {
                        chore.of_mut(transfer).push(dearer.clone());
                        transfer.tried_s = now_s;
                    })?;
                    node.send(&dearer)?;
                }
            }
            Outcome::Reverted { hash } => {
                self.put(|transfer| chore.of_mut(transfer).clear())?;
                let hash = hex(&hash);
                return Err(TransferError::Reverted { what, hash });
            }
            Outcome::Replaced => {
                self.put(|transfer| match chore {
                    Chore::Deposit => transfer.is_replaced = true,
                    Chore::Claim | Chore::Approve => chore.of_mut(transfer).clear(),
                })?;
                let is_gone = false;
                return Err(TransferError::Replaced {
                    what,
                    hash,
                    is_gone,
                });
            }
        }
        Ok(None)
    }

    /// Signs a transaction and writes it down.
    fn sign(&mut self, chore: Chore, call: &Call) -> Result<(), TransferError> {
        let signed = self.outside.node.prepare(self.outside.key, call)?;
        let now_s = (self.outside.now_s)();
        self.put(|transfer| {
            chore.of_mut(transfer).push(signed);
            transfer.tried_s = now_s;
        })
    }

    /// Changes what is under way, on disk first.
    fn put(&mut self, change: impl FnOnce(&mut Transfer)) -> Result<(), TransferError> {
        let mut journal = self.journal.clone();
        if let Some(transfer) = &mut journal.now {
            let before = transfer.step;
            change(transfer);
            if transfer.step != before {
                transfer.step_s = (self.outside.now_s)();
            }
        }
        self.keep(journal)
    }

    fn end(&mut self, fate: Fate) -> Result<Option<Past>, TransferError> {
        let mut journal = self.journal.clone();
        let past = journal.end(fate, (self.outside.now_s)());
        self.keep(journal)?;
        Ok(past)
    }

    fn keep(&mut self, journal: Journal) -> Result<(), TransferError> {
        self.outside.shelf.keep(&journal)?;
        self.journal = journal;
        Ok(())
    }
}

impl Order {
    /// The way in at the other end.
    pub fn way_in(&self) -> Way {
        match self.out.venue() {
            Venue::Extended => Way::LighterIn,
            Venue::Lighter => Way::ExtendedIn,
        }
    }
}

/// What is done on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chore {
    Claim,
    Approve,
    Deposit,
}

impl Chore {
    const fn name(self) -> &'static str {
        match self {
            Chore::Claim => "the claim",
            Chore::Approve => "the approval",
            Chore::Deposit => "the deposit",
        }
    }

    fn of(self, transfer: &Transfer) -> &[Signed] {
        match self {
            Chore::Claim => &transfer.claim,
            Chore::Approve => &transfer.approve,
            Chore::Deposit => &transfer.deposit,
        }
    }

    fn of_mut(self, transfer: &mut Transfer) -> &mut Vec<Signed> {
        match self {
            Chore::Claim => &mut transfer.claim,
            Chore::Approve => &mut transfer.approve,
            Chore::Deposit => &mut transfer.deposit,
        }
    }
}

/// The day of the cap, seconds.
const DAY_S: u64 = 86_400;
