//! One file for each command: arguments, wiring, output. What a command does is in the crates below;
//! what several of them print, in `progress`.

pub(crate) mod admin;
pub(crate) mod bench;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod generate;
pub(crate) mod migrate;
mod progress;
pub(crate) mod serve;
pub(crate) mod worker;
