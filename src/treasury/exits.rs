//! The ways money leaves and reaches the venues: what each costs, the signed request, and whether
//! the venue knows it.
//!
//! Cold, REST alone; [`open`] gives both venues' behind one trait. Promises: nothing is sent by
//! [`Exits::prepare`]; the same request sent twice withdraws once, and [`Exits::find`] recognises
//! it by what was signed or by what is new in the venue's list. Refuses: any other wallet than the
//! one linked to the account, a quote that has ended, an amount that the way does not take, and to
//! guess what the venue does not say.

mod extended;
mod lighter;

use crate::config::{Extended, Lighter};
use crate::hands::HandsError;
use crate::keys::ceremony::{Address, EthereumKey};
use crate::market::Venue;
use crate::market::units::{Notional, SCALE};
use crate::stage::clock::Clock;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A way of money between a venue and the wallet on Ethereum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Out of Extended by its bridge; the wallet is paid by the bridge.
    ExtendedOut,
    /// Out of Lighter by proof: slow, without a fee, claimed on the chain.
    LighterSecure,
    /// Out of Lighter through the venue's pool: minutes, with a fee, paid to the wallet.
    LighterFast,
    /// Into Extended, by the bridge contract.
    ExtendedIn,
    /// Into Lighter, by its own contract.
    LighterIn,
}

impl Way {
    /// The venue at its end.
    pub fn venue(self) -> Venue {
        match self {
            Way::ExtendedOut | Way::ExtendedIn => Venue::Extended,
            Way::LighterSecure | Way::LighterFast | Way::LighterIn => Venue::Lighter,
        }
    }

    /// Money leaves the venue by it.
    pub fn is_out(self) -> bool {
        matches!(
            self,
            Way::ExtendedOut | Way::LighterSecure | Way::LighterFast
        )
    }
}

/// What a way is made of, by the venue's word of this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Which way.
    pub way: Way,
    /// The venue's name of the quote; empty where it quotes nothing.
    pub id: String,
    /// The contract on the chain that pays out, or that the deposit goes to.
    pub contract: Address,
    /// The token on the chain.
    pub token: Address,
    /// Lighter's number of the asset; 0 on Extended.
    pub asset: u16,
    /// Lighter's route: 0 is the account for perpetuals.
    pub route: u8,
    /// What leaves in all: the account for a way out, the wallet for a way in. USD.
    #[serde(with = "written::notional")]
    pub amount: Notional,
    /// What of it is the way's. USD.
    #[serde(with = "written::notional")]
    pub fee: Notional,
    /// What of it arrives. USD.
    #[serde(with = "written::notional")]
    pub arrives: Notional,
    /// When the quote ends, epoch seconds; `None` where the venue does not say.
    pub ends_s: Option<u64>,
    /// Who is paid, by the venue's own name: a Starknet address, an account's number, a wallet.
    pub recipient: String,
    /// What a deposit names on the chain so that the bridge knows it; zeros where nothing is named.
    #[serde(with = "written::bytes")]
    pub commitment: [u8; 32],
}

/// How far the venue is with something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Known, and not over.
    Underway,
    /// Waits on the chain to be claimed.
    Claimable,
    /// Over: paid out, or credited.
    Done,
    /// Over, and nothing was moved; why, in the venue's words.
    Refused(String),
}

/// A signed request, whole: all that it takes to send it, to send it again and to recognise it.
/// Written down before it is sent; holds no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What it was made from.
    pub quote: Quote,
    /// Lighter's transaction hash, or the hash that was signed for Extended: hexadecimal digits.
    pub hash: String,
    /// Lighter's nonce, or Extended's salt.
    pub number: u64,
    /// After this it can't be executed any more, epoch milliseconds.
    pub expires_ms: u64,
    /// When it was made, epoch milliseconds of our clock.
    pub made_ms: u64,
    /// What is sent.
    body: String,
    /// What the venue's list held already when it was made: ids that are not this request.
    known: Vec<String>,
}

/// Why a request brought no id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The venue said no, in its words. A request that was never sent before is not taken and may
    /// be given up; of one that was, nobody knows: the no may be for the repetition.
    Refused(String),
    /// Nobody knows whether it was taken: ask [`Exits::find`] before anything else.
    Unknown(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (SendError::Refused(why) | SendError::Unknown(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for HandsError {
    fn from(error: SendError) -> HandsError {
        HandsError(error.to_string())
    }
}

/// The venues' side of a transfer.
pub trait Exits: Send {
    /// What the way is made of, asked anew. `amount` is what leaves in all, whole units of 10^-6.
    /// Fails where the way does not take the amount.
    fn quote(&self, way: Way, amount: Notional) -> Result<Quote, HandsError>;

    /// Binds the quote (Extended's bridge; nothing on Lighter). Asking twice is no error. Fails
    /// where the quote has ended.
    fn commit(&self, quote: &Quote) -> Result<(), HandsError>;

    /// The signed request of a way out, whole; not sent. Fails where the wallet is not the one
    /// that the venue has linked to the account.
    fn prepare(&self, quote: &Quote, wallet: &EthereumKey) -> Result<Request, HandsError>;

    /// Sends it; the venue's id. Sending the same request twice withdraws once.
    fn send(&self, request: &Request) -> Result<String, SendError>;

    /// What the venue knows of this request. `None`: nothing yet; it may be sent again, the same.
    /// [`Standing::Refused`]: it is over, and can never be executed.
    fn find(&self, request: &Request) -> Result<Option<Standing>, HandsError>;

    /// A deposit made by this chain transaction, as the venue sees it; `None`: not seen yet.
    fn deposit(
        &self,
        way: Way,
        hash: [u8; 32],
        amount: Notional,
    ) -> Result<Option<Standing>, HandsError>;
}

/// Both venues' exits, as they are configured. `pem` is TLS_CA_FILE. Fails where one has no
/// account; asks nothing yet.
pub fn open(
    (extended, lighter): (&Extended, &Lighter),
    pem: Option<&[u8]>,
    clock: Clock,
) -> Result<Box<dyn Exits>, HandsError> {
    Ok(Box::new(Both {
        extended: extended::ExtendedExits::new(extended, pem, clock)?,
        lighter: lighter::LighterExits::new(lighter, pem, clock)?,
    }))
}

/// Both venues. The token on the chain is what Lighter lists: Extended names none, and its bridge
/// wants the same (D1, deposits: USDC).
struct Both {
    extended: extended::ExtendedExits,
    lighter: lighter::LighterExits,
}

impl Exits for Both {
    fn quote(&self, way: Way, amount: Notional) -> Result<Quote, HandsError> {
        if amount.0 <= 0 || amount.0 % UNIT != 0 {
            return Err(HandsError(format!(
                "{amount} USD can't be sent: whole millionths of a dollar are"
            )));
        }
        let token = self.lighter.token()?;
        match way.venue() {
            Venue::Extended => self.extended.quote(way, amount, &token),
            Venue::Lighter => self.lighter.quote(way, amount, &token),
        }
    }

    fn commit(&self, quote: &Quote) -> Result<(), HandsError> {
        match quote.way.venue() {
            Venue::Extended => self.extended.commit(quote),
            Venue::Lighter => Ok(()),
        }
    }

    fn prepare(&self, quote: &Quote, wallet: &EthereumKey) -> Result<Request, HandsError> {
        match (quote.way.is_out(), quote.way.venue()) {
            (false, _) => Err(HandsError(
                "a deposit is asked for on the chain, not of the venue".into(),
            )),
            (true, Venue::Extended) => self.extended.prepare(quote, wallet),
            (true, Venue::Lighter) => self.lighter.prepare(quote, wallet),
        }
    }

    fn send(&self, request: &Request) -> Result<String, SendError> {
        match request.quote.way.venue() {
            Venue::Extended => self.extended.send(request),
            Venue::Lighter => self.lighter.send(request),
        }
    }

    fn find(&self, request: &Request) -> Result<Option<Standing>, HandsError> {
        match request.quote.way.venue() {
            Venue::Extended => self.extended.find(request),
            Venue::Lighter => self.lighter.find(request),
        }
    }

    fn deposit(
        &self,
        way: Way,
        hash: [u8; 32],
        amount: Notional,
    ) -> Result<Option<Standing>, HandsError> {
        match way.venue() {
            Venue::Extended => self.extended.deposit(&hash, amount),
            Venue::Lighter => self.lighter.deposit(&hash),
        }
    }
}

/// What both venues and the token count in: a millionth of a dollar.
const UNIT: i128 = SCALE as i128 * 1_000;
/// How far back a venue's list is read before a request was made or a deposit was mined: clocks
/// that disagree. Larger: older rows of the same amount must be told apart by their ids.
const SKEW_MS: u64 = 600_000;
/// How long a deposit is looked for, milliseconds.
const DEPOSIT_AGE_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// After its end a request may still be on its way into the venue's lists. Smaller: one that was
/// taken at the last moment may be taken for lost, and be made again.
const LATE_MS: u64 = 60_000;

/// A request that is not in the venue's lists: over once its time is.
fn unseen(request: &Request, clock: Clock) -> Option<Standing> {
    let is_over = clock.now().epoch_ms() > request.expires_ms + LATE_MS;
    let why = "its time ran out before the venue took it";
    is_over.then(|| Standing::Refused(why.into()))
}

/// The wallet must be the one that the venue has for the account: money goes nowhere else.
fn own_wallet(
    venue: &str,
    linked: Option<Address>,
    wallet: &EthereumKey,
) -> Result<(), HandsError> {
    let own = wallet.address();
    match linked {
        Some(linked) if linked == own => Ok(()),
        Some(linked) => Err(HandsError(format!(
            "{venue}: the account belongs to the wallet {linked}, and the key at hand is of \
             {own}: nothing is withdrawn"
        ))),
        None => Err(HandsError(format!(
            "{venue}: no wallet is linked to the account: nothing is withdrawn"
        ))),
    }
}

/// No more than the venue lets go.
fn affordable(venue: &str, amount: Notional, withdrawable: Notional) -> Result<(), HandsError> {
    if amount <= withdrawable {
        return Ok(());
    }
    Err(HandsError(format!(
        "{venue}: {amount} USD can't be withdrawn: {withdrawable} may be"
    )))
}

/// A contract as the venue names it.
fn address(venue: &str, text: &str) -> Result<Address, HandsError> {
    Address::parse(text)
        .filter(|address| *address != Address([0; 20]))
        .ok_or_else(|| HandsError(format!("{venue}: {text:?} is no address of a contract")))
}

/// Decimal text, six places, of whole millionths.
fn dollars(amount: Notional) -> String {
    let units = amount.0 / UNIT;
    format!("{}.{:06}", units / 1_000_000, units % 1_000_000)
}

/// How the journal writes what has no text of its own.
mod written {
    /// An amount, in units of 10^-9: no way moves less.
    pub mod notional {
        use crate::market::units::Notional;
        use serde::{Deserialize, Deserializer, Serializer};

        pub fn serialize<S: Serializer>(value: &Notional, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_i64(value.to_nano())
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Notional, D::Error> {
            i64::deserialize(from).map(Notional::from_nano)
        }
    }

    /// 32 bytes, as 64 digits.
    pub mod bytes {
        use crate::keys::ceremony::{hex, unhex};
        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        pub fn serialize<S: Serializer>(value: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
            to.serialize_str(&hex(value))
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
            let text = String::deserialize(from)?;
            unhex(&text).ok_or_else(|| D::Error::custom("not 64 digits"))
        }
    }
}
