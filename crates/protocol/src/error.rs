//! The bodies of errors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ReturnCode;

/// An error with or without a return code. A broken rule has one; an unreadable body, a wrong
/// method, an exceeded rate limit and a failure of the server have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestError {
    /// What went wrong, for people. Some clients look for fragments of it.
    #[schema(min_length = 1)]
    pub message: String,
    /// What went wrong, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReturnCode>)]
    pub rc: Option<String>,
}

/// A body or argument that does not have the documented shape. Clients tell it by `errors`, which other errors with the
/// same status do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestValidationError {
    /// What went wrong, for people.
    #[schema(min_length = 1)]
    pub message: String,
    /// One text for each offending member, by its path: names and list indexes joined by dots.
    #[schema(required = false)]
    pub errors: BTreeMap<String, String>,
}

impl RequestValidationError {
    /// The message that comes with every list of errors.
    pub const MESSAGE: &'static str = "Input payload validation failed";

    /// A single offending member.
    pub fn single(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(BTreeMap::from([(path.into(), text.into())]))
    }

    /// Several offending members.
    pub fn new(errors: BTreeMap<String, String>) -> Self {
        Self {
            message: Self::MESSAGE.to_owned(),
            errors,
        }
    }
}
