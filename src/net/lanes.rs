//! The connections of one stage and the poller that watches them: what feed and gateway share.
//!
//! All lanes lead to one venue, so what its front door says of one concerns them all: they share a
//! budget of dials and a rest after refusals (`dials.rs`). Promises: one look at readiness per
//! turn, never a wait; a lane that fails says so by `Down` and comes up anew by itself; a lane with
//! nothing to do costs nothing. Refuses: opinions on what is said.

use super::connection::Found;
use super::dials::Dials;
use super::lane_set::LaneSet;
use crate::market::units::Nanos;
use crate::net::{Connection, DownReason, Incoming, Poller, SystemCalls};
use core::time::Duration;
use std::hash::{BuildHasher, RandomState};
use std::io;

/// All lanes of a stage, numbered from 0.
pub struct Lanes {
    connections: Vec<Connection>,
    poller: Poller,
    /// Lanes that may have something to say.
    ready: LaneSet,
    /// Lanes that said something since they last were acknowledged.
    heard: LaneSet,
    dials: Dials,
    /// Whose turn it is to dial: lanes that keep failing must not use up the others' budget.
    dial_first: usize,
}

impl Lanes {
    /// Takes the connections over, awake or asleep; each was made with its own index as token, or
    /// this panics: that is the plan's fault, at start.
    pub fn new(connections: Vec<Connection>) -> io::Result<Lanes> {
        let is_in_order = connections
            .iter()
            .enumerate()
            .all(|(lane, connection)| connection.token == lane);
        assert!(is_in_order, "a lane's token is its index");
        // Processes and stages that are refused together must not come back together, so the seed
        // is the system's, by way of the standard library's hash keys.
        let seed = RandomState::new().hash_one(connections.len());
        Ok(Lanes {
            connections,
            poller: Poller::new()?,
            ready: LaneSet::default(),
            heard: LaneSet::default(),
            dials: Dials::new(seed),
            dial_first: 0,
        })
    }

    /// The same, with the kernel's stamps of what is read: for sockets dialed from now on.
    pub fn stamped(mut self) -> Lanes {
        let connections = self.connections.iter_mut();
        connections.for_each(|connection| connection.is_stamped = true);
        self
    }

    /// When the kernel took in what this lane read last, wall time; `None` when that read was not
    /// stamped or this was asked before.
    #[inline]
    pub fn take_stamp(&mut self, lane: usize) -> Option<Nanos> {
        self.connections[lane].take_stamp()
    }

    /// What was asked of the system by the connections that stand, and by the poller.
    pub fn system_calls(&self) -> SystemCalls {
        let polls = SystemCalls {
            polls: self.poller.polls,
            ..SystemCalls::default()
        };
        let calls = self.connections.iter().map(Connection::system_calls);
        calls.fold(polls, SystemCalls::and)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.connections.len()
    }

    /// Until when no lane dials, because an upgrade was answered with 403, 405 or 429; `None` when
    /// dialing is free. It changes at the beat and when such a `Down` is handed out.
    pub fn cooldown_until(&self) -> Option<Nanos> {
        self.dials.rest_until()
    }

    /// One look at the sockets' readiness. A poller that fails finds nothing; the lanes' silence
    /// deadlines then say so.
    #[inline]
    pub fn poll(&mut self) {
        let _ = self.poller.poll(Some(Duration::ZERO));
        let mut from = 0;
        while let Some(lane) = self.poller.next_seen(from) {
            from = lane + 1;
            if let Some(connection) = self.connections.get_mut(lane) {
                connection.mark_ready(&mut self.poller);
                self.ready.insert(lane);
            }
        }
    }

    /// The first lane at or after `from` that may have something to say. Visiting these after each
    /// poll, and pulling each until `None` or as far as the turn goes, misses nothing.
    #[inline]
    pub fn next_ready(&self, from: usize) -> Option<usize> {
        self.ready.next(from)
    }

    /// What a lane has to say next.
    #[inline]
    pub fn next(&mut self, lane: usize, now: Nanos) -> Option<Incoming<'_>> {
        let connection = &mut self.connections[lane];
        let Some(found) = connection.find(now) else {
            if !connection.has_more() {
                self.ready.remove(lane);
            }
            return None;
        };
        self.heard.insert(lane);
        if let Found::Down(DownReason::Refused { status }) = found {
            self.dials.note_refusal(status, now);
        }
        Some(connection.show(found))
    }

    /// Acknowledges what the lanes have said. For a turn that found nothing to do: whatever the
    /// messages caused has left by then.
    #[inline]
    pub fn acknowledge(&mut self) {
        while let Some(lane) = self.heard.next(0) {
            self.heard.remove(lane);
            self.connections[lane].acknowledge();
        }
    }

    /// Sends a WebSocket message. What can't leave means that the lane is going down: `Down` will
    /// say so, and whoever counts on an answer learns it there.
    #[inline]
    pub fn send_text(&mut self, lane: usize, payload: &[u8], now: Nanos) {
        let _ = self.offer_text(lane, payload, now);
    }

    /// Sends an HTTP request, head and body; else as [`Lanes::send_text`].
    #[inline]
    pub fn send_raw(&mut self, lane: usize, request: &[u8], now: Nanos) {
        let _ = self.offer_raw(lane, request, now);
    }

    /// As [`Lanes::send_text`]. `false`: the lane took nothing of it, because it is not live or its
    /// buffer is full. `true`: some of it may have left.
    #[inline]
    #[must_use]
    pub fn offer_text(&mut self, lane: usize, payload: &[u8], now: Nanos) -> bool {
        // Sending may find the connection broken: then there is news.
        self.ready.insert(lane);
        self.connections[lane].send_text(payload, now).is_ok()
    }

    /// As [`Lanes::offer_text`], for an HTTP request; `false` also while the last is unanswered.
    #[inline]
    #[must_use]
    pub fn offer_raw(&mut self, lane: usize, request: &[u8], now: Nanos) -> bool {
        self.ready.insert(lane);
        self.connections[lane].send_raw(request, now).is_ok()
    }

    /// Drops a lane's connection and dials again.
    #[cold]
    pub fn reconnect(&mut self, lane: usize, now: Nanos) {
        self.ready.insert(lane);
        self.connections[lane].reconnect(now);
    }

    /// Puts a lane to sleep: what stands is dropped with a goodbye and without a `Down`, and it is
    /// not dialed until [`Lanes::wake`].
    #[cold]
    pub fn hang(&mut self, lane: usize) {
        self.connections[lane].sleep();
    }

    /// Wakes a sleeping lane: it is dialed at the next beat that the budget and a cool-down allow.
    #[cold]
    pub fn wake(&mut self, lane: usize, now: Nanos) {
        self.connections[lane].wake(now);
    }

    /// Dials, deadlines, keepalives.
    #[cold]
    pub fn beat(&mut self, now: Nanos) {
        self.dials.beat(now);
        let (first, count) = (self.dial_first, self.connections.len());
        for at in 0..count {
            let lane = (first + at) % count;
            let connection = &mut self.connections[lane];
            if connection.is_due(now) {
                if !self.dials.take(now) {
                    continue;
                }
                self.dial_first = lane + 1;
            }
            connection.beat(&mut self.poller, now);
            if connection.has_more() {
                self.ready.insert(lane);
            }
        }
    }

    /// Says goodbye on every lane, for good.
    #[cold]
    pub fn close(&mut self) {
        for connection in &mut self.connections {
            connection.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{MS, SECOND};
    use crate::net::{ConnectionLimits, Endpoint, Protocol, TlsClient};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Instant;
    use tungstenite::{Message, WebSocket, accept};

    /// Lanes to one listener, and a clock that only moves when pushed.
    struct Rig {
        lanes: Lanes,
        now: Nanos,
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Event {
        Up(usize),
        Text(usize, Vec<u8>),
        Down(usize, DownReason),
    }

    impl Rig {
        /// The lanes in `asleep` begin so.
        fn new(count: usize, asleep: &[usize]) -> (Rig, TcpListener) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("ws://{}", listener.local_addr().unwrap());
            let tls = TlsClient::new(None).unwrap();
            let limits = ConnectionLimits {
                recv_bytes: 0,
                ping_after_ns: 0,
                silence_ns_max: u64::MAX,
                phase_ns_max: u64::MAX,
                ..ConnectionLimits::default()
            };
            let connection = |lane: usize| {
                let endpoint = Endpoint::parse(&url, "", Vec::new(), Protocol::WebSocket).unwrap();
                let mut made = Connection::new(endpoint, lane, &tls, limits, lane as u64);
                if asleep.contains(&lane) {
                    made.sleep();
                }
                made
            };
            let lanes = Lanes::new((0..count).map(connection).collect()).unwrap();
            let now = Nanos(1_000 * SECOND);
            (Rig { lanes, now }, listener)
        }

        fn skip(&mut self, duration_ns: u64) {
            self.now = self.now.plus(duration_ns);
        }

        /// One turn as a stage makes it: the first thing that a ready lane says.
        fn turn(&mut self) -> Option<Event> {
            self.lanes.beat(self.now);
            self.lanes.poll();
            let mut from = 0;
            while let Some(lane) = self.lanes.next_ready(from) {
                from = lane + 1;
                match self.lanes.next(lane, self.now) {
                    Some(Incoming::Up) => return Some(Event::Up(lane)),
                    Some(Incoming::Text(bytes)) => return Some(Event::Text(lane, bytes.to_vec())),
                    Some(Incoming::Down(reason)) => return Some(Event::Down(lane, reason)),
                    Some(Incoming::Response { .. }) => panic!("no lane speaks HTTP"),
                    None => {}
                }
            }
            None
        }

        /// Turns until there is an event; ten seconds at most.
        fn event(&mut self) -> Event {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(10) {
                if let Some(event) = self.turn() {
                    return event;
                }
            }
            panic!("nothing happened");
        }

        fn dials(&self, lane: usize) -> u64 {
            self.lanes.connections[lane].counters().dials
        }
    }

    fn upgraded(listener: &TcpListener) -> WebSocket<TcpStream> {
        accept(listener.accept().unwrap().0).unwrap()
    }

    #[test]
    fn row_13_one_refusal_holds_every_lane_back_and_live_ones_stay() {
        let (mut rig, listener) = Rig::new(3, &[1, 2]);
        let far = thread::spawn(move || {
            let mut live = upgraded(&listener);
            let mut refused = listener.accept().unwrap().0;
            let _ = refused.read(&mut [0; 4096]).unwrap();
            refused.write_all(b"HTTP/1.1 405 No\r\n\r\n").unwrap();
            let echo = live.read().unwrap();
            live.send(echo).unwrap();
            [upgraded(&listener), upgraded(&listener), live]
        });
        assert_eq!(rig.event(), Event::Up(0));
        rig.lanes.wake(1, rig.now);
        let reason = DownReason::Refused { status: 405 };
        assert_eq!(rig.event(), Event::Down(1, reason));
        let until = rig.lanes.cooldown_until().unwrap();
        assert!(until.since(rig.now) >= 10 * SECOND);
        rig.lanes.wake(2, rig.now);
        rig.skip(until.since(rig.now) - 1);
        assert_eq!(rig.turn(), None);
        assert_eq!((rig.dials(1), rig.dials(2)), (1, 0));
        rig.lanes.send_text(0, b"still here", rig.now);
        assert_eq!(rig.event(), Event::Text(0, b"still here".to_vec()));
        rig.skip(1);
        let mut ups = [rig.event(), rig.event()];
        ups.sort_by_key(|up| *up == Event::Up(2));
        assert_eq!(ups, [Event::Up(1), Event::Up(2)]);
        assert_eq!(rig.lanes.cooldown_until(), None);
        assert_eq!(rig.dials(0), 1);
        far.join().unwrap();
    }

    #[test]
    fn the_spare_comes_up_before_the_old_lane_hangs_up() {
        let (mut rig, listener) = Rig::new(2, &[1]);
        let far = thread::spawn(move || {
            let (mut old, spare) = (upgraded(&listener), upgraded(&listener));
            (old.read().unwrap(), spare)
        });
        assert_eq!(rig.event(), Event::Up(0));
        rig.lanes.wake(1, rig.now);
        assert_eq!(rig.event(), Event::Up(1));
        rig.lanes.hang(0);
        let (last, _spare) = far.join().unwrap();
        assert!(last.is_close());
        rig.skip(1_000 * MS);
        assert_eq!(rig.turn(), None);
        assert_eq!((rig.dials(0), rig.dials(1)), (1, 1));
    }

    #[test]
    fn many_lanes_come_up_in_steps() {
        let (mut rig, _listener) = Rig::new(25, &[3]);
        let mut total = [0; 3];
        for step in &mut total {
            rig.lanes.beat(rig.now);
            rig.lanes.beat(rig.now.plus(900 * MS));
            *step = (0..25).map(|lane| rig.dials(lane)).sum();
            rig.skip(SECOND);
        }
        assert_eq!(total, [10, 20, 24]);
        assert_eq!(rig.dials(3), 0);
    }

    #[test]
    fn row_13_lanes_that_all_fail_share_the_budget() {
        const LANES: usize = 40;
        let (mut rig, listener) = Rig::new(LANES, &[]);
        drop(listener);
        let mut before = 0;
        for minute in 0..10 {
            for _ in 0..600 {
                rig.turn();
                rig.skip(100 * MS);
            }
            let total: u64 = (0..LANES).map(|lane| rig.dials(lane)).sum();
            assert!(total - before <= 30, "minute {minute}");
            before = total;
        }
        let dials: Vec<u64> = (0..LANES).map(|lane| rig.dials(lane)).collect();
        let (least, most) = (dials.iter().min().unwrap(), dials.iter().max().unwrap());
        assert!(*least >= 5 && most - least <= 2, "{dials:?}");
    }

    #[test]
    fn lanes_without_news_are_not_visited() {
        const LANES: usize = 64;
        let (mut rig, listener) = Rig::new(LANES, &[]);
        let far = thread::spawn(move || {
            let mut all: Vec<_> = (0..LANES).map(|_| upgraded(&listener)).collect();
            all[17].send(Message::text("seventeen")).unwrap();
            all
        });
        let mut heard = Vec::new();
        while heard.len() <= LANES {
            match rig.turn() {
                Some(event) => heard.push(event),
                None => rig.skip(100 * MS),
            }
        }
        let _far = far.join().unwrap();
        assert!(heard.contains(&Event::Text(17, b"seventeen".to_vec())));
        assert!((0..LANES).all(|lane| heard.contains(&Event::Up(lane))));
        // What is still ready was ready for a reason, and is done once asked.
        while rig.turn().is_some() || rig.lanes.next_ready(0).is_some() {}
        rig.lanes.poll();
        assert_eq!(rig.lanes.next_ready(0), None);
        rig.lanes.reconnect(40, rig.now);
        assert_eq!(rig.lanes.next_ready(0), Some(40));
        assert_eq!(rig.lanes.next_ready(41), None);
        assert_eq!(rig.turn(), Some(Event::Down(40, DownReason::Requested)));
    }
}
