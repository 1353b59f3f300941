//! Hands on a Lighter account.
//!
//! Promises: the last key of LIGHTER_API_KEYS signs everything here, so that it waits behind no
//! taker order of the engine's other keys. Refuses: a price further than a few per cent from the
//! mark, which the venue takes for an accident.
//!
//! Sources: *rest*, *signer*, *delays* in the venue's Sources.

use crate::config::Lighter;
use crate::hands::closing::{Ids, cut, worst_price};
use crate::hands::{Done, Hands, HandsError, Held, Resting};
use crate::market::Venue;
use crate::market::book::Side;
use crate::market::order::OrderId;
use crate::market::units::{Bps, Nanos, SECOND, Size};
use crate::stage::clock::Clock;
use crate::venue::lighter::account::{LighterRest, MarketRow, OrderSeen, RestError, Sender};
use crate::venue::lighter::sign::PrivateKey;
use crate::venue::lighter::sign::order::{CreateOrder, OrderType, TimeInForce};
use crate::venue::lighter::sign::transaction::CancelAll;
use std::cell::RefCell;

/// Pages of past orders read, a hundred each. Larger: older positions are explained as well.
const PAGES: usize = 3;
/// Widest band asked for. The venue's own thresholds (21733, 21734) are not documented: a few per
/// cent of mark are said to pass.
const BAND_MAX: Bps = Bps::whole(300);
/// Marks older than this are read again. Longer: prices are off; shorter: an account with many
/// positions spends a standard tier's budget (60 requests a minute) on marks.
const MARK_AGE_NS_MAX: u64 = 3 * SECOND;

/// An account on Lighter, by REST alone.
pub struct LighterHands {
    rest: LighterRest,
    sender: Sender,
    ids: Ids,
    clock: Clock,
    /// All markets, and when they were read.
    listed: RefCell<Option<(Nanos, Vec<MarketRow>)>>,
}

impl LighterHands {
    /// For the account in these settings. `root_pem` is TLS_CA_FILE, `run` stands in the ids of
    /// orders. Nothing is asked of the venue yet.
    pub fn new(
        settings: &Lighter,
        root_pem: Option<&[u8]>,
        run: u16,
        clock: Clock,
    ) -> Result<LighterHands, HandsError> {
        let account = settings.account.as_ref();
        let found = account.and_then(|account| Some((account.index, account.keys.last()?)));
        let (account_index, key) = found.ok_or_else(|| {
            HandsError(
                "Lighter: no account is configured: LIGHTER_ACCOUNT_INDEX and LIGHTER_API_KEYS \
                 are needed"
                    .into(),
            )
        })?;
        let private = PrivateKey::parse_hex(key.private_key.to_hex().expose());
        let private = private.map_err(|error| {
            let slot = key.index;
            HandsError(format!(
                "Lighter: the key for slot {slot} can't be used: {error:?}"
            ))
        })?;
        let chain_id = u64::from(settings.chain_id);
        Ok(LighterHands {
            rest: LighterRest::new(settings.base.as_str(), root_pem)?,
            sender: Sender::new(account_index, chain_id, key.index, private),
            ids: Ids::new(run, Venue::Lighter),
            clock,
            listed: RefCell::new(None),
        })
    }

    /// The market that fits, as it was no longer than `age_ns_max` ago.
    fn market(
        &self,
        age_ns_max: u64,
        fits: impl Fn(&MarketRow) -> bool,
    ) -> Result<Option<MarketRow>, HandsError> {
        let now = self.clock.now();
        let mut listed = self.listed.borrow_mut();
        let is_known = |(read, _): &&mut (Nanos, _)| now.since(*read) <= age_ns_max;
        let (_, rows) = match listed.as_mut().filter(is_known) {
            Some(listed) => listed,
            None => listed.insert((now, self.rest.markets()?.markets)),
        };
        Ok(rows.iter().find(|row| fits(row)).cloned())
    }

    /// The name of a market, which never changes; its number where the venue lists none.
    fn name(&self, market_id: u32) -> Result<String, HandsError> {
        let row = self.market(u64::MAX, |row| row.market_id == market_id)?;
        Ok(row.map_or_else(|| format!("market {market_id}"), |row| row.symbol))
    }

    fn cancel(&mut self, what: CancelAll) -> Result<(), HandsError> {
        let now = self.clock.now();
        Ok(self.rest.cancel_all(&self.sender, what, now)?)
    }
}

impl Hands for LighterHands {
    fn venue(&self) -> Venue {
        Venue::Lighter
    }

    fn markets(&self) -> Result<Vec<String>, HandsError> {
        let listing = self.rest.markets()?;
        let read = listing.markets.into_iter().map(|row| row.symbol);
        Ok(read
            .chain(listing.unread.into_iter().map(|row| row.name))
            .collect())
    }

    fn positions(&self) -> Result<Vec<Held>, HandsError> {
        let account = self.rest.account(self.sender.account_index())?;
        let held = account.positions.into_iter().map(|position| Held {
            market: position.symbol,
            size: position.size,
            entry: position.entry,
        });
        Ok(held.collect())
    }

    fn resting(&self) -> Result<Vec<Resting>, HandsError> {
        let token = self.sender.token(self.clock.now())?;
        let orders = self.rest.open_orders(self.sender.account_index(), &token)?;
        let resting = |order: OrderSeen| {
            Ok(Resting {
                market: self.name(order.market_id)?,
                id: id_of(&order),
            })
        };
        orders.into_iter().map(resting).collect()
    }

    fn done(&self) -> Result<Vec<Done>, HandsError> {
        let token = self.sender.token(self.clock.now())?;
        let index = self.sender.account_index();
        let orders = self.rest.past_orders(index, &token, PAGES)?.into_iter();
        let done = |order: OrderSeen| {
            Ok(Done {
                market: self.name(order.market_id)?,
                id: id_of(&order),
                side: order.side,
                filled: order.filled,
            })
        };
        let traded = orders.filter(|order| order.filled > Size::ZERO);
        traded.map(done).collect()
    }

    fn cancel_all(&mut self) -> Result<(), HandsError> {
        self.cancel(CancelAll::Now)
    }

    fn cancel_market(&mut self, market: &str) -> Result<(), HandsError> {
        let row = self.market(u64::MAX, |row| row.symbol == market)?;
        let row = row.ok_or_else(|| HandsError(format!("Lighter: {market} is not listed")))?;
        self.cancel(CancelAll::Market(u64::from(row.market_id)))
    }

    fn reduce(&mut self, held: &Held, size: Size, band: Bps) -> Result<(), HandsError> {
        let name = &held.market;
        let fault = |what: &str| HandsError(format!("Lighter: {name} {what}"));
        let row = self.market(MARK_AGE_NS_MAX, |row| row.symbol == *name)?;
        let row = row.ok_or_else(|| fault("is not listed"))?;
        let grid = row.tick().zip(row.lot());
        let (tick, lot) = grid.ok_or_else(|| fault("has a grid that can't be held"))?;
        let mark = row.mark.ok_or_else(|| fault("has no mark price"))?;
        let (side, size) = cut(held, size, lot)?;
        let price = worst_price(side, mark, band.min(BAND_MAX), tick);
        let is_small = size < row.size_min || price * size < row.notional_min;
        let is_whole = size == held.size.max(-held.size);
        // Below the smallest order the venue closes a position when it is asked for all of it: a
        // reduce-only order of size 0 means that (source *signer*).
        let base_amount = match is_small && is_whole {
            true => Some(0),
            false => size.to_scaled(row.size_decimals),
        };
        let price = price.to_scaled(row.price_decimals);
        let numbers = base_amount.zip(price);
        let (base_amount, price) = numbers.ok_or_else(|| fault("has a grid that can't be held"))?;
        let order = CreateOrder {
            market_index: u64::from(row.market_id),
            client_order_index: self.ids.next().0,
            base_amount: base_amount.unsigned_abs(),
            price: u64::try_from(price).map_err(|_| fault("has no price within the band"))?,
            is_ask: side == Side::Ask,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: true,
            ..CreateOrder::default()
        };
        let sent = self
            .rest
            .create_order(&self.sender, &order, self.clock.now());
        sent.map_err(|error| {
            let (least, value) = (row.size_min, row.notional_min);
            let dust = match is_small {
                true => format!(" (dust: below the smallest order, {least} and {value} USDC)"),
                false => String::new(),
            };
            HandsError(format!("{error}{dust}"))
        })
    }
}

/// Ours are those that could have been made here: 48 bits with a run in them.
fn id_of(order: &OrderSeen) -> OrderId {
    let id = OrderId(order.client_order_index);
    match id.run() {
        0 => OrderId::NONE,
        _ => id,
    }
}

impl From<RestError> for HandsError {
    fn from(error: RestError) -> HandsError {
        HandsError(error.to_string())
    }
}
