//! Extended's private REST side: account, orders and what the client may change.
//!
//! Promises: the caller has shown the right API key; a new order has passed `check` before the
//! exchange sees it; a replaced order is taken away only once its successor is accepted.

use crate::market::units::{Nanos, Notional, SCALE, Size};
use crate::sim::exchange::{Exchange, Happening, NewOrder, OrderView, Reject};
use crate::sim::extended::check::{Checked, check, code_of};
use crate::sim::extended::money::bridge_address;
use crate::sim::extended::reply::{Code, Refusal, Reply};
use crate::sim::extended::rest::{Asked, Query};
use crate::sim::extended::settlement::Decimal;
use crate::sim::extended::wire;
use crate::sim::extended::{Desk, Listing, OPEN_ORDERS_MAX, number_of, venue_id};
use crate::sim::faults::kind::Kind;
use crate::sim::faults::orders::Door;
use crate::sim::server::{rt, web};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Rows of one page. [DOC Pagination names no default; 100 assumed]
const PAGE_LEN: usize = 100;
/// Codes with which a legal order may be refused; the first ones also where it only reduces.
const REJECTS: [Code; 5] = [
    Code::UnhandledError,
    Code::InvalidPriceAmount,
    Code::MaxOpenOrdersNumberExceeded,
    Code::MaxPositionValueExceeded,
    Code::OpenLossExceedsEquity,
];
/// How many they are.
const REJECTS_OF_ALL: usize = 3;
/// Longest countdown of the dead man's switch taken, seconds: a day.
const SWITCH_S_MAX: u64 = 86_400;

/// Reads a body of at most `bytes_max`; `None` when it is longer or breaks off.
pub async fn read_body(body: web::Body, bytes_max: usize) -> Option<web::Bytes> {
    web::to_bytes(body, bytes_max).await.ok()
}

#[derive(Deserialize)]
struct LeverageChange {
    market: String,
    leverage: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MassCancel {
    order_ids: Option<Vec<u64>>,
    external_order_ids: Option<Vec<String>>,
    markets: Option<Vec<String>>,
    cancel_all: Option<bool>,
}

impl Desk {
    /// Answers below `/user`.
    pub(super) fn user(
        self: &Arc<Desk>,
        asked: &Asked<'_>,
        steps: &[&str],
    ) -> Result<Reply, Refusal> {
        let query = &asked.query;
        let faults = self.floor.faults();
        let is_order = asked.method != "GET" && steps[0] == "order";
        if is_order && faults.is_some_and(|faults| faults.is_in_maintenance(self.floor.now())) {
            return Err(Code::MaintenanceMode.into());
        }
        match (asked.method, steps) {
            ("GET", ["account", "info"]) => Ok(Reply::data(self.account())),
            ("GET", ["accounts"]) => Ok(Reply::data(json!([self.account()]))),
            ("GET", ["client", "info"]) => Ok(Reply::data(self.client())),
            ("GET", ["balance"]) => self.balance(),
            ("GET", ["positions"]) => Ok(Reply::data(self.positions(query).into())),
            ("GET", ["bridge", "config"]) => Ok(self.bridge_config()),
            ("GET", ["bridge", "quote"]) => self.bridge_quote(query),
            ("POST", ["bridge", "quote"]) => self.commit_quote(query),
            ("POST", ["withdrawal"]) => self.withdraw(asked.body),
            ("GET", ["positions", "history"]) => Ok(Reply::page(Vec::new())),
            ("GET", ["assetOperations"]) => Ok(self.operations(query)),
            ("GET", ["funding", "history"]) => self.payments(query),
            ("GET", ["spot", "balances"]) => Ok(Reply::data(json!([]))),
            ("GET", ["orders"]) => Ok(Reply::data(self.open_orders(query).into())),
            ("GET", ["orders", "history"]) => Ok(self.orders_history(query)),
            ("GET", ["orders", "external", id]) => self.order_by_external(id),
            ("GET", ["orders", id]) => self.order_by_id(id),
            ("GET", ["trades"]) => Ok(self.trades(query)),
            ("GET", ["fees"]) => Ok(Reply::data(self.fee_rows(query).into())),
            ("GET", ["leverage"]) => Ok(Reply::data(self.leverage_rows(query).into())),
            ("PATCH", ["leverage"]) => self.set_leverage(asked.body),
            ("POST", ["order"]) => self.place(asked.body),
            ("DELETE", ["order", id]) => self.cancel_by_id(id),
            ("DELETE", ["order"]) => {
                let id = query.one("externalId").ok_or(Code::BadRequest)?;
                self.cancel_by_external(id)
            }
            ("POST", ["order", "massCancel"]) => self.mass_cancel(asked.body),
            ("POST", ["deadmanswitch"]) => self.set_switch(query),
            _ => Err(Code::NotFound.into()),
        }
    }

    /// `l2Vault` is text here as in a recorded reply; the official library reads it either way.
    fn account(&self) -> Value {
        json!({
            "accountId": self.keys.account_id,
            "description": "Simulated account",
            "accountIndex": 0,
            "status": "ACTIVE",
            "l2Key": self.keys.public_key,
            "l2Vault": self.keys.vault.to_string(),
            "bridgeStarknetAddress": bridge_address(self.keys.account_id),
            "accountIndexForKeyGeneration": 0,
        })
    }

    /// HTTP 404 when the balance is zero. [DOC Get balance]
    fn balance(&self) -> Result<Reply, Refusal> {
        let now = self.floor.now();
        self.floor.look(|exchange| {
            if exchange.account().collateral == Notional::ZERO {
                return Err(Code::NotFound.into());
            }
            Ok(Reply::data(wire::balance(self, exchange, now)))
        })
    }

    /// Filtered by market and by side, `LONG` or `SHORT`.
    fn positions(&self, query: &Query) -> Vec<Value> {
        let rows = self.floor.look(|exchange| self.position_rows(exchange));
        let wanted = |row: &Value| {
            query.lets("market", row["market"].as_str().unwrap_or(""))
                && query.lets("side", row["side"].as_str().unwrap_or(""))
        };
        rows.into_iter().filter(wanted).collect()
    }

    /// Every open position, as REST and the stream's snapshot show it.
    pub(super) fn position_rows(&self, exchange: &Exchange) -> Vec<Value> {
        let now = self.floor.now();
        let mut rows = Vec::new();
        for listing in self.listings.iter() {
            let view = exchange.position(listing.rules.instrument);
            if view.size != Size::ZERO {
                let leverage = self.leverage_of(listing);
                rows.push(wire::position(self, listing, &view, leverage, now));
            }
        }
        rows
    }

    /// The ledger knows which of them were replaced.
    fn order_rows(&self, views: &[Arc<OrderView>]) -> Vec<Value> {
        let ledger = self.ledger();
        views
            .iter()
            .map(|view| wire::order(self, &ledger, view))
            .collect()
    }

    /// Every open order, as REST and the stream's snapshot show it.
    pub(super) fn open_order_rows(&self, exchange: &Exchange) -> Vec<Value> {
        self.order_rows(&exchange.open_orders())
    }

    /// NEW and PARTIALLY_FILLED, those still on their way to the book included.
    fn open_orders(&self, query: &Query) -> Vec<Value> {
        let mut rows = self.floor.look(|exchange| self.open_order_rows(exchange));
        rows.retain(|row| is_wanted(row, query));
        rows
    }

    /// Closed orders. The venue drops unfilled ones after seven days; a run is shorter than that.
    fn orders_history(&self, query: &Query) -> Reply {
        let views = self.floor.look(Exchange::closed_orders);
        page(self.order_rows(&views), query)
    }

    /// Own trades. Only faults liquidate or deleverage here.
    fn trades(&self, query: &Query) -> Reply {
        let trades = self.floor.look(Exchange::trades);
        let rows = trades.iter().map(|one| wire::trade(self, one, false));
        page(rows.collect(), query)
    }

    /// Payments of funding from a time on, which must be given. [DOC Get funding payments]
    fn payments(&self, query: &Query) -> Result<Reply, Refusal> {
        let from_ms: u64 = query
            .one("fromTime")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Code::BadRequest.because("fromTime"))?;
        let payments = self.floor.look(Exchange::payments);
        let since = payments.iter().filter(|one| one.t.epoch_ms() >= from_ms);
        let rows = since.map(|one| wire::payment(self, one)).collect();
        Ok(page(rows, query))
    }

    /// By the venue's id: one object.
    fn order_by_id(&self, id: &str) -> Result<Reply, Refusal> {
        let number = number(id)?;
        let view = self.floor.look(|exchange| exchange.order(number));
        let view = view.ok_or(Code::NotFound)?;
        Ok(Reply::data(wire::order(self, &self.ledger(), &view)))
    }

    /// By own id: a list, though an own id names one order at most. This is how a client finds out
    /// what became of an order whose reply it never got.
    fn order_by_external(&self, id: &str) -> Result<Reply, Refusal> {
        let known = self.ledger().ids.get(id).copied();
        let number = known.ok_or(Code::NotFound)?;
        let view = self.floor.look(|exchange| exchange.order(number));
        let view = view.ok_or(Code::NotFound)?;
        Ok(Reply::data(self.order_rows(&[view]).into()))
    }

    /// The same rates on every market; there are no builders here.
    fn fee_rows(&self, query: &Query) -> Vec<Value> {
        let rate = |e6: u32| wire::padded(i64::from(e6) * (SCALE / 1_000_000), 5);
        let wanted = self.listings.iter();
        wanted
            .filter(|listing| query.lets("market", &listing.rules.name))
            .map(|listing| {
                json!({
                    "market": listing.rules.name,
                    "makerFeeRate": rate(self.fees.maker_e6),
                    "takerFeeRate": rate(self.fees.taker_e6),
                    "builderFeeRate": "0",
                })
            })
            .collect()
    }

    /// What the client set, or the market's highest.
    pub(super) fn leverage_of(&self, listing: &Listing) -> String {
        let set = self
            .ledger()
            .leverage
            .get(&listing.rules.instrument)
            .cloned();
        set.unwrap_or_else(|| {
            let whole = 10_000 / listing.rules.initial_margin_e4.max(1);
            whole.max(1).to_string()
        })
    }

    /// One row a market, set or not.
    fn leverage_rows(&self, query: &Query) -> Vec<Value> {
        let wanted = self.listings.iter();
        wanted
            .filter(|listing| query.lets("market", &listing.rules.name))
            .map(|listing| {
                json!({"market": listing.rules.name, "leverage": self.leverage_of(listing)})
            })
            .collect()
    }

    /// Bounds before precision, except that a number nobody can read has no bounds. The exchange
    /// holds margin at 10^-4, so a leverage such as 7 becomes a margin a little above one seventh.
    fn set_leverage(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let change: LeverageChange = parse(body)?;
        let listing = self.listing(&change.market).ok_or(Code::MarketNotFound)?;
        let exact = Decimal::parse(&change.leverage)
            .and_then(Decimal::to_nano)
            .ok_or(Code::InvalidLeverageInvalidPrecision)?;
        if exact < SCALE {
            return Err(Code::InvalidLeverageBelowMinLeverage.into());
        }
        if exact % (SCALE / 100) != 0 {
            return Err(Code::InvalidLeverageInvalidPrecision.into());
        }
        // Margin at 10^-4, rounded up so that no more is allowed than was asked.
        let ten_thousand = 10_000 * SCALE;
        let margin_e4 = u32::try_from(ten_thousand / exact + i64::from(ten_thousand % exact != 0))
            .map_err(|_| Code::InvalidLeverageInvalidPrecision)?;
        if margin_e4 < listing.rules.initial_margin_e4 {
            return Err(Code::InvalidLeverageExceedsMaxLeverage.into());
        }
        let instrument = listing.rules.instrument;
        self.ledger().leverage.insert(instrument, change.leverage);
        (self.floor).act(|exchange, _, _| exchange.set_margin(instrument, (margin_e4, false)));
        Ok(Reply::data(json!({})))
    }

    /// Checks without the lock, since a signature takes a millisecond; then, in one turn of the
    /// exchange, finds the order to be replaced, counts the open ones, places, and remembers. Two
    /// copies of one request that race are told apart by the exchange, which knows client ids as
    /// well.
    fn place(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let Checked {
            order,
            hash,
            replaces,
        } = check(self, body, self.floor.now())?;
        let external_id = order.client_id.clone();
        self.floor.act(|exchange, now, out| {
            let old = match &replaces {
                None => None,
                Some(id) => Some(self.open_by_external(exchange, id)?),
            };
            let open = exchange.open_orders();
            let here = open
                .iter()
                .filter(|view| view.asked.instrument == order.instrument);
            if here.count() >= OPEN_ORDERS_MAX {
                return Err(Code::MaxOpenOrdersNumberExceeded.into());
            }
            let number = self.hand_over(now, exchange, order, out)?;
            let mut ledger = self.ledger();
            ledger.ids.insert(external_id.clone(), number);
            ledger.hashes.insert(hash.to_bytes_be());
            if let Some(old) = old {
                ledger.replaced.insert(old);
            }
            drop(ledger);
            if let Some(old) = old {
                // Gone in between is no error: the successor stands. [DOC Create or edit order]
                let _ = exchange.cancel(now, old, out);
            }
            let data = json!({"id": venue_id(number), "externalId": external_id});
            Ok(Reply::data(data))
        })
    }

    /// Gives an order to the exchange, unless a fault comes between.
    fn hand_over(
        &self,
        now: Nanos,
        exchange: &mut Exchange,
        order: NewOrder,
        out: &mut Vec<Happening>,
    ) -> Result<u64, Refusal> {
        let refuse = |reject: Reject| code_of(reject).because(format!("{reject:?}"));
        let Some(faults) = self.floor.faults() else {
            return exchange.place(now, order, out).map_err(refuse);
        };
        let cost = order.price * order.size;
        let codes = match order.reduce_only {
            true => &REJECTS[..REJECTS_OF_ALL],
            false => &REJECTS[..],
        };
        let strike = match faults.place(now, exchange, order, out).map_err(refuse)? {
            Door::Taken(number) => return Ok(number),
            Door::Struck(strike) => strike,
        };
        match strike.kind {
            // An id, and an order that nobody has ever heard of.
            Kind::Drop => Ok(exchange.skip_number()),
            Kind::Maintenance => Err(Code::MaintenanceMode.into()),
            Kind::Margin => {
                let cost = wire::money(cost, 6);
                let why = format!("Order cost {cost} exceeds available for trade 0");
                Err(Code::OrderCostExceedsBalance.because(why))
            }
            _ => {
                let code = codes[(strike.draw % codes.len() as u64) as usize];
                Err(code.because("refused by a fault"))
            }
        }
    }

    /// The number of an open order; a closed one can't be replaced.
    fn open_by_external(&self, exchange: &Exchange, id: &str) -> Result<u64, Refusal> {
        let known = self.ledger().ids.get(id).copied();
        let open = exchange.open_orders();
        known
            .filter(|number| open.iter().any(|view| view.number == *number))
            .ok_or_else(|| Code::EditOrderNotFound.into())
    }

    /// `{"status":"OK"}` says that the request was taken; the end comes on the stream.
    fn cancel_by_id(&self, id: &str) -> Result<Reply, Refusal> {
        self.cancel(number(id)?)
    }

    /// As by id.
    fn cancel_by_external(&self, id: &str) -> Result<Reply, Refusal> {
        let known = self.ledger().ids.get(id).copied();
        self.cancel(known.ok_or(Code::NotFound)?)
    }

    /// Open: the code for an order that is not open is not documented; 404 is used.
    fn cancel(&self, number: u64) -> Result<Reply, Refusal> {
        let done = (self.floor).act(|exchange, now, out| exchange.cancel(now, number, out));
        done.map_err(|reject| code_of(reject).because("no such open order"))?;
        Ok(Reply::data(Value::Null))
    }

    /// Every open order that any member names. Open: with `cancelAll` and `markets` together the
    /// venue's reading is not documented; here all are cancelled.
    fn mass_cancel(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let wanted: MassCancel = parse(body)?;
        let all = wanted.cancel_all == Some(true);
        let numbers = wanted.order_ids.unwrap_or_default();
        let names = wanted.external_order_ids.unwrap_or_default();
        let markets = wanted.markets.unwrap_or_default();
        if !all && numbers.is_empty() && names.is_empty() && markets.is_empty() {
            return Err(Code::InvalidOrderParameters.because("nothing to cancel is named"));
        }
        if let Some(unknown) = markets.iter().find(|name| self.listing(name).is_none()) {
            return Err(Code::MarketNotFound.because(unknown.clone()));
        }
        self.floor.act(|exchange, now, out| {
            for view in exchange.open_orders() {
                let hit = all
                    || numbers.contains(&venue_id(view.number))
                    || names.contains(&view.asked.client_id)
                    || markets.contains(&self.market(view.asked.instrument).rules.name);
                if hit {
                    // Gone in between is what was wanted.
                    let _ = exchange.cancel(now, view.number, out);
                }
            }
        });
        Ok(Reply::data(Value::Null))
    }

    /// All orders are cancelled after the countdown unless it is set anew; 0 disarms. The reply
    /// has no body. [DOC Mass auto-cancel]
    fn set_switch(self: &Arc<Desk>, query: &Query) -> Result<Reply, Refusal> {
        let seconds: u64 = query
            .one("countdownTime")
            .and_then(|text| text.parse().ok())
            .filter(|seconds| *seconds <= SWITCH_S_MAX)
            .ok_or_else(|| Code::BadRequest.because("countdownTime"))?;
        let mut ledger = self.ledger();
        ledger.switch += 1;
        let call = ledger.switch;
        drop(ledger);
        if seconds > 0 {
            let desk = Arc::clone(self);
            rt::spawn(async move {
                rt::sleep(rt::Duration::from_secs(seconds)).await;
                desk.fire_switch(call);
            });
        }
        Ok(Reply::empty())
    }

    /// Does nothing when the countdown was set anew or disarmed since.
    fn fire_switch(&self, call: u64) {
        if self.ledger().switch == call {
            self.floor
                .act(|exchange, now, out: &mut Vec<Happening>| exchange.cancel_all(now, None, out));
        }
    }
}

/// A body that is not what the call wants is 422, with the parser's own words.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Code::UnprocessableEntity.because(error.to_string()))
}

/// An id that is no number is a bad request; one that was never given out is not found.
fn number(id: &str) -> Result<u64, Refusal> {
    let id: u64 = id.parse().map_err(|_| Code::BadRequest)?;
    number_of(id).ok_or_else(|| Code::NotFound.into())
}

/// Rows that lack a filtered member have an empty one, which no filter names. The type of a trade
/// is its own member.
fn is_wanted(row: &Value, query: &Query) -> bool {
    let named = |name: &str| match (name, row[name].as_str()) {
        (_, Some(text)) => text.to_owned(),
        ("type", None) => row["tradeType"].as_str().unwrap_or("").to_owned(),
        ("id", None) => row["id"].to_string(),
        (_, None) => String::new(),
    };
    let mut names = ["market", "type", "side", "externalId", "id"].iter();
    names.all(|name| query.lets(name, &named(name)))
}

/// The filtered rows after `cursor` (the last id seen), newest first. [DOC Pagination]
pub(super) fn page(mut rows: Vec<Value>, query: &Query) -> Reply {
    let ask = |name| query.one(name).and_then(|text| text.parse::<u64>().ok());
    let limit = ask("limit").map_or(PAGE_LEN, |limit| limit.min(PAGE_LEN as u64) as usize);
    let before = ask("cursor").unwrap_or(u64::MAX);
    let id = |row: &Value| {
        row["id"]
            .as_u64()
            .or_else(|| row["id"].as_str()?.parse().ok())
    };
    rows.retain(|row| id(row) < Some(before) && is_wanted(row, query));
    rows.truncate(limit);
    Reply::page(rows)
}
