//! [`Wait`]: polling, whatever is waited for.

use std::time::Duration;

use muster_protocol::{RequestId, image::Progress};
use tokio_util::sync::CancellationToken;

use super::{GenerateError, Update};
use crate::{
    backoff::{Backoff, RetryPolicy},
    client::ClientError,
};

/// The pauses before the first polls: a picture may be ready at once.
const FIRST_POLLS: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(500)];
/// The pause between later polls. Servers keep their answer for a second anyway.
const POLL: Duration = Duration::from_secs(1);
/// So many failed calls in a row are overlooked while waiting.
const PATIENCE: RetryPolicy = RetryPolicy {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(15),
    attempts: 8,
};

/// The state of a wait.
pub(super) struct Wait<F> {
    id: RequestId,
    told_impossible: bool,
    backoff: Backoff,
    on_update: F,
}

impl<F: FnMut(Update)> Wait<F> {
    pub(super) fn new(id: RequestId, on_update: F) -> Self {
        Self {
            id,
            told_impossible: false,
            backoff: Backoff::new(PATIENCE),
            on_update,
        }
    }

    /// Looks now and then until there are results; `None` if the wait is broken off.
    pub(super) async fn for_results<T>(
        mut self,
        look: impl AsyncFn() -> Result<(Progress, Option<T>), ClientError>,
        stop: &CancellationToken,
    ) -> Result<Option<T>, GenerateError> {
        tokio::select! {
            waited = self.poll(look) => waited.map(Some),
            () = stop.cancelled() => Ok(None),
        }
    }

    async fn poll<T>(
        &mut self,
        look: impl AsyncFn() -> Result<(Progress, Option<T>), ClientError>,
    ) -> Result<T, GenerateError> {
        let mut pauses = FIRST_POLLS.into_iter();
        loop {
            tokio::time::sleep(pauses.next().unwrap_or(POLL)).await;
            let (progress, results) = match look().await {
                Ok(seen) => seen,
                Err(error) => {
                    self.overlook(error).await?;
                    continue;
                }
            };
            self.backoff.reset();
            // A request that has run out of workers while one is at it is not hopeless.
            if !progress.is_possible && !progress.done && !self.told_impossible {
                self.told_impossible = true;
                (self.on_update)(Update::Impossible);
            }
            (self.on_update)(Update::Progress(progress));
            if let Some(results) = results {
                return Ok(results);
            }
        }
    }

    /// Pauses after a failure that may pass; returns any other.
    async fn overlook(&mut self, error: ClientError) -> Result<(), GenerateError> {
        if error.status() == Some(404) {
            return Err(GenerateError::Expired(self.id));
        }
        if !error.is_temporary() || !self.backoff.may_retry() {
            return Err(error.into());
        }
        let again_in = self.backoff.pause(error.retry_after());
        (self.on_update)(Update::Trouble {
            error: error.to_string(),
            again_in,
        });
        tokio::time::sleep(again_in).await;
        Ok(())
    }
}
