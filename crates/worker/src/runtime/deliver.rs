//! How results reach the server: uploads with a fallback, submissions with retries.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use muster_protocol::{
    JobId,
    image::{GenerationState, Metadata, MetadataType, MetadataValue, SubmitInput},
};
use tokio::time::Instant;

use super::{
    Shared, WorkerEvent,
    verdict::{SubmitVerdict, judge_submit},
};
use crate::{
    backend::{Job, Picture},
    backoff::Backoff,
    client::ClientError,
};

/// What a submission says when the picture was uploaded, and when there is none.
const UPLOADED: &str = "R2";

impl<B> Shared<B> {
    /// Uploads and submits the pictures of a job one after the other.
    pub(super) async fn deliver(
        &self,
        job: &Job,
        uploads: &[String],
        pictures: Vec<Picture>,
        popped_at: Instant,
    ) {
        let batched = job.ids.len() > 1;
        for (index, (&id, picture)) in job.ids.iter().zip(pictures).enumerate() {
            let generation = self.hand_over(uploads.get(index), &picture.webp).await;
            let mut gen_metadata = picture.metadata;
            if batched {
                gen_metadata.push(Metadata {
                    kind: MetadataType::BatchIndex,
                    value: MetadataValue::SeeRef,
                    reference: Some(index.to_string()),
                });
            }
            let submission = SubmitInput {
                id: id.to_string(),
                generation: Some(generation),
                state: picture.state,
                seed: picture.seed.cast_signed(),
                censored: matches!(picture.state, GenerationState::Censored | GenerationState::Csam),
                gen_metadata,
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
    pub(super) async fn give_back(&self, ids: &[JobId], seed: u64, reason: &str) {
        for &id in ids {
            let submission = SubmitInput {
                id: id.to_string(),
                generation: Some(UPLOADED.to_owned()),
                state: GenerationState::Faulted,
                seed: seed.cast_signed(),
                censored: false,
                gen_metadata: Vec::new(),
            };
            let mut reason = reason.to_owned();
            if let Err(error) = self.submit(&submission).await {
                // The server finds out by itself when the time of the job is up.
                reason = format!("{reason}; and the server could not be told: {error}");
            }
            self.report(WorkerEvent::Faulted { id, reason });
        }
    }

    /// Uploads a picture and says so, or, if that fails or is not wanted, the picture as base64.
    async fn hand_over(&self, upload: Option<&String>, webp: &Bytes) -> String {
        if let (Some(url), false) = (upload, self.config.inline) {
            let mut backoff = Backoff::new(self.config.retry);
            // A third of the tries: there is another way, and the job's time is running.
            for _ in 0..self.config.retry.attempts.div_ceil(3) {
                match self.client.put_blob(url, webp.clone()).await {
                    Ok(()) => return UPLOADED.to_owned(),
                    Err(error) if error.is_temporary() => self.pause(&mut backoff, &error).await,
                    Err(error) => {
                        tracing::warn!(%error, "upload refused, sending the picture inside");
                        break;
                    }
                }
            }
        }
        STANDARD.encode(webp)
    }

    /// Submits until the server has decided.
    async fn submit(&self, submission: &SubmitInput) -> Result<f64, ClientError> {
        let mut backoff = Backoff::new(self.config.retry);
        loop {
            let error = match self.client.submit(submission).await {
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
