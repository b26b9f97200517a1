//! The kind that works on pictures that exist already: what a request needs, what an alchemist offers, and
//! why the two do not fit (spec: alchemy, section A8).
//!
//! The *models* of this kind are the forms: those of a request that still wait, and those that an alchemist
//! takes. A pop takes one of a request's forms at a time; [`Board::set_models`](crate::Board::set_models)
//! tells the board what is left.

mod needs;

use strum::{AsRefStr, Display};

pub use needs::Alchemy;

/// Seconds that a worker has for a form.
pub const JOB_TTL: u64 = 180;
/// Seconds that an unmeasured worker counts as needing for a form.
pub const UNMEASURED_SECONDS: f64 = 1.0;
/// The seconds for a form from which on a worker counts as slow.
pub const SLOW_FROM: f64 = 10.0;

/// What a request for alchemy needs of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The picture's size in tiles of 512 x 512 pixels.
    pub tiles: u32,
    /// Only workers of trusted owners.
    pub trusted_workers: bool,
    /// Slow workers may take it.
    pub slow_workers: bool,
}

/// The API's defaults, for a picture of one tile.
impl Default for Demand {
    fn default() -> Self {
        Self {
            tiles: 1,
            trusted_workers: false,
            slow_workers: true,
        }
    }
}

/// What an alchemist can and is willing to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The largest picture that it takes, in tiles.
    pub max_tiles: u32,
    /// Measured speed: seconds for a form.
    pub seconds_per_form: f64,
    /// The owner is trusted.
    pub owner_trusted: bool,
    /// Serves its owner only.
    pub maintenance: bool,
}

/// The API's defaults for a worker of unmeasured speed.
impl Default for Offer {
    fn default() -> Self {
        Self {
            max_tiles: 80,
            seconds_per_form: UNMEASURED_SECONDS,
            owner_trusted: false,
            maintenance: false,
        }
    }
}

/// Why a request can't go to a worker. The names are those of the API's `skipped` object, as far as it has
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, AsRefStr, Display)]
#[strum(serialize_all = "snake_case")]
pub enum SkipReason {
    /// None of its forms is offered. Never reported.
    Forms,
    /// Its worker list excludes the worker.
    WorkerId,
    /// Its picture is larger than the worker takes. Never reported.
    MaxTiles,
    /// The worker is too slow. Never reported.
    Performance,
    /// A trusted worker is needed.
    Untrusted,
    /// The worker serves its owner only. Never reported.
    Maintenance,
}

/// The counts that a worker is told when there is nothing for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // each field is explained at the [`SkipReason`] of the same name
pub struct Skipped {
    pub worker_id: u64,
    pub untrusted: u64,
}
