//! How results reach the server: uploads with a fallback, submissions with retries.

use muster_protocol::JobId;
use tokio::time::Instant;

use super::{
    Shared, WorkerEvent,
    craft::{Craft, Handover, Parcel},
    verdict::{SubmitVerdict, judge_submit},
};
use crate::{backoff::Backoff, client::ClientError};

impl<C: Craft> Shared<C> {
    /// Uploads and submits the products of a task one after the other.
    pub(super) async fn deliver(&self, task: &C::Task, products: Vec<C::Product>, popped_at: Instant) {
        for (index, (&id, product)) in C::jobs(task).iter().zip(products).enumerate() {
            let file = match self.craft.parcel(task, index, &product) {
                Some(parcel) => self.hand_over(parcel).await,
                None => Handover::Nothing,
            };
            let submission = match self.craft.hand_in(task, index, product, file) {
                Ok(submission) => submission,
                Err(reason) => {
                    self.give_back(&[id], Some(task), &reason).await;
                    continue;
                }
            };
            self.report(match self.submit(&submission).await {
                Ok(reward) => WorkerEvent::Delivered {
                    id,
                    reward,
                    took: popped_at.elapsed(),
                },
                Err(error) => WorkerEvent::Lost {
                    id,
                    reason: error.to_string(),
                },
            });
        }
    }

    /// Tells the server that these jobs won't be done, so that somebody else gets them.
    pub(super) async fn give_back(&self, ids: &[JobId], task: Option<&C::Task>, reason: &str) {
        for &id in ids {
            let mut reason = reason.to_owned();
            if let Err(error) = self.submit(&C::give_back(id, task)).await {
                // The server finds out by itself when the time of the job is up.
                reason = format!("{reason}; and the server could not be told: {error}");
            }
            self.report(WorkerEvent::Faulted { id, reason });
        }
    }

    /// Uploads a file, or, if that fails or is not wanted, gives it back.
    async fn hand_over(&self, parcel: Parcel) -> Handover {
        let Parcel { file, url } = parcel;
        if let Some(url) = url {
            let mut backoff = Backoff::new(self.rhythm.retry);
            // A third of the tries: there may be another way, and the job's time is running.
            for _ in 0..self.rhythm.retry.attempts.div_ceil(3) {
                match self.client.put_blob(&url, file.clone()).await {
                    Ok(()) => return Handover::Uploaded,
                    Err(error) if error.is_temporary() => self.pause(&mut backoff, &error).await,
                    Err(error) => {
                        tracing::warn!(%error, "upload refused");
                        break;
                    }
                }
            }
        }
        Handover::Inside(file)
    }

    /// Submits until the server has decided.
    async fn submit(&self, submission: &C::Submission) -> Result<f64, ClientError> {
        let mut backoff = Backoff::new(self.rhythm.retry);
        loop {
            let error = match C::submit(&self.client, submission).await {
                Ok(accepted) => return Ok(accepted.reward),
                Err(error) => error,
            };
            match judge_submit(&error) {
                SubmitVerdict::Delivered => return Ok(0.0),
                SubmitVerdict::Retry if backoff.may_retry() => self.pause(&mut backoff, &error).await,
                SubmitVerdict::Retry | SubmitVerdict::Lost => return Err(error),
            }
        }
    }

    async fn pause(&self, backoff: &mut Backoff, error: &ClientError) {
        let again_in = backoff.pause(error.retry_after());
        self.report(WorkerEvent::Trouble {
            error: error.to_string(),
            again_in,
        });
        tokio::time::sleep(again_in).await;
    }
}
