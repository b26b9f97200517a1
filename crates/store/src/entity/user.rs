//! The table `users`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub username: String,
    pub external_id: String,
    pub created: DateTimeUtc,
    pub last_active: DateTimeUtc,
    pub contact: Option<String>,
    pub admin_comment: Option<String>,
    pub proxy_passkey: Option<String>,
    pub monthly_kudos: i64,
    pub monthly_kudos_received: Option<DateTimeUtc>,
    pub usage_multiplier: f64,
    pub worker_invited: i32,
    pub public_workers: bool,
    pub concurrency: i32,
    pub roles: i32,
    pub suspicions: Json,
    pub wiped: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
