//! `status/*`: the horde as a whole.

use axum::extract::State;
use muster_protocol::{Heartbeat, Newspiece};

use crate::{AppState, VERSION, http::Json};

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

/// News from the operator, newest first
#[utoipa::path(
    get, path = "/v2/status/news", operation_id = "get_horde_news", tag = "v2",
    responses((status = 200, description = "The news", body = [Newspiece]))
)]
pub(crate) async fn news(State(state): State<AppState>) -> Json<Vec<Newspiece>> {
    Json(state.about.news().await)
}
