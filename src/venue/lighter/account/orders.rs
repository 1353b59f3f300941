//! The account's orders over REST: those still open, and the last that are over.
//!
//! Promises: what traded is the cumulative filled size, whatever the status says. Refuses: an order
//! whose side or size can't be read; it fails the whole list, as a missing order would mislead.
//!
//! Source: *rest* in the venue's Sources.

use super::{ALL_MARKETS, LighterRest, RestError, decimal, integer, list, small, text};
use crate::market::book::Side;
use crate::market::order::OrderState;
use crate::market::units::Size;
use crate::venue::lighter::sign::token::AuthToken;
use crate::venue::lighter::stream::order_state;
use serde_json::Value;

/// Rows of a page, the venue's most.
const PAGE_LEN: usize = 100;

/// One order as the venue remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSeen {
    /// Client order index; 0: none.
    pub client_order_index: u64,
    /// Market id.
    pub market_id: u32,
    /// `Bid` buys.
    pub side: Side,
    /// The venue's status word.
    pub state: OrderState,
    /// Cumulative filled size.
    pub filled: Size,
}

impl LighterRest {
    /// Orders still open, of whoever placed them. Those on their way to the book are not listed.
    pub fn open_orders(
        &self,
        account_index: u64,
        token: &AuthToken,
    ) -> Result<Vec<OrderSeen>, RestError> {
        let path =
            format!("accountActiveOrders?account_index={account_index}&market_id={ALL_MARKETS}");
        read_orders(&self.fetch(&path, Some(token))?)
    }

    /// Orders that are over, newest first, at most `pages` pages of a hundred.
    pub fn past_orders(
        &self,
        account_index: u64,
        token: &AuthToken,
        pages: usize,
    ) -> Result<Vec<OrderSeen>, RestError> {
        let base = format!("accountInactiveOrders?account_index={account_index}&limit={PAGE_LEN}");
        let (mut seen, mut path) = (Vec::new(), base.clone());
        for _ in 0..pages {
            let body = self.fetch(&path, Some(token))?;
            let page = read_orders(&body)?;
            let is_last = page.len() < PAGE_LEN;
            seen.extend(page);
            // A cursor is the venue's own text: what could change the query is no cursor.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=.".contains(&byte);
            let cursor = body["next_cursor"].as_str().unwrap_or("");
            if is_last || cursor.is_empty() || !cursor.bytes().all(plain) {
                break;
            }
            path = format!("{base}&cursor={cursor}");
        }
        Ok(seen)
    }
}

pub(super) fn read_orders(body: &Value) -> Result<Vec<OrderSeen>, RestError> {
    let read = |row: &Value| {
        Ok(OrderSeen {
            client_order_index: integer(row, "client_order_index")?,
            market_id: small(row, "market_index")?,
            side: match row["is_ask"].as_bool() {
                Some(true) => Side::Ask,
                Some(false) => Side::Bid,
                None => return Err(RestError::Malformed("is_ask")),
            },
            state: order_state(text(row, "status")?),
            filled: Size(decimal(row, "filled_base_amount")?),
        })
    };
    list(body, "orders")?.iter().map(read).collect()
}
