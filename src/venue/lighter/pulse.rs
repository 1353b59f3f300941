//! The pulse of one Lighter connection: greeting, pings both ways, silence. Shared by feed and
//! orders.
//!
//! Promises: the client speaks often enough (the venue drops clients silent for two minutes, data
//! flow not counted), and a connection that says nothing at all is given up.
//! Refuses: to judge a channel; a quiet market is not a dead one.

use super::wire::Kind;
use crate::market::units::{Nanos, SECOND};
use crate::venue::{Lane, OutKind, Outbox};

/// Time between our pings. Larger than 120 s: the venue disconnects. Smaller: counts against 200
/// messages a minute.
const PING_EVERY_NS: u64 = 30 * SECOND;
/// With nothing heard for this long (our ping's answer included) the connection is given up.
const SILENCE_NS_MAX: u64 = 45 * SECOND;
/// The greeting comes at once after the upgrade; without it for this long the dial was for nothing.
const GREETING_NS_MAX: u64 = 10 * SECOND;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down,
    Greeting { until: Nanos },
    Live,
}

/// One connection's pulse.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    lane: Lane,
    state: State,
    heard: Nanos,
    pinged: Nanos,
}

impl Pulse {
    /// For a lane that is down.
    pub fn new(lane: Lane) -> Pulse {
        Pulse {
            lane,
            state: State::Down,
            heard: Nanos::ZERO,
            pinged: Nanos::ZERO,
        }
    }

    /// The lane went up (the greeting is awaited) or down.
    pub fn on_link(&mut self, up: bool, now: Nanos) {
        self.heard = now;
        self.pinged = now;
        self.state = if up {
            State::Greeting {
                until: now.plus(GREETING_NS_MAX),
            }
        } else {
            State::Down
        };
    }

    /// The greeting has come and the lane is still up.
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// The connection said something that is not about itself.
    pub fn hear(&mut self, now: Nanos) {
        self.heard = now;
    }

    /// Takes the messages that are about the connection itself. True when this was one.
    pub fn take(&mut self, kind: Kind, now: Nanos, out: &mut Outbox) -> bool {
        self.hear(now);
        match kind {
            Kind::Connected => self.state = State::Live,
            Kind::Ping => {
                out.message(self.lane, OutKind::Text, |text| {
                    text.put(b"{\"type\":\"pong\"}");
                });
            }
            Kind::Pong => {}
            Kind::Shutdown => {
                out.reconnect(self.lane);
            }
            Kind::Subscribed
            | Kind::Update
            | Kind::Unsubscribed
            | Kind::Answer
            | Kind::Error
            | Kind::Unknown => return false,
        }
        true
    }

    /// Asks for a new connection; until then this one is down.
    pub fn give_up(&mut self, out: &mut Outbox) {
        if out.reconnect(self.lane) {
            self.state = State::Down;
        }
    }

    /// Sends what is due; asks for a new connection when this one is dead.
    pub fn on_beat(&mut self, now: Nanos, out: &mut Outbox) {
        let is_dead = match self.state {
            State::Down => return,
            State::Greeting { until } => now >= until,
            State::Live => now.since(self.heard) >= SILENCE_NS_MAX,
        };
        if is_dead {
            return self.give_up(out);
        }
        if self.is_live() && now.since(self.pinged) >= PING_EVERY_NS {
            let sent = out.message(self.lane, OutKind::Text, |text| {
                text.put(b"{\"type\":\"ping\"}");
            });
            if sent {
                self.pinged = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_at_its_time_and_gives_up_on_silence() {
        let mut pulse = Pulse::new(3);
        let mut out = Outbox::new(1000, 10);
        pulse.on_beat(Nanos(0), &mut out);
        pulse.on_link(true, Nanos(0));
        assert!(pulse.take(Kind::Connected, Nanos(0), &mut out));
        pulse.on_beat(Nanos(29 * SECOND), &mut out);
        assert!(out.items().is_empty());
        pulse.on_beat(Nanos(30 * SECOND), &mut out);
        pulse.on_beat(Nanos(31 * SECOND), &mut out);
        assert_eq!(out.items().len(), 1);
        assert_eq!(out.payload(&out.items()[0]), b"{\"type\":\"ping\"}");
        pulse.on_beat(Nanos(45 * SECOND), &mut out);
        assert_eq!(out.items()[1].kind, OutKind::Reconnect);
        assert_eq!(out.items()[1].lane, 3);
        assert!(!pulse.is_live());
    }

    #[test]
    fn a_missing_greeting_is_a_dead_connection() {
        let mut pulse = Pulse::new(0);
        let mut out = Outbox::new(100, 10);
        pulse.on_link(true, Nanos(0));
        pulse.on_beat(Nanos(9 * SECOND), &mut out);
        assert!(out.items().is_empty());
        pulse.on_beat(Nanos(10 * SECOND), &mut out);
        assert_eq!(out.items()[0].kind, OutKind::Reconnect);
    }
}
