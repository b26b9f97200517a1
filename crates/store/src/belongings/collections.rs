//! Collections: styles of one kind under one name.

use std::collections::HashMap;

use muster_protocol::{Timestamp, UserId, WorkKind};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{ListOrder, Page, name_taken, unless_there};
use crate::{
    Journal, JournalError, Store, StoreError,
    codes::{kind_from_code, kind_to_code},
    entity::{collection, collection_style},
    sql::lists,
};

/// Styles of one kind under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Its id.
    pub id: Uuid,
    /// The kind of its styles.
    pub kind: WorkKind,
    /// Who made it.
    pub owner: UserId,
    /// Its name, unique among the collections of its owner.
    pub name: String,
    /// What its owner says about it.
    pub info: String,
    /// Whether it is listed.
    pub public: bool,
    /// Its styles, each once.
    pub styles: Vec<Uuid>,
    /// How often it was used.
    pub use_count: i64,
    /// When it was made.
    pub created: Timestamp,
}

/// Which collections are listed: public ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionFilter {
    /// Only those of this kind.
    pub kind: Option<WorkKind>,
    /// In which order.
    pub order: ListOrder,
}

impl Store {
    /// A collection by its id.
    pub async fn collection(&self, id: Uuid) -> Result<Option<Collection>, StoreError> {
        let mut found = self.read_collections(collection::Entity::find_by_id(id)).await?;
        Ok(found.pop())
    }

    /// The oldest collection that has exactly this name, of one owner or of anybody.
    pub async fn collection_by_name(
        &self,
        owner: Option<UserId>,
        name: &str,
    ) -> Result<Option<Collection>, StoreError> {
        let mut select = collection::Entity::find().filter(collection::Column::Name.eq(name));
        if let Some(owner) = owner {
            select = select.filter(collection::Column::Owner.eq(owner.0));
        }
        let oldest = select
            .order_by_asc(collection::Column::Created)
            .order_by_asc(collection::Column::Id)
            .limit(1);
        Ok(self.read_collections(oldest).await?.pop())
    }

    /// A page of the public collections.
    pub async fn public_collections(
        &self,
        filter: CollectionFilter,
        page: Page,
    ) -> Result<Vec<Collection>, StoreError> {
        let mut select = collection::Entity::find().filter(collection::Column::Public.eq(true));
        if let Some(kind) = filter.kind {
            select = select.filter(collection::Column::Kind.eq(kind_to_code(kind)));
        }
        if filter.order == ListOrder::Popular {
            select = select.order_by_desc(collection::Column::UseCount);
        }
        let select = select
            .order_by_asc(collection::Column::Created)
            .order_by_asc(collection::Column::Id)
            .offset(page.offset)
            .limit(page.limit);
        self.read_collections(select).await
    }

    async fn read_collections(
        &self,
        select: Select<collection::Entity>,
    ) -> Result<Vec<Collection>, StoreError> {
        let rows = select.all(self.reader()).await?;
        let mut members: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for ids in lists(rows.iter().map(|row| row.id)) {
            let found = collection_style::Entity::find()
                .filter(collection_style::Column::Collection.is_in(ids))
                .order_by_asc(collection_style::Column::Position)
                .all(self.reader())
                .await?;
            for member in found {
                members.entry(member.collection).or_default().push(member.style);
            }
        }
        rows.into_iter()
            .map(|row| {
                Ok(Collection {
                    styles: members.remove(&row.id).unwrap_or_default(),
                    id: row.id,
                    kind: kind_from_code(row.kind, "collections")?,
                    owner: UserId(row.owner),
                    name: row.name,
                    info: row.info,
                    public: row.public,
                    use_count: row.use_count,
                    created: row.created.into(),
                })
            })
            .collect()
    }
}

impl Journal {
    /// Makes a collection, or writes one again with what was changed of it. How often it was used stays.
    ///
    /// Fails with [`JournalError::NameTaken`] if another collection of its owner has the name.
    pub async fn put_collection(&self, collection: Collection) -> Result<(), JournalError> {
        use collection::Column as C;
        let taken = name_taken(collection.name.clone());
        self.write(move |tx| {
            let collection = collection.clone();
            Box::pin(async move {
                let row = collection::Model {
                    id: collection.id,
                    kind: kind_to_code(collection.kind),
                    owner: collection.owner.0,
                    name: collection.name.clone(),
                    info: collection.info.clone(),
                    public: collection.public,
                    use_count: collection.use_count,
                    created: collection.created.to_datetime(),
                };
                let mut replace = OnConflict::column(C::Id);
                replace.update_columns([C::Name, C::Info, C::Public]);
                let insert = collection::Entity::insert(row.into_active_model()).on_conflict(replace);
                insert.exec_without_returning(tx).await?;
                put_members(tx, &collection).await
            })
        })
        .await
        .map_err(taken)
    }

    /// Deletes a collection, but not its styles; says whether there was one.
    pub async fn delete_collection(&self, id: Uuid) -> Result<bool, JournalError> {
        self.write(move |tx| {
            Box::pin(async move {
                clear_members(tx, id).await?;
                let deleted = collection::Entity::delete_by_id(id).exec(tx).await?;
                Ok(deleted.rows_affected > 0)
            })
        })
        .await
    }
}

async fn clear_members(tx: &DatabaseTransaction, collection: Uuid) -> Result<(), DbErr> {
    collection_style::Entity::delete_many()
        .filter(collection_style::Column::Collection.eq(collection))
        .exec(tx)
        .await?;
    Ok(())
}

async fn put_members(tx: &DatabaseTransaction, collection: &Collection) -> Result<(), DbErr> {
    clear_members(tx, collection.id).await?;
    let rows = (0_i32..).zip(&collection.styles).map(|(position, style)| {
        let row = collection_style::Model {
            collection: collection.id,
            style: *style,
            position,
        };
        row.into_active_model()
    });
    let rows: Vec<collection_style::ActiveModel> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    unless_there(
        collection_style::Entity::insert_many(rows)
            .exec_without_returning(tx)
            .await,
    )
}
