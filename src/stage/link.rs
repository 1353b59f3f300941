//! Named one-way links between stages, over rtrb: bounded, wait-free, one writer, one reader.
//!
//! "Full" is an ordinary answer that hands the item back; what it means is said per link in
//! `topology.rs`. The only door to rtrb.

use std::fmt;

/// Writing end.
pub struct Tx<T> {
    name: &'static str,
    inner: rtrb::Producer<T>,
    full_count: u64,
}

/// Reading end.
pub struct Rx<T> {
    inner: rtrb::Consumer<T>,
}

/// The link was full; here is the item back.
#[derive(Debug)]
pub struct Full<T>(pub T);

/// Makes a link of `capacity` items (a power of two by house rule).
pub fn link<T>(name: &'static str, capacity: usize) -> (Tx<T>, Rx<T>) {
    assert!(
        capacity.is_power_of_two(),
        "link {name}: capacity {capacity} is not a power of two"
    );
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    (
        Tx {
            name,
            inner: producer,
            full_count: 0,
        },
        Rx { inner: consumer },
    )
}

impl<T> Tx<T> {
    /// Puts an item on the link, or hands it back.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), Full<T>> {
        self.inner
            .push(item)
            .map_err(|rtrb::PushError::Full(item)| {
                self.full_count += 1;
                Full(item)
            })
    }

    /// Items that fit right now, at least.
    #[inline]
    pub fn room(&self) -> usize {
        self.inner.slots()
    }

    /// Items that fit when it is empty.
    pub fn capacity(&self) -> usize {
        self.inner.buffer().capacity()
    }

    /// How often the link was full.
    pub fn full_count(&self) -> u64 {
        self.full_count
    }

    /// The link's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The reader is gone.
    pub fn is_abandoned(&self) -> bool {
        self.inner.is_abandoned()
    }
}

impl<T> Rx<T> {
    /// Takes the next item, if there is one.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.inner.pop().ok()
    }

    /// Takes the next item out of its place on the link, for values that may leave no copy behind:
    /// `take` empties the place, which is then dropped.
    #[inline]
    pub fn pop_with<U>(&mut self, take: impl FnOnce(&mut T) -> U) -> Option<U> {
        let mut chunk = self.inner.read_chunk(1).ok()?;
        let taken = chunk.as_mut_slices().0.first_mut().map(take);
        chunk.commit_all();
        taken
    }

    /// Items waiting, at least.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.inner.slots()
    }

    /// The writer is gone and everything was read.
    pub fn is_finished(&self) -> bool {
        self.inner.is_abandoned() && self.inner.is_empty()
    }
}

impl<T> fmt::Debug for Tx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tx({}, full {})", self.name, self.full_count)
    }
}
