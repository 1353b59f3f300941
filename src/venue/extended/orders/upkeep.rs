//! Requests that no order asked for: warmth, probes, the dead man's switch, missing trades,
//! payments of funding.
//!
//! Promises: one of them at a time, so that with two connections an order always finds one; all but
//! the question for trades, and that whether a closed venue is open, spend from the entries' share
//! of the budget, never from the reserve.
//! Refuses: to matter. When one is not sent or not answered, nothing but its own purpose suffers.
//!
//! The switch is set to its whole time at each third of it: two renewals may be lost. What it does
//! and does not do stands at `OrdersSettings::dead_mans_switch_s`.
//! Source: D1 (dead man's switch, trades).

use super::budget::Claim;
use super::lanes::{Job, LaneState, WARM_NS};
use super::table::{ASKS_MAX, Entry};
use super::{Core, Prepared, Reports, report};
use crate::market::InstrumentId;
use crate::market::order::ReportKind;
use crate::market::units::{Nanos, SECOND};
use crate::venue::{Lane, Outbox};

/// Time between two probes of a venue that is closed. Larger: it is found open later. Smaller: more
/// requests, all of them in vain.
const PROBE_NS: u64 = SECOND;
/// Time for the trades of an order to come after its filled size. Larger: a lost trade is found
/// later. Smaller: requests for trades that were only late. Well within the three seconds that the
/// engine gives streams to agree.
pub(super) const FILL_GRACE_NS: u64 = SECOND;

/// When what is due.
pub(super) struct Upkeep {
    /// Time between renewals of the switch; 0 is off.
    switch_ns: u64,
    /// When it is to be renewed.
    t_switch: Nanos,
    /// When the venue was probed last.
    t_probe: Nanos,
}

impl Upkeep {
    /// For a switch of this many seconds; 0 is off.
    pub(super) fn new(switch_s: u32) -> Upkeep {
        Upkeep {
            switch_ns: u64::from(switch_s) * SECOND / 3,
            t_switch: Nanos::ZERO,
            t_probe: Nanos::ZERO,
        }
    }
}

impl Core {
    /// At the beat: sends what is due most, if anything is and nothing of the kind is on its way.
    pub(super) fn keep_up(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox) {
        let short = self.find_short(now, reports);
        if self.lanes.iter().any(LaneState::is_upkeep) {
            return;
        }
        if let Some(instrument) = short.or(self.places.moved(now))
            && self.chore(Job::Trades(instrument), Claim::Question, now, out)
        {
            let of_market = |entry: &&mut Entry| entry.instrument == instrument;
            for entry in self.table.iter_mut().filter(of_market) {
                entry.ask_trades(now);
            }
            self.places.asked(instrument);
            return;
        }
        if self.payments.is_due(now)
            && self.places.are_held(now)
            && !self.opening.is_closed()
            && self.chore(Job::Funding, Claim::Entry, now, out)
        {
            return self.payments.asked(now);
        }
        self.probe_or_warm(now, out);
        let upkeep = &self.upkeep;
        let is_due = upkeep.switch_ns > 0 && now >= upkeep.t_switch && !self.opening.is_closed();
        if is_due
            && !self.lanes.iter().any(LaneState::is_upkeep)
            && self.chore(Job::Switch, Claim::Entry, now, out)
        {
            self.upkeep.t_switch = now.plus(self.upkeep.switch_ns);
        }
    }

    /// A closed venue is asked whether it is open; otherwise a connection that has been idle for
    /// long is used, so that nobody closes it.
    fn probe_or_warm(&mut self, now: Nanos, out: &mut Outbox) {
        if self.opening.is_closed() {
            if now.since(self.upkeep.t_probe) >= PROBE_NS
                && self.opening.may_probe(now)
                && self.chore(Job::Warm, Claim::Entry, now, out)
            {
                self.upkeep.t_probe = now;
            }
            return;
        }
        let is_cooling = |lane: &LaneState| match lane {
            LaneState::Idle { since } => now.since(*since) >= WARM_NS,
            LaneState::Down | LaneState::Busy { .. } | LaneState::Failed => false,
        };
        if let Some(idx) = self.lanes.iter().position(is_cooling) {
            self.chore_on(idx + 1, Job::Warm, Claim::Entry, (now, out));
        }
    }

    /// Sends one of our own requests on any free connection; false when it can't be now.
    fn chore(&mut self, job: Job, claim: Claim, now: Nanos, out: &mut Outbox) -> bool {
        match self.free_lane() {
            Ok(lane) => self.chore_on(lane, job, claim, (now, out)),
            Err(_) => false,
        }
    }

    fn chore_on(
        &mut self,
        lane: Lane,
        job: Job,
        claim: Claim,
        (now, out): (Nanos, &mut Outbox),
    ) -> bool {
        if !self.budget.allows(claim, now) {
            return false;
        }
        let prepared = Prepared {
            lane,
            job,
            claim,
            instrument: InstrumentId(0),
            fields: None,
            ready: None,
        };
        self.write(&prepared, now, out)
    }

    /// A market whose trades are to be asked for: an order there has filled further than its trades
    /// tell, and the time for them to come is over. One that was asked for in vain often enough is
    /// counted, and its state said again: the rest is the engine's to judge.
    fn find_short(&mut self, now: Nanos, reports: &mut Reports) -> Option<InstrumentId> {
        let mut due = None;
        for entry in self.table.iter_mut() {
            if !entry.is_short_since(now, FILL_GRACE_NS) {
                continue;
            }
            if entry.asks < ASKS_MAX {
                due = due.or(Some(entry.instrument));
            } else if entry.give_up_on_trades() {
                self.missing_count += 1;
                let (state, filled) = (entry.state, entry.filled);
                let kind = ReportKind::State { state, filled };
                reports.push(report(entry.id, entry.instrument, now, kind));
            }
        }
        due
    }
}
