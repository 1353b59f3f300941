//! A transfer that is killed everywhere, against venues and a chain that are simple enough to be
//! right: never two withdrawals, never two deposits, and every millionth is somewhere.

use super::journal::{micros, usd};
use super::*;
use crate::hands::HandsError;
use crate::keys::ceremony::{Address, EthereumKey};
use crate::state::StateError;
use crate::treasury::chain::ChainError;
use crate::treasury::exits::{Exits, Request, SendError, Standing};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const TOKEN: Address = Address([3; 20]);
const FEE: u64 = 1_500_000;
/// What both venues had. USD.
const BEFORE: [i64; 2] = [900, 100];

/// The process was killed here.
struct Killed;

/// What goes wrong in a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Trouble {
    /// The answer to the first withdrawal is lost, though it was taken.
    loses_answer: bool,
    /// The venue refuses every withdrawal.
    refuses: bool,
    /// How long quotes last, seconds; 0: for ever.
    quote_s: u64,
    /// The venue does not say so.
    is_silent: bool,
    /// The first transaction to the deposit's contract fails.
    reverts: bool,
    /// A stranger takes the deposit's nonce; true money: and moves it.
    replaces: Option<bool>,
    /// Deposits are never credited.
    forgets: bool,
    /// The wallet has no ether.
    is_poor: bool,
    /// The bridge and the contract have moved.
    has_moved: bool,
    /// The venue's list is a minute late.
    is_late: bool,
    /// Transactions wait for dearer ones, of which so many are needed.
    is_dear: usize,
}

#[derive(Default)]
struct State {
    now_s: u64,
    disk: Option<Vec<u8>>,
    venues: [u64; 2],
    wallet: u64,
    fees: u64,
    /// What waits in Lighter's contract.
    owed: u64,
    allowance: BTreeMap<Address20, u64>,
    quotes: u64,
    /// When each quote ends.
    ends: Vec<u64>,
    committed: BTreeSet<String>,
    /// Withdrawals that were taken, by number: what arrives, and looks at it since.
    taken: BTreeMap<u64, (u64, u32)>,
    /// When each was taken.
    taken_s: BTreeMap<u64, u64>,
    claimed: BTreeSet<u64>,
    numbers: u64,
    nonce: u64,
    mempool: Vec<Signed>,
    looks: usize,
    mined: Vec<(Signed, bool)>,
    credited: BTreeSet<[u8; 32]>,
    seen: BTreeMap<[u8; 32], u32>,
    closed: u32,
    answers_lost: u32,
}

type Address20 = [u8; 20];

impl State {
    fn has_ended(&self, commitment: [u8; 32]) -> bool {
        let number = commitment[..8].iter();
        let number = number.fold(0, |number, byte| number << 8 | *byte as usize);
        self.now_s > self.ends[number - 1]
    }
}

struct World {
    key: EthereumKey,
    trouble: Cell<Trouble>,
    state: RefCell<State>,
    /// Acts until the process is killed.
    fuel: Cell<usize>,
    acts: Cell<usize>,
}

impl World {
    fn new(trouble: Trouble) -> World {
        let state = State {
            now_s: 1_000_000,
            venues: BEFORE.map(|usd| usd as u64 * 1_000_000),
            wallet: 7_000_000,
            ..State::default()
        };
        World {
            key: EthereumKey::parse_hex(KEY).unwrap(),
            trouble: Cell::new(trouble),
            state: RefCell::new(state),
            fuel: Cell::new(usize::MAX),
            acts: Cell::new(0),
        }
    }

    /// A place where a process may be killed.
    fn point(&self) {
        self.acts.set(self.acts.get() + 1);
        match self.fuel.get() {
            // Unwinds without a word.
            0 => resume_unwind(Box::new(Killed)),
            fuel => self.fuel.set(fuel - 1),
        }
    }

    /// All money there is. Micros.
    fn all(&self) -> u64 {
        let state = self.state.borrow();
        let underway = state.taken.values().filter(|(_, looks)| *looks < PAID_AT);
        let underway: u64 = underway.map(|(arrives, _)| arrives).sum();
        let flying = state.mined.iter().filter(|(signed, is_good)| {
            *is_good && is_deposit(&signed.call) && !state.credited.contains(&signed.hash)
        });
        let flying: u64 = flying.map(|(signed, _)| amount_of(&signed.call)).sum();
        let venues = state.venues[0] + state.venues[1];
        venues + state.wallet + state.fees + underway + state.owed + flying
    }

    fn withdrawals(&self) -> usize {
        self.state.borrow().taken.len()
    }

    fn deposits(&self) -> usize {
        let state = self.state.borrow();
        let mined = state.mined.iter();
        mined
            .filter(|(signed, good)| *good && is_deposit(&signed.call))
            .count()
    }

    fn journal(&self) -> Journal {
        let state = self.state.borrow();
        let bytes = state.disk.as_ref();
        bytes.map_or(Journal::default(), |bytes| {
            serde_json::from_slice(bytes).unwrap()
        })
    }

    /// One process: what is under way goes on, or the order is begun.
    fn live(&self, order: &Order) -> Result<Past, TransferError> {
        let now_s = || self.state.borrow().now_s;
        let outside = Outside {
            exits: self,
            node: self,
            accounts: self,
            shelf: self,
            key: &self.key,
            now_s: &now_s,
            fee_max: Notional::from_usd(10),
            day_max: Notional::from_usd(1_000),
        };
        let mut carrier = Carrier::new(self.journal(), outside);
        if let Some(past) = carrier.journal().past.last() {
            return Ok(past.clone());
        }
        if carrier.journal().now.is_none() {
            carrier.begin(order)?;
        }
        for _ in 0..10_000 {
            match carrier.step()? {
                Next::Nothing => panic!("it is gone"),
                Next::Again => {}
                Next::Wait { seconds, .. } => self.state.borrow_mut().now_s += seconds,
                Next::Done(past) => return Ok(past),
            }
        }
        panic!("it never ends: {:#?}", carrier.journal().now);
    }

    /// A process that is killed after so many acts; `None`: it was.
    fn live_until(&self, acts: usize, order: &Order) -> Option<Result<Past, TransferError>> {
        self.fuel.set(acts);
        let lived = catch_unwind(AssertUnwindSafe(|| self.live(order)));
        self.fuel.set(usize::MAX);
        match lived {
            Ok(result) => Some(result),
            Err(cause) if cause.is::<Killed>() => None,
            Err(cause) => resume_unwind(cause),
        }
    }

    fn assert_whole(&self, what: &str) {
        let before = (BEFORE[0] + BEFORE[1]) as u64 * 1_000_000 + 7_000_000;
        assert_eq!(self.all(), before, "{what}: money is lost or made");
        assert!(self.withdrawals() <= 1, "{what}: withdrawn twice");
        assert!(self.deposits() <= 1, "{what}: deposited twice");
    }

    /// To the millionth: what left is at the other venue, less two fees at most.
    fn assert_done(&self, order: &Order, past: &Past, what: &str) {
        self.assert_whole(what);
        assert_eq!(past.fate, Fate::Done, "{what}");
        assert_eq!((self.withdrawals(), self.deposits()), (1, 1), "{what}");
        let state = self.state.borrow();
        let (from, sent) = (order.out.venue().idx(), micros(order.amount));
        let before = BEFORE.map(|usd| usd as u64 * 1_000_000);
        assert_eq!(state.venues[from], before[from] - sent, "{what}");
        let credited = state.venues[1 - from] - before[1 - from];
        assert_eq!(credited, past.credited, "{what}");
        assert_eq!(credited + state.fees, sent, "{what}");
        assert_eq!(state.wallet, 7_000_000, "{what}");
    }
}

/// Looks until a withdrawal is paid.
const PAID_AT: u32 = 3;

fn is_deposit(call: &Call) -> bool {
    matches!(
        call,
        Call::LighterDeposit { .. } | Call::ExtendedDeposit { .. }
    )
}

fn amount_of(call: &Call) -> u64 {
    match call {
        Call::Approve { amount, .. }
        | Call::LighterDeposit { amount, .. }
        | Call::LighterClaim { amount, .. }
        | Call::ExtendedDeposit { amount, .. } => *amount as u64,
    }
}

fn contract_of(way: Way) -> Address {
    match way.venue() {
        Venue::Extended => Address([1; 20]),
        Venue::Lighter => Address([2; 20]),
    }
}

fn fee_of(way: Way) -> u64 {
    match way {
        Way::ExtendedOut | Way::ExtendedIn | Way::LighterFast => FEE,
        Way::LighterSecure | Way::LighterIn => 0,
    }
}

impl Exits for World {
    fn quote(&self, way: Way, amount: Notional) -> Result<Quote, HandsError> {
        let mut state = self.state.borrow_mut();
        state.quotes += 1;
        let trouble = self.trouble.get();
        let fee = usd(fee_of(way));
        let mut contract = contract_of(way);
        if trouble.has_moved {
            contract.0[0] ^= 0xFF;
        }
        let is_bound = matches!(way.venue(), Venue::Extended) && trouble.quote_s > 0;
        let ends_s = match is_bound {
            true => state.now_s + trouble.quote_s,
            false => u64::MAX,
        };
        state.ends.push(ends_s);
        let mut commitment = [0; 32];
        commitment[..8].copy_from_slice(&state.quotes.to_be_bytes());
        Ok(Quote {
            way,
            id: format!("q{}", state.quotes),
            contract,
            token: TOKEN,
            asset: 3,
            route: 0,
            amount,
            fee,
            arrives: amount - fee,
            ends_s: (is_bound && !trouble.is_silent).then_some(ends_s),
            recipient: "theirs".into(),
            commitment,
        })
    }

    fn commit(&self, quote: &Quote) -> Result<(), HandsError> {
        self.point();
        let mut state = self.state.borrow_mut();
        if state.has_ended(quote.commitment) {
            return Err(HandsError("the quote has ended".into()));
        }
        state.committed.insert(quote.id.clone());
        drop(state);
        self.point();
        Ok(())
    }

    fn prepare(&self, quote: &Quote, _wallet: &EthereumKey) -> Result<Request, HandsError> {
        let mut state = self.state.borrow_mut();
        state.numbers += 1;
        let request = json!({
            "quote": quote, "hash": format!("{:064x}", state.numbers), "number": state.numbers,
            "expires_ms": (state.now_s + 600) * 1_000, "made_ms": state.now_s * 1_000,
            "body": "signed", "known": [],
        });
        Ok(serde_json::from_value(request).unwrap())
    }

    fn send(&self, request: &Request) -> Result<String, SendError> {
        self.point();
        let trouble = self.trouble.get();
        let mut state = self.state.borrow_mut();
        let quote = &request.quote;
        let is_late = state.has_ended(quote.commitment) || request.expires_ms < state.now_s * 1_000;
        let (from, amount) = (quote.way.venue().idx(), micros(quote.amount));
        if trouble.refuses || is_late || state.taken.contains_key(&request.number) {
            return Err(SendError::Refused("refused".into()));
        }
        assert!(
            quote.way != Way::ExtendedOut || state.committed.contains(&quote.id),
            "a quote that was not bound"
        );
        state.venues[from] -= amount;
        state.fees += micros(quote.fee);
        state
            .taken
            .insert(request.number, (micros(quote.arrives), 0));
        let now_s = state.now_s;
        state.taken_s.insert(request.number, now_s);
        let is_lost = trouble.loses_answer && state.answers_lost == 0;
        state.answers_lost += 1;
        drop(state);
        self.point();
        match is_lost {
            true => Err(SendError::Unknown("no answer".into())),
            false => Ok("1".into()),
        }
    }

    fn find(&self, request: &Request) -> Result<Option<Standing>, HandsError> {
        let mut state = self.state.borrow_mut();
        let listed_s = state.taken_s.get(&request.number).map(|at| at + 60);
        if self.trouble.get().is_late && listed_s.is_some_and(|at| state.now_s < at) {
            return Ok(None);
        }
        let Some((arrives, looks)) = state.taken.get_mut(&request.number) else {
            return Ok(None);
        };
        let (arrives, before) = (*arrives, *looks);
        *looks = (*looks + 1).min(PAID_AT);
        let is_paid_now = before + 1 == PAID_AT;
        let is_secure = request.quote.way == Way::LighterSecure;
        match (is_paid_now, is_secure) {
            (true, true) => state.owed += arrives,
            (true, false) => state.wallet += arrives,
            (false, _) => {}
        }
        Ok(Some(match (before + 1 >= PAID_AT, is_secure) {
            (false, _) => Standing::Underway,
            (true, true) if !state.claimed.contains(&request.number) => Standing::Claimable,
            (true, _) => Standing::Done,
        }))
    }

    fn deposit(
        &self,
        _way: Way,
        hash: [u8; 32],
        amount: Notional,
    ) -> Result<Option<Standing>, HandsError> {
        let mut state = self.state.borrow_mut();
        let mined = state.mined.iter();
        let mut found = mined.filter(|(signed, is_good)| *is_good && signed.hash == hash);
        let Some((signed, _)) = found.next_back().cloned() else {
            return Ok(None);
        };
        assert_eq!(amount_of(&signed.call), micros(amount));
        let looks = state.seen.entry(hash).or_default();
        *looks += 1;
        if *looks < 3 || self.trouble.get().forgets {
            return Ok((*looks > 1).then_some(Standing::Underway));
        }
        if state.credited.insert(hash) {
            let (to, fee) = match signed.call {
                Call::ExtendedDeposit { .. } => (0, fee_of(Way::ExtendedIn)),
                _ => (1, 0),
            };
            state.venues[to] += amount_of(&signed.call) - fee;
            state.fees += fee;
        }
        Ok(Some(Standing::Done))
    }
}

impl Node for World {
    fn balance(&self, token: Address, of: Address) -> Result<u128, ChainError> {
        assert_eq!((token, of), (TOKEN, self.key.address()));
        Ok(u128::from(self.state.borrow().wallet))
    }

    fn native(&self, _of: Address) -> Result<u128, ChainError> {
        Ok(match self.trouble.get().is_poor {
            true => 5,
            false => 1_000_000_000_000_000_000,
        })
    }

    fn allowance(&self, _t: Address, _o: Address, spender: Address) -> Result<u128, ChainError> {
        let state = self.state.borrow();
        Ok(u128::from(*state.allowance.get(&spender.0).unwrap_or(&0)))
    }

    fn prepare(&self, key: &EthereumKey, call: &Call) -> Result<Signed, ChainError> {
        let mut state = self.state.borrow_mut();
        state.numbers += 1;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&state.numbers.to_be_bytes());
        Ok(Signed {
            chain_id: 1,
            from: key.address(),
            nonce: state.nonce + u64::from(!state.mempool.is_empty()),
            tip: 1,
            fee_max: 1_000_000_000,
            gas: 100_000,
            call: call.clone(),
            hash,
            raw: vec![2],
        })
    }

    fn replace(&self, key: &EthereumKey, last: &Signed) -> Result<Signed, ChainError> {
        let mut dearer = Node::prepare(self, key, &last.call)?;
        dearer.nonce = last.nonce;
        dearer.fee_max = last.fee_max * 9 / 8;
        Ok(dearer)
    }

    fn send(&self, signed: &Signed) -> Result<(), ChainError> {
        self.point();
        let mut state = self.state.borrow_mut();
        if let Call::ExtendedDeposit { commitment, .. } = signed.call {
            assert!(!state.has_ended(commitment), "a bridge would keep this");
        }
        let is_known = state.mempool.contains(signed);
        if signed.nonce >= state.nonce && !is_known {
            state.mempool.retain(|other| other.nonce != signed.nonce);
            state.mempool.push(signed.clone());
        }
        drop(state);
        self.point();
        Ok(())
    }

    fn outcome(&self, attempts: &[Signed]) -> Result<Outcome, ChainError> {
        let mut state = self.state.borrow_mut();
        let trouble = self.trouble.get();
        let mut mined = state.mined.iter();
        if let Some((signed, good)) = mined.find(|(signed, _)| attempts.contains(signed)) {
            let hash = signed.hash;
            return Ok(match good {
                true => Outcome::Mined { hash, block: 1 },
                false => Outcome::Reverted { hash },
            });
        }
        if attempts[0].nonce < state.nonce {
            return Ok(Outcome::Replaced);
        }
        let Some(at) = state
            .mempool
            .iter()
            .position(|sent| attempts.contains(sent))
        else {
            return Ok(Outcome::Unknown);
        };
        state.looks += 1;
        if !state.looks.is_multiple_of(3) || attempts.len() <= trouble.is_dear {
            return Ok(Outcome::Pending);
        }
        let signed = state.mempool.remove(at);
        state.nonce += 1;
        if let (Some(moves), true) = (trouble.replaces, is_deposit(&signed.call)) {
            self.trouble.set(Trouble {
                replaces: None,
                ..trouble
            });
            if moves {
                state.wallet -= amount_of(&signed.call);
                state.fees += amount_of(&signed.call);
            }
            return Ok(Outcome::Replaced);
        }
        let is_good = self.execute(&mut state, &signed);
        state.mined.push((signed.clone(), is_good));
        let hash = signed.hash;
        Ok(match is_good {
            true => Outcome::Mined { hash, block: 1 },
            false => Outcome::Reverted { hash },
        })
    }
}

impl World {
    /// What a transaction does when it is mined; false: it reverts.
    fn execute(&self, state: &mut State, signed: &Signed) -> bool {
        let trouble = self.trouble.get();
        let amount = amount_of(&signed.call);
        match &signed.call {
            Call::Approve { spender, .. } => {
                state.allowance.insert(spender.0, amount);
                true
            }
            Call::LighterClaim { owner, .. } => {
                assert_eq!(*owner, self.key.address());
                if state.owed < amount {
                    return false;
                }
                state.owed -= amount;
                state.wallet += amount;
                let numbers: Vec<u64> = state.taken.keys().copied().collect();
                state.claimed.extend(numbers);
                true
            }
            Call::LighterDeposit { contract: to, .. }
            | Call::ExtendedDeposit { bridge: to, .. } => {
                if trouble.reverts {
                    self.trouble.set(Trouble {
                        reverts: false,
                        ..trouble
                    });
                    return false;
                }
                let allowed = state.allowance.entry(to.0).or_default();
                if *allowed < amount || state.wallet < amount {
                    return false;
                }
                *allowed -= amount;
                state.wallet -= amount;
                true
            }
        }
    }
}

impl Accounts for World {
    fn withdrawable(&self, venue: Venue) -> Result<Notional, HandsError> {
        Ok(usd(self.state.borrow().venues[venue.idx()]))
    }

    fn close(&self, transfer: &Transfer) -> Result<(), HandsError> {
        self.point();
        assert_eq!(transfer.kept(Venue::Lighter), [("BTC".to_owned(), Size(5))]);
        self.state.borrow_mut().closed += 1;
        self.point();
        Ok(())
    }
}

impl Shelf for World {
    fn keep(&self, journal: &Journal) -> Result<(), StateError> {
        self.point();
        self.state.borrow_mut().disk = Some(journal.bytes());
        self.point();
        Ok(())
    }
}

fn order(out: Way) -> Order {
    let amount = match out.venue() {
        Venue::Extended => 400,
        Venue::Lighter => 60,
    };
    Order {
        out,
        amount: Notional::from_usd(amount),
        least: Notional::from_usd(50),
        equity: BEFORE.map(Notional::from_usd),
        keep: [Vec::new(), vec![("BTC".to_owned(), Size(5))]],
        seconds: 60,
    }
}

const WAYS: [Way; 3] = [Way::ExtendedOut, Way::LighterSecure, Way::LighterFast];

/// Troubles that a transfer gets over by itself, though not always in one process.
fn bearable() -> Vec<Trouble> {
    let none = Trouble::default();
    vec![
        none,
        Trouble {
            loses_answer: true,
            ..none
        },
        Trouble {
            quote_s: 40,
            ..none
        },
        Trouble {
            quote_s: 70,
            is_silent: true,
            ..none
        },
        Trouble {
            reverts: true,
            ..none
        },
        Trouble {
            replaces: Some(false),
            ..none
        },
        Trouble { is_dear: 1, ..none },
        Trouble {
            is_late: true,
            ..none
        },
        Trouble {
            is_late: true,
            loses_answer: true,
            ..none
        },
    ]
}

/// On until it is over, however many processes it takes; each may end with an error, and time
/// passes between them.
fn finish(world: &World, order: &Order) -> Past {
    for _ in 0..9 {
        if let Ok(past) = world.live(order) {
            return past;
        }
        world.state.borrow_mut().now_s += 100;
    }
    panic!("it does not end: {:?}", world.live(order));
}

#[test]
fn killed_at_every_act_it_is_finished_by_the_next_process() {
    let mut kills = 0;
    for out in WAYS {
        for trouble in bearable() {
            let order = order(out);
            let whole = World::new(trouble);
            let past = finish(&whole, &order);
            whole.assert_done(&order, &past, "nobody kills it");
            for at in 0..whole.acts.get() {
                let world = World::new(trouble);
                let what = format!("{out:?} {trouble:?} killed at {at}");
                kills += usize::from(world.live_until(at, &order).is_none());
                world.assert_whole(&what);
                // Sometimes it lies for long.
                world.state.borrow_mut().now_s += (at as u64 % 3) * 700;
                let past = finish(&world, &order);
                world.assert_done(&order, &past, &what);
            }
        }
    }
    assert!(kills > 500, "only {kills}");
}

#[test]
fn killed_twice_anywhere_it_is_finished_by_the_third() {
    for out in WAYS {
        let order = order(out);
        let whole = World::new(Trouble::default());
        let past = finish(&whole, &order);
        whole.assert_done(&order, &past, "nobody kills it");
        for first in 0..whole.acts.get() {
            for second in (first % 4..whole.acts.get()).step_by(4) {
                let world = World::new(Trouble::default());
                let what = format!("{out:?} killed at {first}, then at {second}");
                world.live_until(first, &order);
                // Long enough for requests to be given up for dead.
                world.state.borrow_mut().now_s += (second as u64 % 3) * 900;
                world.live_until(second, &order);
                world.assert_whole(&what);
                let past = finish(&world, &order);
                world.assert_done(&order, &past, &what);
            }
        }
    }
}

#[test]
fn nothing_is_begun_that_could_not_be_ended() {
    let none = Trouble::default();
    let refused = |trouble: Trouble, order: &Order| {
        let world = World::new(trouble);
        let error = world.live(order).unwrap_err();
        world.assert_whole("refused");
        assert_eq!((world.withdrawals(), world.journal().now), (0, None));
        error
    };
    let out = order(Way::ExtendedOut);
    let poor = Trouble {
        is_poor: true,
        ..none
    };
    let error = refused(poor, &out);
    assert!(matches!(error, TransferError::NoGas { .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.contains("0.00045") && said.contains("fix: send it some ETH"),
        "{said}"
    );

    let large = Order {
        amount: Notional::from_usd(1_001),
        ..out.clone()
    };
    let error = refused(none, &large);
    assert!(matches!(error, TransferError::Day { .. }), "{error}");

    // More than there is: what there is, or nothing when that is not worth it.
    let world = World::new(none);
    world.state.borrow_mut().venues[0] = 30_000_000;
    let error = world.live(&out).unwrap_err();
    assert!(
        matches!(error, TransferError::Insufficient { .. }),
        "{error}"
    );
    assert_eq!((world.withdrawals(), world.journal().now), (0, None));
}

#[test]
fn less_is_sent_where_less_is_there() {
    let world = World::new(Trouble::default());
    let order = order(Way::ExtendedOut);
    world.state.borrow_mut().venues[0] = 123_456_789;
    let past = world.live(&order).unwrap();
    assert_eq!((past.amount, past.fate), (123_450_000, Fate::Done));
    assert_eq!(world.state.borrow().venues[0], 6_789);
}

#[test]
fn a_refusal_leaves_the_money_and_the_way_free() {
    let refuses = Trouble {
        refuses: true,
        ..Trouble::default()
    };
    let order = order(Way::ExtendedOut);
    let world = World::new(refuses);
    let error = world.live(&order).unwrap_err();
    assert!(matches!(error, TransferError::Refused { .. }), "{error}");
    world.assert_whole("refused");
    let journal = world.journal();
    assert!(matches!(journal.past[0].fate, Fate::Unsent(_)));
    assert_eq!(
        (journal.now.as_ref(), journal.sent(0)),
        (None, Notional::ZERO)
    );

    // Where another process may have sent it, a refusal may be that of the repetition.
    let whole = World::new(Trouble::default());
    finish(&whole, &order);
    let written = (0..whole.acts.get()).find_map(|at| {
        let world = World::new(refuses);
        world.live_until(at, &order);
        let step = world.journal().now.map(|now| now.step);
        (step == Some(Step::Withdraw)).then_some(world)
    });
    let world = written.unwrap();
    for _ in 0..3 {
        let error = world.live(&order).unwrap_err();
        assert!(matches!(error, TransferError::Unsent(_)), "{error}");
        assert!(error.to_string().contains("again goes on"), "{error}");
    }
    world.trouble.set(Trouble::default());
    let past = world.live(&order).unwrap();
    world.assert_done(&order, &past, "taken at last");
}

#[test]
fn an_address_that_has_moved_stops_everything() {
    let moved = Trouble {
        has_moved: true,
        ..Trouble::default()
    };
    for out in WAYS {
        let order = order(out);
        let whole = World::new(Trouble::default());
        finish(&whole, &order);
        for at in 0..whole.acts.get() {
            let world = World::new(Trouble::default());
            if world.live_until(at, &order).is_some() || world.journal().pins.is_empty() {
                continue;
            }
            let before = (world.withdrawals(), world.deposits());
            world.trouble.set(moved);
            match world.live(&order) {
                Err(error) => {
                    assert!(matches!(error, TransferError::Moved { .. }), "{error}");
                }
                Ok(past) => assert_eq!(past.fate, Fate::Done),
            }
            assert!(world.withdrawals() + world.deposits() <= before.0 + before.1 + 2);
            for (signed, _) in &world.state.borrow().mined {
                if let Call::LighterDeposit { contract: to, .. }
                | Call::ExtendedDeposit { bridge: to, .. }
                | Call::Approve { spender: to, .. } = &signed.call
                {
                    assert_eq!(*to, contract_of(order.way_in()));
                }
            }
            world.trouble.set(Trouble::default());
            let past = finish(&world, &order);
            world.assert_done(&order, &past, "moved back");
        }
    }
}

#[test]
fn money_that_left_the_wallet_by_another_hand_is_a_humans() {
    let world = World::new(Trouble {
        replaces: Some(true),
        ..Trouble::default()
    });
    let order = order(Way::ExtendedOut);
    let error = world.live(&order).unwrap_err();
    assert!(matches!(error, TransferError::Replaced { .. }), "{error}");
    for _ in 0..3 {
        let error = world.live(&order).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("NOTHING MORE IS SENT"), "{said}");
    }
    assert_eq!(world.deposits(), 0);
    world.assert_whole("by another hand");
}

#[test]
fn what_is_not_credited_is_told_with_its_hash_until_it_is() {
    let world = World::new(Trouble {
        forgets: true,
        ..Trouble::default()
    });
    let order = order(Way::LighterFast);
    for _ in 0..2 {
        let said = world.live(&order).unwrap_err().to_string();
        let hash = world.journal().now.unwrap().deposited.unwrap();
        assert!(said.starts_with("NOT CREDITED: 58.500 USD"), "{said}");
        assert!(said.contains(&format!("0x{hash}")), "{said}");
    }
    world.trouble.set(Trouble::default());
    let past = world.live(&order).unwrap();
    world.assert_done(&order, &past, "late");
}

#[test]
fn the_journal_counts_holds_back_and_keeps_no_key() {
    let world = World::new(Trouble::default());
    let order = order(Way::ExtendedOut);
    // Somewhere in the second half.
    world.live_until(25, &order);
    let journal = world.journal();
    let transfer = journal.now.as_ref().unwrap();
    assert_eq!(transfer.room(), [500, 100].map(Notional::from_usd));
    let four_hundred = Notional::from_usd(400);
    assert_eq!(journal.sent(0), four_hundred);
    assert_eq!(journal.sent(transfer.begun_s + 1), Notional::ZERO);
    // What the venue lists is not counted twice, and what it listed before is another one.
    let at = |s: u64| s * 1_000;
    let listed = [(at(transfer.begun_s + 9), four_hundred)];
    let unlisted = |listed: &[(u64, Notional)]| journal.unlisted(Venue::Extended, 0, listed);
    assert_eq!(unlisted(&listed), Notional::ZERO);
    let earlier = [(at(transfer.begun_s - 900), four_hundred)];
    assert_eq!(unlisted(&earlier), four_hundred);
    assert_eq!(journal.unlisted(Venue::Lighter, 0, &[]), Notional::ZERO);

    let text = String::from_utf8(journal.bytes()).unwrap();
    assert!(
        text.contains("\"step\": ") && text.contains("\"request\": {"),
        "{text}"
    );
    assert!(
        !text.to_lowercase().contains(&KEY[2..]),
        "the key is in the journal"
    );
    let again: Journal = serde_json::from_str(&text).unwrap();
    assert_eq!(again, journal);
}

#[test]
fn a_human_may_take_it_over() {
    let world = World::new(Trouble::default());
    world.live_until(25, &order(Way::ExtendedOut));
    let mut journal = world.journal();
    let past = journal.end(Fate::GivenUp("by hand".into()), 2_000_000);
    assert_eq!(past.map(|past| past.number), Some(1));
    assert_eq!((journal.now.as_ref(), journal.next_number()), (None, 2));
    // Nobody knows where the money is: it counts.
    assert_eq!(journal.sent(0), Notional::from_usd(400));
    assert_eq!(journal.end(Fate::Done, 2_000_000), None);
}
