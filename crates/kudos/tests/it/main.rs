//! Prices against measured ones, and reading of other weights.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

mod alchemy;
mod anchors;
mod held_out;
mod loading;
mod table;
mod text;
