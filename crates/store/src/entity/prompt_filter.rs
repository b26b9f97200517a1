//! The table `prompt_filters`: what prompts must not contain.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_filters")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub regex: String,
    pub filter_type: i16,
    pub description: Option<String>,
    pub replacement: String,
    pub editor: i64,
    pub hits: i64,
    pub last_hit: Option<DateTimeUtc>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
