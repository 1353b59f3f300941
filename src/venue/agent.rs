//! The HTTP client of cold requests: both venues' REST, and a node of Ethereum.
//!
//! Promises: an answer of any status is an answer; a redirect is not followed, as a request may
//! carry a key; nothing waits for longer than it was told to. Refuses: a root certificate that is
//! none.

use rustls::crypto::aws_lc_rs::default_provider;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// How we name ourselves to every server. Extended refuses requests without one (documentation,
/// headers).
pub const USER_AGENT: &str = concat!("parallax/", env!("CARGO_PKG_VERSION"));

/// The extra root is not PEM, or has no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCertificate;

/// A client. `root_pem`, when given, is trusted *instead of* the public roots; a private key in it
/// is left alone. `timeout` is that of a whole request.
pub fn agent(root_pem: Option<&[u8]>, timeout: Duration) -> Result<Agent, BadCertificate> {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
        .root_certs(root_pem.map_or(Ok(RootCerts::WebPki), roots)?)
        .build();
    Ok(Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(timeout))
        .user_agent(USER_AGENT)
        .accept("application/json")
        .build()
        .new_agent())
}

fn roots(pem: &[u8]) -> Result<RootCerts, BadCertificate> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| BadCertificate)? {
            found.push(certificate);
        }
    }
    match found.is_empty() {
        true => Err(BadCertificate),
        false => Ok(RootCerts::Specific(Arc::new(found))),
    }
}
