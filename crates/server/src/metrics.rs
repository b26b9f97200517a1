//! `/metrics` for Prometheus, and what is measured of requests.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, header::CONTENT_TYPE},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::{
    AppState,
    http::{ApiError, ClientAddress},
};

const REQUESTS: &str = "muster_http_requests_total";
const SECONDS: &str = "muster_http_request_seconds";
const IN_FLIGHT: &str = "muster_http_requests_in_flight";
/// The format that Prometheus reads.
const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Who writes all figures down as Prometheus reads them, and who may see them.
#[derive(Clone)]
pub struct MetricsPage {
    /// Writes all figures down.
    pub render: Arc<dyn Fn() -> String + Send + Sync>,
    /// From where they may be read. For everybody else there is no such page.
    pub readers: Vec<IpNet>,
}

impl MetricsPage {
    fn admits(&self, address: IpAddr) -> bool {
        self.readers.iter().any(|network| network.contains(&address))
    }
}

impl fmt::Debug for MetricsPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsPage")
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}

/// Requests that are being served.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn enter(&self) -> Passing {
        self.0.fetch_add(1, Ordering::Relaxed);
        Passing(self.clone())
    }
}

/// A request that is being served, until it is dropped: answered, or given up by its caller.
struct Passing(InFlight);

impl Drop for Passing {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says what the figures mean.
pub(crate) fn describe() {
    describe_counter!(REQUESTS, "Requests over HTTP, by route, method and status");
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "How long requests over HTTP took, by route"
    );
    describe_gauge!(IN_FLIGHT, "Requests over HTTP that are being served");
}

/// Middleware: measures a request. It has to be inside the router, where the route is known.
pub(crate) async fn measure(State(in_flight): State<InFlight>, request: Request, next: Next) -> Response {
    let _passing = in_flight.enter();
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    // Of what strangers call methods, only those that exist are told apart.
    let method = match request.method().as_str() {
        method @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "HEAD") => method.to_owned(),
        _ => "other".to_owned(),
    };
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    histogram!(SECONDS, "route" => route.clone()).record(started.elapsed().as_secs_f64());
    counter!(REQUESTS, "route" => route, "method" => method, "status" => status).increment(1);
    response
}

/// All figures, as Prometheus reads them.
pub(crate) async fn page(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
) -> Result<Response, ApiError> {
    let page = state.metrics.as_ref().filter(|page| page.admits(address));
    let page = page.ok_or(ApiError::NotFound)?;
    state.engine.observe();
    gauge!(IN_FLIGHT).set(state.in_flight.count() as f64);
    Ok(([(CONTENT_TYPE, FORMAT)], (page.render)()).into_response())
}
