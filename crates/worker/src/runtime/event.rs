//! [`WorkerEvent`]: what a worker tells about its work, to listeners and to the log.

use std::time::Duration;

use muster_protocol::JobId;

/// Something happened in a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerEvent {
    /// A lane got something to do.
    Taken {
        /// Which of the worker's threads.
        lane: u32,
        /// The jobs; several if they were batched.
        ids: Vec<JobId>,
        /// What there is to do, in words.
        task: String,
    },
    /// A lane got on with what it does.
    Progress {
        /// Which of the worker's threads.
        lane: u32,
        /// The finished share, from 0 to 1.
        share: f32,
    },
    /// A result was accepted.
    Delivered {
        /// The job.
        id: JobId,
        /// Kudos for it; 0 if the server had it already from an earlier try.
        reward: f64,
        /// From pop to acceptance.
        took: Duration,
    },
    /// A job was reported as impossible or not finished.
    Faulted {
        /// The job.
        id: JobId,
        /// Why.
        reason: String,
    },
    /// A result was not accepted, or could not be handed in.
    Lost {
        /// The job.
        id: JobId,
        /// Why.
        reason: String,
    },
    /// The operators of the horde have something to say. Each note is told once.
    Note {
        /// Who says so, if it says so.
        origin: Option<String>,
        /// The text.
        text: String,
    },
    /// The worker is in maintenance and gets no jobs but its owner's.
    Maintenance {
        /// What the server says.
        message: String,
    },
    /// A call failed; the lane tries again.
    Trouble {
        /// What went wrong.
        error: String,
        /// When it tries again.
        again_in: Duration,
    },
    /// All lanes have ended.
    Stopped(Totals),
}

/// What a worker did in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Results that were accepted.
    pub delivered: u64,
    /// Jobs that were reported as faulted.
    pub faulted: u64,
    /// Results that were not accepted or could not be handed in.
    pub lost: u64,
    /// Kudos for them.
    pub kudos: f64,
}

impl WorkerEvent {
    pub(super) fn log(&self) {
        match self {
            Self::Taken { lane, ids, task } => tracing::info!(lane, jobs = ids.len(), task, "popped"),
            Self::Progress { lane, share } => tracing::debug!(lane, share, "progress"),
            Self::Delivered { id, reward, took } => {
                tracing::info!(job = %id, reward, took_ms = took.as_millis() as u64, "delivered");
            }
            Self::Faulted { id, reason } => tracing::warn!(job = %id, reason, "faulted"),
            Self::Lost { id, reason } => tracing::warn!(job = %id, reason, "result lost"),
            Self::Note { origin, text } => tracing::info!(origin, text, "note from the horde"),
            Self::Maintenance { message } => tracing::info!(message, "in maintenance"),
            Self::Trouble { error, again_in } => {
                tracing::warn!(error, again_in_ms = again_in.as_millis() as u64, "will try again");
            }
            Self::Stopped(totals) => tracing::info!(
                delivered = totals.delivered,
                faulted = totals.faulted,
                lost = totals.lost,
                kudos = totals.kudos,
                "stopped"
            ),
        }
    }
}
