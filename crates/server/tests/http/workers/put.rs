//! `PUT /workers/{id}`.

use serde_json::{Value, json};

use crate::support::{ANONYMOUS, TestServer, plain_request, worker};

struct Shop {
    server: TestServer,
    moderator: String,
    ann: String,
    path: String,
}

impl Shop {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let (moderator, ann) = (server.moderator("mod").await, server.user("ann", 1000).await);
        let id = server.worker(&ann.api_key, "Old name").await;
        Self {
            server,
            moderator: moderator.api_key,
            ann: ann.api_key,
            path: format!("/api/v2/workers/{id}"),
        }
    }

    async fn by_owner(&self, body: Value) -> crate::support::Answer {
        self.server.put(&self.path, &self.ann, &body).await
    }

    async fn seen(&self) -> Value {
        self.server.get_as(&self.path, &self.moderator).await.ok(200)
    }
}

#[tokio::test]
async fn everything_at_once() {
    let shop = Shop::new().await;
    let team = shop
        .server
        .post("/api/v2/teams", &shop.moderator, &json!({"name": "Rust"}))
        .await
        .ok(200);
    let body = json!({"maintenance": true, "maintenance_msg": "back <soon>", "info": "my & rig", "paused": true,
        "name": "New name", "team": team["id"]});
    let changed = shop.server.put(&shop.path, &shop.moderator, &body).await.ok(200);
    assert_eq!(
        changed,
        json!({"maintenance": true, "info": "my &amp; rig", "paused": true, "name": "New name", "team": "Rust"})
    );
    let seen = shop.seen().await;
    assert_eq!(
        (&seen["name"], &seen["info"]),
        (&json!("New name"), &json!("my &amp; rig"))
    );
    assert_eq!(
        (&seen["maintenance_mode"], &seen["paused"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(seen["team"], json!({"name": "Rust", "id": team["id"]}));
    // It goes by the new name, and the old one is free.
    let told = shop
        .server
        .pop(&shop.ann, &worker("New name"))
        .await
        .refused(403, "WorkerMaintenance");
    assert!(
        told.to_lowercase().contains("maintenance mode") && told.contains("back &lt;soon&gt;"),
        "{told}"
    );
    shop.server.worker(&shop.ann, "Old name").await;
    // It survives a restart.
    let server = shop.server.restart(crate::support::Setup::default()).await;
    assert_eq!(
        server.get_as(&shop.path, &shop.moderator).await.ok(200)["name"],
        "New name"
    );
}

#[tokio::test]
async fn maintenance_begins_and_ends() {
    let shop = Shop::new().await;
    shop.by_owner(json!({"maintenance": true})).await.ok(200);
    let told = shop
        .server
        .pop(&shop.ann, &worker("Old name"))
        .await
        .refused(403, "WorkerMaintenance");
    assert!(told.contains("maintenance mode"), "{told}");
    let long = json!({"maintenance": true, "maintenance_msg": "a".repeat(400)});
    shop.by_owner(long).await.ok(200);
    let told = shop
        .server
        .pop(&shop.ann, &worker("Old name"))
        .await
        .refused(403, "WorkerMaintenance");
    assert_eq!(
        told.matches('a').count(),
        300 + "maintenance".matches('a').count()
    );
    // What panels send.
    let panel = json!({"maintenance": false, "name": "Old name"});
    assert_eq!(shop.by_owner(panel.clone()).await.ok(200), panel);
    shop.server.pop(&shop.ann, &worker("Old name")).await.ok(200);
}

#[tokio::test]
async fn a_paused_worker_gets_decoys() {
    let shop = Shop::new().await;
    shop.server
        .put(&shop.path, &shop.moderator, &json!({"paused": true}))
        .await
        .ok(200);
    let ben = shop.server.user("ben", 1000).await;
    let id = shop.server.request(&ben.api_key, &plain_request()).await;
    shop.server.popped(&shop.ann, "Old name").await;
    let check = shop
        .server
        .get(&format!("/api/v2/generate/check/{id}"))
        .await
        .ok(200);
    assert_eq!((&check["waiting"], &check["processing"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn info_and_team_can_be_taken_back() {
    let shop = Shop::new().await;
    let team = shop
        .server
        .post("/api/v2/teams", &shop.moderator, &json!({"name": "Rust"}))
        .await
        .ok(200);
    shop.by_owner(json!({"info": "about", "team": team["id"]}))
        .await
        .ok(200);
    assert_eq!(
        shop.by_owner(json!({"info": "", "team": ""})).await.ok(200),
        json!({"info": "", "team": "None"})
    );
    let seen = shop.seen().await;
    assert_eq!(
        (&seen["info"], &seen["team"]),
        (&Value::Null, &json!({"name": null, "id": null}))
    );
}

#[tokio::test]
async fn what_is_not_acceptable() {
    let shop = Shop::new().await;
    shop.server.worker(&shop.ann, "Taken").await;
    shop.by_owner(json!({"info": "fuck off"}))
        .await
        .refused(400, "ProfaneWorkerInfo");
    shop.by_owner(json!({"name": "fuck off"}))
        .await
        .refused(400, "ProfaneWorkerName");
    shop.by_owner(json!({"name": "Taken"}))
        .await
        .refused(400, "WorkerNameAlreadyExists");
    shop.by_owner(json!({"name": "     "}))
        .await
        .refused(400, "BadRequest");
    shop.by_owner(json!({"name": "&".repeat(60)}))
        .await
        .refused(400, "TooLongWorkerName");
    for team in ["x", "00000000-0000-0000-0000-000000000000"] {
        shop.by_owner(json!({"team": team}))
            .await
            .refused(404, "TeamNotFound");
    }
    for nothing in [json!({}), json!({"maintenance_msg": "hello"})] {
        shop.by_owner(nothing).await.refused(400, "NoWorkerModSelected");
    }
    let wrong =
        json!({"name": "abcd", "info": "a".repeat(1001), "team": "a".repeat(37), "maintenance": "yes"});
    assert_eq!(
        shop.by_owner(wrong).await.invalid(),
        ["info", "maintenance", "name", "team"]
    );
    // What came before an error stays.
    shop.by_owner(json!({"info": "kept", "name": "Taken"}))
        .await
        .refused(400, "WorkerNameAlreadyExists");
    assert_eq!(shop.seen().await["info"], "kept");
}

#[tokio::test]
async fn who_may_change_what() {
    let shop = Shop::new().await;
    let ben = shop.server.user("ben", 0).await;
    let put = async |key: &str, body: Value| shop.server.put(&shop.path, key, &body).await;
    put(&ben.api_key, json!({"maintenance": true}))
        .await
        .refused(403, "NotOwner");
    put(&ben.api_key, json!({"info": "mine"}))
        .await
        .refused(403, "NotOwner");
    put(&ben.api_key, json!({"name": "Mine now"}))
        .await
        .refused(403, "NotModerator");
    put(&ben.api_key, json!({"team": ""}))
        .await
        .refused(403, "NotModerator");
    put(&ben.api_key, json!({"paused": true}))
        .await
        .refused(403, "NotModerator");
    put(&shop.ann, json!({"paused": true}))
        .await
        .refused(403, "NotModerator");
    put(ANONYMOUS, json!({"maintenance": true}))
        .await
        .refused(403, "NotOwner");
    shop.server
        .put("/api/v2/workers/x", "nobody's", &json!({}))
        .await
        .refused(404, "WorkerNotFound");
    put("nobody's", json!({})).await.refused(401, "InvalidAPIKey");
    let headers = [("content-type", "application/json")];
    let keyless = shop
        .server
        .send(reqwest::Method::PUT, &shop.path, &headers, "{}")
        .await;
    assert_eq!(keyless.invalid(), ["apikey"]);
}
