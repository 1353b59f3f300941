//! A venue's feed with everything a call needs, turned by hand.
#![allow(dead_code)]

use parallax::market::InstrumentId;
use parallax::market::book::Book;
use parallax::market::units::Nanos;
use parallax::venue::{Call, Feed, Heard, Lane, Outbox, Told};

pub struct Driven<F> {
    pub feed: F,
    pub told: Told,
    pub out: Outbox,
    /// What the feed is shown as the full books; empty unless the test keeps them.
    pub books: Vec<Book>,
    pub now: Nanos,
}

impl<F: Feed> Driven<F> {
    /// With room for this many records a call.
    pub fn new(feed: F, room: usize, now: Nanos) -> Driven<F> {
        Driven {
            feed,
            told: Told::new(room),
            out: Outbox::new(1 << 16, 1024),
            books: Vec::new(),
            now,
        }
    }

    /// Calls the feed; what it tells is added to what it told before.
    pub fn call<T>(&mut self, deed: impl FnOnce(&mut F, &mut Call<'_>) -> T) -> T {
        let mut call = Call {
            now: self.now,
            books: &self.books,
            told: &mut self.told,
            out: &mut self.out,
        };
        deed(&mut self.feed, &mut call)
    }

    pub fn link(&mut self, lane: Lane, up: bool) {
        self.call(|feed, call| feed.on_link(lane, up, call));
    }

    pub fn hear(&mut self, lane: Lane, bytes: &mut [u8]) -> Heard {
        self.call(|feed, call| feed.on_message(lane, bytes, call))
    }

    pub fn beat(&mut self) {
        self.call(|feed, call| feed.on_beat(call));
    }

    pub fn resync(&mut self, instrument: InstrumentId) {
        self.call(|feed, call| feed.resync(instrument, call));
    }
}
