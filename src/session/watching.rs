//! A gateway's venue half that may be switched off, or lead nowhere: a dry run watches, a run on
//! paper signs and sends nothing.

use crate::market::event::FrameKind;
use crate::market::foresight::Foresight;
use crate::market::order::{Order, Refusal, Strays};
use crate::market::units::Nanos;
use crate::session::paper::Paper;
use crate::venue::{Lane, Orders, Outbox, Reports, Signing};

/// Trading, on paper, or only watching.
pub enum Gate<O> {
    /// No lanes, no keys; every order is refused before anything is signed.
    Watching,
    /// No lanes; every order is signed and written to where nobody reads.
    Paper(Paper<O>),
    /// The venue's own.
    Trading(O),
}

impl<O: Orders> Orders for Gate<O> {
    type Point = O::Point;

    fn on_link(
        &mut self,
        lane: Lane,
        up: bool,
        now: Nanos,
        reports: &mut Reports,
        out: &mut Outbox,
    ) {
        if let Gate::Trading(orders) = self {
            orders.on_link(lane, up, now, reports, out);
        }
    }

    fn sign(
        &mut self,
        order: &Order,
        now: Nanos,
        ahead: impl FnOnce() -> Option<O::Point>,
    ) -> Result<Signing, Refusal> {
        match self {
            Gate::Watching => Err(Refusal::NotConnected),
            Gate::Paper(paper) => paper.sign(order, now, ahead),
            Gate::Trading(orders) => orders.sign(order, now, ahead),
        }
    }

    fn foresee(&mut self, word: &Foresight, now: Nanos) {
        match self {
            Gate::Watching => {}
            Gate::Paper(paper) => paper.foresee(word, now),
            Gate::Trading(orders) => orders.foresee(word, now),
        }
    }

    fn prepare(&mut self, now: Nanos, ahead: impl FnOnce() -> Option<O::Point>) -> bool {
        match self {
            Gate::Watching => false,
            Gate::Paper(paper) => paper.prepare(now, ahead),
            Gate::Trading(orders) => orders.prepare(now, ahead),
        }
    }

    fn encode(&mut self, now: Nanos, out: &mut Outbox) {
        match self {
            Gate::Watching => {}
            // What is written must not reach the gateway.
            Gate::Paper(paper) => paper.encode(now),
            Gate::Trading(orders) => orders.encode(now, out),
        }
    }

    fn on_unsent(&mut self, lane: Lane, now: Nanos) -> bool {
        match self {
            Gate::Watching | Gate::Paper(_) => false,
            Gate::Trading(orders) => orders.on_unsent(lane, now),
        }
    }

    fn on_pace(&mut self, orders_per_minute: u32) {
        if let Gate::Trading(orders) = self {
            orders.on_pace(orders_per_minute);
        }
    }

    fn on_retry_after(&mut self, lane: Lane, seconds: u32) {
        if let Gate::Trading(orders) = self {
            orders.on_retry_after(lane, seconds);
        }
    }

    fn on_message(
        &mut self,
        lane: Lane,
        status: u16,
        bytes: &mut [u8],
        now: Nanos,
        reports: &mut Reports,
        out: &mut Outbox,
    ) -> FrameKind {
        match self {
            Gate::Watching | Gate::Paper(_) => FrameKind::Unknown,
            Gate::Trading(orders) => orders.on_message(lane, status, bytes, now, reports, out),
        }
    }

    fn strays(&self) -> Strays {
        match self {
            Gate::Watching | Gate::Paper(_) => Strays::default(),
            Gate::Trading(orders) => orders.strays(),
        }
    }

    fn on_beat(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox) {
        if let Gate::Trading(orders) = self {
            orders.on_beat(now, reports, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::points::Point;

    struct Blank;

    impl Point for Blank {
        fn move_out(&mut self) -> Blank {
            Blank
        }
    }

    /// A venue's room that counts what it is told and tells of strays.
    #[derive(Default)]
    struct Room {
        calls: Vec<&'static str>,
    }

    impl Orders for Room {
        type Point = Blank;

        fn on_link(&mut self, _: Lane, _: bool, _: Nanos, _: &mut Reports, _: &mut Outbox) {
            self.calls.push("link");
        }

        fn sign(
            &mut self,
            _: &Order,
            _: Nanos,
            _: impl FnOnce() -> Option<Blank>,
        ) -> Result<Signing, Refusal> {
            Ok(Signing::Unsigned)
        }

        fn encode(&mut self, _: Nanos, _: &mut Outbox) {
            self.calls.push("encode");
        }

        fn on_unsent(&mut self, _: Lane, _: Nanos) -> bool {
            self.calls.push("unsent");
            true
        }

        fn on_pace(&mut self, _: u32) {
            self.calls.push("pace");
        }

        fn on_retry_after(&mut self, _: Lane, _: u32) {
            self.calls.push("retry-after");
        }

        fn on_message(
            &mut self,
            _: Lane,
            _: u16,
            _: &mut [u8],
            _: Nanos,
            _: &mut Reports,
            _: &mut Outbox,
        ) -> FrameKind {
            self.calls.push("message");
            FrameKind::Control
        }

        fn strays(&self) -> Strays {
            Strays {
                foreign: 2,
                missing: 1,
            }
        }

        fn on_beat(&mut self, _: Nanos, _: &mut Reports, _: &mut Outbox) {
            self.calls.push("beat");
        }
    }

    /// What is not passed on falls back on the contract's default, in silence.
    #[test]
    fn row_24_a_trading_gate_passes_everything_on_and_a_closed_one_nothing() {
        let mut gates = [Gate::Trading(Room::default()), Gate::Watching];
        for gate in &mut gates {
            let (mut reports, mut out) = (Reports::new(4), Outbox::new(64, 4));
            gate.on_link(0, true, Nanos(1), &mut reports, &mut out);
            gate.encode(Nanos(1), &mut out);
            gate.on_unsent(0, Nanos(1));
            gate.on_pace(60);
            gate.on_retry_after(0, 1);
            gate.on_message(0, 200, &mut [], Nanos(1), &mut reports, &mut out);
            gate.on_beat(Nanos(1), &mut reports, &mut out);
        }
        let all = [
            "link",
            "encode",
            "unsent",
            "pace",
            "retry-after",
            "message",
            "beat",
        ];
        let [Gate::Trading(room), watching] = &gates else {
            panic!("it is the first");
        };
        assert_eq!(room.calls, all);
        assert_eq!(gates[0].strays(), room.strays());
        assert_eq!(watching.strays(), Strays::default());
    }
}
