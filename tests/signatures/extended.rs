//! Extended's messages: every field is under the hash, and a signature is bound to key and hash.
//!
//! That hashes and signatures are the official ones is `parallax selftest`'s to show; `naive` has a
//! judge of its own.

use parallax::venue::extended::sign::hash::{
    Chain, MoveTerms, OrderHasher, OrderTerms, limit_order_hash, transfer_hash, withdraw_hash,
};
use parallax::venue::extended::sign::{Felt, PointMaker, StarkKey, verify};
use proptest::prelude::*;
use std::collections::HashSet;

/// What an order is signed as: chain, key, vault, terms.
#[derive(Clone, Debug)]
struct Signed {
    chain: Chain,
    key: u64,
    vault: u32,
    terms: OrderTerms,
}

impl Signed {
    fn hashes(&self) -> [Felt; 2] {
        let hasher = OrderHasher::new(self.chain, Felt::from(self.key), self.vault);
        let limit_order = limit_order_hash(self.vault, &self.terms);
        [
            hasher.order_hash(&self.terms),
            hasher.message_hash(limit_order),
        ]
    }

    /// Each with one field changed.
    fn changed(&self) -> Vec<Signed> {
        let changes: [fn(&mut Signed); 10] = [
            |s| s.chain = other_chain(s.chain),
            |s| s.key ^= 1,
            |s| s.vault ^= 1,
            |s| s.terms.base_asset += Felt::ONE,
            |s| s.terms.base_amount ^= 1,
            |s| s.terms.quote_asset += Felt::ONE,
            |s| s.terms.quote_amount = s.terms.quote_amount.wrapping_neg() ^ 1,
            |s| s.terms.fee_amount ^= 1 << 63,
            |s| s.terms.expiration_s ^= 1,
            |s| s.terms.salt ^= 1 << 40,
        ];
        let apply = |change: &fn(&mut Signed)| {
            let mut copy = self.clone();
            change(&mut copy);
            copy
        };
        changes.iter().map(apply).collect()
    }
}

fn other_chain(chain: Chain) -> Chain {
    match chain {
        Chain::Main => Chain::Sepolia,
        Chain::Sepolia => Chain::Main,
    }
}

fn moved(terms: &MoveTerms) -> [Felt; 2] {
    [transfer_hash(terms), withdraw_hash(terms)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_field_of_an_order_is_under_its_hash(
        is_main in any::<bool>(),
        key in any::<u64>(),
        vault in any::<u32>(),
        assets in any::<[u128; 2]>(),
        amounts in any::<[i64; 2]>(),
        numbers in any::<[u64; 3]>(),
    ) {
        let signed = Signed {
            chain: if is_main { Chain::Main } else { Chain::Sepolia },
            key,
            vault,
            terms: OrderTerms {
                base_asset: assets[0].into(),
                base_amount: amounts[0],
                quote_asset: assets[1].into(),
                quote_amount: amounts[1],
                fee_amount: numbers[0],
                expiration_s: numbers[1],
                salt: numbers[2],
            },
        };
        let mut seen: HashSet<Felt> = signed.hashes().into();
        prop_assert_eq!(seen.len(), 2, "an order is no vault order");
        for changed in signed.changed() {
            for hash in changed.hashes() {
                prop_assert!(seen.insert(hash), "{changed:?} hashes as another");
            }
        }
    }

    #[test]
    fn every_field_of_a_transfer_and_a_withdrawal_is_under_its_hash(
        recipient in any::<u128>(),
        vault in any::<u32>(),
        asset in any::<u128>(),
        numbers in any::<[u64; 3]>(),
    ) {
        let [amount, expiration_s, salt] = numbers;
        let terms = MoveTerms {
            recipient: recipient.into(),
            vault,
            asset: asset.into(),
            amount,
            expiration_s,
            salt,
        };
        let mut seen: HashSet<Felt> = moved(&terms).into();
        prop_assert_eq!(seen.len(), 2, "a transfer is no withdrawal");
        for changed in [
            MoveTerms { recipient: terms.recipient + Felt::ONE, ..terms },
            MoveTerms { vault: vault ^ 1, ..terms },
            MoveTerms { asset: terms.asset + Felt::ONE, ..terms },
            MoveTerms { amount: amount ^ 1, ..terms },
            MoveTerms { expiration_s: expiration_s ^ 1, ..terms },
            MoveTerms { salt: salt ^ 1, ..terms },
        ] {
            for hash in moved(&changed) {
                prop_assert!(seen.insert(hash), "{changed:?} hashes as another");
            }
        }
    }
}

#[test]
fn a_wrong_key_or_hash_does_not_verify() {
    let key = StarkKey::parse_hex("0x7a7ff6fd3cab02ccdcd4a572563f5976").unwrap();
    let other = StarkKey::parse_hex("0x1234").unwrap();
    let hash = Felt::from(0x2bd_7a5b);
    let [point, ..] = PointMaker::new(&key).prepare().unwrap();
    for signature in [key.sign(hash).unwrap(), point.sign(hash).unwrap()] {
        assert!(verify(key.public_key(), hash, &signature));
        assert!(!verify(key.public_key(), hash + Felt::ONE, &signature));
        assert!(!verify(other.public_key(), hash, &signature));
    }
}

/// Venue errors 1100 to 1102: what was signed for another chain, vault or asset is refused, so a
/// wrong id is as good as a wrong key. Ids come from the venue's own lists at the start.
#[test]
fn a_signature_for_another_chain_vault_or_asset_is_not_ours() {
    let key = StarkKey::parse_hex("0x7a7ff6fd3cab02ccdcd4a572563f5976").unwrap();
    let terms = OrderTerms {
        base_asset: Felt::from(6_u8),
        base_amount: 1_000,
        quote_asset: Felt::ONE,
        quote_amount: -43_445_117,
        fee_amount: 21_723,
        expiration_s: 1_791_209_600,
        salt: 7,
    };
    let hash = |chain, vault, terms: &OrderTerms| {
        OrderHasher::new(chain, key.public_key(), vault).order_hash(terms)
    };
    let ours = hash(Chain::Main, 10_002, &terms);
    let asset = Felt::from(7_u8);
    for other in [
        hash(Chain::Sepolia, 10_002, &terms),
        hash(Chain::Main, 10_003, &terms),
        hash(
            Chain::Main,
            10_002,
            &OrderTerms {
                base_asset: asset,
                ..terms
            },
        ),
        hash(
            Chain::Main,
            10_002,
            &OrderTerms {
                quote_asset: asset,
                ..terms
            },
        ),
    ] {
        let signature = key.sign(other).unwrap();
        assert!(verify(key.public_key(), other, &signature));
        assert!(!verify(key.public_key(), ours, &signature));
    }
}

/// Vectors and judges are of one version: who brings a newer official library brings its vectors,
/// and finds new fields by the cases that fail.
#[test]
fn vectors_are_of_the_official_versions_that_judge_the_simulators() {
    let pinned = include_str!("../official/requirements.txt");
    for file in [
        include_str!("../data/extended/extended_orders.json"),
        include_str!("../data/extended/extended_limit_orders.json"),
        include_str!("../data/extended/extended_transfers.json"),
        include_str!("../data/extended/extended_withdrawals.json"),
        include_str!("../data/extended/extended_onboarding.json"),
    ] {
        let root: serde_json::Value = serde_json::from_str(file).unwrap();
        let made_with = root["about"]["sdk"].as_str().unwrap().replace(' ', "==");
        assert!(pinned.lines().any(|line| line == made_with), "{made_with}");
    }
    let signer = pinned
        .lines()
        .find_map(|line| line.strip_prefix("lighter-sdk=="));
    let told = include_str!("../data/lighter/README.md");
    assert!(told.contains(&format!("native signer {}", signer.unwrap())));
}
