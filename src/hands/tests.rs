//! The executor against hands that do as a script says: fills that come late or in part, refusals,
//! lists that lie, venues that are gone. Nothing here waits: time is a number.

use super::even::even_out;
use super::plan::Plan;
use super::settle::{Aim, Pace, Scope, Settled, cancel, look, settle, steady};
use super::{Done, Hands, HandsError, Held, Resting};
use crate::market::book::Side;
use crate::market::order::OrderId;
use crate::market::units::{Bps, Notional, Price, Size};
use crate::market::{Bounds, Instrument, InstrumentId, Market, Name, VENUES, Venue};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What an order does.
#[derive(Clone, Copy, Debug)]
enum Fill {
    /// Trades in full.
    All,
    /// Trades so much.
    Part(i64),
    /// Accepted; nothing trades.
    Nothing,
    /// Accepted; trades in full so many milliseconds later.
    Late(u64),
    /// Refused.
    Refused,
    /// No answer came, and it traded in full.
    Lost,
}

/// What a read of positions says.
#[derive(Clone, Copy, Debug)]
enum Read {
    /// Nothing is held: a lie.
    Nothing,
    /// No answer.
    Gone,
}

/// One account that does as it is told. Scripts that have run out do the best thing.
struct Scripted {
    venue: Venue,
    clock: Arc<AtomicU64>,
    held: RefCell<Vec<Held>>,
    resting: RefCell<Vec<Resting>>,
    reads: RefCell<VecDeque<Option<Read>>>,
    fills: VecDeque<Fill>,
    /// Cancels that are taken and do nothing.
    deaf_cancels: usize,
    /// What rests is not told.
    is_mute: bool,
    /// Due time, market, size.
    late: RefCell<Vec<(u64, String, Size)>>,
    /// Market, size, band.
    orders: Vec<(String, Size, Bps)>,
    cancels: Vec<String>,
    done: Vec<Done>,
}

impl Scripted {
    fn new(venue: Venue, held: &[(&str, i64)]) -> Scripted {
        let row = |(market, size): &(&str, i64)| Held {
            market: market.to_string(),
            size: Size(*size),
            entry: Price(1),
        };
        Scripted {
            venue,
            clock: Arc::default(),
            held: RefCell::new(held.iter().map(row).collect()),
            resting: RefCell::default(),
            reads: RefCell::default(),
            fills: VecDeque::new(),
            deaf_cancels: 0,
            is_mute: false,
            late: RefCell::default(),
            orders: Vec::new(),
            cancels: Vec::new(),
            done: Vec::new(),
        }
    }

    fn fills(mut self, fills: &[Fill]) -> Scripted {
        self.fills = fills.iter().copied().collect();
        self
    }

    fn reads(self, reads: &[Option<Read>]) -> Scripted {
        *self.reads.borrow_mut() = reads.iter().copied().collect();
        self
    }

    fn rests(self, orders: &[(&str, u64)]) -> Scripted {
        let row = |(market, id): &(&str, u64)| Resting {
            market: market.to_string(),
            id: OrderId(*id),
        };
        *self.resting.borrow_mut() = orders.iter().map(row).collect();
        self
    }

    fn size(&self, market: &str) -> i64 {
        let held = self.held.borrow();
        let row = held.iter().find(|held| held.market == market);
        row.map_or(0, |held| held.size.0)
    }

    /// A reduce-only fill: never beyond zero.
    fn fill(&self, market: &str, size: Size) {
        let mut rows = self.held.borrow_mut();
        for held in rows.iter_mut().filter(|held| held.market == market) {
            let cut = size.0.min(held.size.0.abs());
            held.size.0 -= cut * held.size.0.signum();
        }
        rows.retain(|held| held.size != Size::ZERO);
    }

    /// Settles with time passing in the scripts alone. The second number is how long it took, ms.
    fn settle(&mut self, aim: &Aim) -> (Settled, u64) {
        let clock = Arc::clone(&self.clock);
        let settled = with_pace(&clock, |pace| settle(self, aim, pace));
        (settled, clock.load(Ordering::Relaxed))
    }
}

fn with_pace<T>(clock: &AtomicU64, work: impl FnOnce(&Pace<'_>) -> T) -> T {
    let sleep = |time: Duration| {
        clock.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    };
    work(&Pace {
        sleep: &sleep,
        tell: &|_, words| assert!(!words.is_empty()),
    })
}

impl Hands for Scripted {
    fn venue(&self) -> Venue {
        self.venue
    }

    fn markets(&self) -> Result<Vec<String>, HandsError> {
        Ok(vec!["BTC".into(), "ETH".into()])
    }

    fn positions(&self) -> Result<Vec<Held>, HandsError> {
        let now = self.clock.load(Ordering::Relaxed);
        let (due, later) = self.late.take().into_iter().partition(|late| late.0 <= now);
        *self.late.borrow_mut() = later;
        let due: Vec<(u64, String, Size)> = due;
        for (_, market, size) in due {
            self.fill(&market, size);
        }
        match self.reads.borrow_mut().pop_front().flatten() {
            None => Ok(self.held.borrow().clone()),
            Some(Read::Nothing) => Ok(vec![]),
            Some(Read::Gone) => Err(HandsError("no answer".into())),
        }
    }

    fn resting(&self) -> Result<Vec<Resting>, HandsError> {
        match self.is_mute {
            true => Err(HandsError("no list".into())),
            false => Ok(self.resting.borrow().clone()),
        }
    }

    fn done(&self) -> Result<Vec<Done>, HandsError> {
        Ok(self.done.clone())
    }

    fn cancel_all(&mut self) -> Result<(), HandsError> {
        self.cancels.push("all".into());
        if self.cancels.len() > self.deaf_cancels {
            self.resting.borrow_mut().clear();
        }
        Ok(())
    }

    fn cancel_market(&mut self, market: &str) -> Result<(), HandsError> {
        self.cancels.push(market.into());
        let mut resting = self.resting.borrow_mut();
        resting.retain(|order| order.market != market);
        Ok(())
    }

    fn reduce(&mut self, held: &Held, size: Size, band: Bps) -> Result<(), HandsError> {
        assert!(
            size > Size::ZERO && size.0 <= held.size.0.abs(),
            "{held:?} {size}"
        );
        let market = held.market.clone();
        self.orders.push((market.clone(), size, band));
        match self.fills.pop_front().unwrap_or(Fill::All) {
            Fill::All => self.fill(&market, size),
            Fill::Part(part) => self.fill(&market, size.min(Size(part))),
            Fill::Nothing => {}
            Fill::Late(after) => {
                let due = self.clock.load(Ordering::Relaxed) + after;
                self.late.borrow_mut().push((due, market, size));
            }
            Fill::Refused => return Err(HandsError("below the smallest order".into())),
            Fill::Lost => {
                self.fill(&market, size);
                return Err(HandsError("no answer".into()));
            }
        }
        Ok(())
    }
}

fn flat() -> Aim {
    Aim::flat(Scope::All)
}

fn keep(market: &str, size: i64) -> Aim {
    Aim {
        scope: Scope::All,
        keep: vec![(market.into(), Size(size))],
    }
}

#[test]
fn a_plain_account_is_flat_after_one_order_a_market() {
    let held = [("BTC", 500), ("ETH", -70)];
    let mut hand =
        Scripted::new(Venue::Extended, &held).rests(&[("BTC", 1), ("ETH", 0), ("ETH", 0)]);
    let (settled, took_ms) = hand.settle(&flat());
    assert!(settled.is_done(), "{settled:?}");
    assert_eq!(settled.orders.gone.len(), 3);
    let closed = [("BTC".to_owned(), Size(500)), ("ETH".to_owned(), Size(-70))];
    assert_eq!(settled.positions.closed, closed);
    assert_eq!(hand.orders.len(), 2);
    assert_eq!(hand.cancels, ["all"]);
    assert!(took_ms < 5_000, "{took_ms}");
}

#[test]
fn a_cancel_goes_out_for_orders_on_no_list() {
    let mut hand = Scripted::new(Venue::Lighter, &[]);
    assert!(hand.settle(&flat()).0.is_done());
    assert_eq!(hand.cancels, ["all"]);
}

#[test]
fn parts_are_followed_by_a_wider_band() {
    let fills = [Fill::Part(100), Fill::Nothing, Fill::Part(150)];
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", -500)]).fills(&fills);
    let (settled, _) = hand.settle(&flat());
    assert!(settled.is_done(), "{settled:?}");
    let sizes: Vec<i64> = hand.orders.iter().map(|(_, size, _)| size.0).collect();
    assert_eq!(sizes, [500, 400, 400, 250]);
    assert!(hand.orders.windows(2).all(|two| two[0].2 < two[1].2));
}

#[test]
fn what_can_not_be_closed_is_left_with_its_reason_after_bounded_attempts() {
    let held = [("BTC", 3), ("ETH", 5)];
    let fills: Vec<Fill> = (0..40)
        .map(|n| {
            if n % 2 == 0 || n > 1 {
                Fill::Refused
            } else {
                Fill::All
            }
        })
        .collect();
    let mut hand = Scripted::new(Venue::Lighter, &held).fills(&fills);
    let (settled, took_ms) = hand.settle(&flat());
    assert!(!settled.is_done());
    let left = &settled.positions.left;
    assert_eq!(
        (left.len(), left[0].market.as_str(), left[0].size),
        (1, "BTC", Size(3))
    );
    let why = left[0].why.as_ref().map(|why| why.0.as_str());
    assert_eq!(why, Some("below the smallest order"));
    assert_eq!(hand.size("ETH"), 0, "the other one is closed all the same");
    let tries = hand.orders.iter().filter(|(market, ..)| market == "BTC");
    assert_eq!(tries.count(), 7);
    assert!(took_ms < 60_000, "{took_ms}");
}

#[test]
fn a_late_fill_is_not_sent_for_twice() {
    for late_ms in [100, 1_000, 2_000, 4_000] {
        let fills = [Fill::Late(late_ms)];
        let mut hand = Scripted::new(Venue::Lighter, &[("BTC", 500)]).fills(&fills);
        let (settled, _) = hand.settle(&keep("BTC", 300));
        assert!(settled.is_done(), "{late_ms} {settled:?}");
        assert_eq!((hand.size("BTC"), hand.orders.len()), (300, 1), "{late_ms}");
    }
}

#[test]
fn an_order_without_an_answer_is_judged_by_the_position() {
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", 500)]).fills(&[Fill::Lost]);
    let (settled, _) = hand.settle(&keep("BTC", 100));
    assert!(settled.is_done(), "{settled:?}");
    assert_eq!((hand.size("BTC"), hand.orders.len()), (100, 1));
}

#[test]
fn one_read_that_says_nothing_is_held_is_not_believed() {
    let reads = [Some(Read::Nothing)];
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", 500)]).reads(&reads);
    assert!(hand.settle(&flat()).0.is_done());
    assert_eq!(hand.size("BTC"), 0);
    // In the middle as well.
    let reads = [None, Some(Read::Nothing), None, None, Some(Read::Nothing)];
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", 500)])
        .reads(&reads)
        .fills(&[Fill::Nothing]);
    assert!(hand.settle(&flat()).0.is_done());
    assert_eq!(hand.size("BTC"), 0);
}

#[test]
fn reads_that_never_agree_are_a_fault() {
    let reads: Vec<Option<Read>> = (0..40)
        .map(|n| (n % 2 == 0).then_some(Read::Nothing))
        .collect();
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", 500)]).reads(&reads);
    let (settled, _) = hand.settle(&flat());
    assert!(settled.positions.fault.is_some() && !settled.is_done());
    assert!(hand.orders.is_empty());
}

#[test]
fn a_venue_that_comes_back_is_waited_for_and_one_that_is_gone_is_said_to_be() {
    let gone = |count: usize| vec![Some(Read::Gone); count];
    let mut hand = Scripted::new(Venue::Lighter, &[("BTC", 500)]).reads(&gone(4));
    assert!(hand.settle(&flat()).0.is_done());
    let mut hand = Scripted::new(Venue::Lighter, &[("BTC", 500)]).reads(&gone(99));
    let (settled, took_ms) = hand.settle(&flat());
    let fault = settled.positions.fault.as_ref().map(|why| why.0.as_str());
    assert_eq!((fault, settled.is_done()), (Some("no answer"), false));
    assert!(hand.orders.is_empty() && took_ms < 30_000, "{took_ms}");
}

#[test]
fn orders_that_stay_are_cancelled_again_and_then_said() {
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", 5)]).rests(&[("BTC", 1)]);
    hand.deaf_cancels = 2;
    assert!(hand.settle(&flat()).0.is_done());
    assert_eq!(hand.cancels.len(), 3);
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", 5)]).rests(&[("BTC", 1)]);
    hand.deaf_cancels = 99;
    let (settled, _) = hand.settle(&flat());
    assert_eq!(
        (settled.orders.resting.len(), settled.orders.gone.len()),
        (1, 0)
    );
    assert!(!settled.is_done());
    assert_eq!(hand.size("BTC"), 0, "positions are closed all the same");
    assert_eq!(hand.cancels.len(), 6);
}

#[test]
fn without_a_list_orders_are_cancelled_and_positions_closed_all_the_same() {
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", 5)]).rests(&[("BTC", 1)]);
    hand.is_mute = true;
    let (settled, _) = hand.settle(&flat());
    assert_eq!(settled.orders.fault, Some(HandsError("no list".into())));
    assert!(!settled.is_done() && settled.positions.left.is_empty());
    assert_eq!((hand.size("BTC"), hand.resting.borrow().len()), (0, 0));
}

#[test]
fn nothing_outside_the_scope_is_touched() {
    let held = [("BTC", 5), ("ETH", 7)];
    let mut hand = Scripted::new(Venue::Extended, &held).rests(&[("BTC", 1), ("ETH", 2)]);
    let aim = Aim::flat(Scope::Markets(vec!["ETH".into()]));
    let seen = with_pace(&AtomicU64::new(0), |pace| look(&mut hand, &aim, pace));
    assert_eq!(
        (seen.orders.resting.len(), seen.positions.left.len()),
        (1, 1)
    );
    assert!(hand.cancels.is_empty() && hand.orders.is_empty());
    let (settled, _) = hand.settle(&aim);
    assert!(settled.is_done(), "{settled:?}");
    assert_eq!((hand.size("BTC"), hand.size("ETH")), (5, 0));
    assert_eq!(hand.resting.borrow().len(), 1);
    assert_eq!(hand.cancels, ["ETH"]);
}

#[test]
fn what_is_beyond_reach_is_not_aimed_at() {
    // Keep more than there is: nothing to do. Keep on the other side of zero: all of it goes.
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", 5)]);
    assert!(hand.settle(&keep("BTC", 9)).0.is_done());
    assert_eq!(hand.size("BTC"), 5);
    assert!(hand.settle(&keep("BTC", -2)).0.is_done());
    assert_eq!(hand.size("BTC"), 0);
}

fn instruments() -> Vec<Instrument> {
    let market = |venue: Venue| Market {
        venue,
        instrument: InstrumentId(0),
        name: Name::new("BTC").unwrap(),
        venue_market: 0,
        tick: Price(1),
        lot: Size(10),
        size_min: Size(1),
        notional_min: Notional::ZERO,
        fee_taker: Bps::ZERO,
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    };
    vec![Instrument {
        id: InstrumentId(0),
        name: Name::new("BTC").unwrap(),
        markets: VENUES.map(market),
    }]
}

fn lone(plan: &Plan) -> [Size; 2] {
    plan.found
        .first()
        .map_or([Size::ZERO; 2], |found| found.lone)
}

#[test]
fn a_start_keeps_what_is_hedged_and_closes_the_rest() {
    let mut ours = Scripted::new(Venue::Extended, &[("BTC", 500), ("DOGE", 9)]);
    ours.done = vec![Done {
        market: "BTC".into(),
        id: OrderId::new(7, 3, 1),
        side: Side::Bid,
        filled: Size(500),
    }];
    let theirs = Scripted::new(Venue::Lighter, &[("BTC", -305)]).rests(&[("BTC", 4)]);
    let clock = AtomicU64::new(0);
    let mut hands: [Box<dyn Hands + Send>; 2] = [Box::new(ours), Box::new(theirs)];
    let evened = with_pace(&clock, |pace| even_out(&mut hands, &instruments(), pace)).unwrap();
    assert!(evened.is_done(), "{evened:?}");
    assert_eq!(lone(&evened.before), [Size(200), Size(-5)]);
    assert!(evened.before.to_string().contains("pair 3 of run 7"));
    let kept: Vec<Size> = evened.after.adopted().map(|even| even.size).collect();
    assert_eq!(
        (kept, lone(&evened.after)),
        (vec![Size(300)], [Size::ZERO; 2])
    );
    // What the table does not know is named and stays.
    assert_eq!(evened.after.foreign[0].held.market, "DOGE");
    assert_eq!(hands[0].positions().unwrap().len(), 2);
    assert_eq!(evened.settled[1].orders.gone.len(), 1);
}

#[test]
fn a_start_goes_round_again_when_a_fill_came_late() {
    let clock: Arc<AtomicU64> = Arc::default();
    let mut ours = Scripted::new(Venue::Extended, &[("BTC", 500)]);
    // While the other leg is looked at, a fill of the run before takes away what was even.
    ours.late
        .borrow_mut()
        .push((3_500, "BTC".into(), Size(200)));
    ours.clock = Arc::clone(&clock);
    let mut theirs = Scripted::new(Venue::Lighter, &[("BTC", -600)]);
    theirs.clock = Arc::clone(&clock);
    let mut hands: [Box<dyn Hands + Send>; 2] = [Box::new(ours), Box::new(theirs)];
    let evened = with_pace(&clock, |pace| even_out(&mut hands, &instruments(), pace)).unwrap();
    assert!(evened.is_done(), "{evened:?}");
    let sizes: Vec<i64> = hands
        .iter()
        .map(|hand| hand.positions().unwrap()[0].size.0)
        .collect();
    assert_eq!(sizes, [300, -300]);
}

#[test]
fn a_start_with_a_venue_gone_or_an_order_left_closes_nothing() {
    for is_gone in [true, false] {
        let ours = Scripted::new(Venue::Extended, &[("BTC", 500)]);
        let mut theirs = Scripted::new(Venue::Lighter, &[]).rests(&[("BTC", 1)]);
        match is_gone {
            true => *theirs.reads.borrow_mut() = vec![Some(Read::Gone); 99].into(),
            false => theirs.deaf_cancels = 99,
        }
        let mut hands: [Box<dyn Hands + Send>; 2] = [Box::new(ours), Box::new(theirs)];
        let clock = AtomicU64::new(0);
        let refused = with_pace(&clock, |pace| even_out(&mut hands, &instruments(), pace));
        assert!(refused.is_err());
        assert_eq!(hands[0].positions().unwrap()[0].size, Size(500));
    }
}

#[test]
fn cancels_and_steady_reads_stand_alone() {
    let mut hand = Scripted::new(Venue::Extended, &[("BTC", 5)]).rests(&[("BTC", 1)]);
    let clock = AtomicU64::new(0);
    with_pace(&clock, |pace| {
        assert_eq!(cancel(&mut hand, &Scope::All, pace).gone.len(), 1);
        assert_eq!(steady(&mut hand, pace).unwrap()[0].size, Size(5));
    });
    assert!(
        clock.load(Ordering::Relaxed) >= 1_000,
        "reads are apart in time"
    );
}

fn any_fill() -> impl Strategy<Value = Fill> {
    prop_oneof![
        Just(Fill::All),
        (1_i64..400).prop_map(Fill::Part),
        Just(Fill::Nothing),
        (0_u64..3_000).prop_map(Fill::Late),
        Just(Fill::Refused),
        Just(Fill::Lost),
    ]
}

fn any_read() -> impl Strategy<Value = Option<Read>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Read::Nothing)),
        1 => Just(Some(Read::Gone)),
    ]
}

/// Two lies in a row can't be told from the truth; between two lies stands a true word here.
fn honest(reads: Vec<Option<Read>>) -> Vec<Option<Read>> {
    let mut has_lied = false;
    let keep = |read: Option<Read>| match read {
        Some(Read::Nothing) if has_lied => None,
        Some(Read::Gone) => read,
        _ => {
            has_lied = read.is_some();
            read
        }
    };
    let mut kept: Vec<Option<Read>> = reads.into_iter().map(keep).collect();
    kept.push(None);
    kept
}

proptest! {
    /// Whatever happens, no less is left than was to be kept, nothing turns, and "done" is true.
    #[test]
    fn never_below_the_aim_and_never_turned(
        size in 1_i64..1_000,
        keep_size in 0_i64..1_000,
        is_short in any::<bool>(),
        fills in prop::collection::vec(any_fill(), 0..8),
        reads in prop::collection::vec(any_read(), 0..30),
    ) {
        let sign = if is_short { -1 } else { 1 };
        let mut hand = Scripted::new(Venue::Lighter, &[("BTC", sign * size)])
            .fills(&fills)
            .reads(&honest(reads));
        let (settled, took_ms) = hand.settle(&keep("BTC", sign * keep_size));
        let after = hand.size("BTC") * sign;
        prop_assert!(after >= size.min(keep_size), "{after} {settled:?}");
        if settled.is_done() {
            prop_assert_eq!(after, size.min(keep_size));
        }
        prop_assert!(took_ms < 300_000);
    }
}
