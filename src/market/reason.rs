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
    /// The basis has moved for good; the fair is being learned anew.
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
}

/// All reasons, for reports.
pub const REASONS: [Reason; 20] = [
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
        }
    }
}
