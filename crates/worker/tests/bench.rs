//! The load generator against a horde in miniature.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{Canned, Double};
use muster_worker::bench::{
    BenchConfig, BenchError, BenchEvent, Delivery, EndpointReport, Length, Load, Report, Scenario, run,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn config(double: &Double) -> BenchConfig {
    let mut config = BenchConfig::new(double.url());
    config.warmup = Duration::ZERO;
    config.length = Length::Cycles(40);
    config.users = 3;
    config.workers = 2;
    config
}

async fn measure(config: BenchConfig) -> Result<Report, BenchError> {
    run(config, CancellationToken::new(), |_| ()).await
}

fn endpoint<'a>(report: &'a Report, name: &str) -> &'a EndpointReport {
    report
        .endpoints
        .iter()
        .find(|endpoint| endpoint.name == name)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_loop_counts_its_cycles() {
    let double = Double::start().await;
    let report = measure(config(&double)).await.unwrap();
    assert!(report.cycles >= 40 && report.cycles < 44, "{}", report.cycles);
    for name in ["cycle", "async", "pop (job)", "submit", "status"] {
        let endpoint = endpoint(&report, name);
        assert!((40..=44).contains(&endpoint.count), "{name}: {}", endpoint.count);
        assert_eq!(endpoint.error_count(), 0);
        let ms = endpoint.latency_ms;
        assert!(ms.p50 > 0.0 && ms.p50 <= ms.p99 && ms.p99 <= ms.max);
    }
    let horde = double.horde();
    assert_eq!(horde.submissions.len() as u64, report.cycles);
    assert!(
        horde.submissions[0]
            .generation
            .as_ref()
            .unwrap()
            .starts_with("UklGR")
    );
    // One to find out, three users, one owner of workers.
    assert_eq!(horde.accounts, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_json_and_a_table() {
    let double = Double::start().await;
    let report = measure(config(&double)).await.unwrap();
    let json: Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["server_version"], "double-1");
    assert_eq!(json["settings"]["scenario"], "cycles");
    assert_eq!(json["settings"]["load"]["closed"]["concurrency"], 4);
    assert_eq!(json["settings"]["length"]["cycles"], 40);
    assert!(json["settings"].get("api_keys").is_none());
    assert!(json["environment"]["cpus"].as_u64().unwrap() > 0);
    let first = &json["endpoints"][0];
    assert_eq!(first["name"], "cycle");
    assert!(first["latency_ms"]["p99_9"].is_number());
    let table = report.to_string();
    assert!(
        table.contains("closed loop, 4 lanes") && table.contains("pop (job)"),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_keeps_its_timetable() {
    let double = Double::start().await;
    let mut config = config(&double);
    config.load = Load::Open {
        rate: 50.0,
        in_flight: 8,
    };
    config.length = Length::Time(Duration::from_secs(1));
    let report = measure(config).await.unwrap();
    // A debug build on a busy machine may be late, but never early.
    assert!(report.cycles <= 50 && report.cycles >= 40, "{}", report.cycles);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_can_be_uploaded() {
    let double = Double::start().await;
    let mut config = config(&double);
    config.delivery = Delivery::Upload;
    config.image_size = 96;
    let report = measure(config).await.unwrap();
    assert_eq!(endpoint(&report, "upload").count, report.cycles);
    let horde = double.horde();
    assert_eq!(horde.blobs.len() as u64, report.cycles);
    assert_eq!(horde.submissions[0].generation.as_deref(), Some("R2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pops_are_measured_against_a_backlog() {
    let double = Double::start().await;
    let mut config = config(&double);
    config.scenario = Scenario::Pop;
    config.queue = 60;
    config.ready = 10;
    // The lanes share the cycles as they come: enough that the busy ones get theirs, whatever the machine
    // does meanwhile.
    config.length = Length::Cycles(2_000);
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = events.clone();
    let report = run(config, CancellationToken::new(), move |event| {
        sink.lock().unwrap().push(event);
    })
    .await
    .unwrap();
    assert_eq!(endpoint(&report, "pop (job)").count, 10);
    assert!(endpoint(&report, "pop (none)").count >= 20);
    assert_eq!(endpoint(&report, "submit").count, 10);
    let horde = double.horde();
    let models: std::collections::BTreeSet<_> =
        horde.requests.iter().map(|r| r.input.models.clone()).collect();
    assert_eq!((horde.requests.len(), models.len()), (70, 51));
    let told = events.lock().unwrap();
    assert!(
        told.iter()
            .any(|event| matches!(event, BenchEvent::Preparing(text) if text.contains("70")))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_load_polls_too() {
    let double = Double::start().await;
    let mut config = config(&double);
    config.scenario = Scenario::Mixed;
    let report = measure(config).await.unwrap();
    assert!(endpoint(&report, "check").count >= 3 * 40);
    assert!(endpoint(&report, "pop (none)").count >= 40);
    assert!(endpoint(&report, "heartbeat").count >= 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limits_are_pointed_out() {
    let double = Double::start().await;
    for _ in 0..3 {
        double.will_answer(
            "generate/async",
            Canned::new(429, json!({"message": "2 per 1 second"})),
        );
    }
    let report = measure(config(&double)).await.unwrap();
    assert_eq!(endpoint(&report, "async").errors["429 rate limit"], 3);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("HORDE_TEST_RATELIMIT_DISABLED"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_registered_where_there_are_no_test_users() {
    let double = Double::start().await;
    double.horde().test_users = false;
    let mut config = config(&double);
    config.workers = 7;
    measure(config).await.unwrap();
    // Three users, and an owner for every three workers.
    assert_eq!(double.horde().accounts, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_keys_are_used() {
    let double = Double::start().await;
    let mut config = config(&double);
    config.api_keys = vec!["mine".into()];
    measure(config).await.unwrap();
    assert_eq!(double.horde().accounts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_can_be_stopped() {
    let double = Double::start().await;
    let mut config = config(&double);
    config.length = Length::Time(Duration::from_hours(1));
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(config, stop.clone(), |_| ()));
    while double.times_of("submit").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    assert!(running.await.unwrap().unwrap().elapsed_seconds < 60.0);
}

#[tokio::test]
async fn other_machines_are_left_alone() {
    let error = measure(BenchConfig::new("https://aihorde.example"))
        .await
        .unwrap_err();
    assert!(matches!(error, BenchError::Remote(_)));
    assert!(error.to_string().contains("--allow-remote"));

    let mut config = BenchConfig::new("https://aihorde.example");
    config.allow_remote = true;
    assert!(matches!(
        measure(config).await.unwrap_err(),
        BenchError::Settings(_)
    ));
}

#[tokio::test]
async fn a_missing_server_is_named() {
    let error = measure(BenchConfig::new("http://127.0.0.1:1")).await.unwrap_err();
    assert!(error.to_string().starts_with("is the server there?"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_looked_at_needs_workers_that_are_online() {
    let double = Double::start().await;
    let mut config = config(&double);
    config.scenario = Scenario::Workers;
    let report = measure(config).await.unwrap();
    let read = endpoint(&report, "read");
    assert!((40..=44).contains(&read.count), "{}", read.count);
    assert_eq!(read.error_count(), 0);
    assert_eq!(double.times_of("/generate/pop").len(), 2);
}
