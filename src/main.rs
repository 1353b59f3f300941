//! The command line; it comes with the stages.

fn main() {}
