//! Request parameters: query strings, urlencoded bodies, multipart bodies. Small on purpose: only
//! what clients of this venue send.

use std::collections::BTreeMap;

/// Parameters by name; the last of a repeated name wins.
pub type Parameters = BTreeMap<String, String>;

/// Parses `a=1&b=x%20y`.
pub fn urlencoded(text: &str) -> Parameters {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(name), unescape(value))
        })
        .collect()
}

/// Parses a body by its content type; `None` when it is neither form.
pub fn body(content_type: &str, body: &[u8]) -> Option<Parameters> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("multipart/form-data") {
        let boundary = content_type.split(';').find_map(|part| {
            let (name, value) = part.trim().split_once('=')?;
            let value = value.trim().trim_matches('"');
            name.eq_ignore_ascii_case("boundary").then_some(value)
        })?;
        return multipart(boundary, std::str::from_utf8(body).ok()?);
    }
    let is_form = kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    (is_form || kind.is_empty()).then(|| Some(urlencoded(std::str::from_utf8(body).ok()?)))?
}

/// Parts without a name or a blank line, and a body without its closing delimiter, are refused.
fn multipart(boundary: &str, body: &str) -> Option<Parameters> {
    let delimiter = format!("--{boundary}");
    let mut found = Parameters::new();
    for part in body.split(delimiter.as_str()).skip(1) {
        if part.starts_with("--") {
            return Some(found);
        }
        let (head, value) = part.split_once("\r\n\r\n")?;
        let name = head.split("name=\"").nth(1)?.split('"').next()?;
        found.insert(name.into(), value.strip_suffix("\r\n")?.into());
    }
    // The closing delimiter is missing: the body was cut.
    None
}

/// A per cent sign that starts no escape stands for itself.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3);
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], escaped) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urlencoded_pairs() {
        let found = urlencoded("tx_type=14&tx_info=%7B%22a%22%3A1%7D&x=a+b&flag");
        assert_eq!(found["tx_info"], r#"{"a":1}"#);
        assert_eq!(found["x"], "a b");
        assert_eq!(found["flag"], "");
        assert_eq!(urlencoded("a=%zz%4")["a"], "%zz%4");
        assert!(urlencoded("").is_empty());
    }

    #[test]
    fn multipart_parts() {
        let text = "--B\r\nContent-Disposition: form-data; name=\"tx_type\"\r\n\r\n14\r\n\
                    --B\r\nContent-Disposition: form-data; name=\"tx_info\"\r\n\r\n{}\r\n--B--\r\n";
        let found = body("multipart/form-data; boundary=B", text.as_bytes()).unwrap();
        assert_eq!((&*found["tx_type"], &*found["tx_info"]), ("14", "{}"));
        let cut = &text.as_bytes()[..text.len() - 5];
        assert!(body("multipart/form-data; boundary=B", cut).is_none());
        assert!(body("multipart/form-data", text.as_bytes()).is_none());
        assert!(body("application/json", b"{}").is_none());
        assert!(body("application/x-www-form-urlencoded", b"a=1").is_some());
    }
}
