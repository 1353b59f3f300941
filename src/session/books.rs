//! What a run writes down for its owner: the history, and what the treasury finds.
//!
//! Cold. Promises: neither keeps a run from starting or trading; what can't be kept is said once.
//! Refuses: a history of runs that trade nothing and watch no account, and of a demo.

use crate::config::{Config, Mode};
use crate::market::event::Control;
use crate::market::units::Nanos;
use crate::market::{Instrument, VENUE_COUNT, VENUES};
use crate::record::Recorder;
use crate::record::history::{Begun, History, Seen};
use crate::stage::clock::Clock;
use crate::stage::link::Tx;
use crate::state::Folder;
use crate::treasury::watch::{News, Watch};

/// Both.
#[derive(Default)]
pub struct Books {
    watch: Option<Watch>,
    /// Reading an account has failed, and that was said.
    is_unread: bool,
    /// What the scanner has yet to hear of transfers: the control link had no room.
    unheard: [Option<Control>; VENUE_COUNT],
}

impl Books {
    /// Opens the history and starts the treasury's thread, as far as there is anything to keep.
    pub fn open(
        config: &Config,
        instruments: &[Instrument],
        (number, started): (u16, Nanos),
        clock: Clock,
    ) -> (Books, Option<History>) {
        let is_kept = config.mode == Mode::Live || config.auto_execution;
        let path = config.state_dir.as_ref().filter(|_| is_kept);
        let folder = path.and_then(|path| match Folder::open(path) {
            Ok(folder) => Some(folder),
            Err(error) => {
                eprintln!("parallax: no history is kept: {error}");
                None
            }
        });
        let Some(folder) = folder else {
            return (Books::default(), None);
        };
        let begun = Begun {
            number,
            mode: if config.is_paper() {
                "paper"
            } else {
                config.mode.name()
            },
            markets: instruments.iter().map(|i| i.name.to_string()).collect(),
            started,
        };
        let history = History::open(&folder, &begun, clock);
        let history = history.map_err(|error| eprintln!("parallax: no history is kept: {error}"));
        // On paper there is no account.
        let is_live = config.mode == Mode::Live;
        let watch = is_live.then(|| Watch::start(config, folder, clock));
        let watch = watch.transpose().unwrap_or_else(|error| {
            eprintln!("parallax: the accounts' drift is not watched: {error}");
            None
        });
        let books = Books {
            watch: watch.flatten(),
            ..Books::default()
        };
        (books, history.ok())
    }

    /// Takes what the treasury has found to the history and to the scanner; gives what is to be
    /// said.
    pub fn hear(&mut self, recorder: &mut Recorder, control: &mut Tx<Control>) -> Vec<String> {
        let news: Vec<News> = match &self.watch {
            Some(watch) => watch.news.try_iter().collect(),
            None => return Vec::new(),
        };
        let said = self.sort(news, recorder);
        for unheard in &mut self.unheard {
            if let Some(word) = unheard.take()
                && control.push(word).is_err()
            {
                *unheard = Some(word);
            }
        }
        said
    }

    /// Waits for the last look and for the history to be written; gives what is to be said.
    pub fn close(mut self, recorder: &mut Recorder) -> Vec<String> {
        let last = self.watch.take().map(Watch::finish).unwrap_or_default();
        let mut said = self.sort(last, recorder);
        said.extend(recorder.history().and_then(History::finish));
        said
    }

    fn sort(&mut self, news: Vec<News>, recorder: &mut Recorder) -> Vec<String> {
        let mut said = Vec::new();
        for one in news {
            match one {
                News::Look(venue, look) => {
                    self.is_unread = false;
                    if let Some(history) = recorder.history() {
                        history.seen(Seen {
                            venue,
                            money: look.money,
                            drift: look.account.drift,
                            transfers: look.transfers,
                        });
                    }
                }
                News::Transfer(staying) => {
                    self.unheard = VENUES.map(|venue| {
                        let most = staying.map(|staying| staying[venue.idx()]);
                        Some(Control::Transfer { venue, most })
                    });
                    said.extend(staying.map(|[extended, lighter]| {
                        format!(
                            "a transfer is under way: no more than {extended} USD of positions on \
                             extended and {lighter} on lighter until it is there"
                        )
                    }));
                }
                News::Said(what) => said.push(what),
                News::Alarm(why) => {
                    if let Some(history) = recorder.history() {
                        history.alarm(&why);
                    }
                    said.push(why);
                }
                News::Unread(why) => {
                    if !std::mem::replace(&mut self.is_unread, true) {
                        said.push(format!("the treasury could not look: {why}"));
                    }
                }
            }
        }
        said
    }
}
