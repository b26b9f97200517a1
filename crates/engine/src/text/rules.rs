//! The rules a text request must keep, beyond the shape that its schema enforces.
//!
//! The order of the checks is that of the documented API (spec: text, section A3): clients see the first
//! rule that a request breaks.

use std::collections::BTreeSet;

use muster_protocol::{ReturnCode, text::RequestInput};

use crate::{EngineError, error::Result, requests::check_kept};

/// Places of a sampler order: all samplers must be in it.
const SAMPLERS: usize = 7;
/// The most stop sequences, and their characters together.
const STOP_SEQUENCES: (usize, usize) = (128, 2000);
/// What the texts of a request take at most, in bytes: more than the longest context of any model.
const KEPT: usize = 4 * 1024 * 1024;

fn refuse(code: ReturnCode, message: impl Into<String>) -> Result<()> {
    Err(EngineError::refused(code, message))
}

/// What is kept as it was sent.
pub(super) fn check_texts(input: &RequestInput) -> Result<()> {
    let optional = [
        &input.prompt,
        &input.proxied_account,
        &input.webhook,
        &input.style,
        &input.softprompt,
    ];
    let texts = input
        .models
        .iter()
        .chain(&input.workers)
        .chain(optional.into_iter().flatten())
        .chain(input.params.stop_sequence.iter().flatten());
    check_kept(texts, [], KEPT)
}

/// Something must be there to be continued.
pub(super) fn check_prompt(is_empty: bool) -> Result<()> {
    if is_empty {
        return refuse(ReturnCode::MissingPrompt, "A request needs a prompt.");
    }
    Ok(())
}

/// What depends on the parameters.
pub(crate) fn check_params(input: &RequestInput) -> Result<()> {
    let params = &input.params;
    let (length, context) = (params.length(), params.context_length());
    if length > context {
        let message = format!("A text of {length} tokens does not fit into a context of {context} tokens.");
        return refuse(ReturnCode::TokenOverflow, message);
    }
    if let Some(order) = &params.sampler_order
        && order.iter().collect::<BTreeSet<_>>().len() < SAMPLERS
    {
        let message = format!("A sampler order needs all {SAMPLERS} samplers.");
        return refuse(ReturnCode::MissingFullSamplerOrder, message);
    }
    let stops: BTreeSet<&str> = params
        .stop_sequence
        .iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let (most, characters) = STOP_SEQUENCES;
    if stops.len() > most {
        let message = format!("A request can have {most} stop sequences.");
        return refuse(ReturnCode::TooManyStopSequences, message);
    }
    if stops.iter().map(|stop| stop.chars().count()).sum::<usize>() > characters {
        let message = format!("The stop sequences of a request can have {characters} characters together.");
        return refuse(ReturnCode::ExcessiveStopSequence, message);
    }
    if !input.extra_source_images.is_empty() {
        let message = "A text request cannot have source images.";
        return refuse(ReturnCode::InvalidExtraSourceImages, message);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn code(body: Value) -> Option<ReturnCode> {
        let input: RequestInput = serde_json::from_value(body).unwrap();
        let outcome = check_texts(&input)
            .and_then(|()| check_prompt(input.prompt.as_deref() == Some("")))
            .and_then(|()| check_params(&input));
        match outcome {
            Ok(()) => None,
            Err(EngineError::Refused(refusal)) => Some(refusal.code),
            Err(other) => panic!("{other}"),
        }
    }

    fn of_params(params: &Value) -> Option<ReturnCode> {
        code(json!({"prompt": "Once", "params": params}))
    }

    #[test]
    fn limits_are_inclusive() {
        let many: Vec<String> = (0..128).map(|number| number.to_string()).collect();
        let mut too_many = many.clone();
        too_many.push("one more".to_owned());
        assert_eq!(of_params(&json!({"stop_sequence": many})), None);
        assert_eq!(
            of_params(&json!({"stop_sequence": too_many})),
            Some(ReturnCode::TooManyStopSequences)
        );
        let (long, too_long) = ("ä".repeat(2000), "ä".repeat(2001));
        assert_eq!(
            of_params(&json!({"stop_sequence": [&long, &long]})),
            None,
            "the same counts once"
        );
        assert_eq!(
            of_params(&json!({"stop_sequence": [too_long]})),
            Some(ReturnCode::ExcessiveStopSequence)
        );
        assert_eq!(of_params(&json!({"max_length": 2048})), None);
        assert_eq!(
            of_params(&json!({"max_length": 2049})),
            Some(ReturnCode::TokenOverflow)
        );
        assert_eq!(
            of_params(&json!({"max_context_length": 80, "max_length": 80})),
            None
        );
        assert_eq!(of_params(&json!({"sampler_order": [0, 1, 2, 3, 4, 5, 6]})), None);
        assert_eq!(
            of_params(&json!({"sampler_order": [0, 1, 2, 3, 4, 5, 5]})),
            Some(ReturnCode::MissingFullSamplerOrder)
        );
    }

    #[test]
    fn texts_without_a_prompt_or_with_nul_are_refused() {
        assert_eq!(code(json!({"prompt": " "})), None);
        assert_eq!(code(json!({"prompt": ""})), Some(ReturnCode::MissingPrompt));
        for body in [
            json!({"prompt": "a\u{0}"}),
            json!({"prompt": "a", "models": ["\u{0}"]}),
            json!({"prompt": "a", "params": {"stop_sequence": ["\u{0}"]}}),
        ] {
            assert_eq!(code(body.clone()), Some(ReturnCode::NulByteInPayload), "{body}");
        }
    }
}
