//! The names of the stream's channels: `order_book/1` in requests, `order_book:1` in frames.
//!
//! The list, and which of them want a token, follow the official WebSocket reference and what was
//! seen on the live venue.

use super::codes::Refusal;

/// What a channel is about. Markets are the venue's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Book of a market.
    OrderBook(u32),
    /// Best bid and offer of a market.
    Ticker(u32),
    /// Public trades of a market.
    Trade(u32),
    /// Statistics of a market, or of all.
    MarketStats(Option<u32>),
    /// Block height.
    Height,
    /// Everything of the account.
    AccountAll,
    /// Its positions.
    AccountAllPositions,
    /// Its trades.
    AccountAllTrades,
    /// Its assets.
    AccountAllAssets,
    /// Its orders.
    AccountAllOrders,
    /// Its orders on one market.
    AccountOrders(u32),
    /// Orders, trades and position of one market.
    AccountMarket(u32),
    /// Its margin figures.
    UserStats,
    /// Its transactions.
    AccountTx,
}

impl Topic {
    /// Whether the venue wants an auth token to subscribe.
    pub fn wants_auth(self) -> bool {
        matches!(
            self,
            Topic::AccountAllAssets
                | Topic::AccountAllOrders
                | Topic::AccountOrders(_)
                | Topic::AccountMarket(_)
                | Topic::AccountTx
        )
    }
}

/// Reads a channel as requests spell it. `has_market` tells which markets exist.
///
/// # Errors
/// 30005 with the part that is wrong in the message, as captured.
pub fn parse(
    channel: &str,
    account: u64,
    has_market: impl Fn(u32) -> bool,
) -> Result<Topic, Refusal> {
    let mut parts = channel.split(['/', ':']);
    let kind = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let wrong = |what: &str| Refusal::with(400, 30005, format!("Invalid Channel:  ({what})"));
    let market = |text: &str| {
        let market = text.parse::<u32>().ok().filter(|id| has_market(*id));
        market.ok_or_else(|| wrong("marketId"))
    };
    let own = |text: &str| {
        let ok = text.parse() == Ok(account);
        ok.then_some(()).ok_or_else(|| wrong("accountId"))
    };
    let first = rest.first().copied().unwrap_or_default();
    let topic = match (kind, rest.len()) {
        ("order_book", 1) => Topic::OrderBook(market(first)?),
        ("ticker", 1) => Topic::Ticker(market(first)?),
        ("trade", 1) => Topic::Trade(market(first)?),
        ("market_stats", 1) if first == "all" => Topic::MarketStats(None),
        ("market_stats", 1) => Topic::MarketStats(Some(market(first)?)),
        ("height", 0) => Topic::Height,
        ("account_orders", 2) => own(rest[1]).and(Ok(Topic::AccountOrders(market(first)?)))?,
        ("account_market", 2) => own(rest[1]).and(Ok(Topic::AccountMarket(market(first)?)))?,
        (_, 1) => {
            let topic = account_topic(kind).ok_or_else(|| wrong(channel))?;
            own(first).map(|()| topic)?
        }
        ("order_book" | "ticker" | "trade" | "market_stats", 0) => return Err(wrong("marketId")),
        _ => return Err(wrong(channel)),
    };
    Ok(topic)
}

/// Channels that are named by the account alone.
fn account_topic(kind: &str) -> Option<Topic> {
    Some(match kind {
        "account_all" => Topic::AccountAll,
        "account_all_positions" => Topic::AccountAllPositions,
        "account_all_trades" => Topic::AccountAllTrades,
        "account_all_assets" => Topic::AccountAllAssets,
        "account_all_orders" => Topic::AccountAllOrders,
        "user_stats" => Topic::UserStats,
        "account_tx" => Topic::AccountTx,
        _ => return None,
    })
}

/// A channel as frames spell it.
pub fn in_frames(channel: &str) -> String {
    channel.replace('/', ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(channel: &str) -> Result<Topic, String> {
        parse(channel, 516, |market| market < 2).map_err(|refusal| refusal.message.into_owned())
    }

    #[test]
    fn channels_read_as_documented() {
        for (channel, topic) in [
            ("order_book/0", Topic::OrderBook(0)),
            ("ticker/1", Topic::Ticker(1)),
            ("trade/1", Topic::Trade(1)),
            ("market_stats/all", Topic::MarketStats(None)),
            ("market_stats/1", Topic::MarketStats(Some(1))),
            ("height", Topic::Height),
            ("account_all/516", Topic::AccountAll),
            ("account_all_orders/516", Topic::AccountAllOrders),
            ("account_market/1/516", Topic::AccountMarket(1)),
            ("account_orders/0/516", Topic::AccountOrders(0)),
            ("user_stats/516", Topic::UserStats),
        ] {
            assert_eq!(read(channel).unwrap(), topic);
        }
        assert!(Topic::AccountAllOrders.wants_auth());
        assert!(!Topic::AccountAll.wants_auth());
    }

    #[test]
    fn wrong_channels_are_named() {
        let market = "Invalid Channel:  (marketId)";
        for channel in ["order_book/9", "order_book/", "order_book", "trade/x"] {
            assert_eq!(read(channel).unwrap_err(), market, "{channel}");
        }
        assert!(read("account_all/1").is_err());
        assert!(read("nonsense/1").is_err());
        assert!(read("").is_err());
    }
}
