//! The 47 numbers that the pricing network sees of a job (section 2.3).
//!
//! Groups of yes/no inputs are in byte order of the names they stand for. The order is that of the
//! network's weights: changing it means fitting anew.

use muster_protocol::image::{ControlType, PostProcessor, Sampler, SourceProcessing};

use super::job::{Control, ImageJob};

/// Number of inputs of a pricing network.
pub const FEATURES: usize = 47;

const SAMPLERS: usize = 10;
const CONTROL_TYPES: usize = 25;
const SOURCE_PROCESSING: usize = 35;
const POST_PROCESSORS: usize = 39;

/// Encodes a job. Post-processors that the network does not know count as their nearest relative.
pub fn encode(job: &ImageJob) -> [f32; FEATURES] {
    let mut inputs = [0.0; FEATURES];
    inputs[0] = (f64::from(job.height) / 1024.0) as f32;
    inputs[1] = (f64::from(job.width) / 1024.0) as f32;
    inputs[2] = (f64::from(job.steps) / 100.0) as f32;
    inputs[3] = (job.cfg_scale / 30.0) as f32;
    let (denoising, control_strength) = strengths(job);
    inputs[4] = denoising as f32;
    inputs[5] = control_strength as f32;
    inputs[6] = flag(job.karras);
    inputs[7] = flag(job.hires_fix);
    inputs[8] = flag(job.source.is_some());
    inputs[9] = flag(job.source.is_some_and(|source| source.mask));
    inputs[SAMPLERS + sampler_index(job.sampler)] = 1.0;
    inputs[CONTROL_TYPES + control_index(job.control)] = 1.0;
    inputs[SOURCE_PROCESSING + source_index(job)] = 1.0;
    for &step in &job.post_processing {
        inputs[POST_PROCESSORS + post_processor_index(nearest_relative(step))] += 1.0;
    }
    inputs
}

/// How strongly the source image is redrawn and how strongly the control map steers.
///
/// Only one of the two is ever told: with both a source image and a control type, the denoising
/// strength stands in for a missing control strength and itself counts as 1. A control type alone
/// leaves both at 1.
fn strengths(job: &ImageJob) -> (f64, f64) {
    match (job.source, job.control) {
        (None, _) => (1.0, 1.0),
        (Some(_), None) => (job.denoising_strength.unwrap_or(1.0), 1.0),
        (Some(_), Some(control)) => (1.0, control.strength.or(job.denoising_strength).unwrap_or(1.0)),
    }
}

fn flag(set: bool) -> f32 {
    f32::from(u8::from(set))
}

/// Places 0, 12, 13 and 14 belong to samplers that no request can name. Samplers without a place
/// of their own count as `k_euler`; the upper-case `DDIM` of the API is one of them.
fn sampler_index(sampler: Sampler) -> usize {
    match sampler {
        Sampler::KDpm2 => 1,
        Sampler::KDpm2A => 2,
        Sampler::KDpmAdaptive => 3,
        Sampler::KDpmFast => 4,
        Sampler::KDpmpp2m => 5,
        Sampler::KDpmpp2sA => 6,
        Sampler::KDpmppSde => 7,
        Sampler::KEuler | Sampler::Dpmsolver | Sampler::Ddim | Sampler::Lcm => 8,
        Sampler::KEulerA => 9,
        Sampler::KHeun => 10,
        Sampler::KLms => 11,
    }
}

fn control_index(control: Option<Control>) -> usize {
    match control.map(|control| control.kind) {
        None => 0,
        Some(ControlType::Canny) => 1,
        Some(ControlType::Depth) => 2,
        Some(ControlType::Fakescribbles) => 3,
        Some(ControlType::Hed) => 4,
        Some(ControlType::Hough) => 5,
        Some(ControlType::Normal) => 6,
        Some(ControlType::Openpose) => 7,
        Some(ControlType::Scribble) => 8,
        Some(ControlType::Seg) => 9,
    }
}

fn source_index(job: &ImageJob) -> usize {
    match job.source.map(|source| source.processing) {
        Some(SourceProcessing::Img2img | SourceProcessing::Remix) => 0,
        Some(SourceProcessing::Inpainting) => 1,
        Some(SourceProcessing::Outpainting) => 2,
        None => 3,
    }
}

/// The post-processor among the eight known to the network that does most nearly the same work.
pub fn nearest_relative(step: PostProcessor) -> PostProcessor {
    match step {
        PostProcessor::GFPGANv1_3 => PostProcessor::GFPGAN,
        PostProcessor::RestoreFormer => PostProcessor::CodeFormers,
        PostProcessor::ModernSpanimation2x => PostProcessor::RealESRGAN_x2plus,
        PostProcessor::Nomos8kSc4x
        | PostProcessor::LsdirPlus4x
        | PostProcessor::NomosWebPhoto4x
        | PostProcessor::Nomos2Realplksr4x
        | PostProcessor::Nomos2HqDat2_4x => PostProcessor::RealESRGAN_x4plus,
        known => known,
    }
}

/// Whether the network was fitted to jobs with this post-processor.
pub fn is_known(step: PostProcessor) -> bool {
    nearest_relative(step) == step
}

fn post_processor_index(step: PostProcessor) -> usize {
    match step {
        PostProcessor::AnimeSharp4x => 0,
        PostProcessor::CodeFormers | PostProcessor::RestoreFormer => 1,
        PostProcessor::GFPGAN | PostProcessor::GFPGANv1_3 => 2,
        PostProcessor::NMKD_Siax => 3,
        PostProcessor::RealESRGAN_x2plus | PostProcessor::ModernSpanimation2x => 4,
        PostProcessor::RealESRGAN_x4plus
        | PostProcessor::Nomos8kSc4x
        | PostProcessor::LsdirPlus4x
        | PostProcessor::NomosWebPhoto4x
        | PostProcessor::Nomos2Realplksr4x
        | PostProcessor::Nomos2HqDat2_4x => 5,
        PostProcessor::RealESRGAN_x4plus_anime_6B => 6,
        PostProcessor::StripBackground => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::job::SourceImage;

    fn ones(job: &ImageJob) -> Vec<usize> {
        let inputs = encode(job);
        (6..FEATURES).filter(|&index| inputs[index] == 1.0).collect()
    }

    #[test]
    fn the_default_job() {
        let inputs = encode(&ImageJob::default());
        assert_eq!(inputs[..6], [0.5, 0.5, 0.3, 5.0 / 30.0, 1.0, 1.0]);
        assert_eq!(ones(&ImageJob::default()), [6, 19, 25, 38]);
    }

    #[test]
    fn height_comes_before_width() {
        let wide = ImageJob {
            width: 1536,
            height: 256,
            ..ImageJob::default()
        };
        assert_eq!(encode(&wide)[..2], [0.25, 1.5]);
    }

    #[test]
    fn samplers_outside_the_list_count_as_euler() {
        for sampler in [Sampler::KEuler, Sampler::Ddim, Sampler::Lcm, Sampler::Dpmsolver] {
            let job = ImageJob {
                sampler,
                ..ImageJob::default()
            };
            assert_eq!(ones(&job), [6, 18, 25, 38], "{sampler}");
        }
    }

    #[test]
    fn remix_counts_as_img2img() {
        let remix = SourceImage {
            processing: SourceProcessing::Remix,
            mask: true,
        };
        let job = ImageJob {
            source: Some(remix),
            ..ImageJob::default()
        };
        assert_eq!(ones(&job), [6, 8, 9, 19, 25, 35]);
    }

    #[test]
    fn strengths_need_a_source_image() {
        let plain = ImageJob {
            denoising_strength: Some(0.4),
            ..ImageJob::default()
        };
        assert_eq!(strengths(&plain), (1.0, 1.0));

        let img2img = ImageJob {
            source: Some(SourceImage::default()),
            ..plain.clone()
        };
        assert_eq!(strengths(&img2img), (0.4, 1.0));
        assert_eq!(
            strengths(&ImageJob {
                denoising_strength: None,
                ..img2img.clone()
            }),
            (1.0, 1.0)
        );

        let canny = Control::new(ControlType::Canny);
        let steered = ImageJob {
            control: Some(canny),
            ..img2img
        };
        assert_eq!(strengths(&steered), (1.0, 0.4));
        let strong = Control {
            strength: Some(0.7),
            ..canny
        };
        assert_eq!(
            strengths(&ImageJob {
                control: Some(strong),
                ..steered
            }),
            (1.0, 0.7)
        );
        assert_eq!(
            strengths(&ImageJob {
                control: Some(strong),
                ..plain
            }),
            (1.0, 1.0)
        );
    }

    #[test]
    fn post_processors_add_up() {
        use PostProcessor::{GFPGAN, GFPGANv1_3, RealESRGAN_x4plus, StripBackground};
        let job = ImageJob {
            post_processing: vec![GFPGAN, RealESRGAN_x4plus, StripBackground, GFPGANv1_3],
            ..ImageJob::default()
        };
        assert_eq!(encode(&job)[39..], [0.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn eight_post_processors_are_known() {
        use strum::IntoEnumIterator;
        assert_eq!(PostProcessor::iter().filter(|&step| is_known(step)).count(), 8);
        for step in PostProcessor::iter() {
            assert!(is_known(nearest_relative(step)));
            assert_eq!(step.is_upscaler(), nearest_relative(step).is_upscaler(), "{step}");
        }
    }
}
