//! The loop of a worker: pop jobs, let the backend do them, upload and submit what comes of it.
//!
//! A [`Worker`] runs as many *lanes* as it has threads. Each lane pops for itself and works on one
//! pop at a time, so a slow delivery never holds up the others. All lanes share one name, one
//! [`Craft`] (the kind of work, with its backend) and the [`Totals`].
//!
//! To stop, cancel the token that [`Worker::run`] was given. Lanes then pop no more; what was popped
//! is finished as long as that takes no longer than [`Rhythm::grace`], and the rest is
//! reported as faulted, so that the server can give it to somebody else at once. A pop that is
//! under way is always waited for (within the same limit): its answer may hold a job.

mod craft;
mod deliver;
mod event;
mod forms;
mod lane;
mod pictures;
mod texts;
mod verdict;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use muster_protocol::{BUNDLED_WORKER, alchemy, image, text};
use thiserror::Error;
use tokio::{sync::broadcast, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

pub use craft::{Craft, Handover, Parcel, Unpacked};
pub use event::{Totals, WorkerEvent};
pub use forms::{FormTask, Forms};
pub use pictures::{PictureTask, Pictures};
pub use texts::{TextTask, Texts};

use crate::{
    HOME, VERSION,
    backend::{AlchemyBackend, Backend, TextBackend},
    backoff::RetryPolicy,
    client::{ApiClient, ClientError},
};

/// How many events a slow listener may lag behind before it loses the oldest.
const EVENT_BACKLOG: usize = 256;

/// When a worker does what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// The pause after a pop that brought no job.
    pub idle: Duration,
    /// The pause after a pop that was refused because the worker is in maintenance.
    pub maintenance: Duration,
    /// Pauses after failures.
    pub retry: RetryPolicy,
    /// How long jobs may still run after the worker was told to stop.
    pub grace: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(1),
            maintenance: Duration::from_secs(5),
            retry: RetryPolicy::default(),
            grace: Duration::from_mins(1),
        }
    }
}

/// What a worker offers, and how it behaves. The offer is that of its kind of work; it is sent with every
/// pop, and its `threads` are also the number of lanes.
#[derive(Clone, Debug)]
pub struct WorkerConfig<O = image::PopInput> {
    /// Name, models or forms, limits.
    pub offer: O,
    /// Send pictures inside the submission rather than upload them.
    pub inline: bool,
    /// When it does what.
    pub rhythm: Rhythm,
}

impl<O> WorkerConfig<O> {
    /// A worker with this offer that behaves as usual.
    pub fn offering(offer: O) -> Self {
        Self {
            offer,
            inline: false,
            rhythm: Rhythm::default(),
        }
    }
}

impl WorkerConfig {
    /// A worker with one thread that takes any request for these models up to 1024×1024.
    pub fn new(name: impl Into<String>, models: Vec<String>) -> Self {
        Self::offering(image::PopInput {
            name: Some(name.into()),
            priority_usernames: Vec::new(),
            nsfw: true,
            models,
            bridge_agent: bridge_agent(),
            threads: 1,
            require_upfront_kudos: false,
            amount: 1,
            extra_slow_worker: false,
            max_pixels: 1024 * 1024,
            blacklist: Vec::new(),
            allow_img2img: true,
            allow_painting: true,
            allow_unsafe_ipaddr: true,
            allow_post_processing: true,
            allow_controlnet: false,
            allow_sdxl_controlnet: false,
            allow_lora: false,
            limit_max_steps: false,
        })
    }
}

impl WorkerConfig<text::PopInput> {
    /// A worker with one thread that writes up to 512 tokens with these models, which see 4,096.
    pub fn of_text(name: impl Into<String>, models: Vec<String>) -> Self {
        Self::offering(text::PopInput {
            name: Some(name.into()),
            priority_usernames: Vec::new(),
            nsfw: true,
            models,
            bridge_agent: bridge_agent(),
            threads: 1,
            require_upfront_kudos: false,
            amount: 1,
            extra_slow_worker: false,
            max_length: 512,
            max_context_length: 4096,
            softprompts: Vec::new(),
        })
    }
}

impl WorkerConfig<alchemy::PopInput> {
    /// A worker with one thread that takes these forms, one at a time, of pictures of any usual size.
    pub fn of_alchemy(name: impl Into<String>, forms: Vec<alchemy::Form>) -> Self {
        Self::offering(alchemy::PopInput {
            name: Some(name.into()),
            priority_usernames: Vec::new(),
            forms,
            amount: 1,
            bridge_agent: bridge_agent(),
            threads: 1,
            max_tiles: 80,
        })
    }
}

/// How this worker software names itself. Servers decide by it what the worker is able to do.
pub fn bridge_agent() -> String {
    format!("{BUNDLED_WORKER}:{VERSION}:{HOME}")
}

/// Why a worker gave up.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The server refuses this worker for a reason that waiting does not cure.
    #[error("the server refuses this worker: {0}")]
    Refused(#[source] ClientError),
    /// A lane died, which is a bug.
    #[error("a worker thread broke: {0}")]
    Broken(String),
}

/// A worker, ready to run.
pub struct Worker<C> {
    shared: Arc<Shared<C>>,
}

/// What the lanes of one worker have in common.
struct Shared<C> {
    client: ApiClient,
    craft: C,
    rhythm: Rhythm,
    events: broadcast::Sender<WorkerEvent>,
    counters: Counters,
}

/// The totals in the making. Kudos in hundredths.
#[derive(Default)]
struct Counters {
    delivered: AtomicU64,
    faulted: AtomicU64,
    lost: AtomicU64,
    kudos: AtomicU64,
}

impl Counters {
    fn totals(&self) -> Totals {
        Totals {
            delivered: self.delivered.load(Ordering::Relaxed),
            faulted: self.faulted.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            kudos: self.kudos.load(Ordering::Relaxed) as f64 / 100.0,
        }
    }
}

impl<C> Shared<C> {
    /// Counts, logs and tells whoever listens; nobody listening is fine.
    fn report(&self, event: WorkerEvent) {
        let counters = &self.counters;
        match &event {
            WorkerEvent::Delivered { reward, .. } => {
                counters.delivered.fetch_add(1, Ordering::Relaxed);
                let hundredths = (reward.max(0.0) * 100.0).round() as u64;
                counters.kudos.fetch_add(hundredths, Ordering::Relaxed);
            }
            WorkerEvent::Faulted { .. } => {
                counters.faulted.fetch_add(1, Ordering::Relaxed);
            }
            WorkerEvent::Lost { .. } => {
                counters.lost.fetch_add(1, Ordering::Relaxed);
            }
            _ => (),
        }
        event.log();
        let _ = self.events.send(event);
    }
}

/// When a worker has to be through: unset while it runs, the end of the grace period afterwards.
#[derive(Clone)]
struct Stop {
    token: CancellationToken,
    grace: Duration,
}

impl Stop {
    fn requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Sleeps, but not past the moment when the worker is told to stop.
    async fn sleep(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => (),
            () = self.token.cancelled() => (),
        }
    }

    /// Completes when the grace period is over. Each caller starts to count when the token is
    /// cancelled or, if it was before, at once; lanes therefore await one such future for as long
    /// as they run.
    async fn time_is_up(&self) {
        self.token.cancelled().await;
        tokio::time::sleep_until(Instant::now() + self.grace).await;
    }
}

impl<B: Backend> Worker<Pictures<B>> {
    /// A worker that makes pictures. It does nothing before [`Worker::run`].
    pub fn new(client: ApiClient, backend: B, config: WorkerConfig) -> Self {
        let craft = Pictures {
            backend,
            offer: config.offer,
            inline: config.inline,
        };
        Self::of(client, craft, config.rhythm)
    }
}

impl<B: TextBackend> Worker<Texts<B>> {
    /// A worker that writes texts. It does nothing before [`Worker::run`].
    pub fn of_text(client: ApiClient, backend: B, config: WorkerConfig<text::PopInput>) -> Self {
        let craft = Texts {
            backend,
            offer: config.offer,
        };
        Self::of(client, craft, config.rhythm)
    }
}

impl<B: AlchemyBackend> Worker<Forms<B>> {
    /// A worker that does alchemy. It does nothing before [`Worker::run`].
    pub fn of_alchemy(client: ApiClient, backend: B, config: WorkerConfig<alchemy::PopInput>) -> Self {
        let craft = Forms {
            backend,
            offer: config.offer,
        };
        Self::of(client, craft, config.rhythm)
    }
}

impl<C: Craft> Worker<C> {
    fn of(client: ApiClient, craft: C, rhythm: Rhythm) -> Self {
        Self {
            shared: Arc::new(Shared {
                client,
                craft,
                rhythm,
                events: broadcast::Sender::new(EVENT_BACKLOG),
                counters: Counters::default(),
            }),
        }
    }

    /// What happens from now on. A listener that falls behind loses the oldest events; the worker
    /// never waits for listeners.
    pub fn events(&self) -> broadcast::Receiver<WorkerEvent> {
        self.shared.events.subscribe()
    }

    /// Works until `stop` is cancelled (and what is running is finished) or the server refuses the
    /// worker for good.
    pub async fn run(self, stop: CancellationToken) -> Result<Totals, WorkerError> {
        // Cancelled by the caller, or by the first lane that gives up.
        let stop = Stop {
            token: stop.child_token(),
            grace: self.shared.rhythm.grace,
        };
        let mut lanes = JoinSet::new();
        for number in 0..self.shared.craft.threads().max(1) {
            lanes.spawn(lane::run(self.shared.clone(), number, stop.clone()));
        }
        let mut outcome = Ok(());
        while let Some(lane) = lanes.join_next().await {
            let ended = lane.unwrap_or_else(|panic| Err(WorkerError::Broken(panic.to_string())));
            if ended.is_err() {
                stop.token.cancel();
                outcome = outcome.and(ended);
            }
        }
        let totals = self.shared.counters.totals();
        self.shared.report(WorkerEvent::Stopped(totals));
        outcome.map(|()| totals)
    }
}
