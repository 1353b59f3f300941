//! The operating system's side: one poller per stage, one non-blocking TCP socket per connection.
//!
//! Readiness is edge-triggered: an event sets a flag, and the flag stands until a read or write
//! would block, so a quiet socket costs no system call beyond the poll. Promises: at most one
//! `epoll_wait` per poll; interrupted calls are no errors.

use super::lane_set::LaneSet;
use super::stamp::Stamps;
use crate::market::units::Nanos;
use core::time::Duration;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};

/// Most lanes of one stage.
pub(super) const LANES_MAX: usize = 512;
/// Events taken per poll. Fewer than lanes would only mean another poll.
const EVENTS_LEN: usize = 64;
/// Bytes sent but not acknowledged for this long end the connection. Larger: a dead path is found
/// late. Smaller: a short loss of route costs a reconnect.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence before the kernel probes the peer, and between probes.
const PROBE_EVERY: Duration = Duration::from_secs(15);

/// What the poller has seen of a socket since it was last asked.
#[derive(Clone, Copy, Default)]
struct Ready {
    is_readable: bool,
    is_writable: bool,
    is_read_closed: bool,
}

/// What was asked of the system, each call counted. Plain words: a call costs a thousand times what
/// counting it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemCalls {
    /// Looks at readiness.
    pub polls: u64,
    /// Reads that brought bytes, or the end.
    pub reads: u64,
    /// Reads that would block or were interrupted.
    pub reads_empty: u64,
    /// Writes.
    pub writes: u64,
}

impl SystemCalls {
    /// Both together.
    pub fn and(self, other: SystemCalls) -> SystemCalls {
        SystemCalls {
            polls: self.polls + other.polls,
            reads: self.reads + other.reads,
            reads_empty: self.reads_empty + other.reads_empty,
            writes: self.writes + other.writes,
        }
    }
}

/// Waits for the sockets of one stage; lanes are its fixed tokens.
pub struct Poller {
    poll: Poll,
    events: Events,
    ready: [Ready; LANES_MAX],
    /// Lanes with something in `ready`.
    seen: LaneSet,
    /// Looks so far.
    pub(super) polls: u64,
}

impl Poller {
    /// Asks the system for a poller.
    pub fn new() -> io::Result<Poller> {
        Ok(Poller {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_LEN),
            ready: [Ready::default(); LANES_MAX],
            seen: LaneSet::default(),
            polls: 0,
        })
    }

    /// Collects events: at once with `Some(Duration::ZERO)`, else waiting that long at most.
    /// Returns whether there were any. An interrupted wait is an empty one.
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        self.polls += 1;
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            if let Some(ready) = self.ready.get_mut(event.token().0) {
                // An end or an error is found out by reading.
                let is_over = event.is_read_closed() || event.is_error();
                ready.is_readable |= event.is_readable() || is_over;
                ready.is_writable |= event.is_writable() || event.is_error();
                ready.is_read_closed |= is_over;
                self.seen.insert(event.token().0);
            }
        }
        Ok(!self.events.is_empty())
    }

    /// The first lane at or after `from` of which something was seen and not yet taken over.
    #[inline]
    pub(super) fn next_seen(&self, from: usize) -> Option<usize> {
        self.seen.next(from)
    }

    /// What was seen of this token since the last time; it is told once.
    fn take(&mut self, token: usize) -> Ready {
        self.seen.remove(token);
        self.ready
            .get_mut(token)
            .map(core::mem::take)
            .unwrap_or_default()
    }
}

/// A TCP socket and what is known of its readiness.
pub(super) struct Socket {
    stream: TcpStream,
    ready: Ready,
    stamps: Option<Stamps>,
    /// Reads and writes so far.
    pub(super) calls: SystemCalls,
    /// Something was read and its acknowledgement may still be owed.
    owes_word: bool,
}

impl Socket {
    /// Begins to connect. Cold.
    #[cold]
    pub(super) fn dial(
        address: SocketAddr,
        token: usize,
        poller: &mut Poller,
    ) -> io::Result<Socket> {
        let mut stream = TcpStream::connect(address)?;
        // A message is one write: waiting to merge it with the next only delays it.
        stream.set_nodelay(true)?;
        let options = SockRef::from(&stream);
        let probes = TcpKeepalive::new()
            .with_time(PROBE_EVERY)
            .with_interval(PROBE_EVERY);
        options.set_tcp_keepalive(&probes)?;
        #[cfg(target_os = "linux")]
        options.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        // What the token's last socket left behind is not about this one.
        poller.take(token);
        poller
            .poll
            .registry()
            .register(&mut stream, Token(token), interest)?;
        Ok(Socket {
            stream,
            ready: Ready::default(),
            stamps: None,
            calls: SystemCalls::default(),
            owes_word: false,
        })
    }

    /// Asks the kernel to say when bytes came. Cold.
    #[cold]
    pub(super) fn ask_stamps(&mut self) {
        self.stamps = Stamps::ask(&self.stream);
    }

    /// When the kernel took in what a stamped read brought, wall time, once.
    #[inline]
    pub(super) fn take_stamp(&mut self) -> Option<Nanos> {
        self.stamps.as_mut()?.take()
    }

    /// Takes over what the poller has seen.
    pub(super) fn mark(&mut self, token: usize, poller: &mut Poller) {
        let seen = poller.take(token);
        self.ready.is_readable |= seen.is_readable;
        self.ready.is_writable |= seen.is_writable;
        self.ready.is_read_closed |= seen.is_read_closed;
    }

    /// Whether the connection stands; an error when it was refused.
    #[cold]
    pub(super) fn is_connected(&mut self) -> io::Result<bool> {
        if !self.ready.is_writable {
            return Ok(false);
        }
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                self.ready.is_writable = false;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads once, when there may be something. `None` when it would block, zero at the end.
    ///
    /// A read that did not fill `out` has emptied the socket: what comes later raises a new edge,
    /// so the second read that would only say "would block" is left out. An end of stream seen
    /// with the last edge raises none: then reading goes on.
    #[inline]
    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.ready.is_readable {
            return Ok(None);
        }
        loop {
            let read = match self.stamps.as_mut().and_then(Stamps::when_due) {
                Some(stamps) => stamps.read(&self.stream, out),
                None => self.stream.read(out),
            };
            self.calls.reads += u64::from(read.is_ok());
            self.calls.reads_empty += u64::from(read.is_err());
            match read {
                Ok(count) => {
                    self.ready.is_readable = count == out.len() || self.ready.is_read_closed;
                    self.owes_word = true;
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready.is_readable = false;
                    return Ok(None);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Acknowledges what was read, where that was left for later, and asks for it to be left for
    /// later again. Else the kernel does it inside of a read, every now and then, and the message
    /// that was read waits for it: 2.4 us on loopback, where a read takes 0.6. Best effort; other
    /// systems than Linux keep their own way.
    #[inline]
    pub(super) fn acknowledge(&mut self) {
        if !std::mem::take(&mut self.owes_word) {
            return;
        }
        #[cfg(target_os = "linux")]
        {
            let options = SockRef::from(&self.stream);
            let _ = options.set_tcp_quickack(true);
            let _ = options.set_tcp_quickack(false);
        }
    }

    /// Writes once, when there may be room. `None` when it would block.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        if !self.ready.is_writable {
            return Ok(None);
        }
        loop {
            self.calls.writes += 1;
            match self.stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready.is_writable = false;
                    return Ok(None);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells the peer that nothing more comes. Best effort.
    #[cold]
    pub(super) fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Polls until the condition holds; ten seconds at most, in waits for events.
    fn wait(poller: &mut Poller, socket: &mut Socket, done: impl Fn(&mut Socket) -> bool) {
        for _ in 0..1000 {
            if done(socket) {
                return;
            }
            poller.poll(Some(Duration::from_millis(10))).unwrap();
            socket.mark(3, poller);
        }
        panic!("nothing happened");
    }

    #[test]
    fn reads_and_writes_without_blocking() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut poller = Poller::new().unwrap();
        let mut socket = Socket::dial(listener.local_addr().unwrap(), 3, &mut poller).unwrap();
        wait(&mut poller, &mut socket, |it| it.is_connected().unwrap());
        let (mut peer, _) = listener.accept().unwrap();
        let mut out = [0; 8];
        assert_eq!(socket.read(&mut out).unwrap(), None);
        assert_eq!(socket.write(b"hello").unwrap(), Some(5));
        peer.read_exact(&mut out[..5]).unwrap();
        assert_eq!(&out[..5], b"hello");

        peer.write_all(b"0123456789").unwrap();
        wait(&mut poller, &mut socket, |it| it.ready.is_readable);
        assert_eq!(socket.read(&mut out).unwrap(), Some(8));
        assert_eq!(socket.read(&mut out).unwrap(), Some(2));
        assert!(!socket.ready.is_readable);
        assert!(socket.owes_word);
        socket.acknowledge();
        assert!(!socket.owes_word, "once for all that was read");
        #[cfg(target_os = "linux")]
        assert!(!SockRef::from(&socket.stream).tcp_quickack().unwrap());
        drop(peer);
        wait(&mut poller, &mut socket, |it| it.ready.is_readable);
        assert_eq!(socket.read(&mut out).unwrap(), Some(0));
    }

    /// What was sent and never acknowledged ends the connection; so does silence on both sides.
    #[test]
    #[cfg(target_os = "linux")]
    fn row_11_the_kernel_gives_up_on_a_half_open_path() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut poller = Poller::new().unwrap();
        let socket = Socket::dial(listener.local_addr().unwrap(), 3, &mut poller).unwrap();
        let options = SockRef::from(&socket.stream);
        assert_eq!(options.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        assert!(options.keepalive().unwrap());
        assert_eq!(options.tcp_keepalive_time().unwrap(), PROBE_EVERY);
        assert_eq!(options.tcp_keepalive_interval().unwrap(), PROBE_EVERY);
        assert!(options.tcp_nodelay().unwrap());
    }

    #[test]
    fn a_last_word_and_the_end_in_one_edge() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut poller = Poller::new().unwrap();
        let mut socket = Socket::dial(listener.local_addr().unwrap(), 3, &mut poller).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"bye").unwrap();
        drop(peer);
        wait(&mut poller, &mut socket, |it| it.ready.is_read_closed);
        let mut out = [0; 8];
        assert_eq!(socket.read(&mut out).unwrap(), Some(3));
        assert_eq!(socket.read(&mut out).unwrap(), Some(0));
    }

    #[test]
    fn a_refused_dial_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut poller = Poller::new().unwrap();
        // Some systems refuse at once, others with an event.
        if let Ok(mut socket) = Socket::dial(address, 3, &mut poller) {
            wait(&mut poller, &mut socket, |it| it.is_connected().is_err());
        }
    }
}
