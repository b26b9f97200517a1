//! `styles/*`, and requests that are made with them.

mod create;
mod examples;
mod get;
mod modify;
mod requests;

use serde_json::{Value, json};

use crate::support::TestServer;

const IMAGE: &str = "/api/v2/styles/image";
const TEXT: &str = "/api/v2/styles/text";

/// A style for pictures with everything.
fn noir() -> Value {
    json!({
        "name": "noir", "info": "black & white pictures", "prompt": "{p}, black and white###{np}, colours",
        "params": {"steps": 20, "cfg_scale": 7, "loras": [{"name": "film"}], "seed": "7"},
        "public": true, "nsfw": false, "tags": ["film", "night"], "models": ["stable_diffusion"],
    })
}

/// A style for texts.
fn tale() -> Value {
    json!({"name": "tale", "prompt": "Once upon a time {p}", "params": {"temperature": 0.7}, "models": ["some/model"]})
}

/// Makes a style; its id.
async fn make(server: &TestServer, path: &str, key: &str, body: &Value) -> String {
    let made = server.post(path, key, body).await.ok(200);
    assert_eq!(made["message"], "OK");
    made["id"].as_str().unwrap().to_owned()
}
