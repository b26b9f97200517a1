//! `generate/submit`: a worker brings a result, or the news that there is none.

use std::{str::FromStr, sync::Arc};

use bytes::Bytes;
use muster_kudos::image::settlement;
use muster_protocol::{
    JobId, Kudos, RequestId, ReturnCode, Timestamp, UserId, WorkerId,
    image::{GenerationState, MetadataType, SubmitInput, Submitted},
};
use muster_store::{Bucket, FinishJob, FinishOutcome, JobState, NewWebhookDelivery, Tallies};
use serde_json::json;

use super::{
    UPLOADED, blob_key,
    result::{self, Sent},
    settlement::Delivery,
};
use crate::{
    Call, Engine, EngineError,
    error::Result,
    live::{Delivered, LiveJobState},
    requests::{ImageRequest, LIFETIME},
};

/// The most remarks about one result.
const METADATA_LIMIT: usize = 50;

/// A job as the submission finds it.
struct Found {
    request: RequestId,
    spec: Arc<ImageRequest>,
    requester: UserId,
    price: f64,
    things: u64,
    worker: WorkerId,
    model: Arc<str>,
    webhook: Option<Arc<str>>,
    started: Timestamp,
    fake: bool,
    state: JobState,
}

impl Engine {
    /// Accepts a result, pays for it, and tells the worker its reward.
    ///
    /// When this returns, the result and all kudos are durable.
    ///
    /// # Errors
    /// `InvalidJobID` (404), an unknown key (401), `WrongCredentials` for somebody else's job,
    /// `DuplicateGen` for a job that is delivered already and `AbortedGen` for one that was given up.
    pub async fn submit_image_job(&self, call: &Call, input: SubmitInput) -> Result<Submitted> {
        call.key()?;
        let Some(generation) = input.generation.as_deref() else {
            return Err(EngineError::missing("generation", "JSON body"));
        };
        let (id, found) = self.find_job(&input.id).await?;
        let owner = self.caller(call).await?;
        if self
            .workers
            .get(found.worker)
            .is_none_or(|worker| worker.lock().owner != owner.id())
        {
            let message = "Wrong credentials: this job was given to another account's worker.";
            return Err(EngineError::refused(ReturnCode::WrongCredentials, message));
        }
        if input.gen_metadata.len() > METADATA_LIMIT {
            let message = format!("A result has at most {METADATA_LIMIT} metadata entries.");
            return Err(EngineError::refused(ReturnCode::BadRequest, message));
        }
        let faulted = input.state == GenerationState::Faulted;
        match found.state {
            JobState::Done => self.duplicate(&found),
            JobState::Faulted => aborted(faulted),
            JobState::Processing if faulted => {
                self.give_up_job(id).await?;
                Ok(Submitted { reward: 0.0 })
            }
            JobState::Processing => {
                let result = self.keep_result(id, generation).await?;
                self.deliver(id, found, &owner, &input, result).await
            }
        }
    }

    async fn find_job(&self, id: &str) -> Result<(JobId, Found)> {
        let unknown = || {
            let id = crate::text::truncate(id, 64);
            EngineError::refused(
                ReturnCode::InvalidJobId,
                format!("Processing Job with ID {id} does not exist."),
            )
        };
        let id = JobId::from_str(id).map_err(|_| unknown())?;
        if let Some(found) = self.live_job(id) {
            return Ok((id, found));
        }
        // The request is finished and forgotten in memory, or gone.
        let Some(job) = self.store.job(id).await? else {
            return Err(unknown());
        };
        let request = self
            .recall(job.request)
            .await?
            .filter(|request| request.expiry > self.clock.now());
        let request = request.ok_or_else(unknown)?;
        let found = Found {
            request: request.id,
            spec: request.spec,
            requester: request.user,
            price: request.price,
            things: request.things,
            worker: job.worker,
            model: job.model.into(),
            webhook: request.webhook,
            started: job.started,
            fake: job.fake,
            state: job.state,
        };
        Ok((id, found))
    }

    fn live_job(&self, id: JobId) -> Option<Found> {
        let live = self.live.lock();
        let (request, job) = live.job(id)?;
        if request.expiry <= self.clock.now() {
            return None;
        }
        Some(Found {
            request: request.id,
            spec: Arc::clone(&request.spec),
            requester: request.user,
            price: request.price,
            things: request.things,
            worker: job.worker,
            model: Arc::clone(&job.model),
            webhook: request.webhook.clone(),
            started: job.started,
            fake: job.fake,
            state: match job.state {
                LiveJobState::Processing => JobState::Processing,
                LiveJobState::Done(_) => JobState::Done,
                LiveJobState::Faulted => JobState::Faulted,
            },
        })
    }

    /// Stores what the worker sent along. Answers what the job's result is: `R2` or a text.
    async fn keep_result(&self, id: JobId, generation: &str) -> Result<String> {
        if generation == UPLOADED {
            return Ok(UPLOADED.to_owned());
        }
        let sent = if result::is_quick(generation) {
            result::read(generation)
        } else {
            let generation = generation.to_owned();
            self.studio
                .work(move || result::read(&generation))
                .await
                .ok_or(EngineError::Stopping)?
        };
        match sent {
            Sent::Picture(bytes) => {
                self.put_result(id, bytes).await?;
                Ok(UPLOADED.to_owned())
            }
            Sent::Text => Ok(generation.replace('\0', "\u{fffd}")),
        }
    }

    async fn put_result(&self, id: JobId, bytes: Bytes) -> Result<()> {
        Ok(self.blobs.put(Bucket::Transient, &blob_key(id), bytes).await?)
    }

    async fn deliver(
        &self,
        id: JobId,
        found: Found,
        owner: &crate::accounts::Caller,
        input: &SubmitInput,
        result: String,
    ) -> Result<Submitted> {
        let now = self.clock.now();
        let priced = found.spec.priced();
        let reward = settlement::worker_reward(found.price, self.models().baseline(&found.model), &priced);
        let censored = input
            .gen_metadata
            .iter()
            .any(|entry| entry.kind == MetadataType::Censorship);
        let requester = self.accounts.get(&self.store, found.requester).await?;
        let settlement = match &requester {
            Some(requester) if !found.fake => Some(
                Delivery {
                    request: found.request,
                    job: id,
                    worker: found.worker,
                    requester,
                    owner,
                    priced: &priced,
                    terms: found.spec.terms(),
                    reward,
                    bridge_multiplier: self.bridge_multiplier(found.worker),
                    censored,
                    things: found.things,
                    at: now,
                }
                .settle(),
            ),
            _ => None,
        };
        let charge = settlement
            .as_ref()
            .map_or(Kudos::ZERO, |settlement| settlement.charge);
        let (event, tallies) = settlement.map_or((None, Tallies::default()), |settlement| {
            (Some(settlement.event), settlement.tallies)
        });
        // What becomes of a decoy says nothing about its request.
        let expiry = if found.fake { now } else { now + LIFETIME };
        let webhook = self.webhook_delivery(id, &found, input, &result, censored, reward);
        let announced = webhook.is_some();
        let finish = FinishJob {
            job: id,
            request: found.request,
            at: now,
            result: result.clone(),
            seed: input.seed,
            gen_metadata: (!input.gen_metadata.is_empty())
                .then(|| serde_json::to_value(&input.gen_metadata).expect("metadata is plain data")),
            censored,
            reward: Kudos::from_f64(reward),
            event,
            tallies,
            request_consumed: charge,
            request_expiry: expiry,
            webhook,
        };
        match self.store.journal().finish_job(finish).await? {
            FinishOutcome::Finished { balances } => {
                self.learn_balances(&balances);
                let metadata = input.gen_metadata.clone();
                let delivered = Delivered {
                    result,
                    seed: input.seed,
                    metadata,
                    censored,
                };
                self.delivered(id, &found, delivered, charge, expiry, now);
                if announced {
                    self.announce(id);
                }
                self.release_when_done(found.request).await;
                Ok(Submitted { reward })
            }
            FinishOutcome::AlreadyFinished { .. } => self.duplicate(&found),
            FinishOutcome::AlreadyFaulted => aborted(false),
            FinishOutcome::Unknown => {
                let message = format!("Processing Job with ID {id} does not exist.");
                Err(EngineError::refused(ReturnCode::InvalidJobId, message))
            }
        }
    }

    /// What is announced of a result; nothing of a decoy's.
    fn webhook_delivery(
        &self,
        job: JobId,
        found: &Found,
        input: &SubmitInput,
        result: &str,
        censored: bool,
        reward: f64,
    ) -> Option<NewWebhookDelivery> {
        let url = found.webhook.as_ref().filter(|_| !found.fake)?;
        Some(NewWebhookDelivery {
            url: url.to_string(),
            body: json!({
                "img": result,
                "seed": input.seed,
                "worker_id": found.worker,
                "worker_name": self.workers.name(found.worker),
                "model": found.model,
                "id": job,
                "censored": censored,
                "gen_metadata": input.gen_metadata,
                "request": found.request,
                "kudos": reward,
            }),
            as_url: found.spec.r2,
        })
    }

    /// Takes a delivery into memory once it is durable.
    fn delivered(
        &self,
        id: JobId,
        found: &Found,
        delivered: Delivered,
        charge: Kudos,
        expiry: Timestamp,
        now: Timestamp,
    ) {
        if !found.fake
            && let Some(worker) = self.workers.get(found.worker)
        {
            let seconds = now.since(found.started).as_secs_f64();
            worker.lock().add_sample(if seconds > 0.0 {
                found.things as f64 / seconds
            } else {
                1.0
            });
        }
        let mut live = self.live.lock();
        if let Some(request) = live.request_mut(found.request) {
            request.consumed += charge;
        }
        live.extend(found.request, expiry);
        live.end_job(id, LiveJobState::Done(Arc::new(delivered)));
    }

    /// The share of a reward that a worker's software earns.
    fn bridge_multiplier(&self, worker: WorkerId) -> f64 {
        let Some(worker) = self.workers.get(worker) else {
            return 1.0;
        };
        let worker = worker.lock();
        self.config.bridge_multipliers.multiplier(&worker.bridge_agent)
    }

    /// The answer to a second result. A worker in maintenance is spared the error.
    fn duplicate(&self, found: &Found) -> Result<Submitted> {
        if self
            .workers
            .get(found.worker)
            .is_some_and(|worker| worker.lock().maintenance)
        {
            return Ok(Submitted { reward: 0.0 });
        }
        let message = "This generation was already submitted.";
        Err(EngineError::refused(ReturnCode::DuplicateGen, message))
    }
}

/// The answer for a job that was given up. Whoever reports that it failed is right.
fn aborted(reports_fault: bool) -> Result<Submitted> {
    if reports_fault {
        return Ok(Submitted { reward: 0.0 });
    }
    let message = "This job took too long and was given to another worker. Please check your worker speed.";
    Err(EngineError::refused(ReturnCode::AbortedGen, message))
}
