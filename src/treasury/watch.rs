//! The treasury of a run: looks at both accounts now and then, says when something is not explained
//! and what a transfer under way leaves for positions; where AUTO_REBALANCE is true, carries them.
//!
//! Cold, a thread of its own. Promises: an alarm is raised only by a drift that two looks in a row
//! have found, so that a row told late is none; it is raised once, until the drift changes by more
//! than the bound again. A last look is taken when the run is over. Refuses: to stop anything: what
//! drift means is a human's question.

use crate::config::Config;
use crate::hands::HandsError;
use crate::market::units::{Nanos, Notional, SECOND};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::record::history;
use crate::stage::clock::Clock;
use crate::state::Folder;
use crate::treasury::Look;
use crate::treasury::auto::{Auto, Purses};
use crate::treasury::purse::{self, Purse};
use crate::treasury::rebalance::Side;
use crate::treasury::transfer::{Journal, Transfer, TransferError};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the journal of transfers is looked at. Larger: positions are held back later.
const BEAT: Duration = Duration::from_secs(1);

/// What a look brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// An account as it is.
    Look(Venue, Box<Look>),
    /// Something that a human must look at, in one sentence.
    Alarm(String),
    /// An account could not be read: whose and why. It is tried again.
    Unread(String),
    /// What a transfer under way leaves for positions, USD, by venue; `None`: none is under way.
    Transfer(Option<[Notional; VENUE_COUNT]>),
    /// What is worth saying, and no alarm.
    Said(String),
}

/// The thread. It looks at once, and ends with a last look when [`Watch::finish`] is called.
pub struct Watch {
    /// What it found.
    pub news: Receiver<News>,
    until_dropped: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Starts the thread. `None` where there is no account to watch.
    pub fn start(config: &Config, folder: Folder, clock: Clock) -> io::Result<Option<Watch>> {
        let both = (&config.extended, &config.lighter);
        let purses = purse::purses(both, config.extra_root_pem.as_deref(), clock);
        let [Ok(extended), Ok(lighter)] = purses else {
            return Ok(None);
        };
        let treasury = &config.treasury;
        let (tell, news) = channel();
        let (until_dropped, dropped) = channel::<()>();
        let every_ns = treasury.poll_s * SECOND;
        let auto = Auto::open(config, &folder, clock).unwrap_or_else(|error| {
            // Nobody has hung up yet.
            drop(tell.send(News::Alarm(format!("AUTO_REBALANCE: {error}"))));
            None
        });
        let mut keeper = Keeper {
            purses: [extended, lighter],
            folder,
            clock,
            sirens: [Siren::new(treasury.drift_max); VENUE_COUNT],
            auto,
            carry_due: Nanos::ZERO,
            staying: None,
            told: String::new(),
        };
        let watch = move || {
            let mut look_due = Nanos::ZERO;
            let mut is_over = false;
            loop {
                let now = clock.now();
                let mut all = keeper.look_at_transfer();
                if is_over || now >= look_due {
                    look_due = now.plus(every_ns);
                    all.extend(keeper.look(is_over));
                } else {
                    all.extend(keeper.carry());
                }
                // Nobody listens any more only when the run is over.
                all.into_iter().for_each(|one| drop(tell.send(one)));
                if is_over {
                    return;
                }
                is_over = dropped.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout);
            }
        };
        let thread = std::thread::Builder::new().name("treasury".into());
        let thread = thread.spawn(watch)?;
        Ok(Some(Watch {
            news,
            until_dropped,
            thread,
        }))
    }

    /// Waits for the last look and gives what was not heard yet.
    pub fn finish(self) -> Vec<News> {
        drop(self.until_dropped);
        // A thread that broke has no last word; what it said before is still here.
        drop(self.thread.join());
        self.news.try_iter().collect()
    }
}

struct Keeper {
    purses: Purses,
    folder: Folder,
    clock: Clock,
    sirens: [Siren; VENUE_COUNT],
    auto: Option<Auto>,
    carry_due: Nanos,
    /// What a transfer leaves for positions, as it was told.
    staying: Option<[Notional; VENUE_COUNT]>,
    /// The last complaint about a transfer.
    told: String,
}

impl Keeper {
    fn look(&mut self, is_over: bool) -> Vec<News> {
        let mut news = Vec::new();
        let mut looks = Vec::new();
        for venue in VENUES {
            let purse = self.purses[venue.idx()].as_ref();
            match purse::look(purse, Some(&self.folder), self.clock.now()) {
                Err(why) => news.push(News::Unread(why.0)),
                Ok(look) => {
                    let drift = look.account.drift;
                    if self.sirens[venue.idx()].hear(drift) {
                        news.push(News::Alarm(format!(
                            "DRIFT on {}: {drift} USD that no fill, fee, funding or transfer \
                             explains; see parallax balance",
                            venue.name()
                        )));
                    }
                    looks.push(look.clone());
                    news.push(News::Look(venue, Box::new(look)));
                }
            }
        }
        if let (Ok([extended, lighter]), false) = (<[Look; VENUE_COUNT]>::try_from(looks), is_over)
        {
            let begun = self.begin([extended, lighter]);
            news.extend(self.hear(begun));
        }
        news
    }

    /// Begins a transfer where these accounts ask for one.
    fn begin(&mut self, looks: [Look; VENUE_COUNT]) -> Result<Option<String>, TransferError> {
        let Some(auto) = &mut self.auto else {
            return Ok(None);
        };
        let [extended, lighter] = looks;
        let side = |look: Look, purse: &dyn Purse| {
            let trend = history::trend(&self.folder, purse.venue(), self.clock.now());
            Ok::<Side, HandsError>(Side {
                look,
                terms: purse.terms()?,
                // A history that can't be read foretells nothing.
                trend: trend.ok().flatten().unwrap_or_default(),
            })
        };
        let sides = [
            side(extended, self.purses[0].as_ref())?,
            side(lighter, self.purses[1].as_ref())?,
        ];
        auto.consider(&sides, &self.purses)
    }

    /// Carries a transfer on, when it is time to.
    fn carry(&mut self) -> Option<News> {
        let now = self.clock.now();
        let auto = self.auto.as_mut().filter(|_| now >= self.carry_due)?;
        let (carried, seconds) = auto.carry(&self.purses);
        self.carry_due = now.plus(seconds * SECOND);
        self.hear(carried)
    }

    /// A complaint is told once, until something else is.
    fn hear(&mut self, heard: Result<Option<String>, TransferError>) -> Option<News> {
        match heard {
            Ok(None) => None,
            Ok(Some(said)) => {
                self.told.clear();
                Some(News::Said(said))
            }
            Err(error) => {
                let error = error.to_string();
                let is_new = self.told != error;
                self.told.clone_from(&error);
                is_new.then(|| News::Alarm(format!("the transfer does not go on: {error}")))
            }
        }
    }

    /// Whoever carries a transfer, positions are held within what it leaves.
    fn look_at_transfer(&mut self) -> Vec<News> {
        match Journal::load(&self.folder) {
            Ok(journal) => {
                let staying = journal.now.as_ref().map(Transfer::room);
                if staying == self.staying {
                    return Vec::new();
                }
                self.staying = staying;
                vec![News::Transfer(staying)]
            }
            Err(error) => self.hear(Err(error)).into_iter().collect(),
        }
    }
}

/// Decides when drift is worth an alarm.
#[derive(Clone, Copy, Debug)]
struct Siren {
    bound: Notional,
    /// As the last look had it.
    last: Notional,
    /// As it was when it was told.
    told: Notional,
}

impl Siren {
    fn new(bound: Notional) -> Siren {
        Siren {
            bound,
            last: Notional::ZERO,
            told: Notional::ZERO,
        }
    }

    /// Whether this drift is to be told now.
    fn hear(&mut self, drift: Notional) -> bool {
        let is_lasting = (drift - self.last).abs() <= self.bound;
        self.last = drift;
        if drift.abs() <= self.bound {
            // Explained after all, or accepted: the next one is a new one.
            self.told = Notional::ZERO;
            return false;
        }
        let is_new = (drift - self.told).abs() > self.bound;
        if is_lasting && is_new {
            self.told = drift;
        }
        is_lasting && is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_takes_two_looks_and_is_raised_once() {
        let mut siren = Siren::new(Notional::from_usd(1));
        let table = [
            (0, false),
            // Told late, and explained by the next look.
            (-500, false),
            (0, false),
            // Here to stay.
            (-3, false),
            (-3, true),
            (-3, false),
            (-4, false),
            // More of it.
            (-6, false),
            (-6, true),
            // Accepted, and then another.
            (0, false),
            (5, false),
            (5, true),
        ];
        for (at, (drift, is_told)) in table.into_iter().enumerate() {
            assert_eq!(siren.hear(Notional::from_usd(drift)), is_told, "{at}");
        }
    }
}
