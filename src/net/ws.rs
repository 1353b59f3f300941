//! WebSocket frames in place, client side (RFC 6455).
//!
//! Pure functions over bytes: no sockets, no allocation. A whole message in one frame, the normal
//! case, is a range of the receive buffer; fragments are moved together in that same buffer.
//! Promises: arbitrary bytes give an error or a value, with work linear in their number. Refuses:
//! masked frames (the peer is a server), reserved bits (we negotiate no extension), messages over
//! the limit. Payloads are not checked to be UTF-8: their parser does that.

use std::ops::Range;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// The sender will send no more.
    Close = 8,
    /// Asks for a pong with the same payload.
    Ping = 9,
    /// Answers a ping.
    Pong = 10,
}

/// How the peer broke the protocol, or our limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A reserved bit is set, though no extension was agreed.
    ReservedBits,
    /// An opcode the protocol does not define.
    Opcode,
    /// A server must not mask.
    Masked,
    /// A control frame is fragmented or longer than 125 bytes.
    Control,
    /// A continuation without a beginning, or a new message inside a fragmented one.
    Sequence,
    /// A close frame with half a code.
    CloseCode,
    /// The message is longer than the limit.
    TooLarge,
}

/// One whole frame at the front of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether this is the last fragment of its message.
    pub is_final: bool,
    /// What it is.
    pub opcode: Opcode,
    /// Where the payload is; the frame ends where the payload does.
    pub payload: Range<usize>,
}

/// Longest payload of a control frame (RFC 6455, part 5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// Reported when a close frame has no code (RFC 6455, part 7.1.5).
const CLOSE_CODE_NONE: u16 = 1005;
/// A normal end (RFC 6455, part 7.4.1).
pub(super) const CLOSE_CODE_NORMAL: u16 = 1000;

/// Reads the server frame at the front of `bytes`; `Ok(None)` when it is not all there yet. Data
/// frames longer than `data_bytes_max` are refused as soon as their length is known.
pub fn parse_frame(bytes: &[u8], data_bytes_max: usize) -> Result<Option<Frame>, FrameError> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let is_final = first & 0x80 != 0;
    if first & 0x70 != 0 {
        return Err(FrameError::ReservedBits);
    }
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(FrameError::Opcode),
    };
    let Some(&second) = rest.first() else {
        return Ok(None);
    };
    if second & 0x80 != 0 {
        return Err(FrameError::Masked);
    }
    let (header_len, payload_len) = match second & 0x7f {
        126 => match bytes.get(2..4) {
            Some(text) => (4, u64::from(u16::from_be_bytes([text[0], text[1]]))),
            None => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(|text| text.try_into().ok()) {
            Some(text) => (10, u64::from_be_bytes(text)),
            None => return Ok(None),
        },
        short => (2, u64::from(short)),
    };
    let is_control = opcode as u8 >= Opcode::Close as u8;
    if is_control && (!is_final || second & 0x7f > CONTROL_BYTES_MAX as u8) {
        return Err(FrameError::Control);
    }
    if !is_control && payload_len > data_bytes_max as u64 {
        return Err(FrameError::TooLarge);
    }
    let frame_len = header_len + payload_len as usize;
    if bytes.len() < frame_len {
        return Ok(None);
    }
    Ok(Some(Frame {
        is_final,
        opcode,
        payload: header_len..frame_len,
    }))
}

/// Writes one whole masked client frame into `out` and returns its length; `None` when it does not
/// fit.
pub fn write_frame(opcode: Opcode, payload: &[u8], mask: [u8; 4], out: &mut [u8]) -> Option<usize> {
    let len = payload.len();
    let header_len = match len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    let frame = out.get_mut(..header_len + 4 + len)?;
    frame[0] = 0x80 | opcode as u8;
    match header_len {
        2 => frame[1] = 0x80 | len as u8,
        4 => {
            frame[1] = 0x80 | 126;
            frame[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            frame[1] = 0x80 | 127;
            frame[2..10].copy_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame[header_len..header_len + 4].copy_from_slice(&mask);
    let body = &mut frame[header_len + 4..];
    body.copy_from_slice(payload);
    // Eight bytes at a time: the mask repeats every four, so twice of it fits every word.
    let key = u64::from_ne_bytes(std::array::from_fn(|at| mask[at % 4]));
    let (words, rest) = body.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
    Some(header_len + 4 + len)
}

/// What [`Reader::step`] found. Ranges are of the bytes it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing whole: give it more bytes.
    Starved,
    /// A whole text or binary message.
    Message(Range<usize>),
    /// Answer with a pong of this payload.
    Ping(Range<usize>),
    /// An answer to a ping; nothing to do.
    Pong,
    /// The peer closes, with this code (1005 when it gave none).
    Close(u16),
}

/// Puts messages together. The idea: the bytes it is given always begin with the message under
/// way, so all positions are relative and the buffer may move. A message in one frame is handed
/// out where it stands. Of a fragmented one, each payload is moved down to the end of the one
/// before, over the header between them. Left out: handing out fragments as they come, since the
/// JSON parser wants whole documents.
pub struct Reader {
    message_bytes_max: usize,
    joined: Range<usize>,
    at: usize,
    is_joining: bool,
}

impl Reader {
    /// Refuses messages over `message_bytes_max`.
    pub fn new(message_bytes_max: usize) -> Reader {
        Reader {
            message_bytes_max,
            joined: 0..0,
            at: 0,
            is_joining: false,
        }
    }

    /// Forgets a message under way: the connection is a new one.
    pub fn reset(&mut self) {
        *self = Reader::new(self.message_bytes_max);
    }

    /// Looks for the next message or control frame. Returns it and how many bytes to drop from the
    /// front before the next call (after use of the range). Between calls bytes may only be
    /// appended.
    pub fn step(&mut self, bytes: &mut [u8]) -> Result<(Step, usize), FrameError> {
        loop {
            let rest = bytes.get(self.at..).unwrap_or(&[]);
            let room = self.message_bytes_max - self.joined.len();
            let Some(frame) = parse_frame(rest, room)? else {
                return Ok((Step::Starved, 0));
            };
            let payload = self.at + frame.payload.start..self.at + frame.payload.end;
            match (frame.opcode, self.is_joining) {
                (Opcode::Text | Opcode::Binary, false) if frame.is_final => {
                    let end = payload.end;
                    return Ok((Step::Message(payload), end));
                }
                (Opcode::Text | Opcode::Binary, false) => {
                    self.is_joining = true;
                    self.at = payload.end;
                    self.joined = payload;
                }
                (Opcode::Continuation, true) => {
                    if let Some(found) = self.join(bytes, payload, frame.is_final) {
                        return Ok(found);
                    }
                }
                (Opcode::Text | Opcode::Binary, true) | (Opcode::Continuation, false) => {
                    return Err(FrameError::Sequence);
                }
                (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {
                    return self.control(frame.opcode, bytes, payload);
                }
            }
        }
    }

    #[cold]
    fn join(
        &mut self,
        bytes: &mut [u8],
        payload: Range<usize>,
        is_final: bool,
    ) -> Option<(Step, usize)> {
        self.at = payload.end;
        let end = self.joined.end + payload.len();
        bytes.copy_within(payload, self.joined.end);
        self.joined.end = end;
        if !is_final {
            return None;
        }
        let found = (Step::Message(self.joined.clone()), self.at);
        self.reset();
        Some(found)
    }

    /// A control frame may stand between fragments: then it is stepped over, not dropped.
    #[cold]
    fn control(
        &mut self,
        opcode: Opcode,
        bytes: &[u8],
        payload: Range<usize>,
    ) -> Result<(Step, usize), FrameError> {
        let drop_len = if self.is_joining {
            self.at = payload.end;
            0
        } else {
            payload.end
        };
        let step = match opcode {
            Opcode::Ping => Step::Ping(payload),
            Opcode::Close => match bytes[payload] {
                [] => Step::Close(CLOSE_CODE_NONE),
                [_] => return Err(FrameError::CloseCode),
                [high, low, ..] => Step::Close(u16::from_be_bytes([high, low])),
            },
            Opcode::Pong | Opcode::Continuation | Opcode::Text | Opcode::Binary => Step::Pong,
        };
        Ok((step, drop_len))
    }
}

/// A fresh upgrade key and the answer the server owes for it (RFC 6455, part 4.2.2), as text.
pub(super) struct UpgradeKey {
    /// Base64 of 16 random bytes.
    pub(super) key: [u8; 24],
    /// Base64 of a SHA-1 hash.
    pub(super) accept: [u8; 28],
}

impl UpgradeKey {
    #[cold]
    pub(super) fn new() -> UpgradeKey {
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        let expected = "base64 of 16 bytes has 24 characters, of 20 bytes 28";
        UpgradeKey {
            key: key.as_bytes().try_into().expect(expected),
            accept: accept.as_bytes().try_into().expect(expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Read, Write};
    use tungstenite::error::ProtocolError;
    use tungstenite::protocol::frame::Frame as JudgeFrame;
    use tungstenite::protocol::frame::coding::{Data, OpCode};
    use tungstenite::protocol::{Role, WebSocket};
    use tungstenite::{Error, Message};

    /// A stream for the judge: reads `input`, keeps what is written.
    struct Pipe {
        input: Cursor<Vec<u8>>,
        output: Vec<u8>,
    }

    impl Read for Pipe {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.input.read(out)
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.output.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn judge(input: Vec<u8>, role: Role) -> WebSocket<Pipe> {
        let pipe = Pipe {
            input: Cursor::new(input),
            output: Vec::new(),
        };
        WebSocket::from_raw_socket(pipe, role, None)
    }

    /// What the judge, as server, writes for these messages.
    fn server_bytes(messages: &[Message]) -> Vec<u8> {
        let mut server = judge(Vec::new(), Role::Server);
        for message in messages {
            server.send(message.clone()).unwrap();
        }
        server.into_inner_bytes()
    }

    trait IntoBytes {
        fn into_inner_bytes(self) -> Vec<u8>;
    }

    impl IntoBytes for WebSocket<Pipe> {
        fn into_inner_bytes(mut self) -> Vec<u8> {
            std::mem::take(&mut self.get_mut().output)
        }
    }

    type Steps = Vec<(Step, Vec<u8>)>;

    /// All steps over bytes that arrive in chunks of these sizes, up to a breach.
    fn read_some(
        bytes: &[u8],
        chunk_lens: &[usize],
        bytes_max: usize,
    ) -> (Steps, Option<FrameError>) {
        let mut reader = Reader::new(bytes_max);
        let (mut held, mut found) = (Vec::new(), Vec::new());
        let mut rest = bytes;
        let mut turn = 0;
        while !rest.is_empty() {
            let len = chunk_lens[turn % chunk_lens.len()].clamp(1, rest.len());
            turn += 1;
            held.extend_from_slice(&rest[..len]);
            rest = &rest[len..];
            loop {
                let (step, drop_len) = match reader.step(&mut held) {
                    Ok(stepped) => stepped,
                    Err(error) => return (found, Some(error)),
                };
                let payload = match &step {
                    Step::Starved => break,
                    Step::Message(range) | Step::Ping(range) => held[range.clone()].to_vec(),
                    Step::Pong | Step::Close(_) => Vec::new(),
                };
                found.push((step, payload));
                held.drain(..drop_len);
            }
        }
        (found, None)
    }

    fn read_all(bytes: &[u8], chunk_lens: &[usize], bytes_max: usize) -> Result<Steps, FrameError> {
        match read_some(bytes, chunk_lens, bytes_max) {
            (found, None) => Ok(found),
            (_, Some(error)) => Err(error),
        }
    }

    #[test]
    fn the_key_of_the_standard() {
        // RFC 6455, part 1.3.
        assert_eq!(
            derive_accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        let fresh = UpgradeKey::new();
        assert_eq!(derive_accept_key(&fresh.key).as_bytes(), fresh.accept);
    }

    #[test]
    fn frames_of_the_standard() {
        // RFC 6455, part 5.7: "Hello" whole, then in two fragments; a masked "Hello" of a client.
        let whole = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        let frame = parse_frame(&whole, 5).unwrap().unwrap();
        assert_eq!(&whole[frame.payload], b"Hello");
        let parts = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
        let found = read_all(&parts, &[1], 5).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, b"Hello");
        let mut out = [0; 11];
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        assert_eq!(
            write_frame(Opcode::Text, b"Hello", mask, &mut out),
            Some(11)
        );
        assert_eq!(
            out,
            [
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
        assert_eq!(
            write_frame(Opcode::Text, b"Hello", mask, &mut out[..10]),
            None
        );
    }

    #[test]
    fn breaches_are_named() {
        for (bytes, why) in [
            (&[0xc1, 0x00][..], FrameError::ReservedBits),
            (&[0x83, 0x00], FrameError::Opcode),
            (&[0x8b, 0x00], FrameError::Opcode),
            (&[0x81, 0x80, 0, 0, 0, 0], FrameError::Masked),
            (&[0x09, 0x00], FrameError::Control),
            (&[0x89, 126, 0, 126], FrameError::Control),
            (&[0x80, 0x00], FrameError::Sequence),
            (&[0x01, 0x00, 0x81, 0x00], FrameError::Sequence),
            (&[0x88, 0x01, 0x03], FrameError::CloseCode),
            (&[0x81, 126, 0x03, 0xe9], FrameError::TooLarge),
            (
                &[0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0],
                FrameError::TooLarge,
            ),
        ] {
            assert_eq!(read_all(bytes, &[1], 1000), Err(why), "{bytes:?}");
        }
        // Each fragment is within the limit, the sum is not.
        let mut bytes = vec![0x01, 100];
        bytes.extend([0; 100]);
        bytes.extend([0x80, 1, 0]);
        assert_eq!(read_all(&bytes, &[7], 100), Err(FrameError::TooLarge));
        assert!(read_all(&bytes, &[7], 101).is_ok());
    }

    #[test]
    fn a_ping_between_fragments() {
        let bytes = [
            0x01, 0x01, b'a', 0x89, 0x02, b'h', b'i', 0x00, 0x01, b'b', 0x8a, 0x00, 0x80, 0x01,
            b'c', 0x88, 0x02, 0x03, 0xe8,
        ];
        for len in 1..bytes.len() {
            let found = read_all(&bytes, &[len], 3).unwrap();
            let payloads: Vec<&[u8]> = found.iter().map(|it| &it.1[..]).collect();
            assert_eq!(payloads, [&b"hi"[..], b"", b"abc", b""], "{len}");
            assert_eq!(found[3].0, Step::Close(1000));
        }
    }

    fn judge_message() -> impl Strategy<Value = Message> {
        let bytes = prop::collection::vec(any::<u8>(), 0..400);
        prop_oneof![
            "[a-z]{0,300}".prop_map(Message::text),
            bytes.clone().prop_map(Message::binary),
            prop::collection::vec(any::<u8>(), 65_500..65_600).prop_map(Message::binary),
            prop::collection::vec(any::<u8>(), 0..126).prop_map(|it| Message::Ping(it.into())),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The judge writes as server, we read, however the bytes are cut.
        #[test]
        fn we_read_what_the_judge_writes(
            messages in prop::collection::vec(judge_message(), 1..6),
            chunk_lens in prop::collection::vec(1_usize..3000, 1..6),
        ) {
            let found = read_all(&server_bytes(&messages), &chunk_lens, 1 << 17).unwrap();
            prop_assert_eq!(found.len(), messages.len());
            for ((step, payload), message) in found.iter().zip(&messages) {
                prop_assert_eq!(matches!(step, Step::Ping(_)), message.is_ping());
                prop_assert_eq!(payload, &message.clone().into_data().to_vec());
            }
        }

        /// The judge cuts a message into fragments, with pings between; we join them.
        #[test]
        fn we_join_what_the_judge_cuts(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 2..8),
            chunk_lens in prop::collection::vec(1_usize..200, 1..6),
        ) {
            let mut bytes = Vec::new();
            for (idx, part) in parts.iter().enumerate() {
                let data = if idx == 0 { Data::Binary } else { Data::Continue };
                let is_final = idx + 1 == parts.len();
                let frame = JudgeFrame::message(part.clone(), OpCode::Data(data), is_final);
                frame.format(&mut bytes).unwrap();
                if !is_final {
                    JudgeFrame::ping(vec![idx as u8]).format(&mut bytes).unwrap();
                }
            }
            let found = read_all(&bytes, &chunk_lens, 1 << 17).unwrap();
            prop_assert_eq!(&found.last().unwrap().1, &parts.concat());
            prop_assert_eq!(found.len(), parts.len());
        }

        /// We write as client, the judge reads as server.
        #[test]
        fn the_judge_reads_what_we_write(
            payload in prop::collection::vec(any::<u8>(), 0..70_000),
            mask in any::<[u8; 4]>(),
        ) {
            let mut out = vec![0; payload.len() + 14];
            let len = write_frame(Opcode::Binary, &payload, mask, &mut out).unwrap();
            out.truncate(len);
            let read = judge(out, Role::Server).read().unwrap();
            prop_assert_eq!(read.into_data().to_vec(), payload);
        }

        /// Arbitrary bytes: up to the first breach or close we read the messages the judge reads,
        /// and what it refuses for the protocol's sake we refuse too. (It also checks that text is
        /// UTF-8, and waits for payloads of frames we refuse by their header.)
        #[test]
        fn arbitrary_bytes_as_the_judge_sees_them(
            mut bytes in prop::collection::vec(any::<u8>(), 0..400),
            heads in prop::collection::vec((0_usize..7, 0_u8..60), 0..8),
            chunk_lens in prop::collection::vec(1_usize..40, 1..4),
        ) {
            // Arbitrary payloads under mostly plausible heads.
            let mut at = 0;
            for (kind, len) in heads {
                let first = [0x82, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88][kind];
                if let Some(head) = bytes.get_mut(at..at + 2) {
                    head.copy_from_slice(&[first, len]);
                    at += 2 + usize::from(len);
                }
            }
            let (mut found, error) = read_some(&bytes, &chunk_lens, 300);
            let closed = found.iter().position(|it| matches!(it.0, Step::Close(_)));
            if let Some(idx) = closed {
                found.truncate(idx);
            }
            let ours = found.into_iter().filter(|it| matches!(it.0, Step::Message(_)));
            let ours: Vec<Vec<u8>> = ours.map(|it| it.1).collect();
            let mut client = judge(bytes, Role::Client);
            let mut theirs = Vec::new();
            let refusal = loop {
                match client.read() {
                    Ok(Message::Close(_)) => break None,
                    Ok(message) if message.is_ping() || message.is_pong() => {}
                    Ok(message) => theirs.push(message.into_data().to_vec()),
                    Err(error) => break Some(error),
                }
            };
            for (our, their) in ours.iter().zip(&theirs) {
                prop_assert_eq!(our, their);
            }
            prop_assert!(ours.len() >= theirs.len() || error == Some(FrameError::TooLarge));
            // What the judge calls a reset is the end of the bytes.
            let is_breach = matches!(&refusal, Some(Error::Protocol(why))
                if *why != ProtocolError::ResetWithoutClosingHandshake);
            if closed.is_none() && is_breach {
                prop_assert!(error.is_some(), "the judge says {refusal:?}");
            }
            if closed.is_none() && error.is_none() && !matches!(refusal, Some(Error::Utf8(_))) {
                prop_assert_eq!(ours.len(), theirs.len(), "the judge says {:?}", refusal);
            }
        }
    }
}
