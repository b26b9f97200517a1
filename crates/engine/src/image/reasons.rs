//! What workers refuse image requests for, in words for people.

use muster_dispatch::image::{Demand, SkipReason};

/// What a worker refuses a request for; `None` if it serves none of its models.
pub(super) fn words(reason: SkipReason, demand: &Demand) -> Option<String> {
    let words = match reason {
        SkipReason::Models => return None,
        SkipReason::WorkerId => "its list of workers",
        SkipReason::MaxPixels => {
            return Some(format!("its size of {}x{} pixels", demand.width, demand.height));
        }
        SkipReason::StepCount => return Some(format!("its {} steps", demand.steps)),
        SkipReason::Img2img => "its source image",
        SkipReason::Painting => "being an in- or outpainting",
        SkipReason::Nsfw => "being unsafe for work",
        SkipReason::Lora => "its LoRAs",
        SkipReason::PostProcessing => "its post-processing",
        SkipReason::Controlnet => "its control type",
        SkipReason::Performance => "wanting faster workers",
        SkipReason::Untrusted => "wanting workers of trusted owners",
        SkipReason::BridgeVersion => "what their software cannot do",
        SkipReason::UnsafeIp => "the address that it came from",
        SkipReason::Kudos => "kudos that its requester does not have",
        SkipReason::Blacklist => "a word of its prompt",
        // That a worker is paused is nobody's business.
        SkipReason::Maintenance | SkipReason::Secret => "not being their owner's",
    };
    Some(words.to_owned())
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn every_reason_but_models_has_words() {
        for reason in SkipReason::iter() {
            assert_eq!(
                words(reason, &Demand::default()).is_none(),
                reason == SkipReason::Models,
                "{reason}"
            );
        }
        let large = Demand {
            width: 1024,
            height: 768,
            ..Demand::default()
        };
        assert_eq!(
            words(SkipReason::MaxPixels, &large).unwrap(),
            "its size of 1024x768 pixels"
        );
    }
}
