//! `parallax rebalance`: plan, carry out, or give up what is under way.

use crate::keys::shielded;
use crate::{Done, Failure, tell};
use parallax::cli::Rebalance;
use parallax::config::Holdings;
use parallax::keys::passphrase;
use parallax::release::Live;
use parallax::stage::clock::Clock;
use parallax::treasury::execute::{self, Voice};
use parallax::treasury::rebalance;
use parallax::treasury::transfer::{Past, TransferError};
use serde_json::json;

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Failure {
        Failure::of(&error, error.is_setting())
    }
}

pub fn rebalance(flags: &Rebalance) -> Done {
    let unlock = shielded(&flags.asked.unlocking)?;
    let file = flags.asked.env.as_deref();
    let holdings = match flags.execute {
        true => Holdings::with_wallet(file, &unlock),
        false => Holdings::from_env(file, &unlock),
    };
    let holdings = holdings.map_err(|faults| Failure::of(&faults, true))?;
    let clock = Clock::new();
    if let Some(why) = &flags.give_up {
        let past = execute::give_up(&holdings, why, clock)?;
        let said = match &past {
            Some(past) => format!("{past}\n"),
            None => "no transfer is under way\n".to_owned(),
        };
        let object = json!({"given_up": past.as_ref().map(Past::json)});
        tell(&said, flags.asked.json.then_some(object))?;
        return Ok(true);
    }
    if flags.execute {
        let ask = |question: &str| {
            let typed = passphrase::typed(question);
            typed.map_err(|error| match error {
                passphrase::PassphraseError::NoTerminal => TransferError::NobodyToAsk,
                error => TransferError::Missing(error.to_string()),
            })
        };
        let tell_line = |line: &str| eprintln!("parallax: {line}");
        let live = Live::open(&holdings.accounts, clock, &tell_line);
        let live = live.map_err(|error| Failure::of(&error, true))?;
        let voice = Voice {
            tell: &tell_line,
            ask: (!flags.yes).then_some(&ask),
        };
        let executed = execute::execute(&holdings, &live, &voice, clock)?;
        tell(&executed, flags.asked.json.then(|| executed.json()))?;
        return Ok(true);
    }
    let planned = rebalance::command(&holdings, clock);
    let planned = planned.map_err(|error| Failure::of(&error, false))?;
    let said = format!("{planned}Nothing was done; --execute does it.\n");
    tell(&said, flags.asked.json.then(|| planned.json()))?;
    Ok(true)
}
