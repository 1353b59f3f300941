//! Orders that come together: one triggers the other, one cancels the other, or both.
//!
//! Source: *signer* in the venue's Sources, `types/txtypes/create_grouped_orders.go` for what must
//! agree between the orders of a group.

use super::checks::{Fault, forbidden};
use super::field::Fp;
use super::fields::{
    BASE_AMOUNT, CLIENT_ORDER_INDEX, IS_ASK, MARKET, ORDER_EXPIRY, REDUCE_ONLY, TYPE,
};
use super::order::{CreateOrder, ORDER, Row, check_order};
use super::poseidon2;
use crate::venue::Text;

/// Most orders of a group.
const ORDERS_MAX: usize = 3;

/// How the orders of a group hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Grouping {
    /// The first, once it trades, releases the second.
    OneTriggersTheOther = 1,
    /// A stop-loss and a take-profit of the same size; whichever trades cancels the other.
    OneCancelsTheOther = 2,
    /// The first releases such a pair.
    OneTriggersAPair = 3,
}

/// The orders of a group, not checked.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    rows: [Row; ORDERS_MAX],
    len: usize,
}

impl Orders {
    /// From each order's ten numbers as they stand in a text, in the official sequence; at most
    /// three.
    pub fn from_rows(rows: &[Row]) -> Result<Orders, Fault> {
        let mut orders = Orders {
            rows: [[0; 10]; ORDERS_MAX],
            len: rows.len(),
        };
        match orders.rows.get_mut(..rows.len()) {
            Some(room) => room.copy_from_slice(rows),
            None => return Err(wrong_count(rows.len())),
        }
        Ok(orders)
    }

    /// From orders; at most three.
    pub(super) fn new(orders: &[CreateOrder]) -> Result<Orders, Fault> {
        let mut rows = [[0; 10]; ORDERS_MAX];
        if orders.len() > ORDERS_MAX {
            return Err(wrong_count(orders.len()));
        }
        for (row, order) in rows.iter_mut().zip(orders) {
            *row = order.row();
        }
        Orders::from_rows(&rows[..orders.len()])
    }

    fn rows(&self) -> &[Row] {
        &self.rows[..self.len]
    }

    /// Each order is hashed to four elements, and those are folded from the left: the digest so far
    /// and the next one are hashed to four again. A single order is its own digest. The number of
    /// orders is not hashed apart; it follows from the grouping type, which is.
    pub(super) fn digest(&self) -> [Fp; 4] {
        let mut both = [Fp::ZERO; 8];
        for (at, row) in self.rows().iter().enumerate() {
            let digest = poseidon2::hash::<4>(&row.map(|value| Fp::new(value as u64)));
            if at == 0 {
                both[..4].copy_from_slice(&digest);
                continue;
            }
            both[4..].copy_from_slice(&digest);
            let folded = poseidon2::hash::<4>(&both);
            both[..4].copy_from_slice(&folded);
        }
        [both[0], both[1], both[2], both[3]]
    }

    /// Writes `[{..},{..}]`.
    pub(super) fn write(&self, text: &mut Text<'_>) {
        let mut separator: &[u8] = b"[{";
        for row in self.rows() {
            text.put(separator);
            for (at, (rule, value)) in ORDER.iter().zip(row).enumerate() {
                let key = rule.key.as_bytes();
                text.put(if at == 0 { &key[1..] } else { key });
                text.put_integer(*value as u64);
            }
            separator = b"},{";
        }
        text.put(b"}]");
    }
}

/// Every order for itself, then what must agree between them. Of three orders, the last two are
/// judged both as released orders and as a pair.
pub(super) fn check_group(grouping: i64, orders: &Orders) -> Result<(), Fault> {
    let rows = orders.rows();
    let wanted = if grouping == 3 { 3 } else { 2 };
    if rows.len() != wanted {
        return Err(wrong_count(rows.len()));
    }
    for (at, row) in rows.iter().enumerate() {
        check_order(row)?;
        if row[0] != rows[0][0] {
            return Err(MARKET.forbidden(row[0], "all orders of a group are for one market"));
        }
        let is_taken = rows[..at].iter().any(|other| other[1] == row[1]);
        if row[1] != 0 && is_taken {
            return Err(CLIENT_ORDER_INDEX.forbidden(row[1], "two orders of a group have it"));
        }
    }
    match *rows {
        [first, second] if grouping == 2 => check_pair(&first, &second),
        [parent, child] => check_child(&parent, &child),
        [parent, first, second] => {
            check_child(&parent, &first)?;
            check_child(&parent, &second)?;
            check_pair(&first, &second)
        }
        _ => Err(wrong_count(rows.len())),
    }
}

/// The order that is released: no size of its own, the other side, no other expiry.
fn check_child(parent: &Row, child: &Row) -> Result<(), Fault> {
    if parent[5] > 1 {
        return Err(TYPE.forbidden(parent[5], "the first order is a limit or a market order"));
    }
    if child[2] != 0 {
        let reason = "a released order takes its size from the first, 0";
        return Err(BASE_AMOUNT.forbidden(child[2], reason));
    }
    if child[4] == parent[4] {
        return Err(IS_ASK.forbidden(child[4], "a released order is on the other side"));
    }
    if parent[9] != 0 && child[9] != parent[9] {
        return Err(ORDER_EXPIRY.forbidden(child[9], "the orders of a group expire together"));
    }
    if !matches!(child[5], 2..=5) {
        return Err(TYPE.forbidden(child[5], "a released order is a stop-loss or a take-profit"));
    }
    Ok(())
}

/// A stop-loss and a take-profit for the same thing.
fn check_pair(first: &Row, second: &Row) -> Result<(), Fault> {
    if first[2] != second[2] {
        return Err(BASE_AMOUNT.forbidden(second[2], "both orders of a pair have one size"));
    }
    if first[4] != second[4] {
        return Err(IS_ASK.forbidden(second[4], "both orders of a pair are on one side"));
    }
    for order in [first, second] {
        if order[7] != 1 {
            return Err(REDUCE_ONLY.forbidden(order[7], "both orders of a pair only reduce"));
        }
    }
    if first[9] != second[9] {
        return Err(ORDER_EXPIRY.forbidden(second[9], "the orders of a group expire together"));
    }
    let has = |kinds: [i64; 2]| kinds.contains(&first[5]) || kinds.contains(&second[5]);
    if !has([2, 3]) || !has([4, 5]) {
        let reason = "a pair is one stop-loss and one take-profit";
        return Err(TYPE.forbidden(second[5], reason));
    }
    Ok(())
}

#[cold]
fn wrong_count(count: usize) -> Fault {
    forbidden(
        "Orders",
        count as i64,
        "types 1 and 2 group two orders, type 3 three",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: Row = [1, 11, 500, 90, 0, 0, 1, 0, 0, 777];
    const STOP: Row = [1, 12, 0, 80, 1, 2, 0, 1, 85, 777];
    const TAKE: Row = [1, 13, 0, 110, 1, 5, 1, 1, 105, 777];

    fn refused(grouping: i64, rows: &[Row]) -> &'static str {
        let checked = Orders::from_rows(rows).and_then(|orders| check_group(grouping, &orders));
        checked.err().map_or("", |fault| fault.field)
    }

    #[test]
    fn a_group_of_each_kind_is_taken() {
        assert_eq!(refused(1, &[PARENT, STOP]), "");
        assert_eq!(refused(2, &[STOP, TAKE]), "");
        assert_eq!(refused(2, &[TAKE, STOP]), "");
        assert_eq!(refused(3, &[PARENT, STOP, TAKE]), "");
    }

    #[test]
    fn a_group_has_its_number_of_orders() {
        let four = [PARENT; 4];
        for (grouping, count) in [(1, 0), (1, 1), (1, 3), (2, 1), (2, 3), (3, 2), (3, 4)] {
            assert_eq!(
                refused(grouping, &four[..count]),
                "Orders",
                "{grouping} {count}"
            );
        }
    }

    /// One number changed, which order it is in, and the name under which it is refused.
    #[test]
    fn orders_that_do_not_fit_each_other_are_refused_by_name() {
        for (at, field, value, name) in [
            (0, 0, 2, "MarketIndex"),
            (1, 0, 255, "MarketIndex"),
            (1, 1, 11, "ClientOrderIndex"),
            (2, 1, 12, "ClientOrderIndex"),
            (0, 2, 0, "BaseAmount"),
            (1, 2, 5, "BaseAmount"),
            (2, 3, 0, "Price"),
            (0, 4, 1, "IsAsk"),
            (2, 4, 0, "IsAsk"),
            (0, 5, 6, "Type"),
            (1, 5, 4, "Type"),
            (2, 5, 3, "Type"),
            (1, 6, 1, "TimeInForce"),
            (2, 7, 0, "BaseAmount"),
            (1, 8, 0, "TriggerPrice"),
            (0, 9, 778, "OrderExpiry"),
            (2, 9, 778, "OrderExpiry"),
        ] {
            let mut rows = [PARENT, STOP, TAKE];
            rows[at][field] = value;
            assert_eq!(
                refused(3, &rows),
                name,
                "order {at}, field {field}, value {value}"
            );
        }
        let sized = |row: Row, size| {
            let mut row = row;
            row[2] = size;
            row
        };
        let idle = |row: Row| {
            let mut row = row;
            row[7] = 0;
            row
        };
        assert_eq!(refused(2, &[sized(STOP, 5), sized(TAKE, 6)]), "BaseAmount");
        assert_eq!(
            refused(2, &[sized(STOP, 5), idle(sized(TAKE, 5))]),
            "ReduceOnly"
        );
        assert_eq!(refused(2, &[PARENT, PARENT]), "ClientOrderIndex");
        assert_eq!(refused(1, &[PARENT, idle(sized(STOP, 5))]), "BaseAmount");
    }

    #[test]
    fn without_numbers_of_ours_two_orders_may_look_alike() {
        let mut rows = [PARENT, STOP, TAKE];
        for row in &mut rows {
            row[1] = 0;
        }
        assert_eq!(refused(3, &rows), "");
    }
}
