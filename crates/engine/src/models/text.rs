//! [`TextModels`]: what is known about text models, and how a worker's name for one is understood (spec:
//! text, section A18).

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use muster_kudos::text::Model;
use regex::Regex;
use serde::Deserialize;

use super::{Facts, Reference};

/// The reference that is built in, so that a new server knows the usual models.
const BUNDLED: &str = include_str!("../../data/text-models.json");

/// What follows a name for a quantised model: `-GPTQ-Int4`, `.i1-Q4_K_M`. The part before the Q belongs to
/// it, whatever it is; whoever is paid for a known model depends on that.
static QUANTISATION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[.,-][A-Za-z0-9]+?-?Q(?:-[Ii]nt)?[2-9]{1,2}(?:[_.-][0-9A-Za-z]+)*")
        .expect("the pattern is valid")
});

/// What is known about text models, by name. A reference lists each model under the name that each backend
/// gives it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct TextModels {
    models: HashMap<Arc<str>, TextModel>,
}

/// What is known about one text model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct TextModel {
    /// Its number of weights.
    #[serde(default)]
    pub parameters: u64,
    /// Made for texts that are unsafe for work.
    #[serde(default)]
    pub nsfw: bool,
}

impl TextModels {
    /// The reference that is built in.
    pub fn bundled() -> &'static Self {
        static REFERENCE: LazyLock<TextModels> =
            LazyLock::new(|| TextModels::from_json(BUNDLED).expect("the bundled reference is valid"));
        &REFERENCE
    }

    /// Reads a reference: a JSON object from model names to their properties.
    ///
    /// # Errors
    /// The text is not such an object.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// What is known about a model, by whatever name a worker gives it: a brand (`name::owner#7`) and what
    /// tells of quantisation are passed over.
    pub fn get(&self, name: &str) -> Option<&TextModel> {
        let plain = match name.split_once("::") {
            Some((plain, brand)) if !brand.contains("::") => plain,
            _ => name,
        };
        self.models
            .get(plain)
            .or_else(|| match QUANTISATION.replace_all(plain, "") {
                Cow::Borrowed(_) => None,
                Cow::Owned(stripped) => self.models.get(stripped.as_str()),
            })
    }

    /// A model as prices see it.
    pub fn priced(&self, name: &str) -> Model {
        self.get(name)
            .map_or(Model::Unknown, |model| Model::of_parameters(model.parameters))
    }

    /// The name itself, shared by all who hold it if the model is known under it.
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

impl Reference for TextModels {
    const CALLED: &'static str = "text";

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
        super::replace(&mut facts.text, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> TextModels {
        TextModels::from_json(
            r#"{"acrastt/Marx-3B-V3": {"parameters": 3000000000},
                "koboldcpp/Marx-3B-V3": {"parameters": 3000000000, "nsfw": false, "tags": ["any"]},
                "aphrodite/acrastt/Marx-3B-V3": {"parameters": 3000000000},
                "elinas/chronos-70b-v2": {"parameters": 70000000000}}"#,
        )
        .unwrap()
    }

    #[test]
    fn names_are_understood_as_published() {
        let known = [
            "koboldcpp/Marx-3B-V3",
            "koboldcpp/Marx-3B-V3.i1-Q4_K_M",
            "koboldcpp/Marx-3B-V3-IQ4_XS",
            "koboldcpp/Marx-3B-V3.IQ3_XXS",
            "koboldcpp/Marx-3B-V3-GPTQ-Int4",
            "koboldcpp/Marx-3B-V3-GPTQ4.128g",
            "koboldcpp/Marx-3B-V3-imat-Q6_K",
            "koboldcpp/Marx-3B-V3-UD-Q8_K_XL",
            "koboldcpp/Marx-3B-V3.GGUF-Q5_K_S.bin",
            "aphrodite/acrastt/Marx-3B-V3-AWQ4",
        ];
        let unknown = [
            "koboldcpp/Marx-3B-V3-Q4_K_M",
            "koboldcpp/Marx-3B-V3.Q4_K_M",
            "koboldcpp/Marx-3B-V3-i1-IQ4_XS",
            "acrastt/Marx-3B-V3-AWQ",
            "koboldcpp/Marx-3B-V3_Q8_0",
            "koboldcpp/Marx-3B-V3-q4_k_m",
            "koboldcpp/Marx-3B-V3-Q1_K",
            "Marx-3B-V3",
            "tabbyAPI/acrastt/Marx-3B-V3",
            "a::b::c",
            "koboldcpp/Marx-3B-V3::a::b",
        ];
        let reference = reference();
        for name in known {
            assert_eq!(reference.priced(name), Model::Known { billions: 3.0 }, "{name}");
        }
        for name in unknown {
            assert_eq!(reference.priced(name), Model::Unknown, "{name}");
        }
        let branded = reference.priced("elinas/chronos-70b-v2::someone#7");
        assert_eq!(branded, Model::Known { billions: 70.0 });
    }

    #[test]
    fn the_bundled_reference_knows_each_model_by_its_three_names() {
        let reference = TextModels::bundled();
        assert!(reference.names().count() > 60);
        for name in [
            "mistralai/Mistral-7B-Instruct-v0.3",
            "aphrodite/mistralai/Mistral-7B-Instruct-v0.3",
            "koboldcpp/Mistral-7B-Instruct-v0.3",
        ] {
            assert_eq!(reference.get(name).unwrap().parameters, 7_248_023_552);
        }
    }

    proptest::proptest! {
        /// Whatever a model is called, it is known or not, and a brand does not change which.
        #[test]
        fn no_name_fails(name in r"([a-z]{0,9}/)?[A-Za-z0-9._:#-]{0,40}(::.{0,20})?|.{0,60}") {
            let reference = TextModels::bundled();
            let known = reference.get(&name).is_some();
            let _ = reference.priced(&name);
            proptest::prop_assert!(*reference.shared_name(&name) == *name);
            if !name.contains("::") && !name.ends_with(':') {
                proptest::prop_assert_eq!(reference.get(&format!("{name}::owner#7")).is_some(), known);
            }
        }
    }
}
