//! What happens without anyone asking: expiry, time-outs, writing down check-ins, pruning.
//!
//! One task runs them all. It sleeps until the board's next deadline or the next period, whichever
//! comes first, and is woken when a nearer deadline appears. It ends when the engine is stopped.

mod schedule;

use std::{
    collections::HashMap,
    future::Future,
    time::{Duration, Instant},
};

use muster_dispatch::Due;
use muster_protocol::{RequestId, Timestamp};
use muster_store::Bucket;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::instrument;

use self::schedule::{Duty, Schedule};

use crate::{
    Engine,
    error::Result,
    metrics,
    requests::LIFETIME,
    work::{Work, for_each_kind},
};

/// The longest sleep, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How old pictures are when they are deleted. Their requests are gone long before.
const OBJECT_LIFETIME: Duration = Duration::from_hours(2);
/// How long refused prompts are kept.
const PROMPT_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// Requests that one change forgets at most: everybody else's changes wait as long as that takes.
const EXPIRY_BATCH: usize = 50;

/// Duties that run beside the others, each once at a time. They are given up when this is dropped.
#[derive(Default)]
struct Beside {
    tasks: JoinSet<()>,
    running: HashMap<Duty, AbortHandle>,
}

impl Beside {
    fn start(&mut self, engine: &Engine, duty: Duty) {
        if self.running.get(&duty).is_none_or(AbortHandle::is_finished) {
            let engine = engine.clone();
            let task = self.tasks.spawn(async move { engine.perform(duty).await });
            self.running.insert(duty, task);
        }
        while self.tasks.try_join_next().is_some() {}
    }
}

impl Engine {
    /// Runs the background duties until `stop` is cancelled, then writes down what is left.
    pub(crate) async fn run_duties(self, stop: CancellationToken) {
        // Whoever's month ended while the server was down, or who supports the horde since, is not kept waiting.
        self.perform(Duty::MonthlyKudos).await;
        let mut beside = Beside::default();
        beside.start(&self, Duty::Supporters);
        let mut schedule = Schedule::new(&self.config, self.clock.now(), &mut *self.rng.lock());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.next_deadline()) => {}
            }
            self.observed("deadlines", self.serve_deadlines()).await;
            let due = schedule.due(self.clock.now(), &mut *self.rng.lock());
            for duty in due {
                if duty.is_long() {
                    beside.start(&self, duty);
                } else {
                    self.perform(duty).await;
                }
            }
        }
        self.perform(Duty::CheckIns).await;
        self.perform(Duty::FilterHits).await;
    }

    /// Does a duty once.
    #[instrument(name = "horde.duty", parent = None, skip_all, fields(horde.duty.name = <&str>::from(duty)))]
    async fn perform(&self, duty: Duty) {
        let now = self.clock.now();
        let name = duty.into();
        match duty {
            Duty::CheckIns => self.observed(name, self.flush_check_ins()).await,
            Duty::FinishedRequests => self.observed(name, self.prune(now)).await,
            Duty::Messages => self.messages.forget_expired(now),
            Duty::FilterHits => self.observed(name, self.flush_filter_hits()).await,
            Duty::Filters => self.observed(name, self.refresh_filters()).await,
            Duty::Blocks => self.observed(name, self.refresh_blocks(now)).await,
            Duty::Modes => self.observed(name, self.read_modes()).await,
            Duty::ProblemJobs => self.observed(name, self.prune_problems(now)).await,
            Duty::Supporters => self.observed(name, self.refresh_supporters()).await,
            Duty::MonthlyKudos => self.observed(name, self.pay_monthly_kudos()).await,
            Duty::Objects => self.observed(name, self.sweep_objects(now)).await,
        }
    }

    /// Measures a duty, and tells if it failed. It is tried again when it is due the next time.
    async fn observed(&self, name: &'static str, work: impl Future<Output = Result<()>>) {
        let started = Instant::now();
        let outcome = work.await;
        metrics::duty_done(name, started.elapsed(), outcome.is_err());
        if let Err(error) = outcome {
            tracing::error!(%error, duty = name, "a background duty failed; it is tried again");
        }
    }

    fn next_deadline(&self) -> Duration {
        let mut due: Option<Timestamp> = None;
        for_each_kind!(W => {
            let next = W::desk(self).live.lock().board.next_due();
            due = [due, next].into_iter().flatten().min();
        });
        due.map_or(LONGEST_SLEEP, |due| {
            due.since(self.clock.now()).min(LONGEST_SLEEP)
        })
    }

    /// Gives up what is past its time: requests and jobs. The background duties call it at the right
    /// moments; tests call it after moving the clock.
    ///
    /// # Errors
    /// The database failed; what was not given up yet is tried again.
    pub async fn serve_deadlines(&self) -> Result<()> {
        for_each_kind!(W => self.serve_deadlines_of::<W>().await?);
        Ok(())
    }

    async fn serve_deadlines_of<W: Work>(&self) -> Result<()> {
        let now = self.clock.now();
        let due = W::desk(self).live.lock().board.due(now);
        let mut expired = Vec::new();
        for event in due {
            match event {
                Due::RequestExpired(request) => expired.push(request),
                Due::JobTimedOut(job) => self.give_up_job::<W>(job).await?,
            }
        }
        self.expire(expired, now).await
    }

    async fn expire(&self, requests: Vec<RequestId>, now: Timestamp) -> Result<()> {
        for batch in requests.chunks(EXPIRY_BATCH) {
            let expired = self.store.journal().expire_requests(batch.to_vec(), now).await?;
            for_each_kind!(W => {
                let mut live = W::desk(self).live.lock();
                for request in &expired.deleted {
                    live.remove(*request);
                }
                for (request, expiry) in &expired.kept {
                    live.extend(*request, *expiry);
                }
            });
        }
        Ok(())
    }

    async fn flush_check_ins(&self) -> Result<()> {
        let check_ins = self.workers.take_dirty();
        Ok(self.store.journal().check_in_workers(check_ins).await?)
    }

    /// Deletes results and source images that nobody asks for any more, and old refused prompts.
    async fn sweep_objects(&self, now: Timestamp) -> Result<()> {
        let buckets = [
            (Bucket::Transient, OBJECT_LIFETIME),
            (Bucket::Source, OBJECT_LIFETIME),
            (Bucket::Prompts, PROMPT_LIFETIME),
        ];
        for (bucket, lifetime) in buckets {
            let pruned = self.blobs.prune(bucket, now - lifetime).await?;
            if pruned > 0 {
                tracing::info!(pruned, bucket = bucket.as_ref(), "old objects were deleted");
            }
        }
        Ok(())
    }

    /// Forgets finished requests whose time is over. They are not on the board any more, so nothing
    /// else reminds the engine of them.
    async fn prune(&self, now: Timestamp) -> Result<()> {
        let quiet_since = now - LIFETIME;
        loop {
            let expired = self
                .store
                .expired_requests(now, quiet_since, EXPIRY_BATCH as u64)
                .await?;
            let last = expired.len() < EXPIRY_BATCH;
            self.expire(expired, now).await?;
            if last {
                return Ok(());
            }
        }
    }
}
