//! The parts of a request: which wait, and what became of each.

use std::sync::Arc;

use muster_dispatch::alchemy::Alchemy;
use muster_protocol::alchemy::FormState;

use crate::{
    live::{Delivered, LiveJob, LiveJobState, LiveRequest},
    work::{Part, Work},
};

/// The result of a form that its client cancelled while somebody worked on it.
pub(super) const CANCELLED: &str = "null";

/// What became of a form.
pub(super) struct Fate<'a> {
    pub(super) state: FormState,
    /// The result, with the job that brought it.
    pub(super) result: Option<(&'a LiveJob<Alchemy>, &'a Arc<Delivered<Alchemy>>)>,
}

/// The forms that no worker has taken, in the order in which the request lists them.
pub(super) fn waiting(request: &LiveRequest<Alchemy>) -> Vec<Part> {
    parts(request)
        .filter(|part| fate(request, *part).state == FormState::Waiting)
        .filter(|part| !request.reserved.contains(part))
        .collect()
}

/// All forms of a request.
pub(super) fn parts(request: &LiveRequest<Alchemy>) -> impl Iterator<Item = Part> + use<> {
    0..Part::try_from(request.spec.forms.len()).unwrap_or(Part::MAX)
}

/// What became of a form.
pub(super) fn fate(request: &LiveRequest<Alchemy>, part: Part) -> Fate<'_> {
    let mut failed = 0;
    for job in request.jobs.iter().filter(|job| job.part == part) {
        match &job.state {
            LiveJobState::Faulted => failed += 1,
            LiveJobState::Processing => {
                return Fate {
                    state: FormState::Processing,
                    result: None,
                };
            }
            LiveJobState::Done(delivered) if delivered.result == CANCELLED => break,
            LiveJobState::Done(delivered) => {
                return Fate {
                    state: FormState::Done,
                    result: Some((job, delivered)),
                };
            }
        }
    }
    let state = if request.cancelled {
        FormState::Cancelled
    } else if failed >= Alchemy::ATTEMPTS {
        FormState::Faulted
    } else {
        FormState::Waiting
    };
    Fate { state, result: None }
}
