//! A Rust file as the rules need it: lines told apart into code, comment and test; functions found.
//!
//! A small hand parser that knows strings, characters, comments and braces, and nothing else of the
//! language. What it can't know (types, names in scope) no rule asks for.

use std::path::Path;

/// One file. `code` is the text with comments, strings and characters blanked out (line breaks
/// kept) and with its test parts blanked too, so that searching it finds code only.
pub struct Source {
    /// Path from the root of the project, with `/`.
    pub path: String,
    /// The text as it stands.
    pub text: String,
    /// Code only.
    pub code: String,
    /// Per line: what it is.
    pub kinds: Vec<LineKind>,
}

/// What a line is. A line of brackets alone says as little as an empty one, so neither counts as
/// code nor as test: how a formatter breaks lines must not change what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    Blank,
    Comment,
    Code,
    Test,
    BlankTest,
}

fn says_something(line: &str) -> bool {
    line.chars().any(is_word)
}

/// One function, with or without a body.
pub struct Function {
    pub name: String,
    /// Comment and attribute lines directly above.
    pub above: String,
    /// Line it begins on, from 1.
    pub line: usize,
    /// Lines from `fn` to its closing brace.
    pub line_count: usize,
    /// Parameters, `self` not counted.
    pub parameter_count: usize,
    /// It takes `self`, so a call without a receiver is not a call of itself.
    pub is_method: bool,
    /// It stands in `impl Trait for Type`, so that its parameters are the trait's choice.
    pub is_of_trait: bool,
    /// Code between its braces.
    pub body: String,
}

impl Source {
    pub fn read(root: &Path, path: &str) -> Source {
        let text = std::fs::read_to_string(root.join(path)).expect("the file was just listed");
        Source::new(path, &text)
    }

    pub fn new(path: &str, text: &str) -> Source {
        let bare = blank(text);
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_test_file =
            name == "tests.rs" || name.starts_with("tests_") || path.contains("tests/");
        let mut code: Vec<char> = bare.chars().collect();
        let mut is_test = vec![is_test_file; text.lines().count() + 1];
        let items = match is_test_file {
            true => vec![(0, code.len())],
            false => test_items(&code),
        };
        for (start, end) in items {
            let first = code[..start].iter().filter(|&&c| c == '\n').count();
            let last = code[..end].iter().filter(|&&c| c == '\n').count();
            is_test[first..=last].fill(true);
            let keep = |c: &mut char| *c = if *c == '\n' { '\n' } else { ' ' };
            code[start..end].iter_mut().for_each(keep);
        }
        let kinds = text.lines().enumerate().map(|(at, line)| {
            let line = line.trim();
            match () {
                _ if is_test[at] && says_something(line) => LineKind::Test,
                _ if is_test[at] => LineKind::BlankTest,
                _ if line.starts_with("//") => LineKind::Comment,
                _ if !says_something(line) => LineKind::Blank,
                _ => LineKind::Code,
            }
        });
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            kinds: kinds.collect(),
            code: code.into_iter().collect(),
        }
    }

    /// Lines of a kind.
    pub fn count(&self, kind: LineKind) -> usize {
        self.kinds.iter().filter(|&&other| other == kind).count()
    }

    /// Every function outside the test parts.
    pub fn functions(&self) -> Vec<Function> {
        let code: Vec<char> = self.code.chars().collect();
        let blocks = trait_blocks(&code);
        let mut found = Vec::new();
        for (at, word) in words(&code) {
            let function = (word == "fn").then(|| self.function(&code, at)).flatten();
            if let Some(mut function) = function {
                function.is_of_trait = blocks.iter().any(|&(open, close)| open < at && at < close);
                found.push(function);
            }
        }
        found
    }

    fn function(&self, code: &[char], at: usize) -> Option<Function> {
        let name_at = skip_space(code, at + 2);
        let name: String = code[name_at..]
            .iter()
            .take_while(|c| is_word(**c))
            .collect();
        if name.is_empty() {
            return None; // The type `fn(u8)`.
        }
        let mut open = name_at + name.len();
        if code.get(open) == Some(&'<') {
            open = close_of(code, open)? + 1;
        }
        let close = close_of(code, open)?;
        let parameters: String = code[open + 1..close].iter().collect();
        let is_self = |part: &&String| words_of(part).first().is_none_or(|word| word != "self");
        let parts = split_top(&parameters);
        let parameter_count = parts
            .iter()
            .map(|part| part.replace("mut ", "").replace('&', ""))
            .filter(|part| !part.trim().starts_with('\'') || part.contains(':'))
            .filter(|part| is_self(&part))
            .count();
        let brace = (close..code.len()).find(|&i| matches!(code[i], '{' | ';'))?;
        let end = if code[brace] == '{' {
            close_of(code, brace)?
        } else {
            brace
        };
        let line = 1 + code[..at].iter().filter(|&&c| c == '\n').count();
        Some(Function {
            name,
            above: self.above(line),
            line,
            line_count: 1 + code[at..end].iter().filter(|&&c| c == '\n').count(),
            parameter_count,
            is_method: parts
                .first()
                .is_some_and(|part| words_of(part).iter().any(|w| w == "self")),
            is_of_trait: false,
            body: code[brace..=end].iter().collect(),
        })
    }

    /// Comment and attribute lines directly above a line.
    pub fn above(&self, line: usize) -> String {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_above = |text: &&&str| text.trim().starts_with("//") || text.trim().starts_with('#');
        let found = lines[..line - 1].iter().rev().take_while(is_above);
        found.map(|text| format!("{text}\n")).collect()
    }
}

/// Where each `impl Trait for Type` block opens and closes.
fn trait_blocks(code: &[char]) -> Vec<(usize, usize)> {
    let mut blocks = Vec::new();
    for (at, word) in words(code) {
        let open = (at..code.len()).find(|&i| matches!(code[i], '{' | ';' | '('));
        let Some(open) = open.filter(|_| word == "impl") else {
            continue;
        };
        let head: String = code[at..open].iter().collect();
        let is_for = words_of(&head).iter().any(|word| word == "for");
        if let Some(close) = close_of(code, open).filter(|_| is_for && code[open] == '{') {
            blocks.push((open, close));
        }
    }
    blocks
}

/// Where each item that is there for tests only begins and ends: `#[cfg(test)]`, also with more
/// conditions (`#[cfg(all(test, ...))]`).
fn test_items(code: &[char]) -> Vec<(usize, usize)> {
    let mark: Vec<char> = "#[cfg(".chars().collect();
    let mut items = Vec::new();
    let mut at = 0;
    while at + mark.len() <= code.len() {
        if code[at..at + mark.len()] != mark[..] {
            at += 1;
            continue;
        }
        let close = close_of(code, at + 1).unwrap_or(code.len() - 1);
        let condition: String = code[at..close].iter().collect();
        let names = words_of(&condition);
        if !names.iter().any(|name| name == "test") || names.iter().any(|name| name == "not") {
            at = close;
            continue;
        }
        let after = close + 1;
        let open = (after..code.len()).find(|&i| matches!(code[i], '{' | ';'));
        let end = match open {
            Some(i) if code[i] == '{' => close_of(code, i).unwrap_or(code.len() - 1),
            Some(i) => i,
            None => code.len() - 1,
        };
        items.push((at, end + 1));
        at = end + 1;
    }
    items
}

/// The text with comments, strings and characters turned into spaces.
pub fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = chars.clone();
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => block_comment_end(&chars, at),
            '"' => string_end(&chars, at),
            'r' if is_raw_string(&chars, at) => raw_string_end(&chars, at),
            '\'' => char_end(&chars, at),
            _ => at,
        };
        for c in &mut out[at..end] {
            if *c != '\n' {
                *c = ' ';
            }
        }
        at = end.max(at + 1);
    }
    out.into_iter().collect()
}

fn line_end(chars: &[char], at: usize) -> usize {
    (at..chars.len())
        .find(|&i| chars[i] == '\n')
        .unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn is_raw_string(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|i| chars[i]);
    let after: String = chars[at + 1..].iter().take(8).collect();
    !before.is_some_and(|c| is_word(c) && c != 'b')
        && after.trim_start_matches('#').starts_with('"')
}

fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let mut i = at + hashes + 2;
    while i < chars.len() {
        let closes = chars[i] == '"' && (1..=hashes).all(|n| chars.get(i + n) == Some(&'#'));
        if closes {
            return i + hashes + 1;
        }
        i += 1;
    }
    chars.len()
}

/// The end of a character literal, or `at` for a lifetime.
fn char_end(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        let close = (at + 3..chars.len()).find(|&i| chars[i] == '\'');
        return close.map_or(chars.len(), |i| i + 1);
    }
    if chars.get(at + 2) == Some(&'\'') {
        at + 3
    } else {
        at
    }
}

/// The bracket that closes the one at `open`; for `<`, arrows are not brackets.
pub fn close_of(code: &[char], open: usize) -> Option<usize> {
    let (left, right) = match code.get(open)? {
        '(' => ('(', ')'),
        '{' => ('{', '}'),
        '[' => ('[', ']'),
        '<' => ('<', '>'),
        _ => return None,
    };
    let mut depth = 0;
    for i in open..code.len() {
        let is_arrow = code[i] == '>' && matches!(code[i - 1], '-' | '=');
        if code[i] == left {
            depth += 1;
        } else if code[i] == right && !is_arrow {
            depth -= 1;
            if depth == 0 {
                return Some(i);
            }
        }
    }
    None
}

/// Splits at commas that stand in no bracket; empty parts are dropped.
pub fn split_top(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if matches!(before, '-' | '=') => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        before = c;
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Words and where they begin.
pub fn words(code: &[char]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        if !is_word(code[at]) {
            at += 1;
            continue;
        }
        let word: String = code[at..].iter().take_while(|c| is_word(**c)).collect();
        let len = word.chars().count();
        found.push((at, word));
        at += len;
    }
    found
}

/// Words alone.
pub fn words_of(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    words(&chars).into_iter().map(|(_, word)| word).collect()
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub fn skip_space(code: &[char], at: usize) -> usize {
    (at..code.len())
        .find(|&i| !code[i].is_whitespace())
        .unwrap_or(code.len())
}

#[test]
fn literals_and_comments_are_blanked() {
    for (text, code) in [
        ("a // b \"c\n d", "a        \n d"),
        ("a /* { /* } */ \n */ b", "a              \n    b"),
        (
            "f(\"{ \\\" }\", 'x', '\\'', '{')",
            "f(        ,    ,     ,    )",
        ),
        ("r#\"} \" }\"# x", "           x"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("attr(\"x\")", "attr(   )"),
    ] {
        assert_eq!(blank(text), code, "{text}");
    }
}

#[test]
fn lines_are_told_apart() {
    let text = "//! Head.\n\nfn a() {\n}\n#[cfg(all(test, unix))]\nmod tests {\n    \
                fn b() {}\n}\nfn c() {}\n#[cfg(not(test))]\nfn d() {}\n";
    let source = Source::new("src/x.rs", text);
    use LineKind::{Blank, BlankTest, Code, Comment, Test};
    let kinds = [
        Comment, Blank, Code, Blank, Test, Test, Test, BlankTest, Code, Code, Code,
    ];
    assert_eq!(source.kinds, kinds);
    let names: Vec<String> = source.functions().into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["a", "c", "d"]);
}

#[test]
fn functions_are_measured() {
    let text = "/// Doc.\n#[cold]\nfn long<T: Fn(u8) -> u8>(\n    &mut self,\n    \
                a: (u8, u8),\n    b: &'static [T; 2],\n) -> u8 {\n    let f: fn(u8) = x;\n    \
                1\n}\ntrait T { fn bare(self); }\nimpl T for S { fn bare(self) {} }\n";
    let source = Source::new("src/x.rs", text);
    let functions = source.functions();
    assert_eq!(functions.len(), 3);
    assert!(functions[2].is_of_trait && !functions[1].is_of_trait);
    let long = &functions[0];
    assert_eq!((long.name.as_str(), long.line), ("long", 3));
    assert_eq!((long.parameter_count, long.line_count), (2, 8));
    assert!(long.above.contains("#[cold]") && long.above.contains("Doc."));
    assert_eq!(functions[1].parameter_count, 0);
}
