//! `teams`.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, BRIDGE_AGENT, TestServer, plain_request, worker};

const PATH: &str = "/api/v2/teams";

async fn make(server: &TestServer, key: &str, name: &str) -> String {
    let body = json!({"name": name, "info": "about <us>"});
    let made = server.post(PATH, key, &body).await.ok(200);
    assert_eq!(
        (&made["name"], &made["info"]),
        (&json!(name), &json!("about &lt;us&gt;"))
    );
    made["id"].as_str().unwrap().to_owned()
}

async fn join(server: &TestServer, key: &str, worker: &str, team: &str) {
    let id = server.worker_id(worker).await;
    server
        .put(&format!("/api/v2/workers/{id}"), key, &json!({"team": team}))
        .await
        .ok(200);
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // mostly the team as it is shown
async fn a_team_with_workers_of_all_kinds() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.trusted("ann", 1000).await, server.user("ben", 0).await);
    let team = make(&server, &ann.api_key, "Rust").await;
    server.worker(&ann.api_key, "Rig").await;
    let scribe = json!({"name": "Scribe", "models": ["some/model"], "bridge_agent": BRIDGE_AGENT});
    server
        .post("/api/v2/generate/text/pop", &ben.api_key, &scribe)
        .await
        .ok(200);
    let alchemist = json!({"name": "Alchemist", "forms": ["caption"], "bridge_agent": BRIDGE_AGENT});
    server
        .post("/api/v2/interrogate/pop", &ben.api_key, &alchemist)
        .await
        .ok(200);
    for (key, name) in [
        (&ann.api_key, "Rig"),
        (&ben.api_key, "Scribe"),
        (&ben.api_key, "Alchemist"),
    ] {
        join(&server, key, name, &team).await;
    }
    // Pictures count, texts do not.
    server.request(&ann.api_key, &plain_request()).await;
    let popped = server.popped(&ann.api_key, "Rig").await;
    server.advance(10).await;
    server
        .deliver(&ann.api_key, popped["id"].as_str().unwrap())
        .await
        .ok(200);
    let text = json!({"prompt": "Once", "models": ["some/model"]});
    server
        .post("/api/v2/generate/text/async", &ann.api_key, &text)
        .await
        .ok(202);
    let popped = server
        .post("/api/v2/generate/text/pop", &ben.api_key, &scribe)
        .await
        .ok(200);
    let body = json!({"id": popped["id"], "generation": "upon a time"});
    server.advance(10).await;
    server
        .post("/api/v2/generate/text/submit", &ben.api_key, &body)
        .await
        .ok(200);

    let seen = server.get(&format!("{PATH}/{team}")).await.ok(200);
    assert_json_snapshot!(seen, @r#"
    {
      "creator": "ann#1",
      "id": "8eb37e6d-7019-4780-8fdd-d76b1a73e1ce",
      "info": "about &lt;us&gt;",
      "kudos": 5.0,
      "models": [
        {
          "count": 1,
          "name": "some/model"
        },
        {
          "count": 1,
          "name": "stable_diffusion"
        }
      ],
      "name": "Rust",
      "requests_fulfilled": 1,
      "uptime": 0,
      "worker_count": 3,
      "workers": [
        {
          "id": "9fde3484-cf0e-465e-a8c4-c49b250b6055",
          "name": "Rig",
          "online": true,
          "type": "image"
        },
        {
          "id": "03c170b8-2ec1-4a2a-bad8-01af0eb64991",
          "name": "Scribe",
          "online": true,
          "type": "text"
        },
        {
          "id": "6b790eb9-2512-4a2e-8134-0c560c3a8107",
          "name": "Alchemist",
          "online": true,
          "type": "interrogation"
        }
      ]
    }
    "#);
    assert_eq!(server.get(PATH).await.ok(200), json!([seen]));
    let moderator = server.moderator("mod").await;
    for key in ["nobody's", &ben.api_key, &moderator.api_key] {
        assert_eq!(
            server.get_as(&format!("{PATH}/{team}"), key).await.ok(200),
            seen,
            "{key}"
        );
    }
    // Whoever leaves takes nothing along.
    join(&server, &ann.api_key, "Rig", "").await;
    let left = server.get(&format!("{PATH}/{team}")).await.ok(200);
    assert_eq!(
        (&left["worker_count"], &left["requests_fulfilled"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn teams_change_and_go() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 0).await;
    let id = make(&server, &ann.api_key, "Rust").await;
    make(&server, &ann.api_key, "Crab").await;
    let path = format!("{PATH}/{id}");
    let modify = async |body: Value| server.patch(&path, &ann.api_key, &body).await;
    assert_eq!(
        modify(json!({"info": "new & better"})).await.ok(200),
        json!({"id": id, "info": "new &amp; better"})
    );
    let both = json!({"id": id, "name": "RUST", "info": "again"});
    assert_eq!(
        modify(json!({"name": "RUST", "info": "again"})).await.ok(200),
        both
    );
    assert_eq!(
        modify(json!({"name": "RUST"})).await.ok(200),
        json!({"id": id, "name": "RUST"})
    );
    modify(json!({"name": "crab"}))
        .await
        .refused(400, "TeamNameAlreadyExists");
    modify(json!({"name": "fuck off"}))
        .await
        .refused(400, "ProfaneTeamName");
    modify(json!({"info": "fuck off"}))
        .await
        .refused(400, "ProfaneTeamInfo");
    modify(json!({})).await.refused(400, "NoTeamModSelected");
    assert_eq!(
        modify(json!({"name": "ab", "info": 5})).await.invalid(),
        ["info", "name"]
    );

    server.worker(&ann.api_key, "Rig").await;
    join(&server, &ann.api_key, "Rig", &id).await;
    let gone = json!({"deleted_id": id, "deleted_name": "RUST"});
    assert_eq!(server.delete_as(&path, &ann.api_key).await.ok(200), gone);
    server.get(&path).await.refused(404, "TeamNotFound");
    let rig = server.get("/api/v2/workers/name/Rig").await.ok(200);
    assert_eq!(rig["team"], json!({"name": null, "id": null}));
    // The name is free.
    make(&server, &ann.api_key, "Rust").await;
}

#[tokio::test]
async fn who_may_make_teams_of_which_names() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.trusted("ann", 0).await, server.user("ben", 0).await);
    let post = async |key: &str, body: Value| server.post(PATH, key, &body).await;
    let rust = json!({"name": "Rust"});
    post("nobody's", rust.clone()).await.refused(401, "InvalidAPIKey");
    post(ANONYMOUS, rust.clone()).await.refused(403, "AnonForbidden");
    post(&ben.api_key, rust.clone())
        .await
        .refused(403, "UntrustedTeamCreation");
    let made = post(&ann.api_key, rust).await.ok(200);
    assert_eq!(made.as_object().unwrap().len(), 2, "no info was given: {made}");
    post(&ann.api_key, json!({"name": "rUST"}))
        .await
        .refused(400, "TeamNameAlreadyExists");
    post(&ann.api_key, json!({"name": "fuck off"}))
        .await
        .refused(400, "ProfaneTeamName");
    post(&ann.api_key, json!({"name": "fine", "info": "fuck off"}))
        .await
        .refused(400, "ProfaneTeamInfo");
    post(&ann.api_key, json!({"name": "    "}))
        .await
        .refused(400, "BadRequest");
    assert_eq!(
        post(&ann.api_key, json!({"info": "ab"})).await.invalid(),
        ["info", "name"]
    );
}

#[tokio::test]
async fn who_may_change_teams() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.trusted("ann", 0).await, server.trusted("ben", 0).await);
    let id = make(&server, &ann.api_key, "Rust").await;
    let path = format!("{PATH}/{id}");
    server
        .patch(&path, &ben.api_key, &json!({"info": "mine"}))
        .await
        .refused(403, "NotOwner");
    server
        .patch(&path, &ben.api_key, &json!({"name": "Mine"}))
        .await
        .refused(403, "NotModerator");
    server
        .delete_as(&path, &ben.api_key)
        .await
        .refused(403, "NotModerator");
    server.delete(&path).await.refused(401, "InvalidAPIKey");
    let headers = [("content-type", "application/json")];
    let keyless = server.send(reqwest::Method::PATCH, &path, &headers, "{}").await;
    keyless.refused(401, "InvalidAPIKey");
    for id in ["x", "00000000-0000-0000-0000-000000000000"] {
        let path = format!("{PATH}/{id}");
        server.get(&path).await.refused(404, "TeamNotFound");
        server
            .patch(&path, "nobody's", &json!({}))
            .await
            .refused(404, "TeamNotFound");
        server
            .delete_as(&path, "nobody's")
            .await
            .refused(404, "TeamNotFound");
    }
    let moderator = server.moderator("mod").await;
    server
        .patch(&path, &moderator.api_key, &json!({"name": "Theirs"}))
        .await
        .ok(200);
    server.delete_as(&path, &moderator.api_key).await.ok(200);
    // A worker in no team pops all the same.
    server.pop(&ann.api_key, &worker("Rig")).await.ok(200);
}
