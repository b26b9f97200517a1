//! What a refused call means for a worker: try again, be patient, or give up.

use std::time::Duration;

use muster_protocol::ReturnCode;

use crate::client::ClientError;

/// What to do after a pop that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PopVerdict {
    /// Back off and try again, no sooner than the server asked for.
    Retry(Option<Duration>),
    /// Ask again now and then; the owner has put the worker into maintenance.
    Maintenance(String),
    /// It will never work like this.
    GiveUp,
}

/// Judges a pop that failed.
pub(super) fn judge_pop(error: &ClientError) -> PopVerdict {
    let refusal = match error {
        ClientError::Usage(_) => return PopVerdict::GiveUp,
        ClientError::Transport { .. } | ClientError::Malformed { .. } => return PopVerdict::Retry(None),
        ClientError::Api { refusal, .. } => refusal,
    };
    let maintenance = [ReturnCode::WorkerMaintenance, ReturnCode::MaintenanceMode];
    if maintenance.into_iter().any(|rc| error.is(rc))
        || (refusal.status == 403 && refusal.message.to_lowercase().contains("maintenance mode"))
    {
        return PopVerdict::Maintenance(refusal.message.clone());
    }
    let passing = [
        ReturnCode::TimeoutIp,
        ReturnCode::UnsafeIp,
        ReturnCode::TooManyNewIps,
    ];
    if error.is_temporary() || passing.into_iter().any(|rc| error.is(rc)) {
        return PopVerdict::Retry(refusal.retry_after);
    }
    PopVerdict::GiveUp
}

/// What to do after a submission that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SubmitVerdict {
    /// Back off and try again.
    Retry,
    /// The server has the result: an earlier try arrived although its answer did not.
    Delivered,
    /// The server does not want it any more.
    Lost,
}

/// Judges a submission that failed.
pub(super) fn judge_submit(error: &ClientError) -> SubmitVerdict {
    if error.is(ReturnCode::DuplicateGen) {
        SubmitVerdict::Delivered
    } else if error.is_temporary() || matches!(error, ClientError::Malformed { .. }) {
        SubmitVerdict::Retry
    } else {
        SubmitVerdict::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Refusal;

    fn refused(status: u16, rc: Option<&str>, message: &str) -> ClientError {
        ClientError::Api {
            call: "pop".into(),
            refusal: Box::new(Refusal {
                status,
                message: message.into(),
                rc: rc.map(Into::into),
                ..Refusal::default()
            }),
        }
    }

    #[test]
    fn pops_that_may_work_later_are_repeated() {
        for error in [
            refused(500, None, ""),
            refused(503, None, "starting"),
            refused(429, None, "60 per 1 second"),
            refused(403, Some("TimeoutIP"), ""),
        ] {
            assert_eq!(judge_pop(&error), PopVerdict::Retry(None), "{error}");
        }
    }

    #[test]
    fn maintenance_is_known_by_code_or_text() {
        for error in [
            refused(403, Some("WorkerMaintenance"), "Back on Monday"),
            refused(403, None, "The worker is in Maintenance Mode"),
            refused(400, Some("MaintenanceMode"), "Updating"),
        ] {
            assert!(matches!(judge_pop(&error), PopVerdict::Maintenance(_)), "{error}");
        }
    }

    #[test]
    fn hopeless_pops_are_not_repeated() {
        for error in [
            refused(401, Some("InvalidAPIKey"), ""),
            refused(403, Some("WrongCredentials"), ""),
            refused(403, Some("AnonForbiddenWorker"), ""),
            refused(400, None, "Input payload validation failed"),
            refused(404, None, "no such page"),
        ] {
            assert_eq!(judge_pop(&error), PopVerdict::GiveUp, "{error}");
        }
    }

    #[test]
    fn a_second_submission_counts_as_the_first() {
        assert_eq!(
            judge_submit(&refused(400, Some("DuplicateGen"), "")),
            SubmitVerdict::Delivered
        );
        assert_eq!(
            judge_submit(&refused(400, Some("AbortedGen"), "")),
            SubmitVerdict::Lost
        );
        assert_eq!(
            judge_submit(&refused(404, Some("InvalidJobID"), "")),
            SubmitVerdict::Lost
        );
        assert_eq!(judge_submit(&refused(502, None, "")), SubmitVerdict::Retry);
    }
}
