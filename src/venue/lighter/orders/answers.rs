//! Answers of the order connection: what they mean for the key and for the order.
//!
//! Promises: the two are settled apart, because an answer may come after the key was given up, and
//! because a refused cancel says nothing about the order it was for: it may have traded in full.
//! Refuses: to take code 200 for more than "queued, nonce spent".

use super::super::keyring::{CODE_ACCEPTED, CODE_EXISTS, CODES_SERVER, Name, Purpose, Unanswered};
use super::super::ledger::{Lost, Spent};
use super::super::pulse::closing_at;
use super::super::wire::{self, Json, Kind};
use super::{Desk, push};
use crate::market::event::FrameKind;
use crate::market::order::{OrderId, OrderState, ReportKind};
use crate::market::units::Nanos;
use crate::venue::{Outbox, Reports};

/// The market's status does not allow it (source *codes*).
const CODE_MARKET_STATUS: u32 = 21_605;
/// WebSocket-level refusals. With the id of a transaction they are its refusal, unread; without
/// one they are about something else.
const CODES_WEBSOCKET: std::ops::RangeInclusive<u32> = 30_000..=30_099;

impl Desk {
    /// One message of the order connection.
    pub(super) fn on_answer(
        &mut self,
        root: Json,
        now: Nanos,
        reports: &mut Reports,
        out: &mut Outbox,
    ) -> FrameKind {
        let (kind, _) = wire::classify(root);
        if kind == Kind::Shutdown {
            self.closing = Some(closing_at(root, now));
            return FrameKind::Control;
        }
        if self.pulse.take(kind, now, out) {
            if kind == Kind::Connected {
                (self.cut_at, self.is_closed) = (None, false);
            }
            return FrameKind::Control;
        }
        if kind != Kind::Answer && kind != Kind::Error {
            return FrameKind::Unknown;
        }
        let (Some(code), _) = wire::refusal(root) else {
            return FrameKind::Malformed;
        };
        let left = root.field("volume_quota_remaining").and_then(Json::integer);
        if let (CODE_ACCEPTED, Some(left)) = (code, left) {
            self.quota.hear_volume(left, now);
        }
        self.quota.hear_refusal(code, now);
        // A market that takes no orders is how a maintenance begins, and trying each of them would
        // only use up the tries of whoever has a leg there.
        self.is_closed |= code == CODE_MARKET_STATUS;
        let Some(name) = self.answered(root, code) else {
            return FrameKind::Control;
        };
        self.in_flight = self.in_flight.saturating_sub(1);
        self.settle(name, code, now, reports);
        FrameKind::Control
    }

    /// Whose answer a message is, and to what: by the request's id. A refusal without one (the
    /// venue could not read it) belongs to the only unanswered transaction, and to nobody when
    /// there are several: then the deadline acts.
    fn answered(&self, root: Json, code: u32) -> Option<Name> {
        let Some(text) = root.field("id").and_then(Json::text) else {
            let only = self.keys.only_unanswered()?;
            let is_his = !CODES_WEBSOCKET.contains(&code);
            return is_his.then_some(only.name);
        };
        let (purpose, numbers) = match text.as_bytes().first()? {
            b'c' => (Purpose::Cancel, &text[1..]),
            b'f' => (Purpose::Fence, &text[1..]),
            b'd' => (Purpose::Switch, &text[1..]),
            _ => (Purpose::Place, text),
        };
        let (id, count) = numbers.split_once('.').unwrap_or((numbers, "0"));
        let (id, count) = (OrderId(wire::digits(id)?), wire::digits(count)?);
        Some(Name { purpose, id, count })
    }

    /// The key first: what its nonce was spent on may settle other orders too.
    fn settle(&mut self, name: Name, code: u32, now: Nanos, reports: &mut Reports) {
        let answered = self.keys.settle(name, code);
        let Name { purpose, id, .. } = name;
        if purpose == Purpose::Place {
            self.settle_order(id, code, now, reports);
        }
        if code != CODE_ACCEPTED {
            if let Some((key_idx, answered)) = answered.filter(|_| is_no_verdict(code)) {
                self.lose(key_idx, &answered);
            }
            return;
        }
        if purpose == Purpose::Fence
            && let Some(entry) = self.ledger.find(id)
        {
            entry.spent = Spent::Other;
        }
        match (purpose, answered) {
            // Whoever has that nonce too can never be accepted now.
            (_, Some((key_idx, answered))) => {
                self.disprove(id, purpose, (key_idx, answered.nonce), (now, reports));
                if purpose == Purpose::Switch {
                    self.switch.accepted(answered.t_sent);
                }
            }
            (Purpose::Place | Purpose::Fence, None) => self.settle_late(id, purpose, now, reports),
            (Purpose::Cancel | Purpose::Switch, None) => {}
        }
    }

    /// An acceptance after its key was given up. The ledger knows the nonce, and a fence has that
    /// of its order.
    #[cold]
    fn settle_late(&mut self, id: OrderId, purpose: Purpose, now: Nanos, reports: &mut Reports) {
        if let Some(entry) = self.ledger.find(id) {
            let spent = (entry.key_idx, entry.nonce);
            self.keys.spent(spent.0, spent.1);
            self.disprove(id, purpose, spent, (now, reports));
        }
    }

    /// What an answer means for the order. The account stream may have spoken first; then a late
    /// acknowledgement does not take the order's end back. That an order of this name exists is no
    /// refusal: it is looked up.
    fn settle_order(&mut self, id: OrderId, code: u32, now: Nanos, reports: &mut Reports) {
        let Some(entry) = self.ledger.find(id) else {
            return;
        };
        let is_open = matches!(entry.state, OrderState::Sent | OrderState::Unknown);
        let kind = if code == CODE_ACCEPTED {
            if is_open {
                entry.state = OrderState::Working;
            }
            entry.spent = Spent::Own;
            ReportKind::Acknowledged
        } else if is_no_verdict(code) {
            if is_open {
                entry.state = OrderState::Unknown;
            }
            ReportKind::State {
                state: entry.state,
                filled: entry.filled,
            }
        } else {
            if is_open {
                entry.state = OrderState::Rejected;
            }
            ReportKind::Rejected { code }
        };
        let instrument = entry.instrument;
        push(reports, now, instrument, id, kind);
        if code == CODE_EXISTS {
            self.look_up(id, instrument);
        }
    }

    /// Remembers a transaction of which nobody knows whether the venue took it.
    pub(super) fn lose(&mut self, key_idx: usize, unanswered: &Unanswered) {
        self.ledger.lose(Lost {
            signed: (key_idx, unanswered.nonce),
            hash: unanswered.hash,
        });
    }

    /// The venue took a nonce with `id` that an Unknown order of the same key was signed with too:
    /// that order can never be accepted. This is how a lost send is settled by the venue's own
    /// word.
    pub(super) fn disprove(
        &mut self,
        id: OrderId,
        purpose: Purpose,
        spent: (usize, u64),
        (now, reports): (Nanos, &mut Reports),
    ) {
        for entry in self.ledger.entries() {
            // What accepted a fence or a cancel has disproved the very order it names.
            let is_own = purpose == Purpose::Place && entry.id == id;
            let is_rival = (entry.key_idx, entry.nonce) == spent && !is_own;
            if is_rival && entry.state == OrderState::Unknown && entry.spent != Spent::Own {
                entry.state = OrderState::Cancelled;
                let kind = ReportKind::State {
                    state: OrderState::Cancelled,
                    filled: entry.filled,
                };
                push(reports, now, entry.instrument, entry.id, kind);
            }
        }
    }
}

/// An answer after which the transaction may have been taken or not.
fn is_no_verdict(code: u32) -> bool {
    code == CODE_EXISTS || CODES_SERVER.contains(&code)
}
