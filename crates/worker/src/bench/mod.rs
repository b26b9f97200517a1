//! The load generator: full cycles of the public API (request, pop, submit, status) for pictures, texts and
//! alchemy, in any mixture, against any server that speaks it, with latencies per endpoint.
//!
//! It runs on a runtime of its own with one thread by default, because it usually shares the
//! machine with the server. Each *lane* keeps one connection open, bodies are serialised before the
//! run, and answers are parsed only as far as a cycle needs them.
//!
//! Two kinds of load: in a *closed* loop every lane starts its next cycle when the last one is
//! through, which finds the highest throughput; in an *open* loop cycles start on a timetable, and
//! a cycle that could not start in time because everything was busy is measured from the moment
//! when it should have started. Latencies of an overloaded server are therefore not flattered.
//!
//! What the run leaves behind (accounts, workers, a backlog) is not cleaned up: use a throwaway
//! database.

mod accounts;
mod drive;
mod link;
mod plan;
mod record;
mod report;

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Serialize, Serializer};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use report::{EndpointReport, Environment, Latencies, Report, WindowReport};

use crate::client::{ApiClient, ClientError, Options, is_loopback, server_address};

/// What to measure, and how.
#[derive(Clone, Debug, Serialize)]
pub struct BenchConfig {
    /// The server; plain HTTP only.
    pub url: String,
    /// Also load servers on other machines.
    pub allow_remote: bool,
    /// What the lanes do.
    pub scenario: Scenario,
    /// For which kinds of work.
    pub mix: Mix,
    /// When they do it.
    pub load: Load,
    /// Time before the measurement starts.
    #[serde(serialize_with = "seconds")]
    pub warmup: Duration,
    /// When the measurement ends.
    pub length: Length,
    /// Accounts that request pictures.
    pub users: u32,
    /// Distinct workers that pop.
    pub workers: u32,
    /// Keys to use instead of making accounts.
    #[serde(skip)]
    pub api_keys: Vec<String>,
    /// The image models that are requested and served. The server must know them.
    pub models: Vec<String>,
    /// The text models that are requested and served.
    pub text_models: Vec<String>,
    /// A model that idle workers serve and nobody requests. The server must know it.
    pub idle_model: String,
    /// Requests for fifty models that nobody serves, made before the run.
    pub queue: u32,
    /// Requests for the served models, made before the run.
    pub ready: u32,
    /// How pictures are handed in.
    pub delivery: Delivery,
    /// Width and height of the pictures that are handed in.
    pub image_size: u32,
    /// Threads of the load generator.
    pub client_threads: usize,
    /// Report each stretch of this length by itself, too: whether the server stays as fast as it began.
    #[serde(serialize_with = "optional_seconds")]
    pub window: Option<Duration>,
}

impl BenchConfig {
    /// Ten seconds of full cycles in four lanes.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            allow_remote: false,
            scenario: Scenario::Cycles,
            mix: Mix::default(),
            load: Load::Closed { concurrency: 4 },
            warmup: Duration::from_secs(2),
            length: Length::Time(Duration::from_secs(10)),
            users: 8,
            workers: 8,
            api_keys: Vec::new(),
            models: vec!["stable_diffusion".to_owned()],
            text_models: vec!["koboldcpp/Mistral-7B-Instruct-v0.3".to_owned()],
            idle_model: "waifu_diffusion".to_owned(),
            queue: 0,
            ready: 0,
            delivery: Delivery::Inline,
            image_size: 64,
            client_threads: 1,
            window: None,
        }
    }
}

/// What the lanes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Request, pop, submit, status.
    Cycles,
    /// Pop, submit if there was a job. Every second lane belongs to an idle worker, whose pops find
    /// nothing.
    Pop,
    /// Cycles with what else happens on a horde: progress checks, idle pops, heartbeats.
    Mixed,
    /// Look at an account, as everybody sees it.
    User,
    /// Look at the workers that are online, all of which have popped before the run.
    Workers,
    /// Look up the account behind a key.
    FindUser,
}

impl Scenario {
    /// What is looked at, if nothing else is done.
    fn reading(self) -> Option<&'static str> {
        match self {
            Self::Cycles | Self::Pop | Self::Mixed => None,
            Self::User => Some("users/1"),
            Self::Workers => Some("workers"),
            Self::FindUser => Some("find_user"),
        }
    }
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Pictures.
    Image,
    /// Texts.
    Text,
    /// Forms.
    Alchemy,
}

/// How many cycles of a round are of each kind. Every lane goes through such rounds, so that at any moment the
/// lanes are busy with all kinds in about this proportion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mix {
    /// Pictures.
    pub image: u32,
    /// Texts.
    pub text: u32,
    /// Forms: captions.
    pub alchemy: u32,
}

impl Default for Mix {
    /// Pictures only.
    fn default() -> Self {
        Self {
            image: 1,
            text: 0,
            alchemy: 0,
        }
    }
}

impl Mix {
    /// The kinds that occur, with their parts of a round.
    fn parts(self) -> impl Iterator<Item = (Kind, u32)> {
        [
            (Kind::Image, self.image),
            (Kind::Text, self.text),
            (Kind::Alchemy, self.alchemy),
        ]
        .into_iter()
        .filter(|(_, part)| *part > 0)
    }
}

/// Written like `image=2,text=2,alchemy=1`; kinds that are left out do not occur.
impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const MOST: u32 = 100;
        let mut mix = Self {
            image: 0,
            text: 0,
            alchemy: 0,
        };
        for part in text.split(',') {
            let (kind, count) = part.split_once('=').unwrap_or((part, "1"));
            let count: u32 = count
                .trim()
                .parse()
                .ok()
                .filter(|count| *count <= MOST)
                .ok_or_else(|| format!("`{count}` is no number up to {MOST}"))?;
            match kind.trim() {
                "image" => mix.image = count,
                "text" => mix.text = count,
                "alchemy" => mix.alchemy = count,
                other => return Err(format!("`{other}` is none of image, text and alchemy")),
            }
        }
        if mix.parts().next().is_none() {
            return Err("there is nothing in the mixture".to_owned());
        }
        Ok(mix)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "image={},text={},alchemy={}",
            self.image, self.text, self.alchemy
        )
    }
}

/// When cycles start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// One after the other in each lane.
    Closed {
        /// Number of lanes.
        concurrency: u32,
    },
    /// On a timetable.
    Open {
        /// Cycles a second.
        rate: f64,
        /// Cycles under way at once, at most: number of lanes.
        in_flight: u32,
    },
}

impl Load {
    fn lanes(self) -> u32 {
        match self {
            Self::Closed { concurrency: lanes } | Self::Open { in_flight: lanes, .. } => lanes.max(1),
        }
    }
}

/// When the measurement ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// After a time (in seconds when serialised).
    #[serde(serialize_with = "seconds")]
    Time(Duration),
    /// After so many cycles.
    Cycles(u64),
}

/// How pictures are handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// As base64 inside the submission.
    Inline,
    /// By a PUT to the address that came with the job.
    Upload,
    /// Not at all: the submission claims an upload that never happened. Only for servers that don't
    /// look.
    Claim,
}

fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}

#[allow(clippy::ref_option)] // as serde calls it
fn optional_seconds<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(|span| span.as_secs_f64()).serialize(serializer)
}

/// What a run tells while it lasts.
#[derive(Clone, Debug, PartialEq)]
pub enum BenchEvent {
    /// Something is being prepared.
    Preparing(String),
    /// The run goes on; sent about once a second.
    Tick {
        /// Time since the measurement began; zero while warming up.
        elapsed: Duration,
        /// Cycles since the measurement began.
        cycles: u64,
    },
}

/// Why there is no measurement.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The settings don't make sense.
    #[error("{0}")]
    Settings(String),
    /// The target is somebody else's machine.
    #[error("{0} is not this machine; load other people's servers only with their consent (--allow-remote)")]
    Remote(String),
    /// A call that prepares the run failed.
    #[error("{step}: {error}{}", hint(.error))]
    Setup {
        /// What was being prepared.
        step: String,
        /// What went wrong.
        error: ClientError,
    },
    /// The load generator itself failed.
    #[error("the load generator broke: {0}")]
    Broken(String),
}

/// What to do about rate limits, which make every measurement worthless.
const RATE_LIMIT_HINT: &str =
    "the server limits the rate of calls; for measurements start it with HORDE_TEST_RATELIMIT_DISABLED=1";

fn hint(error: &ClientError) -> String {
    match error.refusal() {
        Some(refusal) if refusal.status == 429 && refusal.rc.is_none() => format!("\n  {RATE_LIMIT_HINT}"),
        _ => String::new(),
    }
}

/// Whoever listens to a run.
type Listener = Arc<dyn Fn(BenchEvent) + Send + Sync>;

/// Prepares and runs a measurement. Cancelling `stop` ends it early; the report then covers what
/// was measured.
pub async fn run(
    config: BenchConfig,
    stop: CancellationToken,
    on_event: impl Fn(BenchEvent) + Send + Sync + 'static,
) -> Result<Report, BenchError> {
    let server = check(&config)?;
    let listener: Listener = Arc::new(on_event);
    let threads = config.client_threads;
    let work = move || {
        let mut builder = match threads {
            0 | 1 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        builder
            .worker_threads(threads.max(1))
            .enable_all()
            .build()
            .map_err(|error| BenchError::Broken(error.to_string()))?
            .block_on(measure(config, server, stop, listener))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| BenchError::Broken(panic.to_string()))?
}

/// Refuses what cannot or should not be measured.
fn check(config: &BenchConfig) -> Result<url::Url, BenchError> {
    let settings = |text: &str| BenchError::Settings(text.to_owned());
    let server = server_address(&config.url).map_err(|error| BenchError::Settings(error.to_string()))?;
    if !config.allow_remote && !is_loopback(&server) {
        return Err(BenchError::Remote(server.to_string()));
    }
    if server.scheme() != "http" {
        return Err(settings(
            "only plain http can be loaded: measure the server behind its TLS proxy",
        ));
    }
    if config.users == 0 || config.workers == 0 || config.models.is_empty() {
        return Err(settings(
            "a run needs at least one user, one worker and one model",
        ));
    }
    if config.mix.image == 0 && config.queue + config.ready > 0 {
        return Err(settings(
            "requests that wait before the run are for pictures, of which there are none in the mixture",
        ));
    }
    if config.mix.text > 0 && config.text_models.is_empty() {
        return Err(settings("texts need at least one text model"));
    }
    if matches!(config.load, Load::Open { rate, .. } if !(rate.is_finite() && rate > 0.0)) {
        return Err(settings("the rate must be a positive number of cycles a second"));
    }
    if config.image_size == 0 || config.image_size > 4096 {
        return Err(settings("the pictures must be 1 to 4096 pixels wide"));
    }
    if config
        .window
        .is_some_and(|window| window < Duration::from_secs(1))
    {
        return Err(settings("a window must be at least a second long"));
    }
    Ok(server)
}

async fn measure(
    config: BenchConfig,
    server: url::Url,
    stop: CancellationToken,
    listener: Listener,
) -> Result<Report, BenchError> {
    let setup = |step: &str, error| BenchError::Setup {
        step: step.to_owned(),
        error,
    };
    let mut options = Options::new(server.as_str());
    options.agent = link::agent();
    let client = ApiClient::new(&options).map_err(|error| setup("preparing", error))?;
    let heartbeat = client
        .heartbeat()
        .await
        .map_err(|error| setup("is the server there?", error))?;
    let plan = plan::prepare(&config, &client, &listener).await?;
    let driven = drive::drive(&config, Arc::new(plan), stop, listener).await?;
    Ok(Report::new(config, server.to_string(), heartbeat.version, driven))
}

/// What a run brought.
struct Driven {
    recorder: record::Recorder,
    windows: Vec<record::Window>,
    elapsed: Duration,
    cycles: u64,
    notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixtures_are_read_and_written() {
        let mix = |text: &str| text.parse::<Mix>();
        assert_eq!(mix("image"), Ok(Mix::default()));
        let all = mix("image=2, text=2,alchemy=1").unwrap();
        assert_eq!((all.image, all.text, all.alchemy), (2, 2, 1));
        assert_eq!(mix(&all.to_string()), Ok(all));
        for wrong in ["", "video=1", "image=many", "image=0", "text=1000"] {
            assert!(mix(wrong).is_err(), "{wrong}");
        }
    }
}
