//! `GET kudos/history`.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::transfer;
use crate::support::{ANONYMOUS, TestServer, plain_request};

const HISTORY: &str = "/api/v2/kudos/history";

#[tokio::test]
async fn every_movement_is_explained() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let _bob = server.user("bob", 0).await;
    transfer(&server, &ann.api_key, "2", 100).await.ok(200);
    server.request(&ann.api_key, &plain_request()).await;
    let seen = server.get_as(HISTORY, &ann.api_key).await.ok(200);
    assert_json_snapshot!(seen, @r#"
    {
      "entries": [
        {
          "amount": -3.0,
          "at": "2024-01-02T03:04:05.000Z",
          "balance": 897.0,
          "event": "activate:9fde3484-cf0e-465e-a8c4-c49b250b6055",
          "id": 7,
          "kind": "generation",
          "pot": "spendable",
          "request": "9fde3484-cf0e-465e-a8c4-c49b250b6055"
        },
        {
          "amount": -100.0,
          "at": "2024-01-02T03:04:05.000Z",
          "balance": 900.0,
          "counterparty": 2,
          "event": "transfer:1:8eb37e6d-7019-4780-8fdd-d76b1a73e1ce",
          "id": 5,
          "kind": "transfer",
          "pot": "spendable"
        },
        {
          "amount": 1000.0,
          "at": "2024-01-02T03:04:05.000Z",
          "balance": 1000.0,
          "event": "test-user:360794f1-7e73-4989-89b0-798873ec7441",
          "id": 1,
          "kind": "admin_adjustment",
          "pot": "spendable"
        }
      ]
    }
    "#);
    // The latest balance is what the account has.
    let owner = server.get_as("/api/v2/find_user", &ann.api_key).await.ok(200);
    assert_eq!(seen["entries"][0]["balance"], owner["kudos"]);
}

#[tokio::test]
async fn pages_follow_each_other() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let bob = server.user("bob", 100).await;
    for amount in 1..=5 {
        transfer(&server, &ann.api_key, "2", amount).await.ok(200);
    }
    let page = async |query: &str| {
        server
            .get_as(&format!("{HISTORY}{query}"), &bob.api_key)
            .await
            .ok(200)
    };
    let amounts = |page: &Value| -> Vec<f64> {
        let entries = page["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["amount"].as_f64().unwrap())
            .collect()
    };
    let first = page("?limit=2").await;
    assert_eq!(amounts(&first), [5.0, 4.0]);
    let second = page(&format!("?limit=2&before={}", first["next"])).await;
    assert_eq!(amounts(&second), [3.0, 2.0]);
    assert_eq!(second["entries"][0]["balance"], json!(106.0));
    let last = page(&format!("?limit=100&before={}", second["next"])).await;
    assert_eq!(amounts(&last), [1.0, 100.0]);
    assert_eq!(last.get("next"), None);
    assert_eq!(page("?before=1").await, json!({"entries": []}));
    // A page is never empty by mistake, nor endless.
    assert_eq!(amounts(&page("?limit=0").await).len(), 1);
    assert_eq!(amounts(&page("?limit=100000").await).len(), 6);
}

#[tokio::test]
async fn it_is_the_callers_own() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 100).await;
    let shared = server
        .put("/api/v2/sharedkeys", &ann.api_key, &json!({}))
        .await
        .ok(200);
    let shared = shared["id"].as_str().unwrap();
    assert_eq!(server.get(HISTORY).await.invalid(), ["apikey"]);
    server
        .get_as(HISTORY, "unknown")
        .await
        .refused(401, "InvalidAPIKey");
    server.get_as(HISTORY, shared).await.refused(401, "InvalidAPIKey");
    server
        .get_as(HISTORY, ANONYMOUS)
        .await
        .refused(403, "AnonForbidden");
    for query in ["before", "limit"] {
        let wrong = server.get_as(&format!("{HISTORY}?{query}=x"), &ann.api_key).await;
        assert_eq!(wrong.invalid(), [query]);
    }
}
