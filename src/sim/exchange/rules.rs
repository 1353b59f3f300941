//! What the venues state about their markets: names, grids, minima, margins.
//!
//! Sources: Extended market configuration (`GET /info/markets`: `minOrderSize`, `maxLeverage` 50;
//! maintenance is half of the initial margin); Lighter `orderBookDetails` (market ids ETH 0 and BTC
//! 1, `min_base_amount`, `min_quote_amount` 10, default initial margin 500, maintenance 120).
//! Tick and lot are the tape's, the same on both venues so that a coin is a coin.

use super::Rules;
use crate::market::units::{Notional, SCALE_DIGITS, Size};
use crate::market::{InstrumentId, Venue};
use crate::sim::tape::Tape;

/// Grid and limits of one market as the venue states them. Clones get a number after their name.
pub fn rules(tape: &Tape, venue: Venue, instrument: InstrumentId) -> Rules {
    let stream = tape.stream(venue, instrument);
    let clone_idx = instrument.idx() / tape.bases().len();
    let base = match clone_idx {
        0 => stream.base.clone(),
        n => format!("{}{}", stream.base, n + 1),
    };
    // 0 and 1 are ETH's and BTC's, wherever they stand on the tape; the others follow in order.
    let is_numbered = |base: &&str| matches!(*base, "BTC" | "ETH");
    let before = tape.bases().take(instrument.idx());
    let other_id = u32::from(instrument.0) + 2 - before.filter(is_numbered).count() as u32;
    let (size_min, lighter_id) = match (stream.base.as_str(), venue) {
        ("BTC", Venue::Extended) => (Size(100_000), 1),
        ("BTC", Venue::Lighter) => (Size(200_000), 1),
        ("ETH", Venue::Extended) => (Size(1_000_000), 0),
        ("ETH", Venue::Lighter) => (Size(5_000_000), 0),
        _ => (Size(stream.lot.0 * 10), other_id),
    };
    let common = Rules {
        instrument,
        name: base.clone(),
        venue_market: if clone_idx == 0 { lighter_id } else { other_id },
        tick: stream.tick,
        lot: stream.lot,
        price_decimals: decimals(stream.tick.0),
        size_decimals: decimals(stream.lot.0),
        size_min,
        notional_min: Notional::from_usd(10),
        is_isolated: false,
        initial_margin_e4: 500,
        maintenance_margin_e4: 120,
        base,
    };
    match venue {
        Venue::Lighter => common,
        Venue::Extended => Rules {
            name: format!("{}-USD", common.base),
            venue_market: 0,
            notional_min: Notional::ZERO,
            initial_margin_e4: 200,
            maintenance_margin_e4: 100,
            ..common
        },
    }
}

/// Decimals a step has at the scale of 10^-9.
fn decimals(step: i64) -> u32 {
    SCALE_DIGITS
        - (0..SCALE_DIGITS)
            .take_while(|&n| step % 10_i64.pow(n + 1) == 0)
            .count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::VENUES;
    use crate::sim::tape::Stream;

    #[test]
    fn grids_and_minima_are_the_venues() {
        let tape = Tape::embedded();
        let lighter = [0, 1].map(|n| rules(&tape, Venue::Lighter, InstrumentId(n)));
        let told = |r: &Rules| (r.venue_market, r.price_decimals, r.size_decimals);
        assert_eq!(told(&lighter[0]), (1, 1, 5));
        assert_eq!(told(&lighter[1]), (0, 2, 4));
        assert_eq!(lighter[0].size_min, Size::parse(b"0.0002").unwrap());
        assert_eq!(lighter[1].size_min, Size::parse(b"0.005").unwrap());
        assert_eq!(lighter[0].notional_min, Notional::from_usd(10));
        let extended = [0, 1].map(|n| rules(&tape, Venue::Extended, InstrumentId(n)));
        assert_eq!(extended[0].name, "BTC-USD");
        assert_eq!(extended[1].base, "ETH");
        assert_eq!(extended[0].size_min, Size::parse(b"0.0001").unwrap());
        assert_eq!(extended[1].size_min, Size::parse(b"0.001").unwrap());
        for (a, b) in lighter.iter().zip(&extended) {
            assert_eq!((a.tick, a.lot, a.instrument), (b.tick, b.lot, b.instrument));
        }
    }

    #[test]
    fn clones_have_names_and_numbers_of_their_own() {
        let tape = Tape::embedded();
        let all = (0..8).map(|n| rules(&tape, Venue::Lighter, InstrumentId(n)));
        let mut seen: Vec<_> = all.map(|rules| (rules.name, rules.venue_market)).collect();
        assert_eq!(seen[3], ("ETH2".to_string(), 3));
        let by_number = |seen: &mut Vec<(String, u32)>| {
            seen.sort_by_key(|market| market.1);
            seen.dedup_by_key(|market| market.1);
            seen.len()
        };
        assert_eq!(by_number(&mut seen), 8);
    }

    #[test]
    fn no_two_markets_share_a_number() {
        let embedded = Tape::embedded();
        for bases in [
            &["AAVE", "BTC", "SOL"][..],
            &["BTC", "SOL"],
            &["SOL", "ETH"],
        ] {
            let both = VENUES.map(|venue| embedded.stream(venue, InstrumentId(0)));
            let stream = |base: &&str| {
                both.map(|stream| Stream {
                    base: base.to_string(),
                    ..stream.clone()
                })
            };
            let tape = Tape::new(bases.iter().flat_map(stream).collect()).unwrap();
            let number = |n| rules(&tape, Venue::Lighter, InstrumentId(n)).venue_market;
            let mut numbers: Vec<u32> = (0..9).map(number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), 9, "{bases:?}");
        }
    }
}
