//! Workers are rewarded for being there.

use std::time::Duration;

use muster_engine::EngineConfig;
use muster_protocol::{Kudos, TestUser};
use muster_store::{AccountChanges, Role, Roles, WorkerChanges};
use serde_json::{Value, json};

use super::details;
use crate::support::{START, Setup, TestServer, assert_clean, balances, changed, movements, number, worker};

const IMAGE: &str = "/api/v2/generate/pop";
const TEXT: &str = "/api/v2/generate/text/pop";
const ALCHEMY: &str = "/api/v2/interrogate/pop";

/// A worker that comes back every minute for so many minutes, after its first pop.
async fn stay(server: &TestServer, owner: &TestUser, path: &str, body: &Value, minutes: u64) {
    for _ in 0..minutes {
        server.advance(60).await;
        server.post(path, &owner.api_key, body).await.ok(200);
    }
}

/// The totals of the only worker: all kudos, and what they were for.
async fn rewards(server: &TestServer) -> (Value, Value) {
    server.advance(2).await;
    let seen = server.get("/api/v2/workers/name/Rig").await.ok(200);
    (
        seen["kudos_rewards"].clone(),
        seen["kudos_details"]["uptime"].clone(),
    )
}

fn scribe(model: &str, context: u32) -> Value {
    json!({
        "name": "Rig", "models": [model], "bridge_agent": "KoboldCppEmbedWorker:2:https://github.com/LostRuins/koboldcpp",
        "max_length": 512, "max_context_length": context, "nsfw": true,
    })
}

fn alchemist() -> Value {
    json!({"name": "Rig", "forms": ["caption"], "bridge_agent": "AI Horde Worker:24:x"})
}

#[tokio::test]
async fn more_than_ten_minutes_are_rewarded() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    let body = worker("Rig");
    server.post(IMAGE, &owner.api_key, &body).await.ok(200);
    stay(&server, &owner, IMAGE, &body, 10).await;
    assert_eq!(movements(&server, number(&owner)).await, [10_000]);
    // 50, 2 for the model, 30 for LoRAs.
    stay(&server, &owner, IMAGE, &body, 1).await;
    assert_eq!(movements(&server, number(&owner)).await, [8200, 10_000]);
    stay(&server, &owner, IMAGE, &body, 11).await;
    assert_eq!(movements(&server, number(&owner)).await, [8200, 8200, 10_000]);
    assert_eq!(rewards(&server).await, (json!(164.0), json!(164)));
    let (kudos, totals) = details(&server, &owner).await;
    assert_eq!((kudos, &totals["accumulated"]), (json!(264.0), &json!(164.0)));
    assert_clean(&server).await;
}

#[tokio::test]
async fn what_it_offered_before_counts() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    let poor = changed(worker("Rig"), json!({"allow_lora": false}));
    let rich = changed(
        worker("Rig"),
        json!({"models": ["stable_diffusion", "Deliberate", "SDXL 1.0"]}),
    );
    server.post(IMAGE, &owner.api_key, &poor).await.ok(200);
    stay(&server, &owner, IMAGE, &poor, 10).await;
    stay(&server, &owner, IMAGE, &rich, 1).await;
    assert_eq!(movements(&server, number(&owner)).await, [5200, 10_000]);
    stay(&server, &owner, IMAGE, &rich, 11).await;
    assert_eq!(movements(&server, number(&owner)).await[0], 8600);
}

#[tokio::test]
async fn whoever_is_not_trusted_waits_for_it() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 100).await;
    let body = worker("Rig");
    server.post(IMAGE, &owner.api_key, &body).await.ok(200);
    stay(&server, &owner, IMAGE, &body, 11).await;
    assert_eq!(balances(&server, number(&owner)).await, (10_000, 8200));
    let (_, totals) = details(&server, &owner).await;
    assert_eq!(totals["accumulated"], json!(0.0));
    assert_eq!(rewards(&server).await, (json!(82.0), json!(82)));
    assert_clean(&server).await;
}

#[tokio::test]
async fn uptime_can_earn_trust() {
    let setup = Setup {
        engine: EngineConfig {
            trust_threshold: Some(Kudos::from_whole(80)),
            ..Setup::default().engine
        },
        ..Setup::default()
    };
    let server = TestServer::with(setup).await;
    let owner = server.user("owner", 100).await;
    server.clock.advance(Duration::from_hours(7 * 24));
    let body = worker("Rig");
    server.post(IMAGE, &owner.api_key, &body).await.ok(200);
    stay(&server, &owner, IMAGE, &body, 11).await;
    assert_eq!(balances(&server, number(&owner)).await, (18_200, 0));
    let seen = server.get_as("/api/v2/find_user", &owner.api_key).await.ok(200);
    assert_eq!(seen["trusted"], json!(true));
}

#[tokio::test]
async fn nothing_of_a_trusted_owner_stays_withheld() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 100).await;
    let body = worker("Rig");
    server.post(IMAGE, &owner.api_key, &body).await.ok(200);
    stay(&server, &owner, IMAGE, &body, 11).await;
    assert_eq!(balances(&server, number(&owner)).await, (10_000, 8200));
    // As if a reward was booked at the very moment at which the account became trusted.
    let changes = AccountChanges {
        grant: Roles::of(&[Role::Trusted]),
        ..AccountChanges::default()
    };
    let journal = server.engine.store().journal();
    journal.set_account(number(&owner), changes, START).await.unwrap();
    let server = server.restart(Setup::default()).await;
    stay(&server, &owner, IMAGE, &body, 11).await;
    assert_eq!(balances(&server, number(&owner)).await, (10_000 + 8200 + 8200, 0));
    assert_clean(&server).await;
}

#[tokio::test]
async fn scribes_are_rewarded_for_context_and_model() {
    for (model, context, hundredths) in [
        ("koboldcpp/Meta-Llama-3-8B-Instruct", 8192, 16_634),
        ("a model that nobody knows", 4096, 4250),
    ] {
        let server = TestServer::start().await;
        let owner = server.trusted("owner", 100).await;
        let body = scribe(model, context);
        server.post(TEXT, &owner.api_key, &body).await.ok(200);
        stay(&server, &owner, TEXT, &body, 11).await;
        assert_eq!(
            movements(&server, number(&owner)).await,
            [hundredths, 10_000],
            "{model}"
        );
        assert_clean(&server).await;
    }
}

#[tokio::test]
async fn alchemists_wait_for_nothing() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 100).await;
    let body = alchemist();
    server.post(ALCHEMY, &owner.api_key, &body).await.ok(200);
    stay(&server, &owner, ALCHEMY, &body, 11).await;
    assert_eq!(balances(&server, number(&owner)).await, (14_000, 0));
}

#[tokio::test]
async fn silence_and_maintenance_begin_anew() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    let body = worker("Rig");
    server.post(IMAGE, &owner.api_key, &body).await.ok(200);
    stay(&server, &owner, IMAGE, &body, 9).await;
    server.advance(301).await;
    server.post(IMAGE, &owner.api_key, &body).await.ok(200);
    stay(&server, &owner, IMAGE, &body, 9).await;
    let path = format!("/api/v2/workers/{}", server.worker_id("Rig").await);
    server
        .put(&path, &owner.api_key, &json!({"maintenance": true}))
        .await
        .ok(200);
    server.advance(60).await;
    server
        .post(IMAGE, &owner.api_key, &body)
        .await
        .refused(403, "WorkerMaintenance");
    server
        .put(&path, &owner.api_key, &json!({"maintenance": false}))
        .await
        .ok(200);
    stay(&server, &owner, IMAGE, &body, 10).await;
    assert_eq!(movements(&server, number(&owner)).await, [10_000]);
    stay(&server, &owner, IMAGE, &body, 1).await;
    assert_eq!(movements(&server, number(&owner)).await, [8200, 10_000]);
}

#[tokio::test]
async fn a_paused_worker_earns_nothing() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    let body = worker("Rig");
    server.post(IMAGE, &owner.api_key, &body).await.ok(200);
    let paused = WorkerChanges {
        paused: Some(true),
        ..WorkerChanges::default()
    };
    let server = server.with_worker(paused).await;
    stay(&server, &owner, IMAGE, &body, 12).await;
    assert_eq!(movements(&server, number(&owner)).await, [10_000]);
}

#[tokio::test]
async fn teams_count_it_too() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    let body = worker("Rig");
    server.post(IMAGE, &owner.api_key, &body).await.ok(200);
    let team = server
        .post("/api/v2/teams", &owner.api_key, &json!({"name": "Crew"}))
        .await
        .ok(200);
    let team = team["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v2/workers/{}", server.worker_id("Rig").await);
    server
        .put(&path, &owner.api_key, &json!({"team": team}))
        .await
        .ok(200);
    stay(&server, &owner, IMAGE, &body, 11).await;
    let seen = server.get(&format!("/api/v2/teams/{team}")).await.ok(200);
    assert_eq!((&seen["uptime"], &seen["kudos"]), (&json!(600), &json!(0.0)));
}

#[tokio::test]
async fn a_restart_rewards_no_time_twice() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 100).await;
    let body = worker("Rig");
    server.post(IMAGE, &owner.api_key, &body).await.ok(200);
    stay(&server, &owner, IMAGE, &body, 11).await;
    let server = server.restart(Setup::default()).await;
    stay(&server, &owner, IMAGE, &body, 10).await;
    assert_eq!(movements(&server, number(&owner)).await, [8200, 10_000]);
    stay(&server, &owner, IMAGE, &body, 1).await;
    assert_eq!(movements(&server, number(&owner)).await, [8200, 8200, 10_000]);
}
