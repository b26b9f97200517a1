//! `PUT /users/{id}`.

use insta::assert_json_snapshot;
use muster_protocol::TestUser;
use muster_store::Role;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, Answer, Setup, TestServer, assert_clean};

/// A server whose administrator and moderator is the account 1; the account 2 is anybody's.
struct Horde {
    server: TestServer,
    admin: TestUser,
    ann: TestUser,
}

impl Horde {
    async fn new() -> Self {
        let mut setup = Setup::default();
        setup.engine.administrators = Some(vec!["admin#1".to_owned()]);
        let server = TestServer::with(setup).await;
        let admin = server.moderator("admin").await;
        let ann = server.user("ann", 1000).await;
        Self { server, admin, ann }
    }

    /// A change of the account 2 by the administrator.
    async fn change(&self, body: Value) -> Answer {
        self.server
            .put("/api/v2/users/2", &self.admin.api_key, &body)
            .await
    }

    async fn seen(&self) -> Value {
        self.server
            .get_as("/api/v2/users/2", &self.admin.api_key)
            .await
            .ok(200)
    }
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // mostly the account as it is shown
async fn everything_at_once() {
    let horde = Horde::new().await;
    let body = json!({
        "kudos": 50.9, "monthly_kudos": 100, "usage_multiplier": 2.5, "moderator": false, "concurrency": 50,
        "worker_invited": 3, "trusted": true, "flagged": true, "customizer": true, "vpn": true, "service": true,
        "education": true, "special": true, "reset_suspicion": true, "admin_comment": "a & comment",
        "public_workers": true, "username": "Ann <3", "contact": "ann@example.org", "filtered": true,
    });
    assert_json_snapshot!(horde.change(body).await.ok(200), @r#"
    {
      "admin_comment": "a &amp; comment",
      "concurrency": 50,
      "contact": "ann@example.org",
      "customizer": true,
      "education": true,
      "flagged": true,
      "moderator": false,
      "monthly_kudos": 100,
      "new_kudos": 1050.0,
      "new_suspicion": 0,
      "public_workers": true,
      "service": true,
      "special": true,
      "trusted": true,
      "usage_multiplier": 2.5,
      "username": "Ann &lt;3",
      "vpn": true,
      "worker_invited": 3
    }
    "#);
    assert_json_snapshot!(horde.seen().await, @r#"
    {
      "account_age": 0,
      "admin_comment": "a &amp; comment",
      "concurrency": 50,
      "contact": "ann@example.org",
      "contributions": {
        "fulfillments": null,
        "megapixelsteps": null
      },
      "customizer": true,
      "deleted": false,
      "education": true,
      "evaluating_kudos": 0.0,
      "flagged": true,
      "id": 2,
      "kudos": 1150.0,
      "kudos_details": {
        "accumulated": 0.0,
        "admin": 1050.0,
        "awarded": 0.0,
        "donated": 0.0,
        "gifted": 0.0,
        "received": 0.0,
        "recurring": 100.0,
        "styled": 0.0
      },
      "moderator": false,
      "monthly_kudos": {
        "amount": 100,
        "last_received": "Tue, 02 Jan 2024 03:04:05 -0000"
      },
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
      "service": true,
      "sharedkey_ids": [],
      "special": true,
      "styles": [],
      "suspicious": 0,
      "trusted": true,
      "usage": {
        "megapixelsteps": null,
        "requests": null
      },
      "username": "Ann &lt;3#2",
      "vpn": true,
      "worker_count": 0,
      "worker_ids": [],
      "worker_invited": 3
    }
    "#);
    assert_clean(&horde.server).await;
}

#[tokio::test]
async fn kudos_are_given_and_taken_down_to_the_floor() {
    let horde = Horde::new().await;
    assert_eq!(
        horde.change(json!({"kudos": 10.9})).await.ok(200),
        json!({"new_kudos": 1010.0})
    );
    assert_eq!(
        horde.change(json!({"kudos": -10.9})).await.ok(200),
        json!({"new_kudos": 1000.0})
    );
    assert_eq!(
        horde.change(json!({"kudos": -5000})).await.ok(200),
        json!({"new_kudos": 25.0})
    );
    assert_eq!(horde.seen().await["kudos_details"]["admin"], -4000.0 + 0.0);
    horde
        .change(json!({"kudos": 1e300}))
        .await
        .refused(400, "BadRequest");
    assert_clean(&horde.server).await;
}

#[tokio::test]
async fn monthly_kudos_are_a_change_that_is_paid_at_once() {
    let horde = Horde::new().await;
    assert_eq!(
        horde.change(json!({"monthly_kudos": 500})).await.ok(200),
        json!({"monthly_kudos": 500})
    );
    let seen = horde.seen().await;
    assert_eq!(
        (&seen["kudos"], &seen["kudos_details"]["recurring"]),
        (&json!(1500.0), &json!(500.0))
    );
    let received = "Tue, 02 Jan 2024 03:04:05 -0000";
    assert_eq!(
        seen["monthly_kudos"],
        json!({"amount": 500, "last_received": received})
    );
    horde.server.advance(3600).await;
    assert_eq!(
        horde.change(json!({"monthly_kudos": -900})).await.ok(200),
        json!({"monthly_kudos": 0})
    );
    let seen = horde.seen().await;
    assert_eq!(seen["kudos"], 1500.0, "nothing is taken back");
    assert_eq!(
        seen["monthly_kudos"]["last_received"], received,
        "the month stays"
    );
}

#[tokio::test]
async fn schools_may_queue_more() {
    let horde = Horde::new().await;
    let school = json!({"education": true, "concurrency": 200});
    assert_eq!(horde.change(json!({"education": true})).await.ok(200), school);
    assert_eq!(
        horde.change(json!({"education": true})).await.ok(200),
        json!({"education": true})
    );
    let none = json!({"education": false, "concurrency": 30});
    assert_eq!(horde.change(json!({"education": false})).await.ok(200), none);
    let both = json!({"education": true, "concurrency": 70});
    assert_eq!(
        horde.change(both.clone()).await.ok(200),
        both,
        "what is given counts"
    );
}

#[tokio::test]
async fn a_moderator_is_trusted_and_stays_so() {
    let horde = Horde::new().await;
    assert_eq!(
        horde.change(json!({"moderator": true})).await.ok(200),
        json!({"moderator": true})
    );
    let seen = horde.seen().await;
    assert_eq!(
        (&seen["moderator"], &seen["trusted"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(seen["monthly_kudos"], json!({"amount": 300_000}));
    horde.change(json!({"moderator": false})).await.ok(200);
    let seen = horde.seen().await;
    assert_eq!(
        (&seen["moderator"], &seen["trusted"]),
        (&json!(false), &json!(true))
    );
}

#[tokio::test]
async fn what_is_not_acceptable() {
    let horde = Horde::new().await;
    horde
        .change(json!({"username": "fuckface"}))
        .await
        .refused(400, "ProfaneUserName");
    horde
        .change(json!({"username": "a".repeat(31)}))
        .await
        .refused(400, "TooLongUserName");
    horde
        .change(json!({"username": "   "}))
        .await
        .refused(400, "BadRequest");
    horde
        .change(json!({"contact": "fuck off"}))
        .await
        .refused(400, "ProfaneUserContact");
    horde
        .change(json!({"admin_comment": "fuck off"}))
        .await
        .refused(400, "ProfaneAdminComment");
    horde
        .change(json!({"undelete": true}))
        .await
        .refused(400, "UserNotDeleted");
    horde
        .change(json!({"generate_proxy_passkey": true}))
        .await
        .refused(403, "NonServiceForbidden");
    for nothing in [
        json!({}),
        json!({"filtered": true}),
        json!({"undelete": false, "reset_suspicion": false}),
    ] {
        horde.change(nothing).await.refused(400, "NoUserModSelected");
    }
    let wrong = json!({"concurrency": 501, "usage_multiplier": 0.01, "trusted": null, "username": "ab", "kudos": "1"});
    assert_eq!(
        horde.change(wrong).await.invalid(),
        ["concurrency", "kudos", "trusted", "usage_multiplier", "username"]
    );
    assert_eq!(horde.seen().await["username"], "ann#2");
}

#[tokio::test]
async fn an_error_leaves_what_was_done_before_it() {
    let horde = Horde::new().await;
    let body = json!({"concurrency": 77, "username": "fuckface"});
    horde.change(body).await.refused(400, "ProfaneUserName");
    assert_eq!(horde.seen().await["concurrency"], 77);
}

#[tokio::test]
async fn who_may_change_what() {
    let horde = Horde::new().await;
    let moderator = horde.server.moderator("mod").await;
    let own = async |body: Value| {
        horde
            .server
            .put("/api/v2/users/2", &horde.ann.api_key, &body)
            .await
    };
    let by_moderator = async |body: Value| {
        horde
            .server
            .put("/api/v2/users/2", &moderator.api_key, &body)
            .await
    };
    for body in [
        json!({"kudos": 1}),
        json!({"monthly_kudos": 1}),
        json!({"usage_multiplier": 1}),
        json!({"moderator": true}),
    ] {
        own(body.clone()).await.refused(403, "NotAdmin");
        by_moderator(body).await.refused(403, "NotAdmin");
    }
    for name in [
        "trusted",
        "flagged",
        "customizer",
        "vpn",
        "service",
        "education",
        "special",
        "reset_suspicion",
    ] {
        own(json!({name: true})).await.refused(403, "NotModerator");
        by_moderator(json!({name: true})).await.ok(200);
    }
    for body in [
        json!({"concurrency": 1}),
        json!({"worker_invited": 1}),
        json!({"admin_comment": "hello"}),
    ] {
        own(body.clone()).await.refused(403, "NotModerator");
        by_moderator(body).await.ok(200);
    }
    let other = horde.server.user("other", 0).await;
    for body in [
        json!({"public_workers": true}),
        json!({"username": "Annie"}),
        json!({"contact": "hello there"}),
        json!({"undelete": true}),
        json!({"generate_proxy_passkey": true}),
    ] {
        horde
            .server
            .put("/api/v2/users/2", &other.api_key, &body)
            .await
            .refused(403, "NotModerator");
    }
    own(json!({"public_workers": true, "username": "Annie", "contact": "hello there"}))
        .await
        .ok(200);
    // An administrator need not be a moderator.
    let mut setup = Setup::default();
    setup.engine.administrators = Some(vec!["other#4".to_owned()]);
    let server = horde.server.restart(setup).await;
    server
        .put("/api/v2/users/2", &other.api_key, &json!({"kudos": 1}))
        .await
        .ok(200);
    let body = json!({"trusted": true});
    server
        .put("/api/v2/users/2", &other.api_key, &body)
        .await
        .refused(403, "NotModerator");
}

#[tokio::test]
async fn the_account_of_the_first_start_is_the_administrator_unless_others_are_named() {
    let mut setup = Setup::default();
    setup.engine.administrators = None;
    let server = TestServer::with(setup).await;
    let (first, second) = (server.user("first", 0).await, server.user("second", 0).await);
    let body = json!({"kudos": 1});
    server.put("/api/v2/users/2", &first.api_key, &body).await.ok(200);
    server
        .put("/api/v2/users/1", &second.api_key, &body)
        .await
        .refused(403, "NotAdmin");
}

#[tokio::test]
async fn the_anonymous_account_cannot_be_changed() {
    let horde = Horde::new().await;
    for body in [
        json!({"public_workers": false}),
        json!({"username": "Annie"}),
        json!({"contact": "hello there"}),
    ] {
        horde
            .server
            .put("/api/v2/users/0", ANONYMOUS, &body)
            .await
            .refused(403, "AnonForbiddenUserMod");
    }
    let by_admin = async |body: Value| {
        horde
            .server
            .put("/api/v2/users/0", &horde.admin.api_key, &body)
            .await
            .ok(200)
    };
    assert_eq!(
        by_admin(json!({"trusted": true})).await,
        json!({"trusted": false})
    );
    assert_eq!(
        by_admin(json!({"moderator": true})).await,
        json!({"moderator": false})
    );
    assert_eq!(
        by_admin(json!({"public_workers": false})).await,
        json!({"public_workers": true})
    );
}

#[tokio::test]
async fn errors_come_in_the_documented_order() {
    let horde = Horde::new().await;
    let put = async |id: &str, key: &str| {
        horde
            .server
            .put(&format!("/api/v2/users/{id}"), key, &json!({}))
            .await
    };
    for id in ["9", "x", "2147483648", "-1"] {
        put(id, "nobody's").await.refused(404, "UserNotFound");
    }
    put("2", "nobody's").await.refused(401, "InvalidAPIKey");
    put("2", "").await.refused(401, "InvalidAPIKey");
    let headers = [("content-type", "application/json")];
    let keyless = horde
        .server
        .send(reqwest::Method::PUT, "/api/v2/users/2", &headers, "{}")
        .await;
    assert_eq!(keyless.invalid(), ["apikey"]);
    let bodiless = horde
        .server
        .send(reqwest::Method::PUT, "/api/v2/users/9", &headers, "")
        .await;
    bodiless.plain(400);
}

#[tokio::test]
async fn a_service_speaks_for_others_with_its_passkey() {
    let mut setup = Setup {
        rate_limits: true,
        ..Setup::default()
    };
    setup.engine.administrators = Some(Vec::new());
    let server = TestServer::with(setup).await;
    let service = server.user_with("service", Role::Service).await;
    let server = server
        .restart(Setup {
            rate_limits: true,
            ..Setup::default()
        })
        .await;
    let made = server
        .put(
            "/api/v2/users/1",
            &service.api_key,
            &json!({"generate_proxy_passkey": true}),
        )
        .await
        .ok(200);
    let passkey = made["proxy_passkey"].as_str().unwrap().to_owned();
    assert_eq!(passkey.len(), 22);
    let asked = async |server: &TestServer, passkey: &str| {
        let headers = [("proxy-authorization", passkey), ("proxied-for", "192.0.2.7")];
        let answer = server
            .send(reqwest::Method::GET, "/api/v2/users/0", &headers, "")
            .await;
        answer.header("x-ratelimit-remaining").to_owned()
    };
    assert_eq!(asked(&server, "wrong").await, "59");
    assert_eq!(
        asked(&server, &passkey).await,
        "59",
        "another address has a count of its own"
    );
    assert_eq!(asked(&server, "wrong").await, "58");
    let server = server
        .restart(Setup {
            rate_limits: true,
            ..Setup::default()
        })
        .await;
    assert_eq!(asked(&server, "wrong").await, "59");
    assert_eq!(
        asked(&server, &passkey).await,
        "59",
        "it is known after a restart"
    );
    let moderator = server.moderator("mod").await;
    server
        .put("/api/v2/users/1", &moderator.api_key, &json!({"flagged": true}))
        .await
        .ok(200);
    assert_eq!(
        asked(&server, &passkey).await,
        "58",
        "flagged accounts speak for nobody"
    );
}
