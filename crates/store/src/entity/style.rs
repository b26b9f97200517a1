//! The table `styles`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "styles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: i16,
    pub owner: i64,
    pub name: String,
    pub info: String,
    pub prompt: String,
    pub params: Json,
    pub public: bool,
    pub nsfw: bool,
    pub examples: Json,
    pub shared_key: Option<Uuid>,
    pub use_count: i64,
    pub created: DateTimeUtc,
    pub updated: DateTimeUtc,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
