//! One venue in virtual time: the exchange, what it tells when, and its door for orders.
//!
//! What is told, and in which order, is what the wire of the simulated venue and our own feed and
//! gateway make of it together: on Extended the touch and then the book of every frame; on Lighter
//! the touch at once and the book in batches, each market on a grid of its own; then, of orders,
//! the state before the trades, the position and the money.

use super::telling::state;
use super::{Ledger, Match, News, Scenario};
use parallax::market::book::{Level, Side};
use parallax::market::order::{Action, Order, OrderId, OrderState, ReportKind};
use parallax::market::units::{Nanos, Notional, Price, Size};
use parallax::market::{InstrumentId, Venue};
use parallax::sim::exchange::{Change, Exchange, Happening, NewOrder, Rules, TimeInForce};
use parallax::sim::plant::PlantedEvent;
use parallax::sim::tape::pace;
use std::collections::HashMap;

/// Best bid and ask.
pub type Touch = [Option<Level>; 2];

/// The venue.
pub struct VirtualVenue {
    pub(super) exchange: Exchange,
    pub(super) venue: Venue,
    pub(super) batch_ns: u64,
    pub(super) shelves: Vec<Shelf>,
    /// Orders on their way to a match, by the venue's number.
    pub(super) pending: HashMap<u64, (Order, Nanos)>,
    pub(super) refused: usize,
    pub(super) matches: Vec<Match>,
    /// Best bid and ask as they moved, by instrument.
    pub(super) touches: Vec<Vec<(Nanos, Price, Price)>>,
    pub(super) happened: Vec<Happening>,
}

/// What is kept of one market between messages.
pub(super) struct Shelf {
    pub(super) touch: Touch,
    /// The touch was told ahead of the book.
    pub(super) is_ahead: bool,
    /// What the next batch holds, and when it leaves.
    pub(super) changed: Vec<Change>,
    pub(super) due: Nanos,
}

impl VirtualVenue {
    /// As `sim::start` opens it.
    pub fn new(scenario: &Scenario, venue: Venue) -> VirtualVenue {
        let exchange = Exchange::new(scenario.settings(venue), scenario.flow(venue));
        let shelf = |rules: &Rules| Shelf {
            touch: touch(&exchange, rules.instrument),
            is_ahead: false,
            changed: Vec::new(),
            due: Nanos(u64::MAX),
        };
        VirtualVenue {
            shelves: exchange.rules().iter().map(shelf).collect(),
            batch_ns: pace::batch_ns(exchange.flow().speed()),
            venue,
            pending: HashMap::new(),
            refused: 0,
            matches: Vec::new(),
            touches: vec![Vec::new(); exchange.rules().len()],
            happened: Vec::new(),
            exchange,
        }
    }

    /// What is planted before a time.
    pub fn planted(&self, until: Nanos) -> Vec<PlantedEvent> {
        self.exchange.flow().plants(until)
    }

    /// When `step` is next due.
    pub fn next_due(&self) -> Nanos {
        let batches = self.shelves.iter().map(|shelf| shelf.due);
        batches.fold(self.exchange.next_due(), Nanos::min)
    }

    /// The first word to a trader that has just come.
    pub fn open(&mut self, now: Nanos) -> Vec<News> {
        self.exchange.advance(now, &mut self.happened);
        self.happened.clear();
        let mut told = Vec::new();
        for at in 0..self.shelves.len() {
            let instrument = InstrumentId(at as u16);
            self.shelves[at].touch = touch(&self.exchange, instrument);
            self.note_touch(at, now);
            told.push(self.whole_book(instrument, now));
            self.tell_prices(instrument, now, &mut told);
            told.push(self.position(instrument));
        }
        told.push(self.balance());
        told.push(self.report(InstrumentId(0), OrderId::NONE, ReportKind::Up));
        told
    }

    /// The first moment due, and what is told at it: batches that are due leave before what happens
    /// then is noted.
    pub fn step(&mut self) -> Vec<News> {
        let now = self.next_due();
        self.exchange.advance(now, &mut self.happened);
        let mut told = Vec::new();
        for at in 0..self.shelves.len() {
            if self.shelves[at].due <= now {
                self.tell_batch(at, now, &mut told);
            }
        }
        self.tell(now, &mut told);
        told
    }

    /// An order at the door.
    pub fn take(&mut self, order: &Order, now: Nanos) -> Vec<News> {
        let mut told = Vec::new();
        match order.action {
            Action::Place => self.place(order, now, &mut told),
            Action::Cancel => {
                if let Some(found) = self.exchange.order_by_client(&order.id.0.to_string()) {
                    // An order that is over is no fault of whoever cancels it.
                    let _ = self.exchange.cancel(now, found.number, &mut self.happened);
                }
            }
            Action::Query => {
                let found = self.exchange.order_by_client(&order.id.0.to_string());
                let kind = match found {
                    Some(view) => ReportKind::State {
                        state: state(view.status),
                        filled: view.filled,
                    },
                    None => ReportKind::State {
                        state: OrderState::Rejected,
                        filled: Size::ZERO,
                    },
                };
                told.push(self.report(order.instrument, order.id, kind));
            }
        }
        self.tell(now, &mut told);
        told
    }

    fn place(&mut self, order: &Order, now: Nanos, told: &mut Vec<News>) {
        let asked = NewOrder {
            instrument: order.instrument,
            side: order.side,
            price: order.price,
            size: order.size,
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: order.reduce_only,
            client_id: order.id.0.to_string(),
            expiry_ms: 0,
            tag: String::new(),
        };
        let kind = match self.exchange.place(now, asked, &mut self.happened) {
            Ok(number) => {
                self.pending.insert(number, (*order, now));
                ReportKind::Acknowledged
            }
            Err(_) => {
                self.refused += 1;
                ReportKind::Rejected { code: 1 }
            }
        };
        told.push(self.report(order.instrument, order.id, kind));
    }

    /// What the venue's own books say in the end.
    pub fn ledger(self) -> Ledger {
        let settings = self.exchange.settings();
        let trades = self.exchange.trades();
        let payments = self.exchange.payments();
        let position = |rules: &Rules| self.exchange.position(rules.instrument).size;
        Ledger {
            made: self.exchange.account().equity - settings.deposit,
            fees: Notional(trades.iter().map(|trade| trade.fee.0).sum()),
            funding: Notional(payments.iter().map(|one| one.amount.0).sum()),
            trades_len: trades.len(),
            positions: self.exchange.rules().iter().map(position).collect(),
            refused: self.refused,
            matches: self.matches,
            touches: self.touches,
        }
    }
}

/// Best bid and ask shown.
pub fn touch(exchange: &Exchange, instrument: InstrumentId) -> Touch {
    [Side::Bid, Side::Ask].map(|side| {
        let (price, size) = exchange.flow().ladder(instrument, side).next()?;
        Some(Level { price, size })
    })
}
