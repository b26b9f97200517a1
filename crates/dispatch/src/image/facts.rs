//! What is known about models: facts go in from the model reference, and the summaries that matching
//! works with come out.

use std::{collections::HashMap, hash::BuildHasher, sync::Arc};

use muster_protocol::image::Baseline;

/// What the model reference says about one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Its family.
    pub baseline: Baseline,
    /// Whether it is made for painting over parts of a picture.
    pub inpainting: bool,
    /// The fewest steps that make sense with it.
    pub min_steps: Option<u32>,
    /// The most steps that make sense with it.
    pub max_steps: Option<u32>,
}

impl ModelFacts {
    /// A model of which only the family is known.
    pub fn of(baseline: Baseline) -> Self {
        Self {
            baseline,
            inpainting: false,
            min_steps: None,
            max_steps: None,
        }
    }

    /// The most steps that a worker with limited steps takes for this model: the mean of the fewest
    /// and the most, which are 20 and 40 if the reference doesn't say.
    fn step_limit(self) -> u32 {
        self.min_steps
            .unwrap_or(20)
            .saturating_add(self.max_steps.unwrap_or(40))
            / 2
    }
}

/// Where facts about models come from.
pub trait ModelReference {
    /// What is known about a model, `None` if it isn't in the reference.
    fn facts(&self, model: &str) -> Option<ModelFacts>;
}

impl<S: BuildHasher> ModelReference for HashMap<String, ModelFacts, S> {
    fn facts(&self, model: &str) -> Option<ModelFacts> {
        self.get(model).copied()
    }
}

impl<S: BuildHasher> ModelReference for HashMap<Arc<str>, ModelFacts, S> {
    fn facts(&self, model: &str) -> Option<ModelFacts> {
        self.get(model).copied()
    }
}

/// What matters about the models that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedModels {
    /// The lowest step limit among them; `None` if the request names no model.
    pub step_limit: Option<u32>,
    /// Whether one of them is of a family that works much longer on a step.
    pub slow_family: bool,
    /// How much more memory a picture takes than usual, at worst.
    pub batch_weight: u32,
}

impl Default for NamedModels {
    fn default() -> Self {
        Self {
            step_limit: None,
            slow_family: false,
            batch_weight: 1,
        }
    }
}

impl NamedModels {
    /// Sums up the models of a request. Models outside the reference are judged by the tag in their
    /// name.
    pub fn of<M: AsRef<str>>(models: &[M], reference: &impl ModelReference) -> Self {
        let mut sum = Self::default();
        for model in models {
            let facts = reference
                .facts(model.as_ref())
                .unwrap_or_else(|| ModelFacts::of(Baseline::guess(model.as_ref())));
            let limit = facts.step_limit();
            sum.step_limit = Some(sum.step_limit.map_or(limit, |other| other.min(limit)));
            let (slow, weight) = match facts.baseline {
                Baseline::Flux1 => (true, 5),
                Baseline::QwenImage => (true, 10),
                Baseline::ZImageTurbo => (true, 8),
                _ => (false, 1),
            };
            sum.slow_family |= slow;
            sum.batch_weight = sum.batch_weight.max(weight);
        }
        sum
    }
}

/// What matters about the models that a worker hosts (those it registered, whichever it offers in a
/// particular pop).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct HostedModels {
    /// One of them is an inpainting model.
    pub inpainting: bool,
    /// There is at least one, and all are inpainting models.
    pub only_inpainting: bool,
    /// One of them is a Stable Diffusion XL model.
    pub sdxl: bool,
    /// One of them is a Stable Cascade model.
    pub cascade: bool,
    /// One of them is a Flux model.
    pub flux: bool,
    /// The lowest step limit among them; `None` without models.
    pub step_limit: Option<u32>,
}

impl HostedModels {
    /// Sums up the models of a worker. Unlike for requests, a tag in the name says nothing here.
    pub fn of<M: AsRef<str>>(models: &[M], reference: &impl ModelReference) -> Self {
        let mut sum = Self {
            only_inpainting: !models.is_empty(),
            ..Self::default()
        };
        for model in models {
            let facts = reference
                .facts(model.as_ref())
                .unwrap_or_else(|| ModelFacts::of(Baseline::default()));
            sum.inpainting |= facts.inpainting;
            sum.only_inpainting &= facts.inpainting;
            sum.sdxl |= facts.baseline == Baseline::StableDiffusionXl;
            sum.cascade |= facts.baseline == Baseline::StableCascade;
            sum.flux |= facts.baseline == Baseline::Flux1;
            let limit = facts.step_limit();
            sum.step_limit = Some(sum.step_limit.map_or(limit, |other| other.min(limit)));
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> HashMap<String, ModelFacts> {
        let steps = |min_steps, max_steps| ModelFacts {
            min_steps,
            max_steps,
            ..ModelFacts::of(Baseline::default())
        };
        HashMap::from([
            ("few".into(), steps(Some(1), Some(8))),
            ("many".into(), steps(Some(50), None)),
            ("flux".into(), ModelFacts::of(Baseline::Flux1)),
            (
                "paint".into(),
                ModelFacts {
                    inpainting: true,
                    ..ModelFacts::of(Baseline::StableDiffusionXl)
                },
            ),
        ])
    }

    #[test]
    fn a_request_is_limited_by_its_strictest_model() {
        let named = NamedModels::of(&["many", "few", "nobody knows it"], &reference());
        assert_eq!(
            named,
            NamedModels {
                step_limit: Some(4),
                slow_family: false,
                batch_weight: 1
            }
        );
        assert_eq!(NamedModels::of::<&str>(&[], &reference()), NamedModels::default());
    }

    #[test]
    fn tags_in_unknown_names_count_for_requests_only() {
        assert!(NamedModels::of(&["mine [Flux]"], &reference()).slow_family);
        assert!(!HostedModels::of(&["mine [Flux]"], &reference()).flux);
        assert!(HostedModels::of(&["flux"], &reference()).flux);
        assert_eq!(
            NamedModels::of(&["flux", "x [Qwen]", "y [ZImage]"], &reference()).batch_weight,
            10
        );
    }

    #[test]
    fn a_worker_without_models_is_no_inpainting_worker() {
        assert!(!HostedModels::of::<&str>(&[], &reference()).only_inpainting);
        assert!(HostedModels::of(&["paint"], &reference()).only_inpainting);
        let both = HostedModels::of(&["paint", "few"], &reference());
        assert!(both.inpainting && !both.only_inpainting && both.sdxl);
    }
}
