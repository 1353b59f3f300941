//! Funding: asked for, since no message of the account stream is known to tell a payment.
//!
//! Promises: while a position is held, and for a while after it, the venue's list of payments is
//! asked for every few seconds; each payment since the run began is told once, by its id, also when
//! it was made while nobody listened. Refuses: to follow pages; a page holds a hundred positions.
//!
//! A negative fee was paid. The documentation shows only a zero; two public clients of the venue
//! read the member so. Source: D1 (funding payments).

use super::stream::{integer, text};
use super::table::SeenTrades;
use super::{Core, report};
use crate::market::order::{OrderId, ReportKind};
use crate::market::units::{Nanos, SECOND};
use crate::venue::Reports;
use crate::venue::extended::wire::Json;

/// Time between two questions. Larger: a pair that is left soon after a payment may be over before
/// it is heard. Smaller: more requests; this is 12 of a minute's 1,000. Well within the time after
/// a payment in which no pair is ended.
pub(super) const ASK_NS: u64 = 5 * SECOND;
/// Payments may still be listed so long after a position is gone.
pub(super) const LATE_NS: u64 = 15 * SECOND;
/// The list is asked for from so long before the newest payment known: others of its instant may
/// have been listed after it.
const OVERLAP_MS: u64 = 60_000;

/// What is known of payments.
pub(super) struct Payments {
    seen: SeenTrades,
    t_asked: Nanos,
    newest_ms: u64,
}

impl Payments {
    pub(super) fn new() -> Payments {
        Payments {
            seen: SeenTrades::new(),
            t_asked: Nanos::ZERO,
            newest_ms: 0,
        }
    }

    pub(super) fn is_due(&self, now: Nanos) -> bool {
        now.since(self.t_asked) >= ASK_NS
    }

    pub(super) fn asked(&mut self, now: Nanos) {
        self.t_asked = now;
    }

    /// From when on payments are asked for, for a run that began at `started_ms`.
    pub(super) fn since_ms(&self, started_ms: u64) -> u64 {
        self.newest_ms.saturating_sub(OVERLAP_MS).max(started_ms)
    }
}

impl Core {
    /// The venue's list of payments. False when it is not one.
    #[cold]
    pub(super) fn take_payments(
        &mut self,
        list: Json<'_, '_>,
        now: Nanos,
        reports: &mut Reports,
    ) -> bool {
        let mut rows = list.elements();
        list.is_array() && rows.all(|row| self.take_payment(row, now, reports).is_some())
    }

    /// One of them; nothing when it can't be read. What found no room is told with the next list.
    fn take_payment(&mut self, row: Json<'_, '_>, now: Nanos, reports: &mut Reports) -> Option<()> {
        let id = integer(row, "id")?;
        let paid_ms = integer(row, "paidTime")?;
        let amount = row.member("fundingFee")?.money()?;
        let size = row.member("size")?.size()?;
        let size = match text(row, "side")? {
            "LONG" => size,
            "SHORT" => -size,
            _ => return None,
        };
        let instrument = self.instrument_named(text(row, "market")?);
        let is_news = paid_ms >= self.started_ms && !self.payments.seen.knows(id);
        if let Some(instrument) = instrument.filter(|_| is_news) {
            let kind = ReportKind::Funding { amount, size };
            if reports.push(report(OrderId::NONE, instrument, now, kind)) {
                self.payments.seen.is_new(id);
                self.payments.newest_ms = self.payments.newest_ms.max(paid_ms);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_rig::{BTC, Rig};
    use super::*;
    use crate::market::event::FrameKind;
    use crate::market::units::{Notional, Size};

    const LONG: &str = r#"{"positions":[{"market":"BTC-USD","side":"LONG","size":"0.5"}]}"#;
    const FLAT: &str = r#"{"positions":[{"market":"BTC-USD","side":"LONG","size":"0"}]}"#;

    fn row(id: u64, fee: &str, paid_ms: u64) -> String {
        format!(
            r#"{{"id":{id},"accountId":3137,"market":"BTC-USD","positionId":1821237954501148672,
            "side":"SHORT","size":"0.5","value":"30000.5","markPrice":"60001","fundingFee":"{fee}",
            "fundingRate":"0.000013","paidTime":{paid_ms}}}"#
        )
    }

    fn list(rows: &[String]) -> String {
        format!(r#"{{"status":"OK","data":[{}]}}"#, rows.join(","))
    }

    /// The question for payments that a beat so much later asks, if any: its lane and time.
    fn question(rig: &mut Rig, ns: u64) -> Option<(usize, u64)> {
        rig.out.clear();
        rig.beat_after(ns);
        let asked = rig.asked();
        let (lane, line) = asked.iter().find(|(_, line)| line.contains("/funding/"))?;
        let (_, tail) = line.split_once("/api/v1/user/funding/history?fromTime=")?;
        let (from_ms, _) = tail.split_once(' ')?;
        Some((*lane, from_ms.parse().unwrap()))
    }

    #[test]
    fn row_36_payments_are_asked_for_while_a_position_is_held() {
        let mut rig = Rig::live();
        let began_ms = rig.now.epoch_ms();
        assert_eq!(question(&mut rig, 10 * SECOND), None, "nothing is held");
        rig.tell(LONG);
        let (lane, from_ms) = question(&mut rig, 0).expect("at once");
        assert_eq!(from_ms, began_ms);
        assert_eq!(question(&mut rig, SECOND), None, "one at a time");
        rig.say(lane, 200, &list(&[]));
        let (lane, _) = question(&mut rig, ASK_NS - SECOND).expect("again");
        let paid_ms = rig.now.epoch_ms();
        rig.say(lane, 200, &list(&[row(5, "-0.390013", paid_ms)]));
        let (lane, from_ms) = question(&mut rig, ASK_NS).expect("again");
        assert_eq!(from_ms, (paid_ms - OVERLAP_MS).max(began_ms));
        rig.say(lane, 200, &list(&[]));
        // It is gone: once or twice more, since the list may be late.
        rig.tell(FLAT);
        for is_asked in [true, true, false, false] {
            let asked = question(&mut rig, ASK_NS);
            assert_eq!(asked.is_some(), is_asked);
            if let Some((lane, _)) = asked {
                rig.say(lane, 200, &list(&[]));
            }
        }
    }

    #[test]
    fn row_36_a_payment_is_told_once() {
        let mut rig = Rig::live();
        let began_ms = rig.now.epoch_ms();
        rig.tell(LONG);
        rig.kinds();
        let mut answer = |text: &str| {
            let (lane, _) = question(&mut rig, ASK_NS).expect("it is held");
            rig.reports.clear();
            let kind = rig.say(lane, 200, text);
            let told = rig.reports.items().iter();
            let told: Vec<_> = told.map(|one| (one.instrument, one.kind)).collect();
            (kind, told)
        };
        let told = |nano| {
            let amount = Notional::from_nano(nano);
            let size = Size(-500_000_000);
            (BTC, ReportKind::Funding { amount, size })
        };
        let [paid, received] = [row(5, "-0.390013", began_ms), row(6, "0.1", began_ms + 9)];
        let old = row(4, "7", began_ms - 1);
        let strange = row(7, "1", began_ms).replace("BTC-USD", "DOGE-USD");
        let both = list(&[received.clone(), paid.clone(), old, strange]);
        let wanted = vec![told(100_000_000), told(-390_013_000)];
        assert_eq!(answer(&both), (FrameKind::Control, wanted));
        assert_eq!(answer(&both), (FrameKind::Control, vec![]), "once");
        let bad = list(&[received.replace("SHORT", "?")]);
        assert_eq!(answer(&bad), (FrameKind::Malformed, vec![]));
        let error = r#"{"status":"ERROR","error":{"code":1006,"message":"x"}}"#;
        assert_eq!(answer(error), (FrameKind::Malformed, vec![]));
    }
}
