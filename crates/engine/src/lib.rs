//! What happens: each use case of the horde as one function.
//!
//! [`Engine`] asks the board (`dispatch`) who gets what, prices it (`kudos`), makes it durable
//! (`store`) and only then lets anyone see it. It knows nothing about HTTP: the callers' identity
//! comes in as a [`Call`], what went wrong goes out as an [`EngineError`].
//!
//! | module | use cases |
//! | --- | --- |
//! | `accounts` | register, change and delete accounts, look at them, pay their monthly kudos |
//! | `image`, `text`, `alchemy` | one for each kind of work: submit a request, follow it, cancel it; pop jobs, submit results |
//! | `requests`, `jobs` | what the kinds have in common in that, told apart by `work` |
//! | `workers` | register and check in workers, change and look at them |
//! | `filters`, `addresses`, `modes`, `problems` | what protects the horde |
//! | `messages`, `teams`, `shared_keys`, `styles` | what people own and others see |
//! | `webhooks` | announce results |
//! | `duties` | what happens without anyone asking: expiry, time-outs, pruning |
//!
//! Locks are taken in one order (a worker's, the random source's, the board's), are held for
//! microseconds, and never across a wait. Only the registration of a worker, which takes turns, waits
//! for the journal behind a lock of its own.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accounts;
mod addresses;
mod alchemy;
mod call;
mod clock;
mod config;
mod duties;
mod error;
mod filters;
mod image;
mod jobs;
mod keys;
mod kudos;
mod live;
mod messages;
mod metrics;
mod models;
mod modes;
pub mod names;
mod notices;
mod operator;
pub mod outbound;
mod pictures;
mod problems;
mod profanity;
mod requests;
mod restore;
mod shared_keys;
mod sources;
mod statistics;
mod status;
mod styles;
mod supporters;
mod teams;
mod text;
mod webhooks;
mod work;
mod workers;

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use muster_dispatch::{alchemy::Alchemy, image::Image, text::Text};
use muster_kudos::image::ImagePricing;
use muster_protocol::{ANONYMOUS_KEY, Timestamp, UserId};
use muster_store::{ApiKeyHash, Balances, Blobs, Store};
use parking_lot::{Mutex, RwLock};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::{AccountCache, Passkeys},
    addresses::{Blocks, ProxyReports, Reputation},
    filters::Filters,
    kudos::RecentTransfers,
    messages::Messages,
    models::Facts,
    modes::Modes,
    outbound::Outbound,
    pictures::Studio,
    problems::ProblemNotices,
    statistics::Statistics,
    status::ModelLists,
    supporters::Supporters,
    webhooks::WebhookQueue,
    work::{Desk, Work as _, for_each_kind},
    workers::{Registry, Worker, WorkerLists},
};
pub use crate::{
    accounts::{FirstStart, NewKey},
    addresses::{ReputationService, WhenUnknown, home_network},
    call::{Call, Proxy},
    clock::{Clock, ManualClock, SystemClock},
    config::{EngineConfig, Standing},
    error::{EngineError, Refusal, Result},
    filters::FilterQuery,
    image::RatingService,
    kudos::Gift,
    messages::MessageQuery,
    models::{
        ImageModel, ModelReference, ModelSource, ModelSourceError, Reference, Requirements, TextModel,
        TextModels,
    },
    operator::AdminCommand,
    requests::Submission,
    status::ModelQuery,
    styles::{CollectionQuery, StyleQuery},
    supporters::{Supporter, SupporterService, SupporterServiceKind},
    workers::{WorkerFilter, WorkerList},
};

/// The horde. Cheap to clone; all clones are the same horde.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// What the engine is made of.
pub struct Inner {
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    store: Store,
    blobs: Blobs,
    models: RwLock<Facts>,
    pricing: ImagePricing,
    outbound: Outbound,
    notifier: Outbound,
    ratings: Option<RatingService>,
    supporters: Supporters,
    studio: Studio,
    accounts: AccountCache,
    passkeys: Passkeys,
    workers: Registry,
    worker_lists: WorkerLists,
    messages: Messages,
    recent_transfers: RecentTransfers,
    filters: Filters,
    blocks: Blocks,
    proxy_reports: ProxyReports,
    problem_notices: ProblemNotices,
    reputation: Reputation,
    modes: Modes,
    /// Held while modes are switched.
    switching: tokio::sync::Mutex<()>,
    statistics: Statistics,
    model_lists: ModelLists,
    rng: Mutex<StdRng>,
    image: Desk<Image>,
    text: Desk<Text>,
    alchemy: Desk<Alchemy>,
    /// When the server began to serve: jobs that were handed out before may be its fault.
    started: Timestamp,
    webhooks: WebhookQueue,
    /// Wakes the duties when a nearer deadline appeared.
    wake: Notify,
    /// Set when the server is about to stop: no more jobs are handed out.
    draining: AtomicBool,
}

impl Deref for Engine {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// What an engine is built from.
pub struct Parts {
    /// House rules.
    pub config: EngineConfig,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Seed of ids, keys and choices; random in production.
    pub seed: [u8; 32],
    /// What survives a restart.
    pub store: Store,
    /// Pictures.
    pub blobs: Blobs,
    /// What is known about image models.
    pub models: ModelReference,
    /// What is known about text models.
    pub text_models: TextModels,
    /// Prices.
    pub pricing: ImagePricing,
    /// Calls to addresses that strangers name.
    pub outbound: Outbound,
    /// Calls to addresses that the operator names.
    pub notifier: Outbound,
    /// Where ratings of pictures go, if they go anywhere.
    pub ratings: Option<RatingService>,
    /// Who tells hidden addresses from others, if somebody does.
    pub reputation: Option<ReputationService>,
    /// Through which services people support the horde.
    pub supporter_services: Vec<SupporterService>,
}

impl Engine {
    /// Builds the engine and loads everything that is live, so that it can serve at once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn start(parts: Parts) -> Result<Self> {
        let Parts {
            config,
            clock,
            seed,
            store,
            blobs,
            models,
            text_models,
            pricing,
            outbound,
            notifier,
            ratings,
            reputation,
            supporter_services,
        } = parts;
        let facts = Facts {
            image: Arc::new(models),
            text: Arc::new(text_models),
        };
        let workers = store
            .workers()
            .await?
            .into_iter()
            .map(|worker| Worker::from_stored(worker, &facts));
        let engine = Self(Arc::new(Inner {
            accounts: AccountCache::new(),
            passkeys: Passkeys::default(),
            worker_lists: WorkerLists::default(),
            messages: Messages::default(),
            recent_transfers: RecentTransfers::default(),
            filters: Filters::default(),
            blocks: Blocks::default(),
            proxy_reports: ProxyReports::default(),
            problem_notices: ProblemNotices::default(),
            reputation: Reputation::new(reputation),
            supporters: Supporters::new(&config.supporters, supporter_services),
            modes: Modes::new(&config),
            switching: tokio::sync::Mutex::default(),
            workers: Registry::new(workers),
            statistics: Statistics::default(),
            model_lists: ModelLists::default(),
            rng: Mutex::new(StdRng::from_seed(seed)),
            image: Desk::new(&config),
            text: Desk::new(&config),
            alchemy: Desk::new(&config),
            started: clock.now(),
            webhooks: WebhookQueue::default(),
            wake: Notify::new(),
            draining: AtomicBool::new(false),
            config,
            clock,
            store,
            blobs,
            models: RwLock::new(facts),
            pricing,
            outbound,
            notifier,
            ratings,
            studio: Studio::new(),
        }));
        let anonymous = ApiKeyHash::of(&engine.config.key_salt, ANONYMOUS_KEY);
        let now = engine.clock.now();
        engine
            .store
            .journal()
            .rekey_account(UserId::ANONYMOUS, anonymous, None, now)
            .await?;
        engine.read_passkeys().await?;
        engine.read_messages().await?;
        engine.refresh_filters().await?;
        engine.read_blocks().await?;
        engine.read_modes().await?;
        engine.read_supporters().await?;
        engine.restore_statistics().await?;
        engine.restore_webhooks().await?;
        let restored = engine.restore().await?;
        if restored > 0 {
            tracing::info!(requests = restored, "the board is loaded");
        }
        if engine.modes.now().maintenance {
            let stopped = engine.stop_waiting_requests().await?;
            tracing::info!(
                requests = stopped,
                "the horde is in maintenance: waiting requests are stopped"
            );
        }
        Ok(engine)
    }

    /// Starts the background duties. They end, with everything written down, after `stop` is
    /// cancelled; await the handle before closing the store.
    pub fn spawn_duties(&self, stop: CancellationToken) -> JoinHandle<()> {
        let (duties, webhooks) = (self.clone(), self.clone());
        tokio::spawn(async move {
            tokio::join!(duties.run_duties(stop.clone()), webhooks.run_webhooks(stop));
        })
    }

    /// Hands out no more jobs: the server is about to stop. Results are still accepted.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// What survives a restart.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Pictures.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// House rules.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Where the time comes from.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Requests that are in memory, finished ones included.
    pub fn requests_in_memory(&self) -> usize {
        let mut requests = 0;
        for_each_kind!(W => requests += W::desk(self).live.lock().len());
        requests
    }

    fn random(&self) -> u128 {
        let random: u128 = self.rng.lock().random();
        uuid::Builder::from_random_bytes(random.to_ne_bytes())
            .into_uuid()
            .as_u128()
    }

    fn wake_duties(&self) {
        self.wake.notify_one();
    }

    /// Tells memory what accounts have after a commit.
    fn learn_balances(&self, balances: &[(UserId, Balances)]) {
        for (user, balance) in balances {
            self.accounts.set_balances(*user, *balance);
        }
    }
}
