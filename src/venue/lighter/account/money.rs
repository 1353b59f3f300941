//! What a Lighter account has, and what moved it: money, positions, trades, funding, transfers.
//!
//! Promises: a row that can't be read fails the whole list, as a missing one would look like money
//! gone. Refuses: more pages than [`PAGES_MAX`]; assets other than USDC, which margin nothing here.
//!
//! Sources: *rest*, *fees* in the venue's Sources; models `Trade`, `PositionFunding`,
//! `DepositHistoryItem`, `WithdrawHistoryItem`, `TransferHistoryItem` of the Python SDK 1.1.8.

use super::{LighterRest, RestError, decimal, integer, list, rounded, text};
use crate::market::units::{NOTIONAL_SCALE, Notional, Price, Size, parse_decimal_rounded};
use crate::venue::lighter::sign::token::AuthToken;
use crate::venue::lighter::words::fee_of;
use crate::venue::money::{Marks, Money, Moved, Position, Transfer, withdrawable};
use serde_json::Value;

/// Most pages of one list. Larger: longer absences can be explained, by more requests.
const PAGES_MAX: usize = 50;
/// Rows of a page, the venue's most.
const PAGE_LEN: usize = 100;
/// USDC among the venue's assets (*rest*, `assetDetails`).
const USDC: u64 = 3;
/// The venue books fees in millionths of a dollar, rounded up.
const FEE_UNIT: i128 = NOTIONAL_SCALE / 1_000_000;

/// An account and the right to read it.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The account.
    pub account: u64,
    /// A token of it.
    pub token: &'a AuthToken,
}

/// The account's three lists of money in and out: path, member, and what reads a row.
type Book = (&'static str, &'static str, ReadTransfer);
type ReadTransfer = fn(&Value) -> Result<Option<Transfer>, RestError>;
const BOOKS: [Book; 3] = [
    ("deposit", "deposits", read_deposit),
    ("withdraw", "withdraws", read_withdrawal),
    ("transfer", "transfers", read_transfer),
];

impl LighterRest {
    /// Money and positions, of one moment.
    pub fn money(&self, account: u64) -> Result<Money, RestError> {
        let path = format!("account?by=index&value={account}");
        read_money(&self.fetch(&path, None)?)
    }

    /// What trades and funding moved since `since`.
    pub fn moved(&self, reader: Reader<'_>, since: Marks) -> Result<Moved, RestError> {
        let account = reader.account;
        let mut moved = Moved::default();
        let trades = format!("trades?sort_by=timestamp&limit={PAGE_LEN}&account_index={account}");
        let of = (trades.as_str(), "trades", "trade_id");
        moved.marks.trade = self.walk(reader, of, since.trade, |row| {
            let (cash, fee) = read_trade(row, account)?;
            moved.trades += cash;
            moved.fees += fee;
            Ok(())
        })?;
        let funding = format!("positionFunding?limit={PAGE_LEN}&account_index={account}");
        let of = (funding.as_str(), "position_fundings", "funding_id");
        moved.marks.funding = self.walk(reader, of, since.funding, |row| {
            moved.funding += Notional::from_nano(decimal(row, "change")?);
            Ok(())
        })?;
        Ok(moved)
    }

    /// Deposits, withdrawals and transfers asked for since `from_ms`.
    pub fn transfers(&self, reader: Reader<'_>, from_ms: u64) -> Result<Vec<Transfer>, RestError> {
        let account = reader.account;
        let owner = self.owner(account)?;
        let (mut found, mut pairs) = (Vec::new(), Pairs::default());
        for (path, member, read) in BOOKS {
            let path =
                format!("{path}/history?account_index={account}&l1_address={owner}&filter=all");
            self.pages(reader, &path, member, |row| {
                let t_ms = integer(row, "timestamp")?;
                if t_ms + PAIR_MS < from_ms {
                    return Ok(false);
                }
                // Older ones were counted when this began, or never moved anything since.
                let counted = read(row)?.filter(|_| t_ms >= from_ms);
                pairs.note(row, t_ms, counted.as_ref().map(|_| found.len()))?;
                found.extend(counted);
                Ok(true)
            })?;
        }
        pairs.count(&mut found);
        Ok(found)
    }

    /// From asking for a secure withdrawal to its claim, seconds.
    pub fn withdrawal_delay_s(&self) -> Result<u64, RestError> {
        integer(&self.bare("api/v1/withdrawalDelay")?, "seconds")
    }

    /// One of the answers without a `code` of their own.
    pub(super) fn bare(&self, path: &str) -> Result<Value, RestError> {
        let network = |error: ureq::Error| RestError::Network(error.to_string());
        let url = format!("{}/{path}", self.base_url);
        let mut answer = self.agent.get(url).call().map_err(network)?;
        let body = answer.body_mut().read_to_string().map_err(network)?;
        Ok(serde_json::from_str(&body).unwrap_or_default())
    }

    /// Gives every row after `since` to `take`, newest first, and tells the newest number there is
    /// (`since` where there is none, zero where that was [`Marks::END`]).
    fn walk(
        &self,
        reader: Reader<'_>,
        (path, member, id): (&str, &'static str, &'static str),
        since: u64,
        mut take: impl FnMut(&Value) -> Result<(), RestError>,
    ) -> Result<u64, RestError> {
        let mut newest = None;
        self.pages(reader, path, member, |row| {
            let number = integer(row, id)?;
            newest = newest.or(Some(number));
            if number <= since {
                return Ok(false);
            }
            take(row)?;
            Ok(true)
        })?;
        let none = if since == u64::MAX { 0 } else { since };
        Ok(newest.unwrap_or(none))
    }

    /// Rows of a list, page by page, until `take` has had enough.
    pub(super) fn pages(
        &self,
        reader: Reader<'_>,
        base: &str,
        member: &'static str,
        mut take: impl FnMut(&Value) -> Result<bool, RestError>,
    ) -> Result<(), RestError> {
        let mut path = base.to_owned();
        for _ in 0..PAGES_MAX {
            let body = self.fetch(&path, Some(reader.token))?;
            for row in list(&body, member)? {
                if !take(row)? {
                    return Ok(());
                }
            }
            // A cursor is the venue's own text: what could change the query is no cursor. Its
            // name differs between lists.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=.".contains(&byte);
            let cursor = body["next_cursor"].as_str().or(body["cursor"].as_str());
            match cursor.filter(|text| !text.is_empty() && text.bytes().all(plain)) {
                Some(cursor) => path = format!("{base}&cursor={cursor}"),
                None => return Ok(()),
            }
        }
        Err(RestError::Malformed("list, longer than its pages"))
    }
}

/// Fast withdrawals and the transfers that brought them to the pool.
///
/// A fast withdrawal is a transfer to the venue's pool: type 12, posted with whom the pool is to
/// pay (*rest*, `fastwithdraw`; the official Python library's example of one). Its money leaves
/// once, and so it must be counted once: by the transfer, which knows the fee. Third parties saw
/// withdrawals in the one list without their transfer in the other, so one without a transfer of
/// its amount and its time counts by itself; its fee is not told then, and shows as drift.
#[derive(Default)]
struct Pairs {
    /// Place among the rows found, amount, time.
    fast: Vec<(usize, Notional, u64)>,
    /// Amount without its fee, time.
    sent: Vec<(Notional, u64)>,
}

/// How far the two rows of one fast withdrawal may lie apart.
const PAIR_MS: u64 = 600_000;

impl Pairs {
    /// Notes a row that is at this place, if it stands among those found.
    fn note(&mut self, row: &Value, t_ms: u64, place: Option<usize>) -> Result<(), RestError> {
        let kind = row["type"].as_str().unwrap_or("");
        let is_back = ["failed", "refunded"].contains(&row["status"].as_str().unwrap_or(""));
        let Some(amount) = amount(row, "amount")?.filter(|_| !is_back) else {
            return Ok(());
        };
        match (kind, place) {
            ("fast", Some(place)) => self.fast.push((place, amount.abs(), t_ms)),
            (kind, _) if kind.ends_with("TransferOutflow") => self.sent.push((amount.abs(), t_ms)),
            _ => {}
        }
        Ok(())
    }

    /// Has the fast withdrawals count that no transfer stands for.
    fn count(mut self, found: &mut [Transfer]) {
        for (place, amount, t_ms) in self.fast {
            let is_its =
                |(sent, at): &(Notional, u64)| *sent == amount && at.abs_diff(t_ms) <= PAIR_MS;
            match self.sent.iter().position(is_its) {
                Some(at) => drop(self.sent.swap_remove(at)),
                None => found[place].counted = -amount,
            }
        }
    }
}

fn usdc(row: &Value, field: &'static str) -> Result<Notional, RestError> {
    decimal(row, field).map(Notional::from_nano)
}

fn read_money(body: &Value) -> Result<Money, RestError> {
    let row = list(body, "accounts")?.first();
    let row = row.ok_or(RestError::Malformed("accounts"))?;
    let collateral = usdc(row, "collateral")?;
    let (mut cost, mut unrealised, mut held) = (Notional::ZERO, Notional::ZERO, Vec::new());
    for position in list(row, "positions")? {
        let size = Size(decimal(position, "position")?);
        if size == Size::ZERO {
            continue;
        }
        let is_short = position["sign"].as_i64() == Some(-1);
        let value = usdc(position, "position_value")?.abs();
        let position = Position {
            market: text(position, "symbol")?.to_owned(),
            size: if is_short { -size } else { size },
            value: if is_short { -value } else { value },
            profit: usdc(position, "unrealized_pnl")?,
        };
        cost += position.value - position.profit;
        unrealised += position.profit;
        held.push(position);
    }
    let equity = collateral + unrealised;
    let initial = usdc(row, "cross_initial_margin_requirement")?;
    let maintenance = usdc(row, "cross_maintenance_margin_requirement")?;
    let available = usdc(row, "available_balance")?;
    let rule = withdrawable(collateral, unrealised, initial);
    Ok(Money {
        collateral,
        equity,
        available,
        withdrawable: rule.min(available).max(Notional::ZERO),
        margin_ratio_e9: ratio_e9(maintenance, equity),
        cost,
        held,
    })
}

/// Maintenance margin over equity; an account without equity but with positions is beyond any.
fn ratio_e9(maintenance: Notional, equity: Notional) -> i64 {
    match (maintenance.0 > 0, equity.0 > 0) {
        (false, _) => 0,
        (true, false) => i64::MAX,
        (true, true) => {
            let ratio = maintenance.0.saturating_mul(1_000_000_000) / equity.0;
            i64::try_from(ratio).unwrap_or(i64::MAX)
        }
    }
}

/// What a trade brought in, and its fee. A trade with ourselves moves nothing but fees, and is
/// refused by the venue.
fn read_trade(row: &Value, account: u64) -> Result<(Notional, Notional), RestError> {
    let (price, size) = (Price(decimal(row, "price")?), Size(decimal(row, "size")?));
    let is_ask = integer(row, "ask_account_id")? == account;
    if !is_ask && integer(row, "bid_account_id")? != account {
        return Err(RestError::Malformed("account of a trade"));
    }
    let is_maker = row["is_maker_ask"].as_bool() == Some(is_ask);
    let rate = row[if is_maker { "maker_fee" } else { "taker_fee" }].as_i64();
    let fee = fee_of(price, size, rate.unwrap_or(0));
    let fee = Notional((fee.0 + FEE_UNIT - 1) / FEE_UNIT * FEE_UNIT);
    let paid = price * size;
    Ok((if is_ask { paid } else { -paid }, fee))
}

/// An amount of USDC as transfers write it; `None` for another asset.
fn amount(row: &Value, field: &'static str) -> Result<Option<Notional>, RestError> {
    if row["asset_id"].as_u64().unwrap_or(USDC) != USDC {
        return Ok(None);
    }
    let text = text(row, field)?;
    let amount = parse_decimal_rounded(text.as_bytes());
    let amount = amount.map_err(|_| RestError::Malformed(field))?;
    Ok(Some(Notional::from_nano(amount)))
}

fn transfer(row: &Value, kind: &str, counted: Notional) -> Result<Option<Transfer>, RestError> {
    let id = match &row["id"] {
        Value::String(text) => text.clone(),
        _ => integer(row, "id")?.to_string(),
    };
    Ok(Some(Transfer {
        id: format!("{kind}-{id}"),
        kind: row["type"].as_str().unwrap_or(kind).to_owned(),
        status: row["status"].as_str().unwrap_or("completed").to_owned(),
        t_ms: integer(row, "timestamp")?,
        counted,
    }))
}

/// Counts once it is completed.
fn read_deposit(row: &Value) -> Result<Option<Transfer>, RestError> {
    let Some(amount) = amount(row, "amount")? else {
        return Ok(None);
    };
    let is_done = text(row, "status")? == "completed";
    let counted = if is_done { amount } else { Notional::ZERO };
    transfer(row, "deposit", counted)
}

/// A secure one counts from when it is asked for until it fails, a fast one by its transfer, where
/// there is one ([`Pairs`]).
fn read_withdrawal(row: &Value) -> Result<Option<Transfer>, RestError> {
    let Some(amount) = amount(row, "amount")? else {
        return Ok(None);
    };
    let is_back = ["failed", "refunded"].contains(&text(row, "status")?);
    let is_fast = row["type"].as_str() == Some("fast");
    let counted = match is_back || is_fast {
        true => Notional::ZERO,
        false => -amount.abs(),
    };
    transfer(row, "withdrawal", counted)
}

/// Between accounts, or between this one's perpetuals and its spot wallet, which margins nothing.
fn read_transfer(row: &Value) -> Result<Option<Transfer>, RestError> {
    let Some(amount) = amount(row, "amount")? else {
        return Ok(None);
    };
    let fee = rounded(&row["fee"]).map_or(Notional::ZERO, Notional::from_nano);
    let (amount, kind) = (amount.abs(), text(row, "type")?);
    let route = |field: &str| row[field].as_str().unwrap_or("perps") == "perps";
    let counted = match kind {
        "L2SelfTransfer" => match (route("from_route"), route("to_route")) {
            (true, false) => -amount - fee,
            (false, true) => amount,
            (true, true) | (false, false) => -fee,
        },
        _ if kind.ends_with("Inflow") => amount,
        _ if kind.ends_with("Outflow") => -amount - fee,
        _ => return Err(RestError::Malformed("type of a transfer")),
    };
    transfer(row, "transfer", counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::parse_decimal;
    use serde_json::json;

    fn usd(text: &str) -> Notional {
        Notional::from_nano(parse_decimal(text.as_bytes()).unwrap())
    }

    #[test]
    fn cash_is_what_no_mark_can_move() {
        let account = |value: &str, profit: &str| {
            let row = json!({
                "collateral": "1000.000000", "available_balance": "930.000000",
                "cross_initial_margin_requirement": "40.000000",
                "cross_maintenance_margin_requirement": "20.000000",
                "positions": [
                    {"symbol": "BTC", "sign": -1, "position": "0.02000",
                     "position_value": value, "unrealized_pnl": profit},
                    {"symbol": "ETH", "sign": 1, "position": "0.0000"},
                ],
            });
            read_money(&json!({"accounts": [row]})).unwrap()
        };
        let (one, other) = (account("1210.0", "-10.0"), account("1180.0", "20.0"));
        assert_eq!((one.cash(), other.cash()), (usd("2200"), usd("2200")));
        assert_eq!((one.equity, other.equity), (usd("990"), usd("1020")));
        // The gain is not there to be taken, and no more than is free is.
        assert_eq!(
            (one.withdrawable, other.withdrawable),
            (usd("930"), usd("930"))
        );
        assert_eq!((one.held.len(), one.held[0].size), (1, Size(-20_000_000)));
        assert_eq!(other.margin_ratio_e9, 19_607_843);
        assert_eq!(ratio_e9(usd("1"), usd("-1")), i64::MAX);
    }

    #[test]
    fn trades_are_signed_and_fees_are_rounded_up() {
        let row = json!({
            "trade_id": 9, "price": "61800.1", "size": "0.00001", "ask_account_id": 7,
            "bid_account_id": 8, "is_maker_ask": false, "taker_fee": 196,
        });
        assert_eq!(
            read_trade(&row, 7).unwrap(),
            (usd("0.618001"), usd("0.000122"))
        );
        assert_eq!(
            read_trade(&row, 8).unwrap(),
            (usd("-0.618001"), Notional::ZERO)
        );
        assert!(read_trade(&row, 9).is_err());
    }

    /// The reader of a row, its type, status, amount and fee, and what it counts for.
    type Case<'a> = (ReadTransfer, &'a str, &'a str, [&'a str; 2], &'a str);

    #[test]
    fn transfers_count_when_they_have_moved_money() {
        let table: [Case<'_>; 9] = [
            (read_deposit, "", "pending", ["5", "0"], "0"),
            (read_deposit, "", "completed", ["5", "0"], "5"),
            (read_withdrawal, "secure", "pending", ["5", "0"], "-5"),
            (read_withdrawal, "secure", "claimable", ["5", "0"], "-5"),
            (read_withdrawal, "secure", "refunded", ["5", "0"], "0"),
            (read_withdrawal, "fast", "completed", ["5", "0"], "0"),
            (read_transfer, "L2TransferOutflow", "", ["5", "3"], "-8"),
            (read_transfer, "L2TransferInflow", "", ["5", "3"], "5"),
            (read_transfer, "L2SelfTransfer", "", ["5", "0"], "0"),
        ];
        for (read, kind, status, [amount, fee], counted) in table {
            let row = json!({"id": "4", "asset_id": 3, "type": kind, "status": status,
                             "amount": amount, "fee": fee, "timestamp": 1});
            let found = read(&row).unwrap().unwrap();
            assert_eq!(found.counted, usd(counted), "{kind} {status}");
        }
        let mut row = json!({"id": 4, "asset_id": 3, "type": "L2SelfTransfer", "amount": "5",
                             "fee": "0", "timestamp": 1, "from_route": "perps",
                             "to_route": "spot"});
        assert_eq!(read_transfer(&row).unwrap().unwrap().counted, usd("-5"));
        row["asset_id"] = 2.into();
        assert_eq!(read_transfer(&row), Ok(None), "another asset");
    }

    #[test]
    fn a_fast_withdrawal_counts_once_with_its_transfer_or_without() {
        let fast = |id: u64, amount: &str, t_ms: u64| {
            json!({"id": id, "type": "fast", "status": "completed", "amount": amount,
                   "timestamp": t_ms})
        };
        let sent = |id: u64, amount: &str, t_ms: u64| {
            json!({"id": id, "type": "L2TransferOutflow", "amount": amount, "fee": "3",
                   "timestamp": t_ms})
        };
        let count = |rows: &[Value]| {
            let (mut found, mut pairs) = (Vec::new(), Pairs::default());
            for row in rows {
                let is_fast = row["type"] == "fast";
                let read = if is_fast {
                    read_withdrawal
                } else {
                    read_transfer
                };
                let t_ms = row["timestamp"].as_u64().unwrap();
                pairs.note(row, t_ms, Some(found.len())).unwrap();
                found.extend(read(row).unwrap());
            }
            pairs.count(&mut found);
            let sum = found.iter().map(|one| one.counted);
            sum.fold(Notional::ZERO, |sum, one| sum + one)
        };
        let t_ms = 10 * PAIR_MS;
        let pair = [fast(1, "50", t_ms), sent(1, "50", t_ms + PAIR_MS)];
        assert_eq!(count(&pair), usd("-53"));
        assert_eq!(count(&pair[..1]), usd("-50"));
        assert_eq!(count(&pair[1..]), usd("-53"));
        // Another amount, another time, and one transfer for two withdrawals.
        assert_eq!(
            count(&[fast(1, "51", t_ms), sent(1, "50", t_ms)]),
            usd("-104")
        );
        let late = t_ms + PAIR_MS + 1;
        assert_eq!(
            count(&[fast(1, "50", late), sent(1, "50", t_ms)]),
            usd("-103")
        );
        let two = [
            fast(1, "50", t_ms),
            fast(2, "50", t_ms),
            sent(1, "50", t_ms),
        ];
        assert_eq!(count(&two), usd("-103"));
        let mut failed = fast(1, "50", t_ms);
        failed["status"] = "failed".into();
        assert_eq!(count(&[failed]), usd("0"));
    }
}
