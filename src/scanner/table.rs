//! The hedge machine as tables: where a pair stands, what is so, where it stands next, the deed.
//!
//! [`PAIR_ROWS`] is the machine; `hedge.rs` only executes it: of the rows of the pair's state the
//! first whose `when` holds is taken, and again while its deed says to look again. What a `when`
//! means is in `sight.rs`. *News* rows are taken when the thing happens, all others at each step.
//! [`LEG_ROWS`] do the same for an order in flight, of which *Unknown* is a state.
//!
//! Promises: no transition exists outside the two tables. Refuses: nothing; tables only state.
//! The tests explore them row by row and break ten of them, each time to be caught.

use crate::market::Venue;
use crate::market::event::HaltCause;
use crate::market::units::Size;
use crate::scanner::board::Board;
use crate::scanner::pair::Pair;
use crate::scanner::repair::{self, Way};

/// How many states there are, and how many kinds of news.
const STATES: usize = State::Stuck as usize + 1;
const NEWS: usize = When::ExitDue as usize + 1;

/// Where a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The slot is free.
    Flat,
    /// The entry is out, nothing has filled.
    Entering,
    /// One leg holds more than the other.
    Legged,
    /// Both legs are even.
    Hedged,
    /// On the way out.
    Leaving,
    /// The lone leg is being taken back.
    Unwinding,
    /// Needs a human; halt was raised.
    Stuck,
}

/// What is so. The first six are news; *large* is the leg that holds more, *small* the other, and
/// the excess is what the large one holds more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// An edge passed all limits, and its first order goes out.
    Entry,
    /// A hedged position that stood before the run is taken over.
    Adoption,
    /// A fill that opens.
    Opened,
    /// A fill that closes.
    Closed,
    /// The venue took some of a leg away.
    Taken,
    /// The time to leave has come.
    ExitDue,
    /// A leg has closed more than it ever opened.
    OverClosed,
    /// It stands alone or in doubt for too long, and nobody has been called yet.
    TooLong,
    /// An order is in flight on either leg, *Unknown* included.
    InFlight,
    /// Fills of orders that are over by word may still come.
    MayFillLate,
    /// An order is in flight on the small leg.
    SmallInFlight,
    /// There is an excess and tries are left, but the pause after the last is not over.
    HedgePaused,
    /// There is an excess and tries are left, but the small leg's venue is away, not yet for long.
    SmallAway,
    /// The hedge could go out, but to take the excess back is cheaper by now.
    EdgeGone,
    /// The hedge could go out, but late fills could then make the legs more uneven than allowed.
    HedgeDoubtful,
    /// There is an excess, tries are left, and the small leg's venue takes the order.
    Hedgeable,
    /// There is an excess, and its venue takes it back or nothing stands beside it.
    Removable,
    /// Both legs hold nothing, but an order is in flight or may fill late.
    FlatInDoubt,
    /// Both legs hold nothing.
    Flat,
    /// The legs are as even as orders can make them.
    Settled,
    /// The pause after the last close is not over.
    Paused,
    /// The large leg's venue is away, the small leg's is not, and hedges are left. On the way out
    /// only when it has been so for long.
    HedgeAgain,
    /// The large leg's venue is away.
    LargeAway,
    /// What stands alone is too small for its venue, which has refused it; raised by the least that
    /// it takes, it could be closed.
    TopUpDue,
    /// Out of tries, but an order is in flight or may fill late.
    SpentInDoubt,
    /// Out of tries, and what is left is too small for its venue.
    SpentDust,
    /// Out of tries.
    Spent,
    /// To take the excess back would cost more than the bound.
    TooDear,
    /// A close could, with late fills, make the legs more uneven than allowed.
    CloseDoubtful,
    /// It is left evenly, and the large leg is to be lowered now.
    EvenlyDue,
    /// It is left evenly, and something is under way.
    EvenlyPending,
    /// It is left evenly, both legs stand even, and nothing is under way.
    EvenlyDone,
    /// None of the above.
    Else,
}

/// What is done. `Wait` and `Rest` end the step, as does an order; after `Turn` and `Call` the
/// machine looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Nothing.
    Wait,
    /// Nothing but the change of state; look again.
    Turn,
    /// Raise the small leg by the excess.
    Hedge,
    /// Lower the large leg by the excess.
    CloseLarge,
    /// Lower both legs to nothing.
    CloseBoth,
    /// Raise the large leg by the least that its venue takes.
    TopUp,
    /// At rest until news.
    Rest,
    /// Call a human, once, and go on.
    Call,
    /// Nothing had filled: free the slot.
    EndMissed,
    /// The lone leg was taken back: free the slot.
    EndUnwound,
    /// Left: free the slot.
    EndLeft,
    /// Stop acting on the pair and halt.
    Freeze(HaltCause),
}

/// One row of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where the pair stands.
    pub from: State,
    /// What is so.
    pub when: When,
    /// Where it stands from now on.
    pub next: State,
    /// What is done.
    pub deed: Deed,
}

/// What is so of an order in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegWhen {
    /// Within its time.
    Open,
    /// Nothing more can happen to it but a late fill.
    Over,
    /// Nobody knows, and the next question is due.
    QuestionDue,
    /// Nobody has known for long, and the venue's position tells.
    Explained,
    /// Nobody has known for long, and the position shows what the order can't have done.
    Contradicted,
    /// Nobody has known for very long, and nothing tells.
    Hopeless,
    /// Nobody knows.
    Unknown,
}

/// What is done about an order in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegDeed {
    /// Nothing.
    Wait,
    /// Forget it; what of it may fill late is kept in mind.
    End,
    /// Ask the venue, and look again.
    Ask,
    /// Take what the position shows for its fills, and forget it.
    Judge,
    /// Stop acting on the pair and halt.
    Freeze(HaltCause),
}

/// One row for an order in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegRow {
    /// What is so.
    pub when: LegWhen,
    /// What is done.
    pub deed: LegDeed,
}

/// What the machine executes. The run has [`RULES`]; only a test has others.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The machine.
    pub pair: &'static [Row],
    /// The same for an order in flight.
    pub leg: &'static [LegRow],
    /// Whether hedge or unwind is the cheaper.
    pub cheaper: fn(&Pair, &Board, Venue, Size) -> Way,
    index: Index,
}

/// Where to look in the table, so that neither news nor a step searches all of it.
#[derive(Clone, Copy, Debug)]
struct Index {
    /// Where a pair stands after news, by state and news.
    after: [[State; NEWS]; STATES],
    /// The rows of each state that are no news: the first, and one past the last.
    rows: [(u8, u8); STATES],
}

/// The rules of a run.
pub const RULES: Rules = Rules::new(PAIR_ROWS, LEG_ROWS, repair::cheaper);

const fn row(from: State, when: When, next: State, deed: Deed) -> Row {
    Row {
        from,
        when,
        next,
        deed,
    }
}

use Deed::{
    Call, CloseBoth, CloseLarge, EndLeft, EndMissed, EndUnwound, Freeze, Hedge, Rest, TopUp, Turn,
    Wait,
};
use HaltCause::{PairStuck, Unexplained};
use State::{Entering, Flat, Hedged, Leaving, Legged, Stuck, Unwinding};

/// The machine, state by state; within a state the order of rows is their precedence.
pub const PAIR_ROWS: &[Row] = &[
    // News. A state without a row for it stays as it is.
    row(Flat, When::Entry, Entering, Wait),
    row(Flat, When::Adoption, Hedged, Wait),
    row(Entering, When::Opened, Legged, Wait),
    row(Hedged, When::Opened, Legged, Wait),
    row(Hedged, When::Closed, Leaving, Wait),
    row(Hedged, When::ExitDue, Leaving, Wait),
    row(Legged, When::Taken, Leaving, Wait),
    row(Hedged, When::Taken, Leaving, Wait),
    row(Unwinding, When::Taken, Leaving, Wait),
    // Nothing has filled. With no order left that may, the pair has missed. A cancelled order may
    // still have traded (venues have said "nothing filled" and filled): the slot waits that out.
    row(Entering, When::OverClosed, Stuck, Freeze(Unexplained)),
    row(Entering, When::TooLong, Entering, Call),
    row(Entering, When::InFlight, Entering, Wait),
    row(Entering, When::MayFillLate, Entering, Wait),
    row(Entering, When::Else, Flat, EndMissed),
    // Each fill is followed at once if it is large enough for the other venue; what is too small
    // waits for more while the large leg's order still works. When the other leg can't be had, or
    // no longer pays, the large one is taken back. A remainder beside a hedged part that neither
    // venue takes is carried inside the pair and closed with its leg; a lone leg never is.
    row(Legged, When::OverClosed, Stuck, Freeze(Unexplained)),
    row(Legged, When::TooLong, Legged, Call),
    row(Legged, When::SmallInFlight, Legged, Wait),
    row(Legged, When::HedgePaused, Legged, Wait),
    row(Legged, When::SmallAway, Legged, Wait),
    row(Legged, When::EdgeGone, Unwinding, Turn),
    row(Legged, When::HedgeDoubtful, Legged, Wait),
    row(Legged, When::Hedgeable, Legged, Hedge),
    row(Legged, When::InFlight, Legged, Wait),
    row(Legged, When::Removable, Unwinding, Turn),
    row(Legged, When::Else, Hedged, Rest),
    // It begins only when nothing is in flight, so that a hedge that fills late and an unwind do
    // not chase each other; should one fill late all the same, the large leg is then the other one,
    // and that is lowered instead.
    row(Unwinding, When::OverClosed, Stuck, Freeze(Unexplained)),
    row(Unwinding, When::TooLong, Unwinding, Call),
    row(Unwinding, When::InFlight, Unwinding, Wait),
    row(Unwinding, When::FlatInDoubt, Unwinding, Wait),
    row(Unwinding, When::Flat, Flat, EndUnwound),
    row(Unwinding, When::Settled, Hedged, Rest),
    row(Unwinding, When::Paused, Unwinding, Wait),
    row(Unwinding, When::HedgeAgain, Legged, Turn),
    row(Unwinding, When::LargeAway, Unwinding, Wait),
    row(Unwinding, When::TopUpDue, Unwinding, TopUp),
    row(Unwinding, When::SpentInDoubt, Unwinding, Wait),
    row(Unwinding, When::SpentDust, Flat, EndUnwound),
    row(Unwinding, When::Spent, Stuck, Freeze(PairStuck)),
    row(Unwinding, When::TooDear, Stuck, Freeze(PairStuck)),
    row(Unwinding, When::CloseDoubtful, Unwinding, Wait),
    row(Unwinding, When::Else, Unwinding, CloseLarge),
    // At rest, but what its orders left unfilled may stay in doubt while their venue is away.
    row(Hedged, When::TooLong, Hedged, Call),
    // Evenly, the large leg following the leading one; or both at once, which has no even state
    // to go back to and ends flat or out of tries. A leg left over on a venue that has been away
    // for long is hedged anew, and the pair leaves once more when both can be had.
    row(Leaving, When::OverClosed, Stuck, Freeze(Unexplained)),
    row(Leaving, When::TooLong, Leaving, Call),
    row(Leaving, When::FlatInDoubt, Leaving, Wait),
    row(Leaving, When::Flat, Flat, EndLeft),
    row(Leaving, When::HedgeAgain, Legged, Turn),
    row(Leaving, When::EvenlyDue, Leaving, CloseLarge),
    row(Leaving, When::EvenlyPending, Leaving, Wait),
    row(Leaving, When::EvenlyDone, Hedged, Rest),
    row(Leaving, When::TopUpDue, Leaving, TopUp),
    row(Leaving, When::SpentInDoubt, Leaving, Wait),
    row(Leaving, When::SpentDust, Flat, EndLeft),
    row(Leaving, When::Spent, Stuck, Freeze(PairStuck)),
    row(Leaving, When::Paused, Leaving, Wait),
    row(Leaving, When::Else, Leaving, CloseBoth),
];

/// An order in flight, from its push to its end.
pub const LEG_ROWS: &[LegRow] = &[
    LegRow {
        when: LegWhen::Open,
        deed: LegDeed::Wait,
    },
    LegRow {
        when: LegWhen::Over,
        deed: LegDeed::End,
    },
    LegRow {
        when: LegWhen::QuestionDue,
        deed: LegDeed::Ask,
    },
    LegRow {
        when: LegWhen::Explained,
        deed: LegDeed::Judge,
    },
    LegRow {
        when: LegWhen::Contradicted,
        deed: LegDeed::Freeze(Unexplained),
    },
    LegRow {
        when: LegWhen::Hopeless,
        deed: LegDeed::Freeze(PairStuck),
    },
    LegRow {
        when: LegWhen::Unknown,
        deed: LegDeed::Wait,
    },
];

impl Rules {
    /// Of these rows, no more than 255.
    pub const fn new(
        pair: &'static [Row],
        leg: &'static [LegRow],
        cheaper: fn(&Pair, &Board, Venue, Size) -> Way,
    ) -> Rules {
        Rules {
            pair,
            leg,
            cheaper,
            index: Index::new(pair),
        }
    }

    /// Where a pair stands after news: the first row for it, else as before. Anything else than
    /// news changes nothing.
    #[inline]
    pub fn after(&self, from: State, news: When) -> State {
        let after = self.index.after[from as usize].get(news as usize);
        after.copied().unwrap_or(from)
    }

    /// The rows among which those of a state are that are no news, by their place in the table.
    #[inline]
    pub fn rows_of(&self, state: State) -> std::ops::Range<usize> {
        let (first, end) = self.index.rows[state as usize];
        usize::from(first)..usize::from(end)
    }
}

impl Index {
    const fn new(pair: &[Row]) -> Index {
        assert!(pair.len() <= u8::MAX as usize, "a row's place is a byte");
        let states = [Flat, Entering, Legged, Hedged, Leaving, Unwinding, Stuck];
        let mut index = Index {
            after: [[Flat; NEWS]; STATES],
            rows: [(0, 0); STATES],
        };
        let mut at = 0;
        while at < STATES {
            index.after[states[at] as usize] = [states[at]; NEWS];
            at += 1;
        }
        // From the last to the first, so that of two rows for the same the first counts.
        let mut at = pair.len();
        while at > 0 {
            at -= 1;
            let (from, when) = (pair[at].from as usize, pair[at].when as usize);
            if when < NEWS {
                index.after[from][when] = pair[at].next;
            } else if index.rows[from].1 == 0 {
                index.rows[from] = (at as u8, at as u8 + 1);
            } else {
                index.rows[from].0 = at as u8;
            }
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The judge looks through the whole table.
    #[test]
    fn the_index_leads_where_a_search_would() {
        let whens = PAIR_ROWS.iter().map(|row| row.when);
        for from in PAIR_ROWS.iter().flat_map(|row| [row.from, row.next]) {
            for when in whens.clone() {
                let row = PAIR_ROWS
                    .iter()
                    .find(|row| row.from == from && row.when == when);
                let is_news = (when as usize) < NEWS;
                let after = row.filter(|_| is_news).map_or(from, |row| row.next);
                assert_eq!(RULES.after(from, when), after, "{from:?} {when:?}");
            }
            let is_its = |row: &&Row| row.from == from && row.when as usize >= NEWS;
            let searched: Vec<&Row> = PAIR_ROWS.iter().filter(is_its).collect();
            let indexed = PAIR_ROWS[RULES.rows_of(from)].iter().filter(is_its);
            assert_eq!(indexed.collect::<Vec<_>>(), searched, "{from:?}");
        }
        let first = RULES.rows_of(State::Legged).start;
        assert_eq!(PAIR_ROWS[first].when, When::OverClosed);
    }
}
