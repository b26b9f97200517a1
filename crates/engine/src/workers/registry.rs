//! [`Registry`]: every worker that is known, by name and by id.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use muster_dispatch::image::Offer;
use muster_protocol::{Timestamp, UserId, WorkKind, WorkerId};
use muster_store::{StoredWorker, WorkerCheckIn};
use parking_lot::{Mutex, RwLock};

use super::{
    online::OnlineCache,
    settings::{Derived, Standing, WorkerSettings, offer},
};
use crate::models::ModelReference;

/// A worker that was heard of within this time is online.
pub(crate) const ONLINE: Duration = Duration::from_mins(5);
/// Deliveries that a worker's speed is the mean of.
const SPEED_SAMPLES: usize = 20;
/// What an image worker counts as before its first delivery, in pixelsteps a second.
const UNMEASURED_SPEED: f64 = 1_000_000.0;

/// A worker behind its own lock, which is never held across a wait and always taken before the lock
/// of [`Live`](crate::live::Live).
pub(crate) type SharedWorker = Arc<Mutex<Worker>>;

/// Every worker that is known.
pub(crate) struct Registry {
    index: RwLock<Index>,
    pub(super) online: OnlineCache,
    /// Held while a worker is made. The only lock that is held across a wait.
    pub(super) registration: tokio::sync::Mutex<()>,
}

#[derive(Default)]
#[allow(clippy::struct_field_names)] // that is what they are
struct Index {
    by_name: HashMap<String, WorkerId>,
    by_id: HashMap<WorkerId, SharedWorker>,
    by_owner: HashMap<UserId, Vec<WorkerId>>,
}

/// A worker.
#[allow(clippy::struct_excessive_bools)] // independent facts
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) kind: WorkKind,
    pub(crate) owner: UserId,
    pub(crate) name: String,
    pub(crate) last_check_in: Timestamp,
    pub(crate) address: Option<String>,
    pub(crate) bridge_agent: String,
    pub(crate) threads: u32,
    pub(crate) settings: WorkerSettings,
    pub(crate) derived: Derived,
    pub(crate) owner_trusted: bool,
    pub(crate) maintenance: bool,
    pub(crate) maintenance_message: Option<String>,
    pub(crate) paused: bool,
    pub(crate) uptime: Duration,
    pub(crate) last_reward_uptime: Duration,
    pub(crate) aborted_jobs: i32,
    pub(crate) last_aborted_job: Option<Timestamp>,
    /// Things a second of the latest deliveries.
    samples: VecDeque<f64>,
    speed: Option<f64>,
    /// Something changed that is not written down yet.
    pub(crate) dirty: bool,
}

fn seconds(stored: i64) -> Duration {
    Duration::from_secs(stored.max(0).unsigned_abs())
}

impl Worker {
    pub(crate) fn from_stored(stored: StoredWorker, reference: &ModelReference) -> Self {
        let settings: WorkerSettings = serde_json::from_value(stored.settings).unwrap_or_default();
        let derived = Derived::of(&settings, &stored.bridge_agent, reference);
        Self {
            id: stored.id,
            kind: stored.kind,
            owner: stored.owner,
            name: stored.name,
            last_check_in: stored.last_check_in,
            address: stored.ip,
            bridge_agent: stored.bridge_agent,
            threads: stored.threads.max(1).unsigned_abs(),
            settings,
            derived,
            owner_trusted: false,
            maintenance: stored.maintenance,
            maintenance_message: stored.maintenance_message,
            paused: stored.paused,
            uptime: seconds(stored.uptime),
            last_reward_uptime: seconds(stored.last_reward_uptime),
            aborted_jobs: stored.aborted_jobs,
            last_aborted_job: stored.last_aborted_job,
            samples: stored.speed.into_iter().collect(),
            speed: stored.speed,
            dirty: false,
        }
    }

    pub(crate) fn is_online(&self, now: Timestamp) -> bool {
        now.since(self.last_check_in) <= ONLINE
    }

    /// Pixelsteps a second.
    pub(crate) fn speed(&self) -> f64 {
        self.speed
            .filter(|speed| *speed > 0.0)
            .unwrap_or(UNMEASURED_SPEED)
    }

    /// Learns from a delivery how fast the worker is.
    pub(crate) fn add_sample(&mut self, things_per_second: f64) {
        if self.samples.len() == SPEED_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(things_per_second);
        self.speed = Some(self.samples.iter().sum::<f64>() / self.samples.len() as f64);
        self.dirty = true;
    }

    /// What the board compares requests with.
    pub(crate) fn offer(&self) -> Offer {
        let standing = Standing {
            owner_trusted: self.owner_trusted,
            maintenance: self.maintenance,
            paused: self.paused,
            speed: self.speed(),
        };
        offer(&self.settings, &self.derived, standing)
    }

    /// What is written down about the worker from time to time.
    pub(crate) fn check_in_row(&self) -> WorkerCheckIn {
        WorkerCheckIn {
            worker: self.id,
            at: self.last_check_in,
            ip: self.address.clone(),
            bridge_agent: self.bridge_agent.clone(),
            threads: self.threads as i32,
            max_power: self.settings.max_power(),
            extra_slow: self.settings.extra_slow_worker,
            allow_unsafe_ip: self.settings.allow_unsafe_ipaddr,
            speed: self.speed,
            uptime: self.uptime.as_secs() as i64,
            last_reward_uptime: self.last_reward_uptime.as_secs() as i64,
            aborted_jobs: self.aborted_jobs,
            last_aborted_job: self.last_aborted_job,
            settings: serde_json::to_value(&self.settings).expect("settings are plain data"),
        }
    }
}

impl Registry {
    pub(crate) fn new(workers: impl IntoIterator<Item = Worker>) -> Self {
        let registry = Self {
            index: RwLock::default(),
            online: OnlineCache::default(),
            registration: tokio::sync::Mutex::default(),
        };
        for worker in workers {
            registry.insert(worker);
        }
        registry
    }

    pub(crate) fn insert(&self, worker: Worker) -> SharedWorker {
        let mut index = self.index.write();
        index.by_name.insert(worker.name.clone(), worker.id);
        index.by_owner.entry(worker.owner).or_default().push(worker.id);
        let id = worker.id;
        let shared = Arc::new(Mutex::new(worker));
        index.by_id.insert(id, Arc::clone(&shared));
        self.online.invalidate();
        shared
    }

    /// The worker of any kind with this exact name.
    pub(crate) fn by_name(&self, name: &str) -> Option<SharedWorker> {
        let index = self.index.read();
        index
            .by_name
            .get(name)
            .and_then(|id| index.by_id.get(id))
            .cloned()
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<SharedWorker> {
        self.index.read().by_id.get(&id).cloned()
    }

    /// Whether an image or text worker has this id.
    pub(crate) fn exists(&self, id: WorkerId) -> bool {
        self.get(id)
            .is_some_and(|worker| worker.lock().kind != WorkKind::Alchemy)
    }

    pub(crate) fn name(&self, id: WorkerId) -> Option<String> {
        self.get(id).map(|worker| worker.lock().name.clone())
    }

    /// The image and text workers of an account, in the order in which they appeared.
    pub(crate) fn owned_by(&self, owner: UserId) -> Vec<WorkerId> {
        let ids = self
            .index
            .read()
            .by_owner
            .get(&owner)
            .cloned()
            .unwrap_or_default();
        ids.into_iter().filter(|id| self.exists(*id)).collect()
    }

    pub(crate) fn all(&self) -> Vec<SharedWorker> {
        self.index.read().by_id.values().cloned().collect()
    }

    /// Looks again at what workers host, after the facts about models have changed.
    pub(crate) fn review(&self, reference: &ModelReference) {
        for worker in self.all() {
            let mut worker = worker.lock();
            worker.derived = Derived::of(&worker.settings, &worker.bridge_agent, reference);
        }
        self.online.invalidate();
    }

    /// Takes what is not written down yet.
    pub(crate) fn take_dirty(&self) -> Vec<WorkerCheckIn> {
        self.all()
            .iter()
            .filter_map(|worker| {
                let mut worker = worker.lock();
                std::mem::take(&mut worker.dirty).then(|| worker.check_in_row())
            })
            .collect()
    }
}
