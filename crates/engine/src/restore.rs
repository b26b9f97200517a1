//! From the store back into memory: at start, and for finished requests that memory has forgotten.

use std::{sync::Arc, time::Duration};

use muster_dispatch::{Ticket, image::Demand};
use muster_protocol::{RequestId, Timestamp, WorkKind};
use muster_store::{JobState, StoredJob, StoredRequest};

use crate::{
    Engine,
    error::Result,
    live::{Delivered, LiveJob, LiveJobState, LiveRequest},
    models::ModelReference,
    requests::ImageRequest,
};

/// The time that workers have for their jobs in progress after a start: what ran out while the server was
/// down is not held against them.
const GRACE: Duration = Duration::from_secs(150);

impl Engine {
    /// Puts every request with something left to do back on the board. Runs before anyone is served.
    pub(crate) async fn restore(&self) -> Result<usize> {
        let now = self.clock.now();
        let models = self.models();
        let mut restored = 0;
        let mut last = None;
        loop {
            // A page at a time, so that a long queue is never in memory twice.
            let page = self.store.live_page(now, last).await?;
            let Some((request, _)) = page.last() else {
                return Ok(restored);
            };
            last = Some(request.id);
            for (request, jobs) in page {
                restored += usize::from(self.restore_request(request, jobs, &models, now).await?);
            }
        }
    }

    /// Puts a request back on the board; whether there was anything left to do for it.
    async fn restore_request(
        &self,
        request: StoredRequest,
        jobs: Vec<StoredJob>,
        models: &ModelReference,
        now: Timestamp,
    ) -> Result<bool> {
        let (created, priority) = (request.created, request.priority);
        let Some(mut request) = to_live(request, jobs, models) else {
            return Ok(false);
        };
        if request.is_done() {
            return Ok(false);
        }
        for job in &mut request.jobs {
            job.deadline = job.deadline.max(now + GRACE);
        }
        let requester = self.accounts.get(&self.store, request.user).await?;
        let available = requester.map_or(muster_protocol::Kudos::ZERO, |caller| caller.available());
        let price = muster_protocol::Kudos::from_f64(request.price);
        let demand = request.spec.demand(models, price, available);
        let mut live = self.live.lock();
        live.board.insert(request.ticket(priority, created, demand));
        live.restore(request);
        Ok(true)
    }

    /// A request as the store has it, whether anything is left to do for it or not.
    pub(crate) async fn recall(&self, id: RequestId) -> Result<Option<LiveRequest>> {
        Ok(self
            .store
            .request(id)
            .await?
            .and_then(|(request, jobs)| to_live(request, jobs, &self.models())))
    }

    /// A request in the form in which it is compared with workers.
    pub(crate) fn ticket_of(&self, request: &LiveRequest) -> Ticket<Demand> {
        let price = muster_protocol::Kudos::from_f64(request.price);
        let demand = request.spec.demand(&self.models(), price, price);
        request.ticket(0, request.expiry, demand)
    }
}

/// A stored image request; `None` for other kinds and for what this version cannot read.
fn to_live(stored: StoredRequest, jobs: Vec<StoredJob>, models: &ModelReference) -> Option<LiveRequest> {
    if stored.kind != WorkKind::Image {
        return None;
    }
    let mut spec: ImageRequest = match serde_json::from_value(stored.payload) {
        Ok(spec) => spec,
        Err(error) => {
            tracing::error!(request = %stored.id, %error, "a stored request cannot be read and is left alone");
            return None;
        }
    };
    for model in &mut spec.models {
        *model = models.shared_name(model);
    }
    let mut jobs: Vec<StoredJob> = jobs;
    jobs.sort_by_key(|job| (job.started, job.id));
    Some(LiveRequest {
        id: stored.id,
        spec: Arc::new(spec),
        user: stored.user,
        expiry: stored.expiry,
        slots: stored.slots_left.max(0).unsigned_abs(),
        reserved: 0,
        total: stored.jobs_total.max(0).unsigned_abs(),
        faulted: stored.faulted,
        cancelled: stored.cancelled,
        consumed: stored.consumed,
        webhook: stored.webhook.map(Into::into),
        held: stored.held > muster_protocol::Kudos::ZERO,
        price: stored.price,
        things: stored.things.max(0).unsigned_abs(),
        jobs: jobs.into_iter().map(to_live_job).collect(),
        possible: None,
    })
}

fn to_live_job(stored: StoredJob) -> LiveJob {
    let state = match stored.state {
        JobState::Processing => LiveJobState::Processing,
        JobState::Faulted => LiveJobState::Faulted,
        JobState::Done => LiveJobState::Done(Arc::new(Delivered {
            result: stored.result.unwrap_or_default(),
            seed: stored.seed,
            metadata: stored
                .gen_metadata
                .and_then(|value| serde_json::from_value(value).ok())
                .unwrap_or_default(),
            censored: stored.censored,
        })),
    };
    LiveJob {
        id: stored.id,
        worker: stored.worker,
        model: stored.model.into(),
        started: stored.started,
        deadline: stored.deadline,
        fake: stored.fake,
        state,
    }
}
