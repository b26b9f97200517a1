//! `filters`: what prompts must not contain. For moderators.

use axum::extract::{Path, Query, State};
use muster_engine::FilterQuery;
use muster_protocol::{
    FilterDetails, FilterPromptInput, FilterPromptSuspicion, FilterRegex, PatchExistingFilter, PutNewFilter,
    RequestError, RequestValidationError, SimpleResponse,
};
use serde::Deserialize;

use super::call::Calling;
use crate::{
    AppState,
    http::{
        AnyBody, ApiError, Json, ValidBody,
        arguments::{Members, whole},
        to_the_end,
    },
};

/// Which filters.
#[derive(Deserialize)]
pub(crate) struct Listing {
    filter_type: Option<String>,
    contains: Option<String>,
}

/// All filters
#[utoipa::path(
    get, path = "/v2/filters", operation_id = "get_filters", tag = "v2",
    params(("apikey" = String, Header, description = "A moderator's API key"),
           ("filter_type" = Option<i64>, Query, description = "Only those of this type"),
           ("contains" = Option<String>, Query, description = "Only those whose expression or description contains this")),
    responses(
        (status = 200, description = "The filters, oldest first", body = [FilterDetails]),
        (status = 400, description = "The type is no number", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Calling(call): Calling,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<FilterDetails>>, ApiError> {
    let query = FilterQuery {
        filter_type: whole("filter_type", listing.filter_type.as_deref(), 0)?,
        contains: listing.contains,
    };
    Ok(Json(state.engine.filters(&call, &query).await?))
}

/// Make a filter
///
/// One that is there already is answered as it is.
#[utoipa::path(
    put, path = "/v2/filters", operation_id = "put_filters", tag = "v2",
    params(("apikey" = String, Header, description = "A moderator's API key")),
    request_body = PutNewFilter,
    responses(
        (status = 200, description = "The filter", body = FilterDetails),
        (status = 400, description = "The body does not fit, or the expression cannot be used", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
    )
)]
pub(crate) async fn put(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<PutNewFilter>,
) -> Result<Json<FilterDetails>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.create_filter(&call, input).await }).await??,
    ))
}

/// How much filters find in a prompt
#[utoipa::path(
    post, path = "/v2/filters", operation_id = "post_filters", tag = "v2",
    params(("apikey" = String, Header, description = "A moderator's API key")),
    request_body = FilterPromptInput,
    responses(
        (status = 200, description = "What they found", body = FilterPromptSuspicion),
        (status = 400, description = "The body does not fit", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
    )
)]
pub(crate) async fn check(
    State(state): State<AppState>,
    Calling(call): Calling,
    body: AnyBody,
) -> Result<Json<FilterPromptSuspicion>, ApiError> {
    call.key()?;
    let members = Members::from(body.0);
    let prompt = members.required_text("prompt")?;
    let only = members.whole("filter_type")?.unwrap_or(0);
    Ok(Json(state.engine.check_prompt(&call, &prompt, only).await?))
}

/// All filters of each type as one expression
#[utoipa::path(
    get, path = "/v2/filters/regex", operation_id = "get_filter_regex", tag = "v2",
    params(("apikey" = String, Header, description = "A moderator's API key"),
           ("filter_type" = Option<i64>, Query, description = "Only this type")),
    responses(
        (status = 200, description = "The expressions", body = [FilterRegex]),
        (status = 400, description = "The type is no number", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
    )
)]
pub(crate) async fn expressions(
    State(state): State<AppState>,
    Calling(call): Calling,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<FilterRegex>>, ApiError> {
    let only = whole("filter_type", listing.filter_type.as_deref(), 0)?;
    Ok(Json(state.engine.filter_expressions(&call, only).await?))
}

/// A filter
#[utoipa::path(
    get, path = "/v2/filters/{filter_id}", operation_id = "get_filter_single", tag = "v2",
    params(("filter_id" = String, Path, description = "Its number"),
           ("apikey" = String, Header, description = "A moderator's API key")),
    responses(
        (status = 200, description = "The filter", body = FilterDetails),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
        (status = 404, description = "No such filter", body = RequestError),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<FilterDetails>, ApiError> {
    Ok(Json(state.engine.filter(&call, &id).await?))
}

/// Change a filter
#[utoipa::path(
    patch, path = "/v2/filters/{filter_id}", operation_id = "patch_filter_single", tag = "v2",
    params(("filter_id" = String, Path, description = "Its number"),
           ("apikey" = String, Header, description = "A moderator's API key")),
    request_body = PatchExistingFilter,
    responses(
        (status = 200, description = "The filter", body = FilterDetails),
        (status = 400, description = "The body does not fit, changes nothing, or the expression cannot be used", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
        (status = 404, description = "No such filter", body = RequestError),
    )
)]
pub(crate) async fn patch(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    ValidBody(input): ValidBody<PatchExistingFilter>,
) -> Result<Json<FilterDetails>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.modify_filter(&call, &id, input).await }).await??,
    ))
}

/// Delete a filter
#[utoipa::path(
    delete, path = "/v2/filters/{filter_id}", operation_id = "delete_filter_single", tag = "v2",
    params(("filter_id" = String, Path, description = "Its number"),
           ("apikey" = String, Header, description = "A moderator's API key")),
    responses(
        (status = 200, description = "Done", body = SimpleResponse),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
        (status = 404, description = "No such filter", body = RequestError),
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.delete_filter(&call, &id).await }).await??,
    ))
}
