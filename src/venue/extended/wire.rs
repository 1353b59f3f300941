//! Messages as Extended writes them: JSON over reused buffers, read by member, exact or refused.
//!
//! Promises: no allocation after warm-up (the parser's buffers and its tape are kept between
//! messages); prices and sizes exact at 10^-9 whatever their spelling (`84052.0` is `84052`); ids
//! as `u64`, never through a double (they pass 2^53 and even 2^63).
//! Refuses: JSON numbers where the venue writes decimal text, levels without price or size, sizes
//! below zero.
//!
//! The tape borrows the message it was made from. Between messages it is empty, and an empty tape
//! borrows nothing: `Tape::reset` gives it the lifetime of the next message, in safe code.
//! Sources: entries D1 and C1 of the venue's list. The only door to simd-json for this venue.

use crate::market::event::FrameKind;
use crate::market::units::{Notional, Price, Size, parse_decimal, parse_decimal_rounded};
use simd_json::{Buffers, Node, StaticNode, Tape};

/// A parser with its kept buffers. One per stage.
pub struct Decoder {
    buffers: Buffers,
    /// `None` only while a message is being read.
    tape: Option<Tape<'static>>,
}

impl Decoder {
    /// Room for messages of `bytes_max` before the buffers have to grow. Reads a message of that
    /// size made of book levels, so that the first real one finds its memory touched already.
    pub fn new(bytes_max: usize) -> Decoder {
        let mut decoder = Decoder {
            buffers: Buffers::new(bytes_max),
            tape: Some(Tape(Vec::new())),
        };
        const LEVEL: &[u8] = br#"{"q":"0.5","p":"84050"},"#;
        let mut levels = LEVEL.repeat(bytes_max / LEVEL.len() + 1);
        levels.insert(0, b'[');
        levels.pop();
        levels.push(b']');
        decoder.read(&mut levels, |root| {
            debug_assert!(root.is_some(), "the warm-up message is JSON");
        });
        decoder
    }

    /// Parses one message (in place: its bytes are overwritten) and hands its root to `read`;
    /// `None` when it is not JSON.
    pub fn read<R>(&mut self, bytes: &mut [u8], read: impl FnOnce(Option<Json<'_, '_>>) -> R) -> R {
        let mut tape = self.tape.take().unwrap_or_else(Tape::null).reset();
        let parsed = simd_json::fill_tape(bytes, &mut self.buffers, &mut tape);
        let root = parsed.is_ok().then_some(Json(&tape.0));
        let answer = read(root.filter(|json| !json.0.is_empty()));
        self.tape = Some(tape.reset());
        answer
    }
}

/// One JSON value: the nodes of its tape from its own on.
///
/// The tape is flat: an object or array tells how many nodes stand inside it, so that a value is
/// skipped in one step however deep it is. Every walk is therefore bounded by the message's length
/// and needs no recursion. Reading past the end gives "not there", never a panic.
#[derive(Clone, Copy)]
pub struct Json<'tape, 'input>(&'tape [Node<'input>]);

impl<'tape, 'input> Json<'tape, 'input> {
    /// Nodes this value takes on the tape.
    fn width(self) -> usize {
        match self.0.first() {
            Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
            Some(Node::String(_) | Node::Static(_)) => 1,
            None => 0,
        }
    }

    /// The value after `skip` nodes.
    fn at(self, skip: usize) -> Json<'tape, 'input> {
        Json(self.0.get(skip..).unwrap_or(&[]))
    }

    /// Name and value of each member; nothing when this is not an object.
    pub fn members(self) -> impl Iterator<Item = (&'input str, Json<'tape, 'input>)> {
        let len = match self.0.first() {
            Some(Node::Object { len, .. }) => *len,
            _ => 0,
        };
        let mut rest = self.at(1);
        (0..len).map_while(move |_| {
            let Some(Node::String(name)) = rest.0.first() else {
                return None;
            };
            let value = rest.at(1);
            rest = value.at(value.width());
            Some((*name, value))
        })
    }

    /// Values of an array; nothing when this is not one.
    pub fn elements(self) -> impl Iterator<Item = Json<'tape, 'input>> {
        let len = match self.0.first() {
            Some(Node::Array { len, .. }) => *len,
            _ => 0,
        };
        let mut rest = self.at(1);
        (0..len).map(move |_| {
            let value = rest;
            rest = value.at(value.width());
            value
        })
    }

    /// A member by name; `None` when it is missing or null.
    pub fn member(self, name: &str) -> Option<Json<'tape, 'input>> {
        self.members()
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    /// The venue writes null where other times it leaves a member out: both mean the same.
    fn is_null(self) -> bool {
        matches!(self.0.first(), Some(Node::Static(StaticNode::Null)))
    }

    /// Whether this is an array.
    pub fn is_array(self) -> bool {
        matches!(self.0.first(), Some(Node::Array { .. }))
    }

    /// Whether this is an object.
    pub fn is_object(self) -> bool {
        matches!(self.0.first(), Some(Node::Object { .. }))
    }

    /// Whether this is `true`.
    pub fn is_true(self) -> bool {
        matches!(self.0.first(), Some(Node::Static(StaticNode::Bool(true))))
    }

    /// Text.
    pub fn text(self) -> Option<&'input str> {
        match self.0.first() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative, written as a number or as its text.
    pub fn integer(self) -> Option<u64> {
        match self.0.first()? {
            Node::Static(StaticNode::U64(value)) => Some(*value),
            Node::Static(StaticNode::I64(value)) => u64::try_from(*value).ok(),
            Node::String(text) => parse_digits(text),
            _ => None,
        }
    }

    /// A decimal text at 10^-9, exact, or what to count it under.
    pub fn decimal(self) -> Result<i64, FrameKind> {
        let text = self.text().ok_or(FrameKind::Malformed)?;
        Ok(parse_decimal(text.as_bytes())?)
    }

    /// A price, exact, or `None`.
    pub fn price(self) -> Option<Price> {
        self.decimal().ok().map(Price)
    }

    /// A size, exact, or `None`.
    pub fn size(self) -> Option<Size> {
        self.decimal().ok().map(Size)
    }

    /// A mark, an index or a rate at 10^-9, rounded to nearest.
    pub fn rounded(self) -> Option<i64> {
        parse_decimal_rounded(self.text()?.as_bytes()).ok()
    }

    /// Money, rounded to 10^-9 (the settlement layer has 10^-6).
    pub fn money(self) -> Option<Notional> {
        self.rounded().map(Notional::from_nano)
    }
}

/// Digits only, as `u64`.
pub fn parse_digits(text: &str) -> Option<u64> {
    let ok = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    ok.then(|| text.parse().ok()).flatten()
}

/// One level of a book frame, made absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireLevel {
    /// Price, positive.
    pub price: Price,
    /// New absolute size; zero removes.
    pub size: Size,
    /// How much of it is new, in a change; all of it, in a whole book.
    pub change: Size,
}

/// Reads one level. Snapshots write the absolute size in `q`; deltas write the signed change in `q`
/// and the new absolute size in `c` (C1: old size + `q` = `c` on captured frames). Where `c` stands
/// it is the size. The fault when the level cannot be trusted, also when the change it claims would
/// need a negative size before it.
pub fn read_level(level: Json<'_, '_>, is_snapshot: bool) -> Result<WireLevel, FrameKind> {
    let (mut price, mut quantity, mut cumulative) = (None, None, None);
    for (name, value) in level.members() {
        match name {
            "p" => price = Some(value.decimal()?),
            "q" => quantity = Some(value.decimal()?),
            "c" => cumulative = Some(value.decimal()?),
            _ => {}
        }
    }
    let (Some(price), Some(quantity)) = (price, quantity) else {
        return Err(FrameKind::Malformed);
    };
    let size = match cumulative {
        Some(size) => size,
        None if is_snapshot => quantity,
        None => return Err(FrameKind::Malformed),
    };
    if price < 0 || size < 0 {
        return Err(FrameKind::Negative);
    }
    // What can be told from the level alone; the rest of the audit needs the book.
    if !is_snapshot {
        let before = size.checked_sub(quantity).ok_or(FrameKind::OutOfRange)?;
        if before < 0 {
            return Err(FrameKind::Misfit);
        }
    }
    match price {
        0 => Err(FrameKind::Malformed),
        _ => Ok(WireLevel {
            price: Price(price),
            size: Size(size),
            change: Size(quantity),
        }),
    }
}

/// How much of a book a topic tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All levels: whole books and changes.
    Full,
    /// The best level of each side: always whole.
    Top,
}

/// The content of a book message. A side that is missing is not an empty side.
#[derive(Clone, Copy)]
pub struct BookData<'tape, 'input> {
    /// The market's name, if it stands there as text.
    pub market: Option<&'input str>,
    /// Bids, asks, if they are lists.
    pub sides: Option<[Json<'tape, 'input>; 2]>,
    /// What the message says of its depth, if it does; early captures do not.
    depth: Option<&'input str>,
}

impl BookData<'_, '_> {
    /// Whether this can be a message of that topic.
    pub fn is_of(&self, depth: Depth) -> bool {
        let expected = match depth {
            Depth::Full => "f",
            Depth::Top => "1",
        };
        self.depth.is_none_or(|told| told == expected)
    }
}

/// Reads the content of a book message, levels left as they are.
pub fn read_book<'tape, 'input>(data: Json<'tape, 'input>) -> BookData<'tape, 'input> {
    let (mut bids, mut asks) = (None, None);
    let mut book = BookData {
        market: None,
        sides: None,
        depth: None,
    };
    for (name, value) in data.members() {
        match name {
            "m" => book.market = value.text(),
            "b" => bids = Some(value).filter(|value| value.is_array()),
            "a" => asks = Some(value).filter(|value| value.is_array()),
            "d" if !value.is_null() => book.depth = Some(value.text().unwrap_or("")),
            _ => {}
        }
    }
    book.sides = bids.zip(asks).map(|(bids, asks)| [bids, asks]);
    book
}

/// The members every stream message has in common.
#[derive(Clone, Copy)]
pub struct Envelope<'tape, 'input> {
    /// `type`; empty on some public topics.
    pub kind: &'input str,
    /// Position in the connection's row of messages: 1, 2, 3..
    pub sequence: u64,
    /// When the venue built the message, its own milliseconds; 0 when it does not say.
    pub stamp_ms: u64,
    /// The content.
    pub data: Option<Json<'tape, 'input>>,
    /// The venue reports an error instead of content.
    pub is_error: bool,
}

/// Reads the common members in one pass; `None` when there is no usable sequence number, unless the
/// message is an error.
pub fn read_envelope<'tape, 'input>(root: Json<'tape, 'input>) -> Option<Envelope<'tape, 'input>> {
    let mut sequence = None;
    let mut envelope = Envelope {
        kind: "",
        sequence: 0,
        stamp_ms: 0,
        data: None,
        is_error: false,
    };
    for (name, value) in root.members() {
        match name {
            "type" => envelope.kind = value.text().unwrap_or(""),
            "seq" => sequence = value.integer(),
            "ts" => envelope.stamp_ms = value.integer().unwrap_or(0),
            "data" => envelope.data = Some(value),
            "error" => envelope.is_error = !value.is_null(),
            _ => {}
        }
    }
    envelope.sequence = sequence.unwrap_or(0);
    (envelope.is_error || sequence.is_some()).then_some(envelope)
}

/// Codes from here on are the venue's own; smaller ones are those of HTTP. [D1, error responses]
const OWN_CODE_MIN: u32 = 1000;

/// What an HTTP answer's body says. [D1, error responses]
#[derive(Clone, Copy)]
pub enum Answer<'tape, 'input> {
    /// `status` OK; with `data` where there is any.
    Ok(Option<Json<'tape, 'input>>),
    /// `status` ERROR with its code. A code written as a name comes out as `None`.
    Error(Option<u32>),
    /// Neither: not the venue's envelope.
    Unreadable,
}

/// Reads the envelope of an HTTP answer. `status` is compared without case. An error without it is
/// the venue's when its code is one of the venue's own; a proxy may well speak of a 403 in JSON.
pub fn read_answer<'tape, 'input>(root: Option<Json<'tape, 'input>>) -> Answer<'tape, 'input> {
    let Some(root) = root else {
        return Answer::Unreadable;
    };
    let status = root.member("status").and_then(Json::text).unwrap_or("");
    if status.eq_ignore_ascii_case("OK") {
        return Answer::Ok(root.member("data"));
    }
    let code = root.member("error").and_then(|error| error.member("code"));
    let code = code
        .and_then(Json::integer)
        .and_then(|code| u32::try_from(code).ok());
    let is_own = code.is_some_and(|code| code >= OWN_CODE_MIN);
    if status.eq_ignore_ascii_case("ERROR") || is_own {
        return Answer::Error(code);
    }
    Answer::Unreadable
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<R>(text: &str, read: impl FnOnce(Option<Json<'_, '_>>) -> R) -> R {
        let mut bytes = text.as_bytes().to_vec();
        Decoder::new(64).read(&mut bytes, read)
    }

    #[test]
    fn members_are_found_behind_nested_ones() {
        let text = r#"{"a":{"b":[1,{"c":[2,3]}],"n":null},"d":"x","e":[[],{},5],"f":true}"#;
        read(text, |root| {
            let root = root.unwrap();
            assert_eq!(root.member("d").and_then(Json::text), Some("x"));
            assert!(root.member("f").is_some_and(Json::is_true));
            let last = root.member("e").unwrap().elements().last();
            assert_eq!(last.and_then(Json::integer), Some(5));
            let b = root.member("a").and_then(|a| a.member("b")).unwrap();
            assert_eq!(b.elements().count(), 2);
            assert!(root.member("a").unwrap().member("n").is_none());
            assert!(root.member("zz").is_none());
        });
    }

    #[test]
    fn ids_never_pass_through_a_double() {
        let text = r#"{"a":9223372036854775808,"b":2104498657029001217,"c":"2051479786538188800",
            "d":-1,"e":1.5,"f":"12x","g":""}"#;
        read(text, |root| {
            let root = root.unwrap();
            let of = |name| root.member(name).and_then(Json::integer);
            assert_eq!(of("a"), Some(1 << 63));
            assert_eq!(of("b"), Some(2_104_498_657_029_001_217));
            assert_eq!(of("c"), Some(2_051_479_786_538_188_800));
            for name in ["d", "e", "f", "g"] {
                assert_eq!(of(name), None, "{name}");
            }
        });
    }

    #[test]
    fn spellings_of_one_price_are_one_price() {
        let text = r#"["84050.000000","84050","8405e1",84050,"84050x","84050.0000000001"]"#;
        read(text, |root| {
            let prices: Vec<_> = root.unwrap().elements().map(Json::decimal).collect();
            let expected = Ok(84_050_000_000_000);
            let (malformed, inexact) = (Err(FrameKind::Malformed), Err(FrameKind::Inexact));
            let all = [expected, expected, expected, malformed, malformed, inexact];
            assert_eq!(prices, all);
        });
    }

    #[test]
    fn levels_are_absolute_or_refused() {
        let size = |text: &str, is_snapshot| {
            let level = read(text, |root| read_level(root.unwrap(), is_snapshot));
            level.map(|level| level.size.0).ok()
        };
        let cases = [
            (r#"{"q":"0.5","p":"10"}"#, Some(500_000_000), None),
            (
                r#"{"q":"-0.04619","p":"84053","c":"2.99615"}"#,
                Some(2_996_150_000),
                Some(2_996_150_000),
            ),
            (r#"{"q":"-0.64","p":"224.28","c":"0"}"#, Some(0), Some(0)),
            (r#"{"q":"0.1","p":"5","c":"-1"}"#, None, None),
            (r#"{"q":"0.1","p":"0","c":"1"}"#, None, None),
            (r#"{"q":"-0.1","p":"-5","c":"1"}"#, None, None),
            (r#"{"p":"5","c":"1"}"#, None, None),
            (r#"{"q":"1","c":"1"}"#, None, None),
            (r#"{"q":1,"p":"5","c":"1"}"#, None, None),
            // Two came and one stands: the change does not fit the size.
            (r#"{"q":"2","p":"5","c":"1"}"#, Some(1_000_000_000), None),
            (r#"[]"#, None, None),
        ];
        for (text, snapshot, delta) in cases {
            assert_eq!(size(text, true), snapshot, "snapshot {text}");
            assert_eq!(size(text, false), delta, "delta {text}");
        }
    }

    #[test]
    fn answers_of_every_recorded_kind() {
        let kind = |text: &str| {
            read(text, |root| match read_answer(root) {
                Answer::Ok(data) => (0, u32::from(data.is_some())),
                Answer::Error(code) => (1, code.unwrap_or(0)),
                Answer::Unreadable => (2, 0),
            })
        };
        let cases = [
            (r#"{"status":"OK","data":{"id":1}}"#, (0, 1)),
            (r#"{"status":"ok"}"#, (0, 0)),
            (r#"{"status":"ERROR","error":{"code":1140}}"#, (1, 1140)),
            (r#"{"status":"ERROR","error":{"code":"NOT_FOUND"}}"#, (1, 0)),
            (r#"{"error":{"code":1001}}"#, (1, 1001)),
            (r#"{"error":{"code":403}}"#, (2, 0)),
            (r#"{"status":"ERROR"}"#, (1, 0)),
            (r#"{}"#, (2, 0)),
            ("<html>", (2, 0)),
            ("", (2, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    proptest! {
        /// Whatever the bytes: an answer, and the decoder still works afterwards.
        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = Decoder::new(0);
            decoder.read(&mut bytes, |root| {
                if let Some(root) = root {
                    let _ = read_envelope(root);
                    let _ = read_level(root, true);
                    let _ = root.elements().map(Json::integer).count();
                }
            });
            let mut good = *b"{\"seq\":7}";
            let sequence = decoder.read(&mut good, |root| {
                root.and_then(read_envelope).map(|envelope| envelope.sequence)
            });
            prop_assert_eq!(sequence, Some(7));
        }
    }
}
