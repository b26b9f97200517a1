//! The table `requests`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: i16,
    pub user_id: i64,
    pub shared_key_id: Option<Uuid>,
    pub created: DateTimeUtc,
    pub expiry: DateTimeUtc,
    pub slots_left: i32,
    pub jobs_total: i32,
    pub faulted: bool,
    pub cancelled: bool,
    pub priority: i64,
    pub price: f64,
    pub consumed: i64,
    pub things: i64,
    pub client_agent: String,
    pub ip: Option<String>,
    pub webhook: Option<String>,
    pub payload: Json,
    pub updated_at: DateTimeUtc,
    pub held: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// All columns, in the order in which they are written and read by position.
pub(crate) const COLUMNS: [Column; 20] = {
    use Column as C;
    [
        C::Id,
        C::Kind,
        C::UserId,
        C::SharedKeyId,
        C::Created,
        C::Expiry,
        C::SlotsLeft,
        C::JobsTotal,
        C::Faulted,
        C::Cancelled,
        C::Priority,
        C::Price,
        C::Consumed,
        C::Things,
        C::ClientAgent,
        C::Ip,
        C::Webhook,
        C::Payload,
        C::UpdatedAt,
        C::Held,
    ]
};
