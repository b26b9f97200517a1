//! How a result is accepted: it is paid for, made durable, and only then shown.

use std::{str::FromStr, sync::Arc};

use muster_protocol::{JobId, Kudos, RequestId, ReturnCode, Timestamp, UserId, WorkKind, WorkerId};
use muster_store::{FinishJob, FinishOutcome, JobState, NewWebhookDelivery, Suspicion, Tallies, WorkerTally};
use serde_json::Value;
use uuid::Uuid;

use super::{settlement::Delivery, work_tally};
use crate::{
    Engine, EngineError,
    accounts::Caller,
    error::Result,
    live::{Delivered, LiveJob, LiveRequest},
    metrics::{self, Flow, JobOutcome},
    names,
    requests::LIFETIME,
    work::{Part, Work},
};

/// The most remarks about one result.
const METADATA_LIMIT: usize = 50;

/// A job as whoever brings something for it finds it.
pub(crate) struct Found<W: Work> {
    pub(crate) id: JobId,
    pub(crate) request: RequestId,
    pub(crate) spec: Arc<W::Request>,
    pub(crate) requester: UserId,
    shared_key: Option<Uuid>,
    /// Price of the job before multipliers.
    pub(crate) price: f64,
    /// Work in the job.
    pub(crate) things: u64,
    pub(crate) part: Part,
    pub(crate) worker: WorkerId,
    pub(crate) model: Arc<str>,
    webhook: Option<Arc<str>>,
    pub(crate) started: Timestamp,
    pub(crate) fake: bool,
    pub(crate) state: JobState,
}

/// What is brought for a job, and what it is worth.
pub(crate) struct Finishing<W: Work> {
    pub(crate) delivered: Delivered<W>,
    /// What the worker is told.
    pub(crate) reward: f64,
    /// What its owner earns.
    pub(crate) earned: f64,
    /// What the requester pays.
    pub(crate) charge: f64,
    /// What it tells of the worker's speed; `None` if nothing.
    pub(crate) speed: Option<f64>,
    /// Nobody is that fast.
    pub(crate) too_fast: bool,
    /// What is announced.
    pub(crate) announcement: Value,
    /// Nothing is announced after all.
    pub(crate) silent: bool,
    /// Pictures are announced as addresses, if they can be.
    pub(crate) as_url: bool,
}

impl<W: Work> Found<W> {
    pub(crate) fn of(request: &LiveRequest<W>, job: &LiveJob<W>) -> Self {
        Self {
            id: job.id,
            request: request.id,
            spec: Arc::clone(&request.spec),
            requester: request.user,
            shared_key: request.shared_key,
            price: request.price,
            things: request.things,
            part: job.part,
            worker: job.worker,
            model: Arc::clone(&job.model),
            webhook: request.webhook.clone(),
            started: job.started,
            fake: job.fake,
            state: job.state.as_stored(),
        }
    }

    /// Things a second, if `done` of them were done at `now`.
    pub(crate) fn speed(&self, done: f64, now: Timestamp) -> f64 {
        let seconds = now.since(self.started).as_secs_f64();
        if seconds > 0.0 { done / seconds } else { 1.0 }
    }
}

impl Engine {
    /// A job that is known, whatever has become of it.
    ///
    /// # Errors
    /// `InvalidJobID`.
    pub(crate) async fn find_job<W: Work>(&self, id: &str) -> Result<Found<W>> {
        let job = JobId::from_str(id).map_err(|_| unknown(id))?;
        let now = self.clock.now();
        if let Some((request, job)) = W::desk(self).live.lock().job(job) {
            return if request.expiry > now {
                Ok(Found::of(request, job))
            } else {
                Err(unknown(id))
            };
        }
        // The request is finished and forgotten in memory, or gone.
        let Some(stored) = self.store.job(job).await? else {
            return Err(unknown(id));
        };
        let request = self.recall::<W>(stored.request).await?;
        let request = request.filter(|request| request.expiry > now);
        let found = request.and_then(|request| Some(Found::of(&request, request.job(job)?)));
        found.ok_or_else(|| unknown(id))
    }

    /// Whether a job is one of the caller's worker.
    ///
    /// # Errors
    /// `WrongCredentials`.
    pub(crate) fn check_worker<W: Work>(&self, found: &Found<W>, caller: &Caller) -> Result<()> {
        let worker = self.workers.get(found.worker);
        if worker.is_some_and(|worker| worker.lock().owner == caller.id()) {
            return Ok(());
        }
        let message = "Wrong credentials: this job was given to another account's worker.";
        Err(EngineError::refused(ReturnCode::WrongCredentials, message))
    }

    /// The answer for a job that is not in progress any more, or that is brought back; `None` if its result
    /// is welcome.
    ///
    /// # Errors
    /// `DuplicateGen` for a job that is delivered already and `AbortedGen` for one that was given up.
    pub(crate) async fn without_result<W: Work>(
        &self,
        found: &Found<W>,
        faulted: bool,
    ) -> Result<Option<f64>> {
        match found.state {
            JobState::Done => self.duplicate(found).map(Some),
            JobState::Faulted => aborted(faulted).map(Some),
            JobState::Processing if faulted => {
                self.give_up_job::<W>(found.id).await?;
                Ok(Some(0.0))
            }
            JobState::Processing => Ok(None),
        }
    }

    /// Accepts a result and pays for it. Answers what the worker is told.
    ///
    /// When this returns, the result and all kudos are durable.
    ///
    /// # Errors
    /// As [`Engine::without_result`], if somebody was faster.
    pub(crate) async fn finish<W: Work>(
        &self,
        found: &Found<W>,
        owner: &Caller,
        finishing: Finishing<W>,
    ) -> Result<f64> {
        let now = self.clock.now();
        let Finishing { reward, charge, .. } = finishing;
        let charge = Kudos::from_f64(charge);
        let requester = self.accounts.get(&self.store, found.requester).await?;
        let settlement = requester.as_ref().filter(|_| !found.fake).map(|requester| {
            let delivery = Delivery {
                request: found.request,
                job: found.id,
                worker: found.worker,
                requester,
                shared_key: found.shared_key,
                team: self.team_of::<W>(found.worker),
                owner,
                earned: finishing.earned,
                charge,
                things: found.things,
                at: now,
            };
            delivery.settle::<W>()
        });
        let charge = if settlement.is_some() { charge } else { Kudos::ZERO };
        let (event, mut tallies) = settlement.map_or((None, Tallies::default()), |settlement| {
            (Some(settlement.event), settlement.tallies)
        });
        let work = if found.fake {
            None
        } else {
            work_tally::<W>(&found.spec, &found.model, now)
        };
        tallies.work.extend(work.clone());
        // What becomes of a decoy says nothing about its request.
        let expiry = if found.fake { now } else { now + LIFETIME };
        let delivered = &finishing.delivered;
        let webhook = found
            .webhook
            .as_ref()
            .filter(|_| !found.fake && !finishing.silent);
        let webhook = webhook.map(|url| NewWebhookDelivery {
            url: url.to_string(),
            body: finishing.announcement,
            as_url: finishing.as_url,
        });
        let announced = webhook.is_some();
        let done = tallies.workers.clone();
        let finish = FinishJob {
            job: found.id,
            request: found.request,
            at: now,
            result: delivered.result.clone(),
            seed: delivered.seed,
            gen_metadata: (!delivered.metadata.is_empty())
                .then(|| serde_json::to_value(&delivered.metadata).expect("metadata is plain data")),
            censored: delivered.censored,
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
                if !found.fake {
                    metrics::job_ended(W::KIND, JobOutcome::Delivered);
                    metrics::kudos_moved(Flow::Charge, charge);
                    metrics::kudos_moved(Flow::Reward, Kudos::from_f64(finishing.earned));
                }
                self.count_for_workers(&done);
                self.evaluate_trust(owner.id()).await;
                if let Some(work) = &work {
                    self.statistics.count(work);
                }
                if let Some(speed) = finishing.speed.filter(|_| !found.fake) {
                    self.statistics.count_speed(W::KIND, &found.model, now, speed);
                }
                self.finished(found, finishing.delivered, charge, expiry, finishing.speed);
                if announced {
                    self.announce(found.id);
                }
                self.release_when_done::<W>(found.request).await;
                if finishing.too_fast && !found.fake {
                    self.suspect_of_speed(found.worker).await;
                }
                Ok(reward)
            }
            FinishOutcome::AlreadyFinished { .. } => self.duplicate(found),
            FinishOutcome::AlreadyFaulted => aborted(false),
            FinishOutcome::Unknown => Err(unknown(&found.id.to_string())),
        }
    }

    /// The team that a job of a worker counts for: only pictures do.
    fn team_of<W: Work>(&self, worker: WorkerId) -> Option<Uuid> {
        let worker = self.workers.get(worker).filter(|_| W::KIND == WorkKind::Image)?;
        worker.lock().team
    }

    /// Adds to the totals of workers what a commit has added.
    pub(crate) fn count_for_workers(&self, tallies: &[WorkerTally]) {
        for tally in tallies {
            if let Some(worker) = self.workers.get(tally.worker) {
                worker.lock().count(tally);
            }
        }
    }

    /// The result is paid already, so the worker is not told if this fails.
    async fn suspect_of_speed(&self, worker: WorkerId) {
        if let Err(error) = self.suspect(worker, Suspicion::UnreasonablyFast).await {
            tracing::error!(%error, %worker, "what is held against a worker could not be written down");
        }
    }

    /// Takes a delivery into memory once it is durable.
    fn finished<W: Work>(
        &self,
        found: &Found<W>,
        delivered: Delivered<W>,
        charge: Kudos,
        expiry: Timestamp,
        speed: Option<f64>,
    ) {
        if let Some(speed) = speed.filter(|_| !found.fake)
            && let Some(worker) = self.workers.get(found.worker)
        {
            worker.lock().add_sample(speed);
        }
        let mut live = W::desk(self).live.lock();
        if let Some(request) = live.request_mut(found.request) {
            request.consumed += charge;
        }
        live.extend(found.request, expiry);
        live.end_job(found.id, crate::live::LiveJobState::Done(Arc::new(delivered)));
    }

    /// The answer to a second result. A worker in maintenance is spared the error.
    pub(crate) fn duplicate<W: Work>(&self, found: &Found<W>) -> Result<f64> {
        let worker = self.workers.get(found.worker);
        if worker.is_some_and(|worker| worker.lock().maintenance) {
            return Ok(0.0);
        }
        let message = "This generation was already submitted.";
        Err(EngineError::refused(ReturnCode::DuplicateGen, message))
    }

    /// The share of a reward that a worker's software earns.
    pub(crate) fn bridge_multiplier(&self, worker: WorkerId) -> f64 {
        let Some(worker) = self.workers.get(worker) else {
            return 1.0;
        };
        let worker = worker.lock();
        self.config.bridge_multipliers.multiplier(&worker.bridge_agent)
    }
}

/// A result cannot carry any number of remarks.
///
/// # Errors
/// `BadRequest` if there are too many.
pub(crate) fn check_metadata<M>(metadata: &[M]) -> Result<()> {
    if metadata.len() > METADATA_LIMIT {
        let message = format!("A result has at most {METADATA_LIMIT} metadata entries.");
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(())
}

/// The answer for a job that was given up. Whoever reports that it failed is right.
fn aborted(reports_fault: bool) -> Result<f64> {
    if reports_fault {
        return Ok(0.0);
    }
    let message = "This job took too long and was given to another worker. Please check your worker speed.";
    Err(EngineError::refused(ReturnCode::AbortedGen, message))
}

fn unknown(id: &str) -> EngineError {
    let message = format!(
        "Processing Job with ID {} does not exist.",
        names::truncate(id, 64)
    );
    EngineError::refused(ReturnCode::InvalidJobId, message)
}
