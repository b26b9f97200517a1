//! What jobs of all kinds have in common: they are handed out, delivered or given up, and paid for.

mod abort;
mod finish;
mod pop;
mod priority;
mod settlement;

use muster_protocol::JobId;

pub(crate) use finish::{Finishing, Found, check_metadata};
pub(crate) use pop::{HandedOut, Popping};
pub(crate) use priority::{Unprioritised, priority_users};

/// What a worker sends, and what is stored, for a result that was uploaded.
pub(crate) const UPLOADED: &str = "R2";

/// The name of a job's result in the blob store.
pub(crate) fn blob_key(job: JobId) -> String {
    format!("{job}.webp")
}
