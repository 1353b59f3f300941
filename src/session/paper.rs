//! A gateway's venue half on paper: orders are checked, hashed, signed and written like any other,
//! into a buffer of its own that nobody reads.
//!
//! Promises: no byte of an order can leave. The gateway around it is given no connection and never
//! sees the buffer; the venue's half is told that nothing left, so that nonces, connections and
//! tables are as before each order. Refuses: beats and messages: a half that was never heard of has
//! nothing to keep alive and nothing to hear.

use crate::config::{Config, StarknetChain};
use crate::keys::SecretBytes;
use crate::keys::throwaway::throwaway;
use crate::market::foresight::Foresight;
use crate::market::order::{Order, Refusal};
use crate::market::units::Nanos;
use crate::market::{Market, Venue};
use crate::session::SessionError;
use crate::session::venues::venue as venue_fault;
use crate::venue::extended::orders::{ExtendedOrders, OrdersSettings};
use crate::venue::extended::sign::StarkKey;
use crate::venue::extended::sign::hash::Chain;
use crate::venue::extended::{MarketConfig, REQUESTS_PER_MINUTE_DEFAULT};
use crate::venue::lighter::orders::{ApiKey, LighterOrders, Setup};
use crate::venue::lighter::sign::PrivateKey;
use crate::venue::{Lane, Orders, Outbox, Reports, Signing, extended, lighter};
use std::ops::Range;

/// A venue's half that leads nowhere.
pub struct Paper<O> {
    orders: O,
    written: Outbox,
}

impl<O: Orders> Paper<O> {
    /// Over a venue's half that is told that its connections for orders, `lanes`, are up and have
    /// greeted it so.
    fn new(mut orders: O, lanes: Range<Lane>, greeting: &str, now: Nanos) -> Paper<O> {
        let mut written = Outbox::new(64 * 1024, 64);
        let mut unheard = Reports::new(64);
        for lane in lanes {
            orders.on_link(lane, true, now, &mut unheard, &mut written);
            if !greeting.is_empty() {
                let mut bytes = greeting.as_bytes().to_vec();
                orders.on_message(lane, 0, &mut bytes, now, &mut unheard, &mut written);
            }
        }
        written.deliver(|_, _| {});
        Paper { orders, written }
    }

    /// As the venue's half does.
    pub fn sign(
        &mut self,
        order: &Order,
        now: Nanos,
        ahead: impl FnOnce() -> Option<O::Point>,
    ) -> Result<Signing, Refusal> {
        self.orders.sign(order, now, ahead)
    }

    /// As the venue's half does.
    pub fn foresee(&mut self, word: &Foresight, now: Nanos) {
        self.orders.foresee(word, now);
    }

    /// As the venue's half does.
    pub fn prepare(&mut self, now: Nanos, ahead: impl FnOnce() -> Option<O::Point>) -> bool {
        self.orders.prepare(now, ahead)
    }

    /// Writes the order signed last, drops it, and has it taken back.
    pub fn encode(&mut self, now: Nanos) {
        self.orders.encode(now, &mut self.written);
        let orders = &mut self.orders;
        self.written.deliver(|item, _| {
            let _ = orders.on_unsent(item.lane, now);
        });
    }
}

/// Slot, account and vault of a throwaway key. Any will do.
const NOBODY: u8 = 4;

/// What Lighter says first on each connection.
const GREETING: &str = r#"{"type":"connected"}"#;

/// Extended's half and a key for nonce points, with the configured key or a throwaway one.
pub fn extended(
    config: &Config,
    markets: &[MarketConfig],
    now: Nanos,
) -> Result<(Paper<ExtendedOrders>, extended::sign::PointMaker), SessionError> {
    let account = config.extended.account.as_ref();
    let hex = match account {
        Some(account) => account.private_key.to_hex(),
        None => made::<32>(Venue::Extended)?.to_hex(),
    };
    let key = StarkKey::parse_hex(hex.expose());
    let key = key.map_err(|error| unusable("EXTENDED_PRIVATE_KEY", &error))?;
    let maker = extended::sign::PointMaker::new(&key);
    let http_lanes = config.extended.order_lanes;
    let orders = ExtendedOrders::new(OrdersSettings {
        order_url: config.extended.order.as_str(),
        api_key: account.map_or("nobody", |account| account.api_key.expose()),
        key,
        chain: match config.extended.chain {
            StarknetChain::Main => Chain::Main,
            StarknetChain::Sepolia => Chain::Sepolia,
        },
        vault: account.map_or(u32::from(NOBODY), |account| account.vault),
        markets,
        http_lanes,
        requests_per_minute: REQUESTS_PER_MINUTE_DEFAULT,
        dead_mans_switch_s: 0,
    });
    let orders = orders.map_err(|error| unusable("Extended", &error))?;
    let orders = orders.with_ladder(config.extended.ready_orders_ns);
    // Lane 0 is the account stream; there is no account.
    Ok((Paper::new(orders, 1..http_lanes + 1, "", now), maker))
}

/// Lighter's half and a key for nonce points, with the configured keys or a throwaway one.
pub fn lighter(
    config: &Config,
    markets: &[Market],
    now: Nanos,
) -> Result<(Paper<LighterOrders>, lighter::sign::PointMaker), SessionError> {
    let account = config.lighter.account.as_ref();
    let mut keys = Vec::new();
    for key in account.into_iter().flat_map(|account| &account.keys) {
        keys.push(api_key(key.index, &key.private_key)?);
    }
    let first = match keys.first() {
        Some(_) => None,
        None => Some(api_key(NOBODY, &made::<40>(Venue::Lighter)?)?),
    };
    keys.extend(first);
    let maker = lighter::sign::PointMaker::new(&keys[0].private);
    let slots: Vec<u8> = keys.iter().map(|key| key.index).collect();
    let setup = Setup {
        account_index: account.map_or(u64::from(NOBODY), |account| account.index),
        chain_id: u64::from(config.lighter.chain_id),
        keys,
        rest_url: config.lighter.base.as_str().to_string(),
        sends_per_minute: config.limits.orders_per_minute[Venue::Lighter.idx()],
        dead_mans_switch_s: 0,
    };
    let orders = LighterOrders::new(setup, markets);
    let mut orders = orders.map_err(|error| unusable("Lighter", &error))?;
    // No venue is asked; each order takes its nonce back.
    slots.iter().for_each(|slot| orders.set_nonce(*slot, 1));
    Ok((Paper::new(orders, 0..1, GREETING, now), maker))
}

fn api_key(index: u8, bytes: &SecretBytes<40>) -> Result<ApiKey, SessionError> {
    let private = PrivateKey::parse_hex(bytes.to_hex().expose());
    let private = private.map_err(|error| unusable("LIGHTER_API_KEYS", &error))?;
    Ok(ApiKey { index, private })
}

/// A key of nobody, and says so.
fn made<const N: usize>(venue: Venue) -> Result<SecretBytes<N>, SessionError> {
    let name = venue.name();
    let key = throwaway()
        .ok_or_else(|| venue_fault("the operating system gives no random numbers".into()))?;
    eprintln!("parallax: paper: {name} has no key here: orders are signed with a throwaway one");
    Ok(key)
}

fn unusable(what: &str, error: &dyn std::fmt::Debug) -> SessionError {
    venue_fault(format!("{what}: orders can't be signed: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;
    use crate::market::book::Side;
    use crate::market::order::{Action, OrderId};
    use crate::market::units::SECOND;
    use crate::session::tests_rows::{PRICE, listing, market, row};
    use crate::session::watching::Gate;
    use crate::{config::Markets, market::units::Bps, session::table::Listed};

    fn config() -> Config {
        let set = [
            ("TRADING_MODE", "dry_run"),
            ("AUTO_EXECUTION_ENABLED", "true"),
        ];
        let own = set.map(|(name, value)| (name.to_string(), value.to_string()));
        Config::for_simulation(own.to_vec()).unwrap()
    }

    /// Signs and writes an order every two seconds, more than any table holds; nothing comes out,
    /// and each finds its connection, its key and its nonce free.
    fn rehearse<O: Orders>(paper: Paper<O>, venue: Venue, now: Nanos) {
        let mut gate = Gate::Paper(paper);
        let mut out = Outbox::new(64 * 1024, 64);
        for number in 0..300_u32 {
            let now = now.plus(u64::from(number) * 2 * SECOND);
            let order = Order {
                id: OrderId::new(1, number, 1),
                action: Action::Place,
                venue,
                instrument: InstrumentId(0),
                side: Side::Bid,
                price: PRICE,
                size: crate::market::units::Size(1_000_000_000),
                reduce_only: number % 2 == 1,
                t_tick: now,
                t_decide: now,
            };
            let signed = gate.sign(&order, now, || None);
            assert_eq!(signed, Ok(Signing::Full), "{venue:?} {number}");
            gate.encode(now, &mut out);
            assert!(out.items().is_empty());
        }
    }

    #[test]
    fn orders_are_signed_one_after_the_other_and_none_comes_out() {
        let (ours, theirs) = (listing(vec![market("BTC")]), listing(vec![row("BTC", 1)]));
        let listed = Listed {
            extended: &ours,
            fees: &[],
            lighter: &theirs,
            lighter_fees: (Bps::ZERO, Bps::ZERO),
        };
        let table = listed.join(&Markets::All).unwrap();
        let (config, now) = (config(), Nanos(1_790_000_000 * SECOND));
        let (paper, _) = extended(&config, &table.extended, now).unwrap();
        rehearse(paper, Venue::Extended, now);
        let (paper, _) = lighter(&config, &table.markets(Venue::Lighter), now).unwrap();
        rehearse(paper, Venue::Lighter, now);
    }
}
