//! Money that leaves and reaches a simulated Lighter account: the contract, the fee, withdrawals of
//! both kinds, and the three lists.
//!
//! Promises: a secure withdrawal goes to the owner and nowhere else; a fast one is a transfer to
//! the pool, signed by the owner too, whose memo names whom the pool pays, and stands in two lists:
//! as a withdrawal, and as the transfer with its fee; what the pool can't pay comes back as a
//! transfer in. Refuses: assets other than USDC, the spot side, transfers to anybody but the pool.
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
        "margin_mode": "enabled", "index_price": "1.000000", "price_decimals": 6,
        "global_supply_cap": "0", "user_supply_cap": "0", "total_supplied": "0",
        "liquidation_fee": "0", "liquidation_threshold": "1", "liquidation_factor": "1",
        "loan_to_value": "1", "multiplier": "1.000000000000000000",
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
        Way::In => vec![json!({"l1_tx_hash": one.mark})],
        Way::Out | Way::Across => Vec::new(),
    })
}

/// Money out to wallets. What the chain's transaction is, the simulated venue never learns.
pub fn withdrawals(desk: &Desk, form: &Parameters) -> Answer {
    list(desk, form, "withdraws", |one| {
        let is_refunded = one.stage == Stage::Failed;
        match one.way {
            Way::Across if is_fast(one) && is_refunded => {
                vec![json!({"type": "fast", "l1_tx_hash": "", "status": "refunded"})]
            }
            Way::Across if is_fast(one) => vec![json!({"type": "fast", "l1_tx_hash": ""})],
            Way::Out => vec![json!({"type": "secure", "l1_tx_hash": ""})],
            Way::In | Way::Across => Vec::new(),
        }
    })
}

/// Money to other accounts, and what the pool gave back because it could not pay.
pub fn transfers(desk: &Desk, form: &Parameters) -> Answer {
    let own = desk.credentials.account_index;
    let row = |kind: &str, [from, to]: [u64; 2], fee: Notional, hash: &str| {
        json!({
            "type": kind, "fee": usdc(fee), "tx_hash": hash, "from_l1_address": "",
            "to_l1_address": "", "from_account_index": from, "to_account_index": to,
            "from_route": "perps", "to_route": "perps",
        })
    };
    list(desk, form, "transfers", |one| {
        if one.way != Way::Across {
            return Vec::new();
        }
        let mut rows = vec![row("L2TransferOutflow", [own, POOL], one.fee, &one.mark)];
        if is_fast(one) && one.stage == Stage::Failed {
            let mut back = row("L2TransferInflow", [POOL, own], Notional::ZERO, "");
            back["id"] = format!("{}-back", one.number).into();
            back["amount"] = usdc(one.amount + one.fee).into();
            rows.push(back);
        }
        rows
    })
}

fn is_fast(transfer: &Transfer) -> bool {
    transfer.exit.is_some_and(|exit| exit.by == Payout::Pool)
}

/// The rows of a list: what all lists show of a transfer, and what `show` puts on top of it.
fn list(
    desk: &Desk,
    form: &Parameters,
    name: &str,
    show: impl Fn(&Transfer) -> Vec<Value>,
) -> Answer {
    own_account(desk, form)?;
    let common = |one: &Transfer| {
        json!({
            "id": one.number.to_string(), "asset_id": USDC, "amount": usdc(one.amount),
            "timestamp": one.t.epoch_ms(), "status": match one.stage {
                Stage::Pending => "pending",
                Stage::Claimable => "claimable",
                Stage::Completed => "completed",
                Stage::Failed => "failed",
            },
        })
    };
    let rows: Vec<Value> = desk.floor.look(|exchange| {
        let shown = exchange.transfers().flat_map(|one| {
            let on_top = show(one).into_iter();
            on_top.map(move |more| {
                let mut row = common(one);
                super::models::join(&mut row, more);
                row
            })
        });
        shown.collect()
    });
    Ok(json!({"code": 200, name: rows, "cursor": ""}))
}

#[cfg(test)]
mod tests {
    use super::super::desk::{Options, lock};
    use super::super::models::join;
    use super::super::tests::{Client, floor};
    use super::*;
    use crate::sim::exchange::LighterTier;
    use crate::sim::wallet::Wallet;

    fn client() -> Client {
        let options = Options {
            sends_per_minute: 1_000,
            ..Options::of(LighterTier::Standard)
        };
        Client::on(floor(), options)
    }

    /// What both kinds say, with `own` in the place of what is right.
    fn fields(client: &Client, own: Value) -> Value {
        let mut fields = json!({
            "FromAccountIndex": client.credentials.account_index, "AssetIndex": 3,
            "RouteType": 0, "FromRouteType": 0, "ToRouteType": 0, "ToAccountIndex": POOL,
            "Amount": 5_000_000, "USDCFee": FEE_E6,
        });
        join(&mut fields, own);
        fields
    }

    fn secure(client: &Client, own: Value) -> Result<String, Refusal> {
        client.send(13, fields(client, own))
    }

    /// A fast withdrawal to `to`, its owner's signature made by the wallet of `seed`.
    fn fast(client: &Client, own: Value, to: &Address, seed: u64) -> Result<String, Refusal> {
        let mut memo = [0_u8; 32];
        memo[..20].copy_from_slice(&Wallet::key(1).address().0);
        let mut fields = fields(client, json!({"Memo": memo.to_vec()}));
        join(&mut fields, own);
        let unsigned = client.sign(12, fields.clone());
        if let Ok(tx) = Transaction::read_transfer(&unsigned)
            && let Ask::Transfer(across) = &tx.ask
        {
            let text = across.message(304, [tx.nonce, tx.account, tx.api_key]);
            let signature = Wallet::key(seed).sign_personal(&text);
            fields["L1Sig"] = format!("0x{}", sign::hex(&signature)).into();
        }
        let info = client.sign(12, fields);
        let receipt = client.desk.fast_withdraw(&info, &to.to_string())?;
        Ok(receipt.hashes[0].clone())
    }

    #[test]
    fn official_transfers_say_what_their_owner_signs() {
        let file = include_str!("../../../tests/data/lighter/lighter_tx.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let mut seen = 0;
        for case in file["cases"].as_array().unwrap() {
            if case["tx_type"] != 12 {
                continue;
            }
            let info = case["tx_info"].as_str().unwrap();
            let tx = Transaction::read_transfer(info).unwrap();
            let Ask::Transfer(across) = &tx.ask else {
                panic!("{info}");
            };
            let chain_id = case["chain_id"].as_u64().unwrap();
            let text = across.message(chain_id, [tx.nonce, tx.account, tx.api_key]);
            assert_eq!(text, case["message_to_sign"].as_str().unwrap());
            seen += 1;
        }
        assert_eq!(seen, 21);
    }

    #[test]
    fn each_wrong_withdrawal_has_its_code_and_spends_no_nonce() {
        let client = client();
        let whole = 20_000_000_000_i64;
        for (code, own) in [
            (21100, json!({"FromAccountIndex": 7})),
            (21109, json!({"ApiKeyIndex": 99})),
            (21104, json!({"Nonce": 1})),
            (21711, json!({"ExpiredAt": 7})),
            (21801, json!({"AssetIndex": 1})),
            (21124, json!({"RouteType": 1})),
            (21300, json!({"Amount": 0})),
            (21300, json!({"Amount": 1_i64 << 60})),
            (21116, json!({"Amount": SECURE_E6_MIN - 1})),
            (21301, json!({"Amount": whole})),
        ] {
            assert_eq!(secure(&client, own).unwrap_err().code, code);
            assert_eq!(client.nonce(0), 0, "{code}");
        }
        let to = Wallet::key(1).address();
        for (code, own) in [
            (21100, json!({"ToAccountIndex": 7})),
            (21801, json!({"AssetIndex": 1})),
            (21124, json!({"ToRouteType": 1})),
            (21116, json!({"Amount": 3_999_999})),
            (21117, json!({"Amount": 100_000_000_001_i64})),
            (21303, json!({"USDCFee": 0})),
            (21301, json!({"Amount": whole})),
            (21501, json!({"Memo": [1, 2]})),
        ] {
            assert_eq!(fast(&client, own, &to, 1).unwrap_err().code, code);
            assert_eq!(client.nonce(0), 0, "{code}");
        }
        let stranger = fast(&client, json!({}), &to, 2);
        assert_eq!(stranger.unwrap_err().code, 21504);
        let other = fast(&client, json!({}), &Address([1; 20]), 1);
        assert_eq!(other.unwrap_err().code, 21501);
        // A transfer is taken as a fast withdrawal, and nowhere else.
        let sent = client.send(12, fields(&client, json!({"Memo": vec![0; 32]})));
        assert_eq!(sent.unwrap_err().code, 21505);
        assert_eq!(client.nonce(0), 0);
    }

    #[test]
    fn both_kinds_are_taken_off_and_listed() {
        let client = client();
        let before = client
            .desk
            .floor
            .look(|exchange| exchange.account().collateral);
        let first = secure(&client, json!({})).unwrap();
        let second = fast(&client, json!({}), &Wallet::key(1).address(), 1).unwrap();
        assert_eq!(client.nonce(0), 2);
        let after = client
            .desk
            .floor
            .look(|exchange| exchange.account().collateral);
        assert_eq!(before - after, Notional::from_usd(5 + 5 + 3));
        let ledger = lock(&client.desk.ledger);
        assert!(ledger.by_hash(&first).is_some() && ledger.by_hash(&second).is_some());
        drop(ledger);
        let index = client.credentials.account_index.to_string();
        let form = Parameters::from([("account_index".to_owned(), index)]);
        let kinds = |rows: &Value| -> Vec<String> {
            let rows = rows.as_array().unwrap().iter();
            rows.map(|row| row["type"].as_str().unwrap().to_owned())
                .collect()
        };
        let listed = withdrawals(&client.desk, &form).unwrap();
        assert_eq!(kinds(&listed["withdraws"]), ["fast", "secure"]);
        let listed = transfers(&client.desk, &form).unwrap();
        assert_eq!(kinds(&listed["transfers"]), ["L2TransferOutflow"]);
        assert_eq!(listed["transfers"][0]["fee"], "3.000000");
    }
}
