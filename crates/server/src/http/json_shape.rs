//! How deep and how many-membered JSON may be, looked at before it is read: a text of brackets takes many times its
//! size once it is values.

/// How deep values may be nested.
pub const DEPTH: usize = 32;
/// How many values there may be in all.
pub const VALUES: usize = 200_000;

/// Why JSON is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Values are nested too deeply.
    #[error("its values are nested more than {DEPTH} deep")]
    TooDeep,
    /// There are too many values.
    #[error("it has more than {VALUES} values")]
    TooMany,
}

/// Looks at a text that may be JSON. One that is none is left to whoever reads it.
///
/// # Errors
/// It is nested too deeply, or has too many values.
pub fn check(text: &[u8]) -> Result<(), ShapeError> {
    let mut depth = 0_usize;
    let mut values = 1_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_text(text, at),
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > DEPTH {
            return Err(ShapeError::TooDeep);
        }
        if values > VALUES {
            return Err(ShapeError::TooMany);
        }
    }
    Ok(())
}

/// Where a text ends that has begun before `at`.
fn end_of_text(text: &[u8], mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            None => return text.len(),
            Some(found) if rest[found] == b'"' => return at + found + 1,
            // Whatever is escaped does not end it.
            Some(found) => at += found + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_number_of_values_are_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(nested(DEPTH).as_bytes()), Ok(()));
        assert_eq!(check(nested(DEPTH + 1).as_bytes()), Err(ShapeError::TooDeep));
        let beside = format!("[{}]", vec![nested(DEPTH - 1); 100].join(","));
        assert_eq!(check(beside.as_bytes()), Ok(()));
        let many = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert_eq!(check(many(VALUES - 1).as_bytes()), Ok(()));
        assert_eq!(check(many(VALUES).as_bytes()), Err(ShapeError::TooMany));
        let empty = format!("[{}]", vec!["{}"; VALUES].join(","));
        assert_eq!(check(empty.as_bytes()), Err(ShapeError::TooMany));
    }

    #[test]
    fn what_is_in_texts_does_not_count() {
        let brackets = "[,".repeat(VALUES);
        for text in [
            format!("{{\"a\": \"{brackets}\"}}"),
            format!("\"\\\"{brackets}\\\\\""),
            format!("\"{brackets}"),
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()));
        }
        assert_eq!(
            check(format!("\"\\\\\"{brackets}").as_bytes()),
            Err(ShapeError::TooDeep),
            "the text has ended"
        );
        for text in ["", "\"", "\"\\", "]]]", "{"] {
            assert_eq!(check(text.as_bytes()), Ok(()));
        }
    }
}
