//! What a venue's room wants of its connections: messages, and lanes to be dialled or dropped.

use super::Lane;
use crate::market::units::{DECIMAL_TEXT_MAX, write_decimal, write_integer};

/// What a venue wants sent: messages in one fixed buffer, each bound for a lane.
pub struct Outbox {
    bytes: Vec<u8>,
    items: Vec<OutItem>,
}

/// One entry of an [`Outbox`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutItem {
    /// Which connection.
    pub lane: Lane,
    /// What to do there.
    pub kind: OutKind,
    start: usize,
    end: usize,
}

/// What an outbox entry asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutKind {
    /// Send as one WebSocket text message.
    Text,
    /// Send as raw HTTP request bytes (head and body).
    Http,
    /// Drop the connection and dial again. No bytes.
    Reconnect,
    /// Dial a lane that sleeps. No bytes.
    Wake,
    /// Drop the connection, if there is one, and let the lane sleep. No bytes.
    Hang,
}

impl Outbox {
    /// A buffer of `bytes` in all, at most `messages` entries before it is drained.
    pub fn new(bytes: usize, messages: usize) -> Outbox {
        Outbox {
            bytes: Vec::with_capacity(bytes),
            items: Vec::with_capacity(messages),
        }
    }

    /// Adds a message; `write` appends its bytes. Returns false, with nothing added, when it does
    /// not fit.
    pub fn message(
        &mut self,
        lane: Lane,
        kind: OutKind,
        write: impl FnOnce(&mut Text<'_>),
    ) -> bool {
        if self.items.len() == self.items.capacity() {
            return false;
        }
        let start = self.bytes.len();
        let mut text = Text {
            bytes: &mut self.bytes,
            overflow: false,
        };
        write(&mut text);
        if text.overflow {
            self.bytes.truncate(start);
            return false;
        }
        let end = self.bytes.len();
        self.items.push(OutItem {
            lane,
            kind,
            start,
            end,
        });
        true
    }

    /// Asks for a lane to be dropped and dialled again.
    pub fn reconnect(&mut self, lane: Lane) -> bool {
        self.message(lane, OutKind::Reconnect, |_| {})
    }

    /// Asks for a sleeping lane to be dialled.
    pub fn wake(&mut self, lane: Lane) -> bool {
        self.message(lane, OutKind::Wake, |_| {})
    }

    /// Asks for a lane to be dropped and left asleep.
    pub fn hang(&mut self, lane: Lane) -> bool {
        self.message(lane, OutKind::Hang, |_| {})
    }

    /// Entries in order.
    pub fn items(&self) -> &[OutItem] {
        &self.items
    }

    /// The bytes of an entry.
    pub fn payload(&self, item: &OutItem) -> &[u8] {
        &self.bytes[item.start..item.end]
    }

    /// Forgets everything, keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
    }

    /// Hands every entry with its bytes to whoever owns the lanes, in order, and forgets them.
    #[inline]
    pub fn deliver(&mut self, mut send: impl FnMut(&OutItem, &[u8])) {
        for item in &self.items {
            send(item, &self.bytes[item.start..item.end]);
        }
        self.clear();
    }
}

/// Appends text into the outbox without growing it.
pub struct Text<'a> {
    bytes: &'a mut Vec<u8>,
    overflow: bool,
}

impl Text<'_> {
    /// Appends bytes; past the buffer's end the message is marked as not fitting.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        if self.bytes.len() + bytes.len() > self.bytes.capacity() {
            self.overflow = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
        self
    }

    /// Appends an unsigned integer in decimal.
    pub fn put_integer(&mut self, value: u64) -> &mut Self {
        let mut text = [0; 20];
        let len = write_integer(value, &mut text);
        self.put(&text[..len])
    }

    /// Appends an integer at 10^-9 as shortest decimal text.
    pub fn put_decimal(&mut self, value: i64) -> &mut Self {
        let mut text = [0; DECIMAL_TEXT_MAX];
        let len = write_decimal(value, &mut text);
        self.put(&text[..len])
    }
}
