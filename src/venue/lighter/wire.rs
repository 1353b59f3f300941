//! Lighter's messages as values: one JSON pass into a reused tape, then borrowed views of it.
//!
//! Promises: exact decimals; no allocation once the buffers have grown to the largest message; no
//! panic and bounded work whatever the bytes. Key order means nothing: fields are found by name.
//! Refuses: to guess. A missing or ill-typed field is `None`, and the caller says what that means.
//!
//! How the tape is reused without `unsafe`: its nodes borrow the message, so between messages it is
//! kept empty at `'static`, and `Tape::reset` (which clears it) hands the same memory out at the
//! lifetime of the next message. The only door to simd-json.

use crate::market::event::FrameKind;
use crate::market::units::{Notional, Price, Size, parse_decimal};
use simd_json::{Buffers, Node, StaticNode, Tape};

/// First guess of the largest message: a snapshot of one market was 257 kB. Larger: memory at
/// start. Smaller: the buffers grow once more when the first snapshot comes.
const MESSAGE_BYTES_HINT: usize = 512 * 1024;
/// First guess of a tape's nodes: five per level, 16,384 levels.
const NODES_HINT: usize = 5 * 16_384;

/// The parser and its memory. One per stage that reads Lighter.
pub struct Decoder {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Decoder {
    /// Takes memory for the largest messages seen in practice.
    pub fn new() -> Decoder {
        Decoder {
            buffers: Buffers::new(MESSAGE_BYTES_HINT),
            tape: Tape(Vec::with_capacity(NODES_HINT)),
        }
    }

    /// Parses one message and shows it to `visit`. `None` when it is not JSON.
    pub fn read<R>(
        &mut self,
        bytes: &mut [u8],
        visit: impl FnOnce(Json<'_, '_>) -> R,
    ) -> Option<R> {
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let seen = simd_json::fill_tape(bytes, &mut self.buffers, &mut tape)
            .ok()
            .map(|()| visit(Json(&tape.0)));
        self.tape = tape.reset();
        seen
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

/// A value inside a parsed message: the nodes from its own on.
#[derive(Clone, Copy)]
pub struct Json<'t, 'm>(&'t [Node<'m>]);

impl<'t, 'm> Json<'t, 'm> {
    /// The value of a key; the first, if it comes twice.
    pub fn field(self, key: &str) -> Option<Json<'t, 'm>> {
        self.entries()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Text.
    pub fn text(self) -> Option<&'m str> {
        match self.0.first()? {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number, not negative.
    pub fn integer(self) -> Option<u64> {
        match self.0.first()? {
            Node::Static(StaticNode::U64(value)) => Some(*value),
            Node::Static(StaticNode::I64(value)) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A whole number of either sign.
    pub fn signed(self) -> Option<i64> {
        match self.0.first()? {
            Node::Static(StaticNode::U64(value)) => i64::try_from(*value).ok(),
            Node::Static(StaticNode::I64(value)) => Some(*value),
            _ => None,
        }
    }

    /// True or false.
    pub fn boolean(self) -> Option<bool> {
        match self.0.first()? {
            Node::Static(StaticNode::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        matches!(self.0.first(), Some(Node::Object { .. }))
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.0.first(), Some(Node::Static(StaticNode::Null)))
    }

    /// Keys and values of an object; nothing for anything else.
    pub fn entries(self) -> impl Iterator<Item = (&'m str, Json<'t, 'm>)> {
        let left = match self.0.first() {
            Some(Node::Object { len, .. }) => *len,
            _ => 0,
        };
        Entries {
            rest: self.0.get(1..).unwrap_or(&[]),
            left,
        }
    }

    /// Items of an array; `null` counts as empty; `None` for anything else.
    pub fn items(self) -> Option<impl Iterator<Item = Json<'t, 'm>>> {
        let left = match self.0.first()? {
            Node::Array { len, .. } => *len,
            Node::Static(StaticNode::Null) => 0,
            _ => return None,
        };
        Some(Items {
            rest: self.0.get(1..).unwrap_or(&[]),
            left,
        })
    }

    /// The engine's own stamp of a book or a ticker, microseconds; 0 when there is none.
    pub fn updated_at_us(self) -> u64 {
        let stamp = self.field("last_updated_at").and_then(Json::integer);
        stamp.unwrap_or(0)
    }

    /// Nodes this value takes, itself included.
    fn nodes_len(self) -> usize {
        match self.0.first() {
            Some(Node::Object { count, .. } | Node::Array { count, .. }) => *count + 1,
            _ => 1,
        }
    }
}

/// See [`Json::entries`].
struct Entries<'t, 'm> {
    rest: &'t [Node<'m>],
    left: usize,
}

impl<'t, 'm> Iterator for Entries<'t, 'm> {
    type Item = (&'m str, Json<'t, 'm>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (key, rest) = self.rest.split_first()?;
        let Node::String(key) = key else { return None };
        let value = Json(rest);
        self.rest = rest.get(value.nodes_len()..)?;
        Some((key, value))
    }
}

/// See [`Json::items`].
struct Items<'t, 'm> {
    rest: &'t [Node<'m>],
    left: usize,
}

impl<'t, 'm> Iterator for Items<'t, 'm> {
    type Item = Json<'t, 'm>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = Json(self.rest);
        self.rest = self.rest.get(value.nodes_len()..)?;
        Some(value)
    }
}

/// What a message is, by its `type` (source *ws*). Answers to transactions have one too; errors may
/// not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Greeting; subscriptions may follow.
    Connected,
    /// The venue asks whether we live.
    Ping,
    /// The venue answers our ping.
    Pong,
    /// The connection will be closed.
    Shutdown,
    /// First frame of a channel, with its whole content.
    Subscribed,
    /// Later frame of a channel.
    Update,
    /// A channel was left.
    Unsubscribed,
    /// Answer to a transaction.
    Answer,
    /// A refusal of anything.
    Error,
    /// Something else.
    Unknown,
}

/// Kind, and for channel frames the channel's name before the colon.
pub fn classify<'m>(root: Json<'_, 'm>) -> (Kind, &'m str) {
    let channel = root.field("channel").and_then(Json::text).unwrap_or("");
    let name = channel.split(':').next().unwrap_or("");
    let kind = root.field("type").and_then(Json::text).unwrap_or("");
    let is_of = |prefix: &str| kind.strip_prefix(prefix) == Some(name) && !name.is_empty();
    let kind = match kind {
        _ if is_of("update/") => Kind::Update,
        _ if is_of("subscribed/") => Kind::Subscribed,
        "ping" => Kind::Ping,
        "pong" => Kind::Pong,
        "connected" => Kind::Connected,
        "shutdown" => Kind::Shutdown,
        "unsubscribed" => Kind::Unsubscribed,
        "jsonapi/sendtx" => Kind::Answer,
        "error" => Kind::Error,
        _ if root.field("error").is_some() => Kind::Error,
        _ => Kind::Unknown,
    };
    (kind, name)
}

/// The number after the channel's colon, e.g. a market id. `None` when there is none or it is not
/// one: market 0 is a real market, so nothing may default to it.
pub fn channel_number(root: Json<'_, '_>) -> Option<u64> {
    let channel = root.field("channel")?.text()?;
    digits(channel.split_once(':')?.1)
}

/// Plain decimal digits, at least one.
pub fn digits(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

/// Code and message of a refusal: `{"error":{"code":..,"message":..}}`, or both at top level.
pub fn refusal<'m>(root: Json<'_, 'm>) -> (Option<u32>, &'m str) {
    let body = root.field("error").filter(|error| error.is_object());
    let body = body.unwrap_or(root);
    let code = body.field("code").and_then(Json::integer);
    let message = body.field("message").and_then(Json::text).unwrap_or("");
    (code.and_then(|code| u32::try_from(code).ok()), message)
}

/// The body of an `order_book` frame.
#[derive(Clone, Copy)]
pub struct BookBody<'t, 'm> {
    /// Engine sequence after this frame.
    pub nonce: u64,
    /// Engine sequence the frame builds on; equal to the previous frame's `nonce`, 0 in a snapshot.
    pub begin_nonce: Option<u64>,
    /// When the engine made it, microseconds on the venue's clock; 0 when it does not say.
    pub updated_at_us: u64,
    /// Asks; a missing side means no change.
    pub asks: Option<Json<'t, 'm>>,
    /// Bids.
    pub bids: Option<Json<'t, 'm>>,
}

/// Reads the body; `None` when the object or its nonce is missing.
pub fn book_body<'t, 'm>(root: Json<'t, 'm>) -> Option<BookBody<'t, 'm>> {
    let book = root.field("order_book")?;
    Some(BookBody {
        nonce: book.field("nonce")?.integer()?,
        begin_nonce: book.field("begin_nonce").and_then(Json::integer),
        updated_at_us: book.updated_at_us(),
        asks: book.field("asks"),
        bids: book.field("bids"),
    })
}

/// Price and size text of a level.
#[inline]
pub fn level_text<'m>(level: Json<'_, 'm>) -> Option<(&'m [u8], &'m [u8])> {
    let (mut price, mut size) = (None, None);
    for (key, value) in level.entries() {
        match key {
            "price" => price = value.text(),
            "size" => size = value.text(),
            _ => {}
        }
    }
    Some((price?.as_bytes(), size?.as_bytes()))
}

/// The entries of a map field, none for `null`; `None` when it is missing or something else.
pub(super) fn lists<'t, 'm>(
    root: Json<'t, 'm>,
    key: &str,
) -> Option<impl Iterator<Item = (&'m str, Json<'t, 'm>)>> {
    let map = root.field(key)?;
    (map.is_object() || map.is_null()).then(|| map.entries())
}

/// An amount of money, text at up to nine decimals.
pub(super) fn money(amount: Json) -> Option<Notional> {
    let text = amount.text()?;
    parse_decimal(text.as_bytes()).ok().map(Notional::from_nano)
}

/// A price above zero, exact, or what to count it under.
#[inline]
pub fn price(text: &[u8]) -> Result<Price, FrameKind> {
    match Price::parse(text)? {
        price if price > Price::ZERO => Ok(price),
        Price::ZERO => Err(FrameKind::Malformed),
        _ => Err(FrameKind::Negative),
    }
}

/// A size, zero or above, exact, or what to count it under.
#[inline]
pub fn size(text: &[u8]) -> Result<Size, FrameKind> {
    match Size::parse(text)? {
        size if size >= Size::ZERO => Ok(size),
        _ => Err(FrameKind::Negative),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind_of(text: &str) -> Option<(Kind, String)> {
        let mut bytes = text.as_bytes().to_vec();
        Decoder::new().read(&mut bytes, |root| {
            let (kind, name) = classify(root);
            (kind, name.to_owned())
        })
    }

    #[test]
    fn kinds() {
        for (text, kind, name) in [
            (
                r#"{"session_id":"x","type":"connected"}"#,
                Kind::Connected,
                "",
            ),
            (r#"{"type":"ping"}"#, Kind::Ping, ""),
            (
                r#"{"type": "unsubscribed", "channel": "order_book:0"}"#,
                Kind::Unsubscribed,
                "order_book",
            ),
            (
                r#"{"channel":"order_book:0","type":"update/order_book"}"#,
                Kind::Update,
                "order_book",
            ),
            (
                r#"{"channel":"user_stats:9","type":"subscribed/user_stats"}"#,
                Kind::Subscribed,
                "user_stats",
            ),
            (
                r#"{"channel":"order_book:0","type":"update/trade"}"#,
                Kind::Unknown,
                "order_book",
            ),
            (r#"{"error":{"code":30003,"message":"m"}}"#, Kind::Error, ""),
            (
                r#"{"type":"error","code":30003,"message":"m"}"#,
                Kind::Error,
                "",
            ),
            (r#"[1,2]"#, Kind::Unknown, ""),
            (r#"7"#, Kind::Unknown, ""),
        ] {
            assert_eq!(kind_of(text), Some((kind, name.to_owned())), "{text}");
        }
        assert_eq!(kind_of("{"), None);
        assert_eq!(kind_of(""), None);
    }

    #[test]
    fn market_numbers_are_never_guessed() {
        for (channel, number) in [
            ("order_book:0", Some(0)),
            ("order_book:36", Some(36)),
            ("order_book:", None),
            ("order_book", None),
            ("order_book:+1", None),
            ("order_book:1:2", None),
            ("order_book:99999999999999999999", None),
        ] {
            let mut bytes = format!("{{\"channel\":\"{channel}\"}}").into_bytes();
            let read = Decoder::new().read(&mut bytes, channel_number);
            assert_eq!(read, Some(number), "{channel}");
        }
    }

    #[test]
    fn nested_values_are_stepped_over() {
        let mut bytes = br#"{"a":{"x":[1,{"y":2}],"z":[]},"b":[{"c":1},[2,3],-4],"d":5}"#.to_vec();
        let mut decoder = Decoder::new();
        let seen = decoder.read(&mut bytes, |root| {
            let keys: Vec<&str> = root.entries().map(|(key, _)| key).collect();
            assert_eq!(keys, ["a", "b", "d"]);
            let items: Vec<_> = root.field("b").unwrap().items().unwrap().collect();
            assert_eq!(items.len(), 3);
            assert_eq!(items[0].field("c").unwrap().integer(), Some(1));
            assert_eq!((items[2].integer(), items[2].signed()), (None, Some(-4)));
            root.field("d").unwrap().integer()
        });
        assert_eq!(seen, Some(Some(5)));
    }

    #[test]
    fn memory_is_kept_from_message_to_message() {
        let mut decoder = Decoder::new();
        let place = decoder.tape.0.as_ptr();
        for _ in 0..3 {
            decoder.read(&mut br#"{"type":"ping"}"#.to_vec(), |_| ());
            decoder.read(&mut b"{".to_vec(), |_| ());
        }
        assert_eq!(decoder.tape.0.as_ptr(), place);
        assert_eq!(decoder.tape.0.capacity(), NODES_HINT);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            Decoder::new().read(&mut bytes, |root| {
                let _ = (classify(root), channel_number(root), refusal(root));
                if let Some(body) = book_body(root) {
                    let _ = body.asks.and_then(Json::items).map(Iterator::count);
                }
            });
        }
    }
}
