//! `POST generate/text/submit`: who pays and who earns, to the hundredth.

use muster_engine::EngineConfig;
use muster_protocol::TestUser;
use serde_json::{Value, json};

use super::{MODEL, accepted, deliver, pop};
use crate::support::{Setup, TestServer, assert_clean, balances, changed, find_user, movements, number};

/// Has one text written and delivered; the reward that the worker is told.
async fn work(
    server: &TestServer,
    owner: &TestUser,
    client: &TestUser,
    request: Value,
    worker: Value,
) -> Value {
    accepted(server, &client.api_key, request).await;
    let popped = pop(server, &owner.api_key, worker).await.ok(200);
    let job = popped["id"].as_str().unwrap_or_else(|| panic!("{popped}"));
    deliver(server, &owner.api_key, job, json!({})).await.ok(200)["reward"].clone()
}

#[tokio::test]
async fn a_trusted_owner_earns_all_at_once() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 100).await,
        server.user("client", 1000).await,
    );
    // 80 tokens of 7.25 billion parameters by 125, and what a short prompt counts.
    assert_eq!(work(&server, &owner, &client, json!({}), json!({})).await, 5.62);
    assert_eq!(balances(&server, number(&owner)).await, (10_562, 0));
    assert_eq!(movements(&server, number(&client)).await[..2], [-662, -100]);
    assert_clean(&server).await;

    let user = find_user(&server, &owner.api_key).await;
    assert_eq!(user["records"]["fulfillment"]["text"], 1);
    assert_eq!(user["records"]["contribution"]["tokens"], 80);
    let user = find_user(&server, &client.api_key).await;
    assert_eq!(user["records"]["request"]["text"], 2);
    assert_eq!(user["records"]["usage"]["tokens"], 80);
    assert_eq!(user["active_generations"]["text"].as_array().unwrap().len(), 1);
    assert!(user["active_generations"].get("image").is_none());
}

#[tokio::test]
async fn half_of_what_an_untrusted_owner_earns_waits() {
    let server = TestServer::start().await;
    let (owner, client) = (server.user("owner", 100).await, server.user("client", 1000).await);
    assert_eq!(work(&server, &owner, &client, json!({}), json!({})).await, 5.62);
    assert_eq!(balances(&server, number(&owner)).await, (10_281, 281));
    assert_clean(&server).await;
}

#[tokio::test]
async fn unknown_backends_and_models_earn_less() {
    let server = TestServer::start().await;
    let (trusted, untrusted) = (
        server.trusted("trusted", 0).await,
        server.user("untrusted", 0).await,
    );
    let client = server.user("client", 1000).await;
    let unvalidated = json!({"bridge_agent": "unknown:1:x"});
    assert_eq!(
        work(&server, &trusted, &client, json!({}), unvalidated).await,
        1.69
    );
    let unknown = json!({"models": ["who knows"]});
    let reward = work(&server, &trusted, &client, unknown.clone(), unknown.clone()).await;
    assert!((reward.as_f64().unwrap() - 2.6166).abs() < 1e-3, "{reward}");
    let by_other = changed(unknown.clone(), json!({"name": "Other"}));
    let reward = work(&server, &untrusted, &client, unknown, by_other).await;
    assert!((reward.as_f64().unwrap() - 1.2114).abs() < 1e-3, "{reward}");
    assert_clean(&server).await;
}

#[tokio::test]
async fn a_quantised_model_is_paid_as_what_it_is() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    let quantised = json!({"models": [format!("{MODEL}.i1-Q4_K_M")]});
    let reward = work(&server, &owner, &client, quantised.clone(), quantised).await;
    assert_eq!(reward, 5.62);
}

#[tokio::test]
async fn named_workers_may_cost_a_token_price() {
    let server = TestServer::with(Setup {
        engine: EngineConfig {
            matched_targeting: true,
            ..Setup::default().engine
        },
        ..Setup::default()
    })
    .await;
    let owner = server.trusted("owner", 1000).await;
    pop(&server, &owner.api_key, json!({})).await.ok(200);
    let worker = server.engine.store().workers().await.unwrap()[0].id;
    let named = json!({"workers": [worker]});
    assert_eq!(work(&server, &owner, &owner, named, json!({})).await, 0.1);
}
