//! ChangePubKey: a slot's key replaced, or written for the first time.
//!
//! Promises: taken only when the new key signed the transaction and the account's owner signed the
//! message that names key, slot, account and nonce; the slot's nonce goes on from there, and the
//! key before it is worth nothing from that moment. Refuses the venue's own slots to nobody: its
//! front ends write those in the same way.
//!
//! Source: official Go signer library (message, what is hashed), `lighter-sdk` 1.1.8.

use super::check::WIDTH_48;
use super::codes::{self, Refusal};
use super::desk::{Desk, Slot, lock};
use super::ledger::Outcome;
use super::sign::{self, Bytes40};
use super::transaction::Transaction;
use crate::keys::ceremony::{personal_digest, recover};

/// The keys of the transaction besides those that all have.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The new public key.
    pub public_key: Bytes40,
    /// The owner's signature: r, s, v.
    pub owner_signature: [u8; 65],
}

impl Desk {
    /// Judges and carries out a change; gives its hash.
    ///
    /// # Errors
    /// The venue's refusal; nothing has changed then.
    pub(super) fn change_key(&self, tx: &Transaction, change: &Change) -> Result<String, Refusal> {
        if tx.account != self.credentials.account_index as i64 {
            return Err(codes::ACCOUNT_NOT_FOUND);
        }
        let index = u8::try_from(tx.api_key).ok().filter(|index| *index < 255);
        let index = index.ok_or(codes::API_KEY_INDEX)?;
        let mut slots = lock(&self.slots);
        let at = slots.iter().position(|slot| slot.index == index);
        let next = at.map_or(0, |at| slots[at].next_nonce);
        if tx.nonce != next {
            return Err(codes::NONCE);
        }
        let now = self.floor.now();
        let expired_at = u64::try_from(tx.expired_at).unwrap_or(0);
        if expired_at <= now.epoch_ms() || tx.expired_at > WIDTH_48 {
            return Err(codes::EXPIRY);
        }
        let hash = sign::transaction_hash(self.credentials.chain_id, tx.tx_type, &tx.fields);
        let hash = hash.ok_or(codes::TX_INFO)?;
        if !sign::verify(&change.public_key, &hash, &tx.signature) {
            return Err(codes::SIGNATURE);
        }
        let message = message(&change.public_key, [tx.nonce, tx.account, tx.api_key]);
        let signer = recover(&personal_digest(&message), &change.owner_signature);
        let owner = &self.credentials.l1_address;
        if !signer.is_some_and(|signer| signer.to_string().eq_ignore_ascii_case(owner)) {
            return Err(codes::OWNER_SIGNATURE);
        }
        let slot = Slot {
            index,
            public_key: change.public_key,
            next_nonce: next + 1,
            changed_us: now.0 / 1000,
        };
        match at {
            Some(at) => slots[at] = slot,
            None => slots.push(slot),
        }
        let hash = sign::hex(&hash);
        lock(&self.ledger).record(tx, &hash, now, Outcome::default());
        Ok(hash)
    }
}

/// What the owner signs; numbers are `0x` and sixteen digits.
fn message(public_key: &Bytes40, [nonce, account, slot]: [i64; 3]) -> String {
    format!(
        "Register Lighter Account\n\npubkey: 0x{}\nnonce: 0x{nonce:016x}\naccount index: \
         0x{account:016x}\napi key index: 0x{slot:016x}\nOnly sign this message for a trusted \
         client!",
        sign::hex(public_key)
    )
}

/// Reads `0x` and 130 digits.
pub fn owner_signature(text: &str) -> Option<[u8; 65]> {
    let bytes = sign::unhex(text.strip_prefix("0x")?)?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::super::desk::Options;
    use super::super::tests::{Client, floor};
    use super::*;
    use crate::sim::exchange::LighterTier;
    use crate::sim::wallet::Wallet;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};

    /// The message and who signed it, as the official signer made them.
    #[test]
    fn official_changes_are_their_owners() {
        let file = include_str!("../../../tests/data/lighter/lighter_changepubkey.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let mut seen = 0;
        for case in file["cases"].as_array().unwrap() {
            if case["tx_type"] != 8 {
                continue;
            }
            let info: Value = serde_json::from_str(case["tx_info"].as_str().unwrap()).unwrap();
            let key = STANDARD.decode(info["PubKey"].as_str().unwrap()).unwrap();
            let key: Bytes40 = key.try_into().unwrap();
            let number = |name: &str| case[name].as_i64().unwrap();
            let numbers = ["nonce", "account_index", "api_key_index"].map(number);
            let text = message(&key, numbers);
            assert_eq!(text, case["l1_message"].as_str().unwrap());
            let signature = owner_signature(info["L1Sig"].as_str().unwrap()).unwrap();
            let signer = recover(&personal_digest(&text), &signature).unwrap();
            assert_eq!(signer.to_string(), case["eth_address"].as_str().unwrap());
            let hash = sign::transaction_hash(
                case["chain_id"].as_u64().unwrap(),
                8,
                info.as_object().unwrap(),
            );
            let signed = STANDARD.decode(info["Sig"].as_str().unwrap()).unwrap();
            assert!(sign::verify(&key, &hash.unwrap(), &signed));
            seen += 1;
        }
        assert!(seen > 5, "{seen}");
    }

    /// A change to the key of another slot, signed as the venue wants it; `bend` spoils it.
    fn send(client: &Client, slot: u8, bend: impl Fn(&mut Value)) -> Result<String, Refusal> {
        let credentials = &client.credentials;
        let key = &credentials.keys[1];
        let public = sign::unhex(&key.public_key_hex).unwrap();
        let slots = lock(&client.desk.slots);
        let nonce = slots.iter().find(|one| one.index == slot);
        let nonce = nonce.map_or(0, |one| one.next_nonce);
        drop(slots);
        let account = credentials.account_index;
        let numbers = [nonce, account as i64, i64::from(slot)];
        let text = message(&public.clone().try_into().unwrap(), numbers);
        let owner = Wallet::key(1).sign_personal(&text);
        let mut info = json!({
            "AccountIndex": account, "ApiKeyIndex": slot, "PubKey": STANDARD.encode(&public),
            "L1Sig": format!("0x{}", sign::hex(&owner)),
            "ExpiredAt": client.desk.floor.now().epoch_ms() + 599_000, "Nonce": nonce,
            "L2TxAttributes": null,
        });
        bend(&mut info);
        let hash = sign::transaction_hash(credentials.chain_id, 8, info.as_object().unwrap());
        let private = sign::unhex(&key.private_key_hex).unwrap();
        let hash = hash.unwrap_or([0; 40]);
        let signed = goldilocks_crypto::sign_hashed_message(&private, &hash, &[7; 39]);
        if info["Sig"].is_null() {
            info["Sig"] = STANDARD.encode(signed.unwrap()).into();
        }
        let receipt = client.desk.send(8, &info.to_string())?;
        Ok(receipt.hashes[0].clone())
    }

    #[test]
    fn a_slot_is_written_once_signed_by_key_and_owner() {
        let client = Client::on(floor(), Options::of(LighterTier::Standard));
        let code = |slot, bend: fn(&mut Value)| send(&client, slot, bend).unwrap_err().code;
        assert_eq!(code(9, |info| info["Nonce"] = 7.into()), 21104);
        assert_eq!(code(9, |info| info["AccountIndex"] = 7.into()), 21100);
        assert_eq!(code(9, |info| info["ApiKeyIndex"] = 255.into()), 21110);
        assert_eq!(code(9, |info| info["ExpiredAt"] = 7.into()), 21711);
        assert_eq!(
            code(9, |info| info["Sig"] = STANDARD.encode([1; 80]).into()),
            21120
        );
        assert_eq!(code(9, |info| info["PubKey"] = "AAAA".into()), 21501);
        let stranger = format!("0x{}1b", "11".repeat(64));
        assert_eq!(code(9, |info| info["L1Sig"] = "0x".into()), 21501);
        let wrong = send(&client, 9, |info| info["L1Sig"] = stranger.clone().into());
        assert_eq!(wrong.unwrap_err().code, 21504);
        assert_eq!(lock(&client.desk.slots).len(), 4);
        send(&client, 9, |_| {}).unwrap();
        let next = |slot: u8| {
            let slots = lock(&client.desk.slots);
            let found = slots.iter().find(|one| one.index == slot);
            found.map(|one| (one.next_nonce, sign::hex(&one.public_key)))
        };
        let public = client.credentials.keys[1].public_key_hex.clone();
        assert_eq!(next(9), Some((1, public.clone())));
        // The key that stood in a slot before is worth nothing any more.
        let before = next(4).unwrap().0;
        send(&client, 4, |_| {}).unwrap();
        assert_eq!(next(4), Some((before + 1, public)));
        let order = client.send(14, client.buy());
        assert_eq!(order.unwrap_err().code, 21120);
    }
}
