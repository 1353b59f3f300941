//! What can wait: items that stand near at hand until nothing is under way, then go onto their
//! link.
//!
//! A link to a cold thread is long, so its next place is always one that was last used thousands of
//! items ago, far out in memory. A record of some hundred bytes put there costs the path a wait for
//! memory; put into these few places, which are used again and again, it costs a store. Promises:
//! order, no allocation after `new`, nothing is kept that the link has no room for: it is dropped
//! and counted there. Refuses: to decide when; the stage moves on what waits when its work is done.

use crate::stage::link::Tx;

/// Places before the link.
pub struct Aside<T> {
    items: Vec<T>,
}

impl<T: Copy> Aside<T> {
    /// So many places. More: fewer turns that move things on while something is under way. Fewer:
    /// they stay nearer.
    pub fn new(places: usize) -> Aside<T> {
        Aside {
            items: Vec::with_capacity(places),
        }
    }

    /// Puts an item behind those that wait; without a place left all move on first.
    #[inline]
    pub fn put(&mut self, item: T, tx: &mut Tx<T>) {
        if self.items.len() == self.items.capacity() {
            self.move_on(tx);
        }
        self.items.push(item);
    }

    /// Puts all that wait onto the link, in order.
    #[inline]
    pub fn move_on(&mut self, tx: &mut Tx<T>) {
        for item in self.items.drain(..) {
            // A full link drops and counts; it says so itself.
            let _ = tx.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::link::link;

    #[test]
    fn items_move_on_in_order_and_a_full_link_counts() {
        let (mut tx, mut rx) = link("aside.test", 4);
        let mut aside = Aside::new(3);
        for item in 1..=3 {
            aside.put(item, &mut tx);
        }
        assert_eq!(rx.pop(), None, "they wait");
        aside.put(4, &mut tx);
        let heard: Vec<i32> = std::iter::from_fn(|| rx.pop()).collect();
        assert_eq!(heard, [1, 2, 3], "no place was left");
        for item in 5..=9 {
            aside.put(item, &mut tx);
        }
        aside.move_on(&mut tx);
        let heard: Vec<i32> = std::iter::from_fn(|| rx.pop()).collect();
        assert_eq!((heard, tx.full_count()), (vec![4, 5, 6, 7], 2));
        aside.move_on(&mut tx);
        assert_eq!(rx.pop(), None, "each once");
    }
}
