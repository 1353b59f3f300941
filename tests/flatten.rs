//! `parallax flatten` as a user starts it, against the simulated venues in a process of their own:
//! rows 18, 23, 25, 26, 29 and 33 of the failures that other bots had.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/simulation.rs"]
mod simulation;

use command::{object, parallax, text};
use parallax::market::book::Side;
use parallax::market::order::OrderId;
use parallax::market::units::{Bps, Nanos, Price, SECOND, Size};
use parallax::stage::clock::Clock;
use parallax::venue::extended::account::{Closing, ExtendedRest, MarketInfo, OrderSigner};
use parallax::venue::extended::sign::amounts::{Exact, OrderValue, order_amounts};
use parallax::venue::extended::sign::hash::{Chain, OrderHasher, OrderTerms};
use parallax::venue::extended::sign::{StarkKey, verify};
use parallax::venue::lighter::account::{LighterRest, Sender};
use parallax::venue::lighter::sign::PrivateKey;
use parallax::venue::lighter::sign::order::{CreateOrder, OrderType, TimeInForce};
use serde_json::{Value, json};
use simulation::Simulation;
use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

/// Both venues, an account on each, and settings that lead there.
struct Scene {
    _simulation: Simulation,
    told: Value,
    env: String,
    clock: Clock,
    extended: ExtendedRest,
    lighter: LighterRest,
    sender: Sender,
    next: Cell<u32>,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let simulation = Simulation::start(&["--plain", "--plant", "off"]);
        let told: Value = serde_json::from_str(&simulation.description).expect("JSON");
        let word = |venue: &str, field: &str| match &told[venue][field] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let keys = told["lighter"]["keys"].as_array().expect("a list");
        let keys: Vec<String> = keys[..2]
            .iter()
            .map(|key| {
                let private = key["private_key"].as_str().expect("a text");
                format!("{}:{private}", key["index"])
            })
            .collect();
        let settings = [
            ("EXTENDED_BASE_URL", word("extended", "rest")),
            ("EXTENDED_STREAM_URL", word("extended", "stream")),
            ("EXTENDED_API_KEY", word("extended", "api_key")),
            ("EXTENDED_PRIVATE_KEY", word("extended", "private_key")),
            ("EXTENDED_VAULT", word("extended", "vault")),
            ("EXTENDED_CHAIN_ID", word("extended", "chain_id")),
            ("LIGHTER_BASE_URL", word("lighter", "rest")),
            ("LIGHTER_WS_URL", word("lighter", "ws")),
            ("LIGHTER_ACCOUNT_INDEX", word("lighter", "account_index")),
            ("LIGHTER_CHAIN_ID", word("lighter", "chain_id")),
            ("LIGHTER_API_KEYS", keys.join(",")),
            // None of these would let an engine start. They must not keep anybody in.
            ("TRADING_MODE", "live".into()),
            ("AUTO_EXECUTION_ENABLED", "perhaps".into()),
            ("LIVE_ACK", "0".into()),
            ("MAX_GROSS_USD", "1".into()),
        ];
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let env = folder.join(format!("flatten-{name}.env"));
        let lines: Vec<String> = settings.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
        std::fs::write(&env, lines.concat()).expect("there is room");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&env, private).expect("it is ours");
        let api_key = word("extended", "api_key");
        let number = |venue: &str, field: &str| word(venue, field).parse().expect("a number");
        let key = &told["lighter"]["keys"][0];
        let private = PrivateKey::parse_hex(key["private_key"].as_str().expect("a text"));
        let slot = key["index"].as_u64().expect("a number") as u8;
        let (account, chain) = (
            number("lighter", "account_index"),
            number("lighter", "chain_id"),
        );
        Scene {
            extended: ExtendedRest::new(&word("extended", "rest"), &api_key, None).expect("sound"),
            lighter: LighterRest::new(&word("lighter", "rest"), None).expect("sound"),
            sender: Sender::new(account, chain, slot, private.expect("a key")),
            env: env.to_str().expect("UTF-8").to_owned(),
            clock: Clock::new(),
            _simulation: simulation,
            told,
            next: Cell::new(0),
        }
    }

    fn now(&self) -> Nanos {
        self.clock.now()
    }

    fn id(&self) -> OrderId {
        self.next.set(self.next.get() + 1);
        OrderId::new(4711, self.next.get(), 1)
    }

    fn stark(&self) -> (StarkKey, Chain, u32) {
        let told = &self.told["extended"];
        let key = StarkKey::parse_hex(told["private_key"].as_str().expect("a text"));
        let chain = Chain::parse(told["chain_id"].as_str().expect("a text"));
        let vault = told["vault"].to_string().trim_matches('"').parse();
        (
            key.expect("a key"),
            chain.expect("known"),
            vault.expect("a number"),
        )
    }

    /// A price so far beyond the mark: through the book, or resting behind it.
    fn price(mark: Option<Price>, tick: Price, beyond: i32) -> Price {
        let mark = mark.expect("the simulated venues have one");
        (mark + Bps::whole(beyond).of_price(mark)).floor_to(tick)
    }

    /// Places an order on Extended, put together here, field by field. Buys where `size` is
    /// positive.
    fn place_extended(&self, name: &str, size: &str, beyond: i32, time_in_force: &str) {
        let market = self.extended.market(name).expect("it is listed");
        let signed = Size::parse(size.as_bytes()).expect("a number");
        let (side, word) = match signed > Size::ZERO {
            true => (Side::Bid, "BUY"),
            false => (Side::Ask, "SELL"),
        };
        let size = signed.max(-signed);
        let price = Scene::price(market.mark, market.tick, beyond);
        let (key, chain, vault) = self.stark();
        let expiry_s = self.now().epoch_ms() / 1000 + 3600;
        let salt = 1_000_000 + u64::from(self.next.get());
        let amounts = order_amounts(&OrderValue {
            side,
            size: Exact::nano(size.0),
            price: Exact::nano(price.0),
            fee_rate: Exact::parse(b"0.001").expect("a number"),
            base_resolution: market.base_resolution,
            quote_resolution: market.quote_resolution,
        });
        let amounts = amounts.expect("in range");
        let public_key = key.public_key();
        let message = OrderHasher::new(chain, public_key, vault).order_hash(&OrderTerms {
            base_asset: market.base_asset,
            base_amount: amounts.base,
            quote_asset: market.quote_asset,
            quote_amount: amounts.quote,
            fee_amount: amounts.fee,
            expiration_s: expiry_s + 14 * 86_400,
            salt,
        });
        let signature = key.sign(message).expect("it signs");
        assert!(verify(public_key, message, &signature));
        let (r, s) = (format!("{:#x}", signature.r), format!("{:#x}", signature.s));
        let body = json!({
            "id": format!("px-{}", self.id().0), "market": name, "type": "LIMIT", "side": word,
            "qty": size.to_string(), "price": price.to_string(), "reduceOnly": false,
            "postOnly": false, "timeInForce": time_in_force,
            "expiryEpochMillis": expiry_s * 1000, "fee": "0.001", "nonce": salt.to_string(),
            "selfTradeProtectionLevel": "ACCOUNT",
            "settlement": {
                "signature": {"r": r, "s": s},
                "starkKey": format!("{public_key:#x}"), "collateralPosition": vault.to_string(),
            },
        });
        let sent = self.extended.place(body.to_string().as_bytes());
        sent.expect("it is taken");
    }

    /// The same on Lighter.
    fn place_lighter(&self, market_id: u32, size: &str, beyond: i32, time_in_force: TimeInForce) {
        let rows = self.lighter.markets().expect("it answers").markets;
        let row = rows.iter().find(|row| row.market_id == market_id);
        let row = row.expect("it is listed");
        let signed = Size::parse(size.as_bytes()).expect("a number");
        let price = Scene::price(row.mark, row.tick().expect("a grid"), beyond);
        let rests = time_in_force != TimeInForce::ImmediateOrCancel;
        let order = CreateOrder {
            market_index: u64::from(market_id),
            client_order_index: self.id().0,
            base_amount: signed
                .to_scaled(row.size_decimals)
                .expect("on the grid")
                .unsigned_abs(),
            price: price.to_scaled(row.price_decimals).expect("on the grid") as u64,
            is_ask: signed < Size::ZERO,
            order_type: OrderType::Limit,
            time_in_force,
            order_expiry_ms: match rests {
                true => self.now().plus(3_600 * SECOND).epoch_ms(),
                false => 0,
            },
            ..CreateOrder::default()
        };
        let sent = self.lighter.create_order(&self.sender, &order, self.now());
        sent.expect("it is taken");
    }

    /// Positions and open orders of both venues.
    fn standing(&self) -> (Vec<(String, String)>, usize) {
        let ours = self.extended.positions().expect("it answers").into_iter();
        let ours = ours.map(|row| (row.market, row.size.to_string()));
        let account = self
            .lighter
            .account(self.sender.account_index())
            .expect("it answers");
        let theirs = account.positions.into_iter();
        let theirs = theirs.map(|row| (row.symbol, row.size.to_string()));
        let mut positions: Vec<_> = ours.chain(theirs).collect();
        positions.sort();
        let open = self.extended.open_orders().expect("it answers").len() as u64;
        (positions, (open + account.open_orders) as usize)
    }

    /// Waits for what was ordered.
    fn await_standing(&self, positions: &[(&str, &str)], open: usize) {
        let own = |(market, size): &(&str, &str)| (market.to_string(), size.to_string());
        let expected: Vec<_> = positions.iter().map(own).collect();
        let until = Instant::now() + Duration::from_secs(20);
        while self.standing() != (expected.clone(), open) {
            assert!(Instant::now() < until, "{:?}", self.standing());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn flatten(&self, flags: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = parallax(&["flatten", "--json", "--env", &self.env]);
        command.args(flags).envs(variables.iter().copied());
        command.output().expect("the binary was built")
    }
}

/// Status and object of one call.
fn told(output: &Output) -> (Option<i32>, Value) {
    (output.status.code(), object(output))
}

#[test]
fn everything_is_closed_and_told() {
    let scene = Scene::new("all");
    scene.place_extended("BTC-USD", "0.01", 200, "IOC");
    scene.place_extended("ETH-USD", "-0.1", -200, "IOC");
    scene.place_extended("BTC-USD", "0.001", -300, "GTT");
    scene.place_lighter(1, "-0.008", -200, TimeInForce::ImmediateOrCancel);
    scene.place_lighter(0, "0.2", 200, TimeInForce::ImmediateOrCancel);
    scene.place_lighter(1, "0.001", -300, TimeInForce::GoodTillTime);
    let all = [
        ("BTC", "-0.008"),
        ("BTC-USD", "0.01"),
        ("ETH", "0.2"),
        ("ETH-USD", "-0.1"),
    ];
    scene.await_standing(&all, 2);

    // Unless told to, it looks only.
    let (status, seen) = told(&scene.flatten(&[], &[]));
    assert_eq!(
        (status, &seen["executed"]),
        (Some(1), &json!(false)),
        "{seen}"
    );
    assert_eq!(
        seen["left"]["extended"]["positions"]["BTC-USD"], "0.01",
        "{seen}"
    );
    assert_eq!(seen["left"]["lighter"]["orders"]["BTC"], 1, "{seen}");
    scene.await_standing(&all, 2);

    // One market alone.
    let (status, seen) = told(&scene.flatten(&["--market", "ETH", "--execute"], &[]));
    assert_eq!((status, &seen["flat"]), (Some(0), &json!(true)), "{seen}");
    assert_eq!(seen["closed"]["lighter"], json!({"ETH": "0.2"}), "{seen}");
    scene.await_standing(&all[..2], 2);
    let slip = scene.flatten(&["--market", "NOSUCH", "--execute"], &[]);
    assert_eq!(slip.status.code(), Some(2));
    assert!(
        text(&slip.stderr).contains("NOSUCH"),
        "{}",
        text(&slip.stderr)
    );

    let output = scene.flatten(&["--execute"], &[]);
    let (status, seen) = told(&output);
    assert_eq!(status, Some(0), "{seen}");
    let closed = json!({"extended": {"BTC-USD": "0.01"}, "lighter": {"BTC": "-0.008"}});
    assert_eq!(seen["closed"], closed, "{seen}");
    let cancelled = json!({"extended": {"BTC-USD": 1}, "lighter": {"BTC": 1}});
    assert_eq!(
        (&seen["cancelled"], &seen["left"]),
        (&cancelled, &json!({})),
        "{seen}"
    );
    assert!(
        text(&output.stderr).contains("lighter: flat"),
        "{}",
        text(&output.stderr)
    );
    scene.await_standing(&[], 0);

    // Again: nothing to do is well done.
    let (status, seen) = told(&scene.flatten(&["--execute"], &[]));
    assert_eq!((status, &seen["left"]), (Some(0), &json!({})), "{seen}");
}

#[test]
fn a_venue_that_is_down_keeps_nobody_in_on_the_other() {
    let scene = Scene::new("down");
    scene.place_extended("BTC-USD", "0.01", 200, "IOC");
    scene.place_extended("BTC-USD", "0.001", -300, "GTT");
    scene.place_lighter(1, "-0.01", -200, TimeInForce::ImmediateOrCancel);
    scene.await_standing(&[("BTC", "-0.01"), ("BTC-USD", "0.01")], 1);
    let dead = [("LIGHTER_BASE_URL", "http://127.0.0.1:1")];
    let (status, seen) = told(&scene.flatten(&["--execute"], &dead));
    assert_eq!((status, &seen["flat"]), (Some(1), &json!(false)), "{seen}");
    assert!(seen["left"].get("extended").is_none(), "{seen}");
    let why = seen["left"]["lighter"]["why"][0].as_str();
    assert!(why.is_some_and(|why| why.contains("no answer")), "{seen}");
    scene.await_standing(&[("BTC", "-0.01")], 0);

    // The other way round: no keys for the venue that is flat now.
    let keyless = [
        ("EXTENDED_API_KEY", ""),
        ("EXTENDED_PRIVATE_KEY", ""),
        ("EXTENDED_VAULT", ""),
    ];
    let (status, seen) = told(&scene.flatten(&["--execute"], &keyless));
    assert_eq!((status, &seen["flat"]), (Some(1), &json!(false)), "{seen}");
    let why = seen["left"]["extended"]["why"][0].as_str();
    assert!(
        why.is_some_and(|why| why.contains("EXTENDED_API_KEY")),
        "{seen}"
    );
    scene.await_standing(&[], 0);

    // No keys at all is the user's to mend.
    let none = [("LIGHTER_ACCOUNT_INDEX", ""), ("LIGHTER_API_KEYS", "")];
    let output = scene.flatten(&["--execute"], &[&keyless[..], &none[..]].concat());
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("EXTENDED_API_KEY") && said.contains("LIGHTER_API_KEYS"),
        "{said}"
    );
}

/// Less than the smallest order: Lighter closes it when asked for the whole position, Extended
/// does not, and that is said.
#[test]
fn dust_is_closed_where_it_can_be_and_named_where_not() {
    let scene = Scene::new("dust");
    scene.place_extended("BTC-USD", "0.00015", 200, "IOC");
    scene.place_lighter(1, "0.0003", 200, TimeInForce::ImmediateOrCancel);
    scene.await_standing(&[("BTC", "0.0003"), ("BTC-USD", "0.00015")], 0);
    scene.close_extended("BTC-USD", "0.0001");
    scene.place_lighter(1, "-0.0002", -200, TimeInForce::ImmediateOrCancel);
    scene.await_standing(&[("BTC", "0.0001"), ("BTC-USD", "0.00005")], 0);
    let (status, seen) = told(&scene.flatten(&["--execute"], &[]));
    assert_eq!(
        (status, &seen["closed"]["lighter"]),
        (Some(1), &json!({"BTC": "0.0001"})),
        "{seen}"
    );
    let left = &seen["left"]["extended"];
    assert_eq!(left["positions"], json!({"BTC-USD": "0.00005"}), "{seen}");
    let why = left["why"][0].as_str();
    assert!(
        why.is_some_and(|why| why.contains("1120") && why.contains("dust")),
        "{seen}"
    );
    scene.await_standing(&[("BTC-USD", "0.00005")], 0);
}

impl Scene {
    /// Sells a part of a long position on Extended, as `flatten` would.
    fn close_extended(&self, name: &str, size: &str) {
        let market: MarketInfo = self.extended.market(name).expect("it is listed");
        let (key, chain, vault) = self.stark();
        let mut signer = OrderSigner::new(key, chain, vault).expect("there is randomness");
        let closing = Closing {
            id: self.id(),
            side: Side::Ask,
            size: Size::parse(size.as_bytes()).expect("a number"),
            price: Scene::price(market.mark, market.tick, -200),
        };
        let body = signer.close(&market, 1_000_000, &closing, self.now());
        let sent = self.extended.place(&body.expect("it can be signed"));
        sent.expect("it is taken");
    }
}
