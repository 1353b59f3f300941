//! The official vectors of both venues: hashes and signatures equal, wrong fields refused.

mod extended;
mod lighter;
mod onboarding;
