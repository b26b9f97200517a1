//! `kudos`: giving kudos away, awarding them, and why a balance is what it is. The bodies have no schema and are read
//! leniently.

use axum::{
    extract::{Query, State},
    http::HeaderMap,
};
use muster_engine::{Call, Gift};
use muster_protocol::{
    KudosAwarded, KudosGift, KudosHistory, KudosTransferred, RequestError, RequestValidationError,
};
use serde::Deserialize;

use super::call::Calling;
use crate::{
    AppState,
    http::{
        AnyBody, ApiError, Json,
        arguments::{Members, whole},
        to_the_end,
    },
};

/// What moves if nothing is said about it.
const USUAL_AMOUNT: i64 = 100;

/// To whom and how much, after the headers were looked at.
fn gift(call: &Call, body: AnyBody) -> Result<KudosGift, ApiError> {
    call.key()?;
    let members = Members::from(body.0);
    Ok(KudosGift {
        username: members.required_text("username")?,
        amount: members.whole("amount")?.unwrap_or(USUAL_AMOUNT),
    })
}

/// Give kudos to another account
///
/// With an `Idempotency-Key`, sending the same transfer again moves nothing more.
#[utoipa::path(
    post, path = "/v2/kudos/transfer", operation_id = "post_transfer_kudos", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of the account that gives"),
           ("Client-Agent" = Option<String>, Header, description = "Your program: name:version:contact"),
           ("Idempotency-Key" = Option<String>, Header, description = "What you call this transfer")),
    request_body = KudosGift,
    responses(
        (status = 200, description = "They were given", body = KudosTransferred),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
    )
)]
pub(crate) async fn transfer(
    State(state): State<AppState>,
    Calling(call): Calling,
    headers: HeaderMap,
    body: AnyBody,
) -> Result<Json<KudosTransferred>, ApiError> {
    let KudosGift { username, amount } = gift(&call, body)?;
    let key = headers.get("idempotency-key");
    let gift = Gift {
        to: username,
        amount,
        idempotency_key: key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned()),
    };
    Ok(Json(
        to_the_end(async move { state.engine.transfer_kudos(&call, gift).await }).await??,
    ))
}

/// Award kudos to an account
///
/// Only for those whom the operators of the horde have chosen.
#[utoipa::path(
    post, path = "/v2/kudos/award", operation_id = "post_award_kudos", tag = "v2",
    params(("apikey" = String, Header, description = "The API key of somebody who may award kudos")),
    request_body = KudosGift,
    responses(
        (status = 200, description = "They were awarded", body = KudosAwarded),
        (status = 400, description = "The body does not fit, or a rule forbids it", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "Not for you to do", body = RequestError),
    )
)]
pub(crate) async fn award(
    State(state): State<AppState>,
    Calling(call): Calling,
    body: AnyBody,
) -> Result<Json<KudosAwarded>, ApiError> {
    let KudosGift { username, amount } = gift(&call, body)?;
    Ok(Json(
        to_the_end(async move { state.engine.award_kudos(&call, &username, amount).await }).await??,
    ))
}

/// Which page of the history.
#[derive(Deserialize)]
pub(crate) struct Window {
    before: Option<String>,
    limit: Option<String>,
}

/// What moved your kudos
///
/// Newest first, each movement with what you had afterwards. An extension of this server.
#[utoipa::path(
    get, path = "/v2/kudos/history", operation_id = "get_kudos_history", tag = "v2",
    params(("apikey" = String, Header, description = "Your API key"),
           ("before" = Option<i64>, Query, description = "Only what happened before this movement: next of the page before"),
           ("limit" = Option<i64>, Query, description = "How many movements, 1 to 500 (50)")),
    responses(
        (status = 200, description = "The page", body = KudosHistory),
        (status = 400, description = "No API key was sent, or a number is none", body = RequestValidationError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "The anonymous account has no history", body = RequestError),
    )
)]
pub(crate) async fn history(
    State(state): State<AppState>,
    Calling(call): Calling,
    Query(window): Query<Window>,
) -> Result<Json<KudosHistory>, ApiError> {
    let number = |name, text: Option<&str>| text.map(|text| whole(name, Some(text), 0)).transpose();
    let before = number("before", window.before.as_deref())?;
    let limit = number("limit", window.limit.as_deref())?;
    Ok(Json(state.engine.kudos_history(&call, before, limit).await?))
}
