//! Work that goes on when its caller hangs up.

use std::{future::Future, panic::resume_unwind};

use tracing::Instrument as _;

use super::ApiError;

/// Does `work` to its end, even if the caller hangs up meanwhile and the handler is dropped.
///
/// A use case that changes something first makes it durable and then takes it into memory. Given up in
/// between, memory would not know what the database has: a job without a deadline, a request that no
/// worker is offered.
///
/// # Errors
/// The server is stopping and takes the work down with it. A panic goes on to the caller.
pub async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::spawn(work.in_current_span())
        .await
        .map_err(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => ApiError::Unavailable,
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::{FutureExt as _, poll};
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_without_its_caller() {
        let (go, may_go) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let mut call = Box::pin(to_the_end(async move {
            may_go.await.unwrap();
            tell.send("done").unwrap();
        }));
        assert!(poll!(&mut call).is_pending());
        drop(call);
        go.send(()).unwrap();
        assert_eq!(told.await.unwrap(), "done");
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller() {
        let call = to_the_end(async { panic!("a bug") });
        let outcome: Result<Result<(), ApiError>, _> =
            std::panic::AssertUnwindSafe(call).catch_unwind().await;
        assert_eq!(outcome.unwrap_err().downcast_ref::<&str>(), Some(&"a bug"));
    }
}
