//! `PUT /users/{id}`: what may be changed of an account, and what became of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of `PUT /users/{id}`. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModifyUserInput)]
#[serde(default)]
pub struct ModifyUserInput {
    /// Kudos to give (or, if negative, to take); fractions are dropped. For administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kudos: Option<f64>,
    /// How much more (or less) the account gets every month. An increase is paid at once. For administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_kudos: Option<i64>,
    /// Scales the account's record of usage, not what it pays. For administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.1, maximum = 10)]
    pub usage_multiplier: Option<f64>,
    /// Whether the account runs the horde's daily business. For administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderator: Option<bool>,
    /// How many generations it may have queued. For moderators, like all that follows up to `admin_comment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 500)]
    pub concurrency: Option<i32>,
    /// How many workers it may run while the horde takes new ones by invitation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_invited: Option<i32>,
    /// Whether it earns without escrow and may do more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
    /// Whether it is kept from working and from sending kudos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flagged: Option<bool>,
    /// Whether it may serve models that nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customizer: Option<bool>,
    /// Whether its workers may come from VPN addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpn: Option<bool>,
    /// Whether it calls for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<bool>,
    /// Whether it is a school; its concurrency follows, unless it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub education: Option<bool>,
    /// Whether it may use special models and payloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special: Option<bool>,
    /// Forget all reasons for suspicion, also of its workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_suspicion: Option<bool>,
    /// A note that only moderators see.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 5, max_length = 500)]
    pub admin_comment: Option<String>,
    /// Whether everybody sees which workers it runs. For the owner, like all that follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_workers: Option<bool>,
    /// A new name, without number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 3, max_length = 100)]
    pub username: Option<String>,
    /// How to reach its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 5, max_length = 500, example = "email@example.com")]
    pub contact: Option<String>,
    /// Make a passkey with which a service's proxy names whom it speaks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate_proxy_passkey: Option<bool>,
    /// Undo a scheduled deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelete: Option<bool>,
    /// Accepted for compatibility; has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filtered: Option<bool>,
}

/// What became of an account: one member for each change that was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModifyUser)]
#[serde(default)]
#[allow(missing_docs)] // see the body
pub struct ModifyUser {
    /// The balance now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_kudos: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_multiplier: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_invited: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderator: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_workers: Option<bool>,
    /// The name without number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What it gets every month by an administrator's decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_kudos: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flagged: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customizer: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpn: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub education: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special: Option<bool>,
    /// How many reasons for suspicion there are now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_suspicion: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_passkey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undeleted: Option<bool>,
}
