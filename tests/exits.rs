//! Money that leaves and reaches the simulated venues over their sockets: every way is quoted,
//! signed, sent, found, paid and explained to the cent; the same request withdraws once; each
//! refusal is the venue's own.

#[path = "rig/private.rs"]
mod private;

use parallax::config::Accounts;
use parallax::keys::ceremony::{Address, EthereumKey};
use parallax::keys::passphrase::Unlock;
use parallax::market::Venue;
use parallax::market::units::{Nanos, Notional};
use parallax::sim::plant::Plant;
use parallax::sim::relay::{Arriving, Contracts, Paid, Payout, RelayError};
use parallax::sim::start::{Options, Sim, start};
use parallax::stage::clock::Clock;
use parallax::state::Folder;
use parallax::treasury::exits::{self, Exits, Request, SendError, Standing, Way};
use parallax::treasury::purse;
use private::private_file;
use serde_json::{Value, json};
use std::path::PathBuf;

const CONTRACTS: Contracts = Contracts {
    bridge: Address([0xB0; 20]),
    lighter: Address([0x70; 20]),
    token: Address([0xDC; 20]),
};

/// Both venues in this process, and what a user of them has.
struct Scene {
    sim: Sim,
    accounts: Accounts,
    wallet: EthereumKey,
    state: Folder,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let options = Options {
            plain: true,
            plant: Plant::Off,
            contracts: CONTRACTS,
            ..Options::new(23)
        };
        let sim = start(&options).expect("loopback ports are free");
        let settings = sim.description.settings().into_iter();
        let lines = settings.map(|(name, value)| format!("{name}={value}\n"));
        let lines: String = lines.collect();
        let env = private_file(&format!("exits-{name}.env"), &lines);
        let unlock = Unlock {
            fd: None,
            credential: None,
            credentials_dir: None,
        };
        let accounts = Accounts::from_env(Some(&env), &unlock).expect("settings are sound");
        let wallet = EthereumKey::parse_hex(&sim.description.l1_private_key);
        let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("exits-{name}"));
        let _ = std::fs::remove_dir_all(&state);
        Scene {
            sim,
            accounts,
            wallet: wallet.expect("the wallet is sound"),
            state: Folder::open(&state).expect("the target folder can be written"),
        }
    }

    /// As a process that has just been started has them.
    fn exits(&self) -> Box<dyn Exits> {
        let both = (&self.accounts.extended, &self.accounts.lighter);
        exits::open(both, None, Clock::new()).expect("both accounts are there")
    }

    fn collateral(&self, venue: Venue) -> Notional {
        let floor = self.sim.floor(venue);
        floor.look(|exchange| exchange.account().collateral)
    }

    /// What nobody explains since the book was begun; the first call begins it.
    fn drift(&self) -> [Notional; 2] {
        let both = (&self.accounts.extended, &self.accounts.lighter);
        purse::purses(both, None, Clock::new()).map(|purse| {
            let purse = purse.expect("the account is there");
            let look = purse::look(purse.as_ref(), Some(&self.state), Clock::new().now());
            look.expect("the venue answers").account.drift
        })
    }

    /// Quoted, bound and signed.
    fn ready(&self, way: Way, amount: Notional) -> Request {
        let exits = self.exits();
        let quote = exits.quote(way, amount).expect("the way takes it");
        exits.commit(&quote).expect("the quote stands");
        exits.prepare(&quote, &self.wallet).expect("it can be paid")
    }

    fn arriving(&self, way: Way, amount: Notional, transaction: u8) -> (Arriving, Notional) {
        let exits = self.exits();
        let quote = exits.quote(way, amount).expect("the way takes it");
        exits.commit(&quote).expect("the quote stands");
        assert_eq!((quote.token, quote.amount), (CONTRACTS.token, amount));
        let arriving = Arriving {
            venue: way.venue(),
            wallet: self.wallet.address(),
            amount,
            transaction: [transaction; 32],
            commitment: quote.commitment,
        };
        (arriving, quote.arrives)
    }
}

const fn millionths(count: i64) -> Notional {
    Notional::from_nano(count * 1_000)
}

const NOTHING: [Notional; 2] = [Notional::ZERO; 2];

#[test]
fn every_way_out_is_signed_found_paid_and_explained_to_the_cent() {
    let scene = Scene::new("out");
    assert_eq!(scene.drift(), NOTHING);
    for (way, contract, fee, by) in [
        (Way::ExtendedOut, CONTRACTS.bridge, 100_000, Payout::Bridge),
        (Way::LighterSecure, CONTRACTS.lighter, 0, Payout::Claim),
        (Way::LighterFast, CONTRACTS.lighter, 3_000_000, Payout::Pool),
    ] {
        let venue = way.venue();
        let amount = millionths(123_456_789);
        let before = scene.collateral(venue);
        let request = scene.ready(way, amount);
        let quote = &request.quote;
        assert_eq!((quote.contract, quote.token), (contract, CONTRACTS.token));
        assert_eq!(quote.arrives, amount - millionths(fee));
        // Nothing has happened yet, and whoever finds the journal can go on.
        assert!(scene.sim.leaving().is_empty());
        let written = serde_json::to_string(&request).expect("it can be written down");
        let key = scene
            .sim
            .description
            .extended
            .private_key
            .trim_start_matches("0x");
        assert!(!written.contains(key));
        let request: Request = serde_json::from_str(&written).expect("and be read");
        let exits = scene.exits();
        assert_eq!(exits.find(&request), Ok(None));
        exits.send(&request).expect("the venue takes it");
        assert_eq!(exits.find(&request), Ok(Some(Standing::Underway)));
        // The same again: the money leaves once.
        exits.send(&request).expect_err("it was taken before");
        let exits = scene.exits();
        assert_eq!(exits.find(&request), Ok(Some(Standing::Underway)));
        assert_eq!(before - scene.collateral(venue), amount);
        let leaving = scene.sim.leaving();
        let [one] = leaving.as_slice() else {
            panic!("{leaving:?}");
        };
        assert_eq!(
            (one.venue, one.by, one.amount),
            (venue, by, request.quote.arrives)
        );
        assert_eq!(one.wallet, scene.wallet.address());
        let claim = scene.sim.settle(venue, one.number, Paid::Claimable);
        let standing = match by {
            Payout::Claim => Standing::Claimable,
            _ => {
                assert_eq!(claim, Err(RelayError::NoClaim(one.number)));
                Standing::Underway
            }
        };
        assert_eq!(exits.find(&request), Ok(Some(standing)));
        scene
            .sim
            .settle(venue, one.number, Paid::Done)
            .expect("it waits");
        assert_eq!(exits.find(&request), Ok(Some(Standing::Done)));
        assert!(scene.sim.leaving().is_empty());
        assert_eq!(scene.drift(), NOTHING, "{way:?}");
    }
}

#[test]
fn what_comes_in_is_credited_once_and_explained_to_the_cent() {
    let scene = Scene::new("in");
    assert_eq!(scene.drift(), NOTHING);
    for (way, fee, transaction) in [(Way::ExtendedIn, 100_000, 5), (Way::LighterIn, 0, 6)] {
        let (venue, amount) = (way.venue(), millionths(77_000_001));
        let before = scene.collateral(venue);
        let (arriving, arrives) = scene.arriving(way, amount, transaction);
        assert_eq!(arrives, amount - millionths(fee));
        let exits = scene.exits();
        let seen = || exits.deposit(way, [transaction; 32], arrives);
        assert_eq!(seen(), Ok(None));
        let number = scene.sim.arrive(&arriving).expect("it is credited");
        assert_eq!(scene.sim.arrive(&arriving), Ok(number));
        assert_eq!(seen(), Ok(Some(Standing::Done)));
        assert_eq!(scene.collateral(venue) - before, arrives);
        assert_eq!(scene.drift(), NOTHING, "{way:?}");
        let other = exits.deposit(way, [9; 32], arrives);
        assert_eq!(other, Ok(None), "another transaction of the same amount");
    }
}

#[test]
fn a_deposit_that_was_not_agreed_on_is_not_credited() {
    let scene = Scene::new("foreign");
    let before = scene.collateral(Venue::Extended);
    let amount = Notional::from_usd(50);
    let (good, _) = scene.arriving(Way::ExtendedIn, amount, 1);
    let stranger = Address([9; 20]);
    let mut unbound = [0; 32];
    unbound[31] = 1;
    for (bent, error) in [
        (
            Arriving {
                amount: amount + millionths(1),
                ..good
            },
            RelayError::UnknownCommitment,
        ),
        (
            Arriving {
                commitment: unbound,
                ..good
            },
            RelayError::UnknownCommitment,
        ),
        (
            Arriving {
                wallet: stranger,
                ..good
            },
            RelayError::UnknownWallet(stranger),
        ),
    ] {
        assert_eq!(scene.sim.arrive(&bent), Err(error));
    }
    assert_eq!(scene.collateral(Venue::Extended), before);
    scene.sim.arrive(&good).expect("it was agreed on");
    let again = Arriving {
        transaction: [2; 32],
        ..good
    };
    let refused = scene.sim.arrive(&again);
    assert_eq!(refused, Err(RelayError::UnknownCommitment), "used up");
}

#[test]
fn what_the_venue_gives_back_is_refused_and_explained() {
    let scene = Scene::new("back");
    assert_eq!(scene.drift(), NOTHING);
    for way in [Way::ExtendedOut, Way::LighterSecure, Way::LighterFast] {
        let before = scene.collateral(way.venue());
        let request = scene.ready(way, Notional::from_usd(40));
        let exits = scene.exits();
        exits.send(&request).expect("the venue takes it");
        let number = scene.sim.leaving()[0].number;
        let failed = scene.sim.settle(way.venue(), number, Paid::Failed);
        failed.expect("it waits");
        let found = exits.find(&request).expect("the venue answers");
        assert!(matches!(found, Some(Standing::Refused(_))), "{found:?}");
        assert_eq!(scene.collateral(way.venue()), before);
        assert_eq!(scene.drift(), NOTHING, "{way:?}");
    }
}

#[test]
fn two_of_the_same_amount_are_told_apart() {
    let scene = Scene::new("twins");
    let exits = scene.exits();
    for way in [Way::ExtendedOut, Way::LighterSecure, Way::LighterFast] {
        let amount = Notional::from_usd(25);
        let first = scene.ready(way, amount);
        exits.send(&first).expect("the venue takes it");
        let number = scene.sim.leaving()[0].number;
        let done = scene.sim.settle(way.venue(), number, Paid::Done);
        done.expect("it waits");
        let second = scene.ready(way, amount);
        assert_eq!(exits.find(&second), Ok(None), "{way:?}");
        exits.send(&second).expect("the venue takes it");
        assert_eq!(exits.find(&second), Ok(Some(Standing::Underway)));
        let number = scene.sim.leaving()[0].number;
        let done = scene.sim.settle(way.venue(), number, Paid::Done);
        done.expect("it waits");
        // Nobody can say any more which of both the first one was: that is said, not guessed.
        let said = exits.find(&first).map_err(|error| error.to_string());
        assert!(
            said.is_err_and(|said| said.contains("which is it?")),
            "{way:?}"
        );
    }
}

#[test]
fn a_nonce_that_another_took_withdraws_nothing_twice() {
    let scene = Scene::new("nonce");
    let exits = scene.exits();
    let before = scene.collateral(Venue::Lighter);
    let first = scene.ready(Way::LighterSecure, Notional::from_usd(30));
    let other = scene.ready(Way::LighterSecure, Notional::from_usd(31));
    assert_eq!(first.number, other.number);
    exits.send(&other).expect("the venue takes it");
    let refused = exits.send(&first).expect_err("its nonce is spent");
    assert!(
        matches!(&refused, SendError::Unknown(why) if why.contains("21104")),
        "{refused}"
    );
    // It may not be made again before its time is over: only then is it sure.
    assert_eq!(exits.find(&first), Ok(None));
    let mut late = serde_json::to_value(&first).expect("it can be written down");
    late["expires_ms"] = 1.into();
    let late: Request = serde_json::from_value(late).expect("and be read");
    let found = exits.find(&late).expect("the venue answers");
    assert!(matches!(found, Some(Standing::Refused(_))), "{found:?}");
    let moved = before - scene.collateral(Venue::Lighter);
    assert_eq!(moved, Notional::from_usd(31));
}

#[test]
fn what_can_not_be_done_is_said_before_anything_is_signed() {
    let scene = Scene::new("refused");
    let exits = scene.exits();
    let quote = |way, amount| exits.quote(way, amount).map_err(|error| error.to_string());
    for (way, amount, words) in [
        (Way::ExtendedOut, Notional::ZERO, "whole millionths"),
        (
            Way::LighterSecure,
            Notional::from_nano(1_500),
            "whole millionths",
        ),
        (
            Way::LighterSecure,
            -Notional::from_usd(5),
            "whole millionths",
        ),
        (Way::ExtendedOut, millionths(100_000), "refused (400"),
        (
            Way::LighterSecure,
            millionths(999_999),
            "1.000 USD at least",
        ),
        (
            Way::LighterFast,
            millionths(6_999_999),
            "4.000 USD at least",
        ),
        (
            Way::LighterFast,
            Notional::from_usd(100_004),
            "100000.000 USD at most",
        ),
        (Way::LighterIn, millionths(999_999), "1.000 USD at least"),
    ] {
        let said = quote(way, amount).expect_err("it can't be");
        assert!(said.contains(words), "{way:?} {amount}: {said}");
    }
    let stranger = EthereumKey::parse_hex(&"4c".repeat(32)).expect("a key");
    for way in [Way::ExtendedOut, Way::LighterSecure, Way::LighterFast] {
        let all = scene.collateral(way.venue()) + Notional::from_usd(1);
        let dear = quote(way, all).expect("a quote does not ask the account");
        let said = exits.prepare(&dear, &scene.wallet).expect_err("too much").0;
        assert!(said.contains("may be"), "{said}");
        let small = quote(way, Notional::from_usd(50)).expect("the way takes it");
        let said = exits
            .prepare(&small, &stranger)
            .expect_err("not the owner")
            .0;
        assert!(said.contains("belongs to the wallet"), "{said}");
    }
    let deposit = quote(Way::LighterIn, Notional::from_usd(50)).expect("the way takes it");
    let said = exits
        .prepare(&deposit, &scene.wallet)
        .expect_err("no way out")
        .0;
    assert!(said.contains("on the chain"), "{said}");
    assert!(scene.sim.leaving().is_empty());
}

#[test]
fn what_was_lost_meanwhile_is_refused_by_the_venue_and_can_be_given_up() {
    let scene = Scene::new("lost");
    let exits = scene.exits();
    for (way, code) in [
        (Way::ExtendedOut, "code 400"),
        (Way::LighterSecure, "code 21301"),
        (Way::LighterFast, "code 21301"),
    ] {
        let venue = way.venue();
        let half = Notional(scene.collateral(venue).0 / 2);
        let amount = millionths(half.to_nano() / 1_000);
        let request = scene.ready(way, amount);
        let lost = -(half + Notional::from_usd(1));
        let floor = scene.sim.floor(venue);
        floor.act(|exchange, _, out| exchange.leak(lost, out));
        let left = scene.collateral(venue);
        let said = exits.send(&request).expect_err("it is not there any more");
        let is_told = matches!(&said, SendError::Refused(why) if why.contains(code));
        assert!(is_told, "{way:?}: {said}");
        assert_eq!(exits.find(&request), Ok(None));
        assert_eq!(scene.collateral(venue), left);
        assert!(scene.sim.leaving().is_empty());
        floor.act(|exchange, _, out| exchange.leak(-lost, out));
    }
}

#[test]
fn a_quote_that_has_ended_or_was_not_bound_withdraws_nothing() {
    let scene = Scene::new("ended");
    let exits = scene.exits();
    let before = scene.collateral(Venue::Extended);
    let quote = exits.quote(Way::ExtendedOut, Notional::from_usd(60));
    let quote = quote.expect("the way takes it");
    let unbound = exits
        .prepare(&quote, &scene.wallet)
        .expect("it can be paid");
    let said = exits.send(&unbound).expect_err("nobody bound the quote");
    assert!(matches!(said, SendError::Refused(_)), "{said}");
    exits.commit(&quote).expect("the quote stands");
    exits.commit(&quote).expect("again is no error");
    scene.sim.end_quotes();
    let said = exits.commit(&quote).expect_err("it has ended").0;
    assert!(said.contains("400"), "{said}");
    let said = exits.send(&unbound).expect_err("it has ended");
    assert!(matches!(said, SendError::Refused(_)), "{said}");
    assert_eq!(exits.find(&unbound), Ok(None));
    assert_eq!(scene.collateral(Venue::Extended), before);
    let mut told = quote.clone();
    told.ends_s = Some(1);
    let said = exits.commit(&told).expect_err("it has ended").0;
    assert!(said.contains("another one is needed"), "{said}");
    // The next run finishes with a new one.
    let request = scene.ready(Way::ExtendedOut, Notional::from_usd(60));
    exits.send(&request).expect("the venue takes it");
    assert_eq!(exits.find(&request), Ok(Some(Standing::Underway)));
}

/// Posts an Extended withdrawal as it stands and tells the venue's code; 0 is a success.
fn post(scene: &Scene, body: &Value) -> u64 {
    let told = &scene.sim.description.extended;
    let agent = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = ureq::Agent::new_with_config(agent.build());
    let answer = agent
        .post(format!("{}/user/withdrawal", told.rest))
        .header("X-Api-Key", &told.api_key)
        .header("User-Agent", "tests")
        .send(body.to_string());
    let text = answer.expect("it answers").body_mut().read_to_string();
    let answer: Value = serde_json::from_str(&text.expect("text")).expect("JSON");
    answer["error"]["code"].as_u64().unwrap_or(0)
}

#[test]
fn each_wrong_withdrawal_of_extended_has_the_venues_code() {
    let scene = Scene::new("codes");
    let request = scene.ready(Way::ExtendedOut, Notional::from_usd(60));
    let written = serde_json::to_value(&request).expect("it can be written down");
    let body = written["body"].as_str().expect("a text");
    let body: Value = serde_json::from_str(body).expect("JSON");
    let soon = Clock::new().now().plus(13 * 24 * 3600 * 1_000_000_000);
    let soon_s = Nanos::epoch_ms(soon) / 1000;
    for (path, value, code) in [
        ("/accountId", json!(1), 1608),
        ("/amount", json!("0"), 1600),
        ("/amount", json!("-60"), 1600),
        ("/amount", json!("61"), 1602),
        ("/description", json!("x".repeat(300)), 1601),
        ("/asset", json!("BTC"), 1605),
        ("/settlement/collateralId", json!("0x2"), 1605),
        ("/settlement/amount", json!(60_000_001), 1602),
        ("/settlement/positionId", json!(7), 1602),
        ("/settlement/expiration/seconds", json!(soon_s), 1604),
        ("/settlement/recipient", json!("0x7"), 1608),
        ("/chainId", json!("STRK"), 1608),
        ("/quoteId", json!(null), 1608),
        ("/quoteId", json!("00"), 400),
        ("/settlement/salt", json!(7), 1101),
        ("/settlement/signature/r", json!("0x7"), 1101),
        ("/settlement", json!({}), 422),
    ] {
        let mut bent = body.clone();
        *bent.pointer_mut(path).expect("it stands there") = value;
        assert_eq!(post(&scene, &bent), code, "{path}");
        assert!(scene.sim.leaving().is_empty(), "{path}");
    }
    assert_eq!(post(&scene, &body), 0);
    assert_eq!(post(&scene, &body), 409);
    assert_eq!(scene.sim.leaving().len(), 1);
}
