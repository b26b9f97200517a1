//! Workers from outside: their views, what may be changed of them, and messages to them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{WorkKind, WorkerId};

/// A worker in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WorkerDetailsLite)]
pub struct WorkerDetailsLite {
    /// What it does: `image`, `text` or `interrogation`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: WorkKind,
    #[allow(missing_docs)]
    pub name: String,
    #[allow(missing_docs)]
    pub id: WorkerId,
    /// It was heard of within five minutes.
    pub online: bool,
}

/// A worker. What its kind does not have, and what the viewer may not see, is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = WorkerDetails)]
#[allow(clippy::struct_excessive_bools)] // the wire format is what it is
pub struct WorkerDetails {
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub lite: WorkerDetailsLite,
    /// Jobs delivered.
    pub requests_fulfilled: i64,
    /// Kudos earned in all.
    pub kudos_rewards: f64,
    /// What they were earned with.
    pub kudos_details: WorkerKudosDetails,
    /// How fast it is, in words that begin with a number.
    pub performance: String,
    /// Jobs that it runs at once.
    pub threads: u32,
    /// Seconds online.
    pub uptime: u64,
    /// It only serves its owner.
    pub maintenance_mode: bool,
    /// For moderators: it gets no real jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What its owner says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// It takes requests that may be unsafe for work.
    pub nsfw: bool,
    /// For moderators, or if the owner wants it: whose it is, `name#id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// For moderators: its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipaddr: Option<String>,
    /// For moderators: how to reach its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Its owner is trusted.
    pub trusted: bool,
    /// Its owner misbehaved.
    pub flagged: bool,
    /// For moderators: how many reasons for suspicion there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspicious: Option<u32>,
    /// Jobs dropped.
    pub uncompleted_jobs: i64,
    /// The models that it serves; alchemists have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The forms that an alchemist does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forms: Option<Vec<String>>,
    /// Its team.
    pub team: TeamDetailsLite,
    /// Its software: name, version, contact.
    #[schema(
        max_length = 1000,
        example = "AI Horde Worker reGen:13.0.0:https://example.org"
    )]
    pub bridge_agent: String,
    /// The largest picture that it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
    /// The work that it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megapixelsteps_generated: Option<f64>,
    /// It starts from source images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub img2img: Option<bool>,
    /// It paints parts of source images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub painting: Option<bool>,
    /// It post-processes.
    #[serde(rename = "post-processing", default, skip_serializing_if = "Option::is_none")]
    pub post_processing: Option<bool>,
    /// It loads `LoRAs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<bool>,
    /// It knows control types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controlnet: Option<bool>,
    /// It knows control types for SDXL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdxl_controlnet: Option<bool>,
    /// The longest text that it writes, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// The longest text that it goes on from, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_context_length: Option<u32>,
    /// For moderators, or if the owner wants it: what it is told at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<WorkerMessageDetails>>,
}

/// What a worker earned, by what it was earned with; null until it earned something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = WorkerKudosDetails)]
pub struct WorkerKudosDetails {
    /// Pictures and texts.
    pub generated: Option<f64>,
    /// Being there.
    pub uptime: Option<i64>,
}

/// A team in short; null for a worker without one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TeamDetailsLite)]
#[allow(missing_docs)]
pub struct TeamDetailsLite {
    pub name: Option<String>,
    pub id: Option<Uuid>,
}

/// The body of `PUT /workers/{id}`. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModifyWorkerInput)]
#[serde(default)]
pub struct ModifyWorkerInput {
    /// Only serve the owner, or everybody again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<bool>,
    /// What the worker is told in maintenance, cut to 300 characters. Only together with `maintenance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_msg: Option<String>,
    /// Give it no real jobs. For moderators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What its owner says about it; empty for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub info: Option<String>,
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 5, max_length = 100)]
    pub name: Option<String>,
    /// The id of a team to join; empty to leave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 36)]
    pub team: Option<String>,
}

/// What became of a worker: one member for each change that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModifyWorker)]
#[serde(default)]
#[allow(missing_docs)] // see the body
pub struct ModifyWorker {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The team's name, or `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// A worker is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeletedWorker)]
#[allow(missing_docs)]
pub struct DeletedWorker {
    pub deleted_id: WorkerId,
    pub deleted_name: String,
}

/// The body of `POST /workers/messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WorkerMessageInput)]
pub struct WorkerMessageInput {
    /// The worker. Only moderators may leave it out: then it is for all workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 36,
        max_length = 36,
        example = "00000000-0000-0000-0000-000000000000"
    )]
    pub worker_id: Option<String>,
    /// The text.
    #[schema(min_length = 1, max_length = 10_240, example = "Hello worker!")]
    pub message: String,
    /// In whose name. For moderators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    pub origin: Option<String>,
    /// Hours for which it is delivered; 12 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 720, default = 12)]
    pub expiry: Option<u32>,
}

/// A message to one worker or to all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponseModelMessage)]
pub struct WorkerMessageDetails {
    /// Its id; absent in a worker's view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The worker; absent if it is for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<WorkerId>,
    /// The number of its author, as text.
    pub user_id: String,
    /// The text.
    pub message: String,
    /// In whose name.
    pub origin: String,
    /// RFC 822 date until which it is delivered.
    pub expiry: String,
    /// RFC 822 date of its creation.
    pub created: String,
}
