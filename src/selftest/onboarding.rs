//! Extended's onboarding vectors: the Stark key from an Ethereum key, and the registration.

use super::Verdict;
use super::case::{Case, equal};
use super::signing::Bench;
use crate::keys::ceremony::{EthereumKey, hex, recover};
use crate::keys::onboarding::{
    L1Headers, MessageTime, Onboarding, REGISTER_PATH, SUB_ACCOUNT_PATH, signing_domain,
};
use crate::venue::extended::sign::hash::Chain;
use crate::venue::extended::sign::onboarding::{
    AccountCreation, AccountRegistration, Action, domain_separator, registration_message,
    typed_digest,
};
use crate::venue::extended::sign::{StarkKey, verify};
use serde_json::Value;

/// One account: key, registration message, request body, headers.
pub fn case(case: &Case<'_>, bench: &mut Bench) -> Verdict {
    let input = case.part("input")?;
    let key = EthereumKey::parse_hex(input.text("eth_private_key")?)
        .map_err(|why| format!("`eth_private_key`: {why:?}"))?;
    equal(
        "eth_address",
        key.address().to_string().as_str(),
        input.text("eth_address")?,
    )?;
    let domain = input.text("signing_domain")?;
    let chains = [Chain::Main, Chain::Sepolia].into_iter();
    let chain = { chains }.find(|chain| signing_domain(*chain) == domain);
    let index = i8::try_from(input.signed("account_index")?);
    let onboarding = Onboarding {
        key: &key,
        chain: chain.ok_or("`signing_domain` is unknown")?,
        host: input.text("host")?,
        account_index: index.map_err(|_| "`account_index` is beyond 8 bits")?,
    };
    let account = AccountCreation {
        account_index: onboarding.account_index,
        wallet: key.address().0,
    };
    typed(
        &key,
        domain,
        account.struct_hash(),
        case.part("key_derivation")?,
    )?;
    let stark = derived_key(*case, &onboarding)?;
    let message = registration_message(&account.wallet, stark.public_key());
    equal(
        "l2_message_pedersen",
        message,
        case.felt("l2_message_pedersen")?,
    )?;
    let official = case.part("l2_signature")?;
    let ours = stark.sign(message).map_err(|why| format!("{why:?}"))?;
    equal(
        "l2_signature",
        (ours.r, ours.s),
        (official.felt("r")?, official.felt("s")?),
    )?;
    if !verify(stark.public_key(), message, &ours) {
        return Err("the official signature does not verify".to_owned());
    }
    bench.extended(&stark, message);
    headers(*case, &key)?;
    request(*case, &onboarding, &stark)
}

/// The hashes and the signature of one EIP-712 message.
fn typed(key: &EthereumKey, domain: &str, struct_hash: [u8; 32], official: Case<'_>) -> Verdict {
    let separator = domain_separator(domain);
    equal(
        "domain_separator",
        separator,
        official.bytes("domain_separator")?,
    )?;
    equal("struct_hash", struct_hash, official.bytes("struct_hash")?)?;
    let digest = typed_digest(&separator, &struct_hash);
    equal("digest", digest, official.bytes("digest")?)?;
    let signature = key.sign_digest(&digest);
    equal("eth_signature", signature, official.bytes("eth_signature")?)?;
    equal("signer", recover(&digest, &signature), Some(key.address()))
}

fn derived_key(case: Case<'_>, onboarding: &Onboarding<'_>) -> Result<StarkKey, String> {
    let private = onboarding.stark_key();
    let digits = hex(private.expose());
    let official = case.text("stark_private_key")?;
    let significant = |text: &str| {
        text.trim_start_matches("0x").trim_start_matches('0') == digits.trim_start_matches('0')
    };
    if !significant(official) {
        // Named without showing what it is: the folder may hold somebody's own key.
        return Err("stark_private_key: ours differs".to_owned());
    }
    let stark = StarkKey::from_bytes(private.expose()).map_err(|why| format!("{why:?}"))?;
    equal(
        "stark_public_key",
        stark.public_key(),
        case.felt("stark_public_key")?,
    )?;
    Ok(stark)
}

/// The headers that vouch for the request of an API key.
fn headers(case: Case<'_>, key: &EthereumKey) -> Verdict {
    let official = case.part("l1_request")?;
    let path = official.text("path")?;
    let headers = L1Headers::sign(key, path, time(case)?);
    equal(
        "L1_MESSAGE_TIME",
        headers.time.as_str(),
        official.text("L1_MESSAGE_TIME")?,
    )?;
    equal(
        "L1_SIGNATURE",
        headers.signature.as_str(),
        official.text("L1_SIGNATURE")?,
    )?;
    let signed = format!("{path}@{}", headers.time);
    equal(
        "signed_text",
        signed.as_str(),
        official.text("signed_text")?,
    )
}

/// The request that registers the account, or the sub-account.
fn request(case: Case<'_>, onboarding: &Onboarding<'_>, stark: &StarkKey) -> Verdict {
    let (official, time) = (case.part("sdk_request_body")?, time(case)?);
    let body = match case.text("endpoint")? {
        REGISTER_PATH => {
            let registration = AccountRegistration {
                account: AccountCreation {
                    account_index: onboarding.account_index,
                    wallet: onboarding.key.address().0,
                },
                time: &time.to_string(),
                action: Action::Register,
                host: onboarding.host,
            };
            let domain = signing_domain(onboarding.chain);
            let hash = registration.struct_hash();
            typed(onboarding.key, domain, hash, case.part("registration")?)?;
            let code = official.value()["referralCode"].as_str();
            onboarding.register_body(stark, time, code)
        }
        SUB_ACCOUNT_PATH => onboarding.sub_account_body(stark, time, official.text("description")?),
        other => return Err(format!("`endpoint` {other} is unknown")),
    };
    let body = body.map_err(|why| format!("{why:?}"))?;
    let body: Value = serde_json::from_str(&body).map_err(|why| why.to_string())?;
    equal("sdk_request_body", &body, official.value())
}

/// `2026-08-10T23:13:52Z`, by trying days until one prints so: no calendar of our own.
fn time(case: Case<'_>) -> Result<MessageTime, String> {
    const DAY_S: u64 = 86_400;
    let text = case.part("input")?.text("time")?;
    let unread = || format!("`time` {text} is not a time in UTC of this century");
    let clock = text.get(11..19).ok_or_else(unread)?;
    let parts: Result<Vec<u64>, _> = clock.split(':').map(str::parse).collect();
    let second = match parts.as_deref() {
        Ok([hour, minute, second]) => 3600 * hour + 60 * minute + second,
        _ => return Err(unread()),
    };
    // From 2000 to 2100.
    let days = 10_957..47_482_u64;
    { days }
        .filter_map(|day| MessageTime::from_unix_s(day * DAY_S + second).ok())
        .find(|time| time.to_string() == text)
        .ok_or_else(unread)
}
