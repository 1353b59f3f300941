//! An edge taken apart: what the prices give and everything that goes off it.
//!
//! Promises: plain values in basis points of the pair's notional; `net` is the sum of the parts,
//! exactly. Refuses: to know where a part comes from; `scanner/edge.rs` works them out.

use crate::market::units::Bps;

/// The parts of one edge. Costs are positive; all are of the notional of one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Executable spread over the fair, on the size walked.
    pub gross: Bps,
    /// Fees of all four legs, as takers, at both accounts' rates of this moment.
    pub fees: Bps,
    /// Half of both spreads: what closing costs against the mids.
    pub closing: Bps,
    /// What fills are expected to be worse than the ladders show when their orders leave.
    pub slippage: Bps,
    /// What the venues round up in their favour.
    pub rounding: Bps,
    /// Funding at the payments that the pair is expected to see; negative is received.
    pub funding: Bps,
    /// How far the fair may be wrong.
    pub uncertainty: Bps,
    /// Impact of the size, 0 (none) to 10,000, in 10^-4. No cost of its own: `slippage` is.
    pub impact_e4: u16,
}

impl Parts {
    /// Everything that goes off the gross edge. Funding that would be received is not counted on:
    /// the pair may be over before the payment.
    pub fn costs(&self) -> Bps {
        let known = self.fees + self.closing + self.slippage + self.rounding;
        known + self.funding.max(Bps::ZERO) + self.uncertainty
    }

    /// What is left.
    pub fn net(&self) -> Bps {
        self.gross - self.costs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_net_edge_is_what_the_parts_leave() {
        let parts = Parts {
            gross: Bps::whole(20),
            fees: Bps::whole(5),
            closing: Bps::whole(2),
            slippage: Bps::whole(1),
            rounding: Bps::ZERO,
            funding: Bps::whole(3),
            uncertainty: Bps::whole(4),
            impact_e4: 9_999,
        };
        assert_eq!(
            (parts.costs(), parts.net()),
            (Bps::whole(15), Bps::whole(5))
        );
        let paid = Parts {
            funding: Bps::whole(-3),
            ..parts
        };
        assert_eq!(paid.net(), Bps::whole(8), "what may come is not counted on");
    }
}
