//! Tests of the bundled weights against measured prices, and of reading other weights.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

mod anchors;
mod held_out;
mod loading;
