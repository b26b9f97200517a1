//! [`FieldMask`]: the header `X-Fields`, with which a caller asks for some members of a response only.

use std::{collections::BTreeMap, iter};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use thiserror::Error;

use super::{ApiError, error::is_json, is_api};

/// How deep braces may be nested. No response is nearly as deep.
const MAX_DEPTH: usize = 32;

/// The members that a caller wants to see: `username,kudos_details{accumulated},*`.
///
/// Names are separated by commas; braces after a name select members of an object, or of every
/// object in a list; `*` stands for all members that are not named; braces around the whole are
/// optional. A name consists of letters, digits and `_:-*`; every other character merely separates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldMask {
    /// Whether members that are not named stay.
    rest: bool,
    /// The named members, each with the mask of what is inside, if it has one.
    names: BTreeMap<String, Option<FieldMask>>,
}

/// Why a mask was refused. Its text is the message of the response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MaskError {
    /// The mask is malformed.
    #[error("Mask parse error: {0}")]
    Parse(&'static str),
    /// The mask has braces after a member that has no members.
    #[error("Mask error: the mask does not fit the response")]
    Mismatch,
}

impl From<MaskError> for ApiError {
    fn from(error: MaskError) -> Self {
        Self::BadBody(error.to_string().into())
    }
}

impl FieldMask {
    /// Reads a mask.
    ///
    /// # Errors
    /// [`MaskError::Parse`] for an unbalanced brace, a comma or brace that follows no name, and
    /// absurdly deep nesting.
    pub fn parse(text: &str) -> Result<Self, MaskError> {
        let mut parser = Parser::default();
        for token in tokens(without_outer_braces(text)?) {
            parser.take(token)?;
        }
        parser.finish()
    }

    /// Whether the mask names nothing at all, which means that there is none.
    pub fn is_empty(&self) -> bool {
        !self.rest && self.names.is_empty()
    }

    /// Removes from `value` what the mask does not name. Unknown names have no effect; if none is
    /// known, an object without members is left. `null` stays as it is.
    ///
    /// # Errors
    /// [`MaskError::Mismatch`] if a mask is to be applied to a text, number or boolean.
    pub fn apply(&self, value: &mut Value) -> Result<(), MaskError> {
        match value {
            Value::Null => Ok(()),
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.apply(item)),
            Value::Object(members) => {
                members.retain(|name, _| self.rest || self.names.contains_key(name));
                members
                    .iter_mut()
                    .try_for_each(|(name, member)| match self.names.get(name) {
                        Some(Some(inner)) => inner.apply(member),
                        _ => Ok(()),
                    })
            }
            _ => Err(MaskError::Mismatch),
        }
    }
}

/// What a mask is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Comma,
    Name(&'a str),
}

fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    iter::from_fn(move || {
        rest = rest.trim_start_matches(|c| !is_name(c) && !matches!(c, '{' | '}' | ','));
        let first = rest.chars().next()?;
        let end = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else {
            1
        };
        let (token, tail) = rest.split_at(end);
        rest = tail;
        Some(match first {
            '{' => Token::Open,
            '}' => Token::Close,
            ',' => Token::Comma,
            _ => Token::Name(token),
        })
    })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '*')
}

fn without_outer_braces(text: &str) -> Result<&str, MaskError> {
    let text = text.trim();
    match text.strip_prefix('{') {
        None => Ok(text),
        Some(inner) => inner
            .strip_suffix('}')
            .ok_or(MaskError::Parse("a closing brace is missing")),
    }
}

/// A mask in the making, and those around it that are not closed yet.
#[derive(Default)]
struct Parser {
    current: FieldMask,
    /// Each surrounding mask, with the name whose braces are open.
    outer: Vec<(FieldMask, String)>,
    /// The name that a brace may follow.
    last_name: Option<String>,
    /// Whether something stands before the next token that a comma may follow.
    comma_fits: bool,
}

impl Parser {
    fn take(&mut self, token: Token<'_>) -> Result<(), MaskError> {
        let last_name = self.last_name.take();
        let comma_fits = std::mem::replace(&mut self.comma_fits, true);
        match token {
            Token::Name(name) => {
                if name == "*" {
                    self.current.rest = true;
                } else {
                    self.current.names.insert(name.to_owned(), None);
                }
                self.last_name = Some(name.to_owned());
            }
            Token::Comma if comma_fits => self.comma_fits = false,
            Token::Comma => return Err(MaskError::Parse("a comma follows no name")),
            Token::Open => {
                let name = last_name.ok_or(MaskError::Parse("an opening brace follows no name"))?;
                if self.outer.len() == MAX_DEPTH {
                    return Err(MaskError::Parse("braces are nested too deeply"));
                }
                self.outer.push((std::mem::take(&mut self.current), name));
                self.comma_fits = false;
            }
            Token::Close => {
                let (outer, name) = self
                    .outer
                    .pop()
                    .ok_or(MaskError::Parse("a closing brace has no opening one"))?;
                let inner = std::mem::replace(&mut self.current, outer);
                if name != "*" {
                    self.current.names.insert(name, Some(inner));
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<FieldMask, MaskError> {
        if self.outer.is_empty() {
            Ok(self.current)
        } else {
            Err(MaskError::Parse("a closing brace is missing"))
        }
    }
}

/// Middleware: applies `X-Fields` to successful JSON responses below `/api/`.
///
/// It has to stand outside every response cache. A malformed mask is refused after the handler has
/// run, because all other errors come first; errors themselves are not masked.
pub async fn mask_response(request: Request, next: Next) -> Response {
    let mask = if is_api(request.uri().path()) {
        header_text(request.headers())
    } else {
        None
    };
    let response = next.run(request).await;
    match mask {
        Some(text) if response.status().is_success() && is_json(&response) => masked(&text, response)
            .await
            .unwrap_or_else(IntoResponse::into_response),
        _ => response,
    }
}

fn header_text(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-fields")?;
    (!value.is_empty()).then(|| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

async fn masked(mask: &str, response: Response) -> Result<Response, ApiError> {
    let mask = FieldMask::parse(mask)?;
    if mask.is_empty() {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.map_err(ApiError::internal)?;
    let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else {
        return Ok(Response::from_parts(parts, Body::from(bytes)));
    };
    mask.apply(&mut value)?;
    parts.headers.remove(header::CONTENT_LENGTH);
    let bytes = serde_json::to_vec(&value).map_err(ApiError::internal)?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::{Router, http::StatusCode, middleware, routing::get};
    use serde_json::json;

    use super::{
        super::{Json, testing::send},
        *,
    };

    fn mask(mask: &str, mut value: Value) -> Result<Value, MaskError> {
        FieldMask::parse(mask)?.apply(&mut value)?;
        Ok(value)
    }

    #[test]
    fn names_select_and_unknown_names_do_nothing() {
        let value = json!({"username": "x", "kudos": 1.0, "id": null});
        assert_eq!(
            mask("username,kudos", value.clone()).unwrap(),
            json!({"username": "x", "kudos": 1.0})
        );
        assert_eq!(
            mask("{ id , nothing }", value.clone()).unwrap(),
            json!({"id": null})
        );
        assert_eq!(mask("month", value.clone()).unwrap(), json!({}));
        assert_eq!(mask("id,", value.clone()).unwrap(), json!({"id": null}));
        assert_eq!(mask("*", value.clone()).unwrap(), value);
        assert_eq!(
            mask("kudos/username;id", value.clone()).unwrap(),
            value,
            "other characters separate"
        );
    }

    #[test]
    fn braces_descend_into_objects_and_lists() {
        let value = json!({
            "done": true,
            "generations": [{"id": 1, "img": "a"}, {"id": 2, "img": "b"}],
            "details": {"a": {"x": 1, "y": 2}, "b": 3},
            "none": null,
        });
        assert_eq!(
            mask("generations{id},details{a{x}},none{z}", value.clone()).unwrap(),
            json!({"generations": [{"id": 1}, {"id": 2}], "details": {"a": {"x": 1}}, "none": null})
        );
        assert_eq!(
            mask("*,generations{nothing}", value.clone()).unwrap(),
            json!({"done": true, "generations": [{}, {}], "details": {"a": {"x": 1, "y": 2}, "b": 3}, "none": null})
        );
        assert_eq!(mask("details{*}", value.clone()).unwrap()["details"]["b"], 3);
        assert_eq!(mask("details{}", value).unwrap(), json!({"details": {}}));
        assert_eq!(
            mask("id", json!([{"id": 1, "x": 2}, {"x": 3}])).unwrap(),
            json!([{"id": 1}, {}])
        );
    }

    #[test]
    fn braces_do_not_fit_a_scalar() {
        assert_eq!(mask("a{b}", json!({"a": 1})), Err(MaskError::Mismatch));
        assert_eq!(mask("a{b}", json!({"a": ["text"]})), Err(MaskError::Mismatch));
        assert_eq!(mask("a{b}", json!({"c": 1})), Ok(json!({})));
    }

    #[test]
    fn malformed_masks_are_refused() {
        for text in [
            "{a", "a}", "a{b", "{a{b}", ",a", "a,,b", "a{,b}", "{b}{c}", "a{b}{c}", "a,{b}", "{{a}}",
        ] {
            assert!(
                matches!(FieldMask::parse(text), Err(MaskError::Parse(_))),
                "{text}"
            );
        }
        let bottomless = "a{".repeat(100_000);
        assert_eq!(
            FieldMask::parse(&bottomless),
            Err(MaskError::Parse("braces are nested too deeply"))
        );
        for text in ["", "{}", " ", "!?"] {
            assert!(FieldMask::parse(text).unwrap().is_empty(), "{text}");
        }
    }

    fn router() -> Router {
        let body = || async { Json(json!({"a": 1, "b": [2]})) };
        Router::new()
            .route("/api/v2/x", get(body))
            .route("/x", get(body))
            .route(
                "/api/v2/error",
                get(|| async { (StatusCode::FORBIDDEN, Json(json!({"message": "no"}))) }),
            )
            .route("/api/v2/text", get(|| async { "a" }))
            .layer(middleware::from_fn(mask_response))
    }

    #[tokio::test]
    async fn successful_api_responses_are_masked() {
        let get = async |path: &str, mask: &str| {
            let answer = send(&router(), "GET", path, &[("x-fields", mask)], "").await;
            (answer.status.as_u16(), answer.text)
        };
        let whole = r#"{"a":1,"b":[2]}"#.to_owned();
        assert_eq!(get("/api/v2/x", "a").await, (200, r#"{"a":1}"#.to_owned()));
        assert_eq!(get("/api/v2/x", "").await, (200, whole.clone()));
        assert_eq!(get("/x", "a").await, (200, whole));
        assert_eq!(
            get("/api/v2/error", "a{").await,
            (403, r#"{"message":"no"}"#.to_owned())
        );
        assert_eq!(get("/api/v2/text", "a{").await, (200, "a".to_owned()));
        let (status, text) = get("/api/v2/x", "a{").await;
        assert_eq!(status, 400);
        assert!(text.starts_with(r#"{"message":"Mask parse error: "#));
        let (status, text) = get("/api/v2/x", "a{b}").await;
        assert_eq!(status, 400);
        assert!(text.starts_with(r#"{"message":"Mask error: "#));
    }

    proptest::proptest! {
        /// Whatever a mask is, it is applied or refused, and what it leaves was there before.
        #[test]
        fn no_mask_fails(text in r"[a-c*,{} ]{0,40}|.{0,40}") {
            let value = json!({"a": {"b": [1, {"c": 2}], "c": null}, "b": [], "c": "text"});
            if let Ok(Value::Object(left)) = mask(&text, value.clone()) {
                proptest::prop_assert!(left.keys().all(|name| value.get(name).is_some()));
            }
        }
    }

    #[test]
    fn a_mask_of_braces_does_not_exhaust_the_stack() {
        for text in [
            "{".repeat(60_000),
            "a{".repeat(30_000),
            format!("{}{}", "a{".repeat(20_000), "}".repeat(20_000)),
        ] {
            let _ = mask(&text, json!({"a": 1}));
        }
    }
}
