//! The measured prices of section 2.9, each within what the fit is off by at most on such jobs.

use muster_kudos::image::{Control, ImageJob, ImagePricing, SourceImage};
use muster_protocol::image::{ControlType, PostProcessor, Sampler, SourceProcessing};

/// Relative error that is allowed of any anchor.
const TOLERANCE: f64 = 0.03;

/// Checks measured prices and that at least half of them are met within half a percent.
fn check(anchors: impl IntoIterator<Item = (ImageJob, f64)>) {
    let pricing = ImagePricing::bundled();
    let mut errors = Vec::new();
    for (job, measured) in anchors {
        let price = pricing.base_price(&job);
        let error = (price - measured).abs() / measured;
        assert!(error <= TOLERANCE, "{price} instead of {measured} for {job:?}");
        errors.push(error);
    }
    errors.sort_by(f64::total_cmp);
    assert!(errors[errors.len() / 2] <= 0.005, "{errors:?}");
}

fn sized(side: u32, steps: u32) -> ImageJob {
    ImageJob {
        width: side,
        height: side,
        steps,
        ..ImageJob::default()
    }
}

const STEPS: [u32; 16] = [1, 5, 8, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500];

#[test]
fn steps_at_512() {
    let measured = [
        3.46, 3.80, 4.06, 4.26, 4.96, 5.76, 6.62, 7.61, 9.40, 10.98, 14.96, 19.92, 27.18, 34.06, 53.87,
        121.19,
    ];
    check(STEPS.map(|steps| sized(512, steps)).into_iter().zip(measured));
}

#[test]
fn steps_at_1024() {
    let measured = [
        9.77, 11.39, 12.13, 12.53, 13.71, 15.98, 18.28, 20.99, 26.45, 29.59, 39.31, 48.54, 59.95, 74.85,
        105.55, 184.08,
    ];
    check(STEPS.map(|steps| sized(1024, steps)).into_iter().zip(measured));
}

#[test]
fn squares() {
    check(
        [
            (64, 5.64),
            (256, 5.80),
            (384, 6.60),
            (512, 7.61),
            (576, 8.13),
            (640, 8.80),
            (768, 11.75),
            (896, 15.52),
            (1024, 20.99),
            (1280, 35.13),
            (1536, 57.08),
            (2048, 113.58),
            (3072, 236.30),
        ]
        .map(|(side, price)| (sized(side, 30), price)),
    );
}

#[test]
#[allow(clippy::approx_constant)] // 3.14 is a price
fn assorted_jobs() {
    let hires = |side| ImageJob {
        hires_fix: true,
        ..sized(side, 30)
    };
    check([
        (
            ImageJob {
                width: 832,
                height: 1216,
                ..ImageJob::default()
            },
            20.58,
        ),
        (sized(64, 1), 3.14),
        (sized(3072, 500), 513.18),
        (
            ImageJob {
                karras: false,
                ..ImageJob::default()
            },
            7.66,
        ),
        (hires(512), 12.31),
        (hires(1024), 24.61),
        (
            ImageJob {
                sampler: Sampler::Lcm,
                cfg_scale: 1.5,
                ..sized(512, 8)
            },
            5.03,
        ),
    ]);
}

#[test]
fn samplers() {
    check(
        [
            (Sampler::KDpm2, 12.18),
            (Sampler::KDpm2A, 12.94),
            (Sampler::KDpmAdaptive, 13.29),
            (Sampler::KDpmFast, 7.40),
            (Sampler::KDpmpp2m, 7.52),
            (Sampler::KDpmpp2sA, 12.07),
            (Sampler::KDpmppSde, 12.93),
            (Sampler::KEuler, 7.84),
            (Sampler::Ddim, 7.84),
            (Sampler::Lcm, 7.84),
            (Sampler::Dpmsolver, 7.84),
            (Sampler::KEulerA, 7.61),
            (Sampler::KHeun, 12.91),
            (Sampler::KLms, 7.57),
        ]
        .map(|(sampler, price)| {
            (
                ImageJob {
                    sampler,
                    ..ImageJob::default()
                },
                price,
            )
        }),
    );
}

#[test]
fn guidance() {
    check(
        [
            (0.0, 7.57),
            (1.0, 7.59),
            (5.0, 7.61),
            (7.5, 7.61),
            (15.0, 7.61),
            (30.0, 7.83),
            (50.0, 8.44),
            (100.0, 14.33),
        ]
        .map(|(cfg_scale, price)| {
            (
                ImageJob {
                    cfg_scale,
                    ..ImageJob::default()
                },
                price,
            )
        }),
    );
}

#[test]
fn post_processors() {
    use PostProcessor as P;
    let anchors: [(&[P], f64); 9] = [
        (&[P::AnimeSharp4x], 11.31),
        (&[P::CodeFormers], 6.77),
        (&[P::GFPGAN], 9.21),
        (&[P::NMKD_Siax], 9.28),
        (&[P::RealESRGAN_x2plus], 10.59),
        (&[P::RealESRGAN_x4plus], 10.28),
        (&[P::RealESRGAN_x4plus_anime_6B], 8.85),
        (&[P::StripBackground], 8.82),
        (&[P::GFPGAN, P::RealESRGAN_x4plus], 11.85),
    ];
    check(anchors.map(|(steps, price)| {
        (
            ImageJob {
                post_processing: steps.to_vec(),
                ..ImageJob::default()
            },
            price,
        )
    }));
}

#[test]
fn control_types() {
    let steered = |kind| ImageJob {
        steps: 20,
        source: Some(SourceImage::default()),
        control: Some(Control::new(kind)),
        ..ImageJob::default()
    };
    let measured = [
        (ControlType::Canny, 12.91),
        (ControlType::Depth, 13.58),
        (ControlType::Fakescribbles, 11.72),
        (ControlType::Hed, 14.48),
        (ControlType::Hough, 8.65),
        (ControlType::Normal, 15.49),
        (ControlType::Openpose, 12.65),
        (ControlType::Scribble, 3.79),
        (ControlType::Seg, 8.51),
    ];
    let canny = steered(ControlType::Canny);
    let gentle = ImageJob {
        denoising_strength: Some(0.4),
        ..canny.clone()
    };
    let estimated = canny.without_source();
    check(
        measured
            .map(|(kind, price)| (steered(kind), price))
            .into_iter()
            .chain([(gentle, 13.87), (estimated, 12.59)]),
    );
}

#[test]
fn source_images() {
    let drawn = |processing, mask| ImageJob {
        source: Some(SourceImage { processing, mask }),
        ..ImageJob::default()
    };
    check([
        (drawn(SourceProcessing::Img2img, false), 7.90),
        (drawn(SourceProcessing::Img2img, true), 8.10),
        (drawn(SourceProcessing::Inpainting, false), 9.94),
        (drawn(SourceProcessing::Inpainting, true), 9.47),
        (drawn(SourceProcessing::Outpainting, false), 10.39),
        (drawn(SourceProcessing::Outpainting, true), 10.64),
    ]);
    check(
        [(0.01, 5.88), (0.25, 6.21), (0.5, 6.60), (0.75, 7.25), (1.0, 7.90)].map(|(strength, price)| {
            let job = drawn(SourceProcessing::Img2img, false);
            (
                ImageJob {
                    denoising_strength: Some(strength),
                    ..job
                },
                price,
            )
        }),
    );
}

#[test]
fn the_reference_job_and_its_variations() {
    let reference = ImageJob {
        steps: 50,
        cfg_scale: 7.5,
        sampler: Sampler::KEuler,
        ..ImageJob::default()
    };
    let steered = ImageJob {
        width: 768,
        steps: 30,
        cfg_scale: 8.5,
        sampler: Sampler::KDpmpp2m,
        source: Some(SourceImage::default()),
        denoising_strength: Some(0.42),
        control: Some(Control {
            strength: Some(0.72),
            ..Control::new(ControlType::Canny)
        }),
        ..reference.clone()
    };
    check([
        (
            ImageJob {
                width: 1024,
                height: 1024,
                ..reference.clone()
            },
            29.03,
        ),
        (reference, 11.0),
        (steered, 15.13),
    ]);
}
