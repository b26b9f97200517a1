//! What a change is to the writer: it names the rows it needs, decides in memory, and is answered.

use std::{collections::BTreeSet, fmt, sync::Arc};

use futures_util::future::BoxFuture;
use muster_protocol::{JobId, RequestId, UserId, WorkerId};
use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::oneshot;

use super::working_set::WorkingSet;
use crate::{AccountRef, JournalError, LedgerEvent};

/// A change of one type.
pub(crate) trait Change: Send + Sync + 'static {
    /// What its caller learns.
    type Outcome: Send;

    /// Names the rows that must be loaded.
    fn needs(&self, needs: &mut Needs);

    /// Decides, and notes what differs. An error must leave the set as it was.
    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<Self::Outcome, JournalError>;
}

/// The rows that a group needs, in the order in which they are locked.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Whether an earlier attempt of this group may have been committed without our knowing.
    /// Then new rows are looked up too, so that nothing is done twice.
    pub(crate) again: bool,
    pub(crate) requests: BTreeSet<RequestId>,
    pub(crate) jobs: BTreeSet<JobId>,
    pub(crate) new_accounts: bool,
    pub(crate) users: BTreeSet<UserId>,
    pub(crate) external_ids: BTreeSet<String>,
    pub(crate) key_hashes: BTreeSet<String>,
    pub(crate) workers: BTreeSet<WorkerId>,
    pub(crate) worker_names: BTreeSet<String>,
    pub(crate) accounts: BTreeSet<i64>,
    pub(crate) events: BTreeSet<String>,
}

impl Needs {
    /// What booking an event needs: whether its key is known, and the balances of its users.
    /// System accounts are only added to, so they are neither read nor locked.
    pub(crate) fn event(&mut self, event: &LedgerEvent) {
        self.events.insert(event.key.clone());
        let of_entries = event.entries.iter().filter_map(|entry| match entry.account {
            AccountRef::User(user) => Some(user.0),
            AccountRef::System(_) => None,
        });
        self.accounts.extend(of_entries);
        self.accounts
            .extend(event.requires.iter().map(|requirement| requirement.account.0));
    }
}

/// A change in the queue, whatever its type.
pub(crate) trait Step: Send + fmt::Debug {
    /// Names the rows that must be loaded.
    fn needs(&self, needs: &mut Needs);

    /// Decides in memory and remembers the outcome.
    fn apply(&mut self, set: &mut WorkingSet);

    /// Work of its own inside the transaction, after the typed changes are written.
    fn work<'a>(&'a mut self, _: &'a DatabaseTransaction) -> Option<BoxFuture<'a, Result<(), DbErr>>> {
        None
    }

    /// Tells the caller what was decided; called after the commit.
    fn answer(self: Box<Self>);

    /// Tells the caller that nothing was done.
    fn fail(self: Box<Self>, error: JournalError);
}

/// A typed change with its caller.
pub(crate) struct Pending<C: Change> {
    change: Arc<C>,
    caller: oneshot::Sender<Result<C::Outcome, JournalError>>,
    outcome: Option<Result<C::Outcome, JournalError>>,
}

impl<C: Change> Pending<C> {
    pub(crate) fn new(change: C, caller: oneshot::Sender<Result<C::Outcome, JournalError>>) -> Self {
        Self {
            change: Arc::new(change),
            caller,
            outcome: None,
        }
    }
}

impl<C: Change> fmt::Debug for Pending<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<C>())
    }
}

impl<C: Change> Step for Pending<C> {
    fn needs(&self, needs: &mut Needs) {
        self.change.needs(needs);
    }

    fn apply(&mut self, set: &mut WorkingSet) {
        self.outcome = Some(self.change.apply(set));
    }

    fn answer(self: Box<Self>) {
        // A caller that stopped waiting does not mind.
        let _ = self
            .caller
            .send(self.outcome.unwrap_or(Err(JournalError::Closed)));
    }

    fn fail(self: Box<Self>, error: JournalError) {
        let _ = self.caller.send(Err(error));
    }
}
