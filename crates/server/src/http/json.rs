//! [`Json`]: the responder of every JSON body.

use axum::{
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::ApiError;

/// The content type of every JSON response.
pub const CONTENT_TYPE_JSON: &str = "application/json; charset=utf-8";

/// Writes a value as JSON, with the charset in the content type as clients know it. A value that
/// can't be written becomes an internal error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(
    /// What is written.
    pub T,
);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => (
                [(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_JSON))],
                bytes,
            )
                .into_response(),
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use axum::http::StatusCode;
    use serde_json::json;

    use super::{super::testing::Answer, *};

    #[tokio::test]
    async fn bodies_name_their_charset_and_keep_the_given_status() {
        let response = (StatusCode::ACCEPTED, Json(json!({"id": "é"}))).into_response();
        let answer = Answer::of(response).await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
        assert_eq!(answer.text, r#"{"id":"é"}"#);
    }

    #[tokio::test]
    async fn an_unwritable_value_is_an_internal_error() {
        let unwritable = BTreeMap::from([((1, 2), 3)]);
        let answer = Answer::of(Json(unwritable).into_response()).await;
        assert_eq!(answer.status, 500);
        assert_eq!(answer.json(), json!({"message": "Internal Server Error"}));
    }
}
