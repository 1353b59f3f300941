//! Why a transfer did not go on: whose fault, what is where now, and what to do.
//!
//! Promises: each says where the money is, and whether running the command again finishes it.

use crate::hands::HandsError;
use crate::keys::ceremony::Address;
use crate::market::Venue;
use crate::market::units::Notional;
use crate::state::StateError;
use crate::treasury::chain::ChainError;
use crate::treasury::exits::Way;
use std::fmt;

/// Why.
#[derive(Debug)]
pub enum TransferError {
    /// The journal can't be kept: nothing goes out that is not written down.
    State(StateError),
    /// The journal can't be understood: which file, and what is wrong.
    Malformed(String, String),
    /// Another process carries a transfer on.
    Busy,
    /// A transfer is under way already.
    Unfinished(u64),
    /// A setting or a key is missing. Whole sentence.
    Missing(String),
    /// The amount that was typed is not the one that was asked for.
    NotAgreed,
    /// Nobody is there to type it.
    NobodyToAsk,
    /// The day has less left than this amount.
    Day {
        /// What was to be sent.
        wanted: Notional,
        /// What the day has left.
        left: Notional,
    },
    /// Not enough may be withdrawn. Nothing was sent.
    Insufficient {
        /// Where.
        venue: Venue,
        /// What may be withdrawn there.
        free: Notional,
        /// What was to be.
        wanted: Notional,
    },
    /// The wallet can't pay for its transactions.
    NoGas {
        /// Whose.
        wallet: Address,
        /// What it has, wei.
        has: u128,
        /// What they may cost, wei.
        needs: u128,
    },
    /// The wallet whose key is there is not the one behind the accounts.
    Foreign {
        /// Whose key.
        key: Address,
        /// Whose accounts; `None`: the venues name none, or two.
        owner: Option<Address>,
    },
    /// No human has agreed to a transfer by this way yet.
    Unseen(Way),
    /// A contract or token is another than at first use.
    Moved {
        /// Of which way.
        way: Way,
        /// As it was.
        pinned: Address,
        /// As the venue names it now.
        named: Address,
    },
    /// The ways ask for more than REBALANCE_FEE_MAX_USD.
    Dear {
        /// What both cost.
        fee: Notional,
        /// What they may.
        most: Notional,
    },
    /// A quote that is not what was asked for. Whole sentence.
    Odd(String),
    /// Quotes end before they can be used.
    QuoteEnded(Way),
    /// Pairs could not be closed.
    Closing(HandsError),
    /// A venue could not be asked, or says no.
    Venue(HandsError),
    /// The chain could not be asked, or says no.
    Chain(ChainError),
    /// The withdrawal was sent and the venue does not know it.
    Unsent(HandsError),
    /// The venue has refused the withdrawal: the money is where it was.
    Refused {
        /// Where.
        venue: Venue,
        /// Its words.
        why: String,
    },
    /// The wallet was not paid in time.
    NotPaid {
        /// By whom.
        venue: Venue,
        /// The withdrawal, as the venue names it.
        id: String,
        /// What is missing.
        amount: Notional,
        /// For how long, seconds.
        since_s: u64,
    },
    /// The wallet has less than is to be deposited.
    Short {
        /// Whose.
        wallet: Address,
        /// What it has. USD.
        has: Notional,
        /// What is to be deposited.
        wants: Notional,
    },
    /// A transaction was mined and has failed: it moved nothing.
    Reverted {
        /// What it was to do.
        what: &'static str,
        /// Its hash.
        hash: String,
    },
    /// Another transaction of the wallet has taken its nonce.
    Replaced {
        /// What it was to do.
        what: &'static str,
        /// The hash of ours.
        hash: String,
        /// The money has left the wallet since: nobody here knows where to.
        is_gone: bool,
    },
    /// The venue does not count the deposit.
    NotCredited {
        /// Which.
        venue: Venue,
        /// The deposit's transaction.
        hash: String,
        /// How much.
        amount: Notional,
        /// For how long, seconds.
        since_s: u64,
    },
    /// The venue has refused the deposit.
    DepositRefused {
        /// Which.
        venue: Venue,
        /// The deposit's transaction.
        hash: String,
        /// Its words.
        why: String,
    },
}

impl TransferError {
    /// Whether trying again in a moment may help, without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            TransferError::Venue(_) | TransferError::Unsent(_) => true,
            TransferError::Chain(error) => error.is_passing(),
            _ => false,
        }
    }

    /// Settings or arguments are to blame.
    pub fn is_setting(&self) -> bool {
        matches!(
            self,
            TransferError::Missing(_) | TransferError::Foreign { .. } | TransferError::State(_)
        )
    }
}

impl From<StateError> for TransferError {
    fn from(error: StateError) -> TransferError {
        TransferError::State(error)
    }
}

impl From<HandsError> for TransferError {
    fn from(error: HandsError) -> TransferError {
        TransferError::Venue(error)
    }
}

impl From<ChainError> for TransferError {
    fn from(error: ChainError) -> TransferError {
        TransferError::Chain(error)
    }
}

/// What a run of the command again does.
const AGAIN: &str = "`parallax rebalance --execute` again goes on from here";

impl fmt::Display for TransferError {
    // Long: one sentence for every variant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferError::State(error) => error.fmt(f),
            TransferError::Malformed(path, why) => write!(
                f,
                "{path} can't be understood ({why}), and a transfer may be under way\n    fix: \
                 look at both venues' transfers and at the wallet; move the file away when nothing \
                 is on its way"
            ),
            TransferError::Busy => f.write_str(
                "another process carries a transfer on\n    fix: let it finish; a run with \
                 AUTO_REBALANCE=true is one",
            ),
            TransferError::Unfinished(number) => {
                write!(f, "transfer {number} is not over: {AGAIN}")
            }
            TransferError::Missing(text) | TransferError::Odd(text) => f.write_str(text),
            TransferError::NotAgreed => {
                f.write_str("not agreed: that is not the amount; nothing was sent")
            }
            TransferError::NobodyToAsk => f.write_str(
                "nobody is there to agree: standard input is no terminal\n    fix: read the above, \
                 then use --yes",
            ),
            TransferError::Day { wanted, left } => write!(
                f,
                "{wanted} USD are more than the day has left ({left}): REBALANCE_DAY_MAX_USD; \
                 nothing was sent"
            ),
            TransferError::Insufficient {
                venue,
                free,
                wanted,
            } => write!(
                f,
                "{}: {wanted} USD were to be withdrawn, and only {free} may be: nothing was sent, \
                 the next plan is made of what there is",
                venue.name()
            ),
            TransferError::NoGas { wallet, has, needs } => write!(
                f,
                "the wallet {wallet} has {} ETH, and its transactions may cost {}\n    fix: send \
                 it some ETH on the chain of L1_RPC_URL; then {AGAIN}",
                ether(*has),
                ether(*needs)
            ),
            TransferError::Foreign { key, owner } => match owner {
                Some(owner) => write!(
                    f,
                    "the accounts belong to the wallet {owner}, and the Ethereum key is that of \
                     {key}: nothing was sent\n    fix: set the key of the accounts' own wallet"
                ),
                None => write!(
                    f,
                    "the venues name no wallet of the accounts, or two different ones; the \
                     Ethereum key is that of {key}: nothing was sent"
                ),
            },
            TransferError::Unseen(way) => write!(
                f,
                "AUTO_REBALANCE: {way:?} was never used, and nobody has seen its addresses: \
                 nothing was sent\n    fix: `parallax rebalance --execute` once, which shows them, \
                 and keeps to them from then on"
            ),
            TransferError::Moved { way, pinned, named } => write!(
                f,
                "{way:?}: the venue names the address {named}, and at first use it was {pinned}: \
                 NOTHING MORE IS SENT\n    fix: find out at the venue's own pages whether it has \
                 moved; only then take the way's row out of `pins` in STATE_DIR/{}",
                super::journal::FILE
            ),
            TransferError::Dear { fee, most } => write!(
                f,
                "the ways cost {fee} USD, and REBALANCE_FEE_MAX_USD is {most}\n    fix: wait for \
                 cheaper hours, or raise it; then {AGAIN}"
            ),
            TransferError::QuoteEnded(way) => write!(
                f,
                "{way:?}: every quote ended before it could be used: nothing was sent; {AGAIN}"
            ),
            TransferError::Closing(why) => write!(
                f,
                "the pairs could not all be closed: {why}; nothing was withdrawn; {AGAIN}, and \
                 `parallax flatten` closes all"
            ),
            TransferError::Venue(why) => write!(f, "{why}; {AGAIN}"),
            TransferError::Chain(why) => write!(f, "the chain: {why}; {AGAIN}"),
            TransferError::Unsent(why) => write!(
                f,
                "the withdrawal was not taken: {why}; the venue does not know of it, and the same \
                 one is tried when {AGAIN}"
            ),
            TransferError::Refused { venue, why } => write!(
                f,
                "{} has refused the withdrawal ({why}): the money is where it was, and the next \
                 plan is made of what there is",
                venue.name()
            ),
            TransferError::NotPaid {
                venue,
                id,
                amount,
                since_s,
            } => write!(
                f,
                "NOT PAID OUT: {amount} USD left {} by the withdrawal {id}, and the wallet has not \
                 got them for {} minutes\n    fix: look for it among the venue's transfers and ask \
                 its support with that number; {AGAIN} once they are there",
                venue.name(),
                since_s / 60
            ),
            TransferError::Short { wallet, has, wants } => write!(
                f,
                "the wallet {wallet} has {has} USD, and {wants} are to be deposited: somebody has \
                 moved money out of it\n    fix: put it back, then {AGAIN}; or `parallax rebalance \
                 --give-up REASON`"
            ),
            TransferError::Reverted { what, hash } => write!(
                f,
                "{what}: the transaction 0x{hash} was mined and failed: it moved nothing, the \
                 money is in your wallet; {AGAIN} and makes a new one"
            ),
            TransferError::Replaced {
                what,
                hash,
                is_gone: false,
            } => write!(
                f,
                "{what}: another transaction of the wallet has taken the place of 0x{hash}: ours \
                 can't be mined any more and moved nothing; {AGAIN} and makes a new one"
            ),
            TransferError::Replaced {
                what,
                hash,
                is_gone: true,
            } => write!(
                f,
                "{what}: another transaction of the wallet has taken the place of 0x{hash}, and \
                 money has left the wallet since: NOTHING MORE IS SENT\n    fix: look at the \
                 wallet on a block explorer; where that was the same deposit, made dearer by hand, \
                 `parallax rebalance --give-up REASON`; where it was not, put the money back and \
                 run `parallax rebalance --execute` again"
            ),
            TransferError::NotCredited {
                venue,
                hash,
                amount,
                since_s,
            } => write!(
                f,
                "NOT CREDITED: {amount} USD were sent to {} by the transaction 0x{hash}, and it \
                 has not counted them for {} minutes\n    fix: look the transaction up on a block \
                 explorer and ask the venue's support with its hash; {AGAIN} once it is counted",
                venue.name(),
                since_s / 60
            ),
            TransferError::DepositRefused { venue, hash, why } => write!(
                f,
                "{} does not take the deposit of the transaction 0x{hash} ({why})\n    fix: ask \
                 its support with that hash; when it is settled by hand, `parallax rebalance \
                 --give-up REASON`",
                venue.name()
            ),
        }
    }
}

impl std::error::Error for TransferError {}

/// Wei as ether, five digits.
fn ether(wei: u128) -> String {
    let hundred_thousandths = wei / 10_000_000_000_000;
    let (whole, part) = (hundred_thousandths / 100_000, hundred_thousandths % 100_000);
    format!("{whole}.{part:05}")
}
