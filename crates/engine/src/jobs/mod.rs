//! What workers do with jobs: pop them and submit what came of them.

mod abort;
mod pop;
mod result;
mod settlement;
mod submit;

use muster_protocol::JobId;

/// What a worker sends, and what is stored, for a result that was uploaded.
pub(crate) const UPLOADED: &str = "R2";

/// The name of a job's result in the blob store.
pub(crate) fn blob_key(job: JobId) -> String {
    format!("{job}.webp")
}
