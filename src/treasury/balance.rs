//! `parallax balance`: what both accounts have, and whether all that moved them is explained.
//!
//! Promises: reads only; a venue that is down keeps the other from nothing; drift is said to be
//! none only where both accounts were read. Refuses: to call an account well whose drift is beyond
//! DRIFT_ALARM_USD.

use crate::config::Holdings;
use crate::hands::HandsError;
use crate::market::calendar::utc;
use crate::market::units::{Nanos, Notional};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::stage::clock::Clock;
use crate::state::Folder;
use crate::treasury::Look;
use crate::treasury::ledger::{Book, BookError, Sums};
use crate::treasury::purse::{self, Purse};
use serde_json::{Map, Value, json};
use std::fmt;

/// What both accounts have.
#[derive(Clone, Debug)]
pub struct Balances {
    /// By venue; an error where nothing could be read.
    sides: [Result<Look, HandsError>; VENUE_COUNT],
    /// Drift is counted from one look to the next.
    is_kept: bool,
    /// Most drift that is borne, by venue. USD.
    drift_max: Notional,
    /// What was accepted just now, by venue. USD.
    accepted: Option<[Notional; VENUE_COUNT]>,
    now: Nanos,
}

/// Reads both accounts, and with a reason accepts the drift that there is. Blocks for some seconds.
pub fn command(
    holdings: &Holdings,
    accept: Option<&str>,
    clock: Clock,
) -> Result<Balances, BookError> {
    let folder = holdings
        .place
        .dir
        .as_deref()
        .map(Folder::open)
        .transpose()?;
    let folder = folder.as_ref();
    let mut sides = looks(holdings, folder, clock);
    let mut accepted = None;
    if let (Some(why), Some(folder)) = (accept, folder) {
        accepted = Some(Book::accept(folder, why, clock.now())?.drift);
        for side in sides.iter_mut().flatten() {
            side.account.drift = Notional::ZERO;
        }
    }
    Ok(Balances {
        sides,
        is_kept: folder.is_some(),
        drift_max: holdings.treasury.drift_max,
        accepted,
        now: clock.now(),
    })
}

fn looks(
    holdings: &Holdings,
    folder: Option<&Folder>,
    clock: Clock,
) -> [Result<Look, HandsError>; VENUE_COUNT] {
    let accounts = &holdings.accounts;
    let both = (&accounts.extended, &accounts.lighter);
    let purses = purse::purses(both, accounts.extra_root_pem.as_deref(), clock);
    // One venue's slow answers must not age the other's.
    std::thread::scope(|scope| {
        let look = |purse: Result<Box<dyn Purse>, HandsError>| {
            scope.spawn(move || purse::look(purse?.as_ref(), folder, clock.now()))
        };
        purses.map(look).map(|thread| {
            let broken = |_| Err(HandsError("the reading thread broke".into()));
            thread.join().unwrap_or_else(broken)
        })
    })
}

impl Balances {
    /// Both accounts were read, and what nobody explains is within its bound.
    pub fn is_well(&self) -> bool {
        let is_well = |side: &Result<Look, HandsError>| {
            let drift = side.as_ref().map(|look| look.account.drift.abs());
            drift.is_ok_and(|drift| drift <= self.drift_max)
        };
        self.sides.iter().all(is_well)
    }

    /// Drift of both venues; `None` where it is not known. USD.
    pub fn drift(&self) -> Option<Notional> {
        let [Ok(extended), Ok(lighter)] = &self.sides else {
            return None;
        };
        self.is_kept
            .then_some(extended.account.drift + lighter.account.drift)
    }

    /// For programs: `{"extended":{"equity","available","margin_ratio",..},"lighter":{..},
    /// "drift_usd"}`, null where something is not known.
    pub fn json(&self) -> Value {
        let mut all = Map::new();
        for (venue, side) in VENUES.into_iter().zip(&self.sides) {
            let side = match side {
                Ok(look) => self.side_json(look),
                Err(why) => json!({"equity": null, "available": null, "margin_ratio": null,
                                   "why": why.0}),
            };
            all.insert(venue.name().to_owned(), side);
        }
        all.insert("drift_usd".into(), json!(self.drift().map(cents)));
        all.insert("drift_max_usd".into(), json!(cents(self.drift_max)));
        all.insert("well".into(), json!(self.is_well()));
        Value::Object(all)
    }

    fn side_json(&self, look: &Look) -> Value {
        let (money, account) = (&look.money, &look.account);
        let held = money.held.iter();
        let held: Map<String, Value> = held
            .map(|held| (held.market.clone(), held.size.to_string().into()))
            .collect();
        let Sums {
            trades,
            fees,
            funding,
            transfers,
        } = account.sums;
        json!({
            "equity": cents(money.equity),
            "available": cents(money.available),
            "withdrawable": cents(money.withdrawable),
            "margin_ratio": money.margin_ratio_e9 as f64 / 1e9,
            "collateral": cents(money.collateral),
            "positions": held,
            "drift_usd": self.is_kept.then(|| cents(account.drift)),
            "since": utc(account.begun),
            "moved_usd": {
                "trades": cents(trades), "fees": cents(fees), "funding": cents(funding),
                "transfers": cents(transfers),
            },
        })
    }

    /// One venue for people.
    fn side(&self, venue: Venue, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = venue.name();
        let look = match &self.sides[venue.idx()] {
            Ok(look) => look,
            Err(why) => return writeln!(f, "{name}: NOT KNOWN: {why}"),
        };
        let (money, account) = (&look.money, &look.account);
        let ratio = money.margin_ratio_e9 as f64 / 1e7;
        writeln!(
            f,
            "{name}: equity {} USD, {} free, {} may be withdrawn, margin used {ratio:.1} %",
            money.equity, money.available, money.withdrawable
        )?;
        for held in &money.held {
            writeln!(f, "{name}: holds {} {}", held.size, held.market)?;
        }
        if !self.is_kept {
            return writeln!(
                f,
                "{name}: drift is not known: there is no STATE_DIR to count it in"
            );
        }
        if account.begun == account.looked {
            return writeln!(f, "{name}: drift is counted from now on");
        }
        let Sums {
            trades,
            fees,
            funding,
            transfers,
        } = account.sums;
        writeln!(
            f,
            "{name}: since {}: trades {trades}, fees {}, funding {funding}, transfers \
             {transfers}; unexplained {} USD",
            utc(account.begun),
            -fees,
            account.drift
        )
    }
}

/// For people: some lines a venue, and last what nobody explains.
impl fmt::Display for Balances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        VENUES
            .into_iter()
            .try_for_each(|venue| self.side(venue, f))?;
        if let Some([extended, lighter]) = self.accepted {
            writeln!(
                f,
                "accepted at {}: {extended} USD on extended, {lighter} on lighter",
                utc(self.now)
            )?;
        }
        match (self.is_well(), self.drift()) {
            (_, None) if self.is_kept => writeln!(f, "DRIFT IS NOT KNOWN"),
            (_, None) => Ok(()),
            (true, Some(drift)) => writeln!(f, "drift {drift} USD: all is explained"),
            (false, Some(drift)) => writeln!(
                f,
                "DRIFT {drift} USD, beyond DRIFT_ALARM_USD {}: somebody traded or moved money by \
                 other means, or the venue books what it does not list.\n    fix: find out; then \
                 parallax balance --accept REASON",
                self.drift_max
            ),
        }
    }
}

/// Dollars for programs, rounded to a millionth as the venues tell them.
fn cents(amount: Notional) -> f64 {
    let millionths = amount.to_nano() as f64 / 1e3;
    millionths.round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::Size;
    use crate::treasury::ledger::Account;
    use crate::venue::money::{Money, Position};

    fn look(equity: i64, drift_nano: i64) -> Look {
        let money = Money {
            equity: Notional::from_usd(equity),
            margin_ratio_e9: 20_000_000,
            held: vec![Position {
                market: "BTC".into(),
                size: Size(-5_000_000),
                value: Notional::from_usd(-300),
                profit: Notional::from_usd(2),
            }],
            ..Money::default()
        };
        let account = Account {
            begun: Nanos(1),
            looked: Nanos(2),
            drift: Notional::from_nano(drift_nano),
            ..Account::default()
        };
        Look {
            money,
            account,
            transfers: Vec::new(),
        }
    }

    fn balances(drift_nano: i64) -> Balances {
        Balances {
            sides: [Ok(look(900, drift_nano)), Ok(look(100, 0))],
            is_kept: true,
            drift_max: Notional::from_usd(1),
            accepted: None,
            now: Nanos(3),
        }
    }

    #[test]
    fn what_both_have_is_told() {
        let well = balances(-1_000_000_000);
        assert!(well.is_well());
        let json = well.json();
        assert_eq!(json["extended"]["equity"], 900.0);
        assert_eq!(json["lighter"]["margin_ratio"], 0.02);
        assert_eq!(json["extended"]["positions"]["BTC"], "-0.005");
        assert_eq!(json["drift_usd"], -1.0);
        let text = well.to_string();
        assert!(text.contains("extended: equity 900.000 USD"), "{text}");
        assert!(
            text.ends_with("drift -1.000 USD: all is explained\n"),
            "{text}"
        );
    }

    #[test]
    fn drift_beyond_its_bound_and_silence_are_not_well() {
        let mut ill = balances(-1_000_000_001);
        assert!(!ill.is_well());
        assert!(ill.to_string().contains("--accept REASON"));
        ill.sides[0] = Err(HandsError("down".into()));
        assert!(!ill.is_well());
        assert!(ill.to_string().ends_with("DRIFT IS NOT KNOWN\n"));
        assert_eq!(ill.json()["drift_usd"], Value::Null);
        assert_eq!(ill.json()["extended"]["why"], "down");
        let mut unkept = balances(0);
        unkept.is_kept = false;
        assert_eq!(unkept.json()["drift_usd"], Value::Null);
        assert!(unkept.to_string().contains("no STATE_DIR"));
    }
}
