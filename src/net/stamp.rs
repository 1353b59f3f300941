//! When the kernel took in what a read brings: the wait before the read, which no clock of ours
//! sees.
//!
//! TCP gives the stamp of the last segment of a read as a control message (SO_TIMESTAMPNS, Linux
//! 4.13 and later). That takes another system call than a plain read and about 200 ns more, so it
//! is asked of one read in [`EVERY`]; the option itself costs every read about 100 ns on a virtual
//! machine. Promises: the same bytes as a plain read; a socket without stamps is read plainly. The
//! stamp is wall time, for `stage/clock.rs` to put on our line.
//!
//! Source: socket(7) and the kernel's Documentation/networking/timestamping.rst.

use crate::market::units::Nanos;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};

/// Reads of which one is stamped; a power of two. Larger: fewer samples. Smaller: more ticks wait
/// for their stamp.
const EVERY: u32 = 16;

/// Stamps of one socket.
pub(super) struct Stamps {
    /// Where the kernel writes the control message.
    space: Vec<u8>,
    reads: u32,
    last: Option<Nanos>,
}

impl Stamps {
    /// Asks the kernel for them; `None` where it has none.
    #[cold]
    pub(super) fn ask(socket: &impl AsFd) -> Option<Stamps> {
        setsockopt(socket, sockopt::ReceiveTimestampns, &true).ok()?;
        Some(Stamps {
            space: nix::cmsg_space!(TimeSpec),
            reads: 0,
            last: None,
        })
    }

    /// Itself when the next read is one of those.
    #[inline]
    pub(super) fn when_due(&mut self) -> Option<&mut Stamps> {
        self.reads = self.reads.wrapping_add(1);
        self.reads.is_multiple_of(EVERY).then_some(self)
    }

    /// Reads, and keeps the stamp.
    #[inline(never)]
    pub(super) fn read(&mut self, socket: &impl AsRawFd, out: &mut [u8]) -> io::Result<usize> {
        let mut parts = [IoSliceMut::new(out)];
        let (space, flags) = (&mut self.space, MsgFlags::empty());
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(space), flags)?;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmTimestampns(stamp) = control {
                let (seconds, ns) = (stamp.tv_sec() as u64, stamp.tv_nsec() as u64);
                self.last = Some(Nanos(seconds * 1_000_000_000 + ns));
            }
        }
        Ok(message.bytes)
    }

    /// The stamp of the last stamped read, once.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Nanos> {
        self.last.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    fn wall() -> Nanos {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Nanos(now.as_nanos() as u64)
    }

    #[test]
    fn a_read_says_when_its_bytes_came() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let mut stamps = Stamps::ask(&socket).unwrap();
        let mut out = [0; 16];
        let mut stamped = 0;
        // The kernel begins to stamp a moment after the first socket of the machine asks for it.
        for _ in 0..200 {
            let before = wall();
            peer.write_all(b"word").unwrap();
            let after = wall();
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(stamps.read(&socket, &mut out).unwrap(), 4);
            assert_eq!(&out[..4], b"word");
            let Some(stamp) = stamps.take() else { continue };
            // The kernel's clock is the wall's, to a rounding.
            assert!(before.0 <= stamp.0 + 1_000_000 && stamp.0 <= after.0 + 1_000_000);
            assert!(wall().since(stamp) >= 4_000_000);
            assert_eq!(stamps.take(), None);
            stamped += 1;
            if stamped == 3 {
                break;
            }
        }
        assert_eq!(stamped, 3);
        drop(peer);
        assert_eq!(stamps.read(&socket, &mut out).unwrap(), 0);
        let due = (0..160).filter(|_| stamps.when_due().is_some()).count();
        assert_eq!(due, 10);
    }
}
