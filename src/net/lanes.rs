//! The connections of one stage and the poller that watches them: what feed and gateway share.
//!
//! Promises: one look at readiness per turn, never a wait; a lane that fails says so by `Down` and
//! comes up anew by itself. Refuses: opinions on what is said.

use crate::market::units::Nanos;
use crate::net::{Connection, Incoming, Poller};
use core::time::Duration;
use std::io;

/// All lanes of a stage, numbered from 0.
pub struct Lanes {
    connections: Vec<Connection>,
    poller: Poller,
}

impl Lanes {
    /// Takes the connections over; each was made with its own index as token.
    pub fn new(connections: Vec<Connection>) -> io::Result<Lanes> {
        let poller = Poller::new()?;
        Ok(Lanes {
            connections,
            poller,
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.connections.len()
    }

    /// One look at the sockets' readiness. A poller that fails finds nothing; the lanes' silence
    /// deadlines then say so.
    #[inline]
    pub fn poll(&mut self) {
        let _ = self.poller.poll(Some(Duration::ZERO));
        for connection in &mut self.connections {
            connection.mark_ready(&mut self.poller);
        }
    }

    /// What a lane has to say next.
    #[inline]
    pub fn next(&mut self, lane: usize, now: Nanos) -> Option<Incoming<'_>> {
        self.connections[lane].next(now)
    }

    /// Sends a WebSocket message. What can't leave means that the lane is going down: `Down` will
    /// say so, and whoever counts on an answer learns it there.
    #[inline]
    pub fn send_text(&mut self, lane: usize, payload: &[u8], now: Nanos) {
        let _ = self.connections[lane].send_text(payload, now);
    }

    /// Sends an HTTP request, head and body; else as [`Lanes::send_text`].
    #[inline]
    pub fn send_raw(&mut self, lane: usize, request: &[u8], now: Nanos) {
        let _ = self.connections[lane].send_raw(request, now);
    }

    /// Drops a lane's connection and dials again.
    #[cold]
    pub fn reconnect(&mut self, lane: usize, now: Nanos) {
        self.connections[lane].reconnect(now);
    }

    /// Dials, deadlines, keepalives.
    #[cold]
    pub fn beat(&mut self, now: Nanos) {
        for connection in &mut self.connections {
            connection.beat(&mut self.poller, now);
        }
    }

    /// Says goodbye on every lane, for good.
    #[cold]
    pub fn close(&mut self) {
        for connection in &mut self.connections {
            connection.close();
        }
    }
}
