//! One simulated exchange, sans I/O: books shown, orders matched, accounts kept. Shared by both
//! venues; what each says on the wire is `sim/extended.rs` and `sim/lighter.rs`.
//!
//! The two sides of a fill are kept apart: the *book shown* comes from the tape (with planted
//! dislocations on top and our own fills taken out), the *account* is ours. Three models stand
//! between them: latency (a taker order matches `taker_delay` after it was accepted, against the
//! book of that moment), fees by tier, margin.

use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price, Size};
use crate::market::{InstrumentId, Venue};
use std::sync::Arc;

mod account;
mod engine;
mod fate;
mod funding;
mod matching;
pub mod rules;
mod transfers;

pub use engine::Exchange;
pub use fate::Fate;
pub use funding::{Funding, HOUR_NS, Payment};
pub use transfers::{Exit, NewTransfer, Payout, Stage, Transfer, Way};

/// Grid and limits of one simulated market.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The client has put it to isolated margin, which is not modelled: it takes no order.
    pub is_isolated: bool,
    /// Index in the tape's table.
    pub instrument: InstrumentId,
    /// The venue's own name: `BTC-USD` on Extended, `BTC` on Lighter.
    pub name: String,
    /// The underlying: `BTC`.
    pub base: String,
    /// The venue's own number (Lighter: ETH 0, BTC 1).
    pub venue_market: u32,
    /// Price step.
    pub tick: Price,
    /// Size step.
    pub lot: Size,
    /// Decimals of a price on Lighter's integers (`tick` = 10^-decimals there).
    pub price_decimals: u32,
    /// Decimals of a size on Lighter's integers.
    pub size_decimals: u32,
    /// Smallest order size.
    pub size_min: Size,
    /// Smallest order notional (zero: none).
    pub notional_min: Notional,
    /// Initial margin, 10^-4 of notional.
    pub initial_margin_e4: u32,
    /// Maintenance margin, 10^-4 of notional.
    pub maintenance_margin_e4: u32,
}

/// How an order behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeInForce {
    /// What does not match at once is cancelled.
    ImmediateOrCancel,
    /// Rests until its expiry.
    GoodTillTime,
    /// Rests; cancelled if it would match at once.
    PostOnly,
}

/// A checked order, ready for the book. The venue's own checks (signature, nonce, spelling) are
/// done before; grid, minimum, price band, margin and reduce-only are done here.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// Which market.
    pub instrument: InstrumentId,
    /// `Bid` buys.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Size.
    pub size: Size,
    /// Time in force.
    pub time_in_force: TimeInForce,
    /// Only reduces.
    pub reduce_only: bool,
    /// The client's own id, text on Extended, decimal digits on Lighter; empty: none.
    pub client_id: String,
    /// Expiry in epoch milliseconds; 0: none (IOC).
    pub expiry_ms: u64,
    /// Any other text the wire wants back later (Lighter: the transaction hash).
    pub tag: String,
}

/// Why an exchange refuses. The wire rooms turn these into the venue's own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// No such market.
    UnknownMarket,
    /// Price off the tick.
    PriceGrid,
    /// Size off the lot.
    SizeGrid,
    /// Below the smallest size.
    SizeMin,
    /// Below the smallest notional.
    NotionalMin,
    /// Too far from mark.
    PriceBand,
    /// Expiry in the past or too far ahead.
    Expiry,
    /// The account cannot carry it.
    Margin,
    /// Reduce-only without a position, or on its side.
    ReduceOnly,
    /// The client id is in use.
    DuplicateClientId,
    /// Too many open orders.
    TooManyOrders,
    /// Cancel or query: no such open order.
    OrderNotFound,
}

/// Where a simulated order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Accepted; waiting for its delay to pass.
    Pending,
    /// Resting in the book.
    Open,
    /// All of it traded.
    Filled,
    /// Cancelled by the client, or the remainder of an IOC.
    Cancelled,
    /// Post-only that would have matched.
    CancelledPostOnly,
    /// The account could not carry it when it came to match.
    CancelledMargin,
    /// Reduce-only had nothing to reduce when it came to match.
    CancelledReduceOnly,
    /// Its time passed.
    Expired,
}

/// One order as the exchange sees it. Sent whole with every change.
#[derive(Clone, Debug)]
pub struct OrderView {
    /// The exchange's number for it, rising, unique per exchange.
    pub number: u64,
    /// What was asked.
    pub asked: NewOrder,
    /// Status now.
    pub status: Status,
    /// Cumulative filled size.
    pub filled: Size,
    /// Cumulative filled notional.
    pub filled_notional: Notional,
    /// Fees paid so far.
    pub fee: Notional,
    /// When it was accepted.
    pub created: Nanos,
    /// When it last changed.
    pub updated: Nanos,
}

/// What made a trade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TradeKind {
    /// An order of ours.
    #[default]
    Order,
    /// The venue, because the account was too poor for its positions.
    Liquidation,
    /// The venue, because somebody else's account was.
    Deleverage,
}

/// One trade of ours.
#[derive(Clone, Debug)]
pub struct Trade {
    /// Unique per exchange, rising.
    pub number: u64,
    /// Our order.
    pub order: u64,
    /// Its client id.
    pub client_id: String,
    /// What made it; where not an order of ours, `order` is a number nobody has.
    pub kind: TradeKind,
    /// Which market.
    pub instrument: InstrumentId,
    /// Our side.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Size.
    pub size: Size,
    /// Fee we paid.
    pub fee: Notional,
    /// Fee rate charged, 10^-6 of notional.
    pub fee_rate_e6: u32,
    /// We took liquidity.
    pub is_taker: bool,
    /// When.
    pub t: Nanos,
    /// Our signed position before it.
    pub position_before: Size,
}

/// Our position on one market.
#[derive(Clone, Copy, Debug, Default)]
pub struct PositionView {
    /// Signed size (long positive).
    pub size: Size,
    /// Average entry price.
    pub entry: Price,
    /// Realised profit, fees not included.
    pub realised: Notional,
    /// Funding received since it was opened; negative: paid. Not part of `realised`.
    pub funding: Notional,
    /// Unrealised profit on mark.
    pub unrealised: Notional,
    /// Mark used.
    pub mark: Price,
}

/// Our money.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountView {
    /// Deposits, realised profit and funding, less fees.
    pub collateral: Notional,
    /// Collateral and unrealised profit.
    pub equity: Notional,
    /// Initial margin in use (positions and open orders).
    pub initial_margin: Notional,
    /// Maintenance margin.
    pub maintenance_margin: Notional,
    /// Free for new positions.
    pub available: Notional,
}

/// One level of a book frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which side.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Size before.
    pub before: Size,
    /// Size now; zero: gone.
    pub after: Size,
}

/// What happened, in order; the wire rooms write these to whoever subscribed.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The book shown changed (one tape frame, or one step of a planted dislocation).
    Book {
        /// Which market.
        instrument: InstrumentId,
        /// The changes; may be empty.
        changes: Arc<Vec<Change>>,
        /// Venue time of the change.
        t: Nanos,
    },
    /// A public trade.
    PublicTrade {
        /// Which market.
        instrument: InstrumentId,
        /// Taker's side.
        side: Side,
        /// Price.
        price: Price,
        /// Size.
        size: Size,
        /// Unique per exchange, rising, from the same counter as our own.
        number: u64,
        /// When.
        t: Nanos,
    },
    /// Mark and index moved.
    Mark {
        /// Which market.
        instrument: InstrumentId,
        /// Mark price.
        mark: Price,
        /// Index price.
        index: Price,
        /// When.
        t: Nanos,
    },
    /// One of our orders changed.
    Order(Arc<OrderView>),
    /// One of our trades.
    Trade(Arc<Trade>),
    /// Our position changed.
    Position {
        /// Which market.
        instrument: InstrumentId,
        /// To what.
        position: PositionView,
    },
    /// Funding was paid or received for a position.
    Funding(Arc<Payment>),
    /// Our money changed.
    Account(AccountView),
}

/// Settings of one exchange.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which venue it stands for.
    pub venue: Venue,
    /// The account's tier; without meaning on Extended.
    pub tier: LighterTier,
    /// Taker orders match this long after they were accepted, nanoseconds: lowest.
    pub taker_delay_min_ns: u64,
    /// And highest; uniform between, by seed.
    pub taker_delay_max_ns: u64,
    /// Cancels take effect after this.
    pub cancel_delay_ns: u64,
    /// Taker fee, 10^-6 of notional.
    pub taker_fee_e6: u32,
    /// Maker fee, 10^-6 of notional.
    pub maker_fee_e6: u32,
    /// Funding.
    pub funding: Funding,
    /// Opening deposit.
    pub deposit: Notional,
    /// Seed of everything random in this exchange.
    pub seed: u64,
}

/// Lighter's account tiers that a run can choose between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LighterTier {
    /// No fees; taker orders wait a nominal 300 ms.
    #[default]
    Standard,
    /// 2.80 bp taker, 0.40 bp maker; 200 ms.
    Premium200,
    /// 1.96 bp taker, 0.28 bp maker; 140 ms.
    Premium140,
}

impl LighterTier {
    /// All of them.
    pub const ALL: [LighterTier; 3] = [
        LighterTier::Standard,
        LighterTier::Premium200,
        LighterTier::Premium140,
    ];

    /// From the spelling of the command line.
    pub fn parse(text: &str) -> Option<LighterTier> {
        match text {
            "standard" => Some(LighterTier::Standard),
            "premium-200" => Some(LighterTier::Premium200),
            "premium-140" => Some(LighterTier::Premium140),
            _ => None,
        }
    }
}

const MS: u64 = 1_000_000;
/// Opening deposit on either venue.
const DEPOSIT: Notional = Notional::from_usd(10_000);

impl Settings {
    /// Extended: 2.5 bp taker, no maker fee, no speed bump; orders match a few milliseconds after
    /// the gateway's answer (documentation, *Fees*; latency assumed).
    pub fn extended(seed: u64) -> Settings {
        Settings {
            venue: Venue::Extended,
            tier: LighterTier::Standard,
            taker_delay_min_ns: 4 * MS,
            taker_delay_max_ns: 8 * MS,
            cancel_delay_ns: 4 * MS,
            taker_fee_e6: 250,
            maker_fee_e6: 0,
            funding: Funding::of(Venue::Extended),
            deposit: DEPOSIT,
            seed,
        }
    }

    /// Lighter at one of its tiers (documentation, *Account types*). Taker orders are seen to match
    /// 50 to 70 ms after the nominal delay.
    pub fn lighter(tier: LighterTier, seed: u64) -> Settings {
        let (nominal_ms, cancel_ms, taker_fee_e6, maker_fee_e6) = match tier {
            LighterTier::Standard => (300, 200, 0, 0),
            LighterTier::Premium200 => (200, 0, 280, 40),
            LighterTier::Premium140 => (140, 0, 196, 28),
        };
        Settings {
            venue: Venue::Lighter,
            tier,
            taker_delay_min_ns: (nominal_ms + 50) * MS,
            taker_delay_max_ns: (nominal_ms + 70) * MS,
            cancel_delay_ns: cancel_ms * MS,
            taker_fee_e6,
            maker_fee_e6,
            funding: Funding::of(Venue::Lighter),
            deposit: DEPOSIT,
            seed,
        }
    }
}

/// What the tests of this room stand on: a still tape, and orders in one line.
#[cfg(test)]
pub(crate) mod rig {
    use super::*;
    use crate::market::VENUES;
    use crate::sim::flow::{Flow, FlowOptions};
    use crate::sim::plant::Plant;
    use crate::sim::tape::codec::{Frame, Kind, Writer};
    use crate::sim::tape::{Stream, Tape};
    use std::sync::LazyLock;

    pub const START: Nanos = Nanos(1_700_000_000_000_000_000);

    /// BTC around 60,000 (bids 59,999.9 down, asks 60,000.1 up, a dime apart, one coin each) and
    /// ETH around 2,500, still but for the given BTC depth frames (milliseconds after the start,
    /// bids, asks; prices in dimes, sizes in 10^-5).
    pub fn tape(frames: &[(u64, Levels, Levels)]) -> Tape {
        let span_ns = 1_000_000_000_000;
        let mut streams = Vec::new();
        for venue in VENUES {
            for (base, tick, lot, mid) in [
                ("BTC", 100_000_000, 10_000, 600_000),
                ("ETH", 10_000_000, 100_000, 250_000),
            ] {
                let mut writer = Writer::default();
                let mut frame = Frame {
                    bids: (mid - 50..mid).map(|tick| (tick, 100_000)).collect(),
                    asks: (mid + 1..=mid + 50).map(|tick| (tick, 100_000)).collect(),
                    ..Frame::default()
                };
                writer.write(&frame);
                frame.kind = Kind::Depth;
                for (ms, bids, asks) in frames.iter().filter(|_| base == "BTC") {
                    frame.t_ns = 60_000_000_000 + ms * 1_000_000;
                    frame.bids = bids.to_vec();
                    frame.asks = asks.to_vec();
                    writer.write(&frame);
                }
                frame.t_ns = span_ns;
                frame.bids = Vec::new();
                frame.asks = Vec::new();
                writer.write(&frame);
                streams.push(Stream {
                    venue,
                    base: base.into(),
                    tick: Price(tick),
                    lot: Size(lot),
                    frames: writer.bytes,
                });
            }
        }
        Tape::new(streams).unwrap()
    }

    /// The tape that ships, read once for all tests.
    pub fn embedded() -> Arc<Tape> {
        static TAPE: LazyLock<Arc<Tape>> = LazyLock::new(|| Arc::new(Tape::embedded()));
        Arc::clone(&TAPE)
    }

    pub type Levels<'a> = &'a [(i64, i64)];

    /// An exchange on the still tape.
    pub fn exchange(settings: Settings) -> Exchange {
        on(settings, tape(&[]))
    }

    /// An exchange on this tape, nothing planted.
    pub fn on(settings: Settings, tape: Tape) -> Exchange {
        let options = FlowOptions {
            plant: Plant::Off,
            ..FlowOptions::new(settings.venue, 1, START)
        };
        Exchange::new(settings, Flow::new(Arc::new(tape), options).unwrap())
    }

    /// An exchange on the tape that ships, planted.
    pub fn live(settings: Settings) -> Exchange {
        let options = FlowOptions::new(settings.venue, settings.seed, START);
        Exchange::new(settings, Flow::new(embedded(), options).unwrap())
    }

    /// An IOC order for BTC.
    pub fn order(side: Side, price: &str, size: &str) -> NewOrder {
        NewOrder {
            instrument: InstrumentId(0),
            side,
            price: Price::parse(price.as_bytes()).unwrap(),
            size: Size::parse(size.as_bytes()).unwrap(),
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: false,
            client_id: String::new(),
            expiry_ms: 0,
            tag: String::new(),
        }
    }

    /// A post-only order for BTC, ten minutes long.
    pub fn resting(side: Side, price: &str, size: &str, client_id: &str) -> NewOrder {
        NewOrder {
            time_in_force: TimeInForce::PostOnly,
            client_id: client_id.into(),
            expiry_ms: START.0 / 1_000_000 + 600_000,
            ..order(side, price, size)
        }
    }
}
