//! One connection's tap: what the client gets of what the venue says.
//!
//! A frame is judged before it is numbered, since what is hushed must leave no hole, and struck
//! afterwards, since what is lost must. Promises: faults of market data leave a connection alone
//! that carries anything private; what a strike leaves to be done later is done by [`Tap::due`].
//! Refuses to read or write frames: the venues' rooms beside this one do.

use crate::market::InstrumentId;
use crate::market::units::{Nanos, SECOND};
use crate::sim::faults::fuse::Fuse;
use crate::sim::faults::kind::{Channel, Kind};
use crate::sim::faults::{Faults, Strike, Told, Watched};
use crate::sim::server::rt::{self, Duration, Instant, broadcast};
use crate::sim::server::web::Utf8Bytes;
use std::sync::Arc;

/// A slow reader's frames are held back this long.
const HELD: Duration = Duration::from_secs(3);
/// What a shutdown notice announces, milliseconds.
const CLOSE_IN_MS: u64 = 5_000;
/// The notice. Source: Lighter's WebSocket reference, planned shutdowns.
const NOTICE: &str = r#"{"type":"shutdown","close_in_ms":5000}"#;
/// Where no snapshot comes, a market's silence on a line of all markets ends with the minute.
const SILENT_NS: u64 = 60 * SECOND;

/// What is to be done with a frame before it is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it is.
    Pass,
    /// It is not told, as if it had never been.
    Hush,
    /// It is not told now; what it changes is told later.
    Freeze,
    /// The first of its market after frozen ones: it must tell what they did not.
    Thaw,
    /// It tells one level more, [`Tap::crossed`] when it does.
    Cross,
}

/// What is to be done with the connection, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Send this text.
    Say(Utf8Bytes),
    /// Close politely.
    Close,
    /// Let go of the connection without a word.
    Drop,
    /// Keep the connection, and neither read nor write on it any more.
    Hang,
}

/// A connection whose frames are held back.
struct Slow {
    until: Instant,
    held: Vec<Act>,
}

/// One connection's tap.
pub struct Tap {
    faults: Arc<Faults>,
    fuse: Fuse,
    line: u64,
    notices: broadcast::Receiver<()>,
    /// It carries, or may carry, what is the client's own.
    is_private: bool,
    /// What says nothing more, and since when.
    silenced: Vec<(InstrumentId, Channel, Nanos)>,
    /// Books with frames that are still to be told.
    frozen: Vec<InstrumentId>,
    /// Takes hold of the frame that was judged last.
    strike: Option<Strike>,
    /// Waits for the next of its kind, to come after it.
    swapped: Option<(Told, Utf8Bytes)>,
    slow: Option<Slow>,
    closes_at: Option<Instant>,
}

impl Tap {
    /// The tap of a new connection, whose bytes run over `fuse`.
    pub fn new(faults: &Arc<Faults>, fuse: Fuse) -> Tap {
        Tap {
            line: faults.open(),
            notices: faults.notices.subscribe(),
            faults: Arc::clone(faults),
            fuse,
            is_private: false,
            silenced: Vec::new(),
            frozen: Vec::new(),
            strike: None,
            swapped: None,
            slow: None,
            closes_at: None,
        }
    }

    /// The faults of its venue.
    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Subscribed, anew perhaps: it starts with a snapshot, so silence and debts are over.
    pub fn join(&mut self, (channel, of): Watched) {
        if self.is_private {
            return;
        }
        self.faults.join(self.line, (channel, of));
        let is_other = |market: InstrumentId| of.is_some_and(|of| of != market);
        self.silenced
            .retain(|(market, silent, _)| *silent != channel || is_other(*market));
        if channel == Channel::Book {
            self.frozen.retain(|market| is_other(*market));
        }
    }

    /// Unsubscribed.
    pub fn leave(&mut self, watched: Watched) {
        self.faults.leave(self.line, watched);
    }

    /// From now on the connection carries what is the client's own: it is left alone.
    pub fn exempt(&mut self) {
        self.is_private = true;
        self.faults.close(self.line);
    }

    /// Judges a frame before it is numbered.
    pub fn judge(&mut self, now: Nanos, told: Told) -> Verdict {
        if self.is_private {
            return Verdict::Pass;
        }
        if self.is_silenced(now, told) {
            return Verdict::Hush;
        }
        let is_owed = told.channel == Channel::Book && self.frozen.contains(&told.market);
        let is_busy = self.swapped.is_some() || self.slow.is_some() || self.closes_at.is_some();
        let sight = self.faults.judge(now, told, !is_owed && !is_busy);
        if sight.is_frozen {
            if told.channel == Channel::Book && !is_owed {
                self.frozen.push(told.market);
            }
            return Verdict::Freeze;
        }
        if is_owed {
            self.frozen.retain(|market| *market != told.market);
            return Verdict::Thaw;
        }
        match sight.strike.map(|strike| strike.kind) {
            Some(Kind::Silent) => {
                for channel in [Channel::Book, Channel::Touch, Channel::Trades] {
                    self.silenced.push((told.market, channel, now));
                }
                Verdict::Hush
            }
            Some(Kind::Crossed) => Verdict::Cross,
            _ => {
                self.strike = sight.strike;
                Verdict::Pass
            }
        }
    }

    /// Whether the frame falls into a silence, which on a line of all markets ends with the
    /// market's next snapshot, or with the minute where none comes.
    fn is_silenced(&mut self, now: Nanos, told: Told) -> bool {
        let is_it = |entry: &(InstrumentId, Channel, Nanos)| {
            entry.0 == told.market && entry.1 == told.channel
        };
        let Some(idx) = self.silenced.iter().position(is_it) else {
            return false;
        };
        let is_over = told.is_shared
            && match told.channel {
                Channel::Book => told.is_snapshot,
                Channel::Touch | Channel::Trades => now.since(self.silenced[idx].2) >= SILENT_NS,
            };
        if is_over {
            self.silenced.remove(idx);
        }
        !is_over
    }

    /// A crossing level was told.
    pub fn crossed(&self) {
        self.faults.count(Kind::Crossed);
    }

    /// Strikes the frame that was judged last, numbered and written by now.
    pub fn strike(&mut self, told: Told, text: Utf8Bytes) -> Vec<Act> {
        let acts = match self.strike.take() {
            None => self.swap_back(told, text),
            Some(Strike { kind, draw }) => self.bend(kind, draw, (told, text)),
        };
        self.hold(acts)
    }

    /// Any other text: an answer, a ping, a frame of another channel.
    pub fn pass(&mut self, text: Utf8Bytes) -> Vec<Act> {
        self.hold(vec![Act::Say(text)])
    }

    /// A frame of the account, whose connection may be struck with it.
    pub fn tell_account(&mut self, now: Nanos, text: Utf8Bytes) -> Vec<Act> {
        match self.faults.strike_account(now) {
            None => self.pass(text),
            Some(Strike {
                kind: Kind::HalfOpen,
                ..
            }) => vec![Act::Hang],
            // Every other time the frame is the last that gets through.
            Some(Strike { draw, .. }) if draw & 1 == 1 => vec![Act::Say(text), Act::Drop],
            Some(_) => vec![Act::Drop],
        }
    }

    /// Says a frame, and behind it the one that waited for it.
    fn swap_back(&mut self, told: Told, text: Utf8Bytes) -> Vec<Act> {
        let mut acts = vec![Act::Say(text)];
        let fits = |held: &mut (Told, Utf8Bytes)| {
            (held.0.channel, held.0.market) == (told.channel, told.market)
        };
        if let Some((_, held)) = self.swapped.take_if(fits) {
            acts.push(Act::Say(held));
            self.faults.count(Kind::Reorder);
        }
        acts
    }

    /// What a kind does to its frame.
    fn bend(&mut self, kind: Kind, draw: u64, (told, text): (Told, Utf8Bytes)) -> Vec<Act> {
        match kind {
            Kind::Gap => Vec::new(),
            Kind::Reorder => {
                self.swapped = Some((told, text));
                Vec::new()
            }
            Kind::Duplicate => vec![Act::Say(text.clone()), Act::Say(text)],
            Kind::Cut => vec![Act::Say(half(&text))],
            Kind::Disconnect => {
                // At least one byte of the frame, and never all: its header is not counted.
                self.fuse.set(1 + draw % text.len().max(1) as u64);
                vec![Act::Say(text), Act::Drop]
            }
            Kind::Slow => {
                let until = Instant::now() + HELD;
                let held = Vec::new();
                self.slow = Some(Slow { until, held });
                vec![Act::Say(text)]
            }
            Kind::Refuse | Kind::Refuse429 | Kind::Refuse403 | Kind::Refuse405 => vec![Act::Drop],
            // The others are done elsewhere.
            _ => vec![Act::Say(text)],
        }
    }

    /// On a slow connection nothing leaves before its time.
    fn hold(&mut self, acts: Vec<Act>) -> Vec<Act> {
        match &mut self.slow {
            Some(slow) => {
                slow.held.extend(acts);
                Vec::new()
            }
            None => acts,
        }
    }

    /// Waits for what the tap does of its own accord. May be dropped and called again.
    pub async fn due(&mut self) -> Vec<Act> {
        loop {
            let slow = self.slow.as_ref().map(|slow| slow.until);
            let deadline = slow.into_iter().chain(self.closes_at).min();
            rt::select! {
                // Lagging, which is not seen with notices this rare, only loses a notice.
                notice = self.notices.recv() => if notice.is_ok() && self.is_told_of_shutdown() {
                    return self.pass(NOTICE.into());
                },
                () = until(deadline) => return self.expire(),
            }
        }
    }

    /// A notice goes to every connection with market data, once.
    fn is_told_of_shutdown(&mut self) -> bool {
        let is_told =
            !self.is_private && self.closes_at.is_none() && self.faults.watches(self.line);
        if is_told {
            self.closes_at = Some(Instant::now() + Duration::from_millis(CLOSE_IN_MS));
        }
        is_told
    }

    /// The time of a slow or closing connection is over.
    fn expire(&mut self) -> Vec<Act> {
        match self.slow.take() {
            Some(mut slow) => {
                slow.held.push(Act::Drop);
                slow.held
            }
            None => vec![Act::Close],
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.faults.close(self.line);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => rt::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The first half of a text, cut between characters.
fn half(text: &str) -> Utf8Bytes {
    text[..text.floor_char_boundary(text.len() / 2)].into()
}
