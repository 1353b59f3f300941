//! A new order, from the engine's terms to signed fields.
//!
//! Promises: what is signed is exactly what the request's texts say; the expiry is in whole seconds
//! and the salt is new. A nonce point made ahead makes signing cheap; without one the signature is
//! made in full: slower, counted, never wrong.
//! Refuses: prices and sizes off the market's grid, amounts out of the signed message's ranges.
//! Sources: S1 (`signing.order_object_settlement`), D1 (create or edit order).

use super::Core;
use super::ladder::Wanted;
use super::lanes::LaneState;
use super::request::PlaceFields;
use crate::market::book::Side;
use crate::market::foresight::Rung;
use crate::market::order::{Order, OrderId, Refusal};
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

/// An order that can be written.
pub(super) struct Signed {
    pub(super) fields: PlaceFields,
    pub(super) how: Signing,
    /// Where its body lies in the ladder.
    pub(super) ready: Option<usize>,
}

impl Core {
    /// Checks the grid, then takes what lies ready, or makes the amounts, hashes and signs.
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
    ) -> Result<Signed, Refusal> {
        let market = &self.markets[market_idx].market;
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
        if let Some(ready) = self.take_ready(order, market_idx, now) {
            return Ok(ready);
        }
        let (config, asked) = (&self.markets[market_idx], (order.side, size, price));
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
        Ok(Signed {
            fields,
            how: signing,
            ready: None,
        })
    }

    /// What lies ready of the very order that is asked for.
    #[inline]
    fn take_ready(&mut self, order: &Order, market_idx: usize, now: Nanos) -> Option<Signed> {
        let wanted = Wanted {
            market_idx,
            side: order.side,
            price: order.price,
            size: order.size,
        };
        let (place, fields) = self.ladder.as_mut()?.take(&wanted, now)?;
        Some(Signed {
            fields: PlaceFields {
                id: order.id,
                reduce_only: order.reduce_only,
                ..fields
            },
            how: Signing::Ready,
            ready: Some(place),
        })
    }

    /// An order on this market may be asked for soon. Off its grid it won't be.
    pub(super) fn want(&mut self, rung: &Rung, now: Nanos) {
        let Some(market_idx) = self.market_at(rung.instrument) else {
            return;
        };
        let market = &self.markets[market_idx].market;
        let is_on_grid = rung.size > Size::ZERO
            && rung.price.0 > 0
            && rung.size.0 % market.lot.0.max(1) == 0
            && rung.price.0 % market.tick.0.max(1) == 0;
        if let (true, Some(ladder)) = (is_on_grid, &mut self.ladder) {
            let wanted = Wanted {
                market_idx,
                side: rung.side,
                price: rung.price,
                size: rung.size,
            };
            ladder.want(&wanted, now);
        }
    }

    /// Signs what was wanted first, with a point or not at all: in full it may as well wait for its
    /// order. While no connection could carry it, nothing is signed.
    pub(super) fn prepare(
        &mut self,
        now: Nanos,
        ahead: impl FnOnce() -> Option<NoncePoint>,
    ) -> bool {
        let is_live = !self.opening.is_closed() && self.lanes.iter().any(LaneState::is_live);
        let Some(ladder) = self.ladder.as_mut().filter(|_| is_live) else {
            return false;
        };
        let Some((place, wanted)) = ladder.next_wanted() else {
            return false;
        };
        let Some(point) = ahead() else {
            return false;
        };
        let Wanted {
            market_idx,
            side,
            price,
            size,
        } = wanted;
        let asked = (side, size, price);
        let config = &self.markets[market_idx];
        let terms = terms(config, &self.hasher, &mut self.salts, asked, now);
        let signed = terms.ok().and_then(|terms| {
            let signature = point.sign(terms.message).ok()?;
            Some(PlaceFields {
                id: OrderId::NONE,
                market_idx,
                side,
                size,
                price,
                reduce_only: false,
                expiry_ms: terms.expiry_ms,
                salt: terms.salt,
                signature,
            })
        });
        let requests = &self.requests;
        ladder.keep(place, signed, now, |body, fields| {
            requests.write_body(body, fields);
        });
        true
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
