// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

interface Token {
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// Takes deposits and pays out what was withdrawn. Who plays the venue says what that is.
contract Lighter {
    uint16 public constant USDC_ASSET_INDEX = 3;
    uint256 public constant DEPOSIT_MIN = 1e6;

    Token private immutable usdc;
    mapping(address => mapping(uint16 => uint128)) private pending;

    event Deposit(address to, uint16 assetIndex, uint8 routeType, uint256 amount);

    error UnknownAsset();
    error UnknownRoute();
    error BelowMinimum();

    constructor(Token token) {
        usdc = token;
    }

    function deposit(address to, uint16 assetIndex, uint8 routeType, uint256 amount) external payable {
        if (assetIndex != USDC_ASSET_INDEX) revert UnknownAsset();
        if (routeType > 1) revert UnknownRoute();
        if (amount < DEPOSIT_MIN) revert BelowMinimum();
        usdc.transferFrom(msg.sender, address(this), amount);
        emit Deposit(to, assetIndex, routeType, amount);
    }

    function getPendingBalance(address owner, uint16 assetIndex) external view returns (uint128) {
        return pending[owner][assetIndex];
    }

    function withdrawPendingBalance(address owner, uint16 assetIndex, uint128 amount) external {
        pending[owner][assetIndex] -= amount;
        usdc.transfer(owner, amount);
    }

    /// The venue's own doing: a withdrawal has been proven.
    function prove(address owner, uint16 assetIndex, uint128 amount) external {
        pending[owner][assetIndex] += amount;
    }
}
