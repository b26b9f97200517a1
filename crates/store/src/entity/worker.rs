//! The table `workers`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "workers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: i16,
    pub owner: i64,
    pub name: String,
    pub created: DateTimeUtc,
    pub info: Option<String>,
    pub team: Option<Uuid>,
    pub paused: bool,
    pub maintenance: bool,
    pub maintenance_message: Option<String>,
    pub suspicions: Json,
    pub ip: Option<String>,
    pub bridge_agent: String,
    pub threads: i32,
    pub max_power: i32,
    pub extra_slow: bool,
    pub allow_unsafe_ip: bool,
    pub speed: Option<f64>,
    pub last_check_in: DateTimeUtc,
    pub uptime: i64,
    pub last_reward_uptime: i64,
    pub aborted_jobs: i32,
    pub last_aborted_job: Option<DateTimeUtc>,
    pub settings: Json,
    pub kudos: i64,
    pub kudos_generated: i64,
    pub kudos_uptime: i64,
    pub kudos_interrogated: i64,
    pub contributions: i64,
    pub fulfilments: i64,
    pub uncompleted_jobs: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
