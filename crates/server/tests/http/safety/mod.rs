//! What protects the horde.

mod addresses;
mod blocks;
mod problems;
mod proxies;
mod raid;
mod refused_prompts;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Setup, TestServer};

/// A server behind a reverse proxy that tells from where callers call.
fn proxied() -> Setup {
    Setup {
        trusted_hops: 1,
        ..Setup::default()
    }
}

/// A call from somewhere.
async fn from(server: &TestServer, address: &str, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [
        ("apikey", key),
        ("content-type", "application/json"),
        ("x-forwarded-for", address),
    ];
    server.send(Method::POST, path, &headers, body.to_string()).await
}

/// A server that refuses kittens that fight.
async fn filtered(setup: Setup) -> TestServer {
    let server = TestServer::with(setup).await;
    let moderator = server.moderator("mod").await;
    for (kind, regex) in [(10, "kitten"), (20, "fight")] {
        let body = json!({"regex": regex, "filter_type": kind});
        server
            .put("/api/v2/filters", &moderator.api_key, &body)
            .await
            .ok(200);
    }
    server
}
