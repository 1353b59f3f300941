//! What an Extended account has, and what moved it: balance, positions, trades, funding, transfers.
//!
//! Promises: a row that can't be read fails the whole list, as a missing one would look like money
//! gone. Refuses: more pages than [`PAGES_MAX`]; what lies beyond can't be told then.
//!
//! Sources: D1 (get balance, positions, trades, funding payments, asset operations, client info).

use super::read::{list, number};
use super::{ExtendedRest, PAGE_LEN, RestError};
use crate::market::units::{Notional, Price, Size, parse_decimal, parse_decimal_rounded};
use crate::venue::money::{Marks, Money, Moved, Position, Transfer, withdrawable};
use serde_json::Value;

/// Most pages of one list. Larger: longer absences can be explained, by more requests.
const PAGES_MAX: usize = 50;

impl ExtendedRest {
    /// Money and positions. Two requests: a fill may come in between, which the caller sees by the
    /// lists having moved.
    pub fn money(&self) -> Result<Money, RestError> {
        let balance = match self.call("GET", "/user/balance") {
            // An account that never had any money.
            Err(RestError::Refused { status: 404, .. }) => return Ok(Money::default()),
            balance => balance?,
        };
        let positions = self.call("GET", "/user/positions")?;
        read_money(&balance, &positions)
    }

    /// What trades and funding moved since `since`. Funding is listed from `from_ms` on.
    pub fn moved(&self, since: Marks, from_ms: u64) -> Result<Moved, RestError> {
        let mut moved = Moved::default();
        let trades = format!("/user/trades?limit={PAGE_LEN}");
        moved.marks.trade = self.walk(&trades, since.trade, |row| {
            let (cash, fee) = read_trade(row)?;
            moved.trades += cash;
            moved.fees += fee;
            Some(())
        })?;
        let funding = format!("/user/funding/history?fromTime={from_ms}&limit={PAGE_LEN}");
        moved.marks.funding = self.walk(&funding, since.funding, |row| {
            moved.funding += money(&row["fundingFee"])?;
            Some(())
        })?;
        Ok(moved)
    }

    /// Deposits, withdrawals and transfers asked for since `from_ms`, newest first.
    pub fn transfers(&self, from_ms: u64) -> Result<Vec<Transfer>, RestError> {
        let mut found = Vec::new();
        self.each_operation(from_ms, |row| {
            found.push(read_transfer(row)?);
            Some(())
        })?;
        Ok(found)
    }

    /// Gives every asset operation since `from_ms` to `take`, newest first.
    pub(super) fn each_operation(
        &self,
        from_ms: u64,
        mut take: impl FnMut(&Value) -> Option<()>,
    ) -> Result<(), RestError> {
        let base = format!("/user/assetOperations?startTime={from_ms}&limit={PAGE_LEN}");
        let mut path = base.clone();
        for _ in 0..PAGES_MAX {
            let (data, cursor) = self.call_paged("GET", &path)?;
            let rows = list(&data, "asset operations")?;
            for row in rows {
                take(row).ok_or(RestError::Unreadable("asset operation"))?;
            }
            match cursor {
                Some(cursor) if !rows.is_empty() => path = format!("{base}&cursor={cursor}"),
                _ => return Ok(()),
            }
        }
        Err(TOO_MANY)
    }

    /// The Ethereum wallet that is linked to the account; `None` where none is.
    pub fn wallet(&self) -> Result<Option<String>, RestError> {
        let client = self.call("GET", "/user/client/info")?;
        Ok(client["evmWalletAddress"].as_str().map(str::to_owned))
    }

    /// Gives every row after `since` to `take`, newest first, and tells the newest number there is
    /// (`since` where there is none, zero where that was [`Marks::END`]).
    fn walk(
        &self,
        base: &str,
        since: u64,
        mut take: impl FnMut(&Value) -> Option<()>,
    ) -> Result<u64, RestError> {
        let mut newest = None;
        let mut path = base.to_owned();
        for _ in 0..PAGES_MAX {
            let (data, cursor) = self.call_paged("GET", &path)?;
            let rows = list(&data, "list")?;
            for row in rows {
                let id = number(&row["id"]).ok_or(RestError::Unreadable("id"))?;
                newest = newest.or(Some(id));
                if id <= since {
                    return Ok(newest.unwrap_or(since));
                }
                take(row).ok_or(RestError::Unreadable("row of money"))?;
            }
            match cursor {
                Some(cursor) if rows.len() >= PAGE_LEN => {
                    path = format!("{base}&cursor={cursor}");
                }
                _ => {
                    let none = if since == u64::MAX { 0 } else { since };
                    return Ok(newest.unwrap_or(none));
                }
            }
        }
        Err(TOO_MANY)
    }
}

const TOO_MANY: RestError =
    RestError::Unreadable("more happened since the last look than its pages tell");

/// An amount of USD; the venue pads to 16 digits.
fn money(value: &Value) -> Option<Notional> {
    let amount = parse_decimal_rounded(value.as_str()?.as_bytes()).ok()?;
    Some(Notional::from_nano(amount))
}

fn read_money(balance: &Value, positions: &Value) -> Result<Money, RestError> {
    let amount = |field: &'static str| money(&balance[field]).ok_or(RestError::Unreadable(field));
    let collateral = amount("balance")?;
    let mut cost = Notional::ZERO;
    let mut unrealised = Notional::ZERO;
    let mut held = Vec::new();
    for row in list(positions, "positions")? {
        let read = read_position(row).ok_or(RestError::Unreadable("position"))?;
        let Some(position) = read else {
            continue;
        };
        cost += position.value - position.profit;
        unrealised += position.profit;
        held.push(position);
    }
    let initial = amount("initialMargin")?;
    let stated = money(&balance["availableForWithdrawal"]);
    let ratio = balance["marginRatio"].as_str().unwrap_or("");
    Ok(Money {
        collateral,
        equity: amount("equity")?,
        available: amount("availableForTrade")?,
        withdrawable: stated.unwrap_or_else(|| withdrawable(collateral, unrealised, initial)),
        margin_ratio_e9: parse_decimal_rounded(ratio.as_bytes())
            .map_err(|_| RestError::Unreadable("marginRatio"))?,
        cost,
        held,
    })
}

/// `Some(None)` for a closed one.
fn read_position(row: &Value) -> Option<Option<Position>> {
    let size = Size(parse_decimal(row["size"].as_str()?.as_bytes()).ok()?);
    if row["status"].as_str() == Some("CLOSED") || size == Size::ZERO {
        return Some(None);
    }
    let (size, value) = (Size(size.0.abs()), money(&row["value"])?.abs());
    let (size, value) = match row["side"].as_str()? {
        "LONG" => (size, value),
        "SHORT" => (-size, -value),
        _ => return None,
    };
    Some(Some(Position {
        market: row["market"].as_str()?.to_owned(),
        size,
        value,
        profit: money(&row["unrealisedPnl"])?,
    }))
}

/// What a trade brought in, and its fee.
fn read_trade(row: &Value) -> Option<(Notional, Notional)> {
    let decimal = |field: &str| parse_decimal_rounded(row[field].as_str()?.as_bytes()).ok();
    let paid = Price(decimal("price")?) * Size(decimal("qty")?);
    let cash = match row["side"].as_str()? {
        "BUY" => -paid,
        "SELL" => paid,
        _ => return None,
    };
    Some((cash, money(&row["fee"])?))
}

/// A deposit counts once it is completed, a withdrawal from when it is asked for until it is
/// rejected. A transfer is told with its sign: D1's example of one that went out has a minus.
/// `fee` moves nothing: the venue takes none (D1, deposits; withdrawals) and shows zero, and what
/// the bridge takes is off the amount before it is told (D1's example of a deposit over Ethereum:
/// 4.989999, fee zero).
fn read_transfer(row: &Value) -> Option<Transfer> {
    let kind = row["type"].as_str()?;
    let status = row["status"].as_str()?;
    let amount = money(&row["amount"])?;
    let counted = match (kind, status) {
        (_, "REJECTED") => Notional::ZERO,
        ("DEPOSIT" | "CLAIM", "COMPLETED") => amount.abs(),
        ("DEPOSIT" | "CLAIM", _) => Notional::ZERO,
        ("TRANSFER", _) => amount,
        _ if kind.contains("WITHDRAWAL") => -amount.abs(),
        _ => return None,
    };
    let id = match &row["id"] {
        Value::String(text) => text.clone(),
        other => number(other)?.to_string(),
    };
    Some(Transfer {
        id,
        kind: kind.to_owned(),
        status: status.to_owned(),
        t_ms: number(&row["time"])?,
        counted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usd(text: &str) -> Notional {
        Notional::from_nano(parse_decimal(text.as_bytes()).unwrap())
    }

    #[test]
    fn cash_is_what_no_mark_can_move() {
        let balance = |equity: &str| {
            json!({
                "balance": "1000", "equity": equity, "availableForTrade": "900",
                "initialMargin": "40", "marginRatio": "0.02",
            })
        };
        let positions = |value: &str, profit: &str| {
            json!([
                {"market": "BTC-USD", "status": "OPENED", "side": "SHORT", "size": "0.02",
                 "value": value, "unrealisedPnl": profit},
                {"market": "ETH-USD", "status": "CLOSED", "side": "LONG", "size": "0",
                 "value": "0", "unrealisedPnl": "0"},
            ])
        };
        let one = read_money(&balance("990"), &positions("1210", "-10")).unwrap();
        let other = read_money(&balance("1020"), &positions("1180", "20")).unwrap();
        assert_eq!(one.cost, usd("-1200"));
        assert_eq!((one.cash(), other.cash()), (usd("2200"), usd("2200")));
        // Losses may not be withdrawn, nor may gains.
        assert_eq!(
            (one.withdrawable, other.withdrawable),
            (usd("950"), usd("960"))
        );
        assert_eq!((one.held.len(), one.held[0].size), (1, Size(-20_000_000)));
        assert_eq!(one.margin_ratio_e9, 20_000_000);
        let mut bad = positions("1210", "-10");
        bad[0]["value"] = Value::Null;
        assert!(read_money(&balance("990"), &bad).is_err());
    }

    #[test]
    fn trades_are_signed_and_fees_apart() {
        let row = |side: &str| {
            json!({"id": 7, "side": side, "price": "60000.5000000000000000",
                   "qty": "0.0100000000000000", "fee": "0.1500010000000000"})
        };
        let sold = read_trade(&row("SELL")).unwrap();
        assert_eq!(sold, (usd("600.005"), usd("0.150001")));
        assert_eq!(read_trade(&row("BUY")).unwrap().0, usd("-600.005"));
        assert_eq!(read_trade(&row("HOLD")), None);
    }

    #[test]
    fn transfers_count_when_they_have_moved_money() {
        for (kind, status, amount, counted) in [
            ("DEPOSIT", "CREATED", "5", "0"),
            ("DEPOSIT", "COMPLETED", "5.0000000000000000", "5"),
            ("DEPOSIT", "REJECTED", "5", "0"),
            ("SLOW_WITHDRAWAL", "IN_PROGRESS", "-4", "-4"),
            ("FAST_WITHDRAWAL", "COMPLETED", "4", "-4"),
            ("WITHDRAWAL", "REJECTED", "4", "0"),
            ("TRANSFER", "COMPLETED", "-3", "-3"),
        ] {
            let row = json!({"id": "0x1", "type": kind, "status": status, "amount": amount,
                             "time": 1_754_050_449_502_u64});
            let read = read_transfer(&row).unwrap();
            assert_eq!(read.counted, usd(counted), "{kind} {status}");
        }
        let odd = json!({"id": 1, "type": "GIFT", "status": "COMPLETED", "amount": "1", "time": 1});
        assert_eq!(read_transfer(&odd), None);
    }
}
