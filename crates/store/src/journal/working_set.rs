//! The rows of a group in memory, and what differs from the database.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId, WorkerId};

use super::books::Books;
use crate::{
    FinishJob, JobState, JournalError, NewRequest, StartJobs, WorkerCheckIn,
    entity::{api_key, user, worker},
};

/// Where a row comes from and whether it must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// As in the database.
    Stored,
    /// In the database, but changed here.
    Changed,
    /// Not in the database yet.
    New,
}

impl Origin {
    pub(crate) fn touch(&mut self) {
        if *self == Self::Stored {
            *self = Self::Changed;
        }
    }
}

/// The part of a request that changes.
#[derive(Debug)]
pub(crate) struct RequestRow {
    pub(crate) origin: Origin,
    pub(crate) deleted: bool,
    pub(crate) slots_left: i32,
    pub(crate) faulted: bool,
    pub(crate) cancelled: bool,
    pub(crate) expiry: Timestamp,
    pub(crate) consumed: Kudos,
    pub(crate) updated_at: Timestamp,
    pub(crate) user: UserId,
    /// What is still promised to it.
    pub(crate) held: Kudos,
    /// The rest, if the row is new.
    pub(crate) new: Option<Arc<NewRequest>>,
}

impl RequestRow {
    /// Notes a change made at a moment.
    pub(crate) fn touch(&mut self, at: Timestamp) {
        self.origin.touch();
        self.updated_at = self.updated_at.max(at);
    }
}

/// The part of a job that changes.
#[derive(Debug)]
pub(crate) struct JobRow {
    pub(crate) origin: Origin,
    pub(crate) request: RequestId,
    pub(crate) fake: bool,
    pub(crate) state: JobState,
    pub(crate) reward: Option<Kudos>,
    pub(crate) finished_at: Option<Timestamp>,
    /// The start that it came with, and which of its jobs it is, if the row is new.
    pub(crate) new: Option<(Arc<StartJobs>, usize)>,
    /// The result, if it came in this group.
    pub(crate) finish: Option<Arc<FinishJob>>,
}

/// A user, worker or key row.
#[derive(Debug)]
pub(crate) struct Row<M> {
    pub(crate) origin: Origin,
    pub(crate) model: M,
}

impl<M> Row<M> {
    pub(crate) fn new(model: M) -> Self {
        Self {
            origin: Origin::New,
            model,
        }
    }

    pub(crate) fn stored(model: M) -> Self {
        Self {
            origin: Origin::Stored,
            model,
        }
    }
}

/// Everything that a group of changes sees and does.
#[derive(Debug, Default)]
pub(crate) struct WorkingSet {
    /// See [`Needs::again`](super::change::Needs::again).
    pub(crate) again: bool,
    pub(crate) requests: HashMap<RequestId, RequestRow>,
    pub(crate) jobs: HashMap<JobId, JobRow>,
    pub(crate) users: BTreeMap<UserId, Row<user::Model>>,
    pub(crate) keys: HashMap<String, Row<api_key::Model>>,
    /// Users whose stored key dies.
    pub(crate) dead_keys: BTreeSet<UserId>,
    pub(crate) external_ids: HashMap<String, UserId>,
    pub(crate) next_user: i64,
    pub(crate) workers: BTreeMap<WorkerId, Row<worker::Model>>,
    pub(crate) worker_names: HashMap<String, WorkerId>,
    pub(crate) deleted_workers: BTreeSet<WorkerId>,
    /// Users all of whose workers are un-paused.
    pub(crate) unpaused: BTreeSet<UserId>,
    /// Users whose workers and shared keys go.
    pub(crate) wiped: BTreeSet<UserId>,
    /// The newest check-in of each worker.
    pub(crate) check_ins: BTreeMap<WorkerId, WorkerCheckIn>,
    pub(crate) books: Books,
}

impl WorkingSet {
    /// A request that exists, for writing.
    pub(crate) fn request(&mut self, id: RequestId) -> Option<&mut RequestRow> {
        self.requests.get_mut(&id).filter(|row| !row.deleted)
    }

    /// A job of a request that exists.
    ///
    /// Fails if the caller names the wrong request: the request's row is what was locked.
    pub(crate) fn job(&mut self, id: JobId, request: RequestId) -> Result<Option<&mut JobRow>, JournalError> {
        if self.request(request).is_none() {
            return Ok(None);
        }
        match self.jobs.get_mut(&id) {
            Some(job) if job.request != request => {
                Err(JournalError::Invalid("the job belongs to another request"))
            }
            job => Ok(job),
        }
    }

    /// An account that exists, for writing.
    pub(crate) fn user(&mut self, id: UserId) -> Result<&mut Row<user::Model>, JournalError> {
        self.users.get_mut(&id).ok_or(JournalError::UnknownAccount(id))
    }

    /// A worker that exists, for writing.
    pub(crate) fn worker(&mut self, id: WorkerId) -> Result<&mut Row<worker::Model>, JournalError> {
        if self.deleted_workers.contains(&id) {
            return Err(JournalError::UnknownWorker(id));
        }
        self.workers.get_mut(&id).ok_or(JournalError::UnknownWorker(id))
    }

    /// Takes over what a worker said, unless something newer is known.
    pub(crate) fn note_check_in(&mut self, check_in: &WorkerCheckIn) {
        let known = self.check_ins.get(&check_in.worker);
        if known.is_none_or(|known| known.at <= check_in.at) {
            self.check_ins.insert(check_in.worker, check_in.clone());
        }
    }
}
