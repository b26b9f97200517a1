//! What is over takes no memory: as much is forgotten as is new.

#![allow(clippy::unwrap_used)]

#[path = "../benches/horde/mod.rs"]
mod horde;

use std::{
    alloc::System,
    net::{IpAddr, Ipv4Addr},
};

use futures_util::future::join_all;
use muster_engine::{Call, Engine, EngineConfig, Submission};
use muster_protocol::{
    Body as _, TestUserInput,
    text::{PopInput, RequestInput, SubmitInput},
};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests that stay in memory after they are done.
const REMEMBERED: usize = 500;
/// Cycles at the same time.
const AT_ONCE: usize = 25;
/// Cycles until everything that is kept is there.
const FIRST: usize = 1_500;
/// Cycles after that.
const THEN: usize = 9_000;
/// What they may add for each of them, in bytes: tables that are full of gaps double in size once. A single id
/// that is kept of every request adds more.
const MORE: usize = 20;

fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

async fn cycle(engine: &Engine, call: &Call) {
    let request = RequestInput::parse(json!({"prompt": "Once upon a time"})).unwrap();
    let submission = engine.submit_text_request(call, request).await.unwrap();
    let Submission::Accepted(_) = submission else {
        panic!("not a dry run")
    };
    let pop = json!({"name": "scribe", "models": ["koboldcpp/Mistral-7B-Instruct-v0.3"], "bridge_agent": "KoboldCPP:1:x", "threads": 50});
    let popped = engine
        .pop_text_job(call, PopInput::parse(pop).unwrap())
        .await
        .unwrap();
    let submit = json!({"id": popped.id.unwrap().to_string(), "generation": "there was a horde", "seed": 1});
    engine
        .submit_text_job(call, SubmitInput::parse(submit).unwrap())
        .await
        .unwrap();
}

async fn cycles(engine: &Engine, call: &Call, count: usize) {
    for _ in 0..count / AT_ONCE {
        join_all((0..AT_ONCE).map(|_| cycle(engine, call))).await;
    }
}

#[tokio::test]
async fn memory_stays_as_it_is_while_requests_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}?mode=rwc", directory.path().join("muster.db").display());
    let config = EngineConfig {
        remembered_requests: REMEMBERED,
        test_accounts: true,
        ..EngineConfig::default()
    };
    let engine = horde::start(&database, directory.path(), config).await;
    let account = engine.test_user(TestUserInput::default()).await.unwrap();
    let call = Call {
        proxy: None,
        trace: None,
        api_key: Some(account.api_key),
        client_agent: "test:1:local".to_owned(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    cycles(&engine, &call, FIRST).await;
    assert_eq!(engine.requests_in_memory(), REMEMBERED);
    let before = in_use();
    cycles(&engine, &call, THEN).await;
    assert_eq!(engine.requests_in_memory(), REMEMBERED);
    let more = in_use().saturating_sub(before) / THEN;
    assert!(more < MORE, "{more} bytes were kept of every request");
}
