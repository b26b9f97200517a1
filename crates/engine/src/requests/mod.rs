//! What clients do with requests: submit them, follow them, cancel them.

mod availability;
mod concurrency;
mod progress;
mod rules;
mod seed;
mod sources;
mod spec;
mod stop;
mod submit;
mod upfront;
mod warnings;

pub(crate) use sources::{SourceAbilities, WireSources};
pub(crate) use spec::ImageRequest;
pub(crate) use submit::LIFETIME;
pub use submit::Submission;
