//! A gateway's venue half that may be switched off, or lead nowhere: a dry run watches, a run on
//! paper signs and sends nothing.

use crate::market::event::FrameKind;
use crate::market::foresight::Foresight;
use crate::market::order::{Order, Refusal};
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

    fn on_beat(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox) {
        if let Gate::Trading(orders) = self {
            orders.on_beat(now, reports, out);
        }
    }
}
