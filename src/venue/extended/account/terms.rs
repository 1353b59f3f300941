//! On which terms the account trades, and the venue's time.
//!
//! Sources: D1 (leverage); RFC 9110, 6.6.1 (Date).

use super::read::{read_list, text};
use super::{ExtendedRest, RestError};
use crate::venue::date;
use serde_json::Value;

impl ExtendedRest {
    /// The leverage set on each market, as the venue writes it and in whole times, cut off.
    pub fn leverages(&self) -> Result<Vec<(String, u64)>, RestError> {
        let read = |row: &Value| {
            let times = row["leverage"].as_str()?.split('.').next()?;
            Some((text(&row["market"])?, times.parse().ok()?))
        };
        read_list(&self.call("GET", "/user/leverage")?, "leverage", read)
    }

    /// The venue's time by its answer, whatever else that says; seconds since 1970.
    pub fn date_s(&self) -> Result<u64, RestError> {
        let url = [&self.base_url, "/info/starknet"].concat();
        let answer = self.agent.get(url).call();
        let answer = answer.map_err(|error| RestError::Unreachable(error.to_string()))?;
        let date = answer
            .headers()
            .get("date")
            .and_then(|date| date.to_str().ok());
        date.and_then(date::read)
            .ok_or(RestError::Unreadable("Date"))
    }
}
