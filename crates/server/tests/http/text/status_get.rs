//! `GET generate/text/status/{id}`: how far a request is and what came of it.

use serde_json::{Value, json};

use super::{MODEL, accepted, deliver, pop, popped, status};
use crate::support::{ANONYMOUS, Setup, TestServer, changed};

fn progress(changes: Value) -> Value {
    let waiting = json!({
        "finished": 0, "processing": 0, "restarted": 0, "waiting": 1, "done": false, "faulted": false,
        "wait_time": 80, "queue_position": 1, "kudos": 1.0, "is_possible": false, "generations": [],
    });
    changed(waiting, changes)
}

#[tokio::test]
async fn a_request_is_followed_from_the_queue_to_its_text() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await.api_key,
        server.user("client", 1000).await.api_key,
    );
    let request = accepted(&server, &client, json!({})).await;
    assert_eq!(status(&server, &request).await, progress(json!({})));

    let job = popped(&server, &owner).await;
    // An unmeasured worker counts as one token a second.
    let processing = json!({"processing": 1, "waiting": 0, "queue_position": 0, "is_possible": true});
    assert_eq!(status(&server, &request).await, progress(processing));

    server.advance(8).await;
    deliver(&server, &owner, &job, json!({"seed": 7})).await.ok(200);
    let mut body = status(&server, &request).await;
    let worker = body["generations"][0]["worker_id"].take();
    uuid::Uuid::parse_str(worker.as_str().unwrap()).unwrap();
    let generation = json!({
        "worker_id": null, "worker_name": "Scribe", "model": MODEL, "state": "ok", "text": super::text(), "seed": 7,
        "gen_metadata": [],
    });
    let done = json!({
        "finished": 1, "waiting": 0, "done": true, "wait_time": 0, "queue_position": 0, "kudos": 8.0,
        "is_possible": true, "generations": [generation],
    });
    assert_eq!(body, progress(done));
    assert!(body.get("message").is_none());

    // The next one is expected after ten tokens a second.
    let request = accepted(&server, &client, json!({})).await;
    assert_eq!(status(&server, &request).await["wait_time"], 8);
}

#[tokio::test]
async fn restarts_faults_and_places_are_counted() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let (poor, rich) = (
        server.user("poor", 0).await.api_key,
        server.user("rich", 1000).await.api_key,
    );
    let first = accepted(&server, &poor, json!({"params": {"n": 2}})).await;
    let second = accepted(&server, &rich, json!({})).await;
    assert_eq!(status(&server, &first).await["queue_position"], 2);
    assert_eq!(status(&server, &second).await["queue_position"], 1);
    let job = popped(&server, &owner).await;
    deliver(&server, &owner, &job, json!({})).await.ok(200);
    for attempt in 1..=3 {
        let job = popped(&server, &owner).await;
        deliver(
            &server,
            &owner,
            &job,
            json!({"state": "faulted", "generation": "faulted", "seed": -1}),
        )
        .await
        .ok(200);
        let body = status(&server, &first).await;
        assert_eq!(
            (&body["restarted"], &body["faulted"]),
            (&json!(attempt), &json!(attempt == 3))
        );
        assert_eq!(body["done"], attempt == 3);
    }
    let nothing = pop(&server, &owner, json!({})).await.ok(200);
    assert_eq!(nothing["id"], Value::Null);
}

#[tokio::test]
async fn results_are_given_in_the_order_of_their_pops() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, json!({"params": {"n": 3}})).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(popped(&server, &owner).await);
        server.advance(1).await;
    }
    for index in [2, 0, 1] {
        deliver(
            &server,
            &owner,
            &jobs[index],
            json!({"generation": index.to_string()}),
        )
        .await
        .ok(200);
    }
    let body = status(&server, &request).await;
    let texts: Vec<&str> = body["generations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|generation| generation["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["0", "1", "2"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    let picture = server.request(ANONYMOUS, &crate::support::plain_request()).await;
    for id in ["nothing", "5e0d8d0e-93b8-4b9a-8a5c-0c9a9c1a7f11", &picture] {
        let path = format!("/api/v2/generate/text/status/{id}");
        server.get(&path).await.refused(404, "RequestNotFound");
        server.delete(&path).await.refused(404, "RequestNotFound");
    }
    let text = accepted(&server, ANONYMOUS, json!({})).await;
    let path = format!("/api/v2/generate/status/{text}");
    server.get(&path).await.refused(404, "RequestNotFound");
    server.advance(20 * 60).await;
    let path = format!("/api/v2/generate/text/status/{text}");
    server.get(&path).await.refused(404, "RequestNotFound");
}

#[tokio::test]
async fn a_done_request_is_remembered_by_the_store() {
    let setup = || Setup {
        engine: muster_engine::EngineConfig {
            remembered_requests: 0,
            ..Setup::default().engine
        },
        ..Setup::default()
    };
    let server = TestServer::with(setup()).await;
    let owner = server.trusted("owner", 0).await.api_key;
    let request = accepted(&server, ANONYMOUS, json!({})).await;
    let job = popped(&server, &owner).await;
    let metadata = json!([{"type": "censorship", "value": "csam", "ref": "x"}]);
    deliver(&server, &owner, &job, json!({"gen_metadata": metadata}))
        .await
        .ok(200);
    assert_eq!(server.engine.requests_in_memory(), 0);
    let body = status(&server, &request).await;
    assert_eq!(body["generations"][0]["state"], "csam");
    assert_eq!(body["generations"][0]["gen_metadata"], metadata);
    deliver(&server, &owner, &job, json!({}))
        .await
        .refused(400, "DuplicateGen");
    let server = server.restart(setup()).await;
    assert_eq!(status(&server, &request).await, body);
}

#[tokio::test]
async fn limits_are_those_of_the_published_table() {
    let server = TestServer::with(Setup {
        rate_limits: true,
        ..Setup::default()
    })
    .await;
    let request = accepted(&server, ANONYMOUS, json!({})).await;
    let path = format!("/api/v2/generate/text/status/{request}");
    for _ in 0..60 {
        server.get(&path).await.ok(200);
    }
    assert_eq!(server.get(&path).await.plain(429), "60 per 1 minute");
    server.delete(&path).await.ok(200);
}
