//! `status/performance` and `status/models`: how busy the horde is.

use insta::assert_json_snapshot;
use muster_protocol::TestUser;
use muster_store::WorkerChanges;
use serde_json::{Value, json};

use crate::support::{TestServer, changed, picture, plain_request, worker};

const TEXT_MODEL: &str = "koboldcpp/Mistral-7B-Instruct-v0.3";

async fn performance(server: &TestServer) -> Value {
    server.get("/api/v2/status/performance").await.ok(200)
}

async fn models(server: &TestServer, query: &str) -> Value {
    server.get(&format!("/api/v2/status/models{query}")).await.ok(200)
}

fn text_request() -> Value {
    json!({"prompt": "Once", "models": [TEXT_MODEL], "params": {"max_length": 80, "n": 2}})
}

fn scribe() -> Value {
    json!({"name": "Scribe", "models": [TEXT_MODEL], "threads": 3, "max_length": 512, "max_context_length": 4096})
}

/// A horde in which three pictures, two texts and two forms are asked for, and one of each is in progress.
async fn busy() -> (TestServer, TestUser) {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 100_000).await,
    );
    let three = changed(
        plain_request(),
        json!({"params": {"n": 3}, "models": ["stable_diffusion", "Deliberate"]}),
    );
    server.request(&client.api_key, &three).await;
    let post =
        async |path: &str, key: &str, body: &Value| server.post(&format!("/api/v2/{path}"), key, body).await;
    post("generate/text/async", &client.api_key, &text_request())
        .await
        .ok(202);
    let forms = json!({"forms": [{"name": "caption"}, {"name": "nsfw"}], "source_image": picture()});
    post("interrogate/async", &client.api_key, &forms).await.ok(202);
    let two_threads = changed(worker("Rig"), json!({"threads": 2}));
    server.pop(&owner.api_key, &two_threads).await.ok(200);
    post("generate/text/pop", &owner.api_key, &scribe()).await.ok(200);
    let alchemist = json!({"name": "Alchemist", "forms": ["caption"], "threads": 4});
    post("interrogate/pop", &owner.api_key, &alchemist).await.ok(200);
    (server, owner)
}

#[tokio::test]
async fn an_idle_horde_does_nothing() {
    let server = TestServer::start().await;
    let idle = performance(&server).await;
    assert!(
        idle.as_object()
            .unwrap()
            .values()
            .all(|number| number.as_f64() == Some(0.0)),
        "{idle}"
    );
    assert_eq!(models(&server, "").await, json!([]));
}

#[tokio::test]
async fn what_waits_and_what_is_in_progress_count() {
    let (server, _) = busy().await;
    assert_json_snapshot!(performance(&server).await, @r#"
    {
      "interrogator_count": 1,
      "interrogator_thread_count": 4,
      "past_minute_megapixelsteps": 0.0,
      "past_minute_tokens": 0.0,
      "queued_forms": 2.0,
      "queued_megapixelsteps": 15.73,
      "queued_requests": 3,
      "queued_text_requests": 2,
      "queued_tokens": 160.0,
      "text_thread_count": 3,
      "text_worker_count": 1,
      "thread_count": 2,
      "worker_count": 1
    }
    "#);
    // Workers that were not heard of for five minutes do not.
    server.advance(301).await;
    let later = performance(&server).await;
    assert_eq!(
        (&later["worker_count"], &later["text_thread_count"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn what_was_done_in_the_last_minute_counts() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 100_000).await,
    );
    server.request(&client.api_key, &plain_request()).await;
    let job = server.popped(&owner.api_key, "Rig").await;
    server.advance(10).await;
    server
        .deliver(&owner.api_key, job["id"].as_str().unwrap())
        .await
        .ok(200);
    let done = performance(&server).await;
    // 512 × 512 pixels, 20 steps.
    assert_eq!(done["past_minute_megapixelsteps"], 5.24);
    assert_eq!(done["queued_requests"], 0);
    // In 10 seconds.
    let model = &models(&server, "").await[0];
    assert_eq!(model["performance"], 524_288.0);
    server.advance(60).await;
    assert_eq!(performance(&server).await["past_minute_megapixelsteps"], 0.0);
    assert_eq!(models(&server, "").await[0]["performance"], 524_288.0);
    server.pop(&owner.api_key, &worker("Rig")).await.ok(200);
    server.advance(3600).await;
    server.pop(&owner.api_key, &worker("Rig")).await.ok(200);
    assert_eq!(models(&server, "").await[0]["performance"], 0.0);
}

#[tokio::test]
async fn models_have_queues_and_threads() {
    let (server, _) = busy().await;
    assert_json_snapshot!(models(&server, "").await, @r#"
    [
      {
        "count": 0,
        "eta": 10000,
        "jobs": 3.0,
        "name": "Deliberate",
        "performance": 0.0,
        "queued": 15728640.0,
        "type": "image"
      },
      {
        "count": 2,
        "eta": 10000,
        "jobs": 3.0,
        "name": "stable_diffusion",
        "performance": 0.0,
        "queued": 15728640.0,
        "type": "image"
      }
    ]
    "#);
    assert_json_snapshot!(models(&server, "?type=text").await, @r#"
    [
      {
        "count": 3,
        "eta": 10000,
        "jobs": 2.0,
        "name": "koboldcpp/Mistral-7B-Instruct-v0.3",
        "performance": 0.0,
        "queued": 160.0,
        "type": "text"
      }
    ]
    "#);
    assert_eq!(models(&server, "?type=alchemy").await, json!([]));
    let names = async |query: &str| -> Vec<String> {
        let listed = models(&server, query).await;
        let names = listed.as_array().unwrap().iter();
        names
            .map(|model| model["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("?min_count=1").await, ["stable_diffusion"]);
    assert_eq!(names("?max_count=1").await, ["Deliberate"]);
    assert_eq!(names("?min_count=3").await, [""; 0]);
    assert_eq!(
        names("?model_state=known").await,
        ["Deliberate", "stable_diffusion"]
    );
    assert_eq!(names("?model_state=custom").await, [""; 0]);
    let get = async |query: &str| server.get(&format!("/api/v2/status/models?{query}")).await;
    get("model_state=some").await.refused(400, "BadRequest");
    assert_eq!(get("min_count=x").await.invalid(), ["min_count"]);
    assert_eq!(get("max_count=").await.invalid(), ["max_count"]);
}

#[tokio::test]
async fn custom_models_and_workers_in_maintenance() {
    let server = TestServer::start().await;
    let (owner, client) = (server.user("owner", 0).await, server.user("client", 1000).await);
    // Nobody hears of models that only exist in requests.
    let custom = changed(plain_request(), json!({"models": ["Homemade"]}));
    server.request(&client.api_key, &custom).await;
    assert_eq!(models(&server, "").await, json!([]));
    server.worker(&owner.api_key, "Rig").await;
    assert_eq!(models(&server, "").await[0]["count"], 1);
    let server = server
        .with_worker(WorkerChanges {
            maintenance: Some(true),
            ..WorkerChanges::default()
        })
        .await;
    assert_eq!(models(&server, "").await, json!([]));
    assert_eq!(performance(&server).await["worker_count"], 1);
}

#[tokio::test]
async fn one_model_by_its_name() {
    let (server, _) = busy().await;
    let one = async |name: &str| server.get(&format!("/api/v2/status/models/{name}")).await.ok(200);
    let found = one("stable_diffusion").await;
    assert_eq!(
        (found.as_array().unwrap().len(), &found[0]["jobs"]),
        (1, &json!(3.0))
    );
    for name in [
        "koboldcpp%2FMistral-7B-Instruct-v0.3",
        "koboldcpp%252FMistral-7B-Instruct-v0.3",
    ] {
        assert_eq!(one(name).await[0]["type"], "text", "{name}");
    }
    for name in ["Homemade", "x"] {
        assert_eq!(one(name).await, json!([]), "{name}");
    }
}
