//! Stage: orders in from the scanner, signed request bytes out; the venue's answers and the account
//! stream in, reports out.
//!
//! Owns the connections for orders and for the account, and through the venue's `Orders` the keys,
//! the nonces and the table of open orders. Promises: a report is never lost (a full link is held
//! in a bounded backlog; a full backlog raises halt); an order refused before it was signed, or of
//! which its lane took nothing, says so at once. Refuses to retry: what to do next is the
//! scanner's decision.

use crate::market::Venue;
use crate::market::event::{Event, HaltCause, Step};
use crate::market::foresight::Foresight;
use crate::market::order::{Action, Order, OrderId, Refusal, Report, ReportKind, Strays};
use crate::market::units::{MS, Nanos};
use crate::net::{Incoming, Lanes, SystemCalls};
use crate::signer::{Ahead, POINTS_KEPT};
use crate::stage::Stage;
use crate::stage::clock::Clock;
use crate::stage::halt::Halt;
use crate::stage::link::{Full, Rx, Tx};
use crate::venue::{Lane, Orders, OutKind, Outbox, Reports, Signing};
use std::collections::VecDeque;

/// Reports of one message: an account snapshot lists every position.
const REPORTS_PER_MESSAGE_MAX: usize = 4096;
/// Reports held when the link is full. A scanner that is this far behind is broken.
const BACKLOG_MAX: usize = 4096;
/// Orders taken from the link per turn; an opportunity makes one or two.
const ORDERS_PER_TURN: usize = 8;
/// Messages handled per lane and turn.
const MESSAGES_PER_TURN: usize = 32;
/// Orders whose send time is remembered for latencies; a power of two. More in flight than the
/// venues allow (Lighter: 50).
const SENT_MAX: usize = 64;

/// What a gateway is given; it keeps all of it.
pub struct Parts<O: Orders> {
    /// The venue's encoder, signer and decoder.
    pub orders: O,
    /// Nonce points made ahead.
    pub points: Ahead<O::Point>,
    /// One connection per lane the venue listed.
    pub lanes: Lanes,
    /// From the scanner.
    pub requests: Rx<Order>,
    /// To the scanner.
    pub reports: Tx<Report>,
    /// To the recorder.
    pub journal: Tx<Event>,
    /// Raised when reports can't be held.
    pub halt: Halt,
    /// For time stamps.
    pub clock: Clock,
}

/// Between two orders that are signed ahead. Larger: a ladder is full later. Smaller: an order, or
/// a stage on the same thread, more often waits for such a signature to end (some ten
/// microseconds; at this, one in two hundred may).
const PREPARE_GAP_NS: u64 = 2 * MS;
/// An idle gateway asks the system for news this often. Larger: a fill is heard later. Smaller: an
/// order that waits on the link, or a feed on the same thread, is seen later by the time of a
/// system call.
const POLL_GAP_NS: u64 = 2_000;
/// Words heard before the next is signed. What is not heard yet the scanner still knows better: a
/// full link makes it wait and then tell what holds by then.
const WORDS_PER_TURN: usize = 8;

/// The stage. See the module's page.
pub struct Gateway<O: Orders> {
    name: &'static str,
    venue: Venue,
    parts: Parts<O>,
    foresight: Option<Rx<Foresight>>,
    pace: Option<Rx<u32>>,
    t_prepared: Nanos,
    t_polled: Nanos,
    /// Halt was seen: nothing is signed ahead any more.
    is_halted: bool,
    batch: Reports,
    backlog: VecDeque<Report>,
    outbox: Outbox,
    sent: [SentAt; SENT_MAX],
    sent_count: usize,
    /// What was told of them.
    strays: Strays,
}

/// When an order left, for `send_to_ack` and `send_to_fill`.
#[derive(Clone, Copy)]
struct SentAt {
    order: OrderId,
    t: Nanos,
    acknowledged: bool,
    filled: bool,
}

impl<O: Orders> Gateway<O> {
    /// Takes all memory the stage will use.
    pub fn new(venue: Venue, parts: Parts<O>) -> Gateway<O> {
        let nothing = SentAt {
            order: OrderId::NONE,
            t: Nanos::ZERO,
            acknowledged: true,
            filled: true,
        };
        Gateway {
            name: match venue {
                Venue::Extended => "gateway-extended",
                Venue::Lighter => "gateway-lighter",
            },
            venue,
            parts,
            foresight: None,
            pace: None,
            t_prepared: Nanos::ZERO,
            t_polled: Nanos::ZERO,
            is_halted: false,
            batch: Reports::new(REPORTS_PER_MESSAGE_MAX),
            backlog: VecDeque::with_capacity(BACKLOG_MAX),
            outbox: Outbox::new(64 * 1024, 64),
            sent: [nothing; SENT_MAX],
            sent_count: 0,
            strays: Strays::default(),
        }
    }

    /// Signs in idle turns what the scanner foresees.
    pub fn foreseeing(mut self, foresight: Rx<Foresight>) -> Gateway<O> {
        self.foresight = Some(foresight);
        self
    }

    /// Hears how many orders a minute the account's tier lets go.
    pub fn paced(mut self, pace: Rx<u32>) -> Gateway<O> {
        self.pace = Some(pace);
        self
    }

    /// Words that wait, so many at most; how many there were. All of them between an order's
    /// leaving its link and its being signed: what was to be dropped before it was sent must not
    /// sign it.
    #[inline]
    fn foresee(&mut self, most: usize, now: Nanos) -> usize {
        let Some(foresight) = &mut self.foresight else {
            return 0;
        };
        let mut heard = 0;
        while heard < most
            && let Some(word) = foresight.pop()
        {
            heard += 1;
            if !self.is_halted {
                self.parts.orders.foresee(&word, now);
            }
        }
        heard
    }

    /// Halt drops what was signed ahead, once and for good.
    #[inline]
    fn look_at_halt(&mut self, now: Nanos) {
        if !self.is_halted && self.parts.halt.is_raised() {
            self.is_halted = true;
            self.parts.orders.foresee(&Foresight::DropAll, now);
        }
    }

    /// Signs one order ahead where that is due and enough points are left for those that come.
    fn prepare(&mut self, now: Nanos) -> usize {
        let is_due = self.foresight.is_some() && now.since(self.t_prepared) >= PREPARE_GAP_NS;
        if !is_due || self.parts.points.waiting() <= POINTS_KEPT {
            return 0;
        }
        let is_signed =
            self.prepare_one(now) || self.foresee(WORDS_PER_TURN, now) > 0 && self.prepare_one(now);
        if is_signed {
            self.t_prepared = now;
        }
        usize::from(is_signed)
    }

    fn prepare_one(&mut self, now: Nanos) -> bool {
        let Parts { orders, points, .. } = &mut self.parts;
        orders.prepare(now, || points.take())
    }

    /// Signs, writes and sends one order.
    fn submit(&mut self, order: &Order) {
        let t_sign = self.parts.clock.now();
        let Parts { orders, points, .. } = &mut self.parts;
        let signing = match orders.sign(order, t_sign, || points.take()) {
            Ok(signing) => signing,
            Err(why) => return self.not_sent(order, why, t_sign),
        };
        let t_encode = self.parts.clock.now();
        self.parts.orders.encode(t_encode, &mut self.outbox);
        let t_send = self.parts.clock.now();
        // The outbox is empty before each order, so what a lane refused is this one.
        if let Some(lane) = self.flush(t_send)
            && self.parts.orders.on_unsent(lane, t_send)
        {
            return self.not_sent(order, Refusal::NotConnected, t_send);
        }
        let t_sent = self.parts.clock.now();
        if order.action != Action::Place {
            return;
        }
        self.note(Step::Sign, t_encode.since(t_sign));
        self.note(Step::Encode, t_send.since(t_encode));
        self.note(Step::Send, t_sent.since(t_send));
        if order.t_tick != Nanos::ZERO {
            self.note(Step::TickToSend, t_sent.since(order.t_tick));
        }
        self.remember(order.id, t_sent);
        let (venue, side) = (self.venue, order.side);
        let event = Event::OrderSent {
            venue,
            order: order.id,
            side,
            price: order.price,
            size: order.size,
        };
        let _ = self.parts.journal.push(event);
        if signing != Signing::Unsigned {
            let _ = self.parts.journal.push(Event::Signed {
                venue,
                how: signing,
                is_first: order.t_tick != Nanos::ZERO,
            });
        }
        self.report(Report {
            kind: ReportKind::Sent,
            ..self.answer(order, t_sent)
        });
    }

    /// Says so of an order. Of a cancel or a query only the journal hears it: it carries the name
    /// of an order that did leave, and the scanner's time-out asks again.
    #[cold]
    fn not_sent(&mut self, order: &Order, why: Refusal, now: Nanos) {
        let (venue, kind) = (self.venue, ReportKind::NotSent { why });
        let told = Event::NotSent {
            venue,
            order: order.id,
            why,
        };
        let _ = self.parts.journal.push(told);
        if order.action == Action::Place {
            self.report(Report {
                kind,
                ..self.answer(order, now)
            });
        }
    }

    fn answer(&self, order: &Order, t: Nanos) -> Report {
        Report {
            venue: self.venue,
            instrument: order.instrument,
            order: order.id,
            t,
            kind: ReportKind::Sent,
        }
    }

    fn drain_lane(&mut self, lane: Lane) -> usize {
        let mut handled = 0;
        while handled < MESSAGES_PER_TURN {
            let now = self.parts.clock.now();
            let parts = &mut self.parts;
            let Some(incoming) = parts.lanes.next(lane, now) else {
                break;
            };
            handled += 1;
            let (batch, outbox) = (&mut self.batch, &mut self.outbox);
            match incoming {
                Incoming::Text(bytes) => {
                    let _ = parts.orders.on_message(lane, 0, bytes, now, batch, outbox);
                }
                Incoming::Response {
                    status,
                    body,
                    retry_after_s,
                } => {
                    if let Some(seconds) = retry_after_s {
                        parts.orders.on_retry_after(lane, seconds);
                    }
                    let _ = parts
                        .orders
                        .on_message(lane, status, body, now, batch, outbox);
                }
                Incoming::Up => parts.orders.on_link(lane, true, now, batch, outbox),
                Incoming::Down(_) => parts.orders.on_link(lane, false, now, batch, outbox),
            }
            self.pass_on();
            self.flush(now);
        }
        handled
    }

    /// Journals the batch and puts it on the link.
    fn pass_on(&mut self) {
        for at in 0..self.batch.items().len() {
            let report = self.batch.items()[at];
            self.journal(&report);
            self.report(report);
        }
        self.batch.clear();
    }

    /// Onto the link, behind what waits already; a report is never lost.
    fn report(&mut self, report: Report) {
        if self.backlog.is_empty() {
            match self.parts.reports.push(report) {
                Ok(()) => {}
                Err(Full(report)) => self.hold(report),
            }
        } else {
            self.hold(report);
        }
    }

    #[cold]
    fn hold(&mut self, report: Report) {
        if self.backlog.len() == BACKLOG_MAX {
            self.parts.halt.raise();
            let event = Event::Halt {
                why: HaltCause::ReportBacklogFull,
            };
            let _ = self.parts.journal.push(event);
            return;
        }
        self.backlog.push_back(report);
    }

    fn release_backlog(&mut self) {
        while let Some(report) = self.backlog.pop_front() {
            if let Err(Full(report)) = self.parts.reports.push(report) {
                self.backlog.push_front(report);
                return;
            }
        }
    }

    /// Its record, and how long its order waited for it.
    fn journal(&mut self, report: &Report) {
        let is_acknowledgement = report.kind == ReportKind::Acknowledged;
        if is_acknowledgement || matches!(report.kind, ReportKind::Fill { .. }) {
            self.note_answer(report.order, report.t, is_acknowledgement);
        }
        if let Some(event) = Event::of(report) {
            let _ = self.parts.journal.push(event);
        }
    }

    fn remember(&mut self, order: OrderId, t: Nanos) {
        let slot = self.sent_count & (SENT_MAX - 1);
        self.sent[slot] = SentAt {
            order,
            t,
            acknowledged: false,
            filled: false,
        };
        self.sent_count += 1;
    }

    fn note_answer(&mut self, order: OrderId, t: Nanos, acknowledgement: bool) {
        let Some(sent) = self.sent.iter_mut().find(|s| s.order == order) else {
            return;
        };
        let (step, done) = if acknowledgement {
            (Step::SendToAck, &mut sent.acknowledged)
        } else {
            (Step::SendToFill, &mut sent.filled)
        };
        if !std::mem::replace(done, true) {
            let ns = t.since(sent.t);
            self.note(step, ns);
        }
    }

    /// Sends what the venue wants sent; the last lane that took nothing of a message.
    #[inline]
    fn flush(&mut self, now: Nanos) -> Option<Lane> {
        let lanes = &mut self.parts.lanes;
        let mut refused = None;
        self.outbox.deliver(|item, payload| {
            let is_taken = match item.kind {
                OutKind::Text => lanes.offer_text(item.lane, payload, now),
                OutKind::Http => lanes.offer_raw(item.lane, payload, now),
                OutKind::Reconnect => return lanes.reconnect(item.lane, now),
                OutKind::Wake => return lanes.wake(item.lane, now),
                OutKind::Hang => return lanes.hang(item.lane),
            };
            if !is_taken {
                refused = Some(item.lane);
            }
        });
        refused
    }

    /// What the stage has asked of the system.
    pub fn system_calls(&self) -> SystemCalls {
        self.parts.lanes.system_calls()
    }

    #[inline]
    fn note(&mut self, step: Step, ns: u64) {
        let _ = self.parts.journal.push(Event::Latency { step, ns });
    }
}

impl<O: Orders> Stage for Gateway<O> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(&mut self, now: Nanos) {
        self.housekeeping(now);
    }

    fn turn(&mut self, now: Nanos) -> usize {
        let mut work = self.relay(now);
        if now.since(self.t_polled) >= POLL_GAP_NS {
            self.t_polled = now;
            self.parts.lanes.poll();
        }
        let mut from = 0;
        while let Some(lane) = self.parts.lanes.next_ready(from) {
            from = lane + 1;
            work += self.drain_lane(lane);
        }
        if !self.backlog.is_empty() {
            self.release_backlog();
        }
        match work {
            0 => self.prepare(now),
            work => work,
        }
    }

    fn relay(&mut self, now: Nanos) -> usize {
        let mut work = 0;
        self.look_at_halt(now);
        while work < ORDERS_PER_TURN {
            let Some(order) = self.parts.requests.pop() else {
                break;
            };
            self.foresee(usize::MAX, now);
            self.submit(&order);
            work += 1;
        }
        work
    }

    fn housekeeping(&mut self, now: Nanos) {
        while let Some(orders_per_minute) = self.pace.as_mut().and_then(Rx::pop) {
            self.parts.orders.on_pace(orders_per_minute);
        }
        self.parts.lanes.beat(now);
        self.parts
            .orders
            .on_beat(now, &mut self.batch, &mut self.outbox);
        self.pass_on();
        self.flush(now);
        let strays = self.parts.orders.strays();
        if strays != self.strays {
            self.strays = strays;
            let venue = self.venue;
            let _ = self.parts.journal.push(Event::Strays(venue, strays));
        }
    }

    fn stop(&mut self, _now: Nanos) -> u64 {
        self.parts.lanes.close();
        self.parts.journal.full_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;
    use crate::market::book::Side;
    use crate::market::event::FrameKind;
    use crate::market::units::{Price, Size};
    use crate::net::{Connection, ConnectionLimits, Endpoint, Protocol, TlsClient};
    use crate::stage::link::link;
    use crate::venue::points::Point;

    /// A point with nothing in it.
    struct Blank;

    impl Point for Blank {
        fn move_out(&mut self) -> Blank {
            Blank
        }
    }

    /// Signs with a point or in full, or refuses; reports what waits at the beat.
    struct Scripted {
        refuses: Option<Refusal>,
        /// Writes to lane 0, and takes back what did not leave.
        writes: bool,
        waiting: Vec<Report>,
        /// Words heard, and orders placed as `Drop` of their instrument, in turn.
        heard: Vec<Foresight>,
        /// Orders signed ahead.
        prepared: usize,
        /// Orders a minute, as told.
        paces: Vec<u32>,
    }

    impl Orders for Scripted {
        type Point = Blank;

        fn on_link(&mut self, _: Lane, _: bool, _: Nanos, _: &mut Reports, _: &mut Outbox) {}

        fn foresee(&mut self, word: &Foresight, _: Nanos) {
            self.heard.push(*word);
        }

        fn on_pace(&mut self, orders_per_minute: u32) {
            self.paces.push(orders_per_minute);
        }

        fn prepare(&mut self, _: Nanos, ahead: impl FnOnce() -> Option<Blank>) -> bool {
            let is_signed = ahead().is_some();
            self.prepared += usize::from(is_signed);
            is_signed
        }

        fn sign(
            &mut self,
            _: &Order,
            _: Nanos,
            ahead: impl FnOnce() -> Option<Blank>,
        ) -> Result<Signing, Refusal> {
            self.heard.push(Foresight::Drop(InstrumentId(99)));
            match (self.refuses, ahead()) {
                (Some(why), _) => Err(why),
                (None, Some(Blank)) => Ok(Signing::Ahead),
                (None, None) => Ok(Signing::Full),
            }
        }

        fn encode(&mut self, _: Nanos, out: &mut Outbox) {
            if self.writes {
                out.message(0, OutKind::Text, |text| {
                    text.put(b"order");
                });
            }
        }

        fn on_unsent(&mut self, lane: Lane, _: Nanos) -> bool {
            assert!(lane == 0 && self.writes);
            true
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
            FrameKind::Control
        }

        fn on_beat(&mut self, _: Nanos, reports: &mut Reports, _: &mut Outbox) {
            for report in self.waiting.drain(..) {
                assert!(reports.push(report));
            }
        }
    }

    struct Rig {
        gateway: Gateway<Scripted>,
        orders: Tx<Order>,
        reports: Rx<Report>,
        journal: Rx<Event>,
        halt: Halt,
    }

    const NOW: Nanos = Nanos(1_790_000_000_000_000_000);
    const REPORTS_LEN: usize = 8;

    fn rig(points_len: usize, refuses: Option<Refusal>) -> Rig {
        let (orders, requests) = link("orders", 16);
        let (reports_tx, reports) = link("reports", REPORTS_LEN);
        let (journal_tx, journal) = link("journal", 65_536);
        let halt = Halt::default();
        let (mut points, points_rx) = link("points", 64);
        (0..points_len).for_each(|_| assert!(points.push(Blank).is_ok()));
        let parts = Parts {
            orders: Scripted {
                refuses,
                writes: false,
                waiting: Vec::new(),
                heard: Vec::new(),
                prepared: 0,
                paces: Vec::new(),
            },
            points: Ahead::new(points_rx),
            lanes: Lanes::new(Vec::new()).unwrap(),
            requests,
            reports: reports_tx,
            journal: journal_tx,
            halt: halt.clone(),
            clock: Clock::new(),
        };
        Rig {
            gateway: Gateway::new(Venue::Lighter, parts),
            orders,
            reports,
            journal,
            halt,
        }
    }

    /// The same, with a link for foresight.
    fn foreseeing(points_len: usize) -> (Rig, Tx<Foresight>) {
        let (words, words_rx) = link("foresight", 16);
        let rig = rig(points_len, None);
        let gateway = rig.gateway.foreseeing(words_rx);
        (Rig { gateway, ..rig }, words)
    }

    fn order(action: Action) -> Order {
        Order {
            id: OrderId::new(7, 1, 0),
            action,
            venue: Venue::Lighter,
            instrument: InstrumentId(0),
            side: Side::Bid,
            price: Price(100),
            size: Size(5),
            reduce_only: false,
            t_tick: NOW,
            t_decide: NOW,
        }
    }

    fn fill(trade: u64) -> Report {
        Report {
            venue: Venue::Lighter,
            instrument: InstrumentId(0),
            order: OrderId::new(7, 1, 0),
            t: NOW,
            kind: ReportKind::Fill {
                trade,
                side: Side::Bid,
                price: Price(100),
                size: Size(1),
                fee: crate::market::units::Notional::ZERO,
            },
        }
    }

    fn journal(rig: &mut Rig) -> Vec<Event> {
        std::iter::from_fn(|| rig.journal.pop()).collect()
    }

    #[test]
    fn what_left_says_so_and_how_it_was_signed() {
        let mut rig = rig(2, None);
        rig.orders.push(order(Action::Place)).unwrap();
        rig.orders.push(order(Action::Query)).unwrap();
        rig.gateway.turn(NOW);
        let told: Vec<_> = std::iter::from_fn(|| rig.reports.pop())
            .map(|r| r.kind)
            .collect();
        assert_eq!(told, [ReportKind::Sent], "a query is no order");
        let events = journal(&mut rig);
        let by = |wanted: Signing| {
            let is_it = move |how: &Signing| *how == wanted;
            move |e: &Event| matches!(e, Event::Signed { how, .. } if is_it(how))
        };
        let signed = by(Signing::Ahead);
        assert_eq!(events.iter().filter(|e| signed(e)).count(), 1);
        rig.orders.push(order(Action::Place)).unwrap();
        rig.gateway.turn(NOW);
        let in_full = by(Signing::Full);
        let later = journal(&mut rig);
        assert_eq!(
            later.iter().filter(|e| in_full(e)).count(),
            1,
            "no point is left"
        );
        for wanted in [Step::Sign, Step::Encode, Step::Send, Step::TickToSend] {
            let is_it = |e: &Event| matches!(e, Event::Latency { step, .. } if *step == wanted);
            assert_eq!(events.iter().filter(|e| is_it(e)).count(), 1, "{wanted:?}");
        }
    }

    #[test]
    fn orders_are_signed_ahead_when_idle_spaced_and_never_with_the_last_points() {
        let (mut rig, mut words) = foreseeing(POINTS_KEPT + 3);
        rig.orders.push(order(Action::Place)).unwrap();
        rig.gateway.turn(NOW);
        let prepared = |rig: &Rig| rig.gateway.parts.orders.prepared;
        assert_eq!(prepared(&rig), 0, "an order came first");
        for (after_ns, expected) in [(0, 1), (PREPARE_GAP_NS - 1, 1), (PREPARE_GAP_NS, 2)] {
            rig.gateway.turn(NOW.plus(after_ns));
            assert_eq!(prepared(&rig), expected, "{after_ns}");
        }
        rig.gateway.turn(NOW.plus(9 * PREPARE_GAP_NS));
        assert_eq!(prepared(&rig), 2, "the rest is for orders");
        assert_eq!(rig.gateway.parts.points.waiting(), POINTS_KEPT);
        // What can't be signed now is left to the scanner, who knows better by then.
        words.push(Foresight::Drop(InstrumentId(5))).unwrap();
        rig.gateway.turn(NOW.plus(20 * PREPARE_GAP_NS));
        assert_eq!(words.room(), 15);
    }

    #[test]
    fn words_are_heard_before_the_orders_that_were_sent_after_them() {
        let (mut rig, mut words) = foreseeing(0);
        let (one, sent) = (InstrumentId(5), Foresight::Drop(InstrumentId(99)));
        words.push(Foresight::Drop(one)).unwrap();
        rig.orders.push(order(Action::Place)).unwrap();
        rig.gateway.turn(NOW);
        let heard = [Foresight::Drop(one), sent];
        assert_eq!(rig.gateway.parts.orders.heard, heard);
    }

    #[test]
    fn halt_drops_what_is_ready_and_nothing_is_heard_after_it() {
        let (mut rig, mut words) = foreseeing(0);
        rig.halt.raise();
        words.push(Foresight::Drop(InstrumentId(5))).unwrap();
        rig.gateway.turn(NOW);
        rig.gateway.turn(NOW);
        assert_eq!(rig.gateway.parts.orders.heard, [Foresight::DropAll]);
        rig.orders.push(order(Action::Place)).unwrap();
        rig.gateway.turn(NOW);
        let told = std::iter::from_fn(|| rig.reports.pop()).next();
        assert_eq!(told.map(|report| report.kind), Some(ReportKind::Sent));
    }

    #[test]
    fn row_55_every_word_of_the_tier_reaches_the_venues_room() {
        let rig = rig(0, None);
        let (mut pace, pace_rx) = link("pace", 4);
        let mut gateway = rig.gateway.paced(pace_rx);
        for orders_per_minute in [60, 40] {
            pace.push(orders_per_minute).unwrap();
        }
        gateway.housekeeping(NOW);
        assert_eq!(gateway.parts.orders.paces, [60, 40]);
    }

    #[test]
    fn what_did_not_leave_says_why() {
        let why = Refusal::NonceUnknown;
        let mut rig = rig(1, Some(why));
        rig.orders.push(order(Action::Place)).unwrap();
        rig.gateway.turn(NOW);
        assert_eq!(rig.reports.pop().unwrap().kind, ReportKind::NotSent { why });
        let events = journal(&mut rig);
        assert!(matches!(events[..], [Event::NotSent { .. }]), "{events:?}");
    }

    #[test]
    fn row_15_what_its_lane_did_not_take_was_never_sent() {
        let mut rig = rig(3, None);
        let endpoint = Endpoint::parse("ws://127.0.0.1:9", "", Vec::new(), Protocol::WebSocket);
        let tls = TlsClient::new(None).unwrap();
        let limits = ConnectionLimits::default();
        let asleep = Connection::new(endpoint.unwrap(), 0, &tls, limits, 0);
        rig.gateway.parts.lanes = Lanes::new(vec![asleep]).unwrap();
        rig.gateway.parts.orders.writes = true;
        rig.orders.push(order(Action::Place)).unwrap();
        rig.orders.push(order(Action::Cancel)).unwrap();
        rig.gateway.turn(NOW);
        let told: Vec<_> = std::iter::from_fn(|| rig.reports.pop()).collect();
        let why = Refusal::NotConnected;
        assert_eq!(
            told.len(),
            1,
            "a cancel that did not leave says nothing of its order"
        );
        assert_eq!(told[0].kind, ReportKind::NotSent { why });
        let events = journal(&mut rig);
        let is_sent = |e: &Event| matches!(e, Event::OrderSent { .. });
        assert!(!events.iter().any(is_sent), "{events:?}");
    }

    #[test]
    fn no_report_is_lost_and_none_overtakes() {
        let mut rig = rig(0, None);
        rig.gateway.parts.orders.waiting = (0..100).map(fill).collect();
        rig.gateway.housekeeping(NOW);
        let mut seen = Vec::new();
        for _ in 0..100 {
            while let Some(report) = rig.reports.pop() {
                if let ReportKind::Fill { trade, .. } = report.kind {
                    seen.push(trade);
                }
            }
            rig.gateway.turn(NOW);
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert!(!rig.halt.is_raised());
    }

    #[test]
    fn a_scanner_that_never_reads_raises_halt() {
        let mut rig = rig(0, None);
        let room = (REPORTS_LEN + BACKLOG_MAX) as u64;
        for first in [0, REPORTS_PER_MESSAGE_MAX as u64] {
            let until = (first + REPORTS_PER_MESSAGE_MAX as u64).min(room);
            rig.gateway.parts.orders.waiting = (first..until).map(fill).collect();
            rig.gateway.housekeeping(NOW);
        }
        assert!(!rig.halt.is_raised(), "everything fits so far");
        rig.gateway.parts.orders.waiting = vec![fill(room)];
        rig.gateway.housekeeping(NOW);
        assert!(rig.halt.is_raised());
    }
}
