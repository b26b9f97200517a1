//! [`Live`]: the requests and jobs in memory, and the board that decides over them.
//!
//! One short lock guards all of it. Nothing in here waits or does I/O; whoever changes it has
//! made the change durable before, or takes it back if that fails.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use muster_dispatch::{
    Board, Ticket,
    image::{Demand, Image},
};
use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId, WorkerId, image::Metadata};

use crate::{models::ModelReference, requests::ImageRequest};

/// All that is live, and some that is finished but still asked for.
pub(crate) struct Live {
    pub(crate) board: Board<Image>,
    requests: HashMap<RequestId, LiveRequest>,
    jobs: HashMap<JobId, RequestId>,
    by_user: HashMap<UserId, Vec<RequestId>>,
    /// Slots of requests that are being written down, by account.
    claims: HashMap<UserId, u64>,
    /// Requests with nothing left to do, oldest first.
    finished: VecDeque<RequestId>,
    remembered: usize,
}

/// A request in memory.
#[derive(Clone, Debug)]
pub(crate) struct LiveRequest {
    pub(crate) id: RequestId,
    pub(crate) spec: Arc<ImageRequest>,
    pub(crate) user: UserId,
    pub(crate) expiry: Timestamp,
    /// Jobs that no worker has taken yet.
    pub(crate) slots: u32,
    /// Jobs that are being handed out: taken off the board, not durable yet.
    pub(crate) reserved: u32,
    /// Jobs asked for; after a cancellation, jobs delivered.
    pub(crate) total: u32,
    pub(crate) faulted: bool,
    pub(crate) cancelled: bool,
    pub(crate) consumed: Kudos,
    /// Where its results are announced.
    pub(crate) webhook: Option<Arc<str>>,
    /// Whether kudos are promised to it.
    pub(crate) held: bool,
    /// Price of one job before multipliers.
    pub(crate) price: f64,
    /// Pixelsteps of one job.
    pub(crate) things: u64,
    pub(crate) jobs: Vec<LiveJob>,
    /// Whether any online worker can serve it, and when that was found out.
    pub(crate) possible: Option<(Timestamp, bool)>,
}

/// A job in memory.
#[derive(Clone, Debug)]
pub(crate) struct LiveJob {
    pub(crate) id: JobId,
    pub(crate) worker: WorkerId,
    pub(crate) model: Arc<str>,
    pub(crate) started: Timestamp,
    /// When it counts as lost.
    pub(crate) deadline: Timestamp,
    /// A decoy: counted nowhere.
    pub(crate) fake: bool,
    pub(crate) state: LiveJobState,
}

/// Where a job in memory is.
#[derive(Clone, Debug)]
pub(crate) enum LiveJobState {
    Processing,
    Done(Arc<Delivered>),
    Faulted,
}

/// What a worker delivered.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    /// `R2` for an object, else the text that the worker sent.
    pub(crate) result: String,
    pub(crate) seed: i64,
    pub(crate) metadata: Vec<Metadata>,
    pub(crate) censored: bool,
}

/// The jobs of a request by state, decoys left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JobCounts {
    pub(crate) finished: u32,
    pub(crate) processing: u32,
    pub(crate) faulted: u32,
}

impl LiveRequest {
    pub(crate) fn counts(&self) -> JobCounts {
        let mut counts = JobCounts::default();
        for job in self.jobs.iter().filter(|job| !job.fake) {
            match job.state {
                LiveJobState::Processing => counts.processing += 1,
                LiveJobState::Done(_) => counts.finished += 1,
                LiveJobState::Faulted => counts.faulted += 1,
            }
        }
        counts
    }

    /// Whether nothing more will come: given up, or nothing left to do.
    pub(crate) fn is_done(&self) -> bool {
        self.faulted || self.is_idle()
    }

    /// Whether all slots are taken and nothing is in progress or being handed out.
    pub(crate) fn is_idle(&self) -> bool {
        self.slots == 0 && self.reserved == 0 && self.counts().processing == 0
    }

    /// The request as the board knows it.
    pub(crate) fn ticket(&self, priority: i64, created: Timestamp, demand: Demand) -> Ticket<Demand> {
        Ticket {
            request: self.id,
            requester: self.user,
            priority,
            created,
            expires: self.expiry,
            slots: self.slots,
            things: self.things,
            models: self.spec.models.clone(),
            workers: self.spec.worker_list(),
            demand,
        }
    }

    pub(crate) fn job(&self, id: JobId) -> Option<&LiveJob> {
        self.jobs.iter().find(|job| job.id == id)
    }

    fn job_mut(&mut self, id: JobId) -> Option<&mut LiveJob> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }
}

impl Live {
    /// Nothing yet. `remembered`: finished requests to keep; `matched_targeting`: requests that name
    /// workers only go to those that prioritise their requester.
    pub(crate) fn new(remembered: usize, matched_targeting: bool) -> Self {
        Self {
            board: Board::new().with_matched_targeting(matched_targeting),
            requests: HashMap::new(),
            jobs: HashMap::new(),
            by_user: HashMap::new(),
            claims: HashMap::new(),
            finished: VecDeque::new(),
            remembered,
        }
    }

    pub(crate) fn request(&self, id: RequestId) -> Option<&LiveRequest> {
        self.requests.get(&id)
    }

    pub(crate) fn request_mut(&mut self, id: RequestId) -> Option<&mut LiveRequest> {
        self.requests.get_mut(&id)
    }

    /// A job with its request.
    pub(crate) fn job(&self, id: JobId) -> Option<(&LiveRequest, &LiveJob)> {
        let request = self.requests.get(self.jobs.get(&id)?)?;
        Some((request, request.job(id)?))
    }

    /// The requests of an account that are in memory.
    pub(crate) fn requests_of(&self, user: UserId) -> Vec<RequestId> {
        self.by_user.get(&user).cloned().unwrap_or_default()
    }

    /// Slots of the account's requests that are being written down.
    pub(crate) fn claimed(&self, user: UserId) -> u64 {
        self.claims.get(&user).copied().unwrap_or(0)
    }

    /// Notes a request that is being written down.
    pub(crate) fn claim(&mut self, user: UserId, slots: u32) {
        *self.claims.entry(user).or_default() += u64::from(slots);
    }

    /// The request is written down, or came to nothing.
    pub(crate) fn unclaim(&mut self, user: UserId, slots: u32) {
        if let Some(claimed) = self.claims.get_mut(&user) {
            *claimed = claimed.saturating_sub(u64::from(slots));
            if *claimed == 0 {
                self.claims.remove(&user);
            }
        }
    }

    /// How many requests are in memory.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Takes a request in. The caller puts it on the board.
    pub(crate) fn insert(&mut self, request: LiveRequest) {
        for job in &request.jobs {
            self.jobs.insert(job.id, request.id);
        }
        self.by_user.entry(request.user).or_default().push(request.id);
        self.requests.insert(request.id, request);
    }

    /// Takes a request in that was on the board before a restart, with its jobs in progress.
    pub(crate) fn restore(&mut self, request: LiveRequest) {
        for job in request
            .jobs
            .iter()
            .filter(|job| matches!(job.state, LiveJobState::Processing))
        {
            self.board.start_job(job.id, request.id, job.worker, job.deadline);
        }
        self.insert(request);
    }

    /// Takes a started job in.
    pub(crate) fn start_job(&mut self, request: RequestId, job: LiveJob) {
        self.board.start_job(job.id, request, job.worker, job.deadline);
        self.jobs.insert(job.id, request);
        if let Some(request) = self.requests.get_mut(&request) {
            request.jobs.push(job);
        }
    }

    /// Marks a job as delivered or given up.
    pub(crate) fn end_job(&mut self, id: JobId, state: LiveJobState) {
        self.board.finish_job(id);
        let Some(request) = self
            .jobs
            .get(&id)
            .and_then(|request| self.requests.get_mut(request))
        else {
            return;
        };
        if let Some(job) = request.job_mut(id) {
            job.state = state;
        }
        let request = request.id;
        self.settle(request);
    }

    /// Takes slots that the board has reserved, until [`Live::put_slots`] says what came of it.
    pub(crate) fn take_slots(&mut self, id: RequestId, slots: u32) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.slots = request.slots.saturating_sub(slots);
            request.reserved += slots;
        }
    }

    /// Ends a reservation, which became jobs or was lost.
    pub(crate) fn put_slots(&mut self, id: RequestId, slots: u32) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.reserved = request.reserved.saturating_sub(slots);
        }
    }

    /// Takes over how many slots the store says are left, of which other reservations may hold some.
    pub(crate) fn correct_slots(&mut self, id: RequestId, slots_left: u32) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.slots = slots_left.saturating_sub(request.reserved);
            self.board.set_slots(id, request.slots);
        }
        self.settle(id);
    }

    /// Gives slots back to the queue: of a lost reservation or a failed job.
    pub(crate) fn return_slots(&mut self, id: RequestId, slots: u32) {
        if let Some(request) = self.requests.get_mut(&id)
            && !request.faulted
            && !request.cancelled
        {
            request.slots += slots;
            self.board.release(id, slots);
        }
    }

    /// The requests that still have jobs to hand out at `now`.
    pub(crate) fn waiting(&self, now: Timestamp) -> Vec<RequestId> {
        self.board
            .iter()
            .filter(|ticket| ticket.slots > 0 && ticket.expires > now)
            .map(|ticket| ticket.request)
            .collect()
    }

    /// Stops handing out jobs of a request. Jobs in progress may still be delivered.
    pub(crate) fn stop(&mut self, id: RequestId, faulted: bool) {
        let Some(request) = self.requests.get_mut(&id) else {
            return;
        };
        request.slots = 0;
        if faulted {
            request.faulted = true;
        } else {
            request.cancelled = true;
            request.total = request.counts().finished;
        }
        self.board.cancel(id);
        self.settle(id);
    }

    /// Looks again at what a request needs, after the facts about models have changed.
    pub(crate) fn review(&mut self, id: RequestId, models: &ModelReference) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        let Some(ticket) = self.board.get(id) else { return };
        let (price, available) = (ticket.demand.price, ticket.demand.available);
        let demand = request.spec.demand(models, price, available);
        self.board.revise(id, demand);
    }

    /// Moves the expiry of a request, never backwards.
    pub(crate) fn extend(&mut self, id: RequestId, expiry: Timestamp) {
        if let Some(request) = self.requests.get_mut(&id)
            && expiry > request.expiry
        {
            request.expiry = expiry;
            self.board.set_expiry(id, expiry);
        }
    }

    /// Forgets a request.
    pub(crate) fn remove(&mut self, id: RequestId) {
        self.board.remove(id);
        let Some(request) = self.requests.remove(&id) else {
            return;
        };
        for job in &request.jobs {
            self.board.finish_job(job.id);
            self.jobs.remove(&job.id);
        }
        if let Some(requests) = self.by_user.get_mut(&request.user) {
            requests.retain(|other| *other != id);
            if requests.is_empty() {
                self.by_user.remove(&request.user);
            }
        }
    }

    /// Takes a request off the board when nothing is left to do for it. It stays in memory for those
    /// who ask for its results, until too many newer ones have come.
    pub(crate) fn settle(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        if !request.is_idle() || self.board.remove(id).is_none() {
            return;
        }
        self.finished.push_back(id);
        while self.finished.len() > self.remembered {
            if let Some(oldest) = self.finished.pop_front() {
                self.remove(oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::image::RequestInput;
    use rand::{SeedableRng, rngs::StdRng};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// A request with two slots, on the board.
    fn live() -> (Live, RequestId) {
        let models = ModelReference::bundled();
        let input = RequestInput::new("a lighthouse");
        let spec = ImageRequest::new(input, Vec::new(), false, models, &mut StdRng::seed_from_u64(1));
        let demand = spec.demand(models, Kudos::ZERO, Kudos::ZERO);
        let request = LiveRequest {
            id: RequestId(id(1)),
            spec: Arc::new(spec),
            user: UserId(7),
            expiry: NOW + std::time::Duration::from_mins(20),
            slots: 2,
            reserved: 0,
            total: 2,
            faulted: false,
            cancelled: false,
            consumed: Kudos::ZERO,
            webhook: None,
            held: false,
            price: 1.0,
            things: 1,
            jobs: Vec::new(),
            possible: None,
        };
        let mut live = Live::new(10, false);
        live.board.insert(request.ticket(0, NOW, demand));
        live.insert(request);
        (live, RequestId(id(1)))
    }

    fn job(number: u128) -> LiveJob {
        LiveJob {
            id: JobId(id(number)),
            worker: WorkerId(id(9)),
            model: "stable_diffusion".into(),
            started: NOW,
            deadline: NOW + std::time::Duration::from_secs(150),
            fake: false,
            state: LiveJobState::Processing,
        }
    }

    #[test]
    fn a_request_is_not_done_while_a_reservation_is_being_written_down() {
        let (mut live, request) = live();
        live.take_slots(request, 1);
        live.start_job(request, job(2));
        live.put_slots(request, 1);
        live.take_slots(request, 1);
        live.end_job(JobId(id(2)), LiveJobState::Faulted);
        assert!(!live.request(request).unwrap().is_done());
        assert!(live.board.get(request).is_some());

        live.start_job(request, job(3));
        live.put_slots(request, 1);
        assert!(live.board.job(JobId(id(3))).is_some(), "its deadline is watched");
        live.end_job(JobId(id(3)), LiveJobState::Faulted);
        assert!(live.request(request).unwrap().is_done());
        assert!(live.board.get(request).is_none());
    }

    #[test]
    fn a_lost_reservation_of_a_cancelled_request_ends_it() {
        let (mut live, request) = live();
        live.take_slots(request, 2);
        live.stop(request, false);
        assert!(!live.request(request).unwrap().is_done());
        live.put_slots(request, 2);
        live.return_slots(request, 2);
        live.settle(request);
        assert!(live.request(request).unwrap().is_done());
        assert_eq!(live.request(request).unwrap().slots, 0);
        assert!(live.board.get(request).is_none());
    }

    #[test]
    fn the_store_corrects_the_slots_but_for_what_is_reserved() {
        let (mut live, request) = live();
        live.take_slots(request, 1);
        live.correct_slots(request, 2);
        assert_eq!(live.request(request).unwrap().slots, 1);
        assert_eq!(live.board.get(request).unwrap().slots, 1);
    }
}
