//! The loop of a client against a horde in miniature, with the clock stopped.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Canned, Double};
use muster_protocol::{ReturnCode, image::RequestInput};
use muster_worker::{
    generate::{GenerateError, Outcome, Update, generate, price, save},
    runtime::{Worker, WorkerConfig},
    simulated::{Simulated, Speed, draw},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn input() -> RequestInput {
    let mut input = RequestInput::new("a cat ### blurry");
    input.params.width = Some(64);
    input.params.height = Some(64);
    input
}

fn start_worker(double: &Double) -> CancellationToken {
    let stop = CancellationToken::new();
    let config = WorkerConfig::new("w", vec!["stable_diffusion".into()]);
    let backend = Simulated {
        speed: Speed::Mps(0.1),
    };
    tokio::spawn(Worker::new(double.client(), backend, config).run(stop.clone()));
    stop
}

async fn run(double: &Double, input: &RequestInput) -> (Result<Outcome, GenerateError>, Vec<Update>) {
    let mut updates = Vec::new();
    let outcome = generate(&double.client(), input, &CancellationToken::new(), |update| {
        updates.push(update);
    })
    .await;
    (outcome, updates)
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_requested_awaited_and_saved() {
    let double = Double::start().await;
    let _worker = start_worker(&double);
    let mut input = input();
    input.params.n = Some(2);
    let (outcome, updates) = run(&double, &input).await;
    let outcome = outcome.unwrap();
    assert!(!outcome.cancelled);
    assert_eq!(outcome.pictures.len(), 2);
    assert_eq!(
        outcome.pictures[0].file,
        draw("a cat", 1000, (64, 64), None).unwrap()
    );
    assert!(matches!(updates[0], Update::Accepted(_)));
    assert!(matches!(updates.last(), Some(Update::Progress(progress)) if progress.done));

    let directory = tempfile::tempdir().unwrap();
    let path = save(&outcome.pictures[0], directory.path(), &input.prompt)
        .await
        .unwrap();
    assert_eq!(path.file_name().unwrap(), "a-cat-1000.webp");
}

#[tokio::test(start_paused = true)]
async fn base64_results_are_decoded() {
    let double = Double::start().await;
    let _worker = start_worker(&double);
    let mut input = input();
    input.r2 = false;
    let (outcome, _) = run(&double, &input).await;
    assert_eq!(
        outcome.unwrap().pictures[0].file,
        draw("a cat", 1000, (64, 64), None).unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn polls_start_quickly_and_settle() {
    let double = Double::start().await;
    let id = double.add("never", 1);
    let canned = |done: bool| {
        let body = json!({"finished": 0, "processing": 0, "restarted": 0, "waiting": 1, "done": done,
            "faulted": done, "wait_time": 1, "queue_position": 1, "kudos": 1.0, "is_possible": true});
        Canned::new(200, body)
    };
    for _ in 0..4 {
        double.will_answer("check", canned(false));
    }
    double.will_answer("check", canned(true));
    double.will_answer("async", Canned::new(202, json!({"id": id, "kudos": 1.0})));
    let (outcome, _) = run(&double, &input()).await;
    // The request of the double has neither fault nor result.
    assert!(outcome.unwrap().pictures.is_empty());
    let checks = double.times_of("check");
    let pauses: Vec<_> = checks
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis() / 100)
        .collect();
    assert_eq!(pauses, [5, 10, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_given_the_time_it_asks_for() {
    let double = Double::start().await;
    let _worker = start_worker(&double);
    let canned = Canned {
        retry_after: Some(9),
        ..Canned::new(429, json!({"message": "10 per 1 second"}))
    };
    double.will_answer("check", canned);
    let (outcome, updates) = run(&double, &input()).await;
    outcome.unwrap();
    assert!(
        updates
            .iter()
            .any(|update| matches!(update, Update::Trouble { again_in, .. }
        if *again_in >= Duration::from_secs(9)))
    );
}

#[tokio::test(start_paused = true)]
async fn impossible_requests_keep_waiting_and_say_so() {
    let double = Double::start().await;
    double.horde().impossible = true;
    let later = double.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        start_worker(&later);
    });
    let (outcome, updates) = run(&double, &input()).await;
    assert_eq!(outcome.unwrap().pictures.len(), 1);
    assert!(matches!(&updates[0], Update::Accepted(accepted) if accepted.warnings.len() == 1));
    let told = updates
        .iter()
        .filter(|update| matches!(update, Update::Impossible));
    assert_eq!(told.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn giving_up_is_an_error_with_the_reason() {
    let double = Double::start().await;
    let gone = "01234567-89ab-cdef-0123-456789abcdef";
    double.will_answer("async", Canned::new(202, json!({"id": gone, "kudos": 1.0})));
    let (outcome, _) = run(&double, &input()).await;
    assert!(matches!(outcome, Err(GenerateError::Expired(_))));

    let body = json!({"message": "Due to heavy demand …", "rc": "KudosUpfront"});
    double.will_answer("async", Canned::new(403, body));
    let (outcome, _) = run(&double, &input()).await;
    let Err(GenerateError::Client(error)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(error.is(ReturnCode::KudosUpfront));
}

#[tokio::test(start_paused = true)]
async fn stopping_cancels_the_request() {
    let double = Double::start().await;
    let stop = CancellationToken::new();
    let soon = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        soon.cancel();
    });
    let outcome = generate(&double.client(), &input(), &stop, |_| ()).await.unwrap();
    assert!(outcome.cancelled && outcome.pictures.is_empty());
    assert!(double.horde().requests[0].cancelled);
}

#[tokio::test(start_paused = true)]
async fn the_price_is_told_without_a_request() {
    let double = Double::start().await;
    let price = price(&double.client(), &input()).await.unwrap();
    assert!((price - 12.5).abs() < 1e-9);
    assert!(double.horde().requests.is_empty());
}

#[tokio::test]
async fn accounts_are_made_by_the_registration_page() {
    let double = Double::start().await;
    assert_eq!(double.client().register("someone").await.unwrap(), "registered-1");
    assert_eq!(double.client().heartbeat().await.unwrap().version, "double-1");
}
