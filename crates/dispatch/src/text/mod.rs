//! The kind that writes text: what a request needs, what a worker offers, and why the two do not fit
//! (spec: text, section A10).
//!
//! Models are matched by their exact names. What is known about a model only decides how fast a worker
//! must be to count as fast, which is in its [`Offer`].

mod needs;

use strum::{AsRefStr, Display};

pub use needs::Text;

/// Seconds that a worker has for a job of usual length.
pub const JOB_TTL: u64 = 150;
/// The tokens a second that a worker must write for a longer one.
const SLOWEST: u32 = 2;
/// Tokens a second that an unmeasured worker counts as.
pub const UNMEASURED_SPEED: f64 = 1.0;

/// What a text request needs of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts, named like the API's fields
pub struct Demand {
    /// Tokens to write at most.
    pub max_length: u32,
    /// Tokens that the model must see.
    pub max_context_length: u32,
    /// Only workers of trusted owners.
    pub trusted_workers: bool,
    /// Only backends that the horde has checked.
    pub validated_backends: bool,
    /// Slow workers may take it.
    pub slow_workers: bool,
}

/// The API's defaults.
impl Default for Demand {
    fn default() -> Self {
        Self {
            max_length: 80,
            max_context_length: 2048,
            trusted_workers: false,
            validated_backends: false,
            slow_workers: true,
        }
    }
}

impl Demand {
    /// Seconds that a worker has for a job: long texts take their time. The reference server gives up every
    /// job after [`JOB_TTL`], even one of 4,096 tokens.
    pub fn job_ttl(&self) -> u64 {
        JOB_TTL.max(u64::from(self.max_length.div_ceil(SLOWEST)))
    }
}

/// What a text worker can and is willing to do.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // independent facts, named like the API's fields
pub struct Offer {
    /// The most tokens that it writes.
    pub max_length: u32,
    /// The most tokens that its models see.
    pub max_context_length: u32,
    /// Measured speed in tokens a second.
    pub speed: f64,
    /// From which speed on it counts as fast; see [`fast_from`].
    pub fast_from: f64,
    /// The owner is trusted.
    pub owner_trusted: bool,
    /// Its software is one that the horde has checked.
    pub validated_backend: bool,
    /// Serves its owner only.
    pub maintenance: bool,
    /// Gets decoys in place of other people's requests.
    pub paused: bool,
}

/// The API's defaults for a worker of unmeasured speed.
impl Default for Offer {
    fn default() -> Self {
        Self {
            max_length: 512,
            max_context_length: 2048,
            speed: UNMEASURED_SPEED,
            fast_from: fast_from(None),
            owner_trusted: false,
            validated_backend: false,
            maintenance: false,
            paused: false,
        }
    }
}

/// The tokens a second from which on a worker counts as fast, by the size of the first model that it
/// offers in billions of parameters: large models may take their time. `None`: it offers none.
pub fn fast_from(billions: Option<f64>) -> f64 {
    match billions {
        Some(billions) if billions < 13.0 => 5.0,
        Some(billions) if billions < 20.0 => 4.0,
        Some(_) | None => 3.0,
    }
}

/// Why a request can't go to a worker. The names are those of the API's `skipped` object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, AsRefStr, Display)]
#[strum(serialize_all = "snake_case")]
pub enum SkipReason {
    /// None of its models is offered.
    Models,
    /// Its worker list excludes the worker.
    WorkerId,
    /// It asks for more tokens than the worker writes.
    MaxLength,
    /// It needs a longer context than the worker has.
    MaxContextLength,
    /// The worker is too slow.
    Performance,
    /// A trusted worker is needed.
    Untrusted,
    /// A backend is needed that the horde has checked.
    BridgeVersion,
    /// The worker serves its owner only. Never reported.
    Maintenance,
    /// The worker is paused. Never reported.
    Secret,
}

/// The counts that a worker is told when there is nothing for it. One request may count under several
/// of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // each field is explained at the [`SkipReason`] of the same name
pub struct Skipped {
    pub models: u64,
    pub worker_id: u64,
    pub max_length: u64,
    pub max_context_length: u64,
    pub performance: u64,
    pub untrusted: u64,
    pub bridge_version: u64,
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // the thresholds are exact
mod tests {
    use super::*;

    #[test]
    fn long_texts_have_more_time() {
        let ttl = |max_length| {
            Demand {
                max_length,
                ..Demand::default()
            }
            .job_ttl()
        };
        assert_eq!(
            [16, 80, 300, 301, 512, 4096].map(ttl),
            [150, 150, 150, 151, 256, 2048]
        );
    }

    #[test]
    fn large_models_may_take_their_time() {
        let thresholds = [
            None,
            Some(3.0),
            Some(12.9),
            Some(13.0),
            Some(19.9),
            Some(20.0),
            Some(70.0),
        ]
        .map(fast_from);
        assert_eq!(thresholds, [3.0, 5.0, 5.0, 4.0, 4.0, 3.0, 3.0]);
    }
}
