//! `generate/async`: an image request is checked, priced and accepted.

use std::sync::Arc;

use muster_dispatch::image::Image;
use muster_kudos::{
    image::{ImageJob, settlement},
    rounding::round0,
};
use muster_protocol::{
    Kudos, RequestId,
    image::{RequestAccepted, RequestInput, Warning, WarningCode},
};
use muster_store::{JournalError, Role};
use tracing::instrument;

use super::{
    request::ImageRequest,
    rules,
    sources::{SentPictures, Sources},
    upfront::Terms,
    warnings,
};
use crate::{
    Call, Engine, EngineError, Submission,
    error::Result,
    filters::Screening,
    requests::{Accepting, Asking},
};

impl Engine {
    /// Accepts an image request into the queue, or tells its price.
    ///
    /// When this returns, the request and its tax are durable.
    ///
    /// # Errors
    /// Every rule of the image API, in its documented order; see `image::rules`.
    #[instrument(name = "horde.generate", skip_all, fields(horde.gentype = "image"))]
    pub async fn submit_image_request(
        &self,
        call: &Call,
        mut input: RequestInput,
    ) -> Result<Submission<RequestAccepted>> {
        call.key()?;
        rules::check_texts(&input)?;
        // Styles come before everything else, for they may name the account that pays.
        let style = self.apply_image_style(&mut input).await?;
        let asking = Asking {
            style: style.as_ref(),
            allow_downgrade: input.allow_downgrade,
            webhook: input.webhook.as_deref(),
            proxied_account: input.proxied_account.as_deref(),
            extra_source_images: input.extra_source_images.len(),
        };
        let mut payer = self.requester(call, asking).await?;
        let caller = payer.caller.clone();
        let workers = self.named_workers(&input.workers)?;
        let asked = input.params.n.unwrap_or(1);
        self.check_batching(asked, input.disable_batching, &caller)?;
        let models = self.models();
        let _claim = self.claim_slots::<Image>(&caller, &input.models, asked)?;
        self.check_not_blocked(call.address)?;
        let screening = Screening {
            call,
            caller: &caller,
            prompt: &input.prompt,
            models: &input.models,
            unsafe_models: input
                .models
                .iter()
                .any(|model| models.get(model).is_some_and(|model| model.nsfw)),
            is_picture: true,
            may_be_changed: input.replacement_filter,
        };
        if let Some(prompt) = self.screen(screening).await? {
            input.prompt = prompt;
        }
        rules::check_parameters(&input, &caller, &models)?;
        self.check_requester_address(call, &caller).await?;
        rules::check_sources_and_control(&input, &models)?;
        rules::check_comparison(&mut input, &caller)?;
        let count = input.params.n.unwrap_or(1);
        rules::check_client_agent(&call.client_agent)?;

        let warnings = warnings::unsuitable_parameters(&input, &models);
        let (dry_run, allow_downgrade) = (input.dry_run, input.allow_downgrade);
        let sources = Sources::of(&input);
        let pictures = SentPictures::take(&mut input);
        let webhook = input.webhook.take();
        let mut spec = ImageRequest::new(
            input,
            workers,
            caller.is_trusted(),
            &models,
            &mut *self.rng.lock(),
        )
        .with_sources(sources)
        .traced_as(call.trace.clone());
        if caller.has(Role::Education) {
            spec = spec.for_education();
        }
        let goes_on = allow_downgrade && !self.must_pay_for_named_workers(&spec.workers);
        payer.check_budget(|| self.upfront_amount(&spec, count), goes_on)?;
        let mut terms = self.upfront_terms(&spec, count, allow_downgrade);
        if let Some(unmet) = terms.take_if(|terms| !terms.are_met_by(&caller)) {
            let outcome = self.take_less(&mut spec, &unmet);
            // Whoever only asks for the price learns it.
            if !dry_run {
                outcome?;
            }
        }
        payer.check_picture(u64::from(spec.width) * u64::from(spec.height), spec.steps)?;
        if dry_run {
            let kudos = round0(self.estimate(&spec, &spec.priced(), count));
            return Ok(Submission::DryRun(RequestAccepted {
                id: None,
                kudos,
                message: None,
                warnings: Vec::new(),
            }));
        }
        let accepting = Accepting {
            id: self.new_request_id(),
            call,
            caller: &caller,
            shared_key: payer.shared_key(),
            style: style.as_ref(),
            count,
            webhook,
            priority: payer.priority(),
            tax: Kudos::ZERO,
            price: 0.0,
        };
        let mut accepted = self.admit(accepting, spec, terms, pictures).await?;
        accepted.warnings.extend(warnings);
        accepted.warnings.sort_by_key(|warning| warning.code);
        Ok(Submission::Accepted(accepted))
    }

    /// What a request of `count` such jobs will cost at most.
    pub(super) fn estimate(&self, spec: &ImageRequest, job: &ImageJob, count: u32) -> f64 {
        let price = self.pricing.base_price(job);
        let family = self
            .models()
            .baseline(spec.models.first().map_or("SDXL 1.0", |model| model));
        settlement::estimate(price, job, count, family, spec.terms())
    }

    /// Stores the pictures of a request and activates it. If it cannot be activated, they go again.
    async fn admit(
        &self,
        accepting: Accepting<'_>,
        spec: ImageRequest,
        terms: Option<Terms>,
        pictures: Option<SentPictures>,
    ) -> Result<RequestAccepted> {
        let id = accepting.id;
        if let Some(pictures) = pictures {
            self.keep_sources(id, pictures).await?;
        }
        let spec = Arc::new(spec);
        let outcome = self.activate_or_less(accepting, Arc::clone(&spec), terms).await;
        if outcome.is_err()
            && let Some(sources) = &spec.sources
        {
            self.drop_sources(id, sources).await;
        }
        outcome
    }

    /// Activates a request, or what is left of it if the kudos that it requires are promised otherwise.
    async fn activate_or_less(
        &self,
        mut accepting: Accepting<'_>,
        mut spec: Arc<ImageRequest>,
        terms: Option<Terms>,
    ) -> Result<RequestAccepted> {
        let required = terms.as_ref().map(|terms| terms.required);
        let outcome = self.activate(&mut accepting, Arc::clone(&spec), required).await;
        match (outcome, terms) {
            (Err(EngineError::Journal(JournalError::Insufficient { .. })), Some(terms)) => {
                self.take_less(Arc::make_mut(&mut spec), &terms)?;
                self.activate(&mut accepting, spec, None).await
            }
            (outcome, _) => outcome,
        }
    }

    async fn activate(
        &self,
        accepting: &mut Accepting<'_>,
        spec: Arc<ImageRequest>,
        required: Option<Kudos>,
    ) -> Result<RequestAccepted> {
        let priced = spec.priced();
        accepting.tax = settlement::activation_tax(&priced);
        accepting.price = self.pricing.base_price(&priced);
        self.accept::<Image>(accepting, spec, required).await?;
        Ok(self.acceptance(accepting.id, accepting.price))
    }

    /// The answer to an accepted request, with a warning if nobody online can serve it.
    fn acceptance(&self, id: RequestId, price: f64) -> RequestAccepted {
        let message = self.availability_warning::<Image>(id);
        let warnings = message.iter().map(|message| Warning {
            code: WarningCode::NoAvailableWorker,
            message: message.clone(),
        });
        RequestAccepted {
            id: Some(id),
            kudos: round0(price),
            warnings: warnings.collect(),
            message,
        }
    }
}
