//! One function per rule; each gives its complaints as `path:line: what`.

use crate::source::{Function, LineKind, Source, close_of, skip_space, split_top, words, words_of};

/// Columns of a line.
const COLUMNS_MAX: usize = 100;
/// Lines of a function.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a file, tests excluded.
const FILE_LINES_MAX: usize = 500;
/// Parameters of a function, `self` not counted.
const PARAMETERS_MAX: usize = 5;
/// Control blocks within each other.
const NESTING_MAX: usize = 4;
/// Type parameters of an item.
const TYPE_PARAMETERS_MAX: usize = 2;
/// Types, traits and free functions that a hot file offers.
const PUBLIC_ITEMS_MAX: usize = 12;
/// Folders under `src` on the way to a file.
const DEPTH_MAX: usize = 3;
/// Lines of a file's opening.
const HEADER_LINES_MAX: usize = 15;

/// Every rule that looks at one file of `src` alone.
pub fn all(source: &Source) -> Vec<String> {
    let rules = [
        columns,
        header,
        file_length,
        depth,
        functions,
        nesting,
        type_parameters,
        public_items,
        banned_words,
        hot_list,
        rooms,
        doors,
        expects,
    ];
    rules.iter().flat_map(|rule| rule(source)).collect()
}

/// Rules for tests and benches.
pub fn loose(source: &Source) -> Vec<String> {
    let mut found = columns(source);
    found.extend(header(source));
    found
}

fn say(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path)
}

pub fn columns(source: &Source) -> Vec<String> {
    let lines = source.text.lines().enumerate();
    let long = lines.filter(|(_, line)| line.chars().count() > COLUMNS_MAX);
    long.map(|(at, _)| say(source, at + 1, "more than 100 columns"))
        .collect()
}

pub fn header(source: &Source) -> Vec<String> {
    let count = source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .count();
    // These two draw the corridor and the plant, so they may be longer.
    let draws = ["src/lib.rs", "src/topology.rs"].contains(&source.path.as_str());
    let is_long = count > HEADER_LINES_MAX && !draws;
    match count {
        0 => vec![say(source, 1, "does not open with `//!`")],
        _ if is_long => vec![say(source, 1, "opens with more than 15 lines")],
        _ => Vec::new(),
    }
}

/// Tables of constants, without a function, are exempt.
pub fn file_length(source: &Source) -> Vec<String> {
    let is_test = |kind: &LineKind| matches!(kind, LineKind::Test | LineKind::BlankTest);
    let count = source.kinds.iter().filter(|kind| !is_test(kind)).count();
    let is_table = source.functions().is_empty();
    if count <= FILE_LINES_MAX || is_table {
        return Vec::new();
    }
    vec![say(
        source,
        1,
        &format!("has {count} lines without its tests"),
    )]
}

pub fn depth(source: &Source) -> Vec<String> {
    let folders = source.path.matches('/').count().saturating_sub(1);
    if folders <= DEPTH_MAX {
        return Vec::new();
    }
    vec![say(source, 1, "lies more than three folders under src")]
}

/// Exceptions say why in a line above: `// Long: ...`, `// Wide: ...`. What a trait has
/// chosen is not judged again where it is implemented.
pub fn functions(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for function in source.functions() {
        let Function {
            name,
            line,
            line_count,
            parameter_count,
            ..
        } = &function;
        let has_reason = function.above.contains("// Long: ");
        let is_wide_for_a_reason = function.is_of_trait || function.above.contains("// Wide: ");
        if *line_count > FUNCTION_LINES_MAX && !has_reason {
            found.push(say(
                source,
                *line,
                &format!("`{name}` has {line_count} lines"),
            ));
        }
        if *parameter_count > PARAMETERS_MAX && !is_wide_for_a_reason {
            found.push(say(
                source,
                *line,
                &format!("`{name}` has {parameter_count} parameters"),
            ));
        }
    }
    found
}

/// Counts `if`, `match`, `for`, `while`, `loop` blocks within each other.
pub fn nesting(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for function in source.functions() {
        let mut blocks: Vec<bool> = Vec::new();
        let mut head = String::new();
        let mut deepest = 0;
        for c in function.body.chars() {
            match c {
                '{' => {
                    blocks.push(is_control(&head));
                    let depth = blocks.iter().filter(|&&is_control| is_control).count();
                    deepest = deepest.max(depth);
                    head.clear();
                }
                '}' => {
                    blocks.pop();
                    head.clear();
                }
                ';' | ',' => head.clear(),
                _ => head.push(c),
            }
        }
        if deepest > NESTING_MAX {
            let what = format!("`{}` nests {deepest} deep", function.name);
            found.push(say(source, function.line, &what));
        }
    }
    found
}

fn is_control(head: &str) -> bool {
    let head = head.rsplit("=>").next().unwrap_or(head);
    let control = ["if", "match", "for", "while", "loop"];
    words_of(head)
        .iter()
        .any(|word| control.contains(&word.as_str()))
}

pub fn type_parameters(source: &Source) -> Vec<String> {
    let code: Vec<char> = source.code.chars().collect();
    let items = ["fn", "struct", "enum", "trait", "impl", "type"];
    let mut found = Vec::new();
    for (at, word) in words(&code) {
        if !items.contains(&word.as_str()) {
            continue;
        }
        let mut open = skip_space(&code, at + word.len());
        if word != "impl" {
            open += code[open..]
                .iter()
                .take_while(|c| crate::source::is_word(**c))
                .count();
        }
        if code.get(open) != Some(&'<') {
            continue;
        }
        let Some(close) = close_of(&code, open) else {
            continue;
        };
        let inside: String = code[open + 1..close].iter().collect();
        let is_type = |part: &&String| {
            let part = part.trim();
            !part.starts_with('\'') && !part.starts_with("const ")
        };
        let count = split_top(&inside).iter().filter(is_type).count();
        let line = 1 + code[..at].iter().filter(|&&c| c == '\n').count();
        if count > TYPE_PARAMETERS_MAX && !source.above(line).contains("// Wide: ") {
            found.push(say(
                source,
                line,
                &format!("{count} type parameters on one item"),
            ));
        }
    }
    found
}

/// Read per file: types, traits and free functions; constants, modules and methods do not count.
pub fn public_items(source: &Source) -> Vec<String> {
    if !is_hot(&source.path) {
        return Vec::new();
    }
    let kinds = [
        "pub fn ",
        "pub const fn ",
        "pub struct ",
        "pub enum ",
        "pub trait ",
        "pub type ",
    ];
    let is_item = |line: &&str| kinds.iter().any(|kind| line.starts_with(kind));
    let count = source.code.lines().filter(is_item).count();
    if count <= PUBLIC_ITEMS_MAX {
        return Vec::new();
    }
    vec![say(
        source,
        1,
        &format!("{count} public items in a hot file"),
    )]
}

/// `unsafe`, `unwrap`, notes to self, and names that say nothing or say the wrong thing.
pub fn banned_words(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in source.code.lines().enumerate() {
        let words = words_of(line);
        if words.iter().any(|word| word == "unsafe") {
            found.push(say(source, at + 1, "unsafe"));
        }
        if line.contains(".unwrap()") {
            found.push(say(source, at + 1, "unwrap outside tests"));
        }
        let defines = ["fn", "struct", "enum", "trait", "type", "mod"];
        for pair in words
            .windows(2)
            .filter(|pair| defines.contains(&pair[0].as_str()))
        {
            let empty = ["Manager", "Handler", "Helper", "Util", "Service"];
            let is_empty = empty.iter().any(|part| pair[1].contains(part))
                || ["util", "utils", "helper", "helpers", "common", "misc"]
                    .contains(&pair[1].as_str())
                || pair[1].starts_with("get_");
            if is_empty {
                found.push(say(source, at + 1, &format!("the name `{}`", pair[1])));
            }
        }
    }
    for (at, line) in source.text.lines().enumerate() {
        let lower = line.to_lowercase();
        let words = words_of(&lower);
        for bad in ["mock", "fake", "dummy", "todo", "fixme", "xxx"] {
            let parts = words.iter().flat_map(|word| word.split('_'));
            if parts
                .into_iter()
                .any(|part| part == bad || part == format!("{bad}s"))
            {
                found.push(say(source, at + 1, &format!("the word `{bad}`")));
            }
        }
    }
    found
}

/// Files of the corridor.
pub fn is_hot(path: &str) -> bool {
    let Some(path) = path.strip_prefix("src/") else {
        return false;
    };
    if [
        "feed.rs",
        "feed/behind.rs",
        "gateway.rs",
        "signer.rs",
        "stage/link.rs",
    ]
    .contains(&path)
    {
        return true;
    }
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts[..],
        ["market" | "net" | "scanner", ..]
            | ["venue", "scan.rs" | "repeats.rs"]
            | [
                "venue",
                _,
                "wire.rs" | "frame.rs" | "changes.rs" | "feed.rs" | "orders.rs" | "sign.rs"
            ]
            | ["venue", _, "wire" | "feed" | "orders" | "sign", ..]
    )
}

/// What a hot function does not name. Words end where an identifier ends.
const NOT_HOT: &[&str] = &[
    "String",
    "format",
    "Mutex",
    "RwLock",
    "HashMap",
    "BTreeMap",
    "HashSet",
    "BTreeSet",
    "VecDeque",
    "println",
    "eprintln",
    "print",
    "eprint",
    "dbg",
    "Instant",
    "SystemTime",
    "f32",
    "f64",
    "dyn",
    "Arc",
    "Rc",
    "to_string",
    "to_owned",
    "to_vec",
    "vec",
    "with_capacity",
];
/// The same, where more than a word tells.
const NOT_HOT_TEXT: &[&str] = &["Box::new", "std::time", "std::fs", "std::io::stdout"];
/// Functions that run before or beside the hot path by their contract.
const COLD_NAMES: &[&str] = &[
    "new",
    "start",
    "stop",
    "housekeeping",
    "on_beat",
    "fmt",
    "default",
    "drop",
    "lanes",
];

/// Hot files keep memory, locks, text, clocks and floats out of everything that runs. Exempt are
/// constructors, what the beat calls, functions marked `#[cold]`, and functions whose comment says
/// that they are cold or for people only.
pub fn hot_list(source: &Source) -> Vec<String> {
    if !is_hot(&source.path) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for function in source.functions() {
        let above = function.above.to_lowercase();
        let is_cold = COLD_NAMES.contains(&function.name.as_str())
            || words_of(&above).iter().any(|word| word == "cold")
            || above.contains("for people");
        if is_cold {
            continue;
        }
        // `Node::String` is somebody's variant, not the type.
        let words = words_of(&function.body.replace("::String", ""));
        let named = NOT_HOT
            .iter()
            .filter(|bad| words.iter().any(|word| word == *bad));
        let written = NOT_HOT_TEXT
            .iter()
            .filter(|bad| function.body.contains(**bad));
        for bad in named.chain(written) {
            let what = format!("`{bad}` in the hot function `{}`", function.name);
            found.push(say(source, function.line, &what));
        }
        if is_recursive(&function) {
            let what = format!("`{}` calls itself", function.name);
            found.push(say(source, function.line, &what));
        }
    }
    found
}

fn is_recursive(function: &Function) -> bool {
    let own = [
        format!("self.{}(", function.name),
        format!("Self::{}(", function.name),
    ];
    if own.iter().any(|call| function.body.contains(call.as_str())) {
        return true;
    }
    if function.is_method {
        return false;
    }
    let call = format!("{}(", function.name);
    function.body.match_indices(&call).any(|(at, _)| {
        let before = function.body[..at].chars().next_back();
        before.is_some_and(|c| !crate::source::is_word(c) && c != '.' && c != ':')
    })
}

/// Rooms that each room may name; `stage::x` allows that part only. What is not here may name
/// everything (`main`, `topology`, `lib`).
const MAY_NAME: &[(&str, &[&str])] = &[
    ("market", &[]),
    ("stage", &["market"]),
    ("state", &[]),
    ("net", &["market"]),
    ("venue", &["market"]),
    ("scanner", &["market", "stage"]),
    (
        "record",
        &[
            "market",
            "stage",
            "scanner",
            "keys",
            "config",
            "state",
            "venue::money",
        ],
    ),
    ("feed", &["net", "venue", "market", "stage"]),
    (
        "gateway",
        &["net", "venue", "market", "stage", "keys", "signer"],
    ),
    ("signer", &["venue", "market", "stage"]),
    (
        "keys",
        &["venue", "market", "config", "stage::link", "stage::clock"],
    ),
    ("config", COLD),
    ("cli", COLD),
    ("sim", COLD),
    (
        "capture",
        &[
            "session",
            "sim::tape",
            "feed",
            "net",
            "venue",
            "record",
            "market",
            "config",
            "stage",
        ],
    ),
    (
        "treasury",
        &[
            "venue",
            "record",
            "market",
            "keys",
            "config",
            "stage::clock",
            "state",
            "hands::HandsError",
        ],
    ),
    ("doctor", COLD_WITH_VENUES),
    (
        "hands",
        &[
            "venue",
            "market",
            "config",
            "stage::clock",
            "scanner::spread",
        ],
    ),
    ("breaker", &["market", "config", "state"]),
    (
        "flatten",
        &["hands", "market", "keys", "config", "stage::clock"],
    ),
    (
        "watch",
        &[
            "record",
            "scanner",
            "market",
            "keys",
            "config",
            "stage::link",
            "stage::clock",
        ],
    ),
];
const COLD: &[&str] = &["market", "keys", "config", "stage::link", "stage::clock"];
const COLD_WITH_VENUES: &[&str] = &[
    "venue",
    "net",
    "record",
    "market",
    "keys",
    "config",
    "stage::link",
    "stage::clock",
];

/// Who may name whom, from every `crate::` path.
pub fn rooms(source: &Source) -> Vec<String> {
    let parts: Vec<&str> = source.path.trim_start_matches("src/").split('/').collect();
    let room = parts[0].trim_end_matches(".rs");
    let is_account = room == "venue" && parts.last().is_some_and(|p| p.starts_with("account"));
    let row = MAY_NAME.iter().find(|(name, _)| *name == room);
    let Some((_, mut allowed)) = row.map(|(name, list)| (*name, *list)) else {
        return Vec::new();
    };
    if is_account {
        allowed = COLD;
    }
    let mut found = Vec::new();
    for (line, path) in crate_paths(source) {
        let own = path.split("::").next() == Some(room);
        let fits = |rule: &&str| path == **rule || path.starts_with(&format!("{rule}::"));
        if !own && !allowed.iter().any(fits) {
            found.push(say(source, line, &format!("`{room}` names `{path}`")));
        }
        let venue = parts.get(1).filter(|_| room == "venue" && parts.len() > 2);
        let other = ["extended", "lighter"]
            .iter()
            .find(|name| Some(*name) != venue);
        let names_other = other.is_some_and(|name| path.starts_with(&format!("venue::{name}")));
        if venue.is_some() && names_other {
            found.push(say(
                source,
                line,
                &format!("one venue names the other: `{path}`"),
            ));
        }
    }
    found
}

/// First two segments of each `crate::` path, `use crate::{a::b, c}` taken apart.
fn crate_paths(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices("crate::") {
        let before = source.code[..at].chars().next_back();
        if before.is_some_and(|c| crate::source::is_word(c) || c == '$') {
            continue;
        }
        let line = 1 + source.code[..at].matches('\n').count();
        let rest: Vec<char> = source.code[at + "crate::".len()..].chars().collect();
        for path in expand(&rest) {
            let two: Vec<&str> = path.split("::").take(2).collect();
            found.push((line, two.join("::")));
        }
    }
    found
}

/// `a::{b, c::d}` becomes `a::b`, `a::c::d`.
fn expand(rest: &[char]) -> Vec<String> {
    let is_path = |c: &&char| crate::source::is_word(**c) || **c == ':';
    let head: String = rest.iter().take_while(is_path).collect();
    let at = head.chars().count();
    let head = head.trim_end_matches(':').to_owned();
    if rest.get(at) != Some(&'{') {
        return vec![head];
    }
    let Some(close) = close_of(rest, at) else {
        return vec![head];
    };
    let inside: String = rest[at + 1..close].iter().collect();
    let mut found = Vec::new();
    for part in split_top(&inside) {
        let part: Vec<char> = part.trim().chars().collect();
        for tail in expand(&part) {
            found.push(if head.is_empty() {
                tail
            } else {
                format!("{head}::{tail}")
            });
        }
    }
    found
}

/// Outside packages and the files that may name them; a path that ends in `/` is a folder, `*`
/// stands for one name.
const DOORS: &[(&str, &[&str])] = &[
    ("rtrb", &["stage/link.rs"]),
    ("core_affinity", &["stage/"]),
    ("crossbeam", &["stage/"]),
    (
        "mio",
        &["net/connection.rs", "net/connection/", "net/socket.rs"],
    ),
    (
        "socket2",
        &["net/connection.rs", "net/connection/", "net/socket.rs"],
    ),
    ("rustls", &["net/tls.rs", "sim/", "venue/agent.rs"]),
    ("alloy_rlp", &["treasury/chain/"]),
    ("aws_lc_rs", &["net/tls.rs"]),
    ("webpki_roots", &["net/tls.rs"]),
    (
        "tungstenite",
        &[
            "net/ws.rs",
            "net/ws/",
            "net/connection.rs",
            "net/connection/",
        ],
    ),
    ("httparse", &["net/http.rs"]),
    ("rusqlite", &["record/history/"]),
    ("fixed", &["market/units.rs"]),
    ("simd_json", &["venue/*/wire.rs", "venue/*/wire/"]),
    ("starknet_crypto", &["venue/extended/sign", "sim/extended"]),
    (
        "starknet_types_core",
        &["venue/extended/sign", "sim/extended"],
    ),
    ("goldilocks_crypto", &["sim/lighter"]),
    ("poseidon_hash", &["sim/lighter"]),
    ("getrandom", &["venue/*/sign", "keys/", "sim/"]),
    ("zeroize", &["venue/", "keys/", "net/"]),
    ("sha2", &["venue/*/sign", "keys/", "sim/"]),
    ("sha3", &["venue/*/sign", "keys/", "sim/"]),
    (
        "ureq",
        &[
            "venue/agent.rs",
            "venue/*/account.rs",
            "venue/*/account/",
            "treasury/chain/",
            "watch/",
        ],
    ),
    ("secp256k1", &["keys/ceremony.rs"]),
    ("hdrhistogram", &["record/"]),
    ("dotenvy", &["config/"]),
    ("clap", &["main.rs", "cli.rs", "cli/"]),
    ("signal_hook", &["main.rs", "session/"]),
    ("axum", &["sim/", "watch/"]),
    ("tokio", &["sim/", "watch/"]),
    ("tokio_rustls", &["sim/", "watch/"]),
    ("futures_sink", &["sim/"]),
    ("rcgen", &["sim/"]),
    ("flate2", &["record/", "sim/", "capture/"]),
    ("thread_priority", &["stage/host.rs"]),
    ("nix", &["net/stamp.rs"]),
    (
        "rustix",
        &[
            "capture/",
            "keys/log.rs",
            "keys/passphrase.rs",
            "keys/shield.rs",
            "stage/host.rs",
        ],
    ),
    ("argon2", &["keys/keystore.rs"]),
    ("chacha20poly1305", &["keys/keystore.rs"]),
    ("region", &["keys/locked.rs", "keys/shield.rs"]),
];
/// Packages for cold rooms only.
const COLD_PACKAGES: &[&str] = &["serde_json", "serde"];

pub fn doors(source: &Source) -> Vec<String> {
    let path = source.path.trim_start_matches("src/");
    let mut found = Vec::new();
    for (at, line) in source.code.lines().enumerate() {
        for (package, doors) in DOORS {
            let is_door = doors.iter().any(|door| fits_door(path, door));
            if !is_door && names_package(line, package) {
                found.push(say(source, at + 1, &format!("{package} is not named here")));
            }
        }
        for package in COLD_PACKAGES {
            if is_hot(&source.path) && names_package(line, package) {
                found.push(say(source, at + 1, &format!("{package} in a hot file")));
            }
        }
    }
    found
}

fn fits_door(path: &str, door: &str) -> bool {
    match door.split_once('*') {
        None => path.starts_with(door),
        Some((before, after)) => {
            let rest = path
                .strip_prefix(before)
                .and_then(|rest| rest.split_once('/'));
            let after = after.trim_start_matches('/');
            rest.is_some_and(|(_, rest)| rest.starts_with(after))
        }
    }
}

fn names_package(line: &str, package: &str) -> bool {
    line.match_indices(package).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + package.len()..];
        let begins = before.is_none_or(|c| !crate::source::is_word(c) && c != ':' && c != '.');
        begins && after.starts_with("::")
    })
}

/// An `expect` says why it holds: a sentence, not a word.
pub fn expects(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.text.lines().zip(source.code.lines()).enumerate();
    for (at, (text, code)) in lines {
        let Some(start) = code.find(".expect(") else {
            continue;
        };
        let reason = text.get(start + ".expect(".len()..).unwrap_or_default();
        // A reason on the next line, or one that has a name of its own, is for readers to judge.
        if !reason.starts_with('"') {
            continue;
        }
        if words_of(reason).len() < 2 {
            found.push(say(source, at + 1, "expect without a reason"));
        }
    }
    found
}
