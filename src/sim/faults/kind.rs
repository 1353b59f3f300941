//! The kinds of faults: their names, where they exist, and which frames they take hold of.
//!
//! Promises: the names are stable, since the flag, the report and its JSON all use them. Refuses to
//! know how a fault is done: `tap` and the venues' rooms beside it do those of market data,
//! `orders` and `news` those of orders and of the account.

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
    /// A legal order is refused at the door, with one of the venue's own codes.
    Reject,
    /// An order is acknowledged, and nothing is told of it ever after; a query says why.
    Drop,
    /// An immediate order takes only part of what the book would give.
    Partial,
    /// A fill is told seconds after it happened; the order's end may be told before it.
    LateFill,
    /// What the account stream told of an order or trade is told again.
    Twice,
    /// An immediate order is told cancelled, with too little filled or nothing; then its fill.
    FillAfterCancel,
    /// A connection with the account's channels is dropped, and upgrades are refused for a while.
    AccountDown,
    /// The connection that brought an order ends; before or after the venue took it.
    OrdersDown,
    /// A connection stays open and nothing is answered or told on it any more.
    HalfOpen,
    /// The answer to a transaction is lost, or its nonce was used by somebody else.
    Nonce,
    /// Orders and REST requests get a page of a front door for a while: status 429.
    Page429,
    /// The same with status 405.
    Page405,
    /// The same with 500, 502, 503 or 504; a 504 hides that the order was taken.
    Page5xx,
    /// The venue is in maintenance for a while and refuses orders.
    Maintenance,
    /// An order is refused for want of margin, at the door or when it comes to match.
    Margin,
    /// The venue closes a position, or part of it, at mark: a liquidation.
    Liquidation,
    /// The same as a deleveraging.
    Adl,
    /// The account's tier changes, with its delays, fees and budget.
    Tier,
}

/// Kinds that `--faults` takes together under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Every fault of market data, a refusal once.
    Market,
    /// Every fault of orders and of the account but a change of tier, which changes the terms of
    /// the whole run.
    Orders,
    /// Both.
    All,
}

impl Group {
    /// As the flag spells it.
    pub fn parse(name: &str) -> Option<Group> {
        match name {
            "market" => Some(Group::Market),
            "orders" => Some(Group::Orders),
            "all" => Some(Group::All),
            _ => None,
        }
    }

    /// Its kinds, in the order of [`KINDS`].
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        KINDS.into_iter().filter(move |kind| match self {
            _ if !kind.is_of_groups() => false,
            Group::Market => !kind.is_of_orders(),
            Group::Orders => kind.is_of_orders(),
            Group::All => true,
        })
    }
}

/// Every kind, in the order in which it is told.
pub const KINDS: [Kind; 32] = [
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
    Kind::Reject,
    Kind::Drop,
    Kind::Partial,
    Kind::LateFill,
    Kind::Twice,
    Kind::FillAfterCancel,
    Kind::AccountDown,
    Kind::OrdersDown,
    Kind::HalfOpen,
    Kind::Nonce,
    Kind::Page429,
    Kind::Page405,
    Kind::Page5xx,
    Kind::Maintenance,
    Kind::Margin,
    Kind::Liquidation,
    Kind::Adl,
    Kind::Tier,
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
            Kind::Reject => "reject",
            Kind::Drop => "drop",
            Kind::Partial => "partial",
            Kind::LateFill => "late-fill",
            Kind::Twice => "twice",
            Kind::FillAfterCancel => "fill-after-cancel",
            Kind::AccountDown => "account-down",
            Kind::OrdersDown => "orders-down",
            Kind::HalfOpen => "half-open",
            Kind::Nonce => "nonce",
            Kind::Page429 => "page-429",
            Kind::Page405 => "page-405",
            Kind::Page5xx => "page-5xx",
            Kind::Maintenance => "maintenance",
            Kind::Margin => "margin",
            Kind::Liquidation => "liquidation",
            Kind::Adl => "adl",
            Kind::Tier => "tier",
        }
    }

    /// Whether a venue has it: Extended announces no shutdown, counts no nonces and has no tiers
    /// of delay. [DOC Public WebSocket streams, Create or edit order]
    pub fn is_of(self, venue: Venue) -> bool {
        let is_of_lighter = matches!(self, Kind::Shutdown | Kind::Nonce | Kind::Tier);
        !is_of_lighter || venue == Venue::Lighter
    }

    /// Whether it strikes orders or the account, and not market data.
    pub fn is_of_orders(self) -> bool {
        self >= Kind::Reject
    }

    /// Whether it is part of a group: a refusal stands there once, a change of tier not at all.
    fn is_of_groups(self) -> bool {
        use Kind::{Refuse403, Refuse405, Refuse429, Tier};
        !matches!(self, Refuse429 | Refuse403 | Refuse405 | Tier)
    }

    /// The channels whose frames it waits for. What happens to one frame happens to a book frame;
    /// Extended's `depth=1` is a book with a sequence too, Lighter's ticker is not. A market falls
    /// silent where its book is told. What happens to a connection, or to a market everywhere,
    /// begins with any frame of book or top. Faults of orders wait for no frame.
    pub fn channels(self, venue: Venue) -> &'static [Channel] {
        let is_of_one_frame = matches!(
            self,
            Kind::Gap | Kind::Reorder | Kind::Duplicate | Kind::Cut | Kind::Crossed
        );
        match (venue, is_of_one_frame) {
            _ if self.is_of_orders() => &[],
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
    fn what_only_lighter_has_and_only_extended_numbers() {
        for kind in KINDS {
            assert!(kind.is_of(Venue::Lighter));
            let is_of_lighter = ["shutdown", "nonce", "tier"].contains(&kind.name());
            assert_eq!(kind.is_of(Venue::Extended), !is_of_lighter);
            let channels_len = match kind {
                Kind::Silent => 1,
                _ if kind.is_of_orders() => 0,
                _ => 2,
            };
            assert_eq!(kind.channels(Venue::Extended).len(), channels_len);
        }
        assert_eq!(Kind::Gap.channels(Venue::Lighter), [Channel::Book]);
        assert_eq!(Kind::Slow.channels(Venue::Lighter).len(), 2);
    }

    #[test]
    fn groups_hold_every_kind_once_but_the_spelt_out_refusals_and_the_tier() {
        let names = |group: Group| group.kinds().map(Kind::name).collect::<Vec<_>>();
        let (market, orders) = (names(Group::Market), names(Group::Orders));
        assert_eq!((market.len(), orders.len()), (11, 17));
        assert_eq!(names(Group::All), [market, orders.clone()].concat());
        assert_eq!((orders[0], orders[16]), ("reject", "adl"));
        for name in ["market", "orders", "all"] {
            assert!(Group::parse(name).is_some());
            assert!(KINDS.iter().all(|kind| kind.name() != name));
        }
        assert_eq!(Group::parse("gap"), None);
    }
}
