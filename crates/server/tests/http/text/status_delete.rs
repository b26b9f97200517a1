//! `DELETE generate/text/status/{id}`: a client does not want its texts any more.

use serde_json::{Value, json};

use super::{accepted, deliver, pop, popped, status};
use crate::support::{ANONYMOUS, TestServer};

async fn cancel(server: &TestServer, request: &str) -> Value {
    server
        .delete(&format!("/api/v2/generate/text/status/{request}"))
        .await
        .ok(200)
}

#[tokio::test]
async fn the_answer_is_the_status_before() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, json!({"params": {"n": 2}})).await;
    let before = status(&server, &request).await;
    assert_eq!(cancel(&server, &request).await, before);
    let after = status(&server, &request).await;
    assert_eq!((&after["waiting"], &after["done"]), (&json!(0), &json!(true)));
    assert_eq!(after["faulted"], false);
    assert_eq!(pop(&server, &owner, json!({})).await.ok(200)["id"], Value::Null);
    let after = status(&server, &request).await;
    assert_eq!(
        cancel(&server, &request).await,
        after,
        "once more changes nothing"
    );
}

#[tokio::test]
async fn what_is_in_progress_is_still_accepted() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, json!({"params": {"n": 3}})).await;
    let (first, second) = (popped(&server, &owner).await, popped(&server, &owner).await);
    cancel(&server, &request).await;
    let body = status(&server, &request).await;
    assert_eq!((&body["processing"], &body["done"]), (&json!(2), &json!(false)));
    deliver(&server, &owner, &first, json!({})).await.ok(200);
    deliver(&server, &owner, &second, json!({"state": "faulted"}))
        .await
        .ok(200);
    let body = status(&server, &request).await;
    assert_eq!((&body["finished"], &body["waiting"]), (&json!(1), &json!(0)));
    assert_eq!(body["done"], true);
    assert_eq!(pop(&server, &owner, json!({})).await.ok(200)["id"], Value::Null);
}
