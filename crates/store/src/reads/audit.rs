//! Reads the whole ledger for an audit, from one snapshot and a page at a time.

use std::collections::HashMap;

use muster_protocol::{JobId, Kudos};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, Func, Query},
};

use super::{
    ledger::{SUM_TYPE, entry_from},
    requests::state_from,
};
use crate::{
    LedgerAudit, Pot, RecordKind, Store, StoreError,
    audit::{AuditedJob, Auditor},
    entity::{balance, job, ledger_entry, request, user_record},
};

/// Entries that are read at once.
const PAGE: u64 = 20_000;

impl Store {
    /// Proves the books, or says what is wrong with them; see [`LedgerAudit`].
    ///
    /// Reads everything from one snapshot, while others go on writing, in memory that does not grow with the ledger.
    pub async fn audit(&self) -> Result<LedgerAudit, StoreError> {
        self.audit_with(|_| {}).await
    }

    /// The same; `progress` is told from time to time how many entries were read.
    pub async fn audit_with(&self, mut progress: impl FnMut(u64) + Send) -> Result<LedgerAudit, StoreError> {
        let snapshot = self.snapshot().await?;
        let mut auditor = Auditor::new(jobs(&snapshot).await?);
        let (mut last, mut read) = (i64::MIN, 0);
        loop {
            let page = ledger_entry::Entity::find()
                .filter(ledger_entry::Column::Id.gt(last))
                .order_by_asc(ledger_entry::Column::Id)
                .limit(PAGE)
                .all(&snapshot)
                .await?;
            let Some(newest) = page.last().map(|row| row.id) else {
                break;
            };
            last = newest;
            read += page.len() as u64;
            for row in page {
                let leg = row.leg;
                auditor.read(&entry_from(row)?, leg);
            }
            auditor.turn_page();
            progress(read);
        }
        let balances = balances(&snapshot).await?;
        let promised = promised(&snapshot).await?;
        let delivered = delivered(&snapshot).await?;
        snapshot.rollback().await?;
        Ok(auditor.finish(balances, &promised, delivered))
    }
}

async fn jobs(snapshot: &DatabaseTransaction) -> Result<Vec<(JobId, AuditedJob)>, StoreError> {
    let rows: Vec<(uuid::Uuid, i16, bool)> = job::Entity::find()
        .select_only()
        .columns([job::Column::Id, job::Column::State, job::Column::Fake])
        .into_tuple()
        .all(snapshot)
        .await?;
    let job = |(id, state, fake)| {
        let state = state_from(state)?;
        Ok((JobId(id), AuditedJob { state, fake }))
    };
    rows.into_iter().map(job).collect()
}

async fn balances(snapshot: &DatabaseTransaction) -> Result<Vec<((i64, Pot), i64)>, StoreError> {
    let rows = balance::Entity::find().all(snapshot).await?;
    let pot = |row: balance::Model| {
        let pot = Pot::from_repr(row.pot).ok_or_else(|| StoreError::Corrupt {
            table: "balances",
            what: format!("{} is no pot", row.pot),
        })?;
        Ok(((row.account, pot), row.amount))
    };
    rows.into_iter().map(pot).collect()
}

async fn promised(snapshot: &DatabaseTransaction) -> Result<HashMap<i64, i64>, DbErr> {
    use request::Column as C;
    let sum = Func::sum(Expr::col(C::Held)).cast_as(SUM_TYPE);
    let query = Query::select()
        .column(C::UserId)
        .expr(sum)
        .from(request::Entity)
        .and_where(Expr::col(C::Held).ne(0_i64))
        .group_by_col(C::UserId)
        .take();
    let rows = snapshot.query_all(&query).await?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect()
}

async fn delivered(snapshot: &DatabaseTransaction) -> Result<u64, DbErr> {
    use user_record::Column as C;
    let sum = Func::sum(Expr::col(C::Amount)).cast_as(SUM_TYPE);
    let query = Query::select()
        .expr(sum)
        .from(user_record::Entity)
        .and_where(Expr::col(C::Record).eq(RecordKind::Fulfillment as i16))
        .take();
    let row = snapshot.query_one(&query).await?;
    let hundredths = row
        .map(|row| row.try_get_by_index::<Option<i64>>(0))
        .transpose()?;
    let delivered = Kudos::from_hundredths(hundredths.flatten().unwrap_or(0)).whole();
    Ok(u64::try_from(delivered).unwrap_or(0))
}
