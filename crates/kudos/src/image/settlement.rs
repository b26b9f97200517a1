//! What a delivered image pays its worker and costs its requester, and what is estimated
//! beforehand (sections 3 and 6).

use muster_protocol::{
    Kudos,
    image::{Baseline, PostProcessor, Workflow},
};

use super::job::ImageJob;

/// What a request asks of its workers, at a premium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTerms {
    /// Whether slow workers may serve it too.
    pub slow_workers: bool,
    /// Whether its list of workers names those that must not serve it. The premium is due even when
    /// the list is empty.
    pub worker_blacklist: bool,
}

impl Default for RequestTerms {
    fn default() -> Self {
        Self {
            slow_workers: true,
            worker_blacklist: false,
        }
    }
}

/// How much dearer a family of models is than the measured one, as estimates count it.
pub fn family_multiplier(model: Baseline) -> f64 {
    match model {
        Baseline::StableDiffusion1 | Baseline::StableDiffusion2 | Baseline::StableDiffusion2_512 => 1.0,
        Baseline::StableDiffusionXl => 2.0,
        Baseline::StableCascade => 4.0,
        Baseline::Flux1 | Baseline::ZImageTurbo => 8.0,
        Baseline::QwenImage => 12.0,
    }
}

/// How much dearer a job on a model of this family is: the family's multiplier, higher for scannable
/// codes on SDXL and for the hires fix on Cascade.
pub fn model_multiplier(model: Baseline, job: &ImageJob) -> f64 {
    match model {
        Baseline::StableDiffusionXl if job.workflow == Some(Workflow::QrCode) => 4.0,
        Baseline::StableCascade if job.hires_fix => 7.0,
        _ => family_multiplier(model),
    }
}

/// What the worker is told it earns for one image, before what its software costs it.
///
/// `model` is the family of the model that the worker ran, not of the first one requested.
pub fn worker_reward(base_price: f64, model: Baseline, job: &ImageJob) -> f64 {
    base_price * model_multiplier(model, job)
}

/// What the requester pays for one delivered image: the worker's reward and what is burned.
pub fn requester_charge(reward: f64, job: &ImageJob, terms: RequestTerms) -> f64 {
    const SOURCE_IMAGE_FACTOR: f64 = 1.3;

    let sourced = if job.source.is_some() {
        reward * SOURCE_IMAGE_FACTOR
    } else {
        reward
    };
    let processed = job
        .post_processing
        .iter()
        .fold(sourced, |charge, &step| charge * post_processing_factor(step));
    with_burn(processed, terms)
}

/// What the requester pays for an image that the worker censored: only what is burned. The worker
/// earns its full reward.
pub fn censored_charge(terms: RequestTerms) -> f64 {
    with_burn(0.0, terms)
}

/// What is debited once when a request becomes active, and never refunded.
///
/// The 2 were meant for requests that use a style; every image request pays them.
pub fn activation_tax(job: &ImageJob) -> Kudos {
    const REQUEST: i64 = 1;
    const STYLE: i64 = 2;
    const EXTRA_SOURCE_IMAGE: i64 = 5;

    Kudos::from_whole(REQUEST + STYLE + EXTRA_SOURCE_IMAGE * i64::from(job.extra_source_images))
}

/// What a request of `images` images is estimated to cost, unrounded; a dry run answers it rounded
/// with [`round0`](crate::rounding::round0).
///
/// `model` is the family of the first requested model. The estimate differs from what is debited in
/// documented ways: the burn is multiplied with the family too, the tax counts as 1, and codes and
/// the hires fix have no multiplier of their own.
pub fn estimate(base_price: f64, job: &ImageJob, images: u32, model: Baseline, terms: RequestTerms) -> f64 {
    const TAX: f64 = 1.0;

    requester_charge(base_price, job, terms) * f64::from(images) * family_multiplier(model) + TAX
}

/// Adds what is burned for every image, and the premiums for choosing among workers.
fn with_burn(charge: f64, terms: RequestTerms) -> f64 {
    const BURN: f64 = 1.0;
    const FAST_WORKERS_FACTOR: f64 = 1.2;
    const BLACKLIST_FACTOR: f64 = 1.1;

    let burned = charge + BURN;
    let hurried = if terms.slow_workers {
        burned
    } else {
        burned * FAST_WORKERS_FACTOR
    };
    if terms.worker_blacklist {
        hurried * BLACKLIST_FACTOR
    } else {
        hurried
    }
}

fn post_processing_factor(step: PostProcessor) -> f64 {
    if step.is_upscaler() { 1.05 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strum::IntoEnumIterator;

    use super::*;
    use crate::{image::job::SourceImage, rounding::round0};

    const FAST_ONLY: RequestTerms = RequestTerms {
        slow_workers: false,
        worker_blacklist: false,
    };
    const PICKY: RequestTerms = RequestTerms {
        slow_workers: false,
        worker_blacklist: true,
    };

    fn plain() -> ImageJob {
        ImageJob::default()
    }

    /// One row of the documented end-to-end examples.
    #[derive(Debug)]
    struct Example {
        base: f64,
        job: ImageJob,
        model: Baseline,
        images: u32,
        terms: RequestTerms,
        reward: f64,
        charge: f64,
        total: f64,
        dry_run: f64,
    }

    fn sd1(base: f64, job: ImageJob, charge: f64, total: f64, dry_run: f64) -> Example {
        let (model, images, terms) = (Baseline::StableDiffusion1, 1, RequestTerms::default());
        Example {
            base,
            job,
            model,
            images,
            terms,
            reward: base,
            charge,
            total,
            dry_run,
        }
    }

    fn sdxl(base: f64, terms: RequestTerms, charge: f64, total: f64, dry_run: f64) -> Example {
        let model = Baseline::StableDiffusionXl;
        Example {
            model,
            terms,
            reward: 2.0 * base,
            ..sd1(base, plain(), charge, total, dry_run)
        }
    }

    #[test]
    fn the_documented_examples_end_to_end() {
        let usual = RequestTerms::default();
        let source = Some(SourceImage::default());
        let img2img = ImageJob {
            source,
            denoising_strength: Some(0.55),
            ..plain()
        };
        let upscaled = ImageJob {
            post_processing: vec![PostProcessor::RealESRGAN_x4plus],
            ..plain()
        };
        let examples = [
            sd1(7.61, plain(), 8.61, 11.61, 10.0),
            Example {
                images: 4,
                terms: FAST_ONLY,
                ..sd1(7.61, plain(), 10.332, 44.328, 42.0)
            },
            sdxl(20.99, usual, 42.98, 45.98, 45.0),
            sdxl(27.99, usual, 56.98, 59.98, 59.0),
            sdxl(20.99, PICKY, 56.7336, 59.7336, 59.0),
            sd1(6.72, img2img, 9.736, 12.736, 11.0),
            sd1(10.28, upscaled, 11.794, 14.794, 13.0),
        ];
        for example in &examples {
            let Example {
                base,
                job,
                model,
                images,
                terms,
                ..
            } = example;
            let reward = worker_reward(*base, *model, job);
            assert_eq!(reward, example.reward, "{example:?}");
            let charge = requester_charge(reward, job, *terms);
            assert!((charge - example.charge).abs() < 1e-9, "{charge} in {example:?}");
            let total = charge * f64::from(*images) + activation_tax(job).to_f64();
            assert!((total - example.total).abs() < 1e-9, "{total} in {example:?}");
            let dry_run = estimate(*base, job, *images, *model, *terms);
            assert_eq!(round0(dry_run), example.dry_run, "{dry_run} in {example:?}");
        }
    }

    #[test]
    fn a_censored_image_costs_only_the_burn() {
        for (slow_workers, worker_blacklist, charge) in [
            (true, false, 1.0),
            (false, false, 1.2),
            (true, true, 1.1),
            (false, true, 1.32),
        ] {
            assert_eq!(
                censored_charge(RequestTerms {
                    slow_workers,
                    worker_blacklist
                }),
                charge
            );
        }
    }

    #[test]
    fn multipliers_follow_family_workflow_and_hires_fix() {
        let code = ImageJob {
            workflow: Some(Workflow::QrCode),
            ..plain()
        };
        let hires = ImageJob {
            hires_fix: true,
            ..plain()
        };
        for (model, estimated, usual, as_code, as_hires) in [
            (Baseline::StableDiffusion1, 1.0, 1.0, 1.0, 1.0),
            (Baseline::StableDiffusionXl, 2.0, 2.0, 4.0, 2.0),
            (Baseline::StableCascade, 4.0, 4.0, 4.0, 7.0),
            (Baseline::Flux1, 8.0, 8.0, 8.0, 8.0),
            (Baseline::ZImageTurbo, 8.0, 8.0, 8.0, 8.0),
            (Baseline::QwenImage, 12.0, 12.0, 12.0, 12.0),
        ] {
            assert_eq!(family_multiplier(model), estimated, "{model}");
            assert_eq!(model_multiplier(model, &plain()), usual, "{model}");
            assert_eq!(model_multiplier(model, &code), as_code, "{model}");
            assert_eq!(model_multiplier(model, &hires), as_hires, "{model}");
        }
    }

    #[test]
    fn extra_source_images_are_taxed() {
        assert_eq!(activation_tax(&plain()), Kudos::from_whole(3));
        let extra = ImageJob {
            extra_source_images: 2,
            ..plain()
        };
        assert_eq!(activation_tax(&extra), Kudos::from_whole(13));
    }

    #[test]
    fn only_upscalers_raise_the_charge() {
        let factors: Vec<f64> = PostProcessor::iter().map(post_processing_factor).collect();
        assert_eq!(factors.iter().filter(|&&factor| factor == 1.05).count(), 11);
        assert_eq!(post_processing_factor(PostProcessor::CodeFormers), 1.0);
    }

    #[test]
    fn the_burn_is_multiplied_in_estimates_only() {
        let dry_run = estimate(20.99, &plain(), 1, Baseline::StableDiffusionXl, PICKY);
        assert!((dry_run - 59.0536).abs() < 1e-9, "{dry_run}");
    }

    proptest! {
        #[test]
        fn charges_cover_reward_and_burn(
            base in 1.0..1000.0_f64,
            slow_workers: bool,
            worker_blacklist: bool,
            sourced: bool,
            steps in proptest::sample::subsequence(PostProcessor::iter().collect::<Vec<_>>(), 0..4),
        ) {
            let source = sourced.then(SourceImage::default);
            let job = ImageJob { source, post_processing: steps, ..plain() };
            let terms = RequestTerms { slow_workers, worker_blacklist };
            for model in Baseline::iter() {
                let reward = worker_reward(base, model, &job);
                let charge = requester_charge(reward, &job, terms);
                prop_assert!(charge >= reward + 1.0);
                prop_assert!(charge > censored_charge(terms));
            }
        }
    }
}
