//! One instrument that both venues list, for tests that drive feeds by hand.

use parallax::market::units::{Bps, Nanos, Notional, Price, Size};
use parallax::market::{Bounds, Instrument, InstrumentId, Market, Name, VENUES, Venue};

/// Its index.
pub const ID: InstrumentId = InstrumentId(0);
/// When the tests play.
pub const NOW: Nanos = Nanos(1_790_000_000_000_000_000);

/// Its market at a venue: tick 0.1, lot 0.00001, number 1, no minima, no fees.
pub fn market(venue: Venue) -> Market {
    Market {
        venue,
        instrument: ID,
        name: Name::new("BTC-USD").expect("a short name"),
        venue_market: 1,
        tick: Price(100_000_000),
        lot: Size(10_000),
        size_min: Size(10_000),
        notional_min: Notional::ZERO,
        fee_taker: Bps::ZERO,
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    }
}

/// Both its markets.
pub fn instrument() -> Instrument {
    Instrument {
        id: ID,
        name: Name::new("BTC").expect("a short name"),
        markets: VENUES.map(market),
    }
}
