//! Every transaction type: its number, its fields in the official order, and their ranges.
//!
//! One table gives the hash, the text, the checks and the names, so that they cannot disagree.
//! Fields appear here in the order in which they are hashed; the text has `ExpiredAt` and `Nonce`
//! behind the others. A new type is a new row.
//! Refuses: types that only the venue or Ethereum may originate.
//!
//! Source: *signer* in the venue's Sources: `types/txtypes/*.go` for the fields and for the limits
//! of pools and shares; the native signer for all others (its market index is wider than the
//! library's). Judged by all 400 transactions of `lighter_tx.json`.

use super::checks::{ACCOUNT_MAX, AMOUNT_MAX, FEE_MAX, Fault, Rule, rule};
use super::fields::*;
use super::group::check_group;
use super::order::{ORDER, check_parts};
use super::transaction::{Extra, HEAD_LEN, NUMBERS_MAX};

/// Every number of a transaction: the head, its own fields, then zeros.
pub(super) type Numbers = [i64; NUMBERS_MAX];

/// One type of transaction.
#[derive(Debug)]
pub struct Kind {
    /// The number in `tx_type`.
    pub tx_type: u8,
    /// The official name.
    pub name: &'static str,
    /// Nonce, ExpiredAt, account, key.
    pub(super) head: &'static [Rule; HEAD_LEN],
    /// The fields after them.
    pub(super) fields: &'static [Rule],
    /// What else it carries.
    pub(super) extra: ExtraKind,
    /// Has room for a signature of the account's Ethereum key.
    pub has_l1_signature: bool,
    /// What ranges alone cannot say.
    pub(super) check: fn(&Numbers, &Extra) -> Result<(), Fault>,
}

/// What a transaction carries besides numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExtraKind {
    Nothing,
    PublicKey,
    Memo,
    Orders,
}

impl Kind {
    /// The kind with this number.
    pub fn of(tx_type: u8) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.tx_type == tx_type).copied()
    }

    /// Every number's rule, in the order of [`super::transaction::Transaction::from_numbers`]:
    /// Nonce, ExpiredAt, account, key, then the kind's own fields.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        self.head.iter().chain(self.fields)
    }
}

/// Every kind, by number.
pub static KINDS: [&Kind; 20] = [
    &CHANGE_PUB_KEY,
    &CREATE_SUB_ACCOUNT,
    &CREATE_PUBLIC_POOL,
    &UPDATE_PUBLIC_POOL,
    &TRANSFER,
    &WITHDRAW,
    &CREATE_ORDER,
    &CANCEL_ORDER,
    &CANCEL_ALL_ORDERS,
    &MODIFY_ORDER,
    &MINT_SHARES,
    &BURN_SHARES,
    &UPDATE_LEVERAGE,
    &CREATE_GROUPED_ORDERS,
    &UPDATE_MARGIN,
    &STAKE_ASSETS,
    &UNSTAKE_ASSETS,
    &UPDATE_ACCOUNT_CONFIG,
    &UPDATE_ACCOUNT_ASSET_CONFIG,
    &APPROVE_INTEGRATOR,
];

/// Most kinds: an account's own head, numbers only, nothing to check but ranges.
const fn plain(tx_type: u8, name: &'static str, fields: &'static [Rule]) -> Kind {
    Kind {
        tx_type,
        name,
        head: &HEAD,
        fields,
        extra: ExtraKind::Nothing,
        has_l1_signature: false,
        check: |_, _| Ok(()),
    }
}

/// Writes a key into a slot; signed by that key.
pub(super) static CHANGE_PUB_KEY: Kind = Kind {
    extra: ExtraKind::PublicKey,
    has_l1_signature: true,
    ..plain(8, "ChangePubKey", &[])
};

/// Opens a sub-account.
pub(super) static CREATE_SUB_ACCOUNT: Kind = Kind {
    head: &HEAD_MASTER,
    ..plain(9, "CreateSubAccount", &[])
};

/// Opens a pool for others' money.
pub(super) static CREATE_PUBLIC_POOL: Kind = Kind {
    head: &HEAD_MASTER,
    ..plain(
        10,
        "CreatePublicPool",
        &[OPERATOR_FEE, INITIAL_TOTAL_SHARES, MIN_OPERATOR_SHARE_RATE],
    )
};

/// Changes a pool's terms.
pub(super) static UPDATE_PUBLIC_POOL: Kind = plain(
    11,
    "UpdatePublicPool",
    &[
        rule!(
            "PublicPoolIndex",
            0,
            ACCOUNT_MAX,
            "account index of the pool"
        ),
        rule!("Status", 0, 1, "status of the pool, 0 or 1"),
        OPERATOR_FEE,
        MIN_OPERATOR_SHARE_RATE,
    ],
);

/// Moves money to another account.
pub(super) static TRANSFER: Kind = Kind {
    head: &HEAD_FROM,
    extra: ExtraKind::Memo,
    has_l1_signature: true,
    ..plain(
        12,
        "Transfer",
        &[
            rule!("ToAccountIndex", 0, ACCOUNT_MAX, "account that receives"),
            ASSET,
            rule!("FromRouteType", 0, 1, "0 perpetuals' side, 1 spot side"),
            rule!("ToRouteType", 0, 1, "0 perpetuals' side, 1 spot side"),
            rule!("Amount", 1, AMOUNT_MAX, "in the asset's smallest unit").wide(),
            rule!("USDCFee", 0, AMOUNT_MAX, "fee in 10^-6 USDC").wide(),
        ],
    )
};

/// Moves money to the owner's Ethereum address.
pub(super) static WITHDRAW: Kind = Kind {
    head: &HEAD_FROM,
    ..plain(
        13,
        "Withdraw",
        &[
            ASSET,
            rule!("RouteType", 0, 1, "0 perpetuals' side, 1 spot side"),
            rule!("Amount", 1, AMOUNT_MAX, "in the asset's smallest unit").wide(),
        ],
    )
};

/// Places an order.
pub(super) static CREATE_ORDER: Kind = Kind {
    check: |numbers, _| {
        let [_, _, _, _, row @ ..] = numbers;
        check_parts(row)
    },
    ..plain(14, "CreateOrder", &ORDER)
};

/// Cancels an order.
pub(super) static CANCEL_ORDER: Kind = Kind {
    check: check_market,
    ..plain(15, "CancelOrder", &[MARKET, INDEX])
};

/// Cancels all orders, now or later.
pub(super) static CANCEL_ALL_ORDERS: Kind = Kind {
    check: check_cancel_all,
    ..plain(16, "CancelAllOrders", &[CANCEL_ALL_TIME_IN_FORCE, TIME])
};

/// Changes an order in place.
pub(super) static MODIFY_ORDER: Kind = Kind {
    check: check_market,
    ..plain(
        17,
        "ModifyOrder",
        &[MARKET, INDEX, BASE_AMOUNT, PRICE, TRIGGER_PRICE],
    )
};

/// Buys shares of a pool.
pub(super) static MINT_SHARES: Kind = plain(18, "MintShares", &[PUBLIC_POOL, SHARE_AMOUNT]);

/// Gives shares of a pool back.
pub(super) static BURN_SHARES: Kind = plain(19, "BurnShares", &[PUBLIC_POOL, SHARE_AMOUNT]);

/// Sets a market's margin fraction and mode.
pub(super) static UPDATE_LEVERAGE: Kind = Kind {
    check: check_market,
    ..plain(
        20,
        "UpdateLeverage",
        &[
            MARKET,
            rule!("InitialMarginFraction", 1, 10_000, "10000 / leverage"),
            rule!("MarginMode", 0, 1, "0 cross, 1 isolated"),
        ],
    )
};

/// Places orders that depend on each other.
pub(super) static CREATE_GROUPED_ORDERS: Kind = Kind {
    extra: ExtraKind::Orders,
    check: |numbers, extra| match extra {
        Extra::Orders(orders) => check_group(numbers[HEAD_LEN], orders),
        _ => Ok(()),
    },
    ..plain(28, "CreateGroupedOrders", &[GROUPING_TYPE])
};

/// Moves margin to or from an isolated position.
pub(super) static UPDATE_MARGIN: Kind = Kind {
    check: check_market,
    ..plain(
        29,
        "UpdateMargin",
        &[
            MARKET,
            rule!("USDCAmount", 1, AMOUNT_MAX, "in 10^-6 USDC").wide(),
            rule!("Direction", 0, 1, "0 takes margin away, 1 adds"),
        ],
    )
};

/// Stakes.
pub(super) static STAKE_ASSETS: Kind = plain(35, "StakeAssets", &[STAKING_POOL, SHARE_AMOUNT]);

/// Takes a stake back.
pub(super) static UNSTAKE_ASSETS: Kind = plain(36, "UnstakeAssets", &[STAKING_POOL, SHARE_AMOUNT]);

/// Sets how the account trades.
pub(super) static UPDATE_ACCOUNT_CONFIG: Kind = plain(
    41,
    "UpdateAccountConfig",
    &[rule!("AccountTradingMode", 0, 1, "0 classic, 1 unified")],
);

/// Sets whether an asset counts as margin.
pub(super) static UPDATE_ACCOUNT_ASSET_CONFIG: Kind = plain(
    42,
    "UpdateAccountAssetConfig",
    &[
        ASSET,
        rule!(
            "AssetMarginMode",
            0,
            1,
            "1 counts the asset as margin, 0 does not"
        ),
    ],
);

/// Allows an integrator its fees.
pub(super) static APPROVE_INTEGRATOR: Kind = Kind {
    has_l1_signature: true,
    check: check_approval,
    ..plain(
        45,
        "ApproveIntegrator",
        &[
            rule!(
                "IntegratorAccountIndex",
                0,
                ACCOUNT_MAX,
                "account of the integrator"
            ),
            rule!("MaxPerpsTakerFee", 0, FEE_MAX, "in 10^-6 of the notional"),
            rule!("MaxPerpsMakerFee", 0, FEE_MAX, "in 10^-6 of the notional"),
            rule!("MaxSpotTakerFee", 0, FEE_MAX, "in 10^-6 of the notional"),
            rule!("MaxSpotMakerFee", 0, FEE_MAX, "in 10^-6 of the notional"),
            APPROVAL_EXPIRY,
        ],
    )
};

fn check_market(numbers: &Numbers, _: &Extra) -> Result<(), Fault> {
    is_market(numbers[HEAD_LEN])
}

/// The time is set for a scheduled cancel-all, and for no other.
fn check_cancel_all(numbers: &Numbers, _: &Extra) -> Result<(), Fault> {
    let (time_in_force, time) = (numbers[HEAD_LEN], numbers[HEAD_LEN + 1]);
    match (time_in_force == 1, time) {
        (true, 0) => Err(TIME.below(0, 1, "a scheduled cancel-all needs its time")),
        (false, 1..) => Err(TIME.forbidden(time, "only a scheduled cancel-all has a time")),
        _ => Ok(()),
    }
}

/// An approval without end is a revocation, and that has no fees.
fn check_approval(numbers: &Numbers, _: &Extra) -> Result<(), Fault> {
    let [_, _, _, _, _, fees @ .., expiry, _, _, _, _] = numbers;
    if *expiry == 0 && fees.iter().any(|fee| *fee != 0) {
        return Err(APPROVAL_EXPIRY.below(0, 1, "fees are approved until some time"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::transaction::Transaction;

    #[test]
    fn kinds_are_found_by_their_number() {
        for kind in KINDS {
            assert_eq!(
                Kind::of(kind.tx_type).map(|found| found.name),
                Some(kind.name)
            );
            assert!(kind.rules().count() <= NUMBERS_MAX);
        }
        assert!(KINDS.is_sorted_by(|a, b| a.tx_type < b.tx_type));
        assert!(Kind::of(21).is_none());
    }

    /// The name of what is refused, for a type's own fields after a good head.
    fn refused(kind: &'static Kind, fields: &[i64]) -> &'static str {
        let numbers = [&[1, 2, 3, 4], fields].concat();
        let built = Transaction::from_numbers(kind, 300, &numbers, Extra::Nothing);
        built.err().map_or("", |fault| fault.field)
    }

    #[test]
    fn just_outside_its_range_every_number_is_refused_by_name() {
        for kind in KINDS {
            let lowest: Vec<_> = kind.rules().map(|rule| rule.minimum).collect();
            for (at, rule) in kind.rules().enumerate() {
                for value in [rule.minimum - 1, rule.maximum + 1, i64::MIN, i64::MAX] {
                    let mut numbers = lowest.clone();
                    numbers[at] = value;
                    let built = Transaction::from_numbers(kind, 300, &numbers, Extra::Nothing);
                    assert_eq!(built.unwrap_err().field, rule.name, "{} {value}", kind.name);
                }
            }
        }
    }

    /// Limits that no refusal in the vectors shows, as the library's constants have them.
    #[test]
    fn limits_of_accounts_pools_and_shares() {
        for (kind, name, minimum, maximum) in [
            (&CREATE_SUB_ACCOUNT, "AccountIndex", 0, 140_737_488_355_327),
            (&CREATE_PUBLIC_POOL, "AccountIndex", 0, 140_737_488_355_327),
            (&CREATE_PUBLIC_POOL, "OperatorFee", 0, 1_000_000),
            (
                &CREATE_PUBLIC_POOL,
                "InitialTotalShares",
                1,
                1_000_000_000_000,
            ),
            (&CREATE_PUBLIC_POOL, "MinOperatorShareRate", 0, 10_000),
            (&UPDATE_PUBLIC_POOL, "AccountIndex", 0, 281_474_976_710_654),
            (
                &UPDATE_PUBLIC_POOL,
                "PublicPoolIndex",
                0,
                281_474_976_710_654,
            ),
            (
                &MINT_SHARES,
                "PublicPoolIndex",
                140_737_488_355_328,
                281_474_976_710_654,
            ),
            (&BURN_SHARES, "ShareAmount", 1, 1_152_921_504_606_846_975),
            (
                &STAKE_ASSETS,
                "StakingPoolIndex",
                140_737_488_355_328,
                281_474_976_710_654,
            ),
            (&UNSTAKE_ASSETS, "ShareAmount", 1, 1_152_921_504_606_846_975),
            (&TRANSFER, "USDCFee", 0, 1_152_921_504_606_846_975),
            (&APPROVE_INTEGRATOR, "MaxSpotMakerFee", 0, 1_000_000),
            (
                &APPROVE_INTEGRATOR,
                "ApprovalExpiry",
                0,
                281_474_976_710_655,
            ),
        ] {
            let mut rules = kind.rules();
            let rule = rules.find(|rule| rule.name == name).unwrap();
            assert_eq!((rule.minimum, rule.maximum), (minimum, maximum), "{name}");
        }
    }

    #[test]
    fn what_ranges_cannot_say_is_refused_by_name() {
        for (kind, fields, name) in [
            (&CANCEL_ORDER, &[255, 7][..], "MarketIndex"),
            (&MODIFY_ORDER, &[255, 7, 0, 1, 0], "MarketIndex"),
            (&UPDATE_LEVERAGE, &[255, 500, 0], "MarketIndex"),
            (&UPDATE_MARGIN, &[255, 5, 0], "MarketIndex"),
            (&CANCEL_ALL_ORDERS, &[0, 0], ""),
            (&CANCEL_ALL_ORDERS, &[1, 5], ""),
            (&CANCEL_ALL_ORDERS, &[2, 0], ""),
            (&CANCEL_ALL_ORDERS, &[0, 5], "Time"),
            (&CANCEL_ALL_ORDERS, &[1, 0], "Time"),
            (&CANCEL_ALL_ORDERS, &[2, 5], "Time"),
            (&APPROVE_INTEGRATOR, &[7, 0, 0, 0, 0, 0], ""),
            (&APPROVE_INTEGRATOR, &[7, 0, 0, 0, 0, 9], ""),
            (&APPROVE_INTEGRATOR, &[7, 1, 2, 3, 4, 9], ""),
            (&APPROVE_INTEGRATOR, &[7, 0, 0, 0, 1, 0], "ApprovalExpiry"),
            (&APPROVE_INTEGRATOR, &[7, 1, 0, 0, 0, 0], "ApprovalExpiry"),
        ] {
            assert_eq!(refused(kind, fields), name, "{} {fields:?}", kind.name);
        }
    }
}
