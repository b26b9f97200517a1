//! What jobs of all kinds have in common: they are handed out, delivered or given up, and paid for.

mod abort;
mod finish;
mod pop;
mod priority;
mod settlement;

use muster_protocol::{JobId, Timestamp};
use muster_store::WorkTally;

use crate::work::Work;

pub(crate) use finish::{Finishing, Found, check_metadata};
pub(crate) use pop::{HandedOut, Popping};
pub(crate) use priority::{Unprioritised, priority_users};

/// What a worker sends, and what is stored, for a result that was uploaded.
pub(crate) const UPLOADED: &str = "R2";

/// A job that ends, for the statistics of the whole horde, if it counts there.
fn work_tally<W: Work>(request: &W::Request, model: &str, at: Timestamp) -> Option<WorkTally> {
    Some(WorkTally {
        kind: W::KIND,
        model: model.replace('\0', "\u{fffd}"),
        at,
        things: W::archived(request, model)?,
    })
}

/// The name of a job's result in the blob store.
pub(crate) fn blob_key(job: JobId) -> String {
    format!("{job}.webp")
}
