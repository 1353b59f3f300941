//! Both exchanges, built in: the default counterpart of a run, and of every test over sockets.
//!
//! Promises: the venues are true to the wire and strict (signatures, nonces, grids, limits); what
//! they show is a real tape, what is planted on it is told. Refuses to listen anywhere but on
//! loopback, and to hold keys that could be real.

mod certificate;
pub mod decimal;
pub mod exchange;
pub mod extended;
pub mod faults;
pub mod flow;
pub mod ladder;
mod lag;
pub mod lighter;
pub mod plant;
mod playing;
pub mod random;
pub mod relay;
pub mod request_log;
pub mod script;
pub mod server;
pub mod start;
pub mod tape;
#[cfg(test)]
mod tests_streams;
pub mod wallet;

pub use start::{Description, Options, Sim, start};

use crate::sim::faults::spec::SpecError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the simulated venues did not start. Every one is the caller's to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimError {
    /// Another program listens there.
    PortTaken(SocketAddr),
    /// The address is not a loopback address; simulated venues are never put on a network.
    NotLoopback(SocketAddr),
    /// Listening failed for another reason.
    Listen(SocketAddr, String),
    /// Making the certificate failed.
    Certificate(String),
    /// The request log can't be opened.
    Log(PathBuf, String),
    /// The tape or plant can't be read.
    Tape(String),
    /// A fault is asked for at a market that is not listed.
    Faults(SpecError),
    /// A thread or runtime can't be started.
    Thread(String),
}

impl std::fmt::Display for SimError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SimError::PortTaken(address) => write!(
                f,
                "{address} is in use by another program: stop it, or pass another address \
                 (port 0 lets the system choose)"
            ),
            SimError::NotLoopback(address) => write!(
                f,
                "{address} is not a loopback address: simulated venues listen on 127.0.0.1 only"
            ),
            SimError::Listen(address, why) => write!(f, "can't listen on {address}: {why}"),
            SimError::Certificate(why) => write!(f, "can't make a certificate: {why}"),
            SimError::Log(path, why) => {
                write!(f, "can't write the request log {}: {why}", path.display())
            }
            SimError::Faults(error) => error.fmt(f),
            SimError::Tape(why) => write!(f, "can't play the tape: {why}"),
            SimError::Thread(why) => write!(f, "can't start a simulated venue: {why}"),
        }
    }
}

impl std::error::Error for SimError {}
