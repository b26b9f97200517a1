//! What an engine error becomes on the wire.

use muster_engine::EngineError;
use muster_store::{JournalError, StoreError};

use crate::http::ApiError;

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(refusal) => Self::rule_with(refusal.status, refusal.code, refusal.message),
            EngineError::Invalid(invalid) => Self::Validation(invalid),
            EngineError::Stopping
            | EngineError::Journal(JournalError::Closed)
            | EngineError::Store(StoreError::Closed) => Self::Unavailable,
            EngineError::Store(_)
            | EngineError::Journal(_)
            | EngineError::Blob(_)
            | EngineError::Service(_) => Self::internal(error),
        }
    }
}
