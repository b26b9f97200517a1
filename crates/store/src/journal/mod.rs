//! The journal: the one writer, which commits what many callers want in groups.
//!
//! Callers send typed changes to a task over a bounded channel (when it is full they wait) and
//! await the outcome, which comes after the commit. The task takes everything that waits, and for
//! the whole group, in one transaction:
//!
//! 1. loads the rows that the changes name, locking them on PostgreSQL in one fixed order;
//! 2. applies the changes one after the other *in memory*: this is where races are decided, so a
//!    second result for a job or a start on a slot that is gone changes nothing;
//! 3. writes what differs with a few set-based statements and commits;
//! 4. answers everybody.
//!
//! Movements of the same account are added up in memory, so a hot account costs one row update a
//! group. When only one change waits it is committed at once.
//!
//! A group that fails is tried again if the failure can pass (a conflict between nodes, a lost
//! connection); otherwise its changes are tried one by one, so that only the culprit fails.

mod books;
mod change;
mod changes;
mod flush;
mod flush_tallies;
mod load;
mod task;
mod working_set;

use futures_util::future::BoxFuture;
use muster_protocol::{Kudos, RequestId, Timestamp, UserId, WorkerId};
use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::{mpsc, oneshot};
use tracing::instrument;

use self::{
    change::{Change, Pending, Step},
    changes::{
        Cancel, CheckIn, DeleteWorker, Expire, PostEvent, RegisterAccount, RegisterWorker, Rekey,
        ReleaseHold, SetAccount, SetWorker, WipeAccount, Write,
    },
};
pub(crate) use self::{
    flush_tallies::add_to_sums,
    task::{Running, start},
};
use crate::{
    Account, AccountChanges, ApiKeyHash, Balances, CancelOutcome, Expired, FaultJob, FaultOutcome, FinishJob,
    FinishOutcome, JournalError, LedgerEvent, NewAccount, NewRequest, NewWorker, RequestCreated, StartJobs,
    StartOutcome, StoredWorker, Tallies, WorkerChanges, WorkerCheckIn, WorkerRegistration,
};

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It is booked.
    Posted {
        /// What the accounts touched have now.
        balances: Vec<(UserId, Balances)>,
    },
    /// It was booked before; nothing was changed.
    Duplicate,
}

/// The way to change the store. Cheap to clone; every method returns after the commit.
///
/// When a caller stops waiting (its future is dropped) before its change was queued, nothing
/// happens; after that the change is made all the same.
#[derive(Clone, Debug)]
pub struct Journal {
    queue: mpsc::Sender<Box<dyn Step>>,
}

impl Journal {
    /// Accepts a request, with the tax it pays.
    ///
    /// Fails with [`JournalError::DuplicateEvent`] or [`JournalError::Insufficient`] if its event
    /// cannot be booked; then there is no request.
    pub async fn create_request(&self, request: NewRequest) -> Result<RequestCreated, JournalError> {
        self.submit(changes::checked_request(request)?).await
    }

    /// Hands out jobs of a request, all or none, if it is alive and has the slots.
    pub async fn start_jobs(&self, start: StartJobs) -> Result<StartOutcome, JournalError> {
        self.submit(changes::checked_start(start)?).await
    }

    /// Accepts a result and pays for it, if the job is still being processed.
    pub async fn finish_job(&self, finish: FinishJob) -> Result<FinishOutcome, JournalError> {
        self.submit(changes::checked_finish(finish)?).await
    }

    /// Gives a job up, if it is still being processed.
    pub async fn fault_job(&self, fault: FaultJob) -> Result<FaultOutcome, JournalError> {
        self.submit(fault).await
    }

    /// Hands out no more jobs of a request, because its client does not want them.
    pub async fn cancel_request(
        &self,
        request: RequestId,
        at: Timestamp,
    ) -> Result<CancelOutcome, JournalError> {
        self.submit(Cancel {
            request,
            at,
            faulted: false,
        })
        .await
    }

    /// Hands out no more jobs of a request, because too many failed.
    pub async fn fault_request(
        &self,
        request: RequestId,
        at: Timestamp,
    ) -> Result<CancelOutcome, JournalError> {
        self.submit(Cancel {
            request,
            at,
            faulted: true,
        })
        .await
    }

    /// Releases what is left of the kudos that were promised to a request, which is done. Answers how
    /// much that was.
    pub async fn release_hold(&self, request: RequestId, at: Timestamp) -> Result<Kudos, JournalError> {
        self.submit(ReleaseHold { request, at }).await
    }

    /// Forgets requests whose expiry is not after `now`, with their jobs. Requests that were
    /// extended meanwhile (by another node) are kept and reported.
    pub async fn expire_requests(
        &self,
        requests: Vec<RequestId>,
        now: Timestamp,
    ) -> Result<Expired, JournalError> {
        let expired_only = true;
        self.submit(Expire {
            requests,
            now,
            expired_only,
        })
        .await
    }

    /// Forgets requests with their jobs, whenever they expire, and releases what is promised to them. Answers which
    /// of them were there.
    pub async fn forget_requests(
        &self,
        requests: Vec<RequestId>,
        now: Timestamp,
    ) -> Result<Vec<RequestId>, JournalError> {
        let expired_only = false;
        let forgotten = self
            .submit(Expire {
                requests,
                now,
                expired_only,
            })
            .await?;
        Ok(forgotten.deleted)
    }

    /// Makes an account. The first one gets the number 1.
    pub async fn register_account(&self, account: NewAccount) -> Result<Account, JournalError> {
        self.submit(RegisterAccount(changes::cleaned_account(account)))
            .await
    }

    /// Gives an account its only key, and a new name if one is given. The old key dies.
    ///
    /// This is also how the anonymous account gets its key at start: giving an account the key
    /// that it has changes nothing.
    pub async fn rekey_account(
        &self,
        user: UserId,
        key_hash: ApiKeyHash,
        username: Option<String>,
        at: Timestamp,
    ) -> Result<Account, JournalError> {
        self.submit(Rekey {
            user,
            key_hash,
            username: username.map(changes::cleaned),
            at,
        })
        .await
    }

    /// Changes an account; roles, profile, and kudos through balanced events.
    pub async fn set_account(
        &self,
        user: UserId,
        changes: AccountChanges,
        at: Timestamp,
    ) -> Result<Account, JournalError> {
        self.submit(SetAccount {
            user,
            changes: changes::cleaned_changes(changes),
            at,
        })
        .await
    }

    /// Overwrites what identifies the owner of an account, and deletes its key, its workers and its shared keys. Kudos
    /// and statistics stay with the number.
    pub async fn wipe_account(&self, user: UserId) -> Result<Account, JournalError> {
        self.submit(WipeAccount(user)).await
    }

    /// Makes a worker, unless its name is taken by a worker of any kind.
    pub async fn register_worker(&self, worker: NewWorker) -> Result<WorkerRegistration, JournalError> {
        self.submit(RegisterWorker(changes::cleaned_worker(worker))).await
    }

    /// Writes what workers said about themselves. Workers that do not exist (any more) are left
    /// out, and so are check-ins older than what is stored.
    pub async fn check_in_workers(&self, check_ins: Vec<WorkerCheckIn>) -> Result<(), JournalError> {
        if check_ins.is_empty() {
            return Ok(());
        }
        self.submit(CheckIn(changes::cleaned_check_ins(check_ins))).await
    }

    /// Changes a worker.
    pub async fn set_worker(
        &self,
        worker: WorkerId,
        changes: WorkerChanges,
    ) -> Result<StoredWorker, JournalError> {
        self.submit(SetWorker {
            worker,
            changes: changes::cleaned_worker_changes(changes),
        })
        .await
    }

    /// Deletes a worker; says whether there was one. Its owner's kudos stay.
    pub async fn delete_worker(&self, worker: WorkerId) -> Result<bool, JournalError> {
        self.submit(DeleteWorker(worker)).await
    }

    /// Books an event that belongs to no other change, with its statistics.
    pub async fn post(&self, event: LedgerEvent, tallies: Tallies) -> Result<Posted, JournalError> {
        event.validate()?;
        self.submit(PostEvent {
            event: Some(event),
            tallies,
            check_in: None,
        })
        .await
    }

    /// Rewards a worker for having been there: the event, its statistics and the check-in that earned it, so that no
    /// crash between them makes the same time count twice.
    pub async fn reward_uptime(
        &self,
        event: LedgerEvent,
        tallies: Tallies,
        check_in: WorkerCheckIn,
    ) -> Result<Posted, JournalError> {
        event.validate()?;
        self.submit(PostEvent {
            event: Some(event),
            tallies,
            check_in: changes::cleaned_check_ins(vec![check_in]).pop(),
        })
        .await
    }

    /// Moves statistics without kudos.
    pub async fn tally(&self, tallies: Tallies) -> Result<(), JournalError> {
        self.submit(PostEvent {
            event: None,
            tallies,
            check_in: None,
        })
        .await
        .map(|_| ())
    }

    /// Runs a rare write under a savepoint of the group's transaction. If it fails, it alone is
    /// rolled back.
    ///
    /// It may run more than once (when the group is tried again), so it must not have effects
    /// outside the database, and it must leave alone what typed changes write: requests, jobs,
    /// balances, the ledger, totals.
    #[instrument(name = "horde.db.journal", skip_all)]
    pub async fn write<T, F>(&self, work: F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, DbErr>> + Send + Sync + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        self.enqueue(Box::new(Write::new(work, answer))).await?;
        outcome.await.map_err(|_| JournalError::Closed)?
    }

    /// How long this takes is how long a change waits for its group to be committed.
    #[instrument(name = "horde.db.journal", skip_all)]
    async fn submit<C: Change>(&self, change: C) -> Result<C::Outcome, JournalError> {
        let (answer, outcome) = oneshot::channel();
        self.enqueue(Box::new(Pending::new(change, answer))).await?;
        outcome.await.map_err(|_| JournalError::Closed)?
    }

    async fn enqueue(&self, step: Box<dyn Step>) -> Result<(), JournalError> {
        self.queue.send(step).await.map_err(|_| JournalError::Closed)
    }
}
