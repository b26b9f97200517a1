//! `POST interrogate/submit`: what is accepted as a result, and who may send it.

use muster_store::WorkerChanges;
use reqwest::Method;
use serde_json::{Value, json};

use super::{SUBMIT, accepted, deliver, fault, popped, request, states, status};
use crate::support::{ANONYMOUS, TestServer};

/// A server, the key of a worker's owner, a request for a caption and its form.
async fn with_form() -> (TestServer, String, String, String) {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, &request(&["caption"])).await;
    let form = popped(&server, &owner, json!({})).await.remove(0).1;
    (server, owner, request, form)
}

#[tokio::test]
async fn a_result_is_an_object_and_may_say_anything() {
    for (sent, shown) in [
        (json!({"caption": "x"}), json!({"caption": "x"})),
        (
            json!({"other": [1, {"a": null}]}),
            json!({"other": [1, {"a": null}]}),
        ),
        (json!([["caption", "x"]]), json!({"caption": "x"})),
        (json!({"caption": "a\u{0}b"}), json!({"caption": "a\u{fffd}b"})),
    ] {
        let (server, owner, request, form) = with_form().await;
        let body = deliver(&server, &owner, &form, sent).await.ok(200);
        assert_eq!(body, json!({"reward": 1.0}));
        assert_eq!(status(&server, &request).await["forms"][0]["result"], shown);
    }
}

#[tokio::test]
async fn bodies_are_read_leniently() {
    let (server, owner, request, form) = with_form().await;
    let body = json!({"id": form, "result": {"caption": "x"}, "state": null}).to_string();
    server
        .send(Method::POST, SUBMIT, &[("apikey", &owner)], body)
        .await
        .ok(200);
    assert_eq!(states(&server, &request).await, ["done", "done"]);
}

#[tokio::test]
async fn what_is_missing_is_told_in_order() {
    let (server, owner, request, form) = with_form().await;
    let send = async |headers: &[(&str, &str)], body: String| {
        server.send(Method::POST, SUBMIT, headers, body).await.invalid()
    };
    let key = [("apikey", owner.as_str())];
    assert_eq!(send(&[], "{}".to_owned()).await, ["apikey"]);
    assert_eq!(send(&key, String::new()).await, ["id"]);
    assert_eq!(send(&key, "no json".to_owned()).await, ["id"]);
    assert_eq!(send(&key, json!({"result": {}}).to_string()).await, ["id"]);
    for result in [Value::Null, json!("text"), json!(1), json!(["a"])] {
        let body = json!({"id": form, "result": result}).to_string();
        assert_eq!(send(&key, body).await, ["result"], "{result}");
    }
    assert_eq!(states(&server, &request).await[1], "processing");
}

#[tokio::test]
async fn only_the_owner_of_the_worker_may_deliver() {
    let (server, owner, _, form) = with_form().await;
    let other = server.user("other", 0).await.api_key;
    let result = json!({"caption": "x"});
    for id in ["nothing", "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11"] {
        deliver(&server, &owner, id, result.clone())
            .await
            .refused(404, "InvalidJobID");
    }
    deliver(&server, "nobody's", &form, result.clone())
        .await
        .refused(401, "InvalidAPIKey");
    deliver(&server, &other, &form, result.clone())
        .await
        .refused(403, "WrongCredentials");
    deliver(&server, &owner, &form, result.clone()).await.ok(200);
    deliver(&server, &owner, &form, result)
        .await
        .refused(400, "DuplicateGen");
    fault(&server, &owner, &form).await.refused(400, "DuplicateGen");
}

#[tokio::test]
async fn a_form_that_was_given_up_is_a_duplicate() {
    let (server, owner, request, form) = with_form().await;
    let body = fault(&server, &owner, &form).await.ok(200);
    assert_eq!(body, json!({"reward": 0.0}));
    deliver(&server, &owner, &form, json!({"caption": "x"}))
        .await
        .refused(400, "DuplicateGen");
    assert_eq!(states(&server, &request).await, ["waiting", "waiting"]);
}

#[tokio::test]
async fn a_worker_in_maintenance_is_spared_the_error() {
    let (server, owner, _, form) = with_form().await;
    deliver(&server, &owner, &form, json!({"caption": "x"}))
        .await
        .ok(200);
    let server = server
        .with_worker(WorkerChanges {
            maintenance: Some(true),
            ..WorkerChanges::default()
        })
        .await;
    let body = deliver(&server, &owner, &form, json!({"caption": "x"}))
        .await
        .ok(200);
    assert_eq!(body, json!({"reward": 0.0}));
}

#[tokio::test]
async fn alchemists_may_drop_a_hundred_forms_an_hour() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    accepted(&server, ANONYMOUS, &request(&["caption"; 101])).await;
    let taken = popped(&server, &owner, json!({"amount": 100})).await;
    for (_, form) in taken {
        fault(&server, &owner, &form).await.ok(200);
    }
    let taken = popped(&server, &owner, json!({})).await;
    assert_eq!(taken.len(), 1);
    fault(&server, &owner, &taken[0].1).await.ok(200);
    super::pop(&server, &owner, json!({}))
        .await
        .refused(403, "WorkerMaintenance");
}
