//! `users` and `find_user`: accounts.

use axum::extract::{Path, Query, State};
use muster_protocol::{
    ListedUser, ModifyUser, ModifyUserInput, RequestError, RequestValidationError, SimpleResponse,
    UserDetails,
};
use serde::Deserialize;

use super::call::Calling;
use crate::{
    AppState,
    http::{ApiError, Json, MaybeApiKey, ValidBody, arguments::whole, to_the_end},
};

/// The account that an API key belongs to
///
/// For a shared key: what everybody sees of the account that pays.
#[utoipa::path(
    get, path = "/v2/find_user", operation_id = "get_find_user", tag = "v2",
    params(("apikey" = String, Header, description = "The API key to look up")),
    responses(
        (status = 200, description = "The account", body = UserDetails),
        (status = 400, description = "There is no key", body = RequestValidationError),
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

/// Which page of the list.
#[derive(Deserialize)]
pub(crate) struct Listing {
    page: Option<String>,
    sort: Option<String>,
}

/// All accounts, 25 a page
#[utoipa::path(
    get, path = "/v2/users", operation_id = "get_users", tag = "v2",
    params(("page" = Option<i64>, Query, description = "The page, from 1"),
           ("sort" = Option<String>, Query, description = "kudos (the default) or age")),
    responses(
        (status = 200, description = "The accounts of the page", body = [UserDetails]),
        (status = 400, description = "The page is no number", body = RequestValidationError),
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<ListedUser>>, ApiError> {
    let page = whole("page", listing.page.as_deref(), 1)?;
    let sort = listing.sort.as_deref().unwrap_or("kudos");
    Ok(Json(state.engine.users(page, sort).await?))
}

/// An account
///
/// Its owner sees more than others, moderators see everything.
#[utoipa::path(
    get, path = "/v2/users/{user_id}", operation_id = "get_user_single", tag = "v2",
    params(("user_id" = String, Path, description = "The number of the account"),
           ("apikey" = Option<String>, Header, description = "Your API key, to see more")),
    responses(
        (status = 200, description = "The account", body = UserDetails),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 404, description = "No such account", body = RequestError),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<UserDetails>, ApiError> {
    Ok(Json(state.engine.user(&call, &id).await?))
}

/// Change an account
///
/// Each change is made by itself, in the order of the reply; if one is refused, those before it stay made.
#[utoipa::path(
    put, path = "/v2/users/{user_id}", operation_id = "put_user_single", tag = "v2",
    params(("user_id" = String, Path, description = "The number of the account"),
           ("apikey" = String, Header, description = "The API key of an administrator, a moderator or the owner")),
    request_body = ModifyUserInput,
    responses(
        (status = 200, description = "What was changed", body = ModifyUser),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
        (status = 404, description = "No such account", body = RequestError),
    )
)]
pub(crate) async fn put(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    ValidBody(input): ValidBody<ModifyUserInput>,
) -> Result<Json<ModifyUser>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.modify_user(&call, &id, input).await }).await??,
    ))
}

/// Delete an account
///
/// The first call schedules the deletion, which can be undone. A second one, when the account was idle for 30 days, wipes
/// it.
#[utoipa::path(
    delete, path = "/v2/users/{user_id}", operation_id = "delete_user_single", tag = "v2",
    params(("user_id" = String, Path, description = "The number of the account"),
           ("apikey" = String, Header, description = "The API key of a moderator or the owner")),
    responses(
        (status = 200, description = "Done", body = SimpleResponse),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
        (status = 404, description = "No such account", body = RequestError),
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.delete_user(&call, &id).await }).await??,
    ))
}
