//! What can go wrong, in words that an operator can act on.

use sea_orm::DbErr;

/// Why the store cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or its file cannot be opened.
    #[error("cannot open the database {url}: {hint}")]
    CannotConnect {
        /// The address, without the password.
        url: String,
        /// What to look at.
        hint: String,
        /// What the driver said.
        source: Box<DbErr>,
    },
    /// The address is neither SQLite nor PostgreSQL.
    #[error("the database address {url} is not supported: it must begin with sqlite: or postgres://")]
    UnsupportedUrl {
        /// The address, without the password.
        url: String,
    },
    /// The database was written by a newer Muster.
    #[error(
        "the database has the schema {found}, which this version of Muster does not know (it knows {known}): \
         run a newer version, or restore the backup that was made before the upgrade"
    )]
    NewerSchema {
        /// The newest migration found in the database.
        found: String,
        /// The newest migration of this binary.
        known: String,
    },
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Database(#[from] DbErr),
    /// A row holds something that this version does not understand.
    #[error("a row of {table} cannot be read: {what}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The journal refused a change that opening the store needs.
    #[error("the journal failed: {0}")]
    Journal(#[from] JournalError),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a change was not made. Nothing of it is in the database then.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store is closing or closed; it takes no more changes.
    #[error("the store is closed")]
    Closed,
    /// The entries of an event do not add up to zero.
    #[error("the entries of event {key} sum to {sum_hundredths} hundredths instead of zero")]
    Unbalanced {
        /// The event's key.
        key: String,
        /// What they add up to.
        sum_hundredths: i128,
    },
    /// An event is malformed: no entries, an empty key, a floor on a system account.
    #[error("event {key} is not acceptable: {why}")]
    InvalidEvent {
        /// The event's key.
        key: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The event that comes with a change was booked before, so the change is not made.
    #[error("event {key} was booked before")]
    DuplicateEvent {
        /// The event's key.
        key: String,
    },
    /// A balance is below what the event requires.
    #[error("account {account} has {available_hundredths} hundredths, fewer than required")]
    Insufficient {
        /// The account that cannot pay.
        account: muster_protocol::UserId,
        /// What it has.
        available_hundredths: i64,
    },
    /// A balance would leave the range that can be stored.
    #[error("event {key} would overflow a balance")]
    Overflow {
        /// The event's key.
        key: String,
    },
    /// A request has no slots, or a start names no jobs.
    #[error("the change is not acceptable: {0}")]
    Invalid(&'static str),
    /// There is no such account.
    #[error("there is no account {0}")]
    UnknownAccount(muster_protocol::UserId),
    /// There is no such worker.
    #[error("there is no worker {0}")]
    UnknownWorker(muster_protocol::WorkerId),
    /// Another account has this external id.
    #[error("the external id {0} is taken")]
    ExternalIdTaken(String),
    /// Another account has this key.
    #[error("the key is taken")]
    KeyTaken,
    /// Another worker, of any kind, has this name.
    #[error("the worker name {0} is taken")]
    NameTaken(String),
    /// The database refused the change, also when it was tried alone.
    #[error("the database refused the change: {0}")]
    Database(#[from] DbErr),
}
