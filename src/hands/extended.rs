//! Hands on an Extended account.
//!
//! Promises: orders go where the engine's would go (EXTENDED_ORDER_URL), signed by the same code,
//! no further from the mark than the venue takes. Refuses: a market whose mark, grid or fee can't
//! be read.
//!
//! Sources: D1 (create or edit order: price cap and floor; mass cancel; order history).

use crate::config::{Extended, StarknetChain};
use crate::hands::closing::{Ids, cut, worst_price};
use crate::hands::{Done, Hands, HandsError, Held, Resting};
use crate::market::Venue;
use crate::market::book::Side;
use crate::market::units::{Bps, Size};
use crate::stage::clock::Clock;
use crate::venue::extended::account::{Closing, ExtendedRest, MarketInfo, OrderSigner, RestError};
use crate::venue::extended::sign::StarkKey;
use crate::venue::extended::sign::hash::Chain;

/// Pages of past orders read, a hundred each. Larger: older positions are explained as well.
const PAGES: usize = 3;

/// An account on Extended, by REST alone.
pub struct ExtendedHands {
    reads: ExtendedRest,
    orders: ExtendedRest,
    signer: OrderSigner,
    ids: Ids,
    clock: Clock,
}

impl ExtendedHands {
    /// For the account in these settings. `root_pem` is TLS_CA_FILE, `run` stands in the ids of
    /// orders. Nothing is asked of the venue yet.
    pub fn new(
        settings: &Extended,
        root_pem: Option<&[u8]>,
        run: u16,
        clock: Clock,
    ) -> Result<ExtendedHands, HandsError> {
        let account = settings.account.as_ref().ok_or_else(|| {
            HandsError(
                "Extended: no account is configured: EXTENDED_API_KEY, EXTENDED_PRIVATE_KEY and \
                 EXTENDED_VAULT are needed"
                    .into(),
            )
        })?;
        let api_key = account.api_key.expose();
        let rest = |url: &str| ExtendedRest::new(url, api_key, root_pem);
        let key = StarkKey::parse_hex(account.private_key.to_hex().expose());
        let key = key.map_err(|error| {
            HandsError(format!(
                "Extended: EXTENDED_PRIVATE_KEY can't be used: {error}"
            ))
        })?;
        let chain = match settings.chain {
            StarknetChain::Main => Chain::Main,
            StarknetChain::Sepolia => Chain::Sepolia,
        };
        Ok(ExtendedHands {
            reads: rest(settings.base.as_str())?,
            orders: rest(settings.order.as_str())?,
            signer: OrderSigner::new(key, chain, account.vault)?,
            ids: Ids::new(run, Venue::Extended),
            clock,
        })
    }

    /// The account's taker rate on a market, a ratio at 10^-9. A lower one than the venue's would
    /// have the order refused.
    fn fee_rate(&self, market: &str) -> Result<i64, HandsError> {
        let fees = self.reads.fees(&[market])?;
        let found = fees.iter().find(|row| row.market == market);
        found
            .map(|row| row.taker_rate)
            .ok_or_else(|| HandsError(format!("Extended: {market}: no fee is listed")))
    }
}

impl Hands for ExtendedHands {
    fn venue(&self) -> Venue {
        Venue::Extended
    }

    fn markets(&self) -> Result<Vec<String>, HandsError> {
        let listing = self.reads.markets()?;
        let read = listing.markets.iter().map(|row| row.name.to_string());
        Ok(read
            .chain(listing.unread.iter().map(|row| row.name.clone()))
            .collect())
    }

    fn positions(&self) -> Result<Vec<Held>, HandsError> {
        let held = self.reads.positions()?.into_iter().map(|position| Held {
            market: position.market,
            size: position.size,
            entry: position.entry,
        });
        Ok(held.collect())
    }

    fn resting(&self) -> Result<Vec<Resting>, HandsError> {
        let orders = self.reads.open_orders()?.into_iter().map(|order| Resting {
            market: order.market,
            id: order.id,
        });
        Ok(orders.collect())
    }

    fn done(&self) -> Result<Vec<Done>, HandsError> {
        let past = self.reads.past_orders(PAGES)?.into_iter();
        let done = past
            .filter(|order| order.filled > Size::ZERO)
            .map(|order| Done {
                market: order.market,
                id: order.id,
                side: order.side,
                filled: order.filled,
            });
        Ok(done.collect())
    }

    fn cancel_all(&mut self) -> Result<(), HandsError> {
        Ok(self.orders.cancel_all()?)
    }

    fn cancel_market(&mut self, market: &str) -> Result<(), HandsError> {
        Ok(self.orders.cancel_market(market)?)
    }

    fn reduce(&mut self, held: &Held, size: Size, band: Bps) -> Result<(), HandsError> {
        let name = &held.market;
        let market = self.reads.market(name)?;
        let mark = market
            .mark
            .ok_or_else(|| HandsError(format!("Extended: {name} has no mark price")))?;
        let (side, size) = cut(held, size, market.lot)?;
        let price = worst_price(side, mark, band.min(limit(&market, side)), market.tick);
        let closing = Closing {
            id: self.ids.next(),
            side,
            size,
            price,
        };
        let fee_rate = self.fee_rate(name)?;
        let now = self.clock.now();
        let body = self.signer.close(&market, fee_rate, &closing, now)?;
        self.orders.place(&body).map_err(|error| {
            let dust = match size < market.size_min {
                true => format!(" (dust: below the smallest order, {})", market.size_min),
                false => String::new(),
            };
            HandsError(format!("{error}{dust}"))
        })
    }
}

/// How far from the mark the venue takes a price: nine tenths of it, as the mark moves between our
/// reading and its judgement.
fn limit(market: &MarketInfo, side: Side) -> Bps {
    let ratio = match side {
        Side::Bid => market.price_cap,
        Side::Ask => market.price_floor,
    };
    // 10^-9 of a ratio is 10^-5 of a basis point.
    Bps::from_milli(ratio / 10 * 9 / 100)
}

impl From<RestError> for HandsError {
    fn from(error: RestError) -> HandsError {
        HandsError(error.to_string())
    }
}
