//! The naive board: the specification's sections 7.5 to 7.7 and 7.11 written down row by row, with a
//! list that is walked for every question. Slow and obvious.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use muster_dispatch::{
    Due, QueuePlace, Reservation, Reserved, Ticket, Totals, WorkerList,
    image::{Capability, Demand, ModelFacts, Skipped},
};
use muster_protocol::{
    JobId, Kudos, RequestId, Timestamp, UserId, WorkerId,
    image::{Baseline, Workflow},
};
use rand::{Rng, seq::IndexedRandom};

use crate::world::{Worker, reference};

pub struct Request {
    pub ticket: Ticket<Demand>,
    pub cancelled: bool,
    pub tricked: Vec<WorkerId>,
    /// The expiry was announced and has not been moved since.
    pub announced: bool,
}

pub struct Job {
    pub id: JobId,
    pub request: RequestId,
    pub deadline: Timestamp,
    pub announced: bool,
}

#[derive(Default)]
pub struct Naive {
    pub requests: Vec<Request>,
    pub jobs: Vec<Job>,
    pub available: HashMap<UserId, Kudos>,
    pub now: Timestamp,
    pub matched_targeting: bool,
}

impl Naive {
    pub fn find(&mut self, id: RequestId) -> Option<&mut Request> {
        self.requests
            .iter_mut()
            .find(|request| request.ticket.request == id)
    }

    pub fn insert(&mut self, ticket: Ticket<Demand>) {
        if !ticket.demand.requester_trusted {
            self.available.insert(ticket.requester, ticket.demand.available);
        }
        self.requests.push(Request {
            ticket,
            cancelled: false,
            tricked: Vec::new(),
            announced: false,
        });
    }

    pub fn remove(&mut self, id: RequestId) {
        self.requests.retain(|request| request.ticket.request != id);
        self.jobs.retain(|job| job.request != id);
        let users: Vec<UserId> = self
            .requests
            .iter()
            .map(|request| request.ticket.requester)
            .collect();
        self.available.retain(|user, _| users.contains(user));
    }

    /// Everything that waits, in order.
    pub fn queue(&self) -> Vec<&Request> {
        let mut queue: Vec<&Request> = self
            .requests
            .iter()
            .filter(|it| it.ticket.slots > 0 && !it.cancelled && it.ticket.expires > self.now)
            .collect();
        // What 50 kudos every 10 seconds make of the priority until a moment that is the same for all.
        let moment = i128::from(self.now.millis());
        queue.sort_by_key(|it| {
            let waited = moment - i128::from(it.ticket.created.millis());
            let milli_kudos = i128::from(it.ticket.priority) * 1000 + waited * 5;
            (Reverse(milli_kudos), it.ticket.created, it.ticket.request)
        });
        queue
    }

    pub fn place(&self, id: RequestId) -> Option<QueuePlace> {
        let queue = self.queue();
        let index = queue.iter().position(|it| it.ticket.request == id)?;
        let ahead = &queue[..=index];
        Some(QueuePlace {
            position: ahead.len() as u64,
            jobs: ahead.iter().map(|it| u64::from(it.ticket.slots)).sum(),
            things: ahead
                .iter()
                .map(|it| u64::from(it.ticket.slots) * it.ticket.things)
                .sum(),
        })
    }

    pub fn totals(&self, model: Option<&str>) -> Totals {
        let mut totals = Totals::default();
        for it in self.queue() {
            if model.is_none_or(|model| it.ticket.models.iter().any(|name| &**name == model)) {
                totals.requests += 1;
                totals.jobs += u64::from(it.ticket.slots);
                totals.things += u64::from(it.ticket.slots) * it.ticket.things;
            }
        }
        totals
    }

    pub fn pending(&self, user: UserId, models: &[Arc<str>]) -> u64 {
        self.queue()
            .iter()
            .filter(|it| it.ticket.requester == user)
            .filter(|it| models.is_empty() || it.ticket.models.iter().any(|name| models.contains(name)))
            .map(|it| u64::from(it.ticket.slots))
            .sum()
    }

    /// Section 5.10 for one worker.
    pub fn is_possible(&mut self, id: RequestId, worker: &Worker) -> Option<bool> {
        let available = self.available.clone();
        let it = self.find(id)?;
        let (ticket, demand, offer) = (&it.ticket, &it.ticket.demand, &worker.offer);
        let own = ticket.requester == worker.owner;
        let rows = [
            ticket.workers.admits(worker.id),
            ticket.models.is_empty() || ticket.models.iter().any(|name| worker.models.contains(name)),
            !demand.trusted_workers || offer.owner_trusted,
            demand.safe_ip || offer.allow_unsafe_ipaddr,
            !demand.nsfw || offer.nsfw,
            own || !offer.maintenance && !offer.paused,
            pixels(demand) <= offer.max_pixels,
            !demand.source_image || offer.allow_img2img,
            demand.slow_workers || offer.speed >= 500_000.0,
            !demand.loras || offer.allow_lora && offer.bridge.has(Capability::Lora),
            !demand.source_processing.is_painting() || offer.allow_painting, // 7.6, row 11
            !demand.control || offer.allow_controlnet,                       // 7.6, row 20
        ];
        Some(rows.iter().all(|&row| row) && check(it, worker, &available).is_ok())
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        let requests = self
            .requests
            .iter()
            .filter(|it| !it.announced)
            .map(|it| it.ticket.expires);
        let jobs = self.jobs.iter().filter(|it| !it.announced).map(|it| it.deadline);
        requests.chain(jobs).min()
    }

    pub fn due(&mut self, now: Timestamp) -> Vec<Due> {
        self.now = self.now.max(now);
        let mut due = Vec::new();
        for it in self
            .requests
            .iter_mut()
            .filter(|it| !it.announced && it.ticket.expires <= now)
        {
            it.announced = true;
            due.push((it.ticket.expires, Due::RequestExpired(it.ticket.request)));
        }
        for it in self
            .jobs
            .iter_mut()
            .filter(|it| !it.announced && it.deadline <= now)
        {
            it.announced = true;
            due.push((it.deadline, Due::JobTimedOut(it.id)));
        }
        due.sort_unstable();
        due.into_iter().map(|(_, due)| due).collect()
    }

    pub fn reserve(&mut self, worker: &Worker, now: Timestamp, rng: &mut impl Rng) -> Reservation<Skipped> {
        self.now = self.now.max(now);
        let available = &self.available;
        let can = |it: &&&Request| candidate(it, worker);
        let passes = |it: &&Request| check(it, worker, available).is_ok();
        let first = |it: &&Request| {
            it.ticket.requester == worker.owner || worker.priority_users.contains(&it.ticket.requester)
        };
        let untargeted =
            |it: &&Request| !self.matched_targeting || !matches!(it.ticket.workers, WorkerList::Only(_));
        let queue = self.queue();
        let prioritised = queue
            .iter()
            .filter(|it| first(it))
            .filter(can)
            .find(|it| passes(it));
        let found = prioritised.or_else(|| {
            queue
                .iter()
                .filter(|it| untargeted(it))
                .filter(can)
                .find(|it| passes(it))
        });
        let Some(found) = found else {
            return Reservation::Nothing {
                skipped: self.skipped(worker, &queue, first, untargeted),
            };
        };
        let id = found.ticket.request;
        let names = &found.ticket.models;
        let common: Vec<Arc<str>> = names
            .iter()
            .filter(|name| worker.models.contains(name))
            .cloned()
            .collect();
        let model = if common.is_empty() {
            &worker.models
        } else {
            &common
        };
        let model = model.choose(rng).cloned().unwrap_or_else(|| Arc::from(""));
        let decoy = worker.offer.paused && found.ticket.requester != worker.owner;
        let request = self.find(id).unwrap();
        if decoy {
            request.tricked.push(worker.id);
            return Reservation::Reserved(Reserved {
                request: id,
                slots: 1,
                model,
                decoy,
            });
        }
        let slots = batch(&request.ticket, worker);
        request.ticket.slots -= slots;
        Reservation::Reserved(Reserved {
            request: id,
            slots,
            model,
            decoy,
        })
    }

    fn skipped(
        &self,
        worker: &Worker,
        queue: &[&Request],
        first: impl Fn(&&Request) -> bool,
        untargeted: impl Fn(&&Request) -> bool,
    ) -> Skipped {
        let offer = &worker.offer;
        let can = |capability| offer.bridge.has(capability);
        let mut s = Skipped::default();
        for it in queue {
            let (ticket, demand) = (&it.ticket, &it.ticket.demand);
            if offer.maintenance && ticket.requester != worker.owner {
                continue;
            }
            let count = |condition: bool| u64::from(condition);
            s.models +=
                count(!ticket.models.is_empty() && !ticket.models.iter().any(|m| worker.models.contains(m)));
            s.worker_id += count(match &ticket.workers {
                WorkerList::Any => false,
                // In maintenance only the owner's requests count, and those are prioritised.
                WorkerList::Only(_) if self.matched_targeting && !offer.maintenance => true,
                WorkerList::Only(list) => !list.contains(&worker.id),
                WorkerList::Except(list) => list.contains(&worker.id),
            });
            s.max_pixels += count(pixels(demand) > offer.max_pixels);
            s.unsafe_ip += count(!demand.safe_ip && !offer.allow_unsafe_ipaddr);
            s.nsfw += count(demand.nsfw && !offer.nsfw);
            s.post_processing += count(!demand.post_processing.is_empty() && !offer.allow_post_processing);
            s.performance += count(offer.speed <= 500_000.0 && !demand.slow_workers);
            s.performance += count(offer.extra_slow_worker && !demand.extra_slow_workers);
            s.untrusted += count(demand.trusted_workers && !offer.owner_trusted);
            let painting = demand.source_processing.is_painting();
            for (has, allowed, capability, field) in [
                (
                    demand.source_image,
                    offer.allow_img2img,
                    Capability::Img2img,
                    &mut s.img2img,
                ),
                (
                    painting,
                    offer.allow_painting,
                    Capability::Inpainting,
                    &mut s.painting,
                ),
                (demand.loras, offer.allow_lora, Capability::Lora, &mut s.lora),
                (
                    demand.control,
                    offer.allow_controlnet,
                    Capability::Controlnet,
                    &mut s.controlnet,
                ),
            ] {
                if has && !allowed {
                    *field += 1;
                } else if has && !can(capability) {
                    s.bridge_version += 1;
                }
            }
            s.bridge_version += count(demand.textual_inversions && !can(Capability::TextualInversion));
            s.bridge_version += count(
                !offer.bridge.samples(demand.sampler, demand.karras)
                    || demand.hires_fix && !can(Capability::HiresFix)
                    || demand.return_control_map && !can(Capability::ReturnControlMap)
                    || demand.tiling && !can(Capability::Tiling)
                    || demand.transparent && !can(Capability::LayerDiffuse),
            );
            if candidate(it, worker) && (untargeted(it) || first(it)) {
                match check(it, worker, &self.available) {
                    Err("bridge_version") => s.bridge_version += 1,
                    Err("kudos") => s.kudos += 1,
                    Err("blacklist") => s.blacklist += 1,
                    Err("step_count") => s.step_count += 1,
                    _ => {}
                }
            }
        }
        s
    }
}

fn pixels(demand: &Demand) -> u64 {
    u64::from(demand.width) * u64::from(demand.height)
}

fn facts(name: &str) -> Option<ModelFacts> {
    reference().get(name).copied()
}

/// Section 7.5 without row 1.
fn candidate(it: &Request, worker: &Worker) -> bool {
    let (ticket, demand, offer) = (&it.ticket, &it.ticket.demand, &worker.offer);
    let can = |capability| offer.bridge.has(capability);
    let special =
        |name: &Arc<str>| name.contains("horde_special") || &**name == "SDXL_beta::stability.ai#6901";
    let rows = [
        pixels(demand) <= offer.max_pixels,
        ticket.models.iter().any(|name| worker.models.contains(name))
            || ticket.models.is_empty() && !worker.models.iter().any(special),
        !demand.source_image || offer.allow_img2img,
        !demand.source_processing.is_painting() || offer.allow_painting,
        !demand.extra_source_images || can(Capability::ExtraSourceImages),
        demand.safe_ip || offer.allow_unsafe_ipaddr,
        !demand.nsfw || offer.nsfw,
        can(Capability::R2) || !demand.r2,
        !demand.loras || offer.allow_lora && can(Capability::Lora),
        !demand.textual_inversions || can(Capability::TextualInversion),
        !demand.control || offer.allow_controlnet && can(Capability::Controlnet),
        offer.speed >= 500_000.0 || demand.slow_workers,
        !offer.extra_slow_worker || demand.extra_slow_workers,
        !demand.transparent || can(Capability::LayerDiffuse) && offer.allow_sdxl_controlnet,
        !offer.maintenance || ticket.requester == worker.owner,
        match &ticket.workers {
            WorkerList::Any => true,
            WorkerList::Only(list) => list.contains(&worker.id),
            WorkerList::Except(list) => !list.contains(&worker.id),
        },
    ];
    rows.iter().all(|&row| row)
}

/// Section 7.6: the first row that fails. Rows that can't fail for a candidate are left out.
fn check(it: &Request, worker: &Worker, available: &HashMap<UserId, Kudos>) -> Result<(), &'static str> {
    let (ticket, demand, offer) = (&it.ticket, &it.ticket.demand, &worker.offer);
    let can = |capability| offer.bridge.has(capability);
    let hosts = |test: &dyn Fn(ModelFacts) -> bool| {
        worker
            .hosted
            .iter()
            .any(|name| test(facts(name).unwrap_or_else(|| ModelFacts::of(Baseline::default()))))
    };
    let hosts_family = |baseline| hosts(&|facts| facts.baseline == baseline);
    let painting = demand.source_processing.is_painting();
    let qr_code = demand.workflow == Some(Workflow::QrCode);
    let prompt = demand.prompt.to_lowercase();
    let unless = |fails: bool, reason| if fails { Err(reason) } else { Ok(()) };
    unless(demand.trusted_workers && !offer.owner_trusted, "untrusted")?; // 4
    unless(it.tricked.contains(&worker.id), "secret")?; // 5
    unless(
        worker
            .words
            .iter()
            .any(|word| !word.is_empty() && prompt.contains(&word.to_lowercase())),
        "blacklist",
    )?;
    unless(demand.source_image && !can(Capability::Img2img), "img2img")?; // 8
    unless(painting && !can(Capability::Inpainting), "painting")?;
    unless(painting && !hosts(&|facts| facts.inpainting), "models")?;
    unless(
        !painting && !worker.hosted.is_empty() && !hosts(&|facts| !facts.inpainting),
        "models",
    )?; // 12
    unless(
        !offer.bridge.samples(demand.sampler, demand.karras),
        "bridge_version",
    )?;
    unless(
        !demand.post_processing.is_empty() && !can(Capability::PostProcessing),
        "bridge_version",
    )?;
    unless(
        demand.post_processing.iter().any(|&it| !offer.bridge.runs(it)),
        "bridge_version",
    )?;
    unless(demand.tiling && !can(Capability::Tiling), "bridge_version")?; // 17
    unless(
        demand.return_control_map && !can(Capability::ReturnControlMap),
        "bridge_version",
    )?;
    let control = can(Capability::Controlnet) && can(Capability::ImageIsControl);
    unless(demand.control && !control, "bridge_version")?; // 19
    unless(
        qr_code && !(can(Capability::Controlnet) && can(Capability::QrCode)),
        "bridge_version",
    )?;
    let sdxl = hosts_family(Baseline::StableDiffusionXl);
    unless(qr_code && sdxl && !offer.allow_sdxl_controlnet, "controlnet")?; // 22
    unless(demand.hires_fix && !can(Capability::HiresFix), "bridge_version")?;
    let cascade = hosts_family(Baseline::StableCascade);
    unless(
        demand.hires_fix && cascade && !can(Capability::StableCascade2pass),
        "bridge_version",
    )?;
    unless(
        hosts_family(Baseline::Flux1) && !can(Capability::Flux),
        "bridge_version",
    )?; // 25
    unless(
        demand.clip_skip.unwrap_or(1) > 1 && !can(Capability::ClipSkip),
        "bridge_version",
    )?;
    unless(
        demand.lora_versions && !can(Capability::LoraVersions),
        "bridge_version",
    )?;
    let limiting = if ticket.models.is_empty() {
        &worker.hosted
    } else {
        &ticket.models
    };
    let steps = f64::from(demand.sampler.accurate_steps(demand.steps));
    let too_many = limiting.iter().any(|name| {
        let (min, max) = facts(name).map_or((None, None), |facts| (facts.min_steps, facts.max_steps));
        steps > f64::from(min.unwrap_or(20) + max.unwrap_or(40)) / 2.0
    });
    unless(offer.limit_max_steps && too_many, "step_count")?; // 29
    unless(
        !offer.owner_trusted && !demand.safe_ip && !demand.requester_trusted,
        "untrusted",
    )?;
    unless(
        !offer.allow_post_processing && !demand.post_processing.is_empty(),
        "post-processing",
    )?;
    let exempt = demand.requester_trusted || worker.priority_users.contains(&ticket.requester);
    let owns = available.get(&ticket.requester).copied().unwrap_or_default();
    unless(
        offer.require_upfront_kudos && !exempt && owns < demand.price,
        "kudos",
    ) // 32
}

/// Section 7.7.
fn batch(ticket: &Ticket<Demand>, worker: &Worker) -> u32 {
    let demand = &ticket.demand;
    if demand.disable_batching {
        return 1;
    }
    let weights = BTreeMap::from([
        (Baseline::Flux1, 5.0),
        (Baseline::QwenImage, 10.0),
        (Baseline::ZImageTurbo, 8.0),
    ]);
    let weight = ticket
        .models
        .iter()
        .map(|name| facts(name).map_or_else(|| Baseline::guess(name), |facts| facts.baseline))
        .map(|baseline| weights.get(&baseline).copied().unwrap_or(1.0))
        .fold(1.0, f64::max);
    let mut processing = 1.0 + 0.4 * demand.post_processing.len() as f64;
    if demand.transparent || demand.post_processing.iter().any(|it| it.is_heavy()) {
        processing *= 1.8;
    }
    let cost = pixels(demand) as f64 * processing * weight;
    let safe = (worker.offer.max_pixels as f64 / 3.5 * f64::from(worker.amount) / cost).round_ties_even();
    (safe.max(1.0) as u32).min(worker.amount).min(ticket.slots)
}
