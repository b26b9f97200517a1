//! Results that are to be announced to webhooks. Rows are short-lived, so they have no index but the key.

use sea_orm_migration::{
    prelude::*,
    schema::{boolean, integer, json_binary, text, timestamp_with_time_zone, uuid},
};

use crate::entity::webhook_delivery;

/// See the file's header.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[allow(elided_lifetimes_in_paths, reason = "the trait is declared this way")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use webhook_delivery::Column as C;
        let deliveries = Table::create()
            .table(webhook_delivery::Entity)
            .col(uuid(C::JobId).primary_key())
            .col(text(C::Url))
            .col(json_binary(C::Body))
            .col(boolean(C::AsUrl))
            .col(integer(C::Attempts))
            .col(timestamp_with_time_zone(C::NextAttempt))
            .take();
        manager.create_table(deliveries).await
    }
}
