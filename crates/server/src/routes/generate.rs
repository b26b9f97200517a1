//! `generate/*`: image requests and the jobs that workers make of them.

use axum::{
    extract::{Path, State},
    response::Response,
};
use muster_protocol::{
    RequestError, RequestValidationError,
    image::{
        PopInput, Popped, Progress, RatingInput, RequestAccepted, RequestInput, Status, SubmitInput,
        Submitted,
    },
};

use super::call::{Calling, Requesting, answer};
use crate::{
    AppState,
    http::{ApiError, Json, ValidBody, to_the_end},
};

/// Put an image request into the queue
///
/// The request waits for a worker for up to 20 minutes. Follow it with `generate/check` and fetch its
/// results with `generate/status`. With `dry_run` the answer (200) only tells the price.
#[utoipa::path(
    post, path = "/v2/generate/async", operation_id = "post_image_async_generate", tag = "v2",
    params(("apikey" = String, Header, description = "Your API key; 0000000000 is the anonymous one"),
           ("Client-Agent" = Option<String>, Header, description = "Your program: name:version:contact")),
    request_body = RequestInput,
    responses(
        (status = 202, description = "Accepted", body = RequestAccepted),
        (status = 200, description = "The price, for a dry run", body = RequestAccepted),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for this account", body = RequestError),
        (status = 404, description = "A named worker or style does not exist", body = RequestError),
        (status = 429, description = "Too many requests", body = RequestError),
    )
)]
pub(crate) async fn submit(
    State(state): State<AppState>,
    requesting: Requesting,
    ValidBody(input): ValidBody<RequestInput>,
) -> Result<Response, ApiError> {
    let submit = async move {
        let call = requesting.admitted(&state).await;
        state.engine.submit_image_request(&call, input).await
    };
    Ok(answer(to_the_end(submit).await??))
}

/// How far an image request is
#[utoipa::path(
    get, path = "/v2/generate/check/{id}", operation_id = "get_image_async_check", tag = "v2",
    params(("id" = String, Path, description = "The request")),
    responses(
        (status = 200, description = "Progress", body = Progress),
        (status = 404, description = "No such request", body = RequestError),
    )
)]
pub(crate) async fn check(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
) -> Result<Json<Progress>, ApiError> {
    Ok(Json(state.engine.image_progress(&call, &id).await?))
}

/// Progress and results of an image request
#[utoipa::path(
    get, path = "/v2/generate/status/{id}", operation_id = "get_image_async_status", tag = "v2",
    params(("id" = String, Path, description = "The request")),
    responses(
        (status = 200, description = "Progress and results", body = Status),
        (status = 404, description = "No such request", body = RequestError),
    )
)]
pub(crate) async fn status(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    Ok(Json(state.engine.image_status(&id).await?))
}

/// Cancel an image request
///
/// No more jobs are handed out; jobs in progress may still be delivered, and are paid. The answer is
/// the status before the cancellation.
#[utoipa::path(
    delete, path = "/v2/generate/status/{id}", operation_id = "delete_image_async_status", tag = "v2",
    params(("id" = String, Path, description = "The request")),
    responses(
        (status = 200, description = "Progress and results so far", body = Status),
        (status = 404, description = "No such request", body = RequestError),
    )
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.cancel_image_request(&id).await }).await??,
    ))
}

/// Rate shared pictures
///
/// The rating is passed on to a rating service, and the requester is awarded kudos for it.
#[utoipa::path(
    post, path = "/v2/generate/rate/{id}", operation_id = "post_aesthetics", tag = "v2",
    params(("id" = String, Path, description = "The request")),
    request_body = RatingInput,
    responses(
        (status = 200, description = "Passed on", body = Submitted),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestError),
        (status = 404, description = "No such request", body = RequestError),
    )
)]
pub(crate) async fn rate(
    State(state): State<AppState>,
    Calling(call): Calling,
    Path(id): Path<String>,
    ValidBody(input): ValidBody<RatingInput>,
) -> Result<Json<Submitted>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.rate_images(&call, &id, input).await }).await??,
    ))
}

/// Ask for image jobs, as a worker
///
/// A worker that pops for the first time is registered. Without a job, `skipped` tells why requests
/// were left in the queue.
#[utoipa::path(
    post, path = "/v2/generate/pop", operation_id = "post_image_job_pop", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of the worker's owner")),
    request_body = PopInput,
    responses(
        (status = 200, description = "Jobs, or why there are none", body = Popped),
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
        to_the_end(async move { state.engine.pop_image_job(&call, input).await }).await??,
    ))
}

/// Deliver an image job, as a worker
#[utoipa::path(
    post, path = "/v2/generate/submit", operation_id = "post_image_job_submit", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of the worker's owner")),
    request_body = SubmitInput,
    responses(
        (status = 200, description = "Accepted", body = Submitted),
        (status = 400, description = "Delivered before, or given up", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Somebody else's job", body = RequestError),
        (status = 404, description = "No such job", body = RequestError),
    )
)]
pub(crate) async fn deliver(
    State(state): State<AppState>,
    Calling(call): Calling,
    ValidBody(input): ValidBody<SubmitInput>,
) -> Result<Json<Submitted>, ApiError> {
    Ok(Json(
        to_the_end(async move { state.engine.submit_image_job(&call, input).await }).await??,
    ))
}
