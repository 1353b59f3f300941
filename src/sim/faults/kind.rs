//! The kinds of faults: their names, where they exist, and which frames they take hold of.
//!
//! Promises: the names are stable, since the flag, the report and its JSON all use them. Refuses to
//! know how a fault is done: that is `tap`'s, and the venues' rooms beside it. Faults of orders
//! and of the account would be further kinds here, with channels of their own.

use crate::market::Venue;

/// What a frame of public market data is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// The book.
    Book,
    /// The fast top of the book: Extended `depth=1`, Lighter `ticker`.
    Touch,
    /// Public trades.
    Trades,
}

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A book frame is not sent, though its place in the sequence is used up.
    Gap,
    /// Two consecutive book frames of a market change places.
    Reorder,
    /// A book frame is sent twice, byte for byte.
    Duplicate,
    /// A book frame's text is cut short: a complete message that holds half a JSON text.
    Cut,
    /// The connection ends in the middle of a message, with no word of farewell.
    Disconnect,
    /// A market's channels on one connection say nothing more until they are subscribed anew.
    Silent,
    /// A market's book and top say nothing on any connection for a while; the rest goes on.
    Frozen,
    /// Frames of a connection are held back, come all at once, and the connection is dropped.
    Slow,
    /// A planned shutdown: the notice, and the end of every market-data connection after it.
    Shutdown,
    /// The connection is dropped, and upgrades are refused for a while; the status by the seed.
    Refuse,
    /// The same with status 429, too many requests.
    Refuse429,
    /// The same with status 403, forbidden: what a firewall says.
    Refuse403,
    /// The same with status 405, method not allowed: what another firewall says.
    Refuse405,
    /// A book frame tells one level more: a bid beyond the best ask, which is in no book.
    Crossed,
}

/// Every kind, in the order in which it is told.
pub const KINDS: [Kind; 14] = [
    Kind::Gap,
    Kind::Reorder,
    Kind::Duplicate,
    Kind::Cut,
    Kind::Disconnect,
    Kind::Silent,
    Kind::Frozen,
    Kind::Slow,
    Kind::Shutdown,
    Kind::Refuse,
    Kind::Refuse429,
    Kind::Refuse403,
    Kind::Refuse405,
    Kind::Crossed,
];

/// Statuses of refusals, from which the seed picks where none is asked for.
pub const STATUSES: [u16; 3] = [429, 403, 405];

impl Kind {
    /// As the flag and the report spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Gap => "gap",
            Kind::Reorder => "reorder",
            Kind::Duplicate => "duplicate",
            Kind::Cut => "cut",
            Kind::Disconnect => "disconnect",
            Kind::Silent => "silent",
            Kind::Frozen => "frozen",
            Kind::Slow => "slow",
            Kind::Shutdown => "shutdown",
            Kind::Refuse => "refuse",
            Kind::Refuse429 => "429",
            Kind::Refuse403 => "403",
            Kind::Refuse405 => "405",
            Kind::Crossed => "crossed",
        }
    }

    /// Whether a venue has it: Extended announces no shutdown. [DOC Public WebSocket streams]
    pub fn is_of(self, venue: Venue) -> bool {
        self != Kind::Shutdown || venue == Venue::Lighter
    }

    /// Whether it is part of `all`, where a refusal stands once.
    pub fn is_of_all(self) -> bool {
        !matches!(self, Kind::Refuse429 | Kind::Refuse403 | Kind::Refuse405)
    }

    /// The channels whose frames it waits for. What happens to one frame happens to a book frame;
    /// Extended's `depth=1` is a book with a sequence too, Lighter's ticker is not. A market falls
    /// silent where its book is told. What happens to a connection, or to a market everywhere,
    /// begins with any frame of book or top.
    pub fn channels(self, venue: Venue) -> &'static [Channel] {
        let is_of_one_frame = matches!(
            self,
            Kind::Gap | Kind::Reorder | Kind::Duplicate | Kind::Cut | Kind::Crossed
        );
        match (venue, is_of_one_frame) {
            _ if self == Kind::Silent => &[Channel::Book],
            (Venue::Lighter, true) => &[Channel::Book],
            (Venue::Lighter, false) | (Venue::Extended, _) => &[Channel::Book, Channel::Touch],
        }
    }

    /// The status of a refusal; `None` for every other kind.
    pub fn status(self, draw: u64) -> Option<u16> {
        match self {
            Kind::Refuse => Some(STATUSES[(draw % STATUSES.len() as u64) as usize]),
            Kind::Refuse429 => Some(429),
            Kind::Refuse403 => Some(403),
            Kind::Refuse405 => Some(405),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_kind_once_and_in_order() {
        assert!(KINDS.is_sorted());
        for (idx, kind) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, idx, "counts are kept by this index");
            assert!(KINDS[..idx].iter().all(|other| other.name() != kind.name()));
        }
    }

    #[test]
    fn refusals_have_the_status_of_their_name() {
        for kind in KINDS {
            match kind.name().parse::<u16>() {
                Ok(status) => assert_eq!(kind.status(5), Some(status)),
                Err(_) => assert_eq!(kind.status(5).is_some(), kind == Kind::Refuse),
            }
        }
        let picked = [0, 1, 2].map(|draw| Kind::Refuse.status(draw));
        assert_eq!(picked, STATUSES.map(Some));
    }

    #[test]
    fn only_lighter_shuts_down_and_only_extended_numbers_its_top() {
        for kind in KINDS {
            assert!(kind.is_of(Venue::Lighter));
            assert_eq!(kind.is_of(Venue::Extended), kind.name() != "shutdown");
            let channels_len = if kind == Kind::Silent { 1 } else { 2 };
            assert_eq!(kind.channels(Venue::Extended).len(), channels_len);
        }
        assert_eq!(Kind::Gap.channels(Venue::Lighter), [Channel::Book]);
        assert_eq!(Kind::Slow.channels(Venue::Lighter).len(), 2);
    }
}
