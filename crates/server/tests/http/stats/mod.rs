//! `stats/*`

use muster_store::WorkerChanges;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, Setup, TestServer, changed, picture, plain_request, worker};

const MODEL: &str = "koboldcpp/Mistral-7B-Instruct-v0.3";

async fn get(server: &TestServer, path: &str) -> Value {
    server.get(&format!("/api/v2/stats/{path}")).await.ok(200)
}

/// Has a picture made, or given up.
async fn paint(server: &TestServer, owner: &str, state: &str) {
    server.request(ANONYMOUS, &plain_request()).await;
    let popped = server.pop(owner, &worker("Painter")).await.ok(200);
    let body = json!({"id": popped["id"], "generation": picture(), "seed": 1, "state": state});
    server.post("/api/v2/generate/submit", owner, &body).await.ok(200);
}

/// Has a text written.
async fn write(server: &TestServer, owner: &str) {
    let body = json!({"prompt": "Once", "models": [MODEL], "params": {"max_length": 100}});
    server
        .post("/api/v2/generate/text/async", ANONYMOUS, &body)
        .await
        .ok(202);
    let body = json!({"name": "Scribe", "models": [MODEL], "bridge_agent": "TabbyAPI:1:x"});
    let popped = server
        .post("/api/v2/generate/text/pop", owner, &body)
        .await
        .ok(200);
    let body = json!({"id": popped["id"], "generation": "there was"});
    server
        .post("/api/v2/generate/text/submit", owner, &body)
        .await
        .ok(200);
}

#[tokio::test]
async fn nothing_was_done_at_first() {
    let server = TestServer::start().await;
    let none = json!({"images": 0, "ps": 0});
    assert_eq!(
        get(&server, "img/totals").await,
        json!({"minute": none, "hour": none, "day": none, "month": none, "total": none})
    );
    let none = json!({"requests": 0, "tokens": 0});
    assert_eq!(
        get(&server, "text/totals").await,
        json!({"minute": none, "hour": none, "day": none, "month": none, "total": none})
    );
    for path in ["img/models", "text/models"] {
        assert_eq!(
            get(&server, path).await,
            json!({"day": {}, "month": {}, "total": {}})
        );
    }
}

#[tokio::test]
async fn what_was_done_or_given_up_is_counted_and_remembered() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await.api_key;
    paint(&server, &owner, "ok").await;
    paint(&server, &owner, "faulted").await;
    server.advance(61).await;
    write(&server, &owner).await;
    // 512 x 512 pixels in 20 steps, twice.
    let (none, both) = (
        json!({"images": 0, "ps": 0}),
        json!({"images": 2, "ps": 10_485_760}),
    );
    let images = json!({"minute": none, "hour": both, "day": both, "month": both, "total": both});
    assert_eq!(get(&server, "img/totals").await, images);
    let one = json!({"requests": 1, "tokens": 100});
    let texts = json!({"minute": one, "hour": one, "day": one, "month": one, "total": one});
    assert_eq!(get(&server, "text/totals").await, texts);
    let models = json!({"day": {MODEL: 1}, "month": {MODEL: 1}, "total": {MODEL: 1}});
    assert_eq!(get(&server, "text/models").await, models);

    let server = server.restart(Setup::default()).await;
    assert_eq!(get(&server, "img/totals").await, images);
    assert_eq!(get(&server, "text/models").await, models);
    server.advance(25 * 3600).await;
    let later = json!({"minute": none, "hour": none, "day": none});
    assert_eq!(get(&server, "img/totals").await, changed(images, later));
    let models = json!({"day": {MODEL: 0}, "month": {MODEL: 1}, "total": {MODEL: 1}});
    assert_eq!(get(&server, "text/models").await, models);
}

#[tokio::test]
async fn known_and_custom_models_are_told_apart() {
    let server = TestServer::start().await;
    let owner = server
        .user_with("owner", muster_store::Role::Customizer)
        .await
        .api_key;
    paint(&server, &owner, "ok").await;
    server
        .request(
            ANONYMOUS,
            &changed(plain_request(), json!({"models": ["my own"]})),
        )
        .await;
    let pop = changed(worker("Painter"), json!({"models": ["my own"]}));
    let popped = server.pop(&owner, &pop).await.ok(200);
    let body = json!({"id": popped["id"], "generation": picture(), "seed": 1});
    server
        .post("/api/v2/generate/submit", &owner, &body)
        .await
        .ok(200);
    let of = |name: &str| json!({"day": {name: 1}, "month": {name: 1}, "total": {name: 1}});
    assert_eq!(get(&server, "img/models").await, of("stable_diffusion"));
    assert_eq!(
        get(&server, "img/models?model_state=known").await,
        of("stable_diffusion")
    );
    assert_eq!(get(&server, "img/models?model_state=custom").await, of("my own"));
    let all = get(&server, "img/models?model_state=all").await;
    assert_eq!(all["total"], json!({"stable_diffusion": 1, "my own": 1}));
    server
        .get("/api/v2/stats/img/models?model_state=imaginary")
        .await
        .refused(400, "BadRequest");
}

#[tokio::test]
async fn decoys_are_not_counted() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await.api_key;
    server.pop(&owner, &worker("Painter")).await.ok(200);
    let server = server
        .with_worker(WorkerChanges {
            paused: Some(true),
            ..WorkerChanges::default()
        })
        .await;
    paint(&server, &owner, "ok").await;
    assert_eq!(get(&server, "img/totals").await["total"]["images"], 0);
}
