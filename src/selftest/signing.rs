//! Signs what the vectors brought, by both ways of a run, and verifies the result.
//!
//! The pooled way is the run's own: a maker, the signer stage, a link, the gateway's end, a point
//! consumed. The fallback is full signing. Extended's signatures are verified by the judge of the
//! official vectors (starknet-crypto), Lighter's by the verifier that the official signatures went
//! through; `tests/` has a second, naive judge for both.

use super::Verdict;
use crate::market::Venue;
use crate::market::units::Nanos;
use crate::signer::{Ahead, Signer};
use crate::stage::Stage;
use crate::stage::link::link;
use crate::topology::POINTS_LEN;
use crate::venue::extended::sign as stark;
use crate::venue::lighter::sign as schnorr;
use crate::venue::points::Maker;

/// Where every message met is signed.
pub struct Bench {
    source: schnorr::NonceSource,
    verdicts: Vec<(&'static str, Verdict)>,
}

/// A signer with its link full, turned by hand: the pooled way.
struct Pool<M: Maker> {
    signer: Signer<M>,
    ahead: Ahead<M::Point>,
}

impl<M: Maker> Pool<M> {
    fn new(venue: Venue, maker: M) -> Pool<M> {
        let (points, points_rx) = link("points.selftest", POINTS_LEN);
        Pool {
            signer: Signer::new(venue, maker, points),
            ahead: Ahead::new(points_rx),
        }
    }

    /// The next point, made when the link is empty.
    fn take(&mut self) -> Result<M::Point, String> {
        if let Some(point) = self.ahead.take() {
            return Ok(point);
        }
        self.signer.turn(Nanos::ZERO);
        let none = || "the operating system gives no random numbers".to_owned();
        self.ahead.take().ok_or_else(none)
    }
}

impl Bench {
    /// Nothing signed yet.
    pub fn new() -> Bench {
        Bench {
            source: schnorr::NonceSource::new(),
            verdicts: Vec::new(),
        }
    }

    /// What became of every signature, by kind.
    pub fn finish(self) -> Vec<(&'static str, Verdict)> {
        self.verdicts
    }

    /// Signs an Extended message hash both ways.
    pub fn extended(&mut self, key: &stark::StarkKey, hash: stark::Felt) {
        let [pooled, full] = extended(key, hash);
        self.verdicts.push(("extended_sign_pooled", pooled));
        self.verdicts.push(("extended_sign_full", full));
    }

    /// Signs a Lighter message both ways.
    pub fn lighter(&mut self, key: &schnorr::PrivateKey, message: schnorr::Message) {
        let [pooled, full] = lighter(key, message, &mut self.source);
        self.verdicts.push(("lighter_sign_pooled", pooled));
        self.verdicts.push(("lighter_sign_full", full));
    }
}

/// Whether a Stark key signs well here, by both ways. For the start of a run: a signer that fails
/// must be found before an order is, not by its refusal.
pub fn prove_extended(key: &stark::StarkKey) -> Verdict {
    let [pooled, full] = extended(key, stark::Felt::ONE);
    pooled.and(full)
}

/// Whether an API key of Lighter signs well here, by both ways.
pub fn prove_lighter(key: &schnorr::PrivateKey) -> Verdict {
    let message = schnorr::Message::from_bytes(&[1; 40]).expect("its limbs are below p");
    let [pooled, full] = lighter(key, message, &mut schnorr::NonceSource::new());
    pooled.and(full)
}

/// With two points, which must differ, then in full.
fn extended(key: &stark::StarkKey, hash: stark::Felt) -> [Verdict; 2] {
    let judge = |signature: &_| judged(stark::verify(key.public_key(), hash, signature));
    let pooled = || {
        let mut pool = Pool::new(Venue::Extended, stark::PointMaker::new(key));
        let mut draw = || pool.take()?.sign(hash).map_err(|why| format!("{why:?}"));
        let (first, second) = (draw()?, draw()?);
        differ(first.r != second.r)?;
        judge(&first)?;
        judge(&second)
    };
    let full = key.sign(hash).map_err(|why| format!("{why:?}"));
    [pooled(), full.and_then(|signature| judge(&signature))]
}

/// The same for Lighter.
fn lighter(
    key: &schnorr::PrivateKey,
    message: schnorr::Message,
    source: &mut schnorr::NonceSource,
) -> [Verdict; 2] {
    let public = key.public_key();
    let judge = |signature: &_| judged(schnorr::verify(&public, message, signature));
    let pooled = || {
        let mut pool = Pool::new(Venue::Lighter, schnorr::PointMaker::new(key));
        let mut draw = || {
            let signature = key.sign_ahead(message, pool.take()?);
            signature.map_err(|why| format!("{why:?}"))
        };
        let (first, second) = (draw()?, draw()?);
        differ(first != second)?;
        judge(&first)?;
        judge(&second)
    };
    let full = key.sign(message, source).map_err(|why| format!("{why:?}"));
    [pooled(), full.and_then(|signature| judge(&signature))]
}

fn differ(are_different: bool) -> Verdict {
    match are_different {
        true => Ok(()),
        false => Err("two nonce points are equal".to_owned()),
    }
}

fn judged(is_valid: bool) -> Verdict {
    match is_valid {
        true => Ok(()),
        false => Err("our signature does not verify".to_owned()),
    }
}
