//! Kudos that are promised to requests before they are charged.

use sea_orm_migration::{prelude::*, schema::big_integer};

use crate::{
    Pot, SystemAccount,
    entity::{balance, request},
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
        let held = Table::alter()
            .table(request::Entity)
            .add_column(big_integer(request::Column::Held).default(0))
            .take();
        manager.alter_table(held).await?;
        let account = SystemAccount::Holds as i64;
        let mut insert = Query::insert();
        insert
            .into_table(balance::Entity)
            .columns([
                balance::Column::Account,
                balance::Column::Pot,
                balance::Column::Amount,
            ])
            .values_panic([account.into(), (Pot::Spendable as i16).into(), 0_i64.into()])
            // A new database has all the accounts of this version already.
            .on_conflict(
                OnConflict::columns([balance::Column::Account, balance::Column::Pot])
                    .do_nothing()
                    .to_owned(),
            );
        manager.execute(insert).await
    }
}
