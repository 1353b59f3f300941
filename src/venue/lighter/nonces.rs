//! Asking the venue for a key's next nonce, over an HTTP lane of the gateway's own.
//!
//! A send that nobody answered leaves its nonce unknown; the key rests until `nextNonce` has told
//! what comes next (source *nonces*). One question at a time: keys are few and doubts are rare.
//! Promises: an answer is taken only for the key that was asked about.
//! Refuses: guessing a nonce.

use super::keyring::Keyring;
use super::wire::Json;
use crate::market::units::{Nanos, SECOND};
use crate::venue::{Lane, OutKind, Outbox};

/// The lane within the gateway: HTTP, on the REST host.
pub const REST_LANE: Lane = 2;
/// A question unanswered for this long is asked again. Larger: a key rests longer after a loss.
const ANSWER_NS_MAX: u64 = 5 * SECOND;
/// Rest after an answer that held no nonce, a refusal most likely: REST requests are weighed and
/// counted by the minute (source *limits*), and asking faster makes the next refusal.
const REFUSED_REST_NS: u64 = 5 * SECOND;

/// The question that is open, and the constant text of every question.
pub struct NonceDesk {
    head: Box<[u8]>,
    tail: Box<[u8]>,
    is_up: bool,
    asked: Option<(u8, Nanos)>,
    /// No question before this.
    rest_until: Nanos,
}

impl NonceDesk {
    /// For a REST origin such as `https://mainnet.zklighter.elliot.ai` (a path below it is kept).
    pub fn new(rest_url: &str, account_index: u64) -> NonceDesk {
        let rest = rest_url
            .split_once("://")
            .map_or(rest_url, |(_, rest)| rest);
        let rest = rest.trim_end_matches('/');
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let head =
            format!("GET {path}/api/v1/nextNonce?account_index={account_index}&api_key_index=");
        let tail = format!(
            " HTTP/1.1\r\nHost: {host}\r\nUser-Agent: parallax/{}\r\n\
             Accept: application/json\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        );
        NonceDesk {
            head: head.into_bytes().into_boxed_slice(),
            tail: tail.into_bytes().into_boxed_slice(),
            is_up: false,
            asked: None,
            rest_until: Nanos::ZERO,
        }
    }

    /// The lane went up or down; an open question is lost with it.
    pub fn on_link(&mut self, up: bool) {
        self.is_up = up;
        self.asked = None;
    }

    /// Asks for the first key that waits, if any does.
    pub fn on_beat(&mut self, keys: &Keyring, now: Nanos, out: &mut Outbox) {
        if let Some((_, since)) = self.asked {
            if now.since(since) < ANSWER_NS_MAX {
                return;
            }
            self.asked = None;
            out.reconnect(REST_LANE);
            return;
        }
        let may_ask = self.is_up && now >= self.rest_until;
        let Some(slot) = keys.nonce_wanted().filter(|_| may_ask) else {
            return;
        };
        let (head, tail) = (&self.head, &self.tail);
        out.message(REST_LANE, OutKind::Http, |text| {
            text.put(head).put_integer(u64::from(slot)).put(tail);
        });
        self.asked = Some((slot, now));
    }

    /// The answer. One without a nonce is asked again after a rest.
    pub fn on_answer(&mut self, root: Json, keys: &mut Keyring, now: Nanos) {
        let nonce = root.field("nonce").and_then(Json::integer);
        match (self.asked.take(), nonce) {
            (Some((slot, _)), Some(nonce)) => keys.set_nonce(slot, nonce),
            (Some(_) | None, _) => self.rest_until = now.plus(REFUSED_REST_NS),
        }
    }
}
