//! Recorded payloads decode to the expected values; our requests equal recorded ones.

mod extended;
mod lighter;
