//! Teams from outside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::WorkerDetailsLite;

/// A team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TeamDetails)]
pub struct TeamDetails {
    #[allow(missing_docs)]
    pub name: String,
    #[allow(missing_docs)]
    pub id: Uuid,
    /// What its owner says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// Jobs that its workers delivered.
    pub requests_fulfilled: i64,
    /// Kudos that they earned.
    pub kudos: f64,
    /// Seconds that they were online.
    pub uptime: i64,
    /// Who made it, `name#id`.
    pub creator: String,
    #[allow(missing_docs)]
    pub worker_count: u32,
    /// Its workers, online or not.
    pub workers: Vec<WorkerDetailsLite>,
    /// What they serve.
    pub models: Vec<ActiveModelLite>,
}

/// How many workers serve a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ActiveModelLite)]
#[allow(missing_docs)]
pub struct ActiveModelLite {
    pub name: String,
    pub count: u32,
}

/// The body of `POST /teams`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CreateTeamInput)]
pub struct CreateTeamInput {
    /// Its name; no other team may have it.
    #[schema(min_length = 3, max_length = 100)]
    pub name: String,
    /// What its owner says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 3, max_length = 1000)]
    pub info: Option<String>,
}

/// The body of `PATCH /teams/{id}`. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModifyTeamInput)]
#[serde(default)]
pub struct ModifyTeamInput {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 3, max_length = 100)]
    pub name: Option<String>,
    /// A new description.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 3, max_length = 1000)]
    pub info: Option<String>,
}

/// What became of a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModifyTeam)]
#[allow(missing_docs)]
pub struct ModifyTeam {
    pub id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
}

/// A team is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeletedTeam)]
#[allow(missing_docs)]
pub struct DeletedTeam {
    pub deleted_id: Uuid,
    pub deleted_name: String,
}
