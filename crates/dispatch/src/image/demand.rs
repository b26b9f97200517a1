//! [`Demand`]: what an image request needs, and what follows from it for a job: its size, its time
//! limit and how many fit into a batch.

use std::sync::Arc;

use muster_protocol::{
    Kudos,
    image::{PostProcessor, Sampler, SourceProcessing, Workflow},
};

use super::{NamedModels, Offer};

/// What an image request needs of a worker.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts, named like the API's fields
pub struct Demand {
    /// The whole prompt, the negative part included.
    pub prompt: Arc<str>,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Steps as requested.
    pub steps: u32,
    /// How the steps are taken.
    pub sampler: Sampler,
    /// With the Karras schedule.
    pub karras: bool,
    /// There is a source image.
    pub source_image: bool,
    /// What is to be done with it. Counts even without a source image.
    pub source_processing: SourceProcessing,
    /// There are extra source images.
    pub extra_source_images: bool,
    /// What runs over the finished picture.
    pub post_processing: Vec<PostProcessor>,
    /// A control type is set.
    pub control: bool,
    /// The control map is wanted back.
    pub return_control_map: bool,
    /// A preset pipeline.
    pub workflow: Option<Workflow>,
    /// The picture continues at its edges.
    pub tiling: bool,
    /// Rendered small first, then enlarged.
    pub hires_fix: bool,
    /// With a transparent background.
    pub transparent: bool,
    /// Layers of the text encoder to skip, if given.
    pub clip_skip: Option<u32>,
    /// At least one `LoRA` is named.
    pub loras: bool,
    /// At least one `LoRA` is named by version.
    pub lora_versions: bool,
    /// At least one textual inversion is named.
    pub textual_inversions: bool,
    /// It may show what minors shouldn't see.
    pub nsfw: bool,
    /// Only workers of trusted owners.
    pub trusted_workers: bool,
    /// Slow workers may take it.
    pub slow_workers: bool,
    /// Self-declared extra slow workers may take it.
    pub extra_slow_workers: bool,
    /// It came from an address that is not suspected to hide somebody.
    pub safe_ip: bool,
    /// Results travel as URLs.
    pub r2: bool,
    /// One job a pop.
    pub disable_batching: bool,
    /// The requester is trusted.
    pub requester_trusted: bool,
    /// Price of one picture, before model multipliers.
    pub price: Kudos,
    /// What the requester had to spend when the ticket was written: the balance, minus the account
    /// minimum if the balance is positive. [`Board::set_available`](crate::Board::set_available)
    /// changes it for all of a requester's tickets.
    pub available: Kudos,
    /// What matters about the models it names.
    pub named: NamedModels,
}

/// A plain text-to-image request with the API's defaults, free of charge.
impl Default for Demand {
    fn default() -> Self {
        Self {
            prompt: Arc::from(""),
            width: 512,
            height: 512,
            steps: 30,
            sampler: Sampler::default(),
            karras: true,
            source_image: false,
            source_processing: SourceProcessing::default(),
            extra_source_images: false,
            post_processing: Vec::new(),
            control: false,
            return_control_map: false,
            workflow: None,
            tiling: false,
            hires_fix: false,
            transparent: false,
            clip_skip: None,
            loras: false,
            lora_versions: false,
            textual_inversions: false,
            nsfw: true,
            trusted_workers: false,
            slow_workers: true,
            extra_slow_workers: false,
            safe_ip: true,
            r2: true,
            disable_batching: false,
            requester_trusted: false,
            price: Kudos::ZERO,
            available: Kudos::ZERO,
            named: NamedModels::default(),
        }
    }
}

impl Demand {
    /// Width times height.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The steps as they count for size and time.
    pub fn accurate_steps(&self) -> u32 {
        self.sampler.accurate_steps(self.steps)
    }

    /// Pixelsteps of one job.
    pub fn things(&self) -> u64 {
        self.pixels() * u64::from(self.accurate_steps())
    }

    /// Seconds that a worker has for a job (spec: image, section 7.8).
    pub fn job_ttl(&self, extra_slow_worker: bool) -> u64 {
        let mut seconds = 30.0 + f64::from(self.accurate_steps()) * 2.0 * (self.pixels() as f64 / 262_144.0);
        if self.control {
            seconds *= 2.0;
        }
        if self.named.slow_family {
            seconds *= 3.0;
        }
        seconds = seconds.max(150.0);
        if extra_slow_worker {
            seconds *= 3.0;
        }
        seconds as u64
    }

    /// How many jobs of this request a worker that asked for `amount` gets at once, if there are as
    /// many (spec: image, section 7.7): what fits into its memory, judged by its pixel limit.
    pub fn batch(&self, offer: &Offer, amount: u32) -> u32 {
        let amount = amount.max(1);
        if self.disable_batching {
            return 1;
        }
        let mut weight = 1.0 + 0.4 * self.post_processing.len() as f64;
        if self.transparent || self.post_processing.iter().any(|step| step.is_heavy()) {
            weight *= 1.8;
        }
        let cost = self.pixels() as f64 * weight * f64::from(self.named.batch_weight);
        let room = offer.max_pixels as f64 / 3.5 * f64::from(amount);
        ((room / cost).round_ties_even() as u32).clamp(1, amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_jobs_have_150_seconds() {
        assert_eq!(Demand::default().job_ttl(false), 150);
        assert_eq!(Demand::default().job_ttl(true), 450);
    }

    #[test]
    fn time_grows_with_pixels_steps_control_and_family() {
        let large = Demand {
            width: 1024,
            height: 1024,
            ..Demand::default()
        };
        assert_eq!(large.job_ttl(false), 270);
        assert_eq!(
            Demand {
                control: true,
                ..large.clone()
            }
            .job_ttl(false),
            540
        );
        let named = NamedModels {
            slow_family: true,
            ..NamedModels::default()
        };
        assert_eq!(
            Demand {
                named,
                ..large.clone()
            }
            .job_ttl(false),
            810
        );
        assert_eq!(
            Demand {
                named,
                control: true,
                ..large
            }
            .job_ttl(true),
            4860
        );
    }

    #[test]
    fn fractions_of_a_second_are_cut_off() {
        let odd = Demand {
            width: 576,
            height: 576,
            steps: 61,
            ..Demand::default()
        };
        assert_eq!(odd.job_ttl(false), 184, "30 + 61 · 2 · 1.265625 = 184.40625");
    }

    #[test]
    fn a_batch_is_what_fits_into_the_pixel_limit() {
        let offer = Offer {
            max_pixels: 1024 * 1024,
            ..Offer::default()
        };
        let demand = Demand::default();
        assert_eq!(demand.batch(&offer, 1), 1);
        assert_eq!(
            demand.batch(&offer, 4),
            4,
            "4 / 3.5 · 4 = 4.57, rounded 5, at most 4"
        );
        let upscaled = Demand {
            post_processing: vec![PostProcessor::NMKD_Siax],
            ..demand.clone()
        };
        assert_eq!(upscaled.batch(&offer, 4), 2, "4 / 3.5 · 4 / 2.52 = 1.81");
        let transparent = Demand {
            transparent: true,
            ..demand.clone()
        };
        assert_eq!(transparent.batch(&offer, 10), 6, "4 / 3.5 · 10 / 1.8 = 6.35");
        let qwen = NamedModels {
            batch_weight: 10,
            ..NamedModels::default()
        };
        assert_eq!(
            Demand {
                named: qwen,
                ..demand.clone()
            }
            .batch(&offer, 20),
            2
        );
        assert_eq!(
            Demand {
                disable_batching: true,
                ..demand.clone()
            }
            .batch(&offer, 20),
            1
        );
        assert_eq!(
            demand.batch(
                &Offer {
                    max_pixels: 0,
                    ..offer
                },
                20
            ),
            1
        );
    }
}
