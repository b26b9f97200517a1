//! How far a request is.

use std::str::FromStr;

use muster_dispatch::{Waiting, wait_time};
use muster_protocol::{RequestId, ReturnCode, image::Progress};

use crate::{
    Engine, EngineError,
    error::Result,
    live::{LiveJobState, LiveRequest},
    work::Work,
};

impl Engine {
    /// A request from memory or, if it is finished and forgotten there, from the store.
    pub(crate) async fn find_request<W: Work>(&self, id: &str) -> Result<LiveRequest<W>> {
        let not_found = || {
            let message = format!("There is no {} with this id.", W::CALLED);
            EngineError::refused(ReturnCode::RequestNotFound, message)
        };
        let id = RequestId::from_str(id).map_err(|_| not_found())?;
        let remembered = W::desk(self).live.lock().request(id).cloned();
        let request = match remembered {
            Some(request) => request,
            None => self.recall::<W>(id).await?.ok_or_else(not_found)?,
        };
        if request.expiry <= self.clock.now() {
            return Err(not_found());
        }
        Ok(request)
    }

    /// How far a request is.
    pub(crate) fn progress<W: Work>(&self, request: &LiveRequest<W>) -> Progress {
        let counts = request.counts();
        let place = W::desk(self).live.lock().board.place(request.id);
        let settled = counts.processing + counts.finished;
        Progress {
            finished: counts.finished,
            processing: counts.processing,
            restarted: counts.faulted,
            waiting: (request.slots + request.reserved.len() as u32)
                .min(request.total.saturating_sub(settled)),
            done: request.is_done(),
            faulted: request.faulted,
            wait_time: self.expected_wait(request, place.map_or((0, 0), |place| (place.things, place.jobs))),
            queue_position: place.map_or(0, |place| place.position),
            kudos: request.consumed.rounded() as f64,
            is_possible: self.is_possible(request),
        }
    }

    /// Seconds until the request is expected to be done. `ahead`: things and jobs in the queue up to
    /// and including it.
    fn expected_wait<W: Work>(&self, request: &LiveRequest<W>, (things, jobs): (u64, u64)) -> u64 {
        let now = self.clock.now();
        let online = self.online::<W>(now);
        let in_progress = request
            .jobs
            .iter()
            .filter(|job| !job.fake && matches!(job.state, LiveJobState::Processing))
            .map(|job| {
                let speed = online.speed_of(job.worker);
                Waiting::job_left(request.things, speed, now.since(job.started).as_secs_f64())
            })
            .fold(0.0, f64::max);
        let seconds = wait_time(Waiting {
            unit: W::UNIT,
            things,
            jobs,
            threads: online.threads,
            speed: online.mean_speed,
            in_progress,
        });
        // To clients, zero means that the result is about to come; some lose patience then.
        seconds.max(u64::from(request.slots > 0))
    }
}
