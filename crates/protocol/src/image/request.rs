//! What a client sends and gets: `generate/async`, `generate/check` and `generate/status`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{PartialSchema, ToSchema};

use super::{
    ControlType, GenerationState, MetadataType, MetadataValue, PostProcessor, Sampler, SourceProcessing,
    Workflow,
};
use crate::{JobId, RequestId, WorkerId, defaults};

/// The body of `POST /generate/async`: what to generate and who may do it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = GenerationInputStable)]
#[allow(clippy::struct_excessive_bools)] // the wire format is what it is
pub struct RequestInput {
    /// What the picture shows. The part after `###` says what it must not show.
    #[schema(min_length = 1, example = "a lighthouse in a storm")]
    pub prompt: String,
    /// How the picture is made.
    #[serde(default)]
    pub params: Params,
    /// The picture may be unsafe for work; only workers that allow this take the request.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub nsfw: bool,
    /// Replace the picture if it turns out unsafe although `nsfw` is false.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub censor_nsfw: bool,
    /// Only workers of trusted owners.
    #[serde(default)]
    #[schema(default = false)]
    pub trusted_workers: bool,
    /// Only backends that the horde has checked. Has no effect on images.
    #[serde(default)]
    #[schema(default = false)]
    pub validated_backends: bool,
    /// Slow workers may take the request. Refusing them costs a fifth more.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub slow_workers: bool,
    /// Workers that call themselves extra slow may take the request, too.
    #[serde(default)]
    #[schema(default = false)]
    pub extra_slow_workers: bool,
    /// Up to five ids of workers: the only ones that may take the request, or, with
    /// `worker_blacklist`, the ones that may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(default = json!([]))]
    pub workers: Vec<String>,
    /// Read `workers` as those that may not take the request. Costs a tenth more.
    #[serde(default)]
    #[schema(default = false)]
    pub worker_blacklist: bool,
    /// The models that may be used. An empty list means any model.
    #[serde(default = "default_models")]
    #[schema(default = json!(["stable_diffusion"]), schema_with = defaults::requested_models)]
    pub models: Vec<String>,
    /// The picture to start from, as base64 or as a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_image: Option<String>,
    /// What to do with the source image.
    #[serde(default)]
    pub source_processing: SourceProcessing,
    /// Which part of the source image to paint over, as base64 or as a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_mask: Option<String>,
    /// Further pictures for `remix`, five at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(default = json!([]))]
    pub extra_source_images: Vec<ExtraSourceImage>,
    /// Answer with a URL (true) or with base64 (false).
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub r2: bool,
    /// Accepted for compatibility; has no effect.
    #[serde(default)]
    #[schema(default = false)]
    pub shared: bool,
    /// Rewrite a suspicious prompt rather than refuse it.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub replacement_filter: bool,
    /// Only tell the price.
    #[serde(default)]
    #[schema(default = false)]
    pub dry_run: bool,
    /// For service accounts: who is behind the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub proxied_account: Option<String>,
    /// Make every picture a job of its own, so that each has its own exact seed.
    #[serde(default)]
    #[schema(default = false)]
    pub disable_batching: bool,
    /// If the kudos do not suffice, make a smaller picture with fewer steps instead.
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

fn default_models() -> Vec<String> {
    vec!["stable_diffusion".to_owned()]
}

impl RequestInput {
    /// A request for one picture with every option at its default.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            params: Params::default(),
            nsfw: true,
            censor_nsfw: true,
            trusted_workers: false,
            validated_backends: false,
            slow_workers: true,
            extra_slow_workers: false,
            workers: Vec::new(),
            worker_blacklist: false,
            models: default_models(),
            source_image: None,
            source_processing: SourceProcessing::default(),
            source_mask: None,
            extra_source_images: Vec::new(),
            r2: true,
            shared: false,
            replacement_filter: true,
            dry_run: false,
            proxied_account: None,
            disable_batching: false,
            allow_downgrade: false,
            webhook: None,
            style: None,
        }
    }
}

/// The `params` of an image request. An absent value stays absent unless a default is stated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelGenerationInputStable)]
pub struct Params {
    /// How the steps are taken; `k_euler_a` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler_name: Option<Sampler>,
    /// How closely the picture follows the prompt; 5 if absent, two decimals at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100, example = 7.5)]
    pub cfg_scale: Option<f64>,
    /// How far the picture may stray from the source image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.01, maximum = 1.0)]
    pub denoising_strength: Option<f64>,
    /// The same for the second pass of `hires_fix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.01, maximum = 1.0)]
    pub hires_fix_denoising_strength: Option<f64>,
    /// Pixels, a multiple of 64; 512 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 64, maximum = 3072, multiple_of = 64, example = 512)]
    pub height: Option<u32>,
    /// Pixels, a multiple of 64; 512 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 64, maximum = 3072, multiple_of = 64, example = 512)]
    pub width: Option<u32>,
    /// Diffusion steps; 30 if absent, 20 with a control type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 500, example = 30)]
    pub steps: Option<u32>,
    /// How many pictures; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 20, example = 1)]
    pub n: Option<u32>,
    /// A number or any text. Absent or empty means a random seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "The little seed that could")]
    pub seed: Option<String>,
    /// What to add to the seed for each further picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub seed_variation: Option<u32>,
    /// Use the Karras noise schedule; true if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub karras: Option<bool>,
    /// Make a picture that continues over its borders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiling: Option<bool>,
    /// Generate small first, then enlarge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hires_fix: Option<bool>,
    /// How many layers of the text encoder to leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 12)]
    pub clip_skip: Option<u32>,
    /// Strength of the face post-processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1.0)]
    pub facefixer_strength: Option<f64>,
    /// What to do with the finished picture; one upscaler at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = distinct_post_processors)]
    pub post_processing: Option<Vec<PostProcessor>>,
    /// `LoRAs` to load, five at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loras: Option<Vec<Lora>>,
    /// Textual inversions to load, twenty at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tis: Option<Vec<TextualInversion>>,
    /// The control map to derive from the source image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_type: Option<ControlType>,
    /// The source image already is a control map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_is_control: Option<bool>,
    /// Return the control map instead of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_control_map: Option<bool>,
    /// A preset pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Workflow>,
    /// Further texts that a workflow asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_texts: Option<Vec<ExtraText>>,
    /// Leave the background transparent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparent: Option<bool>,
    /// Free-form options for accounts with the special role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub special: Option<Map<String, Value>>,
    /// Not part of the published API, yet it reaches the price when a client sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub control_strength: Option<Value>,
    /// Not part of the published API; refused together with `return_control_map`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub init_as_image: Option<Value>,
}

fn distinct_post_processors() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new()
        .items(PostProcessor::schema())
        .unique_items(true)
        .build()
}

/// A `LoRA` to load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelPayloadLorasStable)]
pub struct Lora {
    /// Its exact name or page number; with `is_version` its version number.
    #[schema(min_length = 1, max_length = 255, example = "Magnagothica")]
    pub name: String,
    /// Strength on the image model.
    #[serde(default = "defaults::one")]
    #[schema(default = 1.0, minimum = -5.0, maximum = 5.0)]
    pub model: f64,
    /// Strength on the text encoder.
    #[serde(default = "defaults::one")]
    #[schema(default = 1.0, minimum = -5.0, maximum = 5.0)]
    pub clip: f64,
    /// Add the trigger word that resembles this text to the prompt; `any` takes the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 30)]
    pub inject_trigger: Option<String>,
    /// `name` is a version number.
    #[serde(default)]
    #[schema(default = false)]
    pub is_version: bool,
}

/// A textual inversion to load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelPayloadTextualInversionsStable)]
pub struct TextualInversion {
    /// Its exact name or page number.
    #[schema(min_length = 1, max_length = 255, example = "7808")]
    pub name: String,
    /// Add it to the prompt or to its negative part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject_ti: Option<InjectTi>,
    /// Its strength when injected.
    #[serde(default = "defaults::one")]
    #[schema(default = 1.0, minimum = -5.0, maximum = 5.0)]
    pub strength: f64,
}

/// Where a textual inversion is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InjectTi {
    /// To the prompt.
    Prompt,
    /// To the negative prompt.
    Negprompt,
}

/// A text that a workflow asks for beside the prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExtraText)]
pub struct ExtraText {
    /// The text.
    #[schema(min_length = 1)]
    pub text: String,
    /// What it is for, for instance `qr_code`.
    #[schema(min_length = 3)]
    pub reference: String,
}

/// A further source image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExtraSourceImage)]
pub struct ExtraSourceImage {
    /// The picture, as base64 or as a URL.
    #[schema(min_length = 1)]
    pub image: String,
    /// How much it counts.
    #[serde(default = "defaults::one")]
    #[schema(default = 1.0)]
    pub strength: f64,
}

/// The answer to an accepted request (202).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestAsync)]
pub struct RequestAccepted {
    /// Ask for progress and results with this id. Absent on a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// The price of one picture before model multipliers; on a dry run the estimate of the total.
    pub kudos: f64,
    /// What the requester should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the requester should know, by code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// Something odd about an accepted request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestSingleWarning)]
pub struct Warning {
    /// Which kind of oddity.
    pub code: WarningCode,
    /// The same in plain words.
    #[schema(min_length = 1)]
    pub message: String,
}

/// The kinds of warnings, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub enum WarningCode {
    CfgScaleMismatch,
    CfgScaleTooLarge,
    CfgScaleTooSmall,
    ClipSkipMismatch,
    NoAvailableWorker,
    SamplerMismatch,
    SchedulerMismatch,
    StepsTooFew,
    StepsTooMany,
}

/// How far a request is: `GET /generate/check/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestStatusCheck)]
pub struct Progress {
    /// Jobs with a result.
    pub finished: u32,
    /// Jobs that a worker is busy with.
    pub processing: u32,
    /// Jobs that failed and went back to the queue.
    pub restarted: u32,
    /// Jobs that no worker has taken yet.
    pub waiting: u32,
    /// Nothing more will come.
    pub done: bool,
    /// The request was given up.
    #[serde(default)]
    pub faulted: bool,
    /// Expected seconds until all is done.
    pub wait_time: u64,
    /// 1 is the next in line; 0 means that nothing is waiting.
    pub queue_position: u64,
    /// Kudos that the request has cost so far.
    pub kudos: f64,
    /// Whether any worker that is online could serve the request.
    #[serde(default = "defaults::yes")]
    pub is_possible: bool,
}

/// Progress and results: `GET /generate/status/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestStatusStable)]
pub struct Status {
    /// The results so far, in the order in which workers took the jobs.
    pub generations: Vec<Generation>,
    /// The results are shared with the public.
    pub shared: bool,
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub progress: Progress,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = GenerationStable)]
pub struct Generation {
    /// Where to get the picture, or the picture itself as base64.
    pub img: String,
    /// The seed that made it.
    pub seed: String,
    /// The job.
    pub id: JobId,
    /// The picture was replaced by a placeholder.
    pub censored: bool,
    /// What the worker has to say about it.
    #[serde(default)]
    pub gen_metadata: Vec<Metadata>,
    /// Who made it.
    pub worker_id: WorkerId,
    /// Who made it, by name.
    pub worker_name: String,
    /// With which model.
    pub model: String,
    /// Always `ok`; clients demand the field.
    pub state: GenerationState,
}

/// A remark of a worker about a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = GenerationMetadataStable)]
pub struct Metadata {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: MetadataType,
    /// What there is to say.
    pub value: MetadataValue,
    /// Which of several, for instance the name of a `LoRA`.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub reference: Option<String>,
}
