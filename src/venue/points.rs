//! Nonce points: the half of a signature that does not depend on the message, made beforehand.
//!
//! Both venues' signatures are some `s = f(hash, key, k)` beside a point `k * G`. The point is most
//! of the work and needs no message, so a cold thread makes points in batches and a link carries
//! them to the gateway, where a signature is then a hash and a few products.
//!
//! Promises: a point serves one signature. It can't be copied, is consumed by the signing, and
//! moving it on wipes the place it came from; what is left of it on a stack on the way can't be
//! wiped in safe Rust. It is never written down, and dies with the process.
//! Refuses: signing with a point that was moved out of its place.

/// A prepared nonce. Whoever sees its secret half sees the key; so no `Clone`, no `Copy`, and a
/// `Debug` that shows nothing.
pub trait Point: Send + Sized + 'static {
    /// Takes the value out and wipes the place it was in; what stays there signs nothing.
    fn move_out(&mut self) -> Self;
}

/// Makes nonce points, with its own copy of the key, wiped when it goes.
pub trait Maker: Send + 'static {
    /// What it makes.
    type Point: Point;
    /// Points of one batch. A batch shares its inversions and one question for randomness.
    const BATCH: usize;

    /// Makes a batch and shows each point to `put`, which moves it out. Nothing is made when the
    /// system gives no randomness.
    fn prepare(&mut self, put: impl FnMut(&mut Self::Point)) -> Result<(), NoPoints>;
}

/// The system gave no randomness: no points for now, signatures are made in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPoints;
