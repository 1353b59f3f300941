//! Extended's exits: the bridge's quote, the withdrawal to the bridge, and what is listed of both.
//!
//! Promises: a request is recognised by an id that is new since it was made, of its very amount.
//! Refuses: to guess between two of them; a quote that has ended. When one ends is not told, so the
//! venue says it when the quote is bound or used.
//!
//! Sources: D1 and S1 in the venue's list; the id of a quote is what the contract is told
//! (Rhino.fi, *Starknet Contracts*, docs.rhino.fi, 2026).

use super::{
    Address, Clock, DEPOSIT_AGE_MS_MAX, Extended, HandsError, Notional, Quote, Request, SKEW_MS,
    SendError, Standing, Way, address, affordable, dollars, own_wallet, unseen,
};
use crate::config::StarknetChain;
use crate::keys::ceremony::{EthereumKey, hex, unhex};
use crate::market::units::SECOND;
use crate::treasury::door::missing;
use crate::venue::extended::account::exit::{Crossing, Operation};
use crate::venue::extended::account::{ExtendedRest, OrderSigner, RestError};
use crate::venue::extended::sign::StarkKey;
use crate::venue::extended::sign::hash::Chain;
use std::cell::RefCell;

const NAME: &str = "Extended";

/// The account's.
pub(super) struct ExtendedExits {
    rest: ExtendedRest,
    signer: RefCell<OrderSigner>,
    vault: u32,
    clock: Clock,
}

impl ExtendedExits {
    pub(super) fn new(
        settings: &Extended,
        pem: Option<&[u8]>,
        clock: Clock,
    ) -> Result<ExtendedExits, HandsError> {
        let account = settings.account.as_ref();
        let account = account.ok_or_else(|| missing(NAME, "EXTENDED_API_KEY"))?;
        let key = StarkKey::from_bytes(account.private_key.expose());
        let key = key.map_err(|error| HandsError(format!("{NAME}: {error}")))?;
        let chain = match settings.chain {
            StarknetChain::Main => Chain::Main,
            StarknetChain::Sepolia => Chain::Sepolia,
        };
        Ok(ExtendedExits {
            rest: ExtendedRest::new(settings.base.as_str(), account.api_key.expose(), pem)?,
            signer: RefCell::new(OrderSigner::new(key, chain, account.vault)?),
            vault: account.vault,
            clock,
        })
    }

    pub(super) fn quote(
        &self,
        way: Way,
        amount: Notional,
        token: &super::lighter::Token,
    ) -> Result<Quote, HandsError> {
        let contract = address(NAME, &self.rest.bridge_contract()?)?;
        let (crossing, recipient) = match way.is_out() {
            true => (Crossing::Out, format!("{:#x}", self.rest.payer()?.bridge)),
            false => (Crossing::In, self.vault.to_string()),
        };
        let quote = self.rest.bridge_quote(crossing, &dollars(amount))?;
        if quote.fee >= amount {
            return Err(HandsError(format!(
                "{NAME}: the bridge takes {} USD of {amount}: nothing would arrive",
                quote.fee
            )));
        }
        let commitment = match way.is_out() {
            true => [0; 32],
            false => commitment(&quote.id)?,
        };
        Ok(Quote {
            way,
            id: quote.id,
            contract,
            token: token.address,
            asset: 0,
            route: 0,
            amount,
            fee: quote.fee,
            arrives: amount - quote.fee,
            ends_s: None,
            recipient,
            commitment,
        })
    }

    pub(super) fn commit(&self, quote: &Quote) -> Result<(), HandsError> {
        let now_s = self.clock.now().0 / SECOND;
        if quote.ends_s.is_some_and(|ends_s| ends_s <= now_s) {
            return Err(HandsError(format!(
                "{NAME}: the bridge's quote has ended: another one is needed"
            )));
        }
        Ok(self.rest.commit_quote(&quote.id)?)
    }

    pub(super) fn prepare(
        &self,
        quote: &Quote,
        wallet: &EthereumKey,
    ) -> Result<Request, HandsError> {
        let linked = self.rest.wallet()?;
        own_wallet(NAME, linked.as_deref().and_then(Address::parse), wallet)?;
        let payer = self.rest.payer()?;
        if format!("{:#x}", payer.bridge) != quote.recipient {
            return Err(HandsError(format!(
                "{NAME}: the account's bridge address is not that of the quote: quote again"
            )));
        }
        let mut signer = self.signer.borrow_mut();
        let account = self.rest.account_info()?;
        if (account.public_key, account.vault) != (Some(signer.public_key()), self.vault) {
            return Err(HandsError(format!(
                "{NAME}: EXTENDED_PRIVATE_KEY or EXTENDED_VAULT is not this account's"
            )));
        }
        affordable(NAME, quote.amount, self.rest.money()?.withdrawable)?;
        let made_ms = self.clock.now().epoch_ms();
        let known = self.withdrawals(quote.amount, made_ms)?;
        let amount = dollars(quote.amount);
        let made = signer.withdrawal(&payer, &amount, &quote.id, made_ms)?;
        Ok(Request {
            quote: quote.clone(),
            hash: hex(&made.hash.to_bytes_be()),
            number: made.salt,
            expires_ms: made.expiration_s * 1_000,
            made_ms,
            body: made.body,
            known: known.into_iter().map(|row| row.id).collect(),
        })
    }

    pub(super) fn send(&self, request: &Request) -> Result<String, SendError> {
        self.rest.withdraw(&request.body).map_err(|error| {
            let why = error.to_string();
            match error {
                RestError::Refused {
                    status: 400..=407 | 409..=428 | 430..=499,
                    code: 1..,
                    ..
                } => SendError::Refused(why),
                _ => SendError::Unknown(why),
            }
        })
    }

    pub(super) fn find(&self, request: &Request) -> Result<Option<Standing>, HandsError> {
        let mut rows = self.withdrawals(request.quote.amount, request.made_ms)?;
        rows.retain(|row| !request.known.contains(&row.id));
        match rows.as_slice() {
            [] => Ok(unseen(request, self.clock)),
            [row] => Ok(Some(standing(row))),
            _ => Err(HandsError(format!(
                "{NAME}: {} withdrawals of {} USD since the request was made: which is it?",
                rows.len(),
                request.quote.amount
            ))),
        }
    }

    /// Withdrawals of exactly this amount, asked for not long before `since_ms` or later.
    fn withdrawals(&self, amount: Notional, since_ms: u64) -> Result<Vec<Operation>, HandsError> {
        let mut rows = self.rest.operations(since_ms.saturating_sub(SKEW_MS))?;
        rows.retain(|row| row.kind.contains("WITHDRAWAL") && row.amount == amount);
        Ok(rows)
    }

    /// Open: whether `transactionHash` is that of the wallet's transaction (taken so) or of
    /// Starknet's. A deposit that names none and arrives with this amount counts as well.
    pub(super) fn deposit(
        &self,
        hash: &[u8; 32],
        amount: Notional,
    ) -> Result<Option<Standing>, HandsError> {
        let now_ms = self.clock.now().epoch_ms();
        let rows = self
            .rest
            .operations(now_ms.saturating_sub(DEPOSIT_AGE_MS_MAX))?;
        let deposits = || rows.iter().filter(|row| row.kind == "DEPOSIT");
        let named = deposits().find(|row| is_hash(&row.transaction, hash));
        let unnamed = || deposits().find(|row| row.transaction.is_empty() && row.amount == amount);
        Ok(named.or_else(unnamed).map(standing))
    }
}

/// A transaction's hash; a venue that writes numbers leaves zeros in front away.
fn is_hash(text: &str, hash: &[u8; 32]) -> bool {
    let text = text.strip_prefix("0x").unwrap_or(text);
    unhex(&format!("{text:0>64}")) == Some(*hash)
}

/// D1, asset operations.
fn standing(row: &Operation) -> Standing {
    match row.status.as_str() {
        "COMPLETED" => Standing::Done,
        "REJECTED" => Standing::Refused(format!("{NAME} lists it as rejected")),
        _ => Standing::Underway,
    }
}

/// The quote's id, a number in hexadecimal digits, as the contract takes it.
fn commitment(id: &str) -> Result<[u8; 32], HandsError> {
    let id = id.strip_prefix("0x").unwrap_or(id);
    let number = unhex(&format!("{id:0>64}")).filter(|_| !id.is_empty());
    number.ok_or_else(|| {
        HandsError(format!(
            "{NAME}: the bridge's quote {id:?} is no number that its contract could be told"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotes_id_is_a_number_for_the_contract() {
        let mut wanted = [0; 32];
        wanted[29..].copy_from_slice(&[0x06, 0x8a, 0xaa]);
        assert_eq!(commitment("68aaa"), Ok(wanted));
        assert_eq!(commitment("0x68AAA"), Ok(wanted));
        for bad in ["", "0x", "quote-1", &"1".repeat(65)] {
            assert!(commitment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hashes_are_compared_as_numbers() {
        let mut hash = [0xAB; 32];
        hash[0] = 0x0C;
        let text = format!("0x{}", hex(&hash));
        assert!(is_hash(&text, &hash) && is_hash(&text.to_uppercase()[2..], &hash));
        assert!(is_hash(&format!("0x{}", &text[3..]), &hash));
        assert!(!is_hash("", &hash) && !is_hash("0xzz", &hash));
    }
}
