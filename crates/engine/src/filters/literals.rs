//! What must be in a text for an expression to find something in it: so that a few hundred filters cost a prompt one
//! reading, not one each.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

/// The most literals of one expression; with more it is always tried.
const MOST: usize = 64;

/// Texts of which at least one is in every text that `expression` finds something in, whatever the case: in lower case
/// and ASCII. `None` if there are no such texts, or none that would rule anything out.
pub(super) fn required(expression: &str) -> Option<Vec<String>> {
    // Whatever the expression finds regardless of case, it finds with respect to case in some spelling of the same text;
    // so its literals are in that spelling, and in lower case in the text in lower case.
    let hir = ParserBuilder::new().build().parse(expression).ok()?;
    let texts = of(&hir)?;
    texts.iter().all(|text| text.is_ascii()).then_some(texts)
}

fn of(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            Some(vec![text.to_ascii_lowercase()])
        }
        HirKind::Class(class) => of_class(class),
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(of).max_by_key(|texts| selectivity(texts)),
        HirKind::Alternation(alternatives) => {
            let mut all = Vec::new();
            for alternative in alternatives {
                all.extend(of(alternative)?);
                if all.len() > MOST {
                    return None;
                }
            }
            all.sort_unstable();
            all.dedup();
            Some(all)
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// A few letters, one of which must be there.
fn of_class(class: &Class) -> Option<Vec<String>> {
    let Class::Unicode(class) = class else { return None };
    let count: usize = class
        .ranges()
        .iter()
        .map(regex_syntax::hir::ClassUnicodeRange::len)
        .sum();
    if count > 4 {
        return None;
    }
    let letters = class
        .ranges()
        .iter()
        .flat_map(|range| range.start()..=range.end());
    Some(
        letters
            .map(|letter| letter.to_ascii_lowercase().to_string())
            .collect(),
    )
}

/// How much a set of texts rules out: long texts are rare, and few are rarer.
fn selectivity(texts: &[String]) -> (usize, usize) {
    let shortest = texts.iter().map(String::len).min().unwrap_or(0);
    (shortest, usize::MAX - texts.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::RegexBuilder;

    use super::*;

    #[test]
    fn something_must_be_there() {
        for (expression, expected) in [
            ("kitten", Some(&["kitten"][..])),
            (r"\bkit(ten)?s?\b", Some(&["kit"])),
            ("fight|BRAWL", Some(&["brawl", "fight"])),
            (r"(young|little) girl", Some(&[" girl"])),
            (r"(young|little)\w", Some(&["little", "young"])),
            (r"\w*cub\w*", Some(&["cub"])),
            (r"a{2,}b", Some(&["b"])),
            (r"[ab]x", Some(&["x"])),
            (r"\w+", None),
            (r"(cub)?", None),
            (r"cub|\w", None),
            ("über", None),
            ("(", None),
        ] {
            let found = required(expression);
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|texts| texts.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{expression}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Wherever an expression finds something, one of its texts is.
        #[test]
        fn nothing_is_missed(
            expression in r"(\\b)?[abK]{1,3}(\(a\|bb?\)|\[ab\]|\.\{0,2\}|[?+*]|\\w\*|[ab]){0,3}(\|[abs]{1,2}[?*]?){0,2}",
            text in "[abABkKsS ]{0,12}",
        ) {
            if let (Ok(regex), Some(texts)) = (
                RegexBuilder::new(&expression).case_insensitive(true).build(),
                required(&expression),
            ) && regex.is_match(&text) {
                let lower = text.to_ascii_lowercase();
                prop_assert!(texts.iter().any(|one| lower.contains(one)), "{} {:?} {:?}", expression, texts, text);
            }
        }
    }
}
