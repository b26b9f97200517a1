//! The table `problem_jobs`: jobs whose worker found what nobody may make.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "problem_jobs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub job: Uuid,
    pub user_id: i64,
    pub ip: Option<String>,
    pub proxied_account: Option<String>,
    pub worker: Uuid,
    pub at: DateTimeUtc,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
