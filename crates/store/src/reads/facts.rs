//! What is told of accounts beside their rows, for many at once.

use std::collections::HashMap;

use muster_protocol::{Kudos, UserId, WorkKind};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::ExprTrait as _,
};
use uuid::Uuid;

use crate::{
    KudosAction, RecordKind, Store, StoreError, UserRecord, UserTotal, codes,
    entity::{shared_key, style, user, user_record, user_total},
    sql::lists,
};

/// What is told of an account beside its row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountFacts {
    /// What moved its kudos; totals that never moved are missing.
    pub totals: Vec<UserTotal>,
    /// What it requested and delivered; records that never moved are missing.
    pub records: Vec<UserRecord>,
    /// Its styles, oldest first.
    pub styles: Vec<OwnStyle>,
    /// Its shared keys, oldest first.
    pub shared_keys: Vec<Uuid>,
}

/// A style in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnStyle {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// For which kind of work.
    pub kind: WorkKind,
    /// Whether it is listed.
    pub public: bool,
}

impl Store {
    /// What is told of accounts. Those of which there is nothing to tell are missing.
    pub async fn account_facts(&self, users: &[UserId]) -> Result<HashMap<UserId, AccountFacts>, StoreError> {
        let mut facts: HashMap<UserId, AccountFacts> = HashMap::new();
        for ids in lists(users.iter().map(|user| user.0)) {
            self.read_totals(&ids, &mut facts).await?;
            self.read_records(&ids, &mut facts).await?;
            self.read_styles_in_short(&ids, &mut facts).await?;
            let keys: Vec<(i64, Uuid)> = shared_key::Entity::find()
                .select_only()
                .columns([shared_key::Column::Owner, shared_key::Column::Id])
                .filter(shared_key::Column::Owner.is_in(ids))
                .order_by_asc(shared_key::Column::Created)
                .order_by_asc(shared_key::Column::Id)
                .into_tuple()
                .all(self.reader())
                .await?;
            for (owner, key) in keys {
                facts.entry(UserId(owner)).or_default().shared_keys.push(key);
            }
        }
        Ok(facts)
    }

    async fn read_totals(
        &self,
        ids: &[sea_orm::Value],
        facts: &mut HashMap<UserId, AccountFacts>,
    ) -> Result<(), StoreError> {
        let rows = user_total::Entity::find()
            .filter(user_total::Column::UserId.is_in(ids.iter().cloned()))
            .order_by_asc(user_total::Column::Action)
            .all(self.reader())
            .await?;
        for row in rows {
            let action = KudosAction::from_repr(row.action).ok_or_else(|| StoreError::Corrupt {
                table: "user_totals",
                what: format!("{} is no action", row.action),
            })?;
            facts
                .entry(UserId(row.user_id))
                .or_default()
                .totals
                .push(UserTotal {
                    action,
                    amount: Kudos::from_hundredths(row.amount),
                });
        }
        Ok(())
    }

    async fn read_records(
        &self,
        ids: &[sea_orm::Value],
        facts: &mut HashMap<UserId, AccountFacts>,
    ) -> Result<(), StoreError> {
        let rows = user_record::Entity::find()
            .filter(user_record::Column::UserId.is_in(ids.iter().cloned()))
            .order_by_asc(user_record::Column::Record)
            .order_by_asc(user_record::Column::Kind)
            .all(self.reader())
            .await?;
        for row in rows {
            let record = RecordKind::from_repr(row.record).ok_or_else(|| StoreError::Corrupt {
                table: "user_records",
                what: format!("{} is no record", row.record),
            })?;
            facts
                .entry(UserId(row.user_id))
                .or_default()
                .records
                .push(UserRecord {
                    record,
                    kind: codes::kind_from_code(row.kind, "user_records")?,
                    amount: Kudos::from_hundredths(row.amount).to_f64(),
                });
        }
        Ok(())
    }

    async fn read_styles_in_short(
        &self,
        ids: &[sea_orm::Value],
        facts: &mut HashMap<UserId, AccountFacts>,
    ) -> Result<(), StoreError> {
        use style::Column as C;
        let rows: Vec<(i64, Uuid, String, i16, bool)> = style::Entity::find()
            .select_only()
            .columns([C::Owner, C::Id, C::Name, C::Kind, C::Public])
            .filter(C::Owner.is_in(ids.iter().cloned()))
            .order_by_asc(C::Created)
            .order_by_asc(C::Id)
            .into_tuple()
            .all(self.reader())
            .await?;
        for (owner, id, name, kind, public) in rows {
            let kind = codes::kind_from_code(kind, "styles")?;
            facts.entry(UserId(owner)).or_default().styles.push(OwnStyle {
                id,
                name,
                kind,
                public,
            });
        }
        Ok(())
    }

    /// The passkeys of accounts that are neither flagged nor wiped, and whose they are.
    pub async fn passkeys(&self) -> Result<Vec<(String, UserId)>, StoreError> {
        let flagged = crate::Role::Flagged as i32;
        let keys: Vec<(Option<String>, i64)> = user::Entity::find()
            .select_only()
            .columns([user::Column::ProxyPasskey, user::Column::Id])
            .filter(user::Column::ProxyPasskey.is_not_null())
            .filter(user::Column::Roles.into_expr().bit_and(flagged).eq(0))
            .into_tuple()
            .all(self.reader())
            .await?;
        let known = |(key, owner): (Option<String>, i64)| Some((key?, UserId(owner)));
        Ok(keys.into_iter().filter_map(known).collect())
    }
}
