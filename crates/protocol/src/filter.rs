//! What prompts must not contain, from outside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FilterDetails)]
pub struct FilterDetails {
    /// Its number, as a text.
    pub id: String,
    /// What it finds: a regular expression without look-around.
    #[schema(example = "ac.*")]
    pub regex: String,
    /// What that means. 10 and 11: minors; 20: sex; others are not looked at.
    #[schema(example = 10, minimum = 10, maximum = 29)]
    pub filter_type: i64,
    /// What moderators say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What takes the place of what it finds.
    #[schema(default = "")]
    pub replacement: String,
    /// Who made or last changed it, `name#id`.
    pub user: String,
}

/// The body of `PUT /filters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PutNewFilter)]
pub struct PutNewFilter {
    /// What it finds.
    #[schema(example = "ac.*")]
    pub regex: String,
    /// What that means.
    #[schema(example = 10, minimum = 10, maximum = 29)]
    pub filter_type: i64,
    /// What to say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What takes the place of what it finds.
    #[serde(default)]
    #[schema(default = "")]
    pub replacement: String,
}

/// The body of `PATCH /filters/{id}`. What is absent, empty or zero stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PatchExistingFilter)]
#[serde(default)]
pub struct PatchExistingFilter {
    /// What it finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ac.*")]
    pub regex: Option<String>,
    /// What that means.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 10, minimum = 10, maximum = 29)]
    pub filter_type: Option<i64>,
    /// What to say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What takes the place of what it finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(default = "")]
    pub replacement: Option<String>,
}

/// How much filters find in a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FilterPromptSuspicion)]
pub struct FilterPromptSuspicion {
    /// 0 to 2, as a text; 2 is refused.
    pub suspicion: String,
    /// What they found.
    pub matches: Vec<String>,
}

/// What is asked about a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FilterPromptInput)]
pub struct FilterPromptInput {
    /// The prompt.
    pub prompt: String,
    /// Only by filters of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_type: Option<i64>,
}

/// All filters of a type as one expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FilterRegex)]
pub struct FilterRegex {
    /// The type.
    #[schema(example = 10, minimum = 10, maximum = 29)]
    pub filter_type: i64,
    /// The expression; absent if there are no such filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}
