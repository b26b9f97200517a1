//! Which image requests must be paid for before they are accepted, and what a request is cut down
//! to when its requester can't (sections 7.1 and 7.5).

use muster_protocol::image::{Baseline, Sampler};

use super::job::{ImageJob, Targeting};

/// How busy the horde is with images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HordeLoad {
    /// Images waiting or being made, over all active requests.
    pub queued: u32,
    /// Threads of the image workers seen of late.
    pub threads: u32,
}

impl HordeLoad {
    /// Side in pixels of the largest square that is free to request, before limits: the more
    /// threads and the shorter the queue, the larger. May be negative.
    pub fn unclamped_max_resolution(self) -> i64 {
        const BASE: i64 = 1024;
        const PER_THREAD: i64 = 10;
        const PER_QUEUED: f64 = 0.9;

        let queued = (PER_QUEUED * f64::from(self.queued)).round_ties_even() as i64;
        BASE + PER_THREAD * i64::from(self.threads) - queued
    }
}

/// What matters here of a model that a request names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestedModel {
    /// The family it belongs to.
    pub baseline: Baseline,
    /// The most steps it needs, if its entry in the model reference says so.
    pub max_steps: Option<u32>,
}

/// A request as the upfront rule sees it.
#[derive(Clone, Copy, Debug)]
pub struct UpfrontQuestion<'a> {
    /// One image of the request.
    pub job: &'a ImageJob,
    /// The models it names, possibly none.
    pub models: &'a [RequestedModel],
    /// Whether slow workers may serve it too.
    pub slow_workers: bool,
    /// Whether one of its `LoRA`s speeds up generation; see [`is_lcm_lora`].
    pub lcm_lora: bool,
}

/// Why a request must be paid upfront.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpfrontReason {
    /// It wants fast workers only.
    FastWorkersOnly,
    /// It takes more steps than a latent-consistency sampler or `LoRA` needs.
    StepsForLcm,
    /// It takes more steps than one of its models needs.
    StepsForModel,
    /// It is larger than what is free at the moment.
    Resolution,
    /// It takes more steps than are free with a control map.
    StepsForControl,
    /// It names workers, where those must be paid for.
    NamedWorkers,
}

/// Whether a request must be paid upfront, and what it may be cut down to otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpfrontVerdict {
    /// Why it must be paid upfront; `None` if it need not.
    pub reason: Option<UpfrontReason>,
    /// Side in pixels of the largest square that is free to request.
    pub max_resolution: u32,
}

impl UpfrontVerdict {
    /// Whether the requester must have the whole price now.
    pub fn is_needed(self) -> bool {
        self.reason.is_some()
    }

    /// Whether a requester that can't pay may have the request cut down instead.
    pub fn allows_downgrade(self) -> bool {
        self.reason != Some(UpfrontReason::NamedWorkers)
    }
}

/// Size and steps of a request that was cut down. It takes slow workers from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downgrade {
    /// New width in pixels.
    pub width: u32,
    /// New height in pixels.
    pub height: u32,
    /// New number of steps, as requested.
    pub steps: u32,
}

/// Whether a `LoRA` makes a model generate in few steps, by its name and whether that name is a
/// version number.
pub fn is_lcm_lora(name: &str, is_version: bool) -> bool {
    const BY_MODEL: [&str; 3] = ["195519", "216190", "324115"];
    const BY_VERSION: [&str; 7] = [
        "246747", "247778", "268475", "243643", "225222", "219782", "363353",
    ];

    if is_version {
        BY_VERSION.contains(&name)
    } else {
        BY_MODEL.contains(&name)
    }
}

/// Decides whether a request must be paid upfront.
///
/// `named_workers_pay` says whether requests that name workers must; by default they need not.
pub fn judge(question: UpfrontQuestion<'_>, load: HordeLoad, named_workers_pay: bool) -> UpfrontVerdict {
    let max_resolution = max_resolution(load, question.models);
    let reason = first_reason(question, max_resolution, named_workers_pay);
    UpfrontVerdict {
        reason,
        max_resolution,
    }
}

/// Cuts a request down to what is free: its size to `max_resolution`, its steps to what its models,
/// control map and sampler need.
pub fn downgrade(question: UpfrontQuestion<'_>, max_resolution: u32) -> Downgrade {
    let (width, height) = shrink(question.job.width, question.job.height, max_resolution);
    Downgrade {
        width,
        height,
        steps: reduce_steps(question),
    }
}

/// The limit in force, between 576 (1024 for families that need it) and 1024.
fn max_resolution(load: HordeLoad, models: &[RequestedModel]) -> u32 {
    const LEAST: i64 = 576;
    const MOST: i64 = 1024;

    let large = |model: &RequestedModel| {
        matches!(
            model.baseline,
            Baseline::StableDiffusionXl | Baseline::StableCascade | Baseline::Flux1
        )
    };
    let least = if models.iter().any(large) { MOST } else { LEAST };
    load.unclamped_max_resolution().clamp(least, MOST) as u32
}

/// The first of the rules, in their documented order, that asks for upfront payment.
fn first_reason(
    question: UpfrontQuestion<'_>,
    max_resolution: u32,
    named_workers_pay: bool,
) -> Option<UpfrontReason> {
    const LCM_STEPS: u32 = 10;
    const MODEL_STEPS: u32 = 40;
    const CONTROL_STEPS: u32 = 20;

    let UpfrontQuestion {
        job,
        models,
        slow_workers,
        ..
    } = question;
    let steps = job.accurate_steps();
    let fewest_model_steps = models
        .iter()
        .map(|model| model.max_steps.unwrap_or(MODEL_STEPS))
        .min();
    let rules = [
        (!slow_workers, UpfrontReason::FastWorkersOnly),
        (
            uses_lcm(question) && steps > LCM_STEPS,
            UpfrontReason::StepsForLcm,
        ),
        (
            fewest_model_steps.is_some_and(|most| steps > most),
            UpfrontReason::StepsForModel,
        ),
        (job.area() > square(max_resolution), UpfrontReason::Resolution),
        (
            job.control.is_some() && steps > CONTROL_STEPS,
            UpfrontReason::StepsForControl,
        ),
        (
            named_workers_pay && job.targeting == Targeting::NamedWorkers,
            UpfrontReason::NamedWorkers,
        ),
    ];
    rules.into_iter().find_map(|(hit, reason)| hit.then_some(reason))
}

fn uses_lcm(question: UpfrontQuestion<'_>) -> bool {
    question.lcm_lora || question.job.sampler == Sampler::Lcm
}

fn square(side: u32) -> u64 {
    u64::from(side) * u64::from(side)
}

/// Scales a size down to the area of a square, in multiples of 64, keeping its proportions.
fn shrink(width: u32, height: u32, max_resolution: u32) -> (u32, u32) {
    const GRID: u32 = 64;
    const LEAST: (u32, u32) = (512, 512);

    let most = square(max_resolution);
    let area = |width: u32, height: u32| u64::from(width) * u64::from(height);
    if area(width, height) <= most {
        return (width, height);
    }
    let scale = (most as f64 / area(width, height) as f64).sqrt();
    let scaled = |side: u32| (f64::from(side) * scale) as u32 / GRID * GRID;
    let (mut width, mut height) = (scaled(width), scaled(height));
    while area(width, height) > most {
        if width >= height {
            width -= GRID;
        } else {
            height -= GRID;
        }
    }
    if area(width, height) < area(LEAST.0, LEAST.1) {
        LEAST
    } else {
        (width, height)
    }
}

/// Lowers the steps until they count no more than is free, but not below four.
///
/// The adaptive sampler counts the same whatever the steps, so it keeps them.
fn reduce_steps(question: UpfrontQuestion<'_>) -> u32 {
    const MODEL_STEPS: u32 = 30;
    const CONTROL_STEPS: u32 = 20;
    const LCM_STEPS: u32 = 10;
    const FEWEST: u32 = 4;

    let UpfrontQuestion { job, models, .. } = question;
    if job.sampler == Sampler::KDpmAdaptive {
        return job.steps;
    }
    let most = if uses_lcm(question) {
        LCM_STEPS
    } else if job.control.is_some() {
        CONTROL_STEPS
    } else {
        models
            .iter()
            .map(|model| model.max_steps.unwrap_or(MODEL_STEPS))
            .min()
            .unwrap_or(MODEL_STEPS)
    };
    let mut steps = job.steps;
    while steps > FEWEST && job.sampler.accurate_steps(steps) > most {
        steps -= 1;
    }
    steps
}

#[cfg(test)]
mod tests {
    use muster_protocol::image::ControlType;
    use proptest::prelude::*;

    use super::*;
    use crate::image::job::Control;

    const IDLE: HordeLoad = HordeLoad {
        queued: 0,
        threads: 0,
    };
    const SWAMPED: HordeLoad = HordeLoad {
        queued: 10_000,
        threads: 50,
    };
    const SD1: RequestedModel = RequestedModel {
        baseline: Baseline::StableDiffusion1,
        max_steps: None,
    };
    const SDXL: RequestedModel = RequestedModel {
        baseline: Baseline::StableDiffusionXl,
        max_steps: None,
    };

    fn ask<'a>(job: &'a ImageJob, models: &'a [RequestedModel]) -> UpfrontQuestion<'a> {
        UpfrontQuestion {
            job,
            models,
            slow_workers: true,
            lcm_lora: false,
        }
    }

    fn reason(question: UpfrontQuestion<'_>) -> Option<UpfrontReason> {
        judge(question, IDLE, false).reason
    }

    fn sized(width: u32, height: u32) -> ImageJob {
        ImageJob {
            width,
            height,
            ..ImageJob::default()
        }
    }

    fn stepped(sampler: Sampler, steps: u32) -> ImageJob {
        ImageJob {
            steps,
            sampler,
            ..ImageJob::default()
        }
    }

    #[test]
    fn the_limit_follows_the_load_within_bounds() {
        assert_eq!(IDLE.unclamped_max_resolution(), 1024);
        assert_eq!(
            HordeLoad {
                queued: 205,
                threads: 3
            }
            .unclamped_max_resolution(),
            870
        );
        assert_eq!(SWAMPED.unclamped_max_resolution(), -7476);

        let limit = |load, models: &[RequestedModel]| max_resolution(load, models);
        assert_eq!(
            limit(
                HordeLoad {
                    queued: 205,
                    threads: 3
                },
                &[SD1]
            ),
            870
        );
        assert_eq!(limit(SWAMPED, &[]), 576);
        assert_eq!(limit(SWAMPED, &[SD1, SDXL]), 1024);
        assert_eq!(
            limit(
                HordeLoad {
                    queued: 0,
                    threads: 500
                },
                &[SD1]
            ),
            1024
        );
    }

    #[test]
    fn a_plain_request_is_free() {
        let job = ImageJob::default();
        let verdict = judge(ask(&job, &[SD1]), IDLE, true);
        assert_eq!(
            verdict,
            UpfrontVerdict {
                reason: None,
                max_resolution: 1024
            }
        );
        assert!(!verdict.is_needed());
    }

    #[test]
    fn fast_workers_are_paid_upfront_under_the_usual_limit() {
        let job = sized(3072, 3072);
        let question = UpfrontQuestion {
            slow_workers: false,
            ..ask(&job, &[])
        };
        let verdict = judge(question, SWAMPED, false);
        assert_eq!(verdict.reason, Some(UpfrontReason::FastWorkersOnly));
        assert_eq!(verdict.max_resolution, 576);
        assert!(verdict.allows_downgrade());
    }

    #[test]
    fn size_counts_by_area() {
        assert_eq!(reason(ask(&sized(2048, 512), &[SD1])), None);
        assert_eq!(
            reason(ask(&sized(2048, 576), &[SD1])),
            Some(UpfrontReason::Resolution)
        );
    }

    #[test]
    fn steps_count_as_the_sampler_takes_them() {
        let model_steps = |sampler, steps| reason(ask(&stepped(sampler, steps), &[SD1]));
        assert_eq!(model_steps(Sampler::KEulerA, 40), None);
        assert_eq!(
            model_steps(Sampler::KEulerA, 41),
            Some(UpfrontReason::StepsForModel)
        );
        assert_eq!(
            model_steps(Sampler::KHeun, 21),
            Some(UpfrontReason::StepsForModel)
        );
        assert_eq!(model_steps(Sampler::KDpmAdaptive, 500), None);
        assert_eq!(reason(ask(&stepped(Sampler::KEulerA, 500), &[])), None);

        let frugal = RequestedModel {
            max_steps: Some(8),
            ..SDXL
        };
        assert_eq!(
            reason(ask(&stepped(Sampler::KEulerA, 9), &[SD1, frugal])),
            Some(UpfrontReason::StepsForModel)
        );
    }

    #[test]
    fn consistency_samplers_need_few_steps() {
        let lcm = |steps| reason(ask(&stepped(Sampler::Lcm, steps), &[SD1]));
        assert_eq!((lcm(10), lcm(11)), (None, Some(UpfrontReason::StepsForLcm)));
        let job = stepped(Sampler::KEulerA, 11);
        let with_lora = UpfrontQuestion {
            lcm_lora: true,
            ..ask(&job, &[SD1])
        };
        assert_eq!(reason(with_lora), Some(UpfrontReason::StepsForLcm));

        assert!(is_lcm_lora("195519", false) && is_lcm_lora("246747", true));
        assert!(!is_lcm_lora("195519", true) && !is_lcm_lora("246747", false));
    }

    #[test]
    fn control_maps_come_with_few_steps() {
        let steered = |steps| ImageJob {
            control: Some(Control::new(ControlType::Canny)),
            ..stepped(Sampler::KEulerA, steps)
        };
        assert_eq!(reason(ask(&steered(20), &[SD1])), None);
        assert_eq!(
            reason(ask(&steered(21), &[SD1])),
            Some(UpfrontReason::StepsForControl)
        );
    }

    #[test]
    fn named_workers_pay_where_that_is_the_rule() {
        let job = ImageJob {
            targeting: Targeting::NamedWorkers,
            ..ImageJob::default()
        };
        assert!(!judge(ask(&job, &[SD1]), IDLE, false).is_needed());
        let verdict = judge(ask(&job, &[SD1]), IDLE, true);
        assert_eq!(verdict.reason, Some(UpfrontReason::NamedWorkers));
        assert!(!verdict.allows_downgrade());
    }

    #[test]
    fn sizes_shrink_on_the_grid() {
        assert_eq!(shrink(512, 768, 1024), (512, 768));
        assert_eq!(shrink(2048, 2048, 1024), (1024, 1024));
        assert_eq!(shrink(1024, 1024, 576), (576, 576));
        assert_eq!(shrink(1920, 1088, 1024), (1344, 768));
        assert_eq!(shrink(640, 640, 576), (576, 576));
        // Cut to the grid, 512x576 and the like would fall below the least area.
        assert_eq!(shrink(3072, 64, 256), (512, 512));
    }

    #[test]
    fn steps_shrink_to_what_is_needed() {
        let reduced = |job: &ImageJob, models: &[RequestedModel]| reduce_steps(ask(job, models));
        assert_eq!(reduced(&stepped(Sampler::KEulerA, 100), &[]), 30);
        assert_eq!(reduced(&stepped(Sampler::KEulerA, 20), &[SD1]), 20);
        assert_eq!(reduced(&stepped(Sampler::KHeun, 100), &[SD1]), 15);
        assert_eq!(reduced(&stepped(Sampler::Lcm, 100), &[SD1]), 10);
        assert_eq!(reduced(&stepped(Sampler::KDpmAdaptive, 100), &[SD1]), 100);
        let frugal = RequestedModel {
            max_steps: Some(2),
            ..SD1
        };
        assert_eq!(reduced(&stepped(Sampler::KEulerA, 100), &[SD1, frugal]), 4);
        assert_eq!(reduced(&stepped(Sampler::KEulerA, 3), &[frugal]), 3);
        let steered = ImageJob {
            control: Some(Control::new(ControlType::Canny)),
            ..stepped(Sampler::KEulerA, 40)
        };
        assert_eq!(reduced(&steered, &[SD1]), 20);
    }

    proptest! {
        #[test]
        fn a_downgraded_size_is_free(width in 1..=48_u32, height in 1..=48_u32, queued in 0..2000_u32) {
            let job = sized(width * 64, height * 64);
            let load = HordeLoad { queued, threads: 20 };
            let limit = judge(ask(&job, &[SD1]), load, false).max_resolution;
            let cut = downgrade(ask(&job, &[SD1]), limit);
            prop_assert!(cut.width.is_multiple_of(64) && cut.height.is_multiple_of(64));
            prop_assert!(cut.width >= 64 && cut.height >= 64);
            prop_assert!(u64::from(cut.width) * u64::from(cut.height) <= square(limit));
        }
    }
}
