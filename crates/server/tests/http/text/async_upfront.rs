//! `POST generate/text/async`: requests that must be paid upfront.

use muster_engine::EngineConfig;
use serde_json::json;

use super::{accepted, deliver, pop, popped, submit};
use crate::support::{ANONYMOUS, Setup, TestServer, balances, number};

#[tokio::test]
async fn a_long_text_is_for_those_who_can_pay() {
    let server = TestServer::start().await;
    let poor = server.user("poor", 0).await.api_key;
    submit(&server, &poor, json!({"params": {"max_length": 512}}))
        .await
        .ok(202);
    let message = submit(&server, &poor, json!({"params": {"max_length": 513}}))
        .await
        .refused(403, "KudosUpfront");
    // 513 tokens of 7.25 billion parameters, by 21; the queue of one takes a token of what is free.
    assert!(
        message.contains("takes 177 kudos") && message.contains("up to 511 tokens"),
        "{message}"
    );
    let rich = server.user("rich", 1000).await;
    submit(&server, &rich.api_key, json!({"params": {"max_length": 513}}))
        .await
        .ok(202);
    assert_eq!(balances(&server, number(&rich)).await.0, 99_900);
}

#[tokio::test]
async fn whoever_takes_less_is_cut_down() {
    let server = TestServer::start().await;
    let (owner, poor) = (
        server.trusted("owner", 0).await,
        server.user("poor", 0).await.api_key,
    );
    accepted(
        &server,
        &poor,
        json!({"params": {"max_length": 1000}, "allow_downgrade": true, "slow_workers": false}),
    )
    .await;
    let popped = pop(&server, &owner.api_key, json!({})).await.ok(200);
    assert_eq!(popped["payload"]["max_length"], 512);
    assert_eq!(popped["ttl"], 256);
}

#[tokio::test]
async fn fast_workers_are_paid_upfront() {
    let server = TestServer::start().await;
    let poor = server.user("poor", 0).await.api_key;
    submit(&server, &poor, json!({"slow_workers": false}))
        .await
        .refused(403, "KudosUpfront");
    let dry = json!({"slow_workers": false, "dry_run": true});
    submit(&server, &poor, dry).await.refused(403, "KudosUpfront");
    let rich = server.user("rich", 1000).await.api_key;
    submit(&server, &rich, json!({"slow_workers": false}))
        .await
        .ok(202);
}

#[tokio::test]
async fn named_workers_may_have_to_be_paid_upfront() {
    let server = TestServer::with(Setup {
        engine: EngineConfig {
            upfront_for_named_workers: true,
            ..Setup::default().engine
        },
        ..Setup::default()
    })
    .await;
    let owner = server.trusted("owner", 0).await;
    pop(&server, &owner.api_key, json!({})).await.ok(200);
    let worker = server.engine.store().workers().await.unwrap()[0].id;
    let named = json!({"workers": [worker], "allow_downgrade": true});
    let poor = server.user("poor", 0).await.api_key;
    submit(&server, &poor, named.clone())
        .await
        .refused(403, "KudosUpfront");
    let rich = server.user("rich", 1000).await.api_key;
    submit(&server, &rich, named).await.ok(202);
}

#[tokio::test]
async fn a_promise_is_kept_and_what_is_left_of_it_given_back() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    // Just enough for one: 177 kudos besides the 25 that can never be spent.
    let client = server.user("client", 203).await;
    let long = json!({"params": {"max_length": 513, "n": 1}});
    accepted(&server, &client.api_key, long.clone()).await;
    submit(&server, &client.api_key, long.clone())
        .await
        .refused(403, "KudosUpfront");
    let popped = pop(&server, &owner, json!({"max_length": 1024})).await.ok(200);
    let job = popped["id"].as_str().unwrap();
    deliver(&server, &owner, job, json!({"generation": "short"}))
        .await
        .ok(200);
    // The tax, and 20 tokens of such a model with what is burnt.
    assert_eq!(balances(&server, number(&client)).await.0, 20_300 - 100 - 240);
    submit(&server, &client.api_key, json!({"slow_workers": false}))
        .await
        .ok(202);
}

#[tokio::test]
async fn nothing_is_promised_for_usual_requests() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    accepted(&server, ANONYMOUS, json!({})).await;
    popped(&server, &owner).await;
}
