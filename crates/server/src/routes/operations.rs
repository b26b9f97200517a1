//! `operations/*`: addresses that are blocked. For moderators.

use axum::extract::{Path, State};
use muster_protocol::{
    AddTimeoutIpInput, AddWorkerTimeout, DeleteTimeoutIpInput, IpTimeout, RequestError,
    RequestValidationError, SimpleResponse,
};

use super::call::Calling;
use crate::{
    AppState,
    http::{ApiError, Json, ValidBody, to_the_end},
};

/// All blocked networks
#[utoipa::path(
    get, path = "/v2/operations/ipaddr", operation_id = "get_operations_ip", tag = "v2",
    params(("apikey" = String, Header, description = "A moderator's API key")),
    responses(
        (status = 200, description = "The networks; single addresses are not listed", body = [IpTimeout]),
        (status = 400, description = "There is no key", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Calling(call): Calling,
) -> Result<Json<Vec<IpTimeout>>, ApiError> {
    Ok(Json(state.engine.blocked_networks(&call).await?))
}

/// Block an address or a network
#[utoipa::path(
    post, path = "/v2/operations/ipaddr", operation_id = "post_operations_ip", tag = "v2",
    params(("apikey" = String, Header, description = "A moderator's API key")),
    request_body = AddTimeoutIpInput,
    responses(
        (status = 200, description = "It is blocked", body = SimpleResponse),
        (status = 400, description = "The body does not fit, or names neither an address nor a network", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
    )
)]
pub(crate) async fn post(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<AddTimeoutIpInput>,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.block(&call, &input).await }).await??,
    ))
}

/// Let an address or a network in again
#[utoipa::path(
    delete, path = "/v2/operations/ipaddr", operation_id = "delete_operations_ip", tag = "v2",
    params(("apikey" = String, Header, description = "A moderator's API key")),
    request_body = DeleteTimeoutIpInput,
    responses(
        (status = 200, description = "It is not blocked (any more)", body = SimpleResponse),
        (status = 400, description = "The body does not fit, or names neither an address nor a network", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<DeleteTimeoutIpInput>,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.unblock(&call, &input).await }).await??,
    ))
}

/// What blocks an address
#[utoipa::path(
    get, path = "/v2/operations/ipaddr/{ipaddr}", operation_id = "get_operations_ip_single", tag = "v2",
    params(("ipaddr" = String, Path, description = "The address"),
           ("apikey" = String, Header, description = "A moderator's API key")),
    responses(
        (status = 200, description = "Blocked networks around it, and itself", body = [IpTimeout]),
        (status = 400, description = "It is no address", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(address): Path<String>,
) -> Result<Json<Vec<IpTimeout>>, ApiError> {
    Ok(Json(state.engine.blocks_of(&call, &address).await?))
}

/// Block where a worker is
#[utoipa::path(
    put, path = "/v2/operations/block_worker_ipaddr/{worker_id}", operation_id = "put_operations_block_worker_ip", tag = "v2",
    params(("worker_id" = String, Path, description = "The worker"),
           ("apikey" = String, Header, description = "A moderator's API key")),
    request_body = AddWorkerTimeout,
    responses(
        (status = 200, description = "Its address, of IPv6 its network, is blocked", body = SimpleResponse),
        (status = 400, description = "The body does not fit, or the worker was never heard of", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
        (status = 404, description = "No such worker", body = RequestError),
    )
)]
pub(crate) async fn block_worker(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(worker): Path<String>,
    ValidBody(input): ValidBody<AddWorkerTimeout>,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.block_worker(&call, &worker, &input).await }).await??,
    ))
}

/// Let in again where a worker is
#[utoipa::path(
    delete, path = "/v2/operations/block_worker_ipaddr/{worker_id}", operation_id = "delete_operations_block_worker_ip", tag = "v2",
    params(("worker_id" = String, Path, description = "The worker"),
           ("apikey" = String, Header, description = "A moderator's API key")),
    responses(
        (status = 200, description = "Its address and network are not blocked (any more)", body = SimpleResponse),
        (status = 400, description = "The worker was never heard of", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For moderators only", body = RequestError),
        (status = 404, description = "No such worker", body = RequestError),
    )
)]
pub(crate) async fn unblock_worker(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(worker): Path<String>,
) -> Result<Json<SimpleResponse>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.unblock_worker(&call, &worker).await }).await??,
    ))
}
