//! The book: what moved an account's cash since it was begun, and what of that nobody explains.
//!
//! Promises: **drift** is what moved less fills, fees, funding and transfers, added up over every
//! look since the beginning, exactly; a change that is told late is drift until then and none
//! afterwards. Two processes may keep one book: a look that the other has overtaken counts for
//! nothing. Refuses: to forget drift by itself; a human accepts it, with a reason that is kept.
//!
//! Cash is what no mark moves (`venue::money`). Trades and funding are read from where the last
//! look stopped, by the venue's own numbers. Transfers change their state for days (asked for,
//! claimable, given back), so they are never "new": each look adds up all since a fixed day and
//! compares with the sum of the look before.

use crate::market::calendar::utc;
use crate::market::units::{Nanos, Notional, Price};
use crate::market::{VENUE_COUNT, VENUES};
use crate::state::{Folder, StateError};
use crate::venue::money::{Marks, Money, Moved, Transfer};
use serde_json::{Value, json};
use std::fmt;

/// Name of the file in STATE_DIR.
pub const FILE: &str = "treasury.json";
/// Version of the file.
const VERSION: u64 = 1;
/// Transfers asked for so long before the book was begun may still change. Larger: longer lists.
const TRANSFER_DAYS: u64 = 30;
/// Longest reason for accepting drift, letters.
const REASON_LETTERS_MAX: usize = 500;
/// Reasons kept, newest last.
const REASONS_MAX: usize = 100;

/// One account's book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Whose: network and number, as in `SN_MAIN 10002`.
    pub name: String,
    /// When it was begun.
    pub begun: Nanos,
    /// When it was last looked at.
    pub looked: Nanos,
    /// Cash at that moment. USD.
    pub cash: Notional,
    /// How far the lists were read.
    pub marks: Marks,
    /// The sum of all transfers since [`Account::transfers_from_ms`] at that moment. USD.
    pub transferred: Notional,
    /// What has moved cash since the beginning.
    pub sums: Sums,
    /// What nobody explains. USD, positive: there is more than there should be.
    pub drift: Notional,
}

/// What has moved cash, received positive. USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Sold less bought.
    pub trades: Notional,
    /// Fees, positive where paid.
    pub fees: Notional,
    /// Funding.
    pub funding: Notional,
    /// In less out.
    pub transfers: Notional,
}

/// Everything read of an account at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Money and positions.
    pub money: Money,
    /// What moved since the marks of the look before.
    pub moved: Moved,
    /// Transfers since [`Account::transfers_from_ms`].
    pub transfers: Vec<Transfer>,
}

impl Survey {
    fn transferred(&self) -> Notional {
        let counted = self.transfers.iter().map(|transfer| transfer.counted);
        counted.fold(Notional::ZERO, |sum, counted| sum + counted)
    }
}

impl Account {
    /// Begins a book: what was before is not asked. `survey` was made from [`Marks::END`].
    pub fn begin(name: &str, survey: &Survey, now: Nanos) -> Account {
        Account {
            name: name.to_owned(),
            begun: now,
            looked: now,
            cash: survey.money.cash(),
            marks: survey.moved.marks,
            transferred: survey.transferred(),
            ..Account::default()
        }
    }

    /// Adds what a survey from this book's marks has found; tells the drift since the look before.
    pub fn look(&mut self, survey: &Survey, now: Nanos) -> Notional {
        let (cash, moved) = (survey.money.cash(), &survey.moved);
        let transferred = survey.transferred();
        let transfers = transferred - self.transferred;
        let explained = moved.trades - moved.fees + moved.funding + transfers;
        let drift = cash - self.cash - explained;
        self.sums.trades += moved.trades;
        self.sums.fees += moved.fees;
        self.sums.funding += moved.funding;
        self.sums.transfers += transfers;
        self.drift += drift;
        (self.cash, self.transferred) = (cash, transferred);
        (self.marks, self.looked) = (moved.marks, now);
        drift
    }

    /// From when on transfers are added up, epoch milliseconds.
    pub fn transfers_from_ms(&self) -> u64 {
        transfers_from_ms(self.begun)
    }
}

/// From when on transfers are added up by a book that was begun at `begun`, epoch milliseconds.
pub fn transfers_from_ms(begun: Nanos) -> u64 {
    (begun.epoch_ms()).saturating_sub(TRANSFER_DAYS * 86_400_000)
}

/// What stands in the file: a book for each venue, and what was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// By venue; `None` where nothing was looked at yet.
    pub accounts: [Option<Account>; VENUE_COUNT],
    /// Drift that a human has accepted, oldest first.
    pub accepted: Vec<Accepted>,
}

/// Drift that a human has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// When.
    pub t: Nanos,
    /// How much, by venue. USD.
    pub drift: [Notional; VENUE_COUNT],
    /// Why.
    pub why: String,
}

/// Why a book can't be used.
#[derive(Debug)]
pub enum BookError {
    /// The file itself.
    State(StateError),
    /// Its content: which file, and what is wrong.
    Malformed(String, &'static str),
    /// An acceptance without a reason, or with a novel.
    NoReason,
}

impl From<StateError> for BookError {
    fn from(error: StateError) -> BookError {
        BookError::State(error)
    }
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BookError::State(error) => error.fmt(f),
            BookError::Malformed(path, why) => write!(
                f,
                "{path} {why}\n    fix: move it away; drift is then counted anew from that moment"
            ),
            BookError::NoReason => write!(
                f,
                "a reason of 1 to {REASON_LETTERS_MAX} letters is needed to accept drift"
            ),
        }
    }
}

impl std::error::Error for BookError {}

impl Book {
    /// What a folder keeps; empty where there is no file yet.
    pub fn load(folder: &Folder) -> Result<Book, BookError> {
        parse(folder, folder.read(FILE)?)
    }

    /// Puts a venue's new book in the place of the one it was made from. Tells what stands there
    /// then: another's where that one has been overtaken.
    pub fn advance(
        folder: &Folder,
        venue_idx: usize,
        from: Option<&Account>,
        to: Account,
    ) -> Result<Account, BookError> {
        let mut stands = to;
        folder.update(FILE, |bytes| {
            let mut book = parse(folder, bytes)?;
            let place = &mut book.accounts[venue_idx];
            match place {
                Some(other) if Some(&*other) != from && other.name == stands.name => {
                    stands = other.clone();
                }
                _ => *place = Some(stands.clone()),
            }
            Ok::<_, BookError>(book.bytes())
        })?;
        Ok(stands)
    }

    /// Takes the drift of both venues as explained by a human.
    pub fn accept(folder: &Folder, why: &str, now: Nanos) -> Result<Accepted, BookError> {
        let why = why.trim();
        if why.is_empty() || why.chars().count() > REASON_LETTERS_MAX {
            return Err(BookError::NoReason);
        }
        let mut drift = [Notional::ZERO; VENUE_COUNT];
        let mut accepted = None;
        folder.update(FILE, |bytes| {
            let mut book = parse(folder, bytes)?;
            for (sum, account) in drift.iter_mut().zip(&mut book.accounts) {
                if let Some(account) = account {
                    *sum = std::mem::take(&mut account.drift);
                }
            }
            let why = why.to_owned();
            let line = Accepted { t: now, drift, why };
            book.accepted.push(line.clone());
            let surplus = book.accepted.len().saturating_sub(REASONS_MAX);
            book.accepted.drain(..surplus);
            accepted = Some(line);
            Ok::<_, BookError>(book.bytes())
        })?;
        accepted.ok_or(BookError::NoReason)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut accounts = serde_json::Map::new();
        for (venue, account) in VENUES.into_iter().zip(&self.accounts) {
            if let Some(account) = account {
                accounts.insert(venue.name().to_owned(), write_account(account));
            }
        }
        let accepted: Vec<Value> = self.accepted.iter().map(write_accepted).collect();
        let json = json!({ "version": VERSION, "accounts": accounts, "accepted": accepted });
        format!("{json:#}\n").into_bytes()
    }
}

fn parse(folder: &Folder, bytes: Option<Vec<u8>>) -> Result<Book, BookError> {
    let Some(bytes) = bytes else {
        return Ok(Book::default());
    };
    let wrong = |why| BookError::Malformed(folder.path(FILE).display().to_string(), why);
    let json: Value = serde_json::from_slice(&bytes).map_err(|_| wrong("is no JSON"))?;
    if json["version"].as_u64() != Some(VERSION) {
        return Err(wrong("is of a version that this parallax does not know"));
    }
    let mut book = Book::default();
    for venue in VENUES {
        let row = &json["accounts"][venue.name()];
        if !row.is_null() {
            let account = read_account(row);
            let account = account.ok_or_else(|| wrong("has an account that can't be read"))?;
            book.accounts[venue.idx()] = Some(account);
        }
    }
    let lines = json["accepted"].as_array().map(Vec::as_slice);
    let lines = lines.unwrap_or_default().iter().map(read_accepted);
    let lines: Option<Vec<Accepted>> = lines.collect();
    book.accepted = lines.ok_or_else(|| wrong("has a reason that can't be read"))?;
    Ok(book)
}

/// Dollars as text, exact at 10^-9: both venues tell no finer.
fn usd(amount: Notional) -> Value {
    Price(amount.to_nano()).to_string().into()
}

fn read_usd(value: &Value) -> Option<Notional> {
    let amount = Price::parse(value.as_str()?.as_bytes()).ok()?;
    Some(Notional::from_nano(amount.0))
}

fn write_account(account: &Account) -> Value {
    let sums = &account.sums;
    json!({
        "account": account.name,
        "begun_ns": account.begun.0,
        "looked_ns": account.looked.0,
        "looked": utc(account.looked),
        "cash_usd": usd(account.cash),
        "trade": account.marks.trade,
        "funding": account.marks.funding,
        "transferred_usd": usd(account.transferred),
        "sums_usd": {
            "trades": usd(sums.trades), "fees": usd(sums.fees),
            "funding": usd(sums.funding), "transfers": usd(sums.transfers),
        },
        "drift_usd": usd(account.drift),
    })
}

fn read_account(json: &Value) -> Option<Account> {
    let sums = &json["sums_usd"];
    Some(Account {
        name: json["account"].as_str()?.to_owned(),
        begun: Nanos(json["begun_ns"].as_u64()?),
        looked: Nanos(json["looked_ns"].as_u64()?),
        cash: read_usd(&json["cash_usd"])?,
        marks: Marks {
            trade: json["trade"].as_u64()?,
            funding: json["funding"].as_u64()?,
        },
        transferred: read_usd(&json["transferred_usd"])?,
        sums: Sums {
            trades: read_usd(&sums["trades"])?,
            fees: read_usd(&sums["fees"])?,
            funding: read_usd(&sums["funding"])?,
            transfers: read_usd(&sums["transfers"])?,
        },
        drift: read_usd(&json["drift_usd"])?,
    })
}

fn write_accepted(line: &Accepted) -> Value {
    let [extended, lighter] = line.drift.map(usd);
    json!({
        "t_ns": line.t.0, "at": utc(line.t), "why": line.why,
        "extended_usd": extended, "lighter_usd": lighter,
    })
}

fn read_accepted(json: &Value) -> Option<Accepted> {
    Some(Accepted {
        t: Nanos(json["t_ns"].as_u64()?),
        drift: [
            read_usd(&json["extended_usd"])?,
            read_usd(&json["lighter_usd"])?,
        ],
        why: json["why"].as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::PathBuf;

    const fn cents(cents: i64) -> Notional {
        Notional::from_nano(cents * 10_000_000)
    }

    fn survey(cash: i64, moved: Moved, transfers: &[i64]) -> Survey {
        let transfer = |counted: &i64| Transfer {
            id: "1".into(),
            kind: "DEPOSIT".into(),
            status: "COMPLETED".into(),
            t_ms: 1,
            counted: cents(*counted),
        };
        Survey {
            money: Money {
                collateral: cents(cash),
                ..Money::default()
            },
            moved,
            transfers: transfers.iter().map(transfer).collect(),
        }
    }

    /// What a look finds: trades, fees, funding, all in cents.
    fn moved(trades: i64, fees: i64, funding: i64) -> Moved {
        Moved {
            trades: cents(trades),
            fees: cents(fees),
            funding: cents(funding),
            marks: Marks::default(),
        }
    }

    #[test]
    fn what_is_told_late_is_drift_only_until_then() {
        let mut account = Account::begin("a", &survey(1_000, Moved::default(), &[-700]), Nanos(1));
        let explained = account.look(&survey(1_148, moved(150, 2, 0), &[-700]), Nanos(2));
        assert_eq!((explained, account.drift), (cents(0), cents(0)));
        // A withdrawal has left and is not listed yet.
        account.look(&survey(948, Moved::default(), &[-700]), Nanos(3));
        assert_eq!(account.drift, cents(-200));
        account.look(&survey(948, Moved::default(), &[-200, -700]), Nanos(4));
        assert_eq!(
            (account.drift, account.sums.transfers),
            (cents(0), cents(-200))
        );
        // It fails and is given back.
        account.look(&survey(1_148, Moved::default(), &[0, -700]), Nanos(5));
        assert_eq!(
            (account.drift, account.sums.transfers),
            (cents(0), cents(0))
        );
        // A fee that the venue never lists.
        account.look(&survey(1_143, Moved::default(), &[0, -700]), Nanos(6));
        assert_eq!(account.drift, cents(-5));
    }

    proptest! {
        /// However the looks fall, cash at the end is cash at the beginning with everything told
        /// and the drift.
        #[test]
        fn nothing_is_lost_between_looks(
            looks in prop::collection::vec(
                (-10_000_i64..10_000, 0_i64..100, -50_i64..50, -9_000_i64..9_000, -3_i64..3), 1..40)
        ) {
            let mut account = Account::begin("a", &survey(77, Moved::default(), &[]), Nanos(1));
            let (mut cash, mut drift, mut transfers) = (77, 0, Vec::new());
            for (at, (trades, fees, funding, transfer, lost)) in looks.into_iter().enumerate() {
                transfers.push(transfer);
                cash += trades - fees + funding + transfer + lost;
                drift += lost;
                let seen = survey(cash, moved(trades, fees, funding), &transfers);
                prop_assert_eq!(account.look(&seen, Nanos(at as u64)), cents(lost));
            }
            prop_assert_eq!(account.drift, cents(drift));
            let sums = account.sums;
            let told = sums.trades - sums.fees + sums.funding + sums.transfers;
            prop_assert_eq!(cents(77) + told + account.drift, account.cash);
        }
    }

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> (Place, Folder) {
            let path =
                std::env::temp_dir().join(format!("parallax-ledger-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            let folder = Folder::open(&path).unwrap();
            (Place(path), folder)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_book_is_kept_and_a_look_that_was_overtaken_counts_for_nothing() {
        let (_place, folder) = Place::new("kept");
        let begun = Account::begin("SN_MAIN 7", &survey(1_000, Moved::default(), &[]), Nanos(1));
        Book::advance(&folder, 0, None, begun.clone()).unwrap();
        assert_eq!(
            Book::load(&folder).unwrap().accounts,
            [Some(begun.clone()), None]
        );
        let seen = survey(990, Moved::default(), &[]);
        let (mut one, mut other) = (begun.clone(), begun.clone());
        one.look(&seen, Nanos(2));
        other.look(&seen, Nanos(3));
        assert_eq!(
            Book::advance(&folder, 0, Some(&begun), one.clone()).unwrap(),
            one
        );
        // Both saw the same cents missing: they are missing once.
        assert_eq!(Book::advance(&folder, 0, Some(&begun), other).unwrap(), one);
        let accepted = Book::accept(&folder, " a fee ", Nanos(9)).unwrap();
        assert_eq!(accepted.drift, [cents(-10), cents(0)]);
        let book = Book::load(&folder).unwrap();
        assert_eq!(book.accepted, [accepted]);
        assert_eq!(book.accounts[0].as_ref().unwrap().drift, cents(0));
        assert!(Book::accept(&folder, "  ", Nanos(9)).is_err());
        // Another account in the same folder begins anew.
        let fresh = Account::begin("SN_MAIN 8", &survey(5, Moved::default(), &[]), Nanos(9));
        assert_eq!(
            Book::advance(&folder, 0, None, fresh.clone()).unwrap(),
            fresh
        );
    }

    #[test]
    fn a_file_that_makes_no_sense_is_no_book() {
        let (_place, folder) = Place::new("bad");
        for bad in [
            "",
            "{}",
            r#"{"version":2}"#,
            r#"{"version":1,"accounts":{"lighter":{"account":"x"}}}"#,
            r#"{"version":1,"accepted":[{}]}"#,
        ] {
            folder.write(FILE, bad.as_bytes()).unwrap();
            let said = Book::load(&folder).unwrap_err().to_string();
            assert!(
                said.contains(FILE) && said.contains("fix: "),
                "{bad}: {said}"
            );
        }
    }
}
