//! TLS over fixed buffers: rustls' unbuffered interface between our cipher and plain buffers.
//!
//! Records are decrypted where the socket read put them, one at a time, so a message is handed out
//! before the records behind it are opened. The provider (aws-lc-rs) is named explicitly. Promises:
//! TLS 1.3 or 1.2 with AES-GCM, certificates checked against the Mozilla roots and one optional
//! root of the operator. Refuses: ChaCha20 (every machine this runs on has AES in hardware), client
//! certificates, early data.

use super::buffer::Buffer;
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus};
use rustls::{ClientConfig, Error, RootCertStore};
use std::fmt;
use std::sync::Arc;

/// Room that one decrypted record may need, and more than one encrypted record takes on the wire
/// (RFC 8446, part 5.2: 2^14 + 256 bytes and a header).
pub(super) const RECORD_BYTES_MAX: usize = 17 * 1024;
/// What sealing adds to each record at most: header, nonce, content type and tag, rounded up.
const SEAL_BYTES_MAX: usize = 64;
/// Plain bytes in one full record.
const RECORD_PLAIN_BYTES: usize = 16 * 1024;

/// What went wrong in TLS, by who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// Ours or the peer's set-up: its certificate is not one we trust for this name.
    Certificate,
    /// The peer said so: it ended the session with an alert.
    Alert,
    /// The peer's: bytes that are not TLS as we agreed to speak it.
    Protocol,
    /// Ours: a buffer was too small.
    Overflow,
}

/// Why the extra root cannot be used: the file is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRoot;

impl fmt::Display for BadRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the extra root certificate is not a PEM certificate")
    }
}

impl std::error::Error for BadRoot {}

/// How every connection speaks TLS; built once, shared. Remembers sessions to resume them.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Trusts the Mozilla roots and, if given, every certificate in `extra_root_pem`.
    pub fn new(extra_root_pem: Option<&[u8]>) -> Result<TlsClient, BadRoot> {
        // The roots are compiled in: the machine's own store is not asked, so a changed machine
        // cannot change whom we trust.
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(pem) = extra_root_pem {
            let mut added = 0;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| BadRoot)?;
                roots.add(certificate).map_err(|_| BadRoot)?;
                added += 1;
            }
            if added == 0 {
                return Err(BadRoot);
            }
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsClient {
            config: Arc::new(config),
        })
    }

    /// The same settings for clients that bring their own sockets (start-up REST). Cold.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Begins a session with this host. Cold.
    #[cold]
    pub(super) fn session(&self, host: &str) -> Result<Session, TlsFault> {
        let name = ServerName::try_from(host)
            .map_err(|_| TlsFault::Certificate)?
            .to_owned();
        let connection =
            UnbufferedClientConnection::new(self.config(), name).map_err(|error| fault(&error))?;
        Ok(Session {
            connection: connection.into(),
        })
    }
}

/// AES-128-GCM first: the shortest time per record on hardware with AES instructions. Cold.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::cipher_suite as suite;
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![
        suite::TLS13_AES_128_GCM_SHA256,
        suite::TLS13_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ];
    Arc::new(provider)
}

/// What [`Session::open`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Plain bytes were added to the inbox.
    Moved,
    /// More bytes are needed; whether the handshake is done.
    Starved {
        /// Application data may be sent.
        is_secure: bool,
    },
    /// The peer ended the session in order.
    Ended,
}

/// One TLS session. It owns no buffer of bytes: all are the connection's.
pub(super) struct Session {
    connection: Box<UnbufferedClientConnection>,
}

impl Session {
    /// Works on what stands in `cipher` until one record was moved to `inbox`, or it is used up.
    /// Handshake answers go to `outbox`. Ends: every round but the last consumes a record or a
    /// piece of handshake.
    #[inline]
    pub(super) fn open(
        &mut self,
        cipher: &mut Buffer,
        inbox: &mut Buffer,
        outbox: &mut Buffer,
    ) -> Result<Opened, TlsFault> {
        loop {
            if !inbox.make_room(RECORD_BYTES_MAX) {
                return Err(TlsFault::Overflow);
            }
            let UnbufferedStatus { discard, state } =
                self.connection.process_tls_records(cipher.filled_mut());
            // What to drop from the cipher once the state, which borrows it, is dealt with.
            let mut drop_len = discard;
            let opened = match state {
                // One record, in all versions of the library so far; the loop is its contract.
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(|error| fault(&error))?;
                        drop_len += record.discard;
                        if !inbox.append(record.payload) {
                            return Err(TlsFault::Overflow);
                        }
                    }
                    Some(Opened::Moved)
                }
                // Nothing whole is left, and we may speak.
                Ok(ConnectionState::WriteTraffic(_)) => Some(Opened::Starved { is_secure: true }),
                Ok(ConnectionState::BlockedHandshake) => Some(Opened::Starved { is_secure: false }),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Some(Opened::Ended),
                // Handshake flights, and later key updates.
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    outbox.make_room(RECORD_BYTES_MAX);
                    let len = data
                        .encode(outbox.room_mut())
                        .map_err(|_| TlsFault::Overflow)?;
                    outbox.commit(len);
                    None
                }
                // The outbox keeps the order, so what is encoded counts as transmitted.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                // Early data is a server's state.
                Ok(_) => return Err(TlsFault::Protocol),
                Err(error) => return Err(fault(&error)),
            };
            cipher.consume(drop_len);
            if let Some(opened) = opened {
                return Ok(opened);
            }
        }
    }

    /// Encrypts all of `plain` to the end of `outbox`; `false`, and nothing done, when there is no
    /// room. Whatever stands in `cipher` is opened first, since rustls keeps positions in it.
    #[inline]
    pub(super) fn seal(
        &mut self,
        plain: &[u8],
        cipher: &mut Buffer,
        inbox: &mut Buffer,
        outbox: &mut Buffer,
    ) -> Result<bool, TlsFault> {
        while self.open(cipher, inbox, outbox)? == Opened::Moved {}
        let records_len = plain.len() / RECORD_PLAIN_BYTES + 1;
        if !outbox.make_room(plain.len() + records_len * SEAL_BYTES_MAX) {
            return Ok(false);
        }
        let UnbufferedStatus { discard, state } =
            self.connection.process_tls_records(cipher.filled_mut());
        let sealed = match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                match traffic.encrypt(plain, outbox.room_mut()) {
                    Ok(len) => {
                        outbox.commit(len);
                        Ok(true)
                    }
                    Err(EncryptError::InsufficientSize(_)) => Ok(false),
                    Err(EncryptError::EncryptExhausted) => Err(TlsFault::Protocol),
                }
            }
            Ok(_) => Err(TlsFault::Protocol),
            Err(error) => Err(fault(&error)),
        };
        cipher.consume(discard);
        sealed
    }

    /// Adds the polite last record to `outbox`. Best effort.
    #[cold]
    pub(super) fn end(&mut self, cipher: &mut Buffer, outbox: &mut Buffer) {
        outbox.make_room(SEAL_BYTES_MAX);
        let status = self.connection.process_tls_records(cipher.filled_mut());
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state
            && let Ok(len) = traffic.queue_close_notify(outbox.room_mut())
        {
            outbox.commit(len);
        }
    }
}

/// The library's errors, by blame. Its texts are dropped: they would need memory to keep.
#[cold]
fn fault(error: &Error) -> TlsFault {
    match error {
        Error::InvalidCertificate(_)
        | Error::NoCertificatesPresented
        | Error::UnsupportedNameType
        | Error::InvalidCertRevocationList(_) => TlsFault::Certificate,
        Error::AlertReceived(_) => TlsFault::Alert,
        _ => TlsFault::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CipherSuite;

    #[test]
    fn suites_are_aes_only() {
        let suites: Vec<CipherSuite> = provider()
            .cipher_suites
            .iter()
            .map(|it| it.suite())
            .collect();
        assert_eq!(suites[0], CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert!(
            suites
                .iter()
                .all(|it| !format!("{it:?}").contains("CHACHA"))
        );
    }

    #[test]
    fn a_bad_root_is_refused() {
        assert!(TlsClient::new(None).is_ok());
        assert_eq!(TlsClient::new(Some(b"")).err(), Some(BadRoot));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(TlsClient::new(Some(broken)).err(), Some(BadRoot));
    }

    #[test]
    fn a_name_that_no_certificate_can_hold() {
        let client = TlsClient::new(None).unwrap();
        assert_eq!(client.session("a b").err(), Some(TlsFault::Certificate));
    }

    #[cfg(feature = "sim")]
    mod sessions {
        use super::*;
        use proptest::prelude::*;
        use rustls::SupportedProtocolVersion;
        use rustls::pki_types::PrivateKeyDer;
        use rustls::{ServerConfig, ServerConnection};
        use std::io::{Read, Write};

        /// A rustls server in memory: the judge of what we seal.
        fn server(version: &'static SupportedProtocolVersion) -> (ServerConnection, Vec<u8>) {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
            let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
            let config = ServerConfig::builder_with_provider(provider())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .unwrap();
            let server = ServerConnection::new(Arc::new(config)).unwrap();
            (server, made.cert.pem().into_bytes())
        }

        struct Ends {
            client: Session,
            server: ServerConnection,
            heard: Vec<u8>,
            cipher: Buffer,
            inbox: Buffer,
            outbox: Buffer,
        }

        impl Ends {
            fn new(version: &'static SupportedProtocolVersion) -> Ends {
                let (server, pem) = server(version);
                let tls = TlsClient::new(Some(&pem)).unwrap();
                Ends {
                    client: tls.session("localhost").unwrap(),
                    server,
                    heard: Vec::new(),
                    cipher: Buffer::new(64 * 1024),
                    inbox: Buffer::new(256 * 1024),
                    outbox: Buffer::new(128 * 1024),
                }
            }

            /// Carries bytes both ways, at most `len` at a time, until nothing moves.
            fn carry(&mut self, len: usize) -> Result<Opened, TlsFault> {
                loop {
                    let opened =
                        self.client
                            .open(&mut self.cipher, &mut self.inbox, &mut self.outbox)?;
                    if opened == Opened::Ended {
                        return Ok(opened);
                    }
                    let mut is_moving = opened == Opened::Moved;
                    while !self.outbox.is_empty() {
                        let mut bytes = self.outbox.filled();
                        let count = self.server.read_tls(&mut bytes).unwrap();
                        self.outbox.consume(count);
                        let state = self.server.process_new_packets().unwrap();
                        let mut read = vec![0; state.plaintext_bytes_to_read()];
                        self.server.reader().read_exact(&mut read).unwrap();
                        self.heard.append(&mut read);
                        is_moving = true;
                    }
                    let mut wire = Vec::new();
                    self.cipher.make_room(RECORD_BYTES_MAX);
                    let room = self.cipher.room_mut().len();
                    while wire.len() < room && self.server.wants_write() {
                        self.server
                            .write_tls(&mut Limited(&mut wire, len.min(room)))
                            .unwrap();
                        if wire.len() >= len {
                            break;
                        }
                    }
                    is_moving |= !wire.is_empty();
                    assert!(self.cipher.append(&wire));
                    if !is_moving {
                        return Ok(opened);
                    }
                }
            }
        }

        struct Limited<'a>(&'a mut Vec<u8>, usize);

        impl Write for Limited<'_> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let count = bytes.len().min(self.1 - self.0.len());
                self.0.extend_from_slice(&bytes[..count]);
                Ok(count)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        fn both_ways(version: &'static SupportedProtocolVersion, len: usize, payload: &[u8]) {
            let mut ends = Ends::new(version);
            let secure = Ok(Opened::Starved { is_secure: true });
            assert_eq!(ends.carry(len), secure);
            ends.server.writer().write_all(payload).unwrap();
            assert_eq!(ends.carry(len), secure);
            assert_eq!(ends.inbox.filled(), payload);
            let Ends {
                client,
                cipher,
                inbox,
                outbox,
                ..
            } = &mut ends;
            assert_eq!(client.seal(payload, cipher, inbox, outbox), Ok(true));
            assert_eq!(ends.carry(len), secure);
            assert_eq!(ends.heard, payload);
            ends.server.send_close_notify();
            assert_eq!(ends.carry(len), Ok(Opened::Ended));
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(6))]

            #[test]
            fn bytes_pass_both_ways(
                payload in prop::collection::vec(any::<u8>(), 1..40_000),
                len in 1_usize..20_000,
            ) {
                both_ways(&rustls::version::TLS13, len, &payload);
                both_ways(&rustls::version::TLS12, len, &payload);
            }

            #[test]
            fn arbitrary_bytes_are_a_fault_or_wait(
                bytes in prop::collection::vec(any::<u8>(), 0..2000),
            ) {
                let mut ends = Ends::new(&rustls::version::TLS13);
                ends.carry(5000).unwrap();
                assert!(ends.cipher.append(&bytes));
                let _ = ends.client.open(&mut ends.cipher, &mut ends.inbox, &mut ends.outbox);
            }
        }

        #[test]
        fn an_unknown_issuer_is_refused() {
            let mut ends = Ends::new(&rustls::version::TLS13);
            ends.client = TlsClient::new(None).unwrap().session("localhost").unwrap();
            assert_eq!(ends.carry(100_000), Err(TlsFault::Certificate));
        }

        #[test]
        fn no_room_leaves_the_outbox_alone() {
            let mut ends = Ends::new(&rustls::version::TLS13);
            ends.carry(100_000).unwrap();
            let payload = vec![7; 128 * 1024];
            let Ends {
                client,
                cipher,
                inbox,
                outbox,
                ..
            } = &mut ends;
            assert_eq!(client.seal(&payload, cipher, inbox, outbox), Ok(false));
            assert!(outbox.is_empty());
        }
    }
}
