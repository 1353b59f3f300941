//! A connection that can be made to end in the middle of a message: a fuse at its byte stream.
//!
//! The WebSocket layer only sends whole messages, so the end is put below it: after a set number
//! of further bytes every write fails, and whoever holds the stream lets go of it. No close frame
//! and no TLS farewell is sent then. Promises: a fuse that is not set costs one load a write.

use crate::sim::server::rt::{AsyncRead, AsyncWrite, ReadBuf};
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Not set: as many bytes as there are.
const WHOLE: u64 = u64::MAX;

/// The hand on the fuse; clones hold the same one.
#[derive(Clone, Debug)]
pub struct Fuse(Arc<AtomicU64>);

impl Default for Fuse {
    fn default() -> Fuse {
        Fuse(Arc::new(AtomicU64::new(WHOLE)))
    }
}

impl Fuse {
    /// Lets `bytes` more out, then none.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Release);
    }

    /// How many bytes may still go out.
    pub(super) fn left(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// So many went out. Only the stream itself takes from the count.
    fn spend(&self, bytes: u64) {
        let left = self.left();
        if left != WHOLE {
            self.set(left.saturating_sub(bytes));
        }
    }
}

/// A byte stream with a fuse.
pub struct Fused<S> {
    stream: S,
    fuse: Fuse,
}

impl<S> Fused<S> {
    /// Puts a fuse of its own on a stream.
    pub fn new(stream: S) -> Fused<S> {
        let fuse = Fuse::default();
        Fused { stream, fuse }
    }

    /// The fuse.
    pub fn fuse(&self) -> Fuse {
        self.fuse.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Fused<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Fused<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let Fused { stream, fuse } = self.get_mut();
        let allowed = usize::try_from(fuse.left()).unwrap_or(usize::MAX);
        if allowed == 0 {
            return Poll::Ready(Err(Error::from(ErrorKind::ConnectionAborted)));
        }
        let part = &bytes[..bytes.len().min(allowed)];
        let written = Pin::new(stream).poll_write(context, part);
        if let Poll::Ready(Ok(count)) = &written {
            fuse.spend(*count as u64);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    /// A blown fuse says nothing in farewell.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Fused { stream, fuse } = self.get_mut();
        if fuse.left() != WHOLE {
            return Poll::Ready(Ok(()));
        }
        Pin::new(stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// Takes at most eight bytes a write.
    #[derive(Default)]
    struct Sink(Vec<u8>, bool);

    impl AsyncWrite for Sink {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<Result<usize>> {
            let part = &bytes[..bytes.len().min(8)];
            self.get_mut().0.extend_from_slice(part);
            Poll::Ready(Ok(part.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            self.get_mut().1 = true;
            Poll::Ready(Ok(()))
        }
    }

    fn write(fused: &mut Fused<Sink>, bytes: &[u8]) -> Option<usize> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(fused).poll_write(&mut context, bytes) {
            Poll::Ready(written) => written.ok(),
            Poll::Pending => panic!("the sink never waits"),
        }
    }

    #[test]
    fn a_set_fuse_lets_out_exactly_its_bytes_and_no_farewell() {
        let mut fused = Fused::new(Sink::default());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(write(&mut fused, b"0123456789"), Some(8));
        fused.fuse().set(11);
        assert_eq!(write(&mut fused, b"abcdefghij"), Some(8));
        assert_eq!(write(&mut fused, b"klmnop"), Some(3));
        assert_eq!(write(&mut fused, b"q"), None);
        assert_eq!(fused.stream.0, b"01234567abcdefghklm");
        let _ = Pin::new(&mut fused).poll_shutdown(&mut context);
        assert!(!fused.stream.1);
        let mut whole = Fused::new(Sink::default());
        let _ = Pin::new(&mut whole).poll_shutdown(&mut context);
        assert!(whole.stream.1);
    }
}
