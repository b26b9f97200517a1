//! How a worker gets jobs: they are reserved on the board, made durable, and only then handed out.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use muster_dispatch::{Reservation, Reserved, Unread};
use muster_protocol::{JobId, RequestId, ReturnCode, Timestamp};
use muster_store::{NewJob, StartJobs, StartOutcome};
use serde_json::json;
use tracing::{Span, field::Empty, instrument};
use uuid::Uuid;

use crate::{
    Engine, EngineError,
    error::Result,
    live::{LiveJob, LiveJobState},
    metrics::{self, PopOutcome},
    work::{Lease, Part, Work},
    workers::Present,
};

/// What a worker in maintenance is told if its owner left no message.
const MAINTENANCE_MESSAGE: &str = "This worker has been put into maintenance mode by its owner.";
/// Workers know that they are in maintenance by this fragment.
const MAINTENANCE_FRAGMENT: &str = "maintenance mode";

/// A worker that asks for work.
pub(crate) struct Popping<W: Work> {
    pub(crate) present: Present<W>,
    /// Jobs of one request that it takes at once.
    pub(crate) amount: u32,
}

/// Jobs of one request that are the worker's now.
pub(crate) struct HandedOut<W: Work> {
    pub(crate) request: RequestId,
    pub(crate) spec: Arc<W::Request>,
    pub(crate) model: Arc<str>,
    /// In the order of their ids, which is that of the store for jobs of the same moment.
    pub(crate) jobs: Vec<(JobId, Part)>,
    pub(crate) seed: i64,
    /// Slots that were left before.
    pub(crate) remaining: u32,
    pub(crate) ttl: Duration,
}

/// A reserved request, as it was before.
struct Reservable<W: Work> {
    spec: Arc<W::Request>,
    /// Slots that are left besides those that are reserved.
    slots_left: u32,
    expiry: Timestamp,
    lease: Lease,
}

impl Engine {
    /// Whether the server is about to stop. Workers that ask for work then get none, which is no error: it
    /// would drive them away; they ask the next node, or this one once it is back.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Hands a worker jobs of one request, or tells why there are none.
    ///
    /// When this returns jobs, it is durable that they are the worker's.
    #[instrument(name = "horde.pop.next_jobs", skip_all, fields(horde.gentype = W::KIND.as_ref(), horde.outcome = Empty))]
    pub(crate) async fn next_jobs<W: Work>(
        &self,
        popping: &Popping<W>,
    ) -> Result<std::result::Result<HandedOut<W>, W::Skipped>> {
        loop {
            let (reservation, parts) = self.reserve(popping);
            match reservation {
                Reservation::Nothing { skipped } => {
                    metrics::popped(W::KIND, PopOutcome::Nothing);
                    Span::current().record("horde.outcome", "no_match");
                    return Ok(Err(skipped));
                }
                Reservation::Unread(unread) => self.read_prompts::<W>(unread).await?,
                // On several nodes another one may have been faster: then the next candidate is due.
                Reservation::Reserved(reserved) => {
                    if let Some(handed_out) = self.hand_out(popping, reserved, &parts).await? {
                        metrics::popped(W::KIND, PopOutcome::Job);
                        Span::current().record("horde.outcome", "match");
                        return Ok(Ok(handed_out));
                    }
                }
            }
        }
    }

    /// Reserves jobs on the board, and tells which parts of their request they are.
    fn reserve<W: Work>(&self, popping: &Popping<W>) -> (Reservation<W::Skipped>, Vec<Part>) {
        let Popping { present, amount } = popping;
        let pop = present.pop(*amount, self.clock.now());
        let mut rng = self.rng.lock();
        let mut live = W::desk(self).live.lock();
        let reservation = live.board.reserve(&pop, &mut *rng);
        let parts = match &reservation {
            Reservation::Reserved(reserved) if reserved.decoy => vec![0; reserved.slots as usize],
            Reservation::Reserved(reserved) => {
                live.take_slots(reserved.request, present.models(), reserved.slots)
            }
            _ => Vec::new(),
        };
        (reservation, parts)
    }

    /// Reads prompts while others use the board.
    async fn read_prompts<W: Work>(&self, unread: Unread) -> Result<()> {
        let read = tokio::task::spawn_blocking(|| unread.read())
            .await
            .map_err(|_| EngineError::Stopping)?;
        W::desk(self).live.lock().board.learn(read);
        Ok(())
    }

    /// Makes a reservation durable. `None` if the slots were gone; they are taken off the board then.
    async fn hand_out<W: Work>(
        &self,
        popping: &Popping<W>,
        reserved: Reserved,
        parts: &[Part],
    ) -> Result<Option<HandedOut<W>>> {
        let now = self.clock.now();
        let Some(reservable) = self.reserved_request(popping, &reserved) else {
            return Ok(None);
        };
        let Reservable {
            spec,
            slots_left,
            expiry,
            lease,
        } = reservable;
        let seed = W::seed(&spec, slots_left + reserved.slots, &mut self.rng.lock());
        let mut ids: Vec<JobId> = parts
            .iter()
            .map(|_| JobId(Uuid::from_u128(self.random())))
            .collect();
        ids.sort_unstable();
        let jobs: Vec<(JobId, Part)> = ids.into_iter().zip(parts.iter().copied()).collect();
        let start = StartJobs {
            request: reserved.request,
            kind: W::KIND,
            worker: popping.present.id,
            at: now,
            jobs: jobs
                .iter()
                .map(|(id, part)| NewJob {
                    id: *id,
                    model: reserved.model.to_string(),
                    deadline: now + lease.ttl,
                    seed,
                    fake: reserved.decoy,
                    payload: W::NAMED_PARTS.then(|| json!({ "part": part })),
                })
                .collect(),
            // A request that only decoys are taken of is not served.
            new_expiry: if reserved.decoy {
                expiry
            } else {
                expiry.max(now + lease.lifetime)
            },
        };
        match self.store.journal().start_jobs(start).await {
            Ok(StartOutcome::Started { expiry, .. }) => {
                self.started(&popping.present, &reserved, &jobs, now, lease, expiry);
            }
            Ok(StartOutcome::SlotsGone { slots_left }) => {
                self.correct_slots::<W>(&reserved, parts, slots_left.max(0).unsigned_abs());
                return Ok(None);
            }
            Ok(StartOutcome::RequestGone) => {
                self.request_gone::<W>(&reserved, parts);
                return Ok(None);
            }
            Err(error) => {
                self.give_back::<W>(&reserved, parts);
                return Err(error.into());
            }
        }
        tracing::debug!(request = %reserved.request, worker = %popping.present.id, jobs = jobs.len(), "popped");
        Ok(Some(HandedOut {
            request: reserved.request,
            spec,
            model: reserved.model,
            jobs,
            seed,
            remaining: slots_left + reserved.slots,
            ttl: lease.ttl,
        }))
    }

    /// What is known of a reserved request. `None` if it was cancelled or given up in the meantime.
    fn reserved_request<W: Work>(&self, popping: &Popping<W>, reserved: &Reserved) -> Option<Reservable<W>> {
        let live = W::desk(self).live.lock();
        let request = live.request(reserved.request)?;
        let demand = &live.board.get(reserved.request)?.demand;
        Some(Reservable {
            spec: Arc::clone(&request.spec),
            slots_left: request.slots,
            expiry: request.expiry,
            lease: W::lease(demand, &popping.present.offer),
        })
    }

    fn started<W: Work>(
        &self,
        present: &Present<W>,
        reserved: &Reserved,
        jobs: &[(JobId, Part)],
        now: Timestamp,
        lease: Lease,
        expiry: Timestamp,
    ) {
        let mut live = W::desk(self).live.lock();
        for (id, part) in jobs {
            let job = LiveJob {
                id: *id,
                part: *part,
                worker: present.id,
                model: Arc::clone(&reserved.model),
                started: now,
                deadline: now + lease.ttl,
                fake: reserved.decoy,
                state: LiveJobState::Processing,
            };
            live.start_job(reserved.request, job);
        }
        if !reserved.decoy {
            let parts: Vec<Part> = jobs.iter().map(|(_, part)| *part).collect();
            live.put_slots(reserved.request, &parts);
        }
        live.extend(reserved.request, expiry);
        drop(live);
        self.wake_duties();
    }

    fn give_back<W: Work>(&self, reserved: &Reserved, parts: &[Part]) {
        if !reserved.decoy {
            let mut live = W::desk(self).live.lock();
            live.put_slots(reserved.request, parts);
            live.return_slots(reserved.request, reserved.slots);
            live.settle(reserved.request);
        }
    }

    /// The store knows better how many slots are left: some other node handed jobs out.
    fn correct_slots<W: Work>(&self, reserved: &Reserved, parts: &[Part], slots_left: u32) {
        let mut live = W::desk(self).live.lock();
        live.put_slots(reserved.request, parts);
        live.correct_slots(reserved.request, slots_left);
    }

    /// The request was cancelled or given up while the reservation was being written down. Its jobs in
    /// progress may still be delivered.
    fn request_gone<W: Work>(&self, reserved: &Reserved, parts: &[Part]) {
        let mut live = W::desk(self).live.lock();
        if !reserved.decoy {
            live.put_slots(reserved.request, parts);
        }
        live.stop(reserved.request, false);
    }
}

impl<W: Work> Popping<W> {
    /// Whether the worker may have something another time: one in maintenance is told so as an error.
    ///
    /// # Errors
    /// `WorkerMaintenance`, with the message of its owner.
    pub(crate) fn check_maintenance(&self) -> Result<()> {
        let worker = self.present.worker.lock();
        if !worker.maintenance {
            return Ok(());
        }
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
        Err(EngineError::refused(ReturnCode::WorkerMaintenance, message))
    }
}
