//! How a connection comes up and goes down: dial, TLS, upgrade, deadlines, back-off. Cold.
//!
//! Transitions consume the old state and return the new one, or the reason to go down. Promises:
//! every phase has a deadline, every failure a reason and a back-off, and dials never come faster
//! than the limits say. Refuses to wait: all of it moves by readiness and by the beat.

use super::connection::{Connection, Found, Framing};
use super::endpoint::Protocol;
use super::http::{self, HttpError, Upgrade};
use super::pipe::{Buffers, CIPHER_BYTES, Pipe, Pulled, down};
use super::socket::{Poller, Socket};
use super::tls::{RECORD_BYTES_MAX, TlsFault};
use super::ws::{FrameError, Opcode, UpgradeKey};
use crate::market::units::{MS, Nanos, SECOND};
use std::io::ErrorKind;
use std::mem;

/// A step on the way up, for reports. HTTP connections have no `Upgrading`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// TCP connect.
    Dialing,
    /// TLS handshake.
    Securing,
    /// WebSocket upgrade.
    Upgrading,
}

/// Why a connection is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// The system refused: address, route, or the peer's port.
    Socket(ErrorKind),
    /// A phase of coming up took longer than allowed.
    Late(Phase),
    /// TLS failed.
    Tls(TlsFault),
    /// The upgrade was answered with this HTTP status.
    Refused {
        /// The status.
        status: u16,
    },
    /// The peer sent a WebSocket close frame; 1005 when it gave no code.
    ClosedByPeer {
        /// The close code.
        code: u16,
    },
    /// The peer ended the connection between messages.
    Ended,
    /// The connection broke in the middle of something.
    Cut,
    /// The peer broke the WebSocket protocol.
    Frame(FrameError),
    /// The peer broke HTTP.
    Http(HttpError),
    /// Ours: a buffer was too small for what must be held at once.
    Overflow,
    /// Nothing was heard for too long.
    Silent,
    /// What we sent was not taken for too long.
    WriteStalled,
    /// The response did not come in time.
    ResponseLate,
    /// The owner asked for a new connection.
    Requested,
}

/// Sizes and deadlines of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Plain bytes held at once. Larger: more memory. Smaller: a snapshot may not fit.
    pub recv_bytes: usize,
    /// Longest frame or request sent; twice this may wait to be written.
    pub send_bytes: usize,
    /// Longest message or body taken; kept at least 162 KiB below `recv_bytes`.
    pub message_bytes_max: usize,
    /// Deadline for each phase of coming up.
    pub phase_ns_max: u64,
    /// WebSocket: ping when nothing was sent for this long. Zero: never.
    pub ping_after_ns: u64,
    /// WebSocket: down when nothing was heard for this long.
    pub silence_ns_max: u64,
    /// Down when a write has waited this long.
    pub write_ns_max: u64,
    /// HTTP: down when a response has not come for this long.
    pub response_ns_max: u64,
    /// Shortest time from one dial to the next.
    pub redial_ns_min: u64,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits {
            recv_bytes: 2 << 20,
            send_bytes: 64 << 10,
            message_bytes_max: 1 << 20,
            phase_ns_max: 5 * SECOND,
            ping_after_ns: 30 * SECOND,
            silence_ns_max: 45 * SECOND,
            write_ns_max: 3 * SECOND,
            response_ns_max: 10 * SECOND,
            redial_ns_min: SECOND,
        }
    }
}

impl ConnectionLimits {
    /// The same with sizes that cannot contradict each other: the inbox holds a whole message with
    /// its head, beside room for all that may stand in the cipher buffer (sending opens it first)
    /// and one more record.
    pub(super) fn consistent(self) -> ConnectionLimits {
        let recv_bytes = self.recv_bytes.max(2 * CIPHER_BYTES);
        let whole_bytes = recv_bytes - CIPHER_BYTES - 2 * RECORD_BYTES_MAX;
        ConnectionLimits {
            recv_bytes,
            send_bytes: self.send_bytes.max(RECORD_BYTES_MAX),
            message_bytes_max: self.message_bytes_max.min(whole_bytes),
            ..self
        }
    }
}

/// The state of a connection.
///
/// ```text
/// Down --beat--> Dialing --writable--> Securing --handshake--> Upgrading --101--> Live
///                   plain: no Securing; HTTP: no Upgrading
/// any of these --error, deadline, request--> BackingOff --beat, time over--> Dialing
/// any --close--> Down, for good
/// ```
pub(super) enum State {
    /// Not dialed yet, or closed for good.
    Down,
    /// TCP connect under way.
    Dialing { socket: Socket, since: Nanos },
    /// TLS handshake under way.
    Securing { pipe: Pipe, since: Nanos },
    /// Upgrade sent; `accept` is the answer the server owes.
    Upgrading {
        pipe: Pipe,
        accept: [u8; 28],
        since: Nanos,
    },
    /// Messages flow.
    Live { pipe: Pipe, since: Nanos },
    /// Waiting to dial again.
    BackingOff { until: Nanos },
}

/// When to dial again: half a second, doubling to thirty, with jitter, so that many lanes cut
/// together do not come back together.
pub(super) struct Backoff {
    attempts: u32,
    /// Which address is dialed: the next one after each attempt that did not come up.
    address_idx: u32,
    dialed_at: Nanos,
    random: Random,
}

/// First delay. Larger: longer blind after a cut. Smaller: venues take it for an attack.
const DELAY_NS_FIRST: u64 = 500 * MS;
/// Longest delay.
const DELAY_NS_MAX: u64 = 30 * SECOND;
/// Delay after a refusal that means "too many" or "not you": rate limiters and firewalls in front
/// of venues count each further try against the caller.
const COOL_DOWN_NS: u64 = 60 * SECOND;
/// A connection that lived this long was a good one: the next delay is the first again.
const SETTLED_NS: u64 = 10 * SECOND;

impl Backoff {
    pub(super) fn new(seed: u64) -> Backoff {
        Backoff {
            attempts: 0,
            address_idx: 0,
            dialed_at: Nanos::ZERO,
            random: Random(seed),
        }
    }

    /// When to dial after going down now, `lived_ns` after coming up. Half of the delay is fixed,
    /// half is drawn.
    fn until(
        &mut self,
        reason: DownReason,
        lived_ns: u64,
        now: Nanos,
        limits: &ConnectionLimits,
    ) -> Nanos {
        if lived_ns >= SETTLED_NS {
            self.attempts = 0;
        }
        let whole_ns = match reason {
            DownReason::Refused {
                status: 403 | 405 | 429,
            } => 2 * COOL_DOWN_NS,
            _ => (DELAY_NS_FIRST << self.attempts.min(8)).min(DELAY_NS_MAX),
        };
        self.attempts = self.attempts.saturating_add(1);
        let half_ns = whole_ns / 2;
        let delay_ns = half_ns + self.random.next() % (half_ns + 1);
        now.plus(delay_ns)
            .max(self.dialed_at.plus(limits.redial_ns_min))
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): for jitter and for masks, which on TLS only keep the
/// form of the protocol. Not for secrets.
pub(super) struct Random(pub(super) u64);

impl Random {
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Connection {
    /// What is due by time: dials, deadlines, the idle ping. Call it a few times a second.
    #[cold]
    pub fn beat(&mut self, poller: &mut Poller, now: Nanos) {
        let limits = self.limits;
        let late = |phase, since: Nanos| {
            (now.since(since) > limits.phase_ns_max).then_some(DownReason::Late(phase))
        };
        let reason = match &self.state {
            State::Down if self.is_closed => None,
            State::Down => self.dial(poller, now).err(),
            State::BackingOff { until } if now >= *until => self.dial(poller, now).err(),
            State::BackingOff { .. } => None,
            State::Dialing { since, .. } => late(Phase::Dialing, *since),
            State::Securing { since, .. } => late(Phase::Securing, *since),
            State::Upgrading { since, .. } => late(Phase::Upgrading, *since),
            State::Live { .. } => self.beat_live(now),
        };
        if let Some(reason) = reason {
            self.fall(reason, now);
        }
    }

    /// Begins a new connection on clean buffers. The socket is registered under the lane's token,
    /// so events of the socket before it, already closed, cannot be mistaken for its own for long:
    /// at worst a read says "would block".
    fn dial(&mut self, poller: &mut Poller, now: Nanos) -> Result<(), DownReason> {
        self.buffers.clear();
        self.framing.reset();
        self.stalled_at = None;
        self.backoff.dialed_at = now;
        self.counters.dials += 1;
        let address = self.endpoint.address(self.backoff.address_idx);
        // Set first: if the dial fails, the attempt counts.
        self.state = State::Down;
        let socket = Socket::dial(address, self.token, poller).map_err(down)?;
        self.state = State::Dialing { socket, since: now };
        Ok(())
    }

    /// Deadlines of a live connection. A stalled write comes first: whatever else is late is so
    /// because of it. The ping keeps paths through address translation open and venues content
    /// that want to hear from their clients.
    fn beat_live(&mut self, now: Nanos) -> Option<DownReason> {
        if let Some(stalled_at) = self.stalled_at
            && now.since(stalled_at) > self.limits.write_ns_max
        {
            return Some(DownReason::WriteStalled);
        }
        match &self.framing {
            Framing::Http { asked_at, .. } => {
                let is_late = |at: Nanos| now.since(at) > self.limits.response_ns_max;
                asked_at
                    .is_some_and(is_late)
                    .then_some(DownReason::ResponseLate)
            }
            Framing::WebSocket(_) => {
                if now.since(self.heard_at) > self.limits.silence_ns_max {
                    return Some(DownReason::Silent);
                }
                let idle_ns = self.limits.ping_after_ns;
                if idle_ns > 0
                    && now.since(self.sent_at) >= idle_ns
                    && self.send_frame(Opcode::Ping, &[], now).is_ok()
                {
                    self.counters.pings_out += 1;
                }
                None
            }
        }
    }

    /// Carries on whatever phase is under way, as far as readiness allows.
    #[cold]
    pub(super) fn advance(&mut self, now: Nanos) {
        let state = mem::replace(&mut self.state, State::Down);
        let result = match state {
            State::Dialing { socket, since } => self.dialing(socket, since, now),
            State::Securing { pipe, since } => self.securing(pipe, since, now),
            State::Upgrading {
                pipe,
                accept,
                since,
            } => self.upgrading(pipe, accept, since, now),
            State::Down | State::Live { .. } | State::BackingOff { .. } => Ok(state),
        };
        match result {
            Ok(state) => self.state = state,
            Err(reason) => self.fall(reason, now),
        }
    }

    /// TCP connect: done when the socket is writable and has no error. With TLS the session is
    /// made here, per connection; the memory it works on is ours and is kept.
    fn dialing(
        &mut self,
        mut socket: Socket,
        since: Nanos,
        now: Nanos,
    ) -> Result<State, DownReason> {
        if !socket.is_connected().map_err(down)? {
            return Ok(State::Dialing { socket, since });
        }
        let session = if self.endpoint.is_secure() {
            let session = self.tls.session(self.endpoint.host());
            Some(session.map_err(DownReason::Tls)?)
        } else {
            None
        };
        let pipe = Pipe { socket, session };
        self.securing(pipe, now, now)
    }

    /// TLS handshake; once it is done, the upgrade request goes out in the same turn. HTTP is live
    /// then: the first request is its owner's.
    fn securing(&mut self, mut pipe: Pipe, since: Nanos, now: Nanos) -> Result<State, DownReason> {
        if !pipe.shake(&mut self.buffers)? {
            return Ok(State::Securing { pipe, since });
        }
        if self.endpoint.protocol() == Protocol::Http {
            return Ok(self.live(pipe, now));
        }
        let UpgradeKey { key, accept } = UpgradeKey::new();
        self.buffers.scratch.clear();
        let len = self
            .endpoint
            .write_upgrade(&key, self.buffers.scratch.room_mut())
            .ok_or(DownReason::Overflow)?;
        self.buffers.scratch.commit(len);
        let is_put = pipe.put(&mut self.buffers);
        // The request may carry an API key.
        self.buffers.scratch.wipe();
        if !is_put? {
            return Err(DownReason::Overflow);
        }
        self.upgrading(pipe, accept, now, now)
    }

    /// Waits for the answer to the upgrade. Bytes behind it are the first frames: they stay in the
    /// inbox.
    fn upgrading(
        &mut self,
        mut pipe: Pipe,
        accept: [u8; 28],
        since: Nanos,
        now: Nanos,
    ) -> Result<State, DownReason> {
        loop {
            pipe.flush(&mut self.buffers)?;
            let answer = http::parse_upgrade(self.buffers.inbox.filled(), &accept)
                .map_err(DownReason::Http)?;
            match answer {
                Some(Upgrade::Agreed(len)) => {
                    self.buffers.inbox.consume(len);
                    return Ok(self.live(pipe, now));
                }
                Some(Upgrade::Refused(status)) => return Err(DownReason::Refused { status }),
                None => {}
            }
            match pipe.pull(&mut self.buffers)? {
                Pulled::Moved => {}
                Pulled::Blocked => {
                    return Ok(State::Upgrading {
                        pipe,
                        accept,
                        since,
                    });
                }
                Pulled::Ended { .. } => return Err(DownReason::Cut),
            }
        }
    }

    /// Everything that counts time begins now.
    fn live(&mut self, pipe: Pipe, now: Nanos) -> State {
        self.counters.ups += 1;
        self.heard_at = now;
        self.sent_at = now;
        self.notice = Some(Found::Up);
        State::Live { pipe, since: now }
    }

    /// Goes down: the socket is dropped, the back-off begins, the owner will be told.
    #[cold]
    pub(super) fn fall(&mut self, reason: DownReason, now: Nanos) {
        // An HTTP server that ends a connection between requests means no harm: dial as soon as
        // allowed.
        let is_http = matches!(self.framing, Framing::Http { .. });
        let is_idle_end = reason == DownReason::Ended && is_http;
        let until = match mem::replace(&mut self.state, State::Down) {
            State::Live { .. } if is_idle_end => {
                self.backoff.attempts = 0;
                now.max(self.backoff.dialed_at.plus(self.limits.redial_ns_min))
            }
            State::Live { since, .. } => {
                let lived_ns = now.since(since);
                self.backoff.until(reason, lived_ns, now, &self.limits)
            }
            State::Down
            | State::Dialing { .. }
            | State::Securing { .. }
            | State::Upgrading { .. }
            | State::BackingOff { .. } => {
                self.backoff.address_idx = self.backoff.address_idx.wrapping_add(1);
                self.backoff.until(reason, 0, now, &self.limits)
            }
        };
        self.buffers.clear();
        self.framing.reset();
        self.stalled_at = None;
        self.counters.downs += 1;
        self.counters.last_down = Some(reason);
        self.state = State::BackingOff { until };
        self.notice = Some(Found::Down(reason));
    }

    /// Gives this connection up and dials anew after the back-off: the owner lost trust in the
    /// stream. Does nothing when no connection stands.
    #[cold]
    pub fn reconnect(&mut self, now: Nanos) {
        match &self.state {
            State::Down | State::BackingOff { .. } => {}
            State::Dialing { .. }
            | State::Securing { .. }
            | State::Upgrading { .. }
            | State::Live { .. } => self.fall(DownReason::Requested, now),
        }
    }

    /// Says goodbye and stays down for good. What waits in the send buffer is written first as far
    /// as the socket takes it at once.
    #[cold]
    pub fn close(&mut self) {
        self.say_goodbye();
        self.state = State::Down;
        self.buffers.clear();
        self.framing.reset();
        self.notice = None;
        self.is_closed = true;
    }
}

/// Buffers for these limits.
pub(super) fn buffers(limits: &ConnectionLimits) -> Buffers {
    Buffers::new(limits.recv_bytes, limits.send_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Nanos = Nanos(1_000 * SECOND);

    #[test]
    fn delays_double_to_a_limit_and_differ_by_seed() {
        let limits = ConnectionLimits::default();
        let mut backoff = Backoff::new(7);
        for attempt in 0..12 {
            let whole_ns = (DELAY_NS_FIRST << attempt).min(DELAY_NS_MAX);
            let until = backoff.until(DownReason::Cut, 0, START, &limits);
            let delay_ns = until.since(START);
            assert!((whole_ns / 2..=whole_ns).contains(&delay_ns), "{attempt}");
        }
        let mut first = Backoff::new(1);
        let mut second = Backoff::new(2);
        assert_ne!(
            first.until(DownReason::Cut, 0, START, &limits),
            second.until(DownReason::Cut, 0, START, &limits)
        );
        let until = backoff.until(DownReason::Cut, SETTLED_NS, START, &limits);
        assert!(until.since(START) <= DELAY_NS_FIRST);
    }

    #[test]
    fn refusals_cool_down() {
        let limits = ConnectionLimits::default();
        for status in [403, 405, 429] {
            let reason = DownReason::Refused { status };
            let until = Backoff::new(3).until(reason, 0, START, &limits);
            assert!(until.since(START) >= COOL_DOWN_NS);
        }
        let reason = DownReason::Refused { status: 503 };
        let until = Backoff::new(3).until(reason, 0, START, &limits);
        assert!(until.since(START) <= DELAY_NS_FIRST);
    }

    #[test]
    fn dials_keep_their_distance() {
        let limits = ConnectionLimits {
            redial_ns_min: 5 * SECOND,
            ..ConnectionLimits::default()
        };
        let mut backoff = Backoff::new(3);
        backoff.dialed_at = START;
        let until = backoff.until(DownReason::Cut, 0, START.plus(SECOND), &limits);
        assert_eq!(until, START.plus(5 * SECOND));
        let later = START.plus(3600 * SECOND);
        let until = backoff.until(DownReason::Cut, 3600 * SECOND, later, &limits);
        assert!(until.since(later) <= DELAY_NS_FIRST);
    }

    proptest! {
        #[test]
        fn sizes_never_contradict(recv in 0_usize..1 << 24, send in 0_usize..1 << 20) {
            let limits = ConnectionLimits {
                recv_bytes: recv,
                send_bytes: send,
                message_bytes_max: usize::MAX,
                ..ConnectionLimits::default()
            }
            .consistent();
            prop_assert!(limits.message_bytes_max + 2 * RECORD_BYTES_MAX <= limits.recv_bytes);
            prop_assert!(limits.send_bytes >= RECORD_BYTES_MAX);
        }
    }
}
