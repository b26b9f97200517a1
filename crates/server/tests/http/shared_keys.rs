//! `sharedkeys`, and requests that are made with them.

use insta::assert_json_snapshot;
use muster_store::Role;
use serde_json::{Value, json};

use crate::support::{ANONYMOUS, Answer, TestServer, assert_clean, changed, plain_request, worker};

const PATH: &str = "/api/v2/sharedkeys";
const ASYNC: &str = "/api/v2/generate/async";

async fn make(server: &TestServer, key: &str, body: Value) -> String {
    let made = server.put(PATH, key, &body).await.ok(200);
    made["id"].as_str().unwrap().to_owned()
}

async fn seen(server: &TestServer, shared: &str) -> Value {
    server.get(&format!("{PATH}/{shared}")).await.ok(200)
}

async fn budget(server: &TestServer, shared: &str) -> (i64, i64) {
    let seen = seen(server, shared).await;
    (
        seen["kudos"].as_i64().unwrap(),
        seen["utilized"].as_i64().unwrap(),
    )
}

#[tokio::test]
async fn keys_are_made_and_changed() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 0).await;
    let bare = server.put(PATH, &ann.api_key, &json!({})).await.ok(200);
    assert_json_snapshot!(bare, @r#"
    {
      "id": "8188f93d-a1cf-4420-a0dd-a47f5804a2db",
      "kudos": 5000,
      "max_image_pixels": -1,
      "max_image_steps": -1,
      "max_text_tokens": -1,
      "username": "ann#1",
      "utilized": 0
    }
    "#);
    server.clock.advance(std::time::Duration::from_millis(1));
    let body = json!({"kudos": 100, "expiry": 30, "name": "Mutual & Aid", "max_image_pixels": 262_144,
        "max_image_steps": 30, "max_text_tokens": 4000});
    let full = server.put(PATH, &ann.api_key, &body).await.ok(200);
    assert_json_snapshot!(full, @r#"
    {
      "expiry": "Thu, 01 Feb 2024 03:04:05 -0000",
      "id": "50894749-b1a7-4b68-8d47-36251d512925",
      "kudos": 100,
      "max_image_pixels": 262144,
      "max_image_steps": 30,
      "max_text_tokens": 4000,
      "name": "Mutual & Aid",
      "username": "ann#1",
      "utilized": 0
    }
    "#);
    let path = format!("{PATH}/{}", full["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.ok(200), full);
    let own = server.get_as("/api/v2/find_user", &ann.api_key).await.ok(200);
    assert_eq!(own["sharedkey_ids"], json!([bare["id"], full["id"]]));

    let modify = async |body: Value| server.patch(&path, &ann.api_key, &body).await;
    let unlimited = modify(json!({"kudos": -1, "expiry": -1, "name": "x"}))
        .await
        .ok(200);
    let expected = changed(full, json!({"kudos": -1, "name": "x"}));
    let mut expected = expected;
    expected.as_object_mut().unwrap().remove("expiry");
    assert_eq!(unlimited, expected);
    // Null is the same as absent, and the rest is read leniently.
    let lenient = modify(json!({"kudos": "7", "max_image_steps": 7.9, "name": null, "expiry": null}))
        .await
        .ok(200);
    assert_eq!(
        (&lenient["kudos"], &lenient["max_image_steps"], &lenient["name"]),
        (&json!(7), &json!(7), &json!("x"))
    );
    modify(json!({"name": null}))
        .await
        .refused(400, "NoSharedKeyModSelected");
    modify(json!([])).await.refused(400, "NoSharedKeyModSelected");
    assert_eq!(
        modify(json!({"expiry": 0})).await.ok(200)["expiry"],
        "Tue, 02 Jan 2024 03:04:05 -0000"
    );

    assert_eq!(
        server.delete_as(&path, &ann.api_key).await.ok(200),
        json!({"message": "OK"})
    );
    server.get(&path).await.refused(401, "InvalidAPIKey");
    let own = server.get_as("/api/v2/find_user", &ann.api_key).await.ok(200);
    assert_eq!(own["sharedkey_ids"], json!([bare["id"]]));
}

#[tokio::test]
async fn what_is_not_acceptable() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 0).await;
    let put = async |body: Value| server.put(PATH, &ann.api_key, &body).await;
    for (name, value) in [
        ("kudos", json!(-2)),
        ("kudos", json!(1e300)),
        ("expiry", json!(-2)),
        ("max_image_pixels", json!(-2)),
        ("max_image_steps", json!("many")),
        ("max_text_tokens", json!([])),
        ("name", json!("a".repeat(256))),
        ("name", json!({})),
    ] {
        assert_eq!(put(json!({name: value})).await.invalid(), [name]);
    }
    put(json!({"name": "a\u{0}"}))
        .await
        .refused(400, "NulByteInPayload");
    put(json!({"name": "a".repeat(255), "expiry": 1_000_000_000}))
        .await
        .ok(200);
}

#[tokio::test]
async fn how_many_keys_who_may_have() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.user("ann", 0).await, server.trusted("ben", 0).await);
    for (user, limit) in [(&ann, 3), (&ben, 10)] {
        for _ in 0..limit {
            server.put(PATH, &user.api_key, &json!({})).await.ok(200);
        }
        server
            .put(PATH, &user.api_key, &json!({}))
            .await
            .refused(403, "Forbidden");
    }
    let moderator = server.moderator("mod").await;
    server
        .put("/api/v2/users/2", &moderator.api_key, &json!({"education": true}))
        .await
        .ok(200);
    server.put(PATH, &ben.api_key, &json!({})).await.ok(200);
    server
        .put(PATH, ANONYMOUS, &json!({}))
        .await
        .refused(403, "AnonForbidden");
    server
        .put(PATH, "nobody's", &json!({}))
        .await
        .refused(401, "InvalidAPIKey");
    let keyless = server.send(reqwest::Method::PUT, PATH, &[], "").await;
    assert_eq!(keyless.invalid(), ["apikey"]);
}

#[tokio::test]
async fn only_the_owner_changes_a_key() {
    let server = TestServer::start().await;
    let (ann, moderator) = (server.user("ann", 0).await, server.moderator("mod").await);
    let id = make(&server, &ann.api_key, json!({})).await;
    let path = format!("{PATH}/{id}");
    let body = json!({"kudos": 1});
    server
        .patch(&path, &moderator.api_key, &body)
        .await
        .refused(403, "Forbidden");
    server
        .patch(&path, "nobody's", &body)
        .await
        .refused(401, "InvalidAPIKey");
    server
        .delete_as(&path, &moderator.api_key)
        .await
        .refused(403, "Forbidden");
    server.delete_as(&path, &id).await.refused(401, "InvalidAPIKey");
    for id in ["x", "00000000-0000-0000-0000-000000000000"] {
        let path = format!("{PATH}/{id}");
        server.get(&path).await.refused(401, "InvalidAPIKey");
        server
            .patch(&path, &ann.api_key, &body)
            .await
            .refused(401, "InvalidAPIKey");
        server
            .delete_as(&path, &ann.api_key)
            .await
            .refused(401, "InvalidAPIKey");
    }
}

#[tokio::test]
async fn the_owner_is_found_behind_a_key() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let nameless = make(&server, &ann.api_key, json!({})).await;
    let named = make(&server, &ann.api_key, json!({"name": "gift", "kudos": 0})).await;
    let public = server.get("/api/v2/users/1").await.ok(200);
    for (key, username) in [
        (nameless, "ann#1 (Shared Key)"),
        (named, "ann#1 (Shared Key: gift)"),
    ] {
        let found = server.get_as("/api/v2/find_user", &key).await.ok(200);
        assert_eq!(found, changed(public.clone(), json!({"username": username})));
    }
}

#[tokio::test]
async fn a_request_is_charged_to_the_owner_and_counts_against_the_key() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.user("ann", 1000).await, server.trusted("ben", 0).await);
    let key = make(&server, &ann.api_key, json!({"kudos": 100})).await;
    let request = server.request(&key, &plain_request()).await;
    assert_eq!(budget(&server, &key).await, (97, 3));
    let own = server.get_as("/api/v2/find_user", &ann.api_key).await.ok(200);
    assert_eq!(
        (&own["kudos"], &own["active_generations"]["image"]),
        (&json!(997.0), &json!([request]))
    );
    let popped = server.popped(&ben.api_key, "Rig").await;
    server
        .deliver(&ben.api_key, popped["id"].as_str().unwrap())
        .await
        .ok(200);
    let status = server
        .get(&format!("/api/v2/generate/status/{request}"))
        .await
        .ok(200);
    let consumed = status["kudos"].as_f64().unwrap();
    let (left, utilized) = budget(&server, &key).await;
    assert!(
        (utilized as f64 - consumed).abs() <= 0.5 && left == 100 - utilized,
        "{left} {utilized} {consumed}"
    );
    assert_clean(&server).await;
}

#[tokio::test]
async fn the_last_job_may_overshoot_and_then_the_key_is_empty() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.user("ann", 1000).await, server.trusted("ben", 0).await);
    let key = make(&server, &ann.api_key, json!({"kudos": 25})).await;
    let path = format!("{PATH}/{key}");
    server.request(&key, &plain_request()).await;
    server
        .patch(&path, &ann.api_key, &json!({"kudos": 1}))
        .await
        .ok(200);
    let popped = server.popped(&ben.api_key, "Rig").await;
    server
        .deliver(&ben.api_key, popped["id"].as_str().unwrap())
        .await
        .ok(200);
    let (left, used) = budget(&server, &key).await;
    assert!(left == 0 && used > 4, "{used}");
    server
        .post(ASYNC, &key, &plain_request())
        .await
        .refused(403, "SharedKeyEmpty");
    // Nothing is noted any more.
    let lenient = changed(plain_request(), json!({"allow_downgrade": true}));
    let id = server.request(&key, &lenient).await;
    assert_eq!(budget(&server, &key).await, (0, used));
    let anonymous = server.get_as("/api/v2/find_user", ANONYMOUS).await.ok(200);
    assert_eq!(
        (&anonymous["kudos"], &anonymous["records"]["request"]["image"]),
        (&json!(-3.0), &json!(1)),
        "{id}"
    );
}

#[tokio::test]
async fn keys_that_cannot_pay() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let small = make(&server, &ann.api_key, json!({"kudos": 5})).await;
    let expired = make(&server, &ann.api_key, json!({"expiry": 1})).await;
    let message = server
        .post(ASYNC, &small, &plain_request())
        .await
        .refused(403, "SharedKeyInsufficientKudos");
    assert!(message.contains(" 5 kudos"), "{message}");
    let lenient = changed(plain_request(), json!({"allow_downgrade": true}));
    let text = json!({"prompt": "Once", "models": [], "params": {"n": 1}});
    server
        .post("/api/v2/generate/text/async", &small, &text)
        .await
        .refused(403, "SharedKeyInsufficientKudos");
    // It waits behind everybody else.
    let last = server.request(&small, &lenient).await;
    let first = server.request(ANONYMOUS, &plain_request()).await;
    let position = async |id: &str| {
        let check = server.get(&format!("/api/v2/generate/check/{id}")).await.ok(200);
        check["queue_position"].as_u64().unwrap()
    };
    assert_eq!((position(&first).await, position(&last).await), (1, 2));
    server.advance(86_400).await;
    server
        .post(ASYNC, &expired, &lenient)
        .await
        .refused(403, "SharedKeyExpired");
    let found = server.get_as("/api/v2/find_user", &expired).await.ok(200);
    assert_eq!(found["id"], 1);
}

#[tokio::test]
async fn limits_of_single_jobs() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 1000).await;
    let limits =
        json!({"kudos": -1, "max_image_pixels": 512 * 512, "max_image_steps": 20, "max_text_tokens": 80});
    let key = make(&server, &ann.api_key, limits).await;
    let image = async |params: Value| {
        server
            .post(ASYNC, &key, &changed(plain_request(), json!({"params": params})))
            .await
    };
    image(json!({})).await.ok(202);
    let message = image(json!({"width": 576})).await.refused(400, "BadRequest");
    assert!(
        message.contains("262144") && message.contains("294912"),
        "{message}"
    );
    image(json!({"steps": 21})).await.refused(400, "BadRequest");
    let text = async |length: u32| {
        let body = json!({"prompt": "Once", "params": {"max_length": length}});
        server.post("/api/v2/generate/text/async", &key, &body).await
    };
    text(80).await.ok(202);
    text(81).await.refused(400, "BadRequest");
    let nothing = make(&server, &ann.api_key, json!({"max_image_pixels": 0})).await;
    server
        .post(ASYNC, &nothing, &plain_request())
        .await
        .refused(400, "BadRequest");
    assert_eq!(
        budget(&server, &key).await,
        (-1, 4),
        "what was refused costs nothing"
    );
}

#[tokio::test]
async fn keys_are_for_pictures_and_texts_only() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 1000).await;
    let key = make(&server, &ann.api_key, json!({})).await;
    let refused = |answer: Answer| answer.refused(401, "InvalidAPIKey");
    refused(server.pop(&key, &worker("Rig")).await);
    refused(server.post("/api/v2/teams", &key, &json!({"name": "Rust"})).await);
    refused(server.put(PATH, &key, &json!({})).await);
    refused(
        server
            .put("/api/v2/users/1", &key, &json!({"contact": "hello"}))
            .await,
    );
    let forms = json!({"forms": [{"name": "caption"}], "source_image": crate::support::picture()});
    refused(server.post("/api/v2/interrogate/async", &key, &forms).await);
    let style = json!({"name": "x", "models": ["stable_diffusion"]});
    refused(server.post("/api/v2/styles/image", &key, &style).await);
}

#[tokio::test]
async fn the_owners_rights_count() {
    let server = TestServer::start().await;
    let school = server.user_with("school", Role::Education).await;
    let server = server.restart(crate::support::Setup::default()).await;
    let key = make(&server, &school.api_key, json!({"kudos": -1})).await;
    let request = changed(plain_request(), json!({"nsfw": true, "trusted_workers": false}));
    server.request(&key, &request).await;
    let ben = server.user("ben", 0).await;
    let popped = server.pop(&ben.api_key, &worker("Rig")).await.ok(200);
    assert_eq!(popped["skipped"]["untrusted"], 1);
    server.delete_as("/api/v2/users/1", &school.api_key).await.ok(200);
    server
        .post(ASYNC, &key, &request)
        .await
        .refused(403, "DeletedUser");
}

#[tokio::test]
async fn a_deleted_key_takes_its_requests_along() {
    let server = TestServer::start().await;
    let (ann, ben) = (server.user("ann", 10_000).await, server.trusted("ben", 0).await);
    let key = make(&server, &ann.api_key, json!({"kudos": -1})).await;
    // One that is in progress, and one that is paid upfront and waits.
    let running = server.request(&key, &plain_request()).await;
    let popped = server.popped(&ben.api_key, "Rig").await;
    let upfront = changed(
        plain_request(),
        json!({"params": {"width": 2048, "height": 2048}, "slow_workers": false}),
    );
    let waiting = server.request(&key, &upfront).await;
    let own = server.request(&ann.api_key, &plain_request()).await;
    server
        .delete_as(&format!("{PATH}/{key}"), &ann.api_key)
        .await
        .ok(200);
    for id in [&running, &waiting] {
        let path = format!("/api/v2/generate/status/{id}");
        server.get(&path).await.refused(404, "RequestNotFound");
    }
    server.get(&format!("/api/v2/generate/check/{own}")).await.ok(200);
    server
        .deliver(&ben.api_key, popped["id"].as_str().unwrap())
        .await
        .refused(404, "InvalidJobID");
    server
        .post(ASYNC, &key, &plain_request())
        .await
        .refused(401, "InvalidAPIKey");
    let held = server
        .engine
        .store()
        .balances(muster_protocol::UserId(1))
        .await
        .unwrap()
        .held;
    assert_eq!(held, muster_protocol::Kudos::ZERO, "promises are released");
    assert_clean(&server).await;
}
