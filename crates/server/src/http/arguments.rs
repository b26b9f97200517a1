//! Arguments that the API reads leniently: of query strings, and of bodies without a schema.

use muster_engine::EngineError;
use muster_protocol::RequestValidationError;
use serde_json::{Map, Value};

use super::ApiError;

/// A whole number of a query string, `usual` if it is absent.
///
/// # Errors
/// 400 with `errors` if it is no number.
pub fn whole(name: &str, text: Option<&str>, usual: i64) -> Result<i64, ApiError> {
    let Some(text) = text else { return Ok(usual) };
    text.trim()
        .parse()
        .map_err(|_| RequestValidationError::single(name, "The value must be a whole number.").into())
}

/// The members of a body without a schema: whatever was sent, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Members(Map<String, Value>);

impl From<Option<Value>> for Members {
    fn from(body: Option<Value>) -> Self {
        match body {
            Some(Value::Object(members)) => Self(members),
            _ => Self::default(),
        }
    }
}

impl Members {
    /// A whole number, which may be written as a text, with a fraction (that is dropped) or as a boolean. Null is the
    /// same as absent.
    ///
    /// # Errors
    /// 400 with `errors` if it is anything else.
    pub fn whole(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let number = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Bool(yes)) => Some(i64::from(*yes)),
            Some(Value::Number(number)) => number.as_i64().or_else(|| {
                number
                    .as_f64()
                    .filter(|number| number.abs() < 9e15)
                    .map(|number| number as i64)
            }),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(Value::Array(_) | Value::Object(_)) => None,
        };
        let text = "The value must be a whole number.";
        number
            .map(Some)
            .ok_or_else(|| RequestValidationError::single(name, text).into())
    }

    /// A yes or no, which may be anything: what is empty or zero is no. Null is the same as absent.
    pub fn truth(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Null => None,
            Value::Bool(yes) => Some(*yes),
            Value::Number(number) => Some(number.as_f64() != Some(0.0)),
            Value::String(text) => Some(!text.is_empty()),
            Value::Array(items) => Some(!items.is_empty()),
            Value::Object(members) => Some(!members.is_empty()),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// 400 with `errors` if it is absent, a list or an object.
    pub fn required_text(&self, name: &str) -> Result<String, ApiError> {
        let text = self.text(name)?;
        Ok(text.ok_or_else(|| EngineError::missing(name, "JSON body"))?)
    }

    /// A text; numbers are written out. Null is the same as absent.
    ///
    /// # Errors
    /// 400 with `errors` for a list or an object.
    pub fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other @ (Value::Bool(_) | Value::Number(_))) => Ok(Some(other.to_string())),
            Some(_) => Err(RequestValidationError::single(name, "The value must be a text.").into()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_be_written_in_many_ways() {
        let members = Members::from(Some(
            json!({"a": "7", "b": 7.9, "c": true, "d": null, "e": "x", "f": [], "g": -1}),
        ));
        let read = |name| members.whole(name).ok().flatten();
        assert_eq!(
            ["a", "b", "c", "d", "g", "z"].map(read),
            [Some(7), Some(7), Some(1), None, Some(-1), None]
        );
        assert!(members.whole("e").is_err() && members.whole("f").is_err());
        assert_eq!(members.text("b").unwrap().as_deref(), Some("7.9"));
        assert!(members.text("f").is_err());
        assert!(Members::from(Some(json!([]))).whole("a").unwrap().is_none());
    }

    #[test]
    fn anything_is_a_yes_or_a_no() {
        let members = Members::from(Some(
            json!({"a": "false", "b": 0, "c": [], "d": null, "e": {"x": 1}, "f": false, "g": ""}),
        ));
        let read = |name| members.truth(name);
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(
            ["a", "b", "c", "d", "e", "f", "g", "z"].map(read),
            [yes, no, no, None, yes, no, no, None]
        );
    }

    #[test]
    fn query_arguments_are_whole_numbers() {
        assert_eq!(whole("page", None, 1).unwrap(), 1);
        assert_eq!(whole("page", Some("-3"), 1).unwrap(), -3);
        assert!(whole("page", Some("x"), 1).is_err());
    }
}
