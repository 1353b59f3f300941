//! A real EVM node on a free port, with the contracts a transfer meets, compiled and deployed.
//!
//! Whoever plays the venues uses it as they would: pays out, proves withdrawals, reads deposits.
//! Needs two packages of npm, in `node_modules` here or in the folder PARALLAX_NODE_MODULES names:
//! `@foundry-rs/anvil-linux-amd64` 1.7.1 and `solc` 0.8.37. Ends its node when dropped.
#![allow(dead_code, reason = "not every test plays every part")]

use parallax::keys::ceremony::{Address, hex, keccak256};
use parallax::treasury::chain::Settings;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Lighter's number of USDC.
pub const ASSET: u16 = 3;
/// The contracts there are.
const SOURCES: [&str; 4] = ["Usdc", "Lighter", "Bridge", "Mute"];

/// The node, and what stands on its chain.
pub struct Evm {
    process: Child,
    /// `http://127.0.0.1:port`.
    pub url: String,
    /// The node's default.
    pub chain_id: u64,
    /// An account whose key the node has, with ether.
    pub bank: Address,
    /// The token, 6 decimals.
    pub usdc: Address,
    /// Lighter's contract; the bank keeps it in funds.
    pub lighter: Address,
    /// Extended's bridge.
    pub bridge: Address,
    is_automatic: AtomicBool,
    agent: ureq::Agent,
}

/// A deposit, as its contract tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Lighter's contract, or the bridge.
    pub contract: Address,
    /// Lighter: whose account it is for. Bridge: who sent it.
    pub wallet: Address,
    /// In the token's units.
    pub amount: u128,
    /// Bridge: the quote's number. Lighter: nothing.
    pub commitment: [u8; 32],
    /// The transaction.
    pub hash: [u8; 32],
}

impl Evm {
    /// Starts a node that makes a block for every transaction, and deploys.
    pub fn start() -> Evm {
        let mut process = Command::new(tool(".bin/anvil"))
            .args(["--port", "0", "--host", "127.0.0.1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("npm install @foundry-rs/anvil-linux-amd64@1.7.1, see the head of this file");
        let url = format!("http://{}", listening(&mut process));
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .new_agent();
        let nobody = Address([0; 20]);
        let mut evm = Evm {
            process,
            url,
            chain_id: 0,
            bank: nobody,
            usdc: nobody,
            lighter: nobody,
            bridge: nobody,
            is_automatic: AtomicBool::new(true),
            agent,
        };
        evm.chain_id = number(&evm.ask("eth_chainId", json!([]))) as u64;
        evm.bank = address(&evm.ask("eth_accounts", json!([]))[0]);
        evm.usdc = evm.deploy("Usdc", &[]);
        evm.lighter = evm.deploy("Lighter", &[word(evm.usdc)]);
        evm.bridge = evm.deploy("Bridge", &[]);
        evm
    }

    /// Settings for it: one confirmation, fees as high as they go.
    pub fn settings(&self) -> Settings {
        Settings {
            url: self.url.clone(),
            chain_id: self.chain_id,
            fee_max_gwei: 30,
            confirmations: 1,
        }
    }

    /// The settings of a run or a command, as lines of `.env`.
    pub fn lines(&self) -> String {
        let Settings {
            url,
            chain_id,
            fee_max_gwei,
            confirmations,
        } = self.settings();
        format!(
            "L1_RPC_URL={url}\nL1_CHAIN_ID={chain_id}\nL1_FEE_MAX_GWEI={fee_max_gwei}\n\
             L1_CONFIRMATIONS={confirmations}\n"
        )
    }

    /// Asks the node; its refusal ends the test.
    pub fn ask(&self, method: &str, parameters: Value) -> Value {
        let question = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let request = self.agent.post(&self.url);
        let request = request.header("Content-Type", "application/json");
        let mut answer = request
            .send(question.to_string())
            .expect("the node answers");
        let text = answer.body_mut().read_to_string().expect("it is text");
        let body: Value = serde_json::from_str(&text).expect("it is JSON");
        assert!(body.get("error").is_none(), "{method} {question}: {text}");
        body["result"].clone()
    }

    /// Puts a contract there, by its name; its constructor's arguments are words.
    pub fn deploy(&self, name: &str, arguments: &[[u8; 32]]) -> Address {
        let code = compiled(name);
        let data = format!("0x{code}{}", hex(arguments.as_flattened()));
        let hash = self.ask(
            "eth_sendTransaction",
            json!([{"from": self.bank, "data": data}]),
        );
        let receipt = self.receipt(&hash);
        assert_eq!(receipt["status"], "0x1", "{name} was not deployed");
        address(&receipt["contractAddress"])
    }

    /// Calls a contract from the bank's account, arguments as words, and waits for its block unless
    /// the test makes blocks itself.
    pub fn call(&self, contract: Address, function: &str, arguments: &[[u8; 32]]) {
        let shape = json!({
            "from": self.bank,
            "to": contract,
            "data": data(function, arguments),
        });
        let hash = self.ask("eth_sendTransaction", json!([shape]));
        if self.is_automatic.load(Ordering::Relaxed) {
            let receipt = self.receipt(&hash);
            assert_eq!(receipt["status"], "0x1", "{function} was refused");
        }
    }

    /// Waits until a transaction has its block.
    pub fn wait(&self, hash: [u8; 32]) {
        self.receipt(&json!(format!("0x{}", hex(&hash))));
    }

    fn receipt(&self, hash: &Value) -> Value {
        for _ in 0..1_000 {
            let receipt = self.ask("eth_getTransactionReceipt", json!([hash]));
            if !receipt.is_null() {
                return receipt;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("no block for {hash}");
    }

    /// Gives a wallet this much ether, wei, in place of what it has.
    pub fn fund(&self, wallet: Address, wei: u128) {
        self.ask("anvil_setBalance", json!([wallet, format!("0x{wei:x}")]));
    }

    /// Makes tokens.
    pub fn mint(&self, to: Address, units: u128) {
        self.call(
            self.usdc,
            "mint(address,uint256)",
            &[word(to), amount(units)],
        );
    }

    /// Pays from the bank, as a bridge or a venue's fast withdrawal does; the tokens are made.
    pub fn transfer(&self, to: Address, units: u128) {
        self.mint(self.bank, units);
        let arguments = [word(to), amount(units)];
        self.call(self.usdc, "transfer(address,uint256)", &arguments);
    }

    /// Leaves a withdrawal from Lighter to be claimed by its owner, and the contract in funds.
    pub fn prove(&self, owner: Address, units: u128) {
        self.mint(self.lighter, units);
        let arguments = [word(owner), amount(ASSET.into()), amount(units)];
        self.call(self.lighter, "prove(address,uint16,uint128)", &arguments);
    }

    /// What a wallet has of the token.
    pub fn balance(&self, of: Address) -> u128 {
        let shape = json!({"to": self.usdc, "data": data("balanceOf(address)", &[word(of)])});
        number(&self.ask("eth_call", json!([shape, "latest"])))
    }

    /// Every deposit so far, oldest first.
    pub fn deposits(&self) -> Vec<Deposit> {
        let filter = json!({"fromBlock": "0x0", "address": [self.lighter, self.bridge]});
        let logs = self.ask("eth_getLogs", json!([filter]));
        logs.as_array()
            .expect("a list")
            .iter()
            .map(|log| {
                let contract = address(&log["address"]);
                let data = bytes(&log["data"]);
                let word = |at: usize| <[u8; 32]>::try_from(&data[32 * at..][..32]).unwrap();
                let (amount, commitment) = match contract == self.lighter {
                    true => (word(3), [0; 32]),
                    false => (word(3), word(4)),
                };
                Deposit {
                    contract,
                    wallet: Address(word(0)[12..].try_into().unwrap()),
                    amount: u128::from_be_bytes(amount[16..].try_into().unwrap()),
                    commitment,
                    hash: bytes(&log["transactionHash"]).try_into().unwrap(),
                }
            })
            .collect()
    }

    /// Whether transactions get a block at once, or wait for [`Evm::mine`].
    pub fn automine(&self, is_on: bool) {
        self.is_automatic.store(is_on, Ordering::Relaxed);
        self.ask("evm_setAutomine", json!([is_on]));
    }

    /// Makes blocks.
    pub fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([format!("0x{blocks:x}")]));
    }

    /// Forgets a transaction that waits, as a pool that is full does.
    pub fn forget(&self, hash: [u8; 32]) {
        self.ask(
            "anvil_dropTransaction",
            json!([format!("0x{}", hex(&hash))]),
        );
    }

    /// Ends the node.
    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Evm {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An argument: an address.
pub fn word(address: Address) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address.0);
    word
}

/// An argument: a number.
pub fn amount(number: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&number.to_be_bytes());
    word
}

fn data(function: &str, arguments: &[[u8; 32]]) -> String {
    let selector = &keccak256(function.as_bytes())[..4];
    format!("0x{}{}", hex(selector), hex(arguments.as_flattened()))
}

fn address(value: &Value) -> Address {
    Address::parse(value.as_str().expect("a text")).expect("an address")
}

fn number(value: &Value) -> u128 {
    let digits = value.as_str().expect("a text").trim_start_matches("0x");
    u128::from_str_radix(digits.trim_start_matches('0'), 16).unwrap_or(0)
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = &value.as_str().expect("a text").as_bytes()[2..];
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// Where the packages of npm are.
fn tool(name: &str) -> PathBuf {
    let named = std::env::var_os("PARALLAX_NODE_MODULES").map(PathBuf::from);
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules");
    named.unwrap_or_else(here).join(name)
}

/// Host and port, as the node says when it is ready. What it says afterwards is thrown away.
fn listening(process: &mut Child) -> String {
    let out = process.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    let found = lines.find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned));
    std::thread::spawn(move || lines.for_each(drop));
    found.expect("the node says where it listens")
}

/// The code of a contract, hexadecimal; compiled once by each process.
fn compiled(name: &str) -> String {
    static ALL: OnceLock<Value> = OnceLock::new();
    let all = ALL.get_or_init(compile);
    let code = &all["contracts"][name][name]["evm"]["bytecode"]["object"];
    code.as_str().expect("a contract of this name").to_owned()
}

fn compile() -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/contracts");
    let sources = SOURCES.map(|name| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.sol")));
        (
            name.to_owned(),
            json!({"content": text.expect("it is there")}),
        )
    });
    let input = json!({
        "language": "Solidity",
        "sources": serde_json::Map::from_iter(sources),
        "settings": {
            "optimizer": {"enabled": true},
            "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
        },
    });
    let mut compiler = Command::new(tool(".bin/solcjs"))
        .arg("--standard-json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("npm install solc@0.8.37, see the head of this file");
    let mut stdin = compiler.stdin.take().expect("it is piped");
    stdin
        .write_all(input.to_string().as_bytes())
        .expect("it reads");
    drop(stdin);
    let output = compiler.wait_with_output().expect("it ends");
    // It may say other things on the lines before.
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find(|line| line.starts_with('{'))
        .unwrap_or_default();
    let answer: Value = serde_json::from_str(line).expect("the compiler's JSON");
    let errors = answer["errors"].as_array();
    let is_error = |error: &&Value| error["severity"] == "error";
    let errors: Vec<&Value> = errors.into_iter().flatten().filter(is_error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    answer
}
