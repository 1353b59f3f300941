//! What both simulated venues show, and the texts they show it in.
//!
//! Every market has one calm book and two in which it stands 15 bps off: up, where whoever sells
//! here and buys at the other venue has an edge, and down, where it is the other way round. From
//! one to the next eleven levels go and eleven come: a message of about 1 KB.

use parallax::market::Venue;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a book shows, by how far off it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Calm,
    Up,
    Down,
}

/// Levels in one block.
const BLOCK: i64 = 11;
/// Every level's size; as long as real ones.
const SIZE: &str = "12.5000";

/// Best price of each block, in ticks of 0.1.
const BIDS_DEEP: i64 = 9_984;
const BIDS_NEAR: i64 = 9_999;
const BIDS_UP: i64 = 10_014;
const ASKS_DOWN: i64 = 9_986;
const ASKS_NEAR: i64 = 10_001;
const ASKS_DEEP: i64 = 10_016;

impl Shape {
    /// Best prices of the blocks that stand: bids, asks; best first.
    fn blocks(self) -> (&'static [i64], &'static [i64]) {
        match self {
            Shape::Calm => (&[BIDS_NEAR, BIDS_DEEP], &[ASKS_NEAR, ASKS_DEEP]),
            Shape::Up => (&[BIDS_UP, BIDS_NEAR, BIDS_DEEP], &[ASKS_DEEP]),
            Shape::Down => (&[BIDS_DEEP], &[ASKS_DOWN, ASKS_NEAR, ASKS_DEEP]),
        }
    }

    /// Best bid and best ask, in ticks.
    pub fn touch(self) -> (i64, i64) {
        let (bids, asks) = self.blocks();
        (bids[0], asks[0])
    }
}

/// Prices of a block, best first.
fn prices(best: i64, is_bid: bool) -> impl Iterator<Item = i64> {
    (0..BLOCK).map(move |at| if is_bid { best - at } else { best + at })
}

/// What becomes of a level.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Comes,
    Goes,
    /// Told, but not changed.
    Stays,
}

/// Levels of one side, in ticks.
type Levels = Vec<(i64, Fate)>;

/// What changes from one shape to another: bids, asks. From one to itself a level is told anew.
fn changes(from: Shape, to: Shape) -> [Levels; 2] {
    if from == to {
        return [vec![(BIDS_DEEP, Fate::Stays)], Vec::new()];
    }
    let (old, new) = (from.blocks(), to.blocks());
    let side = |old: &[i64], new: &[i64], is_bid: bool| {
        let come = new.iter().filter(|best| !old.contains(best));
        let gone = old.iter().filter(|best| !new.contains(best));
        let come = come
            .flat_map(|best| prices(*best, is_bid))
            .map(|at| (at, Fate::Comes));
        let gone = gone
            .flat_map(|best| prices(*best, is_bid))
            .map(|at| (at, Fate::Goes));
        come.chain(gone).collect()
    };
    [side(old.0, new.0, true), side(old.1, new.1, false)]
}

fn whole(shape: Shape) -> [Levels; 2] {
    let (bids, asks) = shape.blocks();
    let side = |blocks: &[i64], is_bid: bool| {
        let all = blocks.iter().flat_map(|best| prices(*best, is_bid));
        all.map(|at| (at, Fate::Comes)).collect()
    };
    [side(bids, true), side(asks, false)]
}

/// Number of the last message in a market's or a connection's row.
pub type Number = u64;

/// A whole book.
pub fn snapshot(venue: Venue, market: usize, number: Number) -> String {
    match venue {
        Venue::Extended => extended("SNAPSHOT", market, &whole(Shape::Calm), number),
        Venue::Lighter => lighter("subscribed", market, &whole(Shape::Calm), number),
    }
}

/// The way from one shape to another.
pub fn update(venue: Venue, market: usize, (from, to): (Shape, Shape), number: Number) -> String {
    match venue {
        Venue::Extended => extended("DELTA", market, &changes(from, to), number),
        Venue::Lighter => lighter("update", market, &changes(from, to), number),
    }
}

/// Ticks as a decimal.
pub fn price(ticks: i64) -> String {
    format!("{}.{}", ticks / 10, ticks % 10)
}

fn extended(kind: &str, market: usize, [bids, asks]: &[Levels; 2], number: Number) -> String {
    let side = |levels: &Levels| {
        let level = |(ticks, fate): &(i64, Fate)| match (kind, fate) {
            ("SNAPSHOT", _) => format!(r#"{{"q":"{SIZE}","p":"{}"}}"#, price(*ticks)),
            (_, Fate::Comes) => format!(r#"{{"q":"{SIZE}","p":"{}","c":"{SIZE}"}}"#, price(*ticks)),
            (_, Fate::Stays) => {
                format!(r#"{{"q":"0.0000","p":"{}","c":"{SIZE}"}}"#, price(*ticks))
            }
            (_, Fate::Goes) => format!(r#"{{"q":"-{SIZE}","p":"{}","c":"0"}}"#, price(*ticks)),
        };
        levels.iter().map(level).collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"type":"{kind}","data":{{"t":"{kind}","m":"{}","b":[{}],"a":[{}],"d":"f"}},"#,
        name(market),
        side(bids),
        side(asks)
    ) + &format!(r#""ts":{},"seq":{number}}}"#, now_us() / 1000)
}

fn lighter(kind: &str, market: usize, [bids, asks]: &[Levels; 2], number: Number) -> String {
    let side = |levels: &Levels| {
        let level = |(ticks, fate): &(i64, Fate)| {
            let size = if *fate == Fate::Goes { "0.0000" } else { SIZE };
            format!(r#"{{"price":"{}","size":"{size}"}}"#, price(*ticks))
        };
        levels.iter().map(level).collect::<Vec<_>>().join(",")
    };
    let (id, us) = (venue_market(market), now_us());
    let ms = us / 1000;
    let begin = if kind == "update" { number - 1 } else { 0 };
    let mut text =
        format!(r#"{{"channel":"order_book:{id}","last_updated_at":{us},"offset":{number},"#);
    let _ = write!(
        text,
        r#""order_book":{{"code":0,"asks":[{}],"bids":[{}],"offset":{number},"nonce":{number},"#,
        side(asks),
        side(bids)
    );
    let _ = write!(
        text,
        r#""last_updated_at":{us},"begin_nonce":{begin}}},"timestamp":{ms},"#
    );
    text + &format!(r#""type":"{kind}/order_book"}}"#)
}

/// What the venues stamp where time is made up, microseconds; 0: what the clock says.
pub static STAMP_US: AtomicU64 = AtomicU64::new(0);

/// Microseconds since the Unix epoch, as the venues stamp.
fn now_us() -> u64 {
    match STAMP_US.load(Ordering::Relaxed) {
        0 => {}
        stamp_us => return stamp_us,
    }
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    epoch.expect("the clock is set").as_micros() as u64
}

/// Extended's name of a market.
pub fn name(market: usize) -> String {
    format!("M{market}-USD")
}

/// Lighter's number of a market.
pub fn venue_market(market: usize) -> u32 {
    market as u32 + 1
}

/// The market behind Lighter's number.
pub fn market_of(venue_market: u64) -> usize {
    venue_market as usize - 1
}
