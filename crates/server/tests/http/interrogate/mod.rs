//! `interrogate/*`

mod async_post;
mod async_refusals;
mod pop_matching;
mod pop_post;
mod status_delete;
mod status_get;
mod submit_kudos;
mod submit_post;
mod webhooks;

use serde_json::{Value, json};

use crate::support::{Answer, TestServer, changed, picture};

const ASYNC: &str = "/api/v2/interrogate/async";
const POP: &str = "/api/v2/interrogate/pop";
const SUBMIT: &str = "/api/v2/interrogate/submit";

/// A request for forms on a small picture.
fn request(forms: &[&str]) -> Value {
    let forms: Vec<Value> = forms.iter().map(|form| json!({"name": form})).collect();
    json!({"forms": forms, "source_image": picture()})
}

/// Puts a request into the queue; its id.
async fn accepted(server: &TestServer, key: &str, body: &Value) -> String {
    let body = server.post(ASYNC, key, body).await.ok(202);
    body["id"].as_str().unwrap().to_owned()
}

/// The pop of an alchemist, with changes.
async fn pop(server: &TestServer, key: &str, changes: Value) -> Answer {
    let body = json!({"name": "Alchemist", "forms": ["caption", "nsfw", "RealESRGAN_x4plus"], "amount": 1});
    server.post(POP, key, &changed(body, changes)).await
}

/// The forms that are popped, by name and id.
async fn popped(server: &TestServer, key: &str, changes: Value) -> Vec<(String, String)> {
    let body = pop(server, key, changes).await.ok(200);
    let forms = body["forms"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    forms
        .iter()
        .map(|form| (text(&form["form"]), text(&form["id"])))
        .collect()
}

async fn deliver(server: &TestServer, key: &str, id: &str, result: Value) -> Answer {
    server
        .post(SUBMIT, key, &json!({"id": id, "result": result, "state": "ok"}))
        .await
}

async fn fault(server: &TestServer, key: &str, id: &str) -> Answer {
    // As classic workers report it.
    let body = json!({"id": id, "state": "faulted", "generation": "faulted", "seed": -1});
    server.post(SUBMIT, key, &body).await
}

async fn status(server: &TestServer, request: &str) -> Value {
    server
        .get(&format!("/api/v2/interrogate/status/{request}"))
        .await
        .ok(200)
}

/// The states of the forms of a request, after that of the request itself.
async fn states(server: &TestServer, request: &str) -> Vec<String> {
    let body = status(server, request).await;
    let mut states = vec![body["state"].as_str().unwrap().to_owned()];
    let forms = body["forms"].as_array().unwrap();
    states.extend(
        forms
            .iter()
            .map(|form| form["state"].as_str().unwrap().to_owned()),
    );
    states
}
