//! Requests and jobs as they are stored, and the changes that a request goes through.

use muster_protocol::{JobId, Kudos, RequestId, Timestamp, UserId, WorkKind, WorkerId};
use serde_json::Value;
use strum::FromRepr;
use uuid::Uuid;

use crate::{ledger::LedgerEvent, tallies::Tallies};

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromRepr)]
#[repr(i16)]
pub enum JobState {
    /// A worker has it.
    Processing = 0,
    /// Its result was accepted.
    Done = 1,
    /// It was given up: reported by the worker, or out of time.
    Faulted = 2,
}

/// A request as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRequest {
    /// Its id.
    pub id: RequestId,
    /// The kind of work.
    pub kind: WorkKind,
    /// Who pays.
    pub user: UserId,
    /// The shared key it came with.
    pub shared_key: Option<Uuid>,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it may be forgotten.
    pub expiry: Timestamp,
    /// Jobs not yet handed out.
    pub slots_left: i32,
    /// Jobs asked for.
    pub jobs_total: i32,
    /// Given up after too many faults.
    pub faulted: bool,
    /// Cancelled by its client; what is in flight may still be delivered.
    pub cancelled: bool,
    /// Its place in the queue: higher first.
    pub priority: i64,
    /// The price of one job as computed, before multipliers.
    pub price: f64,
    /// What was charged so far.
    pub consumed: Kudos,
    /// The amount of work in one job (pixelsteps, tokens).
    pub things: i64,
    /// The client's name for itself.
    pub client_agent: String,
    /// The client's address.
    pub ip: Option<String>,
    /// Where results are announced.
    pub webhook: Option<String>,
    /// What only the kind of work understands.
    pub payload: Value,
    /// When the request or one of its jobs last changed.
    pub updated_at: Timestamp,
    /// What is still promised to it.
    pub held: Kudos,
}

/// A job as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJob {
    /// Its id.
    pub id: JobId,
    /// The request it belongs to.
    pub request: RequestId,
    /// The worker that has it.
    pub worker: WorkerId,
    /// The kind of work.
    pub kind: WorkKind,
    /// The model chosen; may be empty.
    pub model: String,
    /// Where it is.
    pub state: JobState,
    /// When it was handed out.
    pub started: Timestamp,
    /// When it is given up.
    pub deadline: Timestamp,
    /// The seed: as handed out, later as reported.
    pub seed: i64,
    /// The result: `R2` for an object, else the text itself.
    pub result: Option<String>,
    /// What the worker reported about the result.
    pub gen_metadata: Option<Value>,
    /// Whether the result was censored.
    pub censored: bool,
    /// A decoy: counted and paid nowhere.
    pub fake: bool,
    /// What the worker was told it earned.
    pub reward: Option<Kudos>,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
    /// What only the kind of work understands.
    pub payload: Option<Value>,
}

/// An accepted request.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// Its id, chosen by the caller. Ids that begin with the time (UUID version 7) are written more
    /// than twice as fast as random ones, because neighbours share pages of the indexes.
    pub id: RequestId,
    /// The kind of work.
    pub kind: WorkKind,
    /// Who pays.
    pub user: UserId,
    /// The shared key it came with.
    pub shared_key: Option<Uuid>,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it may be forgotten.
    pub expiry: Timestamp,
    /// Jobs asked for.
    pub jobs_total: i32,
    /// Its place in the queue: higher first.
    pub priority: i64,
    /// The price of one job as computed, before multipliers.
    pub price: f64,
    /// What is charged at once; `event` moves it.
    pub consumed: Kudos,
    /// The amount of work in one job.
    pub things: i64,
    /// The client's name for itself.
    pub client_agent: String,
    /// The client's address.
    pub ip: Option<String>,
    /// Where results are announced.
    pub webhook: Option<String>,
    /// What only the kind of work understands.
    pub payload: Value,
    /// What is promised to the request from the payer's kudos; `event` holds it. Charges use it up, and
    /// what is left is released by [`Journal::release_hold`](crate::Journal::release_hold) or when the
    /// request is forgotten.
    pub held: Kudos,
    /// The tax, with what the payer must have. A duplicate or unaffordable event refuses the request.
    pub event: Option<LedgerEvent>,
    /// Statistics of the submission.
    pub tallies: Tallies,
}

/// A job to be handed out.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id, chosen by the caller; see [`NewRequest::id`].
    pub id: JobId,
    /// The model chosen; may be empty.
    pub model: String,
    /// When it is given up.
    pub deadline: Timestamp,
    /// The seed that is handed out.
    pub seed: i64,
    /// A decoy: takes no slot.
    pub fake: bool,
    /// What only the kind of work understands.
    pub payload: Option<Value>,
}

/// Hands out jobs of one request to one worker: all of them or none.
#[derive(Clone, Debug)]
pub struct StartJobs {
    /// The request.
    pub request: RequestId,
    /// The kind of work.
    pub kind: WorkKind,
    /// The worker.
    pub worker: WorkerId,
    /// When.
    pub at: Timestamp,
    /// The jobs.
    pub jobs: Vec<NewJob>,
    /// The request lives at least this long; an expiry is never shortened.
    pub new_expiry: Timestamp,
}

/// Accepts the result of a job.
#[derive(Clone, Debug)]
pub struct FinishJob {
    /// The job.
    pub job: JobId,
    /// Its request.
    pub request: RequestId,
    /// When.
    pub at: Timestamp,
    /// `R2` for an object, else the text itself.
    pub result: String,
    /// The seed as reported.
    pub seed: i64,
    /// What the worker reported about the result.
    pub gen_metadata: Option<Value>,
    /// Whether the result was censored.
    pub censored: bool,
    /// What the worker is told it earned.
    pub reward: Kudos,
    /// Who pays and who earns; `None` for decoys.
    pub event: Option<LedgerEvent>,
    /// Statistics of the delivery.
    pub tallies: Tallies,
    /// What the request is charged for the job.
    pub request_consumed: Kudos,
    /// The request lives at least this long; an expiry is never shortened.
    pub request_expiry: Timestamp,
    /// What is announced to the request's webhook.
    pub webhook: Option<crate::NewWebhookDelivery>,
}

/// Gives a job up.
#[derive(Clone, Debug)]
pub struct FaultJob {
    /// The job.
    pub job: JobId,
    /// Its request.
    pub request: RequestId,
    /// When.
    pub at: Timestamp,
    /// Whether the job's slot is handed out again. Never done for decoys and cancelled requests.
    pub return_slot: bool,
    /// Whether the whole request is given up.
    pub request_faulted: bool,
    /// Statistics of the failure.
    pub tallies: Tallies,
}

/// A request was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestCreated {
    /// What the accounts touched by the event have now.
    pub balances: Vec<(UserId, crate::Balances)>,
}

/// What became of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOutcome {
    /// The jobs are the worker's.
    Started {
        /// Slots left after them.
        slots_left: i32,
        /// The request's expiry now.
        expiry: Timestamp,
    },
    /// Fewer slots are left than jobs were to start; nothing was changed.
    SlotsGone {
        /// Slots left.
        slots_left: i32,
    },
    /// The request is unknown, expired, cancelled or faulted; nothing was changed.
    RequestGone,
}

/// What became of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishOutcome {
    /// It was accepted and paid.
    Finished {
        /// What the accounts touched by the event have now.
        balances: Vec<(UserId, crate::Balances)>,
    },
    /// A result was accepted before; nothing was changed.
    AlreadyFinished {
        /// What was paid then.
        reward: Kudos,
    },
    /// The job was given up before; nothing was changed.
    AlreadyFaulted,
    /// There is no such job.
    Unknown,
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// The job is given up.
    Faulted {
        /// The request's slots left now.
        slots_left: i32,
        /// Whether the request is given up.
        request_faulted: bool,
    },
    /// A result was accepted before; nothing was changed.
    AlreadyFinished,
    /// The job was given up before; nothing was changed.
    AlreadyFaulted,
    /// There is no such job.
    Unknown,
}

/// What became of a cancellation, or of giving a request up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It is done; jobs in flight may still be delivered.
    Done {
        /// Slots that will not be handed out any more.
        slots_dropped: i32,
    },
    /// It was so before; nothing was changed.
    Already,
    /// There is no such request.
    Unknown,
}

/// Which requests were forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Deleted with their jobs (or already gone).
    pub deleted: Vec<RequestId>,
    /// Kept, because their expiry was moved meanwhile, with what it is now.
    pub kept: Vec<(RequestId, Timestamp)>,
}
