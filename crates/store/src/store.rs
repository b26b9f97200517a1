//! [`Store`]: opening, migrating, closing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use muster_protocol::{Timestamp, UserId};
use sea_orm::{Database, DatabaseConnection, EntityTrait as _};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    Journal, JournalError, MigrationReport, Roles, StoreConfig, StoreError,
    engine_specific::{BUSY_TIMEOUT, cannot_connect, connect_options, is_locked},
    entity::{balance, setting, user},
    journal::{self, Running},
    migration,
    sql::execute_all,
};

/// How long to wait for whoever sets a new SQLite file up.
const LOCKED_PAUSE: Duration = Duration::from_millis(5);

/// An open database. Cheap to clone; all clones share the writer and the pool of readers.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    reader: DatabaseConnection,
    journal: Journal,
    /// Taken by the first call of [`Store::close`].
    running: Mutex<Option<Running>>,
}

/// Connects. SQLite refuses at once, without its usual patience, while another process that opens the same
/// new file turns the write-ahead log on; that is over in a moment, so it is tried again.
pub(crate) async fn connect(url: &str, connections: u32) -> Result<DatabaseConnection, StoreError> {
    let options = connect_options(url, connections)?;
    let begun = Instant::now();
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if is_locked(&error) && begun.elapsed() < BUSY_TIMEOUT => {
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
            outcome => return outcome.map_err(|error| cannot_connect(url, error)),
        }
    }
}

impl Store {
    /// Connects, brings the schema up to date, makes the accounts that every horde has, and starts
    /// the journal.
    ///
    /// The anonymous account has no key yet: its hash depends on the installation's salt, which is
    /// a setting. See [`Journal::rekey_account`].
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let writer = connect(&config.url, 1).await?;
        migration::run(&writer).await?;
        make_anonymous(&writer).await?;
        let reader = connect(&config.url, config.read_connections.max(1)).await?;
        let (journal, running) = journal::start(writer, &config);
        Ok(Self(Arc::new(Inner {
            reader,
            journal,
            running: Mutex::new(Some(running)),
        })))
    }

    /// Brings the schema of a database up to date and reports what was done.
    pub async fn migrate(url: &str) -> Result<MigrationReport, StoreError> {
        let db = connect(url, 1).await?;
        let report = migration::run(&db).await;
        db.close().await?;
        report
    }

    /// The way to change anything.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// Takes no more changes, waits until everything queued is committed, closes all connections.
    ///
    /// Clones of the store and of its journal answer with errors afterwards.
    pub async fn close(self) {
        let running = self.0.running.lock().await.take();
        if let Some(Running { stop, task }) = running {
            // The task is gone if it panicked; then there is nothing to wait for.
            let _ = stop.send(());
            if let Err(error) = task.await {
                tracing::error!(%error, "the writer did not end cleanly");
            }
        }
        if let Err(error) = self.reader().clone().close().await {
            tracing::warn!(%error, "the readers' connections did not close cleanly");
        }
    }

    /// The connections for reads.
    pub(crate) fn reader(&self) -> &DatabaseConnection {
        &self.0.reader
    }

    /// A setting, if it is set.
    pub async fn setting(&self, key: &str) -> Result<Option<Value>, StoreError> {
        let row = setting::Entity::find_by_id(key).one(self.reader()).await?;
        Ok(row.map(|row| row.value))
    }

    /// Sets a setting.
    pub async fn set_setting(&self, key: &str, value: Value) -> Result<(), JournalError> {
        use sea_orm::{ActiveValue::Set, sea_query::OnConflict};
        let row = setting::ActiveModel {
            key: Set(key.to_owned()),
            value: Set(value),
        };
        self.journal()
            .write(move |tx| {
                let row = row.clone();
                Box::pin(async move {
                    let replace = OnConflict::column(setting::Column::Key)
                        .update_column(setting::Column::Value)
                        .to_owned();
                    setting::Entity::insert(row)
                        .on_conflict(replace)
                        .exec_without_returning(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

/// Makes the account that callers without a key share, with its pots, unless it exists.
async fn make_anonymous(db: &DatabaseConnection) -> Result<(), StoreError> {
    use sea_orm::{
        ActiveValue::Set,
        sea_query::{OnConflict, Query},
    };
    let now = Timestamp::from(chrono::Utc::now()).to_datetime();
    let anonymous = user::ActiveModel {
        id: Set(UserId::ANONYMOUS.0),
        username: Set("Anonymous".to_owned()),
        external_id: Set("anon".to_owned()),
        created: Set(now),
        last_active: Set(now),
        contact: Set(None),
        admin_comment: Set(None),
        proxy_passkey: Set(None),
        monthly_kudos: Set(0),
        monthly_kudos_received: Set(None),
        usage_multiplier: Set(1.0),
        worker_invited: Set(0),
        public_workers: Set(true),
        concurrency: Set(500),
        roles: Set(Roles::NONE.bits()),
        suspicions: Set(serde_json::json!([])),
        wiped: Set(false),
    };
    let keep = OnConflict::column(user::Column::Id).do_nothing().to_owned();
    user::Entity::insert(anonymous)
        .on_conflict(keep)
        .exec_without_returning(db)
        .await?;
    let mut pots = Query::insert();
    pots.into_table(balance::Entity).columns([
        balance::Column::Account,
        balance::Column::Pot,
        balance::Column::Amount,
    ]);
    for pot in [0_i16, 1] {
        pots.values_panic([UserId::ANONYMOUS.0.into(), pot.into(), 0_i64.into()]);
    }
    pots.on_conflict(
        OnConflict::columns([balance::Column::Account, balance::Column::Pot])
            .do_nothing()
            .to_owned(),
    );
    execute_all(db, vec![pots]).await?;
    Ok(())
}
