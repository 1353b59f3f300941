//! How Extended's frames bear faults: what a frame is about, how a book resumes, how it crosses.
//!
//! Promises: what is hushed is hushed before it is numbered, so `seq` shows no hole; after a
//! freeze the first frame is a full SNAPSHOT, and changes it already contains are not told again.

use crate::market::InstrumentId;
use crate::market::units::{Nanos, Price, Size};
use crate::sim::extended::frame::{Frame, Kind, Topic};
use crate::sim::extended::{Desk, wire};
use crate::sim::faults::fuse::Fuse;
use crate::sim::faults::kind::Channel;
use crate::sim::faults::tap::{Act, Tap, Verdict};
use crate::sim::faults::{Told, Watched, crossing_bid};
use serde_json::{Value, json};
use std::sync::Arc;

/// The tap of one connection, v1 or v2.
pub struct Line {
    tap: Tap,
    desk: Arc<Desk>,
    /// Books resumed by a snapshot, and until when its moment covers frames still on their way.
    covered: Vec<(InstrumentId, Nanos)>,
}

impl Line {
    /// A tap for a new connection, where the venue has faults.
    pub fn open(desk: &Arc<Desk>, fuse: Fuse) -> Option<Line> {
        Some(Line {
            tap: Tap::new(desk.floor.faults()?, fuse),
            desk: Arc::clone(desk),
            covered: Vec::new(),
        })
    }

    /// Subscribed to a topic.
    pub fn join(&mut self, topic: Topic) {
        if topic == Topic::Account {
            return self.tap.exempt();
        }
        let Some((channel, of)) = watched(topic) else {
            return;
        };
        self.tap.join((channel, of));
        if channel == Channel::Book {
            let is_other = |market: InstrumentId| of.is_some_and(|of| of != market);
            self.covered.retain(|(market, _)| is_other(*market));
        }
    }

    /// Unsubscribed from a topic.
    pub fn leave(&mut self, topic: Topic) {
        if let Some(watched) = watched(topic) {
            self.tap.leave(watched);
        }
    }

    /// Passes one frame of a topic; `number` writes it with the connection's next number.
    pub fn show(
        &mut self,
        topic: Topic,
        frame: &Frame,
        number: impl FnOnce(&Frame) -> String,
    ) -> Vec<Act> {
        if topic == Topic::Account {
            return self
                .tap
                .tell_account(self.desk.floor.now(), number(frame).into());
        }
        let Some(told) = self.told(topic, frame) else {
            return self.tap.pass(number(frame).into());
        };
        match self.admit(told, frame) {
            Some(frame) => {
                let text = number(&frame).into();
                self.tap.strike(told, text)
            }
            None => Vec::new(),
        }
    }

    /// Passes an answer.
    pub fn pass(&mut self, text: String) -> Vec<Act> {
        self.tap.pass(text.into())
    }

    /// Waits for what the tap does of its own accord. May be dropped and called again.
    pub async fn due(&mut self) -> Vec<Act> {
        self.tap.due().await
    }

    /// The frame to be told; `None` when it is hushed.
    fn admit(&mut self, told: Told, frame: &Frame) -> Option<Frame> {
        let Told { market, .. } = told;
        if told.channel == Channel::Book && self.is_covered(market, frame.at) {
            return None;
        }
        match self.tap.judge(frame.at, told) {
            Verdict::Pass => Some(frame.clone()),
            Verdict::Hush | Verdict::Freeze => None,
            Verdict::Thaw if frame.kind == Kind::Snapshot => Some(frame.clone()),
            Verdict::Thaw => {
                let snapshot = self.desk.snapshot(market)?;
                self.covered.push((market, snapshot.at));
                Some(snapshot)
            }
            Verdict::Cross => {
                let crossed = self.crossed(told, frame);
                if crossed.is_some() {
                    self.tap.crossed();
                }
                crossed.or_else(|| Some(frame.clone()))
            }
        }
    }

    /// Whether a snapshot told before already contains the frame.
    fn is_covered(&mut self, market: InstrumentId, at: Nanos) -> bool {
        self.covered
            .retain(|(other, until)| *other != market || at <= *until);
        self.covered.iter().any(|(other, _)| *other == market)
    }

    /// What a frame is about; on a line of all markets its own text says whose it is.
    fn told(&self, topic: Topic, frame: &Frame) -> Option<Told> {
        let (channel, of) = watched(topic)?;
        let market = match of {
            Some(market) => market,
            None => {
                let (_, rest) = frame.data.split_once("\"m\":\"")?;
                let (name, _) = rest.split_once('"')?;
                self.desk.listing(name)?.rules.instrument
            }
        };
        Some(Told {
            channel,
            market,
            is_shared: of.is_none(),
            is_snapshot: frame.kind == Kind::Snapshot,
        })
    }

    /// The frame with a bid beyond the best ask: one level more in a book, the whole side of a top.
    fn crossed(&self, told: Told, frame: &Frame) -> Option<Frame> {
        let (price, size) = crossing_bid(&self.desk.floor, told.market)?;
        let places = self.desk.market(told.market).qty_places;
        let data = match told.channel {
            Channel::Touch => touch_with(&frame.data, price, wire::padded(size.0, places))?,
            _ => book_with(&frame.data, (price, size), places)?,
        };
        Some(Frame {
            data: data.into(),
            ..frame.clone()
        })
    }
}

/// What of a topic can be struck.
fn watched(topic: Topic) -> Option<Watched> {
    match topic {
        Topic::Book(of) => Some((Channel::Book, of)),
        Topic::Touch(of) => Some((Channel::Touch, of)),
        Topic::Trades(of) => Some((Channel::Trades, of)),
        Topic::Mark(_) | Topic::Index(_) | Topic::Funding(_) | Topic::Account => None,
    }
}

/// One bid more in front of the others. It was not there before, so the change is the size.
fn book_with(data: &str, (price, size): (Price, Size), places: u32) -> Option<String> {
    let (before, after) = data.split_once("\"b\":[")?;
    let comma = if after.starts_with(']') { "" } else { "," };
    let price = wire::padded(price.0, 0);
    let size = wire::padded(size.0, places);
    Some(format!(
        "{before}\"b\":[{{\"q\":\"{size}\",\"p\":\"{price}\",\"c\":\"{size}\"}}{comma}{after}"
    ))
}

/// The top with this bid in place of its own.
fn touch_with(data: &str, price: Price, size: String) -> Option<String> {
    let mut data: Value = serde_json::from_str(data).ok()?;
    data["b"] = json!([{"q": size, "p": wire::padded(price.0, 0)}]);
    Some(data.to_string())
}
