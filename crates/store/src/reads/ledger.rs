//! Reading and auditing the ledger.

use std::collections::BTreeMap;

use muster_protocol::{JobId, Kudos, RequestId, UserId};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, Func, Query, SelectStatement},
};

use crate::{
    AccountRef, BookedEntry, Drift, EventKind, LedgerAudit, Pot, Store, StoreError, UnbalancedEvent,
    entity::{balance, ledger_entry},
};

/// How many faults an audit lists.
const LISTED: u64 = 1000;

/// The type of sums on both engines: PostgreSQL sums big integers to `numeric`.
const SUM_TYPE: &str = "bigint";

fn sum_of_amounts() -> Expr {
    Func::sum(Expr::col((ledger_entry::Entity, ledger_entry::Column::Amount))).cast_as(SUM_TYPE)
}

fn entry_from(row: ledger_entry::Model) -> Result<BookedEntry, StoreError> {
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

    /// Proves the books, or says what is wrong with them: each event adds up to zero, and each
    /// balance is the sum of its entries.
    ///
    /// Reads the whole ledger, in the database, from one snapshot.
    pub async fn audit(&self) -> Result<LedgerAudit, StoreError> {
        use sea_orm::{IsolationLevel, TransactionTrait as _};
        let snapshot = match self.reader().get_database_backend() {
            // A read transaction of SQLite is a snapshot already.
            sea_orm::DbBackend::Sqlite => self.reader().begin().await?,
            _ => {
                self.reader()
                    .begin_with_config(Some(IsolationLevel::RepeatableRead), None)
                    .await?
            }
        };
        let mut audit = LedgerAudit::default();
        if let Some(row) = snapshot.query_one(&totals()).await? {
            audit.entries = row.try_get_by_index::<i64>(0)?.unsigned_abs();
            audit.events = row.try_get_by_index::<i64>(1)?.unsigned_abs();
            audit.total_hundredths = row.try_get_by_index::<Option<i64>>(2)?.unwrap_or(0);
        }
        for row in snapshot.query_all(&unbalanced_events()).await? {
            audit.unbalanced.push(UnbalancedEvent {
                event: row.try_get_by_index(0)?,
                sum: Kudos::from_hundredths(row.try_get_by_index(1)?),
            });
        }
        let mut pots: BTreeMap<(i64, i16), (i64, i64)> = BTreeMap::new();
        for row in snapshot.query_all(&sums_of_pots()).await? {
            let key = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            pots.entry(key).or_default().1 = row.try_get_by_index(2)?;
        }
        for row in balance::Entity::find().all(&snapshot).await? {
            pots.entry((row.account, row.pot)).or_default().0 = row.amount;
        }
        snapshot.rollback().await?;
        let drifted = pots
            .into_iter()
            .filter(|(_, (balance, entries))| balance != entries);
        audit.drifted = drifted
            .take(LISTED as usize)
            .map(|((account, pot), (balance, entries))| Drift {
                account,
                pot: Pot::from_repr(pot).unwrap_or(Pot::Spendable),
                balance: Kudos::from_hundredths(balance),
                entries: Kudos::from_hundredths(entries),
            })
            .collect();
        Ok(audit)
    }
}

fn totals() -> SelectStatement {
    use ledger_entry::Column as C;
    Query::select()
        .expr(Func::count(Expr::col(C::Id)))
        .expr(Func::count_distinct(Expr::col(C::Event)))
        .expr(sum_of_amounts())
        .from(ledger_entry::Entity)
        .take()
}

fn unbalanced_events() -> SelectStatement {
    use ledger_entry::Column as C;
    Query::select()
        .column(C::Event)
        .expr(sum_of_amounts())
        .from(ledger_entry::Entity)
        .group_by_col(C::Event)
        .and_having(Func::sum(Expr::col(C::Amount)).ne(0))
        .limit(LISTED)
        .take()
}

fn sums_of_pots() -> SelectStatement {
    use ledger_entry::Column as C;
    Query::select()
        .columns([C::Account, C::Pot])
        .expr(sum_of_amounts())
        .from(ledger_entry::Entity)
        .group_by_columns([C::Account, C::Pot])
        .take()
}
