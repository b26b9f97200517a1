//! `generate/text/status`: how far a text request is and what came of it.

use muster_dispatch::text::Text;
use muster_protocol::{
    image::GenerationState,
    text::{Generation, MetadataValue, Status},
};

use crate::{
    Engine,
    error::Result,
    live::{Delivered, LiveRequest},
};

impl Engine {
    /// How far a request is, and its results.
    ///
    /// # Errors
    /// `RequestNotFound` if there is no such request (any more).
    pub async fn text_status(&self, id: &str) -> Result<Status> {
        let request = self.find_request::<Text>(id).await?;
        Ok(self.status_of_texts(&request))
    }

    /// Hands out no more jobs of a request. Answers with its status before that.
    ///
    /// # Errors
    /// As [`Engine::text_status`].
    pub async fn cancel_text_request(&self, id: &str) -> Result<Status> {
        let request = self.find_request::<Text>(id).await?;
        let status = self.status_of_texts(&request);
        self.cancel(&request).await?;
        Ok(status)
    }

    fn status_of_texts(&self, request: &LiveRequest<Text>) -> Status {
        let generations = request.delivered().map(|(job, delivered)| Generation {
            worker_id: job.worker,
            worker_name: self.workers.shown_name(job.worker),
            model: job.model.to_string(),
            state: state(delivered),
            text: delivered.result.clone(),
            seed: delivered.seed,
            gen_metadata: delivered.metadata.clone(),
        });
        Status {
            generations: generations.collect(),
            progress: self.progress(request),
        }
    }
}

/// What became of a text that was delivered.
pub(super) fn state(delivered: &Delivered<Text>) -> GenerationState {
    let illegal = delivered
        .metadata
        .iter()
        .any(|entry| entry.value == MetadataValue::Csam);
    match (illegal, delivered.censored) {
        (true, _) => GenerationState::Csam,
        (false, true) => GenerationState::Censored,
        (false, false) => GenerationState::Ok,
    }
}
