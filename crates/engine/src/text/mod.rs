//! Texts: what is special about them among the kinds of work.

mod deliver;
mod pop;
mod request;
mod rules;
mod service;
mod status;
mod submit;

use std::{sync::Arc, time::Duration};

use muster_dispatch::{
    WorkerList,
    text::{Demand, Offer, SkipReason, Text},
};
use muster_kudos::{income::text_uptime_reward, text::Model};
use muster_protocol::{Kudos, WorkKind, text::Metadata};
use muster_store::WorkerAction;

use crate::{
    Inner,
    live::LiveRequest,
    models::Facts,
    requests::LIFETIME,
    work::{Columns, Desk, Lease, Names, Work},
    workers::{Serving, Standing, serves},
};
use request::TextRequest;
pub(crate) use rules::check_params as check_text_params;
use service::{Derived, TextSettings, is_validated};

impl Work for Text {
    const KIND: WorkKind = WorkKind::Text;
    const CALLED: &'static str = "text request";
    const ACTION: WorkerAction = WorkerAction::Generated;
    const ATTEMPTS: u32 = 3;
    const DROPS_AN_HOUR: i32 = 20;
    const UNMEASURED_SPEED: f64 = muster_dispatch::text::UNMEASURED_SPEED;
    const UNIT: f64 = 1.0;
    const ADVICE: &'static str = "fewer tokens or another model";

    type Request = TextRequest;
    type Metadata = Metadata;
    type Settings = TextSettings;
    type Derived = Derived;

    fn desk(horde: &Inner) -> &Desk<Self> {
        &horde.text
    }

    fn models(request: &LiveRequest<Self>) -> Vec<Arc<str>> {
        request.spec.models.clone()
    }

    fn worker_list(request: &TextRequest) -> WorkerList {
        crate::requests::worker_list(&request.workers, request.worker_blacklist)
    }

    fn demand(request: &TextRequest, _: &Facts, _: Kudos, _: Kudos) -> Demand {
        request.demand()
    }

    fn share_texts(request: &mut TextRequest, facts: &Facts) {
        for model in &mut request.models {
            *model = facts.text.shared_name(model);
        }
    }

    fn refusal_words(reason: SkipReason, demand: &Demand) -> Option<String> {
        let words = match reason {
            SkipReason::Models => return None,
            SkipReason::MaxLength => return Some(format!("its {} tokens", demand.max_length)),
            SkipReason::MaxContextLength => {
                return Some(format!("its context of {} tokens", demand.max_context_length));
            }
            SkipReason::WorkerId => "its list of workers",
            SkipReason::Performance => "wanting faster workers",
            SkipReason::Untrusted => "wanting workers of trusted owners",
            SkipReason::BridgeVersion => "wanting a validated backend",
            // That a worker is paused is nobody's business.
            SkipReason::Maintenance | SkipReason::Secret => "not being their owner's",
        };
        Some(words.to_owned())
    }

    fn lease(demand: &Demand, _: &Offer) -> Lease {
        Lease {
            ttl: Duration::from_secs(demand.job_ttl()),
            lifetime: LIFETIME,
        }
    }

    /// Tokens asked for.
    fn archived(request: &TextRequest, _: &str) -> Option<u64> {
        Some(u64::from(request.params.length()))
    }

    /// Tokens.
    fn things(demand: &Demand) -> u64 {
        u64::from(demand.max_length)
    }

    /// Tokens.
    fn amount(things: f64) -> f64 {
        things
    }

    serves!(Text);

    fn derive(settings: &TextSettings, bridge_agent: &str, facts: &Facts) -> Derived {
        Derived::of(settings, bridge_agent, &facts.text)
    }

    fn offered(derived: &Derived) -> &Names {
        &derived.models
    }

    fn offer(serving: &Serving<Self>, standing: Standing) -> Offer {
        service::offer(&serving.settings, &serving.derived, standing)
    }

    fn uptime_reward(serving: &Serving<Self>, bridge_agent: &str, facts: &Facts) -> Kudos {
        let TextSettings {
            models,
            max_context_length,
            ..
        } = &serving.settings;
        let first = models
            .first()
            .map_or(Model::Unknown, |model| facts.text.priced(model));
        text_uptime_reward(*max_context_length, first, is_validated(bridge_agent))
    }

    fn columns(settings: &TextSettings) -> Columns {
        Columns {
            max_power: i32::try_from(settings.max_length).unwrap_or(i32::MAX),
            ..Columns::default()
        }
    }
}
