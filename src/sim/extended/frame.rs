//! Topics, and the frame that both streams carry: what is shared by all who get it, and the two
//! envelopes it is sent in.
//!
//! Promises: the content is one text for all clients; only type, sequence and subscription are
//! written for each. Refuses to know what the content says.

use crate::market::InstrumentId;
use crate::market::units::Nanos;
use crate::sim::decimal::push_whole;
use std::fmt::Write;
use std::sync::Arc;

/// What one can subscribe to; `None` is all markets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The full book.
    Book(Option<InstrumentId>),
    /// Best bid and ask.
    Touch(Option<InstrumentId>),
    /// Public trades.
    Trades(Option<InstrumentId>),
    /// Mark price.
    Mark(Option<InstrumentId>),
    /// Index price.
    Index(Option<InstrumentId>),
    /// Funding rates.
    Funding(Option<InstrumentId>),
    /// The account.
    Account,
}

impl Topic {
    /// Whether its frames are those of every market.
    pub fn is_of_all(self) -> bool {
        match self {
            Topic::Book(one) | Topic::Touch(one) | Topic::Trades(one) => one.is_none(),
            Topic::Mark(one) | Topic::Index(one) | Topic::Funding(one) => one.is_none(),
            Topic::Account => false,
        }
    }
}

/// What a frame is; both streams spell it their own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The venue's names.
pub enum Kind {
    Snapshot,
    Delta,
    Trades,
    Mark,
    Index,
    Funding,
    Order,
    Trade,
    Position,
    Balance,
}

impl Kind {
    /// `type` on stream v1; trades and funding have none.
    pub fn v1(self) -> Option<&'static str> {
        match self {
            Kind::Snapshot => Some("SNAPSHOT"),
            Kind::Delta => Some("DELTA"),
            Kind::Trades | Kind::Funding => None,
            Kind::Mark => Some("MP"),
            Kind::Index => Some("IP"),
            Kind::Order => Some("ORDER"),
            Kind::Trade => Some("TRADE"),
            Kind::Position => Some("POSITION"),
            Kind::Balance => Some("BALANCE"),
        }
    }

    /// `type` on stream v2.
    pub fn v2(self) -> &'static str {
        match self {
            Kind::Snapshot => "ORDERBOOKS.SNAPSHOT",
            Kind::Delta => "ORDERBOOKS.DELTA",
            Kind::Trades => "TRADES",
            Kind::Funding => "FUNDING_RATES",
            Kind::Mark => "PRICES.MP",
            Kind::Index => "PRICES.IP",
            Kind::Order => "ACCOUNT.ORDER",
            Kind::Trade => "ACCOUNT.TRADE",
            Kind::Position => "ACCOUNT.POSITION",
            Kind::Balance => "ACCOUNT.BALANCE",
        }
    }
}

/// One frame, all but type and sequence.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// `data`, as JSON text, shared by all who get it.
    pub data: Arc<str>,
    /// `ts`: when it was written, epoch milliseconds.
    pub ts: u64,
    /// The same moment, exactly.
    pub at: Nanos,
}

impl Frame {
    /// A frame written now.
    pub fn new(kind: Kind, data: String, now: Nanos) -> Frame {
        Frame {
            kind,
            data: data.into(),
            ts: now.epoch_ms(),
            at: now,
        }
    }

    /// The whole message on stream v1.
    pub fn v1_text(&self, sequence: u64) -> String {
        let mut text = String::with_capacity(self.data.len() + 80);
        text.push('{');
        if let Some(kind) = self.kind.v1() {
            text.push_str("\"type\":\"");
            text.push_str(kind);
            text.push_str("\",");
        }
        self.push_body(&mut text, sequence);
        text.push('}');
        text
    }

    /// What both envelopes share.
    fn push_body(&self, text: &mut String, sequence: u64) {
        text.push_str("\"data\":");
        text.push_str(&self.data);
        text.push_str(",\"ts\":");
        push_whole(text, self.ts);
        text.push_str(",\"seq\":");
        push_whole(text, sequence);
    }

    /// The whole message on stream v2.
    pub fn v2_text(&self, sequence: u64, subscription: &str) -> String {
        let mut text = String::with_capacity(self.data.len() + 120);
        let _ = write!(text, "{{\"type\":\"{}\",", self.kind.v2());
        self.push_body(&mut text, sequence);
        let _ = write!(text, ",\"subscription\":\"{subscription}\"}}");
        text
    }
}
