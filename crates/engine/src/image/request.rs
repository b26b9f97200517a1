//! [`ImageRequest`]: an image request after all defaults, as it is stored and handed out.

use std::sync::Arc;

use muster_dispatch::image::{Demand, NamedModels};
use muster_kudos::image::{Control, ImageJob, SourceImage, Targeting, settlement::RequestTerms};
use muster_protocol::{
    Kudos, WorkerId,
    image::{COMPARED_MODEL, JobPayload, Params, RequestInput, Sampler, SourceProcessing, Workflow},
};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{seed, sources::Sources};
use crate::{models::ModelReference, names};

/// An image request after all defaults. What does not change while it lives; stored as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // independent wishes, named like the API's fields
pub(crate) struct ImageRequest {
    pub(crate) prompt: Arc<str>,
    /// As sent, except for what has a field of its own below.
    pub(crate) params: Params,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) steps: u32,
    pub(crate) sampler: Sampler,
    pub(crate) cfg_scale: f64,
    pub(crate) karras: bool,
    /// `None` means a random one for each pop.
    pub(crate) seed: Option<i64>,
    pub(crate) seed_variation: Option<u32>,
    pub(crate) models: Vec<Arc<str>>,
    pub(crate) workers: Vec<WorkerId>,
    pub(crate) worker_blacklist: bool,
    pub(crate) nsfw: bool,
    pub(crate) censor_nsfw: bool,
    pub(crate) trusted_workers: bool,
    pub(crate) slow_workers: bool,
    pub(crate) extra_slow_workers: bool,
    pub(crate) disable_batching: bool,
    pub(crate) r2: bool,
    pub(crate) shared: bool,
    pub(crate) source_processing: SourceProcessing,
    pub(crate) safe_ip: bool,
    pub(crate) requester_trusted: bool,
    /// The account at a service that it is made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proxied_account: Option<String>,
    /// The pictures that it brings along, if it has a source image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sources: Option<Box<Sources>>,
    /// The trace that it belongs to, if it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
}

/// How much of the name of an account at a service is kept, in characters.
const PROXIED_ACCOUNT_LIMIT: usize = 255;
/// The most steps that a request with a control type gets.
const CONTROL_STEPS_LIMIT: u32 = 40;

impl ImageRequest {
    /// Fills in the defaults (spec: image, sections 5.2 and 5.6). `workers` are the ids that the
    /// request names.
    pub(crate) fn new(
        input: RequestInput,
        workers: Vec<WorkerId>,
        requester_trusted: bool,
        models: &ModelReference,
        rng: &mut impl Rng,
    ) -> Self {
        let mut params = input.params;
        drop_empty_lists(&mut params);
        let control = params.control_type.is_some();
        let steps = match params.steps {
            Some(steps) if control => steps.min(CONTROL_STEPS_LIMIT),
            Some(steps) => steps,
            None if control => 20,
            None => 30,
        };
        let count = params.n.unwrap_or(1);
        let seed = params
            .seed
            .take()
            .filter(|text| !text.is_empty())
            .map(|text| seed::parse(&text));
        let seed_variation = params.seed_variation.take();
        let seed = match (seed, seed_variation) {
            (None, Some(_)) => Some(seed::random(count, rng)),
            (seed, _) => seed,
        };
        Self {
            prompt: input.prompt.into(),
            width: params.width.unwrap_or(512),
            height: params.height.unwrap_or(512),
            steps,
            sampler: params.sampler_name.unwrap_or_default(),
            cfg_scale: params.cfg_scale.unwrap_or(5.0),
            karras: params.karras.unwrap_or(true),
            seed,
            seed_variation,
            models: input
                .models
                .iter()
                .map(|model| models.shared_name(model))
                .collect(),
            workers,
            worker_blacklist: input.worker_blacklist,
            nsfw: input.nsfw,
            censor_nsfw: input.censor_nsfw,
            trusted_workers: input.trusted_workers,
            slow_workers: input.slow_workers,
            extra_slow_workers: input.extra_slow_workers,
            // Workers make such pictures one by one.
            disable_batching: input.disable_batching || params.workflow == Some(Workflow::QrCode),
            r2: input.r2,
            shared: input.models.iter().any(|model| model == COMPARED_MODEL),
            source_processing: input.source_processing,
            safe_ip: true,
            requester_trusted,
            proxied_account: input
                .proxied_account
                .map(|account| names::truncate(&account, PROXIED_ACCOUNT_LIMIT).into_owned()),
            sources: None,
            trace: None,
            params,
        }
    }

    /// The same for a school: nothing that is unsafe for work, from trusted workers only, never shared.
    pub(crate) fn for_education(mut self) -> Self {
        self.nsfw = false;
        self.censor_nsfw = true;
        self.trusted_workers = true;
        self.shared = false;
        self
    }

    /// The same with the pictures that it brings along.
    pub(crate) fn with_sources(mut self, sources: Option<Sources>) -> Self {
        self.sources = sources.map(Box::new);
        self
    }

    /// The same as part of a trace.
    pub(crate) fn traced_as(mut self, trace: Option<String>) -> Self {
        self.trace = trace;
        self
    }

    /// What the price depends on.
    pub(crate) fn priced(&self) -> ImageJob {
        let params = &self.params;
        ImageJob {
            width: self.width,
            height: self.height,
            steps: self.steps,
            cfg_scale: self.cfg_scale,
            sampler: self.sampler,
            karras: self.karras,
            hires_fix: params.hires_fix.unwrap_or(false),
            source: self.source(),
            denoising_strength: params.denoising_strength,
            control: params.control_type.map(|kind| Control {
                kind,
                strength: params
                    .control_strength
                    .as_ref()
                    .and_then(serde_json::Value::as_f64),
                return_map: params.return_control_map.unwrap_or(false),
            }),
            post_processing: params.post_processing.clone().unwrap_or_default(),
            loras: params.loras.as_ref().map_or(0, Vec::len) as u32,
            textual_inversions: params.tis.is_some(),
            workflow: params.workflow,
            extra_source_images: self.extra_sources() as u32,
            targeting: if self.workers.is_empty() {
                Targeting::Anyone
            } else {
                Targeting::NamedWorkers
            },
        }
    }

    /// What the request asks of its workers, at a premium.
    pub(crate) fn terms(&self) -> RequestTerms {
        RequestTerms {
            slow_workers: self.slow_workers,
            worker_blacklist: self.worker_blacklist,
        }
    }

    /// What workers are told is to be done with the source image: without one, always `img2img`.
    pub(crate) fn wire_source_processing(&self) -> SourceProcessing {
        self.source()
            .map_or_else(SourceProcessing::default, |source| source.processing)
    }

    fn source(&self) -> Option<SourceImage> {
        self.sources.as_ref().map(|sources| SourceImage {
            processing: self.source_processing,
            mask: sources.mask,
        })
    }

    fn extra_sources(&self) -> usize {
        self.sources.as_ref().map_or(0, |sources| sources.extra.len())
    }

    /// What the board needs to know for matching. `available`: what the requester can spend.
    pub(crate) fn demand(&self, models: &ModelReference, price: Kudos, available: Kudos) -> Demand {
        let params = &self.params;
        Demand {
            prompt: Arc::clone(&self.prompt),
            width: self.width,
            height: self.height,
            steps: self.steps,
            sampler: self.sampler,
            karras: self.karras,
            source_image: self.sources.is_some(),
            source_processing: self.source_processing,
            extra_source_images: self.extra_sources() > 0,
            post_processing: params.post_processing.clone().unwrap_or_default(),
            control: params.control_type.is_some(),
            return_control_map: params.return_control_map.unwrap_or(false),
            workflow: params.workflow,
            tiling: params.tiling.unwrap_or(false),
            hires_fix: params.hires_fix.unwrap_or(false),
            transparent: params.transparent.unwrap_or(false),
            clip_skip: params.clip_skip,
            loras: params.loras.is_some(),
            lora_versions: params.loras.iter().flatten().any(|lora| lora.is_version),
            textual_inversions: params.tis.is_some(),
            nsfw: self.nsfw,
            trusted_workers: self.trusted_workers,
            slow_workers: self.slow_workers,
            extra_slow_workers: self.extra_slow_workers,
            safe_ip: self.safe_ip,
            r2: self.r2,
            disable_batching: self.disable_batching,
            requester_trusted: self.requester_trusted,
            price,
            available,
            named: NamedModels::of(&self.models, models),
        }
    }

    /// The seed that a pop hands out, with `remaining` slots left before it.
    pub(crate) fn seed_for_pop(&self, remaining: u32, rng: &mut impl RngExt) -> i64 {
        match (self.seed, self.seed_variation) {
            (None, _) => seed::random(remaining.max(1), rng),
            (Some(seed), Some(step)) => seed::fold(seed + i64::from(step) * i64::from(remaining)),
            (Some(seed), None) => seed,
        }
    }

    /// What the worker is to generate (spec: image, section 6.3): `jobs` pictures from `seed`.
    pub(crate) fn payload(&self, seed: i64, jobs: u32) -> JobPayload {
        let params = &self.params;
        JobPayload {
            prompt: Some(self.prompt.to_string()),
            ddim_steps: self.steps,
            n_iter: jobs,
            seed: Some(seed.to_string()),
            sampler_name: self.sampler,
            cfg_scale: self.cfg_scale,
            height: self.height,
            width: self.width,
            karras: self.karras,
            tiling: params.tiling.unwrap_or(false),
            hires_fix: params.hires_fix.unwrap_or(false),
            transparent: params.transparent.unwrap_or(false),
            image_is_control: params.image_is_control.unwrap_or(false),
            return_control_map: params.return_control_map.unwrap_or(false),
            denoising_strength: params.denoising_strength,
            hires_fix_denoising_strength: params.hires_fix_denoising_strength,
            facefixer_strength: params.facefixer_strength,
            clip_skip: params.clip_skip,
            post_processing: params.post_processing.clone(),
            loras: params.loras.clone(),
            tis: params.tis.clone(),
            control_type: params.control_type,
            workflow: params.workflow,
            extra_texts: params.extra_texts.clone(),
            special: params.special.clone().and_then(|mut special| {
                special.retain(|_, value| !value.is_null());
                (!special.is_empty()).then_some(special)
            }),
            use_nsfw_censor: (!self.nsfw && self.censor_nsfw).then_some(true),
        }
    }
}

/// An empty list means the same as none.
fn drop_empty_lists(params: &mut Params) {
    params.loras = params.loras.take().filter(|list| !list.is_empty());
    params.tis = params.tis.take().filter(|list| !list.is_empty());
}

#[cfg(test)]
mod tests {
    use muster_protocol::image::ControlType;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn request(params: Params) -> ImageRequest {
        let input = RequestInput {
            params,
            ..RequestInput::new("a lighthouse")
        };
        ImageRequest::new(
            input,
            Vec::new(),
            false,
            ModelReference::bundled(),
            &mut StdRng::seed_from_u64(1),
        )
    }

    #[test]
    fn defaults_are_those_of_the_reference_server() {
        let request = request(Params::default());
        assert_eq!((request.width, request.height, request.steps), (512, 512, 30));
        assert_eq!((request.cfg_scale, request.karras), (5.0, true));
        assert_eq!(request.sampler, Sampler::KEulerA);
        assert_eq!(request.seed, None);
    }

    #[test]
    fn a_control_type_limits_the_steps() {
        let with = |steps| {
            request(Params {
                control_type: Some(ControlType::Canny),
                steps,
                ..Params::default()
            })
            .steps
        };
        assert_eq!((with(None), with(Some(30)), with(Some(100))), (20, 30, 40));
    }

    #[test]
    fn a_variation_without_a_seed_draws_one_now() {
        let request = request(Params {
            seed_variation: Some(7),
            n: Some(3),
            ..Params::default()
        });
        let seed = request.seed.unwrap();
        let mut rng = StdRng::seed_from_u64(2);
        assert_eq!(request.seed_for_pop(3, &mut rng), seed::fold(seed + 21));
        assert_eq!(request.seed_for_pop(2, &mut rng), seed::fold(seed + 14));
    }

    #[test]
    fn an_empty_list_restricts_nothing() {
        let request = request(Params {
            loras: Some(vec![]),
            tis: Some(vec![]),
            ..Params::default()
        });
        let demand = request.demand(ModelReference::bundled(), Kudos::ZERO, Kudos::ZERO);
        assert!(!demand.loras && !demand.textual_inversions);
    }

    #[test]
    fn the_payload_carries_the_stored_values() {
        let request = request(Params {
            seed: Some("42".into()),
            steps: Some(8),
            ..Params::default()
        });
        let payload = request.payload(42, 2);
        assert_eq!(
            (payload.ddim_steps, payload.n_iter, payload.seed.as_deref()),
            (8, 2, Some("42"))
        );
        assert_eq!(payload.use_nsfw_censor, None);
    }
}
