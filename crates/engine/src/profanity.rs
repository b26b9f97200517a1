//! Whether a name contains words that nobody should have to read.
//!
//! Names are shown to everybody, so the check is there to keep honest people's names decent, not to win
//! against those who want to break it: moderators deal with these. A false alarm locks out a worker, so
//! only what is certain is refused.

use std::{collections::HashSet, sync::LazyLock};

/// Words and fragments; the file says how to read it.
const WORDS: &str = include_str!("../data/profanity.txt");

static LIST: LazyLock<List> = LazyLock::new(|| List::read(WORDS));

/// What is refused.
struct List {
    words: HashSet<&'static str>,
    fragments: Vec<&'static str>,
}

impl List {
    fn read(text: &'static str) -> Self {
        let (mut words, mut fragments) = (HashSet::new(), Vec::new());
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix('*').and_then(|rest| rest.strip_suffix('*')) {
                Some(fragment) => fragments.push(fragment),
                None => {
                    words.insert(line);
                }
            }
        }
        Self { words, fragments }
    }

    fn refuses(&self, word: &str) -> bool {
        let single = word.strip_suffix('s').unwrap_or(word);
        self.words.contains(word)
            || self.words.contains(single)
            || self.fragments.iter().any(|fragment| word.contains(fragment))
    }
}

/// Whether a name contains a word of the list, also if letters are repeated, set apart or replaced by
/// figures that look like them.
pub(crate) fn is_profane(name: &str) -> bool {
    words(name)
        .iter()
        .any(|word| LIST.refuses(word) || LIST.refuses(&without_repetitions(word)))
}

/// The words of a name in lower case, with letters for what looks like them. Letters that stand alone are
/// put together, and a word ends where capitals begin.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut apart = String::new();
    for part in name.split(|character: char| letter(character).is_none()) {
        let mut characters = part.chars();
        match (characters.next(), characters.next()) {
            (None, _) => {}
            (Some(single), None) if !single.is_ascii_digit() => apart.extend(letter(single)),
            _ => {
                words.push(std::mem::take(&mut apart));
                words.extend(in_letters(part));
                words.extend(humps(part).into_iter().filter_map(in_letters));
            }
        }
    }
    words.push(apart);
    words
}

/// A word in letters; `None` if it is rather a number.
fn in_letters(word: &str) -> Option<String> {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    (digits * 2 <= word.chars().count()).then(|| word.chars().filter_map(letter).collect())
}

/// The parts of a word like `MyWorker`.
fn humps(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut small) = (0, false);
    for (at, character) in word.char_indices() {
        if small && character.is_uppercase() {
            parts.push(&word[start..at]);
            start = at;
        }
        small = character.is_lowercase();
    }
    parts.push(&word[start..]);
    parts
}

/// The letter that a character is or stands for; `None` if it separates words.
fn letter(character: char) -> Option<char> {
    match character {
        '0' => Some('o'),
        '1' | '!' | '|' => Some('i'),
        '3' => Some('e'),
        '4' | '@' => Some('a'),
        '5' | '$' => Some('s'),
        '7' => Some('t'),
        other if other.is_alphanumeric() => other.to_lowercase().next(),
        _ => None,
    }
}

/// A word with each letter once where it stands several times in a row.
fn without_repetitions(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    letters.dedup();
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_list_are_found_however_they_are_written() {
        for name in [
            "Fuck",
            "my fucking worker",
            "MyFuckWorker",
            "motherfucker",
            "fuuuuuck",
            "f u c k you",
            "f.u.c.k",
            "F_U_C_K",
            "$h1t happens",
            "sh!t",
            "b1tch_gpu",
            "BITCHES",
            "AssWorker",
            "big-ass-gpu",
            "a$$hole",
            "Cunts",
        ] {
            assert!(is_profane(name), "{name}");
        }
    }

    #[test]
    fn innocent_names_pass() {
        for name in [
            "",
            "Lighthouse keeper",
            "Scunthorpe",
            "Matsushita",
            "Classic assassin of Essex",
            "Bass Guitar",
            "GrassWorker",
            "Cockpit and peacock",
            "Dickens",
            "Moby Duck",
            "Shitake is spelt shiitake",
            "Titan RTX 4090",
            "RTX 455s",
            "Sniggering niggard",
            "WhoReallyKnows",
            "Van Dyke",
            "titanic 2x3090",
            "analog",
            "My 5 A100s",
            "A 5 5 rack",
            "Therapist",
            "Hancock tower",
            "Arsenal",
            "pissarro",
            "Ünïcödé ワーカー",
            "Worker #455",
            "a100-s-s",
            "AI Horde Worker reGen:13.0.0:https://github.com/Haidra-Org/horde-worker-reGen",
            "SD-WebUI Stable Horde Worker Bridge:4:https://github.com/x/y",
            "unknown:0:unknown",
        ] {
            assert!(!is_profane(name), "{name}");
        }
    }

    #[test]
    fn the_list_is_well_formed() {
        for entry in LIST.words.iter().chain(&LIST.fragments) {
            assert!(
                entry.len() > 2 && entry.bytes().all(|byte| byte.is_ascii_lowercase()),
                "{entry}"
            );
            assert!(is_profane(entry), "{entry}");
        }
        assert!(!LIST.words.is_empty() && !LIST.fragments.is_empty());
    }
}
