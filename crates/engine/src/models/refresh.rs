//! How the engine comes to know of changes in the model reference.

use std::{sync::Arc, time::Duration};

use muster_protocol::RequestId;
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use super::{ModelReference, ModelSource};
use crate::Engine;

/// How often models are looked up.
const INTERVAL: Duration = Duration::from_hours(1);
/// Requests that are looked at again at a time, while nobody else can.
const AT_ONCE: usize = 256;

impl Engine {
    /// What is known about models now.
    pub fn models(&self) -> Arc<ModelReference> {
        Arc::clone(&self.models.read())
    }

    /// Looks models up about once an hour until `stop` is cancelled. What makes no sense changes nothing.
    pub async fn keep_models_fresh(self, source: ModelSource, stop: CancellationToken) {
        loop {
            // Not all servers of the world at the same moment.
            let jitter = self.rng.lock().random_range(0.9..1.1);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL.mul_f64(jitter)) => {}
            }
            match source.read().await {
                Ok(reference) => self.adopt_models(reference),
                Err(error) => tracing::warn!(%error, "the model reference stays as it is"),
            }
        }
    }

    /// Takes over a model reference: what workers host and what queued requests need is looked at again.
    pub fn adopt_models(&self, reference: ModelReference) {
        if reference == *self.models() {
            return;
        }
        let models = reference.names().count();
        *self.models.write() = Arc::new(reference);
        let reference = self.models();
        self.workers.review(&reference);
        let requests: Vec<RequestId> = {
            let live = self.live.lock();
            live.board.iter().map(|ticket| ticket.request).collect()
        };
        for some in requests.chunks(AT_ONCE) {
            let mut live = self.live.lock();
            for id in some {
                live.review(*id, &reference);
            }
        }
        tracing::info!(models, "the model reference has changed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_reference_is_the_same() {
        let text = r#"{"A": {"baseline": "flux_1", "requirements": {"max_steps": 8}}}"#;
        let parse = |text| ModelReference::from_json(text).unwrap();
        assert_eq!(parse(text), parse(text));
        assert_ne!(parse(text), parse(r#"{"A": {"baseline": "flux_1"}}"#));
    }
}
