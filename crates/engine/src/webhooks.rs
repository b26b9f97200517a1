//! Webhooks: results are announced to the address that their request names (spec: image, section 13).
//!
//! What is to be announced is written down in the transaction that accepts the result, so an announcement
//! survives a restart. It is made at least once: if the server dies between the other side's answer and the
//! note of it, it is made again. After [`PAUSES`] it is given up.

use std::{collections::BTreeSet, time::Duration};

use futures_util::StreamExt as _;
use muster_protocol::{JobId, Timestamp};
use muster_store::WebhookDelivery;
use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{Engine, error::Result};

/// How long the other side may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long to wait after each attempt in vain; after the last one there is no more.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_mins(40),
];
/// Announcements that are made at the same time.
const AT_ONCE: usize = 64;
/// The longest sleep, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// What is to be announced, and when. Only that much is in memory.
#[derive(Default)]
pub(crate) struct WebhookQueue {
    due: Mutex<BTreeSet<(Timestamp, JobId)>>,
    /// Wakes the courier when something nearer appeared.
    wake: Notify,
}

impl WebhookQueue {
    fn add(&self, at: Timestamp, job: JobId) {
        self.due.lock().insert((at, job));
        self.wake.notify_one();
    }

    /// Takes what is due.
    fn take(&self, now: Timestamp) -> Vec<JobId> {
        let mut due = self.due.lock();
        let mut taken = Vec::new();
        while let Some(first) = due.first().copied().filter(|(at, _)| *at <= now) {
            due.remove(&first);
            taken.push(first.1);
        }
        taken
    }

    fn next(&self) -> Option<Timestamp> {
        self.due.lock().first().map(|(at, _)| *at)
    }
}

impl Engine {
    /// Takes up what was still to be announced when the server stopped.
    pub(crate) async fn restore_webhooks(&self) -> Result<()> {
        for (job, at) in self.store.pending_webhook_deliveries().await? {
            self.webhooks.add(at, job);
        }
        Ok(())
    }

    /// Announces a result that was just accepted.
    pub(crate) fn announce(&self, job: JobId) {
        self.webhooks.add(self.clock.now(), job);
    }

    /// Makes announcements until `stop` is cancelled. What is being announced then is finished.
    pub(crate) async fn run_webhooks(self, stop: CancellationToken) {
        loop {
            let sleep = self.webhooks.next().map_or(LONGEST_SLEEP, |next| {
                next.since(self.clock.now()).min(LONGEST_SLEEP)
            });
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.webhooks.wake.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
            self.deliver_webhooks().await;
        }
    }

    /// Makes the announcements that are due. The background duties call it at the right moments; tests
    /// call it after moving the clock.
    pub async fn deliver_webhooks(&self) {
        let due = self.webhooks.take(self.clock.now());
        futures_util::stream::iter(due)
            .for_each_concurrent(AT_ONCE, async |job| {
                if let Err(error) = self.deliver_webhook(job).await {
                    tracing::error!(%error, %job, "an announcement could not be looked up; it is tried again");
                    self.webhooks.add(self.clock.now() + LONGEST_SLEEP, job);
                }
            })
            .await;
    }

    async fn deliver_webhook(&self, job: JobId) -> Result<()> {
        let Some(delivery) = self.store.webhook_delivery(job).await? else {
            return Ok(());
        };
        let body = self.announcement(&delivery).await?;
        match self.outbound.post(&delivery.url, &body, TIMEOUT).await {
            Ok(()) => self.store.forget_webhook_delivery(job).await?,
            Err(error) => {
                let attempts = delivery.attempts + 1;
                let Some(pause) = PAUSES.get(delivery.attempts as usize) else {
                    tracing::warn!(%error, %job, attempts, "a result could not be announced; that is given up");
                    return Ok(self.store.forget_webhook_delivery(job).await?);
                };
                tracing::debug!(%error, %job, attempts, "a result could not be announced; that is tried again");
                // Many results that failed together should not be tried together.
                let jitter = self.rng.lock().random_range(0.8..1.2);
                let next = self.clock.now() + pause.mul_f64(jitter);
                self.store.postpone_webhook_delivery(job, attempts, next).await?;
                self.webhooks.add(next, job);
            }
        }
        Ok(())
    }

    /// What is announced: pictures as a client would get them now, so that their addresses are fresh.
    async fn announcement(&self, delivery: &WebhookDelivery) -> Result<serde_json::Value> {
        let mut body = delivery.body.clone();
        if let Some(result) = body.get("img").and_then(serde_json::Value::as_str) {
            body["img"] = self.picture(delivery.job, result, delivery.as_url).await?.into();
        }
        if let Some(result) = body.get("result").map(serde_json::Value::to_string) {
            body["result"] = self.form_result(delivery.job, &result)?.into();
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_due_is_taken_once_and_in_order() {
        let queue = WebhookQueue::default();
        let job = |number| JobId(Uuid::from_u128(number));
        let at = Timestamp::from_millis;
        queue.add(at(20), job(1));
        queue.add(at(10), job(2));
        queue.add(at(30), job(3));
        assert_eq!(queue.next(), Some(at(10)));
        assert_eq!(queue.take(at(20)), [job(2), job(1)]);
        assert_eq!(queue.take(at(20)), []);
        assert_eq!(queue.next(), Some(at(30)));
    }

    #[test]
    fn an_announcement_is_tried_for_an_hour() {
        let whole: Duration = PAUSES.iter().sum();
        assert!(whole > Duration::from_hours(1) && whole < Duration::from_mins(70));
    }
}
