//! [`Live`]: the requests and jobs in memory, and the board that decides over them.
//!
//! One short lock guards all of it. Nothing in here waits or does I/O; whoever changes it has
//! made the change durable before, or takes it back if that fails.

mod request;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use muster_dispatch::Board;
use muster_protocol::{JobId, RequestId, Timestamp, UserId};

pub(crate) use self::request::{Delivered, LiveJob, LiveJobState, LiveRequest};
use crate::{
    models::Facts,
    work::{Part, Work},
};

/// All of one kind that is live, and some that is finished but still asked for.
pub(crate) struct Live<W: Work> {
    pub(crate) board: Board<W>,
    /// Boxed, for a table is up to four times as large as what is in it.
    requests: HashMap<RequestId, Box<LiveRequest<W>>>,
    jobs: HashMap<JobId, RequestId>,
    /// The requests of each account, oldest first: the order in which most of them are forgotten.
    by_user: HashMap<UserId, VecDeque<RequestId>>,
    /// Slots of requests that are being written down, by account.
    claims: HashMap<UserId, u64>,
    /// Requests with nothing left to do, oldest first.
    finished: VecDeque<RequestId>,
    remembered: usize,
}

impl<W: Work> Live<W> {
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

    pub(crate) fn request(&self, id: RequestId) -> Option<&LiveRequest<W>> {
        self.requests.get(&id).map(AsRef::as_ref)
    }

    pub(crate) fn request_mut(&mut self, id: RequestId) -> Option<&mut LiveRequest<W>> {
        self.requests.get_mut(&id).map(AsMut::as_mut)
    }

    /// A job with its request.
    pub(crate) fn job(&self, id: JobId) -> Option<(&LiveRequest<W>, &LiveJob<W>)> {
        let request = self.requests.get(self.jobs.get(&id)?)?;
        Some((request, request.job(id)?))
    }

    /// The requests of an account that are in memory, oldest first.
    pub(crate) fn requests_of(&self, user: UserId) -> Vec<RequestId> {
        self.by_user.get(&user).into_iter().flatten().copied().collect()
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

    /// The jobs in progress with their requests, in no order, decoys left out.
    pub(crate) fn jobs_in_progress(&self) -> impl Iterator<Item = (&LiveRequest<W>, &LiveJob<W>)> {
        let jobs = self.board.in_progress().filter_map(|job| self.job(job));
        jobs.filter(|(_, job)| !job.fake)
    }

    /// Jobs in progress of the account's requests.
    pub(crate) fn in_progress(&self, user: UserId) -> u64 {
        let jobs = self.jobs_in_progress();
        jobs.filter(|(request, _)| request.user == user).count() as u64
    }

    /// How many requests are in memory.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Takes a request in. The caller puts it on the board.
    pub(crate) fn insert(&mut self, request: LiveRequest<W>) {
        for job in &request.jobs {
            self.jobs.insert(job.id, request.id);
        }
        self.by_user
            .entry(request.user)
            .or_default()
            .push_back(request.id);
        self.requests.insert(request.id, Box::new(request));
    }

    /// Takes a request in that was on the board before a restart, with its jobs in progress.
    pub(crate) fn restore(&mut self, request: LiveRequest<W>) {
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
    pub(crate) fn start_job(&mut self, request: RequestId, job: LiveJob<W>) {
        self.board.start_job(job.id, request, job.worker, job.deadline);
        self.jobs.insert(job.id, request);
        if let Some(request) = self.requests.get_mut(&request) {
            request.jobs.push(job);
        }
    }

    /// Marks a job as delivered or given up.
    pub(crate) fn end_job(&mut self, id: JobId, state: LiveJobState<W>) {
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
        self.rename_parts(request);
        self.settle(request);
    }

    /// Takes slots that the board has reserved for a worker that offers `models`, until
    /// [`Live::put_slots`] says what came of it. Answers which parts of the request they are.
    pub(crate) fn take_slots(&mut self, id: RequestId, models: &[Arc<str>], slots: u32) -> Vec<Part> {
        let Some(request) = self.requests.get_mut(&id) else {
            return Vec::new();
        };
        let parts = W::next_parts(request, models, slots);
        request.slots = request.slots.saturating_sub(slots);
        request.reserved.extend(&parts);
        self.rename_parts(id);
        parts
    }

    /// Ends a reservation, which became jobs or was lost.
    pub(crate) fn put_slots(&mut self, id: RequestId, parts: &[Part]) {
        if let Some(request) = self.requests.get_mut(&id) {
            for part in parts {
                if let Some(index) = request.reserved.iter().position(|reserved| reserved == part) {
                    request.reserved.swap_remove(index);
                }
            }
        }
    }

    /// Tells the board which parts of a request still wait.
    fn rename_parts(&mut self, id: RequestId) {
        if W::NAMED_PARTS
            && let Some(request) = self.requests.get(&id)
        {
            self.board.set_models(id, W::models(request));
        }
    }

    /// Takes over how many slots the store says are left, of which other reservations may hold some.
    pub(crate) fn correct_slots(&mut self, id: RequestId, slots_left: u32) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.slots = slots_left.saturating_sub(request.reserved.len() as u32);
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
            self.rename_parts(id);
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
            let counts = request.counts();
            request.total = counts.finished + counts.processing;
        }
        self.board.cancel(id);
        self.settle(id);
    }

    /// Looks again at what a request needs, after the facts about models have changed.
    pub(crate) fn review(&mut self, id: RequestId, facts: &Facts) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        let Some(ticket) = self.board.get(id) else { return };
        let (price, available) = W::upfront(&ticket.demand).unwrap_or_default();
        let demand = W::demand(&request.spec, facts, price, available);
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
            if let Some(index) = requests.iter().position(|other| *other == id) {
                requests.remove(index);
            }
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
    use muster_dispatch::{alchemy::Alchemy, text::Text};
    use muster_protocol::{Kudos, WorkerId, text::RequestInput};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// A request as it is stored, with so many slots, on the board.
    fn live<W: Work>(spec: serde_json::Value, slots: u32) -> (Live<W>, RequestId) {
        let spec: W::Request = serde_json::from_value(spec).unwrap();
        let demand = W::demand(&spec, &Facts::default(), Kudos::ZERO, Kudos::ZERO);
        let request = LiveRequest {
            id: RequestId(id(1)),
            spec: Arc::new(spec),
            user: UserId(7),
            shared_key: None,
            expiry: NOW + std::time::Duration::from_mins(20),
            slots,
            reserved: Vec::new(),
            total: slots,
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

    /// A request for two texts.
    fn texts() -> (Live<Text>, RequestId) {
        let input: RequestInput = serde_json::from_value(json!({"prompt": "Once"})).unwrap();
        let spec = json!({"prompt": "Once", "params": input.params, "models": [], "workers": [],
            "worker_blacklist": false, "trusted_workers": false, "validated_backends": false, "slow_workers": true});
        live(spec, 2)
    }

    /// A request for two captions and a tag, of a picture of one tile.
    fn forms() -> (Live<Alchemy>, RequestId) {
        let forms = json!([{"name": "caption"}, {"name": "nsfw"}, {"name": "caption"}]);
        let spec = json!({"forms": forms, "source": "kept", "tiles": 1, "trusted_workers": false,
            "slow_workers": true});
        live(spec, 3)
    }

    fn job<W: Work>(number: u128, part: Part) -> LiveJob<W> {
        LiveJob {
            id: JobId(id(number)),
            part,
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
        let (mut live, request) = texts();
        live.take_slots(request, &[], 1);
        live.start_job(request, job(2, 0));
        live.put_slots(request, &[0]);
        live.take_slots(request, &[], 1);
        live.end_job(JobId(id(2)), LiveJobState::Faulted);
        assert!(!live.request(request).unwrap().is_done());
        assert!(live.board.get(request).is_some());

        live.start_job(request, job(3, 0));
        live.put_slots(request, &[0]);
        assert!(live.board.job(JobId(id(3))).is_some(), "its deadline is watched");
        live.end_job(JobId(id(3)), LiveJobState::Faulted);
        assert!(live.request(request).unwrap().is_done());
        assert!(live.board.get(request).is_none());
    }

    #[test]
    fn a_lost_reservation_of_a_cancelled_request_ends_it() {
        let (mut live, request) = texts();
        live.take_slots(request, &[], 2);
        live.stop(request, false);
        assert!(!live.request(request).unwrap().is_done());
        live.put_slots(request, &[0, 0]);
        live.return_slots(request, 2);
        live.settle(request);
        assert!(live.request(request).unwrap().is_done());
        assert_eq!(live.request(request).unwrap().slots, 0);
        assert!(live.board.get(request).is_none());
    }

    #[test]
    fn the_store_corrects_the_slots_but_for_what_is_reserved() {
        let (mut live, request) = texts();
        live.take_slots(request, &[], 1);
        live.correct_slots(request, 2);
        assert_eq!(live.request(request).unwrap().slots, 1);
        assert_eq!(live.board.get(request).unwrap().slots, 1);
    }

    #[test]
    fn parts_are_taken_in_order_by_workers_that_do_them() {
        let (mut live, request) = forms();
        let waiting = |live: &Live<Alchemy>| {
            let models = Alchemy::models(live.request(request).unwrap());
            models.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let (captions, all) = (["caption".into()], ["nsfw".into(), "caption".into()]);
        assert_eq!(waiting(&live), ["caption", "nsfw"]);
        assert_eq!(live.take_slots(request, &captions, 1), [0]);
        assert_eq!(waiting(&live), ["nsfw", "caption"]);
        assert_eq!(live.take_slots(request, &captions, 1), [2]);
        assert_eq!(waiting(&live), ["nsfw"]);
        assert_eq!(live.take_slots(request, &captions, 1), [] as [Part; 0]);

        // The reservation is lost, the part waits again.
        live.put_slots(request, &[0]);
        live.return_slots(request, 1);
        assert_eq!(waiting(&live), ["caption", "nsfw"]);
        assert_eq!(live.take_slots(request, &all, 1), [0]);
    }

    #[test]
    fn jobs_in_progress_are_counted_until_they_end_or_are_forgotten() {
        let (mut live, request) = forms();
        let user = UserId(7);
        let decoy = LiveJob {
            fake: true,
            ..job(4, 2)
        };
        for job in [job(2, 0), job(3, 1), decoy] {
            live.start_job(request, job);
        }
        assert_eq!(live.in_progress(user), 2);
        live.end_job(JobId(id(2)), LiveJobState::Faulted);
        live.end_job(JobId(id(2)), LiveJobState::Faulted);
        live.end_job(JobId(id(4)), LiveJobState::Faulted);
        assert_eq!(live.in_progress(user), 1);

        let restarted = live.request(request).unwrap().clone();
        live.remove(request);
        assert_eq!((live.in_progress(user), live.requests_of(user)), (0, Vec::new()));
        let demand = Alchemy::demand(&restarted.spec, &Facts::default(), Kudos::ZERO, Kudos::ZERO);
        live.board.insert(restarted.ticket(0, NOW, demand));
        live.restore(restarted);
        assert_eq!(
            (live.in_progress(user), live.requests_of(user)),
            (1, vec![request])
        );
    }

    #[test]
    fn a_part_waits_again_until_it_has_failed_too_often() {
        let (mut live, request) = forms();
        let forms: [Arc<str>; 1] = ["nsfw".into()];
        for attempt in 1..=u128::from(Alchemy::ATTEMPTS) {
            let parts = live.take_slots(request, &forms, 1);
            assert_eq!(parts, [1], "attempt {attempt}");
            live.start_job(request, job(attempt, 1));
            live.put_slots(request, &parts);
            if attempt < u128::from(Alchemy::ATTEMPTS) {
                live.return_slots(request, 1);
            }
            live.end_job(JobId(id(attempt)), LiveJobState::Faulted);
        }
        let request = live.request(request).unwrap();
        assert_eq!(request.slots, 2);
        assert_eq!(Alchemy::models(request), ["caption".into()]);
    }
}
