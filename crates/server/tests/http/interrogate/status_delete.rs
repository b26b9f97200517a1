//! `DELETE interrogate/status/{id}`: a client does not want the rest any more.

use serde_json::{Value, json};

use super::{accepted, deliver, fault, popped, request, states, status};
use crate::support::{Receiver, Setup, TestServer, assert_clean, balances, changed, number};

async fn cancel(server: &TestServer, request: &str) -> Value {
    server
        .delete(&format!("/api/v2/interrogate/status/{request}"))
        .await
        .ok(200)
}

#[tokio::test]
async fn what_is_done_stays_and_the_rest_is_cancelled() {
    let server = TestServer::with(Setup::open()).await;
    let (receiver, url) = Receiver::listen(&[]).await;
    let owner = server.trusted("owner", 100).await;
    let client = server.user("client", 1000).await;
    let key = &owner.api_key;
    let forms = request(&["caption", "nsfw", "caption", "interrogation"]);
    let request = accepted(&server, &client.api_key, &changed(forms, json!({"webhook": url}))).await;
    let taken = popped(&server, key, json!({"amount": 2})).await;
    deliver(&server, key, &taken[0].1, json!({"caption": "x"}))
        .await
        .ok(200);
    let body = cancel(&server, &request).await;
    assert_eq!(
        body,
        json!({"state": "partial", "forms": [
            {"form": "caption", "state": "done", "result": {"caption": "x"}},
            {"form": "nsfw", "state": "cancelled"},
            {"form": "caption", "state": "cancelled"},
            {"form": "interrogation", "state": "cancelled"},
        ]})
    );
    // The one that was worked on is paid: one kudo for the worker, two are burnt.
    assert_eq!(balances(&server, number(&client)).await.0, 100_000 - 2 * 300);
    assert_eq!(balances(&server, number(&owner)).await.0, 10_200);
    assert_clean(&server).await;

    deliver(&server, key, &taken[1].1, json!({"nsfw": true}))
        .await
        .refused(400, "DuplicateGen");
    assert_eq!(cancel(&server, &request).await, body, "once more changes nothing");
    assert_eq!(status(&server, &request).await, body);
    assert!(popped(&server, key, json!({})).await.is_empty());
    server.engine.deliver_webhooks().await;
    assert_eq!(receiver.bodies().len(), 1, "only what was delivered is announced");
    let server = server.restart(Setup::open()).await;
    assert_eq!(status(&server, &request).await, body);
}

#[tokio::test]
async fn whatever_failed_is_cancelled_too() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, &owner, &request(&["caption"])).await;
    for _ in 0..4 {
        let taken = popped(&server, &owner, json!({})).await;
        fault(&server, &owner, &taken[0].1).await.ok(200);
    }
    assert_eq!(states(&server, &request).await, ["faulted", "faulted"]);
    cancel(&server, &request).await;
    assert_eq!(states(&server, &request).await, ["partial", "cancelled"]);
}
