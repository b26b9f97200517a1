//! [`EngineError`]: why a use case did not happen.

use muster_protocol::{RequestValidationError, ReturnCode};
use muster_store::{BlobError, JournalError, StoreError};

/// Why a use case did not happen. `server` turns it into a status and a body.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A rule of the horde forbids it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Part of the input does not have the documented shape.
    #[error("{}", .0.message)]
    Invalid(RequestValidationError),
    /// The database failed; nothing was acknowledged.
    #[error("the database failed: {0}")]
    Store(#[from] StoreError),
    /// A change could not be made durable; nothing was acknowledged.
    #[error("a change could not be written: {0}")]
    Journal(#[from] JournalError),
    /// The blob store failed.
    #[error("the blob store failed: {0}")]
    Blob(#[from] BlobError),
    /// A service that the operator named did not do its part.
    #[error("{0} does not answer as it should")]
    Service(&'static str),
    /// A task of the engine was torn down while it worked.
    #[error("the server is stopping")]
    Stopping,
}

/// A broken rule: its return code, the status that goes with it and a text for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    /// What clients compare.
    pub code: ReturnCode,
    /// HTTP status, nearly always that of the code.
    pub status: u16,
    /// What people read. Some clients look for fragments of it.
    pub message: String,
}

impl Refusal {
    /// A refusal with the usual status of its code.
    pub fn new(code: ReturnCode, message: impl Into<String>) -> Self {
        Self {
            code,
            status: code.status(),
            message: message.into(),
        }
    }
}

impl EngineError {
    /// Shorthand for a refusal with the usual status of its code.
    pub fn refused(code: ReturnCode, message: impl Into<String>) -> Self {
        Refusal::new(code, message).into()
    }

    /// A mandatory argument is missing.
    pub fn missing(name: &str, place: &str) -> Self {
        let text = format!("Missing required parameter in the {place}");
        Self::Invalid(RequestValidationError::single(name, text))
    }
}

/// The outcome of a use case.
pub type Result<T> = std::result::Result<T, EngineError>;
