//! The floor a simulated venue stands on: axum over rustls on loopback, the exchange behind its
//! lock, the pump that lets time pass, and the request log.
//!
//! Promises: a slow TLS handshake never blocks another client; what happened is announced under
//! the exchange's own lock, so a snapshot and a subscription taken in one `look` never miss or
//! repeat a change; a receiver that lags is told so and must be cut off, as the venues do.
//! Refuses: addresses that are not loopback (checked in `start`), and secrets in the log's headers.
//!
//! This is the door for axum, tokio and rustls: the venue rooms name them through `web` and `rt`.

use crate::market::units::Nanos;
use crate::sim::SimError;
pub use crate::sim::certificate::Certificate;
use crate::sim::exchange::{Exchange, Happening};
use crate::sim::faults::Faults;
use crate::sim::faults::fuse::{Fuse, Fused};
pub use crate::sim::lag::{LATE_NS, Lag, Moment};
pub use crate::sim::request_log::{Asked, RequestLog};
use crate::stage::clock::Clock;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use futures_sink::Sink;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What the venue rooms use of axum, so that the package has one door.
pub mod web {
    pub use axum::Router;
    pub use axum::body::{Body, Bytes, to_bytes};
    pub use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
    pub use axum::extract::{FromRequestParts, Path, Query, RawQuery, Request, State};
    pub use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, header};
    pub use axum::middleware::{Next, from_fn, from_fn_with_state};
    pub use axum::response::{IntoResponse, Response};
    pub use axum::routing::{any, delete, get, patch, post};
}

/// Hands a message to a socket that keeps it until [`flush`], or until it holds 128 KiB: many
/// frames leave in one write, and in one TLS record where they fit.
///
/// # Errors
/// When the peer is gone.
pub async fn feed(socket: &mut web::WebSocket, message: web::Message) -> Result<(), axum::Error> {
    let mut socket = Pin::new(socket);
    std::future::poll_fn(|context| socket.as_mut().poll_ready(context)).await?;
    socket.start_send(message)
}

/// Sends what was fed.
///
/// # Errors
/// When the peer is gone.
pub async fn flush(socket: &mut web::WebSocket) -> Result<(), axum::Error> {
    let mut socket = Pin::new(socket);
    std::future::poll_fn(|context| socket.as_mut().poll_flush(context)).await
}

/// What the venue rooms use of tokio, so that the package has one door.
pub mod rt {
    pub use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    pub use tokio::net::TcpListener;
    pub use tokio::select;
    pub use tokio::spawn;
    pub use tokio::sync::{Notify, broadcast, mpsc};
    pub use tokio::task::JoinHandle;
    pub use tokio::time::{Duration, Instant, interval, sleep, sleep_until, timeout};
}

/// Longest request body read, bytes. The longest real one, a signed batch, is under 64 KiB.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Handshaken connections waiting to be served. Larger only costs memory.
const ACCEPTED_MAX: usize = 64;
/// A handshake that takes longer is dropped.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Called under the exchange's lock with what has just happened, in order; answers when it wants to
/// be called next even if nothing happens.
pub type Press = Box<dyn Fn(&Exchange, Moment, &[Happening]) -> Nanos + Send + Sync>;

/// Moments played before connections get their turn. More only makes them wait longer.
const STEPS_MAX: usize = 256;

/// What the floor's lock guards.
struct Stage {
    exchange: Exchange,
    press_due: Nanos,
    lag: Lag,
}

/// One venue's exchange and everyone who watches it.
pub struct Floor {
    stage: Mutex<Stage>,
    press: OnceLock<Press>,
    faults: OnceLock<Arc<Faults>>,
    clock: Clock,
    log: Option<RequestLog>,
    due_changed: Notify,
    stopping: AtomicBool,
    stop: Notify,
}

impl Floor {
    /// Opens the floor; nothing moves until [`pump`] runs.
    pub fn new(exchange: Exchange, log: Option<RequestLog>) -> Arc<Floor> {
        Arc::new(Floor {
            stage: Mutex::new(Stage {
                exchange,
                press_due: Nanos(u64::MAX),
                lag: Lag::default(),
            }),
            press: OnceLock::new(),
            faults: OnceLock::new(),
            clock: Clock::new(),
            log,
            due_changed: Notify::new(),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
        })
    }

    /// Has `press` write up what happens, under the lock. Once per floor; a second press is refused
    /// by silence.
    pub fn set_press(&self, press: Press) {
        let _ = self.press.set(press);
    }

    /// Has connections of this floor go wrong by these faults. Once per floor, before it is served.
    pub fn set_faults(&self, faults: Arc<Faults>) {
        let _ = self.faults.set(faults);
    }

    /// The faults, where some were asked for.
    pub fn faults(&self) -> Option<&Arc<Faults>> {
        self.faults.get()
    }

    /// The status with which an upgrade is refused at the moment.
    pub fn refused(&self) -> Option<StatusCode> {
        let status = self.faults()?.refused(self.now())?;
        StatusCode::from_u16(status).ok()
    }

    /// The status with which a connection for orders or the account is refused at the moment.
    pub fn refused_private(&self) -> Option<u16> {
        self.faults()?.refused_private(self.now())
    }

    /// Now, on this floor's clock.
    pub fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Locks the exchange, lets it come to this moment, runs `f`, has written up what happened and
    /// wakes the pump, since what is due next may have changed.
    pub fn act<T>(&self, f: impl FnOnce(&mut Exchange, Nanos, &mut Vec<Happening>) -> T) -> T {
        let mut out = Vec::new();
        let mut stage = self.lock();
        // Read under the lock, so that the exchange never sees time step back.
        let now = self.clock.now();
        while self.step(&mut stage, now, &mut out).is_some() {}
        let answer = f(&mut stage.exchange, now, &mut out);
        self.write_up(&mut stage, now, &mut out);
        drop(stage);
        self.due_changed.notify_one();
        answer
    }

    /// Plays what is due up to `until`, each moment by itself, but not for long; tells when it must
    /// be called again.
    pub fn play(&self, until: Nanos) -> Nanos {
        let mut out = Vec::new();
        let mut stage = self.lock();
        for _ in 0..STEPS_MAX {
            let Some(due) = self.step(&mut stage, until, &mut out) else {
                break;
            };
            let behind_ns = self.clock.now().since(due);
            stage.lag.note(behind_ns);
        }
        stage.exchange.next_due().min(stage.press_due)
    }

    /// The first moment due up to `until`, and what happens at it.
    fn step(&self, stage: &mut Stage, until: Nanos, out: &mut Vec<Happening>) -> Option<Nanos> {
        let due = stage.exchange.next_due().min(stage.press_due);
        if due > until {
            return None;
        }
        stage.exchange.advance(due, out);
        self.write_up(stage, due, out);
        Some(due)
    }

    /// Lets faults of orders have their moment, and hands the press what happened up to `at`.
    fn write_up(&self, stage: &mut Stage, at: Nanos, out: &mut Vec<Happening>) {
        if let Some(faults) = self.faults() {
            faults.visit(at, &mut stage.exchange, out);
        }
        let moment = Moment {
            at,
            now: self.clock.now(),
        };
        if let Some(press) = self.press.get() {
            stage.press_due = press(&stage.exchange, moment, out);
        }
        out.clear();
    }

    /// How far this venue was behind its schedule, since its pump began.
    pub fn lag(&self) -> Lag {
        self.lock().lag
    }

    /// Locks the exchange and looks at it. A subscription taken inside is in step with it.
    pub fn look<T>(&self, f: impl FnOnce(&Exchange) -> T) -> T {
        f(&self.lock().exchange)
    }

    /// Writes one request to the log, where there is one.
    pub fn log_request(&self, asked: &Asked<'_>) {
        if let Some(log) = &self.log {
            log.write(self.now(), asked);
        }
    }

    /// Asks pump and servers of this floor to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_one();
        self.due_changed.notify_one();
    }

    /// Returns once [`Floor::stop`] was called. For one waiter.
    pub async fn stopped(&self) {
        while !self.stopping.load(Ordering::Acquire) {
            self.stop.notified().await;
        }
    }

    /// Every way to the exchange goes through here.
    fn lock(&self) -> MutexGuard<'_, Stage> {
        // A panic in a connection's task must not take the venue down with it.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets time pass: sleeps until the exchange or its press is next due, plays, and again, until
/// stopped.
pub async fn pump(floor: Arc<Floor>) {
    // What came due while the venue was being set up is nobody's lag: nobody was there to see it.
    let opened = floor.now();
    while floor.play(opened) <= opened {}
    floor.lock().lag = Lag::default();
    while !floor.stopping.load(Ordering::Acquire) {
        let wait_ns = floor.play(floor.now()).since(floor.now());
        // A pump that is always late must still let the clients run.
        if wait_ns == 0 {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_nanos(wait_ns)) => {}
            () = floor.due_changed.notified() => {}
        }
    }
}

/// Adds the log to a router: every request of it, upgrades included, is written as received.
pub fn logged(router: axum::Router, floor: Arc<Floor>) -> axum::Router {
    if floor.log.is_none() {
        return router;
    }
    router.layer(axum::middleware::from_fn_with_state(floor, log_then_serve))
}

/// Reads the whole body to write it, then hands the same bytes on. The upgrade of a WebSocket
/// travels in the parts and survives this.
async fn log_then_serve(State(floor): State<Arc<Floor>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX)
        .await
        .unwrap_or_default();
    let is_upgrade = parts.headers.contains_key("upgrade");
    floor.log_request(&Asked {
        kind: if is_upgrade { "ws" } else { "http" },
        method: parts.method.as_str(),
        path: &parts.uri.to_string(),
        headers: &parts.headers,
        body: &body,
    });
    next.run(Request::from_parts(parts, body.into())).await
}

/// Serves `router` on `listener` until the runtime ends: TLS when a configuration is given, plain
/// otherwise. Handshakes run in tasks of their own.
pub async fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>, router: axum::Router) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let (accepted, ready) = mpsc::channel(ACCEPTED_MAX);
    let door = tokio::spawn(accept(listener, tls, accepted));
    let listener = Handshaken { ready, address };
    let service = router.into_make_service_with_connect_info::<Fuse>();
    let _ = axum::serve(listener, service).await;
    door.abort();
}

/// Runs one venue on a thread and runtime of its own until its floor is stopped.
///
/// # Errors
/// [`SimError::Thread`] when the system gives no thread, runtime or poller.
pub fn run_venue(name: &str, venue: Running) -> Result<std::thread::JoinHandle<()>, SimError> {
    let refused = |error: std::io::Error| SimError::Thread(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(refused)?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(venue.listener).map_err(refused)?
    };
    let router = venue.router;
    let body = move || {
        runtime.block_on(async {
            tokio::select! {
                () = serve(listener, venue.tls, router) => {}
                () = pump(Arc::clone(&venue.floor)) => {}
                () = venue.floor.stopped() => {}
            }
        });
        // Open sockets close with their tasks; nothing is waited for.
        runtime.shutdown_background();
    };
    let builder = std::thread::Builder::new().name(name.into());
    builder.spawn(body).map_err(refused)
}

/// What one venue's thread needs.
pub struct Running {
    /// Bound, and set non-blocking.
    pub listener: std::net::TcpListener,
    /// TLS, or plain.
    pub tls: Option<Arc<ServerConfig>>,
    /// The venue's paths, [`logged`] already.
    pub router: axum::Router,
    /// Its floor.
    pub floor: Arc<Floor>,
}

/// A connection that may be served, and where it comes from.
type Accepted = (Fused<Stream>, SocketAddr);

/// Takes connections for ever. The handshake is in a task of its own, because a client that says
/// half a hello would otherwise keep every other client out.
async fn accept(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    accepted: mpsc::Sender<Accepted>,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    loop {
        let Ok((socket, peer)) = listener.accept().await else {
            // Out of descriptors, most likely: give others time to close theirs.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = socket.set_nodelay(true);
        let accepted = accepted.clone();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let stream = match acceptor {
                None => Stream::Plain(socket),
                Some(acceptor) => {
                    let handshake = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(socket));
                    match handshake.await {
                        Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
                        Ok(Err(_)) | Err(_) => return,
                    }
                }
            };
            let _ = accepted.send((Fused::new(stream), peer)).await;
        });
    }
}

/// Connections that have finished their handshake, as axum's listener.
struct Handshaken {
    ready: mpsc::Receiver<Accepted>,
    address: SocketAddr,
}

impl axum::serve::Listener for Handshaken {
    type Io = Fused<Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Accepted {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The door task is gone, which means the runtime is ending.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Every request is told which fuse its connection has.
impl Connected<axum::serve::IncomingStream<'_, Handshaken>> for Fuse {
    fn connect_info(stream: axum::serve::IncomingStream<'_, Handshaken>) -> Fuse {
        stream.io().fuse()
    }
}

/// The fuse of a request's connection; one that holds nothing where no connection is known.
pub fn fuse_of(extensions: &axum::http::Extensions) -> Fuse {
    let known = extensions.get::<ConnectInfo<Fuse>>();
    known.map_or_else(Fuse::default, |ConnectInfo(fuse)| fuse.clone())
}

/// A client's bytes, with or without TLS.
pub enum Stream {
    /// As they come.
    Plain(TcpStream),
    /// Through rustls.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
