//! The account stream: orders, trades, positions and money as the venue tells them.
//!
//! Promises: messages in an unbroken row from 1, or the connection is given up; frames are read by
//! member, not by type, because one may carry several; an order is judged by its filled size, never
//! by its status alone. Trades are read in `fills`.
//! Sources: D1 (account updates stream, orders, positions, balance), C1.

use super::payments::LATE_NS;
use super::request::parse_id;
use super::{Core, STREAM_LANE, report};
use crate::market::event::FrameKind;
use crate::market::order::{OrderId, OrderState, ReportKind};
use crate::market::units::{Nanos, SECOND, Size};
use crate::market::{INSTRUMENTS_MAX, InstrumentId};
use crate::venue::extended::wire::{Json, read_envelope};
use crate::venue::{Outbox, Reports};

/// Time for the three first snapshots to come. Larger: a stream that never speaks is waited for
/// longer. Smaller: a slow start reconnects.
const SNAPSHOTS_NS_MAX: u64 = 10 * SECOND;

/// A trade changes a position, and the change is told with it (C1). Not told for so long, the
/// connection has died between the two. Larger: a dead stream is believed for longer.
const POSITION_NS_MAX: u64 = 4 * SECOND;
/// Pause before trades are asked for once more. Larger: what the venue took is told later. Smaller:
/// more requests, while the venue answers none.
const ASK_AGAIN_NS: u64 = SECOND;

/// Where the account stream stands.
///
/// ```text
/// not connected -> waiting for snapshots (link up) -> in step -> not connected (break, link down)
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    /// False also after a break: what still arrives then is not believed.
    is_connected: bool,
    /// When this connection began. Orders sent before it may have ended unseen.
    t_connected: Nanos,
    /// Number of the last message; the first is 1.
    sequence: u64,
    /// The snapshots that have come; their order is not promised (D1).
    has_orders: bool,
    has_balance: bool,
    has_positions: bool,
    /// A reconnect is still to be asked for (the outbox was full).
    reconnect_due: bool,
    /// Since when a trade has been told whose position has not.
    owes_position: Option<Nanos>,
}

impl Stream {
    pub(super) fn connected(now: Nanos) -> Stream {
        Stream {
            is_connected: true,
            t_connected: now,
            ..Stream::default()
        }
    }

    /// It has been listened to from then on: it owes word of what was sent later.
    pub(super) fn is_up_since(&self, sent: Nanos) -> bool {
        self.is_connected && self.t_connected <= sent
    }

    /// All first snapshots are in and nothing was missed since.
    pub(super) fn is_in_step(&self) -> bool {
        self.is_connected && self.has_orders && self.has_balance && self.has_positions
    }
}

/// Positions as they were told last, with the trades since, and the markets where a snapshot says
/// something else: there was a trade that nobody has told.
/// No snapshot repeats trades (D1), so there they are to be asked for: what the venue took by right
/// is told by nothing else.
pub(super) struct Places {
    told: Box<[Option<(Size, Nanos)>; INSTRUMENTS_MAX]>,
    moved: Box<[bool; INSTRUMENTS_MAX]>,
    /// No question before this.
    t_ask: Nanos,
    /// When a position was last told that is held, or was until then.
    t_held: Nanos,
}

impl Places {
    pub(super) fn new() -> Places {
        Places {
            told: Box::new([None; INSTRUMENTS_MAX]),
            moved: Box::new([false; INSTRUMENTS_MAX]),
            t_ask: Nanos::ZERO,
            t_held: Nanos::ZERO,
        }
    }

    /// A position was told.
    fn note(&mut self, instrument: InstrumentId, size: Size, is_snapshot: bool, now: Nanos) {
        let before = self.told[instrument.idx()].replace((size, now));
        let was = before.map_or(Size::ZERO, |(before, _)| before);
        if size != Size::ZERO || was != Size::ZERO {
            self.t_held = now;
        }
        let is_moved = is_snapshot && before.is_some_and(|(before, _)| before != size);
        self.moved[instrument.idx()] |= is_moved;
    }

    /// A trade was told: the position is to be so much further.
    pub(super) fn trade(&mut self, instrument: InstrumentId, signed: Size) {
        if let Some((size, _)) = &mut self.told[instrument.idx()] {
            *size += signed;
        }
    }

    /// Whether the position was told just now, as that before a trade of the same moment is: which
    /// of the two comes first is not known.
    fn is_fresh(&self, instrument: InstrumentId, now: Nanos) -> bool {
        self.told[instrument.idx()].is_some_and(|(_, told)| now.since(told) < SECOND)
    }

    /// Whether any position is held, or was a moment ago: it may be charged funding.
    pub(super) fn are_held(&self, now: Nanos) -> bool {
        let is_held =
            |told: &Option<(Size, Nanos)>| told.is_some_and(|(size, _)| size != Size::ZERO);
        self.told.iter().any(is_held)
            || self.t_held != Nanos::ZERO && now.since(self.t_held) < LATE_NS
    }

    /// A market whose trades are to be asked for now.
    pub(super) fn moved(&self, now: Nanos) -> Option<InstrumentId> {
        let mut moved = self.moved.iter();
        let idx = moved.position(|moved| *moved && now >= self.t_ask)?;
        Some(InstrumentId(idx as u16))
    }

    /// They are.
    pub(super) fn asked(&mut self, instrument: InstrumentId) {
        self.moved[instrument.idx()] = false;
    }

    /// The question found no answer.
    #[cold]
    pub(super) fn ask_again(&mut self, instrument: InstrumentId, now: Nanos) {
        self.moved[instrument.idx()] = true;
        self.t_ask = now.plus(ASK_AGAIN_NS);
    }
}

/// Something in a message is not what the venue writes. The rest of it is not read: a message of
/// which a part was lost is as bad as a lost message.
pub(super) struct Malformed;

/// What a message held.
#[derive(Default)]
struct Members {
    /// Members that were understood.
    known: usize,
    /// It tells of a position on a market that this run does not know.
    is_strange: bool,
}

impl Core {
    /// One message of the account stream.
    pub(super) fn take_stream(
        &mut self,
        root: Option<Json<'_, '_>>,
        now: Nanos,
        reports: &mut Reports,
    ) -> FrameKind {
        if !self.stream.is_connected {
            return FrameKind::Unknown;
        }
        let Some(envelope) = root.and_then(read_envelope) else {
            return FrameKind::Malformed;
        };
        if envelope.is_error {
            return FrameKind::Malformed;
        }
        if envelope.sequence != self.stream.sequence + 1 {
            return FrameKind::Gap;
        }
        self.stream.sequence = envelope.sequence;
        let Some(data) = envelope.data else {
            return FrameKind::Unknown;
        };
        let is_snapshot =
            envelope.kind == "SNAPSHOT" || data.member("isSnapshot").is_some_and(Json::is_true);
        match self.take_members(data, is_snapshot, now, reports) {
            Ok(Members { known: 0, .. }) => FrameKind::Unknown,
            Ok(members) if members.is_strange => FrameKind::WrongMarket,
            Ok(_) if is_snapshot => FrameKind::Snapshot,
            Ok(_) => FrameKind::Update,
            Err(Malformed) => FrameKind::Malformed,
        }
    }

    /// Trades first, so that fills stand before the states they lead to.
    fn take_members(
        &mut self,
        data: Json<'_, '_>,
        is_snapshot: bool,
        now: Nanos,
        reports: &mut Reports,
    ) -> Result<Members, Malformed> {
        let mut members = Members::default();
        if let Some(trades) = data.member("trades") {
            for trade in trades.elements() {
                self.take_trade(trade, is_snapshot, now, reports)?;
            }
            members.known += 1;
        }
        if let Some(orders) = data.member("orders") {
            for order in orders.elements() {
                self.take_order(order, now, reports)?;
            }
            if is_snapshot {
                self.miss_orders(orders, now, reports);
                self.stream.has_orders = true;
            }
            members.known += 1;
        }
        if let Some(positions) = data.member("positions") {
            self.stream.owes_position = None;
            members.is_strange = self.take_positions(positions, is_snapshot, now, reports)?;
            members.known += 1;
        }
        if let Some(balance) = data.member("balance") {
            take_balance(balance, now, reports)?;
            self.stream.has_balance = true;
            members.known += 1;
        }
        Ok(members)
    }

    /// A trade was told: its position is due.
    pub(super) fn await_position(&mut self, instrument: InstrumentId, now: Nanos) {
        if !self.places.is_fresh(instrument, now) {
            self.stream.owes_position.get_or_insert(now);
        }
    }

    /// The instrument of a market's name; names are the venue's, compared whole, so that a suffix
    /// can never be lost.
    pub(super) fn instrument_named(&self, name: &str) -> Option<InstrumentId> {
        let mut markets = self.markets.iter().map(|config| &config.market);
        let market = markets.find(|market| market.name.as_str() == name)?;
        Some(market.instrument)
    }

    /// One order: the venue's word on its state. An order that is not ours is told as nobody's: a
    /// foreign order on this account is somebody's alarm. On a market that is not ours it is only
    /// counted.
    fn take_order(
        &mut self,
        order: Json<'_, '_>,
        now: Nanos,
        reports: &mut Reports,
    ) -> Result<(), Malformed> {
        let venue_id = integer(order, "id").ok_or(Malformed)?;
        let name = text(order, "market").ok_or(Malformed)?;
        let own = text(order, "externalId").map_or(OrderId::NONE, parse_id);
        let id = match (own, self.table.by_venue_id(venue_id)) {
            (OrderId::NONE, Some(entry)) => entry.id,
            (own, _) => own,
        };
        self.foreign_count += u64::from(id == OrderId::NONE);
        let Some(instrument) = self.instrument_named(name) else {
            self.foreign_count += u64::from(id != OrderId::NONE);
            return Ok(());
        };
        let (mut state, mut filled) = read_standing(order).ok_or(Malformed)?;
        if let Some(entry) = self.table.by_id(id) {
            entry.venue_id = venue_id;
            entry.learn(state, filled);
            (state, filled) = (entry.state, entry.filled);
        }
        let kind = ReportKind::State { state, filled };
        reports.push(report(id, instrument, now, kind));
        Ok(())
    }

    /// After a reconnect: orders that were open before it and are not in the venue's list of open
    /// ones ended in the gap. How is not known until it is asked.
    #[cold]
    fn miss_orders(&mut self, open: Json<'_, '_>, now: Nanos, reports: &mut Reports) {
        let since = self.stream.t_connected;
        for entry in self.table.iter_mut() {
            let is_listed = |order: Json<'_, '_>| {
                text(order, "externalId").map_or(OrderId::NONE, parse_id) == entry.id
            };
            if entry.state.is_over() || entry.t_sent > since || open.elements().any(is_listed) {
                continue;
            }
            entry.state = OrderState::Unknown;
            let kind = ReportKind::State {
                state: entry.state,
                filled: entry.filled,
            };
            reports.push(report(entry.id, entry.instrument, now, kind));
        }
    }

    /// Positions. A snapshot speaks for every market, a later message only for those it names.
    /// True when one is held on a market that this run does not know: names are compared whole, as
    /// the venue listed them at the start, so it is another hand's position, or the venue has
    /// renamed a market. No report can name it; it is counted, and the message told as one of a
    /// wrong market. `Down` would be too much: it would keep the legs that are ours from closing.
    fn take_positions(
        &mut self,
        positions: Json<'_, '_>,
        is_snapshot: bool,
        now: Nanos,
        reports: &mut Reports,
    ) -> Result<bool, Malformed> {
        let mut told = [false; INSTRUMENTS_MAX];
        let mut is_strange = false;
        for position in positions.elements() {
            let size = read_position(position).ok_or(Malformed)?;
            let name = text(position, "market").ok_or(Malformed)?;
            let Some(instrument) = self.instrument_named(name) else {
                is_strange |= size != Size::ZERO;
                self.foreign_count += u64::from(size != Size::ZERO);
                continue;
            };
            told[instrument.idx()] = true;
            self.places.note(instrument, size, is_snapshot, now);
            let kind = ReportKind::Position { size };
            reports.push(report(OrderId::NONE, instrument, now, kind));
            // Our place in the queue: a whole number here, of four levels, the fourth being taken
            // first (C1, `deleverageLevels`); REST's percentile is something else, and not read.
            if let Some(rank) = integer(position, "adl") {
                let rank = u8::try_from(rank).ok().filter(|rank| *rank <= 4);
                let kind = ReportKind::Queue {
                    rank: rank.unwrap_or(0),
                };
                reports.push(report(OrderId::NONE, instrument, now, kind));
            }
        }
        if is_snapshot {
            // What a snapshot does not name is flat.
            let instruments = self.markets.iter().map(|config| config.market.instrument);
            for instrument in instruments.filter(|instrument| !told[instrument.idx()]) {
                self.places.note(instrument, Size::ZERO, true, now);
                let kind = ReportKind::Position { size: Size::ZERO };
                reports.push(report(OrderId::NONE, instrument, now, kind));
            }
            self.stream.has_positions = true;
        }
        Ok(is_strange)
    }

    /// Gives the connection up; what it said last can no longer be trusted to be all.
    #[cold]
    pub(super) fn lose_stream(&mut self, out: &mut Outbox) {
        self.stream = Stream {
            reconnect_due: !out.reconnect(STREAM_LANE),
            ..Stream::default()
        };
    }

    /// At the beat: a stream that never told its snapshots, or not what it should, is given up.
    pub(super) fn watch_stream(&mut self, now: Nanos, out: &mut Outbox) {
        let stream = &mut self.stream;
        if stream.reconnect_due {
            stream.reconnect_due = !out.reconnect(STREAM_LANE);
        }
        let is_late = stream.is_connected
            && !stream.is_in_step()
            && now.since(stream.t_connected) > SNAPSHOTS_NS_MAX;
        let is_deaf = std::mem::take(&mut self.is_deaf) && self.stream.is_in_step();
        let is_half = |since: Nanos| now.since(since) >= POSITION_NS_MAX;
        if is_late || is_deaf || self.stream.owes_position.is_some_and(is_half) {
            self.lose_stream(out);
        }
    }
}

/// A member that is text.
pub(super) fn text<'input>(json: Json<'_, 'input>, name: &str) -> Option<&'input str> {
    json.member(name).and_then(Json::text)
}

/// A member that is a whole number.
pub(super) fn integer(json: Json<'_, '_>, name: &str) -> Option<u64> {
    json.member(name).and_then(Json::integer)
}

/// Money of the account: what counts for limits is `availableForTrade`, equity less the initial
/// margin in use (D1, balance).
fn take_balance(balance: Json<'_, '_>, now: Nanos, reports: &mut Reports) -> Result<(), Malformed> {
    let money = |name| balance.member(name).and_then(Json::money).ok_or(Malformed);
    let kind = ReportKind::Balance {
        equity: money("equity")?,
        available: money("availableForTrade")?,
    };
    reports.push(report(OrderId::NONE, InstrumentId(0), now, kind));
    Ok(())
}

/// Signed size of a position; zero when it is closed. `None` when it cannot be read.
fn read_position(position: Json<'_, '_>) -> Option<Size> {
    let size = position.member("size")?.size()?;
    let size = Size(size.0.checked_abs()?);
    if text(position, "status") == Some("CLOSED") || size == Size::ZERO {
        return Some(Size::ZERO);
    }
    match text(position, "side")? {
        "LONG" => Some(size),
        "SHORT" => Some(-size),
        _ => None,
    }
}

/// State and cumulative filled size of an order object, from stream or REST. The size decides: a
/// remainder of an IOC order ends as CANCELLED with its fills, and nothing is Filled that is not
/// filled by size.
pub(super) fn read_standing(order: Json<'_, '_>) -> Option<(OrderState, Size)> {
    let status = text(order, "status")?;
    let size = order.member("qty")?.size()?;
    let filled = match order.member("filledQty") {
        Some(filled) => filled.size()?,
        None if status == "FILLED" => size,
        None => Size::ZERO,
    };
    if filled < Size::ZERO {
        return None;
    }
    let state = match status {
        "NEW" | "PARTIALLY_FILLED" | "UNTRIGGERED" | "TRIGGERED" => OrderState::Working,
        "FILLED" if filled >= size => OrderState::Filled,
        "FILLED" | "CANCELLED" | "EXPIRED" => OrderState::Cancelled,
        "REJECTED" if filled > Size::ZERO => OrderState::Cancelled,
        "REJECTED" => OrderState::Rejected,
        _ => OrderState::Unknown,
    };
    Some((state, filled))
}
