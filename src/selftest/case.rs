//! One case of a vector file: its fields, each read with an error that names it.
//!
//! Promises: no field is guessed; what is missing or of another type fails the case by name.

use super::Verdict;
use crate::venue::extended::sign::{Felt, parse_felt};
use serde_json::Value;
use std::fmt::Debug;

/// A case, or a part of one.
#[derive(Clone, Copy)]
pub struct Case<'a>(&'a Value);

impl<'a> Case<'a> {
    /// Over one entry of a file's list.
    pub fn new(value: &'a Value) -> Case<'a> {
        Case(value)
    }

    /// The JSON itself.
    pub fn value(self) -> &'a Value {
        self.0
    }

    /// A field that is there and not null.
    pub fn has(self, name: &str) -> bool {
        !self.0[name].is_null()
    }

    /// A field that holds fields.
    pub fn part(self, name: &str) -> Result<Case<'a>, String> {
        let is_object = self.0[name].is_object();
        let part = is_object.then(|| Case(&self.0[name]));
        part.ok_or_else(|| format!("`{name}` is no object"))
    }

    /// Text.
    pub fn text(self, name: &str) -> Result<&'a str, String> {
        let text = self.0[name].as_str();
        text.ok_or_else(|| format!("`{name}` is no text"))
    }

    /// A whole number of 64 bits, without sign.
    pub fn number(self, name: &str) -> Result<u64, String> {
        let number = self.0[name].as_u64();
        number.ok_or_else(|| format!("`{name}` is no number of 64 bits"))
    }

    /// A whole number of 64 bits, with sign.
    pub fn signed(self, name: &str) -> Result<i64, String> {
        let number = self.0[name].as_i64();
        number.ok_or_else(|| format!("`{name}` is no signed number of 64 bits"))
    }

    /// Yes or no.
    pub fn flag(self, name: &str) -> Result<bool, String> {
        let flag = self.0[name].as_bool();
        flag.ok_or_else(|| format!("`{name}` is neither true nor false"))
    }

    /// A Stark field element in hexadecimal.
    pub fn felt(self, name: &str) -> Result<Felt, String> {
        let felt = parse_felt(self.text(name)?);
        felt.ok_or_else(|| format!("`{name}` is no field element"))
    }

    /// `N` bytes in hexadecimal, with or without `0x`.
    pub fn bytes<const N: usize>(self, name: &str) -> Result<[u8; N], String> {
        bytes(self.text(name)?).ok_or_else(|| format!("`{name}` is not {N} bytes in hexadecimal"))
    }

    /// A number of 64 bits written as decimal text.
    pub fn decimal(self, name: &str) -> Result<u64, String> {
        let number = self.text(name)?.parse();
        number.map_err(|_| format!("`{name}` is no decimal number of 64 bits"))
    }

    /// A list of numbers of 64 bits written as decimal texts.
    pub fn decimals(self, name: &str) -> Result<Vec<u64>, String> {
        let list = self.0[name].as_array();
        let numbers = list.map(|list| list.iter().map(|one| one.as_str()?.parse().ok()).collect());
        numbers
            .flatten()
            .ok_or_else(|| format!("`{name}` is no list of decimal numbers"))
    }
}

/// `N` bytes from hexadecimal text.
pub fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = (high? << 4 | low?) as u8;
    }
    Some(bytes)
}

/// Passes when both are equal; else says what differs.
pub fn equal<T: PartialEq + Debug>(what: &str, ours: T, official: T) -> Verdict {
    if ours == official {
        return Ok(());
    }
    Err(format!("{what}: ours {ours:?}, official {official:?}"))
}
