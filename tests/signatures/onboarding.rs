//! What an Ethereum key signs on either venue, against vectors of the official libraries: keys,
//! digests, signatures, request bodies and headers.

use parallax::keys::ceremony::{Address, EthereumKey, hex, personal_digest, recover};
use parallax::keys::onboarding::{
    API_KEY_PATH, L1Headers, MessageTime, Onboarding, REGISTER_PATH, SUB_ACCOUNT_PATH,
    signing_domain,
};
use parallax::venue::extended::sign::hash::Chain;
use parallax::venue::extended::sign::onboarding::{
    AccountCreation, AccountRegistration, Action, domain_separator, grind, registration_message,
    typed_digest,
};
use parallax::venue::extended::sign::{Signature, StarkKey, parse_felt, verify};
use serde_json::Value;

const ONBOARDING: &str = include_str!("../data/extended/extended_onboarding.json");
const CHANGE_KEY: &str = include_str!("../data/lighter/lighter_changepubkey.json");

fn cases(file: &str) -> Vec<Value> {
    let root: Value = serde_json::from_str(file).unwrap();
    root["cases"].as_array().unwrap().clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn prefixed(bytes: &[u8]) -> String {
    format!("0x{}", hex(bytes))
}

/// Seconds since 1970 by counting every day on the way.
fn time(text: &str) -> MessageTime {
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let is_leap = leaps(year) > leaps(year - 1);
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
    let days = 365 * (year - 1970) + leaps(year - 1) - leaps(1969) + before + day - 1
        + u64::from(is_leap && month > 2);
    let seconds = 3600 * number(11, 13) + 60 * number(14, 16) + number(17, 19);
    MessageTime::from_unix_s(86_400 * days + seconds).unwrap()
}

/// The hashes and the signature of one typed message.
fn check_typed(key: &EthereumKey, domain: &str, struct_hash: [u8; 32], expected: &Value) {
    let separator = domain_separator(domain);
    assert_eq!(prefixed(&separator), text(&expected["domain_separator"]));
    assert_eq!(prefixed(&struct_hash), text(&expected["struct_hash"]));
    let digest = typed_digest(&separator, &struct_hash);
    assert_eq!(prefixed(&digest), text(&expected["digest"]));
    let signature = key.sign_digest(&digest);
    assert_eq!(prefixed(&signature), text(&expected["eth_signature"]));
    assert_eq!(recover(&digest, &signature), Some(key.address()));
}

fn check_case(case: &Value) -> Action {
    let input = &case["input"];
    let key = EthereumKey::parse_hex(text(&input["eth_private_key"])).unwrap();
    assert_eq!(key.address().to_string(), text(&input["eth_address"]));
    let domain = text(&input["signing_domain"]);
    let chains = [Chain::Main, Chain::Sepolia];
    let chain = chains
        .into_iter()
        .find(|&chain| signing_domain(chain) == domain);
    let onboarding = Onboarding {
        key: &key,
        chain: chain.unwrap(),
        host: text(&input["host"]),
        account_index: input["account_index"].as_i64().unwrap().try_into().unwrap(),
    };
    let Address(wallet) = key.address();
    let account = AccountCreation {
        account_index: onboarding.account_index,
        wallet,
    };
    check_typed(&key, domain, account.struct_hash(), &case["key_derivation"]);

    let private = onboarding.stark_key();
    let digits = hex(private.expose());
    let digits = format!("0x{}", digits.trim_start_matches('0'));
    assert_eq!(digits, text(&case["stark_private_key"]));
    let stark = StarkKey::from_bytes(private.expose()).unwrap();
    let public = stark.public_key();
    assert_eq!(format!("{public:#x}"), text(&case["stark_public_key"]));

    let message = registration_message(&wallet, public);
    assert_eq!(format!("{message:#x}"), text(&case["l2_message_pedersen"]));
    let expected = &case["l2_signature"];
    let expected = Signature {
        r: parse_felt(text(&expected["r"])).unwrap(),
        s: parse_felt(text(&expected["s"])).unwrap(),
    };
    assert_eq!(stark.sign(message), Ok(expected));
    assert!(verify(public, message, &expected));

    let when = time(text(&input["time"]));
    assert_eq!(when.to_string(), text(&input["time"]));
    let request = &case["l1_request"];
    let headers = L1Headers::sign(&key, text(&request["path"]), when);
    assert_eq!(headers.signature, text(&request["L1_SIGNATURE"]));
    assert_eq!(headers.time, text(&request["L1_MESSAGE_TIME"]));
    assert!([API_KEY_PATH, SUB_ACCOUNT_PATH].contains(&text(&request["path"])));

    let expected = &case["sdk_request_body"];
    let (action, body) = match text(&case["endpoint"]) {
        REGISTER_PATH => {
            let code = expected["referralCode"].as_str();
            let body = onboarding.register_body(&stark, when, code);
            (Action::Register, body)
        }
        SUB_ACCOUNT_PATH => {
            let description = text(&expected["description"]);
            let body = onboarding.sub_account_body(&stark, when, description);
            (Action::CreateSubAccount, body)
        }
        other => panic!("{other}"),
    };
    let body: Value = serde_json::from_str(&body.unwrap()).unwrap();
    assert_eq!(&body, expected);
    if action == Action::Register {
        let registration = AccountRegistration {
            account,
            time: text(&input["time"]),
            action,
            host: onboarding.host,
        };
        let expected = &case["registration"];
        check_typed(&key, domain, registration.struct_hash(), expected);
    }
    action
}

#[test]
fn extended_onboarding() {
    let actions: Vec<Action> = cases(ONBOARDING).iter().map(check_case).collect();
    let registered = actions.iter().filter(|&&action| action == Action::Register);
    assert_eq!((actions.len(), registered.count()), (30, 20));
}

/// A leading zero byte of r is dropped before the key is made of it; one vector has such an r.
#[test]
fn a_zero_byte_in_front_matters() {
    let cases = cases(ONBOARDING);
    let signature = |case: &Value| text(&case["key_derivation"]["eth_signature"])[2..66].to_owned();
    let case = cases.iter().find(|case| signature(case).starts_with("00"));
    let digits = signature(case.unwrap());
    let r: [u8; 32] =
        std::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap());
    let stark = StarkKey::parse_hex(text(&case.unwrap()["stark_private_key"])).unwrap();
    let ground = StarkKey::from_bytes(&grind(&r)).unwrap();
    assert_eq!(ground.public_key(), stark.public_key());
}

#[test]
fn texts_that_lighter_accounts_sign() {
    let cases = cases(CHANGE_KEY);
    for case in &cases {
        let key = EthereumKey::parse_hex(text(&case["eth_private_key"])).unwrap();
        assert_eq!(key.address().to_string(), text(&case["eth_address"]));
        let message = text(&case["l1_message"]);
        let signature = key.sign_personal(message);
        assert_eq!(prefixed(&signature), text(&case["l1_signature"]));
        let digest = personal_digest(message);
        assert_eq!(recover(&digest, &signature), Some(key.address()));
        let other = personal_digest(&format!("{message} "));
        assert_ne!(recover(&other, &signature), Some(key.address()));
    }
    assert_eq!(cases.len(), 36);
}
