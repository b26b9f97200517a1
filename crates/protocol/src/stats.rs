//! Statistics of the whole horde: `stats/*`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Pictures that were made or given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SinglePeriodImgStat)]
pub struct ImageStats {
    /// How many.
    pub images: u64,
    /// Width times height times steps, as asked for, of all of them.
    pub ps: u64,
}

/// Texts that were written or given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SinglePeriodTxtStat)]
pub struct TextStats {
    /// How many.
    pub requests: u64,
    /// Tokens asked for, of all of them.
    pub tokens: u64,
}

/// What was done of pictures in the periods that end now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatsImgTotals)]
pub struct ImageTotals {
    /// The last minute.
    pub minute: ImageStats,
    /// The last hour.
    pub hour: ImageStats,
    /// The last 24 hours.
    pub day: ImageStats,
    /// The last 30 days.
    pub month: ImageStats,
    /// All time.
    pub total: ImageStats,
}

/// What was done of texts in the periods that end now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatsTxtTotals)]
pub struct TextTotals {
    /// The last minute.
    pub minute: TextStats,
    /// The last hour.
    pub hour: TextStats,
    /// The last 24 hours.
    pub day: TextStats,
    /// The last 30 days.
    pub month: TextStats,
    /// All time.
    pub total: TextStats,
}

/// Jobs for each model. Every model is in all three, with 0 where there were none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImgModelStats)]
pub struct ModelStats {
    /// The last 24 hours.
    #[schema(value_type = Object)]
    pub day: BTreeMap<String, u64>,
    /// The last 30 days.
    #[schema(value_type = Object)]
    pub month: BTreeMap<String, u64>,
    /// All time.
    #[schema(value_type = Object)]
    pub total: BTreeMap<String, u64>,
}
