//! The host doctor: every knob of `tuning/` and every limit of this process, graded, with its fix.
//!
//! Cold. Promises: reads only; the same knobs and values as the scripts; a knob that this machine
//! does not have is *absent*, not ok and not wrong. Refuses: to change anything, and to ask the
//! network card (`NET_DEVICE=eth0 tuning/net.sh check` does).

use super::jitter;
use super::jitter::Jitter;
use super::kernel::{cores_of, list, numbered, word};
use super::knobs::{CORE, Knob, MACHINE};
use crate::market::units::SECOND;
use crate::stage;
use crate::stage::clock::Clock;
use crate::stage::host::{Allowed, allowed};
use crate::topology::{self, OWN_CORES_MIN, Plan, Seating, SeatsError};
use serde_json::{Value, json};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// How a knob stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// This machine has no such knob.
    Absent,
    /// As it should be.
    Ok,
    /// It costs now and then, or microseconds.
    Warn,
    /// It costs often, or milliseconds.
    Bad,
}

impl Grade {
    /// Name in text and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Grade::Absent => "absent",
            Grade::Ok => "ok",
            Grade::Warn => "warn",
            Grade::Bad => "bad",
        }
    }
}

/// One knob, limit or measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is: a file of the kernel, or a word.
    pub knob: String,
    /// What it is now; `None` when absent.
    pub value: Option<String>,
    /// What it should be.
    pub wanted: String,
    /// Why it matters.
    pub why: String,
    /// A command, or what to do; none where nothing is to be done.
    pub fix: Option<String>,
    /// How it stands.
    pub grade: Grade,
}

impl Row {
    /// Right, or off with this grade and fix.
    fn new(knob: &str, (value, wanted): (&str, &str), why: &str, off: (Grade, String)) -> Row {
        let (grade, fix) = match value == wanted {
            true => (Grade::Ok, None),
            false => (off.0, Some(off.1)),
        };
        Row {
            knob: knob.to_owned(),
            value: Some(value.to_owned()),
            wanted: wanted.to_owned(),
            why: why.to_owned(),
            fix,
            grade,
        }
    }

    fn absent(knob: &str, wanted: &str, why: &str) -> Row {
        Row {
            value: None,
            fix: None,
            grade: Grade::Absent,
            ..Row::new(knob, ("", wanted), why, (Grade::Absent, String::new()))
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Graded, in the order of the groups.
    pub rows: Vec<Row>,
    /// Measured, by core.
    pub jitter: Vec<Jitter>,
}

impl Findings {
    /// Nothing is to be mended.
    pub fn is_well(&self) -> bool {
        self.rows.iter().all(|row| row.grade <= Grade::Ok)
    }

    /// Adds what a core's jitter was.
    pub fn add_jitter(&mut self, jitter: Jitter) {
        self.rows.push(jitter.row());
        self.jitter.push(jitter);
    }

    /// Knobs that are off.
    pub fn off_len(&self) -> usize {
        let off = self.rows.iter().filter(|row| row.grade > Grade::Ok);
        off.count()
    }

    /// The members `host` and `jitter` of the command's object.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "knob": row.knob,
                "value": row.value,
                "wanted": row.wanted,
                "why": row.why,
                "fix": row.fix,
                "grade": row.grade.name(),
            })
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let jitter: Vec<Value> = self.jitter.iter().map(Jitter::json).collect();
        json!({"host": rows, "jitter": jitter})
    }
}

/// A line or two a knob, then the count.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let value = row.value.as_deref().unwrap_or("-");
            let (grade, knob, wanted) = (row.grade.name(), &row.knob, &row.wanted);
            writeln!(
                f,
                "{grade:<7} {knob}: {value}, wanted {wanted}. {}",
                row.why
            )?;
            if let Some(fix) = &row.fix {
                writeln!(f, "          fix: {fix}")?;
            }
        }
        let count = |grade| self.rows.iter().filter(|row| row.grade == grade).count();
        let [ok, warn, bad, absent] =
            [Grade::Ok, Grade::Warn, Grade::Bad, Grade::Absent].map(count);
        writeln!(f, "{ok} ok, {warn} warn, {bad} bad, {absent} absent here")
    }
}

/// Looks at everything, then watches each core of a stage for this long. `progress` hears of each
/// core before. Blocks.
pub fn examine(
    seating: &Seating,
    seconds: u64,
    clock: Clock,
    progress: &dyn Fn(usize),
) -> Result<Findings, SeatsError> {
    let cores = stage::cores();
    let plan = topology::plan(seating, &cores)?;
    let seats = seat_cores(&plan);
    let mut findings = Findings {
        rows: limits(&allowed(), &plan, cores.len()),
        jitter: Vec::new(),
    };
    findings.rows.extend(knobs(Path::new("/"), &seats));
    for core in seats {
        progress(core);
        match jitter::measure(core, seconds * SECOND, clock) {
            Ok(jitter) => findings.add_jitter(jitter),
            Err(error) => findings.rows.push(unmeasured(core, &error)),
        }
    }
    Ok(findings)
}

fn unmeasured(core: usize, error: &std::io::Error) -> Row {
    let off = (Grade::Bad, "see cores above".to_owned());
    let why = "Nothing can be said of a core that is not to be had.";
    let value = error.to_string();
    Row::new(
        &format!("jitter of core {core}"),
        (&value, "measured"),
        why,
        off,
    )
}

/// Cores on which stages sit, ascending, each once.
pub fn seat_cores(plan: &Plan) -> Vec<usize> {
    let mut cores: Vec<usize> = plan.seats.iter().filter_map(|seat| seat.core).collect();
    cores.sort_unstable();
    cores.dedup();
    cores
}

/// Every knob of the kernel, below `root` (`/`, or a test's copy of it).
pub fn knobs(root: &Path, seats: &[usize]) -> Vec<Row> {
    let host = Host { root, seats };
    let of_core = CORE.iter().map(|knob| host.of_cores(knob));
    let mut rows: Vec<Row> = of_core.collect();
    rows.extend(host.booted());
    rows.push(host.siblings());
    rows.push(host.interrupts());
    rows.extend(host.programs());
    let machine = MACHINE.iter().map(|knob| host.of_machine(knob));
    rows.extend(machine);
    rows
}

/// What the process may have, and whether the stages have room.
pub fn limits(allowed: &Allowed, plan: &Plan, cores_len: usize) -> Vec<Row> {
    let locked = match allowed.locked_bytes {
        None => "unlimited".to_owned(),
        Some(bytes) => format!("{} KiB", bytes >> 10),
    };
    let priority = match allowed.priority {
        Some(0) => "none",
        _ => "allowed",
    };
    let files = allowed.files.unwrap_or(u64::MAX);
    let has_files = files >= FILES_MIN;
    let wide = cores_len >= OWN_CORES_MIN;
    let cores = format!("{cores_len} ({})", plan.why);
    let enough = format!("{OWN_CORES_MIN} or more");
    vec![
        Row::new(
            "cores",
            (if wide { &enough } else { &cores }, &enough),
            "Each stage has a core of its own and spins.",
            (Grade::Warn, "a host with more cores".to_owned()),
        ),
        Row::new(
            "locked memory",
            (&locked, "unlimited"),
            "A page that is gone costs a fault on the way of an order.",
            (
                Grade::Warn,
                "LimitMEMLOCK=infinity in the service, or ulimit -l unlimited".to_owned(),
            ),
        ),
        Row::new(
            "real-time priority",
            (priority, "allowed"),
            "REALTIME_PRIORITY, where it is set, keeps other programs off a stage's core.",
            (
                Grade::Warn,
                "LimitRTPRIO=49 in the service, or ulimit -r 49".to_owned(),
            ),
        ),
        Row::new(
            "open files",
            (if has_files { "enough" } else { "too few" }, "enough"),
            "Every connection is one; 200 markets need about 20.",
            (
                Grade::Bad,
                format!("LimitNOFILE={FILES_MIN} in the service, or ulimit -n {FILES_MIN}"),
            ),
        ),
    ]
}

/// Where to look, and for whom.
struct Host<'a> {
    root: &'a Path,
    seats: &'a [usize],
}

impl Host<'_> {
    fn of_machine(&self, knob: &Knob) -> Row {
        let Some(value) = word(&self.at(knob.path)) else {
            return Row::absent(knob.path, knob.wanted, knob.why);
        };
        let mut fix = self.apply(knob.group);
        if knob.group == "clock" && !self.offers_tsc() {
            fix = "this machine offers no tsc; kvm-clock is the next best".to_owned();
        }
        let pair = (value.as_str(), knob.wanted);
        Row::new(knob.path, pair, knob.why, (knob.off, fix))
    }

    /// The knob on every core of a stage, as one row: the values that are off, and where.
    fn of_cores(&self, knob: &Knob) -> Row {
        let mut is_there = false;
        let mut off: Vec<String> = Vec::new();
        for (core, path) in self.seats.iter().flat_map(|core| self.of_core(*core, knob)) {
            let Some(value) = word(&path) else { continue };
            is_there = true;
            if value != knob.wanted {
                off.push(format!("{value} on {core}"));
            }
        }
        off.dedup();
        if !is_there {
            return Row::absent(knob.path, knob.wanted, knob.why);
        }
        let value = match off.is_empty() {
            true => knob.wanted.to_owned(),
            false => off.join(", "),
        };
        let pair = (value.as_str(), knob.wanted);
        Row::new(knob.path, pair, knob.why, (knob.off, self.apply("cpu")))
    }

    /// The files of a core's knob: one, or one for each deep sleep state. States 0 and 1 are left
    /// within a microsecond or two.
    fn of_core(&self, core: usize, knob: &Knob) -> Vec<(usize, PathBuf)> {
        let path = knob.path.replacen('*', &core.to_string(), 1);
        let states = match path.contains('*') {
            true => 2..=9,
            false => 0..=0,
        };
        let file = |state: u32| (core, self.at(&path.replace('*', &state.to_string())));
        states.map(file).collect()
    }

    /// What only the boot command line changes.
    fn booted(&self) -> [Row; 2] {
        let seats = list(self.seats);
        let cpu = "/sys/devices/system/cpu";
        let booted = |name: &str| {
            let text = word(&self.at(&format!("{cpu}/{name}"))).unwrap_or_default();
            let has = cores_of(&text);
            let all = !self.seats.is_empty() && self.seats.iter().all(|core| has.contains(core));
            match (all, text.as_str()) {
                (true, _) => seats.clone(),
                (false, "" | "(null)") => "none".to_owned(),
                (false, text) => text.to_owned(),
            }
        };
        [
            Row::new(
                "isolcpus",
                (&booted("isolated"), &seats),
                "No other program is scheduled on a stage's core.",
                (
                    Grade::Bad,
                    format!("boot with isolcpus=managed_irq,domain,{seats}"),
                ),
            ),
            Row::new(
                "nohz_full",
                (&booted("nohz_full"), &seats),
                "No timer tick on a stage's core.",
                (
                    Grade::Warn,
                    format!("boot with nohz_full={seats} rcu_nocbs={seats}"),
                ),
            ),
        ]
    }

    /// A core's second thread takes half of its units when it works.
    fn siblings(&self) -> Row {
        let name = "threads of a stage's core";
        let why = "A core's second thread takes from the first whenever it works.";
        let mut shared: Vec<String> = Vec::new();
        for core in self.seats {
            let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
            let Some(text) = word(&self.at(&path)) else {
                return Row::absent(name, "one each", why);
            };
            if cores_of(&text).len() > 1 {
                shared.push(text);
            }
        }
        shared.dedup();
        let value = match shared.is_empty() {
            true => "one each".to_owned(),
            false => shared.join(" and "),
        };
        let fix = "boot with nosmt, or leave the second threads idle (SEATS)".to_owned();
        Row::new(name, (&value, "one each"), why, (Grade::Warn, fix))
    }

    /// Interrupts that may run on a stage's core, as one row.
    fn interrupts(&self) -> Row {
        let name = "/proc/irq/*/smp_affinity_list";
        let why = "An interrupt on a stage's core takes microseconds from the order behind it.";
        let mut on_seats: Vec<u64> = Vec::new();
        let mut len = 0;
        for number in numbered(&self.at("/proc/irq")) {
            let path = format!("/proc/irq/{number}/smp_affinity_list");
            let Some(text) = word(&self.at(&path)) else {
                continue;
            };
            len += 1;
            if cores_of(&text).iter().any(|core| self.seats.contains(core)) {
                on_seats.push(number);
            }
        }
        if len == 0 {
            return Row::absent(name, "none on them", why);
        }
        let value = match on_seats.as_slice() {
            [] => "none on them".to_owned(),
            some => format!("{} of {len} may run there", some.len()),
        };
        let off = (Grade::Bad, self.apply("irq"));
        Row::new(name, (&value, "none on them"), why, off)
    }

    /// What must not run, and what must.
    fn programs(&self) -> [Row; 2] {
        let names: Vec<String> = numbered(&self.at("/proc"))
            .filter_map(|number| word(&self.at(&format!("/proc/{number}/comm"))))
            .collect();
        let state = |wanted: &[&str]| match names.iter().any(|name| wanted.contains(&name.as_str()))
        {
            true => "running",
            false => "not running",
        };
        [
            Row::new(
                "irqbalance",
                (state(&["irqbalance"]), "not running"),
                "It steers interrupts back.",
                (
                    Grade::Bad,
                    "sudo systemctl mask --now irqbalance".to_owned(),
                ),
            ),
            Row::new(
                "time service",
                (state(&TIME_SERVICES), "running"),
                "Wall time drifts, and a venue refuses orders whose clock is off by seconds.",
                (Grade::Bad, "sudo apt-get install chrony".to_owned()),
            ),
        ]
    }

    fn offers_tsc(&self) -> bool {
        let path = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
        let text = fs::read_to_string(self.at(path)).unwrap_or_default();
        text.split_whitespace().any(|source| source == "tsc")
    }

    fn apply(&self, group: &str) -> String {
        match group {
            "cpu" | "irq" => {
                let seats = list(self.seats);
                format!("sudo SEAT_CORES={seats} tuning/{group}.sh apply")
            }
            _ => format!("sudo tuning/{group}.sh apply"),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// Programs that keep wall time, by the first fifteen letters that the kernel keeps of a name.
const TIME_SERVICES: [&str; 4] = ["chronyd", "systemd-timesyn", "ntpd", "ptp4l"];
/// Sockets, files and pollers of 200 markets, many times over.
const FILES_MIN: u64 = 1_024;
