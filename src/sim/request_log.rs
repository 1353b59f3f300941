//! The log of every request the simulated venues received, one JSON object a line.
//!
//! Promises: a line is written whole, both venues into one file; whatever proves who asks (headers,
//! query parameters, members of a body) is named without its value. Refuses to stop a venue: a line
//! that can't be written is dropped.

use crate::market::Venue;
use crate::market::units::Nanos;
use crate::sim::SimError;
use crate::sim::server::web::HeaderMap;
use serde_json::Value;
use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Headers that prove who asks; their values are never logged.
const SECRET_HEADERS: [&str; 6] = [
    "x-api-key",
    "authorization",
    "proxy-authorization",
    "cookie",
    "l1_signature",
    "sec-websocket-key",
];

/// Query parameters, form fields and JSON members that prove who asks, in lower case: Lighter's
/// token, and Extended's key as a parameter or in the stream RPC's account subscription.
const SECRET_NAMES: [&str; 4] = ["auth", "authorization", "apikey", "x-api-key"];
/// What stands in a secret's place.
const WITHHELD: &str = "(withheld)";

/// Every request received, one JSON object a line, both venues in one file.
#[derive(Clone)]
pub struct RequestLog {
    file: Arc<Mutex<File>>,
    venue: Venue,
}

/// One request, as the log wants it.
pub struct Asked<'a> {
    /// `http` or `ws`.
    pub kind: &'static str,
    /// The HTTP method; `TEXT` for a WebSocket message.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Headers; those in the list of secrets are written without their value.
    pub headers: &'a HeaderMap,
    /// Body or message text.
    pub body: &'a [u8],
}

impl RequestLog {
    /// Opens `path` for appending.
    ///
    /// # Errors
    /// [`SimError::Log`] when it can't be opened.
    pub fn open(path: &Path, venue: Venue) -> Result<RequestLog, SimError> {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let file = opened.map_err(|error| SimError::Log(path.to_path_buf(), error.to_string()))?;
        Ok(RequestLog {
            file: Arc::new(Mutex::new(file)),
            venue,
        })
    }

    /// The same file for the other venue.
    pub fn for_venue(&self, venue: Venue) -> RequestLog {
        RequestLog {
            file: Arc::clone(&self.file),
            venue,
        }
    }

    /// Appends one line. A full disk must not stop the venue, so a failed write is dropped.
    pub fn write(&self, now: Nanos, asked: &Asked<'_>) {
        let mut headers = serde_json::Map::new();
        for (name, value) in asked.headers {
            let secret = SECRET_HEADERS.contains(&name.as_str());
            let text = if secret {
                WITHHELD.into()
            } else {
                String::from_utf8_lossy(value.as_bytes())
            };
            headers.insert(name.to_string(), text.into());
        }
        let mut line = serde_json::json!({
            "t_ns": now.0,
            "venue": self.venue.name(),
            "kind": asked.kind,
            "method": asked.method,
            "path": path_shown(asked.path),
            "headers": headers,
            "body": body_shown(&String::from_utf8_lossy(asked.body)),
        })
        .to_string();
        line.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = file.write_all(line.as_bytes());
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_NAMES
        .iter()
        .any(|one| one.eq_ignore_ascii_case(name))
}

/// The path with the values of secret query parameters withheld.
fn path_shown(path: &str) -> Cow<'_, str> {
    match path.split_once('?') {
        Some((plain, query)) => format!("{plain}?{}", pairs_shown(query)).into(),
        None => path.into(),
    }
}

/// `name=value` pairs with the values of secret ones withheld.
fn pairs_shown(pairs: &str) -> String {
    let shown = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={WITHHELD}"),
        _ => pair.to_string(),
    };
    pairs.split('&').map(shown).collect::<Vec<_>>().join("&")
}

/// A body as received, unless it has a secret: JSON and forms lose its value, and what is neither
/// but names one is not shown at all.
fn body_shown(body: &str) -> Cow<'_, str> {
    if let Ok(mut value) = serde_json::from_str::<Value>(body) {
        return match withhold(&mut value) {
            true => value.to_string().into(),
            false => body.into(),
        };
    }
    let lower = body.to_ascii_lowercase();
    let names =
        |one: &str| lower.contains(&format!("\"{one}\"")) || lower.contains(&format!("{one}="));
    if !SECRET_NAMES.iter().any(|one| names(one)) {
        return body.into();
    }
    match body.contains(['\n', '"']) {
        true => WITHHELD.into(),
        false => pairs_shown(body).into(),
    }
}

/// Replaces every secret member, however deep; true when there was one. All are visited: the count
/// does not stop at the first.
fn withhold(value: &mut Value) -> bool {
    let found = match value {
        Value::Array(items) => items.iter_mut().map(withhold).filter(|had| *had).count(),
        Value::Object(members) => {
            let withheld = members.iter_mut().map(|(name, member)| {
                let secret = is_secret(name);
                if secret {
                    *member = WITHHELD.into();
                }
                secret || withhold(member)
            });
            withheld.filter(|had| *had).count()
        }
        _ => 0,
    };
    found > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_query_parameters_are_named_without_their_value() {
        for (path, shown) in [
            ("/info?market=BTC-USD", "/info?market=BTC-USD"),
            ("/stream", "/stream"),
            (
                "/api/v1/accountLimits?account_index=7&auth=17:7:4:ab&x=1",
                "/api/v1/accountLimits?account_index=7&auth=(withheld)&x=1",
            ),
            (
                "/v1/account?X-API-KEY=abc",
                "/v1/account?X-API-KEY=(withheld)",
            ),
        ] {
            assert_eq!(path_shown(path), shown);
        }
    }

    #[test]
    fn secret_members_of_bodies_are_withheld_wherever_they_are() {
        for body in [
            r#"{"type":"subscribe","channel":"account_tx/7","auth":"s3cret"}"#,
            r#"{"type":"subscribe","channel":"account_tx/7","\u0061uth":"s3cret"}"#,
            r#"{"method":"subscribe","params":{"scope":"account","apiKey":"s3cret"}}"#,
            r#"{"type":"subscribe","auth":"s3cret""#,
            r#"[{"auth":"s3cret"},{"auth":"s3cret","deep":{"Authorization":["s3cret"]}}]"#,
            "account_index=7&auth=s3cret&new_tier=premium",
            "--B\r\nContent-Disposition: form-data; name=\"auth\"\r\n\r\ns3cret\r\n--B--",
        ] {
            let shown = body_shown(body);
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.contains(WITHHELD), "{shown}");
        }
    }

    #[test]
    fn bodies_without_secrets_are_shown_to_the_letter() {
        for body in [
            "",
            r#"{"id":"b", "qty":"1","market":"BTC-USD"}"#,
            r#"{"type":"jsonapi/sendtx","data":{"tx_info":"{\"Sig\":\"a+/=\"}"}}"#,
            "tx_type=14&tx_info=%7B%22Sig%22%3A%22auth%22%7D",
            r#"tx_type=14&tx_info={"ApiKeyIndex":4,"Sig":"a=="}"#,
            "\\ nothing known",
        ] {
            assert_eq!(body_shown(body), body);
        }
    }
}
