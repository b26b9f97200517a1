//! `POST /dev/test-user`.

use insta::assert_json_snapshot;
use muster_engine::EngineConfig;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Setup, TestServer};

const PATH: &str = "/api/v2/dev/test-user";

async fn ask(server: &TestServer, body: impl Into<String>) -> Answer {
    server
        .send(
            Method::POST,
            PATH,
            &[("content-type", "application/json")],
            body.into(),
        )
        .await
}

async fn found(server: &TestServer, key: &Value) -> Answer {
    server.get_as("/api/v2/find_user", key.as_str().unwrap()).await
}

#[tokio::test]
async fn it_is_off_unless_the_operator_wants_it() {
    let engine = EngineConfig {
        test_accounts: false,
        ..Setup::default().engine
    };
    let server = TestServer::with(Setup {
        engine,
        ..Setup::default()
    })
    .await;
    ask(&server, "{}").await.plain(404);
    ask(&server, "[]").await.plain(404);
}

#[tokio::test]
async fn whoever_is_on_the_same_machine_may_call_it_whatever_the_headers_say() {
    let server = TestServer::with(Setup {
        trusted_hops: 1,
        ..Setup::default()
    })
    .await;
    let headers = [("x-forwarded-for", "203.0.113.9")];
    server.send(Method::POST, PATH, &headers, "{}").await.ok(201);
}

#[tokio::test]
async fn an_account_is_made_and_then_refreshed() {
    let server = TestServer::start().await;
    let body =
        json!({"username": "Tom & Jo", "oauth_id": "t1", "moderator": false, "trusted": false, "kudos": 50});
    let made = ask(&server, body.to_string()).await.ok(201);
    assert_json_snapshot!(made, @r#"
    {
      "alias": "Tom &amp; Jo#1",
      "api_key": "9pKJeIXAyyCj5M0QagsVvA",
      "created": true,
      "kudos": 50.0,
      "moderator": false,
      "trusted": false,
      "user_id": "1",
      "username": "Tom &amp; Jo"
    }
    "#);
    let account = found(&server, &made["api_key"]).await.ok(200);
    assert_eq!(
        (&account["username"], &account["kudos"]),
        (&made["alias"], &made["kudos"])
    );
    assert_eq!(
        (&account["trusted"], &account["pseudonymous"]),
        (&json!(false), &json!(false))
    );

    let body = json!({"username": "Tim", "oauth_id": "t1", "kudos": 70});
    let refreshed = ask(&server, body.to_string()).await.ok(200);
    assert_json_snapshot!(refreshed, @r#"
    {
      "alias": "Tim#1",
      "api_key": "gYj5PaHP9CCg3aR_WASi2w",
      "created": false,
      "kudos": 70.0,
      "moderator": true,
      "trusted": true,
      "user_id": "1",
      "username": "Tim"
    }
    "#);
    found(&server, &made["api_key"])
        .await
        .refused(404, "UserNotFound");
    let account = found(&server, &refreshed["api_key"]).await.ok(200);
    assert_eq!(
        (&account["trusted"], &account["moderator"]),
        (&json!(true), &json!(true))
    );
}

#[tokio::test]
async fn roles_are_set_and_cleared() {
    let server = TestServer::start().await;
    for (moderator, trusted) in [
        (true, false),
        (false, true),
        (false, false),
        (true, true),
        (false, false),
    ] {
        let body = json!({"moderator": moderator, "trusted": trusted});
        let account = ask(&server, body.to_string()).await.json();
        let shown = found(&server, &account["api_key"]).await.ok(200);
        for body in [&account, &shown] {
            assert_eq!(body["moderator"], moderator, "{body}");
            assert_eq!(body["trusted"], moderator || trusted, "{body}");
        }
    }
}

#[tokio::test]
async fn what_is_left_out_or_cannot_be_read_is_the_default() {
    let server = TestServer::start().await;
    let mut last = ask(&server, "").await.ok(201);
    assert_eq!(
        (&last["username"], &last["kudos"]),
        (&json!("test_user"), &json!(10_000.0))
    );
    assert_eq!(
        (&last["moderator"], &last["trusted"]),
        (&json!(true), &json!(true))
    );
    for body in [
        "{}",
        "not json",
        "{\"username\": ",
        r#"{"oauth_id": "ci_test_user", "other": [1]}"#,
    ] {
        let again = ask(&server, body).await.ok(200);
        assert_eq!(again["user_id"], last["user_id"], "{body}");
        assert_ne!(again["api_key"], last["api_key"], "{body}");
        last = again;
    }
}

#[tokio::test]
async fn the_balance_is_set_or_left_alone() {
    let server = TestServer::start().await;
    for (kudos, balance) in [
        (json!(123), 123.0),
        (Value::Null, 123.0),
        (json!(0), 0.0),
        (json!(9_000_000), 9e6),
    ] {
        let account = ask(&server, json!({"kudos": kudos}).to_string()).await.json();
        assert_eq!(account["kudos"], balance, "{kudos}");
        assert_eq!(
            found(&server, &account["api_key"]).await.ok(200)["kudos"],
            balance
        );
    }
}

#[tokio::test]
async fn bodies_of_another_shape_are_refused() {
    let server = TestServer::start().await;
    for body in [
        json!([]),
        json!("text"),
        json!(5),
        Value::Null,
        json!({"username": 5}),
        json!({"username": null}),
        json!({"oauth_id": true}),
        json!({"moderator": "yes"}),
        json!({"trusted": 1}),
        json!({"kudos": "10"}),
        json!({"kudos": 1.5}),
        json!({"kudos": -1}),
        json!({"username": ""}),
        json!({"username": " \n"}),
        json!({"username": "\u{0}"}),
        json!({"username": "fuckface"}),
        json!({"oauth_id": " \u{0} "}),
    ] {
        let message = ask(&server, body.to_string()).await.plain(400);
        assert!(!message.is_empty(), "{body}");
    }
    // None of them made an account.
    ask(&server, "{}").await.ok(201);
}
