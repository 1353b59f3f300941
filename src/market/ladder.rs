//! One side of a book in memory: a window of ticks round the touch, and sorted arrays beyond.
//!
//! The idea. Most changes happen within a few hundred ticks of the best price, so those ticks have
//! a slot each: setting a size is a store and a bit, the best is two bit scans. Levels further out
//! lie in two parallel arrays sorted best last, so an insert moves only what is nearer the touch.
//!
//! The tricks. Keys are ordered so that best = highest (asks are mirrored by the caller). The
//! window is a ring: slot = inverted key modulo its width, so moving it copies nothing but levels
//! that leave or enter. A bitmap has a bit a slot and a summary word a bit a bitmap word; turned to
//! the window's top, counting trailing zeros finds the best. Inverted, because plain x86-64 counts
//! leading zeros by an instruction that is slow on AMD.
//!
//! Left out: a tree (cache misses), a window over everything (a dollar of BTC is ten ticks, a book
//! reaches thousands of dollars), vector instructions (a handful of levels a message).

use std::hint::black_box;

/// Ticks in the window; a power of two, 64 words of 64 bits. Larger: more memory, fewer moves.
const WIDTH: usize = 4096;
/// Words in the bitmap; the summary has a bit for each.
const WORDS: usize = WIDTH / 64;
/// Levels kept beyond the window. Lighter's BTC snapshot has about 3,700 a side in all.
const FAR_MAX: usize = 4096;
/// Blocks of 64 ticks left free above the best when the window is placed: room to rise.
const HEADROOM_BLOCKS: i64 = WORDS as i64 / 4;

const _: () = assert!(WORDS == 64, "the summary is one u64");

/// Levels of one side by key, best = highest key.
pub struct Ladder {
    /// Key block (key / 64) at the window's bottom; the window is `[bottom, bottom + WORDS)`.
    bottom: i64,
    sizes: Box<[i64; WIDTH]>,
    bits: [u64; WORDS],
    summary: u64,
    /// Levels below the window, ascending: best last.
    far_keys: Vec<i64>,
    far_sizes: Vec<i64>,
    /// Highest key ever cut since `clear`: nothing at or below it may be shown.
    cut: i64,
    cut_count: u64,
}

impl Ladder {
    /// An empty ladder; all memory is taken here.
    pub fn new() -> Ladder {
        Ladder {
            bottom: 0,
            sizes: vec![0; WIDTH]
                .into_boxed_slice()
                .try_into()
                .expect("the slice has this width"),
            bits: [0; WORDS],
            summary: 0,
            far_keys: Vec::with_capacity(FAR_MAX),
            far_sizes: Vec::with_capacity(FAR_MAX),
            cut: i64::MIN,
            cut_count: 0,
        }
    }

    /// Forgets all levels.
    pub fn clear(&mut self) {
        self.bits = [0; WORDS];
        self.summary = 0;
        self.far_keys.clear();
        self.far_sizes.clear();
        self.cut = i64::MIN;
        self.cut_count = 0;
    }

    /// Levels not kept since `clear`.
    pub fn cut_count(&self) -> u64 {
        self.cut_count
    }

    /// Sets a level; zero removes. False when it lies beyond capacity and was not kept.
    #[inline]
    pub fn set(&mut self, key: i64, size: i64) -> bool {
        // One comparison: a block below the bottom wraps round to a huge number.
        if ((key >> 6).wrapping_sub(self.bottom) as u64) < WORDS as u64 {
            self.set_near(key, size);
            return true;
        }
        if size == 0 {
            return self.remove_far(key);
        }
        self.insert_outside(key, size)
    }

    /// Size at a key, zero where nobody stands; `None` at or below what was cut off.
    #[inline]
    pub fn size_at(&self, key: i64) -> Option<i64> {
        if key <= self.cut {
            return None;
        }
        if ((key >> 6).wrapping_sub(self.bottom) as u64) < WORDS as u64 {
            let slot = Ladder::slot_of(key);
            let is_set = self.bits[slot >> 6] >> (slot & 63) & 1 == 1;
            return Some(if is_set { self.sizes[slot] } else { 0 });
        }
        Some(self.far_size_at(key))
    }

    #[cold]
    fn far_size_at(&self, key: i64) -> i64 {
        let found = self.far_keys.binary_search(&key);
        found.map_or(0, |at| self.far_sizes[at])
    }

    /// Asks memory for what changes near the best will need; see `scanner/near.rs`.
    #[inline]
    pub fn bring_near(&self) {
        black_box(self.levels().next());
    }

    /// Levels from the best.
    #[inline]
    pub fn levels(&self) -> Levels<'_> {
        Levels {
            ladder: self,
            summary: self.turned_summary(),
            word: 0,
            block: 0,
            far: self.far_keys.len(),
        }
    }

    /// No branch on the size: whether a level goes or stays is as good as drawn by lot, and a wrong
    /// guess of the processor costs more than all of this.
    #[inline]
    fn set_near(&mut self, key: i64, size: i64) {
        let slot = Ladder::slot_of(key);
        let word = slot >> 6;
        let bits = (self.bits[word] & !(1 << (slot & 63))) | (u64::from(size != 0) << (slot & 63));
        self.sizes[slot] = size;
        self.bits[word] = bits;
        self.summary = (self.summary & !(1 << word)) | (u64::from(bits != 0) << word);
        if self.summary == 0 {
            self.refill();
        }
    }

    /// The summary turned so that the window's top block is bit 0 and the next below it bit 1.
    #[inline]
    fn turned_summary(&self) -> u64 {
        let top = self.bottom + WORDS as i64 - 1;
        self.summary.rotate_right(Ladder::word_of(top) as u32)
    }

    #[inline]
    fn slot_of(key: i64) -> usize {
        !key as usize & (WIDTH - 1)
    }

    #[inline]
    fn word_of(block: i64) -> usize {
        !block as usize & (WORDS - 1)
    }

    /// Above the window: move it up. Below: into the sorted arrays.
    #[cold]
    fn insert_outside(&mut self, key: i64, size: i64) -> bool {
        if self.summary == 0 && self.far_keys.is_empty() {
            self.bottom = (key >> 6) + 1 + HEADROOM_BLOCKS - WORDS as i64;
        } else if (key >> 6) >= self.bottom + WORDS as i64 {
            self.raise((key >> 6) + 1 + HEADROOM_BLOCKS - WORDS as i64);
        } else {
            return self.insert_far(key, size);
        }
        self.set_near(key, size);
        true
    }

    /// Moves the window's bottom up; levels that fall out join the far arrays at their best end.
    fn raise(&mut self, bottom: i64) {
        let leaving_until = bottom.min(self.bottom + WORDS as i64);
        for block in self.bottom..leaving_until {
            let word = Ladder::word_of(block);
            let mut rest = std::mem::take(&mut self.bits[word]);
            self.summary &= !(1 << word);
            while rest != 0 {
                let bit = 63 - rest.leading_zeros();
                rest &= !(1 << bit);
                let key = (block << 6) + 63 - i64::from(bit);
                self.make_far_room();
                self.far_keys.push(key);
                self.far_sizes.push(self.sizes[Ladder::slot_of(key)]);
            }
        }
        self.bottom = bottom;
    }

    /// The window ran empty: place it round the best far level and take in what it covers.
    #[cold]
    fn refill(&mut self) {
        let Some(best) = self.far_keys.last() else {
            return;
        };
        self.bottom = (best >> 6) + 1 + HEADROOM_BLOCKS - WORDS as i64;
        while let Some(&key) = self.far_keys.last() {
            if (key >> 6) < self.bottom {
                break;
            }
            self.far_keys.pop();
            let size = self
                .far_sizes
                .pop()
                .expect("the far arrays have one length");
            self.set_near(key, size);
        }
    }

    fn insert_far(&mut self, key: i64, size: i64) -> bool {
        match self.far_keys.binary_search(&key) {
            Ok(at) => self.far_sizes[at] = size,
            Err(0) if self.far_keys.len() == FAR_MAX => {
                self.note_cut(key);
                return false;
            }
            Err(at) => {
                let dropped = usize::from(self.make_far_room());
                self.far_keys.insert(at - dropped, key);
                self.far_sizes.insert(at - dropped, size);
            }
        }
        true
    }

    fn remove_far(&mut self, key: i64) -> bool {
        if let Ok(at) = self.far_keys.binary_search(&key) {
            self.far_keys.remove(at);
            self.far_sizes.remove(at);
        }
        true
    }

    /// Drops the worst far level when there is no room; true when it did.
    fn make_far_room(&mut self) -> bool {
        if self.far_keys.len() < FAR_MAX {
            return false;
        }
        let worst = self.far_keys.remove(0);
        self.far_sizes.remove(0);
        self.note_cut(worst);
        true
    }

    fn note_cut(&mut self, key: i64) {
        self.cut = self.cut.max(key);
        self.cut_count += 1;
    }
}

/// `(key, size)` from the best down. At most `WIDTH + FAR_MAX` items.
#[derive(Clone)]
pub struct Levels<'a> {
    ladder: &'a Ladder,
    /// Blocks still to visit, the window's top at bit 0.
    summary: u64,
    /// Bits still to visit in the current block.
    word: u64,
    block: i64,
    far: usize,
}

impl<'a> Levels<'a> {
    /// Only those below a key. Those above it are stepped over one by one: they are few, since this
    /// hides what stands before a fresher top.
    pub fn below(mut self, key: i64) -> Levels<'a> {
        let mut rest = self.clone();
        while rest.next().is_some_and(|(at, _)| at >= key) {
            self = rest.clone();
        }
        self
    }

    /// None at all.
    pub fn none(self) -> Levels<'a> {
        Levels {
            summary: 0,
            word: 0,
            far: 0,
            ..self
        }
    }
}

impl Iterator for Levels<'_> {
    type Item = (i64, i64);

    #[inline]
    fn next(&mut self) -> Option<(i64, i64)> {
        if self.word == 0 && self.summary != 0 {
            let down = self.summary.trailing_zeros();
            self.summary &= self.summary - 1;
            self.block = self.ladder.bottom + (WORDS as i64 - 1) - i64::from(down);
            self.word = self.ladder.bits[Ladder::word_of(self.block)];
        }
        let (key, size) = if self.word != 0 {
            let bit = self.word.trailing_zeros();
            self.word &= self.word - 1;
            let key = (self.block << 6) + 63 - i64::from(bit);
            (key, self.ladder.sizes[Ladder::slot_of(key)])
        } else {
            self.far = self.far.checked_sub(1)?;
            (
                self.ladder.far_keys[self.far],
                self.ladder.far_sizes[self.far],
            )
        };
        (key > self.ladder.cut).then_some((key, size))
    }
}
