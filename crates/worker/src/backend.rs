//! [`Backend`], [`TextBackend`], [`AlchemyBackend`]: what a worker needs from the thing that does the work.
//!
//! The runtime pops jobs, delivers results and minds the clock; a backend turns a job into results and knows
//! nothing of the horde.

use std::future::Future;

use bytes::Bytes;
use muster_protocol::{
    JobId,
    alchemy::Form,
    image::{ExtraSourceImage, GenerationState, JobPayload, Metadata, Popped, SourceProcessing},
    text::Params,
};
use serde_json::{Map, Value};
use thiserror::Error;

/// Makes pictures.
pub trait Backend: Send + Sync + 'static {
    /// Makes all pictures of a job, one for each of its ids, in their order.
    ///
    /// The future may be dropped when time runs out; it must not block its thread.
    fn generate(
        &self,
        job: &Job,
        progress: &Progress<'_>,
    ) -> impl Future<Output = Result<Vec<Picture>, BackendError>> + Send;
}

/// Writes texts.
pub trait TextBackend: Send + Sync + 'static {
    /// Writes a text for each of a job's ids, in their order.
    ///
    /// The future may be dropped when time runs out; it must not block its thread.
    fn write(
        &self,
        job: &TextJob,
        progress: &Progress<'_>,
    ) -> impl Future<Output = Result<Vec<Written>, BackendError>> + Send;
}

/// Finds something out about pictures, or makes other ones of them.
pub trait AlchemyBackend: Send + Sync + 'static {
    /// Does one form.
    ///
    /// The future may be dropped when time runs out; it must not block its thread.
    fn transform(
        &self,
        job: &FormJob,
        progress: &Progress<'_>,
    ) -> impl Future<Output = Result<FormProduct, BackendError>> + Send;
}

/// What to write.
#[derive(Clone, Debug, PartialEq)]
pub struct TextJob {
    /// The jobs that were popped together.
    pub ids: Vec<JobId>,
    /// The model to use; empty if the server leaves it open.
    pub model: String,
    /// What is to be continued.
    pub prompt: String,
    /// Everything else.
    pub params: Params,
}

/// A finished text.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The text, without the prompt.
    pub text: String,
    /// The seed that made it.
    pub seed: i64,
    /// Delivered as wanted, or censored.
    pub state: GenerationState,
}

/// What to do with a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct FormJob {
    /// The job.
    pub id: JobId,
    /// The form.
    pub form: Form,
    /// Its parameters, as text.
    pub payload: Map<String, Value>,
    /// The picture, a file of any usual kind.
    pub picture: Bytes,
}

/// What comes of a form.
#[derive(Clone, Debug, PartialEq)]
pub enum FormProduct {
    /// What was found out.
    Finding(Value),
    /// Another picture, a WebP file.
    Picture(Bytes),
}

/// How a backend tells that it gets on: the finished share, from 0 to 1.
pub type Progress<'a> = dyn Fn(f32) + Send + Sync + 'a;

/// What to generate: the answer to a pop, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The jobs that were popped together; they differ only in their seed.
    pub ids: Vec<JobId>,
    /// The model to use.
    pub model: String,
    /// The seed of the first picture; the others count up from it.
    pub seed: u64,
    /// Everything else about the pictures.
    pub payload: JobPayload,
    /// The picture to start from, a WebP file.
    pub source_image: Option<Bytes>,
    /// What to do with it.
    pub source_processing: SourceProcessing,
    /// Which part of it to paint over, a WebP file: where it is bright.
    pub source_mask: Option<Bytes>,
    /// Further source images.
    pub extra_source_images: Vec<ExtraSourceImage>,
}

impl Job {
    /// The job in the answer to a pop, without its source images yet; `None` if there is none.
    pub fn from_popped(popped: &Popped) -> Option<Result<Self, BackendError>> {
        let first = popped.id?;
        let ids = match popped.ids.as_slice() {
            [] => vec![first],
            ids => ids.to_vec(),
        };
        Some(Self::checked(ids, popped))
    }

    fn checked(ids: Vec<JobId>, popped: &Popped) -> Result<Self, BackendError> {
        let unusable = |what: &str| BackendError::Unusable(what.to_owned());
        let model = popped
            .model
            .clone()
            .ok_or_else(|| unusable("it names no model"))?;
        let seed = popped
            .payload
            .seed
            .as_deref()
            .and_then(|seed| seed.parse().ok())
            .ok_or_else(|| unusable("its seed is not a number"))?;
        if popped.payload.prompt.is_none() {
            return Err(unusable("it has no prompt"));
        }
        Ok(Self {
            ids,
            model,
            seed,
            payload: popped.payload.clone(),
            source_image: None,
            source_processing: popped.source_processing,
            source_mask: None,
            extra_source_images: popped.extra_source_images.clone().unwrap_or_default(),
        })
    }

    /// The prompt without its negative part.
    pub fn prompt(&self) -> &str {
        let prompt = self.payload.prompt.as_deref().unwrap_or_default();
        prompt.split("###").next().unwrap_or_default().trim()
    }

    /// The seed of one of the pictures.
    pub fn seed_of(&self, index: usize) -> u64 {
        self.seed.wrapping_add(index as u64)
    }

    /// The work in it: pixels times model evaluations, for all pictures, in millions.
    pub fn megapixelsteps(&self) -> f64 {
        let pixels = f64::from(self.payload.width) * f64::from(self.payload.height);
        let steps = self.payload.sampler_name.accurate_steps(self.payload.ddim_steps);
        pixels * f64::from(steps) * self.ids.len() as f64 / 1e6
    }
}

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The file, in the WebP format.
    pub webp: Bytes,
    /// The seed that made it.
    pub seed: u64,
    /// Delivered as wanted, or replaced by a placeholder.
    pub state: GenerationState,
    /// Remarks for the requester.
    pub metadata: Vec<Metadata>,
}

/// Why there are no pictures.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BackendError {
    /// The job does not make sense to this backend.
    #[error("the job cannot be used: {0}")]
    Unusable(String),
    /// Something broke.
    #[error("the backend failed: {0}")]
    Failed(String),
}
