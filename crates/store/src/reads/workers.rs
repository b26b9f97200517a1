//! Reading workers.

use muster_protocol::{Kudos, UserId, WorkerId};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, Select};

use crate::{Store, StoreError, StoredWorker, codes, entity::worker};

/// A worker from its row.
pub(crate) fn worker_from(row: worker::Model) -> Result<StoredWorker, StoreError> {
    let suspicions = serde_json::from_value(row.suspicions).map_err(|error| StoreError::Corrupt {
        table: "workers",
        what: format!("suspicions: {error}"),
    })?;
    Ok(StoredWorker {
        id: WorkerId(row.id),
        kind: codes::kind_from_code(row.kind, "workers")?,
        owner: UserId(row.owner),
        name: row.name,
        created: row.created.into(),
        info: row.info,
        team: row.team,
        paused: row.paused,
        maintenance: row.maintenance,
        maintenance_message: row.maintenance_message,
        suspicions,
        ip: row.ip,
        bridge_agent: row.bridge_agent,
        threads: row.threads,
        max_power: row.max_power,
        extra_slow: row.extra_slow,
        allow_unsafe_ip: row.allow_unsafe_ip,
        speed: row.speed,
        last_check_in: row.last_check_in.into(),
        uptime: row.uptime,
        last_reward_uptime: row.last_reward_uptime,
        aborted_jobs: row.aborted_jobs,
        last_aborted_job: row.last_aborted_job.map(Into::into),
        settings: row.settings,
        kudos: Kudos::from_hundredths(row.kudos),
        kudos_generated: Kudos::from_hundredths(row.kudos_generated),
        kudos_uptime: Kudos::from_hundredths(row.kudos_uptime),
        kudos_interrogated: Kudos::from_hundredths(row.kudos_interrogated),
        contributions: Kudos::from_hundredths(row.contributions).to_f64(),
        fulfilments: row.fulfilments,
        uncompleted_jobs: row.uncompleted_jobs,
    })
}

impl Store {
    /// A worker by its id.
    pub async fn worker(&self, id: WorkerId) -> Result<Option<StoredWorker>, StoreError> {
        self.one_worker(worker::Entity::find_by_id(id.0)).await
    }

    /// A worker by its exact name.
    pub async fn worker_by_name(&self, name: &str) -> Result<Option<StoredWorker>, StoreError> {
        self.one_worker(worker::Entity::find().filter(worker::Column::Name.eq(name)))
            .await
    }

    /// All workers, for the registry in memory.
    pub async fn workers(&self) -> Result<Vec<StoredWorker>, StoreError> {
        self.some_workers(worker::Entity::find()).await
    }

    /// The workers of one owner.
    pub async fn workers_of(&self, owner: UserId) -> Result<Vec<StoredWorker>, StoreError> {
        self.some_workers(worker::Entity::find().filter(worker::Column::Owner.eq(owner.0)))
            .await
    }

    async fn one_worker(&self, select: Select<worker::Entity>) -> Result<Option<StoredWorker>, StoreError> {
        select.one(self.reader()).await?.map(worker_from).transpose()
    }

    async fn some_workers(&self, select: Select<worker::Entity>) -> Result<Vec<StoredWorker>, StoreError> {
        let oldest_first = select
            .order_by_asc(worker::Column::Created)
            .order_by_asc(worker::Column::Id);
        oldest_first
            .all(self.reader())
            .await?
            .into_iter()
            .map(worker_from)
            .collect()
    }
}
