//! `find_user`: the account behind an API key.

use axum::extract::State;
use muster_protocol::{RequestError, UserDetails};

use crate::{
    AppState,
    http::{ApiError, Json, MaybeApiKey},
};

/// The account that an API key belongs to
#[utoipa::path(
    get, path = "/v2/find_user", operation_id = "get_find_user", tag = "v2",
    params(("apikey" = String, Header, description = "The API key to look up")),
    responses(
        (status = 200, description = "The account", body = UserDetails),
        (status = 401, description = "No API key was sent", body = RequestError),
        (status = 404, description = "Nobody has this API key", body = RequestError),
    )
)]
pub(crate) async fn find(
    State(state): State<AppState>,
    key: MaybeApiKey,
) -> Result<Json<UserDetails>, ApiError> {
    Ok(Json(state.engine.find_user(key.into_sent().as_deref()).await?))
}
