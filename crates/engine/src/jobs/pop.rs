//! `generate/pop`: a worker asks for work.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use muster_dispatch::{Pop, Reservation, Reserved, Unread, image::Capability};
use muster_protocol::{
    JobId, ReturnCode, Timestamp, UserId, WorkKind,
    image::{PopInput, Popped, Skipped},
};
use muster_store::{Bucket, NewJob, StartJobs, StartOutcome};
use uuid::Uuid;

use super::blob_key;
use crate::{
    Call, Engine, EngineError,
    accounts::Caller,
    error::Result,
    live::{LiveJob, LiveJobState},
    requests::{ImageRequest, LIFETIME, SourceAbilities, WireSources},
    text,
    workers::SharedWorker,
};

/// How long a request lives at least after an extra slow worker took one of its jobs.
const EXTRA_SLOW_LIFETIME: Duration = Duration::from_hours(1);
/// What a worker in maintenance is told if its owner left no message.
const MAINTENANCE_MESSAGE: &str = "This worker has been put into maintenance mode by its owner.";
/// Workers know that they are in maintenance by this fragment.
const MAINTENANCE_FRAGMENT: &str = "maintenance mode";

/// A worker that pops, as the pop sees it.
struct Popping {
    worker: SharedWorker,
    extra_slow: bool,
    priority_users: Vec<UserId>,
    amount: u32,
}

impl Engine {
    /// Hands a worker jobs of one request, or tells it why there are none.
    ///
    /// When this returns jobs, it is durable that they are the worker's.
    ///
    /// # Errors
    /// Every rule of the image API for workers, in its documented order.
    pub async fn pop_image_job(&self, call: &Call, input: PopInput) -> Result<Popped> {
        call.key()?;
        if input.name.is_none() {
            return Err(EngineError::missing("name", "JSON body"));
        }
        check_priority_names(&input.priority_usernames)?;
        let caller = self.caller(call).await?;
        let worker = self.check_in(call, &caller, &input).await?;
        if self.draining.load(Ordering::Acquire) {
            // An error would drive workers away; they ask the next node, or this one once it is back.
            return Ok(Popped::default());
        }
        let priority_users = priority_users(&input.priority_usernames)?;
        let extra_slow = input.extra_slow_worker;
        let popping = Popping {
            worker,
            extra_slow,
            priority_users,
            amount: input.amount,
        };
        loop {
            match self.reserve(&popping) {
                Reservation::Nothing { skipped } => return nothing(&popping, &skipped),
                Reservation::Unread(unread) => self.read_prompts(unread).await?,
                // On several nodes another one may have been faster: then the next candidate is due.
                Reservation::Reserved(reserved) => {
                    if let Some(popped) = self.hand_out(&popping, &caller, reserved).await? {
                        return Ok(popped);
                    }
                }
            }
        }
    }

    fn reserve(&self, popping: &Popping) -> Reservation<muster_dispatch::image::Skipped> {
        let now = self.clock.now();
        let worker = popping.worker.lock();
        let offer = worker.offer();
        let pop = Pop {
            worker: worker.id,
            owner: worker.owner,
            models: &worker.derived.models,
            amount: popping.amount,
            priority_users: &popping.priority_users,
            offer: &offer,
            now,
        };
        let mut rng = self.rng.lock();
        let mut live = self.live.lock();
        let reservation = live.board.reserve(&pop, &mut *rng);
        if let Reservation::Reserved(reserved) = &reservation
            && !reserved.decoy
        {
            live.take_slots(reserved.request, reserved.slots);
        }
        reservation
    }

    /// Reads prompts while others use the board.
    async fn read_prompts(&self, unread: Unread) -> Result<()> {
        let read = tokio::task::spawn_blocking(|| unread.read())
            .await
            .map_err(|_| EngineError::Stopping)?;
        self.live.lock().board.learn(read);
        Ok(())
    }

    /// Makes a reservation durable. `None` if the slots were gone; they are taken off the board then.
    async fn hand_out(
        &self,
        popping: &Popping,
        caller: &Caller,
        reserved: Reserved,
    ) -> Result<Option<Popped>> {
        let now = self.clock.now();
        let Some((spec, slots_left, old_expiry, ttl)) = self.reserved_request(&reserved, popping.extra_slow)
        else {
            return Ok(None);
        };
        let worker = popping.worker.lock().id;
        let expiry = if reserved.decoy {
            // A request that only decoys are taken of is not served.
            old_expiry
        } else if popping.extra_slow {
            old_expiry.max(now + EXTRA_SLOW_LIFETIME)
        } else {
            old_expiry.max(now + LIFETIME)
        };
        let seed = spec.seed_for_pop(slots_left + reserved.slots, &mut *self.rng.lock());
        let mut ids: Vec<JobId> = (0..reserved.slots)
            .map(|_| JobId(Uuid::from_u128(self.random())))
            .collect();
        // The store lists jobs of the same moment by id; so everyone sees a batch in one order.
        ids.sort_unstable();
        let start = StartJobs {
            request: reserved.request,
            kind: WorkKind::Image,
            worker,
            at: now,
            jobs: ids
                .iter()
                .map(|id| NewJob {
                    id: *id,
                    model: reserved.model.to_string(),
                    deadline: now + ttl,
                    seed,
                    fake: reserved.decoy,
                    payload: None,
                })
                .collect(),
            new_expiry: expiry,
        };
        match self.store.journal().start_jobs(start).await {
            Ok(StartOutcome::Started { expiry, .. }) => {
                self.started(&reserved, &popping.worker, &ids, now, ttl, expiry);
            }
            Ok(StartOutcome::SlotsGone { slots_left }) => {
                self.correct_slots(&reserved, slots_left.max(0).unsigned_abs());
                return Ok(None);
            }
            Ok(StartOutcome::RequestGone) => {
                self.request_gone(&reserved);
                return Ok(None);
            }
            Err(error) => {
                self.give_back(&reserved);
                return Err(error.into());
            }
        }
        tracing::debug!(request = %reserved.request, %worker, owner = %caller.id(), jobs = ids.len(), "popped");
        self.handed_out(popping, &spec, &reserved, ids, seed, ttl)
            .await
            .map(Some)
    }

    /// What is known of a reserved request: itself, the slots and the expiry it has now, and the time
    /// that a job of it may take. `None` if it was cancelled or given up in the meantime.
    fn reserved_request(
        &self,
        reserved: &Reserved,
        extra_slow: bool,
    ) -> Option<(Arc<ImageRequest>, u32, Timestamp, Duration)> {
        let live = self.live.lock();
        let request = live.request(reserved.request)?;
        let ttl = live.board.get(reserved.request)?.demand.job_ttl(extra_slow);
        Some((
            Arc::clone(&request.spec),
            request.slots,
            request.expiry,
            Duration::from_secs(ttl),
        ))
    }

    fn started(
        &self,
        reserved: &Reserved,
        worker: &SharedWorker,
        ids: &[JobId],
        now: Timestamp,
        ttl: Duration,
        expiry: Timestamp,
    ) {
        let worker = worker.lock().id;
        let mut live = self.live.lock();
        for id in ids {
            let job = LiveJob {
                id: *id,
                worker,
                model: Arc::clone(&reserved.model),
                started: now,
                deadline: now + ttl,
                fake: reserved.decoy,
                state: LiveJobState::Processing,
            };
            live.start_job(reserved.request, job);
        }
        if !reserved.decoy {
            live.put_slots(reserved.request, reserved.slots);
        }
        live.extend(reserved.request, expiry);
        drop(live);
        self.wake_duties();
    }

    fn give_back(&self, reserved: &Reserved) {
        if !reserved.decoy {
            let mut live = self.live.lock();
            live.put_slots(reserved.request, reserved.slots);
            live.return_slots(reserved.request, reserved.slots);
            live.settle(reserved.request);
        }
    }

    /// The store knows better how many slots are left: some other node handed jobs out.
    fn correct_slots(&self, reserved: &Reserved, slots_left: u32) {
        let mut live = self.live.lock();
        live.put_slots(reserved.request, reserved.slots);
        live.correct_slots(reserved.request, slots_left);
    }

    /// The request was cancelled or given up while the reservation was being written down. Its jobs in
    /// progress may still be delivered.
    fn request_gone(&self, reserved: &Reserved) {
        let mut live = self.live.lock();
        if !reserved.decoy {
            live.put_slots(reserved.request, reserved.slots);
        }
        live.stop(reserved.request, false);
    }

    async fn handed_out(
        &self,
        popping: &Popping,
        spec: &ImageRequest,
        reserved: &Reserved,
        ids: Vec<JobId>,
        seed: i64,
        ttl: Duration,
    ) -> Result<Popped> {
        let mut uploads = Vec::with_capacity(ids.len());
        for id in &ids {
            let url = self
                .blobs
                .upload_url(Bucket::Transient, &blob_key(*id), self.clock.now())?;
            uploads.push(String::from(url));
        }
        let sources = match &spec.sources {
            Some(sources) => {
                let worker = source_abilities(&popping.worker);
                self.wire_sources(reserved.request, sources, worker).await?
            }
            None => WireSources::default(),
        };
        Ok(Popped {
            payload: spec.payload(seed, ids.len() as u32),
            id: ids.first().copied(),
            ids,
            ttl: Some(ttl.as_secs()),
            model: Some(reserved.model.to_string()),
            source_image: sources.image,
            source_mask: sources.mask,
            source_processing: spec.wire_source_processing(),
            extra_source_images: sources.extra,
            r2_upload: uploads.first().cloned(),
            r2_uploads: Some(uploads),
            ..Popped::default()
        })
    }
}

/// How the worker wants its source images.
fn source_abilities(worker: &SharedWorker) -> SourceAbilities {
    let bridge = worker.lock().derived.bridge;
    SourceAbilities {
        image: bridge.has(Capability::Img2img),
        by_url: bridge.has(Capability::R2Source),
        extra: bridge.has(Capability::ExtraSourceImages),
    }
}

/// The answer without a job.
fn nothing(popping: &Popping, skipped: &muster_dispatch::image::Skipped) -> Result<Popped> {
    let worker = popping.worker.lock();
    if worker.maintenance {
        let message = worker
            .maintenance_message
            .as_deref()
            .unwrap_or(MAINTENANCE_MESSAGE);
        let known = message.to_lowercase().contains(MAINTENANCE_FRAGMENT);
        let message = if known {
            message.to_owned()
        } else {
            format!("{MAINTENANCE_FRAGMENT}: {message}")
        };
        return Err(EngineError::refused(ReturnCode::WorkerMaintenance, message));
    }
    Ok(Popped {
        skipped: wire_skipped(skipped),
        ..Popped::default()
    })
}

/// The counts as workers get them. Four of them are left out when nothing was counted.
fn wire_skipped(skipped: &muster_dispatch::image::Skipped) -> Skipped {
    let unless_zero = |count: u64| (count > 0).then_some(count);
    Skipped {
        models: Some(skipped.models),
        worker_id: Some(skipped.worker_id),
        max_pixels: unless_zero(skipped.max_pixels),
        img2img: Some(skipped.img2img),
        painting: Some(skipped.painting),
        unsafe_ip: Some(skipped.unsafe_ip),
        nsfw: Some(skipped.nsfw),
        lora: Some(skipped.lora),
        post_processing: Some(skipped.post_processing),
        controlnet: Some(skipped.controlnet),
        performance: Some(skipped.performance),
        untrusted: Some(skipped.untrusted),
        bridge_version: Some(skipped.bridge_version),
        kudos: unless_zero(skipped.kudos),
        blacklist: unless_zero(skipped.blacklist),
        step_count: unless_zero(skipped.step_count),
    }
}

fn invalid_priority_name(name: &str) -> EngineError {
    let message = format!(
        "\"{}\" is not a user's name with its number, like name#42.",
        text::truncate(name, 64)
    );
    EngineError::refused(ReturnCode::InvalidPriorityUsername, message)
}

fn check_priority_names(names: &[String]) -> Result<()> {
    match names.iter().find(|name| !name.contains('#')) {
        Some(name) => Err(invalid_priority_name(name)),
        None => Ok(()),
    }
}

fn priority_users(names: &[String]) -> Result<Vec<UserId>> {
    names
        .iter()
        .map(|name| {
            text::user_number(name)
                .map(UserId)
                .ok_or_else(|| invalid_priority_name(name))
        })
        .collect()
}
