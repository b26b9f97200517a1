//! What is measured of the engine, by the names under which it is published, for whoever installs a recorder.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use muster_protocol::{Kudos, WorkKind};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Engine,
    work::{Work, for_each_kind},
};

const REQUESTS: &str = "muster_requests_total";
const JOBS: &str = "muster_jobs_total";
const POPS: &str = "muster_pops_total";
const SKIPS: &str = "muster_pop_skips_total";
const KUDOS: &str = "muster_kudos_hundredths_total";
const PROMPTS_REFUSED: &str = "muster_prompts_refused_total";
const DUTY_SECONDS: &str = "muster_duty_seconds";
const DUTY_FAILURES: &str = "muster_duty_failures_total";
const QUEUE_JOBS: &str = "muster_queue_jobs";
const QUEUE_MODEL_JOBS: &str = "muster_queue_model_jobs";
const JOBS_IN_PROGRESS: &str = "muster_jobs_in_progress";
const WORKERS: &str = "muster_workers";
const WORKER_THREADS: &str = "muster_worker_threads";
const REQUESTS_IN_MEMORY: &str = "muster_requests_in_memory";
const BLOCKED_NETWORKS: &str = "muster_blocked_networks";
/// Models whose queues are published: the longest ones.
const MODELS: usize = 50;

/// Why kudos move.
#[derive(Clone, Copy, Debug, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Flow {
    /// Requesters pay when they send a request.
    Tax,
    /// Requesters pay for what is delivered.
    Charge,
    /// Workers earn by delivering.
    Reward,
    /// Workers earn by being there.
    Uptime,
    /// Accounts give to each other.
    Transfer,
}

/// What became of a job.
#[derive(Clone, Copy, Debug, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum JobOutcome {
    Delivered,
    /// It was given up: the worker failed or was too slow.
    GivenUp,
}

/// What became of a pop that was let in.
#[derive(Clone, Copy, Debug, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum PopOutcome {
    Job,
    Nothing,
}

fn name(kind: WorkKind) -> &'static str {
    match kind {
        WorkKind::Image => "image",
        WorkKind::Text => "text",
        WorkKind::Alchemy => "alchemy",
    }
}

/// A request was accepted.
pub(crate) fn request_accepted(kind: WorkKind) {
    counter!(REQUESTS, "kind" => name(kind)).increment(1);
}

/// A job came to its end.
pub(crate) fn job_ended(kind: WorkKind, outcome: JobOutcome) {
    counter!(JOBS, "kind" => name(kind), "outcome" => <&str>::from(outcome)).increment(1);
}

/// A worker was answered.
pub(crate) fn popped(kind: WorkKind, outcome: PopOutcome) {
    counter!(POPS, "kind" => name(kind), "outcome" => <&str>::from(outcome)).increment(1);
}

/// A worker was told why it gets nothing.
pub(crate) fn skipped(kind: WorkKind, skipped: &impl Serialize) {
    let Ok(Value::Object(reasons)) = serde_json::to_value(skipped) else {
        return;
    };
    for (reason, count) in reasons {
        if let Some(count) = count.as_u64().filter(|count| *count > 0) {
            counter!(SKIPS, "kind" => name(kind), "reason" => reason).increment(count);
        }
    }
}

/// Kudos have moved.
pub(crate) fn kudos_moved(flow: Flow, amount: Kudos) {
    if let Ok(hundredths) = u64::try_from(amount.hundredths()) {
        counter!(KUDOS, "flow" => <&str>::from(flow)).increment(hundredths);
    }
}

/// A prompt was refused.
pub(crate) fn prompt_refused() {
    counter!(PROMPTS_REFUSED).increment(1);
}

/// A background duty was done, or failed.
pub(crate) fn duty_done(duty: &'static str, took: Duration, failed: bool) {
    histogram!(DUTY_SECONDS, "duty" => duty).record(took.as_secs_f64());
    if failed {
        counter!(DUTY_FAILURES, "duty" => duty).increment(1);
    }
}

/// Says what the figures mean, and publishes those that count from zero on.
fn describe() {
    use strum::IntoEnumIterator as _;
    describe_counter!(REQUESTS, "Requests that were accepted");
    describe_counter!(JOBS, "Jobs that were delivered or given up");
    describe_counter!(POPS, "Pops of workers that were let in, by what they got");
    describe_counter!(SKIPS, "Requests that workers were passed over for, by reason");
    describe_counter!(KUDOS, "Hundredths of kudos that moved, by what for");
    describe_counter!(PROMPTS_REFUSED, "Prompts that filters refused");
    describe_histogram!(DUTY_SECONDS, Unit::Seconds, "How long background duties took");
    describe_counter!(DUTY_FAILURES, "Background duties that failed");
    describe_gauge!(QUEUE_JOBS, "Jobs that wait for a worker");
    describe_gauge!(
        QUEUE_MODEL_JOBS,
        "Jobs that wait for a worker, of the models with the longest queues"
    );
    describe_gauge!(JOBS_IN_PROGRESS, "Jobs that workers have");
    describe_gauge!(WORKERS, "Workers that were heard of in the last five minutes");
    describe_gauge!(WORKER_THREADS, "Threads of these workers");
    describe_gauge!(REQUESTS_IN_MEMORY, "Requests in memory, finished ones included");
    describe_gauge!(BLOCKED_NETWORKS, "Networks that are blocked");
    for kind in [WorkKind::Image, WorkKind::Text, WorkKind::Alchemy] {
        counter!(REQUESTS, "kind" => name(kind)).increment(0);
        for outcome in JobOutcome::iter() {
            counter!(JOBS, "kind" => name(kind), "outcome" => <&str>::from(outcome)).increment(0);
        }
        for outcome in PopOutcome::iter() {
            counter!(POPS, "kind" => name(kind), "outcome" => <&str>::from(outcome)).increment(0);
        }
    }
    for flow in Flow::iter() {
        counter!(KUDOS, "flow" => <&str>::from(flow)).increment(0);
    }
    counter!(PROMPTS_REFUSED).increment(0);
}

impl Engine {
    /// Says what the figures mean. To be called once a recorder is installed.
    pub fn describe_metrics(&self) {
        describe();
        self.store.describe_metrics();
    }

    /// Publishes how things are at this moment: before somebody looks.
    pub fn observe(&self) {
        let now = self.clock.now();
        let presence = self.workers.presence(now);
        for_each_kind!(W => {
            let kind = name(W::KIND);
            let live = W::desk(self).live.lock();
            gauge!(QUEUE_JOBS, "kind" => kind).set(live.board.totals().jobs as f64);
            gauge!(JOBS_IN_PROGRESS, "kind" => kind).set(live.board.jobs_in_progress() as f64);
            let mut models: Vec<(String, u64)> = live
                .board
                .models()
                .map(|(model, totals)| (model.to_owned(), totals.jobs))
                .filter(|(_, jobs)| *jobs > 0)
                .collect();
            drop(live);
            models.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
            for (model, jobs) in models.into_iter().take(MODELS) {
                gauge!(QUEUE_MODEL_JOBS, "kind" => kind, "model" => model).set(jobs as f64);
            }
            let present = presence.of(W::KIND);
            gauge!(WORKERS, "kind" => kind).set(present.workers as f64);
            gauge!(WORKER_THREADS, "kind" => kind).set(present.threads as f64);
        });
        gauge!(REQUESTS_IN_MEMORY).set(self.requests_in_memory() as f64);
        gauge!(BLOCKED_NETWORKS).set(self.blocks.networks(now).len() as f64);
        self.store.observe();
    }
}
