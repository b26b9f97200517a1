//! `generate/check` and `generate/status`: how far an image request is and what came of it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use muster_dispatch::image::Image;
use muster_protocol::{
    JobId,
    image::{Generation, GenerationState, Progress, Status},
};
use muster_store::Bucket;
use rand::seq::SliceRandom as _;

use crate::{
    Call, Engine,
    error::Result,
    jobs::{UPLOADED, blob_key},
    live::{Delivered, LiveJob, LiveRequest},
};

impl Engine {
    /// How far a request is.
    ///
    /// # Errors
    /// `Forbidden` for programs without a name at blocked addresses; `RequestNotFound` if there is no such request (any
    /// more).
    pub async fn image_progress(&self, call: &Call, id: &str) -> Result<Progress> {
        self.check_follower(call)?;
        let request = self.find_request::<Image>(id).await?;
        Ok(self.progress(&request))
    }

    /// How far a request is, and its results.
    ///
    /// # Errors
    /// `RequestNotFound` if there is no such request (any more); failures of the blob store.
    pub async fn image_status(&self, id: &str) -> Result<Status> {
        let request = self.find_request::<Image>(id).await?;
        self.status_of_images(&request).await
    }

    /// Hands out no more jobs of a request. Answers with its status before that.
    ///
    /// # Errors
    /// As [`Engine::image_status`].
    pub async fn cancel_image_request(&self, id: &str) -> Result<Status> {
        let request = self.find_request::<Image>(id).await?;
        let status = self.status_of_images(&request).await?;
        self.cancel(&request).await?;
        Ok(status)
    }

    async fn status_of_images(&self, request: &LiveRequest<Image>) -> Result<Status> {
        let mut generations = Vec::new();
        for (job, delivered) in request.delivered() {
            generations.push(self.generation(request, job, delivered).await?);
        }
        if request.spec.shared {
            // Who compares two must not learn from their order which is which.
            generations.shuffle(&mut *self.rng.lock());
        }
        Ok(Status {
            generations,
            shared: request.spec.shared,
            progress: self.progress(request),
        })
    }

    async fn generation(
        &self,
        request: &LiveRequest<Image>,
        job: &LiveJob<Image>,
        delivered: &Arc<Delivered<Image>>,
    ) -> Result<Generation> {
        Ok(Generation {
            img: self.picture(job.id, &delivered.result, request.spec.r2).await?,
            seed: delivered.seed.to_string(),
            id: job.id,
            censored: delivered.censored,
            gen_metadata: delivered.metadata.clone(),
            worker_id: job.worker,
            worker_name: self.workers.shown_name(job.worker),
            model: job.model.to_string(),
            state: GenerationState::Ok,
        })
    }

    /// The result as a client gets it: an address if it wants one and can use it, else base64.
    ///
    /// Several clients take anything that does not begin with `https` for base64, so plain addresses
    /// are never handed out.
    pub(crate) async fn picture(&self, job: JobId, result: &str, as_url: bool) -> Result<String> {
        if result != UPLOADED {
            return Ok(result.to_owned());
        }
        let key = blob_key(job);
        if as_url {
            let url = self
                .blobs
                .download_url(Bucket::Transient, &key, self.clock.now())?;
            if url.scheme() == "https" {
                return Ok(url.into());
            }
        }
        let bytes = self.blobs.get(Bucket::Transient, &key).await?;
        Ok(bytes.map_or_else(|| "N/A".to_owned(), |bytes| STANDARD.encode(bytes)))
    }
}
