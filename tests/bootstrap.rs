//! Keys made known to the venues and proven there: bootstrap, onboarding, rotation, the check that
//! arms, and a run from the keystore. Over the simulated venues, in processes as a user has them.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/keystore.rs"]
mod keystore;
#[path = "rig/simulation.rs"]
mod simulation;

use command::{object, parallax, text};
use keystore::{Kept, PASSPHRASE, start};
use parallax::keys::Secret;
use parallax::keys::ceremony::EthereumKey;
use parallax::keys::entry::What;
use parallax::keys::keystore::Keystore;
use parallax::stage::clock::Clock;
use parallax::venue::extended::account::ExtendedRest;
use parallax::venue::lighter::account::{LighterRest, Sender};
use parallax::venue::lighter::sign::PrivateKey;
use parallax::venue::lighter::sign::cold::MarginMode;
use serde_json::Value;
use simulation::Simulation;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

/// Both venues and a keystore that has the wallet's key, if `has_wallet`.
struct Scene {
    kept: Kept,
    told: Value,
    _simulation: Simulation,
}

impl Scene {
    fn new(name: &str, has_wallet: bool) -> Scene {
        let simulation = Simulation::start(&["--plain", "--plant", "off"]);
        let told: Value = serde_json::from_str(&simulation.description).expect("JSON");
        let setting = |key: &str, path: &str| {
            let value = told.pointer(path).expect("it is described");
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            format!("{key}={value}\n")
        };
        let settings = [
            setting("EXTENDED_BASE_URL", "/extended/rest"),
            setting("EXTENDED_STREAM_URL", "/extended/stream"),
            setting("EXTENDED_ONBOARDING_URL", "/extended/onboarding"),
            setting("LIGHTER_BASE_URL", "/lighter/rest"),
            setting("LIGHTER_WS_URL", "/lighter/ws"),
            setting("LIGHTER_ACCOUNT_INDEX", "/lighter/account_index"),
            setting("EXTENDED_VAULT", "/extended/vault"),
        ];
        let kept = Kept::made(&format!("venues-{name}"), &settings.concat());
        let scene = Scene {
            kept,
            told,
            _simulation: simulation,
        };
        if has_wallet {
            let key = scene.wallet();
            scene
                .kept
                .told(&["import", "ethereum", "--secret-fd", "0"], &[&key]);
        }
        scene
    }

    fn wallet(&self) -> String {
        self.told["l1_private_key"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    fn account(&self) -> u64 {
        self.told["lighter"]["account_index"]
            .as_u64()
            .expect("a number")
    }

    fn bootstrap(&self, more: &[&str]) -> Output {
        let flags = [&["bootstrap", "lighter", "--yes"], more].concat();
        self.kept.keys(&flags, &[])
    }

    /// Keys as the keystore lists them, of one kind.
    fn listed(&self, kind: &str) -> Vec<Value> {
        let all: Value =
            serde_json::from_str(&self.kept.told(&["list", "--json"], &[])).expect("JSON");
        let mut rows = all["keys"].as_array().expect("a list").clone();
        rows.retain(|row| row["kind"] == kind);
        rows
    }

    /// What the venue has in a slot.
    fn at_venue(&self, slot: u64) -> Option<String> {
        let rest = self.told["lighter"]["rest"].as_str().expect("a text");
        let account = self.account();
        let url = format!("{rest}/api/v1/apikeys?account_index={account}&api_key_index=255");
        let body = fetch(&url);
        let rows = body["api_keys"].as_array().expect("a list");
        let row = rows.iter().find(|row| row["api_key_index"] == slot)?;
        Some(row["public_key"].as_str().expect("a text").to_owned())
    }

    /// A command that unlocks the keystore with these settings changed.
    fn with(&self, arguments: &[&str], changes: &[(&str, &str)]) -> Output {
        let mut command = parallax(arguments);
        command.args(["--env", &self.kept.env, "--passphrase-fd", "0"]);
        command.envs(changes.iter().copied());
        start(command, PASSPHRASE, &[])
            .wait_with_output()
            .expect("it ends")
    }

    /// Every secret there is here.
    fn secrets(&self) -> Vec<String> {
        let passphrase = Secret::new(PASSPHRASE.to_owned());
        let store = Keystore::open(&self.kept.file(), &passphrase).expect("it opens");
        let mut all = vec![PASSPHRASE.to_owned()];
        for entry in &store.entries {
            all.push(entry.private.expose().to_owned());
            if let What::Extended {
                api_key: Some(api_key),
                ..
            } = &entry.what
            {
                all.push(api_key.expose().to_owned());
            }
        }
        // A Stark key is written without its leading zeros as well.
        all.iter()
            .map(|text| text.trim_start_matches('0').to_owned())
            .collect()
    }
}

fn fetch(url: &str) -> Value {
    let mut answer = ureq::get(url).call().expect("the venue answers");
    let text = answer.body_mut().read_to_string().expect("a text");
    serde_json::from_str(&text).expect("JSON")
}

fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn bad(output: &Output) -> String {
    assert!(!output.status.success(), "{}", text(&output.stdout));
    text(&output.stderr)
}

#[test]
fn a_lighter_key_is_made_known_in_a_free_slot_and_rotated_without_a_gap() {
    let scene = Scene::new("lighter", true);
    // The venue's account has keys in 4 to 7 already.
    let said = good(&scene.bootstrap(&["--json"]));
    let made: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (&made["slot"], &made["state"]),
        (&8.into(), &"active".into())
    );
    assert_eq!(scene.at_venue(8).as_deref(), made["public"].as_str());
    let said = bad(&scene.bootstrap(&["--slot", "8"]));
    assert!(
        said.contains("slot 8") && said.contains("holds a key already"),
        "{said}"
    );
    let said = bad(&scene.bootstrap(&["--slot", "5"]));
    assert!(
        said.contains("holds a key already") && said.contains("fix: "),
        "{said}"
    );
    good(&scene.bootstrap(&["--slot", "40"]));

    // What is signed is told, and nothing is signed without a yes.
    let name = format!("lighter-{}-8", scene.account());
    let (said, _) = scene.kept.refused(&["rotate", &name], &[]);
    assert!(
        said.contains("Register Lighter Account") && said.contains("slot 9"),
        "{said}"
    );
    assert!(said.contains("nobody is there to agree"), "{said}");
    assert_eq!(scene.at_venue(9), None);
    let old = scene.at_venue(8).expect("it is there");
    scene.kept.told(&["rotate", &name, "--yes"], &[]);
    let slots: Vec<u64> = scene
        .listed("lighter")
        .iter()
        .map(|row| row["slot"].as_u64().expect("a number"))
        .collect();
    assert_eq!(slots, [40, 9]);
    assert_ne!(scene.at_venue(8).expect("somebody's"), old);
    let log = fs::read_to_string(scene.kept.folder.join("keystore.log")).expect("it is there");
    assert_eq!(log.matches("Register Lighter Account").count(), 4);
}

#[test]
fn an_owner_elsewhere_signs_what_is_printed_and_nobody_else() {
    let scene = Scene::new("offline", false);
    let said = bad(&scene.bootstrap(&[]));
    assert!(said.contains("there is no Ethereum key"), "{said}");
    let printed = good(&scene.bootstrap(&["--offline", "--json"]));
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    let message = printed["message"].as_str().expect("a text");
    let sign = |key: &str| {
        let signature = EthereumKey::parse_hex(key)
            .expect("a key")
            .sign_personal(message);
        let digits: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("0x{digits}")
    };
    let stranger = sign(&"11".repeat(32));
    for (signature, says) in [
        ("0x12", "is no signature"),
        (stranger.as_str(), "is not 0x"),
    ] {
        let said = bad(&scene.bootstrap(&["--signature", signature]));
        assert!(
            said.contains(says) && said.contains("fix: ") || says == "is no signature",
            "{said}"
        );
    }
    assert_eq!(scene.at_venue(8), None);
    let right = sign(&scene.wallet());
    let told = good(&scene.bootstrap(&["--signature", &right]));
    assert!(told.contains("slot 8"), "{told}");
    assert_eq!(scene.at_venue(8).as_deref(), printed["public"].as_str());
}

#[test]
fn keys_of_others_are_told_apart() {
    let scene = Scene::new("others", false);
    let stranger = "11".repeat(32);
    scene
        .kept
        .told(&["import", "ethereum", "--secret-fd", "0"], &[&stranger]);
    let said = bad(&scene.bootstrap(&[]));
    assert!(said.contains("does not own Lighter account"), "{said}");
    assert!(said.contains("--wallet"), "{said}");
    let said = bad(&scene.bootstrap(&["--account", "7"]));
    assert!(said.contains("account not found"), "{said}");
    // Two wallets: which one must be said.
    let wallet = scene.wallet();
    let import = ["import", "ethereum", "--secret-fd", "0", "--name", "mine"];
    scene.kept.told(&import, &[&wallet]);
    let said = bad(&scene.bootstrap(&[]));
    assert!(said.contains("several Ethereum keys"), "{said}");
    good(&scene.bootstrap(&["--wallet", "mine"]));
    assert_eq!(scene.listed("lighter").len(), 1);
}

#[test]
fn an_account_is_opened_once_and_logged_in_to_ever_after() {
    let scene = Scene::new("extended", true);
    let onboard = |more: &[&str]| {
        let flags = [&["onboard", "extended", "--yes"], more].concat();
        scene.kept.told(&flags, &[])
    };
    // The wallet's first account is there already; the Stark key is the one the venue knows.
    let said = onboard(&[]);
    assert!(said.contains("vault 10002"), "{said}");
    let rows = scene.listed("extended");
    let known = scene.told["extended"]["public_key"].as_str();
    assert_eq!((rows.len(), rows[0]["public"].as_str()), (1, known));
    assert_eq!(rows[0]["has_api_key"], true);
    // Again: the same account, another API key.
    onboard(&[]);
    assert_eq!(scene.listed("extended").len(), 1);
    // A second account is registered, then found.
    let said = onboard(&["--account-index", "1"]);
    assert!(said.contains("vault 10003"), "{said}");
    onboard(&["--account-index", "1"]);
    assert_eq!(scene.listed("extended").len(), 2);
    scene.kept.told(&["rotate", "extended-10003", "--yes"], &[]);

    // A wallet that nobody has seen is registered.
    let stranger = "22".repeat(32);
    let import = ["import", "ethereum", "--secret-fd", "0", "--name", "new"];
    scene.kept.told(&import, &[&stranger]);
    let said = onboard(&["--wallet", "new"]);
    assert!(said.contains("vault 10004"), "{said}");
    let log = fs::read_to_string(scene.kept.folder.join("keystore.log")).expect("it is there");
    assert!(
        log.contains("POST /auth/onboard: registers the wallet"),
        "{log}"
    );
}

/// `kill -9` anywhere, and the same command again: it finishes, with one key and not two.
#[test]
fn what_was_interrupted_is_finished_by_the_same_command() {
    let scene = Scene::new("killed", true);
    let commands: [&[&str]; 2] = [
        &["bootstrap", "lighter", "--yes"],
        &["onboard", "extended", "--yes"],
    ];
    for (round, wait_ms) in [60, 90, 120, 160, 220, 300].into_iter().enumerate() {
        for command in commands {
            let mut child = start(scene.kept.command(command), PASSPHRASE, &[]);
            std::thread::sleep(Duration::from_millis(wait_ms));
            let _ = child.kill();
            let _ = child.wait();
            scene.kept.told(command, &[]);
        }
        let keys = scene.listed("lighter");
        let active = keys.iter().filter(|row| row["state"] == "active");
        // A bootstrap that was done before it was killed has its key, and the next one another.
        let count = active.count();
        assert!((round + 1..=2 * (round + 1)).contains(&count), "{keys:?}");
        assert_eq!(count, keys.len(), "{keys:?}");
        for row in &keys {
            let slot = row["slot"].as_u64().expect("a number");
            assert_eq!(scene.at_venue(slot).as_deref(), row["public"].as_str());
        }
        assert_eq!(scene.listed("extended").len(), 1);
    }
    // A rotation: the old key is gone, whenever it was stopped.
    let name = scene.listed("lighter")[0]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let before = scene.listed("lighter").len();
    let rotate = ["rotate", &name, "--yes"];
    for wait_ms in [100, 140, 180] {
        let mut child = start(scene.kept.command(&rotate), PASSPHRASE, &[]);
        std::thread::sleep(Duration::from_millis(wait_ms));
        let _ = child.kill();
        let _ = child.wait();
    }
    if scene
        .listed("lighter")
        .iter()
        .any(|row| row["name"] == name.as_str())
    {
        scene.kept.told(&rotate, &[]);
    }
    let keys = scene.listed("lighter");
    assert_eq!(keys.len(), before, "{keys:?}");
    assert!(keys.iter().all(|row| row["state"] == "active"), "{keys:?}");
}

/// Row 42: keys that were rotated or belong to another account are found before a run, each fault
/// by its name; where nothing is wrong, there is something to arm with.
#[test]
fn row_42_a_check_proves_keys_and_accounts_or_arms_nothing() {
    let scene = Scene::new("check", true);
    let check = |changes: &[(&str, &str)]| scene.with(&["check", "--venues", "--json"], changes);
    let said = bad(&check(&[("EXTENDED_VAULT", "")]));
    assert!(said.contains("no active key of that account"), "{said}");
    good(&scene.bootstrap(&[]));
    scene.kept.told(&["onboard", "extended", "--yes"], &[]);
    let output = check(&[]);
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let found = object(&output);
    let ack = found["live_ack"]
        .as_str()
        .expect("an acknowledgement")
        .to_owned();
    assert!(told.contains(&format!("LIVE_ACK={ack}")), "{told}");
    for about in [
        "Extended's clock",
        "Extended Stark key",
        "Extended fees",
        "Extended leverage",
        "Lighter's clock",
        "Lighter key",
        "Lighter taker delay",
        "Lighter margin",
        "markets",
    ] {
        assert!(told.contains(&format!("ok   {about}: ")), "{about}: {told}");
    }
    // Another limit, another fingerprint.
    let other = object(&check(&[("MAX_POSITION_SIZE_USD", "400")]));
    assert!(other["live_ack"].is_string() && other["live_ack"] != ack.as_str());

    // A delay that the tier does not have; a key that is not in its slot any more.
    let said = bad(&check(&[("LIGHTER_MATCH_DELAY_MS", "100")]));
    assert!(said.contains("BAD  Lighter taker delay: 300 ms"), "{said}");
    let keys = scene.told["lighter"]["keys"].as_array().expect("a list");
    let private = keys[1]["private_key"].as_str().expect("a text");
    let import = ["import", "lighter", "--slot", "99", "--secret-fd", "0"];
    scene.kept.told(&import, &[private]);
    let output = check(&[]);
    let said = bad(&output);
    assert!(
        said.contains("BAD  Lighter key: slot 99: account"),
        "{said}"
    );
    assert!(said.contains("keys bootstrap lighter"), "{said}");
    assert!(object(&output)["live_ack"].is_null());
    let mut run = parallax(&["run", "--env", &scene.kept.env, "--passphrase-fd", "0"]);
    run.env("TRADING_MODE", "live");
    let output = start(run, PASSPHRASE, &[])
        .wait_with_output()
        .expect("it ends");
    assert!(bad(&output).contains("slot 99"), "{}", text(&output.stderr));
}

/// Row 34: margin mode and leverage are put right on request, and not without.
#[test]
fn row_34_a_check_sets_cross_margin_when_it_is_asked_to() {
    let scene = Scene::new("set", true);
    good(&scene.bootstrap(&[]));
    scene.kept.told(&["onboard", "extended", "--yes"], &[]);
    let said = |name: &str, field: &str| scene.told[name][field].as_str().expect("a text");

    let lighter = LighterRest::new(said("lighter", "rest"), None).expect("a client");
    let listed = lighter.markets().expect("they are listed");
    let btc = listed.markets.iter().find(|row| row.symbol == "BTC");
    let btc = u64::from(btc.expect("it is listed").market_id);
    let key = &scene.told["lighter"]["keys"][0];
    let private = PrivateKey::parse_hex(key["private_key"].as_str().expect("a text"));
    let slot = key["index"].as_u64().expect("a number") as u8;
    let chain_id = scene.told["lighter"]["chain_id"]
        .as_u64()
        .expect("a number");
    let sender = Sender::new(scene.account(), chain_id, slot, private.expect("a key"));
    let now = Clock::new().now();
    let isolated = (500, MarginMode::Isolated);
    lighter
        .set_margin(&sender, btc, isolated, now)
        .expect("nothing is open there");

    let check = |flags: &[&str]| scene.with(&[&["check", "--venues"], flags].concat(), &[]);
    let output = check(&[]);
    assert!(!output.status.success());
    let told = text(&output.stdout);
    let isolated = "BAD  Lighter margin: BTC is isolated";
    assert!(told.contains(isolated), "{told}");
    let told = good(&check(&["--set"]));
    let set = "ok   Lighter margin: BTC was isolated and is set to cross";
    assert!(told.contains(set), "{told}");
    let state = lighter.account(scene.account()).expect("it is there");
    assert_eq!(state.isolated, Vec::<u32>::new());

    // Extended takes what a check would set, from the owner's key alone.
    let api_key = said("extended", "api_key");
    let extended = ExtendedRest::new(said("extended", "rest"), api_key, None);
    let extended = extended.expect("a client");
    extended
        .set_leverage("BTC-USD", 7)
        .expect("the market takes it");
    let leverages = extended.leverages().expect("they are listed");
    let btc = leverages.iter().find(|set| set.market == "BTC-USD");
    assert_eq!(btc.expect("it is listed").ratio, 7_000_000_000);
}

/// A run takes its keys from the keystore, and no secret is to be found anywhere but there.
#[test]
fn a_run_from_the_keystore_leaves_no_secret_behind() {
    let scene = Scene::new("run", true);
    let mut heard = Vec::new();
    for flags in [
        &["bootstrap", "lighter", "--yes", "--json"][..],
        &["onboard", "extended", "--yes", "--json"],
        &["list", "--json"],
        &["export-public"],
    ] {
        let output = scene.kept.keys(flags, &[]);
        good(&output);
        heard.push(text(&output.stdout) + &text(&output.stderr));
    }
    let output = scene.with(&["check", "--venues"], &[]);
    heard.push(text(&output.stdout) + &text(&output.stderr));
    let output = scene.with(&["flatten", "--json"], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    heard.push(text(&output.stdout) + &text(&output.stderr));
    let refused = scene.kept.keys_with("not the passphrase", &["list"], &[]);
    heard.push(bad(&refused));

    let state = scene.kept.folder.join("state");
    let mut command = parallax(&["run", "--env", &scene.kept.env, "--passphrase-fd", "0"]);
    command
        .args(["--seconds", "4", "--json"])
        .env("TRADING_MODE", "live")
        .env("AUTO_EXECUTION_ENABLED", "true")
        .env("STATE_DIR", &state)
        .stdout(Stdio::piped());
    let run = start(command, PASSPHRASE, &[]);
    let secrets = scene.secrets();
    assert_eq!(secrets.len(), 5);
    let place = format!("/proc/{}", run.id());
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        for file in ["cmdline", "environ"] {
            // Where the system lets nobody read it, nobody finds anything.
            let seen = fs::read(Path::new(&place).join(file)).unwrap_or_default();
            clean(&secrets, file, &text(&seen));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = run.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    heard.push(text(&output.stdout) + &text(&output.stderr));
    for (at, said) in heard.iter().enumerate() {
        clean(&secrets, &format!("output {at}"), said);
    }
    let mut searched = 0;
    for folder in [&scene.kept.folder, &state] {
        for file in fs::read_dir(folder).expect("it is there") {
            let path = file.expect("it can be listed").path();
            if path.is_file() {
                let bytes = fs::read(&path).expect("it is ours");
                clean(&secrets, &path.display().to_string(), &text(&bytes));
                searched += 1;
            }
        }
    }
    assert!(searched > 4, "{searched}");
}

fn clean(secrets: &[String], place: &str, text: &str) {
    let text = text.to_lowercase();
    for (at, secret) in secrets.iter().enumerate() {
        assert!(
            !text.contains(&secret.to_lowercase()),
            "secret {at} stands in {place}"
        );
    }
}
