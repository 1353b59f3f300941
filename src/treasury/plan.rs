//! The plan to even two accounts out: what to close, what to send, by which way, at what cost.
//!
//! Pure. Promises: plans only on what may be withdrawn; never more than the day has left, never
//! less than is worth it, never to an address that is not on the list; to the last unit, what both
//! have before is what both have afterwards and what it costs. Two accounts that are even have an
//! empty plan. Refuses: to send anything; to close a leg that stands alone.
//!
//! In this order, because each is dearer than the one before. Pairs that are open end by
//! themselves, and an end turns the winning leg's gain into money that can be withdrawn: that is
//! told, and only waited for. What is missing then is realised by closing pairs, the cheapest
//! dollar first, with that cost in the plan. Only then is money sent.

use crate::keys::ceremony::Address;
use crate::market::units::{Bps, NOTIONAL_SCALE, Notional, Size};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::treasury::exits::Way;
use crate::venue::money::withdrawable;

/// What one account has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Collateral and unrealised profit. USD.
    pub equity: Notional,
    /// Of that, not realised. USD.
    pub unrealised: Notional,
    /// What positions and orders need at the start. USD.
    pub margin: Notional,
    /// What may be withdrawn now, by the venue's word. USD.
    pub withdrawable: Notional,
    /// By how much equity is expected to move in a day, transfers apart. USD.
    pub trend: Notional,
    /// What it has sent away in the last day. USD, positive.
    pub sent: Notional,
}

/// A pair that could be closed: the same size long on one venue and short on the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The instrument.
    pub market: String,
    /// Size of both legs, positive.
    pub size: Size,
    /// What its legs have gained and not realised, by venue. USD.
    pub gains: [Notional; VENUE_COUNT],
    /// The margin that its legs need, by venue. USD.
    pub margins: [Notional; VENUE_COUNT],
    /// The fees and half spreads of both legs, by the venue that pays them. USD, positive.
    pub costs: [Notional; VENUE_COUNT],
}

/// A way for money from one venue to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// In words.
    pub name: &'static str,
    /// How it leaves.
    pub out: Way,
    /// Where it begins; it ends at the other venue.
    pub from: Venue,
    /// Least that it takes. USD.
    pub min: Notional,
    /// What it costs whatever the amount, expected. USD.
    pub flat: Notional,
    /// What it costs besides, of the amount.
    pub rate: Bps,
    /// How long it takes, expected, seconds.
    pub seconds: u64,
    /// The wallets it goes through.
    pub wallets: Vec<Address>,
}

/// What is wanted, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// Extended's share of all equity, 10^-4.
    pub extended_e4: u32,
    /// Less than this is not worth a transfer. USD.
    pub min: Notional,
    /// Most that both venues together may send in a day. USD.
    pub day_max: Notional,
    /// The wallets that money may go through: the user's own.
    pub allowed: Vec<Address>,
}

/// What stands in the way of (more of) a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The day's cap, less what was sent already.
    Day,
    /// What may be withdrawn, after all pairs that pay.
    Withdrawable,
    /// No way between the venues takes this amount by allowed wallets.
    Route,
}

/// Money that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// By which way.
    pub route: Route,
    /// What leaves. USD, whole cents.
    pub amount: Notional,
    /// What of it is the way's. USD.
    pub cost: Notional,
}

/// The plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Equity as it is. USD, by venue.
    pub before: [Notional; VENUE_COUNT],
    /// As it will have moved by itself when money arrives, if it moves on as it did. USD.
    pub forecast: [Notional; VENUE_COUNT],
    /// As it should be. USD.
    pub target: [Notional; VENUE_COUNT],
    /// Which venue has too much, and how much. `None`: both are even enough.
    pub surplus: Option<(Venue, Notional)>,
    /// What open pairs will give back there by themselves. USD.
    pub returning: Notional,
    /// Pairs to close, in this order.
    pub close: Vec<Open>,
    /// What to send then.
    pub send: Option<Sending>,
    /// What held it back.
    pub bound: Option<Bound>,
}

impl Plan {
    /// Nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.close.is_empty() && self.send.is_none()
    }

    /// What all of it costs. USD.
    pub fn cost(&self) -> Notional {
        let closing = self.close.iter().flat_map(|open| open.costs);
        let closing = closing.fold(Notional::ZERO, |sum, cost| sum + cost);
        let sending = self.send.as_ref().map_or(Notional::ZERO, |send| send.cost);
        closing + sending
    }

    /// Equity after it, if nothing else moved. USD, by venue.
    pub fn after(&self) -> [Notional; VENUE_COUNT] {
        let mut after = self.before;
        for open in &self.close {
            for (sum, cost) in after.iter_mut().zip(open.costs) {
                *sum += -cost;
            }
        }
        if let Some(send) = &self.send {
            let from = send.route.from;
            after[from.idx()] += -send.amount;
            after[from.other().idx()] += send.amount - send.cost;
        }
        after
    }
}

/// Amounts sent are whole cents.
const CENT: i128 = NOTIONAL_SCALE / 100;

/// Makes the plan.
pub fn plan(
    holdings: &[Holding; VENUE_COUNT],
    open: &[Open],
    routes: &[Route],
    wishes: &Wishes,
) -> Plan {
    let before = VENUES.map(|venue| holdings[venue.idx()].equity);
    let rich = match before[0] > wishes.share(before) {
        true => Venue::Extended,
        false => Venue::Lighter,
    };
    let usable = |route: &&Route| route.from == rich && is_allowed(route, &wishes.allowed);
    let ways = || routes.iter().filter(usable);
    // For as long as the fastest way takes, things go on by themselves.
    let seconds = ways().map(|route| route.seconds).min().unwrap_or(0);
    let forecast = VENUES.map(|venue| {
        let holding = &holdings[venue.idx()];
        holding.equity + over(holding.trend, seconds)
    });
    let share = wishes.share(forecast);
    let mut plan = Plan {
        before,
        forecast,
        target: [share, forecast[0] + forecast[1] - share],
        ..Plan::default()
    };
    let surplus = forecast[rich.idx()] - plan.target[rich.idx()];
    if surplus < wishes.min.max(Notional(CENT)) {
        return plan;
    }
    plan.surplus = Some((rich, surplus));
    let holding = &holdings[rich.idx()];
    let all: Vec<&Open> = open.iter().collect();
    let returning = free_after(holding, &all, rich) - holding.withdrawable;
    plan.returning = returning.max(Notional::ZERO);
    let left = (wishes.day_max - holdings[0].sent - holdings[1].sent).max(Notional::ZERO);
    // No more than what is there: a forecast is no money.
    let wanted = surplus.min(left).min(before[rich.idx()]);
    let (close, free) = realise(holding, open, wanted, rich);
    let amount = Notional(wanted.min(free).0 / CENT * CENT);
    plan.bound = match (left < surplus, free < wanted) {
        (_, true) => Some(Bound::Withdrawable),
        (true, false) => Some(Bound::Day),
        (false, false) => None,
    };
    if amount < wishes.min || amount.0 <= 0 {
        return plan;
    }
    let Some(route) = cheapest(ways(), amount) else {
        plan.bound = Some(Bound::Route);
        return plan;
    };
    plan.close = close;
    plan.send = Some(Sending {
        route: route.clone(),
        amount,
        cost: route.cost(amount),
    });
    plan
}

impl Wishes {
    /// What of all of it should lie on Extended. USD.
    fn share(&self, equity: [Notional; VENUE_COUNT]) -> Notional {
        let all = equity[0] + equity[1];
        Notional(all.0 * i128::from(self.extended_e4.min(10_000)) / 10_000)
    }
}

/// Every wallet on the way is the user's own.
fn is_allowed(route: &Route, allowed: &[Address]) -> bool {
    route.wallets.iter().all(|wallet| allowed.contains(wallet))
}

/// What a daily trend comes to in so many seconds.
fn over(trend: Notional, seconds: u64) -> Notional {
    Notional(trend.0 / 86_400 * i128::from(seconds))
}

/// The way that costs least for an amount it takes; of two, the faster.
fn cheapest<'a>(ways: impl Iterator<Item = &'a Route>, amount: Notional) -> Option<&'a Route> {
    let fits = ways.filter(|route| amount >= route.min && route.cost(amount) < amount);
    fits.min_by_key(|route| (route.cost(amount), route.seconds))
}

impl Route {
    /// What it costs to send so much. USD.
    pub fn cost(&self, amount: Notional) -> Notional {
        self.flat + self.rate.of(amount)
    }
}

/// What may be withdrawn when these pairs are closed, fees and all. Gains are not simply added up:
/// one that is realised no longer covers a loss that is not.
fn free_after(holding: &Holding, close: &[&Open], venue: Venue) -> Notional {
    let sum = |part: fn(&Open) -> &[Notional; VENUE_COUNT]| {
        let parts = close.iter().map(|open| part(open)[venue.idx()]);
        parts.fold(Notional::ZERO, |sum, part| sum + part)
    };
    let (gains, margins) = (sum(|open| &open.gains), sum(|open| &open.margins));
    let costs = sum(|open| &open.costs);
    let collateral = holding.equity - holding.unrealised;
    let before = withdrawable(collateral, holding.unrealised, holding.margin);
    let after = withdrawable(
        collateral + gains - costs,
        holding.unrealised - gains,
        holding.margin - margins,
    );
    holding.withdrawable + after - before
}

/// The pairs to close so that `wanted` may be withdrawn, the cheapest dollar first, and what may be
/// then. Those that free nothing by themselves are left alone; where there is enough, all are.
fn realise(
    holding: &Holding,
    open: &[Open],
    wanted: Notional,
    rich: Venue,
) -> (Vec<Open>, Notional) {
    let alone = |open: &Open| free_after(holding, &[open], rich) - holding.withdrawable;
    let mut pairs: Vec<&Open> = open.iter().filter(|open| alone(open).0 > 0).collect();
    pairs.sort_by_key(|open| Bps::ratio(open.costs[0] + open.costs[1], alone(open)).bits());
    let (mut close, mut free) = (Vec::new(), holding.withdrawable);
    for pair in pairs {
        if free >= wanted {
            break;
        }
        close.push(pair);
        let more = free_after(holding, &close, rich);
        // With the others closed it may free nothing any more.
        match more > free {
            true => free = more,
            false => drop(close.pop()),
        }
    }
    (close.into_iter().cloned().collect(), free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: Address = Address([7; 20]);
    const FOREIGN: Address = Address([8; 20]);

    const fn usd(usd: i64) -> Notional {
        Notional::from_usd(usd)
    }

    /// So much of the equity is a gain that is not realised; the rest may be withdrawn.
    fn holding(equity: i64, free: i64) -> Holding {
        Holding {
            equity: usd(equity),
            unrealised: usd(equity - free),
            withdrawable: usd(free),
            ..Holding::default()
        }
    }

    fn route(from: Venue, flat: i64, seconds: u64) -> Route {
        Route {
            name: "a way",
            out: match from {
                Venue::Extended => Way::ExtendedOut,
                Venue::Lighter => Way::LighterSecure,
            },
            from,
            min: usd(5),
            flat: usd(flat),
            rate: Bps::whole(10),
            seconds,
            wallets: vec![OWN],
        }
    }

    fn wishes() -> Wishes {
        Wishes {
            extended_e4: 5_000,
            min: usd(50),
            day_max: usd(1_000),
            allowed: vec![OWN],
        }
    }

    fn pair(market: &str, gain: i64, costs: i64) -> Open {
        Open {
            market: market.into(),
            size: Size(1_000_000),
            gains: [usd(gain), usd(-gain)],
            margins: [usd(0), usd(0)],
            costs: [usd(costs), usd(costs)],
        }
    }

    fn ways() -> Vec<Route> {
        vec![
            route(Venue::Extended, 3, 600),
            route(Venue::Extended, 1, 14_400),
            route(Venue::Lighter, 1, 14_400),
        ]
    }

    #[test]
    fn ninety_to_ten_becomes_even_by_the_cheapest_way() {
        let plan = plan(
            &[holding(900, 900), holding(100, 100)],
            &[],
            &ways(),
            &wishes(),
        );
        let send = plan.send.as_ref().unwrap();
        assert_eq!((send.route.seconds, send.amount), (14_400, usd(400)));
        // One dollar, and ten bps of four hundred.
        assert_eq!(plan.cost(), Notional::from_nano(1_400_000_000));
        assert_eq!(plan.after(), [usd(500), usd(500) - plan.cost()]);
        assert_eq!((plan.bound, plan.close.len()), (None, 0));
    }

    #[test]
    fn the_day_ends_at_its_cap() {
        let mut holdings = [holding(900, 900), holding(100, 100)];
        holdings[0].sent = usd(700);
        holdings[1].sent = usd(200);
        let first = plan(&holdings, &[], &ways(), &wishes());
        assert_eq!(first.send.unwrap().amount, usd(100));
        assert_eq!(first.bound, Some(Bound::Day));
        holdings[1].sent = usd(300);
        let none = plan(&holdings, &[], &ways(), &wishes());
        assert_eq!((none.is_empty(), none.bound), (true, Some(Bound::Day)));
    }

    #[test]
    fn gains_are_realised_where_nothing_else_is_there_the_cheapest_first() {
        let open = [
            pair("DEAR", 300, 20),
            pair("CHEAP", 200, 1),
            pair("LOSS", -5, 1),
        ];
        let holdings = [holding(900, 100), holding(100, 100)];
        let plan = plan(&holdings, &open, &ways(), &wishes());
        let closed: Vec<&str> = plan.close.iter().map(|open| open.market.as_str()).collect();
        assert_eq!(closed, ["CHEAP", "DEAR"]);
        assert_eq!(plan.send.as_ref().unwrap().amount, usd(400));
        // 300, 200 and -5, less what ending costs there.
        assert_eq!(plan.returning, usd(473));
        // Two legs each.
        assert_eq!(plan.cost() - plan.send.unwrap().cost, usd(42));
    }

    #[test]
    fn a_gain_that_covers_a_loss_frees_nothing() {
        let holding = Holding {
            equity: usd(1_000),
            unrealised: usd(-100),
            margin: usd(50),
            withdrawable: usd(950),
            ..Holding::default()
        };
        let (gain, mut loss) = (pair("GAIN", 200, 0), pair("LOSS", -300, 0));
        assert_eq!(free_after(&holding, &[&gain], Venue::Extended), usd(950));
        loss.margins[0] = usd(50);
        assert_eq!(
            free_after(&holding, &[&gain, &loss], Venue::Extended),
            usd(1_000)
        );
        // Each alone frees nothing: neither is closed on the hope for the other.
        let (close, free) = realise(&holding, &[gain, loss], usd(990), Venue::Extended);
        assert_eq!((close.len(), free), (0, usd(950)));
    }

    #[test]
    fn unrealised_gains_that_cannot_be_had_are_not_sent() {
        let holdings = [holding(900, 120), holding(100, 100)];
        let some = plan(&holdings, &[], &ways(), &wishes());
        assert_eq!(some.send.unwrap().amount, usd(120));
        assert_eq!(some.bound, Some(Bound::Withdrawable));
        let too_little = [holding(900, 48), holding(100, 100)];
        let none = plan(&too_little, &[pair("FEW", 2, 1)], &ways(), &wishes());
        // Nothing is closed for a transfer that does not come.
        assert_eq!(
            (none.is_empty(), none.bound),
            (true, Some(Bound::Withdrawable))
        );
    }

    #[test]
    fn no_way_leads_through_a_foreign_wallet() {
        let mut ways = ways();
        ways[0].wallets.push(FOREIGN);
        ways[1].wallets = vec![FOREIGN];
        let plan = plan(
            &[holding(900, 900), holding(100, 100)],
            &[],
            &ways,
            &wishes(),
        );
        assert_eq!((plan.is_empty(), plan.bound), (true, Some(Bound::Route)));
    }

    #[test]
    fn what_goes_its_way_by_itself_is_not_sent() {
        let mut holdings = [holding(560, 560), holding(440, 440)];
        let fast = [route(Venue::Extended, 1, 14_400)];
        assert!(plan(&holdings, &[], &fast, &wishes()).send.is_some());
        // A dollar a minute the other way: even in an hour.
        holdings[0].trend = usd(-14_400 / 10);
        holdings[1].trend = usd(14_400 / 10);
        let plan = plan(&holdings, &[], &fast, &wishes());
        assert!(plan.is_empty() && plan.surplus.is_none(), "{plan:?}");
    }

    fn cents(range: std::ops::Range<i64>) -> impl Strategy<Value = Notional> {
        range.prop_map(|cents| Notional::from_nano(cents * 10_000_000))
    }

    fn any_holding() -> impl Strategy<Value = Holding> {
        let money = (
            cents(0..2_000_000),
            cents(-500_000..500_000),
            cents(0..300_000),
        );
        (money, cents(-100_000..100_000), cents(0..50_000)).prop_map(
            |((equity, unrealised, margin), trend, sent)| Holding {
                equity,
                unrealised,
                margin,
                withdrawable: withdrawable(equity - unrealised, unrealised, margin),
                trend,
                sent,
            },
        )
    }

    fn any_open() -> impl Strategy<Value = Open> {
        let both = |range: std::ops::Range<i64>| [cents(range.clone()), cents(range)];
        (1_i64..9, both(-90_000..90_000), both(0..9_000), both(0..90)).prop_map(
            |(size, gains, margins, costs)| Open {
                market: format!("M{size}"),
                size: Size(size),
                gains,
                margins,
                costs,
            },
        )
    }

    fn any_route() -> impl Strategy<Value = Route> {
        (
            any::<bool>(),
            0_i64..100,
            0_i64..20,
            0_u64..90_000,
            any::<bool>(),
        )
            .prop_map(|(is_extended, min, flat, seconds, is_own)| Route {
                from: if is_extended {
                    Venue::Extended
                } else {
                    Venue::Lighter
                },
                min: usd(min),
                wallets: vec![if is_own { OWN } else { FOREIGN }],
                ..route(Venue::Extended, flat, seconds)
            })
    }

    proptest! {
        #[test]
        fn no_plan_breaks_a_limit_or_loses_a_cent(
            holdings in [any_holding(), any_holding()],
            open in prop::collection::vec(any_open(), 0..6),
            routes in prop::collection::vec(any_route(), 0..6),
            extended_e4 in 0_u32..=10_000,
            min in 1_i64..200,
            day_max in 0_i64..5_000,
        ) {
            let wishes = Wishes { extended_e4, min: usd(min), day_max: usd(day_max), ..wishes() };
            let made = plan(&holdings, &open, &routes, &wishes);
            let sum = |all: [Notional; 2]| all[0] + all[1];
            prop_assert_eq!(sum(made.before), sum(made.after()) + made.cost());
            let Some(send) = made.send.clone() else {
                prop_assert!(made.close.is_empty());
                return Ok(());
            };
            let from = &holdings[send.route.from.idx()];
            let sent = holdings[0].sent + holdings[1].sent;
            prop_assert!(send.amount + sent <= wishes.day_max);
            prop_assert!(send.amount >= wishes.min && send.amount >= send.route.min);
            prop_assert!(send.amount <= from.equity);
            prop_assert_eq!(send.amount.0 % CENT, 0);
            prop_assert!(send.route.wallets.iter().all(|wallet| *wallet == OWN));
            prop_assert!(send.cost < send.amount);
            // Closed one by one, by the venue's own rule.
            let idx = send.route.from.idx();
            let mut account = from.clone();
            for open in &made.close {
                account.equity += -open.costs[idx];
                account.unrealised += -open.gains[idx];
                account.margin += -open.margins[idx];
            }
            let collateral = account.equity - account.unrealised;
            let free = withdrawable(collateral, account.unrealised, account.margin);
            prop_assert!(send.amount <= free);
            // It goes from the one that has too much, and never past the middle.
            let (rich, surplus) = made.surplus.unwrap();
            prop_assert_eq!(rich, send.route.from);
            prop_assert!(send.amount <= surplus);
        }

        #[test]
        fn what_is_even_stays_as_it_is(
            cents in 1_i64..10_000_000,
            extended_e4 in 0_u32..=10_000,
            open in prop::collection::vec(any_open(), 0..6),
            routes in prop::collection::vec(any_route(), 0..6),
        ) {
            let total = Notional::from_nano(cents * 10_000_000);
            let share = Notional(total.0 * i128::from(extended_e4) / 10_000);
            let holding = |equity| Holding { equity, withdrawable: equity, ..Holding::default() };
            let holdings = [holding(share), holding(total - share)];
            let wishes = Wishes { extended_e4, ..wishes() };
            prop_assert!(plan(&holdings, &open, &routes, &wishes).is_empty());
        }
    }
}
