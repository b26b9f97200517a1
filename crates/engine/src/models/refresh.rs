//! How the engine comes to know of changes in what is known about models.

use std::{sync::Arc, time::Duration};

use muster_protocol::RequestId;
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use super::{Facts, ModelReference, ModelSource, Reference, TextModels};
use crate::{
    Engine,
    work::{Work, for_each_kind},
};

/// How often models are looked up.
const INTERVAL: Duration = Duration::from_hours(1);
/// Requests that are looked at again at a time, while nobody else can.
const AT_ONCE: usize = 256;

impl Engine {
    /// What is known about image models now.
    pub fn models(&self) -> Arc<ModelReference> {
        Arc::clone(&self.models.read().image)
    }

    /// What is known about text models now.
    pub fn text_models(&self) -> Arc<TextModels> {
        Arc::clone(&self.models.read().text)
    }

    /// All that is known about models now.
    pub(crate) fn facts(&self) -> Facts {
        self.models.read().clone()
    }

    /// Looks models up about once an hour until `stop` is cancelled. What makes no sense changes nothing.
    pub async fn keep_models_fresh<R: Reference>(self, source: ModelSource<R>, stop: CancellationToken) {
        loop {
            // Not all servers of the world at the same moment.
            let jitter = self.rng.lock().random_range(0.9..1.1);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL.mul_f64(jitter)) => {}
            }
            match source.read().await {
                Ok(reference) => self.adopt_models(reference),
                Err(error) => tracing::warn!(%error, "the {} models stay as they are known", R::CALLED),
            }
        }
    }

    /// Takes over what is said about models: what workers host and what queued requests need is looked at
    /// again.
    pub fn adopt_models<R: Reference>(&self, reference: R) {
        let models = reference.len();
        if !reference.replace(&mut self.models.write()) {
            return;
        }
        let facts = self.facts();
        self.workers.review(&facts);
        for_each_kind!(W => self.review_requests::<W>(&facts));
        tracing::info!(models, "what is known about {} models has changed", R::CALLED);
    }

    fn review_requests<W: Work>(&self, facts: &Facts) {
        let requests: Vec<RequestId> = {
            let live = W::desk(self).live.lock();
            live.board.iter().map(|ticket| ticket.request).collect()
        };
        for some in requests.chunks(AT_ONCE) {
            let mut live = W::desk(self).live.lock();
            for id in some {
                live.review(*id, facts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_reference_is_the_same() {
        let text = r#"{"A": {"baseline": "flux_1", "requirements": {"max_steps": 8}}}"#;
        let parse = |text| ModelReference::from_json(text).unwrap();
        let mut facts = Facts::default();
        assert!(parse(text).replace(&mut facts));
        assert!(!parse(text).replace(&mut facts));
        assert!(parse(r#"{"A": {"baseline": "flux_1"}}"#).replace(&mut facts));
    }
}
