//! Prompts as filters read them: without the tricks that hide words.

use std::{collections::BTreeSet, sync::LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;

/// What parts the wanted from the unwanted.
pub(super) const DIVIDER: &str = "###";

/// The wanted part of a prompt, and the unwanted one, if there is one.
pub(super) fn split(prompt: &str) -> (&str, Option<&str>) {
    match prompt.split_once(DIVIDER) {
        Some((wanted, unwanted)) => (wanted, Some(unwanted)),
        None => (prompt, None),
    }
}

/// Compiles an expression of this program.
pub(super) fn built_in(expression: &str) -> Regex {
    Regex::new(expression).expect("a built-in expression is valid")
}

/// `(text:1.2)`
static WEIGHTED: LazyLock<Regex> = LazyLock::new(|| built_in(r"\((.*?):\d+\.\d+\)"));
static PUNCTUATION: LazyLock<Regex> = LazyLock::new(|| built_in(r"[^\w\s]|_"));
/// Letters with blanks between them.
static SPACED_OUT: LazyLock<Regex> = LazyLock::new(|| built_in(r"(?:\s\w){3,}\b"));
static BLANKS: LazyLock<Regex> = LazyLock::new(|| built_in(r"\s+"));

/// A text without weights, punctuation, letters spaced out, and foreign letters.
pub(super) fn normalised(text: &str) -> String {
    let text = WEIGHTED.replace_all(text, "$1");
    let text = PUNCTUATION.replace_all(&text, " ");
    let text = joined(&text);
    let text = BLANKS.replace_all(&text, " ");
    deunicode::deunicode_with_tofu(&text, "")
}

/// Joins letters that are spaced out. What was found once is replaced wherever it is.
fn joined(text: &str) -> String {
    let runs: BTreeSet<&str> = SPACED_OUT.find_iter(text).map(|found| found.as_str()).collect();
    if runs.is_empty() {
        return text.to_owned();
    }
    let join = |run: &&str| {
        let letters: String = run.chars().filter(|letter| !letter.is_whitespace()).collect();
        let first = run.chars().next().unwrap_or(' ');
        format!("{first}{letters}")
    };
    let replacements: Vec<String> = runs.iter().map(join).collect();
    // The longest first: a run may be the beginning of another one.
    let machine = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(&runs);
    // It is too many runs for a machine only if there is no other word left that could be looked for.
    machine.map_or_else(
        |_| text.to_owned(),
        |machine| machine.replace_all(text, &replacements),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tricks_are_seen_through() {
        for (prompt, plain) in [
            ("a (red:1.2) house", "a red house"),
            // Weights without decimals are none.
            ("(red:1)", " red 1 "),
            ("half_timbered, house!", "half timbered house "),
            ("the c a t sat", "the cat sat"),
            ("a b c d e", "a bcde"),
            ("a b c", "a b c"),
            ("two   blanks\nand a line", "two blanks and a line"),
            ("çà et là", "ca et la"),
            ("кот", "kot"),
            ("the c.a.t sat", "the cat sat"),
        ] {
            assert_eq!(normalised(prompt), plain, "{prompt}");
        }
    }

    #[test]
    fn only_the_first_divider_counts() {
        assert_eq!(split("a###b###c"), ("a", Some("b###c")));
        assert_eq!(split("a"), ("a", None));
    }
}
