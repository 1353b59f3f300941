//! Trades: fills of our orders, forced trades, and trades of somebody else; each once by its id.
//!
//! Promises: a fill is booked from a trade only, wherever it is first read: the stream, a snapshot
//! after a break, or the list that was asked for because an order filled further than its trades
//! tell. A trade that comes before anybody has told whose it is waits for the order's id.
//! Refuses: to book past trades of orders that are not in the table, or more than an order can
//! hold; trades on markets of which this run knows nothing.
//! Sources: D1 (account updates stream, trades), C1.

use super::request::parse_id;
use super::stream::{Malformed, integer, text};
use super::upkeep::FILL_GRACE_NS;
use super::{Core, report};
use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::order::{Force, OrderId, ReportKind};
use crate::market::units::{Nanos, Notional, Price, SECOND, Size};
use crate::venue::Reports;
use crate::venue::extended::wire::Json;

/// How long a trade that names no order of ours waits for the order's id to be told. Larger: a
/// stranger's trade is told later. Smaller: our own is told as a stranger's when its order's
/// acknowledgement is slow.
pub(super) const HELD_NS_MAX: u64 = SECOND;
/// Trades that may wait so at once. One more is told as a stranger's at once.
const HELD_MAX: usize = 8;

/// One trade on the account.
#[derive(Clone, Copy)]
struct Trade {
    id: u64,
    instrument: InstrumentId,
    side: Side,
    price: Price,
    size: Size,
    fee: Notional,
    /// Nobody's order, but the venue's right.
    force: Option<Force>,
    /// Our id as the venue repeats it; `NONE` where it does not.
    own: OrderId,
    /// The venue's id of the order; 0 where it does not say.
    venue_order: u64,
    /// When, epoch milliseconds; 0 where it does not say.
    made_ms: u64,
}

impl Trade {
    /// What it makes of the position.
    fn signed(&self) -> Size {
        match self.side {
            Side::Bid => self.size,
            Side::Ask => -self.size,
        }
    }
}

/// Trades that wait for somebody to say whose they are, and since when.
#[derive(Default)]
pub(super) struct Held([Option<(Trade, Nanos)>; HELD_MAX]);

impl Core {
    /// One trade of the stream.
    pub(super) fn take_trade(
        &mut self,
        json: Json<'_, '_>,
        is_snapshot: bool,
        now: Nanos,
        reports: &mut Reports,
    ) -> Result<(), Malformed> {
        let id = integer(json, "id").ok_or(Malformed)?;
        if self.seen.knows(id) {
            return Ok(());
        }
        let Some(trade) = self.read_trade(id, json)? else {
            self.foreign_count += u64::from(!is_snapshot && self.seen.is_new(id));
            return Ok(());
        };
        if is_snapshot {
            // It happened before this connection: news only where it fell into the break before.
            self.recover(&trade, now, reports);
            self.seen.is_new(id);
            return Ok(());
        }
        self.seen.is_new(id);
        self.await_position(trade.instrument, now);
        let order = self.order_of(&trade);
        match trade.force {
            Some(why) if order == OrderId::NONE => self.tell_forced(&trade, why, now, reports),
            _ if order == OrderId::NONE && self.hold(&trade, now) => {}
            _ => self.book(&trade, order, now, reports),
        }
        Ok(())
    }

    /// The answer to the question for a market's trades, newest first: those that an order of ours
    /// misses are booked, and what the venue took by right while nobody listened is told; the rest
    /// is left alone. False when it is not a list of trades.
    #[cold]
    pub(super) fn take_listed(
        &mut self,
        list: Json<'_, '_>,
        now: Nanos,
        reports: &mut Reports,
    ) -> bool {
        // Fills first: what was taken may be what they made.
        for is_forced in [false, true] {
            for json in list.elements() {
                let Some(id) = integer(json, "id") else {
                    return false;
                };
                match self.read_trade(id, json) {
                    Ok(Some(trade)) if trade.force.is_some() == is_forced => {
                        self.take_row(&trade, now, reports);
                    }
                    Ok(_) => {}
                    Err(Malformed) => return false,
                }
            }
        }
        list.is_array()
    }

    /// One trade of a list.
    fn take_row(&mut self, trade: &Trade, now: Nanos, reports: &mut Reports) {
        if self.seen.knows(trade.id) {
            return;
        }
        let is_recent = trade.made_ms >= self.started_ms;
        let order = self.order_of(trade);
        match trade.force {
            Some(why) if is_recent && order == OrderId::NONE => {
                self.seen.is_new(trade.id);
                self.tell_forced(trade, why, now, reports);
            }
            Some(_) | None => {
                let is_owed = self.table.by_id(order).is_some_and(|entry| {
                    let is_late = now.since(entry.t_sent) >= FILL_GRACE_NS;
                    is_late && self.stream.is_up_since(entry.t_sent)
                });
                self.is_deaf |= self.recover(trade, now, reports) && is_owed;
            }
        }
    }

    /// Trades that wait, when there is news of orders or time has passed: told with their order
    /// where that is known by now, as nobody's where they have waited long enough.
    pub(super) fn release_held(&mut self, now: Nanos, reports: &mut Reports) {
        for idx in 0..HELD_MAX {
            let Some((trade, since)) = self.held.0[idx] else {
                continue;
            };
            let order = self.order_of(&trade);
            if order != OrderId::NONE || now.since(since) > HELD_NS_MAX {
                self.held.0[idx] = None;
                self.book(&trade, order, now, reports);
            }
        }
    }

    /// Keeps a trade that could be of an order whose venue id nobody has told yet. The stream's
    /// documented member with our own id is missing in one official sample (C1), and a fill may be
    /// faster than the answer to its order. False when there is no such order, or no room.
    fn hold(&mut self, trade: &Trade, now: Nanos) -> bool {
        let could_be_its = self.table.iter_mut().any(|entry| {
            entry.venue_id == 0 && entry.instrument == trade.instrument && !entry.state.is_over()
        });
        let slot = self.held.0.iter_mut().find(|slot| slot.is_none());
        match slot {
            Some(slot) if could_be_its => {
                *slot = Some((*trade, now));
                true
            }
            Some(_) | None => false,
        }
    }

    /// A trade told outside of the stream's row; true when an order missed it.
    #[cold]
    fn recover(&mut self, trade: &Trade, now: Nanos, reports: &mut Reports) -> bool {
        let order = self.order_of(trade);
        let entry = self.table.by_id(order);
        let is_missed = entry.is_some_and(|entry| {
            let is_forgotten = self.seen.is_forgotten(entry.seen_count);
            entry.has_room_for(trade.size, is_forgotten)
        });
        if is_missed {
            self.seen.is_new(trade.id);
            self.book(trade, order, now, reports);
        }
        is_missed
    }

    /// Tells a fill. A fill of no order of ours is somebody else's hand on the account; the
    /// position has changed in any case.
    fn book(&mut self, trade: &Trade, order: OrderId, now: Nanos, reports: &mut Reports) {
        self.foreign_count += u64::from(order == OrderId::NONE);
        self.places.trade(trade.instrument, trade.signed());
        let kind = ReportKind::Fill {
            trade: trade.id,
            side: trade.side,
            price: trade.price,
            size: trade.size,
            fee: trade.fee,
        };
        reports.push(report(order, trade.instrument, now, kind));
        let entry = self.table.by_id(order);
        if entry.is_some_and(|entry| entry.trade(trade.size)) {
            self.report_state(order, now, reports);
        }
    }

    #[cold]
    fn tell_forced(&mut self, trade: &Trade, why: Force, now: Nanos, reports: &mut Reports) {
        self.places.trade(trade.instrument, trade.signed());
        let kind = ReportKind::Forced {
            trade: trade.id,
            side: trade.side,
            price: trade.price,
            size: trade.size,
            fee: trade.fee,
            why,
        };
        reports.push(report(OrderId::NONE, trade.instrument, now, kind));
    }

    /// Our id of the order that a trade was made by.
    fn order_of(&mut self, trade: &Trade) -> OrderId {
        match trade.own {
            OrderId::NONE => {
                let entry = self.table.by_venue_id(trade.venue_order);
                entry.map_or(OrderId::NONE, |entry| entry.id)
            }
            own => own,
        }
    }

    /// Reads a trade; nothing where its market is not one of ours.
    fn read_trade(&self, id: u64, json: Json<'_, '_>) -> Result<Option<Trade>, Malformed> {
        let name = text(json, "market").ok_or(Malformed)?;
        let Some(instrument) = self.instrument_named(name) else {
            return Ok(None);
        };
        let side = match text(json, "side").ok_or(Malformed)? {
            "BUY" => Side::Bid,
            "SELL" => Side::Ask,
            _ => return Err(Malformed),
        };
        let price = json.member("price").and_then(Json::price);
        let size = json.member("qty").and_then(Json::size);
        let fee = json.member("fee").and_then(Json::money);
        // The stream's name of our id, else that of REST, which may leave it out.
        let own = text(json, "externalOrderId").or_else(|| text(json, "externalId"));
        Ok(Some(Trade {
            id,
            instrument,
            side,
            price: price.ok_or(Malformed)?,
            size: size.filter(|size| *size > Size::ZERO).ok_or(Malformed)?,
            // A rebate would be negative; fees reported are what was paid.
            fee: fee.unwrap_or(Notional::ZERO).max(Notional::ZERO),
            force: match text(json, "tradeType") {
                Some("LIQUIDATION") => Some(Force::Liquidation),
                Some("DELEVERAGE") => Some(Force::Deleverage),
                Some(_) | None => None,
            },
            own: own.map_or(OrderId::NONE, parse_id),
            venue_order: integer(json, "orderId").unwrap_or(0),
            made_ms: integer(json, "createdTime").unwrap_or(0),
        }))
    }
}
