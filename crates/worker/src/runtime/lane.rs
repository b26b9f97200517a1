//! One thread of a worker: pops, works, delivers, and starts over.

use std::{collections::HashSet, pin::Pin, sync::Arc};

use muster_protocol::{JobId, image::Message};
use tokio::time::Instant;

use super::{
    Shared, Stop, WorkerError, WorkerEvent,
    craft::Craft,
    verdict::{PopVerdict, judge_pop},
};
use crate::{backend::BackendError, backoff::Backoff, client::ClientError};

/// Runs a lane until it is told to stop or the server refuses the worker for good.
pub(super) async fn run<C: Craft>(
    shared: Arc<Shared<C>>,
    number: u32,
    stop: Stop,
) -> Result<(), WorkerError> {
    let mut lane = Lane {
        backoff: Backoff::new(shared.rhythm.retry),
        notes: HashSet::new(),
        shared,
        number,
        stop: stop.clone(),
    };
    let mut time_is_up = Box::pin(stop.time_is_up());
    while !stop.requested() {
        tokio::select! {
            popped = lane.shared.craft.pop(&lane.shared.client) => {
                lane.after_pop(popped, time_is_up.as_mut()).await?;
            }
            () = &mut time_is_up => break,
        }
    }
    Ok(())
}

struct Lane<C> {
    shared: Arc<Shared<C>>,
    number: u32,
    stop: Stop,
    backoff: Backoff,
    /// Ids of the notes that were told.
    notes: HashSet<String>,
}

/// Completes when a lane that was told to stop has to be through.
type TimeIsUp<'a, F> = Pin<&'a mut F>;

impl<C: Craft> Lane<C> {
    /// Deals with the answer to a pop, whatever it is, and pauses if need be.
    async fn after_pop<F: Future<Output = ()>>(
        &mut self,
        popped: Result<C::Popped, ClientError>,
        mut time_is_up: TimeIsUp<'_, F>,
    ) -> Result<(), WorkerError> {
        let popped = match popped {
            Ok(popped) => popped,
            Err(error) => return self.after_refusal(error).await,
        };
        self.backoff.reset();
        let unpacked = self.shared.craft.unpack(popped);
        self.tell_notes(&unpacked.notes);
        let nothing = unpacked.tasks.is_empty() && unpacked.unusable.is_empty();
        for (job, reason) in unpacked.unusable {
            self.shared.give_back(&[job], None, &reason).await;
        }
        for mut task in unpacked.tasks {
            match self.shared.craft.prepare(&self.shared.client, &mut task).await {
                Ok(()) => self.work(task, time_is_up.as_mut()).await,
                Err(reason) => self.shared.give_back(C::jobs(&task), Some(&task), &reason).await,
            }
        }
        if nothing {
            self.stop.sleep(self.shared.rhythm.idle).await;
        }
        Ok(())
    }

    async fn after_refusal(&mut self, error: ClientError) -> Result<(), WorkerError> {
        match judge_pop(&error) {
            PopVerdict::GiveUp => return Err(WorkerError::Refused(error)),
            PopVerdict::Maintenance(message) => {
                self.shared.report(WorkerEvent::Maintenance { message });
                self.stop.sleep(self.shared.rhythm.maintenance).await;
            }
            PopVerdict::Retry(asked_for) => {
                let lost = jobs_in(&error);
                if !lost.is_empty() {
                    let reason = "the answer to the pop cannot be understood";
                    self.shared.give_back(&lost, None, reason).await;
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

    /// Has a task done and delivers what comes of it.
    async fn work<F: Future<Output = ()>>(&self, task: C::Task, time_is_up: TimeIsUp<'_, F>) {
        let popped_at = Instant::now();
        self.shared.report(WorkerEvent::Taken {
            lane: self.number,
            ids: C::jobs(&task).to_vec(),
            task: C::describe(&task),
        });
        match self.make(&task, time_is_up).await {
            Ok(products) => self.shared.deliver(&task, products, popped_at).await,
            Err(reason) => self.shared.give_back(C::jobs(&task), Some(&task), &reason).await,
        }
    }

    /// Runs the backend, but neither past the task's time to live nor past the end of the grace
    /// period.
    async fn make<F: Future<Output = ()>>(
        &self,
        task: &C::Task,
        time_is_up: TimeIsUp<'_, F>,
    ) -> Result<Vec<C::Product>, String> {
        let progress = |share| {
            self.shared.report(WorkerEvent::Progress {
                lane: self.number,
                share,
            });
        };
        let expired = async {
            match C::time_to_live(task) {
                Some(ttl) => tokio::time::sleep(ttl).await,
                None => std::future::pending().await,
            }
        };
        let made: Result<Vec<C::Product>, BackendError> = tokio::select! {
            made = self.shared.craft.make(task, &progress) => made,
            () = expired => return Err("it took longer than the server allows".to_owned()),
            () = time_is_up => return Err("the worker had to stop".to_owned()),
        };
        let wanted = C::jobs(task).len();
        match made {
            Ok(products) if products.len() == wanted => Ok(products),
            Ok(products) => Err(format!(
                "the backend made {} results instead of {wanted}",
                products.len(),
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
    let list = |name: &str| {
        body.get(name)
            .and_then(|list| list.as_array())
            .into_iter()
            .flatten()
    };
    let forms = list("forms").filter_map(|form| form.get("id"));
    list("ids")
        .chain(forms)
        .filter_map(|id| id.as_str()?.parse().ok())
        .collect()
}
