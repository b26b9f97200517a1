//! `POST generate/pop`: which of several requests a worker gets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{TestServer, changed, plain_request, worker};

fn prompting(prompt: &str) -> Value {
    changed(plain_request(), json!({"prompt": prompt}))
}

/// The prompts of the next jobs, in order, until there are none.
async fn prompts(server: &TestServer, key: &str, pop: &Value) -> Vec<String> {
    let mut prompts = Vec::new();
    loop {
        let popped = server.pop(key, pop).await.ok(200);
        if popped["id"].is_null() {
            return prompts;
        }
        prompts.push(popped["payload"]["prompt"].as_str().unwrap().to_owned());
    }
}

#[tokio::test]
async fn higher_balances_come_first_then_older_requests() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    for (name, kudos) in [("poor", 100), ("rich", 9000), ("middling", 500), ("as poor", 100)] {
        let client = server.user(name, kudos).await;
        server.request(&client.api_key, &prompting(name)).await;
        server.advance(1).await;
    }
    let prompts = prompts(&server, &owner.api_key, &worker("Keeper")).await;
    assert_eq!(prompts, ["rich", "middling", "poor", "as poor"]);
}

#[tokio::test]
async fn waiting_outweighs_a_balance_in_the_end() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let (poor, rich) = (server.user("poor", 100).await, server.user("rich", 199).await);
    server.request(&poor.api_key, &prompting("poor")).await;
    // 50 more for every ten seconds.
    server.advance(20).await;
    server.request(&rich.api_key, &prompting("rich")).await;
    let prompts = prompts(&server, &owner.api_key, &worker("Keeper")).await;
    assert_eq!(prompts, ["poor", "rich"]);
}

#[tokio::test]
async fn the_owners_requests_come_first() {
    let server = TestServer::start().await;
    let (owner, rich) = (server.trusted("owner", 30).await, server.user("rich", 9000).await);
    server.request(&rich.api_key, &prompting("rich")).await;
    server.request(&owner.api_key, &prompting("own")).await;
    let prompts = prompts(&server, &owner.api_key, &worker("Keeper")).await;
    assert_eq!(prompts, ["own", "rich"]);
}

#[tokio::test]
async fn then_those_of_whom_the_worker_names() {
    let server = TestServer::start().await;
    let (owner, rich) = (server.trusted("owner", 0).await, server.user("rich", 9000).await);
    let (friend, other) = (server.user("friend", 30).await, server.user("other", 500).await);
    for user in [&rich, &other, &friend] {
        server.request(&user.api_key, &prompting(&user.username)).await;
    }
    // The number counts, not the name.
    let named = json!({"priority_usernames": [format!("whoever#{}", friend.user_id)]});
    let prompts = prompts(&server, &owner.api_key, &changed(worker("Keeper"), named)).await;
    assert_eq!(prompts, ["friend", "rich", "other"]);
}

#[tokio::test]
async fn among_those_who_come_first_the_balance_counts() {
    let server = TestServer::start().await;
    let (owner, friend) = (
        server.trusted("owner", 100).await,
        server.user("friend", 300).await,
    );
    for user in [&owner, &friend] {
        server.request(&user.api_key, &prompting(&user.username)).await;
    }
    let named = json!({"priority_usernames": [friend.alias]});
    let prompts = prompts(&server, &owner.api_key, &changed(worker("Keeper"), named)).await;
    assert_eq!(prompts, ["friend", "owner"]);
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_passed_over() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let (rich, poor) = (server.user("rich", 9000).await, server.user("poor", 100).await);
    let other_model = json!({"prompt": "rich", "models": ["Deliberate"]});
    server
        .request(&rich.api_key, &changed(plain_request(), other_model))
        .await;
    server.request(&poor.api_key, &prompting("poor")).await;
    let prompts = prompts(&server, &owner.api_key, &worker("Keeper")).await;
    assert_eq!(prompts, ["poor"]);
}

/// The models of many pops of a worker that offers `offered`, for requests that name `asked`.
async fn models(asked: Value, offered: Value) -> BTreeSet<String> {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 9000).await,
    );
    let request = changed(plain_request(), json!({"models": asked, "params": {"n": 20}}));
    server.request(&client.api_key, &request).await;
    let pop = changed(worker("Keeper"), json!({"models": offered}));
    let mut models = BTreeSet::new();
    for _ in 0..20 {
        let popped = server.pop(&owner.api_key, &pop).await.ok(200);
        models.insert(popped["model"].as_str().unwrap().to_owned());
    }
    models
}

#[tokio::test]
async fn the_model_is_one_that_both_name() {
    let asked = json!(["Deliberate", "stable_diffusion", "Anything Diffusion"]);
    let served = json!(["AbsoluteReality", "Anything Diffusion", "Deliberate"]);
    let models = models(asked, served).await;
    assert_eq!(
        models,
        BTreeSet::from(["Anything Diffusion".to_owned(), "Deliberate".to_owned()])
    );
}

#[tokio::test]
async fn a_request_without_models_gets_any_that_the_worker_serves() {
    let models = models(
        json!([]),
        json!(["AbsoluteReality", "Deliberate", "a model nobody knows"]),
    )
    .await;
    assert_eq!(
        models,
        BTreeSet::from(["AbsoluteReality".to_owned(), "Deliberate".to_owned()])
    );
}
