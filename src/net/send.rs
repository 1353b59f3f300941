//! What a connection sends: messages, requests, pongs and goodbyes.
//!
//! A message is put together in one buffer, sealed into the next and written at once; what the
//! socket does not take waits there, in order, for the next turn. Promises: all or nothing of a
//! message is accepted, no allocation of ours. Refuses a message when the buffer is full: a venue
//! that does not read must not be sent orders that arrive seconds late.

use super::connection::{Connection, Framing};
use super::dial::{DownReason, State};
use super::ws::{self, Opcode};
use crate::market::units::Nanos;
use std::ops::Range;

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The connection is not live.
    NotLive,
    /// HTTP: the response to the last request has not come.
    Busy,
    /// The send buffer is full of what the peer has not taken.
    Full,
    /// Longer than the send buffer, ever.
    TooLarge,
    /// Messages go to WebSocket connections, requests to HTTP ones.
    WrongProtocol,
}

impl Connection {
    /// Sends one WebSocket text message. `Ok`: it is in the send buffer or further; should the
    /// connection break, `Down` follows.
    #[inline]
    pub fn send_text(&mut self, payload: &[u8], now: Nanos) -> Result<(), SendError> {
        if matches!(self.framing, Framing::Http { .. }) {
            return Err(SendError::WrongProtocol);
        }
        self.send_frame(Opcode::Text, payload, now)?;
        self.counters.messages_out += 1;
        Ok(())
    }

    /// Sends one whole HTTP request; its response comes by [`Connection::next`]. `Ok` means as in
    /// [`Connection::send_text`].
    #[inline]
    pub fn send_raw(&mut self, request: &[u8], now: Nanos) -> Result<(), SendError> {
        let Framing::Http { .. } = self.framing else {
            return Err(SendError::WrongProtocol);
        };
        if !self.is_live() {
            return Err(SendError::NotLive);
        }
        if !self.is_idle() {
            return Err(SendError::Busy);
        }
        self.buffers.scratch.clear();
        if !self.buffers.scratch.append(request) {
            return Err(SendError::TooLarge);
        }
        self.send_scratch(now)?;
        if let Framing::Http { asked_at, .. } = &mut self.framing {
            *asked_at = Some(now);
        }
        self.counters.messages_out += 1;
        Ok(())
    }

    #[inline]
    pub(super) fn send_frame(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        now: Nanos,
    ) -> Result<(), SendError> {
        if !self.is_live() {
            return Err(SendError::NotLive);
        }
        let mask = (self.masks.next() as u32).to_be_bytes();
        let scratch = &mut self.buffers.scratch;
        scratch.clear();
        let len = ws::write_frame(opcode, payload, mask, scratch.room_mut());
        scratch.commit(len.ok_or(SendError::TooLarge)?);
        self.send_scratch(now)
    }

    /// Seals and writes what was put together. A fault of the connection here is not the sender's:
    /// the bytes count as accepted, and the owner is told that the connection went down.
    #[inline]
    fn send_scratch(&mut self, now: Nanos) -> Result<(), SendError> {
        let State::Live { pipe, .. } = &mut self.state else {
            return Err(SendError::NotLive);
        };
        match pipe.put(&mut self.buffers) {
            Ok(true) => {}
            Ok(false) => return Err(SendError::Full),
            Err(reason) => {
                self.fall(reason, now);
                return Ok(());
            }
        }
        if let Err(reason) = self.flush(now) {
            self.fall(reason, now);
        }
        Ok(())
    }

    /// Writes what waits, and remembers since when the peer takes nothing.
    #[inline]
    pub(super) fn flush(&mut self, now: Nanos) -> Result<(), DownReason> {
        let State::Live { pipe, .. } = &mut self.state else {
            return Ok(());
        };
        let waiting_before = self.buffers.outbox.len();
        pipe.flush(&mut self.buffers)?;
        if self.buffers.outbox.is_empty() {
            self.stalled_at = None;
        } else if self.stalled_at.is_none() || self.buffers.outbox.len() < waiting_before {
            self.stalled_at = Some(now);
        }
        Ok(())
    }

    /// Answers a ping. When the send buffer is full the peer is not reading, and no pong helps.
    #[cold]
    pub(super) fn pong(&mut self, payload: Range<usize>, now: Nanos) -> Result<(), DownReason> {
        self.counters.pings_in += 1;
        let mut bytes = [0; 125];
        let len = payload.len().min(bytes.len());
        bytes[..len].copy_from_slice(self.buffers.inbox.slice_mut(payload));
        if self.send_frame(Opcode::Pong, &bytes[..len], now) == Err(SendError::Full) {
            self.counters.pongs_lost += 1;
        }
        Ok(())
    }

    /// A close frame, then the ends of TLS and TCP, all best effort: the state does not change.
    #[cold]
    pub(super) fn say_goodbye(&mut self) {
        let State::Live { pipe, .. } = &mut self.state else {
            return;
        };
        if let Framing::WebSocket(_) = self.framing {
            let code = ws::CLOSE_CODE_NORMAL.to_be_bytes();
            let scratch = &mut self.buffers.scratch;
            scratch.clear();
            // The mask keeps the form; a code needs no hiding.
            let len = ws::write_frame(Opcode::Close, &code, [0; 4], scratch.room_mut());
            scratch.commit(len.unwrap_or(0));
            let _ = pipe.put(&mut self.buffers);
        }
        pipe.end(&mut self.buffers);
    }
}
