//! `generate/text/pop`: a text worker asks for work.

use muster_dispatch::text::Text;
use muster_protocol::{
    ReturnCode, WorkKind,
    text::{PopInput, Popped, Skipped},
};
use tracing::instrument;

use super::service::TextSettings;
use crate::{
    Call, Engine, EngineError,
    error::Result,
    jobs::{HandedOut, Popping, Unprioritised, priority_users},
    metrics,
    workers::Introduction,
};

impl Engine {
    /// Hands a worker jobs of one text request, or tells it why there are none.
    ///
    /// When this returns jobs, it is durable that they are the worker's.
    ///
    /// # Errors
    /// Every rule of the text API for workers, in its documented order.
    #[instrument(name = "horde.pop", skip_all, fields(horde.gentype = "text"))]
    pub async fn pop_text_job(&self, call: &Call, input: PopInput) -> Result<Popped> {
        call.key()?;
        let Some(name) = &input.name else {
            return Err(EngineError::missing("name", "JSON body"));
        };
        let users = prioritised(&input.priority_usernames, Unprioritised::Ignored)?;
        let caller = self.caller(call).await?;
        let (settings, flaw) = TextSettings::of(&input, &caller, &self.text_models());
        let introduction = Introduction {
            name,
            bridge_agent: &input.bridge_agent,
            threads: input.threads,
            priority_users: users,
            settings,
            flaw,
        };
        let present = self.check_in::<Text>(call, &caller, introduction).await?;
        if self.is_draining() {
            return Ok(Popped::default());
        }
        let messages = self.messages.for_pop(present.id, self.clock.now());
        let nameless = input.priority_usernames.iter().filter(|name| name.ends_with('#'));
        let nameless: Vec<String> = nameless.cloned().collect();
        prioritised(&nameless, Unprioritised::Refused(INVALID))?;
        let popping = Popping {
            present,
            amount: input.amount,
        };
        match self.next_jobs(&popping).await? {
            Ok(handed_out) => Ok(Popped {
                messages,
                ..wire_jobs(&handed_out)
            }),
            Err(skipped) => {
                popping.check_maintenance()?;
                let skipped = wire_skipped(&skipped);
                metrics::skipped(WorkKind::Text, &skipped);
                Ok(Popped {
                    skipped,
                    messages,
                    ..Popped::default()
                })
            }
        }
    }
}

const INVALID: ReturnCode = ReturnCode::InvalidPriorityUsername;

fn prioritised(names: &[String], strange: Unprioritised) -> Result<Vec<muster_protocol::UserId>> {
    priority_users(names, INVALID, strange)
}

/// Jobs as their worker gets them.
fn wire_jobs(handed_out: &HandedOut<Text>) -> Popped {
    Popped {
        payload: handed_out.spec.payload(),
        id: handed_out.jobs.first().map(|(id, _)| *id),
        ids: handed_out.jobs.iter().map(|(id, _)| *id).collect(),
        ttl: Some(handed_out.ttl.as_secs()),
        model: Some(handed_out.model.to_string()),
        traceparent: handed_out.spec.trace.clone(),
        ..Popped::default()
    }
}

/// The counts as workers get them, without those that are zero.
fn wire_skipped(skipped: &muster_dispatch::text::Skipped) -> Skipped {
    let unless_zero = |count: u64| (count > 0).then_some(count);
    Skipped {
        worker_id: unless_zero(skipped.worker_id),
        performance: unless_zero(skipped.performance),
        untrusted: unless_zero(skipped.untrusted),
        models: unless_zero(skipped.models),
        bridge_version: unless_zero(skipped.bridge_version),
        max_context_length: unless_zero(skipped.max_context_length),
        max_length: unless_zero(skipped.max_length),
    }
}
