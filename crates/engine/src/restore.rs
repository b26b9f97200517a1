//! From the store back into memory: at start, and for finished requests that memory has forgotten.

use std::{sync::Arc, time::Duration};

use muster_dispatch::Ticket;
use muster_protocol::{Kudos, RequestId, Timestamp};
use muster_store::{JobState, StoredJob, StoredRequest};

use crate::{
    Engine,
    error::Result,
    live::{Delivered, LiveJob, LiveJobState, LiveRequest},
    models::Facts,
    work::{Part, Work, for_kind},
};

/// The time that workers have for their jobs in progress after a start: what ran out while the server was
/// down is not held against them.
const GRACE: Duration = Duration::from_secs(150);

impl Engine {
    /// Puts every request with something left to do back on the board. Runs before anyone is served.
    pub(crate) async fn restore(&self) -> Result<usize> {
        let now = self.clock.now();
        let facts = self.facts();
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
                let was_live = for_kind!(request.kind, W => {
                    self.restore_request::<W>(request, jobs, &facts, now).await?
                });
                restored += usize::from(was_live);
            }
        }
    }

    /// Puts a request back on the board; whether there was anything left to do for it.
    async fn restore_request<W: Work>(
        &self,
        request: StoredRequest,
        jobs: Vec<StoredJob>,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<bool> {
        let (created, priority) = (request.created, request.priority);
        let Some(mut request) = to_live::<W>(request, jobs, facts) else {
            return Ok(false);
        };
        if request.is_done() {
            return Ok(false);
        }
        for job in &mut request.jobs {
            job.deadline = job.deadline.max(now + GRACE);
        }
        let requester = self.accounts.get(&self.store, request.user).await?;
        let available = requester.map_or(Kudos::ZERO, |caller| caller.available());
        let price = Kudos::from_f64(request.price);
        let demand = W::demand(&request.spec, facts, price, available);
        let mut live = W::desk(self).live.lock();
        live.board.insert(request.ticket(priority, created, demand));
        live.restore(request);
        Ok(true)
    }

    /// A request as the store has it, whether anything is left to do for it or not; `None` if it is of
    /// another kind.
    pub(crate) async fn recall<W: Work>(&self, id: RequestId) -> Result<Option<LiveRequest<W>>> {
        let stored = self.store.request(id).await?;
        Ok(stored
            .filter(|(request, _)| request.kind == W::KIND)
            .and_then(|(request, jobs)| to_live(request, jobs, &self.facts())))
    }

    /// A request in the form in which it is compared with workers.
    pub(crate) fn ticket_of<W: Work>(&self, request: &LiveRequest<W>) -> Ticket<W::Demand> {
        let price = Kudos::from_f64(request.price);
        // Of whom nothing is known in memory is thought to be able to pay.
        let requester = self.accounts.peek(request.user);
        let available = requester.map_or(price, |requester| requester.available());
        let demand = W::demand(&request.spec, &self.facts(), price, available);
        request.ticket(0, request.expiry, demand)
    }
}

/// A stored request; `None` for what this version cannot read.
fn to_live<W: Work>(stored: StoredRequest, jobs: Vec<StoredJob>, facts: &Facts) -> Option<LiveRequest<W>> {
    let mut spec: W::Request = match serde_json::from_value(stored.payload) {
        Ok(spec) => spec,
        Err(error) => {
            tracing::error!(request = %stored.id, %error, "a stored request cannot be read and is left alone");
            return None;
        }
    };
    W::share_texts(&mut spec, facts);
    let mut jobs: Vec<StoredJob> = jobs;
    jobs.sort_by_key(|job| (job.started, job.id));
    Some(LiveRequest {
        id: stored.id,
        spec: Arc::new(spec),
        user: stored.user,
        shared_key: stored.shared_key,
        expiry: stored.expiry,
        slots: stored.slots_left.max(0).unsigned_abs(),
        reserved: Vec::new(),
        total: stored.jobs_total.max(0).unsigned_abs(),
        faulted: stored.faulted,
        cancelled: stored.cancelled,
        consumed: stored.consumed,
        webhook: stored.webhook.map(Into::into),
        held: stored.held > Kudos::ZERO,
        price: stored.price,
        things: stored.things.max(0).unsigned_abs(),
        jobs: jobs.into_iter().map(to_live_job).collect(),
        possible: None,
    })
}

fn to_live_job<W: Work>(stored: StoredJob) -> LiveJob<W> {
    let part = stored
        .payload
        .as_ref()
        .and_then(|payload| payload["part"].as_u64());
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
        part: part.and_then(|part| Part::try_from(part).ok()).unwrap_or(0),
        worker: stored.worker,
        model: stored.model.into(),
        started: stored.started,
        deadline: stored.deadline,
        fake: stored.fake,
        state,
    }
}
