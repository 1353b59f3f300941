//! One value at a time: text of a setting → a word, a number, an endpoint, a secret.
//!
//! Promises: judges by the table in `names` alone; goes on after a fault, with a default that is
//! never run with. Refuses: comparing settings, which is `read`'s business; showing a secret.

use crate::config::fault::Fault;
use crate::config::names::{self, Key, Kind, Tighten};
use crate::config::raw::Raw;
use crate::config::url::{Protocol, Url, UrlFault};
use crate::keys::KeyFault;
use crate::market::units::{Bps, DecimalError, Notional, SCALE, parse_decimal};

/// Reads values by name and keeps the faults.
pub struct Reader {
    /// What was written.
    pub raw: Raw,
    /// Faults so far.
    pub faults: Vec<Fault>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// CONSERVATIVE_MODE.
    pub is_conservative: bool,
}

impl Reader {
    /// Over what was written; the faults of writing come first. Conservative mode is not read yet.
    pub fn new(mut raw: Raw) -> Reader {
        Reader {
            faults: std::mem::take(&mut raw.faults),
            raw,
            notes: Vec::new(),
            is_conservative: false,
        }
    }

    pub fn fault(&mut self, name: &str, wrong: &str, fix: &str) {
        self.faults.push(Fault::new(name, wrong, fix));
    }

    /// The value as text: what was set, or the default. A setting with a default that stands there
    /// empty is a fault: a default is taken by leaving the line out, not by an unfinished line.
    pub fn text(&mut self, name: &str) -> String {
        let key = known(name);
        if let Some(value) = self.raw.value(name) {
            return value.trim().to_owned();
        }
        if self.raw.is_blank(name) && !key.default.is_empty() {
            let fix = format!("give a value, or remove it for the default {}", key.default);
            self.fault(name, "is empty", &fix);
        }
        key.default.to_owned()
    }

    pub fn word(&mut self, name: &str) -> &'static str {
        let key = known(name);
        let Kind::Word(words) = key.kind else {
            unreachable!("{name} is read as a word and must be listed as one");
        };
        let text = self.text(name);
        if let Some(word) = words.iter().find(|word| **word == text) {
            return word;
        }
        let wrong = format!("is {text:?}, which it cannot be");
        self.fault(name, &wrong, &format!("use one of: {}", words.join(", ")));
        words[0]
    }

    /// A number at 10^-9, within its bounds, tightened in conservative mode.
    pub fn number(&mut self, name: &str) -> i64 {
        let key = known(name);
        let (low, high) = match key.kind {
            Kind::Decimal(low, high) => (exact(low), exact(high)),
            Kind::Whole(low, high) => (whole(low), whole(high)),
            _ => unreachable!("{name} is read as a number and must be listed as one"),
        };
        let text = self.text(name);
        // A venue may write exponents; in a setting one is more likely a slip.
        let parsed = match text.contains(['e', 'E']) {
            true => Err(DecimalError::Malformed),
            false => parse_decimal(text.as_bytes()),
        };
        let value = match parsed {
            Ok(value) if matches!(key.kind, Kind::Decimal(..)) || value % SCALE == 0 => value,
            Ok(_) => return self.not_a_number(key, &text, "is not a whole number"),
            Err(DecimalError::Inexact) => {
                return self.not_a_number(key, &text, "has more than nine decimals");
            }
            Err(DecimalError::Overflow) => low - 1,
            Err(_) => return self.not_a_number(key, &text, "is not a number"),
        };
        if !(low..=high).contains(&value) {
            return self.not_a_number(key, &text, "is out of bounds");
        }
        match key.conservative {
            Tighten::AtLeast(bound) if self.is_conservative => value.max(exact(bound)),
            Tighten::AtMost(bound) if self.is_conservative => value.min(exact(bound)),
            _ => value,
        }
    }

    /// Tells the fault and goes on with the default, which nobody will run with.
    fn not_a_number(&mut self, key: &Key, text: &str, why: &str) -> i64 {
        let bounds = match key.kind {
            Kind::Decimal(low, high) => format!("give a number from {low} to {high}"),
            Kind::Whole(low, high) => format!("give a whole number from {low} to {high}"),
            _ => String::new(),
        };
        let fix = format!("{bounds}, such as {}", key.default);
        self.fault(key.name, &format!("is {text:?}, which {why}"), &fix);
        exact(key.default)
    }

    pub fn count(&mut self, name: &str) -> u64 {
        (self.number(name) / SCALE).unsigned_abs()
    }

    pub fn bps(&mut self, name: &str) -> Bps {
        let number = self.number(name);
        // One basis point of 10,000 dollars is one dollar, so this reads the number as it stands.
        Bps::ratio(Notional::from_nano(number), Notional::from_usd(10_000))
    }

    pub fn usd(&mut self, name: &str) -> Notional {
        Notional::from_nano(self.number(name))
    }

    /// A percentage in 10^-4, what is finer cut off.
    pub fn per_cent_e4(&mut self, name: &str) -> u32 {
        (self.number(name) * 100 / SCALE) as u32
    }

    pub fn url(&mut self, name: &str) -> Option<Url> {
        let text = self.text(name);
        if text.is_empty() {
            return None;
        }
        let (protocol, example) = match known(name).kind {
            Kind::Http => (Protocol::Http, "https://host[:port][/path]"),
            _ => (Protocol::WebSocket, "wss://host[:port][/path]"),
        };
        match Url::parse(&text, protocol) {
            Ok(url) => Some(url),
            Err(fault @ UrlFault::PlainBeyondLoopback) => {
                let fix = "use https or wss; http and ws are for loopback addresses only";
                self.fault(name, &fault.to_string(), fix);
                None
            }
            Err(fault) => {
                self.fault(name, &fault.to_string(), &format!("write it as {example}"));
                None
            }
        }
    }

    /// Settings of one account: all of them or none, and all of them when orders are signed.
    pub fn require_together(&mut self, names: &[&str], is_signing: bool, place: &str) {
        let is_set = |raw: &Raw, name: &str| raw.value(name).is_some();
        let any = names.iter().any(|name| is_set(&self.raw, name));
        if !any && !is_signing {
            return;
        }
        for name in names {
            if is_set(&self.raw, name) {
                continue;
            }
            let wrong = if is_signing {
                "is missing; orders are signed in this mode"
            } else {
                "is missing, while others of the same account are set"
            };
            self.fault(name, wrong, &format!("set it (from {place})"));
        }
    }

    pub fn secret<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, KeyFault>,
    ) -> Option<T> {
        match parse(self.raw.value(name)?.trim()) {
            Ok(secret) => Some(secret),
            Err(fault) => {
                let fix = "copy it again from the venue, whole and without quotes";
                self.fault(name, &fault.to_string(), fix);
                None
            }
        }
    }

    pub fn account_number(&mut self, name: &str, max: u64) -> Option<u64> {
        let text = self.raw.value(name)?.trim().to_owned();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_plain && number <= max => Some(number),
            _ => {
                let fix = format!("give the whole number the venue shows, at most {max}");
                self.fault(
                    name,
                    &format!("is {text:?}, which is no account number"),
                    &fix,
                );
                None
            }
        }
    }
}

/// The row of a setting.
pub fn known(name: &str) -> &'static Key {
    names::find(name).expect("every name in this file stands in the table")
}

/// A bound or default of the table, at 10^-9.
fn exact(text: &str) -> i64 {
    parse_decimal(text.as_bytes()).expect("the numbers of the table are tested")
}

fn whole(value: u64) -> i64 {
    value as i64 * SCALE
}
