//! What a worker sends and gets: `generate/text/pop` and `generate/text/submit`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Metadata, Params};
use crate::{
    JobId, defaults,
    image::{ExtraSourceImage, GenerationState, Message},
};

/// The body of `POST /generate/text/pop`: who the worker is and what it can take.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PopInputKobold)]
#[allow(clippy::struct_excessive_bools)] // the wire format is what it is
pub struct PopInput {
    /// The worker's unique name. Required, though not by the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Users (`alias#id`) whose requests come first.
    #[serde(default)]
    #[schema(default = json!([]))]
    pub priority_usernames: Vec<String>,
    /// Stored; text requests are never unsafe.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub nsfw: bool,
    /// The models that the worker serves; the first 200 count.
    #[serde(default)]
    #[schema(default = json!([]), schema_with = defaults::served_models)]
    pub models: Vec<String>,
    /// `name:version:url` of the worker software.
    #[serde(default = "defaults::agent")]
    #[schema(default = "unknown:0:unknown", max_length = 1000)]
    pub bridge_agent: String,
    /// Jobs that the worker runs at once.
    #[serde(default = "defaults::one_u32")]
    #[schema(default = 1, minimum = 1, maximum = 50)]
    pub threads: u32,
    /// Accepted for compatibility; has no effect on text.
    #[serde(default)]
    #[schema(default = false)]
    pub require_upfront_kudos: bool,
    /// How many jobs to hand out at once, at most.
    #[serde(default = "defaults::one_u32")]
    #[schema(default = 1, minimum = 1, maximum = 20)]
    pub amount: u32,
    /// Accepted for compatibility; has no effect on text.
    #[serde(default)]
    #[schema(default = false)]
    pub extra_slow_worker: bool,
    /// The most tokens that the worker writes.
    #[serde(default = "default_max_length")]
    #[schema(default = 512)]
    pub max_length: i64,
    /// The most tokens that its models see.
    #[serde(default = "default_max_context_length")]
    #[schema(default = 2048)]
    pub max_context_length: i64,
    /// Stored; no request asks for one.
    #[serde(default)]
    #[schema(default = json!([]))]
    pub softprompts: Vec<String>,
}

fn default_max_length() -> i64 {
    512
}

fn default_max_context_length() -> i64 {
    2048
}

/// What the worker is to write. Workers hand it to their backend as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelPayloadKobold)]
pub struct JobPayload {
    /// The text to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub params: Params,
}

impl Default for JobPayload {
    /// The filler that a pop without a job carries: clients insist on the object.
    fn default() -> Self {
        Self {
            prompt: None,
            params: Params::default().with_fillers(),
        }
    }
}

impl Params {
    /// The same with the values that every payload states.
    #[must_use]
    pub fn with_fillers(mut self) -> Self {
        self.max_context_length.get_or_insert(2048);
        self.max_length.get_or_insert(80);
        self.min_p.get_or_insert(0.0);
        self.smoothing_factor.get_or_insert(0.0);
        self.dynatemp_range.get_or_insert(0.0);
        self.dynatemp_exponent.get_or_insert(1.0);
        self
    }
}

/// The answer to `POST /generate/text/pop`. Every key is always present.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = GenerationPayloadKobold)]
pub struct Popped {
    /// What to write; defaults when there is no job.
    pub payload: JobPayload,
    /// The first job, null when there is none.
    pub id: Option<JobId>,
    /// All jobs of this pop.
    #[serde(default)]
    pub ids: Vec<JobId>,
    /// Notes from the operators of the horde.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// Seconds until the jobs count as lost.
    pub ttl: Option<u64>,
    /// Always null.
    pub extra_source_images: Option<Vec<ExtraSourceImage>>,
    /// Why requests were left in the queue; empty when there is a job.
    #[serde(default)]
    pub skipped: Skipped,
    /// Always null.
    pub softprompt: Option<String>,
    /// The model to use.
    pub model: Option<String>,
    /// The trace of the request, for workers that trace what they do, too: `traceparent` of the W3C's Trace Context.
    /// Only there if the server keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// How many requests a worker could not be given, by reason. What counts nothing is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NoValidRequestFoundKobold)]
#[serde(default)]
pub struct Skipped {
    /// Ask for other workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<u64>,
    /// Ask for faster workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance: Option<u64>,
    /// Ask for trusted workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted: Option<u64>,
    /// Ask for other models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<u64>,
    /// Need another worker software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge_version: Option<u64>,
    /// Need a longer context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_context_length: Option<u64>,
    /// Ask for more tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
}

/// The body of `POST /generate/text/submit`: a result, or the news that there is none.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SubmitInputKobold)]
pub struct SubmitInput {
    /// The job.
    #[schema(example = "00000000-0000-0000-0000-000000000000")]
    pub id: String,
    /// The text. Required, though not by the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// What became of the job.
    #[serde(default)]
    pub state: GenerationState,
    /// The seed that was used; 0 if absent.
    #[serde(default)]
    #[schema(default = 0)]
    pub seed: i64,
    /// Remarks about the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(default = json!([]))]
    pub gen_metadata: Vec<Metadata>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pop_without_a_job_has_every_key() {
        let expected = json!({
            "payload": {
                "max_context_length": 2048, "max_length": 80, "min_p": 0.0, "smoothing_factor": 0.0,
                "dynatemp_range": 0.0, "dynatemp_exponent": 1.0,
            },
            "id": null, "ids": [], "messages": [], "ttl": null, "extra_source_images": null, "skipped": {},
            "softprompt": null, "model": null,
        });
        assert_eq!(serde_json::to_value(Popped::default()).unwrap(), expected);
    }

    #[test]
    fn what_a_client_sends_stays_as_it_is() {
        let sent: Params =
            serde_json::from_value(json!({"min_p": 0.2, "singleline": false, "stop_sequence": []})).unwrap();
        let payload = serde_json::to_value(sent.with_fillers()).unwrap();
        assert_eq!(payload["min_p"], 0.2);
        assert_eq!(payload["singleline"], false);
        assert_eq!(payload["stop_sequence"], json!([]));
        assert_eq!(payload["max_length"], 80);
        assert!(payload.get("temperature").is_none());
    }
}
