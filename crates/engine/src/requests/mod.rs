//! What requests of all kinds have in common, from the checks that each must pass to the answer that it is
//! done.

mod accept;
mod availability;
mod checks;
mod concurrency;
mod payer;
mod progress;
mod stop;

use std::time::Duration;

use muster_dispatch::WorkerList;
use muster_protocol::WorkerId;

pub(crate) use accept::Accepting;
pub(crate) use checks::{Asking, check_kept, has_nul, nul_refusal, value_has_nul};

/// How long a request waits without anything happening to it.
pub(crate) const LIFETIME: Duration = Duration::from_mins(20);

/// The workers that a request names, as the board knows them.
pub(crate) fn worker_list(workers: &[WorkerId], blacklist: bool) -> WorkerList {
    match (workers.is_empty(), blacklist) {
        (true, _) => WorkerList::Any,
        (false, true) => WorkerList::Except(workers.to_vec()),
        (false, false) => WorkerList::Only(workers.to_vec()),
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Submission<A> {
    /// It is in the queue (202).
    Accepted(A),
    /// Only its price was asked for (200).
    DryRun(A),
}
