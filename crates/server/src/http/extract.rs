//! What handlers take from a request: [`ValidBody`], [`AnyBody`], [`ApiKey`], [`MaybeApiKey`] and [`ClientAgent`].
//!
//! A body that does not fit its schema is reported before a missing key. As axum reads the body after
//! everything else, a handler with a body takes a [`MaybeApiKey`], which never fails, and asks for the
//! key in its first line:
//!
//! ```
//! # use muster_protocol::image::RequestInput;
//! # use muster_server::http::{ApiError, MaybeApiKey, ValidBody};
//! async fn submit(key: MaybeApiKey, ValidBody(input): ValidBody<RequestInput>) -> Result<String, ApiError> {
//!     let key = key.required()?;
//!     # let _ = key;
//!     Ok(input.prompt)
//! }
//! # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(submit));
//! ```
//!
//! A handler without a body takes an [`ApiKey`] directly.

use std::{convert::Infallible, fmt};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE, request::Parts},
};
use muster_protocol::{Body, RequestValidationError, UNKNOWN_AGENT};
use serde_json::Value;

use super::{ApiError, error::is_json_type, json_shape};

/// The largest body of a route that does not say otherwise.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// The largest body of a route that takes long texts.
pub const TEXT_LIMIT: usize = 8 * 1024 * 1024;
/// The largest body of a route that takes pictures, which travel in bodies as base64 text.
pub const PICTURE_LIMIT: usize = 64 * 1024 * 1024;

/// Bodies above this size are read on a thread that may block.
const LARGE_BODY: usize = 256 * 1024;

/// A JSON body that has been checked against its published schema.
///
/// Answers 400 with a message alone if the content type is not JSON or the text can't be parsed, 400
/// with `errors` if the body does not fit the schema, and 413 above the limit, which is axum's
/// [`DefaultBodyLimit`](axum::extract::DefaultBodyLimit).
#[derive(Clone, Copy, Debug)]
pub struct ValidBody<T>(
    /// The body.
    pub T,
);

impl<T: Body + Send, S: Send + Sync> FromRequest<S> for ValidBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !request.headers().get(CONTENT_TYPE).is_some_and(is_json_type) {
            return Err(ApiError::BadBody(
                "The body must be JSON and its content type application/json.".into(),
            ));
        }
        let bytes = body(request, state).await?;
        if bytes.len() <= LARGE_BODY {
            return read(&bytes).map(Self);
        }
        tokio::task::spawn_blocking(move || read(&bytes).map(Self))
            .await
            .map_err(ApiError::internal)?
    }
}

/// Whatever JSON the caller sent, of whatever type it says that it is; `None` if it is no JSON. Answers 400 if it is
/// too deep or has too many members.
#[derive(Clone, Debug)]
pub struct AnyBody(
    /// The body.
    pub Option<Value>,
);

impl<S: Send + Sync> FromRequest<S> for AnyBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = body(request, state).await?;
        if bytes.len() <= LARGE_BODY {
            return any(&bytes).map(Self);
        }
        tokio::task::spawn_blocking(move || any(&bytes).map(Self))
            .await
            .map_err(ApiError::internal)?
    }
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            ApiError::PayloadTooLarge
        } else {
            ApiError::BadBody("The body could not be read.".into())
        }
    })
}

/// JSON, unless it would take too much memory.
fn any(bytes: &[u8]) -> Result<Option<Value>, ApiError> {
    check_shape(bytes)?;
    Ok(serde_json::from_slice(bytes).ok())
}

fn check_shape(bytes: &[u8]) -> Result<(), ApiError> {
    json_shape::check(bytes)
        .map_err(|error| ApiError::BadBody(format!("The body is refused: {error}.").into()))
}

fn read<T: Body>(bytes: &[u8]) -> Result<T, ApiError> {
    check_shape(bytes)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| ApiError::BadBody(format!("The body is not valid JSON: {error}").into()))?;
    Ok(T::parse(value)?)
}

/// The key of the account that a request is made for, as the caller sent it: it may be unknown and
/// even empty. As an extractor it is for handlers without a body; see [`MaybeApiKey`] for the others.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKey(String);

impl ApiKey {
    /// The name of the header.
    pub const HEADER: &'static str = "apikey";
    /// Why a request without the header was refused.
    pub const MISSING: &'static str =
        "The API key of a registered user. Missing required parameter in the HTTP headers";

    /// The key itself. It must not be logged.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ApiKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        MaybeApiKey::of(&parts.headers).required()
    }
}

/// The key that came with a request, if one did. The handler says whether it needs one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaybeApiKey(Option<ApiKey>);

impl MaybeApiKey {
    fn of(headers: &HeaderMap) -> Self {
        Self(text(headers, ApiKey::HEADER).map(ApiKey))
    }

    /// The key, for operations that require one. An empty key counts, as an unknown one.
    ///
    /// # Errors
    /// A validation error that names the header, with status 400 and not 401.
    pub fn required(self) -> Result<ApiKey, ApiError> {
        self.0
            .ok_or_else(|| RequestValidationError::single(ApiKey::HEADER, ApiKey::MISSING).into())
    }

    /// The header exactly as sent, for use cases that judge it themselves. It must not be logged.
    pub fn into_sent(self) -> Option<String> {
        self.0.map(|key| key.0)
    }

    /// The key, for operations that work without one. An empty key counts as none.
    pub fn optional(self) -> Option<ApiKey> {
        self.0.filter(|key| !key.0.is_empty())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MaybeApiKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// How the calling program describes itself: `name:version:contact` by convention, but anything goes.
/// [`UNKNOWN_AGENT`] if it does not say; an empty text stays empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientAgent(
    /// The text as sent.
    pub String,
);

impl<S: Send + Sync> FromRequestParts<S> for ClientAgent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        // Some versions of the Python library send the second spelling.
        let agent = ["client-agent", "client_agent"]
            .into_iter()
            .find_map(|name| text(&parts.headers, name));
        Ok(Self(agent.unwrap_or_else(|| UNKNOWN_AGENT.to_owned())))
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::{
        Router,
        extract::DefaultBodyLimit,
        routing::{get, post},
    };
    use muster_protocol::{TestUserInput, image::SubmitInput};
    use serde_json::json;

    use super::{super::testing::send, *};

    const JSON: (&str, &str) = ("content-type", "application/json");

    fn router() -> Router {
        let submit = |key: MaybeApiKey, ValidBody(input): ValidBody<SubmitInput>| async move {
            let key = key.required()?;
            Ok::<_, ApiError>(format!("{}|{}", key.expose(), input.id))
        };
        let key = |key: ApiKey| async move { format!("[{}]", key.expose()) };
        let maybe = |key: MaybeApiKey| async move { format!("{}", key.optional().is_some()) };
        Router::new()
            .route("/submit", post(submit))
            .route(
                "/user",
                post(|_: ValidBody<TestUserInput>| async {}).layer(DefaultBodyLimit::max(10)),
            )
            .route("/key", get(key))
            .route("/maybe", get(maybe))
            .route("/agent", get(|agent: ClientAgent| async move { agent.0 }))
            .layer(DefaultBodyLimit::max(PICTURE_LIMIT))
    }

    async fn submit(headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let answer = send(&router(), "POST", "/submit", headers, body.to_owned()).await;
        (answer.status.as_u16(), answer.text)
    }

    const VALID: &str = r#"{"id": "one", "generation": "R2", "seed": 1}"#;

    #[tokio::test]
    async fn a_valid_body_is_read() {
        for content_type in [
            "application/json",
            "application/JSON; charset=utf-8",
            "application/x+json",
        ] {
            let headers = [("content-type", content_type), ("apikey", "k")];
            assert_eq!(submit(&headers, VALID).await, (200, "k|one".to_owned()));
        }
        let marked = format!("\u{feff}{VALID}");
        assert_eq!(submit(&[JSON, ("apikey", "k")], &marked).await.0, 200);
        let large = json!({"id": "one", "generation": "x".repeat(3 << 20), "seed": 1}).to_string();
        assert_eq!(
            submit(&[JSON, ("apikey", "k")], &large).await,
            (200, "k|one".to_owned())
        );
    }

    #[tokio::test]
    async fn an_unusable_body_has_a_message_alone() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (headers, body) in [
            (&[("apikey", "k")][..], VALID),
            (&[("content-type", "text/plain")], VALID),
            (&[("content-type", "multipart/form-data; boundary=x")], VALID),
            (&[JSON], ""),
            (&[JSON], "{\"id\": "),
            (&[JSON], "{\"id\": NaN}"),
            (&[JSON], deep.as_str()),
        ] {
            let (status, text) = submit(headers, body).await;
            assert_eq!(status, 400);
            let body: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(body.as_object().unwrap().len(), 1, "{text}");
            assert!(body["message"].is_string());
        }
    }

    #[tokio::test]
    async fn the_body_is_checked_before_the_key() {
        let (status, text) = submit(&[JSON], r#"{"id": 5, "generation": "R2"}"#).await;
        assert_eq!(status, 400);
        let body: Value = serde_json::from_str(&text).unwrap();
        let failed: Vec<&String> = body["errors"].as_object().unwrap().keys().collect();
        assert_eq!(failed, ["id", "seed"]);

        let (status, text) = submit(&[JSON], VALID).await;
        assert_eq!(status, 400);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({"message": "Input payload validation failed", "errors": {"apikey": ApiKey::MISSING}})
        );
        assert_eq!(
            submit(&[JSON, ("apikey", "")], VALID).await,
            (200, "|one".to_owned())
        );
        assert!(submit(&[JSON], "[]").await.1.contains(r#""errors":{"":"#));
    }

    #[tokio::test]
    async fn too_large_a_body_is_refused_in_json() {
        let body = r#"{"username": "somebody"}"#;
        let answer = send(&router(), "POST", "/user", &[JSON], body).await;
        assert_eq!(answer.status, 413);
        assert!(answer.json()["message"].is_string());
    }

    #[tokio::test]
    async fn keys_without_a_body() {
        let get = async |path: &str, headers: &[(&str, &str)]| {
            let answer = send(&router(), "GET", path, headers, "").await;
            (answer.status.as_u16(), answer.text)
        };
        assert_eq!(get("/key", &[("ApiKey", "abc")]).await, (200, "[abc]".to_owned()));
        assert_eq!(get("/key", &[("apikey", "")]).await, (200, "[]".to_owned()));
        assert_eq!(get("/key", &[]).await.0, 400);
        assert_eq!(get("/maybe", &[]).await.1, "false");
        assert_eq!(get("/maybe", &[("apikey", "")]).await.1, "false");
        assert_eq!(get("/maybe", &[("apikey", "abc")]).await.1, "true");
        let sent = |text: &str| MaybeApiKey(Some(ApiKey(text.to_owned()))).into_sent();
        assert_eq!(sent(""), Some(String::new()));
        assert_eq!(format!("{:?}", ApiKey("secret".to_owned())), "ApiKey(…)");
    }

    #[tokio::test]
    async fn agents_by_either_name() {
        for (headers, agent) in [
            (&[][..], "unknown:0:unknown"),
            (&[("client-agent", "a:1:b:c")], "a:1:b:c"),
            (&[("client_agent", "sdk:1:x")], "sdk:1:x"),
            (&[("client-agent", "")], ""),
        ] {
            assert_eq!(send(&router(), "GET", "/agent", headers, "").await.text, agent);
        }
    }
}
