//! The table `teams`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "teams")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub name_key: String,
    pub info: Option<String>,
    pub owner: i64,
    pub created: DateTimeUtc,
    pub last_active: DateTimeUtc,
    pub contributions: i64,
    pub fulfilments: i64,
    pub kudos: i64,
    pub uptime: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
