//! Notices to the operator's chat (spec: accounts, section 15): sent beside whatever they are about, once, and if that
//! fails, forgotten.

use std::time::Duration;

use muster_store::{StoredWorker, Suspicion};
use serde_json::json;

use crate::Engine;

/// How long the other side may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

impl Engine {
    /// Tells that a worker was paused.
    pub(crate) fn notice_pause(&self, worker: &StoredWorker, reason: Suspicion) {
        let content = format!(
            "The worker \"{}\" ({}) was paused. The last of {} reasons for suspicion: {reason:?}.",
            worker.name,
            worker.id,
            worker.suspicions.len()
        );
        self.notice(self.config.paused_notice_webhook.as_ref(), content);
    }

    /// Tells that somebody causes problems.
    pub(crate) fn notice_problem(&self, content: String) {
        self.notice(self.config.problem_notice_webhook.as_ref(), content);
    }

    fn notice(&self, webhook: Option<&String>, content: String) {
        let Some(webhook) = webhook.cloned() else {
            return;
        };
        let notifier = self.notifier.clone();
        tokio::spawn(async move {
            let body = json!({ "content": content });
            if let Err(error) = notifier.post(&webhook, &body, TIMEOUT).await {
                // The address is a secret: whoever knows it can post.
                tracing::warn!(%error, "a notice was not taken");
            }
        });
    }
}
