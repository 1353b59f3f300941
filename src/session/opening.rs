//! Before the first entry: what both accounts hold is read, explained, and made even.
//!
//! A run may have ended anywhere, by `kill -9` too. Promises: no plant is built while an order that
//! is not of this run rests, or a leg stands alone; what stands hedged is handed on to be managed;
//! every position is said with what made it. Refuses: to start on what can't be read or mended, and
//! to touch anything where ON_START says refuse.

use crate::config::{Config, OnStart};
use crate::hands::even::{self, Evened};
use crate::hands::extended::ExtendedHands;
use crate::hands::lighter::LighterHands;
use crate::hands::plan::{Found, Plan};
use crate::hands::settle::{Left, Pace};
use crate::hands::{Hands, HandsError};
use crate::market::event::Adopted;
use crate::market::{Instrument, VENUE_COUNT, VENUES, Venue};
use crate::session::SessionError;
use crate::stage::clock::Clock;

type Sides = [Box<dyn Hands + Send>; VENUE_COUNT];

/// Settles both accounts; gives what stands hedged. `run` stands in the ids of closing orders.
pub fn settle(
    config: &Config,
    instruments: &[Instrument],
    run: u16,
    clock: Clock,
) -> Result<Vec<Adopted>, SessionError> {
    let fault = |error: HandsError| SessionError::Venue(format!("the start: {error}"));
    let pem = config.extra_root_pem.as_deref();
    let extended = ExtendedHands::new(&config.extended, pem, run, clock).map_err(fault)?;
    let lighter = LighterHands::new(&config.lighter, pem, run, clock).map_err(fault)?;
    let mut sides: Sides = [Box::new(extended), Box::new(lighter)];
    let pace = Pace {
        sleep: &std::thread::sleep,
        tell: &|venue, step| say(&format!("{}: {step}", venue.name())),
    };
    let plan = match config.on_start {
        OnStart::Repair => {
            let evened = even::even_out(&mut sides, instruments, &pace).map_err(fault)?;
            tell(&evened);
            check(&evened, instruments)?;
            evened.after
        }
        OnStart::Refuse => {
            let plan = even::look(&mut sides, instruments, &pace).map_err(fault)?;
            say_all(&plan);
            untouched(&plan)?;
            plan
        }
    };
    let adopted: Vec<Adopted> = plan.adopted().collect();
    say(&match adopted.len() {
        0 => "settled, nothing to adopt".to_owned(),
        1 => "settled, one hedged position adopted".to_owned(),
        count => format!("settled, {count} hedged positions adopted"),
    });
    Ok(adopted)
}

/// For the operator and for whoever greps: every line of the start begins alike.
fn say(line: &str) {
    eprintln!("parallax: start: {line}");
}

fn say_all(plan: &Plan) {
    plan.to_string().lines().for_each(say);
}

fn tell(evened: &Evened) {
    for (venue, settled) in VENUES.into_iter().zip(&evened.settled) {
        let gone = settled.orders.gone.len();
        if gone > 0 {
            say(&format!("{}: {gone} open orders cancelled", venue.name()));
        }
    }
    if evened.before == Plan::default() {
        return say("nothing was open");
    }
    say_all(&evened.before);
    if evened.after != evened.before {
        say("and after repair:");
        say_all(&evened.after);
    }
}

/// A leg that stands alone and could not be closed ends the start, unless it is less than its venue
/// takes an order for: that is carried, as what was there before.
fn check(evened: &Evened, instruments: &[Instrument]) -> Result<(), SessionError> {
    for (venue, settled) in VENUES.into_iter().zip(&evened.settled) {
        if let Some(fault) = &settled.positions.fault {
            return Err(SessionError::Venue(format!("the start: {fault}")));
        }
        let mut left = settled.positions.left.iter();
        if let Some(left) = left.find(|left| !is_dust(venue, left, instruments)) {
            let why = left
                .why
                .as_ref()
                .map_or(String::new(), |why| format!(" ({why})"));
            return Err(SessionError::Venue(format!(
                "the start: {}: {} of {} stands alone and could not be closed{why}; \
                 `parallax flatten` tries again, or close it by hand",
                venue.name(),
                left.size,
                left.market
            )));
        }
    }
    Ok(())
}

fn is_dust(venue: Venue, left: &Left, instruments: &[Instrument]) -> bool {
    let mut markets = instruments.iter().map(|i| i.markets[venue.idx()]);
    let market = markets.find(|market| market.name.as_str() == left.market);
    market.is_some_and(|market| left.size.max(-left.size) < market.size_min)
}

/// ON_START=refuse: a lone leg is a human's.
fn untouched(plan: &Plan) -> Result<(), SessionError> {
    if plan.found.iter().any(Found::is_lone) {
        let why = "a leg stands alone, and ON_START=refuse says that a human mends it: \
                   `parallax flatten`, or ON_START=repair";
        return Err(SessionError::Venue(format!("the start: {why}")));
    }
    Ok(())
}
