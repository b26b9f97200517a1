//! The horde goes into maintenance: nothing new is taken, and nothing that waits is handed out.

use serde_json::{Value, json};

use crate::support::{Setup, TestServer, changed, plain_request, worker};

fn closed() -> Setup {
    let mut setup = Setup::default();
    setup.engine.maintenance = true;
    setup
}

async fn progress(server: &TestServer, request: &str) -> Value {
    let check = server
        .get(&format!("/api/v2/generate/check/{request}"))
        .await
        .ok(200);
    json!([
        check["finished"],
        check["processing"],
        check["waiting"],
        check["done"]
    ])
}

#[tokio::test]
async fn what_waits_is_stopped_and_what_is_in_progress_may_be_finished() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    let three = changed(plain_request(), json!({"params": {"n": 3}}));
    let begun = server.request(&client.api_key, &three).await;
    let job = server.popped(&owner.api_key, "Keeper").await;
    let untouched = server.request(&client.api_key, &three).await;

    let server = server.restart(closed()).await;
    assert_eq!(progress(&server, &untouched).await, json!([0, 0, 0, true]));
    assert_eq!(progress(&server, &begun).await, json!([0, 1, 0, false]));
    let popped = server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    assert_eq!(popped["id"], Value::Null);

    let job = job["id"].as_str().unwrap();
    server.deliver(&owner.api_key, job).await.ok(200);
    assert_eq!(progress(&server, &begun).await, json!([1, 0, 0, true]));
    server
        .post("/api/v2/generate/async", &client.api_key, &three)
        .await
        .refused(400, "MaintenanceMode");

    // It is remembered.
    let server = server.restart(Setup::default()).await;
    let popped = server.pop(&owner.api_key, &worker("Keeper")).await.ok(200);
    assert_eq!(popped["id"], Value::Null);
}

#[tokio::test]
async fn every_waiting_request_is_stopped_once() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let mut requests = Vec::new();
    for _ in 0..5 {
        requests.push(server.request(&client.api_key, &plain_request()).await);
    }
    server
        .delete(&format!("/api/v2/generate/status/{}", requests[0]))
        .await
        .ok(200);
    assert_eq!(server.engine.stop_waiting_requests().await.unwrap(), 4);
    assert_eq!(server.engine.stop_waiting_requests().await.unwrap(), 0);
    for request in &requests {
        assert_eq!(progress(&server, request).await, json!([0, 0, 0, true]));
    }
}
