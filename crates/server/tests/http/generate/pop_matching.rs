//! `POST generate/pop`: which requests a worker is not given, and how it is told.

use serde_json::{Value, json};

use crate::support::{TestServer, changed, plain_request, worker};

/// The `skipped` of a pop without a job, with some counts that are not zero.
fn skipped(counts: Value) -> Value {
    let none = json!({
        "models": 0, "worker_id": 0, "img2img": 0, "painting": 0, "unsafe_ip": 0, "nsfw": 0, "lora": 0,
        "post-processing": 0, "controlnet": 0, "performance": 0, "untrusted": 0, "bridge_version": 0,
    });
    changed(none, counts)
}

async fn assert_skipped(server: &TestServer, key: &str, pop: &Value, counts: Value) {
    let popped = server.pop(key, pop).await.ok(200);
    assert_eq!(
        (&popped["id"], &popped["skipped"]),
        (&Value::Null, &skipped(counts)),
        "{pop}"
    );
}

/// The id of an account's only worker.
async fn worker_id(server: &TestServer, key: &str) -> Value {
    server.get_as("/api/v2/find_user", key).await.ok(200)["worker_ids"][0].clone()
}

/// A wish of a request, what a worker says that cannot fulfil it, and how it is told.
fn mismatches() -> Vec<(Value, Value, Value)> {
    let old_agent = json!({"bridge_agent": "AI Horde Worker:12:https://example.org"});
    vec![
        (json!({"nsfw": true}), json!({"nsfw": false}), json!({"nsfw": 1})),
        (
            json!({"params": {"width": 576}}),
            json!({"max_pixels": 262_144}),
            json!({"max_pixels": 1}),
        ),
        (
            json!({"models": ["Deliberate"]}),
            json!({"models": ["stable_diffusion"]}),
            json!({"models": 1}),
        ),
        (
            json!({"params": {"loras": [{"name": "12345"}]}}),
            json!({"allow_lora": false}),
            json!({"lora": 1}),
        ),
        (
            json!({"params": {"post_processing": ["GFPGAN"]}}),
            json!({"allow_post_processing": false}),
            json!({"post-processing": 1}),
        ),
        (
            json!({}),
            json!({"extra_slow_worker": true}),
            json!({"performance": 1}),
        ),
        (
            json!({"prompt": "A LightHouse"}),
            json!({"blacklist": ["moon", "lighthouse"]}),
            json!({"blacklist": 1}),
        ),
        (
            json!({"prompt": "a tree ### house"}),
            json!({"blacklist": ["house"]}),
            json!({"blacklist": 1}),
        ),
        // What lies between the usual least of 20 and the usual most of 40.
        (
            json!({"params": {"steps": 31}}),
            json!({"limit_max_steps": true}),
            json!({"step_count": 1}),
        ),
        // The software cannot: results as URLs (not told), clip skip, LoRAs.
        (json!({}), json!({"bridge_agent": "unknown:0:unknown"}), json!({})),
        (
            json!({"params": {"clip_skip": 2}}),
            old_agent.clone(),
            json!({"bridge_version": 1}),
        ),
        (
            json!({"params": {"loras": [{"name": "12345"}]}}),
            old_agent.clone(),
            json!({"bridge_version": 1}),
        ),
        (
            json!({"params": {"tis": [{"name": "12345"}]}}),
            old_agent.clone(),
            json!({"bridge_version": 1}),
        ),
        // Counted among all requests and once more as a refused candidate.
        (
            json!({"params": {"tiling": true}}),
            old_agent.clone(),
            json!({"bridge_version": 2}),
        ),
        (
            json!({"params": {"sampler_name": "lcm"}}),
            old_agent,
            json!({"bridge_version": 2}),
        ),
        // Independent counts.
        (
            json!({"nsfw": true, "models": ["Deliberate"], "params": {"width": 1024}}),
            json!({"nsfw": false, "models": ["stable_diffusion"], "max_pixels": 262_144}),
            json!({"nsfw": 1, "models": 1, "max_pixels": 1}),
        ),
    ]
}

#[tokio::test]
async fn a_request_waits_for_a_worker_that_fits() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 9000).await,
    );
    let able = changed(
        worker("Able"),
        json!({"models": ["stable_diffusion", "Deliberate"]}),
    );
    for (wish, offer, counts) in mismatches() {
        server
            .request(&client.api_key, &changed(plain_request(), wish.clone()))
            .await;
        assert_skipped(&server, &owner.api_key, &changed(worker("Picky"), offer), counts).await;
        let popped = server.pop(&owner.api_key, &able).await.ok(200);
        assert!(popped["id"].is_string(), "{wish}: {popped}");
        assert_eq!(popped["skipped"], json!({}), "nothing is told along with a job");
    }
    assert_skipped(&server, &owner.api_key, &able, json!({})).await;
}

#[tokio::test]
async fn what_just_fits_is_served() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 9000).await,
    );
    for (wish, offer) in [
        (json!({"params": {"width": 512}}), json!({"max_pixels": 262_144})),
        (json!({"params": {"steps": 30}}), json!({"limit_max_steps": true})),
        (
            json!({"extra_slow_workers": true}),
            json!({"extra_slow_worker": true}),
        ),
        (json!({"r2": false}), json!({"bridge_agent": "unknown:0:unknown"})),
        (json!({"prompt": "a tree"}), json!({"blacklist": ["house"]})),
    ] {
        server
            .request(&client.api_key, &changed(plain_request(), wish.clone()))
            .await;
        let popped = server
            .pop(&owner.api_key, &changed(worker("Keeper"), offer))
            .await
            .ok(200);
        assert!(popped["id"].is_string(), "{wish}: {popped}");
    }
}

#[tokio::test]
async fn every_waiting_request_is_counted() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 9000).await,
    );
    for wish in [
        json!({"nsfw": true}),
        json!({"nsfw": true, "params": {"n": 3}}),
        json!({"models": ["Deliberate", "Anything Diffusion"]}),
        json!({"models": ["Deliberate", "stable_diffusion"], "params": {"width": 1024}}),
    ] {
        server
            .request(&client.api_key, &changed(plain_request(), wish))
            .await;
    }
    let pop = changed(worker("Picky"), json!({"nsfw": false, "max_pixels": 262_144}));
    // The models of the last one are not what it lacks: one of them is served.
    assert_skipped(
        &server,
        &owner.api_key,
        &pop,
        json!({"nsfw": 2, "models": 1, "max_pixels": 1}),
    )
    .await;
}

#[tokio::test]
async fn trusted_workers_are_those_of_trusted_owners() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let (untrusted, trusted) = (
        server.user("untrusted", 0).await,
        server.trusted("trusted", 0).await,
    );
    server
        .request(
            &client.api_key,
            &changed(plain_request(), json!({"trusted_workers": true})),
        )
        .await;
    assert_skipped(
        &server,
        &untrusted.api_key,
        &worker("One"),
        json!({"untrusted": 1}),
    )
    .await;
    server.popped(&trusted.api_key, "Another").await;
}

#[tokio::test]
async fn a_worker_list_names_who_may_or_may_not_serve() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let (first, second) = (server.user("first", 0).await, server.user("second", 0).await);
    for (owner, name) in [(&first, "First"), (&second, "Second")] {
        server.pop(&owner.api_key, &worker(name)).await.ok(200);
    }
    for (named, forbidden) in [(&second, false), (&first, true)] {
        let list =
            json!({"workers": [worker_id(&server, &named.api_key).await], "worker_blacklist": forbidden});
        server
            .request(&client.api_key, &changed(plain_request(), list))
            .await;
        assert_skipped(&server, &first.api_key, &worker("First"), json!({"worker_id": 1})).await;
        server.popped(&second.api_key, "Second").await;
    }
}

#[tokio::test]
async fn a_slow_worker_gets_only_what_is_not_in_a_hurry() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await;
    let (owner, other) = (server.trusted("owner", 0).await, server.trusted("other", 0).await);
    server.request(&client.api_key, &plain_request()).await;
    let popped = server.popped(&owner.api_key, "Slow").await;
    // 512 · 512 · 20 pixelsteps in 11 seconds are fewer than half a million a second.
    server.advance(11).await;
    server
        .deliver(&owner.api_key, popped["id"].as_str().unwrap())
        .await
        .ok(200);

    server
        .request(
            &client.api_key,
            &changed(plain_request(), json!({"slow_workers": false})),
        )
        .await;
    assert_skipped(
        &server,
        &owner.api_key,
        &worker("Slow"),
        json!({"performance": 1}),
    )
    .await;
    server.popped(&other.api_key, "New").await;
    server.request(&client.api_key, &plain_request()).await;
    server.popped(&owner.api_key, "Slow").await;
}

#[tokio::test]
async fn a_worker_may_want_to_see_the_kudos_first() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await;
    let pop = changed(worker("Keeper"), json!({"require_upfront_kudos": true}));
    // An account can never spend its last 25.
    let poor = server.user("poor", 28).await;
    server.request(&poor.api_key, &plain_request()).await;
    assert_skipped(&server, &owner.api_key, &pop, json!({"kudos": 1})).await;

    let named = changed(pop.clone(), json!({"priority_usernames": [poor.alias]}));
    assert!(
        server.pop(&owner.api_key, &named).await.ok(200)["id"].is_string(),
        "friends need not"
    );
    for client in [
        server.user("rich", 1000).await,
        server.trusted("trusted", 25).await,
    ] {
        server.request(&client.api_key, &plain_request()).await;
        let popped = server.pop(&owner.api_key, &pop).await.ok(200);
        assert!(popped["id"].is_string(), "{}", client.username);
    }
}

#[tokio::test]
async fn an_extra_slow_worker_has_three_times_as_long() {
    let server = TestServer::start().await;
    let (owner, client) = (
        server.trusted("owner", 0).await,
        server.user("client", 1000).await,
    );
    server
        .request(
            &client.api_key,
            &changed(plain_request(), json!({"extra_slow_workers": true})),
        )
        .await;
    let pop = changed(worker("Keeper"), json!({"extra_slow_worker": true}));
    assert_eq!(server.pop(&owner.api_key, &pop).await.ok(200)["ttl"], 450);
}

#[tokio::test]
async fn a_new_model_reference_counts_at_once() {
    let server = TestServer::start().await;
    let client = server.user("client", 1000).await.api_key;
    let owner = server.trusted("owner", 0).await.api_key;
    let new = json!({"models": ["Brand new"], "limit_max_steps": true});
    let request = changed(
        plain_request(),
        json!({"models": ["Brand new"], "params": {"steps": 25}}),
    );
    server.request(&client, &request).await;
    let message = server
        .pop(&owner, &changed(worker("Keeper"), new.clone()))
        .await
        .refused(400, "BadRequest");
    assert!(
        message
            .to_lowercase()
            .contains("we cannot accept workers serving")
    );

    let adopt = |max_steps: u32| {
        let entry = json!({"baseline": "stable_diffusion_xl", "requirements": {"min_steps": 1, "max_steps": max_steps}});
        let text = json!({"Brand new": entry}).to_string();
        server
            .engine
            .adopt_models(muster_engine::ModelReference::from_json(&text).unwrap());
    };
    // It takes 25 steps, and such workers no more than the mean of what the model needs.
    adopt(19);
    let popped = server
        .pop(&owner, &changed(worker("Keeper"), new.clone()))
        .await
        .ok(200);
    assert_eq!(
        (&popped["id"], &popped["skipped"]["step_count"]),
        (&Value::Null, &json!(1))
    );
    adopt(60);
    let popped = server.pop(&owner, &changed(worker("Keeper"), new)).await.ok(200);
    assert_eq!(popped["model"], "Brand new");
}

#[tokio::test]
async fn whoever_cannot_pay_now_is_told_so_unless_the_worker_knows_them() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let poor = server.user("poor", 0).await;
    let careful = changed(worker("Keeper"), json!({"require_upfront_kudos": true}));
    server.pop(&owner, &careful).await.ok(200);
    let ask = async || {
        let accepted = server
            .post("/api/v2/generate/async", &poor.api_key, &plain_request())
            .await
            .ok(202);
        let path = format!("/api/v2/generate/status/{}", accepted["id"].as_str().unwrap());
        let status = server.delete(&path).await.ok(200);
        (accepted["message"].clone(), status["is_possible"] == true)
    };
    let (message, possible) = ask().await;
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("kudos that its requester does not have (1)"),
        "{message}"
    );
    assert!(!possible);
    let known = json!({"priority_usernames": [poor.alias]});
    server.pop(&owner, &changed(careful, known)).await.ok(200);
    assert_eq!(ask().await, (json!(null), true));
}
