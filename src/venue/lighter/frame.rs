//! Lighter's public frames, read without a parser: the exact shape the venue writes, or nothing.
//!
//! Promises: reads in place, changes no byte, allocates nothing; what it reads is what the parser
//! reads. Levels come out as the feed needs them: removals apart from the rest, in wire order.
//! Refuses: any other field, order or blank, numbers out of range, signs. `None` is no judgement:
//! the message then goes through the parser, which names what is wrong if anything is.
//!
//! Source: frames captured on mainnet 2026-07-28/29, `tests/data/lighter/lighter_messages.jsonl`;
//! all of them have one order of fields, though the documentation promises none.

use super::wire::{self, Json};
use crate::market::book::Level;
use crate::market::units::{Price, Size};
use crate::venue::scan::{Places, Scan};

/// Most levels of one frame; more than `DELTAS_PER_MESSAGE_MAX` would not fit the batch anyway.
const LEVELS_MAX: usize = 16_384;
/// Ends a frame that brings changes.
const UPDATE_TAIL: &[u8] = br#","type":"update/order_book"}"#;
/// Ends a frame that brings a whole book.
const SNAPSHOT_TAIL: &[u8] = br#","type":"subscribed/order_book"}"#;
/// First guesses of decimal places; most markets have prices and sizes of six in all.
const PLACES: [Places; 2] = [Places::guess(2), Places::guess(4)];

/// The levels of one frame. Memory is taken once.
pub struct Levels {
    removed: Box<[Price]>,
    standing: Box<[Level]>,
    /// Removed and standing levels; the first of the pair are asks.
    asks_len: (usize, usize),
    all_len: (usize, usize),
}

impl Levels {
    /// Room for the largest frame.
    pub fn new() -> Levels {
        let nothing = Level {
            price: Price::ZERO,
            size: Size::ZERO,
        };
        Levels {
            removed: vec![Price::ZERO; LEVELS_MAX].into_boxed_slice(),
            standing: vec![nothing; LEVELS_MAX].into_boxed_slice(),
            asks_len: (0, 0),
            all_len: (0, 0),
        }
    }

    /// Levels of size zero: asks, then bids.
    pub fn removed(&self) -> (&[Price], &[Price]) {
        self.removed[..self.all_len.0].split_at(self.asks_len.0)
    }

    /// The others: asks, then bids.
    pub fn standing(&self) -> (&[Level], &[Level]) {
        self.standing[..self.all_len.1].split_at(self.asks_len.1)
    }
}

impl Default for Levels {
    fn default() -> Levels {
        Levels::new()
    }
}

/// A book frame of which the market and the kind are known; its levels are still to be read.
pub struct Head<'m> {
    /// Market id.
    pub market: u64,
    /// A whole book, or changes.
    pub is_snapshot: bool,
    scan: Scan<'m>,
}

/// Where a book frame stands in its market's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Engine sequence after the frame.
    pub nonce: u64,
    /// Engine sequence it builds on.
    pub begin_nonce: u64,
    /// When the engine made it, microseconds on the venue's clock.
    pub updated_at_us: u64,
    /// Both sides come best first, so no price can stand there twice.
    pub is_in_order: bool,
}

/// Looks at both ends of a message. `None` when it is not a book frame.
#[inline]
pub fn book_head(bytes: &[u8]) -> Option<Head<'_>> {
    let is_snapshot = !bytes.ends_with(UPDATE_TAIL);
    if is_snapshot && !bytes.ends_with(SNAPSHOT_TAIL) {
        return None;
    }
    let mut scan = Scan::new(bytes);
    scan.text(br#"{"channel":"order_book:"#)?;
    let market = scan.integer()?;
    Some(Head {
        market,
        is_snapshot,
        scan,
    })
}

impl Head<'_> {
    /// Reads the levels into `levels`, whose content means nothing when this gives `None`.
    #[inline]
    pub fn read(mut self, levels: &mut Levels) -> Option<Chain> {
        let scan = &mut self.scan;
        let mut places = PLACES;
        scan.text(br#"","last_updated_at":"#)?;
        scan.skip_integer()?;
        scan.text(br#","offset":"#)?;
        scan.skip_integer()?;
        scan.text(br#","order_book":{"code":0,"asks":["#)?;
        levels.all_len = (0, 0);
        let asks_rise = read_side::<true>(scan, &mut places, levels)?;
        levels.asks_len = levels.all_len;
        scan.text(br#","bids":["#)?;
        let bids_fall = read_side::<false>(scan, &mut places, levels)?;
        scan.text(br#","offset":"#)?;
        scan.skip_integer()?;
        scan.text(br#","nonce":"#)?;
        let nonce = scan.integer()?;
        scan.text(br#","last_updated_at":"#)?;
        let updated_at_us = scan.integer()?;
        scan.text(br#","begin_nonce":"#)?;
        let begin_nonce = scan.integer()?;
        scan.text(br#"},"timestamp":"#)?;
        scan.skip_integer()?;
        scan.end(if self.is_snapshot {
            SNAPSHOT_TAIL.len()
        } else {
            UPDATE_TAIL.len()
        })?;
        Some(Chain {
            nonce,
            begin_nonce,
            updated_at_us,
            is_in_order: asks_rise && bids_fall,
        })
    }
}

/// One side up to its closing bracket; says whether it came best first.
///
/// Every level is written to both lists and only one of them moves on: which one is as good as
/// random, and a branch that is guessed wrong costs more than the second write.
#[inline(always)]
fn read_side<const IS_ASK: bool>(
    scan: &mut Scan<'_>,
    [price_places, size_places]: &mut [Places; 2],
    levels: &mut Levels,
) -> Option<bool> {
    if scan.has(b"]") {
        return Some(true);
    }
    let (mut removed_len, mut standing_len) = levels.all_len;
    let mut last = if IS_ASK { 0 } else { i64::MAX };
    let mut is_in_order = true;
    scan.text(br#"{"price":""#)?;
    loop {
        let price = scan.decimal(price_places)?;
        scan.text(br#"","size":""#)?;
        let size = scan.decimal(size_places)?;
        if price == 0 {
            return None;
        }
        is_in_order &= if IS_ASK { price > last } else { price < last };
        last = price;
        let (price, size) = (Price(price), Size(size));
        *levels.removed.get_mut(removed_len)? = price;
        *levels.standing.get_mut(standing_len)? = Level { price, size };
        let is_removed = usize::from(size == Size::ZERO);
        removed_len += is_removed;
        standing_len += 1 - is_removed;
        if !scan.has(br#""},{"price":""#) {
            break;
        }
    }
    scan.text(br#""}]"#)?;
    levels.all_len = (removed_len, standing_len);
    Some(is_in_order)
}

/// Best bid and ask of one market, as the `ticker` channel tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticker {
    /// Market id.
    pub market: u64,
    /// Engine sequence, comparable with a book's `nonce`.
    pub nonce: u64,
    /// When the engine made it, microseconds on the venue's clock; 0 when it does not say.
    pub updated_at_us: u64,
    /// The channel's first frame, which may tell of long ago.
    pub is_first: bool,
    /// Best bid; `None` when nobody bids.
    pub bid: Option<Level>,
    /// Best ask.
    pub ask: Option<Level>,
}

/// Reads an `update/ticker` or `subscribed/ticker` frame.
pub fn ticker(bytes: &[u8]) -> Option<Ticker> {
    let mut scan = Scan::new(bytes);
    scan.text(br#"{"channel":"ticker:"#)?;
    let market = scan.integer()?;
    scan.text(br#"","last_updated_at":"#)?;
    scan.skip_integer()?;
    scan.text(br#","nonce":"#)?;
    let nonce = scan.integer()?;
    scan.text(br#","ticker":{"s":""#)?;
    scan.symbol()?;
    scan.text(br#"","a":{"price":""#)?;
    let ask = ticker_level(&mut scan)?;
    scan.text(br#","b":{"price":""#)?;
    let bid = ticker_level(&mut scan)?;
    scan.text(br#","last_updated_at":"#)?;
    let updated_at_us = scan.integer()?;
    scan.text(br#"},"timestamp":"#)?;
    scan.skip_integer()?;
    let is_first = !scan.has(br#","type":"update/ticker"}"#);
    if is_first {
        scan.text(br#","type":"subscribed/ticker"}"#)?;
    }
    scan.end(0)?;
    Some(Ticker {
        market,
        nonce,
        updated_at_us,
        is_first,
        bid,
        ask,
    })
}

/// One side of a ticker; `Some(None)` where the venue writes two empty texts.
#[inline]
fn ticker_level(scan: &mut Scan<'_>) -> Option<Option<Level>> {
    if scan.has(br#"","size":""}"#) {
        return Some(None);
    }
    let [mut price_places, mut size_places] = PLACES;
    let price = Price(scan.decimal(&mut price_places)?);
    scan.text(br#"","size":""#)?;
    let size = Size(scan.decimal(&mut size_places)?);
    scan.text(br#""}"#)?;
    (price > Price::ZERO && size > Size::ZERO).then_some(Some(Level { price, size }))
}

/// As [`ticker`], from the parser's tree: fields in any order.
pub fn parsed_ticker(root: Json<'_, '_>) -> Option<Ticker> {
    let (kind, name) = wire::classify(root);
    let is_ticker = matches!(kind, wire::Kind::Subscribed | wire::Kind::Update) && name == "ticker";
    let body = root.field("ticker").filter(|_| is_ticker)?;
    Some(Ticker {
        market: wire::channel_number(root)?,
        nonce: root.field("nonce")?.integer()?,
        updated_at_us: body.updated_at_us(),
        is_first: kind == wire::Kind::Subscribed,
        bid: touch(body.field("b")?)?,
        ask: touch(body.field("a")?)?,
    })
}

/// One side of a ticker; `Some(None)` where the venue writes two empty texts.
fn touch(level: Json<'_, '_>) -> Option<Option<Level>> {
    let (price_text, size_text) = wire::level_text(level)?;
    if price_text.is_empty() && size_text.is_empty() {
        return Some(None);
    }
    let (price, size) = (wire::price(price_text).ok()?, wire::size(size_text).ok()?);
    (size > Size::ZERO).then_some(Some(Level { price, size }))
}
