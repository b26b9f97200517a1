//! What a client sends and gets: `generate/text/async` and `generate/text/status`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    RequestId, WorkerId, defaults,
    image::{ExtraSourceImage, GenerationState, Progress},
};

/// The body of `POST /generate/text/async`: what to write and who may do it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = GenerationInputKobold)]
#[allow(clippy::struct_excessive_bools)] // the wire format is what it is
pub struct RequestInput {
    /// The text to go on from. Required, though not by the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// How the text is made.
    #[serde(default)]
    pub params: Params,
    /// Accepted for compatibility; has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub softprompt: Option<String>,
    /// Only workers of trusted owners.
    #[serde(default)]
    #[schema(default = false)]
    pub trusted_workers: bool,
    /// Only backends that the horde has checked.
    #[serde(default)]
    #[schema(default = false)]
    pub validated_backends: bool,
    /// Slow workers may take the request. Without them it must be paid upfront.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub slow_workers: bool,
    /// Accepted for compatibility; has no effect on text.
    #[serde(default)]
    #[schema(default = false)]
    pub extra_slow_workers: bool,
    /// Up to five ids of workers: the only ones that may take the request, or, with
    /// `worker_blacklist`, the ones that may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(default = json!([]))]
    pub workers: Vec<String>,
    /// Read `workers` as those that may not take the request.
    #[serde(default)]
    #[schema(default = false)]
    pub worker_blacklist: bool,
    /// The models that may be used. An empty list means any model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(default = json!([]), schema_with = defaults::requested_models)]
    pub models: Vec<String>,
    /// Only tell the price.
    #[serde(default)]
    #[schema(default = false)]
    pub dry_run: bool,
    /// For service accounts: who is behind the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub proxied_account: Option<String>,
    /// Text takes none; any is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(default = json!([]))]
    pub extra_source_images: Vec<ExtraSourceImage>,
    /// Make every generation a job of its own.
    #[serde(default)]
    #[schema(default = false)]
    pub disable_batching: bool,
    /// If the kudos do not suffice, write less instead.
    #[serde(default)]
    #[schema(default = false)]
    pub allow_downgrade: bool,
    /// An `https` address that is called with each result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 10, max_length = 1024, example = "https://example.org/results")]
    pub webhook: Option<String>,
    /// A style to apply, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 3, max_length = 1024)]
    pub style: Option<String>,
}

/// The `params` of a text request. An absent value stays absent unless a default is stated; workers
/// hand them to their backend as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelGenerationInputKobold)]
pub struct Params {
    /// How many generations; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 20, example = 1)]
    pub n: Option<u32>,
    /// Tokens that the model sees at most; 2048 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 80, maximum = 1_048_576, default = 2048)]
    pub max_context_length: Option<u32>,
    /// Tokens to write at most; 80 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 16, maximum = 4096, default = 80)]
    pub max_length: Option<u32>,
    /// How much chance there is in the choice of the next token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 5.0)]
    pub temperature: Option<f64>,
    /// How much tokens that occurred are avoided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1.0, maximum = 3.0)]
    pub rep_pen: Option<f64>,
    /// Among how many tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 4096)]
    pub rep_pen_range: Option<u32>,
    /// How much less the older ones count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 10.0)]
    pub rep_pen_slope: Option<f64>,
    /// Tail-free sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub tfs: Option<f64>,
    /// Top-a sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub top_a: Option<f64>,
    /// Top-k sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 200)]
    pub top_k: Option<u32>,
    /// Top-p sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.001, maximum = 1.0)]
    pub top_p: Option<f64>,
    /// Typical sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub typical: Option<f64>,
    /// Min-p sampling; 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 1.0, default = 0.0)]
    pub min_p: Option<f64>,
    /// Quadratic sampling; 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 10.0, default = 0.0)]
    pub smoothing_factor: Option<f64>,
    /// How far the temperature may vary; 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 5.0, default = 0.0)]
    pub dynatemp_range: Option<f64>,
    /// How it varies; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 5.0, default = 1.0)]
    pub dynatemp_exponent: Option<f64>,
    /// In which order the samplers run; all seven must be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler_order: Option<Vec<i64>>,
    /// Texts at which writing stops; 128 at most, of 2,000 characters in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_sequence: Option<Vec<String>>,
    /// Add a space where the prompt ends without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frmtadsnsp: Option<bool>,
    /// Remove blank lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frmtrmblln: Option<bool>,
    /// Remove special characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frmtrmspch: Option<bool>,
    /// Remove an unfinished sentence at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frmttriminc: Option<bool>,
    /// Stop at the end of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub singleline: Option<bool>,
    /// Avoid the backend's list of bad words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_default_badwordsids: Option<bool>,
}

impl Params {
    /// Tokens to write at most.
    pub fn length(&self) -> u32 {
        self.max_length.unwrap_or(80)
    }

    /// Tokens that the model sees at most.
    pub fn context_length(&self) -> u32 {
        self.max_context_length.unwrap_or(2048)
    }
}

/// The answer to an accepted request (202).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestAsyncKobold)]
pub struct RequestAccepted {
    /// Ask for progress and results with this id. Absent on a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// On a dry run the estimate of the total; otherwise always 0, as clients know it.
    pub kudos: f64,
    /// What the requester should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Progress and results: `GET /generate/text/status/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestStatusKobold)]
pub struct Status {
    /// The results so far, in the order in which workers took the jobs.
    pub generations: Vec<Generation>,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub progress: Progress,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = GenerationKobold)]
pub struct Generation {
    /// Who wrote it.
    pub worker_id: WorkerId,
    /// Who wrote it, by name.
    pub worker_name: String,
    /// With which model.
    pub model: String,
    /// What became of it: `ok`, `censored` or `csam`.
    pub state: GenerationState,
    /// The text.
    pub text: String,
    /// The seed that made it, as far as the worker tells.
    #[schema(default = 0)]
    pub seed: i64,
    /// What the worker has to say about it.
    #[serde(default)]
    pub gen_metadata: Vec<Metadata>,
}

/// A remark of a worker about a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = GenerationMetadataKobold)]
pub struct Metadata {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: MetadataType,
    /// What there is to say.
    pub value: MetadataValue,
    /// Whatever else identifies it.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub reference: Option<String>,
}

/// What a remark about a text is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TextMetadataType)]
#[serde(rename_all = "lowercase")]
pub enum MetadataType {
    /// The text was withheld.
    Censorship,
}

/// What a remark about a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TextMetadataValue)]
#[serde(rename_all = "lowercase")]
pub enum MetadataValue {
    /// It sexualises minors.
    Csam,
}
