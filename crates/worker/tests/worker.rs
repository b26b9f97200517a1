//! The loop of a worker against a horde in miniature. The clock is stopped: pauses cost no time,
//! and their length can be told exactly.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

mod common;

use std::{future::pending, time::Duration};

use bytes::Bytes;
use common::{Canned, Double};
use muster_protocol::image::{GenerationState, MetadataType};
use muster_worker::{
    backend::{Backend, BackendError, Job, Picture, Progress},
    runtime::{Totals, Worker, WorkerConfig, WorkerError, WorkerEvent},
    simulated::{Simulated, Speed, draw},
};
use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

type Running = JoinHandle<Result<Totals, WorkerError>>;

fn config() -> WorkerConfig {
    WorkerConfig::new("test worker", vec!["stable_diffusion".into()])
}

const INSTANT: Simulated = Simulated {
    speed: Speed::Instant,
};

fn start<B: Backend>(
    double: &Double,
    backend: B,
    config: WorkerConfig,
) -> (
    Running,
    CancellationToken,
    tokio::sync::broadcast::Receiver<WorkerEvent>,
) {
    let stop = CancellationToken::new();
    let worker = Worker::new(double.client(), backend, config);
    let events = worker.events();
    (tokio::spawn(worker.run(stop.clone())), stop, events)
}

/// Waits for the first event that answers the description.
async fn wait_for(
    events: &mut tokio::sync::broadcast::Receiver<WorkerEvent>,
    wanted: impl Fn(&WorkerEvent) -> bool,
) -> WorkerEvent {
    loop {
        let event = events.recv().await.unwrap();
        if wanted(&event) {
            return event;
        }
    }
}

fn delivered(event: &WorkerEvent) -> bool {
    matches!(event, WorkerEvent::Delivered { .. })
}

/// Works for a fixed time, or forever.
struct Slow(Option<Duration>);

impl Backend for Slow {
    async fn generate(&self, job: &Job, _: &Progress<'_>) -> Result<Vec<Picture>, BackendError> {
        match self.0 {
            Some(time) => tokio::time::sleep(time).await,
            None => pending().await,
        }
        let picture = |index| Picture {
            webp: Bytes::from_static(b"RIFF"),
            seed: job.seed_of(index),
            state: GenerationState::Ok,
            metadata: Vec::new(),
        };
        Ok((0..job.ids.len()).map(picture).collect())
    }
}

/// Never succeeds.
struct Broken;

impl Backend for Broken {
    async fn generate(&self, _: &Job, _: &Progress<'_>) -> Result<Vec<Picture>, BackendError> {
        Err(BackendError::Failed("out of memory".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_are_generated_uploaded_and_submitted() {
    let double = Double::start().await;
    double.add("a cat", 2);
    let (running, stop, mut events) = start(&double, INSTANT, config());
    wait_for(&mut events, delivered).await;
    wait_for(&mut events, delivered).await;
    stop.cancel();
    let totals = running.await.unwrap().unwrap();
    assert_eq!((totals.delivered, totals.faulted, totals.kudos), (2, 0, 21.0));

    let horde = double.horde();
    let submission = &horde.submissions[0];
    assert_eq!(submission.generation.as_deref(), Some("R2"));
    assert_eq!(submission.seed, 1000);
    assert_eq!(submission.gen_metadata[0].reference.as_deref(), Some("simulated"));
    assert_eq!(
        horde.blobs[&submission.id],
        draw("a cat", 1000, (64, 64), None).unwrap()
    );
    let pop = &horde.pops[0];
    assert_eq!(pop.name.as_deref(), Some("test worker"));
    assert!(pop.bridge_agent.starts_with("Muster Worker:"));
}

#[tokio::test(start_paused = true)]
async fn batches_are_submitted_one_by_one() {
    let double = Double::start().await;
    double.add("a cat", 3);
    let mut config = config();
    config.offer.amount = 4;
    let (running, stop, mut events) = start(&double, INSTANT, config);
    for _ in 0..3 {
        wait_for(&mut events, delivered).await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();

    let horde = double.horde();
    for (index, submission) in horde.submissions.iter().enumerate() {
        assert_eq!(submission.seed, 1000 + i64::try_from(index).unwrap());
        let entry = submission.gen_metadata.last().unwrap();
        assert_eq!(entry.kind, MetadataType::BatchIndex);
        assert_eq!(entry.reference, Some(index.to_string()));
    }
    assert_eq!(horde.submissions.len(), 3);
    assert_eq!(horde.blobs.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_asks_every_second() {
    let double = Double::start().await;
    let (running, stop, _events) = start(&double, INSTANT, config());
    tokio::time::sleep(Duration::from_millis(4500)).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let pops = double.times_of("pop");
    assert!((4..=5).contains(&pops.len()), "{} pops", pops.len());
}

#[tokio::test(start_paused = true)]
async fn pictures_go_inside_if_the_upload_fails() {
    let double = Double::start().await;
    double.add("a cat", 1);
    for _ in 0..3 {
        double.will_answer("blobs", Canned::new(500, json!({})));
    }
    let (running, stop, mut events) = start(&double, Slow(Some(Duration::ZERO)), config());
    wait_for(&mut events, delivered).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let horde = double.horde();
    assert_eq!(horde.submissions[0].generation.as_deref(), Some("UklGRg=="));
}

#[tokio::test(start_paused = true)]
async fn inline_workers_do_not_upload() {
    let double = Double::start().await;
    double.add("a cat", 1);
    let mut config = config();
    config.inline = true;
    let (running, stop, mut events) = start(&double, Slow(Some(Duration::ZERO)), config);
    wait_for(&mut events, delivered).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(double.times_of("blobs").is_empty());
    assert_eq!(
        double.horde().submissions[0].generation.as_deref(),
        Some("UklGRg==")
    );
}

#[tokio::test(start_paused = true)]
async fn server_errors_are_met_with_growing_pauses() {
    let double = Double::start().await;
    double.add("a cat", 1);
    for _ in 0..4 {
        double.will_answer("pop", Canned::new(503, json!({"message": "starting"})));
    }
    let (running, stop, mut events) = start(&double, INSTANT, config());
    wait_for(&mut events, delivered).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let pops = double.times_of("pop");
    for (number, full) in [1.0, 2.0, 4.0, 8.0].into_iter().enumerate() {
        let pause = (pops[number + 1] - pops[number]).as_secs_f64();
        assert!(
            pause >= full / 2.0 && pause <= full + 0.1,
            "pause {number}: {pause}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let double = Double::start().await;
    let canned = Canned {
        retry_after: Some(17),
        ..Canned::new(429, json!({"message": "60 per 1 second"}))
    };
    double.will_answer("pop", canned);
    double.add("a cat", 1);
    let (running, stop, mut events) = start(&double, INSTANT, config());
    wait_for(&mut events, delivered).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let pops = double.times_of("pop");
    assert!(pops[1] - pops[0] >= Duration::from_secs(17));
}

#[tokio::test(start_paused = true)]
async fn maintenance_is_waited_out_quietly() {
    let double = Double::start().await;
    double.add("a cat", 1);
    for _ in 0..3 {
        let body = json!({"message": "The worker is in maintenance mode.", "rc": "WorkerMaintenance"});
        double.will_answer("pop", Canned::new(403, body));
    }
    let (running, stop, mut events) = start(&double, INSTANT, config());
    let event = wait_for(&mut events, |event| {
        !matches!(event, WorkerEvent::Progress { .. })
    })
    .await;
    assert!(matches!(event, WorkerEvent::Maintenance { .. }));
    wait_for(&mut events, delivered).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let pops = double.times_of("pop");
    assert!(pops[3] - pops[0] >= Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_bad_key_stops_every_lane() {
    let double = Double::start().await;
    let body = json!({"message": "No user matching sent API Key.", "rc": "InvalidAPIKey"});
    double.will_answer("pop", Canned::new(401, body));
    let mut config = config();
    config.offer.threads = 3;
    let (running, _stop, _events) = start(&double, INSTANT, config);
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server refuses this worker: POST generate/pop: No user matching sent API Key. (401 InvalidAPIKey)"
    );
}

#[tokio::test(start_paused = true)]
async fn submissions_are_repeated_until_the_server_decides() {
    let double = Double::start().await;
    double.add("a cat", 1);
    double.will_answer("submit", Canned::new(502, json!({})));
    double.will_answer(
        "submit",
        Canned::new(400, json!({"message": "already submitted", "rc": "DuplicateGen"})),
    );
    let (running, stop, mut events) = start(&double, INSTANT, config());
    let event = wait_for(&mut events, delivered).await;
    assert!(matches!(event, WorkerEvent::Delivered { reward, .. } if reward == 0.0));
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(double.times_of("submit").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn results_nobody_wants_are_dropped() {
    let double = Double::start().await;
    double.add("a cat", 1);
    let body = json!({"message": "Processing Job with ID x does not exist.", "rc": "InvalidJobID"});
    double.will_answer("submit", Canned::new(404, body));
    let (running, stop, mut events) = start(&double, INSTANT, config());
    wait_for(&mut events, |event| matches!(event, WorkerEvent::Lost { .. })).await;
    stop.cancel();
    assert_eq!(running.await.unwrap().unwrap().lost, 1);
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_backend_are_reported() {
    let double = Double::start().await;
    double.add("a cat", 2);
    let mut config = config();
    config.offer.amount = 2;
    let (running, stop, mut events) = start(&double, Broken, config);
    let event = wait_for(&mut events, |event| matches!(event, WorkerEvent::Faulted { .. })).await;
    assert!(matches!(event, WorkerEvent::Faulted { reason, .. } if reason.contains("out of memory")));
    stop.cancel();
    assert_eq!(running.await.unwrap().unwrap().faulted, 2);
    let horde = double.horde();
    assert!(
        horde
            .submissions
            .iter()
            .all(|s| s.state == GenerationState::Faulted && s.seed == 1000)
    );
}

#[tokio::test(start_paused = true)]
async fn jobs_that_cannot_be_understood_are_given_back() {
    let double = Double::start().await;
    let id = "01234567-89ab-cdef-0123-456789abcdef";
    let body = json!({"id": id, "ids": [id], "payload": {"sampler_name": "k_from_the_future"}});
    double.will_answer("pop", Canned::new(200, body));
    let (running, stop, mut events) = start(&double, INSTANT, config());
    wait_for(&mut events, |event| matches!(event, WorkerEvent::Faulted { .. })).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let horde = double.horde();
    assert_eq!(horde.submissions[0].id, id);
    assert_eq!(horde.submissions[0].state, GenerationState::Faulted);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_given_up_when_its_time_is_over() {
    let double = Double::start().await;
    double.horde().ttl = Some(20);
    double.add("a cat", 1);
    let (running, stop, mut events) = start(&double, Slow(None), config());
    let start = Instant::now();
    wait_for(&mut events, |event| matches!(event, WorkerEvent::Faulted { .. })).await;
    assert!(start.elapsed() >= Duration::from_secs(20) && start.elapsed() < Duration::from_secs(21));
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_what_runs() {
    let double = Double::start().await;
    double.add("a cat", 1);
    double.add("a dog", 1);
    let (running, stop, mut events) = start(&double, Slow(Some(Duration::from_secs(30))), config());
    wait_for(&mut events, |event| matches!(event, WorkerEvent::Taken { .. })).await;
    stop.cancel();
    let totals = running.await.unwrap().unwrap();
    assert_eq!((totals.delivered, totals.faulted), (1, 0));
    assert_eq!(double.times_of("pop").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_gives_back_what_cannot_be_finished() {
    let double = Double::start().await;
    double.add("a cat", 1);
    let mut config = config();
    config.rhythm.grace = Duration::from_secs(10);
    let (running, stop, mut events) = start(&double, Slow(None), config);
    wait_for(&mut events, |event| matches!(event, WorkerEvent::Taken { .. })).await;
    let start = Instant::now();
    stop.cancel();
    let totals = running.await.unwrap().unwrap();
    assert_eq!((totals.delivered, totals.faulted), (0, 1));
    assert!(start.elapsed() >= Duration::from_secs(10));
    assert_eq!(double.horde().submissions[0].state, GenerationState::Faulted);
}

#[tokio::test(start_paused = true)]
async fn lanes_work_side_by_side() {
    let double = Double::start().await;
    double.add("a cat", 3);
    let mut config = config();
    config.offer.threads = 3;
    let start_time = Instant::now();
    let (running, stop, mut events) = start(&double, Slow(Some(Duration::from_secs(10))), config);
    for _ in 0..3 {
        wait_for(&mut events, delivered).await;
    }
    assert!(start_time.elapsed() < Duration::from_secs(12));
    stop.cancel();
    assert_eq!(running.await.unwrap().unwrap().delivered, 3);
}
