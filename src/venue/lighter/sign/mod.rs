//! Lighter's signatures: API keys, Schnorr over ECgFp5 with Poseidon2, transaction hashes, auth
//! tokens.
//!
//! Promises: same results as the official signer; no allocation after `PrivateKey::parse_hex`; no
//! secret prints, outlives its owner or steers a branch or an address.
//! Refuses: see `key` for keys, `nonces` for one-time numbers, `verify` for foreign values.
//!
//! Provenance. Papers: curve and formulas, T. Pornin, "EcGFp5" (eprint 2022/274); hash, "Poseidon2"
//! (eprint 2023/323). Reference, only read: `elliottech/poseidon_crypto`, the official Go library,
//! from which the constants come. Vectors: `tests/data/lighter/lighter_{poseidon2,curve,schnorr,tx,
//! auth_tokens}.json`, made by the official signer and by a third party, all of them matched.
//! Not looked at by anyone outside: no audit. See *crypto* in the venue's Sources.

pub mod attributes;
pub mod checks;
pub mod cold;
mod comb;
mod constants;
pub mod curve;
pub mod ethereum;
mod extension;
pub mod field;
mod fields;
pub mod group;
mod key;
pub mod kinds;
mod nonces;
pub mod order;
pub mod poseidon2;
pub mod scalar;
mod text;
pub mod token;
pub mod transaction;
mod verify;

use field::{Fp, Fp5};
pub use key::{KeyError, PrivateKey, SpentPoint};
pub use nonces::{BATCH, NoRandomness, NoncePoint, NonceSource, PointMaker};
use scalar::Scalar;
pub use verify::{PublicKeyError, SignatureError, check_public_key, check_signature, verify};

// The idea. Schnorr: the key is sk with Q = sk G public. A signature on m is made from a number k
// used this once: r = enc(k G); e = H(r, m); s = k - e sk; the signature is (s, e). A verifier has
// s G + e Q = k G, so it finds r and e again; who lacks sk can't have chosen s after e.
//
// Who learns k learns sk = (k - s) / e. Two signatures by one k give sk by subtraction, and a k
// known in part, in many signatures, does as well. All care here is about k.
//
// The tricks. r does not depend on m, so (k, r) can be prepared while nothing happens: what is left
// is two permutations and one product mod n instead of 63 additions of points. `nonces` makes
// such points sixteen at a time, and they are moved, never copied. A key's own multiples, k G and
// sk G, come from a table of the generator's multiples, read whole (`comb`). Every formula is
// complete: no case is special, so none shows in the time taken.
//
// Left out. Deriving k from key and message, as deterministic signatures do: no verifier can tell,
// and it can't be done before m is known. Blinding against power and fields: the machine is ours.
// Wiping what the compiler and the SHA-512 package leave on the stack: safe Rust can't reach it, so
// only named values are wiped. Verifying several signatures at once: the venue verifies, we don't.

/// Bytes of a signature: s, then e, 40 each, little-endian.
pub const SIGNATURE_BYTES: usize = 80;
/// A signature as it stands on the wire before base64 or hex.
pub type Signature = [u8; SIGNATURE_BYTES];
/// A public key: the encoding of sk * G. 80 hex digits in the venue's `apikeys`.
pub type PublicKey = [u8; 40];

/// What is signed: a Poseidon2 hash of five limbs. Also the transaction hash the venue answers
/// with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message(Fp5);

impl Message {
    /// From the 40 bytes the venue shows as `tx_hash`; `None` when a limb is out of range.
    pub fn from_bytes(bytes: &[u8; 40]) -> Option<Message> {
        Fp5::from_bytes(bytes).map(Message)
    }

    /// The 40 bytes the venue shows as `tx_hash` (in hex).
    pub fn to_bytes(self) -> [u8; 40] {
        self.0.to_bytes()
    }
}

/// H5(r, m) as an integer mod n.
fn challenge(r: Fp5, message: Message) -> Scalar {
    let mut inputs = [Fp::ZERO; 10];
    inputs[..5].copy_from_slice(&r.0);
    inputs[5..].copy_from_slice(&message.0.0);
    Scalar::from_limbs(poseidon2::hash::<5>(&inputs).map(Fp::value))
}

/// Counts of what would take time, to show that secrets do not change them.
#[cfg(test)]
mod count {
    use std::cell::Cell;

    thread_local! {
        static PRODUCTS: Cell<u64> = const { Cell::new(0) };
        static READS: Cell<u64> = const { Cell::new(0) };
    }

    /// A product or square in the extension.
    pub fn product() {
        PRODUCTS.set(PRODUCTS.get() + 1);
    }

    /// A table entry read.
    pub fn read() {
        READS.set(READS.get() + 1);
    }

    /// Products and reads of `work`.
    pub fn of<T>(work: impl FnOnce() -> T) -> (u64, u64) {
        let before = (PRODUCTS.get(), READS.get());
        work();
        (PRODUCTS.get() - before.0, READS.get() - before.1)
    }
}

/// Reading the vector files, for the tests of this room.
#[cfg(test)]
pub(crate) mod vectors {
    use serde_json::Value;

    /// The cases of one `op`.
    pub fn cases(file: &str, op: &str) -> Vec<Value> {
        let mut root: Value = serde_json::from_str(file).unwrap();
        let Value::Array(list) = root["cases"].take() else {
            panic!("no cases")
        };
        list.into_iter().filter(|case| case["op"] == op).collect()
    }

    /// A decimal string.
    pub fn number(value: &Value) -> u64 {
        value.as_str().unwrap().parse().unwrap()
    }

    /// A list of decimal strings.
    pub fn numbers(value: &Value) -> Vec<u64> {
        value.as_array().unwrap().iter().map(number).collect()
    }

    /// 80 hexadecimal digits.
    pub fn bytes40(value: &Value) -> [u8; 40] {
        let text = value.as_str().unwrap();
        assert_eq!(text.len(), 80);
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }
}
