//! Why an opportunity was refused: the one list of reasons, with their stable names.

/// Why an opportunity was not taken. Each is counted under its stable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Gross edge below MIN_EXECUTION_SPREAD_BPS.
    GrossBelowMin,
    /// Net edge below MIN_NET_EDGE_BPS.
    NetBelowMin,
    /// The fair basis is not known yet.
    FairWarmup,
    /// The basis has moved for good and the fair is being learned anew; or it may have: an edge
    /// that was entered has not gone since.
    RegimeChange,
    /// A book has been silent for too long.
    StaleBook,
    /// A book's last message was long on the way, by the venue's own clock.
    LateBook,
    /// A book has just come back and has not yet brought enough clean messages.
    Settling,
    /// The venues' mids or indexes, or a book and its own index, are further apart than one asset's
    /// can be.
    Divergent,
    /// The edge is too large to be believed.
    Implausible,
    /// Walked size is below what both venues accept.
    SizeBelowMin,
    /// MAX_POSITION_SIZE_USD is used up.
    MaxPosition,
    /// MAX_GROSS_USD is used up.
    MaxGross,
    /// Free margin on a venue would not carry it.
    Margin,
    /// All pair slots of the instrument are taken.
    NoSlot,
    /// A gateway is not live.
    GatewayDown,
    /// The venue's order budget must be kept for exits.
    RateBudget,
    /// The mode allows no entries, or the run is draining.
    EntriesOff,
    /// Too soon after the last pair or failure on this instrument.
    Cooldown,
    /// The order link was full.
    LinkFull,
    /// A venue's market list has changed so that this instrument is not to be entered.
    MarketOff,
    /// What would still stand when the slower leg matches, given that it fills, is below
    /// MIN_NET_EDGE_BPS, or not known yet.
    Arrival,
    /// The fair is not certain enough: its fast and slow medians disagree.
    Uncertain,
    /// The fair of all markets moves together: a currency, an oracle or a venue, not an edge.
    CommonMode,
    /// Between the two venues' funding payments of one hour, or too close to one that costs.
    FundingWindow,
    /// The share of equity that a venue's positions may have is used up.
    EquityShare,
    /// BALANCE_LIQUIDITY_RATIO: too little free balance for the liquidity taken.
    BalanceRatio,
    /// The venue's open-interest, order-value or price-cap limit would refuse it.
    OpenInterest,
    /// Money is on its way between the venues, and what it leaves is used up.
    Transfer,
    /// Too close to liquidation on a venue's own mark, or in its deleveraging queue.
    MarginDistance,
    /// The market is still at a smaller size until its pairs have done as predicted.
    Ramp,
    /// The market rests after a run of losing pairs.
    LosingRun,
    /// The day's loss is at its limit.
    DailyLoss,
    /// A circuit breaker is open; a human resets it.
    Breaker,
}

/// All reasons, for reports.
pub const REASONS: [Reason; 33] = [
    Reason::GrossBelowMin,
    Reason::NetBelowMin,
    Reason::FairWarmup,
    Reason::RegimeChange,
    Reason::StaleBook,
    Reason::LateBook,
    Reason::Settling,
    Reason::Divergent,
    Reason::Implausible,
    Reason::SizeBelowMin,
    Reason::MaxPosition,
    Reason::MaxGross,
    Reason::Margin,
    Reason::NoSlot,
    Reason::GatewayDown,
    Reason::RateBudget,
    Reason::EntriesOff,
    Reason::Cooldown,
    Reason::LinkFull,
    Reason::MarketOff,
    Reason::Arrival,
    Reason::Uncertain,
    Reason::CommonMode,
    Reason::FundingWindow,
    Reason::EquityShare,
    Reason::BalanceRatio,
    Reason::OpenInterest,
    Reason::Transfer,
    Reason::MarginDistance,
    Reason::Ramp,
    Reason::LosingRun,
    Reason::DailyLoss,
    Reason::Breaker,
];

impl Reason {
    /// Stable JSON name.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::GrossBelowMin => "gross_below_min",
            Reason::NetBelowMin => "net_below_min",
            Reason::FairWarmup => "fair_warmup",
            Reason::RegimeChange => "regime_change",
            Reason::StaleBook => "stale_book",
            Reason::LateBook => "late_book",
            Reason::Settling => "settling",
            Reason::Divergent => "divergent",
            Reason::Implausible => "implausible",
            Reason::SizeBelowMin => "size_below_min",
            Reason::MaxPosition => "max_position",
            Reason::MaxGross => "max_gross",
            Reason::Margin => "margin",
            Reason::NoSlot => "no_slot",
            Reason::GatewayDown => "gateway_down",
            Reason::RateBudget => "rate_budget",
            Reason::EntriesOff => "entries_off",
            Reason::Cooldown => "cooldown",
            Reason::LinkFull => "link_full",
            Reason::MarketOff => "market_off",
            Reason::Arrival => "arrival",
            Reason::Uncertain => "uncertain",
            Reason::CommonMode => "common_mode",
            Reason::FundingWindow => "funding_window",
            Reason::EquityShare => "equity_share",
            Reason::BalanceRatio => "balance_ratio",
            Reason::OpenInterest => "open_interest",
            Reason::Transfer => "transfer",
            Reason::MarginDistance => "margin_distance",
            Reason::Ramp => "ramp",
            Reason::LosingRun => "losing_run",
            Reason::DailyLoss => "daily_loss",
            Reason::Breaker => "breaker",
        }
    }
}
