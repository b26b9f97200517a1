//! Shared keys: keys that stand in for their owner's, with a budget of their own.

use muster_protocol::{Kudos, RequestId, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::Set,
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::unless_there;
use crate::{
    Journal, JournalError, Store, StoreError,
    entity::{request, shared_key, style},
};

/// A key that stands in for its owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedKey {
    /// The key itself: whoever knows it may use it.
    pub id: Uuid,
    /// Who pays.
    pub owner: UserId,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What may still be spent through it; [`SharedKey::UNLIMITED`]: anything.
    pub kudos: Kudos,
    /// What was spent through it.
    pub utilized: Kudos,
    /// When it ends.
    pub expiry: Option<Timestamp>,
    /// The largest picture in pixels; negative: any.
    pub max_image_pixels: i64,
    /// The most steps of a picture; negative: any.
    pub max_image_steps: i64,
    /// The longest text in tokens; negative: any.
    pub max_text_tokens: i64,
    /// When it was made.
    pub created: Timestamp,
}

impl SharedKey {
    /// The budget of a key without one.
    pub const UNLIMITED: Kudos = Kudos::from_whole(-1);

    /// Whether it can spend without limit.
    pub fn is_unlimited(&self) -> bool {
        self.kudos < Kudos::ZERO
    }

    /// Whether nothing can be spent through it any more. What is told as nothing is nothing.
    pub fn is_empty(&self) -> bool {
        !self.is_unlimited() && self.kudos.rounded() == 0
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expiry.is_some_and(|expiry| expiry <= now)
    }

    fn from_row(row: shared_key::Model) -> Self {
        Self {
            id: row.id,
            owner: UserId(row.owner),
            name: row.name,
            kudos: Kudos::from_hundredths(row.kudos),
            utilized: Kudos::from_hundredths(row.utilized),
            expiry: row.expiry.map(Into::into),
            max_image_pixels: row.max_image_pixels,
            max_image_steps: row.max_image_steps,
            max_text_tokens: row.max_text_tokens,
            created: row.created.into(),
        }
    }

    fn to_row(&self) -> shared_key::Model {
        shared_key::Model {
            id: self.id,
            owner: self.owner.0,
            name: self.name.clone(),
            kudos: self.kudos.hundredths(),
            utilized: self.utilized.hundredths(),
            expiry: self.expiry.map(Timestamp::to_datetime),
            max_image_pixels: self.max_image_pixels,
            max_image_steps: self.max_image_steps,
            max_text_tokens: self.max_text_tokens,
            created: self.created.to_datetime(),
        }
    }
}

impl Store {
    /// A shared key.
    pub async fn shared_key(&self, id: Uuid) -> Result<Option<SharedKey>, StoreError> {
        let row = shared_key::Entity::find_by_id(id).one(self.reader()).await?;
        Ok(row.map(SharedKey::from_row))
    }

    /// The shared keys of an account, oldest first.
    pub async fn shared_keys_of(&self, owner: UserId) -> Result<Vec<Uuid>, StoreError> {
        Ok(shared_key::Entity::find()
            .select_only()
            .column(shared_key::Column::Id)
            .filter(shared_key::Column::Owner.eq(owner.0))
            .order_by_asc(shared_key::Column::Created)
            .order_by_asc(shared_key::Column::Id)
            .into_tuple()
            .all(self.reader())
            .await?)
    }

    /// Whether any style spends through a shared key.
    pub async fn is_bound_to_style(&self, key: Uuid) -> Result<bool, StoreError> {
        let styles = style::Entity::find().filter(style::Column::SharedKey.eq(key));
        Ok(styles.count(self.reader()).await? > 0)
    }

    /// The requests that came with a shared key and are still kept.
    pub async fn requests_of_shared_key(&self, key: Uuid) -> Result<Vec<RequestId>, StoreError> {
        let ids: Vec<Uuid> = request::Entity::find()
            .select_only()
            .column(request::Column::Id)
            .filter(request::Column::SharedKeyId.eq(key))
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(ids.into_iter().map(RequestId).collect())
    }
}

impl Journal {
    /// Makes a shared key, unless its owner has `limit` of them; says whether it was made.
    pub async fn create_shared_key(&self, key: SharedKey, limit: u64) -> Result<bool, JournalError> {
        self.write(move |tx| {
            let row = key.to_row();
            Box::pin(async move {
                let others = shared_key::Entity::find()
                    .filter(shared_key::Column::Owner.eq(row.owner))
                    .filter(shared_key::Column::Id.ne(row.id));
                if others.count(tx).await? >= limit {
                    return Ok(false);
                }
                let there = OnConflict::column(shared_key::Column::Id).do_nothing().to_owned();
                let insert = shared_key::Entity::insert(row.into_active_model()).on_conflict(there);
                unless_there(insert.exec_without_returning(tx).await)?;
                Ok(true)
            })
        })
        .await
    }

    /// Writes what an owner may change of a shared key: all but what was used. `kudos`: the budget, if it changes.
    ///
    /// Answers the key as it is then; `None` if there is none any more.
    pub async fn change_shared_key(
        &self,
        key: SharedKey,
        kudos: Option<Kudos>,
    ) -> Result<Option<SharedKey>, JournalError> {
        self.write(move |tx| {
            let key = key.to_row();
            Box::pin(async move {
                let row = shared_key::ActiveModel {
                    id: sea_orm::ActiveValue::Unchanged(key.id),
                    name: Set(key.name),
                    kudos: kudos.map_or(sea_orm::ActiveValue::NotSet, |kudos| Set(kudos.hundredths())),
                    expiry: Set(key.expiry),
                    max_image_pixels: Set(key.max_image_pixels),
                    max_image_steps: Set(key.max_image_steps),
                    max_text_tokens: Set(key.max_text_tokens),
                    ..Default::default()
                };
                match row.update(tx).await {
                    Ok(row) => Ok(Some(SharedKey::from_row(row))),
                    Err(DbErr::RecordNotUpdated) => Ok(None),
                    Err(error) => Err(error),
                }
            })
        })
        .await
    }

    /// Deletes a shared key; no style spends through it then. Says whether there was one.
    pub async fn delete_shared_key(&self, id: Uuid) -> Result<bool, JournalError> {
        self.write(move |tx| {
            Box::pin(async move {
                unbind(tx, id).await?;
                let deleted = shared_key::Entity::delete_by_id(id).exec(tx).await?;
                Ok(deleted.rows_affected > 0)
            })
        })
        .await
    }
}

/// No style spends through the key any more.
async fn unbind(tx: &DatabaseTransaction, id: Uuid) -> Result<(), DbErr> {
    style::Entity::update_many()
        .col_expr(style::Column::SharedKey, Expr::value(None::<Uuid>))
        .filter(style::Column::SharedKey.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}
