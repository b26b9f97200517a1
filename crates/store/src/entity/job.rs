//! The table `jobs`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub request_id: Uuid,
    pub worker_id: Uuid,
    pub kind: i16,
    pub model: String,
    pub state: i16,
    pub started: DateTimeUtc,
    pub deadline: DateTimeUtc,
    pub seed: i64,
    pub result: Option<String>,
    pub gen_metadata: Option<Json>,
    pub censored: bool,
    pub fake: bool,
    pub reward: Option<i64>,
    pub finished_at: Option<DateTimeUtc>,
    pub payload: Option<Json>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// All columns, in the order in which they are written and read by position.
pub(crate) const COLUMNS: [Column; 16] = {
    use Column as C;
    [
        C::Id,
        C::RequestId,
        C::WorkerId,
        C::Kind,
        C::Model,
        C::State,
        C::Started,
        C::Deadline,
        C::Seed,
        C::Result,
        C::GenMetadata,
        C::Censored,
        C::Fake,
        C::Reward,
        C::FinishedAt,
        C::Payload,
    ]
};
