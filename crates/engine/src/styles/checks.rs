//! Which styles are acceptable (spec: text and styles, sections B6 and B12).

use muster_protocol::{
    Body as _, ReturnCode, WorkKind,
    image::{self, Warning},
    text,
};
use serde_json::{Map, Value, json};

use super::{bad_request, lookup::can_be_found};
use crate::{
    Engine, EngineError,
    accounts::Caller,
    error::Result,
    image::{check_special_models, check_style_params, unsuitable_parameters},
    names,
    profanity::is_profane,
    requests::{has_nul, nul_refusal, value_has_nul},
    text::check_text_params,
};

/// The most tags and models of a style, and the characters that are kept of a model's name.
const TAGS: usize = 10;
const MODELS: usize = 5;
const MODEL_NAME: usize = 100;

/// A text as it is stored.
///
/// # Errors
/// `BadRequest` if it contains profanity.
pub(super) fn cleaned(text: &str, called: &str) -> Result<String> {
    if has_nul(text) {
        return Err(nul_refusal());
    }
    if is_profane(text) {
        return Err(bad_request(format!("{called} cannot contain profanity.")));
    }
    Ok(names::clean(text))
}

/// The name of a style or collection as it is stored.
///
/// # Errors
/// `BadRequest` if it contains profanity or `::`, or nothing is left of it.
pub(super) fn cleaned_name(name: &str) -> Result<String> {
    let name = cleaned(name, "A name")?;
    if name.is_empty() {
        return Err(bad_request("Nothing is left of this name."));
    }
    if !can_be_found(&name) {
        return Err(bad_request(
            "A name cannot contain \"::\", which separates the parts of full names.",
        ));
    }
    Ok(name)
}

/// The models of a style as they are stored, each once.
pub(super) fn cleaned_models(models: &[String]) -> Result<Vec<String>> {
    let mut kept: Vec<String> = Vec::new();
    for model in models {
        if has_nul(model) {
            return Err(nul_refusal());
        }
        let model = names::clean(&names::truncate(model, MODEL_NAME));
        if !model.is_empty() && !kept.contains(&model) {
            kept.push(model);
        }
    }
    Ok(kept)
}

/// The tags of a style as they are stored, each once.
pub(super) fn cleaned_tags(tags: &[String]) -> Result<Vec<String>> {
    let mut kept: Vec<String> = Vec::new();
    for tag in tags {
        let tag = cleaned(tag, "A tag")?;
        if !tag.is_empty() && !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    Ok(kept)
}

/// Whether a style has not too many tags.
pub(super) fn check_tags(tags: Option<&[String]>) -> Result<()> {
    if tags.is_some_and(|tags| tags.len() > TAGS) {
        return Err(bad_request(format!("A style can have {TAGS} tags.")));
    }
    Ok(())
}

/// Whether a style has not too many models.
pub(super) fn check_models(models: &[String]) -> Result<()> {
    if models.len() > MODELS {
        return Err(bad_request(format!("A style can have {MODELS} models.")));
    }
    Ok(())
}

/// A style as far as it decides whether it is acceptable.
pub(super) struct Candidate<'a> {
    pub(super) kind: WorkKind,
    pub(super) prompt: &'a str,
    pub(super) params: &'a Map<String, Value>,
    pub(super) models: &'a [String],
}

impl Engine {
    /// Whether requests with a style can be acceptable. Answers what is odd about it.
    ///
    /// # Errors
    /// What requests with it would be refused for, and `BadRequest` without placeholders.
    pub(super) fn check_style(&self, candidate: &Candidate<'_>, author: &Caller) -> Result<Vec<Warning>> {
        let Candidate {
            kind,
            prompt,
            params,
            models,
        } = *candidate;
        if has_nul(prompt)
            || params
                .iter()
                .any(|(name, value)| has_nul(name) || value_has_nul(value))
        {
            return Err(nul_refusal());
        }
        let request = json!({"prompt": prompt, "params": params, "models": models});
        let mut warnings = Vec::new();
        if kind == WorkKind::Image {
            let input = image::RequestInput::parse(request).map_err(EngineError::Invalid)?;
            let reference = self.models();
            check_style_params(&input, &reference)?;
            warnings = unsuitable_parameters(&input, &reference);
        } else {
            let input = text::RequestInput::parse(request).map_err(EngineError::Invalid)?;
            check_text_params(&input)?;
        }
        let special = params.get("special").and_then(Value::as_object);
        check_special_models(models, special.is_some_and(|special| !special.is_empty()), author)?;
        check_placeholders(kind, prompt)?;
        Ok(warnings)
    }
}

fn check_placeholders(kind: WorkKind, prompt: &str) -> Result<()> {
    let needed: &[&str] = if kind == WorkKind::Image {
        &["{p}", "{np}"]
    } else {
        &["{p}"]
    };
    if let Some(missing) = needed.iter().find(|placeholder| !prompt.contains(**placeholder)) {
        let message = format!("The prompt of a style needs the placeholder {missing}.");
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(())
}
