//! Text that both engines can hold: PostgreSQL has no NUL, so it becomes U+FFFD everywhere. Also
//! hexadecimal digits.

use serde_json::Value;

/// Replaces NUL.
pub(crate) fn clean(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{FFFD}");
    }
}

/// Replaces NUL in optional text.
pub(crate) fn clean_option(text: &mut Option<String>) {
    if let Some(text) = text {
        clean(text);
    }
}

/// Replaces NUL in all strings and keys of a value.
pub(crate) fn clean_json(value: &mut Value) {
    match value {
        Value::String(text) => clean(text),
        Value::Array(items) => items.iter_mut().for_each(clean_json),
        Value::Object(members) => {
            if members.keys().any(|key| key.contains('\0')) {
                *members = std::mem::take(members)
                    .into_iter()
                    .map(|(key, value)| (key.replace('\0', "\u{FFFD}"), value))
                    .collect();
            }
            members.values_mut().for_each(clean_json);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nul_becomes_the_replacement_character_everywhere() {
        let mut value = json!({ "a\0": ["x\0y", { "b": "\0" }], "n": 1 });
        clean_json(&mut value);
        assert_eq!(
            value,
            json!({ "a\u{FFFD}": ["x\u{FFFD}y", { "b": "\u{FFFD}" }], "n": 1 })
        );
    }
}
