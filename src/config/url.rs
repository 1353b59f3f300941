//! Endpoints: a scheme, a host, a port, a path, checked before anything is dialled.
//!
//! Promises: an [`Url`] has a host that can be dialled, no user name, query or fragment, and no
//! slash at its end; plain `http` and `ws` exist for loopback addresses only, since orders and keys
//! would otherwise cross a network in the open. Refuses: resolving names.

use std::fmt;
use std::net::IpAddr;

/// What is spoken at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `http` or `https`.
    Http,
    /// `ws` or `wss`.
    WebSocket,
}

/// A checked endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    text: String,
    host: String,
    /// True for `https` and `wss`.
    pub is_tls: bool,
    /// Port, the scheme's own when none is written.
    pub port: u16,
    path_start: usize,
}

/// Why a text is no endpoint for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlFault {
    /// Another scheme than the setting wants.
    Scheme,
    /// No host, or one that cannot be dialled.
    Host,
    /// Not a port number.
    Port,
    /// User name, query, fragment, space or control character.
    Extra,
    /// Plain text to an address that is not this machine.
    PlainBeyondLoopback,
}

impl Url {
    /// Checks a text. A slash at the end is dropped.
    pub fn parse(text: &str, protocol: Protocol) -> Result<Url, UrlFault> {
        let (plain, tls) = match protocol {
            Protocol::Http => ("http://", "https://"),
            Protocol::WebSocket => ("ws://", "wss://"),
        };
        let text = text.trim_end_matches('/');
        let (is_tls, rest) = match (text.strip_prefix(tls), text.strip_prefix(plain)) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(UrlFault::Scheme),
        };
        let odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#' | b'@' | b'\\');
        if rest.bytes().any(odd) {
            return Err(UrlFault::Extra);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some(digits) => read_port(digits)?,
            None if is_tls => 443,
            None => 80,
        };
        let url = Url {
            text: text.to_owned(),
            host: check_host(host)?,
            is_tls,
            port,
            path_start: text.len() - rest.len() + authority.len(),
        };
        if !is_tls && !url.is_loopback() {
            return Err(UrlFault::PlainBeyondLoopback);
        }
        Ok(url)
    }

    /// The whole text, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Path with its leading slash, or nothing.
    pub fn path(&self) -> &str {
        &self.text[self.path_start..]
    }

    /// The address is this machine's own: `localhost`, `127.0.0.0/8`, `::1`.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlFault::Scheme => "does not begin with the right scheme",
            UrlFault::Host => "has no host that could be dialled",
            UrlFault::Port => "has a port that is not a number from 1 to 65535",
            UrlFault::Extra => "has a user name, query, fragment or odd character",
            UrlFault::PlainBeyondLoopback => "would send orders and keys unencrypted",
        })
    }
}

/// Host and port digits; `[::1]:80` keeps its colons inside the brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), UrlFault> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(UrlFault::Host)?;
        return match after.strip_prefix(':') {
            Some(digits) => Ok((host, Some(digits))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(UrlFault::Host),
        };
    }
    Ok(match authority.split_once(':') {
        Some((host, digits)) => (host, Some(digits)),
        None => (authority, None),
    })
}

/// Digits only: the standard parser would take `+80`.
fn read_port(digits: &str) -> Result<u16, UrlFault> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlFault::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(UrlFault::Port),
        Ok(port) => Ok(port),
    }
}

/// An address, or a name of labels as DNS allows them.
fn check_host(host: &str) -> Result<String, UrlFault> {
    let is_address = host.parse::<IpAddr>().is_ok();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let is_name = (1..=253).contains(&host.len())
        && host.bytes().all(fits)
        && host.split('.').all(|label| !label.is_empty());
    if is_address || is_name {
        Ok(host.to_owned())
    } else {
        Err(UrlFault::Host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        for (text, protocol, host, port, path, is_tls) in [
            (
                "https://api.starknet.extended.exchange/api/v1",
                Protocol::Http,
                "api.starknet.extended.exchange",
                443,
                "/api/v1",
                true,
            ),
            (
                "http://127.0.0.1:8080/",
                Protocol::Http,
                "127.0.0.1",
                8080,
                "",
                false,
            ),
            (
                "ws://[::1]:9/stream",
                Protocol::WebSocket,
                "::1",
                9,
                "/stream",
                false,
            ),
            (
                "wss://localhost",
                Protocol::WebSocket,
                "localhost",
                443,
                "",
                true,
            ),
            (
                "http://127.9.9.9",
                Protocol::Http,
                "127.9.9.9",
                80,
                "",
                false,
            ),
        ] {
            let url = Url::parse(text, protocol).unwrap();
            assert_eq!((url.host(), url.port, url.path()), (host, port, path));
            assert_eq!(url.is_tls, is_tls);
        }
    }

    #[test]
    fn refusals() {
        for (text, fault) in [
            ("", UrlFault::Scheme),
            ("wss://host", UrlFault::Scheme),
            ("HTTPS://host", UrlFault::Scheme),
            ("https://", UrlFault::Scheme),
            ("https://:80", UrlFault::Host),
            ("https://a..b", UrlFault::Host),
            ("https://[::1", UrlFault::Host),
            ("https://[::1]x", UrlFault::Host),
            ("https://host:0", UrlFault::Port),
            ("https://host:65536", UrlFault::Port),
            ("https://host:+80", UrlFault::Port),
            ("https://user@host", UrlFault::Extra),
            ("https://host/?query", UrlFault::Extra),
            ("https://host/a b", UrlFault::Extra),
            ("http://host", UrlFault::PlainBeyondLoopback),
            ("http://10.0.0.1:80", UrlFault::PlainBeyondLoopback),
            (
                "http://127.0.0.1.example.com",
                UrlFault::PlainBeyondLoopback,
            ),
            (
                "http://localhost.example.com",
                UrlFault::PlainBeyondLoopback,
            ),
        ] {
            assert_eq!(Url::parse(text, Protocol::Http), Err(fault), "{text}");
        }
    }

    #[test]
    fn loopback() {
        for (text, is_loopback) in [
            ("https://localhost:1/a", true),
            ("https://127.0.0.1", true),
            ("https://[::1]", true),
            ("https://example.com", false),
            ("https://0.0.0.0", false),
        ] {
            let url = Url::parse(text, Protocol::Http).unwrap();
            assert_eq!(url.is_loopback(), is_loopback, "{text}");
        }
    }
}
