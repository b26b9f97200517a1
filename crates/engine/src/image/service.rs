//! [`ImageSettings`]: what an image worker says about itself when it pops.

use std::sync::Arc;

use muster_dispatch::{
    Blacklist,
    image::{BridgeAgent, Capabilities, HostedModels, Offer},
};
use muster_protocol::{ReturnCode, image::PopInput};
use muster_store::Role;
use serde::{Deserialize, Serialize};

use crate::{
    EngineError,
    accounts::Caller,
    error::Result,
    models::ModelReference,
    names,
    work::{Columns, Names},
    workers::Standing,
};

/// Names that count in a list of models.
const MODEL_LIMIT: usize = 300;
/// Words that count in a blacklist, and their length.
const BLACKLIST_LIMIT: (usize, usize) = (200, 15);

/// What an image worker says about itself, as recognised and stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)] // independent switches, named like the API's fields
pub(crate) struct ImageSettings {
    pub(crate) models: Vec<Arc<str>>,
    pub(crate) nsfw: bool,
    pub(crate) blacklist: Vec<String>,
    pub(crate) max_pixels: u64,
    pub(crate) require_upfront_kudos: bool,
    pub(crate) extra_slow_worker: bool,
    pub(crate) allow_img2img: bool,
    pub(crate) allow_painting: bool,
    pub(crate) allow_unsafe_ipaddr: bool,
    pub(crate) allow_post_processing: bool,
    pub(crate) allow_controlnet: bool,
    pub(crate) allow_sdxl_controlnet: bool,
    pub(crate) allow_lora: bool,
    pub(crate) limit_max_steps: bool,
}

impl ImageSettings {
    /// Reads what a worker says about itself, and what is wrong with its models: those that the horde does
    /// not know are dropped, unless the owner may serve custom ones, but one must be left.
    pub(crate) fn of(
        input: &PopInput,
        owner: &Caller,
        reference: &ModelReference,
    ) -> (Self, Option<EngineError>) {
        let (models, flaw) = match recognised_models(input, owner, reference) {
            Ok(models) => (models, None),
            Err(flaw) => (Vec::new(), Some(flaw)),
        };
        let settings = Self {
            models,
            ..Self::without_models(input)
        };
        (settings, flaw)
    }

    /// What a worker says about itself, except for its models.
    fn without_models(input: &PopInput) -> Self {
        let (words, length) = BLACKLIST_LIMIT;
        let mut blacklist: Vec<String> = Vec::new();
        for word in input.blacklist.iter().take(words) {
            let word = names::truncate(&names::clean(word), length).into_owned();
            if !word.is_empty() && !blacklist.contains(&word) {
                blacklist.push(word);
            }
        }
        Self {
            models: Vec::new(),
            nsfw: input.nsfw,
            blacklist,
            max_pixels: input.max_pixels.max(0).unsigned_abs(),
            require_upfront_kudos: input.require_upfront_kudos,
            extra_slow_worker: input.extra_slow_worker,
            allow_img2img: input.allow_img2img,
            allow_painting: input.allow_painting,
            allow_unsafe_ipaddr: input.allow_unsafe_ipaddr,
            allow_post_processing: input.allow_post_processing,
            allow_controlnet: input.allow_controlnet,
            allow_sdxl_controlnet: input.allow_sdxl_controlnet,
            allow_lora: input.allow_lora,
            limit_max_steps: input.limit_max_steps,
        }
    }

    /// The columns that all workers have. The largest picture is told in the unit that owners configure:
    /// 1 stands for 32,768 pixels.
    pub(crate) fn columns(&self) -> Columns {
        Columns {
            max_power: i32::try_from(self.max_pixels / 32_768).unwrap_or(i32::MAX),
            extra_slow: self.extra_slow_worker,
            allow_unsafe_ip: self.allow_unsafe_ipaddr,
        }
    }
}

/// The models that a worker serves, of those it declares.
fn recognised_models(input: &PopInput, owner: &Caller, reference: &ModelReference) -> Result<Vec<Arc<str>>> {
    let mut models: Vec<Arc<str>> = Vec::new();
    for name in input.models.iter().take(MODEL_LIMIT) {
        let special = is_own_special(name, owner)?;
        let served = special || reference.is_known(name) || owner.has(Role::Customizer);
        if served && !models.iter().any(|known| **known == **name) {
            models.push(reference.shared_name(name));
        }
    }
    if models.is_empty() {
        let message =
            "Unfortunately we cannot accept workers serving only models that this horde does not know.";
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(models)
}

/// Whether a model belongs to the owner alone: `name::alias#id`, for accounts with the special role.
///
/// # Errors
/// It belongs to another account.
fn is_own_special(model: &str, owner: &Caller) -> Result<bool> {
    if !owner.has(Role::Special) {
        return Ok(false);
    }
    match model.split_once("::") {
        None => Ok(false),
        Some((_, alias)) if alias == owner.alias() => Ok(true),
        Some(_) => {
            let message = format!(
                "The model {} belongs to another account.",
                names::truncate(model, 64)
            );
            Err(EngineError::refused(ReturnCode::BadRequest, message))
        }
    }
}

/// What follows from a worker's settings and is dear to compute again with every pop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Derived {
    pub(crate) models: Names,
    pub(crate) bridge: Capabilities,
    pub(crate) blacklist: Option<Arc<Blacklist>>,
    pub(crate) hosted: HostedModels,
}

impl Derived {
    pub(crate) fn of(settings: &ImageSettings, bridge_agent: &str, reference: &ModelReference) -> Self {
        let words = &settings.blacklist;
        Self {
            models: settings.models.clone().into(),
            bridge: BridgeAgent::parse(bridge_agent).capabilities(),
            blacklist: (!words.is_empty()).then(|| Arc::new(Blacklist::new(words))),
            hosted: HostedModels::of(&settings.models, reference),
        }
    }
}

/// Puts together what the board compares requests with.
pub(crate) fn offer(settings: &ImageSettings, derived: &Derived, standing: Standing) -> Offer {
    Offer {
        bridge: derived.bridge,
        max_pixels: settings.max_pixels,
        speed: standing.speed,
        owner_trusted: standing.owner_trusted,
        nsfw: settings.nsfw,
        allow_img2img: settings.allow_img2img,
        allow_painting: settings.allow_painting,
        allow_unsafe_ipaddr: settings.allow_unsafe_ipaddr,
        allow_post_processing: settings.allow_post_processing,
        allow_controlnet: settings.allow_controlnet,
        allow_sdxl_controlnet: settings.allow_sdxl_controlnet,
        allow_lora: settings.allow_lora,
        limit_max_steps: settings.limit_max_steps,
        extra_slow_worker: settings.extra_slow_worker,
        require_upfront_kudos: settings.require_upfront_kudos,
        maintenance: standing.maintenance,
        paused: standing.paused,
        blacklist: derived.blacklist.clone(),
        hosted: derived.hosted,
    }
}
