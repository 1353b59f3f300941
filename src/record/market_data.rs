//! What came in from the venues, what was wrong with it, and how the connections fared.
//!
//! Promises: every kind of fault has its own count and stable name, in text and in JSON. Refuses:
//! to call a count good or bad; a venue that announces its shutdown is well-behaved.

use super::{Totals, names};
use crate::market::event::{DOUBTS, FrameKind};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use serde_json::{Map, Value, json};
use std::io::{Result, Write};

/// One line for what each venue sent, one for its clock, and one for everything that was wrong.
pub fn write(totals: &Totals, out: &mut dyn Write) -> Result<()> {
    for venue in VENUES {
        let idx = venue.idx();
        let kinds = &totals.frames[idx];
        let count = |kind: FrameKind| kinds[kind as usize];
        let books = count(FrameKind::Snapshot) + count(FrameKind::Update);
        writeln!(
            out,
            "{}: {} messages ({books} of books, {} fast tops, {} prices and trades){}",
            venue.name(),
            kinds.iter().sum::<u64>(),
            count(FrameKind::Top),
            count(FrameKind::Reference),
            totals.offset_ns[idx].map_or(String::new(), clock),
        )?;
    }
    writeln!(out, "{} level changes", totals.deltas)?;
    let (most, of) = totals.fullest.iter().max().copied().unwrap_or_default();
    writeln!(out, "most waiting on a link to the scanner: {most} of {of}")?;
    let told: Vec<String> = troubles(totals)
        .filter(|(_, counts)| counts.iter().any(|count| *count > 0))
        .map(|(name, counts)| each(name, counts))
        .collect();
    match told.as_slice() {
        [] => writeln!(out, "market data: nothing was wrong"),
        _ => writeln!(out, "market data troubles: {}", told.join(", ")),
    }
}

/// The same for programs, one venue's part.
pub fn json(totals: &Totals, venue: Venue) -> Value {
    let counts =
        troubles(totals).map(|(name, counts)| (name.to_owned(), counts[venue.idx()].into()));
    let offset_ns = totals.offset_ns[venue.idx()];
    json!({
        "troubles": counts.collect::<Map<String, Value>>(),
        "clock_offset_ms": offset_ns.map(|ns| ns as f64 / 1e6),
        "link_most": totals.fullest[venue.idx()].0,
        "link_len": totals.fullest[venue.idx()].1,
    })
}

/// Everything that can be wrong, by venue, zeros too.
fn troubles(totals: &Totals) -> impl Iterator<Item = (&'static str, [u64; VENUE_COUNT])> + '_ {
    let by_venue = |count: &dyn Fn(usize) -> u64| VENUES.map(|venue| count(venue.idx()));
    let is_fault = |kind: &FrameKind| kind.is_fault();
    let frames = names::FRAME_KINDS.into_iter().filter(is_fault);
    let frames = frames.map(move |kind| {
        let counts = by_venue(&|idx| totals.frames[idx][kind as usize]);
        (names::frame_kind(kind), counts)
    });
    let doubts = DOUBTS.into_iter().map(move |why| {
        let counts = by_venue(&|idx| totals.doubts[idx][why as usize]);
        (why.name(), counts)
    });
    let others = [
        (
            "connection_lost",
            by_venue(&|idx| totals.links_lost[idx][0]),
        ),
        ("shutdown_announced", totals.shutdowns),
        ("dials_refused", totals.cooldowns),
        ("behind", totals.behind),
    ];
    frames.chain(doubts).chain(others)
}

/// `gap 3 (extended 2, lighter 1)`.
fn each(name: &str, counts: [u64; VENUE_COUNT]) -> String {
    let parts: Vec<String> = VENUES
        .iter()
        .filter(|venue| counts[venue.idx()] > 0)
        .map(|venue| format!("{} {}", venue.name(), counts[venue.idx()]))
        .collect();
    let sum: u64 = counts.iter().sum();
    format!("{name} {sum} ({})", parts.join(", "))
}

/// How far apart the clocks are; the shortest way is in it.
fn clock(offset_ns: i64) -> String {
    let ms = offset_ns as f64 / 1e6;
    match offset_ns {
        ..0 => format!("; its clock is {:.1} ms ahead of ours", -ms),
        _ => format!("; {ms:.1} ms at best from its clock to ours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;
    use crate::market::event::{Doubt, Event};

    fn text(totals: &Totals) -> String {
        let mut out = Vec::new();
        write(totals, &mut out).expect("memory takes everything");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn troubles_are_counted_by_name_and_venue() {
        let mut totals = Totals::new();
        assert!(text(&totals).ends_with("market data: nothing was wrong\n"));
        let (venue, instrument) = (Venue::Lighter, InstrumentId(1));
        let frame = |venue, kind| Event::Frame {
            venue,
            kind,
            deltas: 0,
        };
        for event in [
            frame(Venue::Extended, FrameKind::Gap),
            frame(venue, FrameKind::Gap),
            frame(venue, FrameKind::Top),
            Event::Doubted {
                venue,
                instrument,
                why: Doubt::Frozen,
            },
            Event::Shutdown { venue },
            Event::Behind { venue, instrument },
            Event::Offset {
                venue,
                ns: -2_500_000_000,
            },
            Event::Fullest {
                venue,
                records: 77,
                of: 65_536,
            },
        ] {
            totals.add(&event);
        }
        let said = text(&totals);
        for part in [
            "gap 2 (extended 1, lighter 1)",
            "frozen 1 (lighter 1)",
            "shutdown_announced 1 (lighter 1)",
            "behind 1 (lighter 1)",
            "1 fast tops",
            "its clock is 2500.0 ms ahead of ours",
            "most waiting on a link to the scanner: 77 of 65536",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let object = json(&totals, venue);
        assert_eq!(object["troubles"]["gap"], 1);
        assert_eq!(object["troubles"]["silent"], 0);
        assert_eq!(object["clock_offset_ms"], -2500.0);
        assert_eq!(
            json(&totals, Venue::Extended)["clock_offset_ms"],
            Value::Null
        );
    }
}
