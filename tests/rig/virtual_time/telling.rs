//! What a venue tells of what has happened, in the words of our feeds and gateways.

use super::venue::{VirtualVenue, touch};
use super::{Match, News, within};
use parallax::market::book::{Delta, Side, flags};
use parallax::market::order::{OrderId, OrderState, Report, ReportKind};
use parallax::market::reference::{Reference, ReferenceKind};
use parallax::market::units::{Nanos, Price, Size};
use parallax::market::{InstrumentId, Venue};
use parallax::sim::exchange::{Change, Happening, OrderView, Status};

/// What is told of what has happened.
impl VirtualVenue {
    pub(super) fn tell(&mut self, now: Nanos, told: &mut Vec<News>) {
        let happened = std::mem::take(&mut self.happened);
        for happening in &happened {
            match happening {
                Happening::Book {
                    instrument,
                    changes,
                    t,
                } => self.note_book(*instrument, changes, *t, told),
                Happening::Mark { instrument, t, .. } => self.tell_prices(*instrument, *t, told),
                Happening::Order(order) => self.tell_order(order, now, told),
                Happening::Trade(trade) => {
                    let kind = ReportKind::Fill {
                        trade: trade.number,
                        side: trade.side,
                        price: trade.price,
                        size: trade.size,
                        fee: trade.fee,
                    };
                    told.push(self.report(trade.instrument, id(&trade.client_id), kind));
                }
                Happening::Position { instrument, .. } => told.push(self.position(*instrument)),
                Happening::Funding(payment) => {
                    let (amount, size) = (payment.amount, payment.size);
                    let kind = ReportKind::Funding { amount, size };
                    told.push(self.report(payment.instrument, OrderId::NONE, kind));
                }
                Happening::Account(_) => told.push(self.balance()),
                Happening::PublicTrade { .. } => {}
            }
        }
        if self.venue == Venue::Lighter {
            for at in 0..self.shelves.len() {
                self.tell_touch(at, now, told);
            }
        }
        self.happened = happened;
        self.happened.clear();
    }

    /// Extended tells each frame; Lighter keeps it for the batch.
    fn note_book(
        &mut self,
        instrument: InstrumentId,
        changes: &[Change],
        t: Nanos,
        told: &mut Vec<News>,
    ) {
        if changes.is_empty() {
            return;
        }
        let at = instrument.idx();
        if self.venue == Venue::Extended {
            self.tell_touch(at, t, told);
            return self.tell_changes(at, changes, t, told);
        }
        let phase_ns = self.batch_ns * at as u64 / self.shelves.len() as u64;
        let shelf = &mut self.shelves[at];
        if shelf.changed.is_empty() {
            let batch = t.0.saturating_sub(phase_ns) / self.batch_ns + 1;
            shelf.due = Nanos(batch * self.batch_ns + phase_ns);
        }
        shelf.changed.extend_from_slice(changes);
    }

    /// Best bid and ask, where they have moved: ahead of the book.
    fn tell_touch(&mut self, at: usize, now: Nanos, told: &mut Vec<News>) {
        let touch = touch(&self.exchange, InstrumentId(at as u16));
        let shelf = &mut self.shelves[at];
        if std::mem::replace(&mut shelf.touch, touch) == touch {
            return;
        }
        shelf.is_ahead = true;
        self.note_touch(at, now);
        let blank = blank(self.venue, InstrumentId(at as u16), now);
        let mut tops = blank.tops(touch).to_vec();
        tops[1].flags |= flags::LAST;
        told.push(News::Book(tops));
    }

    /// Remembers the touch, while there is one.
    pub(super) fn note_touch(&mut self, at: usize, now: Nanos) {
        if let [Some(bid), Some(ask)] = self.shelves[at].touch {
            self.touches[at].push((now, bid.price, ask.price));
        }
    }

    /// What a batch holds; a level that changed twice is told once.
    pub(super) fn tell_batch(&mut self, at: usize, now: Nanos, told: &mut Vec<News>) {
        let shelf = &mut self.shelves[at];
        shelf.due = Nanos(u64::MAX);
        let mut changes = std::mem::take(&mut shelf.changed);
        // Stable, so that the last word on a level stays last.
        changes.sort_by_key(|change| (change.side.idx(), change.price));
        changes.dedup_by(|later, kept| {
            let is_same = (later.side, later.price) == (kept.side, kept.price);
            if is_same {
                kept.after = later.after;
            }
            is_same
        });
        self.tell_changes(at, &changes, now, told);
    }

    fn tell_changes(&mut self, at: usize, changes: &[Change], t: Nanos, told: &mut Vec<News>) {
        let blank = blank(self.venue, InstrumentId(at as u16), t);
        let row = |change: &Change| Delta {
            price: change.price,
            size: change.after,
            side: change.side,
            ..blank
        };
        let mut deltas: Vec<Delta> = changes.iter().map(row).collect();
        if std::mem::take(&mut self.shelves[at].is_ahead) {
            deltas[0].flags |= flags::CAUGHT_UP;
        }
        let last = deltas.len() - 1;
        deltas[last].flags |= flags::LAST;
        told.push(News::Book(deltas));
    }

    pub(super) fn whole_book(&self, instrument: InstrumentId, now: Nanos) -> News {
        let blank = Delta {
            flags: flags::SNAPSHOT,
            ..blank(self.venue, instrument, now)
        };
        let mut deltas = Vec::new();
        for side in [Side::Bid, Side::Ask] {
            let levels = self.exchange.flow().ladder(instrument, side);
            deltas.extend(levels.map(|(price, size)| Delta {
                price,
                size,
                side,
                ..blank
            }));
        }
        let last = deltas.len() - 1;
        deltas[0].flags |= flags::CLEAR;
        deltas[last].flags |= flags::LAST;
        News::Book(deltas)
    }

    pub(super) fn tell_prices(&self, instrument: InstrumentId, t: Nanos, told: &mut Vec<News>) {
        let (mark, index) = self.exchange.mark(instrument);
        for (kind, price) in [(ReferenceKind::Mark, mark), (ReferenceKind::Index, index)] {
            told.push(News::Reference(Reference {
                instrument,
                venue: self.venue,
                kind,
                value_e9: price.0,
                t_recv: t,
            }));
        }
    }

    /// Between accepting and matching the venues say nothing.
    fn tell_order(&mut self, view: &OrderView, now: Nanos, told: &mut Vec<News>) {
        if view.status == Status::Pending {
            return;
        }
        if let Some((order, t_door)) = self.pending.remove(&view.number) {
            // What we took is out of the book already; what is left within the limit was there too.
            let side = order.side.other();
            let levels = self.exchange.flow().ladder(order.instrument, side);
            let left = within(levels, order.side, order.price);
            self.matches.push(Match {
                order,
                t_door,
                t_match: now,
                filled: view.filled,
                average: average(view),
                depth: view.filled + left,
            });
        }
        let kind = ReportKind::State {
            state: state(view.status),
            filled: view.filled,
        };
        told.push(self.report(view.asked.instrument, id(&view.asked.client_id), kind));
    }

    pub(super) fn position(&self, instrument: InstrumentId) -> News {
        let size = self.exchange.position(instrument).size;
        self.report(instrument, OrderId::NONE, ReportKind::Position { size })
    }

    pub(super) fn balance(&self) -> News {
        let account = self.exchange.account();
        let kind = ReportKind::Balance {
            equity: account.equity,
            available: account.available,
        };
        self.report(InstrumentId(0), OrderId::NONE, kind)
    }

    pub(super) fn report(
        &self,
        instrument: InstrumentId,
        order: OrderId,
        kind: ReportKind,
    ) -> News {
        News::Report(Report {
            venue: self.venue,
            instrument,
            order,
            t: Nanos::ZERO,
            kind,
        })
    }
}

fn blank(venue: Venue, instrument: InstrumentId, t: Nanos) -> Delta {
    Delta {
        price: Price::ZERO,
        size: Size::ZERO,
        t_recv: t,
        t_made: t,
        t_push: t,
        instrument,
        venue,
        side: Side::Bid,
        flags: 0,
    }
}

fn id(client_id: &str) -> OrderId {
    OrderId(client_id.parse().unwrap_or(0))
}

fn average(view: &OrderView) -> Price {
    let average = view
        .filled_notional
        .0
        .checked_div(i128::from(view.filled.0));
    Price(average.unwrap_or(0) as i64)
}

pub(super) fn state(status: Status) -> OrderState {
    match status {
        Status::Pending | Status::Open => OrderState::Working,
        Status::Filled => OrderState::Filled,
        Status::Cancelled
        | Status::CancelledPostOnly
        | Status::CancelledMargin
        | Status::CancelledReduceOnly
        | Status::Expired => OrderState::Cancelled,
    }
}
