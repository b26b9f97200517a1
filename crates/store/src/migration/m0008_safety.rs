//! What protects the horde: blocked addresses, censored jobs, how often filters find something.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, integer, pk_auto, text, text_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid,
    },
};

use crate::entity::{ip_block, problem_job, prompt_filter};

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
        manager.create_table(ip_blocks()).await?;
        manager.create_table(problem_jobs()).await?;
        let by_time = Index::create()
            .name("problem_jobs_at")
            .table(problem_job::Entity)
            .col(problem_job::Column::At)
            .take();
        manager.create_index(by_time).await?;
        // One by one: SQLite adds one column at a time.
        let hits = big_integer(prompt_filter::Column::Hits).default(0).take();
        for column in [
            hits,
            timestamp_with_time_zone_null(prompt_filter::Column::LastHit),
        ] {
            let add = Table::alter()
                .table(prompt_filter::Entity)
                .add_column(column)
                .take();
            manager.alter_table(add).await?;
        }
        Ok(())
    }
}

fn ip_blocks() -> TableCreateStatement {
    use ip_block::Column as C;
    Table::create()
        .table(ip_block::Entity)
        .col(text(C::Address).primary_key())
        .col(timestamp_with_time_zone_null(C::BlockedUntil))
        .col(integer(C::Suspicion))
        .col(timestamp_with_time_zone_null(C::SuspectUntil))
        .take()
}

fn problem_jobs() -> TableCreateStatement {
    use problem_job::Column as C;
    Table::create()
        .table(problem_job::Entity)
        .col(pk_auto(C::Id).big_integer())
        .col(uuid(C::Job).unique_key())
        .col(big_integer(C::UserId))
        .col(text_null(C::Ip))
        .col(text_null(C::ProxiedAccount))
        .col(uuid(C::Worker))
        .col(timestamp_with_time_zone(C::At))
        .take()
}
