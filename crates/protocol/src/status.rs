//! The state of the horde as a whole.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to `GET /status/heartbeat`. Other servers may tell less than ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Heartbeat {
    /// `OK`, or `DOWN` if the database does not answer.
    #[schema(example = "OK")]
    pub message: String,
    /// Version of the server software.
    pub version: String,
    /// Requests that wait to be looked at: none, they are looked at as they come.
    #[serde(default)]
    #[schema(required = true)]
    pub queue: u64,
    /// Threads that serve requests.
    #[serde(default)]
    #[schema(required = true)]
    pub threads: u64,
    /// Requests that are being served, this one left out.
    #[serde(default)]
    #[schema(required = true)]
    pub active_count: u64,
    /// Whether the database answers.
    #[serde(default)]
    #[schema(required = true)]
    pub db_connection: bool,
}

/// How busy the horde is. Workers and their threads are those of the last five minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HordePerformance {
    /// Jobs for pictures that wait or are in progress.
    pub queued_requests: u64,
    /// Jobs for texts that wait or are in progress.
    pub queued_text_requests: u64,
    /// Workers that make pictures.
    pub worker_count: u64,
    /// Workers that write texts.
    pub text_worker_count: u64,
    /// Threads of the workers that make pictures.
    pub thread_count: u64,
    /// Threads of the workers that write texts.
    pub text_thread_count: u64,
    /// Work in the pictures that wait or are in progress: pixels times steps, in millions.
    pub queued_megapixelsteps: f64,
    /// The same that was done in the last minute.
    pub past_minute_megapixelsteps: f64,
    /// Alchemy forms that wait or are in progress.
    pub queued_forms: f64,
    /// Workers that do alchemy.
    pub interrogator_count: u64,
    /// Their threads.
    pub interrogator_thread_count: u64,
    /// Tokens of the texts that wait or are in progress.
    pub queued_tokens: f64,
    /// Tokens that were written in the last minute.
    pub past_minute_tokens: f64,
}

/// A model that somebody serves or that is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActiveModel {
    /// How fast it is on average: pixelsteps or tokens a second and job, in the last hour.
    pub performance: f64,
    /// Work that waits for it or is in progress: pixelsteps or tokens.
    pub queued: f64,
    /// Jobs that wait for it or are in progress. A request that names several models counts for each.
    pub jobs: f64,
    /// Seconds until all of that is done; 10000 if nobody serves it.
    pub eta: i64,
    /// What it makes.
    #[serde(rename = "type")]
    pub kind: ActiveModelKind,
    /// Its name.
    pub name: String,
    /// Threads of workers that serve it.
    pub count: u64,
}

/// What a model makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::AsRefStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[allow(missing_docs)] // the names say it
pub enum ActiveModelKind {
    Image,
    Text,
}

/// The modes of the horde; those that are absent are not told, or not switched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[allow(clippy::struct_field_names)] // the names are the contract
pub struct HordeModes {
    /// No new requests; what waits is stopped, and jobs in progress are finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_mode: Option<bool>,
    /// New workers only of accounts that were invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite_only_mode: Option<bool>,
    /// The horde is under attack: strangers may do less, and are told less. For moderators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raid_mode: Option<bool>,
}

/// The body of `POST /dev/test-user`. Every member is optional.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TestUserInput {
    /// Display name.
    #[serde(default = "test_user_name")]
    #[schema(default = "test_user")]
    pub username: String,
    /// Which account: the same id gives the same account with a new key.
    #[serde(default = "test_user_id")]
    #[schema(default = "ci_test_user")]
    pub oauth_id: String,
    /// Make it a moderator, which also makes it trusted.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = true)]
    pub moderator: bool,
    /// Make it trusted.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = true)]
    pub trusted: bool,
    /// Set the balance to this; null leaves it alone.
    #[serde(default = "test_user_kudos")]
    #[schema(default = 10_000, minimum = 0)]
    pub kudos: Option<i64>,
}

impl Default for TestUserInput {
    fn default() -> Self {
        Self {
            username: test_user_name(),
            oauth_id: test_user_id(),
            moderator: true,
            trusted: true,
            kudos: test_user_kudos(),
        }
    }
}

fn test_user_name() -> String {
    "test_user".to_owned()
}

fn test_user_id() -> String {
    "ci_test_user".to_owned()
}

#[allow(clippy::unnecessary_wraps)] // serde wants the type of the field
fn test_user_kudos() -> Option<i64> {
    Some(10_000)
}

/// The answer to `POST /dev/test-user`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestUser {
    /// The key, shown this once.
    pub api_key: String,
    /// The number of the account, as text.
    pub user_id: String,
    #[allow(missing_docs)]
    pub username: String,
    /// `name#id`.
    pub alias: String,
    /// The balance in whole kudos.
    pub kudos: f64,
    #[allow(missing_docs)]
    pub trusted: bool,
    #[allow(missing_docs)]
    pub moderator: bool,
    /// Whether the account is new.
    pub created: bool,
}
