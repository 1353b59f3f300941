//! Money that leaves and reaches a simulated Lighter account: the contract, the fee, withdrawals of
//! both kinds, and the three lists.
//!
//! Promises: a secure withdrawal goes to the owner and nowhere else; a fast one is a transfer to
//! the pool, signed by the owner too, whose memo names whom the pool pays, and stands in two lists:
//! as a withdrawal, and as the transfer with its fee. Refuses: assets other than USDC, the spot
//! side, and transfers to anybody but the pool.
//!
//! Sources: REST reference, *Deposits, Transfers and Withdrawals*, constants page
//! (apidocs.lighter.xyz); official Go signer library (message). Open: whether what can't be paid is
//! refused at the door (so here) or by the engine.

use super::change::owner_signature;
use super::codes::{self, Refusal};
use super::desk::Desk;
use super::form::Parameters;
use super::ledger::Outcome;
use super::numbers::usdc;
use super::reads::own_account;
use super::rest::{Answer, number, text};
use super::sign;
use super::submit::Receipt;
use super::transaction::{Ask, Transaction};
use crate::keys::ceremony::{Address, personal_digest, recover};
use crate::market::units::Notional;
use crate::sim::exchange::{Exit, NewTransfer, Payout, Stage, Transfer, Way};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// USDC among the assets.
const USDC: i64 = 3;
/// The account that pays fast withdrawals.
const POOL: u64 = 281_474_976_710_646;
/// What a transfer to the pool costs, 10^-6 USDC. The venue's own is not known.
const FEE_E6: i64 = 3_000_000;
/// Least and most that a fast withdrawal takes, 10^-6 USDC: the documentation's four dollars, and
/// an answer that was seen.
const FAST_E6: std::ops::RangeInclusive<i64> = 4_000_000..=100_000_000_000;
/// Least that a secure one takes, 10^-6 USDC.
const SECURE_E6_MIN: i64 = 1_000_000;
/// Amounts have 60 bits.
const AMOUNT_MAX: i64 = (1 << 60) - 1;
/// Seconds from a secure withdrawal to its claim, as the venue quotes in quiet times.
const DELAY_S: u64 = 14_400;

/// The keys of a withdrawal besides those that all have.
#[derive(Clone, Copy, Debug)]
pub struct Withdraw {
    asset: i64,
    route: i64,
    amount: i64,
}

/// The keys of a transfer besides those that all have.
#[derive(Clone, Copy, Debug)]
pub struct Across {
    to: i64,
    asset: i64,
    routes: [i64; 2],
    amount: i64,
    fee: i64,
    memo: [u8; 32],
    owner_signature: Option<[u8; 65]>,
}

impl Withdraw {
    /// By name; `None` where one is missing or no integer.
    pub fn read(fields: &Map<String, Value>) -> Option<Withdraw> {
        let int = |key: &str| fields.get(key).and_then(Value::as_i64);
        Some(Withdraw {
            asset: int("AssetIndex")?,
            route: int("RouteType")?,
            amount: int("Amount")?,
        })
    }
}

impl Across {
    /// By name; `None` where one is missing or not what it should be.
    pub fn read(fields: &Map<String, Value>) -> Option<Across> {
        let int = |key: &str| fields.get(key).and_then(Value::as_i64);
        let bytes = fields.get("Memo")?.as_array()?.iter();
        let byte = |value: &Value| value.as_u64().and_then(|value| u8::try_from(value).ok());
        let memo: Vec<u8> = bytes.map(byte).collect::<Option<_>>()?;
        Some(Across {
            to: int("ToAccountIndex")?,
            asset: int("AssetIndex")?,
            routes: [int("FromRouteType")?, int("ToRouteType")?],
            amount: int("Amount")?,
            fee: int("USDCFee")?,
            memo: memo.try_into().ok()?,
            owner_signature: fields
                .get("L1Sig")
                .and_then(Value::as_str)
                .and_then(owner_signature),
        })
    }

    /// What the owner signs; numbers are `0x` and sixteen digits.
    fn message(&self, chain_id: u64, [nonce, account, key]: [i64; 3]) -> String {
        let Across {
            to,
            asset,
            routes: [from_route, to_route],
            amount,
            fee,
            ..
        } = self;
        format!(
            "Transfer\n\nnonce: 0x{nonce:016x}\nfrom: 0x{account:016x} (route 0x{from_route:016x})\
             \napi key: 0x{key:016x}\nto: 0x{to:016x} (route 0x{to_route:016x})\nasset: \
             0x{asset:016x}\namount: 0x{amount:016x}\nfee: 0x{fee:016x}\nchainId: \
             0x{chain_id:016x}\nmemo: {}\nOnly sign this message for a trusted client!",
            sign::hex(&self.memo)
        )
    }
}

impl Desk {
    /// `fastwithdraw`: the transfer, and whom the pool is to pay.
    ///
    /// # Errors
    /// The venue's refusal; nothing has changed then but the minute's budget.
    pub fn fast_withdraw(self: &Arc<Desk>, info: &str, to: &str) -> Result<Receipt, Refusal> {
        self.take_sends(1)?;
        let tx = Transaction::read_transfer(info)?;
        let to = Address::parse(to).ok_or_else(|| codes::parameter("to_address"))?;
        let Ask::Transfer(across) = &tx.ask else {
            return Err(codes::TX_TYPE);
        };
        if across.memo[..20] != to.0 || across.memo[20..] != [0; 12] {
            return Err(codes::TX_INFO);
        }
        let (hash, predicted_ms) = self.submit(&tx)?;
        Ok(self.receipt(vec![hash], predicted_ms))
    }

    /// A secure withdrawal, signed already.
    pub(super) fn withdraw(&self, asked: &Withdraw, hash: &str) -> Result<Outcome, Refusal> {
        is_usdc(asked.asset, &[asked.route])?;
        if !(1..=AMOUNT_MAX).contains(&asked.amount) {
            return Err(codes::ASSET_AMOUNT);
        }
        if asked.amount < SECURE_E6_MIN {
            return Err(codes::WITHDRAWAL_LOW);
        }
        let amount = millionths(asked.amount);
        let exit = Exit {
            wallet: self.owner()?,
            arrives: amount,
            by: Payout::Claim,
        };
        self.send_out((Way::Out, amount, Notional::ZERO), exit, hash)
    }

    /// The transfer of a fast withdrawal, signed by the key already.
    pub(super) fn send_across(
        &self,
        tx: &Transaction,
        asked: &Across,
        hash: &str,
    ) -> Result<Outcome, Refusal> {
        is_usdc(asked.asset, &asked.routes)?;
        if asked.to != POOL as i64 {
            return Err(codes::ACCOUNT_NOT_FOUND);
        }
        if !(1..=AMOUNT_MAX).contains(&asked.amount) {
            return Err(codes::ASSET_AMOUNT);
        }
        if asked.amount < *FAST_E6.start() {
            return Err(codes::WITHDRAWAL_LOW);
        }
        if asked.amount > *FAST_E6.end() {
            return Err(codes::WITHDRAWAL_HIGH);
        }
        if asked.fee != FEE_E6 {
            return Err(codes::FEE_AMOUNT);
        }
        let numbers = [tx.nonce, tx.account, tx.api_key];
        let message = asked.message(self.credentials.chain_id, numbers);
        let signer = asked
            .owner_signature
            .and_then(|signature| recover(&personal_digest(&message), &signature));
        if signer != Some(self.owner()?) {
            return Err(codes::OWNER_SIGNATURE);
        }
        let mut wallet = Address([0; 20]);
        wallet.0.copy_from_slice(&asked.memo[..20]);
        let amount = millionths(asked.amount);
        let exit = Exit {
            wallet,
            arrives: amount,
            by: Payout::Pool,
        };
        self.send_out((Way::Across, amount, millionths(asked.fee)), exit, hash)
    }

    fn send_out(
        &self,
        (way, amount, fee): (Way, Notional, Notional),
        exit: Exit,
        hash: &str,
    ) -> Result<Outcome, Refusal> {
        let wanted = NewTransfer {
            way,
            amount,
            fee,
            mark: hash.to_owned(),
        };
        let sent = (self.floor).act(|exchange, now, out| exchange.send_out(now, wanted, exit, out));
        sent.map_err(|_| codes::COLLATERAL)?;
        Ok(Outcome::default())
    }

    /// The wallet that owns the account.
    fn owner(&self) -> Result<Address, Refusal> {
        Address::parse(&self.credentials.l1_address).ok_or(codes::ACCOUNT_NOT_FOUND)
    }
}

/// Only USDC, and only from the side of perpetuals.
fn is_usdc(asset: i64, routes: &[i64]) -> Result<(), Refusal> {
    match (asset, routes.iter().all(|route| *route == 0)) {
        (USDC, true) => Ok(()),
        (USDC, false) => Err(codes::ROUTE),
        _ => Err(codes::ASSET),
    }
}

fn millionths(amount: i64) -> Notional {
    Notional::from_nano(amount.saturating_mul(1_000))
}

/// The contract on the chain; the simulated venue never calls it.
pub fn info(desk: &Desk, _: &Parameters) -> Answer {
    let contract = desk.options.contracts.lighter.to_string();
    Ok(json!({"contract_address": contract}))
}

/// Assets, of which there is one.
pub fn asset_details(desk: &Desk, _: &Parameters) -> Answer {
    let least = usdc(millionths(SECURE_E6_MIN));
    Ok(json!({"code": 200, "asset_details": [{
        "asset_id": USDC, "symbol": "USDC", "l1_decimals": 6, "decimals": 6,
        "min_transfer_amount": least, "min_withdrawal_amount": least,
        "margin_mode": "enabled", "index_price": "1.000000",
        "l1_address": desk.options.contracts.token.to_string(),
    }]}))
}

/// How long a withdrawal waits for its claim. No `code` here: the library wants `seconds` alone.
pub fn withdrawal_delay(_: &Desk, _: &Parameters) -> Answer {
    Ok(json!({"seconds": DELAY_S}))
}

/// What a transfer to the pool costs.
pub fn transfer_fee(desk: &Desk, form: &Parameters) -> Answer {
    own_account(desk, form)?;
    match number(form, "to_account_index")? {
        POOL => Ok(json!({"code": 200, "transfer_fee_usdc": FEE_E6})),
        _ => Err(codes::ACCOUNT_NOT_FOUND),
    }
}

/// The pool, and what it pays at most.
pub fn fast_terms(desk: &Desk, form: &Parameters) -> Answer {
    own_account(desk, form)?;
    let most = usdc(millionths(*FAST_E6.end()));
    Ok(json!({
        "code": 200, "to_account_index": POOL, "withdraw_limit": most,
        "max_withdrawal_amount": most,
    }))
}

/// Money in, newest first.
pub fn deposits(desk: &Desk, form: &Parameters) -> Answer {
    text(form, "l1_address")?;
    list(desk, form, "deposits", |one| match one.way {
        Way::In => Some(json!({"l1_tx_hash": one.mark})),
        Way::Out | Way::Across => None,
    })
}

/// Money out to wallets. What the chain's transaction is, the simulated venue never learns.
pub fn withdrawals(desk: &Desk, form: &Parameters) -> Answer {
    list(desk, form, "withdraws", |one| {
        let is_fast = one.exit.is_some_and(|exit| exit.by == Payout::Pool);
        match one.way {
            Way::Across if is_fast => Some(json!({"type": "fast", "l1_tx_hash": ""})),
            Way::Out => Some(json!({"type": "secure", "l1_tx_hash": ""})),
            Way::In | Way::Across => None,
        }
    })
}

/// Money to other accounts.
pub fn transfers(desk: &Desk, form: &Parameters) -> Answer {
    let own = desk.credentials.account_index;
    list(desk, form, "transfers", |one| match one.way {
        Way::Across => Some(json!({
            "type": "L2TransferOutflow", "fee": usdc(one.fee), "tx_hash": one.mark,
            "from_l1_address": "", "to_l1_address": "", "from_account_index": own,
            "to_account_index": POOL, "from_route": "perps", "to_route": "perps",
        })),
        Way::In | Way::Out => None,
    })
}

/// The transfers that a list shows, with what it shows of them besides what all lists do.
fn list(
    desk: &Desk,
    form: &Parameters,
    name: &str,
    show: impl Fn(&Transfer) -> Option<Value>,
) -> Answer {
    own_account(desk, form)?;
    let rows: Vec<Value> = desk.floor.look(|exchange| {
        let shown = exchange.transfers().filter_map(|one| {
            let mut row = json!({
                "id": one.number.to_string(), "asset_id": USDC, "amount": usdc(one.amount),
                "timestamp": one.t.epoch_ms(), "status": match one.stage {
                    Stage::Pending => "pending",
                    Stage::Claimable => "claimable",
                    Stage::Completed => "completed",
                    Stage::Failed => "failed",
                },
            });
            super::models::join(&mut row, show(one)?);
            Some(row)
        });
        shown.collect()
    });
    Ok(json!({"code": 200, name: rows, "cursor": ""}))
}
