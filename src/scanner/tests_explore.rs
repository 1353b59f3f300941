//! Everything that may happen to a pair after its orders are out, in every order, eight deep: the
//! machine's promises hold at each step, and from wherever that leads the pair comes to an end.
//! Then the machine's table is broken in ten places, each to be caught by the same exploration.

use super::board::Board;
use super::pair::{Pair, State};
use super::repair::Way;
use super::risk::LegOrder;
use super::table::{Deed, LEG_ROWS, LegDeed, LegRow, LegWhen, PAIR_ROWS, RULES, Row, Rules, When};
use super::tests_model::{Happening, Rig, Setup, World};
use crate::market::event::ExitCause;
use crate::market::units::Size;
use crate::market::{VENUES, Venue};
use std::collections::HashMap;

fn hedge_always(_: &Pair, _: &Board, _: Venue, _: Size) -> Way {
    Way::Hedge
}

fn unwind_always(_: &Pair, _: &Board, _: Venue, _: Size) -> Way {
    Way::Unwind
}

const BOTH: Setup = Setup {
    name: "both at once",
    order: LegOrder::Both,
    units: 2,
    units_min: 1,
    leaves: None,
    cheaper: hedge_always,
    fill_price: 1_000,
    budget: [1, 0, 0, 1],
    depth: 8,
};

/// Where explorations begin. The first goes eight deep after both sends; the others go as deep as
/// what they are for needs.
const SETUPS: &[Setup] = &[
    BOTH,
    Setup {
        name: "both out at once",
        leaves: Some(ExitCause::Stop),
        depth: 6,
        ..BOTH
    },
    Setup {
        name: "both at once, forced trades",
        budget: [0, 1, 0, 0],
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "both out at once, forced trades",
        leaves: Some(ExitCause::Stop),
        budget: [0, 1, 0, 0],
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "slow first",
        order: LegOrder::SlowFirst,
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "fast first",
        order: LegOrder::FastFirst,
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "out one after the other",
        order: LegOrder::SlowFirst,
        leaves: Some(ExitCause::Converged),
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "remainders too small",
        units: 3,
        units_min: 2,
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "remainders too small, out",
        units: 3,
        units_min: 2,
        leaves: Some(ExitCause::Stop),
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "the edge is gone",
        cheaper: unwind_always,
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "prices ran away",
        fill_price: 1_100,
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "untrue fills, the edge is gone",
        cheaper: unwind_always,
        budget: [0, 0, 1, 0],
        depth: 4,
        ..BOTH
    },
    Setup {
        name: "untrue fills and positions",
        budget: [0, 0, 1, 0],
        depth: 5,
        ..BOTH
    },
    Setup {
        name: "untrue fills and positions, out",
        leaves: Some(ExitCause::Stop),
        budget: [0, 0, 1, 0],
        depth: 5,
        ..BOTH
    },
];

/// How the venues behave once nothing more is chosen for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// All orders fill.
    Fills,
    /// All orders are refused.
    Refuses,
    /// No order finds its price.
    Misses,
    /// Nothing is ever answered and nothing done.
    Silent,
    /// One venue stays away, the other fills.
    Away(Venue),
    /// Both stay away.
    Dark,
}

const ENDINGS: [Ending; 7] = [
    Ending::Fills,
    Ending::Refuses,
    Ending::Misses,
    Ending::Silent,
    Ending::Away(Venue::Extended),
    Ending::Away(Venue::Lighter),
    Ending::Dark,
];

/// Steps of an ending: some six minutes. Fifteen orders in a row may each take thirteen seconds.
const ENDING_STEPS: usize = 240;

/// States up to this deep end in all ways.
const ENDED_DEPTH: u8 = 4;

struct Explorer {
    setup: Setup,
    rig: Rig,
    /// Depth that was left when a state was last gone on from.
    seen: HashMap<u64, u8>,
    path: Vec<Happening>,
    steps: u64,
}

impl Explorer {
    fn new(setup: Setup, rules: Rules) -> Explorer {
        Explorer {
            rig: Rig::new(&setup, rules),
            setup,
            seen: HashMap::new(),
            path: Vec::new(),
            steps: 0,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let setup = self.setup;
        let explored = World::new(&setup, &mut self.rig);
        let explored = explored.and_then(|mut world| {
            // One leg's fill sends the other's order: from then on both are out.
            if let (None, Some(lead)) = (setup.leaves, setup.order.lead()) {
                world.happen(Happening::Fill(lead), &mut self.rig)?;
            }
            self.visit(&world, setup.depth)
        });
        explored.map_err(|why| format!("{}: {why} after {:?}", setup.name, self.path))
    }

    fn visit(&mut self, world: &World, left: u8) -> Result<(), String> {
        if matches!(world.pair.state, State::Flat | State::Stuck) {
            return world.is_settled(self.setup.units_min).map(drop);
        }
        let key = world.key();
        if self.seen.get(&key).is_some_and(|known| *known >= left) {
            return Ok(());
        }
        let is_new = self.seen.insert(key, left).is_none();
        if left == 0 {
            // The last states are many: each ends in one way, by its key, and all ways are gone.
            let ending = ENDINGS[key as usize % ENDINGS.len()];
            return match is_new {
                true => self.end_as(world.clone(), ending),
                false => Ok(()),
            };
        }
        if is_new && left + ENDED_DEPTH >= self.setup.depth {
            self.end(world)?;
        }
        for what in world.next() {
            self.path.push(what);
            let mut next = world.clone();
            self.steps += 1;
            next.happen(what, &mut self.rig)?;
            self.visit(&next, left - 1)?;
            self.path.pop();
        }
        Ok(())
    }

    /// Whatever the venues do from now on, time brings the pair to an end.
    fn end(&mut self, world: &World) -> Result<(), String> {
        for ending in ENDINGS {
            let ended = self.end_as(world.clone(), ending);
            ended.map_err(|why| format!("{why}, ending {ending:?},"))?;
        }
        Ok(())
    }

    fn end_as(&mut self, mut world: World, ending: Ending) -> Result<(), String> {
        let is_away = |venue: Venue| match ending {
            Ending::Away(away) => away == venue,
            Ending::Dark => true,
            _ => false,
        };
        for venue in VENUES {
            match (is_away(venue), world.is_down(venue)) {
                (true, false) => world.happen(Happening::Down(venue), &mut self.rig)?,
                (false, true) => world.happen(Happening::Up(venue), &mut self.rig)?,
                _ => {}
            }
        }
        for step in 0..ENDING_STEPS {
            let is_over = world.is_settled(self.setup.units_min)?;
            let is_hindered = VENUES.into_iter().any(is_away);
            let is_called = is_hindered && (world.alarm || world.is_even());
            if is_over || is_called {
                return Ok(());
            }
            for venue in VENUES.into_iter().filter(|venue| !is_away(*venue)) {
                self.answer(&mut world, venue, ending)?;
            }
            let time = match step % 2 {
                0 => Happening::Short,
                _ => Happening::Long,
            };
            world.happen(time, &mut self.rig)?;
        }
        // Behind a lie nothing can be settled by anybody.
        if world.is_deceived {
            return Ok(());
        }
        Err(format!(
            "no end: {:?} {:?}",
            world.pair.state,
            world.pair.legs.map(|leg| leg.held)
        ))
    }

    fn answer(&mut self, world: &mut World, venue: Venue, ending: Ending) -> Result<(), String> {
        let Some((is_dead, is_untouched)) = world.waiting(venue) else {
            return Ok(());
        };
        let can = world.next();
        let mut wanted = match ending {
            Ending::Fills | Ending::Away(_) | Ending::Dark => {
                vec![Happening::Fill(venue), Happening::Over(venue)]
            }
            Ending::Refuses if is_untouched => vec![Happening::Reject(venue)],
            Ending::Refuses | Ending::Misses => vec![Happening::Over(venue)],
            Ending::Silent => vec![Happening::Drop(venue)],
        };
        if is_dead && ending != Ending::Silent {
            wanted = vec![Happening::Answer(venue), Happening::Over(venue)];
        }
        match wanted.into_iter().find(|what| can.contains(what)) {
            Some(what) => world.happen(what, &mut self.rig),
            None => Ok(()),
        }
    }
}

/// Explores all setups under these rules.
fn explore(rules: Rules) -> Result<(u64, u64, u128, u128), String> {
    let (mut states, mut steps, mut rows, mut leg_rows) = (0, 0, 0, 0);
    for setup in SETUPS {
        let mut explorer = Explorer::new(*setup, rules);
        explorer.run()?;
        states += explorer.seen.len() as u64;
        steps += explorer.steps;
        rows |= explorer.rig.desk.reached;
        leg_rows |= explorer.rig.desk.leg_reached;
        println!(
            "{}: {} states, {} steps",
            setup.name,
            explorer.seen.len(),
            explorer.steps
        );
    }
    Ok((states, steps, rows, leg_rows))
}

/// News rows are looked up and not seen; each of them is taken in one of these ways.
fn is_news(row: &Row) -> bool {
    matches!(
        row.when,
        When::Entry | When::Adoption | When::Opened | When::Closed | When::Taken | When::ExitDue
    )
}

#[test]
fn every_interleaving_keeps_every_promise_and_reaches_every_row() {
    let explored = explore(RULES);
    let (states, steps, rows, leg_rows) = explored.unwrap_or_else(|why| panic!("{why}"));
    println!("{states} states, {steps} steps");
    let is_missing =
        |(idx, row): (usize, &Row)| (!is_news(row) && rows & (1 << idx) == 0).then_some(*row);
    let missing: Vec<Row> = PAIR_ROWS
        .iter()
        .enumerate()
        .filter_map(is_missing)
        .collect();
    assert!(missing.is_empty(), "never reached: {missing:#?}");
    let is_missing = |(idx, row): (usize, &LegRow)| (leg_rows & (1 << idx) == 0).then_some(*row);
    let missing: Vec<LegRow> = LEG_ROWS.iter().enumerate().filter_map(is_missing).collect();
    assert!(missing.is_empty(), "never reached: {missing:#?}");
}

/// One place at which the table is broken.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// This row leads there and does that.
    Row(State, When, State, Deed),
    /// This row is missing.
    Cut(State, When),
    /// This row for orders in flight does that.
    Leg(LegWhen, LegDeed),
}

/// Broken machines, each with what it would do to a user.
const BREAKS: &[(&str, Break)] = &[
    (
        "a hedge is sent beside one that may still fill",
        Break::Row(
            State::Legged,
            When::SmallInFlight,
            State::Legged,
            Deed::Hedge,
        ),
    ),
    (
        "a slot is freed before late fills are past",
        Break::Cut(State::Entering, When::MayFillLate),
    ),
    (
        "a late fill of a hedged pair is not hedged",
        Break::Row(State::Hedged, When::Opened, State::Hedged, Deed::Wait),
    ),
    (
        "a late close of a hedged pair is not followed",
        Break::Row(State::Hedged, When::Closed, State::Hedged, Deed::Wait),
    ),
    (
        "hedges are sent while others may fill late",
        Break::Cut(State::Legged, When::HedgeDoubtful),
    ),
    (
        "a leg is taken back while hedges may fill late",
        Break::Cut(State::Unwinding, When::CloseDoubtful),
    ),
    (
        "a lone leg is called hedged",
        Break::Row(State::Legged, When::Removable, State::Hedged, Deed::Rest),
    ),
    (
        "a lone leg is kept for ever",
        Break::Row(State::Legged, When::Removable, State::Legged, Deed::Wait),
    ),
    (
        "a leg is taken back while its own order works",
        Break::Cut(State::Unwinding, When::InFlight),
    ),
    (
        "a leg that can't be taken back is forgotten",
        Break::Row(State::Unwinding, When::Spent, State::Flat, Deed::EndUnwound),
    ),
    (
        "a pair is over while its exits may still open one",
        Break::Cut(State::Leaving, When::FlatInDoubt),
    ),
    (
        "what the venue took away is ignored",
        Break::Row(State::Hedged, When::Taken, State::Hedged, Deed::Wait),
    ),
    (
        "an exit goes only half-way",
        Break::Row(State::Leaving, When::Else, State::Hedged, Deed::Rest),
    ),
    (
        "silence is taken for the end of an order",
        Break::Leg(LegWhen::QuestionDue, LegDeed::End),
    ),
];

/// The rules with one break in them.
fn broken(at: Break) -> Rules {
    let mut rows = PAIR_ROWS.to_vec();
    let mut leg_rows = LEG_ROWS.to_vec();
    let is_it = |row: &Row, from: State, when: When| row.from == from && row.when == when;
    let broken = match at {
        Break::Row(from, when, next, deed) => {
            let row = rows.iter_mut().find(|row| is_it(row, from, when));
            row.map(|row| (row.next, row.deed) = (next, deed))
        }
        Break::Cut(from, when) => {
            let idx = rows.iter().position(|row| is_it(row, from, when));
            idx.map(|idx| {
                rows.remove(idx);
            })
        }
        Break::Leg(when, deed) => {
            let row = leg_rows.iter_mut().find(|row| row.when == when);
            row.map(|row| row.deed = deed)
        }
    };
    assert!(broken.is_some(), "{at:?} is in no table");
    Rules::new(rows.leak(), leg_rows.leak(), RULES.cheaper)
}

#[test]
fn each_broken_table_is_caught() {
    let mut missed = Vec::new();
    for (what, at) in BREAKS {
        match explore(broken(*at)) {
            Err(why) => println!("{what}: {why}"),
            Ok(_) => missed.push(what),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}
