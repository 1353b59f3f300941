//! `parallax rebalance`: the plan to even both accounts out, in words and amounts with units.
//!
//! Promises: what the plan stands on is read now, on both venues, or there is no plan; what the
//! journal of transfers knows and the venues do not list yet counts against the day. Refuses: to
//! carry anything out (`execute` does); to plan a way through any wallet but the one that both
//! venues name as the owner's.

use crate::config::{Holdings, Treasury};
use crate::hands::HandsError;
use crate::keys::ceremony::Address;
use crate::market::units::{Bps, Nanos, Notional, Size};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::record::history;
use crate::stage::clock::Clock;
use crate::state::Folder;
use crate::treasury::Look;
use crate::treasury::exits::Way;
use crate::treasury::plan::{Bound, Holding, Open, Plan, Route, Wishes, plan};
use crate::treasury::purse::{self, Purse, Terms};
use crate::treasury::transfer::{Journal, Transfer};
use crate::venue::money::Position;
use serde_json::{Value, json};
use std::fmt;

/// Half a spread, which closing a leg pays beside its fee.
const HALF_SPREAD: Bps = Bps::whole(1);
/// What is sent in the last so many seconds counts against the day's cap.
const DAY_S: u64 = 86_400;

/// What is assumed of a way; nothing of it is told by the venues without asking for a quote.
struct Assumed {
    name: &'static str,
    out: Way,
    min: Notional,
    flat: Notional,
    /// On top of the venue's own delay, seconds.
    seconds: u64,
}

/// The ways there are. Minima: Lighter's documentation, *Deposits* (5 USDC over a bridge, 1 on
/// Ethereum). Fast withdrawals were seen to cost 3 USDC (third parties, 2026-05). The rest is
/// assumed: 2 USD for a transaction on Ethereum, 2 for a bridge; half an hour for each.
const WAYS: [Assumed; 3] = [
    Assumed {
        name: "secure withdrawal from Lighter to your wallet, claim, then a bridged deposit to \
               Extended",
        out: Way::LighterSecure,
        min: Notional::from_usd(5),
        flat: Notional::from_usd(6),
        seconds: 3_600,
    },
    Assumed {
        name: "fast withdrawal from Lighter to your wallet, then a bridged deposit to Extended",
        out: Way::LighterFast,
        min: Notional::from_usd(5),
        flat: Notional::from_usd(7),
        seconds: 3_600,
    },
    Assumed {
        name: "withdrawal from Extended over its bridge to your wallet, then approve and deposit \
               to Lighter",
        out: Way::ExtendedOut,
        min: Notional::from_usd(5),
        flat: Notional::from_usd(6),
        seconds: 3_600,
    },
];

/// A plan, and what it stands on.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The wallet behind both accounts, where the venues agree on one.
    pub wallet: Option<Address>,
    /// REBALANCE_MIN_USD.
    pub least: Notional,
    /// What stays of each venue's positions in the markets whose pairs are to be closed.
    pub keep: [Vec<(String, Size)>; VENUE_COUNT],
    holdings: [Holding; VENUE_COUNT],
    underway: Option<Transfer>,
    day_max: Notional,
}

/// An account as a plan needs it.
#[derive(Clone, Debug)]
pub struct Side {
    /// What is there.
    pub look: Look,
    /// What leaving costs and where it leads.
    pub terms: Terms,
    /// By how much equity is expected to move in a day. USD.
    pub trend: Notional,
}

/// Reads both accounts and makes the plan. Blocks for some seconds.
pub fn command(holdings: &Holdings, clock: Clock) -> Result<Planned, HandsError> {
    let fault = |error: &dyn fmt::Display| HandsError(error.to_string());
    let folder = holdings.place.dir.as_deref().map(Folder::open);
    let folder = folder.transpose().map_err(|error| fault(&error))?;
    let journal = folder.as_ref().map(Journal::load).transpose();
    let journal = journal.map_err(|error| fault(&error))?.unwrap_or_default();
    let accounts = &holdings.accounts;
    let both = (&accounts.extended, &accounts.lighter);
    let [extended, lighter] = purse::purses(both, accounts.extra_root_pem.as_deref(), clock);
    let now = clock.now();
    let read = |purse: Box<dyn Purse>| {
        let look = purse::look(purse.as_ref(), folder.as_ref(), now)?;
        let trend = match &folder {
            None => None,
            Some(folder) => {
                let trend = history::trend(folder, purse.venue(), now);
                trend.map_err(|error| fault(&error))?
            }
        };
        let (terms, trend) = (purse.terms()?, trend.unwrap_or_default());
        Ok::<Side, HandsError>(Side { look, terms, trend })
    };
    let sides = [read(extended?)?, read(lighter?)?];
    let open = pairs(
        sides.each_ref().map(|side| &side.look),
        sides.each_ref().map(|side| side.terms.taker_fee),
    );
    Ok(planned(&sides, &open, &holdings.treasury, &journal, now))
}

/// The plan for these accounts, closing none but these pairs.
pub fn planned(
    sides: &[Side; VENUE_COUNT],
    open: &[Open],
    treasury: &Treasury,
    journal: &Journal,
    now: Nanos,
) -> Planned {
    let day_begun_ms = now.epoch_ms().saturating_sub(DAY_S * 1_000);
    let holdings = VENUES.map(|venue| {
        let side = &sides[venue.idx()];
        let mut holding = holding(&side.look, side.trend, day_begun_ms);
        holding.sent += journal.unlisted(venue, day_begun_ms / 1_000, &outgoing(&side.look));
        holding
    });
    let wallet = owner(&sides[0].terms, &sides[1].terms);
    let wishes = Wishes {
        extended_e4: treasury.extended_e4,
        min: treasury.rebalance_min,
        day_max: treasury.rebalance_day_max,
        allowed: wallet.into_iter().collect(),
    };
    let routes = match wallet {
        Some(wallet) => ways(wallet, sides[1].terms.exit_s),
        None => Vec::new(),
    };
    let plan = plan(&holdings, open, &routes, &wishes);
    let keep = VENUES.map(|venue| kept(&sides[venue.idx()].look, &plan.close));
    Planned {
        plan,
        wallet,
        least: wishes.min,
        keep,
        holdings,
        underway: journal.now.clone(),
        day_max: wishes.day_max,
    }
}

/// What left an account, and when (epoch milliseconds). USD, positive.
fn outgoing(look: &Look) -> Vec<(u64, Notional)> {
    let out = look.transfers.iter();
    let out = out.filter(|one| one.counted < Notional::ZERO);
    out.map(|one| (one.t_ms, -one.counted)).collect()
}

/// What stays of positions when their pairs are closed.
fn kept(look: &Look, close: &[Open]) -> Vec<(String, Size)> {
    let mut keep = Vec::new();
    for open in close {
        let mut held = look.money.held.iter();
        if let Some(held) = held.find(|held| base(&held.market) == open.market) {
            let stays = match held.size > Size::ZERO {
                true => held.size - open.size,
                false => held.size + open.size,
            };
            keep.push((held.market.clone(), stays));
        }
    }
    keep
}

fn holding(look: &Look, trend: Notional, day_begun_ms: u64) -> Holding {
    let money = &look.money;
    let of_day = look.transfers.iter().filter(|one| one.t_ms >= day_begun_ms);
    let sent = of_day.fold(Notional::ZERO, |sum, one| {
        sum - one.counted.min(Notional::ZERO)
    });
    Holding {
        equity: money.equity,
        unrealised: money.equity - money.collateral,
        margin: money.equity - money.available,
        withdrawable: money.withdrawable,
        trend,
        sent,
    }
}

/// The wallet behind both accounts. Extended need not name one; where both do and disagree, there
/// is none that is surely the user's.
fn owner(extended: &Terms, lighter: &Terms) -> Option<Address> {
    match (extended.wallet, lighter.wallet) {
        (Some(ours), Some(theirs)) if ours != theirs => None,
        (_, theirs) => theirs,
    }
}

fn ways(wallet: Address, exit_s: Option<u64>) -> Vec<Route> {
    let route = |way: &Assumed| {
        // The venue's delay for secure withdrawals comes first.
        let delay_s = match way.out {
            Way::LighterSecure => exit_s.unwrap_or(0),
            _ => 0,
        };
        Route {
            name: way.name,
            out: way.out,
            from: way.out.venue(),
            min: way.min,
            flat: way.flat,
            rate: Bps::ZERO,
            seconds: way.seconds + delay_s,
            wallets: vec![wallet],
        }
    };
    WAYS.iter().map(route).collect()
}

/// What could be closed on both venues at once: the even part of opposite positions. A market that
/// the venues name differently by more than `-USD` stands alone here, and is left alone.
fn pairs(looks: [&Look; VENUE_COUNT], fees: [Bps; VENUE_COUNT]) -> Vec<Open> {
    let mut open = Vec::new();
    for ours in &looks[0].money.held {
        let mut theirs = looks[1].money.held.iter();
        let Some(theirs) = theirs.find(|held| base(&held.market) == base(&ours.market)) else {
            continue;
        };
        if (ours.size > Size::ZERO) == (theirs.size > Size::ZERO) {
            continue;
        }
        let size = Size(ours.size.0.abs().min(theirs.size.0.abs()));
        let legs = [ours, theirs];
        let part = |venue: Venue, of: fn(&Position) -> Notional| {
            let leg = legs[venue.idx()];
            share(of(leg), size, leg.size)
        };
        let value = |venue| part(venue, |leg| leg.value.abs());
        open.push(Open {
            market: base(&ours.market),
            size,
            gains: VENUES.map(|venue| part(venue, |leg| leg.profit)),
            margins: VENUES.map(|venue| margin(looks[venue.idx()], value(venue))),
            costs: VENUES.map(|venue| (fees[venue.idx()] + HALF_SPREAD).of(value(venue))),
        });
    }
    open
}

/// The underlying of a venue's market.
fn base(name: &str) -> String {
    let plain = name.strip_suffix("-USD").unwrap_or(name);
    plain.to_ascii_uppercase()
}

/// The part of an amount that belongs to `size` of `whole`.
fn share(amount: Notional, size: Size, whole: Size) -> Notional {
    match whole.0.unsigned_abs() {
        0 => Notional::ZERO,
        whole => {
            // Nothing held here is worth 10^9 dollars, nor 10^9 coins: the product fits.
            let nano = i128::from(amount.to_nano()) * i128::from(size.0) / i128::from(whole);
            Notional(nano * 1_000_000_000)
        }
    }
}

/// The margin of a position of this value, as its part of all that is held there.
fn margin(look: &Look, value: Notional) -> Notional {
    let held = look.money.held.iter().map(|held| held.value.abs());
    let all = held.fold(Notional::ZERO, |sum, value| sum + value);
    let used = (look.money.equity - look.money.available).max(Notional::ZERO);
    Bps::ratio(value, all).of(used)
}

impl Planned {
    /// For programs: `{"empty","executed","wallet","extended":{..},"lighter":{..},"surplus",
    /// "returning_usd","close":[..],"send","bound","cost_usd"}`.
    pub fn json(&self) -> Value {
        let plan = &self.plan;
        let after = plan.after();
        let side = |venue: Venue| {
            let (idx, holding) = (venue.idx(), &self.holdings[venue.idx()]);
            json!({
                "equity": usd(plan.before[idx]), "withdrawable": usd(holding.withdrawable),
                "trend_per_day": usd(holding.trend), "sent_today": usd(holding.sent),
                "forecast": usd(plan.forecast[idx]), "target": usd(plan.target[idx]),
                "after": usd(after[idx]),
            })
        };
        let [extended, lighter] = VENUES.map(side);
        let surplus = plan
            .surplus
            .map(|(venue, amount)| json!({"venue": venue.name(), "amount": usd(amount)}));
        let close = plan.close.iter().map(|open| {
            json!({
                "market": open.market, "size": open.size.to_string(),
                "cost": usd(open.costs[0] + open.costs[1]),
            })
        });
        let send = plan.send.as_ref().map(|send| {
            let from = send.route.from;
            json!({
                "from": from.name(), "to": from.other().name(), "amount": usd(send.amount),
                "arrives": usd(send.amount - send.cost), "cost": usd(send.cost),
                "seconds": send.route.seconds, "route": send.route.name,
            })
        });
        json!({
            "empty": plan.is_empty(), "executed": false,
            "wallet": self.wallet.map(|wallet| wallet.to_string()),
            "extended": extended, "lighter": lighter, "surplus": surplus,
            "returning_usd": usd(plan.returning), "close": close.collect::<Vec<_>>(),
            "underway": self.underway.as_ref().map(Transfer::json),
            "send": send, "bound": plan.bound.map(bound_name), "cost_usd": usd(plan.cost()),
        })
    }

    fn bound(&self, bound: Bound) -> String {
        match bound {
            Bound::Day => format!(
                "no more today: REBALANCE_DAY_MAX_USD is {}, and {} was sent in the last 24 hours",
                self.day_max,
                self.holdings[0].sent + self.holdings[1].sent
            ),
            Bound::Withdrawable => "no more may be withdrawn there now".to_owned(),
            Bound::Route if self.wallet.is_none() => {
                "no transfer: the venues name no wallet, or two different ones".to_owned()
            }
            Bound::Route => "no transfer: no way takes this amount".to_owned(),
        }
    }
}

/// For people: what is, what should be, the steps in order, what they cost.
impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        for venue in VENUES {
            let (idx, holding) = (venue.idx(), &self.holdings[venue.idx()]);
            writeln!(
                f,
                "{}: {} USD, of which {} may be withdrawn; {:+.2} USD a day of late; should be {}",
                venue.name(),
                plan.before[idx],
                holding.withdrawable,
                holding.trend.to_usd_f64(),
                plan.target[idx]
            )?;
        }
        if let Some(transfer) = &self.underway {
            writeln!(f, "{transfer}; nothing else is begun before it is over")?;
        }
        let Some((rich, surplus)) = plan.surplus else {
            return writeln!(f, "both are even enough: nothing is to be done");
        };
        writeln!(f, "{} has {surplus} USD too much", rich.name())?;
        if plan.returning > Notional::ZERO {
            writeln!(
                f,
                "  of that, {} USD become free there as the open pairs end by themselves",
                plan.returning
            )?;
        }
        for open in &plan.close {
            writeln!(
                f,
                "  close {} {} on both venues: costs {} USD in fees and spreads (closing and \
                 entering again costs twice that)",
                open.size,
                open.market,
                open.costs[0] + open.costs[1]
            )?;
        }
        if let Some(send) = &plan.send {
            let to = send.route.from.other().name();
            let hours = send.route.seconds as f64 / 3_600.0;
            writeln!(
                f,
                "  send {} USD from {} to {to}:",
                send.amount,
                rich.name()
            )?;
            writeln!(f, "    {}", send.route.name)?;
            for wallet in &send.route.wallets {
                writeln!(f, "    through your wallet {wallet} and no other")?;
            }
            writeln!(
                f,
                "    about {} USD arrive in about {hours:.1} hours (assumed; their quotes are \
                 asked for before anything is sent)",
                send.amount - send.cost
            )?;
        }
        if let Some(bound) = plan.bound {
            writeln!(f, "  {}", self.bound(bound))?;
        }
        let [extended, lighter] = plan.after();
        writeln!(
            f,
            "cost {} USD; afterwards extended {extended}, lighter {lighter} USD",
            plan.cost()
        )
    }
}

const fn bound_name(bound: Bound) -> &'static str {
    match bound {
        Bound::Day => "day",
        Bound::Withdrawable => "withdrawable",
        Bound::Route => "route",
    }
}

/// Dollars for programs, rounded to a millionth.
fn usd(amount: Notional) -> f64 {
    (amount.to_nano() as f64 / 1e3).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::treasury::ledger::Account;
    use crate::venue::money::{Money, Transfer};

    fn position(market: &str, size: i64, value: i64, profit: i64) -> Position {
        Position {
            market: market.into(),
            size: Size(size),
            value: Notional::from_usd(value),
            profit: Notional::from_usd(profit),
        }
    }

    fn look(held: Vec<Position>) -> Look {
        Look {
            money: Money {
                equity: Notional::from_usd(1_000),
                collateral: Notional::from_usd(960),
                available: Notional::from_usd(900),
                withdrawable: Notional::from_usd(860),
                held,
                ..Money::default()
            },
            account: Account::default(),
            transfers: Vec::new(),
        }
    }

    #[test]
    fn only_the_even_part_of_opposite_legs_is_a_pair() {
        let ours = look(vec![
            position("BTC-USD", 30, 3_000, 60),
            position("ETH-USD", 10, 1_000, 0),
            position("SOL-USD", 5, 500, 0),
        ]);
        let theirs = look(vec![
            position("BTC", -20, -2_000, -39),
            position("ETH", 10, 1_000, 0),
        ]);
        let open = pairs([&ours, &theirs], [Bps::whole(2), Bps::ZERO]);
        assert_eq!(open.len(), 1, "{open:?}");
        let usd = Notional::from_usd;
        assert_eq!((open[0].market.as_str(), open[0].size), ("BTC", Size(20)));
        assert_eq!(open[0].gains, [usd(40), usd(-39)]);
        // 2,000 of 4,500 and of 3,000 held, of a margin of 100 each.
        let whole = |amount: Notional| amount.to_usd_f64().round();
        assert_eq!(open[0].margins.map(whole), [44.0, 67.0]);
        // Three bps and one, of 2,000.
        let cents = open[0]
            .costs
            .map(|cost| (cost.to_usd_f64() * 100.0).round());
        assert_eq!(cents, [60.0, 20.0]);
    }

    #[test]
    fn what_was_sent_in_the_last_day_counts() {
        let mut look = look(Vec::new());
        for (t_ms, counted) in [(99, -500), (100, -30), (150, -20), (160, 70), (170, 0)] {
            look.transfers.push(Transfer {
                id: "1".into(),
                kind: "x".into(),
                status: "x".into(),
                t_ms,
                counted: Notional::from_usd(counted),
            });
        }
        let holding = holding(&look, Notional::ZERO, 100);
        assert_eq!(holding.sent, Notional::from_usd(50));
        assert_eq!(holding.unrealised, Notional::from_usd(40));
    }

    #[test]
    fn a_wallet_is_only_the_users_where_nobody_disagrees() {
        let terms = |byte: Option<u8>| Terms {
            wallet: byte.map(|byte| Address([byte; 20])),
            ..Terms::default()
        };
        let found = |one, other| owner(&terms(one), &terms(other));
        assert_eq!(found(Some(1), Some(1)), Some(Address([1; 20])));
        assert_eq!(found(None, Some(2)), Some(Address([2; 20])));
        assert_eq!(found(Some(1), Some(2)), None);
        // Extended alone does not prove whose the other end is.
        assert_eq!(found(Some(1), None), None);
    }

    #[test]
    fn the_plan_is_told_in_words_and_amounts() {
        let side = |equity: i64| Holding {
            equity: Notional::from_usd(equity),
            withdrawable: Notional::from_usd(equity),
            ..Holding::default()
        };
        let holdings = [side(900), side(100)];
        let wallet = Address([0xAB; 20]);
        let wishes = Wishes {
            extended_e4: 5_000,
            min: Notional::from_usd(50),
            day_max: Notional::from_usd(250),
            allowed: vec![wallet],
        };
        let planned = Planned {
            plan: plan(&holdings, &[], &ways(wallet, Some(14_400)), &wishes),
            holdings,
            wallet: Some(wallet),
            least: wishes.min,
            keep: [Vec::new(), Vec::new()],
            underway: None,
            day_max: wishes.day_max,
        };
        let text = planned.to_string();
        for words in [
            "extended has 400.000 USD too much",
            "send 250.000 USD from extended to lighter:",
            "through your wallet 0xABaBaBaB",
            "REBALANCE_DAY_MAX_USD is 250.000",
            "afterwards extended ",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let json = planned.json();
        assert_eq!(
            (&json["send"]["amount"], &json["executed"]),
            (&json!(250.0), &json!(false))
        );
        assert_eq!(json["bound"], "day");
    }
}
