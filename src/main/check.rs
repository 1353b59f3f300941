//! `parallax check`: from flags to what is asked, of the venues and of this host.

use crate::keys::shielded;
use crate::{Done, Failure, tell};
use parallax::check::found::Found;
use parallax::check::{host, venues};
use parallax::cli::Check;
use parallax::config::{Config, Purpose, Seats};
use parallax::session;
use parallax::stage::clock::Clock;
use serde_json::{Map, Value};
use std::io::IsTerminal;

/// Both preflights, or the one that was asked for.
pub fn check(flags: &Check) -> Done {
    let is_both = flags.venues == flags.host;
    let venues = match flags.venues || is_both {
        true => Some(check_venues(flags)?),
        false => None,
    };
    let host = match flags.host || is_both {
        true => Some(check_host(flags)?),
        false => None,
    };
    let is_well = venues.as_ref().is_none_or(Found::is_good)
        && host.as_ref().is_none_or(host::Findings::is_well);
    let mut told = String::new();
    let mut json = Map::new();
    for (text, object) in [
        venues.map(|found| (found.to_string(), found.json())),
        host.map(|found| (found.to_string(), found.json())),
    ]
    .into_iter()
    .flatten()
    {
        told += &text;
        if let Value::Object(object) = object {
            json.extend(object);
        }
    }
    tell(&told, flags.asked.json.then_some(Value::Object(json)))?;
    Ok(is_well)
}

fn check_venues(flags: &Check) -> Result<Found, Failure> {
    let unlock = shielded(&flags.asked.unlocking)?;
    let config = Config::unlocked(flags.asked.env.as_deref(), &unlock, Purpose::Check);
    let config = config.map_err(|faults| Failure::of(&faults, true))?;
    Ok(venues::check(&config, flags.set, Clock::new()))
}

fn check_host(flags: &Check) -> Result<host::Findings, Failure> {
    let seats = Seats::from_env(flags.asked.env.as_deref());
    let seats = seats.map_err(|faults| Failure::of(&faults, true))?;
    let is_shown = std::io::stderr().is_terminal();
    let seating = session::limits::seating(&seats);
    let found = host::examine(&seating, flags.seconds, Clock::new(), &|core| {
        if is_shown {
            eprintln!("watching core {core} for {} s", flags.seconds);
        }
    });
    found.map_err(|error| Failure::of(&error, true))
}
