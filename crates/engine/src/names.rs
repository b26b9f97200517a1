//! Cleaning of names that people choose.

use std::borrow::Cow;

/// The form in which a name is stored, compared and shown: markup is escaped, NUL is dropped,
/// other control characters become `?`, and surrounding white space goes.
///
/// Third-party pages print names as they are, so a name must never carry markup. Entities that are
/// already there stay, which makes cleaning idempotent.
///
/// ```
/// # use muster_engine::names::clean;
/// assert_eq!(clean(" Tom & Jo\0 "), "Tom &amp; Jo");
/// assert_eq!(clean(&clean("<b>")), "&lt;b&gt;");
/// ```
pub fn clean(name: &str) -> String {
    let mut cleaned = String::with_capacity(name.len());
    for (position, character) in name.char_indices() {
        match character {
            '\0' => {}
            '<' => cleaned.push_str("&lt;"),
            '>' => cleaned.push_str("&gt;"),
            '&' if starts_entity(&name[position + 1..]) => cleaned.push('&'),
            '&' => cleaned.push_str("&amp;"),
            '\t' | '\n' | '\r' => cleaned.push(character),
            control if control.is_control() => cleaned.push('?'),
            other => cleaned.push(other),
        }
    }
    cleaned.trim().to_owned()
}

/// Whether `text`, which follows an ampersand, continues as an entity: `amp;`, `#38;`, `#x26;`.
fn starts_entity(text: &str) -> bool {
    const LONGEST: usize = 32;
    let Some(end) = text.bytes().take(LONGEST).position(|byte| byte == b';') else {
        return false;
    };
    let name = &text.as_bytes()[..end];
    match name {
        [b'#', b'x' | b'X', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit),
        [b'#', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        [] => false,
        letters => letters.iter().all(u8::is_ascii_alphanumeric),
    }
}

/// The name by which a style is told from those of others: `owner#id::style::name`.
pub fn full_style_name(owner: &str, name: &str) -> String {
    format!("{owner}::style::{name}")
}

/// The number behind the last `#` of an alias (`name#42`), or the number itself.
pub fn user_number(alias: &str) -> Option<i64> {
    let digits = alias.rsplit('#').next().unwrap_or(alias);
    let number: i64 = digits.trim().parse().ok()?;
    (0..=i64::from(i32::MAX)).contains(&number).then_some(number)
}

/// The first `limit` characters.
pub fn truncate(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        Some((end, _)) => Cow::Owned(text[..end].to_owned()),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_once() {
        assert_eq!(clean("A & B"), "A &amp; B");
        assert_eq!(
            clean("A &amp; B &#38; &#x26; &nope"),
            "A &amp; B &#38; &#x26; &amp;nope"
        );
        assert_eq!(clean("<script>"), "&lt;script&gt;");
    }

    #[test]
    fn control_characters_do_not_survive() {
        assert_eq!(clean("a\0b\u{7}c\td"), "ab?c\td");
        assert_eq!(clean("\u{a0} x \n"), "x");
    }

    #[test]
    fn aliases_are_read_from_the_last_hash() {
        assert_eq!(user_number("a#b#42"), Some(42));
        assert_eq!(user_number("42"), Some(42));
        assert_eq!(user_number("name#"), None);
        assert_eq!(user_number("name#-1"), None);
        assert_eq!(user_number("name#2147483648"), None);
    }
}
