//! Workers: who is there, what each can do, how fast it is.

mod check_in;
mod conduct;
mod online;
mod registry;
mod settings;

pub(crate) use registry::{Registry, SharedWorker, Worker};
