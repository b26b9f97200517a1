//! What is held against workers, and what follows from it.

use std::time::Duration;

use muster_protocol::{Timestamp, UserId, WorkerId};
use muster_store::{AccountChanges, Suspicion, WorkerChanges};

use super::registry::Worker;
use crate::{Engine, error::Result};

/// Reasons for suspicion from which on a worker whose owner is not trusted is paused.
const SUSPICIOUS: usize = 5;
/// Jobs that a worker may drop within an hour while the horde is under attack.
const DROPS_IN_A_RAID: i32 = 10;
/// The time within which dropped jobs are counted together.
const ABORT_WINDOW: Duration = Duration::from_hours(1);

impl Worker {
    /// Counts a job that the worker dropped. Answers whether these were too many within an hour; then the
    /// count begins anew.
    pub(crate) fn count_abort(&mut self, now: Timestamp, raid: bool) -> bool {
        if self
            .last_aborted_job
            .is_none_or(|window| now.since(window) > ABORT_WINDOW)
        {
            self.aborted_jobs = 0;
            self.last_aborted_job = Some(now);
        }
        self.aborted_jobs += 1;
        self.dirty = true;
        let usual = self.service.drops_an_hour();
        let most = if raid { usual.min(DROPS_IN_A_RAID) } else { usual };
        let too_many = self.aborted_jobs > most;
        if too_many {
            self.aborted_jobs = 0;
        }
        too_many
    }

    /// Takes back a job that was counted against the worker.
    pub(crate) fn forgive_abort(&mut self) {
        self.aborted_jobs = (self.aborted_jobs - 1).max(0);
        self.dirty = true;
    }
}

impl Engine {
    /// Puts a worker into maintenance mode, with a message for its owner.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn put_into_maintenance(&self, id: WorkerId, message: &str) -> Result<()> {
        let changes = WorkerChanges {
            maintenance: Some(true),
            maintenance_message: Some(Some(message.to_owned())),
            ..WorkerChanges::default()
        };
        self.set_worker(id, changes).await?;
        tracing::warn!(worker = %id, "a worker was put into maintenance mode");
        Ok(())
    }

    /// Holds something against a worker and its owner. A worker that has become suspicious, and whose owner is
    /// not trusted, is paused: it gets decoys until a moderator has looked at it.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn suspect(&self, id: WorkerId, reason: Suspicion) -> Result<()> {
        let Some(worker) = self.workers.get(id) else {
            return Ok(());
        };
        if worker.lock().suspicions >= Suspicion::MOST {
            return Ok(());
        }
        let changes = WorkerChanges {
            suspect: Some(reason),
            ..WorkerChanges::default()
        };
        let stored = self.set_worker(id, changes).await?;
        let level = stored.suspicions.len();
        tracing::warn!(worker = %id, ?reason, level, "a worker is suspicious");
        let trusted = self.suspect_account(stored.owner, reason).await?;
        if level >= SUSPICIOUS && !trusted && !stored.paused {
            let changes = WorkerChanges {
                paused: Some(true),
                ..WorkerChanges::default()
            };
            self.set_worker(id, changes).await?;
            tracing::warn!(worker = %id, "a suspicious worker was paused");
            self.notice_pause(&stored, reason);
        }
        Ok(())
    }

    /// Holds something against an account. Answers whether it is trusted all the same.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn suspect_account(&self, id: UserId, reason: Suspicion) -> Result<bool> {
        if id.is_anonymous() {
            return Ok(false);
        }
        let changes = AccountChanges {
            suspect: Some(reason),
            ..AccountChanges::default()
        };
        Ok(self.set_account(id, changes).await?.is_trusted())
    }
}
