//! `workers/messages`: what moderators and owners tell workers.

use axum::extract::{Path, Query, State};
use muster_engine::MessageQuery;
use muster_protocol::{
    RequestError, RequestValidationError, SimpleResponse, WorkerMessageDetails, WorkerMessageInput,
};
use serde::Deserialize;

use super::call::Calling;
use crate::{
    AppState,
    http::{ApiError, Json, ValidBody, arguments::whole, to_the_end},
};

/// Which messages are listed.
#[derive(Deserialize)]
pub(crate) struct Listing {
    user_id: Option<String>,
    worker_id: Option<String>,
    validity: Option<String>,
    page: Option<String>,
}

/// Messages to workers, 50 a page
///
/// Moderators see all of them, others those that they wrote and those to all workers.
#[utoipa::path(
    get, path = "/v2/workers/messages", operation_id = "get_worker_messages", tag = "v2",
    params(("apikey" = String, Header, description = "Your API key"),
           ("user_id" = Option<String>, Query, description = "Only those by this author, and those to all workers"),
           ("worker_id" = Option<String>, Query, description = "Only those to this worker"),
           ("validity" = Option<String>, Query, description = "active (the default), expired or all"),
           ("page" = Option<i64>, Query, description = "The page, from 1")),
    responses(
        (status = 200, description = "The messages of the page, oldest first", body = [WorkerMessageDetails]),
        (status = 400, description = "A value that cannot be asked for", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Those of somebody else", body = RequestError),
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Calling(call): Calling,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<WorkerMessageDetails>>, ApiError> {
    let query = MessageQuery {
        page: whole("page", listing.page.as_deref(), 1)?,
        user_id: listing.user_id,
        worker_id: listing.worker_id,
        validity: listing.validity,
    };
    Ok(Json(state.engine.worker_messages(&call, &query).await?))
}

/// Write a message to a worker
///
/// It is delivered with every pop until it expires. Moderators can write to all workers at once.
#[utoipa::path(
    post, path = "/v2/workers/messages", operation_id = "post_worker_messages", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of a moderator or the worker's owner")),
    request_body = WorkerMessageInput,
    responses(
        (status = 200, description = "The message", body = WorkerMessageDetails),
        (status = 400, description = "The body does not fit", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not to this worker", body = RequestError),
        (status = 404, description = "No such worker", body = RequestError),
    )
)]
pub(crate) async fn post(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<WorkerMessageInput>,
) -> Result<Json<WorkerMessageDetails>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.post_worker_message(&call, input).await }).await??,
    ))
}

/// A message
#[utoipa::path(
    get, path = "/v2/workers/messages/{message_id}", operation_id = "get_single_worker_message", tag = "v2",
    params(("message_id" = String, Path, description = "The message")),
    responses(
        (status = 200, description = "The message", body = WorkerMessageDetails),
        (status = 404, description = "No such message", body = RequestError),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<WorkerMessageDetails>, ApiError> {
    Ok(Json(state.engine.worker_message(&id).await?))
}

/// Delete a message
#[utoipa::path(
    delete, path = "/v2/workers/messages/{message_id}", operation_id = "delete_single_worker_message", tag = "v2",
    params(("message_id" = String, Path, description = "The message"),
           ("apikey" = String, Header, description = "The API key of a moderator or its author")),
    responses(
        (status = 200, description = "Done", body = SimpleResponse),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's", body = RequestError),
        (status = 404, description = "No such message", body = RequestError),
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.delete_worker_message(&call, &id).await }).await??,
    ))
}
