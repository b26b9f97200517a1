//! What is odd about a request without being forbidden: parameters that do not suit its models.

use std::collections::BTreeMap;

use muster_protocol::image::{Params, RequestInput, Sampler, Warning, WarningCode};

use crate::models::{ModelReference, Requirements};

/// What is compared with a model's needs when a request leaves it open. The scale differs from the one
/// that is then used; clients know the warnings like that.
const USUAL_STEPS: u32 = 30;
const USUAL_CFG_SCALE: f64 = 7.5;

/// One warning for each kind of oddity, about the first model that it concerns.
pub(crate) fn unsuitable_parameters(input: &RequestInput, models: &ModelReference) -> Vec<Warning> {
    let mut found = BTreeMap::new();
    for name in &input.models {
        let Some(model) = models.get(name) else { continue };
        for (code, need) in unmet(&input.params, &model.requirements) {
            found
                .entry(code)
                .or_insert_with(|| format!("{name} works best with {need}."));
        }
    }
    found
        .into_iter()
        .map(|(code, message)| Warning { code, message })
        .collect()
}

/// What a model needs and does not get, in words.
fn unmet(params: &Params, needs: &Requirements) -> impl Iterator<Item = (WarningCode, String)> {
    let steps = params.steps.unwrap_or(USUAL_STEPS);
    let cfg_scale = params.cfg_scale.unwrap_or(USUAL_CFG_SCALE);
    let clip_skip = params.clip_skip.unwrap_or(1);
    let sampler = params.sampler_name.unwrap_or(Sampler::KEulerA).to_string();
    let scheduler = if params.karras == Some(false) {
        "simple"
    } else {
        "karras"
    };
    let clip_skip = needs.clip_skip.filter(|need| clip_skip != *need);
    let few_steps = needs.min_steps.filter(|need| steps < *need);
    let many_steps = needs.max_steps.filter(|need| steps > *need);
    let other_scale = needs
        .cfg_scale
        .filter(|need| (cfg_scale - need).abs() > f64::EPSILON);
    let small_scale = needs.min_cfg_scale.filter(|need| cfg_scale < *need);
    let large_scale = needs.max_cfg_scale.filter(|need| cfg_scale > *need);
    let sampler = unless_among(&needs.samplers, &sampler);
    let scheduler = unless_among(&needs.schedulers, scheduler);
    [
        clip_skip.map(|need| (WarningCode::ClipSkipMismatch, format!("a clip_skip of {need}"))),
        few_steps.map(|need| (WarningCode::StepsTooFew, format!("{need} steps or more"))),
        many_steps.map(|need| (WarningCode::StepsTooMany, format!("{need} steps or fewer"))),
        other_scale.map(|need| (WarningCode::CfgScaleMismatch, format!("a cfg_scale of {need}"))),
        small_scale.map(|need| {
            (
                WarningCode::CfgScaleTooSmall,
                format!("a cfg_scale of {need} or more"),
            )
        }),
        large_scale.map(|need| {
            (
                WarningCode::CfgScaleTooLarge,
                format!("a cfg_scale of {need} or less"),
            )
        }),
        sampler.map(|needs| (WarningCode::SamplerMismatch, format!("the sampler {needs}"))),
        scheduler.map(|needs| (WarningCode::SchedulerMismatch, format!("the scheduler {needs}"))),
    ]
    .into_iter()
    .flatten()
}

/// The list in words, unless it is empty or has the given name.
fn unless_among(list: &[String], name: &str) -> Option<String> {
    let fits = list.is_empty() || list.iter().any(|other| other == name);
    (!fits).then(|| list.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = r#"{
        "picky": {"requirements": {
            "clip_skip": 2, "min_steps": 10, "max_steps": 20, "cfg_scale": 2.5,
            "samplers": ["k_heun", "lcm"], "schedulers": ["simple"]
        }},
        "ranged": {"requirements": {"min_cfg_scale": 3, "max_cfg_scale": 6, "schedulers": ["karras"]}},
        "easy": {}
    }"#;

    fn warnings(models: &[&str], params: serde_json::Value) -> Vec<String> {
        let input = RequestInput {
            models: models.iter().map(|model| (*model).to_owned()).collect(),
            params: serde_json::from_value(params).unwrap(),
            ..RequestInput::new("a lighthouse")
        };
        let reference = ModelReference::from_json(REFERENCE).unwrap();
        unsuitable_parameters(&input, &reference)
            .into_iter()
            .map(|warning| format!("{:?}: {}", warning.code, warning.message))
            .collect()
    }

    #[test]
    fn what_suits_is_not_mentioned() {
        let fitting = serde_json::json!({
            "clip_skip": 2, "steps": 10, "cfg_scale": 2.5, "sampler_name": "lcm", "karras": false
        });
        assert!(warnings(&["picky", "easy", "unknown"], fitting).is_empty());
        assert!(warnings(&["ranged"], serde_json::json!({"cfg_scale": 3})).is_empty());
        assert!(warnings(&["ranged"], serde_json::json!({"cfg_scale": 6})).is_empty());
    }

    #[test]
    fn what_is_left_out_counts_as_the_usual() {
        let expected = [
            "CfgScaleMismatch: picky works best with a cfg_scale of 2.5.",
            "ClipSkipMismatch: picky works best with a clip_skip of 2.",
            "SamplerMismatch: picky works best with the sampler k_heun or lcm.",
            "SchedulerMismatch: picky works best with the scheduler simple.",
            "StepsTooMany: picky works best with 20 steps or fewer.",
        ];
        assert_eq!(warnings(&["picky"], serde_json::json!({})), expected);
    }

    #[test]
    fn each_kind_is_mentioned_once() {
        let params = serde_json::json!({"steps": 9, "cfg_scale": 2.5, "clip_skip": 2, "sampler_name": "lcm"});
        let expected = [
            "CfgScaleTooSmall: ranged works best with a cfg_scale of 3 or more.",
            "SchedulerMismatch: picky works best with the scheduler simple.",
            "StepsTooFew: picky works best with 10 steps or more.",
        ];
        assert_eq!(warnings(&["picky", "ranged", "picky"], params), expected);
        assert_eq!(
            warnings(&["ranged"], serde_json::json!({"karras": false})),
            [
                "CfgScaleTooLarge: ranged works best with a cfg_scale of 6 or less.",
                "SchedulerMismatch: ranged works best with the scheduler karras.",
            ]
        );
    }
}
