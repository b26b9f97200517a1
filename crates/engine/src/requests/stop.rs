//! Requests that get no more jobs: their client cancels them, or the horde goes into maintenance.

use muster_protocol::RequestId;
use tokio::task::JoinSet;

use crate::{Engine, EngineError, error::Result};

/// Requests that are stopped at the same time. They share commits.
const AT_ONCE: usize = 256;

impl Engine {
    /// Hands out no more jobs of any request: the horde goes into maintenance. Answers how many requests
    /// were waiting. Their jobs in progress may still be delivered, and what comes back of them is not
    /// handed out again.
    ///
    /// # Errors
    /// The database failed; requests that were not stopped yet still wait.
    pub async fn stop_waiting_requests(&self) -> Result<usize> {
        let waiting = self.live.lock().waiting(self.clock.now());
        for some in waiting.chunks(AT_ONCE) {
            let mut stopping = JoinSet::new();
            for id in some.iter().copied() {
                let engine = self.clone();
                stopping.spawn(async move { engine.stop_request(id).await });
            }
            while let Some(outcome) = stopping.join_next().await {
                outcome.map_err(|_| EngineError::Stopping)??;
            }
        }
        Ok(waiting.len())
    }

    /// Hands out no more jobs of a request. Jobs in progress may still be delivered.
    pub(super) async fn stop_request(&self, id: RequestId) -> Result<()> {
        self.store.journal().cancel_request(id, self.clock.now()).await?;
        self.live.lock().stop(id, false);
        self.release_when_done(id).await;
        Ok(())
    }
}
