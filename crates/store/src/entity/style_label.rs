//! The table `style_labels`: the tags and models of styles.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "style_labels")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub style: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub label_kind: i16,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i16,
    pub label: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
