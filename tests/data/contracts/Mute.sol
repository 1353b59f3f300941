// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

/// A token that says no without a word.
contract Mute {
    function approve(address, uint256) external pure returns (bool) {
        return false;
    }
}
