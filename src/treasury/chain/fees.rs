//! What is offered for a transaction: EIP-1559's two fees, within the user's bound.
//!
//! Promises: no offer is above the bound, and each is valid for the next block at least.
//! Pure. Source: EIP-1559 (the base fee moves by at most an eighth a block).

use super::error::ChainError;

/// One gwei in wei.
pub const GWEI: u128 = 1_000_000_000;
/// Least tip, wei a gas: a node that has seen nothing suggests nothing, and nobody builds for that.
const TIP_MIN: u128 = GWEI / 100;

/// An offer, wei a gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Most for whoever builds the block.
    pub tip: u128,
    /// Most altogether.
    pub most: u128,
}

impl Fees {
    /// An offer by the last block's base fee and the node's advice: good for six full blocks in a
    /// row, or for as many as the bound lets it.
    pub fn of(base: u128, advised_tip: u128, bound: u128) -> Result<Fees, ChainError> {
        let tip = advised_tip.max(TIP_MIN);
        let next_block = base.saturating_add(base.div_ceil(8)).saturating_add(tip);
        if next_block > bound {
            return Err(dear(next_block, bound));
        }
        Ok(Fees {
            tip,
            most: (2 * base + tip).min(bound),
        })
    }

    /// An offer that nodes take in place of this one, and not below what is offered now. They want
    /// a tenth more on both (the default of go-ethereum's pool); an eighth leaves room.
    pub fn above(self, now: Fees, bound: u128) -> Result<Fees, ChainError> {
        let raised = |fee: u128| fee.saturating_add(fee.div_ceil(8).max(1));
        let fees = Fees {
            tip: raised(self.tip).max(now.tip),
            most: raised(self.most).max(now.most),
        };
        match fees.most > bound {
            true => Err(dear(fees.most, bound)),
            false => Ok(fees),
        }
    }
}

fn dear(found: u128, bound: u128) -> ChainError {
    ChainError::Dear { found, most: bound }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUND: u128 = 30 * GWEI;

    #[test]
    fn offers() {
        let gwei = |tenths: u128| tenths * GWEI / 10;
        let fees = |tip: u128, most: u128| Fees {
            tip: tip * GWEI / 10,
            most: most * GWEI / 10,
        };
        for (base, tip, offer) in [
            (gwei(10), gwei(10), Ok(fees(10, 30))),
            // The bound cuts what would only be needed later.
            (gwei(240), gwei(10), Ok(fees(10, 300))),
            (gwei(240), gwei(30), Ok(fees(30, 300))),
            (gwei(240), gwei(31), Err(dear(gwei(301), BOUND))),
            (u128::MAX, 0, Err(dear(u128::MAX, BOUND))),
            (0, u128::MAX, Err(dear(u128::MAX, BOUND))),
        ] {
            assert_eq!(Fees::of(base, tip, BOUND), offer, "{base} {tip}");
        }
        let least = Fees::of(0, 0, BOUND).unwrap();
        assert_eq!((least.tip, least.most), (TIP_MIN, TIP_MIN));
    }

    proptest! {
        #[test]
        fn an_offer_lies_within_the_bound_and_outlives_a_block(
            base in 0..60 * GWEI,
            tip in 0..60 * GWEI,
        ) {
            if let Ok(fees) = Fees::of(base, tip, BOUND) {
                prop_assert!(fees.tip <= fees.most && fees.most <= BOUND);
                prop_assert!(fees.most >= base + base / 8 + fees.tip);
            }
        }

        #[test]
        fn a_dearer_offer_is_dearer_by_a_tenth(
            tip in 0..10 * GWEI,
            more in 0..10 * GWEI,
            now in 0..30 * GWEI,
        ) {
            let last = Fees { tip, most: tip + more };
            let now = Fees { tip: now / 2, most: now };
            if let Ok(fees) = last.above(now, BOUND) {
                prop_assert!(fees.most <= BOUND && fees.tip <= fees.most);
                prop_assert!(fees.tip > last.tip && fees.tip * 10 >= last.tip * 11);
                prop_assert!(fees.most > last.most && fees.most * 10 >= last.most * 11);
                prop_assert!(fees.tip >= now.tip && fees.most >= now.most);
            }
        }
    }
}
