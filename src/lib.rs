//! parallax: trades price differences between the Extended and Lighter perpetual venues.
//!
//! The corridor, drawn once. Bytes come in on the left, orders leave on the right, nothing turns
//! back; fills return by the same road in the other lane.
//!
//! ```text
//!  socket -> net -> venue/*/wire -> venue/*/feed -> feed ==deltas==> scanner ==orders==> gateway
//!            tls    JSON, decimals  continuity      full book        mirror, edge,       sign,
//!            ws                     absolute sizes                   risk, hedge         encode
//!                                                                              -> net -> socket
//!
//!  socket -> net -> venue/*/orders -> gateway ==reports==> scanner (hedge, risk)
//!  every stage ==journal==> record (histograms, pairs, report)
//! ```
//!
//! Rooms: `market` (the words of trade), `stage` (pinned loops, links, clock), `net` (sockets and
//! bytes), `venue` (what each exchange says), `feed`, `scanner`, `gateway` (the stages), `signer`
//! (nonce points ahead), `record` (what happened), `hands` (an account by REST alone),
//! `flatten` (out of everything, by hand), `breaker` (what stopped entries, and its reset),
//! `treasury` (money, and what moved it), `keys`, `config`, `state` (files from one run to the
//! next), `topology` (the plant on one page), `session` (one run, from settings to the report),
//! `selftest` (official vectors), `sim` (both exchanges, built in), `demo` (a run against them),
//! `capture` (live streams into tapes), `check` (what must be right before money is at stake).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod breaker;
#[cfg(feature = "sim")]
pub mod capture;
pub mod check;
pub mod cli;
pub mod config;
#[cfg(feature = "sim")]
pub mod demo;
pub mod feed;
pub mod flatten;
pub mod gateway;
pub mod hands;
pub mod keys;
pub mod market;
pub mod net;
pub mod record;
pub mod release;
pub mod scanner;
pub mod selftest;
pub mod session;
pub mod signer;
#[cfg(feature = "sim")]
pub mod sim;
pub mod stage;
pub mod state;
pub mod topology;
pub mod treasury;
pub mod venue;
