//! The tuning scripts: what they would change is told, what they change they put back; and the host
//! doctor (`parallax check --host`), which must say the same of the same machine.
//!
//! Judged on a copy of the kernel's files in a folder of our own; `check`, and the doctor, on this
//! machine too. To change this machine and put it back is left to whoever asks for it, as root:
//! `cargo test --test tuning -- --ignored`.

#[path = "rig/command.rs"]
mod command;

use command::{object, parallax};
use parallax::check::host::{Grade, Row, knobs};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const GROUPS: [&str; 5] = ["cpu", "irq", "net", "memory", "clock"];

/// Files as on an untuned machine of four cores, by group: path, content, what `apply` makes of it.
const KNOBS: [(&str, &str, &str, &str); 9] = [
    ("cpu", "/proc/sys/kernel/nmi_watchdog", "1\n", "0"),
    (
        "cpu",
        "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
        "powersave\n",
        "performance",
    ),
    (
        "cpu",
        "/sys/devices/system/cpu/cpu2/cpuidle/state3/disable",
        "0\n",
        "1",
    ),
    ("irq", "/proc/irq/24/smp_affinity_list", "0-3\n", "0,3"),
    ("net", "/proc/sys/net/core/busy_read", "0\n", "50"),
    (
        "net",
        "/proc/sys/net/ipv4/tcp_slow_start_after_idle",
        "1\n",
        "0",
    ),
    (
        "memory",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "[always] madvise never\n",
        "madvise",
    ),
    ("memory", "/proc/sys/vm/swappiness", "60\n", "1"),
    (
        "clock",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "hpet\n",
        "tsc",
    ),
];

/// A folder that is gone with its test.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Root {
        let path = std::env::temp_dir().join(format!("parallax-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let root = Root(path);
        for (_, knob, content, _) in KNOBS {
            root.put(knob, content);
        }
        root.put(
            "/sys/devices/system/clocksource/clocksource0/available_clocksource",
            "tsc hpet acpi_pm\n",
        );
        // On a core that is no stage's already: not to be touched.
        root.put("/proc/irq/25/smp_affinity_list", "3\n");
        for cpu in 0..4 {
            fs::create_dir_all(root.at(&format!("/sys/devices/system/cpu/cpu{cpu}"))).unwrap();
        }
        root
    }

    fn at(&self, knob: &str) -> PathBuf {
        self.0.join(knob.trim_start_matches('/'))
    }

    fn put(&self, knob: &str, content: &str) {
        let path = self.at(knob);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, knob: &str) -> String {
        fs::read_to_string(self.at(knob)).unwrap()
    }

    fn run(&self, group: &str, deed: &str) -> Output {
        script(group)
            .arg(deed)
            .env("PARALLAX_TUNING_ROOT", &self.0)
            .env("PARALLAX_TUNING_STATE", self.0.join("state"))
            .output()
            .unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn script(group: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tuning/{group}.sh"));
    let mut command = Command::new(path);
    command.env("SEAT_CORES", "1-2");
    command
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn what_is_applied_is_undone_to_the_byte_that_counts() {
    let root = Root::new("tuning");
    for group in GROUPS {
        let of_group = || KNOBS.iter().filter(move |knob| knob.0 == group);
        let check = root.run(group, "check");
        assert_eq!(check.status.code(), Some(1), "{group}: {}", text(&check));
        for (_, knob, content, _) in of_group() {
            let off = format!("off      {knob}: ");
            assert!(text(&check).contains(&off), "{knob}: {}", text(&check));
            assert_eq!(root.read(knob), *content, "a check changes nothing");
        }
        // Twice: the second must not take what the first has set for what was there.
        root.run(group, "apply");
        root.run(group, "apply");
        for (_, knob, _, wanted) in of_group() {
            assert_eq!(root.read(knob).trim(), *wanted, "{knob}");
        }
        let again = text(&root.run(group, "check"));
        for (_, knob, ..) in of_group() {
            assert!(again.contains(&format!("ok       {knob}: ")), "{again}");
        }
        let undo = root.run(group, "undo");
        assert!(undo.status.success(), "{group}: {}", text(&undo));
        for (_, knob, content, _) in of_group() {
            // Of a selection the chosen word alone is written, as the kernel wants it.
            let before = content.trim().trim_start_matches('[').split(']').next();
            assert_eq!(Some(root.read(knob).trim()), before, "{knob}");
        }
        assert!(text(&root.run(group, "undo")).contains("nothing to undo"));
    }
    assert_eq!(root.read("/proc/irq/25/smp_affinity_list"), "3\n");
}

#[test]
fn what_cannot_be_set_is_told_and_fails() {
    let root = Root::new("tuning-refused");
    let knob = "/proc/sys/vm/swappiness";
    // A folder in its place: there is something, and nothing can be written to it.
    fs::remove_file(root.at(knob)).unwrap();
    fs::create_dir(root.at(knob)).unwrap();
    let apply = root.run("memory", "apply");
    assert!(!apply.status.success());
    assert!(
        text(&apply).contains(&format!("refused  {knob}: ")),
        "{}",
        text(&apply)
    );
}

#[test]
fn a_check_of_this_machine_says_one_line_a_knob_and_why() {
    for group in GROUPS {
        let check = script(group).arg("check").output().unwrap();
        assert!(matches!(check.status.code(), Some(0 | 1)), "{group}");
        assert!(
            check.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&check.stderr)
        );
        for line in text(&check).lines() {
            let known = ["ok ", "off ", "absent ", "NET_DEVICE is not set"];
            assert!(known.iter().any(|start| line.starts_with(start)), "{line}");
            assert!(line.ends_with('.'), "{line}");
        }
        let wrong = script(group).arg("repair").output().unwrap();
        assert_eq!(wrong.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&wrong.stderr).starts_with("usage: "));
    }
}

/// Cores of the scripts' SEAT_CORES in these tests.
const SEATS: [usize; 2] = [1, 2];

/// A script's knob as the doctor names it: one row for all cores, states and interrupts.
fn row_name(knob: &str) -> String {
    let part = |part: &str| {
        let of = |head: &str| {
            let tail = part.strip_prefix(head);
            tail.is_some_and(|tail| !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit()))
        };
        match part {
            _ if of("cpu") => "cpu*".to_owned(),
            _ if of("state") => "state*".to_owned(),
            _ if of("") => "*".to_owned(),
            _ => part.to_owned(),
        }
    };
    knob.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// What the scripts' `check` says, by the doctor's names: states met, and what is wanted.
fn by_scripts(root: &Root) -> BTreeMap<String, (Vec<String>, String)> {
    let mut all: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for group in GROUPS {
        let out = text(&root.run(group, "check"));
        for line in out.lines().filter(|line| line.contains(", wanted ")) {
            let (state, rest) = line.split_once(' ').unwrap();
            let (knob, rest) = rest.trim_start().split_once(": ").unwrap();
            let (_, rest) = rest.split_once(", wanted ").unwrap();
            let (wanted, _) = rest.split_once(". ").unwrap();
            let entry = all.entry(row_name(knob)).or_default();
            entry.0.push(state.to_owned());
            entry.1 = wanted.to_owned();
        }
    }
    all
}

fn row<'a>(rows: &'a [Row], name: &str) -> &'a Row {
    let found = rows.iter().find(|row| row.knob == name);
    found.unwrap_or_else(|| panic!("the doctor has no row for {name}"))
}

/// Found by the running machine and not by a file: the copy has no say.
const OF_THE_MACHINE: [&str; 2] = ["irqbalance", "time service"];

fn doctor_agrees(root: &Root) {
    let rows = knobs(&root.0, &SEATS);
    let scripts = by_scripts(root);
    assert!(scripts.len() > 25, "{scripts:?}");
    for (name, (states, wanted)) in &scripts {
        let row = row(&rows, name);
        if !name.starts_with("/proc/irq/") && !["isolcpus", "nohz_full"].contains(&name.as_str()) {
            assert_eq!(&row.wanted, wanted, "{name}");
        }
        let any = |state: &str| states.iter().any(|one| one == state);
        let is_as_told = match row.grade {
            _ if OF_THE_MACHINE.contains(&name.as_str()) => true,
            Grade::Warn | Grade::Bad => any("off"),
            Grade::Ok => any("ok") && !any("off"),
            Grade::Absent => !any("ok") && !any("off"),
        };
        assert!(is_as_told, "{name}: {states:?} against {row:?}");
        assert_eq!(row.fix.is_some(), row.grade > Grade::Ok, "{row:?}");
    }
}

#[test]
fn the_doctor_says_what_the_scripts_say() {
    let root = Root::new("doctor");
    doctor_agrees(&root);
    let rows = knobs(&root.0, &SEATS);
    let governor = row(
        &rows,
        "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    );
    assert_eq!(governor.value.as_deref(), Some("powersave on 1"));
    let fix = "sudo SEAT_CORES=1-2 tuning/cpu.sh apply";
    assert_eq!(governor.fix.as_deref(), Some(fix));
    let interrupts = row(&rows, "/proc/irq/*/smp_affinity_list");
    assert_eq!(interrupts.value.as_deref(), Some("1 of 2 may run there"));
    for group in GROUPS {
        root.run(group, "apply");
    }
    doctor_agrees(&root);
    let rows = knobs(&root.0, &SEATS);
    for (_, knob, ..) in KNOBS {
        assert_eq!(row(&rows, &row_name(knob)).grade, Grade::Ok, "{knob}");
    }
    // What a boot has isolated.
    root.put("/sys/devices/system/cpu/isolated", "1-3\n");
    root.put("/sys/devices/system/cpu/nohz_full", " (null)\n");
    let rows = knobs(&root.0, &SEATS);
    assert_eq!(row(&rows, "isolcpus").grade, Grade::Ok);
    let ticks = row(&rows, "nohz_full");
    assert_eq!(
        (ticks.value.as_deref(), ticks.grade),
        (Some("none"), Grade::Warn)
    );
    let fix = "boot with nohz_full=1-2 rcu_nocbs=1-2";
    assert_eq!(ticks.fix.as_deref(), Some(fix));
}

#[test]
fn the_doctor_grades_this_machine_and_measures_a_core() {
    let output = parallax(&["check", "--host", "--seconds", "1", "--json"])
        .output()
        .expect("the binary was built for this test");
    let report = object(&output);
    let rows = report["host"].as_array().expect("rows");
    assert!(rows.len() > 30, "{report}");
    let mut is_well = true;
    for row in rows {
        let grade = row["grade"].as_str().expect("a grade");
        assert!(["ok", "warn", "bad", "absent"].contains(&grade), "{row}");
        let is_off = ["warn", "bad"].contains(&grade);
        is_well &= !is_off;
        assert_eq!(row["fix"].is_string(), is_off, "{row}");
        assert_eq!(row["value"].is_null(), grade == "absent", "{row}");
        assert!(row["wanted"].is_string() && row["why"].is_string(), "{row}");
    }
    assert_eq!(output.status.code(), Some(i32::from(!is_well)));
    for jitter in report["jitter"].as_array().expect("cores") {
        assert!(jitter["looks"].as_u64() > Some(1_000), "{jitter}");
        let [p50, max] = ["p50_ns", "max_ns"].map(|name| jitter[name].as_u64());
        assert!(Some(0) < p50 && p50 <= max, "{jitter}");
        assert!(jitter["seconds"].as_f64() >= Some(1.0), "{jitter}");
    }
}

/// Changes this machine for a moment: as root, and only when asked for.
#[test]
#[ignore = "sets knobs of this machine, and puts them back"]
fn what_is_applied_to_this_machine_is_undone() {
    let state = std::env::temp_dir().join(format!("parallax-tuned-{}", std::process::id()));
    let run = |group: &str, deed: &str| {
        let mut command = script(group);
        command.env("SEAT_CORES", "1");
        let output = command.arg(deed).env("PARALLAX_TUNING_STATE", &state);
        text(&output.output().unwrap())
    };
    for group in GROUPS {
        let before = run(group, "check");
        let applied = run(group, "apply");
        let after = run(group, "check");
        let undone = run(group, "undo");
        println!("{group}, apply:\n{applied}{group}, undo:\n{undone}");
        // What `apply` says it has set stands afterwards; what was refused is said.
        for line in applied.lines().filter(|line| line.starts_with("set ")) {
            let (knob, _) = line[4..].trim_start().split_once(": ").unwrap();
            assert!(after.contains(&format!("ok       {knob}: ")), "{after}");
        }
        assert_eq!(run(group, "check"), before, "{group}");
    }
    fs::remove_dir_all(state).unwrap();
}
