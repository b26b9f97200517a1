//! [`Online`]: the workers that are online, as a picture that is renewed every second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use muster_dispatch::{Pop, image::Offer};
use muster_protocol::{Timestamp, UserId, WorkKind, WorkerId};
use parking_lot::Mutex;

use super::registry::Registry;

/// How long a picture is used.
const RENEWAL: Duration = Duration::from_secs(1);

/// The image workers that were online when the picture was taken.
#[derive(Debug, Default)]
pub(crate) struct Online {
    taken: Timestamp,
    pub(crate) workers: Vec<OnlineWorker>,
    /// Threads of all of them.
    pub(crate) threads: u64,
    /// Mean speed of a worker in pixelsteps a second; 0 without workers.
    pub(crate) mean_speed: f64,
}

/// A worker that is online.
#[derive(Debug)]
pub(crate) struct OnlineWorker {
    id: WorkerId,
    owner: UserId,
    models: Arc<[Arc<str>]>,
    offer: Offer,
}

impl OnlineWorker {
    /// A pop as this worker would make it.
    pub(crate) fn pop(&self, now: Timestamp) -> Pop<'_, Offer> {
        Pop {
            worker: self.id,
            owner: self.owner,
            models: &self.models,
            amount: 1,
            priority_users: &[],
            offer: &self.offer,
            now,
        }
    }
}

impl Online {
    /// The speed of a worker, or the mean if it is not online.
    pub(crate) fn speed_of(&self, id: WorkerId) -> f64 {
        self.workers
            .iter()
            .find(|worker| worker.id == id)
            .map_or(self.mean_speed, |worker| worker.offer.speed)
    }
}

/// The latest picture.
#[derive(Default)]
pub(crate) struct OnlineCache {
    latest: Mutex<Arc<Online>>,
    stale: AtomicBool,
}

impl OnlineCache {
    /// Someone came online or changed: the next look takes a new picture.
    pub(crate) fn invalidate(&self) {
        self.stale.store(true, Ordering::Release);
    }
}

impl Registry {
    /// The workers that are online, at most a second ago.
    pub(crate) fn online(&self, now: Timestamp) -> Arc<Online> {
        let mut latest = self.online.latest.lock();
        let expired = now.since(latest.taken) >= RENEWAL || now < latest.taken;
        if self.online.stale.swap(false, Ordering::Acquire) || expired {
            *latest = Arc::new(self.take_picture(now));
        }
        Arc::clone(&latest)
    }

    fn take_picture(&self, now: Timestamp) -> Online {
        let mut online = Online {
            taken: now,
            ..Online::default()
        };
        for worker in self.all() {
            let worker = worker.lock();
            // One without models was refused at its first check-in.
            let serves = worker.kind == WorkKind::Image && !worker.derived.models.is_empty();
            if !serves || !worker.is_online(now) {
                continue;
            }
            online.threads += u64::from(worker.threads);
            online.mean_speed += worker.speed();
            online.workers.push(OnlineWorker {
                id: worker.id,
                owner: worker.owner,
                models: Arc::clone(&worker.derived.models),
                offer: worker.offer(),
            });
        }
        online.mean_speed /= online.workers.len().max(1) as f64;
        online
    }
}
