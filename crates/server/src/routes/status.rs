//! `status/*`: the horde as a whole.

use muster_protocol::Heartbeat;

use crate::{VERSION, http::Json};

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
