//! Stream v1: one WebSocket a topic, chosen by the path; and the line both streams speak through.
//!
//! Promises: `seq` from 1 and by one; a Ping every 15 s, and the line is dropped when no Pong
//! comes within 10 s; a client that reads too slowly is dropped, never waited for.

use crate::market::units::Nanos;
use crate::sim::extended::Desk;
use crate::sim::extended::frame::{Frame, Topic};
use crate::sim::extended::reply::{Code, Refusal, Reply, error_envelope};
use crate::sim::extended::rest::{Query, to_response};
use crate::sim::faults;
use crate::sim::faults::tap::Act;
use crate::sim::server::web::{self, IntoResponse, Message, WebSocket, WebSocketUpgrade};
use crate::sim::server::{Asked, feed, flush, fuse_of, rt};
use std::sync::Arc;

/// The server's Ping. [DOC Public WebSocket streams]
const PING_EVERY: rt::Duration = rt::Duration::from_secs(15);
/// The Pong must come within this. [DOC Public WebSocket streams]
const PONG_WITHIN: rt::Duration = rt::Duration::from_secs(10);
/// One frame may take this long to leave; a peer that blocks longer is dropped.
const SEND_WITHIN: rt::Duration = rt::Duration::from_secs(10);

/// The peer is gone or must go.
#[derive(Clone, Copy, Debug)]
pub struct Gone;

/// A WebSocket with the venue's heartbeat.
pub struct Line {
    socket: WebSocket,
    ping_at: rt::Instant,
    pong_by: Option<rt::Instant>,
    tap: Option<faults::extended::Line>,
}

/// What ends a wait on a line.
pub enum Heard {
    /// The peer said this.
    Text(String),
    /// The tap has this done.
    Acts(Vec<Act>),
}

impl Line {
    /// Takes over an upgraded socket, with a tap where the venue has faults.
    pub fn new(socket: WebSocket, tap: Option<faults::extended::Line>) -> Line {
        Line {
            socket,
            ping_at: rt::Instant::now() + PING_EVERY,
            pong_by: None,
            tap,
        }
    }

    /// Sends one text.
    ///
    /// # Errors
    /// [`Gone`] when the peer closed or does not read.
    pub async fn send(&mut self, text: String) -> Result<(), Gone> {
        match &mut self.tap {
            None => self.push(Message::Text(text.into())).await,
            Some(tap) => {
                let acts = tap.pass(text);
                self.act(acts).await
            }
        }
    }

    /// Takes one frame of a topic, to be sent by [`Line::flush`], which `number` writes with the
    /// connection's next number.
    ///
    /// # Errors
    /// [`Gone`] when the peer closed or does not read, or a fault ends the line.
    pub async fn show(
        &mut self,
        topic: Topic,
        frame: &Frame,
        number: impl FnOnce(&Frame) -> String,
    ) -> Result<(), Gone> {
        match &mut self.tap {
            None => self.keep(number(frame)).await,
            Some(tap) => {
                let acts = tap.show(topic, frame, number);
                self.act(acts).await
            }
        }
    }

    /// Does what a tap has done.
    ///
    /// # Errors
    /// As [`Line::show`].
    pub async fn act(&mut self, acts: Vec<Act>) -> Result<(), Gone> {
        for act in acts {
            match act {
                Act::Say(text) => self.push(Message::Text(text)).await?,
                Act::Close => {
                    let _ = self.push(Message::Close(None)).await;
                    return Err(Gone);
                }
                Act::Drop => return Err(Gone),
                Act::Hang => {
                    rt::sleep(faults::request::DEAD).await;
                    return Err(Gone);
                }
            }
        }
        Ok(())
    }

    /// Tells the tap of a subscription.
    pub fn join(&mut self, topic: Topic) {
        if let Some(tap) = &mut self.tap {
            tap.join(topic);
        }
    }

    /// Tells the tap of the end of a subscription.
    pub fn leave(&mut self, topic: Topic) {
        if let Some(tap) = &mut self.tap {
            tap.leave(topic);
        }
    }

    /// Takes one text, to be sent with the others by [`Line::flush`].
    ///
    /// # Errors
    /// As for [`Line::send`].
    pub async fn feed(&mut self, text: String) -> Result<(), Gone> {
        match &mut self.tap {
            None => self.keep(text).await,
            Some(tap) => {
                let acts = tap.pass(text);
                self.act(acts).await
            }
        }
    }

    /// Leaves a text with the socket.
    async fn keep(&mut self, text: String) -> Result<(), Gone> {
        let fed = feed(&mut self.socket, Message::Text(text.into()));
        let fed = rt::timeout(SEND_WITHIN, fed).await;
        fed.ok().and_then(Result::ok).ok_or(Gone)
    }

    /// Sends what was fed.
    ///
    /// # Errors
    /// As for [`Line::send`].
    pub async fn flush(&mut self) -> Result<(), Gone> {
        let sent = rt::timeout(SEND_WITHIN, flush(&mut self.socket)).await;
        sent.ok().and_then(Result::ok).ok_or(Gone)
    }

    /// A peer whose window stays shut is as good as gone.
    async fn push(&mut self, message: Message) -> Result<(), Gone> {
        match rt::timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Waits for the next text of the peer or for the tap, keeping the heartbeat. May be dropped
    /// and called again.
    ///
    /// # Errors
    /// [`Gone`] when the peer closed or its Pong is overdue.
    pub async fn hear(&mut self) -> Result<Heard, Gone> {
        loop {
            let deadline = self.pong_by.unwrap_or(self.ping_at);
            rt::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => return Ok(Heard::Text(text.to_string())),
                    Some(Ok(Message::Pong(_))) => self.pong_by = None,
                    Some(Ok(Message::Ping(_) | Message::Binary(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
                },
                acts = due(&mut self.tap) => return Ok(Heard::Acts(acts)),
                () = rt::sleep_until(deadline) => {
                    if self.pong_by.is_some() {
                        return Err(Gone);
                    }
                    let now = rt::Instant::now();
                    self.ping_at = now + PING_EVERY;
                    self.pong_by = Some(now + PONG_WITHIN);
                    self.push(Message::Ping(web::Bytes::from_static(b"ping"))).await?;
                }
            }
        }
    }
}

/// What a tap does of its own accord; for ever where there is none.
async fn due(tap: &mut Option<faults::extended::Line>) -> Vec<Act> {
    match tap {
        Some(tap) => tap.due().await,
        None => std::future::pending().await,
    }
}

/// Upgrades a request on a v1 path.
pub async fn upgrade(
    web::State(desk): web::State<Arc<Desk>>,
    uri: web::Uri,
    (headers, extensions): (web::HeaderMap, web::Extensions),
    upgrade: WebSocketUpgrade,
) -> web::Response {
    let topic = greet(&headers).and_then(|()| topic_of(&desk, &uri));
    let topic = match topic {
        Ok(topic) => topic,
        Err(refusal) if refusal.code == Code::MarketNotFound => {
            // As recorded: the socket opens, says so, and ends. [CAP v1.error]
            let text = error_envelope(&refusal);
            return upgrade.on_upgrade(async move |socket| {
                let _ = Line::new(socket, None).send(text).await;
            });
        }
        Err(refusal) => return to_response(Reply::from(refusal)),
    };
    if topic == Topic::Account {
        let key = headers.get("x-api-key").and_then(|key| key.to_str().ok());
        if let Err(refusal) = desk.check_key(key) {
            return to_response(Reply::from(refusal));
        }
        if let Some(status) = desk.floor.refused_private() {
            return faults::request::page(status, None);
        }
    } else if let Some(status) = desk.floor.refused() {
        return status.into_response();
    }
    let tap = faults::extended::Line::open(&desk, fuse_of(&extensions));
    upgrade.on_upgrade(async move |socket| {
        let _ = run(desk, topic, Line::new(socket, tap)).await;
    })
}

/// User-Agent is mandatory on the upgrade too. [DOC Mandatory headers]
pub fn greet(headers: &web::HeaderMap) -> Result<(), Refusal> {
    match headers.get("user-agent") {
        Some(agent) if !agent.is_empty() => Ok(()),
        Some(_) | None => Err(Code::BadRequest.because("User-Agent header is required")),
    }
}

/// The path after `/v1/`, with or without a market. RFQ books and candles are not carried.
fn topic_of(desk: &Desk, uri: &web::Uri) -> Result<Topic, Refusal> {
    let path = uri.path();
    let path = path
        .strip_prefix("/stream.extended.exchange/v1/")
        .ok_or(Code::NotFound)?;
    let query = Query::parse(uri.query().unwrap_or(""));
    let market = |name: &str| {
        let listing = desk.listing(name).ok_or(Code::MarketNotFound)?;
        Ok::<_, Refusal>(Some(listing.rules.instrument))
    };
    let book = |one| match query.one("depth") {
        None => Ok(Topic::Book(one)),
        Some("1") => Ok(Topic::Touch(one)),
        Some(_) => Err(Code::BadRequest.because("depth")),
    };
    let steps: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match steps.as_slice() {
        ["account"] => Ok(Topic::Account),
        ["orderbooks"] => book(None),
        ["orderbooks", name] => book(market(name)?),
        ["publicTrades"] => Ok(Topic::Trades(None)),
        ["publicTrades", name] => Ok(Topic::Trades(market(name)?)),
        ["funding"] => Ok(Topic::Funding(None)),
        ["funding", name] => Ok(Topic::Funding(market(name)?)),
        ["prices", "mark"] => Ok(Topic::Mark(None)),
        ["prices", "mark", name] => Ok(Topic::Mark(market(name)?)),
        ["prices", "index"] => Ok(Topic::Index(None)),
        ["prices", "index", name] => Ok(Topic::Index(market(name)?)),
        _ => Err(Code::NotFound.into()),
    }
}

/// The opening frames, then whatever is published, until one side ends it.
async fn run(desk: Arc<Desk>, topic: Topic, mut line: Line) -> Result<(), Gone> {
    let (opening, mut frames) = desk.join(topic);
    line.join(topic);
    let opened = opening.first().map_or(Nanos(0), |frame| frame.at);
    let mut sequence = 0;
    for frame in opening {
        sequence += 1;
        line.feed(frame.v1_text(sequence)).await?;
    }
    line.flush().await?;
    loop {
        rt::select! {
            frame = frames.recv() => {
                // Lagging or the end of the venue: either way the line ends.
                let mut waiting = Some(frame.map_err(|_| Gone)?);
                while let Some(frame) = waiting {
                    // What was held back for others is part of the opening.
                    if topic == Topic::Account && frame.at < opened {
                        waiting = frames.try_recv().ok();
                        continue;
                    }
                    let number = |frame: &Frame| {
                        sequence += 1;
                        frame.v1_text(sequence)
                    };
                    line.show(topic, &frame, number).await?;
                    // What else there is goes with it; a lag is found when it is waited for.
                    waiting = frames.try_recv().ok();
                }
                line.flush().await?;
            }
            // Nothing the client says changes anything here.
            heard = line.hear() => match heard? {
                Heard::Text(text) => log_text(&desk, &text),
                Heard::Acts(acts) => line.act(acts).await?,
            },
        }
    }
}

/// Writes a text the client sent to the request log.
pub fn log_text(desk: &Desk, text: &str) {
    desk.floor.log_request(&Asked {
        kind: "ws",
        method: "TEXT",
        path: "/stream.extended.exchange",
        headers: &web::HeaderMap::new(),
        body: text.as_bytes(),
    });
}
