//! `workers`: who works for the horde.

use axum::{
    extract::{Path, Query, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use muster_engine::WorkerFilter;
use muster_protocol::{
    DeletedWorker, ModifyWorker, ModifyWorkerInput, RequestError, RequestValidationError, WorkerDetails,
};
use serde::Deserialize;

use super::call::Calling;
use crate::{
    AppState,
    http::{ApiError, Json, ValidBody, json::CONTENT_TYPE_JSON, to_the_end},
};

/// Which workers are listed.
#[derive(Deserialize)]
pub(crate) struct Listing {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The workers that are online
///
/// The list is made anew once a second at most. Moderators see more of each.
#[utoipa::path(
    get, path = "/v2/workers", operation_id = "get_workers", tag = "v2",
    params(("name" = Option<String>, Query, description = "Only the one with this name; then the type does not matter"),
           ("type" = Option<String>, Query, description = "Only image, text or interrogation workers"),
           ("apikey" = Option<String>, Header, description = "A moderator's API key, to see more")),
    responses((status = 200, description = "The workers", body = [WorkerDetails]))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Calling(call): Calling,
    Query(listing): Query<Listing>,
) -> Result<Response, ApiError> {
    let list = state.engine.worker_list(&call).await?;
    let filter = WorkerFilter {
        name: listing.name,
        kind: listing.kind,
    };
    if filter.name.as_deref().unwrap_or_default().is_empty() && filter.kind.is_none() {
        return Ok(([(CONTENT_TYPE, CONTENT_TYPE_JSON)], list.json()).into_response());
    }
    let some: Vec<&WorkerDetails> = list.filtered(&filter).collect();
    Ok(Json(some).into_response())
}

/// A worker
#[utoipa::path(
    get, path = "/v2/workers/{worker_id}", operation_id = "get_worker_single", tag = "v2",
    params(("worker_id" = String, Path, description = "The worker"),
           ("apikey" = Option<String>, Header, description = "A moderator's API key, to see more")),
    responses(
        (status = 200, description = "The worker", body = WorkerDetails),
        (status = 404, description = "No such worker", body = RequestError),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<WorkerDetails>, ApiError> {
    Ok(Json(state.engine.worker(&call, &id).await?))
}

/// A worker by its name
#[utoipa::path(
    get, path = "/v2/workers/name/{worker_name}", operation_id = "get_worker_single_name", tag = "v2",
    params(("worker_name" = String, Path, description = "Its exact name"),
           ("apikey" = Option<String>, Header, description = "A moderator's API key, to see more")),
    responses(
        (status = 200, description = "The worker", body = WorkerDetails),
        (status = 404, description = "No such worker", body = RequestError),
    )
)]
pub(crate) async fn get_by_name(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(name): Path<String>,
) -> Result<Json<WorkerDetails>, ApiError> {
    Ok(Json(state.engine.worker_by_name(&call, &name).await?))
}

/// Change a worker
///
/// Each change is made by itself, in the order of the reply; if one is refused, those before it stay made.
#[utoipa::path(
    put, path = "/v2/workers/{worker_id}", operation_id = "put_worker_single", tag = "v2",
    params(("worker_id" = String, Path, description = "The worker"),
           ("apikey" = String, Header, description = "The API key of a moderator or the owner")),
    request_body = ModifyWorkerInput,
    responses(
        (status = 200, description = "What was changed", body = ModifyWorker),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
        (status = 404, description = "No such worker or team", body = RequestError),
    )
)]
pub(crate) async fn put(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    ValidBody(input): ValidBody<ModifyWorkerInput>,
) -> Result<Json<ModifyWorker>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.modify_worker(&call, &id, input).await }).await??,
    ))
}

/// Delete a worker
///
/// What its owner has earned stays.
#[utoipa::path(
    delete, path = "/v2/workers/{worker_id}", operation_id = "delete_worker_single", tag = "v2",
    params(("worker_id" = String, Path, description = "The worker"),
           ("apikey" = String, Header, description = "The API key of a moderator or the owner")),
    responses(
        (status = 200, description = "Done", body = DeletedWorker),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
        (status = 404, description = "No such worker", body = RequestError),
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<DeletedWorker>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.delete_worker(&call, &id).await }).await??,
    ))
}
