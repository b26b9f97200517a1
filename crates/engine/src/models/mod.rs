//! [`ModelReference`]: what is known about image models, and where that comes from.

mod refresh;
mod source;
mod text;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use muster_dispatch::image::ModelFacts;
use muster_protocol::image::Baseline;
use serde::Deserialize;

pub use source::{ModelSource, ModelSourceError};
pub use text::{TextModel, TextModels};

/// All that is known about models.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// About image models.
    pub(crate) image: Arc<ModelReference>,
    /// About text models.
    pub(crate) text: Arc<TextModels>,
}

/// What is said about models of one kind: a JSON object from their names to their properties.
pub trait Reference: Default + PartialEq + Send + Sync + Sized + 'static {
    /// What people call these models; also the beginning of the names of the copies that are kept.
    const CALLED: &'static str;

    /// Reads a reference.
    ///
    /// # Errors
    /// The text is not such an object.
    fn read(text: &str) -> serde_json::Result<Self>;

    /// Takes over the entries of another reference, in place of those with the same names.
    #[must_use]
    fn overlaid_with(self, other: Self) -> Self;

    /// How many models it describes.
    fn len(&self) -> usize;

    /// Whether it describes none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts it in the place of what is known. Answers whether anything has changed.
    #[doc(hidden)]
    fn replace(self, facts: &mut Facts) -> bool;
}

/// Replaces something that many share; whether it has changed.
fn replace<R: PartialEq>(known: &mut Arc<R>, now: R) -> bool {
    let changed = **known != now;
    if changed {
        *known = Arc::new(now);
    }
    changed
}

/// The reference that is built in, so that a new server knows the usual models.
const BUNDLED: &str = include_str!("../../data/models.json");

/// What is known about image models, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelReference {
    models: HashMap<Arc<str>, ImageModel>,
}

/// What is known about one image model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct ImageModel {
    /// The family. `None` if the reference names one that the horde does not serve.
    #[serde(default, deserialize_with = "known_baseline")]
    pub baseline: Option<Baseline>,
    /// Made for pictures that are unsafe for work.
    #[serde(default)]
    pub nsfw: bool,
    /// Paints over parts of pictures, and only that.
    #[serde(default)]
    pub inpainting: bool,
    /// What it is, if it is no model of its own: `controlnet`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// What the model needs to work well.
    #[serde(default)]
    pub requirements: Requirements,
}

/// What a model needs to work well; absent members are open.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Requirements {
    pub min_steps: Option<u32>,
    pub max_steps: Option<u32>,
    pub cfg_scale: Option<f64>,
    pub min_cfg_scale: Option<f64>,
    pub max_cfg_scale: Option<f64>,
    pub clip_skip: Option<u32>,
    #[serde(default)]
    pub samplers: Vec<String>,
    #[serde(default)]
    pub schedulers: Vec<String>,
}

/// Reads a baseline and lets an unknown one pass as `None`.
fn known_baseline<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<Baseline>, D::Error> {
    Ok(Option::<String>::deserialize(source)?.and_then(|name| name.parse().ok()))
}

impl ModelReference {
    /// The reference that is built in.
    pub fn bundled() -> &'static Self {
        static REFERENCE: LazyLock<ModelReference> =
            LazyLock::new(|| ModelReference::from_json(BUNDLED).expect("the bundled reference is valid"));
        &REFERENCE
    }

    /// Reads a reference: a JSON object from model names to their properties.
    ///
    /// # Errors
    /// The text is not such an object.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        Ok(Self {
            models: serde_json::from_str(text)?,
        })
    }

    /// The entry of a model.
    pub fn get(&self, model: &str) -> Option<&ImageModel> {
        self.models.get(model)
    }

    /// Whether workers may serve the model without the customizer role.
    pub fn is_known(&self, model: &str) -> bool {
        self.get(model).is_some_and(|entry| entry.baseline.is_some())
    }

    /// Whether the name is that of a control net.
    pub fn is_control_net(&self, model: &str) -> bool {
        self.get(model)
            .is_some_and(|entry| entry.kind.as_deref() == Some("controlnet"))
    }

    /// The family of a model; an unknown model's name is searched for a tag such as `[SDXL]`.
    pub fn baseline(&self, model: &str) -> Baseline {
        match self.get(model) {
            Some(entry) => entry.baseline.unwrap_or_default(),
            None => Baseline::guess(model),
        }
    }

    /// The name itself, shared by all who hold it if the model is known.
    pub fn shared_name(&self, model: &str) -> Arc<str> {
        self.models
            .get_key_value(model)
            .map_or_else(|| Arc::from(model), |(name, _)| Arc::clone(name))
    }

    /// All names, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(|name| &**name)
    }
}

impl Reference for ModelReference {
    const CALLED: &'static str = "image";

    fn read(text: &str) -> serde_json::Result<Self> {
        Self::from_json(text)
    }

    fn overlaid_with(mut self, other: Self) -> Self {
        self.models.extend(other.models);
        self
    }

    fn len(&self) -> usize {
        self.models.len()
    }

    fn replace(self, facts: &mut Facts) -> bool {
        replace(&mut facts.image, self)
    }
}

impl muster_dispatch::image::ModelReference for ModelReference {
    fn facts(&self, model: &str) -> Option<ModelFacts> {
        let entry = self.get(model)?;
        Some(ModelFacts {
            baseline: entry.baseline.unwrap_or_default(),
            inpainting: entry.inpainting,
            min_steps: entry.requirements.min_steps,
            max_steps: entry.requirements.max_steps,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_reference_knows_the_usual_models() {
        let reference = ModelReference::bundled();
        assert!(reference.is_known("stable_diffusion"));
        assert!(reference.names().count() > 50);
        assert_eq!(reference.baseline("SDXL 1.0"), Baseline::StableDiffusionXl);
        assert!(reference.get("stable_diffusion_inpainting").unwrap().inpainting);
    }

    #[test]
    fn unknown_models_are_placed_by_their_tag() {
        let reference = ModelReference::bundled();
        assert_eq!(reference.baseline("Mine [Flux]"), Baseline::Flux1);
        assert_eq!(reference.baseline("Mine"), Baseline::StableDiffusion1);
        assert!(!reference.is_known("Mine"));
    }

    #[test]
    fn a_foreign_family_is_listed_but_not_served() {
        let reference = ModelReference::from_json(r#"{"X": {"baseline": "esrgan"}}"#).unwrap();
        assert!(reference.get("X").is_some() && !reference.is_known("X"));
    }
}
