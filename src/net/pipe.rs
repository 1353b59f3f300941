//! A socket, its TLS session if any, and the four fixed buffers bytes pass through.
//!
//! In: socket -> cipher -> (decrypt) -> inbox; without TLS straight to the inbox. Out: scratch ->
//! (encrypt) -> outbox -> socket. Promises: one system call per step at most, bounded work per
//! call, nothing allocated here.

use super::buffer::Buffer;
use super::dial::DownReason;
use super::socket::Socket;
use super::tls::{Opened, RECORD_BYTES_MAX, Session};
use std::io;

/// Encrypted bytes taken from the socket at a time. Larger: fewer system calls per snapshot, more
/// cache used. Smaller than two records: a record is split over two reads more often.
pub(super) const CIPHER_BYTES: usize = 128 * 1024;

/// All memory of a connection, taken once.
pub(super) struct Buffers {
    /// As read from the socket, when there is TLS.
    pub(super) cipher: Buffer,
    /// Plain bytes of the peer.
    pub(super) inbox: Buffer,
    /// Where a frame or request is put together.
    pub(super) scratch: Buffer,
    /// As it will be written to the socket.
    pub(super) outbox: Buffer,
    /// Bytes read from sockets so far.
    pub(super) bytes_in: u64,
    /// Bytes written to sockets so far.
    pub(super) bytes_out: u64,
}

impl Buffers {
    /// Takes the memory: `recv_bytes` for plain bytes in; `send_bytes` for one message out, and
    /// twice that for what waits to be written.
    pub(super) fn new(recv_bytes: usize, send_bytes: usize) -> Buffers {
        Buffers {
            cipher: Buffer::new(CIPHER_BYTES),
            inbox: Buffer::new(recv_bytes),
            scratch: Buffer::new(send_bytes),
            outbox: Buffer::new(2 * send_bytes),
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Ready for a new connection.
    #[cold]
    pub(super) fn clear(&mut self) {
        self.cipher.clear();
        self.inbox.clear();
        self.scratch.clear();
        self.outbox.clear();
    }
}

/// What [`Pipe::pull`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulled {
    /// The inbox has more bytes.
    Moved,
    /// Nothing to be had now.
    Blocked,
    /// The peer will send no more.
    Ended {
        /// It said so itself, in a way that nobody between us could have made up.
        is_certain: bool,
    },
}

/// An open connection below the protocol.
pub(super) struct Pipe {
    /// The socket.
    pub(super) socket: Socket,
    /// TLS over it, unless the endpoint is plain.
    pub(super) session: Option<Session>,
}

impl Pipe {
    /// Brings more plain bytes into the inbox: one decrypted record, or one read.
    #[inline]
    pub(super) fn pull(&mut self, buffers: &mut Buffers) -> Result<Pulled, DownReason> {
        loop {
            if let Some(session) = &mut self.session
                && !buffers.cipher.is_empty()
            {
                let (cipher, inbox) = (&mut buffers.cipher, &mut buffers.inbox);
                let opened = session.open(cipher, inbox, &mut buffers.outbox);
                match opened.map_err(DownReason::Tls)? {
                    Opened::Moved => return Ok(Pulled::Moved),
                    Opened::Ended => return Ok(Pulled::Ended { is_certain: true }),
                    Opened::Starved { .. } => {}
                }
            }
            match self.fill(buffers)? {
                None => return Ok(Pulled::Blocked),
                Some(0) => {
                    let is_certain = self.session.is_none();
                    return Ok(Pulled::Ended { is_certain });
                }
                Some(_) if self.session.is_none() => return Ok(Pulled::Moved),
                Some(_) => {}
            }
        }
    }

    /// One read of the socket; `None` when it would block.
    #[inline]
    fn fill(&mut self, buffers: &mut Buffers) -> Result<Option<usize>, DownReason> {
        let target = match self.session {
            Some(_) => &mut buffers.cipher,
            None => &mut buffers.inbox,
        };
        if !target.make_room(RECORD_BYTES_MAX) {
            return Err(DownReason::Overflow);
        }
        let count = self.socket.read(target.room_mut()).map_err(down)?;
        if let Some(count) = count {
            target.commit(count);
            buffers.bytes_in += count as u64;
        }
        Ok(count)
    }

    /// Carries the TLS handshake on; whether it is done.
    #[cold]
    pub(super) fn shake(&mut self, buffers: &mut Buffers) -> Result<bool, DownReason> {
        loop {
            let Some(session) = &mut self.session else {
                return Ok(true);
            };
            let (cipher, inbox) = (&mut buffers.cipher, &mut buffers.inbox);
            let opened = session
                .open(cipher, inbox, &mut buffers.outbox)
                .map_err(DownReason::Tls)?;
            self.flush(buffers)?;
            match opened {
                Opened::Starved { is_secure: true } => return Ok(true),
                Opened::Ended => return Err(DownReason::Ended),
                Opened::Moved | Opened::Starved { is_secure: false } => {}
            }
            match self.fill(buffers)? {
                None => return Ok(false),
                Some(0) => return Err(DownReason::Cut),
                Some(_) => {}
            }
        }
    }

    /// Moves `scratch` to the outbox, sealed; `false` when there is no room. Empties `scratch`.
    #[inline]
    pub(super) fn put(&mut self, buffers: &mut Buffers) -> Result<bool, DownReason> {
        let plain = buffers.scratch.filled();
        let is_put = match &mut self.session {
            Some(session) => {
                let (cipher, inbox) = (&mut buffers.cipher, &mut buffers.inbox);
                session
                    .seal(plain, cipher, inbox, &mut buffers.outbox)
                    .map_err(DownReason::Tls)
            }
            None => Ok(buffers.outbox.append(plain)),
        };
        buffers.scratch.clear();
        is_put
    }

    /// Writes what waits, as far as the socket takes it: one system call, and another only after a
    /// partial write.
    #[inline]
    pub(super) fn flush(&mut self, buffers: &mut Buffers) -> Result<(), DownReason> {
        while !buffers.outbox.is_empty() {
            let written = self.socket.write(buffers.outbox.filled());
            let Some(count) = written.map_err(down)? else {
                return Ok(());
            };
            buffers.outbox.consume(count);
            buffers.bytes_out += count as u64;
        }
        Ok(())
    }

    /// Says goodbye below the protocol, best effort. What the peer still sent is read first: a
    /// socket closed over unread bytes is reset, and the reset may overtake our last words.
    #[cold]
    pub(super) fn end(&mut self, buffers: &mut Buffers) {
        const READS_MAX: usize = 16;
        if let Some(session) = &mut self.session {
            session.end(&mut buffers.cipher, &mut buffers.outbox);
        }
        let _ = self.flush(buffers);
        self.socket.end();
        for _ in 0..READS_MAX {
            buffers.cipher.clear();
            if !matches!(self.socket.read(buffers.cipher.room_mut()), Ok(Some(1..))) {
                return;
            }
        }
    }
}

#[cold]
pub(super) fn down(error: io::Error) -> DownReason {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => DownReason::Cut,
        kind => DownReason::Socket(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket::Poller;
    use super::*;
    use core::time::Duration;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn bytes_move_both_ways_until_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut poller = Poller::new().unwrap();
        let socket = Socket::dial(listener.local_addr().unwrap(), 0, &mut poller).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let (session, mut buffers) = (None, Buffers::new(1 << 16, 1 << 15));
        let mut pipe = Pipe { socket, session };
        let mut wait = |pipe: &mut Pipe| {
            poller.poll(Some(Duration::from_secs(10))).unwrap();
            pipe.socket.mark(0, &mut poller);
        };
        wait(&mut pipe);
        assert_eq!(pipe.pull(&mut buffers), Ok(Pulled::Blocked));
        assert!(buffers.scratch.append(b"hello"));
        assert_eq!(pipe.put(&mut buffers), Ok(true));
        assert_eq!(pipe.flush(&mut buffers), Ok(()));
        let mut read = [0; 5];
        peer.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"hello");

        peer.write_all(b"hello yourself").unwrap();
        wait(&mut pipe);
        assert_eq!(pipe.pull(&mut buffers), Ok(Pulled::Moved));
        assert_eq!(buffers.inbox.filled(), b"hello yourself");
        assert_eq!((buffers.bytes_in, buffers.bytes_out), (14, 5));
        drop(peer);
        wait(&mut pipe);
        let is_certain = true;
        assert_eq!(pipe.pull(&mut buffers), Ok(Pulled::Ended { is_certain }));
    }

    #[test]
    fn a_full_inbox_is_our_fault_and_a_reset_a_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut poller = Poller::new().unwrap();
        let socket = Socket::dial(listener.local_addr().unwrap(), 0, &mut poller).unwrap();
        let mut buffers = Buffers::new(RECORD_BYTES_MAX, RECORD_BYTES_MAX);
        let session = None;
        let mut pipe = Pipe { socket, session };
        assert!(buffers.inbox.append(b"x"));
        assert_eq!(pipe.pull(&mut buffers), Err(DownReason::Overflow));
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(down(reset), DownReason::Cut);
    }
}
