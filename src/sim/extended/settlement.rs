//! What an order's signature covers, worked out again from the request: amounts with the venue's
//! rounding, expiration, the SNIP-12 hash, and the check with an independent library.
//!
//! Promises: exact integers only; an amount out of range is refused, never wrapped. Judged by the
//! official library's order vectors. Refuses to sign: the venue only ever verifies.
//!
//! This is the simulated venues' door for starknet-crypto. Source for every rule: the Python
//! package x10-python-trading-starknet 2.6.0, `signing/order_object_settlement.py`, and the type
//! texts of fast_stark_crypto 0.5.0.

pub use starknet_crypto::Felt;

/// Digits after the point that a [`Decimal`] may carry: the official library works with 28.
const PLACES_MAX: u32 = 20;
/// The settlement may happen this long after the order has expired: 14 days, in seconds.
const SETTLEMENT_GRACE_S: u64 = 14 * 24 * 60 * 60;
/// `starknet_keccak` of the type text of `StarknetDomain`.
const DOMAIN_SELECTOR: &str = "0x1ff2f602e42168014d405a94f75e8a93d640751d71d16311266e140d8b0a210";
/// `starknet_keccak` of the type text of `Order`.
const ORDER_SELECTOR: &str = "0x36da8d51815527cabfaa9c982f564c80fa7429616739306036f1f9b608dd112";
/// The same of `"WithdrawArgs"(..)`; the text is in fast_stark_crypto 0.5.0.
const WITHDRAW_SELECTOR: &str = "0x250a5fa378e8b771654bd43dcb34844534f9d1e29e16b14760d7936ea7f4b1d";

/// A decimal number exactly as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    mantissa: i128,
    places: u32,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Decimal = Decimal {
        mantissa: 0,
        places: 0,
    };

    /// Reads plain decimal text (`-12.50`); no exponent, no plus sign, at most 20 places.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let places = u32::try_from(fraction.len()).ok()?;
        if whole.is_empty() || !plain(whole) || !plain(fraction) || places > PLACES_MAX {
            return None;
        }
        let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
        Some(Decimal {
            mantissa: if negative { -mantissa } else { mantissa },
            places,
        })
    }

    /// The sum; `None` when it does not fit.
    pub fn plus(self, other: Decimal) -> Option<Decimal> {
        let places = self.places.max(other.places);
        let raise = |term: Decimal| {
            let factor = 10_i128.checked_pow(places - term.places)?;
            term.mantissa.checked_mul(factor)
        };
        Some(Decimal {
            mantissa: raise(self)?.checked_add(raise(other)?)?,
            places,
        })
    }

    /// The value in units of 10^-9, when it is exact there and fits.
    pub fn to_nano(self) -> Option<i64> {
        let nano = if self.places <= 9 {
            self.mantissa.checked_mul(10_i128.pow(9 - self.places))?
        } else {
            let unit = 10_i128.pow(self.places - 9);
            if self.mantissa % unit != 0 {
                return None;
            }
            self.mantissa / unit
        };
        i64::try_from(nano).ok()
    }

    /// Below zero.
    pub fn is_negative(self) -> bool {
        self.mantissa < 0
    }
}

/// The two assets of a market as the settlement layer knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assets {
    /// `syntheticId`.
    pub synthetic_id: Felt,
    /// Settlement units in one whole of base, a power of ten.
    pub synthetic_resolution: u64,
    /// `collateralId`.
    pub collateral_id: Felt,
    /// Settlement units in one dollar, a power of ten.
    pub collateral_resolution: u64,
}

/// What the client asked and signed.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Buys.
    pub is_buy: bool,
    /// Quantity as written.
    pub qty: Decimal,
    /// Price as written.
    pub price: Decimal,
    /// Fee rate as written, the builder's included.
    pub fee: Decimal,
    /// The request's nonce: the salt of the signed struct.
    pub nonce: u64,
    /// The request's expiry, epoch milliseconds.
    pub expiry_ms: u64,
    /// Position id of the account.
    pub vault: u32,
    /// Public key of the account.
    pub public_key: Felt,
    /// The market's assets.
    pub assets: Assets,
}

/// The integers of the signed struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Base, positive when bought.
    pub base: i64,
    /// Quote, of the opposite sign.
    pub quote: i64,
    /// Highest fee, never negative.
    pub fee: u64,
    /// Settlement expiration, epoch seconds.
    pub expiration_s: u64,
}

impl Terms {
    /// The amounts: a buy rounds base and quote up, a sell down, the fee is always rounded up and
    /// taken from the unrounded quote. `None` when one leaves its range in the signed struct.
    pub fn amounts(&self) -> Option<Amounts> {
        let base = scaled(&[self.qty], self.assets.synthetic_resolution, self.is_buy)?;
        let worth = [self.qty, self.price, self.fee];
        let quote = scaled(&worth[..2], self.assets.collateral_resolution, self.is_buy)?;
        let fee = scaled(&worth, self.assets.collateral_resolution, true)?;
        let sign = if self.is_buy { 1 } else { -1 };
        Some(Amounts {
            base: i64::try_from(sign * base).ok()?,
            quote: i64::try_from(-sign * quote).ok()?,
            fee: u64::try_from(fee).ok()?,
            expiration_s: self
                .expiry_ms
                .div_ceil(1000)
                .checked_add(SETTLEMENT_GRACE_S)?,
        })
    }

    /// The hash that is signed.
    pub fn message_hash(&self, domain: Felt, amounts: &Amounts) -> Felt {
        let order = starknet_crypto::poseidon_hash_many(&[
            Felt::from_hex_unchecked(ORDER_SELECTOR),
            self.vault.into(),
            self.assets.synthetic_id,
            amounts.base.into(),
            self.assets.collateral_id,
            amounts.quote.into(),
            self.assets.collateral_id,
            amounts.fee.into(),
            amounts.expiration_s.into(),
            self.nonce.into(),
        ]);
        starknet_crypto::poseidon_hash_many(&[
            short_text("StarkNet Message"),
            domain,
            self.public_key,
            order,
        ])
    }
}

/// Product of the factors times `resolution` (a power of ten), as a whole number.
fn scaled(factors: &[Decimal], resolution: u64, round_up: bool) -> Option<i128> {
    let mut product: i128 = 1;
    let mut places = 0;
    for factor in factors {
        product = product.checked_mul(factor.mantissa)?;
        places += factor.places;
    }
    // The resolution is taken off the places first, so that the product stays small.
    let digits = resolution.checked_ilog10()?;
    if digits >= places {
        return product.checked_mul(10_i128.checked_pow(digits - places)?);
    }
    let divisor = 10_i128.checked_pow(places - digits)?;
    let floor = product.div_euclid(divisor);
    let over = product.rem_euclid(divisor) != 0;
    Some(if round_up && over { floor + 1 } else { floor })
}

/// What a withdrawal's signature covers.
#[derive(Clone, Copy, Debug)]
pub struct MoveTerms {
    /// Starknet address that receives.
    pub recipient: Felt,
    /// Paying vault.
    pub vault: u32,
    /// Asset id of the collateral.
    pub collateral: Felt,
    /// In units of the settlement layer.
    pub amount: u64,
    /// Epoch seconds.
    pub expiration_s: u64,
    /// The request's salt.
    pub salt: u64,
}

impl MoveTerms {
    /// The message hash that is signed.
    pub fn withdrawal_hash(&self, domain: Felt, public_key: Felt) -> Felt {
        let withdrawal = starknet_crypto::poseidon_hash_many(&[
            Felt::from_hex_unchecked(WITHDRAW_SELECTOR),
            self.recipient,
            self.vault.into(),
            self.collateral,
            self.amount.into(),
            self.expiration_s.into(),
            self.salt.into(),
        ]);
        let head = short_text("StarkNet Message");
        starknet_crypto::poseidon_hash_many(&[head, domain, public_key, withdrawal])
    }
}

/// Hash of the venue's Starknet domain for `SN_MAIN` or `SN_SEPOLIA`.
pub fn domain_hash(chain_id: &str) -> Felt {
    starknet_crypto::poseidon_hash_many(&[
        Felt::from_hex_unchecked(DOMAIN_SELECTOR),
        short_text("Perpetuals"),
        short_text("v0"),
        short_text(chain_id),
        Felt::ONE,
    ])
}

/// Cairo's short text: ASCII bytes as one big-endian number, at most 31 of them.
pub fn short_text(text: &str) -> Felt {
    Felt::from_bytes_be_slice(text.as_bytes())
}

/// Hex as the venue writes it: `0x`, then digits without leading zeros, below the field's prime.
pub fn parse_hex(text: &str) -> Option<Felt> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !plain || digits.is_empty() || digits.len() > 64 || digits.starts_with('0') {
        return None;
    }
    let value = Felt::from_hex(text).ok()?;
    // A value above the prime would be reduced silently; written back it would differ.
    format!("{value:#x}")
        .eq_ignore_ascii_case(text)
        .then_some(value)
}

/// The public key (x coordinate) of a private key.
pub fn public_key(private_key: &Felt) -> Felt {
    starknet_crypto::get_public_key(private_key)
}

/// Whether `(r, s)` is a signature of `hash` by the owner of `public_key`.
pub fn is_signed(public_key: &Felt, hash: &Felt, r: &Felt, s: &Felt) -> bool {
    starknet_crypto::verify(public_key, hash, r, s).unwrap_or(false)
}

/// Signs as a client would; the venue itself never does.
#[cfg(test)]
pub fn sign(private_key: &Felt, hash: &Felt) -> (Felt, Felt) {
    let signed = (0_u32..).map(Felt::from).find_map(|retry| {
        let k = starknet_crypto::rfc6979_generate_k(hash, private_key, Some(&retry));
        starknet_crypto::sign(private_key, hash, &k).ok()
    });
    let signature = signed.expect("one of four thousand million nonces serves");
    (signature.r, signature.s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Vec<Value> {
        let text = include_str!("../../../tests/data/extended/extended_orders.json");
        let mut whole: Value = serde_json::from_str(text).unwrap();
        match whole["cases"].take() {
            Value::Array(cases) => cases,
            other => panic!("{other}"),
        }
    }

    fn text(value: &Value) -> &str {
        value.as_str().unwrap()
    }

    fn terms(case: &Value) -> Terms {
        let input = &case["input"];
        let l2 = &input["l2_config"];
        let fee = Decimal::parse(text(&input["fee_rate"])).unwrap();
        let builder = match &input["builder_fee"] {
            Value::String(rate) => Decimal::parse(rate).unwrap(),
            _ => Decimal::ZERO,
        };
        Terms {
            is_buy: text(&input["side"]) == "BUY",
            qty: Decimal::parse(text(&input["qty"])).unwrap(),
            price: Decimal::parse(text(&input["price"])).unwrap(),
            fee: fee.plus(builder).unwrap(),
            nonce: input["nonce"].as_u64().unwrap(),
            expiry_ms: input["expiry_epoch_millis"].as_u64().unwrap(),
            vault: input["vault"].as_u64().unwrap() as u32,
            public_key: parse_hex(text(&input["public_key"])).unwrap(),
            assets: Assets {
                synthetic_id: parse_hex(text(&l2["syntheticId"])).unwrap(),
                synthetic_resolution: l2["syntheticResolution"].as_u64().unwrap(),
                collateral_id: parse_hex(text(&l2["collateralId"])).unwrap(),
                collateral_resolution: l2["collateralResolution"].as_u64().unwrap(),
            },
        }
    }

    fn accepts(terms: &Terms, domain: Felt, r: &Felt, s: &Felt) -> bool {
        let amounts = terms.amounts().unwrap();
        let hash = terms.message_hash(domain, &amounts);
        is_signed(&terms.public_key, &hash, r, s)
    }

    #[test]
    fn official_vectors_are_accepted() {
        let cases = vectors();
        assert_eq!(cases.len(), 240);
        for case in &cases {
            let expected = &case["expected"];
            let terms = terms(case);
            let amounts = terms.amounts().unwrap();
            assert_eq!(amounts.base, expected["base_amount"].as_i64().unwrap());
            assert_eq!(amounts.quote, expected["quote_amount"].as_i64().unwrap());
            assert_eq!(amounts.fee, expected["fee_amount"].as_u64().unwrap());
            let expiration = expected["settlement_expiration"].as_u64().unwrap();
            assert_eq!(amounts.expiration_s, expiration);
            let domain = domain_hash(text(&case["input"]["chain_id"]));
            assert_eq!(format!("{domain:#x}"), text(&case["domain_hash"]));
            let hash = terms.message_hash(domain, &amounts);
            assert_eq!(format!("{hash:#x}"), text(&expected["order_hash"]));
            let r = parse_hex(text(&expected["r"])).unwrap();
            let s = parse_hex(text(&expected["s"])).unwrap();
            assert!(is_signed(&terms.public_key, &hash, &r, &s));
        }
    }

    #[test]
    fn official_vectors_are_refused_with_one_field_changed() {
        for case in vectors().iter().step_by(8) {
            let good = terms(case);
            let domain = domain_hash(text(&case["input"]["chain_id"]));
            let r = parse_hex(text(&case["expected"]["r"])).unwrap();
            let s = parse_hex(text(&case["expected"]["s"])).unwrap();
            assert!(accepts(&good, domain, &r, &s));
            let one = |value: &str| Decimal::parse(value).unwrap();
            let mut wrong = vec![good; 10];
            wrong[0].is_buy = !good.is_buy;
            wrong[1].qty = good.qty.plus(one("1")).unwrap();
            wrong[2].price = good.price.plus(one("1")).unwrap();
            wrong[3].fee = good.fee.plus(one("0.01")).unwrap();
            wrong[4].nonce += 1;
            wrong[5].expiry_ms += 1000;
            wrong[6].vault ^= 1;
            wrong[7].public_key = public_key(&Felt::from(77_u32));
            wrong[8].assets.synthetic_id += Felt::ONE;
            wrong[9].assets.collateral_id += Felt::ONE;
            for (idx, terms) in wrong.iter().enumerate() {
                assert!(!accepts(terms, domain, &r, &s), "field {idx}");
            }
            assert!(!accepts(&good, domain + Felt::ONE, &r, &s));
            assert!(!accepts(&good, domain, &(r + Felt::ONE), &s));
            assert!(!accepts(&good, domain, &r, &(s + Felt::ONE)));
        }
    }

    #[test]
    fn official_withdrawals_hash_and_verify() {
        let text = include_str!("../../../tests/data/extended/extended_withdrawals.json");
        let whole: Value = serde_json::from_str(text).unwrap();
        let cases = whole["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 40);
        let value = |value: &Value| parse_hex(value.as_str().unwrap()).unwrap();
        for case in cases {
            let (input, expected) = (&case["input"], &case["expected"]);
            let terms = MoveTerms {
                recipient: value(&input["recipient"]),
                vault: input["vault"].as_u64().unwrap() as u32,
                collateral: value(&input["collateral_id"]),
                amount: expected["amount"].as_u64().unwrap(),
                expiration_s: expected["expiration"].as_u64().unwrap(),
                salt: input["nonce"].as_u64().unwrap(),
            };
            let domain = domain_hash(input["chain_id"].as_str().unwrap());
            let public_key = value(&input["public_key"]);
            let hash = terms.withdrawal_hash(domain, public_key);
            assert_eq!(hash, value(&case["message_hash"]));
            let (r, s) = (value(&expected["r"]), value(&expected["s"]));
            assert!(is_signed(&public_key, &hash, &r, &s));
            let bent = MoveTerms {
                salt: terms.salt + 1,
                ..terms
            };
            let hash = bent.withdrawal_hash(domain, public_key);
            assert!(!is_signed(&public_key, &hash, &r, &s));
        }
    }

    #[test]
    fn decimals_and_hex_are_strict() {
        for bad in ["", ".", ".5", "1e3", "+1", "1.2.3", "1,0", " 1", "--1"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
        assert_eq!(Decimal::parse("0.00020").unwrap().to_nano(), Some(200_000));
        assert_eq!(Decimal::parse("0.0000000001").unwrap().to_nano(), None);
        assert_eq!(Decimal::parse("99999999999").unwrap().to_nano(), None);
        for bad in [
            "",
            "0x",
            "12",
            "0x01",
            "0xg",
            &format!("0x{}", "f".repeat(64)),
        ] {
            assert_eq!(parse_hex(bad), None, "{bad}");
        }
    }
}
