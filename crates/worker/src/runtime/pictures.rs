//! [`Pictures`]: image generation, from the side of a worker.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use muster_protocol::{
    JobId,
    image::{
        GenerationState, Metadata, MetadataType, MetadataValue, PopInput, Popped, SubmitInput, Submitted,
    },
};

use super::craft::{Craft, Handover, Parcel, Unpacked};
use crate::{
    backend::{Backend, BackendError, Job, Picture, Progress},
    client::{ApiClient, ClientError},
};

/// What a submission says when the picture was uploaded, and when there is none.
const UPLOADED: &str = "R2";

/// Makes pictures with a backend.
#[derive(Debug)]
pub struct Pictures<B> {
    pub(super) backend: B,
    pub(super) offer: PopInput,
    /// Send pictures inside the submission rather than upload them.
    pub(super) inline: bool,
}

/// A job with what is needed to begin and to hand it in.
#[derive(Debug)]
pub struct PictureTask {
    job: Job,
    ttl: Option<Duration>,
    uploads: Vec<String>,
    source_image: Option<String>,
    source_mask: Option<String>,
}

impl<B: Backend> Craft for Pictures<B> {
    type Popped = Popped;
    type Task = PictureTask;
    type Product = Picture;
    type Submission = SubmitInput;

    fn threads(&self) -> u32 {
        self.offer.threads
    }

    async fn pop(&self, client: &ApiClient) -> Result<Popped, ClientError> {
        client.pop(&self.offer).await
    }

    fn unpack(&self, popped: Popped) -> Unpacked<PictureTask> {
        let mut unpacked = Unpacked {
            notes: popped.messages.clone(),
            ..Unpacked::default()
        };
        match Job::from_popped(&popped) {
            None => {}
            Some(Ok(job)) => unpacked.tasks.push(PictureTask {
                job,
                ttl: popped.ttl.map(Duration::from_secs),
                uploads: popped
                    .r2_uploads
                    .unwrap_or_else(|| popped.r2_upload.into_iter().collect()),
                source_image: popped.source_image,
                source_mask: popped.source_mask,
            }),
            Some(Err(error)) => {
                let ids = if popped.ids.is_empty() {
                    Vec::from_iter(popped.id)
                } else {
                    popped.ids
                };
                let unusable = ids.into_iter().map(|id| (id, error.to_string()));
                unpacked.unusable.extend(unusable);
            }
        }
        unpacked
    }

    async fn prepare(&self, client: &ApiClient, task: &mut PictureTask) -> Result<(), String> {
        task.job.source_image = fetch_source(client, task.source_image.as_deref()).await?;
        task.job.source_mask = fetch_source(client, task.source_mask.as_deref()).await?;
        Ok(())
    }

    async fn make(&self, task: &PictureTask, progress: &Progress<'_>) -> Result<Vec<Picture>, BackendError> {
        self.backend.generate(&task.job, progress).await
    }

    fn jobs(task: &PictureTask) -> &[JobId] {
        &task.job.ids
    }

    fn describe(task: &PictureTask) -> String {
        let payload = &task.job.payload;
        format!(
            "{}, {}×{}, {} steps",
            task.job.model, payload.width, payload.height, payload.ddim_steps
        )
    }

    fn time_to_live(task: &PictureTask) -> Option<Duration> {
        task.ttl
    }

    fn parcel(&self, task: &PictureTask, index: usize, picture: &Picture) -> Option<Parcel> {
        Some(Parcel {
            file: picture.webp.clone(),
            url: task.uploads.get(index).filter(|_| !self.inline).cloned(),
        })
    }

    fn hand_in(
        &self,
        task: &PictureTask,
        index: usize,
        picture: Picture,
        file: Handover,
    ) -> Result<SubmitInput, String> {
        let mut gen_metadata = picture.metadata;
        if task.job.ids.len() > 1 {
            gen_metadata.push(Metadata {
                kind: MetadataType::BatchIndex,
                value: MetadataValue::SeeRef,
                reference: Some(index.to_string()),
            });
        }
        let generation = match file {
            Handover::Inside(file) => STANDARD.encode(file),
            Handover::Uploaded | Handover::Nothing => UPLOADED.to_owned(),
        };
        Ok(SubmitInput {
            id: task.job.ids[index].to_string(),
            generation: Some(generation),
            state: picture.state,
            seed: picture.seed.cast_signed(),
            censored: matches!(picture.state, GenerationState::Censored | GenerationState::Csam),
            gen_metadata,
        })
    }

    fn give_back(job: JobId, task: Option<&PictureTask>) -> SubmitInput {
        SubmitInput {
            id: job.to_string(),
            generation: Some(UPLOADED.to_owned()),
            state: GenerationState::Faulted,
            seed: task.map_or(0, |task| task.job.seed.cast_signed()),
            censored: false,
            gen_metadata: Vec::new(),
        }
    }

    async fn submit(client: &ApiClient, submission: &SubmitInput) -> Result<Submitted, ClientError> {
        client.submit(submission).await
    }
}

/// A picture that a job starts from. The error says why it cannot be had.
pub(super) async fn fetch_source(client: &ApiClient, source: Option<&str>) -> Result<Option<Bytes>, String> {
    let Some(source) = source else { return Ok(None) };
    if source.starts_with("http") {
        let fetched = client.get_blob(source).await;
        return fetched
            .map(Some)
            .map_err(|error| format!("a source image cannot be fetched: {error}"));
    }
    let decoded = STANDARD.decode(source);
    decoded
        .map(|bytes| Some(bytes.into()))
        .map_err(|_| "a source image is neither an address nor base64".to_owned())
}
