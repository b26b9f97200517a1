//! The board's vocabulary: what goes in (tickets, pops) and what comes out (reservations, places).

use std::sync::Arc;

use muster_protocol::{JobId, RequestId, Timestamp, UserId, WorkerId};

use crate::words::Unread;

/// Which workers a request may go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WorkerList {
    /// Any worker.
    #[default]
    Any,
    /// Only these workers.
    Only(Vec<WorkerId>),
    /// Any worker but these.
    Except(Vec<WorkerId>),
}

impl WorkerList {
    /// Whether the list lets `worker` have the request.
    pub fn admits(&self, worker: WorkerId) -> bool {
        match self {
            Self::Any => true,
            Self::Only(workers) => workers.contains(&worker),
            Self::Except(workers) => !workers.contains(&worker),
        }
    }
}

/// A request as the board knows it.
#[derive(Clone, Debug)]
pub struct Ticket<D> {
    /// Which request.
    pub request: RequestId,
    /// Whose kudos pay for it: the account whose own workers serve it first.
    pub requester: UserId,
    /// Whole kudos at activation (spec: kudos, section 8). More is served earlier.
    pub priority: i64,
    /// When it was made. Ageing counts from here and ties go to the older request.
    pub created: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// Jobs that no worker has taken yet.
    pub slots: u32,
    /// Raw size of one job: pixelsteps for pictures, tokens for text.
    pub things: u64,
    /// The models that may serve it. Empty means any.
    pub models: Vec<Arc<str>>,
    /// The workers that may serve it.
    pub workers: WorkerList,
    /// What it needs of a worker.
    pub demand: D,
}

/// A worker asking for work.
#[derive(Debug)]
pub struct Pop<'a, O> {
    /// Which worker.
    pub worker: WorkerId,
    /// Whose worker. The owner's requests are served first.
    pub owner: UserId,
    /// The recognised models that it offers in this pop.
    pub models: &'a [Arc<str>],
    /// Jobs it takes at most; 0 counts as 1.
    pub amount: u32,
    /// Users whose requests come before everybody else's, like the owner's.
    pub priority_users: &'a [UserId],
    /// What it can do.
    pub offer: &'a O,
    /// The time of the pop.
    pub now: Timestamp,
}

impl<O> Clone for Pop<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Pop<'_, O> {}

/// Slots of one request, taken out of the board for one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The request served.
    pub request: RequestId,
    /// How many of its slots were taken. A decoy takes none and counts 1 here.
    pub slots: u32,
    /// The model to use for all of them. Empty only if neither side named one.
    pub model: Arc<str>,
    /// Whether the job is a decoy for a paused worker: no slot was taken, nothing is to be
    /// released, and the request is never offered to this worker again.
    pub decoy: bool,
}

/// The answer to a pop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation<S> {
    /// There is work.
    Reserved(Reserved),
    /// It can't be told yet: the worker has forbidden words, and too many prompts have not been
    /// compared with them. Read them, let the board learn of it, and ask again.
    Unread(Unread),
    /// There is none for this worker.
    Nothing {
        /// Why the waiting requests were passed over.
        skipped: S,
    },
}

/// A job in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// The request it belongs to.
    pub request: RequestId,
    /// Who works on it.
    pub worker: WorkerId,
    /// When it counts as lost.
    pub deadline: Timestamp,
}

/// Something whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Due {
    /// The request is past its expiry. It is no longer served, but stays on the board until it is
    /// removed.
    RequestExpired(RequestId),
    /// The job is past its deadline. The board has forgotten it; its slot is still taken.
    JobTimedOut(JobId),
}

/// Where a request stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePlace {
    /// 1 is next.
    pub position: u64,
    /// Slots of all requests up to and including this one.
    pub jobs: u64,
    /// Things of all those slots.
    pub things: u64,
}

/// What is waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests with at least one slot left.
    pub requests: u64,
    /// Their slots.
    pub jobs: u64,
    /// The things of those slots.
    pub things: u64,
}
