//! Jobs that came to nothing: reported by their worker, or out of time (spec: image, sections 9.4 and 12).

use muster_protocol::{JobId, RequestId, Timestamp, WorkerId};
use muster_store::{FaultJob, FaultOutcome, Suspicion, Tallies, WorkTally, WorkerTally};

use super::work_tally;
use crate::{
    Engine,
    error::Result,
    live::{Live, LiveJobState},
    metrics::{self, JobOutcome},
    work::Work,
};

/// What a worker is told that dropped more. Workers know that they are in maintenance by its last words.
const DROPPED_TOO_MANY: &str = "This worker dropped too many jobs within an hour, so it was put into maintenance mode. \
                                Once it works again, its owner can end the maintenance mode.";

/// A job that is to be given up, and who is to blame.
struct Lost {
    request: RequestId,
    worker: WorkerId,
    fake: bool,
    /// It was tried often enough: its slot does not go back to the queue.
    last: bool,
    /// The request is given up with it.
    ends_request: bool,
    blame: Blame,
    /// What it is to the statistics of the whole horde.
    work: Option<WorkTally>,
}

/// Who is to blame for a job that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Blame {
    /// The worker, as long as nobody else failed with the request.
    Worker,
    /// The request: it failed on different workers. Those that were blamed before are forgiven.
    Request { forgiven: Vec<WorkerId> },
    /// The server, which was not there to take the result.
    Server,
}

impl Engine {
    /// Gives up a job in progress: its slot goes back to the queue, or, after too many failures, the request
    /// is given up too, or that part of it. Does nothing if somebody else was faster.
    ///
    /// # Errors
    /// The database failed; nothing has changed.
    pub(crate) async fn give_up_job<W: Work>(&self, id: JobId) -> Result<()> {
        let Some(lost) = lost(&W::desk(self).live.lock(), id, self.started, self.clock.now()) else {
            return Ok(());
        };
        let now = self.clock.now();
        let tallies = tallies::<W>(&lost);
        let lost_by = tallies.workers.clone();
        let fault = FaultJob {
            job: id,
            request: lost.request,
            at: now,
            return_slot: !lost.fake && !lost.last,
            request_faulted: lost.ends_request,
            tallies,
        };
        let FaultOutcome::Faulted { request_faulted, .. } = self.store.journal().fault_job(fault).await?
        else {
            return Ok(());
        };
        if !lost.fake {
            metrics::job_ended(W::KIND, JobOutcome::GivenUp);
        }
        self.count_for_workers(&lost_by);
        if let Some(work) = &lost.work {
            self.statistics.count(work);
        }
        {
            // The slot goes back first: a request without slots and jobs would count as finished.
            let mut live = W::desk(self).live.lock();
            if request_faulted {
                live.stop(lost.request, true);
            } else if !lost.fake && !lost.last {
                live.return_slots(lost.request, 1);
            }
            live.end_job(id, LiveJobState::Faulted);
        }
        tracing::info!(job = %id, request = %lost.request, worker = %lost.worker, blame = ?lost.blame, "job given up");
        self.release_when_done::<W>(lost.request).await;
        self.hold_against(&lost, now).await
    }

    /// Counts a lost job against its worker, which is put into maintenance after too many, or forgives
    /// those that lost a job of the same request.
    async fn hold_against(&self, lost: &Lost, now: Timestamp) -> Result<()> {
        match &lost.blame {
            Blame::Server => {}
            Blame::Request { forgiven } => {
                for worker in forgiven.iter().filter_map(|worker| self.workers.get(*worker)) {
                    worker.lock().forgive_abort();
                }
            }
            Blame::Worker => {
                let worker = self.workers.get(lost.worker);
                let raid = self.modes.now().raid;
                if worker.is_some_and(|worker| worker.lock().count_abort(now, raid)) {
                    // In a raid nobody is told that they were noticed.
                    if !raid {
                        self.put_into_maintenance(lost.worker, DROPPED_TOO_MANY).await?;
                    }
                    self.suspect(lost.worker, Suspicion::TooManyJobsAborted).await?;
                }
            }
        }
        Ok(())
    }
}

/// What is known of a job in progress. `None` if there is no such job.
fn lost<W: Work>(live: &Live<W>, id: JobId, server_started: Timestamp, now: Timestamp) -> Option<Lost> {
    let (request, job) = live.job(id)?;
    if !matches!(job.state, LiveJobState::Processing) {
        return None;
    }
    // The workers that failed with the request, or this part of it, before.
    let failed: Vec<WorkerId> = request
        .jobs
        .iter()
        .filter(|other| !other.fake && other.part == job.part)
        .filter(|other| matches!(other.state, LiveJobState::Faulted))
        .map(|other| other.worker)
        .collect();
    let last = !job.fake && failed.len() as u32 + 1 >= W::ATTEMPTS;
    let blame = if failed.iter().any(|other| *other != job.worker) {
        let alone = failed.iter().all(|other| *other == failed[0]);
        Blame::Request {
            // Once it was two, the request was to blame, and nobody was left to be forgiven.
            forgiven: if alone { failed } else { Vec::new() },
        }
    } else if job.started < server_started {
        Blame::Server
    } else {
        Blame::Worker
    };
    Some(Lost {
        request: request.id,
        worker: job.worker,
        fake: job.fake,
        last,
        ends_request: last && !W::NAMED_PARTS,
        work: (!job.fake)
            .then(|| work_tally::<W>(&request.spec, &job.model, now))
            .flatten(),
        blame,
    })
}

fn tallies<W: Work>(lost: &Lost) -> Tallies {
    let work: Vec<WorkTally> = lost.work.iter().cloned().collect();
    if lost.blame != Blame::Worker {
        return Tallies {
            work,
            ..Tallies::default()
        };
    }
    let tally = WorkerTally {
        uncompleted_jobs: 1,
        ..WorkerTally::new(lost.worker, W::ACTION)
    };
    Tallies {
        workers: vec![tally],
        work,
        ..Tallies::default()
    }
}
