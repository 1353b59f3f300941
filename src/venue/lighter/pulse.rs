//! The pulse of one Lighter connection: greeting, pings both ways, silence. Shared by feed and
//! orders.
//!
//! Promises: the client speaks often enough (the venue drops clients silent for two minutes, data
//! flow not counted), and a connection that says nothing at all is given up.
//! Refuses: to judge a channel; a quiet market is not a dead one.

use super::wire::{Json, Kind};
use crate::market::units::{MS, Nanos, SECOND};
use crate::venue::{Lane, OutKind, Outbox};

/// Time between our pings. Larger than 120 s: the venue disconnects. Smaller: counts against 200
/// messages a minute.
const PING_EVERY_NS: u64 = 30 * SECOND;
/// With nothing heard for this long (our ping's answer included) the connection is given up.
const SILENCE_NS_MAX: u64 = 45 * SECOND;
/// The greeting comes at once after the upgrade; without it for this long the dial was for nothing.
const GREETING_NS_MAX: u64 = 10 * SECOND;

/// Word that is due is waited for so long before the connection is asked whether it lives, and its
/// answer as long again. Larger: a leg stands alone for longer on a connection that died without a
/// word. Smaller: the takers' delay and a slow answer cost pings, and at last connections.
const WORD_NS_MAX: u64 = 2 * SECOND;

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
    /// It was asked whether it lives.
    doubted: Option<Nanos>,
}

impl Pulse {
    /// For a lane that is down.
    pub fn new(lane: Lane) -> Pulse {
        Pulse {
            lane,
            state: State::Down,
            heard: Nanos::ZERO,
            pinged: Nanos::ZERO,
            doubted: None,
        }
    }

    /// The lane went up (the greeting is awaited) or down.
    pub fn on_link(&mut self, up: bool, now: Nanos) {
        self.heard = now;
        self.pinged = now;
        self.doubted = None;
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
        self.doubted = None;
    }

    /// Word of something that was sent at `since` is due. Where nothing at all was heard for too
    /// long, the connection is asked whether it lives, once.
    pub fn wait(&mut self, since: Nanos, now: Nanos, out: &mut Outbox) {
        let is_silent = self.heard < since && now.since(since) >= WORD_NS_MAX;
        if self.is_live() && is_silent && self.doubted.is_none() && self.ping(now, out) {
            self.doubted = Some(now);
        }
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
            State::Live => {
                let is_mute = |asked: Nanos| now.since(asked) >= WORD_NS_MAX;
                now.since(self.heard) >= SILENCE_NS_MAX || self.doubted.is_some_and(is_mute)
            }
        };
        if is_dead {
            return self.give_up(out);
        }
        if self.is_live() && now.since(self.pinged) >= PING_EVERY_NS {
            self.ping(now, out);
        }
    }

    /// False when the outbox is full.
    fn ping(&mut self, now: Nanos, out: &mut Outbox) -> bool {
        let sent = out.message(self.lane, OutKind::Text, |text| {
            text.put(b"{\"type\":\"ping\"}");
        });
        if sent {
            self.pinged = now;
        }
        sent
    }
}

/// Until when a connection is used after the venue has announced its end: three quarters of the
/// time it gives, so that what is on its way still comes in, and no more than ten seconds of it.
pub fn closing_at(root: Json, now: Nanos) -> Nanos {
    const GIVEN_MS_MAX: u64 = 10_000;
    let given_ms = root.field("close_in_ms").and_then(Json::integer);
    let given_ms = given_ms.unwrap_or(0).min(GIVEN_MS_MAX);
    now.plus(given_ms * MS * 3 / 4)
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
    fn row_11_word_that_is_due_is_asked_after_and_then_given_up() {
        let mut pulse = Pulse::new(0);
        let mut out = Outbox::new(1000, 10);
        pulse.on_link(true, Nanos(0));
        assert!(pulse.take(Kind::Connected, Nanos(SECOND), &mut out));
        let sent = Nanos(2 * SECOND);
        pulse.wait(sent, Nanos(3 * SECOND), &mut out);
        assert!(out.items().is_empty(), "not yet");
        pulse.wait(sent, Nanos(4 * SECOND), &mut out);
        pulse.wait(sent, Nanos(5 * SECOND), &mut out);
        assert_eq!(out.items().len(), 1, "asked once");
        assert!(pulse.take(Kind::Pong, Nanos(5 * SECOND), &mut out));
        pulse.wait(sent, Nanos(9 * SECOND), &mut out);
        pulse.on_beat(Nanos(9 * SECOND), &mut out);
        assert_eq!(out.items().len(), 1, "it lives");
        let sent = Nanos(10 * SECOND);
        pulse.wait(sent, Nanos(12 * SECOND), &mut out);
        pulse.on_beat(Nanos(13 * SECOND), &mut out);
        assert!(pulse.is_live());
        pulse.on_beat(Nanos(14 * SECOND), &mut out);
        assert!(!pulse.is_live());
        assert_eq!(out.items()[2].kind, OutKind::Reconnect);
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
