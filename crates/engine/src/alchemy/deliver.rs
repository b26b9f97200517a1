//! `interrogate/submit`: an alchemist brings what it found, or the news that there is nothing.

use muster_dispatch::alchemy::Alchemy;
use muster_kudos::alchemy::requester_charge;
use muster_protocol::{RequestValidationError, alchemy::SubmitInput, image::Submitted};
use muster_store::JobState;
use serde_json::{Value, json};
use tracing::instrument;

use super::forms::CANCELLED;
use crate::{
    Call, Engine, EngineError,
    error::Result,
    jobs::{Finishing, Found},
    live::Delivered,
};

/// What a worker says of a form that it could not do.
const FAULTED: &str = "faulted";

impl Engine {
    /// Accepts a result, pays for it, and tells the worker its reward.
    ///
    /// When this returns, the result and all kudos are durable.
    ///
    /// # Errors
    /// `InvalidJobID` (404), an unknown key (401), `WrongCredentials` for somebody else's form, `DuplicateGen`
    /// for one that is not in progress any more.
    #[instrument(name = "horde.submit", skip_all, fields(horde.gentype = "interrogation"))]
    pub async fn submit_alchemy_form(&self, call: &Call, input: SubmitInput) -> Result<Submitted> {
        call.key()?;
        let Some(id) = &input.id else {
            return Err(EngineError::missing("id", "JSON body"));
        };
        let faulted = input.state.as_deref() == Some(FAULTED);
        let result = match input.result_members() {
            Some(members) => members,
            // Classic workers that give up send none.
            None if faulted => serde_json::Map::new(),
            None if input.result.is_some() => {
                let error = RequestValidationError::single("result", "The result must be an object.");
                return Err(EngineError::Invalid(error));
            }
            None => return Err(EngineError::missing("result", "JSON body")),
        };
        let found = self.find_job::<Alchemy>(id).await?;
        let owner = self.caller(call).await?;
        self.check_worker(&found, &owner)?;
        if found.state != JobState::Processing {
            let reward = self.duplicate(&found)?;
            return Ok(Submitted { reward });
        }
        if let Some(reward) = self.without_result(&found, faulted).await? {
            return Ok(Submitted { reward });
        }
        let finishing = self.form_delivery(&found, &without_nul(Value::Object(result)));
        let reward = self.finish(&found, &owner, finishing).await?;
        Ok(Submitted { reward })
    }

    /// Pays for a form that its client cancelled while somebody worked on it, as if it had been delivered.
    pub(super) async fn settle_cancelled(&self, found: &Found<Alchemy>) -> Result<()> {
        let owner = self.workers.get(found.worker).map(|worker| worker.lock().owner);
        let owner = match owner {
            Some(owner) => self.accounts.get(&self.store, owner).await?,
            None => None,
        };
        let Some(owner) = owner else {
            return self.give_up_job::<Alchemy>(found.id).await;
        };
        let cancelled = Finishing {
            speed: None,
            silent: true,
            ..self.form_delivery(found, &Value::Null)
        };
        match self.finish(found, &owner, cancelled).await {
            // The worker was faster.
            Ok(_) | Err(EngineError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What a form is worth, and what is told of it.
    fn form_delivery(&self, found: &Found<Alchemy>, result: &Value) -> Finishing<Alchemy> {
        let reward = found.spec.reward(found.part);
        let announcement = json!({
            "form": found.spec.form(found.part),
            "state": "done",
            "result": result,
            "worker_id": found.worker,
            "worker_name": self.workers.name(found.worker),
            "request": found.request,
            "id": found.id,
            "kudos": reward.to_f64(),
        });
        debug_assert_eq!(Value::Null.to_string(), CANCELLED);
        Finishing {
            delivered: Delivered {
                result: result.to_string(),
                seed: 0,
                metadata: Vec::new(),
                censored: false,
            },
            reward: reward.to_f64(),
            earned: reward.to_f64(),
            charge: requester_charge(reward, found.spec.slow_workers).to_f64(),
            speed: Some(self.clock.now().since(found.started).as_secs_f64()),
            too_fast: false,
            announcement,
            silent: false,
            as_url: true,
        }
    }
}

/// The same with other characters in place of NUL, which databases do not store.
fn without_nul(value: Value) -> Value {
    let clean = |text: String| text.replace('\0', "\u{fffd}");
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (clean(name), without_nul(value)))
            .collect(),
        other => other,
    }
}
