//! API keys in rotation, their nonces and their unanswered transactions.
//!
//! The essay on nonces. The venue wants exactly the next value, per key; a replay or a gap is
//! refused (21104) and changes nothing. Accepted: the value is spent. Refused: it is not. No
//! answer: nobody knows, so the key is put aside until a cold thread has asked `nextNonce`. Sending
//! the next value before the answer to the last may be refused, so several keys in rotation, each
//! with one transaction on its way, give the concurrency instead.
//!
//! Promises: a nonce is used for one accepted transaction and no other.
//! Refuses: a key that is busy or whose nonce is not known.

use super::sign::PrivateKey;
use crate::market::InstrumentId;
use crate::market::order::{OrderId, Refusal};
use crate::market::units::Nanos;

/// Accepted, for transactions.
pub const CODE_ACCEPTED: u32 = 200;
/// Invalid nonce: ours and the venue's disagree.
const CODE_NONCE: u32 = 21_104;
/// Faults of the venue's own servers: the outcome is not known.
pub const CODES_SERVER: std::ops::RangeInclusive<u32> = 29_500..=29_599;

/// One API key.
#[derive(Debug)]
pub struct ApiKey {
    /// Slot, 4..=254 (0..=3 are the exchange's own front ends').
    pub index: u8,
    /// The secret.
    pub private: PrivateKey,
}

/// A transaction on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The order it places or cancels.
    pub id: OrderId,
    /// Its instrument.
    pub instrument: InstrumentId,
    /// It cancels.
    pub is_cancel: bool,
    /// When it was written.
    pub t_sent: Nanos,
}

struct Slot {
    key: ApiKey,
    nonce: Option<u64>,
    unanswered: Option<Unanswered>,
}

/// All keys of the account that we own.
pub struct Keyring {
    slots: Box<[Slot]>,
    next: usize,
}

impl Keyring {
    /// Keys without nonces yet. At least one key (the caller has checked).
    pub fn new(keys: Vec<ApiKey>) -> Keyring {
        let slot = |key| Slot {
            key,
            nonce: None,
            unanswered: None,
        };
        Keyring {
            slots: keys.into_iter().map(slot).collect(),
            next: 0,
        }
    }

    /// A key by its row.
    pub fn key(&self, key_idx: usize) -> &ApiKey {
        &self.slots[key_idx].key
    }

    /// The next key in rotation with a known nonce and nothing unanswered: its row and nonce.
    pub fn free(&mut self) -> Result<(usize, u64), Refusal> {
        let mut refusal = Refusal::NonceUnknown;
        for step in 0..self.slots.len() {
            let key_idx = (self.next + step) % self.slots.len();
            let slot = &self.slots[key_idx];
            match (slot.unanswered, slot.nonce) {
                (None, Some(nonce)) => {
                    self.next = (key_idx + 1) % self.slots.len();
                    return Ok((key_idx, nonce));
                }
                (Some(_), _) => refusal = Refusal::Busy,
                (None, None) => {}
            }
        }
        Err(refusal)
    }

    /// The key's transaction was written.
    pub fn sent(&mut self, key_idx: usize, unanswered: Unanswered) {
        self.slots[key_idx].unanswered = Some(unanswered);
    }

    /// The only transaction on its way; `None` when there are none or several.
    pub fn only_unanswered(&self) -> Option<Unanswered> {
        let mut unanswered = self.slots.iter().filter_map(|slot| slot.unanswered);
        let only = unanswered.next()?;
        unanswered.next().is_none().then_some(only)
    }

    /// An answer came: its key is free again, its nonce spent, kept, or to be asked. Nothing
    /// happens when nobody waits for it (it was given up before).
    pub fn settle(&mut self, id: OrderId, is_cancel: bool, code: u32) {
        let is_it = |u: &Unanswered| u.id == id && u.is_cancel == is_cancel;
        for slot in &mut self.slots {
            if !slot.unanswered.as_ref().is_some_and(is_it) {
                continue;
            }
            slot.unanswered = None;
            if code == CODE_ACCEPTED {
                slot.nonce = slot.nonce.map(|nonce| nonce + 1);
            } else if code == CODE_NONCE || CODES_SERVER.contains(&code) {
                slot.nonce = None;
            }
        }
    }

    /// Gives up one transaction written at `deadline` or before, if there is one; its key's nonce
    /// is unknown from here on.
    pub fn give_up(&mut self, deadline: Nanos) -> Option<Unanswered> {
        let is_late = |u: &Unanswered| u.t_sent <= deadline;
        let mut slots = self.slots.iter_mut();
        let slot = slots.find(|slot| slot.unanswered.as_ref().is_some_and(is_late))?;
        slot.nonce = None;
        slot.unanswered.take()
    }

    /// Slot number of a key whose nonce must be asked.
    pub fn nonce_wanted(&self) -> Option<u8> {
        let mut slots = self.slots.iter();
        slots
            .find(|slot| slot.nonce.is_none() && slot.unanswered.is_none())
            .map(|slot| slot.key.index)
    }

    /// The venue's answer; ignored unless the key is waiting for it.
    pub fn set_nonce(&mut self, api_key_index: u8, nonce: u64) {
        for slot in &mut self.slots {
            let is_waiting = slot.nonce.is_none() && slot.unanswered.is_none();
            if slot.key.index == api_key_index && is_waiting {
                slot.nonce = Some(nonce);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Keyring {
        let key = |index| ApiKey {
            index,
            private: PrivateKey::parse_hex(&"11".repeat(40)).unwrap(),
        };
        Keyring::new(vec![key(4), key(5)])
    }

    fn unanswered(id: u64, t_sent: u64) -> Unanswered {
        Unanswered {
            id: OrderId(id),
            instrument: InstrumentId(0),
            is_cancel: false,
            t_sent: Nanos(t_sent),
        }
    }

    #[test]
    fn nonces_follow_the_venues_table() {
        for (code, after) in [
            (CODE_ACCEPTED, Some(8)),
            (21_702, Some(7)),
            (21_120, Some(7)),
            (23_000, Some(7)),
            (CODE_NONCE, None),
            (29_500, None),
        ] {
            let mut ring = ring();
            ring.set_nonce(4, 7);
            let (key_idx, nonce) = ring.free().unwrap();
            assert_eq!((key_idx, nonce), (0, 7));
            ring.sent(key_idx, unanswered(1, 0));
            assert_eq!(ring.free(), Err(Refusal::Busy));
            ring.settle(OrderId(2), false, code);
            ring.settle(OrderId(1), true, code);
            assert_eq!(ring.free(), Err(Refusal::Busy), "neither was its answer");
            ring.settle(OrderId(1), false, code);
            assert_eq!(ring.free().ok().map(|(_, nonce)| nonce), after, "{code}");
        }
    }

    #[test]
    fn keys_rotate_and_wait_for_their_nonce() {
        let mut ring = ring();
        assert_eq!(ring.free(), Err(Refusal::NonceUnknown));
        assert_eq!(ring.nonce_wanted(), Some(4));
        ring.set_nonce(4, 1);
        assert_eq!(ring.nonce_wanted(), Some(5));
        ring.set_nonce(5, 9);
        ring.set_nonce(5, 100);
        assert_eq!(ring.free(), Ok((0, 1)));
        ring.sent(0, unanswered(1, 10));
        assert_eq!(ring.free(), Ok((1, 9)));
        ring.sent(1, unanswered(2, 20));
        assert_eq!(ring.only_unanswered(), None);
        assert_eq!(ring.give_up(Nanos(9)), None);
        assert_eq!(ring.give_up(Nanos(10)), Some(unanswered(1, 10)));
        assert_eq!(ring.only_unanswered(), Some(unanswered(2, 20)));
        assert_eq!(ring.nonce_wanted(), Some(4));
    }
}
