//! `GET /status/heartbeat`.

use muster_server::VERSION;
use serde_json::json;

use crate::support::{Setup, TestServer};

const PATH: &str = "/api/v2/status/heartbeat";

#[tokio::test]
async fn it_beats() {
    let server = TestServer::start().await;
    let threads = server.get(PATH).await.ok(200)["threads"].clone();
    assert_eq!(
        server.get(PATH).await.ok(200),
        json!({"message": "OK", "version": VERSION, "queue": 0, "threads": threads, "active_count": 0,
               "db_connection": true})
    );
    assert!(threads.as_u64().unwrap() > 0);
}

#[tokio::test]
async fn it_tells_when_the_database_is_gone() {
    let server = TestServer::start().await;
    server.engine.store().clone().close().await;
    let beat = server.get(PATH).await.ok(200);
    assert_eq!(
        (&beat["message"], &beat["db_connection"]),
        (&json!("DOWN"), &json!(false))
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
