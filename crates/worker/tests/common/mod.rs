//! A horde in miniature: enough of the API for clients and workers, with a script for failures.

#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use muster_protocol::{
    JobId, RequestId, WorkerId,
    image::{
        Generation, GenerationState, JobPayload, PopInput, Popped, Progress, RequestAccepted, RequestInput,
        Status, SubmitInput, Submitted, Warning, WarningCode,
    },
};
use muster_worker::client::{ApiClient, Options};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

/// An answer that is given instead of the real one.
#[derive(Clone)]
pub struct Canned {
    pub status: u16,
    pub body: Value,
    pub retry_after: Option<u32>,
}

impl Canned {
    pub fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            retry_after: None,
        }
    }
}

#[derive(Default)]
pub struct Horde {
    pub url: String,
    pub requests: Vec<Entry>,
    /// Canned answers by the last fixed part of the path: `pop`, `submit`, `check` …
    pub script: HashMap<&'static str, VecDeque<Canned>>,
    /// Every call: when, method, path, client agent.
    pub calls: Vec<(Instant, String)>,
    pub pops: Vec<PopInput>,
    pub submissions: Vec<SubmitInput>,
    pub blobs: HashMap<String, Vec<u8>>,
    pub ttl: Option<u64>,
    /// Workers that are online, for `is_possible`.
    pub impossible: bool,
    pub accounts: u32,
    pub test_users: bool,
}

pub struct Entry {
    pub id: RequestId,
    pub input: RequestInput,
    pub waiting: u32,
    pub jobs: Vec<(JobId, Option<SubmitInput>)>,
    pub cancelled: bool,
}

impl Entry {
    fn progress(&self, possible: bool) -> Progress {
        let finished = self.jobs.iter().filter(|(_, result)| result.is_some()).count() as u32;
        let processing = self.jobs.len() as u32 - finished;
        let faulted = self.jobs.iter().any(|(_, result)| {
            result
                .as_ref()
                .is_some_and(|r| r.state == GenerationState::Faulted)
        });
        Progress {
            finished,
            processing,
            restarted: 0,
            waiting: self.waiting,
            done: self.waiting == 0 && processing == 0,
            faulted,
            wait_time: 1,
            queue_position: u64::from(self.waiting),
            kudos: 3.0,
            is_possible: possible || processing > 0,
        }
    }
}

#[derive(Clone)]
pub struct Double(Arc<Mutex<Horde>>);

impl Double {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let double = Self(Arc::new(Mutex::new(Horde {
            url,
            ttl: Some(150),
            test_users: true,
            ..Horde::default()
        })));
        let api = Router::new()
            .route("/status/heartbeat", get(heartbeat))
            .route("/generate/async", post(request))
            .route("/generate/check/{id}", get(check))
            .route("/generate/status/{id}", get(status).delete(cancel))
            .route("/generate/pop", post(pop))
            .route("/generate/submit", post(submit))
            .route("/dev/test-user", post(test_user))
            .route("/find_user", get(|| async { StatusCode::NOT_FOUND }))
            .route("/workers", get(|| async { Json(json!([])) }))
            .route("/users/{id}", put(|| async { Json(json!({})) }));
        let app = Router::new()
            .nest("/api/v2", api)
            .route("/register", post(register))
            .route("/blobs/{name}", put(put_blob).get(get_blob))
            .layer(middleware::from_fn_with_state(double.clone(), scripted))
            .with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        double
    }

    pub fn horde(&self) -> MutexGuard<'_, Horde> {
        self.0.lock().unwrap()
    }

    pub fn url(&self) -> String {
        self.horde().url.clone()
    }

    /// A client without a time limit of its own, for tests that stop the clock.
    pub fn client(&self) -> ApiClient {
        let mut options = Options::new(self.url()).with_key("key");
        options.timeout = None;
        ApiClient::new(&options).unwrap()
    }

    pub fn will_answer(&self, endpoint: &'static str, canned: Canned) {
        self.horde().script.entry(endpoint).or_default().push_back(canned);
    }

    pub fn add(&self, prompt: &str, n: u32) -> RequestId {
        let mut input = RequestInput::new(prompt);
        input.params.n = Some(n);
        input.params.width = Some(64);
        input.params.height = Some(64);
        self.horde().add(input)
    }

    /// When an endpoint was called.
    pub fn times_of(&self, endpoint: &str) -> Vec<Instant> {
        let horde = self.horde();
        let calls = horde.calls.iter().filter(|(_, path)| path.contains(endpoint));
        calls.map(|(when, _)| *when).collect()
    }
}

impl Horde {
    fn add(&mut self, input: RequestInput) -> RequestId {
        let id = RequestId(Uuid::new_v4());
        self.requests.push(Entry {
            id,
            waiting: input.params.n.unwrap_or(1),
            input,
            jobs: Vec::new(),
            cancelled: false,
        });
        id
    }

    fn entry(&self, id: &str) -> Option<&Entry> {
        let id: RequestId = id.parse().ok()?;
        self.requests.iter().find(|entry| entry.id == id)
    }

    fn status(&self, id: &str) -> Option<Status> {
        let entry = self.entry(id)?;
        let generations = entry
            .jobs
            .iter()
            .filter_map(|(id, result)| Some((id, result.as_ref()?)))
            .filter(|(_, result)| result.state != GenerationState::Faulted)
            .map(|(&id, result)| {
                let blob = || STANDARD.encode(&self.blobs[&id.to_string()]);
                let inline = result.generation.clone().unwrap();
                Generation {
                    img: match inline.as_str() {
                        "R2" if entry.input.r2 => format!("{}/blobs/{id}", self.url),
                        "R2" => blob(),
                        _ => inline,
                    },
                    seed: result.seed.to_string(),
                    id,
                    censored: false,
                    gen_metadata: result.gen_metadata.clone(),
                    worker_id: WorkerId(Uuid::nil()),
                    worker_name: "double".into(),
                    model: "stable_diffusion".into(),
                    state: GenerationState::Ok,
                }
            });
        Some(Status {
            generations: generations.collect(),
            shared: false,
            progress: entry.progress(!self.impossible),
        })
    }
}

async fn scripted(State(double): State<Double>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let canned = {
        let mut horde = double.horde();
        horde
            .calls
            .push((Instant::now(), format!("{} {path}", request.method())));
        let key = horde
            .script
            .keys()
            .copied()
            .find(|key| path.contains(&format!("/{key}")));
        key.and_then(|key| horde.script.get_mut(key)?.pop_front())
    };
    let Some(canned) = canned else {
        return next.run(request).await;
    };
    let status = StatusCode::from_u16(canned.status).unwrap();
    let mut response = (status, Json(canned.body)).into_response();
    if let Some(seconds) = canned.retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

async fn heartbeat() -> Json<Value> {
    Json(json!({"message": "OK", "version": "double-1"}))
}

fn refusal(status: u16, rc: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(json!({"message": message, "rc": rc}))).into_response()
}

fn not_found() -> Response {
    refusal(404, "RequestNotFound", "Request not found.")
}

async fn request(
    State(double): State<Double>,
    headers: HeaderMap,
    Json(input): Json<RequestInput>,
) -> Response {
    if !headers.contains_key("apikey") {
        return refusal(401, "InvalidAPIKey", "No key.");
    }
    if input.dry_run {
        return Json(json!({"kudos": 12.5})).into_response();
    }
    let mut horde = double.horde();
    let warnings = if horde.impossible {
        vec![Warning {
            code: WarningCode::NoAvailableWorker,
            message: "No worker can do this now.".into(),
        }]
    } else {
        Vec::new()
    };
    let accepted = RequestAccepted {
        id: Some(horde.add(input)),
        kudos: 10.0,
        message: None,
        warnings,
    };
    (StatusCode::ACCEPTED, Json(accepted)).into_response()
}

async fn check(State(double): State<Double>, Path(id): Path<String>) -> Response {
    let horde = double.horde();
    match horde.entry(&id) {
        Some(entry) => Json(entry.progress(!horde.impossible)).into_response(),
        None => not_found(),
    }
}

async fn status(State(double): State<Double>, Path(id): Path<String>) -> Response {
    match double.horde().status(&id) {
        Some(status) => Json(status).into_response(),
        None => not_found(),
    }
}

async fn cancel(State(double): State<Double>, Path(id): Path<String>) -> Response {
    let mut horde = double.horde();
    let Some(status) = horde.status(&id) else {
        return not_found();
    };
    for entry in horde
        .requests
        .iter_mut()
        .filter(|entry| entry.id.to_string() == id)
    {
        entry.waiting = 0;
        entry.cancelled = true;
    }
    Json(status).into_response()
}

async fn pop(State(double): State<Double>, Json(input): Json<PopInput>) -> Json<Popped> {
    let mut horde = double.horde();
    let (url, ttl) = (horde.url.clone(), horde.ttl);
    let model = input.models.first().cloned();
    let amount = input.amount;
    let serves = |entry: &&mut Entry| {
        entry
            .input
            .models
            .iter()
            .any(|model| input.models.contains(model))
    };
    let entry = horde
        .requests
        .iter_mut()
        .filter(serves)
        .find(|entry| entry.waiting > 0);
    let mut popped = Popped::default();
    if let Some(entry) = entry {
        let count = entry.waiting.min(amount);
        entry.waiting -= count;
        popped.ids = (0..count).map(|_| JobId(Uuid::new_v4())).collect();
        entry.jobs.extend(popped.ids.iter().map(|&id| (id, None)));
        let uploads: Vec<String> = popped.ids.iter().map(|id| format!("{url}/blobs/{id}")).collect();
        popped.id = popped.ids.first().copied();
        popped.ttl = ttl;
        popped.model = model;
        popped.r2_upload = uploads.first().cloned();
        popped.r2_uploads = Some(uploads);
        popped.payload = JobPayload {
            prompt: Some(entry.input.prompt.clone()),
            seed: Some("1000".into()),
            n_iter: count,
            width: entry.input.params.width.unwrap_or(512),
            height: entry.input.params.height.unwrap_or(512),
            ..JobPayload::default()
        };
    }
    horde.pops.push(input);
    Json(popped)
}

async fn submit(State(double): State<Double>, Json(input): Json<SubmitInput>) -> Response {
    let mut horde = double.horde();
    let jobs = horde.requests.iter_mut().flat_map(|entry| &mut entry.jobs);
    let answer = match jobs.into_iter().find(|(id, _)| id.to_string() == input.id) {
        None => refusal(404, "InvalidJobID", "Processing Job with ID does not exist."),
        Some((_, Some(_))) => refusal(400, "DuplicateGen", "already submitted"),
        Some((_, result)) => {
            *result = Some(input.clone());
            Json(Submitted { reward: 10.5 }).into_response()
        }
    };
    horde.submissions.push(input);
    answer
}

async fn test_user(State(double): State<Double>, body: Bytes) -> Response {
    let mut horde = double.horde();
    if !horde.test_users {
        return (StatusCode::NOT_FOUND, Json(json!({"message": "Not found."}))).into_response();
    }
    horde.accounts += 1;
    let number = horde.accounts;
    let wish: Value = serde_json::from_slice(&body).unwrap();
    let user = json!({
        "api_key": format!("test-key-{number}"), "user_id": number.to_string(), "username": wish["username"],
        "alias": format!("u#{number}"), "kudos": wish["kudos"], "trusted": true, "moderator": true, "created": true,
    });
    (StatusCode::CREATED, Json(user)).into_response()
}

async fn register(State(double): State<Double>, body: String) -> String {
    let mut horde = double.horde();
    horde.accounts += 1;
    let number = horde.accounts;
    format!("<p class=\"ah-api-key\">registered-{number}</p><!-- {body} -->")
}

async fn put_blob(State(double): State<Double>, Path(name): Path<String>, body: Bytes) {
    double.horde().blobs.insert(name, body.to_vec());
}

async fn get_blob(State(double): State<Double>, Path(name): Path<String>) -> Response {
    match double.horde().blobs.get(&name) {
        Some(blob) => blob.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
