//! `stats/*`: what was done so far.

use axum::extract::{Query, State};
use muster_protocol::{
    RequestError,
    stats::{ImageTotals, ModelStats, TextTotals},
};
use serde::Deserialize;

use crate::{
    AppState,
    http::{ApiError, Json},
};

/// Which models are told.
#[derive(Deserialize)]
pub(crate) struct Told {
    #[serde(default = "known")]
    model_state: String,
}

fn known() -> String {
    "known".to_owned()
}

/// How many pictures were made
#[utoipa::path(
    get, path = "/v2/stats/img/totals", operation_id = "get_image_horde_stats_totals", tag = "v2",
    responses((status = 200, description = "Pictures in the last minute, hour, day and month", body = ImageTotals))
)]
pub(crate) async fn image_totals(State(state): State<AppState>) -> Json<ImageTotals> {
    Json(state.engine.image_totals())
}

/// How many pictures were made with each model
#[utoipa::path(
    get, path = "/v2/stats/img/models", operation_id = "get_image_horde_stats_models", tag = "v2",
    params(("model_state" = Option<String>, Query, description = "known (the default), custom or all")),
    responses(
        (status = 200, description = "Pictures in the last day and month", body = ModelStats),
        (status = 400, description = "No such state", body = RequestError),
    )
)]
pub(crate) async fn image_models(
    State(state): State<AppState>,
    Query(told): Query<Told>,
) -> Result<Json<ModelStats>, ApiError> {
    Ok(Json(state.engine.image_model_stats(&told.model_state)?))
}

/// How many texts were written
#[utoipa::path(
    get, path = "/v2/stats/text/totals", operation_id = "get_text_horde_stats_totals", tag = "v2",
    responses((status = 200, description = "Texts in the last minute, hour, day and month", body = TextTotals))
)]
pub(crate) async fn text_totals(State(state): State<AppState>) -> Json<TextTotals> {
    Json(state.engine.text_totals())
}

/// How many texts were written with each model
#[utoipa::path(
    get, path = "/v2/stats/text/models", operation_id = "get_text_horde_stats_models", tag = "v2",
    responses((status = 200, description = "Texts in the last day and month", body = ModelStats))
)]
pub(crate) async fn text_models(State(state): State<AppState>) -> Json<ModelStats> {
    Json(state.engine.text_model_stats())
}
