//! Signatures of both venues beside the crates': `cargo bench --bench sign`.
//!
//! First every answer is checked; then rounds, in which ours and theirs take turns, give the table
//! (median over rounds, and of the ratio within each round); then criterion gives each row's own
//! spread. *Online* is what an order waits for with a nonce point ahead: hash and signature. *Full*
//! is the same without a point. *Refill* is one point, made off the path. Theirs is what their
//! users call: `sign_hashed_message` of goldilocks-crypto (the message is hashed already), and
//! hash, RFC 6979 nonce and `sign` of starknet-crypto.

use criterion::{BatchSize, Criterion};
use goldilocks_crypto as goldilocks;
use parallax::venue::extended::sign::hash::{Chain, OrderHasher, OrderTerms};
use parallax::venue::extended::sign::{self as stark, Felt, StarkKey};
use parallax::venue::lighter::sign::order::CreateOrder;
use parallax::venue::lighter::sign::transaction::{Envelope, Transaction};
use parallax::venue::lighter::sign::{self as schnorr, Message, NonceSource, PrivateKey};
use starknet_crypto::{poseidon_hash_many, rfc6979_generate_k};
use std::hint::black_box;
use std::time::Instant;

const LIGHTER_KEY: &str =
    "a2d24bb8d2ee2d9bb9b7e3b8d5c3a7a18e1c5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70819201";
const STARK_KEY: &str = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";
/// A nonce for the peers, which are given theirs.
const NONCE: [u8; 40] = [7; 40];
/// Rounds of the table; a slow stretch of the host falls on few of them.
const ROUNDS: usize = 31;
/// Signatures per row and round: one full link.
const CALLS: usize = 64;

/// Lighter: a key, an order as the gateway builds it, and where points come from.
struct Lighter {
    key: PrivateKey,
    public: schnorr::PublicKey,
    maker: schnorr::PointMaker,
    source: NonceSource,
    key_bytes: [u8; 40],
}

impl Lighter {
    fn new() -> Lighter {
        let key = PrivateKey::parse_hex(LIGHTER_KEY).unwrap();
        let digit = |i: usize| u8::from_str_radix(&LIGHTER_KEY[2 * i..2 * i + 2], 16).unwrap();
        Lighter {
            public: key.public_key(),
            maker: schnorr::PointMaker::new(&key),
            source: NonceSource::new(),
            key_bytes: std::array::from_fn(digit),
            key,
        }
    }

    /// The transaction hash of an order that differs from call to call.
    fn hash(&self, price: u64) -> Message {
        let envelope = Envelope {
            chain_id: 304,
            account_index: 281_474_976_710_654,
            api_key_index: 5,
            expired_at_ms: 1_790_000_599_000,
            nonce: price,
        };
        let order = CreateOrder {
            market_index: 1,
            client_order_index: 1 << 40 | price,
            base_amount: 229_685,
            price,
            ..CreateOrder::default()
        };
        Transaction::create_order(envelope, &order).unwrap().hash()
    }

    fn points(&mut self) -> Vec<schnorr::NoncePoint> {
        let batches = (0..CALLS / schnorr::BATCH).flat_map(|_| self.maker.prepare().unwrap());
        batches.collect()
    }

    fn online(&self, price: u64, point: schnorr::NoncePoint) -> schnorr::Signature {
        self.key.sign_ahead(self.hash(price), point).unwrap()
    }

    fn full(&mut self, price: u64) -> schnorr::Signature {
        self.key.sign(self.hash(price), &mut self.source).unwrap()
    }

    fn theirs(&self, message: &[u8; 40]) -> Vec<u8> {
        goldilocks::sign_hashed_message(&self.key_bytes, message, &NONCE).unwrap()
    }
}

/// Extended: the same.
struct Extended {
    key: StarkKey,
    hasher: OrderHasher,
    maker: stark::PointMaker,
    secret: Felt,
    /// Kept for the crate too, as its users would.
    domain: Felt,
}

const VAULT: u32 = 10_002;

impl Extended {
    fn new() -> Extended {
        let key = StarkKey::parse_hex(STARK_KEY).unwrap();
        Extended {
            hasher: OrderHasher::new(Chain::Sepolia, key.public_key(), VAULT),
            maker: stark::PointMaker::new(&key),
            secret: Felt::from_hex(STARK_KEY).unwrap(),
            domain: Chain::Sepolia.domain_hash(),
            key,
        }
    }

    fn terms(salt: u64) -> OrderTerms {
        OrderTerms {
            base_asset: Felt::from_hex("0x4254432d3600000000000000000000").unwrap(),
            base_amount: 1_000,
            quote_asset: Felt::ONE,
            quote_amount: -43_445_117,
            fee_amount: 21_723,
            expiration_s: 1_791_209_600,
            salt,
        }
    }

    fn points(&mut self) -> Vec<stark::NoncePoint> {
        let batches = (0..CALLS / stark::BATCH).flat_map(|_| self.maker.prepare().unwrap());
        batches.collect()
    }

    fn online(&self, terms: &OrderTerms, point: stark::NoncePoint) -> stark::Signature {
        point.sign(self.hasher.order_hash(terms)).unwrap()
    }

    fn full(&self, terms: &OrderTerms) -> stark::Signature {
        self.key.sign(self.hasher.order_hash(terms)).unwrap()
    }

    /// The order's hash by the crate: struct of ten, message of four.
    fn their_hash(&self, terms: &OrderTerms) -> Felt {
        const SELECTOR: &str = "0x36da8d51815527cabfaa9c982f564c80fa7429616739306036f1f9b608dd112";
        let order = poseidon_hash_many(&[
            Felt::from_hex_unchecked(SELECTOR),
            Felt::from(VAULT),
            terms.base_asset,
            Felt::from(terms.base_amount),
            terms.quote_asset,
            Felt::from(terms.quote_amount),
            terms.quote_asset,
            Felt::from(terms.fee_amount),
            Felt::from(terms.expiration_s),
            Felt::from(terms.salt),
        ]);
        poseidon_hash_many(&[
            Felt::from_hex_unchecked("0x537461726b4e6574204d657373616765"),
            self.domain,
            self.key.public_key(),
            order,
        ])
    }

    fn theirs(&self, terms: &OrderTerms) -> starknet_crypto::ExtendedSignature {
        let hash = self.their_hash(terms);
        let nonce = rfc6979_generate_k(&hash, &self.secret, None);
        starknet_crypto::sign(&self.secret, &hash, &nonce).unwrap()
    }
}

/// Every answer is right before anything is timed.
fn check(lighter: &mut Lighter, extended: &mut Extended) {
    let message = lighter.hash(1);
    for signature in [
        lighter.full(1),
        lighter
            .points()
            .pop()
            .map(|p| lighter.online(1, p))
            .unwrap(),
        lighter.theirs(&message.to_bytes()).try_into().unwrap(),
    ] {
        assert!(schnorr::verify(&lighter.public, message, &signature));
    }
    let terms = Extended::terms(1);
    let hash = extended.hasher.order_hash(&terms);
    assert_eq!(hash, extended.their_hash(&terms));
    let (full, theirs) = (extended.full(&terms), extended.theirs(&terms));
    assert_eq!((full.r, full.s), (theirs.r, theirs.s));
    let ahead = extended.points().pop().map(|p| extended.online(&terms, p));
    assert!(stark::verify(
        extended.key.public_key(),
        hash,
        &ahead.unwrap()
    ));
}

/// The same after a call that is not counted: what is only called a few times a round has its code
/// and tables as warm as what is called often.
fn timed_warm(calls: usize, mut call: impl FnMut(usize)) -> f64 {
    call(0);
    timed(calls, call)
}

/// Microseconds of one call, over `calls` of them.
fn timed(calls: usize, mut call: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(&mut call);
    start.elapsed().as_secs_f64() * 1e6 / calls as f64
}

/// A row of the table: ours and theirs by round, and what is allowed.
struct Row {
    name: &'static str,
    peer: &'static str,
    rounds: Vec<(f64, f64)>,
    us_max: f64,
    ratio_min: f64,
}

impl Row {
    fn new(name: &'static str, peer: &'static str, us_max: f64, ratio_min: f64) -> Row {
        Row {
            name,
            peer,
            rounds: Vec::with_capacity(ROUNDS),
            us_max,
            ratio_min,
        }
    }

    fn print(&self) {
        let ours = median(self.rounds.iter().map(|(ours, _)| *ours));
        let theirs = median(self.rounds.iter().map(|(_, theirs)| *theirs));
        let ratio = median(self.rounds.iter().map(|(ours, theirs)| theirs / ours));
        let is_met = ours <= self.us_max && ratio >= self.ratio_min;
        let budget = match self.ratio_min {
            0.0 => format!("{} us", self.us_max),
            least => format!("{} us, 1/{least}", self.us_max),
        };
        println!(
            "| {:<16} | {ours:>8.2} | {theirs:>8.2} | 1/{ratio:<6.1} | {budget:<14} | {:<6} | {} |",
            self.name,
            if is_met { "met" } else { "missed" },
            self.peer
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn table(lighter: &mut Lighter, extended: &mut Extended) {
    let sign_l = "goldilocks-crypto sign, nonce given, message hashed";
    let sign_e = "starknet-crypto hash + k + sign";
    let mut rows = [
        Row::new("Lighter online", sign_l, 3.5, 25.0),
        Row::new("Lighter full", sign_l, 40.0, 0.0),
        Row::new("Lighter refill", "goldilocks-crypto k * G", 16.0, 0.0),
        Row::new("Lighter verify", "goldilocks-crypto verify", 250.0, 0.0),
        Row::new("Extended online", sign_e, 17.0, 8.0),
        Row::new("Extended full", sign_e, 50.0, 0.0),
        Row::new("Extended refill", "starknet-crypto k * G", 8.0, 0.0),
    ];
    let mut verify_us = Vec::new();
    for _ in 0..ROUNDS {
        let rounds = lighter_round(lighter)
            .into_iter()
            .chain(extended_round(extended));
        for (row, round) in rows.iter_mut().zip(rounds) {
            row.rounds.push(round);
        }
        let terms = Extended::terms(2);
        let (hash, signature) = (extended.hasher.order_hash(&terms), extended.full(&terms));
        verify_us.push(timed(4, |_| {
            black_box(stark::verify(extended.key.public_key(), hash, &signature));
        }));
    }
    println!(
        "| row              |  ours us | theirs us | ratio   | budget         |        | theirs |"
    );
    println!("|---|---|---|---|---|---|---|");
    rows.iter().for_each(Row::print);
    println!(
        "| Extended verify  | {:>8.2} | (by starknet-crypto itself) |",
        median(verify_us.into_iter())
    );
}

fn lighter_round(lighter: &mut Lighter) -> [(f64, f64); 4] {
    let mut points = lighter.points().into_iter();
    let online = timed(CALLS, |i| {
        let point = points.next().unwrap();
        black_box(lighter.online(black_box(i as u64 + 1), point));
    });
    let message = lighter.hash(9).to_bytes();
    let theirs = timed_warm(8, |_| {
        black_box(lighter.theirs(black_box(&message)));
    });
    let full = timed_warm(16, |i| {
        black_box(lighter.full(black_box(i as u64 + 1)));
    });
    let refill = timed_warm(4, |_| {
        black_box(lighter.maker.prepare().unwrap());
    });
    let nonce = goldilocks::ScalarField::from_bytes_le(&NONCE).unwrap();
    let product = timed_warm(8, |_| {
        black_box(
            goldilocks::Point::generator()
                .mul(black_box(&nonce))
                .encode(),
        );
    });
    let signature = lighter.full(9);
    let verify = timed_warm(8, |_| {
        let message = lighter.hash(9);
        black_box(schnorr::verify(&lighter.public, message, &signature));
    });
    let verify_theirs = timed_warm(4, |_| {
        let valid = goldilocks::verify_signature(&signature, &message, &lighter.public);
        assert_eq!(black_box(valid).ok(), Some(true));
    });
    [
        (online, theirs),
        (full, theirs),
        (refill / schnorr::BATCH as f64, product),
        (verify, verify_theirs),
    ]
}

fn extended_round(extended: &mut Extended) -> [(f64, f64); 3] {
    let mut points = extended.points().into_iter();
    let orders: Vec<OrderTerms> = (0..CALLS as u64).map(Extended::terms).collect();
    let online = timed(CALLS, |i| {
        let point = points.next().unwrap();
        black_box(extended.online(black_box(&orders[i]), point));
    });
    let theirs = timed_warm(8, |i| {
        black_box(extended.theirs(black_box(&orders[i])));
    });
    let full = timed_warm(16, |i| {
        black_box(extended.full(black_box(&orders[i])));
    });
    let refill = timed_warm(4, |_| {
        black_box(extended.maker.prepare().unwrap());
    });
    let product = timed_warm(8, |_| {
        black_box(starknet_crypto::get_public_key(black_box(&extended.secret)));
    });
    let refill = refill / stark::BATCH as f64;
    [(online, theirs), (full, theirs), (refill, product)]
}

/// Each row once more under criterion, for its spread.
fn criterion(lighter: &mut Lighter, extended: &mut Extended) {
    let mut criterion = Criterion::default().configure_from_args();
    let mut points = Vec::new();
    criterion.bench_function("lighter/challenge and s", |b| {
        let (key, hash) = (&lighter.key, lighter.hash(1));
        let maker = &mut lighter.maker;
        b.iter_batched(
            || {
                if points.is_empty() {
                    points.extend(maker.prepare().unwrap());
                }
                points.pop().unwrap()
            },
            |point| key.sign_ahead(black_box(hash), point).unwrap(),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("lighter/hash", |b| b.iter(|| lighter.hash(black_box(1))));
    criterion.bench_function("lighter/full", |b| b.iter(|| lighter.full(black_box(1))));
    criterion.bench_function("lighter/refill 16", |b| {
        b.iter(|| lighter.maker.prepare().unwrap());
    });
    let message = lighter.hash(1).to_bytes();
    criterion.bench_function("lighter/goldilocks-crypto sign", |b| {
        b.iter(|| lighter.theirs(black_box(&message)));
    });
    let terms = Extended::terms(1);
    criterion.bench_function("extended/hash", |b| {
        b.iter(|| extended.hasher.order_hash(black_box(&terms)));
    });
    criterion.bench_function("extended/full", |b| {
        b.iter(|| extended.full(black_box(&terms)))
    });
    criterion.bench_function("extended/refill 16", |b| {
        b.iter(|| extended.maker.prepare().unwrap());
    });
    criterion.bench_function("extended/starknet-crypto hash + k + sign", |b| {
        b.iter(|| extended.theirs(black_box(&terms)));
    });
    criterion.final_summary();
}

fn main() {
    let (mut lighter, mut extended) = (Lighter::new(), Extended::new());
    check(&mut lighter, &mut extended);
    table(&mut lighter, &mut extended);
    criterion(&mut lighter, &mut extended);
}
