//! [`Texts`]: text generation, from the side of a worker.

use std::time::Duration;

use muster_protocol::{
    JobId,
    image::{GenerationState, Submitted},
    text::{PopInput, Popped, SubmitInput},
};

use super::craft::{Craft, Handover, Parcel, Unpacked};
use crate::{
    backend::{BackendError, Progress, TextBackend, TextJob, Written},
    client::{ApiClient, ClientError},
};

/// Writes texts with a backend.
#[derive(Debug)]
pub struct Texts<B> {
    pub(super) backend: B,
    pub(super) offer: PopInput,
}

/// A job with the time there is for it.
#[derive(Debug)]
pub struct TextTask {
    job: TextJob,
    ttl: Option<Duration>,
}

impl<B: TextBackend> Craft for Texts<B> {
    type Popped = Popped;
    type Task = TextTask;
    type Product = Written;
    type Submission = SubmitInput;

    fn threads(&self) -> u32 {
        self.offer.threads
    }

    async fn pop(&self, client: &ApiClient) -> Result<Popped, ClientError> {
        client.pop_text(&self.offer).await
    }

    fn unpack(&self, popped: Popped) -> Unpacked<TextTask> {
        let mut unpacked = Unpacked {
            notes: popped.messages.clone(),
            ..Unpacked::default()
        };
        let ids = match (popped.ids.is_empty(), popped.id) {
            (_, None) => return unpacked,
            (true, Some(id)) => vec![id],
            (false, Some(_)) => popped.ids,
        };
        let Some(prompt) = popped.payload.prompt else {
            let reason = "it has no prompt";
            unpacked
                .unusable
                .extend(ids.into_iter().map(|id| (id, reason.to_owned())));
            return unpacked;
        };
        unpacked.tasks.push(TextTask {
            job: TextJob {
                ids,
                model: popped.model.unwrap_or_default(),
                prompt,
                params: popped.payload.params,
            },
            ttl: popped.ttl.map(Duration::from_secs),
        });
        unpacked
    }

    async fn prepare(&self, _: &ApiClient, _: &mut TextTask) -> Result<(), String> {
        Ok(())
    }

    async fn make(&self, task: &TextTask, progress: &Progress<'_>) -> Result<Vec<Written>, BackendError> {
        self.backend.write(&task.job, progress).await
    }

    fn jobs(task: &TextTask) -> &[JobId] {
        &task.job.ids
    }

    fn describe(task: &TextTask) -> String {
        format!("{}, {} tokens", task.job.model, task.job.params.length())
    }

    fn time_to_live(task: &TextTask) -> Option<Duration> {
        task.ttl
    }

    fn parcel(&self, _: &TextTask, _: usize, _: &Written) -> Option<Parcel> {
        None
    }

    fn hand_in(
        &self,
        task: &TextTask,
        index: usize,
        written: Written,
        _: Handover,
    ) -> Result<SubmitInput, String> {
        Ok(SubmitInput {
            id: task.job.ids[index].to_string(),
            generation: Some(written.text),
            state: written.state,
            seed: written.seed,
            gen_metadata: Vec::new(),
        })
    }

    fn give_back(job: JobId, _: Option<&TextTask>) -> SubmitInput {
        SubmitInput {
            id: job.to_string(),
            generation: Some("faulted".to_owned()),
            state: GenerationState::Faulted,
            seed: -1,
            gen_metadata: Vec::new(),
        }
    }

    async fn submit(client: &ApiClient, submission: &SubmitInput) -> Result<Submitted, ClientError> {
        client.submit_text(submission).await
    }
}
