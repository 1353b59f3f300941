//! Where Ethereum is, for what moves money between the venues.
//!
//! Promises: an address that is there can be dialled, and is encrypted beyond loopback; its path is
//! never shown, as providers put their key there. Refuses: asking the node anything.

use crate::config::url::{Protocol, Url, UrlFault};
use crate::config::values::Reader;
use std::fmt;

/// Where the chain is, and what it may cost.
#[derive(Clone, PartialEq, Eq)]
pub struct L1 {
    /// L1_RPC_URL. Its path may be a key.
    pub url: String,
    /// L1_CHAIN_ID.
    pub chain_id: u64,
    /// L1_FEE_MAX_GWEI: most that is paid, gwei a gas.
    pub fee_max_gwei: u64,
    /// L1_CONFIRMATIONS: blocks, its own among them, before a transaction counts.
    pub confirmations: u64,
}

impl L1 {
    /// The node is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.url().is_ok_and(|url| url.is_loopback())
    }

    fn url(&self) -> Result<Url, UrlFault> {
        Url::parse(&self.url, Protocol::Http)
    }
}

impl fmt::Debug for L1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("L1")
            .field("host", &self.url().as_ref().map(Url::host))
            .field("chain_id", &self.chain_id)
            .field("fee_max_gwei", &self.fee_max_gwei)
            .field("confirmations", &self.confirmations)
            .finish()
    }
}

impl Reader {
    /// `None` where no address is set.
    pub(super) fn l1(&mut self) -> Option<L1> {
        let url = self.url("L1_RPC_URL");
        let (chain_id, fee_max_gwei) = (self.count("L1_CHAIN_ID"), self.count("L1_FEE_MAX_GWEI"));
        let confirmations = self.count("L1_CONFIRMATIONS");
        Some(L1 {
            url: url?.as_str().to_owned(),
            chain_id,
            fee_max_gwei,
            confirmations,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::Raw;

    fn read(settings: &[(&str, &str)]) -> (Option<L1>, Vec<String>) {
        let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let raw = Raw::from_settings(settings.iter().map(own).collect());
        let mut reader = Reader::new(raw);
        let l1 = reader.l1();
        (l1, reader.faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_address_is_all_it_takes_and_its_key_is_never_shown() {
        let (none, faults) = read(&[]);
        assert!(none.is_none() && faults.is_empty(), "{faults:?}");
        let key = "v3/0123456789abcdef";
        let (l1, faults) = read(&[("L1_RPC_URL", &format!("https://node.example/{key}"))]);
        let l1 = l1.unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            (l1.chain_id, l1.fee_max_gwei, l1.confirmations),
            (1, 30, 12)
        );
        let shown = format!("{l1:?}");
        assert!(
            shown.contains("node.example") && !shown.contains("0123"),
            "{shown}"
        );
        for url in [
            "http://node.example/v3/0123456789abcdef",
            "https://node.example/v3/0123456789abcdef?x",
            "wss://node.example/v3/0123456789abcdef",
        ] {
            let (l1, faults) = read(&[("L1_RPC_URL", url)]);
            assert!(l1.is_none() && faults.len() == 1, "{url}");
            assert!(!faults[0].contains("0123"), "{}", faults[0]);
        }
        let here = read(&[("L1_RPC_URL", "http://127.0.0.1:8545")]).0;
        assert!(here.unwrap().is_loopback() && !l1.is_loopback());
    }

    #[test]
    fn bounds() {
        for (name, value) in [
            ("L1_CHAIN_ID", "0"),
            ("L1_FEE_MAX_GWEI", "0"),
            ("L1_FEE_MAX_GWEI", "10001"),
            ("L1_CONFIRMATIONS", "0"),
            ("L1_CONFIRMATIONS", "65"),
        ] {
            assert_eq!(read(&[(name, value)]).1.len(), 1, "{name}={value}");
        }
    }
}
