//! Styles and collections (spec: text and styles, parts B and C): prompt templates with parameters and models, for
//! anybody to use, and sets of them.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lookup.rs` | which style or collection a name means |
//! | `template.rs` | prompts in place of placeholders |
//! | `apply.rs` | what a style makes of a request |
//! | `edit.rs`, `checks.rs` | how styles are made and changed, and which are acceptable |
//! | `examples.rs` | pictures that were made with a style |
//! | `collections.rs` | collections |
//! | `view.rs` | how styles look from outside |

mod apply;
mod checks;
mod collections;
mod edit;
mod examples;
mod lookup;
mod template;
mod view;

use muster_protocol::{ReturnCode, WorkKind};
use muster_store::ListOrder;

pub(crate) use apply::StyleUse;

use crate::{EngineError, error::Result};

/// Styles or collections on a page of a list.
const PAGE: u64 = 25;

/// Which styles are listed.
#[derive(Clone, Debug, Default)]
pub struct StyleQuery {
    /// `popular` (as if absent) or `age`.
    pub sort: Option<String>,
    /// From one.
    pub page: i64,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those with this model.
    pub model: Option<String>,
}

/// Which collections are listed.
#[derive(Clone, Debug, Default)]
pub struct CollectionQuery {
    /// `popular` (as if absent) or `age`.
    pub sort: Option<String>,
    /// From one.
    pub page: i64,
    /// `all` (as if absent), `image` or `text`.
    pub kind: Option<String>,
}

fn bad_request(message: impl Into<String>) -> EngineError {
    EngineError::refused(ReturnCode::BadRequest, message)
}

/// The refusal of a style that nobody knows.
fn unknown_style() -> EngineError {
    EngineError::refused(ReturnCode::StyleNotFound, "There is no such style.")
}

/// The refusal of a style of another kind.
fn other_kind(kind: WorkKind) -> EngineError {
    bad_request(format!("This is not a style for {kind} requests."))
}

fn order(sort: Option<&str>) -> Result<ListOrder> {
    match sort {
        None | Some("popular") => Ok(ListOrder::Popular),
        Some("age") => Ok(ListOrder::Age),
        Some(_) => Err(bad_request("sort is popular or age.")),
    }
}
