//! `interrogate/*`: alchemy requests and the forms that workers take of them.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use muster_protocol::{
    RequestError, RequestValidationError,
    alchemy::{PopInput, Popped, RequestAccepted, RequestInput, Status, SubmitInput},
    image::Submitted,
};

use super::call::Calling;
use crate::{
    AppState,
    http::{AnyBody, ApiError, Json, ValidBody, to_the_end},
};

/// Have something found out about a picture, or done to it
///
/// Each form waits for a worker for up to 20 minutes. Follow them and fetch their results with
/// `interrogate/status`.
#[utoipa::path(
    post, path = "/v2/interrogate/async", operation_id = "post_interrogate", tag = "v2",
    params(("apikey" = String, Header, description = "Your API key; 0000000000 is the anonymous one"),
           ("Client-Agent" = Option<String>, Header, description = "Your program: name:version:contact")),
    request_body = RequestInput,
    responses(
        (status = 202, description = "Accepted", body = RequestAccepted),
        (status = 400, description = "The body or the picture does not fit", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
        (status = 429, description = "Too many requests", body = RequestError),
    )
)]
pub(crate) async fn submit(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<RequestInput>,
) -> Result<Response, ApiError> {
    let submit = async move { state.engine.submit_alchemy_request(&call, input).await };
    let accepted = to_the_end(submit).await??;
    Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
}

/// What became of each form of an alchemy request
#[utoipa::path(
    get, path = "/v2/interrogate/status/{id}", operation_id = "get_interrogation_status", tag = "v2",
    params(("id" = String, Path, description = "The request")),
    responses(
        (status = 200, description = "States and results", body = Status),
        (status = 404, description = "No such request", body = RequestError),
    )
)]
pub(crate) async fn status(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    Ok(Json(state.engine.alchemy_status(&id).await?))
}

/// Cancel an alchemy request
///
/// Forms that are not done are cancelled; those that a worker has are paid all the same. The answer is the status
/// after the cancellation.
#[utoipa::path(
    delete, path = "/v2/interrogate/status/{id}", operation_id = "delete_interrogation_status", tag = "v2",
    params(("id" = String, Path, description = "The request")),
    responses(
        (status = 200, description = "States and results", body = Status),
        (status = 404, description = "No such request", body = RequestError),
    )
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.cancel_alchemy_request(&id).await }).await??,
    ))
}

/// Ask for forms, as a worker
///
/// A worker that pops for the first time is registered. The forms may belong to several requests.
#[utoipa::path(
    post, path = "/v2/interrogate/pop", operation_id = "post_interrogate_pop", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of the worker's owner")),
    request_body = PopInput,
    responses(
        (status = 200, description = "Forms, or why there are none", body = Popped),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "The worker may not work now", body = RequestError),
    )
)]
pub(crate) async fn pop(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<PopInput>,
) -> Result<Json<Popped>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.pop_alchemy_forms(&call, input).await }).await??,
    ))
}

/// Deliver a form, as a worker
///
/// The body is read leniently, whatever type it says that it is.
#[utoipa::path(
    post, path = "/v2/interrogate/submit", operation_id = "post_interrogate_submit", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of the worker's owner")),
    request_body = SubmitInput,
    responses(
        (status = 200, description = "Accepted", body = Submitted),
        (status = 400, description = "Delivered before, or given up", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's form", body = RequestError),
        (status = 404, description = "No such form", body = RequestError),
    )
)]
pub(crate) async fn deliver(
    State(state): State<AppState>,
    Calling(call): Calling,
    AnyBody(body): AnyBody,
) -> Result<Json<Submitted>, ApiError> {
    let input = SubmitInput::read(body);
    Ok(Json(
        to_the_end(async move { state.engine.submit_alchemy_form(&call, input).await }).await??,
    ))
}
