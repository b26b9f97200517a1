//! Requests that must be paid upfront: who may make them, and what those get who cannot pay (spec:
//! kudos, section 7).

use muster_dispatch::image::Image;
use muster_kudos::image::{
    ImageJob,
    upfront::{HordeLoad, RequestedModel, UpfrontQuestion, UpfrontVerdict, downgrade, is_lcm_lora, judge},
};
use muster_protocol::{Kudos, ReturnCode, WorkerId};

use super::request::ImageRequest;
use crate::{Engine, EngineError, accounts::Caller, error::Result};

/// What a request must promise to be accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    verdict: UpfrontVerdict,
    /// What the whole request is estimated to cost.
    pub(super) required: Kudos,
    /// Whether the requester takes less rather than nothing.
    allow_downgrade: bool,
}

impl Terms {
    /// Whether the account has enough, as far as this node knows.
    pub(super) fn are_met_by(&self, caller: &Caller) -> bool {
        caller.can_promise(self.required)
    }
}

impl Engine {
    /// What a request of `count` pictures must promise; `None` if it need not.
    pub(super) fn upfront_terms(
        &self,
        spec: &ImageRequest,
        count: u32,
        allow_downgrade: bool,
    ) -> Option<Terms> {
        // Source images make a picture dearer, but nobody has to promise more for them.
        let job = without_sources(spec);
        let models = self.requested_models(spec);
        let named_workers_pay = self.config.upfront_for_named_workers;
        let verdict = judge(question(spec, &job, &models), self.load(), named_workers_pay);
        verdict.is_needed().then(|| Terms {
            verdict,
            required: self.upfront_amount(spec, count),
            allow_downgrade,
        })
    }

    /// What a request of `count` pictures must promise, if it must promise anything.
    pub(super) fn upfront_amount(&self, spec: &ImageRequest, count: u32) -> Kudos {
        Kudos::from_f64(self.estimate(spec, &without_sources(spec), count))
    }

    /// Makes less of a request whose requester cannot pay for it.
    ///
    /// # Errors
    /// `KudosUpfront` if the requester does not want less, or may not have it.
    pub(super) fn take_less(&self, spec: &mut ImageRequest, terms: &Terms) -> Result<()> {
        if !terms.allow_downgrade || !terms.verdict.allows_downgrade() {
            return Err(refusal(terms));
        }
        let job = without_sources(spec);
        let models = self.requested_models(spec);
        let less = downgrade(question(spec, &job, &models), terms.verdict.max_resolution);
        spec.slow_workers = true;
        (spec.width, spec.height, spec.steps) = (less.width, less.height, less.steps);
        Ok(())
    }

    /// Whether a request that names workers must be paid upfront, whatever it is.
    pub(crate) fn must_pay_for_named_workers(&self, workers: &[WorkerId]) -> bool {
        self.config.upfront_for_named_workers && !workers.is_empty()
    }

    /// How busy the horde is.
    fn load(&self) -> HordeLoad {
        let threads = self.online::<Image>(self.clock.now()).threads;
        let live = self.image.live.lock();
        let queued = live.board.totals().jobs + live.board.jobs_in_progress() as u64;
        HordeLoad {
            queued: u32::try_from(queued).unwrap_or(u32::MAX),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
        }
    }

    fn requested_models(&self, spec: &ImageRequest) -> Vec<RequestedModel> {
        let reference = self.models();
        let requested = |name: &std::sync::Arc<str>| RequestedModel {
            baseline: reference.baseline(name),
            max_steps: reference.get(name).and_then(|model| model.requirements.max_steps),
        };
        spec.models.iter().map(requested).collect()
    }
}

fn without_sources(spec: &ImageRequest) -> ImageJob {
    ImageJob {
        source: None,
        extra_source_images: 0,
        ..spec.priced()
    }
}

fn question<'a>(spec: &ImageRequest, job: &'a ImageJob, models: &'a [RequestedModel]) -> UpfrontQuestion<'a> {
    UpfrontQuestion {
        job,
        models,
        slow_workers: spec.slow_workers,
        lcm_lora: spec
            .params
            .loras
            .iter()
            .flatten()
            .any(|lora| is_lcm_lora(&lora.name, lora.is_version)),
    }
}

fn refusal(terms: &Terms) -> EngineError {
    let side = terms.verdict.max_resolution;
    let message = format!(
        "This request must be paid for upfront, which takes {} kudos that are not promised otherwise. Free of that \
         are, at the moment, pictures of up to {side}x{side} pixels with up to 40 steps (or what their models need; \
         20 with a control type, 10 with LCM), by workers of any speed. Ask for less, set allow_downgrade, or earn \
         kudos by running a worker.",
        terms.required.rounded()
    );
    EngineError::refused(ReturnCode::KudosUpfront, message)
}
