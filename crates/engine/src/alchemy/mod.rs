//! Alchemy: what is special about it among the kinds of work.
//!
//! A request is about one picture and lists *forms*, each of which a worker takes by itself. So a form is a
//! numbered part of its request: a slot while it waits, a job while somebody works on it. The names of the
//! forms are to the board what models are elsewhere.

mod deliver;
mod forms;
mod pop;
mod request;
mod service;
mod status;
mod submit;

use std::{sync::Arc, time::Duration};

use muster_dispatch::{
    WorkerList,
    alchemy::{Alchemy, Demand, JOB_TTL, Offer, SkipReason, UNMEASURED_SECONDS},
};
use muster_kudos::income::ALCHEMY_UPTIME_REWARD;
use muster_protocol::{Kudos, UserId, WorkKind};
use muster_store::WorkerAction;

use crate::{
    Inner,
    live::{Live, LiveRequest},
    models::Facts,
    requests::LIFETIME,
    work::{Columns, Desk, Lease, Names, Part, Work},
    workers::{Serving, Standing, serves},
};
use request::AlchemyRequest;
use service::{AlchemySettings, Derived};

impl Work for Alchemy {
    const KIND: WorkKind = WorkKind::Alchemy;
    const CALLED: &'static str = "alchemy request";
    const ACTION: WorkerAction = WorkerAction::Interrogated;
    const ATTEMPTS: u32 = 4;
    const DROPS_AN_HOUR: i32 = 100;
    const NAMED_PARTS: bool = true;
    const UNMEASURED_SPEED: f64 = UNMEASURED_SECONDS;
    const WITHHOLDS_UPTIME: bool = false;
    const UNIT: f64 = 1.0;
    const ROOM: u64 = 10;
    const ADVICE: &'static str = "a smaller picture or another form";

    type Request = AlchemyRequest;
    type Metadata = ();
    type Settings = AlchemySettings;
    type Derived = Derived;

    fn desk(horde: &Inner) -> &Desk<Self> {
        &horde.alchemy
    }

    /// The forms that still wait, each name once.
    fn models(request: &LiveRequest<Self>) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for part in forms::waiting(request) {
            let name = request.spec.form_name(part);
            if !names.iter().any(|known| **known == *name) {
                names.push(name.into());
            }
        }
        names
    }

    fn worker_list(_: &AlchemyRequest) -> WorkerList {
        WorkerList::Any
    }

    fn demand(request: &AlchemyRequest, _: &Facts, _: Kudos, _: Kudos) -> Demand {
        request.demand()
    }

    /// Forms that somebody works on count, too.
    fn pending(live: &Live<Self>, user: UserId, _: &[Arc<str>]) -> u64 {
        live.board.pending_slots(user) + live.in_progress(user)
    }

    fn refusal_words(reason: SkipReason, _: &Demand) -> Option<String> {
        let words = match reason {
            SkipReason::Forms => return None,
            SkipReason::WorkerId => "its list of workers",
            SkipReason::MaxTiles => "the size of its picture",
            SkipReason::Performance => "wanting faster workers",
            SkipReason::Untrusted => "wanting workers of trusted owners",
            SkipReason::Maintenance => "not being their owner's",
        };
        Some(words.to_owned())
    }

    /// The first forms in the request's order that the worker takes.
    fn next_parts(request: &LiveRequest<Self>, models: &[Arc<str>], slots: u32) -> Vec<Part> {
        let taken = |part: &Part| {
            let name = request.spec.form_name(*part);
            models.iter().any(|model| **model == *name)
        };
        forms::waiting(request)
            .into_iter()
            .filter(taken)
            .take(slots as usize)
            .collect()
    }

    fn lease(_: &Demand, _: &Offer) -> Lease {
        Lease {
            ttl: Duration::from_secs(JOB_TTL),
            lifetime: LIFETIME,
        }
    }

    /// Forms are not measured.
    fn things(_: &Demand) -> u64 {
        0
    }

    fn amount(_: f64) -> f64 {
        0.0
    }

    serves!(Alchemy);

    fn derive(settings: &AlchemySettings, _: &str, _: &Facts) -> Derived {
        Derived::of(settings)
    }

    fn offered(derived: &Derived) -> &Names {
        &derived.forms
    }

    fn offer(serving: &Serving<Self>, standing: Standing) -> Offer {
        Offer {
            max_tiles: serving.settings.max_tiles,
            seconds_per_form: standing.speed,
            owner_trusted: standing.owner_trusted,
            maintenance: standing.maintenance,
        }
    }

    fn uptime_reward(_: &Serving<Self>, _: &str, _: &Facts) -> Kudos {
        ALCHEMY_UPTIME_REWARD
    }

    fn columns(settings: &AlchemySettings) -> Columns {
        Columns {
            max_power: i32::try_from(settings.max_tiles).unwrap_or(i32::MAX),
            ..Columns::default()
        }
    }
}
