//! The history: runs, pairs, orders, fills, funding, transfers and balances in one SQLite file
//! (`history.sqlite` in STATE_DIR) that its owner can query.
//!
//! Cold. Promises: telling it something never waits and never fails the teller: a thread of its own
//! writes, and what does not fit on the bounded way there is counted and told. A crash loses the
//! last moments, never the file. Refuses: to be asked for anything by the engine, which trades the
//! same with it, without it, and when it can't be written.
//!
//! SQLite, because a user can ask it anything with tools that are everywhere, and because a file
//! that was being written when the power went is whole again when it is opened. `rusqlite` brings
//! it along and compiles it in, so that no system has another version.

mod rows;
mod schema;
mod trend;

pub use trend::trend;

use crate::market::event::Event;
use crate::market::units::{Nanos, Notional, SECOND};
use crate::market::{VENUE_COUNT, Venue};
use crate::record::Recorder;
use crate::stage::clock::Clock;
use crate::state::Folder;
use crate::venue::money::{Money, Transfer};
use rows::Rows;
use rusqlite::Connection;
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Name of the file in STATE_DIR.
pub const FILE: &str = "history.sqlite";
/// Entries that wait for the disk, some 400 bytes each. Larger: longer stalls of the disk lose
/// nothing; smaller: less memory. A storm of orders makes some hundred a second.
const QUEUE_LEN: usize = 16_384;
/// Entries written with one commit. Larger: fewer flushes, and a crash loses more.
const BATCH_LEN: usize = 512;
/// Balances come with every change of a mark: one in so long is kept of a venue's.
const BALANCE_EVERY_NS: u64 = 10 * SECOND;
/// How long a reader may hold the file before a write gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The teller's end.
pub struct History {
    tell: Option<SyncSender<Entry>>,
    thread: Option<JoinHandle<Result<Writer, HistoryError>>>,
    clock: Clock,
    lost: u64,
    /// When a balance of a venue was last kept.
    balances: [Nanos; VENUE_COUNT],
}

/// What a run is.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The number in its order ids.
    pub number: u16,
    /// Mode as in the setting, or `paper`.
    pub mode: &'static str,
    /// Names of the markets by instrument.
    pub markets: Vec<String>,
    /// When it began.
    pub started: Nanos,
}

/// What was read of an account.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which.
    pub venue: Venue,
    /// Money and positions.
    pub money: Money,
    /// What nobody explains of it. USD.
    pub drift: Notional,
    /// Money in and out; what is told again is written once.
    pub transfers: Vec<Transfer>,
}

/// Why there is no history, or no longer.
#[derive(Debug)]
pub enum HistoryError {
    /// The file can't be made or opened.
    File(io::Error),
    /// SQLite's own word: no space, a file that is none of its.
    Store(rusqlite::Error),
    /// The file is of a later version of this program, with this number.
    Later(usize),
    /// The system refused a thread.
    Thread(io::Error),
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::File(error) => write!(f, "{FILE} can't be opened: {error}"),
            HistoryError::Store(error) => write!(
                f,
                "{FILE} can't be used: {error}\n    fix: make room, or move the file away: a new \
                 one is begun"
            ),
            HistoryError::Later(version) => write!(
                f,
                "{FILE} has version {version}, of a later parallax\n    fix: run that one, or move \
                 the file away: a new one is begun"
            ),
            HistoryError::Thread(error) => write!(f, "the system refused a thread: {error}"),
        }
    }
}

impl std::error::Error for HistoryError {}

impl From<rusqlite::Error> for HistoryError {
    fn from(error: rusqlite::Error) -> HistoryError {
        HistoryError::Store(error)
    }
}

/// One thing to write, and when it was heard.
struct Entry {
    t: Nanos,
    what: What,
}

enum What {
    Event(Event),
    Seen(Box<Seen>),
    Alarm(String),
}

impl History {
    /// Opens the file, brings it up to date, begins a run in it and starts the writing thread.
    pub fn open(folder: &Folder, begun: &Begun, clock: Clock) -> Result<History, HistoryError> {
        let connection = connect(&folder.path(FILE))?;
        let run = rows::begin(&connection, begun)?;
        let (tell, told) = sync_channel(QUEUE_LEN);
        let writer = Writer {
            connection,
            run,
            markets: begun.markets.clone(),
        };
        let thread = std::thread::Builder::new().name("history".into());
        let thread = thread.spawn(move || writer.run(&told));
        let thread = thread.map_err(HistoryError::Thread)?;
        Ok(History {
            tell: Some(tell),
            thread: Some(thread),
            clock,
            lost: 0,
            balances: [Nanos::ZERO; VENUE_COUNT],
        })
    }

    /// Tells an event; most kinds are only counted elsewhere and pass by.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Balance { venue, .. } => {
                let now = self.clock.now();
                let last = &mut self.balances[venue.idx()];
                if now.since(*last) < BALANCE_EVERY_NS {
                    return;
                }
                *last = now;
            }
            Event::Taken { .. }
            | Event::Hedged { .. }
            | Event::Pair(_)
            | Event::OrderSent { .. }
            | Event::OrderState { .. }
            | Event::NotSent { .. }
            | Event::Fill { .. }
            | Event::Forced { .. }
            | Event::Funding { .. }
            | Event::Halt { .. } => {}
            _ => return,
        }
        self.push(What::Event(*event));
    }

    /// Tells what the treasury has read of an account.
    pub fn seen(&mut self, seen: Seen) {
        self.push(What::Seen(Box::new(seen)));
    }

    /// Tells something that a human should have heard.
    pub fn alarm(&mut self, text: &str) {
        self.push(What::Alarm(text.to_owned()));
    }

    fn push(&mut self, what: What) {
        let t = self.clock.now();
        let is_told = match &self.tell {
            Some(tell) => tell.try_send(Entry { t, what }).is_ok(),
            None => false,
        };
        self.lost += u64::from(!is_told);
    }

    /// Writes what still waits and closes the run; gives what is to be said of failures.
    pub fn finish(&mut self) -> Option<String> {
        // The thread ends with the channel, when it has written what stood there.
        drop(self.tell.take());
        let ended = match self.thread.take()?.join() {
            Ok(writer) => writer.and_then(|writer| writer.end(self.clock.now(), self.lost)),
            Err(_) => return Some("the history is not whole: its thread broke".to_owned()),
        };
        match ended {
            Ok(()) if self.lost == 0 => None,
            Ok(()) => Some(format!("the history lacks {} entries", self.lost)),
            Err(error) => Some(format!("the history of this run is not whole: {error}")),
        }
    }
}

impl Recorder {
    /// Tells the history of all that is drained as well.
    pub fn with_history(mut self, history: Option<History>) -> Recorder {
        self.history = history;
        self
    }

    /// The history, for those who have more to tell it; `None` where none is kept.
    pub fn history(&mut self) -> Option<&mut History> {
        self.history.as_mut()
    }
}

/// Opens the file, this user's alone, and brings it up to date.
fn connect(path: &Path) -> Result<Connection, HistoryError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(HistoryError::File)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // Readers and the writer don't wait for each other; a power cut may cost the last commits.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Statements kept prepared: there are no more than so many.
const STATEMENTS_MAX: usize = 32;

/// The file's own end, in the thread.
struct Writer {
    connection: Connection,
    run: i64,
    markets: Vec<String>,
}

impl Writer {
    /// Writes until the teller is gone. An error ends it: the teller then counts what it loses.
    fn run(mut self, told: &Receiver<Entry>) -> Result<Writer, HistoryError> {
        while let Ok(first) = told.recv() {
            let transaction = self.connection.transaction()?;
            let rows = Rows {
                connection: &transaction,
                run: self.run,
                markets: &self.markets,
            };
            rows.add(&first)?;
            for entry in told.try_iter().take(BATCH_LEN) {
                rows.add(&entry)?;
            }
            transaction.commit()?;
        }
        Ok(self)
    }

    fn end(self, now: Nanos, lost: u64) -> Result<(), HistoryError> {
        let rows = Rows {
            connection: &self.connection,
            run: self.run,
            markets: &self.markets,
        };
        Ok(rows.end(now, lost)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;
    use crate::market::book::Side;
    use crate::market::event::{ExitCause, PairEnd, PairSummary};
    use crate::market::order::{OrderId, OrderState};
    use crate::market::units::{Bps, Price, Size};
    use std::path::PathBuf;

    struct Place(PathBuf, Folder);

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir()
                .join(format!("parallax-history-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            let folder = Folder::open(&path).unwrap();
            Place(path, folder)
        }

        fn open(&self) -> Result<History, HistoryError> {
            let begun = Begun {
                number: 4711,
                mode: "live",
                markets: vec!["BTC".into(), "ETH".into()],
                started: Nanos(SECOND),
            };
            History::open(&self.1, &begun, Clock::new())
        }

        fn ask<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
            let connection = Connection::open(self.1.path(FILE)).unwrap();
            connection.query_row(sql, [], |row| row.get(0)).unwrap()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn pair(total: i64) -> PairSummary {
        PairSummary {
            pair: 3,
            instrument: InstrumentId(1),
            long: Venue::Lighter,
            end: PairEnd::Closed,
            cause: ExitCause::Converged,
            t_entry: Nanos(2 * SECOND),
            t_end: Nanos(5 * SECOND),
            size: Size(10_000_000),
            gross: Bps::whole(5),
            net: Bps::whole(2),
            edge: Notional::from_nano(total),
            slippage: Notional::ZERO,
            fees: Notional::ZERO,
            funding: Notional::ZERO,
            repair: Notional::ZERO,
            total: Notional::from_nano(total),
        }
    }

    fn told(history: &mut History) {
        let order = OrderId::new(4711, 3, 1);
        let venue = Venue::Lighter;
        let (price, size, side) = (Price(3_000_000_000_000), Size(10_000_000), Side::Bid);
        history.event(&Event::OrderSent {
            venue,
            order,
            side,
            price,
            size,
        });
        history.event(&Event::OrderState {
            venue,
            order,
            state: OrderState::Filled,
            code: 0,
        });
        let fee = Notional::from_nano(12_345_678);
        history.event(&Event::Fill {
            venue,
            order,
            side,
            price,
            size,
            fee,
        });
        // The entry of this pair was never told: its end still says what it was.
        history.event(&Event::Pair(pair(-40_000_000)));
        history.event(&Event::Pair(pair(-50_000_000)));
        for _ in 0..3 {
            history.event(&Event::Balance {
                venue,
                equity: Notional::from_usd(5),
                available: Notional::from_usd(4),
            });
        }
        history.event(&Event::Resync {
            venue,
            instrument: InstrumentId(0),
        });
    }

    #[test]
    fn what_was_told_can_be_asked() {
        let place = Place::new("told");
        for _ in 0..2 {
            let mut history = place.open().unwrap();
            told(&mut history);
            assert_eq!(history.finish(), None);
        }
        assert_eq!(place.ask::<i64>("SELECT count(*) FROM runs"), 2);
        assert_eq!(
            place.ask::<i64>("SELECT sum(lost) FROM runs WHERE ended_ns > 0"),
            0
        );
        assert_eq!(
            place.ask::<i64>("SELECT sum(total_e9) FROM pairs"),
            -100_000_000
        );
        assert_eq!(
            place.ask::<String>("SELECT min(state) FROM orders"),
            "filled"
        );
        let fills = "SELECT market || pair || side || price FROM fills_usd WHERE run = 2";
        assert_eq!(place.ask::<String>(fills), "ETH3buy3000.0");
        // One balance in ten seconds.
        assert_eq!(place.ask::<i64>("SELECT count(*) FROM balances"), 2);
        let entered = "SELECT entered FROM pairs_usd WHERE run = 1";
        assert_eq!(place.ask::<String>(entered), "1970-01-01 00:00:02");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_and_left_alone() {
        let place = Place::new("bad");
        std::fs::write(
            place.1.path(FILE),
            b"this is not a database, and it is long enough",
        )
        .unwrap();
        let error = place.open().err().unwrap();
        assert!(matches!(error, HistoryError::Store(_)), "{error}");
        assert!(error.to_string().contains("fix: "));
    }

    #[test]
    fn a_full_queue_loses_and_counts_and_never_waits() {
        let place = Place::new("full");
        let mut history = place.open().unwrap();
        let (tell, told) = sync_channel(2);
        let real = history.tell.replace(tell);
        for _ in 0..5 {
            history.alarm("x");
        }
        assert_eq!(history.lost, 3);
        drop(told);
        history.alarm("y");
        assert_eq!(history.lost, 4);
        history.tell = real;
        let said = history.finish().unwrap();
        assert!(said.contains("lacks 4 entries"), "{said}");
        assert_eq!(place.ask::<i64>("SELECT lost FROM runs"), 4);
    }

    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let place = Place::new("mode");
        place.open().unwrap().finish();
        let mode = std::fs::metadata(place.1.path(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
