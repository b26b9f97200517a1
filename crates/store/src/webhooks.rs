//! Results that are to be announced to webhooks: written in the transaction that accepts the result, so
//! that none is forgotten, and kept until somebody took notice or it is given up.

use muster_protocol::{JobId, Timestamp};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _};
use serde_json::Value;

use crate::{JournalError, Store, StoreError, entity::webhook_delivery};

/// The announcement of a result, to be made once it is accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct NewWebhookDelivery {
    /// Where to.
    pub url: String,
    /// What is announced, but for what can only be told at the time.
    pub body: Value,
    /// Whether an object is announced by its address rather than by its content.
    pub as_url: bool,
}

/// An announcement that is still to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookDelivery {
    /// The job whose result it announces.
    pub job: JobId,
    /// See [`NewWebhookDelivery::url`].
    pub url: String,
    /// See [`NewWebhookDelivery::body`].
    pub body: Value,
    /// See [`NewWebhookDelivery::as_url`].
    pub as_url: bool,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When it is tried next.
    pub next_attempt: Timestamp,
}

impl Store {
    /// All announcements that are still to be made, and when, in no order.
    pub async fn pending_webhook_deliveries(&self) -> Result<Vec<(JobId, Timestamp)>, StoreError> {
        use webhook_delivery::Column as C;
        let rows: Vec<(uuid::Uuid, chrono::DateTime<chrono::Utc>)> = webhook_delivery::Entity::find()
            .select_only()
            .columns([C::JobId, C::NextAttempt])
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(job, at)| (JobId(job), at.into()))
            .collect())
    }

    /// The announcement of a job's result, if it is still to be made.
    pub async fn webhook_delivery(&self, job: JobId) -> Result<Option<WebhookDelivery>, StoreError> {
        let row = webhook_delivery::Entity::find_by_id(job.0)
            .one(self.reader())
            .await?;
        Ok(row.map(|row| WebhookDelivery {
            job: JobId(row.job_id),
            url: row.url,
            body: row.body,
            as_url: row.as_url,
            attempts: row.attempts.max(0).unsigned_abs(),
            next_attempt: row.next_attempt.into(),
        }))
    }

    /// Forgets an announcement: it was made, or is given up.
    pub async fn forget_webhook_delivery(&self, job: JobId) -> Result<(), JournalError> {
        self.journal()
            .write(move |tx| {
                Box::pin(async move {
                    webhook_delivery::Entity::delete_by_id(job.0).exec(tx).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Notes that an announcement was tried in vain, and when it is tried again.
    pub async fn postpone_webhook_delivery(
        &self,
        job: JobId,
        attempts: u32,
        next_attempt: Timestamp,
    ) -> Result<(), JournalError> {
        self.journal()
            .write(move |tx| {
                Box::pin(async move {
                    let changed = webhook_delivery::ActiveModel {
                        attempts: Set(attempts as i32),
                        next_attempt: Set(next_attempt.to_datetime()),
                        ..Default::default()
                    };
                    webhook_delivery::Entity::update_many()
                        .set(changed)
                        .filter(webhook_delivery::Column::JobId.eq(job.0))
                        .exec(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}
