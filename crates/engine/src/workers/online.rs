//! [`Online`]: the workers of a kind that are online, as a picture that is renewed every second.

use std::{sync::Arc, time::Duration};

use muster_dispatch::Pop;
use muster_protocol::{Timestamp, UserId, WorkerId};
use parking_lot::Mutex;

use super::registry::Registry;
use crate::{
    Inner,
    work::{Names, Work},
};

/// How long a picture is used.
const RENEWAL: Duration = Duration::from_secs(1);

/// The workers that were online when the picture was taken.
#[derive(Debug)]
pub(crate) struct Online<W: Work> {
    taken: Timestamp,
    /// What the registry had counted then, see [`Registry::changes`].
    changes: u64,
    pub(crate) workers: Vec<OnlineWorker<W>>,
    /// Threads of all of them.
    pub(crate) threads: u64,
    /// Mean speed of a worker in things a second; 0 without workers.
    pub(crate) mean_speed: f64,
}

/// A worker that is online.
#[derive(Debug)]
pub(crate) struct OnlineWorker<W: Work> {
    id: WorkerId,
    owner: UserId,
    speed: f64,
    models: Names,
    priority_users: Arc<[UserId]>,
    offer: W::Offer,
}

impl<W: Work> OnlineWorker<W> {
    /// A pop as this worker would make it.
    pub(crate) fn pop(&self, now: Timestamp) -> Pop<'_, W::Offer> {
        Pop {
            worker: self.id,
            owner: self.owner,
            models: &self.models,
            amount: 1,
            priority_users: &self.priority_users,
            offer: &self.offer,
            now,
        }
    }
}

impl<W: Work> Online<W> {
    /// The speed of a worker, or the mean if it is not online.
    pub(crate) fn speed_of(&self, id: WorkerId) -> f64 {
        self.workers
            .iter()
            .find(|worker| worker.id == id)
            .map_or(self.mean_speed, |worker| worker.speed)
    }

    fn picture(registry: &Registry, now: Timestamp) -> Self {
        let mut online = Self {
            taken: now,
            changes: registry.changes(),
            workers: Vec::new(),
            threads: 0,
            mean_speed: 0.0,
        };
        for worker in registry.all() {
            let worker = worker.lock();
            let Some((offer, models)) = worker.offer::<W>() else {
                continue;
            };
            // One without models was refused at its first check-in.
            if models.is_empty() || !worker.is_online(now) {
                continue;
            }
            online.threads += u64::from(worker.threads);
            online.mean_speed += worker.speed();
            online.workers.push(OnlineWorker {
                id: worker.id,
                owner: worker.owner,
                speed: worker.speed(),
                models,
                priority_users: Arc::clone(&worker.priority_users),
                offer,
            });
        }
        online.mean_speed /= online.workers.len().max(1) as f64;
        online
    }
}

/// The latest picture.
pub(crate) struct OnlineCache<W: Work>(Mutex<Option<Arc<Online<W>>>>);

impl<W: Work> Default for OnlineCache<W> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl Inner {
    /// The workers of a kind that are online, at most a second ago.
    pub(crate) fn online<W: Work>(&self, now: Timestamp) -> Arc<Online<W>> {
        let mut latest = W::desk(self).online.0.lock();
        if let Some(online) = &*latest
            && online.changes == self.workers.changes()
            && now >= online.taken
            && now.since(online.taken) < RENEWAL
        {
            return Arc::clone(online);
        }
        Arc::clone(latest.insert(Arc::new(Online::picture(&self.workers, now))))
    }
}
