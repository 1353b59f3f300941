//! API keys by use and in rotation, their nonces and their unanswered transactions.
//!
//! The essay on nonces. The venue wants exactly the next value, per key; a replay or a gap is
//! refused (21104) and changes nothing. Accepted: the value is spent. Refused: it is not. No
//! answer: nobody knows, so the key is put aside until `nextNonce` was asked. Sending the next
//! value before the answer to the last may be refused, so several keys in rotation, each with one
//! transaction on its way, give the concurrency instead.
//!
//! Promises: a nonce is used for one accepted transaction and no other; an entry never takes the
//! key that cancels go by, unless it is the only one. Refuses: a key that is busy or whose nonce is
//! not known.

use super::sign::PrivateKey;
use crate::market::InstrumentId;
use crate::market::order::{OrderId, Refusal};
use crate::market::units::Nanos;

// Which key a transaction may take. The venue holds a key's transactions back one after the other
// (a taker 140 to 300 ms), so a cancel behind an order of its own key would wait for it: hence a
// key for cancels. A reducing order goes by it only when no other is free: late is better than
// not at all. There is no role for makers: this engine rests no orders.
//
//   keys      entries         reducing orders         cancels, fences, switch
//   1         it              it                      it
//   2         first           first, then second      second, then first
//   n >= 3    all but last    all but last, then it   last, then the others
//
// The dead man's switch takes the first choice only; it can wait.

/// Accepted, for transactions.
pub const CODE_ACCEPTED: u32 = 200;
/// Invalid nonce: ours and the venue's disagree.
pub const CODE_NONCE: u32 = 21_104;
/// The same of a batch.
const CODE_NONCE_ORDER: u32 = 21_105;
/// The client order index is taken: an order of this name exists (source *codes*).
pub const CODE_EXISTS: u32 = 21_728;
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

/// What a key is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// An order that makes a position.
    Entry,
    /// An order that makes a position smaller, or the hedge of a leg that has traded.
    Reduce,
    /// A cancel.
    Cancel,
}

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Places the order.
    Place,
    /// Cancels it.
    Cancel,
    /// Spends the nonce of a lost placement, so that it can never be accepted.
    Fence,
    /// Sets the dead man's switch.
    Switch,
}

/// What a transaction is answered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// What it does.
    pub purpose: Purpose,
    /// The order it is about; none for the switch.
    pub id: OrderId,
    /// Which of several: cancels of one order, and switches, may be on their way by two keys or
    /// nonces, and an answer is for one of them. 0 for an order, which is sent once, and for its
    /// fence, which is the same however often it is sent.
    pub count: u64,
}

/// A transaction on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Whose answer it waits for.
    pub name: Name,
    /// Instrument of the order.
    pub instrument: InstrumentId,
    /// The nonce it was signed with.
    pub nonce: u64,
    /// The venue's name for it.
    pub hash: [u8; 40],
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

    /// A key for this use, with a known nonce and nothing unanswered: its row and nonce.
    pub fn free(&mut self, wanted: Use) -> Result<(usize, u64), Refusal> {
        match wanted {
            Use::Entry => self.free_taking(),
            Use::Reduce => self.free_taking().or_else(|why| self.or_last(why)),
            Use::Cancel => {
                let last = self.free_at(self.last_idx());
                last.or_else(|why| self.free_taking().map_err(|_| why))
            }
        }
    }

    /// The key of cancels, if it is free.
    pub fn free_for_switch(&self) -> Option<(usize, u64)> {
        self.free_at(self.last_idx()).ok()
    }

    /// Whether this very key is free, and its nonce then.
    pub fn free_at(&self, key_idx: usize) -> Result<(usize, u64), Refusal> {
        let slot = &self.slots[key_idx];
        match (slot.unanswered, slot.nonce) {
            (None, Some(nonce)) => Ok((key_idx, nonce)),
            (Some(_), _) => Err(Refusal::Busy),
            (None, None) => Err(Refusal::NonceUnknown),
        }
    }

    fn last_idx(&self) -> usize {
        self.slots.len() - 1
    }

    fn or_last(&self, why: Refusal) -> Result<(usize, u64), Refusal> {
        self.free_at(self.last_idx()).map_err(|_| why)
    }

    /// The next in rotation of those that take.
    fn free_taking(&mut self) -> Result<(usize, u64), Refusal> {
        let count = self.last_idx().max(1);
        let mut refusal = Refusal::NonceUnknown;
        for step in 0..count {
            let key_idx = (self.next + step) % count;
            match self.free_at(key_idx) {
                Ok(free) => {
                    self.next = (key_idx + 1) % count;
                    return Ok(free);
                }
                Err(Refusal::Busy) => refusal = Refusal::Busy,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// The key's transaction was written.
    pub fn sent(&mut self, key_idx: usize, unanswered: Unanswered) {
        self.slots[key_idx].unanswered = Some(unanswered);
    }

    /// What was written last did not leave after all: the nonce was never used.
    pub fn take_back(&mut self, key_idx: usize) {
        self.slots[key_idx].unanswered = None;
    }

    /// The only transaction on its way; `None` when there are none or several.
    pub fn only_unanswered(&self) -> Option<Unanswered> {
        let mut unanswered = self.slots.iter().filter_map(|slot| slot.unanswered);
        let only = unanswered.next()?;
        unanswered.next().is_none().then_some(only)
    }

    /// When the oldest transaction on its way was written.
    pub fn oldest_unanswered(&self) -> Option<Nanos> {
        let unanswered = self.slots.iter().filter_map(|slot| slot.unanswered);
        unanswered.map(|unanswered| unanswered.t_sent).min()
    }

    /// Nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.slots.iter().all(|slot| slot.unanswered.is_none())
    }

    /// An answer came: its key is free again, its nonce spent, kept, or to be asked. Gives the
    /// key's row and what was answered; nothing happens when nobody waits for it (it was given up
    /// before).
    ///
    /// That an order of this name exists may be said before or after the nonce is spent, so then
    /// it is asked.
    pub fn settle(&mut self, name: Name, code: u32) -> Option<(usize, Unanswered)> {
        let is_it = |u: &Unanswered| u.name == name;
        let mut slots = self.slots.iter_mut().enumerate();
        let (key_idx, slot) = slots.find(|(_, s)| s.unanswered.as_ref().is_some_and(is_it))?;
        let answered = slot.unanswered.take()?;
        let is_in_doubt = matches!(code, CODE_NONCE | CODE_NONCE_ORDER | CODE_EXISTS);
        if code == CODE_ACCEPTED {
            slot.nonce = slot.nonce.map(|nonce| nonce + 1);
        } else if is_in_doubt || CODES_SERVER.contains(&code) {
            slot.nonce = None;
        }
        Some((key_idx, answered))
    }

    /// The venue says, late, that it took this nonce. A key that was about to use it again, because
    /// the question came too early, goes on behind it.
    pub fn spent(&mut self, key_idx: usize, nonce: u64) {
        let slot = &mut self.slots[key_idx];
        if slot.unanswered.is_none() && slot.nonce == Some(nonce) {
            slot.nonce = Some(nonce + 1);
        }
    }

    /// Gives up one transaction written at `deadline` or before, if there is one; its key's nonce
    /// is unknown from here on. Its key's row, and what it was.
    pub fn give_up(&mut self, deadline: Nanos) -> Option<(usize, Unanswered)> {
        let is_late = |u: &Unanswered| u.t_sent <= deadline;
        let mut slots = self.slots.iter_mut().enumerate();
        let (key_idx, slot) = slots.find(|(_, s)| s.unanswered.as_ref().is_some_and(is_late))?;
        slot.nonce = None;
        Some((key_idx, slot.unanswered.take()?))
    }

    /// Slot number of a key whose nonce must be asked.
    pub fn nonce_wanted(&self) -> Option<u8> {
        let mut slots = self.slots.iter();
        slots
            .find(|slot| slot.nonce.is_none() && slot.unanswered.is_none())
            .map(|slot| slot.key.index)
    }

    /// The venue's answer; ignored unless the key is waiting for it. The key's row when it was
    /// taken.
    pub fn set_nonce(&mut self, api_key_index: u8, nonce: u64) -> Option<usize> {
        let is_it = |slot: &Slot| {
            let is_waiting = slot.nonce.is_none() && slot.unanswered.is_none();
            slot.key.index == api_key_index && is_waiting
        };
        let key_idx = self.slots.iter().position(is_it)?;
        self.slots[key_idx].nonce = Some(nonce);
        Some(key_idx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(slots: &[u8]) -> Keyring {
        let key = |index: &u8| ApiKey {
            index: *index,
            private: PrivateKey::parse_hex(&"11".repeat(40)).unwrap(),
        };
        Keyring::new(slots.iter().map(key).collect())
    }

    fn name(id: u64, purpose: Purpose) -> Name {
        Name {
            purpose,
            id: OrderId(id),
            count: 0,
        }
    }

    fn unanswered(id: u64, t_sent: u64) -> Unanswered {
        Unanswered {
            name: name(id, Purpose::Place),
            instrument: InstrumentId(0),
            nonce: 7,
            hash: [0; 40],
            t_sent: Nanos(t_sent),
        }
    }

    #[test]
    fn row_14_nonces_follow_the_venues_table() {
        for (code, after) in [
            (CODE_ACCEPTED, Some(8)),
            (21_702, Some(7)),
            (21_120, Some(7)),
            (23_000, Some(7)),
            (CODE_NONCE, None),
            (21_105, None),
            (CODE_EXISTS, None),
            (29_500, None),
        ] {
            let mut ring = ring(&[4, 5]);
            ring.set_nonce(4, 7);
            let (key_idx, nonce) = ring.free(Use::Entry).unwrap();
            assert_eq!((key_idx, nonce), (0, 7));
            ring.sent(key_idx, unanswered(1, 0));
            assert_eq!(ring.free(Use::Entry), Err(Refusal::Busy));
            assert_eq!(ring.settle(name(2, Purpose::Place), code), None);
            assert_eq!(ring.settle(name(1, Purpose::Fence), code), None);
            assert_eq!(ring.free(Use::Entry), Err(Refusal::Busy), "not its answer");
            let settled = ring.settle(name(1, Purpose::Place), code);
            assert_eq!(settled, Some((0, unanswered(1, 0))));
            let free = ring.free(Use::Entry).ok();
            assert_eq!(free.map(|(_, nonce)| nonce), after, "{code}");
        }
    }

    #[test]
    fn keys_wait_for_their_nonce() {
        let mut ring = ring(&[4, 5, 6]);
        assert_eq!(ring.free(Use::Entry), Err(Refusal::NonceUnknown));
        assert_eq!(ring.nonce_wanted(), Some(4));
        assert_eq!(ring.set_nonce(4, 1), Some(0));
        assert_eq!(ring.nonce_wanted(), Some(5));
        assert_eq!(ring.set_nonce(5, 9), Some(1));
        assert_eq!(ring.set_nonce(5, 100), None);
        assert_eq!(ring.free(Use::Entry), Ok((0, 1)));
        ring.sent(0, unanswered(1, 10));
        assert_eq!(ring.free(Use::Entry), Ok((1, 9)));
        ring.sent(1, unanswered(2, 20));
        assert_eq!(ring.only_unanswered(), None);
        assert_eq!(ring.give_up(Nanos(9)), None);
        assert_eq!(ring.give_up(Nanos(10)), Some((0, unanswered(1, 10))));
        assert_eq!(ring.only_unanswered(), Some(unanswered(2, 20)));
        assert_eq!(ring.nonce_wanted(), Some(4));
        ring.set_nonce(4, 7);
        ring.spent(0, 6);
        assert_eq!(ring.free(Use::Entry), Ok((0, 7)));
        ring.spent(0, 7);
        assert_eq!(ring.free(Use::Entry), Ok((0, 8)));
    }

    /// The table above, key by key: which ones each use takes until none is left.
    #[test]
    fn keys_are_apart_by_use() {
        let all: [(&[u8], [&[usize]; 3]); 4] = [
            (&[4], [&[0], &[0], &[0]]),
            (&[4, 5], [&[0], &[0, 1], &[1, 0]]),
            (&[4, 5, 6], [&[0, 1], &[0, 1, 2], &[2, 0, 1]]),
            (&[4, 5, 6, 7], [&[0, 1, 2], &[0, 1, 2, 3], &[3, 0, 1, 2]]),
        ];
        for (slots, wanted) in all {
            for (order, expected) in [Use::Entry, Use::Reduce, Use::Cancel].iter().zip(wanted) {
                let mut ring = ring(slots);
                for slot in slots {
                    ring.set_nonce(*slot, 1);
                }
                let mut taken = Vec::new();
                while let Ok((key_idx, _)) = ring.free(*order) {
                    ring.sent(key_idx, unanswered(1, 0));
                    taken.push(key_idx);
                }
                assert_eq!(taken, expected, "{slots:?} {order:?}");
                assert_eq!(ring.free(*order), Err(Refusal::Busy));
            }
        }
    }
}
