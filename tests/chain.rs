//! The chain's room against a real EVM node, and contracts that Solidity's compiler made.

#[path = "rig/evm.rs"]
mod evm;

use evm::{ASSET, Evm, amount, word};
use parallax::keys::ceremony::{Address, EthereumKey};
use parallax::treasury::chain::{Call, Chain, ChainError, Outcome, Settings, Signed};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;

const DOLLAR: u128 = 1_000_000;
const ETHER: u128 = 1_000_000_000_000_000_000;
const GWEI: u128 = 1_000_000_000;
/// A quote's number, with bytes at both ends.
const COMMITMENT: [u8; 32] = {
    let mut bytes = [0; 32];
    (bytes[0], bytes[20], bytes[31]) = (0x12, 0x34, 0x56);
    bytes
};

/// A node, and a wallet with 1 ETH and 100 USDC.
struct Stand {
    evm: Evm,
    key: EthereumKey,
    wallet: Address,
    chain: Chain,
}

impl Stand {
    fn new() -> Stand {
        Stand::with(1)
    }

    fn with(confirmations: u64) -> Stand {
        let evm = Evm::start();
        let key = EthereumKey::parse_hex(&"4c".repeat(32)).unwrap();
        let wallet = key.address();
        evm.fund(wallet, ETHER);
        evm.mint(wallet, 100 * DOLLAR);
        let settings = Settings {
            confirmations,
            ..evm.settings()
        };
        let chain = Chain::open(&settings, None).unwrap();
        Stand {
            evm,
            key,
            wallet,
            chain,
        }
    }

    fn approve(&self, spender: Address, units: u128) -> Call {
        Call::Approve {
            token: self.evm.usdc,
            spender,
            amount: units,
        }
    }

    fn deposit(&self, units: u128) -> Call {
        Call::LighterDeposit {
            contract: self.evm.lighter,
            to: self.wallet,
            asset: ASSET,
            route: 0,
            amount: units,
        }
    }

    fn prepare(&self, call: &Call) -> Result<Signed, ChainError> {
        self.chain.prepare(&self.key, call)
    }

    /// Why nothing was prepared.
    fn refusal(&self, call: &Call) -> ChainError {
        self.prepare(call).expect_err("it is refused")
    }

    /// Prepares, sends, and sees it done.
    fn carry_out(&self, call: &Call) -> Signed {
        let signed = self.prepare(call).unwrap();
        self.send(&signed);
        let outcome = self.outcome(&[&signed]);
        assert!(is_mined(outcome, &signed), "{outcome:?}");
        signed
    }

    /// Sends, and waits for the block.
    fn send(&self, signed: &Signed) {
        self.chain.send(signed).unwrap();
        self.evm.wait(signed.hash);
    }

    fn outcome(&self, attempts: &[&Signed]) -> Outcome {
        let attempts: Vec<Signed> = attempts.iter().copied().cloned().collect();
        self.chain.outcome(&attempts).unwrap()
    }
}

fn is_mined(outcome: Outcome, signed: &Signed) -> bool {
    matches!(outcome, Outcome::Mined { hash, .. } if hash == signed.hash)
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn what_is_approved_is_deposited_and_what_is_left_is_claimed() {
    let stand = Stand::new();
    let (evm, chain, wallet) = (&stand.evm, &stand.chain, stand.wallet);
    assert_eq!(chain.balance(evm.usdc, wallet), Ok(100 * DOLLAR));
    assert_eq!(chain.native(wallet), Ok(ETHER));

    stand.carry_out(&stand.approve(evm.lighter, 40 * DOLLAR));
    assert_eq!(
        chain.allowance(evm.usdc, wallet, evm.lighter),
        Ok(40 * DOLLAR)
    );
    let to_lighter = stand.carry_out(&stand.deposit(40 * DOLLAR));
    assert_eq!(chain.allowance(evm.usdc, wallet, evm.lighter), Ok(0));

    stand.carry_out(&stand.approve(evm.bridge, 30 * DOLLAR));
    let to_extended = stand.carry_out(&Call::ExtendedDeposit {
        bridge: evm.bridge,
        token: evm.usdc,
        amount: 30 * DOLLAR,
        commitment: COMMITMENT,
    });
    assert_eq!(chain.balance(evm.usdc, wallet), Ok(30 * DOLLAR));
    let seen: Vec<_> = evm
        .deposits()
        .into_iter()
        .map(|seen| {
            assert_eq!(seen.wallet, wallet);
            (seen.contract, seen.amount, seen.commitment, seen.hash)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (evm.lighter, 40 * DOLLAR, [0; 32], to_lighter.hash),
            (evm.bridge, 30 * DOLLAR, COMMITMENT, to_extended.hash),
        ]
    );

    evm.prove(wallet, 25 * DOLLAR);
    assert_eq!(chain.claimable(evm.lighter, wallet, ASSET), Ok(25 * DOLLAR));
    stand.carry_out(&Call::LighterClaim {
        contract: evm.lighter,
        owner: wallet,
        asset: ASSET,
        amount: 25 * DOLLAR,
    });
    assert_eq!(chain.claimable(evm.lighter, wallet, ASSET), Ok(0));
    assert_eq!(chain.balance(evm.usdc, wallet), Ok(55 * DOLLAR));
    // Five transactions were paid for, and by nobody else.
    assert!(chain.native(wallet).unwrap() < ETHER);
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn what_would_be_refused_is_told_with_the_reason_and_nothing_is_sent() {
    let stand = Stand::new();
    let evm = &stand.evm;
    let reverts = |call: &Call, reason: &str| {
        assert_eq!(
            stand.refusal(call),
            ChainError::WouldRevert(reason.to_owned())
        );
    };
    reverts(
        &stand.deposit(40 * DOLLAR),
        "ERC20: transfer amount exceeds allowance",
    );
    stand.carry_out(&stand.approve(evm.lighter, 500 * DOLLAR));
    reverts(
        &stand.deposit(101 * DOLLAR),
        "ERC20: transfer amount exceeds balance",
    );
    // `BelowMinimum()`, an error of the contract's own.
    reverts(&stand.deposit(DOLLAR - 1), "error 0x860b82a9 of its own");
    let claim = Call::LighterClaim {
        contract: evm.lighter,
        owner: stand.wallet,
        asset: ASSET,
        amount: 1,
    };
    reverts(&claim, "its code panics (0x11)");
    let bridged = Call::ExtendedDeposit {
        bridge: evm.bridge,
        token: Address([0; 20]),
        amount: DOLLAR,
        commitment: COMMITMENT,
    };
    reverts(&bridged, "BLACKHOLE_NOT_ALLOWED");
    evm.call(evm.usdc, "pause(bool)", &[amount(1)]);
    reverts(&stand.deposit(DOLLAR), "Pausable: paused");
    evm.call(evm.usdc, "pause(bool)", &[amount(0)]);
    evm.call(
        evm.usdc,
        "blacklist(address,bool)",
        &[word(stand.wallet), amount(1)],
    );
    let blacklisted = "Blacklistable: account is blacklisted";
    reverts(&stand.approve(evm.lighter, 0), blacklisted);

    let mute = evm.deploy("Mute", &[]);
    let nowhere = Address([9; 20]);
    for (token, error) in [
        (mute, ChainError::NotGranted(mute)),
        (nowhere, ChainError::NoContract(nowhere)),
    ] {
        let approve = Call::Approve {
            token,
            spender: evm.lighter,
            amount: DOLLAR,
        };
        assert_eq!(stand.refusal(&approve), error);
    }
    let balance = stand.chain.balance(nowhere, stand.wallet);
    assert_eq!(balance, Err(ChainError::NoContract(nowhere)));
    // Of all that, the one approval was sent.
    let count = evm.ask("eth_getTransactionCount", json!([stand.wallet, "latest"]));
    assert_eq!((count, evm.deposits()), (json!("0x1"), vec![]));
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn what_would_cost_too_much_is_not_signed() {
    let stand = Stand::new();
    let approve = stand.approve(stand.evm.lighter, DOLLAR);
    let signed = stand.prepare(&approve).unwrap();
    let cost = u128::from(signed.gas) * signed.fee_max;
    stand.evm.fund(stand.wallet, cost);
    assert_eq!(stand.prepare(&approve).unwrap(), signed);
    stand.evm.fund(stand.wallet, cost - 1);
    let no_ether = ChainError::NoEther {
        found: cost - 1,
        needed: cost,
    };
    assert_eq!(stand.refusal(&approve), no_ether);

    stand.evm.fund(stand.wallet, ETHER);
    let base = format!("0x{:x}", 27 * GWEI);
    stand
        .evm
        .ask("anvil_setNextBlockBaseFeePerGas", json!([base]));
    stand.evm.mine(1);
    let dear = stand.refusal(&approve);
    let is_dear = matches!(dear, ChainError::Dear { found, most }
        if most == 30 * GWEI && found > 30 * GWEI);
    assert!(is_dear && dear.is_passing(), "{dear:?}");
    assert!(stand.chain.replace(&stand.key, &signed).is_err());
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn a_stuck_transaction_is_replaced_by_a_dearer_one() {
    let stand = Stand::new();
    stand.evm.automine(false);
    let first = stand
        .prepare(&stand.approve(stand.evm.lighter, DOLLAR))
        .unwrap();
    assert_eq!(stand.outcome(&[&first]), Outcome::Unknown);
    stand.chain.send(&first).unwrap();
    assert_eq!(stand.outcome(&[&first]), Outcome::Pending);
    let second = stand.chain.replace(&stand.key, &first).unwrap();
    let third = stand.chain.replace(&stand.key, &second).unwrap();
    stand.chain.send(&second).unwrap();
    // Written down and not sent, it changes nothing.
    assert_eq!(stand.outcome(&[&first, &second, &third]), Outcome::Pending);
    // What the node threw out for the dearer one, it does not take back.
    let error = stand.chain.send(&first).unwrap_err();
    assert!(matches!(error, ChainError::Refused { .. }), "{error:?}");
    stand.evm.mine(1);
    let outcome = stand.outcome(&[&first, &second, &third]);
    assert!(is_mined(outcome, &second), "{outcome:?}");
    let spender = stand.evm.lighter;
    let allowance = stand.chain.allowance(stand.evm.usdc, stand.wallet, spender);
    assert_eq!(allowance, Ok(DOLLAR));
    // Sent again after it was mined, it is still no error.
    stand.chain.send(&second).unwrap();
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn a_foreign_transaction_of_the_same_nonce_is_seen_once_it_is_confirmed() {
    let stand = Stand::with(3);
    let ours = stand
        .prepare(&stand.approve(stand.evm.lighter, DOLLAR))
        .unwrap();
    let foreign = stand
        .prepare(&stand.approve(stand.evm.bridge, DOLLAR))
        .unwrap();
    assert_eq!(ours.nonce, foreign.nonce);
    stand.send(&foreign);
    for _ in 0..2 {
        assert_eq!(stand.outcome(&[&ours]), Outcome::Pending);
        stand.evm.mine(1);
    }
    assert_eq!(stand.outcome(&[&ours]), Outcome::Replaced);
    assert!(is_mined(stand.outcome(&[&ours, &foreign]), &foreign));
    assert!(stand.chain.send(&ours).is_err());
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn what_the_node_forgot_is_sent_again_byte_for_byte() {
    let stand = Stand::new();
    stand.evm.automine(false);
    let signed = stand
        .prepare(&stand.approve(stand.evm.lighter, DOLLAR))
        .unwrap();
    let written = serde_json::to_string(&signed).unwrap();
    stand.chain.send(&signed).unwrap();
    stand.chain.send(&signed).unwrap();
    stand.evm.forget(signed.hash);
    assert_eq!(stand.outcome(&[&signed]), Outcome::Unknown);
    let read: Signed = serde_json::from_str(&written).unwrap();
    stand.chain.send(&read).unwrap();
    stand.evm.mine(1);
    assert!(is_mined(stand.outcome(&[&read]), &signed));
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn a_transaction_counts_when_its_blocks_are_there_and_not_when_they_are_taken_back() {
    let stand = Stand::with(3);
    let signed = stand
        .prepare(&stand.approve(stand.evm.lighter, DOLLAR))
        .unwrap();
    stand.send(&signed);
    assert_eq!(stand.outcome(&[&signed]), Outcome::Pending);
    stand.evm.mine(1);
    assert_eq!(stand.outcome(&[&signed]), Outcome::Pending);
    // The last two blocks never were, and the chain goes on without them.
    stand.evm.automine(false);
    stand.evm.ask("anvil_reorg", json!([2, []]));
    stand.evm.forget(signed.hash);
    assert_eq!(stand.outcome(&[&signed]), Outcome::Unknown);
    stand.chain.send(&signed).unwrap();
    stand.evm.mine(3);
    assert!(is_mined(stand.outcome(&[&signed]), &signed));
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn what_reverts_on_the_chain_after_all_is_told() {
    let stand = Stand::new();
    stand.carry_out(&stand.approve(stand.evm.lighter, DOLLAR));
    let signed = stand.prepare(&stand.deposit(DOLLAR)).unwrap();
    stand.evm.call(stand.evm.usdc, "pause(bool)", &[amount(1)]);
    stand.send(&signed);
    let hash = signed.hash;
    assert_eq!(stand.outcome(&[&signed]), Outcome::Reverted { hash });
    let has = stand.chain.balance(stand.evm.usdc, stand.wallet);
    assert_eq!((has, stand.evm.deposits()), (Ok(100 * DOLLAR), vec![]));
}

#[test]
#[ignore = "needs anvil and solc: npm install @foundry-rs/anvil-linux-amd64@1.7.1 solc@0.8.37"]
fn a_node_of_another_chain_is_refused_and_so_are_strange_questions() {
    let mut stand = Stand::new();
    let settings = Settings {
        chain_id: 1,
        ..stand.evm.settings()
    };
    let wrong = ChainError::WrongChain {
        wanted: 1,
        found: stand.evm.chain_id,
    };
    assert_eq!(Chain::open(&settings, None).err(), Some(wrong));
    let misused = |result: Result<Outcome, ChainError>| {
        assert!(matches!(result, Err(ChainError::Misused(_))), "{result:?}");
    };
    let one = stand.carry_out(&stand.approve(stand.evm.lighter, 1));
    let other = stand.prepare(&stand.approve(stand.evm.lighter, 2)).unwrap();
    misused(stand.chain.outcome(&[]));
    misused(stand.chain.outcome(&[one.clone(), other]));
    let stranger = EthereumKey::parse_hex(&"4d".repeat(32)).unwrap();
    assert!(stand.chain.replace(&stranger, &one).is_err());
    stand.evm.stop();
    let error = stand.chain.outcome(&[one]).unwrap_err();
    assert!(matches!(error, ChainError::Network { .. }) && error.is_passing());
}

/// A node that answers every question with these bytes, and the address of it, with a key.
fn node(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v3/secretsecret", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let length = body.len();
            let head = "Content-Type: application/json\r\nConnection: close";
            let answer =
                format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn what_a_node_answers_that_is_no_answer() {
    let refused = |code, message: &str| ChainError::Refused {
        method: "eth_chainId",
        code,
        message: message.to_owned(),
    };
    let status = |status| ChainError::Status {
        host: "127.0.0.1".to_owned(),
        status,
    };
    let malformed = ChainError::Malformed;
    for (line, body, error, is_passing) in [
        ("401 No", "who is v3/secretsecret?", status(401), false),
        ("429 Slow", "{}", status(429), true),
        ("502 Bad", "<html>", status(502), true),
        (
            "302 Found\r\nLocation: http://127.0.0.1:1/",
            "",
            status(302),
            false,
        ),
        ("200 OK", "<html>", malformed("result"), true),
        (
            "200 OK",
            r#"{"result":null}"#,
            malformed("eth_chainId"),
            true,
        ),
        (
            "200 OK",
            r#"{"result":"0x"}"#,
            malformed("eth_chainId"),
            true,
        ),
        ("200 OK", r#"{"result":1}"#, malformed("eth_chainId"), true),
        (
            "200 OK",
            r#"{"error":{"code":-32000,"message":"no v3/secretsecret here"}}"#,
            refused(-32000, "no (redacted) here"),
            false,
        ),
        (
            "200 OK",
            r#"{"error":{"code":-32005,"message":"slow"}}"#,
            refused(-32005, "slow"),
            true,
        ),
        ("400 Bad", r#"{"error":{}}"#, refused(0, "no reason"), false),
    ] {
        let settings = Settings {
            url: node(line, body),
            chain_id: 1,
            fee_max_gwei: 30,
            confirmations: 1,
        };
        let found = Chain::open(&settings, None).err().expect("it is no answer");
        assert_eq!((&found, found.is_passing()), (&error, is_passing), "{line}");
        let told = format!("{found} {found:?} {settings:?}");
        assert!(!told.contains("secretsecret"), "{told}");
    }
}
