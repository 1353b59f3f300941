//! The rig of the faults' tests: both venues with faults asked for, and a client that is not ours
//! and writes down every byte it is sent.

use crate::market::Venue;
use crate::sim::faults::spec::Spec;
use crate::sim::{Options, Sim, start};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;
use tungstenite::{HandshakeError, Message, WebSocket};

/// Both venues, plain, the tape alone, with these faults.
pub fn venues(spec: &str) -> Sim {
    start(&options(spec)).unwrap()
}

pub fn options(spec: &str) -> Options {
    let mut options = Options::new(11);
    options.plain = true;
    options.plant = crate::sim::plant::Plant::Off;
    options.faults = Some(Spec::parse(spec).unwrap());
    options
}

/// How often a kind happened at a venue.
pub fn done(sim: &Sim, kind: &str, venue: Venue) -> u64 {
    let all = sim.faults_done().into_iter();
    let mut found = all.filter(|(name, at, _)| *name == kind && *at == venue);
    found.next().expect("the kind was asked for").2
}

/// A socket that keeps what it read.
pub struct Recorded {
    socket: TcpStream,
    bytes: Vec<u8>,
}

impl Read for Recorded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.socket.read(buffer)?;
        self.bytes.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.socket.flush()
    }
}

/// One connection.
pub struct Client {
    socket: WebSocket<Recorded>,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// With a close frame.
    Closed,
    /// Without one.
    Broken,
}

/// Connects, or gives the status of the refusal.
pub fn knock(url: &str, key: Option<&str>) -> Result<Client, u16> {
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("user-agent", "tests".parse().unwrap());
    if let Some(key) = key {
        headers.insert("x-api-key", key.parse().unwrap());
    }
    let socket = TcpStream::connect(request.uri().authority().unwrap().as_str()).unwrap();
    let ten_seconds = Some(Duration::from_secs(10));
    socket.set_read_timeout(ten_seconds).unwrap();
    let bytes = Vec::new();
    match tungstenite::client(request, Recorded { socket, bytes }) {
        Ok((socket, _)) => Ok(Client { socket }),
        Err(HandshakeError::Failure(tungstenite::Error::Http(reply))) => {
            Err(reply.status().as_u16())
        }
        Err(other) => panic!("{other}"),
    }
}

/// Connects.
pub fn open(url: &str) -> Client {
    knock(url, None).unwrap_or_else(|status| panic!("{url} answers {status}"))
}

impl Client {
    /// The next text, or how the connection ended. Waits ten seconds at most.
    pub fn text(&mut self) -> Result<String, End> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(text.to_string()),
                Ok(Message::Close(_)) => return Err(End::Closed),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error))
                    if error.kind() == std::io::ErrorKind::WouldBlock =>
                {
                    panic!("nothing came for ten seconds")
                }
                Err(_) => return Err(End::Broken),
            }
        }
    }

    /// The next text as JSON.
    pub fn next(&mut self) -> Value {
        let text = self.text().expect("the connection is up");
        serde_json::from_str(&text).expect("a whole JSON text")
    }

    /// Texts of so many seconds.
    pub fn texts(&mut self, seconds: f64) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        let mut texts = Vec::new();
        while Instant::now() < until {
            texts.push(self.text().expect("the connection is up"));
        }
        texts
    }

    /// JSON of so many seconds.
    pub fn frames(&mut self, seconds: f64) -> Vec<Value> {
        let texts = self.texts(seconds).into_iter();
        texts
            .map(|text| serde_json::from_str(&text).expect("a whole JSON text"))
            .collect()
    }

    /// Everything until the end, and how it ended.
    pub fn rest(&mut self) -> (Vec<String>, End) {
        let mut texts = Vec::new();
        loop {
            match self.text() {
                Ok(text) => texts.push(text),
                Err(end) => return (texts, end),
            }
        }
    }

    /// Waits no longer than this from now on.
    pub fn hurry(&mut self, ms: u64) {
        let socket = &self.socket.get_ref().socket;
        let patience = Some(Duration::from_millis(ms));
        socket.set_read_timeout(patience).unwrap();
    }

    pub fn say(&mut self, message: &Value) {
        let text = message.to_string();
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Whether the venue still answers a Ping. What else comes is passed over.
    pub fn is_alive(&mut self) -> bool {
        let ping = Message::Ping(tungstenite::Bytes::from_static(b"there?"));
        if self.socket.send(ping).is_err() {
            return false;
        }
        loop {
            match self.socket.read() {
                Ok(Message::Pong(_)) => return true,
                Ok(Message::Close(_)) | Err(_) => return false,
                Ok(_) => {}
            }
        }
    }

    /// Bytes behind the last whole message: how many there are, and how many there should be.
    pub fn torn(&self) -> (usize, usize) {
        let bytes = &self.socket.get_ref().bytes;
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let mut rest = &bytes[head.expect("an answer to the upgrade") + 4..];
        loop {
            let whole = match rest {
                [] | [_] => rest.len() + 1,
                [_, 126, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
                [_, 127, eight @ ..] if eight.len() >= 8 => {
                    let length = u64::from_be_bytes(eight[..8].try_into().unwrap());
                    10 + length as usize
                }
                [_, 126 | 127, ..] => rest.len() + 1,
                [_, length, ..] => 2 + usize::from(*length),
            };
            if rest.len() < whole {
                return (rest.len(), whole);
            }
            rest = &rest[whole..];
        }
    }
}
