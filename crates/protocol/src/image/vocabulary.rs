//! The closed lists of the image API: samplers, control types, post-processors and the like.
//!
//! Each enumeration's order and spelling is that of the public API. `strum` gives the name of a
//! value (`as_ref`), its parser and an iterator over all of them.

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

/// What occurs in the names of models that belong to one account.
pub const SPECIAL_MODEL: &str = "horde_special";
/// The model whose pictures are compared in pairs and shared.
pub const COMPARED_MODEL: &str = "SDXL_beta::stability.ai#6901";

/// How the diffusion steps are taken.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    AsRefStr,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Sampler {
    #[allow(missing_docs)]
    KLms,
    #[allow(missing_docs)]
    KHeun,
    #[allow(missing_docs)]
    KEuler,
    /// What the API uses when a request names none.
    #[default]
    KEulerA,
    #[serde(rename = "k_dpm_2")]
    #[strum(serialize = "k_dpm_2")]
    #[allow(missing_docs)]
    KDpm2,
    #[serde(rename = "k_dpm_2_a")]
    #[strum(serialize = "k_dpm_2_a")]
    #[allow(missing_docs)]
    KDpm2A,
    #[allow(missing_docs)]
    KDpmFast,
    /// Chooses its own number of steps; always counted as 40.
    KDpmAdaptive,
    #[serde(rename = "k_dpmpp_2s_a")]
    #[strum(serialize = "k_dpmpp_2s_a")]
    #[allow(missing_docs)]
    KDpmpp2sA,
    #[serde(rename = "k_dpmpp_2m")]
    #[strum(serialize = "k_dpmpp_2m")]
    #[allow(missing_docs)]
    KDpmpp2m,
    #[serde(rename = "dpmsolver")]
    #[strum(serialize = "dpmsolver")]
    #[allow(missing_docs)]
    Dpmsolver,
    #[allow(missing_docs)]
    KDpmppSde,
    #[serde(rename = "DDIM")]
    #[strum(serialize = "DDIM")]
    #[allow(missing_docs)]
    Ddim,
    #[allow(missing_docs)]
    Lcm,
}

impl Sampler {
    /// Whether a step costs two model evaluations (spec: image, section 1, "accurate steps").
    pub fn is_second_order(self) -> bool {
        matches!(
            self,
            Self::KHeun | Self::KDpm2 | Self::KDpm2A | Self::KDpmpp2sA | Self::KDpmppSde
        )
    }

    /// The number of model evaluations that `steps` requested steps amount to: 40 for the adaptive
    /// sampler, twice the steps for second-order samplers, else the steps themselves.
    pub fn accurate_steps(self, steps: u32) -> u32 {
        match self {
            Self::KDpmAdaptive => 40,
            _ if self.is_second_order() => steps * 2,
            _ => steps,
        }
    }
}

/// The kind of control map a request is steered by.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    AsRefStr,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[allow(missing_docs)]
pub enum ControlType {
    Canny,
    Hed,
    Depth,
    Normal,
    Openpose,
    Seg,
    Scribble,
    Fakescribbles,
    Hough,
}

/// What is done with a source image.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    AsRefStr,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum SourceProcessing {
    /// The image is redrawn as a whole.
    #[default]
    Img2img,
    /// The masked part is redrawn.
    Inpainting,
    /// The image is continued beyond its border.
    Outpainting,
    /// Several images are mixed (Stable Cascade only).
    Remix,
}

impl SourceProcessing {
    /// Whether part of the image is painted over, which needs an inpainting model.
    pub fn is_painting(self) -> bool {
        matches!(self, Self::Inpainting | Self::Outpainting)
    }
}

/// A step that runs over the finished image. The same names are alchemy forms.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    AsRefStr,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[allow(missing_docs, non_camel_case_types)]
pub enum PostProcessor {
    GFPGAN,
    RealESRGAN_x4plus,
    RealESRGAN_x2plus,
    RealESRGAN_x4plus_anime_6B,
    NMKD_Siax,
    #[serde(rename = "4x_AnimeSharp")]
    #[strum(serialize = "4x_AnimeSharp")]
    AnimeSharp4x,
    CodeFormers,
    #[serde(rename = "strip_background")]
    #[strum(serialize = "strip_background")]
    StripBackground,
    #[serde(rename = "4xNomos8kSC")]
    #[strum(serialize = "4xNomos8kSC")]
    Nomos8kSc4x,
    #[serde(rename = "4xLSDIRplus")]
    #[strum(serialize = "4xLSDIRplus")]
    LsdirPlus4x,
    #[serde(rename = "4xNomosWebPhoto_RealPLKSR")]
    #[strum(serialize = "4xNomosWebPhoto_RealPLKSR")]
    NomosWebPhoto4x,
    #[serde(rename = "4xNomos2_realplksr_dysample")]
    #[strum(serialize = "4xNomos2_realplksr_dysample")]
    Nomos2Realplksr4x,
    #[serde(rename = "4xNomos2_hq_dat2")]
    #[strum(serialize = "4xNomos2_hq_dat2")]
    Nomos2HqDat2_4x,
    #[serde(rename = "2xModernSpanimationV1")]
    #[strum(serialize = "2xModernSpanimationV1")]
    ModernSpanimation2x,
    #[serde(rename = "GFPGANv1.3")]
    #[strum(serialize = "GFPGANv1.3")]
    GFPGANv1_3,
    RestoreFormer,
}

impl PostProcessor {
    /// Whether the step enlarges the image. A request may name one upscaler at most.
    pub fn is_upscaler(self) -> bool {
        !matches!(
            self,
            Self::GFPGAN | Self::CodeFormers | Self::StripBackground | Self::GFPGANv1_3 | Self::RestoreFormer
        )
    }

    /// Whether the step needs much memory, which halves what a worker may batch
    /// (spec: image, section 7.7).
    pub fn is_heavy(self) -> bool {
        matches!(
            self,
            Self::RealESRGAN_x4plus
                | Self::RealESRGAN_x4plus_anime_6B
                | Self::NMKD_Siax
                | Self::AnimeSharp4x
                | Self::CodeFormers
                | Self::Nomos8kSc4x
                | Self::LsdirPlus4x
                | Self::Nomos2HqDat2_4x
                | Self::RestoreFormer
        )
    }
}

/// A preset pipeline.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    AsRefStr,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Workflow {
    /// A picture that is also a scannable code; needs an extra text with reference `qr_code`.
    QrCode,
}

/// The family of an image model, which decides price multipliers, batch sizes and time limits.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    AsRefStr,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
pub enum Baseline {
    /// What an unknown model counts as.
    #[default]
    #[serde(rename = "stable diffusion 1")]
    #[strum(serialize = "stable diffusion 1")]
    StableDiffusion1,
    #[serde(rename = "stable diffusion 2")]
    #[strum(serialize = "stable diffusion 2")]
    #[allow(missing_docs)]
    StableDiffusion2,
    #[serde(rename = "stable diffusion 2 512")]
    #[strum(serialize = "stable diffusion 2 512")]
    #[allow(missing_docs)]
    StableDiffusion2_512,
    #[serde(rename = "stable_diffusion_xl")]
    #[strum(serialize = "stable_diffusion_xl")]
    #[allow(missing_docs)]
    StableDiffusionXl,
    #[serde(rename = "stable_cascade")]
    #[strum(serialize = "stable_cascade")]
    #[allow(missing_docs)]
    StableCascade,
    #[serde(rename = "flux_1")]
    #[strum(serialize = "flux_1")]
    #[allow(missing_docs)]
    Flux1,
    #[serde(rename = "qwen_image")]
    #[strum(serialize = "qwen_image")]
    #[allow(missing_docs)]
    QwenImage,
    #[serde(rename = "z_image_turbo")]
    #[strum(serialize = "z_image_turbo")]
    #[allow(missing_docs)]
    ZImageTurbo,
}

impl Baseline {
    /// The family that a model outside the model reference is taken for, by the tag in its name.
    pub fn guess(model: &str) -> Self {
        const TAGS: [(&str, Baseline); 5] = [
            ("[SDXL]", Baseline::StableDiffusionXl),
            ("[Flux]", Baseline::Flux1),
            ("[Qwen]", Baseline::QwenImage),
            ("[ZModel]", Baseline::ZImageTurbo),
            ("[ZImage]", Baseline::ZImageTurbo),
        ];
        TAGS.iter()
            .find(|(tag, _)| model.contains(tag))
            .map_or(Self::default(), |&(_, family)| family)
    }
}

/// What a worker says became of a job.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    AsRefStr,
    Display,
    EnumString,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum GenerationState {
    /// Delivered.
    #[default]
    Ok,
    /// Delivered, replaced by a placeholder.
    Censored,
    /// Could not be generated.
    Faulted,
    /// Delivered as a placeholder; the content was illegal.
    Csam,
}

/// What a metadata entry of a generation is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, AsRefStr, Display, EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[allow(missing_docs)]
pub enum MetadataType {
    Lora,
    Ti,
    Censorship,
    SourceImage,
    SourceMask,
    ExtraSourceImages,
    BatchIndex,
    Information,
    AestheticScore,
}

/// The value of a metadata entry.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, AsRefStr, Display, EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[allow(missing_docs)]
pub enum MetadataValue {
    DownloadFailed,
    ParseFailed,
    BaselineMismatch,
    Csam,
    Nsfw,
    SeeRef,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strum::IntoEnumIterator;

    use super::*;

    fn wire_names<T: Serialize>(values: impl Iterator<Item = T>) -> BTreeSet<String> {
        values
            .map(|value| serde_json::to_value(value).unwrap().as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn wire_names_and_rust_names_agree() {
        assert_eq!(
            wire_names(Sampler::iter()),
            Sampler::iter().map(|s| s.to_string()).collect()
        );
        assert_eq!(
            wire_names(PostProcessor::iter()),
            PostProcessor::iter().map(|s| s.to_string()).collect()
        );
        assert_eq!(
            wire_names(ControlType::iter()),
            ControlType::iter().map(|s| s.to_string()).collect()
        );
        assert_eq!(
            wire_names(Baseline::iter()),
            Baseline::iter().map(|s| s.to_string()).collect()
        );
    }

    #[test]
    fn samplers_are_those_of_the_api() {
        let published = [
            "DDIM",
            "dpmsolver",
            "k_dpm_2",
            "k_dpm_2_a",
            "k_dpm_adaptive",
            "k_dpm_fast",
            "k_dpmpp_2m",
            "k_dpmpp_2s_a",
            "k_dpmpp_sde",
            "k_euler",
            "k_euler_a",
            "k_heun",
            "k_lms",
            "lcm",
        ];
        assert_eq!(wire_names(Sampler::iter()), published.map(str::to_owned).into());
    }

    #[test]
    fn eleven_post_processors_are_upscalers() {
        assert_eq!(PostProcessor::iter().filter(|p| p.is_upscaler()).count(), 11);
    }

    #[test]
    fn adaptive_and_second_order_samplers_count_differently() {
        assert_eq!(Sampler::KDpmAdaptive.accurate_steps(7), 40);
        assert_eq!(Sampler::KHeun.accurate_steps(20), 40);
        assert_eq!(Sampler::KEulerA.accurate_steps(20), 20);
    }
}
