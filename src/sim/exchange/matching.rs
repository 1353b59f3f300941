//! Matching against the book shown: level by level, to the worst price allowed.
//!
//! A recorded book does not react to us, so a naive replay would sell the same level to us twice.
//! What we took is therefore missing until the tape speaks of that level again (then the recorded
//! market has its word), or for ten seconds (then somebody has surely refilled it).
//! Promises: no fill beyond the limit, none the account cannot carry, every change told in order.
//! Refuses: impact on others; the tape's traders do not see us.

use super::account;
use super::engine::{Due, Exchange};
use super::fate::{Fate, shorten};
use super::{Happening, NewOrder, Status, TimeInForce, Trade, TradeKind};
use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price, Size};
use std::sync::Arc;

/// What we took is back after this, if the tape has not restated the level before.
const GIVE_BACK_NS: u64 = 10_000_000_000;

/// One level's part of a match. A maker trades at its own price, whatever level paid for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    /// Where it stood in the book.
    level: Price,
    /// At what price it traded.
    price: Price,
    pub(super) size: Size,
}

impl Exchange {
    /// Does what has come due.
    pub(super) fn run(&mut self, at: Nanos, due: Due, out: &mut Vec<Happening>) {
        match due {
            Due::Arrive(number) => self.arrive(at, number, out),
            Due::Cancel(number) => self.give_up(at, number, Status::Cancelled, out),
            Due::Expire(number) => self.give_up(at, number, Status::Expired, out),
            Due::Funding => self.charge(at, out),
        }
    }

    /// Closes an order that is still live without a trade, and shows the margin it frees.
    fn give_up(&mut self, at: Nanos, number: u64, status: Status, out: &mut Vec<Happening>) {
        if self.live.contains_key(&number) {
            self.close(at, number, status, out);
            out.push(Happening::Account(self.account()));
        }
    }

    /// An accepted order reaches the book.
    fn arrive(&mut self, at: Nanos, number: u64, out: &mut Vec<Happening>) {
        let Some(order) = self.live.get(&number) else {
            return;
        };
        let asked = order.asked.clone();
        match self.fates.get(&number) {
            Some(Fate::Margin) => {
                self.fates.remove(&number);
                self.fated.push((number, true));
                return self.give_up(at, number, Status::CancelledMargin, out);
            }
            Some(Fate::Vanish) => {
                self.fates.remove(&number);
                self.fated.push((number, true));
                return self.close(at, number, Status::CancelledMargin, &mut Vec::new());
            }
            Some(Fate::Partial(_)) | None => {}
        }
        // Reduce-only is judged on the position found here, not on that of the moment it was sent:
        // two such orders on their way at once must not turn the position.
        let wanted = self.reducible(&asked, asked.size);
        if wanted == Size::ZERO {
            return self.give_up(at, number, Status::CancelledReduceOnly, out);
        }
        let mut fills = self.walk(&asked, wanted, asked.price);
        if !fills.is_empty() && asked.time_in_force == TimeInForce::PostOnly {
            return self.give_up(at, number, Status::CancelledPostOnly, out);
        }
        // Prices and positions have moved since it was accepted; all of it or nothing is matched.
        if !fills.is_empty() && !self.carries_fills(&asked, &fills) {
            return self.give_up(at, number, Status::CancelledMargin, out);
        }
        if let Some(Fate::Partial(share_e3)) = self.fates.remove(&number) {
            let lot = self.rules[asked.instrument.idx()].lot;
            self.fated
                .push((number, shorten(&mut fills, lot, share_e3)));
        }
        let rests = asked.time_in_force != TimeInForce::ImmediateOrCancel;
        if rests {
            self.resting[asked.instrument.idx()].push(number);
            if asked.expiry_ms != 0 {
                let expiry = Nanos(asked.expiry_ms.saturating_mul(1_000_000));
                self.schedule(expiry, Due::Expire(number));
            }
        }
        let rest = if rests {
            Status::Open
        } else {
            Status::Cancelled
        };
        self.settle(at, number, (&fills, true), rest, out);
    }

    /// Lets resting orders of a market trade with a book that has moved onto them.
    pub(super) fn meet_resting(
        &mut self,
        at: Nanos,
        instrument: InstrumentId,
        out: &mut Vec<Happening>,
    ) {
        if self.resting[instrument.idx()].is_empty() {
            return;
        }
        // Oldest first; a copy, because a filled order leaves the list.
        for number in self.resting[instrument.idx()].clone() {
            let Some(order) = self.live.get(&number) else {
                continue;
            };
            let asked = order.asked.clone();
            let left = Size(asked.size.0 - order.filled.0);
            let wanted = self.reducible(&asked, left);
            if wanted == Size::ZERO {
                self.give_up(at, number, Status::CancelledReduceOnly, out);
                continue;
            }
            let mut fills = self.walk(&asked, wanted, asked.price);
            if fills.is_empty() {
                continue;
            }
            if !self.carries_fills(&asked, &fills) {
                self.give_up(at, number, Status::CancelledMargin, out);
                continue;
            }
            // The maker's price is the resting one, however far the book has come.
            for fill in &mut fills {
                fill.price = asked.price;
            }
            self.settle(at, number, (&fills, false), Status::Open, out);
        }
    }

    /// How much of `wanted` a reduce-only order may still trade; all of it otherwise.
    fn reducible(&self, asked: &NewOrder, wanted: Size) -> Size {
        if !asked.reduce_only {
            return wanted;
        }
        // What is held in the direction the order works against; nothing when it is the same.
        let held = self.positions[asked.instrument.idx()].size.0;
        let against = match asked.side {
            Side::Bid => -held,
            Side::Ask => held,
        };
        Size(wanted.0.min(against).max(0))
    }

    /// The levels an order of this size would take, best first, none beyond `worst`.
    /// Nothing is changed by looking.
    fn walk(&self, asked: &NewOrder, wanted: Size, worst: Price) -> Vec<Fill> {
        let mut fills = Vec::new();
        let mut left = wanted;
        for (price, size) in self.flow.ladder(asked.instrument, asked.side.other()) {
            // The ladder is sorted, so the first level beyond the bound ends the walk.
            let within = match asked.side {
                Side::Bid => price <= worst,
                Side::Ask => price >= worst,
            };
            if !within || left == Size::ZERO {
                break;
            }
            let size = size.min(left);
            left -= size;
            fills.push(Fill {
                level: price,
                price,
                size,
            });
        }
        fills
    }

    /// Whether the account can carry the position these fills would make: equity after them, fees
    /// paid, against the initial margin of all positions. A smaller position always can.
    fn carries_fills(&self, asked: &NewOrder, fills: &[Fill]) -> bool {
        let idx = asked.instrument.idx();
        let mut position = self.positions[idx];
        let mut equity = self.collateral;
        for fill in fills {
            equity += position.trade(asked.side, fill.price, fill.size);
            let fee = account::fee(fill.price * fill.size, self.settings.taker_fee_e6);
            equity -= fee;
        }
        if position.size.0.abs() <= self.positions[idx].size.0.abs() {
            return true;
        }
        let mut needed = Notional::ZERO;
        for (other_idx, rules) in self.rules.iter().enumerate() {
            let (mark, _) = self.flow.mark(rules.instrument);
            let position = match other_idx == idx {
                true => position,
                false => self.positions[other_idx],
            };
            let exposure = account::Exposure {
                position,
                mark,
                ..account::Exposure::default()
            };
            equity += position.unrealised(mark);
            needed += exposure.initial_margin(rules);
        }
        equity >= needed
    }

    /// Books fills and tells what came of them: the order first, then each trade, the position and
    /// the money after all of them, the book last. The order closes or is left as `rest`.
    fn settle(
        &mut self,
        at: Nanos,
        number: u64,
        (fills, is_taker): (&[Fill], bool),
        rest: Status,
        out: &mut Vec<Happening>,
    ) {
        let trades = self.enter(at, number, fills, is_taker);
        let Some(order) = self.live.get_mut(&number) else {
            return;
        };
        let (instrument, side) = (order.asked.instrument, order.asked.side);
        let status = match order.filled == order.asked.size {
            true => Status::Filled,
            false => rest,
        };
        if status == Status::Open {
            order.status = status;
            order.updated = at;
            out.push(Happening::Order(Arc::new(order.clone())));
        } else {
            self.close(at, number, status, out);
        }
        if trades.is_empty() {
            // Margin reserved for the order may be free again.
            out.push(Happening::Account(self.account()));
            return;
        }
        for trade in trades {
            self.trades.push_front(trade.clone());
            out.push(Happening::Trade(trade));
        }
        self.trades.truncate(super::engine::HISTORY_MAX);
        let position = self.position(instrument);
        out.push(Happening::Position {
            instrument,
            position,
        });
        out.push(Happening::Account(self.account()));
        self.take_out(at, (instrument, side.other()), fills, out);
    }

    /// Carries fills into the order, the position and the collateral; returns them as trades.
    fn enter(&mut self, at: Nanos, number: u64, fills: &[Fill], is_taker: bool) -> Vec<Arc<Trade>> {
        let rate = match is_taker {
            true => self.settings.taker_fee_e6,
            false => self.settings.maker_fee_e6,
        };
        let mut trades = Vec::with_capacity(fills.len());
        let Some(order) = self.live.get_mut(&number) else {
            return trades;
        };
        let position = &mut self.positions[order.asked.instrument.idx()];
        for fill in fills {
            let notional = fill.price * fill.size;
            // Each trade is rounded by itself: many small fills cost a little more than one.
            let fee = account::fee(notional, rate);
            // One counter with the public trades, as at the venues.
            self.trade_count += 1;
            trades.push(Arc::new(Trade {
                number: self.trade_count,
                order: number,
                client_id: order.asked.client_id.clone(),
                kind: TradeKind::Order,
                instrument: order.asked.instrument,
                side: order.asked.side,
                price: fill.price,
                size: fill.size,
                fee,
                fee_rate_e6: rate,
                is_taker,
                t: at,
                position_before: position.size,
            }));
            let realised = position.trade(order.asked.side, fill.price, fill.size);
            self.collateral += realised - fee;
            order.filled += fill.size;
            order.filled_notional += notional;
            order.fee += fee;
        }
        trades
    }

    /// Takes our fills out of the book shown, and shows it.
    /// The tape does not know of them; without this the same coins could be bought twice.
    fn take_out(
        &mut self,
        at: Nanos,
        (instrument, side): (InstrumentId, Side),
        fills: &[Fill],
        out: &mut Vec<Happening>,
    ) {
        let taken: Vec<_> = fills.iter().map(|fill| (fill.level, fill.size)).collect();
        let mut changes = Vec::new();
        let until = at.plus(GIVE_BACK_NS);
        self.flow
            .take(instrument, side, &taken, until, &mut changes);
        out.push(Happening::Book {
            instrument,
            changes: Arc::new(changes),
            t: at,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::exchange::{LighterTier, OrderView, Settings, rig};
    use crate::sim::random::Random;

    const MS: u64 = 1_000_000;
    const BTC: InstrumentId = InstrumentId(0);

    fn at(ms: u64) -> Nanos {
        rig::START.plus(ms * MS)
    }

    fn size(text: &str) -> Size {
        Size::parse(text.as_bytes()).unwrap()
    }

    fn price(text: &str) -> Price {
        Price::parse(text.as_bytes()).unwrap()
    }

    /// Places and waits until all delays are over.
    fn done(exchange: &mut Exchange, order: NewOrder, ms: u64) -> Arc<OrderView> {
        let mut out = Vec::new();
        let number = exchange.place(at(ms), order, &mut out).unwrap();
        exchange.advance(at(ms + 400), &mut out);
        exchange.order(number).unwrap()
    }

    #[test]
    fn an_order_walks_levels_to_its_bound_and_the_rest_is_cancelled() {
        let mut exchange = rig::exchange(Settings::extended(1));
        let order = done(&mut exchange, rig::order(Side::Bid, "60000.3", "3.2"), 0);
        // A coin each at 60,000.1, .2 and .3; a fifth of one finds nothing within the bound.
        assert_eq!((order.status, order.filled), (Status::Cancelled, size("3")));
        let trades = exchange.trades();
        let prices: Vec<_> = trades.iter().rev().map(|trade| trade.price).collect();
        assert_eq!(
            prices,
            [price("60000.1"), price("60000.2"), price("60000.3")]
        );
        assert_eq!(order.filled_notional, price("180000.6") * size("1"));
        // 2.5 bp of 60,000.1 and its like: 15.000025, .00005, .000075.
        assert_eq!(order.fee, Notional(45_000_150 * 1_000_000_000_000));
        let position = exchange.position(BTC);
        assert_eq!(
            (position.size, position.entry),
            (size("3"), price("60000.2"))
        );
        let account = exchange.account();
        assert_eq!(account.collateral, Notional::from_usd(10_000) - order.fee);
        // What was taken is gone from the book, and back after ten seconds of a still tape.
        assert_eq!(exchange.book(BTC, Side::Ask)[0].0, price("60000.4"));
        exchange.advance(at(10_500), &mut Vec::new());
        assert_eq!(
            exchange.book(BTC, Side::Ask)[0],
            (price("60000.1"), size("1"))
        );
    }

    #[test]
    fn happenings_come_in_order() {
        let mut exchange = rig::exchange(Settings::lighter(LighterTier::Standard, 1));
        let mut out = Vec::new();
        exchange
            .place(at(0), rig::order(Side::Ask, "59999.8", "1.5"), &mut out)
            .unwrap();
        exchange.advance(at(400), &mut out);
        let kinds: Vec<&str> = out
            .iter()
            .map(|happening| match happening {
                Happening::Book { .. } => "book",
                Happening::PublicTrade { .. } => "public",
                Happening::Mark { .. } => "mark",
                Happening::Order(order) if order.status == Status::Pending => "pending",
                Happening::Order(_) => "order",
                Happening::Trade(_) => "trade",
                Happening::Position { .. } => "position",
                Happening::Funding(_) => "funding",
                Happening::Account(_) => "account",
            })
            .collect();
        let want = [
            "pending", "order", "trade", "trade", "position", "account", "book",
        ];
        assert_eq!(kinds, want);
        let Some(Happening::Book { changes, t, .. }) = out.last() else {
            panic!("no book");
        };
        assert!((350..=370).contains(&(t.since(rig::START) / MS)));
        assert_eq!(
            (changes[0].before, changes[0].after),
            (size("1"), Size::ZERO)
        );
        assert_eq!(
            (changes[1].before, changes[1].after),
            (size("1"), size("0.5"))
        );
    }

    #[test]
    fn a_taker_order_meets_the_book_of_its_arrival() {
        // The best two asks are pulled at 100 ms: before a slow order arrives, after a fast one.
        let gone: rig::Levels = &[(600_001, 0), (600_002, 0)];
        let tape = rig::tape(&[(100, &[], gone)]);
        let bid = rig::order(Side::Bid, "60000.2", "0.1");
        let mut slow = rig::on(Settings::lighter(LighterTier::Standard, 1), tape.clone());
        let order = done(&mut slow, bid.clone(), 0);
        assert_eq!(
            (order.status, order.filled),
            (Status::Cancelled, Size::ZERO)
        );
        let mut fast = rig::on(Settings::extended(1), tape);
        assert_eq!(done(&mut fast, bid, 0).status, Status::Filled);
    }

    #[test]
    fn resting_orders_trade_when_the_book_comes_to_them() {
        // At 2 s a seller stands at 59,999.5, the bids above have been taken.
        let bids: rig::Levels = &[
            (599_995, 0),
            (599_996, 0),
            (599_997, 0),
            (599_998, 0),
            (599_999, 0),
        ];
        let asks: rig::Levels = &[(599_995, 30_000)];
        let tape = rig::tape(&[(2_000, bids, asks)]);
        let settings = Settings::lighter(LighterTier::Premium200, 1);
        let mut exchange = rig::on(settings, tape);
        let mut out = Vec::new();
        let order = rig::resting(Side::Bid, "59999.6", "0.5", "1");
        let number = exchange.place(at(0), order, &mut out).unwrap();
        let too_good = rig::resting(Side::Bid, "60000.1", "0.5", "2");
        let crossing = exchange.place(at(0), too_good, &mut out).unwrap();
        exchange.advance(at(1_000), &mut out);
        assert_eq!(exchange.order(number).unwrap().status, Status::Open);
        assert_eq!(
            exchange.order(crossing).unwrap().status,
            Status::CancelledPostOnly
        );
        exchange.advance(at(2_100), &mut out);
        let order = exchange.order(number).unwrap();
        assert_eq!((order.status, order.filled), (Status::Open, size("0.3")));
        let trade = &exchange.trades()[0];
        assert_eq!((trade.price, trade.is_taker), (price("59999.6"), false));
        // 0.40 bp of 17,999.88 dollars, up to the next millionth.
        assert_eq!(trade.fee, Notional(719_996 * 1_000_000_000_000));
        assert_eq!(trade.fee_rate_e6, 40);
        // What is still reserved: the position's margin and that of the rest of the order.
        let value = exchange.mark(BTC).0 * size("0.3") + price("59999.6") * size("0.2");
        let margin = value.0 / 10_000 * 500;
        assert!((exchange.account().initial_margin.0 - margin).abs() < 10_000);
        // The seller's size is back after ten seconds, and takes the rest.
        exchange.advance(at(13_000), &mut out);
        assert_eq!(exchange.order(number).unwrap().status, Status::Filled);
        let far = rig::resting(Side::Bid, "59000", "0.5", "3");
        let far = exchange.place(at(13_000), far, &mut out).unwrap();
        exchange.advance(at(600_100), &mut out);
        assert_eq!(exchange.order(far).unwrap().status, Status::Expired);
    }

    #[test]
    fn cancels_take_their_time() {
        let mut exchange = rig::exchange(Settings::lighter(LighterTier::Standard, 1));
        let mut out = Vec::new();
        let order = rig::resting(Side::Ask, "60100", "0.5", "1");
        let number = exchange.place(at(0), order, &mut out).unwrap();
        exchange.advance(at(300), &mut out);
        exchange.cancel(at(1_000), number, &mut out).unwrap();
        exchange.advance(at(1_199), &mut out);
        assert_eq!(exchange.order(number).unwrap().status, Status::Open);
        exchange.advance(at(1_200), &mut out);
        assert_eq!(exchange.order(number).unwrap().status, Status::Cancelled);
        assert!(exchange.cancel(at(1_300), number, &mut out).is_err());
        assert_eq!(exchange.account().available, Notional::from_usd(10_000));
    }

    #[test]
    fn reduce_only_is_cut_to_the_position_it_finds() {
        let mut exchange = rig::exchange(Settings::extended(1));
        done(&mut exchange, rig::order(Side::Bid, "60001", "0.4"), 0);
        let reduce = NewOrder {
            reduce_only: true,
            ..rig::order(Side::Ask, "59990", "1")
        };
        let mut out = Vec::new();
        let first = exchange.place(at(500), reduce.clone(), &mut out).unwrap();
        let second = exchange.place(at(501), reduce, &mut out).unwrap();
        exchange.advance(at(600), &mut out);
        let mut both = [first, second].map(|number| exchange.order(number).unwrap());
        both.sort_by_key(|order| order.filled);
        assert_eq!(
            (both[0].status, both[0].filled),
            (Status::CancelledReduceOnly, Size::ZERO)
        );
        assert_eq!(
            (both[1].status, both[1].filled),
            (Status::Cancelled, size("0.4"))
        );
        assert_eq!(exchange.position(BTC).size, Size::ZERO);
    }

    #[test]
    fn margin_is_asked_again_at_the_match() {
        let mut exchange = rig::exchange(Settings::lighter(LighterTier::Standard, 1));
        let mut out = Vec::new();
        // 2 coins need 6,000 of 10,000; a second such order is refused beside the first.
        let buy = rig::order(Side::Bid, "60001", "2");
        let number = exchange.place(at(0), buy.clone(), &mut out).unwrap();
        let beside = exchange.place(at(0), buy, &mut out);
        assert_eq!(beside.unwrap_err(), crate::sim::exchange::Reject::Margin);
        // Leverage lowered while it waits: it can not be carried any more when it arrives.
        exchange.set_margin(BTC, (1_000, false));
        exchange.advance(at(400), &mut out);
        assert_eq!(
            exchange.order(number).unwrap().status,
            Status::CancelledMargin
        );
        assert_eq!(exchange.position(BTC).size, Size::ZERO);
    }

    /// The naive walk over a whole book.
    fn naive_walk(exchange: &Exchange, order: &NewOrder) -> Vec<(Price, Size)> {
        let mut fills = Vec::new();
        let mut left = order.size.0;
        for (level, stands) in exchange.book(order.instrument, order.side.other()) {
            let good = match order.side {
                Side::Bid => level <= order.price,
                Side::Ask => level >= order.price,
            };
            let traded = left.min(stands.0);
            if good && traded > 0 {
                fills.push((level, Size(traded)));
                left -= traded;
            }
        }
        fills
    }

    #[test]
    fn trades_equal_a_naive_walk_and_money_is_conserved() {
        let mut exchange = rig::live(Settings::lighter(LighterTier::Premium140, 7));
        let mut random = Random::new(7, "orders");
        let mut out = Vec::new();
        let mut now = rig::START;
        for _ in 0..120 {
            let instrument = InstrumentId(random.between(0, 1) as u16);
            let side = [Side::Bid, Side::Ask][random.between(0, 1) as usize];
            let rules = exchange.rules()[instrument.idx()].clone();
            let best = exchange.book(instrument, side.other())[0].0;
            let bound = best.0 / 20_000 * random.between(0, 4) as i64;
            let order = NewOrder {
                instrument,
                price: match side {
                    Side::Bid => Price(best.0 + bound).floor_to(rules.tick),
                    Side::Ask => Price(best.0 - bound).ceil_to(rules.tick),
                },
                size: Size(rules.size_min.0 * random.between(1, 200) as i64),
                ..rig::order(side, "1", "1")
            };
            let Ok(number) = exchange.place(now, order.clone(), &mut out) else {
                continue;
            };
            let arrival = exchange.next_own_due().unwrap();
            exchange.advance(Nanos(arrival.0 - 1), &mut out);
            let want = naive_walk(&exchange, &order);
            exchange.advance(arrival, &mut out);
            let trades = exchange.trades();
            let ours = trades.iter().filter(|trade| trade.order == number);
            let mut ours: Vec<_> = ours.map(|trade| (trade.price, trade.size)).collect();
            ours.reverse();
            assert_eq!(ours, want);
            now = arrival.plus(random.between(1, 600) * MS);
            exchange.advance(now, &mut out);
        }
        assert!(exchange.trades().len() > 100);
        let mut collateral = Notional::from_usd(10_000);
        for instrument in [BTC, InstrumentId(1)] {
            let (mut held, mut cash, mut before) = (Size::ZERO, Notional::ZERO, Size::ZERO);
            for trade in exchange
                .trades()
                .iter()
                .rev()
                .filter(|t| t.instrument == instrument)
            {
                assert_eq!(trade.position_before, before);
                held += account::signed(trade.side, trade.size);
                before = held;
                cash -= trade.price * account::signed(trade.side, trade.size);
                collateral -= trade.fee;
            }
            let position = exchange.position(instrument);
            assert_eq!(position.size, held);
            let profit = cash + position.mark * held;
            assert_eq!(position.realised + position.unrealised, profit);
            collateral += position.realised;
        }
        assert_eq!(exchange.account().collateral, collateral);
    }
}
