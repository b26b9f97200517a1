//! Notices to the operator's chat (spec: accounts, section 15): sent beside whatever they are about, once, and if that
//! fails, forgotten.

use std::time::Duration;

use muster_store::{StoredWorker, Suspicion};
use serde_json::json;

use crate::{
    Engine,
    outbound::{Outbound, Reach},
};

/// How long the other side may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

impl Engine {
    /// Tells that a worker was paused.
    pub(crate) fn notice_pause(&self, worker: &StoredWorker, reason: Suspicion) {
        let Some(webhook) = self.config.paused_notice_webhook.clone() else {
            return;
        };
        let content = format!(
            "The worker \"{}\" ({}) was paused. The last of {} reasons for suspicion: {reason:?}.",
            worker.name,
            worker.id,
            worker.suspicions.len()
        );
        tokio::spawn(send(webhook, content));
    }
}

/// The operator chose the address, so it may be anywhere.
async fn send(webhook: String, content: String) {
    let outbound = match Outbound::new(Reach::Anywhere) {
        Ok(outbound) => outbound,
        Err(error) => {
            tracing::error!(%error, "a notice could not be sent");
            return;
        }
    };
    let body = json!({ "content": content });
    if let Err(error) = outbound.post(&webhook, &body, TIMEOUT).await {
        // The address is a secret: whoever knows it can post.
        tracing::warn!(%error, "a notice was not taken");
    }
}
