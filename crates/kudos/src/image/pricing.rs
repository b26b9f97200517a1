//! [`ImagePricing`]: the base price of one image (sections 2.5 to 2.8).

use muster_protocol::image::{Baseline, PostProcessor};

use super::{
    features,
    job::{ImageJob, Targeting},
    network::PricingNetwork,
    settlement::{self, RequestTerms},
};
use crate::rounding::round2;

/// Seconds that the reference job takes: 512x512, 50 steps of `k_euler`, nothing else.
const REFERENCE_SECONDS: f64 = 6.45;

/// Price of the reference job.
const REFERENCE_PRICE: f64 = 11.0;

/// No image is cheaper than this, whatever the network says.
const LOWEST_PRICE: f64 = 1.0;

const LORA_SURCHARGE: f64 = 3.0;
const TEXTUAL_INVERSION_SURCHARGE: f64 = 1.0;

/// Price of a request that names workers, where such requests cost next to nothing.
const TOKEN_PRICE: f64 = 0.1;

/// How to price post-processors that came after the prices were measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewerPostProcessors {
    /// Like the one among the measured eight that does most nearly the same.
    #[default]
    LikeRelatives,
    /// The whole image by the closed formula of section 2.8, a far steeper curve.
    ByFormula,
}

/// Prices images. The default rules can be changed by the methods that return `Self`.
#[derive(Clone, Debug)]
pub struct ImagePricing {
    network: PricingNetwork,
    newer_post_processors: NewerPostProcessors,
    token_price_for_named_workers: bool,
}

impl ImagePricing {
    /// Prices by the network that Muster ships.
    pub fn bundled() -> Self {
        Self::new(PricingNetwork::bundled())
    }

    /// Prices by the given network.
    pub fn new(network: PricingNetwork) -> Self {
        Self {
            network,
            newer_post_processors: NewerPostProcessors::default(),
            token_price_for_named_workers: false,
        }
    }

    /// How to price post-processors that the network does not know.
    #[must_use]
    pub fn with_newer_post_processors(self, rule: NewerPostProcessors) -> Self {
        Self {
            newer_post_processors: rule,
            ..self
        }
    }

    /// Whether requests that name workers cost a token 0.1 (section 2.7); by default they don't.
    #[must_use]
    pub fn with_token_price_for_named_workers(self, token: bool) -> Self {
        Self {
            token_price_for_named_workers: token,
            ..self
        }
    }

    /// The price of one image before model multiplier, burn and tax.
    pub fn base_price(&self, job: &ImageJob) -> f64 {
        if self.token_price_for_named_workers && job.targeting == Targeting::NamedWorkers {
            return TOKEN_PRICE;
        }
        self.generation_price(job) + surcharge(job)
    }

    /// What a dry run answers, unrounded (section 6): the price of `images` images on the first
    /// requested model's family.
    pub fn estimate(&self, job: &ImageJob, images: u32, model: Baseline, terms: RequestTerms) -> f64 {
        settlement::estimate(self.base_price(job), job, images, model, terms)
    }

    /// What the requester must have if the request needs to be paid upfront (section 7.3): the
    /// estimate for the same job without its source image, which arrives later.
    pub fn upfront_estimate(&self, job: &ImageJob, images: u32, model: Baseline, terms: RequestTerms) -> f64 {
        self.estimate(&job.without_source(), images, model, terms)
    }

    /// The part of the price that the network or the formula decides.
    fn generation_price(&self, job: &ImageJob) -> f64 {
        let by_formula = self.newer_post_processors == NewerPostProcessors::ByFormula
            && !job.post_processing.iter().all(|&step| features::is_known(step));
        if by_formula {
            return formula_price(job);
        }
        let seconds = self.network.seconds(&features::encode(job));
        price_of_seconds(f64::from(seconds)).max(LOWEST_PRICE)
    }
}

/// Converts the network's estimate to a price, on the grid that hundredths of a second make.
pub fn price_of_seconds(seconds: f64) -> f64 {
    round2(round2(seconds) / REFERENCE_SECONDS * REFERENCE_PRICE)
}

/// What `LoRA`s and textual inversions add (section 2.6); the latter count once, however many.
fn surcharge(job: &ImageJob) -> f64 {
    let inversions = if job.textual_inversions {
        TEXTUAL_INVERSION_SURCHARGE
    } else {
        0.0
    };
    LORA_SURCHARGE * f64::from(job.loras) + inversions
}

/// The closed formula that priced images before there was a network (section 2.8).
fn formula_price(job: &ImageJob) -> f64 {
    const SMALLEST_AREA: f64 = 4096.0;
    const NOMINAL_AREA: f64 = 1_048_576.0;
    const AREA_EXPONENT: f64 = 1.75;
    const PRICE_PER_STEP: f64 = 0.1232;
    const AREA_WEIGHT: f64 = 8.75;
    const POST_PROCESSOR_FACTOR: f64 = 1.2;
    const CONTROL_FACTOR: f64 = 3.0;

    let excess = (job.area() as f64 - SMALLEST_AREA).max(0.0);
    let size = excess.powf(AREA_EXPONENT) / (NOMINAL_AREA - SMALLEST_AREA).powf(AREA_EXPONENT);
    let by_steps = PRICE_PER_STEP * f64::from(job.steps);
    let drawn = round2(by_steps + size * (by_steps * AREA_WEIGHT));
    let add_step = |price: f64, _: &PostProcessor| round2(POST_PROCESSOR_FACTOR * price);
    let processed = job.post_processing.iter().fold(drawn, add_step);
    if job.control.is_some_and(|control| !control.return_map) {
        round2(CONTROL_FACTOR * processed)
    } else {
        processed
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::image::ControlType;

    use super::*;
    use crate::image::job::Control;

    fn job(width: u32, height: u32, steps: u32, post_processing: &[PostProcessor]) -> ImageJob {
        ImageJob {
            width,
            height,
            steps,
            post_processing: post_processing.to_vec(),
            ..ImageJob::default()
        }
    }

    #[test]
    fn the_documented_figures_of_the_formula() {
        use PostProcessor::{GFPGANv1_3, RestoreFormer};
        let with_control = ImageJob {
            control: Some(Control::new(ControlType::Canny)),
            ..job(512, 512, 20, &[GFPGANv1_3])
        };
        for (job, price) in [
            (job(64, 64, 1, &[GFPGANv1_3]), 0.14),
            (job(512, 512, 50, &[]), 10.83),
            (job(512, 512, 30, &[GFPGANv1_3]), 7.8),
            (with_control, 15.6),
            (job(1024, 1024, 30, &[GFPGANv1_3]), 43.25),
            (job(1024, 1024, 30, &[GFPGANv1_3, RestoreFormer]), 51.9),
            (job(3072, 3072, 500, &[GFPGANv1_3]), 30506.52),
        ] {
            assert_eq!(formula_price(&job), price, "{job:?}");
        }
    }

    #[test]
    fn a_control_map_alone_is_not_tripled() {
        let map_only = Control {
            return_map: true,
            ..Control::new(ControlType::Canny)
        };
        let job = ImageJob {
            control: Some(map_only),
            ..job(512, 512, 30, &[PostProcessor::GFPGANv1_3])
        };
        assert_eq!(formula_price(&job), 7.8);
    }

    #[test]
    fn newer_post_processors_cost_like_their_relatives_unless_told_otherwise() {
        let pricing = ImagePricing::bundled();
        let (old, new) = (PostProcessor::GFPGAN, PostProcessor::GFPGANv1_3);
        let relative = pricing.base_price(&job(1024, 1024, 30, &[old]));
        assert_eq!(pricing.base_price(&job(1024, 1024, 30, &[new])), relative);

        let exact = pricing.with_newer_post_processors(NewerPostProcessors::ByFormula);
        assert_eq!(exact.base_price(&job(1024, 1024, 30, &[new])), 43.25);
        assert_eq!(exact.base_price(&job(1024, 1024, 30, &[old])), relative);
    }

    #[test]
    fn loras_and_inversions_are_added_to_either_price() {
        let exact = ImagePricing::bundled().with_newer_post_processors(NewerPostProcessors::ByFormula);
        let plain = job(1024, 1024, 30, &[]);
        let adorned = ImageJob {
            loras: 2,
            textual_inversions: true,
            ..plain.clone()
        };
        assert_eq!(exact.base_price(&adorned), exact.base_price(&plain) + 7.0);

        let by_formula = ImageJob {
            loras: 1,
            ..job(1024, 1024, 30, &[PostProcessor::RestoreFormer])
        };
        assert_eq!(exact.base_price(&by_formula), 46.25);
    }

    #[test]
    fn requests_for_named_workers_cost_a_token_where_that_is_the_rule() {
        let targeted = ImageJob {
            targeting: Targeting::NamedWorkers,
            loras: 3,
            ..job(1024, 1024, 30, &[])
        };
        let pricing = ImagePricing::bundled();
        assert!(pricing.base_price(&targeted) > 10.0);
        let token = pricing.with_token_price_for_named_workers(true);
        assert_eq!(token.base_price(&targeted), 0.1);
        assert!(token.base_price(&job(1024, 1024, 30, &[])) > 10.0);
    }

    #[test]
    fn seconds_become_prices_on_the_documented_grid() {
        for (seconds, price) in [
            (6.45, 11.0),
            (17.02, 29.03),
            (8.87, 15.13),
            (14.93, 25.46),
            (6.4549, 11.0),
        ] {
            assert_eq!(price_of_seconds(seconds), price, "{seconds} s");
        }
    }
}
