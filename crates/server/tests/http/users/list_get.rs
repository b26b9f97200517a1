//! `GET /users`.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::{Setup, TestServer};

async fn names(server: &TestServer, query: &str) -> Vec<String> {
    let listed = server.get(&format!("/api/v2/users{query}")).await.ok(200);
    let name = |user: &Value| user["username"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn what_may_not_be_seen_is_null() {
    let server = TestServer::start().await;
    assert_json_snapshot!(server.get("/api/v2/users").await.ok(200), @r#"
    [
      {
        "account_age": 0,
        "active_generations": {},
        "admin_comment": null,
        "concurrency": 500,
        "contact": null,
        "contributions": {
          "fulfillments": null,
          "megapixelsteps": null
        },
        "customizer": false,
        "deleted": false,
        "education": false,
        "evaluating_kudos": null,
        "flagged": false,
        "id": 0,
        "kudos": 0.0,
        "kudos_details": {
          "accumulated": 0.0,
          "admin": 0.0,
          "awarded": 0.0,
          "donated": 0.0,
          "gifted": 0.0,
          "received": 0.0,
          "recurring": 0.0,
          "styled": 0.0
        },
        "moderator": false,
        "monthly_kudos": {},
        "proxy_passkey": null,
        "pseudonymous": false,
        "records": {
          "contribution": {
            "megapixelsteps": 0.0,
            "tokens": 0
          },
          "fulfillment": {
            "image": 0,
            "interrogation": 0,
            "text": 0
          },
          "request": {
            "image": 0,
            "interrogation": 0,
            "text": 0
          },
          "style": {
            "image": 0,
            "interrogation": 0,
            "text": 0
          },
          "usage": {
            "megapixelsteps": 0.0,
            "tokens": 0
          }
        },
        "service": false,
        "sharedkey_ids": null,
        "special": null,
        "styles": [],
        "suspicious": null,
        "trusted": false,
        "usage": {
          "megapixelsteps": null,
          "requests": null
        },
        "username": "Anonymous#0",
        "vpn": null,
        "worker_count": 0,
        "worker_ids": [],
        "worker_invited": 0
      }
    ]
    "#);
}

#[tokio::test]
async fn the_richest_or_the_oldest_come_first() {
    let server = TestServer::start().await;
    server.user("ann", 10).await;
    server.user("ben", 30).await;
    server.user("cis", 20).await;
    assert_eq!(
        names(&server, "").await,
        ["ben#2", "cis#3", "ann#1", "Anonymous#0"]
    );
    assert_eq!(
        names(&server, "?sort=magic").await,
        ["ben#2", "cis#3", "ann#1", "Anonymous#0"]
    );
    assert_eq!(
        names(&server, "?sort=age").await,
        ["Anonymous#0", "ann#1", "ben#2", "cis#3"]
    );
}

#[tokio::test]
async fn pages_have_25_accounts() {
    let server = TestServer::start().await;
    for number in 1..=30 {
        server.user(&format!("user{number}"), 100).await;
    }
    let first = names(&server, "?sort=age").await;
    assert_eq!((first.len(), first[24].as_str()), (25, "user24#24"));
    assert_eq!(names(&server, "?sort=age&page=-3").await, first);
    let second = names(&server, "?sort=age&page=2").await;
    assert_eq!((second.len(), second[0].as_str()), (6, "user25#25"));
    for beyond in ["3", "10000", "10001", "9223372036854775807"] {
        assert!(
            names(&server, &format!("?page={beyond}")).await.is_empty(),
            "{beyond}"
        );
    }
    assert_eq!(server.get("/api/v2/users?page=x").await.invalid(), ["page"]);
}

#[tokio::test]
async fn deleted_accounts_are_listed_and_wiped_ones_are_not() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 10).await;
    server.delete_as("/api/v2/users/1", &ann.api_key).await.ok(200);
    assert_eq!(names(&server, "").await, ["ann#1", "Anonymous#0"]);
    server.advance(31 * 86_400).await;
    server.delete_as("/api/v2/users/1", &ann.api_key).await.ok(200);
    assert_eq!(names(&server, "").await, ["Anonymous#0"]);
}

#[tokio::test]
async fn the_limit_counts_by_address() {
    let setup = Setup {
        rate_limits: true,
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    let answer = server.get("/api/v2/users").await;
    assert_eq!(answer.header("x-ratelimit-limit"), "90");
    assert_eq!(
        server.get("/api/v2/users/0").await.header("x-ratelimit-limit"),
        "60"
    );
    assert_eq!(answer.ok(200)[0]["id"], json!(0));
}
