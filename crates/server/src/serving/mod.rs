//! Connections: taken in up to a number, served over HTTP/1.1, and cut off when the other side dawdles.
//!
//! Whoever opens connections and says nothing, sends a header or reads an answer byte by byte, costs the server a
//! connection for a while and little memory; how many one address can have is limited, so that it cannot take those of
//! everybody. What is sent in bodies is watched in [`crate::http::body_guard`], where requests are known.

mod census;
mod stream;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use tokio::{net::TcpListener, net::TcpStream};
use tower::ServiceExt as _;

use self::{census::Census, stream::Watched};

/// How long a failure to take a connection in (no more files, say) keeps from the next attempt.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Headers of one request.
const HEADERS: usize = 100;
/// All headers of one request, in bytes.
const HEADER_BYTES: usize = 64 * 1024;

/// How patient the server is with connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at the same time.
    pub connections: usize,
    /// Connections from one address at the same time; of IPv6 from one network of 64 bits. `None`: as many as there are,
    /// for a server behind a proxy, to which all seem to come from there.
    pub per_address: Option<usize>,
    /// How long the header of a request may take.
    pub header: Duration,
    /// How long a connection may be idle between requests.
    pub idle: Duration,
    /// How long the other side may leave an answer unread.
    pub unread: Duration,
    /// How long requests in flight may take when the server stops.
    pub farewell: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            per_address: Some(1024),
            header: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            unread: Duration::from_secs(30),
            farewell: Duration::from_secs(30),
        }
    }
}

/// Serves until `stop` is ready, then takes no more connections, finishes what is in flight and
/// returns. A connection that cannot be taken in is tried again.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let census = Arc::new(Census::new(limits.connections, limits.per_address));
    let farewell = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            taken = take(&listener) => taken,
        };
        let Some(place) = census.enter(peer.ip()) else {
            // Closing says it; an answer would cost more than the connection.
            tracing::debug!(%peer, "a connection was one too many");
            continue;
        };
        // Answers are small and written at once; waiting to fill a packet only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection keeps its delay");
        }
        let connection = farewell.watch(connect(stream, peer, router.clone(), limits));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, %peer, "a connection has failed");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.farewell, farewell.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests in flight took too long and were cut off");
    }
}

/// The next connection.
async fn take(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(taken) => return taken,
            // The other side has left already.
            Err(error) if is_theirs(&error) => {}
            Err(error) => {
                tracing::error!(%error, "a connection cannot be taken in; it is tried again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_theirs(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

type Served = hyper::Result<()>;

/// Serves one connection.
fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
) -> impl GracefulConnection<Output = Served, Error = hyper::Error> {
    let busy = Arc::new(AtomicBool::new(false));
    let watched = Watched::new(stream, Arc::clone(&busy), limits.header, limits.unread);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        busy.store(true, Ordering::Release);
        let (router, busy) = (router.clone(), Arc::clone(&busy));
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        async move {
            let answer: Result<Response, _> = router.oneshot(request).await;
            busy.store(false, Ordering::Release);
            answer
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        // It runs while the connection is idle, too; `Watched` is stricter once a header has begun.
        .header_read_timeout(limits.idle)
        .max_headers(HEADERS)
        .max_header_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(watched), service)
}
