//! [`Registry`]: every worker that is known, by name and by id.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use muster_kudos::income::UptimeMeter;
use muster_protocol::{Kudos, Timestamp, UserId, WorkKind, WorkerId};
use muster_store::{StoredWorker, Suspicion, WorkerAction, WorkerCheckIn, WorkerTally};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::service::{Service, Standing};
use crate::{
    models::Facts,
    work::{Names, Work},
};

/// A worker that was heard of within this time is online.
pub(crate) const ONLINE: Duration = Duration::from_mins(5);
/// Deliveries that a worker's speed is the mean of.
const SPEED_SAMPLES: usize = 20;

/// A worker behind its own lock, which is never held across a wait and always taken before the lock
/// of [`Live`](crate::live::Live).
pub(crate) type SharedWorker = Arc<Mutex<Worker>>;

/// Every worker that is known.
pub(crate) struct Registry {
    index: RwLock<Index>,
    /// How often somebody came online or changed: pictures of who is there are renewed by it.
    changes: AtomicU64,
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

/// How many workers are online, by kind.
#[derive(Debug, Default)]
pub(crate) struct Presence(HashMap<WorkKind, PresentWorkers>);

/// How many workers of a kind are online.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PresentWorkers {
    pub(crate) workers: u64,
    pub(crate) threads: u64,
}

impl Presence {
    pub(crate) fn of(&self, kind: WorkKind) -> PresentWorkers {
        self.0.get(&kind).copied().unwrap_or_default()
    }
}

/// A worker.
#[allow(clippy::struct_excessive_bools)] // independent facts
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) owner: UserId,
    pub(crate) name: String,
    pub(crate) last_check_in: Timestamp,
    pub(crate) address: Option<String>,
    pub(crate) bridge_agent: String,
    pub(crate) threads: u32,
    /// The users whom it serves first, as its latest pop named them.
    pub(crate) priority_users: Arc<[UserId]>,
    pub(crate) service: Service,
    pub(crate) owner_trusted: bool,
    pub(crate) maintenance: bool,
    pub(crate) maintenance_message: Option<String>,
    pub(crate) paused: bool,
    pub(crate) uptime: Duration,
    pub(crate) last_reward_uptime: Duration,
    pub(crate) aborted_jobs: i32,
    pub(crate) last_aborted_job: Option<Timestamp>,
    /// How many reasons for suspicion there are.
    pub(crate) suspicions: usize,
    /// Things a second of the latest deliveries.
    samples: VecDeque<f64>,
    speed: Option<f64>,
    /// It has announced pictures of a size that nobody makes.
    pub(crate) announced_extreme: bool,
    /// It was noticed that its address hides its owner.
    pub(crate) seen_hidden: bool,
    /// What its owner says about it.
    pub(crate) info: Option<String>,
    pub(crate) team: Option<Uuid>,
    pub(crate) totals: Totals,
    /// Something changed that is not written down yet.
    pub(crate) dirty: bool,
}

/// What a worker has done and earned in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) kudos: Kudos,
    pub(crate) generated: Kudos,
    pub(crate) for_uptime: Kudos,
    pub(crate) contributions: f64,
    pub(crate) fulfilments: i64,
    pub(crate) uncompleted: i64,
}

fn seconds(stored: i64) -> Duration {
    Duration::from_secs(stored.max(0).unsigned_abs())
}

impl Worker {
    pub(crate) fn from_stored(stored: StoredWorker, facts: &Facts) -> Self {
        let service = Service::from_stored(stored.kind, stored.settings, &stored.bridge_agent, facts);
        Self {
            id: stored.id,
            owner: stored.owner,
            name: stored.name,
            last_check_in: stored.last_check_in,
            address: stored.ip,
            bridge_agent: stored.bridge_agent,
            threads: stored.threads.max(1).unsigned_abs(),
            priority_users: Arc::default(),
            service,
            owner_trusted: false,
            maintenance: stored.maintenance,
            maintenance_message: stored.maintenance_message,
            paused: stored.paused,
            uptime: seconds(stored.uptime),
            last_reward_uptime: seconds(stored.last_reward_uptime),
            aborted_jobs: stored.aborted_jobs,
            last_aborted_job: stored.last_aborted_job,
            suspicions: stored.suspicions.len(),
            samples: stored.speed.into_iter().collect(),
            speed: stored.speed,
            announced_extreme: stored.suspicions.contains(&(Suspicion::ExtremeMaxPixels as i16)),
            seen_hidden: stored.suspicions.contains(&(Suspicion::UnsafeIp as i16)),
            info: stored.info,
            team: stored.team,
            totals: Totals {
                kudos: stored.kudos,
                generated: stored.kudos_generated,
                for_uptime: stored.kudos_uptime,
                contributions: stored.contributions,
                fulfilments: stored.fulfilments,
                uncompleted: stored.uncompleted_jobs,
            },
            dirty: false,
        }
    }

    /// Adds what a commit has added to the worker's totals.
    pub(crate) fn count(&mut self, tally: &WorkerTally) {
        let totals = &mut self.totals;
        totals.kudos += tally.kudos;
        match tally.action {
            WorkerAction::Generated => totals.generated += tally.kudos,
            WorkerAction::Uptime => totals.for_uptime += tally.kudos,
            WorkerAction::Interrogated => {}
        }
        totals.contributions += tally.contributions;
        totals.fulfilments += tally.fulfilments;
        totals.uncompleted += tally.uncompleted_jobs;
    }

    /// Takes over what a commit has changed of the worker.
    pub(crate) fn take_over(&mut self, stored: &StoredWorker) {
        self.name.clone_from(&stored.name);
        self.info.clone_from(&stored.info);
        self.team = stored.team;
        self.paused = stored.paused;
        self.maintenance = stored.maintenance;
        self.maintenance_message.clone_from(&stored.maintenance_message);
        self.suspicions = stored.suspicions.len();
    }

    pub(crate) fn kind(&self) -> WorkKind {
        self.service.kind()
    }

    pub(crate) fn is_online(&self, now: Timestamp) -> bool {
        now.since(self.last_check_in) <= ONLINE
    }

    /// Counts the time since the last check-in, and says whether a reward is due for it.
    pub(super) fn count_uptime(&mut self, now: Timestamp) -> bool {
        let mut meter = UptimeMeter {
            uptime: self.uptime,
            rewarded_until: self.last_reward_uptime,
        };
        let is_active = !self.paused && !self.maintenance;
        let is_due = meter.check_in(now.since(self.last_check_in), is_active);
        self.uptime = meter.uptime;
        self.last_reward_uptime = meter.rewarded_until;
        is_due
    }

    /// Things a second; seconds for a form.
    pub(crate) fn speed(&self) -> f64 {
        self.speed
            .filter(|speed| *speed > 0.0)
            .unwrap_or_else(|| self.service.unmeasured_speed())
    }

    /// The same, if it was ever measured.
    pub(crate) fn measured_speed(&self) -> Option<f64> {
        self.speed
    }

    /// Learns from a delivery how fast the worker is, in the unit of [`Worker::speed`].
    pub(crate) fn add_sample(&mut self, sample: f64) {
        if self.samples.len() == SPEED_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.speed = Some(self.samples.iter().sum::<f64>() / self.samples.len() as f64);
        self.dirty = true;
    }

    /// What the board compares requests of a kind with, and the models or forms that the worker serves;
    /// `None` if it does other work.
    pub(crate) fn offer<W: Work>(&self) -> Option<(W::Offer, Names)> {
        let serving = W::serving(&self.service)?;
        let standing = Standing {
            owner_trusted: self.owner_trusted,
            maintenance: self.maintenance,
            paused: self.paused,
            speed: self.speed(),
        };
        Some((
            W::offer(serving, standing),
            Arc::clone(W::offered(&serving.derived)),
        ))
    }

    /// What is written down about the worker from time to time.
    pub(crate) fn check_in_row(&self) -> WorkerCheckIn {
        let columns = self.service.columns();
        WorkerCheckIn {
            worker: self.id,
            at: self.last_check_in,
            ip: self.address.clone(),
            bridge_agent: self.bridge_agent.clone(),
            threads: self.threads as i32,
            max_power: columns.max_power,
            extra_slow: columns.extra_slow,
            allow_unsafe_ip: columns.allow_unsafe_ip,
            speed: self.speed,
            uptime: self.uptime.as_secs() as i64,
            last_reward_uptime: self.last_reward_uptime.as_secs() as i64,
            aborted_jobs: self.aborted_jobs,
            last_aborted_job: self.last_aborted_job,
            settings: self.service.to_stored(),
        }
    }
}

impl Registry {
    pub(crate) fn new(workers: impl IntoIterator<Item = Worker>) -> Self {
        let registry = Self {
            index: RwLock::default(),
            changes: AtomicU64::default(),
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
        self.note_change();
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
            .is_some_and(|worker| worker.lock().kind() != WorkKind::Alchemy)
    }

    pub(crate) fn name(&self, id: WorkerId) -> Option<String> {
        self.get(id).map(|worker| worker.lock().name.clone())
    }

    /// The name of a worker as clients get it.
    pub(crate) fn shown_name(&self, id: WorkerId) -> String {
        self.name(id).unwrap_or_else(|| "a deleted worker".to_owned())
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

    /// The workers of an account, whatever they do.
    pub(crate) fn all_of(&self, owner: UserId) -> Vec<SharedWorker> {
        let index = self.index.read();
        let ids = index.by_owner.get(&owner).into_iter().flatten();
        ids.filter_map(|id| index.by_id.get(id)).cloned().collect()
    }

    /// Takes over what a commit has changed of a worker.
    pub(crate) fn take_over(&self, stored: &StoredWorker) {
        let Some(worker) = self.get(stored.id) else { return };
        let old_name = {
            let mut worker = worker.lock();
            let old_name = worker.name.clone();
            worker.take_over(stored);
            old_name
        };
        if old_name != stored.name {
            let mut index = self.index.write();
            index.by_name.remove(&old_name);
            index.by_name.insert(stored.name.clone(), stored.id);
        }
        self.note_change();
    }

    /// Whether somebody is trusted has changed.
    pub(crate) fn owner_changed(&self, owner: UserId, trusted: bool) {
        for worker in self.all_of(owner) {
            worker.lock().owner_trusted = trusted;
        }
        self.note_change();
    }

    /// Forgets a worker.
    pub(crate) fn remove(&self, id: WorkerId) {
        let mut index = self.index.write();
        let Some(worker) = index.by_id.remove(&id) else {
            return;
        };
        let worker = worker.lock();
        index.by_name.remove(&worker.name);
        if let Some(ids) = index.by_owner.get_mut(&worker.owner) {
            ids.retain(|other| *other != id);
        }
        drop(worker);
        drop(index);
        self.note_change();
    }

    /// How many workers of each kind are online, and how many threads they have.
    pub(crate) fn presence(&self, now: Timestamp) -> Presence {
        let mut presence = Presence::default();
        for worker in self.all() {
            let worker = worker.lock();
            if worker.is_online(now) {
                let present = presence.0.entry(worker.kind()).or_default();
                present.workers += 1;
                present.threads += u64::from(worker.threads);
            }
        }
        presence
    }

    /// Forgets the workers of an account.
    pub(crate) fn remove_all_of(&self, owner: UserId) {
        for worker in self.all_of(owner) {
            let id = worker.lock().id;
            self.remove(id);
        }
    }

    pub(crate) fn all(&self) -> Vec<SharedWorker> {
        self.index.read().by_id.values().cloned().collect()
    }

    /// Looks again at what workers host, after the facts about models have changed.
    pub(crate) fn review(&self, facts: &Facts) {
        for worker in self.all() {
            let mut worker = worker.lock();
            let Worker {
                service,
                bridge_agent,
                ..
            } = &mut *worker;
            service.review(bridge_agent, facts);
        }
        self.note_change();
    }

    /// Someone came online or changed: the next look at who is there takes a new picture.
    pub(crate) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// How often somebody came online or changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
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
