//! `GET /users/{id}`.

use insta::assert_json_snapshot;
use muster_store::{AccountChanges, Role, Roles, Suspicion};
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, START, TestServer, number, plain_request};

/// A server with a moderator (1) and an account (2) with everything that an account can have.
async fn furnished() -> (TestServer, String, String) {
    let server = TestServer::start().await;
    let moderator = server.moderator("mod").await;
    let ann = server.user("ann", 1000).await;
    let changes = AccountChanges {
        contact: Some(Some("ann@example.org".to_owned())),
        admin_comment: Some(Some("a comment".to_owned())),
        suspect: Some(Suspicion::UnreasonablyFast),
        grant: Roles::of(&[Role::Vpn, Role::Customizer, Role::Service]),
        ..AccountChanges::default()
    };
    let journal = server.engine.store().journal();
    journal.set_account(number(&ann), changes, START).await.unwrap();
    let server = server.restart(crate::support::Setup::default()).await;
    server.worker(&ann.api_key, "Rig").await;
    server.request(&ann.api_key, &plain_request()).await;
    for public in [true, false] {
        let style =
            json!({"name": format!("public {public}"), "models": ["stable_diffusion"], "public": public});
        server
            .post("/api/v2/styles/image", &ann.api_key, &style)
            .await
            .ok(200);
    }
    server
        .put(
            "/api/v2/sharedkeys",
            &ann.api_key,
            &json!({"name": "for a friend"}),
        )
        .await
        .ok(200);
    server
        .put(
            "/api/v2/users/2",
            &ann.api_key,
            &json!({"generate_proxy_passkey": true}),
        )
        .await
        .ok(200);
    (server, moderator.api_key, ann.api_key)
}

#[tokio::test]
async fn everybody_sees_the_public_part() {
    let (server, _, _) = furnished().await;
    let public = server.get("/api/v2/users/2").await.ok(200);
    assert_json_snapshot!(public, @r#"
    {
      "account_age": 0,
      "concurrency": 30,
      "contributions": {
        "fulfillments": null,
        "megapixelsteps": null
      },
      "customizer": true,
      "deleted": false,
      "education": false,
      "flagged": false,
      "id": 2,
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
      "service": true,
      "styles": [
        {
          "id": "7c68e056-3935-4d19-8985-cfaa9f6cfcad",
          "name": "ann#2::style::public true",
          "type": "image"
        }
      ],
      "trusted": false,
      "usage": {
        "megapixelsteps": null,
        "requests": null
      },
      "username": "ann#2",
      "worker_count": 1,
      "worker_invited": 0
    }
    "#);
    let other = server.user("other", 0).await;
    for key in [ANONYMOUS, "", other.api_key.as_str()] {
        assert_eq!(
            server.get_as("/api/v2/users/2", key).await.ok(200),
            public,
            "{key}"
        );
    }
}

#[tokio::test]
async fn owners_see_more() {
    let (server, _, ann) = furnished().await;
    let own = server.get_as("/api/v2/users/2", &ann).await.ok(200);
    assert_json_snapshot!(own, @r#"
    {
      "account_age": 0,
      "active_generations": {
        "image": [
          "c4cc65a0-148b-4888-ab53-3052ff16fe34"
        ]
      },
      "concurrency": 30,
      "contact": "ann@example.org",
      "contributions": {
        "fulfillments": null,
        "megapixelsteps": null
      },
      "customizer": true,
      "deleted": false,
      "education": false,
      "flagged": false,
      "id": 2,
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
      "service": true,
      "sharedkey_ids": [
        "86c53ad5-dbe1-4e88-bbdd-d3a8cc1c3e62"
      ],
      "special": false,
      "styles": [
        {
          "id": "7c68e056-3935-4d19-8985-cfaa9f6cfcad",
          "name": "ann#2::style::public true",
          "type": "image"
        },
        {
          "id": "b8f2482e-57b9-4634-9467-e72ee4daaefe",
          "name": "ann#2::style::public false",
          "type": "image"
        }
      ],
      "trusted": false,
      "usage": {
        "megapixelsteps": null,
        "requests": null
      },
      "username": "ann#2",
      "vpn": true,
      "worker_count": 1,
      "worker_ids": [
        "bf78043c-41c5-429f-bd65-76a91ac80e7e"
      ],
      "worker_invited": 0
    }
    "#);
    assert_eq!(server.get_as("/api/v2/find_user", &ann).await.ok(200), own);
}

#[tokio::test]
async fn moderators_see_everything() {
    let (server, moderator, _) = furnished().await;
    assert_json_snapshot!(server.get_as("/api/v2/users/2", &moderator).await.ok(200), @r#"
    {
      "account_age": 0,
      "active_generations": {
        "image": [
          "c4cc65a0-148b-4888-ab53-3052ff16fe34"
        ]
      },
      "admin_comment": "a comment",
      "concurrency": 30,
      "contact": "ann@example.org",
      "contributions": {
        "fulfillments": null,
        "megapixelsteps": null
      },
      "customizer": true,
      "deleted": false,
      "education": false,
      "evaluating_kudos": 0.0,
      "flagged": false,
      "id": 2,
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
      "monthly_kudos": {
        "amount": 0
      },
      "proxy_passkey": "v3c0oLte2gnslgntVteMlQ",
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
      "service": true,
      "sharedkey_ids": [
        "86c53ad5-dbe1-4e88-bbdd-d3a8cc1c3e62"
      ],
      "special": false,
      "styles": [
        {
          "id": "7c68e056-3935-4d19-8985-cfaa9f6cfcad",
          "name": "ann#2::style::public true",
          "type": "image"
        },
        {
          "id": "b8f2482e-57b9-4634-9467-e72ee4daaefe",
          "name": "ann#2::style::public false",
          "type": "image"
        }
      ],
      "suspicious": 1,
      "trusted": false,
      "usage": {
        "megapixelsteps": null,
        "requests": null
      },
      "username": "ann#2",
      "vpn": true,
      "worker_count": 1,
      "worker_ids": [
        "bf78043c-41c5-429f-bd65-76a91ac80e7e"
      ],
      "worker_invited": 0
    }
    "#);
}

#[tokio::test]
async fn workers_are_told_if_the_owner_wants_it() {
    let (server, _, ann) = furnished().await;
    assert_eq!(
        server.get("/api/v2/users/2").await.ok(200)["worker_ids"],
        Value::Null
    );
    server
        .put("/api/v2/users/2", &ann, &json!({"public_workers": true}))
        .await
        .ok(200);
    let id = server.worker_id("Rig").await;
    assert_eq!(
        server.get("/api/v2/users/2").await.ok(200)["worker_ids"],
        json!([id])
    );
}

#[tokio::test]
async fn numbers_that_nobody_has() {
    let server = TestServer::start().await;
    for id in ["7", "2147483648", "99999999999999999999"] {
        server
            .get(&format!("/api/v2/users/{id}"))
            .await
            .refused(404, "UserNotFound");
    }
    let message = server
        .get("/api/v2/users/ann%231")
        .await
        .refused(404, "UserNotFound");
    assert!(message.contains("number"), "{message}");
    // What the path names is looked at before the key, and the key before the account.
    server
        .get_as("/api/v2/users/x", "nobody's")
        .await
        .refused(404, "UserNotFound");
    server
        .get_as("/api/v2/users/7", "nobody's")
        .await
        .refused(401, "InvalidAPIKey");
}

#[tokio::test]
async fn masks_apply() {
    let server = TestServer::start().await;
    let headers = [("x-fields", "username,records{style}")];
    let masked = server
        .send(reqwest::Method::GET, "/api/v2/users/0", &headers, "")
        .await
        .ok(200);
    let style = json!({"image": 0, "text": 0, "interrogation": 0});
    assert_eq!(
        masked,
        json!({"username": "Anonymous#0", "records": {"style": style}})
    );
}
