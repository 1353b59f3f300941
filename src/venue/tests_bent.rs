//! Answers as no venue should write them, for the tests of every reader: nothing here ships.

use serde_json::{Value, json};

/// Leaf values as no venue should write them.
fn odd_values() -> Vec<Value> {
    let texts = [
        "",
        "-1",
        "1e5",
        "1e-10",
        "9223372037",
        "-9223372036.854775807",
        "x",
    ];
    let mut values: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    values.extend([
        json!(null),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1.5),
        json!([]),
        json!({}),
    ]);
    values
}

/// Every leaf of a body, replaced in turn by every odd value.
pub fn each_bent(body: &Value, mut visit: impl FnMut(&Value)) {
    let mut paths = vec![String::new()];
    let mut at = 0;
    while let Some(path) = paths.get(at).cloned() {
        at += 1;
        match body.pointer(&path) {
            Some(Value::Object(map)) => paths.extend(map.keys().map(|k| format!("{path}/{k}"))),
            Some(Value::Array(rows)) => {
                paths.extend((0..rows.len().min(3)).map(|row| format!("{path}/{row}")));
            }
            _ => {}
        }
        for odd in odd_values() {
            let mut bent = body.clone();
            if let Some(value) = bent.pointer_mut(&path) {
                *value = odd;
            }
            visit(&bent);
        }
    }
}
