//! `parallax check`: what must be right before money is at stake. Cold; changes nothing.
//!
//! `host` grades this machine. Promises: every row says what is, what is wanted, why, and the fix.

pub mod host;
pub mod jitter;
mod kernel;
mod knobs;
