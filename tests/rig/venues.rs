//! Both simulated venues in a process of their own, and the settings of a run against them.

use crate::private::private_file;
use crate::simulation::Simulation;
use serde_json::Value;
use std::path::PathBuf;

/// The venues of another process, as a user reads their description.
pub struct Venues {
    /// The process.
    #[allow(dead_code, reason = "some tests only keep it alive")]
    pub simulation: Simulation,
    /// Its first line.
    pub description: Value,
}

/// A folder of its own for what a run keeps, with what a demo knows of edges: cold, a run would
/// refuse all of them for as long as these tests last.
fn state_dir(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-state"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the target folder can be written");
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&path, owner_only).expect("it is ours");
    let table = include_bytes!("../../src/sim/arrival.table");
    std::fs::write(path.join("arrival.table"), table).expect("there is room");
    path
}

impl Venues {
    /// Starts them with these flags.
    pub fn start(flags: &[&str]) -> Venues {
        let simulation = Simulation::start(flags);
        let description = serde_json::from_str(&simulation.description);
        Venues {
            simulation,
            description: description.expect("the description is JSON"),
        }
    }

    /// A file with the settings a user would write from the description, and these further lines.
    pub fn env_file(&self, name: &str, more: &str) -> PathBuf {
        let pem = self.description["ca_pem"].as_str();
        let ca = private_file(&format!("{name}-ca.pem"), pem.expect("a certificate"));
        let state = state_dir(name);
        let state = format!("STATE_DIR={}\n", state.to_str().expect("UTF-8"));
        let settings = self.settings(ca.to_str().expect("UTF-8")) + &state + more;
        private_file(&format!("{name}.env"), &settings)
    }

    fn settings(&self, ca_file: &str) -> String {
        let (e, l) = (&self.description["extended"], &self.description["lighter"]);
        let word = |value: &Value| value.as_str().map_or(value.to_string(), str::to_string);
        let keys: Vec<String> = l["keys"]
            .as_array()
            .expect("a list of keys")
            .iter()
            .map(|key| format!("{}:{}", key["index"], word(&key["private_key"])))
            .collect();
        [
            ("TRADING_MODE", "live".to_string()),
            ("AUTO_EXECUTION_ENABLED", "true".to_string()),
            ("EXTENDED_BASE_URL", word(&e["rest"])),
            ("EXTENDED_STREAM_URL", word(&e["stream"])),
            ("EXTENDED_API_KEY", word(&e["api_key"])),
            ("EXTENDED_PRIVATE_KEY", word(&e["private_key"])),
            ("EXTENDED_VAULT", word(&e["vault"])),
            ("EXTENDED_CHAIN_ID", word(&e["chain_id"])),
            ("LIGHTER_BASE_URL", word(&l["rest"])),
            ("LIGHTER_WS_URL", word(&l["ws"])),
            ("LIGHTER_ACCOUNT_INDEX", word(&l["account_index"])),
            ("LIGHTER_API_KEYS", keys.join(",")),
            ("LIGHTER_CHAIN_ID", word(&l["chain_id"])),
            ("TLS_CA_FILE", ca_file.to_string()),
            // No test lasts long enough for a market to earn its size.
            ("RAMP_PAIRS", "0".to_string()),
        ]
        .map(|(key, value)| format!("{key}={value}\n"))
        .concat()
    }
}
