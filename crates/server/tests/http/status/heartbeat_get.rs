//! `GET /status/heartbeat`.

use muster_server::VERSION;
use serde_json::json;

use crate::support::{Setup, TestServer};

const PATH: &str = "/api/v2/status/heartbeat";

#[tokio::test]
async fn it_beats() {
    let server = TestServer::start().await;
    assert_eq!(
        server.get(PATH).await.ok(200),
        json!({"message": "OK", "version": VERSION})
    );
}

#[tokio::test]
async fn it_is_never_limited() {
    let server = TestServer::with(Setup {
        rate_limits: true,
        ..Setup::default()
    })
    .await;
    for _ in 0..200 {
        let answer = server.get(PATH).await;
        answer.ok(200);
        for header in [
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "retry-after",
        ] {
            assert_eq!(answer.header(header), "");
        }
    }
}

#[tokio::test]
async fn a_key_does_not_matter() {
    let server = TestServer::start().await;
    server.get_as(PATH, "unknown").await.ok(200);
}
