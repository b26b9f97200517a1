//! `generate/text/async`: a text request is checked, priced and accepted.

use std::sync::Arc;

use muster_dispatch::text::Text;
use muster_kudos::{
    rounding::round0,
    text::{self, HordeLoad, TextRequest as Priced, Upfront},
};
use muster_protocol::{
    Kudos, ReturnCode,
    text::{RequestAccepted, RequestInput},
};
use muster_store::JournalError;
use tracing::instrument;

use super::{request::TextRequest, rules};
use crate::{
    Call, Engine, EngineError, Submission,
    error::Result,
    filters::Screening,
    requests::{Accepting, Asking},
};

/// What a request must promise to be accepted.
struct Terms {
    upfront: Upfront,
    required: Kudos,
    /// Whether the requester takes less rather than nothing.
    allow_downgrade: bool,
}

impl Engine {
    /// Accepts a text request into the queue, or tells its price.
    ///
    /// When this returns, the request and its tax are durable.
    ///
    /// # Errors
    /// Every rule of the text API, in its documented order; see `text::rules`.
    #[instrument(name = "horde.generate", skip_all, fields(horde.gentype = "text"))]
    pub async fn submit_text_request(
        &self,
        call: &Call,
        mut input: RequestInput,
    ) -> Result<Submission<RequestAccepted>> {
        call.key()?;
        if input.prompt.is_none() {
            return Err(EngineError::missing("prompt", "JSON body"));
        }
        rules::check_texts(&input)?;
        let without_prompt = input.prompt.as_deref() == Some("");
        // Styles come before everything else, for they may name the account that pays.
        let style = self.apply_text_style(&mut input).await?;
        let asking = Asking {
            style: style.as_ref(),
            allow_downgrade: input.allow_downgrade,
            webhook: input.webhook.as_deref(),
            proxied_account: input.proxied_account.as_deref(),
            extra_source_images: input.extra_source_images.len(),
        };
        let mut payer = self.requester(call, asking).await?;
        let caller = payer.caller.clone();
        rules::check_prompt(without_prompt)?;
        let workers = self.named_workers(&input.workers)?;
        let count = input.params.n.unwrap_or(1);
        self.check_batching(count, input.disable_batching, &caller)?;
        let _claim = self.claim_slots::<Text>(&caller, &input.models, count)?;
        let reference = self.text_models();
        self.check_not_blocked(call.address)?;
        let screening = Screening {
            call,
            caller: &caller,
            prompt: input.prompt.as_deref().unwrap_or_default(),
            models: &input.models,
            unsafe_models: input
                .models
                .iter()
                .any(|model| reference.get(model).is_some_and(|model| model.nsfw)),
            is_picture: false,
            may_be_changed: false,
        };
        if let Some(prompt) = self.screen(screening).await? {
            input.prompt = Some(prompt);
        }
        rules::check_params(&input)?;

        let (dry_run, allow_downgrade) = (input.dry_run, input.allow_downgrade);
        let webhook = input.webhook.take();
        let mut spec = TextRequest::new(input, workers, &self.text_models()).traced_as(call.trace.clone());
        let goes_on = allow_downgrade && !self.must_pay_for_named_workers(&spec.workers);
        payer.check_budget(|| self.text_upfront_amount(&spec, count), goes_on)?;
        let mut terms = self.text_terms(&spec, count, allow_downgrade);
        if let Some(unmet) = terms.take_if(|terms| !caller.can_promise(terms.required)) {
            take_less(&mut spec, &unmet)?;
        }
        payer.check_text(spec.params.length())?;
        if dry_run {
            let model = spec.models.first().map(|model| self.text_models().priced(model));
            return Ok(Submission::DryRun(RequestAccepted {
                id: None,
                kudos: round0(text::estimate(priced(&spec, count), model)),
                message: None,
            }));
        }
        // Whoever uses a style of their own pays nobody for it.
        let surcharged = style
            .as_ref()
            .is_some_and(|style| style.rewarded(&caller).is_some());
        let accepting = Accepting {
            id: self.new_request_id(),
            call,
            caller: &caller,
            shared_key: payer.shared_key(),
            style: style.as_ref(),
            count,
            webhook,
            priority: payer.priority(),
            tax: text::activation_tax(surcharged),
            price: 0.0,
        };
        self.accept_or_less(&accepting, spec, terms).await?;
        Ok(Submission::Accepted(RequestAccepted {
            id: Some(accepting.id),
            // Clients know it like that; what it will cost is only told by a dry run.
            kudos: 0.0,
            message: self.availability_warning::<Text>(accepting.id),
        }))
    }

    /// Accepts a request, or what is left of it if the kudos that it requires are promised otherwise.
    async fn accept_or_less(
        &self,
        accepting: &Accepting<'_>,
        spec: TextRequest,
        terms: Option<Terms>,
    ) -> Result<()> {
        let mut spec = Arc::new(spec);
        let required = terms.as_ref().map(|terms| terms.required);
        let outcome = self.accept::<Text>(accepting, Arc::clone(&spec), required).await;
        match (outcome, terms) {
            (Err(EngineError::Journal(JournalError::Insufficient { .. })), Some(terms)) => {
                take_less(Arc::make_mut(&mut spec), &terms)?;
                self.accept::<Text>(accepting, spec, None).await
            }
            (outcome, _) => outcome,
        }
    }

    /// What a request for `count` texts must promise; `None` if it need not.
    fn text_terms(&self, spec: &TextRequest, count: u32, allow_downgrade: bool) -> Option<Terms> {
        let named_workers_pay = self.must_pay_for_named_workers(&spec.workers);
        let length = spec.params.length();
        let upfront = text::upfront(length, spec.slow_workers, named_workers_pay, self.text_load())?;
        let required = self.text_upfront_amount(spec, count);
        (required > Kudos::ZERO).then_some(Terms {
            upfront,
            required,
            allow_downgrade,
        })
    }

    /// What a request for `count` texts must promise, if it must promise anything.
    fn text_upfront_amount(&self, spec: &TextRequest, count: u32) -> Kudos {
        let reference = self.text_models();
        let models: Vec<text::Model> = spec.models.iter().map(|model| reference.priced(model)).collect();
        Kudos::from_f64(text::upfront_amount(priced(spec, count), &models))
    }

    /// How busy the horde is with text.
    fn text_load(&self) -> HordeLoad {
        let threads = self.online::<Text>(self.clock.now()).threads;
        let live = self.text.live.lock();
        let queued = live.board.totals().jobs + live.board.jobs_in_progress() as u64;
        HordeLoad {
            queued: u32::try_from(queued).unwrap_or(u32::MAX),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
        }
    }
}

fn priced(spec: &TextRequest, count: u32) -> Priced {
    Priced {
        max_length: spec.params.length(),
        max_context_length: spec.params.context_length(),
        count,
    }
}

/// Makes less of a request whose requester cannot pay for it.
///
/// # Errors
/// `KudosUpfront` if the requester does not want less, or may not have it.
fn take_less(spec: &mut TextRequest, terms: &Terms) -> Result<()> {
    let free = terms.upfront.free_tokens;
    if !terms.allow_downgrade || !terms.upfront.allows_downgrade {
        let message = format!(
            "This request must be paid for upfront, which takes {} kudos that are not promised otherwise. Free of \
             that are, at the moment, texts of up to {free} tokens by workers of any speed. Ask for less, set \
             allow_downgrade, or earn kudos by running a worker.",
            terms.required.rounded()
        );
        return Err(EngineError::refused(ReturnCode::KudosUpfront, message));
    }
    spec.slow_workers = true;
    spec.params.max_length = Some(spec.params.length().min(free));
    Ok(())
}
