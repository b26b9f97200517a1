//! How much was done of each kind of work, with which model, in which hour. The figures only grow, and are read
//! when a server starts.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, small_integer, text},
};

use crate::entity::work_stat;

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
        use work_stat::Column as C;
        let stats = Table::create()
            .table(work_stat::Entity)
            .col(small_integer(C::Kind))
            .col(big_integer(C::Hour))
            .col(text(C::Model))
            .col(small_integer(C::Measure))
            .col(big_integer(C::Amount))
            .primary_key(
                Index::create()
                    .col(C::Kind)
                    .col(C::Hour)
                    .col(C::Model)
                    .col(C::Measure),
            )
            .take();
        manager.create_table(stats).await
    }
}
