//! [`Rules`]: all filters, compiled once; how much they find in a prompt, and what they make of it.
//!
//! Expressions are those of the `regex` crate, whose time is linear in the prompt, whatever moderators write. One machine
//! looks for what must be there for any of them to find something, so that a prompt is read once for each type and then
//! by the few filters that may find something. (One machine of all expressions is a hundred times slower: what a few
//! hundred of them can be in the middle of at the same time does not fit its memory.)

use std::{collections::HashMap, sync::Arc};

use aho_corasick::AhoCorasick;
use muster_protocol::Timestamp;
use muster_store::{FilterHits, PromptFilter};
use parking_lot::Mutex;
use regex::{Regex, RegexBuilder};

use super::{
    emoji, literals,
    normal::{DIVIDER, normalised, split},
};

/// The types that are looked at. Others can be stored.
pub(super) const TYPES: [i16; 3] = [CONTEXT, CONTEXT_TOO, SEXUAL];
/// Minors; these filters also say what takes the place of what they find.
pub(super) const CONTEXT: i16 = 10;
/// Minors, too.
const CONTEXT_TOO: i16 = 11;
/// Sex.
const SEXUAL: i16 = 20;
/// What is never wanted in a prompt that was changed.
const NEVER: &str = "child, infant, underage, immature, teenager, tween";

/// How much is found in a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suspicion {
    /// Groups that found something: 0 to 2.
    pub(crate) score: u8,
    /// What they found.
    pub(crate) matches: Vec<String>,
}

impl Suspicion {
    /// Whether both groups found something.
    pub(crate) fn is_enough(&self) -> bool {
        self.score >= 2
    }
}

/// The filters of one type.
#[derive(Debug)]
struct OneType {
    /// As moderators wrote them, joined.
    source: String,
    filters: Vec<Compiled>,
    /// Texts of which one must be there for a filter to find something.
    required: AhoCorasick,
    /// Whose texts these are.
    owners: Vec<usize>,
    /// Filters that nothing in particular must be there for.
    always: Vec<usize>,
}

/// A filter.
#[derive(Clone, Debug)]
struct Compiled {
    id: i64,
    regex: Regex,
}

/// What filters have found and nobody has written down yet.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<HashMap<i64, FilterHits>>);

impl Tally {
    fn count(&self, filter: i64, now: Timestamp) {
        let mut hits = self.0.lock();
        let hits = hits.entry(filter).or_default();
        hits.count += 1;
        hits.last = Some(now);
    }

    /// Takes what was counted.
    pub(super) fn take(&self) -> Vec<(i64, FilterHits)> {
        let mut hits: Vec<_> = std::mem::take(&mut *self.0.lock()).into_iter().collect();
        hits.sort_unstable_by_key(|(filter, _)| *filter);
        hits
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Rules {
    filters: Vec<PromptFilter>,
    expressions: Expressions,
    types: HashMap<i16, OneType>,
    replacements: Vec<(Regex, String)>,
    tally: Arc<Tally>,
}

/// Compiles one expression as it is used here.
///
/// # Errors
/// In words, what is wrong with it: it cannot be read, looks around, or finds something in every prompt.
pub(super) fn compile(expression: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(expression)
        .case_insensitive(true)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| error.to_string())?;
    if regex.is_match("") {
        return Err("it finds something in an empty prompt, and so in every prompt".to_owned());
    }
    Ok(regex)
}

impl OneType {
    /// `None` without filters.
    fn compile(filters: &[&PromptFilter], compiled: &Expressions) -> Option<Self> {
        let mut expressions = Vec::new();
        let mut usable = Vec::new();
        for filter in filters {
            if let Some(regex) = compiled.get(&filter.regex) {
                let (id, regex) = (filter.id, regex.clone());
                usable.push(Compiled { id, regex });
                expressions.push(filter.regex.as_str());
            }
        }
        if usable.is_empty() {
            return None;
        }
        let (mut texts, mut owners, mut always) = (Vec::new(), Vec::new(), Vec::new());
        for (index, expression) in expressions.iter().enumerate() {
            match literals::required(expression) {
                Some(required) => {
                    owners.resize(owners.len() + required.len(), index);
                    texts.extend(required);
                }
                None => always.push(index),
            }
        }
        let required = AhoCorasick::new(&texts).inspect_err(|error| {
            tracing::error!(%error, "the filters of a type are too many");
        });
        Some(Self {
            source: expressions.join("|"),
            filters: usable,
            required: required.ok()?,
            owners,
            always,
        })
    }

    /// The filters that may find something in a text, in their order.
    fn candidates(&self, reading: &Reading<'_>) -> Vec<&Compiled> {
        let Some(lower) = &reading.lower else {
            return self.filters.iter().collect();
        };
        let mut may_find = vec![false; self.filters.len()];
        for index in &self.always {
            may_find[*index] = true;
        }
        for found in self.required.find_overlapping_iter(lower) {
            may_find[self.owners[found.pattern().as_usize()]] = true;
        }
        let filters = self.filters.iter().zip(may_find);
        filters
            .filter_map(|(filter, may)| may.then_some(filter))
            .collect()
    }
}

/// A prompt as filters read it.
struct Reading<'a> {
    /// Its wanted part, as it was sent.
    wanted: &'a str,
    /// The same without tricks.
    plain: String,
    /// That in lower case; `None` beyond ASCII, where there is more to upper and lower case than texts tell.
    lower: Option<String>,
}

impl<'a> Reading<'a> {
    fn of(wanted: &'a str) -> Self {
        let plain = normalised(wanted);
        let lower = plain.is_ascii().then(|| plain.to_ascii_lowercase());
        Self { wanted, plain, lower }
    }

    /// Where there are no filters, there is nothing to read for them.
    fn without_filters(wanted: &'a str) -> Self {
        Self {
            wanted,
            plain: String::new(),
            lower: None,
        }
    }
}

/// Expressions that can be used, compiled.
type Expressions = HashMap<String, Regex>;

impl Rules {
    /// Compiles all filters, those that were there `before` not again. What they find is counted in `tally`.
    pub(super) fn compile(filters: Vec<PromptFilter>, before: &Self, tally: Arc<Tally>) -> Self {
        let mut expressions = Expressions::new();
        for filter in &filters {
            let known = before.expressions.get(&filter.regex).cloned();
            match known.map_or_else(|| compile(&filter.regex), Ok) {
                Ok(regex) => drop(expressions.insert(filter.regex.clone(), regex)),
                // It was stored by an older version.
                Err(why) => tracing::error!(filter = filter.id, why, "a filter is left out"),
            }
        }
        let mut types = HashMap::new();
        for kind in TYPES {
            let of_type: Vec<&PromptFilter> = filters
                .iter()
                .filter(|filter| filter.filter_type == kind)
                .collect();
            if let Some(compiled) = OneType::compile(&of_type, &expressions) {
                types.insert(kind, compiled);
            }
        }
        let replacements = filters
            .iter()
            .filter(|filter| filter.filter_type == CONTEXT)
            .filter_map(|filter| {
                Some((
                    expressions.get(&filter.regex)?.clone(),
                    filter.replacement.clone(),
                ))
            })
            .collect();
        Self {
            filters,
            expressions,
            types,
            replacements,
            tally,
        }
    }

    /// Whether these are the rules of just these filters.
    pub(super) fn are_of(&self, filters: &[PromptFilter]) -> bool {
        self.filters == filters
    }

    /// The joined expressions of a type, if there are any.
    pub(super) fn source(&self, kind: i16) -> Option<&str> {
        self.types.get(&kind).map(|one| one.source.as_str())
    }

    /// How much is found in the wanted part of a prompt. `only`: by the filters of one type. With `counted`, which is
    /// now, what each filter finds is counted.
    pub(crate) fn score(&self, prompt: &str, only: Option<i16>, counted: Option<Timestamp>) -> Suspicion {
        let (wanted, _) = split(prompt);
        let reading = if self.types.is_empty() {
            Reading::without_filters(wanted)
        } else {
            Reading::of(wanted)
        };
        let mut suspicion = Suspicion::default();
        let groups: [&[i16]; 2] = [&[CONTEXT, CONTEXT_TOO], &[SEXUAL]];
        for group in groups {
            let kinds = group.iter().filter(|kind| only.is_none_or(|only| only == **kind));
            for kind in kinds {
                let found = self.find(*kind, &reading, counted);
                if !found.is_empty() {
                    suspicion.score += 1;
                    suspicion.matches.extend(found);
                    break;
                }
            }
        }
        suspicion
    }

    /// What the filters of a type find: telling emoji, or else the first of what they look for.
    fn find(&self, kind: i16, reading: &Reading<'_>, counted: Option<Timestamp>) -> Vec<String> {
        if kind == CONTEXT {
            let emoji = emoji::telling(reading.wanted);
            if !emoji.is_empty() {
                return emoji;
            }
        }
        let Some(rules) = self.types.get(&kind) else {
            return Vec::new();
        };
        let mut first: Option<regex::Match<'_>> = None;
        for filter in rules.candidates(reading) {
            let Some(found) = filter.regex.find(&reading.plain) else {
                continue;
            };
            if let Some(now) = counted {
                self.tally.count(filter.id, now);
            }
            if first.is_none_or(|first| found.start() < first.start()) {
                first = Some(found);
            }
        }
        first.map(|found| found.as_str().to_owned()).into_iter().collect()
    }

    /// The prompt with everything replaced that the filters of minors find; `None` if nothing is left of it.
    pub(crate) fn replaced(&self, prompt: &str) -> Option<String> {
        let (wanted, unwanted) = split(prompt);
        let mut plain = normalised(wanted);
        for (regex, replacement) in &self.replacements {
            plain = regex
                .replace_all(&plain, regex::NoExpand(replacement))
                .into_owned();
        }
        if plain.trim().is_empty() {
            return None;
        }
        let mut replaced = format!("{plain}{DIVIDER}{NEVER}");
        if let Some(unwanted) = unwanted {
            replaced.push_str(", ");
            replaced.push_str(unwanted);
        }
        Some(replaced)
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::UserId;

    use super::*;

    fn filter(id: i64, filter_type: i16, regex: &str, replacement: &str) -> PromptFilter {
        PromptFilter {
            id,
            regex: regex.to_owned(),
            filter_type,
            description: None,
            replacement: replacement.to_owned(),
            editor: UserId(1),
        }
    }

    fn rules() -> Rules {
        Rules::compile(
            vec![
                filter(1, 10, r"\bkit(ten)?s?\b", "cat"),
                filter(2, 10, "pup", ""),
                filter(3, 11, "cub", ""),
                filter(4, 20, "fight|brawl", ""),
                filter(5, 15, "house", ""),
            ],
            &Rules::default(),
            Arc::default(),
        )
    }

    fn found(score: u8, matches: &[&str]) -> Suspicion {
        Suspicion {
            score,
            matches: matches.iter().map(|found| (*found).to_owned()).collect(),
        }
    }

    #[test]
    fn both_groups_must_find_something() {
        let rules = rules();
        let score = |prompt| rules.score(prompt, None, Some(Timestamp::from_millis(7)));
        assert_eq!(score("a house"), found(0, &[]));
        assert_eq!(score("a Kitten"), found(1, &["Kitten"]));
        assert_eq!(score("a brawl of k i t t e n s"), found(2, &["kittens", "brawl"]));
        assert_eq!(score("a cub in a fight"), found(2, &["cub", "fight"]));
        // What is not wanted does not count.
        assert_eq!(score("a fight###kitten"), found(1, &["fight"]));
        assert_eq!(score("a fight \u{1f476}"), found(2, &["\u{1f476}", "fight"]));
        assert_eq!(
            rules.score("a cub in a fight", Some(20), None),
            found(1, &["fight"])
        );
        assert_eq!(rules.score("a fight", Some(15), None), found(0, &[]));
        let hits = rules.tally.take();
        let counts: Vec<(i64, i64)> = hits.iter().map(|(filter, hits)| (*filter, hits.count)).collect();
        assert_eq!(counts, [(1, 2), (3, 1), (4, 4)]);
        assert_eq!(hits[0].1.last, Some(Timestamp::from_millis(7)));
        assert!(rules.tally.take().is_empty());
    }

    #[test]
    fn what_is_found_is_replaced() {
        let rules = rules();
        let replaced = |prompt| rules.replaced(prompt);
        assert_eq!(
            replaced("a (kitten:1.3) fight###dogs").unwrap(),
            "a cat fight###child, infant, underage, immature, teenager, tween, dogs"
        );
        assert_eq!(
            replaced("nothing").unwrap(),
            "nothing###child, infant, underage, immature, teenager, tween"
        );
        assert_eq!(replaced("pup!"), None);
    }

    #[test]
    fn expressions_are_checked() {
        for (expression, why) in [
            ("(", "unclosed group"),
            ("(?<!1)girl", "look-around"),
            (r"(a)\1", "backreferences"),
            ("a*", "every prompt"),
            ("", "every prompt"),
        ] {
            let refused = compile(expression).unwrap_err();
            assert!(refused.contains(why), "{expression}: {refused}");
        }
        assert!(compile("kit(ten)?").is_ok());
    }

    #[test]
    fn a_bad_filter_harms_no_other() {
        let rules = Rules::compile(
            vec![filter(1, 20, "(", ""), filter(2, 20, "fight", "")],
            &Rules::default(),
            Arc::default(),
        );
        assert_eq!(rules.score("a fight", None, None), found(1, &["fight"]));
        assert_eq!(rules.source(20), Some("fight"));
        assert_eq!(rules.source(10), None);
    }
}
