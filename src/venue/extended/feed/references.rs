//! What comes beside the books, for all markets at once: marks, indexes, funding, trades.
//!
//! Promises: prices and rates rounded to 10^-9, nearest. A trade only bears witness that its book
//! must change; it is told to nobody.
//! Refuses: prices that are not positive. What can't be read is counted and lost, because the next
//! one is as good; only a break in the row ends the connection.
//!
//! Sources: D1 (public trades, mark and index prices, funding rates), C1. A mark's inner `ts` is 0:
//! nothing is taken from it.

use super::lanes::Topic;
use super::names::Names;
use super::track::{BookState, Track};
use crate::market::Venue;
use crate::market::event::FrameKind;
use crate::market::reference::{Reference, ReferenceKind};
use crate::market::units::Nanos;
use crate::venue::Told;
use crate::venue::extended::wire::{Envelope, Json};

/// Age beyond which a trade is no news, by the venue's clock: a new connection begins with up to
/// fifty old ones (C1).
const TRADE_AGE_MS_MAX: u64 = 10_000;

/// One message being taken.
pub(super) struct Referring<'a> {
    pub names: &'a Names,
    pub tracks: &'a mut [Track],
    pub told: &'a mut Told,
    pub now: Nanos,
}

impl Referring<'_> {
    /// What the message was, and the row of the market it was about.
    pub fn read(
        &mut self,
        topic: Topic,
        envelope: &Envelope<'_, '_>,
    ) -> (FrameKind, Option<usize>) {
        match topic {
            Topic::Mark if envelope.kind == "MP" => self.value(ReferenceKind::Mark, "p", envelope),
            Topic::Index if envelope.kind == "IP" => {
                self.value(ReferenceKind::Index, "p", envelope)
            }
            Topic::Funding => self.value(ReferenceKind::Funding, "f", envelope),
            Topic::Trades => self.trades(envelope),
            Topic::Mark | Topic::Index | Topic::Book(_) | Topic::Top(_) => {
                (FrameKind::Unknown, None)
            }
        }
    }

    fn value(
        &mut self,
        kind: ReferenceKind,
        member: &str,
        envelope: &Envelope<'_, '_>,
    ) -> (FrameKind, Option<usize>) {
        let Some(name) = envelope.data.and_then(name_of) else {
            return (FrameKind::Malformed, None);
        };
        let Some(row) = self.names.find(name.as_bytes()) else {
            return (FrameKind::Control, None);
        };
        let value = envelope.data.and_then(|data| data.member(member));
        let value = value.and_then(Json::rounded);
        let is_rate = kind == ReferenceKind::Funding;
        let Some(value_e9) = value.filter(|value| is_rate || *value > 0) else {
            return (FrameKind::Malformed, Some(row));
        };
        self.told.references.push(Reference {
            instrument: self.tracks[row].instrument,
            venue: Venue::Extended,
            kind,
            value_e9,
            t_recv: self.now,
        });
        (FrameKind::Reference, Some(row))
    }

    /// One message may bring trades of several markets.
    fn trades(&mut self, envelope: &Envelope<'_, '_>) -> (FrameKind, Option<usize>) {
        let Some(trades) = envelope.data.filter(|data| data.is_array()) else {
            return (FrameKind::Malformed, None);
        };
        let mut told = (FrameKind::Control, None);
        for trade in trades.elements() {
            let Some(name) = name_of(trade) else {
                return (FrameKind::Malformed, told.1);
            };
            if let Some(row) = self.names.find(name.as_bytes()) {
                self.witness(row, trade, envelope.stamp_ms);
                told = (FrameKind::Reference, Some(row));
            }
        }
        told
    }

    /// A trade matched after the book's last word: the book owes a change. Liquidations and
    /// deleveraging need not pass through the book.
    fn witness(&mut self, row: usize, trade: Json<'_, '_>, stamp_ms: u64) {
        let track = &mut self.tracks[row];
        let is_matched = trade.member("tT").and_then(Json::text) == Some("TRADE");
        let Some(t_ms) = trade.member("T").and_then(Json::integer) else {
            return;
        };
        let age_ms = stamp_ms.checked_sub(t_ms);
        let is_new = age_ms.is_some_and(|age_ms| age_ms <= TRADE_AGE_MS_MAX);
        if is_matched && is_new && t_ms > track.book_ms && track.state == BookState::Live {
            track.watch.owe(self.now);
        }
    }
}

fn name_of<'input>(data: Json<'_, 'input>) -> Option<&'input str> {
    data.member("m").and_then(Json::text)
}
