//! Money that leaves and reaches a simulated Extended account: the bridge's contract and quotes,
//! withdrawals, what the bridge brings.
//!
//! Promises: a withdrawal is taken once, signed by the account's key, to the account's bridge
//! address, by a quote that is committed, not used and not over; a deposit is taken by such a quote
//! and by its exact amount. Refuses: withdrawals to Starknet, as the account has no wallet there.
//!
//! Sources: [DOC Bridge, Deposits, Withdrawals, Error responses]; [SDK] models, signing. Open: what
//! the venue says to an amount that is not there, to a quote that is over, and to a repetition
//! (400, 400 and 409 here), and how long a quote lives.

use super::private::{page, parse};
use super::reply::{Code, Refusal, Reply};
use super::rest::Query;
use super::settlement::{self, Decimal, MoveTerms, parse_hex};
use super::{COLLATERAL_RESOLUTION, Desk, digest, wire};
use crate::keys::ceremony::{Address, hex};
use crate::market::units::{Nanos, Notional, SECOND};
use crate::sim::exchange::{Exit, NewTransfer, Payout, Way};
use crate::sim::relay::Contracts;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};

/// The chain with the contract, as the venue calls it.
const CHAIN: &str = "ETH";
/// Starknet, as the venue calls it.
const STARKNET: &str = "STRK";
/// What the bridge takes of every amount: the documentation's example.
const FEE: Notional = Notional::from_nano(100_000_000);
/// How long a quote stands. Rhino.fi's quotes end; how soon is not documented.
const QUOTE_NS: u64 = 300 * SECOND;
/// Quotes kept. Larger only costs memory.
const QUOTES_MAX: usize = 1_000;
/// A signature must live this long at least (error 1604).
const EXPIRATION_S_MIN: u64 = 14 * 24 * 3600;
/// Longest description; the venue's own limit is not documented.
const DESCRIPTION_MAX: usize = 256;
/// The settlement layer's unit, 10^-9 USD.
const UNIT_NANO: i64 = 1_000_000_000 / COLLATERAL_RESOLUTION as i64;

/// The bridge as the venue knows it.
#[derive(Default)]
pub struct Bridge {
    /// What stands on the chain.
    pub contracts: Contracts,
    quotes: VecDeque<Quote>,
    quoted: u64,
    /// Hashes of the withdrawals taken.
    taken: HashSet<[u8; 32]>,
}

struct Quote {
    id: String,
    is_deposit: bool,
    amount: Notional,
    ends: Nanos,
    is_committed: bool,
    is_used: bool,
}

impl Bridge {
    /// Ends every quote that was not used.
    pub fn end_quotes(&mut self) {
        let unused = self.quotes.iter_mut().filter(|quote| !quote.is_used);
        unused.for_each(|quote| quote.ends = Nanos(0));
    }

    fn quote(&mut self, id: &str) -> Option<&mut Quote> {
        self.quotes.iter_mut().find(|quote| quote.id == id)
    }
}

/// A withdrawal as asked for. The documentation and the library differ in which numbers are texts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Withdrawal {
    account_id: Value,
    amount: String,
    description: Option<String>,
    chain_id: String,
    quote_id: Option<String>,
    asset: String,
    settlement: Settlement,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settlement {
    recipient: String,
    position_id: Value,
    collateral_id: String,
    amount: Value,
    expiration: Expiration,
    salt: Value,
    signature: Signature,
}

#[derive(Deserialize)]
struct Expiration {
    seconds: u64,
}

#[derive(Deserialize)]
struct Signature {
    r: String,
    s: String,
}

impl Desk {
    /// The wallet is linked by having opened the account; Starknet's there is none.
    pub(super) fn client(&self) -> Value {
        json!({
            "id": self.keys.account_id,
            "evmWalletAddress": self.keys.wallet,
            "starknetWalletAddress": null,
            "referralLinkCode": null,
        })
    }

    /// Money in and out, newest first, from a time on where one is named.
    pub(super) fn operations(&self, query: &Query) -> Reply {
        let from = query.one("startTime").and_then(|text| text.parse().ok());
        let from_ms: u64 = from.unwrap_or(0);
        let rows = self.floor.look(|exchange| {
            let since = exchange.transfers();
            let since = since.filter(|one| one.t.epoch_ms() >= from_ms);
            since.map(|one| wire::operation(self, one)).collect()
        });
        page(rows, query)
    }

    /// Where the bridge stands.
    pub(super) fn bridge_config(&self) -> Reply {
        let contract = self.ledger().bridge.contracts.bridge.to_string();
        Reply::data(json!({"chains": [{"chain": CHAIN, "contractAddress": contract}]}))
    }

    /// A quote for an amount that goes one way or the other.
    pub(super) fn bridge_quote(&self, query: &Query) -> Result<Reply, Refusal> {
        let is_deposit = match (query.one("chainIn"), query.one("chainOut")) {
            (Some(CHAIN), Some(STARKNET)) => true,
            (Some(STARKNET), Some(CHAIN)) => false,
            _ => return Err(Code::BadRequest.because("chainIn, chainOut")),
        };
        let amount = amount(query.one("amount").unwrap_or(""));
        let amount = amount.filter(|amount| *amount > FEE);
        let amount = amount.ok_or_else(|| Code::BadRequest.because("amount"))?;
        let ends = self.floor.now().plus(QUOTE_NS);
        let mut ledger = self.ledger();
        let bridge = &mut ledger.bridge;
        bridge.quoted += 1;
        let id = hex(&digest(self.keys.account_id, &format!("quote {}", bridge.quoted))[..12]);
        if bridge.quotes.len() == QUOTES_MAX {
            bridge.quotes.pop_front();
        }
        bridge.quotes.push_back(Quote {
            id: id.clone(),
            is_deposit,
            amount,
            ends,
            is_committed: false,
            is_used: false,
        });
        Ok(Reply::data(json!({"id": id, "fee": text(FEE)})))
    }

    /// Binds a quote; again is no error while it stands.
    pub(super) fn commit_quote(&self, query: &Query) -> Result<Reply, Refusal> {
        let now = self.floor.now();
        let mut ledger = self.ledger();
        let quote = ledger.bridge.quote(query.one("id").unwrap_or(""));
        let quote = quote.ok_or(Code::NotFound)?;
        if quote.ends <= now {
            return Err(Code::BadRequest.because("the quote has expired"));
        }
        quote.is_committed = true;
        Ok(Reply::data(json!({})))
    }

    /// Takes a withdrawal; its number.
    pub(super) fn withdraw(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let asked: Withdrawal = parse(body)?;
        let (amount, hash) = self.judge_withdrawal(&asked)?;
        let wallet = Address::parse(&self.keys.wallet).ok_or(Code::UnhandledError)?;
        self.floor.act(|exchange, now, out| {
            let mut ledger = self.ledger();
            if ledger.bridge.taken.contains(&hash) {
                return Err(Code::Conflict.because("this withdrawal was taken before"));
            }
            let quote = ledger.bridge.quote(asked.quote_id.as_deref().unwrap_or(""));
            let is_good = |quote: &&mut Quote| {
                let is_it = !quote.is_deposit && quote.amount == amount;
                is_it && quote.is_committed && !quote.is_used && quote.ends > now
            };
            let quote = quote.filter(is_good);
            let quote = quote.ok_or_else(|| Code::BadRequest.because("quoteId"))?;
            let wanted = NewTransfer {
                way: Way::Out,
                amount,
                // The venue takes none, and the bridge's is taken of what it was sent.
                fee: Notional::ZERO,
                mark: String::new(),
            };
            let exit = Exit {
                wallet,
                arrives: amount - FEE,
                by: Payout::Bridge,
            };
            let number = exchange.send_out(now, wanted, exit, out).map_err(|_| {
                Code::BadRequest.because("amount exceeds the available for withdrawal")
            })?;
            quote.is_used = true;
            ledger.bridge.taken.insert(hash);
            Ok(Reply::data(number.into()))
        })
    }

    /// What can be said of a withdrawal by itself: its amount, and the hash that was signed.
    fn judge_withdrawal(&self, asked: &Withdrawal) -> Result<(Notional, [u8; 32]), Refusal> {
        let settlement = &asked.settlement;
        if integer(&asked.account_id) != Some(self.keys.account_id) {
            return Err(Code::WithdrawalAccountDoesNotBelongToUser.because("accountId"));
        }
        let amount = amount(&asked.amount).filter(|amount| *amount > Notional::ZERO);
        let amount = amount.ok_or(Code::WithdrawalAmountMustBePositive)?;
        let description = asked.description.as_deref().unwrap_or("");
        if description.len() > DESCRIPTION_MAX {
            return Err(Code::WithdrawalDescriptionToLong.into());
        }
        let collateral = parse_hex(&settlement.collateral_id);
        if asked.asset != "USD" || collateral != Some(settlement::Felt::ONE) {
            return Err(Code::WithdrawalInvalidAsset.into());
        }
        let units = (amount.to_nano() / UNIT_NANO) as u64;
        let same = integer(&settlement.amount) == Some(units)
            && integer(&settlement.position_id) == Some(u64::from(self.keys.vault));
        if !same {
            return Err(Code::WithdrawalRequestDoesNotMatchSettlement.into());
        }
        let now_s = self.floor.now().epoch_ms() / 1000;
        let expiration_s = settlement.expiration.seconds;
        if expiration_s < now_s + EXPIRATION_S_MIN {
            return Err(Code::WithdrawalExpirationTimeIsTooSoon.into());
        }
        let bridge = parse_hex(&bridge_address(self.keys.account_id));
        let recipient = parse_hex(&settlement.recipient).filter(|to| Some(*to) == bridge);
        let is_linked = asked.chain_id == CHAIN && asked.quote_id.is_some();
        let recipient = recipient.filter(|_| is_linked);
        let recipient = recipient.ok_or_else(|| {
            Code::WithdrawalAccountDoesNotBelongToUser.because("no linked wallet receives it")
        })?;
        let terms = MoveTerms {
            recipient,
            vault: self.keys.vault,
            collateral: settlement::Felt::ONE,
            amount: units,
            expiration_s,
            salt: integer(&settlement.salt).ok_or(Code::UnprocessableEntity)?,
        };
        let hash = terms.withdrawal_hash(self.domain, self.account_key);
        let [r, s] = [&settlement.signature.r, &settlement.signature.s].map(|part| parse_hex(part));
        let is_signed = |(r, s)| settlement::is_signed(&self.account_key, &hash, &r, &s);
        match r.zip(s).is_some_and(is_signed) {
            true => Ok((amount, hash.to_bytes_be())),
            false => Err(Code::InvalidStarknetSignature.into()),
        }
    }

    /// What the bridge brings for a deposit that named this commitment, which is a quote's id; the
    /// quote is used up. `None` where there is no such quote.
    pub(in crate::sim) fn bridged(
        &self,
        commitment: [u8; 32],
        amount: Notional,
    ) -> Option<Notional> {
        let named = hex(&commitment);
        let mut ledger = self.ledger();
        let mut quotes = ledger.bridge.quotes.iter_mut();
        let quote = quotes.find(|quote| format!("{:0>64}", quote.id) == named)?;
        // What comes late is brought all the same: the bridge has committed itself.
        let is_good = quote.is_deposit && quote.is_committed && !quote.is_used;
        if !is_good || quote.amount != amount {
            return None;
        }
        quote.is_used = true;
        Some(amount - FEE)
    }
}

/// The Starknet address by which an account's money reaches the bridge.
pub fn bridge_address(account_id: u64) -> String {
    let mut bytes = digest(account_id, "bridge address");
    bytes[0] = 1;
    format!("{:#x}", settlement::Felt::from_bytes_be(&bytes))
}

/// An amount in whole units of the settlement layer.
fn amount(text: &str) -> Option<Notional> {
    let nano = Decimal::parse(text)?.to_nano()?;
    (nano % UNIT_NANO == 0).then(|| Notional::from_nano(nano))
}

fn text(amount: Notional) -> String {
    wire::money(amount, 6)
}

/// A number, or a text of one.
fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
