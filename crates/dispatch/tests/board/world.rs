//! A small world of models, users, workers and requests, small enough that everything meets.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use muster_dispatch::{
    Blacklist, Pop, Ticket, WorkerList,
    image::{BridgeAgent, Demand, HostedModels, ModelFacts, NamedModels, Offer},
};
use muster_protocol::{
    Kudos, RequestId, Timestamp, UserId, WorkerId,
    image::{Baseline, PostProcessor, Sampler, SourceProcessing, Workflow},
};
use rand::{Rng, RngExt, seq::IndexedRandom};
use uuid::Uuid;

pub const MODELS: [&str; 8] = [
    "plain",
    "xl painter",
    "flux",
    "cascade",
    "unknown",
    "unknown [Qwen]",
    "horde_special::somebody#1",
    "only in requests",
];
pub const USERS: i64 = 5;
pub const WORKERS: u128 = 5;

pub fn reference() -> &'static HashMap<String, ModelFacts> {
    static REFERENCE: OnceLock<HashMap<String, ModelFacts>> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let of = ModelFacts::of;
        HashMap::from([
            ("plain".into(), of(Baseline::StableDiffusion1)),
            (
                "xl painter".into(),
                ModelFacts {
                    inpainting: true,
                    ..of(Baseline::StableDiffusionXl)
                },
            ),
            (
                "flux".into(),
                ModelFacts {
                    min_steps: Some(1),
                    max_steps: Some(30),
                    ..of(Baseline::Flux1)
                },
            ),
            (
                "cascade".into(),
                ModelFacts {
                    max_steps: Some(51),
                    ..of(Baseline::StableCascade)
                },
            ),
        ])
    })
}

pub fn request_id(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

pub fn worker_id(number: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(number))
}

/// A worker in the middle of a pop.
#[derive(Clone, Debug)]
pub struct Worker {
    pub id: WorkerId,
    pub owner: UserId,
    pub models: Vec<Arc<str>>,
    pub hosted: Vec<Arc<str>>,
    pub amount: u32,
    pub priority_users: Vec<UserId>,
    pub words: Vec<String>,
    pub offer: Offer,
}

impl Worker {
    pub fn pop(&self, now: Timestamp) -> Pop<'_, Offer> {
        Pop {
            worker: self.id,
            owner: self.owner,
            models: &self.models,
            amount: self.amount,
            priority_users: &self.priority_users,
            offer: &self.offer,
            now,
        }
    }
}

/// True once in `times`.
fn once_in(times: u32, rng: &mut impl Rng) -> bool {
    rng.random_ratio(1, times)
}

fn some_models(most: usize, rng: &mut impl Rng) -> Vec<Arc<str>> {
    let count = rng.random_range(0..=most);
    MODELS.sample(rng, count).map(|&name| Arc::from(name)).collect()
}

/// A worker. `odd` is how many of its settings differ from an able and willing one: the more, the
/// fewer requests it can serve.
pub fn random_worker(odd: u32, rng: &mut impl Rng) -> Worker {
    let agent = *[
        "AI Horde Worker reGen:20:x",
        "AI Horde Worker reGen:20:x",
        "AI Horde Worker reGen:4:x",
        "AI Horde Worker:24:x",
        "AI Horde Worker:12:x",
        "SD-WebUI Stable Horde Worker Bridge:4:x",
        "HordeAutoWebBridge:2:x",
        "nobody:1:x",
    ]
    .choose(rng)
    .unwrap();
    let rare = |rng: &mut _| odd > 0 && once_in(24 / odd.min(12), rng);
    let mut words = Vec::new();
    if rare(rng) || rare(rng) {
        words = ["CAT", "dög", "", "unlikely"]
            .sample(rng, 2)
            .map(|&word| word.to_owned())
            .collect();
    }
    let hosted = some_models(4, rng);
    let offer = Offer {
        bridge: BridgeAgent::parse(agent).capabilities(),
        max_pixels: *[4 << 20, 4 << 20, 1 << 20, 262_144, 0].choose(rng).unwrap(),
        speed: *[1e6, 1e6, 1e6, 500_000.0, 499_999.0].choose(rng).unwrap(),
        owner_trusted: !once_in(3, rng),
        nsfw: !rare(rng),
        allow_img2img: !rare(rng),
        allow_painting: !rare(rng),
        allow_unsafe_ipaddr: !rare(rng),
        allow_post_processing: !rare(rng),
        allow_controlnet: !rare(rng),
        allow_sdxl_controlnet: !rare(rng),
        allow_lora: !rare(rng),
        limit_max_steps: rare(rng),
        extra_slow_worker: rare(rng),
        require_upfront_kudos: rare(rng),
        maintenance: rare(rng),
        paused: rare(rng),
        blacklist: (!words.is_empty()).then(|| Arc::new(Blacklist::new(&words))),
        hosted: HostedModels::of(&hosted, reference()),
    };
    Worker {
        id: worker_id(rng.random_range(0..WORKERS)),
        owner: UserId(rng.random_range(1..USERS)),
        models: some_models(6, rng),
        hosted,
        amount: rng.random_range(1..6),
        priority_users: (0..rng.random_range(0..3))
            .map(|_| UserId(rng.random_range(0..USERS + 1)))
            .collect(),
        words,
        offer,
    }
}

/// A request. `odd` as for workers.
pub fn random_ticket(number: u128, now: Timestamp, odd: u32, rng: &mut impl Rng) -> Ticket<Demand> {
    let models = some_models(3, rng);
    let rare = |rng: &mut _| odd > 0 && once_in(24 / odd.min(12), rng);
    let sizes = [
        (512, 512),
        (512, 512),
        (1024, 1024),
        (512, 768),
        (2048, 2048),
        (64, 64),
    ];
    let &(width, height) = sizes.choose(rng).unwrap();
    let processors = [
        PostProcessor::GFPGAN,
        PostProcessor::NMKD_Siax,
        PostProcessor::RestoreFormer,
    ];
    let prompts = ["a Cat ### ugly", "ein DÖG", "a tree", "a house", "nothing"];
    let demand = Demand {
        prompt: Arc::from(*prompts.choose(rng).unwrap()),
        width,
        height,
        steps: *[20, 30, 31, 36, 8].choose(rng).unwrap(),
        sampler: if rare(rng) {
            *[Sampler::Lcm, Sampler::Ddim, Sampler::KHeun].choose(rng).unwrap()
        } else {
            Sampler::KEuler
        },
        karras: rng.random(),
        source_image: rare(rng),
        source_processing: if rare(rng) {
            SourceProcessing::Inpainting
        } else {
            SourceProcessing::Img2img
        },
        extra_source_images: rare(rng),
        post_processing: if rare(rng) {
            processors.sample(rng, 2).copied().collect()
        } else {
            Vec::new()
        },
        control: rare(rng),
        return_control_map: rare(rng),
        workflow: rare(rng).then_some(Workflow::QrCode),
        tiling: rare(rng),
        hires_fix: rare(rng),
        transparent: rare(rng),
        clip_skip: rare(rng).then(|| rng.random_range(1..4)),
        loras: rare(rng),
        lora_versions: rare(rng),
        textual_inversions: rare(rng),
        nsfw: rare(rng),
        trusted_workers: rare(rng),
        slow_workers: !rare(rng),
        extra_slow_workers: !rare(rng),
        safe_ip: !rare(rng),
        r2: rng.random(),
        disable_batching: rare(rng),
        requester_trusted: once_in(3, rng),
        price: Kudos::from_whole(10),
        available: Kudos::from_whole(rng.random_range(0..20)),
        named: NamedModels::of(&models, reference()),
    };
    let list: Vec<WorkerId> = (0..3).map(|_| worker_id(rng.random_range(0..WORKERS))).collect();
    let workers = match rng.random_range(0..6) {
        0 => WorkerList::Only(list),
        1 => WorkerList::Except(list),
        _ => WorkerList::Any,
    };
    Ticket {
        request: request_id(number),
        requester: UserId(rng.random_range(0..USERS)),
        priority: rng.random_range(-3..3) * 5,
        created: Timestamp::from_millis(now.millis() - rng.random_range(0..4) * 1000),
        expires: Timestamp::from_millis(now.millis() + rng.random_range(-1..40) * 1000),
        slots: rng.random_range(0..5),
        things: demand.things(),
        models,
        workers,
        demand,
    }
}
