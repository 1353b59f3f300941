//! HTTP/1.1 responses in place, client side (RFC 9112), and the answer to a WebSocket upgrade.
//!
//! Pure functions over bytes: no sockets, no allocation. A body of known length is a range of the
//! receive buffer; a chunked one is moved together in that same buffer. Promises: arbitrary bytes
//! give an error or a value, with bounded work. Refuses: heads over 16 KiB or 64 headers, bodies
//! over the limit, lengths that contradict each other, encodings other than chunked.

use httparse::{EMPTY_HEADER, Header, Status};
use std::ops::Range;

/// Longest head (status line and headers) and longest trailer. Larger: a hostile peer costs more
/// work. Smaller: a proxy's cookies might not fit.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most headers in one head.
const HEADERS_LEN_MAX: usize = 64;
/// Longest line that announces a chunk, extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// How the peer broke the protocol, or our limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The status line or a header is malformed.
    Head,
    /// Head or trailer too long, or too many headers.
    HeadTooLarge,
    /// Lengths missing, malformed or contradictory, or an encoding we did not ask for.
    Length,
    /// A chunk is malformed.
    Chunk,
    /// The body is longer than the limit.
    TooLarge,
    /// The peer switched protocols, or answered what was not asked.
    Unsolicited,
    /// An upgrade answered 101, but not as RFC 6455 wants it.
    Upgrade,
}

/// One whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code, 200..=999.
    pub status: u16,
    /// Where the body is, in the bytes given.
    pub body: Range<usize>,
    /// Whether the connection may carry another request.
    pub is_keep_alive: bool,
    /// Seconds until the next request is welcome (`Retry-After`, RFC 9110, part 10.2.3); `None`
    /// when it does not say, or says it as a date, which no venue was seen to do.
    pub retry_after_s: Option<u32>,
}

/// What [`Reader::step`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing whole: give it more bytes.
    Starved,
    /// An interim (1xx) response, to be dropped.
    Interim,
    /// A whole response.
    Response(Response),
}

/// How far the response under way has come. Positions are relative to its first byte.
#[derive(Clone, Debug)]
enum Phase {
    /// Status line and headers.
    Head,
    /// `Content-Length` bytes.
    Fixed(Range<usize>),
    /// Chunks joined so far; `at` is where the next chunk line begins.
    Chunks { body: Range<usize>, at: usize },
    /// Everything until the peer ends the connection, beginning here.
    ToEnd(usize),
}

/// Reads the responses of one connection, one at a time. The bytes it is given always begin with
/// the response under way, so the buffer may move between calls.
pub struct Reader {
    body_bytes_max: usize,
    phase: Phase,
    status: u16,
    is_keep_alive: bool,
    retry_after_s: Option<u32>,
}

impl Reader {
    /// Refuses bodies over `body_bytes_max`.
    pub fn new(body_bytes_max: usize) -> Reader {
        Reader {
            body_bytes_max,
            phase: Phase::Head,
            status: 0,
            is_keep_alive: false,
            retry_after_s: None,
        }
    }

    /// Forgets a response under way: the connection is a new one.
    pub fn reset(&mut self) {
        self.phase = Phase::Head;
    }

    /// Looks for the next response. Returns it and how many bytes to drop from the front before the
    /// next call (after use of the range). Between calls bytes may only be appended.
    pub fn step(&mut self, bytes: &mut [u8]) -> Result<(Step, usize), HttpError> {
        if let Phase::Head = self.phase {
            let Some(head) = parse_head(bytes)? else {
                return Ok((Step::Starved, 0));
            };
            match head.status {
                101 => return Err(HttpError::Unsolicited),
                100..=199 => return Ok((Step::Interim, head.len)),
                _ => {}
            }
            self.status = head.status;
            self.is_keep_alive = head.is_keep_alive;
            self.retry_after_s = head.retry_after_s;
            self.phase = self.body_phase(&head)?;
        }
        match &mut self.phase {
            Phase::Fixed(body) if bytes.len() >= body.end => {
                let body = body.clone();
                let end = body.end;
                Ok(self.whole(body, end))
            }
            Phase::Chunks { body, at } => {
                if !join_chunks(bytes, body, at, self.body_bytes_max)? {
                    return Ok((Step::Starved, 0));
                }
                let (body, end) = (body.clone(), *at);
                Ok(self.whole(body, end))
            }
            Phase::ToEnd(start) if bytes.len() > *start + self.body_bytes_max => {
                Err(HttpError::TooLarge)
            }
            Phase::Fixed(_) | Phase::ToEnd(_) | Phase::Head => Ok((Step::Starved, 0)),
        }
    }

    /// The peer ended the connection in order: a body without a length is whole now.
    pub fn finish(&mut self, bytes: &[u8]) -> Option<(Step, usize)> {
        let Phase::ToEnd(start) = self.phase else {
            return None;
        };
        let end = bytes.len();
        (start <= end).then(|| self.whole(start..end, end))
    }

    /// The response under way is complete; the next begins after it.
    fn whole(&mut self, body: Range<usize>, end: usize) -> (Step, usize) {
        self.phase = Phase::Head;
        let response = Response {
            status: self.status,
            body,
            is_keep_alive: self.is_keep_alive,
            retry_after_s: self.retry_after_s,
        };
        (Step::Response(response), end)
    }

    /// How the body is delimited (RFC 9112, part 6.3). A response with both a length and chunks is
    /// the mark of request smuggling: refused.
    fn body_phase(&mut self, head: &Head) -> Result<Phase, HttpError> {
        match (head.is_chunked, head.content_length) {
            _ if head.status == 204 || head.status == 304 => Ok(Phase::Fixed(head.len..head.len)),
            (true, Some(_)) => Err(HttpError::Length),
            (true, None) => Ok(Phase::Chunks {
                body: head.len..head.len,
                at: head.len,
            }),
            (false, Some(len)) if len > self.body_bytes_max as u64 => Err(HttpError::TooLarge),
            (false, Some(len)) => Ok(Phase::Fixed(head.len..head.len + len as usize)),
            (false, None) => {
                self.is_keep_alive = false;
                Ok(Phase::ToEnd(head.len))
            }
        }
    }
}

/// Reads one whole response at the front of `bytes`, interim ones skipped; returns it and the
/// number of bytes used, or `None` when more are needed. Chunked bodies are joined in place.
pub fn parse_response(
    bytes: &mut [u8],
    body_bytes_max: usize,
) -> Result<Option<(Response, usize)>, HttpError> {
    let mut reader = Reader::new(body_bytes_max);
    let mut base = 0;
    loop {
        let (step, used) = reader.step(&mut bytes[base..])?;
        match step {
            Step::Starved => return Ok(None),
            Step::Interim => base += used,
            Step::Response(mut response) => {
                response.body = base + response.body.start..base + response.body.end;
                return Ok(Some((response, base + used)));
            }
        }
    }
}

/// What the head of a response says about itself.
struct Head {
    /// Its own length, the empty line included.
    len: usize,
    status: u16,
    is_keep_alive: bool,
    is_chunked: bool,
    /// As announced; not yet held against the limit.
    content_length: Option<u64>,
    retry_after_s: Option<u32>,
}

/// Reads the status line and headers. A head that comes in pieces is read again from its start
/// with each piece: rare, and bounded by the limit.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, HttpError> {
    let mut headers = [EMPTY_HEADER; HEADERS_LEN_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]) {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) if bytes.len() >= HEAD_BYTES_MAX => {
            return Err(HttpError::HeadTooLarge);
        }
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HttpError::HeadTooLarge),
        Err(_) => return Err(HttpError::Head),
    };
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(HttpError::Head);
    };
    if status < 100 {
        return Err(HttpError::Head);
    }
    let mut head = Head {
        len,
        status,
        is_keep_alive: version == 1,
        is_chunked: false,
        content_length: None,
        retry_after_s: None,
    };
    for header in response.headers.iter() {
        read_header(&mut head, header)?;
    }
    Ok(Some(head))
}

/// Takes what one header says about the body, the connection or the next request; others are of no
/// interest.
fn read_header(head: &mut Head, header: &Header<'_>) -> Result<(), HttpError> {
    let value = header.value.trim_ascii();
    if header.name.eq_ignore_ascii_case("content-length") {
        let len = parse_length(value).ok_or(HttpError::Length)?;
        if head.content_length.is_some_and(|before| before != len) {
            return Err(HttpError::Length);
        }
        head.content_length = Some(len);
    } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
        if head.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HttpError::Length);
        }
        head.is_chunked = true;
    } else if header.name.eq_ignore_ascii_case("connection") {
        if has_token(value, b"close") {
            head.is_keep_alive = false;
        } else if has_token(value, b"keep-alive") {
            head.is_keep_alive = true;
        }
    } else if header.name.eq_ignore_ascii_case("retry-after") {
        // What can't be read is not said; a page is no worse for it.
        let seconds = parse_length(value);
        head.retry_after_s = seconds.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
    }
    Ok(())
}

/// Digits only, no sign, below 10^15.
fn parse_length(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 15 {
        return None;
    }
    text.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// Whether a comma-separated list holds this token.
fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|byte| *byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

/// Moves each chunk that has come down to the end of the body so far. Returns whether the last
/// chunk and the trailer are there too; then `at` is the end of the response. Each call goes on
/// where the one before stopped, so a body costs one move in all.
fn join_chunks(
    bytes: &mut [u8],
    body: &mut Range<usize>,
    at: &mut usize,
    body_bytes_max: usize,
) -> Result<bool, HttpError> {
    loop {
        let rest = bytes.get(*at..).unwrap_or(&[]);
        // The parser takes an empty line for a chunk of zero bytes; the standard does not.
        if rest.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
            return Err(HttpError::Chunk);
        }
        let line = &rest[..rest.len().min(CHUNK_LINE_BYTES_MAX)];
        let (line_len, chunk_len) = match httparse::parse_chunk_size(line) {
            Ok(Status::Complete(found)) => found,
            Ok(Status::Partial) if line.len() < CHUNK_LINE_BYTES_MAX => return Ok(false),
            Ok(Status::Partial) | Err(_) => return Err(HttpError::Chunk),
        };
        if chunk_len == 0 {
            let Some(trailer_len) = trailer(&rest[line_len..])? else {
                return Ok(false);
            };
            *at += line_len + trailer_len;
            return Ok(true);
        }
        if chunk_len > (body_bytes_max - body.len()) as u64 {
            return Err(HttpError::TooLarge);
        }
        let start = *at + line_len;
        let end = start + chunk_len as usize;
        match bytes.get(end..end + 2) {
            None => return Ok(false),
            Some(b"\r\n") => {}
            Some(_) => return Err(HttpError::Chunk),
        }
        bytes.copy_within(start..end, body.end);
        body.end += chunk_len as usize;
        *at = end + 2;
    }
}

/// Length of the trailer section, its empty line included; the fields are not looked at.
fn trailer(bytes: &[u8]) -> Result<Option<usize>, HttpError> {
    let mut headers = [EMPTY_HEADER; HEADERS_LEN_MAX];
    match httparse::parse_headers(&bytes[..bytes.len().min(HEAD_BYTES_MAX)], &mut headers) {
        Ok(Status::Complete((len, _))) => Ok(Some(len)),
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => Err(HttpError::HeadTooLarge),
        Err(_) => Err(HttpError::Chunk),
    }
}

/// What a server answered to an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// Agreed; frames begin after this many bytes.
    Agreed(usize),
    /// Refused with this status.
    Refused(u16),
}

/// Reads the answer to an upgrade whose key calls for `accept` (RFC 6455, part 4.1); `None` when
/// more bytes are needed.
pub fn parse_upgrade(bytes: &[u8], accept: &[u8]) -> Result<Option<Upgrade>, HttpError> {
    let Some(head) = parse_head(bytes)? else {
        return Ok(None);
    };
    if head.status != 101 {
        return Ok(Some(Upgrade::Refused(head.status)));
    }
    let mut headers = [EMPTY_HEADER; HEADERS_LEN_MAX];
    let mut response = httparse::Response::new(&mut headers);
    response
        .parse(&bytes[..head.len])
        .map_err(|_| HttpError::Head)?;
    // The head is whole, so this second pass over a few hundred bytes cannot fail or wait.
    let (mut is_upgrade, mut is_websocket, mut is_accepted) = (false, false, false);
    for header in response.headers.iter() {
        let value = header.value.trim_ascii();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("connection") {
            is_upgrade |= has_token(value, b"upgrade");
        } else if is("upgrade") {
            is_websocket |= value.eq_ignore_ascii_case(b"websocket");
        } else if is("sec-websocket-accept") {
            is_accepted = value == accept;
        } else if is("sec-websocket-extensions") || is("sec-websocket-protocol") {
            // We offered neither.
            return Err(HttpError::Upgrade);
        }
    }
    if is_upgrade && is_websocket && is_accepted {
        Ok(Some(Upgrade::Agreed(head.len)))
    } else {
        Err(HttpError::Upgrade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Whole = (u16, Vec<u8>, bool, usize);

    /// Feeds `bytes` in pieces of `len` to a reader; the first response, and where it ended.
    fn read(bytes: &[u8], len: usize) -> Result<Option<Whole>, HttpError> {
        let mut reader = Reader::new(10_000);
        let (mut held, mut dropped) = (Vec::new(), 0);
        for piece in bytes.chunks(len.max(1)) {
            held.extend_from_slice(piece);
            loop {
                let (step, used) = reader.step(&mut held)?;
                match step {
                    Step::Starved => break,
                    Step::Interim => {
                        held.drain(..used);
                        dropped += used;
                    }
                    Step::Response(it) => {
                        let body = held[it.body].to_vec();
                        return Ok(Some((it.status, body, it.is_keep_alive, dropped + used)));
                    }
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn row_39_when_to_come_again_is_read_and_a_date_is_not() {
        for (value, expected) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("99999999999", Some(u32::MAX)),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
            ("-1", None),
            ("", None),
        ] {
            let text = format!(
                "HTTP/1.1 429 Slow\r\nretry-after: {value}\r\nContent-Length: 0\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            );
            let mut bytes = text.into_bytes();
            let mut reader = Reader::new(100);
            let mut said = Vec::new();
            while let (Step::Response(response), used) = reader.step(&mut bytes).unwrap() {
                said.push(response.retry_after_s);
                bytes.drain(..used);
            }
            assert_eq!(said, [expected, None], "{value}");
        }
    }

    #[test]
    fn responses_in_any_pieces() {
        for (text, status, body, is_keep_alive) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                200,
                "hello",
                true,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            ("HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n", 304, "", true),
            (
                "HTTP/1.1 429 Too Many\r\nconnection: Close\r\ncontent-length: 2\r\n\r\n{}",
                429,
                "{}",
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
                200,
                "x",
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
                200,
                "x",
                true,
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
                200,
                "ok",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 4\r\nWiki\r\n6;name=v\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX: y\r\n\r\n",
                200,
                "Wikipedia in \r\n\r\nchunks.",
                true,
            ),
        ] {
            for len in 1..=text.len() {
                let found = read(text.as_bytes(), len);
                let expected = (status, body.into(), is_keep_alive, text.len());
                assert_eq!(found, Ok(Some(expected)), "{text} in pieces of {len}");
            }
            let mut bytes = text.as_bytes().to_vec();
            bytes.extend_from_slice(b"HTTP/1.1 2");
            let (response, used) = parse_response(&mut bytes, 100).unwrap().unwrap();
            assert_eq!(used, text.len());
            assert_eq!(&bytes[response.body], body.as_bytes());
        }
    }

    #[test]
    fn breaches_are_named() {
        for (text, why) in [
            ("SMTP/1.1 200 OK\r\n\r\n", HttpError::Head),
            ("HTTP/1.1 099 Low\r\n\r\n", HttpError::Head),
            ("HTTP/1.1 101 Switching\r\n\r\n", HttpError::Unsolicited),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                HttpError::Length,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                HttpError::Length,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n",
                HttpError::TooLarge,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                HttpError::Length,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                HttpError::Length,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
                HttpError::Chunk,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
                HttpError::Chunk,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
                HttpError::TooLarge,
            ),
        ] {
            assert_eq!(read(text.as_bytes(), 3), Err(why), "{text}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(HEAD_BYTES_MAX));
        assert_eq!(read(long.as_bytes(), 1000), Err(HttpError::HeadTooLarge));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(65));
        assert_eq!(read(many.as_bytes(), 1000), Err(HttpError::HeadTooLarge));
    }

    #[test]
    fn a_body_without_length_ends_with_the_connection() {
        let mut bytes = b"HTTP/1.1 200 OK\r\n\r\nall of it".to_vec();
        let mut reader = Reader::new(100);
        assert_eq!(reader.step(&mut bytes), Ok((Step::Starved, 0)));
        let Some((Step::Response(response), used)) = reader.finish(&bytes) else {
            panic!("a whole response");
        };
        assert_eq!(&bytes[response.body], b"all of it");
        assert!(!response.is_keep_alive);
        assert_eq!(used, bytes.len());
        assert_eq!(reader.finish(&bytes), None);
    }

    #[test]
    fn upgrades() {
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let agreed = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\
             Connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let read = |text: &str| parse_upgrade(text.as_bytes(), accept.as_bytes());
        assert_eq!(read(&agreed), Ok(Some(Upgrade::Agreed(agreed.len()))));
        assert_eq!(read(&agreed[..agreed.len() - 1]), Ok(None));
        assert_eq!(
            read("HTTP/1.1 429 Slow down\r\n\r\n"),
            Ok(Some(Upgrade::Refused(429)))
        );
        for (from, to) in [
            ("s3pP", "s3pQ"),
            ("WebSocket\r\nC", "h2c\r\nC"),
            ("keep-alive, Upgrade", "close"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n"),
        ] {
            assert_eq!(
                read(&agreed.replace(from, to)),
                Err(HttpError::Upgrade),
                "{to}"
            );
        }
    }

    proptest! {
        /// Chunks of any sizes join to the body, however the bytes are cut.
        #[test]
        fn chunks_join(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8),
            len in 1_usize..400,
        ) {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in &parts {
                bytes.extend(format!("{:x}\r\n", part.len()).into_bytes());
                bytes.extend(part);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            let (_, body, _, used) = read(&bytes, len).unwrap().unwrap();
            prop_assert_eq!(body, parts.concat());
            prop_assert_eq!(used, bytes.len());
        }

        /// Damaged responses: an error or a value, and the same one however the bytes are cut.
        #[test]
        fn damaged_responses_do_not_depend_on_pieces(
            at in 0_usize..140, byte in any::<u8>(), len in 1_usize..50,
        ) {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n\
                5\r\nhello\r\n3;x\r\nyou\r\n0\r\nT: u\r\n\r\n".to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            prop_assert_eq!(read(&bytes, len), read(&bytes, bytes.len()));
        }

        #[test]
        fn arbitrary_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_response(&mut bytes, 100);
            let _ = parse_upgrade(&bytes, b"x");
        }
    }
}
