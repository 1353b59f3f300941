//! Everything learned of edges: of each market, and of all together. Put away and taken up again as
//! text.
//!
//! Promises: what is read back equals what was written; anything cut, altered, of another version
//! or with other borders is refused whole, by name. Markets are known by their names, so a table
//! outlives a change of the list: unknown names are left out, new ones begin empty.

use crate::market::Instrument;
use crate::market::score::{ORDERS, Score};
use crate::market::units::Nanos;
use crate::scanner::arrival::key::{AGES_MS, KEYS, Key, SIZES_BPS};
use crate::scanner::arrival::lately::{Lately, ROWS};
use crate::scanner::arrival::memory::{Cell, Memory, Sums, known};
use std::fmt;
use std::fmt::Write;

/// First line of the text. A change of what stands in it is another number.
const MAGIC: &str = "parallax arrival 2";
/// Name of the memory of all markets; no market has a name with an asterisk.
const ALL: &str = "*";
/// Most bytes of a text: 257 memories of 120 kinds in 200 bytes each, and some.
const BYTES_MAX: usize = 8 << 20;
/// Numbers on the line of a kind: its own, tries, and four for each order of legs.
const NUMBERS: usize = 2 + 4 * ORDERS;
/// Begins the line of a row of what is off lately: its number, and three for each order of legs.
const LATELY: &str = "lately ";

/// What was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Of all markets together.
    pub all: Memory,
    /// Of each, by instrument.
    pub markets: Box<[Memory]>,
}

/// Why a text is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// It does not begin as one, or is one of another version.
    Version,
    /// Longer than any table.
    TooLong,
    /// Its borders of age or size are not ours.
    Borders,
    /// It ends before its end.
    Cut,
    /// Its sum is not that of what stands in it.
    Altered,
    /// A line that can't stand there.
    Line(usize),
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableError::Version => f.write_str("not an arrival table of this version"),
            TableError::TooLong => f.write_str("longer than any arrival table"),
            TableError::Borders => {
                f.write_str("its borders of age and size are of another version")
            }
            TableError::Cut => f.write_str("it was cut off"),
            TableError::Altered => f.write_str("its sum does not match: it was altered or damaged"),
            TableError::Line(number) => write!(f, "line {number} can't be read"),
        }
    }
}

impl std::error::Error for TableError {}

impl Table {
    /// Empty, for so many instruments.
    pub fn new(instruments: usize) -> Table {
        Table {
            all: Memory::new(),
            markets: (0..instruments).map(|_| Memory::new()).collect(),
        }
    }

    /// Takes what an edge has become, if it is one to learn from.
    pub fn learn(&mut self, score: &Score) {
        let Some(key) = Key::from_number(score.key).filter(|_| score.teaches) else {
            return;
        };
        let Table { all, markets } = self;
        all.fade(score.t);
        let Some(market) = markets.get_mut(score.instrument.idx()) else {
            return all.add(score.t, key, score.net, &score.edges);
        };
        market.fade(score.t);
        // What was known before it came: an edge is no surprise to what has learned from it.
        let known = known(market, all, key);
        let off = |order: usize| {
            let (edge, known) = (score.edges[order]?, known[order]?);
            Some(edge - score.net - known.drift)
        };
        let offs = std::array::from_fn(off);
        for memory in [all, market] {
            memory.add(score.t, key, score.net, &score.edges);
            memory.add_off(key, &offs);
        }
    }

    /// For a table that ships: as if learned this moment, whenever it is taken up, and each edge
    /// worth one `part`th, so that many teach a sure mean that a few of the user's own still move.
    ///
    /// How far off the last edges were is forgotten. It is the mean of about eight of them, which
    /// errs by two or three bps: news where they were met, and elsewhere the same chance for all
    /// who take the table up, again at each start.
    #[cold]
    pub fn settle(&mut self, part: i64) {
        for memory in [&mut self.all].into_iter().chain(&mut self.markets) {
            memory.set_grid(0);
            memory.dilute(part);
        }
    }

    /// Goes on from `now`.
    #[cold]
    pub fn resume(&mut self, now: Nanos) {
        self.all.resume(now);
        self.markets
            .iter_mut()
            .for_each(|market| market.resume(now));
    }

    /// As text, kinds without edges left out. `label` says where it comes from, in lines of its
    /// own. Cold.
    #[cold]
    pub fn to_text(&self, instruments: &[Instrument], label: &str) -> String {
        let mut text = format!("{MAGIC}\n");
        for line in label.lines() {
            text += &format!("# {line}\n");
        }
        text += &borders();
        let names = instruments
            .iter()
            .map(|instrument| instrument.name.as_str());
        let named = names.zip(&self.markets);
        for (name, memory) in [(ALL, &self.all)].into_iter().chain(named) {
            write_memory(&mut text, name, memory);
        }
        let sum = sum_of(&text);
        text + &format!("end {sum:016x}\n")
    }

    /// From text. Cold.
    #[cold]
    pub fn from_text(bytes: &[u8], instruments: &[Instrument]) -> Result<Table, TableError> {
        if bytes.len() > BYTES_MAX {
            return Err(TableError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TableError::Altered)?;
        if text.lines().next() != Some(MAGIC) {
            return Err(TableError::Version);
        }
        let (body, sum) = text.rsplit_once("end ").ok_or(TableError::Cut)?;
        let sum = sum.strip_suffix('\n').ok_or(TableError::Cut)?;
        if sum != format!("{:016x}", sum_of(body)) {
            return Err(TableError::Altered);
        }
        let mut table = Table::new(instruments.len());
        let mut at = None;
        let mut is_bordered = false;
        let mut unknown = Memory::new();
        let borders = borders();
        for (idx, line) in body.lines().enumerate().skip(1) {
            let refused = TableError::Line(idx + 1);
            if line.starts_with('#') {
                continue;
            }
            if line.starts_with("borders ") {
                is_bordered = line == borders.trim_end();
            } else if let Some(head) = line.strip_prefix("market ") {
                at = Some(open_memory(head, instruments).ok_or(refused)?);
            } else {
                let (place, grid) = at.ok_or(refused)?;
                // What is of no market of ours is read all the same: a line must be a line.
                let memory = match place {
                    Place::All => &mut table.all,
                    Place::Market(idx) => table.markets.get_mut(idx).ok_or(refused)?,
                    Place::Unknown => &mut unknown,
                };
                memory.set_grid(grid);
                read_into(memory, line).ok_or(refused)?;
            }
            if !is_bordered {
                return Err(TableError::Borders);
            }
        }
        let sound = table.all.is_sound() && table.markets.iter().all(Memory::is_sound);
        sound.then_some(table).ok_or(TableError::Altered)
    }
}

/// Whose lines follow.
#[derive(Clone, Copy)]
enum Place {
    All,
    Market(usize),
    Unknown,
}

/// The line that says what the numbers of kinds mean. Cold.
#[cold]
fn borders() -> String {
    format!("borders {AGES_MS:?} ms {SIZES_BPS:?} bps\n")
}

/// One memory's lines. Cold.
#[cold]
fn write_memory(text: &mut String, name: &str, memory: &Memory) {
    let mut is_headed = false;
    for idx in 0..KEYS {
        let cell = memory.cell(idx);
        if cell.tries == 0 {
            continue;
        }
        if !is_headed {
            *text += &format!("market {name} {}\n", memory.grid());
            is_headed = true;
        }
        *text += &format!("{idx} {}", cell.tries);
        for sums in &cell.orders {
            // Writing to text can't fail.
            let _ = write!(
                text,
                " {} {} {} {}",
                sums.filled, sums.drift, sums.square, sums.made
            );
        }
        *text += "\n";
    }
    for row in 0..ROWS {
        let lately = memory.lately(row);
        if !is_headed || lately.iter().all(|one| one.weight == 0) {
            continue;
        }
        *text += &format!("{LATELY}{row}");
        for one in lately {
            let _ = write!(text, " {} {} {}", one.weight, one.off, one.square);
        }
        *text += "\n";
    }
}

/// Where the lines after a head belong, and how far they had faded. Cold.
#[cold]
fn open_memory(head: &str, instruments: &[Instrument]) -> Option<(Place, u64)> {
    let (name, grid) = head.split_once(' ')?;
    let place = match name {
        ALL => Place::All,
        _ => {
            let found = instruments.iter().position(|i| i.name.as_str() == name);
            found.map_or(Place::Unknown, Place::Market)
        }
    };
    Some((place, grid.parse().ok()?))
}

/// One line of a memory. Cold.
#[cold]
fn read_into(memory: &mut Memory, line: &str) -> Option<()> {
    if let Some(line) = line.strip_prefix(LATELY) {
        let numbers: [i64; 1 + 3 * ORDERS] = read_numbers(line)?;
        let row = usize::try_from(numbers[0]).ok().filter(|row| *row < ROWS)?;
        let lately = |order: usize| Lately {
            weight: numbers[1 + 3 * order],
            off: numbers[2 + 3 * order],
            square: numbers[3 + 3 * order],
        };
        memory.restore_lately(row, std::array::from_fn(lately));
        return Some(());
    }
    let numbers: [i64; NUMBERS] = read_numbers(line)?;
    let key = Key::from_number(u16::try_from(numbers[0]).ok()?)?;
    let mut cell = Cell {
        tries: numbers[1],
        ..Cell::default()
    };
    for (sums, of) in cell.orders.iter_mut().zip(numbers[2..].chunks_exact(4)) {
        *sums = Sums {
            filled: of[0],
            drift: of[1],
            square: of[2],
            made: of[3],
        };
    }
    memory.restore(key, cell);
    Some(())
}

/// So many numbers and no more. Cold.
#[cold]
fn read_numbers<const LEN: usize>(line: &str) -> Option<[i64; LEN]> {
    let mut numbers = [0_i64; LEN];
    let mut words = line.split(' ');
    for number in &mut numbers {
        *number = words.next()?.parse().ok()?;
    }
    words.next().is_none().then_some(numbers)
}

/// FNV-1a, 64 bits: against damage, not against malice. Source: RFC 9923.
#[cold]
fn sum_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}
