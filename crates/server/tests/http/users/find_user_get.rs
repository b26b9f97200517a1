//! `GET /find_user`.

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, Answer, TestServer, plain_request};

const PATH: &str = "/api/v2/find_user";

async fn masked(server: &TestServer, key: &str, mask: &str) -> Answer {
    server
        .send(Method::GET, PATH, &[("apikey", key), ("x-fields", mask)], "")
        .await
}

#[tokio::test]
async fn a_key_is_needed() {
    let server = TestServer::start().await;
    server.get(PATH).await.refused(401, "InvalidAPIKey");
    server.get_as(PATH, "").await.refused(401, "InvalidAPIKey");
}

#[tokio::test]
async fn an_unknown_key_is_not_repeated() {
    let server = TestServer::start().await;
    let message = server
        .get_as(PATH, "a-secret-key")
        .await
        .refused(404, "UserNotFound");
    assert!(!message.contains("a-secret-key"), "{message}");
}

#[tokio::test]
async fn the_anonymous_account() {
    let server = TestServer::start().await;
    assert_json_snapshot!(server.get_as(PATH, ANONYMOUS).await.ok(200), @r#"
    {
      "account_age": 0,
      "concurrency": 500,
      "contributions": {
        "fulfillments": null,
        "megapixelsteps": null
      },
      "customizer": false,
      "deleted": false,
      "education": false,
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
      "sharedkey_ids": [],
      "special": false,
      "styles": [],
      "trusted": false,
      "usage": {
        "megapixelsteps": null,
        "requests": null
      },
      "username": "Anonymous#0",
      "vpn": false,
      "worker_count": 0,
      "worker_ids": [],
      "worker_invited": 0
    }
    "#);
}

#[tokio::test]
async fn requests_without_an_account_are_not_listed() {
    let server = TestServer::start().await;
    server.request(ANONYMOUS, &plain_request()).await;
    let anonymous = server.get_as(PATH, ANONYMOUS).await.ok(200);
    assert_eq!(anonymous["active_generations"], json!({"image": []}));
}

#[tokio::test]
async fn an_account_with_a_worker_and_a_request() {
    let server = TestServer::start().await;
    let alice = server.user("alice", 1000).await;
    let worker = server
        .pop(&alice.api_key, &crate::support::worker("keeper"))
        .await
        .ok(200);
    assert_eq!(worker["id"], Value::Null);
    server.request(&alice.api_key, &plain_request()).await;
    server.advance(86_400 / 96).await;
    assert_json_snapshot!(server.get_as(PATH, &alice.api_key).await.ok(200), @r#"
    {
      "account_age": 900,
      "active_generations": {
        "image": [
          "50894749-b1a7-4b68-8d47-36251d512925"
        ]
      },
      "concurrency": 30,
      "contributions": {
        "fulfillments": null,
        "megapixelsteps": null
      },
      "customizer": false,
      "deleted": false,
      "education": false,
      "flagged": false,
      "id": 1,
      "kudos": 997.0,
      "kudos_details": {
        "accumulated": -3.0,
        "admin": 1000.0,
        "awarded": 0.0,
        "donated": 0.0,
        "gifted": 0.0,
        "received": 0.0,
        "recurring": 0.0,
        "styled": 0.0
      },
      "moderator": false,
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
          "image": 1,
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
      "sharedkey_ids": [],
      "special": false,
      "styles": [],
      "trusted": false,
      "usage": {
        "megapixelsteps": null,
        "requests": null
      },
      "username": "alice#1",
      "vpn": false,
      "worker_count": 1,
      "worker_ids": [
        "8188f93d-a1cf-4420-a0dd-a47f5804a2db"
      ],
      "worker_invited": 0
    }
    "#);
}

#[tokio::test]
async fn a_delivery_shows_on_both_sides() {
    let server = TestServer::start().await;
    let alice = server.user("alice", 1000).await;
    let bob = server.user("bob", 1000).await;
    server.request(&alice.api_key, &plain_request()).await;
    let job = server.popped(&bob.api_key, "keeper").await;
    server
        .deliver(&bob.api_key, job["id"].as_str().unwrap())
        .await
        .ok(200);
    let mask = "kudos,kudos_details{accumulated,admin},records{usage,contribution,fulfillment{image},request{image}}";
    assert_json_snapshot!(masked(&server, &alice.api_key, mask).await.ok(200), @r#"
    {
      "kudos": 990.0,
      "kudos_details": {
        "accumulated": -9.0,
        "admin": 1000.0
      },
      "records": {
        "contribution": {
          "megapixelsteps": 0.0,
          "tokens": 0
        },
        "fulfillment": {
          "image": 0
        },
        "request": {
          "image": 2
        },
        "usage": {
          "megapixelsteps": 5.24,
          "tokens": 0
        }
      }
    }
    "#);
    assert_json_snapshot!(masked(&server, &bob.api_key, mask).await.ok(200), @r#"
    {
      "kudos": 1002.0,
      "kudos_details": {
        "accumulated": 2.0,
        "admin": 1000.0
      },
      "records": {
        "contribution": {
          "megapixelsteps": 5.24,
          "tokens": 0
        },
        "fulfillment": {
          "image": 1
        },
        "request": {
          "image": 0
        },
        "usage": {
          "megapixelsteps": 0.0,
          "tokens": 0
        }
      }
    }
    "#);
}

#[tokio::test]
async fn roles_are_shown() {
    let server = TestServer::start().await;
    let trusted = server.trusted("carol", 10).await;
    let body = masked(
        &server,
        &trusted.api_key,
        "username,trusted,moderator,pseudonymous,kudos",
    )
    .await
    .ok(200);
    let username = &trusted.alias;
    assert_eq!(
        body,
        json!({"username": username, "trusted": true, "moderator": false, "pseudonymous": false, "kudos": 10.0})
    );
}

#[tokio::test]
async fn masks_choose_members() {
    let server = TestServer::start().await;
    let alice = server.user("alice", 1000).await;
    let (username, id) = (&alice.alias, alice.user_id.parse::<i64>().unwrap());
    let usage = json!({"megapixelsteps": 0.0, "tokens": 0});
    for (mask, expected) in [
        ("username", json!({"username": username})),
        ("{username}", json!({"username": username})),
        ("username,id", json!({"username": username, "id": id})),
        (
            " username , nothing ; id ",
            json!({"username": username, "id": id}),
        ),
        (
            "kudos_details{gifted,donated}",
            json!({"kudos_details": {"gifted": 0.0, "donated": 0.0}}),
        ),
        (
            "{id,records{usage{tokens}}}",
            json!({"id": id, "records": {"usage": {"tokens": 0}}}),
        ),
        ("records{usage}", json!({"records": {"usage": usage}})),
        ("records{nothing}", json!({"records": {}})),
        ("contact", json!({})),
        ("nothing,else", json!({})),
    ] {
        assert_eq!(
            masked(&server, &alice.api_key, mask).await.ok(200),
            expected,
            "{mask}"
        );
    }
    let whole = server.get_as(PATH, &alice.api_key).await.ok(200);
    for mask in ["*", "", "{*}"] {
        assert_eq!(
            masked(&server, &alice.api_key, mask).await.ok(200),
            whole,
            "{mask}"
        );
    }
}

#[tokio::test]
async fn masks_that_cannot_be_read_are_refused() {
    let server = TestServer::start().await;
    for (mask, kind) in [
        ("username{", "Mask parse error: "),
        ("{username", "Mask parse error: "),
        ("records{usage", "Mask parse error: "),
        ("username}", "Mask parse error: "),
        ("username,,id", "Mask parse error: "),
        (",username", "Mask parse error: "),
        ("records,{usage}", "Mask parse error: "),
        ("username{id}", "Mask error: "),
    ] {
        let message = masked(&server, ANONYMOUS, mask).await.plain(400);
        assert!(message.starts_with(kind), "{mask}: {message}");
    }
}

#[tokio::test]
async fn errors_are_not_masked() {
    let server = TestServer::start().await;
    masked(&server, "unknown", "username")
        .await
        .refused(404, "UserNotFound");
}
