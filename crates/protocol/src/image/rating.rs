//! What a client sends to rate pictures: `generate/rate/{id}`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody thinks of the pictures of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AestheticsPayload)]
pub struct RatingInput {
    /// The best of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 36,
        max_length = 36,
        example = "6038971e-f0b0-4fdd-a3bb-148f561f815e"
    )]
    pub best: Option<String>,
    /// How good single ones are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rating>,
}

/// How good a picture is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AestheticRating)]
pub struct Rating {
    /// The picture.
    #[schema(
        min_length = 36,
        max_length = 36,
        example = "6038971e-f0b0-4fdd-a3bb-148f561f815e"
    )]
    pub id: String,
    /// From 1, awful, to 10.
    #[schema(minimum = 1, maximum = 10)]
    pub rating: u32,
    /// How flawed it is, from 0, not at all, to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 5)]
    pub artifacts: Option<u32>,
}
