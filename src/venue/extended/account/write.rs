//! What makes an account smaller: cancels, and reduce-only orders that match at once or never.
//!
//! Promises: the order is hashed, signed and written by the very code of the gateway's orders.
//! Refuses: an order that could open anything; sending twice by itself.
//!
//! Sources: D1 (create or edit order, mass cancel), S1.

use super::{ExtendedRest, Fees, MarketInfo, RestError, finish};
use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::order::OrderId;
use crate::market::units::{Nanos, Price, Size};
use crate::venue::extended::orders::{PlaceFields, body, terms};
use crate::venue::extended::sign::hash::{Chain, OrderHasher};
use crate::venue::extended::sign::{Felt, Salts, StarkKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A request that carries a body.
type Asking = ureq::RequestBuilder<ureq::typestate::WithBody>;

/// One reduce-only order. It buys where the position is short.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// Our id, new for the account.
    pub id: OrderId,
    /// `Bid` buys.
    pub side: Side,
    /// On the lot, positive.
    pub size: Size,
    /// Worst price, on the tick.
    pub price: Price,
}

/// Who signs for one vault, away from the gateway.
pub struct OrderSigner {
    pub(super) key: StarkKey,
    pub(super) account: (Felt, u32),
    pub(super) hasher: OrderHasher,
    pub(super) salts: Salts,
}

impl OrderSigner {
    /// For a key and its vault. Fails when the system gives no random numbers.
    pub fn new(key: StarkKey, chain: Chain, vault: u32) -> Result<OrderSigner, RestError> {
        let public_key = key.public_key();
        let none = RestError::Settings("the operating system gives no random numbers");
        Ok(OrderSigner {
            account: (public_key, vault),
            hasher: OrderHasher::new(chain, public_key, vault),
            key,
            salts: Salts::random().ok_or(none)?,
        })
    }

    /// The public key, as the venue's `l2Key`.
    pub fn public_key(&self) -> Felt {
        self.account.0
    }

    /// The request body of a reduce-only order, signed. `fee_rate` is the highest taker rate
    /// accepted, a ratio at 10^-9.
    pub fn close(
        &mut self,
        market: &MarketInfo,
        fee_rate: i64,
        closing: &Closing,
        now: Nanos,
    ) -> Result<Zeroizing<Vec<u8>>, RestError> {
        let fees = Fees {
            market: market.name.to_string(),
            maker_rate: fee_rate,
            taker_rate: fee_rate,
        };
        // The instrument is the engine's own number and stands in no request.
        let config = market.config(InstrumentId(0), &fees);
        let Closing {
            id,
            side,
            size,
            price,
        } = *closing;
        let asked = (side, size, price);
        let terms = terms(&config, &self.hasher, &mut self.salts, asked, now)
            .map_err(|_| RestError::Settings("the order's amounts are out of range"))?;
        let signature = self.key.sign(terms.message);
        let fields = PlaceFields {
            id,
            market_idx: 0,
            side,
            size,
            price,
            reduce_only: true,
            expiry_ms: terms.expiry_ms,
            salt: terms.salt,
            signature: signature.map_err(|_| RestError::Settings("the order can't be signed"))?,
        };
        body(&config, self.account, &fields)
            .map_err(|_| RestError::Settings("the market's name or fee can't stand in an order"))
    }
}

impl ExtendedRest {
    /// Sends an order's body. Accepted is not filled. After [`RestError::Unreachable`] and after a
    /// fault of the server nobody knows; the order dies by its expiry, a minute after it was
    /// signed.
    pub fn place(&self, body: &[u8]) -> Result<(), RestError> {
        self.post("/user/order", body).map(|_| ())
    }

    /// Cancels every open order of the account. The end of each comes on the stream or in
    /// [`Self::open_orders`].
    pub fn cancel_all(&self) -> Result<(), RestError> {
        self.cancel_by(&json!({"cancelAll": true}))
    }

    /// The same, of one market. Never together with `cancelAll`: which wins is not documented.
    pub fn cancel_market(&self, name: &str) -> Result<(), RestError> {
        self.cancel_by(&json!({"markets": [name]}))
    }

    /// Sets the leverage of one market. (D1, update leverage)
    pub fn set_leverage(&self, market: &str, leverage: u32) -> Result<(), RestError> {
        let change = json!({"market": market, "leverage": leverage.to_string()}).to_string();
        let request = self
            .agent
            .patch([&self.base_url, "/user/leverage"].concat());
        self.sent(request, change.as_bytes()).map(|_| ())
    }

    fn cancel_by(&self, what: &Value) -> Result<(), RestError> {
        self.post("/user/order/massCancel", what.to_string().as_bytes())
            .map(|_| ())
    }

    /// One request with a JSON body.
    pub(super) fn post(&self, path: &str, body: &[u8]) -> Result<Value, RestError> {
        self.sent(self.agent.post([&self.base_url, path].concat()), body)
    }

    fn sent(&self, request: Asking, body: &[u8]) -> Result<Value, RestError> {
        let request = request.header("X-Api-Key", &*self.api_key);
        let request = request.header("Content-Type", "application/json");
        finish(request.send(body)).map(|(data, _)| data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Name;
    use crate::market::units::Notional;
    use crate::venue::extended::sign::amounts::{Exact, OrderValue, order_amounts};
    use crate::venue::extended::sign::hash::OrderTerms;
    use crate::venue::extended::sign::{Signature, parse_felt, verify};

    fn market() -> MarketInfo {
        MarketInfo {
            name: Name::new("BTC-USD").unwrap(),
            base: "BTC".into(),
            status: "ACTIVE".into(),
            is_perpetual: true,
            is_active: true,
            is_rfq: false,
            category: String::new(),
            trading_hours: "CONTINUOUS".into(),
            tick: Price(1_000_000_000),
            lot: Size(10_000),
            size_min: Size(100_000),
            order_value_max: Notional::ZERO,
            open_interest_left: None,
            position_value_max: Notional::ZERO,
            price_cap: 50_000_000,
            price_floor: 50_000_000,
            mid: None,
            mark: None,
            index: None,
            daily_volume: Notional::ZERO,
            funding_rate: 0,
            funding_next_ms: 0,
            margins: vec![],
            base_asset: Felt::from(7_u32),
            base_resolution: 1_000_000,
            quote_asset: Felt::ONE,
            quote_resolution: 1_000_000,
        }
    }

    /// The body is read back, its numbers hashed by hand, and its signature verified.
    #[test]
    fn the_signature_covers_what_the_body_says() {
        let key = StarkKey::parse_hex("0x5eed").unwrap();
        let mut signer = OrderSigner::new(key, Chain::Sepolia, 10_002).unwrap();
        let public_key = signer.public_key();
        let closing = Closing {
            id: OrderId::new(9, 3, 1),
            side: Side::Ask,
            size: Size(1_230_000),
            price: Price(61_827_000_000_000),
        };
        let now = Nanos(1_790_000_000_500_000_000);
        let bytes = signer.close(&market(), 250_000, &closing, now).unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        for (member, expected) in [
            ("id", json!(format!("px-{}", closing.id.0))),
            ("side", json!("SELL")),
            ("qty", json!("0.00123")),
            ("price", json!("61827")),
            ("reduceOnly", json!(true)),
            ("timeInForce", json!("IOC")),
            ("fee", json!("0.00025")),
            ("expiryEpochMillis", json!(1_790_000_061_000_u64)),
        ] {
            assert_eq!(body[member], expected, "{member}");
        }
        let amounts = order_amounts(&OrderValue {
            side: Side::Ask,
            size: Exact::parse(b"0.00123").unwrap(),
            price: Exact::parse(b"61827").unwrap(),
            fee_rate: Exact::parse(b"0.00025").unwrap(),
            base_resolution: 1_000_000,
            quote_resolution: 1_000_000,
        })
        .unwrap();
        let message =
            OrderHasher::new(Chain::Sepolia, public_key, 10_002).order_hash(&OrderTerms {
                base_asset: Felt::from(7_u32),
                base_amount: amounts.base,
                quote_asset: Felt::ONE,
                quote_amount: amounts.quote,
                fee_amount: amounts.fee,
                expiration_s: 1_790_000_061 + 14 * 86_400,
                salt: body["nonce"].as_str().unwrap().parse().unwrap(),
            });
        let part = |name| {
            let text = body["settlement"]["signature"][name].as_str();
            parse_felt(text.unwrap()).unwrap()
        };
        let signature = Signature {
            r: part("r"),
            s: part("s"),
        };
        assert!(verify(public_key, message, &signature));
    }

    #[test]
    fn a_market_that_would_break_out_of_the_body_is_refused() {
        let key = StarkKey::parse_hex("0x5eed").unwrap();
        let mut signer = OrderSigner::new(key, Chain::Main, 1).unwrap();
        let mut odd = market();
        odd.name = Name::new("A\"B").unwrap();
        let closing = Closing {
            id: OrderId(1),
            side: Side::Bid,
            size: Size(10_000),
            price: Price(1_000_000_000),
        };
        let at = Nanos(1_790_000_000_000_000_000);
        assert!(signer.close(&odd, 0, &closing, at).is_err());
        assert!(signer.close(&market(), -1, &closing, at).is_err());
    }
}
