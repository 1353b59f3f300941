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
use crate::scanner::arrival::memory::{Cell, Memory, Sums};
use std::fmt;
use std::fmt::Write;

/// First line of the text. A change of what stands in it is another number.
const MAGIC: &str = "parallax arrival 1";
/// Name of the memory of all markets; no market has a name with an asterisk.
const ALL: &str = "*";
/// Most bytes of a text: 257 memories of 120 kinds in 200 bytes each, and some.
const BYTES_MAX: usize = 8 << 20;
/// Numbers on the line of a kind: its own, tries, and four for each order of legs.
const NUMBERS: usize = 2 + 4 * ORDERS;

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
        self.all.add(score.t, key, score.net, &score.edges);
        if let Some(market) = self.markets.get_mut(score.instrument.idx()) {
            market.add(score.t, key, score.net, &score.edges);
        }
    }

    /// As if learned this moment, whenever it is taken up: for a table that ships.
    #[cold]
    pub fn forget_when(&mut self) {
        self.all.set_grid(0);
        self.markets
            .iter_mut()
            .for_each(|market| market.set_grid(0));
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
                let (key, cell) = read_cell(line).ok_or(refused)?;
                let (place, grid) = at.ok_or(refused)?;
                let memory = match place {
                    Place::All => Some(&mut table.all),
                    Place::Market(idx) => table.markets.get_mut(idx),
                    Place::Unknown => None,
                };
                if let Some(memory) = memory {
                    memory.set_grid(grid);
                    memory.restore(key, cell);
                }
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

/// One kind. Cold.
#[cold]
fn read_cell(line: &str) -> Option<(Key, Cell)> {
    let mut numbers = [0_i64; NUMBERS];
    let mut words = line.split(' ');
    for number in &mut numbers {
        *number = words.next()?.parse().ok()?;
    }
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
    words.next().is_none().then_some((key, cell))
}

/// FNV-1a, 64 bits: against damage, not against malice. Source: RFC 9923.
#[cold]
fn sum_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}
