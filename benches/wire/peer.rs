//! One connection as the venue has it: a spinning socket, TLS over it, frames or requests on top.
//!
//! What is timed touches the socket alone: a message is sealed before, and what came is opened
//! after. Nothing here waits.

use rustls::{ServerConfig, ServerConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use tungstenite::handshake::derive_accept_key;

/// More than a record, so that one read empties the socket.
const READ_BYTES: usize = 64 * 1024;

/// What a client says.
pub enum Said {
    /// The path of an upgrade.
    Upgrade(String),
    /// A text message.
    Text(String),
    /// Request line and body.
    Request(String, String),
}

/// One connection.
pub struct Peer {
    stream: TcpStream,
    /// Nothing for plain TCP.
    tls: Option<ServerConnection>,
    read: Box<[u8; READ_BYTES]>,
    /// Opened and not yet understood.
    plain: Vec<u8>,
    sealed: Vec<u8>,
    is_upgraded: bool,
    pub is_gone: bool,
}

impl Peer {
    pub fn new(stream: TcpStream, config: Option<&Arc<ServerConfig>>) -> Peer {
        stream.set_nodelay(true).expect("TCP has it");
        stream.set_nonblocking(true).expect("sockets have it");
        let tls = |config: &Arc<ServerConfig>| {
            ServerConnection::new(Arc::clone(config)).expect("the settings are whole")
        };
        Peer {
            stream,
            tls: config.map(tls),
            read: Box::new([0; READ_BYTES]),
            plain: Vec::new(),
            sealed: Vec::new(),
            is_upgraded: false,
            is_gone: false,
        }
    }

    /// One read that does not wait: how many bytes came, 0 for none.
    #[inline]
    pub fn poll(&mut self) -> usize {
        match self.stream.read(&mut self.read[..]) {
            Ok(0) => {
                self.is_gone = true;
                0
            }
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => {
                self.is_gone = true;
                0
            }
        }
    }

    /// What was polled, understood.
    pub fn take(&mut self, count: usize) -> Vec<Said> {
        match &mut self.tls {
            None => self.plain.extend_from_slice(&self.read[..count]),
            Some(tls) => {
                let mut bytes = &self.read[..count];
                while !bytes.is_empty() {
                    tls.read_tls(&mut bytes).expect("a slice can be read");
                    if tls.process_new_packets().is_err() {
                        self.is_gone = true;
                        return Vec::new();
                    }
                    // It ends with what there is.
                    let _ = tls.reader().read_to_end(&mut self.plain);
                }
                if tls.wants_write() {
                    let mut answer = Vec::new();
                    while tls.wants_write() {
                        tls.write_tls(&mut answer).expect("a vector takes all");
                    }
                    self.write(&answer);
                }
            }
        }
        let mut said = Vec::new();
        while let Some(one) = self.understand() {
            said.push(one);
        }
        said
    }

    fn understand(&mut self) -> Option<Said> {
        // Plain TCP is only counted.
        self.tls.as_ref()?;
        match self.is_upgraded {
            true => self.frame(),
            false => self.request(),
        }
    }

    /// A masked frame of a client. Control frames are dropped: no round lasts until they matter.
    fn frame(&mut self) -> Option<Said> {
        loop {
            let [first, second, rest @ ..] = self.plain.as_slice() else {
                return None;
            };
            let (head_len, len) = match second & 0x7f {
                126 => (
                    2,
                    usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])),
                ),
                127 => panic!("no client of ours writes that much"),
                len => (0, usize::from(len)),
            };
            let mask = rest.get(head_len..head_len + 4)?;
            let payload = rest.get(head_len + 4..head_len + 4 + len)?;
            let unmasked = payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b);
            let text: Vec<u8> = unmasked.collect();
            let is_text = matches!(first & 0x0f, 1 | 2);
            self.plain.drain(..2 + head_len + 4 + len);
            if is_text {
                return Some(Said::Text(String::from_utf8(text).expect("JSON is UTF-8")));
            }
        }
    }

    fn request(&mut self) -> Option<Said> {
        let end = self.plain.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.plain[..end].to_vec()).expect("heads are ASCII");
        let header = |name: &str| {
            let mut lines = head.lines();
            let is_it = |line: &&str| line.to_ascii_lowercase().starts_with(name);
            Some(lines.find(is_it)?.split_once(':')?.1.trim().to_owned())
        };
        let line = head.lines().next().unwrap_or("").to_owned();
        if let Some(key) = header("sec-websocket-key") {
            self.plain.drain(..end);
            self.is_upgraded = true;
            let accept = derive_accept_key(key.as_bytes());
            self.send(
                format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                )
                .as_bytes(),
            );
            let path = line.split(' ').nth(1).unwrap_or("").to_owned();
            return Some(Said::Upgrade(path));
        }
        let body_len = header("content-length").map_or(0, |len| len.parse().expect("a number"));
        let body = self.plain.get(end..end + body_len)?.to_vec();
        self.plain.drain(..end + body_len);
        Some(Said::Request(
            line,
            String::from_utf8(body).expect("JSON is UTF-8"),
        ))
    }

    pub fn is_upgraded(&self) -> bool {
        self.is_upgraded
    }

    /// Seals plain bytes; [`Peer::launch`] sends them.
    pub fn seal(&mut self, plain: &[u8]) {
        self.sealed.clear();
        match &mut self.tls {
            None => self.sealed.extend_from_slice(plain),
            Some(tls) => {
                tls.writer()
                    .write_all(plain)
                    .expect("the buffer is unbounded");
                while tls.wants_write() {
                    tls.write_tls(&mut self.sealed).expect("a vector takes all");
                }
            }
        }
    }

    /// Seals a text message.
    pub fn seal_text(&mut self, text: &str) {
        let mut frame = vec![0x81];
        match text.len() {
            len @ 0..=125 => frame.push(len as u8),
            len @ 126..=0xffff => {
                frame.push(126);
                frame.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                frame.push(127);
                frame.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(text.as_bytes());
        self.seal(&frame);
    }

    /// Sends what was sealed: one write, unless the socket is full.
    #[inline]
    pub fn launch(&mut self) {
        let mut rest = self.sealed.as_slice();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => {
                    self.is_gone = true;
                    return;
                }
            }
        }
    }

    pub fn send(&mut self, plain: &[u8]) {
        self.seal(plain);
        self.launch();
    }

    pub fn send_text(&mut self, text: &str) {
        self.seal_text(text);
        self.launch();
    }

    /// An HTTP answer.
    pub fn answer(&mut self, body: &str) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send((head + body).as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        self.sealed.clear();
        self.sealed.extend_from_slice(bytes);
        self.launch();
    }
}
