//! One engine for one account on one machine: a name that only one process can have.
//!
//! The name is an abstract Unix socket address, which the kernel gives back when its process ends,
//! however it ends; so there is no file to be left behind and no stale lock to be broken by hand.
//! Promises: a second engine on the same account of the same venue does not start. Refuses: to see
//! into other machines or network namespaces; there the venue's own word must do: an order that is
//! not of this run raises halt.

use crate::config::{Extended, Lighter};
use crate::session::SessionError;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// Held for as long as the run lasts. Nobody ever connects.
pub struct Claim(#[expect(dead_code, reason = "holding it is its use")] Vec<UnixListener>);

/// An abstract address is at most this long, its leading zero left out (`sun_path`).
const NAME_MAX: usize = 107;

impl Claim {
    /// Claims both accounts.
    pub fn take(extended: &Extended, lighter: &Lighter) -> Result<Claim, SessionError> {
        let base = extended.base.as_str();
        let extended = extended.account.as_ref().map(|account| {
            let vault = account.vault;
            let name = format!("{vault} extended {base}");
            (name, format!("Extended vault {vault} (EXTENDED_VAULT)"))
        });
        let base = lighter.base.as_str();
        let lighter = lighter.account.as_ref().map(|account| {
            let index = account.index;
            let name = format!("{index} lighter {base}");
            let said = format!("Lighter account {index} (LIGHTER_ACCOUNT_INDEX)");
            (name, said)
        });
        let names = extended.into_iter().chain(lighter);
        let listeners: Result<_, _> = names.map(|(name, said)| claim(&name, &said)).collect();
        Ok(Claim(listeners?))
    }
}

fn claim(name: &str, said: &str) -> Result<UnixListener, SessionError> {
    let mut name = format!("parallax {name}").into_bytes();
    name.truncate(NAME_MAX);
    let taken = |error: std::io::Error| {
        SessionError::Taken(format!(
            "another parallax trades on {said} on this machine: stop it first, or use another \
             account ({error})"
        ))
    };
    let address = SocketAddr::from_abstract_name(name).map_err(taken)?;
    UnixListener::bind_addr(&address).map_err(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once_and_again_after_its_owner_is_gone() {
        let name = format!("test {}", std::process::id());
        let first = claim(&name, "an account").expect("nobody has it");
        let second = claim(&name, "an account");
        let Err(SessionError::Taken(why)) = second else {
            panic!("given twice");
        };
        assert!(why.contains("an account"), "{why}");
        drop(first);
        assert!(claim(&name, "an account").is_ok());
        let long = "x".repeat(500);
        assert!(claim(&long, "a long name").is_ok());
    }
}
