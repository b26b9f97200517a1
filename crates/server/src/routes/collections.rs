//! `collections`: styles of one kind under one name.

use axum::extract::{Path, Query, State};
use muster_engine::CollectionQuery;
use muster_protocol::{
    CollectionDetails, CollectionInput, RequestError, RequestValidationError, SimpleResponse, StyleModify,
};
use serde::Deserialize;

use super::call::Calling;
use crate::{
    AppState,
    http::{ApiError, Json, ValidBody, arguments::whole, to_the_end},
};

/// Which collections are listed.
#[derive(Deserialize)]
pub(crate) struct Listing {
    sort: Option<String>,
    page: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Collections of styles, 25 a page
#[utoipa::path(
    get, path = "/v2/collections", operation_id = "get_collection", tag = "v2",
    params(("sort" = Option<String>, Query, description = "popular (the default) or age"),
           ("page" = Option<i64>, Query, description = "The page, from 1"),
           ("type" = Option<String>, Query, description = "all (the default), image or text")),
    responses(
        (status = 200, description = "The collections of the page", body = [CollectionDetails]),
        (status = 400, description = "No such order or type", body = RequestError),
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<CollectionDetails>>, ApiError> {
    let query = CollectionQuery {
        page: whole("page", listing.page.as_deref(), 1)?,
        sort: listing.sort,
        kind: listing.kind,
    };
    Ok(Json(state.engine.collections(&query).await?))
}

/// Make a collection of styles
#[utoipa::path(
    post, path = "/v2/collections", operation_id = "post_collection", tag = "v2",
    params(("apikey" = String, Header, description = "Your API key")),
    request_body = CollectionInput,
    responses(
        (status = 200, description = "Made", body = StyleModify),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
    )
)]
pub(crate) async fn post(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<CollectionInput>,
) -> Result<Json<StyleModify>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.create_collection(&call, input).await }).await??,
    ))
}

/// A collection of styles
#[utoipa::path(
    get, path = "/v2/collections/{collection_id}", operation_id = "get_single_collection", tag = "v2",
    params(("collection_id" = String, Path, description = "The collection")),
    responses(
        (status = 200, description = "The collection", body = CollectionDetails),
        (status = 404, description = "No such collection", body = RequestError),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<CollectionDetails>, ApiError> {
    Ok(Json(state.engine.collection(&id).await?))
}

/// A collection of styles by its name
#[utoipa::path(
    get, path = "/v2/collection_by_name/{collection_name}", operation_id = "get_single_collection_by_name", tag = "v2",
    params(("collection_name" = String, Path, description = "Its name, alone or with its owner")),
    responses(
        (status = 200, description = "The collection", body = CollectionDetails),
        (status = 404, description = "No such collection", body = RequestError),
    )
)]
pub(crate) async fn get_by_name(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<CollectionDetails>, ApiError> {
    Ok(Json(state.engine.collection_by_name(&name).await?))
}

/// Change a collection of styles
#[utoipa::path(
    patch, path = "/v2/collections/{collection_id}", operation_id = "patch_single_collection", tag = "v2",
    params(("collection_id" = String, Path, description = "The collection"),
           ("apikey" = String, Header, description = "Its owner's API key")),
    request_body = CollectionInput,
    responses(
        (status = 200, description = "Changed", body = StyleModify),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
        (status = 404, description = "No such collection", body = RequestError),
    )
)]
pub(crate) async fn patch(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    ValidBody(input): ValidBody<CollectionInput>,
) -> Result<Json<StyleModify>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.modify_collection(&call, &id, input).await }).await??,
    ))
}

/// Delete a collection of styles
///
/// Its styles stay.
#[utoipa::path(
    delete, path = "/v2/collections/{collection_id}", operation_id = "delete_single_collection", tag = "v2",
    params(("collection_id" = String, Path, description = "The collection"),
           ("apikey" = String, Header, description = "The API key of a moderator or its owner")),
    responses(
        (status = 200, description = "Done", body = SimpleResponse),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
        (status = 404, description = "No such collection", body = RequestError),
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.delete_collection(&call, &id).await }).await??,
    ))
}
