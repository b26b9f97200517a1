//! What survives a restart: accounts, workers, requests and jobs, the ledger, and the objects
//! (images) that go with them.
//!
//! - [`Store`] opens the database (SQLite or PostgreSQL), migrates it and answers *cold* reads: at
//!   start, for things that are not in memory, for audits.
//! - [`Journal`] is the only way to change anything. It groups what many callers want at the same
//!   time into one transaction and answers after the commit; see [`journal`].
//! - [`Blobs`] keeps objects in a directory or in S3, behind signed, expiring addresses.
//!
//! What is *not* here: any rule about who may do what, or what something costs. The caller says
//! what happened; this crate makes it durable, exactly once and balanced.

mod accounts;
mod audit;
mod backup;
mod belongings;
pub mod blobs;
mod codes;
mod config;
mod engine_specific;
mod entity;
mod error;
pub mod journal;
mod ledger;
mod metrics;
mod migration;
mod reads;
mod repair;
mod requests;
mod safety;
mod sql;
mod store;
mod suspicion;
mod tallies;
mod text;
mod webhooks;
mod workers;

pub use accounts::{
    Account, AccountChanges, AccountOrder, ApiKeyHash, Balances, MonthlyChange, NewAccount, Payment, Role,
    Roles, SetBalance, UserRecord, UserTotal,
};
pub use audit::{Drift, LedgerAudit, Promise, UnbalancedEvent};
pub use backup::{Backup, BackupError, Examination, examine};
pub use belongings::{
    Collection, CollectionFilter, ListOrder, MessageFilter, Page, SharedKey, Style, StyleExample,
    StyleFilter, Team, Validity, WorkerMessage,
};
pub use blobs::{BlobConfig, BlobError, BlobMethod, BlobUrlError, Blobs, Bucket, BucketNames, S3Config};
pub use config::{MigrationReport, StoreConfig};
pub use error::{JournalError, StoreError};
pub use journal::{Journal, Posted};
pub use ledger::{
    AccountRef, BookedEntry, Entry, EventKind, ExplainedEntry, LedgerEvent, Pot, Requirement, SystemAccount,
};
pub use reads::{AccountFacts, OwnStyle};
pub use requests::{
    CancelOutcome, Expired, FaultJob, FaultOutcome, FinishJob, FinishOutcome, JobState, NewJob, NewRequest,
    RequestCreated, StartJobs, StartOutcome, StoredJob, StoredRequest,
};
pub use safety::{AddressMark, FilterHits, ProblemCount, ProblemJob, PromptFilter, Rebuke};
pub use store::Store;
pub use suspicion::Suspicion;
pub use tallies::{
    KudosAction, RecordKind, RecordTally, SharedKeyTally, Tallies, TeamTally, UserTally, WorkStat, WorkTally,
    WorkerAction, WorkerTally,
};
pub use webhooks::{NewWebhookDelivery, WebhookDelivery};
pub use workers::{NewWorker, StoredWorker, WorkerChanges, WorkerCheckIn, WorkerRegistration};
