//! Webhooks of text requests.

use serde_json::json;

use super::{MODEL, accepted, deliver, popped};
use crate::support::{ANONYMOUS, Receiver, Setup, TestServer};

#[tokio::test]
async fn a_text_is_announced() {
    let server = TestServer::with(Setup::open()).await;
    let (receiver, url) = Receiver::listen(&[]).await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, json!({"webhook": url})).await;
    let job = popped(&server, &owner).await;
    deliver(
        &server,
        &owner,
        &job,
        json!({"state": "csam", "seed": 9, "generation": "R2"}),
    )
    .await
    .ok(200);
    server.engine.deliver_webhooks().await;
    let [mut body] = receiver.bodies().try_into().unwrap();
    uuid::Uuid::parse_str(body["worker_id"].take().as_str().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({
            "text": "R2", "seed": 9, "worker_id": null, "worker_name": "Scribe", "model": MODEL, "id": job,
            "state": "csam", "gen_metadata": [{"type": "censorship", "value": "csam"}], "request": request,
            "kudos": 1.4,
        })
    );
}

#[tokio::test]
async fn a_failure_is_not_announced() {
    let server = TestServer::with(Setup::open()).await;
    let (receiver, url) = Receiver::listen(&[]).await;
    let owner = server.trusted("owner", 0).await.api_key;
    accepted(&server, ANONYMOUS, json!({"webhook": url})).await;
    let job = popped(&server, &owner).await;
    deliver(&server, &owner, &job, json!({"state": "faulted"}))
        .await
        .ok(200);
    server.engine.deliver_webhooks().await;
    assert!(receiver.bodies().is_empty());
}
