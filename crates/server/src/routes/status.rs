//! `status/*`: the horde as a whole.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use muster_engine::ModelQuery;
use muster_protocol::{
    ActiveModel, Heartbeat, HordeModes, HordePerformance, Newspiece, RequestError, RequestValidationError,
};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::call::Calling;
use crate::{
    AppState, VERSION,
    http::{
        AnyBody, ApiError, Json,
        arguments::{Members, whole},
        to_the_end,
    },
};

/// How long the database may take to say that it is there.
const PROBE: Duration = Duration::from_secs(1);

/// Whether the server is there
///
/// Never limited and never slow: health checks call it.
#[utoipa::path(
    get, path = "/v2/status/heartbeat", operation_id = "get_heartbeat", tag = "v2",
    responses((status = 200, description = "It is", body = Heartbeat))
)]
pub(crate) async fn heartbeat(State(state): State<AppState>) -> Json<Heartbeat> {
    let answers = tokio::time::timeout(PROBE, state.engine.store().ping()).await;
    let db_connection = matches!(answers, Ok(Ok(())));
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    Json(Heartbeat {
        message: if db_connection { "OK" } else { "DOWN" }.to_owned(),
        version: VERSION.to_owned(),
        queue: 0,
        threads: threads as u64,
        active_count: state.in_flight.count().saturating_sub(1) as u64,
        db_connection,
    })
}

/// How busy the horde is
#[utoipa::path(
    get, path = "/v2/status/performance", operation_id = "get_horde_load", tag = "v2",
    responses((status = 200, description = "What waits, who works, what was done in the last minute", body = HordePerformance))
)]
pub(crate) async fn performance(State(state): State<AppState>) -> Json<HordePerformance> {
    Json(state.engine.performance())
}

/// Which models are listed.
#[derive(Deserialize)]
pub(crate) struct Listing {
    #[serde(rename = "type", default = "images")]
    kind: String,
    min_count: Option<String>,
    max_count: Option<String>,
    #[serde(default = "all")]
    model_state: String,
}

fn images() -> String {
    "image".to_owned()
}

fn all() -> String {
    "all".to_owned()
}

/// The models that somebody serves or that are waited for
#[utoipa::path(
    get, path = "/v2/status/models", operation_id = "get_models", tag = "v2",
    params(("type" = Option<String>, Query, description = "image (the default) or text"),
           ("min_count" = Option<i64>, Query, description = "Only those that at least so many threads serve"),
           ("max_count" = Option<i64>, Query, description = "Only those that at most so many threads serve"),
           ("model_state" = Option<String>, Query, description = "known, custom or all (the default)")),
    responses(
        (status = 200, description = "The models", body = [ActiveModel]),
        (status = 400, description = "A count is no number, or there is no such state", body = RequestValidationError),
    )
)]
pub(crate) async fn models(
    State(state): State<AppState>,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<ActiveModel>>, ApiError> {
    let count = |name, text: Option<String>| match text {
        None => Ok(None),
        Some(text) => whole(name, Some(&text), 0).map(Some),
    };
    let query = ModelQuery {
        kind: listing.kind,
        min_count: count("min_count", listing.min_count)?,
        max_count: count("max_count", listing.max_count)?,
        state: listing.model_state,
    };
    Ok(Json(state.engine.active_models(&query)?))
}

/// One model
#[utoipa::path(
    get, path = "/v2/status/models/{model_name}", operation_id = "get_model_single", tag = "v2",
    params(("model_name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The model, if somebody serves it or waits for it", body = [ActiveModel]))
)]
pub(crate) async fn model(State(state): State<AppState>, Path(name): Path<String>) -> Json<Vec<ActiveModel>> {
    // Clients encode the name twice.
    let name = percent_decode_str(&name).decode_utf8_lossy();
    Json(state.engine.active_model(&name))
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
