//! Lighter's exits: secure and fast withdrawals, and deposits.
//!
//! Promises: a request is bound to one nonce of the account's last key, so that it is taken once or
//! never; one whose nonce another transaction took is over when its few minutes are. Refuses: to
//! make a second one while the first may still be taken.
//!
//! Sources: the venue's list; *Deposits, Transfers and Withdrawals* (apidocs.lighter.xyz, 2026).

use super::{
    Address, Clock, DEPOSIT_AGE_MS_MAX, HandsError, Lighter, Notional, Quote, Request, SKEW_MS,
    SendError, Standing, Way, address, affordable, own_wallet, unseen,
};
use crate::keys::ceremony::{EthereumKey, hex};
use crate::treasury::door::LighterDoor;
use crate::venue::lighter::account::RestError;
use crate::venue::lighter::account::exit::{Fast, Pool, Verdict, WithdrawalRow};

const NAME: &str = "Lighter";
/// Least that a deposit takes.
const DEPOSIT_MIN: Notional = Notional::from_usd(1);
/// Least that a fast withdrawal takes.
const FAST_MIN: Notional = Notional::from_usd(4);
/// Invalid nonce: an earlier sending was taken, or another transaction took the nonce.
const CODE_NONCE: u64 = 21_104;
/// Limits of requests: the same may be sent again later.
const CODES_LIMIT: std::ops::RangeInclusive<u64> = 23_000..=23_999;

/// The token on the chain, and what the venue wants of it.
pub(super) struct Token {
    pub(super) address: Address,
    asset: u16,
    withdrawal_min: Notional,
}

/// The account's.
pub(super) struct LighterExits {
    door: LighterDoor,
}

impl LighterExits {
    pub(super) fn new(
        settings: &Lighter,
        pem: Option<&[u8]>,
        clock: Clock,
    ) -> Result<LighterExits, HandsError> {
        let door = LighterDoor::new(settings, pem, clock)?;
        Ok(LighterExits { door })
    }

    pub(super) fn token(&self) -> Result<Token, HandsError> {
        let token = self.door.rest.token()?;
        Ok(Token {
            address: address(NAME, &token.address)?,
            asset: token.asset,
            withdrawal_min: token.withdrawal_min,
        })
    }

    pub(super) fn quote(
        &self,
        way: Way,
        amount: Notional,
        token: &Token,
    ) -> Result<Quote, HandsError> {
        let owner = self.door.rest.owner(self.door.account)?;
        let (id, fee) = match way {
            Way::LighterFast => {
                let pool = self.pool()?;
                within(way, amount - pool.fee, (FAST_MIN, Some(pool.most)))?;
                (pool.account.to_string(), pool.fee)
            }
            Way::LighterSecure => {
                within(way, amount, (token.withdrawal_min, None))?;
                (String::new(), Notional::ZERO)
            }
            _ => {
                within(way, amount, (DEPOSIT_MIN, None))?;
                (String::new(), Notional::ZERO)
            }
        };
        Ok(Quote {
            way,
            id,
            contract: address(NAME, &self.door.rest.contract()?)?,
            token: token.address,
            asset: token.asset,
            route: 0,
            amount,
            fee,
            arrives: amount - fee,
            ends_s: None,
            recipient: address(NAME, &owner)?.to_string(),
            commitment: [0; 32],
        })
    }

    pub(super) fn prepare(
        &self,
        quote: &Quote,
        wallet: &EthereumKey,
    ) -> Result<Request, HandsError> {
        let rest = &self.door.rest;
        let owner = Address::parse(&rest.owner(self.door.account)?);
        own_wallet(NAME, owner, wallet)?;
        let withdrawable = rest.money(self.door.account)?.withdrawable;
        affordable(NAME, quote.amount, withdrawable)?;
        let now = self.door.clock.now();
        let known = self.withdrawals(quote, now.epoch_ms())?;
        let sender = &self.door.sender;
        let exit = match quote.way {
            Way::LighterFast => {
                let pool = self.pool()?;
                if (pool.account.to_string(), pool.fee) != (quote.id.clone(), quote.fee) {
                    return Err(HandsError(format!(
                        "{NAME}: a fast withdrawal now costs {} USD and not {}: quote again",
                        pool.fee, quote.fee
                    )));
                }
                let fast = Fast {
                    pool: pool.account,
                    amount: quote.arrives,
                    fee: quote.fee,
                    to: wallet.address().0,
                };
                rest.fast_exit(sender, &fast, now, |text| wallet.sign_personal(text))?
            }
            _ => rest.secure_exit(sender, quote.amount, now)?,
        };
        Ok(Request {
            quote: quote.clone(),
            hash: exit.hash,
            number: exit.nonce,
            expires_ms: exit.expires_ms,
            made_ms: now.epoch_ms(),
            body: exit.text,
            known: known.into_iter().map(|row| row.id).collect(),
        })
    }

    pub(super) fn send(&self, request: &Request) -> Result<String, SendError> {
        let rest = &self.door.rest;
        let sent = match request.quote.way {
            Way::LighterFast => {
                let wallet = request.quote.recipient.as_str();
                let token = self
                    .door
                    .read(|reader| Ok(rest.send_fast(reader, &request.body, wallet)));
                token.map_err(|error| SendError::Unknown(error.to_string()))?
            }
            _ => rest.send_secure(&request.body),
        };
        match sent {
            Ok(()) => Ok(request.hash.clone()),
            Err(error) => {
                let why = error.to_string();
                match error {
                    RestError::Refused {
                        status: 400..=428 | 430..=499,
                        code,
                        ..
                    } if code != CODE_NONCE && code != 0 && !CODES_LIMIT.contains(&code) => {
                        Err(SendError::Refused(why))
                    }
                    _ => Err(SendError::Unknown(why)),
                }
            }
        }
    }

    pub(super) fn find(&self, request: &Request) -> Result<Option<Standing>, HandsError> {
        let verdict = self.door.rest.verdict(&request.hash)?;
        if let Some(Verdict::Refused(why)) = verdict {
            return Ok(Some(Standing::Refused(why)));
        }
        let mut rows = self.withdrawals(&request.quote, request.made_ms)?;
        rows.retain(|row| !request.known.contains(&row.id));
        match (rows.as_slice(), verdict) {
            // Taken, and not in the list yet.
            ([], Some(_)) => Ok(Some(Standing::Underway)),
            ([], None) => Ok(unseen(request, self.door.clock)),
            ([row], _) => Ok(Some(standing(row))),
            _ => Err(HandsError(format!(
                "{NAME}: {} withdrawals of {} USD since the request was made: which is it?",
                rows.len(),
                request.quote.arrives
            ))),
        }
    }

    pub(super) fn deposit(&self, hash: &[u8; 32]) -> Result<Option<Standing>, HandsError> {
        let from_ms = self.door.clock.now().epoch_ms();
        let from_ms = from_ms.saturating_sub(DEPOSIT_AGE_MS_MAX);
        let hash = format!("0x{}", hex(hash));
        let status = (self.door)
            .read(|reader| Ok(self.door.rest.deposit_status(reader, &hash, from_ms)?))?;
        Ok(status.map(|status| judge(&status)))
    }

    fn pool(&self) -> Result<Pool, HandsError> {
        self.door.read(|reader| Ok(self.door.rest.pool(reader)?))
    }

    /// Withdrawals of this kind and exactly this amount, asked for not long before `since_ms` or
    /// later.
    fn withdrawals(&self, quote: &Quote, since_ms: u64) -> Result<Vec<WithdrawalRow>, HandsError> {
        let from_ms = since_ms.saturating_sub(SKEW_MS);
        let rows = (self.door).read(|reader| Ok(self.door.rest.withdrawals(reader, from_ms)?));
        let is_fast = quote.way == Way::LighterFast;
        let mut rows = rows?;
        rows.retain(|row| row.is_fast == is_fast && row.amount == quote.arrives);
        Ok(rows)
    }
}

/// The amount that a way takes, by the venue's word or its documentation.
fn within(
    way: Way,
    amount: Notional,
    (least, most): (Notional, Option<Notional>),
) -> Result<(), HandsError> {
    if amount < least {
        return Err(HandsError(format!(
            "{NAME}: {way:?} takes {least} USD at least, and {amount} would arrive"
        )));
    }
    match most.filter(|most| amount > *most) {
        None => Ok(()),
        Some(most) => Err(HandsError(format!(
            "{NAME}: {way:?} takes {most} USD at most, and {amount} would arrive"
        ))),
    }
}

fn standing(row: &WithdrawalRow) -> Standing {
    judge(&row.status)
}

/// The venue's words for deposits and withdrawals.
fn judge(status: &str) -> Standing {
    match status {
        "completed" => Standing::Done,
        "claimable" => Standing::Claimable,
        "failed" | "refunded" => Standing::Refused(format!("{NAME} lists it as {status}")),
        _ => Standing::Underway,
    }
}
