//! Lighter's account stream: four channels kept subscribed, their frames turned into reports.
//!
//! Promises: a fill is reported once per trade id; a position comes from the venue's own figure,
//! never from adding up trades; an order's state never goes back in venue time. Tokens are renewed
//! half way through their life, channel by channel, so that at most one is off the air, for under a
//! second.
//! Refuses: frames it cannot read in full; the connection is then made anew, because a fill may
//! have been in them.

use super::funding::Totals;
use super::keyring::ApiKey;
use super::ledger::Spent;
use super::pulse::{Pulse, closing_at};
use super::sign::NonceSource;
use super::sign::token::AuthToken;
use super::sink::Sink;
use super::wire::{self, Json, Kind};
use super::words;
pub use super::words::order_state;
use crate::market::event::FrameKind;
use crate::market::order::{OrderId, OrderState, Report, ReportKind};
use crate::market::units::{Nanos, SECOND, Size};
use crate::market::{InstrumentId, Market, Venue};
use crate::venue::{Lane, OutKind, Outbox};

/// The account connection's lane within the gateway.
pub const ACCOUNT_LANE: Lane = 1;
/// Channels, in the order they are subscribed (source *ws*). All with a token: harmless where it is
/// not asked for.
const CHANNELS: [&str; 4] = [
    "account_all_orders",
    "account_all_trades",
    "account_all_positions",
    "user_stats",
];
/// How long a subscribe or unsubscribe may go unanswered before the connection is given up.
const ANSWER_NS_MAX: u64 = 10 * SECOND;
/// A trade of ours changes a position, and the change is told with it. Not told for so long, the
/// connection has died between the two. Larger: a dead stream is believed for longer.
const POSITION_NS_MAX: u64 = 4 * SECOND;
/// Life of a token: the venue refuses more than 8 h; ten minutes off for clocks that disagree.
const TOKEN_LIFE_NS: u64 = (8 * 3600 - 600) * SECOND;
/// Where one channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// Not asked for yet, or the request did not fit the outbox.
    Off,
    /// Asked for; its snapshot is the answer.
    Subscribing { until: Nanos },
    /// Its snapshot has come.
    Live,
    /// Left for renewal; the acknowledgement brings the subscribe.
    Leaving { until: Nanos },
}

/// The account stream.
///
/// Token renewal, in short: a subscription may or may not outlive its token (the venue does not
/// say), and subscribing anew without leaving is refused. So half way through a token's life each
/// channel is left and taken again under a new one, one after the other. What is missed in between
/// is made good by the snapshot that opens the channel again: open orders, positions and money are
/// whole in it, and trades are told apart by their ids.
pub struct Stream {
    account_index: u64,
    channels: [Channel; CHANNELS.len()],
    /// Live channels that are to be left and taken again with a new token.
    renew: [bool; CHANNELS.len()],
    token: Option<AuthToken>,
    token_minted: Nanos,
    pulse: Pulse,
    /// When this connection began. What was sent before it may have ended unseen.
    since: Nanos,
    /// The venue has announced the connection's end; until when it is listened to.
    closing: Option<Nanos>,
    /// Since when a trade of ours has been told whose position has not.
    owes_position: Option<Nanos>,
    /// Trades may have been made since the last connection, and nothing has told them.
    has_gap: bool,
    /// Venue microseconds before which a trade belongs to an earlier run; set at the first link.
    start_us: Option<u64>,
    markets: Box<[(u64, InstrumentId)]>,
    /// What positions say of funding.
    totals: Totals,
}

impl Stream {
    /// For one account and the Lighter markets among `markets`.
    pub fn new(account_index: u64, markets: &[Market]) -> Stream {
        Stream {
            account_index,
            channels: [Channel::Off; CHANNELS.len()],
            renew: [false; CHANNELS.len()],
            token: None,
            token_minted: Nanos::ZERO,
            pulse: Pulse::new(ACCOUNT_LANE),
            since: Nanos::ZERO,
            closing: None,
            owes_position: None,
            has_gap: false,
            start_us: None,
            markets: markets
                .iter()
                .filter(|market| market.venue == Venue::Lighter)
                .map(|market| (u64::from(market.venue_market), market.instrument))
                .collect(),
            totals: Totals::new(),
        }
    }

    /// The connection went up or down. A fresh token is signed for every new connection.
    #[cold]
    pub fn on_link(&mut self, up: bool, now: Nanos, who: &ApiKey, source: &mut NonceSource) {
        self.pulse.on_link(up, now);
        self.since = now;
        self.channels = [Channel::Off; CHANNELS.len()];
        self.renew = [false; CHANNELS.len()];
        (self.closing, self.owes_position) = (None, None);
        if up {
            self.has_gap = self.start_us.is_some();
            self.start_us.get_or_insert(now.0 / 1000);
            self.mint(now, who, source);
        }
    }

    /// All channels have been listened to from then on: they owe word of what was sent later.
    pub fn is_up_since(&self, sent: Nanos) -> bool {
        self.is_complete() && self.since <= sent
    }

    /// The token of this connection, for REST reads of the account.
    pub fn token(&self) -> Option<&AuthToken> {
        self.token.as_ref()
    }

    /// Whether trades are to be asked for, told once: the channels are whole again after a break,
    /// and the snapshot of trades was empty when it was seen (source *ws*, test network).
    pub fn take_gap(&mut self) -> bool {
        let is_due = self.has_gap && self.is_complete();
        self.has_gap &= !is_due;
        is_due
    }

    /// All channels are confirmed and the connection is to stay; a channel that is only being
    /// renewed counts.
    pub fn is_complete(&self) -> bool {
        let mut pairs = self.channels.iter().zip(self.renew);
        self.pulse.is_live()
            && self.closing.is_none()
            && pairs.all(|(channel, renew)| {
                *channel == Channel::Live || (renew && *channel != Channel::Off)
            })
    }

    /// One message. `Malformed` has asked for a new connection: better a second without the stream
    /// than a position that is off by one fill.
    pub fn on_message(&mut self, root: Json, sink: &mut Sink, out: &mut Outbox) -> FrameKind {
        let (kind, name) = wire::classify(root);
        if kind == Kind::Shutdown {
            self.closing = Some(closing_at(root, sink.now));
            return FrameKind::Control;
        }
        if self.pulse.take(kind, sink.now, out) {
            if kind == Kind::Connected {
                self.subscribe_all(sink.now, out);
            }
            return FrameKind::Control;
        }
        let channel_idx = CHANNELS.iter().position(|channel| *channel == name);
        let Some(channel_idx) = channel_idx else {
            if kind == Kind::Error {
                return self.on_refusal(root, out);
            }
            return FrameKind::Unknown;
        };
        if kind == Kind::Unsubscribed {
            self.subscribe(channel_idx, sink.now, out);
            return FrameKind::Control;
        }
        let is_snapshot = kind == Kind::Subscribed;
        if !is_snapshot && kind != Kind::Update {
            return FrameKind::Unknown;
        }
        let read = match channel_idx {
            0 => self.on_orders(root, is_snapshot, sink),
            1 => self.on_trades(root, is_snapshot, sink),
            2 => self.on_positions(root, is_snapshot, sink),
            _ => on_stats(root, sink),
        };
        if read.is_none() {
            out.reconnect(ACCOUNT_LANE);
            return FrameKind::Malformed;
        }
        if is_snapshot {
            self.channels[channel_idx] = Channel::Live;
            self.renew[channel_idx] = false;
            return FrameKind::Snapshot;
        }
        FrameKind::Update
    }

    /// Word of an order that was sent at `since` is due.
    pub fn wait(&mut self, since: Nanos, now: Nanos, out: &mut Outbox) {
        self.pulse.wait(since, now, out);
    }

    /// Deadlines and token renewal. A connection whose end was announced is left once no order is
    /// under way (`is_quiet`), or shortly before its end.
    #[cold]
    pub fn on_beat(
        &mut self,
        now: Nanos,
        (who, source): (&ApiKey, &mut NonceSource),
        is_quiet: bool,
        out: &mut Outbox,
    ) {
        self.pulse.on_beat(now, out);
        if !self.pulse.is_live() {
            return;
        }
        let is_deaf = self
            .owes_position
            .is_some_and(|at| now.since(at) >= POSITION_NS_MAX);
        if is_deaf || self.closing.is_some_and(|until| is_quiet || now >= until) {
            return self.pulse.give_up(out);
        }
        if now.since(self.token_minted) >= TOKEN_LIFE_NS / 2 && self.mint(now, who, source) {
            self.renew = [true; CHANNELS.len()];
        }
        let mut is_quiet = true;
        for channel in self.channels {
            if let Channel::Subscribing { until } | Channel::Leaving { until } = channel {
                is_quiet = false;
                if now >= until {
                    out.reconnect(ACCOUNT_LANE);
                    self.pulse.on_link(false, now);
                    return;
                }
            }
        }
        let waiting = self.channels.iter().position(|c| *c == Channel::Off);
        if let Some(channel_idx) = waiting {
            self.subscribe(channel_idx, now, out);
        } else if is_quiet && let Some(channel_idx) = self.renew.iter().position(|renew| *renew) {
            self.leave(channel_idx, now, out);
        }
    }

    /// Whether a new token was signed.
    fn mint(&mut self, now: Nanos, who: &ApiKey, source: &mut NonceSource) -> bool {
        let deadline_s = now.plus(TOKEN_LIFE_NS).0 / SECOND;
        let token = AuthToken::sign(
            &who.private,
            deadline_s,
            self.account_index,
            who.index,
            source,
        );
        let Ok(token) = token else { return false };
        self.token = Some(token);
        self.token_minted = now;
        true
    }

    #[cold]
    fn subscribe_all(&mut self, now: Nanos, out: &mut Outbox) {
        for channel_idx in 0..CHANNELS.len() {
            self.subscribe(channel_idx, now, out);
        }
    }

    /// Subscribes; what does not fit the outbox stays off until the next beat.
    #[cold]
    fn subscribe(&mut self, channel_idx: usize, now: Nanos, out: &mut Outbox) {
        let Some(token) = &self.token else { return };
        let account_index = self.account_index;
        let sent = out.message(ACCOUNT_LANE, OutKind::Text, |text| {
            text.put(b"{\"type\":\"subscribe\",\"channel\":\"");
            text.put(CHANNELS[channel_idx].as_bytes()).put(b"/");
            text.put_integer(account_index).put(b"\",\"auth\":\"");
            text.put(token.text()).put(b"\"}");
        });
        self.channels[channel_idx] = if sent {
            Channel::Subscribing {
                until: now.plus(ANSWER_NS_MAX),
            }
        } else {
            Channel::Off
        };
    }

    #[cold]
    fn leave(&mut self, channel_idx: usize, now: Nanos, out: &mut Outbox) {
        let account_index = self.account_index;
        let sent = out.message(ACCOUNT_LANE, OutKind::Text, |text| {
            text.put(b"{\"type\":\"unsubscribe\",\"channel\":\"");
            text.put(CHANNELS[channel_idx].as_bytes()).put(b"/");
            text.put_integer(account_index).put(b"\"}");
        });
        if sent {
            self.channels[channel_idx] = Channel::Leaving {
                until: now.plus(ANSWER_NS_MAX),
            };
        }
    }

    /// A refused token (20013, 20001) needs a new one, which every new connection brings. Other
    /// refusals leave a channel unanswered, and its deadline acts.
    #[cold]
    fn on_refusal(&mut self, root: Json, out: &mut Outbox) -> FrameKind {
        if let (Some(20_001 | 20_013), _) = wire::refusal(root) {
            out.reconnect(ACCOUNT_LANE);
        }
        FrameKind::Control
    }

    fn instrument(&self, venue_market: u64) -> Option<InstrumentId> {
        let mut markets = self.markets.iter();
        markets.find_map(|(id, instrument)| (*id == venue_market).then_some(*instrument))
    }

    /// Lists by market. A snapshot holds every open order: one we believe open and do not find
    /// there has ended while nobody listened.
    fn on_orders(&self, root: Json, is_snapshot: bool, sink: &mut Sink) -> Option<()> {
        if is_snapshot {
            for entry in sink.ledger.entries() {
                if entry.state == OrderState::Working {
                    entry.state = OrderState::Unknown;
                }
            }
        }
        for (_, orders) in wire::lists(root, "orders")? {
            for order in orders.items()? {
                self.on_order(order, sink)?;
            }
        }
        if is_snapshot {
            report_unknown(sink)?;
        }
        Some(())
    }

    /// One order. Orders of earlier runs, or placed by hand, are reported with the id they carry;
    /// only what is in the ledger is kept in sequence, by the venue's microseconds.
    fn on_order(&self, order: Json, sink: &mut Sink) -> Option<()> {
        let row = words::order_row(order)?;
        let instrument = self.instrument(row.venue_market);
        let Some(instrument) = instrument.filter(|_| row.id != OrderId::NONE) else {
            sink.ledger.strays.foreign += 1;
            return Some(());
        };
        let (state, filled) = (row.state, row.filled);
        if let Some(entry) = sink.ledger.find(row.id) {
            if row.updated_us < entry.updated_us {
                return Some(());
            }
            entry.updated_us = row.updated_us;
            entry.state = state;
            entry.filled = filled;
            entry.spent = Spent::Own;
        }
        sink.push(instrument, row.id, ReportKind::State { state, filled })
    }

    /// Lists by market. A snapshot repeats old trades: those before our first connection are not
    /// news.
    fn on_trades(&mut self, root: Json, is_snapshot: bool, sink: &mut Sink) -> Option<()> {
        for (_, trades) in wire::lists(root, "trades")? {
            for trade in trades.items()? {
                self.on_trade(trade, is_snapshot, sink)?;
            }
        }
        if !is_snapshot {
            self.owes_position.get_or_insert(sink.now);
        }
        Some(())
    }

    /// A list that was asked for, newest first. Fills come before what the venue took: it may be
    /// what they made.
    pub fn on_listed(&self, root: Json, sink: &mut Sink) -> Option<()> {
        for is_forced in [false, true] {
            for trade in root.field("trades")?.items()? {
                let sides = words::trade_row(trade)?.own_sides(self.account_index)?;
                let mut sides = sides.into_iter().flatten();
                if sides.any(|own| own.forced.is_some()) == is_forced {
                    self.on_trade(trade, true, sink)?;
                }
            }
        }
        Some(())
    }

    /// One trade. What names an order of ours is a fill, whatever the venue calls it; what names a
    /// stranger's, or none, is a fill too, under that name, unless nobody's order made it. It is
    /// remembered only after all its reports found room: a trade that did not fit comes again with
    /// the snapshot of the new connection.
    fn on_trade(&self, trade: Json, is_snapshot: bool, sink: &mut Sink) -> Option<()> {
        let trade = words::trade_row(trade)?;
        let Some(instrument) = self.instrument(trade.venue_market) else {
            return Some(());
        };
        let is_old = is_snapshot && trade.made_us()? < self.start_us.unwrap_or(0);
        if is_old || sink.ledger.is_seen(trade.number) {
            return Some(());
        }
        for own in trade.own_sides(self.account_index)?.into_iter().flatten() {
            let is_known = sink.ledger.find(own.order).is_some();
            match own.forced.filter(|_| !is_known) {
                Some(forced) => sink.push(instrument, OrderId::NONE, forced)?,
                None => {
                    sink.ledger.strays.foreign += u64::from(own.order == OrderId::NONE);
                    sink.push(instrument, own.order, own.fill)?;
                }
            }
        }
        sink.ledger.see(trade.number);
        Some(())
    }

    /// Positions by market. A snapshot leaves flat markets out: they are reported as zero.
    fn on_positions(&mut self, root: Json, is_snapshot: bool, sink: &mut Sink) -> Option<()> {
        self.owes_position = None;
        let positions = || wire::lists(root, "positions");
        for (_, position) in positions()? {
            let size = wire::size(position.field("position")?.text()?.as_bytes()).ok()?;
            let Some(instrument) = self.instrument(position.field("market_id")?.integer()?) else {
                sink.ledger.strays.foreign += u64::from(size != Size::ZERO);
                continue;
            };
            let is_short = position.field("sign")?.signed()? < 0;
            let size = if is_short { -size } else { size };
            // Before the position: what was charged is what was held.
            if let Some(funding) = self.totals.read(instrument, size, position) {
                sink.push(instrument, OrderId::NONE, funding)?;
            }
            sink.push(instrument, OrderId::NONE, ReportKind::Position { size })?;
        }
        if !is_snapshot {
            return Some(());
        }
        for (venue_market, instrument) in &self.markets {
            let is_listed = positions()?.any(|(_, position)| {
                position.field("market_id").and_then(Json::integer) == Some(*venue_market)
            });
            if !is_listed {
                let size = Size::ZERO;
                self.totals.note(*instrument, size, None);
                sink.push(*instrument, OrderId::NONE, ReportKind::Position { size })?;
            }
        }
        Some(())
    }
}

/// Equity is the portfolio value: collateral and unrealised profit.
fn on_stats(root: Json, sink: &mut Sink) -> Option<()> {
    let stats = root.field("stats")?;
    let amount = |key: &str| stats.field(key).and_then(wire::money);
    let kind = ReportKind::Balance {
        equity: amount("portfolio_value")?,
        available: amount("available_balance")?,
    };
    sink.push(InstrumentId(0), OrderId::NONE, kind)
}

/// Says of every order in doubt that it is.
#[cold]
fn report_unknown(sink: &mut Sink) -> Option<()> {
    for entry in sink.ledger.entries() {
        if entry.state != OrderState::Unknown {
            continue;
        }
        let report = Report {
            venue: Venue::Lighter,
            instrument: entry.instrument,
            order: entry.id,
            t: sink.now,
            kind: ReportKind::State {
                state: entry.state,
                filled: entry.filled,
            },
        };
        sink.reports.push(report).then_some(())?;
    }
    Some(())
}
