//! Both venues and a trader in virtual time: one thread, no sockets, no waiting.
//!
//! The venues are the simulators' own `Exchange` and `Flow`, with the tape, the seeds, the plants,
//! the tiers and the fees that `demo` has; what lies between them and the trader is a fixed delay
//! each way. Orders are judged, held back and matched by the exchange itself.
//!
//! Promises: the same scenario gives the same outcome, event by event; a trader sees nothing before
//! its delay has passed. Refuses: what only sockets have (lost connections, torn frames, clocks
//! that disagree): `demo --faults` and the tests of protocol and recovery are for that.
#![allow(dead_code)]

pub mod engine;
mod run;
mod telling;
mod venue;

pub use run::{play, within};

use parallax::market::book::Delta;
use parallax::market::order::{Order, Report};
use parallax::market::reference::Reference;
use parallax::market::units::{Bps, MS, Nanos, Notional, Price, SECOND, Size};
use parallax::market::{Bounds, Instrument, InstrumentId, Market, Name, VENUES, Venue};
use parallax::sim::exchange::rules::rules;
use parallax::sim::exchange::{Funding, LighterTier, Rules, Settings};
use parallax::sim::flow::{Flow, FlowOptions};
use parallax::sim::plant::{Plant, PlantedEvent};
use parallax::sim::tape::Tape;
use std::sync::{Arc, LazyLock};

/// When every scenario starts.
pub const START: Nanos = Nanos(1_790_000_000 * SECOND);

/// How long things are on their way, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Ways {
    /// From a book's change at a venue until the trader has it.
    pub data_ns: u64,
    /// From a decision until the order is at the venue's door.
    pub order_ns: u64,
    /// From the venue's word on an order or the account until the trader has it.
    pub report_ns: u64,
}

/// What is played.
#[derive(Clone)]
pub struct Scenario {
    /// The market beneath it.
    pub tape: Arc<Tape>,
    /// Of plants and delays.
    pub seed: u64,
    /// What is planted.
    pub plant: Plant,
    /// Lighter's tier.
    pub tier: LighterTier,
    /// When the venues charge funding, and how much, by `Venue::idx`.
    pub funding: [Funding; 2],
    /// How long the trader may enter.
    pub seconds: u64,
    /// Both venues are as far away.
    pub ways: Ways,
}

impl Scenario {
    /// A minute of the demo at its defaults, with half a millisecond each way: loopback, TLS and
    /// one fused thread.
    pub fn new(seed: u64) -> Scenario {
        Scenario {
            tape: tape(),
            seed,
            plant: Plant::On,
            tier: LighterTier::Standard,
            funding: VENUES.map(Funding::of),
            seconds: 60,
            ways: Ways {
                data_ns: MS / 2,
                order_ns: MS / 2,
                report_ns: MS / 2,
            },
        }
    }

    /// The venue's side of it.
    pub fn settings(&self, venue: Venue) -> Settings {
        let settings = match venue {
            Venue::Extended => Settings::extended(self.seed),
            Venue::Lighter => Settings::lighter(self.tier, self.seed),
        };
        Settings {
            funding: self.funding[venue.idx()],
            ..settings
        }
    }

    /// Median basis of the tape before the part that is played: `demo` seeds the fair with it.
    pub fn basis_before(&self, instrument: InstrumentId) -> Bps {
        Bps::from_milli((self.tape.basis_before(instrument) * 1000.0) as i64)
    }

    /// One venue's playback.
    pub fn flow(&self, venue: Venue) -> Flow {
        let options = FlowOptions {
            plant: self.plant.clone(),
            ..FlowOptions::new(venue, self.seed, START)
        };
        Flow::new(Arc::clone(&self.tape), options).expect("the scenario fits the tape")
    }

    /// The run's table, as the venues' lists would give it.
    pub fn instruments(&self) -> Vec<Instrument> {
        let tape = &self.tape;
        let ids = (0..tape.bases().len()).map(|idx| InstrumentId(idx as u16));
        let instrument = |id: InstrumentId| {
            let both = VENUES.map(|venue| rules(tape, venue, id));
            Instrument {
                id,
                name: Name::new(&both[0].base).expect("the tape's names are short"),
                markets: VENUES.map(|venue| market(&both[venue.idx()], &self.settings(venue))),
            }
        };
        ids.map(instrument).collect()
    }
}

/// One market as the venue's list has it.
fn market(rules: &Rules, settings: &Settings) -> Market {
    // 10^-6 of notional is a hundredth of a basis point.
    let bps = |rate_e6: u32| Bps::from_milli(i64::from(rate_e6) * 10);
    Market {
        venue: settings.venue,
        instrument: rules.instrument,
        name: Name::new(&rules.name).expect("the tape's names are short"),
        venue_market: rules.venue_market,
        tick: rules.tick,
        lot: rules.lot,
        size_min: rules.size_min,
        notional_min: rules.notional_min,
        fee_taker: bps(settings.taker_fee_e6),
        fee_maker: bps(settings.maker_fee_e6),
        bounds: Bounds::default(),
    }
}

/// The tape that ships, read once.
pub fn tape() -> Arc<Tape> {
    static TAPE: LazyLock<Arc<Tape>> = LazyLock::new(|| Arc::new(Tape::embedded()));
    Arc::clone(&TAPE)
}

/// What reaches the trader.
#[derive(Clone, Debug)]
pub enum News {
    /// One message about one book; the last record says so.
    Book(Vec<Delta>),
    /// A mark or an index.
    Reference(Reference),
    /// About the account, by the gateway.
    Report(Report),
}

/// Whoever trades on both venues.
pub trait Trader {
    /// Something has arrived; more may come at the same moment.
    fn hear(&mut self, venue: Venue, news: &News, now: Nanos);
    /// All of this moment has arrived. Orders that are to leave are pushed.
    fn turn(&mut self, now: Nanos, orders: &mut Vec<Order>);
    /// The beat, before the turn of its moment.
    fn beat(&mut self, now: Nanos);
    /// No more entries; everything is to be closed.
    fn drain(&mut self, now: Nanos);
    /// Nothing is open and nothing will be opened.
    fn is_drained(&self) -> bool;
}

/// One order of the trader as the venue met it.
#[derive(Clone, Debug)]
pub struct Match {
    /// The order as it was sent.
    pub order: Order,
    /// When it was at the door.
    pub t_door: Nanos,
    /// When it met the book.
    pub t_match: Nanos,
    /// What of it traded.
    pub filled: Size,
    /// Average price of that; zero where nothing was.
    pub average: Price,
    /// What stood in the book within its limit when it came.
    pub depth: Size,
}

/// How it came out at one venue, by the venue's own books.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Change of equity since the deposit.
    pub made: Notional,
    /// Fees paid.
    pub fees: Notional,
    /// Funding received; negative: paid.
    pub funding: Notional,
    /// Trades.
    pub trades_len: usize,
    /// Positions left, by instrument.
    pub positions: Vec<Size>,
    /// Orders the venue refused at the door.
    pub refused: usize,
    /// Every order that met the book.
    pub matches: Vec<Match>,
    /// Best bid and ask from each moment on, by instrument.
    pub touches: Vec<Vec<(Nanos, Price, Price)>>,
}

impl Ledger {
    /// Best bid and ask that stood at the venue at a moment.
    pub fn touch_at(&self, instrument: InstrumentId, t: Nanos) -> Option<(Price, Price)> {
        let touches = &self.touches[instrument.idx()];
        let next = touches.partition_point(|(at, ..)| *at <= t);
        let (_, bid, ask) = touches[next.checked_sub(1)?];
        Some((bid, ask))
    }
}

/// How a scenario came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// By venue.
    pub ledgers: [Ledger; 2],
    /// What was planted while entries were allowed.
    pub planted: Vec<PlantedEvent>,
    /// The trader said that it was drained.
    pub is_drained: bool,
}

impl Outcome {
    /// What both venues' books say was made, fees paid.
    pub fn made(&self) -> Notional {
        self.ledgers[0].made + self.ledgers[1].made
    }

    /// Nothing is held on either venue.
    pub fn is_flat(&self) -> bool {
        let mut held = self.ledgers.iter().flat_map(|ledger| &ledger.positions);
        held.all(|size| *size == Size::ZERO)
    }
}
