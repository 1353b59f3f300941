//! Real messages, and what can become of them on the way.

use serde_json::Value;

const LIGHTER: &str = include_str!("../data/lighter/lighter_messages.jsonl");
const EXTENDED: &str = include_str!("../data/extended/extended_messages.jsonl");

/// Numbers as no venue should write them.
const NUMBERS: [&str; 20] = [
    "",
    "0",
    "-0",
    "-1",
    ".5",
    "5.",
    "007",
    "1e5",
    "1E-9",
    "1e-10",
    "+1",
    "1e99999999999999999999",
    "0.0000000001",
    "1.000000000000000000000000000000",
    "9223372036.854775807",
    "9223372036.854775808",
    "99999999999999999999999999999999",
    "NaN",
    "1.2.3",
    "18446744073709551616",
];
/// Bytes that mean something to a parser.
const BYTES: &[u8] = b"\"\\{}[]:,.-+eE0123456789 \n\0\x7f\xc3\xff";

/// Random numbers from a seed (splitmix64): a case is its number.
pub struct Random(pub u64);

impl Random {
    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Any bytes.
    pub fn noise(&mut self, len_max: usize) -> Vec<u8> {
        let len = self.below(len_max + 1);
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

/// How many cases each decoder gets.
pub fn cases() -> u64 {
    let cases = std::env::var("PARALLAX_HOSTILE_CASES");
    cases.map_or(3_000, |text| {
        text.parse().expect("PARALLAX_HOSTILE_CASES is a number")
    })
}

/// Every recorded message of a venue with its kind, spelled as it was recorded.
pub fn recorded(lines: &'static str) -> Vec<(String, &'static str)> {
    let message = |line: &'static str| {
        let (_, text) = line
            .split_once("\"message\":")
            .expect("every line has a message");
        let text = text.strip_suffix('}').expect("the message comes last");
        let whole: Value = serde_json::from_str(line).expect("a line is JSON");
        let alone: Value = serde_json::from_str(text).expect("so is its message");
        assert_eq!(whole["message"], alone);
        let kind = whole["kind"].as_str().expect("every line has a kind");
        (kind.to_owned(), text)
    };
    lines.lines().map(message).collect()
}

pub fn lighter() -> Vec<(String, &'static str)> {
    recorded(LIGHTER)
}

pub fn extended() -> Vec<(String, &'static str)> {
    recorded(EXTENDED)
}

/// One message made worse, one to three times over.
pub fn mutate(text: &str, others: &[(String, &str)], random: &mut Random) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(3) {
        once(&mut bytes, others, random);
    }
    bytes
}

fn once(bytes: &mut Vec<u8>, others: &[(String, &str)], random: &mut Random) {
    let from = random.below(bytes.len() + 1);
    let to = (from + random.below(40)).min(bytes.len());
    match random.below(9) {
        0 if from < bytes.len() => bytes[from] = *random.pick(BYTES),
        1 if from < bytes.len() => bytes[from] = random.below(256) as u8,
        2 => bytes.truncate(from),
        3 => drop(bytes.drain(from..to)),
        4 => {
            let copy = bytes[from..to].to_vec();
            let at = random.below(bytes.len() + 1);
            bytes.splice(at..at, copy);
        }
        5 => {
            let other = random.pick(others).1.as_bytes();
            let cut = random.below(other.len() + 1);
            bytes.truncate(from);
            bytes.extend_from_slice(&other[cut..]);
        }
        // These keep to the grammar, so that what is behind it is reached.
        6 | 7 => swap_number(bytes, random),
        _ => repeat_level(bytes, random),
    }
}

/// Another number where one stands.
fn swap_number(bytes: &mut Vec<u8>, random: &mut Random) {
    let start = random.below(bytes.len() + 1);
    let is_part = |byte: &u8| byte.is_ascii_digit() || b".-".contains(byte);
    let Some(skipped) = bytes[start..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let mut from = start + skipped;
    while from > 0 && is_part(&bytes[from - 1]) {
        from -= 1;
    }
    let len = bytes[from..]
        .iter()
        .take_while(|byte| is_part(byte))
        .count();
    let number = random.pick(&NUMBERS).as_bytes().to_vec();
    bytes.splice(from..from + len, number);
}

/// A whole level, told again elsewhere in its list.
fn repeat_level(bytes: &mut Vec<u8>, random: &mut Random) {
    let ends: Vec<usize> = (1..bytes.len())
        .filter(|at| bytes[*at - 1..].starts_with(b"},{"))
        .collect();
    if ends.is_empty() {
        return;
    }
    let from = *random.pick(&ends) + 1;
    let Some(len) = bytes[from..].iter().position(|byte| *byte == b'}') else {
        return;
    };
    let mut level = bytes[from..=from + len].to_vec();
    level.push(b',');
    let at = *random.pick(&ends) + 1;
    bytes.splice(at..at, level);
}
