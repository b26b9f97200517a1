//! `sharedkeys`: keys that stand in for their owner's. Their bodies have a published shape, but are read leniently.

use axum::extract::{Path, State};
use muster_protocol::{
    RequestError, RequestValidationError, SharedKeyDetails, SharedKeyInput, SimpleResponse,
};

use super::call::Calling;
use crate::{
    AppState,
    http::{AnyBody, ApiError, Json, arguments::Members, to_the_end},
};

fn input(body: AnyBody) -> Result<SharedKeyInput, ApiError> {
    let members = Members::from(body.0);
    Ok(SharedKeyInput {
        kudos: members.whole("kudos")?,
        expiry: members.whole("expiry")?,
        name: members.text("name")?,
        max_image_pixels: members.whole("max_image_pixels")?,
        max_image_steps: members.whole("max_image_steps")?,
        max_text_tokens: members.whole("max_text_tokens")?,
    })
}

/// Make a shared key
#[utoipa::path(
    put, path = "/v2/sharedkeys", operation_id = "put_shared_key", tag = "v2",
    params(("apikey" = String, Header, description = "Your API key")),
    request_body = SharedKeyInput,
    responses(
        (status = 200, description = "The key", body = SharedKeyDetails),
        (status = 400, description = "The body does not fit", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "You have enough of them", body = RequestError),
    )
)]
pub(crate) async fn put(
    State(state): State<AppState>,
    Calling(call): Calling,
    body: AnyBody,
) -> Result<Json<SharedKeyDetails>, ApiError> {
    let input = input(body)?;
    Ok(Json(
        to_the_end(async move { state.engine.create_shared_key(&call, input).await }).await??,
    ))
}

/// A shared key
///
/// Whoever knows it sees all of it.
#[utoipa::path(
    get, path = "/v2/sharedkeys/{sharedkey_id}", operation_id = "get_shared_key_single", tag = "v2",
    params(("sharedkey_id" = String, Path, description = "The key")),
    responses(
        (status = 200, description = "The key", body = SharedKeyDetails),
        (status = 401, description = "No such key", body = RequestError),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<SharedKeyDetails>, ApiError> {
    Ok(Json(state.engine.shared_key(&id).await?))
}

/// Change a shared key
#[utoipa::path(
    patch, path = "/v2/sharedkeys/{sharedkey_id}", operation_id = "patch_shared_key_single", tag = "v2",
    params(("sharedkey_id" = String, Path, description = "The key"),
           ("apikey" = String, Header, description = "Its owner's API key")),
    request_body = SharedKeyInput,
    responses(
        (status = 200, description = "The key", body = SharedKeyDetails),
        (status = 400, description = "The body does not fit, or changes nothing", body = RequestError),
        (status = 401, description = "No such key, or unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
    )
)]
pub(crate) async fn patch(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    body: AnyBody,
) -> Result<Json<SharedKeyDetails>, ApiError> {
    let input = input(body)?;
    Ok(Json(
        to_the_end(async move { state.engine.modify_shared_key(&call, &id, input).await }).await??,
    ))
}

/// Delete a shared key
///
/// Every request that was made with it goes, too.
#[utoipa::path(
    delete, path = "/v2/sharedkeys/{sharedkey_id}", operation_id = "delete_shared_key_single", tag = "v2",
    params(("sharedkey_id" = String, Path, description = "The key"),
           ("apikey" = String, Header, description = "Its owner's API key")),
    responses(
        (status = 200, description = "Done", body = SimpleResponse),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "No such key, or unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.delete_shared_key(&call, &id).await }).await??,
    ))
}
