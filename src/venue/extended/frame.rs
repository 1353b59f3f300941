//! Extended's book frames, read without a parser: the exact shape the venue writes, or nothing.
//!
//! Promises: reads in place, changes no byte, allocates nothing; what it reads is what the parser
//! reads. Whole books, changes, and the best-prices topic (`depth=1`, whose frames are small whole
//! books) are all of one shape.
//! Refuses: any other member, order or blank, another market's name, numbers out of range, changes
//! that do not fit their sizes. `None` is no judgement: the message then goes through the parser,
//! which names what is wrong if anything is.
//!
//! Source: frames captured on mainnet 2026-02 to 2026-09 (C1); all have one order of members.

use crate::market::book::Side;
use crate::market::units::{Price, Size};
use crate::venue::extended::wire::WireLevel;
use crate::venue::scan::{Places, Scan};

/// A book frame of which the kind is known and the market is the one expected; its levels are
/// still to be read.
pub struct Head<'m> {
    /// A whole book, or changes.
    pub is_snapshot: bool,
    scan: Scan<'m>,
}

/// The end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Position in the connection's row of messages.
    pub sequence: u64,
    /// Both sides come best first, so no price can stand there twice.
    pub is_in_order: bool,
}

/// First guesses of decimal places; a price is often whole.
const PLACES: [Places; 2] = [Places::guess(1), Places::guess(5)];

/// Looks at the start of a message. `None` when it is not a book frame of this market.
#[inline]
pub fn book_head<'m>(bytes: &'m [u8], market: &str) -> Option<Head<'m>> {
    let mut scan = Scan::new(bytes);
    scan.text(br#"{"type":""#)?;
    let is_snapshot = !scan.has(br#"DELTA","data":{"t":"DELTA","m":""#);
    if is_snapshot {
        scan.text(br#"SNAPSHOT","data":{"t":"SNAPSHOT","m":""#)?;
    }
    scan.name(market.as_bytes())?;
    scan.text(br#"","b":["#)?;
    Some(Head { is_snapshot, scan })
}

impl Head<'_> {
    /// Hands every level to `take`, bids first, in wire order; a `take` that refuses ends it.
    #[inline]
    pub fn read(mut self, mut take: impl FnMut(Side, WireLevel) -> Option<()>) -> Option<Tail> {
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
        // Full book or best prices; early captures have neither.
        if scan.has(br#","d":""#) && !scan.has(br#"f""#) {
            scan.text(br#"1""#)?;
        }
        scan.text(br#"},"ts":"#)?;
        scan.skip_integer()?;
        scan.text(br#","seq":"#)?;
        let sequence = scan.integer()?;
        scan.text(b"}")?;
        scan.end(0)?;
        Some(Tail {
            sequence,
            is_in_order: bids_fall && asks_rise,
        })
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
        })?;
        if !scan.has(br#""},{"q":""#) {
            break;
        }
    }
    scan.text(br#""}]"#)?;
    Some(is_in_order)
}
