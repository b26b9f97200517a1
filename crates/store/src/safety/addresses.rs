//! Addresses and networks that are blocked or suspected for a while.

use std::time::Duration;

use muster_protocol::Timestamp;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _,
    sea_query::{ExprTrait as _, OnConflict},
};

use crate::{Journal, JournalError, Store, StoreError, entity::ip_block};

/// What is held against an address or a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMark {
    /// An address, or a network in CIDR notation.
    pub address: String,
    /// Until when it is blocked, if it is or was.
    pub blocked_until: Option<Timestamp>,
    /// How often it was reported, and until when that is remembered.
    pub suspicion: Option<(u32, Timestamp)>,
}

impl AddressMark {
    fn from_row(row: ip_block::Model) -> Self {
        let suspicion = row.suspect_until.map(|until| (row.suspicion, until));
        Self {
            address: row.address,
            blocked_until: row.blocked_until.map(Timestamp::from),
            suspicion: suspicion.map(|(count, until)| (count.unsigned_abs(), until.into())),
        }
    }
}

/// What follows from a report of an address.
#[derive(Clone, Copy, Debug)]
pub struct Rebuke {
    /// How long reports are remembered after the last one.
    pub memory: Duration,
    /// How long the address is blocked if it was reported so many times before.
    pub block: fn(u32) -> Duration,
}

impl Store {
    /// What is held against addresses at a moment.
    pub async fn address_marks(&self, now: Timestamp) -> Result<Vec<AddressMark>, StoreError> {
        use ip_block::Column as C;
        let now = now.to_datetime();
        let rows = ip_block::Entity::find()
            .filter(
                Condition::any()
                    .add(C::BlockedUntil.gt(now))
                    .add(C::SuspectUntil.gt(now)),
            )
            .all(self.reader())
            .await?;
        Ok(rows.into_iter().map(AddressMark::from_row).collect())
    }
}

impl Journal {
    /// Blocks an address or a network, in place of any block that it has.
    pub async fn block_address(
        &self,
        address: String,
        until: Timestamp,
    ) -> Result<AddressMark, JournalError> {
        self.write(move |tx| {
            let address = address.clone();
            Box::pin(async move {
                let mut row = found(tx, &address).await?;
                row.blocked_until = Some(until.to_datetime());
                replace(tx, row).await
            })
        })
        .await
    }

    /// Reports an address, which blocks it for a while, in place of any block that it has.
    pub async fn report_address(
        &self,
        address: String,
        rebuke: Rebuke,
        now: Timestamp,
    ) -> Result<AddressMark, JournalError> {
        self.write(move |tx| {
            let address = address.clone();
            Box::pin(async move {
                let mut row = found(tx, &address).await?;
                let remembered = row.suspect_until.is_some_and(|until| until > now.to_datetime());
                let before = if remembered { row.suspicion } else { 0 };
                row.suspicion = before.saturating_add(1);
                row.suspect_until = Some((now + rebuke.memory).to_datetime());
                row.blocked_until = Some((now + (rebuke.block)(before.unsigned_abs())).to_datetime());
                replace(tx, row).await
            })
        })
        .await
    }

    /// Forgets what is held against an address or a network.
    pub async fn forgive_address(&self, address: String) -> Result<(), JournalError> {
        self.write(move |tx| {
            let address = address.clone();
            Box::pin(async move {
                ip_block::Entity::delete_by_id(address).exec(tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// Forgets what is over.
    pub async fn prune_addresses(&self, now: Timestamp) -> Result<u64, JournalError> {
        self.write(move |tx| {
            Box::pin(async move {
                use ip_block::Column as C;
                let now = now.to_datetime();
                let over = |column: C| column.is_null().or(column.lte(now));
                let pruned = ip_block::Entity::delete_many()
                    .filter(over(C::BlockedUntil))
                    .filter(over(C::SuspectUntil))
                    .exec(tx)
                    .await?;
                Ok(pruned.rows_affected)
            })
        })
        .await
    }
}

async fn found(tx: &DatabaseTransaction, address: &str) -> Result<ip_block::Model, DbErr> {
    let row = ip_block::Entity::find_by_id(address).one(tx).await?;
    Ok(row.unwrap_or_else(|| ip_block::Model {
        address: address.to_owned(),
        blocked_until: None,
        suspicion: 0,
        suspect_until: None,
    }))
}

async fn replace(tx: &DatabaseTransaction, row: ip_block::Model) -> Result<AddressMark, DbErr> {
    use ip_block::Column as C;
    let mut columns = row.clone().into_active_model();
    columns.address = Set(row.address.clone());
    let replace = OnConflict::column(C::Address)
        .update_columns([C::BlockedUntil, C::Suspicion, C::SuspectUntil])
        .to_owned();
    ip_block::Entity::insert(columns)
        .on_conflict(replace)
        .exec_without_returning(tx)
        .await?;
    Ok(AddressMark::from_row(row))
}
