//! Reading accounts.

use muster_protocol::{Kudos, UserId};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

use crate::{
    Account, ApiKeyHash, Balances, KudosAction, Pot, RecordKind, Roles, Store, StoreError, UserRecord,
    UserTotal, codes,
    entity::{api_key, balance, user, user_record, user_total},
};

/// An account from its row and balances.
pub(crate) fn account_from(row: user::Model, balances: Balances) -> Result<Account, StoreError> {
    let suspicions = serde_json::from_value(row.suspicions).map_err(|error| StoreError::Corrupt {
        table: "users",
        what: format!("suspicions: {error}"),
    })?;
    Ok(Account {
        id: UserId(row.id),
        username: row.username,
        external_id: row.external_id,
        created: row.created.into(),
        last_active: row.last_active.into(),
        contact: row.contact,
        admin_comment: row.admin_comment,
        proxy_passkey: row.proxy_passkey,
        monthly_kudos: Kudos::from_hundredths(row.monthly_kudos),
        monthly_kudos_received: row.monthly_kudos_received.map(Into::into),
        usage_multiplier: row.usage_multiplier,
        worker_invited: row.worker_invited,
        public_workers: row.public_workers,
        concurrency: row.concurrency,
        roles: Roles::from_bits(row.roles),
        suspicions,
        balances,
    })
}

impl Store {
    /// The account that a key belongs to.
    pub async fn account_by_key(&self, hash: &ApiKeyHash) -> Result<Option<Account>, StoreError> {
        let key = api_key::Entity::find_by_id(hash.as_str())
            .one(self.reader())
            .await?;
        match key {
            Some(key) => self.account(UserId(key.user_id)).await,
            None => Ok(None),
        }
    }

    /// An account by its number.
    pub async fn account(&self, user: UserId) -> Result<Option<Account>, StoreError> {
        self.one_account(user::Entity::find_by_id(user.0)).await
    }

    /// An account by what the login provider calls it.
    pub async fn account_by_external_id(&self, external_id: &str) -> Result<Option<Account>, StoreError> {
        self.one_account(user::Entity::find().filter(user::Column::ExternalId.eq(external_id)))
            .await
    }

    /// Whether anybody has registered yet (the anonymous account does not count).
    pub async fn has_accounts(&self) -> Result<bool, StoreError> {
        let first = user::Entity::find()
            .filter(user::Column::Id.gt(0))
            .one(self.reader())
            .await?;
        Ok(first.is_some())
    }

    /// Accounts in the order of their numbers: at most `limit` after `after`.
    pub async fn accounts(&self, after: UserId, limit: u64) -> Result<Vec<Account>, StoreError> {
        let rows = user::Entity::find()
            .filter(user::Column::Id.gt(after.0))
            .order_by_asc(user::Column::Id)
            .limit(limit)
            .all(self.reader())
            .await?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows {
            let balances = self.balances(UserId(row.id)).await?;
            accounts.push(account_from(row, balances)?);
        }
        Ok(accounts)
    }

    /// What an account has; nothing if it does not exist.
    pub async fn balances(&self, user: UserId) -> Result<Balances, StoreError> {
        let rows = balance::Entity::find()
            .filter(balance::Column::Account.eq(user.0))
            .all(self.reader())
            .await?;
        let amount = |pot: Pot| {
            let row = rows.iter().find(|row| row.pot == pot as i16);
            Kudos::from_hundredths(row.map_or(0, |row| row.amount))
        };
        Ok(Balances {
            spendable: amount(Pot::Spendable),
            escrow: amount(Pot::Escrow),
            held: amount(Pot::Held),
        })
    }

    /// The users with most to spend, richest first.
    pub async fn leaderboard(&self, limit: u64) -> Result<Vec<(UserId, Kudos)>, StoreError> {
        let rows = balance::Entity::find()
            .filter(balance::Column::Pot.eq(Pot::Spendable as i16))
            .filter(balance::Column::Account.gte(0))
            .order_by_desc(balance::Column::Amount)
            .limit(limit)
            .all(self.reader())
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (UserId(row.account), Kudos::from_hundredths(row.amount)))
            .collect())
    }

    /// An account's action totals; those that never moved are missing.
    pub async fn user_totals(&self, user: UserId) -> Result<Vec<UserTotal>, StoreError> {
        let rows = user_total::Entity::find()
            .filter(user_total::Column::UserId.eq(user.0))
            .order_by_asc(user_total::Column::Action)
            .all(self.reader())
            .await?;
        rows.into_iter()
            .map(|row| {
                let action = KudosAction::from_repr(row.action).ok_or_else(|| StoreError::Corrupt {
                    table: "user_totals",
                    what: format!("{} is no action", row.action),
                })?;
                Ok(UserTotal {
                    action,
                    amount: Kudos::from_hundredths(row.amount),
                })
            })
            .collect()
    }

    /// An account's records; those that never moved are missing.
    pub async fn user_records(&self, user: UserId) -> Result<Vec<UserRecord>, StoreError> {
        let rows = user_record::Entity::find()
            .filter(user_record::Column::UserId.eq(user.0))
            .order_by_asc(user_record::Column::Record)
            .order_by_asc(user_record::Column::Kind)
            .all(self.reader())
            .await?;
        rows.into_iter()
            .map(|row| {
                let record = RecordKind::from_repr(row.record).ok_or_else(|| StoreError::Corrupt {
                    table: "user_records",
                    what: format!("{} is no record", row.record),
                })?;
                let kind = codes::kind_from_code(row.kind, "user_records")?;
                Ok(UserRecord {
                    record,
                    kind,
                    amount: Kudos::from_hundredths(row.amount).to_f64(),
                })
            })
            .collect()
    }

    async fn one_account(&self, select: Select<user::Entity>) -> Result<Option<Account>, StoreError> {
        let Some(row) = select.one(self.reader()).await? else {
            return Ok(None);
        };
        let balances = self.balances(UserId(row.id)).await?;
        account_from(row, balances).map(Some)
    }
}
