//! What arms live trading beyond this machine: LIVE_ACK, the fingerprint of what was checked.
//!
//! `parallax check --venues` prints it for these accounts, limits and endpoints; a person reads the
//! findings and writes it down. Promises: whatever of them changes, by a hand or by a new version's
//! defaults, changes the fingerprint, and a run refuses to start. Keys are no part of it (they may
//! be rotated), as each start proves them anew; nor is where files are kept.
//! Refuses: to be a secret. It guards against slips, not against whoever can write settings.

use crate::config::names::{KEYS, Key, Kind, LIVE_MUST_HAVE};
use crate::config::values::{Reader, known};
use crate::keys::fingerprint;

/// Settings that change nothing of what is traded, where, or within which limits. TLS_CA_FILE
/// counts by what stands in the file.
const LEFT_OUT: &[&str] = &[
    "TRADING_MODE",
    "PAPER_EQUITY_USD",
    "LIVE_ACK",
    "KEYSTORE",
    "STATE_DIR",
    "TLS_CA_FILE",
];

/// Whether a change of this setting disarms.
pub fn disarms(key: &Key) -> bool {
    key.kind != Kind::Secret && !LEFT_OUT.contains(&key.name)
}

impl Reader {
    /// Of every setting that counts, as it was written or by its default.
    pub fn fingerprint(&self, extra_root_pem: Option<&[u8]>) -> String {
        let mut text = String::new();
        for key in KEYS.iter().filter(|key| disarms(key)) {
            let value = self.raw.value(key.name).map(str::trim);
            text.extend([key.name, "=", value.unwrap_or(key.default), "\n"]);
        }
        text.extend(extra_root_pem.map(String::from_utf8_lossy));
        fingerprint(&text)
    }

    /// Live trading beyond loopback takes no default for where and how much.
    pub fn demand_live_settings(&mut self) {
        for name in LIVE_MUST_HAVE {
            if self.raw.value(name).is_none() {
                let fix = format!("write it down, even when it is {}", known(name).default);
                self.fault(
                    name,
                    "is missing; live trading takes no default for it",
                    &fix,
                );
            }
        }
    }

    /// The fingerprint itself is not told here: it comes with the findings, to be read.
    pub fn demand_acknowledgement(&mut self, wanted: &str) {
        let fix = "run `parallax check --venues`, read what it finds, and write down the LIVE_ACK \
                   it prints";
        match self.raw.value("LIVE_ACK").map(str::trim) {
            Some(written) if written == wanted => {}
            Some(_) => self.fault(
                "LIVE_ACK",
                "is not of these accounts, limits and endpoints: something has changed since they \
                 were checked",
                fix,
            ),
            None => self.fault(
                "LIVE_ACK",
                "is missing: live trading beyond this machine needs a check first",
                fix,
            ),
        }
    }
}
