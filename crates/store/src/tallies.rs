//! The statistics that move together with money and jobs. How they are added up is in [`crate::journal`].

use muster_protocol::{Kudos, Timestamp, UserId, WorkKind, WorkerId};
use strum::{EnumIter, FromRepr};
use uuid::Uuid;

/// What moves an account's action totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, FromRepr, strum::AsRefStr)]
#[strum(serialize_all = "lowercase")]
#[repr(i16)]
pub enum KudosAction {
    /// Net income of generations, uptime and promotion.
    Accumulated = 0,
    /// Transfers sent.
    Gifted = 1,
    /// Transfers sent to schools.
    Donated = 2,
    /// Administrators' adjustments.
    Admin = 3,
    /// Transfers received.
    Received = 4,
    /// Monthly kudos and grants.
    Recurring = 5,
    /// Awards and rating rewards.
    Awarded = 6,
    /// Rewards for styles.
    Styled = 7,
}

/// What an account's records count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, FromRepr, strum::AsRefStr)]
#[strum(serialize_all = "lowercase")]
#[repr(i16)]
pub enum RecordKind {
    /// Debits of its requests.
    Request = 0,
    /// Work done for it.
    Usage = 1,
    /// Jobs that its workers delivered.
    Fulfillment = 2,
    /// Work that its workers did.
    Contribution = 3,
    /// Uses of its styles.
    Style = 4,
}

/// What moves a worker's kudos totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter)]
pub enum WorkerAction {
    /// Images and texts delivered.
    Generated,
    /// Time online.
    Uptime,
    /// Alchemy forms delivered.
    Interrogated,
}

/// Kudos added to one of an account's action totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserTally {
    /// Whose total.
    pub user: UserId,
    /// Which total.
    pub action: KudosAction,
    /// How much.
    pub amount: Kudos,
}

/// A quantity added to one of an account's records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordTally {
    /// Whose record.
    pub user: UserId,
    /// Which record.
    pub record: RecordKind,
    /// For which kind of work.
    pub kind: WorkKind,
    /// How much; rounded to hundredths when booked.
    pub amount: f64,
}

/// What is added to a worker's totals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerTally {
    /// Whose totals. Totals of a worker that was deleted meanwhile are dropped.
    pub worker: WorkerId,
    /// What earned the kudos.
    pub action: WorkerAction,
    /// Kudos earned.
    pub kudos: Kudos,
    /// Work done (megapixelsteps, tokens); rounded to hundredths when booked.
    pub contributions: f64,
    /// Jobs delivered.
    pub fulfilments: i64,
    /// Jobs dropped.
    pub uncompleted_jobs: i64,
}

impl WorkerTally {
    /// Nothing added yet.
    pub const fn new(worker: WorkerId, action: WorkerAction) -> Self {
        Self {
            worker,
            action,
            kudos: Kudos::ZERO,
            contributions: 0.0,
            fulfilments: 0,
            uncompleted_jobs: 0,
        }
    }
}

/// What is added to a team's totals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TeamTally {
    /// Which team. Totals of a team that was deleted meanwhile are dropped.
    pub team: Uuid,
    /// When; the team was active then.
    pub at: Timestamp,
    /// Work done in megapixelsteps; rounded to hundredths when booked.
    pub contributions: f64,
    /// Jobs delivered.
    pub fulfilments: i64,
    /// Kudos earned.
    pub kudos: Kudos,
    /// Seconds online.
    pub uptime: i64,
}

/// What is charged to an account for a request that came with a shared key, and therefore counts against the key.
///
/// The key is a cap, not a purse: it takes part in no event of the ledger. An empty key is left alone, an unlimited
/// one only notes what was used, any other loses the amount down to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedKeyTally {
    /// The key.
    pub key: Uuid,
    /// What is charged.
    pub amount: Kudos,
}

/// A job that was done or given up, for the statistics of its kind of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkTally {
    /// The kind.
    pub kind: WorkKind,
    /// The model.
    pub model: String,
    /// When.
    pub at: Timestamp,
    /// The work in it, as asked for: pixelsteps, tokens.
    pub things: u64,
}

/// What was done with a model in an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkStat {
    /// Hours since 1970.
    pub hour: i64,
    /// The model.
    pub model: String,
    /// Jobs done or given up.
    pub jobs: u64,
    /// The work in them: pixelsteps, tokens.
    pub things: u64,
}

/// Statistics that move together with a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tallies {
    /// Action totals of accounts.
    pub totals: Vec<UserTally>,
    /// Records of accounts.
    pub records: Vec<RecordTally>,
    /// Totals of workers.
    pub workers: Vec<WorkerTally>,
    /// Jobs, for the statistics of the whole horde.
    pub work: Vec<WorkTally>,
    /// Totals of teams.
    pub teams: Vec<TeamTally>,
    /// Charges on shared keys.
    pub shared_keys: Vec<SharedKeyTally>,
    /// Shared keys through which more can be spent: somebody gave their owners kudos for them.
    pub shared_key_gifts: Vec<SharedKeyTally>,
    /// Styles and collections that were used once.
    pub uses: Vec<Uuid>,
    /// Accounts that were active, and when.
    pub active: Vec<(UserId, Timestamp)>,
}
