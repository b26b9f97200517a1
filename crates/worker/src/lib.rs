//! Who does the work: everything of Muster that stands on the other side of the public API.
//!
//! * [`client`]: typed calls of the API.
//! * [`backend`]: what a worker needs from the thing that makes pictures; [`simulated`] is the first
//!   one and needs no GPU.
//! * [`runtime`]: the loop of a worker: pop, generate, upload, submit.
//! * [`generate`]: the loop of a client: request, wait, fetch, save.
//! * [`mod@bench`]: the load generator.
//!
//! Nothing here knows the server's crates except [`muster_protocol`], so all of it also works with
//! other AI Horde servers. Nothing here parses a command line or prints; that is the binary's task.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::float_cmp, clippy::unwrap_used))]

pub mod backend;
pub mod backoff;
pub mod bench;
pub mod client;
pub mod generate;
mod random;
pub mod runtime;
pub mod simulated;

/// The version that this software reports to servers.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where this software comes from, as far as the package says so.
pub const HOME: &str = if env!("CARGO_PKG_REPOSITORY").is_empty() {
    "unknown"
} else {
    env!("CARGO_PKG_REPOSITORY")
};
