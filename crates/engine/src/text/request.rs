//! [`TextRequest`]: a text request after all defaults, as it is stored and handed out.

use std::sync::Arc;

use muster_dispatch::text::Demand;
use muster_protocol::{
    WorkerId,
    text::{JobPayload, Params, RequestInput},
};
use serde::{Deserialize, Serialize};

use crate::models::TextModels;

/// A text request after all defaults. What does not change while it lives; stored as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // independent wishes, named like the API's fields
pub(crate) struct TextRequest {
    pub(crate) prompt: Arc<str>,
    /// As sent; a downgrade cuts its length.
    pub(crate) params: Params,
    pub(crate) models: Vec<Arc<str>>,
    pub(crate) workers: Vec<WorkerId>,
    pub(crate) worker_blacklist: bool,
    pub(crate) trusted_workers: bool,
    pub(crate) validated_backends: bool,
    pub(crate) slow_workers: bool,
    /// The trace that it belongs to, if it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
}

impl TextRequest {
    /// Takes over what counts of a request (spec: text, section A4). `workers` are the ids that it names.
    pub(crate) fn new(input: RequestInput, workers: Vec<WorkerId>, models: &TextModels) -> Self {
        Self {
            prompt: input.prompt.unwrap_or_default().into(),
            params: input.params,
            models: input
                .models
                .iter()
                .map(|model| models.shared_name(model))
                .collect(),
            workers,
            worker_blacklist: input.worker_blacklist,
            trusted_workers: input.trusted_workers,
            validated_backends: input.validated_backends,
            slow_workers: input.slow_workers,
            trace: None,
        }
    }

    /// The same as part of a trace.
    pub(crate) fn traced_as(mut self, trace: Option<String>) -> Self {
        self.trace = trace;
        self
    }

    /// What the board needs to know for matching.
    pub(crate) fn demand(&self) -> Demand {
        Demand {
            max_length: self.params.length(),
            max_context_length: self.params.context_length(),
            trusted_workers: self.trusted_workers,
            validated_backends: self.validated_backends,
            slow_workers: self.slow_workers,
        }
    }

    /// What a worker is to write: one text a job, however many it takes at once. Workers pass it on to their
    /// backend as it is.
    pub(crate) fn payload(&self) -> JobPayload {
        let mut params = self.params.clone().with_fillers();
        params.n = Some(1);
        JobPayload {
            prompt: Some(self.prompt.to_string()),
            params,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_those_of_the_reference_server() {
        let input: RequestInput = serde_json::from_value(json!({"prompt": "Once"})).unwrap();
        let request = TextRequest::new(input, Vec::new(), TextModels::bundled());
        assert_eq!(request.demand(), Demand::default());
        assert_eq!(
            serde_json::to_value(request.payload()).unwrap(),
            json!({"prompt": "Once", "n": 1, "max_context_length": 2048, "max_length": 80, "min_p": 0.0,
                "smoothing_factor": 0.0, "dynatemp_range": 0.0, "dynatemp_exponent": 1.0})
        );
    }

    #[test]
    fn what_was_sent_is_passed_on() {
        let params =
            json!({"n": 3, "temperature": 0.7, "singleline": false, "stop_sequence": ["\n"], "top_k": 0});
        let input = json!({"prompt": "Once", "params": params});
        let input: RequestInput = serde_json::from_value(input).unwrap();
        let payload = TextRequest::new(input, Vec::new(), TextModels::bundled()).payload();
        let payload = serde_json::to_value(payload).unwrap();
        assert_eq!(payload["n"], 1);
        assert_eq!(payload["singleline"], false);
        assert_eq!(payload["stop_sequence"], json!(["\n"]));
        assert_eq!(payload["top_k"], 0);
    }
}
