//! The keystore as its user meets it: made, filled, listed, unlocked by person, file and service
//! manager; wrong passphrases, foreign files and crashes.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/keystore.rs"]
mod keystore;

use command::{parallax, text};
use keystore::{Kept, PASSPHRASE, start};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A published example key: the address of the private key 1 is known everywhere.
const ETHEREUM: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const ADDRESS: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

#[test]
fn keys_are_taken_shown_and_forgotten() {
    let kept = Kept::made("life", "LIGHTER_ACCOUNT_INDEX=7\nEXTENDED_VAULT=10002\n");
    let mode = fs::metadata(kept.file())
        .expect("it was made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let lighter = "01".repeat(39) + "00";
    let import = ["import", "--secret-fd", "0"];
    let with = |more: &[&'static str]| [&import, more].concat();
    kept.told(&with(&["ethereum"]), &[ETHEREUM]);
    kept.told(&with(&["lighter", "--slot", "4"]), &[&lighter]);
    let stark = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";
    kept.told(&with(&["extended"]), &[stark, "an-api-key"]);

    let listed: Value = serde_json::from_str(&kept.told(&["list", "--json"], &[])).expect("JSON");
    let names: Vec<&str> = listed["keys"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        ["ethereum-7e5f4552", "lighter-7-4", "extended-10002"]
    );
    assert_eq!(listed["kdf"]["memory_kib"], 19 * 1024);
    let public = kept.told(&["export-public"], &[]);
    assert!(
        public.contains(&format!("ethereum-7e5f4552 {ADDRESS}")),
        "{public}"
    );
    // The public key that the official SDK's tests give for this private one.
    let known = "0x61c5e7e8339b7d56f197f54ea91b776776690e3232313de0f2ecbd0ef76f466";
    assert!(
        public.contains(&format!("extended-10002 {known}")),
        "{public}"
    );
    for secret in [
        &lighter,
        stark.trim_start_matches("0x"),
        "an-api-key",
        ETHEREUM,
    ] {
        assert!(!public.contains(secret) && !listed.to_string().contains(secret));
    }

    let (said, code) = kept.refused(&with(&["ethereum"]), &[ETHEREUM]);
    assert!(
        said.contains("has this name already") && code == 2,
        "{said}"
    );
    let (said, _) = kept.refused(&["remove", "lighter-7-4"], &[]);
    assert!(said.contains("nobody is there to agree"), "{said}");
    kept.told(&["remove", "lighter-7-4", "--yes"], &[]);
    assert!(!kept.told(&["list"], &[]).contains("lighter-7-4"));
    let log = fs::read_to_string(kept.folder.join("keystore.log")).expect("it was kept");
    let acts: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(acts.len(), 5);
    assert_eq!(
        (&acts[1]["act"], &acts[1]["key"]),
        (&"key imported".into(), &ADDRESS.into())
    );
    assert!(acts[1]["at"].as_str().expect("a time").starts_with("20"));
}

#[test]
fn bad_keys_and_bad_files_are_named_with_their_fix() {
    let kept = Kept::made("bad", "");
    let import = ["import", "--secret-fd", "0"];
    let with = |more: &[&'static str]| [&import, more].concat();
    for (what, secret, says) in [
        (
            &["ethereum"][..],
            "0x12",
            "the Ethereum key has 2 hexadecimal digits",
        ),
        (&["ethereum"], &"0".repeat(64), "the Ethereum key is zero"),
        (
            &["lighter", "--slot", "4"],
            "x",
            "no Lighter account is named",
        ),
        (&["extended"], "x", "no vault is named"),
        (
            &["ethereum", "--name", "My Key"],
            ETHEREUM,
            "is no name for a key",
        ),
    ] {
        let (said, code) = kept.refused(&with(what), &[secret]);
        assert!(said.contains(says) && said.contains("fix: "), "{said}");
        assert!(
            code == 2 && (secret == "x" || !said.contains(secret)),
            "{code} {said}"
        );
    }
    // Wrong passphrases never lock.
    for wrong in [
        "wrong one here",
        "another wrong one",
        "a third one, still wrong",
    ] {
        let output = kept.keys_with(wrong, &["list"], &[]);
        let said = text(&output.stderr);
        assert!(
            !output.status.success() && said.contains("the passphrase is wrong"),
            "{said}"
        );
        assert!(!said.contains(wrong), "{said}");
    }
    kept.told(&["list"], &[]);
    let (said, _) = kept.refused(&["init"], &[]);
    assert!(
        said.contains("exists already and is left as it is"),
        "{said}"
    );
    let whole = fs::read(kept.file()).expect("it is ours");
    for (len, says) in [
        (whole.len() - 1, "was cut"),
        (20, "was cut"),
        (0, "is not a keystore"),
    ] {
        fs::write(kept.file(), &whole[..len]).expect("there is room");
        let (said, _) = kept.refused(&["list"], &[]);
        assert!(said.contains(says), "{len}: {said}");
    }
    let mut bent = whole.clone();
    bent[100] ^= 1;
    fs::write(kept.file(), &bent).expect("there is room");
    let (said, _) = kept.refused(&["list"], &[]);
    assert!(said.contains("altered or is damaged"), "{said}");
    fs::write(kept.file(), &whole).expect("there is room");
    fs::set_permissions(kept.file(), fs::Permissions::from_mode(0o644)).expect("it is ours");
    let (said, _) = kept.refused(&["list"], &[]);
    assert!(
        said.contains("mode 644") && said.contains("chmod 600"),
        "{said}"
    );
    fs::set_permissions(kept.file(), fs::Permissions::from_mode(0o600)).expect("it is ours");
    kept.told(&["list"], &[]);
}

#[test]
fn short_passphrases_make_nothing() {
    let kept = Kept::new("short", "");
    let output = kept.keys_with("elevenchars", &["init"], &[]);
    let said = text(&output.stderr);
    assert!(
        !output.status.success() && said.contains("shorter than 12"),
        "{said}"
    );
    assert!(!kept.file().exists());
    let (said, code) = kept.refused(&["init", "--kdf-mib", "18"], &[]);
    assert!(code == 2 && said.contains("19..=4096"), "{said}");
}

#[test]
fn a_service_unlocks_without_a_person() {
    let kept = Kept::made("service", "");
    let credentials = kept.folder.join("credentials");
    fs::create_dir(&credentials).expect("there is room");
    fs::write(credentials.join("parallax-passphrase"), PASSPHRASE).expect("there is room");
    let listed = |flags: &[&str]| {
        let mut command = parallax(&["keys", "list", "--env", &kept.env]);
        command
            .args(flags)
            .env("CREDENTIALS_DIRECTORY", &credentials)
            .stdin(Stdio::null());
        command.output().expect("the binary was built")
    };
    assert!(listed(&[]).status.success());
    assert!(
        listed(&["--passphrase-credential", "parallax-passphrase"])
            .status
            .success()
    );
    assert!(
        !listed(&["--passphrase-credential", "none"])
            .status
            .success()
    );
    // Without any of them nobody hangs at a question.
    let mut alone = parallax(&["keys", "list", "--env", &kept.env]);
    let output = alone
        .stdin(Stdio::null())
        .output()
        .expect("the binary was built");
    let said = text(&output.stderr);
    assert!(
        !output.status.success() && said.contains("--passphrase-fd"),
        "{said}"
    );
}

#[test]
fn the_passphrase_is_changed_and_typed_unseen() {
    let kept = Kept::made("typed", "");
    let new = "another one that nobody knows";
    let flags = ["rotate", "passphrase", "--new-passphrase-fd", "0"];
    kept.told(&flags, &[new]);
    assert!(!kept.keys(&["list"], &[]).status.success());
    assert!(kept.keys_with(new, &["list"], &[]).status.success());

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("it is ours");
    unlockpt(&master).expect("it is ours");
    let name = ptsname(&master, Vec::new()).expect("it has a name");
    let name = name.to_str().expect("a path").to_owned();
    let mut options = OpenOptions::new();
    let slave = options
        .read(true)
        .write(true)
        .open(name)
        .expect("its other end");
    let mut command = parallax(&["keys", "list", "--env", &kept.env]);
    let mut child = command
        .stdin(slave.try_clone().expect("a second handle"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut stderr = child.stderr.take().expect("it is piped");
    let mut asked = Vec::new();
    while !asked.ends_with(b": ") {
        let mut byte = [0];
        stderr.read_exact(&mut byte).expect("it asks");
        asked.push(byte[0]);
    }
    let mut keyboard = File::from(master.try_clone().expect("a second handle"));
    keyboard
        .write_all(format!("{new}x\x7f\n").as_bytes())
        .expect("it listens");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    // Nothing was echoed, and the terminal is as it was: it echoes again.
    keyboard.write_all(b"seen\n").expect("it listens");
    let mut shown = [0; 64];
    let count = keyboard.read(&mut shown).expect("it echoes");
    let shown = text(&shown[..count]);
    assert!(
        shown.contains("seen") && !shown.contains("nobody"),
        "{shown:?}"
    );
}

/// A process that holds keys, killed as a crash does: no core file, and none allowed.
#[test]
fn a_crash_leaves_nothing_of_the_keys() {
    let kept = Kept::made("crash", "");
    let place = kept.folder.join("here");
    fs::create_dir(&place).expect("there is room");
    for signal in ["ABRT", "SEGV"] {
        // Whoever starts it allows dumps as large as they come.
        let mut shell = Command::new("sh");
        let line = "ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\"";
        let binary = env!("CARGO_BIN_EXE_parallax");
        shell.args(["-c", line, binary, "keys", "list", "--env", &kept.env]);
        shell.args(["--passphrase-fd", "0"]).current_dir(&place);
        let mut child = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let limits = format!("/proc/{}/limits", child.id());
        let until = Instant::now() + Duration::from_secs(20);
        let none = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            line.starts_with("Max core file size") && words[4..6] == ["0", "0"]
        };
        while !fs::read_to_string(&limits).is_ok_and(|text| text.lines().any(none)) {
            assert!(Instant::now() < until, "dumps are still allowed");
            std::thread::sleep(Duration::from_millis(10));
        }
        // Rust's own handler lets the first SIGSEGV pass when no address was at fault.
        let kill = format!(
            "kill -{signal} {0}; sleep 0.2; kill -{signal} {0}",
            child.id()
        );
        let mut killed = Command::new("sh");
        let _ = killed.args(["-c", &kill]).stderr(Stdio::null()).status();
        let ended = child.wait().expect("it ends");
        assert!(ended.signal().is_some() && !ended.core_dumped(), "{ended}");
    }
    assert_eq!(fs::read_dir(&place).expect("it is there").count(), 0);
}

/// Killed anywhere in a write, a keystore opens, and holds what it held.
#[test]
fn a_keystore_survives_being_killed() {
    let kept = Kept::made("killed", "");
    kept.told(&["import", "ethereum", "--secret-fd", "0"], &[ETHEREUM]);
    let flags = ["rotate", "passphrase", "--new-passphrase-fd", "0"];
    for wait_ms in [0, 20, 40, 60, 80, 100, 150, 250] {
        let mut child = start(kept.command(&flags), PASSPHRASE, &[PASSPHRASE]);
        std::thread::sleep(Duration::from_millis(wait_ms));
        let _ = child.kill();
        let _ = child.wait();
        assert!(kept.told(&["list"], &[]).contains(ADDRESS), "{wait_ms}");
    }
}
