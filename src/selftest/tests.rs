//! The selftest tested: every built-in vector passes, and every number bent in one makes it fail.

use super::*;

fn judged(kind: &str, text: &str) -> Results {
    let mut results = Results::default();
    results.take_text(kind, text, &mut Bench::new());
    results
}

#[test]
fn an_unknown_kind_is_skipped_and_named_and_alone_is_no_success() {
    let results = judged("lighter_dreams", r#"{"cases":[1,2,3]}"#);
    let tally = results.kinds["lighter_dreams"];
    assert_eq!((tally.passed, tally.failed, tally.skipped), (0, 0, 3));
    assert!(!results.is_clean());
    assert!(results.to_string().contains("skipped: lighter_dreams"));
    assert_eq!(cases_len("{}\n{}\n\n"), 2);
    assert_eq!(cases_len(r#"{"about":"constants"}"#), 1);
}

#[test]
fn what_cannot_be_read_fails() {
    for text in ["", "nonsense", "{}", r#"{"cases":[]}"#, r#"{"cases":[{}]}"#] {
        for (kind, _) in BUILT_IN {
            let results = judged(kind, text);
            assert_eq!(results.total().failed, 1, "{kind} {text}");
            assert!(!results.is_clean());
            assert!(results.faults[0].starts_with(kind), "{:?}", results.faults);
        }
    }
}

#[test]
fn a_folder_without_vectors_is_refused() {
    let nowhere = Path::new("/nonexistent/vectors");
    assert!(matches!(run(Some(nowhere)), Err(SelftestError::Folder(..))));
    let empty = std::env::temp_dir().join(format!("parallax-empty-{}", std::process::id()));
    std::fs::create_dir_all(&empty).unwrap();
    assert!(matches!(run(Some(&empty)), Err(SelftestError::Empty(_))));
    std::fs::remove_dir(&empty).unwrap();
}

#[test]
fn the_json_has_the_documented_fields() {
    let mut results = Results::default();
    results.count("a", Ok(()));
    results.count("a", Err("b".into()));
    let expected = r#"{"failed":1,"kinds":{"a":{"failed":1,"passed":1,"skipped":0}},"passed":1}"#;
    assert_eq!(results.to_json().to_string(), expected);
}

/// What ships, by kind; the rejections of `lighter_tx` are cases.
const PASSED: [(&str, u64); 15] = [
    ("extended_limit_orders", 40),
    ("extended_onboarding", 30),
    ("extended_orders", 240),
    ("extended_sign_full", 434),
    ("extended_sign_pooled", 434),
    ("extended_transfers", 40),
    ("extended_withdrawals", 40),
    ("lighter_auth_tokens", 40),
    ("lighter_changepubkey", 36),
    ("lighter_curve", 156),
    ("lighter_poseidon2", 240),
    ("lighter_schnorr", 95),
    ("lighter_sign_full", 572),
    ("lighter_sign_pooled", 572),
    ("lighter_tx", 464),
];

#[test]
fn every_vector_that_ships_passes_and_none_is_skipped() {
    let results = run(None).unwrap();
    assert!(results.is_clean(), "{results}");
    let seen: Vec<(&str, u64)> = results
        .kinds
        .iter()
        .map(|(kind, tally)| (kind.as_str(), tally.passed))
        .collect();
    assert_eq!(seen, PASSED);
    assert_eq!(results.total().skipped, 0);
}

/// What a case says about itself and no judge can check: where it came from, and what it is called.
const REMARKS: [&str; 7] = ["id", "tags", "kind", "op", "market", "type", "error"];

/// Every way to bend one value of a case: the case with it bent, and where.
fn bent(case: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut paths = Vec::new();
    collect(case, String::new(), &mut paths);
    for path in paths {
        let mut copy = case.clone();
        let value = copy.pointer_mut(&path).unwrap();
        *value = match &*value {
            Value::String(text) => Value::String(bent_text(text)),
            Value::Number(number) => json!(number.as_i64().map_or(7, |n| n ^ 1)),
            Value::Bool(flag) => Value::Bool(!flag),
            _ => continue,
        };
        all.push((path, copy));
    }
    all
}

fn collect(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if !REMARKS.contains(&name.as_str()) || path.contains("tx_info") {
                    collect(value, format!("{path}/{name}"), paths);
                }
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                collect(value, format!("{path}/{at}"), paths);
            }
        }
        _ => paths.push(path),
    }
}

/// Another last digit, so that numbers stay numbers and texts stay texts.
fn bent_text(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    match chars.iter_mut().rev().find(|c| c.is_ascii_hexdigit()) {
        Some(digit) => *digit = if *digit == '1' { '2' } else { '1' },
        None => chars.push('1'),
    }
    chars.into_iter().collect()
}

/// The first case of each sort within a kind.
fn samples(kind: &str, text: &str) -> Vec<Value> {
    let root: Value = serde_json::from_str(text).unwrap();
    let lists = [&root["cases"], &root["rejections"]];
    let cases = lists.iter().filter_map(|list| list.as_array()).flatten();
    let mut sorts = Vec::new();
    let mut samples = Vec::new();
    for case in cases {
        let sort = [
            &case["op"],
            &case["tx_type"],
            &case["accepted"],
            &case["endpoint"],
        ];
        let sort = format!("{kind}{sort:?}{}", case["attributes_hash"].is_null());
        if !sorts.contains(&sort) {
            sorts.push(sort);
            samples.push(case.clone());
        }
    }
    samples
}

/// Bent values that rightly change nothing, each with its reason.
fn is_free(kind: &str, case: &Value, path: &str) -> bool {
    // How the official library words the request; ours is judged in `tests/protocol`.
    if path.starts_with("/sdk_request_body") && kind != "extended_onboarding" {
        return true;
    }
    // A last digit beyond the settlement layer's units, or a millisecond, is rounded away.
    let amounts = [
        "qty",
        "price",
        "amount",
        "quote_amount",
        "expiry_epoch_millis",
    ];
    if amounts.iter().any(|name| path == format!("/input/{name}")) {
        return true;
    }
    match kind {
        // Where the money goes after it was signed for.
        "extended_withdrawals" => ["/input/account_id", "/input/target_chain"].contains(&path),
        // The receiver's key is not signed (the venue's own rule).
        "extended_transfers" => path == "/input/to_public_key",
        // A refusal stays one whatever the fields that are in order say.
        "lighter_tx" if case["accepted"] == json!(false) => {
            !["/accepted", "/tx_type", "/name"].contains(&path)
        }
        // Nobody says which key signed what was accepted, and when: its text is compared.
        "lighter_tx" if case["accepted"] == json!(true) => {
            ["/tx_info/Sig", "/tx_info/ExpiredAt"].contains(&path)
        }
        // Free text of the user's.
        "extended_onboarding" => path == "/sdk_request_body/description",
        // Either of two roots will do.
        "lighter_curve" => path.starts_with("/roots/"),
        // What must be refused stays so.
        "lighter_schnorr" if case["valid"] == json!(false) => path != "/valid",
        _ => false,
    }
}

#[test]
fn a_bent_value_fails_its_case() {
    let (mut bent_count, mut unseen) = (0, Vec::new());
    for (kind, text) in BUILT_IN {
        let judge = judge_of(kind).unwrap();
        for case in samples(kind, text) {
            let mut bench = Bench::new();
            assert_eq!(judge(&Case::new(&case), &mut bench), Ok(()), "{kind}");
            for (path, bent) in bent(&case) {
                let passes = judge(&Case::new(&bent), &mut bench).is_ok();
                if passes && !is_free(kind, &case, &path) {
                    unseen.push(format!("{kind} {}{path}", case["tx_type"]));
                }
                bent_count += 1;
            }
        }
    }
    assert!(unseen.is_empty(), "these do not matter: {unseen:#?}");
    assert!(bent_count > 1_000, "{bent_count}");
}
