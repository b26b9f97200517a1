//! `generate/check` and `generate/status`: how far a request is and what came of it.

use std::{str::FromStr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use muster_dispatch::{Waiting, wait_time};
use muster_protocol::{
    JobId, RequestId, ReturnCode,
    image::{Generation, GenerationState, Progress, Status},
};
use muster_store::Bucket;

use crate::{
    Engine, EngineError,
    error::Result,
    jobs::{UPLOADED, blob_key},
    live::{Delivered, LiveJob, LiveJobState, LiveRequest},
};

impl Engine {
    /// How far a request is.
    ///
    /// # Errors
    /// `RequestNotFound` if there is no such request (any more).
    pub async fn image_progress(&self, id: &str) -> Result<Progress> {
        let request = self.find_request(id).await?;
        Ok(self.progress(&request))
    }

    /// How far a request is, and its results.
    ///
    /// # Errors
    /// `RequestNotFound` if there is no such request (any more); failures of the blob store.
    pub async fn image_status(&self, id: &str) -> Result<Status> {
        let request = self.find_request(id).await?;
        self.status(&request).await
    }

    /// Hands out no more jobs of a request. Answers with its status before that.
    ///
    /// # Errors
    /// As [`Engine::image_status`].
    pub async fn cancel_image_request(&self, id: &str) -> Result<Status> {
        let request = self.find_request(id).await?;
        let status = self.status(&request).await?;
        if !request.cancelled {
            self.stop_request(request.id).await?;
        }
        Ok(status)
    }

    /// A request from memory or, if it is finished and forgotten there, from the store.
    async fn find_request(&self, id: &str) -> Result<LiveRequest> {
        let not_found = || {
            EngineError::refused(
                ReturnCode::RequestNotFound,
                "There is no image request with this id.",
            )
        };
        let id = RequestId::from_str(id).map_err(|_| not_found())?;
        let remembered = self.live.lock().request(id).cloned();
        let request = match remembered {
            Some(request) => request,
            None => self.recall(id).await?.ok_or_else(not_found)?,
        };
        if request.expiry <= self.clock.now() {
            return Err(not_found());
        }
        Ok(request)
    }

    fn progress(&self, request: &LiveRequest) -> Progress {
        let counts = request.counts();
        let place = self.live.lock().board.place(request.id);
        let settled = counts.processing + counts.finished;
        Progress {
            finished: counts.finished,
            processing: counts.processing,
            restarted: counts.faulted,
            waiting: (request.slots + request.reserved).min(request.total.saturating_sub(settled)),
            done: request.is_done(),
            faulted: request.faulted,
            wait_time: self.expected_wait(request, place.map_or((0, 0), |place| (place.things, place.jobs))),
            queue_position: place.map_or(0, |place| place.position),
            kudos: request.consumed.rounded() as f64,
            is_possible: self.is_possible(request),
        }
    }

    /// Seconds until the request is expected to be done. `ahead`: things and jobs in the queue up to
    /// and including it.
    fn expected_wait(&self, request: &LiveRequest, (things, jobs): (u64, u64)) -> u64 {
        let now = self.clock.now();
        let online = self.workers.online(now);
        let in_progress = request
            .jobs
            .iter()
            .filter(|job| !job.fake && matches!(job.state, LiveJobState::Processing))
            .map(|job| {
                let speed = online.speed_of(job.worker);
                Waiting::job_left(request.things, speed, now.since(job.started).as_secs_f64())
            })
            .fold(0.0, f64::max);
        let seconds = wait_time(Waiting {
            things,
            jobs,
            threads: online.threads,
            speed: online.mean_speed,
            in_progress,
        });
        // To clients, zero means that the result is about to come; some lose patience then.
        seconds.max(u64::from(request.slots > 0))
    }

    async fn status(&self, request: &LiveRequest) -> Result<Status> {
        let mut generations = Vec::new();
        for job in request.jobs.iter().filter(|job| !job.fake) {
            if let LiveJobState::Done(delivered) = &job.state {
                generations.push(self.generation(request, job, delivered).await?);
            }
        }
        Ok(Status {
            generations,
            shared: request.spec.shared,
            progress: self.progress(request),
        })
    }

    async fn generation(
        &self,
        request: &LiveRequest,
        job: &LiveJob,
        delivered: &Arc<Delivered>,
    ) -> Result<Generation> {
        Ok(Generation {
            img: self.picture(job.id, &delivered.result, request.spec.r2).await?,
            seed: delivered.seed.to_string(),
            id: job.id,
            censored: delivered.censored,
            gen_metadata: delivered.metadata.clone(),
            worker_id: job.worker,
            worker_name: self
                .workers
                .name(job.worker)
                .unwrap_or_else(|| "a deleted worker".to_owned()),
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
