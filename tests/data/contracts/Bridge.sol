// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

interface Token {
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// Takes deposits that belong to a quote.
contract Bridge {
    event BridgedDepositWithId(
        address sender,
        address origin,
        address token,
        uint256 amount,
        uint256 commitmentId
    );

    function depositWithId(address token, uint256 amount, uint256 commitmentId) external {
        require(token != address(0), "BLACKHOLE_NOT_ALLOWED");
        Token(token).transferFrom(msg.sender, address(this), amount);
        emit BridgedDepositWithId(msg.sender, tx.origin, token, amount, commitmentId);
    }
}
