//! [`Offer`]: what an image worker can and is willing to do.

use std::sync::Arc;

use super::{Capabilities, HostedModels};
use crate::Blacklist;

/// What an image worker can and is willing to do. It changes when the worker checks in, not with
/// every pop.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts, named like the API's fields
pub struct Offer {
    /// What its bridge agent is able to do.
    pub bridge: Capabilities,
    /// The largest picture it takes, in pixels.
    pub max_pixels: u64,
    /// Measured speed in pixelsteps a second.
    pub speed: f64,
    /// The owner is trusted.
    pub owner_trusted: bool,
    /// Takes requests that may show what minors shouldn't see.
    pub nsfw: bool,
    /// Takes source images.
    pub allow_img2img: bool,
    /// Takes inpainting and outpainting.
    pub allow_painting: bool,
    /// Takes requests from suspect addresses.
    pub allow_unsafe_ipaddr: bool,
    /// Runs post-processors.
    pub allow_post_processing: bool,
    /// Loads control nets.
    pub allow_controlnet: bool,
    /// Loads control nets for Stable Diffusion XL.
    pub allow_sdxl_controlnet: bool,
    /// Loads `LoRA`s.
    pub allow_lora: bool,
    /// Refuses requests with more steps than a model needs.
    pub limit_max_steps: bool,
    /// Declares itself extra slow.
    pub extra_slow_worker: bool,
    /// Refuses requesters who can't pay for the job already.
    pub require_upfront_kudos: bool,
    /// Serves its owner only.
    pub maintenance: bool,
    /// Gets decoys in place of other people's requests.
    pub paused: bool,
    /// Words it refuses to see in a prompt.
    pub blacklist: Option<Arc<Blacklist>>,
    /// What matters about the models it hosts.
    pub hosted: HostedModels,
}

/// The API's defaults for a worker of an unknown bridge agent and unmeasured speed.
impl Default for Offer {
    fn default() -> Self {
        Self {
            bridge: Capabilities::default(),
            max_pixels: 262_144,
            speed: 1_000_000.0,
            owner_trusted: false,
            nsfw: true,
            allow_img2img: true,
            allow_painting: true,
            allow_unsafe_ipaddr: true,
            allow_post_processing: true,
            allow_controlnet: false,
            allow_sdxl_controlnet: false,
            allow_lora: false,
            limit_max_steps: false,
            extra_slow_worker: false,
            require_upfront_kudos: false,
            maintenance: false,
            paused: false,
            blacklist: None,
            hosted: HostedModels::default(),
        }
    }
}
