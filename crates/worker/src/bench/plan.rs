//! [`Plan`]: everything that can be made before a run, so that the run itself only sends.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::{Method, header::HeaderValue};
use muster_protocol::{
    alchemy::{self, Form},
    image, text,
};
use tokio::{sync::Mutex, task::JoinSet};
use url::Url;

use super::{
    BenchConfig, BenchError, BenchEvent, Delivery, Kind, Listener, Scenario, accounts::Accounts, link::Link,
    record,
};
use crate::{client::ApiClient, runtime::WorkerConfig, simulated};

/// Requests are tiny, so that a worker that answers at once does not look impossibly fast to a
/// server that checks.
const REQUEST_SIZE: u32 = 64;
/// How many different models the backlog asks for.
const BACKLOG_MODELS: u32 = 50;
/// How often one request for the backlog is tried.
const MOST_TRIES: u32 = 100;
/// The shortest pause after the rate limiter refused a request for the backlog.
const LIMITED_PAUSE: Duration = Duration::from_millis(500);
/// How many connections fill the backlog.
const FILLERS: u32 = 8;

/// What a run sends, and as whom.
pub(super) struct Plan {
    pub(super) server: Url,
    pub(super) requesters: Vec<HeaderValue>,
    pub(super) tracks: Vec<Track>,
    /// The tracks of a round, in turn.
    pub(super) round: Vec<usize>,
    pub(super) heartbeat: String,
    /// What is looked at, if nothing else is done.
    pub(super) reading: Option<String>,
    pub(super) delivery: Delivery,
    pub(super) picture: Bytes,
    pub(super) notes: Vec<String>,
}

/// What is sent for one kind of work.
pub(super) struct Track {
    pub(super) kind: Kind,
    pub(super) paths: Paths,
    pub(super) requests: Vec<Bytes>,
    pub(super) workers: Vec<Popper>,
    pub(super) idlers: Vec<Popper>,
    /// Between the id of a job and the end of a submission.
    submission_tail: String,
}

/// Where the calls of a cycle go.
pub(super) struct Paths {
    pub(super) request: String,
    pub(super) pop: String,
    pub(super) submit: String,
    /// To be continued with the id of a request; only for pictures.
    pub(super) check: Option<String>,
    /// To be continued with the id of a request.
    pub(super) status: String,
}

impl Paths {
    fn on(server: &Url, kind: Kind) -> Self {
        let resource = match kind {
            Kind::Image => "generate",
            Kind::Text => "generate/text",
            Kind::Alchemy => "interrogate",
        };
        let path = |route| format!("{}api/v2/{resource}/{route}", server.path());
        Self {
            request: path("async"),
            pop: path("pop"),
            submit: path("submit"),
            check: (kind == Kind::Image).then(|| path("check/")),
            status: path("status/"),
        }
    }
}

/// A worker: the key of its owner and what it says when it pops.
pub(super) struct Popper {
    pub(super) key: HeaderValue,
    pub(super) body: Bytes,
}

/// Makes the accounts and bodies, and fills the queue.
pub(super) async fn prepare(
    config: &BenchConfig,
    client: &ApiClient,
    listener: &Listener,
) -> Result<Plan, BenchError> {
    let mut accounts = Accounts::open(config, client).await?;
    listener(BenchEvent::Preparing(format!(
        "accounts: {}",
        accounts.describe()
    )));
    let notes = vec![format!("accounts: {}", accounts.describe())];
    let mut requesters = Vec::new();
    for _ in 0..config.users {
        requesters.push(header(&accounts.next().await?)?);
    }
    let picture = simulated::draw("a measurement", 1, (config.image_size, config.image_size), None)
        .map_err(|error| BenchError::Broken(error.to_string()))?;
    let mut tracks = Vec::new();
    let mut round = Vec::new();
    for (kind, part) in config.mix.parts() {
        round.extend(std::iter::repeat_n(tracks.len(), part as usize));
        tracks.push(track(config, kind, &picture, client.server(), &mut accounts).await?);
    }
    let plan = Plan {
        server: client.server().clone(),
        reading: config
            .scenario
            .reading()
            .map(|route| format!("{}api/v2/{route}", client.server().path())),
        heartbeat: format!("{}api/v2/status/heartbeat", client.server().path()),
        requesters,
        tracks,
        round,
        delivery: config.delivery,
        picture,
        notes,
    };
    fill(&plan, accounts, config, listener).await?;
    if plan.reading.is_some() {
        bring_online(&plan, listener).await?;
    }
    Ok(plan)
}

/// Lets every worker pop once, so that there is somebody to look at.
async fn bring_online(plan: &Plan, listener: &Listener) -> Result<(), BenchError> {
    let mut link = Link::to(&plan.server).ok_or_else(|| broken("not plain http"))?;
    for track in &plan.tracks {
        listener(BenchEvent::Preparing(format!(
            "bringing {} workers online",
            track.workers.len()
        )));
        for Popper { key, body } in &track.workers {
            let answer = link
                .call(Method::POST, &track.paths.pop, Some(key), body.clone())
                .await
                .map_err(broken)?;
            if answer.status >= 300 {
                let class = record::class(&answer);
                return Err(broken(&format!("a worker could not be brought online: {class}")));
            }
        }
    }
    Ok(())
}

/// Makes the workers and bodies for one kind of work.
async fn track(
    config: &BenchConfig,
    kind: Kind,
    picture: &Bytes,
    server: &Url,
    accounts: &mut Accounts,
) -> Result<Track, BenchError> {
    let idlers = match config.scenario {
        Scenario::Cycles | Scenario::User | Scenario::Workers | Scenario::FindUser => 0,
        Scenario::Pop => config.workers,
        Scenario::Mixed => config.workers.div_ceil(4),
    };
    let inline = match config.delivery {
        Delivery::Inline => STANDARD.encode(picture),
        Delivery::Upload | Delivery::Claim => "R2".to_owned(),
    };
    let written = "lorem ipsum dolor si".repeat(16);
    let submission_tail = match kind {
        Kind::Image => format!(r#"","seed":1,"state":"ok","generation":"{inline}"}}"#),
        Kind::Text => format!(r#"","seed":1,"state":"ok","generation":"{written}"}}"#),
        Kind::Alchemy => r#"","state":"ok","result":{"caption":"a lighthouse in a storm"}}"#.to_owned(),
    };
    let requests = (0..16).map(|number| match kind {
        Kind::Image => request(&config.models, number),
        Kind::Text => text_request(&config.text_models, number),
        Kind::Alchemy => form_request(picture),
    });
    Ok(Track {
        kind,
        paths: Paths::on(server, kind),
        requests: requests.collect(),
        idlers: poppers(config, accounts, kind, "idle", idlers).await?,
        workers: poppers(config, accounts, kind, "busy", config.workers).await?,
        submission_tail,
    })
}

/// Distinct workers, shared out among as few owners as their limits allow.
async fn poppers(
    config: &BenchConfig,
    accounts: &mut Accounts,
    kind: Kind,
    role: &str,
    count: u32,
) -> Result<Vec<Popper>, BenchError> {
    let mut poppers = Vec::new();
    let mut key = None;
    for number in 0..count {
        let owner = match key.take() {
            Some(key) if number % accounts.workers_each() != 0 => key,
            _ => header(&accounts.next().await?)?,
        };
        poppers.push(Popper {
            key: owner.clone(),
            body: pop(config, kind, role, number),
        });
        key = Some(owner);
    }
    Ok(poppers)
}

/// What a worker says when it pops. Idle ones serve what nobody asks for.
fn pop(config: &BenchConfig, kind: Kind, role: &str, number: u32) -> Bytes {
    let idle = role == "idle";
    match kind {
        Kind::Image => {
            let models = if idle {
                vec![config.idle_model.clone()]
            } else {
                config.models.clone()
            };
            let offer = WorkerConfig::new(format!("bench {role} {number:04}"), models).offer;
            json(&image::PopInput {
                max_pixels: 4_194_304,
                ..offer
            })
        }
        Kind::Text => {
            let models = if idle {
                vec!["bench idle".to_owned()]
            } else {
                config.text_models.clone()
            };
            json(&WorkerConfig::of_text(format!("bench {role} scribe {number:04}"), models).offer)
        }
        Kind::Alchemy => {
            let form = if idle { Form::Palette } else { Form::Caption };
            json(&WorkerConfig::of_alchemy(format!("bench {role} alchemist {number:04}"), vec![form]).offer)
        }
    }
}

/// The body of a request for one short text.
fn text_request(models: &[String], number: u32) -> Bytes {
    json(&text::RequestInput {
        prompt: Some(format!(
            "Once upon a time there was a lighthouse, study {number}."
        )),
        params: text::Params {
            max_length: Some(80),
            max_context_length: Some(1024),
            ..text::Params::default()
        },
        models: models.to_vec(),
        slow_workers: true,
        ..text::RequestInput::default()
    })
}

/// The body of a request for the caption of a picture.
fn form_request(picture: &[u8]) -> Bytes {
    json(&alchemy::RequestInput {
        forms: vec![alchemy::FormInput {
            name: Form::Caption,
            payload: None,
        }],
        source_image: Some(STANDARD.encode(picture)),
        slow_workers: true,
        ..alchemy::RequestInput::default()
    })
}

/// The body of a request for one tiny picture.
fn request(models: &[String], number: u32) -> Bytes {
    let mut input = image::RequestInput::new(format!("a lighthouse in a storm, study {number}"));
    input.models = models.to_vec();
    input.params.width = Some(REQUEST_SIZE);
    input.params.height = Some(REQUEST_SIZE);
    input.params.steps = Some(1);
    json(&input)
}

/// Makes the requests that wait before the run begins.
async fn fill(
    plan: &Plan,
    accounts: Accounts,
    config: &BenchConfig,
    listener: &Listener,
) -> Result<(), BenchError> {
    let total = config.queue + config.ready;
    if total == 0 {
        return Ok(());
    }
    listener(BenchEvent::Preparing(format!(
        "filling the queue with {total} requests"
    )));
    let mut bodies: Vec<Bytes> = (0..BACKLOG_MODELS)
        .map(|model| request(&[format!("bench backlog {model:02}")], model))
        .collect();
    bodies.push(request(&config.models, 0));
    let filler = Arc::new(Filler {
        server: plan.server.clone(),
        path: Paths::on(&plan.server, Kind::Image).request,
        bodies,
        queue: config.queue,
        total,
        next: AtomicU32::new(0),
        accounts: Mutex::new(accounts),
        listener: listener.clone(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..FILLERS.min(total) {
        tasks.spawn(filler.clone().run());
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|panic| BenchError::Broken(panic.to_string()))??;
    }
    Ok(())
}

struct Filler {
    server: Url,
    path: String,
    /// One for each model of the backlog, and last the one for the served models.
    bodies: Vec<Bytes>,
    queue: u32,
    total: u32,
    next: AtomicU32,
    accounts: Mutex<Accounts>,
    listener: Listener,
}

// The accounts are locked while one is being made: two fillers that need one at the same time get
// theirs one after the other, which is what a server with few calls to spare wants anyway.
impl Filler {
    /// Sends requests, as one account after the other, until all are made.
    async fn run(self: Arc<Self>) -> Result<(), BenchError> {
        let mut link = Link::to(&self.server).ok_or_else(|| broken("not plain http"))?;
        let mut key = self.account().await?;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.total {
                return Ok(());
            }
            if number > 0 && number.is_multiple_of(10_000) {
                (self.listener)(BenchEvent::Preparing(format!("{number} requests queued")));
            }
            let body = if number < self.queue {
                &self.bodies[(number % BACKLOG_MODELS) as usize]
            } else {
                &self.bodies[BACKLOG_MODELS as usize]
            };
            self.send(&mut link, &mut key, body).await?;
        }
    }

    async fn send(&self, link: &mut Link, key: &mut HeaderValue, body: &Bytes) -> Result<(), BenchError> {
        for _ in 0..MOST_TRIES {
            let answer = link
                .call(Method::POST, &self.path, Some(key), body.clone())
                .await
                .map_err(broken)?;
            match (answer.status, record::class(&answer).as_str()) {
                (200..300, _) => return Ok(()),
                (429, record::RATE_LIMITED) => {
                    (self.listener)(BenchEvent::Preparing(super::RATE_LIMIT_HINT.to_owned()));
                    tokio::time::sleep(answer.retry_after.unwrap_or_default().max(LIMITED_PAUSE)).await;
                }
                // This account has as many waiting as it may.
                (429, _) => *key = self.account().await?,
                (_, class) => return Err(broken(&format!("a request for the queue was refused: {class}"))),
            }
        }
        Err(broken("the accounts may not have that many requests waiting"))
    }

    async fn account(&self) -> Result<HeaderValue, BenchError> {
        header(&self.accounts.lock().await.next().await?)
    }
}

fn broken(what: &str) -> BenchError {
    BenchError::Broken(what.to_owned())
}

fn header(key: &str) -> Result<HeaderValue, BenchError> {
    HeaderValue::from_str(key)
        .map_err(|_| BenchError::Settings("a key has characters that no header carries".to_owned()))
}

fn json<T: serde::Serialize>(body: &T) -> Bytes {
    serde_json::to_vec(body)
        .expect("the types of the wire are plain data")
        .into()
}

impl Track {
    /// The body of a submission.
    pub(super) fn submission(&self, job: &str) -> Bytes {
        let mut body = String::with_capacity(self.submission_tail.len() + job.len() + 8);
        // Writing to a string does not fail.
        let _ = write!(body, r#"{{"id":"{job}{}"#, self.submission_tail);
        body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_what_the_api_expects() {
        let input: image::RequestInput = serde_json::from_slice(&request(&["m".into()], 3)).unwrap();
        assert_eq!(
            (input.models, input.params.steps),
            (vec!["m".to_owned()], Some(1))
        );
    }
}
