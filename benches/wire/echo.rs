//! What the engine is held against: a client that reads a tick and at once sends an order that was
//! made long ago. BASE by rustls and tungstenite, spinning; the floor by plain TCP, spinning, with
//! and without the acknowledgement kept off the path.
//!
//! Sizes and pace are the engine's: a tick of 1,024 bytes, an order of 700, every second tick asks
//! for none.

use crate::peer::Peer;
use crate::venues::ORDER_WAIT;
use core_affinity::CoreId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;
use tungstenite::{Error, Message, WebSocket};

pub const TICK_BYTES: usize = 1_024;
pub const ORDER_BYTES: usize = 700;
/// First byte of a tick that asks for an order, and of one that does not.
const ASKS: u8 = b'E';
const CALM: u8 = b'C';

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// rustls and tungstenite, spinning.
    Base,
    /// Plain TCP, spinning.
    Raw,
    /// The same, its acknowledgements sent after the order.
    RawAck,
}

/// A client on a thread, and the venue's two connections to it.
pub struct Echo {
    kind: Kind,
    ticks: Peer,
    orders: Peer,
    stop: Arc<AtomicBool>,
    client: JoinHandle<()>,
}

impl Echo {
    pub fn start(kind: Kind, core: Option<usize>, tls: (&Arc<ServerConfig>, &[u8])) -> Echo {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, pem) = (Arc::clone(&stop), tls.1.to_vec());
        let client = std::thread::spawn(move || {
            if let Some(id) = core {
                core_affinity::set_for_current(CoreId { id });
            }
            match kind {
                Kind::Base => base(address, &pem, &flag),
                Kind::Raw | Kind::RawAck => raw(address, kind == Kind::RawAck, &flag),
            }
        });
        let config = (kind == Kind::Base).then_some(tls.0);
        let accept = || {
            let (stream, _) = listener.accept().expect("the client dials");
            let mut peer = Peer::new(stream, config);
            while kind == Kind::Base && !peer.is_upgraded() {
                let count = peer.poll();
                if count > 0 {
                    peer.take(count);
                }
            }
            peer
        };
        // The client dials them in this order.
        let (ticks, orders) = (accept(), accept());
        Echo {
            kind,
            ticks,
            orders,
            stop,
            client,
        }
    }

    fn ready(&mut self, first: u8) {
        let mut text = vec![b'x'; TICK_BYTES];
        text[0] = first;
        match self.kind {
            Kind::Base => {
                let text = String::from_utf8(text).expect("ASCII");
                self.ticks.seal_text(&text);
            }
            Kind::Raw | Kind::RawAck => self.ticks.seal(&text),
        }
    }

    /// A tick that asks for no order.
    pub fn tick(&mut self) {
        self.ready(CALM);
        self.ticks.launch();
    }

    /// As `Venues::tick_to_order`.
    pub fn tick_to_order(&mut self) -> Option<u64> {
        self.ready(ASKS);
        let sent = Instant::now();
        self.ticks.launch();
        loop {
            let count = self.orders.poll();
            if count > 0 {
                let took = sent.elapsed();
                self.orders.take(count);
                return Some(took.as_nanos() as u64);
            }
            if sent.elapsed() > ORDER_WAIT {
                return None;
            }
        }
    }

    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.client.join().expect("the client ends well");
    }
}

/// TCP without delay.
fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the venue listens");
    stream.set_nodelay(true).expect("TCP has it");
    stream
}

fn raw(address: SocketAddr, acks_late: bool, stop: &AtomicBool) {
    let (mut ticks, mut orders) = (dial(address), dial(address));
    ticks.set_nonblocking(true).expect("sockets have it");
    let order = [b'o'; ORDER_BYTES];
    let mut tick = [0; 4 * TICK_BYTES];
    while !stop.load(Ordering::Acquire) {
        match ticks.read(&mut tick) {
            Ok(0) => return,
            Ok(_) => {
                if tick[0] == ASKS {
                    orders.write_all(&order).expect("the venue reads");
                }
                if acks_late {
                    // On: what is owed goes out now. Off again: nothing goes out in a read.
                    let options = SockRef::from(&ticks);
                    options.set_tcp_quickack(true).expect("Linux has it");
                    options.set_tcp_quickack(false).expect("Linux has it");
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => panic!("{error}"),
        }
    }
}

type Socket = WebSocket<StreamOwned<ClientConnection, TcpStream>>;

fn base(address: SocketAddr, pem: &[u8], stop: &AtomicBool) {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(pem).expect("our own");
    roots.add(root).expect("our own");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has its suites")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let socket = || -> Socket {
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::clone(&config), name).expect("settings");
        let stream = StreamOwned::new(session, dial(address));
        let (socket, _) = tungstenite::client("wss://localhost/", stream).expect("an upgrade");
        socket
    };
    let (mut ticks, mut orders) = (socket(), socket());
    ticks
        .get_mut()
        .sock
        .set_nonblocking(true)
        .expect("sockets have it");
    let order = Message::text("o".repeat(ORDER_BYTES));
    while !stop.load(Ordering::Acquire) {
        match ticks.read() {
            Ok(Message::Text(tick)) => {
                if tick.as_bytes()[0] == ASKS {
                    orders.send(order.clone()).expect("the venue reads");
                }
            }
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                std::hint::spin_loop();
            }
            Err(error) => panic!("{error}"),
        }
    }
}
