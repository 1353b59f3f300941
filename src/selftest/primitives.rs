//! Lighter's vector files below the transaction: field, curve, scalars, Poseidon2, Schnorr.

use super::Verdict;
use super::case::{Case, equal};
use super::signing::Bench;
use crate::venue::lighter::sign::curve::{Point, multiply_generator};
use crate::venue::lighter::sign::field::{Fp, Fp5};
use crate::venue::lighter::sign::poseidon2::{hash, hash_to_element, permute};
use crate::venue::lighter::sign::scalar::Scalar;
use crate::venue::lighter::sign::{Message, PrivateKey, verify};

fn unknown(op: &str) -> Verdict {
    Err(format!("`op` {op} is unknown"))
}

/// Permutation and sponge.
pub fn poseidon2(case: &Case<'_>, _: &mut Bench) -> Verdict {
    match case.text("op")? {
        "permute" => {
            let state: Result<[Fp; 12], _> = elements(*case, "in")?.try_into();
            let mut state = state.map_err(|_| "`in` is not 12 elements")?;
            permute(&mut state);
            equal("out", state.to_vec(), elements(*case, "out")?)
        }
        "hash4" => {
            let digest = hash::<4>(&elements(*case, "in")?);
            equal("out", digest.to_vec(), elements(*case, "out")?)
        }
        "hash5" => {
            let digest = hash_to_element(&elements(*case, "in")?);
            equal("out", digest.0.to_vec(), elements(*case, "out")?)?;
            equal("out_bytes", digest.to_bytes(), case.bytes("out_bytes")?)
        }
        "two_to_one" => {
            let both = [elements(*case, "left")?, elements(*case, "right")?].concat();
            equal("out", hash::<4>(&both).to_vec(), elements(*case, "out")?)
        }
        "hash_n" => {
            let official = elements(*case, "out")?;
            equal("n_out", official.len() as u64, case.number("n_out")?)?;
            let mut ours = squeeze(&elements(*case, "in")?, official.len());
            ours.truncate(official.len());
            equal("out", ours, official)
        }
        op => unknown(op),
    }
}

/// Any number of outputs: eight a permutation. Transactions need at most eight, so the sponge of
/// the signer stops there; this one goes on over the same permutation.
fn squeeze(inputs: &[Fp], len: usize) -> Vec<Fp> {
    let mut state = [Fp::ZERO; 12];
    for chunk in inputs.chunks(8) {
        state[..chunk.len()].copy_from_slice(chunk);
        permute(&mut state);
    }
    let mut out = state[..8].to_vec();
    while out.len() < len {
        permute(&mut state);
        out.extend_from_slice(&state[..8]);
    }
    out
}

fn elements(case: Case<'_>, name: &str) -> Result<Vec<Fp>, String> {
    Ok(case.decimals(name)?.into_iter().map(Fp::new).collect())
}

/// Field, extension, group and scalars.
pub fn curve(case: &Case<'_>, _: &mut Bench) -> Verdict {
    match case.text("op")? {
        "fp" => base_field(*case),
        "fp5" => extension(*case),
        "fp5_sqrt" => {
            is_root_of(*case, "square", "roots")?;
            is_root_of(*case, "other", "other_roots")
        }
        "decode" => decoding(*case),
        "group" => {
            let (p, q) = (point(*case, "p")?, point(*case, "q")?);
            let encoded = |p: Point| p.encode().to_bytes();
            equal("sum", encoded(p + q), case.bytes("sum")?)?;
            equal("double_p", encoded(p.double()), case.bytes("double_p")?)?;
            equal("neg_p", (-p.encode()).to_bytes(), case.bytes("neg_p")?)
        }
        "mul" => {
            let product = point(*case, "p")?.multiply(scalar(*case, "k")?);
            equal("w", product.encode().to_bytes(), case.bytes("w")?)
        }
        "mul_g" => {
            let product = multiply_generator(scalar(*case, "k")?);
            equal("w", product.encode().to_bytes(), case.bytes("w")?)
        }
        "scalar" => {
            let (a, b) = (scalar(*case, "a")?, scalar(*case, "b")?);
            equal("add", (a + b).to_bytes(), case.bytes("add")?)?;
            equal("sub", (a - b).to_bytes(), case.bytes("sub")?)?;
            equal("mul", (a * b).to_bytes(), case.bytes("mul")?)?;
            let reduced = scalar(*case, "raw320")?.to_bytes();
            equal("raw320_mod_n", reduced, case.bytes("raw320_mod_n")?)
        }
        op => unknown(op),
    }
}

fn base_field(case: Case<'_>) -> Verdict {
    let number = |name| Ok::<Fp, String>(Fp::new(case.decimal(name)?));
    let (a, b) = (number("a")?, number("b")?);
    equal("add", a + b, number("add")?)?;
    equal("sub", a - b, number("sub")?)?;
    equal("mul", a * b, number("mul")?)?;
    equal("neg_a", -a, number("neg_a")?)?;
    equal("inv_a", a.invert(), number("inv_a")?)?;
    equal("a_is_square", a.is_square(), case.flag("a_is_square")?)
}

fn extension(case: Case<'_>) -> Verdict {
    let (a, b) = (element(case, "a")?, element(case, "b")?);
    equal("add", a + b, element(case, "add")?)?;
    equal("sub", a - b, element(case, "sub")?)?;
    equal("mul", a * b, element(case, "mul")?)?;
    equal("sqr_a", a.square(), element(case, "sqr_a")?)?;
    equal("inv_a", a.invert(), element(case, "inv_a")?)?;
    equal("frob_a", a.frobenius(), element(case, "frob_a")?)?;
    equal("frob2_a", a.frobenius_twice(), element(case, "frob2_a")?)?;
    equal("norm_a", a.norm(), Fp::new(case.decimal("norm_a")?))?;
    let legendre = match (a == Fp5::ZERO, a.is_square()) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => -1,
    };
    equal("legendre_a", legendre, case.signed("legendre_a")?)
}

/// Our root is one of those listed; none where none is.
fn is_root_of(case: Case<'_>, square: &str, roots: &str) -> Verdict {
    let root = element(case, square)?.sqrt().map(Fp5::to_bytes);
    let Some(list) = case.value()[roots].as_array() else {
        return equal(roots, root, None);
    };
    let root = root.ok_or_else(|| format!("`{square}` has a root and we find none"))?;
    let listed = list
        .iter()
        .filter_map(|one| super::case::bytes(one.as_str()?));
    match listed.into_iter().any(|one: [u8; 40]| one == root) {
        true => Ok(()),
        false => Err(format!("our root of `{square}` is not among `{roots}`")),
    }
}

fn decoding(case: Case<'_>) -> Verdict {
    let decoded = Point::decode(element(case, "w")?);
    equal("ok", decoded.is_some(), case.flag("ok")?)?;
    let Some(point) = decoded else {
        return Ok(());
    };
    equal("neutral", point.is_neutral(), case.flag("neutral")?)?;
    equal("encoded", point.encode().to_bytes(), case.bytes("encoded")?)?;
    if point.is_neutral() {
        return Ok(());
    }
    equal("x", point.affine_x().to_bytes(), case.bytes("x")?)
}

fn element(case: Case<'_>, name: &str) -> Result<Fp5, String> {
    let element = Fp5::from_bytes(&case.bytes(name)?);
    element.ok_or_else(|| format!("`{name}` has a limb of p or more"))
}

fn point(case: Case<'_>, name: &str) -> Result<Point, String> {
    let point = Point::decode(element(case, name)?);
    point.ok_or_else(|| format!("`{name}` is not on the curve"))
}

fn scalar(case: Case<'_>, name: &str) -> Result<Scalar, String> {
    Ok(Scalar::from_bytes(&case.bytes(name)?))
}

/// Signatures with a given nonce, signatures to be refused, and keys.
pub fn schnorr(case: &Case<'_>, bench: &mut Bench) -> Verdict {
    match case.text("op")? {
        "sign_with_nonce" => {
            let key = private_key(*case)?;
            equal("public_key", key.public_key(), case.bytes("public_key")?)?;
            let message = Message::from_bytes(&case.bytes("message_hash")?);
            let message = message.ok_or("`message_hash` has a limb of p or more")?;
            let nonce = scalar(*case, "k")?;
            let r = multiply_generator(nonce).encode().to_bytes();
            equal("r", r, case.bytes("r")?)?;
            let signature = key.sign_with_nonce(message, nonce);
            let signature = signature.map_err(|_| "`k` is zero")?;
            equal("signature", signature, case.bytes("signature")?)?;
            equal("e", &signature[40..], case.bytes::<40>("e")?.as_slice())?;
            let valid = verify(&key.public_key(), message, &signature);
            bench.lighter(&key, message);
            equal("valid", valid, case.flag("valid")?)
        }
        "verify" => {
            let message = Message::from_bytes(&case.bytes("message_hash")?);
            let (public, signature) = (case.bytes("public_key")?, case.bytes("signature")?);
            let valid = message.is_some_and(|message| verify(&public, message, &signature));
            equal("valid", valid, case.flag("valid")?)
        }
        "keygen_official" => {
            let public = private_key(*case)?.public_key();
            equal("public_key", public, case.bytes("public_key")?)
        }
        op => unknown(op),
    }
}

/// The case's API key.
pub fn private_key(case: Case<'_>) -> Result<PrivateKey, String> {
    let key = PrivateKey::parse_hex(case.text("private_key")?);
    key.map_err(|why| format!("`private_key`: {why:?}"))
}
