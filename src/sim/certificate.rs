//! The certificate of the simulated venues, made anew for every run.
//!
//! Promises: it is good for loopback names alone, and its keys never leave the process.

use crate::sim::SimError;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// A certificate authority of this process alone, and the certificate it gave the venues.
pub struct Certificate {
    /// The authority's certificate, PEM: what a client must trust.
    pub ca_pem: String,
    server_config: Arc<ServerConfig>,
}

impl Certificate {
    /// Makes both for `localhost`, `127.0.0.1` and `::1`. The keys never leave this process.
    ///
    /// # Errors
    /// [`SimError::Certificate`] when the generator or rustls refuses (never seen).
    pub fn new() -> Result<Certificate, SimError> {
        let refused = |error: rcgen::Error| SimError::Certificate(error.to_string());
        let mut authority = rcgen::CertificateParams::new(Vec::new()).map_err(refused)?;
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        authority
            .distinguished_name
            .push(rcgen::DnType::CommonName, "parallax simulated venues");
        let authority_key = rcgen::KeyPair::generate().map_err(refused)?;
        let authority_certificate = authority.self_signed(&authority_key).map_err(refused)?;
        let issuer = rcgen::Issuer::new(authority, authority_key);

        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let mut leaf = rcgen::CertificateParams::new(names).map_err(refused)?;
        leaf.use_authority_key_identifier_extension = true;
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let leaf_key = rcgen::KeyPair::generate().map_err(refused)?;
        let leaf_certificate = leaf.signed_by(&leaf_key, &issuer).map_err(refused)?;

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let refused = |error: rustls::Error| SimError::Certificate(error.to_string());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_no_client_auth()
            .with_single_cert(vec![leaf_certificate.der().clone()], key)
            .map_err(refused)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Certificate {
            ca_pem: authority_certificate.pem(),
            server_config: Arc::new(config),
        })
    }

    /// What a listener needs to answer TLS.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server_config)
    }
}
