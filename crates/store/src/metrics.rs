//! What is measured of the store, by the names under which it is published.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use sea_orm::DbBackend;

use crate::{Store, StoreError};

const GROUP_CHANGES: &str = "muster_journal_group_changes";
const COMMIT_SECONDS: &str = "muster_journal_commit_seconds";
const FAILURES: &str = "muster_journal_failures_total";
const READERS: &str = "muster_database_readers";
const READERS_IDLE: &str = "muster_database_readers_idle";

/// The journal has committed a group of changes, or failed to.
pub(crate) fn committed(changes: usize, took: Duration, failed: bool) {
    histogram!(GROUP_CHANGES).record(changes as f64);
    histogram!(COMMIT_SECONDS).record(took.as_secs_f64());
    if failed {
        counter!(FAILURES).increment(1);
    }
}

impl Store {
    /// Says what the figures mean. To be called once a recorder is installed.
    pub fn describe_metrics(&self) {
        describe_histogram!(GROUP_CHANGES, Unit::Count, "Changes that were committed together");
        describe_histogram!(
            COMMIT_SECONDS,
            Unit::Seconds,
            "How long a group of changes took to be durable"
        );
        describe_counter!(FAILURES, "Groups of changes that could not be committed together");
        describe_gauge!(READERS, "Connections to the database for reading");
        describe_gauge!(READERS_IDLE, "Those of them that nobody uses");
        counter!(FAILURES).increment(0);
    }

    /// Publishes how things are at this moment.
    pub fn observe(&self) {
        let (all, idle) = self.readers();
        gauge!(READERS).set(f64::from(all));
        gauge!(READERS_IDLE).set(idle as f64);
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.reader().ping().await?)
    }

    /// Connections for reading, and how many of them are idle.
    fn readers(&self) -> (u32, usize) {
        let reader = self.reader();
        if reader.get_database_backend() == DbBackend::Sqlite {
            let pool = reader.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        } else {
            let pool = reader.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        }
    }
}
