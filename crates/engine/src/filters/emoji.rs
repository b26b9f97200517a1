//! Emoji that tell what words do not.

use std::{collections::HashSet, sync::LazyLock};

use unicode_segmentation::UnicodeSegmentation as _;

const JOINER: char = '\u{200d}';
const MAN: char = '\u{1f468}';
const WOMAN: char = '\u{1f469}';
const PERSON: char = '\u{1f9d1}';
const GIRL: char = '\u{1f467}';
const BOY: char = '\u{1f466}';
const BOTTLE: char = '\u{1f37c}';
const TONES: [char; 5] = ['\u{1f3fb}', '\u{1f3fc}', '\u{1f3fd}', '\u{1f3fe}', '\u{1f3ff}'];
/// A girl, a boy, a baby, breast-feeding, a baby angel: with each tone of skin.
const TONED: [char; 5] = [GIRL, BOY, '\u{1f476}', '\u{1f931}', '\u{1f47c}'];
/// A family, chicks, a baby symbol, a bottle, children crossing.
const PLAIN: [char; 6] = [
    '\u{1f46a}',
    '\u{1f424}',
    '\u{1f425}',
    '\u{1f6bc}',
    BOTTLE,
    '\u{1f6b8}',
];
const FAMILIES: [&[char]; 20] = [
    &[MAN, WOMAN, GIRL],
    &[MAN, WOMAN, BOY, BOY],
    &[MAN, WOMAN, GIRL, BOY],
    &[MAN, WOMAN, GIRL, GIRL],
    &[MAN, MAN, GIRL, GIRL],
    &[MAN, MAN, GIRL, BOY],
    &[MAN, MAN, BOY, BOY],
    &[WOMAN, WOMAN, GIRL],
    &[WOMAN, WOMAN, BOY],
    &[WOMAN, WOMAN, GIRL, BOY],
    &[MAN, BOY],
    &[MAN, GIRL],
    &[MAN, GIRL, BOY],
    &[MAN, BOY, BOY],
    &[MAN, GIRL, GIRL],
    &[WOMAN, BOY],
    &[WOMAN, GIRL],
    &[WOMAN, GIRL, BOY],
    &[WOMAN, BOY, BOY],
    &[WOMAN, GIRL, GIRL],
];

/// The emoji themselves, each as the sequence that is written.
static TELLING: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut telling: HashSet<String> = PLAIN.iter().map(char::to_string).collect();
    let with_tones = |base: char, end: &str| {
        let toned = TONES.iter().map(move |tone| format!("{base}{tone}"));
        std::iter::once(base.to_string())
            .chain(toned)
            .map(|text| text + end)
            .collect::<Vec<_>>()
    };
    for base in TONED {
        telling.extend(with_tones(base, ""));
    }
    for parent in [PERSON, MAN, WOMAN] {
        telling.extend(with_tones(parent, &format!("{JOINER}{BOTTLE}")));
    }
    for family in FAMILIES {
        let members: Vec<String> = family.iter().map(char::to_string).collect();
        telling.insert(members.join(&JOINER.to_string()));
    }
    telling
});

/// The telling emoji in a text, each once, in the order in which they come. An emoji inside another one is none.
pub(super) fn telling(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    if text.is_ascii() {
        return found;
    }
    for cluster in text.graphemes(true) {
        if TELLING.contains(cluster) && !found.iter().any(|known| known == cluster) {
            found.push(cluster.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_emoji_are_found() {
        assert_eq!(
            telling("a \u{1f467}\u{1f3fd} and \u{1f467}\u{1f3fd}"),
            ["\u{1f467}\u{1f3fd}"]
        );
        // A girl in a family is not a girl by herself.
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(telling(family), [family]);
        assert_eq!(
            telling("\u{1f469}\u{1f3fb}\u{200d}\u{1f37c}"),
            ["\u{1f469}\u{1f3fb}\u{200d}\u{1f37c}"]
        );
        assert!(telling("\u{1f600} \u{1f469} plain").is_empty());
    }

    #[test]
    fn there_are_as_many_as_are_published() {
        assert_eq!(TELLING.len(), 5 * 6 + 6 + 20 + 3 * 6);
    }
}
