//! Constructors of the transactions that nobody is in a hurry for: keys, money, margin, pools.
//!
//! All are checked as they are made; a fault names the field. Amounts are in the asset's smallest
//! unit (USDC: 10^-6).
//!
//! Source: *signer* in the venue's Sources.

use super::PublicKey;
use super::checks::{Fault, signed};
use super::group::{Grouping, Orders};
use super::kinds::{
    APPROVE_INTEGRATOR, BURN_SHARES, CHANGE_PUB_KEY, CREATE_GROUPED_ORDERS, CREATE_PUBLIC_POOL,
    CREATE_SUB_ACCOUNT, MINT_SHARES, MODIFY_ORDER, STAKE_ASSETS, TRANSFER, UNSTAKE_ASSETS,
    UPDATE_ACCOUNT_ASSET_CONFIG, UPDATE_ACCOUNT_CONFIG, UPDATE_LEVERAGE, UPDATE_MARGIN,
    UPDATE_PUBLIC_POOL, WITHDRAW,
};
use super::order::CreateOrder;
use super::transaction::{Envelope, Extra, Transaction};

/// A side of the exchange, each with balances of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Route {
    /// Perpetual futures.
    Perps = 0,
    /// Spot.
    Spot = 1,
}

/// How a position is backed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MarginMode {
    /// By all collateral.
    Cross = 0,
    /// By what was set aside for it.
    Isolated = 1,
}

/// Which way an isolated position's margin is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// Back to the account.
    Remove = 0,
    /// To the position.
    Add = 1,
}

/// How an account trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TradingMode {
    /// Perpetuals and spot apart.
    Classic = 0,
    /// Under one collateral.
    Unified = 1,
}

/// Fields of a Transfer besides the envelope.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Account that receives.
    pub to_account_index: u64,
    /// Asset, 1..=62 (USDC: 3).
    pub asset_index: u64,
    /// Side it leaves.
    pub from_route: Route,
    /// Side it arrives at.
    pub to_route: Route,
    /// How much, 1..2^60-1.
    pub amount: u64,
    /// Fee in 10^-6 USDC, as the venue's `transferFeeInfo` says.
    pub usdc_fee: u64,
    /// Free text, or the receiver's address with zeros behind it (fast withdrawal).
    pub memo: [u8; 32],
}

/// Fields of a ModifyOrder besides the envelope.
#[derive(Clone, Copy, Debug)]
pub struct ModifyOrder {
    /// Market id.
    pub market_index: u64,
    /// Order index or client order index of the order.
    pub index: u64,
    /// New size; 0 as in a CreateOrder.
    pub base_amount: u64,
    /// New price.
    pub price: u64,
    /// New trigger; 0: none.
    pub trigger_price: u64,
}

/// Fields of an ApproveIntegrator besides the envelope. Fees in 10^-6 of the notional.
#[derive(Clone, Copy, Debug)]
pub struct IntegratorApproval {
    /// The integrator's account.
    pub integrator_account_index: u64,
    /// Most it may take of a perpetuals taker.
    pub perps_taker_fee_max: u64,
    /// Most it may take of a perpetuals maker.
    pub perps_maker_fee_max: u64,
    /// Most it may take of a spot taker.
    pub spot_taker_fee_max: u64,
    /// Most it may take of a spot maker.
    pub spot_maker_fee_max: u64,
    /// Milliseconds since the epoch; 0 with all fees 0 revokes.
    pub expiry_ms: u64,
}

// Keys and accounts.
impl Transaction {
    /// Type 8. Signed by the new key; slot and nonce of the envelope are those of the slot that is
    /// written.
    pub fn change_public_key(envelope: Envelope, new_key: PublicKey) -> Result<Self, Fault> {
        let extra = Extra::PublicKey(new_key);
        Transaction::with_extra(&CHANGE_PUB_KEY, envelope, [], extra)
    }

    /// Type 9. By a master account.
    pub fn create_sub_account(envelope: Envelope) -> Result<Self, Fault> {
        Transaction::of(&CREATE_SUB_ACCOUNT, envelope, [])
    }

    /// Type 41.
    pub fn update_account_config(envelope: Envelope, mode: TradingMode) -> Result<Self, Fault> {
        Transaction::of(&UPDATE_ACCOUNT_CONFIG, envelope, [mode as i64])
    }

    /// Type 42. Whether an asset counts as margin.
    pub fn update_account_asset_config(
        envelope: Envelope,
        asset_index: u64,
        is_margin: bool,
    ) -> Result<Self, Fault> {
        let fields = [signed(asset_index), i64::from(is_margin)];
        Transaction::of(&UPDATE_ACCOUNT_ASSET_CONFIG, envelope, fields)
    }

    /// Type 45. Needs the owner's Ethereum signature unless all fees are zero.
    pub fn approve_integrator(
        envelope: Envelope,
        approval: &IntegratorApproval,
    ) -> Result<Self, Fault> {
        let fields = [
            approval.integrator_account_index,
            approval.perps_taker_fee_max,
            approval.perps_maker_fee_max,
            approval.spot_taker_fee_max,
            approval.spot_maker_fee_max,
            approval.expiry_ms,
        ];
        Transaction::of(&APPROVE_INTEGRATOR, envelope, fields.map(signed))
    }
}

// Money.
impl Transaction {
    /// Type 12. Needs the owner's Ethereum signature unless both accounts are of one master.
    pub fn transfer(envelope: Envelope, transfer: &Transfer) -> Result<Self, Fault> {
        let fields = [
            signed(transfer.to_account_index),
            signed(transfer.asset_index),
            transfer.from_route as i64,
            transfer.to_route as i64,
            signed(transfer.amount),
            signed(transfer.usdc_fee),
        ];
        Transaction::with_extra(&TRANSFER, envelope, fields, Extra::Memo(transfer.memo))
    }

    /// Type 13. To the owner's Ethereum address, nowhere else.
    pub fn withdraw(
        envelope: Envelope,
        asset_index: u64,
        route: Route,
        amount: u64,
    ) -> Result<Self, Fault> {
        let fields = [signed(asset_index), route as i64, signed(amount)];
        Transaction::of(&WITHDRAW, envelope, fields)
    }

    /// Type 20. `fraction` is 10000 / leverage, 1..=10000.
    pub fn update_leverage(
        envelope: Envelope,
        market_index: u64,
        fraction: u64,
        mode: MarginMode,
    ) -> Result<Self, Fault> {
        let fields = [signed(market_index), signed(fraction), mode as i64];
        Transaction::of(&UPDATE_LEVERAGE, envelope, fields)
    }

    /// Type 29. Of an isolated position.
    pub fn update_margin(
        envelope: Envelope,
        market_index: u64,
        usdc_amount: u64,
        direction: Direction,
    ) -> Result<Self, Fault> {
        let fields = [signed(market_index), signed(usdc_amount), direction as i64];
        Transaction::of(&UPDATE_MARGIN, envelope, fields)
    }
}

// Orders that no hot path sends.
impl Transaction {
    /// Type 17. The order keeps its index, and most likely loses its place in the queue.
    pub fn modify_order(envelope: Envelope, order: &ModifyOrder) -> Result<Self, Fault> {
        let fields = [
            order.market_index,
            order.index,
            order.base_amount,
            order.price,
            order.trigger_price,
        ];
        Transaction::of(&MODIFY_ORDER, envelope, fields.map(signed))
    }

    /// Type 28. Two orders, or three for a pair that the first one releases.
    pub fn create_grouped_orders(
        envelope: Envelope,
        grouping: Grouping,
        orders: &[CreateOrder],
    ) -> Result<Self, Fault> {
        let extra = Extra::Orders(Orders::new(orders)?);
        Transaction::with_extra(&CREATE_GROUPED_ORDERS, envelope, [grouping as i64], extra)
    }
}

// Pools. Fees in 10^-6, share rates in 10^-4.
impl Transaction {
    /// Type 10. By a master account.
    pub fn create_public_pool(
        envelope: Envelope,
        operator_fee: u64,
        initial_total_shares: u64,
        min_operator_share_rate: u64,
    ) -> Result<Self, Fault> {
        let fields = [operator_fee, initial_total_shares, min_operator_share_rate];
        Transaction::of(&CREATE_PUBLIC_POOL, envelope, fields.map(signed))
    }

    /// Type 11.
    pub fn update_public_pool(
        envelope: Envelope,
        public_pool_index: u64,
        status: u64,
        operator_fee: u64,
        min_operator_share_rate: u64,
    ) -> Result<Self, Fault> {
        let fields = [
            public_pool_index,
            status,
            operator_fee,
            min_operator_share_rate,
        ];
        Transaction::of(&UPDATE_PUBLIC_POOL, envelope, fields.map(signed))
    }

    /// Type 18.
    pub fn mint_shares(envelope: Envelope, pool: u64, shares: u64) -> Result<Self, Fault> {
        Transaction::of(&MINT_SHARES, envelope, [signed(pool), signed(shares)])
    }

    /// Type 19.
    pub fn burn_shares(envelope: Envelope, pool: u64, shares: u64) -> Result<Self, Fault> {
        Transaction::of(&BURN_SHARES, envelope, [signed(pool), signed(shares)])
    }

    /// Type 35.
    pub fn stake_assets(envelope: Envelope, pool: u64, shares: u64) -> Result<Self, Fault> {
        Transaction::of(&STAKE_ASSETS, envelope, [signed(pool), signed(shares)])
    }

    /// Type 36.
    pub fn unstake_assets(envelope: Envelope, pool: u64, shares: u64) -> Result<Self, Fault> {
        Transaction::of(&UNSTAKE_ASSETS, envelope, [signed(pool), signed(shares)])
    }
}
