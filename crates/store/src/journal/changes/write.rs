//! Rare writes: a closure under a savepoint.

use std::{fmt, panic::AssertUnwindSafe};

use futures_util::{FutureExt as _, future::BoxFuture};
use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait as _};
use tokio::sync::oneshot;

use super::super::{
    change::{Needs, Step},
    working_set::WorkingSet,
};
use crate::JournalError;

/// See [`Journal::write`](super::super::Journal::write).
pub(in super::super) struct Write<T, F> {
    work: F,
    caller: oneshot::Sender<Result<T, JournalError>>,
    outcome: Option<Result<T, JournalError>>,
}

impl<T, F> Write<T, F> {
    pub(in super::super) fn new(work: F, caller: oneshot::Sender<Result<T, JournalError>>) -> Self {
        Self {
            work,
            caller,
            outcome: None,
        }
    }
}

impl<T, F> fmt::Debug for Write<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Write")
    }
}

impl<T, F> Step for Write<T, F>
where
    T: Send + 'static,
    F: for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, DbErr>> + Send + Sync + 'static,
{
    fn needs(&self, _: &mut Needs) {}

    fn apply(&mut self, _: &mut WorkingSet) {}

    fn work<'a>(&'a mut self, group: &'a DatabaseTransaction) -> Option<BoxFuture<'a, Result<(), DbErr>>> {
        let Self { work, outcome, .. } = self;
        let guarded = async move {
            let savepoint = group.begin().await?;
            // A panic must not take the writer with it.
            let result = AssertUnwindSafe(work(&savepoint)).catch_unwind().await;
            *outcome = Some(match result {
                Ok(Ok(value)) => {
                    savepoint.commit().await?;
                    Ok(value)
                }
                Ok(Err(error)) if crate::engine_specific::is_transient(&error) => return Err(error),
                Ok(Err(error)) => {
                    savepoint.rollback().await?;
                    Err(error.into())
                }
                Err(_) => {
                    savepoint.rollback().await?;
                    Err(JournalError::Invalid("the write panicked"))
                }
            });
            Ok(())
        };
        Some(guarded.boxed())
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
