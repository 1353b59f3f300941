//! A transaction with fees of EIP-1559 (type 2): built, signed, written down, checked when it is
//! read back.
//!
//! Carries no ether and no access list. Sources: EIP-1559, EIP-2718, EIP-2.

use super::call::Call;
use super::fees::Fees;
use super::hex::{digits, hex32, raw};
use crate::keys::ceremony::{Address, EthereumKey, EthereumSignature, keccak256, recover};
use alloy_rlp::{Decodable, Encodable, Header, encode_list};
use serde::{Deserialize, Serialize};

/// First byte of the kind.
const TYPE: u8 = 2;
/// What a signature's last byte starts from.
const V_EVEN: u8 = 27;
/// Ether sent along, wei.
const VALUE: u8 = 0;

/// A signed transaction, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The chain it is for.
    pub chain_id: u64,
    /// Who signed.
    pub from: Address,
    /// The sender's number of it.
    pub nonce: u64,
    /// Most of the fee that goes to whoever builds the block, wei a gas.
    #[serde(with = "digits")]
    pub tip: u128,
    /// Most that is paid altogether, wei a gas.
    #[serde(with = "digits")]
    pub fee_max: u128,
    /// Most gas it may take.
    pub gas: u64,
    /// What it does.
    pub call: Call,
    /// Its name on the chain.
    #[serde(with = "hex32")]
    pub hash: [u8; 32],
    /// What is sent.
    #[serde(with = "raw")]
    pub raw: Vec<u8>,
}

impl Signed {
    /// Signs these fields. What stands for hash and bytes is made anew.
    pub(super) fn sign(mut self, key: &EthereumKey) -> Signed {
        let (to, data) = (self.call.to(), self.call.data());
        let signature = key.sign_digest(&keccak256(&self.encode(&to, &data, None)));
        self.from = key.address();
        self.raw = self.encode(&to, &data, Some(&signature));
        self.hash = keccak256(&self.raw);
        self
    }

    /// Whether fields, bytes and name belong together, and the sender has signed them. What was
    /// read from a file may have been bent there.
    pub(super) fn is_whole(&self) -> bool {
        let (to, data) = (self.call.to(), self.call.data());
        let digest = keccak256(&self.encode(&to, &data, None));
        let signer = self
            .signature()
            .filter(|signature| self.raw == self.encode(&to, &data, Some(signature)));
        let signer = signer.and_then(|signature| recover(&digest, &signature));
        self.hash == keccak256(&self.raw) && signer == Some(self.from)
    }

    /// Whether only one of the two can ever be mined.
    pub(super) fn is_rival(&self, other: &Signed) -> bool {
        let slot = |signed: &Signed| (signed.chain_id, signed.from, signed.nonce);
        slot(self) == slot(other)
    }

    /// What it offers.
    pub(super) fn fees(&self) -> Fees {
        Fees {
            tip: self.tip,
            most: self.fee_max,
        }
    }

    /// What it may cost, wei.
    pub(super) fn cost_max(&self) -> u128 {
        self.fee_max.saturating_mul(self.gas.into())
    }

    /// The bytes that are signed, or with a signature those that are sent.
    fn encode(&self, to: &Address, data: &[u8], signature: Option<&EthereumSignature>) -> Vec<u8> {
        let access_list: Vec<u8> = Vec::new();
        let (chain_id, nonce) = (self.chain_id, self.nonce);
        let (tip, fee_max, gas) = (self.tip, self.fee_max, self.gas);
        let mut fields: Vec<&dyn Encodable> =
            vec![&chain_id, &nonce, &tip, &fee_max, &gas, &to.0, &VALUE];
        fields.push(&data);
        fields.push(&access_list);
        let (parity, r, s);
        if let Some(signature) = signature {
            parity = signature[64].wrapping_sub(V_EVEN);
            (r, s) = (plain(&signature[..32]), plain(&signature[32..64]));
            fields.extend([&parity as &dyn Encodable, &r, &s]);
        }
        let mut bytes = vec![TYPE];
        encode_list::<_, dyn Encodable>(&fields, &mut bytes);
        bytes
    }

    /// The signature in the bytes: the last three of their fields.
    fn signature(&self) -> Option<EthereumSignature> {
        let mut rest = self.raw.strip_prefix(&[TYPE])?;
        let mut fields = Header::decode_bytes(&mut rest, true).ok()?;
        for _ in 0..FIELDS_UNSIGNED {
            let field = Header::decode(&mut fields).ok()?;
            fields = fields.get(field.payload_length..)?;
        }
        let mut signature = [0; 65];
        signature[64] = V_EVEN.checked_add(u8::decode(&mut fields).ok()?)?;
        for half in signature[..64].chunks_exact_mut(32) {
            let number = Header::decode_bytes(&mut fields, false).ok()?;
            let zeros = half.len().checked_sub(number.len())?;
            half[zeros..].copy_from_slice(number);
        }
        Some(signature)
    }
}

/// Fields before the signature.
const FIELDS_UNSIGNED: usize = 9;

/// A number's bytes without leading zeros, as all numbers go.
fn plain(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::super::hex::bytes;
    use super::*;
    use crate::keys::ceremony::hex;
    use proptest::prelude::*;

    fn unsigned(nonce: u64) -> Signed {
        Signed {
            chain_id: 1,
            from: Address([0; 20]),
            nonce,
            tip: 1_000_000_000,
            fee_max: 20_000_000_000,
            gas: 44_386,
            call: Call::Approve {
                token: Address([0xaa; 20]),
                spender: Address([0xbb; 20]),
                amount: u128::MAX,
            },
            hash: [0; 32],
            raw: vec![],
        }
    }

    fn key() -> EthereumKey {
        EthereumKey::parse_hex(&"4c".repeat(32)).unwrap()
    }

    /// A transaction of Ethereum's main network, as it stands there:
    /// 0x0ec0b6a2df4d87424e5f6ad2a654e27aaeb7dac20ae9e8385cc09087ad532ee0, of a call that we do not
    /// make (`setApprovalForAll`).
    #[test]
    fn a_transaction_of_the_main_network() {
        let to = Address::parse("0x6069a6c32cf691f5982febae4faf8a6f3ab2f0f6").unwrap();
        let words = format!("{}5eee75727d804a2b13038928d36f8b188945a57a", "0".repeat(24));
        let data = bytes(&format!("0xa22cb465{words}{}", "0".repeat(64))).unwrap();
        let signature = bytes(
            "0x840cfc572845f5786e702984c2a582528cad4b49b2a10b9db1be7fca90058565\
             25e7109ceb98168d95b09b18bbf6b685130e0562f233877d492b94eee0c5b6d11b",
        );
        let signature = signature.unwrap().try_into().unwrap();
        let unsigned = unsigned(0x42);
        let digest = keccak256(&unsigned.encode(&to, &data, None));
        let wanted = "0d5688ac3897124635b6cf1bc0e29d6dfebceebdc10a54d74f2ef8b56535b682";
        assert_eq!(hex(&digest), wanted);
        let sender = Address::parse("0xDD6B8b3dC6B7AD97db52F08a275FF4483e024CEa");
        assert_eq!(recover(&digest, &signature), sender);
        let hash = keccak256(&unsigned.encode(&to, &data, Some(&signature)));
        let wanted = "0ec0b6a2df4d87424e5f6ad2a654e27aaeb7dac20ae9e8385cc09087ad532ee0";
        assert_eq!(hex(&hash), wanted);
    }

    #[test]
    fn what_was_bent_in_the_file_is_not_taken() {
        let signed = unsigned(7).sign(&key());
        let text = serde_json::to_string(&signed).unwrap();
        let other = unsigned(8).sign(&key());
        let (name, bytes) = (hex(&signed.hash), hex(&signed.raw));
        for (from, to) in [
            ("\"chain_id\":1", "\"chain_id\":2"),
            ("\"nonce\":7", "\"nonce\":8"),
            ("\"tip\":\"1", "\"tip\":\"2"),
            ("\"gas\":44386", "\"gas\":44387"),
            ("\"amount\":\"34", "\"amount\":\"33"),
            ("\"from\":\"0x", "\"from\":\"0y"),
            ("\"hash\":", "\"more\":1,\"hash\":"),
            (&name, &hex(&other.hash)),
            (&name, &name[2..]),
            (&bytes, &hex(&other.raw)),
            (&bytes, &bytes[2..]),
            (&bytes, &bytes[..bytes.len() - 2]),
            (&bytes, &format!("{bytes}00")),
            (&bytes, "02"),
            (&bytes, ""),
        ] {
            let bent = text.replacen(from, to, 1);
            assert_ne!(bent, text, "{from}");
            let read = serde_json::from_str::<Signed>(&bent);
            assert!(!read.is_ok_and(|read| read.is_whole()), "{bent}");
        }
    }

    proptest! {
        /// Signatures whose numbers begin with zeros are among them: one in 128.
        #[test]
        fn what_was_signed_is_whole_also_when_read_back(
            nonce in any::<u64>(),
            bit in 0..1_600_usize,
        ) {
            let signed = unsigned(nonce).sign(&key());
            prop_assert!(signed.is_whole());
            let text = serde_json::to_string(&signed).unwrap();
            let mut read: Signed = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &signed);
            // One bit of the bytes, and their name made to fit.
            let at = bit / 8 % read.raw.len();
            read.raw[at] ^= 1 << (bit % 8);
            read.hash = keccak256(&read.raw);
            prop_assert!(!read.is_whole());
        }
    }
}
