//! `POST generate/text/pop`: who gets what, and what the others are told.

use serde_json::{Value, json};

use super::{MODEL, accepted, deliver, pop, popped};
use crate::support::{ANONYMOUS, TestServer};

/// What is skipped of a queue of one request that differs from the usual one, by a worker that does.
async fn skipped(request: Value, worker: Value) -> Value {
    let server = TestServer::start().await;
    let owner = server.user("owner", 0).await.api_key;
    let client = server.user("client", 1000).await.api_key;
    accepted(&server, &client, request).await;
    let body = pop(&server, &owner, worker).await.ok(200);
    assert_eq!(body["id"], Value::Null, "{body}");
    body["skipped"].clone()
}

#[tokio::test]
async fn each_reason_is_counted() {
    for (request, worker, told) in [
        (json!({"models": ["other"]}), json!({}), json!({"models": 1})),
        (json!({}), json!({"max_length": 79}), json!({"max_length": 1})),
        (
            json!({}),
            json!({"max_context_length": 1023}),
            json!({"max_context_length": 1}),
        ),
        (
            json!({"trusted_workers": true}),
            json!({}),
            json!({"untrusted": 1}),
        ),
        (
            json!({"slow_workers": false}),
            json!({}),
            json!({"performance": 1}),
        ),
        (
            json!({"validated_backends": true}),
            json!({"bridge_agent": "unknown:1:x"}),
            json!({"bridge_version": 1}),
        ),
    ] {
        assert_eq!(
            skipped(request.clone(), worker.clone()).await,
            told,
            "{request} {worker}"
        );
    }
}

#[tokio::test]
async fn names_of_models_are_compared_as_they_are() {
    let quantised = format!("{MODEL}.i1-Q4_K_M");
    assert_eq!(
        skipped(json!({}), json!({"models": [quantised]})).await,
        json!({"models": 1})
    );
}

#[tokio::test]
async fn a_worker_list_lets_in_or_keeps_out() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    pop(&server, &owner, json!({"name": "One"})).await.ok(200);
    pop(&server, &owner, json!({"name": "Two"})).await.ok(200);
    let workers = server.engine.store().workers().await.unwrap();
    let one = workers.iter().find(|worker| worker.name == "One").unwrap().id;
    accepted(&server, ANONYMOUS, json!({"workers": [one]})).await;
    let body = pop(&server, &owner, json!({"name": "Two"})).await.ok(200);
    assert_eq!(body["skipped"], json!({"worker_id": 1}));
    assert!(pop(&server, &owner, json!({"name": "One"})).await.ok(200)["id"].is_string());
    accepted(
        &server,
        ANONYMOUS,
        json!({"workers": [one], "worker_blacklist": true}),
    )
    .await;
    let body = pop(&server, &owner, json!({"name": "One"})).await.ok(200);
    assert_eq!(body["skipped"], json!({"worker_id": 1}));
    assert!(pop(&server, &owner, json!({"name": "Two"})).await.ok(200)["id"].is_string());
}

#[tokio::test]
async fn users_that_a_worker_names_come_first() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let rich = server.user("rich", 1000).await;
    let poor = server.user("poor", 0).await;
    accepted(&server, &rich.api_key, json!({"prompt": "rich"})).await;
    accepted(&server, &poor.api_key, json!({"prompt": "poor"})).await;
    let first = json!({"priority_usernames": [format!("poor#{}", poor.user_id), "x#y"]});
    let body = pop(&server, &owner, first).await.ok(200);
    assert_eq!(body["payload"]["prompt"], "poor");
}

#[tokio::test]
async fn a_worker_that_was_fast_gets_what_is_for_fast_ones() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let client = server.user("client", 1000).await.api_key;
    accepted(&server, &client, json!({})).await;
    let job = popped(&server, &owner).await;
    // 80 tokens in 16 seconds: five a second, which is fast for a small model.
    server.advance(16).await;
    deliver(&server, &owner, &job, json!({})).await.ok(200);
    accepted(&server, &client, json!({"slow_workers": false})).await;
    let job = popped(&server, &owner).await;
    server.advance(40).await;
    deliver(&server, &owner, &job, json!({})).await.ok(200);
    accepted(&server, &client, json!({"slow_workers": false})).await;
    let body = pop(&server, &owner, json!({})).await.ok(200);
    assert_eq!(body["skipped"], json!({"performance": 1}));
}
