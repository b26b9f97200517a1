//! [`RateLimiter`] and the tower layer that puts it in front of a route.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, request::Parts},
    response::{IntoResponse, Response},
};
use muster_protocol::Timestamp;
use tower::{Layer, Service};

use super::{Hit, Limits, PrivilegedAddresses, RateStore, Rule, key::Caller};
use crate::http::ApiError;

/// Counts the requests of every caller and refuses those above the limits of their route. Cheap to
/// clone; all clones share their counters.
#[derive(Clone)]
pub struct RateLimiter {
    /// `None` if limits are switched off.
    counting: Option<Arc<Counting>>,
}

struct Counting {
    store: Box<dyn RateStore>,
    privileged: Arc<PrivilegedAddresses>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl RateLimiter {
    /// A limiter that counts in `store`, is generous to `privileged` addresses and asks `now` for the
    /// time.
    pub fn new(
        store: impl RateStore,
        privileged: Arc<PrivilegedAddresses>,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            counting: Some(Arc::new(Counting {
                store: Box::new(store),
                privileged,
                now: Box::new(now),
            })),
        }
    }

    /// A limiter that admits everything and sends no headers.
    pub fn disabled() -> Self {
        Self { counting: None }
    }

    /// The layer that enforces `limits` on a route.
    pub fn layer(&self, limits: Limits) -> RateLimitLayer {
        RateLimitLayer {
            limiter: self.clone(),
            limits,
        }
    }

    /// Counts a request. `None` if it is not limited at all.
    async fn count(&self, parts: &Parts, limits: Limits) -> Result<Option<Standing>, ApiError> {
        let Some(counting) = &self.counting else {
            return Ok(None);
        };
        if limits.rules().is_empty() || parts.method == Method::OPTIONS {
            return Ok(None);
        }
        counting.charge(&Caller::of(parts)?, limits).await
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("enabled", &self.counting.is_some())
            .finish_non_exhaustive()
    }
}

impl Counting {
    /// Charges the windows of a request one after the other until one is full. The standing is that
    /// of the full window, else of the first.
    async fn charge(&self, caller: &Caller<'_>, limits: Limits) -> Result<Option<Standing>, ApiError> {
        let now = (self.now)();
        let is_privileged = self.privileged.contains(caller.effective.address, now);
        let is_anonymous = caller.is_anonymous();
        let mut first = None;
        for rule in limits.rules() {
            let amount = rule.amount_for(is_privileged, is_anonymous);
            let counter = caller.counter(rule, amount);
            let hit = self.store.hit(counter, rule.window.length(), now).await;
            let standing = Standing::new(rule, amount, hit, now);
            if standing.refused.is_some() {
                return Ok(Some(standing));
            }
            first.get_or_insert(standing);
        }
        Ok(first)
    }
}

/// Where a caller stands with regard to one limit, as the headers say it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    limit: u32,
    remaining: u32,
    /// The first whole second, since the epoch, after the window has closed.
    reset: i64,
    /// Whole seconds from now to the reset.
    retry_after: i64,
    /// The phrase of the limit, if it is exceeded.
    refused: Option<String>,
}

impl Standing {
    fn new(rule: &Rule, amount: u32, hit: Hit, now: Timestamp) -> Self {
        let refused = hit.count > amount;
        let reset = hit.ends_at.millis().div_euclid(1000) + 1;
        let retry_after = (reset * 1000 - now.millis()).div_euclid(1000).max(0);
        Self {
            limit: amount,
            remaining: amount.saturating_sub(hit.count),
            reset,
            // Whoever is refused must not be told to come back at once.
            retry_after: if refused { retry_after.max(1) } else { retry_after },
            refused: refused.then(|| format!("{amount} per 1 {}", rule.window.unit())),
        }
    }

    fn write(&self, headers: &mut HeaderMap) {
        headers.insert("x-ratelimit-limit", self.limit.into());
        headers.insert("x-ratelimit-remaining", self.remaining.into());
        headers.insert("x-ratelimit-reset", HeaderValue::from(self.reset));
        headers.insert("retry-after", HeaderValue::from(self.retry_after));
    }
}

/// The layer that [`RateLimiter::layer`] makes.
#[derive(Clone, Debug)]
pub struct RateLimitLayer {
    limiter: RateLimiter,
    limits: Limits,
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimited<S>;

    fn layer(&self, inner: S) -> RateLimited<S> {
        RateLimited {
            inner,
            limiter: self.limiter.clone(),
            limits: self.limits,
        }
    }
}

/// A service behind a [`RateLimitLayer`].
#[derive(Clone, Debug)]
pub struct RateLimited<S> {
    inner: S,
    limiter: RateLimiter,
    limits: Limits,
}

impl<S> Service<Request> for RateLimited<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The instance that was polled ready is the one to call; its clone takes its place.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (limiter, limits) = (self.limiter.clone(), self.limits);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let standing = match limiter.count(&parts, limits).await {
                Ok(standing) => standing,
                Err(error) => return Ok(error.into_response()),
            };
            let mut response = match standing.as_ref().and_then(|standing| standing.refused.clone()) {
                Some(phrase) => ApiError::RateLimited(phrase).into_response(),
                None => inner.call(Request::from_parts(parts, body)).await?,
            };
            if let Some(standing) = standing {
                standing.write(response.headers_mut());
            }
            Ok(response)
        })
    }
}
