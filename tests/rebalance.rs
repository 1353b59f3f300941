//! From 90/10 to 50/50 between the simulated venues through a real EVM node: the program itself,
//! killed at every step and started again, ends with every millionth of a dollar in its place.
//!
//! The simulated venues know no chain: a relayer in this process stands between, as the bridge, the
//! venue's pool and its proofs do. Needs what `rig/evm.rs` needs.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/evm.rs"]
mod evm;
#[path = "rig/private.rs"]
mod private;

use command::{object, parallax, text};
use evm::Evm;
use parallax::keys::ceremony::{Address, EthereumKey};
use parallax::market::book::Side;
use parallax::market::units::{Notional, Price, Size};
use parallax::market::{InstrumentId, VENUES, Venue};
use parallax::sim::exchange::{NewOrder, NewTransfer, Stage, TimeInForce, Way};
use parallax::sim::plant::Plant;
use parallax::sim::relay::{Arriving, Contracts, Paid, Payout};
use parallax::sim::start::{Options, Sim, start};
use parallax::treasury::chain::Chain;
use private::private_file;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the wallet had before: it is nobody's business.
const POCKET: u128 = 7_000_000;
const ETHER: u128 = 1_000_000_000_000_000_000;

struct Scene {
    sim: Sim,
    evm: Evm,
    chain: Chain,
    wallet: Address,
    env: PathBuf,
    state: PathBuf,
    is_over: AtomicBool,
}

impl Scene {
    /// So many dollars on each venue.
    fn new(name: &str, dollars: [i64; 2]) -> Scene {
        let evm = Evm::start();
        let options = Options {
            plain: true,
            plant: Plant::Off,
            contracts: Contracts {
                bridge: evm.bridge,
                lighter: evm.lighter,
                token: evm.usdc,
            },
            ..Options::new(31)
        };
        let sim = start(&options).expect("loopback ports are free");
        let description = &sim.description;
        let key = EthereumKey::parse_hex(&description.l1_private_key);
        let wallet = key.expect("the wallet is sound").address();
        evm.fund(wallet, ETHER);
        evm.mint(wallet, POCKET);
        let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("rebalance-{name}"));
        let _ = std::fs::remove_dir_all(&state);
        let settings = description.settings().into_iter().chain([
            ("ETH_PRIVATE_KEY", description.l1_private_key.clone()),
            ("REBALANCE_DAY_MAX_USD", "1000000".to_owned()),
            ("STATE_DIR", state.to_str().expect("UTF-8").to_owned()),
        ]);
        let lines = settings.map(|(name, value)| format!("{name}={value}\n"));
        let lines: String = lines.collect();
        let lines = lines + &evm.lines();
        let env = private_file(&format!("rebalance-{name}.env"), &lines);
        let chain = Chain::open(&evm.settings(), None).expect("the node is there");
        let scene = Scene {
            sim,
            evm,
            chain,
            wallet,
            env,
            state,
            is_over: AtomicBool::new(false),
        };
        for venue in VENUES {
            scene.bring(venue, dollars[venue.idx()]);
        }
        scene
    }

    /// Money comes in or goes out until an account has so much.
    fn bring(&self, venue: Venue, dollars: i64) {
        let wanted = Notional::from_usd(dollars);
        let more = wanted - self.collateral(venue);
        self.sim.floor(venue).act(|exchange, now, out| {
            let way = match more > Notional::ZERO {
                true => Way::In,
                false => Way::Out,
            };
            let (amount, fee, mark) = (more.abs(), Notional::ZERO, String::new());
            let wanted = NewTransfer {
                way,
                amount,
                fee,
                mark,
            };
            let number = exchange
                .transfer(now, wanted, out)
                .expect("there is so much");
            exchange.move_transfer(number, Stage::Completed, out);
        });
    }

    fn collateral(&self, venue: Venue) -> Notional {
        let floor = self.sim.floor(venue);
        floor.look(|exchange| exchange.account().collateral)
    }

    /// Withdrawals that went towards the chain.
    fn withdrawals(&self) -> usize {
        let count = |venue| {
            self.sim.floor(venue).look(|exchange| {
                let out = exchange.transfers().filter(|one| one.exit.is_some());
                out.count()
            })
        };
        count(Venue::Extended) + count(Venue::Lighter)
    }

    /// Until the scene is over: pays what waits, proves what is to be claimed, credits deposits.
    fn relay(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            for one in self.sim.leaving() {
                assert_eq!(one.wallet, self.wallet, "nobody else is paid");
                let units = u128::try_from(one.amount.0 / 1_000_000_000_000).expect("positive");
                let paid = match (one.by, one.is_claimable) {
                    (Payout::Bridge | Payout::Pool, _) => {
                        self.evm.transfer(one.wallet, units);
                        Paid::Done
                    }
                    (Payout::Claim, false) => {
                        self.evm.prove(one.wallet, units);
                        Paid::Claimable
                    }
                    (Payout::Claim, true) => {
                        let (lighter, wallet) = (self.evm.lighter, one.wallet);
                        let left = self.chain.claimable(lighter, wallet, evm::ASSET);
                        if left != Ok(0) {
                            continue;
                        }
                        Paid::Done
                    }
                };
                self.sim
                    .settle(one.venue, one.number, paid)
                    .expect("it waits");
            }
            for deposit in self.evm.deposits() {
                let arriving = Arriving {
                    venue: match deposit.contract == self.evm.lighter {
                        true => Venue::Lighter,
                        false => Venue::Extended,
                    },
                    wallet: deposit.wallet,
                    amount: Notional::from_nano(i64::try_from(deposit.amount).unwrap() * 1_000),
                    transaction: deposit.hash,
                    commitment: deposit.commitment,
                };
                self.sim.arrive(&arriving).expect("the venue takes it");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Does something while the relayer works beside it.
    fn relayed<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        self.is_over.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| self.relay());
            // However it ends: who waits for the relayer must not wait for ever.
            let _over = Over(&self.is_over);
            work()
        })
    }

    /// What nobody explains of both accounts. USD.
    fn drift(&self) -> f64 {
        let mut command = parallax(&["balance", "--json", "--env"]);
        let output = command.arg(&self.env).output().expect("it runs");
        let told = object(&output);
        told["drift_usd"].as_f64().expect("it is known")
    }

    /// One more line of settings.
    fn set(&self, line: &str) {
        let settings = std::fs::read_to_string(&self.env).expect("it was written");
        std::fs::write(&self.env, settings + line + "\n").expect("it is ours");
    }

    /// Buys (positive) or sells so many thousandths of a coin, through the book.
    fn trade(&self, venue: Venue, thousandths: i64) {
        let side = match thousandths > 0 {
            true => Side::Bid,
            false => Side::Ask,
        };
        self.sim.floor(venue).act(|exchange, now, out| {
            let instrument = InstrumentId(0);
            let (mark, _) = exchange.mark(instrument);
            let tick = exchange.rules()[0].tick;
            let beyond = mark.0 / 50 * if side == Side::Bid { 1 } else { -1 };
            let order = NewOrder {
                instrument,
                side,
                price: Price(mark.0 + beyond).floor_to(tick),
                size: Size(thousandths.abs() * 1_000_000),
                time_in_force: TimeInForce::ImmediateOrCancel,
                reduce_only: false,
                client_id: String::new(),
                expiry_ms: 0,
                tag: String::new(),
            };
            exchange.place(now, order, out).expect("a sound order");
        });
    }

    /// Trades on Lighter, which holds takers back, until what both venues hold is a pair.
    fn make_even(&self) {
        let held = |venue| {
            let floor = self.sim.floor(venue);
            floor.look(|exchange| exchange.position(InstrumentId(0)).size.0)
        };
        for _ in 0..30 {
            std::thread::sleep(Duration::from_millis(500));
            match VENUES.map(held).iter().sum::<i64>() / 1_000_000 {
                0 => return,
                lone => self.trade(Venue::Lighter, -lone),
            }
        }
        panic!("the books were too thin for a pair");
    }

    fn journal(&self) -> Option<Value> {
        let bytes = std::fs::read(self.state.join("transfer.json")).ok()?;
        Some(serde_json::from_slice(&bytes).expect("it is replaced whole"))
    }

    /// What the journal says is done next.
    fn step(&self) -> Option<String> {
        let step = self.journal()?["now"]["step"].clone();
        step.as_str().map(str::to_owned)
    }

    fn command(&self, flags: &[&str]) -> std::process::Command {
        let mut command = parallax(&["rebalance", "--json"]);
        command.arg("--env").arg(&self.env).args(flags);
        command
    }

    fn run(&self, flags: &[&str]) -> Output {
        let output = self.command(flags).output().expect("it runs");
        eprint!("{}", text(&output.stderr));
        output
    }

    /// Starts it, and kills it as soon as the journal says that this step is next. False: it was
    /// over before anybody saw that.
    fn kill_at(&self, step: &str) -> bool {
        let mut command = self.command(&["--execute", "--yes"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("it runs");
        let until = Instant::now() + Duration::from_secs(60);
        let mut is_seen = false;
        while !is_seen && process.try_wait().expect("it is ours").is_none() {
            assert!(
                Instant::now() < until,
                "{step} never comes: {:?}",
                self.step()
            );
            is_seen = self.step().as_deref() == Some(step);
        }
        // SIGKILL: nothing is tidied up.
        process.kill().expect("it is ours");
        process.wait().expect("it is ours");
        is_seen
    }
}

/// Kills at every step, finishes, and looks where every millionth is.
fn killed_at_every_step(name: &str, dollars: [i64; 2], steps: &[&str]) {
    let scene = Scene::new(name, dollars);
    let rich = match dollars[0] > dollars[1] {
        true => Venue::Extended,
        false => Venue::Lighter,
    };
    let poor = rich.other();
    let before = VENUES.map(|venue| scene.collateral(venue));
    let output = scene.relayed(|| {
        assert_eq!(scene.drift(), 0.0);
        for step in steps {
            assert!(scene.kill_at(step), "{step} was not seen");
        }
        scene.run(&["--execute", "--yes"])
    });
    let told = object(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let past = &told["resumed"];
    assert_eq!(
        (&past["fate"], &past["number"]),
        (&json!("done"), &json!(1)),
        "{told}"
    );
    assert_eq!(
        (&told["empty"], &told["done"]),
        (&json!(true), &Value::Null),
        "{told}"
    );

    // One withdrawal, one deposit, and nothing left on the way.
    assert_eq!((scene.withdrawals(), scene.evm.deposits().len()), (1, 1));
    assert_eq!(scene.evm.balance(scene.wallet), POCKET);
    let micros = |field: &str| (past[field].as_f64().expect("a number") * 1e6).round() as i64;
    let moved = |venue: Venue| {
        let moved = scene.collateral(venue) - before[venue.idx()];
        moved.to_nano() / 1_000
    };
    assert_eq!(micros("amount"), 400_000_000);
    assert_eq!(-moved(rich), micros("amount"));
    assert_eq!(moved(poor), micros("credited"));
    assert_eq!(scene.evm.deposits()[0].amount, micros("arrived") as u128);
    // Even, but for what the ways cost.
    let fees = micros("amount") - micros("credited");
    assert!((0..=1_000_000).contains(&fees), "{told}");
    let apart = scene.collateral(rich) - scene.collateral(poor);
    assert_eq!(apart.to_nano() / 1_000, fees, "{told}");
    // And explained: neither account has moved by anything that it does not list.
    assert_eq!(scene.drift(), 0.0);
    let journal = scene.journal().expect("it is kept").to_string();
    let key = &scene.sim.description.l1_private_key;
    assert!(
        !journal.contains(key.trim_start_matches("0x")),
        "a key in the journal"
    );
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn from_extended_to_lighter_killed_at_every_step() {
    let steps = [
        "close", "quote", "commit", "withdraw", "paid_out", "approve", "deposit", "credited",
    ];
    killed_at_every_step("out", [900, 100], &steps);
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn from_lighter_to_extended_killed_at_every_step() {
    let steps = [
        "close", "quote", "commit", "withdraw", "paid_out", "claim", "approve", "deposit",
        "credited",
    ];
    killed_at_every_step("in", [100, 900], &steps);
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn nothing_is_sent_that_nobody_agreed_to_or_the_wallet_could_not_finish() {
    let scene = Scene::new("refused", [900, 100]);
    let refused = |flags: &[&str], words: &str| {
        let output = scene.run(flags);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{words}: {said}");
        assert_eq!((scene.withdrawals(), scene.step()), (0, None));
        said.to_owned()
    };
    // A plan alone is a plan, and nobody at the terminal is nobody who agrees.
    assert_eq!(scene.run(&[]).status.code(), Some(0));
    let said = refused(&["--execute"], "nobody is there to agree");
    for words in [
        "400.000 USD leave extended, for 0.100 USD, by the contract 0x",
        "reach your own wallet 0x",
        "lighter will count 399.900 USD",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(said.contains(&scene.wallet.to_string()), "{said}");

    scene.evm.fund(scene.wallet, 1_000);
    refused(&["--execute", "--yes"], "ETH");
    scene.evm.fund(scene.wallet, ETHER);

    let other = std::fs::read_to_string(&scene.env).expect("it was written");
    let foreign = format!("0x{}", "4c".repeat(32));
    let other = other.replace(&scene.sim.description.l1_private_key, &foreign);
    std::fs::write(&scene.env, other).expect("it is ours");
    let output = scene.run(&["--execute", "--yes"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("the accounts belong to the wallet"));
    assert_eq!((scene.withdrawals(), scene.step()), (0, None));
}

/// A run that is told to: begins by itself on a way that a human has used before, holds its
/// positions within what is left, and has both accounts even when it ends.
#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn a_run_evens_the_accounts_out_by_itself() {
    let scene = Scene::new("auto", [900, 100]);
    for line in [
        "TRADING_MODE=live",
        "AUTO_EXECUTION_ENABLED=true",
        "AUTO_REBALANCE=true",
        "TREASURY_POLL_S=30",
    ] {
        scene.set(line);
    }
    let run = |seconds: &str| {
        let mut command = parallax(&["run", "--seconds", seconds, "--json", "--env"]);
        let output = scene.relayed(|| command.arg(&scene.env).output().expect("it runs"));
        text(&output.stderr)
    };
    let said = run("6");
    assert!(said.contains("nobody has seen its addresses"), "{said}");
    assert_eq!((scene.withdrawals(), scene.step()), (0, None));
    let mut by_hand = scene.command(&["--execute", "--yes"]);
    by_hand.env("REBALANCE_EXTENDED_PCT", "80");
    let output = scene.relayed(|| by_hand.output().expect("it runs"));
    assert_eq!(
        object(&output)["done"]["fate"],
        "done",
        "{}",
        text(&output.stderr)
    );

    let said = run("25");
    for words in [
        "This is what will be sent:",
        "no more than 499.950 USD of positions on extended and 199.900 on lighter",
        "transfer 2: 300.050 USD left extended",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!((scene.withdrawals(), scene.evm.deposits().len()), (2, 2));
    assert_eq!(scene.evm.balance(scene.wallet), POCKET);
    assert_eq!(scene.step(), None);
}

/// What is bound in positions is freed first: the pair is closed on both venues, then money leaves.
#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn a_pair_whose_margin_is_in_the_way_is_closed_first() {
    let scene = Scene::new("close", [3_000, 5_000]);
    let withdrawable = || {
        let told = object(&scene.run(&[]));
        told["lighter"]["withdrawable"].as_f64().expect("a number")
    };
    // Lighter's margin takes most of it; each piece is as much as the books hold.
    for piece in 1..=100 {
        scene.trade(Venue::Extended, 20);
        scene.trade(Venue::Lighter, -20);
        std::thread::sleep(Duration::from_millis(100));
        if piece % 5 == 0 && withdrawable() < 900.0 {
            break;
        }
    }
    scene.make_even();
    let planned = object(&scene.run(&[]));
    assert_eq!(planned["close"][0]["market"], "BTC", "{planned}");
    let output = scene.relayed(|| scene.run(&["--execute", "--yes"]));
    let told = object(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(told["done"]["fate"], "done", "{told}");
    let said = text(&output.stderr);
    assert!(said.contains("are closed on both venues"), "{said}");
    let mut command = parallax(&["balance", "--json", "--env"]);
    let balance = object(&command.arg(&scene.env).output().expect("it runs"));
    for venue in VENUES {
        assert_eq!(balance[venue.name()]["positions"], json!({}), "{balance}");
    }
    // Marks move between two reads; what was traded is explained to the cent.
    assert!(balance["drift_usd"].as_f64().expect("it is known").abs() < 0.005);
}
