//! The treasury of a run: looks at both accounts now and then, and says when something is not
//! explained.
//!
//! Cold, a thread of its own. Promises: an alarm is raised only by a drift that two looks in a row
//! have found, so that a row told late is none; it is raised once, until the drift changes by more
//! than the bound again. A last look is taken when the run is over. Refuses: to stop anything: what
//! drift means is a human's question.

use crate::config::Config;
use crate::market::units::Notional;
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::stage::clock::Clock;
use crate::state::Folder;
use crate::treasury::Look;
use crate::treasury::purse::{self, Purse};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a look brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// An account as it is.
    Look(Venue, Box<Look>),
    /// Something that a human must look at, in one sentence.
    Alarm(String),
    /// An account could not be read: whose and why. It is tried again.
    Unread(String),
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
        let every = Duration::from_secs(treasury.poll_s);
        let mut keeper = Keeper {
            purses: [extended, lighter],
            folder,
            clock,
            sirens: [Siren::new(treasury.drift_max); VENUE_COUNT],
        };
        let watch = move || {
            let mut is_over = false;
            loop {
                // Nobody listens any more only when the run is over.
                keeper
                    .look()
                    .into_iter()
                    .for_each(|one| drop(tell.send(one)));
                if is_over {
                    return;
                }
                is_over = dropped.recv_timeout(every) != Err(RecvTimeoutError::Timeout);
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
    purses: [Box<dyn Purse>; VENUE_COUNT],
    folder: Folder,
    clock: Clock,
    sirens: [Siren; VENUE_COUNT],
}

impl Keeper {
    fn look(&mut self) -> Vec<News> {
        let mut news = Vec::new();
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
                    news.push(News::Look(venue, Box::new(look)));
                }
            }
        }
        news
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
