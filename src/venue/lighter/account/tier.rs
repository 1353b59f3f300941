//! The account's tier: its fees, how long its takers are held back, how often it may send.
//!
//! Promises: what the venue documents of a tier, and nothing of one that is not in its table.
//! Refuses: to guess.

/// Tier and fees of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `standard`, `plus`, `premium`.
    pub tier: String,
    /// Taker fee, 10^-6 of notional.
    pub taker_fee_e6: u32,
    /// Maker fee, 10^-6 of notional.
    pub maker_fee_e6: u32,
}

/// The premium tier by its taker fee, which falls with the stake: fee in 10^-6 of notional, nominal
/// delay of taker orders in milliseconds, transactions a minute. Source: *fees* and *limits* in the
/// venue's Sources.
const PREMIUM: [(u32, u64, u32); 8] = [
    (280, 200, 4_000),
    (273, 195, 5_000),
    (266, 190, 6_000),
    (252, 180, 7_000),
    (238, 170, 8_000),
    (224, 160, 12_000),
    (210, 150, 24_000),
    (196, 140, 40_000),
];
/// The delay of the other tiers, and their transactions a minute.
const STANDARD_DELAY_MS: u64 = 300;
const STANDARD_SENDS: u32 = 60;
const PLUS_SENDS: u32 = 8_000;

impl Limits {
    /// For how long the venue holds taker orders of this tier back, milliseconds, as it documents
    /// it; `None` for a tier that is not in its table.
    pub fn taker_delay_ms(&self) -> Option<u64> {
        match self.tier.as_str() {
            "standard" | "plus" => Some(STANDARD_DELAY_MS),
            "premium" => Some(self.premium()?.1),
            _ => None,
        }
    }

    /// How many transactions a minute the venue takes of this tier, as it documents it; `None` for
    /// a tier that is not in its table.
    pub fn sends_per_minute(&self) -> Option<u32> {
        match self.tier.as_str() {
            "standard" => Some(STANDARD_SENDS),
            "plus" => Some(PLUS_SENDS),
            "premium" => Some(self.premium()?.2),
            _ => None,
        }
    }

    fn premium(&self) -> Option<&'static (u32, u64, u32)> {
        let mut rows = PREMIUM.iter();
        rows.find(|(fee_e6, ..)| *fee_e6 == self.taker_fee_e6)
    }
}
