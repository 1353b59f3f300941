//! Funding: what a simulated exchange charges for the positions it finds at its instants.
//!
//! Promises: each position is charged once an instant, on the exchange's own mark and at the rate
//! it publishes; longs pay a positive rate, shorts are paid; money moves by exactly what is told.
//! Refuses: to model premiums; the rate stands still.

use super::engine::{Due, Exchange, HISTORY_MAX};
use super::{Happening, Settings};
use crate::market::units::{NOTIONAL_SCALE, Nanos, Notional, Price, SCALE, SECOND, Size};
use crate::market::{InstrumentId, Venue};
use std::sync::Arc;

/// Both venues charge once an hour. Sources: Extended's user documentation, "Funding payments";
/// apidocs.lighter.xyz, "Funding".
pub const HOUR_NS: u64 = 3_600 * SECOND;
/// Payments are in whole millionths of a dollar, rounded against us (how, is not documented).
const UNIT: i128 = NOTIONAL_SCALE / 1_000_000;

/// When a venue charges, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funding {
    /// Time between two charges; the venues' own is an hour.
    pub every_ns: u64,
    /// The venue's own second: so long after each multiple of `every_ns`.
    pub at_ns: u64,
    /// What longs pay at each, a ratio of notional at 10^-9.
    pub rate_e9: i64,
}

impl Funding {
    /// On the full hour, at a rate that was seen on the venue (Extended's funding frame of
    /// 2026-09-26; Lighter's documented 0.0012 per cent).
    pub const fn of(venue: Venue) -> Funding {
        Funding {
            every_ns: HOUR_NS,
            at_ns: 0,
            rate_e9: match venue {
                Venue::Extended => 13_000,
                Venue::Lighter => 12_000,
            },
        }
    }

    /// The first instant after `now`.
    pub fn next(&self, now: Nanos) -> Nanos {
        let since = now.0.saturating_sub(self.at_ns) / self.every_ns;
        Nanos((since + 1) * self.every_ns + self.at_ns)
    }

    /// The last instant up to and with `now`.
    pub fn last(&self, now: Nanos) -> Nanos {
        Nanos(self.next(now).0 - self.every_ns)
    }

    /// What a position receives at one instant; negative: pays.
    fn payment(&self, size: Size, mark: Price) -> Notional {
        let owed = (mark * size).0 * i128::from(self.rate_e9);
        Notional((-owed).div_euclid(i128::from(SCALE) * UNIT) * UNIT)
    }
}

/// One payment.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Unique per exchange, rising.
    pub number: u64,
    /// For which market's position.
    pub instrument: InstrumentId,
    /// That position, signed.
    pub size: Size,
    /// The mark it was valued at.
    pub mark: Price,
    /// The rate, a ratio at 10^-9.
    pub rate_e9: i64,
    /// Received; negative: paid.
    pub amount: Notional,
    /// When.
    pub t: Nanos,
}

impl Exchange {
    /// Payments, newest first; the last few thousand.
    pub fn payments(&self) -> Vec<Arc<Payment>> {
        self.payments.iter().cloned().collect()
    }

    /// An instant has come.
    pub(super) fn charge(&mut self, at: Nanos, out: &mut Vec<Happening>) {
        let Settings { funding, .. } = self.settings;
        self.schedule(funding.next(at), Due::Funding);
        let mut is_any = false;
        for idx in 0..self.positions.len() {
            let instrument = InstrumentId(idx as u16);
            let size = self.positions[idx].size;
            if size == Size::ZERO {
                continue;
            }
            let (mark, _) = self.flow.mark(instrument);
            let amount = funding.payment(size, mark);
            self.collateral += amount;
            self.positions[idx].funding += amount;
            self.payment_count += 1;
            let payment = Arc::new(Payment {
                number: self.payment_count,
                instrument,
                size,
                mark,
                rate_e9: funding.rate_e9,
                amount,
                t: at,
            });
            self.payments.push_front(Arc::clone(&payment));
            out.push(Happening::Funding(payment));
            is_any = true;
        }
        self.payments.truncate(HISTORY_MAX);
        if is_any {
            out.push(Happening::Account(self.account()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::Side;
    use crate::sim::exchange::rig;

    const BTC: InstrumentId = InstrumentId(0);

    #[test]
    fn instants_are_the_venues_own() {
        let funding = Funding {
            at_ns: 7 * SECOND,
            ..Funding::of(Venue::Lighter)
        };
        let hour = Nanos(470_000 * HOUR_NS);
        for (from, next) in [(0, 7), (6, 7), (7, 3_607), (3_599, 3_607)] {
            let next = hour.plus(next * SECOND);
            let now = hour.plus(from * SECOND);
            assert_eq!(funding.next(now), next);
            assert_eq!(funding.last(next), next);
            assert_eq!(funding.last(Nanos(next.0 - 1)).0, next.0 - HOUR_NS);
        }
    }

    #[test]
    fn longs_pay_and_shorts_are_paid_rounded_against_us() {
        let funding = Funding::of(Venue::Extended);
        let price = Price(60_000 * SCALE);
        // 0.0013 % of 600 dollars: 0.0078.
        let size = Size(SCALE / 100);
        assert_eq!(funding.payment(size, price), Notional(-7_800 * UNIT));
        assert_eq!(funding.payment(-size, price), Notional(7_800 * UNIT));
        assert_eq!(funding.payment(Size(1), price), Notional(-UNIT));
        assert_eq!(funding.payment(Size(-1), price), Notional::ZERO);
    }

    #[test]
    fn what_is_held_at_the_instant_is_charged_once() {
        let mut settings = Settings::extended(1);
        settings.funding.every_ns = 10 * SECOND;
        let mut exchange = rig::exchange(settings);
        let first = exchange.settings().funding.next(rig::START);
        let mut out = Vec::new();
        let order = rig::order(Side::Bid, "60001", "0.5");
        exchange.place(rig::START, order, &mut out).unwrap();
        exchange.advance(Nanos(first.0 - 1), &mut out);
        assert!(exchange.payments().is_empty());
        let before = exchange.account().collateral;
        exchange.advance(first.plus(25 * SECOND), &mut out);
        let payments = exchange.payments();
        let times: Vec<_> = payments.iter().rev().map(|one| one.t).collect();
        let wanted = [0, 10, 20].map(|s| first.plus(s * SECOND));
        assert_eq!(times, wanted);
        let paid = payments
            .iter()
            .fold(Notional::ZERO, |sum, one| sum + one.amount);
        // Half a coin near 60,000 at 0.0013 %, three times: about 1.17 dollars.
        assert!((paid.to_usd_f64() + 1.17).abs() < 0.01, "{paid:?}");
        assert_eq!(exchange.account().collateral, before + paid);
        assert_eq!(exchange.position(BTC).funding, paid);
        let told = out
            .iter()
            .filter(|one| matches!(one, Happening::Funding(_)));
        assert_eq!(told.count(), 3);
        // A new position begins with nothing.
        let now = first.plus(25 * SECOND);
        let order = rig::order(Side::Ask, "59999", "0.5");
        exchange.place(now, order, &mut out).unwrap();
        exchange.advance(first.plus(29 * SECOND), &mut out);
        assert_eq!(exchange.position(BTC).size, Size::ZERO);
        exchange.advance(first.plus(60 * SECOND), &mut out);
        assert_eq!(exchange.payments().len(), 3);
        assert_eq!(exchange.position(BTC).funding, Notional::ZERO);
    }
}
