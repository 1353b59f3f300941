//! What the kernel says in its files: words, numbered folders, lists of cores.
//!
//! Promises: what is not there, or reads as something else, is nothing, never an error.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What a file holds; of a selection such as `always [madvise] never` the chosen word.
pub(super) fn word(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let chosen = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    let text = chosen.map_or(text.as_str(), |(word, _)| word);
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Entries of a folder that are numbers, ascending.
pub(super) fn numbered(folder: &Path) -> impl Iterator<Item = u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let mut numbers: Vec<u64> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers.into_iter()
}

/// Cores of a list such as `0-2,5`. What is no such list has none.
pub(super) fn cores_of(text: &str) -> Vec<usize> {
    let span = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let span = first.trim().parse().ok()?..=last.trim().parse().ok()?;
        Some(span.take(CORES_MAX))
    };
    text.split(',').filter_map(span).flatten().collect()
}

/// The cores as such a list.
pub(super) fn list(cores: &[usize]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(&first) = cores.get(at) {
        let rest = cores[at..].iter().enumerate();
        let run = rest.take_while(|(idx, core)| **core == first + idx).count();
        let comma = if at == 0 { "" } else { "," };
        let _ = match run {
            1 => write!(text, "{comma}{first}"),
            _ => write!(text, "{comma}{first}-{}", first + run - 1),
        };
        at += run;
    }
    text
}

/// Cores of the largest host; a list beyond it is none.
const CORES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_both_ways() {
        for (text, cores) in [
            ("0", &[0][..]),
            ("0-3", &[0, 1, 2, 3]),
            ("1,3-4,7", &[1, 3, 4, 7]),
            ("", &[]),
            ("(null)", &[]),
            ("5-2", &[]),
        ] {
            assert_eq!(cores_of(text), cores, "{text}");
            if !cores.is_empty() {
                assert_eq!(list(cores), text);
            }
        }
        assert_eq!(cores_of("0-99999999999").len(), CORES_MAX);
    }

    #[test]
    fn words_are_those_chosen() {
        let folder = std::env::temp_dir().join(format!("parallax-words-{}", std::process::id()));
        fs::create_dir_all(folder.join("7")).unwrap();
        let file = folder.join("file");
        for (text, found) in [
            ("1\n", "1"),
            ("always [madvise] never\n", "madvise"),
            ("4096\t16384 4194304\n", "4096 16384 4194304"),
            ("", ""),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(word(&file).as_deref(), Some(found));
        }
        assert_eq!(word(&folder), None);
        assert_eq!(numbered(&folder).collect::<Vec<_>>(), [7]);
        assert_eq!(numbered(&file).count(), 0);
        fs::remove_dir_all(folder).unwrap();
    }
}
