//! One connection of a stage: what it pulls from and sends to.
//!
//! [`Connection::next`] is the only pull loop. It hands out the message that stands in the buffer;
//! only when none does it decrypts one more record, and only when there is none it reads the
//! socket, once, if the poller saw something. So between arrival and hand-out there is one read,
//! and a message never waits for the bytes behind it. Promises: no allocation of ours once live,
//! no blocking, every fault of the peer ends in `Down` and a new dial.

use super::backoff::{Backoff, Random};
use super::dial::{ConnectionLimits, DownReason, State, buffers};
use super::endpoint::{Endpoint, Protocol};
use super::http;
use super::pipe::{Buffers, Pulled};
use super::socket::{LANES_MAX, Poller, Socket, SystemCalls};
use super::tls::TlsClient;
use super::ws;
use crate::market::units::Nanos;
use std::ops::Range;

/// Most records, reads and control frames looked at in one call of [`Connection::next`]. Larger: a
/// flood of empty frames holds the stage longer. Smaller: a long message takes more calls.
const STEPS_MAX: usize = 1024;

/// What a connection has to say.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// Live: subscribe, log in.
    Up,
    /// A whole WebSocket message (text or binary). The bytes may be overwritten.
    Text(&'a mut [u8]),
    /// A whole HTTP response.
    Response {
        /// Its status code.
        status: u16,
        /// Its body, which may be overwritten.
        body: &'a mut [u8],
        /// Seconds until another request is welcome, where it says so.
        retry_after_s: Option<u32>,
    },
    /// Not live (any more). Also said of an attempt that never came up.
    Down(DownReason),
}

/// The same without the bytes: ranges are absolute positions in the inbox, good until it is next
/// made room in.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Up,
    Text(Range<usize>),
    Response {
        status: u16,
        body: Range<usize>,
        retry_after_s: Option<u32>,
    },
    Down(DownReason),
}

/// What a connection has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounters {
    /// Messages or responses handed out.
    pub messages_in: u64,
    /// Messages or requests accepted for sending.
    pub messages_out: u64,
    /// Pings heard.
    pub pings_in: u64,
    /// Pings sent.
    pub pings_out: u64,
    /// Pongs left out because the send buffer was full.
    pub pongs_lost: u64,
    /// Dials begun.
    pub dials: u64,
    /// Times it came up.
    pub ups: u64,
    /// Times it went down, failed attempts included.
    pub downs: u64,
    /// Why it went down last.
    pub last_down: Option<DownReason>,
}

/// How the bytes of this connection are cut into messages.
pub(super) enum Framing {
    /// Frames, joined to messages.
    WebSocket(ws::Reader),
    /// Responses, each to the one request in flight.
    Http {
        /// Where the response under way stands.
        reader: http::Reader,
        /// When the request in flight was sent.
        asked_at: Option<Nanos>,
        /// The last response said that the connection ends with it.
        is_last: bool,
    },
}

impl Framing {
    /// For a new connection: nothing read, nothing asked.
    #[cold]
    pub(super) fn reset(&mut self) {
        match self {
            Framing::WebSocket(reader) => reader.reset(),
            Framing::Http {
                reader,
                asked_at,
                is_last,
            } => {
                reader.reset();
                *asked_at = None;
                *is_last = false;
            }
        }
    }
}

/// One connection, dialed and kept by [`Connection::beat`].
pub struct Connection {
    pub(super) endpoint: Endpoint,
    /// The lane's number in its stage: the poller's token.
    pub(super) token: usize,
    pub(super) tls: TlsClient,
    pub(super) limits: ConnectionLimits,
    pub(super) state: State,
    pub(super) buffers: Buffers,
    pub(super) framing: Framing,
    pub(super) backoff: Backoff,
    pub(super) counters: ConnectionCounters,
    /// An `Up` or `Down` the owner has not been told yet.
    pub(super) notice: Option<Found>,
    /// When bytes last came in.
    pub(super) heard_at: Nanos,
    /// When the last ping left, or the connection came up.
    pub(super) pinged_at: Nanos,
    /// Since when bytes wait to be written.
    pub(super) stalled_at: Option<Nanos>,
    /// The last pull ended at its bound on steps, not for want of bytes.
    pub(super) is_cut_short: bool,
    /// The kernel is asked when bytes came.
    pub(super) is_stamped: bool,
    /// Draws the masks of frames.
    pub(super) masks: Random,
}

impl Connection {
    /// Takes all memory, dials nothing: the first [`Connection::beat`] does. `lane_token` is the
    /// lane's number in the stage, below 512 and unique for the poller. `seed` feeds jitter and
    /// masks. Panics when the lane is out of range: that is the plan's fault, at start.
    pub fn new(
        endpoint: Endpoint,
        lane_token: usize,
        tls: &TlsClient,
        limits: ConnectionLimits,
        seed: u64,
    ) -> Connection {
        assert!(lane_token < LANES_MAX, "a stage has at most 512 lanes");
        let limits = limits.consistent();
        let framing = match endpoint.protocol() {
            Protocol::WebSocket => Framing::WebSocket(ws::Reader::new(limits.message_bytes_max)),
            Protocol::Http => Framing::Http {
                reader: http::Reader::new(limits.message_bytes_max),
                asked_at: None,
                is_last: false,
            },
        };
        Connection {
            endpoint,
            token: lane_token,
            tls: tls.clone(),
            limits,
            state: State::Down,
            buffers: buffers(&limits),
            framing,
            backoff: Backoff::new(seed),
            counters: ConnectionCounters::default(),
            notice: None,
            heard_at: Nanos::ZERO,
            pinged_at: Nanos::ZERO,
            stalled_at: None,
            is_cut_short: false,
            is_stamped: false,
            masks: Random(!seed),
        }
    }

    /// Takes over what the poller has seen of this lane. Call it after each poll, before `next`.
    #[inline]
    pub fn mark_ready(&mut self, poller: &mut Poller) {
        match &mut self.state {
            State::Live { pipe, .. }
            | State::Securing { pipe, .. }
            | State::Upgrading { pipe, .. } => pipe.socket.mark(self.token, poller),
            State::Dialing { socket, .. } => socket.mark(self.token, poller),
            State::Down | State::BackingOff { .. } | State::Asleep | State::Closed => {}
        }
    }

    /// The next thing this connection has to say, or `None` when it would have to wait. Call it
    /// until `None`.
    #[inline]
    pub fn next(&mut self, now: Nanos) -> Option<Incoming<'_>> {
        let found = self.find(now)?;
        Some(self.show(found))
    }

    /// What was found, with its bytes.
    #[inline]
    pub(super) fn show(&mut self, found: Found) -> Incoming<'_> {
        let inbox = &mut self.buffers.inbox;
        match found {
            Found::Up => Incoming::Up,
            Found::Text(range) => Incoming::Text(inbox.slice_mut(range)),
            Found::Response {
                status,
                body,
                retry_after_s,
            } => Incoming::Response {
                status,
                body: inbox.slice_mut(body),
                retry_after_s,
            },
            Found::Down(reason) => Incoming::Down(reason),
        }
    }

    /// Whether [`Connection::next`] may say something though the poller sees nothing new: news
    /// stand waiting, or the last call ended at its bound.
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        self.notice.is_some() || self.is_cut_short
    }

    /// What to hand out, without the bytes: a range can leave the loop, a borrow could not. The
    /// owner hears of `Up` and `Down` before anything else.
    #[inline]
    pub(super) fn find(&mut self, now: Nanos) -> Option<Found> {
        self.is_cut_short = false;
        if !self.is_live() {
            self.advance(now);
        }
        if self.notice.is_some() {
            return self.notice.take();
        }
        if !self.is_live() {
            return None;
        }
        match self.pull(now) {
            Ok(Some(found)) => Some(found),
            // Answering a ping may have found the connection broken.
            Ok(None) => self.notice.take(),
            Err(reason) => {
                self.fall(reason, now);
                self.notice.take()
            }
        }
    }

    /// Pays what acknowledgement is owed for what was read. Off the path: an order that a message
    /// caused has gone before.
    #[inline]
    pub(super) fn acknowledge(&mut self) {
        if let State::Live { pipe, .. } = &mut self.state {
            pipe.socket.acknowledge();
        }
    }

    /// The loop of the live state: look in the inbox, then fetch as little as possible, and again.
    /// The reason to go down comes only when all whole messages before it were handed out.
    #[inline]
    fn pull(&mut self, now: Nanos) -> Result<Option<Found>, DownReason> {
        for _ in 0..STEPS_MAX {
            if !self.buffers.outbox.is_empty() {
                self.flush(now)?;
            }
            if let Some(found) = self.parse(now)? {
                return Ok(Some(found));
            }
            let State::Live { pipe, .. } = &mut self.state else {
                return Ok(None);
            };
            match pipe.pull(&mut self.buffers)? {
                Pulled::Moved => self.heard_at = now,
                Pulled::Blocked => {
                    // Opening a record may have made an answer of TLS's own.
                    if !self.buffers.outbox.is_empty() {
                        self.flush(now)?;
                    }
                    return Ok(None);
                }
                Pulled::Ended { is_certain } => return self.ended(is_certain).map(Some),
            }
        }
        self.is_cut_short = true;
        Ok(None)
    }

    /// The first whole message in the inbox; pings and other control frames are dealt with.
    #[inline]
    fn parse(&mut self, now: Nanos) -> Result<Option<Found>, DownReason> {
        if !matches!(self.framing, Framing::WebSocket(_)) {
            return self.parse_response();
        }
        for _ in 0..STEPS_MAX {
            let Framing::WebSocket(reader) = &mut self.framing else {
                return Ok(None);
            };
            let start = self.buffers.inbox.start();
            let bytes = self.buffers.inbox.filled_mut();
            let (step, drop_len) = reader.step(bytes).map_err(DownReason::Frame)?;
            match step {
                ws::Step::Starved => return Ok(None),
                ws::Step::Message(range) => {
                    self.buffers.inbox.consume(drop_len);
                    self.counters.messages_in += 1;
                    let range = start + range.start..start + range.end;
                    return Ok(Some(Found::Text(range)));
                }
                ws::Step::Ping(range) => {
                    self.pong(start + range.start..start + range.end, now)?;
                }
                ws::Step::Pong => {}
                ws::Step::Close(code) => return Err(self.closed_by_peer(code)),
            }
            self.buffers.inbox.consume(drop_len);
        }
        Ok(None)
    }

    /// The response in the inbox. Bytes that answer nothing (a proxy's 408 on an idle connection,
    /// say) end the connection: a later request must not be paired with them.
    fn parse_response(&mut self) -> Result<Option<Found>, DownReason> {
        let Framing::Http {
            reader,
            asked_at,
            is_last,
        } = &mut self.framing
        else {
            return Ok(None);
        };
        if *is_last {
            return Err(DownReason::Ended);
        }
        loop {
            let start = self.buffers.inbox.start();
            let bytes = self.buffers.inbox.filled_mut();
            if bytes.is_empty() {
                return Ok(None);
            }
            if asked_at.is_none() {
                return Err(DownReason::Http(http::HttpError::Unsolicited));
            }
            let (step, drop_len) = reader.step(bytes).map_err(DownReason::Http)?;
            self.buffers.inbox.consume(drop_len);
            match step {
                http::Step::Starved => return Ok(None),
                http::Step::Interim => {}
                http::Step::Response(response) => {
                    *asked_at = None;
                    *is_last = !response.is_keep_alive;
                    self.counters.messages_in += 1;
                    let body = start + response.body.start..start + response.body.end;
                    return Ok(Some(Found::Response {
                        status: response.status,
                        body,
                        retry_after_s: response.retry_after_s,
                    }));
                }
            }
        }
    }

    /// Whether messages flow.
    #[inline]
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// HTTP: live and no request in flight. WebSocket: always false.
    #[inline]
    pub fn is_idle(&self) -> bool {
        let is_free = match &self.framing {
            Framing::WebSocket(_) => false,
            Framing::Http {
                asked_at, is_last, ..
            } => asked_at.is_none() && !is_last,
        };
        is_free && self.is_live()
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What it has counted.
    pub fn counters(&self) -> &ConnectionCounters {
        &self.counters
    }

    /// Reads and writes of the socket that stands.
    pub(super) fn system_calls(&self) -> SystemCalls {
        self.socket().map(|socket| socket.calls).unwrap_or_default()
    }

    /// When the kernel took in what was read last, if that read was stamped; wall time, once.
    #[inline]
    pub(super) fn take_stamp(&mut self) -> Option<Nanos> {
        match &mut self.state {
            State::Live { pipe, .. } => pipe.socket.take_stamp(),
            _ => None,
        }
    }

    fn socket(&self) -> Option<&Socket> {
        match &self.state {
            State::Live { pipe, .. }
            | State::Securing { pipe, .. }
            | State::Upgrading { pipe, .. } => Some(&pipe.socket),
            State::Dialing { socket, .. } => Some(socket),
            State::Down | State::BackingOff { .. } | State::Asleep | State::Closed => None,
        }
    }

    /// Bytes read from and written to the socket since it was made.
    pub fn bytes(&self) -> (u64, u64) {
        (self.buffers.bytes_in, self.buffers.bytes_out)
    }

    /// Echoes the close, as RFC 6455, part 5.5.1, asks.
    #[cold]
    fn closed_by_peer(&mut self, code: u16) -> DownReason {
        self.say_goodbye();
        DownReason::ClosedByPeer { code }
    }

    /// The peer sends no more: between messages, in one, or as the end of a body without length.
    #[cold]
    fn ended(&mut self, is_certain: bool) -> Result<Found, DownReason> {
        let start = self.buffers.inbox.start();
        let is_between = match &mut self.framing {
            Framing::WebSocket(_) => self.buffers.inbox.is_empty(),
            Framing::Http {
                reader,
                asked_at,
                is_last,
            } => {
                // Without a certain end, somebody may have cut the body short.
                let whole = reader.finish(self.buffers.inbox.filled());
                if let (true, Some((http::Step::Response(response), _))) = (is_certain, whole) {
                    *asked_at = None;
                    *is_last = true;
                    self.buffers.inbox.clear();
                    self.counters.messages_in += 1;
                    return Ok(Found::Response {
                        status: response.status,
                        body: start + response.body.start..start + response.body.end,
                        retry_after_s: response.retry_after_s,
                    });
                }
                asked_at.is_none()
            }
        };
        Err(if is_between {
            DownReason::Ended
        } else {
            DownReason::Cut
        })
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::super::SendError;
    use super::super::tls::{TlsFault, provider};
    use super::super::ws::FrameError;
    use super::*;
    use crate::market::units::SECOND;
    use core::time::Duration;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread::{self, JoinHandle};
    use std::time::Instant;
    use tungstenite::protocol::frame::Frame as JudgeFrame;
    use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
    use tungstenite::protocol::{CloseFrame, WebSocket};
    use tungstenite::{Message, accept};

    type Stream = StreamOwned<ServerConnection, TcpStream>;

    /// A listening socket with a certificate for it: the far end, blocking, on a thread.
    struct Far {
        listener: TcpListener,
        config: Arc<ServerConfig>,
    }

    impl Far {
        fn new() -> (Far, TlsClient, u16) {
            let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_string()]).unwrap();
            let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
            let config = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let tls = TlsClient::new(Some(made.cert.pem().as_bytes())).unwrap();
            let config = Arc::new(config);
            (Far { listener, config }, tls, port)
        }

        fn plain(&self) -> TcpStream {
            let stream = self.listener.accept().unwrap().0;
            let limit = Some(Duration::from_secs(20));
            stream.set_read_timeout(limit).unwrap();
            stream.set_write_timeout(limit).unwrap();
            stream
        }

        fn secure(&self) -> Stream {
            let session = ServerConnection::new(Arc::clone(&self.config)).unwrap();
            StreamOwned::new(session, self.plain())
        }

        fn upgraded(&self) -> WebSocket<Stream> {
            accept(self.secure()).unwrap()
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Event {
        Up,
        Text(Vec<u8>),
        Response(u16, Vec<u8>),
        Down(DownReason),
    }

    /// A connection with its poller, and a clock that can be pushed forward.
    struct Near {
        connection: Connection,
        poller: Poller,
        origin: Instant,
        skipped_ns: u64,
    }

    impl Near {
        fn new(url: &str, protocol: Protocol, tls: &TlsClient, limits: ConnectionLimits) -> Near {
            let headers = vec![("X-Api-Key", "secret".to_string())];
            let endpoint = Endpoint::parse(url, "/path", headers, protocol).unwrap();
            Near {
                connection: Connection::new(endpoint, 5, tls, limits, 42),
                poller: Poller::new().unwrap(),
                origin: Instant::now(),
                skipped_ns: 0,
            }
        }

        fn now(&self) -> Nanos {
            let elapsed_ns = self.origin.elapsed().as_nanos() as u64;
            Nanos(1_000 * SECOND + elapsed_ns + self.skipped_ns)
        }

        fn skip(&mut self, seconds: u64) {
            self.skipped_ns += seconds * SECOND;
        }

        fn pull(&mut self) -> Option<Event> {
            let now = self.now();
            self.connection.next(now).map(|incoming| match incoming {
                Incoming::Up => Event::Up,
                Incoming::Text(bytes) => Event::Text(bytes.to_vec()),
                Incoming::Response { status, body, .. } => Event::Response(status, body.to_vec()),
                Incoming::Down(reason) => Event::Down(reason),
            })
        }

        /// One turn: beat, pull; if there is nothing, poll and pull again.
        fn turn(&mut self) -> Option<Event> {
            let now = self.now();
            self.connection.beat(&mut self.poller, now);
            if let Some(event) = self.pull() {
                return Some(event);
            }
            self.poller.poll(Some(Duration::from_millis(2))).unwrap();
            self.connection.mark_ready(&mut self.poller);
            self.pull()
        }

        /// Turns until there is an event; ten seconds at most.
        fn event(&mut self) -> Event {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(10) {
                if let Some(event) = self.turn() {
                    return event;
                }
            }
            panic!("nothing happened; {:?}", self.connection.counters());
        }

        fn text(&mut self, text: &str) {
            let now = self.now();
            self.connection.send_text(text.as_bytes(), now).unwrap();
        }

        fn ask(&mut self, request: &str) {
            let now = self.now();
            self.connection.send_raw(request.as_bytes(), now).unwrap();
        }
    }

    /// A live WebSocket connection to `script` on the other side.
    fn websocket<T: Send + 'static>(
        script: impl FnOnce(Far) -> T + Send + 'static,
    ) -> (Near, JoinHandle<T>) {
        let (far, tls, port) = Far::new();
        let thread = thread::spawn(move || script(far));
        let url = format!("wss://127.0.0.1:{port}");
        let near = Near::new(&url, Protocol::WebSocket, &tls, ConnectionLimits::default());
        (near, thread)
    }

    fn http<T: Send + 'static>(
        script: impl FnOnce(Far) -> T + Send + 'static,
    ) -> (Near, JoinHandle<T>) {
        let (far, tls, port) = Far::new();
        let thread = thread::spawn(move || script(far));
        let url = format!("https://127.0.0.1:{port}");
        let near = Near::new(&url, Protocol::Http, &tls, ConnectionLimits::default());
        (near, thread)
    }

    #[test]
    fn messages_of_all_kinds_over_tls() {
        let big: Vec<u8> = (0..300_000_u32).map(|it| it as u8).collect();
        let expected = big.clone();
        let (mut near, far) = websocket(move |far| {
            let mut socket = far.upgraded();
            assert_eq!(socket.read().unwrap(), Message::text("hello"));
            socket.send(Message::text("hello yourself")).unwrap();
            socket.send(Message::binary(big)).unwrap();
            for (idx, part) in ["one ", "two ", "three"].into_iter().enumerate() {
                let data = if idx == 0 { Data::Text } else { Data::Continue };
                let frame = JudgeFrame::message(part, OpCode::Data(data), idx == 2);
                socket.send(Message::Ping(vec![idx as u8].into())).unwrap();
                socket.send(Message::Frame(frame)).unwrap();
            }
            for idx in 0..3 {
                assert_eq!(socket.read().unwrap(), Message::Pong(vec![idx].into()));
            }
            let big = socket.read().unwrap();
            assert_eq!(big.into_data().len(), 60_000);
            let frame = CloseFrame {
                code: CloseCode::Away,
                reason: "moving".into(),
            };
            socket.close(Some(frame)).unwrap();
            assert!(matches!(socket.read().unwrap(), Message::Close(Some(_))));
        });
        assert_eq!(near.event(), Event::Up);
        near.text("hello");
        assert_eq!(near.event(), Event::Text(b"hello yourself".to_vec()));
        assert_eq!(near.event(), Event::Text(expected));
        assert_eq!(near.event(), Event::Text(b"one two three".to_vec()));
        near.text(&"x".repeat(60_000));
        let code = 1001;
        let closed = Event::Down(DownReason::ClosedByPeer { code });
        assert_eq!(near.event(), closed);
        far.join().unwrap();
        let counters = near.connection.counters();
        assert_eq!((counters.messages_in, counters.messages_out), (3, 2));
        assert_eq!((counters.pings_in, counters.ups, counters.downs), (3, 1, 1));
        assert!(near.connection.bytes().0 > 300_000);
    }

    #[test]
    fn many_messages_keep_their_order_and_bytes() {
        let (mut near, far) = websocket(|far| {
            let mut socket = far.upgraded();
            for idx in 0..3000_usize {
                let text = format!("{idx}:").repeat(1 + idx % 700);
                socket.write(Message::text(text)).unwrap();
            }
            socket.flush().unwrap();
            socket.read().unwrap()
        });
        assert_eq!(near.event(), Event::Up);
        for idx in 0..3000_usize {
            let text = format!("{idx}:").repeat(1 + idx % 700);
            assert_eq!(near.event(), Event::Text(text.into_bytes()), "{idx}");
        }
        near.text("done");
        assert_eq!(far.join().unwrap(), Message::text("done"));
    }

    #[test]
    fn the_request_carries_path_and_headers() {
        let (mut near, far) = websocket(|far| {
            let mut stream = far.secure();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let answer = b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).unwrap();
            String::from_utf8(request).unwrap()
        });
        let refused = DownReason::Refused { status: 429 };
        assert_eq!(near.event(), Event::Down(refused));
        assert_eq!(near.connection.counters().last_down, Some(refused));
        let request = far.join().unwrap();
        assert!(request.starts_with("GET /path HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nX-Api-Key: secret\r\n"), "{request}");
    }

    #[test]
    fn a_cut_in_the_middle_and_a_new_beginning() {
        let (mut near, far) = websocket(|far| {
            let mut socket = far.upgraded();
            let frame = JudgeFrame::message("half of it", OpCode::Data(Data::Text), false);
            socket.send(Message::Frame(frame)).unwrap();
            socket.send(Message::Ping(vec![].into())).unwrap();
            assert_eq!(socket.read().unwrap(), Message::Pong(vec![].into()));
            drop(socket);
            let mut socket = far.upgraded();
            socket.send(Message::text("again")).unwrap();
            socket.read()
        });
        assert_eq!(near.event(), Event::Up);
        assert_eq!(near.event(), Event::Down(DownReason::Cut));
        assert!(!near.connection.is_live());
        let now = near.now();
        assert_eq!(
            near.connection.send_text(b"x", now),
            Err(SendError::NotLive)
        );
        near.skip(1);
        assert_eq!(near.event(), Event::Up);
        assert_eq!(near.event(), Event::Text(b"again".to_vec()));
        near.connection.close();
        let last = far.join().unwrap().unwrap();
        let Message::Close(Some(frame)) = last else {
            panic!("a close frame, not {last:?}");
        };
        assert_eq!(frame.code, CloseCode::Normal);
        near.skip(100);
        assert_eq!(near.turn(), None);
        assert_eq!(near.connection.counters().dials, 2);
    }

    #[test]
    fn row_12_pings_leave_whatever_else_is_sent_and_silence_ends() {
        let (mut near, far) = websocket(|far| {
            let mut socket = far.upgraded();
            assert_eq!(socket.read().unwrap(), Message::text("busy"));
            let ping = socket.read().unwrap();
            (ping, socket.read().is_err())
        });
        assert_eq!(near.event(), Event::Up);
        near.skip(29);
        near.text("busy");
        assert_eq!(near.turn(), None);
        assert_eq!(near.connection.counters().pings_out, 0);
        near.skip(2);
        assert_eq!(near.turn(), None);
        assert_eq!(near.connection.counters().pings_out, 1);
        // The judge answers pings of its own accord once it reads on; that is heard.
        near.skip(46);
        assert_eq!(near.event(), Event::Down(DownReason::Silent));
        drop(near);
        let (ping, is_end) = far.join().unwrap();
        assert!(ping.is_ping() && is_end);
    }

    #[test]
    fn row_12_a_ping_is_answered_in_the_turn_that_hears_it() {
        let (mut near, far) = websocket(|far| {
            let mut socket = far.upgraded();
            socket.send(Message::Ping(vec![7].into())).unwrap();
            // The connection stays up until both have looked at it.
            (socket.read().unwrap(), socket)
        });
        assert_eq!(near.event(), Event::Up);
        let sent_before = near.connection.bytes().1;
        while near.connection.counters().pings_in == 0 {
            assert_eq!(near.connection.bytes().1, sent_before);
            assert_eq!(near.turn(), None);
        }
        assert!(near.connection.bytes().1 > sent_before);
        assert_eq!(far.join().unwrap().0, Message::Pong(vec![7].into()));
    }

    #[test]
    fn row_11_a_peer_that_does_not_read_stalls_the_write_for_three_seconds() {
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let (mut near, far) = websocket(move |far| {
            let socket = far.upgraded();
            let _ = wait.recv();
            drop(socket);
        });
        assert_eq!(near.event(), Event::Up);
        let (payload, now) = (vec![b'x'; 60_000], near.now());
        let mut sent = 0;
        let error = loop {
            match near.connection.send_text(&payload, now) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            assert!(sent < 10_000, "the socket takes everything");
        };
        assert_eq!(error, SendError::Full);
        near.skip(2);
        assert_eq!(near.turn(), None);
        assert!(near.connection.is_live());
        near.skip(2);
        assert_eq!(near.event(), Event::Down(DownReason::WriteStalled));
        end.send(()).unwrap();
        far.join().unwrap();
        let long = vec![b'x'; 70_000];
        assert_eq!(
            near.connection.send_text(&long, now),
            Err(SendError::NotLive)
        );
    }

    #[test]
    fn the_owner_may_ask_for_a_new_connection() {
        let (mut near, far) = websocket(|far| {
            let first = far.upgraded();
            let mut second = far.upgraded();
            drop(first);
            second.read().unwrap()
        });
        assert_eq!(near.event(), Event::Up);
        let now = near.now();
        assert_eq!(
            near.connection.send_text(&vec![b'x'; 70_000], now),
            Err(SendError::TooLarge)
        );
        assert_eq!(
            near.connection.send_raw(b"GET", now),
            Err(SendError::WrongProtocol)
        );
        near.connection.reconnect(now);
        assert_eq!(near.event(), Event::Down(DownReason::Requested));
        near.skip(1);
        assert_eq!(near.event(), Event::Up);
        near.text("second");
        assert_eq!(far.join().unwrap(), Message::text("second"));
    }

    #[test]
    fn a_spare_sleeps_until_woken_and_leaves_politely() {
        let (mut near, far) = websocket(|far| {
            let mut first = far.upgraded();
            assert_eq!(first.read().unwrap(), Message::text("first"));
            let goodbye = first.read().unwrap();
            let mut second = far.upgraded();
            second.send(Message::text("fresh")).unwrap();
            let _ = second.read();
            goodbye
        });
        near.connection.sleep();
        near.skip(100);
        assert_eq!(near.turn(), None);
        assert_eq!(near.connection.counters().dials, 0);
        let now = near.now();
        near.connection.wake(now);
        assert_eq!(near.event(), Event::Up);
        near.text("first");
        near.connection.sleep();
        // Neither a request for a new connection nor time wakes it, and nothing is said.
        near.connection.reconnect(now);
        near.skip(100);
        assert_eq!(near.turn(), None);
        let counters = *near.connection.counters();
        assert_eq!((counters.dials, counters.ups, counters.downs), (1, 1, 0));
        let now = near.now();
        near.connection.wake(now);
        assert_eq!(near.event(), Event::Up);
        assert_eq!(near.event(), Event::Text(b"fresh".to_vec()));
        near.connection.close();
        near.connection.sleep();
        near.connection.wake(now);
        near.skip(100);
        assert_eq!(near.turn(), None);
        assert_eq!(near.connection.counters().dials, 2);
        let Message::Close(Some(frame)) = far.join().unwrap() else {
            panic!("no close frame");
        };
        assert_eq!(frame.code, CloseCode::Normal);
    }

    #[test]
    fn a_masked_frame_of_a_server_is_refused() {
        let (mut near, far) = websocket(|far| {
            let mut socket = far.upgraded();
            let stream = socket.get_mut();
            stream.write_all(&[0x81, 0x81, 0, 0, 0, 0, b'x']).unwrap();
            stream.flush().unwrap();
            let _ = stream.read(&mut [0; 64]);
        });
        assert_eq!(near.event(), Event::Up);
        let masked = DownReason::Frame(FrameError::Masked);
        assert_eq!(near.event(), Event::Down(masked));
        far.join().unwrap();
    }

    #[test]
    fn faults_on_the_way_up() {
        // Nobody listens.
        let (far, tls, port) = Far::new();
        drop(far);
        let limits = ConnectionLimits::default();
        let url = format!("wss://127.0.0.1:{port}");
        let mut near = Near::new(&url, Protocol::WebSocket, &tls, limits);
        let refused = DownReason::Socket(ErrorKind::ConnectionRefused);
        assert_eq!(near.event(), Event::Down(refused));

        // The certificate is of another issuer.
        let (mut near, far) = websocket(|far| {
            let mut stream = far.secure();
            let _ = stream.read(&mut [0; 64]);
        });
        near.connection.tls = TlsClient::new(None).unwrap();
        let fault = DownReason::Tls(TlsFault::Certificate);
        assert_eq!(near.event(), Event::Down(fault));
        drop(near);
        far.join().unwrap();

        // Somebody listens and says nothing.
        let (far, tls, port) = Far::new();
        let url = format!("wss://127.0.0.1:{port}");
        let mut near = Near::new(&url, Protocol::WebSocket, &tls, limits);
        while !matches!(near.connection.state, State::Securing { .. }) {
            assert_eq!(near.turn(), None);
        }
        near.skip(6);
        let late = DownReason::Late(super::super::Phase::Securing);
        assert_eq!(near.event(), Event::Down(late));
        drop(far);
    }

    #[test]
    fn plain_text_on_loopback() {
        let (far, tls, port) = Far::new();
        let thread = thread::spawn(move || {
            let mut socket = accept(far.plain()).unwrap();
            let message = socket.read().unwrap();
            socket.send(message).unwrap();
            socket.read().unwrap()
        });
        let url = format!("ws://127.0.0.1:{port}");
        let limits = ConnectionLimits::default();
        let mut near = Near::new(&url, Protocol::WebSocket, &tls, limits);
        assert_eq!(near.event(), Event::Up);
        near.text("echo");
        assert_eq!(near.event(), Event::Text(b"echo".to_vec()));
        near.connection.close();
        assert!(thread.join().unwrap().is_close());
    }

    /// Reads one request, writes one answer.
    fn answer(stream: &mut Stream, request: &str, response: &str) {
        let mut read = vec![0; request.len()];
        stream.read_exact(&mut read).unwrap();
        assert_eq!(read, request.as_bytes());
        stream.write_all(response.as_bytes()).unwrap();
        stream.flush().unwrap();
    }

    const REQUEST: &str = "POST /order HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";

    #[test]
    fn requests_share_a_connection() {
        let (mut near, far) = http(|far| {
            let mut stream = far.secure();
            let fixed = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst";
            answer(&mut stream, REQUEST, fixed);
            let chunked = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad\r\n\
                Transfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n";
            answer(&mut stream, REQUEST, chunked);
            let last = "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n";
            answer(&mut stream, REQUEST, last);
            let mut stream = far.secure();
            // No length: the body ends with the session, in order.
            answer(&mut stream, REQUEST, "HTTP/1.1 200 OK\r\n\r\nto the end");
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            let mut stream = far.secure();
            let unsolicited = "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n";
            answer(&mut stream, "", unsolicited);
            let _ = stream.read(&mut [0; 64]);
        });
        assert_eq!(near.event(), Event::Up);
        assert!(near.connection.is_idle());
        near.ask(REQUEST);
        assert!(!near.connection.is_idle());
        let now = near.now();
        let busy = near.connection.send_raw(REQUEST.as_bytes(), now);
        assert_eq!(busy, Err(SendError::Busy));
        assert_eq!(near.event(), Event::Response(200, b"first".to_vec()));
        near.ask(REQUEST);
        assert_eq!(near.event(), Event::Response(400, b"second".to_vec()));
        near.ask(REQUEST);
        assert_eq!(near.event(), Event::Response(204, Vec::new()));
        assert!(!near.connection.is_idle());
        assert_eq!(near.event(), Event::Down(DownReason::Ended));
        // A second after the last dial it dials at once, without back-off.
        near.skip(1);
        assert_eq!(near.event(), Event::Up);
        near.ask(REQUEST);
        assert_eq!(near.event(), Event::Response(200, b"to the end".to_vec()));
        assert_eq!(near.event(), Event::Down(DownReason::Ended));
        near.skip(1);
        assert_eq!(near.event(), Event::Up);
        let unsolicited = DownReason::Http(http::HttpError::Unsolicited);
        assert_eq!(near.event(), Event::Down(unsolicited));
        drop(near);
        far.join().unwrap();
    }

    #[test]
    fn a_late_response_and_one_cut_short() {
        let (mut near, far) = http(|far| {
            let mut stream = far.secure();
            answer(
                &mut stream,
                REQUEST,
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
            );
            drop(stream);
            let mut stream = far.secure();
            answer(&mut stream, REQUEST, "");
            let _ = stream.read(&mut [0; 64]);
        });
        assert_eq!(near.event(), Event::Up);
        near.ask(REQUEST);
        assert_eq!(near.event(), Event::Down(DownReason::Cut));
        near.skip(1);
        assert_eq!(near.event(), Event::Up);
        near.ask(REQUEST);
        near.skip(11);
        assert_eq!(near.event(), Event::Down(DownReason::ResponseLate));
        drop(near);
        far.join().unwrap();
    }
}
