//! `status/*`: the horde as a whole.

use axum::extract::State;
use muster_protocol::{Heartbeat, HordeModes, Newspiece, RequestError};

use super::call::Calling;
use crate::{
    AppState, VERSION,
    http::{AnyBody, ApiError, Json, arguments::Members, to_the_end},
};

/// Whether the server is there
///
/// Never limited and never slow: health checks call it.
#[utoipa::path(
    get, path = "/v2/status/heartbeat", operation_id = "get_heartbeat", tag = "v2",
    responses((status = 200, description = "It is", body = Heartbeat))
)]
pub(crate) async fn heartbeat() -> Json<Heartbeat> {
    Json(Heartbeat {
        message: "OK".to_owned(),
        version: VERSION.to_owned(),
    })
}

/// How the horde behaves at the moment
///
/// Only moderators learn whether it defends itself against an attack.
#[utoipa::path(
    get, path = "/v2/status/modes", operation_id = "get_horde_modes", tag = "v2",
    params(("apikey" = Option<String>, Header, description = "A moderator's API key")),
    responses(
        (status = 200, description = "The modes", body = HordeModes),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "The key of somebody who is no moderator", body = RequestError),
    )
)]
pub(crate) async fn modes(
    State(state): State<AppState>,
    Calling(call): Calling,
) -> Result<Json<HordeModes>, ApiError> {
    Ok(Json(state.engine.horde_modes(&call).await?))
}

/// Switch modes of the horde
///
/// Maintenance is for administrators, the others are for moderators.
#[utoipa::path(
    put, path = "/v2/status/modes", operation_id = "put_horde_modes", tag = "v2",
    params(("apikey" = String, Header, description = "An administrator's or moderator's API key")),
    request_body = HordeModes,
    responses(
        (status = 200, description = "The modes that were switched", body = HordeModes),
        (status = 400, description = "No mode was selected", body = RequestError),
        (status = 401, description = "Unknown API key", body = RequestError),
        (status = 403, description = "For administrators or moderators only", body = RequestError),
    )
)]
pub(crate) async fn put_modes(
    State(state): State<AppState>,
    Calling(call): Calling,
    body: AnyBody,
) -> Result<Json<HordeModes>, ApiError> {
    call.key()?;
    let members = Members::from(body.0);
    let wanted = HordeModes {
        maintenance_mode: members.truth("maintenance_mode"),
        invite_only_mode: members.truth("invite_only_mode"),
        raid_mode: members.truth("raid_mode"),
    };
    Ok(Json(
        to_the_end(async move { state.engine.switch_modes(&call, wanted).await }).await??,
    ))
}

/// News from the operator, newest first
#[utoipa::path(
    get, path = "/v2/status/news", operation_id = "get_horde_news", tag = "v2",
    responses((status = 200, description = "The news", body = [Newspiece]))
)]
pub(crate) async fn news(State(state): State<AppState>) -> Json<Vec<Newspiece>> {
    Json(state.about.news().await)
}
