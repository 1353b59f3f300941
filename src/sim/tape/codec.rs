//! Frames as varints: one writer, one reader.
//!
//! A frame is `gap_us << 2 | kind`, then by kind: a snapshot or depth frame has two counts (bids,
//! asks), and per side the ticks ascending (the first against the side's last first tick, zigzag;
//! the others as steps) with absolute lots, zero removing; a trade has its tick against the last
//! trade, zigzag, and `lots << 1 | side`.

use super::TapeError;
use crate::market::book::Side;

/// What a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The levels are the whole book.
    #[default]
    Snapshot,
    /// The levels changed to these lots.
    Depth,
    /// A public trade; `levels` of the taker's side holds its tick and lots.
    Trade(Side),
}

/// One frame, read into reused buffers.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Time since the start of the tape, nanoseconds.
    pub t_ns: u64,
    /// What it is.
    pub kind: Kind,
    /// Bids as (tick, lots), ticks ascending.
    pub bids: Vec<(i64, i64)>,
    /// Asks likewise.
    pub asks: Vec<(i64, i64)>,
}

/// What a reader or writer remembers between frames.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    t_us: u64,
    first: [i64; 2],
    trade: i64,
}

/// A place in a stream. `Copy`: a loop of the tape goes back to a kept one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    at: usize,
    memory: Memory,
}

impl Cursor {
    /// Time of the next frame in nanoseconds, without reading it; `None` at the end.
    pub fn peek_ns(&self, bytes: &[u8]) -> Option<u64> {
        let mut at = self.at;
        let head = get(bytes, &mut at).ok()?;
        Some((self.memory.t_us + (head >> 2)) * 1_000)
    }

    /// Reads the next frame; `false` at the end.
    pub fn read(&mut self, bytes: &[u8], frame: &mut Frame) -> Result<bool, TapeError> {
        if self.at >= bytes.len() {
            return Ok(false);
        }
        let head = get(bytes, &mut self.at)?;
        self.memory.t_us += head >> 2;
        frame.t_ns = self.memory.t_us.checked_mul(1_000).ok_or(MALFORMED)?;
        frame.bids.clear();
        frame.asks.clear();
        // Counts are not trusted: levels are read one by one, and the bytes end before memory does.
        match head & 3 {
            kind @ (0 | 1) => {
                frame.kind = [Kind::Snapshot, Kind::Depth][kind as usize];
                let bid_len = get(bytes, &mut self.at)?;
                let ask_len = get(bytes, &mut self.at)?;
                self.read_side(bytes, Side::Bid, bid_len, &mut frame.bids)?;
                self.read_side(bytes, Side::Ask, ask_len, &mut frame.asks)?;
            }
            2 => {
                let tick = self.memory.trade + unzigzag(get(bytes, &mut self.at)?);
                let lots = get(bytes, &mut self.at)?;
                self.memory.trade = tick;
                let (side, levels) = if lots & 1 == 0 {
                    (Side::Bid, &mut frame.bids)
                } else {
                    (Side::Ask, &mut frame.asks)
                };
                frame.kind = Kind::Trade(side);
                levels.push((checked(tick)?, checked((lots >> 1) as i64)?));
            }
            _ => return Err(TapeError::Malformed("unknown kind of frame")),
        }
        Ok(true)
    }

    fn read_side(
        &mut self,
        bytes: &[u8],
        side: Side,
        len: u64,
        levels: &mut Vec<(i64, i64)>,
    ) -> Result<(), TapeError> {
        let mut tick = self.memory.first[side.idx()];
        for idx in 0..len {
            let step = get(bytes, &mut self.at)?;
            if idx == 0 {
                tick = tick.checked_add(unzigzag(step)).ok_or(MALFORMED)?;
                self.memory.first[side.idx()] = tick;
            } else if step == 0 {
                // Twice the same level in one frame has no meaning.
                return Err(TapeError::Malformed("levels do not ascend"));
            } else {
                tick = tick.checked_add_unsigned(step).ok_or(MALFORMED)?;
            }
            let lots = get(bytes, &mut self.at)?;
            levels.push((checked(tick)?, checked(lots as i64)?));
        }
        Ok(())
    }
}

/// Writes frames.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// What was written.
    pub bytes: Vec<u8>,
    memory: Memory,
}

impl Writer {
    /// Appends one frame. Times must not go back and levels must ascend by tick.
    pub fn write(&mut self, frame: &Frame) {
        let t_us = (frame.t_ns / 1_000).max(self.memory.t_us);
        let gap_us = t_us - self.memory.t_us;
        self.memory.t_us = t_us;
        let kind = match frame.kind {
            Kind::Snapshot => 0,
            Kind::Depth => 1,
            Kind::Trade(_) => 2,
        };
        put(&mut self.bytes, gap_us << 2 | kind);
        if let Kind::Trade(side) = frame.kind {
            let (levels, bit) = match side {
                Side::Bid => (&frame.bids, 0),
                Side::Ask => (&frame.asks, 1),
            };
            let (tick, lots) = levels[0];
            put(&mut self.bytes, zigzag(tick - self.memory.trade));
            put(&mut self.bytes, (lots as u64) << 1 | bit);
            self.memory.trade = tick;
            return;
        }
        put(&mut self.bytes, frame.bids.len() as u64);
        put(&mut self.bytes, frame.asks.len() as u64);
        for (side, levels) in [(0, &frame.bids), (1, &frame.asks)] {
            let mut last = None;
            for &(tick, lots) in levels {
                match last {
                    None => {
                        put(&mut self.bytes, zigzag(tick - self.memory.first[side]));
                        self.memory.first[side] = tick;
                    }
                    Some(before) => put(&mut self.bytes, (tick - before) as u64),
                }
                put(&mut self.bytes, lots as u64);
                last = Some(tick);
            }
        }
    }
}

const MALFORMED: TapeError = TapeError::Malformed("a number is out of range");

/// Ticks and lots beyond this cannot come from a market; refusing them keeps arithmetic safe.
pub(super) const NUMBER_MAX: i64 = 1 << 40;

fn checked(value: i64) -> Result<i64, TapeError> {
    if (0..NUMBER_MAX).contains(&value) {
        Ok(value)
    } else {
        Err(MALFORMED)
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends a varint: seven bits a byte, low first.
pub fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Reads a varint of at most nine bytes (63 bits).
pub fn get(bytes: &[u8], at: &mut usize) -> Result<u64, TapeError> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at).ok_or(TapeError::Cut)?;
        *at += 1;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(MALFORMED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::random::Random;

    #[test]
    fn numbers_survive() {
        let mut bytes = Vec::new();
        let numbers = [0, 1, 127, 128, 300, 1 << 40, (1 << 63) - 1];
        numbers.iter().for_each(|&number| put(&mut bytes, number));
        let mut at = 0;
        for number in numbers {
            assert_eq!(get(&bytes, &mut at).unwrap(), number);
        }
        assert!(matches!(get(&bytes, &mut at), Err(TapeError::Cut)));
        assert!(matches!(
            get(&[0x80; 9], &mut 0),
            Err(TapeError::Malformed(_))
        ));
        for value in [0, -1, 1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    fn random_frame(random: &mut Random, t_ns: u64) -> Frame {
        let mut levels = |count: u64| {
            let mut tick = 600_000 + random.between(0, 1_000) as i64;
            let mut side = Vec::new();
            for _ in 0..count {
                side.push((tick, random.between(0, 1 << 30) as i64));
                tick += random.between(1, 99) as i64;
            }
            side
        };
        let (bids, asks) = (levels(5), levels(3));
        match random.between(0, 3) {
            0 => Frame {
                t_ns,
                kind: Kind::Trade(Side::Ask),
                bids: Vec::new(),
                asks: vec![asks[0]],
            },
            1 => Frame {
                t_ns,
                kind: Kind::Snapshot,
                bids,
                asks,
            },
            _ => Frame {
                t_ns,
                kind: Kind::Depth,
                bids,
                asks: Vec::new(),
            },
        }
    }

    #[test]
    fn frames_survive_and_can_be_peeked() {
        let mut random = Random::new(1, "codec");
        let mut writer = Writer::default();
        let mut t_ns = 0;
        let mut frames = Vec::new();
        for _ in 0..500 {
            let frame = random_frame(&mut random, t_ns);
            writer.write(&frame);
            frames.push(frame);
            t_ns += random.between(0, 90_000) * 1_000;
        }
        let mut cursor = Cursor::default();
        let mut read = Frame::default();
        for frame in frames {
            assert_eq!(cursor.peek_ns(&writer.bytes), Some(frame.t_ns));
            assert!(cursor.read(&writer.bytes, &mut read).unwrap());
            assert_eq!((read.t_ns, read.kind), (frame.t_ns, frame.kind));
            assert_eq!((&read.bids, &read.asks), (&frame.bids, &frame.asks));
        }
        assert_eq!(cursor.peek_ns(&writer.bytes), None);
        assert!(!cursor.read(&writer.bytes, &mut read).unwrap());
    }
}
