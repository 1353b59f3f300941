//! Extended's vector files: orders with their legs, vault shares, transfers, withdrawals.
//!
//! Amounts, hashes and the deterministic signature must all be the official ones; each message is
//! also handed on to be signed both ways.

use super::Verdict;
use super::case::{Case, equal};
use super::signing::Bench;
use crate::market::book::Side;
use crate::venue::extended::sign::amounts::{Exact, OrderValue, Rounding, order_amounts, settle};
use crate::venue::extended::sign::hash::{
    Chain, MoveTerms, OrderHasher, OrderTerms, limit_order_hash, transfer_hash, withdraw_hash,
};
use crate::venue::extended::sign::{Felt, StarkKey, verify};

/// Signed expirations lie this much after an order's own expiry: 14 days.
const EXPIRATION_EXTRA_S: u64 = 1_209_600;
/// Vault orders live for an hour.
const LIMIT_ORDER_LIFE_S: u64 = 3_600;
/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// A signing account.
struct Account {
    key: StarkKey,
    hasher: OrderHasher,
    vault: u32,
}

impl Account {
    /// From a case and its inputs; the domain of its chain must be the official one.
    fn read(case: Case<'_>, input: Case<'_>) -> Result<Account, String> {
        let key = StarkKey::parse_hex(input.text("private_key")?)
            .map_err(|why| format!("`private_key`: {why:?}"))?;
        equal("public_key", key.public_key(), input.felt("public_key")?)?;
        let name = if input.has("vault") {
            "vault"
        } else {
            "from_vault"
        };
        let vault = u32::try_from(input.number(name)?).map_err(|_| format!("`{name}`: 32 bits"))?;
        let chain = Chain::parse(input.text("chain_id")?).ok_or("`chain_id` is unknown")?;
        equal(
            "domain_hash",
            chain.domain_hash(),
            case.felt("domain_hash")?,
        )?;
        let hasher = OrderHasher::new(chain, key.public_key(), vault);
        Ok(Account { key, hasher, vault })
    }

    /// The official signature verifies and is the one we make; ours are judged at the bench.
    fn check(&self, hash: Felt, signature: Case<'_>, bench: &mut Bench) -> Verdict {
        let (r, s) = (signature.felt("r")?, signature.felt("s")?);
        let ours = self
            .key
            .sign(hash)
            .map_err(|why| format!("signing: {why:?}"))?;
        equal("r", ours.r, r)?;
        equal("s", ours.s, s)?;
        if !verify(self.key.public_key(), hash, &ours) {
            return Err("the official signature does not verify".to_owned());
        }
        bench.extended(&self.key, hash);
        Ok(())
    }
}

fn exact(case: Case<'_>, name: &str) -> Result<Exact, String> {
    let text = case.text(name)?;
    Exact::parse(text.as_bytes()).map_err(|why| format!("`{name}`: {why:?}"))
}

/// The entry, and its take-profit and stop-loss legs where there are any.
pub fn order(case: &Case<'_>, bench: &mut Bench) -> Verdict {
    let (input, expected) = (case.part("input")?, case.part("expected")?);
    equal("side", input.text("side")?, expected.text("side")?)?;
    equal("price", exact(input, "price")?, exact(expected, "price")?)?;
    signed_order(case, expected, bench)?;
    if !case.has("legs") {
        return Ok(());
    }
    let legs = case.part("legs")?;
    for name in ["take_profit", "stop_loss"] {
        if legs.has(name) {
            let leg = signed_order(case, legs.part(name)?, bench);
            leg.map_err(|why| format!("{name}: {why}"))?;
        }
    }
    Ok(())
}

/// The entry or a leg: a leg has its own side and price, and all else from the entry.
fn signed_order(case: &Case<'_>, expected: Case<'_>, bench: &mut Bench) -> Verdict {
    let input = case.part("input")?;
    let account = Account::read(*case, input)?;
    let l2 = input.part("l2_config")?;
    let side = match expected.text("side")? {
        "BUY" => Side::Bid,
        "SELL" => Side::Ask,
        other => return Err(format!("`side` {other} is unknown")),
    };
    let amounts = order_amounts(&OrderValue {
        side,
        size: exact(input, "qty")?,
        price: exact(expected, "price")?,
        fee_rate: fee_rate(input)?,
        base_resolution: l2.number("syntheticResolution")?,
        quote_resolution: l2.number("collateralResolution")?,
    })
    .map_err(|why| format!("amounts: {why:?}"))?;
    equal("base_amount", amounts.base, expected.signed("base_amount")?)?;
    equal(
        "quote_amount",
        amounts.quote,
        expected.signed("quote_amount")?,
    )?;
    equal("fee_amount", amounts.fee, expected.number("fee_amount")?)?;
    let expiration_s = input.number("expiry_epoch_millis")?.div_ceil(1000) + EXPIRATION_EXTRA_S;
    let official = expected.number("settlement_expiration")?;
    equal("settlement_expiration", expiration_s, official)?;
    let terms = OrderTerms {
        base_asset: l2.felt("syntheticId")?,
        base_amount: amounts.base,
        quote_asset: l2.felt("collateralId")?,
        quote_amount: amounts.quote,
        fee_amount: amounts.fee,
        expiration_s,
        salt: input.number("nonce")?,
    };
    let struct_hash = account.hasher.struct_hash(&terms);
    equal("struct_hash", struct_hash, expected.felt("struct_hash")?)?;
    let hash = account.hasher.order_hash(&terms);
    equal("order_hash", hash, expected.felt("order_hash")?)?;
    account.check(hash, expected, bench)
}

/// The account's rate and the builder's, exactly.
fn fee_rate(input: Case<'_>) -> Result<Exact, String> {
    let own = exact(input, "fee_rate")?;
    if !input.has("builder_fee") {
        return Ok(own);
    }
    let builder = exact(input, "builder_fee")?;
    let digits = own.digits.max(builder.digits);
    let lift = |fee: Exact| fee.value * 10_i128.pow(digits - fee.digits);
    Ok(Exact {
        value: lift(own) + lift(builder),
        digits,
    })
}

/// An amount in the settlement layer's units.
fn settled<T: TryFrom<i128>>(
    case: Case<'_>,
    amount: &str,
    unit: &str,
    how: Rounding,
) -> Result<T, String> {
    let settled = settle(exact(case, amount)?, case.number(unit)?, how);
    let settled = settled.map_err(|why| format!("`{amount}`: {why:?}"))?;
    T::try_from(settled).map_err(|_| format!("`{amount}` is beyond its 64 bits"))
}

/// Vault shares: rounded away from zero on the magnitude; the sign comes after.
pub fn limit_order(case: &Case<'_>, bench: &mut Bench) -> Verdict {
    let input = case.part("input")?;
    let account = Account::read(*case, input)?;
    let base: i64 = settled(input, "base_amount", "base_resolution", Rounding::Up)?;
    let quote: i64 = settled(input, "quote_amount", "quote_resolution", Rounding::Up)?;
    let sign = if input.flag("is_buy")? { 1 } else { -1 };
    let now_s = input.number("now_epoch_millis")?.div_ceil(1000);
    let terms = OrderTerms {
        base_asset: input.felt("base_asset_id")?,
        base_amount: sign * base,
        quote_asset: input.felt("quote_asset_id")?,
        quote_amount: -sign * quote,
        fee_amount: 0,
        expiration_s: now_s + LIMIT_ORDER_LIFE_S + EXPIRATION_EXTRA_S,
        salt: input.number("nonce")?,
    };
    let expected = case.part("sdk_settlement")?;
    vault_settlement(&account, &terms, expected)?;
    let struct_hash = limit_order_hash(account.vault, &terms);
    equal("struct_hash", struct_hash, case.felt("struct_hash")?)?;
    let hash = account.hasher.message_hash(struct_hash);
    equal("message_hash", hash, case.felt("message_hash")?)?;
    account.check(hash, expected.part("signature")?, bench)
}

/// The settlement object that the venue recomputes the hash from.
fn vault_settlement(account: &Account, terms: &OrderTerms, official: Case<'_>) -> Verdict {
    let vault = u64::from(account.vault);
    for (name, ours) in [
        ("feeAmount", terms.fee_amount),
        ("expirationTimestamp", terms.expiration_s),
        ("nonce", terms.salt),
        ("senderPositionId", vault),
        ("receiverPositionId", vault),
    ] {
        equal(name, ours, official.number(name)?)?;
    }
    for (name, ours) in [
        ("baseAssetId", terms.base_asset),
        ("quoteAssetId", terms.quote_asset),
        ("feeAssetId", terms.quote_asset),
    ] {
        equal(name, ours, official.felt(name)?)?;
    }
    equal(
        "baseAmount",
        terms.base_amount,
        official.signed("baseAmount")?,
    )?;
    equal(
        "quoteAmount",
        terms.quote_amount,
        official.signed("quoteAmount")?,
    )
}

/// A transfer to another vault; it lasts 21 days.
pub fn transfer(case: &Case<'_>, bench: &mut Bench) -> Verdict {
    let recipient = Felt::from(case.part("input")?.number("to_vault")?);
    moved(case, (recipient, 21), transfer_hash, bench)
}

/// A withdrawal to an address; it lasts 15 days.
pub fn withdrawal(case: &Case<'_>, bench: &mut Bench) -> Verdict {
    let recipient = case.part("input")?.felt("recipient")?;
    moved(case, (recipient, 15), withdraw_hash, bench)
}

fn moved(
    case: &Case<'_>,
    (recipient, days): (Felt, u64),
    struct_hash: fn(&MoveTerms) -> Felt,
    bench: &mut Bench,
) -> Verdict {
    let input = case.part("input")?;
    let account = Account::read(*case, input)?;
    let terms = MoveTerms {
        recipient,
        vault: account.vault,
        asset: input.felt("collateral_id")?,
        amount: settled(input, "amount", "resolution", Rounding::HalfEven)?,
        expiration_s: input.number("now_epoch_millis")?.div_ceil(1000) + days * DAY_S,
        salt: input.number("nonce")?,
    };
    let expected = case.part("expected")?;
    equal("amount", terms.amount, expected.number("amount")?)?;
    equal(
        "expiration",
        terms.expiration_s,
        expected.number("expiration")?,
    )?;
    let struct_hash = struct_hash(&terms);
    equal("struct_hash", struct_hash, case.felt("struct_hash")?)?;
    let hash = account.hasher.message_hash(struct_hash);
    equal("message_hash", hash, case.felt("message_hash")?)?;
    account.check(hash, expected, bench)
}
