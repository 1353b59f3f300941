//! Arbitrary, cut, bent and spliced messages into every decoder: an error or a value, never a
//! panic, never unbounded work; and the byte scanner agrees with the parser on all of them.
//!
//! Always on and seeded: a failure names its case and comes again. `PARALLAX_HOSTILE_CASES` raises
//! the number of cases (default 3,000 for each decoder).

mod accounts;
mod books;
#[path = "../rig/driven.rs"]
mod driven;
mod mutate;
