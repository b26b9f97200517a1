//! `generate/async`: accept a request, price it, make it durable, put it on the board.

use std::{sync::Arc, time::Duration};

use muster_kudos::{
    image::{ImageJob, settlement},
    priority::{Payer, initial_priority},
    rounding::round0,
};
use muster_protocol::{
    Kudos, RequestId, ReturnCode, Timestamp, UserId, WorkKind, WorkerId,
    image::{RequestAccepted, RequestInput, Warning, WarningCode},
};
use muster_store::{
    EventKind, JournalError, KudosAction, LedgerEvent, NewRequest, RecordKind, RecordTally, Role,
    SystemAccount, Tallies, UserTally,
};
use uuid::Uuid;

use super::{
    rules,
    sources::{SentPictures, Sources},
    spec::ImageRequest,
    upfront::Terms,
    warnings,
};
use crate::{Call, Engine, EngineError, accounts::Caller, error::Result, live::LiveRequest};

/// How long a request waits without anything happening to it.
pub(crate) const LIFETIME: Duration = Duration::from_mins(20);

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Submission {
    /// It is in the queue (202).
    Accepted(RequestAccepted),
    /// Only its price was asked for (200).
    DryRun(RequestAccepted),
}

/// A request on its way into the queue.
struct Submitting<'a> {
    id: RequestId,
    call: &'a Call,
    caller: &'a Caller,
    /// Pictures asked for.
    count: u32,
    /// Where results are announced.
    webhook: Option<String>,
}

impl Engine {
    /// Accepts an image request into the queue, or tells its price.
    ///
    /// When this returns, the request and its tax are durable.
    ///
    /// # Errors
    /// Every rule of the image API, in its documented order; see `requests::rules`.
    pub async fn submit_image_request(&self, call: &Call, mut input: RequestInput) -> Result<Submission> {
        call.key()?;
        rules::check_texts(&input)?;
        rules::check_style(&input)?;
        if self.config.maintenance {
            let message = "The horde is in maintenance mode and takes no new requests.";
            return Err(EngineError::refused(ReturnCode::MaintenanceMode, message));
        }
        rules::check_webhook(&input, self.outbound.reach())?;
        let caller = self.caller(call).await?;
        rules::check_account(&input, &caller)?;
        let workers = self.named_workers(&input.workers)?;
        rules::check_batching(&input, &caller)?;
        let asked = input.params.n.unwrap_or(1);
        let models = self.models();
        let _claim = self.claim_slots(&caller, &input.models, asked)?;
        rules::check_params(&input, &caller, &models)?;
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
        .with_sources(sources);
        if caller.has(Role::Education) {
            spec = spec.for_education();
        }
        let mut terms = self.upfront_terms(&spec, count, allow_downgrade);
        if let Some(unmet) = terms.take_if(|terms| !terms.are_met_by(&caller)) {
            let outcome = self.take_less(&mut spec, &unmet);
            // Whoever only asks for the price learns it.
            if !dry_run {
                outcome?;
            }
        }
        if dry_run {
            let kudos = round0(self.estimate(&spec, &spec.priced(), count));
            return Ok(Submission::DryRun(RequestAccepted {
                id: None,
                kudos,
                message: None,
                warnings: Vec::new(),
            }));
        }
        let submitting = Submitting {
            id: RequestId(Uuid::from_u128(self.random())),
            call,
            caller: &caller,
            count,
            webhook,
        };
        let mut accepted = self.admit(&submitting, spec, terms, pictures).await?;
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
        submitting: &Submitting<'_>,
        spec: ImageRequest,
        terms: Option<Terms>,
        pictures: Option<SentPictures>,
    ) -> Result<RequestAccepted> {
        if let Some(pictures) = pictures {
            self.keep_sources(submitting.id, pictures).await?;
        }
        let spec = Arc::new(spec);
        let outcome = self.activate_or_less(submitting, Arc::clone(&spec), terms).await;
        if outcome.is_err()
            && let Some(sources) = &spec.sources
        {
            self.drop_sources(submitting.id, sources).await;
        }
        outcome
    }

    /// Activates a request, or what is left of it if the kudos that it requires are promised otherwise.
    async fn activate_or_less(
        &self,
        submitting: &Submitting<'_>,
        mut spec: Arc<ImageRequest>,
        terms: Option<Terms>,
    ) -> Result<RequestAccepted> {
        let outcome = self.activate(submitting, Arc::clone(&spec), terms.as_ref()).await;
        match (outcome, terms) {
            (Err(EngineError::Journal(JournalError::Insufficient { .. })), Some(terms)) => {
                self.take_less(Arc::make_mut(&mut spec), &terms)?;
                self.activate(submitting, spec, None).await
            }
            (outcome, _) => outcome,
        }
    }

    async fn activate(
        &self,
        submitting: &Submitting<'_>,
        spec: Arc<ImageRequest>,
        upfront: Option<&Terms>,
    ) -> Result<RequestAccepted> {
        let Submitting {
            id,
            call,
            caller,
            count,
            ref webhook,
        } = *submitting;
        let now = self.clock.now();
        let balance = caller.spendable();
        let priority = initial_priority(Payer {
            balance,
            flagged: caller.has(Role::Flagged),
            shared_key_exhausted: false,
        });
        let priced = spec.priced();
        let tax = settlement::activation_tax(&priced);
        let price = self.pricing.base_price(&priced);
        let demand = spec.demand(&self.models(), Kudos::from_f64(price), caller.available());
        let things = demand.things();
        let event = tax_event(id, caller, tax, now);
        let (held, event) = promise(caller, tax, upfront, event);

        let request = NewRequest {
            id,
            kind: WorkKind::Image,
            user: caller.id(),
            shared_key: None,
            created: now,
            expiry: now + LIFETIME,
            jobs_total: count as i32,
            priority,
            price,
            consumed: tax,
            things: i64::try_from(things).unwrap_or(i64::MAX),
            client_agent: call.client_agent.clone(),
            ip: Some(call.address.to_string()),
            webhook: webhook.clone(),
            payload: serde_json::to_value(&*spec).expect("a request is plain data"),
            held,
            event: Some(event),
            tallies: tax_tallies(caller.id(), tax, now),
        };
        let created = self.store.journal().create_request(request).await?;
        self.learn_balances(&created.balances);

        let request = LiveRequest {
            id,
            spec,
            user: caller.id(),
            expiry: now + LIFETIME,
            slots: count,
            reserved: 0,
            total: count,
            faulted: false,
            cancelled: false,
            consumed: tax,
            webhook: webhook.as_deref().map(Into::into),
            held: held > Kudos::ZERO,
            price,
            things,
            jobs: Vec::new(),
            possible: None,
        };
        let mut live = self.live.lock();
        live.board.insert(request.ticket(priority, now, demand));
        live.insert(request);
        drop(live);
        self.wake_duties();
        Ok(self.acceptance(id, price))
    }

    /// The answer to an accepted request, with a warning if nobody online can serve it.
    fn acceptance(&self, id: RequestId, price: f64) -> RequestAccepted {
        let mut accepted = RequestAccepted {
            id: Some(id),
            kudos: round0(price),
            message: None,
            warnings: Vec::new(),
        };
        if let Some(message) = self.availability_warning(id) {
            accepted.message = Some(message.clone());
            accepted.warnings.push(Warning {
                code: WarningCode::NoAvailableWorker,
                message,
            });
        }
        accepted
    }

    /// The workers that a request names; the first five count, but all must exist.
    fn named_workers(&self, names: &[String]) -> Result<Vec<WorkerId>> {
        const COUNTED: usize = 5;
        let workers: Vec<WorkerId> = names
            .iter()
            .map(|name| {
                let known = name.parse().ok().filter(|id| self.workers.exists(*id));
                known.ok_or_else(|| {
                    let message = format!(
                        "There is no worker with the id {}.",
                        crate::text::truncate(name, 64)
                    );
                    EngineError::refused(ReturnCode::WorkerNotFound, message)
                })
            })
            .collect::<Result<_>>()?;
        Ok(workers.into_iter().take(COUNTED).collect())
    }
}

/// The tax: from the requester to nobody.
fn tax_event(request: RequestId, caller: &Caller, tax: Kudos, at: Timestamp) -> LedgerEvent {
    LedgerEvent::new(format!("activate:{request}"), EventKind::Generation, at)
        .of_request(request)
        .with_floor(caller.id(), -tax, caller.kind().floor())
        .with(SystemAccount::Burn, tax)
}

/// What is promised to a request and the event that promises it: what it requires, less the tax, which
/// is the first charge on it. The account's floor can never be promised.
fn promise(caller: &Caller, tax: Kudos, upfront: Option<&Terms>, event: LedgerEvent) -> (Kudos, LedgerEvent) {
    let Some(terms) = upfront else {
        return (Kudos::ZERO, event);
    };
    let held = (terms.required - tax).max(Kudos::ZERO);
    let needed = terms.required + caller.kind().floor();
    let event = event.requiring(caller.id(), needed);
    if held == Kudos::ZERO {
        return (held, event);
    }
    (held, event.with_hold(caller.id(), held))
}

fn tax_tallies(user: UserId, tax: Kudos, at: Timestamp) -> Tallies {
    Tallies {
        totals: vec![UserTally {
            user,
            action: KudosAction::Accumulated,
            amount: -tax,
        }],
        records: vec![RecordTally {
            user,
            record: RecordKind::Request,
            kind: WorkKind::Image,
            amount: 1.0,
        }],
        workers: Vec::new(),
        active: if user.is_anonymous() {
            Vec::new()
        } else {
            vec![(user, at)]
        },
    }
}
