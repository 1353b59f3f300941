//! The report of `demo` and `run` as one JSON object, for programs.
//!
//! Promises: the field names are stable; a figure that nobody knows is null, never 0; money is in
//! dollars, durations say their unit in their name. Refuses: text for people, which is `report`.

use crate::market::event::{Apart, PairEnd, REASONS, STEPS};
use crate::market::order::Strays;
use crate::market::units::{Notional, SCALE, Size};
use crate::market::{VENUES, Venue};
use crate::record::durations::{Durations, Quantiles};
use crate::record::{Facts, Money, Origins, SignedCounts, Totals, market_data, names};
use serde_json::{Map, Value, json};

/// The whole object. Print it on one line, the last of standard output.
// Long: one line a field, in the order in which they are read.
pub fn report(totals: &Totals, facts: &Facts) -> Value {
    let origins = totals.by_origin(facts.planted.as_deref());
    let markets: Vec<&str> = facts.markets.iter().map(|name| name.as_str()).collect();
    let refused = REASONS.map(|reason| totals.refusals.count(reason));
    let (scored, by_market) = totals.refusals.json(&facts.markets);
    let venues = if facts.is_simulated {
        "simulated"
    } else {
        "live"
    };
    json!({
        "mode": facts.mode,
        "paper": facts.is_paper,
        "venues": venues,
        "seconds": facts.seconds(),
        "seats": seats(facts),
        "markets": markets,
        "frames": by_venue(|venue| totals.frames[venue.idx()].iter().sum::<u64>().into()),
        "frame_kinds": by_venue(|venue| frame_kinds(totals, venue)),
        "market_data": by_venue(|venue| market_data::json(totals, venue)),
        "deltas": totals.deltas,
        "gaps": frames_of(totals, names::FRAME_KINDS[GAP]),
        "resyncs": totals.resyncs.iter().sum::<u64>(),
        "links_lost": by_venue(|venue| {
            let [feed, gateway] = totals.links_lost[venue.idx()];
            json!({"feed": feed, "gateway": gateway})
        }),
        "opportunities": {
            "seen": totals.seen,
            "taken": totals.taken,
            "refused": counts(REASONS.iter().map(|reason| reason.name()), &refused),
            "scored": scored,
            "refused_by_market": by_market,
            "edge_bps_max": totals.edge_best.to_f64(),
        },
        "board": totals.board.json(&facts.markets),
        "edges": totals.edges.json(),
        "pairs": pairs(totals, origins),
        "orders": by_venue(|venue| orders(totals, venue)),
        "fills": by_venue(|venue| {
            let fills = &totals.fills[venue.idx()];
            json!({
                "count": fills.count,
                "notional_usd": fills.notional.to_usd_f64(),
                "fees_usd": fills.fees.to_usd_f64(),
            })
        }),
        "unhedged_ms": unhedged(&totals.unhedged),
        "exposure": exposure(totals),
        "funding": funding(totals),
        "forced": by_venue(|venue| totals.forced[venue.idx()].into()),
        "closed": by_venue(|venue| totals.closed[venue.idx()].into()),
        "struck_out": by_venue(|venue| totals.struck_out[venue.idx()].into()),
        "strays": by_venue(|venue| strays(totals.strays[venue.idx()])),
        "pnl_usd": money(&totals.money, origins, facts.is_paper),
        "positions": positions(totals, facts),
        "margin": by_venue(|venue| json!(names::margin_level(totals.margin[venue.idx()]))),
        "balances": by_venue(|venue| match totals.balances[venue.idx()] {
            Some((equity, available)) => json!({
                "equity_usd": equity.to_usd_f64(),
                "available_usd": available.to_usd_f64(),
            }),
            None => Value::Null,
        }),
        "signing": signing(totals),
        "latency_ns": latency(totals),
        "halts": halts(totals),
        "apart": totals.apart.iter().map(|one| apart(one, facts)).collect::<Value>(),
        "journal_dropped": facts.journal_dropped,
        "unbalanced_pairs": totals.unbalanced,
    })
}

/// How signatures were made: in all, by venue, and of orders that answered a tick.
fn signing(totals: &Totals) -> Value {
    let ways = |counts: SignedCounts| {
        let SignedCounts { ready, ahead, full } = counts;
        json!({"ready": ready, "nonce_ahead": ahead, "full": full})
    };
    let mut all = ways(SignedCounts::sum(totals.signed));
    all["by_venue"] = by_venue(|venue| ways(totals.signed[venue.idx()]));
    all["first_orders"] = by_venue(|venue| ways(totals.signed_first[venue.idx()]));
    all
}

/// An object with one entry for each venue, under its stable name.
fn by_venue(value: impl Fn(Venue) -> Value) -> Value {
    let object: Map<String, Value> = VENUES
        .iter()
        .map(|&venue| (venue.name().to_owned(), value(venue)))
        .collect();
    Value::Object(object)
}

/// Counters under their names. Those at zero are there too, so that a reader never has to ask
/// whether a name is missing or spelled otherwise.
fn counts(names: impl Iterator<Item = &'static str>, counts: &[u64]) -> Value {
    let object: Map<String, Value> = names
        .zip(counts)
        .map(|(name, &count)| (name.to_owned(), count.into()))
        .collect();
    Value::Object(object)
}

/// Stage and core; null where the stage is not pinned.
fn seats(facts: &Facts) -> Value {
    let object: Map<String, Value> = facts
        .seats
        .iter()
        .map(|(stage, core)| (stage.clone(), json!(core)))
        .collect();
    Value::Object(object)
}

/// What the messages of a venue were.
fn frame_kinds(totals: &Totals, venue: Venue) -> Value {
    let kinds = names::FRAME_KINDS
        .iter()
        .map(|&kind| names::frame_kind(kind));
    counts(kinds, &totals.frames[venue.idx()])
}

/// Messages of one kind from both venues.
fn frames_of(totals: &Totals, kind: crate::market::event::FrameKind) -> u64 {
    totals.frames.iter().map(|kinds| kinds[kind as usize]).sum()
}

/// What a halt was about: a market or a pair, as our fills and as the venues say.
fn apart(apart: &Apart, facts: &Facts) -> Value {
    json!({
        "market": facts.market(apart.instrument),
        "pair": apart.pair,
        "counted": by_venue(|venue| json!(whole(apart.counted[venue.idx()]))),
        "in_doubt": by_venue(|venue| json!(whole(apart.in_doubt[venue.idx()]))),
        "told": by_venue(|venue| json!(apart.told[venue.idx()].map(whole))),
    })
}

/// Raised halts by cause; all zero after a run that ended well.
fn halts(totals: &Totals) -> Value {
    let whys = names::HALT_CAUSES.iter().map(|&why| names::halt_cause(why));
    counts(whys, &totals.halts)
}

/// Pairs by end. `opened` counts those of which any leg filled; `planted` and `natural` divide the
/// finished ones among them.
fn pairs(totals: &Totals, origins: Option<Origins>) -> Value {
    let causes = names::EXIT_CAUSES
        .iter()
        .map(|&cause| names::exit_cause(cause));
    json!({
        "opened": totals.opened(),
        "closed": totals.ended(PairEnd::Closed),
        "hedged": totals.hedged,
        "unwound": totals.ended(PairEnd::Unwound),
        "stuck": totals.ended(PairEnd::Stuck),
        "missed": totals.ended(PairEnd::Missed),
        "led_by": led_by(totals),
        "planted": origins.map(|origins| origins.planted.count),
        "natural": origins.map(|origins| origins.natural.count),
        "causes": counts(causes, &totals.causes),
    })
}

/// Orders of a venue by state, and those that never left by the gateway's reason.
fn orders(totals: &Totals, venue: Venue) -> Value {
    let orders = &totals.orders[venue.idx()];
    let whys = names::REFUSALS.iter().map(|&why| names::refusal(why));
    json!({
        "sent": orders.sent,
        "working": orders.working,
        "filled": orders.filled,
        "cancelled": orders.cancelled,
        "rejected": orders.rejected,
        "unknown": orders.unknown,
        "not_sent": counts(whys, &orders.not_sent),
    })
}

/// News of the account that nothing explained.
fn strays(strays: Strays) -> Value {
    json!({ "foreign": strays.foreign, "missing": strays.missing })
}

/// How long one leg stood alone, in milliseconds: the venues' own delay is most of it.
fn unhedged(durations: &Durations) -> Value {
    let ms = |pick: fn(&Quantiles) -> u64| durations.quantiles().map(|q| pick(&q) as f64 / 1e6);
    json!({
        "count": durations.count(),
        "p50": ms(|q| q.p50),
        "p99": ms(|q| q.p99),
        "max": ms(|q| q.max),
    })
}

/// Pairs whose entry was sent, by the order of their legs.
fn led_by(totals: &Totals) -> Value {
    let mut object = by_venue(|venue| totals.led[venue.idx()].into());
    object["both"] = totals.both_at_once().into();
    object
}

/// What lone legs risked. The bounds are null when no leg ever stood alone.
fn exposure(totals: &Totals) -> Value {
    let exposure = &totals.exposure;
    let any = totals.unhedged.count() > 0;
    json!({
        "usd_s": exposure.usd_s.to_usd_f64(),
        "most_usd": exposure.most[0].to_usd_f64(),
        "most_forced_usd": exposure.most[1].to_usd_f64(),
        "worst_usd": any.then(|| exposure.worst.to_usd_f64()),
        "best_usd": any.then(|| exposure.best.to_usd_f64()),
    })
}

/// Profit and loss of finished pairs; of nobody's money when `paper` is true. Floats only here, at
/// the very end: the sums are exact.
fn money(money: &Money, origins: Option<Origins>, is_paper: bool) -> Value {
    let usd = |amount: Notional| amount.to_usd_f64();
    json!({
        "edge": usd(money.edge),
        "slippage": usd(money.slippage),
        "fees": usd(money.fees),
        "funding": usd(money.funding),
        "repair": usd(money.repair),
        "total": usd(money.total),
        "planted": origins.map(|origins| usd(origins.planted.total)),
        "natural": origins.map(|origins| usd(origins.natural.total)),
        "paper": is_paper,
    })
}

/// Funding by the venues' word, and what of it is in no pair's account. None of it on paper, where
/// the pairs have all there is.
fn funding(totals: &Totals) -> Value {
    let [extended, lighter] = totals.funding.map(Notional::to_usd_f64);
    let apart = totals.funding_apart.to_usd_f64();
    json!({"extended": extended, "lighter": lighter, "apart": apart})
}

/// Positions by the venue's word. `net` is computed before the floats, so that hedged reads 0.
fn positions(totals: &Totals, facts: &Facts) -> Value {
    let object: Map<String, Value> = facts
        .markets
        .iter()
        .zip(totals.positions.iter())
        .map(|(name, [extended, lighter])| {
            let position = json!({
                "extended": whole(*extended),
                "lighter": whole(*lighter),
                "net": whole(*extended + *lighter),
            });
            (name.as_str().to_owned(), position)
        })
        .collect();
    Value::Object(object)
}

fn whole(size: Size) -> f64 {
    size.0 as f64 / SCALE as f64
}

/// Every step, also those never taken: count 0 and null figures.
fn latency(totals: &Totals) -> Value {
    let object: Map<String, Value> = STEPS
        .iter()
        .map(|&step| {
            let durations = totals.step(step);
            let ns = |pick: fn(&Quantiles) -> u64| durations.quantiles().map(|q| pick(&q));
            let figures = json!({
                "count": durations.count(),
                "mean": ns(|q| q.mean),
                "p50": ns(|q| q.p50),
                "p90": ns(|q| q.p90),
                "p99": ns(|q| q.p99),
                "p999": ns(|q| q.p999),
                "max": ns(|q| q.max),
            });
            (step.name().to_owned(), figures)
        })
        .collect();
    Value::Object(object)
}

/// Place of gaps among the kinds of frames.
const GAP: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::event::FrameKind;
    use crate::record::tests::{facts, run};

    /// Every path of the stable part, as promised to programs.
    const PATHS: &str = "mode paper pnl_usd/paper venues seconds seats markets frames/extended \
        frames/lighter deltas gaps resyncs opportunities/seen opportunities/taken \
        opportunities/refused/net_below_min pairs/opened pairs/closed pairs/hedged \
        pairs/unwound pairs/stuck pairs/planted pairs/natural orders/extended/sent \
        orders/lighter/rejected unhedged_ms/p50 unhedged_ms/p99 unhedged_ms/max exposure/usd_s \
        exposure/most_usd exposure/most_forced_usd exposure/worst_usd exposure/best_usd \
        forced/extended closed/lighter funding/extended funding/lighter funding/apart \
        struck_out/lighter strays/lighter/foreign strays/extended/missing \
        pairs/led_by/lighter pnl_usd/edge pnl_usd/slippage pnl_usd/fees \
        pnl_usd/funding pnl_usd/repair pnl_usd/total pnl_usd/planted pnl_usd/natural \
        positions/BTC/extended positions/BTC/lighter positions/BTC/net signing/ready \
        signing/nonce_ahead signing/full signing/by_venue/extended/ready \
        signing/first_orders/lighter/full";

    #[test]
    fn every_promised_field_is_there() {
        let (totals, facts) = run();
        let report = report(&totals, &facts);
        for path in PATHS.split_whitespace() {
            let found = report.pointer(&format!("/{path}"));
            assert!(found.is_some_and(|value| !value.is_null()), "{path}");
        }
        for step in STEPS {
            for figure in ["count", "p50", "p90", "p99", "p999", "max"] {
                let path = format!("/latency_ns/{}/{figure}", step.name());
                assert!(report.pointer(&path).is_some_and(Value::is_u64), "{path}");
            }
        }
    }

    #[test]
    fn figures() {
        let (totals, facts) = run();
        let report = report(&totals, &facts);
        assert_eq!(report["venues"], "simulated");
        assert_eq!(report["seconds"], 60.0);
        assert_eq!(report["gaps"], 1);
        assert_eq!(names::FRAME_KINDS[GAP], FrameKind::Gap);
        assert_eq!(report["frames"], json!({"extended": 0, "lighter": 2}));
        assert_eq!(
            report["seats"],
            json!({"scanner": 1, "feed-extended": null})
        );
        assert_eq!(report["pnl_usd"]["total"], 0.14);
        assert_eq!(report["pnl_usd"]["planted"], 0.31);
        assert_eq!(report["pairs"]["opened"], 4);
        assert_eq!(
            report["pairs"]["led_by"],
            json!({"extended": 1, "lighter": 3, "both": 1})
        );
        assert_eq!(
            report["exposure"],
            json!({
                "usd_s": 30.0,
                "most_usd": 300.0,
                "most_forced_usd": 300.0,
                "worst_usd": -3.0,
                "best_usd": 2.0,
            })
        );
        assert_eq!(report["forced"], json!({"extended": 0, "lighter": 1}));
        assert_eq!(report["closed"], json!({"extended": 1, "lighter": 0}));
        assert_eq!(report["struck_out"], json!({"extended": 0, "lighter": 1}));
        let strays = json!({"foreign": 3, "missing": 2});
        assert_eq!(report["strays"]["lighter"], strays);
        assert_eq!(report["positions"]["BTC"]["extended"], -0.005);
        assert_eq!(report["positions"]["BTC"]["net"], 0.0);
        assert_eq!(report["opportunities"]["refused"]["fair_warmup"], 2);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let facts = Facts {
            planted: None,
            is_simulated: false,
            ..facts()
        };
        let report = report(&Totals::new(), &facts);
        assert_eq!(report["venues"], "live");
        for path in [
            "/pairs/planted",
            "/pairs/natural",
            "/pnl_usd/planted",
            "/unhedged_ms/p50",
            "/exposure/worst_usd",
            "/latency_ns/sign/p99",
            "/balances/lighter",
        ] {
            assert_eq!(report.pointer(path), Some(&Value::Null), "{path}");
        }
        assert_eq!(report["latency_ns"]["sign"]["count"], 0);
    }

    #[test]
    fn paper_stands_at_the_top_and_beside_the_money() {
        let (totals, facts) = run();
        for is_paper in [false, true] {
            let facts = Facts {
                is_paper,
                ..facts.clone()
            };
            let report = report(&totals, &facts);
            assert_eq!(report["paper"], is_paper);
            assert_eq!(report["pnl_usd"]["paper"], is_paper);
        }
    }

    #[test]
    fn it_is_one_line() {
        let (totals, facts) = run();
        assert!(!report(&totals, &facts).to_string().contains('\n'));
    }
}
