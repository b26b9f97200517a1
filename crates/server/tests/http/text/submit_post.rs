//! `POST generate/text/submit`: what is accepted as a text, and who may send it.

use serde_json::{Value, json};

use super::{SUBMIT, accepted, deliver, pop, popped, status};
use crate::support::{ANONYMOUS, TestServer, number};

/// A server, the key of a worker's owner, a request and its job.
async fn with_job() -> (TestServer, String, String, String) {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, json!({})).await;
    let job = popped(&server, &owner).await;
    (server, owner, request, job)
}

#[tokio::test]
async fn a_text_is_kept_as_it_is() {
    for (sent, shown) in [("", ""), (" a\nb <c> ", " a\nb <c> "), ("a\0b", "a\u{fffd}b")] {
        let (server, owner, request, job) = with_job().await;
        deliver(&server, &owner, &job, json!({"generation": sent}))
            .await
            .ok(200);
        assert_eq!(status(&server, &request).await["generations"][0]["text"], shown);
    }
}

#[tokio::test]
async fn states_are_told_to_the_client() {
    let csam = json!({"type": "censorship", "value": "csam"});
    for (state, metadata, shown, kept) in [
        ("ok", json!([]), "ok", json!([])),
        ("ok", json!([csam]), "csam", json!([csam])),
        ("censored", json!([]), "censored", json!([])),
        ("censored", json!([csam]), "csam", json!([csam])),
        ("csam", json!([]), "csam", json!([csam])),
        ("csam", json!([csam]), "csam", json!([csam])),
    ] {
        let (server, owner, request, job) = with_job().await;
        deliver(
            &server,
            &owner,
            &job,
            json!({"state": state, "gen_metadata": metadata}),
        )
        .await
        .ok(200);
        let status = status(&server, &request).await;
        let generation = &status["generations"][0];
        assert_eq!(
            (&generation["state"], &generation["gen_metadata"]),
            (&json!(shown), &kept)
        );
        // Whoever gets a censored text only pays what is burnt.
        let paid = if shown == "ok" { 8.0 } else { 2.0 };
        assert_eq!(status["kudos"], paid, "{state}");
    }
}

#[tokio::test]
async fn a_second_text_is_refused_unless_the_worker_is_in_maintenance() {
    let (server, owner, request, job) = with_job().await;
    deliver(&server, &owner, &job, json!({})).await.ok(200);
    for state in ["ok", "faulted"] {
        deliver(&server, &owner, &job, json!({"state": state}))
            .await
            .refused(400, "DuplicateGen");
    }
    assert_eq!(status(&server, &request).await["waiting"], 0);
}

#[tokio::test]
async fn a_failure_gives_the_job_back_once() {
    let (server, owner, request, job) = with_job().await;
    // As classic workers report it.
    let fault = json!({"state": "faulted", "generation": "faulted", "seed": -1});
    for _ in 0..2 {
        let body = deliver(&server, &owner, &job, fault.clone()).await.ok(200);
        assert_eq!(body, json!({"reward": 0.0}));
        assert_eq!(status(&server, &request).await["waiting"], 1);
    }
    deliver(&server, &owner, &job, json!({}))
        .await
        .refused(400, "AbortedGen");
    popped(&server, &owner).await;
}

#[tokio::test]
async fn a_job_past_its_time_goes_to_another_worker() {
    let (server, owner, request, job) = with_job().await;
    server.advance(149).await;
    assert_eq!(status(&server, &request).await["processing"], 1);
    server.advance(1).await;
    let body = status(&server, &request).await;
    assert_eq!((&body["waiting"], &body["restarted"]), (&json!(1), &json!(1)));
    let message = deliver(&server, &owner, &job, json!({}))
        .await
        .refused(400, "AbortedGen");
    assert!(!message.is_empty());
}

#[tokio::test]
async fn a_long_text_has_more_time() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, json!({"params": {"max_length": 400}})).await;
    let job = pop(&server, &owner, json!({})).await.ok(200);
    assert_eq!(job["ttl"], 200);
    server.advance(199).await;
    assert_eq!(status(&server, &request).await["processing"], 1);
}

#[tokio::test]
async fn only_the_owner_of_the_worker_may_deliver() {
    let (server, owner, _, job) = with_job().await;
    let other = server.user("other", 0).await.api_key;
    deliver(&server, "nobody's", &job, json!({}))
        .await
        .refused(401, "InvalidAPIKey");
    deliver(&server, &other, &job, json!({}))
        .await
        .refused(403, "WrongCredentials");
    for id in ["nothing", "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11"] {
        deliver(&server, &owner, id, json!({}))
            .await
            .refused(404, "InvalidJobID");
    }
    let many: Vec<Value> = vec![json!({"type": "censorship", "value": "csam"}); 51];
    deliver(&server, &owner, &job, json!({"gen_metadata": many}))
        .await
        .refused(400, "BadRequest");
    deliver(&server, &owner, &job, json!({})).await.ok(200);
}

#[tokio::test]
async fn a_job_of_another_kind_is_not_there() {
    let (server, owner, _, job) = with_job().await;
    let body = json!({"id": job, "generation": "R2", "seed": 1});
    server
        .post("/api/v2/generate/submit", &owner, &body)
        .await
        .refused(404, "InvalidJobID");
}

#[tokio::test]
async fn bodies_of_another_shape_are_invalid() {
    let (server, owner, _, job) = with_job().await;
    for (changes, offending) in [
        (json!({"id": 7}), "id"),
        (json!({"generation": 7}), "generation"),
        (json!({"state": "done"}), "state"),
        (json!({"seed": "x"}), "seed"),
        (
            json!({"gen_metadata": [{"type": "lora", "value": "csam"}]}),
            "gen_metadata.0.type",
        ),
        (
            json!({"gen_metadata": [{"type": "censorship", "value": "nsfw"}]}),
            "gen_metadata.0.value",
        ),
        (
            json!({"gen_metadata": [{"type": "censorship", "value": "csam", "ref": "x".repeat(256)}]}),
            "gen_metadata.0.ref",
        ),
    ] {
        let answer = deliver(&server, &owner, &job, changes.clone()).await;
        assert_eq!(answer.invalid(), [offending], "{changes}");
    }
    let missing = server.post(SUBMIT, &owner, &json!({"id": job})).await;
    assert_eq!(missing.invalid(), ["generation"]);
    let missing = server.post(SUBMIT, &owner, &json!({"generation": "x"})).await;
    assert_eq!(missing.invalid(), ["id"]);
}

/// Has a text of 400 tokens delivered after a second.
async fn hasty(server: &TestServer, owner: &str) -> String {
    let request = accepted(server, ANONYMOUS, json!({"params": {"max_length": 400}})).await;
    let job = popped(server, owner).await;
    server.advance(1).await;
    deliver(server, owner, &job, json!({"generation": "x".repeat(1600)}))
        .await
        .ok(200);
    request
}

#[tokio::test]
async fn a_worker_that_is_too_fast_to_be_true_is_paused() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 100).await;
    for _ in 0..5 {
        hasty(&server, &owner.api_key).await;
    }
    let workers = server.engine.store().workers().await.unwrap();
    assert_eq!(
        (workers[0].paused, workers[0].suspicions.as_slice()),
        (true, &[5; 5][..])
    );
    let account = server
        .engine
        .store()
        .account(number(&owner))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(account.suspicions, [5; 5]);
    // From now on it gets decoys.
    let request = hasty(&server, &owner.api_key).await;
    assert_eq!(status(&server, &request).await["waiting"], 1);
    let workers = server.engine.store().workers().await.unwrap();
    assert_eq!(workers[0].suspicions.len(), 5);
}

#[tokio::test]
async fn a_trusted_owners_worker_is_not_paused() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    for _ in 0..6 {
        let request = hasty(&server, &owner.api_key).await;
        assert_eq!(status(&server, &request).await["finished"], 1);
    }
    let workers = server.engine.store().workers().await.unwrap();
    assert_eq!((workers[0].paused, workers[0].suspicions.len()), (false, 6));
}

#[tokio::test]
async fn workers_that_drop_too_much_are_put_into_maintenance() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    for drop in 1..=21 {
        // Each of its own request, so that no request is given up.
        accepted(&server, ANONYMOUS, json!({"prompt": drop.to_string()})).await;
        let job = popped(&server, &owner).await;
        deliver(&server, &owner, &job, json!({"state": "faulted"}))
            .await
            .ok(200);
    }
    pop(&server, &owner, json!({}))
        .await
        .refused(403, "WorkerMaintenance");
    let workers = server.engine.store().workers().await.unwrap();
    assert_eq!(workers[0].suspicions, [9]);
}
