//! What is wrong with a configuration: every fault, each with its fix.
//!
//! Promises: one fault names one setting, says what is wrong with it and what to do; no fault
//! repeats a secret. Refuses: deciding whether a fault matters. Any fault ends the start.

use std::fmt;

/// One fault of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting or file, with where it was found.
    pub name: String,
    /// What is wrong, to be read after the name.
    pub wrong: String,
    /// What to do about it.
    pub fix: String,
}

impl Fault {
    /// Puts a fault together.
    pub fn new(name: &str, wrong: &str, fix: &str) -> Fault {
        Fault {
            name: name.to_owned(),
            wrong: wrong.to_owned(),
            fix: fix.to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}\n    fix: {}", self.name, self.wrong, self.fix)
    }
}

/// All faults of a configuration, at least one. The command ends with exit status 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "the configuration has a fault:")?,
            count => writeln!(f, "the configuration has {count} faults:")?,
        }
        for fault in &self.0 {
            writeln!(f, "  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_shown_with_its_fix() {
        let one = Fault::new("SEATS", "is not known", "use auto");
        let text = Faults(vec![one.clone()]).to_string();
        assert_eq!(
            text,
            "the configuration has a fault:\n  SEATS is not known\n    fix: use auto\n"
        );
        let text = Faults(vec![one.clone(), one]).to_string();
        assert!(text.starts_with("the configuration has 2 faults:"));
        assert_eq!(text.matches("fix: use auto").count(), 2);
    }
}
