//! What an image is worth: from the request's parameters to the price of one image, and from that
//! to what its worker earns and its requester pays.
//!
//! ```
//! use muster_kudos::image::{ImageJob, ImagePricing, settlement};
//! use muster_protocol::image::Baseline;
//!
//! let pricing = ImagePricing::bundled();
//! let job = ImageJob { width: 1024, height: 1024, ..ImageJob::default() };
//! let base = pricing.base_price(&job);
//! let reward = settlement::worker_reward(base, Baseline::StableDiffusionXl, &job);
//! assert_eq!(reward, 2.0 * base);
//! ```

mod archive;
pub mod features;
mod job;
pub mod network;
mod pricing;
pub mod rating;
pub mod settlement;
pub mod upfront;

pub use archive::LoadError;
pub use job::{Control, ImageJob, SourceImage, Targeting};
pub use network::PricingNetwork;
pub use pricing::{ImagePricing, NewerPostProcessors, price_of_seconds};
