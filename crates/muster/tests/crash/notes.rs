//! What the clients asked for and what they were answered.

use std::collections::BTreeMap;

use muster_protocol::{JobId, RequestId};

/// What was asked for and what was answered.
#[derive(Default)]
pub(crate) struct Notes {
    /// By the number in the prompt.
    pub(crate) requests: Vec<Asked>,
    pub(crate) jobs: BTreeMap<JobId, Given>,
}

pub(crate) struct Asked {
    pub(crate) requester: usize,
    /// Known if the request was acknowledged.
    pub(crate) id: Option<RequestId>,
}

pub(crate) struct Given {
    /// The number of its request.
    pub(crate) asked: usize,
    pub(crate) owner: usize,
    pub(crate) round: usize,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    /// A worker has it.
    Popped,
    /// The worker sent its result and was not answered.
    Sent,
    /// Its result was accepted, for this reward unless the answer was lost.
    Delivered(Option<f64>),
}
