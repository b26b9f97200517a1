//! Writes the money and the statistics of a group.
//!
//! The rows that all nodes share, balances of the horde's own accounts above all, come last, so
//! that other nodes wait for them no longer than the commit takes.

use sea_orm::{
    DatabaseTransaction, DbErr, EntityTrait, Value,
    sea_query::{CaseStatement, Expr, ExprTrait as _, OnConflict, Query},
};

use super::books::Books;
use crate::{
    entity::{
        balance, collection, ledger_entry, shared_key, style, team, user, user_record, user_total, work_stat,
        worker,
    },
    sql::{execute_all, nth, pieces, update_from_values},
};

type Tx = DatabaseTransaction;

pub(super) async fn flush(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    entries(tx, books).await?;
    totals(tx, books).await?;
    records(tx, books).await?;
    work(tx, books).await?;
    workers(tx, books).await?;
    teams(tx, books).await?;
    shared_key_gifts(tx, books).await?;
    shared_keys(tx, books).await?;
    uses(tx, books).await?;
    last_active(tx, books).await?;
    balances(tx, books).await
}

async fn entries(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use ledger_entry::Column as C;
    for piece in pieces(&books.entries) {
        let mut insert = Query::insert();
        insert.into_table(ledger_entry::Entity).columns([
            C::Event,
            C::Leg,
            C::Kind,
            C::Account,
            C::Pot,
            C::Amount,
            C::Created,
            C::RequestId,
            C::JobId,
        ]);
        for row in piece {
            let values: [Value; 9] = [
                row.event.clone().into(),
                row.leg.into(),
                (row.kind as i16).into(),
                row.pot.0.into(),
                (row.pot.1 as i16).into(),
                row.amount.into(),
                row.at.to_datetime().into(),
                row.request.map(|id| id.0).into(),
                row.job.map(|id| id.0).into(),
            ];
            insert.values_panic(values.map(Expr::from));
        }
        execute_all(tx, vec![insert]).await?;
    }
    Ok(())
}

/// Adds to sums, making the rows that do not exist: keys first, the sum last.
pub(crate) async fn add_to_sums<E, C, const N: usize>(
    tx: &Tx,
    table: E,
    columns: [C; N],
    rows: &[[Value; N]],
) -> Result<(), DbErr>
where
    E: EntityTrait,
    C: sea_orm::Iden + Copy + 'static,
{
    let (keys, sum) = columns.split_at(N - 1);
    let sum = sum[0];
    for piece in pieces(rows) {
        let mut insert = Query::insert();
        insert.into_table(table).columns(columns);
        for row in piece {
            insert.values_panic(row.clone().map(Expr::from));
        }
        let added = Expr::col((table, sum)).add(Expr::col(("excluded", sum)));
        insert.on_conflict(
            OnConflict::columns(keys.iter().copied())
                .value(sum, added)
                .to_owned(),
        );
        execute_all(tx, vec![insert]).await?;
    }
    Ok(())
}

async fn totals(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use user_total::Column as C;
    let rows: Vec<[Value; 3]> = books
        .totals
        .iter()
        .map(|((user, action), amount)| [user.0.into(), (*action as i16).into(), (*amount).into()])
        .collect();
    add_to_sums(tx, user_total::Entity, [C::UserId, C::Action, C::Amount], &rows).await
}

async fn records(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use user_record::Column as C;
    let rows: Vec<[Value; 4]> = books
        .records
        .iter()
        .map(|((user, record, kind), amount)| {
            [
                user.0.into(),
                (*record as i16).into(),
                (*kind).into(),
                (*amount).into(),
            ]
        })
        .collect();
    add_to_sums(
        tx,
        user_record::Entity,
        [C::UserId, C::Record, C::Kind, C::Amount],
        &rows,
    )
    .await
}

async fn work(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use work_stat::Column as C;
    let rows: Vec<[Value; 5]> = books
        .work
        .iter()
        .map(|((kind, hour, model, measure), amount)| {
            [
                (*kind).into(),
                (*hour).into(),
                model.as_str().into(),
                (*measure).into(),
                (*amount).into(),
            ]
        })
        .collect();
    add_to_sums(
        tx,
        work_stat::Entity,
        [C::Kind, C::Hour, C::Model, C::Measure, C::Amount],
        &rows,
    )
    .await
}

async fn balances(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use balance::Column as C;
    let rows: Vec<[Value; 3]> = books
        .deltas
        .iter()
        .map(|((account, pot), delta)| [(*account).into(), (*pot as i16).into(), (*delta).into()])
        .collect();
    add_to_sums(tx, balance::Entity, [C::Account, C::Pot, C::Amount], &rows).await
}

async fn workers(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use worker::Column as C;
    let rows: Vec<_> = books
        .workers
        .iter()
        .map(|(id, delta)| {
            vec![
                id.0.into(),
                (delta.generated + delta.uptime + delta.interrogated).into(),
                delta.generated.into(),
                delta.uptime.into(),
                delta.interrogated.into(),
                delta.contributions.into(),
                delta.fulfilments.into(),
                delta.uncompleted_jobs.into(),
            ]
        })
        .collect();
    let columns = [
        C::Kudos,
        C::KudosGenerated,
        C::KudosUptime,
        C::KudosInterrogated,
        C::Contributions,
        C::Fulfilments,
        C::UncompletedJobs,
    ];
    let updates = update_from_values(worker::Entity, C::Id, &rows, |update| {
        for (index, column) in columns.into_iter().enumerate() {
            update.value(column, Expr::col((worker::Entity, column)).add(nth(index + 2)));
        }
    });
    execute_all(tx, updates).await
}

async fn teams(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use team::Column as C;
    let rows: Vec<_> = books
        .teams
        .iter()
        .map(|(id, delta)| {
            vec![
                (*id).into(),
                delta.contributions.into(),
                delta.fulfilments.into(),
                delta.kudos.into(),
                delta.uptime.into(),
                delta.last_active.to_datetime().into(),
            ]
        })
        .collect();
    let columns = [C::Contributions, C::Fulfilments, C::Kudos, C::Uptime];
    let updates = update_from_values(team::Entity, C::Id, &rows, |update| {
        for (index, column) in columns.into_iter().enumerate() {
            update.value(column, Expr::col((team::Entity, column)).add(nth(index + 2)));
        }
        update.value(C::LastActive, nth(6));
    });
    execute_all(tx, updates).await
}

/// Lets more be spent through keys; through an unlimited one everything can be already.
async fn shared_key_gifts(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use shared_key::Column as C;
    let rows: Vec<_> = books
        .shared_key_gifts
        .iter()
        .map(|(key, amount)| vec![(*key).into(), (*amount).into()])
        .collect();
    let updates = update_from_values(shared_key::Entity, C::Id, &rows, |update| {
        let kudos = Expr::col((shared_key::Entity, C::Kudos));
        update
            .value(C::Kudos, kudos.clone().add(nth(2)))
            .and_where(kudos.gte(0));
    });
    execute_all(tx, updates).await
}

/// Charges keys: an empty one is left alone, an unlimited one only notes what was used, any other loses the amount
/// down to zero.
async fn shared_keys(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use shared_key::Column as C;
    let column = |column: C| Expr::col((shared_key::Entity, column));
    let rows: Vec<_> = books
        .shared_keys
        .iter()
        .map(|(key, amount)| vec![(*key).into(), (*amount).into()])
        .collect();
    let updates = update_from_values(shared_key::Entity, C::Id, &rows, |update| {
        let left = column(C::Kudos).sub(nth(2));
        let kudos = CaseStatement::new()
            .case(column(C::Kudos).lt(0), column(C::Kudos))
            .case(left.clone().lt(0), Expr::val(0_i64))
            .finally(left);
        update
            .value(C::Kudos, kudos)
            .value(C::Utilized, column(C::Utilized).add(nth(2)))
            .and_where(column(C::Kudos).ne(0));
    });
    execute_all(tx, updates).await
}

/// Counts uses, of styles or collections.
async fn uses(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    let rows: Vec<_> = books
        .uses
        .iter()
        .map(|(used, times)| vec![(*used).into(), (*times).into()])
        .collect();
    let styles = update_from_values(style::Entity, style::Column::Id, &rows, |update| {
        let count = Expr::col((style::Entity, style::Column::UseCount));
        update.value(style::Column::UseCount, count.add(nth(2)));
    });
    execute_all(tx, styles).await?;
    let collections = update_from_values(collection::Entity, collection::Column::Id, &rows, |update| {
        let count = Expr::col((collection::Entity, collection::Column::UseCount));
        update.value(collection::Column::UseCount, count.add(nth(2)));
    });
    execute_all(tx, collections).await
}

async fn last_active(tx: &Tx, books: &Books) -> Result<(), DbErr> {
    use user::Column as C;
    let rows: Vec<_> = books
        .active
        .iter()
        .map(|(user, at)| vec![user.0.into(), at.to_datetime().into()])
        .collect();
    let updates = update_from_values(user::Entity, C::Id, &rows, |update| {
        update
            .value(C::LastActive, nth(2))
            .and_where(Expr::col((user::Entity, C::LastActive)).lt(nth(2)));
    });
    execute_all(tx, updates).await
}
