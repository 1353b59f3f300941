//! Attributes: what may be added to a transaction, at most four at a time.
//!
//! Promises: in hash and text they stand in the order of their ids, and one that says nothing (its
//! value is the venue's own default) is left out, as the official signer does.
//! Refuses: attributes that contradict each other, or that the official signer does not offer for
//! the type.
//!
//! Source: *signer* in the venue's Sources, `types/txtypes/tx_attributes.go`; the wider range of 5,
//! and 8, from the native signer.

use super::checks::{ACCOUNT_MAX, FEE_MAX, Fault, MAX_48, Rule, forbidden, rule};
use super::field::{Fp, Fp5};
use super::fields::NO_MARKET;
use super::kinds::{
    CANCEL_ALL_ORDERS, CREATE_GROUPED_ORDERS, CREATE_ORDER, Kind, MODIFY_ORDER, Numbers,
};
use super::poseidon2;
use super::transaction::HEAD_LEN;
use crate::venue::Text;

/// Most attributes one transaction may carry.
const SET_MAX: usize = 4;

/// Rule of each attribute; ids count from 1.
static RULES: [Rule; 8] = [
    rule!(
        "IntegratorAccountIndex",
        0,
        ACCOUNT_MAX,
        "account of the integrator, 0 none"
    ),
    rule!("IntegratorTakerFee", 0, FEE_MAX, "in 10^-6 of the notional"),
    rule!("IntegratorMakerFee", 0, FEE_MAX, "in 10^-6 of the notional"),
    rule!(
        "SkipNonce",
        0,
        1,
        "1 accepts any nonce from the next one up"
    ),
    rule!(
        "CancelAllMarketIndex",
        0,
        MAX_48,
        "the venue's number of the market, 255 all"
    ),
    rule!(
        "SelfTradeBehaviorMode",
        0,
        3,
        "what happens when we meet ourselves"
    ),
    rule!(
        "SelfTradeEqualityMode",
        0,
        1,
        "0 one account, 1 all of one master account"
    ),
    rule!(
        "OrderVersion",
        0,
        MAX_48,
        "applied only if above the order's version, 0 always"
    ),
];
/// The values that say nothing. Setting one of these is the same as not setting it.
const NIL: [i64; 8] = [0, 0, 0, 0, NO_MARKET, 0, 0, 0];

/// What happens when an order of ours meets an order of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum SelfTrade {
    /// The resting order goes.
    #[default]
    ExpireMaker = 0,
    /// The arriving order goes.
    ExpireTaker = 1,
    /// Both go.
    CancelBoth = 2,
    /// Both are reduced by what would have traded.
    Reduce = 3,
}

/// A set of attributes. The default holds none. Eight numbers rather than a list of pairs: nothing
/// to sort, nothing to find twice, and a copy costs less than a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    values: [i64; 8],
}

impl Default for Attributes {
    fn default() -> Attributes {
        Attributes::NONE
    }
}

impl Attributes {
    /// No attribute.
    pub const NONE: Attributes = Attributes { values: NIL };
    /// Accept any nonce from the key's next one up, below 2^47; afterwards the next is one more.
    pub const SKIP_NONCE: Attributes = Attributes {
        values: [0, 0, 0, 1, NO_MARKET, 0, 0, 0],
    };

    /// With a value by its id. `Err`: an id that the venue does not know, or a value out of range.
    pub fn with(mut self, id: u8, value: i64) -> Result<Attributes, Fault> {
        let at = usize::from(id).wrapping_sub(1);
        let Some(rule) = RULES.get(at) else {
            return Err(forbidden(
                "L2TxAttributes",
                i64::from(id),
                "ids go from 1 to 8",
            ));
        };
        rule.check(value)?;
        self.values[at] = value;
        Ok(self)
    }

    /// An immediate cancel-all for this market only.
    pub fn only_market(self, market_index: i64) -> Result<Attributes, Fault> {
        self.with(5, market_index)
    }

    /// An integrator's account, and its fees as taker and as maker in 10^-6 of the notional.
    pub fn integrator(self, account: i64, taker_fee: i64, maker_fee: i64) -> Result<Self, Fault> {
        self.with(1, account)?
            .with(2, taker_fee)?
            .with(3, maker_fee)
    }

    /// What happens when we meet ourselves; `all_accounts`: all of one master account are "we".
    pub fn self_trade(mut self, behavior: SelfTrade, all_accounts: bool) -> Attributes {
        self.values[5] = behavior as i64;
        self.values[6] = i64::from(all_accounts);
        self
    }

    /// A modification's number: applied only if above the order's version.
    pub fn order_version(self, version: i64) -> Result<Attributes, Fault> {
        self.with(8, version)
    }

    /// Both sets; where they meet, the other's values.
    pub(super) fn and(mut self, other: Attributes) -> Attributes {
        for ((value, new), nil) in self.values.iter_mut().zip(other.values).zip(NIL) {
            if new != nil {
                *value = new;
            }
        }
        self
    }

    /// Whether none is set.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.values == NIL
    }

    /// Those that are set: id and value. A value's place is its id, so ids ascend by themselves.
    fn set(&self) -> impl Iterator<Item = (u8, i64)> {
        let ids = 1_u8..;
        let pairs = ids.zip(self.values).zip(NIL);
        pairs.filter_map(|(pair, nil)| (pair.1 != nil).then_some(pair))
    }

    /// Whether they agree with each other and with the type. Values were checked as they came.
    pub(super) fn check(&self, kind: &Kind, numbers: &Numbers) -> Result<(), Fault> {
        if let Some((id, value)) = self.set().find(|(id, _)| !is_offered(*id, kind)) {
            let rule = &RULES[usize::from(id) - 1];
            return Err(rule.forbidden(value, "not for this type of transaction"));
        }
        let count = self.set().count();
        if count > SET_MAX {
            return Err(forbidden(
                "L2TxAttributes",
                count as i64,
                "at most 4 attributes",
            ));
        }
        let [
            integrator,
            taker_fee,
            maker_fee,
            _,
            market,
            behavior,
            equality,
            _,
        ] = self.values;
        // Only a cancel-all gets here with a market; its first number says when.
        if market != NO_MARKET && numbers[HEAD_LEN] != 0 {
            return Err(
                RULES[4].forbidden(market, "one market's orders are cancelled now or never")
            );
        }
        let has_fee = taker_fee != 0 || maker_fee != 0;
        if has_fee && integrator == 0 {
            return Err(RULES[0].below(0, 1, "fees need the integrator's account"));
        }
        if has_fee && (behavior != 0 || equality != 0) {
            let at = if behavior != 0 { 5 } else { 6 };
            return Err(RULES[at].forbidden(self.values[at], "not together with fees"));
        }
        if behavior == 3 && equality == 1 {
            return Err(RULES[5].forbidden(3, "not across all of one master account"));
        }
        Ok(())
    }

    /// Hash of the four pairs; those not set are (0, 0).
    pub(super) fn digest(&self) -> Fp5 {
        let mut pairs = [Fp::ZERO; 2 * SET_MAX];
        for (pair, (id, value)) in pairs.as_chunks_mut().0.iter_mut().zip(self.set()) {
            *pair = [Fp::new(u64::from(id)), Fp::new(value as u64)];
        }
        poseidon2::hash_to_element(&pairs)
    }

    /// Writes `null` or `{"4":1}`.
    pub(super) fn write(&self, text: &mut Text<'_>) {
        if self.is_none() {
            text.put(b"null");
            return;
        }
        let mut separator: &[u8] = b"{\"";
        for (id, value) in self.set() {
            text.put(separator).put_integer(u64::from(id)).put(b"\":");
            text.put_integer(value as u64);
            separator = b",\"";
        }
        text.put(b"}");
    }
}

/// Which types the official signer offers an attribute for.
fn is_offered(id: u8, kind: &Kind) -> bool {
    let is = |other: &Kind| kind.tx_type == other.tx_type;
    match id {
        4 => true,
        5 => is(&CANCEL_ALL_ORDERS),
        8 => is(&MODIFY_ORDER),
        _ => is(&CREATE_ORDER) || is(&MODIFY_ORDER) || is(&CREATE_GROUPED_ORDERS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::transaction::NUMBERS_MAX;

    #[test]
    fn only_what_agrees_may_be_set_together() {
        let check = |pairs: &[(u8, i64)]| {
            let build = || {
                let mut attributes = Attributes::NONE;
                for (id, value) in pairs {
                    attributes = attributes.with(*id, *value)?;
                }
                attributes.check(&MODIFY_ORDER, &[0; NUMBERS_MAX])
            };
            build().err().map_or("", |fault| fault.field)
        };
        for (pairs, refused) in [
            (&[][..], ""),
            (&[(1, 9), (2, 5), (3, 5), (4, 1)], ""),
            (&[(1, 9), (2, 5), (3, 5), (4, 1), (8, 1)], "L2TxAttributes"),
            (&[(1, 9), (2, 0), (3, 0), (4, 0), (8, 1)], ""),
            (&[(2, 5)], "IntegratorAccountIndex"),
            (&[(3, 5)], "IntegratorAccountIndex"),
            (&[(1, 9), (3, 5), (6, 1)], "SelfTradeBehaviorMode"),
            (&[(1, 9), (3, 5), (7, 1)], "SelfTradeEqualityMode"),
            (&[(1, 9), (6, 1), (7, 1)], ""),
            (&[(6, 3)], ""),
            (&[(6, 3), (7, 1)], "SelfTradeBehaviorMode"),
            (&[(4, 2)], "SkipNonce"),
            (&[(5, 255)], ""),
            (&[(5, 7)], "CancelAllMarketIndex"),
            (&[(8, -1)], "OrderVersion"),
            (&[(0, 1)], "L2TxAttributes"),
            (&[(9, 1)], "L2TxAttributes"),
        ] {
            assert_eq!(check(pairs), refused, "{pairs:?}");
        }
    }

    #[test]
    fn a_second_set_adds_and_takes_nothing_away() {
        let market = Attributes::NONE.only_market(3).unwrap();
        let both = market.and(Attributes::SKIP_NONCE);
        assert_eq!(both.set().collect::<Vec<_>>(), [(4, 1), (5, 3)]);
        assert_eq!(both.and(Attributes::NONE), both);
    }
}
