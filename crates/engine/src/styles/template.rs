//! Prompts in place of placeholders.

/// What separates a prompt from what it must not show.
const SEPARATOR: &str = "###";

/// Fills a template for pictures: `{p}` becomes the prompt and `{np}` what it must not show. Everything else is taken as
/// it is, also in what is filled in.
pub(super) fn fill_image(template: &str, prompt: &str) -> String {
    let (positive, negative) = prompt.split_once(SEPARATOR).unwrap_or((prompt, ""));
    let separated = !negative.is_empty() && !template.contains(SEPARATOR);
    let negative = if separated {
        format!("{SEPARATOR}{negative}")
    } else {
        negative.to_owned()
    };
    let mut filled = String::with_capacity(template.len() + prompt.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, placeholder) = rest.split_at(at);
        filled.push_str(before);
        rest = if let Some(after) = placeholder.strip_prefix("{p}") {
            filled.push_str(positive);
            after
        } else if let Some(after) = placeholder.strip_prefix("{np}") {
            filled.push_str(&negative);
            after
        } else {
            filled.push('{');
            &placeholder[1..]
        };
    }
    filled.push_str(rest);
    filled
}

/// Fills a template for texts: `{p}` becomes the prompt, any other `{word}` nothing, and doubled braces single ones.
/// Everything else is taken as it is, also in what is filled in.
pub(super) fn fill_text(template: &str, prompt: &str) -> String {
    let mut filled = String::with_capacity(template.len() + prompt.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        filled.push_str(before);
        rest = if let Some(after) = brace.strip_prefix("{{") {
            filled.push('{');
            after
        } else if let Some(after) = brace.strip_prefix("}}") {
            filled.push('}');
            after
        } else if let Some((word, after)) = placeholder(brace) {
            if word == "p" {
                filled.push_str(prompt);
            }
            after
        } else {
            filled.push_str(&brace[..1]);
            &brace[1..]
        };
    }
    filled.push_str(rest);
    filled
}

/// The word in braces that a text begins with, and what follows it.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (word, after) = text.strip_prefix('{')?.split_once('}')?;
    let mut characters = word.chars();
    let first = characters.next()?;
    let is_word = (first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || character == '_');
    is_word.then_some((word, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_templates() {
        for (template, prompt, filled) in [
            ("{p}{np}", "cat", "cat"),
            ("{p}{np}", "cat###dog", "cat###dog"),
            ("{p}, x###no blur, {np}", "cat", "cat, x###no blur, "),
            ("{p}, x###no blur, {np}", "cat###dog", "cat, x###no blur, dog"),
            ("{a|b} {p}{np}", "cat", "{a|b} cat"),
            ("{p}{np}", "{np} cat###d", "{np} cat###d"),
            // The separator must not be lost.
            ("{p}{np}", "cat###dog###owl", "cat###dog###owl"),
            ("{p} and {p}{np", "cat", "cat and cat{np"),
        ] {
            assert_eq!(fill_image(template, prompt), filled, "{template} with {prompt}");
        }
    }

    #[test]
    fn text_templates() {
        for (template, prompt, filled) in [
            ("{p}{np}", "hi {z}", "hi {z}"),
            ("a {x} {p}", "hi", "a  hi"),
            ("{{p}} {p}", "hi", "{p} hi"),
            ("{} {0} {p!r} {p} }{", "hi", "{} {0} {p!r} hi }{"),
            ("{p", "hi", "{p"),
            ("ü{p}ß", "é", "üéß"),
        ] {
            assert_eq!(fill_text(template, prompt), filled, "{template} with {prompt}");
        }
    }
}
