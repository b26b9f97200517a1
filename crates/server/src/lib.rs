//! How the horde is reached: routes, errors as JSON, the API's description, pages.
//!
//! No business rule lives here. A handler reads: extract, call one function of the engine, respond.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`http`] | conventions of the API that no single route owns: addresses, limits, headers, masks, errors |
//! | `routes` | one file for each resource |
//! | `about` | what the operator tells about the horde: documents, news |
//! | `description` | the machine-readable description of the API |
//! | `serving` | connections: how many, how slow |
//! | `metrics` | what is measured, for Prometheus |
//! | `traces` | what traces tell of requests |
//! | `failure` | what an engine error becomes on the wire |

mod about;
mod description;
mod failure;
pub mod http;
mod metrics;
mod routes;
mod serving;
mod traces;

use std::sync::Arc;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use muster_engine::Engine;
use muster_protocol::UserId;

use crate::http::{
    AddressRules, BodyGuard, MemoryStore, NodeName, Passkeys, PrivilegedAddresses, RateLimiter,
    with_conventions,
};
pub use crate::{
    about::About,
    http::BodyLimits,
    metrics::MetricsPage,
    serving::{ConnectionLimits, serve},
};
use crate::{description::Description, metrics::InFlight};

/// Version of the server software, as `heartbeat` and the `Horde-Node` header tell it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Version of the API that the server speaks.
const API_VERSION: &str = "2.5";

/// How a node presents itself and whom it believes.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What the operator tells about the horde.
    pub about: About,
    /// Name of this node in the `Horde-Node` header.
    pub node: String,
    /// Port of this node in the `Horde-Node` header.
    pub port: u16,
    /// Reverse proxies of the operator in front of the server.
    pub trusted_hops: usize,
    /// Count requests and refuse those beyond the limits.
    pub rate_limits: bool,
    /// What bodies may cost.
    pub bodies: BodyLimits,
    /// Who may see what is measured, if it is.
    pub metrics: Option<MetricsPage>,
}

/// What every handler can use.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) engine: Engine,
    pub(crate) about: Arc<About>,
    /// The description of the API.
    pub(crate) description: Description,
    /// Who may see what is measured.
    pub(crate) metrics: Option<MetricsPage>,
    pub(crate) in_flight: InFlight,
    /// Whose limits are raised.
    pub(crate) privileged: Arc<PrivilegedAddresses>,
}

/// The passkeys of the horde's services.
struct KnownPasskeys(Engine);

impl Passkeys for KnownPasskeys {
    fn owner(&self, passkey: &str) -> Option<UserId> {
        self.0.owner_of_passkey(passkey)
    }
}

/// All routes of the server with the conventions around them.
pub fn router(engine: Engine, config: &ServerConfig) -> Router {
    let privileged = Arc::new(PrivilegedAddresses::new(
        engine.config().service_addresses.iter().copied(),
    ));
    let limiter = if config.rate_limits {
        let clock = engine.clone();
        RateLimiter::new(MemoryStore::default(), Arc::clone(&privileged), move || {
            clock.clock().now()
        })
    } else {
        RateLimiter::disabled()
    };
    let in_flight = InFlight::default();
    metrics::describe();
    engine.describe_metrics();
    let state = AppState {
        metrics: config.metrics.clone(),
        in_flight: in_flight.clone(),
        engine: engine.clone(),
        description: Description::new(&config.about.title),
        about: Arc::new(config.about.clone()),
        privileged,
    };
    let addresses = AddressRules {
        trusted_hops: config.trusted_hops,
        passkeys: Arc::new(KnownPasskeys(engine)),
    };
    let node = NodeName::new(&config.node, config.port, VERSION);
    let bodies = BodyGuard::new(config.bodies);
    let routes = routes::all(&limiter)
        .layer(from_fn_with_state(in_flight, metrics::measure))
        .layer(from_fn(traces::trace))
        .with_state(state);
    with_conventions(routes, node, addresses, bodies)
}
