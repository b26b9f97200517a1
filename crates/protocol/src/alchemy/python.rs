//! JSON values in the spelling of Python literals.

use std::fmt::Write as _;

use serde_json::Value;

/// A value as the reference server spells it where it sends any value as text: workers read `"True"`,
/// `"1.5"`, `"['a', None]"`. A text stays itself at the top and is quoted inside.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => literal(other),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float_literal(float),
            _ => number.to_string(),
        },
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, member)| format!("{}: {}", quoted(name), literal(member)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// The shortest digits that read back as the same number; with an exponent below 10^-4 and from 10^16 on.
fn float_literal(float: f64) -> String {
    let size = float.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let digits = format!("{float:e}");
        return match digits.split_once('e') {
            Some((digits, exponent)) => match exponent.strip_prefix('-') {
                Some(exponent) => format!("{digits}e-{exponent:0>2}"),
                None => format!("{digits}e+{exponent:0>2}"),
            },
            None => digits,
        };
    }
    format!("{float:?}")
}

/// In single quotes, unless only double ones spare the escapes.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut literal = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            same if same == quote => {
                literal.push('\\');
                literal.push(same);
            }
            control if u32::from(control) < 0x20 || control == '\u{7f}' => {
                // Writing to a text cannot fail.
                let _ = write!(literal, "\\x{:02x}", u32::from(control));
            }
            other => literal.push(other),
        }
    }
    literal.push(quote);
    literal
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars() {
        let spelt = [
            (json!("as it is"), "as it is"),
            (json!(true), "True"),
            (json!(false), "False"),
            (json!(1), "1"),
            (json!(-7), "-7"),
            (json!(1.5), "1.5"),
            (json!(1.0), "1.0"),
            (json!(0.0), "0.0"),
            (json!(1e16), "1e+16"),
            (json!(1.5e300), "1.5e+300"),
            (json!(0.0001), "0.0001"),
            (json!(0.00001), "1e-05"),
            (json!(null), "None"),
        ];
        for (value, expected) in spelt {
            assert_eq!(text(&value), expected);
        }
    }

    #[test]
    fn what_is_nested_is_a_literal() {
        let value = json!({"a": ["x", null, true], "it's": "say \"no\"", "b": "it's", "c": "'\"\n\\\u{1}"});
        assert_eq!(
            text(&value),
            r#"{'a': ['x', None, True], 'b': "it's", 'c': '\'"\n\\\x01', "it's": 'say "no"'}"#
        );
        assert_eq!(text(&json!([])), "[]");
    }
}
