//! `interrogate/status`: what became of each form.

use muster_dispatch::alchemy::Alchemy;
use muster_protocol::{
    JobId,
    alchemy::{FormResult, FormState, FormStatus, State, Status},
};
use muster_store::Bucket;
use serde_json::{Map, Value};

use super::forms::{self, CANCELLED, fate};
use crate::{
    Engine,
    error::Result,
    jobs::{Found, UPLOADED, blob_key},
    live::{LiveJobState, LiveRequest},
};

impl Engine {
    /// What became of each form of a request.
    ///
    /// # Errors
    /// `RequestNotFound` if there is no such request (any more); failures of the blob store.
    pub async fn alchemy_status(&self, id: &str) -> Result<Status> {
        let request = self.find_request::<Alchemy>(id).await?;
        self.status_of_forms(&request)
    }

    /// Cancels all forms that are not done. Those that somebody works on are paid, but their results are not
    /// taken any more. Answers with the status after that.
    ///
    /// # Errors
    /// As [`Engine::alchemy_status`].
    pub async fn cancel_alchemy_request(&self, id: &str) -> Result<Status> {
        let request = self.find_request::<Alchemy>(id).await?;
        self.cancel(&request).await?;
        // Those that were handed out until a moment ago.
        let request = self.find_request::<Alchemy>(id).await?;
        for job in &request.jobs {
            if matches!(job.state, LiveJobState::Processing) {
                self.settle_cancelled(&Found::of(&request, job)).await?;
            }
        }
        self.alchemy_status(id).await
    }

    fn status_of_forms(&self, request: &LiveRequest<Alchemy>) -> Result<Status> {
        let mut forms = Vec::with_capacity(request.spec.forms.len());
        for part in forms::parts(request) {
            let fate = fate(request, part);
            let result = match fate.result {
                Some((job, delivered)) => self.form_result(job.id, &delivered.result)?,
                None => Map::new(),
            };
            forms.push(FormStatus {
                form: request.spec.form(part),
                state: fate.state,
                result: FormResult(result),
            });
        }
        let states: Vec<FormState> = forms.iter().map(|form| form.state).collect();
        Ok(Status {
            state: State::of(&states),
            forms,
        })
    }

    /// A result as its client gets it: without members that are null, and with addresses, signed now, of what
    /// was uploaded.
    pub(crate) fn form_result(&self, job: JobId, stored: &str) -> Result<Map<String, Value>> {
        debug_assert_ne!(stored, CANCELLED);
        let mut members: Map<String, Value> = serde_json::from_str(stored).unwrap_or_default();
        members.retain(|_, value| !value.is_null());
        for value in members.values_mut() {
            if value == UPLOADED {
                let url = self
                    .blobs
                    .download_url(Bucket::Transient, &blob_key(job), self.clock.now())?;
                *value = Value::String(url.into());
            }
        }
        Ok(members)
    }
}
