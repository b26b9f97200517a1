//! What protects the horde: what prompts must not contain, which addresses are blocked, and which jobs were censored.
//!
//! All of it changes rarely and by itself, so it is written with [`Journal::write`](crate::Journal::write).

mod addresses;
mod problem_jobs;
mod prompt_filters;

pub use self::{
    addresses::{AddressMark, Rebuke},
    problem_jobs::{ProblemCount, ProblemJob},
    prompt_filters::{FilterHits, PromptFilter},
};
