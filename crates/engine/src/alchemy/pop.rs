//! `interrogate/pop`: an alchemist asks for forms.

use muster_dispatch::alchemy::Alchemy;
use muster_protocol::{
    ReturnCode, WorkKind,
    alchemy::{FormPayload, PopInput, Popped, PoppedForm, Skipped},
};
use muster_store::Bucket;
use tracing::instrument;

use super::{
    request::{Source, source_key},
    service::AlchemySettings,
};
use crate::{
    Call, Engine, EngineError,
    error::Result,
    jobs::{HandedOut, Popping, Unprioritised, blob_key, priority_users},
    metrics,
    workers::Introduction,
};

/// The most forms that are handed out at once: as many as a pop looks at on the reference server.
const MOST_FORMS: usize = 100;

impl Engine {
    /// Hands a worker forms, possibly of different requests, or tells it why there are none.
    ///
    /// When this returns forms, it is durable that they are the worker's.
    ///
    /// # Errors
    /// Every rule of the alchemy API for workers, in its documented order.
    #[instrument(name = "horde.pop", skip_all, fields(horde.gentype = "interrogation"))]
    pub async fn pop_alchemy_forms(&self, call: &Call, input: PopInput) -> Result<Popped> {
        call.key()?;
        let Some(name) = &input.name else {
            return Err(EngineError::missing("name", "JSON body"));
        };
        let (code, names) = (ReturnCode::BadRequest, &input.priority_usernames);
        let priority_users = priority_users(names, code, Unprioritised::Ignored)?;
        let caller = self.caller(call).await?;
        let introduction = Introduction {
            name,
            bridge_agent: &input.bridge_agent,
            threads: input.threads,
            priority_users,
            settings: AlchemySettings::of(&input),
            flaw: None,
        };
        let present = self.check_in::<Alchemy>(call, &caller, introduction).await?;
        if self.is_draining() {
            return Ok(Popped::default());
        }
        let popping = Popping { present, amount: 1 };
        let amount = usize::try_from(input.amount).unwrap_or(0).clamp(1, MOST_FORMS);
        let mut forms = Vec::new();
        while forms.len() < amount {
            match self.next_jobs(&popping).await? {
                Ok(handed_out) => self.wire_forms(&handed_out, &mut forms)?,
                Err(skipped) if forms.is_empty() => {
                    popping.check_maintenance()?;
                    let skipped = wire_skipped(skipped);
                    metrics::skipped(WorkKind::Alchemy, &skipped);
                    return Ok(Popped { forms: None, skipped });
                }
                Err(_) => break,
            }
        }
        Ok(Popped {
            forms: Some(forms),
            skipped: Skipped::default(),
        })
    }

    /// Forms as their worker gets them. Addresses are signed now, so that they are valid however long the
    /// request has waited.
    fn wire_forms(&self, handed_out: &HandedOut<Alchemy>, forms: &mut Vec<PoppedForm>) -> Result<()> {
        let now = self.clock.now();
        let spec = &handed_out.spec;
        let source_image = match &spec.source {
            Source::Address(url) => url.clone(),
            Source::Kept => {
                let key = source_key(handed_out.request);
                self.blobs.download_url(Bucket::Source, &key, now)?.into()
            }
        };
        for (id, part) in &handed_out.jobs {
            let form = spec.form(*part);
            let upload = form.post_processor().map(|_| blob_key(*id));
            let r2_upload = match upload {
                Some(key) => Some(self.blobs.upload_url(Bucket::Transient, &key, now)?.into()),
                None => None,
            };
            let payload = spec.forms[usize::from(*part)].payload.as_ref();
            forms.push(PoppedForm {
                id: *id,
                form,
                payload: payload.map(FormPayload::as_text).unwrap_or_default(),
                source_image: source_image.clone(),
                r2_upload,
            });
        }
        Ok(())
    }
}

/// The counts as workers get them, without those that are zero.
fn wire_skipped(skipped: muster_dispatch::alchemy::Skipped) -> Skipped {
    let unless_zero = |count: u64| (count > 0).then_some(count);
    Skipped {
        worker_id: unless_zero(skipped.worker_id),
        untrusted: unless_zero(skipped.untrusted),
        bridge_version: None,
    }
}
