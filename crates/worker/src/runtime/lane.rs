//! One thread of a worker: pops, works, delivers, and starts over.

use std::{collections::HashSet, pin::Pin, sync::Arc, time::Duration};

use muster_protocol::{
    JobId,
    image::{Message, Popped},
};
use tokio::time::Instant;

use super::{
    Shared, Stop, WorkerError, WorkerEvent,
    verdict::{PopVerdict, judge_pop},
};
use crate::{
    backend::{Backend, BackendError, Job, Picture},
    backoff::Backoff,
    client::ClientError,
};

/// Runs a lane until it is told to stop or the server refuses the worker for good.
pub(super) async fn run<B: Backend>(
    shared: Arc<Shared<B>>,
    number: u32,
    stop: Stop,
) -> Result<(), WorkerError> {
    let mut lane = Lane {
        backoff: Backoff::new(shared.config.retry),
        notes: HashSet::new(),
        shared,
        number,
        stop: stop.clone(),
    };
    let mut time_is_up = Box::pin(stop.time_is_up());
    while !stop.requested() {
        tokio::select! {
            popped = lane.shared.client.pop(&lane.shared.config.offer) => {
                lane.after_pop(popped, time_is_up.as_mut()).await?;
            }
            () = &mut time_is_up => break,
        }
    }
    Ok(())
}

struct Lane<B> {
    shared: Arc<Shared<B>>,
    number: u32,
    stop: Stop,
    backoff: Backoff,
    /// Ids of the notes that were told.
    notes: HashSet<String>,
}

/// Completes when a lane that was told to stop has to be through.
type TimeIsUp<'a, F> = Pin<&'a mut F>;

impl<B: Backend> Lane<B> {
    /// Deals with the answer to a pop, whatever it is, and pauses if need be.
    async fn after_pop<F: Future<Output = ()>>(
        &mut self,
        popped: Result<Popped, ClientError>,
        time_is_up: TimeIsUp<'_, F>,
    ) -> Result<(), WorkerError> {
        match popped {
            Ok(popped) => {
                self.backoff.reset();
                self.tell_notes(&popped.messages);
                match Job::from_popped(&popped) {
                    Some(Ok(mut job)) => match self.shared.fetch_sources(&popped, &mut job).await {
                        Ok(()) => self.work(job, popped, time_is_up).await,
                        Err(reason) => self.shared.give_back(&job.ids, job.seed, &reason).await,
                    },
                    Some(Err(error)) => {
                        let ids = if popped.ids.is_empty() {
                            Vec::from_iter(popped.id)
                        } else {
                            popped.ids
                        };
                        self.shared.give_back(&ids, 0, &error.to_string()).await;
                    }
                    None => self.stop.sleep(self.shared.config.idle).await,
                }
            }
            Err(error) => self.after_refusal(error).await?,
        }
        Ok(())
    }

    async fn after_refusal(&mut self, error: ClientError) -> Result<(), WorkerError> {
        match judge_pop(&error) {
            PopVerdict::GiveUp => return Err(WorkerError::Refused(error)),
            PopVerdict::Maintenance(message) => {
                self.shared.report(WorkerEvent::Maintenance { message });
                self.stop.sleep(self.shared.config.maintenance).await;
            }
            PopVerdict::Retry(asked_for) => {
                let lost = jobs_in(&error);
                if !lost.is_empty() {
                    let reason = "the answer to the pop cannot be understood";
                    self.shared.give_back(&lost, 0, reason).await;
                }
                let again_in = self.backoff.pause(asked_for);
                self.shared.report(WorkerEvent::Trouble {
                    error: error.to_string(),
                    again_in,
                });
                self.stop.sleep(again_in).await;
            }
        }
        Ok(())
    }

    /// Has a job done and delivers what comes of it.
    async fn work<F: Future<Output = ()>>(&self, job: Job, popped: Popped, time_is_up: TimeIsUp<'_, F>) {
        let popped_at = Instant::now();
        self.shared.report(WorkerEvent::Taken {
            lane: self.number,
            ids: job.ids.clone(),
            model: job.model.clone(),
            width: job.payload.width,
            height: job.payload.height,
            steps: job.payload.ddim_steps,
        });
        let ttl = popped.ttl.map(Duration::from_secs);
        match self.generate(&job, ttl, time_is_up).await {
            Ok(pictures) => {
                let uploads = popped
                    .r2_uploads
                    .unwrap_or_else(|| popped.r2_upload.into_iter().collect());
                self.shared.deliver(&job, &uploads, pictures, popped_at).await;
            }
            Err(reason) => self.shared.give_back(&job.ids, job.seed, &reason).await,
        }
    }

    /// Runs the backend, but neither past the job's time to live nor past the end of the grace
    /// period.
    async fn generate<F: Future<Output = ()>>(
        &self,
        job: &Job,
        ttl: Option<Duration>,
        time_is_up: TimeIsUp<'_, F>,
    ) -> Result<Vec<Picture>, String> {
        let progress = |share| {
            self.shared.report(WorkerEvent::Progress {
                lane: self.number,
                share,
            });
        };
        let expired = async {
            match ttl {
                Some(ttl) => tokio::time::sleep(ttl).await,
                None => std::future::pending().await,
            }
        };
        let made: Result<Vec<Picture>, BackendError> = tokio::select! {
            made = self.shared.backend.generate(job, &progress) => made,
            () = expired => return Err("it took longer than the server allows".to_owned()),
            () = time_is_up => return Err("the worker had to stop".to_owned()),
        };
        match made {
            Ok(pictures) if pictures.len() == job.ids.len() => Ok(pictures),
            Ok(pictures) => Err(format!(
                "the backend made {} pictures instead of {}",
                pictures.len(),
                job.ids.len()
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    fn tell_notes(&mut self, notes: &[Message]) {
        for note in notes {
            if self.notes.insert(note.id.clone()) {
                self.shared.report(WorkerEvent::Note {
                    origin: note.origin.clone(),
                    text: note.message.clone(),
                });
            }
        }
    }
}

/// The jobs in an answer to a pop that cannot be understood otherwise, for example because of a
/// sampler that this worker does not know. They have to be given back, else they would count as
/// dropped.
fn jobs_in(error: &ClientError) -> Vec<JobId> {
    let ClientError::Malformed { body: Some(body), .. } = error else {
        return Vec::new();
    };
    let ids = body.get("ids").and_then(|ids| ids.as_array());
    ids.into_iter()
        .flatten()
        .filter_map(|id| id.as_str()?.parse().ok())
        .collect()
}
