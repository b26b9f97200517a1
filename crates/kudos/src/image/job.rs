//! [`ImageJob`]: those parts of an image request that decide what it is worth.

use muster_protocol::image::{ControlType, PostProcessor, Sampler, SourceProcessing, Workflow};

/// One image as it is priced: parameters after the server's defaults, styles and downgrades.
///
/// [`ImageJob::default`] is the image of a request that gives no parameters at all.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageJob {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Steps as requested, not doubled for samplers that take two evaluations a step.
    pub steps: u32,
    /// How closely the prompt is followed.
    pub cfg_scale: f64,
    /// How the steps are taken.
    pub sampler: Sampler,
    /// Whether the Karras noise schedule is used.
    pub karras: bool,
    /// Whether the image is drawn small first and enlarged.
    pub hires_fix: bool,
    /// The image to start from, if any.
    pub source: Option<SourceImage>,
    /// How much of the source image is redrawn, 0 to 1.
    pub denoising_strength: Option<f64>,
    /// The control map that steers the image, if any.
    pub control: Option<Control>,
    /// Steps over the finished image, in the request's order.
    pub post_processing: Vec<PostProcessor>,
    /// Number of entries in the request's list of `LoRA`s.
    pub loras: u32,
    /// Whether the request lists any textual inversion.
    pub textual_inversions: bool,
    /// The preset pipeline, if any.
    pub workflow: Option<Workflow>,
    /// Number of source images beyond the first.
    pub extra_source_images: u32,
    /// Whether the request is restricted to, or keeps away from, named workers.
    pub targeting: Targeting,
}

/// The image a job starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceImage {
    /// What is done with it.
    pub processing: SourceProcessing,
    /// Whether a mask says which part.
    pub mask: bool,
}

/// How a job is steered by a control map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Control {
    /// What the map shows.
    pub kind: ControlType,
    /// How strongly it steers, 0 to 1.
    pub strength: Option<f64>,
    /// Whether only the map itself is wanted.
    pub return_map: bool,
}

impl Control {
    /// Steering of default strength.
    pub const fn new(kind: ControlType) -> Self {
        Self {
            kind,
            strength: None,
            return_map: false,
        }
    }
}

/// Whether a request names workers, to be served by them or not to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Targeting {
    /// Any worker may serve it.
    #[default]
    Anyone,
    /// It has a list of workers, allowed or refused.
    NamedWorkers,
}

impl Default for ImageJob {
    fn default() -> Self {
        Self {
            width: 512,
            height: 512,
            steps: 30,
            cfg_scale: 5.0,
            sampler: Sampler::KEulerA,
            karras: true,
            hires_fix: false,
            source: None,
            denoising_strength: None,
            control: None,
            post_processing: Vec::new(),
            loras: 0,
            textual_inversions: false,
            workflow: None,
            extra_source_images: 0,
            targeting: Targeting::Anyone,
        }
    }
}

impl ImageJob {
    /// Pixels of the image.
    pub fn area(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The number of model evaluations its steps amount to.
    pub fn accurate_steps(&self) -> u32 {
        self.sampler.accurate_steps(self.steps)
    }

    /// The same job drawn from nothing: what upfront estimates are made for.
    #[must_use]
    pub fn without_source(&self) -> Self {
        Self {
            source: None,
            ..self.clone()
        }
    }
}
