//! Why requests are not given to a worker: the reason for one request, and the counts over all of
//! them that a worker is told (spec: image, sections 7.6 and 7.11).

use strum::{AsRefStr, Display, EnumIter};

use super::{
    Capabilities, Capability, Image,
    bridge::SAMPLER_BITS,
    needs::{self, SLOW, bit},
};
use crate::{
    kind::{Counts, Needs, Traits},
    sizes::Sizes,
};

/// Why a request can't go to a worker. The names are those of the API's `skipped` object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, AsRefStr, Display, EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum SkipReason {
    /// None of its models is offered, or painting and ordinary models don't fit.
    Models,
    /// Its worker list excludes the worker.
    WorkerId,
    /// Too large.
    MaxPixels,
    /// The worker takes no source images.
    Img2img,
    /// The worker does no inpainting.
    Painting,
    /// It came from a suspect address.
    UnsafeIp,
    /// The worker refuses what minors shouldn't see.
    Nsfw,
    /// The worker loads no `LoRA`s.
    Lora,
    /// The worker runs no post-processors.
    #[strum(serialize = "post-processing")]
    PostProcessing,
    /// The worker loads no control nets.
    Controlnet,
    /// The worker is too slow.
    Performance,
    /// A trusted worker is needed.
    Untrusted,
    /// The worker's software can't do it.
    BridgeVersion,
    /// The requester can't pay for it already.
    Kudos,
    /// The prompt contains a word that the worker refuses.
    Blacklist,
    /// Too many steps.
    StepCount,
    /// The worker serves its owner only. Never reported.
    Maintenance,
    /// The worker is paused. Never reported.
    Secret,
}

/// The counts that a worker is told when there is nothing for it. One request may count under
/// several of them, and under `bridge_version` more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // each field is explained at the [`SkipReason`] of the same name
pub struct Skipped {
    pub models: u64,
    pub worker_id: u64,
    /// Left out of the answer when 0.
    pub max_pixels: u64,
    pub img2img: u64,
    pub painting: u64,
    pub unsafe_ip: u64,
    pub nsfw: u64,
    pub lora: u64,
    pub post_processing: u64,
    pub controlnet: u64,
    pub performance: u64,
    pub untrusted: u64,
    pub bridge_version: u64,
    /// Left out of the answer when 0.
    pub kudos: u64,
    /// Left out of the answer when 0.
    pub blacklist: u64,
    /// Left out of the answer when 0.
    pub step_count: u64,
}

/// What is counted over all waiting requests, so that [`Skipped`] needs no look at any of them.
#[derive(Debug)]
pub struct Tally {
    /// Requests with a need, by bit.
    needs: [u64; Needs::BITS as usize],
    /// Requests by sampler, schedule and the features that make [`SOFTWARE_FEATURES`]: of these, a
    /// request that lacks several counts once.
    software: Vec<[u64; 1 << SOFTWARE_FEATURES.len()]>,
    /// Requests by size in pixels.
    sizes: Sizes,
}

/// The features that count together with the sampler.
const SOFTWARE_FEATURES: [u32; 4] = [
    bit::HIRES_FIX,
    bit::RETURN_CONTROL_MAP,
    bit::TILING,
    bit::TRANSPARENT,
];

impl Default for Tally {
    fn default() -> Self {
        Self {
            needs: [0; _],
            software: vec![[0; _]; SAMPLER_BITS as usize],
            sizes: Sizes::default(),
        }
    }
}

impl Tally {
    /// Counts a request in (or out again, if not `waiting`).
    pub(super) fn count(&mut self, traits: &Traits, waiting: bool) {
        let step = |count: &mut u64| if waiting { *count += 1 } else { *count -= 1 };
        let mut needs = traits.needs;
        while needs != 0 {
            step(&mut self.needs[needs.trailing_zeros() as usize]);
            needs &= needs - 1;
        }
        let sampler = (traits.needs >> bit::SAMPLERS).trailing_zeros() as usize;
        step(&mut self.software[sampler][software_features(traits.needs)]);
        self.sizes.count(traits.size, waiting);
    }

    fn with(&self, bit: u32) -> u64 {
        self.needs[bit as usize]
    }

    /// Requests with a sampler or feature that the worker's software lacks.
    fn beyond_software(&self, bridge: Capabilities) -> u64 {
        let lacking = SOFTWARE_FEATURES
            .iter()
            .zip([
                Capability::HiresFix,
                Capability::ReturnControlMap,
                Capability::Tiling,
                Capability::LayerDiffuse,
            ])
            .enumerate()
            .fold(0, |set, (place, (_, capability))| {
                set | usize::from(!bridge.has(capability)) << place
            });
        let mut sum = 0;
        for (sampler, counts) in self.software.iter().enumerate() {
            let unknown = bridge.sampler_bits() >> sampler & 1 == 0;
            sum += (0..counts.len())
                .filter(|features| unknown || features & lacking != 0)
                .map(|features| counts[features])
                .sum::<u64>();
        }
        sum
    }
}

fn software_features(needs: Needs) -> usize {
    SOFTWARE_FEATURES.iter().enumerate().fold(0, |set, (place, bit)| {
        set | ((needs >> bit & 1) as usize) << place
    })
}

impl Skipped {
    /// Puts the counts together.
    pub(super) fn of(counts: &Counts<'_, Image>) -> Self {
        let (offer, tally) = (counts.offer, counts.tally);
        let can = |capability| offer.bridge.has(capability);
        let unless = |allowed: bool, bit| if allowed { 0 } else { tally.with(bit) };
        // What the worker doesn't allow counts under its own name, what only its software can't do
        // under `bridge_version`.
        let mut bridge_version = unless(can(Capability::TextualInversion), bit::TEXTUAL_INVERSION)
            + tally.beyond_software(offer.bridge);
        let mut attribute = |allowed: bool, capability, bit| {
            if allowed {
                bridge_version += unless(can(capability), bit);
            }
            unless(allowed, bit)
        };
        let img2img = attribute(offer.allow_img2img, Capability::Img2img, bit::SOURCE_IMAGE);
        let painting = attribute(offer.allow_painting, Capability::Inpainting, bit::PAINTING);
        let lora = attribute(offer.allow_lora, Capability::Lora, bit::LORA);
        let controlnet = attribute(offer.allow_controlnet, Capability::Controlnet, bit::CONTROL);
        let refused = |reason: SkipReason| -> u64 {
            (bit::FIRST_CHECK..Needs::BITS)
                .filter(|&bit| needs::reason(bit) == reason)
                .map(|bit| u64::from(counts.rejections[bit as usize]))
                .sum()
        };
        Self {
            models: counts.models,
            worker_id: counts.worker_list,
            max_pixels: tally.sizes.larger_than(counts.abilities.max_size),
            img2img,
            painting,
            unsafe_ip: unless(offer.allow_unsafe_ipaddr, bit::UNSAFE_IP),
            nsfw: unless(offer.nsfw, bit::NSFW),
            lora,
            post_processing: unless(offer.allow_post_processing, bit::POST_PROCESSING),
            controlnet,
            // A worker of exactly the threshold's speed does get such requests, but is told of them.
            performance: unless(offer.speed > SLOW, bit::FAST)
                + unless(!offer.extra_slow_worker, bit::NOT_EXTRA_SLOW),
            untrusted: unless(offer.owner_trusted, bit::TRUSTED_OWNER),
            bridge_version: bridge_version + refused(SkipReason::BridgeVersion),
            kudos: refused(SkipReason::Kudos),
            blacklist: refused(SkipReason::Blacklist),
            step_count: refused(SkipReason::StepCount),
        }
    }
}
