//! The first schema: requests, jobs, accounts, keys, workers, the ledger, settings.
//!
//! There are no foreign keys: rows of one request are always written together, the ledger must
//! outlive what it speaks of, and a check per row would cost more than the row.
//! Amounts of kudos, records and contributions are whole hundredths.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, big_integer_uniq, boolean, double, double_null, integer, json_binary,
        json_binary_null, pk_auto, small_integer, text, text_null, text_uniq, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::{
    SystemAccount,
    entity::{api_key, balance, job, ledger_entry, request, setting, user, user_record, user_total, worker},
};

/// See the file's header.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[allow(elided_lifetimes_in_paths, reason = "the trait is declared this way")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [requests(), jobs(), users(), api_keys(), workers()] {
            manager.create_table(table).await?;
        }
        for table in [
            balances(),
            kudos_ledger(),
            user_totals(),
            user_records(),
            settings(),
        ] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        system_accounts(manager).await
    }
}

fn requests() -> TableCreateStatement {
    use request::Column as C;
    Table::create()
        .table(request::Entity)
        .col(uuid(C::Id).primary_key())
        .col(small_integer(C::Kind))
        .col(big_integer(C::UserId))
        .col(uuid_null(C::SharedKeyId))
        .col(timestamp_with_time_zone(C::Created))
        .col(timestamp_with_time_zone(C::Expiry))
        .col(integer(C::SlotsLeft))
        .col(integer(C::JobsTotal))
        .col(boolean(C::Faulted))
        .col(boolean(C::Cancelled))
        .col(big_integer(C::Priority))
        .col(double(C::Price))
        .col(big_integer(C::Consumed))
        .col(big_integer(C::Things))
        .col(text(C::ClientAgent))
        .col(text_null(C::Ip))
        .col(text_null(C::Webhook))
        .col(json_binary(C::Payload))
        .col(timestamp_with_time_zone(C::UpdatedAt))
        .take()
}

fn jobs() -> TableCreateStatement {
    use job::Column as C;
    Table::create()
        .table(job::Entity)
        .col(uuid(C::Id).primary_key())
        .col(uuid(C::RequestId))
        .col(uuid(C::WorkerId))
        .col(small_integer(C::Kind))
        .col(text(C::Model))
        .col(small_integer(C::State))
        .col(timestamp_with_time_zone(C::Started))
        .col(timestamp_with_time_zone(C::Deadline))
        .col(big_integer(C::Seed))
        .col(text_null(C::Result))
        .col(json_binary_null(C::GenMetadata))
        .col(boolean(C::Censored))
        .col(boolean(C::Fake))
        .col(big_integer_null(C::Reward))
        .col(timestamp_with_time_zone_null(C::FinishedAt))
        .col(json_binary_null(C::Payload))
        .take()
}

fn users() -> TableCreateStatement {
    use user::Column as C;
    Table::create()
        .table(user::Entity)
        .col(big_integer(C::Id).primary_key())
        .col(text(C::Username))
        .col(text_uniq(C::ExternalId))
        .col(timestamp_with_time_zone(C::Created))
        .col(timestamp_with_time_zone(C::LastActive))
        .col(text_null(C::Contact))
        .col(text_null(C::AdminComment))
        .col(text_null(C::ProxyPasskey))
        .col(big_integer(C::MonthlyKudos))
        .col(timestamp_with_time_zone_null(C::MonthlyKudosReceived))
        .col(double(C::UsageMultiplier))
        .col(integer(C::WorkerInvited))
        .col(boolean(C::PublicWorkers))
        .col(integer(C::Concurrency))
        .col(integer(C::Roles))
        .col(json_binary(C::Suspicions))
        .take()
}

fn api_keys() -> TableCreateStatement {
    use api_key::Column as C;
    Table::create()
        .table(api_key::Entity)
        .col(text(C::KeyHash).primary_key())
        .col(big_integer_uniq(C::UserId))
        .col(timestamp_with_time_zone(C::Created))
        .take()
}

fn workers() -> TableCreateStatement {
    use worker::Column as C;
    let mut table = Table::create();
    table
        .table(worker::Entity)
        .col(uuid(C::Id).primary_key())
        .col(small_integer(C::Kind))
        .col(big_integer(C::Owner))
        .col(text_uniq(C::Name))
        .col(timestamp_with_time_zone(C::Created))
        .col(text_null(C::Info))
        .col(uuid_null(C::Team))
        .col(boolean(C::Paused))
        .col(boolean(C::Maintenance))
        .col(text_null(C::MaintenanceMessage))
        .col(json_binary(C::Suspicions))
        .col(text_null(C::Ip))
        .col(text(C::BridgeAgent))
        .col(integer(C::Threads))
        .col(integer(C::MaxPower))
        .col(boolean(C::ExtraSlow))
        .col(boolean(C::AllowUnsafeIp))
        .col(double_null(C::Speed))
        .col(timestamp_with_time_zone(C::LastCheckIn))
        .col(big_integer(C::Uptime))
        .col(big_integer(C::LastRewardUptime))
        .col(integer(C::AbortedJobs))
        .col(timestamp_with_time_zone_null(C::LastAbortedJob))
        .col(json_binary(C::Settings));
    for total in [
        C::Kudos,
        C::KudosGenerated,
        C::KudosUptime,
        C::KudosInterrogated,
        C::Contributions,
        C::Fulfilments,
        C::UncompletedJobs,
    ] {
        table.col(big_integer(total).default(0));
    }
    table
}

fn balances() -> TableCreateStatement {
    use balance::Column as C;
    Table::create()
        .table(balance::Entity)
        .col(big_integer(C::Account))
        .col(small_integer(C::Pot))
        .col(big_integer(C::Amount))
        .primary_key(Index::create().col(C::Account).col(C::Pot))
        .take()
}

fn kudos_ledger() -> TableCreateStatement {
    use ledger_entry::Column as C;
    Table::create()
        .table(ledger_entry::Entity)
        .col(pk_auto(C::Id).big_integer())
        .col(text(C::Event))
        .col(small_integer(C::Leg))
        .col(small_integer(C::Kind))
        .col(big_integer(C::Account))
        .col(small_integer(C::Pot))
        .col(big_integer(C::Amount))
        .col(timestamp_with_time_zone(C::Created))
        .col(uuid_null(C::RequestId))
        .col(uuid_null(C::JobId))
        .take()
}

fn user_totals() -> TableCreateStatement {
    use user_total::Column as C;
    Table::create()
        .table(user_total::Entity)
        .col(big_integer(C::UserId))
        .col(small_integer(C::Action))
        .col(big_integer(C::Amount))
        .primary_key(Index::create().col(C::UserId).col(C::Action))
        .take()
}

fn user_records() -> TableCreateStatement {
    use user_record::Column as C;
    Table::create()
        .table(user_record::Entity)
        .col(big_integer(C::UserId))
        .col(small_integer(C::Record))
        .col(small_integer(C::Kind))
        .col(big_integer(C::Amount))
        .primary_key(Index::create().col(C::UserId).col(C::Record).col(C::Kind))
        .take()
}

fn settings() -> TableCreateStatement {
    use setting::Column as C;
    Table::create()
        .table(setting::Entity)
        .col(text(C::Key).primary_key())
        .col(json_binary(C::Value))
        .take()
}

/// Every index is paid for at every write, so there is one only where something is asked often:
/// what changed since (sweeps), the jobs of a request, an event's key, an account's history, the
/// leaderboard.
fn indexes() -> Vec<IndexCreateStatement> {
    use ledger_entry::Column as L;
    vec![
        Index::create()
            .name("requests_updated_at")
            .table(request::Entity)
            .col(request::Column::UpdatedAt)
            .take(),
        Index::create()
            .name("jobs_request_id")
            .table(job::Entity)
            .col(job::Column::RequestId)
            .take(),
        Index::create()
            .name("workers_owner")
            .table(worker::Entity)
            .col(worker::Column::Owner)
            .take(),
        Index::create()
            .name("balances_leaderboard")
            .table(balance::Entity)
            .col(balance::Column::Pot)
            .col((balance::Column::Amount, IndexOrder::Desc))
            .take(),
        Index::create()
            .name("kudos_ledger_event")
            .table(ledger_entry::Entity)
            .col(L::Event)
            .col(L::Leg)
            .unique()
            .take(),
        Index::create()
            .name("kudos_ledger_account")
            .table(ledger_entry::Entity)
            .col(L::Account)
            .col(L::Id)
            .take(),
    ]
}

/// The horde's own accounts begin at zero, so that the journal always finds them.
async fn system_accounts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    use strum::IntoEnumIterator as _;
    let mut insert = Query::insert();
    insert.into_table(balance::Entity).columns([
        balance::Column::Account,
        balance::Column::Pot,
        balance::Column::Amount,
    ]);
    for account in SystemAccount::iter() {
        insert.values_panic([(account as i64).into(), 0_i16.into(), 0_i64.into()]);
    }
    manager.execute(insert.take()).await
}
