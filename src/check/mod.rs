//! `parallax check`: what must be right before money is at stake. Cold; changes nothing by itself.
//!
//! `venues` proves accounts, keys and terms; `host` grades this machine. Promises: every row says
//! what is, what is wanted, why, and the fix.

pub mod found;
pub mod host;
pub mod jitter;
mod kernel;
mod knobs;
pub mod venues;
