//! What a simulated exchange does to orders and positions because it was told to: the faults' way
//! into the matching.
//!
//! Promises: whatever happens is booked as everything else is, so positions and money stay exact.
//! Refuses to choose: what happens, and when, is the faults' business.

use super::account;
use super::engine::Exchange;
use super::matching::Fill;
use super::{Happening, LighterTier, NewOrder, Reject, Settings, Trade, TradeKind};
use crate::market::book::Side;
use crate::market::units::{Nanos, Size};
use crate::market::{InstrumentId, Venue};
use std::sync::Arc;

/// What is going to happen to an order when it reaches the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It trades only this much of what the book would give, 10^-3, and never all of it.
    Partial(u64),
    /// The account is found too poor for it.
    Margin,
    /// The same, and nothing is told of it.
    Vanish,
}

/// Lighter's fee on a liquidated position, 10^-6 of notional: the 1 % of captured rows.
const LIQUIDATION_FEE_E6: u32 = 10_000;

impl Exchange {
    /// Whether the exchange would take an order now; time passes as it does in `place`.
    ///
    /// # Errors
    /// The reason `place` would give.
    pub fn judge(
        &mut self,
        now: Nanos,
        order: &NewOrder,
        out: &mut Vec<Happening>,
    ) -> Result<(), Reject> {
        self.advance(now, out);
        self.check(now, order)
    }

    /// Has this happen to an accepted order that has not reached the book.
    pub fn set_fate(&mut self, number: u64, fate: Fate) {
        self.fates.insert(number, fate);
    }

    /// Orders whose fate was fulfilled, or can't be any more, since the last call.
    pub fn take_fated(&mut self) -> Vec<(u64, bool)> {
        std::mem::take(&mut self.fated)
    }

    /// A number that was given out and belongs to no order.
    pub fn skip_number(&mut self) -> u64 {
        self.order_count += 1;
        self.order_count
    }

    /// The account's tier from now on, with its fees and delays.
    pub fn set_tier(&mut self, tier: LighterTier) {
        self.settings = Settings {
            deposit: self.settings.deposit,
            funding: self.settings.funding,
            ..Settings::lighter(tier, self.settings.seed)
        };
    }

    /// The venue closes a share (10^-3) of a position, in whole lots, at mark on the tick, without
    /// an order of ours and without the book. Tells whether there was a position.
    pub fn close_out(
        &mut self,
        at: Nanos,
        (instrument, share_e3): (InstrumentId, u64),
        kind: TradeKind,
        out: &mut Vec<Happening>,
    ) -> bool {
        let rules = self.rules[instrument.idx()].clone();
        let held = self.positions[instrument.idx()].size;
        if held == Size::ZERO {
            return false;
        }
        let share = i128::from(held.0.abs()) * i128::from(share_e3.min(1_000)) / 1_000;
        let size = Size(i64::try_from(share).unwrap_or(i64::MAX));
        // What is left of a position may be less than a lot only if all of it is.
        let size = size
            .floor_to(rules.lot)
            .max(rules.lot.min(Size(held.0.abs())));
        let side = if held.0 > 0 { Side::Ask } else { Side::Bid };
        let price = self
            .flow
            .mark(instrument)
            .0
            .max(rules.tick)
            .floor_to(rules.tick);
        let is_fined = kind == TradeKind::Liquidation && self.settings.venue == Venue::Lighter;
        let fee_rate_e6 = if is_fined { LIQUIDATION_FEE_E6 } else { 0 };
        let fee = account::fee(price * size, fee_rate_e6);
        let order = self.skip_number();
        self.trade_count += 1;
        let trade = Arc::new(Trade {
            number: self.trade_count,
            order,
            client_id: String::new(),
            kind,
            instrument,
            side,
            price,
            size,
            fee,
            fee_rate_e6,
            is_taker: true,
            t: at,
            position_before: held,
        });
        let realised = self.positions[instrument.idx()].trade(side, price, size);
        self.collateral += realised - fee;
        self.trades.push_front(Arc::clone(&trade));
        self.trades.truncate(super::engine::HISTORY_MAX);
        out.push(Happening::Trade(trade));
        let position = self.position(instrument);
        out.push(Happening::Position {
            instrument,
            position,
        });
        out.push(Happening::Account(self.account()));
        true
    }
}

/// Leaves a share (10^-3) of the fills, at least a lot, and takes at least a lot away; tells
/// whether it could.
pub(super) fn shorten(fills: &mut Vec<Fill>, lot: Size, share_e3: u64) -> bool {
    let whole: i64 = fills.iter().map(|fill| fill.size.0).sum();
    if whole < 2 * lot.0 {
        return false;
    }
    let share = i128::from(whole) * i128::from(share_e3) / 1_000;
    let share = Size(i64::try_from(share).unwrap_or(whole)).floor_to(lot);
    let mut left = Size(share.0.clamp(lot.0, whole - lot.0));
    fills.retain_mut(|fill| {
        fill.size = fill.size.min(left);
        left -= fill.size;
        fill.size > Size::ZERO
    });
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{MS, Notional};
    use crate::sim::exchange::{Status, rig};

    const BTC: InstrumentId = InstrumentId(0);

    fn at(ms: u64) -> Nanos {
        rig::START.plus(ms * MS)
    }

    fn size(text: &str) -> Size {
        Size::parse(text.as_bytes()).unwrap()
    }

    /// Buys 2.5 coins of a still book with this fate; what was told.
    fn fated(fate: Fate) -> (Exchange, u64, Vec<Happening>) {
        let mut exchange = rig::exchange(Settings::extended(1));
        let mut out = Vec::new();
        let order = rig::order(Side::Bid, "60010", "2.5");
        let number = exchange.place(at(0), order, &mut out).unwrap();
        exchange.set_fate(number, fate);
        exchange.advance(at(100), &mut out);
        (exchange, number, out)
    }

    #[test]
    fn a_part_is_less_than_the_book_would_give_and_more_than_nothing() {
        for (share_e3, filled) in [(500, "1.25"), (0, "0.00001"), (1_000, "2.49999")] {
            let (mut exchange, number, _) = fated(Fate::Partial(share_e3));
            let order = exchange.order(number).unwrap();
            assert_eq!(
                (order.status, order.filled),
                (Status::Cancelled, size(filled))
            );
            assert_eq!(exchange.position(BTC).size, size(filled));
            assert_eq!(exchange.take_fated(), [(number, true)]);
        }
    }

    #[test]
    fn a_fate_that_finds_nothing_to_fill_is_told_so() {
        let mut exchange = rig::exchange(Settings::extended(1));
        let mut out = Vec::new();
        let order = rig::order(Side::Bid, "59000", "1");
        let number = exchange.place(at(0), order, &mut out).unwrap();
        exchange.set_fate(number, Fate::Partial(500));
        exchange.advance(at(100), &mut out);
        assert_eq!(exchange.take_fated(), [(number, false)]);
    }

    #[test]
    fn an_order_without_margin_is_told_and_one_that_vanishes_is_not() {
        for (fate, told) in [(Fate::Margin, 2), (Fate::Vanish, 1)] {
            let (exchange, number, out) = fated(fate);
            let orders = out.iter().filter(|one| matches!(one, Happening::Order(_)));
            assert_eq!(orders.count(), told, "{fate:?}");
            assert_eq!(
                exchange.order(number).unwrap().status,
                Status::CancelledMargin
            );
            assert_eq!(exchange.position(BTC).size, Size::ZERO);
            assert!(exchange.open_orders().is_empty());
            assert_eq!(exchange.fated, [(number, true)]);
        }
    }

    #[test]
    fn a_closed_out_position_costs_what_mark_says_and_the_venues_fee() {
        for (share_e3, left) in [(1_000, "0"), (400, "0.6")] {
            let (mut exchange, _, _) = fated(Fate::Partial(400));
            let mut out = Vec::new();
            let before = exchange.account();
            assert!(exchange.close_out(at(300), (BTC, share_e3), TradeKind::Deleverage, &mut out));
            assert_eq!(exchange.position(BTC).size, size(left));
            // At mark nothing is won or lost, but for the tick that the price is cut to.
            let lost = before.equity - exchange.account().equity;
            assert!(
                lost >= Notional::ZERO && lost < Notional::from_usd(1),
                "{lost:?}"
            );
            assert_eq!(exchange.trades()[0].kind, TradeKind::Deleverage);
            assert_eq!(out.len(), 3);
        }
        let mut flat = rig::exchange(Settings::extended(1));
        assert!(!flat.close_out(at(1), (BTC, 500), TradeKind::Liquidation, &mut Vec::new()));
    }
}
