//! How often a caller may ask: [`RateLimiter`], which counts requests and refuses those above the
//! [`Limits`] of their route.
//!
//! A route gets its limits with [`RateLimiter::layer`]. Attach it with `MethodRouter::route_layer`, so
//! that wrong methods and `OPTIONS` are answered without being counted:
//!
//! ```
//! # use axum::{Router, routing::post};
//! # use muster_server::http::rate_limit::{POP_AND_SUBMIT, RateLimiter};
//! # async fn pop() {}
//! # let limiter = RateLimiter::disabled();
//! # let router: Router = Router::new()
//! .route("/api/v2/generate/pop", post(pop).route_layer(limiter.layer(POP_AND_SUBMIT)))
//! # ;
//! ```
//!
//! The limits themselves are listed in [`limits`], the counting is in [`windows`], and who gets raised
//! limits is in [`privileged`].

mod key;
mod layer;
pub mod limits;
pub mod privileged;
pub mod windows;

pub use key::CounterKey;
pub use layer::{RateLimitLayer, RateLimited, RateLimiter};
pub use limits::*;
pub use privileged::PrivilegedAddresses;
pub use windows::{Hit, HitFuture, MemoryStore, RateStore, Windows};

#[cfg(test)]
mod tests;
