//! The rules an image request must keep, beyond the shape that its schema enforces.
//!
//! The order of the checks is that of the documented API (spec: image, sections 5.3 and 5.5):
//! clients see the first rule that a request breaks.

use std::str::FromStr;

use muster_protocol::{
    ReturnCode,
    image::{
        Baseline, COMPARED_MODEL, ControlType, Params, PostProcessor, RequestInput, SPECIAL_MODEL,
        SourceProcessing, Workflow,
    },
};
use muster_store::Role;
use serde_json::Value;

use crate::{EngineError, accounts::Caller, error::Result, models::ModelReference, requests::check_kept};

/// Models that make something of another picture.
const NEED_A_SOURCE: [&str; 2] = ["Stable Diffusion 2 Depth", "pix2pix"];
/// A `Client-Agent` that was copied from an example.
const EXAMPLE_AGENT: &str = "My-Project:v0.0.1:My-Contact";
/// What the texts of a request take at most, in bytes.
const KEPT: usize = 512 * 1024;
/// The most words in a prompt.
const PROMPT_WORDS: usize = 7500;

fn refuse(code: ReturnCode, message: impl Into<String>) -> Result<()> {
    Err(EngineError::refused(code, message))
}

/// What is kept as it was sent.
pub(crate) fn check_texts(input: &RequestInput) -> Result<()> {
    let params = &input.params;
    let optional = [&input.proxied_account, &input.webhook, &input.style, &params.seed];
    let loras = params.loras.iter().flatten();
    let tis = params.tis.iter().flatten();
    let texts = std::iter::once(&input.prompt)
        .chain(&input.models)
        .chain(&input.workers)
        .chain(optional.into_iter().flatten())
        .chain(loras.flat_map(|lora| std::iter::once(&lora.name).chain(&lora.inject_trigger)))
        .chain(tis.map(|ti| &ti.name))
        .chain(
            params
                .extra_texts
                .iter()
                .flatten()
                .flat_map(|extra| [&extra.text, &extra.reference]),
        );
    let special = params.special.iter().flatten();
    let (names, values): (Vec<&String>, Vec<&Value>) = special.unzip();
    let free_form = [&params.control_strength, &params.init_as_image];
    let values = values.into_iter().chain(free_form.into_iter().flatten());
    check_kept(texts.chain(names), values, KEPT)
}

/// What depends on the parameters alone.
pub(crate) fn check_parameters(input: &RequestInput, caller: &Caller, models: &ModelReference) -> Result<()> {
    check_style_params(input, models)?;
    check_special(input, caller)
}

/// What depends on the pictures that come along, too.
pub(crate) fn check_sources_and_control(input: &RequestInput, models: &ModelReference) -> Result<()> {
    check_control(input, models)?;
    check_sources(input, models)?;
    check_workflow(&input.params)?;
    check_missing_source(input, models)
}

/// What depends on the parameters that styles have, too.
pub(crate) fn check_style_params(input: &RequestInput, models: &ModelReference) -> Result<()> {
    use Baseline::{Flux1, QwenImage, ZImageTurbo};
    let params = &input.params;
    let any = |test: fn(Baseline) -> bool| input.models.iter().any(|model| test(models.baseline(model)));
    if params.hires_fix == Some(true) && any(|family| matches!(family, Flux1 | QwenImage | ZImageTurbo)) {
        return refuse(
            ReturnCode::HiResMismatch,
            "Models of this family do not work with hires_fix.",
        );
    }
    check_additions(params)?;
    if params.transparent == Some(true) && any(|family| !is_plain(family)) {
        return refuse(
            ReturnCode::InvalidTransparencyModel,
            "Models of this family cannot leave the background transparent.",
        );
    }
    if params.workflow == Some(Workflow::QrCode) && any(|family| !is_plain(family)) {
        return refuse(
            ReturnCode::ControlNetMismatchWorkflow,
            "Models of this family do not work with the qr_code workflow.",
        );
    }
    if input.prompt.split_whitespace().count() > PROMPT_WORDS {
        return refuse(
            ReturnCode::InvalidPromptSize,
            format!("A prompt has at most {PROMPT_WORDS} words."),
        );
    }
    if input
        .models
        .iter()
        .any(|model| PostProcessor::from_str(model).is_ok())
    {
        return refuse(
            ReturnCode::UnexpectedModelName,
            "A post-processor is no model; name it in post_processing.",
        );
    }
    if params
        .post_processing
        .iter()
        .flatten()
        .filter(|step| step.is_upscaler())
        .count()
        > 1
    {
        return refuse(ReturnCode::TooManyUpscalers, "A request can have one upscaler.");
    }
    if let Some(cfg_scale) = params.cfg_scale
        && ((cfg_scale * 100.0).round() / 100.0 - cfg_scale).abs() > 1e-9
    {
        return refuse(ReturnCode::BadCfgDecimals, "cfg_scale has at most two decimals.");
    }
    Ok(())
}

/// The families that can do the most.
fn is_plain(family: Baseline) -> bool {
    matches!(family, Baseline::StableDiffusion1 | Baseline::StableDiffusionXl)
}

/// `LoRAs` and textual inversions.
fn check_additions(params: &Params) -> Result<()> {
    if params.loras.as_ref().is_some_and(|loras| loras.len() > 5) {
        return refuse(ReturnCode::TooManyLoras, "A request can have five LoRAs.");
    }
    let bad_version =
        |name: &str, is_version| is_version && !name.bytes().all(|character| character.is_ascii_digit());
    if params
        .loras
        .iter()
        .flatten()
        .any(|lora| bad_version(&lora.name, lora.is_version))
    {
        return refuse(
            ReturnCode::BadLoraVersion,
            "The name of a LoRA version is a number.",
        );
    }
    if params.tis.as_ref().is_some_and(|tis| tis.len() > 20) {
        return refuse(
            ReturnCode::TooManyTis,
            "A request can have twenty textual inversions.",
        );
    }
    Ok(())
}

/// Models that belong to one account, and parameters of all kinds, are for accounts with the special role.
fn check_special(input: &RequestInput, caller: &Caller) -> Result<()> {
    let is_special = caller.has(Role::Special);
    let has_params = input
        .params
        .special
        .as_ref()
        .is_some_and(|special| !special.is_empty());
    check_special_models(&input.models, has_params, caller)?;
    if has_params && !is_special {
        return refuse(
            ReturnCode::BadRequest,
            "Special parameters need the special role.",
        );
    }
    Ok(())
}

/// Models that belong to one account are for that account.
pub(crate) fn check_special_models(models: &[String], has_params: bool, caller: &Caller) -> Result<()> {
    let is_special = caller.has(Role::Special);
    for model in models.iter().filter(|model| model.contains(SPECIAL_MODEL)) {
        let owner = model.split_once("::").map(|(_, owner)| owner);
        match owner {
            _ if !is_special => {
                return refuse(ReturnCode::Forbidden, "Special models need the special role.");
            }
            None => {
                return refuse(
                    ReturnCode::SpecialMissingUsername,
                    "A special model's name ends with :: and its owner's name with number.",
                );
            }
            Some(owner) if owner != caller.alias() => {
                return refuse(
                    ReturnCode::Forbidden,
                    "This special model belongs to another account.",
                );
            }
            Some(_) if !has_params => {
                return refuse(
                    ReturnCode::SpecialMissingPayload,
                    "Special models need special parameters.",
                );
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// What a control type needs of the models and the source image; and a mask, which needs one, too.
fn check_control(input: &RequestInput, models: &ModelReference) -> Result<()> {
    use Baseline::{
        Flux1, QwenImage, StableCascade, StableDiffusion2, StableDiffusion2_512, StableDiffusionXl,
        ZImageTurbo,
    };
    if input.source_mask.is_some() && input.source_image.is_none() {
        return refuse(
            ReturnCode::SourceMaskUnnecessary,
            "A source mask needs a source image.",
        );
    }
    let Some(control) = input.params.control_type else {
        return Ok(());
    };
    let any = |test: fn(Baseline) -> bool| input.models.iter().any(|model| test(models.baseline(model)));
    if matches!(control, ControlType::Normal | ControlType::Hough)
        && any(|family| matches!(family, StableDiffusion2 | StableDiffusion2_512))
    {
        return refuse(
            ReturnCode::ControlNetUnsupported,
            "Models of this family do not know this control type.",
        );
    }
    if input.models.iter().any(|model| model == "pix2pix") {
        return refuse(
            ReturnCode::ControlNetUnsupported,
            "pix2pix does not work with control types.",
        );
    }
    if input.source_image.is_none() {
        return refuse(
            ReturnCode::ControlNetSourceMissing,
            "A control type needs a source image.",
        );
    }
    if input.source_processing == SourceProcessing::Inpainting {
        return refuse(
            ReturnCode::ControlNetInpaintingMismatch,
            "A control type does not work with inpainting.",
        );
    }
    if any(|family| {
        matches!(
            family,
            StableDiffusionXl | StableCascade | Flux1 | QwenImage | ZImageTurbo
        )
    }) {
        return refuse(
            ReturnCode::ControlNetMismatch,
            "Models of this family do not work with control types.",
        );
    }
    Ok(())
}

/// What extra source images and transparency need.
fn check_sources(input: &RequestInput, models: &ModelReference) -> Result<()> {
    let extra = !input.extra_source_images.is_empty();
    let transparent = input.params.transparent == Some(true);
    if transparent && extra {
        return refuse(
            ReturnCode::InvalidTransparencyImg2Img,
            "A transparent background does not work with extra source images.",
        );
    }
    if transparent && input.params.control_type.is_some() {
        return refuse(
            ReturnCode::InvalidTransparencyCn,
            "A transparent background does not work with a control type.",
        );
    }
    let remix = input.source_processing == SourceProcessing::Remix;
    let other_family = |model: &String| models.baseline(model) != Baseline::StableCascade;
    if remix && input.models.iter().any(other_family) {
        return refuse(
            ReturnCode::InvalidRemix,
            "Only Stable Cascade can remix pictures.",
        );
    }
    if extra && !remix {
        return refuse(
            ReturnCode::InvalidExtraSourceImages,
            "Extra source images are for remix.",
        );
    }
    Ok(())
}

/// Models that make something of another picture only.
fn check_missing_source(input: &RequestInput, models: &ModelReference) -> Result<()> {
    if input.source_image.is_some() {
        return Ok(());
    }
    if input
        .models
        .iter()
        .any(|model| NEED_A_SOURCE.contains(&model.as_str()))
    {
        return refuse(
            ReturnCode::SourceImageRequiredForModel,
            "This model needs a source image.",
        );
    }
    if input.models.iter().any(|model| models.is_control_net(model)) {
        return refuse(
            ReturnCode::UnexpectedModelName,
            "A control net is no model; name it in control_type, with a source image.",
        );
    }
    Ok(())
}

/// What a workflow needs.
fn check_workflow(params: &Params) -> Result<()> {
    let texts = params.extra_texts.as_deref().unwrap_or_default();
    if params.workflow == Some(Workflow::QrCode) {
        if !texts.iter().any(|text| text.reference == "qr_code") {
            return refuse(
                ReturnCode::MissingExtraTexts,
                "The qr_code workflow needs an extra text with the reference qr_code.",
            );
        }
    } else if !texts.is_empty() {
        return refuse(
            ReturnCode::InvalidExtraTexts,
            "Extra texts are for the qr_code workflow.",
        );
    }
    if params.init_as_image.is_some() && params.return_control_map == Some(true) {
        return refuse(
            ReturnCode::ControlNetInvalidPayload,
            "A control map cannot be returned together with init_as_image.",
        );
    }
    Ok(())
}

/// Pictures that are to be compared come in pairs, of that model alone, for accounts that are known.
pub(crate) fn check_comparison(input: &mut RequestInput, caller: &Caller) -> Result<()> {
    if !input.models.iter().any(|model| model == COMPARED_MODEL) {
        return Ok(());
    }
    if caller.id().is_anonymous() {
        return refuse(
            ReturnCode::BetaAnonForbidden,
            "This model is not for anonymous requests. Register an account to use it.",
        );
    }
    if input.params.n.unwrap_or(1) == 1 {
        return refuse(
            ReturnCode::BetaComparisonFault,
            "Pictures of this model are made to be compared: ask for two.",
        );
    }
    input.models = vec![COMPARED_MODEL.to_owned()];
    input.params.n = Some(2);
    Ok(())
}

/// Programs that nobody has named properly.
pub(crate) fn check_client_agent(client_agent: &str) -> Result<()> {
    if client_agent == EXAMPLE_AGENT {
        return refuse(
            ReturnCode::BannedClientAgent,
            "This Client-Agent is an example from the documentation. Please name your program.",
        );
    }
    Ok(())
}
