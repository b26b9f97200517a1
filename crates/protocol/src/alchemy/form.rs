//! [`Form`]: what can be done with a picture.

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

use crate::image::PostProcessor;

/// What can be done with a picture. The list is closed: workers read it from the API description to find
/// out what they may offer.
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
#[schema(as = InterrogationForm)]
#[allow(missing_docs, non_camel_case_types)]
pub enum Form {
    /// A sentence that describes the picture.
    #[serde(rename = "caption")]
    #[strum(serialize = "caption")]
    Caption,
    /// What the picture resembles: tags, sites, artists, flavours, mediums, movements, techniques.
    #[serde(rename = "interrogation")]
    #[strum(serialize = "interrogation")]
    Interrogation,
    /// Whether it is unsafe for work.
    #[serde(rename = "nsfw")]
    #[strum(serialize = "nsfw")]
    Nsfw,
    /// The picture as SVG.
    #[serde(rename = "vectorize")]
    #[strum(serialize = "vectorize")]
    Vectorize,
    /// Its colours.
    #[serde(rename = "palette")]
    #[strum(serialize = "palette")]
    Palette,
    /// A longer description.
    #[serde(rename = "describe")]
    #[strum(serialize = "describe")]
    Describe,
    /// How pleasing it is, from 0 to 10.
    #[serde(rename = "aesthetic")]
    #[strum(serialize = "aesthetic")]
    Aesthetic,
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

impl Form {
    /// The step of picture generation that the form is, if it makes another picture. Such forms are
    /// uploaded; all others answer in words.
    ///
    /// ```
    /// # use muster_protocol::{alchemy::Form, image::PostProcessor};
    /// assert_eq!(Form::GFPGAN.post_processor(), Some(PostProcessor::GFPGAN));
    /// assert_eq!(Form::Caption.post_processor(), None);
    /// ```
    pub fn post_processor(self) -> Option<PostProcessor> {
        self.as_ref().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn names_are_the_same_on_the_wire_and_in_text() {
        for form in Form::iter() {
            assert_eq!(serde_json::to_value(form).unwrap(), form.as_ref());
            assert_eq!(form.as_ref().parse(), Ok(form));
        }
        assert_eq!(Form::iter().count(), 23);
    }

    #[test]
    fn every_post_processor_is_a_form() {
        let steps: Vec<PostProcessor> = Form::iter().filter_map(Form::post_processor).collect();
        assert_eq!(steps, PostProcessor::iter().collect::<Vec<_>>());
    }
}
