//! Pictures: what a request needs, what a worker offers and how the two are compared (spec: image,
//! sections 7.5 to 7.8, 7.11 and 8).

mod bridge;
mod demand;
mod facts;
mod needs;
mod offer;
mod skipped;

pub use bridge::{BridgeAgent, Capabilities, Capability};
pub use demand::Demand;
pub use facts::{HostedModels, ModelFacts, ModelReference, NamedModels};
pub use needs::{Image, accepts};
pub use offer::Offer;
pub use semver::Version;
pub use skipped::{SkipReason, Skipped};
