//! The text API.

mod job;
mod request;

pub use job::{JobPayload, PopInput, Popped, Skipped, SubmitInput};
pub use request::{
    Generation, Metadata, MetadataType, MetadataValue, Params, RequestAccepted, RequestInput, Status,
};
