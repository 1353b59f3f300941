//! The tuning scripts: what they would change is told, what they change they put back.
//!
//! Judged on a copy of the kernel's files in a folder of our own, and `check` on this machine.

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
