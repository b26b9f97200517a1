//! The guard of models that make unsafe pictures: they get no words for the young.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{
    normal::{DIVIDER, built_in, normalised, split},
    rules::{CONTEXT, Rules},
};

/// The model whose prompts say `1girl` and mean women.
const TAGGED: &str = "Hentai Diffusion";

/// What is found, and what takes its place.
static GUARD: LazyLock<[(Regex, &str); 3]> = LazyLock::new(|| {
    [
        (
            built_in(r"(?i)student|\byoung\b|lit[tl]?le|\blil\b|small?\b|\btiny"),
            "adult",
        ),
        (built_in("(?i)girl|nina"), "adult woman"),
        (built_in(r"(?i)\bboys?\b|\bsons?\b"), "adult man"),
    ]
});

/// Whether a find is a tag that counts persons, which is what people write for one model.
fn is_tag(text: &str, start: usize, found: &str) -> bool {
    let counted = ["girl", "boy"];
    let is_counted = counted.iter().any(|word| {
        found
            .get(..word.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(word))
    });
    is_counted && text[..start].ends_with('1')
}

/// Whether a prompt is nothing for models that make unsafe pictures.
pub(super) fn objects(rules: &Rules, prompt: &str, models: &[String]) -> bool {
    let (wanted, _) = split(prompt);
    let plain = normalised(wanted);
    let tagged = is_tagged(models);
    GUARD.iter().any(|(regex, _)| {
        regex
            .find_iter(&plain)
            .any(|found| !(tagged && is_tag(&plain, found.start(), found.as_str())))
    }) || rules.score(prompt, Some(CONTEXT), None).score > 0
}

/// The prompt with everything replaced that the guard objects to, after the filters have replaced what they find, unless
/// they did already. `None` if nothing is left.
pub(super) fn replaced(rules: &Rules, prompt: &str, models: &[String], is_replaced: bool) -> Option<String> {
    let prompt = if is_replaced {
        prompt.to_owned()
    } else {
        rules.replaced(prompt)?
    };
    let (wanted, unwanted) = split(&prompt);
    let tagged = is_tagged(models);
    let mut wanted = wanted.to_owned();
    for (regex, replacement) in GUARD.iter() {
        let before = wanted.clone();
        let replace = |found: &Captures<'_>| {
            let found = found.get(0).expect("the whole match");
            if tagged && is_tag(&before, found.start(), found.as_str()) {
                found.as_str().to_owned()
            } else {
                (*replacement).to_owned()
            }
        };
        wanted = regex.replace_all(&before, replace).into_owned();
    }
    if wanted.trim().is_empty() {
        return None;
    }
    Some(match unwanted {
        Some(unwanted) => format!("{wanted}{DIVIDER}{unwanted}"),
        None => wanted,
    })
}

fn is_tagged(models: &[String]) -> bool {
    matches!(models, [model] if model == TAGGED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn words_for_the_young_are_found() {
        let rules = Rules::default();
        let objects = |prompt: &str, names: &[&str]| objects(&rules, prompt, &models(names));
        for prompt in [
            "a student",
            "a litlle house",
            "two boys",
            "Girls",
            "tiny tim",
            "a \u{1f466}",
        ] {
            assert!(objects(prompt, &["any"]), "{prompt}");
        }
        for prompt in ["a house", "a sonnet", "younger", "smallish", "a house###girl"] {
            assert!(!objects(prompt, &["any"]), "{prompt}");
        }
        assert!(objects("1girl", &["any"]) && objects("1girl", &[TAGGED, "any"]));
        assert!(!objects("1girl", &[TAGGED]) && objects("2girls", &[TAGGED]));
    }

    #[test]
    fn and_replaced() {
        let rules = Rules::default();
        let replaced = |prompt: &str, names: &[&str]| replaced(&rules, prompt, &models(names), false);
        let never = "child, infant, underage, immature, teenager, tween";
        assert_eq!(
            replaced("a young girl and boys###x", &["any"]).unwrap(),
            format!("a adult adult woman and adult man###{never}, x")
        );
        assert_eq!(replaced("1girl", &[TAGGED]).unwrap(), format!("1girl###{never}"));
        assert_eq!(replaced("", &["any"]), None);
    }
}
