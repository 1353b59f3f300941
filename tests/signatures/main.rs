//! The official vectors of both venues: hashes and signatures equal, wrong fields refused; and
//! our own signatures before judges that share no code with us.

mod extended;
mod lighter;
mod lighter_builder;
mod lighter_hash;
mod naive;
#[path = "../rig/naive_lighter.rs"]
mod naive_lighter;
#[path = "../rig/naive_stark.rs"]
mod naive_stark;
mod points;
