//! Webhooks: results are announced to the address that their request names.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::async_post::submit;
use crate::support::{Receiver, Setup, TestServer, changed, picture, worker};

/// A request with a webhook whose only job is with a worker: the keys of client and owner, the request and the
/// job.
async fn in_progress(server: &TestServer, url: &str, changes: Value) -> (String, String, String) {
    let client = server.user("client", 1000).await.api_key;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = submit(server, &client, changed(json!({"webhook": url}), changes))
        .await
        .ok(202);
    let popped = server.popped(&owner, "Keeper").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (owner, text(&request["id"]), text(&popped["id"]))
}

#[tokio::test]
async fn a_result_is_announced_once() {
    let server = TestServer::with(Setup::open()).await;
    let (receiver, url) = Receiver::listen(&[]).await;
    let (owner, request, job) = in_progress(&server, &url, json!({"r2": false})).await;
    server.engine.deliver_webhooks().await;
    assert!(receiver.bodies().is_empty(), "there is nothing to tell yet");
    let body = json!({
        "id": job, "generation": picture(), "seed": 42,
        "gen_metadata": [{"type": "lora", "value": "download_failed", "ref": "5"}],
    });
    server
        .post("/api/v2/generate/submit", &owner, &body)
        .await
        .ok(200);
    server
        .post("/api/v2/generate/submit", &owner, &body)
        .await
        .refused(400, "DuplicateGen");
    for _ in 0..2 {
        server.engine.deliver_webhooks().await;
    }
    let [mut body] = receiver.bodies().try_into().unwrap();
    let image = STANDARD.decode(body["img"].as_str().unwrap()).unwrap();
    assert!(image.starts_with(b"RIFF"));
    body["img"] = json!("<picture>");
    uuid::Uuid::parse_str(body["worker_id"].as_str().unwrap()).unwrap();
    body["worker_id"] = json!("<worker>");
    assert_eq!(
        body,
        json!({
            "img": "<picture>",
            "seed": 42,
            "worker_id": "<worker>",
            "worker_name": "Keeper",
            "model": "stable_diffusion",
            "id": job,
            "censored": false,
            "gen_metadata": [{"type": "lora", "value": "download_failed", "ref": "5"}],
            "request": request,
            "kudos": 5.76,
        })
    );
    assert!(
        server
            .engine
            .store()
            .pending_webhook_deliveries()
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn over_https_the_address_of_the_picture_is_announced() {
    let setup = Setup {
        public_url: Some("https://horde.example.org"),
        ..Setup::open()
    };
    let server = TestServer::with(setup).await;
    let (receiver, url) = Receiver::listen(&[]).await;
    let (owner, _, job) = in_progress(&server, &url, json!({})).await;
    server.deliver(&owner, &job).await.ok(200);
    server.engine.deliver_webhooks().await;
    let image = receiver.bodies()[0]["img"].as_str().unwrap().to_owned();
    assert!(
        image.starts_with("https://horde.example.org/blobs/transient/"),
        "{image}"
    );
}

#[tokio::test]
async fn what_fails_is_tried_again_across_restarts() {
    let server = TestServer::with(Setup::open()).await;
    let (receiver, url) = Receiver::listen(&[200, 404, 500]).await;
    let (owner, _, job) = in_progress(&server, &url, json!({})).await;
    server.deliver(&owner, &job).await.ok(200);
    server.engine.deliver_webhooks().await;
    assert_eq!(receiver.bodies().len(), 1);
    server.engine.deliver_webhooks().await;
    assert_eq!(receiver.bodies().len(), 1, "not before its time");
    server.clock.advance(std::time::Duration::from_secs(3));
    server.engine.deliver_webhooks().await;
    assert_eq!(receiver.bodies().len(), 2);

    let server = server.restart(Setup::open()).await;
    server.engine.deliver_webhooks().await;
    assert_eq!(receiver.bodies().len(), 2, "a restart does not make it due");
    server.clock.advance(std::time::Duration::from_secs(12));
    server.engine.deliver_webhooks().await;
    server.clock.advance(std::time::Duration::from_hours(1));
    server.engine.deliver_webhooks().await;
    assert_eq!(receiver.bodies().len(), 3, "the third one succeeded");
}

#[tokio::test]
async fn what_always_fails_is_given_up() {
    let server = TestServer::with(Setup::open()).await;
    let (receiver, url) = Receiver::listen(&[500; 20]).await;
    let (owner, _, job) = in_progress(&server, &url, json!({})).await;
    server.deliver(&owner, &job).await.ok(200);
    for _ in 0..20 {
        server.engine.deliver_webhooks().await;
        server.clock.advance(std::time::Duration::from_hours(1));
    }
    assert_eq!(receiver.bodies().len(), 7);
    assert!(
        server
            .engine
            .store()
            .pending_webhook_deliveries()
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn faults_and_cancellations_are_not_announced() {
    let server = TestServer::with(Setup::open()).await;
    let (receiver, url) = Receiver::listen(&[]).await;
    let (owner, request, job) = in_progress(&server, &url, json!({})).await;
    let fault = json!({"id": job, "generation": "faulted", "state": "faulted", "seed": -1});
    server
        .post("/api/v2/generate/submit", &owner, &fault)
        .await
        .ok(200);
    server
        .delete(&format!("/api/v2/generate/status/{request}"))
        .await
        .ok(200);
    server.engine.deliver_webhooks().await;
    assert!(receiver.bodies().is_empty());
}

#[tokio::test]
async fn own_networks_are_out_of_reach() {
    let server = TestServer::start().await;
    let (receiver, url) = Receiver::listen(&[]).await;
    let client = server.user("client", 1000).await.api_key;
    submit(&server, &client, json!({"webhook": url}))
        .await
        .refused(400, "BadRequest");
    // A secure address of this machine is accepted, for its name may mean anything by then; the call is not made.
    let secure = url.replace("http:", "https:").replace("127.0.0.1", "localhost");
    let (owner, _, job) = in_progress(&server, &secure, json!({})).await;
    server.deliver(&owner, &job).await.ok(200);
    server.engine.deliver_webhooks().await;
    assert!(receiver.bodies().is_empty());
    assert_eq!(
        server
            .engine
            .store()
            .pending_webhook_deliveries()
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(server.pop(&owner, &worker("Keeper")).await.ok(200)["id"].is_null());
}
