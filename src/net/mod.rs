//! Sockets and bytes; knows no venue.
//!
//! A stage owns its [`Lanes`]: a [`Connection`] each and one [`Poller`]. Each turn it polls, then
//! pulls [`Incoming`] from every lane until `None`; at the beat the lanes dial, keep alive and give
//! up. Promises: nothing here blocks, sleeps or reads a clock, buffers are taken once, and any
//! bytes from a peer end in a value or in `Down`. Refuses: plain text to anything but a loopback
//! address, compression, sub-protocols, requests in a pipeline.

mod backoff;
mod buffer;
pub mod connection;
mod dial;
mod dials;
pub mod endpoint;
pub mod http;
mod lane_set;
mod lanes;
mod pipe;
mod send;
mod socket;
mod stamp;
pub mod tls;
pub mod ws;

pub use connection::{Connection, ConnectionCounters, Incoming};
pub use dial::{ConnectionLimits, DownReason, Phase};
pub use endpoint::{Endpoint, EndpointError, Protocol};
pub use lanes::Lanes;
pub use send::SendError;
pub use socket::{Poller, SystemCalls};
pub use tls::TlsClient;
