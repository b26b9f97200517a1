//! Workers as they are stored.

use muster_protocol::{Kudos, Timestamp, UserId, WorkKind, WorkerId};
use serde_json::Value;
use uuid::Uuid;

use crate::Suspicion;

/// A worker as stored.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, as stored")]
pub struct StoredWorker {
    /// Its id.
    pub id: WorkerId,
    /// The kind of work it does.
    pub kind: WorkKind,
    /// Who runs it.
    pub owner: UserId,
    /// Its name, unique over all kinds.
    pub name: String,
    /// When it first appeared.
    pub created: Timestamp,
    /// What its owner says about it.
    pub info: Option<String>,
    /// Its team.
    pub team: Option<Uuid>,
    /// Receives only decoys, without being told.
    pub paused: bool,
    /// Receives only its owner's jobs.
    pub maintenance: bool,
    /// What it is told in maintenance.
    pub maintenance_message: Option<String>,
    /// Reasons for suspicion, by number, in the order they were given.
    pub suspicions: Vec<i16>,
    /// Its last address.
    pub ip: Option<String>,
    /// Its name and version for itself.
    pub bridge_agent: String,
    /// Jobs it runs at once.
    pub threads: i32,
    /// The largest work it takes, in the units of its kind.
    pub max_power: i32,
    /// Takes its time.
    pub extra_slow: bool,
    /// Takes requests from unsafe addresses.
    pub allow_unsafe_ip: bool,
    /// Work per second; `None` until the first sample.
    pub speed: Option<f64>,
    /// When it was last heard of.
    pub last_check_in: Timestamp,
    /// Seconds online.
    pub uptime: i64,
    /// `uptime` when it was last rewarded.
    pub last_reward_uptime: i64,
    /// Jobs dropped in the current hour.
    pub aborted_jobs: i32,
    /// When that hour began.
    pub last_aborted_job: Option<Timestamp>,
    /// Abilities that only its kind has: models, limits, switches.
    pub settings: Value,
    /// Kudos earned in total.
    pub kudos: Kudos,
    /// Of these, for images and texts.
    pub kudos_generated: Kudos,
    /// Of these, for time online.
    pub kudos_uptime: Kudos,
    /// Of these, for alchemy.
    pub kudos_interrogated: Kudos,
    /// Work done, exact to hundredths.
    pub contributions: f64,
    /// Jobs delivered.
    pub fulfilments: i64,
    /// Jobs dropped.
    pub uncompleted_jobs: i64,
}

/// What a worker says about itself at every pop, and what the server measures.
///
/// These columns are written whole; the caller batches, a few seconds late at most. The other
/// columns belong to [`WorkerChanges`] and to the tallies.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerCheckIn {
    /// The worker.
    pub worker: WorkerId,
    /// When.
    pub at: Timestamp,
    /// Its address.
    pub ip: Option<String>,
    /// Its name and version for itself.
    pub bridge_agent: String,
    /// Jobs it runs at once.
    pub threads: i32,
    /// The largest work it takes, in the units of its kind.
    pub max_power: i32,
    /// Takes its time.
    pub extra_slow: bool,
    /// Takes requests from unsafe addresses.
    pub allow_unsafe_ip: bool,
    /// Work per second; `None` until the first sample.
    pub speed: Option<f64>,
    /// Seconds online.
    pub uptime: i64,
    /// `uptime` when it was last rewarded.
    pub last_reward_uptime: i64,
    /// Jobs dropped in the current hour.
    pub aborted_jobs: i32,
    /// When that hour began.
    pub last_aborted_job: Option<Timestamp>,
    /// Abilities that only its kind has.
    pub settings: Value,
}

/// A worker's first check-in.
#[derive(Clone, Debug)]
pub struct NewWorker {
    /// The kind of work it does.
    pub kind: WorkKind,
    /// Who runs it.
    pub owner: UserId,
    /// Its name; unique over all kinds, compared exactly.
    pub name: String,
    /// The rest. `state.worker` is its id and `state.at` its date of creation.
    pub state: WorkerCheckIn,
}

/// What became of a registration.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerRegistration {
    /// The worker exists now.
    Registered(Box<StoredWorker>),
    /// The name is taken.
    NameTaken {
        /// By this worker.
        worker: WorkerId,
        /// Of this kind.
        kind: WorkKind,
        /// Of this owner.
        owner: UserId,
    },
}

/// Changes by its owner or a moderator: what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerChanges {
    /// A new name.
    pub name: Option<String>,
    /// A new description, or none.
    pub info: Option<Option<String>>,
    /// Another team, or none.
    pub team: Option<Option<Uuid>>,
    /// Pauses or un-pauses.
    pub paused: Option<bool>,
    /// Switches maintenance.
    pub maintenance: Option<bool>,
    /// A new message, or the default one.
    pub maintenance_message: Option<Option<String>>,
    /// The whole list of suspicions.
    pub suspicions: Option<Vec<i16>>,
    /// One more of them.
    pub suspect: Option<Suspicion>,
}
