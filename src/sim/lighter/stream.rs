//! Lighter's WebSocket `/stream`: greeting, subscriptions, transactions, keepalive.
//!
//! Promises: frames of a channel follow its snapshot without gap or repetition; a reader that does
//! not keep up is cut, as is a client that says nothing for two minutes. Refuses a second
//! subscription to the same channel (30003), as the venue does.

use super::board::{Frame, Opened};
use super::channel::{self, Topic};
use super::codes::{self, Refusal};
use super::desk::Desk;
use super::submit;
use super::transaction::CREATE_ORDER;
use crate::sim::faults;
use crate::sim::faults::orders::Ending;
use crate::sim::faults::tap::Act;
use crate::sim::server::rt::{self, Duration, Instant, broadcast};
use crate::sim::server::web::{Extensions, HeaderMap, IntoResponse, Message, Response, State};
use crate::sim::server::web::{Router, Utf8Bytes, WebSocket, WebSocketUpgrade, get};
use crate::sim::server::{Asked, feed, flush, fuse_of};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A write that takes longer means that the client does not read: it is cut.
const WRITE_SECONDS_MAX: u64 = 5;
/// The venue pings now and then; the period is ours.
const PING_SECONDS: u64 = 60;

/// The stream's route.
pub fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/stream", get(upgrade))
        .with_state(desk)
}

/// Upgrades a request. What it will carry is not known yet, so a refusal is for all.
async fn upgrade(
    State(desk): State<Arc<Desk>>,
    extensions: Extensions,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Some(status) = desk.floor.refused() {
        return status.into_response();
    }
    if let Some(status) = desk.floor.refused_private() {
        return faults::request::page(status, None);
    }
    let tap = faults::lighter::Line::open(&desk.floor, fuse_of(&extensions));
    upgrade.on_upgrade(move |socket| Session::run(desk, socket, tap))
}

/// One connection.
struct Session {
    desk: Arc<Desk>,
    socket: WebSocket,
    /// Channel, as frames spell it, to the last sequence its snapshot covers.
    subscribed: HashMap<Arc<str>, u64>,
    /// Where the venue has faults.
    tap: Option<faults::lighter::Line>,
}

/// The connection is over; why does not matter any more.
struct Over;

impl Session {
    async fn run(desk: Arc<Desk>, socket: WebSocket, tap: Option<faults::lighter::Line>) {
        let frames = desk.board.listen();
        let mut session = Session {
            desk,
            socket,
            subscribed: HashMap::new(),
            tap,
        };
        let _ = session.live(frames).await;
        for channel in session.subscribed.keys() {
            session.desk.board.close(channel);
        }
    }

    /// One loop for everything, so that what the client sees has one order. Frames go first only by
    /// chance of readiness; a snapshot and its updates cannot cross, because both come through
    /// here.
    async fn live(&mut self, mut frames: broadcast::Receiver<Arc<Frame>>) -> Result<(), Over> {
        let hello = json!({"session_id": session_id(), "type": "connected"});
        self.say(hello.to_string()).await?;
        let idle = Duration::from_secs(self.desk.options.idle_seconds);
        let mut heard = Instant::now();
        let mut ping = rt::interval(Duration::from_secs(PING_SECONDS));
        ping.tick().await;
        loop {
            rt::select! {
                frame = frames.recv() => match frame {
                    Ok(frame) => self.pass(frame, &mut frames).await?,
                    // Too slow to follow, or the venue is closing.
                    Err(_) => return self.hang_up().await,
                },
                message = self.socket.recv() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.hear(&text).await?,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                        // Pongs are sent by the WebSocket library itself.
                        Some(Ok(_)) => {}
                    }
                },
                acts = due(&mut self.tap) => self.act(acts).await?,
                _ = ping.tick() => self.say(r#"{"type":"ping"}"#).await?,
                () = rt::sleep_until(heard + idle) => return self.hang_up().await,
            }
        }
    }

    /// Tells the client politely; whether it still reads does not matter.
    async fn hang_up(&mut self) -> Result<(), Over> {
        let _ = self.write(Message::Close(None)).await;
        Err(Over)
    }

    /// One text message.
    async fn say(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), Over> {
        match &mut self.tap {
            None => self.write(Message::Text(text.into())).await,
            Some(tap) => {
                let acts = tap.pass(text.into());
                self.act(acts).await
            }
        }
    }

    /// Does what the tap has done.
    async fn act(&mut self, acts: Vec<Act>) -> Result<(), Over> {
        for act in acts {
            match act {
                Act::Say(text) => self.write(Message::Text(text)).await?,
                Act::Close => return self.hang_up().await,
                Act::Drop => return Err(Over),
                Act::Hang => {
                    rt::sleep(faults::request::DEAD).await;
                    return Err(Over);
                }
            }
        }
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), Over> {
        within(self.socket.send(message)).await
    }

    /// Passes on a frame and what waits behind it, in one write. Frames that the snapshot already
    /// contains are dropped here.
    async fn pass(
        &mut self,
        first: Arc<Frame>,
        frames: &mut broadcast::Receiver<Arc<Frame>>,
    ) -> Result<(), Over> {
        let mut waiting = Some(first);
        let mut fed = false;
        while let Some(frame) = waiting {
            let after = self.subscribed.get(&frame.channel);
            if after.is_some_and(|after| frame.sequence > *after) {
                if let Some(tap) = &mut self.tap {
                    let acts = tap.show(&frame.channel, &frame.text);
                    self.act(acts).await?;
                } else {
                    let message = Message::Text(frame.text.clone());
                    within(feed(&mut self.socket, message)).await?;
                    fed = true;
                }
            }
            // A lag is found when the next frame is waited for.
            waiting = frames.try_recv().ok();
        }
        match fed {
            true => within(flush(&mut self.socket)).await,
            false => Ok(()),
        }
    }

    /// One client message. A message over the budget is answered and otherwise ignored; the socket
    /// stays open, as on the venue.
    async fn hear(&mut self, text: &str) -> Result<(), Over> {
        self.desk.floor.log_request(&Asked {
            kind: "ws",
            method: "TEXT",
            path: "/stream",
            headers: &HeaderMap::new(),
            body: text.as_bytes(),
        });
        let Ok(Value::Object(message)) = serde_json::from_str::<Value>(text) else {
            return self.refuse(&codes::WS_JSON, None).await;
        };
        let kind = message.get("type").and_then(Value::as_str);
        let kind = kind.unwrap_or_default();
        // Transactions have a budget of their own.
        if !kind.starts_with("jsonapi/")
            && let Err(refusal) = self.desk.take_message()
        {
            return self.refuse(&refusal, None).await;
        }
        match kind {
            "ping" => self.say(r#"{"type":"pong"}"#).await,
            "pong" => Ok(()),
            "subscribe" => match self.subscribe(&message) {
                Ok(snapshot) => self.say(snapshot).await,
                Err(refusal) => self.refuse(&refusal, None).await,
            },
            "unsubscribe" => match self.unsubscribe(&message) {
                Ok(answer) => self.say(answer).await,
                Err(refusal) => self.refuse(&refusal, None).await,
            },
            "jsonapi/sendtx" | "jsonapi/sendtxbatch" => {
                if let Some(tap) = &mut self.tap {
                    tap.exempt();
                }
                self.transact(kind, &message).await
            }
            _ => self.refuse(&codes::WS_TYPE, None).await,
        }
    }

    /// Carries out a transaction or a batch and answers, or has happen to it what a fault wants.
    async fn transact(&mut self, kind: &str, message: &Map<String, Value>) -> Result<(), Over> {
        let struck = self.desk.detour(|| order_market(message));
        if struck.is_none_or(|detour| detour.is_taken) {
            let answer = transact(&self.desk, kind, message);
            if struck.is_none() {
                return self.say(answer).await;
            }
        }
        let acts = match struck.map(|detour| detour.ending) {
            Some(Ending::Page(_) | Ending::Break(_)) => vec![Act::Drop],
            Some(Ending::Hang) => vec![Act::Hang],
            Some(Ending::Silence) | None => Vec::new(),
        };
        self.act(acts).await
    }

    /// Errors name neither the channel nor the request, but for the id of a transaction.
    async fn refuse(&mut self, refusal: &Refusal, id: Option<&Value>) -> Result<(), Over> {
        self.say(refusal.frame(id)).await
    }

    /// The checks in the order in which their errors were seen: the name, a repetition, the number,
    /// the token. Snapshot and subscription are taken under the lock of the exchange.
    fn subscribe(&mut self, message: &Map<String, Value>) -> Result<Utf8Bytes, Refusal> {
        let name = channel_name(message)?;
        let topic = self.topic(name)?;
        let in_frames = channel::in_frames(name);
        if self.subscribed.contains_key(in_frames.as_str()) {
            let text = format!("Already Subscribed to : {in_frames}");
            return Err(Refusal::with(400, 30003, text));
        }
        if self.subscribed.len() >= self.desk.options.subscriptions_max {
            return Err(codes::WS_SUBSCRIPTIONS);
        }
        self.authorize(topic, &in_frames, message)?;
        let desk = &self.desk;
        let Opened {
            channel,
            after,
            text,
        } = desk.floor.look(|exchange| {
            let now = desk.floor.now();
            desk.board.open(topic, name, exchange, now)
        });
        if let Some(tap) = &mut self.tap {
            tap.join(&channel);
        }
        self.subscribed.insert(channel, after);
        Ok(text)
    }

    /// Some account channels are open to everybody on the real venue, and so they are here.
    fn authorize(
        &self,
        topic: Topic,
        in_frames: &str,
        message: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        if !topic.wants_auth() {
            return Ok(());
        }
        let token = message.get("auth").and_then(Value::as_str);
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            let what = format!("auth field is required: {in_frames}");
            return Err(codes::parameter(&what));
        };
        self.desk.authenticate(token).map(|_| ())
    }

    /// Frames already on their way may still follow the answer on the real venue; here none does.
    fn unsubscribe(&mut self, message: &Map<String, Value>) -> Result<String, Refusal> {
        let name = channel_name(message)?;
        self.topic(name)?;
        let in_frames = channel::in_frames(name);
        let Some((channel, _)) = self.subscribed.remove_entry(in_frames.as_str()) else {
            let text = format!("Not Subscribed to : {in_frames}");
            return Err(Refusal::with(400, 30002, text));
        };
        self.desk.board.close(&channel);
        if let Some(tap) = &mut self.tap {
            tap.leave(&channel);
        }
        // The blanks are the venue's.
        Ok(format!(
            r#"{{"type": "unsubscribed", "channel": "{in_frames}"}}"#
        ))
    }

    /// Reads the name against the markets there are.
    fn topic(&self, name: &str) -> Result<Topic, Refusal> {
        let account = self.desk.credentials.account_index;
        self.desk.floor.look(|exchange| {
            let exists = |market: u32| {
                let mut all = exchange.rules().iter();
                all.any(|rules| rules.venue_market == market)
            };
            channel::parse(name, account, exists)
        })
    }
}

/// Bounded in time, or a client that stopped reading would hold its frames for ever.
async fn within<E>(sending: impl Future<Output = Result<(), E>>) -> Result<(), Over> {
    let patience = Duration::from_secs(WRITE_SECONDS_MAX);
    match rt::timeout(patience, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Over),
    }
}

/// What the tap does of its own accord; for ever where there is none.
async fn due(tap: &mut Option<faults::lighter::Line>) -> Vec<Act> {
    match tap {
        Some(tap) => tap.due().await,
        None => std::future::pending().await,
    }
}

/// Every request about a channel must name it as text.
fn channel_name(message: &Map<String, Value>) -> Result<&str, Refusal> {
    let name = message.get("channel").and_then(Value::as_str);
    name.ok_or(codes::WS_DATA)
}

/// The market number of the order that a message brings, if it brings one that can be read.
fn order_market(message: &Map<String, Value>) -> Option<Option<u64>> {
    let data = message.get("data")?;
    let is_order = data.get("tx_type").and_then(Value::as_u64) == Some(CREATE_ORDER);
    // A batch is taken for one that brings some order.
    if !is_order && data.get("tx_types").is_none() {
        return None;
    }
    let info = data.get("tx_info");
    let market = info.map(|info| match info {
        Value::String(text) => serde_json::from_str::<Value>(text).unwrap_or_default(),
        object => object.clone(),
    });
    Some(market.and_then(|info| info["MarketIndex"].as_u64()))
}

/// Carries out a transaction or a batch and words the answer.
fn transact(desk: &Arc<Desk>, kind: &str, message: &Map<String, Value>) -> String {
    let Some(Value::Object(data)) = message.get("data") else {
        return codes::TX_INFO.frame(None);
    };
    let id = data.get("id");
    let is_batch = kind == "jsonapi/sendtxbatch";
    let sent = if is_batch {
        let text = |name: &str| data.get(name).and_then(Value::as_str);
        match (text("tx_types"), text("tx_infos")) {
            (Some(types), Some(infos)) => desk.send_batch(types, infos),
            _ => return codes::TX_INFO.frame(None),
        }
    } else {
        let tx_type = data.get("tx_type").and_then(Value::as_u64);
        match (tx_type, submit::info_text(data)) {
            (Some(tx_type), Some(info)) => desk.send(tx_type, &info),
            // As captured: where the data can't be read, the id is lost too.
            _ => return codes::TX_INFO.frame(None),
        }
    };
    match sent {
        Ok(receipt) => {
            let mut answer = receipt.body(is_batch);
            answer["type"] = kind.into();
            if let Some(id) = id {
                answer["id"] = id.clone();
            }
            answer.to_string()
        }
        Err(refusal) => refusal.frame(id),
    }
}

/// A session's name in the form of a UUID; nothing depends on it.
fn session_id() -> String {
    static SESSIONS: AtomicU64 = AtomicU64::new(1);
    let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
    format!("00000000-0000-4000-8000-{number:012x}")
}
