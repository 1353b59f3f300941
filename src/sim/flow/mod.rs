//! Playback of one venue's side of the tape, with planted dislocations on top.
//!
//! Promises: equal tape, options and times give equal books; the two venues, each in its own
//! thread, agree on every planted event because both compute it from the same seed. A shown book is
//! never crossed. The tape loops: at the seam both venues of an instrument are scaled by one common
//! factor so that the price goes on (it is let back over the next pass), and the difference of the
//! two bases is blended in over a minute, so the loop makes no edge.
//! Refuses: matching and accounts (`exchange`).

mod options;

pub use options::{FlowError, FlowOptions};

use crate::market::book::Side;
use crate::market::units::{Nanos, Price, Size};
use crate::market::{InstrumentId, Venue};
use crate::sim::exchange::{Change, Happening, Rules};
use crate::sim::ladder::{FACTOR_ONE, Ladder, Move, View};
use crate::sim::plant::{PlantedEvent, Planter};
use crate::sim::playing::{Playing, factor_e9, nearer, read};
use crate::sim::tape::Tape;
use crate::sim::tape::codec::{Frame, Kind};
use options::planter_for;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// The basis of the end of the tape is blended into that of its start over this long.
const BLEND_NS: u64 = 60_000_000_000;
/// Mark and index are told this often.
const MARK_NS: u64 = 1_000_000_000;

/// One venue's playback.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Shared with the other venue's thread; never changed.
    tape: Arc<Tape>,
    options: FlowOptions,
    rules: Vec<Rules>,
    markets: Vec<Playing>,
    /// The schedule as lived through.
    planter: Planter,
    /// The schedule from its beginning, to be listed.
    fresh: Planter,
    plant_due: Nanos,
    mark_due: Nanos,
    /// Whose mark is due then, counted over all rounds.
    mark_count: u64,
    /// Tape time that passes in one unit of real time.
    speed: f64,
    /// When the next frame of each market is due, soonest first.
    frames: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// Markets of whose levels some lots of ours may be missing.
    taken: Vec<usize>,
    /// Reused for every frame.
    frame: Frame,
    /// Reused for every change.
    moves: Vec<Move>,
}

impl Flow {
    /// Prepares playback; the books are full at once, as of `options.start`.
    pub fn new(tape: Arc<Tape>, options: FlowOptions) -> Result<Flow, FlowError> {
        let markets_len = options.markets_len.unwrap_or(tape.bases().len());
        if !(1..=crate::market::INSTRUMENTS_MAX).contains(&markets_len) {
            return Err(FlowError::Markets(markets_len));
        }
        let speed = match options.rate {
            None => 1.0,
            Some(rate) => {
                let range = tape.rate_range(markets_len);
                let speed = tape.speed(rate, markets_len);
                speed.ok_or(FlowError::Rate(rate, range))?
            }
        };
        let rules: Vec<Rules> = (0..markets_len)
            .map(|idx| {
                super::exchange::rules::rules(&tape, options.venue, InstrumentId(idx as u16))
            })
            .collect();
        let planter = planter_for(&options, &rules)?;
        let markets = (0..markets_len)
            .map(|idx| Playing::new(&tape, &options, InstrumentId(idx as u16)))
            .collect();
        // Nothing is shown before the books are wound to the start: a subscriber's first snapshot
        // is already the book of a market that has been open for a minute.
        let mut flow = Flow {
            plant_due: options.start,
            mark_due: options.start.plus(MARK_NS),
            mark_count: 0,
            speed,
            frames: BinaryHeap::with_capacity(markets_len),
            taken: Vec::new(),
            fresh: planter.clone(),
            frame: Frame::default(),
            moves: Vec::new(),
            tape,
            options,
            rules,
            markets,
            planter,
        };
        flow.wind();
        for idx in 0..flow.markets.len() {
            let due = flow.frame_due(idx);
            flow.frames.push(Reverse((due, idx)));
        }
        flow.plant_due = flow.next_plant(0);
        Ok(flow)
    }

    /// Grid and limits of every market, by instrument.
    pub fn rules(&self) -> &[Rules] {
        &self.rules
    }

    /// Which venue is played.
    pub fn venue(&self) -> Venue {
        self.options.venue
    }

    /// When the run started.
    pub fn start(&self) -> Nanos {
        self.options.start
    }

    /// Every planted event that starts before `until`, from the seed alone.
    pub fn plants(&self, until: Nanos) -> Vec<PlantedEvent> {
        let start = self.options.start;
        let events = self.fresh.clone().events(until.since(start));
        let tell = |event: super::plant::Dislocation| PlantedEvent {
            start: start.plus(event.start_ns),
            end: start.plus(event.end_ns()),
            instrument: event.instrument,
            venue: event.venue,
            amplitude_bps: event.bps,
            is_decoy: event.is_decoy,
            shape: event.shape,
        };
        events.into_iter().map(tell).collect()
    }

    /// When `step` is next due.
    pub fn next_due(&self) -> Nanos {
        let frame = self.frames.peek().map(|Reverse((due, _))| *due);
        let given = self.taken.iter().flat_map(|&idx| &self.markets[idx].sides);
        let given = given.filter_map(Ladder::next_give_back);
        let first = frame.into_iter().chain(given).min();
        let first = first.unwrap_or(self.mark_due);
        first.min(self.plant_due).min(self.mark_due)
    }

    /// Tape time that passes in one unit of real time.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Does what is due first, at its own time, if that is not after `now`; tells when that was.
    pub fn step(&mut self, now: Nanos, out: &mut Vec<Happening>) -> Option<Nanos> {
        let due = self.next_due();
        if due > now {
            return None;
        }
        // Planted steps first: a tape frame of the same moment must see the new displacement.
        if self.plant_due <= due {
            self.plant_step(due, out);
        } else if self.mark_due <= due {
            self.mark_next(due, out);
        } else if let Some(&Reverse((at, idx))) = self.frames.peek()
            && at <= due
        {
            self.frames.pop();
            self.frame_step(idx, due, out);
            let next = self.frame_due(idx);
            self.frames.push(Reverse((next, idx)));
        } else {
            self.give_back(due, out);
        }
        Some(due)
    }

    /// Levels shown on a side, best first.
    pub fn ladder(
        &self,
        instrument: InstrumentId,
        side: Side,
    ) -> impl Iterator<Item = (Price, Size)> + '_ {
        let market = &self.markets[instrument.idx()];
        let shown = market.sides[side.idx()].shown();
        shown.map(|(tick, lots)| (market.price(tick), market.size(lots)))
    }

    /// Best bid and ask shown; `None` while a side is empty.
    pub fn touch(&self, instrument: InstrumentId) -> Option<(Price, Price)> {
        let bid = self.ladder(instrument, Side::Bid).next()?;
        let ask = self.ladder(instrument, Side::Ask).next()?;
        Some((bid.0, ask.0))
    }

    /// Mark and index.
    pub fn mark(&self, instrument: InstrumentId) -> (Price, Price) {
        let market = &self.markets[instrument.idx()];
        let tick = market.tick;
        (market.mark.floor_to(tick), market.index.floor_to(tick))
    }

    /// Takes our fill out of a shown level; the change is told.
    pub fn take(
        &mut self,
        instrument: InstrumentId,
        side: Side,
        taken: &[(Price, Size)],
        until: Nanos,
        changes: &mut Vec<Change>,
    ) {
        let market = &mut self.markets[instrument.idx()];
        if !self.taken.contains(&instrument.idx()) {
            self.taken.push(instrument.idx());
        }
        self.moves.clear();
        for &(price, size) in taken {
            let (tick, lots) = (price.0 / market.tick.0, size.0 / market.lot.0);
            market.sides[side.idx()].take(tick, lots, until, &mut self.moves);
        }
        market.tell(side, &self.moves, changes);
    }
}

/// Playback, step by step. Two times run beside each other: the run's own (planted events, marks)
/// and the tape's, which `speed` makes faster or slower. Both start at `options.start`.
impl Flow {
    /// Tape time passed since the start of the run.
    fn elapsed_ns(&self, now: Nanos) -> u64 {
        let real = now.since(self.options.start);
        if self.speed == 1.0 {
            // Exact: floats would round a nanosecond of a long run.
            return real;
        }
        (real as f64 * self.speed) as u64
    }

    /// When a moment of tape time, counted from the start of the run, is reached.
    fn reached(&self, elapsed_ns: u64) -> Nanos {
        if self.speed == 1.0 {
            return self.options.start.plus(elapsed_ns);
        }
        let real = (elapsed_ns as f64 / self.speed).ceil();
        self.options.start.plus(real as u64)
    }

    /// When the next frame of a market is due. The end of the tape is the first frame of a pass.
    fn frame_due(&self, idx: usize) -> Nanos {
        let market = &self.markets[idx];
        let stream = self.tape.stream(self.options.venue, market.instrument);
        let span = self.tape.span_ns();
        // Streams end at different moments; all of them loop at the end of the shortest, so that
        // both venues of an instrument pass the seam together.
        let next = market.cursor.peek_ns(&stream.frames).unwrap_or(span);
        let total = market.pass * span + next.min(span);
        self.reached(total.saturating_sub(market.offset_ns))
    }

    /// Plays every market silently up to its offset; mark and index start at the middle. Copies of
    /// an instrument go on from where the one before them came to: the tape is read once for all.
    fn wind(&mut self) {
        let mut order: Vec<usize> = (0..self.markets.len()).collect();
        let bases_len = self.tape.bases().len();
        order.sort_by_key(|&idx| (idx % bases_len, self.markets[idx].offset_ns));
        let mut quiet = Vec::new();
        for (place, &idx) in order.iter().enumerate() {
            let before = place.checked_sub(1).map(|place| order[place]);
            if let Some(before) = before.filter(|before| before % bases_len == idx % bases_len) {
                self.markets[idx].cursor = self.markets[before].cursor;
                self.markets[idx].sides = self.markets[before].sides.clone();
            }
            let market = &mut self.markets[idx];
            let frames = &self
                .tape
                .stream(self.options.venue, market.instrument)
                .frames;
            let offset_ns = market.offset_ns;
            let is_before = |t_ns: u64| t_ns <= offset_ns;
            while market.cursor.peek_ns(frames).is_some_and(is_before) {
                read(&mut market.cursor, frames, &mut self.frame);
                if !matches!(self.frame.kind, Kind::Trade(_)) {
                    market.apply(&self.frame, View::PLAIN, &mut self.moves, &mut quiet);
                }
                quiet.clear();
            }
            market.mark = market.mid().unwrap_or(market.tick);
            market.index = market.mark;
        }
    }

    /// One frame of the tape: the book as it changed, or a public trade.
    fn frame_step(&mut self, idx: usize, due: Nanos, out: &mut Vec<Happening>) {
        let stream = self
            .tape
            .stream(self.options.venue, self.markets[idx].instrument);
        let span = self.tape.span_ns();
        let market = &mut self.markets[idx];
        if market
            .cursor
            .peek_ns(&stream.frames)
            .is_none_or(|t| t >= span)
        {
            // The seam. The first frame of the new pass is a whole book at tape time zero.
            market.cursor = stream.cursor();
            market.pass += 1;
        }
        read(&mut market.cursor, &stream.frames, &mut self.frame);
        let view = self.view(idx, due);
        let market = &mut self.markets[idx];
        if let Kind::Trade(side) = self.frame.kind {
            out.push(market.trade(&self.frame, side, due));
            return;
        }
        let mut changes = Vec::new();
        market.apply(&self.frame, view, &mut self.moves, &mut changes);
        push_book(market.instrument, changes, due, out);
    }

    /// One step of the planted schedule: the markets it touches are shown anew.
    fn plant_step(&mut self, due: Nanos, out: &mut Vec<Happening>) {
        let t_ns = due.since(self.options.start);
        // What ends at this step must still be shown ended: note who is touched before and after.
        let mut touched: Vec<InstrumentId> = self.planter.touched().collect();
        self.planter.advance(t_ns);
        touched.extend(self.planter.touched());
        touched.sort_unstable();
        touched.dedup();
        for instrument in touched {
            self.show_again(instrument.idx(), due, out);
        }
        self.plant_due = self.next_plant(t_ns);
    }

    fn next_plant(&self, t_ns: u64) -> Nanos {
        let next = self.planter.next_step(t_ns);
        next.map_or(Nanos(u64::MAX), |t| self.options.start.plus(t))
    }

    /// Shows a market under the view of this moment, without a tape frame.
    fn show_again(&mut self, idx: usize, due: Nanos, out: &mut Vec<Happening>) {
        let view = self.view(idx, due);
        let market = &mut self.markets[idx];
        // Quantised views are often equal: then there is nothing to tell.
        if view == market.view {
            return;
        }
        self.frame.kind = Kind::Depth;
        self.frame.bids.clear();
        self.frame.asks.clear();
        let mut changes = Vec::new();
        market.apply(&self.frame, view, &mut self.moves, &mut changes);
        if !changes.is_empty() {
            push_book(market.instrument, changes, due, out);
        }
    }

    /// Shows again what we took ten seconds ago and nobody has restated.
    fn give_back(&mut self, due: Nanos, out: &mut Vec<Happening>) {
        for &idx in &self.taken {
            let market = &mut self.markets[idx];
            let mut changes = Vec::new();
            for side in [Side::Bid, Side::Ask] {
                self.moves.clear();
                market.sides[side.idx()].give_back(due, &mut self.moves);
                market.tell(side, &self.moves, &mut changes);
            }
            if !changes.is_empty() {
                push_book(market.instrument, changes, due, out);
            }
        }
        let markets = &self.markets;
        let missing = |idx: &usize| {
            let mut sides = markets[*idx].sides.iter();
            sides.any(|side| side.next_give_back().is_some())
        };
        self.taken.retain(missing);
    }

    /// The view of this moment: seam and planted displacement together, quantised once.
    fn view(&self, idx: usize, due: Nanos) -> View {
        let market = &self.markets[idx];
        let planted = self.planted(idx, due);
        let (common, residual) = self.seam_bps(idx, due);
        let cap = planted.cap.map_or(i64::MAX, |cap| cap.0 / market.lot.0);
        View {
            factor_e9: factor_e9(common + residual + planted.bps),
            depth_e3: planted.depth_e3,
            cap_lots: cap,
        }
    }

    fn planted(&self, idx: usize, due: Nanos) -> super::plant::Displacement {
        let instrument = self.markets[idx].instrument;
        let t_ns = due.since(self.options.start);
        self.planter.at(self.options.venue, instrument, t_ns)
    }

    /// Displacement by the loop: what both venues share, and this venue's own part. Both are zero
    /// in the first pass, and fade over each later one.
    fn seam_bps(&self, idx: usize, due: Nanos) -> (f64, f64) {
        let market = &self.markets[idx];
        if market.pass == 0 {
            return (0.0, 0.0);
        }
        let span = self.tape.span_ns();
        let total = self.elapsed_ns(due) + market.offset_ns;
        let into = total.saturating_sub(market.pass * span);
        let left = |over: u64| 1.0 - (into as f64 / over as f64).min(1.0);
        let common = market.seam.common_bps * left(span);
        (common, market.seam.residual_bps * left(BLEND_NS.min(span)))
    }

    /// Every market's mark once a second, one after the other: told all at once, the marks of 200
    /// markets would hold up the books behind them.
    fn mark_next(&mut self, due: Nanos, out: &mut Vec<Happening>) {
        let markets_len = self.markets.len() as u64;
        let idx = (self.mark_count % markets_len) as usize;
        self.mark_step(idx, due, out);
        self.mark_count += 1;
        let since = MARK_NS + MARK_NS * self.mark_count / markets_len;
        self.mark_due = self.options.start.plus(since);
    }

    /// Once a second: mark goes its share of the way to the middle shown, index likewise to the
    /// middle without what one venue alone is displaced by.
    fn mark_step(&mut self, idx: usize, due: Nanos, out: &mut Vec<Happening>) {
        let planted = self.planted(idx, due);
        let venue_only = factor_e9(planted.bps - planted.common_bps);
        let market = &mut self.markets[idx];
        if let Some(mid) = market.mid() {
            market.mark = nearer(market.mark, mid);
            // The index knows neither shocks nor shifts of one venue: they are divided out.
            let plain = i128::from(mid.0) * i128::from(FACTOR_ONE) / i128::from(venue_only);
            market.index = nearer(market.index, Price(plain as i64));
        }
        let instrument = market.instrument;
        let (mark, index) = self.mark(instrument);
        out.push(Happening::Mark {
            instrument,
            mark,
            index,
            t: due,
        });
    }
}

fn push_book(instrument: InstrumentId, changes: Vec<Change>, t: Nanos, out: &mut Vec<Happening>) {
    out.push(Happening::Book {
        instrument,
        changes: Arc::new(changes),
        t,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::plant::Plant;
    use crate::sim::plant::Shape;
    use std::collections::BTreeMap;
    use std::sync::OnceLock;

    const START: Nanos = Nanos(1_700_000_000_000_000_000);
    const MS: u64 = 1_000_000;
    const BTC: InstrumentId = InstrumentId(0);

    fn tape() -> Arc<Tape> {
        static TAPE: OnceLock<Arc<Tape>> = OnceLock::new();
        TAPE.get_or_init(|| Arc::new(Tape::embedded())).clone()
    }

    fn flow(venue: Venue, seed: u64, plant: Plant) -> Flow {
        let options = FlowOptions {
            plant,
            ..FlowOptions::new(venue, seed, START)
        };
        Flow::new(tape(), options).unwrap()
    }

    fn run(flow: &mut Flow, until_ms: u64) -> Vec<Happening> {
        let mut out = Vec::new();
        while flow.step(START.plus(until_ms * MS), &mut out).is_some() {}
        out
    }

    fn mid(flow: &Flow, instrument: InstrumentId) -> f64 {
        let (bid, ask) = flow.touch(instrument).unwrap();
        (bid.0 + ask.0) as f64 / 2.0
    }

    /// Lighter's mid over Extended's, in bps.
    fn basis(flows: &[Flow; 2], instrument: InstrumentId) -> f64 {
        (mid(&flows[1], instrument) / mid(&flows[0], instrument) - 1.0) * 10_000.0
    }

    fn both(seed: u64, plant: Plant) -> [Flow; 2] {
        crate::market::VENUES.map(|venue| flow(venue, seed, plant.clone()))
    }

    #[test]
    fn equal_seeds_play_equally_however_they_are_stepped() {
        let text = |out: &[Happening]| format!("{out:?}");
        let mut once = flow(Venue::Lighter, 9, Plant::On);
        let whole = run(&mut once, 20_000);
        let mut often = flow(Venue::Lighter, 9, Plant::On);
        let mut parts = Vec::new();
        for ms in (0..=20_000).step_by(7) {
            parts.extend(run(&mut often, ms));
        }
        parts.extend(run(&mut often, 20_000));
        assert!(text(&whole) == text(&parts));
        let other = run(&mut flow(Venue::Lighter, 10, Plant::On), 20_000);
        assert!(text(&whole) != text(&other));
    }

    #[test]
    fn changes_rebuild_the_book_and_it_is_never_crossed() {
        let mut flow = flow(Venue::Extended, 4, Plant::On);
        let mut books: [BTreeMap<Price, Size>; 2] = Default::default();
        for side in [Side::Bid, Side::Ask] {
            books[side.idx()] = flow.ladder(BTC, side).collect();
        }
        let mut out = Vec::new();
        let mut last = START;
        while let Some(at) = flow.step(START.plus(40_000 * MS), &mut out) {
            assert!(at >= last);
            last = at;
            for happening in out.drain(..) {
                let Happening::Book {
                    instrument,
                    changes,
                    ..
                } = happening
                else {
                    continue;
                };
                for change in changes.iter().filter(|_| instrument == BTC) {
                    let book = &mut books[change.side.idx()];
                    let before = book.remove(&change.price).unwrap_or_default();
                    assert_eq!(before, change.before);
                    if change.after != Size::ZERO {
                        book.insert(change.price, change.after);
                    }
                }
            }
            let best_bid = books[0].last_key_value().unwrap().0;
            assert!(best_bid < books[1].first_key_value().unwrap().0);
        }
        assert!(
            flow.ladder(BTC, Side::Bid)
                .eq(books[0].clone().into_iter().rev())
        );
        assert!(flow.ladder(BTC, Side::Ask).eq(books[1].clone()));
    }

    #[test]
    fn both_venues_show_what_the_schedule_says() {
        let mut planted = both(2, Plant::On);
        let mut natural = both(2, Plant::Off);
        let plants = planted[0].plants(START.plus(60_000 * MS));
        assert_eq!(plants, planted[1].plants(START.plus(60_000 * MS)));
        assert!(plants.len() >= 6, "{}", plants.len());
        for event in &plants {
            let at_ms = event.start.since(START) / MS + 45;
            for flow in planted.iter_mut().chain(&mut natural) {
                run(flow, at_ms);
            }
            let apart = basis(&planted, event.instrument) - basis(&natural, event.instrument);
            let sign = if event.venue == Venue::Lighter {
                1.0
            } else {
                -1.0
            };
            assert!(
                (apart - sign * event.amplitude_bps).abs() < 0.6,
                "{event:?} {apart}"
            );
        }
        assert!(natural[0].plants(START.plus(60_000 * MS)).is_empty());
    }

    #[test]
    fn an_onset_is_seen_in_steps_and_the_mark_follows_slowly() {
        let script = r#"{"at_ms":1000,"market":"BTC","venue":"lighter","bps":16,"life_ms":3000}"#;
        let plant = Plant::script(script).unwrap();
        let mut flow = flow(Venue::Lighter, 1, plant);
        run(&mut flow, 999);
        let (before, mark) = (mid(&flow, BTC), flow.mark(BTC).0);
        run(&mut flow, 1_005);
        let halfway = (mid(&flow, BTC) / before - 1.0) * 1e4;
        assert!((6.0..10.0).contains(&halfway), "{halfway}");
        run(&mut flow, 1_100);
        let risen = (mid(&flow, BTC) / before - 1.0) * 1e4;
        assert!((14.0..18.0).contains(&risen), "{risen}");
        let followed = (flow.mark(BTC).0.0 as f64 / mark.0 as f64 - 1.0) * 1e4;
        assert!(followed < 2.0, "{followed}");
        run(&mut flow, 3_900);
        let followed = (flow.mark(BTC).0.0 as f64 / mark.0 as f64 - 1.0) * 1e4;
        assert!((3.0..12.0).contains(&followed), "{followed}");
        let index = flow.mark(BTC).1;
        assert!(
            (index.0 as f64 / mark.0 as f64 - 1.0).abs() < 3e-4,
            "index stays"
        );
    }

    #[test]
    fn a_script_can_cap_the_depth() {
        let line = r#"{"at_ms":100,"market":"BTC-USD","venue":"extended","bps":12,"size":"0.05"}"#;
        let mut flow = flow(Venue::Extended, 1, Plant::script(line).unwrap());
        run(&mut flow, 500);
        for side in [Side::Bid, Side::Ask] {
            let sum: i64 = flow.ladder(BTC, side).map(|(_, size)| size.0).sum();
            assert_eq!(sum, 50_000_000);
        }
        run(&mut flow, 9_000);
        let sum: i64 = flow.ladder(BTC, Side::Bid).map(|(_, size)| size.0).sum();
        assert!(sum > 1_000_000_000);
    }

    #[test]
    fn the_seam_makes_no_edge() {
        let mut flows = both(1, Plant::Off);
        let seam_ms = (tape().span_ns() - tape().lead_ns()) / MS;
        for instrument in [BTC, InstrumentId(1)] {
            let mut flows = flows.clone();
            let mut medians = Vec::new();
            for (from, to) in [(seam_ms - 10_000, seam_ms), (seam_ms + 1, seam_ms + 10_000)] {
                let mut seen = Vec::new();
                for ms in (from..to).step_by(50) {
                    flows.iter_mut().for_each(|flow| drop(run(flow, ms)));
                    seen.push(basis(&flows, instrument));
                }
                seen.sort_by(f64::total_cmp);
                medians.push(seen[seen.len() / 2]);
            }
            assert!((medians[0] - medians[1]).abs() < 0.5, "{medians:?}");
        }
        // The price goes on, too: 22 bps would be seen, half a minute of market would not.
        flows
            .iter_mut()
            .for_each(|flow| drop(run(flow, seam_ms - 1)));
        let before = flows.each_ref().map(|flow| mid(flow, BTC));
        flows
            .iter_mut()
            .for_each(|flow| drop(run(flow, seam_ms + 200)));
        for (flow, before) in flows.iter().zip(before) {
            let jump = (mid(flow, BTC) / before - 1.0) * 1e4;
            assert!(jump.abs() < 2.0, "{jump}");
        }
        // A minute into the pass the basis is the tape's own again, and the price is let back.
        flows
            .iter_mut()
            .for_each(|flow| drop(run(flow, 2 * seam_ms + 60_000)));
        assert!(basis(&flows, BTC).abs() < 6.0);
    }

    #[test]
    fn clones_multiply_the_load() {
        let count = |markets_len: usize| {
            let options = FlowOptions {
                markets_len: Some(markets_len),
                plant: Plant::Off,
                ..FlowOptions::new(Venue::Extended, 1, START)
            };
            let mut flow = Flow::new(tape(), options).unwrap();
            assert_eq!(flow.rules().len(), markets_len);
            let out = run(&mut flow, 10_000);
            let books = out.iter().filter(|h| matches!(h, Happening::Book { .. }));
            books.count() as f64
        };
        let one = count(2);
        assert!((count(6) / one - 3.0).abs() < 0.7);
        assert!(count(1) < one);
        let names: Vec<String> = {
            let options = FlowOptions {
                markets_len: Some(3),
                ..FlowOptions::new(Venue::Extended, 1, START)
            };
            let flow = Flow::new(tape(), options).unwrap();
            flow.rules()
                .iter()
                .map(|rules| rules.name.clone())
                .collect()
        };
        assert_eq!(names, ["BTC-USD", "ETH-USD", "BTC2-USD"]);
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let refused = |change: fn(&mut FlowOptions)| {
            let mut options = FlowOptions::new(Venue::Lighter, 1, START);
            change(&mut options);
            Flow::new(tape(), options).unwrap_err()
        };
        let range = tape().rate_range(2);
        for rate in [0, range.least - 1, range.most + 1] {
            let options = FlowOptions {
                rate: Some(rate),
                ..FlowOptions::new(Venue::Lighter, 1, START)
            };
            let error = Flow::new(tape(), options).unwrap_err();
            assert_eq!(error, FlowError::Rate(rate, range));
            let text = error.to_string();
            assert!(text.contains(&format!("from {} to {}", range.least, range.most)));
        }
        assert_eq!(refused(|o| o.markets_len = Some(0)), FlowError::Markets(0));
        assert_eq!(
            refused(|o| o.markets_len = Some(400)),
            FlowError::Markets(400)
        );
        let unknown = r#"{"at_ms":1,"market":"DOGE","venue":"lighter","bps":9}"#;
        let options = FlowOptions {
            plant: Plant::script(unknown).unwrap(),
            ..FlowOptions::new(Venue::Lighter, 1, START)
        };
        let error = Flow::new(tape(), options).unwrap_err();
        assert_eq!(error, FlowError::UnknownMarket(1, "DOGE".into()));
    }

    #[test]
    fn a_shift_is_one_step_for_good() {
        let line = r#"{"at_ms":500,"market":"ETH","venue":"lighter","bps":6,"shape":"shift"}"#;
        let mut shifted = both(1, Plant::script(line).unwrap());
        let mut natural = both(1, Plant::Off);
        assert_eq!(
            shifted[0].plants(START.plus(MS * 1_000))[0].shape,
            Shape::Shift
        );
        for ms in [400, 600, 5_000, 30_000] {
            for flow in shifted.iter_mut().chain(&mut natural) {
                run(flow, ms);
            }
            let apart = basis(&shifted, InstrumentId(1)) - basis(&natural, InstrumentId(1));
            let want = if ms < 500 { 0.0 } else { 6.0 };
            assert!((apart - want).abs() < 0.3, "{ms}: {apart}");
        }
    }

    /// The executable edge against the given fair, in bps: sell where it is dear, buy where cheap.
    fn edge(flows: &[Flow; 2], event: &PlantedEvent, fair: f64) -> f64 {
        let touch = |venue: usize| flows[venue].touch(event.instrument).unwrap();
        let ((e_bid, e_ask), (l_bid, l_ask)) = (touch(0), touch(1));
        let dear_lighter = (event.venue == Venue::Lighter) == (event.amplitude_bps > 0.0);
        match dear_lighter {
            true => (l_bid.0 as f64 / e_ask.0 as f64 - 1.0) * 1e4 - fair,
            false => (e_bid.0 as f64 / l_ask.0 as f64 - 1.0) * 1e4 + fair,
        }
    }

    #[test]
    fn payers_outlast_a_slow_taker_and_decoys_do_not() {
        let (mut payers, mut decoys) = (Vec::new(), Vec::new());
        for seed in 0..6 {
            let mut flows = both(seed, Plant::On);
            for event in flows[0].plants(START.plus(60_000 * MS)) {
                let at_ms = event.start.since(START) / MS;
                // Fair as seen before, trigger when the onset is over, match 360 ms later.
                flows
                    .iter_mut()
                    .for_each(|flow| drop(run(flow, at_ms - 100)));
                let fair = basis(&flows, event.instrument);
                flows
                    .iter_mut()
                    .for_each(|flow| drop(run(flow, at_ms + 50)));
                let seen = edge(&flows, &event, fair);
                assert!(seen > 8.0, "{event:?} shows {seen}");
                flows
                    .iter_mut()
                    .for_each(|flow| drop(run(flow, at_ms + 410)));
                let left = edge(&flows, &event, fair);
                let of_kind = if event.is_decoy {
                    &mut decoys
                } else {
                    &mut payers
                };
                of_kind.push(left);
            }
        }
        let mean = |edges: &[f64]| edges.iter().sum::<f64>() / edges.len() as f64;
        assert!(mean(&payers) > 11.0, "{payers:?}");
        assert!(mean(&decoys) < 3.0, "{decoys:?}");
    }

    #[test]
    fn the_hit_book_is_thin_and_recovers() {
        let script = r#"{"at_ms":1000,"market":"BTC","venue":"extended","bps":14,"life_ms":5000}"#;
        let mut thin = flow(Venue::Extended, 1, Plant::script(script).unwrap());
        let mut full = flow(Venue::Extended, 1, Plant::Off);
        let mut share = |ms: u64| {
            let depth = [&mut thin, &mut full].map(|flow| {
                run(flow, ms);
                flow.ladder(BTC, Side::Ask)
                    .map(|(_, size)| size.0)
                    .sum::<i64>() as f64
            });
            depth[0] / depth[1]
        };
        assert_eq!(share(900), 1.0);
        assert!((0.35..0.5).contains(&share(1_020)));
        assert!((0.6..0.85).contains(&share(2_000)));
        assert!(share(3_200) > 0.99);
    }
}
