//! What bodies may cost: memory that is shared by all of them, and time.
//!
//! Limits of single bodies do not help against many at once: ten thousand that are each within their limit would take
//! all memory. So the bytes of all bodies in flight are counted while they arrive, and given back once the request is
//! answered. A body that arrives more slowly than a slow modem sends is cut off.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::ApiError;

/// What all bodies together may cost, and how slow one may be.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes of bodies in flight at the same time. In memory a body takes up to three times its size: its pieces, what they
    /// are put together to, and what is read from that.
    pub memory: usize,
    /// How long a body may take, whatever its size …
    pub grace: Duration,
    /// … and how many bytes a second it must have beyond that.
    pub slowest: u64,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            memory: 256 * 1024 * 1024,
            grace: Duration::from_secs(20),
            slowest: 16 * 1024,
        }
    }
}

/// The memory that bodies share. Clones share it, too.
#[derive(Clone, Debug)]
pub struct BodyGuard {
    limits: BodyLimits,
    used: Arc<AtomicUsize>,
}

impl BodyGuard {
    /// Nothing is used yet.
    pub fn new(limits: BodyLimits) -> Self {
        Self {
            limits,
            used: Arc::default(),
        }
    }

    /// Bytes of bodies that are in memory.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// What a request holds of the shared memory; given back when it is answered.
#[derive(Debug)]
struct Share {
    used: Arc<AtomicUsize>,
    memory: usize,
    mine: AtomicUsize,
    verdict: AtomicU8,
}

const FINE: u8 = 0;
const NO_MEMORY: u8 = 1;
const TOO_SLOW: u8 = 2;

impl Share {
    /// Takes more of the memory; says whether there was enough.
    fn take(&self, bytes: usize) -> bool {
        self.mine.fetch_add(bytes, Ordering::Relaxed);
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        before + bytes <= self.memory
    }

    fn condemn(&self, verdict: u8) -> CutOff {
        self.verdict.store(verdict, Ordering::Relaxed);
        CutOff
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(*self.mine.get_mut(), Ordering::Relaxed);
    }
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut off")]
struct CutOff;

/// A body whose bytes are counted and whose speed is watched.
struct Guarded {
    inner: Body,
    share: Arc<Share>,
    limits: BodyLimits,
    started: Instant,
    received: u64,
    deadline: Pin<Box<Sleep>>,
}

impl Guarded {
    fn new(inner: Body, share: Arc<Share>, limits: BodyLimits) -> Self {
        let started = Instant::now();
        Self {
            inner,
            share,
            limits,
            started,
            received: 0,
            deadline: Box::pin(sleep_until(started + limits.grace)),
        }
    }

    /// Counts what has arrived, which earns more time.
    fn count(&mut self, bytes: usize) -> Result<(), CutOff> {
        if !self.share.take(bytes) {
            return Err(self.share.condemn(NO_MEMORY));
        }
        self.received += bytes as u64;
        let earned = Duration::from_millis(self.received * 1000 / self.limits.slowest.max(1));
        let deadline = self.started + self.limits.grace + earned;
        self.deadline.as_mut().reset(deadline);
        Ok(())
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let counted = this.count(bytes);
                Poll::Ready(Some(counted.map(|()| frame).map_err(Into::into)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|failed| failed.map_err(Into::into))),
            Poll::Pending if this.deadline.as_mut().poll(context).is_ready() => {
                Poll::Ready(Some(Err(this.share.condemn(TOO_SLOW).into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Middleware: counts the body of a request while it is there, and answers for it if it was cut off.
pub async fn guard_body(State(guard): State<BodyGuard>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let share = Arc::new(Share {
        used: Arc::clone(&guard.used),
        memory: guard.limits.memory,
        mine: AtomicUsize::new(0),
        verdict: AtomicU8::new(FINE),
    });
    let guarded = Arc::clone(&share);
    let request = request.map(|body| Body::new(Guarded::new(body, guarded, guard.limits)));
    let response = next.run(request).await;
    match share.verdict.load(Ordering::Relaxed) {
        NO_MEMORY => ApiError::Unavailable.into_response(),
        TOO_SLOW => ApiError::TooSlow.into_response(),
        _ => response,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;

    use axum::{Router, middleware, routing::post};
    use futures_util::stream;
    use tokio::sync::Notify;

    use super::{super::testing::send, *};

    const LIMITS: BodyLimits = BodyLimits {
        memory: 1000,
        grace: Duration::from_secs(10),
        slowest: 100,
    };

    fn router(guard: &BodyGuard) -> Router {
        Router::new()
            .route("/", post(|body: Bytes| async move { body.len().to_string() }))
            .layer(middleware::from_fn_with_state(guard.clone(), guard_body))
    }

    /// A body of pieces that each arrive after some time.
    fn pieces(sizes: Vec<(u64, usize)>) -> Body {
        Body::from_stream(stream::unfold(sizes.into_iter(), |mut sizes| async move {
            let (seconds, size) = sizes.next()?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Some((Ok::<_, axum::BoxError>(Bytes::from(vec![b'x'; size])), sizes))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_to_keep_up() {
        let guard = BodyGuard::new(LIMITS);
        let router = router(&guard);
        let post = async |sizes: &[(u64, usize)]| {
            let answer = send(&router, "POST", "/", &[], pieces(sizes.to_vec())).await;
            assert_eq!(guard.used(), 0, "all is given back");
            (answer.status.as_u16(), answer.text)
        };
        assert_eq!(post(&[(9, 1)]).await, (200, "1".to_owned()));
        assert_eq!(post(&[(11, 1)]).await.0, 408);
        // 500 bytes earn 5 seconds more.
        assert_eq!(post(&[(5, 500), (9, 1)]).await, (200, "501".to_owned()));
        assert_eq!(post(&[(5, 500), (11, 1)]).await.0, 408);
        let trickle: Vec<(u64, usize)> = vec![(1, 1); 60];
        assert_eq!(post(&trickle).await.0, 408);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_share_their_memory_until_they_are_answered() {
        let guard = BodyGuard::new(LIMITS);
        let go_on = Arc::new(Notify::new());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (waiting, noted) = (Arc::clone(&go_on), Arc::clone(&seen));
        let router = Router::new()
            .route(
                "/",
                post(move |body: Bytes| async move {
                    noted.lock().unwrap().push(body.len());
                    waiting.notified().await;
                }),
            )
            .layer(middleware::from_fn_with_state(guard.clone(), guard_body));
        let first = {
            let router = router.clone();
            tokio::spawn(async move { send(&router, "POST", "/", &[], vec![0; 800]).await.status })
        };
        while seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(guard.used(), 800);
        let refused = send(&router, "POST", "/", &[], vec![0; 201]).await;
        assert_eq!(refused.status, 503);
        assert_eq!(guard.used(), 800);
        go_on.notify_one();
        assert_eq!(first.await.unwrap(), 200);
        assert_eq!(guard.used(), 0);
        go_on.notify_one();
        assert_eq!(send(&router, "POST", "/", &[], vec![0; 1000]).await.status, 200);
    }
}
