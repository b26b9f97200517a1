//! Pictures: what is special about them among the kinds of work.

mod deliver;
mod pop;
mod rate;
mod reasons;
mod request;
mod result;
mod rules;
mod seed;
mod service;
mod share;
mod sources;
mod status;
mod submit;
mod upfront;
mod warnings;

use std::{sync::Arc, time::Duration};

use muster_dispatch::{
    WorkerList,
    image::{Demand, Image, Offer, SkipReason},
};
use muster_kudos::income::image_uptime_reward;
use muster_protocol::{
    Kudos, WorkKind,
    image::{Metadata, SPECIAL_MODEL},
};
use muster_store::WorkerAction;
use rand::rngs::StdRng;

use crate::{
    Inner,
    live::LiveRequest,
    models::Facts,
    requests::LIFETIME,
    work::{Columns, Desk, Lease, Names, Work},
    workers::{Serving, Standing, serves},
};
pub use rate::RatingService;
use request::ImageRequest;
pub(crate) use rules::{check_special_models, check_style_params};
use service::{Derived, ImageSettings};
pub(crate) use warnings::unsuitable_parameters;

/// How long a request lives at least after an extra slow worker took one of its jobs.
const EXTRA_SLOW_LIFETIME: Duration = Duration::from_hours(1);

impl Work for Image {
    const KIND: WorkKind = WorkKind::Image;
    const CALLED: &'static str = "image request";
    const ACTION: WorkerAction = WorkerAction::Generated;
    const ATTEMPTS: u32 = 3;
    const DROPS_AN_HOUR: i32 = 20;
    const UNMEASURED_SPEED: f64 = 1_000_000.0;
    const UNIT: f64 = 1_000_000.0;
    const ADVICE: &'static str = "a smaller picture or another model";

    type Request = ImageRequest;
    type Metadata = Metadata;
    type Settings = ImageSettings;
    type Derived = Derived;

    fn desk(horde: &Inner) -> &Desk<Self> {
        &horde.image
    }

    fn models(request: &LiveRequest<Self>) -> Vec<Arc<str>> {
        request.spec.models.clone()
    }

    fn worker_list(request: &ImageRequest) -> WorkerList {
        crate::requests::worker_list(&request.workers, request.worker_blacklist)
    }

    fn demand(request: &ImageRequest, facts: &Facts, price: Kudos, available: Kudos) -> Demand {
        request.demand(&facts.image, price, available)
    }

    fn share_texts(request: &mut ImageRequest, facts: &Facts) {
        for model in &mut request.models {
            *model = facts.image.shared_name(model);
        }
    }

    fn refusal_words(reason: SkipReason, demand: &Demand) -> Option<String> {
        reasons::words(reason, demand)
    }

    fn lease(demand: &Demand, offer: &Offer) -> Lease {
        Lease {
            ttl: Duration::from_secs(demand.job_ttl(offer.extra_slow_worker)),
            lifetime: if offer.extra_slow_worker {
                EXTRA_SLOW_LIFETIME
            } else {
                LIFETIME
            },
        }
    }

    fn seed(request: &ImageRequest, remaining: u32, rng: &mut StdRng) -> i64 {
        request.seed_for_pop(remaining, rng)
    }

    /// Pixelsteps, of the steps that were asked for. What owners do with special models is theirs.
    fn archived(request: &ImageRequest, model: &str) -> Option<u64> {
        let pixels = u64::from(request.width) * u64::from(request.height);
        (!model.contains(SPECIAL_MODEL)).then_some(pixels * u64::from(request.steps))
    }

    /// Pixelsteps.
    fn things(demand: &Demand) -> u64 {
        demand.things()
    }

    /// Megapixelsteps.
    fn amount(things: f64) -> f64 {
        things / 1e6
    }

    serves!(Image);

    fn derive(settings: &ImageSettings, bridge_agent: &str, facts: &Facts) -> Derived {
        Derived::of(settings, bridge_agent, &facts.image)
    }

    fn offered(derived: &Derived) -> &Names {
        &derived.models
    }

    fn offer(serving: &Serving<Self>, standing: Standing) -> Offer {
        service::offer(&serving.settings, &serving.derived, standing)
    }

    fn uptime_reward(serving: &Serving<Self>, _: &str, _: &Facts) -> Kudos {
        let settings = &serving.settings;
        image_uptime_reward(settings.models.len() as u32, settings.allow_lora)
    }

    fn announced_pixels(settings: &ImageSettings) -> Option<u64> {
        Some(settings.max_pixels)
    }

    fn columns(settings: &ImageSettings) -> Columns {
        settings.columns()
    }
}
