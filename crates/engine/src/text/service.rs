//! [`TextSettings`]: what a text worker says about itself when it pops.

use std::sync::Arc;

use muster_dispatch::{
    image::BridgeAgent,
    text::{Offer, fast_from},
};
use muster_kudos::text::Model;
use muster_protocol::{BUNDLED_WORKER, ReturnCode, text::PopInput};
use serde::{Deserialize, Serialize};

use crate::{
    EngineError, accounts::Caller, error::Result, models::TextModels, names, work::Names, workers::Standing,
};

/// Names that count in a list of models, and in one of softprompts.
const LIST_LIMIT: usize = 200;
/// Characters that count of a softprompt's name.
const SOFTPROMPT_LIMIT: usize = 100;
/// Software that is known to tell the truth about its model (spec: text, section A19), and Muster's own.
const VALIDATED: [&str; 6] = [
    "AI Horde Worker",
    "AI Horde Worker~aphrodite~oai",
    "AI Horde Worker~aphrodite~kai",
    "KoboldCppEmbedWorker",
    "TabbyAPI",
    BUNDLED_WORKER,
];

/// What a text worker says about itself, as recognised and stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TextSettings {
    pub(crate) models: Vec<Arc<str>>,
    pub(crate) max_length: u32,
    pub(crate) max_context_length: u32,
    /// Kept for those who look at the worker; no request asks for one.
    pub(crate) softprompts: Vec<String>,
    pub(crate) nsfw: bool,
}

impl TextSettings {
    /// Reads what a worker says about itself, and what is wrong with its models.
    pub(crate) fn of(
        input: &PopInput,
        owner: &Caller,
        reference: &TextModels,
    ) -> (Self, Option<EngineError>) {
        let (models, flaw) = match served_models(input, owner, reference) {
            Ok(models) => (models, None),
            Err(flaw) => (Vec::new(), Some(flaw)),
        };
        let softprompts = input.softprompts.iter().take(LIST_LIMIT);
        let limit = |tokens: i64| u32::try_from(tokens.max(0)).unwrap_or(u32::MAX);
        let settings = Self {
            models,
            max_length: limit(input.max_length),
            max_context_length: limit(input.max_context_length),
            softprompts: softprompts
                .map(|name| names::clean(&names::truncate(name, SOFTPROMPT_LIMIT)))
                .collect(),
            nsfw: input.nsfw,
        };
        (settings, flaw)
    }
}

/// The models that a worker serves. Text workers may serve what they like, but a branded name
/// (`model::alias#id`) must be their owner's.
fn served_models(input: &PopInput, owner: &Caller, reference: &TextModels) -> Result<Vec<Arc<str>>> {
    let mut models: Vec<Arc<str>> = Vec::new();
    for name in input.models.iter().take(LIST_LIMIT) {
        if let Some((_, brand)) = name.split_once("::")
            && !brand.contains("::")
            && brand != owner.alias()
        {
            let message = format!(
                "The model {} belongs to another account.",
                names::truncate(name, 64)
            );
            return Err(EngineError::refused(ReturnCode::BadRequest, message));
        }
        if !models.iter().any(|known| **known == **name) {
            models.push(reference.shared_name(name));
        }
    }
    if models.is_empty() {
        let message = "A worker must serve a model.";
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(models)
}

/// Whether a worker's software is known to tell the truth about its model.
pub(crate) fn is_validated(bridge_agent: &str) -> bool {
    VALIDATED.contains(&BridgeAgent::parse(bridge_agent).name())
}

/// What follows from a worker's settings and is dear to compute again with every pop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Derived {
    pub(crate) models: Names,
    fast_from: f64,
    validated: bool,
}

impl Derived {
    pub(crate) fn of(settings: &TextSettings, bridge_agent: &str, reference: &TextModels) -> Self {
        let first = settings.models.first().map(|model| reference.priced(model));
        Self {
            models: settings.models.clone().into(),
            fast_from: fast_from(first.map(Model::billions)),
            validated: is_validated(bridge_agent),
        }
    }
}

/// Puts together what the board compares requests with.
pub(crate) fn offer(settings: &TextSettings, derived: &Derived, standing: Standing) -> Offer {
    Offer {
        max_length: settings.max_length,
        max_context_length: settings.max_context_length,
        speed: standing.speed,
        fast_from: derived.fast_from,
        owner_trusted: standing.owner_trusted,
        validated_backend: derived.validated,
        maintenance: standing.maintenance,
        paused: standing.paused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validated_software_tells_a_version() {
        for agent in [
            "KoboldCppEmbedWorker:2:https://github.com/LostRuins/koboldcpp",
            "AI Horde Worker~aphrodite~oai:1.2:x",
            "TabbyAPI:0.0.1-rc:",
        ] {
            assert!(is_validated(agent), "{agent}");
        }
        for agent in [
            "KoboldCppEmbedWorker",
            "KoboldCppEmbedWorker:2",
            "TabbyAPI:v1:x",
            "koboldcppembedworker:2:x",
            "unknown:0:unknown",
        ] {
            assert!(!is_validated(agent), "{agent}");
        }
    }
}
