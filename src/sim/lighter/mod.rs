//! The simulated Lighter on the wire: REST and stream over a floor, strict where the venue is.
//!
//! Promises: signatures, nonces, ranges, spellings, limits and answers as documented or captured;
//! the official Python library works against it unmodified. Judged by official vectors through
//! crates the client side does not use. Refuses: conditional and grouped orders, order changes,
//! isolated margin, transfers but to the pool that pays
//! fast withdrawals (all with the venue's own codes).
//!
//! Sources: REST and WebSocket reference and constants page (apidocs.lighter.xyz, 2026-09);
//! `lighter-sdk` 1.1.8 (models, native signer); official Go signer library (hash lists, widths);
//! frames captured by third parties on mainnet and testnet, 2026-03 to 2026-08.

mod account;
mod board;
mod change;
mod channel;
mod check;
mod codes;
mod desk;
mod form;
mod frames;
mod keys;
mod ledger;
mod markets;
mod models;
mod money;
pub(in crate::sim) mod numbers;
mod reads;
mod rest;
mod shelves;
mod sign;
mod stream;
mod submit;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_faults;
#[cfg(test)]
mod tests_stream;
mod trades;
mod transaction;

pub use desk::Options;
pub use keys::{ApiKey, Credentials, credentials};

use crate::sim::server::{self, Floor, web};
use std::sync::Arc;

/// The venue's routes: `/`, `/info`, `/api/v1/*`, `/stream`. Takes the floor's press, so one router
/// a floor; requests are logged where the floor has a log.
pub fn router(floor: Arc<Floor>, credentials: Credentials, options: Options) -> web::Router {
    let desk = desk::Desk::new(Arc::clone(&floor), credentials, options);
    let routes = rest::routes(Arc::clone(&desk)).merge(stream::routes(desk));
    server::logged(routes, floor)
}
