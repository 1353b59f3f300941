//! Orders in doubt: what a lost answer leaves open, and how the venue's own word closes it.
//!
//! Promises: an order is Unknown until it was found at the venue, or its transaction can't be
//! accepted any more (its nonce was spent on something else, or its life is over and both lists are
//! without it). Refuses: to take "not found" for "never was".
//!
//! ```text
//! sent, no answer -> Unknown, key at rest -> nextNonce
//!   still its nonce  -> fence: accepted -> Cancelled, never was; 21104 -> nextNonce again
//!   a later nonce    -> taken: the account stream tells, or a query:
//!   query            -> active list -> closed list -> transaction's verdict -> its rivals'
//! ```

use super::super::inquiry::{Answered, Doubt, PAGE_ROWS, Question, Step, is_open};
use super::super::keyring::{Name, Purpose};
use super::super::ledger::Spent;
use super::super::sink::Sink;
use super::super::wire::{self, Json};
use super::super::words::{self, OrderRow, Verdict};
use super::{Desk, push};
use crate::market::InstrumentId;
use crate::market::order::{OrderId, OrderState, Refusal, ReportKind};
use crate::market::units::{Nanos, SECOND, Size};
use crate::venue::{Outbox, Reports};

/// After this time no transaction of the past can still be accepted: its life of 599 s, and half a
/// minute for the venue's clock and its queue. Smaller: an order might come to life after it was
/// given up. Larger: a doubt that nothing else ends lasts longer.
const PAST_NS: u64 = 630 * SECOND;

/// The account stream has told a fill by then, if it tells anything. Larger: a leg stands alone for
/// longer on a stream that died without a word. Smaller: the takers' delay is taken for deafness.
const DEAF_NS: u64 = 4 * SECOND;

/// What a page of orders says about one of them.
enum Page {
    Found(OrderRow),
    /// Not there, and it would be.
    Without,
    /// Not there, but the page does not go back far enough.
    TooShort,
}

// What nobody answered.
impl Desk {
    /// Gives up the answers to what was written at `deadline` or before.
    #[cold]
    pub(super) fn abandon(&mut self, now: Nanos, deadline: Nanos, reports: &mut Reports) {
        while let Some((key_idx, unanswered)) = self.keys.give_up(deadline) {
            self.lose(key_idx, &unanswered);
            let Name { purpose, id, .. } = unanswered.name;
            if purpose != Purpose::Place {
                continue;
            }
            let entry = self.ledger.find(id);
            if let Some(entry) = entry.filter(|entry| entry.state == OrderState::Sent) {
                entry.state = OrderState::Unknown;
                let kind = ReportKind::State {
                    state: OrderState::Unknown,
                    filled: entry.filled,
                };
                push(reports, now, unanswered.instrument, id, kind);
            }
        }
    }

    /// The next nonce of a slot. Orders of this key with an earlier one are not on their way any
    /// more: the venue took one under that nonce, and if there is but one, it is that.
    pub(super) fn hear_nonce(&mut self, api_key_index: u8, nonce: u64) {
        let Some(key_idx) = self.keys.set_nonce(api_key_index, nonce) else {
            return;
        };
        for entry in self.ledger.entries() {
            let is_past = entry.key_idx == key_idx && entry.nonce < nonce;
            if is_past && entry.state == OrderState::Unknown && entry.spent == Spent::Open {
                entry.spent = Spent::Gone;
            }
        }
    }

    /// Fences what may still be accepted, and settles what cannot be.
    #[cold]
    pub(super) fn settle_doubts(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox) {
        self.send_fences(now, out);
        if let Some((winner, spent)) = self.ledger.outdone() {
            self.disprove(winner, Purpose::Place, spent, (now, reports));
        }
    }
}

// What was asked.
impl Desk {
    /// Queries: an order that is over is answered from memory, every other by the venue.
    #[cold]
    pub(super) fn answer_queries(&mut self, now: Nanos, reports: &mut Reports) {
        for (id, instrument) in self.unsent.items() {
            let why = Refusal::Busy;
            push(reports, now, *instrument, *id, ReportKind::NotSent { why });
        }
        self.unsent.clear();
        while let Some((id, instrument)) = self.asked.items().first().copied() {
            self.asked.items_mut().rotate_left(1);
            self.asked.truncate(self.asked.items().len() - 1);
            let known = self.ledger.find(id);
            let over = known.filter(|entry| entry.state.is_over());
            match over.map(|entry| (entry.filled.0 > 0).then_some(entry.t_sent)) {
                // Who asks although the end was told misses its trades.
                Some(traded) => {
                    self.is_deaf |= traded.is_some_and(|sent| self.is_owed(sent, now));
                    self.tell_state(id, instrument, now, reports);
                }
                None => self.look_up(id, instrument),
            }
        }
    }

    /// Has the venue asked about an order.
    pub(super) fn look_up(&mut self, id: OrderId, instrument: InstrumentId) {
        let grid = self.grids.get(instrument.idx()).copied().flatten();
        let Some(grid) = grid else { return };
        let hash = self.ledger.find(id).map_or([0; 40], |entry| entry.hash);
        self.inquiry.want(Doubt {
            id,
            instrument,
            venue_market: grid.venue_market,
            hash,
            step: Step::Active,
        });
    }

    /// An answer of the REST lane; `None` when it is no JSON, such as a page of whatever stands in
    /// front of the venue.
    pub(super) fn on_rest(
        &mut self,
        status: u16,
        root: Option<Json>,
        now: Nanos,
        reports: &mut Reports,
    ) {
        let answered = self.inquiry.on_answer(status, root.is_some(), now);
        let (question, root) = match (answered, root) {
            (Answered::To(question), Some(root)) => (question, root),
            // While orders can be sent, a closed front door of the REST side closes nothing.
            (Answered::Closed, _) => {
                self.is_closed |= self.cut_at.is_some();
                return;
            }
            (Answered::To(_) | Answered::Nothing, _) => return,
        };
        let is_read = match question {
            Question::Nonce(slot) => {
                let nonce = root.field("nonce").and_then(Json::integer);
                if let Some(nonce) = nonce {
                    self.hear_nonce(slot, nonce);
                }
                nonce.is_some()
            }
            Question::Probe => {
                self.is_closed &= !is_open(root);
                is_open(root)
            }
            Question::Order(doubt) => {
                let is_read = self.hear_order(doubt, root, now, reports).is_some();
                // Each of them is found, or goes on to where it is looked for next.
                while is_read && let Some(other) = self.inquiry.take_alike(&doubt) {
                    let _ = self.hear_order(other, root, now, reports);
                }
                is_read
            }
            Question::Trades => {
                let mut sink = Sink {
                    ledger: &mut self.ledger,
                    reports,
                    now,
                };
                self.stream.on_listed(root, &mut sink).is_some()
            }
        };
        if is_read {
            self.inquiry.accept();
        } else {
            self.inquiry.refuse(false, now);
            self.inquiry.want_again(question);
        }
    }

    /// What a list, or the transaction, says of an order in doubt. `None` when it can't be read.
    fn hear_order(
        &mut self,
        doubt: Doubt,
        root: Json,
        now: Nanos,
        reports: &mut Reports,
    ) -> Option<()> {
        if matches!(doubt.step, Step::Transaction | Step::Rival) {
            return self.hear_transaction(doubt, root, now, reports);
        }
        let sent = self.ledger.find(doubt.id).map(|entry| entry.t_sent);
        let page = read_page(root, doubt.id, sent)?;
        let next = match (page, doubt.step) {
            (Page::Found(row), _) => return self.found(doubt, row, now, reports),
            (Page::Without | Page::TooShort, Step::Active) => Step::Closed,
            (Page::Without, _) => {
                if self.bury(doubt, now, reports) {
                    return Some(());
                }
                Step::Transaction
            }
            (Page::TooShort, _) => Step::Transaction,
        };
        if next == Step::Transaction && doubt.hash == [0; 40] {
            self.tell_state(doubt.id, doubt.instrument, now, reports);
            return Some(());
        }
        self.inquiry.want(Doubt {
            step: next,
            ..doubt
        });
        Some(())
    }

    /// The venue lists it. What the account stream said later stays.
    fn found(
        &mut self,
        doubt: Doubt,
        row: OrderRow,
        now: Nanos,
        reports: &mut Reports,
    ) -> Option<()> {
        let (mut state, mut filled) = (row.state, row.filled);
        let sent = self.ledger.find(doubt.id).map(|entry| entry.t_sent);
        let is_owed = sent.is_some_and(|sent| self.is_owed(sent, now));
        let mut is_missing = false;
        if let Some(entry) = self.ledger.find(doubt.id) {
            entry.spent = Spent::Own;
            is_missing = is_owed && row.filled > entry.filled;
            if row.updated_us >= entry.updated_us {
                (entry.state, entry.filled) = (state, filled);
                entry.updated_us = row.updated_us;
            }
            (state, filled) = (entry.state, entry.filled);
        }
        self.is_deaf |= is_missing;
        self.ledger.strays.missing += u64::from(is_missing);
        let kind = ReportKind::State { state, filled };
        push(reports, now, doubt.instrument, doubt.id, kind);
        Some(())
    }

    /// The account stream should have told by now what became of an order that was sent then.
    fn is_owed(&self, sent: Nanos, now: Nanos) -> bool {
        now.since(sent) >= DEAF_NS && self.stream.is_up_since(sent)
    }

    /// Neither list has it. It never was if nothing of it can be accepted any more; says so then.
    fn bury(&mut self, doubt: Doubt, now: Nanos, reports: &mut Reports) -> bool {
        let is_past = |since: Nanos| now.since(since) >= PAST_NS;
        let filled = match self.ledger.find(doubt.id) {
            // An earlier run's: whatever it sent is older than this run.
            None if !self.started.is_some_and(is_past) => return false,
            None => Size::ZERO,
            Some(entry) if !is_past(entry.t_sent) => return false,
            Some(entry) => {
                entry.state = OrderState::Cancelled;
                entry.filled
            }
        };
        let state = OrderState::Cancelled;
        let kind = ReportKind::State { state, filled };
        push(reports, now, doubt.instrument, doubt.id, kind)
    }

    /// The verdict on its transaction. One that the engine refused was never an order; one that it
    /// applied will be listed; one that the venue does not know (21500) may still come, unless it
    /// knows another that has its nonce. That may be any that was lost: a fence of the order, or of
    /// another that was tried under the same nonce, or that order, or a cancel, or the switch.
    fn hear_transaction(
        &mut self,
        doubt: Doubt,
        root: Json,
        now: Nanos,
        reports: &mut Reports,
    ) -> Option<()> {
        let verdict = words::verdict(root);
        if verdict.is_none() && wire::refusal(root).0.is_none() {
            return None;
        }
        let rival = self.next_rival(&doubt);
        let entry = self.ledger.find(doubt.id);
        let is_open = |state| !matches!(state, OrderState::Filled | OrderState::Cancelled);
        let Some(entry) = entry.filter(|entry| is_open(entry.state)) else {
            self.tell_state(doubt.id, doubt.instrument, now, reports);
            return Some(());
        };
        match (doubt.step, verdict) {
            (Step::Rival, Some(_)) => {
                entry.spent = Spent::Other;
                let spent = (entry.key_idx, entry.nonce);
                self.name(doubt.hash);
                self.disprove(doubt.id, Purpose::Fence, spent, (now, reports));
                return Some(());
            }
            (_, Some(Verdict::Refused { code })) => {
                (entry.spent, entry.state) = (Spent::Own, OrderState::Rejected);
                let kind = ReportKind::Rejected { code };
                push(reports, now, doubt.instrument, doubt.id, kind);
                return Some(());
            }
            (_, Some(Verdict::Applied)) => entry.spent = Spent::Own,
            (_, None) => {
                if let Some(hash) = rival {
                    let step = Step::Rival;
                    self.inquiry.want(Doubt {
                        step,
                        hash,
                        ..doubt
                    });
                    return Some(());
                }
            }
        }
        self.tell_state(doubt.id, doubt.instrument, now, reports);
        Some(())
    }

    /// Which transaction to ask about after this one, of those that may have a lost order's nonce.
    fn next_rival(&mut self, doubt: &Doubt) -> Option<[u8; 40]> {
        let entry = *self.ledger.find(doubt.id)?;
        let is_lost = entry.state == OrderState::Unknown;
        let rival = self.ledger.rival_after(&entry, &doubt.hash);
        rival.filter(|_| is_lost)
    }

    /// The venue has named a transaction: if it is an order's, its nonce went to that.
    fn name(&mut self, hash: [u8; 40]) {
        let mut entries = self.ledger.entries();
        if let Some(entry) = entries.find(|entry| entry.hash == hash) {
            entry.spent = Spent::Own;
        }
    }

    /// What is known of an order here; Unknown when nothing is.
    fn tell_state(
        &mut self,
        id: OrderId,
        instrument: InstrumentId,
        now: Nanos,
        reports: &mut Reports,
    ) {
        let known = self.ledger.find(id);
        let (state, filled) = known.map_or((OrderState::Unknown, Size::ZERO), |entry| {
            (entry.state, entry.filled)
        });
        let kind = ReportKind::State { state, filled };
        push(reports, now, instrument, id, kind);
    }
}

/// Looks for an order on a page, newest first. A page that is not full has everything; a full one
/// reaches back to its oldest row.
fn read_page(root: Json, id: OrderId, sent: Option<Nanos>) -> Option<Page> {
    let (mut rows, mut oldest_us) = (0, u64::MAX);
    for row in root.field("orders")?.items()? {
        let row = words::order_row(row)?;
        if row.id == id {
            return Some(Page::Found(row));
        }
        rows += 1;
        oldest_us = oldest_us.min(row.updated_us);
    }
    let sent_us = sent.map_or(0, |sent| sent.0 / 1000);
    Some(if rows < PAGE_ROWS || oldest_us < sent_us {
        Page::Without
    } else {
        Page::TooShort
    })
}
