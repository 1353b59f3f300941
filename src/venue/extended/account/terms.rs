//! The venue's time.
//!
//! Source: RFC 9110, 6.6.1 (Date).

use super::{ExtendedRest, RestError};
use crate::venue::date;

impl ExtendedRest {
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
