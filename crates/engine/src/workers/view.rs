//! How workers look from outside (spec: accounts, sections 10.4 and 11).

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use muster_dispatch::image::Capability;
use muster_protocol::{
    ReturnCode, TeamDetailsLite, Timestamp, UserId, WorkKind, WorkerDetails, WorkerDetailsLite, WorkerId,
    WorkerKudosDetails, WorkerMessageDetails,
};
use muster_store::Role;
use parking_lot::Mutex;
use serde_json::Value;
use uuid::Uuid;

use super::{
    registry::{SharedWorker, Worker},
    service::Service,
};
use crate::{Call, Engine, EngineError, accounts::Caller, error::Result};

/// Which of the workers that are online are listed.
#[derive(Clone, Debug, Default)]
pub struct WorkerFilter {
    /// Only the one with this name, whatever its capitals; then the kind does not matter.
    pub name: Option<String>,
    /// Only those of this kind: `image`, `text` or `interrogation`.
    pub kind: Option<String>,
}

/// The workers that were online a moment ago.
#[derive(Debug)]
pub struct WorkerList {
    taken: Timestamp,
    changes: u64,
    workers: Vec<WorkerDetails>,
    json: OnceLock<Bytes>,
}

impl WorkerList {
    /// All of them as JSON.
    #[allow(clippy::missing_panics_doc)] // details are plain data
    pub fn json(&self) -> Bytes {
        let write = || {
            serde_json::to_vec(&self.workers)
                .expect("details are plain data")
                .into()
        };
        self.json.get_or_init(write).clone()
    }

    /// Some of them.
    pub fn filtered<'a>(&'a self, filter: &'a WorkerFilter) -> impl Iterator<Item = &'a WorkerDetails> {
        let name = filter.name.as_deref().filter(|name| !name.is_empty());
        let name = name.map(str::to_lowercase);
        self.workers
            .iter()
            .filter(move |worker| match (&name, &filter.kind) {
                (Some(name), _) => worker.lite.name.to_lowercase() == *name,
                (None, Some(kind)) => worker.lite.kind.as_ref() == kind,
                (None, None) => true,
            })
    }
}

/// The latest lists: as everybody sees them, and as moderators do.
#[derive(Debug, Default)]
pub(crate) struct WorkerLists([Mutex<Option<Arc<WorkerList>>>; 2]);

/// What is told of a worker that is not its own: its owner, its team.
struct Surroundings {
    owner: Option<Caller>,
    team: TeamDetailsLite,
    messages: Vec<WorkerMessageDetails>,
}

impl Engine {
    /// The workers that are online. The list is made anew once a second at most.
    ///
    /// # Errors
    /// The database failed.
    pub async fn worker_list(&self, call: &Call) -> Result<Arc<WorkerList>> {
        let moderator = self.is_moderator(call).await?;
        let now = self.clock.now();
        let latest = self.worker_lists.0[usize::from(moderator)].lock().clone();
        if let Some(list) = latest
            && now >= list.taken
            && (now.since(list.taken) < self.config.worker_list_lifetime)
        {
            return Ok(list);
        }
        let changes = self.workers.changes();
        let list = Arc::new(WorkerList {
            taken: now,
            changes,
            workers: self.online_workers(moderator, now).await?,
            json: OnceLock::new(),
        });
        let mut latest = self.worker_lists.0[usize::from(moderator)].lock();
        if latest.as_ref().is_none_or(|other| other.changes <= changes) {
            *latest = Some(Arc::clone(&list));
        }
        Ok(list)
    }

    async fn online_workers(&self, moderator: bool, now: Timestamp) -> Result<Vec<WorkerDetails>> {
        let mut online: Vec<(WorkKind, String, SharedWorker)> = Vec::new();
        for worker in self.workers.all() {
            let known = worker.lock();
            if known.is_online(now) {
                let (kind, name) = (known.kind(), known.name.clone());
                drop(known);
                online.push((kind, name, worker));
            }
        }
        online.sort_unstable_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        let teams = self.team_names().await?;
        let mut workers = Vec::with_capacity(online.len());
        for (_, _, worker) in online {
            workers.push(self.worker_view(&worker, &teams, moderator, now).await?);
        }
        Ok(workers)
    }

    /// A worker by its id, online or not.
    ///
    /// # Errors
    /// `WorkerNotFound`.
    pub async fn worker(&self, call: &Call, id: &str) -> Result<WorkerDetails> {
        let worker = self.find_worker(id)?;
        self.look_at(call, &worker).await
    }

    /// A worker by its exact name, online or not.
    ///
    /// # Errors
    /// `WorkerNotFound`.
    pub async fn worker_by_name(&self, call: &Call, name: &str) -> Result<WorkerDetails> {
        let worker = self.workers.by_name(name).ok_or_else(unknown_worker)?;
        self.look_at(call, &worker).await
    }

    async fn look_at(&self, call: &Call, worker: &SharedWorker) -> Result<WorkerDetails> {
        let moderator = self.is_moderator(call).await?;
        let teams = self.team_names().await?;
        self.worker_view(worker, &teams, moderator, self.clock.now())
            .await
    }

    /// All workers that are known, as JSON.
    pub(crate) async fn known_workers(&self) -> Result<Value> {
        let teams = self.team_names().await?;
        let mut workers = self.workers.all();
        workers.sort_by_cached_key(|worker| worker.lock().name.clone());
        let mut views = Vec::with_capacity(workers.len());
        for worker in workers {
            views.push(self.worker_view(&worker, &teams, true, self.clock.now()).await?);
        }
        Ok(serde_json::to_value(views).expect("views are plain data"))
    }

    /// Everything that is known of a worker, as JSON.
    pub(crate) async fn show_worker(&self, id: WorkerId) -> Result<Value> {
        let worker = self.workers.get(id).ok_or_else(unknown_worker)?;
        let teams = self.team_names().await?;
        let view = self.worker_view(&worker, &teams, true, self.clock.now()).await?;
        Ok(serde_json::to_value(view).expect("views are plain data"))
    }

    /// A worker that is known.
    ///
    /// # Errors
    /// `WorkerNotFound`.
    pub(crate) fn find_worker(&self, id: &str) -> Result<SharedWorker> {
        let id: Option<WorkerId> = id.parse().ok();
        id.and_then(|id| self.workers.get(id)).ok_or_else(unknown_worker)
    }

    async fn worker_view(
        &self,
        worker: &SharedWorker,
        teams: &HashMap<Uuid, String>,
        moderator: bool,
        now: Timestamp,
    ) -> Result<WorkerDetails> {
        let (id, owner, team): (WorkerId, UserId, Option<Uuid>) = {
            let worker = worker.lock();
            (worker.id, worker.owner, worker.team)
        };
        let owner = self.accounts.get(&self.store, owner).await?;
        let team = team.and_then(|team| Some((team, teams.get(&team)?.clone())));
        let around = Surroundings {
            owner,
            team: team.map_or_else(TeamDetailsLite::default, |(id, name)| TeamDetailsLite {
                name: Some(name),
                id: Some(id),
            }),
            messages: self.messages.to_worker(id, now),
        };
        Ok(details(&worker.lock(), around, moderator, now))
    }
}

/// The refusal of a worker that nobody knows.
pub(crate) fn unknown_worker() -> EngineError {
    EngineError::refused(ReturnCode::WorkerNotFound, "There is no such worker.")
}

/// A worker in short.
pub(crate) fn in_short(worker: &Worker, now: Timestamp) -> WorkerDetailsLite {
    WorkerDetailsLite {
        kind: worker.kind(),
        name: worker.name.clone(),
        id: worker.id,
        online: worker.is_online(now),
    }
}

fn details(worker: &Worker, around: Surroundings, moderator: bool, now: Timestamp) -> WorkerDetails {
    let Surroundings {
        owner,
        team,
        messages,
    } = around;
    let owner = owner.as_ref();
    let totals = &worker.totals;
    let shows_owner = moderator || owner.is_some_and(|owner| owner.account().public_workers);
    let earned = |kudos: muster_protocol::Kudos| (kudos != muster_protocol::Kudos::ZERO).then_some(kudos);
    let mut details = WorkerDetails {
        lite: in_short(worker, now),
        requests_fulfilled: totals.fulfilments,
        kudos_rewards: totals.kudos.whole() as f64,
        kudos_details: WorkerKudosDetails {
            generated: earned(totals.generated).map(|kudos| kudos.whole() as f64),
            uptime: earned(totals.for_uptime).map(muster_protocol::Kudos::whole),
        },
        performance: performance(worker),
        threads: worker.threads,
        uptime: worker.uptime.as_secs(),
        maintenance_mode: worker.maintenance,
        paused: moderator.then_some(worker.paused),
        info: worker.info.clone(),
        nsfw: false,
        owner: owner.filter(|_| shows_owner).map(Caller::alias),
        ipaddr: worker.address.clone().filter(|_| moderator),
        contact: owner
            .filter(|_| moderator)
            .and_then(|owner| owner.account().contact.clone()),
        trusted: owner.is_some_and(Caller::is_trusted),
        flagged: owner.is_some_and(|owner| owner.has(Role::Flagged)),
        suspicious: moderator.then_some(worker.suspicions as u32),
        uncompleted_jobs: totals.uncompleted,
        models: None,
        forms: None,
        team,
        bridge_agent: worker.bridge_agent.clone(),
        max_pixels: None,
        megapixelsteps_generated: None,
        img2img: None,
        painting: None,
        post_processing: None,
        lora: None,
        controlnet: None,
        sdxl_controlnet: None,
        max_length: None,
        max_context_length: None,
        messages: shows_owner.then_some(messages),
    };
    add_abilities(&mut details, worker);
    details
}

/// What only workers of one kind have.
fn add_abilities(details: &mut WorkerDetails, worker: &Worker) {
    let names = |names: &[Arc<str>]| Some(names.iter().map(ToString::to_string).collect());
    match &worker.service {
        Service::Image(serving) => {
            let settings = &serving.settings;
            let bridge = serving.derived.bridge;
            details.nsfw = settings.nsfw;
            details.models = names(&settings.models);
            details.max_pixels = Some(settings.max_pixels);
            details.megapixelsteps_generated = Some(worker.totals.contributions.trunc());
            details.img2img = Some(settings.allow_img2img && bridge.has(Capability::Img2img));
            details.painting = Some(settings.allow_painting && bridge.has(Capability::Inpainting));
            details.post_processing = Some(settings.allow_post_processing);
            details.lora = Some(settings.allow_lora);
            details.controlnet = Some(settings.allow_controlnet);
            details.sdxl_controlnet = Some(settings.allow_sdxl_controlnet);
        }
        Service::Text(serving) => {
            let settings = &serving.settings;
            details.nsfw = settings.nsfw;
            details.models = names(&settings.models);
            details.max_length = Some(settings.max_length);
            details.max_context_length = Some(settings.max_context_length);
        }
        Service::Alchemy(serving) => details.forms = names(&serving.derived.forms),
    }
}

/// How fast a worker is. Clients read the number in front.
fn performance(worker: &Worker) -> String {
    match worker.kind() {
        WorkKind::Image => format!("{:.1} megapixelsteps per second", worker.speed() / 1e6),
        WorkKind::Text => format!("{:.1} tokens per second", worker.speed()),
        WorkKind::Alchemy => match worker.measured_speed() {
            Some(seconds) => format!("{seconds:.1} seconds per form"),
            None => "No requests fulfilled yet".to_owned(),
        },
    }
}
