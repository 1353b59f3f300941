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
use crate::market::units::{Nanos, SECOND};
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
    /// The system refused: address, route, or the peer's port. `TimedOut` once live: what was sent,
    /// or the kernel's probe, was not acknowledged.
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
    /// WebSocket: time from one ping to the next. Zero: never. Larger: paths and venues forget us.
    pub ping_after_ns: u64,
    /// WebSocket: down when nothing was heard for this long; a pong is due well before.
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
/// any --sleep--> Asleep --wake--> BackingOff, over as soon as dials may follow each other
/// any --close--> Closed
/// ```
pub(super) enum State {
    /// Not dialed yet.
    Down,
    /// Kept for later: not dialed until woken.
    Asleep,
    /// Down for good.
    Closed,
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

impl Connection {
    /// What is due by time: dials, deadlines, the idle ping. Call it a few times a second.
    #[cold]
    pub fn beat(&mut self, poller: &mut Poller, now: Nanos) {
        let limits = self.limits;
        let late = |phase, since: Nanos| {
            (now.since(since) > limits.phase_ns_max).then_some(DownReason::Late(phase))
        };
        let reason = match &self.state {
            State::Down | State::BackingOff { .. } if self.is_due(now) => {
                self.dial(poller, now).err()
            }
            State::Down | State::BackingOff { .. } | State::Asleep | State::Closed => None,
            State::Dialing { since, .. } => late(Phase::Dialing, *since),
            State::Securing { since, .. } => late(Phase::Securing, *since),
            State::Upgrading { since, .. } => late(Phase::Upgrading, *since),
            State::Live { .. } => self.beat_live(now),
        };
        if let Some(reason) = reason {
            self.fall(reason, now);
        }
    }

    /// Whether the next beat would dial.
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        match &self.state {
            State::Down => true,
            State::BackingOff { until } => now >= *until,
            State::Asleep
            | State::Closed
            | State::Dialing { .. }
            | State::Securing { .. }
            | State::Upgrading { .. }
            | State::Live { .. } => false,
        }
    }

    /// Begins a new connection on clean buffers. The socket is registered under the lane's token,
    /// so events of the socket before it, already closed, cannot be mistaken for its own for long:
    /// at worst a read says "would block".
    fn dial(&mut self, poller: &mut Poller, now: Nanos) -> Result<(), DownReason> {
        self.forget();
        self.backoff.dialed_at = Some(now);
        self.counters.dials += 1;
        let address = self.endpoint.address(self.backoff.address_idx);
        // Set first: if the dial fails, the attempt counts.
        self.state = State::Down;
        let mut socket = Socket::dial(address, self.token, poller).map_err(down)?;
        if self.is_stamped {
            socket.ask_stamps();
        }
        self.state = State::Dialing { socket, since: now };
        Ok(())
    }

    /// Deadlines of a live connection. A stalled write comes first: whatever else is late is so
    /// because of it. The ping goes out whatever else was sent: it keeps paths through address
    /// translation open and venues content that want to hear from their clients, and its pong is
    /// what makes silence mean something.
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
                    && now.since(self.pinged_at) >= idle_ns
                    && self.send_frame(Opcode::Ping, &[], now).is_ok()
                {
                    self.pinged_at = now;
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
            State::Down
            | State::Asleep
            | State::Closed
            | State::Live { .. }
            | State::BackingOff { .. } => Ok(state),
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
        self.pinged_at = now;
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
            State::Live { .. } if is_idle_end => self.backoff.afresh(now, &self.limits),
            State::Live { since, .. } => {
                let lived_ns = now.since(since);
                self.backoff.until(lived_ns, now, &self.limits)
            }
            State::Down
            | State::Asleep
            | State::Closed
            | State::Dialing { .. }
            | State::Securing { .. }
            | State::Upgrading { .. }
            | State::BackingOff { .. } => {
                self.backoff.address_idx = self.backoff.address_idx.wrapping_add(1);
                self.backoff.until(0, now, &self.limits)
            }
        };
        self.forget();
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
            State::Down | State::BackingOff { .. } | State::Asleep | State::Closed => {}
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
        self.leave(State::Closed);
    }

    /// Says goodbye as [`Connection::close`] does, and is not dialed until [`Connection::wake`]: a
    /// spare. The owner, whose wish it is, is told no `Down`. A spare that never was up has touched
    /// none of its buffers, so they are not resident; one that was keeps what it touched.
    #[cold]
    pub fn sleep(&mut self) {
        if !matches!(self.state, State::Closed) {
            self.leave(State::Asleep);
        }
    }

    /// Ends the sleep: the next beat dials, unless this lane's last dial was too short a time ago.
    /// Does nothing to a connection that is awake or closed.
    #[cold]
    pub fn wake(&mut self, now: Nanos) {
        if matches!(self.state, State::Asleep) {
            let until = self.backoff.afresh(now, &self.limits);
            self.state = State::BackingOff { until };
        }
    }

    /// Whether it sleeps.
    pub fn is_asleep(&self) -> bool {
        matches!(self.state, State::Asleep)
    }

    /// Gives up what stands, politely, with nothing left to tell.
    fn leave(&mut self, state: State) {
        self.say_goodbye();
        self.state = state;
        self.forget();
        self.notice = None;
        self.is_cut_short = false;
    }

    /// Nothing of the last connection reaches the next.
    fn forget(&mut self) {
        self.buffers.clear();
        self.framing.reset();
        self.stalled_at = None;
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
