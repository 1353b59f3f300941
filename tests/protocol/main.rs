//! Recorded payloads decode to the expected values; our requests equal recorded ones.

#[path = "../rig/driven.rs"]
mod driven;
mod extended;
mod lighter;
mod lighter_feed;
mod lighter_legs;
mod lighter_nonces;
