//! Planting scripts: a judge's own dislocations, one JSON object a line.
//!
//! Promises: what is read is in range, so that playback cannot overflow or leave the price band.
//! Refuses: unknown fields and shapes, by line number; silence about a typing error would plant
//! something else than was asked.

use crate::market::units::Size;
use crate::sim::plant::{Plant, PlantLine, Shape};
use serde_json::{Map, Value};

/// Why a planting script was refused: its line, from 1, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Line number, from 1.
    pub line_number: usize,
    /// What is wrong; names the field.
    pub why: String,
}

impl std::fmt::Display for ScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "planting script, line {}: {}",
            self.line_number, self.why
        )
    }
}

impl std::error::Error for ScriptError {}

impl Plant {
    /// Reads a script: one JSON object a line with `at_ms`, `market`, `venue`, `bps`, and where
    /// wanted `size` (coins, text or number), `life_ms` (1500) and `shape` (`shock`).
    pub fn script(text: &str) -> Result<Plant, ScriptError> {
        let mut lines = Vec::new();
        for (idx, line) in text.lines().enumerate() {
            if !line.trim().is_empty() {
                let line_number = idx + 1;
                let fault = |why| ScriptError { line_number, why };
                lines.push(PlantLine::parse(line_number, line).map_err(fault)?);
            }
        }
        Ok(Plant::Script(lines))
    }
}

/// The fields of a line, in the order in which they are documented.
const FIELDS: [&str; 7] = [
    "at_ms", "market", "venue", "bps", "size", "life_ms", "shape",
];
/// A dislocation larger than this is a mistake of the script, and would leave the price band.
const SCRIPT_BPS_MAX: f64 = 400.0;
/// Longest time of a script, a day: keeps its arithmetic in range.
const SCRIPT_MS_MAX: u64 = 86_400_000;
/// What a line without `life_ms` lasts.
const LIFE_MS: u64 = 1_500;

impl PlantLine {
    /// Reads one line. The error names the field and what it must be.
    pub(super) fn parse(line_number: usize, line: &str) -> Result<PlantLine, String> {
        let Ok(Value::Object(fields)) = serde_json::from_str(line) else {
            return Err(format!(
                "not a JSON object with the fields {}",
                FIELDS.join(", ")
            ));
        };
        if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(format!(
                "unknown field {name}: the fields are {}",
                FIELDS.join(", ")
            ));
        }
        let at_ms = time(&fields, "at_ms")?.ok_or("at_ms is missing")?;
        let market = fields.get("market").and_then(Value::as_str);
        let market = market.ok_or("market is missing, or not a text")?;
        let venue = fields.get("venue").and_then(Value::as_str);
        let venue = crate::market::VENUES
            .into_iter()
            .find(|one| Some(one.name()) == venue)
            .ok_or("venue is missing, or not extended or lighter")?;
        let bps = fields.get("bps").and_then(Value::as_f64);
        let bps = bps.ok_or("bps is missing, or not a number")?;
        if bps.abs() > SCRIPT_BPS_MAX || bps == 0.0 {
            return Err("bps is within 400 either way, and not zero".into());
        }
        Ok(PlantLine {
            line_number,
            at_ms,
            market: market.into(),
            venue,
            bps,
            size: size(fields.get("size"))?,
            life_ms: time(&fields, "life_ms")?.unwrap_or(LIFE_MS),
            shape: shape(fields.get("shape"))?,
        })
    }
}

/// A whole number of milliseconds within a day; `None` when the field is left out.
fn time(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    let value = match fields.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_u64(),
    };
    match value {
        Some(ms) if ms <= SCRIPT_MS_MAX => Ok(Some(ms)),
        _ => Err(format!(
            "{name} is a whole number of milliseconds within a day"
        )),
    }
}

fn size(value: Option<&Value>) -> Result<Option<Size>, &'static str> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match Size::parse(text.as_bytes()) {
        Ok(size) if size >= Size::ZERO => Ok(Some(size)),
        _ => Err("size is a decimal of coins, not negative"),
    }
}

fn shape(value: Option<&Value>) -> Result<Shape, &'static str> {
    match value {
        None | Some(Value::Null) => Ok(Shape::Shock),
        Some(value) => match value.as_str() {
            Some("shock") => Ok(Shape::Shock),
            Some("lag") => Ok(Shape::Lag),
            Some("shift") => Ok(Shape::Shift),
            _ => Err("shape is shock, lag or shift"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;

    #[test]
    fn scripts_are_read_or_refused_by_line() {
        let good = r#"{"at_ms":1,"market":"ETH","venue":"extended","bps":-9.5,"size":"1.5"}

{"at_ms":2,"market":"BTC-USD","venue":"lighter","bps":3,"size":2,"life_ms":80,"shape":"lag"}"#;
        let Ok(Plant::Script(lines)) = Plant::script(good) else {
            panic!("refused");
        };
        assert_eq!(lines[0].size, Some(Size(1_500_000_000)));
        assert_eq!((lines[0].life_ms, lines[0].shape), (1_500, Shape::Shock));
        assert_eq!((lines[1].bps, lines[1].shape), (3.0, Shape::Lag));
        assert!(lines[1].event(InstrumentId(0)).is_decoy);
        let line = |change: &str| {
            let fields = r#""at_ms":1,"market":"ETH","venue":"lighter","bps":1"#;
            format!("\n{{{fields},{change}}}")
        };
        for (bad, field) in [
            ("\nnonsense".into(), "at_ms, market, venue"),
            ("\n[1]".into(), "at_ms, market, venue"),
            (line(r#""venue":"binance""#), "venue"),
            (line(r#""venue":7"#), "venue"),
            (line(r#""bps":0"#), "bps"),
            (line(r#""bps":401"#), "bps"),
            (line(r#""bps":"9""#), "bps"),
            (line(r#""at_ms":-1"#), "at_ms"),
            (line(r#""at_ms":86400001"#), "at_ms"),
            (line(r#""market":1"#), "market"),
            (line(r#""size":"-1""#), "size"),
            (line(r#""size":[]"#), "size"),
            (line(r#""life_ms":1.5"#), "life_ms"),
            (line(r#""shape":"round""#), "shape"),
            (line(r#""more":1"#), "more"),
            (
                r#"{"market":"ETH","venue":"lighter","bps":1}"#.into(),
                "at_ms",
            ),
        ] {
            let error = Plant::script(&bad).unwrap_err();
            assert_eq!(error.line_number, bad.lines().count(), "{bad}");
            assert!(error.why.contains(field), "{bad}: {error}");
        }
    }
}
