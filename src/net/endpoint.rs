//! Where a lane leads: host, addresses, path and request headers, resolved before the run.
//!
//! Cold. Name resolution blocks, so it happens in `parse` and never while a stage runs. Header
//! values may hold API keys: they are never printed and are wiped on drop. Plain `http` and `ws`
//! are accepted for loopback addresses only.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use zeroize::Zeroizing;

/// What is spoken on a connection once it is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// WebSocket messages (RFC 6455).
    WebSocket,
    /// HTTP/1.1 keep-alive, one request in flight.
    Http,
}

/// Why a base URL or its headers cannot be used. The configuration is at fault, except for `Dns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// Not `https://`, `wss://`, `http://` or `ws://`.
    Scheme,
    /// Host or port is missing or malformed, or there is user information, a query or a fragment.
    Authority,
    /// The path or a header has a control character, a space in the path, or a bad beginning.
    Request,
    /// The name has no address (or the resolver failed).
    Dns,
    /// Plain text to an address that is not loopback.
    Insecure,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EndpointError::Scheme => "the URL must begin with https://, wss://, http:// or ws://",
            EndpointError::Authority => "the URL's host or port is malformed",
            EndpointError::Request => "the path or a header holds characters that cannot be sent",
            EndpointError::Dns => "the host name does not resolve",
            EndpointError::Insecure => "http:// and ws:// are for loopback addresses only",
        })
    }
}

impl std::error::Error for EndpointError {}

/// The far end of one connection.
#[derive(Clone)]
pub struct Endpoint {
    // As in the certificate: no port, no brackets.
    host: String,
    port: u16,
    // Never empty.
    addresses: Vec<SocketAddr>,
    is_secure: bool,
    protocol: Protocol,
    path: String,
    // Request lines below the first, each ended by CR LF; may hold secrets.
    headers: Zeroizing<Vec<u8>>,
}

impl Endpoint {
    /// Reads `base_url` (scheme, host, optional port and path prefix), appends `path` (empty, or
    /// beginning with `/` or `?`) and resolves the host. Blocks on the resolver.
    pub fn parse(
        base_url: &str,
        path: &str,
        headers: Vec<(&'static str, String)>,
        protocol: Protocol,
    ) -> Result<Endpoint, EndpointError> {
        let headers = render_headers(headers)?;
        let (scheme, rest) = base_url.split_once("://").ok_or(EndpointError::Scheme)?;
        let is_secure = match scheme {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return Err(EndpointError::Scheme),
        };
        let split = rest.find('/').unwrap_or(rest.len());
        let (authority, prefix) = rest.split_at(split);
        let (host, port) = split_authority(authority, if is_secure { 443 } else { 80 })?;
        let path = join_path(prefix, path)?;
        let addresses: Vec<SocketAddr> = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|_| EndpointError::Dns)?
            .collect();
        if addresses.is_empty() {
            return Err(EndpointError::Dns);
        }
        if !is_secure && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(EndpointError::Insecure);
        }
        Ok(Endpoint {
            host,
            port,
            addresses,
            is_secure,
            protocol,
            path,
            headers,
        })
    }

    /// Host without port or brackets, as the certificate must name it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Path and query of the upgrade, prefix included; for HTTP the prefix of every request path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is spoken here.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether TLS is used.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether every address is of this machine.
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|it| it.ip().is_loopback())
    }

    /// One of the addresses, in the resolver's order, round and round.
    pub(super) fn address(&self, idx: u32) -> SocketAddr {
        self.addresses[idx as usize % self.addresses.len()]
    }

    /// Text of the `Host` header: brackets for IPv6, the port unless it is the scheme's own. Cold.
    pub fn host_header(&self) -> String {
        let host = match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            Ok(IpAddr::V4(_)) | Err(_) => self.host.clone(),
        };
        if self.port == if self.is_secure { 443 } else { 80 } {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Writes the opening request of RFC 6455, part 4.1, with this key. Returns its length, or
    /// `None` when `out` is too small. `out` then holds the headers' secrets: wipe it.
    pub(super) fn write_upgrade(&self, key: &[u8], out: &mut [u8]) -> Option<usize> {
        let capacity = out.len();
        let mut rest = &mut *out;
        write!(
            rest,
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
            self.path,
            self.host_header()
        )
        .ok()?;
        for part in [key, b"\r\n", &self.headers, b"\r\n"] {
            rest.write_all(part).ok()?;
        }
        let left = rest.len();
        Some(capacity - left)
    }
}

/// Says where, never with which headers.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// Puts the extra headers into the text that will be sent, once. A header with a line break could
/// smuggle another request behind it: refused. Cold.
fn render_headers(
    headers: Vec<(&'static str, String)>,
) -> Result<Zeroizing<Vec<u8>>, EndpointError> {
    // The values are wiped here once they are copied; the exact capacity means no copy is left
    // behind by growth.
    let headers: Vec<(&str, Zeroizing<String>)> = headers
        .into_iter()
        .map(|(name, value)| (name, Zeroizing::new(value)))
        .collect();
    let total = headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum::<usize>()
        + USER_AGENT.len();
    let mut text = Zeroizing::new(Vec::with_capacity(total));
    for (name, value) in &headers {
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let is_value = value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if !is_name || !is_value {
            return Err(EndpointError::Request);
        }
        for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("user-agent"))
    {
        text.extend_from_slice(USER_AGENT);
    }
    Ok(text)
}

/// Sent on upgrades that bring no agent of their own: some front doors refuse requests without.
const USER_AGENT: &[u8] =
    concat!("User-Agent: parallax/", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes();

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`. Names are kept in lower case, as they are
/// compared; user information before an `@` fails on that character.
fn split_authority(authority: &str, port_default: u16) -> Result<(String, u16), EndpointError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(EndpointError::Authority)?;
        if !matches!(host.parse(), Ok(IpAddr::V6(_))) {
            return Err(EndpointError::Authority);
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(EndpointError::Authority),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_';
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(EndpointError::Authority);
        }
        (host, port)
    };
    let port = match port {
        Some(text) => text.parse().map_err(|_| EndpointError::Authority)?,
        None => port_default,
    };
    if port == 0 {
        return Err(EndpointError::Authority);
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// Joins the base URL's prefix and the path so that exactly one slash stands between them. A query
/// belongs to the path, so a base URL may not have one. Cold.
fn join_path(prefix: &str, path: &str) -> Result<String, EndpointError> {
    if prefix.contains('?') {
        return Err(EndpointError::Authority);
    }
    if !(path.is_empty() || path.starts_with('/') || path.starts_with('?')) {
        return Err(EndpointError::Request);
    }
    let mut joined = String::from(prefix.trim_end_matches('/'));
    if joined.is_empty() && !path.starts_with('/') {
        joined.push('/');
    }
    joined.push_str(path);
    if !joined.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Err(EndpointError::Request);
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(base_url: &str, path: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::parse(base_url, path, Vec::new(), Protocol::WebSocket)
    }

    #[test]
    fn urls_and_paths() {
        for (base, path, host, joined) in [
            ("wss://127.0.0.1", "", "127.0.0.1", "/"),
            (
                "wss://127.0.0.1:8443/",
                "/a?b=1",
                "127.0.0.1:8443",
                "/a?b=1",
            ),
            ("https://[::1]:443/api/v1/", "/x", "[::1]", "/api/v1/x"),
            (
                "ws://127.0.0.1:80/stream",
                "?readonly=true",
                "127.0.0.1",
                "/stream?readonly=true",
            ),
            ("http://[::1]:8080", "?q", "[::1]:8080", "/?q"),
        ] {
            let endpoint = parse(base, path).unwrap();
            assert_eq!(endpoint.host_header(), host, "{base}");
            assert_eq!(endpoint.path(), joined, "{base}");
            assert!(endpoint.is_loopback());
        }
        for (base, path, why) in [
            ("ftp://127.0.0.1", "", EndpointError::Scheme),
            ("127.0.0.1", "", EndpointError::Scheme),
            ("wss://", "", EndpointError::Authority),
            ("wss://user@127.0.0.1", "", EndpointError::Authority),
            ("wss://127.0.0.1:0", "", EndpointError::Authority),
            ("wss://127.0.0.1:70000", "", EndpointError::Authority),
            ("wss://[127.0.0.1]", "", EndpointError::Authority),
            ("wss://127.0.0.1?x=1", "", EndpointError::Authority),
            ("wss://127.0.0.1/p?x=1", "", EndpointError::Authority),
            ("wss://127.0.0.1", "a", EndpointError::Request),
            ("wss://127.0.0.1", "/a b", EndpointError::Request),
            ("wss://127.0.0.1", "/a\r\nX: y", EndpointError::Request),
            ("ws://192.0.2.1", "", EndpointError::Insecure),
            ("http://8.8.8.8", "", EndpointError::Insecure),
        ] {
            assert_eq!(parse(base, path).unwrap_err(), why, "{base} {path}");
        }
    }

    #[test]
    fn headers_are_sent_but_never_shown() {
        let headers = vec![("X-Api-Key", "s3cret".to_string())];
        let endpoint =
            Endpoint::parse("wss://127.0.0.1", "/s", headers, Protocol::WebSocket).unwrap();
        assert!(!format!("{endpoint:?}").contains("s3cret"));
        let mut out = [0; 512];
        let len = endpoint.write_upgrade(b"KEY", &mut out).unwrap();
        let text = std::str::from_utf8(&out[..len]).unwrap();
        assert!(
            text.starts_with("GET /s HTTP/1.1\r\nHost: 127.0.0.1\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nX-Api-Key: s3cret\r\n"), "{text}");
        assert!(text.contains("\r\nSec-WebSocket-Key: KEY\r\n"), "{text}");
        assert!(text.contains("\r\nUser-Agent: parallax/"), "{text}");
        assert!(text.ends_with("\r\n\r\n"), "{text}");
        assert_eq!(endpoint.write_upgrade(b"KEY", &mut out[..len - 1]), None);

        let smuggled = vec![("X-Api-Key", "a\r\nEvil: yes".to_string())];
        assert_eq!(
            Endpoint::parse("wss://127.0.0.1", "", smuggled, Protocol::Http).unwrap_err(),
            EndpointError::Request
        );
    }

    proptest! {
        #[test]
        fn any_text_is_an_error_or_a_value(port in ".{0,8}", path in ".{0,20}") {
            let _ = parse(&format!("wss://127.0.0.1{port}"), &path);
        }
    }
}
