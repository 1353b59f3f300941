//! All channels of the feed and the connections they come by: who is asked for, when, and where.
//!
//! Three kinds of connection, so that a burst of trades never stands in front of a book: books,
//! fast tops, the rest; each kind has two lanes, of which one sleeps. Requests leave in a stated
//! order: books in the order of the instruments, then tops, then the statistics of all markets,
//! then trades. So does everything asked again: a book's repair goes before a first top.
//! Promises: limits of requests a minute and in flight hold over all lanes, also on a reconnect;
//! what does not go out now stays wanted. Refuses: to know what is in a frame.
//!
//! An end that the venue announced: the sleeping lane is woken, every channel of its kind is asked
//! for there, and lives on where it was until its first frame has come over there; when all have
//! moved, or the old lane is gone, that one is hung and sleeps in its turn.

use super::budget::Budget;
use super::channel::{ANSWER_NS_MAX, Channel, Seat, Topic};
use crate::market::INSTRUMENTS_MAX;
use crate::market::units::Nanos;
use crate::venue::lighter::pulse::Pulse;
use crate::venue::lighter::wire::Kind;
use crate::venue::lighter::{FEED_KINDS, FEED_LANES, SUBSCRIPTIONS_MAX};
use crate::venue::{Lane, OutKind, Outbox};

/// Subscribes and unsubscribes unanswered at once, over all lanes; the venue allows 50 messages in
/// flight (source *limits*), and pings need some. Larger: refusals. Smaller: a slower start.
const IN_FLIGHT_MAX: usize = 40;

const _: () = assert!(
    INSTRUMENTS_MAX < SUBSCRIPTIONS_MAX,
    "one lane carries a channel of every market, and that of all markets"
);

/// Whether a frame counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It does not.
    Not,
    /// Its channel lives there.
    Living,
    /// Its channel is to move there: the first frame does it.
    Arriving,
}

/// The two lanes of one kind.
#[derive(Clone, Copy)]
struct Pair {
    /// The seat in use: lane `kind`, or lane `kind + FEED_KINDS`.
    home: usize,
    /// The other one is taking over.
    is_moving: bool,
}

/// See the module's page.
pub struct Channels {
    channels: Box<[Channel]>,
    rows_len: usize,
    pairs: [Pair; FEED_KINDS],
    pulses: [Pulse; FEED_LANES],
    budget: Budget,
}

impl Channels {
    /// Of these markets, by the venue's numbers, in the order of their rows.
    pub fn new(numbers: impl Iterator<Item = u32> + Clone, messages_per_minute: usize) -> Channels {
        let of = |topic| {
            let numbers = numbers.clone();
            numbers.map(move |number| Channel::new(topic, Some(number)))
        };
        let home = Pair {
            home: 0,
            is_moving: false,
        };
        Channels {
            channels: of(Topic::Book)
                .chain(of(Topic::Top))
                .chain(std::iter::once(Channel::new(Topic::Stats, None)))
                .chain(of(Topic::Trade))
                .collect(),
            rows_len: numbers.count(),
            pairs: [home; FEED_KINDS],
            pulses: std::array::from_fn(Pulse::new),
            budget: Budget::new(messages_per_minute),
        }
    }

    /// Whether a frame of this channel counts on this lane.
    #[inline]
    pub fn hearing(&self, topic: Topic, row_idx: usize, lane: Lane) -> Hearing {
        let (kind, seat) = place(lane);
        let channel = &self.channels[self.idx(topic, row_idx)];
        match channel.seats[seat].is_heard() {
            true if kind != kind_of(topic) => Hearing::Not,
            true if channel.lives == seat => Hearing::Living,
            true => Hearing::Arriving,
            false => Hearing::Not,
        }
    }

    /// The lane a channel lives on.
    pub fn lane(&self, topic: Topic, row_idx: usize) -> Lane {
        let lives = self.channels[self.idx(topic, row_idx)].lives;
        kind_of(topic) + lives * FEED_KINDS
    }

    /// The lane is up and greeted.
    pub fn is_live(&self, lane: Lane) -> bool {
        self.pulses[lane].is_live()
    }

    /// The lane said something that is not about itself.
    #[inline]
    pub fn hear(&mut self, lane: Lane, now: Nanos) {
        self.pulses[lane].hear(now);
    }

    /// The first frame of a channel has come on this lane; it lives there now.
    pub fn answer(&mut self, topic: Topic, row_idx: usize, lane: Lane, now: Nanos) {
        let idx = self.idx(topic, row_idx);
        self.channels[idx].answer(place(lane).1, now);
    }

    /// The acknowledgement of a leave: now, and not before, a subscribe brings a first frame.
    #[cold]
    pub fn left(&mut self, topic: Topic, row_idx: usize, lane: Lane) {
        let idx = self.idx(topic, row_idx);
        let seat = &mut self.channels[idx].seats[place(lane).1];
        if let Seat::Leaving { .. } = seat {
            *seat = Seat::Wanted;
        }
    }

    /// A subscribe was refused because the channel is subscribed: no first frame will come.
    #[cold]
    pub fn is_there_already(&mut self, topic: Topic, row_idx: usize, lane: Lane, now: Nanos) {
        let (idx, seat) = (self.idx(topic, row_idx), place(lane).1);
        if let Seat::Subscribing { .. } = self.channels[idx].seats[seat] {
            self.channels[idx].repair(seat, now);
        }
    }

    /// What the channel told is not to be believed: it is asked for anew where it lives or, while
    /// it moves, awaited where it goes.
    #[cold]
    pub fn repair(&mut self, topic: Topic, row_idx: usize, now: Nanos) {
        let pair = self.pairs[kind_of(topic)];
        let idx = self.idx(topic, row_idx);
        let channel = &mut self.channels[idx];
        if pair.is_moving && channel.lives == pair.home {
            channel.live(1 - pair.home);
        } else {
            channel.repair(channel.lives, now);
        }
    }

    /// As [`Channels::repair`], of a channel whose first frame on this lane was bad.
    #[cold]
    pub fn repair_at(&mut self, topic: Topic, row_idx: usize, lane: Lane, now: Nanos) {
        let idx = self.idx(topic, row_idx);
        self.channels[idx].repair(place(lane).1, now);
    }

    /// The lane went up.
    #[cold]
    pub fn on_up(&mut self, lane: Lane, now: Nanos) {
        self.pulses[lane].on_link(true, now);
        self.want(lane);
    }

    /// The lane went down, and with it the first frames that had come there.
    #[cold]
    pub fn on_down(&mut self, lane: Lane, now: Nanos, out: &mut Outbox) {
        self.pulses[lane].on_link(false, now);
        let (kind, seat) = place(lane);
        let pair = self.pairs[kind];
        if pair.is_moving && pair.home == seat {
            self.finish(kind, now, out);
        } else {
            self.want(lane);
        }
    }

    /// The venue will end this connection. True when another one is being made for that.
    #[cold]
    pub fn on_shutdown(&mut self, lane: Lane, now: Nanos, out: &mut Outbox) -> bool {
        self.hear(lane, now);
        let (kind, seat) = place(lane);
        let pair = self.pairs[kind];
        let (other, is_due) = (1 - seat, pair.home == seat && !pair.is_moving);
        if !is_due || !out.wake(kind + other * FEED_KINDS) {
            return false;
        }
        self.pairs[kind].is_moving = true;
        for channel in self.of_kind(kind) {
            channel.seats[other] = Seat::Wanted;
        }
        true
    }

    /// Takes the messages that are about a connection itself. True when this was one.
    pub fn take(&mut self, lane: Lane, kind: Kind, now: Nanos, out: &mut Outbox) -> bool {
        let before = out.items().len();
        let is_own = self.pulses[lane].take(kind, now, out);
        self.count(before, now, out);
        if kind == Kind::Connected {
            self.pump(now, out);
        }
        is_own
    }

    /// Gives a connection up on which nothing has come for long.
    #[cold]
    pub fn give_up(&mut self, lane: Lane, out: &mut Outbox) {
        self.pulses[lane].give_up(out);
    }

    /// Pings, deadlines, requests. `unanswered` is told the row of each book whose subscribe was
    /// given up.
    #[cold]
    pub fn on_beat(&mut self, now: Nanos, out: &mut Outbox, mut unanswered: impl FnMut(usize)) {
        let before = out.items().len();
        for pulse in &mut self.pulses {
            pulse.on_beat(now, out);
        }
        self.count(before, now, out);
        for kind in 0..FEED_KINDS {
            let Pair { home, is_moving } = self.pairs[kind];
            if is_moving && self.of_kind(kind).all(|channel| channel.lives != home) {
                self.finish(kind, now, out);
            }
        }
        let pulses = &self.pulses;
        for (idx, channel) in self.channels.iter_mut().enumerate() {
            for seat in 0..2 {
                let is_live = pulses[kind_of(channel.topic) + seat * FEED_KINDS].is_live();
                if is_live && channel.on_beat(seat, now) && channel.topic == Topic::Book {
                    unanswered(idx);
                }
            }
        }
        self.pump(now, out);
    }

    /// Sends what is wanted, in order and as far as the venue's limits allow; channels that do not
    /// answer come last. What does not go out stays wanted for the next beat.
    #[cold]
    pub fn pump(&mut self, now: Nanos, out: &mut Outbox) {
        let seats = self.channels.iter().flat_map(|channel| channel.seats);
        let mut in_flight = seats.filter(|seat| seat.is_in_flight()).count();
        for is_late in [false, true] {
            for at in 0..2 * self.channels.len() {
                if in_flight >= IN_FLIGHT_MAX || !self.budget.has_room(now) {
                    return;
                }
                let (idx, seat) = (at / 2, at % 2);
                if self.channels[idx].is_late() == is_late && self.ask(idx, seat, now, out) {
                    in_flight += 1;
                    self.budget.count(now);
                }
            }
        }
    }

    /// Sends what one channel wants at one of its places. True when something went out.
    fn ask(&mut self, idx: usize, seat: usize, now: Nanos, out: &mut Outbox) -> bool {
        let channel = &mut self.channels[idx];
        let lane = kind_of(channel.topic) + seat * FEED_KINDS;
        let until = now.plus(ANSWER_NS_MAX);
        let (verb, next): (&[u8], _) = match channel.seats[seat] {
            Seat::Wanted => (b"subscribe", Seat::Subscribing { until }),
            Seat::LeaveWanted => (b"unsubscribe", Seat::Leaving { until }),
            Seat::Off
            | Seat::Subscribing { .. }
            | Seat::Subscribed { .. }
            | Seat::Resting { .. }
            | Seat::Leaving { .. } => return false,
        };
        let is_sent = self.pulses[lane].is_live()
            && out.message(lane, OutKind::Text, |text| {
                text.put(b"{\"type\":\"")
                    .put(verb)
                    .put(b"\",\"channel\":\"");
                text.put(channel.topic.name().as_bytes()).put(b"/");
                match channel.number {
                    Some(number) => text.put_integer(u64::from(number)),
                    None => text.put(b"all"),
                };
                text.put(b"\"}");
            });
        if is_sent {
            channel.seats[seat] = next;
        }
        is_sent
    }

    /// Every channel of this lane is to be asked for there, if the lane is in use.
    fn want(&mut self, lane: Lane) {
        let (kind, seat) = place(lane);
        let Pair { home, is_moving } = self.pairs[kind];
        if home == seat || is_moving {
            for channel in self.of_kind(kind) {
                channel.seats[seat] = Seat::Wanted;
            }
        }
    }

    /// All of a kind live on the new lane from now on; the old one is hung.
    fn finish(&mut self, kind: usize, now: Nanos, out: &mut Outbox) {
        let old = self.pairs[kind].home;
        self.pairs[kind] = Pair {
            home: 1 - old,
            is_moving: false,
        };
        for channel in self.of_kind(kind) {
            channel.live(1 - old);
        }
        let lane = kind + old * FEED_KINDS;
        self.pulses[lane].on_link(false, now);
        // Without room for this the venue ends it anyway; nothing is asked for there any more.
        out.hang(lane);
    }

    /// Counts the messages that were added to the outbox after the first `before`.
    fn count(&mut self, before: usize, now: Nanos, out: &Outbox) {
        let added = out.items()[before..].iter();
        added
            .filter(|item| item.kind == OutKind::Text)
            .for_each(|_| self.budget.count(now));
    }

    fn of_kind(&mut self, kind: usize) -> impl Iterator<Item = &mut Channel> {
        let channels = self.channels.iter_mut();
        channels.filter(move |channel| kind_of(channel.topic) == kind)
    }

    /// Books, tops, statistics, trades.
    #[inline]
    fn idx(&self, topic: Topic, row_idx: usize) -> usize {
        match topic {
            Topic::Book => row_idx,
            Topic::Top => self.rows_len + row_idx,
            Topic::Stats => 2 * self.rows_len,
            Topic::Trade => 2 * self.rows_len + 1 + row_idx,
        }
    }
}

/// Kind and seat of a lane.
#[inline]
pub fn place(lane: Lane) -> (usize, usize) {
    (lane % FEED_KINDS, lane / FEED_KINDS)
}

/// By which kind of connection a topic comes.
#[inline]
pub const fn kind_of(topic: Topic) -> usize {
    match topic {
        Topic::Book => 0,
        Topic::Top => 1,
        Topic::Stats | Topic::Trade => 2,
    }
}
