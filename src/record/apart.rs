//! What a halt was about, in words: legs as our fills say, and as the venues do.
//!
//! Promises: one line for each, sizes in units of the market. Refuses: to say who is right.

use crate::market::VENUES;
use crate::market::event::Apart;
use crate::record::Facts;

/// What a halt was about.
pub fn line(apart: &Apart, facts: &Facts) -> String {
    let of = VENUES.map(|venue| {
        let (at, name) = (venue.idx(), venue.name());
        let (counted, in_doubt) = (apart.counted[at], apart.in_doubt[at]);
        let told = apart.told[at].map_or("nothing clear".to_owned(), |told| told.to_string());
        let doubt = match in_doubt.0 {
            0 => String::new(),
            _ => format!(" ({in_doubt} in doubt)"),
        };
        format!("{name} {counted}{doubt} by our fills, {told} by its word")
    });
    let market = facts.market(apart.instrument);
    let pair = apart
        .pair
        .map_or(String::new(), |pair| format!(" pair {pair}"));
    format!("  at {market}{pair}: {}", of.join("; "))
}
