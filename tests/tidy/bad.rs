//! Bad snippets, one per rule and more: each must be complained about, and its good twin not.

use crate::rules;
use crate::source::Source;

fn complaints(path: &str, text: &str) -> Vec<String> {
    rules::all(&Source::new(path, &format!("//! Head.\n{text}")))
}

/// Exactly one complaint, and it says this.
fn bad(path: &str, text: &str, what: &str) {
    let found = complaints(path, text);
    assert_eq!(found.len(), 1, "{text}\n{found:?}");
    assert!(found[0].contains(what), "{found:?} does not say {what}");
}

fn good(path: &str, text: &str) {
    let found = complaints(path, text);
    assert!(found.is_empty(), "{text}\n{found:?}");
}

const HOT: &str = "src/scanner/x.rs";
const COLD: &str = "src/record/x.rs";

#[test]
fn limits() {
    bad(COLD, &format!("// {}", "x ".repeat(50)), "100 columns");
    good(COLD, &format!("// {}", "x".repeat(97)));
    bad(
        COLD,
        &format!("fn f() {{\n{}}}", "a();\n".repeat(70)),
        "`f` has 72 lines",
    );
    good(COLD, &format!("fn f() {{\n{}}}", "a();\n".repeat(68)));
    good(
        COLD,
        &format!(
            "// Long: one straight table.\nfn f() {{\n{}}}",
            "a();\n".repeat(90)
        ),
    );
    bad(
        COLD,
        "fn f(a: A, b: B, c: C, d: D, e: E, g: G) {}",
        "`f` has 6 parameters",
    );
    good(
        COLD,
        "// Wide: one for each stage.\nimpl<A, B, C> D for E {}",
    );
    good(
        COLD,
        "impl T for S { fn f(a: A, b: B, c: C, d: D, e: E, g: G) {} }",
    );
    good(
        COLD,
        "// Wide: the trait's words.\nfn f(a: A, b: B, c: C, d: D, e: E, g: G);",
    );
    good(
        COLD,
        "fn f(&mut self, a: A, b: B, c: C, d: (D, D), e: E<F, G>,) {}",
    );
    bad(
        COLD,
        &"const A: u8 = 1;\nfn f() {}\n".repeat(260),
        "lines without its tests",
    );
    good(COLD, &"const A: u8 = 1;\n".repeat(600));
    good(
        COLD,
        &format!(
            "fn f() {{}}\n#[cfg(test)]\nmod t {{\n{}}}",
            "a();\n".repeat(600)
        ),
    );
    bad("src/a/b/c/d/e.rs", "", "three folders");
    good("src/venue/lighter/sign/field.rs", "");
    bad(COLD, "fn f<A, B, C>() {}", "3 type parameters");
    bad(COLD, "impl<A, B, C> D for E {}", "3 type parameters");
    good(
        COLD,
        "struct F<'a, A: Fn(u8, u8) -> u8, B, const N: usize>;",
    );
}

#[test]
fn headers() {
    let none = Source::new(COLD, "fn f() {}");
    assert_eq!(rules::header(&none).len(), 1);
    let long = Source::new(COLD, &"//! x\n".repeat(16));
    assert_eq!(rules::header(&long).len(), 1);
    let right = Source::new(COLD, &"//! x\n".repeat(15));
    assert!(rules::header(&right).is_empty());
}

#[test]
fn nesting() {
    let five = "fn f() { if a { for b in c { match d { e => { while g { loop { h() } } } } } } }";
    bad(COLD, five, "nests 5 deep");
    let four = "fn f() { if a { for b in c { match d { e => { while g { S { x: 1 } } } } } } }";
    good(COLD, four);
}

#[test]
fn public_items() {
    let thirteen: String = (0..13).map(|i| format!("pub fn f{i}() {{}}\n")).collect();
    bad(HOT, &thirteen, "13 public items");
    good(COLD, &thirteen);
    let methods: String = (0..13)
        .map(|i| format!("    pub fn f{i}(&self) {{}}\n"))
        .collect();
    good(HOT, &format!("impl S {{\n{methods}}}"));
}

#[test]
fn words() {
    bad(COLD, "fn f() { unsafe { g() } }", "unsafe");
    bad(COLD, "fn f() { g().unwrap(); }", "unwrap");
    good(COLD, "#[cfg(test)]\nmod t { fn f() { g().unwrap(); } }");
    good(
        COLD,
        "fn f() { g().unwrap_or(1); let a = \"unsafe .unwrap()\"; }",
    );
    bad(COLD, "struct OrderManager;", "OrderManager");
    bad(COLD, "fn get_price() {}", "get_price");
    bad(COLD, "mod utils {}", "utils");
    bad(COLD, "// A mock venue.", "mock");
    bad(COLD, "fn dummy_order() {}", "dummy");
    bad(COLD, "// TODO: later", "todo");
    good(COLD, "// A simulated venue that is no fakery.");
    bad(
        COLD,
        "fn f() { g().expect(\"works\"); }",
        "expect without a reason",
    );
    good(COLD, "fn f() { g().expect(\"the table is not empty\"); }");
}

#[test]
fn hot_list() {
    for line in [
        "let a = String::new();",
        "let a = format!(x);",
        "let a = Box::new(b);",
        "let a: f64 = b;",
        "let a = b.to_vec();",
        "let a = vec![1];",
        "let a = std::time::Duration::ZERO;",
        "let a: &dyn B = c;",
        "println!(a);",
        "let a: HashMap<B, C> = d;",
        "let a = Arc::clone(b);",
    ] {
        let hot = format!("fn turn() {{ {line} }}");
        bad(HOT, &hot, "in the hot function `turn`");
        good(COLD, &hot);
        good(HOT, &format!("fn new() {{ {line} }}"));
        good(HOT, &format!("#[cold]\nfn complain() {{ {line} }}"));
        good(
            HOT,
            &format!("#[cfg(test)]\nmod tests {{ fn turn() {{ {line} }} }}"),
        );
    }
    bad(HOT, "fn walk() { walk(); }", "calls itself");
    bad(HOT, "fn walk(&self) { self.walk(); }", "calls itself");
    good(HOT, "fn walk(&self) { self.inner.walk(); Other::walk(); }");
    good(
        HOT,
        "fn read(&self, read: R) { read(1); match a { Node::String(b) => c } }",
    );
    for path in [
        "src/feed.rs",
        "src/venue/lighter/sign/field.rs",
        "src/venue/extended/wire.rs",
    ] {
        assert!(rules::is_hot(path), "{path}");
    }
    for path in [
        "src/venue/lighter/account.rs",
        "src/stage/clock.rs",
        "src/sim/flow.rs",
    ] {
        assert!(!rules::is_hot(path), "{path}");
    }
}

#[test]
fn rooms() {
    bad(
        "src/market/x.rs",
        "use crate::stage::link::Tx;",
        "`market` names `stage::link`",
    );
    good(
        "src/market/x.rs",
        "use crate::market::{Venue, units::Price};",
    );
    bad(
        "src/scanner/x.rs",
        "use crate::{market::Venue, venue::Feed};",
        "`venue::Feed`",
    );
    bad(
        "src/net/x.rs",
        "fn f() { crate::venue::f(); }",
        "`net` names `venue::f`",
    );
    bad(
        "src/config/x.rs",
        "use crate::stage::{link, idle};",
        "`config` names `stage::idle`",
    );
    good("src/config/x.rs", "use crate::stage::{link, clock::Clock};");
    bad(
        "src/sim/x.rs",
        "use crate::venue::lighter::sign;",
        "`sim` names `venue::lighter`",
    );
    good(
        "src/sim/x.rs",
        "#[cfg(test)]\nmod tests { use crate::venue::lighter; }",
    );
    bad(
        "src/venue/lighter/x.rs",
        "use crate::venue::extended::wire;",
        "names the other",
    );
    good(
        "src/venue/lighter/x.rs",
        "use crate::venue::lighter::wire;\nuse crate::venue::Feed;",
    );
    good("src/venue/lighter/account.rs", "use crate::config::Url;");
    bad(
        "src/venue/lighter/x.rs",
        "use crate::config::Url;",
        "`venue` names `config::Url`",
    );
    good("src/main.rs", "use crate::venue::Feed;");
}

#[test]
fn doors() {
    bad("src/scanner/x.rs", "use rtrb::RingBuffer;", "rtrb");
    good("src/stage/link.rs", "use rtrb::RingBuffer;");
    bad(
        "src/net/x.rs",
        "fn f() { serde_json::f(); }",
        "serde_json in a hot file",
    );
    good(COLD, "fn f() { serde_json::f(); }");
    bad("src/record/x.rs", "use sha2::Sha256;", "sha2");
    good("src/venue/extended/sign/hash.rs", "use sha2::Sha256;");
    bad(
        "src/venue/extended/feed.rs",
        "use simd_json::Tape;",
        "simd_json",
    );
    good("src/venue/extended/wire.rs", "use simd_json::Tape;");
    good(
        "src/scanner/x.rs",
        "fn f() { a::fixed::b(); prefixed::c(); }",
    );
}
