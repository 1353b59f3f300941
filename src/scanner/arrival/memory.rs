//! What edges of each kind became of: decayed sums, and what follows from them.
//!
//! Promises: integers only, fixed memory; the same lessons in the same order give the same memory,
//! on the scanner's thread and on a cold copy beside it.

use crate::market::quotient::quotient;
use crate::market::score::ORDERS;
use crate::market::units::{Bps, Nanos, SECOND};
use crate::scanner::arrival::key::{AGES, KEYS, Key};
use crate::scanner::arrival::lately::{Lately, ROWS, row};
use std::hint::black_box;

// The idea. What an edge makes is its net edge when seen, plus what prices do until the orders are
// matched: the *drift*, mostly a loss. Within a kind the drift hardly depends on the edge itself,
// so means are kept of the drift and the edge in hand is added back. The drift counts only where
// the first order fills, because that is the only drift that is ever paid for; how often it fills
// is a mean of its own.
//
// A market's own mean is drawn towards that of all markets, this towards that of edges of the same
// age and size whichever venue moved, and this towards edges of that age and any size, each as if
// the wider one were `DRAWN` edges of the narrower. So a market that was never seen is judged by
// the others, with the doubt that it may be another; and one that was seen often is judged by
// itself.

/// Memory halves in this time. Edges that pay are rare, a handful a day in a market: shorter, and
/// it is cold when one comes; longer, and a market that has changed is believed for longer.
pub const HALF_LIFE_NS: u64 = 4 * 3_600 * SECOND;
/// Edges of a kind (decayed, all markets, the first order filled) that must be in memory before
/// anything is expected of it. Larger: longer cold. Smaller: chance decides.
pub const SAMPLES_MIN: i64 = 8;
/// Steps of the grid in a half-life, and 2^(-1/16) in units of 2^-16.
const GRID_STEPS: u64 = 16;
const GRID_FACTOR: i128 = 62_757;
/// One edge, in units of the weight.
pub const ONE: i64 = 1 << 10;
/// So many edges of its own outweigh the wider mean. Larger: markets are more alike.
const DRAWN: i64 = 16;
/// A variance of (3 bps)^2 counts for so many edges: a few that agree by chance are no certainty.
pub(super) const PRIOR_EDGES: i64 = 4;
pub(super) const PRIOR_SQUARE: i64 = 9 << (2 * SQUARE_BITS);
/// Squares are of drifts in units of 2^-10 bps.
pub(super) const SQUARE_BITS: u32 = 10;
/// A drift beyond this is a broken book; it counts as this much.
const BEYOND: i64 = 1_000 << 16;

/// One order of the legs, within a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Weight of the edges whose first order filled.
    pub filled: i64,
    /// Their drift, in 2^-16 bps times weight.
    pub drift: i64,
    /// Squares of it, in 2^-20 bps^2 times weight.
    pub square: i64,
    /// What they made, in 2^-16 bps times weight.
    pub made: i64,
}

/// One kind of edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Weight of all its edges.
    pub tries: i64,
    /// By order of legs.
    pub orders: [Sums; ORDERS],
}

/// All kinds, of one market or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    cells: Box<[Cell]>,
    /// How far off the newest edges were, by row and order of legs.
    lately: Box<[[Lately; ORDERS]]>,
    /// Steps of the grid up to which it has faded.
    grid: u64,
    /// Grows with every lesson and every step: what was worked out from it is good while it stands.
    version: u32,
    /// The same, by age, of long memory alone.
    versions: [u32; AGES],
}

/// What is known of one order of the legs, within a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Probability of the first fill, 10^-4.
    pub fill_e4: u32,
    /// Mean drift given that fill.
    pub drift: Bps,
    /// Its standard error.
    pub error: Bps,
    /// Edges behind it.
    pub samples: u32,
}

impl Sums {
    fn add(&mut self, drift: i64, made: i64) {
        let small = drift >> (16 - SQUARE_BITS);
        self.filled = self.filled.saturating_add(ONE);
        self.drift = self.drift.saturating_add(drift * ONE);
        self.square = self.square.saturating_add(small * small * ONE);
        self.made = self.made.saturating_add(made * ONE);
    }

    fn each(&mut self, change: impl Fn(i64) -> i64) {
        let sums = [
            &mut self.filled,
            &mut self.drift,
            &mut self.square,
            &mut self.made,
        ];
        sums.into_iter().for_each(|sum| *sum = change(*sum));
    }
}

impl Cell {
    fn each(&mut self, change: impl Fn(i64) -> i64) {
        self.tries = change(self.tries);
        self.orders.iter_mut().for_each(|sums| sums.each(&change));
    }

    fn plus(&self, other: &Cell) -> Cell {
        let mut both = *self;
        both.tries = both.tries.saturating_add(other.tries);
        for (sums, others) in both.orders.iter_mut().zip(&other.orders) {
            sums.filled = sums.filled.saturating_add(others.filled);
            sums.drift = sums.drift.saturating_add(others.drift);
            sums.square = sums.square.saturating_add(others.square);
            sums.made = sums.made.saturating_add(others.made);
        }
        both
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    /// Empty.
    pub fn new() -> Memory {
        Memory {
            cells: vec![Cell::default(); KEYS].into_boxed_slice(),
            lately: vec![[Lately::default(); ORDERS]; ROWS].into_boxed_slice(),
            grid: 0,
            version: 0,
            versions: [0; AGES],
        }
    }

    /// One edge more: its net when seen, and what each order of the legs would have made of it.
    pub fn add(&mut self, now: Nanos, key: Key, net: Bps, edges: &[Option<Bps>; ORDERS]) {
        self.fade(now);
        self.version = self.version.wrapping_add(1);
        let of_age = &mut self.versions[key.age_idx()];
        *of_age = of_age.wrapping_add(1);
        let cell = &mut self.cells[key.idx()];
        cell.tries = cell.tries.saturating_add(ONE);
        for (sums, edge) in cell.orders.iter_mut().zip(edges) {
            if let Some(edge) = edge {
                sums.add(bounded(edge.bits() - net.bits()), bounded(edge.bits()));
            }
        }
    }

    /// The same edge, by order of legs: what it made beyond what was known of its kind. Where
    /// nothing was known, nothing was off.
    pub fn add_off(&mut self, key: Key, offs: &[Option<Bps>; ORDERS]) {
        self.version = self.version.wrapping_add(1);
        for (lately, off) in self.lately[row(key)].iter_mut().zip(offs) {
            if let Some(off) = off {
                lately.add(bounded(off.bits()));
            }
        }
    }

    /// Fades up to now, on a grid, so that it makes no difference in how many steps time passed.
    #[inline]
    pub fn fade(&mut self, now: Nanos) {
        let grid = now.0 / (HALF_LIFE_NS / GRID_STEPS);
        if grid > self.grid {
            self.fade_to(grid);
        }
    }

    /// Whole half-lives are divided out at once, so that the rest takes at most fifteen steps.
    #[cold]
    fn fade_to(&mut self, grid: u64) {
        let steps = match self.grid {
            // What is new does not remember when it was made.
            0 => 0,
            since => grid - since,
        };
        let halves = (steps / GRID_STEPS).min(62) as u32;
        let rest = (steps % GRID_STEPS) as u32;
        let factor = (0..rest).fold(1 << 16, |factor, _| (factor * GRID_FACTOR) >> 16);
        for cell in &mut self.cells {
            cell.each(|sum| faded(sum, halves, factor));
        }
        for lately in self.lately.iter_mut().flatten() {
            lately.each(|sum| faded(sum, halves, factor));
        }
        self.grid = grid;
        self.change();
    }

    /// Whatever was worked out from it is out of date.
    #[cold]
    fn change(&mut self) {
        self.version = self.version.wrapping_add(1);
        for of_age in &mut self.versions {
            *of_age = of_age.wrapping_add(1);
        }
    }

    /// Asks memory for the kinds of one age.
    #[inline]
    pub fn bring_near(&self, key: Key) {
        for cell in &self.cells[key.of_age(key.age_idx())] {
            black_box((cell.tries, cell.orders[ORDERS - 1].made));
        }
        black_box(self.lately[row(key)][ORDERS - 1].square);
    }

    /// Goes on from `now` as if no more than one half-life had passed since it was put away: what
    /// was not watched has not been contradicted.
    #[cold]
    pub fn resume(&mut self, now: Nanos) {
        let grid = now.0 / (HALF_LIFE_NS / GRID_STEPS);
        if self.grid != 0 {
            self.grid = self.grid.clamp(grid.saturating_sub(GRID_STEPS), grid);
        }
        self.fade(now);
    }

    /// All its edges count for this part of what they did, and none of the newest was off.
    #[cold]
    pub(super) fn dilute(&mut self, part: i64) {
        for cell in &mut self.cells {
            cell.each(|sum| sum / part);
        }
        for lately in self.lately.iter_mut().flatten() {
            lately.forget_mean();
        }
        self.change();
    }

    /// A kind.
    #[inline]
    pub fn cell(&self, idx: usize) -> &Cell {
        &self.cells[idx]
    }

    /// How far off the newest edges of a row were, by order of legs.
    #[inline]
    pub fn lately(&self, row: usize) -> &[Lately; ORDERS] {
        &self.lately[row]
    }

    /// Takes a row's sums as they were put away.
    #[cold]
    pub fn restore_lately(&mut self, row: usize, lately: [Lately; ORDERS]) {
        self.lately[row] = lately;
        self.version = self.version.wrapping_add(1);
    }

    /// Takes a kind's sums as they were put away.
    #[cold]
    pub fn restore(&mut self, key: Key, cell: Cell) {
        self.cells[key.idx()] = cell;
        self.change();
    }

    /// Steps of the grid up to which it has faded.
    pub fn grid(&self) -> u64 {
        self.grid
    }

    /// As it was put away.
    #[cold]
    pub fn set_grid(&mut self, grid: u64) {
        self.grid = grid;
    }

    /// What was worked out from it is good while this stands.
    #[inline]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What [`Wide::of`] a kind of this age worked out is good while this stands.
    #[inline]
    pub fn version_of(&self, key: Key) -> u32 {
        self.versions[key.age_idx()]
    }

    /// All its sums are sums that lessons can have made.
    #[cold]
    pub fn is_sound(&self) -> bool {
        let sound = |sums: &Sums, tries: i64| {
            let most = (i128::from(BEYOND) + 1) * i128::from(sums.filled.max(1));
            (0..=tries).contains(&sums.filled)
                && sums.square >= 0
                && i128::from(sums.drift).abs() <= most
                && i128::from(sums.made).abs() <= most
        };
        let cells = &mut self.cells.iter();
        let mut lately = self.lately.iter().flatten();
        cells.all(|cell| cell.orders.iter().all(|sums| sound(sums, cell.tries)))
            && lately.all(|lately| lately.is_sound(BEYOND))
    }
}

/// What is known of a kind in a market, for each order of the legs. `None` where too little is.
pub fn known(market: &Memory, all: &Memory, key: Key) -> [Option<Known>; ORDERS] {
    let (own, wide) = (market.cell(key.idx()), Wide::of(all, key));
    std::array::from_fn(|order| wide.known(own, order))
}

/// What all markets together say of a kind, by order of legs: what a market's own edges are drawn
/// to, whichever market it is.
#[derive(Clone, Copy)]
pub struct Wide {
    /// And the weight of all edges behind it.
    orders: [(Mean, i64); ORDERS],
}

impl Wide {
    /// Adds up the kinds of its age: too long for the path of an order, and the same for all
    /// markets.
    pub fn of(all: &Memory, key: Key) -> Wide {
        let pool = all.cell(key.idx());
        let wide = pool.plus(all.cell(key.twin().idx()));
        let of_age = |key: Key| key.of_age(key.age_idx()).map(|idx| *all.cell(idx));
        let cells = of_age(key).chain(of_age(key.twin()));
        let any = cells.fold(Cell::default(), |sum, cell| sum.plus(&cell));
        let orders = std::array::from_fn(|order| {
            let [pool, wide, any] = [pool, &wide, &any].map(|cell| Mean::of(cell, order));
            (pool.drawn_to(&wide.drawn_to(&any)), any.filled)
        });
        Wide { orders }
    }

    /// What is known of one order of the legs in a market with these edges of its own.
    #[inline]
    pub fn known(&self, own: &Cell, order: usize) -> Option<Known> {
        let (wide, samples) = &self.orders[order];
        let is_warm = *samples >= SAMPLES_MIN * ONE;
        is_warm.then(|| Mean::of(own, order).drawn_to(wide).known(*samples))
    }
}

/// Means of a kind, and how many edges they are worth.
#[derive(Clone, Copy)]
struct Mean {
    tries: i64,
    filled: i64,
    /// 2^-16.
    fill: i64,
    drift: i64,
    square: i64,
}

impl Mean {
    fn of(cell: &Cell, order: usize) -> Mean {
        let sums = &cell.orders[order];
        let by_weight = |sum: i64| sum.checked_div(sums.filled).unwrap_or(0);
        Mean {
            tries: cell.tries,
            filled: sums.filled,
            fill: (sums.filled << 16).checked_div(cell.tries).unwrap_or(0),
            drift: by_weight(sums.drift),
            square: by_weight(sums.square),
        }
    }

    /// Drawn towards a wider mean, which counts for at most `DRAWN` edges and for less where it is
    /// thin itself.
    fn drawn_to(&self, wide: &Mean) -> Mean {
        let worth = |weight: i64| {
            let most = i128::from(DRAWN * ONE);
            quotient(most * i128::from(weight), most + i128::from(weight)).unwrap_or(0) as i64
        };
        let mix = |own: i64, weight: i64, other: i64, drawn: i64| {
            let sum = i128::from(own) * i128::from(weight) + i128::from(other) * i128::from(drawn);
            let over = i128::from(weight) + i128::from(drawn);
            quotient(sum, over).unwrap_or(0) as i64
        };
        let (by_tries, by_fills) = (worth(wide.tries), worth(wide.filled));
        Mean {
            tries: self.tries + by_tries,
            filled: self.filled + by_fills,
            fill: mix(self.fill, self.tries, wide.fill, by_tries),
            drift: mix(self.drift, self.filled, wide.drift, by_fills),
            square: mix(self.square, self.filled, wide.square, by_fills),
        }
    }

    /// The error is that of a mean of so many edges as it is worth.
    fn known(&self, samples: i64) -> Known {
        let small = self.drift >> (16 - SQUARE_BITS);
        let spread = (self.square - small * small).max(0);
        let edges = i128::from(self.filled.max(1));
        let prior = i128::from(PRIOR_EDGES * ONE);
        let square = i128::from(spread) * edges + i128::from(PRIOR_SQUARE) * prior;
        let variance = quotient(square, edges + prior).unwrap_or(0);
        let error =
            root(quotient(variance * i128::from(ONE), edges).unwrap_or(0)) << (16 - SQUARE_BITS);
        Known {
            fill_e4: ((self.fill * 10_000) >> 16).clamp(0, 10_000) as u32,
            drift: Bps::from_bits(self.drift),
            error: Bps::from_bits(error),
            samples: (samples / ONE).min(i64::from(u32::MAX)) as u32,
        }
    }
}

/// Of a square of what is bounded: it fits 64 bits, where a root costs a tenth.
pub(super) fn root(square: i128) -> i64 {
    u64::try_from(square).unwrap_or(u64::MAX).isqrt() as i64
}

fn faded(sum: i64, halves: u32, factor: i128) -> i64 {
    ((i128::from(sum >> halves) * factor) >> 16) as i64
}

fn bounded(bits: i64) -> i64 {
    bits.clamp(-BEYOND, BEYOND)
}
