//! What people own: teams, shared keys, styles, collections, messages to workers. And accounts that were wiped.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, boolean, integer, json_binary, small_integer, text, text_null, text_uniq,
        timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::entity::{
    balance, collection, collection_style, shared_key, style, style_label, team, user, worker_message,
};

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
        let wiped = Table::alter()
            .table(user::Entity)
            .add_column(boolean(user::Column::Wiped).default(false))
            .take();
        manager.alter_table(wiped).await?;
        for table in [teams(), shared_keys(), styles(), style_labels()] {
            manager.create_table(table).await?;
        }
        for table in [collections(), collection_styles(), worker_messages()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        let old = Index::drop()
            .name("balances_leaderboard")
            .table(balance::Entity)
            .to_owned();
        manager.drop_index(old).await
    }
}

fn teams() -> TableCreateStatement {
    use team::Column as C;
    let mut table = Table::create();
    table
        .table(team::Entity)
        .col(uuid(C::Id).primary_key())
        .col(text(C::Name))
        .col(text_uniq(C::NameKey))
        .col(text_null(C::Info))
        .col(big_integer(C::Owner))
        .col(timestamp_with_time_zone(C::Created))
        .col(timestamp_with_time_zone(C::LastActive));
    for total in [C::Contributions, C::Fulfilments, C::Kudos, C::Uptime] {
        table.col(big_integer(total).default(0));
    }
    table
}

fn shared_keys() -> TableCreateStatement {
    use shared_key::Column as C;
    Table::create()
        .table(shared_key::Entity)
        .col(uuid(C::Id).primary_key())
        .col(big_integer(C::Owner))
        .col(text_null(C::Name))
        .col(big_integer(C::Kudos))
        .col(big_integer(C::Utilized))
        .col(timestamp_with_time_zone_null(C::Expiry))
        .col(big_integer(C::MaxImagePixels))
        .col(big_integer(C::MaxImageSteps))
        .col(big_integer(C::MaxTextTokens))
        .col(timestamp_with_time_zone(C::Created))
        .take()
}

fn styles() -> TableCreateStatement {
    use style::Column as C;
    Table::create()
        .table(style::Entity)
        .col(uuid(C::Id).primary_key())
        .col(small_integer(C::Kind))
        .col(big_integer(C::Owner))
        .col(text(C::Name))
        .col(text(C::Info))
        .col(text(C::Prompt))
        .col(json_binary(C::Params))
        .col(boolean(C::Public))
        .col(boolean(C::Nsfw))
        .col(json_binary(C::Examples))
        .col(uuid_null(C::SharedKey))
        .col(big_integer(C::UseCount))
        .col(timestamp_with_time_zone(C::Created))
        .col(timestamp_with_time_zone(C::Updated))
        .take()
}

fn style_labels() -> TableCreateStatement {
    use style_label::Column as C;
    Table::create()
        .table(style_label::Entity)
        .col(uuid(C::Style))
        .col(small_integer(C::LabelKind))
        .col(small_integer(C::Position))
        .col(text(C::Label))
        .primary_key(Index::create().col(C::Style).col(C::LabelKind).col(C::Position))
        .take()
}

fn collections() -> TableCreateStatement {
    use collection::Column as C;
    Table::create()
        .table(collection::Entity)
        .col(uuid(C::Id).primary_key())
        .col(small_integer(C::Kind))
        .col(big_integer(C::Owner))
        .col(text(C::Name))
        .col(text(C::Info))
        .col(boolean(C::Public))
        .col(big_integer(C::UseCount))
        .col(timestamp_with_time_zone(C::Created))
        .take()
}

fn collection_styles() -> TableCreateStatement {
    use collection_style::Column as C;
    Table::create()
        .table(collection_style::Entity)
        .col(uuid(C::Collection))
        .col(uuid(C::Style))
        .col(integer(C::Position))
        .primary_key(Index::create().col(C::Collection).col(C::Style))
        .take()
}

fn worker_messages() -> TableCreateStatement {
    use worker_message::Column as C;
    Table::create()
        .table(worker_message::Entity)
        .col(uuid(C::Id).primary_key())
        .col(uuid_null(C::Worker))
        .col(big_integer(C::Author))
        .col(text(C::Message))
        .col(text(C::Origin))
        .col(timestamp_with_time_zone(C::Created))
        .col(timestamp_with_time_zone(C::Expiry))
        .take()
}

/// The index of balances names its accounts now, so that a page of the richest is read from it alone.
fn indexes() -> Vec<IndexCreateStatement> {
    let unique = |name: &str, table: TableRef| Index::create().name(name).table(table).unique().take();
    let plain = |name: &str, table: TableRef| Index::create().name(name).table(table).take();
    vec![
        plain("balances_ranking", balance::Entity.into_table_ref())
            .col(balance::Column::Pot)
            .col((balance::Column::Amount, IndexOrder::Desc))
            .col(balance::Column::Account)
            .take(),
        plain("users_wiped", user::Entity.into_table_ref())
            .col(user::Column::Wiped)
            .take(),
        plain("shared_keys_owner", shared_key::Entity.into_table_ref())
            .col(shared_key::Column::Owner)
            .take(),
        unique("styles_owner_name", style::Entity.into_table_ref())
            .col(style::Column::Owner)
            .col(style::Column::Name)
            .take(),
        plain("styles_name", style::Entity.into_table_ref())
            .col(style::Column::Name)
            .take(),
        plain("styles_shared_key", style::Entity.into_table_ref())
            .col(style::Column::SharedKey)
            .take(),
        plain("style_labels_label", style_label::Entity.into_table_ref())
            .col(style_label::Column::LabelKind)
            .col(style_label::Column::Label)
            .take(),
        unique("collections_owner_name", collection::Entity.into_table_ref())
            .col(collection::Column::Owner)
            .col(collection::Column::Name)
            .take(),
        plain("collections_name", collection::Entity.into_table_ref())
            .col(collection::Column::Name)
            .take(),
        plain(
            "collection_styles_style",
            collection_style::Entity.into_table_ref(),
        )
        .col(collection_style::Column::Style)
        .take(),
    ]
}
