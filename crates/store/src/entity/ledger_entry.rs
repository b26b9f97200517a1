//! The table `kudos_ledger`: every movement, for ever.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "kudos_ledger")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub event: String,
    pub leg: i16,
    pub kind: i16,
    pub account: i64,
    pub pot: i16,
    pub amount: i64,
    pub created: DateTimeUtc,
    pub request_id: Option<Uuid>,
    pub job_id: Option<Uuid>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
