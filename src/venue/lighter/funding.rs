//! Funding on Lighter: payments, by the difference of the totals that positions carry.
//!
//! Promises: what a total has moved by is told once, also when the word of it was missed; no total
//! that begins anew is taken for a payment. Refuses: to guess where a total is missing.
//!
//! Source: `total_funding_paid_out` of *ws*. Despite its name it is the cash flow itself: over one
//! settlement, all of 52 live positions of unchanged size moved so that paying reads negative
//! (a public client's notes, 2026). Not known, with what is assumed:
//! - whether it counts since the position was opened or for ever: either is read; a figure that
//!   becomes zero, or belongs to a position of the other side, begins anew;
//! - whether positions are told at the payment: if not, it is heard with the next word of them.

use super::wire::{self, Json};
use crate::market::order::ReportKind;
use crate::market::units::{Notional, Size};
use crate::market::{INSTRUMENTS_MAX, InstrumentId};

/// What was told last of each market's position: its size and its total.
pub struct Totals(Box<[Option<(Size, Notional)>; INSTRUMENTS_MAX]>);

impl Totals {
    /// Nothing is known.
    pub fn new() -> Totals {
        Totals(Box::new([None; INSTRUMENTS_MAX]))
    }

    /// Takes a position's size and the total in its row. Tells a payment.
    pub fn read(&mut self, at: InstrumentId, size: Size, row: Json) -> Option<ReportKind> {
        let total = row.field("total_funding_paid_out").and_then(wire::money);
        let (amount, size) = self.note(at, size, total)?;
        Some(ReportKind::Funding { amount, size })
    }

    /// Takes a position's size and its total, where there is one. Tells a payment: what was
    /// received, and for which position.
    pub fn note(
        &mut self,
        instrument: InstrumentId,
        size: Size,
        total: Option<Notional>,
    ) -> Option<(Notional, Size)> {
        let last = self.0.get_mut(instrument.idx())?;
        let now = total.map(|total| (size, total));
        let (held, before) = std::mem::replace(last, now)?;
        let after = total?;
        let is_same = held.0.signum() == size.0.signum() || size == Size::ZERO;
        let is_anew = held == Size::ZERO || after == Notional::ZERO || !is_same;
        (!is_anew && after != before).then(|| (after - before, held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETH: InstrumentId = InstrumentId(3);

    /// Size and total as they are told, and the payment (with its position) read from them.
    type Row = (i64, Option<i64>, Option<(i64, i64)>);

    fn tell(rows: &[Row]) {
        let mut totals = Totals::new();
        for (step, (size, total, payment)) in rows.iter().enumerate() {
            let total = total.map(Notional::from_nano);
            let told = totals.note(ETH, Size(*size), total);
            let wanted = payment.map(|(amount, size)| (Notional::from_nano(amount), Size(size)));
            assert_eq!(told, wanted, "step {step} of {rows:?}");
        }
    }

    #[test]
    fn a_total_that_moved_is_a_payment_once() {
        let (size, paid) = (500, Some((-7, 500)));
        tell(&[
            (size, Some(-3), None),
            (size, Some(-10), paid),
            (size, Some(-10), None),
            // Larger by a trade and charged, both unheard; the size known last stands for it.
            (700, Some(-17), paid),
            (700, Some(-15), Some((2, 700))),
        ]);
        // A short position receives, and goes.
        tell(&[(-5, Some(0), None), (-5, Some(9), Some((9, -5)))]);
    }

    #[test]
    fn a_total_that_begins_anew_is_no_payment() {
        // Since the position was opened: gone with it.
        tell(&[(5, Some(-9), None), (0, Some(0), None), (5, Some(0), None)]);
        // For ever: stays, and what was paid just before the end is heard with it.
        tell(&[
            (5, Some(-9), None),
            (0, Some(-12), Some((-3, 5))),
            (-5, Some(-12), None),
            (-5, Some(-11), Some((1, -5))),
        ]);
        // Turned, missing, or first heard of.
        tell(&[(5, Some(-9), None), (-5, Some(1), None)]);
        tell(&[(5, Some(-9), None), (5, None, None), (5, Some(-10), None)]);
        let mut totals = Totals::new();
        let beyond = InstrumentId(INSTRUMENTS_MAX as u16);
        assert_eq!(totals.note(beyond, Size(1), None), None);
    }
}
