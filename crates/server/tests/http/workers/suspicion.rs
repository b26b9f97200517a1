//! What is held against workers, and what follows.

use muster_store::{Suspicion, WorkerChanges};
use serde_json::json;

use crate::support::{Receiver, Setup, TestServer, changed, plain_request, worker};

#[tokio::test]
async fn pictures_of_a_size_that_nobody_makes() {
    let server = TestServer::start().await;
    let moderator = server.moderator("mod").await;
    let (ann, ben) = (server.user("ann", 0).await, server.trusted("ben", 0).await);
    let announce = |name: &str, pixels: u64| changed(worker(name), json!({"max_pixels": pixels}));
    let largest = 3072 * 3072;
    let level = async |name: &str| {
        let path = format!("/api/v2/workers/name/{name}");
        server.get_as(&path, &moderator.api_key).await.ok(200)["suspicious"]
            .as_u64()
            .unwrap()
    };
    server.pop(&ann.api_key, &announce("Fine", largest)).await.ok(200);
    assert_eq!(level("Fine").await, 0);
    for _ in 0..2 {
        server
            .pop(&ann.api_key, &announce("Boastful", largest + 1))
            .await
            .ok(200);
        assert_eq!(level("Boastful").await, 1, "it counts once");
    }
    server
        .pop(&ben.api_key, &announce("Trusted", largest + 1))
        .await
        .ok(200);
    assert_eq!(level("Trusted").await, 0);
    let ann = server.get_as("/api/v2/users/2", &moderator.api_key).await.ok(200);
    assert_eq!(ann["suspicious"], 1);
}

#[tokio::test]
async fn a_pause_is_told_to_the_operator() {
    let (receiver, url) = Receiver::listen(&[]).await;
    let mut setup = Setup::default();
    setup.engine.paused_notice_webhook = Some(url.clone());
    let server = TestServer::with(setup).await;
    let (ann, ben) = (server.user("ann", 0).await, server.user("ben", 1000).await);
    let id = server.worker(&ann.api_key, "Rig").await;
    for _ in 0..4 {
        let changes = WorkerChanges {
            suspect: Some(Suspicion::UnreasonablyFast),
            ..WorkerChanges::default()
        };
        server
            .engine
            .store()
            .journal()
            .set_worker(id.parse().unwrap(), changes)
            .await
            .unwrap();
    }
    let mut setup = Setup::default();
    setup.engine.paused_notice_webhook = Some(url.clone());
    let server = server.restart(setup).await;
    server.request(&ben.api_key, &plain_request()).await;
    let popped = server.popped(&ann.api_key, "Rig").await;
    // In no time at all, which nobody manages.
    server.clock.advance(std::time::Duration::from_millis(1));
    server
        .deliver(&ann.api_key, popped["id"].as_str().unwrap())
        .await
        .ok(200);
    let notice = receiver.first().await;
    let content = notice["content"].as_str().unwrap();
    for part in ["Rig", &id, "5 reasons", "UnreasonablyFast"] {
        assert!(content.contains(part), "{part} is missing in {content}");
    }
    let moderator = server.moderator("mod").await;
    let seen = server
        .get_as(&format!("/api/v2/workers/{id}"), &moderator.api_key)
        .await
        .ok(200);
    assert_eq!((&seen["paused"], &seen["suspicious"]), (&json!(true), &json!(5)));
}
