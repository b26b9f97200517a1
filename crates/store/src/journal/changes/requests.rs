//! How a request and its jobs change.

use std::sync::Arc;

use muster_protocol::{Kudos, RequestId, Timestamp};

use super::super::{
    change::{Change, Needs},
    working_set::{JobRow, Origin, RequestRow, WorkingSet},
};
use crate::{
    CancelOutcome, EventKind, Expired, FaultJob, FaultOutcome, FinishJob, FinishOutcome, JobState,
    JournalError, LedgerEvent, NewRequest, RequestCreated, StartJobs, StartOutcome,
};

impl Change for NewRequest {
    type Outcome = RequestCreated;

    fn needs(&self, needs: &mut Needs) {
        if needs.again {
            needs.requests.insert(self.id);
        }
        if let Some(event) = &self.event {
            needs.event(event);
        }
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<RequestCreated, JournalError> {
        if set.requests.contains_key(&self.id) {
            if !set.again {
                return Err(JournalError::Invalid("the request exists"));
            }
            // The attempt before this one was committed after all.
            return Ok(RequestCreated { balances: Vec::new() });
        }
        let balances = set.books.book_with_change(self.event.as_ref())?;
        set.books.tally(&self.tallies);
        let row = RequestRow {
            origin: Origin::New,
            deleted: false,
            slots_left: self.jobs_total,
            faulted: false,
            cancelled: false,
            expiry: self.expiry,
            consumed: self.consumed,
            updated_at: self.created,
            user: self.user,
            held: self.held,
            new: Some(Arc::clone(self)),
        };
        set.requests.insert(self.id, row);
        Ok(RequestCreated { balances })
    }
}

impl Change for StartJobs {
    type Outcome = StartOutcome;

    fn needs(&self, needs: &mut Needs) {
        needs.requests.insert(self.request);
        if needs.again {
            needs.jobs.extend(self.jobs.iter().map(|job| job.id));
        }
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<StartOutcome, JournalError> {
        let known = self
            .jobs
            .iter()
            .filter(|job| set.jobs.contains_key(&job.id))
            .count();
        let again = set.again;
        let Some(request) = set.request(self.request) else {
            return Ok(StartOutcome::RequestGone);
        };
        if known > 0 {
            return if again && known == self.jobs.len() {
                // The attempt before this one was committed after all.
                Ok(StartOutcome::Started {
                    slots_left: request.slots_left,
                    expiry: request.expiry,
                })
            } else {
                Err(JournalError::Invalid("a job exists"))
            };
        }
        if request.faulted || request.cancelled || request.expiry <= self.at {
            return Ok(StartOutcome::RequestGone);
        }
        let taken = self.jobs.iter().filter(|job| !job.fake).count();
        let taken = i32::try_from(taken).unwrap_or(i32::MAX);
        if request.slots_left < taken {
            return Ok(StartOutcome::SlotsGone {
                slots_left: request.slots_left,
            });
        }
        request.slots_left -= taken;
        request.expiry = request.expiry.max(self.new_expiry);
        request.touch(self.at);
        let outcome = StartOutcome::Started {
            slots_left: request.slots_left,
            expiry: request.expiry,
        };
        for (index, job) in self.jobs.iter().enumerate() {
            let row = JobRow {
                origin: Origin::New,
                request: self.request,
                fake: job.fake,
                state: JobState::Processing,
                reward: None,
                finished_at: None,
                new: Some((Arc::clone(self), index)),
                finish: None,
            };
            set.jobs.insert(job.id, row);
        }
        Ok(outcome)
    }
}

impl Change for FinishJob {
    type Outcome = FinishOutcome;

    fn needs(&self, needs: &mut Needs) {
        needs.requests.insert(self.request);
        needs.jobs.insert(self.job);
        if let Some(event) = &self.event {
            needs.event(event);
        }
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<FinishOutcome, JournalError> {
        let again = set.again;
        let Some(job) = set.job(self.job, self.request)? else {
            return Ok(FinishOutcome::Unknown);
        };
        match job.state {
            JobState::Processing => {}
            JobState::Faulted => return Ok(FinishOutcome::AlreadyFaulted),
            JobState::Done
                if again && job.finished_at == Some(self.at) && job.reward == Some(self.reward) =>
            {
                // The attempt before this one was committed after all.
                return Ok(FinishOutcome::Finished { balances: Vec::new() });
            }
            JobState::Done => {
                return Ok(FinishOutcome::AlreadyFinished {
                    reward: job.reward.unwrap_or_default(),
                });
            }
        }
        let held = set
            .request(self.request)
            .map_or(Kudos::ZERO, |request| request.held);
        let used = held.min(self.request_consumed);
        let balances = match (&self.event, set.request(self.request)) {
            (Some(event), Some(request)) if used > Kudos::ZERO => {
                let event = event.clone().with_hold(request.user, -used);
                set.books.book_with_change(Some(&event))?
            }
            (event, _) => set.books.book_with_change(event.as_ref())?,
        };
        set.books.tally(&self.tallies);
        if let Some(job) = set.jobs.get_mut(&self.job) {
            job.origin.touch();
            job.state = JobState::Done;
            job.reward = Some(self.reward);
            job.finished_at = Some(self.at);
            job.finish = Some(Arc::clone(self));
        }
        if let Some(request) = set.request(self.request) {
            request.consumed += self.request_consumed;
            request.held -= used;
            request.expiry = request.expiry.max(self.request_expiry);
            request.touch(self.at);
        }
        Ok(FinishOutcome::Finished { balances })
    }
}

impl Change for FaultJob {
    type Outcome = FaultOutcome;

    fn needs(&self, needs: &mut Needs) {
        needs.requests.insert(self.request);
        needs.jobs.insert(self.job);
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<FaultOutcome, JournalError> {
        let Some(job) = set.job(self.job, self.request)? else {
            return Ok(FaultOutcome::Unknown);
        };
        match job.state {
            JobState::Processing => {}
            JobState::Done => return Ok(FaultOutcome::AlreadyFinished),
            JobState::Faulted => return Ok(FaultOutcome::AlreadyFaulted),
        }
        job.origin.touch();
        job.state = JobState::Faulted;
        job.finished_at = Some(self.at);
        let fake = job.fake;
        set.books.tally(&self.tallies);
        let Some(request) = set.request(self.request) else {
            return Ok(FaultOutcome::Unknown);
        };
        if self.return_slot && !fake && !request.cancelled {
            request.slots_left += 1;
        }
        request.faulted |= self.request_faulted;
        request.touch(self.at);
        Ok(FaultOutcome::Faulted {
            slots_left: request.slots_left,
            request_faulted: request.faulted,
        })
    }
}

/// A request is cancelled by its client, or given up.
pub(in super::super) struct Cancel {
    pub(in super::super) request: RequestId,
    pub(in super::super) at: Timestamp,
    /// Given up, rather than cancelled.
    pub(in super::super) faulted: bool,
}

impl Change for Cancel {
    type Outcome = CancelOutcome;

    fn needs(&self, needs: &mut Needs) {
        needs.requests.insert(self.request);
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<CancelOutcome, JournalError> {
        let Some(request) = set.request(self.request) else {
            return Ok(CancelOutcome::Unknown);
        };
        let flag = if self.faulted {
            &mut request.faulted
        } else {
            &mut request.cancelled
        };
        if std::mem::replace(flag, true) {
            return Ok(CancelOutcome::Already);
        }
        let slots_dropped = request.slots_left.max(0);
        if !self.faulted {
            // A faulted request keeps its number: it shows how much was never done.
            request.slots_left = 0;
        }
        request.touch(self.at);
        Ok(CancelOutcome::Done { slots_dropped })
    }
}

/// A request is done: what is left of its promise is released.
pub(in super::super) struct ReleaseHold {
    pub(in super::super) request: RequestId,
    pub(in super::super) at: Timestamp,
}

impl Change for ReleaseHold {
    type Outcome = Kudos;

    fn needs(&self, needs: &mut Needs) {
        needs.requests.insert(self.request);
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<Kudos, JournalError> {
        release(set, self.request, self.at)
    }
}

/// Releases what is left of a request's promise, and answers how much that was. The payer's pots need
/// not be loaded for that: nothing is decided by them.
fn release(set: &mut WorkingSet, id: RequestId, at: Timestamp) -> Result<Kudos, JournalError> {
    let Some(request) = set.requests.get_mut(&id) else {
        return Ok(Kudos::ZERO);
    };
    let left = request.held;
    if left > Kudos::ZERO {
        let event = LedgerEvent::new(format!("release:{id}"), EventKind::Release, at)
            .of_request(id)
            .with_hold(request.user, -left);
        set.books.book(&event)?;
        request.held = Kudos::ZERO;
        request.origin.touch();
    }
    Ok(left)
}

/// Requests are forgotten.
pub(in super::super) struct Expire {
    pub(in super::super) requests: Vec<RequestId>,
    pub(in super::super) now: Timestamp,
    /// Those that have not expired are kept.
    pub(in super::super) expired_only: bool,
}

impl Change for Expire {
    type Outcome = Expired;

    fn needs(&self, needs: &mut Needs) {
        needs.requests.extend(&self.requests);
    }

    fn apply(self: &Arc<Self>, set: &mut WorkingSet) -> Result<Expired, JournalError> {
        let mut outcome = Expired::default();
        for id in &self.requests {
            match set.request(*id) {
                Some(request) if self.expired_only && request.expiry > self.now => {
                    outcome.kept.push((*id, request.expiry));
                }
                Some(request) => {
                    request.deleted = true;
                    outcome.deleted.push(*id);
                    release(set, *id, self.now)?;
                }
                None => outcome.deleted.push(*id),
            }
        }
        Ok(outcome)
    }
}
