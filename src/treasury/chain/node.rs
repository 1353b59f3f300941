//! One node: a question in, its answer or whose fault out.
//!
//! Promises: the path of the node's address is in no error, not even where the node's own words
//! repeat it; a question goes to no other address than the one that was set.
//! Source: Ethereum's execution API specification (JSON-RPC 2.0 over HTTP). Cold: blocks.

use super::call::read_reason;
use super::error::ChainError;
use super::hex::{self, quantity};
use crate::config::{Protocol, Url};
use crate::venue::agent::{BadCertificate, agent};
use serde_json::{Value, json};
use std::time::Duration;

/// A question that takes longer has failed. Smaller: slow days fail.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The node's code for a call that reverts (go-ethereum's, taken over by others).
const CODE_REVERT: i64 = 3;
/// How its message begins then, also where the code is another.
const TEXT_REVERT: &str = "execution reverted";
/// A path shorter than this is no key, and taking it out of texts would garble them.
const KEY_CHARS_MIN: usize = 8;

/// A node.
pub struct Node {
    url: Url,
    agent: ureq::Agent,
}

impl Node {
    /// `root_pem`, when given, is trusted *instead of* the public roots.
    pub fn new(url: &str, root_pem: Option<&[u8]>) -> Result<Node, ChainError> {
        let url = Url::parse(url, Protocol::Http).map_err(ChainError::BadUrl)?;
        let agent =
            agent(root_pem, TIMEOUT).map_err(|BadCertificate| ChainError::BadCertificate)?;
        Ok(Node { url, agent })
    }

    /// Asks. An answer of nothing is `Value::Null`.
    pub fn ask(&self, method: &'static str, parameters: Value) -> Result<Value, ChainError> {
        let question = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let network = |error: ureq::Error| ChainError::Network {
            host: self.url.host().to_owned(),
            why: self.without_key(&error.to_string()),
        };
        let request = self.agent.post(self.url.as_str());
        let request = request.header("Content-Type", "application/json");
        let mut answer = request.send(question.to_string()).map_err(network)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().map_err(network)?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        match (status, &body["error"], body.get("result")) {
            // Some nodes say so in the status too, and their words are better than a number.
            (200 | 400, error @ Value::Object(_), _) => Err(self.refusal(method, error)),
            (200, _, Some(result)) => Ok(result.clone()),
            (200, ..) => Err(ChainError::Malformed("result")),
            _ => Err(ChainError::Status {
                host: self.url.host().to_owned(),
                status,
            }),
        }
    }

    /// Asks for a number.
    pub fn number(&self, method: &'static str, parameters: Value) -> Result<u128, ChainError> {
        quantity(&self.ask(method, parameters)?).ok_or(ChainError::Malformed(method))
    }

    /// Asks for a number of at most 64 bits.
    pub fn small(&self, method: &'static str, parameters: Value) -> Result<u64, ChainError> {
        let number = self.number(method, parameters)?;
        u64::try_from(number).map_err(|_| ChainError::Malformed(method))
    }

    /// Asks for bytes.
    pub fn bytes(&self, method: &'static str, parameters: Value) -> Result<Vec<u8>, ChainError> {
        let answer = self.ask(method, parameters)?;
        let bytes = answer.as_str().and_then(hex::bytes);
        bytes.ok_or(ChainError::Malformed(method))
    }

    /// A contract's revert in its words, everything else in the node's.
    fn refusal(&self, method: &'static str, error: &Value) -> ChainError {
        let code = error["code"].as_i64().unwrap_or(0);
        let message = error["message"].as_str().unwrap_or("no reason");
        if code == CODE_REVERT || message.starts_with(TEXT_REVERT) {
            let data = error["data"].as_str().and_then(hex::bytes);
            let said = || message.strip_prefix(TEXT_REVERT).unwrap_or(message);
            return ChainError::WouldRevert(match data {
                Some(data) => read_reason(&data),
                None => self.without_key(said().trim_start_matches([':', ' '])),
            });
        }
        ChainError::Refused {
            method,
            code,
            message: self.without_key(message),
        }
    }

    fn without_key(&self, text: &str) -> String {
        match self.url.path().trim_start_matches('/') {
            key if key.len() < KEY_CHARS_MIN => text.to_owned(),
            key => text.replace(key, "(redacted)"),
        }
    }
}
