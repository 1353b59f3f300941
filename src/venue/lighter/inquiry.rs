//! Asking the venue over REST, on an HTTP lane of the gateway's own: a key's next nonce, what
//! became of an order, whether anybody is there.
//!
//! One question at a time: keys are few and doubts are rare. Nonces go first, as a key without one
//! is dead. Promises: an answer is taken only for the question that is open; an answer that is a
//! refusal, a page or half of one is never taken for more than that, and the next question waits,
//! longer each time. Refuses: guessing.
//!
//! Source: *rest*, *nonces*, *limits* in the venue's Sources.

use super::keyring::Keyring;
use super::quota::Quota;
use super::wire::Json;
use crate::market::InstrumentId;
use crate::market::order::OrderId;
use crate::market::units::{Nanos, SECOND};
use crate::venue::{Batch, Lane, OutKind, Outbox, Text};

/// The lane within the gateway: HTTP, on the REST host.
pub const REST_LANE: Lane = 2;
/// A question unanswered for this long is asked again. Larger: a key rests longer after a loss.
const ANSWER_NS_MAX: u64 = 5 * SECOND;
/// First rest after an answer that was none; it doubles. REST requests are weighed and counted by
/// the minute, and asking faster makes the next refusal.
const REFUSED_REST_NS: u64 = 5 * SECOND;
/// The same after 403, 405 and 429, as for dials.
const BLOCKED_REST_NS: u64 = 10 * SECOND;
/// Longest rest: the firewall blocks an address for about a minute (a third party's report), and so
/// long is the window of the limits.
const REFUSED_REST_NS_MAX: u64 = 60 * SECOND;
/// How often it is asked whether the venue is there, while the order connection is down.
const PROBE_EVERY_NS: u64 = 5 * SECOND;
/// Orders in doubt at once; what is more is dropped, and the scanner's time-out asks again.
const DOUBTS_MAX: usize = 64;
/// The venue's number for every market: a break leaves orders of many in doubt, and a list of each
/// would spend a minute's requests in a second.
pub const ALL_MARKETS: u64 = 255;
/// Rows of a page of closed orders: the venue's most. Fewer: a busy minute may push ours off it.
pub const PAGE_ROWS: usize = 100;

/// An order that somebody asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Its name.
    pub id: OrderId,
    /// Where.
    pub instrument: InstrumentId,
    /// The same in the venue's number; [`ALL_MARKETS`] once it was looked for beside others.
    pub venue_market: u64,
    /// Name of the transaction to ask about; zeros when it was not sent by this run.
    pub hash: [u8; 40],
    /// Where to look next.
    pub step: Step,
}

impl Doubt {
    /// It is looked for in a list, and not by name.
    fn is_in_list(&self) -> bool {
        matches!(self.step, Step::Active | Step::Closed)
    }
}

/// Where an order is looked for, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Among the active ones.
    Active,
    /// Among the closed ones.
    Closed,
    /// By its transaction.
    Transaction,
    /// By the transactions that may have taken its place.
    Rival,
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The next nonce of this slot.
    Nonce(u8),
    /// What became of an order.
    Order(Doubt),
    /// The account's last trades.
    Trades,
    /// Whether the venue is open.
    Probe,
}

/// What an answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Read it for this question.
    To(Question),
    /// The venue is closed, or what stands in front of it says so (HTTP 5xx).
    Closed,
    /// Nothing.
    Nothing,
}

/// What the desk knows when it may ask.
pub struct Ask<'a> {
    /// Which keys wait.
    pub keys: &'a Keyring,
    /// For the account's own lists; without it they are not asked.
    pub token: Option<&'a [u8]>,
    /// Budget.
    pub quota: &'a mut Quota,
    /// The order connection is down: ask whether anybody is there.
    pub is_cut: bool,
    /// Now.
    pub now: Nanos,
}

/// The question that is open, those that wait, and the constant text of all.
pub struct Inquiry {
    account_index: u64,
    path: Box<[u8]>,
    tail: Box<[u8]>,
    is_up: bool,
    asked: Option<(Question, Nanos)>,
    doubts: Batch<Doubt>,
    wants_trades: bool,
    /// They were asked for in vain: an order in doubt comes first, once.
    trades_yield: bool,
    probed: Nanos,
    /// No question before this, and how long the last rest was.
    rest_until: Nanos,
    rest_ns: u64,
    /// What the answer that is about to be read says of the next request.
    stated_ns: Option<u64>,
    /// A firewall's doing.
    is_blocked: bool,
}

impl Inquiry {
    /// For a REST origin such as `https://mainnet.zklighter.elliot.ai` (a path below it is kept).
    pub fn new(rest_url: &str, account_index: u64) -> Inquiry {
        let rest = rest_url
            .split_once("://")
            .map_or(rest_url, |(_, rest)| rest);
        let rest = rest.trim_end_matches('/');
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let tail = format!(
            " HTTP/1.1\r\nHost: {host}\r\nUser-Agent: parallax/{}\r\n\
             Accept: application/json\r\n",
            env!("CARGO_PKG_VERSION")
        );
        Inquiry {
            account_index,
            path: format!("GET {path}/").into_bytes().into_boxed_slice(),
            tail: tail.into_bytes().into_boxed_slice(),
            is_up: false,
            asked: None,
            doubts: Batch::new(DOUBTS_MAX),
            wants_trades: false,
            trades_yield: false,
            probed: Nanos::ZERO,
            rest_until: Nanos::ZERO,
            rest_ns: 0,
            stated_ns: None,
            is_blocked: false,
        }
    }

    /// The lane went up or down; an open question is lost with it, and that about an order waits
    /// again.
    pub fn on_link(&mut self, up: bool) {
        self.is_up = up;
        if let Some((question, _)) = self.asked.take() {
            self.want_again(question);
        }
    }

    /// Trades may have been made while nobody listened.
    pub fn want_trades(&mut self) {
        self.wants_trades = true;
    }

    /// A question that found no answer; that for a nonce comes again of its own accord.
    pub fn want_again(&mut self, question: Question) {
        match question {
            Question::Order(doubt) => self.want(doubt),
            Question::Trades => {
                self.want_trades();
                self.trades_yield = true;
            }
            Question::Probe => self.probed = Nanos::ZERO,
            Question::Nonce(_) => {}
        }
    }

    /// The answer that follows at once says in how many seconds a request is welcome.
    pub fn on_retry_after(&mut self, seconds: u32) {
        self.stated_ns = Some(u64::from(seconds) * SECOND);
    }

    /// Somebody wants to know about an order. Once is enough.
    pub fn want(&mut self, doubt: Doubt) {
        let is_it = |other: &Doubt| other.id == doubt.id;
        let is_open = matches!(self.asked, Some((Question::Order(open), _)) if is_it(&open));
        if !is_open && !self.doubts.items().iter().any(is_it) {
            self.doubts.push(doubt);
        }
    }

    /// A doubt that waits for the very list that `like` was looked for in, taken out: a page that
    /// has come speaks of every order of its market, or of all.
    pub fn take_alike(&mut self, like: &Doubt) -> Option<Doubt> {
        let is_alike = |other: &Doubt| {
            let is_there = [ALL_MARKETS, other.venue_market].contains(&like.venue_market);
            like.is_in_list() && other.step == like.step && is_there
        };
        let at = self.doubts.items().iter().position(is_alike)?;
        let found = self.doubts.items()[at];
        self.doubts.items_mut()[at..].rotate_left(1);
        self.doubts.truncate(self.doubts.items().len() - 1);
        Some(found)
    }

    /// Asks what waits, if anything does and may.
    pub fn on_beat(&mut self, ask: &mut Ask<'_>, out: &mut Outbox) {
        if let Some((_, since)) = self.asked {
            if ask.now.since(since) >= ANSWER_NS_MAX {
                // The lane's end puts the question back.
                out.reconnect(REST_LANE);
                self.on_link(false);
            }
            return;
        }
        if !self.is_up || ask.now < self.rest_until {
            return;
        }
        let Some(question) = self.next(ask) else {
            return;
        };
        let sent = out.message(REST_LANE, OutKind::Http, |text| {
            text.put(&self.path);
            put_query(text, question, self.account_index);
            text.put(&self.tail);
            let is_own = matches!(question, Question::Order(_) | Question::Trades);
            if let Some(token) = ask.token.filter(|_| is_own) {
                text.put(b"Authorization: ").put(token).put(b"\r\n");
            }
            text.put(b"\r\n");
        });
        if sent {
            ask.quota.asked(ask.now);
            self.asked = Some((question, ask.now));
        } else {
            self.want_again(question);
        }
    }

    fn next(&mut self, ask: &mut Ask<'_>) -> Option<Question> {
        let wanted = ask.keys.nonce_wanted();
        if let Some(slot) = wanted.filter(|_| ask.quota.may_ask(true, ask.now)) {
            return Some(Question::Nonce(slot));
        }
        let has_more = ask.quota.may_ask(false, ask.now);
        // A venue that has opened unasked keeps legs standing: half as often out of the reserve.
        let pause_ns = if has_more {
            PROBE_EVERY_NS
        } else {
            2 * PROBE_EVERY_NS
        };
        let is_due = ask.is_cut && ask.now.since(self.probed) >= pause_ns;
        if is_due && ask.quota.may_ask(true, ask.now) {
            self.probed = ask.now;
            return Some(Question::Probe);
        }
        ask.token?;
        // One answer tells every fill of a break: legs stand on it, as orders do on a nonce.
        let yields = std::mem::take(&mut self.trades_yield) && !self.doubts.items().is_empty();
        if self.wants_trades && !(has_more && yields) && ask.quota.may_ask(true, ask.now) {
            self.wants_trades = false;
            return Some(Question::Trades);
        }
        if !has_more {
            return None;
        }
        let mut first = *self.doubts.items().first()?;
        self.doubts.items_mut().rotate_left(1);
        self.doubts.truncate(self.doubts.items().len() - 1);
        let is_elsewhere = |other: &Doubt| {
            first.is_in_list()
                && other.step == first.step
                && other.venue_market != first.venue_market
        };
        if self.doubts.items().iter().any(is_elsewhere) {
            first.venue_market = ALL_MARKETS;
        }
        Some(Question::Order(first))
    }

    /// The answer to the open question, by its HTTP status and whether its body could be read at
    /// all. Refusals, and pages of whatever stands in front of the venue, are no answers: the
    /// question waits again.
    pub fn on_answer(&mut self, status: u16, is_json: bool, now: Nanos) -> Answered {
        let stated_ns = self.stated_ns.take();
        let Some((question, _)) = self.asked.take() else {
            return Answered::Nothing;
        };
        // A transaction that is not known is told with 400 and a code.
        let by_name = |doubt: Doubt| matches!(doubt.step, Step::Transaction | Step::Rival);
        let is_lookup = matches!(question, Question::Order(doubt) if by_name(doubt));
        let is_answer = status == 200 || (is_lookup && matches!(status, 400 | 404));
        if is_answer && is_json {
            return Answered::To(question);
        }
        self.want_again(question);
        self.refuse(matches!(status, 403 | 405 | 429), now);
        // What the venue states counts, where it does.
        if let Some(stated_ns) = stated_ns.filter(|stated_ns| *stated_ns > 0) {
            self.rest_ns = stated_ns.min(REFUSED_REST_NS_MAX);
            self.rest_until = now.plus(self.rest_ns);
        }
        if (500..=599).contains(&status) {
            Answered::Closed
        } else {
            Answered::Nothing
        }
    }

    /// An answer could be used.
    pub fn accept(&mut self) {
        self.rest_ns = 0;
    }

    /// An answer could not be used: the next question waits.
    pub fn refuse(&mut self, is_blocked: bool, now: Nanos) {
        let least = match is_blocked {
            true => BLOCKED_REST_NS,
            false => REFUSED_REST_NS,
        };
        // A firewall and a venue that is closed are two things: neither makes the other's rest
        // longer.
        if std::mem::replace(&mut self.is_blocked, is_blocked) != is_blocked {
            self.rest_ns = 0;
        }
        self.rest_ns = (2 * self.rest_ns).clamp(least, REFUSED_REST_NS_MAX);
        self.rest_until = now.plus(self.rest_ns);
    }
}

/// Path and query of a question.
fn put_query(text: &mut Text<'_>, question: Question, account_index: u64) {
    let head: &[u8] = match question {
        Question::Probe => return,
        Question::Nonce(_) => b"api/v1/nextNonce?account_index=",
        Question::Trades => b"api/v1/trades?sort_by=timestamp&limit=100&account_index=",
        Question::Order(doubt) => match doubt.step {
            Step::Active => b"api/v1/accountActiveOrders?account_index=",
            Step::Closed => b"api/v1/accountInactiveOrders?account_index=",
            Step::Transaction | Step::Rival => {
                text.put(b"api/v1/tx?by=hash&value=");
                return put_hex(text, &doubt.hash);
            }
        },
    };
    text.put(head).put_integer(account_index);
    match question {
        Question::Nonce(slot) => {
            text.put(b"&api_key_index=").put_integer(u64::from(slot));
        }
        Question::Order(doubt) => {
            // The list of closed ones is of all markets where none is named; of the other the
            // number is documented.
            if doubt.step == Step::Active || doubt.venue_market != ALL_MARKETS {
                text.put(b"&market_id=").put_integer(doubt.venue_market);
            }
            if doubt.step == Step::Closed {
                text.put(b"&limit=").put_integer(PAGE_ROWS as u64);
            }
        }
        Question::Probe | Question::Trades => {}
    }
}

fn put_hex(text: &mut Text<'_>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        let pair = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
        text.put(&pair);
    }
}

/// Whether a probe's answer is that of an open venue: `GET /` gives `status` 200 in its body.
pub fn is_open(root: Json) -> bool {
    root.field("status").and_then(Json::integer) == Some(200)
}
