//! The image API.

mod vocabulary;

pub use vocabulary::*;
