//! Messages to workers: from moderators to one or all of them, from owners to their own.

use muster_protocol::{Timestamp, UserId, WorkerId};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{ExprTrait as _, OnConflict},
};
use uuid::Uuid;

use super::{Page, unless_there};
use crate::{Journal, JournalError, Store, StoreError, entity::worker_message};

/// A message to one worker or to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerMessage {
    /// Its id.
    pub id: Uuid,
    /// The worker; `None`: all of them.
    pub worker: Option<WorkerId>,
    /// Who wrote it.
    pub author: UserId,
    /// The text.
    pub message: String,
    /// In whose name.
    pub origin: String,
    /// When.
    pub created: Timestamp,
    /// Until when it is delivered.
    pub expiry: Timestamp,
}

impl WorkerMessage {
    fn from_row(row: worker_message::Model) -> Self {
        Self {
            id: row.id,
            worker: row.worker.map(WorkerId),
            author: UserId(row.author),
            message: row.message,
            origin: row.origin,
            created: row.created.into(),
            expiry: row.expiry.into(),
        }
    }
}

/// Which messages are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only those of this author, and those to all workers, whoever wrote them.
    pub author: Option<UserId>,
    /// Only those to this worker.
    pub worker: Option<WorkerId>,
    /// Only those that are, or are not, delivered any more.
    pub validity: Validity,
}

/// Whether messages are still delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// They are, at this moment.
    Active(Timestamp),
    /// They were, before this moment.
    Expired(Timestamp),
    /// It does not matter.
    All,
}

impl Store {
    /// Messages in the order in which they were written.
    pub async fn worker_messages(
        &self,
        filter: MessageFilter,
        page: Page,
    ) -> Result<Vec<WorkerMessage>, StoreError> {
        use worker_message::Column as C;
        let mut condition = Condition::all();
        if let Some(author) = filter.author {
            condition = condition.add(C::Author.eq(author.0).or(C::Worker.is_null()));
        }
        if let Some(worker) = filter.worker {
            condition = condition.add(C::Worker.eq(worker.0));
        }
        condition = match filter.validity {
            Validity::Active(now) => condition.add(C::Expiry.gt(now.to_datetime())),
            Validity::Expired(now) => condition.add(C::Expiry.lte(now.to_datetime())),
            Validity::All => condition,
        };
        let rows = worker_message::Entity::find()
            .filter(condition)
            .order_by_asc(C::Created)
            .order_by_asc(C::Id)
            .offset(page.offset)
            .limit(page.limit)
            .all(self.reader())
            .await?;
        Ok(rows.into_iter().map(WorkerMessage::from_row).collect())
    }

    /// A message by its id, expired or not.
    pub async fn worker_message(&self, id: Uuid) -> Result<Option<WorkerMessage>, StoreError> {
        let row = worker_message::Entity::find_by_id(id).one(self.reader()).await?;
        Ok(row.map(WorkerMessage::from_row))
    }
}

impl Journal {
    /// Writes a message down.
    pub async fn post_worker_message(&self, message: WorkerMessage) -> Result<(), JournalError> {
        self.write(move |tx| {
            let row = worker_message::Model {
                id: message.id,
                worker: message.worker.map(|worker| worker.0),
                author: message.author.0,
                message: message.message.clone(),
                origin: message.origin.clone(),
                created: message.created.to_datetime(),
                expiry: message.expiry.to_datetime(),
            };
            Box::pin(async move {
                let there = OnConflict::column(worker_message::Column::Id)
                    .do_nothing()
                    .to_owned();
                let insert = worker_message::Entity::insert(row.into_active_model()).on_conflict(there);
                unless_there(insert.exec_without_returning(tx).await)
            })
        })
        .await
    }

    /// Deletes a message; says whether there was one.
    pub async fn delete_worker_message(&self, id: Uuid) -> Result<bool, JournalError> {
        self.write(move |tx| {
            Box::pin(async move {
                let deleted = worker_message::Entity::delete_by_id(id).exec(tx).await?;
                Ok(deleted.rows_affected > 0)
            })
        })
        .await
    }
}
