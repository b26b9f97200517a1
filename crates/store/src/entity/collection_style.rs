//! The table `collection_styles`: which styles are in which collections.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "collection_styles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub collection: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub style: Uuid,
    pub position: i32,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
