//! Book messages of both venues as the recorder wrote them down, and nothing else of their streams.
//!
//! Promises: exact decimals; the venue's own numbers of continuity. Refuses: to guess: a message
//! that lacks something, or is of another kind, is no book message.

use super::Listed;
use crate::market::Venue;
use crate::market::units::{Price, Size};
use serde::Deserialize;
use std::borrow::Cow;

/// What a book message said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Which row of the capture's header.
    pub market_idx: usize,
    /// How it joins what was said before.
    pub joins: Joins,
    /// The venue's number of this message; the next change follows it. `None`: any may follow.
    pub sequence: Option<u64>,
    /// Bids and asks: prices and absolute sizes, zero removing.
    pub sides: [Vec<(Price, Size)>; 2],
}

/// How a message joins the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joins {
    /// It is the whole book.
    Whole,
    /// It changes the book that the message of this number left.
    After(u64),
}

/// Reads one message; `None` when it is not about a book of the header.
pub fn read(markets: &[Listed], venue: Venue, json: &str) -> Option<Said> {
    if json.starts_with(CARRIED) {
        return serde_json::from_str::<Carried>(json)
            .ok()?
            .said(markets, venue);
    }
    match venue {
        Venue::Extended => serde_json::from_str::<Extended>(json).ok()?.said(markets),
        Venue::Lighter => serde_json::from_str::<Lighter>(json).ok()?.said(markets),
    }
}

/// Text that may stand in the line as it is.
type Text<'a> = Cow<'a, str>;

/// How a book that the recorder carried over begins.
const CARRIED: &str = "{\"carried\":";

/// A whole book that was known when the segment began: the recorder's own line.
#[derive(Deserialize)]
struct Carried<'a> {
    /// The market's name at the venue.
    #[serde(borrow)]
    carried: Text<'a>,
    bids: Vec<(Text<'a>, Text<'a>)>,
    asks: Vec<(Text<'a>, Text<'a>)>,
}

impl Carried<'_> {
    fn said(&self, markets: &[Listed], venue: Venue) -> Option<Said> {
        let is_ours =
            |market: &Listed| market.venue() == Some(venue) && market.name == self.carried;
        let side = |levels: &[(Text, Text)]| -> Option<Vec<_>> {
            levels.iter().map(|(p, s)| level(p, s)).collect()
        };
        Some(Said {
            market_idx: markets.iter().position(is_ours)?,
            joins: Joins::Whole,
            sequence: None,
            sides: [side(&self.bids)?, side(&self.asks)?],
        })
    }
}

/// Extended, stream v1, `orderbooks/{market}`. Source: API documentation, order book stream.
#[derive(Deserialize)]
struct Extended<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    data: ExtendedBook<'a>,
    seq: u64,
}

#[derive(Deserialize)]
struct ExtendedBook<'a> {
    #[serde(borrow)]
    m: Text<'a>,
    b: Vec<ExtendedLevel<'a>>,
    a: Vec<ExtendedLevel<'a>>,
}

/// `q` is the size in a snapshot and the signed change in a delta; `c` the size after the change.
#[derive(Deserialize)]
struct ExtendedLevel<'a> {
    #[serde(borrow)]
    p: Text<'a>,
    q: Text<'a>,
    c: Option<Text<'a>>,
}

impl Extended<'_> {
    fn said(&self, markets: &[Listed]) -> Option<Said> {
        let joins = match &*self.kind {
            "SNAPSHOT" => Joins::Whole,
            "DELTA" => Joins::After(self.seq.checked_sub(1)?),
            _ => return None,
        };
        let is_ours =
            |market: &Listed| market.venue() == Some(Venue::Extended) && market.name == self.data.m;
        let side = |levels: &[ExtendedLevel]| -> Option<Vec<_>> {
            let size = |level: &ExtendedLevel| match (&level.c, joins) {
                (Some(size), _) => self::level(&level.p, size),
                (None, Joins::Whole) => self::level(&level.p, &level.q),
                (None, Joins::After(_)) => None,
            };
            levels.iter().map(size).collect()
        };
        Some(Said {
            market_idx: markets.iter().position(is_ours)?,
            joins,
            sequence: Some(self.seq),
            sides: [side(&self.data.b)?, side(&self.data.a)?],
        })
    }
}

/// Lighter, channel `order_book`. Source: WebSocket page of apidocs.lighter.xyz.
#[derive(Deserialize)]
struct Lighter<'a> {
    #[serde(borrow)]
    channel: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    order_book: LighterBook<'a>,
}

#[derive(Deserialize)]
struct LighterBook<'a> {
    #[serde(borrow, default)]
    bids: Vec<LighterLevel<'a>>,
    #[serde(borrow, default)]
    asks: Vec<LighterLevel<'a>>,
    nonce: u64,
    begin_nonce: Option<u64>,
}

#[derive(Deserialize)]
struct LighterLevel<'a> {
    #[serde(borrow)]
    price: Text<'a>,
    size: Text<'a>,
}

impl Lighter<'_> {
    fn said(&self, markets: &[Listed]) -> Option<Said> {
        let joins = match &*self.kind {
            "subscribed/order_book" => Joins::Whole,
            "update/order_book" => Joins::After(self.order_book.begin_nonce?),
            _ => return None,
        };
        let number: u32 = self.channel.strip_prefix("order_book:")?.parse().ok()?;
        let is_ours =
            |market: &Listed| market.venue() == Some(Venue::Lighter) && market.number == number;
        let side = |levels: &[LighterLevel]| -> Option<Vec<_>> {
            let read = |l: &LighterLevel| level(&l.price, &l.size);
            let mut levels: Vec<_> = levels.iter().map(read).collect::<Option<_>>()?;
            // Removals first, as the venue asks: a level may go and come back in one message.
            levels.sort_by_key(|level| level.1 != Size::ZERO);
            Some(levels)
        };
        Some(Said {
            market_idx: markets.iter().position(is_ours)?,
            joins,
            sequence: Some(self.order_book.nonce),
            sides: [side(&self.order_book.bids)?, side(&self.order_book.asks)?],
        })
    }
}

fn level(price: &str, size: &str) -> Option<(Price, Size)> {
    let price = Price::parse(price.as_bytes()).ok()?;
    Some((price, Size::parse(size.as_bytes()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markets() -> Vec<Listed> {
        let listed = |venue: Venue, base: &str, name: &str, number| Listed {
            venue: venue.name().into(),
            base: base.into(),
            name: name.into(),
            number,
            tick_e9: 100_000_000,
            lot_e9: 10_000,
        };
        vec![
            listed(Venue::Extended, "BTC", "BTC-USD", 0),
            listed(Venue::Lighter, "ETH", "ETH", 0),
            listed(Venue::Lighter, "BTC", "BTC", 1),
        ]
    }

    fn at(price: &str, size: &str) -> (Price, Size) {
        level(price, size).unwrap()
    }

    #[test]
    fn extended_snapshots_and_changes() {
        let read = |json: &str| read(&markets(), Venue::Extended, json);
        let whole = r#"{"type":"SNAPSHOT","data":{"t":"SNAPSHOT","m":"BTC-USD",
            "b":[{"q":"0.5","p":"84052.0"}],"a":[{"q":"1","p":"84053"}],"d":"f"},"ts":7,"seq":1}"#;
        let said = read(whole).unwrap();
        assert_eq!((said.market_idx, said.joins), (0, Joins::Whole));
        assert_eq!(
            said.sides,
            [vec![at("84052", "0.5")], vec![at("84053", "1")]]
        );
        let change = r#"{"type":"DELTA","data":{"t":"DELTA","m":"BTC-USD",
            "b":[{"q":"-0.5","p":"84052","c":"0"}],"a":[]},"ts":8,"seq":9}"#;
        let said = read(change).unwrap();
        assert_eq!((said.joins, said.sequence), (Joins::After(8), Some(9)));
        assert_eq!(said.sides[0], [at("84052", "0")]);
        // A change alone is not added up.
        assert_eq!(read(&change.replace(r#","c":"0""#, "")), None);
        assert_eq!(read(&change.replace("BTC-USD", "XRP-USD")), None);
        assert_eq!(read(&change.replace("DELTA", "CANDLE")), None);
        assert_eq!(read("not JSON"), None);
    }

    #[test]
    fn lighter_snapshots_and_changes() {
        let read = |json: &str| read(&markets(), Venue::Lighter, json);
        let text = r#"{"channel":"order_book:1","offset":7,"order_book":{"code":0,
            "asks":[{"price":"5.1","size":"2"},{"price":"5.1","size":"0.0"}],"bids":[],
            "offset":7,"nonce":21,"begin_nonce":20},"type":"update/order_book"}"#;
        let said = read(text).unwrap();
        assert_eq!((said.market_idx, said.joins), (2, Joins::After(20)));
        assert_eq!(said.sides[1], [at("5.1", "0"), at("5.1", "2")]);
        let whole = read(&text.replace("update/", "subscribed/")).unwrap();
        assert_eq!((whole.joins, whole.sequence), (Joins::Whole, Some(21)));
        assert_eq!(read(&text.replace("order_book:1", "order_book:2")), None);
        assert_eq!(read(r#"{"type":"ping"}"#), None);
    }

    #[test]
    fn carried_books() {
        let json = r#"{"carried":"BTC","bids":[["5","1"]],"asks":[]}"#;
        let said = read(&markets(), Venue::Lighter, json).unwrap();
        assert_eq!((said.market_idx, said.sequence), (2, None));
        assert_eq!(said.sides, [vec![at("5", "1")], vec![]]);
        assert_eq!(read(&markets(), Venue::Extended, json), None);
    }

    /// The messages that were recorded from the venues themselves.
    #[test]
    fn recorded_messages_are_read() {
        let recorded = |text: &str, venue: Venue| {
            let mut markets = markets();
            let mut joins = Vec::new();
            for line in text.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let message = &line["message"];
                // Whatever market it was recorded on is on the list.
                if let Some(name) = message["data"]["m"].as_str() {
                    markets[0].name = name.into();
                }
                let channel = message["channel"].as_str().unwrap_or_default();
                if let Some(number) = channel.strip_prefix("order_book:") {
                    markets[2].number = number.parse().unwrap();
                }
                joins.extend(read(&markets, venue, &message.to_string()).map(|said| said.joins));
            }
            let wholes = joins.iter().filter(|joins| **joins == Joins::Whole).count();
            (wholes, joins.len() - wholes)
        };
        let extended = include_str!("../../../../tests/data/extended/extended_messages.jsonl");
        let lighter = include_str!("../../../../tests/data/lighter/lighter_messages.jsonl");
        let counts = [
            recorded(extended, Venue::Extended),
            recorded(lighter, Venue::Lighter),
        ];
        assert!(
            counts
                .iter()
                .all(|&(wholes, changes)| wholes > 0 && changes > 0),
            "{counts:?}"
        );
    }
}
