//! [`Work`]: what the engine must be told about a kind of work, so that one life cycle serves all kinds.
//!
//! Requests of every kind are accepted, put on a board, handed out, timed, given up, paid for and
//! forgotten by the same code (`requests`, `jobs`, `live`, `restore`, `duties`). A kind adds what a request
//! asks for, what a worker offers and how the two look on the wire; it lives in a module of its own
//! (`image`, `text`, `alchemy`), whose `mod.rs` implements this trait.

use std::{fmt, sync::Arc, time::Duration};

use muster_dispatch::{Kind, WorkerList};
use muster_protocol::{Kudos, UserId, WorkKind};
use muster_store::WorkerAction;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    EngineConfig, Inner,
    live::{Live, LiveRequest},
    models::Facts,
    workers::{OnlineCache, Service, Serving, Standing},
};

/// A kind of work.
pub(crate) trait Work:
    Kind<
        Demand: Clone + fmt::Debug + Send + Sync,
        Offer: Clone + fmt::Debug + Send + Sync,
        Skipped: Send,
        SkipReason: Copy + fmt::Debug + PartialEq + Send,
        Tally: Send,
    > + Clone
    + fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// Its name in the store.
    const KIND: WorkKind;
    /// What people call such a request.
    const CALLED: &'static str;
    /// How a worker's earnings are booked.
    const ACTION: WorkerAction;
    /// How often a job is tried before it is given up.
    const ATTEMPTS: u32;
    /// Jobs that a worker may drop within an hour.
    const DROPS_AN_HOUR: i32;
    /// Whether the jobs of a request differ: each does a part of its own. Then the request itself is
    /// never given up, only its parts are.
    const NAMED_PARTS: bool = false;
    /// What a worker's speed counts as before its first delivery.
    const UNMEASURED_SPEED: f64;
    /// How many things waiting times are reckoned in, see [`muster_dispatch::Waiting::unit`].
    const UNIT: f64;

    /// Whether what a worker of an untrusted owner earns for being there is held back.
    const WITHHOLDS_UPTIME: bool = true;
    /// How many jobs an account may have waiting, as a multiple of its concurrency.
    const ROOM: u64 = 1;
    /// What may be served sooner than a request that nobody serves.
    const ADVICE: &'static str;

    /// What a request asks for. Does not change while it lives; stored as JSON.
    type Request: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync;
    /// A remark of a worker about a result.
    type Metadata: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync;
    /// What a worker says about itself. Stored as JSON.
    type Settings: Clone + fmt::Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// What follows from that and is dear to compute with every pop.
    type Derived: fmt::Debug + Send + Sync;

    /// Where the requests of this kind are.
    fn desk(horde: &Inner) -> &Desk<Self>;

    /// The models that a request names and that still wait for a worker.
    fn models(request: &LiveRequest<Self>) -> Vec<Arc<str>>;

    /// The workers that a request names.
    fn worker_list(request: &Self::Request) -> WorkerList;

    /// What the board compares with workers. `price` and `available`: what a worker may ask the requester
    /// to own, and what the requester owns.
    fn demand(request: &Self::Request, facts: &Facts, price: Kudos, available: Kudos) -> Self::Demand;

    /// Makes a request that was read from the store share the texts that many have in common.
    fn share_texts(_request: &mut Self::Request, _facts: &Facts) {}

    /// The jobs that count against an account which asks for `models`. What the anonymous account has waiting
    /// for other models does not count against it.
    fn pending(live: &Live<Self>, user: UserId, models: &[Arc<str>]) -> u64 {
        if user.is_anonymous() {
            live.board.pending_anonymous(models)
        } else {
            live.board.pending_slots(user)
        }
    }

    /// What a worker refuses a request for, in words; `None` if it serves none of its models.
    fn refusal_words(reason: Self::SkipReason, demand: &Self::Demand) -> Option<String>;

    /// The parts of a request that a worker which offers `models` gets with `slots` of its slots.
    fn next_parts(_request: &LiveRequest<Self>, _models: &[Arc<str>], slots: u32) -> Vec<Part> {
        vec![0; slots as usize]
    }

    /// For how long a job is a worker's.
    fn lease(demand: &Self::Demand, offer: &Self::Offer) -> Lease;

    /// The seed of the next job, with `remaining` slots left before it.
    fn seed(_request: &Self::Request, _remaining: u32, _rng: &mut StdRng) -> i64 {
        0
    }

    /// The work in one job as it counts in the statistics of the whole horde; `None` if it does not.
    fn archived(_request: &Self::Request, _model: &str) -> Option<u64> {
        None
    }

    /// The work in one job: pixelsteps, tokens.
    fn things(demand: &Self::Demand) -> u64;

    /// The amount of work in so many things, in the unit of statistics.
    fn amount(things: f64) -> f64;

    /// The service, if it is of this kind.
    fn serving(service: &Service) -> Option<&Serving<Self>>;

    /// The same, to change it.
    fn serving_mut(service: &mut Service) -> Option<&mut Serving<Self>>;

    /// The opposite.
    fn service(serving: Serving<Self>) -> Service;

    /// What follows from a worker's settings.
    fn derive(settings: &Self::Settings, bridge_agent: &str, facts: &Facts) -> Self::Derived;

    /// What a worker serves: models or forms.
    fn offered(derived: &Self::Derived) -> &Names;

    /// What the board compares requests with.
    fn offer(serving: &Serving<Self>, standing: Standing) -> Self::Offer;

    /// What a worker earns for having been there, by what it said when it came before. Only its software is what it is
    /// now.
    fn uptime_reward(serving: &Serving<Self>, bridge_agent: &str, facts: &Facts) -> Kudos;

    /// The largest pictures that a worker says it makes, in pixels; `None` if it makes none.
    fn announced_pixels(_settings: &Self::Settings) -> Option<u64> {
        None
    }

    /// The columns of a worker that all kinds have.
    fn columns(settings: &Self::Settings) -> Columns;
}

/// Names of models or forms that are served together.
pub(crate) type Names = Arc<[Arc<str>]>;

/// Which part of a request a job does: 0 where all jobs are alike.
pub(crate) type Part = u16;

/// For how long a job is a worker's, and its request's life with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// When the job counts as lost.
    pub(crate) ttl: Duration,
    /// How long the request lives at least.
    pub(crate) lifetime: Duration,
}

/// What is written down of every worker's settings, in columns of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    /// The largest work, in the unit that owners configure.
    pub(crate) max_power: i32,
    pub(crate) extra_slow: bool,
    pub(crate) allow_unsafe_ip: bool,
}

/// Where the requests of one kind are, and who is there to serve them.
pub(crate) struct Desk<W: Work> {
    pub(crate) live: Mutex<Live<W>>,
    pub(crate) online: OnlineCache<W>,
}

impl<W: Work> Desk<W> {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self {
            live: Mutex::new(Live::new(config.remembered_requests, config.matched_targeting)),
            online: OnlineCache::default(),
        }
    }
}

/// Runs the same for every kind of work: `for_each_kind!(W => …)`.
macro_rules! for_each_kind {
    ($work:ident => $body:expr) => {{
        {
            type $work = muster_dispatch::image::Image;
            $body
        }
        {
            type $work = muster_dispatch::text::Text;
            $body
        }
        {
            type $work = muster_dispatch::alchemy::Alchemy;
            $body
        }
    }};
}

/// Runs the same for the kind of work that is only known by its name.
macro_rules! for_kind {
    ($kind:expr, $work:ident => $body:expr) => {
        match $kind {
            muster_protocol::WorkKind::Image => {
                type $work = muster_dispatch::image::Image;
                $body
            }
            muster_protocol::WorkKind::Text => {
                type $work = muster_dispatch::text::Text;
                $body
            }
            muster_protocol::WorkKind::Alchemy => {
                type $work = muster_dispatch::alchemy::Alchemy;
                $body
            }
        }
    };
}

pub(crate) use {for_each_kind, for_kind};
