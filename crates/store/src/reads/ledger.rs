//! What is in the ledger.

use std::collections::HashMap;

use muster_protocol::{JobId, Kudos, RequestId, UserId};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _,
    IsolationLevel, QueryFilter as _, QueryOrder as _, QuerySelect as _, TransactionTrait as _,
    sea_query::{Expr, ExprTrait as _, Func, Query, SelectStatement},
};

use crate::{
    AccountRef, BookedEntry, EventKind, ExplainedEntry, Pot, Store, StoreError,
    entity::{balance, ledger_entry},
    sql::lists,
};

/// The type of sums on both engines: PostgreSQL sums big integers to `numeric`.
pub(crate) const SUM_TYPE: &str = "bigint";

/// An entry as it is stored.
pub(crate) fn entry_from(row: ledger_entry::Model) -> Result<BookedEntry, StoreError> {
    let corrupt = |what: String| StoreError::Corrupt {
        table: "kudos_ledger",
        what,
    };
    Ok(BookedEntry {
        id: row.id,
        kind: EventKind::from_repr(row.kind)
            .ok_or_else(|| corrupt(format!("{} is no kind of event", row.kind)))?,
        account: AccountRef::from_number(row.account)
            .ok_or_else(|| corrupt(format!("{} is no account", row.account)))?,
        pot: Pot::from_repr(row.pot).ok_or_else(|| corrupt(format!("{} is no pot", row.pot)))?,
        event: row.event,
        amount: Kudos::from_hundredths(row.amount),
        at: row.created.into(),
        request: row.request_id.map(RequestId),
        job: row.job_id.map(JobId),
    })
}

impl Store {
    /// The newest entries of a user, newest first: at most `limit` older than `before`.
    pub async fn ledger_of(
        &self,
        user: UserId,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<BookedEntry>, StoreError> {
        let mut select = ledger_entry::Entity::find()
            .filter(ledger_entry::Column::Account.eq(user.0))
            .order_by_desc(ledger_entry::Column::Id)
            .limit(limit);
        if let Some(before) = before {
            select = select.filter(ledger_entry::Column::Id.lt(before));
        }
        select
            .all(self.reader())
            .await?
            .into_iter()
            .map(entry_from)
            .collect()
    }

    /// The entries of an event, in the order in which they were booked; none if the key is unknown.
    pub async fn ledger_event(&self, key: &str) -> Result<Vec<BookedEntry>, StoreError> {
        let select = ledger_entry::Entity::find()
            .filter(ledger_entry::Column::Event.eq(key))
            .order_by_asc(ledger_entry::Column::Leg);
        select
            .all(self.reader())
            .await?
            .into_iter()
            .map(entry_from)
            .collect()
    }

    /// The newest movements of a user, newest first, each with what its pot had afterwards: at most `limit` older than
    /// `before`. They explain the balance of the same moment line by line.
    pub async fn explain_balance(
        &self,
        user: UserId,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<ExplainedEntry>, StoreError> {
        let snapshot = self.snapshot().await?;
        let mut pots: HashMap<i16, i64> = balance::Entity::find()
            .filter(balance::Column::Account.eq(user.0))
            .all(&snapshot)
            .await?
            .into_iter()
            .map(|row| (row.pot, row.amount))
            .collect();
        if let Some(before) = before {
            for row in snapshot.query_all(&sums_since(user, before)).await? {
                *pots.entry(row.try_get_by_index(0)?).or_default() -= row.try_get_by_index::<i64>(1)?;
            }
        }
        let mut select = ledger_entry::Entity::find()
            .filter(ledger_entry::Column::Account.eq(user.0))
            .order_by_desc(ledger_entry::Column::Id)
            .limit(limit);
        if let Some(before) = before {
            select = select.filter(ledger_entry::Column::Id.lt(before));
        }
        let rows = select.all(&snapshot).await?;
        let transfers = rows.iter().filter(|row| row.kind == EventKind::Transfer as i16);
        let others = others_in(&snapshot, user, transfers.map(|row| row.event.clone())).await?;
        snapshot.rollback().await?;
        let mut explained = Vec::with_capacity(rows.len());
        for row in rows {
            let pot = pots.entry(row.pot).or_default();
            let balance = *pot;
            *pot -= row.amount;
            let counterparty = others.get(&row.event).copied();
            explained.push(ExplainedEntry {
                entry: entry_from(row)?,
                balance: Kudos::from_hundredths(balance),
                counterparty,
            });
        }
        Ok(explained)
    }

    /// A transaction that sees the database as it is now until it ends.
    pub(super) async fn snapshot(&self) -> Result<DatabaseTransaction, DbErr> {
        if self.reader().get_database_backend() == DbBackend::Sqlite {
            // A read transaction is a snapshot already.
            return self.reader().begin().await;
        }
        let level = Some(IsolationLevel::RepeatableRead);
        self.reader().begin_with_config(level, None).await
    }
}

/// What was added to each pot of a user by an entry and those after it.
fn sums_since(user: UserId, entry: i64) -> SelectStatement {
    use ledger_entry::Column as C;
    Query::select()
        .column(C::Pot)
        .expr(Func::sum(Expr::col(C::Amount)).cast_as(SUM_TYPE))
        .from(ledger_entry::Entity)
        .and_where(Expr::col(C::Account).eq(user.0))
        .and_where(Expr::col(C::Id).gte(entry))
        .group_by_col(C::Pot)
        .take()
}

/// The other user in each event.
async fn others_in(
    snapshot: &DatabaseTransaction,
    user: UserId,
    events: impl Iterator<Item = String>,
) -> Result<HashMap<String, UserId>, DbErr> {
    use ledger_entry::Column as C;
    let mut others = HashMap::new();
    for events in lists(events) {
        let rows: Vec<(String, i64)> = ledger_entry::Entity::find()
            .select_only()
            .columns([C::Event, C::Account])
            .filter(C::Event.is_in(events))
            .filter(C::Account.ne(user.0))
            .filter(C::Account.gte(0_i64))
            .into_tuple()
            .all(snapshot)
            .await?;
        others.extend(rows.into_iter().map(|(event, account)| (event, UserId(account))));
    }
    Ok(others)
}
