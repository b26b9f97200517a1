//! A server for one test, and a client that looks at everything.

mod books;
mod home;
mod receiver;

pub(crate) use books::{assert_clean, balances, find_user, movements};
pub(crate) use receiver::Receiver;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use home::Home;
use muster_engine::{
    Engine, EngineConfig, ManualClock, ModelReference, Parts, RatingService, ReputationService,
    SupporterService, SupporterServiceKind, TextModels, WhenUnknown,
    outbound::{Outbound, Reach},
};
use muster_kudos::image::ImagePricing;
use muster_protocol::{TestUser, TestUserInput, Timestamp, UserId};
use muster_server::{About, BodyLimits, ConnectionLimits, MetricsPage, ServerConfig, router, serve};
use muster_store::{AccountChanges, BlobConfig, Blobs, Role, Roles, Store, StoreConfig, WorkerChanges};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// When every test begins: 2024-01-02 03:04:05 UTC.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_704_164_645_000);
/// The key that all callers without a key of their own share.
pub(crate) const ANONYMOUS: &str = "0000000000";
/// A bridge agent that can do everything and is paid in full.
pub(crate) const BRIDGE_AGENT: &str = "AI Horde Worker reGen:13.0.0:https://example.org";

/// How a test's server differs from the usual one.
pub(crate) struct Setup {
    pub(crate) engine: EngineConfig,
    pub(crate) rate_limits: bool,
    pub(crate) trusted_hops: usize,
    /// How the server thinks it is reached; `None`: as it is.
    pub(crate) public_url: Option<&'static str>,
    /// Where webhooks and source images may be.
    pub(crate) reach: Reach,
    /// Where ratings go.
    pub(crate) ratings: Option<String>,
    pub(crate) ratings_timeout: Duration,
    /// Who is asked about addresses, and what happens if it does not answer.
    pub(crate) reputation: Option<(String, WhenUnknown)>,
    /// Through which services people support the horde, and where these are.
    pub(crate) supporter_services: Vec<(SupporterServiceKind, String)>,
    /// How patient the server is.
    pub(crate) connections: ConnectionLimits,
    pub(crate) bodies: BodyLimits,
    /// Who may see what is measured.
    pub(crate) metrics: Option<MetricsPage>,
    /// What the operator tells about the horde.
    pub(crate) about: About,
}

impl Default for Setup {
    fn default() -> Self {
        let engine = EngineConfig {
            key_salt: "salt".to_owned(),
            test_accounts: true,
            administrators: Some(Vec::new()),
            worker_list_lifetime: Duration::ZERO,
            ..EngineConfig::default()
        };
        Self {
            engine,
            rate_limits: false,
            trusted_hops: 0,
            public_url: None,
            reach: Reach::Public,
            ratings: None,
            ratings_timeout: RatingService::TIMEOUT,
            reputation: None,
            supporter_services: Vec::new(),
            connections: ConnectionLimits::default(),
            bodies: BodyLimits::default(),
            metrics: None,
            about: About {
                title: "Test horde".to_owned(),
                url: "https://horde.example".to_owned(),
                ..About::default()
            },
        }
    }
}

impl Setup {
    /// A server whose webhooks and source images may be on this machine.
    pub(crate) fn open() -> Self {
        Self {
            reach: Reach::Anywhere,
            ..Self::default()
        }
    }
}

/// A running server.
pub(crate) struct TestServer {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    address: SocketAddr,
    client: reqwest::Client,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    home: Arc<Home>,
}

/// A response taken apart.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body, which must be JSON and say so.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let kind = self.header("content-type");
        assert!(kind.starts_with("application/json"), "{kind}: {}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header's text, empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The message of a broken rule; the body must have exactly `message` and `rc`.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, rc: &str) -> String {
        let body = self.json();
        assert_eq!(
            (self.status.as_u16(), body["rc"].as_str()),
            (status, Some(rc)),
            "{body}"
        );
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        body["message"].as_str().unwrap().to_owned()
    }

    /// The offending members of a body or argument; the answer must be 400 without a return code.
    #[track_caller]
    pub(crate) fn invalid(&self) -> Vec<String> {
        let body = self.json();
        assert_eq!(self.status, 400, "{body}");
        assert_eq!(body["message"], "Input payload validation failed");
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        let errors = body["errors"]
            .as_object()
            .unwrap_or_else(|| panic!("no errors in {body}"));
        assert!(errors.values().all(Value::is_string), "{body}");
        errors.keys().cloned().collect()
    }

    /// The message of an error that has nothing else.
    #[track_caller]
    pub(crate) fn plain(&self, status: u16) -> String {
        let body = self.json();
        assert_eq!(self.status, status, "{body}");
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        body["message"].as_str().unwrap().to_owned()
    }
}

impl TestServer {
    /// The usual server.
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// A server that differs.
    pub(crate) async fn with(setup: Setup) -> Self {
        let home = Arc::new(Home::new().await);
        Self::over(home, Arc::new(ManualClock::new(START)), setup).await
    }

    /// Stops the server and starts another one over what the first one left behind.
    pub(crate) async fn restart(self, setup: Setup) -> Self {
        let (home, clock) = (Arc::clone(&self.home), Arc::clone(&self.clock));
        self.stop().await;
        Self::over(home, clock, setup).await
    }

    /// Stops the server, with everything written down.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }

    async fn over(home: Arc<Home>, clock: Arc<ManualClock>, setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let base_url = setup
            .public_url
            .map_or_else(|| format!("http://{address}"), str::to_owned);
        let blobs = BlobConfig::Local {
            dir: home.directory().join("blobs"),
            base_url: base_url.parse().unwrap(),
            secret: b"secret".to_vec(),
        };
        let parts = Parts {
            config: setup.engine,
            clock: clock.clone(),
            seed: home.next_seed(),
            store: Store::open(StoreConfig::new(home.database())).await.unwrap(),
            blobs: Blobs::new(blobs).unwrap(),
            models: ModelReference::bundled().clone(),
            text_models: TextModels::bundled().clone(),
            pricing: ImagePricing::bundled(),
            outbound: Outbound::new(setup.reach).unwrap(),
            ratings: setup.ratings.map(|url| RatingService {
                url,
                outbound: Outbound::new(Reach::Anywhere).unwrap(),
                timeout: setup.ratings_timeout,
            }),
            notifier: Outbound::new(Reach::Anywhere).unwrap(),
            supporter_services: setup
                .supporter_services
                .into_iter()
                .map(|(kind, url)| SupporterService {
                    kind,
                    url,
                    key: "operators-key".to_owned(),
                    outbound: Outbound::new(Reach::Anywhere).unwrap(),
                })
                .collect(),
            reputation: setup.reputation.map(|(url, when_unknown)| ReputationService {
                url,
                no_opinion: Some(-3.0),
                exempt: vec!["9.9.9.0/24".parse().unwrap()],
                when_unknown,
                outbound: Outbound::new(Reach::Anywhere).unwrap(),
            }),
        };
        let engine = Engine::start(parts).await.unwrap();
        let config = ServerConfig {
            about: setup.about,
            node: "node".to_owned(),
            port: 7001,
            trusted_hops: setup.trusted_hops,
            rate_limits: setup.rate_limits,
            bodies: setup.bodies,
            metrics: setup.metrics,
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(
            engine.clone(),
            listener,
            router(engine.clone(), &config),
            setup.connections,
            stop.clone(),
        ));
        Self {
            engine,
            clock,
            address,
            client: http_client(),
            stop,
            running,
            home,
        }
    }

    /// The server after an operator has changed the only worker, and started it again.
    pub(crate) async fn with_worker(self, changes: WorkerChanges) -> Self {
        let worker = self.engine.store().workers().await.unwrap()[0].id;
        let journal = self.engine.store().journal();
        journal.set_worker(worker, changes).await.unwrap();
        self.restart(Setup::default()).await
    }

    /// Where the server keeps its files.
    pub(crate) fn directory(&self) -> PathBuf {
        self.home.directory().to_owned()
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// An absolute address on the server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Lets time pass, and does what is due then.
    pub(crate) async fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.engine.serve_deadlines().await.unwrap();
    }

    /// A call with any headers and body.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            self.url(path)
        };
        let mut request = self.client.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Answer {
            status,
            headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn get_as(&self, path: &str, key: &str) -> Answer {
        self.send(Method::GET, path, &[("apikey", key)], "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], "").await
    }

    /// A JSON body with a key.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let headers = [("apikey", key), ("content-type", "application/json")];
        self.send(Method::POST, path, &headers, body.to_string()).await
    }

    /// A JSON body with a key and any method.
    pub(crate) async fn call(&self, method: Method, path: &str, key: &str, body: &Value) -> Answer {
        let headers = [("apikey", key), ("content-type", "application/json")];
        self.send(method, path, &headers, body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, key, body).await
    }

    pub(crate) async fn patch(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.call(Method::PATCH, path, key, body).await
    }

    pub(crate) async fn delete_as(&self, path: &str, key: &str) -> Answer {
        self.send(Method::DELETE, path, &[("apikey", key)], "").await
    }

    /// A moderator.
    pub(crate) async fn moderator(&self, name: &str) -> TestUser {
        let input = TestUserInput {
            username: name.to_owned(),
            oauth_id: format!("test_{name}"),
            moderator: true,
            trusted: true,
            kudos: Some(0),
        };
        self.engine.test_user(input).await.unwrap()
    }

    /// Registers a worker for pictures; its id.
    pub(crate) async fn worker(&self, key: &str, name: &str) -> String {
        self.pop(key, &worker(name)).await.ok(200);
        self.worker_id(name).await
    }

    /// The id of a worker.
    pub(crate) async fn worker_id(&self, name: &str) -> String {
        let found = self.engine.store().worker_by_name(name).await.unwrap();
        found.unwrap().id.to_string()
    }

    /// An account with a balance in whole kudos, not trusted.
    pub(crate) async fn user(&self, name: &str, kudos: i64) -> TestUser {
        self.account(name, false, kudos).await
    }

    /// A trusted account with a balance in whole kudos.
    pub(crate) async fn trusted(&self, name: &str, kudos: i64) -> TestUser {
        self.account(name, true, kudos).await
    }

    async fn account(&self, name: &str, trusted: bool, kudos: i64) -> TestUser {
        let input = TestUserInput {
            username: name.to_owned(),
            // As if registered through a provider: the floor of such accounts is 25.
            oauth_id: format!("test_{name}"),
            moderator: false,
            trusted,
            kudos: Some(kudos),
        };
        self.engine.test_user(input).await.unwrap()
    }

    /// An account without kudos that has a role.
    pub(crate) async fn user_with(&self, name: &str, role: Role) -> TestUser {
        let user = self.user(name, 0).await;
        let changes = AccountChanges {
            grant: Roles::of(&[role]),
            ..AccountChanges::default()
        };
        let journal = self.engine.store().journal();
        journal.set_account(number(&user), changes, START).await.unwrap();
        user
    }

    /// Puts a request for pictures into the queue; its id.
    pub(crate) async fn request(&self, key: &str, body: &Value) -> String {
        let accepted = self.post("/api/v2/generate/async", key, body).await.ok(202);
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// A pop with `body`.
    pub(crate) async fn pop(&self, key: &str, body: &Value) -> Answer {
        self.post("/api/v2/generate/pop", key, body).await
    }

    /// Pops a job as [`worker`]; the whole answer, which must have a job.
    pub(crate) async fn popped(&self, key: &str, name: &str) -> Value {
        let popped = self.pop(key, &worker(name)).await.ok(200);
        assert!(popped["id"].is_string(), "{popped}");
        popped
    }

    /// Submits a small picture for a job.
    pub(crate) async fn deliver(&self, key: &str, job: &str) -> Answer {
        let body = json!({"id": job, "generation": picture(), "seed": 42});
        self.post("/api/v2/generate/submit", key, &body).await
    }
}

async fn run(
    engine: Engine,
    listener: TcpListener,
    router: axum::Router,
    connections: ConnectionLimits,
    stop: CancellationToken,
) {
    let stopped = stop.clone();
    let stopped = async move { stopped.cancelled().await };
    serve(listener, router, connections, stopped).await;
    engine.store().clone().close().await;
}

/// The number of an account.
pub(crate) fn number(user: &TestUser) -> UserId {
    UserId(user.user_id.parse().unwrap())
}

/// A plain request for a picture by `stable_diffusion`, with all that matters given.
pub(crate) fn plain_request() -> Value {
    json!({
        "prompt": "a lighthouse on a cliff",
        "models": ["stable_diffusion"],
        "params": {"width": 512, "height": 512, "steps": 20, "cfg_scale": 7.5, "sampler_name": "k_euler_a", "seed": "42", "n": 1},
        "nsfw": false,
    })
}

/// The pop of a worker that serves `stable_diffusion` and takes anything.
pub(crate) fn worker(name: &str) -> Value {
    json!({
        "name": name,
        "models": ["stable_diffusion"],
        "bridge_agent": BRIDGE_AGENT,
        "nsfw": true,
        "amount": 1,
        "threads": 1,
        "max_pixels": 4_194_304,
        "allow_img2img": true,
        "allow_painting": true,
        "allow_post_processing": true,
        "allow_controlnet": true,
        "allow_sdxl_controlnet": true,
        "allow_lora": true,
        "allow_unsafe_ipaddr": true,
    })
}

/// A small WebP picture as base64.
pub(crate) fn picture() -> String {
    encoded(image::ImageFormat::WebP)
}

/// A small picture in some format as base64.
pub(crate) fn encoded(format: image::ImageFormat) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(picture_bytes(format))
}

/// A small picture in some format.
pub(crate) fn picture_bytes(format: image::ImageFormat) -> Vec<u8> {
    let picture = image::RgbImage::from_pixel(16, 16, image::Rgb([200, 40, 40]));
    let mut bytes = Vec::new();
    picture
        .write_to(&mut std::io::Cursor::new(&mut bytes), format)
        .unwrap();
    bytes
}

/// A body with some members replaced or added, those of objects inside one by one.
pub(crate) fn changed(mut body: Value, changes: Value) -> Value {
    match (&mut body, changes) {
        (Value::Object(members), Value::Object(changes)) => {
            for (name, change) in changes {
                let member = members.remove(&name).unwrap_or(Value::Null);
                members.insert(name, changed(member, change));
            }
        }
        (_, change) => body = change,
    }
    body
}

/// A client. The HTTP library has to be told who does its TLS, although these tests use none.
fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
