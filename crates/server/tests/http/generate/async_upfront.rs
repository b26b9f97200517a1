//! `POST generate/async`: requests that must be paid upfront.

use muster_protocol::{Kudos, TestUser};
use serde_json::{Value, json};

use super::async_post::{PATH, kudos, submit};
use crate::support::{ANONYMOUS, Answer, Setup, TestServer, changed, number, plain_request, worker};

/// Dear enough that it must be paid for: more pixels than are free.
fn large() -> Value {
    json!({"params": {"width": 2048, "height": 1024}})
}

/// What is promised of an account's kudos.
async fn held(server: &TestServer, user: &TestUser) -> Kudos {
    server.engine.store().balances(number(user)).await.unwrap().held
}

async fn assert_clean(server: &TestServer) {
    let audit = server.engine.store().audit().await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}

fn id(accepted: &Answer) -> String {
    accepted.ok(202)["id"].as_str().unwrap().to_owned()
}

/// What a request with these changes would cost.
async fn quote(server: &TestServer, key: &str, changes: Value) -> i64 {
    let body = changed(changed(plain_request(), changes), json!({"dry_run": true}));
    server.post(PATH, key, &body).await.ok(200)["kudos"]
        .as_f64()
        .unwrap() as i64
}

#[tokio::test]
async fn whoever_cannot_pay_is_told_what_is_free() {
    let server = TestServer::start().await;
    let poor = server.user("poor", 40).await.api_key;
    let message = submit(&server, &poor, large()).await.refused(403, "KudosUpfront");
    insta::assert_snapshot!(message, @"This request must be paid for upfront, which takes 45 kudos that are not promised otherwise. Free of that are, at the moment, pictures of up to 1024x1024 pixels with up to 40 steps (or what their models need; 20 with a control type, 10 with LCM), by workers of any speed. Ask for less, set allow_downgrade, or earn kudos by running a worker.");
    assert_eq!(kudos(&server, &poor).await, 40.0, "a refusal costs nothing");
    // The floor of 25 cannot be promised.
    let price = quote(&server, &poor, large()).await;
    let nearly = server.user("nearly", price + 20).await.api_key;
    submit(&server, &nearly, large())
        .await
        .refused(403, "KudosUpfront");
    let enough = server.user("enough", price + 26).await.api_key;
    submit(&server, &enough, large()).await.ok(202);
    // The anonymous account may owe 50.
    let two = changed(large(), json!({"params": {"n": 2}}));
    submit(&server, ANONYMOUS, two).await.refused(403, "KudosUpfront");
    submit(&server, ANONYMOUS, large()).await.ok(202);
}

#[tokio::test]
async fn each_rule_asks_for_payment() {
    let server = TestServer::with(Setup {
        engine: muster_engine::EngineConfig {
            upfront_for_named_workers: true,
            ..Setup::default().engine
        },
        ..Setup::default()
    })
    .await;
    let poor = server.user("poor", 25).await.api_key;
    let owner = server.trusted("owner", 0).await.api_key;
    server.pop(&owner, &worker("Keeper")).await.ok(200);
    let profile = server.get_as("/api/v2/find_user", &owner).await.ok(200);
    let keeper = &profile["worker_ids"][0];
    for dear in [
        json!({"slow_workers": false}),
        json!({"params": {"sampler_name": "lcm", "steps": 11}}),
        json!({"params": {"steps": 11, "loras": [{"name": "246747", "is_version": true}]}}),
        json!({"params": {"steps": 41}}),
        json!({"params": {"steps": 21, "sampler_name": "k_heun"}}),
        json!({"workers": [keeper]}),
    ] {
        submit(&server, &poor, dear.clone())
            .await
            .refused(403, "KudosUpfront");
    }
    for free in [
        json!({}),
        json!({"params": {"width": 1024, "height": 1024}}),
        json!({"params": {"sampler_name": "lcm", "steps": 10}}),
        json!({"params": {"steps": 40}}),
        json!({"params": {"steps": 20, "sampler_name": "k_heun"}}),
    ] {
        submit(&server, &poor, free.clone()).await.ok(202);
    }
}

#[tokio::test]
async fn a_long_queue_makes_less_free() {
    let server = TestServer::start().await;
    let poor = server.user("poor", 25).await.api_key;
    let medium = json!({"params": {"width": 1024, "height": 896}});
    submit(&server, &poor, medium.clone()).await.ok(202);
    for _ in 0..5 {
        submit(&server, ANONYMOUS, json!({"params": {"n": 20}}))
            .await
            .ok(202);
    }
    // 1024 - 0.9 · 101 pixels a side.
    submit(&server, &poor, medium).await.refused(403, "KudosUpfront");
    submit(&server, &poor, json!({"params": {"width": 896, "height": 960}}))
        .await
        .ok(202);
    // Families that need more have 1024 all the same.
    let xl = json!({"models": ["SDXL 1.0"], "params": {"width": 1024, "height": 1024}});
    submit(&server, &poor, xl).await.ok(202);
}

#[tokio::test]
async fn less_is_made_for_those_who_agree() {
    let server = TestServer::start().await;
    let poor = server.user("poor", 40).await.api_key;
    let owner = server.trusted("owner", 0).await.api_key;
    let wish = json!({
        "allow_downgrade": true,
        "slow_workers": false,
        "params": {"width": 2048, "height": 1024, "steps": 60},
    });
    let quoted = quote(&server, &poor, wish.clone()).await;
    assert!(
        quoted
            < quote(
                &server,
                &poor,
                changed(wish.clone(), json!({"allow_downgrade": false}))
            )
            .await
    );
    submit(&server, &poor, wish).await.ok(202);
    let popped = server.popped(&owner, "Keeper").await;
    let payload = &popped["payload"];
    assert_eq!(
        (&payload["width"], &payload["height"], &payload["ddim_steps"]),
        (&json!(1408), &json!(704), &json!(30))
    );
    let balance = server
        .engine
        .store()
        .balances(number(&server.user("poor", 40).await))
        .await
        .unwrap();
    assert_eq!(balance.held, Kudos::ZERO);
}

#[tokio::test]
async fn a_promise_is_kept_until_the_request_is_done() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let owner = server.trusted("owner", 0).await.api_key;
    let two = changed(large(), json!({"params": {"n": 2}}));
    let required = quote(&server, &client.api_key, two.clone()).await;
    id(&submit(&server, &client.api_key, two).await);
    assert_eq!(
        kudos(&server, &client.api_key).await,
        997.0,
        "only the tax is paid"
    );
    assert_eq!(held(&server, &client).await.rounded(), required - 3);

    for left in [1, 0] {
        let before = held(&server, &client).await;
        let popped = server.popped(&owner, "Keeper").await;
        server
            .deliver(&owner, popped["id"].as_str().unwrap())
            .await
            .ok(200);
        let now = held(&server, &client).await;
        assert!(now < before);
        assert_eq!(now == Kudos::ZERO, left == 0, "{now:?}");
    }
    assert_clean(&server).await;
}

#[tokio::test]
async fn what_is_promised_is_not_promised_again() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let price = quote(&server, &client.api_key, large()).await;
    let client = server.user("client", 2 * price + 40).await;
    let first = id(&submit(&server, &client.api_key, large()).await);
    let second = id(&submit(&server, &client.api_key, large()).await);
    submit(&server, &client.api_key, large())
        .await
        .refused(403, "KudosUpfront");
    let less = changed(large(), json!({"allow_downgrade": true}));
    submit(&server, &client.api_key, less).await.ok(202);

    // A cancelled request gives its promise back, an expired one too.
    server
        .delete(&format!("/api/v2/generate/status/{first}"))
        .await
        .ok(200);
    let third = id(&submit(&server, &client.api_key, large()).await);
    assert!(held(&server, &client).await > Kudos::ZERO);
    server.advance(20 * 60).await;
    assert_eq!(
        held(&server, &client).await,
        Kudos::ZERO,
        "{second} and {third} are gone"
    );
    assert_clean(&server).await;
}

#[tokio::test]
async fn a_promise_survives_a_restart() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let request = id(&submit(&server, &client.api_key, large()).await);
    let promised = held(&server, &client).await;
    let server = server.restart(Setup::default()).await;
    assert_eq!(held(&server, &client).await, promised);
    server
        .delete(&format!("/api/v2/generate/status/{request}"))
        .await
        .ok(200);
    assert_eq!(held(&server, &client).await, Kudos::ZERO);
    assert_clean(&server).await;
}
