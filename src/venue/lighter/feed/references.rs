//! What stands beside the books: mark, index, funding and open interest of all markets, and trades.
//!
//! Promises: a number that can't be read is left out, and the others of its message are not. A
//! trade newer than its book makes the book owe a change. Refuses: to tell trades themselves.
//!
//! **The unit of funding.** `current_funding_rate` is in per cent of notional for the coming hour,
//! positive when longs pay; we tell ratios, so it is divided by a hundred. The documentation does
//! not say so; three recorded payloads do (`tests/data/lighter/lighter_messages.jsonl`):
//! - The frame "ws market_stats_subscribed_single" has, beside a rate of "-0.0028", the clamps
//!   "0.0500" and "4.0000" and the interest "0.0100", which the documentation gives as 0.05 %, 4 %
//!   and 0.01 % (for eight hours).
//! - An eighth of that interest, 0.00125 %, cut to four places, is the rate "0.0012" of an hour in
//!   "rest fundings": so the rate is of one hour, too.
//! - There it stands beside the payment "0.02707872" for one ETH, which was near 2256 then: 0.0012
//!   per cent.

// Open: a frame "ws market_stats_update_all" has clamps of "0.0001" and "0.0002"; it follows the
// documentation's form with invented numbers. A captured frame whose rate, an hour on, is compared
// with what GET fundings says was paid would settle the unit for good.

use super::books::{Book, Rows, about, about_none};
use super::channel::Topic;
use super::channels::Hearing;
use crate::market::Venue;
use crate::market::event::FrameKind;
use crate::market::reference::{Reference, ReferenceKind};
use crate::market::units::parse_decimal_rounded;
use crate::venue::lighter::wire::{self, Json, Kind};
use crate::venue::{Call, Heard, Lane};

/// Per cent in one whole.
const PER_CENT: i64 = 100;

impl Rows {
    /// Statistics of one market, or of all as a map by id.
    pub fn on_stats(&mut self, lane: Lane, kind: Kind, root: Json, call: &mut Call<'_>) -> Heard {
        if self.channels.hearing(Topic::Stats, 0, lane) == Hearing::Not {
            return about_none(FrameKind::Control);
        }
        if kind == Kind::Subscribed {
            self.channels.answer(Topic::Stats, 0, lane, call.now);
        }
        let Some(body) = root.field("market_stats").filter(|body| body.is_object()) else {
            return about_none(FrameKind::Malformed);
        };
        if let Some(number) = wire::channel_number(root) {
            self.tell_stats(number, body, call);
            return about_none(FrameKind::Reference);
        }
        for (key, stats) in body.entries() {
            if let Some(number) = wire::digits(key) {
                self.tell_stats(number, stats, call);
            }
        }
        about_none(FrameKind::Reference)
    }

    fn tell_stats(&self, number: u64, stats: Json, call: &mut Call<'_>) {
        let Some(row_idx) = self.row_idx(number) else {
            return;
        };
        let mut tell = |kind, value_e9| {
            call.told.references.push(Reference {
                instrument: self.rows[row_idx].instrument,
                venue: Venue::Lighter,
                kind,
                value_e9,
                t_recv: call.now,
            });
        };
        let (mut open, mut limit) = (None, None);
        for (key, value) in stats.entries() {
            let amount = || parse_decimal_rounded(value.text()?.as_bytes()).ok();
            let kind = match key {
                "mark_price" => ReferenceKind::Mark,
                "index_price" => ReferenceKind::Index,
                "current_funding_rate" => ReferenceKind::Funding,
                "open_interest" => {
                    open = amount();
                    continue;
                }
                "open_interest_limit" => {
                    limit = amount();
                    continue;
                }
                _ => continue,
            };
            if let Some(value_e9) = value.text().and_then(|text| value_e9(kind, text)) {
                tell(kind, value_e9);
            }
        }
        // A limit beyond what we can hold (2^56 in every market of the list) can't be read and is
        // none. Their unit is not documented; read as quote it is never more than what is left.
        if let (Some(limit), Some(open)) = (limit, open) {
            tell(
                ReferenceKind::OpenInterestLeft,
                limit.saturating_sub(open).max(0),
            );
        }
    }

    /// Trades of one market. The first frame replays the last fifty, of which the book knows.
    pub fn on_trade(&mut self, lane: Lane, kind: Kind, root: Json, call: &mut Call<'_>) -> Heard {
        let Some(venue_market) = wire::channel_number(root) else {
            return about_none(FrameKind::Malformed);
        };
        let Some(row_idx) = self.row_idx(venue_market) else {
            return about_none(FrameKind::WrongMarket);
        };
        let hearing = self.channels.hearing(Topic::Trade, row_idx, lane);
        let row = &mut self.rows[row_idx];
        let heard = about(row.instrument, FrameKind::Reference);
        match (hearing, row.book) {
            (Hearing::Not, _) => {}
            _ if kind == Kind::Subscribed => {
                self.channels.answer(Topic::Trade, row_idx, lane, call.now);
            }
            (Hearing::Living, Book::Live { sequence }) if is_news(root, sequence) => {
                row.watch.owe(call.now);
            }
            _ => {}
        }
        heard
    }
}

/// Whether the frame has a trade that a book of this engine sequence does not have yet.
fn is_news(root: Json, sequence: u64) -> bool {
    let nonce = root.field("nonce").and_then(Json::integer);
    let lists = [root.field("trades"), root.field("liquidation_trades")];
    let trades = lists.into_iter().flatten().filter_map(Json::items);
    nonce.is_some_and(|nonce| nonce > sequence) && trades.flatten().next().is_some()
}

/// A price, or an hour's funding as a ratio of notional, at 10^-9 and rounded to nearest.
fn value_e9(kind: ReferenceKind, text: &str) -> Option<i64> {
    let value = parse_decimal_rounded(text.as_bytes()).ok()?;
    match kind {
        ReferenceKind::Mark | ReferenceKind::Index => Some(value).filter(|value| *value > 0),
        ReferenceKind::OpenInterestLeft => Some(value),
        ReferenceKind::Funding => {
            let half = value.signum() * (PER_CENT / 2);
            value.checked_add(half).map(|value| value / PER_CENT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_as_they_are_and_funding_as_a_ratio() {
        for (kind, text, value) in [
            (ReferenceKind::Mark, "64356.3", Some(64_356_300_000_000)),
            (ReferenceKind::Index, "0.00000000051", Some(1)),
            (ReferenceKind::Mark, "0.0000", None),
            (ReferenceKind::Mark, "-1", None),
            (ReferenceKind::Mark, "x", None),
            (ReferenceKind::Funding, "-0.0028", Some(-28_000)),
            (ReferenceKind::Funding, "0.0012", Some(12_000)),
            (ReferenceKind::Funding, "0", Some(0)),
            (ReferenceKind::Funding, "0.00000005", Some(1)),
            (ReferenceKind::Funding, "-0.00000005", Some(-1)),
            (ReferenceKind::Funding, "0.000000049", Some(0)),
            (ReferenceKind::Funding, "9223372036.854775807", None),
        ] {
            assert_eq!(value_e9(kind, text), value, "{kind:?} {text}");
        }
    }

    /// Rate, payment and price of one hour, as recorded: a hundredth would be wrong by a hundred.
    #[test]
    fn the_recorded_payment_is_the_rate_of_the_price() {
        let rate_e9 = value_e9(ReferenceKind::Funding, "0.0012").expect("a rate");
        let paid_e9 = 27_078_720;
        let price = paid_e9 / rate_e9;
        assert!((2_200..2_300).contains(&price), "{price}");
    }
}
