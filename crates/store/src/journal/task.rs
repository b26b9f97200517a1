//! The writer task: takes groups from the queue, commits them, answers.

use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait as _};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tracing::instrument;

use super::{
    Journal,
    change::{Needs, Step},
    flush::flush,
    load::load,
};
use crate::{JournalError, StoreConfig, engine_specific, metrics};

/// How often a group is tried when its failure can pass.
const ATTEMPTS: u32 = 6;

/// The running writer.
#[derive(Debug)]
pub(crate) struct Running {
    /// Tells it to take no more changes and to end when the queue is empty.
    pub(crate) stop: oneshot::Sender<()>,
    /// Ends when everything queued is committed and the connection is closed.
    pub(crate) task: JoinHandle<()>,
}

/// Starts the writer on a connection of its own.
pub(crate) fn start(db: DatabaseConnection, config: &StoreConfig) -> (Journal, Running) {
    let (queue, waiting) = mpsc::channel(config.queue.max(1));
    let (stop, stopped) = oneshot::channel();
    let writer = Writer {
        db,
        max_group: config.max_group.max(1),
    };
    let task = tokio::spawn(writer.run(waiting, stopped));
    (Journal { queue }, Running { stop, task })
}

struct Writer {
    db: DatabaseConnection,
    max_group: usize,
}

/// Why an attempt failed.
struct Failure {
    error: DbErr,
    /// The commit was sent, so it may have happened.
    uncertain: bool,
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        Self {
            error,
            uncertain: false,
        }
    }
}

impl Writer {
    async fn run(self, mut waiting: mpsc::Receiver<Box<dyn Step>>, mut stopped: oneshot::Receiver<()>) {
        let mut closing = false;
        let mut group = Vec::with_capacity(self.max_group);
        loop {
            tokio::select! {
                biased;
                // Also when the store was dropped without being closed.
                _ = &mut stopped, if !closing => {
                    closing = true;
                    waiting.close();
                }
                taken = waiting.recv_many(&mut group, self.max_group) => {
                    if taken == 0 {
                        break;
                    }
                    self.commit(std::mem::take(&mut group)).await;
                    group.reserve(self.max_group);
                }
            }
        }
        if let Err(error) = self.db.close().await {
            tracing::warn!(%error, "the writer's connection did not close cleanly");
        }
    }

    /// Commits a group and answers everybody in it.
    #[instrument(name = "horde.db.commit", parent = None, skip_all, fields(horde.db.changes = group.len() as i64))]
    async fn commit(&self, mut group: Vec<Box<dyn Step>>) {
        let started = Instant::now();
        let outcome = self.persist(&mut group).await;
        metrics::committed(group.len(), started.elapsed(), outcome.is_err());
        let Err(error) = outcome else {
            group.into_iter().for_each(Step::answer);
            return;
        };
        if group.len() == 1 || engine_specific::is_disconnected(&error) {
            tracing::error!(%error, changes = group.len(), "changes were not committed");
            let mut steps = group.into_iter().peekable();
            let mut error = Some(error);
            while let Some(step) = steps.next() {
                let reason = if steps.peek().is_some() {
                    None
                } else {
                    error.take()
                };
                step.fail(JournalError::Database(reason.unwrap_or_else(|| {
                    DbErr::Custom("the database does not answer".to_owned())
                })));
            }
            return;
        }
        tracing::warn!(%error, changes = group.len(), "a group failed; its changes are tried one by one");
        for step in group {
            let mut alone = [step];
            let outcome = self.persist(&mut alone).await;
            let [step] = alone;
            match outcome {
                Ok(()) => step.answer(),
                Err(error) => {
                    tracing::error!(%error, change = ?step, "a change was not committed");
                    step.fail(JournalError::Database(error));
                }
            }
        }
    }

    /// Tries until it is committed, or until the failure is one that will not pass.
    async fn persist(&self, group: &mut [Box<dyn Step>]) -> Result<(), DbErr> {
        let mut again = false;
        let mut attempt = 1;
        loop {
            let Err(failure) = self.attempt(group, again).await else {
                return Ok(());
            };
            let passes = engine_specific::is_transient(&failure.error)
                // A row that another node made a moment ago is seen at the second look.
                || (attempt == 1 && engine_specific::is_unique_violation(&failure.error));
            if attempt == ATTEMPTS || !(passes || failure.uncertain) {
                return Err(failure.error);
            }
            tracing::debug!(error = %failure.error, attempt, "a group is tried again");
            again |= failure.uncertain;
            tokio::time::sleep(Duration::from_millis(1 << (2 * attempt))).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, group: &mut [Box<dyn Step>], again: bool) -> Result<(), Failure> {
        let mut needs = Needs {
            again,
            ..Needs::default()
        };
        for step in group.iter() {
            step.needs(&mut needs);
        }
        let options = TransactionOptions {
            // The write lock is taken before anything is read, so that what was read stays true
            // even if another process (a command-line tool) writes to the same file.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = self.db.begin_with_options(options).await?;
        let mut set = load(&tx, &needs).await?;
        for step in group.iter_mut() {
            step.apply(&mut set);
        }
        flush(&tx, &set).await?;
        for step in group.iter_mut() {
            if let Some(work) = step.work(&tx) {
                work.await?;
            }
        }
        tx.commit().await.map_err(|error| Failure {
            error,
            uncertain: true,
        })
    }
}
