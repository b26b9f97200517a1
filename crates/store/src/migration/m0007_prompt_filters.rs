//! What prompts must not contain. There are a few hundred of them at most, and all are read at once.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, pk_auto, small_integer, text, text_null},
};

use crate::entity::prompt_filter;

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
        use prompt_filter::Column as C;
        let filters = Table::create()
            .table(prompt_filter::Entity)
            .col(pk_auto(C::Id).big_integer())
            .col(text(C::Regex))
            .col(small_integer(C::FilterType))
            .col(text_null(C::Description))
            .col(text(C::Replacement))
            .col(big_integer(C::Editor))
            .take();
        manager.create_table(filters).await?;
        let unique = Index::create()
            .name("prompt_filters_regex")
            .table(prompt_filter::Entity)
            .col(C::FilterType)
            .col(C::Regex)
            .unique()
            .take();
        manager.create_index(unique).await
    }
}
