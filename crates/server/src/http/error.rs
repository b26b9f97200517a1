//! [`ApiError`]: the one place where errors become responses, and the answers for unknown paths,
//! wrong methods and panics.

use std::{any::Any, borrow::Cow, error::Error as StdError};

use axum::{
    extract::{OriginalUri, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use muster_protocol::{RequestError, RequestValidationError, ReturnCode};
use thiserror::Error;

use super::{Json, is_api};

/// Any error, as the cause of an internal one.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request was not served. Every handler and extractor of the API fails with it.
#[derive(Debug, Error)]
pub enum ApiError {
    /// A rule of the horde forbids it. The body has `message` and `rc`.
    #[error("{rc}: {message}")]
    Rule {
        /// The status that goes with it.
        status: StatusCode,
        /// What went wrong, for programs.
        rc: ReturnCode,
        /// What went wrong, for people.
        message: Cow<'static, str>,
    },
    /// The body or an argument does not have the documented shape. 400 with `errors`.
    #[error("{}", .0.message)]
    Validation(RequestValidationError),
    /// The body or a header can't be understood at all. 400 with a message alone.
    #[error("{0}")]
    BadBody(Cow<'static, str>),
    /// The path exists, but not for this method. 405.
    #[error("The method is not allowed for this path.")]
    MethodNotAllowed,
    /// The path does not exist, which is not the same as a record that is missing. 404.
    #[error("The requested path was not found on this server.")]
    NotFound,
    /// The caller exceeded a limit, whose phrase this is (`2 per 1 second`). 429.
    #[error("{0}")]
    RateLimited(String),
    /// The body is larger than the server accepts. 413.
    #[error("The request body is too large.")]
    PayloadTooLarge,
    /// The body arrives more slowly than the server waits for. 408.
    #[error("The request body arrives too slowly.")]
    TooSlow,
    /// The server is starting, stopping or cut off from what it needs. 503.
    #[error("The server is temporarily unavailable. Please try again later.")]
    Unavailable,
    /// The server failed. 500; the cause is logged and never sent.
    #[error("Internal Server Error")]
    Internal(#[source] BoxError),
}

impl ApiError {
    /// A broken rule with the status that usually comes with its code.
    pub fn rule(rc: ReturnCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::rule_with(rc.status(), rc, message)
    }

    /// A broken rule with another status, as few codes have.
    pub fn rule_with(status: u16, rc: ReturnCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Rule {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            rc,
            message: message.into(),
        }
    }

    /// A failure of the server.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::Internal(cause.into())
    }

    /// The HTTP status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Rule { status, .. } => *status,
            Self::Validation(_) | Self::BadBody(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<RequestValidationError> for ApiError {
    fn from(error: RequestValidationError) -> Self {
        Self::Validation(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let message = match self {
            Self::Rule { rc, message, .. } => {
                let body = RequestError {
                    message: message.into_owned(),
                    rc: Some(rc.to_string()),
                };
                return (status, Json(body)).into_response();
            }
            Self::Validation(body) => return (status, Json(body)).into_response(),
            Self::Internal(ref cause) => {
                tracing::error!(cause = %with_sources(cause.as_ref()), "a request failed");
                self.to_string()
            }
            other => other.to_string(),
        };
        (status, Json(RequestError { message, rc: None })).into_response()
    }
}

/// An error followed by what caused it.
fn with_sources(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// The fallback for paths that do not exist: JSON below `/api/`, a page elsewhere.
pub async fn not_found(OriginalUri(uri): OriginalUri) -> Response {
    refusal(uri.path(), ApiError::NotFound)
}

/// The fallback for methods that a path does not have: JSON below `/api/`, a page elsewhere. The
/// router adds `Allow`.
pub async fn method_not_allowed(OriginalUri(uri): OriginalUri) -> Response {
    refusal(uri.path(), ApiError::MethodNotAllowed)
}

fn refusal(path: &str, error: ApiError) -> Response {
    if is_api(path) {
        return error.into_response();
    }
    let status = error.status();
    let title = status.canonical_reason().unwrap_or("Error");
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body><h1>{title}</h1><p>{error}</p></body>\n</html>\n"
    );
    (status, Html(page)).into_response()
}

/// What a panic in a handler becomes, for [`tower_http::catch_panic::CatchPanicLayer::custom`].
#[allow(clippy::needless_pass_by_value)] // the layer hands it over
pub fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned();
    ApiError::internal(format!("panic: {text}")).into_response()
}

/// Middleware: whatever produced an error below `/api/` without using [`ApiError`] (an extractor or
/// layer of a library, say) still answers in JSON, as several clients refuse anything else.
pub async fn force_json_errors(request: Request, next: Next) -> Response {
    let api = is_api(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    if !api || !failed || is_json(&response) {
        return response;
    }
    let mut replaced = plain(status, status.canonical_reason().unwrap_or("Error"));
    for (name, value) in response.headers() {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            replaced.headers_mut().append(name, value.clone());
        }
    }
    replaced
}

/// An error with a message alone, for what no variant of [`ApiError`] stands for.
pub fn plain(status: StatusCode, message: impl Into<String>) -> Response {
    let body = RequestError {
        message: message.into(),
        rc: None,
    };
    (status, Json(body)).into_response()
}

/// Whether a response says that it is JSON.
pub(super) fn is_json(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(is_json_type)
}

/// `application/json` or `application/<anything>+json`, with or without parameters.
pub(super) fn is_json_type(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else {
        return false;
    };
    let essence = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::{
        super::{json::CONTENT_TYPE_JSON, testing::Answer},
        *,
    };

    async fn answer(error: ApiError) -> Answer {
        Answer::of(error.into_response()).await
    }

    #[tokio::test]
    async fn a_broken_rule_has_exactly_message_and_rc() {
        let refused = answer(ApiError::rule(ReturnCode::InvalidApiKey, "No such user.")).await;
        assert_eq!(refused.status, 401);
        assert_eq!(
            refused.json(),
            json!({"message": "No such user.", "rc": "InvalidAPIKey"})
        );
        assert_eq!(refused.header("content-type"), CONTENT_TYPE_JSON);

        let error = ApiError::rule_with(400, ReturnCode::DeletedUser, "Gone.");
        assert_eq!(answer(error).await.status, 400);
    }

    #[tokio::test]
    async fn a_validation_error_has_exactly_message_and_errors() {
        let invalid = answer(RequestValidationError::single("params.steps", "too many").into()).await;
        assert_eq!(invalid.status, 400);
        assert_eq!(
            invalid.json(),
            json!({"message": "Input payload validation failed", "errors": {"params.steps": "too many"}})
        );
    }

    #[tokio::test]
    async fn the_others_have_a_message_alone() {
        for (error, status) in [
            (ApiError::BadBody("What?".into()), 400),
            (ApiError::NotFound, 404),
            (ApiError::MethodNotAllowed, 405),
            (ApiError::PayloadTooLarge, 413),
            (ApiError::TooSlow, 408),
            (ApiError::RateLimited("2 per 1 second".to_owned()), 429),
            (ApiError::Unavailable, 503),
        ] {
            let text = error.to_string();
            let failed = answer(error).await;
            assert_eq!(failed.status, status);
            assert_eq!(failed.json(), json!({ "message": text }));
            assert_eq!(failed.header("content-type"), CONTENT_TYPE_JSON);
        }
    }

    #[tokio::test]
    async fn the_cause_of_a_failure_is_not_sent() {
        let failed = answer(ApiError::internal(std::io::Error::other("password wrong"))).await;
        assert_eq!(failed.status, 500);
        assert_eq!(failed.json(), json!({"message": "Internal Server Error"}));
        let failed = Answer::of(panicked(Box::new("password wrong"))).await;
        assert_eq!(failed.json(), json!({"message": "Internal Server Error"}));
    }

    #[test]
    fn json_content_types() {
        for (text, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/jsonp", false),
            ("text/json", false),
            ("", false),
        ] {
            assert_eq!(is_json_type(&HeaderValue::from_static(text)), expected, "{text}");
        }
    }
}
