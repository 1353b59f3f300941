//! Fixed byte buffers: bytes are appended at the back, parsed in place and consumed at the front.
//!
//! A buffer is allocated once, in `new`, and never grows. Consumed bytes stay where they are until
//! room is made, so what was just handed out may still be read and overwritten by its reader.

use std::ops::Range;

/// A window `start..end` of live bytes in a fixed block. Invariant: `start <= end <= bytes.len()`.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Takes `capacity_bytes` of memory, zeroed so that its pages are mapped on first use only.
    pub(super) fn new(capacity_bytes: usize) -> Buffer {
        Buffer {
            bytes: vec![0; capacity_bytes].into(),
            start: 0,
            end: 0,
        }
    }

    /// Live bytes, oldest first.
    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Live bytes, to be parsed in place.
    pub(super) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Number of live bytes.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are no live bytes.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Where the live bytes begin, to turn a range of [`Buffer::filled`] into an absolute one.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Bytes at absolute positions, live or just consumed.
    pub(super) fn slice_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.bytes[range]
    }

    /// Makes at least `wanted_bytes` of free room at the back, moving the live bytes to the front
    /// if need be. Returns whether that worked. Rewinding an empty buffer is free and keeps the
    /// same few cache lines in use; a move happens only when the back is reached with a part of a
    /// message pending.
    pub(super) fn make_room(&mut self, wanted_bytes: usize) -> bool {
        if self.is_empty() {
            self.clear();
        } else if self.bytes.len() - self.end < wanted_bytes && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.bytes.len() - self.end >= wanted_bytes
    }

    /// Free bytes at the back. Call [`Buffer::make_room`] first.
    pub(super) fn room_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// `count` bytes were written into the room.
    pub(super) fn commit(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Appends all of `source`, or nothing when it does not fit.
    pub(super) fn append(&mut self, source: &[u8]) -> bool {
        if !self.make_room(source.len()) {
            return false;
        }
        self.bytes[self.end..self.end + source.len()].copy_from_slice(source);
        self.end += source.len();
        true
    }

    /// The first `count` live bytes are done with.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Overwrites the whole block, live or not: it held a secret.
    pub(super) fn wipe(&mut self) {
        self.bytes.fill(0);
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn consumed_bytes_stay_readable_until_room_is_made() {
        let mut buffer = Buffer::new(8);
        assert!(buffer.append(b"abcdef"));
        let start = buffer.start();
        buffer.consume(3);
        assert_eq!(buffer.slice_mut(start..start + 3), b"abc");
        assert!(buffer.make_room(4));
        assert_eq!(buffer.filled(), b"def");
        assert!(!buffer.append(b"123456"));
        buffer.wipe();
        assert!(buffer.is_empty());
        assert_eq!(buffer.slice_mut(0..8), [0; 8]);
    }

    proptest! {
        /// A queue of bytes is the naive model.
        #[test]
        fn behaves_as_a_queue(steps in prop::collection::vec((any::<bool>(), 0_usize..12), 0..80)) {
            let mut buffer = Buffer::new(16);
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut next = 0_u8;
            for (is_append, count) in steps {
                if is_append {
                    let bytes: Vec<u8> = (0..count).map(|i| next.wrapping_add(i as u8)).collect();
                    let fits = model.len() + count <= 16;
                    prop_assert_eq!(buffer.append(&bytes), fits);
                    if fits {
                        model.extend(&bytes);
                        next = next.wrapping_add(count as u8);
                    }
                } else {
                    buffer.consume(count);
                    model.drain(..count.min(model.len()));
                }
                prop_assert_eq!(buffer.filled(), model.make_contiguous() as &[u8]);
                prop_assert_eq!(buffer.len(), model.len());
            }
        }
    }
}
