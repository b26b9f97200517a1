//! `dev/*`: what automated tests need. Only there when the operator allows it, and only for callers
//! on the same machine.

use axum::{
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use muster_engine::EngineError;
use muster_protocol::{Body as _, RequestError, TestUser, TestUserInput};
use serde_json::Value;

use crate::{
    AppState,
    http::{ApiError, Json, TransportPeer, error::plain, to_the_end},
};

/// Make or refresh an account for automated tests
#[utoipa::path(
    post, path = "/v2/dev/test-user", operation_id = "post_test_user", tag = "dev",
    request_body = TestUserInput,
    responses(
        (status = 201, description = "Made", body = TestUser),
        (status = 200, description = "Refreshed: the key is new", body = TestUser),
        (status = 400, description = "The body does not fit", body = RequestError),
        (status = 403, description = "Not from this address", body = RequestError),
        (status = 404, description = "Not allowed on this server", body = RequestError),
    )
)]
pub(crate) async fn test_user(
    State(state): State<AppState>,
    TransportPeer(peer): TransportPeer,
    body: Bytes,
) -> Result<Response, ApiError> {
    if !state.engine.config().test_accounts {
        return Err(ApiError::NotFound);
    }
    if !peer.is_loopback() {
        let message = "Test accounts can only be made from the server's own machine.";
        return Ok(plain(StatusCode::FORBIDDEN, message));
    }
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| Value::Object(serde_json::Map::new()));
    let input = TestUserInput::parse(body).map_err(|invalid| {
        let errors: Vec<String> = invalid
            .errors
            .into_iter()
            .map(|(path, text)| format!("{path}: {text}"))
            .collect();
        ApiError::BadBody(errors.join("; ").into())
    })?;
    let is_nothing = |text: &str| muster_engine::names::clean(text).is_empty();
    if is_nothing(&input.username) || is_nothing(&input.oauth_id) {
        return Err(ApiError::BadBody(
            "username and oauth_id must not be empty".into(),
        ));
    }
    let user = match to_the_end(async move { state.engine.test_user(input).await }).await? {
        // Errors of this route have no return code.
        Err(EngineError::Refused(refusal)) => return Err(ApiError::BadBody(refusal.message.into())),
        outcome => outcome?,
    };
    let status = if user.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(user)).into_response())
}
