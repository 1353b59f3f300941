//! Stream v2: JSON-RPC shaped text on one WebSocket, many topics. [SDK clients.streamrpc, CAP]
//!
//! Promises: `seq` from 0, one counter over all topics of the connection, replies not counted;
//! subscribing to a topic again replaces it and gives a new snapshot. Refuses (-32602) selectors
//! it does not know; the account topic without the account's key is -32001.

use crate::market::units::Nanos;
use crate::sim::extended::Desk;
use crate::sim::extended::frame::{Frame, Topic};
use crate::sim::extended::reply::Reply;
use crate::sim::extended::rest::to_response;
use crate::sim::extended::stream::{Gone, Heard, Line, greet, log_text};
use crate::sim::faults;
use crate::sim::server::fuse_of;
use crate::sim::server::rt::{self, mpsc};
use crate::sim::server::web::{self, IntoResponse, WebSocketUpgrade};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Frames waiting between a topic and the line. A full queue makes the topic wait, which then
/// lags and ends the line.
const QUEUED_MAX: usize = 256;
/// Topics one connection may hold. Open: the venue's limit is not documented.
const TOPICS_MAX: usize = 1_024;

/// An error code and what it is about.
type Fault = (i32, &'static str);
const PARSE: Fault = (-32700, "Parse error");
const INVALID: Fault = (-32600, "Invalid request");
const METHOD: Fault = (-32601, "Method not found");
const PARAMS: Fault = (-32602, "Invalid params");
const UNAUTHORIZED: Fault = (-32001, "Unauthorized");

/// Upgrades a request on the RPC path.
pub async fn upgrade(
    web::State(desk): web::State<Arc<Desk>>,
    (headers, extensions): (web::HeaderMap, web::Extensions),
    upgrade: WebSocketUpgrade,
) -> web::Response {
    if let Err(refusal) = greet(&headers) {
        return to_response(Reply::from(refusal));
    }
    if let Some(status) = desk.floor.refused() {
        return status.into_response();
    }
    let tap = faults::extended::Line::open(&desk, fuse_of(&extensions));
    upgrade.on_upgrade(async move |socket| {
        let mut session = Session::new(desk);
        let _ = session.run(Line::new(socket, tap)).await;
        session.drop_all();
    })
}

/// One subscription: a task carries its frames to the line's queue. `turn` tells its frames from
/// those of a subscription of the same name that it replaced.
struct Subscription {
    topic: Topic,
    /// When its opening frames were written.
    opened: Nanos,
    turn: u64,
    carrier: rt::JoinHandle<()>,
}

/// What a carrier hands over; `None` when its topic lagged.
struct Parcel {
    name: Arc<str>,
    turn: u64,
    frame: Option<Frame>,
}

/// One connection: its subscriptions, the queue their frames come by, and the one sequence.
struct Session {
    desk: Arc<Desk>,
    subscriptions: BTreeMap<Arc<str>, Subscription>,
    parcels: mpsc::Receiver<Parcel>,
    post: mpsc::Sender<Parcel>,
    turns: u64,
    sequence: u64,
}

/// What to do after a reply: send these frames of a new subscription.
struct Opening {
    name: Arc<str>,
    frames: Vec<Frame>,
}

impl Session {
    /// The session keeps a sender, so that the queue never closes while it runs.
    fn new(desk: Arc<Desk>) -> Session {
        let (post, parcels) = mpsc::channel(QUEUED_MAX);
        Session {
            desk,
            subscriptions: BTreeMap::new(),
            parcels,
            post,
            turns: 0,
            sequence: 0,
        }
    }

    /// One thing at a time: a frame goes out, or a request is answered. A topic's opening frames
    /// follow its reply at once, before anything that came meanwhile.
    async fn run(&mut self, mut line: Line) -> Result<(), Gone> {
        loop {
            rt::select! {
                parcel = self.parcels.recv() => {
                    let parcel = parcel.ok_or(Gone)?;
                    let current = self.subscriptions.get(&parcel.name);
                    let Some(current) = current.filter(|current| current.turn == parcel.turn) else {
                        continue;
                    };
                    let (topic, frame) = (current.topic, parcel.frame.ok_or(Gone)?);
                    // What was held back for others is part of the opening.
                    if topic == Topic::Account && frame.at < current.opened {
                        continue;
                    }
                    let number = |frame: &Frame| self.number(&parcel.name, frame);
                    line.show(topic, &frame, number).await?;
                    line.flush().await?;
                }
                heard = line.hear() => match heard? {
                    Heard::Text(text) => self.reply(&mut line, &text).await?,
                    Heard::Acts(acts) => line.act(acts).await?,
                },
            }
        }
    }

    /// Answers a request, and shows what a subscription opens with.
    async fn reply(&mut self, line: &mut Line, text: &str) -> Result<(), Gone> {
        log_text(&self.desk, text);
        let (reply, opening) = self.answer(line, text);
        line.send(reply.to_string()).await?;
        if let Some(opening) = opening {
            for frame in &opening.frames {
                line.send(self.number(&opening.name, frame)).await?;
            }
        }
        Ok(())
    }

    /// Writes a frame with the connection's next number.
    fn number(&mut self, name: &str, frame: &Frame) -> String {
        let text = frame.v2_text(self.sequence, name);
        self.sequence += 1;
        text
    }

    /// Every reply but a fault repeats the method and says OK. [CAP rpc2.response.*]
    fn answer(&mut self, line: &mut Line, text: &str) -> (Value, Option<Opening>) {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return (fault(&Value::Null, PARSE), None);
        };
        let id = &request["id"];
        let Some(method) = request["method"].as_str() else {
            return (fault(id, INVALID), None);
        };
        let result = match method {
            "ping" => Ok((json!({}), None)),
            "list-subscriptions" => {
                let names: Vec<&str> = self.subscriptions.keys().map(AsRef::as_ref).collect();
                Ok((json!({"subscriptions": names}), None))
            }
            "subscribe" => self.subscribe(line, &request["params"]),
            "unsubscribe" => self.unsubscribe(line, &request["params"]),
            _ => Err(METHOD),
        };
        match result {
            Ok((mut result, opening)) => {
                result["method"] = method.into();
                result["status"] = "OK".into();
                (
                    json!({"id": id, "result": result, "jsonrpc": "2.0"}),
                    opening,
                )
            }
            Err(why) => (fault(id, why), None),
        }
    }

    /// The opening frames and the receiver come from one look at the exchange. What an older
    /// subscription of the same name still has in the queue is told by its turn and dropped.
    fn subscribe(
        &mut self,
        line: &mut Line,
        params: &Value,
    ) -> Result<(Value, Option<Opening>), Fault> {
        let (topic, name) = self.topic_of(params)?;
        let name: Arc<str> = name.into();
        if self.subscriptions.len() >= TOPICS_MAX && !self.subscriptions.contains_key(&name) {
            return Err(PARAMS);
        }
        let (frames, mut coming) = self.desk.join(topic);
        let opened = frames.first().map_or(Nanos(0), |frame| frame.at);
        line.join(topic);
        self.turns += 1;
        let turn = self.turns;
        let post = self.post.clone();
        let label = Arc::clone(&name);
        let carrier = rt::spawn(async move {
            loop {
                let frame = coming.recv().await.ok();
                let ended = frame.is_none();
                let name = Arc::clone(&label);
                let sent = post.send(Parcel { name, turn, frame }).await;
                if ended || sent.is_err() {
                    return;
                }
            }
        });
        let subscription = Subscription {
            topic,
            opened,
            turn,
            carrier,
        };
        if let Some(old) = self.subscriptions.insert(Arc::clone(&name), subscription) {
            old.carrier.abort();
        }
        let result = json!({"subscription": &*name});
        Ok((result, Some(Opening { name, frames })))
    }

    /// Params as for subscribing; a topic that is not held is -32602.
    fn unsubscribe(
        &mut self,
        line: &mut Line,
        params: &Value,
    ) -> Result<(Value, Option<Opening>), Fault> {
        let (topic, name) = self.topic_of(params)?;
        let old = self.subscriptions.remove(name.as_str()).ok_or(PARAMS)?;
        old.carrier.abort();
        line.leave(topic);
        Ok((json!({"subscription": name}), None))
    }

    /// The topic and the id the venue gives it. [SDK subscription_params]
    fn topic_of(&self, params: &Value) -> Result<(Topic, String), Fault> {
        let scope = params["scope"].as_str().ok_or(PARAMS)?;
        let selector = &params["selector"];
        let (instrument, label) = match &selector["market"] {
            Value::Null => (None, "all"),
            Value::String(name) => {
                let listing = self.desk.listing(name).ok_or(PARAMS)?;
                (Some(listing.rules.instrument), name.as_str())
            }
            _ => return Err(PARAMS),
        };
        match scope {
            "orderbooks" => {
                // No market here is an RFQ market, so that selector finds nothing.
                if selector["rfqOnly"].as_bool().unwrap_or(false) {
                    return Err(PARAMS);
                }
                match selector["depth"].as_str().unwrap_or("full") {
                    "full" => Ok((Topic::Book(instrument), format!("orderbooks.{label}"))),
                    "1" => Ok((Topic::Touch(instrument), format!("orderbooks.1.{label}"))),
                    _ => Err(PARAMS),
                }
            }
            "trades" => Ok((Topic::Trades(instrument), format!("trades.{label}"))),
            "funding-rates" => Ok((Topic::Funding(instrument), format!("funding-rates.{label}"))),
            "prices" => match selector["type"].as_str() {
                Some("mark") => Ok((Topic::Mark(instrument), format!("prices.mark.{label}"))),
                Some("index") => Ok((Topic::Index(instrument), format!("prices.index.{label}"))),
                Some(_) | None => Err(PARAMS),
            },
            "account" => self.account_topic(params),
            _ => Err(PARAMS),
        }
    }

    /// The key comes with the subscription, not with the upgrade.
    fn account_topic(&self, params: &Value) -> Result<(Topic, String), Fault> {
        let key = params["apiKey"].as_str();
        self.desk.check_key(key).map_err(|_| UNAUTHORIZED)?;
        let account = match &params["selector"]["account"] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(PARAMS),
        };
        // Open: what the member holds is not documented; the account id is assumed.
        if account != self.desk.keys.account_id.to_string() {
            return Err(UNAUTHORIZED);
        }
        Ok((Topic::Account, format!("account.{account}")))
    }

    /// The carriers would otherwise live as long as the venue.
    fn drop_all(&mut self) {
        for subscription in self.subscriptions.values() {
            subscription.carrier.abort();
        }
    }
}

/// A reply with an error; a request whose id can't be read is answered with a null one.
fn fault(id: &Value, (code, message): Fault) -> Value {
    json!({"id": id, "error": {"code": code, "message": message}, "jsonrpc": "2.0"})
}
