//! Which connections a number of markets takes, and what is known of each.
//!
//! The venue's number of sockets per address is not documented; below 20 nobody was refused. So a
//! few markets get a socket each, for their books and for their fast tops, whose small frames then
//! never wait behind another market's snapshot; more markets share the all-market channels. What is
//! needed beside the books is little and always shared. With the account's socket that is 17 at
//! most.
//!
//! Every message of a connection carries the number after the one before it, 1 at first, whatever
//! market it is about. There is no resend: after a break the connection is worth nothing.
//! Sources: D1 (public streams), C1.

use super::track::Track;
use crate::market::units::{Nanos, SECOND};
use crate::venue::{Lane, Outbox};

/// Most markets with a socket of their own. Larger: more sockets than the venue may bear. Smaller:
/// tops wait for one another.
pub const SINGLE_MARKETS_MAX: usize = 6;
/// Silence of a book lane that ends it. The venue sends a snapshot each minute even when nothing
/// trades (D1). Larger: a frozen book is believed for longer. Smaller: a quiet market reconnects
/// for ever. The other lanes may be silent for as long as the venue's pings come.
pub const SILENCE_NS_MAX: u64 = 65 * SECOND;
/// How long the first snapshot of a market's own socket may take: it comes at once (C1).
const ANSWER_NS_MAX_SINGLE: u64 = 10 * SECOND;
/// The same on the all-market channel, where each market's comes once a minute at the latest.
const ANSWER_NS_MAX_ALL: u64 = 75 * SECOND;

/// Which markets a book lane carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The one in this row.
    One(usize),
    /// All the venue has, also those we do not follow.
    All,
}

impl Scope {
    /// Their rows.
    pub fn of(self, tracks: &mut [Track]) -> &mut [Track] {
        match self {
            Scope::One(row) => &mut tracks[row..=row],
            Scope::All => tracks,
        }
    }

    /// The row, where there is just one.
    pub fn only(self) -> Option<usize> {
        match self {
            Scope::One(row) => Some(row),
            Scope::All => None,
        }
    }

    /// How long a snapshot may take.
    pub fn answer_ns_max(self) -> u64 {
        match self {
            Scope::One(_) => ANSWER_NS_MAX_SINGLE,
            Scope::All => ANSWER_NS_MAX_ALL,
        }
    }
}

/// What a lane tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Full books.
    Book(Scope),
    /// Best bids and asks, up to every 10 ms.
    Top(Scope),
    /// Public trades.
    Trades,
    /// Mark prices.
    Mark,
    /// Index prices.
    Index,
    /// Funding rates.
    Funding,
}

impl Topic {
    /// Path below the stream's base, before and after a market's name. For the start: cold.
    pub fn path(self) -> (&'static str, &'static str) {
        match self {
            Topic::Book(Scope::One(_)) => ("/orderbooks/", ""),
            Topic::Book(Scope::All) => ("/orderbooks", ""),
            Topic::Top(Scope::One(_)) => ("/orderbooks/", "?depth=1"),
            Topic::Top(Scope::All) => ("/orderbooks", "?depth=1"),
            Topic::Trades => ("/publicTrades", ""),
            Topic::Mark => ("/prices/mark", ""),
            Topic::Index => ("/prices/index", ""),
            Topic::Funding => ("/funding", ""),
        }
    }

    /// Which market's name stands in the path.
    pub fn named(self) -> Option<usize> {
        match self {
            Topic::Book(scope) | Topic::Top(scope) => scope.only(),
            Topic::Trades | Topic::Mark | Topic::Index | Topic::Funding => None,
        }
    }
}

/// The lanes of so many markets: books first, in the markets' order, then tops, then the rest.
#[cold]
pub(super) fn links(markets_len: usize) -> Box<[Link]> {
    let scopes: Vec<Scope> = match markets_len {
        0..=SINGLE_MARKETS_MAX => (0..markets_len).map(Scope::One).collect(),
        _ => vec![Scope::All],
    };
    let books = scopes.iter().copied().map(Topic::Book);
    let tops = scopes.iter().copied().map(Topic::Top);
    let others = [Topic::Trades, Topic::Mark, Topic::Index, Topic::Funding];
    books.chain(tops).chain(others).map(Link::new).collect()
}

/// A lane for the book of each market, and no other.
#[cold]
pub(super) fn book_links(markets_len: usize) -> Box<[Link]> {
    let topics = (0..markets_len).map(|row| Topic::Book(Scope::One(row)));
    topics.map(Link::new).collect()
}

/// One connection.
pub(super) struct Link {
    pub topic: Topic,
    /// Up, and its messages are believed.
    is_live: bool,
    /// Number of the last message.
    sequence: u64,
    t_heard: Nanos,
    /// A reconnect is still to be asked for (the outbox was full).
    reconnect_due: bool,
}

impl Link {
    fn new(topic: Topic) -> Link {
        Link {
            topic,
            is_live: false,
            sequence: 0,
            t_heard: Nanos::ZERO,
            reconnect_due: false,
        }
    }

    /// It went up or down.
    pub fn set(&mut self, up: bool, now: Nanos) {
        *self = Link {
            is_live: up,
            t_heard: now,
            ..Link::new(self.topic)
        };
    }

    /// Whether what it says is believed.
    #[inline]
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Whether this number is the next in the row.
    #[inline]
    pub fn is_next(&self, sequence: u64) -> bool {
        self.sequence.checked_add(1) == Some(sequence)
    }

    /// Counts a message that is.
    #[inline]
    pub fn count(&mut self, now: Nanos) {
        self.sequence += 1;
        self.t_heard = now;
    }

    /// Whether a lane of books has been silent for too long.
    pub fn is_silent(&self, now: Nanos) -> bool {
        let is_book = matches!(self.topic, Topic::Book(_));
        is_book && self.is_live && now.since(self.t_heard) > SILENCE_NS_MAX
    }

    /// Nothing it says is believed any more, and it is to be dialled anew.
    #[cold]
    pub fn give_up(&mut self, lane: Lane, out: &mut Outbox) {
        self.is_live = false;
        self.reconnect_due = true;
        self.retry(lane, out);
    }

    /// Asks for the reconnect that is due, if one is.
    pub fn retry(&mut self, lane: Lane, out: &mut Outbox) {
        if self.reconnect_due {
            self.reconnect_due = !out.reconnect(lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_stay_below_twenty() {
        for (markets_len, lanes_len) in [(0, 4), (1, 6), (6, 16), (7, 6), (200, 6)] {
            assert_eq!(links(markets_len).len(), lanes_len, "{markets_len}");
            assert!(lanes_len + 1 < 20, "with the account's");
        }
    }

    #[test]
    fn books_come_first_in_the_markets_order() {
        let topics = |len| -> Vec<Topic> { links(len).iter().map(|link| link.topic).collect() };
        let (book, top) = (Topic::Book, Topic::Top);
        let rest = [Topic::Trades, Topic::Mark, Topic::Index, Topic::Funding];
        let (first, second) = (Scope::One(0), Scope::One(1));
        let own = [book(first), book(second), top(first), top(second)];
        assert_eq!(topics(2), [&own[..], &rest].concat());
        let shared = [book(Scope::All), top(Scope::All)];
        assert_eq!(topics(7), [&shared[..], &rest].concat());
    }

    #[test]
    fn numbers_run_from_one_on_each_connection() {
        let mut link = Link::new(Topic::Book(Scope::All));
        for _ in 0..2 {
            link.set(true, Nanos(1));
            for sequence in 1..5 {
                assert!(!link.is_next(sequence - 1) && !link.is_next(sequence + 1));
                assert!(link.is_next(sequence));
                link.count(Nanos(1));
            }
        }
        link.sequence = u64::MAX;
        assert!(!link.is_next(0));
    }

    #[test]
    fn only_books_are_never_silent() {
        for (topic, is_silent) in [(Topic::Book(Scope::All), true), (Topic::Trades, false)] {
            let mut link = Link::new(topic);
            link.set(true, Nanos::ZERO);
            assert!(!link.is_silent(Nanos(SILENCE_NS_MAX)));
            assert_eq!(link.is_silent(Nanos(SILENCE_NS_MAX + 1)), is_silent);
        }
    }
}
