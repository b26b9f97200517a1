//! [`Board`]: the live requests of one kind of work.
//!
//! This file keeps the books: who is on the board, what of it waits, and what is due when. Which
//! request a worker gets is decided in `search`, how it comes to wait and ceases to is in `waiting`.
//!
//! Each request sits in one slot of a slab for its whole life. While it *waits* (it has slots left,
//! is not expired and not cancelled) it is also found in
//!
//! - the ranking, which tells its place in the queue;
//! - one lane: that of its model, the one for requests that name several models or the one for
//!   those that name none; or, if only certain workers may serve it, the lane of each of them
//!   instead, so that nobody else ever comes across it;
//! - the index of its requester, for workers that serve some users first.

mod search;
mod users;
mod waiting;
mod workers;

use std::{collections::BTreeMap, sync::Arc};

use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId, WorkerId};
use rand::Rng;
use rustc_hash::FxHashMap;
use slab::Slab;

use crate::{
    blocks::{LaneSide, Ranking},
    kind::{Kind, Traits},
    models::{Models, SetId},
    order::OrderKey,
    ticket::{Due, Job, Pop, QueuePlace, Reservation, Ticket, Totals, WorkerList},
    timer::Timer,
    words::{ReadPrompts, WordMemory},
};

use search::Outcome;
pub use search::{could_serve, makes_possible, obstacles};
use users::{UserNumber, Users};
use waiting::SharedLanes;
use workers::Workers;

/// The live requests of one kind of work.
///
/// A request enters with [`Board::insert`], has its slots taken by [`Board::reserve`] and given back
/// by [`Board::release`], and leaves with [`Board::remove`]. Its place among the others never changes
/// (see [`OrderKey`]).
pub struct Board<K: Kind> {
    entries: Slab<Entry<K::Demand>>,
    slots: FxHashMap<RequestId, u32>,
    ranking: Ranking,
    lanes: SharedLanes,
    models: Models,
    workers: Workers,
    /// By slot.
    sides: Vec<LaneSide>,
    users: Users,
    by_user: BTreeMap<(UserId, OrderKey), u32>,
    /// Slots that the anonymous account waits for, by what it asks for.
    anonymous: FxHashMap<SetId, u64>,
    jobs: FxHashMap<JobId, Job>,
    timer: Timer,
    /// The latest clock reading.
    now: Timestamp,
    words: WordMemory,
    tally: K::Tally,
    totals: Totals,
    matched_targeting: bool,
}

/// A request on the board.
struct Entry<D> {
    ticket: Ticket<D>,
    key: OrderKey,
    traits: Traits,
    state: State,
    /// Workers that got a decoy.
    tricked: Vec<WorkerId>,
    /// Jobs in progress.
    jobs: Vec<JobId>,
}

/// Why a request waits or doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It waits: see the lanes.
    Waiting,
    /// It has no slots left.
    Taken,
    /// Its time is over.
    Expired,
    /// It was cancelled: slots that come back are dropped.
    Cancelled,
}

/// Less than anybody owns: the price of requests that everybody trusts to be paid.
const FREE: Kudos = Kudos::from_hundredths(i64::MIN);

impl<K: Kind> Default for Board<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> Board<K> {
    /// An empty board.
    pub fn new() -> Self {
        Self {
            entries: Slab::new(),
            slots: FxHashMap::default(),
            ranking: Ranking::default(),
            lanes: SharedLanes::default(),
            models: Models::default(),
            workers: Workers::default(),
            sides: Vec::new(),
            users: Users::default(),
            by_user: BTreeMap::new(),
            anonymous: FxHashMap::default(),
            jobs: FxHashMap::default(),
            timer: Timer::default(),
            now: Timestamp::default(),
            words: WordMemory::default(),
            tally: K::Tally::default(),
            totals: Totals::default(),
            matched_targeting: false,
        }
    }

    /// With `required`, requests for certain workers are offered to these only if the worker's owner
    /// made or prioritises them.
    #[must_use]
    pub fn with_matched_targeting(mut self, required: bool) -> Self {
        self.matched_targeting = required;
        self
    }

    /// Puts a request on the board. If it is there already, nothing changes and the answer is
    /// `false`.
    pub fn insert(&mut self, ticket: Ticket<K::Demand>) -> bool {
        if self.slots.contains_key(&ticket.request) {
            return false;
        }
        let request = ticket.request;
        let user = self.users.enter(ticket.requester);
        let set = self.models.enter(&ticket.models);
        let price = self.note_upfront(user, &ticket.demand);
        let entry = Entry {
            key: OrderKey::new(ticket.priority, ticket.created, request, K::AGES),
            traits: K::traits_of(&ticket.demand, ticket.models.is_empty()),
            state: if ticket.expires <= self.now {
                State::Expired
            } else if ticket.slots == 0 {
                State::Taken
            } else {
                State::Waiting
            },
            tricked: Vec::new(),
            jobs: Vec::new(),
            ticket,
        };
        self.timer.set(entry.ticket.expires, Due::RequestExpired(request));
        let slot = self.entries.insert(entry) as u32;
        let side = LaneSide {
            price,
            low_models: self.models.low(set),
            set,
            user,
        };
        match self.sides.get_mut(slot as usize) {
            Some(free) => *free = side,
            None => self.sides.push(side),
        }
        self.slots.insert(request, slot);
        if let WorkerList::Except(workers) = &self.entries[slot as usize].ticket.workers {
            for &worker in workers {
                self.workers.bar(worker, slot);
            }
        }
        if self.entries[slot as usize].state == State::Waiting {
            self.enqueue(slot);
        }
        true
    }

    /// Takes a request off the board, its jobs in progress with it.
    pub fn remove(&mut self, request: RequestId) -> Option<Ticket<K::Demand>> {
        let slot = self.slots.remove(&request)?;
        self.set_state(slot, State::Cancelled);
        let entry = self.entries.remove(slot as usize);
        self.timer
            .unset(entry.ticket.expires, Due::RequestExpired(request));
        for id in &entry.jobs {
            if let Some(job) = self.jobs.remove(id) {
                self.timer.unset(job.deadline, Due::JobTimedOut(*id));
            }
        }
        let LaneSide { user, set, .. } = self.sides[slot as usize];
        self.models.leave(set);
        self.users.leave(user);
        self.words.changed(slot);
        if let WorkerList::Except(workers) = &entry.ticket.workers {
            for &worker in workers {
                self.workers.unbar(worker, slot);
            }
        }
        for &worker in &entry.tricked {
            self.workers.unbar(worker, slot);
        }
        Some(entry.ticket)
    }

    /// The request as it is now.
    pub fn get(&self, request: RequestId) -> Option<&Ticket<K::Demand>> {
        self.slots
            .get(&request)
            .map(|&slot| &self.entries[slot as usize].ticket)
    }

    /// All requests on the board, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Ticket<K::Demand>> {
        self.entries.iter().map(|(_, entry)| &entry.ticket)
    }

    /// Requests on the board, waiting or not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Finds the first request that the worker can serve, and takes slots out of it at once: what is
    /// reserved is reserved for this worker.
    ///
    /// Requests of the worker's owner and of its priority users come first, then everybody's, each
    /// in queue order. The model is drawn from those that both sides name.
    pub fn reserve<R: Rng + ?Sized>(
        &mut self,
        pop: &Pop<'_, K::Offer>,
        rng: &mut R,
    ) -> Reservation<K::Skipped> {
        self.settle(pop.now);
        match self.search(pop) {
            Outcome::Found { slot, decoy } => Reservation::Reserved(self.take(slot, decoy, pop, rng)),
            Outcome::Unread(unread) => Reservation::Unread(unread),
            Outcome::Nothing(skipped) => Reservation::Nothing { skipped },
        }
    }

    /// Takes in what was found in the prompts that [`Board::reserve`] handed out.
    pub fn learn(&mut self, read: ReadPrompts) {
        self.words.learn(read);
    }

    /// Gives slots back: those of a reservation that was lost, or that of a job that failed. The
    /// request keeps its place. Slots of requests that were cancelled or removed are dropped.
    pub fn release(&mut self, request: RequestId, slots: u32) {
        if let Some(&slot) = self.slots.get(&request)
            && self.entries[slot as usize].state != State::Cancelled
        {
            let now = self.entries[slot as usize].ticket.slots;
            self.set_slots_of(slot, now.saturating_add(slots));
        }
    }

    /// Sets the slots of a request that another node has taken some of. Does nothing to cancelled
    /// requests.
    pub fn set_slots(&mut self, request: RequestId, slots: u32) {
        if let Some(&slot) = self.slots.get(&request)
            && self.entries[slot as usize].state != State::Cancelled
        {
            self.set_slots_of(slot, slots);
        }
    }

    /// Stops serving a request for good. It stays on the board until it is removed.
    pub fn cancel(&mut self, request: RequestId) {
        if let Some(&slot) = self.slots.get(&request) {
            self.set_state(slot, State::Cancelled);
            self.entries[slot as usize].ticket.slots = 0;
        }
    }

    /// Moves the expiry of a request. One that had expired is served again if there is time left by
    /// the latest clock reading that the board was given.
    pub fn set_expiry(&mut self, request: RequestId, expires: Timestamp) {
        let Some(&slot) = self.slots.get(&request) else {
            return;
        };
        let entry = &mut self.entries[slot as usize];
        self.timer
            .unset(entry.ticket.expires, Due::RequestExpired(request));
        self.timer.set(expires, Due::RequestExpired(request));
        entry.ticket.expires = expires;
        if entry.state == State::Cancelled {
            return;
        }
        if expires <= self.now {
            self.set_state(slot, State::Expired);
        } else if entry.state == State::Expired {
            let slots = entry.ticket.slots;
            entry.state = State::Taken;
            self.set_slots_of(slot, slots);
        }
    }

    /// Replaces what a request needs, for example after the facts about models have changed.
    pub fn revise(&mut self, request: RequestId, demand: K::Demand) -> bool {
        let Some(&slot) = self.slots.get(&request) else {
            return false;
        };
        let state = self.entries[slot as usize].state;
        self.set_state(slot, State::Taken);
        let entry = &mut self.entries[slot as usize];
        entry.traits = K::traits_of(&demand, entry.ticket.models.is_empty());
        self.sides[slot as usize].price = self.note_upfront(self.sides[slot as usize].user, &demand);
        self.entries[slot as usize].ticket.demand = demand;
        self.words.changed(slot);
        self.set_state(slot, state);
        true
    }

    /// Replaces the models that a request names. Does nothing else: its place and what it needs stay.
    pub fn set_models(&mut self, request: RequestId, models: Vec<Arc<str>>) {
        let Some(&slot) = self.slots.get(&request) else {
            return;
        };
        let entry = &self.entries[slot as usize];
        if entry.ticket.models == models {
            return;
        }
        let state = entry.state;
        self.set_state(slot, State::Taken);
        let old = self.sides[slot as usize].set;
        let set = self.models.enter(&models);
        self.models.leave(old);
        let side = &mut self.sides[slot as usize];
        (side.set, side.low_models) = (set, self.models.low(set));
        let entry = &mut self.entries[slot as usize];
        entry.traits = K::traits_of(&entry.ticket.demand, models.is_empty());
        entry.ticket.models = models;
        self.set_state(slot, state);
    }

    /// Says what a user has to spend now, for workers that want to see the price beforehand. Only
    /// matters while the user has requests on the board.
    pub fn set_available(&mut self, user: UserId, available: Kudos) {
        if let Some(number) = self.users.number(user) {
            self.users.set_available(number, available);
        }
    }

    /// Notes a job in progress, whose slot was taken before. Answers `false` for a request that is
    /// not on the board or a job that is there already.
    pub fn start_job(
        &mut self,
        job: JobId,
        request: RequestId,
        worker: WorkerId,
        deadline: Timestamp,
    ) -> bool {
        let Some(&slot) = self.slots.get(&request) else {
            return false;
        };
        if self.jobs.contains_key(&job) {
            return false;
        }
        self.entries[slot as usize].jobs.push(job);
        self.jobs.insert(
            job,
            Job {
                request,
                worker,
                deadline,
            },
        );
        self.timer.set(deadline, Due::JobTimedOut(job));
        true
    }

    /// Forgets a job: it was delivered, given up or timed out. Its slot is another matter, see
    /// [`Board::release`].
    pub fn finish_job(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.timer.unset(job.deadline, Due::JobTimedOut(id));
        if let Some(&slot) = self.slots.get(&job.request) {
            self.entries[slot as usize].jobs.retain(|other| *other != id);
        }
        Some(job)
    }

    /// A job in progress.
    pub fn job(&self, job: JobId) -> Option<Job> {
        self.jobs.get(&job).copied()
    }

    /// The jobs in progress of a request, in the order in which they began.
    pub fn jobs_of(&self, request: RequestId) -> &[JobId] {
        self.slots
            .get(&request)
            .map_or(&[], |&slot| self.entries[slot as usize].jobs.as_slice())
    }

    /// The jobs in progress, in no order.
    pub fn in_progress(&self) -> impl Iterator<Item = JobId> {
        self.jobs.keys().copied()
    }

    /// How many jobs are in progress.
    pub fn jobs_in_progress(&self) -> usize {
        self.jobs.len()
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timer.next()
    }

    /// What has become due up to `now`, in order, each once.
    ///
    /// Nothing is removed by that: expired requests stay until [`Board::remove`] (or come back to
    /// life with [`Board::set_expiry`]), jobs stay until [`Board::finish_job`].
    pub fn due(&mut self, now: Timestamp) -> Vec<Due> {
        self.settle(now);
        self.timer.take()
    }

    /// Where a waiting request stands in the queue. `None` if it doesn't wait.
    pub fn place(&self, request: RequestId) -> Option<QueuePlace> {
        let slot = *self.slots.get(&request)?;
        let sums = self.ranking.up_to(&self.entries[slot as usize].key)?;
        Some(QueuePlace {
            position: sums.requests,
            jobs: sums.jobs,
            things: sums.things,
        })
    }

    /// All that waits.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What waits for a model. Requests that name several count for each of them, requests that name
    /// none for none.
    pub fn model_totals(&self, model: &str) -> Totals {
        self.models.totals(model)
    }

    /// What waits for each model that something waits for, in no order.
    pub fn models(&self) -> impl Iterator<Item = (&str, Totals)> {
        self.models.all().map(|(name, totals)| (&**name, totals))
    }

    /// Slots that a user waits for.
    pub fn pending_slots(&self, user: UserId) -> u64 {
        self.users.find(user).map_or(0, |user| user.slots)
    }

    /// Slots that the anonymous account waits for with requests that name one of `models`, or with
    /// all requests if `models` is empty.
    pub fn pending_anonymous(&self, models: &[Arc<str>]) -> u64 {
        if models.is_empty() {
            return self.pending_slots(UserId::ANONYMOUS);
        }
        let wanted = self.models.offered(models);
        self.anonymous
            .iter()
            .filter(|&(&set, _)| self.models.intersects(set, &wanted))
            .map(|(_, slots)| slots)
            .sum()
    }

    /// Notes what a requester has to spend, and answers what must be owned for the request.
    fn note_upfront(&mut self, user: UserNumber, demand: &K::Demand) -> Kudos {
        let Some((price, available)) = K::upfront(demand) else {
            return FREE;
        };
        self.users.set_available(user, available);
        price
    }

    /// Takes expired requests out of the lanes.
    fn settle(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some(due) = self.timer.advance(now) {
            if let Due::RequestExpired(request) = due
                && let Some(&slot) = self.slots.get(&request)
                && self.entries[slot as usize].state != State::Cancelled
            {
                self.set_state(slot, State::Expired);
            }
        }
    }
}
