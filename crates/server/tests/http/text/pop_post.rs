//! `POST generate/text/pop`: the shape of its answers, and of what it accepts.

use muster_store::{Role, WorkerChanges};
use serde_json::{Value, json};

use super::{KOBOLD, MODEL, POP, accepted, pop, request, submit, worker};
use crate::support::{ANONYMOUS, TestServer, changed};

fn nothing() -> Value {
    json!({
        "payload": {
            "max_context_length": 2048, "max_length": 80, "min_p": 0.0, "smoothing_factor": 0.0,
            "dynatemp_range": 0.0, "dynatemp_exponent": 1.0,
        },
        "id": null, "ids": [], "messages": [], "ttl": null, "extra_source_images": null, "skipped": {},
        "softprompt": null, "model": null,
    })
}

#[tokio::test]
async fn without_a_job_everything_is_there_and_empty() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    assert_eq!(pop(&server, &owner.api_key, json!({})).await.ok(200), nothing());
}

#[tokio::test]
async fn a_job_comes_with_its_payload() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    accepted(&server, ANONYMOUS, json!({"params": {"temperature": 0.5}})).await;
    let mut body = pop(&server, &owner.api_key, json!({})).await.ok(200);
    assert_eq!(body["ids"], json!([body["id"]]));
    uuid::Uuid::parse_str(body["id"].take().as_str().unwrap()).unwrap();
    body["ids"] = json!([]);
    let job = json!({
        "payload": {
            "prompt": "Once upon a time", "n": 1, "max_context_length": 1024, "temperature": 0.5,
        },
        "ttl": 150, "model": MODEL,
    });
    assert_eq!(body, changed(nothing(), job));
}

#[tokio::test]
async fn several_jobs_of_a_request_may_be_taken_at_once() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    accepted(&server, ANONYMOUS, json!({"params": {"n": 3}})).await;
    accepted(&server, ANONYMOUS, json!({"params": {"n": 3}})).await;
    let taken = async |amount: u32| {
        let body = pop(&server, &owner.api_key, json!({"amount": amount}))
            .await
            .ok(200);
        assert_eq!(
            body["payload"].get("n"),
            (!body["id"].is_null()).then(|| json!(1)).as_ref()
        );
        body["ids"].as_array().unwrap().len()
    };
    assert_eq!(
        [taken(2).await, taken(20).await, taken(20).await, taken(20).await],
        [2, 1, 3, 0]
    );
}

#[tokio::test]
async fn a_request_for_any_model_gets_one_of_the_workers() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    accepted(&server, ANONYMOUS, json!({"models": []})).await;
    let body = pop(&server, &owner.api_key, json!({"models": ["my own/model"]}))
        .await
        .ok(200);
    assert_eq!(body["model"], "my own/model");
}

#[tokio::test]
async fn bodies_of_another_shape_are_invalid() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    for (changes, offending) in [
        (json!({"name": 7}), "name"),
        (json!({"models": "a"}), "models"),
        (json!({"models": ["ab"]}), "models.0"),
        (json!({"models": ["x".repeat(256)]}), "models.0"),
        (json!({"max_length": "512"}), "max_length"),
        (json!({"max_context_length": null}), "max_context_length"),
        (json!({"threads": 0}), "threads"),
        (json!({"threads": 51}), "threads"),
        (json!({"amount": 0}), "amount"),
        (json!({"amount": 21}), "amount"),
        (json!({"nsfw": 1}), "nsfw"),
        (json!({"softprompts": [1]}), "softprompts.0"),
        (json!({"priority_usernames": [1]}), "priority_usernames.0"),
        (json!({"bridge_agent": "x".repeat(1001)}), "bridge_agent"),
    ] {
        let answer = pop(&server, &owner.api_key, changes.clone()).await;
        assert_eq!(answer.invalid(), [offending], "{changes}");
    }
    assert_eq!(
        server.post(POP, &owner.api_key, &json!({})).await.invalid(),
        ["name"]
    );
}

#[tokio::test]
async fn accounts_and_names_that_may_not_work_are_refused() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 0).await.api_key;
    let other = server.user("other", 0).await.api_key;
    let flagged = server.user_with("flagged", Role::Flagged).await.api_key;
    let deleted = server.user_with("deleted", Role::Deleted).await.api_key;
    pop(&server, &owner, json!({})).await.ok(200);
    server
        .pop(&owner, &crate::support::worker("Painter"))
        .await
        .ok(200);
    let long = "x".repeat(101);
    for (key, changes, status, rc) in [
        ("nobody's", json!({}), 401, "InvalidAPIKey"),
        (&deleted, json!({}), 403, "DeletedUser"),
        (&flagged, json!({}), 403, "WorkerFlaggedMaintenance"),
        (ANONYMOUS, json!({}), 403, "AnonForbiddenWorker"),
        (&owner, json!({"name": "Painter"}), 400, "PolymorphicNameConflict"),
        (&other, json!({}), 403, "WrongCredentials"),
        (&owner, json!({"name": "on colab"}), 400, "BadRequest"),
        (&owner, json!({"name": long}), 400, "TooLongWorkerName"),
        (
            &owner,
            json!({"priority_usernames": ["owner"]}),
            400,
            "InvalidPriorityUsername",
        ),
        (
            &owner,
            json!({"priority_usernames": ["owner#"]}),
            400,
            "InvalidPriorityUsername",
        ),
        (&owner, json!({"models": []}), 400, "BadRequest"),
        (&owner, json!({"models": ["mine::other#1"]}), 400, "BadRequest"),
    ] {
        pop(&server, key, changes).await.refused(status, rc);
    }
    pop(&server, &owner, json!({"priority_usernames": ["who#knows"]}))
        .await
        .ok(200);
}

#[tokio::test]
async fn branded_models_belong_to_their_owner() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 0).await;
    let mine = format!("mine::owner#{}", owner.user_id);
    accepted(&server, ANONYMOUS, json!({"models": [mine]})).await;
    let body = pop(&server, &owner.api_key, json!({"models": [mine]}))
        .await
        .ok(200);
    assert_eq!(body["model"], mine);
    pop(&server, &owner.api_key, json!({"models": ["a::b::c"]}))
        .await
        .ok(200);
}

#[tokio::test]
async fn a_worker_exists_even_if_its_first_pop_is_refused() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 0).await.api_key;
    pop(&server, &owner, json!({"models": []}))
        .await
        .refused(400, "BadRequest");
    let workers = server.engine.store().workers().await.unwrap();
    assert_eq!(workers[0].name, "Scribe");
}

#[tokio::test]
async fn a_worker_in_maintenance_serves_its_owner_only() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 1000).await.api_key;
    pop(&server, &owner, json!({})).await.ok(200);
    let server = server
        .with_worker(WorkerChanges {
            maintenance: Some(true),
            ..WorkerChanges::default()
        })
        .await;
    accepted(&server, ANONYMOUS, json!({})).await;
    pop(&server, &owner, json!({}))
        .await
        .refused(403, "WorkerMaintenance");
    submit(&server, &owner, json!({})).await.ok(202);
    let body = pop(&server, &owner, json!({})).await.ok(200);
    assert!(body["id"].is_string());
}

#[tokio::test]
async fn a_paused_worker_gets_decoys_that_nobody_pays() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    pop(&server, &owner, json!({})).await.ok(200);
    let server = server
        .with_worker(WorkerChanges {
            paused: Some(true),
            ..WorkerChanges::default()
        })
        .await;
    let request = accepted(&server, ANONYMOUS, json!({})).await;
    let job = super::popped(&server, &owner).await;
    let reward = super::deliver(&server, &owner, &job, json!({})).await.ok(200);
    assert_eq!(reward["reward"], 5.62);
    let status = super::status(&server, &request).await;
    assert_eq!((&status["waiting"], &status["kudos"]), (&json!(1), &json!(1.0)));
    assert_eq!(status["generations"], json!([]));
    assert_eq!(pop(&server, &owner, json!({})).await.ok(200)["id"], Value::Null);
}

#[tokio::test]
async fn what_workers_in_the_field_send_is_understood() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let bodies = [
        // KoboldCpp's embedded worker.
        json!({"name": "Kobold", "models": [MODEL], "max_length": 512, "max_context_length": 4096,
            "priority_usernames": [], "softprompts": [], "bridge_agent": KOBOLD}),
        // The classic scribe.
        json!({"name": "Classic", "models": [MODEL], "max_length": 80, "max_context_length": 1024,
            "priority_usernames": [], "softprompts": ["a", "b"], "bridge_agent": "AI Horde Worker:24:https://x",
            "threads": 1, "nsfw": true, "require_upfront_kudos": false}),
    ];
    for body in bodies {
        server.post(ASYNC_PATH, ANONYMOUS, &request()).await.ok(202);
        let popped = server.post(POP, &owner, &body).await.ok(200);
        assert!(popped["id"].is_string(), "{popped}");
    }
    let _ = worker("none");
}

const ASYNC_PATH: &str = super::ASYNC;
