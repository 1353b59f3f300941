//! The fast tops: best bid and ask of a market as the `ticker` channel tells them, event driven and
//! about 35 ms before the book, which comes in batches of 50 ms (source *ws*).
//!
//! **The merge rule, for the whole house:** the freshest engine sequence wins. A ticker's `nonce`
//! and a book's are of one sequence. A ticker newer than the book, and than the top shown, is shown
//! over the book as its best bid and ask, both at once (`TOP`, see `market/book.rs`); the book
//! gives the depth behind it: what is better is hidden, what is worse stands. The first book frame
//! that is at least as new says `CAUGHT_UP`, and from there the book alone is shown. An older
//! ticker says nothing.
//!
//! Promises: over a book that is not in step no top is shown; a top that is crossed in itself is
//! never shown and takes the one before with it. Refuses: to judge the book by its top, but for
//! this: one whose best prices do not follow is frozen, see `venue/watch.rs`.

use super::books::{Book, Rows, about, about_none};
use super::channel::Topic;
use super::channels::Hearing;
use crate::market::book::{Level, Side, flags};
use crate::market::event::FrameKind;
use crate::market::units::{Price, Size};
use crate::venue::lighter::changes::Frame;
use crate::venue::lighter::frame::{self, Ticker};
use crate::venue::lighter::wire::{self, Json, Kind};
use crate::venue::{Call, Heard, Lane};

impl Rows {
    /// A ticker of the known shape. `None`, with nothing changed, for everything else.
    #[inline]
    pub fn scan_top(&mut self, lane: Lane, bytes: &[u8], call: &mut Call<'_>) -> Option<Heard> {
        let ticker = frame::ticker(bytes)?;
        let row_idx = self.row_idx(ticker.market)?;
        Some(self.take_top(lane, row_idx, &ticker, call))
    }

    /// A ticker from the parser.
    pub fn on_top(&mut self, lane: Lane, kind: Kind, root: Json, call: &mut Call<'_>) -> Heard {
        let Some(venue_market) = wire::channel_number(root) else {
            return about_none(FrameKind::Malformed);
        };
        let Some(row_idx) = self.row_idx(venue_market) else {
            return about_none(FrameKind::WrongMarket);
        };
        if let Some(ticker) = frame::parsed_ticker(root) {
            return self.take_top(lane, row_idx, &ticker, call);
        }
        let is_first = kind == Kind::Subscribed;
        let instrument = self.rows[row_idx].instrument;
        match self.channels.hearing(Topic::Top, row_idx, lane) {
            Hearing::Not => return about(instrument, FrameKind::Control),
            // Ill-formed, and yet the answer.
            _ if is_first => self.channels.answer(Topic::Top, row_idx, lane, call.now),
            _ => {}
        }
        about(instrument, FrameKind::Malformed)
    }

    fn take_top(
        &mut self,
        lane: Lane,
        row_idx: usize,
        ticker: &Ticker,
        call: &mut Call<'_>,
    ) -> Heard {
        let instrument = self.rows[row_idx].instrument;
        let heard = |kind| about(instrument, kind);
        match self.channels.hearing(Topic::Top, row_idx, lane) {
            Hearing::Not => return heard(FrameKind::Control),
            _ if ticker.is_first => self.channels.answer(Topic::Top, row_idx, lane, call.now),
            Hearing::Arriving => return heard(FrameKind::Control),
            Hearing::Living => {}
        }
        let made = self.made(ticker.is_first, ticker.updated_at_us, call.now);
        if is_crossed(ticker) {
            return heard(FrameKind::Crossed);
        }
        let row = &mut self.rows[row_idx];
        let Book::Live { sequence } = row.book else {
            return heard(FrameKind::Top);
        };
        let newest = row.top.map_or(sequence, |top| top.max(sequence));
        let deltas = &mut call.told.deltas;
        if ticker.nonce <= newest || deltas.room() < 2 {
            return heard(FrameKind::Top);
        }
        row.top = Some(ticker.nonce);
        let frame = Frame {
            instrument,
            now: call.now,
            made,
            first: 0,
        };
        let blank = frame.delta(Side::Bid, Price::ZERO, Size::ZERO, 0);
        let [bid, mut ask] = blank.tops([ticker.bid, ticker.ask]);
        ask.flags |= flags::LAST;
        deltas.extend([bid, ask].into_iter());
        if let Some(book) = call.books.get(instrument.idx()) {
            let best = [Side::Bid, Side::Ask].map(|side| book.full_levels(side).next());
            if best == [ticker.bid, ticker.ask] {
                row.watch.settle();
            } else if best.map(price) != [ticker.bid, ticker.ask].map(price) {
                row.watch.owe(call.now);
            }
        }
        heard(FrameKind::Top)
    }
}

/// Bid at or above ask.
fn is_crossed(ticker: &Ticker) -> bool {
    let pair = ticker.bid.zip(ticker.ask);
    pair.is_some_and(|(bid, ask)| bid.price >= ask.price)
}

fn price(level: Option<Level>) -> Option<Price> {
    level.map(|level| level.price)
}
