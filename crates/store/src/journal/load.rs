//! Loads the rows that a group needs.
//!
//! On PostgreSQL, rows that may change are locked, always in the same order (requests, users,
//! workers, balances; each by key), so that the writers of several nodes wait for each other
//! instead of deadlocking. A job changes only under the lock of its request. SQLite has one writer
//! and ignores the lock clause.

use muster_protocol::{JobId, Kudos, RequestId, UserId, WorkerId};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, FromQueryResult as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
    sea_query::{Expr, ExprTrait as _, Func, Query, SelectStatement},
};

use super::{
    change::Needs,
    working_set::{JobRow, Origin, RequestRow, Row, WorkingSet},
};
use crate::{
    JobState, Pot,
    entity::{api_key, balance, job, ledger_entry, request, user, worker},
    sql::{lists, query_each},
};

type Tx = DatabaseTransaction;

/// Loads and locks.
pub(super) async fn load(tx: &Tx, needs: &Needs) -> Result<WorkingSet, DbErr> {
    let mut set = WorkingSet {
        again: needs.again,
        ..WorkingSet::default()
    };
    requests(tx, needs, &mut set).await?;
    jobs(tx, needs, &mut set).await?;
    users(tx, needs, &mut set).await?;
    keys(tx, needs, &mut set).await?;
    workers(tx, needs, &mut set).await?;
    balances(tx, needs, &mut set).await?;
    set.books.begin_version();
    events(tx, needs, &mut set).await?;
    Ok(set)
}

fn locked<E: sea_orm::EntityTrait>(select: Select<E>) -> SelectStatement {
    select.lock_exclusive().into_query()
}

async fn requests(tx: &Tx, needs: &Needs, set: &mut WorkingSet) -> Result<(), DbErr> {
    use request::Column as C;
    let queries = lists(needs.requests.iter().map(|id| id.0))
        .into_iter()
        .map(|ids| {
            locked(
                request::Entity::find()
                    .select_only()
                    .columns([
                        C::Id,
                        C::SlotsLeft,
                        C::Faulted,
                        C::Cancelled,
                        C::Expiry,
                        C::Consumed,
                        C::UpdatedAt,
                        C::UserId,
                        C::Held,
                    ])
                    .filter(C::Id.is_in(ids))
                    .order_by_asc(C::Id),
            )
        })
        .collect();
    for row in query_each(tx, queries).await? {
        let loaded = RequestRow {
            origin: Origin::Stored,
            deleted: false,
            slots_left: row.try_get_by_index(1)?,
            faulted: row.try_get_by_index(2)?,
            cancelled: row.try_get_by_index(3)?,
            expiry: row.try_get_by_index::<chrono::DateTime<chrono::Utc>>(4)?.into(),
            consumed: Kudos::from_hundredths(row.try_get_by_index(5)?),
            updated_at: row.try_get_by_index::<chrono::DateTime<chrono::Utc>>(6)?.into(),
            user: UserId(row.try_get_by_index(7)?),
            held: Kudos::from_hundredths(row.try_get_by_index(8)?),
            new: None,
        };
        set.requests.insert(RequestId(row.try_get_by_index(0)?), loaded);
    }
    Ok(())
}

async fn jobs(tx: &Tx, needs: &Needs, set: &mut WorkingSet) -> Result<(), DbErr> {
    use job::Column as C;
    let queries = lists(needs.jobs.iter().map(|id| id.0))
        .into_iter()
        .map(|ids| {
            Query::select()
                .columns([C::Id, C::RequestId, C::State, C::Reward, C::FinishedAt, C::Fake])
                .from(job::Entity)
                .and_where(Expr::col(C::Id).is_in(ids))
                .take()
        })
        .collect();
    for row in query_each(tx, queries).await? {
        let state: i16 = row.try_get_by_index(2)?;
        let loaded = JobRow {
            origin: Origin::Stored,
            request: RequestId(row.try_get_by_index(1)?),
            fake: row.try_get_by_index(5)?,
            // An unknown state is treated as final: nothing can happen to the job any more.
            state: JobState::from_repr(state).unwrap_or(JobState::Faulted),
            reward: row
                .try_get_by_index::<Option<i64>>(3)?
                .map(Kudos::from_hundredths),
            finished_at: row
                .try_get_by_index::<Option<chrono::DateTime<chrono::Utc>>>(4)?
                .map(Into::into),
            new: None,
            finish: None,
        };
        set.jobs.insert(JobId(row.try_get_by_index(0)?), loaded);
    }
    Ok(())
}

async fn users(tx: &Tx, needs: &Needs, set: &mut WorkingSet) -> Result<(), DbErr> {
    use user::Column as C;
    if needs.new_accounts {
        set.next_user = next_number(tx).await?;
    }
    let queries = lists(needs.users.iter().map(|id| id.0))
        .into_iter()
        .map(|ids| locked(user::Entity::find().filter(C::Id.is_in(ids)).order_by_asc(C::Id)))
        .collect();
    for row in query_each(tx, queries).await? {
        let model = user::Model::from_query_result(&row, "")?;
        set.users.insert(UserId(model.id), Row::stored(model));
    }
    let queries = lists(needs.external_ids.iter().cloned())
        .into_iter()
        .map(|ids| {
            Query::select()
                .columns([C::ExternalId, C::Id])
                .from(user::Entity)
                .and_where(Expr::col(C::ExternalId).is_in(ids))
                .take()
        })
        .collect();
    for row in query_each(tx, queries).await? {
        set.external_ids
            .insert(row.try_get_by_index(0)?, UserId(row.try_get_by_index(1)?));
    }
    Ok(())
}

/// The next account number. Whoever wants one holds the lock on the anonymous account (which is
/// otherwise never written), so that two nodes neither take the same number nor miss each other's
/// external ids.
async fn next_number(tx: &Tx) -> Result<i64, DbErr> {
    use user::Column as C;
    let anonymous = UserId::ANONYMOUS.0;
    let lock = locked(
        user::Entity::find()
            .select_only()
            .column(C::Id)
            .filter(C::Id.eq(anonymous)),
    );
    let last = Query::select()
        .expr(Func::max(Expr::col(C::Id)))
        .from(user::Entity)
        .take();
    query_each(tx, vec![lock]).await?;
    let rows = query_each(tx, vec![last]).await?;
    let last: Option<i64> = rows
        .first()
        .map(|row| row.try_get_by_index(0))
        .transpose()?
        .flatten();
    Ok(last.unwrap_or(anonymous) + 1)
}

async fn keys(tx: &Tx, needs: &Needs, set: &mut WorkingSet) -> Result<(), DbErr> {
    let queries = lists(needs.key_hashes.iter().cloned())
        .into_iter()
        .map(|hashes| {
            api_key::Entity::find()
                .filter(api_key::Column::KeyHash.is_in(hashes))
                .into_query()
        })
        .collect();
    for row in query_each(tx, queries).await? {
        let model = api_key::Model::from_query_result(&row, "")?;
        set.keys.insert(model.key_hash.clone(), Row::stored(model));
    }
    Ok(())
}

async fn workers(tx: &Tx, needs: &Needs, set: &mut WorkingSet) -> Result<(), DbErr> {
    use worker::Column as C;
    let by_id = lists(needs.workers.iter().map(|id| id.0)).into_iter().map(|ids| {
        locked(
            worker::Entity::find()
                .filter(C::Id.is_in(ids))
                .order_by_asc(C::Id),
        )
    });
    let by_name = lists(needs.worker_names.iter().cloned())
        .into_iter()
        .map(|names| {
            locked(
                worker::Entity::find()
                    .filter(C::Name.is_in(names))
                    .order_by_asc(C::Id),
            )
        });
    for row in query_each(tx, by_id.chain(by_name).collect()).await? {
        let model = worker::Model::from_query_result(&row, "")?;
        set.worker_names.insert(model.name.clone(), WorkerId(model.id));
        set.workers.insert(WorkerId(model.id), Row::stored(model));
    }
    Ok(())
}

async fn balances(tx: &Tx, needs: &Needs, set: &mut WorkingSet) -> Result<(), DbErr> {
    use balance::Column as C;
    let queries = lists(needs.accounts.iter().copied())
        .into_iter()
        .map(|accounts| {
            locked(
                balance::Entity::find()
                    .filter(C::Account.is_in(accounts))
                    .order_by_asc(C::Account)
                    .order_by_asc(C::Pot),
            )
        })
        .collect();
    for row in query_each(tx, queries).await? {
        let model = balance::Model::from_query_result(&row, "")?;
        let pot =
            Pot::from_repr(model.pot).ok_or_else(|| DbErr::Custom(format!("{} is no pot", model.pot)))?;
        set.books.amounts.insert((model.account, pot), model.amount);
    }
    Ok(())
}

/// Which events are booked. Asked after the balances are locked: another node that books the same
/// event has to wait for the same accounts.
async fn events(tx: &Tx, needs: &Needs, set: &mut WorkingSet) -> Result<(), DbErr> {
    use ledger_entry::Column as C;
    let queries = lists(needs.events.iter().cloned())
        .into_iter()
        .map(|keys| {
            Query::select()
                .column(C::Event)
                .from(ledger_entry::Entity)
                .and_where(Expr::col(C::Event).is_in(keys))
                .and_where(Expr::col(C::Leg).eq(0_i16))
                .take()
        })
        .collect();
    for row in query_each(tx, queries).await? {
        set.books.booked.insert(row.try_get_by_index(0)?);
    }
    Ok(())
}
