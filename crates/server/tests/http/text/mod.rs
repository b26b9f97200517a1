//! `generate/text/*`

mod async_post;
mod async_refusals;
mod async_upfront;
mod pop_matching;
mod pop_post;
mod status_delete;
mod status_get;
mod submit_kudos;
mod submit_post;
mod webhooks;

use serde_json::{Value, json};

use crate::support::{Answer, TestServer, changed};

const ASYNC: &str = "/api/v2/generate/text/async";
const POP: &str = "/api/v2/generate/text/pop";
const SUBMIT: &str = "/api/v2/generate/text/submit";
/// A model of 7 billion parameters, by the name that `KoboldCpp` gives it.
const MODEL: &str = "koboldcpp/Mistral-7B-Instruct-v0.3";
const KOBOLD: &str = "KoboldCppEmbedWorker:2:https://github.com/LostRuins/koboldcpp";

/// A request for a short text by a known model.
fn request() -> Value {
    json!({"prompt": "Once upon a time", "models": [MODEL], "params": {"max_length": 80, "max_context_length": 1024}})
}

/// The pop of a worker that serves it.
fn worker(name: &str) -> Value {
    json!({
        "name": name, "models": [MODEL], "bridge_agent": KOBOLD, "max_length": 512, "max_context_length": 4096,
        "priority_usernames": [], "softprompts": [],
    })
}

/// Sends a request that differs from the usual one.
async fn submit(server: &TestServer, key: &str, changes: Value) -> Answer {
    server.post(ASYNC, key, &changed(request(), changes)).await
}

/// Puts a request into the queue that differs from the usual one; its id.
async fn accepted(server: &TestServer, key: &str, changes: Value) -> String {
    let body = submit(server, key, changes).await.ok(202);
    body["id"].as_str().unwrap().to_owned()
}

async fn pop(server: &TestServer, key: &str, changes: Value) -> Answer {
    server.post(POP, key, &changed(worker("Scribe"), changes)).await
}

/// A job that must be there; its id.
async fn popped(server: &TestServer, key: &str) -> String {
    let body = pop(server, key, json!({})).await.ok(200);
    body["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no job: {body}"))
        .to_owned()
}

async fn status(server: &TestServer, request: &str) -> Value {
    server
        .get(&format!("/api/v2/generate/text/status/{request}"))
        .await
        .ok(200)
}

/// A text of 320 characters.
fn text() -> String {
    "lorem ipsum dolor si".repeat(16)
}

async fn deliver(server: &TestServer, key: &str, job: &str, changes: Value) -> Answer {
    let body = json!({"id": job, "generation": text()});
    server.post(SUBMIT, key, &changed(body, changes)).await
}
