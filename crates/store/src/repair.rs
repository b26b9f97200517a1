//! Repairs of the books: entries that make up for what an [audit](crate::audit) found. Nothing is ever edited, so the
//! ledger tells what was wrong and what was done about it.

use muster_protocol::{Kudos, Timestamp};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, Func, Query},
};

use crate::{
    EventKind, Journal, JournalError, Pot, SystemAccount,
    entity::{balance, ledger_entry},
    journal::add_to_sums,
    reads::SUM_TYPE,
};

type Tx = DatabaseTransaction;

impl Journal {
    /// Brings a balance back to what its entries add up to, by two entries that explain it: what was found beyond them,
    /// which moves nothing, and the same taken back. Answers what the balance was wrong by; zero if it is right.
    pub async fn repair_balance(&self, account: i64, pot: Pot, at: Timestamp) -> Result<Kudos, JournalError> {
        self.write(move |tx| Box::pin(repair_balance(tx, account, pot, at)))
            .await
    }

    /// Closes an event whose entries do not add up to zero by one more, which the horde's treasury pays or gets.
    /// Answers what the event was wrong by; zero if it is right.
    pub async fn close_event(&self, event: String, at: Timestamp) -> Result<Kudos, JournalError> {
        self.write(move |tx| Box::pin(close_event(tx, event.clone(), at)))
            .await
    }
}

async fn repair_balance(tx: &Tx, account: i64, pot: Pot, at: Timestamp) -> Result<Kudos, DbErr> {
    use ledger_entry::Column as C;
    // The row is locked first: whoever books anything of the account changes it last.
    let stored = balance::Entity::find_by_id((account, pot as i16))
        .lock_exclusive()
        .one(tx)
        .await?;
    let sum = Query::select()
        .expr(Func::sum(Expr::col(C::Amount)).cast_as(SUM_TYPE))
        .from(ledger_entry::Entity)
        .and_where(Expr::col(C::Account).eq(account))
        .and_where(Expr::col(C::Pot).eq(pot as i16))
        .take();
    let sum = match tx.query_one(&sum).await? {
        Some(row) => row.try_get_by_index::<Option<i64>>(0)?.unwrap_or(0),
        None => 0,
    };
    let excess = stored.map_or(0, |row| row.amount) - sum;
    if excess == 0 {
        return Ok(Kudos::ZERO);
    }
    let event = format!("repair:{account}:{}:{}", pot.as_ref(), at.millis());
    let found = entry(&event, 0, (account, pot), excess, at);
    let taken_back = entry(&event, 1, (account, pot), -excess, at);
    ledger_entry::Entity::insert_many([found, taken_back])
        .exec_without_returning(tx)
        .await?;
    add_to_balance(tx, account, pot, -excess).await?;
    Ok(Kudos::from_hundredths(excess))
}

async fn close_event(tx: &Tx, event: String, at: Timestamp) -> Result<Kudos, DbErr> {
    let entries = ledger_entry::Entity::find()
        .filter(ledger_entry::Column::Event.eq(&event))
        .all(tx)
        .await?;
    let sum: i64 = entries.iter().map(|entry| entry.amount).sum();
    if sum == 0 {
        return Ok(Kudos::ZERO);
    }
    let last = entries.iter().map(|entry| entry.leg).max();
    let leg = last.map_or(0, |last| last.saturating_add(1));
    let treasury = SystemAccount::Treasury as i64;
    let closing = entry(&event, leg, (treasury, Pot::Spendable), -sum, at);
    ledger_entry::Entity::insert(closing)
        .exec_without_returning(tx)
        .await?;
    add_to_balance(tx, treasury, Pot::Spendable, -sum).await?;
    Ok(Kudos::from_hundredths(sum))
}

fn entry(
    event: &str,
    leg: i16,
    (account, pot): (i64, Pot),
    amount: i64,
    at: Timestamp,
) -> ledger_entry::ActiveModel {
    ledger_entry::ActiveModel {
        id: NotSet,
        event: Set(event.to_owned()),
        leg: Set(leg),
        kind: Set(EventKind::Reconciliation as i16),
        account: Set(account),
        pot: Set(pot as i16),
        amount: Set(amount),
        created: Set(at.to_datetime()),
        request_id: Set(None),
        job_id: Set(None),
    }
}

async fn add_to_balance(tx: &Tx, account: i64, pot: Pot, amount: i64) -> Result<(), DbErr> {
    use balance::Column as C;
    let row = [account.into(), (pot as i16).into(), amount.into()];
    add_to_sums(tx, balance::Entity, [C::Account, C::Pot, C::Amount], &[row]).await
}
