//! `parallax rebalance --execute`: what is under way is finished first; then a plan is made, said
//! in words, agreed to, and carried out.
//!
//! Promises: one process at a time carries a transfer; before a new one begins its amount, its way,
//! every address and every cost were said, and a person has typed the amount or `--yes` was given;
//! it may be stopped at any moment, and the next run of the command goes on.

use crate::config::{Holdings, L1};
use crate::keys::Secret;
use crate::keys::ceremony::EthereumKey;
use crate::market::units::{Notional, parse_decimal};
use crate::stage::clock::Clock;
use crate::state::Folder;
use crate::treasury::chain::Chain;
use crate::treasury::exits;
use crate::treasury::plan::Plan;
use crate::treasury::rebalance::{self, Planned};
use crate::treasury::transfer::{
    Accounts, Carrier, Journal, Next, Order, Outside, Past, Terms, TransferError,
};
use serde_json::{Value, json};
use std::fmt;
use std::fs::File;
use std::time::Duration;

/// Whoever holds it carries a transfer.
pub const LOCK: &str = "transfer.lock";
/// A run that trades on the accounts reads the journal once a second: so long after a transfer is
/// written down, it holds its positions within what is left.
const HEARD: Duration = Duration::from_secs(3);
/// Tries in a row at something that may pass, from two seconds on, twice as long each time.
const TRIES: u32 = 5;

/// How a person is spoken to.
pub struct Voice<'a> {
    /// Says a line.
    pub tell: &'a (dyn Fn(&str) + Sync),
    /// Asks for a line; `None`: nobody is to be asked.
    pub ask: Option<&'a Ask>,
}

/// Puts a question to a person.
pub type Ask = dyn Fn(&str) -> Result<String, TransferError>;

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Executed {
    /// A transfer of before, finished.
    pub resumed: Option<Past>,
    /// The plan that was made then.
    pub planned: Option<Planned>,
    /// What became of it.
    pub done: Option<Past>,
}

/// Finishes what is under way, then makes a plan and carries it out, closing pairs by `live`.
/// Blocks until money has arrived, which may be hours.
pub fn execute(
    holdings: &Holdings,
    live: &dyn Accounts,
    voice: &Voice<'_>,
    clock: Clock,
) -> Result<Executed, TransferError> {
    let folder = folder(holdings)?;
    let _lock = lock(&folder)?;
    let key = wallet(holdings.wallet.as_ref())?;
    let accounts = &holdings.accounts;
    let pem = accounts.extra_root_pem.as_deref();
    let node = chain(holdings.l1.as_ref(), pem)?;
    let venues = exits::open((&accounts.extended, &accounts.lighter), pem, clock)?;
    let now_s = || clock.now().epoch_ms() / 1_000;
    let mut carrier = Carrier::new(
        Journal::load(&folder)?,
        Outside {
            exits: venues.as_ref(),
            node: &node,
            accounts: live,
            shelf: &folder,
            key: &key,
            now_s: &now_s,
            fee_max: holdings.treasury.fee_max,
            day_max: holdings.treasury.rebalance_day_max,
        },
    );
    let mut executed = Executed::default();
    if let Some(transfer) = &carrier.journal().now {
        (voice.tell)(&format!("{transfer}: it is finished first"));
        executed.resumed = Some(carry(&mut carrier, voice)?);
    }
    let planned = rebalance::command(holdings, clock)?;
    let order = order(&planned);
    let (plan, owner) = (planned.plan.clone(), planned.wallet);
    (voice.tell)(planned.to_string().trim_end());
    executed.planned = Some(planned);
    let Some(order) = order else {
        return Ok(executed);
    };
    if owner != Some(key.address()) {
        let key = key.address();
        return Err(TransferError::Foreign { key, owner });
    }
    let terms = carrier.terms(&order)?;
    agree(&plan, &order, &terms, voice)?;
    carrier.begin(&order)?;
    std::thread::sleep(HEARD);
    executed.done = Some(carry(&mut carrier, voice)?);
    Ok(executed)
}

/// A human takes what is under way over. `None`: there is nothing.
pub fn give_up(
    holdings: &Holdings,
    why: &str,
    clock: Clock,
) -> Result<Option<Past>, TransferError> {
    let folder = folder(holdings)?;
    let _lock = lock(&folder)?;
    if why.trim().is_empty() {
        let text = "a reason is needed to give a transfer up".to_owned();
        return Err(TransferError::Missing(text));
    }
    Journal::give_up(&folder, why, clock.now().epoch_ms() / 1_000)
}

/// STATE_DIR, without which nothing can be written down.
fn folder(holdings: &Holdings) -> Result<Folder, TransferError> {
    let Some(path) = holdings.place.dir.as_deref() else {
        let text = "there is nowhere to keep the journal of transfers\n    fix: set STATE_DIR";
        return Err(TransferError::Missing(text.to_owned()));
    };
    Ok(Folder::open(path)?)
}

/// Held while a transfer is carried.
pub fn lock(folder: &Folder) -> Result<File, TransferError> {
    folder.claim(LOCK)?.ok_or(TransferError::Busy)
}

/// The wallet's key.
pub fn wallet(set: Option<&Secret>) -> Result<EthereumKey, TransferError> {
    let missing = |text: &str| TransferError::Missing(text.to_owned());
    let set = set.ok_or_else(|| {
        missing(
            "the wallet's key is not there, which signs withdrawals and pays deposits\n    fix: \
             `parallax keys import ethereum` (one in the keystore), or set ETH_PRIVATE_KEY",
        )
    })?;
    EthereumKey::parse_hex(set.expose())
        .map_err(|fault| missing(&format!("the wallet's key {fault}\n    fix: copy it again")))
}

/// The chain, asked whether it is the right one.
pub fn chain(settings: Option<&L1>, pem: Option<&[u8]>) -> Result<Chain, TransferError> {
    let Some(settings) = settings else {
        let text = "there is no node of Ethereum to ask\n    fix: set L1_RPC_URL";
        return Err(TransferError::Missing(text.to_owned()));
    };
    Ok(Chain::open(settings, pem)?)
}

/// What a plan comes to; `None`: nothing is to be sent.
pub fn order(planned: &Planned) -> Option<Order> {
    let send = planned.plan.send.as_ref()?;
    Some(Order {
        out: send.route.out,
        amount: send.amount,
        least: planned.least,
        equity: planned.plan.before,
        keep: planned.keep.clone(),
        seconds: send.route.seconds,
    })
}

/// Says all of it, and lets a person type the amount.
fn agree(
    plan: &Plan,
    order: &Order,
    terms: &Terms,
    voice: &Voice<'_>,
) -> Result<(), TransferError> {
    let said = said(plan, order, terms);
    (voice.tell)(&said);
    let Some(ask) = voice.ask else { return Ok(()) };
    let typed = ask(&format!("Type the amount ({}) to send it: ", order.amount))?;
    let amount = parse_decimal(typed.trim().as_bytes()).map(Notional::from_nano);
    match amount == Ok(order.amount) {
        true => Ok(()),
        false => Err(TransferError::NotAgreed),
    }
}

/// What will be sent, from where, to which addresses, and what it costs.
pub fn said(plan: &Plan, order: &Order, terms: &Terms) -> String {
    let (leaving, entering) = (&terms.leaving, &terms.entering);
    let (from, to) = (order.out.venue().name(), order.way_in().venue().name());
    let mut lines = vec!["This is what will be sent:".to_owned()];
    for open in &plan.close {
        lines.push(format!(
            "  first, {} {} are closed on both venues, for about {} USD",
            open.size,
            open.market,
            open.costs[0] + open.costs[1]
        ));
    }
    let wallet = plan.send.iter().flat_map(|send| &send.route.wallets);
    let wallet: Vec<String> = wallet.map(ToString::to_string).collect();
    lines.push(format!(
        "  {} USD leave {from}, for {} USD, by the contract {}",
        leaving.amount, leaving.fee, leaving.contract
    ));
    lines.push(format!(
        "  {} USD reach your own wallet {}, as the token {}",
        leaving.arrives,
        wallet.join(", "),
        leaving.token
    ));
    lines.push(format!(
        "  from there they go into {to}, for {} USD, by the contract {}",
        entering.fee, entering.contract
    ));
    let gwei = terms.gas_wei / 1_000_000_000;
    lines.push(format!(
        "  your wallet pays for its transactions, at most {}.{:09} ETH",
        gwei / 1_000_000_000,
        gwei % 1_000_000_000
    ));
    lines.push(format!(
        "  {to} will count {} USD; no other address is sent to",
        entering.arrives
    ));
    lines.join("\n")
}

/// To the end of what is under way.
fn carry(carrier: &mut Carrier<'_>, voice: &Voice<'_>) -> Result<Past, TransferError> {
    let (mut failures, mut said) = (0, String::new());
    loop {
        let (line, pause) = match carrier.step() {
            Ok(Next::Done(past)) => return Ok(past),
            Ok(Next::Nothing) => {
                let text = "the transfer is gone from the journal".to_owned();
                return Err(TransferError::Missing(text));
            }
            Ok(Next::Again) => {
                failures = 0;
                let now = carrier.journal().now.as_ref();
                (now.map(ToString::to_string).unwrap_or_default(), 0)
            }
            Ok(Next::Wait { seconds, what }) => {
                failures = 0;
                (format!("waiting for {what}"), seconds)
            }
            Err(error) if error.is_passing() && failures < TRIES => {
                failures += 1;
                (error.to_string(), 1 << failures)
            }
            Err(error) => return Err(error),
        };
        if !line.is_empty() && line != said {
            (voice.tell)(&line);
            said = line;
        }
        std::thread::sleep(Duration::from_secs(pause));
    }
}

impl Executed {
    /// For programs: the plan's object with `executed`, and the transfers that were finished.
    pub fn json(&self) -> Value {
        let mut all = self.planned.as_ref().map_or(json!({}), Planned::json);
        all["executed"] = json!(self.done.is_some());
        all["resumed"] = json!(self.resumed.as_ref().map(Past::json));
        all["done"] = json!(self.done.as_ref().map(Past::json));
        all
    }
}

/// For people: what was done, a line each.
impl fmt::Display for Executed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for past in self.resumed.iter().chain(&self.done) {
            writeln!(f, "{past}")?;
        }
        match (&self.resumed, &self.done) {
            (None, None) => writeln!(f, "nothing was sent"),
            _ => Ok(()),
        }
    }
}
