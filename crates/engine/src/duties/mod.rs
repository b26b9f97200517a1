//! What happens without anyone asking: expiry, time-outs, writing down check-ins, pruning.
//!
//! One task runs them all. It sleeps until the board's next deadline or the next period, whichever
//! comes first, and is woken when a nearer deadline appears. It ends when the engine is stopped.

use std::time::Duration;

use muster_dispatch::Due;
use muster_protocol::{RequestId, Timestamp};
use muster_store::Bucket;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Engine,
    accounts::PAYDAY_INTERVAL,
    error::Result,
    requests::LIFETIME,
    work::{Work, for_each_kind},
};

/// The longest sleep, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How often old pictures are looked for, and how old they are then. Their requests are gone long before.
const SWEEP_INTERVAL: Duration = Duration::from_mins(5);
const OBJECT_LIFETIME: Duration = Duration::from_hours(2);
/// How long refused prompts are kept.
const PROMPT_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// Requests that one change forgets at most.
const EXPIRY_BATCH: usize = 500;

impl Engine {
    /// Runs the background duties until `stop` is cancelled, then writes down what is left.
    pub(crate) async fn run_duties(self, stop: CancellationToken) {
        let mut flushed = self.clock.now();
        let mut pruned = self.clock.now();
        let mut swept = self.clock.now();
        // Whoever's month ended while the server was down is not kept waiting.
        report("monthly kudos", self.pay_monthly_kudos().await);
        let mut paid = self.clock.now();
        let mut sweep: Option<JoinHandle<()>> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.next_deadline()) => {}
            }
            report("expiry and time-outs", self.serve_deadlines().await);
            let now = self.clock.now();
            if now.since(flushed) >= self.config.check_in_flush {
                flushed = now;
                report("writing check-ins", self.flush_check_ins().await);
            }
            if now.since(pruned) >= self.config.prune_interval {
                pruned = now;
                report("pruning", self.prune(now).await);
                self.messages.forget_expired(now);
                report("writing what filters found", self.flush_filter_hits().await);
                report("reading filters", self.refresh_filters().await);
                report("reading blocks", self.refresh_blocks(now).await);
                report("reading modes", self.read_modes().await);
                report("pruning censored jobs", self.prune_problems(now).await);
            }
            if now.since(paid) >= PAYDAY_INTERVAL {
                paid = now;
                report("monthly kudos", self.pay_monthly_kudos().await);
            }
            if now.since(swept) >= SWEEP_INTERVAL && sweep.as_ref().is_none_or(JoinHandle::is_finished) {
                swept = now;
                sweep = Some(tokio::spawn(self.clone().sweep_objects(now)));
            }
        }
        report("writing check-ins", self.flush_check_ins().await);
        report("writing what filters found", self.flush_filter_hits().await);
        if let Some(sweep) = sweep {
            sweep.abort();
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

    /// Deletes results and source images that nobody asks for any more, and old refused prompts. Lists whole buckets, so it runs
    /// beside the other duties.
    async fn sweep_objects(self, now: Timestamp) {
        let buckets = [
            (Bucket::Transient, OBJECT_LIFETIME),
            (Bucket::Source, OBJECT_LIFETIME),
            (Bucket::Prompts, PROMPT_LIFETIME),
        ];
        for (bucket, lifetime) in buckets {
            match self.blobs.prune(bucket, now - lifetime).await {
                Ok(0) => {}
                Ok(pruned) => tracing::info!(pruned, bucket = bucket.as_ref(), "old objects were deleted"),
                Err(error) => tracing::error!(%error, "old objects could not be deleted; it is tried again"),
            }
        }
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

fn report(duty: &str, outcome: Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, duty, "a background duty failed; it is tried again");
    }
}
