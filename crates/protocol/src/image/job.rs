//! What a worker sends and gets: `generate/pop` and `generate/submit`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    ControlType, ExtraSourceImage, ExtraText, GenerationState, Lora, Metadata, PostProcessor, Sampler,
    SourceProcessing, TextualInversion, Workflow,
};
use crate::{JobId, defaults};

/// The body of `POST /generate/pop`: who the worker is and what it can take.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PopInputStable)]
#[allow(clippy::struct_excessive_bools)] // the wire format is what it is
pub struct PopInput {
    /// The worker's unique name. Required, though not by the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Lighthouse keeper")]
    pub name: Option<String>,
    /// Users (`alias#id`) whose requests come first.
    #[serde(default)]
    #[schema(default = json!([]))]
    pub priority_usernames: Vec<String>,
    /// Takes requests that are unsafe for work.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub nsfw: bool,
    /// The models that the worker serves; the first 300 count.
    #[serde(default)]
    #[schema(default = json!([]), schema_with = defaults::served_models)]
    pub models: Vec<String>,
    /// `name:version:url` of the worker software.
    #[serde(default = "defaults::agent")]
    #[schema(
        default = "unknown:0:unknown",
        max_length = 1000,
        example = "AI Horde Worker reGen:13.0.0:https://example.org"
    )]
    pub bridge_agent: String,
    /// Jobs that the worker runs at once.
    #[serde(default = "defaults::one_u32")]
    #[schema(default = 1, minimum = 1, maximum = 50)]
    pub threads: u32,
    /// Only requests of users who can pay now.
    #[serde(default)]
    #[schema(default = false)]
    pub require_upfront_kudos: bool,
    /// How many jobs to hand out at once, at most.
    #[serde(default = "defaults::one_u32")]
    #[schema(default = 1, minimum = 1, maximum = 20)]
    pub amount: u32,
    /// The worker is very slow; only requests that opted in are handed out.
    #[serde(default)]
    #[schema(default = false)]
    pub extra_slow_worker: bool,
    /// The largest picture, in pixels.
    #[serde(default = "default_max_pixels")]
    #[schema(default = 262_144, value_type = i64)]
    pub max_pixels: i64,
    /// Words that a prompt must not contain; the first 200 count.
    #[serde(default)]
    #[schema(default = json!([]))]
    pub blacklist: Vec<String>,
    /// Takes requests with a source image.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub allow_img2img: bool,
    /// Takes inpainting and outpainting.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub allow_painting: bool,
    /// Takes requests from unsafe addresses.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub allow_unsafe_ipaddr: bool,
    /// Takes requests with post-processing.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub allow_post_processing: bool,
    /// Takes requests with a control type.
    #[serde(default)]
    #[schema(default = false)]
    pub allow_controlnet: bool,
    /// Takes control types and transparency on SDXL.
    #[serde(default)]
    #[schema(default = false)]
    pub allow_sdxl_controlnet: bool,
    /// Takes requests with `LoRAs`.
    #[serde(default)]
    #[schema(default = false)]
    pub allow_lora: bool,
    /// Only requests with no more steps than usual for the model.
    #[serde(default)]
    #[schema(default = false)]
    pub limit_max_steps: bool,
}

fn default_max_pixels() -> i64 {
    512 * 512
}

/// What the worker is to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelPayloadStable)]
#[allow(clippy::struct_excessive_bools)] // the wire format is what it is
pub struct JobPayload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub prompt: Option<String>,
    /// Diffusion steps.
    pub ddim_steps: u32,
    /// How many pictures of this request the worker got.
    pub n_iter: u32,
    /// Decimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    #[allow(missing_docs)]
    pub sampler_name: Sampler,
    #[allow(missing_docs)]
    pub cfg_scale: f64,
    /// Pixels.
    pub height: u32,
    /// Pixels.
    pub width: u32,
    #[allow(missing_docs)]
    pub karras: bool,
    #[allow(missing_docs)]
    pub tiling: bool,
    #[allow(missing_docs)]
    pub hires_fix: bool,
    #[allow(missing_docs)]
    pub transparent: bool,
    #[allow(missing_docs)]
    pub image_is_control: bool,
    #[allow(missing_docs)]
    pub return_control_map: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub denoising_strength: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub hires_fix_denoising_strength: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub facefixer_strength: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub clip_skip: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub post_processing: Option<Vec<PostProcessor>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub loras: Option<Vec<Lora>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub tis: Option<Vec<TextualInversion>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub control_type: Option<ControlType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub workflow: Option<Workflow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub extra_texts: Option<Vec<ExtraText>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub special: Option<Map<String, Value>>,
    /// Present (and true) when the worker must replace unsafe pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_nsfw_censor: Option<bool>,
}

impl Default for JobPayload {
    /// The filler that a pop without a job carries: clients insist on the object.
    fn default() -> Self {
        Self {
            prompt: None,
            ddim_steps: 30,
            n_iter: 1,
            seed: None,
            sampler_name: Sampler::default(),
            cfg_scale: 7.5,
            height: 512,
            width: 512,
            karras: false,
            tiling: false,
            hires_fix: false,
            transparent: false,
            image_is_control: false,
            return_control_map: false,
            denoising_strength: None,
            hires_fix_denoising_strength: None,
            facefixer_strength: None,
            clip_skip: None,
            post_processing: None,
            loras: None,
            tis: None,
            control_type: None,
            workflow: None,
            extra_texts: None,
            special: None,
            use_nsfw_censor: None,
        }
    }
}

/// The answer to `POST /generate/pop`. Every key is always present.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = GenerationPayloadStable)]
pub struct Popped {
    /// What to generate; defaults when there is no job.
    pub payload: JobPayload,
    /// The first job, null when there is none.
    pub id: Option<JobId>,
    /// All jobs of this pop.
    #[serde(default)]
    pub ids: Vec<JobId>,
    /// Seconds until the jobs count as lost.
    pub ttl: Option<u64>,
    /// Why requests were left in the queue; empty when there is a job.
    #[serde(default)]
    pub skipped: Skipped,
    /// The model to use.
    pub model: Option<String>,
    /// The picture to start from.
    pub source_image: Option<String>,
    /// What to do with it.
    pub source_processing: SourceProcessing,
    /// Which part of it to paint over.
    pub source_mask: Option<String>,
    /// Further source images.
    pub extra_source_images: Option<Vec<ExtraSourceImage>>,
    /// Where to PUT the first result.
    pub r2_upload: Option<String>,
    /// Where to PUT each result, in the order of `ids`.
    pub r2_uploads: Option<Vec<String>>,
    /// Notes from the operators of the horde.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// The trace of the request, for workers that trace what they do, too: `traceparent` of the W3C's Trace Context.
    /// Only there if the server keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// How many requests a worker could not be given, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NoValidRequestFoundStable)]
#[serde(default)]
pub struct Skipped {
    /// Ask for other models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<u64>,
    /// Ask for other workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<u64>,
    /// Are larger than the worker can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
    /// Have a source image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub img2img: Option<u64>,
    /// Are inpainting or outpainting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub painting: Option<u64>,
    /// Come from an unsafe address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsafe_ip: Option<u64>,
    /// Are unsafe for work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsfw: Option<u64>,
    /// Use `LoRAs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<u64>,
    /// Use post-processing.
    #[serde(rename = "post-processing", skip_serializing_if = "Option::is_none")]
    pub post_processing: Option<u64>,
    /// Use a control type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controlnet: Option<u64>,
    /// Ask for faster workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance: Option<u64>,
    /// Ask for trusted workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted: Option<u64>,
    /// Need a newer or another worker software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge_version: Option<u64>,
    /// Come from users who cannot pay upfront.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kudos: Option<u64>,
    /// Contain a word that the worker refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blacklist: Option<u64>,
    /// Ask for more steps than usual for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_count: Option<u64>,
}

/// A note from the operators of the horde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponseModelMessagePop)]
pub struct Message {
    #[allow(missing_docs)]
    pub id: String,
    #[allow(missing_docs)]
    pub message: String,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// RFC 822 date after which the note no longer counts.
    pub expiry: String,
}

/// The body of `POST /generate/submit`: a result, or the news that there is none.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SubmitInputStable)]
pub struct SubmitInput {
    /// The job.
    #[schema(example = "00000000-0000-0000-0000-000000000000")]
    pub id: String,
    /// `R2` for an uploaded picture, else the picture as base64. Required, though not by the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "R2")]
    pub generation: Option<String>,
    /// What became of the job.
    #[serde(default)]
    pub state: GenerationState,
    /// The seed that was used.
    pub seed: i64,
    /// Accepted for compatibility; `gen_metadata` counts.
    #[serde(default)]
    #[schema(default = false)]
    pub censored: bool,
    /// Remarks about the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(default = json!([]))]
    pub gen_metadata: Vec<Metadata>,
}

/// The answer to an accepted submission.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = GenerationSubmitted)]
pub struct Submitted {
    /// Kudos for this job.
    #[schema(example = 10.0)]
    pub reward: f64,
}
