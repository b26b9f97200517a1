//! News, documents, and the simplest of answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Newspiece)]
pub struct Newspiece {
    /// `YYYY-MM-DD`
    pub date_published: String,
    /// The text, in Markdown.
    pub newspiece: String,
    /// How important it is: `Information`, `Workers`, `Integration`, `Upcoming`, `Crisis` or anything else.
    pub importance: Option<String>,
    /// What it is about.
    pub tags: Option<Vec<String>>,
    #[allow(missing_docs)]
    pub title: Option<String>,
    /// Where to read more.
    pub more_info_urls: Option<Vec<String>>,
}

/// A document in the format that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = HordeDocument)]
pub struct HordeDocument {
    /// A fragment of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The same in Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub markdown: Option<String>,
}

/// It is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SimpleResponse)]
pub struct SimpleResponse {
    /// Always `OK`.
    #[schema(example = "OK")]
    pub message: String,
}

impl SimpleResponse {
    /// `OK`
    pub fn ok() -> Self {
        Self {
            message: "OK".to_owned(),
        }
    }
}
