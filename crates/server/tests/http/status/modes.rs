//! `status/modes`: how the horde behaves.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, Setup, TestServer, changed, number, plain_request, worker};

const PATH: &str = "/api/v2/status/modes";

/// A horde with an administrator who is no moderator.
async fn with_admin() -> (TestServer, String) {
    let server = TestServer::start().await;
    let admin = server.user("admin", 0).await;
    let mut setup = Setup::default();
    setup.engine.administrators = Some(vec![admin.alias.clone()]);
    (server.restart(setup).await, admin.api_key)
}

#[tokio::test]
async fn only_moderators_see_the_raid() {
    let server = TestServer::start().await;
    let moderator = server.moderator("mod").await;
    assert_json_snapshot!(server.get(PATH).await.ok(200), @r#"
    {
      "invite_only_mode": false,
      "maintenance_mode": false
    }
    "#);
    assert_json_snapshot!(server.get_as(PATH, &moderator.api_key).await.ok(200), @r#"
    {
      "invite_only_mode": false,
      "maintenance_mode": false,
      "raid_mode": false
    }
    "#);
    server
        .get_as(PATH, "nobody's")
        .await
        .refused(401, "InvalidAPIKey");
    server.get_as(PATH, ANONYMOUS).await.refused(403, "NotModerator");
}

#[tokio::test]
async fn modes_are_switched_by_those_who_may() {
    let (server, admin) = with_admin().await;
    let moderator = server.moderator("mod").await;
    let put = async |key: &str, body: Value| server.put(PATH, key, &body).await;
    let set = put(
        &moderator.api_key,
        json!({"raid_mode": true, "invite_only_mode": "false"}),
    )
    .await;
    assert_json_snapshot!(set.ok(200), @r#"
    {
      "invite_only_mode": true,
      "raid_mode": true
    }
    "#);
    assert_eq!(
        put(&admin, json!({"maintenance_mode": true})).await.ok(200),
        json!({"maintenance_mode": true})
    );
    let all = json!({"maintenance_mode": true, "invite_only_mode": true, "raid_mode": true});
    assert_eq!(server.get_as(PATH, &moderator.api_key).await.ok(200), all);

    // All or nothing.
    put(&admin, json!({"maintenance_mode": false, "raid_mode": false}))
        .await
        .refused(403, "NotModerator");
    put(
        &moderator.api_key,
        json!({"maintenance_mode": false, "raid_mode": false}),
    )
    .await
    .refused(403, "NotAdmin");
    put(ANONYMOUS, json!({"invite_only_mode": false}))
        .await
        .refused(403, "NotModerator");
    assert_eq!(server.get_as(PATH, &moderator.api_key).await.ok(200), all);
    for nothing in [json!({}), json!([]), json!({"raid_mode": null})] {
        put(&moderator.api_key, nothing)
            .await
            .refused(400, "NoHordeModSelected");
    }
    put("nobody's", json!({})).await.refused(401, "InvalidAPIKey");
    let headers = [("content-type", "application/json")];
    let keyless = server.send(reqwest::Method::PUT, PATH, &headers, "{}").await;
    assert_eq!(keyless.invalid(), ["apikey"]);

    // They are remembered.
    let server = server.restart(Setup::default()).await;
    assert_eq!(server.get_as(PATH, &moderator.api_key).await.ok(200), all);
}

#[tokio::test]
async fn maintenance_stops_what_waits_and_ends_when_it_is_switched_off() {
    let (server, admin) = with_admin().await;
    let client = server.user("client", 1000).await;
    let owner = server.trusted("owner", 0).await;
    let three = changed(plain_request(), json!({"params": {"n": 3}}));
    let id = server.request(&client.api_key, &three).await;
    let switch = async |on: bool| {
        server
            .put(PATH, &admin, &json!({"maintenance_mode": on}))
            .await
            .ok(200)
    };
    switch(true).await;
    let check = server.get(&format!("/api/v2/generate/check/{id}")).await.ok(200);
    assert_eq!((&check["waiting"], &check["done"]), (&json!(0), &json!(true)));
    let popped = server.pop(&owner.api_key, &worker("Rig")).await.ok(200);
    assert_eq!(popped["id"], Value::Null);
    for path in ["generate/async", "generate/text/async"] {
        let refused = server
            .post(&format!("/api/v2/{path}"), &client.api_key, &three)
            .await;
        refused.refused(400, "MaintenanceMode");
    }
    switch(false).await;
    server.request(&client.api_key, &three).await;
}

#[tokio::test]
async fn new_workers_need_an_invitation() {
    let server = TestServer::start().await;
    let (moderator, owner) = (server.moderator("mod").await, server.user("owner", 0).await);
    server.worker(&owner.api_key, "Old").await;
    let invite_only = json!({"invite_only_mode": true});
    server.put(PATH, &moderator.api_key, &invite_only).await.ok(200);
    server.pop(&owner.api_key, &worker("Old")).await.ok(200);
    let refused = server.pop(&owner.api_key, &worker("New")).await;
    refused.refused(403, "WorkerInviteOnly");
    let path = format!("/api/v2/users/{}", number(&owner));
    let invite = json!({"worker_invited": 2});
    server.put(&path, &moderator.api_key, &invite).await.ok(200);
    server.pop(&owner.api_key, &worker("New")).await.ok(200);
}
