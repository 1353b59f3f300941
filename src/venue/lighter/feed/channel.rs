//! One channel's subscription, at its two places: the connection that feeds us, and the one that
//! takes over when the venue announced that it will end the first.
//!
//! ```text
//! Off -> Wanted -> Subscribing -> Subscribed -> LeaveWanted -> Leaving -> Wanted
//!                  Subscribing -> Resting -> LeaveWanted     (no answer)
//!                  Subscribed -> Resting -> LeaveWanted      (one fault after the other)
//! ```
//!
//! Leaving and coming back is the only way to a new snapshot: the venue refuses a second subscribe.
//! Promises: a channel that never answers, or never brings anything good, is asked ever more rarely
//! and holds no place among those in flight while it waits.

use crate::market::units::{Nanos, SECOND};

/// How long a subscribe or unsubscribe may go unanswered. A snapshot took 522 ms and an
/// acknowledgement 267 ms in practice.
pub const ANSWER_NS_MAX: u64 = 10 * SECOND;
/// From an unanswered subscribe to the next, the first time; it doubles with each. The first wait
/// is over with the answer's own.
const RETRY_NS: u64 = ANSWER_NS_MAX;
/// And never longer.
const RETRY_NS_MAX: u64 = 600 * SECOND;
/// Faults repaired at once; further ones wait as an unanswered subscribe does. Larger: a market
/// that can't be read spends more of the budget. Smaller: a bad minute costs more of it.
const FAULTS_AT_ONCE: u32 = 3;
/// In step for this long, earlier faults are forgotten.
const SOUND_NS: u64 = 60 * SECOND;

/// What a channel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Book of a market.
    Book,
    /// Best bid and ask of a market.
    Top,
    /// Mark, index and funding of all markets.
    Stats,
    /// Trades of a market.
    Trade,
}

impl Topic {
    /// As the venue calls it (source *ws*).
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Book => "order_book",
            Topic::Top => "ticker",
            Topic::Stats => "market_stats",
            Topic::Trade => "trade",
        }
    }

    /// From the venue's name.
    pub fn named(name: &str) -> Option<Topic> {
        let all = [Topic::Book, Topic::Top, Topic::Stats, Topic::Trade];
        all.into_iter().find(|topic| topic.name() == name)
    }
}

/// Where a subscription stands on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// Not to be subscribed here; what comes nevertheless is not heard.
    Off,
    /// To be subscribed as soon as the limits allow.
    Wanted,
    /// Asked for; the first frame is the answer.
    Subscribing {
        /// When it is given up.
        until: Nanos,
    },
    /// The first frame has come.
    Subscribed {
        /// When.
        since: Nanos,
    },
    /// Asked in vain, or at fault again and again: it waits before it is left.
    Resting {
        /// Until when.
        until: Nanos,
    },
    /// To be left as soon as the limits allow.
    LeaveWanted,
    /// Left; frames still on their way are let pass until the acknowledgement.
    Leaving {
        /// When the acknowledgement is given up.
        until: Nanos,
    },
}

impl Seat {
    /// An answer is awaited.
    pub fn is_in_flight(self) -> bool {
        matches!(self, Seat::Subscribing { .. } | Seat::Leaving { .. })
    }

    /// What comes here is to be heard. While a channel is left its frames say nothing, since one's
    /// successor may have been lost.
    pub fn is_heard(self) -> bool {
        !matches!(self, Seat::Off | Seat::LeaveWanted | Seat::Leaving { .. })
    }
}

/// One channel.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// What it tells.
    pub topic: Topic,
    /// Of which market, by the venue's number; `None`: of all.
    pub number: Option<u32>,
    /// The place it lives on: whose frames are taken.
    pub lives: usize,
    /// Both places.
    pub seats: [Seat; 2],
    /// Subscribes without an answer since the last answer.
    unanswered: u32,
    /// Faults since it was last sound.
    faults: u32,
}

impl Channel {
    /// Wanted on its first place.
    pub fn new(topic: Topic, number: Option<u32>) -> Channel {
        Channel {
            topic,
            number,
            lives: 0,
            seats: [Seat::Wanted, Seat::Off],
            unanswered: 0,
            faults: 0,
        }
    }

    /// Others go first: it has not answered twice.
    pub fn is_late(&self) -> bool {
        self.unanswered > 1
    }

    /// The first frame has come here. From now on it lives here.
    pub fn answer(&mut self, seat: usize, now: Nanos) {
        self.seats[seat] = Seat::Subscribed { since: now };
        self.unanswered = 0;
        self.live(seat);
    }

    /// Lives on this place alone from now on.
    pub fn live(&mut self, seat: usize) {
        if self.lives != seat {
            self.seats[self.lives] = Seat::Off;
            self.lives = seat;
        }
    }

    /// What it told here can't be true, or nothing will come: leave, and come back.
    pub fn repair(&mut self, seat: usize, now: Nanos) {
        match self.seats[seat] {
            Seat::Subscribed { since } => {
                if now.since(since) >= SOUND_NS {
                    self.faults = 0;
                }
            }
            // Its first frame was the bad one: nothing else will come.
            Seat::Subscribing { .. } => {}
            Seat::Off
            | Seat::Wanted
            | Seat::Resting { .. }
            | Seat::LeaveWanted
            | Seat::Leaving { .. } => return,
        }
        self.faults += 1;
        let waits = self.faults.saturating_sub(FAULTS_AT_ONCE);
        self.seats[seat] = rest(waits, now);
    }

    /// What its deadlines ask for. True when a subscribe was given up now.
    pub fn on_beat(&mut self, seat: usize, now: Nanos) -> bool {
        match self.seats[seat] {
            // The answer was lost, or there is none: leaving first makes the next subscribe good
            // in both cases.
            Seat::Subscribing { until } if now >= until => {
                self.seats[seat] = rest(self.unanswered, now);
                self.unanswered = self.unanswered.saturating_add(1);
                return true;
            }
            Seat::Resting { until } if now >= until => self.seats[seat] = Seat::LeaveWanted,
            Seat::Leaving { until } if now >= until => self.seats[seat] = Seat::Wanted,
            _ => {}
        }
        false
    }
}

/// A pause before the channel is left: none, 10 s, 30 s, 70 s and so on, so that subscribes are 10
/// s, 20 s, 40 s apart.
fn rest(doublings: u32, now: Nanos) -> Seat {
    let wait_ns = (RETRY_NS << doublings.min(6)).min(RETRY_NS_MAX) - RETRY_NS;
    match wait_ns {
        0 => Seat::LeaveWanted,
        _ => Seat::Resting {
            until: now.plus(wait_ns),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Nanos = Nanos(1_000 * SECOND);

    /// Seconds from one subscribe to the next, of a channel that is never answered.
    fn distances(count: usize) -> Vec<u64> {
        let mut channel = Channel::new(Topic::Book, Some(0));
        let (mut now, mut last, mut found) = (START, START, Vec::new());
        while found.len() < count {
            assert!(now.since(START) < 10_000 * SECOND);
            channel.on_beat(0, now);
            match channel.seats[0] {
                Seat::LeaveWanted => channel.seats[0] = Seat::Wanted,
                Seat::Wanted => {
                    let until = now.plus(ANSWER_NS_MAX);
                    channel.seats[0] = Seat::Subscribing { until };
                    found.push(now.since(last) / SECOND);
                    last = now;
                }
                _ => now = now.plus(SECOND),
            }
        }
        found
    }

    #[test]
    fn row_7_a_channel_that_never_answers_is_asked_ever_more_rarely() {
        assert_eq!(distances(9), [0, 10, 20, 40, 80, 160, 320, 600, 600]);
    }

    #[test]
    fn faults_are_repaired_at_once_until_they_are_many() {
        let mut channel = Channel::new(Topic::Book, Some(0));
        let mut repaired = |now: Nanos| {
            channel.answer(0, now);
            channel.repair(0, now.plus(SECOND));
            channel.seats[0]
        };
        for _ in 0..FAULTS_AT_ONCE {
            assert_eq!(repaired(START), Seat::LeaveWanted);
        }
        let until = START.plus(11 * SECOND);
        assert_eq!(repaired(START), Seat::Resting { until });
        // Sound for a minute, all is forgotten.
        channel.answer(0, START);
        channel.repair(0, START.plus(SOUND_NS));
        assert_eq!(channel.seats[0], Seat::LeaveWanted);
        channel.repair(0, START.plus(SOUND_NS));
        assert_eq!(channel.faults, 1, "what is left already is left once");
    }

    #[test]
    fn a_channel_moves_with_its_first_frame_over_there() {
        let mut channel = Channel::new(Topic::Book, Some(0));
        channel.answer(0, START);
        channel.seats[1] = Seat::Wanted;
        assert_eq!(channel.lives, 0);
        channel.answer(1, START);
        let subscribed = Seat::Subscribed { since: START };
        assert_eq!((channel.lives, channel.seats), (1, [Seat::Off, subscribed]));
        channel.answer(0, START);
        assert_eq!(channel.seats, [subscribed, Seat::Off]);
    }

    #[test]
    fn topics_by_name() {
        for topic in [Topic::Book, Topic::Top, Topic::Stats, Topic::Trade] {
            assert_eq!(Topic::named(topic.name()), Some(topic));
        }
        assert_eq!(Topic::named("height"), None);
    }
}
