//! A list of fixed capacity: what a venue's room fills and its stage drains.

/// A list of fixed capacity that a callee fills and its owner drains. Never grows.
pub struct Batch<T> {
    items: Vec<T>,
    overflow_count: u64,
}

impl<T> Batch<T> {
    /// Room for `capacity` items.
    pub fn new(capacity: usize) -> Batch<T> {
        Batch {
            items: Vec::with_capacity(capacity),
            overflow_count: 0,
        }
    }

    /// Adds an item; when full it is dropped, counted, and `false` comes back.
    #[inline]
    pub fn push(&mut self, item: T) -> bool {
        if self.items.len() == self.items.capacity() {
            self.overflow_count += 1;
            return false;
        }
        self.items.push(item);
        true
    }

    /// Items that can still be pushed.
    #[inline]
    pub fn room(&self) -> usize {
        self.items.capacity() - self.items.len()
    }

    /// Adds all of these or, when they do not fit, none; then they are counted and `false` comes
    /// back.
    #[inline]
    pub fn extend(&mut self, items: impl ExactSizeIterator<Item = T>) -> bool {
        let fits = items.len() <= self.room();
        if fits {
            self.items.extend(items);
        } else {
            self.overflow_count += items.len() as u64;
        }
        fits
    }

    /// What was pushed since the last `clear`.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The same, to be changed in place (flags of the last item).
    pub fn items_mut(&mut self) -> &mut [T] {
        &mut self.items
    }

    /// Forgets the items, keeps the room.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Forgets the items after the first `len`: a message that turned out bad half way.
    pub fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
    }

    /// Items dropped because the batch was full, ever.
    pub fn overflow_count(&self) -> u64 {
        self.overflow_count
    }
}
