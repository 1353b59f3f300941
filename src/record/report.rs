//! The report for people: what was found, what was done about it, what it made, how long it took.
//!
//! Promises: every figure printed was counted; where nothing was found it says so in words; money
//! is shown by cause and adds up. Refuses: colours, opinions, and numbers without a unit.

use crate::market::VENUES;
use crate::market::event::{FrameKind, PairEnd, PairSummary, STEPS, Step};
use crate::market::units::Notional;
use crate::record::durations::Quantiles;
use crate::record::{Facts, SignedCounts, Totals, apart, edges, market_data, names, shapes};
use std::io::{Result, Write};

/// Writes the whole report.
pub fn write(totals: &Totals, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    summary(totals, facts, out)?;
    latency(totals, facts, out)?;
    shapes::write(totals, out)?;
    tick_to_send(totals, out)?;
    opportunities(totals, facts, out)?;
    pairs(totals, facts, out)?;
    orders(totals, facts, out)?;
    money(totals, facts, out)?;
    positions(totals, facts, out)?;
    troubles(totals, facts, out)
}

/// What ran, for how long, and what came in. The first line says whether money was real, so that no
/// figure below can be read without knowing it.
fn summary(totals: &Totals, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    let venues = if facts.is_simulated {
        "simulated venues on this machine, no real money"
    } else {
        "real venues"
    };
    let markets: Vec<&str> = facts.markets.iter().map(|name| name.as_str()).collect();
    let shown = markets[..markets.len().min(MARKETS_SHOWN)].join(", ");
    let more = markets.len().saturating_sub(MARKETS_SHOWN);
    let (seconds, mode) = (facts.seconds(), facts.mode);
    let paper = match facts.is_paper {
        true => " on PAPER (nothing was sent, fills are simulated on the books)",
        false => "",
    };
    writeln!(
        out,
        "parallax, {seconds:.1} s, mode {mode}{paper}, {venues}"
    )?;
    match more {
        0 => writeln!(out, "markets: {shown}")?,
        _ => writeln!(out, "markets: {shown} and {more} more")?,
    }
    let seats = facts.seats.iter().map(|(stage, core)| match core {
        Some(core) => format!("{stage} {core}"),
        None => format!("{stage} unpinned"),
    });
    writeln!(out, "cores: {}", seats.collect::<Vec<_>>().join(", "))?;
    market_data::write(totals, out)?;
    writeln!(out, "\n{}", verdict(totals, facts))
}

/// One sentence on what came of it; nothing found is a result like any other.
fn verdict(totals: &Totals, facts: &Facts) -> String {
    if totals.frames.iter().flatten().sum::<u64>() == 0 {
        return "No market data arrived, so there was nothing to look at.".to_owned();
    }
    if totals.seen == 0 {
        return "No edge above the minimum was seen. Nothing was traded.".to_owned();
    }
    let seen = totals.seen;
    if totals.taken == 0 {
        return format!("{seen} opportunities were seen, none was taken; the reasons are below.");
    }
    let paper = paper(facts);
    format!(
        "{seen} opportunities seen, {} taken, {} pairs opened, {} closed; {paper}profit and loss \
         {} USD.",
        totals.taken,
        totals.opened(),
        totals.ended(PairEnd::Closed),
        totals.money.total
    )
}

/// What stands before every figure of money and orders that no venue has seen.
fn paper(facts: &Facts) -> &'static str {
    match facts.is_paper {
        true => "paper ",
        false => "",
    }
}

/// One row for each step of the corridor, in corridor order. A step that was never taken says
/// `none`: a row of zeros would read as the fastest of all.
fn latency(totals: &Totals, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "\n{:<14}{:>10}{:>11}{:>11}{:>11}{:>11}{:>11}",
        "latency", "count", "p50", "p90", "p99", "p99.9", "max"
    )?;
    for step in STEPS {
        let Some(figures) = totals.step(step).quantiles() else {
            writeln!(out, "{:<14}{:>10}", step.name(), "none")?;
            continue;
        };
        let Quantiles {
            count,
            p50,
            p90,
            p99,
            p999,
            max,
            ..
        } = figures;
        write!(out, "{:<14}{count:>10}", step.name())?;
        for ns in [p50, p90, p99, p999, max] {
            write!(out, "{:>11}", duration(ns))?;
        }
        writeln!(out)?;
    }
    if facts.is_paper {
        writeln!(
            out,
            "on paper: `send` and `tick_to_send` end where a socket would begin"
        )?;
    }
    Ok(())
}

/// The shape of the one duration that is sold. Quantiles hide a second hump (a sleeping core, a
/// neighbour on it); bars show it. Each bar is twice as wide as the one before, so the tail fits.
fn tick_to_send(totals: &Totals, out: &mut dyn Write) -> Result<()> {
    let bars = totals.step(Step::TickToSend).bars();
    let Some(most) = bars.iter().map(|bar| bar.count).max() else {
        return Ok(());
    };
    writeln!(out, "\nmarket data read to order written, up to:")?;
    for bar in bars {
        // Rounded up: a bar with anything in it shows, however small beside the others.
        let width = (bar.count * BAR_WIDTH).div_ceil(most.max(1)) as usize;
        let line = format!(
            "{:>11} {:>8} {}",
            duration(bar.up_to_ns),
            bar.count,
            "#".repeat(width)
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// How many episodes stood above the minimum and why most were let go, the commonest reason first.
/// One episode can be refused for several reasons in turn, so these may add up to more than was
/// seen.
fn opportunities(totals: &Totals, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "\nopportunities: {} seen, {} taken",
        totals.seen, totals.taken
    )?;
    if totals.seen > 0 {
        writeln!(
            out,
            "largest gross edge: {:.2} bps over the fair basis",
            totals.edge_best.to_f64()
        )?;
    }
    totals.refusals.write(out)?;
    edges(totals, out)?;
    totals.board.write(&facts.markets, out)
}

/// What the edges that were taken were made of, and how much of the depth our fills were.
fn edges(totals: &Totals, out: &mut dyn Write) -> Result<()> {
    let Some(means) = totals.edges.means() else {
        return Ok(());
    };
    let named = edges::PARTS.iter().zip(means);
    let parts: Vec<String> = named
        .map(|(name, mean)| format!("{name} {mean:.2}"))
        .collect();
    let [first, second] = [&parts[..4], &parts[4..]].map(|some| some.join(", "));
    writeln!(out, "edges taken, mean bps: {first},\n  {second}")?;
    let impact = totals.edges.impact().unwrap_or_default();
    write!(out, "impact score, mean: {impact:.2}")?;
    match totals.edges.shares() {
        Some(shares) => writeln!(
            out,
            "; size of fills against depth at match: p50 {:.2}, p99 {:.2}, max {:.2}",
            shares.p50 as f64 / 1e4,
            shares.p99 as f64 / 1e4,
            shares.max as f64 / 1e4
        ),
        None => writeln!(out),
    }
}

/// Pairs by their end, how long one leg was alone, and the last pairs one by one: those a person
/// would ask about.
fn pairs(totals: &Totals, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    let ends = names::PAIR_ENDS
        .iter()
        .map(|&end| format!("{} {}", totals.ended(end), names::pair_end(end)));
    let ends = ends.collect::<Vec<_>>().join(", ");
    writeln!(
        out,
        "\npairs: {} opened, {} hedged; {ends}",
        totals.opened(),
        totals.hedged
    )?;
    if let Some(figures) = totals.unhedged.quantiles() {
        let (p50, p99, max) = (figures.p50, figures.p99, figures.max);
        writeln!(
            out,
            "one leg alone: p50 {}, p99 {}, max {}",
            duration(p50),
            duration(p99),
            duration(max)
        )?;
        let exposure = &totals.exposure;
        writeln!(
            out,
            "exposure of lone legs: {} USD-seconds, most {} USD, worst {} USD, best {} USD",
            exposure.usd_s,
            exposure.most[0].max(exposure.most[1]),
            exposure.worst,
            exposure.best
        )?;
    }
    if totals.taken > 0 {
        let [extended, lighter] = totals.led;
        writeln!(
            out,
            "order of legs: lighter first {lighter}, extended first {extended}, both at once {}",
            totals.both_at_once()
        )?;
    }
    if totals.pairs.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "{:>6} {:>9} {:<8} {:<9} {:<8} {:<11} {:>12} {:>9} {:>9} {:>9} {:>10}",
        "pair",
        "at",
        "market",
        "long",
        "end",
        "cause",
        "size",
        "gross bps",
        "net bps",
        "held",
        "USD"
    )?;
    let skipped = totals.pairs.len().saturating_sub(PAIRS_SHOWN);
    for pair in totals.pairs.iter().skip(skipped) {
        writeln!(out, "{}", pair_line(pair, facts))?;
    }
    match skipped as u64 + totals.pairs_dropped {
        0 => Ok(()),
        earlier => writeln!(out, "  and {earlier} earlier ones"),
    }
}

/// One pair: when it was entered, where it was bought, how it ended and what it made.
fn pair_line(pair: &PairSummary, facts: &Facts) -> String {
    let at = pair.t_entry.since(facts.start) as f64 / 1e9;
    format!(
        "{:>6} {at:>7.2} s {:<8} {:<9} {:<8} {:<11} {:>12} {:>9.2} {:>9.2} {:>9} {:>10}",
        pair.pair,
        facts.market(pair.instrument),
        pair.long.name(),
        names::pair_end(pair.end),
        names::exit_cause(pair.cause),
        pair.size,
        pair.gross.to_f64(),
        pair.net.to_f64(),
        duration(pair.t_end.since(pair.t_entry)),
        pair.total
    )
}

/// Orders by state and fills by venue. `unknown` counts orders that were unknown at some time, so
/// an order may stand there and among the filled.
fn orders(totals: &Totals, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    writeln!(out)?;
    let paper = paper(facts);
    for venue in VENUES {
        let orders = &totals.orders[venue.idx()];
        let fills = &totals.fills[venue.idx()];
        writeln!(
            out,
            "{paper}orders {}: {} sent, {} filled, {} cancelled, {} rejected, {} unknown; \
             {} fills over {} USD, fees {} USD",
            venue.name(),
            orders.sent,
            orders.filled,
            orders.cancelled,
            orders.rejected,
            orders.unknown,
            fills.count,
            fills.notional,
            fills.fees
        )?;
        for &why in &names::REFUSALS {
            let count = orders.not_sent[why as usize];
            if count > 0 {
                writeln!(out, "  not sent {count:>7}  {}", names::refusal(why))?;
            }
        }
    }
    signatures("", SignedCounts::sum(totals.signed), out)?;
    let of_first = VENUES.iter().zip(totals.signed_first);
    for (venue, counts) in of_first.filter(|(_, counts)| *counts != SignedCounts::default()) {
        signatures(&format!(" of first orders {}", venue.name()), counts, out)?;
    }
    Ok(())
}

/// The fastest way first.
fn signatures(whose: &str, counts: SignedCounts, out: &mut dyn Write) -> Result<()> {
    let SignedCounts { ready, ahead, full } = counts;
    writeln!(
        out,
        "signatures{whose}: {ready} ready, {ahead} with a prepared nonce point, {full} in full"
    )
}

/// Profit and loss by cause; the rows above the total add up to it, so fees are shown negative.
/// Planted and natural pairs stand below it when they can be told apart.
fn money(totals: &Totals, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    let money = &totals.money;
    let paper = paper(facts);
    writeln!(out, "\n{paper}profit and loss of finished pairs, USD")?;
    let total = match facts.is_paper {
        true => "total (paper)",
        false => "total",
    };
    let rows = [
        ("edge", money.edge),
        ("slippage", money.slippage),
        ("fees", -money.fees),
        ("funding", money.funding),
        ("repair", money.repair),
        (total, money.total),
    ];
    for (cause, amount) in rows {
        row(out, cause, amount)?;
    }
    if totals.funding_apart != Notional::ZERO {
        row(out, "funding apart", totals.funding_apart)?;
    }
    if let Some(origins) = totals.by_origin(facts.planted.as_deref()) {
        let (planted, natural) = (origins.planted, origins.natural);
        row(out, &format!("of {} planted", planted.count), planted.total)?;
        row(out, &format!("of {} natural", natural.count), natural.total)?;
    }
    Ok(())
}

/// Amounts stand under each other, three decimals.
fn row(out: &mut dyn Write, cause: &str, amount: Notional) -> Result<()> {
    writeln!(out, "  {cause:<14}{amount:>14}")
}

/// What is left, by the venues' own word and not by our bookkeeping: if the two differ, this is the
/// one that is owed.
fn positions(totals: &Totals, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    let whose = match facts.is_paper {
        true => "paper positions and accounts at the end",
        false => "positions at the end, by the venues' own word",
    };
    writeln!(out, "\n{whose}")?;
    let mut is_flat = true;
    for (name, [extended, lighter]) in facts.markets.iter().zip(totals.positions.iter()) {
        if extended.0 == 0 && lighter.0 == 0 {
            continue;
        }
        is_flat = false;
        let name = name.as_str();
        let net = *extended + *lighter;
        writeln!(
            out,
            "  {name:<8} extended {extended:>14}, lighter {lighter:>14}, net {net:>14}"
        )?;
    }
    if is_flat {
        writeln!(out, "  none")?;
    }
    let paper = paper(facts);
    for venue in VENUES {
        if let Some((equity, available)) = totals.balances[venue.idx()] {
            let name = venue.name();
            writeln!(
                out,
                "  {name:<8} {paper}equity {equity:>14} USD, available {available:>14} USD"
            )?;
        }
    }
    Ok(())
}

/// What went wrong on the way; silent when nothing did.
fn troubles(totals: &Totals, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    let mut lines: Vec<String> = Vec::new();
    for venue in VENUES {
        let unknown = totals.frames[venue.idx()][FrameKind::Unknown as usize];
        let [_, gateway] = totals.links_lost[venue.idx()];
        let resyncs = totals.resyncs[venue.idx()];
        let strays = totals.strays[venue.idx()];
        for (count, what) in [
            (unknown, "messages of an unknown kind"),
            (resyncs, "books asked for anew"),
            (gateway, "gateway connections lost"),
            (
                totals.forced[venue.idx()],
                "trades by which the venue took a position away",
            ),
            (totals.closed[venue.idx()], "times closed by the venue"),
            (
                totals.struck_out[venue.idx()],
                "markets left after too many refusals",
            ),
            (
                strays.foreign,
                "orders, trades and positions that are somebody else's",
            ),
            (
                strays.missing,
                "orders that filled further than the account stream told",
            ),
        ] {
            if count > 0 {
                lines.push(format!("{}: {count} {what}", venue.name()));
            }
        }
    }
    for &why in &names::HALT_CAUSES {
        let count = totals.halts[why as usize];
        if count > 0 {
            lines.push(format!("HALT: {} ({count})", names::halt_cause(why)));
        }
    }
    lines.extend(totals.apart.iter().map(|apart| apart::line(apart, facts)));
    if totals.unbalanced > 0 {
        lines.push(format!(
            "{} pairs whose causes do not add up",
            totals.unbalanced
        ));
    }
    if facts.journal_dropped > 0 {
        let dropped = facts.journal_dropped;
        lines.push(format!(
            "{dropped} events did not fit on the journal: counts are too low"
        ));
    }
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nnot as it should be")?;
    lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
}

/// A duration in the unit in which it reads best, three significant digits.
pub fn duration(ns: u64) -> String {
    // Below a microsecond the clock's own resolution is near: whole nanoseconds.
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    // The borders lie where rounding would add a digit: 9.996 is 10.0, not 10.00.
    let decimals = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// Markets named in the first lines; the rest is a number.
const MARKETS_SHOWN: usize = 12;
/// Pairs printed one by one, the last ones.
const PAIRS_SHOWN: usize = 20;
/// Columns of the longest bar.
const BAR_WIDTH: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::event::{Apart, Event, ExitCause, FrameKind, HaltCause};
    use crate::market::units::{SCALE, Size};
    use crate::market::{InstrumentId, Venue};
    use crate::record::tests::{facts, pair, run};

    fn text(totals: &Totals, facts: &Facts) -> String {
        let mut out = Vec::new();
        write(totals, facts, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paper_is_called_paper() {
        let (totals, facts) = run();
        let facts = Facts {
            is_paper: true,
            mode: "dry_run",
            ..facts
        };
        let text = text(&totals, &facts);
        for part in [
            "mode dry_run on PAPER (nothing was sent, fills are simulated on the books), simulated",
            "; paper profit and loss 0.140 USD.",
            "on paper: `send` and `tick_to_send` end where a socket would begin",
            "\npaper orders extended:",
            "\npaper profit and loss of finished pairs, USD",
            "\n  total (paper)          0.140\n",
            "\npaper positions and accounts at the end",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("venues' own word"), "{text}");
    }

    #[test]
    fn a_run_in_words() {
        let (totals, facts) = run();
        let text = text(&totals, &facts);
        for part in [
            "parallax, 60.0 s, mode live, simulated venues on this machine, no real money",
            "7 opportunities seen, 5 taken, 4 pairs opened, 2 closed; profit and loss 0.140 USD.",
            "tick_to_send         100    50.0 us    90.0 us    99.0 us",
            "largest gross edge: 9.50 bps",
            "refused        2  fair_warmup        not followed",
            "pairs: 4 opened, 3 hedged; 1 missed, 2 closed, 1 unwound, 0 stuck",
            "one leg alone: p50 320 ms",
            "exposure of lone legs: 30.000 USD-seconds, most 300.000 USD, worst -3.000 USD, \
             best 2.000 USD",
            "order of legs: lighter first 3, extended first 1, both at once 1",
            "lighter: 1 trades by which the venue took a position away",
            "extended: 1 times closed by the venue",
            "lighter: 1 markets left after too many refusals",
            "lighter: 3 orders, trades and positions that are somebody else's",
            "lighter: 2 orders that filled further than the account stream told",
            "closed   converged",
            "total                  0.140",
            "of 1 planted           0.310",
            "BTC      extended         -0.005, lighter          0.005, net              0",
            "gap 1 (lighter 1)",
        ] {
            assert!(text.contains(part), "{part}\n---\n{text}");
        }
        let bars = text.lines().filter(|line| line.ends_with('#')).count();
        assert!((5..=8).contains(&bars), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 120),
            "{text}"
        );
    }

    #[test]
    fn nothing_found_is_said_plainly() {
        let mut totals = Totals::new();
        assert!(text(&totals, &facts()).contains("No market data arrived"));
        let (venue, kind, deltas) = (Venue::Extended, FrameKind::Update, 1);
        totals.add(&Event::Frame {
            venue,
            kind,
            deltas,
        });
        let text = text(&totals, &facts());
        assert!(text.contains("No edge above the minimum was seen. Nothing was traded."));
        assert!(text.contains("positions at the end, by the venues' own word\n  none"));
        assert!(!text.contains("not as it should be"));
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn only_the_last_pairs_are_listed() {
        let mut totals = Totals::new();
        for number in 1..=25 {
            totals.add(&Event::Pair(pair(
                number,
                PairEnd::Closed,
                ExitCause::Time,
                1,
            )));
        }
        let text = text(&totals, &facts());
        assert!(text.contains("and 5 earlier ones"));
        assert!(text.contains("\n     6 ") && !text.contains("\n     5 "));
    }

    #[test]
    fn troubles_are_told() {
        let mut totals = Totals::new();
        totals.add(&Event::Halt {
            why: HaltCause::PairStuck,
        });
        totals.add(&Event::Apart(Apart {
            pair: Some(7),
            instrument: InstrumentId(1),
            counted: [Size(SCALE), Size(-2 * SCALE)],
            in_doubt: [Size(SCALE / 10), Size::ZERO],
            told: [Some(Size(SCALE / 2)), None],
        }));
        let mut facts = facts();
        facts.journal_dropped = 3;
        let text = text(&totals, &facts);
        assert!(text.contains("HALT: pair_stuck (1)"));
        let about = "at ETH pair 7: extended 1 (0.1 in doubt) by our fills, 0.5 by its word; \
                     lighter -2 by our fills, nothing clear by its word";
        assert!(text.contains(about), "{text}");
        assert!(text.contains("3 events did not fit on the journal"));
    }

    #[test]
    fn durations_read_well() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (9_994, "9.99 us"),
            (9_996, "10.0 us"),
            (12_345, "12.3 us"),
            (123_456, "123 us"),
            (1_500_000, "1.50 ms"),
            (350_000_000, "350 ms"),
            (1_000_000_000, "1.00 s"),
            (90_000_000_000, "90.0 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }
}
