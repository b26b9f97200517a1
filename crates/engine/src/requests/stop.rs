//! Requests that get no more jobs: their client cancels them, or the horde goes into maintenance.

use muster_protocol::RequestId;
use tokio::task::JoinSet;

use crate::{
    Engine, EngineError,
    error::Result,
    live::LiveRequest,
    work::{Work, for_each_kind},
};

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
        let mut stopped = 0;
        for_each_kind!(W => stopped += self.stop_all::<W>().await?);
        Ok(stopped)
    }

    async fn stop_all<W: Work>(&self) -> Result<usize> {
        let waiting = W::desk(self).live.lock().waiting(self.clock.now());
        for some in waiting.chunks(AT_ONCE) {
            let mut stopping = JoinSet::new();
            for id in some.iter().copied() {
                let engine = self.clone();
                stopping.spawn(async move { engine.stop_request::<W>(id).await });
            }
            while let Some(outcome) = stopping.join_next().await {
                outcome.map_err(|_| EngineError::Stopping)??;
            }
        }
        Ok(waiting.len())
    }

    /// Hands out no more jobs of a request, unless that was done before.
    pub(crate) async fn cancel<W: Work>(&self, request: &LiveRequest<W>) -> Result<()> {
        if request.cancelled {
            return Ok(());
        }
        self.stop_request::<W>(request.id).await
    }

    /// Hands out no more jobs of a request. Jobs in progress may still be delivered.
    async fn stop_request<W: Work>(&self, id: RequestId) -> Result<()> {
        self.store.journal().cancel_request(id, self.clock.now()).await?;
        W::desk(self).live.lock().stop(id, false);
        self.release_when_done::<W>(id).await;
        Ok(())
    }

    /// Releases what is left of the promise of a request that has nothing left to do. Should that fail,
    /// the request's expiry does it.
    pub(crate) async fn release_when_done<W: Work>(&self, request: RequestId) {
        let held = W::desk(self)
            .live
            .lock()
            .request_mut(request)
            .is_some_and(|request| request.is_idle() && std::mem::take(&mut request.held));
        if !held {
            return;
        }
        if let Err(error) = self.store.journal().release_hold(request, self.clock.now()).await {
            tracing::warn!(%error, %request, "kudos stay promised to a request until it expires");
        }
    }
}
