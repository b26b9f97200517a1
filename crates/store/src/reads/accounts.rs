//! Reading accounts.

use muster_protocol::{Kudos, UserId};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Select,
    sea_query::{ExprTrait as _, Query},
};

use crate::{
    Account, AccountOrder, ApiKeyHash, Balances, Page, Pot, Role, Roles, Store, StoreError, UserRecord,
    UserTotal,
    entity::{api_key, balance, user},
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

/// What the rows of an account's pots say.
fn balances_from<'a>(rows: impl IntoIterator<Item = &'a balance::Model>) -> Balances {
    let mut balances = Balances::default();
    for row in rows {
        let amount = Kudos::from_hundredths(row.amount);
        match Pot::from_repr(row.pot) {
            Some(Pot::Spendable) => balances.spendable = amount,
            Some(Pot::Escrow) => balances.escrow = amount,
            Some(Pot::Held) => balances.held = amount,
            None => {}
        }
    }
    balances
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

    /// An account by its number, unless it was wiped.
    pub async fn account(&self, user: UserId) -> Result<Option<Account>, StoreError> {
        let unless_wiped = user::Column::Wiped.eq(false);
        self.one_account(user::Entity::find_by_id(user.0).filter(unless_wiped))
            .await
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
        Ok(balances_from(&rows))
    }

    /// A page of the accounts that were not wiped.
    pub async fn account_page(&self, order: AccountOrder, page: Page) -> Result<Vec<Account>, StoreError> {
        let ids = match order {
            AccountOrder::Richest => self.richest(page).await?,
            AccountOrder::Oldest => self.oldest(page).await?,
        };
        let rows = user::Entity::find()
            .filter(user::Column::Id.is_in(ids.iter().copied()))
            .all(self.reader())
            .await?;
        let amounts = balance::Entity::find()
            .filter(balance::Column::Account.is_in(ids.iter().copied()))
            .all(self.reader())
            .await?;
        let mut accounts: Vec<Account> = rows
            .into_iter()
            .map(|row| {
                let balances = balances_from(amounts.iter().filter(|amount| amount.account == row.id));
                account_from(row, balances)
            })
            .collect::<Result<_, _>>()?;
        accounts.sort_by_key(|account| ids.iter().position(|id| *id == account.id.0));
        Ok(accounts)
    }

    /// Read from the index of balances alone. Those that were wiped are few.
    async fn richest(&self, page: Page) -> Result<Vec<i64>, StoreError> {
        use balance::Column as C;
        let wiped = Query::select()
            .column(user::Column::Id)
            .from(user::Entity)
            .and_where(user::Column::Wiped.eq(true))
            .take();
        Ok(balance::Entity::find()
            .select_only()
            .column(C::Account)
            .filter(C::Pot.eq(Pot::Spendable as i16))
            .filter(C::Account.gte(0))
            .filter(C::Account.not_in_subquery(wiped))
            .order_by_desc(C::Amount)
            .order_by_asc(C::Account)
            .offset(page.offset)
            .limit(page.limit)
            .into_tuple()
            .all(self.reader())
            .await?)
    }

    /// Numbers are given in the order of registration.
    async fn oldest(&self, page: Page) -> Result<Vec<i64>, StoreError> {
        Ok(user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .filter(user::Column::Wiped.eq(false))
            .order_by_asc(user::Column::Id)
            .offset(page.offset)
            .limit(page.limit)
            .into_tuple()
            .all(self.reader())
            .await?)
    }

    /// The accounts that get kudos every month: stored ones, moderators, and those named.
    pub async fn accounts_with_income(&self, others: &[UserId]) -> Result<Vec<Account>, StoreError> {
        let moderator = Role::Moderator as i32;
        let condition = Condition::any()
            .add(user::Column::MonthlyKudos.gt(0))
            .add(user::Column::Roles.into_expr().bit_and(moderator).ne(0))
            .add(user::Column::Id.is_in(others.iter().map(|user| user.0)));
        let rows = user::Entity::find()
            .filter(condition)
            .filter(user::Column::Wiped.eq(false))
            .order_by_asc(user::Column::Id)
            .all(self.reader())
            .await?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows {
            let balances = self.balances(UserId(row.id)).await?;
            accounts.push(account_from(row, balances)?);
        }
        Ok(accounts)
    }

    /// An account's action totals; those that never moved are missing.
    pub async fn user_totals(&self, user: UserId) -> Result<Vec<UserTotal>, StoreError> {
        let facts = self.account_facts(&[user]).await?.remove(&user);
        Ok(facts.unwrap_or_default().totals)
    }

    /// An account's records; those that never moved are missing.
    pub async fn user_records(&self, user: UserId) -> Result<Vec<UserRecord>, StoreError> {
        let facts = self.account_facts(&[user]).await?.remove(&user);
        Ok(facts.unwrap_or_default().records)
    }

    async fn one_account(&self, select: Select<user::Entity>) -> Result<Option<Account>, StoreError> {
        let Some(row) = select.one(self.reader()).await? else {
            return Ok(None);
        };
        let balances = self.balances(UserId(row.id)).await?;
        account_from(row, balances).map(Some)
    }
}
