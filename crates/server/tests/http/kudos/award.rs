//! `POST kudos/award`.

use insta::assert_json_snapshot;
use muster_engine::EngineConfig;
use muster_protocol::{TestUser, UserId};
use muster_store::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::details;
use crate::support::{ANONYMOUS, Answer, Setup, TestServer, assert_clean};

const AWARD: &str = "/api/v2/kudos/award";

async fn award(server: &TestServer, by: &TestUser, to: &str, amount: i64) -> Answer {
    server
        .post(AWARD, &by.api_key, &json!({"username": to, "amount": amount}))
        .await
}

#[tokio::test]
async fn kudos_are_awarded_and_taken_back() {
    let server = TestServer::start().await;
    let first = server.user("first", 0).await;
    let ann = server.user("ann", 100).await;
    assert_json_snapshot!(award(&server, &first, "ann#2", 250).await.ok(200), @r#"
    {
      "awarded": 250.0
    }
    "#);
    award(&server, &first, "2", -40).await.ok(200);
    let bare = server
        .post(AWARD, &first.api_key, &json!({"username": "2"}))
        .await
        .ok(200);
    assert_eq!(bare, json!({"awarded": 100.0}));
    let (kudos, totals) = details(&server, &ann).await;
    assert_eq!((kudos, &totals["awarded"]), (json!(410.0), &json!(310.0)));
    // What is taken beyond what every account keeps is forgiven.
    award(&server, &first, "2", -1000).await.ok(200);
    let (kudos, _) = details(&server, &ann).await;
    assert_eq!(kudos, json!(25.0));
    assert_clean(&server).await;
}

#[tokio::test]
async fn who_may_not_award_what_to_whom() {
    let server = TestServer::start().await;
    let first = server.user("first", 0).await;
    let ann = server.user("ann", 100).await;
    let moderator = server.moderator("mod").await;
    let deleted = server.user_with("deleted", Role::Deleted).await;
    let flagged = server.user_with("flagged", Role::Flagged).await;
    // So that the server knows what has become of it.
    details(&server, &flagged).await;
    let body = json!({"username": "2", "amount": 1});
    server
        .post(AWARD, "unknown", &body)
        .await
        .refused(401, "InvalidAPIKey");
    server
        .post(AWARD, ANONYMOUS, &body)
        .await
        .refused(403, "NotAllowedAwards");
    award(&server, &deleted, "2", 1).await.refused(403, "DeletedUser");
    award(&server, &ann, "2", 1)
        .await
        .refused(403, "NotAllowedAwards");
    award(&server, &moderator, "2", 1)
        .await
        .refused(403, "NotAllowedAwards");
    award(&server, &first, "nobody", 1)
        .await
        .refused(400, "InvalidAwardUsername");
    award(&server, &first, "99", 1)
        .await
        .refused(400, "InvalidAwardUsername");
    award(&server, &first, "0", 1)
        .await
        .refused(400, "KudosAwardToAnon");
    award(&server, &first, &flagged.user_id, 1)
        .await
        .refused(400, "TargetAccountFlagged");
    assert_eq!(award(&server, &first, "2", i64::MIN).await.invalid(), ["amount"]);
    let post = async |body: Value| server.post(AWARD, &first.api_key, &body).await;
    assert_eq!(post(json!({})).await.invalid(), ["username"]);
    assert_eq!(
        post(json!({"username": "2", "amount": "x"})).await.invalid(),
        ["amount"]
    );
    assert_eq!(
        server.send(Method::POST, AWARD, &[], "{}").await.invalid(),
        ["apikey"]
    );
    let (kudos, _) = details(&server, &ann).await;
    assert_eq!(kudos, json!(100.0));
}

#[tokio::test]
async fn operators_choose_who_awards() {
    let setup = Setup {
        engine: EngineConfig {
            awarders: vec![UserId(2)],
            ..Setup::default().engine
        },
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    let first = server.user("first", 0).await;
    let ann = server.user("ann", 0).await;
    award(&server, &first, "2", 50)
        .await
        .refused(403, "NotAllowedAwards");
    award(&server, &ann, "1", 50).await.ok(200);
}
