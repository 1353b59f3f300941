//! What crosses the journal links: one fixed-size record per thing worth knowing afterwards.
//!
//! Hot stages push these as plain values and forget them; the recorder counts, sums and prints.

use crate::market::book::Side;
pub use crate::market::control::{Adopted, Control, Status, Terms};
use crate::market::edge::Parts;
pub use crate::market::frame::{DOUBTS, Doubt, FrameKind};
use crate::market::lasting::Standing;
pub use crate::market::level::Level;
use crate::market::order::{Force, OrderId, OrderState, Refusal, Signing, Strays};
pub use crate::market::reason::{REASONS, Reason};
pub use crate::market::score::{Expected, Score};
pub use crate::market::step::{STEPS, Step};
use crate::market::units::{Bps, Nanos, Notional, Price, Size};
use crate::market::{InstrumentId, VENUE_COUNT, Venue};

/// How a pair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairEnd {
    /// Never opened: the first leg did not fill. No money moved.
    Missed,
    /// Both legs opened and both closed.
    Closed,
    /// One leg filled, the other could not be; the filled one was taken back.
    Unwound,
    /// Could not be settled within its bounds; needs a human.
    Stuck,
}

/// Why a hedged pair was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitCause {
    /// The executable exit basis came back to the pair's fair.
    Converged,
    /// The stop-loss.
    Stop,
    /// Held as long as allowed.
    Time,
    /// The run is draining.
    Drain,
    /// An edge the other way round: this pair gives way.
    Opposite,
    /// The next funding payments would cost more than it still brings.
    Funding,
    /// A venue's distance to liquidation.
    Margin,
    /// The venue took one leg away (liquidation, deleveraging).
    Forced,
    /// It was never hedged (missed, unwound, stuck).
    NotHedged,
}

/// The account of one finished pair. All money in quote, signed: positive is ours.
/// `total = edge + slippage - fees + funding + repair`, exactly.
#[derive(Clone, Copy, Debug)]
pub struct PairSummary {
    /// Pair number within the run.
    pub pair: u32,
    /// On which instrument.
    pub instrument: InstrumentId,
    /// The venue where the pair bought to open.
    pub long: Venue,
    /// How it ended.
    pub end: PairEnd,
    /// Why it was left.
    pub cause: ExitCause,
    /// When the entry was decided.
    pub t_entry: Nanos,
    /// When it was over.
    pub t_end: Nanos,
    /// Size opened on both legs (the smaller).
    pub size: Size,
    /// Gross edge seen at the decision, bps over the fair.
    pub gross: Bps,
    /// Net edge expected at the decision, bps.
    pub net: Bps,
    /// What the two ladders promised at the decisions (entry and exit), for the size that filled.
    pub edge: Notional,
    /// Fills against those promises; negative is worse.
    pub slippage: Notional,
    /// Fees paid, positive.
    pub fees: Notional,
    /// Funding received, negative when paid.
    pub funding: Notional,
    /// Cost of unwinding or re-hedging, as its own cause; negative is a cost.
    pub repair: Notional,
    /// What the pair made.
    pub total: Notional,
}

/// One record on a journal link.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A duration of one corridor step.
    Latency {
        /// Which step.
        step: Step,
        /// How long.
        ns: u64,
    },
    /// A venue message was handled by a feed.
    Frame {
        /// From where.
        venue: Venue,
        /// What it was.
        kind: FrameKind,
        /// Level changes it carried.
        deltas: u32,
    },
    /// A feed asked for a market anew.
    Resync {
        /// Where.
        venue: Venue,
        /// Which.
        instrument: InstrumentId,
    },
    /// A book was doubted, made stale and asked for anew.
    Doubted {
        /// Where.
        venue: Venue,
        /// Which.
        instrument: InstrumentId,
        /// Why.
        why: Doubt,
    },
    /// A market fell behind: the link to the scanner was full, and its book is sent again.
    Behind {
        /// Where.
        venue: Venue,
        /// Which.
        instrument: InstrumentId,
    },
    /// The venue announced that it will end a connection; another is made first.
    Shutdown {
        /// Which venue.
        venue: Venue,
    },
    /// The venue turned dials away (403, 405, 429): none is made until then.
    Cooldown {
        /// Which venue.
        venue: Venue,
        /// Until when.
        until: Nanos,
    },
    /// More records than ever wait on the link from a feed to the scanner.
    Fullest {
        /// Whose feed.
        venue: Venue,
        /// How many.
        records: u32,
        /// How many fit.
        of: u32,
    },
    /// What our clock showed more than the venue's when its fastest message of late came in: the
    /// difference of the clocks and the shortest way. Negative: the venue's clock is ahead.
    Offset {
        /// Which venue.
        venue: Venue,
        /// Nanoseconds.
        ns: i64,
    },
    /// A connection came up (`up`) or was lost.
    Link {
        /// Whose.
        venue: Venue,
        /// Up or down.
        up: bool,
        /// Which kind of stage: true for the gateway, false for the feed.
        gateway: bool,
    },
    /// The start of an episode in which a direction's gross edge stood above the minimum.
    Seen {
        /// Which instrument.
        instrument: InstrumentId,
        /// Where we would buy.
        long: Venue,
        /// Gross edge at the touch.
        gross: Bps,
        /// When.
        t: Nanos,
    },
    /// The episode was refused, first reason only, once per episode and reason.
    Refused {
        /// Which instrument.
        instrument: InstrumentId,
        /// Where we would have bought.
        long: Venue,
        /// Why.
        reason: Reason,
        /// When.
        t: Nanos,
    },
    /// The opportunity was taken: a pair's entry was sent.
    Taken {
        /// The pair.
        pair: u32,
        /// Which instrument.
        instrument: InstrumentId,
        /// Where we buy.
        long: Venue,
        /// Whose leg goes first; `None`: both at once.
        lead: Option<Venue>,
        /// Size asked.
        size: Size,
        /// Gross edge.
        gross: Bps,
        /// Net edge.
        net: Bps,
        /// What both are made of.
        parts: Parts,
        /// The limit that bound the size; `None`: the books did.
        bound: Option<Reason>,
        /// When.
        t: Nanos,
    },
    /// An order of a pair has filled, and so much lay within its limit when that was heard.
    Matched {
        /// The pair.
        pair: u32,
        /// Where.
        venue: Venue,
        /// It made the position larger.
        opens: bool,
        /// What filled.
        size: Size,
        /// Size visible within the order's limit, our own fill perhaps taken off already.
        depth: Size,
    },
    /// What became of an edge that was followed to its arrival, taken or not.
    Scored(Score),
    /// Both legs of a pair are filled.
    Hedged {
        /// The pair.
        pair: u32,
        /// When.
        t: Nanos,
    },
    /// How long a leg stood alone, from its first fill to its hedge or unwind, and its risk.
    Unhedged {
        /// The pair.
        pair: u32,
        /// Duration.
        ns: u64,
        /// What stood alone times how long, USD-seconds.
        usd_s: Notional,
        /// Most that stood alone at any moment.
        most: Notional,
        /// The venue took a leg away meanwhile: that comes on top of what was under way.
        is_forced: bool,
        /// Least that it was worth meanwhile on executable prices, against its entry; negative is a
        /// loss.
        worst: Notional,
        /// Most that it was worth meanwhile.
        best: Notional,
    },
    /// A pair is over.
    Pair(PairSummary),
    /// An order left.
    OrderSent {
        /// Where.
        venue: Venue,
        /// Which.
        order: OrderId,
        /// Buys or sells.
        side: Side,
        /// Limit.
        price: Price,
        /// Size.
        size: Size,
    },
    /// An order's state changed.
    OrderState {
        /// Where.
        venue: Venue,
        /// Which.
        order: OrderId,
        /// To what.
        state: OrderState,
        /// The venue's code when rejected, else 0.
        code: u32,
    },
    /// A gateway refused to send.
    NotSent {
        /// Where.
        venue: Venue,
        /// Which.
        order: OrderId,
        /// Why.
        why: Refusal,
    },
    /// A trade of ours.
    Fill {
        /// Where.
        venue: Venue,
        /// Of which order.
        order: OrderId,
        /// Bought or sold.
        side: Side,
        /// Price.
        price: Price,
        /// Size.
        size: Size,
        /// Fee paid.
        fee: Notional,
    },
    /// An order left with a signature.
    Signed {
        /// Where.
        venue: Venue,
        /// How it was made.
        how: Signing,
        /// The order answers a tick: it is the first of a pair.
        is_first: bool,
    },
    /// The venue took a position away.
    Forced {
        /// Where.
        venue: Venue,
        /// Which.
        instrument: InstrumentId,
        /// `Bid` if it bought for us.
        side: Side,
        /// Price.
        price: Price,
        /// Size.
        size: Size,
        /// Fee paid.
        fee: Notional,
        /// By what right.
        why: Force,
    },
    /// The venue closed for maintenance, or opened again.
    Closed {
        /// Which venue.
        venue: Venue,
        /// Closed from now on.
        closed: bool,
    },
    /// A market refused or dropped so many of our orders in a row that it takes no more entries.
    StruckOut {
        /// Where.
        venue: Venue,
        /// Which.
        instrument: InstrumentId,
    },
    /// News of the account that nothing here explains, all of the run, where that has changed.
    Strays(Venue, Strays),
    /// What a market's pairs have earned it has changed.
    Standing {
        /// Which.
        instrument: InstrumentId,
        /// To what.
        standing: Standing,
    },
    /// Position by the venue.
    Position {
        /// Where.
        venue: Venue,
        /// Which.
        instrument: InstrumentId,
        /// Signed size.
        size: Size,
    },
    /// Account by the venue.
    Balance {
        /// Where.
        venue: Venue,
        /// Collateral and unrealised profit.
        equity: Notional,
        /// Free.
        available: Notional,
    },
    /// Funding by the venue.
    Funding {
        /// Where.
        venue: Venue,
        /// Which.
        instrument: InstrumentId,
        /// Received; negative: paid.
        amount: Notional,
    },
    /// Of that funding, what no pair explains: it stands in no pair's account.
    FundingApart {
        /// Where.
        venue: Venue,
        /// Which.
        instrument: InstrumentId,
        /// Received; negative: paid.
        amount: Notional,
    },
    /// A venue's distance to liquidation has come to another level.
    Margin {
        /// Where.
        venue: Venue,
        /// From now on.
        level: Level,
        /// How far all marks may move against us at once.
        distance: Bps,
        /// The same in 10^-3 of a sigma over the time to rebalance.
        sigmas_milli: i64,
        /// When.
        t: Nanos,
    },
    /// A stage raised halt.
    Halt {
        /// Why.
        why: HaltCause,
    },
    /// What a halt that the scanner raised was about.
    Apart(Apart),
}

/// Legs as our fills say, and as the venues do: those of a pair that can't be settled, or of a
/// market that holds what nobody explains. Arrays are by [`Venue::idx`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apart {
    /// The pair; `None`: all of the market's.
    pub pair: Option<u32>,
    /// Of which market.
    pub instrument: InstrumentId,
    /// Signed sizes that our fills explain.
    pub counted: [Size; VENUE_COUNT],
    /// How much of that orders in flight, unknown or late may still change.
    pub in_doubt: [Size; VENUE_COUNT],
    /// What the venue says that it is; `None`: nothing, or other pairs' orders are in the way.
    pub told: [Option<Size>; VENUE_COUNT],
}

/// Why halt was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltCause {
    /// A hedge could not be pushed to its gateway.
    HedgeLinkFull,
    /// The gateway's report backlog is full.
    ReportBacklogFull,
    /// A pair is stuck.
    PairStuck,
    /// A report named a position or order that nobody explains.
    Unexplained,
    /// An order of another run or program trades on this account.
    Foreign,
    /// A position is smaller than our fills explain, and no trade of the venue's has told why for
    /// minutes. The other leg was closed at once.
    Forced,
}
