//! An account's money over REST, and a survey in which nothing moved meanwhile.
//!
//! Promises: a survey's money and its lists belong together: the lists are read on both sides of
//! the money, and where they moved in between it is all read again. Refuses: to survey an account
//! that never rests; to send anything.

use crate::config::{Extended, Lighter};
use crate::hands::HandsError;
use crate::keys::ceremony::Address;
use crate::market::units::{Bps, Nanos};
use crate::market::{VENUE_COUNT, Venue};
use crate::stage::clock::Clock;
use crate::state::Folder;
use crate::treasury::Look;
use crate::treasury::door::{LighterDoor, missing};
use crate::treasury::ledger::{Account, Book, Survey, transfers_from_ms};
use crate::venue::extended::account::ExtendedRest;
use crate::venue::money::{Marks, Money, Moved, Transfer};

/// Readings before an account is said never to rest. Larger: busier accounts can be surveyed, by
/// more requests.
const TRIES: usize = 6;

/// One account's money.
pub trait Purse: Send {
    /// Which venue.
    fn venue(&self) -> Venue;
    /// Whose: network and number.
    fn name(&self) -> &str;
    /// Money and positions now.
    fn money(&self) -> Result<Money, HandsError>;
    /// What trades and funding moved since the marks; funding is asked for from `from_ms` on.
    fn moved(&self, since: Marks, from_ms: u64) -> Result<Moved, HandsError>;
    /// Money in and out since `from_ms`.
    fn transfers(&self, from_ms: u64) -> Result<Vec<Transfer>, HandsError>;
    /// What leaving costs and where it leads.
    fn terms(&self) -> Result<Terms, HandsError>;
}

/// What leaving an account costs and where it leads, by the venue's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The account's dearest taker fee.
    pub taker_fee: Bps,
    /// The Ethereum wallet behind the account; `None` where the venue names none.
    pub wallet: Option<Address>,
    /// From asking for a withdrawal to its claim, seconds; `None` where the venue does not say.
    pub exit_s: Option<u64>,
}

/// Purses of both accounts, as far as they are configured, by venue. `pem` is TLS_CA_FILE.
pub fn purses(
    (extended, lighter): (&Extended, &Lighter),
    pem: Option<&[u8]>,
    clock: Clock,
) -> [Result<Box<dyn Purse>, HandsError>; VENUE_COUNT] {
    let extended = ExtendedPurse::new(extended, pem);
    let lighter = LighterPurse::new(lighter, pem, clock);
    [
        extended.map(|purse| Box::new(purse) as Box<dyn Purse>),
        lighter.map(|purse| Box::new(purse) as Box<dyn Purse>),
    ]
}

/// Looks at an account and brings its book up to date, or begins it. Without a folder the look is
/// all there is: nothing is known of before.
pub fn look(purse: &dyn Purse, folder: Option<&Folder>, now: Nanos) -> Result<Look, HandsError> {
    let fault = |error: &dyn std::fmt::Display| HandsError(error.to_string());
    let book = folder.map(Book::load).transpose().map_err(|e| fault(&e))?;
    let of_venue = book.and_then(|book| book.accounts[purse.venue().idx()].clone());
    let before = of_venue.filter(|account| account.name == purse.name());
    let (since, from_ms) = match &before {
        Some(account) => (account.marks, account.transfers_from_ms()),
        None => (Marks::END, transfers_from_ms(now)),
    };
    let survey = survey(purse, since, from_ms)?;
    let mut account = before.clone();
    match &mut account {
        Some(account) => drop(account.look(&survey, now)),
        None => account = Some(Account::begin(purse.name(), &survey, now)),
    }
    let account = account.unwrap_or_default();
    let account = match folder {
        None => account,
        Some(folder) => Book::advance(folder, purse.venue().idx(), before.as_ref(), account)
            .map_err(|e| fault(&e))?,
    };
    Ok(Look {
        money: survey.money,
        account,
        transfers: survey.transfers,
    })
}

/// Money, and what moved it since the marks, of one moment.
fn survey(purse: &dyn Purse, since: Marks, from_ms: u64) -> Result<Survey, HandsError> {
    for _ in 0..TRIES {
        let moved = purse.moved(since, from_ms)?;
        let money = purse.money()?;
        let after = purse.moved(Marks::END, from_ms)?.marks;
        // A list that the venue has emptied stands before what was read of it.
        let floor = if since == Marks::END {
            Marks::default()
        } else {
            since
        };
        let stands = Marks {
            trade: after.trade.max(floor.trade),
            funding: after.funding.max(floor.funding),
        };
        if stands == moved.marks {
            let transfers = purse.transfers(from_ms)?;
            return Ok(Survey {
                money,
                moved,
                transfers,
            });
        }
    }
    Err(HandsError(format!(
        "{}: the account trades faster than it can be read: what moved it is not known now",
        purse.venue().name()
    )))
}

struct ExtendedPurse {
    name: String,
    rest: ExtendedRest,
}

impl ExtendedPurse {
    fn new(settings: &Extended, pem: Option<&[u8]>) -> Result<ExtendedPurse, HandsError> {
        let account = settings.account.as_ref();
        let account = account.ok_or_else(|| missing("Extended", "EXTENDED_API_KEY"))?;
        let name = format!("{} {}", settings.chain.name(), account.vault);
        let rest = ExtendedRest::new(settings.base.as_str(), account.api_key.expose(), pem)?;
        Ok(ExtendedPurse { name, rest })
    }
}

impl Purse for ExtendedPurse {
    fn venue(&self) -> Venue {
        Venue::Extended
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn money(&self) -> Result<Money, HandsError> {
        Ok(self.rest.money()?)
    }

    fn moved(&self, since: Marks, from_ms: u64) -> Result<Moved, HandsError> {
        Ok(self.rest.moved(since, from_ms)?)
    }

    fn transfers(&self, from_ms: u64) -> Result<Vec<Transfer>, HandsError> {
        Ok(self.rest.transfers(from_ms)?)
    }

    fn terms(&self) -> Result<Terms, HandsError> {
        let fees = self.rest.fees(&[])?;
        let dearest = fees.iter().map(|fees| fees.taker_rate).max().unwrap_or(0);
        let wallet = self.rest.wallet()?;
        Ok(Terms {
            // 10^-9 of a ratio is 10^-5 of a basis point.
            taker_fee: Bps::from_milli(dearest / 100),
            wallet: wallet.as_deref().and_then(Address::parse),
            exit_s: None,
        })
    }
}

struct LighterPurse {
    name: String,
    door: LighterDoor,
}

impl LighterPurse {
    fn new(
        settings: &Lighter,
        pem: Option<&[u8]>,
        clock: Clock,
    ) -> Result<LighterPurse, HandsError> {
        let door = LighterDoor::new(settings, pem, clock)?;
        Ok(LighterPurse {
            name: format!("{} {}", door.chain_id, door.account),
            door,
        })
    }
}

impl Purse for LighterPurse {
    fn venue(&self) -> Venue {
        Venue::Lighter
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn money(&self) -> Result<Money, HandsError> {
        Ok(self.door.rest.money(self.door.account)?)
    }

    fn moved(&self, since: Marks, _from_ms: u64) -> Result<Moved, HandsError> {
        self.door
            .read(|reader| Ok(self.door.rest.moved(reader, since)?))
    }

    fn transfers(&self, from_ms: u64) -> Result<Vec<Transfer>, HandsError> {
        self.door
            .read(|reader| Ok(self.door.rest.transfers(reader, from_ms)?))
    }

    fn terms(&self) -> Result<Terms, HandsError> {
        let door = &self.door;
        let limits = door.read(|reader| Ok(door.rest.limits(door.account, reader.token)?))?;
        Ok(Terms {
            // 10^-6 of notional is a hundredth of a basis point.
            taker_fee: Bps::from_milli(i64::from(limits.taker_fee_e6) * 10),
            wallet: Address::parse(&door.rest.owner(door.account)?),
            exit_s: Some(door.rest.withdrawal_delay_s()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::Notional;
    use std::cell::Cell;

    /// An account that trades during the first readings.
    struct Busy {
        trades: Cell<u64>,
        restless: u64,
    }

    impl Purse for Busy {
        fn venue(&self) -> Venue {
            Venue::Lighter
        }

        fn name(&self) -> &str {
            "busy"
        }

        fn money(&self) -> Result<Money, HandsError> {
            let trades = self.trades.get();
            if trades < self.restless {
                self.trades.set(trades + 1);
            }
            let collateral = Notional::from_usd(1_000 - trades as i64);
            Ok(Money {
                collateral,
                ..Money::default()
            })
        }

        fn moved(&self, since: Marks, _: u64) -> Result<Moved, HandsError> {
            let trade = self.trades.get();
            let new = trade.saturating_sub(since.trade);
            Ok(Moved {
                fees: Notional::from_usd(new as i64),
                marks: Marks { trade, funding: 0 },
                ..Moved::default()
            })
        }

        fn transfers(&self, _: u64) -> Result<Vec<Transfer>, HandsError> {
            Ok(Vec::new())
        }

        fn terms(&self) -> Result<Terms, HandsError> {
            Ok(Terms::default())
        }
    }

    #[test]
    fn money_and_lists_belong_together_or_nothing_is_said() {
        let trades = Cell::new(0);
        let purse = Busy {
            trades,
            restless: 3,
        };
        let seen = survey(&purse, Marks::default(), 0).unwrap();
        assert_eq!(seen.moved.marks.trade, 3);
        let total = seen.money.collateral + seen.moved.fees;
        assert_eq!(total, Notional::from_usd(1_000));
        let never = Busy {
            trades: Cell::new(0),
            restless: u64::MAX,
        };
        let said = survey(&never, Marks::default(), 0).unwrap_err().to_string();
        assert!(said.contains("faster than it can be read"), "{said}");
    }

    #[test]
    fn without_a_folder_a_look_is_all_there_is() {
        let purse = Busy {
            trades: Cell::new(5),
            restless: 0,
        };
        let seen = look(&purse, None, Nanos(7)).unwrap();
        assert_eq!(seen.account.drift, Notional::ZERO);
        assert_eq!(seen.account.begun, Nanos(7));
    }
}
