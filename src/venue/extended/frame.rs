//! Extended's book frames, read without a parser: the exact shape the venue writes, or nothing.
//!
//! Promises: reads in place, changes no byte, allocates nothing; what it reads is what the parser
//! reads. Whole books, changes, and the best-prices topic (`depth=1`, whose frames are small whole
//! books) are all of one shape. The end is read first, so that a frame of a market nobody follows
//! costs its two ends and nothing between.
//! Refuses: any other member, order or blank, the other topic's frames, numbers out of range,
//! changes that do not fit their sizes. `None` is no judgement: the message then goes through the
//! parser, which names what is wrong if anything is.
//!
//! Source: frames captured on mainnet 2026-02 to 2026-09 (C1); all have one order of members.

use crate::market::book::Side;
use crate::market::units::{Price, Size};
use crate::venue::extended::wire::{Depth, WireLevel};
use crate::venue::scan::{Places, Scan};

/// A book frame whose two ends are read; its levels are not yet.
pub struct Head<'m> {
    /// A whole book, or changes.
    pub is_snapshot: bool,
    /// The market's name.
    pub market: &'m [u8],
    /// The end.
    pub tail: Tail,
    scan: Scan<'m>,
}

/// The end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// When the venue built the message, its own milliseconds.
    pub stamp_ms: u64,
    /// Position in the connection's row of messages.
    pub sequence: u64,
    /// Bytes it takes.
    len: usize,
}

/// First guesses of decimal places; a price is often whole.
const PLACES: [Places; 2] = [Places::guess(1), Places::guess(5)];
/// Longest market name looked for; what is longer is nobody's (see `market::Name`).
const NAME_LEN_MAX: usize = 32;
/// Digits of a time in milliseconds, from 2001 to 2286.
const STAMP_DIGITS: usize = 13;
/// Digits of a `u64` at most.
const DIGITS_MAX: usize = 20;

/// Looks at both ends of a message. `None` when it is not a book frame.
#[inline]
pub fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let mut scan = Scan::new(bytes);
    scan.text(br#"{"type":""#)?;
    let is_snapshot = !scan.has(br#"DELTA","data":{"t":"DELTA","m":""#);
    if is_snapshot {
        scan.text(br#"SNAPSHOT","data":{"t":"SNAPSHOT","m":""#)?;
    }
    let market = scan.quoted(NAME_LEN_MAX)?;
    scan.text(br#","b":["#)?;
    Some(Head {
        is_snapshot,
        market,
        tail: tail(bytes)?,
        scan,
    })
}

/// Reads `},"ts":1785778403000,"seq":7}` from the end.
#[inline]
fn tail(bytes: &[u8]) -> Option<Tail> {
    let rest = bytes.strip_suffix(b"}")?;
    let (rest, sequence) = last_integer(bytes, rest.len(), 1)?;
    let rest = rest.strip_suffix(br#","seq":"#)?;
    let (rest, stamp_ms) = last_integer(bytes, rest.len(), STAMP_DIGITS)?;
    let rest = rest.strip_suffix(br#"},"ts":"#)?;
    Some(Tail {
        stamp_ms,
        sequence,
        len: bytes.len() - rest.len(),
    })
}

/// The whole number that ends at `end`, and what stands before it. It begins after a colon, most
/// likely `guess` bytes before.
#[inline]
fn last_integer(bytes: &[u8], end: usize, guess: usize) -> Option<(&[u8], u64)> {
    let mut start = end.checked_sub(guess)?;
    if start.checked_sub(1).and_then(|at| bytes.get(at)) != Some(&b':') {
        let before = bytes[..end].iter().rev().take(DIGITS_MAX);
        start = end - before.take_while(|byte| byte.is_ascii_digit()).count();
    }
    // What follows is left in sight, so that eight digits can be read at a time.
    let mut scan = Scan::new(&bytes[start..]);
    let value = scan.integer()?;
    scan.end(bytes.len() - end)?;
    Some((&bytes[..start], value))
}

impl Head<'_> {
    /// Hands every level to `take`, bids first, in wire order; a `take` that refuses ends it. Says
    /// whether both sides came best first, so that no price can stand there twice.
    #[inline]
    pub fn read(
        mut self,
        depth: Depth,
        mut take: impl FnMut(Side, WireLevel) -> Option<()>,
    ) -> Option<bool> {
        let scan = &mut self.scan;
        let (bids_fall, asks_rise) = if self.is_snapshot {
            let bids = read_side::<true, false>(scan, |level| take(Side::Bid, level))?;
            scan.text(br#","a":["#)?;
            (
                bids,
                read_side::<true, true>(scan, |level| take(Side::Ask, level))?,
            )
        } else {
            let bids = read_side::<false, false>(scan, |level| take(Side::Bid, level))?;
            scan.text(br#","a":["#)?;
            (
                bids,
                read_side::<false, true>(scan, |level| take(Side::Ask, level))?,
            )
        };
        // Early captures have no depth.
        if scan.has(br#","d":""#) {
            match depth {
                Depth::Full => scan.text(br#"f""#)?,
                Depth::Top => scan.text(br#"1""#)?,
            }
        }
        scan.end(self.tail.len)?;
        Some(bids_fall && asks_rise)
    }
}

/// One side up to its closing bracket; says whether it came best first.
#[inline(always)]
fn read_side<const IS_SNAPSHOT: bool, const IS_ASK: bool>(
    scan: &mut Scan<'_>,
    mut take: impl FnMut(WireLevel) -> Option<()>,
) -> Option<bool> {
    if scan.has(b"]") {
        return Some(true);
    }
    let [mut price_places, size_places] = PLACES;
    let (mut quantity_places, mut size_places) = (size_places, size_places);
    let mut last = if IS_ASK { 0 } else { i64::MAX };
    let mut is_in_order = true;
    scan.text(br#"{"q":""#)?;
    loop {
        let quantity = if IS_SNAPSHOT {
            scan.decimal(&mut quantity_places)?
        } else {
            scan.signed_decimal(&mut quantity_places)?
        };
        scan.text(br#"","p":""#)?;
        let price = scan.decimal(&mut price_places)?;
        let mut size = quantity;
        if !IS_SNAPSHOT {
            scan.text(br#"","c":""#)?;
            size = scan.decimal(&mut size_places)?;
            // Less than nothing cannot have stood there before the change.
            if size.checked_sub(quantity)? < 0 {
                return None;
            }
        }
        if price == 0 {
            return None;
        }
        is_in_order &= if IS_ASK { price > last } else { price < last };
        last = price;
        take(WireLevel {
            price: Price(price),
            size: Size(size),
            change: Size(quantity),
        })?;
        if !scan.has(br#""},{"q":""#) {
            break;
        }
    }
    scan.text(br#""}]"#)?;
    Some(is_in_order)
}
