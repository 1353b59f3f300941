//! Funding that a venue says was paid or received: whose it is.
//!
//! Promises: each payment is shared out whole, to the pairs that hold the position it was charged
//! for, by size; what no pair explains (a position that is not ours, a pair that ended meanwhile)
//! is told apart. Refuses: to compute payments; the venue's own word is booked.

use crate::market::Venue;
use crate::market::event::Event;
use crate::market::order::{Report, ReportKind};
use crate::market::units::{Notional, Size};
use crate::scanner::Scanner;

impl Scanner {
    /// Shares a payment out.
    #[cold]
    pub(super) fn hear_funding(&mut self, venue: Venue, report: &Report) {
        let ReportKind::Funding { amount, size } = report.kind else {
            return;
        };
        let instrument = report.instrument;
        let mut apart = amount;
        if self.boards.get(instrument.idx()).is_some() {
            for slot in self.slots_of(instrument) {
                let pair = &mut self.pairs[slot];
                if pair.is_active() {
                    let part = share(amount, pair.position(venue), size);
                    pair.take_funding(part);
                    apart -= part;
                }
            }
        }
        if apart != Notional::ZERO {
            self.desk.note(Event::FundingApart {
                venue,
                instrument,
                amount: apart,
            });
        }
    }
}

/// The part of a payment for `whole` that falls on `part` of it: never more than all of it. The
/// last unit of 10^-18 dollars stays apart.
fn share(amount: Notional, part: Size, whole: Size) -> Notional {
    let (part, whole) = (i128::from(part.0), i128::from(whole.0));
    if part == 0 || whole == 0 {
        return Notional::ZERO;
    }
    let part = part.clamp(-whole.abs(), whole.abs());
    Notional(amount.0 * part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_go_by_signed_size() {
        let of = |part, whole| share(Notional(-900), Size(part), Size(whole)).0;
        assert_eq!(of(3, 3), -900);
        assert_eq!(of(-3, -3), -900);
        assert_eq!(of(1, 3), -300);
        // Two pairs that stand against each other: one pays for both, the other is paid.
        assert_eq!(of(4, 3) + of(-1, 3), -900 + 300);
        assert_eq!((of(0, 3), of(3, 0)), (0, 0));
        assert_eq!(of(1, 7), -128);
    }
}
