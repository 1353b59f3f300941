//! A new order, from the engine's terms to signed fields.
//!
//! Promises: what is signed is exactly what the request's texts say; the expiry is in whole seconds
//! and the salt is new. A nonce point made ahead makes signing cheap; without one the signature is
//! made in full: slower, counted, never wrong.
//! Refuses: prices and sizes off the market's grid, amounts out of the signed message's ranges.
//! Sources: S1 (`signing.order_object_settlement`), D1 (create or edit order).

use super::Core;
use super::request::PlaceFields;
use crate::market::book::Side;
use crate::market::order::{Order, Refusal};
use crate::market::units::{MS, Nanos, Price, SECOND, Size};
use crate::venue::Signing;
use crate::venue::extended::MarketConfig;
use crate::venue::extended::sign::amounts::{Exact, OrderValue, order_amounts};
use crate::venue::extended::sign::hash::{OrderHasher, OrderTerms};
use crate::venue::extended::sign::{Felt, NoncePoint, Salts, SignError, Signature};

/// How long an order may live. It matches at once or never, so this only bounds how late one that
/// was stuck on its way may still match. Smaller: a clock a few seconds off makes the venue refuse
/// it (the venue's was seen 2 to 3 s ahead of a host's). The venue's own limit is 90 days (D1).
const ORDER_LIFE_S: u64 = 60;
/// The signed expiration is this much after the expiry (S1, `signing.order_object_settlement`).
const SETTLEMENT_EXTRA_S: u64 = 14 * 86_400;

impl Core {
    /// Checks the grid, makes the amounts, hashes and signs.
    ///
    /// The order of the checks is the order of blame: first what the scanner asked for, then what
    /// this gateway has room for, then what the signed message can hold. A salt is drawn only for
    /// an order that passed all of them.
    pub(super) fn sign_place(
        &mut self,
        order: &Order,
        market_idx: usize,
        now: Nanos,
        ahead: impl FnOnce() -> Option<NoncePoint>,
    ) -> Result<(PlaceFields, Signing), Refusal> {
        let config = &self.markets[market_idx];
        let market = &config.market;
        let (size, price) = (order.size, order.price);
        // A remainder below the smallest size may still be asked to leave: the venue decides.
        let size_min = if order.reduce_only {
            market.lot
        } else {
            market.size_min
        };
        let on_grid = size > Size::ZERO
            && size >= size_min
            && price.0 > 0
            && size.0 % market.lot.0.max(1) == 0
            && price.0 % market.tick.0.max(1) == 0;
        if !on_grid {
            return Err(Refusal::OffGrid);
        }
        if !self.table.has_room() {
            return Err(Refusal::Busy);
        }
        let asked = (order.side, size, price);
        let terms = terms(config, &self.hasher, &mut self.salts, asked, now)?;
        let (signature, signing) = self
            .sign_hash(terms.message, ahead)
            .map_err(|_| Refusal::Signing)?;
        let fields = PlaceFields {
            id: order.id,
            market_idx,
            side: order.side,
            size,
            price,
            reduce_only: order.reduce_only,
            expiry_ms: terms.expiry_ms,
            salt: terms.salt,
            signature,
        };
        Ok((fields, signing))
    }

    /// With a point where there is one. A point that can't serve (a signature out of the venue's
    /// range, 2^-50) is gone; the full way then draws a nonce of its own.
    fn sign_hash(
        &self,
        hash: Felt,
        ahead: impl FnOnce() -> Option<NoncePoint>,
    ) -> Result<(Signature, Signing), SignError> {
        if let Some(Ok(signature)) = ahead().map(|point| point.sign(hash)) {
            return Ok((signature, Signing::Ahead));
        }
        Ok((self.key.sign(hash)?, Signing::Full))
    }
}

/// What is signed of an order, and what of it is neither price nor size.
pub(in crate::venue::extended) struct Terms {
    /// To be signed.
    pub(in crate::venue::extended) message: Felt,
    /// Epoch milliseconds, whole seconds.
    pub(in crate::venue::extended) expiry_ms: u64,
    /// The request's `nonce`.
    pub(in crate::venue::extended) salt: u32,
}

/// Amounts, expiry and salt of a limit order that matches at once or never, and their hash. A salt
/// is drawn only for an order whose amounts fit the signed message.
pub(in crate::venue::extended) fn terms(
    config: &MarketConfig,
    hasher: &OrderHasher,
    salts: &mut Salts,
    (side, size, price): (Side, Size, Price),
    now: Nanos,
) -> Result<Terms, Refusal> {
    // The fee signed is the highest that may be taken; the venue takes less where it is due.
    let amounts = order_amounts(&OrderValue {
        side,
        size: Exact::nano(size.0),
        price: Exact::nano(price.0),
        fee_rate: Exact::nano(config.fee_rate_taker),
        base_resolution: config.base_resolution,
        quote_resolution: config.quote_resolution,
    })
    .map_err(|_| Refusal::OffGrid)?;
    // Whole seconds: then neither side can round the signed expiration differently.
    let expiry_s = now.epoch_ms().div_ceil(1000) + ORDER_LIFE_S;
    let salt = salts.draw();
    let message = hasher.order_hash(&OrderTerms {
        base_asset: config.base_asset,
        base_amount: amounts.base,
        quote_asset: config.quote_asset,
        quote_amount: amounts.quote,
        fee_amount: amounts.fee,
        expiration_s: expiry_s + SETTLEMENT_EXTRA_S,
        salt: u64::from(salt),
    });
    Ok(Terms {
        message,
        expiry_ms: expiry_s * (SECOND / MS),
        salt,
    })
}
