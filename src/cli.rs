//! The command line as data: which commands there are, their flags, defaults and help.
//!
//! Promises: what comes out of [`Cli`] is in range; wrong usage ends with exit status 2 and a text
//! that says how to do it right. Refuses: doing anything. `main` carries the commands out.

mod keys;

pub use keys::{BootstrapVenue, ImportWhat, Keys, KeysCommand, OnboardVenue, Unlocking};

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Finds and trades price differences between the Extended and Lighter perpetual venues.
///
/// Without a command: `run` when there is a configuration (.env here, or settings in the
/// environment), else `demo`.
#[derive(Debug, Parser)]
#[command(
    name = "parallax",
    version,
    after_help = "Example:\n  parallax demo --seconds 30"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trade against both simulated venues on this machine: no account, no network, no real money.
    #[command(after_help = "Example:\n  parallax demo --seconds 30 --seed 11 --json")]
    Demo(Demo),
    /// Run on the configured venues until Ctrl-C, SIGTERM, or the given time.
    #[command(after_help = "Example:\n  parallax run --env ./test.env --seconds 600")]
    Run(Run),
    /// Cancel all orders and close all positions on both venues, reduce-only; without --execute it
    /// says what it would do. Exit status 0 only when both venues are flat.
    ///
    /// Needs the keys and the venues, nothing else: it works while an engine hangs and while one of
    /// the venues is down, and no trading mode or limit holds it back. An engine that still trades
    /// on the account must be stopped first, or it may open anew.
    #[command(after_help = "Example:\n  parallax flatten --market BTC --execute")]
    Flatten(Flatten),
    /// Show the circuit breakers, or reset them with a reason. Exit status 0: none is open.
    #[command(
        after_help = "Example:\n  parallax breaker\n  parallax breaker reset --reason \"the \
                      venue's fee was wrong, mended\""
    )]
    Breaker(Breaker),
    /// Show money, margin and positions on both venues, and whether all that moved them is
    /// explained. Exit status 0: both were read, and drift is within DRIFT_ALARM_USD.
    #[command(
        after_help = "Example:\n  parallax balance --json\n  parallax balance --accept \"100 USD \
                      moved by hand before parallax kept the book\""
    )]
    Balance(Balance),
    /// Plan how to even out the balances of both venues, and with --execute carry it out. Exit
    /// status 0: both were read, and what was begun has arrived.
    #[command(after_help = "Example:\n  parallax rebalance --json\n  parallax rebalance --execute")]
    Rebalance(Rebalance),
    /// Prove that these accounts, keys and limits could trade, by the venues' own word, and print
    /// the LIVE_ACK that arms a live run; grade this host: every knob and limit with its fix, and
    /// the jitter of the stages' cores. Exit status 0: nothing is to be mended.
    #[command(
        after_help = "Example:\n  parallax check --venues --env ./live.env\n  \
                            parallax check --host --seconds 5 --json"
    )]
    Check(Check),
    /// Keep keys encrypted, make them known to the venues, replace them.
    #[command(
        after_help = "Example:\n  parallax keys init --keystore ~/.parallax-keys\n  \
                            parallax keys list"
    )]
    Keys(Keys),
    /// Serve both simulated venues for other clients; the first line of output says where.
    #[command(
        after_help = "Example:\n  parallax sim --plain --listen-lighter 127.0.0.1:9001 \
                      --log-requests requests.jsonl"
    )]
    Sim(Sim),
    /// Prove that hashes and signatures made on this host equal the venues' official ones.
    #[command(after_help = "Example:\n  parallax selftest --json")]
    Selftest(Selftest),
    /// Compare the latency of two runs: folders of .hgrm files, or what --json printed.
    #[command(
        after_help = "Example:\n  parallax demo --hgrm before\n  sudo tuning/net.sh apply\n  \
                      parallax demo --hgrm after\n  parallax report --compare before after"
    )]
    Report(Report),
    /// Record the venues' live books as tapes for `demo` and `sim`: compressed, rotated, bounded.
    #[command(
        after_help = "Example:\n  parallax record --venue lighter --dir tapes --seconds 3600\n  \
                      parallax demo --plant off --tape tapes/parallax-lighter-[...].tape"
    )]
    Record(Record),
    /// Work on tapes: recorded market data.
    #[command(after_help = "Example:\n  parallax tape convert capture.jsonl.gz btc.tape")]
    Tape(Tape),
}

/// `parallax demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// How long to run.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = at_least_one())]
    pub seconds: u64,
    /// What the venues show.
    #[command(flatten)]
    pub show: Show,
    /// Begin without what was learned of edges beforehand, on other seeds: every entry is refused
    /// until the run itself has seen enough.
    #[arg(long)]
    pub cold: bool,
    /// Write the latency of each step to this folder, as .hgrm files in nanoseconds.
    #[arg(long, value_name = "DIR")]
    pub hgrm: Option<PathBuf>,
    /// Print one JSON object on the last line of standard output; text goes to standard error.
    #[arg(long)]
    pub json: bool,
}

impl Default for Demo {
    /// What `parallax` without a command and without a configuration does.
    fn default() -> Demo {
        Demo {
            seconds: 60,
            show: Show::default(),
            cold: false,
            hgrm: None,
            json: false,
        }
    }
}

/// What every command on the accounts is asked with.
#[derive(Debug, Default, Args)]
pub struct Asked {
    /// Read settings from this file; the environment wins over it. Default: .env here, if any.
    #[arg(long, value_name = "FILE")]
    pub env: Option<PathBuf>,
    /// Print one JSON object on the last line of standard output; text goes to standard error.
    #[arg(long)]
    pub json: bool,
    /// The passphrase of the keystore, where one is set.
    #[command(flatten)]
    pub unlocking: Unlocking,
}

/// `parallax run`.
#[derive(Debug, Default, Args)]
pub struct Run {
    /// Drain and end after this time. Default: run until stopped.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub seconds: Option<u64>,
    /// Write the latency of each step to this folder, as .hgrm files in nanoseconds.
    #[arg(long, value_name = "DIR")]
    pub hgrm: Option<PathBuf>,
    /// Settings, and how it is told.
    #[command(flatten)]
    pub asked: Asked,
}

/// `parallax flatten`.
#[derive(Debug, Args)]
pub struct Flatten {
    /// This market alone, by the name of its underlying (BTC) or a venue's own (BTC-USD). Orders
    /// and positions in others stay.
    #[arg(long, value_name = "M")]
    pub market: Option<String>,
    /// Do it. Without this nothing is sent.
    #[arg(long)]
    pub execute: bool,
    /// Settings, and how it is told.
    #[command(flatten)]
    pub asked: Asked,
}

/// `parallax balance`.
#[derive(Debug, Args)]
pub struct Balance {
    /// Take the drift that there is as explained, for this reason, which is kept.
    #[arg(long, value_name = "REASON")]
    pub accept: Option<String>,
    /// Settings, and how it is told.
    #[command(flatten)]
    pub asked: Asked,
}

/// `parallax rebalance`.
#[derive(Debug, Args)]
pub struct Rebalance {
    /// Finish the transfer that is under way, then carry the plan out. The amount is asked for
    /// before anything is sent. May be stopped at any moment: the same command goes on.
    #[arg(long)]
    pub execute: bool,
    /// Go on without asking: what is sent is said all the same.
    #[arg(long, requires = "execute")]
    pub yes: bool,
    /// Put the transfer that is under way away, because a human has finished it by hand. It counts
    /// as sent.
    #[arg(long, value_name = "REASON", conflicts_with = "execute")]
    pub give_up: Option<String>,
    /// Settings, and how it is told.
    #[command(flatten)]
    pub asked: Asked,
}

/// `parallax breaker`.
#[derive(Debug, Args)]
pub struct Breaker {
    /// What to do. Default: show what is open, since when, and why.
    #[command(subcommand)]
    pub command: Option<BreakerCommand>,
    /// Read settings from this file; the environment wins over it. Default: .env here, if any.
    #[arg(long, value_name = "FILE", global = true)]
    pub env: Option<PathBuf>,
    /// Print one JSON object on the last line of standard output; text goes to standard error.
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands of `parallax breaker`.
#[derive(Debug, Subcommand)]
pub enum BreakerCommand {
    /// Close every open breaker, so that pairs are entered again; a running engine sees it within
    /// seconds. What opened them stays in the record, with this reason.
    #[command(
        after_help = "Example:\n  parallax breaker reset --reason \"stuck pair closed by hand\""
    )]
    Reset {
        /// Why trading may go on.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// `parallax check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Ask the venues only. Without this and --host: both.
    #[arg(long)]
    pub venues: bool,
    /// Grade this host only.
    #[arg(long)]
    pub host: bool,
    /// How long to watch each core of a stage. Rare interruptions take longer to be seen.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one())]
    pub seconds: u64,
    /// Put markets of Lighter that are traded and have isolated margin to cross, and lower
    /// leverages on Extended that are too high for MAX_POSITION_SIZE_USD.
    #[arg(long)]
    pub set: bool,
    /// Settings, and how it is told.
    #[command(flatten)]
    pub asked: Asked,
}

/// `parallax sim`.
#[derive(Debug, Args)]
pub struct Sim {
    /// Where the simulated Extended listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen_extended: SocketAddr,
    /// Where the simulated Lighter listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen_lighter: SocketAddr,
    /// Serve http and ws instead of https and wss.
    #[arg(long)]
    pub plain: bool,
    /// Write every request received to this file, one JSON object a line, without secrets.
    #[arg(long, value_name = "FILE")]
    pub log_requests: Option<PathBuf>,
    /// What the venues show.
    #[command(flatten)]
    pub show: Show,
}

/// `parallax selftest`.
#[derive(Debug, Args)]
pub struct Selftest {
    /// Run every vector file of this folder instead of those built in; a file's name without its
    /// ending is its kind.
    #[arg(long, value_name = "DIR")]
    pub vectors: Option<PathBuf>,
    /// Print one JSON object on the last line of standard output; text goes to standard error.
    #[arg(long)]
    pub json: bool,
}

/// `parallax report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The two runs: a folder that --hgrm has written, or a file with the line that --json printed.
    #[arg(long, value_names = ["A", "B"], num_args = 2, required = true)]
    pub compare: Vec<PathBuf>,
    /// Print one JSON object on the last line of standard output; text goes to standard error.
    #[arg(long)]
    pub json: bool,
}

/// What simulated venues show, for `demo` and `sim`.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// Seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// A tape by name (of those built in) or by path. Default: the one that ships.
    #[arg(long, value_name = "NAME|PATH")]
    pub tape: Option<String>,
    /// Planted dislocations on top of the tape: on, off, or a file with one JSON object a line
    /// (at_ms, market, venue, bps, size, life_ms, shape).
    #[arg(long, value_name = "on|off|FILE", default_value = "on", value_parser = parse_plant)]
    pub plant: Plant,
    /// Faults, as KIND[:VENUE[:MARKET]][@SECONDS][~SECONDS] between commas: the first after
    /// @SECONDS, again about every ~SECONDS; with @ alone once, with neither about every 15 s.
    /// Without a venue each has its turn. Of market data (group market): gap, reorder, duplicate,
    /// cut, disconnect, silent, frozen, slow, shutdown, refuse (or its status: 429, 403, 405),
    /// crossed. Of orders and the account (group orders): reject, drop, partial, late-fill, twice,
    /// fill-after-cancel, account-down, orders-down, half-open, nonce, page-429, page-405,
    /// page-5xx, maintenance, margin, liquidation, adl. In no group: tier. Group all is both.
    /// page-429=SECONDS says when to come again (Retry-After).
    #[arg(long, value_name = "SPEC")]
    pub faults: Option<String>,
    /// How long the simulated Lighter holds takers back, and what it charges.
    #[arg(long, value_enum, default_value_t = LighterTier::Standard)]
    pub lighter_tier: LighterTier,
    /// Multiply the tape's markets up to this many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub markets: Option<u16>,
    /// Market-data messages a second that both venues together aim at, over all markets: frames of
    /// the full books and of the fast tops; trades, prices and snapshots come on top. The tape is
    /// played faster or slower for it; planted dislocations keep their own time. Default: the
    /// tape's own speed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Charge funding this many seconds apart on both simulated venues. Default: every full hour,
    /// as the venues do.
    #[arg(long, value_name = "N", default_value_t = 3_600,
        value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub funding_every: u32,
}

impl Default for Show {
    fn default() -> Show {
        Show {
            seed: 1,
            tape: None,
            plant: Plant::On,
            faults: None,
            lighter_tier: LighterTier::Standard,
            markets: None,
            rate: None,
            funding_every: 3_600,
        }
    }
}

/// Where planted dislocations come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plant {
    /// From the seed.
    On,
    /// Nowhere: the tape alone.
    Off,
    /// From this file.
    File(PathBuf),
}

/// Lighter's account tiers, by the time takers are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LighterTier {
    /// 300 ms, no fees.
    #[value(name = "standard")]
    Standard,
    /// 200 ms.
    #[value(name = "premium-200")]
    Premium200,
    /// 140 ms.
    #[value(name = "premium-140")]
    Premium140,
}

/// `parallax record`.
#[derive(Debug, Args)]
pub struct Record {
    /// Read endpoints and MARKETS from this file; the environment wins over it. No account is
    /// used. Default: .env here, if any.
    #[arg(long, value_name = "FILE")]
    pub env: Option<PathBuf>,
    /// Record this venue alone; both simulated venues will show its books. Default: both venues.
    #[arg(long, value_enum)]
    pub venue: Option<RecordedVenue>,
    /// Where to record to; made where there is none.
    #[arg(long, value_name = "DIR", default_value = "tapes")]
    pub dir: PathBuf,
    /// End after this time. Default: record until stopped.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub seconds: Option<u64>,
    /// Finish a tape this often.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = rotation_range())]
    pub rotate_minutes: u64,
    /// Most MiB of recordings in the folder: the oldest go first, other files stay.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = folder_range())]
    pub max_mb: u64,
    /// Stop before the disk has less MiB left than this.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = disk_range())]
    pub min_free_mb: u64,
    /// Print one JSON object on the last line of standard output; text goes to standard error.
    #[arg(long)]
    pub json: bool,
}

/// A venue to record alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordedVenue {
    /// Extended (Starknet).
    Extended,
    /// Lighter (zk).
    Lighter,
}

/// `parallax tape`.
#[derive(Debug, Args)]
pub struct Tape {
    /// What to do with tapes.
    #[command(subcommand)]
    pub command: TapeCommand,
}

/// The commands of `parallax tape`.
#[derive(Debug, Subcommand)]
pub enum TapeCommand {
    /// Turn a capture of venue messages into a tape.
    #[command(after_help = "Example:\n  parallax tape convert capture.jsonl.gz btc.tape")]
    Convert {
        /// What `parallax record` wrote; or a folder with, of each instrument, one file a venue:
        /// `quotes_lighter_btc.csv.gz` and `quotes_extended_btc.csv.gz`, or Binance's
        /// `binance_usdm_btcusdt.gz` and `binance_cm_btcusd_perp.gz`.
        #[arg(value_name = "IN")]
        input: PathBuf,
        /// The tape to write.
        #[arg(value_name = "OUT")]
        output: PathBuf,
    },
}

fn at_least_one() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..)
}

/// A tape longer than a day is unwieldy.
fn rotation_range() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=1440)
}

/// A quarter of it is one segment: below this the books alone, with which each begins, would fill
/// it. Above it bytes would overflow.
fn folder_range() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(256..=1 << 40)
}

/// The last tape is still to be written when recording stops: that needs room.
fn disk_range() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(256..=1 << 40)
}

fn parse_plant(text: &str) -> Result<Plant, String> {
    match text {
        "on" => Ok(Plant::On),
        "off" => Ok(Plant::Off),
        "" => Err("is empty: use on, off, or a file".to_owned()),
        path => Ok(Plant::File(PathBuf::from(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    fn demo(line: &str) -> Demo {
        match parse(line).unwrap().command {
            Some(Command::Demo(demo)) => demo,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        assert!(parse("parallax").unwrap().command.is_none());
    }

    #[test]
    fn demo_defaults_agree_with_its_default() {
        let (parsed, default) = (demo("parallax demo"), Demo::default());
        assert_eq!(format!("{parsed:?}"), format!("{default:?}"));
        assert_eq!((default.seconds, default.show.seed), (60, 1));
    }

    #[test]
    fn flags_are_read() {
        let demo = demo("parallax demo --plant off --lighter-tier premium-140 --markets 200");
        assert_eq!(demo.show.plant, Plant::Off);
        assert_eq!(demo.show.lighter_tier, LighterTier::Premium140);
        assert_eq!(demo.show.markets, Some(200));
        assert_eq!(demo.show.faults, None);
        let sim = parse(
            "parallax sim --plain --listen-extended 127.0.0.1:9000 --plant p.jsonl --faults gap@9",
        );
        match sim.unwrap().command {
            Some(Command::Sim(sim)) => {
                assert!(sim.plain);
                assert_eq!(sim.listen_extended.port(), 9000);
                assert_eq!(sim.show.plant, Plant::File(PathBuf::from("p.jsonl")));
                assert_eq!(sim.show.faults.as_deref(), Some("gap@9"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn recording_is_bounded_by_default() {
        let record = |line: &str| match parse(line).unwrap().command {
            Some(Command::Record(record)) => record,
            other => panic!("{other:?}"),
        };
        let plain = record("parallax record");
        assert_eq!((plain.venue, plain.seconds), (None, None));
        assert_eq!(plain.dir, PathBuf::from("tapes"));
        let bounds = (plain.rotate_minutes, plain.max_mb, plain.min_free_mb);
        assert_eq!(bounds, (60, 2048, 1024));
        let one = record("parallax record --venue lighter --dir /d --rotate-minutes 5 --json");
        assert_eq!(one.venue, Some(RecordedVenue::Lighter));
        assert_eq!((one.rotate_minutes, one.json), (5, true));
    }

    #[test]
    fn flatten_does_nothing_unless_told_to() {
        let flatten = |line: &str| match parse(line).unwrap().command {
            Some(Command::Flatten(flatten)) => flatten,
            other => panic!("{other:?}"),
        };
        let plain = flatten("parallax flatten");
        assert!(!plain.execute && plain.market.is_none());
        let told = flatten("parallax flatten --execute --market BTC --env f --json");
        assert_eq!((told.execute, told.market.as_deref()), (true, Some("BTC")));
    }

    #[test]
    fn a_reset_needs_a_reason() {
        let shown = parse("parallax breaker --env f --json").unwrap();
        assert!(matches!(
            shown.command,
            Some(Command::Breaker(Breaker { command: None, .. }))
        ));
        let words = [
            "parallax", "breaker", "reset", "--reason", "a b", "--env", "f",
        ];
        match Cli::try_parse_from(words).unwrap().command {
            Some(Command::Breaker(Breaker {
                command: Some(BreakerCommand::Reset { reason }),
                env,
                ..
            })) => assert_eq!((reason.as_str(), env), ("a b", Some(PathBuf::from("f")))),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn wrong_usage_is_status_two() {
        for line in [
            "parallax balance --accept",
            "parallax check --seconds 0",
            "parallax report",
            "parallax report --compare one",
            "parallax breaker reset",
            "parallax breaker reset --reason",
            "parallax demo --seconds 0",
            "parallax demo --markets 257",
            "parallax demo --rate 0",
            "parallax demo --lighter-tier gold",
            "parallax demo --plant=",
            "parallax sim --listen-extended nowhere",
            "parallax run --secconds 5",
            "parallax record --venue binance",
            "parallax record --rotate-minutes 0",
            "parallax record --max-mb 255",
            "parallax record --min-free-mb 0",
            "parallax record --seconds 0",
            "parallax record --dir",
            "parallax tape",
            "parallax tape convert one",
            "parallax flatten --market",
            "parallax flatten BTC",
            "parallax dance",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        for words in [
            "",
            "demo",
            "run",
            "flatten",
            "balance",
            "rebalance",
            "report",
            "check",
            "selftest",
            "sim",
            "record",
            "tape",
            "tape convert",
            "check",
            "keys",
            "keys init",
            "keys import lighter",
            "keys list",
            "keys export-public",
            "keys rotate",
            "keys remove",
            "keys bootstrap lighter",
            "keys onboard extended",
        ] {
            let error = parse(&format!("parallax {words} --help")).unwrap_err();
            assert_eq!(error.exit_code(), 0);
            assert!(error.to_string().contains("Example:"), "{words}");
        }
    }
}
