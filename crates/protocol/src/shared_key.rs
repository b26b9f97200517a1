//! Shared keys from outside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The body of `PUT /sharedkeys` and `PATCH /sharedkeys/{id}`. It is read leniently, as clients know it: numbers may
/// be texts, null is the same as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SharedKeyInput)]
#[serde(default)]
pub struct SharedKeyInput {
    /// Kudos that can be spent through the key; -1 for any amount; 5000 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1, default = 5000)]
    pub kudos: Option<i64>,
    /// Days for which it works; -1 for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1, default = -1)]
    pub expiry: Option<i64>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub name: Option<String>,
    /// The largest picture in pixels; -1 for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1, default = -1)]
    pub max_image_pixels: Option<i64>,
    /// The most steps of a picture; -1 for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1, default = -1)]
    pub max_image_steps: Option<i64>,
    /// The longest text in tokens; -1 for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -1, default = -1)]
    pub max_text_tokens: Option<i64>,
}

/// A shared key. Whoever knows its id sees all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SharedKeyDetails)]
pub struct SharedKeyDetails {
    /// The key itself.
    pub id: Uuid,
    /// Who pays, `name#id`.
    pub username: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What may still be spent through it; -1 for any amount.
    pub kudos: i64,
    /// RFC 822 date on which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<String>,
    /// What was spent through it.
    pub utilized: i64,
    /// The largest picture in pixels; -1 for any.
    pub max_image_pixels: i64,
    /// The most steps of a picture; -1 for any.
    pub max_image_steps: i64,
    /// The longest text in tokens; -1 for any.
    pub max_text_tokens: i64,
}
