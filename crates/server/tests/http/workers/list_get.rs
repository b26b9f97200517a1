//! `GET /workers`.

use serde_json::{Value, json};

use crate::support::{BRIDGE_AGENT, Setup, TestServer};

async fn names(server: &TestServer, query: &str) -> Vec<String> {
    let listed = server.get(&format!("/api/v2/workers{query}")).await.ok(200);
    let name = |worker: &Value| worker["name"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(name).collect()
}

/// A server with three workers of each kind's own, none of which is old.
async fn busy(server: &TestServer) -> String {
    let ann = server.trusted("ann", 0).await;
    let pop = async |path: &str, body: Value| server.post(path, &ann.api_key, &body).await.ok(200);
    let alchemist = json!({"name": "Alchemist", "forms": ["caption"], "bridge_agent": BRIDGE_AGENT});
    pop("/api/v2/interrogate/pop", alchemist).await;
    let scribe = json!({"name": "Scribe", "models": ["some/model"], "bridge_agent": BRIDGE_AGENT});
    pop("/api/v2/generate/text/pop", scribe).await;
    server.worker(&ann.api_key, "Zebra").await;
    server.worker(&ann.api_key, "Aardvark").await;
    ann.api_key
}

#[tokio::test]
async fn those_that_are_online_by_kind() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/api/v2/workers").await.ok(200), json!([]));
    busy(&server).await;
    assert_eq!(
        names(&server, "").await,
        ["Aardvark", "Zebra", "Scribe", "Alchemist"]
    );
    server.advance(301).await;
    assert_eq!(server.get("/api/v2/workers").await.ok(200), json!([]));
}

#[tokio::test]
async fn filters() {
    let server = TestServer::start().await;
    busy(&server).await;
    assert_eq!(names(&server, "?type=image").await, ["Aardvark", "Zebra"]);
    assert_eq!(names(&server, "?type=text").await, ["Scribe"]);
    assert_eq!(names(&server, "?type=interrogation").await, ["Alchemist"]);
    assert!(names(&server, "?type=magic").await.is_empty());
    assert_eq!(names(&server, "?name=zEBRA&type=text").await, ["Zebra"]);
    assert_eq!(names(&server, "?name=&type=text").await, ["Scribe"]);
    assert!(names(&server, "?name=nobody").await.is_empty());
}

#[tokio::test]
async fn moderators_see_more_and_unknown_keys_are_nobodys() {
    let server = TestServer::start().await;
    let ann = busy(&server).await;
    let moderator = server.moderator("mod").await;
    let seen = server.get_as("/api/v2/workers", &moderator.api_key).await.ok(200);
    assert_eq!(
        (&seen[0]["paused"], &seen[0]["owner"]),
        (&json!(false), &json!("ann#1"))
    );
    let public = server.get("/api/v2/workers").await.ok(200);
    assert_eq!(public[0]["paused"], Value::Null);
    assert_eq!(server.get_as("/api/v2/workers", &ann).await.ok(200), public);
    assert_eq!(server.get_as("/api/v2/workers", "nobody's").await.ok(200), public);
}

#[tokio::test]
async fn the_list_is_used_for_a_while() {
    let mut setup = Setup::default();
    setup.engine.worker_list_lifetime = std::time::Duration::from_secs(1);
    let server = TestServer::with(setup).await;
    busy(&server).await;
    assert_eq!(names(&server, "").await.len(), 4);
    // A filter must not stay in the list.
    assert_eq!(names(&server, "?type=text").await, ["Scribe"]);
    let id = server.worker_id("Zebra").await;
    let moderator = server.moderator("mod").await;
    server
        .delete_as(&format!("/api/v2/workers/{id}"), &moderator.api_key)
        .await
        .ok(200);
    assert_eq!(names(&server, "").await.len(), 4);
    server.advance(1).await;
    assert_eq!(names(&server, "").await.len(), 3);
}

#[tokio::test]
async fn masks_apply_to_each() {
    let server = TestServer::start().await;
    busy(&server).await;
    let headers = [("x-fields", "name,team{name}")];
    let masked = server
        .send(reqwest::Method::GET, "/api/v2/workers?type=text", &headers, "")
        .await
        .ok(200);
    assert_eq!(masked, json!([{"name": "Scribe", "team": {"name": null}}]));
}
