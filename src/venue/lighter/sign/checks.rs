//! Ranges of a transaction's numbers, and the complaint that names the field.
//!
//! Promises: what passes here the official signer would have signed; what it refuses is refused
//! under the same field's name. A fault is a plain value: made without memory, counted on hot
//! threads, put into words only for people.
//! Refuses: to know the market. Ticks, minimum sizes and clocks are the venue's to judge.
//!
//! Source: *signer* in the venue's Sources; judged by the `rejections` of `lighter_tx.json`.

use std::fmt;

/// Largest 48-bit number: indices, sizes, nonces, times.
pub const MAX_48: i64 = (1 << 48) - 1;
/// Largest amount of money or shares.
pub const AMOUNT_MAX: i64 = (1 << 60) - 1;
/// Largest account index; one below the largest 48-bit number, which stands for none.
pub const ACCOUNT_MAX: i64 = MAX_48 - 1;
/// Largest price and trigger price.
pub const PRICE_MAX: i64 = (1 << 32) - 1;
/// Largest fee: all of the notional, in 10^-6.
pub const FEE_MAX: i64 = 1_000_000;
/// Largest time that the signer leaves to the venue's judgement. Its own limit is one higher; that
/// one value is given up, because larger unsigned numbers end there (`signed`).
pub const TIME_MAX: i64 = i64::MAX - 1;

/// One number of a transaction: its official name, its range, and what it means.
#[derive(Debug)]
pub struct Rule {
    /// The official name.
    pub name: &'static str,
    /// The name as it stands in the text, `,"Name":`.
    pub(super) key: &'static str,
    /// Smallest value.
    pub minimum: i64,
    /// Largest value.
    pub maximum: i64,
    /// Unit or purpose, in a few words; ends every complaint about the range.
    pub meaning: &'static str,
    /// Hashed as two elements, low 32 bits first.
    pub(super) is_wide: bool,
}

/// A row of the table of fields: name, smallest and largest value, meaning.
macro_rules! rule {
    ($name:literal, $minimum:expr, $maximum:expr, $meaning:literal) => {
        $crate::venue::lighter::sign::checks::Rule {
            name: $name,
            key: concat!(",\"", $name, "\":"),
            minimum: $minimum,
            maximum: $maximum,
            meaning: $meaning,
            is_wide: false,
        }
    };
}
pub(super) use rule;

impl Rule {
    /// The same number, hashed as two elements.
    pub(super) const fn wide(self) -> Rule {
        Rule {
            is_wide: true,
            ..self
        }
    }

    /// Whether a value is in range.
    #[inline]
    pub fn check(&self, value: i64) -> Result<(), Fault> {
        if value < self.minimum {
            return Err(self.below(value, self.minimum, self.meaning));
        }
        if value > self.maximum {
            return Err(self.above(value));
        }
        Ok(())
    }

    /// The complaint about a value that is too small here, for a reason that the range does not
    /// hold.
    #[cold]
    pub(super) const fn below(&self, value: i64, minimum: i64, meaning: &'static str) -> Fault {
        Fault {
            field: self.name,
            value,
            wrong: Wrong::BelowMinimum(minimum, meaning),
        }
    }

    #[cold]
    const fn above(&self, value: i64) -> Fault {
        Fault {
            field: self.name,
            value,
            wrong: Wrong::AboveMaximum(self.maximum, self.meaning),
        }
    }

    /// The complaint about a value that its neighbours do not allow.
    #[cold]
    pub(super) const fn forbidden(&self, value: i64, reason: &'static str) -> Fault {
        forbidden(self.name, value, reason)
    }
}

/// Why a transaction was not built. The caller's fault, always: nothing was signed, nothing sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The official name of the field.
    pub field: &'static str,
    /// What it held.
    pub value: i64,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Below this minimum; with what the field means.
    BelowMinimum(i64, &'static str),
    /// Above this maximum; with what the field means.
    AboveMaximum(i64, &'static str),
    /// In range, but not allowed here, for this reason.
    NotAllowed(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { field, value, .. } = self;
        match self.wrong {
            Wrong::BelowMinimum(minimum, meaning) => {
                write!(f, "{field} {value} is below {minimum}: {meaning}")
            }
            Wrong::AboveMaximum(maximum, meaning) => {
                write!(f, "{field} {value} is above {maximum}: {meaning}")
            }
            Wrong::NotAllowed(reason) => write!(f, "{field} {value} is not allowed: {reason}"),
        }
    }
}

impl std::error::Error for Fault {}

/// A complaint about something without a range.
#[cold]
pub(super) const fn forbidden(field: &'static str, value: i64, reason: &'static str) -> Fault {
    Fault {
        field,
        value,
        wrong: Wrong::NotAllowed(reason),
    }
}

/// An unsigned number as the signer's signed one. What does not fit becomes the largest, which is
/// above every maximum and so is refused under its field's name.
#[inline]
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Rule = rule!("BaseAmount", 1, 9, "size in the market's smallest unit");

    #[test]
    fn a_range_ends_where_it_says() {
        for (value, wrong) in [
            (i64::MIN, Some("BaseAmount -9223372036854775808 is below 1")),
            (0, Some("BaseAmount 0 is below 1")),
            (1, None),
            (9, None),
            (10, Some("BaseAmount 10 is above 9")),
            (
                signed(u64::MAX),
                Some("BaseAmount 9223372036854775807 is above 9"),
            ),
        ] {
            let said = SIZE.check(value).err().map(|fault| format!("{fault}"));
            let wanted = wrong.map(|text| format!("{text}: size in the market's smallest unit"));
            assert_eq!(said, wanted);
        }
    }

    #[test]
    fn a_forbidden_value_is_said_with_its_reason() {
        let fault = SIZE.forbidden(5, "it is Sunday");
        assert_eq!(
            format!("{fault}"),
            "BaseAmount 5 is not allowed: it is Sunday"
        );
    }
}
