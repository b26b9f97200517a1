//! [`LiveRequest`] and [`LiveJob`]: what is known of a request while it is in memory.

use std::sync::Arc;

use muster_dispatch::Ticket;
use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId, WorkerId};
use muster_store::JobState;
use uuid::Uuid;

use crate::work::{Part, Work};

/// A request in memory.
#[derive(Clone, Debug)]
pub(crate) struct LiveRequest<W: Work> {
    pub(crate) id: RequestId,
    pub(crate) spec: Arc<W::Request>,
    pub(crate) user: UserId,
    /// The shared key that is charged, too.
    pub(crate) shared_key: Option<Uuid>,
    pub(crate) expiry: Timestamp,
    /// Jobs that no worker has taken yet.
    pub(crate) slots: u32,
    /// Jobs that are being handed out, by the part that each does: taken off the board, not durable yet.
    pub(crate) reserved: Vec<Part>,
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
    /// Work in one job: pixelsteps, tokens.
    pub(crate) things: u64,
    pub(crate) jobs: Vec<LiveJob<W>>,
    /// Whether any online worker can serve it, and when that was found out.
    pub(crate) possible: Option<(Timestamp, bool)>,
}

/// A job in memory.
#[derive(Clone, Debug)]
pub(crate) struct LiveJob<W: Work> {
    pub(crate) id: JobId,
    /// Which part of the request it does.
    pub(crate) part: Part,
    pub(crate) worker: WorkerId,
    pub(crate) model: Arc<str>,
    pub(crate) started: Timestamp,
    /// When it counts as lost.
    pub(crate) deadline: Timestamp,
    /// A decoy: counted nowhere.
    pub(crate) fake: bool,
    pub(crate) state: LiveJobState<W>,
}

/// Where a job in memory is.
#[derive(Clone, Debug)]
pub(crate) enum LiveJobState<W: Work> {
    Processing,
    Done(Arc<Delivered<W>>),
    Faulted,
}

/// What a worker delivered.
#[derive(Clone, Debug)]
pub(crate) struct Delivered<W: Work> {
    /// `R2` for an object, else the text that the worker sent.
    pub(crate) result: String,
    pub(crate) seed: i64,
    pub(crate) metadata: Vec<W::Metadata>,
    pub(crate) censored: bool,
}

/// The jobs of a request by state, decoys left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JobCounts {
    pub(crate) finished: u32,
    pub(crate) processing: u32,
    pub(crate) faulted: u32,
}

impl<W: Work> LiveJobState<W> {
    pub(crate) fn as_stored(&self) -> JobState {
        match self {
            Self::Processing => JobState::Processing,
            Self::Done(_) => JobState::Done,
            Self::Faulted => JobState::Faulted,
        }
    }
}

impl<W: Work> LiveRequest<W> {
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

    /// The results, in the order in which their jobs were handed out.
    pub(crate) fn delivered(&self) -> impl Iterator<Item = (&LiveJob<W>, &Arc<Delivered<W>>)> {
        let counted = self.jobs.iter().filter(|job| !job.fake);
        counted.filter_map(|job| match &job.state {
            LiveJobState::Done(delivered) => Some((job, delivered)),
            _ => None,
        })
    }

    /// Whether nothing more will come: given up, or nothing left to do.
    pub(crate) fn is_done(&self) -> bool {
        self.faulted || self.is_idle()
    }

    /// Whether all slots are taken and nothing is in progress or being handed out.
    pub(crate) fn is_idle(&self) -> bool {
        self.slots == 0 && self.reserved.is_empty() && self.counts().processing == 0
    }

    /// The request as the board knows it.
    pub(crate) fn ticket(&self, priority: i64, created: Timestamp, demand: W::Demand) -> Ticket<W::Demand> {
        Ticket {
            request: self.id,
            requester: self.user,
            priority,
            created,
            expires: self.expiry,
            slots: self.slots,
            things: self.things,
            models: W::models(self),
            workers: W::worker_list(&self.spec),
            demand,
        }
    }

    pub(crate) fn job(&self, id: JobId) -> Option<&LiveJob<W>> {
        self.jobs.iter().find(|job| job.id == id)
    }

    pub(super) fn job_mut(&mut self, id: JobId) -> Option<&mut LiveJob<W>> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }
}
