//! [`Image`]: the image kind, that is how requests and workers become masks.
//!
//! Each condition of the specification's sections 7.5 and 7.6 is one bit, in the order in which the
//! specification tests them, so that the lowest bit missing is the reason it prescribes.

use std::sync::Arc;

use muster_protocol::{
    Kudos,
    image::{COMPARED_MODEL, SPECIAL_MODEL, Workflow},
};

use super::{
    Capability, Demand, Offer, SkipReason, Skipped,
    bridge::{POST_PROCESSOR_BITS, SAMPLER_BITS, sampler_bit},
    skipped::Tally,
};
use crate::{
    Blacklist,
    kind::{Abilities, Counts, Kind, Needs, Refusal, Traits},
};

/// The bits. What each stands for is said from the request's point of view.
pub(super) mod bit {
    use super::{POST_PROCESSOR_BITS, SAMPLER_BITS};

    // Section 7.5: a worker without these doesn't get to see the request.
    /// Names no model.
    pub(crate) const ANY_MODEL: u32 = 0;
    /// Has a source image; the worker must allow it.
    pub(crate) const SOURCE_IMAGE: u32 = 1;
    /// Is an in- or outpainting; the worker must allow it.
    pub(crate) const PAINTING: u32 = 2;
    /// Has extra source images.
    pub(crate) const EXTRA_IMAGES: u32 = 3;
    /// Came from a suspect address.
    pub(crate) const UNSAFE_IP: u32 = 4;
    /// Isn't safe for work.
    pub(crate) const NSFW: u32 = 5;
    /// Wants results as URLs.
    pub(crate) const R2: u32 = 6;
    /// Names `LoRA`s.
    pub(crate) const LORA: u32 = 7;
    /// Names textual inversions.
    pub(crate) const TEXTUAL_INVERSION: u32 = 8;
    /// Sets a control type.
    pub(crate) const CONTROL: u32 = 9;
    /// Is not for slow workers.
    pub(crate) const FAST: u32 = 10;
    /// Is not for extra slow workers.
    pub(crate) const NOT_EXTRA_SLOW: u32 = 11;
    /// Wants a transparent background.
    pub(crate) const TRANSPARENT: u32 = 12;
    /// The first bit of section 7.6: candidates that lack one of these are refused.
    pub(crate) const FIRST_CHECK: u32 = TRUSTED_OWNER;
    /// Row 4.
    pub(crate) const TRUSTED_OWNER: u32 = 13;
    /// Row 6.
    pub(crate) const WORDS: u32 = 14;
    /// Row 8.
    pub(crate) const IMG2IMG: u32 = 15;
    /// Row 9.
    pub(crate) const INPAINTING: u32 = 16;
    /// Row 10.
    pub(crate) const INPAINTING_MODEL: u32 = 17;
    /// Row 12.
    pub(crate) const ORDINARY_MODEL: u32 = 18;
    /// Row 13: one bit for each combination of sampler and schedule.
    pub(crate) const SAMPLERS: u32 = 19;
    /// Row 14.
    pub(crate) const POST_PROCESSING: u32 = SAMPLERS + SAMPLER_BITS;
    /// Row 15: one bit for each post-processor.
    pub(crate) const POST_PROCESSORS: u32 = POST_PROCESSING + 1;
    /// Row 17.
    pub(crate) const TILING: u32 = POST_PROCESSORS + POST_PROCESSOR_BITS;
    /// Row 18.
    pub(crate) const RETURN_CONTROL_MAP: u32 = TILING + 1;
    /// Row 19.
    pub(crate) const CONTROLNET: u32 = TILING + 2;
    /// Row 21.
    pub(crate) const QR_CODE: u32 = TILING + 3;
    /// Row 22.
    pub(crate) const QR_CODE_ALLOWED: u32 = TILING + 4;
    /// Row 23.
    pub(crate) const HIRES_FIX: u32 = TILING + 5;
    /// Row 24.
    pub(crate) const HIRES_FIX_CASCADE: u32 = TILING + 6;
    /// Row 25; every request has this need.
    pub(crate) const FLUX: u32 = TILING + 7;
    /// Row 26.
    pub(crate) const CLIP_SKIP: u32 = TILING + 8;
    /// Row 27.
    pub(crate) const LORA_VERSIONS: u32 = TILING + 9;
    /// Row 29.
    pub(crate) const STEPS: u32 = TILING + 10;
    /// Row 30.
    pub(crate) const TRUSTED_SIDE: u32 = TILING + 11;
    /// Row 31.
    pub(crate) const POST_PROCESSING_ALLOWED: u32 = TILING + 12;
    /// Row 32.
    pub(crate) const UPFRONT: u32 = TILING + 13;
}

/// The speed below which a worker counts as slow, in pixelsteps a second.
pub(super) const SLOW: f64 = 500_000.0;

/// The image kind. Never a value, only a type parameter of the [`Board`](crate::Board).
#[derive(Clone, Debug)]
pub enum Image {}

impl Kind for Image {
    type Demand = Demand;
    type Offer = Offer;
    type SkipReason = SkipReason;
    type Skipped = Skipped;
    type Tally = Tally;

    const QUERY: Needs = (1 << bit::FIRST_CHECK) - 1;
    const ANY_MODEL: Needs = 1 << bit::ANY_MODEL;
    const WORDS: Needs = 1 << bit::WORDS;
    const EFFORT: Needs = 1 << bit::STEPS;
    const UPFRONT: Needs = 1 << bit::UPFRONT;
    const NOT_FOR_AVAILABILITY: Needs = 1 << bit::ANY_MODEL
        | 1 << bit::EXTRA_IMAGES
        | 1 << bit::R2
        | 1 << bit::TEXTUAL_INVERSION
        | 1 << bit::NOT_EXTRA_SLOW
        | 1 << bit::TRANSPARENT;

    fn traits_of(demand: &Demand, any_model: bool) -> Traits {
        let steps = demand.accurate_steps();
        Traits {
            needs: needs(demand, any_model),
            size: u32::try_from(demand.pixels()).unwrap_or(u32::MAX),
            effort: if demand.named.step_limit.is_none() {
                steps
            } else {
                0
            },
        }
    }

    fn abilities(offer: &Offer, models: &[Arc<str>]) -> Abilities {
        let step_limit = offer.hosted.step_limit.filter(|_| offer.limit_max_steps);
        Abilities {
            accepts: accepted(offer, models),
            max_size: u32::try_from(offer.max_pixels).unwrap_or(u32::MAX),
            max_effort: step_limit.unwrap_or(u32::MAX),
            own_only: offer.maintenance,
            decoys: offer.paused,
            upfront: offer.require_upfront_kudos,
        }
    }

    fn prompt(demand: &Demand) -> &Arc<str> {
        &demand.prompt
    }

    fn blacklist(offer: &Offer) -> Option<&Arc<Blacklist>> {
        offer.blacklist.as_ref()
    }

    fn upfront(demand: &Demand) -> Option<(Kudos, Kudos)> {
        (!demand.requester_trusted).then_some((demand.price, demand.available))
    }

    fn batch(demand: &Demand, offer: &Offer, amount: u32) -> u32 {
        demand.batch(offer, amount)
    }

    fn count(tally: &mut Tally, traits: &Traits, waiting: bool) {
        tally.count(traits, waiting);
    }

    fn skipped(counts: &Counts<'_, Self>) -> Skipped {
        Skipped::of(counts)
    }

    fn reason(bit: u32) -> SkipReason {
        reason(bit)
    }

    fn refusal(refusal: Refusal) -> SkipReason {
        match refusal {
            Refusal::Models => SkipReason::Models,
            Refusal::WorkerList => SkipReason::WorkerId,
            Refusal::Size => SkipReason::MaxPixels,
            Refusal::Maintenance => SkipReason::Maintenance,
            Refusal::Paused => SkipReason::Secret,
        }
    }
}

/// Whether a worker with this offer can serve a request with this demand, and if not, the first
/// reason. Models, worker lists and who owns the worker don't come into it; see
/// [`could_serve`](crate::could_serve) for the whole test.
pub fn accepts(demand: &Demand, offer: &Offer) -> Result<(), SkipReason> {
    let traits = Image::traits_of(demand, false);
    let abilities = Image::abilities(offer, &[]);
    if traits.size > abilities.max_size {
        return Err(SkipReason::MaxPixels);
    }
    match crate::kind::first_missing::<Image>(&traits, &abilities, || {
        offer
            .blacklist
            .as_ref()
            .is_some_and(|words| words.matches(&demand.prompt))
    }) {
        Some(bit) => Err(reason(bit)),
        None if offer.require_upfront_kudos
            && !demand.requester_trusted
            && demand.available < demand.price =>
        {
            Err(SkipReason::Kudos)
        }
        None => Ok(()),
    }
}

/// What a request needs.
fn needs(demand: &Demand, any_model: bool) -> Needs {
    let painting = demand.source_processing.is_painting();
    let post_processing = !demand.post_processing.is_empty();
    let qr_code = demand.workflow == Some(Workflow::QrCode);
    let too_many_steps = demand
        .named
        .step_limit
        .is_some_and(|limit| demand.accurate_steps() > limit);
    let mut needs = mask(&[
        (bit::ANY_MODEL, any_model),
        (bit::SOURCE_IMAGE, demand.source_image),
        (bit::PAINTING, painting),
        (bit::EXTRA_IMAGES, demand.extra_source_images),
        (bit::UNSAFE_IP, !demand.safe_ip),
        (bit::NSFW, demand.nsfw),
        (bit::R2, demand.r2),
        (bit::LORA, demand.loras),
        (bit::TEXTUAL_INVERSION, demand.textual_inversions),
        (bit::CONTROL, demand.control),
        (bit::FAST, !demand.slow_workers),
        (bit::NOT_EXTRA_SLOW, !demand.extra_slow_workers),
        (bit::TRANSPARENT, demand.transparent),
        (bit::TRUSTED_OWNER, demand.trusted_workers),
        (bit::IMG2IMG, demand.source_image),
        (bit::INPAINTING, painting),
        (bit::INPAINTING_MODEL, painting),
        (bit::ORDINARY_MODEL, !painting),
        (bit::SAMPLERS + sampler_bit(demand.sampler, demand.karras), true),
        (bit::POST_PROCESSING, post_processing),
        (bit::TILING, demand.tiling),
        (bit::RETURN_CONTROL_MAP, demand.return_control_map),
        (bit::CONTROLNET, demand.control),
        (bit::QR_CODE, qr_code),
        (bit::QR_CODE_ALLOWED, qr_code),
        (bit::HIRES_FIX, demand.hires_fix),
        (bit::HIRES_FIX_CASCADE, demand.hires_fix),
        (bit::FLUX, true),
        (bit::CLIP_SKIP, demand.clip_skip.is_some_and(|layers| layers > 1)),
        (bit::LORA_VERSIONS, demand.lora_versions),
        (bit::STEPS, too_many_steps),
        (bit::TRUSTED_SIDE, !demand.safe_ip && !demand.requester_trusted),
        (bit::POST_PROCESSING_ALLOWED, post_processing),
    ]);
    for &processor in &demand.post_processing {
        needs |= 1 << (bit::POST_PROCESSORS + processor as u32);
    }
    needs
}

/// What a worker accepts. `models` are those of the pop.
fn accepted(offer: &Offer, models: &[Arc<str>]) -> Needs {
    let can = |capability| offer.bridge.has(capability);
    let hosted = &offer.hosted;
    mask(&[
        (bit::ANY_MODEL, !models.iter().any(|model| is_special(model))),
        (bit::SOURCE_IMAGE, offer.allow_img2img),
        (bit::PAINTING, offer.allow_painting),
        (bit::EXTRA_IMAGES, can(Capability::ExtraSourceImages)),
        (bit::UNSAFE_IP, offer.allow_unsafe_ipaddr),
        (bit::NSFW, offer.nsfw),
        (bit::R2, can(Capability::R2)),
        (bit::LORA, offer.allow_lora && can(Capability::Lora)),
        (bit::TEXTUAL_INVERSION, can(Capability::TextualInversion)),
        (
            bit::CONTROL,
            offer.allow_controlnet && can(Capability::Controlnet),
        ),
        (bit::FAST, offer.speed >= SLOW),
        (bit::NOT_EXTRA_SLOW, !offer.extra_slow_worker),
        (
            bit::TRANSPARENT,
            offer.allow_sdxl_controlnet && can(Capability::LayerDiffuse),
        ),
        (bit::TRUSTED_OWNER, offer.owner_trusted),
        (bit::WORDS, true),
        (bit::IMG2IMG, can(Capability::Img2img)),
        (bit::INPAINTING, can(Capability::Inpainting)),
        (bit::INPAINTING_MODEL, hosted.inpainting),
        (bit::ORDINARY_MODEL, !hosted.only_inpainting),
        (bit::POST_PROCESSING, can(Capability::PostProcessing)),
        (bit::TILING, can(Capability::Tiling)),
        (bit::RETURN_CONTROL_MAP, can(Capability::ReturnControlMap)),
        (
            bit::CONTROLNET,
            can(Capability::Controlnet) && can(Capability::ImageIsControl),
        ),
        (
            bit::QR_CODE,
            can(Capability::Controlnet) && can(Capability::QrCode),
        ),
        (bit::QR_CODE_ALLOWED, !hosted.sdxl || offer.allow_sdxl_controlnet),
        (bit::HIRES_FIX, can(Capability::HiresFix)),
        (
            bit::HIRES_FIX_CASCADE,
            !hosted.cascade || can(Capability::StableCascade2pass),
        ),
        (bit::FLUX, !hosted.flux || can(Capability::Flux)),
        (bit::CLIP_SKIP, can(Capability::ClipSkip)),
        (bit::LORA_VERSIONS, can(Capability::LoraVersions)),
        (bit::STEPS, !offer.limit_max_steps),
        (bit::TRUSTED_SIDE, offer.owner_trusted),
        (bit::POST_PROCESSING_ALLOWED, offer.allow_post_processing),
        (bit::UPFRONT, true),
    ]) | Needs::from(offer.bridge.sampler_bits()) << bit::SAMPLERS
        | Needs::from(offer.bridge.post_processor_bits()) << bit::POST_PROCESSORS
}

/// Models whose workers are kept for those who ask for them by name.
fn is_special(model: &str) -> bool {
    model.contains(SPECIAL_MODEL) || model == COMPARED_MODEL
}

fn mask(bits: &[(u32, bool)]) -> Needs {
    bits.iter()
        .fold(0, |mask, &(bit, set)| mask | Needs::from(set) << bit)
}

/// The reason that a missing need stands for.
pub(super) fn reason(bit: u32) -> SkipReason {
    match bit {
        bit::ANY_MODEL | bit::INPAINTING_MODEL | bit::ORDINARY_MODEL => SkipReason::Models,
        bit::SOURCE_IMAGE | bit::IMG2IMG => SkipReason::Img2img,
        bit::PAINTING | bit::INPAINTING => SkipReason::Painting,
        bit::UNSAFE_IP => SkipReason::UnsafeIp,
        bit::NSFW => SkipReason::Nsfw,
        bit::LORA => SkipReason::Lora,
        bit::CONTROL | bit::QR_CODE_ALLOWED => SkipReason::Controlnet,
        bit::FAST | bit::NOT_EXTRA_SLOW => SkipReason::Performance,
        bit::TRUSTED_OWNER | bit::TRUSTED_SIDE => SkipReason::Untrusted,
        bit::WORDS => SkipReason::Blacklist,
        bit::STEPS => SkipReason::StepCount,
        bit::POST_PROCESSING_ALLOWED => SkipReason::PostProcessing,
        bit::UPFRONT => SkipReason::Kudos,
        _ => SkipReason::BridgeVersion,
    }
}
